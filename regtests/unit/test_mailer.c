/* Unit tests of mailer: settings, what a failure and a success change, connections in trouble, rings. */
#include <mailers/mailer.h>

#include "unit.h"

static struct mailer_settings settings = {
	.name = "mx1", .address = "192.0.2.1:25", .helo = "lb1.example.org",
	.timeout_mail_ms = 10000, .timeout_final_ms = 300000, .timeout_quit_ms = 5000, .maxconn = 4,
	.wire = { .sni = "mx.example.org", .verifyhost = "mx.example.net" },
};

static struct mailer_session open_one(struct mailer *m)
{
	struct mailer_session s = { 0 };

	mailer_opened(m, &s);
	return s;
}

/* A session that fails at once; was it what put the mailer down? */
static bool fail_one(struct mailer *m, uint64_t now)
{
	struct mailer_session s = open_one(m);
	bool changed;

	mailer_ended(m, &s);
	changed = mailer_failed(m, &s, now);
	mailer_closed(m, &s);
	return changed;
}

/* A probe that gets through; was it what brought it up? */
static bool probe_one(struct mailer *m, uint64_t now)
{
	struct mailer_session s = open_one(m);
	bool changed = mailer_ready(m, &s, now);

	mailer_ended(m, &s);
	mailer_closed(m, &s);
	return changed;
}

/* --- settings --- */

static void mailer__new__copies_its_settings(void **state)
{
	char name[] = "mx1", address[] = "192.0.2.1:25", helo[] = "lb1.example.org";
	char sni[] = "mx.example.org", verifyhost[] = "mx.example.net";
	struct mailer_settings own = settings;
	struct mailer *m;

	(void)state;
	own.name = name;
	own.address = address;
	own.helo = helo;
	own.wire.sni = sni;
	own.wire.verifyhost = verifyhost;
	m = mailer_new(&own);
	name[0] = address[0] = helo[0] = sni[0] = verifyhost[0] = 'x';
	assert_string_equal(m->settings.name, "mx1");
	assert_string_equal(m->settings.address, "192.0.2.1:25");
	assert_string_equal(m->settings.helo, "lb1.example.org");
	assert_string_equal(m->settings.wire.sni, "mx.example.org");
	assert_string_equal(m->settings.wire.verifyhost, "mx.example.net");
	assert_int_equal(m->ring.ready + m->ring.alerts, 0);
	assert_true(mailer_same(m, &settings));
	assert_false(mailer_same(m, &own));
	mailer_free(m);
	mailer_free(NULL);
}

static void mailer__new__has_defaults_for_zeros(void **state)
{
	struct mailer_settings few = { .name = "mx1", .address = "192.0.2.1:25", .helo = "lb1" };
	struct mailer *m = mailer_new(&few);

	(void)state;
	assert_int_equal(m->settings.fall, MAILER_FALL);
	assert_int_equal(m->settings.rise, MAILER_RISE);
	assert_int_equal(m->settings.inter_ms, MAILER_INTER_MS);
	assert_int_equal(m->settings.maxconn, MAILER_MAXCONN);
	assert_int_equal(m->settings.mechanisms, SASL_ALL);
	assert_true(mailer_same(m, &few));
	assert_true(mailer_same(m, &m->settings));
	mailer_free(m);
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
	assert_int_equal(n, 8);
	mailer_free(m);
}

static void mailer__same__asks_all_but_name_and_backup(void **state)
{
	enum { N = 20 };
	struct mailer_settings other[N];
	struct mailer *m = mailer_new(&settings);
	struct mailer_settings named = settings;
	static const struct sasl_credentials credentials;
	static const struct tls_api api;
	size_t i;

	(void)state;
	named.name = "another";
	named.backup = true;
	assert_true(mailer_same(m, &named));
	for (i = 0; i < N; i++)
		other[i] = settings;
	other[0].address = "192.0.2.1:26";
	other[1].helo = "lb2.example.org";
	other[2].timeout_mail_ms++;
	other[3].timeout_final_ms++;
	other[4].timeout_quit_ms++;
	other[5].maxconn++;
	other[6].timeout_connect_ms++;
	other[7].tls = SMTP_TLS_REQUIRED;
	other[8].wire.sni = NULL;
	other[9].wire.verifyhost = "mx.example.org";
	other[10].credentials = &credentials;
	other[11].mechanisms = SASL_BIT(SASL_PLAIN);
	other[12].auth_without_tls = true;
	other[13].without = SMTP_CLIENT_NO_CHUNKING;
	other[14].fall = 4;
	other[15].rise = 3;
	other[16].inter_ms = 1;
	other[17].wire.api = &api;
	other[18].wire.context = (void *)&api;
	other[19].wire.verifyhost = NULL;
	for (i = 0; i < N; i++)
		assert_false(mailer_same(m, &other[i]));
	mailer_free(m);
}

