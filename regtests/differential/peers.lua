-- peers - what a HAProxy under test talks to: targets of health checks, and SMTP sinks.
--
-- A target keeps its port for its whole life, also while it is closed. Its answer can be changed at any time and
-- holds for the connections that come after it:
--
--   refuse     the port is closed
--   accept     connections are accepted and left alone
--   ignore     nothing is accepted: the queue of the socket is full, and the kernel drops what comes
--   reply      `text` is sent as soon as the peer has sent something (`at_once`: when it connects), then the end
--   forward    bytes go to the unix socket `path` and back
local loop = require("loop")
local netlab = require("netlab")

local peers = {}

local target = {}
target.__index = target

function peers.target()
	local t = setmetatable({ connections = {} }, target)

	t.hold, t.port = assert(netlab.bind("127.0.0.1", 0))
	return t
end

local function forward(near, path)
	local far = loop.stream(assert(netlab.connect_unix(path)))

	far.on_data = function(_, bytes) near:send(bytes) end
	far.on_close = function() near:finish() end
	near.on_data = function(_, bytes) far:send(bytes) end
	near.on_close = function() far:close() end
end

local on_accept = {
	accept = function() end,
	reply = function(t, s)
		local text = t.text

		if t.at_once then
			s:send(text)
			s:finish()
		else
			s.on_data = function()
				s.on_data = nil
				s:send(text)
				s:finish()
			end
		end
	end,
	forward = function(t, s) forward(s, t.path) end,
}

-- Ends what is open, then listens (or not) in the new way. From one text to another nothing ends: a check on its way would
-- meet a reset in place of either answer.
function target:answer(mode, settings)
	if mode == "reply" and self.mode == "reply" then
		self.text, self.at_once = settings.text, settings.at_once
		return
	end
	self:close()
	self.mode = mode
	for key, value in pairs(settings or {}) do self[key] = value end
	if mode == "refuse" then return end
	self.listener = assert(netlab.bind("127.0.0.1", self.port))
	assert(netlab.listen(self.listener, mode == "ignore" and 0 or 128))
	if mode == "ignore" then
		for i = 1, 2 do self.connections[i] = loop.stream(assert(netlab.connect(self.port))) end
		return
	end
	loop.listener(self.listener, function(fd)
		local s = loop.stream(fd)

		self.connections[#self.connections + 1] = s
		on_accept[mode](self, s)
	end)
end

function target:close()
	if self.listener then loop.forget(self.listener) end
	for _, s in ipairs(self.connections) do s:close() end
	self.listener, self.connections = nil, {}
	self.text, self.at_once, self.path, self.mode = nil, nil, nil, nil
end

function target:free()
	self:close()
	netlab.close(self.hold)
end

-- An SMTP sink: `mails` holds {helo, from, to, data} in the order of the final dots. `data` is what was on the wire
-- after the reply 354, without the final ".\r\n".
local sink = {}
sink.__index = sink

local commands = {}

function commands.EHLO(_, session, argument)
	session.mail = nil
	session.helo = argument
	return "250-sink.example\r\n250-PIPELINING\r\n250 8BITMIME"
end

function commands.HELO(_, session, argument)
	session.mail = nil
	session.helo = argument
	return "250 sink.example"
end

function commands.MAIL(_, session, argument)
	local from = argument:match("^FROM:(<[^>]*>)")

	if not from or session.mail then return "503 bad MAIL" end
	session.mail = { helo = session.helo, from = from, to = {} }
	return "250 2.1.0 sender"
end

function commands.RCPT(_, session, argument)
	local to = argument:match("^TO:(<[^>]*>)")

	if not to or not session.mail then return "503 bad RCPT" end
	table.insert(session.mail.to, to)
	return "250 2.1.5 recipient"
end

function commands.DATA(_, session)
	if not session.mail or #session.mail.to == 0 then return "503 bad DATA" end
	session.in_data = true
	return "354 go"
end

function commands.RSET(_, session)
	session.mail = nil
	return "250 2.0.0 reset"
end

function commands.NOOP()
	return "250 2.0.0 nothing"
end

function commands.QUIT()
	return "221 bye", true
end

local function take_data(self, session)
	local from, to = session.input:find("\r\n.\r\n", 1, true)

	if not from then return nil end
	session.mail.data = session.input:sub(1, from + 1)
	session.input = session.input:sub(to + 1)
	table.insert(self.mails, session.mail)
	session.mail, session.in_data = nil, nil
	return "250 2.0.0 kept"
end

local function take_command(self, session)
	local line, rest = session.input:match("^([^\n]*)\n(.*)$")

	if not line then return nil end
	session.input = rest

	local word, argument = line:gsub("\r$", ""):match("^(%a+) ?(.*)$")
	local command = word and commands[word:upper()]

	if not command or (self.helo_only and word:upper() == "EHLO") then return "500 unknown command" end
	return command(self, session, argument)
end

local function on_bytes(self, session, bytes)
	session.input = session.input .. bytes
	while session.stream.fd do
		local reply, ends = (session.in_data and take_data or take_command)(self, session)

		if not reply then return end
		session.stream:send(reply .. "\r\n")
		if ends then session.stream:finish() end
	end
end

function peers.sink(host)
	local self = setmetatable({ mails = {}, streams = {} }, sink)
	local why

	self.listener, self.port = netlab.bind(host, 0)
	if not self.listener then
		why = self.port
		return nil, why
	end
	assert(netlab.listen(self.listener))
	loop.listener(self.listener, function(fd)
		local session = { input = "" }

		session.stream = loop.stream(fd, function(_, bytes) on_bytes(self, session, bytes) end)
		table.insert(self.streams, session.stream)
		session.stream:send("220 sink.example ready\r\n")
	end)
	return self
end

function sink:free()
	loop.forget(self.listener)
	for _, s in ipairs(self.streams) do s:close() end
end

return peers
