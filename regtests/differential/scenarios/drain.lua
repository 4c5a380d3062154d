-- Drain: of a server that is up, down, in maintenance, twice, and of one that was disabled in the configuration.
return {
	config = [[
backend be
	$alerts:info
	server s1 127.0.0.1:9
	server s2 127.0.0.1:9
	server s3 127.0.0.1:9
	server s4 127.0.0.1:9 disabled
	server s5 127.0.0.1:9 backup
	server fence 127.0.0.1:9 disabled
]],
	steps = function(s)
		-- up, twice, and back
		s:cli("set server be/s1 state drain")
		s:wait_mails("be/s1", 1)
		s:cli("set server be/s1 state drain")
		s:cli("set server be/s1 state ready")
		s:wait_stat("be/s1", "no check")
		s:cli("set server be/s1 state drain")
		s:wait_mails("be/s1", 2)
		-- down while in drain, up again in drain
		s:cli("set server be/s1 health down")
		s:wait_mails("be/s1", 3)
		s:cli("set server be/s1 health up")
		s:wait_mails("be/s1", 4)
		-- a server that is down
		s:cli("set server be/s2 health down")
		s:wait_mails("be/s2", 1)
		s:cli("set server be/s2 state drain")
		s:wait_mails("be/s2", 2)
		-- maintenance and drain, in both orders
		s:cli("set server be/s3 state maint")
		s:wait_stat("be/s3", "MAINT")
		s:cli("set server be/s3 state drain")
		s:wait_stat("be/s3", "DRAIN")
		s:cli("set server be/s3 state maint")
		s:cli("set server be/s3 state ready")
		-- disabled in the configuration, then enabled
		s:cli("enable server be/s4")
		s:wait_stat("be/s4", "no check")
		s:cli("set server be/s4 state drain")
		s:wait_mails("be/s4", 1)
		-- a backup server
		s:cli("set server be/s5 state drain")
		s:wait_mails("be/s5", 1)
	end,
}
