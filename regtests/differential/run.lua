-- run - the differential test: the same events through HAProxy's native mail sender and through the plugin.
--
--   run.sh [option]... [scenario]...
--
--   --haproxy PATH    a HAProxy that has the native sender (2.8 to 3.2), built with the Lua of the plugin
--   --plugin PATH     the script for lua-load (lua/mailers.lua)
--   --cpath PATTERN   where the C module lies (build/lua5.3/?.so)
--   --native          compares the native sender with itself: proves the scenarios and the list of what may differ
--   --selftest        alters mails outside of what may differ, and fails when the comparison does not notice
--   --keep            leaves the directories of failed scenarios
--
-- A scenario is a file scenarios/<name>.lua that returns a table:
--
--   config            the proxies; $alerts and $alerts:level stand for the email-alert lines, $dir for the stage's
--                     directory, $pem for a certificate, $name for the port of a target. Every proxy that mails has
--                     a server `fence`, disabled
--   steps(stage)      the script; see stage.lua
--   targets           {name = {its first answer}}; see peers.lua
--   sinks             the addresses of the mailers ({"127.0.0.1"})
--   exact_counters    the counters may not differ either; the steps wait for the mails of each event
--   global, files     lines for the section global, {name = text} for $dir
--   helo_only         the sinks refuse EHLO
--   timeout_s         for all of it (60)
--   pending           why the plugin is known to differ: then it is run against the plugin only when it is named
--
-- Both senders run side by side, each with targets and sinks of its own. The mails of each server must be equal, in
-- order, at each sink.
local here = arg[0]:match("^(.*)/[^/]*$") or "."

package.path = here .. "/?.lua;" .. package.path

local compare = require("compare")
local loop = require("loop")
local selftest = require("selftest")
local stage = require("stage")

local TIMEOUT_S, CATCH_UP_MS, SHOWN_MAX = 60, 10000, 4

local function usage(text)
	io.stderr:write(text, "\nusage: run.sh [--haproxy PATH] [--plugin PATH] [--cpath PATTERN] [--native] [--selftest] ",
		"[--keep] [scenario]...\n")
	os.exit(2)
end

