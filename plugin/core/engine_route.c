/*
 * engine_route - a proxy's way to one mailer or to a group: its queue_route, the alerts that were dropped
 * at its bounds, and those that are too old.
 *
 * Drops are told in bursts, as a full queue drops with each alert. An alert that was raised <max_age> ago
 * is given up wherever it waits, tried or not: behind a head that is deferred again and again, or for a
 * mailer that is down.
 *
 * Called by engine.c.
 */
#include <stdlib.h>

#include "engine_internal.h"

#define ROUTE_EXPIRY_MS 1000 /* between two looks when there may be more */

/* The limits on the recipients of <r>, whose first ring is <ring>. */
static bool engine_route_limit(struct engine *e, struct engine_route *r, const struct queue_ring *ring)
{
	const struct engine_proxy *p = r->proxy;
	size_t i;

	if (!p->limit_mails)
		return true;
	r->limits = calloc(SMTP_CLIENT_RCPT_MAX, sizeof(struct engine_limit *)); /* there may be more later */
	for (i = 0; r->limits && i < p->nrcpt; i++) {
		r->limits[i] = engine_limit_get(e, ring, p->rcpt[i], p->limit_mails, p->limit_per_ms, 0);
		if (!r->limits[i])
			return false;
	}
	return r->limits != NULL;
}

bool engine_route_new(struct engine *e, struct engine_proxy *proxy, struct engine_member *members, size_t n,
                      struct engine_group *group)
{
	struct queue_ring *rings[QUEUE_RINGS_MAX];
	struct engine_route *r = calloc(1, sizeof(*r)), **end;
	size_t i, nrings = 0;

	if (!r)
		return false;
	r->proxy = proxy;
	r->members = members;
	r->nmembers = n;
	r->group = group;
	if (group)
		rings[nrings++] = &group->turns[0].ring;
	for (i = 0; i < n; i++)
		rings[nrings++] = &members[i].mailer->ring;
	for (i = 0; group && i < n; i++) /* the one after each turn, for engine_route_next_turn() */
		rings[nrings++] = &group->turns[(i + 1) % n].ring;
	if (engine_route_limit(e, r, rings[0]))
		r->queue = queue_route_new(e->queue, rings, nrings, r, (const char *const *)proxy->rcpt, proxy->nrcpt,
		                           &e->limits); /* the proxy goes after the queue */
	if (!r->queue) {
		free(r->limits);
		free(r);
		return false;
	}
	for (end = &proxy->routes; *end; end = &(*end)->next)
		;
	*end = r;
	return true;
}

void engine_route_dropped(struct engine *e, struct engine_route *r, size_t n, uint64_t now_ms)
{
	if (!r->burst)
		r->burst_first_ms = now_ms;
	r->burst_last_ms = now_ms;
	r->burst += n;
	r->dropped += n;
	e->stats.dropped += n;
}

/* When the drops of <r> are told: after a quiet moment, and now and then when there is none. */
static uint64_t engine_route_burst_end(const struct engine_route *r)
{
	return engine_earlier(r->burst_last_ms + ENGINE_BURST_MS, r->burst_first_ms + ENGINE_BURST_MAX_MS);
}

static void engine_route_tell(struct engine *e, struct engine_route *r)
{
	const struct engine_member *m = engine_route_member(r);
	struct queue_route_stats stats;

	queue_route_stats(r->queue, &stats);
	engine_log(e, ALERT_LEVEL_ERR, "mailers: proxy %s via %s (%s): %zu alert%s dropped, the queue is full or "
	           "memory is short; queued %zu (%zu bytes), dropped at its bounds since start: %llu check "
	           "reports, %llu state changes", r->proxy->name, m->name, m->mailer->settings.address,
	           r->burst, r->burst == 1 ? "" : "s", stats.alerts, stats.bytes,
	           (unsigned long long)stats.dropped_check, (unsigned long long)stats.dropped_state);
	r->burst = 0;
}

/* Why an alert got too old: what its mailer said last. */
static const char *engine_route_why(const struct engine_route *r)
{
	const struct mailer *m = engine_route_member(r)->mailer;

	return m->state != MAILER_UP && m->error[0] ? m->error : "its time is over";
}

/* Gives up what is too old, as far as the log has place for it. Returns when to look again. */
static uint64_t engine_route_expire(struct engine *e, struct engine_route *r, uint64_t now_ms)
{
	uint64_t max = r->proxy->max_age_ms, next;
	struct queue_route_stats stats;
	struct queue_envelope *env;

	queue_route_stats(r->queue, &stats);
	if (stats.oldest_ms == UINT64_MAX)
		return UINT64_MAX;
	while (now_ms >= max && engine_log_room(e)) {
		env = queue_take_expired(e->queue, r->queue, now_ms - max + 1);
		if (!env)
			break;
		flight_give_up(e, env, ENGINE_FATE_GIVEN_UP, engine_route_why(r), now_ms);
	}
	queue_route_stats(r->queue, &stats);
	if (stats.oldest_ms == UINT64_MAX)
		return UINT64_MAX;
	next = stats.oldest_ms + max;
	return next > now_ms ? next : now_ms + ROUTE_EXPIRY_MS;
}

void engine_route_tick(struct engine *e, uint64_t now_ms)
{
	bool looks = now_ms >= e->expiry_ms;
	struct engine_proxy *p;
	struct engine_route *r;

	if (looks)
		e->expiry_ms = UINT64_MAX;
	for (p = e->proxies; p; p = p->next) {
		for (r = p->routes; r; r = r->next) {
			if (r->burst && now_ms >= engine_route_burst_end(r))
				engine_route_tell(e, r);
			if (looks)
				e->expiry_ms = engine_earlier(e->expiry_ms, engine_route_expire(e, r, now_ms));
		}
	}
}

uint64_t engine_route_deadline(const struct engine *e)
{
	uint64_t deadline = queue_alerts(e->queue) ? e->expiry_ms : UINT64_MAX;
	const struct engine_proxy *p;
	const struct engine_route *r;

	for (p = e->proxies; p; p = p->next) {
		for (r = p->routes; r; r = r->next) {
			if (r->burst)
				deadline = engine_earlier(deadline, engine_route_burst_end(r));
		}
	}
	return deadline;
}
