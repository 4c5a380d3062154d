/*
 * hold - see hold.h. Called by lua/mailers/hold.lua, which waits on the connection; what is done while it
 * holds is the driver's.
 *
 * The descriptors are made when they are needed, so that neither a master process nor a child of it shares
 * them.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "hold.h"

#define HOLD_METATABLE "haproxy-mailers.hold"

struct hold {
	int ends[2]; /* what HAProxy sends into the first stays unread in the second; -1: closed */
};

static int hold_close(lua_State *L)
{
	struct hold *h = luaL_checkudata(L, 1, HOLD_METATABLE);
	int i;

	for (i = 0; i < 2; i++) {
		if (h->ends[i] >= 0)
			close(h->ends[i]);
		h->ends[i] = -1;
	}
	return 0;
}

static int hold_new(lua_State *L)
{
	struct hold *h = compat_newuserdata(L, sizeof(*h));

	*h = (struct hold){ .ends = { -1, -1 } };
	luaL_setmetatable(L, HOLD_METATABLE);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, h->ends) != 0)
		return 0;
	lua_pushfstring(L, "sockpair@%d", h->ends[0]);
	return 2;
}

void hold_register(lua_State *L)
{
	static const luaL_Reg methods[] = {
		{ "close", hold_close }, { "__gc", hold_close }, { NULL, NULL },
	};

	luaL_newmetatable(L, HOLD_METATABLE);
	luaL_setfuncs(L, methods, 0);
	lua_pushvalue(L, -1);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
	lua_pushcfunction(L, hold_new);
	lua_setfield(L, -2, "hold");
}
