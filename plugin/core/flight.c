/*
 * flight - one mail on a connection: taken from the queue, built, submitted, answered, settled. What an
 * outcome means stands in failure.c, what is said about it in flight_fate.c.
 *
 * A session that fails costs one mail a try, the oldest that it leaves without a verdict: a mail behind one
 * that breaks every session must not perish with it. Whether a RETURNED is counted depends on how the
 * session ended, which may be told after it; so it is decided when the flight is settled.
 *
 * Called by connection.c alone.
 */
#include <string.h>

#include "engine_internal.h"

struct engine_route *flight_route(const struct flight *f)
{
	return queue_route_owner(f->env->route);
}

/* The limit on recipient <i>; NULL: none. The envelope's recipients are some of the route's, in its order. */
static struct engine_limit *flight_limit(const struct queue_envelope *env, size_t i)
{
	const struct engine_route *r = queue_route_owner(env->route);
	size_t k;

	if (!r->limits)
		return NULL;
	for (k = i; strcmp(r->proxy->rcpt[k], env->rcpt[i]); k++)
		;
	return r->limits[k];
}

/* It is on no way any more. */
static void flight_leave(struct flight *f)
{
	size_t i;

	for (i = 0; i < f->env->nrcpt; i++) {
		struct engine_limit *l = flight_limit(f->env, i);

		if (!l)
			continue;
		engine_limit_ends(l);
		if (f->env->nalerts > 1 && !f->env->alert->batch && f->env->verdicts[i].outcome != QUEUE_DONE)
			engine_limit_folded(l, false);
	}
	f->member->mailer->in_flight -= f->env->nrcpt;
}

static void flight_free(struct flight *f)
{
	flight_leave(f);
	queue_settle(f->queue, f->env);
	buffer_free(&f->message);
	*f = (struct flight){ 0 };
}

void flight_accepted(const struct flight *f, size_t i, uint64_t now_ms)
{
	struct engine_limit *l = flight_limit(f->env, i);

	if (l)
		engine_limit_accepted(l, now_ms);
}

/* That one of the route's members whose mailer is <m>. */
static const struct engine_member *flight_member(const struct engine_route *r, const struct mailer *m)
{
	size_t i;

	for (i = 0; i + 1 < r->nmembers && r->members[i].mailer != m; i++)
		;
	return &r->members[i];
}

/* Makes a fold of <env> for the first recipient that is to have one, by a limit or a summary. Without memory it
 * stays as it is: better a mail too many than none.
 */
static void flight_fold(struct engine *e, struct queue_envelope *env)
{
	size_t i;

	for (i = 0; i < env->nrcpt; i++) {
		struct engine_limit *l = flight_limit(env, i);
		bool limited = l && engine_limit_folds(l);

		if (!limited && !env->alert->batch)
			continue;
		if (!queue_fold(e->queue, env, i, FLIGHT_FOLD_ALERTS, FLIGHT_FOLD_BYTES) && limited)
			engine_limit_folded(l, env->nalerts == 1);
		return;
	}
}

/* Holds the recipients of <env> that have had enough mails, and folds what is to go together. False when
 * nobody is left: <env> is gone then. At the end of the process nobody waits.
 */
static bool flight_limits(struct engine *e, struct queue_envelope *env, uint64_t now_ms)
{
	const struct engine_route *r = queue_route_owner(env->route);
	size_t i;

	for (i = r->limits ? env->nrcpt : 0; i--; ) {
		uint64_t opens = engine_limit_asks(flight_limit(env, i), r->proxy->limit_mails, r->proxy->limit_per_ms,
		                                   now_ms);

		if (opens > now_ms && !engine_draining(e) && !queue_hold(e->queue, env, i, opens))
			return false;
	}
	flight_fold(e, env);
	return true;
}

/* The next envelope for <m> that may go now, and the ring where it stood. */
static struct queue_envelope *flight_envelope(struct engine *e, struct mailer *m, const struct queue_ring **from,
                                              uint64_t now_ms)
{
	struct queue_envelope *env;
	struct queue_ring *ring;

	do {
		ring = mailer_next_ring(m);
		env = ring ? queue_take(e->queue, ring) : NULL;
	} while (env && !flight_limits(e, env, now_ms));
	*from = ring;
	return env;
}

bool flight_take(struct engine *e, struct flight *f, struct mailer *m, uint64_t now_ms)
{
	struct engine_limit *l;
	size_t i;

	f->env = flight_envelope(e, m, &f->ring, now_ms);
	if (!f->env)
		return false;
	f->queue = e->queue;
	f->member = flight_member(flight_route(f), m);
	m->in_flight += f->env->nrcpt;
	for (i = 0; i < f->env->nrcpt; i++) {
		l = flight_limit(f->env, i);
		if (l)
			engine_limit_begins(l);
	}
	flight_build(e, f);
	if (!buffer_error(&f->message))
		return true;
	flight_free(f);
	return false;
}

/* For want of memory: nobody's fault, and no try. */
static void flight_hold(struct flight *f, uint64_t now_ms)
{
	size_t i;

	for (i = 0; i < f->env->nrcpt; i++)
		f->env->verdicts[i] = (struct queue_verdict){ QUEUE_HELD, now_ms + ENGINE_RETRY_MS, 0 };
}

void flight_reject(struct engine *e, struct flight *f, enum mailers_error error, uint64_t now_ms)
{
	f->answered = true;
	if (error == MAILERS_ERR_NOMEM)
		flight_hold(f, now_ms);
	else
		flight_charge(e, f, mailers_error_text(error), true, now_ms);
}

bool flight_settle(struct engine *e, struct flight *f, const char *failure, uint64_t now_ms)
{
	bool charged = f->unknown;

	if (failure)
		charged |= flight_charge(e, f, failure, false, now_ms);
	flight_free(f);
	return charged;
}

uint32_t flight_backoff(uint64_t id, unsigned attempts)
{
	uint64_t base = FLIGHT_RETRY_MS, hash = (id << 8 | (attempts & 0xff)) * UINT64_C(0x9E3779B97F4A7C15);

	for (; attempts > 1 && base < FLIGHT_RETRY_MAX_MS * 4 / 5; attempts--)
		base *= 2;
	if (base > FLIGHT_RETRY_MAX_MS * 4 / 5)
		base = FLIGHT_RETRY_MAX_MS * 4 / 5;
	return (uint32_t)(base + (hash >> 32) % (base / 4 + 1));
}
