/*
 * engine - see engine.h: alerts come in, time passes, numbers go out. What happens on a connection is
 * connection.c's, order and bounds are the queue's, a mail server's health is the mailer's.
 *
 * Invariants: a ring holds routes of proxies of this engine only; slots[i] is NULL or an open connection.
 * After the start nothing but raising an alert, opening a connection, building a mail and logging
 * allocates, and nothing walks over alerts or lanes, but what is dropped, folded, or given up.
 */
#include <stdlib.h>
#include <string.h>

#include "engine_internal.h"

char *engine_copy(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = malloc(size);

	if (copy)
		memcpy(copy, text, size);
	return copy;
}

struct engine *engine_new(const struct engine_settings *settings)
{
	struct engine *e = calloc(1, sizeof(*e));

	if (!e)
		return NULL;
	e->limits = settings->limits;
	if (!e->limits.alerts)
		e->limits.alerts = ENGINE_ROUTE_ALERTS;
	if (!e->limits.bytes)
		e->limits.bytes = ENGINE_ROUTE_BYTES;
	e->max_age_ms = settings->max_age_ms ? settings->max_age_ms : ENGINE_MAX_AGE_MS;
	e->expiry_ms = UINT64_MAX;
	list_init(&e->outages.list);
	engine_ask_init(e);
	e->queue = queue_new();
	e->batches = batch_set_new();
	e->token = engine_copy(settings->token);
	if (!e->queue || !e->batches || !e->token) {
		engine_free(e);
		return NULL;
	}
	return e;
}

void engine_free(struct engine *e)
{
	struct engine_proxy *p, *next_proxy;
	struct mailer *m, *next_mailer;

	if (!e)
		return;
	engine_slot_free(e);
	engine_test_free_all(e);
	engine_record_free(e);
	engine_ask_free(e);
	engine_summary_free(e);
	engine_outage_free(e);
	queue_free(e->queue);
	for (p = e->proxies; p; p = next_proxy) {
		next_proxy = p->next;
		engine_proxy_free(p);
	}
	engine_limit_free(e);
	engine_group_free(e);
	for (m = e->mailers; m; m = next_mailer) {
		next_mailer = m->next;
		mailer_free(m);
	}
	engine_log_free(e);
	free(e->token);
	free(e);
}

/* Queues <alert>, NULL for want of memory, on one of its ways. */
static enum mailers_error engine_raise_on(struct engine *e, struct engine_route *r, struct queue_alert *alert,
                                          const struct engine_decision *d, uint64_t now_ms)
{
	enum mailers_error error = MAILERS_ERR_NOMEM;
	size_t dropped = 0;

	e->stats.raised++;
	e->stats.recipients += d->nrcpt;
	if (alert) {
		engine_record_add(e, r, alert);
		error = queue_add_some(e->queue, r->queue, alert, d->wanted, &dropped);
	}
	if (error == MAILERS_ERR_NOMEM) {
		dropped = 1;
		e->stats.lost += d->nrcpt;
	}
	if (dropped)
		engine_route_dropped(e, r, dropped, now_ms);
	return error;
}

/* Makes the ways of <proxy> if its host did not. */
static enum mailers_error engine_raise_ready(struct engine *e, struct engine_proxy *proxy, const char *name)
{
	char reason[ENGINE_REASON_MAX];
	enum mailers_error error = proxy->ready ? MAILERS_OK : engine_proxy_ready(e, proxy, reason);

	if (!error)
		return MAILERS_OK;
	e->stats.raised++;
	e->stats.dropped++;
	e->stats.recipients += proxy->nown;
	e->stats.lost += proxy->nown;
	proxy->unready++;
	engine_log(e, ALERT_LEVEL_ERR, "mailers: %s: an alert is lost: %s", name, reason);
	return error;
}

/* Does <r> go over a mailer that the decision allows? */
static bool engine_raise_over(const struct engine_route *r, const struct engine_decision *d)
{
	size_t i;

	for (i = 0; i < r->nmembers; i++) {
		if (d->members >> (size_t)(&r->members[i] - r->proxy->members) & 1)
			return true;
	}
	return false;
}

