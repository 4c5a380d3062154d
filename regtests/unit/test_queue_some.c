/* Alerts for some of a route's recipients: each recipient's order, folds, bounds, expiry, and want of memory. */
#include "queue_steps.h"

static enum mailers_error add_for(struct queue *q, struct queue_route *r, uint64_t server, const char *text,
                                  const char *who, size_t *dropped)
{
	const struct queue_mail mail = { .subject = "s", .body = NULL, .to = "t@x", .cc = "c@x" };
	struct alert_text what = { .level = ALERT_LEVEL_ALERT };
	struct queue_alert *a = queue_alert_new_mail(q, server, "be/s1", &what, text, strlen(text), "a date", &mail, 1000);
	bool wanted[3] = { strchr(who, 'a'), strchr(who, 'b'), strchr(who, 'c') };
	enum mailers_error error;

	if (!a)
		return MAILERS_ERR_NOMEM;
	assert_string_equal(a->subject, "s");
	assert_null(a->body);
	assert_string_equal(a->to, "t@x");
	assert_string_equal(a->cc, "c@x");
	assert_string_equal(a->text, text);
	assert_string_equal(a->name, "be/s1");
	error = queue_add_some(q, r, a, wanted, dropped);
	queue_alert_release(a);
	return error;
}

static void some(struct queue *q, struct queue_route *r, uint64_t server, const char *text, const char *who)
{
	size_t dropped = 0;

	assert_int_equal(add_for(q, r, server, text, who, &dropped), MAILERS_OK);
	assert_int_equal(dropped, 0);
}

static void queue_some__each_recipient__has_its_own_in_order(void **state)
{
	struct queue *q = queue_new();
	struct queue_ring ring;
	struct queue_route *r;
	struct queue_envelope *env;

	(void)state;
	queue_ring_init(&ring);
	r = route(q, &ring, 3, MANY);
	some(q, r, 1, "one", "bc");
	some(q, r, 1, "two", "c");
	some(q, r, 1, "three", "abc");
	env = take(q, &ring, "one", 1, 2);
	deliver(q, &ring, "three", 0, 1); /* a waits for nobody */
	settle(q, env, QUEUE_DONE, 0);
	deliver(q, &ring, "three", 1, 1);
	deliver(q, &ring, "two", 2, 1);
	deliver(q, &ring, "three", 2, 1);
	assert_int_equal(queue_alerts(q), 0);
	assert_int_equal(queue_lanes(q), 0);
	queue_free(q);
}

static void queue_some__a_fold__is_of_the_recipients_own(void **state)
{
	struct queue *q = queue_new();
	struct queue_ring ring;
	struct queue_route *r;
	struct queue_envelope *env;

	(void)state;
	queue_ring_init(&ring);
	r = route(q, &ring, 3, MANY);
	some(q, r, 1, "one", "b");
	some(q, r, 2, "two", "ac");
	some(q, r, 3, "three", "ab");
	env = take(q, &ring, "one", 1, 1);
	assert_int_equal(queue_fold(q, env, 0, 10, 1000), MAILERS_OK);
	assert_int_equal(env->nalerts, 2);
	assert_string_equal(env->alerts[1]->text, "three");
	settle(q, env, QUEUE_DONE, 0);
	env = queue_take(q, &ring);
	assert_string_equal(env->alert->text, "two");
	assert_int_equal(env->nrcpt, 2);
	assert_string_equal(env->rcpt[1], rcpts[2]);
	settle(q, env, QUEUE_DONE, 0);
	deliver(q, &ring, "three", 0, 1);
	assert_int_equal(queue_alerts(q), 0);
	queue_free(q);
}

static void queue_some__bounds_and_expiry__count_those_it_is_for(void **state)
{
	struct queue *q = queue_new();
	struct queue_route_stats stats;
	struct queue_ring ring;
	struct queue_route *r;
	struct queue_envelope *env;
	size_t dropped = 0;

	(void)state;
	queue_ring_init(&ring);
	r = route(q, &ring, 3, (struct queue_limits){ .alerts = 2, .bytes = 1 << 20 });
	some(q, r, 1, "one", "bc");
	some(q, r, 1, "two", "c");
	assert_int_equal(add_for(q, r, 1, "three", "a", &dropped), MAILERS_OK);
	assert_int_equal(dropped, 1);
	queue_route_stats(r, &stats);
	assert_int_equal(stats.dropped_rcpt, 2);
	env = queue_take_expired(q, r, UINT64_MAX);
	assert_string_equal(env->alert->text, "two");
	assert_int_equal(env->nrcpt, 1);
	assert_string_equal(env->rcpt[0], rcpts[2]);
	settle(q, env, QUEUE_DONE, 0);
	env = queue_take_expired(q, r, UINT64_MAX);
	assert_int_equal(env->nrcpt, 1);
	assert_string_equal(env->rcpt[0], rcpts[0]);
	settle(q, env, QUEUE_DONE, 0);
	assert_null(queue_take_expired(q, r, UINT64_MAX));
	assert_int_equal(queue_alerts(q), 0);
	queue_free(q);
}

