-- Tests of the Lua module with HAProxy's objects played by tables: what no HAProxy does on demand, such as a question
-- that raises, or a call that comes late.
local open = assert(package.loadlib(arg[1], "luaopen_mailers_engine"))
local engine = open()
local woken = 0

assert(engine.claim(), "the first claim")
assert(not engine.claim(), "the second claim")
engine.start()
engine.on_wake(function() woken = woken + 1 end, function() end)

-- A Proxy and a Server with the methods that the module calls; <over> replaces some of the Server's.
local function new_proxy(name)
	return {
		get_name = function() return name end,
		get_srv_act = function() return 0 end,
		get_srv_bck = function() return 0 end,
		get_mailers = function()
			return { log_level = 1, track_server_health = false, mailservers = { m1 = "127.0.0.1:1" },
				mailservers_timeout = 1000, smtp_hostname = name .. ".example.org",
				smtp_from = "a@example.org", smtp_to = "b@example.org" }
		end,
	}
end

local puid = 0
local function new_server(px, over)
	local server = { handler = nil }
	local methods = {
		get_name = function() return "s1" end, get_proxy = function() return px end,
		tracking = function() return nil end, is_backup = function() return false end,
		is_draining = function() return false end, get_weight = function() return 1 end,
		get_puid = function() return "1" end, get_rid = function() return puid end,
		get_cur_sess = function() return 0 end, get_pend_conn = function() return 0 end,
		get_stats = function() return { status = "UP" } end,
		event_sub = function(_, _, handler) server.handler = handler end,
	}
	puid = puid + 1
	for name, method in pairs(methods) do
		server[name] = over and over[name] or method
	end
	engine.track(server, engine.proxy(px))
	return server
end

local function state_event(server, old, new)
	server.handler("SERVER_STATE", { reference = server, state = { admin = false, old_state = old, new_state = new,
		cause = "changed from CLI", requeued = 0 } }, nil, 1700000000)
end

local function next_log()
	local _, text = engine.log()
	return text
end

