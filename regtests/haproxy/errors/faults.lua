-- Breaks functions of HAProxy's Lua API for whoever is loaded after this file, on the calls that its arguments name:
--
--   lua-load faults.lua WHERE:HOW:FIRST:TIMES ...
--
--   WHERE  a function of core (tcp, queue, log, msleep, register_task), or a method of what core.tcp() or core.queue()
--          returned (connect, send, receive, close, ...; push, pop, pop_wait, size)
--   HOW    raise  an error is raised in place of the call
--          late   the call is made, then an error is raised
--          hang   the call never returns
--          burn   CPU time is burnt before the call, in C, for longer than tune.lua.burst-timeout allows
--   FIRST, TIMES   its calls are counted from 1
--
-- "show faults" on HAProxy's command line tells the calls of each: "tcp 1 connect 1 ...".
local BURN_S = 0.2

local plan, calls, places = {}, {}, {}
for _, text in ipairs({ ... }) do
	local where, how, first, times = text:match("^([%a_]+):(%a+):(%d+):(%d+)$")
	assert(where, "faults.lua: not a fault: " .. text)
	plan[where] = { how = how, first = tonumber(first), last = tonumber(first) + tonumber(times) - 1 }
end

local queue, msleep = core.queue, core.msleep

-- A call that takes a while and is not interrupted: the loop has few instructions of Lua's.
local function burn()
	local text, stop = ("x"):rep(200), os.clock() + BURN_S
	repeat
		text:find("x-x-y")
	until os.clock() > stop
end

-- What <original> becomes at the place <where>.
local function broken(where, original)
	places[#places + 1] = where
	calls[where] = 0
	return function(...)
		local fault = plan[where]
		calls[where] = calls[where] + 1
		if not fault or calls[where] < fault.first or calls[where] > fault.last then
			return original(...)
		elseif fault.how == "raise" then
			error("fault of " .. where)
		elseif fault.how == "late" then
			original(...)
			error("late fault of " .. where)
		elseif fault.how == "hang" then
			queue():pop_wait()
		elseif fault.how == "burn" then
			burn()
			return original(...)
		end
	end
end

-- Objects whose methods are broken: tables in front of HAProxy's own.
local function class(methods)
	local index = {}
	for _, name in ipairs(methods) do
		index[name] = broken(name, function(self, ...)
			return self.object[name](self.object, ...)
		end)
	end
	local meta = { __index = index }
	return function(object) return setmetatable({ object = object }, meta) end
end

local function made(make, wrap)
	return function(...) return wrap(make(...)) end
end

local socket = class({ "connect", "send", "receive", "close", "settimeout", "getsockname", "getpeername" })
local bell = class({ "push", "pop", "pop_wait", "size" })

core.tcp = broken("tcp", made(core.tcp, socket))
core.queue = broken("queue", made(queue, bell))
core.log = broken("log", core.log)
core.msleep = broken("msleep", msleep)
core.register_task = broken("register_task", core.register_task)

core.register_cli({ "show", "faults" }, "", function(applet)
	local text = {}
	for i, where in ipairs(places) do
		text[i] = where .. " " .. calls[where]
	end
	applet:send(table.concat(text, " ") .. "\n")
end)
