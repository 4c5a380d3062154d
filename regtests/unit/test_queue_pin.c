/* Unit tests of queue: routes of several rings, and heads that are pinned to one of them. */
#include "queue_steps.h"

enum { RINGS = 3 };

struct group {
	struct queue *q;
	struct queue_ring rings[RINGS];
	struct queue_route *r;
};

static void group_new(struct group *g, size_t nrcpt, size_t alerts)
{
	struct queue_ring *rings[RINGS];
	struct queue_limits limits = { .alerts = alerts, .bytes = 1 << 20 };
	size_t i;

	g->q = queue_new();
	for (i = 0; i < RINGS; i++) {
		rings[i] = &g->rings[i];
		queue_ring_init(rings[i]);
	}
	g->r = queue_route_new(g->q, rings, RINGS, NULL, rcpts, nrcpt, &limits);
	assert_non_null(g->r);
}

static void group_free(struct group *g)
{
	size_t i;

	for (i = 0; i < RINGS; i++)
		assert_empty(g->q, &g->rings[i]);
	queue_free(g->q);
}

static void settle_pinned(struct group *g, struct queue_envelope *env, enum queue_outcome outcome,
                          uint64_t until_ms, unsigned pin)
{
	size_t i;

	for (i = 0; i < env->nrcpt; i++) {
		env->verdicts[i] = (struct queue_verdict){ .outcome = outcome, .until_ms = until_ms,
		                                           .pin = pin };
	}
	queue_settle(g->q, env);
}

static void pin__each_outcome__waits_in_its_ring_until_done(void **state)
{
	static const enum queue_outcome outcomes[] = { QUEUE_RETRY, QUEUE_DEFERRED, QUEUE_HELD };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(outcomes) / sizeof(*outcomes); i++) {
		struct group g;

		group_new(&g, 1, 100);
		add(g.q, g.r, 1, "one");
		add(g.q, g.r, 1, "two");
		settle_pinned(&g, take(g.q, &g.rings[0], "one", 0, 1), outcomes[i], 50, 2);
		assert_int_equal(g.rings[2].ready, outcomes[i] == QUEUE_RETRY);
		queue_tick(g.q, 50);
		assert_null(queue_take(g.q, &g.rings[0]));
		assert_null(queue_take(g.q, &g.rings[1]));
		assert_int_equal(g.rings[0].ready, 0);
		assert_int_equal(g.rings[2].ready, 1);
		assert_int_equal(g.rings[0].alerts, 2); /* counted where its route is at home */
		assert_int_equal(g.rings[2].alerts, 0);
		deliver(g.q, &g.rings[2], "one", 0, 1);
		assert_null(queue_take(g.q, &g.rings[2]));
		deliver(g.q, &g.rings[0], "two", 0, 1);
		group_free(&g);
	}
}

static void pin__zero_or_no_ring__stays_as_it_was(void **state)
{
	static const unsigned pins[] = { 0, RINGS, 256, 257, UINT32_MAX };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(pins) / sizeof(*pins); i++) {
		struct group g;

		group_new(&g, 1, 100);
		add(g.q, g.r, 1, "one");
		settle_pinned(&g, take(g.q, &g.rings[0], "one", 0, 1), QUEUE_RETRY, 0, pins[i]);
		settle_pinned(&g, take(g.q, &g.rings[0], "one", 0, 1), QUEUE_RETRY, 0, 1);
		settle_pinned(&g, take(g.q, &g.rings[1], "one", 0, 1), QUEUE_RETRY, 0, pins[i]);
		settle_pinned(&g, take(g.q, &g.rings[1], "one", 0, 1), QUEUE_RETRY, 0, 2); /* another mailer */
		deliver(g.q, &g.rings[2], "one", 0, 1);
		group_free(&g);
	}
}

static void pin__some_recipients__are_taken_apart(void **state)
{
	struct group g;
	struct queue_envelope *env, *pinned;

	(void)state;
	group_new(&g, 3, 100);
	add(g.q, g.r, 1, "one");
	env = take(g.q, &g.rings[0], "one", 0, 3);
	env->verdicts[1].pin = 1;
	queue_settle(g.q, env);
	pinned = take(g.q, &g.rings[1], "one", 1, 1);
	env = queue_take(g.q, &g.rings[0]);
	assert_int_equal(env->nrcpt, 2);
	assert_string_equal(env->rcpt[0], rcpts[0]);
	assert_string_equal(env->rcpt[1], rcpts[2]);
	env->verdicts[1].pin = 1;
	queue_settle(g.q, env);
	settle(g.q, pinned, QUEUE_RETRY, 0);
	env = queue_take(g.q, &g.rings[1]); /* b and c wait in the same ring now */
	assert_int_equal(env->nrcpt, 2);
	assert_string_equal(env->rcpt[0], rcpts[1]);
	assert_string_equal(env->rcpt[1], rcpts[2]);
	deliver(g.q, &g.rings[0], "one", 0, 1);
	settle(g.q, env, QUEUE_DONE, 0);
	group_free(&g);
}

