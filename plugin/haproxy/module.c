/*
 * module - require "mailers.engine": the table of functions that lua/mailers.lua calls. Loading it
 * changes nothing; claim() and start() do.
 */
#include "call.h"
#include "cli.h"
#include "config.h"
#include "drain.h"
#include "foreign.h"
#include "hold.h"
#include "instance.h"
#include "proxy.h"
#include "route.h"
#include "server.h"
#include "status.h"
#include "transport.h"

__attribute__((visibility("default"))) int luaopen_mailers_engine(lua_State *L);

#define MODULE_CLAIMED "haproxy-mailers.claimed" /* registry: some copy of the module serves this state */

/* Is this the first copy of the module in this Lua state? A copy at another place has statics of its own; the
 * state they share tells them apart.
 */
static bool module_is_first(lua_State *L)
{
	bool other = lua_getfield(L, LUA_REGISTRYINDEX, MODULE_CLAIMED) != LUA_TNIL;

	lua_pushboolean(L, 1);
	lua_setfield(L, LUA_REGISTRYINDEX, MODULE_CLAIMED);
	return !other;
}

/* claim(): true for the first Lua state of the process that asks: it sends. */
static int module_claim(lua_State *L)
{
	lua_pushboolean(L, module_is_first(L) && instance_claim());
	return 1;
}

/* join(): may this state, of another thread, look at the engine that the first one claimed? */
static int module_join(lua_State *L)
{
	lua_pushboolean(L, module_is_first(L) && !instance_claim());
	return 1;
}

/* start(): makes the engine. */
static int module_start(lua_State *L)
{
	if (instance_start()) {
		drain_at_exit(L);
		return 0;
	}
	lua_pushliteral(L, "haproxy-mailers: cannot start: no memory, or no random numbers; start HAProxy again");
	return lua_error(L);
}

int luaopen_mailers_engine(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "claim", module_claim },       { "join", module_join },   { "start", module_start },
		{ "proxy", proxy_get },          { "track", server_track }, { "added", server_added },
		{ "found", server_found },       { "reconcile", server_reconcile },
		{ "on_wake", server_on_wake },   { "tls_check", foreign_tls_check },
		{ NULL, NULL },
	};

	luaL_checkversion(L); /* raises when it was built for another Lua */
	luaL_newlib(L, functions);
	transport_register(L);
	hold_register(L);
	drain_register(L);
	route_register(L);
	call_register(L);
	cli_register(L);
	status_register(L);
	config_register(L);
	return 1;
}
