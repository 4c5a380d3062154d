/* Unit tests of mailer: the schedule, what a failure and a verdict change, connections in trouble. */
#include <mailers/mailer.h>

#include "unit.h"

static const struct mailer_settings settings = {
	.name = "mx1", .address = "192.0.2.1:25", .helo = "lb1.example.org",
	.timeout_mail_ms = 10000, .timeout_final_ms = 300000, .timeout_quit_ms = 5000, .maxconn = 4,
};

static void mailer__new__copies_its_settings(void **state)
{
	char name[] = "mx1", address[] = "192.0.2.1:25", helo[] = "lb1.example.org";
	struct mailer_settings own = settings;
	struct mailer *m;

	(void)state;
	own.name = name;
	own.address = address;
	own.helo = helo;
	m = mailer_new(&own);
	name[0] = address[0] = helo[0] = 'x';
	assert_string_equal(m->settings.name, "mx1");
	assert_string_equal(m->settings.address, "192.0.2.1:25");
	assert_string_equal(m->settings.helo, "lb1.example.org");
	assert_int_equal(m->ring.ready + m->ring.alerts, 0);
	assert_true(mailer_same(m, &settings));
	assert_false(mailer_same(m, &own));
	mailer_free(m);
	mailer_free(NULL);
}

static void mailer__new_without_memory__is_null(void **state)
{
	struct mailer *m = NULL;
	long n;

	(void)state;
	for (n = 0; !m; n++) {
		unit_fail_at(n);
		m = mailer_new(&settings);
		assert_int_equal(unit_failed(), !m);
	}
	assert_int_equal(n, 5);
	mailer_free(m);
}

static void mailer__same__asks_all_but_the_name(void **state)
{
	struct mailer_settings other[6];
	struct mailer *m = mailer_new(&settings);
	struct mailer_settings named = settings;
	size_t i;

	(void)state;
	named.name = "another";
	assert_true(mailer_same(m, &named));
	for (i = 0; i < 6; i++)
		other[i] = settings;
	other[0].address = "192.0.2.1:26";
	other[1].helo = "lb2.example.org";
	other[2].timeout_mail_ms++;
	other[3].timeout_final_ms++;
	other[4].timeout_quit_ms++;
	other[5].maxconn++;
	for (i = 0; i < 6; i++)
		assert_false(mailer_same(m, &other[i]));
	mailer_free(m);
}

static void mailer__pause__grows_and_stays(void **state)
{
	static const uint32_t pauses[] = { 1000, 1000, 5000, 25000, 25000, 25000 };
	unsigned n;

	(void)state;
	for (n = 0; n < sizeof(pauses) / sizeof(*pauses); n++)
		assert_int_equal(mailer_pause(n), pauses[n]);
	assert_int_equal(mailer_pause(UINT32_MAX), 25000);
}

static void mailer__no_trouble__opens_up_to_maxconn(void **state)
{
	struct mailer *m = mailer_new(&settings);
	unsigned n;

	(void)state;
	for (n = 0; n < 4; n++) {
		assert_true(mailer_may_connect(m, 100));
		mailer_opened(m, 100);
	}
	assert_false(mailer_may_connect(m, 100));
	mailer_closed(m, 100, false);
	assert_true(mailer_may_connect(m, 100));
	assert_int_equal(m->active, 3);
	mailer_free(m);
}

static void mailer__fails_again_and_again__pauses_longer(void **state)
{
	static const uint32_t pauses[] = { 1000, 5000, 25000, 25000, 25000 };
	struct mailer *m = mailer_new(&settings);
	uint64_t now = 50;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(pauses) / sizeof(*pauses); i++) {
		assert_true(mailer_may_connect(m, now));
		mailer_opened(m, now);
		assert_int_equal(mailer_failed(m, now, now + 7), pauses[i]);
		mailer_closed(m, now, false);
		now += 7 + pauses[i];
		assert_false(mailer_may_connect(m, now - 1));
	}
	mailer_opened(m, now);
	mailer_works(m, now);
	assert_int_equal(m->failures, 0);
	assert_true(mailer_may_connect(m, now));
	assert_int_equal(mailer_failed(m, now, now), 1000); /* from the start again */
	mailer_free(m);
}

static void mailer__several_fail_together__are_one_failure(void **state)
{
	struct mailer *m = mailer_new(&settings);

	(void)state;
	mailer_opened(m, 100);
	mailer_opened(m, 100);
	mailer_opened(m, 900);
	assert_int_equal(mailer_failed(m, 100, 1000), 1000);
	assert_int_equal(mailer_failed(m, 100, 1400), 600);
	assert_int_equal(mailer_failed(m, 900, 2500), 0); /* after the pause, but it is from before */
	assert_int_equal(m->failures, 1);
	assert_int_equal(m->paused_until_ms, 2000);
	mailer_free(m);
}

