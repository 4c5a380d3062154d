-- A server that is added at run time, falls, recovers, drains, and is deleted; another one takes its name.
return {
	targets = { t = { "refuse" } },
	config = [[
backend be
	$alerts:info
	balance roundrobin
	server s1 127.0.0.1:9
	server fence 127.0.0.1:9 disabled
]],
	steps = function(s)
		local port = s.targets.t.port
		local n = 0

		s.targets.t:answer("accept")
		for _ = 1, 2 do
			s:cli(("add server be/d1 127.0.0.1:%d check inter 150ms rise 1 fall 1"):format(port), "New server registered")
			s:wait_stat("be/d1", "MAINT")
			s:cli("enable server be/d1; enable health be/d1")
			s:wait_stat("be/d1", "UP")
			s.targets.t:answer("refuse")
			s:wait_mails("be/d1", n + 1)
			s.targets.t:answer("accept")
			s:wait_mails("be/d1", n + 2)
			s:cli("set server be/d1 state drain")
			s:wait_mails("be/d1", n + 3)
			s:cli("set server be/d1 state maint")
			s:cli("del server be/d1", "Server deleted")
			n = n + 3
		end
	end,
}
