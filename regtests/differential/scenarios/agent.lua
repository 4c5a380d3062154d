-- The agent: down, fail and stopped with descriptions of any bytes, up, drain, maintenance, and weights.
return {
	targets = { a = { "refuse" } },
	config = [[
backend be
	$alerts:info
	server s1 127.0.0.1:9 weight 10 agent-check agent-addr 127.0.0.1 agent-port $a agent-inter 150ms
	server fence 127.0.0.1:9 disabled
]],
	steps = function(s)
		local n = 0
		local down = {
			"down\n", "fail # disk \"full\" <90%>\n", "stopped #caf\xc3\xa9 \xff\x01\t.\n",
			"down # " .. ("very long "):rep(20) .. "\n",
		}

		local function say(text)
			s.targets.a:answer("reply", { at_once = true, text = text })
		end

		for _, text in ipairs(down) do
			say(text)
			n = n + 1
			s:wait_mails("be/s1", n)
			say("up\n")
			n = n + 1
			s:wait_mails("be/s1", n)
		end
		say("drain\n")
		s:wait_mails("be/s1", n + 1)
		say("ready\n")
		s:wait_stat("be/s1", "no check")
		say("maint\n")
		s:wait_stat("be/s1", "MAINT")
		say("ready up 50%\n")
		s:wait_stat("be/s1", { status = "no check", weight = "5" })
		say("0%\n")
		s:wait_stat("be/s1", { weight = "0" })
		say("100% down # at weight 0\n")
		s:wait_mails("be/s1", n + 2)
		say("up ready\n")
		s:wait_mails("be/s1", n + 3)
	end,
}
