/*
 * queue_fold - many alerts of one recipient in one envelope, when single mails would be too many.
 *
 * First the items are found and only marked, then the memory is asked for, and only then anything moves: so a
 * fold that fails changes nothing. A lane gives a run of items from its head on: an item may join when it is
 * its lane's head, or when the one before it joined.
 *
 * Called by the engine between queue_take() and the mail's way.
 */
#include <stdlib.h>
#include <string.h>

#include "queue_internal.h"

#define FOLD_ITEMS_MIN 16

/* A route that gives alerts, in their order. */
struct fold_source {
	struct queue_route *route;
	size_t rcpt;
	struct queue_walk walk;
	struct queue_delivery *next;
};

struct fold {
	struct queue_item **items; /* oldest first; the array of alerts comes behind them */
	size_t n, size;
	struct queue_item *own;    /* the one that was taken: it is in the fold whatever the bounds */
	bool has_own;
	size_t alerts, bytes;      /* room for others */
	struct fold_source *sources; /* with something left: a heap, whose first has the oldest */
	size_t nsources;
};

static bool fold_add(struct fold *f, struct queue_item *item)
{
	if (f->n == f->size) {
		size_t size = f->size ? 2 * f->size : FOLD_ITEMS_MIN;
		struct queue_item **items = realloc(f->items, size * sizeof(*items));

		if (!items)
			return false;
		f->items = items;
		f->size = size;
	}
	f->items[f->n++] = item;
	item->state = ITEM_FOLDED;
	return true;
}

static bool fold_may_join(const struct fold *f, const struct queue_item *item)
{
	const struct queue_alert *own = f->own->delivery->alert;
	const struct lane *lane;

	if (item->state != ITEM_WAITING || item->pin != f->own->pin || item->delivery->alert->held)
		return false;
	if (own->batch && item->delivery->alert->batch != own->batch)
		return false;
	lane = item->lane;
	if (queue_lane_head(lane) == item)
		return lane->state == LANE_READY || lane->state == LANE_HELD;
	return LIST_ENTRY(item->in_lane.prev, struct queue_item, in_lane)->state == ITEM_FOLDED;
}

/* Index of the recipient in <r>; r->nrcpt without it. */
static size_t fold_rcpt(const struct queue_route *r, const char *rcpt)
{
	size_t i;

	for (i = 0; i < r->nrcpt && strcmp(r->rcpt[i], rcpt); i++)
		;
	return i;
}

/* The next delivery of <s> that was added when its route had the recipient. */
static void fold_walk(struct fold_source *s)
{
	do {
		s->next = queue_walk_next(s->route, &s->walk);
	} while (s->next && s->rcpt >= s->next->nitems);
}

/* Puts the source at <pos> where it belongs among those below it: hundreds of routes may be joined. */
static void fold_settle(struct fold *f, size_t pos)
{
	struct fold_source *s = f->sources, source = s[pos];
	size_t child;

	while ((child = 2 * pos + 1) < f->nsources) {
		if (child + 1 < f->nsources && s[child + 1].next->seq < s[child].next->seq)
			child++;
		if (s[child].next->seq > source.next->seq)
			break;
		s[pos] = s[child];
		pos = child;
	}
	s[pos] = source;
}

/* The own route, and for a batch those that it is joined with. False without memory. */
static bool fold_sources(struct fold *f)
{
	struct queue_route *own = f->own->delivery->route;
	const char *rcpt = own->rcpt[f->own->lane->rcpt];
	const struct list *l = &own->kin;
	size_t n = 0;

	do {
		n++;
		l = l->next;
	} while (f->own->delivery->alert->batch && l != &own->kin);
	f->sources = calloc(n, sizeof(*f->sources));
	if (!f->sources)
		return false;
	for (l = &own->kin; n--; l = l->next) {
		struct queue_route *r = LIST_ENTRY(l, struct queue_route, kin);
		struct fold_source *s = &f->sources[f->nsources];

		*s = (struct fold_source){ .route = r, .rcpt = fold_rcpt(r, rcpt) };
		if (s->rcpt == r->nrcpt)
			continue;
		fold_walk(s);
		f->nsources += s->next != NULL;
	}
	for (n = f->nsources / 2; n--; )
		fold_settle(f, n);
	return true;
}

