/* Unit tests of queue: alerts taken because of their age, pauses that are ended, routes that are freed. */
#include "queue_steps.h"

struct expiry {
	struct queue *q;
	struct queue_ring ring;
	struct queue_route *r;
};

static void expiry_new(struct expiry *x, size_t nrcpt, size_t alerts)
{
	x->q = queue_new();
	queue_ring_init(&x->ring);
	x->r = route(x->q, &x->ring, nrcpt, (struct queue_limits){ .alerts = alerts, .bytes = 1 << 20 });
}

static void expiry_free(struct expiry *x)
{
	assert_empty(x->q, &x->ring);
	queue_free(x->q);
}

static void add_at(struct expiry *x, uint64_t server, const char *text, enum alert_kind kind,
                   uint64_t raised_ms)
{
	struct alert_text what = { .level = ALERT_LEVEL_ALERT, .kind = kind };
	struct queue_alert *a = queue_alert_new(x->q, server, "be/s1", &what, text, strlen(text), "",
	                                        raised_ms);
	size_t dropped = 0;

	assert_int_equal(queue_add(x->q, x->r, a, &dropped), MAILERS_OK);
	queue_alert_release(a);
}

/* Takes what is too old at <before_ms>, which must be <text>. */
static struct queue_envelope *take_expired(struct expiry *x, uint64_t before_ms, const char *text, size_t nrcpt)
{
	struct queue_envelope *env = queue_take_expired(x->q, x->r, before_ms);

	assert_non_null(env);
	assert_string_equal(env->alert->text, text);
	assert_int_equal(env->nalerts, 1);
	assert_int_equal(env->nrcpt, nrcpt);
	return env;
}

static uint64_t oldest_ms(const struct expiry *x)
{
	struct queue_route_stats stats;

	queue_route_stats(x->r, &stats);
	return stats.oldest_ms;
}

static void expired__both_kinds__are_taken_oldest_first(void **state)
{
	struct expiry x;

	(void)state;
	expiry_new(&x, 1, 100);
	assert_int_equal(oldest_ms(&x), UINT64_MAX);
	assert_null(queue_take_expired(x.q, x.r, UINT64_MAX));
	add_at(&x, 1, "one", ALERT_KIND_STATE, 100);
	add_at(&x, 2, "two", ALERT_KIND_CHECK, 100);
	add_at(&x, 3, "three", ALERT_KIND_STATE, 200);
	add_at(&x, 4, "four", ALERT_KIND_CHECK, 300);
	assert_null(queue_take_expired(x.q, x.r, 100)); /* before, not at */
	assert_int_equal(oldest_ms(&x), 100);
	settle(x.q, take_expired(&x, 201, "one", 1), QUEUE_DONE, 0);
	settle(x.q, take_expired(&x, 201, "two", 1), QUEUE_DONE, 0);
	assert_int_equal(oldest_ms(&x), 200);
	settle(x.q, take_expired(&x, 201, "three", 1), QUEUE_DONE, 0);
	assert_null(queue_take_expired(x.q, x.r, 201));
	settle(x.q, take_expired(&x, UINT64_MAX, "four", 1), QUEUE_DONE, 0);
	assert_null(queue_take_expired(x.q, x.r, UINT64_MAX));
	assert_int_equal(oldest_ms(&x), UINT64_MAX);
	expiry_free(&x);
}

static void expired__each_state_of_a_lane__goes_on_after_it(void **state)
{
	static const enum queue_outcome outcomes[] = { QUEUE_RETRY, QUEUE_DEFERRED, QUEUE_HELD };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(outcomes) / sizeof(*outcomes); i++) {
		struct expiry x;
		struct queue_envelope *env;

		expiry_new(&x, 2, 100);
		add(x.q, x.r, 1, "one");
		add(x.q, x.r, 1, "two");
		settle(x.q, take(x.q, &x.ring, "one", 0, 2), outcomes[i], 5000);
		env = take_expired(&x, UINT64_MAX, "one", 2);
		assert_int_equal(env->attempts[0], outcomes[i] == QUEUE_DEFERRED);
		assert_string_equal(env->rcpt[1], rcpts[1]);
		assert_int_equal(x.ring.ready, 0);
		assert_int_equal(queue_deadline(x.q), UINT64_MAX);
		settle(x.q, env, QUEUE_DONE, 0);
		deliver(x.q, &x.ring, "two", 0, 2);
		expiry_free(&x);
	}
}

static void expired__some_of_it_in_flight__is_not_taken_before_that_is_back(void **state)
{
	struct expiry x;
	struct queue_envelope *env, *next;

	(void)state;
	expiry_new(&x, 2, 100);
	add(x.q, x.r, 1, "one");
	add(x.q, x.r, 1, "two");
	env = take(x.q, &x.ring, "one", 0, 2);
	assert_true(queue_hold(x.q, env, 0, 9000)); /* b is in flight, a waits */
	next = take_expired(&x, UINT64_MAX, "two", 2); /* behind the head of both lanes */
	assert_null(queue_take_expired(x.q, x.r, UINT64_MAX));
	assert_int_equal(queue_deadline(x.q), 9000);
	settle(x.q, env, QUEUE_DONE, 0); /* b's lane stands at "two" now, which is away */
	assert_null(queue_take(x.q, &x.ring));
	env = take_expired(&x, UINT64_MAX, "one", 1);
	assert_string_equal(env->rcpt[0], rcpts[0]);
	settle(x.q, env, QUEUE_DONE, 0); /* and a's */
	assert_null(queue_take(x.q, &x.ring));
	assert_int_equal(queue_lanes(x.q), 2);
	settle(x.q, next, QUEUE_DONE, 0);
	expiry_free(&x);
}

