/*
 * call - see call.h. HAProxy takes a task that computes from its thread again and again, but never ends it, nor does it stop
 * while one does: a function with an endless loop would hold up each reload. HAProxy's hook cannot be replaced, as it is
 * set anew whenever a task goes on. But a coroutine below the task's has a hook of its own, and can be left.
 *
 * HAProxy's API finds the task in the coroutine's extra space, as with HAProxy's own coroutine.create(). When it is to wait,
 * it notes in the task when to wake it, and yields: not to HAProxy, but to us. So the task has to yield right then, before
 * another instruction of its own runs, as the note would be lost if HAProxy interrupted it there. That is why go_on() is C.
 *
 * Called by lua/mailers/route.lua.
 */
#include <string.h>

#include "call.h"
#include "instance.h"

#define CALL_INSTRUCTIONS 10000 /* HAProxy's own number between two looks */
#define CALL_STUCK_MS     200   /* for computing where nothing can be interrupted; HAProxy aborts the process after seconds */

/* Their addresses are keys in the registry: which coroutine runs, and since when. */
static const char call_running, call_since;

/* Coroutines that the function makes inherit the hook: they belong to it, and are not left but with it. The hook is gone when
 * it was it that yielded.
 */
static void call_hook(lua_State *L, lua_Debug *ar)
{
	const void *running;
	lua_Integer since;

	(void)ar;
	lua_rawgetp(L, LUA_REGISTRYINDEX, &call_running);
	lua_rawgetp(L, LUA_REGISTRYINDEX, &call_since);
	running = lua_touserdata(L, -2);
	since = lua_tointeger(L, -1);
	lua_pop(L, 2);
	if (L == running && lua_isyieldable(L)) {
		lua_sethook(L, NULL, 0, 0);
		lua_yield(L, 0);
	} else if ((lua_Integer)instance_now() - since > CALL_STUCK_MS) {
		luaL_error(L, "it computes for too long where it cannot be interrupted");
	}
}

/* The coroutine is at 1; <nargs> arguments are on its own stack. */
static int call_go_on(lua_State *L, int status, lua_KContext nargs)
{
	lua_State *co = lua_tothread(L, 1);
	int result, n = 0;

	(void)status;
	lua_settop(L, 1);
	lua_pushinteger(L, (lua_Integer)instance_now());
	lua_rawsetp(L, LUA_REGISTRYINDEX, &call_since);
	lua_pushlightuserdata(L, co);
	lua_rawsetp(L, LUA_REGISTRYINDEX, &call_running);
	lua_sethook(co, call_hook, LUA_MASKCOUNT, CALL_INSTRUCTIONS);
	result = compat_resume(co, L, (int)nargs, &n);
	if (result == LUA_YIELD) {
		lua_pop(co, n);
		if (lua_gethookmask(co))
			return lua_yieldk(L, 0, 0, call_go_on);
		lua_pushliteral(L, "yield");
		return 1;
	}
	if (result != LUA_OK) {
		lua_pushliteral(L, "error");
		lua_xmove(co, L, 1);
		return 2;
	}
	luaL_checkstack(L, n + 1, "too many results");
	lua_pushliteral(L, "done");
	lua_xmove(co, L, n);
	return n + 1;
}

static int call_first(lua_State *L)
{
	lua_State *co = lua_tothread(L, 1);
	int n = lua_gettop(L) - 1;

	luaL_argcheck(L, co, 1, "a coroutine is expected");
	luaL_argcheck(L, lua_checkstack(co, n), 2, "there are too many");
	lua_xmove(L, co, n);
	return call_go_on(L, LUA_OK, n);
}

static int call_coroutine(lua_State *L)
{
	lua_State *co;

	luaL_checktype(L, 1, LUA_TFUNCTION);
	lua_settop(L, 1);
	co = lua_newthread(L);
	memcpy(lua_getextraspace(co), lua_getextraspace(L), LUA_EXTRASPACE);
	lua_pushvalue(L, 1);
	lua_xmove(L, co, 1);
	return 1;
}

void call_register(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "coroutine", call_coroutine }, { "go_on", call_first }, { NULL, NULL },
	};

	luaL_setfuncs(L, functions, 0);
}
