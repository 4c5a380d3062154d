/* Unit tests of engine: alerts in, mails out, over servers in memory; settings, recipients, verdicts, order,
 * connections. Bounds and the log are in test_engine_log.c, failures of the mailer in test_engine_failure.c,
 * many random ones in test_engine_model.c, hosts and memory in test_engine_host.c.
 */
#include "engine_peer.h"

/* --- settings --- */

static const struct engine_proxy_settings good_proxy = {
	.name = "be", .from = "haproxy@example.org", .to = "ops@example.org", .level = ALERT_LEVEL_ALERT,
};

static const struct mailer_settings good_mailer = {
	.name = "mx1", .address = "192.0.2.1:25", .helo = "lb1.example.org",
	.timeout_mail_ms = 10000, .timeout_final_ms = 300000, .timeout_quit_ms = 5000, .maxconn = 4,
};

static void settings__bad_address__reason_names_proxy_key_and_remedy(void **state)
{
	static char deep[2000];
	static const struct { const char *from, *to, *key, *fault; } table[] = {
		{ "", "ops@example.org", "email-alert from:", "write" },
		{ "a@example.org, b@example.org", "ops@example.org", "email-alert from:", "2 addresses" },
		{ "<>", "ops@example.org", "email-alert from:", "write" },
		{ "haproxy@", "ops@example.org", "email-alert from:", "write user@example.com" },
		{ "haproxy@example.org", "", "email-alert to:", "write at least one" },
		{ "haproxy@example.org", "ops@example.org, @", "email-alert to:", "write" },
		{ "haproxy@example.org", deep, "email-alert to:", "xn-- form" }, /* the longest, uncut */
	};
	struct engine *e = engine_new(&(struct engine_settings){ .token = "token" });
	char reason[ENGINE_REASON_MAX];
	struct engine_proxy *proxy;
	size_t i;

	(void)state;
	memset(deep, 0xe9, 500);
	strcpy(deep + 500, "@example.org");
	for (i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct engine_proxy_settings settings = good_proxy;
		enum mailers_error error;

		settings.from = table[i].from;
		settings.to = table[i].to;
		error = engine_proxy_add(e, &settings, &proxy, reason);
		assert_true(error == MAILERS_ERR_SYNTAX || error == MAILERS_ERR_BOUND);
		assert_ptr_equal(strstr(reason, "proxy be: "), reason);
		assert_non_null(strstr(reason, table[i].key));
		assert_non_null(strstr(reason, table[i].fault));
	}
	assert_int_equal(engine_proxy_add(e, &good_proxy, &proxy, reason), MAILERS_OK);
	assert_string_equal(reason, "");
	assert_string_equal(engine_proxy_name(proxy), "be");
	engine_free(e);
}

static void settings__bad_helo__reason_names_proxy_key_and_remedy(void **state)
{
	static char longest[257];
	static const char *const bad[] = { "", "lb 1", "lb\n", "lb1>", "lb\x80", "a@b", longest };
	struct engine *e = engine_new(&(struct engine_settings){ .token = "token" });
	struct mailer_settings settings = good_mailer;
	char reason[ENGINE_REASON_MAX];
	struct engine_proxy *proxy;
	size_t i;

	(void)state;
	memset(longest, 'x', 256);
	assert_int_equal(engine_proxy_add(e, &good_proxy, &proxy, reason), MAILERS_OK);
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		settings.helo = bad[i];
		assert_int_equal(engine_proxy_mailer(e, proxy, &settings, reason), MAILERS_ERR_SYNTAX);
		assert_ptr_equal(strstr(reason, "proxy be: "), reason);
		assert_non_null(strstr(reason, "email-alert myhostname"));
		assert_non_null(strstr(reason, "lb1.example.org"));
	}
	longest[255] = '\0';
	settings.helo = longest;
	assert_int_equal(engine_proxy_mailer(e, proxy, &settings, reason), MAILERS_OK);
	settings.helo = "[192.0.2.7]";
	assert_int_equal(engine_proxy_mailer(e, proxy, &settings, reason), MAILERS_OK);
	assert_string_equal(reason, "");
	engine_free(e);
	engine_free(NULL);
}

