/*
 * connection - one connection of the engine: feeds mails of the queue to an smtp_client, and tells its
 * mailer how the session goes. What becomes of a mail is flight.c's.
 *
 * Invariants: a connection begins with a mail; mails are taken only when bytes have moved, never in a tick:
 * then its host may be waiting behind a slow reply, and another connection would be quicker. Mails whose
 * verdicts have come are settled when the client has no more events, all of them when the session is over.
 *
 * Called by engine.c: connection_run() after each call into the client.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_internal.h"

/* Takes the next mail of the queue into a free place. NULL when there is none, or no memory: a later run
 * tries again.
 */
static struct flight *connection_take(struct engine *e, struct connection *c, uint64_t now_ms)
{
	struct flight *f = NULL;
	size_t i;

	for (i = 0; i < CONNECTION_FLIGHTS && !f; i++) {
		if (!c->flights[i].env)
			f = &c->flights[i];
	}
	if (!f || c->mailer->suspended || !flight_take(e, f, c->mailer, now_ms))
		return NULL;
	f->number = c->taken++;
	return f;
}

static struct smtp_client *connection_client(struct connection *c, struct buffer *dialogue, uint64_t now_ms)
{
	struct mailer *m = c->mailer;
	struct smtp_client_settings settings = {
		.helo = m->settings.helo,
		.timeout_mail_ms = m->settings.timeout_mail_ms,
		.timeout_final_ms = m->settings.timeout_final_ms,
		.timeout_quit_ms = m->settings.timeout_quit_ms,
		.helo_only = mailer_helo_only(m, now_ms),
		.tls = c->tls,
		.credentials = mailer_credentials(m, &c->token),
		.crypto = m->settings.wire.api ? m->settings.wire.api->crypto : NULL,
		.mechanisms = m->settings.mechanisms,
		.auth_without_tls = m->settings.auth_without_tls,
		.without = m->settings.without,
		.dialogue = dialogue,
	};

	return smtp_client_new(&settings, now_ms);
}

struct connection *connection_open(struct mailer *m, enum smtp_tls tls, struct buffer *dialogue, uint64_t now_ms)
{
	struct connection *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->mailer = m;
	c->opened_ms = now_ms;
	c->tls = tls;
	c->client = connection_client(c, dialogue, now_ms);
	if (c->client)
		c->wire = wire_new(c->client, &m->settings.wire);
	if (c->wire)
		return c;
	connection_close(c);
	return NULL;
}

void connection_close(struct connection *c)
{
	wire_free(c->wire);
	smtp_client_free(c->client);
	mailer_token_release(c->token);
	free(c);
}

struct connection *connection_new(struct engine *e, struct mailer *m, uint64_t now_ms)
{
	enum smtp_tls tls = mailer_tls(m, now_ms);
	struct connection *c = connection_open(m, tls, NULL, now_ms);

	if (!c || (m->state != MAILER_DOWN && !connection_take(e, c, now_ms))) {
		m->plain += tls != m->settings.tls;
		if (c)
			connection_close(c);
		return NULL;
	}
	mailer_opened(m, &c->session);
	m->counts.connections++;
	return c;
}

/* The state of its mailer has changed. */
static void connection_log_state(struct engine *e, const struct mailer *m, uint64_t for_ms)
{
	const char *s = m->ring.alerts == 1 ? "" : "s";

	if (m->state == MAILER_DOWN)
		engine_log(e, ALERT_LEVEL_ERR, "mailers: mailer %s (%s) is down after %u failures in a row, the last: "
		           "%s; probed every %u.%us, %zu alert%s queued for it alone", m->settings.name,
		           m->settings.address, m->failures, m->error, m->settings.inter_ms / 1000,
		           m->settings.inter_ms % 1000 / 100, m->ring.alerts, s);
	else
		engine_log(e, ALERT_LEVEL_NOTICE, "mailers: mailer %s (%s) is up again after %llu.%us, %u probes got "
		           "through; %zu alert%s queued for it alone", m->settings.name, m->settings.address,
		           (unsigned long long)for_ms / 1000, (unsigned)(for_ms % 1000 / 100), m->settings.rise,
		           m->ring.alerts, s);
}

/* A failure of the mailer is said when it is the first, or another than the last; while it is down only in
 * passing.
 */
static void connection_log_failure(struct engine *e, const struct mailer *m, const char *reason, uint64_t now_ms)
{
	uint32_t pause = mailer_pause(m, now_ms);

	engine_log(e, m->state == MAILER_DOWN ? ALERT_LEVEL_INFO : ALERT_LEVEL_WARNING,
	           "mailers: mailer %s (%s) failed: %s; next try in %u.%us, %zu alert%s queued", m->settings.name,
	           m->settings.address, reason, pause / 1000, pause % 1000 / 100, engine_mailer_queued(m),
	           engine_mailer_queued(m) == 1 ? "" : "s");
}

