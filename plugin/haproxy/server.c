/*
 * server - see server.h.
 *
 * A watched server is a userdata that the closure of its subscription holds: it goes with the
 * subscription. It belongs to one Lua state, whose lock HAProxy holds while it runs, so it needs no
 * other. The engine is locked only inside of server_queue() and server_note().
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "event.h"
#include "instance.h"
#include "proxy.h"
#include "server.h"

#define SERVER_BURSTS "haproxy-mailers.bursts" /* registry: watched server -> Server, to look at later */
#define SERVER_WAKE   "haproxy-mailers.wake"
#define SERVER_REVIVE "haproxy-mailers.revive"
#define SERVER_STALL_MS 5000 /* work waits and nobody ticked for so long: the driver's tasks are gone */
#define SERVER_ADDED_S  1    /* events this close to SERVER_ADD may have had unseen ones before them */

struct server {
	struct proxy *proxy;
	uint64_t key;
	const char *name;                 /* "proxy/server" */
	struct alert_origin origin;       /* what does not change: names, via, backup */
	enum server_state state;          /* last known */
	unsigned admin;                   /* last known SERVER_ADMIN_* */
	unsigned burst;                   /* events in a row */
	uint64_t last_ms;                 /* when the last of them was handled */
	int64_t added;                    /* when SERVER_ADD was seen, 0 for one of the configuration */
	bool found_down;                  /* DOWN was found by looking, its event may still come */
	char bytes[];
};

/* What collect asks HAProxy for, and where it puts the answers. */
struct server_facts {
	const struct server *server;
	const struct alert_event *event; /* NULL: a state that was found */
	struct alert_origin origin;
	char info[ALERT_INFO_MAX];
};

/* What a look at a server shows. */
struct server_look {
	enum server_state state;
	bool maint, drain;
};

static void server_note(enum alert_level level, const char *text, const char *name)
{
	struct engine *e = instance_lock();

	if (e)
		engine_log(e, level, "mailers: %s: %s", name, text);
	instance_unlock();
}

static lua_Integer server_number(lua_State *L, int object, const char *method)
{
	lua_Integer n;

	proxy_call(L, object, method);
	n = lua_tointeger(L, -1);
	lua_pop(L, 1);
	return n;
}

/* Copies stats[name] of the Server at <object> into <out>. */
static void server_stat(lua_State *L, int object, const char *name, char *out, size_t size)
{
	const char *text = NULL;

	proxy_call(L, object, "get_stats");
	if (lua_istable(L, -1)) {
		lua_getfield(L, -1, name);
		text = lua_tostring(L, -1);
		snprintf(out, size, "%s", text ? text : "");
		lua_pop(L, 1);
	}
	lua_pop(L, 1);
}

/* Protected: fills facts (1) from the Server (2), nil when it was deleted meanwhile. The cheap and sure
 * answers come first, so that an error costs the least.
 */
static int server_collect(lua_State *L)
{
	struct server_facts *f = lua_touserdata(L, 1);
	const struct alert_event *ev = f->event;

	lua_rawgeti(L, LUA_REGISTRYINDEX, f->server->proxy->object);
	f->origin.active_servers = (unsigned)server_number(L, 3, "get_srv_act");
	f->origin.backup_servers = (unsigned)server_number(L, 3, "get_srv_bck");
	if (lua_isnil(L, 2))
		return 0;
	f->origin.sessions = (unsigned)server_number(L, 2, "get_cur_sess");
	f->origin.queued = (unsigned)server_number(L, 2, "get_pend_conn");
	if (!ev)
		return 0;
	if (ev->type == ALERT_EVENT_CHECK)
		f->origin.weight_zero = !server_number(L, 2, "get_weight");
	if (ev->has_check)
		server_stat(L, 2, ev->check.agent ? "last_agt" : "last_chk", f->info, sizeof(f->info));
	return 0;
}