static void settings__allocation_fails__says_so_and_leaks_nothing(void **state)
{
	char reason[ENGINE_REASON_MAX];
	struct engine_proxy *proxy;
	bool failed = true;
	long n;

	(void)state;
	for (n = 0; failed; n++) {
		enum mailers_error error;
		struct engine *e;

		unit_fail_at(n);
		e = engine_new(&(struct engine_settings){ .token = "token" });
		error = e ? engine_proxy_add(e, &good_proxy, &proxy, reason) : MAILERS_ERR_NOMEM;
		if (!error)
			error = engine_proxy_mailer(e, proxy, &good_mailer, reason);
		if (!error)
			error = engine_proxy_ready(e, proxy, reason);
		failed = unit_failed();
		assert_int_equal(error, failed ? MAILERS_ERR_NOMEM : MAILERS_OK);
		if (e && error)
			assert_non_null(strstr(reason, "out of memory"));
		engine_free(e);
	}
	assert_true(n > 10);
}

static void raise__level__decides_what_is_mailed(void **state)
{
	struct engine *e = engine_new(&(struct engine_settings){ .token = "token" });
	struct engine_proxy_settings settings = good_proxy;
	char reason[ENGINE_REASON_MAX];
	struct engine_stats stats;
	struct engine_proxy *proxy;
	enum alert_level level;

	(void)state;
	settings.level = ALERT_LEVEL_NOTICE;
	assert_int_equal(engine_proxy_add(e, &settings, &proxy, reason), MAILERS_OK);
	assert_int_equal(engine_proxy_mailer(e, proxy, &good_mailer, reason), MAILERS_OK);
	for (level = ALERT_LEVEL_EMERG; level <= ALERT_LEVEL_DEBUG; level++) {
		struct alert_text what = { .level = level };

		assert_int_equal(engine_proxy_wants(proxy, level), level <= ALERT_LEVEL_NOTICE);
		assert_int_equal(engine_raise(e, proxy, 1, "be/s1", &what, "x", 1, "", 1), MAILERS_OK);
	}
	engine_stats(e, &stats);
	assert_int_equal(stats.raised, 6);
	assert_int_equal(stats.queued, 6);
	engine_free(e);
}

/* --- verdicts --- */

static void engine__two_mailers__each_gets_a_copy(void **state)
{
	enum peer_mode mode;

	(void)state;
	for (mode = 0; mode < PEER_MODES; mode++) {
		struct peer *p = peer_new(mode);
		struct engine_proxy *be = peer_proxy(p, "be", "a@example.com, b@example.com");

		peer_mailer(p, be, "mx1:25");
		peer_mailer(p, be, "mx2:25");
		assert_int_equal(peer_raise(p, be, 1, "one"), MAILERS_OK);
		assert_true(engine_busy(p->engine));
		peer_run(p);
		assert_int_equal(p->nmails, 4);
		assert_int_equal(peer_took(p, "mx1:25", "a@example.com", "one"), 1);
		assert_int_equal(peer_took(p, "mx1:25", "b@example.com", "one"), 1);
		assert_int_equal(peer_took(p, "mx2:25", "a@example.com", "one"), 1);
		assert_int_equal(peer_took(p, "mx2:25", "b@example.com", "one"), 1);
		assert_int_equal(p->nopened, 2); /* one mail each, for both recipients */
		assert_int_equal(peer_stats(p).raised, 2);
		assert_int_equal(peer_stats(p).accepted, 4);
		assert_int_equal(engine_deadline(p->engine, p->now), UINT64_MAX);
		peer_free(p);
	}
}