_Static_assert(sizeof(((struct mailer *)0)->error) == sizeof(((struct connection *)0)->reason), "a reason fits");

/* TLS could not be had, and need not be. */
static void connection_goes_plain(struct engine *e, struct connection *c, uint64_t now_ms)
{
	struct mailer *m = c->mailer;

	if (mailer_goes_plain(m, now_ms))
		engine_log(e, ALERT_LEVEL_WARNING, "mailers: mailer %s (%s) without TLS from here on: %s; tried again with "
		           "each new connection", m->settings.name, m->settings.address, c->reason);
}

/* It is the mailer's fault, or memory is short. */
static void connection_blames(struct engine *e, struct connection *c, enum failure_blame blame, uint64_t now_ms)
{
	struct mailer *m = c->mailer;
	bool changed = false, news = m->state == MAILER_UP || strcmp(m->error, c->reason);

	memcpy(m->error, c->reason, sizeof(m->error));
	m->error_ms = now_ms;
	if (blame == FAILURE_NOBODY)
		mailer_faltered(m, now_ms);
	else
		changed = mailer_failed(m, &c->session, now_ms);
	if (changed) {
		engine_group_elect(e);
		connection_log_state(e, m, 0);
	} else if (news) {
		connection_log_failure(e, m, c->reason, now_ms);
	}
}

static void connection_failed(struct engine *e, struct connection *c, const struct smtp_client_event *ev,
                              uint64_t now_ms)
{
	struct failure f = failure_of_session(ev, &c->mailer->settings, c->session.ready);

	mailer_ended(c->mailer, &c->session);
	engine_count_trouble(c->mailer, ev);
	snprintf(c->reason, sizeof(c->reason), "%s at %s%s%s", mailers_error_text(ev->error),
	         smtp_stage_name(ev->stage), ev->reply[0] ? ": " : "", ev->reply);
	c->failed = f.charges;
	engine_token_failed(c->mailer, ev);
	if (f.blame == FAILURE_TLS)
		connection_goes_plain(e, c, now_ms);
	else
		connection_blames(e, c, f.blame, now_ms);
}

static void connection_ready(struct engine *e, struct connection *c, uint64_t now_ms)
{
	uint64_t down_ms = now_ms - c->mailer->since_ms;

	if (!mailer_ready(c->mailer, &c->session, now_ms))
		return;
	engine_group_elect(e);
	connection_log_state(e, c->mailer, down_ms);
}

static void connection_no_ehlo(struct engine *e, struct connection *c, const struct smtp_client_event *ev,
                               uint64_t now_ms)
{
	if (mailer_refuses_ehlo(c->mailer, now_ms))
		engine_log(e, ALERT_LEVEL_NOTICE, "mailers: mailer %s (%s) refuses EHLO, HELO is used: %s",
		           c->mailer->settings.name, c->mailer->settings.address,
		           ev->reply[0] ? ev->reply : "it closed the connection");
}

static void connection_event(struct engine *e, struct connection *c, const struct smtp_client_event *ev,
                             uint64_t now_ms)
{
	switch (ev->type) {
	case SMTP_EVENT_READY:
		connection_ready(e, c, now_ms);
		break;
	case SMTP_EVENT_TRANSACTION:
		if (flight_answer(e, ev->cookie, ev->verdicts, now_ms)) {
			mailer_works(c->mailer, &c->session);
			c->final_since_ms = 0; /* the next one's wait begins anew */
		}
		break;
	case SMTP_EVENT_NO_EHLO:
		connection_no_ehlo(e, c, ev, now_ms);
		break;
	case SMTP_EVENT_FAILED:
		connection_failed(e, c, ev, now_ms);
		/* fall through */
	case SMTP_EVENT_CLOSED:
		c->ended = true;
		c->told_ms = now_ms;
		mailer_ended(c->mailer, &c->session);
		break;
	}
}

/* The oldest mail that is to be handed back to the queue: one that was answered, or any when the session is
 * over.
 */
static struct flight *connection_settles(struct connection *c)
{
	struct flight *oldest = NULL;
	size_t i;

	for (i = 0; i < CONNECTION_FLIGHTS; i++) {
		struct flight *f = &c->flights[i];

		if (f->env && (f->answered || c->ended) && (!oldest || f->number < oldest->number))
			oldest = f;
	}
	return oldest;
}

static void connection_settle(struct engine *e, struct connection *c, uint64_t now_ms)
{
	struct flight *f;

	while ((f = connection_settles(c))) {
		bool charge = c->failed && !c->charged && f->submitted;

		c->charged |= flight_settle(e, f, charge ? c->reason : NULL, now_ms);
	}
}

