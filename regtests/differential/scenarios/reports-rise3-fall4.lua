-- option log-health-checks with rise 3 and fall 4: every step of the health, also one that does not reach its end.
return {
	targets = { t = { "refuse" } },
	config = [[
backend be
	$alerts:info
	option log-health-checks
	option httpchk GET /
	server s1 127.0.0.1:$t check inter 300ms rise 3 fall 4
	server fence 127.0.0.1:9 disabled
]],
	steps = function(s)
		local function answer(text)
			s.targets.t:answer("reply", { text = "HTTP/1.0 " .. text .. "\r\n\r\n" })
		end

		-- it starts with its health at rise, so the first failure is its last
		s:wait_mails("be/s1", 2)
		answer("200 OK")
		s:wait_mails("be/s1", 6)
		answer("500 first")
		s:wait_mails("be/s1", 7)
		answer("200 OK")
		s:wait_mails("be/s1", 8)
		answer("500 for good")
		s:wait_mails("be/s1", 13)
		answer("200 OK")
		s:wait_mails("be/s1", 14)
		answer("500 again")
		s:wait_mails("be/s1", 15)
		answer("200 OK")
		s:wait_mails("be/s1", 19)
	end,
}
