/* Unit tests of engine: mailers that stand in for each other. */
#include "engine_peer.h"

/* A proxy of two mailers, mx1 before mx2. */
static struct engine_proxy *two(struct peer *p, const char *name)
{
	struct engine_proxy *be;

	p->proxy.mode = ENGINE_MODE_FAILOVER;
	be = peer_proxy(p, name, "a@example.com");
	peer_mailer(p, be, "mx1:25");
	peer_mailer(p, be, "mx2:25");
	peer_ready(p, be);
	return be;
}

static void failover__all_well__the_first_takes_all(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = two(p, "be");
	uint64_t i;

	(void)state;
	for (i = 0; i < 100; i++)
		peer_raise(p, be, i, "x");
	peer_finish(p);
	assert_int_equal(peer_took(p, "mx1:25", NULL, "x"), 100);
	assert_int_equal(p->nmails, 100);
	assert_int_equal(peer_stats(p).raised, 100);
	peer_free(p);
}

static void failover__first_goes_down__the_next_takes_all_without_a_try_counted(void **state)
{
	static const struct { enum peer_stage at; const char *reply; uint32_t ms; } table[] = {
		{ AT_CONNECT, PEER_CLOSE, 2000 }, { AT_CONNECT, PEER_MUTE, 32000 }, { AT_GREETING, "554 no", 2000 },
		{ AT_EHLO, "451 no", 2000 },
	};
	enum peer_mode mode;
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(*table); i++) {
		for (mode = 0; mode < PEER_MODES; mode++) {
			struct peer *p = peer_new(mode);
			struct engine_proxy *be = two(p, "be");
			uint64_t start = p->now;

			p->rules[0] = (struct peer_rule){ "mx1:25", table[i].at, NULL, table[i].reply, 0 };
			for (k = 0; k < 20; k++)
				peer_raise(p, be, k / 2, k % 2 ? "y" : "x");
			peer_finish(p);
			assert_int_equal(p->now, start + table[i].ms);
			assert_int_equal(peer_took(p, "mx2:25", "a@example.com", NULL), 20);
			assert_int_equal(p->nmails, 20);
			assert_int_equal(peer_stats(p).deferred + peer_stats(p).given_up, 0);
			assert_int_equal(peer_logged(p, "mx1:25 (mx1:25) is down"), 1);
			assert_int_equal(peer_logged(p, "via mx2:25 (mx2:25): accepted"), 20);

			peer_raise(p, be, 1, "z"); /* at once now */
			peer_run(p);
			assert_int_equal(peer_took(p, "mx2:25", NULL, "z"), 1);
			peer_finish(p);
			peer_free(p);
		}
	}
}

static void failover__first_comes_back__takes_again(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = two(p, "be");

	(void)state;
	p->rules[0] = (struct peer_rule){ "mx1:25", AT_CONNECT, NULL, PEER_CLOSE, 5 };
	peer_raise(p, be, 1, "one");
	peer_finish(p);
	while (!peer_logged(p, "is up again")) {
		peer_raise(p, be, 1, "x");
		assert_true(peer_wait(p));
	}
	assert_int_equal(p->used[0], 5);
	peer_raise(p, be, 1, "two");
	peer_finish(p);
	assert_int_equal(peer_took(p, "mx1:25", NULL, "two"), 1);
	assert_int_equal(engine_deadline(p->engine, p->now), UINT64_MAX);
	peer_free(p);
}

/* A bug: probes of such a server get through, so it was up again whenever the alert was tried, over it alone, until
 * the alert was given up after its four hours.
 */
static void failover__first_lets_us_in_and_takes_no_mail__the_next_gets_it(void **state)
{
	static const struct { enum peer_stage at; const char *reply; } table[] = {
		{ AT_MAIL, "421 4.3.2 not now" }, { AT_MAIL, "530 5.7.0 who are you" }, { AT_MAIL, PEER_CLOSE },
		{ AT_MAIL, PEER_MUTE }, { AT_MAIL, "451 4.3.0 disk full" }, { AT_RCPT, PEER_CLOSE },
		{ AT_RCPT, "450 4.7.1 greylisted" }, { AT_RCPT, "503 5.5.1 what" }, { AT_DATA, "421 4.3.2 not now" },
		{ AT_MESSAGE, "451 4.3.0 later" },
	};
	enum peer_mode mode;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(*table); i++) {
		for (mode = 0; mode < PEER_MODES; mode++) {
			struct peer *p = peer_new(mode);
			struct engine_proxy *be = two(p, "be");

			p->rules[0] = (struct peer_rule){ "mx1:25", table[i].at, NULL, table[i].reply, 0 };
			peer_raise(p, be, 1, "one");
			peer_raise(p, be, 1, "two");
			peer_finish(p);
			assert_string_equal(peer_order(p, "a@example.com"), "one two");
			assert_int_equal(peer_took(p, "mx2:25", NULL, NULL), 2);
			assert_true(p->now <= 1000000 + 2 * 16500);
			peer_free(p);
		}
	}
}