static void expired__put_back__is_where_it_was(void **state)
{
	struct expiry x;
	struct queue_envelope *one, *two;

	(void)state;
	expiry_new(&x, 1, 100);
	add(x.q, x.r, 1, "one");
	add(x.q, x.r, 1, "two");
	one = take_expired(&x, UINT64_MAX, "one", 1);
	two = take_expired(&x, UINT64_MAX, "two", 1);
	settle(x.q, two, QUEUE_DEFERRED, 4000); /* not its lane's head: the lane does not wait for it */
	assert_int_equal(queue_deadline(x.q), UINT64_MAX);
	settle(x.q, one, QUEUE_RETRY, 0);
	deliver(x.q, &x.ring, "one", 0, 1);
	two = take(x.q, &x.ring, "two", 0, 1);
	assert_int_equal(two->attempts[0], 1);
	settle(x.q, two, QUEUE_DONE, 0);
	expiry_free(&x);
}

static void expired__in_flight__is_not_dropped(void **state)
{
	struct expiry x;
	struct queue_envelope *env;
	size_t dropped = 0;

	(void)state;
	expiry_new(&x, 1, 2);
	add(x.q, x.r, 1, "one");
	env = take_expired(&x, UINT64_MAX, "one", 1);
	add(x.q, x.r, 1, "two");
	assert_int_equal(add_kind(x.q, x.r, 1, "three", ALERT_KIND_STATE, &dropped), MAILERS_OK);
	assert_int_equal(dropped, 1);
	settle(x.q, env, QUEUE_DONE, 0);
	deliver(x.q, &x.ring, "three", 0, 1);
	expiry_free(&x);
}

static void expired__allocation_fails__takes_nothing(void **state)
{
	struct expiry x;

	(void)state;
	expiry_new(&x, 2, 100);
	add(x.q, x.r, 1, "one");
	unit_fail_at(0);
	assert_null(queue_take_expired(x.q, x.r, UINT64_MAX));
	assert_true(unit_failed());
	assert_int_equal(x.ring.ready, 2);
	deliver(x.q, &x.ring, "one", 0, 2);
	expiry_free(&x);
}

static void wake__one_route__leaves_the_other(void **state)
{
	struct expiry x;
	struct queue_route *other;

	(void)state;
	expiry_new(&x, 1, 100);
	other = route(x.q, &x.ring, 1, MANY);
	add(x.q, x.r, 1, "one");
	add(x.q, x.r, 2, "two");
	add(x.q, x.r, 2, "three");
	settle(x.q, take(x.q, &x.ring, "one", 0, 1), QUEUE_DEFERRED, 9000);
	settle(x.q, take(x.q, &x.ring, "two", 0, 1), QUEUE_HELD, 8000);
	add(x.q, other, 1, "other");
	settle(x.q, take(x.q, &x.ring, "other", 0, 1), QUEUE_DEFERRED, UINT64_MAX);
	queue_wake(x.q, x.r);
	assert_int_equal(x.ring.ready, 2);
	deliver(x.q, &x.ring, "one", 0, 1); /* the oldest first, not the earliest */
	deliver(x.q, &x.ring, "two", 0, 1);
	deliver(x.q, &x.ring, "three", 0, 1);
	assert_null(queue_take(x.q, &x.ring));
	queue_tick(x.q, UINT64_MAX);
	deliver(x.q, &x.ring, "other", 0, 1);
	expiry_free(&x);
}

static void route__freed_with_lanes_in_each_state__leaves_the_others(void **state)
{
	struct expiry x;
	struct queue_route *gone;

	(void)state;
	expiry_new(&x, 1, 100);
	gone = route(x.q, &x.ring, 3, MANY);
	add(x.q, gone, 1, "one");
	settle(x.q, take(x.q, &x.ring, "one", 0, 3), QUEUE_DEFERRED, 3000);
	add(x.q, gone, 2, "two");
	settle(x.q, take(x.q, &x.ring, "two", 0, 3), QUEUE_HELD, 4000);
	add(x.q, gone, 3, "three");
	add(x.q, gone, 3, "three again");
	add(x.q, x.r, 3, "stays");
	assert_int_equal(queue_lanes(x.q), 10);
	queue_route_free(x.q, gone);
	queue_route_free(x.q, NULL);
	assert_int_equal(queue_lanes(x.q), 1);
	assert_int_equal(queue_alerts(x.q), 1);
	assert_int_equal(x.ring.ready, 1);
	assert_int_equal(x.ring.alerts, 1);
	assert_int_equal(queue_deadline(x.q), UINT64_MAX);
	deliver(x.q, &x.ring, "stays", 0, 1);
	expiry_free(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(expired__both_kinds__are_taken_oldest_first),
		cmocka_unit_test(expired__each_state_of_a_lane__goes_on_after_it),
		cmocka_unit_test(expired__some_of_it_in_flight__is_not_taken_before_that_is_back),
		cmocka_unit_test(expired__put_back__is_where_it_was),
		cmocka_unit_test(expired__in_flight__is_not_dropped),
		cmocka_unit_test(expired__allocation_fails__takes_nothing),
		cmocka_unit_test(wake__one_route__leaves_the_other),
		cmocka_unit_test(route__freed_with_lanes_in_each_state__leaves_the_others),
	};

	return cmocka_run_group_tests_name("queue expiry", tests, NULL, NULL);
}
