/*
 * queue - alerts that wait for delivery, in order per lane.
 *
 * A lane is (server, route, recipient): a FIFO of alerts. A route is one proxy's way to one mailer, or to
 * a group of them. Within a lane at most one mail is in flight and the order of the events is kept,
 * retries included: a deferred head holds its lane, and only its lane. Lanes that stand at the same alert
 * share one envelope (one MAIL, many RCPT). A fold is an envelope of many alerts for one recipient: each
 * lane gives it a run of alerts from its head on.
 *
 * The routes of one mailer that have something ready stand in that mailer's ring, and in each route its
 * ready lanes: a free connection takes the next lane of the next route. So neither a server nor a proxy
 * with a thousand alerts delays another's one. Who becomes ready stands behind those who are.
 *
 * A route may have several rings. Its lanes wait in the first, but a lane whose head is pinned waits in
 * the ring of the pin: an alert that one mailer of a group may have taken is not given to another. The pin
 * belongs to the alert and recipient; when it is done, the next alert of the lane decides.
 *
 *   lane:  (none) -> READY -> BUSY -> READY | DEFERRED | HELD | (none, when its last alert left)
 *          READY -> READY in another ring, when its head was dropped and the next has another pin
 *          READY -> (none), when its last alert was dropped
 *          DEFERRED, HELD -> READY (its pause is over, or its head was dropped, or queue_wake()) | (none)
 *          (none), READY, BUSY -> HELD, when its head is an alert that is held; -> READY by queue_unhold()
 *          HELD -> BUSY (a fold), any -> BUSY (queue_take_expired())
 *
 * DEFERRED is a pause of the alert's own, HELD one that has nothing to do with it: a limit on mails, or others
 * that are to go with it in one mail.
 *
 * Everything is bounded per route; over a bound check reports go before state changes, oldest first, never
 * what is in flight. All times are milliseconds of the host's monotonic clock. "Oldest" means added first:
 * a caller adds alerts as they are raised. Nothing here knows SMTP or a mailer's health: the engine
 * decides when to take and what an outcome means.
 *
 * Adding, taking and settling cost the same however many alerts wait (but for the heap of those that wait
 * for a time: O(log n)); queue_fold() and queue_wake() may walk all alerts of a route once.
 */
#ifndef MAILERS_QUEUE_H
#define MAILERS_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mailers/alert.h>
#include <mailers/error.h>
#include <mailers/outage.h>

struct queue;
struct queue_route;

#define QUEUE_DATE_MAX 64 /* "Wed, 30 Sep 2026 16:09:04 +0000 (UTC)" and longer zone names */

struct queue_limits {
	size_t alerts; /* most alerts of one route */
	size_t bytes;  /* most bytes of one route: texts, names and what the queue needs for them */
};

/* An alert; its text is held once for all its routes, and counted. Read-only for everyone but the queue, and
 * before queue_add() for its maker, who may set the members <owner> to <held>; <batch> also while it is held.
 */
struct queue_alert {
	void *owner;               /* the maker's */
	uint64_t batch;            /* not 0: of the alerts with this number those that are ready together go in one fold */
	bool held;                 /* no lane goes on to it before queue_unhold() */
	unsigned refs;
	uint64_t id;               /* unique in the engine: part of the Message-ID */
	uint64_t server;           /* key of the HAProxy server: alerts of one key keep their order */
	uint64_t raised_ms;
	struct alert_text what;
	char date[QUEUE_DATE_MAX]; /* RFC 5322 date of the event */
	const char *name;          /* "proxy/server", for logs */
	const char *text;          /* text of the mail */
	const char *subject, *body, *to, *cc, *headers; /* as in queue_mail; in this object, too */
	size_t size;               /* bytes of this object */
	unsigned nrcpt;            /* recipients on each of its routes; the caller's, who may read it */
	struct outage_mark outage; /* the maker's, too */
};

/* What a mail has instead of what is composed from its alert; NULL: nothing. */
struct queue_mail {
	const char *subject, *body;
	const char *to, *cc;       /* header values */
	const char *headers;       /* lines, see message.h */
};

/* A ring: the routes that have a ready lane for a mailer, or for a group. */
struct queue_ring {
	void *next, *prev; /* the queue's own; queue_ring_init() first */
	size_t ready;      /* lanes that are ready in this ring, of all its routes */
	size_t alerts;     /* all alerts of the routes whose first ring this is, wherever their lanes wait */
};

