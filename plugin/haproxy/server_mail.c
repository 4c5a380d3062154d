/*
 * server_mail - see server_internal.h. Asks HAProxy for what the text of a mail needs, has it composed,
 * and hands it to the engine. Every question is a protected call: an error costs a part of the text, never the
 * mail. The engine is locked inside of server_mail_queue() and server_mail_note() only.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "instance.h"
#include "server_internal.h"

#define SERVER_WAKE     "haproxy-mailers.wake"
#define SERVER_REVIVE   "haproxy-mailers.revive"
#define SERVER_STALL_MS 5000 /* work waits and nobody ticked for so long: the driver's tasks are gone */

/* What collect asks HAProxy for, and where it puts the answers. */
struct server_facts {
	const struct server *server;
	const struct alert_event *event; /* NULL: a state that was found */
	struct alert_origin origin;
	char info[ALERT_INFO_MAX];
	int64_t lastchg; /* seconds since the server's state changed */
	bool has_lastchg;
};

void server_mail_note(enum alert_level level, const char *name, const char *format, ...)
{
	struct engine *e;
	char text[256];
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	e = instance_lock();
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

/* Copies stats[name] of the Server at <object> into f->info, and takes the time of its last change. */
static void server_info(lua_State *L, int object, const char *name, struct server_facts *f)
{
	const char *text = NULL;

	proxy_call(L, object, "get_stats");
	if (lua_istable(L, -1)) {
		lua_getfield(L, -1, name);
		text = lua_tostring(L, -1);
		snprintf(f->info, sizeof(f->info), "%s", text ? text : "");
		lua_getfield(L, -2, "lastchg");
		f->lastchg = lua_tointeger(L, -1);
		f->has_lastchg = lua_isnumber(L, -1);
		lua_pop(L, 2);
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
		server_info(L, 2, ev->check.agent ? "last_agt" : "last_chk", f);
	return 0;
}

/* Calls the function without arguments that stands in the registry under <name>; errors are logged. */
static void server_call_back(lua_State *L, const char *name)
{
	if (lua_getfield(L, LUA_REGISTRYINDEX, name) != LUA_TFUNCTION) {
		lua_pop(L, 1);
		return;
	}
	if (lua_pcall(L, 0, 0, 0) != LUA_OK) {
		server_mail_note(ALERT_LEVEL_ERR, name, "its call failed");
		lua_pop(L, 1);
		instance_lock();
		instance_rung(); /* the bell did not ring: let the next one try again */
		instance_unlock();
	}
}

void server_mail_wake(lua_State *L, bool ring, bool stalled)
{
	if (ring)
		server_call_back(L, SERVER_WAKE);
	if (stalled)
		server_call_back(L, SERVER_REVIVE);
}

/* The date of a mail; the last one is kept, as in a storm thousands of events have the same. */
static const char *server_mail_date(struct proxy *p, int64_t when)
{
	time_t t = (time_t)when;
	struct tm tm;

	if (p->date[0] && p->date_when == when)
		return p->date;
	localtime_r(&t, &tm);
	if (!strftime(p->date, sizeof(p->date), "%a, %d %b %Y %T %z (%Z)", &tm))
		p->date[0] = '\0';
	p->date_when = when;
	return p->date;
}

/* When the state began that a check report is about, as HAProxy counts it; what tells a change is its begin, <date>. */
static const char *server_mail_since(const struct server_facts *f, const struct alert_text *what, const char *date,
                                     int64_t when, char *out, size_t size)
{
	time_t t = (time_t)(when - f->lastchg);
	struct tm tm;

	if (what->change != ALERT_CHANGE_CHECK || !f->has_lastchg || f->lastchg < 0 || f->lastchg > when)
		return date;
	localtime_r(&t, &tm);
	return strftime(out, size, "%a, %d %b %Y %T %z (%Z)", &tm) ? out : date;
}

/* Hands a composed text to the engine and wakes who sends it. */
static void server_mail_queue(lua_State *L, const struct server_facts *f, const struct alert_text *what,
                              struct buffer *text, int64_t when)
{
	const struct server *s = f->server;
	char since[QUEUE_DATE_MAX];
	uint64_t now = instance_now();
	struct engine_alert alert = {
		.server = s->key, .name = s->name, .what = what, .outage = outage_mark(&s->outage, what->change),
	};
	struct template_alert fields;
	struct engine *e;
	bool ring, stalled;

	alert.text_len = text->len;
	buffer_add(text, "", 1);
	if (buffer_error(text)) {
		server_mail_note(ALERT_LEVEL_ERR, s->name, "an alert is lost: out of memory");
		return;
	}
	alert.text = text->data;
	alert.date = server_mail_date(s->proxy, when);
	if (engine_proxy_renders(s->proxy->engine)) {
		template_alert_fill(&fields, f->event, &f->origin, what, s->name, alert.text, alert.date,
		                    server_mail_since(f, what, alert.date, when, since, sizeof(since)), &alert.outage);
		alert.values = &fields.values;
	}
	e = instance_lock();
	if (!engine_busy(e))
		instance_ticked(now); /* nobody ticks an idle engine: a stall counts from here */
	engine_raise_alert(e, s->proxy->engine, &alert, now);
	ring = instance_ring();
	stalled = instance_stalled(now, SERVER_STALL_MS);
	instance_unlock();
	server_mail_wake(L, ring, stalled);
}

static void server_facts(lua_State *L, const struct server *s, int reference, struct server_facts *f)
{
	lua_pushcfunction(L, server_collect);
	lua_pushlightuserdata(L, f);
	lua_pushvalue(L, reference);
	if (lua_pcall(L, 2, 0, 0) != LUA_OK) {
		server_mail_note(ALERT_LEVEL_WARNING, s->name, "HAProxy refused a question, the text of an alert is shorter");
		lua_pop(L, 1);
	}
	f->origin.info = f->info;
	f->origin.draining = s->admin & SERVER_ADMIN_DRAIN;
	f->origin.stopped = s->state == SERVER_STATE_STOPPED;
}

void server_mail_event(lua_State *L, const struct server *s, const struct alert_event *ev, int reference,
                       char *info)
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
		server_mail_queue(L, &f, &what, &text, ev->when);
	}
	if (info)
		memcpy(info, f.info, sizeof(f.info));
	buffer_free(&text);
}

void server_mail_found(lua_State *L, const struct server *s, enum server_state state, bool drain, int reference)
{
	struct server_facts f = { .server = s, .origin = s->origin };
	struct buffer text = { 0 };
	struct alert_text what;

	server_facts(L, s, reference, &f);
	alert_compose_found(state, drain, &f.origin, &what, &text);
	if (engine_proxy_wants(s->proxy->engine, what.level))
		server_mail_queue(L, &f, &what, &text, time(NULL));
	buffer_free(&text);
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
