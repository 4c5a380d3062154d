/*
 * nice - see nice.h. core.set_nice() is for the coroutine that calls it, and that of a subscription runs for the first time
 * when the storm is there. HAProxy makes it in event_sub(), and keeps it by a reference in the registry (luaL_ref()): so a
 * coroutine whose reference was not there before the call is the one, and it can be made to call. A reference that was free
 * and is used again, as for servers that are added later, is not found: their events stand where all others do.
 *
 * Called by server.c, with the Lua state locked by HAProxy: nobody else makes references meanwhile.
 */
#include "compat.h"
#include "nice.h"

/* HAProxy's most. The depth of its run queue, 200, times this is how many may pass: more than there are servers, and on a
 * thread that is never idle still no more than seconds.
 */
#define NICE_EVENTS 1024

size_t nice_mark(lua_State *L)
{
	return lua_rawlen(L, LUA_REGISTRYINDEX);
}

static int nice_set(lua_State *L)
{
	lua_getglobal(L, "core");
	lua_getfield(L, -1, "set_nice");
	lua_pushinteger(L, NICE_EVENTS);
	lua_call(L, 1, 0);
	return 0;
}

/* Has the coroutine <co>, which does not run, call. An error costs the nice value alone. */
static void nice_call(lua_State *co)
{
	int top = lua_gettop(co);

	if (lua_status(co) != LUA_OK || !lua_checkstack(co, LUA_MINSTACK))
		return;
	lua_pushcfunction(co, nice_set);
	lua_pcall(co, 0, 0, 0);
	lua_settop(co, top);
}

void nice_events(lua_State *L, size_t mark)
{
	size_t i;

	for (i = nice_mark(L); i > mark; i--) {
		lua_State *co = lua_rawgeti(L, LUA_REGISTRYINDEX, (lua_Integer)i) == LUA_TTHREAD ? lua_tothread(L, -1) : NULL;

		lua_pop(L, 1);
		if (co && co != L)
			nice_call(co);
	}
}
