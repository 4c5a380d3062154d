/* Unit tests of engine: limits on the mails of a recipient, and mails that name several alerts. */
#include "engine_peer.h"
#include "engine_talk.h"

/* A proxy of mx1 with a limit. */
static struct engine_proxy *limited(struct peer *p, const char *name, const char *to, unsigned mails, uint32_t per)
{
	struct engine_proxy *be;

	p->proxy.limit_mails = mails;
	p->proxy.limit_per_ms = per;
	be = peer_proxy(p, name, to);
	peer_mailer(p, be, "mx1:25");
	peer_ready(p, be);
	return be;
}

static void raise_many(struct peer *p, struct engine_proxy *be, int from, int n)
{
	char text[32];
	int i;

	for (i = from; i < from + n; i++) {
		snprintf(text, sizeof(text), "alert %d.", i);
		peer_raise(p, be, (uint64_t)i, text);
	}
}

/* No stretch of <per> has more than <mails> mails of any recipient. */
static void check_limit(const struct peer *p, size_t mails, uint32_t per)
{
	size_t i, k;

	for (i = 0; i < p->nmails; i++) {
		size_t n = 0;

		for (k = 0; k <= i; k++)
			n += !strcmp(p->mails[k].rcpt, p->mails[i].rcpt) && p->mails[i].ms - p->mails[k].ms < per;
		if (n > mails)
			fail_msg("%zu mails to %s within %u ms", n, p->mails[i].rcpt, per);
	}
}

static void limit__storm__is_some_mails_and_then_one_with_the_rest(void **state)
{
	enum peer_mode mode;
	char line[128];
	int i;

	(void)state;
	for (mode = 0; mode < PEER_MODES; mode++) {
		struct peer *p = peer_new(mode);
		struct engine_proxy *be = limited(p, "be", "a@example.com", 20, 60000);
		uint64_t start = p->now;
		const char *at;

		raise_many(p, be, 0, 60);
		peer_run(p);
		assert_int_equal(p->nmails, 20);
		assert_int_equal(p->nopen, 0);
		peer_tick(p, start + 59999);
		assert_int_equal(p->nmails, 20);
		peer_finish(p);
		assert_int_equal(p->now, start + 60000);
		assert_int_equal(p->nmails, 21);
		assert_non_null(strstr(p->last, "\r\nSubject: [HAProxy Alert] 40 alerts for be\r\n"));
		at = strstr(p->last, "\r\n\r\n40 alerts in one mail: 40 state changes, 0 check reports\r\n");
		assert_non_null(at);
		for (i = 20; i < 60; i++) { /* complete, the oldest first */
			snprintf(line, sizeof(line), "\r\nWed, 30 Sep 2026 16:09:04 +0000 (UTC), be/s%d: alert %d.\r\n", i, i);
			at = strstr(at, line);
			assert_non_null(at);
		}
		assert_string_equal(at + strlen(line), "\r\n");
		assert_int_equal(peer_logged(p, "<6> mailers: be/s20 and 39 others via mx1:25 (mx1:25): accepted for 1 "
		                             "recipient after 60.000s"), 1);
		assert_int_equal(peer_stats(p).accepted, 60);
		assert_int_equal(peer_stats(p).folded, 40);
		check_limit(p, 20, 60000);
		peer_free(p);
	}
}

static void limit__after_a_fold__alerts_are_mails_of_their_own_again(void **state)
{
	struct peer *p = peer_new(PEER_WHOLE);
	struct engine_proxy *be = limited(p, "be", "a@example.com", 5, 10000);

	(void)state;
	raise_many(p, be, 0, 10);
	peer_finish(p);
	assert_int_equal(p->nmails, 6);
	p->now += 10000;
	raise_many(p, be, 10, 1);
	peer_run(p);
	raise_many(p, be, 11, 3);
	peer_run(p);
	assert_int_equal(p->nmails, 10);
	assert_int_equal(peer_took(p, NULL, NULL, "alert 13."), 1);
	peer_free(p);
}

static void limit__random_load__no_stretch_has_more(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *one = limited(p, "one", "a@example.com, b@example.com", 4, 5000);
	struct engine_proxy *two = limited(p, "two", "b@example.com, c@example.com", 4, 5000);
	int i, number = 0;

	(void)state;
	for (i = 0; i < 400; i++) {
		p->random = p->random * UINT64_C(6364136223846793005) + 1442695040888963407;
		raise_many(p, p->random >> 63 ? one : two, number, (int)(p->random >> 60 & 3));
		number += 3;
		peer_run(p);
		peer_tick(p, p->now + (p->random >> 40) % 2000);
	}
	peer_finish(p);
	check_limit(p, 4, 5000);
	assert_int_equal(peer_stats(p).accepted, peer_stats(p).recipients);
	assert_true(peer_stats(p).folded > 50 && peer_stats(p).folded < peer_stats(p).accepted);
	peer_free(p);
}

