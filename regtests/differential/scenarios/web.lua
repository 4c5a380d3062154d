-- The stats page: health, drain and stop (which has a cause), maintenance.
return {
	config = [[
frontend web
	bind unix@$dir/web
	stats enable
	stats uri /stats
	stats admin if TRUE

backend be
	$alerts:info
	server s1 127.0.0.1:9
	server s2 127.0.0.1:9
	server t1 127.0.0.1:9 track checked/s1
	server fence 127.0.0.1:9 disabled

backend checked
	$alerts:info
	server s1 127.0.0.1:9 agent-check agent-port 9 agent-inter 1h
	server fence 127.0.0.1:9 disabled
]],
	steps = function(s)
		s:web("be/s1", "hdown")
		s:wait_mails("be/s1", 1)
		s:web("be/s1", "hrunn")
		s:wait_mails("be/s1", 2)
		s:web("be/s1", "hnolb")
		s:wait_stat("be/s1", "NOLB")
		s:web("be/s1", "hdown")
		s:wait_mails("be/s1", 3)
		s:web("be/s2", "drain")
		s:wait_mails("be/s2", 1)
		s:web("be/s2", "ready")
		s:wait_stat("be/s2", "no check")
		s:web("be/s2", "stop")
		s:wait_mails("be/s2", 2)
		s:web("be/s2", "start")
		s:web("be/s2", "disable")
		s:wait_stat("be/s2", "MAINT")
		s:web("be/s2", "enable")
		s:web("checked/s1", "adown")
		s:wait_mails("checked/s1", 1)
		s:wait_mails("be/t1", 1)
		s:web("checked/s1", "stop")
		s:wait_mails("checked/s1", 2)
		s:wait_mails("be/t1", 2)
	end,
}
