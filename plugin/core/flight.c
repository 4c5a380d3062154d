/*
 * flight - one mail on a connection: taken from the queue, built, submitted, answered, settled.
 *
 * What an outcome means for a recipient, in one place:
 *
 *   client's outcome   session     to the queue                        a try?
 *   ACCEPTED           any         done                                -
 *   REFUSED            any         done, logged with the reply         -
 *   DEFERRED           any         its lane waits, then again          yes
 *   RETURNED           goes on     again, at once                      no
 *   RETURNED           CLOSED      again, at once                      no
 *   RETURNED           FAILED      the oldest: its lane waits, then    yes
 *                                  again; those behind it: at once     no
 *   UNKNOWN            any         its lane waits, then again: SMTP    yes
 *                                  cannot tell (RFC 5321 4.5.3.2.6), a
 *                                  duplicate is better than a loss
 *
 * A counted try is followed by a pause of the lane's own, also when another connection is free: else an
 * alert could use up its tries in a moment, on connections that break one after the other. An alert whose
 * tries are used up is given up, and its text goes to the log.
 *
 * A session that fails costs one mail a try, the oldest that it leaves without a verdict: a mail behind one
 * that breaks every session must not perish with it. It costs none when the server did not let the
 * connection in while others still work (connection_charges()). Whether a RETURNED is counted depends on how
 * the session ended, which may be told after it; so it is decided when the flight is settled.
 *
 * Called by connection.c alone.
 */
#include <stdio.h>
#include <string.h>

#include <mailers/message.h>

#include "engine_internal.h"

static const char *const flight_outcomes[] = {
	[SMTP_OUTCOME_ACCEPTED] = "accepted",
	[SMTP_OUTCOME_DEFERRED] = "deferred",
	[SMTP_OUTCOME_REFUSED]  = "refused",
	[SMTP_OUTCOME_RETURNED] = "not sent",
	[SMTP_OUTCOME_UNKNOWN]  = "unknown whether accepted",
};

const struct engine_route *flight_route(const struct flight *f)
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

bool flight_take(struct engine *e, struct flight *f, struct mailer *m)
{
	f->env = queue_take(e->queue, &m->ring);
	if (!f->env)
		return false;
	flight_build(e, f);
	if (!buffer_error(&f->message))
		return true;
	queue_settle(e->queue, f->env);
	flight_free(f);
	return false;
}

/* Has recipient <i> no try left after this one? */
static bool flight_is_last(const struct flight *f, size_t i)
{
	return f->env->attempts[i] >= MAILER_RETRIES;
}

/* Counts a try of recipient <i>: it waits for the next one, or, when this was the <last>, is given up. */
static void flight_count(struct engine *e, struct flight *f, size_t i, bool last, uint64_t now_ms)
{
	struct queue_verdict *v = &f->env->verdicts[i];

	if (last) {
		v->outcome = QUEUE_DONE;
		e->stats.given_up++;
	} else {
		v->outcome = QUEUE_DEFERRED;
		v->until_ms = now_ms + mailer_pause(f->env->attempts[i] + 1);
	}
}

/* The fate that some recipients of a mail share, for a line about it. */
struct flight_fate {
	enum smtp_outcome outcome;
	const char *stage;     /* "" when it does not matter */
	const char *why;       /* the server's reply, or what went wrong */
	size_t first, n;       /* the first of them; how many they are */
	bool given_up;
};

static void flight_log(struct engine *e, const struct flight *f, const struct flight_fate *fate,
                       uint64_t now_ms)
{
	const struct queue_alert *a = f->env->alert;
	const struct engine_route *r = flight_route(f);
	const char *s = fate->n == 1 ? "" : "s", *others = fate->n == 1 ? "" : " and others";
	enum alert_level level = ALERT_LEVEL_WARNING;
	char who[100], after[40];

	snprintf(who, sizeof(who), "%zu recipient%s", fate->n, s);
	snprintf(after, sizeof(after), "%llu.%03us", (unsigned long long)((now_ms - a->raised_ms) / 1000),
	         (unsigned)((now_ms - a->raised_ms) % 1000));
	if (fate->outcome == SMTP_OUTCOME_ACCEPTED) {
		engine_log(e, ALERT_LEVEL_INFO, "mailers: %s via %s (%s): accepted for %s after %s: %s", a->name,
		           r->mailer_name, r->mailer->settings.address, who, after, fate->why);
		return;
	}
	if (fate->given_up || fate->outcome == SMTP_OUTCOME_REFUSED)
		level = ALERT_LEVEL_ERR;
	engine_log(e, level, "mailers: %s via %s (%s): %s%s%s for %s (<%s>%s) after %s, try %u of %d%s: %s: %s",
	           a->name, r->mailer_name, r->mailer->settings.address, flight_outcomes[fate->outcome],
	           fate->stage[0] ? " at " : "", fate->stage, who, f->env->rcpt[fate->first], others, after,
	           f->env->attempts[fate->first] + 1, MAILER_RETRIES + 1, fate->given_up ? ", given up" : "",
	           fate->why, a->text);
}