static void queue_some__an_allocation_fails__leaves_no_half(void **state)
{
	long n;

	(void)state;
	for (n = 0;; n++) {
		struct queue *q = queue_new();
		struct queue_ring ring;
		struct queue_route *r;
		enum mailers_error error;
		size_t dropped = 0;

		queue_ring_init(&ring);
		r = route(q, &ring, 3, MANY);
		unit_fail_at(n);
		error = add_for(q, r, 1, "one", "ac", &dropped);
		if (!unit_failed()) {
			assert_int_equal(error, MAILERS_OK);
			queue_free(q);
			break;
		}
		assert_true(error == MAILERS_ERR_NOMEM || queue_lanes(q) == 2);
		if (error)
			assert_int_equal(queue_lanes(q), 0);
		queue_free(q);
	}
	assert_true(n > 3);
}

/* Of a route that gets a recipient more, what was added before knows nothing; a place is free when nothing waits for it. */
static void queue_grow__a_recipient_comes_later__older_alerts_are_not_for_it(void **state)
{
	const char *own[3] = { "a@example.com", "b@example.com" };
	struct queue *q = queue_new();
	struct queue_envelope *env;
	struct queue_ring ring;
	struct queue_route *r;

	(void)state;
	queue_ring_init(&ring);
	r = queue_route_new(q, (struct queue_ring *[]){ &ring }, 1, NULL, own, 2, &(struct queue_limits){ 100, 1 << 20 });
	some(q, r, 1, "one", "ab");
	own[2] = "c@example.com";
	queue_route_grow(r, 3);
	some(q, r, 2, "two", "ac");
	some(q, r, 3, "three", "c");
	assert_int_equal(queue_route_waits(r, 0), 2);
	assert_int_equal(queue_route_waits(r, 1), 1);
	assert_int_equal(queue_route_waits(r, 2), 2);
	env = take(q, &ring, "one", 0, 2);
	settle(q, env, QUEUE_DONE, 0);
	assert_int_equal(queue_route_waits(r, 1), 0);
	own[1] = "d@example.com";
	some(q, r, 1, "four", "b");
	env = queue_take(q, &ring);
	assert_int_equal(env->nrcpt, 2);
	assert_string_equal(env->rcpt[1], "c@example.com");
	assert_int_equal(queue_fold(q, env, 1, 10, 1000), MAILERS_OK); /* walks over "two" and "three", past those without it */
	assert_int_equal(env->nalerts, 2);
	assert_int_equal(queue_route_waits(r, 2), 2);
	settle(q, env, QUEUE_DONE, 0);
	assert_int_equal(queue_route_waits(r, 2), 0);
	env = queue_take(q, &ring);
	while (env) {
		assert_string_equal(env->rcpt[0], !strcmp(env->alert->text, "two") ? "a@example.com" : "d@example.com");
		settle(q, env, QUEUE_DONE, 0);
		env = queue_take(q, &ring);
	}
	assert_int_equal(queue_alerts(q), 0);
	queue_free(q);
}

/* A fold of an older alert's lane, for a recipient that the alerts before it did not have. */
static void queue_grow__a_fold__passes_what_is_older_than_its_recipient(void **state)
{
	const char *own[2] = { "a@example.com" };
	struct queue *q = queue_new();
	struct queue_envelope *env, *first;
	struct queue_ring ring;
	struct queue_route *r;

	(void)state;
	queue_ring_init(&ring);
	r = queue_route_new(q, (struct queue_ring *[]){ &ring }, 1, NULL, own, 1, &(struct queue_limits){ 100, 1 << 20 });
	some(q, r, 1, "old", "a");
	own[1] = "b@example.com";
	queue_route_grow(r, 2);
	some(q, r, 2, "new", "b");
	some(q, r, 3, "newer", "b");
	first = queue_take(q, &ring);
	env = queue_take(q, &ring);
	assert_int_equal(queue_fold(q, env, 0, 10, 1000), MAILERS_OK);
	assert_int_equal(env->nalerts, 2);
	settle(q, env, QUEUE_DONE, 0);
	settle(q, first, QUEUE_DONE, 0);
	assert_int_equal(queue_lanes(q), 0);
	queue_free(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queue_some__each_recipient__has_its_own_in_order),
		cmocka_unit_test(queue_some__a_fold__is_of_the_recipients_own),
		cmocka_unit_test(queue_some__bounds_and_expiry__count_those_it_is_for),
		cmocka_unit_test(queue_some__an_allocation_fails__leaves_no_half),
		cmocka_unit_test(queue_grow__a_recipient_comes_later__older_alerts_are_not_for_it),
		cmocka_unit_test(queue_grow__a_fold__passes_what_is_older_than_its_recipient),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
