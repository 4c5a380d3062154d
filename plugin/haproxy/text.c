/*
 * text - see text.h. Called by cli.c and status.c.
 */
#include "text.h"

#define TEXT_METATABLE "haproxy-mailers.buffer"

static int text_free(lua_State *L)
{
	buffer_free(luaL_checkudata(L, 1, TEXT_METATABLE));
	return 0;
}

struct buffer *text_buffer(lua_State *L)
{
	struct buffer *b = compat_newuserdata(L, sizeof(*b));

	*b = (struct buffer){ .limit = TEXT_MAX };
	if (luaL_newmetatable(L, TEXT_METATABLE)) {
		lua_pushcfunction(L, text_free);
		lua_setfield(L, -2, "__gc");
	}
	lua_setmetatable(L, -2);
	return b;
}

bool text_push(lua_State *L, struct buffer *b)
{
	bool ok = !buffer_error(b);

	if (ok)
		lua_pushlstring(L, b->data ? b->data : "", b->len);
	else
		lua_pushnil(L);
	buffer_free(b);
	return ok;
}