static void recipient__one_refused__the_others_get_the_mail(void **state)
{
	enum peer_mode mode;
	bool plain;

	(void)state;
	for (mode = 0; mode < PEER_MODES; mode++) {
		for (plain = false; ; plain = true) {
			struct peer *p = peer_new(mode);
			struct engine_proxy *be;

			be = peer_proxy(p, "be", "a@example.com, b@example.com, c@example.com");
			p->plain = plain;
			p->rules[0] = (struct peer_rule){ NULL, AT_RCPT, "<b@", "550 5.1.1 no such user", 0 };
			peer_mailer(p, be, "mx1:25");
			peer_raise(p, be, 1, "one");
			peer_raise(p, be, 1, "two");
			peer_run(p);
			assert_string_equal(peer_order(p, "a@example.com"), "one two");
			assert_string_equal(peer_order(p, "b@example.com"), "");
			assert_string_equal(peer_order(p, "c@example.com"), "one two");
			assert_int_equal(peer_stats(p).refused, 2);
			assert_int_equal(peer_logged(p, "refused at RCPT for 1 recipient (<b@example.com>) after "
			                             "0.000s, try 1: 550 5.1.1 no such user: one"), 1);
			assert_int_equal(p->nopened, 1);
			peer_free(p);
			if (plain)
				break;
		}
	}
}

static void recipient__deferred__is_tried_again_while_the_others_go_on(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com, b@example.com");
	uint64_t start = p->now;

	(void)state;
	p->rules[0] = (struct peer_rule){ NULL, AT_RCPT, "<b@", "451 4.7.1 greylisted", 2 };
	peer_mailer(p, be, "mx1:25");
	peer_raise(p, be, 1, "one");
	peer_raise(p, be, 1, "two");
	peer_raise(p, be, 2, "other");
	peer_run(p);
	assert_int_equal(peer_took(p, NULL, "a@example.com", NULL), 3);
	assert_int_equal(peer_took(p, NULL, "b@example.com", NULL), 0); /* "other" was deferred, too */
	assert_in_range(engine_deadline(p->engine, p->now), start + 5000, start + 6250);
	assert_true(engine_busy(p->engine));
	peer_tick(p, start + 4999);
	assert_int_equal(peer_took(p, NULL, "b@example.com", NULL), 0);
	peer_tick(p, start + 6250);
	assert_int_equal(peer_took(p, NULL, "b@example.com", NULL), 3);
	assert_int_equal(peer_logged(p, "deferred at RCPT for 1 recipient (<b@example.com>) after 0.000s, "
	                             "try 1: 451 4.7.1 greylisted: one"), 1);
	assert_int_equal(peer_stats(p).deferred, 2);
	peer_free(p);
}

static void recipient__always_deferred__is_tried_less_and_less_until_its_time_is_over(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be;
	uint64_t start = p->now, last = p->now, pause = 5000;
	size_t tries = 1;

	(void)state;
	p->proxy.max_age_ms = 3600000;
	be = peer_proxy(p, "be", "a@example.com, b@example.com");
	p->rules[0] = (struct peer_rule){ NULL, AT_RCPT, "<b@", "450 4.2.1 full", 0 };
	p->rules[1] = (struct peer_rule){ NULL, AT_RCPT, "<c@", "550 unused", 0 };
	peer_mailer(p, be, "mx1:25");
	peer_raise(p, be, 1, "one");
	peer_run(p);
	p->rules[0].times = 0;
	while (engine_busy(p->engine)) {
		assert_true(peer_wait(p));
		assert_int_equal(p->used[0], ++tries); /* nothing but its tries wakes the host */
		assert_in_range(p->now - last, pause, pause + pause / 4);
		last = p->now;
		pause = pause < 480000 ? pause * 2 : pause;
		pause = pause > 480000 ? 480000 : pause;
	}
	assert_in_range(tries, 11, 14);
	assert_in_range(p->now, start + 3600000 - 600000, start + 3600000);
	assert_string_equal(peer_order(p, "a@example.com"), "one");
	assert_int_equal(peer_stats(p).given_up, 1);
	assert_int_equal(peer_stats(p).deferred, tries - 1);
	assert_int_equal(peer_logged(p, "<4> mailers: be/s1 via mx1:25 (mx1:25): deferred at RCPT for 1 "
	                             "recipient (<b@example.com>) after "), tries - 1);
	assert_int_equal(peer_logged(p, "<3> mailers: be/s1 via mx1:25 (mx1:25): deferred at RCPT for 1 "
	                             "recipient (<b@example.com>) after 3"), 1);
	assert_int_equal(peer_logged(p, ", given up: 450 4.2.1 full: one"), 1);
	peer_free(p);
}

