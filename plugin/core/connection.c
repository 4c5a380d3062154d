/*
 * connection - one connection of the engine: feeds mails of the queue to an smtp_client and turns the
 * client's verdicts into the queue's.
 *
 * What an outcome means, in one place:
 *
 *   client's outcome   session     to the queue                        a try?
 *   ACCEPTED           any         done                                -
 *   REFUSED            any         done, logged with the reply         -
 *   DEFERRED           any         its lane waits, then again          yes
 *   RETURNED           goes on     again, on another connection        no
 *   RETURNED           CLOSED      again, at once                      no
 *   RETURNED           FAILED      again, after the mailer's pause     yes
 *   UNKNOWN            any         again: SMTP cannot tell (RFC 5321   yes
 *                                  4.5.3.2.6), a duplicate is better
 *                                  than a loss
 *
 * An alert whose tries are used up is given up, and its text goes to the log. Whether a RETURNED is charged depends
 * on how the session ended, which may be told after it: so verdicts are settled when the client has no more events.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mailers/message.h>

#include "engine_internal.h"

static const char *const outcome_words[] = {
	[SMTP_OUTCOME_ACCEPTED] = "accepted",
	[SMTP_OUTCOME_DEFERRED] = "deferred",
	[SMTP_OUTCOME_REFUSED]  = "refused",
	[SMTP_OUTCOME_RETURNED] = "not sent",
	[SMTP_OUTCOME_UNKNOWN]  = "unknown whether accepted",
};

static struct engine_route *flight_route(const struct flight *f)
{
	return queue_route_owner(f->env->route);
}

static void flight_free(struct flight *f)
{
	buffer_free(&f->message);
	*f = (struct flight){ 0 };
}

/* Builds the message of an envelope. It is built anew for each try: the same bytes, Message-ID included. */
static void flight_build(const struct engine *e, struct flight *f)
{
	const struct engine_route *route = flight_route(f);
	const struct queue_alert *a = f->env->alert;
	struct buffer id = { 0 };
	struct message_fields fields = {
		.from = route->proxy->from, .to = route->proxy->to, .date = a->date, .text = a->text,
	};

	buffer_printf(&id, "%llu.%s@%s", (unsigned long long)a->id, e->token, route->mailer->settings.helo);
	buffer_add(&id, "", 1);
	if (buffer_error(&id)) {
		f->message.error = MAILERS_ERR_NOMEM;
	} else {
		fields.message_id = id.data;
		message_build(&fields, &f->message);
	}
	buffer_free(&id);
}

/* Takes the next mail of the queue into a free place. Without memory the mail goes back, and a later
 * run tries again.
 */
static struct flight *connection_take(struct engine *e, struct connection *c)
{
	struct flight *f = NULL;
	size_t i;

	for (i = 0; i < CONNECTION_FLIGHTS && !f; i++) {
		if (!c->flights[i].env)
			f = &c->flights[i];
	}
	if (!f)
		return NULL;
	f->env = queue_take(e->queue, &c->mailer->ring);
	if (!f->env)
		return NULL;
	flight_build(e, f);
	if (!buffer_error(&f->message))
		return f;
	queue_settle(e->queue, f->env);
	flight_free(f);
	return NULL;
}

struct connection *connection_new(struct engine *e, struct mailer *m, uint64_t now_ms)
{
	struct smtp_client_settings settings = {
		.helo = m->settings.helo,
		.timeout_mail_ms = m->settings.timeout_mail_ms,
		.timeout_final_ms = m->settings.timeout_final_ms,
		.timeout_quit_ms = m->settings.timeout_quit_ms,
		.helo_only = m->helo_only,
	};
	struct connection *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->mailer = m;
	c->client = smtp_client_new(&settings, now_ms);
	if (!c->client || !connection_take(e, c)) {
		smtp_client_free(c->client);
		free(c);
		return NULL;
	}
	m->active++;
	return c;
}

