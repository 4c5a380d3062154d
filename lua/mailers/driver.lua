-- driver - the tasks that wait: one dispatcher, one watchdog, and a worker for each connection at a time.
--
-- The engine decides what is done; the tasks wait for it. A worker serves one slot of the engine's, again and again: a
-- Lua task that ends costs a full garbage collection when it had a socket. Lua tasks are preempted between any two instructions, so
-- queues and counters live in C; what stands here is written by one task and replaced whole.
--
-- An error ends no task: it is logged and the task goes on, after a pause. A task that HAProxy ended is replaced: the worker
-- of a connection that was cut and not released by the watchdog, dispatcher and watchdog by revive().
local TICK_MS = 100       -- how late a deadline may be noticed
local PAUSE_MS = 1000     -- after an error, so that it cannot spin
local CUT_TICKS = 50      -- a worker that did not notice for so long that its connection was cut is gone
local LEVEL_ERR, LEVEL_WARNING, LEVEL_INFO = 3, 4, 6

-- <find_servers> watches the servers that no event told of, and returns their number.
return function(engine, socket, find_servers)
	local driver = {}
	local doorbell = core.queue() -- wakes the dispatcher
	local alarm = core.queue()    -- wakes the watchdog
	local bells = {}              -- slot -> queue that hands its worker an address
	local sockets = {}            -- slot -> its open socket
	local cuts = {}               -- slot -> ticks since its connection was cut
	local generation = 0          -- of dispatcher and watchdog

	local function flush_log()
		for level, text in engine.log do
			core.log(level, text)
		end
	end

	-- Runs fn; an error is logged, and waited for.
	local function guarded(what, fn, ...)
		local ok, err = pcall(fn, ...)
		if not ok then
			pcall(engine.note, LEVEL_ERR, what .. ": " .. tostring(err))
			pcall(flush_log)
			core.msleep(PAUSE_MS)
		end
	end

	-- Moves the bytes of one connection until it is over. <bell> tells whether the slot is still this worker's.
	local function serve(slot, address, bell)
		local sock = socket.new(engine)
		local want, arg

		sockets[slot] = sock
		if sock:connect(address) then
			want, arg = engine.connected(slot)
		else
			want, arg = engine.ended(slot)
		end
		while want ~= "close" do
			local bytes, sent
			if want == "line" then
				bytes = sock:receive_line(arg)
			elseif want == "read" then
				bytes = sock:receive(arg)
			else
				flush_log()
				sent = sock:send(arg)
			end
			if bells[slot] ~= bell then
				error("replaced while it waited")
			elseif bytes then
				want, arg = engine.received(slot, bytes)
			elseif sent then
				want, arg = engine.sent(slot, #arg)
			else
				if want == "write" then
					engine.sent(slot, #arg) -- how much of it went is not known: all of it may have
				end
				want, arg = engine.ended(slot)
			end
		end
	end

	local function worker(slot, bell)
		while bells[slot] == bell do
			local address = bell:pop_wait()
			if address and bells[slot] == bell then
				guarded("connection to " .. address, serve, slot, address, bell)
			end
			if address and bells[slot] == bell then
				local sock = sockets[slot]
				sockets[slot] = nil
				cuts[slot] = nil
				if sock then
					guarded("close", sock.close, sock)
				end
				engine.release(slot)
				guarded("log", flush_log)
				doorbell:push(true)
			end
		end
	end

	local function dispatch()
		for slot, address in engine.connect do
			if not bells[slot] then
				local bell = core.queue()
				bells[slot] = bell
				core.register_task(function() worker(slot, bell) end)
			end
			bells[slot]:push(address)
		end
	end

	local function dispatcher(mine)
		while generation == mine do
			guarded("dispatcher", dispatch)
			alarm:push(true)
			doorbell:pop_wait()
		end
	end

	-- A worker that does not come back from a connection that was cut is gone: its slot gets a new one.
	local function count_cuts()
		for slot, ticks in pairs(cuts) do
			if ticks >= CUT_TICKS then
				cuts[slot], bells[slot], sockets[slot] = nil, nil, nil
				engine.release(slot)
				engine.note(LEVEL_WARNING, "a connection's task is gone and was replaced")
			else
				cuts[slot] = ticks + 1
			end
		end
	end

	-- Finds what HAProxy did not tell. Pieces of milliseconds: after a storm over thousands of servers it is long.
	local function reconcile()
		local again, untold, more
		repeat
			again, untold, more = engine.reconcile()
			if untold then
				local found = find_servers()
				engine.note(found > 0 and LEVEL_WARNING or LEVEL_INFO,
					("many servers were added, HAProxy told of all but %d; all are watched now"):format(found))
			end
			if more then
				core.yield()
			end
		until not more
		return again
	end

	local function tick()
		local busy = engine.tick()
		for slot in engine.expired do
			cuts[slot] = 0
			if sockets[slot] then
				sockets[slot]:cut()
			end
		end
		count_cuts()
		local again = reconcile()
		dispatch()
		flush_log()
		return busy or again
	end

	local function watchdog(mine)
		while generation == mine do
			local ok, busy = pcall(tick)
			if not ok then
				guarded("watchdog", error, busy, 0)
			end
			if ok and not busy then
				alarm:pop_wait()
			end
			core.msleep(TICK_MS)
			while alarm:pop() do end
		end
	end

	-- Starts dispatcher and watchdog, in place of those before.
	function driver.start()
		generation = generation + 1
		local mine = generation
		core.register_task(function() dispatcher(mine) end)
		core.register_task(function() watchdog(mine) end)
	end

	-- Called by the event handlers: there is work.
	function driver.wake()
		doorbell:push(true)
	end

	-- Called by the event handlers: there is work, and nobody has ticked for seconds.
	function driver.revive()
		engine.tick() -- so that the next event does not revive again
		engine.note(LEVEL_ERR, "the tasks that send mails are gone, new ones are started")
		driver.start()
	end

	return driver
end