static void failover__deferred_by_one_after_the_other__goes_round(void **state)
{
	static const char *const addresses[] = { "mx1:25", "mx2:25", "mx3:25" };
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be;
	size_t i;

	(void)state;
	p->proxy.mode = ENGINE_MODE_FAILOVER;
	be = peer_proxy(p, "be", "a@example.com, b@example.com");
	for (i = 0; i < 3; i++) {
		peer_mailer(p, be, addresses[i]);
		p->rules[i] = (struct peer_rule){ addresses[i], AT_RCPT, "a@example.com", "450 4.7.1 greylisted", 2 };
	}
	peer_raise(p, be, 1, "one");
	peer_raise(p, be, 1, "two");
	peer_finish(p);
	assert_string_equal(peer_order(p, "a@example.com"), "one two");
	assert_int_equal(peer_took(p, "mx1:25", "b@example.com", NULL), 2); /* it is not sent round with the other */
	for (i = 0; i < 3; i++)
		assert_int_equal(p->used[i], 2);
	assert_int_equal(peer_took(p, "mx1:25", "a@example.com", NULL), 2);
	p->rules[0] = (struct peer_rule){ "mx1:25", AT_RCPT, NULL, "450 4.7.1 greylisted", 0 };
	p->rules[1] = (struct peer_rule){ "mx2:25", AT_CONNECT, NULL, PEER_CLOSE, 0 };
	p->rules[2].reply = NULL;
	while (!peer_logged(p, "mx2:25 (mx2:25) is down")) { /* who comes next is not to be had */
		peer_raise(p, be, 2, "x");
		peer_finish(p);
	}
	p->nmails = 0;
	peer_raise(p, be, 1, "three");
	peer_finish(p);
	assert_int_equal(peer_took(p, "mx3:25", NULL, "three"), 2);
	peer_free(p);
}

static void failover__deferred_and_the_next_is_paused__stays(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = two(p, "be");

	(void)state;
	engine_pause(p->engine, "mx2:25", p->now);
	p->rules[0] = (struct peer_rule){ "mx1:25", AT_RCPT, NULL, "450 4.7.1 greylisted", 3 };
	peer_raise(p, be, 1, "one");
	peer_finish(p);
	assert_int_equal(peer_took(p, "mx1:25", NULL, "one"), 1);
	peer_free(p);
}

static void failover__backups__come_after_the_others_in_their_order(void **state)
{
	static const char *const order[] = { "mx2:25", "mx4:25", "mx1:25", "mx3:25" };
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be;
	size_t i;

	(void)state;
	p->proxy.mode = ENGINE_MODE_FAILOVER;
	be = peer_proxy(p, "be", "a@example.com");
	for (i = 1; i <= 4; i++) {
		char address[] = { 'm', 'x', (char)('0' + i), ':', '2', '5', '\0' };

		p->mailer.backup = i % 2;
		peer_mailer(p, be, address);
	}
	for (i = 0; i < 4; i++) {
		p->rules[i] = (struct peer_rule){ order[i], AT_CONNECT, NULL, i < 3 ? PEER_CLOSE : "", 0 };
		p->rules[i + 1].reply = NULL;
		peer_raise(p, be, i, "x");
		peer_raise(p, be, 100, "y");
	}
	p->rules[0].reply = NULL;
	peer_finish(p);
	assert_int_equal(peer_took(p, order[0], NULL, NULL), 8);
	for (i = 0; i < 3; i++) {
		p->rules[i] = (struct peer_rule){ order[i], AT_CONNECT, NULL, PEER_CLOSE, 0 };
		p->rules[i + 1].reply = NULL;
		peer_raise(p, be, 1, "z");
		peer_finish(p);
		assert_int_equal(peer_took(p, order[i + 1], NULL, "z"), 1);
	}
	peer_free(p);
}

static void failover__first_is_busy__alerts_wait_for_it(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be;
	uint64_t i;

	(void)state;
	p->maxconn = 1;
	be = two(p, "be");
	p->rules[0] = (struct peer_rule){ "mx1:25", AT_GREETING, NULL, PEER_MUTE, 1 };
	for (i = 0; i < 10; i++)
		peer_raise(p, be, i, "x");
	peer_run(p);
	assert_int_equal(p->nopened, 1);
	peer_finish(p);
	assert_int_equal(peer_took(p, "mx1:25", NULL, "x"), 10);
	peer_free(p);
}

/* A bug: a server whose answers to the final dot do not come was up for minutes, and 200 of 200 alerts were given up in
 * the end, those too that it never saw.
 */