/* Is the answer for recipients <i> and <k> one line of the log? */
static bool flight_same(const struct flight *f, const struct smtp_verdict *v, size_t i, size_t k)
{
	return v[i].outcome == v[k].outcome && !strcmp(v[i].reply, v[k].reply) &&
	       (v[i].outcome == SMTP_OUTCOME_ACCEPTED || flight_is_last(f, i) == flight_is_last(f, k));
}

/* One line for each group of recipients that got the same answer. The line about a session that failed speaks
 * for those that were RETURNED.
 */
static void flight_log_verdicts(struct engine *e, const struct flight *f, const struct smtp_verdict *v,
                                uint64_t now_ms)
{
	size_t i, k;

	for (i = 0; i < f->env->nrcpt; i++) {
		struct flight_fate fate = {
			.outcome = v[i].outcome, .stage = smtp_stage_name(v[i].stage), .first = i,
			.why = v[i].reply[0] ? v[i].reply : "no reply",
			.given_up = v[i].outcome != SMTP_OUTCOME_REFUSED && flight_is_last(f, i),
		};

		for (k = 0; k < i && !flight_same(f, v, i, k); k++)
			;
		if (k < i || v[i].outcome == SMTP_OUTCOME_RETURNED)
			continue;
		for (; k < f->env->nrcpt; k++)
			fate.n += flight_same(f, v, i, k);
		flight_log(e, f, &fate, now_ms);
	}
}

bool flight_answer(struct engine *e, struct flight *f, const struct smtp_verdict *verdicts, uint64_t now_ms)
{
	bool verdict = false;
	size_t i;

	f->answered = true;
	flight_log_verdicts(e, f, verdicts, now_ms);
	for (i = 0; i < f->env->nrcpt; i++) {
		struct queue_verdict *v = &f->env->verdicts[i];

		switch (verdicts[i].outcome) {
		case SMTP_OUTCOME_ACCEPTED:
			v->outcome = QUEUE_DONE;
			e->stats.accepted++;
			break;
		case SMTP_OUTCOME_REFUSED:
			v->outcome = QUEUE_DONE;
			e->stats.refused++;
			break;
		case SMTP_OUTCOME_UNKNOWN:
			f->unknown = true;
			/* fall through */
		case SMTP_OUTCOME_DEFERRED:
			flight_count(e, f, i, flight_is_last(f, i), now_ms);
			break;
		case SMTP_OUTCOME_RETURNED:
			v->outcome = QUEUE_RETRY; /* counted if the session turns out to have failed */
			break;
		}
		verdict |= verdicts[i].outcome <= SMTP_OUTCOME_REFUSED;
	}
	return verdict;
}

/* Counts a try of all recipients that have no verdict, the last for each if <useless>. One line says for how
 * many it was the last. Returns whether there was one to count.
 */
static bool flight_charge(struct engine *e, struct flight *f, const char *why, bool useless, uint64_t now_ms)
{
	struct flight_fate fate = { .outcome = SMTP_OUTCOME_RETURNED, .stage = "", .why = why, .given_up = true };
	bool charged = false;
	size_t i;

	for (i = f->env->nrcpt; i--; ) {
		bool last = useless || flight_is_last(f, i);

		if (f->env->verdicts[i].outcome != QUEUE_RETRY)
			continue;
		if (last) {
			fate.first = i;
			fate.n++;
		}
		flight_count(e, f, i, last, now_ms);
		charged = true;
	}
	if (fate.n)
		flight_log(e, f, &fate, now_ms);
	return charged;
}

void flight_reject(struct engine *e, struct flight *f, enum mailers_error error, uint64_t now_ms)
{
	f->answered = true;
	flight_charge(e, f, mailers_error_text(error), error != MAILERS_ERR_NOMEM, now_ms);
}

bool flight_settle(struct engine *e, struct flight *f, const char *failure, uint64_t now_ms)
{
	bool charged = f->unknown;

	if (failure)
		charged |= flight_charge(e, f, failure, false, now_ms);
	queue_settle(e->queue, f->env);
	flight_free(f);
	return charged;
}
