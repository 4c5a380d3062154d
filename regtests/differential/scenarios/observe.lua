-- observe layer7: the server is marked down because of its traffic, and no duration was measured.
return {
	targets = { t = { "reply", { text = "HTTP/1.0 500 Broken\r\n\r\n" } } },
	config = [[
frontend in
	bind unix@$dir/in
	default_backend be

backend be
	$alerts:info
	server s1 127.0.0.1:$t check inter 1h rise 1 fall 1 observe layer7 error-limit 1 on-error mark-down
	server fence 127.0.0.1:9 disabled
]],
	steps = function(s)
		-- the check at layer 4 has passed before the traffic says otherwise
		s:wait_stat("be/s1", { status = "UP", check_status = "L4OK" })
		s:exchange("in", "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
		s:wait_mails("be/s1", 1)
		s:cli("set server be/s1 health up")
		s:wait_mails("be/s1", 2)
	end,
}
