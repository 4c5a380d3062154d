-- driver - the tasks that wait: one dispatcher, one watchdog, and a worker for each connection at a time.
--
-- The engine decides what is done; the tasks wait for it. A worker serves one slot of the engine's, again and
-- again: a Lua task that ends costs a full garbage collection when it had a socket. Lua tasks are preempted
-- between any two instructions, so queues and counters live in C. A connection is known by its handle, which
-- is never used again: whoever comes late to one, a worker that was replaced or the watchdog, finds that the
-- engine and the tables here know it no more.
--
-- An error ends no task: it is logged and the task goes on, after a pause. A task that HAProxy ended, or that
-- hangs, is replaced: a worker by the watchdog, when it does not release its connection after that was cut,
-- the dispatcher when it does not hear, and the watchdog by revive(), when nobody has ticked for seconds. One
-- that comes back after that sees that its place is taken, and ends.
local TICK_MS = 100       -- how late a deadline may be noticed
local PAUSE_MS = 1000     -- after an error, so that it cannot spin
local CALL_MS = 250       -- how late another thread's call is noticed when there is no work
local GRACE_TICKS = 30    -- a task that does not react for so long is gone
local LEVEL_ERR, LEVEL_WARNING, LEVEL_INFO = 3, 4, 6

-- <find_servers> watches the servers that no event told of, and returns their number.
return function(engine, socket, new_hold, new_router, find_servers)
	local driver = {}
	local doorbell = core.queue() -- wakes the dispatcher
	local alarm = core.queue()    -- wakes the watchdog
	local bells = {}              -- slot -> queue that hands its worker a job
	local jobs = {}               -- handle -> { handle, slot, address, socket }: given to a worker and not finished
	local cuts = {}               -- handle -> ticks since its connection was cut
	local generation = 0          -- of dispatcher and watchdog
	local rounds = 0              -- of the dispatcher
	local unheard, heard_at = 0, 0 -- the watchdog's: ticks that the doorbell was not heard, and the rounds then

	-- One ring is enough: what nobody hears must not pile up.
	local function ring(bell)
		if bell:size() == 0 then
			bell:push(true)
		end
	end

	-- Waits for a ring. Without memory HAProxy does not wait.
	local function hear(bell)
		return bell:pop_wait() or error("out of memory", 0)
	end

	local function write_log()
		for level, text in engine.log do
			core.log(level, text)
		end
	end

	-- A log that fails costs its line, nothing else.
	local function flush_log()
		pcall(write_log)
	end

	-- Runs fn; after an error, which is logged, it rests and returns false.
	local function guarded(what, fn, ...)
		local ok, err = pcall(fn, ...)
		if not ok then
			pcall(engine.note, LEVEL_ERR, what .. ": " .. tostring(err))
			flush_log()
			if not pcall(core.msleep, PAUSE_MS) then
				alarm:pop_wait()
			end
		end
		return ok
	end

	local hold = new_hold(engine, socket, {
		ring = ring, hear = hear, guarded = guarded, flush_log = flush_log, wake = function() ring(alarm) end,
	})

	local router = new_router(engine, {
		ring = ring, hear = hear, guarded = guarded, wake = function() ring(doorbell) end,
	})

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
		local sock = job.socket
		if sock and not guarded("close", sock.close, sock) then
			guarded("close", sock.close, sock)
		end
		jobs[job.handle] = nil
		cuts[job.handle] = nil
		engine.release(job.handle)
		flush_log()
		ring(doorbell)
	end

	-- One connection of the worker.
	local function work(bell)
		local job = hear(bell)
		guarded("connection to " .. job.address, serve, job)
		finish(job)
	end

	local function worker(slot, bell)
		while bells[slot] == bell do
			guarded("worker", work, bell)
		end
	end

	-- Hands a connection to its slot's worker, which is started if there is none.
	local function open(handle, slot, address)
		local bell = bells[slot]
		if not bell then
			bell = core.queue()
			bells[slot] = bell -- before its worker looks for it
			local ok, err = pcall(core.register_task, function() worker(slot, bell) end)
			if not ok then
				bells[slot] = nil
				error(err, 0)
			end
		end
		jobs[handle] = { handle = handle, slot = slot, address = address }
		bell:push(jobs[handle])
	end

	local function dispatch()
		for handle, slot, address in engine.connect do
			local ok, err = pcall(open, handle, slot, address)
			if not ok then
				jobs[handle] = nil
				engine.release(handle)
				error(err, 0)
			end
		end
	end

	local function dispatch_and_wait()
		rounds = rounds + 1
		dispatch()
		router.wake()
		if engine.stalled() then
			driver.revive()
		end
		if next(jobs) == nil and engine.busy() then
			hold.take()
		end
		hear(doorbell)
	end

	local function dispatcher(mine)
		while generation == mine do
			guarded("dispatcher", dispatch_and_wait)
		end
		ring(doorbell) -- the one that was heard was for the next
	end

	local function cut(handle)
		local job = jobs[handle]
		if not job then
			engine.release(handle) -- nobody has it
			return
		end
		cuts[handle] = 0
		if job.socket then
			job.socket:cut()
			core.yield() -- it walks over all descriptors of the process
		end
	end

	-- A worker that keeps a connection that was cut is gone: its slot gets another.
	local function replace_worker(handle, job)
		cuts[handle], jobs[handle], bells[job.slot] = nil, nil, nil
		engine.release(handle)
		engine.note(LEVEL_WARNING, "a connection's task is gone and was replaced")
		if job.socket then
			guarded("close", job.socket.close, job.socket)
		end
	end

	local function count_cuts()
		local handles = {}
		for handle in pairs(cuts) do -- workers clear theirs meanwhile, which a traversal allows; nothing else
			handles[#handles + 1] = handle
		end
		for _, handle in ipairs(handles) do
			local job, ticks = jobs[handle], cuts[handle] or 0
			if not job then
				cuts[handle] = nil
			elseif ticks < GRACE_TICKS then
				cuts[handle] = ticks + 1
			else
				replace_worker(handle, job)
			end
		end
	end

	-- A dispatcher that does not hear is gone. The watchdog does its work, but late.
	local function replace_dispatcher()
		unheard = doorbell:size() > 0 and rounds == heard_at and unheard + 1 or 0
		heard_at = rounds
		if unheard > GRACE_TICKS then
			unheard = 0
			driver.revive()
		end
	end

	-- Looks at servers after bursts of events; returns whether it is to be done again.
	local function reconcile()
		local again, untold, at_once, walk
		repeat
			again, walk, at_once = engine.reconcile()
			untold = untold or walk
			if at_once then
				core.yield() -- a call looks at some servers only, so that it is short
			end
		until not at_once
		if untold then
			local found = find_servers()
			engine.note(found > 0 and LEVEL_WARNING or LEVEL_INFO, ("many servers were added, HAProxy told of all but %d; " ..
				"all are watched now"):format(found))
		end
		return again
	end

	-- Lets time pass; returns whether there is work.
	local function tick()
		engine.tick()
		for handle in engine.expired do
			guarded("cut", cut, handle)
		end
		count_cuts()
		replace_dispatcher()
		router.tick()
		local again = reconcile()
		dispatch()
		flush_log()
		local busy = engine.working() -- what was due a moment ago is open now, and has a deadline
		hold.tick(busy)
		return busy or again or unheard > 0 or router.busy()
	end

	-- Waits for work. Under lua-load-per-thread the command line of another thread cannot ring: where it
	-- may change something, its calls are looked for.
	local function wait()
		if core.thread == 0 or not engine.commands() then
			hear(alarm)
			return
		end
		repeat
			core.msleep(CALL_MS)
		until alarm:size() > 0 or engine.called()
	end

	local function tick_and_wait()
		if not tick() then
			wait()
		end
		core.msleep(TICK_MS)
		while alarm:pop() do end
	end

	local function watchdog(mine)
		while generation == mine do
			guarded("watchdog", tick_and_wait)
		end
		ring(alarm)
	end

	-- Starts dispatcher and watchdog, in place of those before.
	function driver.start()
		generation = generation + 1
		local mine = generation
		core.register_task(function() dispatcher(mine) end)
		core.register_task(function() watchdog(mine) end)
	end

	-- Called by the event handlers: there is work. Either bell is enough.
	function driver.wake()
		local rung, err = pcall(ring, doorbell)
		ring(alarm)
		if not rung then
			error(err, 0)
		end
	end

	-- There is work, and nobody has ticked for seconds. The event handlers call it too.
	function driver.revive()
		engine.tick() -- so that the next event does not revive again
		engine.note(LEVEL_ERR, "the tasks that send mails are gone, new ones are started")
		driver.start()
	end

	return driver
end