enum queue_outcome {
	QUEUE_RETRY = 0, /* stays at its lane's head, ready at once, first of its route; not a try */
	QUEUE_DEFERRED,  /* stays at its lane's head, not ready before <until_ms>; counted as a try */
	QUEUE_HELD,      /* the same, not counted as a try, and a fold may take it before */
	QUEUE_DONE,      /* leaves the lane: accepted, refused or given up */
};

struct queue_verdict {
	enum queue_outcome outcome;
	uint64_t until_ms; /* DEFERRED, HELD */
	unsigned pin;      /* all but DONE: index of the route's ring where it waits from now on; 0, or no
	                    * such ring: as it was */
};

/* What a connection took: one alert for one or more recipients of a route, or, as a fold, many alerts for
 * one. Owned by the queue; valid until it is settled, the alerts too.
 */
struct queue_envelope {
	const struct queue_alert *alert;         /* the (first) alert */
	const struct queue_alert *const *alerts; /* all of them, the oldest first */
	size_t nalerts;                          /* 1 but for a fold */
	struct queue_route *route;
	size_t nrcpt;
	const char **rcpt;              /* forward-paths */
	unsigned *attempts;             /* per recipient: tries before this one */
	struct queue_verdict *verdicts; /* per recipient, RETRY at first: the taker fills them, then settles */
	void *items, *fold;             /* the queue's own */
};
/* The route of alerts[i]: but for a fold of joined routes, env->route. */
struct queue_route *queue_envelope_route(const struct queue_envelope *env, size_t i);

/* Numbers of one route, for logs, `show` and tests. */
struct queue_route_stats {
	size_t alerts, bytes;                  /* queued now, in flight included */
	size_t in_flight;                      /* recipients in flight; in a fold one an alert */
	uint64_t dropped_check, dropped_state; /* dropped at a bound, ever */
	uint64_t dropped_rcpt;                 /* recipients for which those still waited */
	uint64_t oldest_ms;                    /* when the oldest was raised; UINT64_MAX without one */
};

struct queue *queue_new(void);
/* Frees the queue, its routes and all alerts; settle all envelopes before. NULL is a no-op. */
void queue_free(struct queue *q);

void queue_ring_init(struct queue_ring *ring);

/* A route to <nrcpt> (1 to QUEUE_RCPT_MAX) recipients. Its ready lanes wait in rings[0], but a lane
 * whose head is pinned in that one of the <nrings> (1 to QUEUE_RINGS_MAX) rings. Rings, and the array of
 * recipients with its texts, are the caller's and must outlive the queue's use. <owner> is handed back by
 * queue_route_owner(). It lives as long as the queue, or until queue_route_free(); NULL without memory, or with
 * an <nrings> or <nrcpt> out of its range.
 *
 * The caller may put another text in the place of a recipient for whom nothing waits (queue_route_waits()), and
 * say with queue_route_grow() that the array has more of them now.
 */
#define QUEUE_RINGS_MAX 129
#define QUEUE_RCPT_MAX  100
struct queue_route *queue_route_new(struct queue *q, struct queue_ring *const *rings, size_t nrings,
                                    void *owner, const char *const *rcpt, size_t nrcpt,
                                    const struct queue_limits *limits);
/* Frees a route, and the alerts that wait in it; nothing of it may be in flight. NULL is a no-op. */
void queue_route_free(struct queue *q, struct queue_route *route);
void *queue_route_owner(const struct queue_route *route);
/* Alerts that wait for recipient <i>, in flight included. */
unsigned queue_route_waits(const struct queue_route *route, size_t i);
/* From now on it has <nrcpt> recipients: no fewer than before, QUEUE_RCPT_MAX at the most. */
void queue_route_grow(struct queue_route *route, size_t nrcpt);
/* From now on a fold of a batch takes the alerts of both routes, and of those that <other> is joined with, for one
 * recipient by its text. <route> was joined with none, and has the same rings.
 */
void queue_route_join(struct queue_route *route, struct queue_route *other);
void queue_route_stats(const struct queue_route *route, struct queue_route_stats *stats);

/* Makes an alert with copies of the texts, reference count 1, without owner and batch; NULL without memory. */
struct queue_alert *queue_alert_new(struct queue *q, uint64_t server, const char *name,
                                    const struct alert_text *what, const char *text, size_t text_len,
                                    const char *date, uint64_t now_ms);
