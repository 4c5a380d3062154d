/*
 * transport - see transport.h. Every function takes the lock for the engine's work alone: Lua values
 * are read before it and pushed after it, as both can raise.
 */
#include <string.h>

#include <mailers/smtp_reply.h>

#include "descriptor.h"
#include "instance.h"
#include "transport.h"

/* With one reply due its bytes are read as lines, of at most so many bytes. */
#define TRANSPORT_LINE 512

static int transport_slot(lua_State *L)
{
	return (int)luaL_checkinteger(L, 1);
}

/* Pushes what <slot> wants. The bytes to write are copied in two steps, as making room for them may raise. */
static int transport_next(lua_State *L, int slot)
{
	struct engine *e = instance_lock();
	enum engine_want want = engine_want(e, slot);
	const char *data;
	size_t n = 0;
	luaL_Buffer b;
	char *room;

	if (want == ENGINE_WANT_WRITE)
		n = engine_peek(e, slot, &data);
	else if (want == ENGINE_WANT_READ)
		n = engine_need(e, slot);
	instance_unlock();
	if (want == ENGINE_WANT_READ) {
		if (n > SMTP_REPLY_MIN) {
			lua_pushliteral(L, "read");
			lua_pushinteger(L, (lua_Integer)n);
		} else {
			lua_pushliteral(L, "line");
			lua_pushinteger(L, TRANSPORT_LINE);
		}
		return 2;
	}
	if (want == ENGINE_WANT_CLOSE) {
		lua_pushliteral(L, "close");
		return 1;
	}
	lua_pushliteral(L, "write");
	room = luaL_buffinitsize(L, &b, n);
	e = instance_lock();
	if (engine_peek(e, slot, &data) >= n)
		memcpy(room, data, n);
	else
		n = 0; /* the connection failed meanwhile; its next call says close */
	instance_unlock();
	luaL_pushresultsize(&b, n);
	return 2;
}

/* connect(): slot and address of a connection to open, or nil when there is none now. */
static int transport_connect(lua_State *L)
{
	const char *address = NULL;
	struct engine *e = instance_lock();
	int slot = e ? engine_connect(e, instance_now()) : -1;

	if (slot >= 0)
		address = engine_address(e, slot); /* lives as long as the engine */
	else
		instance_rung();
	instance_unlock();
	if (slot < 0)
		return 0;
	lua_pushinteger(L, slot);
	lua_pushstring(L, address);
	return 2;
}

static int transport_connected(lua_State *L)
{
	int slot = transport_slot(L);

	engine_connected(instance_lock(), slot, instance_now());
	instance_unlock();
	return transport_next(L, slot);
}

/* sent(slot, n): n bytes of what it wanted to write were handed to the socket. */
static int transport_sent(lua_State *L)
{
	int slot = transport_slot(L);
	lua_Integer n = luaL_checkinteger(L, 2);

	engine_ack(instance_lock(), slot, n > 0 ? (size_t)n : 0, instance_now());
	instance_unlock();
	return transport_next(L, slot);
}

static int transport_received(lua_State *L)
{
	int slot = transport_slot(L);
	size_t len;
	const char *data = luaL_checklstring(L, 2, &len);

	engine_feed(instance_lock(), slot, data, len, instance_now());
	instance_unlock();
	return transport_next(L, slot);
}

static int transport_ended(lua_State *L)
{
	int slot = transport_slot(L);

	engine_eof(instance_lock(), slot, instance_now());
	instance_unlock();
	return transport_next(L, slot);
}

static int transport_release(lua_State *L)
{
	int slot = transport_slot(L);

	engine_release(instance_lock(), slot, instance_now());
	instance_unlock();
	return 0;
}

/* tick(): lets time pass; true while there is work. */
static int transport_tick(lua_State *L)
{
	uint64_t now = instance_now();
	struct engine *e = instance_lock();
	bool busy = false;

	if (e) {
		engine_tick(e, now);
		busy = engine_busy(e) || engine_deadline(e, now) != UINT64_MAX;
		instance_ticked(now);
	}
	instance_unlock();
	lua_pushboolean(L, busy);
	return 1;
}

/* expired(): the slot of a connection to cut, each once; nil when there is no other. */
static int transport_expired(lua_State *L)
{
	struct engine *e = instance_lock();
	int slot = e ? engine_expired(e) : -1;

	instance_unlock();
	if (slot < 0)
		return 0;
	lua_pushinteger(L, slot);
	return 1;
}

/* log(): level and text of the next line for HAProxy's log, or nil. */
static int transport_log(lua_State *L)
{
	struct engine_log line;
	struct engine *e = instance_lock();
	bool more = e && engine_next_log(e, &line);

	instance_unlock();
	if (!more)
		return 0;
	lua_pushinteger(L, line.level);
	lua_pushstring(L, line.text);
	return 2;
}

/* note(level, text): adds a line to the same log. */
static int transport_note(lua_State *L)
{
	lua_Integer level = luaL_checkinteger(L, 1);
	const char *text = luaL_checkstring(L, 2);
	struct engine *e = instance_lock();

	if (e)
		engine_log(e, (enum alert_level)level, "mailers: %s", text);
	instance_unlock();
	return 0;
}

/* shutdown(local, remote): ends a connection of HAProxy's; false when it is not there any more. */
static int transport_shutdown(lua_State *L)
{
	lua_pushboolean(L, descriptor_shutdown(luaL_checkstring(L, 1), luaL_checkstring(L, 2)));
	return 1;
}

/* abort(address): ends a connection of HAProxy's that is still connecting there; false when it found none. */
static int transport_abort(lua_State *L)
{
	lua_pushboolean(L, descriptor_abort(luaL_checkstring(L, 1)));
	return 1;
}

void transport_register(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "connect", transport_connect },   { "connected", transport_connected },
		{ "sent", transport_sent },         { "received", transport_received },
		{ "ended", transport_ended },       { "release", transport_release },
		{ "tick", transport_tick },         { "expired", transport_expired },
		{ "log", transport_log },           { "note", transport_note },
		{ "shutdown", transport_shutdown }, { "abort", transport_abort },
		{ NULL, NULL },
	};

	luaL_setfuncs(L, functions, 0);
}
