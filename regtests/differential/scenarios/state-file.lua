-- A start with a state file: what was down, in drain or stopping before it. (A server in maintenance is the
-- scenario state-file-maint.)
return {
	files = { state = "" },
	global = "server-state-file $dir/state",
	config = [[
backend be
	$alerts:info
	load-server-state-from-file global
	server up 127.0.0.1:9
	server down 127.0.0.1:9
	server drain 127.0.0.1:9
	server stopping 127.0.0.1:9
	server checked 127.0.0.1:9 check inter 1h
	server tracking 127.0.0.1:9 track be/checked
	server fence 127.0.0.1:9 disabled
]],
	steps = function(s)
		s:wait_mails("be/checked", 1)
		s:wait_mails("be/tracking", 1)
		s:cli("set server be/down health down")
		s:wait_mails("be/down", 1)
		s:cli("set server be/drain state drain")
		s:wait_mails("be/drain", 1)
		s:cli("set server be/stopping health stopping")
		s:write("state", s:cli("show servers state", "be_id"))
		s:restart()
	end,
}