static void mailer__in_trouble__is_tried_by_one_connection_beside_the_old_ones(void **state)
{
	struct mailer *m = mailer_new(&settings);

	(void)state;
	mailer_opened(m, 100); /* this one goes on */
	mailer_opened(m, 200);
	mailer_failed(m, 200, 300);
	mailer_closed(m, 200, false);
	assert_false(mailer_may_connect(m, 1299));
	assert_true(mailer_may_connect(m, 1300));
	mailer_opened(m, 1300);
	assert_false(mailer_may_connect(m, 1300));
	mailer_closed(m, 100, false);
	assert_false(mailer_may_connect(m, 5000));
	mailer_closed(m, 1300, false); /* no verdict, no failure: the next may try */
	assert_true(mailer_may_connect(m, 5000));
	mailer_opened(m, 5000);
	mailer_works(m, 5000);
	assert_true(mailer_may_connect(m, 5000));
	mailer_opened(m, 5100);
	mailer_failed(m, 5100, 5200);
	mailer_closed(m, 5100, false);
	assert_true(mailer_may_connect(m, 6200)); /* the one that tried has become an old one */
	mailer_closed(m, 5000, false);
	assert_int_equal(m->active, 0);
	mailer_free(m);
}

static void mailer__verdict_on_an_older_connection__ends_no_trouble(void **state)
{
	struct mailer *m = mailer_new(&settings);

	(void)state;
	mailer_opened(m, 100);
	mailer_opened(m, 200); /* "421 too many connections" */
	mailer_failed(m, 200, 300);
	mailer_closed(m, 200, false);
	mailer_works(m, 100);
	assert_int_equal(m->failures, 1);
	assert_false(mailer_may_connect(m, 400));
	mailer_opened(m, 1300);
	mailer_works(m, 100);
	assert_int_equal(m->failures, 1);
	assert_int_equal(mailer_failed(m, 1300, 1400), 5000);
	mailer_closed(m, 1300, false);
	mailer_works(m, 100);
	assert_false(mailer_may_connect(m, 6399));
	mailer_free(m);
}

static void mailer__linger__makes_room_within_its_bound(void **state)
{
	struct mailer *m = mailer_new(&settings);
	unsigned n;

	(void)state;
	for (n = 0; n < MAILER_LINGER_MAX; n++) {
		mailer_opened(m, 100 + n);
		assert_true(mailer_linger(m, 100 + n));
		assert_int_equal(m->active, 0);
	}
	for (n = 0; n < 4; n++)
		mailer_opened(m, 200 + n);
	assert_false(mailer_linger(m, 200));
	assert_int_equal(m->active, 4);
	assert_false(mailer_may_connect(m, 300));
	mailer_closed(m, 100, true);
	assert_int_equal(m->lingering, MAILER_LINGER_MAX - 1);
	assert_true(mailer_linger(m, 200));
	assert_true(mailer_may_connect(m, 300));
	mailer_free(m);
}

static void mailer__the_one_that_tries_lingers__another_may_try(void **state)
{
	struct mailer *m = mailer_new(&settings);

	(void)state;
	mailer_opened(m, 100);
	mailer_failed(m, 100, 100);
	mailer_closed(m, 100, false);
	mailer_opened(m, 1100);
	assert_false(mailer_may_connect(m, 20000));
	assert_true(mailer_linger(m, 1100));
	assert_true(mailer_may_connect(m, 20000));
	mailer_opened(m, 20000);
	mailer_closed(m, 1100, true);
	assert_false(mailer_may_connect(m, 20000));
	mailer_free(m);
}

static void mailer__sessions__are_those_that_may_still_take_mails(void **state)
{
	struct mailer *m = mailer_new(&settings);

	(void)state;
	mailer_opened(m, 100);
	mailer_opened(m, 100);
	mailer_opened(m, 100);
	assert_int_equal(m->sessions, 3);
	mailer_linger(m, 100);
	assert_int_equal(m->sessions, 2);
	mailer_ended(m, true);
	mailer_ended(m, false);
	assert_int_equal(m->sessions, 1);
	mailer_closed(m, 100, true);
	mailer_closed(m, 100, false);
	assert_int_equal(m->sessions, 1);
	assert_int_equal(m->active, 1);
	mailer_free(m);
}

static void mailer__refused_ehlo__is_remembered_for_a_while(void **state)
{
	struct mailer *m = mailer_new(&settings);

	(void)state;
	assert_false(mailer_helo_only(m, 0));
	assert_true(mailer_refuses_ehlo(m, 500));
	assert_false(mailer_refuses_ehlo(m, 500));
	assert_true(mailer_helo_only(m, 500 + MAILER_HELO_MS - 1));
	assert_false(mailer_helo_only(m, 500 + MAILER_HELO_MS));
	mailer_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mailer__new__copies_its_settings),
		cmocka_unit_test(mailer__new_without_memory__is_null),
		cmocka_unit_test(mailer__same__asks_all_but_the_name),
		cmocka_unit_test(mailer__pause__grows_and_stays),
		cmocka_unit_test(mailer__no_trouble__opens_up_to_maxconn),
		cmocka_unit_test(mailer__fails_again_and_again__pauses_longer),
		cmocka_unit_test(mailer__several_fail_together__are_one_failure),
		cmocka_unit_test(mailer__in_trouble__is_tried_by_one_connection_beside_the_old_ones),
		cmocka_unit_test(mailer__verdict_on_an_older_connection__ends_no_trouble),
		cmocka_unit_test(mailer__linger__makes_room_within_its_bound),
		cmocka_unit_test(mailer__the_one_that_tries_lingers__another_may_try),
		cmocka_unit_test(mailer__sessions__are_those_that_may_still_take_mails),
		cmocka_unit_test(mailer__refused_ehlo__is_remembered_for_a_while),
	};

	return cmocka_run_group_tests_name("mailer", tests, NULL, NULL);
}