/* --- health --- */

static void mailer__no_trouble__opens_up_to_maxconn(void **state)
{
	struct mailer *m = mailer_new(&settings);
	struct mailer_session s[4];
	unsigned n;

	(void)state;
	for (n = 0; n < 4; n++) {
		assert_true(mailer_may_connect(m, 100));
		s[n] = open_one(m);
	}
	assert_false(mailer_may_connect(m, 100));
	mailer_ended(m, &s[0]);
	mailer_closed(m, &s[0]);
	assert_true(mailer_may_connect(m, 100));
	assert_int_equal(m->active, 3);
	mailer_free(m);
}

static void mailer__fails_in_a_row__is_down_then_probed(void **state)
{
	struct mailer *m = mailer_new(&settings);
	uint64_t now = 50;
	unsigned i;

	(void)state;
	for (i = 1; i <= 5; i++) {
		assert_true(mailer_may_connect(m, now));
		assert_int_equal(fail_one(m, now + 7), i == 3);
		assert_int_equal(mailer_usable(m), i < 3);
		assert_int_equal(m->state, i < 3 ? MAILER_FAILING : MAILER_DOWN);
		assert_int_equal(mailer_pause(m, now + 7), i < 3 ? 1000 : 10000);
		now += 7 + (i < 3 ? 1000 : 10000);
		assert_false(mailer_may_connect(m, now - 1));
	}
	assert_int_equal(m->failures, 5);
	assert_false(probe_one(m, now));
	assert_int_equal(m->state, MAILER_DOWN);
	assert_false(mailer_may_connect(m, now + 9999));
	now += 10000;
	assert_false(fail_one(m, now)); /* not in a row */
	now += 10000;
	assert_false(probe_one(m, now));
	now += 10000;
	assert_true(probe_one(m, now));
	assert_int_equal(m->state, MAILER_UP);
	assert_int_equal(m->since_ms, now);
	assert_int_equal(m->failures, 0);
	assert_true(mailer_may_connect(m, now));
	assert_false(fail_one(m, now)); /* from the start again */
	assert_int_equal(m->state, MAILER_FAILING);
	mailer_free(m);
}

static void mailer__fall_and_rise_of_one__take_effect_at_once(void **state)
{
	struct mailer_settings own = settings;
	struct mailer *m;

	(void)state;
	own.fall = own.rise = 1;
	own.inter_ms = 300;
	m = mailer_new(&own);
	assert_true(fail_one(m, 100));
	assert_false(mailer_may_connect(m, 399));
	assert_true(mailer_may_connect(m, 400));
	assert_true(probe_one(m, 400));
	assert_true(mailer_usable(m));
	mailer_free(m);
}

static void mailer__several_fail_together__are_one_failure(void **state)
{
	struct mailer *m = mailer_new(&settings);
	struct mailer_session s[3];
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++)
		s[i] = open_one(m);
	for (i = 0; i < 3; i++)
		mailer_ended(m, &s[i]);
	mailer_failed(m, &s[0], 1000);
	assert_int_equal(mailer_pause(m, 1000), 1000);
	mailer_failed(m, &s[1], 1400);
	assert_int_equal(mailer_pause(m, 1400), 600);
	mailer_failed(m, &s[2], 2500); /* after the pause, but it is from before */
	assert_int_equal(m->failures, 1);
	assert_int_equal(mailer_pause(m, 2500), 0);
	mailer_free(m);
}

static void mailer__in_trouble__is_tried_by_one_connection_beside_the_old_ones(void **state)
{
	struct mailer *m = mailer_new(&settings);
	struct mailer_session old = open_one(m), s = open_one(m); /* <old> goes on */

	(void)state;
	mailer_ended(m, &s);
	mailer_failed(m, &s, 300);
	mailer_closed(m, &s);
	assert_false(mailer_may_connect(m, 1299));
	assert_true(mailer_may_connect(m, 1300));
	s = open_one(m);
	assert_false(mailer_may_connect(m, 1300));
	mailer_ended(m, &old);
	mailer_closed(m, &old);
	assert_false(mailer_may_connect(m, 5000));
	mailer_ended(m, &s); /* no verdict, no failure: the next may try */
	mailer_closed(m, &s);
	assert_true(mailer_may_connect(m, 5000));
	s = open_one(m);
	mailer_ready(m, &s, 5000);
	assert_int_equal(m->state, MAILER_FAILING); /* that it lets us in is not enough: it may not take mails */
	mailer_works(m, &s);
	assert_int_equal(m->state, MAILER_UP);
	assert_true(mailer_may_connect(m, 5000));
	mailer_free(m);
}

