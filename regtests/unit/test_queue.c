/* Unit tests of queue: order, sharing of envelopes, fairness, deferral, failing allocations. Its bounds are in
 * test_queue_bound.c, the randomised comparison with a plain model in test_queue_model.c.
 */
#include "queue_steps.h"

static void alert__new__copies_its_texts(void **state)
{
	char name[] = "be/s1", text[] = "Server be/s1 is DOWN and more";
	const char *date = "Wed, 30 Sep 2026 16:09:04 +0000 (UTC)";
	struct alert_text what = { .level = ALERT_LEVEL_NOTICE, .kind = ALERT_KIND_CHECK };
	struct queue *q = queue_new();
	struct queue_alert *a = queue_alert_new(q, 42, name, &what, text, 20, date, 1234), *b;
	char longest[2 * QUEUE_DATE_MAX];

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	memset(text, 'x', sizeof(text) - 1);
	memset(longest, 'd', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_string_equal(a->name, "be/s1");
	assert_string_equal(a->text, "Server be/s1 is DOWN");
	assert_string_equal(a->date, date);
	assert_int_equal(a->server, 42);
	assert_int_equal(a->raised_ms, 1234);
	assert_int_equal(a->what.level, ALERT_LEVEL_NOTICE);
	assert_int_equal(a->what.kind, ALERT_KIND_CHECK);
	b = queue_alert_new(q, 42, "be/s1", &what, "", 0, longest, 1234);
	assert_int_equal(strlen(b->date), QUEUE_DATE_MAX - 1);
	assert_string_equal(b->text, "");
	assert_int_not_equal(a->id, b->id);
	queue_alert_release(a);
	queue_alert_release(b);
	queue_alert_release(NULL);
	queue_free(q);
	queue_free(NULL);
}

static void route__new__knows_its_owner_and_counts(void **state)
{
	struct queue *q = queue_new();
	struct queue_ring ring;
	struct queue_limits limits = MANY;
	struct queue_route *r;
	struct queue_route_stats stats;
	struct queue_envelope *env;
	int owner;

	(void)state;
	queue_ring_init(&ring);
	r = queue_route_new(q, (struct queue_ring *[]){ &ring }, 1, &owner, rcpts, 2, &limits);
	assert_ptr_equal(queue_route_owner(r), &owner);
	add(q, r, 1, "one");
	add(q, r, 1, "two");
	env = take(q, &ring, "one", 0, 2);
	assert_ptr_equal(env->route, r);
	queue_route_stats(r, &stats);
	assert_int_equal(stats.alerts, 2);
	assert_true(stats.bytes > 2 * sizeof(struct queue_alert) && stats.bytes < 2000);
	assert_int_equal(stats.in_flight, 2);
	assert_int_equal(stats.dropped_check + stats.dropped_state, 0);
	assert_int_equal(queue_lanes(q), 2);
	assert_int_equal(queue_alerts(q), 2);
	assert_int_equal(ring.alerts, 2);
	settle(q, env, QUEUE_DONE, 0);
	deliver(q, &ring, "two", 0, 2);
	queue_route_stats(r, &stats);
	assert_int_equal(stats.alerts + stats.bytes + stats.in_flight, 0);
	assert_empty(q, &ring);
	queue_free(q);
}

static void lane__head_in_flight__holds_its_lane_alone(void **state)
{
	struct queue *q = queue_new();
	struct queue_ring ring;
	struct queue_route *r;
	struct queue_envelope *one, *other;

	(void)state;
	queue_ring_init(&ring);
	r = route(q, &ring, 1, MANY);
	add(q, r, 1, "one");
	add(q, r, 1, "two");
	add(q, r, 2, "other");
	one = take(q, &ring, "one", 0, 1);
	other = take(q, &ring, "other", 0, 1);
	assert_null(queue_take(q, &ring));
	settle(q, other, QUEUE_DONE, 0);
	assert_null(queue_take(q, &ring));
	settle(q, one, QUEUE_RETRY, 0);
	deliver(q, &ring, "one", 0, 1);
	deliver(q, &ring, "two", 0, 1);
	assert_empty(q, &ring);
	queue_free(q);
}

static void envelope__one_recipient_deferred__is_shared_again_when_both_stand_at_one_alert(void **state)
{
	struct queue *q = queue_new();
	struct queue_ring ring;
	struct queue_route *r;
	struct queue_envelope *env;

	(void)state;
	queue_ring_init(&ring);
	r = route(q, &ring, 3, MANY);
	add(q, r, 1, "one");
	add(q, r, 1, "two");
	add(q, r, 1, "three");
	env = take(q, &ring, "one", 0, 3);
	env->verdicts[0].outcome = QUEUE_DONE;
	env->verdicts[1] = (struct queue_verdict){ .outcome = QUEUE_DEFERRED, .until_ms = 5000 };
	env->verdicts[2].outcome = QUEUE_DONE;
	queue_settle(q, env);

	env = queue_take(q, &ring); /* a and c go on without b */
	assert_string_equal(env->alert->text, "two");
	assert_int_equal(env->nrcpt, 2);
	assert_string_equal(env->rcpt[0], "a@example.com");
	assert_string_equal(env->rcpt[1], "c@example.com");
	assert_null(queue_take(q, &ring));
	settle(q, env, QUEUE_RETRY, 0);
	env = queue_take(q, &ring);
	assert_string_equal(env->alert->text, "two");
	env->verdicts[0].outcome = QUEUE_DONE;
	env->verdicts[1].outcome = QUEUE_RETRY;
	queue_settle(q, env);

	queue_tick(q, 5000);
	deliver(q, &ring, "two", 2, 1); /* c gave its place back, and is first again */
	env = queue_take(q, &ring);
	assert_string_equal(env->alert->text, "three");
	assert_int_equal(env->nrcpt, 2);
	deliver(q, &ring, "one", 1, 1);
	deliver(q, &ring, "two", 1, 1);
	settle(q, env, QUEUE_RETRY, 0);
	deliver(q, &ring, "three", 0, 3); /* b caught up */
	assert_empty(q, &ring);
	queue_free(q);
}

static void envelope__verdicts__count_tries_of_each_recipient(void **state)
{
	struct queue *q = queue_new();
	struct queue_ring ring;
	struct queue_envelope *env;
	unsigned n;

	(void)state;
	queue_ring_init(&ring);
	add(q, route(q, &ring, 2, MANY), 1, "one");
	for (n = 0; n < 3; n++) {
		env = take(q, &ring, "one", 0, 2);
		assert_int_equal(env->attempts[0], n);
		assert_int_equal(env->attempts[1], 0);
		env->verdicts[0] = (struct queue_verdict){ .outcome = QUEUE_DEFERRED, .until_ms = n };
		queue_settle(q, env); /* the other one: RETRY, not counted */
		queue_tick(q, n);
	}
	deliver(q, &ring, "one", 0, 2);
	assert_empty(q, &ring);
	queue_free(q);
}

static void deferral__ends__is_behind_those_that_were_ready(void **state)
{
	struct queue *q = queue_new();
	struct queue_ring ring;
	struct queue_route *r;

	(void)state;
	queue_ring_init(&ring);
	r = route(q, &ring, 1, MANY);
	add(q, r, 1, "first");
	settle(q, take(q, &ring, "first", 0, 1), QUEUE_DEFERRED, 3000);
	add(q, r, 2, "second");
	settle(q, take(q, &ring, "second", 0, 1), QUEUE_DEFERRED, 2000);
	add(q, r, 3, "fresh");
	assert_int_equal(queue_deadline(q), 2000);
	queue_tick(q, 1999);
	assert_int_equal(queue_deadline(q), 2000);
	queue_tick(q, 3000);
	assert_int_equal(queue_deadline(q), UINT64_MAX);
	deliver(q, &ring, "fresh", 0, 1);
	deliver(q, &ring, "second", 0, 1);
	deliver(q, &ring, "first", 0, 1);
	assert_empty(q, &ring);
	queue_free(q);
}

static void deferral__random_times_and_drops__ends_in_order_of_time(void **state)
{
	enum { LANES = 300, DROPS = 100 };
	struct queue_limits limits = { .alerts = LANES, .bytes = 64u << 20 };
	struct queue *q = queue_new();
	struct queue_ring ring;
	struct queue_route *r;
	uint64_t until[LANES + DROPS], earliest, now = 0;
	uint32_t random = 1;
	size_t i, left = LANES, dropped = 0;

	(void)state;
	queue_ring_init(&ring);
	r = route(q, &ring, 1, limits);
	for (i = 0; i < LANES + DROPS; i++) { /* the last ones drop the oldest, wherever the heap has it */
		assert_int_equal(add_kind(q, r, i, "x", ALERT_KIND_STATE, &dropped), MAILERS_OK);
		random = random * 1664525 + 1013904223;
		until[i] = 1 + (random >> 16) % 1000;
		settle(q, queue_take(q, &ring), QUEUE_DEFERRED, until[i]);
	}
	assert_int_equal(dropped, DROPS);
	while (left) {
		for (earliest = UINT64_MAX, i = DROPS; i < LANES + DROPS; i++) {
			if (until[i] > now && until[i] < earliest)
				earliest = until[i];
		}
		assert_int_equal(queue_deadline(q), earliest);
		now = earliest;
		queue_tick(q, now);
		for (i = DROPS; i < LANES + DROPS; i++)
			left -= until[i] == now;
		assert_int_equal(ring.ready, LANES - left);
	}
	while (left++ < LANES)
		settle(q, queue_take(q, &ring), QUEUE_DONE, 0);
	assert_empty(q, &ring);
	queue_free(q);
}

static void ring__one_route_has_a_thousand_lanes__the_other_is_served_second(void **state)
{
	struct queue *q = queue_new();
	struct queue_ring ring;
	struct queue_route *big, *small;
	size_t i;

	(void)state;
	queue_ring_init(&ring);
	big = route(q, &ring, 1, MANY);
	small = route(q, &ring, 1, MANY);
	for (i = 0; i < 1000; i++)
		add(q, big, i, "big");
	add(q, small, 5000, "small");
	assert_int_equal(ring.ready, 1001);
	deliver(q, &ring, "big", 0, 1);
	deliver(q, &ring, "small", 0, 1);
	for (i = 0; i < 999; i++)
		deliver(q, &ring, "big", 0, 1);
	assert_empty(q, &ring);
	queue_free(q);
}

static void ring__one_lane_has_a_thousand_alerts__the_others_take_turns_with_it(void **state)
{
	struct queue *q = queue_new();
	struct queue_ring ring;
	struct queue_route *r;
	size_t i;

	(void)state;
	queue_ring_init(&ring);
	r = route(q, &ring, 1, MANY);
	for (i = 0; i < 1000; i++)
		add(q, r, 1, "flapping");
	add(q, r, 2, "b1");
	add(q, r, 3, "c1");
	add(q, r, 2, "b2");
	deliver(q, &ring, "flapping", 0, 1);
	deliver(q, &ring, "b1", 0, 1);
	deliver(q, &ring, "c1", 0, 1);
	deliver(q, &ring, "flapping", 0, 1);
	deliver(q, &ring, "b2", 0, 1);
	for (i = 0; i < 998; i++)
		deliver(q, &ring, "flapping", 0, 1);
	assert_empty(q, &ring);
	queue_free(q);
}

static void ring__other_mailer__is_apart(void **state)
{
	struct queue *q = queue_new();
	struct queue_ring ring, other;

	(void)state;
	queue_ring_init(&ring);
	queue_ring_init(&other);
	add(q, route(q, &ring, 1, MANY), 1, "one");
	assert_null(queue_take(q, &other));
	assert_int_equal(other.ready + other.alerts, 0);
	deliver(q, &ring, "one", 0, 1);
	queue_free(q);
}

static void queue__freed_with_everything_in_it__leaves_nothing(void **state)
{
	struct queue *q = queue_new();
	struct queue_ring ring;
	struct queue_route *r;
	size_t i;

	(void)state;
	queue_ring_init(&ring);
	r = route(q, &ring, 3, MANY);
	for (i = 0; i < 500; i++)
		add(q, r, i / 3, "text");
	for (i = 0; i < 50; i++)
		settle(q, queue_take(q, &ring), i % 2 ? QUEUE_DEFERRED : QUEUE_DONE, 77);
	settle(q, queue_take(q, &ring), QUEUE_RETRY, 0);
	queue_free(q); /* what is left, a leak checker finds */
}

/* An add that fails queues nothing; one that succeeds, everything. */
static void add__allocation_fails__queues_nothing(void **state)
{
	size_t survived = 0;
	long n;

	(void)state;
	for (n = 0; ; n++) {
		struct queue *q = queue_new();
		struct queue_ring ring;
		struct queue_route *r;
		enum mailers_error error;
		size_t i, dropped = 0;
		bool failed;

		queue_ring_init(&ring);
		r = route(q, &ring, 3, MANY);
		for (i = 0; i < 21; i++) /* 63 lanes: the table and the heap grow at the next */
			add(q, r, i, "x");
		add(q, r, 0, "y");
		unit_fail_at(n);
		error = add_kind(q, r, 100, "z", ALERT_KIND_STATE, &dropped);
		failed = unit_failed();
		assert_int_equal(dropped, 0);
		assert_int_equal(queue_alerts(q), error ? 22 : 23);
		assert_int_equal(queue_lanes(q), error ? 63 : 66);
		assert_int_equal(ring.ready, error ? 63 : 66);
		if (!failed)
			assert_int_equal(error, MAILERS_OK);
		survived += failed && !error;
		assert_true(!error || error == MAILERS_ERR_NOMEM);
		for (i = 0; i < 21; i++) /* each lane can wait */
			settle(q, queue_take(q, &ring), QUEUE_DEFERRED, 50 - i);
		if (!error)
			deliver(q, &ring, "z", 0, 3);
		queue_tick(q, 50);
		assert_holds(q, &ring, "xxxxxxxxxxxxxxxxxxxxxy");
		assert_empty(q, &ring);
		queue_free(q);
		if (!failed)
			break;
	}
	assert_true(n > 5);
	assert_int_equal(survived, 1); /* a table that cannot grow works on */
}

static void new_and_take__allocation_fails__lose_nothing(void **state)
{
	struct queue_limits limits = MANY;
	struct queue *q;
	struct queue_ring ring;
	struct queue_route *r;
	long n;

	(void)state;
	unit_fail_at(0);
	assert_null(queue_new());
	assert_true(unit_failed());
	q = queue_new();
	queue_ring_init(&ring);
	for (n = 0, r = NULL; !r; n++) {
		unit_fail_at(n);
		r = queue_route_new(q, (struct queue_ring *[]){ &ring }, 1, NULL, rcpts, 3, &limits);
		assert_int_equal(unit_failed(), !r);
	}
	assert_int_equal(n, 2);
	add(q, r, 1, "one");
	unit_fail_at(0);
	assert_null(queue_take(q, &ring));
	assert_true(unit_failed());
	assert_int_equal(ring.ready, 3);
	deliver(q, &ring, "one", 0, 3);
	assert_empty(q, &ring);
	queue_free(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alert__new__copies_its_texts),
		cmocka_unit_test(route__new__knows_its_owner_and_counts),
		cmocka_unit_test(lane__head_in_flight__holds_its_lane_alone),
		cmocka_unit_test(envelope__one_recipient_deferred__is_shared_again_when_both_stand_at_one_alert),
		cmocka_unit_test(envelope__verdicts__count_tries_of_each_recipient),
		cmocka_unit_test(deferral__ends__is_behind_those_that_were_ready),
		cmocka_unit_test(deferral__random_times_and_drops__ends_in_order_of_time),
		cmocka_unit_test(ring__one_route_has_a_thousand_lanes__the_other_is_served_second),
		cmocka_unit_test(ring__one_lane_has_a_thousand_alerts__the_others_take_turns_with_it),
		cmocka_unit_test(ring__other_mailer__is_apart),
		cmocka_unit_test(queue__freed_with_everything_in_it__leaves_nothing),
		cmocka_unit_test(add__allocation_fails__queues_nothing),
		cmocka_unit_test(new_and_take__allocation_fails__lose_nothing),
	};

	return cmocka_run_group_tests_name("queue", tests, NULL, NULL);
}
