/*
 * queue_internal - what the files of the queue share. Private to them.
 *
 * A delivery is one alert on one route; it holds one item a recipient. An item stands in its lane until
 * it is done. A delivery stands in its route's list of its kind, in the order of adding, until its last item
 * is done: that is where a bound, a fold and an expiry look. A pool is what a route has of one of its rings.
 *
 * Invariants: a lane in the table holds an item, or is being filled. A lane whose head is in flight is
 * BUSY; no other is, so READY, DEFERRED and HELD lanes have a WAITING head. A READY lane stands in the
 * pool that its head's pin names; a pool stands in its ring exactly while it has a lane. Behind the head,
 * items are in flight only in a fold (then those before it in the lane are in the same fold) or to be
 * given up as expired. Every change of lane.state goes through queue_lane_set(), every flight through
 * queue_item_fly() and queue_item_land(). Settling, holding, ticking, waking and dropping allocate
 * nothing, so they cannot fail.
 *
 * queue.c: routes, alerts, lanes, time. queue_bound.c: what goes when a route is full. queue_envelope.c:
 * taking and settling. queue_fold.c: many alerts in one envelope.
 */
#ifndef CORE_QUEUE_INTERNAL_H
#define CORE_QUEUE_INTERNAL_H

#include <mailers/queue.h>

#include "lane.h"
#include "list.h"

#define QUEUE_KINDS 2 /* enum alert_kind */

enum item_state {
	ITEM_WAITING = 0,
	ITEM_IN_FLIGHT,
	ITEM_FOLDED, /* found by a fold that is being made; nobody else sees it */
	ITEM_DONE,   /* its lane may be gone, or never was */
};

struct queue_item {
	struct list in_lane;
	struct queue_delivery *delivery;
	struct lane *lane;
	unsigned attempts;
	unsigned char state;       /* enum item_state */
	unsigned char pin;         /* index of the pool where its lane waits while this is the head */
};

_Static_assert(QUEUE_RINGS_MAX <= 256, "a pin is one byte");

struct queue_delivery {
	struct list in_route;      /* queue_kind.deliveries */
	struct queue_alert *alert; /* a reference */
	struct queue_route *route;
	uint64_t seq;              /* grows with each delivery of the queue */
	size_t bytes;
	unsigned in_flight, left;  /* items in flight; items not done */
	unsigned nitems;
	/* One a recipient that the route had when it was added, in its order; of those that it is not for: DONE. */
	struct queue_item items[];
};

/* A route's deliveries of one kind. All those before <landed> have something in flight: so the search for one
 * that has not need not pass a thousand of a fold again and again.
 */
struct queue_kind {
	struct list deliveries;
	struct list *landed;       /* queue_delivery.in_route, or the list's head */
};

struct queue_pool {
	struct list in_ring;
	struct list ready;         /* lane.ready */
	struct queue_ring *ring;
	struct queue_route *route;
};

struct queue_route {
	struct list in_queue;
	struct list kin;           /* a ring of routes that are joined, without a head */
	struct queue_kind kinds[QUEUE_KINDS];
	void *owner;
	struct queue_limits limits;
	struct queue_route_stats stats; /* oldest_ms is not kept here */
	size_t npools, nrcpt;
	const char *const *rcpt;   /* the caller's */
	unsigned waits[QUEUE_RCPT_MAX]; /* items of each that are not done */
	struct queue_pool pools[]; /* one a ring */
};

struct queue {
	struct list routes;
	struct lane_table lanes;
	uint64_t next_id, next_seq;
	size_t alerts; /* deliveries in all routes */
};

/* The ring's links are void pointers in the public header, so that list.h stays private. */
static inline struct list *queue_ring_list(struct queue_ring *ring)
{
	return (struct list *)(void *)ring;
}

_Static_assert(offsetof(struct queue_ring, next) == offsetof(struct list, next) &&
               offsetof(struct queue_ring, prev) == offsetof(struct list, prev), "ring is a list");

static inline struct queue_item *queue_lane_head(const struct lane *lane)
{
	return LIST_ENTRY(lane->items.next, struct queue_item, in_lane);
}

/* The one place that changes a lane's state: it keeps the pools, the rings, the heap and their counts true.
 * <first> puts a READY lane before the others of its pool. DEFERRED and HELD: until_ms is set before.
 */
void queue_lane_set(struct queue *q, struct lane *lane, enum lane_state state, bool first);

/* Takes an item out of its lane, for ever. The lane goes on with its next item (one that is READY in that
 * item's pool keeps its turn), or ends.
 */
void queue_item_done(struct queue *q, struct queue_item *item);
/* Frees a delivery whose items are all done. */
void queue_delivery_end(struct queue *q, struct queue_delivery *d);
/* Ends a delivery that has nothing in flight, whatever still waits in it. */
void queue_delivery_clear(struct queue *q, struct queue_delivery *d);
/* To be called when the last item of <d> in flight came back and <d> stays. */
void queue_delivery_landed(struct queue_delivery *d);
/* The oldest delivery that has nothing in flight; NULL without one. */
struct queue_delivery *queue_kind_landed(struct queue_kind *kind);

/* The deliveries of a route in the order of adding, from a zeroed walk on; NULL after the last. None may
 * be ended on the way.
 */
struct queue_walk {
	const struct list *last[QUEUE_KINDS];
};
struct queue_delivery *queue_walk_next(const struct queue_route *r, struct queue_walk *walk);

/* Brings <r> back under its bounds after <added> came; *<dropped> is increased. Returns false when <added>
 * itself had to go.
 */
bool queue_bound_trim(struct queue *q, struct queue_route *r, struct queue_delivery *added, size_t *dropped);

/* A WAITING (or FOLDED) item goes in flight ... */
void queue_item_fly(struct queue *q, struct queue_item *item);
/* ... and comes back with its verdict; its delivery may be gone then. */
void queue_item_land(struct queue *q, struct queue_item *item, const struct queue_verdict *verdict);

#endif
