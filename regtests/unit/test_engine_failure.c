/* Unit tests of engine: mail servers that refuse, break, hang and trickle; what that costs their own alerts,
 * and that it costs others nothing.
 */
#include "engine_peer.h"

/* Ways in which a session fails, each the mailer's fault. */
static const struct failure {
	const char *name;
	enum peer_stage at;
	const char *reply, *logged;
	uint32_t ms; /* until it has failed */
} failures[] = {
	{ "connection refused", AT_CONNECT, PEER_CLOSE, "connection closed at connect", 0 },
	{ "connection hangs", AT_CONNECT, PEER_MUTE, "timeout at connect", 10000 },
	{ "closed before the greeting", AT_GREETING, PEER_CLOSE, "at greeting", 0 },
	{ "no greeting", AT_GREETING, PEER_MUTE, "at greeting", 10000 },
	{ "greeting refused", AT_GREETING, "554 go away", "at greeting: 554 go away", 0 },
	{ "too busy", AT_GREETING, "421 busy", "at greeting: 421 busy", 0 },
	{ "not SMTP", AT_GREETING, "SSH-2.0-x", "at greeting: SSH-2.0-x", 0 },
	{ "EHLO hangs", AT_EHLO, PEER_MUTE, "at EHLO", 10000 },
	{ "EHLO deferred", AT_EHLO, "450 later", "at EHLO: 450 later", 0 },
	{ "MAIL needs authentication", AT_MAIL, "530 5.7.0 who are you", "at MAIL: 530 5.7.0 who are you", 0 },
	{ "MAIL out of sequence", AT_MAIL, "503 5.5.1 what", "at MAIL: 503", 0 },
	{ "closed at MAIL", AT_MAIL, PEER_CLOSE, "at MAIL", 0 },
	{ "MAIL hangs", AT_MAIL, PEER_MUTE, "at MAIL", 10000 },
	{ "closed at RCPT", AT_RCPT, PEER_CLOSE, "at RCPT", 0 },
	{ "421 at RCPT", AT_RCPT, "421 bye", "at RCPT: 421 bye", 0 },
	{ "closed at DATA", AT_DATA, PEER_CLOSE, "at DATA", 0 },
	{ "DATA hangs", AT_DATA, PEER_MUTE, "timeout at ", 10000 }, /* RCPT's reply may not be read to its end */
	{ "closed after the dot", AT_MESSAGE, PEER_CLOSE, "at message", 0 },
	{ "hangs after the dot", AT_MESSAGE, PEER_MUTE, "at message", 300000 },
	{ "garbage after the dot", AT_MESSAGE, "what", "at message: what", 0 },
};

enum { FAILURES = sizeof(failures) / sizeof(*failures) };

/* Which of them cost an alert a try: those in which a mail was said. */
static bool charges(const struct failure *f)
{
	return f->at >= AT_MAIL;
}

static void failure__before_a_mail__puts_the_mailer_down_and_costs_no_alert_a_try(void **state)
{
	static const uint64_t pauses[] = { 0, 1000, 1000, 10000, 10000, 10000 };
	enum peer_mode mode;
	size_t i, k;

	(void)state;
	for (i = 0; i < FAILURES && !charges(&failures[i]); i++) {
		for (mode = 0; mode < PEER_MODES; mode++) {
			struct peer *p = peer_new(mode);
			struct engine_proxy *be = peer_proxy(p, "be", "a@example.com, b@example.com");
			uint64_t at = p->now;

			p->rules[0] = (struct peer_rule){ NULL, failures[i].at, NULL, failures[i].reply, 0 };
			peer_mailer(p, be, "mx1:25");
			peer_raise(p, be, 1, "one");
			peer_run(p);
			while (p->nopened < 6)
				assert_true(peer_wait(p));
			for (k = 0; k < 6; k++) {
				at += pauses[k];
				assert_int_equal(p->opened_ms[k], at);
				at += failures[i].ms;
			}
			assert_int_equal(peer_logged(p, "<4> mailers: mailer mx1:25 (mx1:25) failed: "), 1);
			assert_int_equal(peer_logged(p, "failed: "), 1); /* what is the same is said once */
			assert_int_equal(peer_logged(p, "next try in 1.0s, 1 alert queued"), 1);
			assert_int_equal(peer_logged(p, "<3> mailers: mailer mx1:25 (mx1:25) is down after 3 failures "
			                             "in a row, the last: "), 1);
			assert_int_equal(peer_logged(p, "probed every 10.0s"), 1);
			if (peer_logged(p, failures[i].logged) != 2)
				fail_msg("%s: %s", failures[i].name, p->log);
			assert_int_equal(p->nmails, 0);
			assert_int_equal(peer_stats(p).deferred + peer_stats(p).given_up, 0);

			p->rules[0].reply = NULL;
			peer_finish(p);
			assert_int_equal(p->nmails, 2);
			assert_int_equal(peer_logged(p, "up again"), 0);
			assert_true(peer_wait(p)); /* the next probe, without a mail */
			assert_int_equal(peer_logged(p, "<5> mailers: mailer mx1:25 (mx1:25) is up again after "), 1);
			assert_int_equal(engine_deadline(p->engine, p->now), UINT64_MAX);
			peer_free(p);
		}
	}
	assert_true(i > 5 && i < FAILURES);
}

