/* Unit tests of queue: what goes when a route is full, and what that does to its lanes. */
#include "queue_steps.h"

static void bound__table__drops_what_matters_least(void **state)
{
	/* Capitals are state changes, small letters check reports. The first <flights> of them are in flight. */
	static const struct {
		const char *adds, *left;
		size_t limit, flights, dropped;
	} table[] = {
		{ "ABCD", "BCD", 3, 0, 1 },   /* the oldest */
		{ "aBcD", "BcD", 3, 0, 1 },
		{ "AbCdE", "ACE", 3, 0, 2 },  /* reports before state changes, oldest first */
		{ "ABCd", "ABC", 3, 0, 1 },   /* a report drops no state change: it goes itself */
		{ "abcD", "bcD", 3, 0, 1 },
		{ "ABCD", "ACD", 3, 1, 1 },   /* never what is in flight */
		{ "aBCD", "aCD", 3, 1, 1 },
		{ "ABC", "AB", 2, 2, 1 },     /* all in flight: the new one goes */
		{ "abc", "ab", 2, 2, 1 },
		{ "abC", "ab", 2, 2, 1 },
		{ "A", "", 0, 0, 1 },
	};
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct queue_envelope *flying[4];
		struct queue *q = queue_new();
		struct queue_ring ring;
		struct queue_route *r;
		struct queue_route_stats stats;
		size_t dropped = 0, itself = 0;

		queue_ring_init(&ring);
		r = route(q, &ring, 1, (struct queue_limits){ .alerts = table[i].limit, .bytes = 1 << 20 });
		for (k = 0; table[i].adds[k]; k++) {
			char text[2] = { table[i].adds[k], '\0' };
			bool check = text[0] >= 'a';
			enum mailers_error error;

			error = add_kind(q, r, k, text, check ? ALERT_KIND_CHECK : ALERT_KIND_STATE, &dropped);
			itself += error == MAILERS_ERR_BOUND;
			if (k < table[i].flights)
				flying[k] = take(q, &ring, text, 0, 1);
		}
		assert_int_equal(itself, !strchr(table[i].left, table[i].adds[k - 1]) || !table[i].left[0]);
		assert_int_equal(dropped, table[i].dropped);
		queue_route_stats(r, &stats);
		assert_int_equal(stats.alerts, strlen(table[i].left));
		assert_int_equal(stats.dropped_check + stats.dropped_state, dropped);
		for (k = table[i].flights; k--; )
			settle(q, flying[k], QUEUE_RETRY, 0);
		assert_holds(q, &ring, table[i].left);
		assert_empty(q, &ring);
		queue_free(q);
	}
}

static void bound__kinds__are_counted_apart(void **state)
{
	struct queue *q = queue_new();
	struct queue_ring ring;
	struct queue_route *r;
	struct queue_route_stats stats;
	size_t i, dropped = 0;

	(void)state;
	queue_ring_init(&ring);
	r = route(q, &ring, 2, (struct queue_limits){ .alerts = 2, .bytes = 1 << 20 });
	for (i = 0; i < 3; i++)
		add_kind(q, r, i, "c", ALERT_KIND_CHECK, &dropped);
	for (i = 0; i < 5; i++)
		add_kind(q, r, i, "s", ALERT_KIND_STATE, &dropped);
	queue_route_stats(r, &stats);
	assert_int_equal(dropped, 6);
	assert_int_equal(stats.dropped_rcpt, 12);
	assert_int_equal(stats.dropped_check, 3);
	assert_int_equal(stats.dropped_state, 3);
	assert_int_equal(queue_lanes(q), 4);
	queue_free(q);
}