enum mailers_error engine_raise_decided(struct engine *e, struct engine_proxy *proxy, const struct engine_alert *a,
                                        const struct engine_decision *d, bool memory, uint64_t now_ms)
{
	enum mailers_error error, worst = MAILERS_OK;
	struct queue_alert *alert = NULL;
	struct engine_route *r;

	if (memory)
		alert = queue_alert_new_mail(e->queue, a->server, a->name, a->what, a->text, a->text_len, a->date, &d->mail,
		                             now_ms);
	if (alert) {
		alert->nrcpt = (unsigned)d->nrcpt;
		alert->owner = proxy;
		alert->outage = a->outage;
		engine_summary_add(e, proxy, alert, d->batch, now_ms);
	}
	for (r = proxy->routes; r; r = r->next) {
		if (!engine_raise_over(r, d))
			continue;
		error = engine_raise_on(e, r, alert, d, now_ms);
		if (error)
			worst = error;
	}
	engine_summary_tick(e, now_ms);
	e->expiry_ms = engine_earlier(e->expiry_ms, now_ms + proxy->max_age_ms);
	queue_alert_release(alert);
	return worst;
}

enum mailers_error engine_raise_ruled(struct engine *e, struct engine_proxy *proxy, const struct engine_alert *a,
                                      uint64_t now_ms)
{
	struct engine_decision d;
	enum mailers_error error = engine_rule_decide(proxy, a, &d);

	if (d.drop) {
		proxy->ruled_out++;
		error = MAILERS_OK;
	} else {
		error = engine_raise_decided(e, proxy, a, &d, !error, now_ms);
	}
	engine_rule_end(&d);
	return error;
}

enum mailers_error engine_raise_alert(struct engine *e, struct engine_proxy *proxy, const struct engine_alert *alert,
                                      uint64_t now_ms)
{
	enum mailers_error error;

	if (!engine_proxy_wants(proxy, alert->what->level))
		return MAILERS_OK;
	engine_count_alert(proxy, alert->what->level);
	error = engine_raise_ready(e, proxy, alert->name);
	if (error)
		return error;
	if (proxy->ask_ms && engine_ask_add(e, proxy, alert, now_ms))
		return MAILERS_OK;
	return engine_raise_ruled(e, proxy, alert, now_ms);
}

enum mailers_error engine_raise(struct engine *e, struct engine_proxy *proxy, uint64_t server, const char *name,
                                const struct alert_text *what, const char *text, size_t text_len,
                                const char *date, uint64_t now_ms)
{
	const struct engine_alert alert = {
		.server = server, .name = name, .what = what, .text = text, .text_len = text_len, .date = date,
	};

	return engine_raise_alert(e, proxy, &alert, now_ms);
}

void engine_tick(struct engine *e, uint64_t now_ms)
{
	engine_ask_tick(e, now_ms);
	engine_summary_tick(e, now_ms);
	queue_tick(e->queue, now_ms);
	engine_slot_tick(e, now_ms);
	engine_route_tick(e, now_ms);
}

uint64_t engine_deadline(const struct engine *e, uint64_t now_ms)
{
	uint64_t deadline = engine_earlier(queue_deadline(e->queue), engine_slot_deadline(e, now_ms));

	deadline = engine_earlier(deadline, engine_ask_deadline(e));
	deadline = engine_earlier(deadline, engine_summary_deadline(e));
	return engine_earlier(deadline, engine_route_deadline(e));
}

bool engine_busy(const struct engine *e)
{
	return e->nconnections || queue_alerts(e->queue) || e->asks.count || engine_test_waits(e);
}

void engine_stats(const struct engine *e, struct engine_stats *stats)
{
	const struct engine_proxy *p;
	const struct engine_route *r;
	struct queue_route_stats route;

	*stats = e->stats;
	for (p = e->proxies; p; p = p->next) {
		for (r = p->routes; r; r = r->next) {
			queue_route_stats(r->queue, &route);
			stats->lost += route.dropped_rcpt;
		}
	}
	stats->queued = queue_alerts(e->queue) + e->asks.count;
	stats->connections = e->nconnections;
}