static void failure__with_a_mail__costs_it_a_try(void **state)
{
	enum peer_mode mode;
	size_t i;

	(void)state;
	for (i = 0; i < FAILURES; i++) {
		for (mode = 0; mode < PEER_MODES && charges(&failures[i]); mode++) {
			struct peer *p = peer_new(mode);
			struct engine_proxy *be = peer_proxy(p, "be", "a@example.com, b@example.com");
			uint64_t at = p->now;

			p->rules[0] = (struct peer_rule){ NULL, failures[i].at, NULL, failures[i].reply, 2 };
			peer_mailer(p, be, "mx1:25");
			peer_raise(p, be, 1, "one");
			peer_finish(p);
			assert_int_equal(p->nopened, 3);
			assert_in_range(p->opened_ms[1], at + failures[i].ms + 5000, at + failures[i].ms + 6250);
			at = p->opened_ms[1] + failures[i].ms;
			assert_in_range(p->opened_ms[2], at + 10000, at + 12500);
			if (!peer_logged(p, failures[i].logged))
				fail_msg("%s: %s", failures[i].name, p->log);
			assert_int_equal(peer_logged(p, "is down"), 0);
			assert_int_equal(peer_stats(p).deferred, 4);
			assert_int_equal(peer_stats(p).accepted, 2);
			assert_int_equal(p->nmails, 2);
			peer_free(p);
		}
	}
}

static void failure__at_any_stage__delays_no_other_mailer_and_comes_back(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < FAILURES; i++) {
		struct peer *p = peer_new(PEER_NEED);
		struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");
		struct engine_proxy *other = peer_proxy(p, "other", "b@example.com");
		size_t k;

		p->rules[0] = (struct peer_rule){ "mx1:25", failures[i].at, NULL, failures[i].reply, 2 };
		peer_mailer(p, be, "mx1:25");
		peer_mailer(p, be, "mx2:25");
		peer_mailer(p, other, "mx2:25");
		for (k = 0; k < 10; k++) {
			peer_raise(p, be, k, "x");
			peer_raise(p, other, 100 + k, "y");
		}
		peer_run(p);
		assert_int_equal(peer_took(p, "mx2:25", "a@example.com", "x"), 10);
		assert_int_equal(peer_took(p, "mx2:25", "b@example.com", "y"), 10);
		peer_finish(p);
		assert_int_equal(peer_took(p, "mx1:25", "a@example.com", "x"), 10);
		assert_int_equal(peer_stats(p).given_up, 0);
		peer_free(p);
	}
}