static void mailer__old_ones_work__is_not_down(void **state)
{
	struct mailer *m = mailer_new(&settings);
	struct mailer_session old = open_one(m);
	uint64_t now;

	(void)state;
	mailer_ready(m, &old, 50);
	for (now = 100; now < 20000; now += 1000) { /* "421 too many connections" */
		assert_true(mailer_may_connect(m, now));
		assert_false(fail_one(m, now));
		mailer_works(m, &old);
		assert_false(mailer_may_connect(m, now));
		assert_false(mailer_may_connect(m, now + 999));
	}
	assert_int_equal(m->state, MAILER_FAILING);
	assert_int_equal(m->failures, 0);
	mailer_ended(m, &old);
	for (now = 0; now < 2; now++)
		assert_false(fail_one(m, 30000 + now * 1000));
	assert_true(fail_one(m, 32000));
	mailer_free(m);
}

static void mailer__down__verdict_or_success_of_an_older_connection_is_none(void **state)
{
	struct mailer *m = mailer_new(&settings);
	struct mailer_session old = open_one(m);

	(void)state;
	fail_one(m, 0);
	fail_one(m, 1000);
	assert_true(fail_one(m, 2000));
	assert_false(mailer_ready(m, &old, 3000));
	mailer_works(m, &old);
	assert_int_equal(m->state, MAILER_DOWN);
	assert_int_equal(m->successes, 0);
	mailer_ended(m, &old);
	assert_false(mailer_failed(m, &old, 4000));
	assert_int_equal(mailer_pause(m, 4000), 8000);
	mailer_free(m);
}

/* A probe that takes a mail goes on beside the next probe; if it fails then, the row is broken. */
static void mailer__probe_goes_on__the_next_comes_beside_it(void **state)
{
	struct mailer *m = mailer_new(&settings);
	struct mailer_session probe;

	(void)state;
	fail_one(m, 0);
	fail_one(m, 1000);
	fail_one(m, 2000);
	probe = open_one(m);
	assert_false(mailer_may_connect(m, 12000));
	assert_false(mailer_ready(m, &probe, 12000));
	assert_false(mailer_may_connect(m, 21999));
	assert_true(mailer_may_connect(m, 22000));
	mailer_ended(m, &probe);
	assert_false(mailer_failed(m, &probe, 21000));
	mailer_closed(m, &probe);
	assert_false(mailer_may_connect(m, 30999));
	assert_false(probe_one(m, 31000));
	assert_true(probe_one(m, 41000));
	assert_int_equal(m->active, 0);
	mailer_free(m);
}

static void mailer__short_of_memory__pauses_and_blames_nobody(void **state)
{
	struct mailer *m = mailer_new(&settings);

	(void)state;
	mailer_faltered(m, 100);
	assert_int_equal(m->state, MAILER_UP);
	assert_false(mailer_may_connect(m, 1099));
	assert_true(mailer_may_connect(m, 1100));
	fail_one(m, 2000);
	fail_one(m, 2000);
	fail_one(m, 2000);
	mailer_faltered(m, 2000);
	assert_int_equal(mailer_pause(m, 2000), 10000);
	mailer_free(m);
}

static void mailer__suspended_or_hurried__connects_never_or_each_second(void **state)
{
	struct mailer *m = mailer_new(&settings);
	size_t i;

	(void)state;
	m->suspended = true;
	assert_false(mailer_may_connect(m, 100));
	assert_false(mailer_usable(m));
	m->suspended = false;
	assert_true(mailer_may_connect(m, 100));
	m->hurried = true;
	for (i = 0; i < 5; i++)
		fail_one(m, 100 + i);
	assert_int_equal(m->state, MAILER_DOWN);
	assert_int_equal(mailer_pause(m, 104), 1000);
	mailer_hurry(m);
	assert_true(mailer_may_connect(m, 104));
	mailer_free(m);
}

/* --- connections --- */

