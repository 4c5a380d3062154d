/*
 * server_look - see server_internal.h. HAProxy drops events without a word to the one who waits for them:
 * those of a subscription while more than 100 of it wait, until all that waited are handled. Two
 * subscriptions can get there, and what is missed is found by looking:
 *
 *   a server's    after many events in a row, and a pause, its state is compared with the last one told. A
 *                 state that was missed is mailed. How many ends of the server were told is compared with
 *                 HAProxy's own count, for an even number of lost events leaves no other trace.
 *   SERVER_ADD    after many in a row all servers are gone through, and the unknown ones are watched.
 *
 * An event that was published but not handled yet looks like a lost one, for a server that was just added
 * too. So a picture that does not fit must still be there one look later with no event in between; and the
 * events that come after all are not mailed again (<found>).
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "instance.h"
#include "server_internal.h"

#define SERVER_BURSTS "haproxy-mailers.bursts" /* registry: watched server -> Server, to look at later */
#define SERVER_ADDS   "haproxy-mailers.adds"   /* registry: struct server_adds */
#define SERVER_UNTOLD  100                     /* so many events may wait: in a burst of no more none is lost */
#define SERVER_LOOKS   200                     /* looks of one call of reconcile(): 2 to 4 ms */
#define SERVER_LOOK_MS 100                     /* from one look at a server to the next */

struct server_adds {
	unsigned burst;   /* SERVER_ADD in a row */
	uint64_t last_ms; /* the last of them */
	uint64_t due_ms;  /* when all servers are gone through; 0 when there is no need */
};

/* Protected: looks at the Server (2) for (1), a struct server_look. */
static int server_ask(lua_State *L)
{
	struct server_look *look = lua_touserdata(L, 1);
	const char *status;

	proxy_call(L, 2, "get_stats");
	if (!lua_istable(L, 3))
		return 0;
	look->has_downs = lua_getfield(L, 3, "chkdown") == LUA_TNUMBER;
	look->downs = (uint64_t)lua_tointeger(L, -1);
	lua_getfield(L, 3, "lastchg"); /* seconds */
	look->ago_ms = (uint64_t)lua_tointeger(L, -1) * 1000;
	lua_getfield(L, 3, "status");
	status = lua_tostring(L, -1);
	if (!status)
		return 0;
	look->maint = !strncmp(status, "MAINT", 5);
	look->drain = !strncmp(status, "DRAIN", 5);
	if (!strncmp(status, "DOWN", 4) || look->maint)
		look->state = SERVER_STATE_STOPPED;
	else if (!strncmp(status, "NOLB", 4))
		look->state = SERVER_STATE_STOPPING;
	else
		look->state = SERVER_STATE_RUNNING;
	return 0;
}

void server_look_at(lua_State *L, int reference, struct server_look *look)
{
	*look = (struct server_look){ .state = SERVER_STATE_UNKNOWN };
	lua_pushcfunction(L, server_ask);
	lua_pushlightuserdata(L, look);
	lua_pushvalue(L, reference);
	if (lua_pcall(L, 2, 0, 0) != LUA_OK)
		lua_pop(L, 1);
}

static bool server_is_up(enum server_state state)
{
	return state == SERVER_STATE_RUNNING || state == SERVER_STATE_STARTING;
}

/* Does what is seen lack a mail? A state that was never told is no change. */
static bool server_missed_state(const struct server *s, const struct server_look *look)
{
	if (look->maint || s->admin & SERVER_ADMIN_MAINT || s->state == SERVER_STATE_UNKNOWN)
		return false;
	return (look->state == SERVER_STATE_STOPPED && s->state != SERVER_STATE_STOPPED) ||
	       (look->state == SERVER_STATE_RUNNING && s->state == SERVER_STATE_STOPPED);
}

/* Is it what the first look showed, and no event told? */
static bool server_still_untold(const struct server *s, const struct server_look *look)
{
	return s->untold && look->state == SERVER_STATE_STOPPED && !look->maint;
}

static bool server_missed_drain(const struct server *s, const struct server_look *look)
{
	return look->drain && !(s->admin & SERVER_ADMIN_DRAIN);
}

/* Ends of the server that no event told. Only a burst can have lost some; in all other cases HAProxy's
 * count differs because it was set back, or did not begin at 0.
 */
static uint64_t server_missed_downs(const struct server *s, const struct server_look *look)
{
	if (!look->has_downs || s->burst <= SERVER_UNTOLD || look->downs <= s->downs)
		return 0;
	return look->downs - s->downs;
}

