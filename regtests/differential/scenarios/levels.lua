-- email-alert level: the same events at the default level, at notice, at info, and at levels beyond both ends.
local backend = [[
backend %s
	$alerts%s
	option log-health-checks
	server s1 127.0.0.1:$t check inter 150ms rise 1 fall 1
	server s2 127.0.0.1:9
	server s3 127.0.0.1:9
	server fence 127.0.0.1:9 disabled

]]
local names = { "default", "alert", "crit", "err", "warning", "notice", "info", "debug" }
local config = "backend emerg\n\t$alerts:emerg\n\tserver s1 127.0.0.1:9\n\n"

for i, name in ipairs(names) do config = config .. backend:format(name, i == 1 and "" or ":" .. name) end

return {
	targets = { t = { "refuse" } },
	config = config,
	steps = function(s)
		s:wait_mails("info/s1", 2)
		s:wait_mails("debug/s1", 2)
		s:wait_mails("default/s1", 1)
		s.targets.t:answer("accept")
		s:wait_mails("info/s1", 4)
		s:wait_mails("debug/s1", 4)
		s:wait_mails("notice/s1", 2)
		for _, name in ipairs(names) do
			-- down while in drain, up, leaving the drain
			s:cli(("set server %s/s2 state drain"):format(name))
			s:cli(("set server %s/s2 health down"):format(name))
			s:cli(("set server %s/s2 health up"):format(name))
			-- down from stopping
			s:cli(("set server %s/s3 health stopping"):format(name))
			s:cli(("set server %s/s3 health down"):format(name))
		end
		s:cli("set server emerg/s1 health down")
		s:wait_mails("notice/s2", 3)
	end,
}