/* Calls the function of one argument that stands in the registry under <name>; errors are logged. */
static void server_call_back(lua_State *L, const char *name)
{
	if (lua_getfield(L, LUA_REGISTRYINDEX, name) != LUA_TFUNCTION) {
		lua_pop(L, 1);
		return;
	}
	if (lua_pcall(L, 0, 0, 0) != LUA_OK) {
		server_note(ALERT_LEVEL_ERR, "its call failed", name);
		lua_pop(L, 1);
		instance_lock();
		instance_rung(); /* the bell did not ring: let the next one try again */
		instance_unlock();
	}
}

static void server_wake(lua_State *L, bool ring, bool stalled)
{
	if (ring)
		server_call_back(L, SERVER_WAKE);
	if (stalled)
		server_call_back(L, SERVER_REVIVE);
}

/* Hands a composed text to the engine and wakes who sends it. */
static void server_queue(lua_State *L, const struct server *s, const struct alert_text *what,
                         const struct buffer *text, int64_t when)
{
	char date[QUEUE_DATE_MAX];
	uint64_t now = instance_now();
	time_t t = (time_t)when;
	struct engine *e;
	bool ring, stalled;
	struct tm tm;

	if (buffer_error(text)) {
		server_note(ALERT_LEVEL_ERR, "an alert is lost: out of memory", s->name);
		return;
	}
	localtime_r(&t, &tm);
	if (!strftime(date, sizeof(date), "%a, %d %b %Y %T %z (%Z)", &tm))
		date[0] = '\0';
	e = instance_lock();
	if (!engine_busy(e))
		instance_ticked(now); /* nobody ticks an idle engine: a stall counts from here */
	engine_raise(e, s->proxy->engine, s->key, s->name, what, text->data, text->len, date, now);
	ring = instance_ring();
	stalled = instance_stalled(now, SERVER_STALL_MS);
	instance_unlock();
	server_wake(L, ring, stalled);
}

/* Asks HAProxy for what the text needs; <reference> is the index of the Server or nil. */
static void server_facts(lua_State *L, const struct server *s, int reference, struct server_facts *f)
{
	lua_pushcfunction(L, server_collect);
	lua_pushlightuserdata(L, f);
	lua_pushvalue(L, reference);
	if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
		server_note(ALERT_LEVEL_WARNING, "HAProxy refused a question, the text of an alert is shorter", s->name);
		lua_pop(L, 1);
	}
	f->origin.info = f->info;
	f->origin.draining = s->admin & SERVER_ADMIN_DRAIN;
	f->origin.stopped = s->state == SERVER_STATE_STOPPED;
}

/* Mails <ev> when the native sender would. */
static void server_mail(lua_State *L, const struct server *s, const struct alert_event *ev, int reference)
{
	struct server_facts f = { .server = s, .event = ev, .origin = s->origin };
	struct buffer text = { 0 };
	struct alert_text what;

	/* Once without the facts that cost calls: most events of a quiet level end here. */
	f.origin.draining = s->admin & SERVER_ADMIN_DRAIN;
	if (alert_compose(ev, &f.origin, &what, &text) && engine_proxy_wants(s->proxy->engine, what.level)) {
		buffer_clear(&text);
		server_facts(L, s, reference, &f);
		alert_compose(ev, &f.origin, &what, &text);
		server_queue(L, s, &what, &text, ev->when);
	}
	buffer_free(&text);
}

/* Mails a state that no event told. */
static void server_mail_found(lua_State *L, const struct server *s, enum server_state state, bool drain, int reference)
{
	struct server_facts f = { .server = s, .origin = s->origin };
	struct buffer text = { 0 };
	struct alert_text what;

	server_facts(L, s, reference, &f);
	alert_compose_found(state, drain, &f.origin, &what, &text);
	if (engine_proxy_wants(s->proxy->engine, what.level))
		server_queue(L, s, &what, &text, time(NULL));
	buffer_free(&text);
}

static bool server_is_up(enum server_state state)
{
	return state == SERVER_STATE_RUNNING || state == SERVER_STATE_STARTING;
}

