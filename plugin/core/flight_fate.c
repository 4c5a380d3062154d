/*
 * flight_fate - what becomes of each recipient of a mail, counted and said.
 *
 * A try that is counted is followed by a pause of the lane's own, also when another connection is free:
 * else an alert could use up its time on connections that break one after the other. An alert whose next
 * try would come after its time is given up at once, with the reply that it got last; its text goes to the
 * log.
 *
 * Called by flight.c and connection.c, and for alerts that no connection has by engine_route.c and
 * engine_drain.c.
 */
#include <stdio.h>
#include <string.h>

#include "engine_internal.h"

static const char *const flight_outcomes[] = {
	[SMTP_OUTCOME_ACCEPTED] = "accepted",
	[SMTP_OUTCOME_DEFERRED] = "deferred",
	[SMTP_OUTCOME_REFUSED]  = "refused",
	[SMTP_OUTCOME_RETURNED] = "not sent",
	[SMTP_OUTCOME_UNKNOWN]  = "unknown whether accepted",
};

/* Why an alert without a verdict is not tried again. */
static const char *const flight_ends[ENGINE_FATES] = {
	[ENGINE_FATE_GIVEN_UP]  = "given up",
	[ENGINE_FATE_ABANDONED] = "abandoned",
};

const char *flight_outcome_name(enum smtp_outcome outcome)
{
	return flight_outcomes[outcome];
}

/* The fate that some recipients of a mail share, for a line about it. */
struct flight_fate {
	enum smtp_outcome outcome;
	const char *stage;     /* "" without */
	const char *why;       /* the server's reply, or what went wrong */
	const char *end;       /* NULL: it is final as it is, or tried again; else why it is not, of flight_ends */
	size_t n, named;       /* recipients; those in <who> */
	unsigned attempts;     /* tries before this one */
	bool tried;            /* this is one */
	char who[300];         /* "<a@example.com>, <b@example.com>" */
};

static void flight_fate_add(struct flight_fate *fate, const struct queue_envelope *env, size_t i)
{
	size_t len = strlen(fate->who), need = strlen(env->rcpt[i]) + sizeof(", <>");

	if (!fate->n++)
		fate->attempts = env->attempts[i];
	if (fate->outcome == SMTP_OUTCOME_ACCEPTED)
		return; /* counted alone, see flight_log_alert() */
	if (fate->named + 1 == fate->n && len + need <= sizeof(fate->who)) {
		snprintf(fate->who + len, sizeof(fate->who) - len, "%s<%s>", len ? ", " : "", env->rcpt[i]);
		fate->named++;
	}
}

/* "3 recipients (<a@example.com>, <b@example.com> and 1 other)". */
static void flight_fate_who(const struct flight_fate *fate, char *out, size_t size)
{
	size_t more = fate->n - fate->named;
	int len = snprintf(out, size, "%zu recipient%s (%s", fate->n, fate->n == 1 ? "" : "s", fate->who);

	if (more)
		snprintf(out + len, size - (size_t)len, " and %zu other%s)", more, more == 1 ? "" : "s");
	else
		snprintf(out + len, size - (size_t)len, ")");
}

static bool flight_fate_bad(const struct flight_fate *fate)
{
	return fate->end || fate->outcome == SMTP_OUTCOME_REFUSED;
}

/* One line about <a>, which stands for <others> more. */
static void flight_log_alert(struct engine *e, const struct engine_member *m, const struct queue_alert *a,
                             size_t others, const struct flight_fate *fate, uint64_t now_ms)
{
	unsigned long long age = now_ms > a->raised_ms ? now_ms - a->raised_ms : 0;
	char who[400], fold[300], after[40], try[40] = "";
	const char *what = others ? fold : a->name;

	snprintf(after, sizeof(after), "%llu.%03us", age / 1000, (unsigned)(age % 1000));
	if (others)
		snprintf(fold, sizeof(fold), "%.250s and %zu others", a->name, others);
	if (fate->outcome == SMTP_OUTCOME_ACCEPTED) {
		engine_log(e, ALERT_LEVEL_INFO, "mailers: %.300s via %s (%s): accepted for %zu recipient%s after %s: %s", what,
		           m->name, m->mailer->settings.address, fate->n, fate->n == 1 ? "" : "s", after, fate->why);
		return;
	}
	flight_fate_who(fate, who, sizeof(who));
	if (fate->attempts + fate->tried)
		snprintf(try, sizeof(try), fate->tried ? ", try %u" : ", %u tries", fate->attempts + fate->tried);
	engine_log(e, flight_fate_bad(fate) ? ALERT_LEVEL_ERR : ALERT_LEVEL_WARNING,
	           "mailers: %.300s via %s (%s): %s%s%s for %s after %s%s%s%s: %s: %s", what,
	           m->name, m->mailer->settings.address, flight_outcomes[fate->outcome],
	           fate->stage[0] ? " at " : "", fate->stage, who, after, try, fate->end ? ", " : "",
	           fate->end ? fate->end : "", fate->why, a->text);
}

