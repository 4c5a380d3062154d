-- http-check disable-on-404: the report is mailed, the stopping is not, and going down from there is a notice.
local backend = [[
backend %s
	$alerts:info
	%s
	option httpchk GET /
	http-check disable-on-404
	server s1 127.0.0.1:$t check inter 150ms rise 1 fall 2
	server b1 127.0.0.1:$t check inter 150ms rise 1 fall 2 backup
	server fence 127.0.0.1:9 disabled

]]

return {
	targets = { t = { "refuse" } },
	config = backend:format("reports", "option log-health-checks") .. backend:format("states", ""),
	steps = function(s)
		local servers = { "reports/s1", "reports/b1", "states/s1", "states/b1" }

		local function answer(text, status)
			s.targets.t:answer("reply", { text = "HTTP/1.0 " .. text .. "\r\n\r\n" })
			for _, server in ipairs(servers) do s:wait_stat(server, status) end
		end

		for _, server in ipairs(servers) do s:wait_stat(server, "DOWN") end
		answer("200 OK", "UP")
		for _, server in ipairs(servers) do s:wait_mails(server, server:find("reports") and 4 or 2) end
		answer("404 Not Found", "NOLB")
		answer("200 OK", "UP")
		answer("404 Not \"Found\"", "NOLB")
		answer("500 Broken", "DOWN")
		-- a server that is down is not lifted by a 404
		answer("404 Not Found", "DOWN")
		answer("200 OK", "UP")
	end,
}