/* A change of state: is it the next one, one that was mailed already, or one after lost ones? */
static void server_state_event(lua_State *L, struct server *s, const struct alert_event *ev, int reference)
{
	bool told = s->found_down && ev->new_state == SERVER_STATE_STOPPED && !ev->admin;
	bool fresh = s->added && s->state == SERVER_STATE_UNKNOWN && ev->when - s->added <= SERVER_ADDED_S;

	if (fresh && !ev->admin && ev->old_state == SERVER_STATE_STOPPED && server_is_up(ev->new_state))
		server_mail_found(L, s, SERVER_STATE_STOPPED, false, reference); /* it went down before we could hear it */
	else if (!s->found_down && s->state != SERVER_STATE_UNKNOWN && s->state != ev->old_state)
		server_note(ALERT_LEVEL_WARNING, "HAProxy dropped events of this server: some of its alerts are missing", s->name);
	s->found_down = false;
	if (!told)
		server_mail(L, s, ev, reference);
	s->state = ev->new_state;
}

/* Protected: puts the Server (2) on the list of those to look at (1: the watched server). */
static int server_list(lua_State *L)
{
	luaL_getsubtable(L, LUA_REGISTRYINDEX, SERVER_BURSTS);
	lua_pushvalue(L, 1);
	lua_pushvalue(L, 2);
	lua_settable(L, 3);
	return 0;
}

/* Counts events in a row; a server that had many is looked at when it is quiet again. */
static void server_count(lua_State *L, struct server *s, int watched, int reference)
{
	uint64_t now = instance_now();
	bool ring;

	s->burst = now - s->last_ms < SERVER_BURST_MS ? s->burst + 1 : 1;
	s->last_ms = now;
	if (s->burst != SERVER_BURST || lua_isnil(L, reference))
		return;
	lua_pushcfunction(L, server_list);
	lua_pushvalue(L, watched);
	lua_pushvalue(L, reference);
	if (lua_pcall(L, 2, 0, 0) != LUA_OK)
		lua_pop(L, 1);
	instance_lock();
	ring = instance_ring();
	instance_unlock();
	server_wake(L, ring, false);
}

/* handler(event, data, subscription, when); upvalues: the watched server, the field names. */
static int server_handler(lua_State *L)
{
	struct server *s = lua_touserdata(L, lua_upvalueindex(1));
	int keys = lua_upvalueindex(2), reference;
	struct alert_event ev;
	const char *name;

	if (!lua_checkstack(L, 2 * LUA_MINSTACK)) {
		server_note(ALERT_LEVEL_ERR, "an event is lost: out of memory", s->name);
		return 0;
	}
	lua_settop(L, 4);
	name = lua_type(L, 1) == LUA_TSTRING ? lua_tostring(L, 1) : NULL;
	if (!event_decode(L, keys, name, 2, 4, &ev))
		return 0;
	event_reference(L, keys, 2);
	reference = lua_gettop(L);
	if (ev.type == ALERT_EVENT_STATE) {
		server_state_event(L, s, &ev, reference);
	} else {
		server_mail(L, s, &ev, reference);
		if (ev.type == ALERT_EVENT_ADMIN)
			s->admin = ev.new_admin;
	}
	server_count(L, s, lua_upvalueindex(1), reference);
	return 0;
}

/* Protected: looks at the Server (2) for (1), a struct server_look. */
static int server_look(lua_State *L)
{
	struct server_look *look = lua_touserdata(L, 1);
	char status[64];

	*look = (struct server_look){ .state = SERVER_STATE_UNKNOWN };
	status[0] = '\0';
	server_stat(L, 2, "status", status, sizeof(status));
	look->maint = !strncmp(status, "MAINT", 5);
	look->drain = !strncmp(status, "DRAIN", 5);
	if (!strncmp(status, "DOWN", 4) || look->maint)
		look->state = SERVER_STATE_STOPPED;
	else if (!strncmp(status, "NOLB", 4))
		look->state = SERVER_STATE_STOPPING;
	else if (status[0])
		look->state = SERVER_STATE_RUNNING;
	return 0;
}

