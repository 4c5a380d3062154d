-- option log-health-checks with rise 1 and fall 1: a report and a state with each change, at layers 4 and 7.
local ok = "HTTP/1.0 200 OK\r\n\r\n"

return {
	targets = { t = { "refuse" }, h = { "refuse" } },
	config = [[
backend be
	$alerts:info
	option log-health-checks
	server s1 127.0.0.1:$t check inter 150ms rise 1 fall 1
	server fence 127.0.0.1:9 disabled

backend http
	$alerts:info
	option log-health-checks
	option httpchk GET /
	server s1 127.0.0.1:$h check inter 150ms rise 1 fall 1
	server fence 127.0.0.1:9 disabled
]],
	steps = function(s)
		s:wait_mails("be/s1", 2)
		s.targets.t:answer("accept")
		s:wait_mails("be/s1", 4)
		s.targets.t:answer("refuse")
		s:wait_mails("be/s1", 6)

		s:wait_mails("http/s1", 2)
		s.targets.h:answer("reply", { text = ok })
		s:wait_mails("http/s1", 4)
		s.targets.h:answer("reply", { text = "HTTP/1.0 418 \"no\" <caf\xe9>\r\n\r\n" })
		s:wait_mails("http/s1", 6)
		-- another failure of a server that is down is a report again
		s.targets.h:answer("refuse")
		s:wait_mails("http/s1", 7)
	end,
}