/* One line, but one for each alert of a fold when the text is all that is left of it. */
static void flight_log(struct engine *e, const struct queue_envelope *env, const struct engine_member *m,
                       const struct flight_fate *fate, uint64_t now_ms)
{
	size_t i;

	if (!flight_fate_bad(fate)) {
		flight_log_alert(e, m, env->alert, env->nalerts - 1, fate, now_ms);
		return;
	}
	for (i = 0; i < env->nalerts; i++)
		flight_log_alert(e, m, env->alerts[i], 0, fate, now_ms);
}

/* When recipient <i> would be tried again after this try. */
static uint64_t flight_next_try(const struct engine *e, const struct flight *f, size_t i, uint64_t now_ms)
{
	if (engine_draining(e))
		return now_ms + MAILER_RETRY_MS;
	return now_ms + flight_backoff(f->env->alert->id, f->env->attempts[i] + 1);
}

/* What becomes of recipient <i> with a try that brought no final verdict. The newest alert of a fold
 * counts: the others are given up one by one when their time comes.
 */
static enum engine_fate flight_end(const struct engine *e, const struct flight *f, size_t i, uint64_t now_ms)
{
	const struct queue_alert *newest = f->env->alerts[f->env->nalerts - 1];

	if (engine_drain_over(e, now_ms))
		return ENGINE_FATE_ABANDONED;
	if (flight_next_try(e, f, i, now_ms) >= newest->raised_ms + flight_route(f)->proxy->max_age_ms)
		return ENGINE_FATE_GIVEN_UP;
	return ENGINE_FATE_DEFERRED;
}

/* A recipient of <env> meets its fate. */
static void flight_tally(struct engine *e, const struct queue_envelope *env, const struct engine_member *m,
                         enum engine_fate fate, const char *answer, uint64_t now_ms)
{
	engine_count_fate(e, m->mailer, env, fate, now_ms);
	engine_record_fate(e, env, m, fate, answer);
}

/* Counts a try of recipient <i>: it waits for the next one, or leaves for good. */
static void flight_count(struct engine *e, struct flight *f, size_t i, enum engine_fate fate, const char *why,
                         uint64_t now_ms)
{
	struct queue_verdict *v = &f->env->verdicts[i];

	v->outcome = fate == ENGINE_FATE_DEFERRED ? QUEUE_DEFERRED : QUEUE_DONE;
	if (!v->pin)
		v->pin = engine_route_next_turn(flight_route(f), f->ring);
	v->until_ms = flight_next_try(e, f, i, now_ms);
	flight_tally(e, f->env, f->member, fate, why, now_ms);
}

static const char *flight_why(const struct smtp_verdict *v)
{
	return v->reply[0] ? v->reply : "no reply";
}

/* What the client's verdict on recipient <i> is to the engine. */
static struct flight_fate flight_fate_of(const struct engine *e, const struct flight *f,
                                         const struct smtp_verdict *v, size_t i, uint64_t now_ms)
{
	struct flight_fate fate = {
		.outcome = v[i].outcome, .stage = smtp_stage_name(v[i].stage), .tried = true,
		.why = flight_why(&v[i]),
	};

	if (failure_of_recipient(v[i].outcome) == QUEUE_DEFERRED)
		fate.end = flight_ends[flight_end(e, f, i, now_ms)];
	return fate;
}

/* Is the answer for recipients <i> and <k> one line of the log? */
static bool flight_same(const struct flight *f, const struct smtp_verdict *v, size_t i, size_t k)
{
	return v[i].outcome == v[k].outcome && !strcmp(v[i].reply, v[k].reply) &&
	       (v[i].outcome == SMTP_OUTCOME_ACCEPTED || f->env->attempts[i] == f->env->attempts[k]);
}

/* One line for each group of recipients that got the same answer. The line about a session that failed speaks
 * for those that were RETURNED.
 */
