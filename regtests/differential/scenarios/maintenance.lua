-- Maintenance: into it and out of it, up and down, and with a check that fails meanwhile. Nothing of it is mailed.
return {
	targets = { t = { "refuse" } },
	config = [[
backend be
	$alerts:info
	server s1 127.0.0.1:9
	server s2 127.0.0.1:$t check inter 150ms rise 1 fall 1
	server s3 127.0.0.1:9 disabled
	server fence 127.0.0.1:9 disabled
]],
	steps = function(s)
		s:wait_mails("be/s2", 1)
		s.targets.t:answer("accept")
		s:wait_mails("be/s2", 2)
		for _, server in ipairs({ "be/s1", "be/s2" }) do
			s:cli("set server " .. server .. " state maint")
			s:wait_stat(server, "MAINT")
			s:cli("set server " .. server .. " state ready")
			s:wait_stat(server, server == "be/s1" and "no check" or "UP")
			s:cli("disable server " .. server)
			s:wait_stat(server, "MAINT")
			s:cli("enable server " .. server)
		end
		-- out of maintenance into a failing check
		s:wait_stat("be/s2", "UP")
		s:cli("disable server be/s2")
		s.targets.t:answer("refuse")
		s:cli("enable server be/s2")
		s:wait_mails("be/s2", 3)
		-- a server that is down enters and leaves it
		s:cli("disable server be/s2")
		s:wait_stat("be/s2", "MAINT")
		s.targets.t:answer("accept")
		s:cli("enable server be/s2")
		s:wait_stat("be/s2", "UP")
		s:cli("enable server be/s3")
		s:wait_stat("be/s3", "no check")
	end,
}
