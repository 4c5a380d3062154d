-- hold - keeps a stopping HAProxy for what is queued, and ends that in time.
--
-- A HAProxy that was told to stop goes as soon as no thread has a task to run and no connection is open; what
-- Lua's tasks wait for does not count. So a connection that leads nowhere (hold.c) is held while anything is
-- queued and nothing else is open, and at the latest when work lasts longer than a tick: one for each stretch
-- of work, not for each alert. From the event to the connection tasks wake each other without a wait, so a
-- stop cannot come in between.
--
-- Nobody tells Lua of the stop: while there is work, the watchdog looks. It begins the drain; when the time
-- for it is over, or HAProxy strikes (hard-stop-after ends our connections, a second before the process),
-- what is left is logged and the hold goes.
local LOOK_TICKS = 5   -- between two looks: each costs some 20 microseconds
local GRACE_TICKS = 30 -- a holder that does not hear for so long is gone
local LEVEL_WARNING = 4
local BATCH = 100      -- alerts that are given up at a time, so that other tasks get their turn

-- <tools>: ring, hear, guarded and flush_log of the driver; wake() wakes the watchdog.
return function(engine, socket, tools)
	local hold = {}
	local bell = core.queue()
	local generation = 0 -- of the holder
	local wanted = false -- is there work that needs it?
	local current        -- what is held
	local ticks = 0      -- of the watchdog, since there is work
	local unheard = 0    -- ticks since the bell was rung
	local stop = false   -- HAProxy stops ...
	local draining = false -- ... and the time for what is queued runs

	local function stopping()
		return core.get_info().Stopping ~= 0
	end

	local function drain(struck)
		stop, draining = true, true
		engine.drain(struck)
	end

	-- Holds until it is released, or until HAProxy ends the connection. Returns whether it connected, and
	-- whether HAProxy ended it though it had not been idle for as long as a socket may.
	local function keep()
		local held, address = engine.hold()
		if not held then
			return false -- no descriptors
		end
		local sock = socket.new(engine)
		local connected, struck = sock:connect(address), false
		if connected and not current then
			local since = core.now().sec
			current = held -- not before: HAProxy sends over its descriptor when it connects
			if wanted then -- asked after that: a release() before it did not see what to close
				sock:receive(1)
				struck = current == held and core.now().sec - since < socket.IDLE_S
			end
			if current == held then
				current = nil
			end
		end
		held:close()
		sock:close()
		return connected, struck
	end

	local function serve()
		tools.hear(bell)
		while wanted do
			while bell:pop() do end -- they are heard
			local connected, struck = keep()
			if not connected or current then
				return -- the next tick rings again, or another holds
			elseif struck and stopping() then
				drain(true)
				tools.wake()
			end
		end
	end

	local function start()
		generation = generation + 1
		local mine = generation
		core.register_task(function()
			while generation == mine do
				tools.guarded("hold", serve)
			end
		end)
	end

	-- There is work, and maybe nothing else that HAProxy waits for.
	function hold.take()
		if not current then
			wanted = true
			tools.ring(bell)
		end
	end

	local function release()
		local held = current
		wanted, draining, current, ticks = false, false, nil, 0
		if held then
			held:close() -- the holder's receive() returns
		end
	end

	-- HAProxy may have ended it.
	local function replace_holder()
		unheard = bell:size() > 0 and not current and unheard + 1 or 0
		if unheard > GRACE_TICKS then
			unheard = 0
			engine.note(LEVEL_WARNING, "the task that keeps a stopping process is gone and was replaced")
			start()
		end
	end

	-- Gives up what is left when the time is over.
	local function abandon()
		local n
		repeat
			n = engine.abandon(BATCH)
			tools.flush_log()
			if n and n > 0 then
				core.yield()
			end
		until not n or n == 0
	end

	-- The watchdog's, at each tick: is there work?
	function hold.tick(busy)
		if busy and not stop and ticks % LOOK_TICKS == 0 then
			stop = stopping()
		end
		if not busy or stop and not engine.busy() then
			release()
			if engine.busy() then
				hold.take() -- an alert came since <busy> was asked: tasks are preempted anywhere
			end
			return
		end
		ticks = ticks + 1
		hold.take()
		replace_holder()
		if stop and not draining then
			drain(false)
		end
		if draining then
			abandon()
		end
	end

	start()
	return hold
end
