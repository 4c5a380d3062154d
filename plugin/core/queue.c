/*
 * queue - see queue.h for what a lane, a route and a ring are.
 *
 * A delivery is one alert on one route; it holds one item a recipient. An item stands in its lane until
 * it is done. A delivery stands in its route's list of its kind, oldest first, until its last item is
 * done: that is where a bound looks for what to drop.
 *
 * Invariants: a lane in the table holds an item, or is being filled; only the head of a lane is ever in
 * flight; a route stands in its ring exactly while it has a READY lane. Every change of lane.state goes
 * through queue_lane_set(). Settling, ticking and dropping allocate nothing, so they cannot fail.
 *
 * Called by engine.c (add, tick) and connection.c (take, settle).
 */
#include <stdlib.h>
#include <string.h>

#include <mailers/queue.h>

#include "lane.h"
#include "list.h"

#define KINDS 2 /* enum alert_kind */

enum item_state {
	ITEM_WAITING = 0,
	ITEM_IN_FLIGHT,
	ITEM_DONE,
};

struct queue_item {
	struct list in_lane;
	struct queue_delivery *delivery;
	struct lane *lane;
	unsigned attempts;
	enum item_state state;
};

struct queue_delivery {
	struct list in_route;      /* queue_route.deliveries[kind] */
	struct queue_alert *alert; /* a reference */
	struct queue_route *route;
	size_t bytes;
	size_t in_flight, left;    /* items in flight; items not done */
	size_t nitems;
	struct queue_item items[]; /* one a recipient of the route, in its order */
};

struct queue_route {
	struct list in_queue, in_ring;
	struct list ready;                /* lane.ready */
	struct list deliveries[KINDS];
	struct queue_ring *ring;
	void *owner;
	struct queue_limits limits;
	struct queue_route_stats stats;
	size_t nrcpt;
	char *rcpt[];
};

struct queue {
	struct list routes;
	struct lane_table lanes;
	uint64_t next_id;
	size_t alerts; /* deliveries in all routes */
};

/* The ring's links are void pointers in the public header, so that list.h stays private. */
static struct list *ring_list(struct queue_ring *ring)
{
	return (struct list *)(void *)ring;
}

_Static_assert(offsetof(struct queue_ring, next) == offsetof(struct list, next) &&
               offsetof(struct queue_ring, prev) == offsetof(struct list, prev), "ring is a list");

void queue_ring_init(struct queue_ring *ring)
{
	list_init(ring_list(ring));
	ring->ready = 0;
	ring->alerts = 0;
}

struct queue *queue_new(void)
{
	struct queue *q = calloc(1, sizeof(*q));

	if (q)
		list_init(&q->routes);
	return q;
}

struct queue_route *queue_route_new(struct queue *q, struct queue_ring *const *rings, size_t nrings, void *owner,
                                    const char *const *rcpt, size_t nrcpt,
                                    const struct queue_limits *limits)
{
	struct queue_route *r = calloc(1, sizeof(*r) + nrcpt * sizeof(r->rcpt[0]));
	size_t i;

	if (!r)
		return NULL;
	list_init(&r->in_ring);
	list_init(&r->ready);
	list_init(&r->deliveries[ALERT_KIND_STATE]);
	list_init(&r->deliveries[ALERT_KIND_CHECK]);
	(void)nrings;
	r->ring = rings[0];
	r->owner = owner;
	r->limits = *limits;
	for (i = 0; i < nrcpt; i++) {
		size_t size = strlen(rcpt[i]) + 1;

		r->rcpt[i] = malloc(size);
		if (!r->rcpt[i])
			goto no_memory;
		memcpy(r->rcpt[i], rcpt[i], size);
		r->nrcpt++;
	}
	list_append(&q->routes, &r->in_queue);
	return r;

no_memory:
	while (i--)
		free(r->rcpt[i]);
	free(r);
	return NULL;
}

void *queue_route_owner(const struct queue_route *route)
{
	return route->owner;
}

void queue_route_stats(const struct queue_route *route, struct queue_route_stats *stats)
{
	*stats = route->stats;
}