static void flight_log_verdicts(struct engine *e, const struct flight *f, const struct smtp_verdict *v,
                                uint64_t now_ms)
{
	size_t i, k;

	for (i = 0; i < f->env->nrcpt; i++) {
		struct flight_fate fate = flight_fate_of(e, f, v, i, now_ms);

		for (k = 0; k < i && !flight_same(f, v, i, k); k++)
			;
		if (k < i || v[i].outcome == SMTP_OUTCOME_RETURNED)
			continue;
		for (; k < f->env->nrcpt; k++) {
			if (flight_same(f, v, i, k))
				flight_fate_add(&fate, f->env, k);
		}
		flight_log(e, f->env, f->member, &fate, now_ms);
	}
}

/* The client's verdict on recipient <i> becomes the queue's. */
static void flight_verdict(struct engine *e, struct flight *f, const struct smtp_verdict *v, size_t i,
                           uint64_t now_ms)
{
	const struct engine_route *r = flight_route(f);
	struct queue_verdict *own = &f->env->verdicts[i];
	const char *why = flight_why(&v[i]);

	own->outcome = failure_of_recipient(v[i].outcome);
	switch (v[i].outcome) {
	case SMTP_OUTCOME_ACCEPTED:
		flight_tally(e, f->env, f->member, ENGINE_FATE_ACCEPTED, why, now_ms);
		flight_accepted(f, i, now_ms);
		break;
	case SMTP_OUTCOME_REFUSED:
		flight_tally(e, f->env, f->member, ENGINE_FATE_REFUSED, why, now_ms);
		break;
	case SMTP_OUTCOME_UNKNOWN:
		f->unknown = true;
		flight_accepted(f, i, now_ms); /* for all that we know */
		own->pin = r->group ? (unsigned)(f->member - r->members) + 1 : 0;
		/* fall through */
	case SMTP_OUTCOME_DEFERRED:
		flight_count(e, f, i, flight_end(e, f, i, now_ms), why, now_ms);
		break;
	case SMTP_OUTCOME_RETURNED:
		break; /* counted if the session turns out to have failed */
	}
}

bool flight_answer(struct engine *e, struct flight *f, const struct smtp_verdict *verdicts, uint64_t now_ms)
{
	bool verdict = false;
	size_t i;

	f->answered = true;
	engine_count_mail(e, f->member->mailer, verdicts, f->env->nrcpt, now_ms);
	flight_log_verdicts(e, f, verdicts, now_ms);
	for (i = 0; i < f->env->nrcpt; i++) {
		flight_verdict(e, f, verdicts, i, now_ms);
		verdict |= verdicts[i].outcome <= SMTP_OUTCOME_REFUSED;
	}
	return verdict;
}

bool flight_charge(struct engine *e, struct flight *f, const char *why, bool useless, uint64_t now_ms)
{
	struct flight_fate fate = { .outcome = SMTP_OUTCOME_RETURNED, .stage = "", .why = why, .tried = true };
	bool charged = false;
	size_t i;

	for (i = 0; i < f->env->nrcpt; i++) {
		enum engine_fate end = useless ? ENGINE_FATE_GIVEN_UP : flight_end(e, f, i, now_ms);

		if (f->env->verdicts[i].outcome != QUEUE_RETRY)
			continue;
		if (flight_ends[end]) {
			fate.end = flight_ends[end];
			flight_fate_add(&fate, f->env, i);
		}
		flight_count(e, f, i, end, why, now_ms);
		charged = true;
	}
	if (fate.n)
		flight_log(e, f->env, f->member, &fate, now_ms);
	return charged;
}

void flight_give_up(struct engine *e, struct queue_envelope *env, enum engine_fate end, const char *why,
                    uint64_t now_ms)
{
	const struct engine_member *m = engine_route_member(queue_route_owner(env->route));
	struct flight_fate fate = {
		.outcome = SMTP_OUTCOME_RETURNED, .stage = "", .why = why, .end = flight_ends[end],
	};
	size_t i;

	for (i = 0; i < env->nrcpt; i++) {
		flight_fate_add(&fate, env, i);
		if (env->attempts[i] > fate.attempts)
			fate.attempts = env->attempts[i];
		env->verdicts[i].outcome = QUEUE_DONE;
		flight_tally(e, env, m, end, why, now_ms);
	}
	flight_log(e, env, m, &fate, now_ms);
	queue_settle(e->queue, env);
}
