-- Layer 7: a wrong status, no answer in time, and bytes that are no HTTP.
local ok = "HTTP/1.0 200 OK\r\n\r\n"

return {
	targets = { t = { "reply", { text = ok } } },
	config = [[
backend be
	$alerts:info
	option httpchk GET /
	timeout check 400ms
	server s1 127.0.0.1:$t check inter 150ms rise 1 fall 2
	server fence 127.0.0.1:9 disabled
]],
	steps = function(s)
		local bad = {
			{ "reply", { text = "HTTP/1.0 503 Service Unavailable\r\n\r\n" } },
			{ "accept" },
			{ "reply", { text = "what is this?\r\n\r\n" } },
			{ "reply", { text = "" } },
			{ "refuse" },
		}

		for i, answer in ipairs(bad) do
			s:wait_stat("be/s1", "UP")
			s.targets.t:answer(table.unpack(answer))
			s:wait_mails("be/s1", 2 * i - 1)
			s.targets.t:answer("reply", { text = ok })
			s:wait_mails("be/s1", 2 * i)
		end
	end,
}
