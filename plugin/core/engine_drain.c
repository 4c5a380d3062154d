/*
 * engine_drain - the end of the process: what is queued is sent as fast as it goes, and what is left is
 * told.
 *
 * Nothing new is made here: mailers that failed are hurried (mailer.h), the queue's pauses are ended, and
 * flight_fate.c and engine_slot.c ask engine_draining() and engine_drain_over(). After the end what is in
 * flight ends with its connection: what SMTP cannot tell leaves the queue with that ("unknown",
 * "abandoned"), the rest goes back into it, for engine_abandon().
 */
#include "engine_internal.h"

void engine_drain(struct engine *e, uint64_t until_ms, uint64_t now_ms)
{
	struct mailer *m;
	size_t i;

	e->drain_until_ms = until_ms ? until_ms : 1;
	for (m = e->mailers; m; m = m->next) {
		m->hurried = true;
		m->suspended = false; /* better so than not at all */
		mailer_hurry(m);
	}
	engine_group_elect(e);
	engine_summary_flush(e);
	engine_ask_drain(e, e->drain_until_ms, now_ms);
	queue_tick(e->queue, UINT64_MAX);
	for (i = 0; i < e->nslots; i++) {
		if (e->slots[i])
			connection_drain(e->slots[i], now_ms);
	}
}

bool engine_draining(const struct engine *e)
{
	return e->drain_until_ms != 0;
}

bool engine_drain_over(const struct engine *e, uint64_t now_ms)
{
	return e->drain_until_ms && now_ms >= e->drain_until_ms;
}

/* Why what waits on <r> was not sent. */
static const char *engine_abandon_why(const struct engine_route *r)
{
	const struct mailer *m = engine_route_member(r)->mailer;

	return m->state != MAILER_UP && m->error[0] ? m->error : "the process ends";
}

static size_t engine_abandon_route(struct engine *e, struct engine_route *r, size_t most, uint64_t now_ms)
{
	struct queue_envelope *env;
	size_t n;

	for (n = 0; n < most && engine_log_room(e); n++) {
		env = queue_take_expired(e->queue, r->queue, UINT64_MAX);
		if (!env)
			break;
		flight_give_up(e, env, ENGINE_FATE_ABANDONED, engine_abandon_why(r), now_ms);
	}
	return n;
}

size_t engine_abandon(struct engine *e, size_t most, uint64_t now_ms)
{
	struct engine_proxy *p;
	struct engine_route *r;
	size_t n = 0;

	engine_ask_flush(e, now_ms);
	for (p = e->proxies; p; p = p->next) {
		for (r = p->routes; r; r = r->next)
			n += engine_abandon_route(e, r, most - n, now_ms);
	}
	return n;
}