static void failure__long_outage__is_tried_by_one_connection_and_loses_nothing(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");
	uint64_t start = p->now, i;

	(void)state;
	p->rules[0] = (struct peer_rule){ NULL, AT_GREETING, NULL, PEER_MUTE, 0 };
	peer_mailer(p, be, "mx1:25");
	for (i = 0; i < 100; i++)
		peer_raise(p, be, i, "x");
	peer_run(p);
	assert_int_equal(p->nopen, 4);
	while (p->now < start + 3 * 3600000) {
		peer_wait(p);
		assert_true(p->nopen <= 1);
	}
	/* At 11 s, at 22 s, which is the third failure, then one in 20 s. */
	assert_int_equal(p->opened_ms[4], start + 11000);
	for (i = 5; i < 60; i++)
		assert_int_equal(p->opened_ms[i], start + 22000 + (i - 5) * 20000);
	assert_int_equal(peer_stats(p).given_up, 0);
	p->rules[0].reply = NULL;
	peer_finish(p);
	assert_int_equal(p->nmails, 100);
	assert_true(p->now <= start + 3 * 3600000 + 40000);
	peer_free(p);
}

static void failure__four_break_at_once__costs_each_alert_one_try(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");
	uint64_t i;

	(void)state;
	/* Four sessions in turn take one mail, and then break with what they have taken next. */
	p->rules[0] = (struct peer_rule){ NULL, AT_MESSAGE, NULL, "250 Ok", 4 };
	p->rules[1] = (struct peer_rule){ NULL, AT_MESSAGE, NULL, "garbage", 4 };
	peer_mailer(p, be, "mx1:25");
	for (i = 0; i < 8; i++)
		peer_raise(p, be, i, "x");
	peer_finish(p);
	assert_int_equal(p->nmails, 8);
	assert_int_equal(peer_logged(p, "is down"), 0);
	assert_int_equal(peer_stats(p).deferred, 4);
	assert_int_equal(peer_stats(p).given_up, 0);
	peer_free(p);
}

/* A mail that breaks each session it is in. */
static void failure__one_mails_own__costs_the_others_a_pause_at_most(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be;
	uint64_t start = p->now, i;

	(void)state;
	p->rules[0] = (struct peer_rule){ NULL, AT_MESSAGE, "poison", PEER_CLOSE, 0 };
	p->maxconn = 1;
	p->proxy.max_age_ms = 600000;
	be = peer_proxy(p, "be", "a@example.com");
	peer_mailer(p, be, "mx1:25");
	peer_raise(p, be, 100, "poison");
	for (i = 0; i < 50; i++)
		peer_raise(p, be, i, "x");
	peer_run(p);
	peer_tick(p, start + 1000);
	assert_int_equal(p->nmails, 50); /* also what was on the way behind it */
	peer_finish(p);
	assert_int_equal(p->nmails, 50);
	assert_int_equal(peer_stats(p).given_up, 1);
	assert_int_equal(peer_logged(p, ", given up: no reply: poison"), 1);
	peer_free(p);
}

/* What was on the way behind it when the session broke. */
static void failure__one_mails_own__costs_those_behind_it_no_try(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");
	struct engine_proxy *other = peer_proxy(p, "other", "b@example.com");

	(void)state;
	p->rules[0] = (struct peer_rule){ NULL, AT_MESSAGE, "poison", PEER_CLOSE, 0 };
	p->rules[1] = (struct peer_rule){ NULL, AT_RCPT, "<b@", "450 later", 1 };
	p->maxconn = 1;
	peer_mailer(p, be, "mx1:25");
	peer_mailer(p, other, "mx1:25");
	peer_raise(p, be, 1, "poison");
	peer_raise(p, other, 2, "victim");
	peer_run(p);
	assert_int_equal(p->used[0], 1);
	assert_int_equal(p->used[1], 0);
	peer_wait(p);
	assert_int_equal(peer_logged(p, "(<b@example.com>) after 1.000s, try 1: 450 later: victim"), 1);
	peer_finish(p);
	peer_free(p);
}

static void failure__then_any_verdict__ends_the_trouble(void **state)
{
	static const char *const replies[] = { "250 Ok", "450 later", "550 never" };
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		struct peer *p = peer_new(PEER_NEED);
		struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");
		uint64_t k;

		p->rules[0] = (struct peer_rule){ NULL, AT_CONNECT, NULL, PEER_CLOSE, 1 };
		p->rules[1] = (struct peer_rule){ NULL, AT_RCPT, NULL, replies[i], 1 };
		p->rules[2] = (struct peer_rule){ NULL, AT_MESSAGE, NULL, PEER_MUTE, 0 };
		peer_mailer(p, be, "mx1:25");
		peer_raise(p, be, 100, "x");
		peer_run(p);
		for (k = 0; k < 10; k++)
			peer_raise(p, be, k, "x");
		peer_wait(p);
		assert_int_equal(p->nopen, i ? 4 : 1); /* accepted, but muted: no verdict */
		peer_tick(p, p->now + 10000);
		assert_int_equal(p->nopen, i ? 8 : 2);
		engine_free(p->engine);
	}
}

