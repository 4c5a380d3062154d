-- info: with quotes, angle brackets, control and 8-bit bytes, and longer than what HAProxy keeps of it.
local ok = "HTTP/1.0 200 OK\r\n\r\n"

return {
	targets = { http = { "reply", { text = ok } }, tcp = { "refuse" } },
	config = [[
backend be
	$alerts:info
	option httpchk GET /
	server s1 127.0.0.1:$http check inter 150ms rise 1 fall 1
	server fence 127.0.0.1:9 disabled

backend expect
	$alerts:info
	option tcp-check
	tcp-check connect
	tcp-check send PING\r\n
	tcp-check expect string +PONG comment "a \"quoted\" <comment>"
	tcp-check expect string +DONE on-success "fmt(all \"good\")"
	server s1 127.0.0.1:$tcp check inter 150ms rise 1 fall 1
	server fence 127.0.0.1:9 disabled
]],
	steps = function(s)
		local reasons = {
			'"Wartung" <b>heute</b>', "caf\xc3\xa9 \xff\x80", "tab\there", "\\ ' % ~",
			("long "):rep(40), ("\xe9"):rep(63), ('"'):rep(80), "",
		}

		for i, reason in ipairs(reasons) do
			s:wait_stat("be/s1", "UP")
			s.targets.http:answer("reply", { text = "HTTP/1.0 500 " .. reason .. "\r\n\r\n" })
			s:wait_mails("be/s1", 2 * i - 1)
			s.targets.http:answer("reply", { text = ok })
			s:wait_mails("be/s1", 2 * i)
		end
		s:wait_mails("expect/s1", 1)
		s.targets.tcp:answer("reply", { text = "+PONG\r\n+DONE\r\n" })
		s:wait_mails("expect/s1", 2)
		s.targets.tcp:answer("reply", { text = "+PING\r\n" })
		s:wait_mails("expect/s1", 3)
	end,
}