/* One line for each group of recipients that got the same answer. */
static void connection_log_group(struct engine *e, const struct connection *c, const struct flight *f,
                                 const struct smtp_client_event *ev, size_t first, uint64_t now_ms)
{
	const struct smtp_verdict *v = &ev->verdicts[first];
	const struct queue_alert *a = f->env->alert;
	uint64_t delay = now_ms - a->raised_ms;
	size_t i, n = 0;

	for (i = 0; i < ev->nverdicts; i++)
		n += ev->verdicts[i].outcome == v->outcome && !strcmp(ev->verdicts[i].reply, v->reply);
	if (v->outcome == SMTP_OUTCOME_ACCEPTED) {
		engine_log(e, ALERT_LEVEL_INFO, "mailers: %s via %s (%s): accepted for %zu recipient%s after %llu.%03us: %s",
		           a->name, flight_route(f)->mailer_name, c->mailer->settings.address, n, n == 1 ? "" : "s",
		           (unsigned long long)(delay / 1000), (unsigned)(delay % 1000), v->reply);
		return;
	}
	engine_log(e, v->outcome == SMTP_OUTCOME_REFUSED ? ALERT_LEVEL_ERR : ALERT_LEVEL_WARNING,
	           "mailers: %s via %s (%s): %s at %s for %zu recipient%s (<%s>%s) after %llu.%03us, try %u of %d: %s: %s",
	           a->name, flight_route(f)->mailer_name, c->mailer->settings.address, outcome_words[v->outcome],
	           smtp_stage_name(v->stage), n, n == 1 ? "" : "s", f->env->rcpt[first], n == 1 ? "" : " and others",
	           (unsigned long long)(delay / 1000), (unsigned)(delay % 1000), f->env->attempts[first] + 1,
	           MAILER_RETRIES + 1, v->reply[0] ? v->reply : "no reply", a->text);
}

static void connection_log_verdicts(struct engine *e, const struct connection *c, const struct flight *f,
                                    const struct smtp_client_event *ev, uint64_t now_ms)
{
	size_t i, k;

	for (i = 0; i < ev->nverdicts; i++) {
		const struct smtp_verdict *v = &ev->verdicts[i];

		if (v->outcome == SMTP_OUTCOME_RETURNED)
			continue; /* the line about the session tells it */
		for (k = 0; k < i; k++) {
			if (ev->verdicts[k].outcome == v->outcome && !strcmp(ev->verdicts[k].reply, v->reply))
				break;
		}
		if (k == i)
			connection_log_group(e, c, f, ev, i, now_ms);
	}
}

static void connection_transaction(struct engine *e, struct connection *c, const struct smtp_client_event *ev,
                                   uint64_t now_ms)
{
	struct flight *f = ev->cookie;
	size_t i;

	f->answered = true;
	connection_log_verdicts(e, c, f, ev, now_ms);
	for (i = 0; i < ev->nverdicts; i++) {
		enum smtp_outcome outcome = ev->verdicts[i].outcome;

		f->env->verdicts[i] = (struct queue_verdict){ .outcome = QUEUE_DONE };
		if (outcome == SMTP_OUTCOME_RETURNED) {
			f->env->verdicts[i].outcome = QUEUE_RETRY; /* TRIED if the session turns out to have failed */
			continue;
		}
		if (outcome == SMTP_OUTCOME_UNKNOWN) {
			f->env->verdicts[i].outcome = QUEUE_TRIED;
			continue;
		}
		mailer_works(c->mailer);
		if (outcome == SMTP_OUTCOME_ACCEPTED)
			e->stats.accepted++;
		else if (outcome == SMTP_OUTCOME_REFUSED)
			e->stats.refused++;
		else
			f->env->verdicts[i] = (struct queue_verdict){
				.outcome = QUEUE_DEFERRED,
				.until_ms = now_ms + mailer_pause(f->env->attempts[i] + 1),
			};
	}
}

static void connection_failed(struct engine *e, struct connection *c, const struct smtp_client_event *ev,
                              uint64_t now_ms)
{
	uint32_t pause = mailer_failed(c->mailer, now_ms);

	c->failed = true;
	c->error = ev->error;
	snprintf(c->reason, sizeof(c->reason), "%s at %s%s%s", mailers_error_text(ev->error),
	         smtp_stage_name(ev->stage), ev->reply[0] ? ": " : "", ev->reply);
	engine_log(e, ALERT_LEVEL_WARNING, "mailers: mailer %s (%s) failed: %s; next try in %u.%us, %zu alerts queued",
	           c->mailer->settings.name, c->mailer->settings.address, c->reason, pause / 1000,
	           pause % 1000 / 100, queue_alerts(e->queue));
}

static void connection_event(struct engine *e, struct connection *c, const struct smtp_client_event *ev,
                             uint64_t now_ms)
{
	switch (ev->type) {
	case SMTP_EVENT_READY:
		break;
	case SMTP_EVENT_TRANSACTION:
		connection_transaction(e, c, ev, now_ms);
		break;
	case SMTP_EVENT_NO_EHLO:
		c->mailer->helo_only = true;
		engine_log(e, ALERT_LEVEL_NOTICE, "mailers: mailer %s (%s) refuses EHLO, HELO is used from now on: %s",
		           c->mailer->settings.name, c->mailer->settings.address, ev->reply);
		break;
	case SMTP_EVENT_FAILED:
		connection_failed(e, c, ev, now_ms);
		c->ended = true;
		break;
	case SMTP_EVENT_CLOSED:
		c->ended = true;
		break;
	}
}

