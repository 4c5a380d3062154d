/*
 * engine - see engine.h. Owns the proxies, the mailers, the queue and the connections; decides which
 * connection is opened next. What happens on a connection is connection.c's, order and bounds are the
 * queue's, a mail server's health is the mailer's.
 *
 * Invariants: a mailer's ring holds routes of proxies of this engine only; slots[i] is NULL or an open
 * connection, counted in its mailer's active or lingering. Nothing here but raising an alert and opening a
 * connection allocates, and nothing walks over alerts or lanes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mailers/mailbox.h>

#include "engine_internal.h"

static uint64_t engine_earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static char *engine_copy(const char *text)
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
	e->queue = queue_new();
	e->token = engine_copy(settings->token);
	if (!e->queue || !e->token) {
		engine_free(e);
		return NULL;
	}
	return e;
}

static void engine_proxy_free(struct engine_proxy *p)
{
	struct engine_route *r, *next;
	size_t i;

	for (r = p->routes; r; r = next) {
		next = r->next;
		free(r->mailer_name);
		free(r);
	}
	for (i = 0; i < p->nrcpt; i++)
		free(p->rcpt[i]);
	free(p->rcpt);
	free(p->sender);
	free(p->from);
	free(p->to);
	free(p->name);
	free(p);
}

void engine_free(struct engine *e)
{
	struct engine_proxy *p, *next_proxy;
	struct mailer *m, *next_mailer;
	size_t i;

	if (!e)
		return;
	for (i = 0; i < e->nslots; i++) {
		if (e->slots[i])
			connection_free(e, e->slots[i], 0);
	}
	free(e->slots);
	queue_free(e->queue);
	for (p = e->proxies; p; p = next_proxy) {
		next_proxy = p->next;
		engine_proxy_free(p);
	}
	for (m = e->mailers; m; m = next_mailer) {
		next_mailer = m->next;
		mailer_free(m);
	}
	engine_log_free(e);
	free(e->token);
	free(e);
}

/* Parses `email-alert from` and `to`; moves the addresses into <p>. */
static enum mailers_error engine_proxy_addresses(struct engine_proxy *p, const char *name, char *reason)
{
	char why[MAILBOX_REASON_SIZE];
	struct mailbox_list list;
	enum mailers_error error;

	error = mailbox_list_parse(&list, p->from, why, sizeof(why));
	if (!error && list.n != 1) {
		snprintf(why, sizeof(why), "%zu addresses stand there, give one", list.n);
		mailbox_list_free(&list);
		error = MAILERS_ERR_SYNTAX;
	}
	if (error) {
		snprintf(reason, ENGINE_REASON_MAX, "proxy %.100s: email-alert from: %s", name, why);
		return error;
	}
	p->sender = list.address[0];
	list.address[0] = NULL;
	mailbox_list_free(&list);
	error = mailbox_list_parse(&list, p->to, why, sizeof(why));
	if (error) {
		snprintf(reason, ENGINE_REASON_MAX, "proxy %.100s: email-alert to: %s", name, why);
		return error;
	}
	p->rcpt = list.address;
	p->nrcpt = list.n;
	return MAILERS_OK;
}

enum mailers_error engine_proxy_add(struct engine *e, const struct engine_proxy_settings *settings,
                                    struct engine_proxy **proxy, char *reason)
{
	struct engine_proxy *p = calloc(1, sizeof(*p));
	enum mailers_error error = MAILERS_ERR_NOMEM;

	snprintf(reason, ENGINE_REASON_MAX, "proxy %.100s: out of memory", settings->name);
	if (!p)
		return error;
	p->name = engine_copy(settings->name);
	p->from = engine_copy(settings->from);
	p->to = engine_copy(settings->to);
	p->level = settings->level;
	if (p->name && p->from && p->to)
		error = engine_proxy_addresses(p, settings->name, reason);
	if (error) {
		engine_proxy_free(p);
		return error;
	}
	p->next = e->proxies;
	e->proxies = p;
	*proxy = p;
	reason[0] = '\0';
	return MAILERS_OK;
}