/* Two proxies that mail the same person over the same server. */
static void limit__two_proxies_and_one_recipient__count_together(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *one = limited(p, "one", "a@example.com", 5, 10000);
	struct engine_proxy *two = limited(p, "two", "a@example.com, b@example.com", 8, 10000);

	(void)state;
	raise_many(p, one, 0, 5);
	peer_run(p);
	raise_many(p, two, 100, 8);
	peer_run(p);
	assert_int_equal(peer_took(p, NULL, "a@example.com", NULL), 8); /* each proxy's own limit */
	assert_int_equal(peer_took(p, NULL, "b@example.com", NULL), 8);
	peer_finish(p);
	assert_int_equal(p->nmails, 17);
	peer_free(p);
}

static void limit__refused_mails__do_not_count(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = limited(p, "be", "a@example.com", 5, 10000);
	uint64_t start = p->now;
	int i;

	(void)state;
	p->rules[0] = (struct peer_rule){ NULL, AT_MESSAGE, NULL, "550 no", 30 };
	for (i = 0; i < 35; i++) {
		raise_many(p, be, i, 1);
		peer_run(p);
	}
	assert_int_equal(peer_stats(p).refused, 30);
	assert_int_equal(p->nmails, 5);
	assert_int_equal(p->now, start);
	peer_free(p);
}

static void limit__may_have_been_accepted__counts(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be;

	(void)state;
	p->maxconn = 1;
	be = limited(p, "be", "a@example.com", 2, 3600000);
	p->rules[0] = (struct peer_rule){ NULL, AT_MESSAGE, NULL, PEER_TAKE_CLOSE, 2 };
	raise_many(p, be, 0, 5);
	peer_run(p);
	while (engine_deadline(p->engine, p->now) < 1000000 + 3600000)
		assert_true(peer_wait(p));
	assert_int_equal(p->nmails, 2);
	peer_finish(p);
	check_limit(p, 2, 3600000);
	peer_free(p);
}

static void fold__tried_again__has_the_same_message_id(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = limited(p, "be", "a@example.com", 1, 1000);
	char id[100];

	(void)state;
	p->rules[0] = (struct peer_rule){ NULL, AT_MESSAGE, "alerts for", PEER_TAKE_CLOSE, 1 };
	raise_many(p, be, 0, 5);
	peer_run(p);
	while (p->nmails < 2)
		assert_true(peer_wait(p));
	strcpy(id, p->mails[1].id);
	assert_ptr_equal(strstr(id, "2-5."), id);
	assert_int_equal(peer_logged(p, "<4> mailers: be/s1 and 3 others via mx1:25 (mx1:25): unknown whether accepted"), 1);
	peer_finish(p);
	assert_int_equal(p->nmails, 3);
	assert_string_equal(p->mails[2].id, id);
	assert_int_equal(peer_stats(p).deferred, 4);
	assert_int_equal(peer_stats(p).accepted, 5);
	peer_free(p);
}

static void fold__of_other_alerts__has_another_message_id(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = limited(p, "be", "a@example.com", 1, 1000);

	(void)state;
	p->rules[0] = (struct peer_rule){ NULL, AT_MESSAGE, "alerts for", PEER_TAKE_CLOSE, 1 };
	raise_many(p, be, 0, 3);
	peer_run(p);
	while (p->nmails < 2)
		assert_true(peer_wait(p));
	p->rules[1] = (struct peer_rule){ NULL, AT_CONNECT, NULL, PEER_CLOSE, 1 };
	p->now += 4000;
	raise_many(p, be, 1, 2); /* joins in: their lanes wait for the alerts before them */
	peer_finish(p);
	assert_string_not_equal(p->mails[1].id, p->mails[2].id);
	assert_int_equal(peer_stats(p).accepted, 5);
	peer_free(p);
}

