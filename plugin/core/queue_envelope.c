/*
 * queue_envelope - what a connection takes out of the queue, and how it comes back.
 *
 * One alert for those recipients whose lanes stand at it in the same ring, or an expired one for all that
 * it still waits for. queue_fold.c makes many alerts for one recipient of the former; what lands here may
 * be either: an envelope has one item an alert if it is a fold, one a recipient if it is not, and one
 * verdict a recipient.
 *
 * Called by flight.c of the engine.
 */
#include <stdlib.h>
#include <string.h>

#include "queue_internal.h"

/* One allocation for the envelope and its arrays. */
static struct queue_envelope *queue_envelope_new(struct queue_delivery *d)
{
	struct queue_envelope *env;
	size_t n = d->nitems;
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
	env->alert = d->alert;
	env->alerts = &env->alert;
	env->nalerts = 1;
	env->route = d->route;
	return env;
}

static void queue_envelope_free(struct queue_envelope *env)
{
	free(env->fold);
	free(env);
}

void queue_item_fly(struct queue *q, struct queue_item *item)
{
	item->state = ITEM_IN_FLIGHT;
	item->delivery->in_flight++;
	item->delivery->route->stats.in_flight++;
	if (queue_lane_head(item->lane) == item)
		queue_lane_set(q, item->lane, LANE_BUSY, false);
}

static void queue_envelope_add(struct queue *q, struct queue_envelope *env, struct queue_item *item)
{
	struct queue_item **items = env->items;

	queue_item_fly(q, item);
	items[env->nrcpt] = item;
	env->attempts[env->nrcpt] = item->attempts;
	env->rcpt[env->nrcpt++] = env->route->rcpt[item->lane->rcpt];
}

struct queue_envelope *queue_take(struct queue *q, struct queue_ring *ring)
{
	struct queue_envelope *env;
	struct queue_delivery *d;
	struct queue_pool *pool;
	struct lane *lane;
	size_t i;

	if (list_empty(queue_ring_list(ring)))
		return NULL;
	pool = LIST_ENTRY(ring->next, struct queue_pool, in_ring);
	lane = LIST_ENTRY(pool->ready.next, struct lane, ready);
	d = queue_lane_head(lane)->delivery;
	env = queue_envelope_new(d);
	if (!env)
		return NULL;
	for (i = 0; i < d->nitems; i++) {
		struct queue_item *item = &d->items[i];

		if (item->state == ITEM_WAITING && item->lane->state == LANE_READY &&
		    queue_lane_head(item->lane) == item && &pool->route->pools[item->pin] == pool)
			queue_envelope_add(q, env, item);
	}
	if (!list_empty(&pool->in_ring)) { /* the next connection takes from the next route */
		list_remove(&pool->in_ring);
		list_append(queue_ring_list(ring), &pool->in_ring);
	}
	return env;
}

struct queue_envelope *queue_take_expired(struct queue *q, struct queue_route *route, uint64_t before_ms)
{
	struct queue_delivery *d = NULL;
	struct queue_envelope *env;
	size_t i;

	for (i = 0; i < QUEUE_KINDS; i++) {
		struct queue_delivery *oldest = queue_kind_landed(&route->kinds[i]);

		if (oldest && oldest->alert->raised_ms < before_ms && (!d || oldest->seq < d->seq))
			d = oldest;
	}
	env = d ? queue_envelope_new(d) : NULL;
	if (!env)
		return NULL;
	for (i = 0; i < d->nitems; i++) {
		if (d->items[i].state == ITEM_WAITING)
			queue_envelope_add(q, env, &d->items[i]);
	}
	return env;
}

struct queue_route *queue_envelope_route(const struct queue_envelope *env, size_t i)
{
	struct queue_item *const *items = env->items;

	return env->nalerts > 1 ? items[i]->delivery->route : env->route;
}

/* An item stays: its lane waits as the verdict says, if it is the head. */
static void queue_item_stay(struct queue *q, struct queue_item *item, const struct queue_verdict *v)
{
	struct lane *lane = item->lane;

	item->state = ITEM_WAITING;
	item->attempts += v->outcome == QUEUE_DEFERRED;
	if (v->pin && v->pin < lane->route->npools)
		item->pin = (unsigned char)v->pin;
	if (queue_lane_head(lane) != item)
		return;
	if (v->outcome == QUEUE_RETRY) {
		queue_lane_set(q, lane, LANE_READY, true);
	} else {
		lane->until_ms = v->until_ms;
		queue_lane_set(q, lane, v->outcome == QUEUE_HELD ? LANE_HELD : LANE_DEFERRED, false);
	}
}

void queue_item_land(struct queue *q, struct queue_item *item, const struct queue_verdict *verdict)
{
	struct queue_delivery *d = item->delivery;

	d->in_flight--;
	d->route->stats.in_flight--;
	if (verdict->outcome == QUEUE_DONE)
		queue_item_done(q, item);
	else
		queue_item_stay(q, item, verdict);
	if (!d->left)
		queue_delivery_end(q, d);
	else if (!d->in_flight)
		queue_delivery_landed(d);
}

bool queue_hold(struct queue *q, struct queue_envelope *env, size_t i, uint64_t until_ms)
{
	const struct queue_verdict held = { .outcome = QUEUE_HELD, .until_ms = until_ms };
	struct queue_item **items = env->items;
	size_t n;

	if (env->nrcpt == 1) {
		env->verdicts[0] = held;
		queue_settle(q, env);
		return false;
	}
	queue_item_land(q, items[i], &held);
	n = --env->nrcpt - i;
	memmove(&items[i], &items[i + 1], n * sizeof(*items));
	memmove(&env->rcpt[i], &env->rcpt[i + 1], n * sizeof(*env->rcpt));
	memmove(&env->attempts[i], &env->attempts[i + 1], n * sizeof(*env->attempts));
	memmove(&env->verdicts[i], &env->verdicts[i + 1], n * sizeof(*env->verdicts));
	return true;
}

void queue_settle(struct queue *q, struct queue_envelope *env)
{
	struct queue_item **items = env->items;
	bool fold = env->nalerts > 1;
	size_t n = fold ? env->nalerts : env->nrcpt, i;

	/* Who is put before the others comes last to first, who goes behind them first to last: both keep their
	 * order.
	 */
	for (i = n; i--; ) {
		const struct queue_verdict *v = &env->verdicts[fold ? 0 : i];

		if (v->outcome == QUEUE_RETRY)
			queue_item_land(q, items[i], v);
	}
	for (i = 0; i < n; i++) {
		const struct queue_verdict *v = &env->verdicts[fold ? 0 : i];

		if (v->outcome != QUEUE_RETRY)
			queue_item_land(q, items[i], v);
	}
	queue_envelope_free(env);
}
