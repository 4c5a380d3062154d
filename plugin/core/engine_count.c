/*
 * engine_count - what is counted for the metrics and the status page: alerts of a proxy, mails and sessions
 * of a mailer, mails of each minute. Additions to numbers in place, nothing else; engine_metrics.c and
 * engine_status.c read them. Connections of tests are not counted.
 *
 * Called by engine.c, connection.c and flight_fate.c.
 */
#include "engine_internal.h"

_Static_assert(MAILER_OUTCOMES == SMTP_OUTCOME_UNKNOWN + 1, "an outcome has its place");
_Static_assert(MAILER_FATES == ENGINE_FATES, "a fate has its place");

/* From a mail server in the same rack to a retry after an hour; alerts are given up after four by default. */
static const uint32_t count_latencies[MAILER_LATENCIES - 1] = {
	1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 900000, 1800000, 3600000,
};

uint32_t engine_count_latency(size_t i)
{
	return count_latencies[i];
}

void engine_count_alert(struct engine_proxy *p, enum alert_level level)
{
	if ((size_t)level < sizeof(p->alerts) / sizeof(*p->alerts))
		p->alerts[level]++;
}

static void engine_count_delivery(struct mailer_counts *c, uint64_t ms)
{
	size_t i = 0;

	while (i < MAILER_LATENCIES - 1 && ms > count_latencies[i])
		i++;
	c->latencies[i]++;
	c->latency_ms += ms;
}

static void engine_count_accepted(struct engine *e, struct mailer *m, const struct queue_envelope *env,
                                  uint64_t now_ms)
{
	size_t i;

	for (i = 0; i < env->nalerts; i++) {
		uint64_t raised_ms = env->alerts[i]->raised_ms;

		engine_count_delivery(&m->counts, now_ms > raised_ms ? now_ms - raised_ms : 0);
	}
	if (env->nalerts > 1)
		e->stats.folded += env->nalerts;
}

void engine_count_fate(struct engine *e, struct mailer *m, const struct queue_envelope *env,
                       enum engine_fate fate, uint64_t now_ms)
{
	uint64_t *const totals[ENGINE_FATES] = {
		[ENGINE_FATE_ACCEPTED] = &e->stats.accepted,   [ENGINE_FATE_REFUSED] = &e->stats.refused,
		[ENGINE_FATE_GIVEN_UP] = &e->stats.given_up,   [ENGINE_FATE_ABANDONED] = &e->stats.abandoned,
		[ENGINE_FATE_DEFERRED] = &e->stats.deferred,
	};

	m->counts.recipients[fate] += env->nalerts;
	*totals[fate] += env->nalerts;
	if (fate == ENGINE_FATE_ACCEPTED)
		engine_count_accepted(e, m, env, now_ms);
}

/* What a mail came to: the best that one of its recipients met. */
static enum smtp_outcome engine_count_best(const struct smtp_verdict *verdicts, size_t n)
{
	static const enum smtp_outcome order[] = {
		SMTP_OUTCOME_ACCEPTED, SMTP_OUTCOME_UNKNOWN, SMTP_OUTCOME_DEFERRED, SMTP_OUTCOME_REFUSED,
	};
	size_t i, k;

	for (i = 0; i < sizeof(order) / sizeof(*order); i++) {
		for (k = 0; k < n; k++) {
			if (verdicts[k].outcome == order[i])
				return order[i];
		}
	}
	return SMTP_OUTCOME_RETURNED;
}

void engine_count_mail(struct engine *e, struct mailer *m, const struct smtp_verdict *verdicts, size_t n,
                       uint64_t now_ms)
{
	enum smtp_outcome best = engine_count_best(verdicts, n);
	uint64_t minute = now_ms / 60000;
	struct engine_minute *slot = &e->minutes[minute % ENGINE_MINUTES];

	m->counts.mails[best]++;
	if (slot->minute != minute)
		*slot = (struct engine_minute){ .minute = minute };
	if (best == SMTP_OUTCOME_ACCEPTED)
		slot->accepted++;
	else if (best == SMTP_OUTCOME_REFUSED)
		slot->refused++;
	else
		slot->deferred++;
}

const struct engine_minute *engine_count_minute(const struct engine *e, uint64_t minute)
{
	const struct engine_minute *slot = &e->minutes[minute % ENGINE_MINUTES];

	return slot->minute == minute ? slot : NULL;
}

void engine_count_trouble(struct mailer *m, const struct smtp_client_event *ev)
{
	static const enum mailer_trouble stages[] = {
		[SMTP_STAGE_CONNECT] = MAILER_TROUBLE_CONNECT, [SMTP_STAGE_GREETING] = MAILER_TROUBLE_SMTP,
		[SMTP_STAGE_EHLO] = MAILER_TROUBLE_SMTP,       [SMTP_STAGE_HELO] = MAILER_TROUBLE_SMTP,
		[SMTP_STAGE_STARTTLS] = MAILER_TROUBLE_TLS,    [SMTP_STAGE_TLS] = MAILER_TROUBLE_TLS,
		[SMTP_STAGE_AUTH] = MAILER_TROUBLE_AUTH,       [SMTP_STAGE_MAIL] = MAILER_TROUBLE_SMTP,
		[SMTP_STAGE_RCPT] = MAILER_TROUBLE_SMTP,       [SMTP_STAGE_DATA] = MAILER_TROUBLE_SMTP,
		[SMTP_STAGE_MESSAGE] = MAILER_TROUBLE_SMTP,    [SMTP_STAGE_IDLE] = MAILER_TROUBLE_SMTP,
		[SMTP_STAGE_QUIT] = MAILER_TROUBLE_SMTP,
	};

	m->counts.troubles[ev->error == MAILERS_ERR_NOMEM ? MAILER_TROUBLE_LOCAL : stages[ev->stage]]++;
}
