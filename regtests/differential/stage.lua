-- stage - one HAProxy with its targets and sinks, and what a scenario's steps may do with it.
--
-- Every wait_*() is for a condition: a state that the CLI shows, or a number of mails at every sink. The
-- scenario's own timeout bounds all of them.
local loop = require("loop")
local netlab = require("netlab")
local peers = require("peers")

local stage = {}
stage.__index = stage

local SIGKILL, SIGTERM = 9, 15

local CONFIG = [[
global
	nbthread %d
	stats socket %s/cli level admin
	%s

defaults
	mode http
	timeout connect 2s
	timeout client 10s
	timeout server 10s
	timeout check 2s
	log global

mailers alerts
	timeout mail 10s
%s

]]

local function write_file(path, text)
	local f = assert(io.open(path, "w"))

	f:write(text)
	f:close()
end

local function alerts_lines(level)
	return "email-alert mailers alerts\n\temail-alert from haproxy@example.org\n" ..
		"\temail-alert to admin@example.org\n\temail-alert myhostname proxy.example.org" ..
		(level ~= "" and "\n\temail-alert level " .. level or "")
end

-- $name stands for a target's port, $dir for the directory, $pem for a certificate, $alerts and $alerts:level for the
-- email-alert lines.
local function expand(self, text)
	return (text:gsub("%$(%a[%w_]*):?(%l*)", function(name, level)
		if name == "alerts" then return alerts_lines(level) end
		if name == "dir" then return self.dir .. (level ~= "" and ":" .. level or "") end
		if name == "pem" then return os.getenv("DIFFTEST_PEM") end
		return tostring(assert(self.targets[name], "no target " .. name).port) .. (level ~= "" and ":" .. level or "")
	end))
end

-- options: name, haproxy, threads, global (lines of configuration, such as lua-load). Returns nil and a reason when
-- the machine cannot do what the scenario needs.
function stage.new(scenario, options)
	local self = setmetatable({ name = options.name, haproxy = options.haproxy, scenario = scenario,
		targets = {}, sinks = {}, files = { log = true }, levels = {},
		sockets = { "cli" }, dir = assert(netlab.mkdtemp()) }, stage)
	local mailers = {}

	for proxy, level in scenario.config:gmatch("backend (%S+)\n\t%$alerts:?(%l*)") do
		self.levels[proxy] = level ~= "" and level or "alert"
	end
	for name, answer in pairs(scenario.targets or {}) do
		self.targets[name] = peers.target()
		self.targets[name]:answer(table.unpack(answer))
	end
	for i, host in ipairs(scenario.sinks or { "127.0.0.1" }) do
		local sink, why = peers.sink(host)

		if not sink then
			self:free()
			return nil, ("no sink on %s: %s"):format(host, why)
		end
		sink.helo_only = scenario.helo_only
		self.sinks[i] = sink
		mailers[i] = ("\tmailer sink%d %s:%d"):format(i, host, sink.port)
	end
	self:write("cfg", CONFIG:format(options.threads, self.dir,
		options.global .. "\n\t" .. expand(self, scenario.global or ""), table.concat(mailers, "\n")) ..
		expand(self, scenario.config))
	for name in scenario.config:gmatch("unix@$dir/(%w+)") do table.insert(self.sockets, name) end
	for _, name in ipairs(self.sockets) do self.files[name] = true end
	for name, text in pairs(scenario.files or {}) do self:write(name, expand(self, text)) end
	return self
end

function stage:write(name, text)
	self.files[name] = true
	write_file(self.dir .. "/" .. name, text)
end

function stage:start()
	self.pid = assert(netlab.spawn({ self.haproxy, "-db", "-f", self.dir .. "/cfg" }, self.dir .. "/log"))
	for _, name in ipairs(self.sockets) do
		loop.wait("HAProxy's socket " .. name, function()
			local fd = netlab.connect_unix(self.dir .. "/" .. name)

			if fd then netlab.close(fd) end
			if not fd then self:check_alive() end
			return fd
		end)
	end
end

function stage:check_alive()
	local ended = self.pid and netlab.wait(self.pid)

	if ended then
		self.pid = nil
		error("HAProxy ended: " .. ended .. "\n" .. self:log(), 0)
	end
