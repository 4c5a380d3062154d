-- haproxy-mailers - what `lua-load` names, with the path of a settings file or without. Finds the modules, checks what HAProxy
-- offers, reads the settings, and starts the driver.
--
-- The body runs for `haproxy -c` too and has no side effect but to turn HAProxy's own sender off, so the settings file is checked
-- there; HAProxy's settings are read and servers are watched in the init function, so that nothing of the start is mailed. Only the first Lua state of the process
-- sends (lua-load-per-thread runs this file once a thread); the others answer on the command line, as HAProxy asks the state of
-- the thread that serves it.

local SETTINGS, SURPLUS = ...

-- One line at HAProxy's start, without a place in this file: it is for the operator.
local function refuse(text)
	error("haproxy-mailers: " .. text, 0)
end

-- HAProxy 3.0 and newer lose what the log functions get while the configuration is read.
local function say(text)
	if io then
		io.stderr:write("haproxy-mailers: " .. text .. "\n")
	else
		core.Warning("haproxy-mailers: " .. text)
	end
end

if not core.event_sub or not core.queue then
	refuse("this HAProxy has no server events for Lua; HAProxy 2.8 or newer is needed")
end
if not core.disable_legacy_mailers and not core.use_native_mailers_config then
	refuse("this HAProxy has no mailers API for Lua (core.disable_legacy_mailers or core.use_native_mailers_config); " ..
		"use a release from 2.8 on")
end
if not package or not require then
	refuse("Lua's package library is closed; add 'package' to tune.lua.openlibs")
end
if not debug or not string or not table then
	refuse("Lua's debug, string and table libraries are needed; add them to tune.lua.openlibs")
end

local LUA = _VERSION:match("%d%.%d")
local INSTALLED = nil -- `make install` writes its folder here: a symbolic link to this file does not tell it

-- Where our other files are, without a change to package.path for others.
local function home()
	local own = debug.getinfo(1, "S").source:match("^@(.*)/[^/]*$") or "."
	if INSTALLED and not loadfile(own .. "/mailers/driver.lua") then
		return INSTALLED
	end
	return own
end

local HERE = home()

local function load_lua(name)
	local chunk, err = loadfile(HERE .. "/mailers/" .. name .. ".lua")
	if not chunk then
		refuse("cannot load " .. err .. "; install all of lua/mailers beside mailers.lua")
	end
	return chunk()
end

local function readable(path)
	local file = io and io.open(path, "rb")
	if file then
		file:close()
	end
	return file ~= nil
end

-- Where a module may stand: installed (PREFIX/share/haproxy-mailers -> PREFIX/lib/haproxy-mailers), or in the source tree.
local function module_paths(version, name)
	local tail = "lua" .. version .. "/mailers/" .. name .. ".so"
	return { HERE .. "/../../lib/haproxy-mailers/" .. tail, HERE .. "/../build/" .. tail }
end

-- What module <name> returns; nil when there is none, and where it was looked for.
local function load_module(name, symbol)
	local paths = module_paths(LUA, name)
	for _, path in ipairs(paths) do
		local open, err = package.loadlib(path, symbol)
		if open then
			local ok, module = pcall(open)
			if not ok then
				refuse(path .. " was not built for this HAProxy's Lua " .. LUA .. ": " .. tostring(module) ..
					"; rebuild it: make LUA=" .. LUA)
			end
			return module
		elseif readable(path) then
			refuse("cannot load " .. path .. ": " .. tostring(err) .. "; rebuild it: make LUA=" .. LUA)
		end
	end
	return nil, table.concat(paths, " and ")
end

local function load_engine()
	local engine, places = load_module("engine", "luaopen_mailers_engine")
	if engine then
		return engine
	end
	for _, version in ipairs({ "5.3", "5.4" }) do
		for _, path in ipairs(module_paths(version, "engine")) do
			if version ~= LUA and readable(path) then
				refuse(path .. " is for Lua " .. version .. ", this HAProxy has Lua " .. LUA ..
					"; build and install the other one: make LUA=" .. LUA .. " install")
			end
		end
	end
	refuse("its module is missing, looked for " .. places .. "; build it: make LUA=" .. LUA)
end

local engine = load_engine()

-- The page of the HTTP service; nil without Lua's io library.
local function load_page()
	if not io then
		return nil
	end
	local file, err = io.open(HERE .. "/mailers/status.html", "rb")
	if not file then
		refuse("cannot load " .. err .. "; install all of lua/mailers beside mailers.lua")
	end
	local page = file:read("a")
	file:close()
	return page
end

-- What HAProxy asks of the state of whichever thread serves.
local function register(wake)
	load_lua("cli")(engine, wake)
	load_lua("status")(engine, load_page())
end

if core.thread > 1 then
	if engine.join() then
		register(engine.call)
	end
	return
end
if not engine.claim() then
	say("loaded twice, the second lua-load is without effect; remove it")
	return
end

-- tls-static.so has OpenSSL inside; tls.so takes it from the process, where another may be in its place.
local function load_tls()
	local api, places = load_module("tls-static", "luaopen_mailers_tls")
	if not api then
		local foreign = engine.tls_check()
		if foreign then
			refuse(foreign)
		end
		api, places = load_module("tls", "luaopen_mailers_tls")
	end
	return api or refuse("the module for TLS is missing, looked for " .. places .. "; build it: make LUA=" .. LUA ..
		', or write mailers = { ["*"] = { tls = "none" } } into ' .. SETTINGS)
end

local function load_settings()
	if SURPLUS then
		refuse("lua-load names more than one settings file; write one path behind mailers.lua")
	end
	if engine.settings(SETTINGS, core.get_info().Version) then
		engine.tls(load_tls())
	end
	for text in engine.warning do
		say(text)
	end
end

if SETTINGS then
	load_settings()
end

-- 2.8 to 3.2 have a sender of their own to turn off; from 3.3 on the settings are for scripts that ask for them.
if core.disable_legacy_mailers then
	core.disable_legacy_mailers()
end
if core.use_native_mailers_config then
	core.use_native_mailers_config()
end

-- Calls watch() for every server of the proxies that mail alerts; returns how often it said true.
local function each_server(watch)
	local count = 0
	for _, px in pairs(core.backends) do
		local proxy = engine.proxy(px)
		if proxy then
			for _, server in pairs(px.servers) do
				if watch(server, proxy) then
					count = count + 1
				end
			end
		end
	end
	return count
end

local driver = load_lua("driver")(engine, load_lua("socket"), load_lua("hold"), load_lua("route"), function()
	return each_server(engine.found)
end)

register(driver.wake)

core.register_init(function()
	engine.start()
	engine.on_wake(driver.wake, driver.revive)
	each_server(engine.track)
	engine.finish()
	for text in engine.warning do
		say(text)
		core.Warning("haproxy-mailers: " .. text)
	end
	core.event_sub({ "SERVER_ADD" }, engine.added)
end)

driver.start()
