-- Weight 0: DRAIN in the reports, no mail for the weight itself, and going down is an alert all the same.
return {
	targets = { t = { "refuse" }, u = { "refuse" } },
	config = [[
backend be
	$alerts:info
	option log-health-checks
	server s1 127.0.0.1:$t check inter 150ms rise 2 fall 2
	server s2 127.0.0.1:$u check inter 150ms rise 1 fall 1 weight 0
	server s3 127.0.0.1:9
	server fence 127.0.0.1:9 disabled

backend default-level
	$alerts
	server s1 127.0.0.1:9 weight 0
	server s2 127.0.0.1:9
	server fence 127.0.0.1:9 disabled
]],
	steps = function(s)
		s:wait_mails("be/s1", 2)
		s:wait_mails("be/s2", 2)
		s.targets.t:answer("accept")
		s.targets.u:answer("accept")
		s:wait_mails("be/s1", 5)
		s:wait_mails("be/s2", 4)
		s:cli("set server be/s1 weight 0")
		s:wait_stat("be/s1", { weight = "0" })
		s.targets.t:answer("refuse")
		s:wait_mails("be/s1", 8)
		s.targets.t:answer("accept")
		s:wait_mails("be/s1", 11)
		s:cli("set server be/s1 weight 100%")
		s:cli("set server be/s3 weight 0")
		s:cli("set server be/s3 weight 10")
		s:cli("set server be/s3 weight 0%")
		s.targets.u:answer("refuse")
		s:wait_mails("be/s2", 6)
		s:cli("set server default-level/s1 health down")
		s:wait_mails("default-level/s1", 1)
		s:cli("set server default-level/s2 weight 0")
		s:cli("set server default-level/s2 health down")
		s:wait_mails("default-level/s2", 1)
	end,
}