static const char *one_connection_only(struct peer *p, const char *address, enum peer_stage at)
{
	(void)address;
	return at == AT_GREETING && p->nopen > 1 ? "421 too many connections" : NULL;
}

static void failure__server_takes_one_connection_only__all_is_delivered_on_it(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");
	uint64_t start = p->now, i;

	(void)state;
	p->hook = one_connection_only;
	peer_mailer(p, be, "mx1:25");
	for (i = 0; i < 500; i++)
		peer_raise(p, be, i, "x");
	peer_run(p);
	assert_int_equal(p->nmails, 500); /* those of the connections that failed, too */
	assert_int_equal(p->now, start);
	assert_int_equal(p->nopened, 4);
	assert_int_equal(peer_logged(p, "failed: temporary failure at greeting: 421 too many connections"), 1);
	assert_int_equal(peer_logged(p, ", try "), 0);
	peer_free(p);
}

/* --- slow replies to the final dot --- */

static void final_reply__slow__holds_its_lane_alone(void **state)
{
	enum peer_mode mode;

	(void)state;
	for (mode = 0; mode < PEER_MODES; mode++) {
		struct peer *p = peer_new(mode);
		struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");
		uint64_t start = p->now, i;

		p->rules[0] = (struct peer_rule){ NULL, AT_MESSAGE, "slow", PEER_MUTE, 1 };
		peer_mailer(p, be, "mx1:25");
		peer_raise(p, be, 100, "slow");
		peer_raise(p, be, 100, "after");
		for (i = 0; i < 20; i++)
			peer_raise(p, be, i, "x");
		peer_run(p);
		peer_tick(p, start + 10000); /* one may have been on the way behind it */
		assert_int_equal(peer_took(p, NULL, NULL, "x"), 20);
		assert_int_equal(p->nopen, 1);
		assert_int_equal(engine_deadline(p->engine, p->now), start + 300000);
		peer_wait(p);
		assert_int_equal(peer_logged(p, "unknown whether accepted"), 1);
		peer_finish(p);
		assert_in_range(p->now, start + 305000, start + 306250);
		assert_int_equal(p->nmails, 22);
		assert_string_equal(p->mails[20].text, "slow");
		assert_string_equal(p->mails[21].text, "after");
		peer_free(p);
	}
}

static void final_reply__slow_ones__make_room_for_others_within_a_bound(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");
	uint64_t start = p->now, i;

	(void)state;
	p->plain = true;
	p->rules[0] = (struct peer_rule){ NULL, AT_MESSAGE, NULL, PEER_MUTE, 0 };
	peer_mailer(p, be, "mx1:25");
	for (i = 0; i < 100; i++)
		peer_raise(p, be, i, "x");
	peer_run(p);
	for (i = 0; i < 5; i++) {
		assert_int_equal(p->nopen, 4 + 4 * i);
		assert_int_equal(engine_deadline(p->engine, p->now), start + (i < 4 ? (i + 1) * 10000 : 300000));
		peer_wait(p);
	}
	assert_int_equal(p->most_open, MAILER_LINGER_MAX + MAILER_MAXCONN);
	p->rules[0].reply = NULL;
	peer_finish(p);
	assert_int_equal(p->nmails, 100);
	assert_int_equal(p->most_open, MAILER_LINGER_MAX + MAILER_MAXCONN);
	peer_free(p);
}

static void final_reply__slow__no_mail_is_taken_behind_it_while_it_is_waited_for(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");
	uint64_t start = p->now;

	(void)state;
	p->maxconn = 1;
	p->rules[0] = (struct peer_rule){ NULL, AT_MESSAGE, "slow", PEER_MUTE, 1 };
	peer_mailer(p, be, "mx1:25");
	peer_raise(p, be, 1, "slow");
	peer_run(p);
	peer_raise(p, be, 2, "two");
	assert_int_equal(engine_connect(p->engine, p->now), -1);
	peer_tick(p, start + 5000);
	assert_int_equal(engine_want(p->engine, 0), ENGINE_WANT_READ);
	assert_int_equal(engine_deadline(p->engine, p->now), start + 10000);
	peer_wait(p);
	assert_string_equal(peer_order(p, "a@example.com"), "two");
	peer_finish(p);
	assert_string_equal(peer_order(p, "a@example.com"), "two slow");
	peer_free(p);
}

