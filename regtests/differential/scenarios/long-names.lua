-- Names longer than the 63 bytes that HAProxy's events carry.
local proxy, server = ("proxy-"):rep(20), ("server."):rep(15) .. "1"

return {
	config = ([[
backend PROXY
	$alerts:info
	server SERVER 127.0.0.1:9 agent-check agent-port 9 agent-inter 1h
	server short 127.0.0.1:9 track PROXY/SERVER
	server fence 127.0.0.1:9 disabled
]]):gsub("PROXY", proxy):gsub("SERVER", server),
	steps = function(s)
		local name = proxy .. "/" .. server

		s:cli(("set server %s health down"):format(name))
		s:wait_mails(name, 1)
		s:cli(("set server %s health up"):format(name))
		s:cli(("set server %s state drain"):format(name))
		s:wait_mails(name, 3)
	end,
}