static void failover__first_does_not_answer_the_dot__the_next_takes_what_waits(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = two(p, "be");
	uint64_t i, start = p->now;

	(void)state;
	p->rules[0] = (struct peer_rule){ "mx1:25", AT_MESSAGE, NULL, PEER_MUTE, 0 };
	for (i = 0; i < 200; i++)
		peer_raise(p, be, i, "x");
	peer_run(p);
	while (peer_took(p, "mx2:25", NULL, "x") < 200 - MAILER_MAXCONN - MAILER_LINGER_MAX)
		assert_true(peer_wait(p));
	assert_true(p->now <= start + 50000);
	p->rules[0].reply = NULL;
	peer_finish(p); /* after those few are told lost */
	assert_int_equal(peer_took(p, NULL, NULL, "x"), 200);
	assert_int_equal(peer_stats(p).given_up, 0);
	peer_raise(p, be, 1, "y");
	peer_finish(p);
	assert_int_equal(peer_took(p, "mx1:25", NULL, "y"), 1);
	peer_free(p);
}

static void failover__may_have_been_taken__stays_with_that_mailer(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = two(p, "be");

	(void)state;
	p->rules[0] = (struct peer_rule){ "mx1:25", AT_MESSAGE, "one", PEER_TAKE_CLOSE, 1 };
	p->rules[1] = (struct peer_rule){ "mx1:25", AT_CONNECT, "never", PEER_CLOSE, 0 };
	peer_raise(p, be, 1, "one");
	peer_run(p);
	assert_int_equal(peer_logged(p, "unknown whether accepted"), 1);
	p->rules[1].match = NULL; /* it is gone */
	peer_raise(p, be, 1, "after");
	peer_raise(p, be, 2, "two");
	while (p->now < 1000000 + 3600000)
		assert_true(peer_wait(p));
	assert_string_equal(peer_order(p, "a@example.com"), "one two");
	assert_int_equal(peer_took(p, "mx2:25", NULL, NULL), 1);
	assert_int_equal(peer_stats(p).queued, 2); /* its lane waits for it */
	p->rules[1].match = "never";
	peer_finish(p);
	assert_int_equal(peer_took(p, "mx1:25", NULL, "one"), 2);
	assert_int_equal(peer_took(p, NULL, NULL, "after"), 1);
	assert_string_equal(p->mails[0].id, p->mails[2].id);
	peer_free(p);
}

static void failover__may_have_been_taken_and_is_deferred_then__stays_with_that_mailer(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = two(p, "be");

	(void)state;
	p->rules[0] = (struct peer_rule){ "mx1:25", AT_MESSAGE, NULL, PEER_TAKE_CLOSE, 1 };
	peer_raise(p, be, 1, "one");
	peer_run(p);
	assert_int_equal(peer_logged(p, "unknown whether accepted"), 1);
	p->rules[1] = (struct peer_rule){ "mx1:25", AT_RCPT, NULL, "450 4.7.1 greylisted", 3 };
	peer_finish(p);
	assert_int_equal(peer_logged(p, "deferred at RCPT"), 3);
	assert_int_equal(peer_took(p, "mx1:25", NULL, "one"), 2);
	assert_int_equal(p->nmails, 2);
	peer_free(p);
}

static void failover__all_are_down__whoever_gets_through_first_takes(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = two(p, "be");
	uint64_t start = p->now;

	(void)state;
	p->rules[0] = (struct peer_rule){ NULL, AT_CONNECT, NULL, PEER_CLOSE, 0 };
	peer_raise(p, be, 1, "one");
	peer_run(p);
	while (p->now < start + 600000)
		assert_true(peer_wait(p));
	assert_int_equal(peer_logged(p, "is down"), 2);
	assert_int_equal(peer_logged(p, "<6> "), 0);
	p->rules[0].address = "mx1:25";
	peer_finish(p);
	assert_int_equal(peer_took(p, "mx2:25", NULL, "one"), 1);
	assert_true(p->now <= start + 610000);
	assert_int_equal(peer_stats(p).deferred, 0);
	peer_free(p);
}

static void failover__two_proxies_of_the_same_list__take_turns(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *big = two(p, "big"), *small = two(p, "small");
	struct engine_proxy *own = peer_proxy(p, "own", "o@example.com");
	uint64_t i;

	(void)state;
	peer_mailer(p, own, "mx1:25"); /* alone: no list */
	for (i = 0; i < 500; i++)
		peer_raise(p, big, i, "big");
	peer_raise(p, small, 1000, "small");
	peer_raise(p, own, 1001, "own");
	peer_run(p);
	assert_int_equal(p->most_open, 4);
	for (i = 0; strcmp(p->mails[i].text, "small"); i++)
		assert_true(i < 16);
	for (i = 0; strcmp(p->mails[i].text, "own"); i++)
		assert_true(i < 16);
	assert_int_equal(peer_took(p, "mx1:25", NULL, NULL), 502);
	peer_free(p);
}

