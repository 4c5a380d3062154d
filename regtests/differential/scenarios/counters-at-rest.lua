-- On a proxy at rest all counters are equal, digit for digit.
return {
	exact_counters = true,
	config = [[
backend be
	$alerts:info
	server s1 127.0.0.1:9
	server s2 127.0.0.1:9
	server s3 127.0.0.1:9
	server s4 127.0.0.1:9 disabled
	server s5 127.0.0.1:9 weight 0
	server b1 127.0.0.1:9 backup
	server b2 127.0.0.1:9 backup
	server fence 127.0.0.1:9 disabled
]],
	steps = function(s)
		local counts = {}

		local function event(server, command)
			counts[server] = (counts[server] or 0) + 1
			s:cli(("set server be/%s %s"):format(server, command))
			s:wait_mails("be/" .. server, counts[server])
		end

		event("s1", "health down")
		event("s2", "state drain")
		event("b1", "health down")
		event("s5", "health down")
		event("s3", "health down")
		event("b2", "state drain")
		event("b2", "health down")
		event("b1", "health up")
		event("s1", "health up")
		event("s5", "health up")
	end,
}