static void pin__head_dropped__the_next_decides(void **state)
{
	struct group g;
	size_t dropped = 0;

	(void)state;
	group_new(&g, 1, 2);
	add(g.q, g.r, 1, "one");
	settle_pinned(&g, take(g.q, &g.rings[0], "one", 0, 1), QUEUE_RETRY, 0, 1);
	add(g.q, g.r, 1, "two");
	assert_int_equal(g.rings[1].ready, 1);
	assert_int_equal(add_kind(g.q, g.r, 2, "other", ALERT_KIND_STATE, &dropped), MAILERS_OK);
	assert_int_equal(dropped, 1); /* "one", at the head of a lane that was ready */
	assert_int_equal(g.rings[1].ready, 0);
	assert_null(queue_take(g.q, &g.rings[1]));
	deliver(g.q, &g.rings[0], "other", 0, 1); /* was ready in this ring before */
	deliver(g.q, &g.rings[0], "two", 0, 1);
	group_free(&g);
}

static void pin__rings_shared_by_routes__take_turns(void **state)
{
	struct group g;
	struct queue_ring *first;
	struct queue_limits limits = MANY;
	struct queue_route *alone;
	size_t i;

	(void)state;
	group_new(&g, 1, 100);
	first = &g.rings[1];
	alone = queue_route_new(g.q, &first, 1, NULL, rcpts, 1, &limits);
	for (i = 0; i < 3; i++) {
		add(g.q, g.r, i, "group");
		settle_pinned(&g, take(g.q, &g.rings[0], "group", 0, 1), QUEUE_RETRY, 0, 1);
		add(g.q, alone, i, "alone");
	}
	assert_int_equal(g.rings[0].alerts, 3);
	assert_int_equal(g.rings[1].alerts, 3);
	for (i = 0; i < 3; i++) {
		deliver(g.q, &g.rings[1], "group", 0, 1);
		deliver(g.q, &g.rings[1], "alone", 0, 1);
	}
	group_free(&g);
}

static void route__number_of_rings__has_its_range(void **state)
{
	struct queue *q = queue_new();
	struct queue_ring ring, *rings[QUEUE_RINGS_MAX + 1];
	struct queue_limits limits = MANY;
	struct queue_envelope *env;
	size_t i;

	(void)state;
	queue_ring_init(&ring);
	for (i = 0; i < sizeof(rings) / sizeof(*rings); i++)
		rings[i] = &ring;
	assert_null(queue_route_new(q, rings, 0, NULL, rcpts, 1, &limits));
	assert_null(queue_route_new(q, rings, QUEUE_RINGS_MAX + 1, NULL, rcpts, 1, &limits));
	add(q, queue_route_new(q, rings, QUEUE_RINGS_MAX, NULL, rcpts, 2, &limits), 1, "one");
	env = take(q, &ring, "one", 0, 2);
	env->verdicts[1].pin = QUEUE_RINGS_MAX - 1;
	queue_settle(q, env); /* the same ring twice: still two places to wait */
	assert_int_equal(ring.ready, 2);
	settle(q, queue_take(q, &ring), QUEUE_DONE, 0);
	settle(q, queue_take(q, &ring), QUEUE_DONE, 0);
	assert_empty(q, &ring);
	queue_free(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pin__each_outcome__waits_in_its_ring_until_done),
		cmocka_unit_test(pin__zero_or_no_ring__stays_as_it_was),
		cmocka_unit_test(pin__some_recipients__are_taken_apart),
		cmocka_unit_test(pin__head_dropped__the_next_decides),
		cmocka_unit_test(pin__rings_shared_by_routes__take_turns),
		cmocka_unit_test(route__number_of_rings__has_its_range),
	};

	return cmocka_run_group_tests_name("queue pin", tests, NULL, NULL);
}
