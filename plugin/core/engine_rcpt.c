/*
 * engine_rcpt - the recipients of a proxy: those of `email-alert to` and of its rules, which stay, and behind them those
 * that only an answer of the host names (engine_ask.c). Each has a place, the same in all routes of the proxy; one of the
 * latter kind loses it to another when nothing waits for it.
 *
 * Called by engine_rule.c at the start, and by engine_answer.c.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "engine_internal.h"

_Static_assert(SMTP_CLIENT_RCPT_MAX <= QUEUE_RCPT_MAX, "a route has place for all recipients of a proxy");

bool engine_rcpt_same(const char *a, const char *b)
{
	const char *at = strrchr(a, '@');
	size_t local = at ? (size_t)(at - a) : strlen(a);

	return !strncmp(a, b, local) && !strcasecmp(a + local, b + local);
}

int engine_rcpt_find(const struct engine_proxy *p, const char *address)
{
	size_t i;

	for (i = 0; i < p->nrcpt; i++) {
		if (engine_rcpt_same(p->rcpt[i], address))
			return (int)i;
	}
	return -1;
}

static bool engine_rcpt_waits(const struct engine_proxy *p, size_t i)
{
	const struct engine_route *r;

	for (r = p->routes; r; r = r->next) {
		if (queue_route_waits(r->queue, i))
			return true;
	}
	return false;
}

/* The limits on <address>, one a route. False without memory: none is held then. */
static bool engine_rcpt_limits(struct engine *e, const struct engine_proxy *p, const char *address, uint64_t now_ms,
                               struct engine_limit **limits)
{
	const struct engine_route *r;
	size_t n = 0;

	for (r = p->routes; p->limit_mails && r; r = r->next) {
		const struct queue_ring *ring = r->group ? &r->group->turns[0].ring : &r->members->mailer->ring;

		limits[n] = engine_limit_get(e, ring, address, p->limit_mails, p->limit_per_ms, now_ms);
		if (!limits[n]) {
			while (n--)
				engine_limit_release(limits[n]);
			return false;
		}
		n++;
	}
	return true;
}

/* Puts <address> in place <i>, which may be the one behind the last. Nothing here can fail. */
static void engine_rcpt_put(struct engine_proxy *p, size_t i, char *address, struct engine_limit *const *limits)
{
	struct engine_route *r;

	if (i < p->nrcpt)
		free(p->rcpt[i]);
	else
		p->nrcpt++;
	p->rcpt[i] = address;
	for (r = p->routes; r; r = r->next) {
		queue_route_grow(r->queue, p->nrcpt);
		if (!r->limits)
			continue;
		if (r->limits[i])
			engine_limit_release(r->limits[i]);
		r->limits[i] = *limits++;
	}
}

int engine_rcpt_place(struct engine *e, struct engine_proxy *p, const char *address, const bool *taken, uint64_t now_ms,
                      enum mailers_error *error)
{
	struct engine_limit *limits[ENGINE_MAILERS_MAX] = { NULL };
	int found = engine_rcpt_find(p, address);
	size_t i = p->nfixed;
	char *copy;

	if (found >= 0)
		return found;
	while (i < p->nrcpt && (taken[i] || engine_rcpt_waits(p, i)))
		i++;
	*error = MAILERS_ERR_BOUND;
	if (i == SMTP_CLIENT_RCPT_MAX)
		return -1;
	*error = MAILERS_ERR_NOMEM;
	copy = engine_copy(address);
	if (!copy || !engine_rcpt_limits(e, p, copy, now_ms, limits)) {
		free(copy);
		return -1;
	}
	engine_rcpt_put(p, i, copy, limits);
	return (int)i;
}
