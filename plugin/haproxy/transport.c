/*
 * transport - see transport.h. Every function takes the lock for the engine's work alone: Lua values
 * are read before it and pushed after it, as both can raise.
 */
#include <string.h>

#include <mailers/smtp_reply.h>

#include "cli.h"
#include "config.h"
#include "descriptor.h"
#include "instance.h"
#include "transport.h"

/* With one reply due its bytes are read as lines, of at most so many bytes. */
#define TRANSPORT_LINE 512

/* A tick is due each 100 ms while there is work. */
#define TRANSPORT_STALL_MS 5000

/* A handle is the engine's connection id, with its slot in the low bits. */
#define TRANSPORT_SLOT_BITS 20

static lua_Integer transport_handle(const struct engine *e, int slot)
{
	return (lua_Integer)(engine_connection_id(e, slot) << TRANSPORT_SLOT_BITS | (uint64_t)slot);
}

/* The slot of <handle>, or -1 when its connection was released: harmless wherever the engine takes a slot. */
static int transport_slot(const struct engine *e, lua_Integer handle)
{
	uint64_t id = (uint64_t)handle >> TRANSPORT_SLOT_BITS;
	int slot = (int)(handle & ((1 << TRANSPORT_SLOT_BITS) - 1));

	return id && engine_connection_id(e, slot) == id ? slot : -1;
}

/* Of what is encrypted (<exact>) not one byte more may be asked for. */
static int transport_push_read(lua_State *L, size_t n, bool exact)
{
	if (exact || n > SMTP_REPLY_MIN) {
		lua_pushliteral(L, "read");
		lua_pushinteger(L, (lua_Integer)n);
	} else {
		lua_pushliteral(L, "line");
		lua_pushinteger(L, (lua_Integer)n);
		lua_pushinteger(L, TRANSPORT_LINE);
		return 3;
	}
	return 2;
}

/* Pushes what <handle> wants. The bytes to write are copied in two steps: making room for them may raise. */
static int transport_next(lua_State *L, lua_Integer handle)
{
	struct engine *e = instance_lock();
	int slot = transport_slot(e, handle);
	enum engine_want want = engine_want(e, slot);
	size_t n = want == ENGINE_WANT_READ ? engine_need(e, slot) : 0;
	bool exact = engine_encrypted(e, slot);
	const char *data;
	luaL_Buffer b;
	char *room;

	if (want == ENGINE_WANT_WRITE)
		n = engine_peek(e, slot, &data);
	instance_unlock();
	if (want == ENGINE_WANT_READ)
		return transport_push_read(L, n, exact);
	if (want == ENGINE_WANT_CLOSE) {
		lua_pushliteral(L, "close");
		return 1;
	}
	lua_pushliteral(L, "write");
	room = luaL_buffinitsize(L, &b, n);
	e = instance_lock();
	if (engine_peek(e, transport_slot(e, handle), &data) >= n)
		memcpy(room, data, n);
	else
		n = 0; /* the connection failed meanwhile; its next call says close */
	instance_unlock();
	luaL_pushresultsize(&b, n);
	return 2;
}

/* connect(): handle, slot and address of a connection to open, or nil when there is none now. Of two
 * connections that are open at the same time the slots differ; they are small numbers and used again.
 */
static int transport_connect(lua_State *L)
{
	const char *address = NULL;
	struct engine *e = instance_lock();
	int slot = e ? engine_connect(e, instance_now()) : -1;
	lua_Integer handle = 0;

	if (slot >= 0) {
		handle = transport_handle(e, slot);
		address = engine_address(e, slot); /* lives as long as the engine */
	} else {
		instance_rung();
	}
	instance_unlock();
	if (slot < 0)
		return 0;
	lua_pushinteger(L, handle);
	lua_pushinteger(L, slot);
	lua_pushstring(L, address);
	return 3;
}

/* wants(handle): asks without moving it on. Before connected() only "close" says something. */
static int transport_wants(lua_State *L)
{
	return transport_next(L, luaL_checkinteger(L, 1));
}

static int transport_connected(lua_State *L)
{
	lua_Integer handle = luaL_checkinteger(L, 1);
	struct engine *e = instance_lock();

	engine_connected(e, transport_slot(e, handle), instance_now());
	instance_unlock();
	return transport_next(L, handle);
}

/* sent(handle, n): n bytes of what it wanted to write were handed to the socket. */
static int transport_sent(lua_State *L)
{
	lua_Integer handle = luaL_checkinteger(L, 1), n = luaL_checkinteger(L, 2);
	struct engine *e = instance_lock();

	engine_ack(e, transport_slot(e, handle), n > 0 ? (size_t)n : 0, instance_now());
	instance_unlock();
	return transport_next(L, handle);
}

