-- Sixty servers fall and recover together: each server's mails are complete and in order.
return {
	targets = { t = { "refuse" } },
	config = [[
backend be
	$alerts:info
	option log-health-checks
	server-template s 60 127.0.0.1:$t check inter 300ms rise 1 fall 1
	server fence 127.0.0.1:9 disabled
]],
	steps = function(s)
		local function wait(n)
			for i = 1, 60 do s:wait_mails("be/s" .. i, n) end
		end

		wait(2)
		s.targets.t:answer("accept")
		wait(4)
	end,
}
