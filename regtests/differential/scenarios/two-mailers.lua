-- Two mailers: each gets every mail.
return {
	sinks = { "127.0.0.1", "127.0.0.1" },
	targets = { t = { "refuse" } },
	config = [[
backend be
	$alerts:info
	option log-health-checks
	server s1 127.0.0.1:$t check inter 150ms rise 2 fall 2
	server s2 127.0.0.1:9
	server fence 127.0.0.1:9 disabled
]],
	steps = function(s)
		s:wait_mails("be/s1", 2)
		s.targets.t:answer("accept")
		s:wait_mails("be/s1", 5)
		s:cli("set server be/s2 health down")
		s:cli("set server be/s2 health up")
		s:wait_mails("be/s2", 2)
	end,
}