struct queue_alert *queue_alert_new(struct queue *q, uint64_t server, const char *name,
                                    const struct alert_text *what, const char *text, size_t text_len,
                                    const char *date, uint64_t now_ms)
{
	size_t name_size = strlen(name) + 1, date_len = strlen(date);
	size_t size = sizeof(struct queue_alert) + name_size + text_len + 1;
	struct queue_alert *a = calloc(1, size);
	char *bytes;

	if (!a)
		return NULL;
	bytes = (char *)(a + 1);
	memcpy(bytes, name, name_size);
	a->name = bytes;
	bytes += name_size;
	memcpy(bytes, text, text_len);
	a->text = bytes;
	if (date_len >= sizeof(a->date))
		date_len = sizeof(a->date) - 1;
	memcpy(a->date, date, date_len);
	a->refs = 1;
	a->id = ++q->next_id;
	a->server = server;
	a->raised_ms = now_ms;
	a->what = *what;
	a->size = size;
	return a;
}

void queue_alert_release(struct queue_alert *alert)
{
	if (alert && !--alert->refs)
		free(alert);
}

/* The one place that changes a lane's state: it keeps the ring, the heap and their counts true. <first> puts
 * a READY lane before the others of its route.
 */
static void queue_lane_set(struct queue *q, struct lane *lane, enum lane_state state, bool first)
{
	struct queue_route *r = lane->route;

	if (lane->state == LANE_READY) {
		list_remove(&lane->ready);
		r->ring->ready--;
		if (list_empty(&r->ready))
			list_remove(&r->in_ring);
	} else if (lane->state == LANE_DEFERRED) {
		lane_heap_remove(&q->lanes, lane);
	}
	lane->state = state;
	if (state == LANE_READY) {
		if (first)
			list_prepend(&r->ready, &lane->ready);
		else
			list_append(&r->ready, &lane->ready);
		r->ring->ready++;
		if (list_empty(&r->in_ring))
			list_append(ring_list(r->ring), &r->in_ring);
	} else if (state == LANE_DEFERRED) {
		lane_heap_add(&q->lanes, lane);
	}
}

/* A delivery comes to its route ... */
static void queue_delivery_begin(struct queue *q, struct queue_delivery *d)
{
	struct queue_route *r = d->route;

	d->alert->refs++;
	d->left = d->nitems;
	list_append(&r->deliveries[d->alert->what.kind], &d->in_route);
	r->stats.alerts++;
	r->stats.bytes += d->bytes;
	r->ring->alerts++;
	q->alerts++;
}

/* ... and leaves it when its last item is done. */
static void queue_delivery_end(struct queue *q, struct queue_delivery *d)
{
	struct queue_route *r = d->route;

	list_remove(&d->in_route);
	r->stats.alerts--;
	r->stats.bytes -= d->bytes;
	r->ring->alerts--;
	q->alerts--;
	queue_alert_release(d->alert);
	free(d);
}

/* Takes a waiting or finished item out of its lane. The lane goes on with its next item (one that is in the
 * ring keeps its turn), or ends.
 */
static void queue_item_done(struct queue *q, struct queue_item *item)
{
	struct lane *lane = item->lane;
	bool head = lane->items.next == &item->in_lane;

	list_remove(&item->in_lane);
	item->state = ITEM_DONE;
	item->delivery->left--;
	if (list_empty(&lane->items)) {
		queue_lane_set(q, lane, LANE_EMPTY, false);
		lane_free(&q->lanes, lane);
	} else if (head && lane->state != LANE_READY) {
		queue_lane_set(q, lane, LANE_READY, false);
	}
}

/* Drops a delivery that has nothing in flight. */
static void queue_drop(struct queue *q, struct queue_delivery *d)
{
	struct queue_route_stats *stats = &d->route->stats;
	size_t i;

	if (d->alert->what.kind == ALERT_KIND_CHECK)
		stats->dropped_check++;
	else
		stats->dropped_state++;
	for (i = 0; i < d->nitems; i++) {
		if (d->items[i].state == ITEM_WAITING)
			queue_item_done(q, &d->items[i]);
	}
	queue_delivery_end(q, d);
}

/* Drops the oldest delivery of <kind> but <spare> that has nothing in flight. The scan passes at most the
 * deliveries in flight, which the connections bound.
 */
