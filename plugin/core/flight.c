/*
 * flight - one mail on a connection: taken from the queue, built, submitted, answered, settled. What an outcome means
 * stands in failure.c, what is said about it in flight_fate.c.
 *
 * A session that fails costs one mail a try, the oldest that it leaves without a verdict: a mail behind one
 * that breaks every session must not perish with it. Whether a RETURNED is counted depends on how
 * the session ended, which may be told after it; so it is decided when the flight is settled.
 *
 * Called by connection.c alone.
 */
#include <string.h>

#include <mailers/message.h>

#include "engine_internal.h"

struct engine_route *flight_route(const struct flight *f)
{
	return queue_route_owner(f->env->route);
}

static void flight_free(struct flight *f)
{
	f->member->mailer->in_flight -= f->env->nrcpt;
	queue_settle(f->queue, f->env);
	buffer_free(&f->message);
	*f = (struct flight){ 0 };
}

/* Builds the message of an envelope. It is built anew for each try: the same bytes, Message-ID included. */
static void flight_build(const struct engine *e, struct flight *f)
{
	const struct engine_route *r = flight_route(f);
	const char *helo = r->members[0].mailer->settings.helo; /* whoever of a group it goes over */
	const struct engine_proxy *proxy = r->proxy;
	const struct queue_alert *a = f->env->alert;
	struct buffer id = { 0 };
	struct message_fields fields = { .from = proxy->from, .to = proxy->to, .date = a->date, .text = a->text };

	buffer_printf(&id, "%llu.%s@%s", (unsigned long long)a->id, e->token, helo);
	buffer_add(&id, "", 1);
	if (buffer_error(&id)) {
		f->message.error = MAILERS_ERR_NOMEM;
	} else {
		fields.message_id = id.data;
		message_build(&fields, &f->message);
	}
	buffer_free(&id);
}

/* That one of the route's members whose mailer is <m>. */
static const struct engine_member *flight_member(const struct engine_route *r, const struct mailer *m)
{
	size_t i;

	for (i = 0; i + 1 < r->nmembers && r->members[i].mailer != m; i++)
		;
	return &r->members[i];
}

bool flight_take(struct engine *e, struct flight *f, struct mailer *m)
{
	struct queue_ring *ring = mailer_next_ring(m);

	f->env = ring ? queue_take(e->queue, ring) : NULL;
	if (!f->env)
		return false;
	f->queue = e->queue;
	f->member = flight_member(flight_route(f), m);
	m->in_flight += f->env->nrcpt;
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