/* The next item in the order of adding; NULL after the last. */
static struct queue_item *fold_next(struct fold *f)
{
	struct fold_source *first = f->sources;
	struct queue_item *item;

	if (!f->nsources)
		return NULL;
	item = &first->next->items[first->rcpt];
	fold_walk(first);
	if (!first->next)
		*first = f->sources[--f->nsources];
	if (f->nsources > 1)
		fold_settle(f, 0);
	return item;
}

/* Finds the items in the order of adding. Where a bound ends the search before the own one was met, that is
 * newer than all that were found.
 */
static bool fold_find(struct fold *f)
{
	struct queue_item *item;
	size_t len;

	while (f->alerts && (item = fold_next(f))) {
		if (item == f->own) {
			f->has_own = true;
		} else {
			if (!fold_may_join(f, item))
				continue;
			len = strlen(item->delivery->alert->text);
			if (len > f->bytes)
				break;
			f->alerts--;
			f->bytes -= len;
		}
		if (!fold_add(f, item))
			return false;
	}
	return f->has_own || fold_add(f, f->own);
}

/* Appends the array of alerts to that of items. */
static const struct queue_alert **fold_alerts(struct fold *f)
{
	struct queue_item **items = realloc(f->items, 2 * f->n * sizeof(*items));
	const struct queue_alert **alerts;
	size_t i;

	if (!items)
		return NULL;
	f->items = items;
	alerts = (const struct queue_alert **)(void *)(items + f->n);
	for (i = 0; i < f->n; i++)
		alerts[i] = items[i]->delivery->alert;
	return alerts;
}

static void fold_undo(struct fold *f)
{
	while (f->n--)
		f->items[f->n]->state = ITEM_WAITING;
	f->own->state = ITEM_IN_FLIGHT;
	free(f->items);
}

/* Recipient <i> becomes the only one. */
static void fold_envelope(struct queue *q, struct queue_envelope *env, size_t i, struct fold *f,
                          const struct queue_alert **alerts)
{
	static const struct queue_verdict retry = { .outcome = QUEUE_RETRY };
	struct queue_item **items = env->items;
	size_t k;

	for (k = env->nrcpt; k--; ) {
		if (k != i)
			queue_item_land(q, items[k], &retry);
	}
	env->nrcpt = 1;
	env->rcpt[0] = env->rcpt[i];
	env->attempts[0] = 0;
	env->verdicts[0] = env->verdicts[i];
	env->alert = alerts[0];
	env->alerts = alerts;
	env->nalerts = f->n;
	env->items = f->items;
	env->fold = f->items;
	for (k = 0; k < f->n; k++) {
		if (f->items[k] == f->own)
			f->own->state = ITEM_IN_FLIGHT;
		else
			queue_item_fly(q, f->items[k]);
		if (f->items[k]->attempts > env->attempts[0])
			env->attempts[0] = f->items[k]->attempts;
	}
}

enum mailers_error queue_fold(struct queue *q, struct queue_envelope *env, size_t i, size_t most_alerts,
                              size_t most_bytes)
{
	struct queue_item **items = env->items;
	const struct queue_alert **alerts;
	struct fold f = { 0 };
	size_t len;

	if (env->fold || i >= env->nrcpt)
		return MAILERS_ERR_STATE;
	f.own = items[i];
	f.own->state = ITEM_FOLDED;
	len = strlen(env->alert->text);
	f.alerts = most_alerts && len <= most_bytes ? most_alerts - 1 : 0;
	f.bytes = most_bytes - len; /* does not matter without room for alerts */
	alerts = fold_sources(&f) && fold_find(&f) ? fold_alerts(&f) : NULL;
	free(f.sources);
	if (!alerts) {
		fold_undo(&f);
		return MAILERS_ERR_NOMEM;
	}
	fold_envelope(q, env, i, &f, alerts);
	return MAILERS_OK;
}
