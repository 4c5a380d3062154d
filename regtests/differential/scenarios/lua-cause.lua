-- A Lua script sets the health; it leaves the native sender alone.
return {
	files = { ["force.lua"] = [[
core.register_cli({ "force" }, "", function(applet, _, action, proxy, server)
	local s = core.proxies[proxy].servers[server]

	s[action](s)
end)
]] },
	global = "lua-load $dir/force.lua",
	config = [[
backend be
	$alerts:info
	server s1 127.0.0.1:9 check inter 1h
	server fence 127.0.0.1:9 disabled
]],
	steps = function(s)
		s:wait_stat("be/s1", "DOWN")
		s:wait_mails("be/s1", 1)
		s:cli("disable health be/s1")
		s:cli("force check_force_up be s1")
		s:wait_mails("be/s1", 2)
		s:cli("force check_force_down be s1")
		s:wait_mails("be/s1", 3)
		s:cli("force check_force_nolb be s1")
		s:cli("force set_drain be s1")
		s:wait_mails("be/s1", 4)
		s:cli("force set_maint be s1")
		s:cli("force set_ready be s1")
	end,
}