static bool queue_drop_one(struct queue *q, struct queue_route *r, enum alert_kind kind,
                           const struct queue_delivery *spare)
{
	struct list *l;

	for (l = r->deliveries[kind].next; l != &r->deliveries[kind]; l = l->next) {
		struct queue_delivery *d = LIST_ENTRY(l, struct queue_delivery, in_route);

		if (!d->in_flight && d != spare) {
			queue_drop(q, d);
			return true;
		}
	}
	return false;
}

static bool queue_route_over(const struct queue_route *r)
{
	return r->stats.alerts > r->limits.alerts || r->stats.bytes > r->limits.bytes;
}

/* Drops one delivery for <added>: a check report, or a state change if <added> is one too. */
static bool queue_route_yield(struct queue *q, struct queue_route *r, const struct queue_delivery *added)
{
	return queue_drop_one(q, r, ALERT_KIND_CHECK, added) ||
	       (added->alert->what.kind == ALERT_KIND_STATE && queue_drop_one(q, r, ALERT_KIND_STATE, added));
}

/* Brings <r> back under its bounds after <added> came. Returns false when <added> itself had to go: nothing
 * else may, or it is larger than the bound and would clear the whole route in vain.
 */
static bool queue_route_trim(struct queue *q, struct queue_route *r, struct queue_delivery *added,
                             size_t *dropped)
{
	bool fits = added->bytes <= r->limits.bytes && r->limits.alerts;

	while (queue_route_over(r)) {
		(*dropped)++;
		if (!fits || !queue_route_yield(q, r, added)) {
			queue_drop(q, added);
			return false;
		}
	}
	return true;
}

static struct queue_delivery *queue_delivery_new(struct queue_route *r, struct queue_alert *alert)
{
	size_t size = sizeof(struct queue_delivery) + r->nrcpt * sizeof(struct queue_item);
	struct queue_delivery *d = calloc(1, size);

	if (!d)
		return NULL;
	d->alert = alert;
	d->route = r;
	d->bytes = size + alert->size + r->nrcpt * sizeof(struct lane);
	d->nitems = r->nrcpt;
	return d;
}

/* Finds or makes the lanes of all items first, so that a failure leaves nothing half queued. */
static bool queue_delivery_lanes(struct queue *q, struct queue_delivery *d)
{
	struct queue_route *r = d->route;
	size_t i;

	for (i = 0; i < d->nitems; i++) {
		struct lane *lane = lane_find(&q->lanes, r, d->alert->server, i);

		if (!lane)
			lane = lane_new(&q->lanes, r, d->alert->server, i);
		if (!lane)
			goto no_memory;
		d->items[i].lane = lane;
		d->items[i].delivery = d;
	}
	return true;

no_memory:
	while (i--) {
		if (d->items[i].lane->state == LANE_EMPTY)
			lane_free(&q->lanes, d->items[i].lane);
	}
	return false;
}

enum mailers_error queue_add(struct queue *q, struct queue_route *route, struct queue_alert *alert,
                             size_t *dropped)
{
	struct queue_delivery *d = queue_delivery_new(route, alert);
	size_t i;

	if (!d)
		return MAILERS_ERR_NOMEM;
	if (!queue_delivery_lanes(q, d)) {
		free(d);
		return MAILERS_ERR_NOMEM;
	}
	queue_delivery_begin(q, d);
	for (i = 0; i < d->nitems; i++) {
		struct lane *lane = d->items[i].lane;

		list_append(&lane->items, &d->items[i].in_lane);
		if (lane->state == LANE_EMPTY)
			queue_lane_set(q, lane, LANE_READY, false);
	}
	return queue_route_trim(q, route, d, dropped) ? MAILERS_OK : MAILERS_ERR_BOUND;
}

static struct queue_item *lane_head(const struct lane *lane)
{
	return LIST_ENTRY(lane->items.next, struct queue_item, in_lane);
}

/* One allocation for the envelope and its arrays. */
static struct queue_envelope *queue_envelope_new(size_t n)
{
	struct queue_envelope *env;
	size_t each = sizeof(*env->verdicts) + sizeof(*env->rcpt) + sizeof(struct queue_item *) +
	              sizeof(*env->attempts);
	char *p = calloc(1, sizeof(*env) + n * each);