static void recipient__gives_up__its_lane_goes_on(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be;

	(void)state;
	p->proxy.max_age_ms = 14000;
	be = peer_proxy(p, "be", "a@example.com, b@example.com");
	p->rules[0] = (struct peer_rule){ NULL, AT_RCPT, "<b@", "450 4.2.1 full", 2 };
	peer_mailer(p, be, "mx1:25");
	peer_raise(p, be, 1, "one");
	peer_raise(p, be, 1, "two");
	peer_finish(p); /* the second pause would end too late */
	assert_string_equal(peer_order(p, "a@example.com"), "one two");
	assert_string_equal(peer_order(p, "b@example.com"), "two");
	assert_int_equal(peer_logged(p, ", try 2, given up: 450 4.2.1 full: one"), 1);
	peer_free(p);
}

/* Behind a head that waits for its next try, and never tried itself. */
static void recipient__never_tried__is_given_up_when_its_time_is_over(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be;
	uint64_t start = p->now;

	(void)state;
	p->proxy.max_age_ms = 8000;
	be = peer_proxy(p, "be", "a@example.com, b@example.com");
	p->rules[0] = (struct peer_rule){ NULL, AT_CONNECT, NULL, PEER_MUTE, 0 };
	peer_mailer(p, be, "mx1:25");
	peer_raise(p, be, 1, "one");
	peer_run(p);
	p->now += 500;
	peer_raise(p, be, 1, "two");
	peer_tick(p, start + 8499);
	assert_int_equal(peer_stats(p).given_up, 0); /* the first is on a connection */
	peer_tick(p, start + 9499); /* looked at once a second */
	assert_int_equal(peer_stats(p).given_up, 2);
	assert_int_equal(peer_logged(p, "<3> mailers: be/s1 via mx1:25 (mx1:25): not sent for 2 recipients "
	                             "(<a@example.com>, <b@example.com>) after 8.999s, given up: its time is "
	                             "over: two"), 1);
	peer_tick(p, start + 10000);
	peer_wait(p);
	assert_int_equal(peer_stats(p).given_up, 4);
	assert_int_equal(peer_logged(p, "given up: timeout at connect: one"), 1);
	peer_free(p);
}

static void mail__refused__is_final_and_no_fault_of_the_mailer(void **state)
{
	static const struct { enum peer_stage at; const char *reply, *line; } table[] = {
		{ AT_MAIL, "550 5.1.0 no", "refused at MAIL for 2 recipients (<a@example.com>, <b@example.com>) after" },
		{ AT_RCPT, "550 5.1.0 no", "refused at RCPT for 2 recipients (<a@example.com>, <b@example.com>) after" },
		{ AT_DATA, "554 5.6.0 no", "refused at DATA for 2 recipients (<a@example.com>, <b@example.com>) after" },
		{ AT_MESSAGE, "554 5.6.0 no", "refused at message for 2 recipients (<a@example.com>, <b@example.com>) after" },
	};
	enum peer_mode mode;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(*table); i++) {
		for (mode = 0; mode < PEER_MODES; mode++) {
			struct peer *p = peer_new(mode);
			struct engine_proxy *be = peer_proxy(p, "be", "a@example.com, b@example.com");

			p->rules[0] = (struct peer_rule){ NULL, table[i].at, NULL, table[i].reply,
				                          table[i].at == AT_RCPT ? 2 : 1 };
			peer_mailer(p, be, "mx1:25");
			peer_raise(p, be, 1, "one");
			peer_raise(p, be, 1, "two");
			peer_run(p);
			assert_string_equal(peer_order(p, "a@example.com"), "two");
			assert_int_equal(peer_stats(p).refused, 2);
			assert_int_equal(peer_logged(p, table[i].line), 1);
			assert_int_equal(peer_logged(p, "failed"), 0);
			peer_free(p);
		}
	}
}

static void log__accepted_mail__is_one_line_with_all_that_matters(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com, b@example.com");

	(void)state;
	p->rules[0] = (struct peer_rule){ NULL, AT_MESSAGE, NULL, "250 2.0.0 queued as \x01", 0 };
	peer_mailer(p, be, "mx1:25");
	peer_raise(p, be, 1, "one");
	p->now += 1234;
	peer_run(p);
	assert_string_equal(p->log, "<6> mailers: be/s1 via mx1:25 (mx1:25): accepted for 2 recipients after "
	                            "1.234s: 250 2.0.0 queued as \\x01\n");
	peer_free(p);
}

