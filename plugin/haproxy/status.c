/*
 * status - see status.h.
 */
#include "instance.h"
#include "status.h"
#include "text.h"

static int status_say(lua_State *L, void (*say)(const struct engine *, struct buffer *, uint64_t))
{
	uint64_t now = instance_now();
	struct buffer *b = text_buffer(L);
	const struct engine *e = instance_lock();

	if (e)
		say(e, b, now);
	instance_unlock();
	if (e)
		text_push(L, b);
	else
		lua_pushnil(L);
	return 1;
}

static int status_metrics(lua_State *L)
{
	return status_say(L, engine_metrics);
}

static int status_json(lua_State *L)
{
	return status_say(L, engine_status_json);
}

void status_register(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "metrics", status_metrics }, { "status", status_json }, { NULL, NULL },
	};

	luaL_setfuncs(L, functions, 0);
}
