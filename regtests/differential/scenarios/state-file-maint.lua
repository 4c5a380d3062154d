-- A start with a state file in which a server is in maintenance: the native sender calls it DOWN, although it mails no maintenance else.
return {
	pending = "Lua cannot tell this server from one that is `disabled` in the configuration, which is not mailed",
	files = { state = "" },
	global = "server-state-file $dir/state",
	config = [[
backend be
	$alerts:info
	load-server-state-from-file global
	server maint 127.0.0.1:9
	server fence 127.0.0.1:9
]],
	steps = function(s)
		s:cli("set server be/maint state maint")
		s:write("state", s:cli("show servers state", "be_id"))
		s:restart()
	end,
}
