-- Layer 4: a port is closed and opened, and then drops what comes.
return {
	targets = { t = { "refuse" } },
	config = [[
backend be
	$alerts:info
	timeout check 300ms
	server s1 127.0.0.1:$t check inter 150ms rise 2 fall 2
	server fence 127.0.0.1:9 disabled
]],
	steps = function(s)
		s:wait_stat("be/s1", "DOWN")
		s:wait_mails("be/s1", 1)
		s.targets.t:answer("accept")
		s:wait_mails("be/s1", 2)
		s.targets.t:answer("ignore")
		s:wait_mails("be/s1", 3)
		s.targets.t:answer("accept")
		s:wait_mails("be/s1", 4)
	end,
}