static void message_id__retries_and_recipients__is_the_same(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com, b@example.com");
	size_t i, k;

	(void)state;
	p->rules[0] = (struct peer_rule){ NULL, AT_MESSAGE, "one", PEER_TAKE_CLOSE, 1 };
	p->rules[1] = (struct peer_rule){ NULL, AT_RCPT, "<b@", "450 later", 1 };
	peer_mailer(p, be, "mx1:25");
	peer_raise(p, be, 1, "one");
	peer_raise(p, be, 2, "two");
	peer_finish(p);
	assert_int_equal(peer_took(p, NULL, "a@example.com", "one"), 2); /* the server alone knew of the first */
	assert_int_equal(p->nmails, 5);
	for (i = 0; i < p->nmails; i++) {
		const struct peer_mail *m = &p->mails[i];

		for (k = 0; k < p->nmails; k++)
			assert_int_equal(!strcmp(m->id, p->mails[k].id), !strcmp(m->text, p->mails[k].text));
		assert_non_null(strstr(m->id, ".token@lb1.example.org"));
	}
	assert_int_equal(peer_logged(p, "unknown whether accepted at message for 1 recipient (<a@"), 1);
	peer_free(p);
}

/* --- connections --- */

static void connections__burst__are_at_most_maxconn_and_only_while_there_is_work(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");
	uint64_t i;

	(void)state;
	peer_mailer(p, be, "mx1:25");
	peer_run(p);
	assert_int_equal(p->nopened, 0);
	for (i = 0; i < 200; i++)
		peer_raise(p, be, i, "x");
	peer_run(p);
	assert_int_equal(p->nmails, 200);
	assert_int_equal(p->most_open, 4);
	assert_int_equal(p->nopened, 4); /* each carried many */
	peer_raise(p, be, 1, "y");
	peer_run(p);
	assert_int_equal(p->nopened, 5);
	peer_free(p);
}

static void connections__two_proxies_of_one_mailer__share_and_take_turns(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *big = peer_proxy(p, "big", "a@example.com");
	struct engine_proxy *small = peer_proxy(p, "small", "b@example.com");
	uint64_t i;

	(void)state;
	peer_mailer(p, big, "mx1:25");
	peer_mailer(p, small, "mx1:25");
	for (i = 0; i < 500; i++)
		peer_raise(p, big, i, "big");
	peer_raise(p, small, 1000, "small");
	peer_run(p);
	assert_int_equal(p->most_open, 4);
	for (i = 0; strcmp(p->mails[i].text, "small"); i++)
		assert_true(i < 8);
	peer_free(p);
}

static void order__one_server__is_kept_over_several_connections(void **state)
{
	enum peer_mode mode;

	(void)state;
	for (mode = 0; mode < PEER_MODES; mode++) {
		struct peer *p = peer_new(mode);
		struct engine_proxy *be = peer_proxy(p, "be", "a@example.com, b@example.com");
		char digits[2][16] = { "", "" };
		size_t i;

		peer_mailer(p, be, "mx1:25");
		for (i = 0; i < 9; i++)
			peer_raise(p, be, 1, (char[]){ (char)('1' + (char)i), '\0' });
		for (i = 0; i < 20; i++)
			peer_raise(p, be, 2 + i, "x");
		p->rules[0] = (struct peer_rule){ NULL, AT_RCPT, "<b@", "450 later", 3 };
		peer_finish(p);
		assert_int_equal(p->nmails, 58);
		for (i = 0; i < p->nmails; i++) {
			if (p->mails[i].text[0] != 'x')
				strcat(digits[p->mails[i].rcpt[0] == 'b'], p->mails[i].text);
		}
		assert_string_equal(digits[0], "123456789");
		assert_string_equal(digits[1], "123456789");
		peer_free(p);
	}
}

