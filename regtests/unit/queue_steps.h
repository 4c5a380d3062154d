/*
 * queue_steps - short words for what the tests of the queue do, for those that include this.
 */
#ifndef QUEUE_STEPS_H
#define QUEUE_STEPS_H

#include <mailers/queue.h>

#include "unit.h"

#define MANY ((struct queue_limits){ .alerts = 100000, .bytes = 64u << 20 })

static const char *const rcpts[] = { "a@example.com", "b@example.com", "c@example.com" };

static inline enum mailers_error add_kind(struct queue *q, struct queue_route *r, uint64_t server,
                                          const char *text, enum alert_kind kind, size_t *dropped)
{
	struct alert_text what = { .level = ALERT_LEVEL_ALERT, .kind = kind };
	struct queue_alert *a = queue_alert_new(q, server, "be/s1", &what, text, strlen(text), "a date", 1000);
	enum mailers_error error;

	if (!a)
		return MAILERS_ERR_NOMEM;
	error = queue_add(q, r, a, dropped);
	queue_alert_release(a);
	return error;
}

static inline void add(struct queue *q, struct queue_route *r, uint64_t server, const char *text)
{
	size_t dropped = 0;

	assert_int_equal(add_kind(q, r, server, text, ALERT_KIND_STATE, &dropped), MAILERS_OK);
	assert_int_equal(dropped, 0);
}

static inline struct queue_route *route(struct queue *q, struct queue_ring *ring, size_t nrcpt,
                                        struct queue_limits limits)
{
	struct queue_route *r = queue_route_new(q, &ring, 1, NULL, rcpts, nrcpt, &limits);

	assert_non_null(r);
	return r;
}

/* Takes the next envelope, which must be <text>'s for the <nrcpt> recipients from <first> on. */
static inline struct queue_envelope *take(struct queue *q, struct queue_ring *ring, const char *text,
                                          size_t first, size_t nrcpt)
{
	struct queue_envelope *env = queue_take(q, ring);
	size_t i;

	assert_non_null(env);
	assert_string_equal(env->alert->text, text);
	assert_int_equal(env->nrcpt, nrcpt);
	for (i = 0; i < nrcpt; i++) {
		assert_string_equal(env->rcpt[i], rcpts[first + i]);
		assert_int_equal(env->verdicts[i].outcome, QUEUE_RETRY);
	}
	return env;
}

static inline void settle(struct queue *q, struct queue_envelope *env, enum queue_outcome outcome,
                          uint64_t until_ms)
{
	size_t i;

	for (i = 0; i < env->nrcpt; i++)
		env->verdicts[i] = (struct queue_verdict){ .outcome = outcome, .until_ms = until_ms };
	queue_settle(q, env);
}

/* Takes and delivers one envelope. */
static inline void deliver(struct queue *q, struct queue_ring *ring, const char *text, size_t first,
                           size_t nrcpt)
{
	settle(q, take(q, ring, text, first, nrcpt), QUEUE_DONE, 0);
}

static inline void assert_empty(const struct queue *q, const struct queue_ring *ring)
{
	assert_int_equal(queue_lanes(q), 0);
	assert_int_equal(queue_alerts(q), 0);
	assert_int_equal(ring->ready, 0);
	assert_int_equal(ring->alerts, 0);
	assert_int_equal(queue_deadline(q), UINT64_MAX);
}

/* What a route holds, oldest first, as it is delivered: the texts, one letter each. */
static inline void assert_holds(struct queue *q, struct queue_ring *ring, const char *texts)
{
	char got[64] = "";
	struct queue_envelope *env;

	while ((env = queue_take(q, ring))) {
		strcat(got, env->alert->text);
		settle(q, env, QUEUE_DONE, 0);
	}
	assert_string_equal(got, texts);
}

#endif