/* The mailer with these settings, made if it is new. */
static struct mailer *engine_mailer(struct engine *e, const struct mailer_settings *settings)
{
	struct mailer **end = &e->mailers, *m;

	for (; *end; end = &(*end)->next) {
		if (mailer_same(*end, settings))
			return *end;
	}
	m = mailer_new(settings);
	*end = m;
	return m;
}

/* A HELO name ends up in a command and in Message-IDs: nothing may end either. */
static bool engine_helo_valid(const char *helo)
{
	const char *p;

	for (p = helo; *p; p++) {
		if ((unsigned char)*p <= ' ' || (unsigned char)*p > '~' || strchr("<>@\"\\(),;", *p))
			return false;
	}
	return p != helo && p - helo <= 255;
}

enum mailers_error engine_proxy_mailer(struct engine *e, struct engine_proxy *proxy,
                                       const struct mailer_settings *settings, char *reason)
{
	struct engine_route *r;

	if (!engine_helo_valid(settings->helo)) {
		snprintf(reason, ENGINE_REASON_MAX, "proxy %.100s: email-alert myhostname: '%.100s' is no host "
		         "name; write one such as lb1.example.org", proxy->name, settings->helo);
		return MAILERS_ERR_SYNTAX;
	}
	snprintf(reason, ENGINE_REASON_MAX, "proxy %.100s: out of memory", proxy->name);
	r = calloc(1, sizeof(*r));
	if (!r)
		return MAILERS_ERR_NOMEM;
	r->proxy = proxy;
	r->mailer_name = engine_copy(settings->name);
	r->mailer = engine_mailer(e, settings);
	if (r->mailer && r->mailer_name) {
		struct queue_ring *ring = &r->mailer->ring;

		r->queue = queue_route_new(e->queue, &ring, 1, r, (const char *const *)proxy->rcpt,
		                           proxy->nrcpt, &e->limits);
	}
	if (!r->queue) {
		free(r->mailer_name);
		free(r);
		return MAILERS_ERR_NOMEM;
	}
	r->next = proxy->routes;
	proxy->routes = r;
	reason[0] = '\0';
	return MAILERS_OK;
}

enum mailers_error engine_proxy_ready(struct engine *e, struct engine_proxy *proxy, char *reason)
{
	(void)e;
	reason[0] = '\0';
	if (proxy->routes)
		return MAILERS_OK;
	snprintf(reason, ENGINE_REASON_MAX, "proxy %.100s: it has no mailer", proxy->name);
	return MAILERS_ERR_STATE;
}

bool engine_proxy_wants(const struct engine_proxy *proxy, enum alert_level level)
{
	return level <= proxy->level;
}

const char *engine_proxy_name(const struct engine_proxy *proxy)
{
	return proxy->name;
}

static void engine_dropped(struct engine *e, struct engine_route *r, size_t n, uint64_t now_ms)
{
	if (!r->burst)
		r->burst_first_ms = now_ms;
	r->burst_last_ms = now_ms;
	r->burst += n;
	e->stats.dropped += n;
}

enum mailers_error engine_raise(struct engine *e, struct engine_proxy *proxy, uint64_t server, const char *name,
                                const struct alert_text *what, const char *text, size_t text_len,
                                const char *date, uint64_t now_ms)
{
	enum mailers_error error, worst = MAILERS_OK;
	struct queue_alert *alert;
	struct engine_route *r;

	if (!engine_proxy_wants(proxy, what->level))
		return MAILERS_OK;
	alert = queue_alert_new(e->queue, server, name, what, text, text_len, date, now_ms);
	for (r = proxy->routes; r; r = r->next) {
		size_t dropped = 0;

		e->stats.raised++;
		error = alert ? queue_add(e->queue, r->queue, alert, &dropped) : MAILERS_ERR_NOMEM;
		if (error == MAILERS_ERR_NOMEM)
			dropped = 1;
		if (dropped)
			engine_dropped(e, r, dropped, now_ms);
		if (error)
			worst = error;
	}
	queue_alert_release(alert);
	return worst;
}

