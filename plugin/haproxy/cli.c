/*
 * cli - see cli.h.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli.h"
#include "instance.h"
#include "text.h"

#define CLI_TEST_METATABLE "haproxy-mailers.test"
#define CLI_TEST_MS        5000 /* a test that is not read for so long is ended */
#define CLI_ROUTE_DOWN_MS  125000 /* how long the server was down of which route() shows an UP */

/* Pushes the text of <b>, and says when it could not be had. */
static void cli_push(lua_State *L, struct buffer *b)
{
	if (!text_push(L, b)) {
		lua_pop(L, 1);
		lua_pushliteral(L, "out of memory\n");
	}
}

static int cli_show(lua_State *L)
{
	static const char *const what[] = { "mailers", "alerts", NULL };
	bool alerts = luaL_checkoption(L, 1, NULL, what) == 1;
	uint64_t now = instance_now();
	struct buffer *b = text_buffer(L);
	struct engine *e = instance_lock();

	if (e && alerts)
		engine_show_alerts(e, b, now);
	else if (e)
		engine_show_mailers(e, b, now);
	instance_unlock();
	cli_push(L, b);
	return 1;
}

/* The text that an alert of <name>, "proxy/server", could have, with what it is about. */
static void cli_route_text(const char *name, const struct alert_text *what, struct buffer *text)
{
	static const char *const words[ALERT_CHANGES] = {
		[ALERT_CHANGE_DOWN] = "Server %s is DOWN", [ALERT_CHANGE_UP] = "Server %s is UP",
		[ALERT_CHANGE_DRAIN] = "Server %s enters drain state", [ALERT_CHANGE_CHECK] = "Health check for server %s failed",
	};
	const char *format = words[what->change], *at = strstr(format, "%s");

	buffer_add(text, format, (size_t)(at - format));
	buffer_puts(text, name);
	buffer_puts(text, at + 2);
}

/* route(name, event, level or nil, text or nil): what would become of such an alert; nil and a reason. */
static int cli_route(lua_State *L)
{
	static const enum alert_level levels[ALERT_CHANGES] = {
		[ALERT_CHANGE_DOWN] = ALERT_LEVEL_ALERT, [ALERT_CHANGE_UP] = ALERT_LEVEL_NOTICE,
		[ALERT_CHANGE_DRAIN] = ALERT_LEVEL_NOTICE, [ALERT_CHANGE_CHECK] = ALERT_LEVEL_INFO,
	};
	const char *name = luaL_checkstring(L, 1), *own = luaL_optstring(L, 4, NULL);
	int change = alert_change_from_name(luaL_checkstring(L, 2));
	int level = lua_isnoneornil(L, 3) ? 0 : alert_level_from_name(luaL_checkstring(L, 3));
	struct buffer *b, *text;
	struct alert_text what;
	struct engine *e;
	bool found;

	if (change < 0 || level < 0) {
		lua_pushnil(L);
		lua_pushstring(L, change < 0 ? "no such event: down, up, drain or check"
		                             : "no such level: emerg, alert, crit, err, warning, notice, info or debug");
		return 2;
	}
	what = (struct alert_text){ .level = lua_isnoneornil(L, 3) ? levels[change] : (enum alert_level)level,
	                            .kind = change == ALERT_CHANGE_CHECK ? ALERT_KIND_CHECK : ALERT_KIND_STATE,
	                            .change = (enum alert_change)change };
	text = text_buffer(L);
	b = text_buffer(L);
	if (own)
		buffer_puts(text, own);
	else
		cli_route_text(name, &what, text);
	buffer_add(text, "", 1);
	if (buffer_error(text))
		return luaL_error(L, "out of memory");
	e = instance_lock();
	found = e && engine_explain(e, &(struct engine_alert){
		.name = name, .what = &what, .text = text->data, .text_len = text->len - 1, .date = "now",
		.outage = { .number = 1, .over = what.change == ALERT_CHANGE_UP, .lasted_ms = CLI_ROUTE_DOWN_MS } }, b);
	instance_unlock();
	if (!found) {
		lua_pushnil(L);
		lua_pushstring(L, "no such proxy, or it mails no alerts");
		return 2;
	}
	cli_push(L, b);
	return 1;
}

static int cli_commands(lua_State *L)
{
	lua_pushboolean(L, instance_options()->commands);
	return 1;
}

static int cli_change(lua_State *L, size_t (*change)(struct engine *, const char *, uint64_t))
{
	const char *name = luaL_optstring(L, 1, NULL);
	uint64_t now = instance_now();
	struct engine *e = instance_lock();
	size_t n = e ? change(e, name, now) : 0;

	instance_unlock();
	lua_pushinteger(L, (lua_Integer)n);
	return 1;
}

static int cli_flush(lua_State *L)
{
	return cli_change(L, engine_flush);
}

static int cli_pause(lua_State *L)
{
	return cli_change(L, engine_pause);
}

static int cli_resume(lua_State *L)
{
	return cli_change(L, engine_resume);
}

/* Under the lock: the place of test <id>, or a free one for 0; NULL without. */
static struct instance_test *cli_test_find(int id)
{
	struct instance_test *tests = instance_tests();
	int i;

	for (i = 0; i < INSTANCE_TESTS; i++) {
		if (tests[i].id == id)
			return &tests[i];
	}
	return NULL;
}

/* Under the lock. A test that is over keeps its place no longer. */
static void cli_test_forget(struct engine *e, int id)
{
	struct instance_test *t = id ? cli_test_find(id) : NULL;

	if (t) {
		engine_test_end(e, id);
		t->id = 0;
	}
}

