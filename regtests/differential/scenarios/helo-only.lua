-- A mail server that knows no EHLO.
return {
	helo_only = true,
	config = [[
backend be
	$alerts:info
	server s1 127.0.0.1:9
	server fence 127.0.0.1:9 disabled
]],
	steps = function(s)
		s:cli("set server be/s1 health down")
		s:wait_mails("be/s1", 1)
		s:cli("set server be/s1 health up")
		s:wait_mails("be/s1", 2)
	end,
}
