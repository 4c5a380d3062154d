-- loop - one poll() loop: sockets with callbacks, and tasks (coroutines) that wait for a condition.
--
-- Nothing here sleeps for a fixed time: a task says what it waits for, and is asked again after each round of
-- poll(). `retry_ms` only bounds how soon a condition that no socket announces (a child's end) is looked at again.
local netlab = require("netlab")

local loop = { watched = {}, tasks = {} }
local retry_ms = 10

-- A stream: bytes that arrive go to on_data(stream, bytes), its end to on_close(stream).
local stream = {}
stream.__index = stream

local function watch(fd, reader)
	loop.watched[fd] = reader
end

function loop.stream(fd, on_data, on_close)
	local s = setmetatable({ fd = fd, output = "", on_data = on_data, on_close = on_close }, stream)

	watch(fd, s)
	return s
end

-- Calls on_accept(fd) for every connection that a listening socket takes.
function loop.listener(fd, on_accept)
	watch(fd, { fd = fd, output = "", on_accept = on_accept })
end

function loop.forget(fd)
	loop.watched[fd] = nil
	netlab.close(fd)
end

function stream:send(bytes)
	self.output = self.output .. bytes
	self:flush()
end

function stream:flush()
	while self.fd and #self.output > 0 do
		local n, why = netlab.send(self.fd, self.output)

		if not n then
			if why ~= "again" then self:close() end
			return
		end
		self.output = self.output:sub(n + 1)
	end
	if self.closing then self:close() end
end

-- Closes once everything was sent.
function stream:finish()
	self.closing = true
	self:flush()
end

function stream:close()
	local on_close = self.on_close

	if not self.fd then return end
	loop.forget(self.fd)
	self.fd, self.on_close = nil, nil
	if on_close then on_close(self) end
end

function stream:read()
	local bytes, why = netlab.recv(self.fd)

	if bytes then
		if self.on_data then self.on_data(self, bytes) end
	elseif why ~= "again" then
		self:close()
	end
end

local function round(timeout_ms)
	local fds = {}

	for fd, reader in pairs(loop.watched) do fds[fd] = #reader.output > 0 end
	for fd, what in pairs(assert(netlab.poll(fds, timeout_ms))) do
		local reader = loop.watched[fd]

		if reader and reader.on_accept then
			local connection = netlab.accept(fd)

			if connection then reader.on_accept(connection) end
		elseif reader then
			if what:find("w", 1, true) then reader:flush() end
			if what:find("r", 1, true) and reader.fd then reader:read() end
		end
	end
end

-- Within a task: returns the first true value of condition(), or raises at the task's deadline.
function loop.wait(what, condition)
	while true do
		local value = condition()

		if value then return value end
		coroutine.yield(what)
	end
end

-- Runs the functions side by side until all have ended or timeout_ms is over. Returns for each true or
-- its error's text.
function loop.run(functions, timeout_ms)
	local deadline = netlab.now_ms() + timeout_ms
	local tasks, results, running = {}, {}, #functions

	for i, f in ipairs(functions) do tasks[i] = { co = coroutine.create(f), what = "start" } end
	while running > 0 do
		local late = netlab.now_ms() >= deadline

		for i, task in ipairs(tasks) do
			if not results[i] then
				local ok, what = coroutine.resume(task.co)

				if not ok then
					results[i] = debug.traceback(task.co, tostring(what))
				elseif coroutine.status(task.co) == "dead" then
					results[i] = true
				elseif late then
					results[i] = "timeout: waited for " .. tostring(what)
				end
				if results[i] then running = running - 1 end
			end
		end
		if running > 0 then round(retry_ms) end
	end
	return results
end

return loop