static void mailer__linger__makes_room_within_its_bound(void **state)
{
	struct mailer_session s[MAILER_LINGER_MAX], more[4];
	struct mailer *m = mailer_new(&settings);
	unsigned n;

	(void)state;
	for (n = 0; n < MAILER_LINGER_MAX; n++) {
		s[n] = open_one(m);
		assert_true(mailer_linger(m, &s[n]));
		assert_int_equal(m->active, 0);
	}
	for (n = 0; n < 4; n++)
		more[n] = open_one(m);
	assert_false(mailer_linger(m, &more[0]));
	assert_int_equal(m->active, 4);
	assert_false(mailer_may_connect(m, 300));
	mailer_ended(m, &s[0]);
	mailer_closed(m, &s[0]);
	assert_int_equal(m->lingering, MAILER_LINGER_MAX - 1);
	assert_true(mailer_linger(m, &more[0]));
	assert_true(mailer_may_connect(m, 300));
	mailer_free(m);
}

static void mailer__the_one_that_tries_lingers__another_may_try(void **state)
{
	struct mailer *m = mailer_new(&settings);
	struct mailer_session s, next;

	(void)state;
	fail_one(m, 100);
	s = open_one(m);
	assert_false(mailer_may_connect(m, 20000));
	assert_true(mailer_linger(m, &s));
	assert_true(mailer_may_connect(m, 20000));
	next = open_one(m);
	mailer_closed(m, &s);
	assert_false(mailer_may_connect(m, 20000));
	mailer_ended(m, &next);
	mailer_closed(m, &next);
	mailer_free(m);
}

static void mailer__sessions__are_those_that_may_still_take_mails(void **state)
{
	struct mailer *m = mailer_new(&settings);
	struct mailer_session a = open_one(m), b = open_one(m), c = open_one(m);

	(void)state;
	assert_int_equal(m->sessions, 3);
	mailer_ready(m, &a, 100);
	mailer_ready(m, &b, 100);
	mailer_ready(m, &b, 100);
	assert_int_equal(m->ready, 2);
	mailer_linger(m, &a);
	assert_int_equal(m->sessions, 2);
	assert_int_equal(m->ready, 1);
	mailer_ended(m, &a);
	mailer_ended(m, &b);
	mailer_ended(m, &b);
	assert_int_equal(m->sessions, 1);
	assert_int_equal(m->ready, 0);
	mailer_ready(m, &b, 100);
	assert_int_equal(m->ready, 0);
	mailer_closed(m, &a);
	mailer_closed(m, &b);
	assert_int_equal(m->active, 1);
	mailer_ended(m, &c);
	mailer_closed(m, &c);
	assert_int_equal(m->active + m->lingering + m->sessions, 0);
	mailer_free(m);
}

static void mailer__refused_ehlo__is_remembered_for_a_while(void **state)
{
	static const struct sasl_credentials credentials;
	struct mailer_settings own = settings;
	struct mailer *m = mailer_new(&settings);
	size_t i;

	(void)state;
	assert_false(mailer_helo_only(m, 0));
	assert_true(mailer_refuses_ehlo(m, 500));
	assert_false(mailer_refuses_ehlo(m, 500));
	assert_true(mailer_helo_only(m, 500 + MAILER_HELO_MS - 1));
	assert_false(mailer_helo_only(m, 500 + MAILER_HELO_MS));
	mailer_free(m);
	for (i = 0; i < 2; i++) { /* without EHLO neither STARTTLS nor AUTH */
		own.tls = i ? SMTP_TLS_OPPORTUNISTIC : SMTP_TLS_REQUIRED;
		own.credentials = i ? &credentials : NULL;
		m = mailer_new(&own);
		mailer_refuses_ehlo(m, 500);
		assert_false(mailer_helo_only(m, 501));
		mailer_free(m);
	}
}

/* --- TLS and tokens --- */

static void mailer__tls_could_not_be_had__one_goes_without_soon(void **state)
{
	struct mailer_settings own = settings;
	struct mailer *m;

	(void)state;
	own.tls = SMTP_TLS_OPPORTUNISTIC;
	m = mailer_new(&own);
	assert_int_equal(mailer_tls(m, 100), SMTP_TLS_OPPORTUNISTIC);
	assert_true(mailer_goes_plain(m, 100));
	assert_false(mailer_goes_plain(m, 100));
	assert_int_equal(mailer_tls(m, 100), SMTP_TLS_NONE);
	assert_int_equal(mailer_tls(m, 5099), SMTP_TLS_NONE);
	assert_int_equal(mailer_tls(m, 5099), SMTP_TLS_OPPORTUNISTIC);
	mailer_goes_plain(m, 6000);
	mailer_goes_plain(m, 6000);
	assert_int_equal(mailer_tls(m, 11000), SMTP_TLS_OPPORTUNISTIC); /* nobody came */
	assert_false(mailer_goes_plain(m, 12000));
	assert_int_equal(mailer_tls(m, 12000), SMTP_TLS_NONE);
	assert_int_equal(mailer_tls(m, 12000), SMTP_TLS_OPPORTUNISTIC);
	assert_true(mailer_goes_plain(m, 100 + MAILER_PLAIN_MS));
	mailer_free(m);
}

