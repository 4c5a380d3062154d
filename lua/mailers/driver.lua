-- driver - the tasks that wait: one dispatcher, one watchdog, and a worker for each connection at a time.
--
-- The engine decides what is done; the tasks wait for it. A worker serves one slot of the engine's, again and again: a
-- Lua task that ends costs a full garbage collection when it had a socket. Lua tasks are preempted between any two
-- instructions, so queues and counters live in C. A connection is known by its handle, which is never used again: whoever comes late
-- to one, a worker that was replaced or the watchdog, finds that the engine and the tables here know it no more.
--
-- An error ends no task: it is logged and the task goes on, after a pause. A task that HAProxy ended is replaced: the worker
-- of a connection that was cut and not released by the watchdog, dispatcher and watchdog by revive().
local TICK_MS = 100       -- how late a deadline may be noticed
local PAUSE_MS = 1000     -- after an error, so that it cannot spin
local CUT_TICKS = 50      -- a worker that did not notice for so long that its connection was cut is gone
local BELLS_MAX = 1000    -- so many rings that the dispatcher did not hear: it is gone
local LEVEL_ERR, LEVEL_WARNING, LEVEL_INFO = 3, 4, 6

-- <find_servers> watches the servers that no event told of, and returns their number.
return function(engine, socket, find_servers)
	local driver = {}
	local doorbell = core.queue() -- wakes the dispatcher
	local alarm = core.queue()    -- wakes the watchdog
	local bells = {}              -- slot -> queue that hands its worker a job
	local jobs = {}               -- handle -> { handle, slot, address, socket }: given to a worker and not finished
	local cuts = {}               -- handle -> ticks since its connection was cut
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

	-- Moves the bytes of one connection until it is over.
	local function serve(job)
		local handle, want, arg, most = job.handle, nil, nil, nil
		local sock = socket.new(engine)

		if engine.wants(handle) == "close" then
			return -- its time was over before this task got to it: a socket that never connects must not be cut
		end
		job.socket = sock
		if sock:connect(job.address) then
			want, arg, most = engine.connected(handle)
		else
			want, arg = engine.ended(handle)
		end
		while want ~= "close" do
			local bytes, sent
			if want == "line" then
				bytes = sock:receive_line(arg, most)
			elseif want == "read" then
				bytes = sock:receive(arg)
			else
				flush_log()
				sent = sock:send(arg)
			end
			if bytes then
				want, arg, most = engine.received(handle, bytes)
			elseif sent then
				want, arg, most = engine.sent(handle, #arg)
			else
				if want == "write" then
					engine.sent(handle, #arg) -- how much of it went is not known: all of it may have
				end
				want, arg = engine.ended(handle)
			end
		end
	end

	local function finish(job)
		if job.socket then
			guarded("close", job.socket.close, job.socket)
		end
		engine.release(job.handle)
		jobs[job.handle] = nil
		cuts[job.handle] = nil
		doorbell:push(true)
		guarded("log", flush_log)
	end

	local function worker(slot, bell)
		while bells[slot] == bell do
			local job = bell:pop_wait()
			if job then
				guarded("connection to " .. job.address, serve, job)
				guarded("end of a connection", finish, job)
			else
				core.msleep(PAUSE_MS) -- out of memory
			end
		end
	end

	local function dispatch()
		for handle, slot, address in engine.connect do
			local bell = bells[slot]
			if not bell then
				bell = core.queue()
				bells[slot] = bell
				core.register_task(function() worker(slot, bell) end)
			end
			jobs[handle] = { handle = handle, slot = slot, address = address }
			bell:push(jobs[handle])
		end
	end

	local function dispatcher(mine)
		while generation == mine do
			guarded("dispatcher", dispatch)
			if not doorbell:pop_wait() then
				core.msleep(PAUSE_MS) -- out of memory
			end
		end
		doorbell:push(true) -- that ring was for its successor
	end

	local function cut(handle)
		local job = jobs[handle]
		if not job then
			engine.release(handle) -- nobody has it
			return
		end
		cuts[handle] = 0
		if job.socket then
			local ok, err = pcall(job.socket.cut, job.socket)
			if not ok then
				engine.note(LEVEL_ERR, "cut: " .. tostring(err))
			end
			core.yield() -- it walks over all descriptors of the process
		end
	end

	-- A worker that does not come back from a connection that was cut is gone: its slot gets a new one.
	local function count_cuts()
		local handles = {}
		for handle in pairs(cuts) do -- workers clear theirs meanwhile, which a traversal allows; nothing else
			handles[#handles + 1] = handle
		end
		for _, handle in ipairs(handles) do
			local job, ticks = jobs[handle], cuts[handle] or 0
			if not job then
				cuts[handle] = nil
			elseif ticks < CUT_TICKS then
				cuts[handle] = ticks + 1
			else
				cuts[handle], jobs[handle], bells[job.slot] = nil, nil, nil
				engine.release(handle)
				engine.note(LEVEL_WARNING, "a connection's task is gone and was replaced")
			end
		end
	end

	local function tick()
		local busy = engine.tick()
		for handle in engine.expired do
			cut(handle)
		end
		count_cuts()
		local again, untold = engine.reconcile()
		if untold then
			local found = find_servers()
			engine.note(found > 0 and LEVEL_WARNING or LEVEL_INFO, ("many servers were added, HAProxy told of all but %d; " ..
				"all are watched now"):format(found))
		end
		dispatch()
		flush_log()
		if doorbell:size() > BELLS_MAX then
			driver.revive()
		end
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
		alarm:push(true)
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
		alarm:push(true) -- it dispatches too, should the dispatcher be gone
	end

	-- Called by the event handlers: there is work, and nobody has ticked for seconds.
	function driver.revive()
		engine.tick() -- so that the next event does not revive again
		engine.note(LEVEL_ERR, "the tasks that send mails are gone, new ones are started")
		driver.start()
	end

	return driver
end
