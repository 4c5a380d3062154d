/*
 * server - see server.h, and server_internal.h for the two files that go with it.
 *
 * A watched server is a userdata that the closure of its subscription holds: it goes with the
 * subscription. It belongs to one Lua state, whose lock HAProxy holds while it runs, so it needs no
 * other.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "instance.h"
#include "nice.h"
#include "server_internal.h"

#define SERVER_KNOWN   "haproxy-mailers.servers" /* registry: proxy -> { puid -> rid }, what is watched */
#define SERVER_ADDED_S 1 /* events this close to SERVER_ADD may have had unseen ones before them */

/* Was the change of state mailed already, when the server was looked at? */
static bool server_was_told(const struct server *s, const struct alert_event *ev)
{
	bool down = ev->new_state == SERVER_STATE_STOPPED;

	return s->found && !ev->admin && down == (s->state == SERVER_STATE_STOPPED);
}

/* Was the server that was just added down before we could hear of it, and not only in maintenance?
 * Either the first look showed it, or the first event that we hear ends it.
 */
static bool server_was_down(const struct server *s, const struct alert_event *ev)
{
	bool fresh = s->added && s->state == SERVER_STATE_UNKNOWN && ev->when - s->added <= SERVER_ADDED_S &&
	             !(s->downs_known && !s->downs);

	return (s->untold || fresh) && !ev->admin && ev->old_state == SERVER_STATE_STOPPED;
}

/* A change of state: is it the next one, one that was mailed already, or one after lost ones? */
static void server_state_event(lua_State *L, struct server *s, const struct alert_event *ev, int reference,
                               char *info)
{
	bool told = server_was_told(s, ev), unseen = server_was_down(s, ev);

	if (unseen)
		server_outage_unseen(s, ev);
	server_outage_event_begin(s, ev);
	if (unseen)
		server_mail_found(L, s, SERVER_STATE_STOPPED, false, reference);
	else if (!s->found && s->state != SERVER_STATE_UNKNOWN && s->state != ev->old_state)
		s->gaps++;
	if (!told)
		server_mail_event(L, s, ev, reference, info);
	if (ev->new_state == SERVER_STATE_STOPPED && ev->old_state != SERVER_STATE_STOPPED)
		s->downs++;
	if (!ev->admin)
		s->untold = false; /* this event told it, or the mail above did */
	s->found = false;
	s->state = ev->new_state;
}

/* It left maintenance. HAProxy takes it for up then, and says so by an event, but for one that tracks a server that is
 * down: that one is down from now on, without an event.
 */
static void server_maintained(lua_State *L, struct server *s, int reference)
{
	struct server_look look;

	server_look_at(L, reference, &look);
	server_outage_look_begin(s, &look);
}

static void server_admin_event(lua_State *L, struct server *s, const struct alert_event *ev, int reference)
{
	bool drain = s->found_drain && ev->new_admin & SERVER_ADMIN_DRAIN;

	server_outage_event_begin(s, ev);
	if (s->untold && ev->new_admin & ~ev->old_admin & SERVER_ADMIN_MAINT) {
		server_mail_found(L, s, SERVER_STATE_STOPPED, false, reference);
		s->untold = false;
	}
	if (s->untold_drain && ev->old_admin & SERVER_ADMIN_DRAIN)
		server_mail_found(L, s, SERVER_STATE_RUNNING, true, reference);
	if ((ev->old_admin | ev->new_admin) & SERVER_ADMIN_DRAIN)
		s->untold_drain = false;
	if (!drain)
		server_mail_event(L, s, ev, reference, NULL);
	s->found_drain = false;
	s->admin = ev->new_admin;
	if (ev->old_admin & ~ev->new_admin & SERVER_ADMIN_MAINT)
		server_maintained(L, s, reference);
}

/* handler(event, data, subscription, when); upvalues: the watched server, the field names. */
static int server_handler(lua_State *L)
{
	struct server *s = lua_touserdata(L, lua_upvalueindex(1));
	int keys = lua_upvalueindex(2), reference;
	char info[ALERT_INFO_MAX] = "";
	struct alert_event ev;
	const char *name;

	if (!lua_checkstack(L, 2 * LUA_MINSTACK)) {
		server_mail_note(ALERT_LEVEL_ERR, s->name, "an event is lost: out of memory");
		return 0;
	}
	lua_settop(L, 4);
	name = lua_type(L, 1) == LUA_TSTRING ? lua_tostring(L, 1) : NULL;
	if (!event_decode(L, keys, name, 2, 4, &ev))
		return 0;
	event_reference(L, keys, 2);
	reference = lua_gettop(L);
	if (ev.type == ALERT_EVENT_STATE)
		server_state_event(L, s, &ev, reference, info);
	else if (ev.type == ALERT_EVENT_ADMIN)
		server_admin_event(L, s, &ev, reference);
	else
		server_mail_event(L, s, &ev, reference, NULL);
	if (ev.type != ALERT_EVENT_CHECK)
		server_outage_event_end(s, &ev, info);
	server_look_count(L, lua_upvalueindex(1), reference);
	return 0;
}

/* Pushes the watched server of the Server at 1 with its names copied behind it. */
static struct server *server_new(lua_State *L, struct proxy *proxy)
{
	static const char *const methods[] = { "get_name", "get_proxy" };
	/* proxy, server, via proxy, via server */
	const char *names[4] = { engine_proxy_name(proxy->engine), NULL, NULL, NULL };
	size_t size = sizeof(struct server), i;
	struct server *s;
	char *p;