/* A connection that waits long for the reply to a final dot makes room for others. */
static void connection_linger(struct engine *e, struct connection *c, uint64_t now_ms)
{
	if (c->ended || smtp_client_stage(c->client) != SMTP_STAGE_MESSAGE)
		c->final_since_ms = 0;
	else if (!c->final_since_ms)
		c->final_since_ms = now_ms;
	else if (!c->session.lingering && now_ms - c->final_since_ms >= c->mailer->settings.timeout_mail_ms &&
	         mailer_linger(c->mailer, &c->session))
		engine_group_elect(e); /* it may be one too many */
}

/* Takes the client's events and does what they ask for. */
static void connection_events(struct engine *e, struct connection *c, uint64_t now_ms)
{
	struct smtp_client_event ev;

	while (smtp_client_next_event(c->client, &ev))
		connection_event(e, c, &ev, now_ms);
	connection_settle(e, c, now_ms);
	connection_linger(e, c, now_ms);
}

/* Submits a mail that was taken at the start, or the next of the queue. False when there is none. */
static bool connection_submit(struct engine *e, struct connection *c, uint64_t now_ms)
{
	struct smtp_envelope env = { 0 };
	struct flight *f = NULL;
	enum mailers_error error;
	size_t i;

	for (i = 0; i < CONNECTION_FLIGHTS && !f; i++) {
		if (c->flights[i].env && !c->flights[i].submitted)
			f = &c->flights[i];
	}
	if (!f)
		f = connection_take(e, c, now_ms);
	if (!f)
		return false;
	env.from = flight_route(f)->proxy->sender;
	env.rcpt = f->env->rcpt;
	env.nrcpt = f->env->nrcpt;
	env.message = f->message.data;
	env.message_len = f->message.len;
	env.cookie = f;
	error = smtp_client_submit(c->client, &env, now_ms);
	if (error)
		flight_reject(e, f, error, now_ms);
	else
		f->submitted = true;
	return error != MAILERS_ERR_NOMEM;
}

void connection_run(struct engine *e, struct connection *c, uint64_t now_ms)
{
	if (c->leg) {
		engine_test_run(e, c, now_ms);
		return;
	}
	/* One that lingered ends with its reply: another has taken its place. A mail that could not be
	 * submitted is settled in the next run: there is a body or a QUIT to send.
	 */
	do
		connection_events(e, c, now_ms);
	while (!c->ended && !c->session.lingering && smtp_client_accepts(c->client) &&
	       connection_submit(e, c, now_ms));
	if (!c->ended && wire_want(c->wire) == SMTP_CLIENT_WANT_SUBMIT)
		smtp_client_quit(c->client, now_ms);
}

/* The host is to cut it: its time is over, or nobody released it, which would hold the place for ever. */
static void connection_expire(struct connection *c, uint64_t now_ms)
{
	c->expired = true;
	c->told_ms = now_ms;
}

void connection_drain(struct connection *c, uint64_t now_ms)
{
	size_t i;

	for (i = 0; i < CONNECTION_FLIGHTS; i++) {
		if (c->flights[i].env)
			return;
	}
	if (!c->session.ready && !c->leg)
		connection_expire(c, now_ms); /* a probe: nobody waits for what it finds */
}

static uint64_t connection_connect_deadline(const struct connection *c)
{
	uint32_t ms = c->mailer->settings.timeout_connect_ms;

	return ms && !c->connected ? c->opened_ms + ms : UINT64_MAX;
}

void connection_tick(struct engine *e, struct connection *c, uint64_t now_ms)
{
	bool over = c->ended, late = !over && now_ms >= connection_connect_deadline(c);

	/* To the client its own time is over then, so that it says so. */
	smtp_client_tick(c->client, late ? smtp_client_deadline(c->client) : now_ms);
	if (c->leg)
		engine_test_run(e, c, now_ms);
	else
		connection_events(e, c, now_ms);
	if (c->ended && !over)
		connection_expire(c, now_ms);
	else if (c->told_ms ? now_ms - c->told_ms >= ENGINE_RELEASE_MS : engine_drain_over(e, now_ms))
		connection_expire(c, now_ms);
}

void connection_free(struct engine *e, struct connection *c, uint64_t now_ms)
{
	if (!c->ended) {
		wire_eof(c->wire, now_ms);
		if (c->leg)
			engine_test_run(e, c, now_ms);
		else
			connection_events(e, c, now_ms);
	}
	if (c->leg) {
		engine_test_closed(e, c->leg);
	} else {
		mailer_closed(c->mailer, &c->session);
		if (c->session.lingering)
			engine_group_elect(e);
	}
	connection_close(c);
}

uint64_t connection_deadline(const struct connection *c)
{
	uint64_t client = smtp_client_deadline(c->client);

	if (c->told_ms)
		return c->told_ms + ENGINE_RELEASE_MS;
	client = engine_earlier(client, connection_connect_deadline(c));
	if (!c->final_since_ms || c->session.lingering || c->mailer->lingering >= MAILER_LINGER_MAX)
		return client;
	return engine_earlier(client, c->final_since_ms + c->mailer->settings.timeout_mail_ms);
}
