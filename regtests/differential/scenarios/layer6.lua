-- Layer 6: a TLS check against a server that speaks plain text, one that says nothing, and one that speaks TLS.
return {
	targets = { t = { "reply", { text = "220 this is no TLS\r\n" } } },
	config = [[
backend be
	$alerts:info
	timeout check 400ms
	server s1 127.0.0.1:$t check check-ssl verify none inter 150ms rise 1 fall 1
	server fence 127.0.0.1:9 disabled

frontend tls
	bind unix@$dir/tls ssl crt $pem
]],
	steps = function(s)
		s:wait_mails("be/s1", 1)
		s.targets.t:answer("forward", { path = s.dir .. "/tls" })
		s:wait_mails("be/s1", 2)
		s.targets.t:answer("accept")
		s:wait_mails("be/s1", 3)
		s.targets.t:answer("forward", { path = s.dir .. "/tls" })
		s:wait_mails("be/s1", 4)
	end,
}
