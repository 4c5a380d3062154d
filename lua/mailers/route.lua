-- route - calls the functions of the settings file, `route` and `batch` of a summary, for the alerts that wait for them.
--
-- They are the operator's and may wait (a webhook), fail, or never come back. So each call runs in a task of its own,
-- several at a time; which alert is next, and how long it may take, is the engine's. A call that is late is told nothing:
-- the engine has sent its alert by then, and nobody waits for what it returns. Its task is counted as stuck until it comes
-- back. While too many are, none is called any more and all alerts go at once: a chat server that hangs holds up a handful
-- of mails, not all.
--
-- Tasks are preempted anywhere, so the tables here have fixed places that are set one by one, and are never counted up.
local WORKERS = 16   -- as many as the engine asks about at a time
local STUCK_MAX = 4  -- tasks that may hang before no function is called any more
local NICE = 1024    -- behind HTTP, as a function may compute
local LEVEL_ERR, LEVEL_NOTICE = 3, 5

-- <tools>: ring, hear and guarded of the driver; wake() wakes the dispatcher.
return function(engine, tools)
	local router = {}
	local idle = core.queue() -- workers that wait for their bell
	local workers = {}        -- place -> worker, or false
	local stuck = {}          -- the same, for those that did not come back in time
	local suspended = false

	for place = 1, WORKERS do
		workers[place] = false
	end
	for place = 1, WORKERS + STUCK_MAX do
		stuck[place] = false
	end

	local function count_stuck()
		local n = 0
		for place = 1, #stuck do
			n = n + (stuck[place] and 1 or 0)
		end
		return n
	end

	-- Has HAProxy ended its task? A coroutine that ended by an error is dead.
	local function is_dead(worker)
		return coroutine ~= nil and worker.task ~= nil and coroutine.status(worker.task) == "dead"
	end

	-- Calls a function for question <id>, one of the operator's or one that looks at what those returned: a metamethod
	-- is theirs too. One that computes is left when nobody waits any more.
	local function call(id, fn, ...)
		local co = engine.coroutine(fn)
		local function go_on(how, ...)
			if how == "done" then
				return ...
			elseif how == "error" then
				error((...), 0)
			elseif not engine.asked(id) then
				error("late", 0)
			end
			core.yield()
			return go_on(engine.go_on(co))
		end
		return go_on(engine.go_on(co, ...))
	end

	local function batched(batch, ...)
		for i = 1, select("#", ...) do
			local alert = select(i, ...)
			for _, one in ipairs(type(alert) == "table" and alert[1] and alert or { alert }) do
				local text = batch(one)
				if type(text) ~= "string" and type(text) ~= "number" then
					error("batch: it returned a " .. type(text) .. "; it must return a text", 0)
				end
				one.batch = text
			end
		end
		return ...
	end

	-- What becomes of <alert>. Without a route function it stays as it is.
	local function decide(route, batch, alert)
		if not route then
			return batched(batch, alert)
		elseif batch then
			return batched(batch, route(alert))
		end
		return route(alert)
	end

	local function answer(id, ...)
		engine.answer(id, call(id, decide, ...))
	end

	-- An error may be anything, and what makes a text of it is the operator's.
	local function text_of(id, err)
		if type(err) == "string" then
			return err
		end
		local ok, text = pcall(call, id, tostring, err)
		return ok and text or ("its error is a %s, and no text"):format(type(err))
	end

	-- One alert, or a wait for the next.
	local function work(worker)
		worker.id = nil -- whatever ended the last one
		local id, route, batch, alert = engine.ask()
		if not id then
			if not idle:push(worker) then
				error("out of memory", 0) -- nobody would ring
			end
			tools.hear(worker.bell)
			return
		end
		worker.id = id
		pcall(router.wake) -- this one may wait: another goes on
		local ok, err = pcall(answer, id, route, batch, alert)
		if not ok then
			engine.unanswered(id, text_of(id, err))
		end
		worker.id = nil
		tools.wake()
	end

	local function run(worker)
		worker.task = coroutine and coroutine.running()
		if core.set_nice then
			pcall(core.set_nice, NICE)
		end
		while workers[worker.place] == worker do
			tools.guarded("route", work, worker)
		end
		for place = 1, #stuck do
			if stuck[place] == worker then
				stuck[place] = false
			end
		end
	end

	local function start()
		for place = 1, WORKERS do
			if not workers[place] then
				local worker = { place = place, bell = core.queue() }
				workers[place] = worker
				if not pcall(core.register_task, function() run(worker) end) then
					workers[place] = false
				end
				return
			end
		end
	end

	-- Has the next alert asked about.
	function router.wake()
		if not engine.askable() then
			return
		end
		local worker = idle:pop()
		if worker then
			tools.ring(worker.bell)
		else
			start()
		end
	end

	-- The place of a worker whose call is late is another's; one that is dead leaves it.
	local function look_at(place)
		local worker = workers[place]
		if not worker then
			return
		elseif is_dead(worker) then
			workers[place] = false
			if worker.id then
				engine.unanswered(worker.id, "HAProxy ended its task")
			end
		elseif worker.id and not engine.asked(worker.id) then
			for free = 1, #stuck do
				if not stuck[free] then
					stuck[free] = worker
					workers[place] = false
					return
				end
			end
		end
	end

	-- Stops and resumes the calls by how many of them hang.
	local function judge()
		local n = count_stuck()
		if not suspended and n >= STUCK_MAX then
			suspended = true
			engine.note(LEVEL_ERR, ("route: %d calls of the function did not return in time and still run; " ..
				"alerts go as without it until they do"):format(n))
			engine.ask_able(false)
		elseif suspended and n < STUCK_MAX then
			suspended = false
			engine.ask_able(true)
			engine.note(LEVEL_NOTICE, "route: the function is called again")
		end
	end

	-- The watchdog's, at each tick.
	function router.tick()
		for place = 1, WORKERS do
			look_at(place)
		end
		for place = 1, #stuck do
			if stuck[place] and is_dead(stuck[place]) then
				stuck[place] = false
			end
		end
		judge()
		router.wake()
	end

	-- Is there a call that did not return in time?
	function router.busy()
		return suspended or count_stuck() > 0
	end

	return router
end