end

function stage:log()
	local f = io.open(self.dir .. "/log")
	local text = f and f:read("a") or ""

	if f then f:close() end
	return text
end

-- Stops HAProxy at once; its mails have been waited for.
function stage:stop()
	local pid, ended = self.pid, nil
	local deadline = netlab.now_ms() + 5000

	if not pid then return end
	self.pid = nil
	netlab.kill(pid, SIGTERM)
	repeat
		netlab.poll({}, 5)
		ended = netlab.wait(pid)
		if not ended and netlab.now_ms() > deadline then
			netlab.kill(pid, SIGKILL)
			deadline = math.huge
		end
	until ended
end

-- Ends HAProxy and starts it anew; what it was told at run time is lost, unless a state file says it again.
function stage:restart()
	self:stop()
	self:start()
end

function stage:free(keep)
	self:stop()
	for _, t in pairs(self.targets) do t:free() end
	for _, s in ipairs(self.sinks) do s:free() end
	if keep then return end
	for name in pairs(self.files) do os.remove(self.dir .. "/" .. name) end
	os.remove(self.dir)
end

-- Sends bytes to a unix socket of HAProxy and returns all that comes back until it closes.
function stage:exchange(socket, bytes)
	local answer, closed = {}, false
	local fd, why = netlab.connect_unix(self.dir .. "/" .. socket)

	if not fd then
		self:check_alive()
		error(socket .. ": " .. why)
	end

	local s = loop.stream(fd, function(_, data) answer[#answer + 1] = data end, function() closed = true end)

	s:send(bytes)
	loop.wait("an answer to " .. bytes:match("^[^\r\n]*"), function() return closed end)
	return table.concat(answer)
end

-- One or more CLI commands (";" between them). Their output must match `expect`, by default be empty.
function stage:cli(command, expect)
	local answer = self:exchange("cli", command .. "\n")

	if not answer:find(expect or "^%s*$") then error(("CLI: %s: %s"):format(command, answer)) end
	return answer
end

-- {["proxy/server"] = {column = value}} of `show stat`.
function stage:stats()
	local rows, names = {}, nil

	for line in self:cli("show stat -1 4 -1", "^# pxname,"):gmatch("[^\n]+") do
		local fields, row = {}, {}

		for field in (line:gsub("^# ", "") .. ","):gmatch("([^,]*),") do fields[#fields + 1] = field end
		names = names or fields
		for i, name in ipairs(names) do row[name] = fields[i] end
		rows[row.pxname .. "/" .. row.svname] = row
	end
	rows["pxname/svname"] = nil
	return rows
end

-- Waits until the columns of `show stat` for a server hold these values: {status = "UP", weight = "0"}.
function stage:wait_stat(server, want)
	local text = {}

	if type(want) == "string" then want = { status = want } end
	for key, value in pairs(want) do text[#text + 1] = key .. "=" .. value end
	loop.wait(server .. ": " .. table.concat(text, " "), function()
		local row = assert(self:stats()[server], "no server " .. server)

		for key, value in pairs(want) do
			if row[key] ~= value then return false end
		end
		return true
	end)
end

-- The server that a mail is about, "proxy/server".
function stage.server_of(mail)
	return mail.data:match("\r\nSubject: %[HAProxy Alert%] [^\r\n]-[Ss]erver ([^%s/]+/%S+) ") or "?"
end

-- {["proxy/server"] = number of mails}
function stage.count(sink)
	local counts = {}

	for _, mail in ipairs(sink.mails) do
		local server = stage.server_of(mail)

		counts[server] = (counts[server] or 0) + 1
	end
	return counts
end

function stage:mails_of(sink, server)
	local found = {}

	for _, mail in ipairs(sink.mails) do
		if stage.server_of(mail) == server then found[#found + 1] = mail end
	end
	return found
end

-- Waits until every sink has at least n mails of the server.
function stage:wait_mails(server, n)
	loop.wait(("%d mails of %s"):format(n, server), function()
		for _, sink in ipairs(self.sinks) do
			if #self:mails_of(sink, server) < n then return false end
		end
		return true
	end)
end

-- A form of the stats page, at the frontend on $dir/web.
function stage:web(server, action)
	local proxy, name = server:match("^(.-)/(.*)$")
	local body = ("s=%s&action=%s&b=%s"):format(name, action, proxy)
	local answer = self:exchange("web", ("POST /stats HTTP/1.0\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s")
		:format(#body, body))

	if not answer:find("st=DONE", 1, true) then error("stats page: " .. server .. " " .. action .. ": " .. answer) end
end

-- {["proxy/server"] = "down", "up" or "stopping"}
function stage:states()
	local names = { ["0"] = "down", ["1"] = "up", ["2"] = "up", ["3"] = "stopping" }
	local states = {}

	for line in self:cli("show servers state", "be_id"):gmatch("[^\n]+") do
		local proxy, server, state = line:match("^%d+ (%S+) %d+ (%S+) %S+ (%d) ")

		if proxy then states[proxy .. "/" .. server] = names[state] end
	end
	return states
end

-- Does the native sender mail it when a server of this proxy goes to the state?
function stage:is_mailed(server, state)
	local level = self.levels[server:match("^[^/]*")]

	if not level or level == "emerg" then return false end
	return state == "down" or state == "up" and (level == "notice" or level == "info" or level == "debug")
end

-- Runs a CLI command that may change states, and waits until each change is mailed: the proxy is at rest again.
function stage:cli_and_mails(command)
	local before, counts = self:states(), {}

	for i, sink in ipairs(self.sinks) do counts[i] = stage.count(sink) end
	self:cli(command, "") -- not every command applies to every server
	for server, state in pairs(self:states()) do
		if state ~= before[server] and self:is_mailed(server, state) then
			loop.wait(("the mail of %s after %s"):format(server, command), function()
				for i, sink in ipairs(self.sinks) do
					if #self:mails_of(sink, server) <= (counts[i][server] or 0) then return false end
				end
				return true
			end)
		end
	end
end

-- Ends the scenario: silences the checks and takes every server up and down from the CLI, twice, and last of all the
-- server `fence` of each proxy, which nothing else touches (it was `disabled`, so that no counter showed it). As the
-- plugin keeps a server's mails in order, one that it has too many or too few puts these out of step.
function stage:fence()
	local servers, fences = {}, {}

	for name, row in pairs(self:stats()) do
		if row.type == "2" then table.insert(row.svname == "fence" and fences or servers, name) end
	end
	assert(#fences > 0, "the configuration has no server named fence")
	table.sort(servers)
	table.sort(fences)
	for _, server in ipairs(servers) do self:cli(("disable health %s; disable agent %s"):format(server, server), "") end
	for _, list in ipairs({ servers, fences }) do
		for _, server in ipairs(list) do self:cli(("set server %s state ready"):format(server)) end
		for _, server in ipairs(list) do
			for _, health in ipairs({ "up", "down", "up", "down" }) do
				self:cli_and_mails(("set server %s health %s"):format(server, health))
			end
		end
	end
	return fences
end

-- Native mails leave in one order for each proxy and mailer: after the mail of its last event nothing is under way.
function stage:wait_last(fences)
	for _, fence in ipairs(fences) do
		loop.wait("the last mail of " .. fence, function()
			for _, sink in ipairs(self.sinks) do
				local downs = 0

				for _, mail in ipairs(self:mails_of(sink, fence)) do
					if mail.data:find(" is DOWN, changed from CLI", 1, true) then downs = downs + 1 end
				end
				if downs < 2 then return false end
			end
			return true
		end)
	end
end

-- Waits, at most timeout_ms, until each sink has as many mails of each server as the one of `other` has.
function stage:wait_as_many(other, timeout_ms)
	local deadline = netlab.now_ms() + timeout_ms

	loop.wait("as many mails as the other sender's", function()
		for i, sink in ipairs(self.sinks) do
			local have = stage.count(sink)

			for server, n in pairs(stage.count(other.sinks[i])) do
				if (have[server] or 0) < n then return netlab.now_ms() > deadline end
			end
		end
		return true
	end)
end

return stage