/* The same, with copies of what <mail> has. */
struct queue_alert *queue_alert_new_mail(struct queue *q, uint64_t server, const char *name,
                                         const struct alert_text *what, const char *text, size_t text_len,
                                         const char *date, const struct queue_mail *mail, uint64_t now_ms);
/* Gives up one reference; NULL is a no-op. */
void queue_alert_release(struct queue_alert *alert);
/* <alert> is held no longer: its lanes in <route> that have come to it are ready. To be called for each route that
 * it was added to, and nothing else of the queue in between. It may have left all of them.
 */
void queue_unhold(struct queue *q, struct queue_route *route, struct queue_alert *alert);

/* Queues <alert> (taking a reference of its own) in the lanes of all recipients of <route>. When this brings
 * the route over a bound, older alerts are dropped for it, but no state change for a check report; when
 * nothing may go, or <alert> alone is over the bound, this one is. OK, NOMEM (nothing queued, nothing
 * dropped), or BOUND (<alert> itself was dropped). *<dropped> is increased by the number of alerts dropped.
 */
enum mailers_error queue_add(struct queue *q, struct queue_route *route, struct queue_alert *alert,
                             size_t *dropped);
/* The same for those recipients alone whose wanted[index] is true: one at least. */
enum mailers_error queue_add_some(struct queue *q, struct queue_route *route, struct queue_alert *alert,
                                  const bool *wanted, size_t *dropped);

/* Takes the next ready alert of <ring>, with every recipient of it whose lane stands at it, ready, in this
 * same ring. NULL when nothing is ready, or without memory (the lanes stay ready).
 */
struct queue_envelope *queue_take(struct queue *q, struct queue_ring *ring);

/* Puts recipient <i> of <env> back, as QUEUE_HELD until <until_ms>; its verdict, if it has one, is
 * forgotten. The recipients behind it move up by one, in all arrays. When it was the last of them, <env>
 * is freed, and false returned.
 */
bool queue_hold(struct queue *q, struct queue_envelope *env, size_t i, uint64_t until_ms);

/* Makes a fold of <env>, just taken with queue_take(): recipient <i> alone, with the alerts of this route
 * (for a batch also of those that it is joined with) that wait for it and can be taken, the oldest first. Each lane of the recipient that is READY or HELD,
 * and the one that was taken, gives its alerts from the head on, up to the first that is pinned to another
 * ring than the taken one, is held, or, if the one that was taken has a <batch>, is of another. A DEFERRED lane
 * gives none: its pause is its alert's own. At most
 * <most_alerts>, and <most_bytes> of text (the alert that was taken is in the fold whatever the bounds);
 * the first that is over a bound ends the search. With no other alert the fold has one.
 *
 * The other recipients go back, ready at once, no try counted. A verdict then counts for all alerts of the
 * fold, and each has its own count of tries; env->attempts[0] is the largest. A lane that gave alerts is
 * busy until the fold is settled; what is put back stands in its lane as before.
 *
 * OK; NOMEM, with <env> and the queue as they were; STATE, with no effect, when <env> is a fold already or
 * has no recipient <i>.
 */
enum mailers_error queue_fold(struct queue *q, struct queue_envelope *env, size_t i, size_t most_alerts,
                              size_t most_bytes);

/* Takes the oldest alert of <route> that has nothing in flight, if it was raised before <before_ms>, with
 * all recipients that it still waits for, whatever their lanes wait for, and in whichever ring: to be
 * given up. (UINT64_MAX takes any.) It need not be the head of its lanes. NULL when there is none, or
 * without memory. It is settled as ever, with DONE for all.
 */
struct queue_envelope *queue_take_expired(struct queue *q, struct queue_route *route, uint64_t before_ms);

/* Ends <env> by its verdicts, and frees it. */
void queue_settle(struct queue *q, struct queue_envelope *env);

/* When the pause of the next lane is over; UINT64_MAX without one. */
uint64_t queue_deadline(const struct queue *q);
/* Makes the lanes ready whose pause is over at <now_ms>, the earliest first. UINT64_MAX ends all pauses; an alert
 * that was held goes by itself then, as after queue_wake().
 */
void queue_tick(struct queue *q, uint64_t now_ms);
/* Ends the pauses of all lanes of <route>, those with the oldest heads first. */
void queue_wake(struct queue *q, struct queue_route *route);

/* Lanes in existence and alerts held; 0 and 0 when all is delivered. */
size_t queue_lanes(const struct queue *q);
size_t queue_alerts(const struct queue *q);

#endif
