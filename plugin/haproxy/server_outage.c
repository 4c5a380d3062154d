/*
 * server_outage - see server_internal.h. Knows when a server is down, from events and looks, whatever the level of
 * their alerts: the alerts carry it, the metrics and the status page show it. A server in maintenance is not down,
 * whatever its state.
 */
#include <stdio.h>

#include "instance.h"
#include "server_internal.h"

#define SERVER_METATABLE "haproxy-mailers.server"
#define SERVER_SLACK_MS  2000 /* HAProxy's "since", in whole seconds, and ours may differ by so much */

/* Tells the engine that the server is down, if it was not told. */
static void server_outage_tell(struct server *s, const char *why)
{
	struct engine *e;

	if (s->counted)
		return;
	e = instance_lock();
	if (e)
		s->entry = engine_outage_begin(e, s->proxy->engine, s->name, why, s->outage.since_ms);
	s->counted = e != NULL;
	instance_unlock();
}

/* It is not down: ends what there is, for the engine too. */
static void server_outage_end(struct server *s)
{
	struct engine *e;

	outage_end(&s->outage, s->state == SERVER_STATE_STARTING);
	if (!s->counted)
		return;
	e = instance_lock();
	if (e)
		engine_outage_end(e, s->proxy->engine, s->entry);
	instance_unlock();
	s->counted = false;
	s->entry = NULL;
}

/* Why a server changed its state, in short: "Layer7 wrong status, code 503: Service Unavailable". */
static void server_outage_why(const struct server *s, const struct alert_event *ev, const char *info, char *out,
                              size_t size)
{
	char code[32] = "";

	if (ev->has_check && ev->check.has_code && ev->check.code)
		snprintf(code, sizeof(code), ", code %d", ev->check.code);
	if (ev->cause[0])
		snprintf(out, size, "%s", ev->cause);
	else if (ev->has_check)
		snprintf(out, size, "%s%s%s%s", ev->check.desc, code, info[0] ? ": " : "", info);
	else if (s->origin.via_server)
		snprintf(out, size, "via %.60s/%.60s", s->origin.via_proxy, s->origin.via_server);
	else
		out[0] = '\0';
}

/* Is the server down after <ev>? It may be the server's state already, or not yet. */
static bool server_outage_is(const struct server *s, const struct alert_event *ev)
{
	unsigned admin = ev->type == ALERT_EVENT_ADMIN ? ev->new_admin : s->admin;
	enum server_state state = ev->type == ALERT_EVENT_STATE ? ev->new_state : s->state;

	if (admin & SERVER_ADMIN_MAINT)
		return false;
	/* Maintenance stops a server, and is told by two events: what the state is behind it the first cannot tell. */
	if (ev->type == ALERT_EVENT_ADMIN || (ev->admin && state == SERVER_STATE_STOPPED))
		return s->outage.down;
	return state == SERVER_STATE_UNKNOWN ? s->outage.down : state == SERVER_STATE_STOPPED;
}

/* Does it go down anew, though it was never told that it came up? The event of that is lost. */
static bool server_outage_again(const struct server *s, const struct alert_event *ev)
{
	return s->outage.down && ev->type == ALERT_EVENT_STATE && !ev->admin && !s->found &&
	       s->state == SERVER_STATE_STOPPED && ev->old_state != SERVER_STATE_STOPPED;
}

void server_outage_event_begin(struct server *s, const struct alert_event *ev)
{
	uint64_t now = instance_now();

	if (!server_outage_is(s, ev)) {
		outage_until(&s->outage, now);
		return;
	}
	if (server_outage_again(s, ev))
		server_outage_end(s);
	outage_begin(&s->outage, now);
}

void server_outage_event_end(struct server *s, const struct alert_event *ev, const char *info)
{
	char why[ALERT_DESC_MAX + ALERT_INFO_MAX + 64];

	if (!server_outage_is(s, ev)) {
		server_outage_end(s);
		return;
	}
	server_outage_why(s, ev, info, why, sizeof(why));
	if (s->outage.down)
		server_outage_tell(s, why);
}

void server_outage_look_begin(struct server *s, const struct server_look *look)
{
	uint64_t now = instance_now(), since = now > look->ago_ms ? now - look->ago_ms : 0;

	if (look->state == SERVER_STATE_UNKNOWN)
		return;
	if (look->state != SERVER_STATE_STOPPED || look->maint) {
		outage_until(&s->outage, since);
		return;
	}
	/* Of another outage than the one that is known: what told its end is lost. */
	if (s->outage.down && since > s->outage.since_ms + SERVER_SLACK_MS)
		server_outage_end(s);
	outage_begin(&s->outage, since);
	server_outage_tell(s, "");
}

void server_outage_look_end(struct server *s, const struct server_look *look)
{
	if (look->state != SERVER_STATE_UNKNOWN && (look->state != SERVER_STATE_STOPPED || look->maint))
		server_outage_end(s);
}

void server_outage_unseen(struct server *s, const struct alert_event *ev)
{
	uint64_t now = instance_now(), ago_ms = (uint64_t)(ev->when > s->added ? ev->when - s->added : 0) * 1000;

	outage_begin(&s->outage, now > ago_ms ? now - ago_ms : 0);
}

/* __gc: the server was deleted, and is gone from everywhere. */
static int server_outage_over(lua_State *L)
{
	server_outage_end(luaL_checkudata(L, 1, SERVER_METATABLE));
	return 0;
}

void server_outage_watch(lua_State *L)
{
	if (luaL_newmetatable(L, SERVER_METATABLE)) {
		lua_pushcfunction(L, server_outage_over);
		lua_setfield(L, -2, "__gc");
	}
	lua_setmetatable(L, -2);
}
