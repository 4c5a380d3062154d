-- socket - the only file that touches a socket of HAProxy's, and knows where they break.
--
-- * settimeout() is set before connect() and raised after it, and never again: lowering it on a connected socket ends the
--   process on a failed assertion (3.0 to 3.5). No deadline hangs on it: those are the engine's, and the driver cuts
--   a connection whose deadline passed. It counts for the connects of all Lua scripts of the process, the last one wins.
-- * receive() always gets a number of bytes: receive("*l") never returns after half a line (3.0, 3.2), and cuts long lines
--   (3.4 and newer). The engine says how many bytes are sure to come.
-- * send() fails with -1 (or a short count), not with nil.
-- * close() on a socket that never came to connect(), or whose connect() raised an error, ends the process by a
--   signal (3.0 to 3.5): such a socket is left to the garbage collector.
-- * close() closes only our half: against a peer that keeps its half open the descriptor would stay. So what did not end
--   by the peer's close is shut down by its descriptor first.
-- * A unix socket has no name of its own to be found by: after connect() it is marked, by its descriptor.
-- * close() on a socket that is connecting leaves its descriptor to the kernel, which tries for two minutes: it is
--   shut down too. Lua cannot name it, so it is found by where it goes, and by not having been there before. To see what was
--   there costs up to milliseconds, as the kernel looks at all sockets of the machine, and all that time no HTTP request gets into
--   Lua: so it is not asked while connects to the address succeed. Then the oldest is taken to be ours; another that
--   hangs for longer than our time for connects, to a mail server that was there a moment ago, would end in its place.
local CONNECT_S = 30 -- where HAProxy keeps it (2.8, 3.2), a connect that hangs ends without us too
local IDLE_S = 900   -- longer than the reply to a final dot may take

local LF = 10
local concat, byte = table.concat, string.byte

local reached = {} -- address -> true: the last connect to it succeeded

local socket = {}
socket.__index = socket

-- <engine>: the C module, for shutdown().
function socket.new(engine)
	local self = setmetatable({}, socket)
	self.engine = engine
	self.bytes = {}
	self.tcp = core.tcp()
	self.tcp:settimeout(CONNECT_S)
	return self
end

-- Waits for the connection; false when it failed. <address> is HAProxy's own text, port included.
function socket:connect(address)
	self.others = reached[address] and "" or self.engine.connecting(address)
	local likely = self.engine.likely(address)
	self.opened = true
	self.connecting = address
	local ok, connected = pcall(self.tcp.connect, self.tcp, address)
	self.connecting = nil
	reached[address] = ok and connected and true or nil
	if not ok then
		self.opened = false
		error(connected, 0)
	elseif not connected then
		return false
	end
	self.marked = self.engine.mark(address, likely)
	self.tcp:settimeout(IDLE_S)
	if not self.marked then
		self.here = self.tcp:getsockname()
		self.there = self.tcp:getpeername()
	end
	return true
end

-- Sends all of <bytes>; false when the connection is gone.
function socket:send(bytes)
	return self.tcp:send(bytes) == #bytes
end

-- Waits for <n> bytes; fewer come only when the connection ends behind them, nil when it has ended.
function socket:receive(n)
	local bytes = self.tcp:receive(n)
	if not bytes then
		self.ended = true
	end
	return bytes
end

-- Waits for <n> bytes, and those after them up to a line's end, or for <most> in all; fewer without a line's end come
-- only when the connection ends behind them, nil when it has ended. Bytes one by one: see receive("*l") above.
function socket:receive_line(n, most)
	local tcp = self.tcp
	local receive = tcp.receive
	local bytes, count = self.bytes, 1 -- one table for all lines: a new one each would be most of our garbage
	local part = receive(tcp, n)
	bytes[1] = part
	if part and byte(part, -1) ~= LF then
		repeat
			part = receive(tcp, 1)
			count = count + 1
			bytes[count] = part
		until not part or part == "\n" or count == most
	end
	if not part then
		self.ended = true
		count = count - 1
	end
	return count > 0 and concat(bytes, "", 1, count) or nil
end

-- Ends the connection at once, from whichever task of the thread; whoever waits on it gets nil or false.
function socket:cut()
	if self.closed then
		return
	end
	if self.marked then
		self.engine.end_marked(self.marked)
	elseif self.here and self.there then
		self.engine.shutdown(self.here, self.there)
	end
	if self.opened then
		self.tcp:close()
	end
	local address = self.connecting
	if address then
		self.engine.abort(address, self.others)
	end
	self.closed = true
end

-- Every socket must be closed, also one that has ended: it would hold a stopping worker for minutes.
function socket:close()
	if self.ended and not self.closed then
		self.tcp:close()
		self.closed = true
	else
		self:cut()
	end
end

socket.IDLE_S = IDLE_S

return socket