/* One mailer is the first of one list and the second of another. */
static void failover__lists_cross__each_mailer_serves_both(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *one = two(p, "one"), *other = peer_proxy(p, "other", "b@example.com");

	(void)state;
	peer_mailer(p, other, "mx2:25");
	peer_mailer(p, other, "mx1:25");
	peer_raise(p, one, 1, "x");
	peer_raise(p, other, 2, "y");
	peer_finish(p);
	assert_int_equal(peer_took(p, "mx1:25", "a@example.com", "x"), 1);
	assert_int_equal(peer_took(p, "mx2:25", "b@example.com", "y"), 1);
	p->rules[0] = (struct peer_rule){ "mx1:25", AT_CONNECT, NULL, PEER_CLOSE, 0 };
	peer_raise(p, one, 1, "x");
	peer_raise(p, other, 2, "y");
	peer_finish(p);
	assert_int_equal(peer_took(p, "mx2:25", "a@example.com", "x"), 1);
	assert_int_equal(peer_took(p, "mx2:25", "b@example.com", "y"), 2);
	peer_free(p);
}

static void ready__wrong_number_of_mailers__says_so(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");
	struct mailer_settings m = { .name = "mx", .address = "mx:25", .helo = "lb1.example.org" };
	char reason[ENGINE_REASON_MAX];
	size_t i;

	(void)state;
	assert_int_equal(engine_proxy_ready(p->engine, be, reason), MAILERS_ERR_STATE);
	assert_string_equal(reason, "proxy be: it has no mailer");
	for (i = 0; i < ENGINE_MAILERS_MAX; i++)
		assert_int_equal(engine_proxy_mailer(p->engine, be, &m, reason), MAILERS_OK);
	assert_int_equal(engine_proxy_mailer(p->engine, be, &m, reason), MAILERS_ERR_BOUND);
	assert_non_null(strstr(reason, "proxy be: more than 64 mailers; remove some"));
	peer_ready(p, be);
	peer_ready(p, be);
	engine_free(p->engine);
}

static void ready__allocation_fails__can_be_called_again(void **state)
{
	enum engine_mode mode;

	(void)state;
	for (mode = ENGINE_MODE_ALL; mode <= ENGINE_MODE_FAILOVER; mode++) {
		bool failed = true;
		long n;

		for (n = 0; failed; n++) {
			struct peer *p = peer_new(PEER_NEED);
			char reason[ENGINE_REASON_MAX];
			enum mailers_error error;
			struct engine_proxy *be;

			p->proxy.mode = mode;
			be = peer_proxy(p, "be", "a@example.com");
			peer_mailer(p, be, "mx1:25");
			peer_mailer(p, be, "mx2:25");
			unit_fail_at(n);
			error = engine_proxy_ready(p->engine, be, reason);
			failed = unit_failed();
			assert_int_equal(error, failed ? MAILERS_ERR_NOMEM : MAILERS_OK);
			assert_int_equal(!strcmp(reason, "proxy be: out of memory"), failed);
			peer_ready(p, be);
			peer_raise(p, be, 1, "x");
			peer_finish(p);
			assert_int_equal(p->nmails, mode == ENGINE_MODE_ALL ? 2 : 1);
			peer_free(p);
		}
		assert_true(n > 4);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failover__all_well__the_first_takes_all),
		cmocka_unit_test(failover__first_goes_down__the_next_takes_all_without_a_try_counted),
		cmocka_unit_test(failover__first_comes_back__takes_again),
		cmocka_unit_test(failover__first_lets_us_in_and_takes_no_mail__the_next_gets_it),
		cmocka_unit_test(failover__deferred_by_one_after_the_other__goes_round),
		cmocka_unit_test(failover__deferred_and_the_next_is_paused__stays),
		cmocka_unit_test(failover__backups__come_after_the_others_in_their_order),
		cmocka_unit_test(failover__first_is_busy__alerts_wait_for_it),
		cmocka_unit_test(failover__first_does_not_answer_the_dot__the_next_takes_what_waits),
		cmocka_unit_test(failover__may_have_been_taken__stays_with_that_mailer),
		cmocka_unit_test(failover__may_have_been_taken_and_is_deferred_then__stays_with_that_mailer),
		cmocka_unit_test(failover__all_are_down__whoever_gets_through_first_takes),
		cmocka_unit_test(failover__two_proxies_of_the_same_list__take_turns),
		cmocka_unit_test(failover__lists_cross__each_mailer_serves_both),
		cmocka_unit_test(ready__wrong_number_of_mailers__says_so),
		cmocka_unit_test(ready__allocation_fails__can_be_called_again),
	};

	return cmocka_run_group_tests_name("engine group", tests, NULL, NULL);
}