/* Compares the Server at <reference> with what is known of it, and mails what was missed. */
static void server_compare(lua_State *L, struct server *s, int reference)
{
	struct server_look look;

	lua_pushcfunction(L, server_look);
	lua_pushlightuserdata(L, &look);
	lua_pushvalue(L, reference);
	if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
		lua_pop(L, 1);
		return;
	}
	if (look.maint || look.state == SERVER_STATE_UNKNOWN)
		return;
	if (look.state == SERVER_STATE_STOPPED && s->state != SERVER_STATE_STOPPED) {
		if (!s->added)
			server_note(ALERT_LEVEL_WARNING, "HAProxy dropped events of this server: it is DOWN now", s->name);
		server_mail_found(L, s, SERVER_STATE_STOPPED, false, reference);
		s->state = SERVER_STATE_STOPPED;
		s->found_down = true;
	} else if (look.state == SERVER_STATE_RUNNING && s->state == SERVER_STATE_STOPPED &&
	           !(s->admin & SERVER_ADMIN_MAINT)) {
		server_note(ALERT_LEVEL_WARNING, "HAProxy dropped events of this server: it is UP now", s->name);
		server_mail_found(L, s, SERVER_STATE_RUNNING, false, reference);
		s->state = SERVER_STATE_RUNNING;
	}
	if (look.drain && !(s->admin & SERVER_ADMIN_DRAIN)) {
		server_mail_found(L, s, look.state, true, reference);
		s->admin |= SERVER_ADMIN_DRAIN;
	}
}

/* Pushes the watched server of the Server at 1 with its names copied behind it. */
static struct server *server_new(lua_State *L, struct proxy *proxy)
{
	static const char *const methods[] = { "get_name", "get_proxy" };
	const char *names[4] = { engine_proxy_name(proxy->engine), NULL, NULL, NULL }; /* proxy, server, via proxy, via server */
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

/* Subscribes to the events of the Server at 1 of the proxy at 2; pushes the watched server. */
static struct server *server_subscribe(lua_State *L)
{
	struct proxy *proxy = proxy_check(L, 2);
	struct server_look look;
	struct server *s;
	int watched;

	luaL_checkstack(L, 2 * LUA_MINSTACK, "mailers");
	s = server_new(L, proxy);
	watched = lua_gettop(L);
	proxy_call(L, 1, "is_backup");
	s->origin.backup = lua_toboolean(L, -1);
	proxy_call(L, 1, "is_draining");
	if (lua_toboolean(L, -1)) { /* true at weight 0 too, where the status tells which it is */
		lua_pushcfunction(L, server_look);
		lua_pushlightuserdata(L, &look);
		lua_pushvalue(L, 1);
		lua_call(L, 2, 0);
		if (look.drain || server_number(L, 1, "get_weight") > 0)
			s->admin = SERVER_ADMIN_DRAIN;
	}
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
	lua_call(L, 3, 0);
	lua_settop(L, watched);
	return s;
}

int server_track(lua_State *L)
{
	lua_settop(L, 2);
	server_subscribe(L);
	return 0;
}

int server_added(lua_State *L)
{
	struct server *s;

	luaL_checkstack(L, 2 * LUA_MINSTACK, "mailers");
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
	s = server_subscribe(L);
	s->added = (int64_t)time(NULL);
	server_compare(L, s, 1);
	return 0;
}

int server_reconcile(lua_State *L)
{
	uint64_t now = instance_now();
	lua_Integer left = 0;

	lua_settop(L, 0);
	luaL_getsubtable(L, LUA_REGISTRYINDEX, SERVER_BURSTS);
	for (lua_pushnil(L); lua_next(L, 1); lua_settop(L, 2)) {
		struct server *s = lua_touserdata(L, 2);

		if (now - s->last_ms < SERVER_BURST_MS) {
			left++;
			continue;
		}
		s->burst = 0;
		server_compare(L, s, 3);
		lua_pushvalue(L, 2); /* clearing a field is allowed while traversing */
		lua_pushnil(L);
		lua_settable(L, 1);
	}
	lua_pushinteger(L, left);
	return 1;
}

int server_on_wake(lua_State *L)
{
	luaL_checktype(L, 1, LUA_TFUNCTION);
	luaL_checktype(L, 2, LUA_TFUNCTION);
	lua_settop(L, 2);
	lua_setfield(L, LUA_REGISTRYINDEX, SERVER_REVIVE);
	lua_setfield(L, LUA_REGISTRYINDEX, SERVER_WAKE);
	return 0;
}