	if (!p)
		return NULL;
	env = (struct queue_envelope *)(void *)p;
	p += sizeof(*env);
	env->verdicts = (struct queue_verdict *)(void *)p;
	p += n * sizeof(*env->verdicts);
	env->rcpt = (const char **)(void *)p;
	p += n * sizeof(char *);
	env->items = p;
	p += n * sizeof(struct queue_item *);
	env->attempts = (unsigned *)(void *)p;
	return env;
}

struct queue_envelope *queue_take(struct queue *q, struct queue_ring *ring)
{
	struct queue_envelope *env;
	struct queue_delivery *d;
	struct queue_item **items;
	struct queue_route *r;
	struct lane *lane;
	size_t i;

	if (list_empty(ring_list(ring)))
		return NULL;
	r = LIST_ENTRY(ring->next, struct queue_route, in_ring);
	lane = LIST_ENTRY(r->ready.next, struct lane, ready);
	d = lane_head(lane)->delivery;
	env = queue_envelope_new(d->nitems);
	if (!env)
		return NULL;
	env->alert = d->alert;
	env->route = r;
	items = env->items;
	for (i = 0; i < d->nitems; i++) {
		struct queue_item *item = &d->items[i];

		if (item->state != ITEM_WAITING || item->lane->state != LANE_READY ||
		    lane_head(item->lane) != item)
			continue;
		queue_lane_set(q, item->lane, LANE_BUSY, false);
		item->state = ITEM_IN_FLIGHT;
		d->in_flight++;
		r->stats.in_flight++;
		items[env->nrcpt] = item;
		env->attempts[env->nrcpt] = item->attempts;
		env->rcpt[env->nrcpt++] = r->rcpt[i];
	}
	if (!list_empty(&r->in_ring)) { /* the next connection takes from the next route */
		list_remove(&r->in_ring);
		list_append(ring_list(ring), &r->in_ring);
	}
	return env;
}

void queue_settle(struct queue *q, struct queue_envelope *env)
{
	struct queue_item **items = env->items;
	struct queue_delivery *d = items[0]->delivery;
	size_t i;

	for (i = 0; i < env->nrcpt; i++) {
		const struct queue_verdict *v = &env->verdicts[i];
		struct queue_item *item = items[i];

		d->in_flight--;
		d->route->stats.in_flight--;
		item->state = ITEM_WAITING;
		switch (v->outcome) {
		case QUEUE_HELD:
		case QUEUE_RETRY:
			queue_lane_set(q, item->lane, LANE_READY, true);
			break;
		case QUEUE_DEFERRED:
			item->attempts++;
			item->lane->until_ms = v->until_ms;
			queue_lane_set(q, item->lane, LANE_DEFERRED, false);
			break;
		case QUEUE_DONE:
			queue_item_done(q, item);
			break;
		}
	}
	if (!d->left)
		queue_delivery_end(q, d);
	free(env);
}

uint64_t queue_deadline(const struct queue *q)
{
	const struct lane *lane = lane_heap_first(&q->lanes);

	return lane ? lane->until_ms : UINT64_MAX;
}

void queue_tick(struct queue *q, uint64_t now_ms)
{
	struct lane *lane;

	while ((lane = lane_heap_first(&q->lanes)) && lane->until_ms <= now_ms)
		queue_lane_set(q, lane, LANE_READY, false);
}

size_t queue_lanes(const struct queue *q)
{
	return q->lanes.count;
}

size_t queue_alerts(const struct queue *q)
{
	return q->alerts;
}

void queue_route_free(struct queue *q, struct queue_route *r)
{
	size_t kind, i;

	(void)q;
	for (kind = 0; kind < KINDS; kind++) {
		struct list *head = &r->deliveries[kind];

		while (!list_empty(head)) {
			struct queue_delivery *d = LIST_ENTRY(head->next, struct queue_delivery, in_route);

			list_remove(&d->in_route);
			queue_alert_release(d->alert);
			free(d);
		}
	}
	for (i = 0; i < r->nrcpt; i++)
		free(r->rcpt[i]);
	list_remove(&r->in_queue);
	free(r);
}

void queue_free(struct queue *q)
{
	if (!q)
		return;
	while (!list_empty(&q->routes))
		queue_route_free(q, LIST_ENTRY(q->routes.next, struct queue_route, in_queue));
	lane_table_free(&q->lanes);
	free(q);
}
