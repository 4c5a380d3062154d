-- Chains of tracking servers over several proxies: state, stopping, inherited and forced drain, maintenance.
-- One server of each proxy at most: of two that change at one stroke, the first one's mail is written by the
-- native sender before the second one has changed, which no later look can tell.
return {
	targets = { t = { "refuse" } },
	config = [[
backend origin
	$alerts:info
	server s1 127.0.0.1:$t check inter 150ms rise 1 fall 1
	server fence 127.0.0.1:9 disabled

backend second
	$alerts:info
	server t1 127.0.0.1:9 track origin/s1
	server fence 127.0.0.1:9 disabled

backend third
	$alerts:info
	server t2 127.0.0.1:9 track origin/s1 backup
	server fence 127.0.0.1:9 disabled

backend fourth
	$alerts:info
	server u1 127.0.0.1:9 track second/t1
	server fence 127.0.0.1:9 disabled

backend fifth
	$alerts:info
	server u2 127.0.0.1:9 track third/t2 slowstart 1s
	server fence 127.0.0.1:9 disabled

backend silent
	server v1 127.0.0.1:9 track fourth/u1
]],
	steps = function(s)
		local all = { "origin/s1", "second/t1", "third/t2", "fourth/u1", "fifth/u2" }
		local n = { 0, 0, 0, 0, 0 }

		local function wait(...)
			for i, more in ipairs({ ... }) do
				n[i] = n[i] + more
				s:wait_mails(all[i], n[i])
			end
		end

		wait(1, 1, 1, 1, 1)
		s.targets.t:answer("accept")
		wait(1, 1, 1, 1, 2)
		s:cli("set server origin/s1 state drain")
		wait(1, 1, 1, 1, 1)
		s:cli("set server origin/s1 state ready")
		s:wait_stat("fourth/u1", "UP")
		-- a forced drain in the middle of the chain: without via there, inherited below
		s:cli("set server second/t1 state drain")
		wait(0, 1, 0, 1, 0)
		s:cli("set server origin/s1 state drain")
		wait(1, 0, 1, 0, 1)
		s:cli("set server second/t1 state ready")
		s:cli("set server origin/s1 state ready")
		s:wait_stat("fourth/u1", "UP")
		-- maintenance is inherited and not mailed; u2's ramp at its end is
		s:cli("disable server origin/s1")
		s:wait_stat("fourth/u1", "MAINT (via second/t1)")
		s:cli("enable server origin/s1")
		s:wait_stat("fourth/u1", "UP")
		wait(0, 0, 0, 0, 1)
		s:cli("disable health origin/s1")
		s:cli("set server origin/s1 health stopping")
		s:cli("set server origin/s1 health down")
		wait(1, 1, 1, 1, 1)
		s:cli("set server origin/s1 health up")
		wait(1, 1, 1, 1, 2)
	end,
}
