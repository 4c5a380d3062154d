-- cli - commands on HAProxy's command line: `show mailers` and `mailers ...`.
--
-- HAProxy runs them in the state and on the thread that serves the line, and in every state they must be the
-- same. They ask the engine, wake the host, and touch no connection. HAProxy gives no permission level to
-- commands of Lua, so those that change something are off unless the settings allow them.
local POLL_MS = 50    -- a test's lines are looked for
local STILL_MS = 3000 -- a line that the test goes on: HAProxy's `stats timeout` ends a line that is silent
local TEST_MS = 60000 -- for one test

local OFF = "not allowed here: HAProxy knows no permission level for it; write commands = true into the " ..
	"settings file\n"
local OLD = "not with this HAProxy, which may crash when the client of a waiting Lua command goes away; " ..
	"update it (2.8.15, 3.0.9, 3.1.6 or newer), or use mailers-send\n"
local NONE = "no such mailer: give the id of a mailer line, or proxy/id; see show mailers\n"

-- <wake> tells the host that there is work, from this state.
return function(engine, wake)
	-- HAProxy hands over the words of the line, the command's own first.
	local function show(applet, _, _, what)
		if what and what ~= "alerts" then
			applet:send("usage: show mailers [alerts]\n")
		else
			applet:send(engine.show(what or "mailers"))
		end
	end

	local function changes(verb, done)
		return function(applet, _, _, name)
			if not engine.commands() then
				applet:send(OFF)
				return
			end
			local count = engine[verb](name)
			wake()
			applet:send(count == 0 and NONE or ("%d mailer%s %s\n"):format(count, count == 1 and "" or "s", done))
		end
	end

	-- Changes nothing, so everybody may ask. The words behind the level are the alert's text.
	local function route(applet, _, _, name, event, level, ...)
		if not name or not event then
			applet:send("usage: mailers route <proxy>/<server> down|up|drain|check [<level> [<text>]]\n")
			return
		end
		local text = select("#", ...) > 0 and table.concat({ ... }, " ") or nil
		local answer, reason = engine.route(name, event, level, text)
		applet:send(answer or reason .. "\n")
	end

	-- Sends the lines of a test as they come.
	local function follow(applet, test)
		local text, over, result
		local silent = 0
		for _ = 0, TEST_MS, POLL_MS do
			text, over, result = test:read()
			if text ~= "" then
				applet:send(text)
				silent = 0
			elseif silent >= STILL_MS then
				applet:send("... waiting\n")
				silent = 0
			end
			if over then
				break
			end
			silent = silent + POLL_MS
			core.msleep(POLL_MS)
		end
		test:close()
		wake() -- its connections, if there are any left, are to be ended
		result = over and result or ("no end after %d s"):format(TEST_MS // 1000)
		applet:send(("test: %s\n"):format(result))
	end

	local function test_mailer(applet, _, _, proxy, mailer)
		if not engine.commands() then
			applet:send(OFF)
		elseif not proxy then
			applet:send("usage: mailers test <proxy> [<mailer>]\n")
		elseif not engine.may_follow(core.get_info().Version) then
			applet:send(OLD)
		else
			local test, reason = engine.test(proxy, mailer)
			if test then
				wake()
				follow(applet, test)
			else
				applet:send(reason .. "\n")
			end
		end
	end

	local function register(path, usage, what, answer)
		core.register_cli(path, ("%-40s: %s"):format(usage, what), answer)
	end

	register({ "show", "mailers" }, "show mailers [alerts]",
		"mail servers of email alerts | the last alerts' fate", show)
	register({ "mailers", "test" }, "mailers test <proxy> [<mailer>]",
		"send a test mail, and print the dialogue", test_mailer)
	register({ "mailers", "route" }, "mailers route <proxy>/<server> <event>", "say to whom such an alert would go", route)
	register({ "mailers", "flush" }, "mailers flush [<mailer>]",
		"try now what waits to be tried again", changes("flush", "flushed"))
	register({ "mailers", "pause" }, "mailers pause [<mailer>]",
		"open no connection until it is resumed", changes("pause", "paused"))
	register({ "mailers", "resume" }, "mailers resume [<mailer>]",
		"end that", changes("resume", "resumed"))
end