static void fold__refused__each_alert_is_told(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = limited(p, "be", "a@example.com", 1, 1000);
	char line[100];
	int i;

	(void)state;
	p->rules[0] = (struct peer_rule){ NULL, AT_MESSAGE, "alerts for", "554 too much", 1 };
	raise_many(p, be, 0, 5);
	peer_finish(p);
	assert_int_equal(peer_logged(p, "<3> "), 4);
	for (i = 1; i < 5; i++) {
		snprintf(line, sizeof(line), "<3> mailers: be/s%d via mx1:25 (mx1:25): refused at message for 1 recipient", i);
		assert_int_equal(peer_logged(p, line), 1);
		snprintf(line, sizeof(line), ": 554 too much: alert %d.\n", i);
		assert_int_equal(peer_logged(p, line), 1);
	}
	assert_int_equal(peer_stats(p).refused, 4);
	peer_free(p);
}

static void fold__drain__goes_at_once(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = limited(p, "be", "a@example.com, b@example.com", 5, 60000);
	uint64_t start = p->now;

	(void)state;
	raise_many(p, be, 0, 50);
	peer_run(p);
	assert_int_equal(p->nmails, 10);
	engine_drain(p->engine, start + 30000, start);
	peer_finish(p);
	assert_int_equal(p->now, start);
	assert_int_equal(p->nmails, 12);
	assert_int_equal(peer_stats(p).accepted, 100);
	peer_free(p);
}

static void fold__memory_fails__loses_nothing(void **state)
{
	bool failed = true;
	long n;

	(void)state;
	for (n = 0; failed; n++) {
		struct peer *p = peer_new(PEER_WHOLE);
		struct engine_proxy *be = limited(p, "be", "a@example.com, b@example.com", 2, 5000);

		raise_many(p, be, 0, 10);
		unit_fail_at(n);
		peer_finish(p);
		failed = unit_failed();
		assert_int_equal(peer_stats(p).accepted, 20);
		peer_free(p);
	}
	assert_true(n > 50);
}

static void limit__memory_fails_at_the_start__can_be_called_again(void **state)
{
	bool failed = true;
	long n;

	(void)state;
	for (n = 0; failed; n++) {
		struct peer *p = peer_new(PEER_WHOLE);
		char reason[ENGINE_REASON_MAX];
		struct engine_proxy *be;

		p->proxy.limit_mails = 2;
		p->proxy.limit_per_ms = 5000;
		be = peer_proxy(p, "be", "a@example.com, b@example.com");
		peer_mailer(p, be, "mx1:25");
		unit_fail_at(n);
		engine_proxy_ready(p->engine, be, reason);
		failed = unit_failed();
		peer_ready(p, be);
		raise_many(p, be, 0, 10);
		peer_finish(p);
		assert_int_equal(p->nmails, 6);
		peer_free(p);
	}
	assert_true(n > 5);
}

static void fold__very_many__are_several_of_a_bounded_size(void **state)
{
	struct peer *p = peer_new(PEER_WHOLE);
	char text[2000];
	struct engine_proxy *be;
	size_t mails = 0, size;
	int i, slot;

	(void)state;
	p->maxconn = 1;
	be = limited(p, "be", "a@example.com", 1, 10000);
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (i = 0; i < 5000; i++)
		peer_raise(p, be, (uint64_t)i, "short");
	for (i = 0; i < 400; i++)
		peer_raise(p, be, (uint64_t)i, text);
	engine_drain(p->engine, p->now + 3000000, p->now); /* folds follow each other */
	slot = engine_connect(p->engine, p->now);
	assert_int_equal(slot, 0);
	size = talk(p->engine, slot, p->now, &mails);
	assert_true(size > 10000 && size < SMTP_CLIENT_MESSAGE_MAX / 2);
	assert_in_range(mails, 7, 12);
	assert_int_equal(peer_stats(p).accepted, 5400);
	peer_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(limit__storm__is_some_mails_and_then_one_with_the_rest),
		cmocka_unit_test(limit__after_a_fold__alerts_are_mails_of_their_own_again),
		cmocka_unit_test(limit__random_load__no_stretch_has_more),
		cmocka_unit_test(limit__two_proxies_and_one_recipient__count_together),
		cmocka_unit_test(limit__refused_mails__do_not_count),
		cmocka_unit_test(limit__may_have_been_accepted__counts),
		cmocka_unit_test(fold__tried_again__has_the_same_message_id),
		cmocka_unit_test(fold__of_other_alerts__has_another_message_id),
		cmocka_unit_test(fold__refused__each_alert_is_told),
		cmocka_unit_test(fold__drain__goes_at_once),
		cmocka_unit_test(fold__memory_fails__loses_nothing),
		cmocka_unit_test(limit__memory_fails_at_the_start__can_be_called_again),
		cmocka_unit_test(fold__very_many__are_several_of_a_bounded_size),
	};

	return cmocka_run_group_tests_name("engine limit", tests, NULL, NULL);
}
