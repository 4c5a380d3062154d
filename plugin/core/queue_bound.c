/*
 * queue_bound - what goes when a route is full: check reports before state changes, oldest first, never what
 * is in flight, a delivery of which any recipient is in flight included.
 *
 * Called by queue_add() alone.
 */
#include "queue_internal.h"

static void queue_drop(struct queue *q, struct queue_delivery *d)
{
	struct queue_route_stats *stats = &d->route->stats;

	if (d->alert->what.kind == ALERT_KIND_CHECK)
		stats->dropped_check++;
	else
		stats->dropped_state++;
	stats->dropped_rcpt += d->left;
	queue_delivery_clear(q, d);
}

/* Drops the oldest delivery of <kind> that has nothing in flight, but <spare>, which is the newest. */
static bool queue_drop_one(struct queue *q, struct queue_route *r, enum alert_kind kind,
                           const struct queue_delivery *spare)
{
	struct queue_delivery *d = queue_kind_landed(&r->kinds[kind]);

	if (!d || d == spare)
		return false;
	queue_drop(q, d);
	return true;
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

bool queue_bound_trim(struct queue *q, struct queue_route *r, struct queue_delivery *added, size_t *dropped)
{
	/* One that is larger than the bound would clear the whole route in vain. */
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