	proxy_call(L, 1, methods[0]);
	names[1] = luaL_checkstring(L, -1);
	proxy_call(L, 1, "tracking");
	if (!lua_isnil(L, -1)) {
		proxy_call(L, -1, methods[1]);
		proxy_call(L, -1, methods[0]);
		names[2] = luaL_checkstring(L, -1);
		proxy_call(L, -3, methods[0]);
		names[3] = luaL_checkstring(L, -1);
	}
	for (i = 0; i < 4; i++)
		size += names[i] ? strlen(names[i]) + 1 : 0;
	size += strlen(names[0]) + 1 + strlen(names[1]) + 1;
	s = compat_newuserdata(L, size);
	memset(s, 0, size);
	s->proxy = proxy;
	server_outage_watch(L);
	p = s->bytes;
	for (i = 0; i < 4; i++) {
		if (!names[i])
			continue;
		memcpy(p, names[i], strlen(names[i]));
		names[i] = p;
		p += strlen(p) + 1;
	}
	sprintf(p, "%s/%s", names[0], names[1]);
	s->name = p;
	s->origin.proxy = names[0];
	s->origin.server = names[1];
	s->origin.via_proxy = names[2];
	s->origin.via_server = names[3];
	return s;
}

/* Pushes the table of what is watched of the proxy at 2, puid -> rid, and tells both of the Server at 1. A
 * puid is used again, with another rid.
 */
static void server_identify(lua_State *L, lua_Integer *puid, lua_Integer *rid)
{
	proxy_call(L, 1, "get_puid");
	*puid = lua_tointeger(L, -1); /* of a string of digits */
	proxy_call(L, 1, "get_rid");
	*rid = lua_tointeger(L, -1);
	lua_pop(L, 2);
	luaL_getsubtable(L, LUA_REGISTRYINDEX, SERVER_KNOWN);
	lua_pushvalue(L, 2);
	if (lua_rawget(L, -2) != LUA_TTABLE) {
		lua_pop(L, 1);
		lua_newtable(L);
		lua_pushvalue(L, 2);
		lua_pushvalue(L, -2);
		lua_rawset(L, -4);
	}
	lua_remove(L, -2);
}

/* Is the Server at 1 in drain by an administrator? */
static bool server_is_drained(lua_State *L)
{
	struct server_look look;
	bool weight;

	proxy_call(L, 1, "is_draining");
	if (!lua_toboolean(L, -1))
		return false;
	/* So it is at weight 0 too. The status tells which it is, while it is up. */
	server_look_at(L, 1, &look);
	proxy_call(L, 1, "get_weight");
	weight = lua_tointeger(L, -1) > 0;
	return look.drain || weight;
}

/* Subscribes to the events of the Server at 1 of the proxy at 2. */
static struct server *server_subscribe(lua_State *L)
{
	struct proxy *proxy = proxy_check(L, 2);
	struct server *s;
	size_t mark;
	int watched;

	s = server_new(L, proxy); /* the subscription will hold it */
	watched = lua_gettop(L);
	proxy_call(L, 1, "is_backup");
	s->origin.backup = lua_toboolean(L, -1);
	instance_lock();
	s->key = instance_key();
	instance_unlock();
	lua_getfield(L, 1, "event_sub");
	lua_pushvalue(L, 1);
	lua_createtable(L, 3, 0);
	lua_pushliteral(L, "SERVER_STATE");
	lua_rawseti(L, -2, 1);
	lua_pushliteral(L, "SERVER_ADMIN");
	lua_rawseti(L, -2, 2);
	if (proxy->checks) {
		lua_pushliteral(L, "SERVER_CHECK");
		lua_rawseti(L, -2, 3);
	}
	lua_pushvalue(L, watched);
	event_keys(L);
	lua_pushcclosure(L, server_handler, 2);
	mark = nice_mark(L);
	lua_call(L, 3, 0);
	nice_events(L, mark);
	lua_settop(L, watched);
	return s;
}

/* Watches the Server at 1 of the proxy at 2, and pushes its struct. NULL when it is watched already. */
static struct server *server_watch(lua_State *L)
{
	lua_Integer puid, rid;
	struct server *s;

	luaL_checkstack(L, 3 * LUA_MINSTACK, "mailers");
	lua_settop(L, 2);
	proxy_call(L, 1, "get_name");
	if (lua_isnil(L, -1))
		return NULL;
	lua_pop(L, 1);
	server_identify(L, &puid, &rid);
	if (lua_rawgeti(L, 3, puid) == LUA_TNUMBER && lua_tointeger(L, -1) == rid)
		return NULL;
	s = server_subscribe(L);
	lua_pushinteger(L, rid);
	lua_rawseti(L, 3, puid);
	return s;
}

int server_track(lua_State *L)
{
	struct server *s = server_watch(L);

	if (s) {
		if (server_is_drained(L))
			s->admin = SERVER_ADMIN_DRAIN;
		server_look_start(L, s, 1);
	}
	return 0;
}

int server_found(lua_State *L)
{
	struct server *s = server_watch(L);

	if (s) {
		s->added = (int64_t)time(NULL);
		server_look_first(L, lua_gettop(L), 1);
	}
	lua_pushboolean(L, s != NULL);
	return 1;
}

int server_added(lua_State *L)
{
	luaL_checkstack(L, LUA_MINSTACK, "mailers");
	server_look_added(L);
	lua_settop(L, 2);
	event_keys(L);
	event_reference(L, 3, 2);
	if (lua_isnil(L, 4)) /* deleted already */
		return 0;
	lua_copy(L, 4, 1);
	proxy_call(L, 1, "get_proxy");
	proxy_push(L, -1);
	if (lua_isnil(L, -1))
		return 0;
	lua_replace(L, 2);
	server_found(L);
	return 0;
}