static void bound__bytes__hold_and_an_alert_beyond_them_drops_no_other(void **state)
{
	static char huge[20000];
	struct queue *q = queue_new();
	struct queue_ring ring;
	struct queue_route *r;
	struct queue_route_stats stats;
	size_t dropped = 0, i;

	(void)state;
	memset(huge, 'x', sizeof(huge) - 1);
	queue_ring_init(&ring);
	r = route(q, &ring, 1, (struct queue_limits){ .alerts = 1000, .bytes = 10000 });
	for (i = 0; i < 100; i++) {
		assert_int_equal(add_kind(q, r, i, "an alert", ALERT_KIND_STATE, &dropped), MAILERS_OK);
		queue_route_stats(r, &stats);
		assert_true(stats.bytes <= 10000);
		assert_int_equal(stats.alerts + dropped, i + 1);
	}
	assert_true(stats.alerts > 10 && stats.bytes > 9000);
	i = stats.alerts;
	dropped = 0;
	assert_int_equal(add_kind(q, r, 1, huge, ALERT_KIND_STATE, &dropped), MAILERS_ERR_BOUND);
	assert_int_equal(dropped, 1);
	queue_route_stats(r, &stats);
	assert_int_equal(stats.alerts, i);
	queue_free(q);
}

static void bound__head_dropped__the_lane_goes_on_with_its_next(void **state)
{
	struct queue *q = queue_new();
	struct queue_ring ring;
	struct queue_route *r;
	struct queue_route_stats stats;
	struct queue_envelope *env;
	size_t dropped = 0;

	(void)state;
	queue_ring_init(&ring);
	r = route(q, &ring, 2, (struct queue_limits){ .alerts = 3, .bytes = 1 << 20 });
	add(q, r, 1, "one");
	add(q, r, 1, "two");
	env = take(q, &ring, "one", 0, 2);
	env->verdicts[0] = (struct queue_verdict){ .outcome = QUEUE_DEFERRED, .until_ms = 9000 };
	env->verdicts[1].outcome = QUEUE_DONE;
	queue_settle(q, env);
	env = take(q, &ring, "two", 1, 1);
	add(q, r, 2, "other");
	add_kind(q, r, 3, "another", ALERT_KIND_STATE, &dropped); /* drops "one", whose lane waited */
	assert_int_equal(dropped, 1);
	queue_route_stats(r, &stats);
	assert_int_equal(stats.dropped_rcpt, 1); /* the other one has it */
	assert_int_equal(queue_deadline(q), UINT64_MAX);
	settle(q, env, QUEUE_DONE, 0);
	deliver(q, &ring, "other", 0, 2);
	deliver(q, &ring, "another", 0, 2);
	deliver(q, &ring, "two", 0, 1);
	assert_empty(q, &ring);
	queue_free(q);
}

static void bound__head_of_a_ready_lane_dropped__the_lane_keeps_its_turn(void **state)
{
	struct queue *q = queue_new();
	struct queue_ring ring;
	struct queue_route *r;
	size_t dropped = 0;

	(void)state;
	queue_ring_init(&ring);
	r = route(q, &ring, 1, (struct queue_limits){ .alerts = 3, .bytes = 1 << 20 });
	add(q, r, 1, "one");
	add(q, r, 2, "other");
	add(q, r, 1, "two");
	add_kind(q, r, 1, "three", ALERT_KIND_STATE, &dropped);
	assert_int_equal(dropped, 1);
	deliver(q, &ring, "two", 0, 1);
	deliver(q, &ring, "other", 0, 1);
	deliver(q, &ring, "three", 0, 1);
	queue_free(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bound__table__drops_what_matters_least),
		cmocka_unit_test(bound__kinds__are_counted_apart),
		cmocka_unit_test(bound__bytes__hold_and_an_alert_beyond_them_drops_no_other),
		cmocka_unit_test(bound__head_dropped__the_lane_goes_on_with_its_next),
		cmocka_unit_test(bound__head_of_a_ready_lane_dropped__the_lane_keeps_its_turn),
	};

	return cmocka_run_group_tests_name("queue bound", tests, NULL, NULL);
}