static int transport_received(lua_State *L)
{
	lua_Integer handle = luaL_checkinteger(L, 1);
	size_t len;
	const char *data = luaL_checklstring(L, 2, &len);
	struct engine *e = instance_lock();

	engine_feed(e, transport_slot(e, handle), data, len, instance_now());
	instance_unlock();
	return transport_next(L, handle);
}

static int transport_ended(lua_State *L)
{
	lua_Integer handle = luaL_checkinteger(L, 1);
	struct engine *e = instance_lock();

	engine_eof(e, transport_slot(e, handle), instance_now());
	instance_unlock();
	return transport_next(L, handle);
}

static int transport_release(lua_State *L)
{
	lua_Integer handle = luaL_checkinteger(L, 1);
	struct engine *e = instance_lock();

	engine_release(e, transport_slot(e, handle), instance_now());
	instance_unlock();
	return 0;
}

/* tick(): lets time pass. */
static int transport_tick(lua_State *L)
{
	struct engine *e = instance_lock();
	uint64_t now = instance_now(); /* not before the lock: another thread may note a later time while it is waited for */

	(void)L;
	if (e) {
		engine_tick(e, now);
		cli_tick(e, now);
		config_tokens(e, now);
		instance_ticked(now);
	}
	instance_unlock();
	return 0;
}

/* working(): is there work, or something that waits for its time? After connect() said nil: a connection that may be opened now
 * is neither.
 */
static int transport_working(lua_State *L)
{
	uint64_t now = instance_now();
	const struct engine *e = instance_lock();
	bool busy = e && (engine_busy(e) || engine_deadline(e, now) != UINT64_MAX);

	instance_unlock();
	lua_pushboolean(L, busy);
	return 1;
}

/* stalled(): is there work, and has nobody ticked for too long? */
static int transport_stalled(lua_State *L)
{
	uint64_t now = instance_now();
	bool stalled;

	instance_lock();
	stalled = instance_stalled(now, TRANSPORT_STALL_MS);
	instance_unlock();
	lua_pushboolean(L, stalled);
	return 1;
}

/* expired(): the handle of a connection to cut; nil when there is no other. */
static int transport_expired(lua_State *L)
{
	struct engine *e = instance_lock();
	int slot = e ? engine_expired(e) : -1;
	lua_Integer handle = slot < 0 ? 0 : transport_handle(e, slot);

	instance_unlock();
	if (slot < 0)
		return 0;
	lua_pushinteger(L, handle);
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

/* connecting(address): which sockets are on their way there, opaque: for abort(). */
static int transport_connecting(lua_State *L)
{
	unsigned long inodes[DIAG_SOCKETS];
	size_t n = descriptor_connecting(luaL_checkstring(L, 1), inodes);

	lua_pushlstring(L, (const char *)inodes, n * sizeof(inodes[0]));
	return 1;
}

/* abort(address, others): ends the connection of HAProxy's that is still connecting there and began next
 * after connecting() told <others>; false when it found none.
 */
static int transport_abort(lua_State *L)
{
	unsigned long others[DIAG_SOCKETS];
	size_t len;
	const char *bytes = luaL_checklstring(L, 2, &len);

	luaL_argcheck(L, len <= sizeof(others), 2, "not from connecting()");
	memcpy(others, bytes, len);
	lua_pushboolean(L, descriptor_abort(luaL_checkstring(L, 1), others, len / sizeof(others[0])));
	return 1;
}

/* likely(address): for mark(), asked just before the connect. */
static int transport_likely(lua_State *L)
{
	lua_pushinteger(L, descriptor_likely(luaL_checkstring(L, 1)));
	return 1;
}

/* mark(address, likely): asked after it, of a unix socket: a number for end_marked(); nil for others. */
static int transport_mark(lua_State *L)
{
	unsigned long inode = 0;
	lua_Integer likely = luaL_checkinteger(L, 2);

	if (likely >= 0)
		inode = descriptor_claim(luaL_checkstring(L, 1), (int)likely);
	if (!inode)
		return 0;
	lua_pushinteger(L, (lua_Integer)inode);
	return 1;
}

/* end_marked(number): ends that socket; false when it is not there any more. */
static int transport_end_marked(lua_State *L)
{
	lua_pushboolean(L, descriptor_end((unsigned long)luaL_checkinteger(L, 1)));
	return 1;
}

void transport_register(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "wants", transport_wants },       { "connecting", transport_connecting },
		{ "connect", transport_connect },   { "connected", transport_connected },
		{ "sent", transport_sent },         { "received", transport_received },
		{ "ended", transport_ended },       { "release", transport_release },
		{ "tick", transport_tick },         { "expired", transport_expired },
		{ "working", transport_working },
		{ "log", transport_log },           { "note", transport_note },
		{ "shutdown", transport_shutdown }, { "abort", transport_abort },
		{ "stalled", transport_stalled },   { "likely", transport_likely },
		{ "mark", transport_mark },         { "end_marked", transport_end_marked },
		{ NULL, NULL },
	};

	luaL_setfuncs(L, functions, 0);
}
