/*
 * server_outage - see server_internal.h. Tells the engine which servers are down, whatever the level of their
 * alerts: the metrics and the status page show it. A server in maintenance is not down, whatever its state.
 */
#include <stdio.h>

#include "instance.h"
#include "server_internal.h"

#define SERVER_METATABLE "haproxy-mailers.server"

static void server_outage_set(struct server *s, bool down, const char *why, uint64_t ago_ms)
{
	uint64_t now = instance_now();
	struct engine *e;

	if (down == s->down)
		return;
	e = instance_lock();
	if (e && down)
		s->outage = engine_outage_begin(e, s->proxy->engine, s->name, why, now > ago_ms ? now - ago_ms : 0);
	else if (e)
		engine_outage_end(e, s->proxy->engine, s->outage);
	instance_unlock();
	s->down = down;
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

void server_outage_event(struct server *s, const struct alert_event *ev, const char *info)
{
	bool down = s->down;
	char why[ALERT_DESC_MAX + ALERT_INFO_MAX + 64];

	if (s->admin & SERVER_ADMIN_MAINT)
		down = false;
	else if (s->state != SERVER_STATE_UNKNOWN)
		down = s->state == SERVER_STATE_STOPPED;
	/* Maintenance is told by two events, of which this is the first. */
	if (ev->type == ALERT_EVENT_STATE && ev->admin && down)
		return;
	server_outage_why(s, ev, info, why, sizeof(why));
	server_outage_set(s, down, why, 0);
}

void server_outage_look(struct server *s, const struct server_look *look)
{
	if (look->state != SERVER_STATE_UNKNOWN)
		server_outage_set(s, look->state == SERVER_STATE_STOPPED && !look->maint, "", look->ago_ms);
}

/* __gc: the server was deleted, and is gone from everywhere. */
static int server_outage_over(lua_State *L)
{
	server_outage_set(luaL_checkudata(L, 1, SERVER_METATABLE), false, "", 0);
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