/* A free place in the table of connections, grown when it must be; -1 without memory. */
static int engine_slot(struct engine *e)
{
	struct connection **slots;
	size_t i, n;

	for (i = 0; i < e->nslots; i++) {
		if (!e->slots[i])
			return (int)i;
	}
	n = e->nslots ? e->nslots * 2 : 16;
	slots = realloc(e->slots, n * sizeof(*slots));
	if (!slots)
		return -1;
	memset(slots + e->nslots, 0, (n - e->nslots) * sizeof(*slots));
	e->slots = slots;
	e->nslots = n;
	return (int)i;
}

static bool engine_mailer_wants(const struct mailer *m, uint64_t now_ms)
{
	return m->ring.ready && mailer_may_connect(m, now_ms);
}

int engine_connect(struct engine *e, uint64_t now_ms)
{
	struct mailer *m = e->next_mailer ? e->next_mailer : e->mailers, *first = m;
	struct connection *c;
	int slot;

	if (!m)
		return -1;
	while (!engine_mailer_wants(m, now_ms)) {
		m = m->next ? m->next : e->mailers;
		if (m == first)
			return -1;
	}
	slot = engine_slot(e);
	c = slot < 0 ? NULL : connection_new(e, m, now_ms);
	e->retry_ms = c ? 0 : now_ms + ENGINE_RETRY_MS;
	if (!c)
		return -1;
	c->id = ++e->last_id;
	e->slots[slot] = c;
	e->next_mailer = m->next;
	e->nconnections++;
	return slot;
}

static struct connection *engine_connection(const struct engine *e, int slot)
{
	return e && slot >= 0 && (size_t)slot < e->nslots ? e->slots[slot] : NULL;
}

const char *engine_address(const struct engine *e, int slot)
{
	const struct connection *c = engine_connection(e, slot);

	return c ? c->mailer->settings.address : "";
}

const char *engine_mailer_name(const struct engine *e, int slot)
{
	const struct connection *c = engine_connection(e, slot);

	return c ? c->mailer->settings.name : "";
}

uint64_t engine_connection_id(const struct engine *e, int slot)
{
	const struct connection *c = engine_connection(e, slot);

	return c ? c->id : 0;
}

void engine_connected(struct engine *e, int slot, uint64_t now_ms)
{
	struct connection *c = engine_connection(e, slot);

	if (c)
		smtp_client_connected(c->client, now_ms);
}

enum engine_want engine_want(const struct engine *e, int slot)
{
	const struct connection *c = engine_connection(e, slot);

	if (!c)
		return ENGINE_WANT_CLOSE;
	switch (smtp_client_want(c->client)) {
	case SMTP_CLIENT_WANT_READ:
		return ENGINE_WANT_READ;
	case SMTP_CLIENT_WANT_WRITE:
		return ENGINE_WANT_WRITE;
	case SMTP_CLIENT_WANT_TLS:
	case SMTP_CLIENT_WANT_SUBMIT: /* cannot be: connection_run() submits or quits */
	case SMTP_CLIENT_WANT_CLOSE:
		break;
	}
	return ENGINE_WANT_CLOSE;
}

size_t engine_need(const struct engine *e, int slot)
{
	const struct connection *c = engine_connection(e, slot);

	return c ? smtp_client_need(c->client) : 0;
}

bool engine_encrypted(const struct engine *e, int slot)
{
	(void)e;
	(void)slot;
	return false;
}

size_t engine_peek(const struct engine *e, int slot, const char **data)
{
	const struct connection *c = engine_connection(e, slot);

	return c ? smtp_client_peek(c->client, data) : 0;
}

void engine_ack(struct engine *e, int slot, size_t n, uint64_t now_ms)
{
	struct connection *c = engine_connection(e, slot);

	if (!c)
		return;
	smtp_client_ack(c->client, n, now_ms);
	connection_run(e, c, now_ms);
}

