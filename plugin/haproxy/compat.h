/*
 * compat - every difference between the Lua versions that the module is built for; no other file has
 * an #if on a version.
 */
#ifndef HAPROXY_COMPAT_H
#define HAPROXY_COMPAT_H

#include <lauxlib.h>
#include <lua.h>

#if LUA_VERSION_NUM < 503 || LUA_VERSION_NUM > 504
#error "the module is for Lua 5.3 and 5.4"
#endif

/* 5.4 made lua_newuserdata a macro with one user value; none is needed here. */
static inline void *compat_newuserdata(lua_State *L, size_t size)
{
#if LUA_VERSION_NUM >= 504
	return lua_newuserdatauv(L, size, 0);
#else
	return lua_newuserdata(L, size);
#endif
}

/* Goes on with <co>, whose stack has <nargs> arguments; *<n> values are on it then. */
static inline int compat_resume(lua_State *co, lua_State *from, int nargs, int *n)
{
#if LUA_VERSION_NUM >= 504
	return lua_resume(co, from, nargs, n);
#else
	int status = lua_resume(co, from, nargs);

	*n = lua_gettop(co);
	return status;
#endif
}

#endif