static void mailer__token_set__lives_as_long_as_a_session_uses_it(void **state)
{
	static const struct sasl_credentials credentials = { .user = "me", .token = "first", .host = "mx", .port = 25 };
	struct mailer_settings own = settings;
	const struct sasl_credentials *used, *later;
	struct mailer_token *token, *other;
	struct mailer *m;

	(void)state;
	own.credentials = &credentials;
	m = mailer_new(&own);
	assert_ptr_equal(mailer_credentials(m, &token), &credentials);
	assert_null(token);
	mailer_token_release(token);
	unit_fail_at(0);
	assert_false(mailer_token_set(m, "second"));
	assert_true(unit_failed());
	assert_true(mailer_token_set(m, "second"));
	used = mailer_credentials(m, &token);
	assert_true(mailer_token_set(m, "third"));
	later = mailer_credentials(m, &other);
	mailer_free(m);
	assert_string_equal(used->token, "second");
	assert_string_equal(later->token, "third");
	assert_string_equal(later->user, "me");
	assert_int_equal(later->port, 25);
	mailer_token_release(token);
	mailer_token_release(other);
}

/* --- rings --- */

static void mailer__rings__take_turns(void **state)
{
	struct mailer *m = mailer_new(&settings);
	struct queue_ring a, b;
	size_t i;

	(void)state;
	queue_ring_init(&a);
	queue_ring_init(&b);
	mailer_ring_add(m, &a); /* no room was made */
	assert_int_equal(m->nrings, 1);
	unit_fail_at(0);
	assert_false(mailer_reserve(m, 1));
	assert_true(unit_failed());
	assert_true(mailer_reserve(m, 1));
	assert_true(mailer_reserve(m, 1));
	mailer_ring_add(m, &a);
	mailer_ring_add(m, &b);
	assert_false(mailer_has_work(m));
	assert_null(mailer_next_ring(m));
	a.ready = m->ring.ready = 1;
	assert_true(mailer_has_work(m));
	for (i = 0; i < 3; i++) {
		assert_ptr_equal(mailer_next_ring(m), &m->ring);
		assert_ptr_equal(mailer_next_ring(m), &a);
	}
	b.ready = 1;
	assert_ptr_equal(mailer_next_ring(m), &b);
	mailer_rings(m);
	assert_ptr_equal(mailer_next_ring(m), &m->ring);
	m->ring.ready = 0;
	assert_null(mailer_next_ring(m));
	mailer_free(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mailer__new__copies_its_settings),
		cmocka_unit_test(mailer__new__has_defaults_for_zeros),
		cmocka_unit_test(mailer__new_without_memory__is_null),
		cmocka_unit_test(mailer__same__asks_all_but_name_and_backup),
		cmocka_unit_test(mailer__no_trouble__opens_up_to_maxconn),
		cmocka_unit_test(mailer__fails_in_a_row__is_down_then_probed),
		cmocka_unit_test(mailer__fall_and_rise_of_one__take_effect_at_once),
		cmocka_unit_test(mailer__several_fail_together__are_one_failure),
		cmocka_unit_test(mailer__in_trouble__is_tried_by_one_connection_beside_the_old_ones),
		cmocka_unit_test(mailer__old_ones_work__is_not_down),
		cmocka_unit_test(mailer__down__verdict_or_success_of_an_older_connection_is_none),
		cmocka_unit_test(mailer__probe_goes_on__the_next_comes_beside_it),
		cmocka_unit_test(mailer__short_of_memory__pauses_and_blames_nobody),
		cmocka_unit_test(mailer__suspended_or_hurried__connects_never_or_each_second),
		cmocka_unit_test(mailer__linger__makes_room_within_its_bound),
		cmocka_unit_test(mailer__the_one_that_tries_lingers__another_may_try),
		cmocka_unit_test(mailer__sessions__are_those_that_may_still_take_mails),
		cmocka_unit_test(mailer__refused_ehlo__is_remembered_for_a_while),
		cmocka_unit_test(mailer__tls_could_not_be_had__one_goes_without_soon),
		cmocka_unit_test(mailer__token_set__lives_as_long_as_a_session_uses_it),
		cmocka_unit_test(mailer__rings__take_turns),
	};

	return cmocka_run_group_tests_name("mailer", tests, NULL, NULL);
}