void engine_feed(struct engine *e, int slot, const char *data, size_t len, uint64_t now_ms)
{
	struct connection *c = engine_connection(e, slot);

	if (!c)
		return;
	smtp_client_feed(c->client, data, len, now_ms);
	connection_run(e, c, now_ms);
}

void engine_eof(struct engine *e, int slot, uint64_t now_ms)
{
	struct connection *c = engine_connection(e, slot);

	if (!c)
		return;
	smtp_client_eof(c->client, now_ms);
	connection_run(e, c, now_ms);
}

void engine_release(struct engine *e, int slot, uint64_t now_ms)
{
	struct connection *c = engine_connection(e, slot);

	if (!c)
		return;
	connection_free(e, c, now_ms);
	e->slots[slot] = NULL;
	e->nconnections--;
}

/* When the drops of <r> are told: after a quiet moment, and now and then when there is none. */
static uint64_t engine_burst_end(const struct engine_route *r)
{
	return engine_earlier(r->burst_last_ms + ENGINE_BURST_MS, r->burst_first_ms + ENGINE_BURST_MAX_MS);
}

/* Tells the drops of a route whose burst is over. */
static void engine_tick_route(struct engine *e, struct engine_route *r, uint64_t now_ms)
{
	struct queue_route_stats stats;

	if (!r->burst || now_ms < engine_burst_end(r))
		return;
	queue_route_stats(r->queue, &stats);
	engine_log(e, ALERT_LEVEL_ERR, "mailers: proxy %s via %s (%s): %zu alert%s dropped, the queue is full or "
	           "memory is short; queued %zu (%zu bytes), dropped at its bounds since start: %llu check "
	           "reports, %llu state changes", r->proxy->name, r->mailer_name, r->mailer->settings.address,
	           r->burst, r->burst == 1 ? "" : "s", stats.alerts, stats.bytes,
	           (unsigned long long)stats.dropped_check, (unsigned long long)stats.dropped_state);
	r->burst = 0;
}

void engine_tick(struct engine *e, uint64_t now_ms)
{
	struct engine_proxy *p;
	struct engine_route *r;
	size_t i;

	queue_tick(e->queue, now_ms);
	for (i = 0; i < e->nslots; i++) {
		if (e->slots[i])
			connection_tick(e, e->slots[i], now_ms);
	}
	for (p = e->proxies; p; p = p->next) {
		for (r = p->routes; r; r = r->next)
			engine_tick_route(e, r, now_ms);
	}
}

uint64_t engine_deadline(const struct engine *e, uint64_t now_ms)
{
	uint64_t deadline = queue_deadline(e->queue);
	const struct engine_proxy *p;
	const struct engine_route *r;
	const struct mailer *m;
	size_t i;

	if (e->retry_ms > now_ms)
		deadline = engine_earlier(deadline, e->retry_ms);
	for (i = 0; i < e->nslots; i++) {
		if (e->slots[i])
			deadline = engine_earlier(deadline, connection_deadline(e->slots[i]));
	}
	for (m = e->mailers; m; m = m->next) {
		if (m->ring.ready && m->paused_until_ms > now_ms)
			deadline = engine_earlier(deadline, m->paused_until_ms);
	}
	for (p = e->proxies; p; p = p->next) {
		for (r = p->routes; r; r = r->next) {
			if (r->burst)
				deadline = engine_earlier(deadline, engine_burst_end(r));
		}
	}
	return deadline;
}

int engine_expired(struct engine *e)
{
	size_t i;

	for (i = 0; i < e->nslots; i++) {
		if (e->slots[i] && e->slots[i]->expired) {
			e->slots[i]->expired = false;
			return (int)i;
		}
	}
	return -1;
}

bool engine_busy(const struct engine *e)
{
	return e->nconnections || queue_alerts(e->queue);
}

void engine_stats(const struct engine *e, struct engine_stats *stats)
{
	*stats = e->stats;
	stats->queued = queue_alerts(e->queue);
	stats->connections = e->nconnections;
}