/* Gives up what has used its tries; returns the verdict for the queue. */
static void connection_charge(struct engine *e, const struct connection *c, struct flight *f, size_t i)
{
	struct queue_verdict *v = &f->env->verdicts[i];

	if (v->outcome == QUEUE_RETRY && c->failed)
		v->outcome = QUEUE_TRIED;
	if (v->outcome == QUEUE_DONE || v->outcome == QUEUE_RETRY || f->env->attempts[i] < MAILER_RETRIES)
		return;
	v->outcome = QUEUE_DONE;
	e->stats.given_up++;
	engine_log(e, ALERT_LEVEL_ERR, "mailers: %s via %s (%s): given up for <%s> after %u tries%s%s: %s",
	           f->env->alert->name, flight_route(f)->mailer_name, c->mailer->settings.address,
	           f->env->rcpt[i], f->env->attempts[i] + 1, c->failed ? ", last: " : "",
	           c->failed ? c->reason : "", f->env->alert->text);
}

/* Hands answered mails back to the queue; with <all> those too that never got to the client. */
static void connection_settle(struct engine *e, struct connection *c, bool all)
{
	size_t k, i;

	for (k = 0; k < CONNECTION_FLIGHTS; k++) {
		struct flight *f = &c->flights[k];

		if (!f->env || (!f->answered && !all))
			continue;
		for (i = 0; i < f->env->nrcpt; i++)
			connection_charge(e, c, f, i);
		queue_settle(e->queue, f->env);
		flight_free(f);
	}
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
		f = connection_take(e, c);
	if (!f)
		return false;
	env.from = flight_route(f)->proxy->sender;
	env.rcpt = f->env->rcpt;
	env.nrcpt = f->env->nrcpt;
	env.message = f->message.data;
	env.message_len = f->message.len;
	env.cookie = f;
	error = smtp_client_submit(c->client, &env, now_ms);
	if (!error) {
		f->submitted = true;
		return true;
	}
	/* Paths and message were checked when they were made: what is left is a lack of memory. */
	f->answered = true;
	for (i = 0; i < f->env->nrcpt; i++)
		f->env->verdicts[i] = (struct queue_verdict){ .outcome = QUEUE_TRIED };
	engine_log(e, ALERT_LEVEL_ERR, "mailers: %s: cannot submit: %s", f->env->alert->name, mailers_error_text(error));
	connection_settle(e, c, false);
	return false;
}

/* A connection that waits long for the reply to a final dot makes room for others. */
static void connection_linger(struct connection *c, uint64_t now_ms)
{
	struct mailer *m = c->mailer;

	if (c->ended || smtp_client_stage(c->client) != SMTP_STAGE_MESSAGE) {
		c->final_since_ms = 0;
		return;
	}
	if (!c->final_since_ms)
		c->final_since_ms = now_ms;
	if (!c->lingering && now_ms - c->final_since_ms >= m->settings.timeout_mail_ms && m->lingering < MAILER_LINGER_MAX) {
		c->lingering = true;
		m->lingering++;
		m->active--;
	}
}

void connection_run(struct engine *e, struct connection *c, uint64_t now_ms)
{
	struct smtp_client_event ev;

	do {
		while (smtp_client_next_event(c->client, &ev))
			connection_event(e, c, &ev, now_ms);
		connection_settle(e, c, false);
		/* One that lingered ends with its reply: another has taken its place. */
	} while (!c->ended && !c->lingering && smtp_client_accepts(c->client) && connection_submit(e, c, now_ms));
	if (!c->ended && smtp_client_want(c->client) == SMTP_CLIENT_WANT_SUBMIT)
		smtp_client_quit(c->client, now_ms);
	connection_linger(c, now_ms);
}

void connection_tick(struct engine *e, struct connection *c, uint64_t now_ms)
{
	bool over = smtp_client_want(c->client) == SMTP_CLIENT_WANT_CLOSE;

	smtp_client_tick(c->client, now_ms);
	connection_run(e, c, now_ms);
	if (!over && smtp_client_want(c->client) == SMTP_CLIENT_WANT_CLOSE)
		c->expired = true;
}

void connection_free(struct engine *e, struct connection *c, uint64_t now_ms)
{
	if (!c->ended) {
		smtp_client_eof(c->client, now_ms);
		connection_run(e, c, now_ms);
	}
	connection_settle(e, c, true);
	if (c->lingering)
		c->mailer->lingering--;
	else
		c->mailer->active--;
	smtp_client_free(c->client);
	free(c);
}

uint64_t connection_deadline(const struct connection *c)
{
	uint64_t linger, client = smtp_client_deadline(c->client);

	if (!c->final_since_ms || c->lingering)
		return client;
	linger = c->final_since_ms + c->mailer->settings.timeout_mail_ms;
	return linger < client ? linger : client;
}