-- Plays a mail server up to the end of one mail, and returns the message.
local function deliver(handle)
	local message
	local want, arg = engine.connected(handle)
	local answers = { "220 x ESMTP\r\n", "250 x\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n", "250 taken\r\n", "221 bye\r\n" }
	while want ~= "close" do
		if want == "write" then
			message = arg:find("Subject: ", 1, true) and arg or message
			want, arg = engine.sent(handle, #arg)
		elseif #answers > 0 then
			want, arg = engine.received(handle, table.remove(answers, 1))
		else
			want, arg = engine.ended(handle)
		end
	end
	engine.release(handle)
	return message
end

local tests = {}

function tests.event__of_a_server_going_down__is_one_mail()
	local before = woken
	state_event(new_server(new_proxy("one")), "RUNNING", "STOPPED")
	assert(woken == before + 1, "not woken once")
	local handle, _, address = engine.connect()
	assert(address == "127.0.0.1:1", address)
	assert(not engine.connect(), "a second connection for one mail")
	local message = deliver(handle)
	assert(message:find("Subject: [HAProxy Alert] Server one/s1 is DOWN, changed from CLI. 0 active and 0 backup", 1, true), message)
	assert(next_log():find("accepted for 1 recipient", 1, true))
	assert(not engine.connect())
end

-- A slot was all that Lua knew of a connection: a late call for the one before ended the next one in that slot.
function tests.late_call__after_the_slot_went_to_another__does_nothing()
	local server = new_server(new_proxy("late"))
	state_event(server, "RUNNING", "STOPPED")
	local old, slot = engine.connect()
	engine.ended(old)
	engine.release(old)
	local other = new_proxy("next") -- the first one's mailer rests now
	state_event(new_server(other), "RUNNING", "STOPPED")
	local new, same_slot = engine.connect()
	assert(new and same_slot == slot and new ~= old, "not the same slot")
	assert(engine.connected(new) == "line")
	for _, call in ipairs({ "connected", "ended", "release", "wants" }) do
		local want = engine[call](old)
		assert(want == nil or want == "close", call)
	end
	assert(engine.received(old, "554 no\r\n") == "close")
	assert(engine.sent(old, 10) == "close")
	assert(engine.wants(new) == "line", "the late calls reached the other connection")
	local want, bytes = engine.received(new, "220 x ESMTP\r\n")
	assert(want == "write" and bytes == "EHLO next.example.org\r\n", bytes)
	engine.ended(new)
	engine.release(new)
	while engine.log() do end
end

-- The event is stored before any call that can raise: an error costs its part of the text, never the alert.
function tests.question_that_raises__costs_its_part_of_the_text_alone()
	local px = new_proxy("raises")
	local server = new_server(px, { get_cur_sess = function() error("no") end })
	state_event(server, "RUNNING", "STOPPED")
	assert(next_log():find("raises/s1: HAProxy refused a question", 1, true))
	local message = deliver(engine.connect())
	assert(message:find("Server raises/s1 is DOWN, changed from CLI.", 1, true), message)
	while engine.log() do end
end

function tests.server_deleted_meanwhile__its_alert_is_sent()
	local server = new_server(new_proxy("deleted"))
	server.handler("SERVER_STATE", { state = { admin = false, old_state = "RUNNING", new_state = "STOPPED",
		cause = "", requeued = 0 } }, nil, 1700000000)
	assert(deliver(engine.connect()):find("Server deleted/s1 is DOWN", 1, true))
	while engine.log() do end
end

function tests.event_that_is_none__is_ignored()
	local server = new_server(new_proxy("none"))
	for _, event in ipairs({ { "SERVER_STATE", {} }, { "SERVER_STATE", { state = 1 } }, { 5, 6 }, {},
	                         { "SERVER_UP", { state = {} } }, { "SERVER_ADMIN", { admin = {} } },
	                         { "SERVER_CHECK", "text" } }) do
		server.handler(event[1], event[2])
	end
	assert(not engine.connect(), "something was mailed")
end

function tests.settings_that_are_bad__are_refused_with_proxy_key_and_remedy()
	for i, bad in ipairs({ { "smtp_to", "a@", "email%-alert to" }, { "smtp_from", "a@b.c, d@e.f", "email%-alert from" },
	                       { "smtp_hostname", "a b", "email%-alert myhostname" },
	                       { "mailservers", {}, "no mailer line" } }) do
		local px = new_proxy("bad" .. i)
		local good = px.get_mailers
		px.get_mailers = function()
			local conf = good()
			conf[bad[1]] = bad[2]
			return conf
		end
		local ok, err = pcall(engine.proxy, px)
		assert(not ok and tostring(err):find("proxy bad%d: ") and tostring(err):find(bad[3]), tostring(err))
		-- Each event of such a backend added a proxy to the engine anew.
		local again, proxy = pcall(engine.proxy, px)
		assert(again and proxy == nil, "asked again, it is no proxy that mails")
	end
end

-- HAProxy's HTTP requests waited behind the events of a storm, which stand in one line with them.
function tests.subscription__stands_back_from_the_start()
	local subscription, niced, value
	core = { set_nice = function(n) niced, value = coroutine.running(), n end }
	new_server(new_proxy("nice"), { event_sub = function()
		local registry = debug.getregistry()
		subscription = coroutine.create(function() end)
		registry[#registry + 1] = function() end
		registry[#registry + 1] = subscription
		registry[#registry + 1] = {}
	end })
	assert(niced == subscription and value == 1024, "not it")
	assert(coroutine.resume(subscription), "it cannot run any more")
end

function tests.subscription__without_set_nice__is_made()
	core = nil
	local px = new_proxy("old")
	local server = new_server(px, { event_sub = function(self, _, handler)
		local registry = debug.getregistry()
		registry[#registry + 1] = coroutine.create(function() end)
		self.handler = handler
	end })
	state_event(server, "RUNNING", "STOPPED")
	assert(deliver(engine.connect()):find("Server old/s1 is DOWN", 1, true))
	while engine.log() do end
end

-- Which sockets are on their way to an address is a question that holds HAProxy's thread for up to milliseconds: with each connect
-- it was asked, and each alert delayed HTTP by it.
function tests.connect__while_the_mail_server_is_there__asks_the_kernel_nothing()
	local asked, up = 0, true
	local tcp = { settimeout = function() end, connect = function() return up end, close = function() end,
		getsockname = function() return "127.0.0.1:2" end, getpeername = function() return "127.0.0.1:1" end }
	core = { tcp = function() return tcp end }
	local socket = dofile(arg[0]:match("^(.*)/") .. "/../../lua/mailers/socket.lua")
	local kernel = { connecting = function() asked = asked + 1; return "x" end, likely = function() return -1 end,
		mark = function() end, shutdown = function() end }
	for _, step in ipairs({ { true, 1 }, { true, 1 }, { false, 1 }, { false, 2 }, { true, 3 }, { true, 3 } }) do
		up = step[1]
		assert(socket.new(kernel):connect("127.0.0.1:1") == up)
		assert(asked == step[2], ("asked %d times, not %d"):format(asked, step[2]))
	end
end

-- Each test in a process of its own: there is one engine a process.
if arg[2] then
	tests[arg[2]]()
	os.exit(true)
end
local names, passed, failed = {}, 0, 0
for name in pairs(tests) do
	names[#names + 1] = name
end
table.sort(names)
for _, name in ipairs(names) do
	local ok = os.execute(("%s %s %s %s"):format(arg[-1], arg[0], arg[1], name))
	print((ok and "ok   " or "FAIL ") .. name)
	passed, failed = passed + (ok and 1 or 0), failed + (ok and 0 or 1)
end
print(("%d passed, %d failed"):format(passed, failed))
os.exit(failed == 0)
