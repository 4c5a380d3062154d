-- Backup servers: their own mails, "Running on backup.", and the last server's end.
return {
	targets = { t = { "refuse" } },
	config = [[
backend be
	$alerts:info
	option log-health-checks
	server s1 127.0.0.1:9
	server s2 127.0.0.1:9
	server b1 127.0.0.1:$t check inter 150ms rise 1 fall 1 backup
	server b2 127.0.0.1:9 backup
	server fence 127.0.0.1:9 disabled
]],
	steps = function(s)
		local function health(server, state, n)
			s:cli("set server " .. server .. " health " .. state)
			s:wait_mails(server, n)
		end

		s:wait_mails("be/b1", 2)
		s.targets.t:answer("accept")
		s:wait_mails("be/b1", 4)
		health("be/s1", "down", 1)
		health("be/s2", "down", 1)
		s.targets.t:answer("refuse")
		s:wait_mails("be/b1", 6)
		health("be/b2", "down", 1)
		health("be/b2", "up", 2)
		s.targets.t:answer("accept")
		s:wait_mails("be/b1", 8)
		health("be/s2", "up", 2)
		s:cli("set server be/b2 state drain")
		s:wait_mails("be/b2", 3)
	end,
}
