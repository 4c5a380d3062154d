/*
 * queue - see queue.h for what a lane, a route and a ring are, and queue_internal.h for the invariants.
 *
 * Routes, alerts, adding, lanes and their time.
 *
 * Called by the engine.
 */
#include <stdlib.h>
#include <string.h>

#include "queue_internal.h"

void queue_ring_init(struct queue_ring *ring)
{
	list_init(queue_ring_list(ring));
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

struct queue_route *queue_route_new(struct queue *q, struct queue_ring *const *rings, size_t nrings,
                                    void *owner, const char *const *rcpt, size_t nrcpt,
                                    const struct queue_limits *limits)
{
	struct queue_route *r;
	size_t i;

	if (!nrings || nrings > QUEUE_RINGS_MAX || !nrcpt || nrcpt > QUEUE_RCPT_MAX)
		return NULL;
	r = calloc(1, sizeof(*r) + nrings * sizeof(r->pools[0]));
	if (!r)
		return NULL;
	for (i = 0; i < QUEUE_KINDS; i++) {
		list_init(&r->kinds[i].deliveries);
		r->kinds[i].landed = &r->kinds[i].deliveries;
	}
	for (i = 0; i < nrings; i++) {
		list_init(&r->pools[i].in_ring);
		list_init(&r->pools[i].ready);
		r->pools[i].ring = rings[i];
		r->pools[i].route = r;
	}
	list_init(&r->kin);
	r->npools = nrings;
	r->owner = owner;
	r->limits = *limits;
	r->rcpt = rcpt;
	r->nrcpt = nrcpt;
	list_append(&q->routes, &r->in_queue);
	return r;
}

unsigned queue_route_waits(const struct queue_route *route, size_t i)
{
	return route->waits[i];
}

void queue_route_grow(struct queue_route *route, size_t nrcpt)
{
	route->nrcpt = nrcpt;
}

void queue_route_join(struct queue_route *route, struct queue_route *other)
{
	list_append(&other->kin, &route->kin);
}

void *queue_route_owner(const struct queue_route *route)
{
	return route->owner;
}

void queue_route_stats(const struct queue_route *route, struct queue_route_stats *stats)
{
	struct queue_walk walk = { { NULL } };
	const struct queue_delivery *oldest = queue_walk_next(route, &walk);

	*stats = route->stats;
	stats->oldest_ms = oldest ? oldest->alert->raised_ms : UINT64_MAX;
}

/* Copies <text> to *<bytes>, and goes behind it; NULL stays. */
static const char *queue_alert_put(char **bytes, const char *text, size_t len)
{
	char *copy = *bytes;

	if (!text)
		return NULL;
	memcpy(copy, text, len);
	*bytes += len + 1;
	return copy;
}

static size_t queue_alert_size(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

struct queue_alert *queue_alert_new_mail(struct queue *q, uint64_t server, const char *name,
                                         const struct alert_text *what, const char *text, size_t text_len,
                                         const char *date, const struct queue_mail *mail, uint64_t now_ms)
{
	const char *const extra[] = { mail->subject, mail->body, mail->to, mail->cc, mail->headers };
	size_t date_len = strlen(date), size = sizeof(struct queue_alert) + strlen(name) + 1 + text_len + 1, i;
	struct queue_alert *a;
	char *bytes;

	for (i = 0; i < sizeof(extra) / sizeof(*extra); i++)
		size += queue_alert_size(extra[i]);
	a = calloc(1, size);
	if (!a)
		return NULL;
	bytes = (char *)(a + 1);
	a->name = queue_alert_put(&bytes, name, strlen(name));
	a->text = queue_alert_put(&bytes, text, text_len);
	a->subject = queue_alert_put(&bytes, mail->subject, mail->subject ? strlen(mail->subject) : 0);
	a->body = queue_alert_put(&bytes, mail->body, mail->body ? strlen(mail->body) : 0);
	a->to = queue_alert_put(&bytes, mail->to, mail->to ? strlen(mail->to) : 0);
	a->cc = queue_alert_put(&bytes, mail->cc, mail->cc ? strlen(mail->cc) : 0);
	a->headers = queue_alert_put(&bytes, mail->headers, mail->headers ? strlen(mail->headers) : 0);
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

struct queue_alert *queue_alert_new(struct queue *q, uint64_t server, const char *name,
                                    const struct alert_text *what, const char *text, size_t text_len,
                                    const char *date, uint64_t now_ms)
{
	static const struct queue_mail none = { NULL, NULL, NULL, NULL, NULL };

	return queue_alert_new_mail(q, server, name, what, text, text_len, date, &none, now_ms);
}

void queue_alert_release(struct queue_alert *alert)
{
	if (alert && !--alert->refs)
		free(alert);
}

static bool lane_waits(const struct lane *lane)
{
	return lane->state == LANE_DEFERRED || lane->state == LANE_HELD;
}

static void queue_pool_leave(struct queue_pool *pool, struct lane *lane)
{
	list_remove(&lane->ready);
	pool->ring->ready--;
	if (list_empty(&pool->ready))
		list_remove(&pool->in_ring);
}

static void queue_pool_enter(struct queue_pool *pool, struct lane *lane, bool first)
{
	if (first)
		list_prepend(&pool->ready, &lane->ready);
	else
		list_append(&pool->ready, &lane->ready);
	pool->ring->ready++;
	if (list_empty(&pool->in_ring))
		list_append(queue_ring_list(pool->ring), &pool->in_ring);
}

void queue_lane_set(struct queue *q, struct lane *lane, enum lane_state state, bool first)
{
	struct queue_pool *pools = lane->route->pools;

	if (lane->state == LANE_READY)
		queue_pool_leave(&pools[lane->pool], lane);
	else if (lane_waits(lane))
		lane_heap_remove(&q->lanes, lane);
	lane->state = state;
	if (state == LANE_READY) {
		lane->pool = queue_lane_head(lane)->pin;
		queue_pool_enter(&pools[lane->pool], lane, first);
	} else if (lane_waits(lane)) {
		lane_heap_add(&q->lanes, lane);
	}
}

/* <lane> stands at a head that is not in flight: it waits, if that is held, or is ready. One that is ready in its
 * head's pool keeps its turn.
 */
static void queue_lane_go_on(struct queue *q, struct lane *lane)
{
	const struct queue_item *head = queue_lane_head(lane);

	if (head->delivery->alert->held) {
		lane->until_ms = UINT64_MAX;
		queue_lane_set(q, lane, LANE_HELD, false);
	} else if (lane->state != LANE_READY || lane->pool != head->pin) {
		queue_lane_set(q, lane, LANE_READY, false);
	}
}

void queue_item_done(struct queue *q, struct queue_item *item)
{
	struct lane *lane = item->lane;
	bool head = queue_lane_head(lane) == item;

	list_remove(&item->in_lane);
	item->state = ITEM_DONE;
	item->delivery->left--;
	lane->route->waits[lane->rcpt]--;
	if (!head)
		return;
	if (list_empty(&lane->items)) {
		queue_lane_set(q, lane, LANE_EMPTY, false);
		lane_free(&q->lanes, lane);
	} else if (queue_lane_head(lane)->state == ITEM_IN_FLIGHT) {
		queue_lane_set(q, lane, LANE_BUSY, false);
	} else {
		queue_lane_go_on(q, lane);
	}
}

static struct queue_delivery *queue_delivery_of(const struct list *in_route)
{
	return LIST_ENTRY(in_route, struct queue_delivery, in_route);
}

/* A delivery comes to its route ... */
static void queue_delivery_begin(struct queue *q, struct queue_delivery *d)
{
	struct queue_route *r = d->route;
	struct queue_kind *kind = &r->kinds[d->alert->what.kind];

	d->alert->refs++;
	d->seq = q->next_seq++;
	list_append(&kind->deliveries, &d->in_route);
	queue_delivery_landed(d);
	r->stats.alerts++;
	r->stats.bytes += d->bytes;
	r->pools[0].ring->alerts++;
	q->alerts++;
}

/* ... and leaves it when its last item is done. */
void queue_delivery_end(struct queue *q, struct queue_delivery *d)
{
	struct queue_route *r = d->route;
	struct queue_kind *kind = &r->kinds[d->alert->what.kind];

	if (kind->landed == &d->in_route)
		kind->landed = d->in_route.next;
	list_remove(&d->in_route);
	r->stats.alerts--;
	r->stats.bytes -= d->bytes;
	r->pools[0].ring->alerts--;
	q->alerts--;
	queue_alert_release(d->alert);
	free(d);
}

void queue_delivery_clear(struct queue *q, struct queue_delivery *d)
{
	size_t i;

	for (i = 0; i < d->nitems; i++) {
		if (d->items[i].state == ITEM_WAITING)
			queue_item_done(q, &d->items[i]);
	}
	queue_delivery_end(q, d);
}

void queue_delivery_landed(struct queue_delivery *d)
{
	struct queue_kind *kind = &d->route->kinds[d->alert->what.kind];

	if (kind->landed == &kind->deliveries || d->seq < queue_delivery_of(kind->landed)->seq)
		kind->landed = &d->in_route;
}

struct queue_delivery *queue_kind_landed(struct queue_kind *kind)
{
	while (kind->landed != &kind->deliveries && queue_delivery_of(kind->landed)->in_flight)
		kind->landed = kind->landed->next;
	return kind->landed == &kind->deliveries ? NULL : queue_delivery_of(kind->landed);
}

struct queue_delivery *queue_walk_next(const struct queue_route *r, struct queue_walk *walk)
{
	struct queue_delivery *next = NULL;
	size_t kind = 0, i;

	for (i = 0; i < QUEUE_KINDS; i++) {
		const struct list *head = &r->kinds[i].deliveries;
		const struct list *l = walk->last[i] ? walk->last[i]->next : head->next;

		if (l != head && (!next || queue_delivery_of(l)->seq < next->seq)) {
			next = queue_delivery_of(l);
			kind = i;
		}
	}
	if (next)
		walk->last[kind] = &next->in_route;
	return next;
}

/* <wanted> NULL: for all. The items of others are done from the first: so an item's index is its recipient's. */
static struct queue_delivery *queue_delivery_new(struct queue_route *r, struct queue_alert *alert, const bool *wanted)
{
	size_t size = sizeof(struct queue_delivery) + r->nrcpt * sizeof(struct queue_item);
	struct queue_delivery *d = calloc(1, size);
	size_t i;

	if (!d)
		return NULL;
	d->alert = alert;
	d->route = r;
	d->nitems = (unsigned)r->nrcpt;
	for (i = 0; i < r->nrcpt; i++) {
		if (wanted && !wanted[i])
			d->items[i].state = ITEM_DONE;
		else
			d->left++;
	}
	d->bytes = size + alert->size + d->left * sizeof(struct lane);
	return d;
}

/* Finds or makes the lanes of all items first, so that a failure leaves nothing half queued. */
static bool queue_delivery_lanes(struct queue *q, struct queue_delivery *d)
{
	struct queue_route *r = d->route;
	size_t i;

	for (i = 0; i < d->nitems; i++) {
		struct lane *lane;

		if (d->items[i].state == ITEM_DONE)
			continue;
		lane = lane_find(&q->lanes, r, d->alert->server, i);
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
		if (d->items[i].lane && d->items[i].lane->state == LANE_EMPTY)
			lane_free(&q->lanes, d->items[i].lane);
	}
	return false;
}

enum mailers_error queue_add_some(struct queue *q, struct queue_route *route, struct queue_alert *alert,
                                  const bool *wanted, size_t *dropped)
{
	struct queue_delivery *d = queue_delivery_new(route, alert, wanted);
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

		if (!lane)
			continue;
		list_append(&lane->items, &d->items[i].in_lane);
		route->waits[i]++;
		if (lane->state == LANE_EMPTY)
			queue_lane_go_on(q, lane);
	}
	return queue_bound_trim(q, route, d, dropped) ? MAILERS_OK : MAILERS_ERR_BOUND;
}

enum mailers_error queue_add(struct queue *q, struct queue_route *route, struct queue_alert *alert,
                             size_t *dropped)
{
	return queue_add_some(q, route, alert, NULL, dropped);
}

void queue_unhold(struct queue *q, struct queue_route *route, struct queue_alert *alert)
{
	struct lane *lane;
	size_t i;

	alert->held = false;
	for (i = 0; i < route->nrcpt; i++) {
		lane = lane_find(&q->lanes, route, alert->server, i);
		if (lane && lane->state == LANE_HELD && queue_lane_head(lane)->delivery->alert == alert)
			queue_lane_set(q, lane, LANE_READY, false);
	}
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

void queue_wake(struct queue *q, struct queue_route *route)
{
	struct queue_walk walk = { { NULL } };
	struct queue_delivery *d;
	size_t i;

	while ((d = queue_walk_next(route, &walk))) {
		for (i = 0; i < d->nitems; i++) {
			if (d->items[i].state == ITEM_WAITING && lane_waits(d->items[i].lane))
				queue_lane_set(q, d->items[i].lane, LANE_READY, false);
		}
	}
}

size_t queue_lanes(const struct queue *q)
{
	return q->lanes.count;
}

size_t queue_alerts(const struct queue *q)
{
	return q->alerts;
}

/* Frees a route and its deliveries; lanes, rings and counts do not matter any more, or know of it already. */
static void queue_route_destroy(struct queue_route *r)
{
	size_t i;

	for (i = 0; i < QUEUE_KINDS; i++) {
		struct list *head = &r->kinds[i].deliveries;

		while (!list_empty(head)) {
			struct queue_delivery *d = queue_delivery_of(head->next);

			list_remove(&d->in_route);
			queue_alert_release(d->alert);
			free(d);
		}
	}
	list_remove(&r->kin);
	list_remove(&r->in_queue);
	free(r);
}

void queue_route_free(struct queue *q, struct queue_route *route)
{
	size_t i;

	if (!route)
		return;
	for (i = 0; i < QUEUE_KINDS; i++) {
		struct list *head = &route->kinds[i].deliveries;

		while (!list_empty(head))
			queue_delivery_clear(q, queue_delivery_of(head->next));
	}
	queue_route_destroy(route);
}

void queue_free(struct queue *q)
{
	if (!q)
		return;
	while (!list_empty(&q->routes))
		queue_route_destroy(LIST_ENTRY(q->routes.next, struct queue_route, in_queue));
	lane_table_free(&q->lanes);
	free(q);
}
