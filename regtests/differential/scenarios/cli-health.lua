-- The CLI sets the health: down, up, stopping, and from stopping down and up.
return {
	config = [[
backend be
	$alerts:info
	server s1 127.0.0.1:9
	server s2 127.0.0.1:9
	server fence 127.0.0.1:9 disabled
]],
	steps = function(s)
		s:cli("set server be/s1 health down")
		s:wait_mails("be/s1", 1)
		s:cli("set server be/s1 health up")
		s:wait_mails("be/s1", 2)
		s:cli("set server be/s1 health stopping")
		s:cli("set server be/s1 health down")
		s:wait_mails("be/s1", 3)
		s:cli("set server be/s2 health stopping")
		s:cli("set server be/s2 health up")
		s:wait_mails("be/s2", 1)
	end,
}
