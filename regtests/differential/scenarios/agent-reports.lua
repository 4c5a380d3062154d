-- Reports of the agent and of the check of one server, with option log-health-checks.
return {
	targets = { t = { "refuse" }, a = { "refuse" } },
	config = [[
backend be
	$alerts:info
	option log-health-checks
	server s1 127.0.0.1:$t check inter 150ms rise 1 fall 1 agent-check agent-addr 127.0.0.1 agent-port $a agent-inter 150ms
	server fence 127.0.0.1:9 disabled
]],
	steps = function(s)
		local function say(text)
			s.targets.a:answer("reply", { at_once = true, text = text })
		end

		-- the check fails at once, the agent cannot be reached: a report each, and the server is down
		s:wait_stat("be/s1", { status = "DOWN", agent_status = "L4CON" })
		s:wait_mails("be/s1", 3)
		s.targets.t:answer("accept")
		s:wait_mails("be/s1", 5)
		say("down # \"maintenance\" <now>\n")
		s:wait_mails("be/s1", 7)
		say("up\n")
		s:wait_mails("be/s1", 9)
		say("drain up\n")
		s:wait_mails("be/s1", 10)
		say("ready up\n")
		s:wait_stat("be/s1", "UP")
		s.targets.a:answer("refuse")
		s:wait_mails("be/s1", 11)
	end,
}
