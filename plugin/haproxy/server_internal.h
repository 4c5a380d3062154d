/*
 * server_internal - what the files of server.h share:
 *
 *   server.c         which servers are watched, and their events
 *   server_mail.c    an event, or a state that was found, as a mail in the queue
 *   server_look.c    servers after a burst of events: what HAProxy did not tell
 *   server_outage.c  when a server is down: for its alerts, and for the status page
 */
#ifndef HAPROXY_SERVER_INTERNAL_H
#define HAPROXY_SERVER_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "event.h"
#include "proxy.h"
#include "server.h"

struct server {
	struct proxy *proxy;
	uint64_t key;
	const char *name;                 /* "proxy/server" */
	struct alert_origin origin;       /* what does not change: names, via, backup */
	enum server_state state;          /* last known */
	unsigned admin;                   /* last known SERVER_ADMIN_* */
	unsigned burst;                   /* events in a row */
	uint64_t last_ms;                 /* when the last of them was handled */
	unsigned gaps;                    /* since the last look: events that do not follow the one before */
	uint64_t downs;                   /* events of an end, as HAProxy counts them */
	bool downs_known;                 /* <downs> was compared with HAProxy's own count once */
	int64_t added;                    /* when it was found after the start, 0 for one of the configuration */
	bool untold;                      /* it was added and seen down; an event that waits may still tell it */
	bool untold_drain;                /* the same for the drain */
	bool found;                       /* <state> was found by looking, its event may still come */
	bool found_drain;                 /* the same for the drain */
	bool listed;                      /* it will be looked at */
	bool doubt;                       /* it was looked at once, and the picture did not fit */
	uint64_t looked_ms;               /* when it was looked at after a burst or its birth */
	struct outage outage;
	bool counted;                     /* the engine was told of it, and gave this: */
	struct engine_outage *entry;      /* NULL when it is one too many */
	char bytes[];
};

/* server_mail.c: <reference> is the index of HAProxy's Server, or of nil when it was deleted. */

/* Mails <ev> when the native sender would. What the check said is left in <info> (ALERT_INFO_MAX bytes), ""
 * if it was not asked for; NULL: nobody wants it.
 */
void server_mail_event(lua_State *L, const struct server *s, const struct alert_event *ev, int reference,
                       char *info);
/* Mails a state that no event told. */
void server_mail_found(lua_State *L, const struct server *s, enum server_state state, bool drain, int reference);
/* Adds a line about <name> to the log. */
void server_mail_note(enum alert_level level, const char *name, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Wakes the driver when instance_ring() said so, revives it when it is stalled. */
void server_mail_wake(lua_State *L, bool ring, bool stalled);

/* server_look.c */

/* What a look at a server shows. */
struct server_look {
	enum server_state state; /* UNKNOWN when HAProxy does not say it, or the server was deleted */
	bool maint, drain;
	uint64_t ago_ms;         /* since <state> */
	bool has_downs;          /* HAProxy tells <downs> of a server with health checks only */
	uint64_t downs;          /* ends of the server, told and not told */
};

/* Looks at the Server at <reference>. May not raise. */
void server_look_at(lua_State *L, int reference, struct server_look *look);
/* Looks at a server of the configuration that is watched from now on, and mails its state when that is
 * worth a mail.
 */
void server_look_start(lua_State *L, struct server *s, int reference);
/* Looks at a server that was added, watched at index <watched> from now on. A state that is worth a mail
 * is mailed as soon as it is clear that no event will tell it.
 */
void server_look_first(lua_State *L, int watched, int reference);
/* Counts an event of the server at index <watched>; after many in a row, or a gap, it will be looked at. */
void server_look_count(lua_State *L, int watched, int reference);
/* Counts a server that was added: after many in a row all servers will be gone through. */
void server_look_added(lua_State *L);

/* server_outage.c: an outage begins before the alerts that tell of it, and ends behind them (outage.h). */

/* Before the alerts of <ev>, and before its state is the server's: does it go down, or is it down no longer? */
void server_outage_event_begin(struct server *s, const struct alert_event *ev);
/* Behind them, when it is. <info>: what the check said, or "". */
void server_outage_event_end(struct server *s, const struct alert_event *ev, const char *info);
/* The same for a look at it. */
void server_outage_look_begin(struct server *s, const struct server_look *look);
void server_outage_look_end(struct server *s, const struct server_look *look);
/* Before both: <ev> shows that a server which was added went down before anyone could hear of it. */
void server_outage_unseen(struct server *s, const struct alert_event *ev);
/* The server on top of the stack is watched from now on: its outage ends with it. */
void server_outage_watch(lua_State *L);

#endif