/* The test's mails get the date of now; the core has no clock. */
static void cli_test_date(struct engine *e, int id)
{
	time_t now = time(NULL);
	char date[QUEUE_DATE_MAX];
	struct tm tm;

	localtime_r(&now, &tm);
	if (strftime(date, sizeof(date), "%a, %d %b %Y %T %z (%Z)", &tm))
		engine_test_date(e, id, date);
}

static int cli_test(lua_State *L)
{
	const char *proxy = luaL_checkstring(L, 1), *mailer = luaL_optstring(L, 2, NULL);
	char reason[ENGINE_REASON_MAX] = "";
	uint64_t now = instance_now();
	int *id = compat_newuserdata(L, sizeof(*id));
	struct instance_test *place;
	struct engine *e;

	*id = 0;
	luaL_setmetatable(L, CLI_TEST_METATABLE);
	e = instance_lock();
	place = e ? cli_test_find(0) : NULL;
	if (place && !engine_busy(e))
		instance_ticked(now); /* as for an alert: nobody ticks an idle engine */
	if (place)
		*id = engine_test_begin(e, proxy, mailer, NULL, NULL, now, reason);
	if (*id) {
		cli_test_date(e, *id);
		*place = (struct instance_test){ .id = *id, .read_ms = now };
	}
	instance_unlock();
	if (*id)
		return 1;
	lua_pushnil(L);
	lua_pushstring(L, place ? reason : "too many tests at once, try again later");
	return 2;
}

/* may_follow(version): does that HAProxy bear it when the client of a waiting Lua command goes away? Those
 * before these releases wake a command that they have freed.
 */
static int cli_may_follow(lua_State *L)
{
	static const struct {
		int major, minor, patch;
	} fixed[] = { { 2, 8, 15 }, { 2, 9, 15 }, { 3, 0, 9 }, { 3, 1, 6 } };
	int major = 0, minor = 0, patch = 0;
	size_t i;

	sscanf(luaL_checkstring(L, 1), "%d.%d.%d", &major, &minor, &patch);
	for (i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++) {
		if (major == fixed[i].major && minor == fixed[i].minor && patch < fixed[i].patch)
			break;
	}
	lua_pushboolean(L, i == sizeof(fixed) / sizeof(fixed[0]));
	return 1;
}

static const char *cli_result(enum engine_test_result result)
{
	static const char *const names[] = {
		[ENGINE_TEST_ACCEPTED] = "accepted", [ENGINE_TEST_TEMPORARY] = "deferred",
		[ENGINE_TEST_REFUSED] = "refused",   [ENGINE_TEST_FAILED] = "failed",
		[ENGINE_TEST_AUTH] = "failed at AUTH", [ENGINE_TEST_TLS] = "failed at TLS",
		[ENGINE_TEST_UNREACHABLE] = "unreachable", [ENGINE_TEST_LOCAL] = "ended",
	};

	return names[result];
}

static int cli_test_read(lua_State *L)
{
	int *id = luaL_checkudata(L, 1, CLI_TEST_METATABLE);
	enum engine_test_result result = ENGINE_TEST_LOCAL;
	struct buffer *b = text_buffer(L);
	struct engine *e = instance_lock();
	struct instance_test *place = *id ? cli_test_find(*id) : NULL;
	bool over = true;

	if (place) {
		place->read_ms = instance_now();
		over = engine_test_read(e, *id, b, &result);
	}
	instance_unlock();
	cli_push(L, b);
	if (!over)
		return 1;
	lua_pushboolean(L, 1);
	lua_pushstring(L, cli_result(result));
	return 3;
}

static int cli_test_close(lua_State *L)
{
	int *id = luaL_checkudata(L, 1, CLI_TEST_METATABLE);
	struct engine *e = instance_lock();

	cli_test_forget(e, *id);
	*id = 0;
	instance_unlock();
	return 0;
}

void cli_tick(struct engine *e, uint64_t now_ms)
{
	struct instance_test *tests = instance_tests();
	int i;

	for (i = 0; i < INSTANCE_TESTS; i++) {
		if (tests[i].id && now_ms - tests[i].read_ms >= CLI_TEST_MS)
			cli_test_forget(e, tests[i].id);
	}
}

static int cli_call(lua_State *L)
{
	(void)L;
	instance_lock();
	instance_call();
	instance_unlock();
	return 0;
}

static int cli_called(lua_State *L)
{
	bool called;

	instance_lock();
	called = instance_called();
	instance_unlock();
	lua_pushboolean(L, called);
	return 1;
}

static void cli_metatable(lua_State *L, const char *name, const luaL_Reg *methods)
{
	luaL_newmetatable(L, name);
	luaL_setfuncs(L, methods, 0);
	lua_pushvalue(L, -1);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
}

void cli_register(lua_State *L)
{
	static const luaL_Reg test[] = {
		{ "read", cli_test_read }, { "close", cli_test_close }, { "__gc", cli_test_close }, { NULL, NULL },
	};
	static const luaL_Reg functions[] = {
		{ "show", cli_show },     { "commands", cli_commands }, { "route", cli_route }, { "flush", cli_flush },
		{ "pause", cli_pause },   { "resume", cli_resume },     { "may_follow", cli_may_follow },
		{ "test", cli_test },     { "call", cli_call },         { "called", cli_called },
		{ NULL, NULL },
	};

	cli_metatable(L, CLI_TEST_METATABLE, test);
	luaL_setfuncs(L, functions, 0);
}
