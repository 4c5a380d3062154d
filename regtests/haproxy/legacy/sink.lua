-- A mail sink with the habits of the one in HAProxy's own regression test of mailers: it greets without ESMTP, takes HELO
-- and nothing else, one mail a connection, and finds the end of a message only as an empty line followed
-- by a dot. It runs as a TCP service of the HAProxy that is tested and leaves its verdict in txn.result.

local function expect(applet, words, answer)
	local line = applet:getline()
	if line:sub(1, #words) ~= words then
		applet:send("Expected: " .. words .. " but got:" .. line .. "\r\n")
		applet:set_var("txn.result", "ERROR (step: " .. words .. ")")
		return false
	end
	if answer then
		applet:send(answer .. "\r\n")
	end
	return true
end

local function read_message(applet)
	local subject = ""
	while true do
		local line = applet:getline()
		if line == "" then
			return nil
		elseif line:sub(1, 9) == "Subject: " then
			subject = line:gsub("[\r\n]+$", "")
		elseif line == "\r\n" and applet:getline() == ".\r\n" then
			return subject
		end
	end
end

core.register_service("mail_sink", "tcp", function(applet)
	applet:send("220 Welcome\r\n")
	for _, step in ipairs({ { "HELO", "250 OK" }, { "MAIL FROM:", "250 OK" }, { "RCPT TO:", "250 OK" },
	                        { "DATA", "354 OK" } }) do
		if not expect(applet, step[1], step[2]) then
			return
		end
	end
	local subject = read_message(applet)
	if not subject then
		applet:set_var("txn.result", "ERROR (step: message)")
		return
	end
	applet:send("250 OK\r\n")
	if expect(applet, "QUIT", "221 Mail queued for delivery to /dev/null ") then
		applet:set_var("txn.subject", subject)
		applet:set_var("txn.result", "SUCCESS")
	end
end)