static const char *server_now(const struct server_look *look)
{
	static const char *const words[] = {
		[SERVER_STATE_UNKNOWN] = "", [SERVER_STATE_STOPPED] = "; it is DOWN now",
		[SERVER_STATE_STARTING] = "; it is UP now", [SERVER_STATE_RUNNING] = "; it is UP now",
		[SERVER_STATE_STOPPING] = "; it is stopping now",
	};

	return look->maint ? "; it is in maintenance now" : words[look->state];
}

/* Says what is known to be lost, or that it is not known. */
static void server_tell(const struct server *s, const struct server_look *look, bool lost, uint64_t downs)
{
	char times[64] = "";

	if (downs && s->downs_known)
		snprintf(times, sizeof(times), ", %llu times DOWN among them", (unsigned long long)downs);
	if (lost)
		server_mail_note(ALERT_LEVEL_WARNING, s->name, "HAProxy dropped events of this server%s: some of its "
		                 "alerts are missing%s", times, server_now(look));
	else if (s->burst > SERVER_UNTOLD && !look->has_downs)
		server_mail_note(ALERT_LEVEL_NOTICE, s->name, "%u events of this server came in a row: HAProxy may have "
		                 "dropped others, and does not say so%s", s->burst, server_now(look));
	else if (s->burst > SERVER_UNTOLD)
		server_mail_note(ALERT_LEVEL_INFO, s->name, "%u events of this server came in a row, none was dropped%s",
		                 s->burst, server_now(look));
}

/* Takes over what was seen, with a mail for what was missed. */
static void server_adopt(lua_State *L, struct server *s, const struct server_look *look, int reference)
{
	bool state = server_missed_state(s, look) || server_still_untold(s, look);
	bool drain = server_missed_drain(s, look);

	server_outage_look_begin(s, look);
	if (look->maint)
		s->admin |= SERVER_ADMIN_MAINT;
	else
		s->admin &= ~SERVER_ADMIN_MAINT;
	if (drain)
		s->admin |= SERVER_ADMIN_DRAIN;
	else if (look->state == SERVER_STATE_RUNNING && !look->drain)
		s->admin &= ~SERVER_ADMIN_DRAIN;
	if (!(look->state == SERVER_STATE_RUNNING && server_is_up(s->state)))
		s->state = look->state;
	if (state) {
		server_mail_found(L, s, look->state, false, reference);
		s->found = true;
	}
	if (drain) {
		server_mail_found(L, s, look->state, true, reference);
		s->found_drain = true;
	}
	server_outage_look_end(s, look);
}

/* Looks at a server whose burst is over, or that was added. False when it has to be looked at once more. */
static bool server_compare(lua_State *L, struct server *s, int reference)
{
	struct server_look look;
	uint64_t downs;
	bool lost;

	server_look_at(L, reference, &look);
	downs = server_missed_downs(s, &look);
	lost = server_missed_state(s, &look) || downs || (server_missed_drain(s, &look) && !s->untold_drain);
	if ((lost || s->untold || s->untold_drain) && !s->doubt) {
		s->doubt = true;
		return false;
	}
	server_tell(s, &look, lost || s->gaps, downs);
	if (look.state != SERVER_STATE_UNKNOWN) { /* of a deleted server events may still come */
		server_adopt(L, s, &look, reference);
		s->untold = s->untold_drain = false;
	}
	if (look.has_downs) {
		s->downs = look.downs;
		s->downs_known = true;
	}
	s->burst = s->gaps = 0;
	s->doubt = s->listed = false;
	return true;
}

/* What HAProxy's own sender mails at the start for a server that was down in the state file. It went down in
 * this process, before anyone could subscribe.
 */
static void server_mail_start(lua_State *L, const struct server *s, int reference)
{
	struct alert_event ev = {
		.type = ALERT_EVENT_STATE, .when = time(NULL),
		.old_state = SERVER_STATE_RUNNING, .new_state = SERVER_STATE_STOPPED,
	};

	if (!s->origin.via_server)
		snprintf(ev.cause, sizeof(ev.cause), "changed from server-state after a reload");
	server_mail_event(L, s, &ev, reference, NULL);
}

/* A first look. True when the server is down and was not always: it may begin its life so (init-state),
 * which is no news.
 */