/* The server of the connection in <slot> says what it owes. */
static void wake(struct peer *p, int slot)
{
	struct peer_connection *c = &p->slots[slot];

	assert_true(c->open && c->mute);
	c->mute = false;
	c->out_len = (size_t)sprintf(c->out, "250 late\r\n");
	c->mail = false;
	c->nrcpt = 0;
	peer_serve(p, c, engine_address(p->engine, slot));
	peer_run(p);
}

/* A wait that another mail's wait went before is not added to it. */
static void final_reply__one_after_another__each_wait_counts_alone(void **state)
{
	enum peer_mode mode;

	(void)state;
	for (mode = 0; mode < PEER_MODES; mode++) {
		struct peer *p = peer_new(mode);
		struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");
		uint64_t i;

		p->maxconn = 1;
		peer_mailer(p, be, "mx1:25");
		for (i = 0; i < 4; i++)
			peer_raise(p, be, i, "x");
		p->rules[0] = (struct peer_rule){ NULL, AT_MESSAGE, NULL, PEER_MUTE, 1 };
		peer_run(p);
		for (i = 0; i < 4; i++) {
			peer_tick(p, p->now + 8000);
			assert_int_equal(p->nopen, 1);
			p->used[0] = 0; /* the next one is slow, too */
			wake(p, 0);
		}
		assert_int_equal(peer_stats(p).accepted, 4);
		assert_int_equal(p->nopened, 1);
		peer_free(p);
	}
}

static void final_reply__comes_after_all__the_connection_takes_no_other_mail(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");

	(void)state;
	p->maxconn = 1;
	p->rules[0] = (struct peer_rule){ NULL, AT_MESSAGE, NULL, PEER_MUTE, 2 };
	peer_mailer(p, be, "mx1:25");
	peer_raise(p, be, 1, "slow");
	peer_run(p);
	peer_wait(p);
	peer_raise(p, be, 2, "slower"); /* in its place now */
	peer_run(p);
	peer_raise(p, be, 3, "waits");
	peer_tick(p, p->now + 1000);
	assert_int_equal(p->nopen, 2);
	wake(p, 0);
	assert_int_equal(peer_stats(p).accepted, 1);
	assert_int_equal(p->nopen, 1);
	wake(p, 1);
	assert_int_equal(peer_stats(p).accepted, 3);
	peer_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(failure__before_a_mail__puts_the_mailer_down_and_costs_no_alert_a_try),
		cmocka_unit_test(failure__with_a_mail__costs_it_a_try),
		cmocka_unit_test(failure__at_any_stage__delays_no_other_mailer_and_comes_back),
		cmocka_unit_test(failure__long_outage__is_tried_by_one_connection_and_loses_nothing),
		cmocka_unit_test(failure__four_break_at_once__costs_each_alert_one_try),
		cmocka_unit_test(failure__one_mails_own__costs_the_others_a_pause_at_most),
		cmocka_unit_test(failure__one_mails_own__costs_those_behind_it_no_try),
		cmocka_unit_test(failure__then_any_verdict__ends_the_trouble),
		cmocka_unit_test(failure__server_takes_one_connection_only__all_is_delivered_on_it),
		cmocka_unit_test(final_reply__slow__holds_its_lane_alone),
		cmocka_unit_test(final_reply__slow_ones__make_room_for_others_within_a_bound),
		cmocka_unit_test(final_reply__slow__no_mail_is_taken_behind_it_while_it_is_waited_for),
		cmocka_unit_test(final_reply__one_after_another__each_wait_counts_alone),
		cmocka_unit_test(final_reply__comes_after_all__the_connection_takes_no_other_mail),
	};

	return cmocka_run_group_tests_name("engine failure", tests, NULL, NULL);
}