static void ehlo__refused__helo_is_remembered(void **state)
{
	static const char *const replies[] = { "502 what", PEER_CLOSE };
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		struct peer *p = peer_new(PEER_NEED);
		struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");

		p->rules[0] = (struct peer_rule){ NULL, AT_EHLO, NULL, replies[i], 0 };
		peer_mailer(p, be, "mx1:25");
		peer_raise(p, be, 1, "one");
		peer_run(p);
		peer_raise(p, be, 1, "two");
		peer_raise(p, be, 1, "three");
		peer_run(p);
		assert_string_equal(peer_order(p, "a@example.com"), "one two three");
		assert_int_equal(p->used[0], 1);
		assert_int_equal(p->nopened, 3 + i); /* one mail a connection, the close cost one more */
		assert_int_equal(peer_logged(p, "refuses EHLO"), 1);
		assert_int_equal(peer_logged(p, "failed"), 0);
		p->now += MAILER_HELO_MS;
		p->rules[0].reply = NULL; /* it was restarted, say */
		peer_raise(p, be, 1, "four");
		peer_raise(p, be, 1, "five");
		peer_run(p);
		assert_int_equal(p->nopened, 4 + i);
		peer_free(p);
	}
}

static void limit__server_says_421_after_some_mails__another_connection_goes_on_at_once(void **state)
{
	static const struct { enum peer_stage at; const char *match; } table[] = {
		{ AT_MAIL, NULL }, { AT_RCPT, NULL }, { AT_DATA, NULL }, { AT_MESSAGE, "two" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(*table); i++) {
		struct peer *p = peer_new(PEER_NEED);
		struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");
		static const char *const words[] = { "one", "two", "three" };
		size_t k;

		peer_mailer(p, be, "mx1:25");
		for (k = 0; k < 3; k++)
			peer_raise(p, be, 1, words[k]);
		/* One connection, as it is one lane: its first mail passes. */
		p->rules[0] = (struct peer_rule){ NULL, table[i].at, table[i].match,
			                          table[i].at == AT_DATA ? "354 go on" : "250 Ok", 1 };
		if (table[i].at == AT_MESSAGE)
			p->rules[0] = (struct peer_rule){ NULL, AT_MESSAGE, "one", "250 Ok", 1 };
		p->rules[1] = (struct peer_rule){ NULL, table[i].at, table[i].match, "421 enough", 1 };
		peer_run(p);
		assert_string_equal(peer_order(p, "a@example.com"), "one two three");
		assert_int_equal(p->used[1], 1);
		assert_int_equal(p->nopened, 2);
		assert_int_equal(p->now, 1000000); /* without a pause */
		assert_int_equal(peer_logged(p, "failed"), 0);
		assert_int_equal(peer_logged(p, "try"), 0);
		peer_free(p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settings__bad_address__reason_names_proxy_key_and_remedy),
		cmocka_unit_test(settings__bad_helo__reason_names_proxy_key_and_remedy),
		cmocka_unit_test(settings__allocation_fails__says_so_and_leaks_nothing),
		cmocka_unit_test(raise__level__decides_what_is_mailed),
		cmocka_unit_test(engine__two_mailers__each_gets_a_copy),
		cmocka_unit_test(recipient__one_refused__the_others_get_the_mail),
		cmocka_unit_test(recipient__deferred__is_tried_again_while_the_others_go_on),
		cmocka_unit_test(recipient__always_deferred__is_tried_less_and_less_until_its_time_is_over),
		cmocka_unit_test(recipient__gives_up__its_lane_goes_on),
		cmocka_unit_test(recipient__never_tried__is_given_up_when_its_time_is_over),
		cmocka_unit_test(mail__refused__is_final_and_no_fault_of_the_mailer),
		cmocka_unit_test(log__accepted_mail__is_one_line_with_all_that_matters),
		cmocka_unit_test(message_id__retries_and_recipients__is_the_same),
		cmocka_unit_test(connections__burst__are_at_most_maxconn_and_only_while_there_is_work),
		cmocka_unit_test(connections__two_proxies_of_one_mailer__share_and_take_turns),
		cmocka_unit_test(order__one_server__is_kept_over_several_connections),
		cmocka_unit_test(ehlo__refused__helo_is_remembered),
		cmocka_unit_test(limit__server_says_421_after_some_mails__another_connection_goes_on_at_once),
	};

	return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