local function parse_arguments()
	local options, names = {}, {}
	local takes_value = { haproxy = true, plugin = true, cpath = true }
	local is_flag = { native = true, selftest = true, keep = true }
	local i = 1

	while arg[i] do
		local name = arg[i]:match("^%-%-(%l+)$")

		if takes_value[name] then
			i = i + 1
			options[name] = arg[i] or usage("--" .. name .. " needs a value")
		elseif is_flag[name] then
			options[name] = true
		elseif arg[i]:find("^%-") then
			usage("unknown option " .. arg[i])
		else
			names[#names + 1] = arg[i]
		end
		i = i + 1
	end
	return options, names
end

local function load_scenario(name)
	local scenario = dofile(here .. "/scenarios/" .. name .. ".lua")

	scenario.name = name
	return scenario
end

-- Runs the steps on both senders. Returns the two stages, and an error's text or nil.
local function play(scenario, options, a, b)
	local native_fences
	local results = loop.run({
		function()
			a:start()
			scenario.steps(a)
			native_fences = a:fence()
			a:wait_last(native_fences)
			a.complete = true
		end,
		function()
			b:start()
			scenario.steps(b)
			b:fence()
			loop.wait("the native sender's end", function() return a.complete end)
			b:wait_as_many(a, CATCH_UP_MS)
		end,
	}, (scenario.timeout_s or TIMEOUT_S) * 1000)

	for i, s in ipairs({ a, b }) do
		if results[i] ~= true then
			return ("%s: %s\n%s"):format(s.name, results[i], s:log())
		end
		local ok, why = pcall(s.check_alive, s)

		if not ok then return s.name .. ": " .. why end
	end
	return nil
end

-- Mails of the plugin have a Message-ID, native ones have none: proves that each stage had the sender it should.
local function check_senders(options, a, b, texts)
	for _, s in ipairs({ a, b }) do
		local with_id = s == b and not options.native

		for _, sink in ipairs(s.sinks) do
			for _, mail in ipairs(sink.mails) do
				if (mail.data:find("\r\nMessage-ID: <", 1, true) ~= nil) ~= with_id then
					texts[#texts + 1] = s.name .. " did not write this mail:\n" .. mail.data
					return
				end
			end
		end
	end
end

local function differences_of(scenario, options, a, b)
	local texts, mails = {}, 0

	for i, sink in ipairs(a.sinks) do
		mails = mails + #sink.mails
		for _, text in ipairs(compare.mails(sink.mails, b.sinks[i].mails, stage.server_of,
			{ exact_counters = scenario.exact_counters, has_added = not options.native })) do
			texts[#texts + 1] = ("sink %d: %s"):format(i, text)
		end
	end
	check_senders(options, a, b, texts)
	return texts, mails
end

-- Returns "pass", "FAIL" or "skip", and what there is to say. inspect(a, b) may look at a run that passed.
local function run_once(scenario, options, inspect)
	local lua_load = options.native and "" or
		("lua-prepend-path %s cpath\n\tlua-prepend-path %s/?.lua\n\tlua-load %s"):format(options.cpath,
		options.plugin:match("^(.*)/[^/]*$") or ".", options.plugin)
	-- With two threads the native sender of 3.0.11 loses mails: a check that moves to another thread before it has begun
	-- returns as if it was over, and its mail is freed. So the standard runs on one thread, the plugin on two.
	local a, why = stage.new(scenario, { name = "native", haproxy = options.haproxy, threads = 1, global = "" })

	if not a then return "skip", why end

	local b = assert(stage.new(scenario, { name = options.native and "native again" or "plugin",
		haproxy = options.haproxy, threads = options.native and 1 or 2, global = lua_load }))
	local ok, problem = pcall(play, scenario, options, a, b)
	local texts, mails = differences_of(scenario, options, a, b)
	local failed = not ok or problem or #texts > 0

	if not ok or problem then table.insert(texts, 1, tostring(problem)) end
	if #texts > SHOWN_MAX then
		texts = table.move(texts, 1, SHOWN_MAX, 1, { [SHOWN_MAX + 1] = ("and %d more"):format(#texts - SHOWN_MAX) })
	end
	if not failed and inspect then inspect(a, b) end
	if failed and options.keep then texts[#texts + 1] = "kept: " .. a.dir .. " " .. b.dir end
	a:free(failed and options.keep)
	b:free(failed and options.keep)
	return failed and "FAIL" or "pass", failed and table.concat(texts, "\n") or ("%d mails"):format(mails)
end

-- The names of days and months are no digits: a run over midnight is done again.
local function run(scenario, options, inspect)
	local day = os.date("%x")
	local result, text = run_once(scenario, options, inspect)

	if result == "FAIL" and os.date("%x") ~= day then return run_once(scenario, options, inspect) end
	return result, text
end

local function report(result, name, text)
	print(("%s  %s%s"):format(result, name, result == "FAIL" and "" or "  (" .. text .. ")"))
	if result == "FAIL" then print("      " .. text:gsub("\n", "\n      ")) end
	io.stdout:flush()
end

local function run_selftest(options)
	local tried, problems = selftest.check_samples()
	local n = 0
	local result, text = run(load_scenario("cli-health"), setmetatable({ native = true }, { __index = options }),
		function(a, b)
			n = selftest.check_run(a.sinks[1].mails, b.sinks[1].mails, stage.server_of, problems)
		end)

	if result ~= "pass" then table.insert(problems, text) end
	report(#problems == 0 and "pass" or "FAIL", "selftest", #problems == 0 and
		("%d altered samples, %d altered runs"):format(tried, n) or table.concat(problems, "\n"))
	return #problems == 0
end

local function scenario_names()
	local names = {}

	for path in (os.getenv("DIFFTEST_SCENARIOS") or ""):gmatch("[^\n]+") do
		names[#names + 1] = path:match("([^/]+)%.lua$")
	end
	return names
end

local options, names = parse_arguments()
local count = { pass = 0, FAIL = 0, skip = 0 }

if not options.haproxy then usage("--haproxy is needed") end
if options.selftest then
	count[run_selftest(options) and "pass" or "FAIL"] = 1
else
	local named = #names > 0

	if not named then names = scenario_names() end
	for _, name in ipairs(names) do
		local scenario = load_scenario(name)
		local result, text

		if scenario.pending and not options.native and not named then
			result, text = "skip", scenario.pending
		else
			result, text = run(scenario, options)
		end

		count[result] = count[result] + 1
		report(result, name, text)
	end
end
print(("%d passed, %d failed"):format(count.pass, count.FAIL))
os.exit(count.FAIL == 0 and count.pass > 0)
