-- Slowstart: two mails for one recovery, the second at the end of the ramp; one that falls during the ramp; and
-- out of maintenance, where only the end of the ramp is mailed.
return {
	targets = { t = { "refuse" } },
	config = [[
backend be
	$alerts:info
	server s1 127.0.0.1:$t check inter 150ms rise 1 fall 1 slowstart 1s
	server s2 127.0.0.1:9 slowstart 1s
	server s3 127.0.0.1:9 slowstart 1s backup
	server s4 127.0.0.1:9 slowstart 60s
	server fence 127.0.0.1:9 disabled
]],
	steps = function(s)
		s:wait_mails("be/s1", 1)
		s.targets.t:answer("accept")
		s:cli("set server be/s2 health down")
		s:cli("set server be/s2 health up")
		s:cli("disable server be/s3")
		s:cli("enable server be/s3")
		s:cli("set server be/s4 health down")
		s:cli("set server be/s4 health up")
		s:wait_mails("be/s4", 2)
		s:cli("set server be/s4 health down")
		s:wait_mails("be/s4", 3)
		s:wait_mails("be/s1", 3)
		s:wait_mails("be/s2", 3)
		s:wait_mails("be/s3", 1)
		-- a ramp that maintenance ends
		s:cli("set server be/s4 health up")
		s:wait_mails("be/s4", 4)
		s:cli("disable server be/s4")
		s:cli("enable server be/s4")
	end,
}
