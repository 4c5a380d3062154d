/*
 * drain - see drain.h. When to drain is lua/mailers/hold.lua's, what it means for queue and connections is
 * the engine's; here is the clock, and the last resort when no task of Lua runs any more.
 */
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "drain.h"
#include "instance.h"

#define DRAIN_METATABLE "haproxy-mailers.drain"
#define DRAIN_EXIT_MS   1000 /* for what is written at the exit: nobody may read it */
#define DRAIN_BATCH     100
#define DRAIN_SLOTS     4096 /* more than connections can be open */

static int drain_busy(lua_State *L)
{
	const struct engine *e = instance_lock();
	bool busy = e && engine_busy(e);

	instance_unlock();
	lua_pushboolean(L, busy);
	return 1;
}

static int drain_begin(lua_State *L)
{
	uint64_t now = instance_now();
	bool struck = lua_toboolean(L, 1);
	struct engine *e = instance_lock();
	struct engine_stats stats;
	uint32_t ms = struck ? 0 : instance_options()->drain_ms;

	if (e) {
		engine_stats(e, &stats);
		if (struck)
			engine_log(e, ALERT_LEVEL_WARNING, "mailers: HAProxy ends its connections "
			           "(hard-stop-after), queued alerts: %zu", stats.queued);
		else
			engine_log(e, ALERT_LEVEL_NOTICE, "mailers: HAProxy stops, queued alerts: %zu, time for "
			           "them: %u.%us", stats.queued, ms / 1000, ms % 1000 / 100);
		instance_drain(now, ms);
	}
	instance_unlock();
	return 0;
}

/* Under the lock: gives up to <most> alerts up, and tells their number when there is no other. */
static size_t drain_abandon(struct engine *e, size_t most, uint64_t now)
{
	size_t n = engine_abandon(e, most, now);
	struct engine_stats stats;

	engine_stats(e, &stats);
	if (n && !stats.queued)
		engine_log(e, ALERT_LEVEL_ERR, "mailers: HAProxy stops, the alerts above are not delivered; their "
		           "recipients: %llu", (unsigned long long)stats.abandoned);
	return n;
}

static int drain_give_up(lua_State *L)
{
	lua_Integer most = luaL_checkinteger(L, 1);
	uint64_t now = instance_now();
	struct engine *e = instance_lock();
	bool over = e && instance_drained(now);
	size_t n = over ? drain_abandon(e, most > 0 ? (size_t)most : 0, now) : 0;

	instance_unlock();
	if (!over)
		return 0;
	lua_pushinteger(L, (lua_Integer)n);
	return 1;
}

/* Writes a line unless the time is over before somebody reads. */
static bool drain_write(const char *text, uint64_t until_ms)
{
	struct pollfd p = { .fd = STDERR_FILENO, .events = POLLOUT };
	char line[sizeof(((struct engine_log *)0)->text) + 1];
	size_t len = strlen(text);
	uint64_t now = instance_now();

	memcpy(line, text, len);
	line[len++] = '\n';
	/* Less than PIPE_BUF bytes: a pipe that can be written to takes them without a wait. */
	return now < until_ms && poll(&p, 1, (int)(until_ms - now)) == 1 && (p.revents & POLLOUT) &&
	       write(STDERR_FILENO, line, len) == (ssize_t)len;
}

static void drain_write_log(struct engine *e, uint64_t until_ms)
{
	struct engine_log line;

	while (engine_next_log(e, &line) && drain_write(line.text, until_ms))
		;
}

/* __gc of the object in the registry. It runs in a master process too, which has the engine but never ticked. */
static int drain_exit(lua_State *L)
{
	uint64_t now = instance_now(), until = now + DRAIN_EXIT_MS;
	struct engine *e = instance_lock();
	int slot;

	(void)L;
	if (e && instance_has_ticked()) {
		for (slot = 0; slot < DRAIN_SLOTS; slot++) {
			engine_release(e, slot, now);
			drain_write_log(e, until); /* thousands of alerts may end with a connection: the log holds no more */
		}
		do
			drain_write_log(e, until);
		while (instance_now() < until && drain_abandon(e, DRAIN_BATCH, now));
	}
	instance_unlock();
	return 0;
}

void drain_at_exit(lua_State *L)
{
	compat_newuserdata(L, 1);
	luaL_newmetatable(L, DRAIN_METATABLE);
	lua_pushcfunction(L, drain_exit);
	lua_setfield(L, -2, "__gc");
	lua_setmetatable(L, -2);
	lua_setfield(L, LUA_REGISTRYINDEX, DRAIN_METATABLE ".exit");
}

void drain_register(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "busy", drain_busy }, { "drain", drain_begin }, { "abandon", drain_give_up }, { NULL, NULL },
	};

	luaL_setfuncs(L, functions, 0);
}
