/*
 * module - require "mailers.tls": a light userdata, the address of struct tls_api. The engine's module
 * takes it from there; both are of one build. Lua loads it only when a setting asks for TLS, and after
 * mailers.engine looked at what else is in the process (plugin/haproxy/foreign.c).
 */
#include <lauxlib.h>
#include <lua.h>

#include "tls_openssl.h"

__attribute__((visibility("default"))) int luaopen_mailers_tls(lua_State *L);

int luaopen_mailers_tls(lua_State *L)
{
	luaL_checkversion(L);
	if (!tls_openssl_init()) {
		lua_pushliteral(L, "OpenSSL does not start");
		return lua_error(L);
	}
	lua_pushlightuserdata(L, (void *)(uintptr_t)&tls_openssl);
	return 1;
}
