/*
 * engine_limit - how many mails a recipient may get: at most <mails> in any stretch of <per>, over one
 * mailer or ordered list of mailers, whichever proxies they come from.
 *
 * Counted are the mails that were accepted in the last <per>, or may have been, and those on the way, as
 * each of these may be. So a limit is kept by when a server took the mails, which is what its mailbox sees.
 * What is over it waits (QUEUE_HELD) until the window opens; from then on the mails of that recipient are
 * folds, until one has taken up all that waits.
 *
 * Called by flight.c, by engine_route.c at the start, and by engine_rcpt.c for recipients that come later. One that no
 * route has any more is kept until its mails are out of the window, as its recipient may come again; of more than
 * LIMIT_SPARE such the one whose last mail is the oldest is forgotten.
 */
#include <stdlib.h>
#include <string.h>

#include "engine_internal.h"

#define LIMIT_SPARE   1000
#define LIMIT_LOOK_MS 1000 /* mails on the way are looked at again; they may fail */

struct engine_limit {
	struct engine_limit *next;
	unsigned refs;                 /* routes that have it */
	uint32_t per_ms;               /* the longest <per> of its routes */
	const struct queue_ring *ring; /* of the mailer or list */
	char *rcpt;
	bool folding;                  /* more waits than may be sent */
	size_t in_flight;              /* mails */
	size_t size, first, count;     /* of <times>, a ring: the last mails that were accepted */
	uint64_t *times;
};

static void engine_limit_end(struct engine_limit *l)
{
	free(l->times);
	free(l->rcpt);
	free(l);
}

void engine_limit_free(struct engine *e)
{
	struct engine_limit *l, *next;

	for (l = e->limited; l; l = next) {
		next = l->next;
		engine_limit_end(l);
	}
}

/* When its last mail was accepted; 0 without one. */
static uint64_t engine_limit_last(const struct engine_limit *l)
{
	return l->count ? l->times[(l->first + l->count - 1) % l->size] : 0;
}

static void engine_limit_unlink(struct engine_limit **at)
{
	struct engine_limit *l = *at;

	*at = l->next;
	engine_limit_end(l);
}

/* Frees those that nobody has and that would let every mail pass, and one if there are too many of the others. */
static void engine_limit_sweep(struct engine *e, uint64_t now_ms)
{
	struct engine_limit **at = &e->limited, **oldest = NULL, *l;
	size_t spare = 0;

	while ((l = *at)) {
		if (!l->refs && (!l->count || engine_limit_last(l) + l->per_ms <= now_ms)) {
			engine_limit_unlink(at);
			continue;
		}
		if (!l->refs && (!spare++ || engine_limit_last(l) <= engine_limit_last(*oldest)))
			oldest = at;
		at = &l->next;
	}
	if (spare > LIMIT_SPARE)
		engine_limit_unlink(oldest);
}

static struct engine_limit *engine_limit_new(struct engine *e, const struct queue_ring *ring, const char *rcpt)
{
	struct engine_limit *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->ring = ring;
	l->rcpt = engine_copy(rcpt);
	if (!l->rcpt) {
		free(l);
		return NULL;
	}
	l->next = e->limited;
	e->limited = l;
	return l;
}

/* Proxies are made before alerts are raised, so <times> is empty, or made straight here, when it grows. */
static bool engine_limit_reserve(struct engine_limit *l, size_t mails)
{
	uint64_t *times;
	size_t i;

	if (mails <= l->size)
		return true;
	times = malloc(mails * sizeof(*times));
	if (!times)
		return false;
	for (i = 0; i < l->count; i++)
		times[i] = l->times[(l->first + i) % l->size];
	free(l->times);
	l->times = times;
	l->size = mails;
	l->first = 0;
	return true;
}

struct engine_limit *engine_limit_get(struct engine *e, const struct queue_ring *ring, const char *rcpt,
                                      size_t mails, uint32_t per_ms, uint64_t now_ms)
{
	struct engine_limit *l;

	for (l = e->limited; l && (l->ring != ring || !engine_rcpt_same(l->rcpt, rcpt)); l = l->next)
		;
	if (!l) {
		engine_limit_sweep(e, now_ms);
		l = engine_limit_new(e, ring, rcpt);
	}
	if (!l || !engine_limit_reserve(l, mails))
		return NULL;
	l->refs++;
	if (per_ms > l->per_ms)
		l->per_ms = per_ms;
	return l;
}

void engine_limit_release(struct engine_limit *l)
{
	l->refs--;
}

/* When a mail may go, with at most <mails> in <per_ms>; not after <now_ms>: now. */
static uint64_t engine_limit_opens(const struct engine_limit *l, size_t mails, uint32_t per_ms, uint64_t now_ms)
{
	size_t back;

	if (l->in_flight >= mails)
		return now_ms + (per_ms < LIMIT_LOOK_MS ? per_ms : LIMIT_LOOK_MS);
	back = mails - l->in_flight; /* the mail so many before this one has to be out of the window */
	if (l->count < back)
		return now_ms;
	return l->times[(l->first + l->count - back) % l->size] + per_ms;
}

uint64_t engine_limit_asks(struct engine_limit *l, size_t mails, uint32_t per_ms, uint64_t now_ms)
{
	uint64_t opens = engine_limit_opens(l, mails, per_ms, now_ms);

	if (opens > now_ms)
		l->folding = true;
	return opens;
}

bool engine_limit_folds(const struct engine_limit *l)
{
	return l->folding;
}

void engine_limit_folded(struct engine_limit *l, bool all)
{
	l->folding = !all;
}

void engine_limit_begins(struct engine_limit *l)
{
	l->in_flight++;
}

void engine_limit_ends(struct engine_limit *l)
{
	l->in_flight--;
}

void engine_limit_accepted(struct engine_limit *l, uint64_t now_ms)
{
	if (l->count == l->size) {
		l->first = (l->first + 1) % l->size;
		l->count--;
	}
	l->times[(l->first + l->count++) % l->size] = now_ms;
}