static bool server_went_down(lua_State *L, struct server *s, int reference, struct server_look *look)
{
	server_look_at(L, reference, look);
	s->downs_known = look->has_downs;
	s->downs = look->downs;
	server_outage_look_begin(s, look);
	server_outage_look_end(s, look);
	return look->state == SERVER_STATE_STOPPED && !look->maint && !(look->has_downs && !look->downs);
}

void server_look_start(lua_State *L, struct server *s, int reference)
{
	struct server_look look;

	if (!server_went_down(L, s, reference, &look))
		return;
	server_mail_start(L, s, reference);
	s->state = SERVER_STATE_STOPPED;
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

/* Wakes the driver, which ticks until there is nothing to look at. */
static void server_ring(lua_State *L)
{
	bool ring;

	instance_lock();
	ring = instance_ring();
	instance_unlock();
	server_mail_wake(L, ring, false);
}

static void server_look_later(lua_State *L, int watched, int reference)
{
	struct server *s = lua_touserdata(L, watched);

	if (s->listed || lua_isnil(L, reference))
		return;
	lua_pushcfunction(L, server_list);
	lua_pushvalue(L, watched);
	lua_pushvalue(L, reference);
	s->listed = lua_pcall(L, 2, 0, 0) == LUA_OK;
	if (!s->listed)
		lua_pop(L, 1);
	server_ring(L);
}

void server_look_count(lua_State *L, int watched, int reference)
{
	struct server *s = lua_touserdata(L, watched);
	uint64_t now = instance_now();

	s->burst = now - s->last_ms < SERVER_BURST_MS ? s->burst + 1 : 1;
	s->last_ms = now;
	s->doubt = false;
	if (s->burst >= SERVER_BURST || s->gaps)
		server_look_later(L, watched, reference);
}

void server_look_first(lua_State *L, int watched, int reference)
{
	struct server *s = lua_touserdata(L, watched);
	struct server_look look;

	s->untold = server_went_down(L, s, reference, &look);
	s->untold_drain = server_missed_drain(s, &look);
	if (s->untold || s->untold_drain)
		server_look_later(L, watched, reference);
}

/* Made at the first call; may raise then. */
static struct server_adds *server_adds(lua_State *L)
{
	struct server_adds *adds;

	if (lua_getfield(L, LUA_REGISTRYINDEX, SERVER_ADDS) != LUA_TUSERDATA) {
		lua_pop(L, 1);
		adds = compat_newuserdata(L, sizeof(*adds));
		*adds = (struct server_adds){ 0 };
		lua_pushvalue(L, -1);
		lua_setfield(L, LUA_REGISTRYINDEX, SERVER_ADDS);
	}
	adds = lua_touserdata(L, -1);
	lua_pop(L, 1);
	return adds;
}

void server_look_added(lua_State *L)
{
	struct server_adds *adds = server_adds(L);
	uint64_t now = instance_now();

	adds->burst = now - adds->last_ms < SERVER_BURST_MS ? adds->burst + 1 : 1;
	adds->last_ms = now;
	if (adds->burst < SERVER_BURST || adds->due_ms)
		return;
	/* Also amid the burst; those that come after it set it again. */
	adds->due_ms = now + SERVER_BURST_MS;
	server_ring(L);
}

/* Is it time to look at the server? */
static bool server_is_due(const struct server *s, uint64_t now)
{
	return now - s->last_ms >= SERVER_BURST_MS && now - s->looked_ms >= SERVER_LOOK_MS;
}

int server_reconcile(lua_State *L)
{
	struct server_adds *adds = server_adds(L);
	uint64_t now = instance_now();
	bool due = adds->due_ms && now >= adds->due_ms, left = false;
	int looks = 0;

	lua_settop(L, 0);
	luaL_getsubtable(L, LUA_REGISTRYINDEX, SERVER_BURSTS);
	for (lua_pushnil(L); looks < SERVER_LOOKS && lua_next(L, 1); lua_settop(L, 2)) {
		struct server *s = lua_touserdata(L, 2);

		if (!server_is_due(s, now)) {
			left = true;
			continue;
		}
		looks++;
		s->looked_ms = now;
		if (!server_compare(L, s, 3)) {
			left = true;
			continue;
		}
		lua_pushvalue(L, 2); /* clearing a field is allowed while traversing */
		lua_pushnil(L);
		lua_settable(L, 1);
	}
	if (due)
		adds->due_ms = 0;
	lua_pushboolean(L, left || adds->due_ms);
	lua_pushboolean(L, due);
	lua_pushboolean(L, looks == SERVER_LOOKS);
	return 3;
}
