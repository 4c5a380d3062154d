/* Unit tests of engine: mails that are tests. */
#include "engine_peer.h"

static struct {
	struct peer *p;
	int id;
	char text[65536];
	size_t len;
	enum engine_test_result result;
} test;

static int begin(struct peer *p, const char *mailer)
{
	char reason[ENGINE_REASON_MAX];

	memset(&test, 0, sizeof(test));
	test.p = p;
	test.id = engine_test_begin(p->engine, "be", mailer, NULL, NULL, p->now, reason);
	assert_true(test.id > 0);
	assert_string_equal(reason, "");
	return test.id;
}

static bool look(void)
{
	struct buffer out = { 0 };
	bool over = engine_test_read(test.p->engine, test.id, &out, &test.result);

	assert_int_equal(buffer_error(&out), MAILERS_OK);
	assert_true(test.len + out.len < sizeof(test.text));
	if (out.len) {
		assert_int_equal(out.data[out.len - 1], '\n');
		memcpy(test.text + test.len, out.data, out.len);
		test.len += out.len;
	}
	buffer_free(&out);
	return over;
}

/* Lets it run to its end; reads as it goes. */
static enum engine_test_result finish(void)
{
	size_t rounds = 0;

	peer_run(test.p);
	while (!look()) {
		assert_true(peer_wait(test.p));
		assert_true(++rounds < 100);
	}
	return test.result;
}

static void has(const char *text)
{
	if (!strstr(test.text, text))
		fail_msg("no '%s' in:\n%s", text, test.text);
}

static struct peer *peer_two(enum peer_mode mode)
{
	struct peer *p = peer_new(mode);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com, b@example.com");

	peer_mailer(p, be, "mx1:25");
	peer_mailer(p, be, "mx2:25");
	return p;
}

static void test__one_mailer__shows_the_dialogue(void **state)
{
	enum peer_mode mode;

	(void)state;
	for (mode = 0; mode < PEER_MODES; mode++) {
		struct peer *p = peer_two(mode);

		begin(p, "mx1:25");
		assert_true(engine_busy(p->engine));
		engine_test_date(p->engine, test.id, "Wed, 30 Sep 2026 16:09:04 +0000");
		assert_int_equal(finish(), ENGINE_TEST_ACCEPTED);
		has("* mx1:25: connecting to mx1:25\n< 220 mx ESMTP\n> EHLO lb1.example.org\n< 250-mx\n");
		has("> MAIL FROM:<haproxy@example.org>\n");
		has("> RCPT TO:<b@example.com>\n");
		has("* accepted at message for <a@example.com>: 250 2.0.0 queued\n");
		has("* accepted at message for <b@example.com>: 250 2.0.0 queued\n");
		has("> QUIT\n< 221 bye\n* mx1:25: accepted\n");
		assert_int_equal(p->nmails, 2);
		assert_string_equal(p->mails[0].id, "test.1.0.token@lb1.example.org");
		assert_int_equal(p->nopened, 1);
		assert_int_equal(peer_logged(p, "<5> mailers: test mail of proxy be via mx1:25 (mx1:25): accepted"), 1);
		assert_int_equal(peer_stats(p).recipients + peer_stats(p).accepted, 0);
		assert_true(look()); /* still known, nothing new */
		engine_test_end(p->engine, test.id);
		assert_true(look());
		assert_int_equal(test.result, ENGINE_TEST_LOCAL);
		peer_free(p);
	}
}

static void test__mail__says_that_it_is_one(void **state)
{
	struct peer *p = peer_two(PEER_WHOLE);

	(void)state;
	p->rules[0] = (struct peer_rule){ NULL, AT_MESSAGE, "Subject: [HAProxy Alert] test mail of haproxy-mailers: "
		"proxy be via mailer mx2:25\r\n", "550 seen", 0 };
	p->rules[1] = (struct peer_rule){ "mx1:25", AT_MESSAGE, "\r\n\r\nThis is only a test", "451 seen", 0 };
	begin(p, NULL);
	assert_int_equal(finish(), ENGINE_TEST_REFUSED);
	has("* refused at message for <a@example.com>: 550 seen\n");
	has("* deferred at message for <a@example.com>: 451 seen\n");
	has("* mx1:25: temporary failure\n* mx2:25: connecting"); /* one after the other */
	has("* mx2:25: refused\n");
	peer_free(p);
}

static void test__other_addresses__are_used(void **state)
{
	struct peer *p = peer_two(PEER_WHOLE);
	char reason[ENGINE_REASON_MAX];

	(void)state;
	memset(&test, 0, sizeof(test));
	test.p = p;
	test.id = engine_test_begin(p->engine, "be", "mx1:25", "Me <me@example.net>", "other@example.org", p->now, reason);
	assert_int_equal(finish(), ENGINE_TEST_ACCEPTED);
	has("> MAIL FROM:<other@example.org>");
	assert_int_equal(peer_took(p, NULL, "me@example.net", NULL), 1);
	assert_int_equal(p->nmails, 1);
	peer_free(p);
}

static void begin__wrong_names_and_addresses__says_why(void **state)
{
	static const struct { const char *proxy, *mailer, *to, *from, *reason; } table[] = {
		{ "fe", NULL, NULL, NULL, "there is no proxy fe with email-alert mailers" },
		{ "be", "mx3", NULL, NULL, "proxy be has no mailer mx3" },
		{ "be", NULL, "", NULL, "to: " },
		{ "be", NULL, "@", NULL, "to: " },
		{ "be", NULL, NULL, "a@", "from: " },
		{ "be", NULL, NULL, "a@b.org, c@d.org", "from: 2 addresses stand there, give one" },
	};
	struct peer *p = peer_two(PEER_NEED);
	char reason[ENGINE_REASON_MAX];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(*table); i++) {
		assert_int_equal(engine_test_begin(p->engine, table[i].proxy, table[i].mailer, table[i].to, table[i].from,
		                                   p->now, reason), 0);
		assert_ptr_equal(strstr(reason, table[i].reason), reason);
	}
	for (i = 0; i < 16; i++)
		assert_int_equal(engine_test_begin(p->engine, "be", NULL, NULL, NULL, p->now, reason), i + 1);
	assert_int_equal(engine_test_begin(p->engine, "be", NULL, NULL, NULL, p->now, reason), 0);
	assert_string_equal(reason, "16 tests go on already, try again later");
	engine_free(p->engine);
}

static void test__failure__has_its_result(void **state)
{
	static const struct { enum peer_stage at; const char *reply; enum engine_test_result result; const char *line; }
	table[] = {
		{ AT_CONNECT, PEER_CLOSE, ENGINE_TEST_UNREACHABLE, "* connection closed at connect\n" },
		{ AT_CONNECT, PEER_MUTE, ENGINE_TEST_UNREACHABLE, "* timeout at connect\n" },
		{ AT_GREETING, "554 no", ENGINE_TEST_FAILED, "* permanent failure at greeting: 554 no\n" },
		{ AT_GREETING, "421 busy", ENGINE_TEST_TEMPORARY, "* temporary failure at greeting: 421 busy\n" },
		{ AT_GREETING, "SSH-2.0-x", ENGINE_TEST_FAILED, "* protocol error at greeting: SSH-2.0-x\n" },
		{ AT_EHLO, "450 later", ENGINE_TEST_TEMPORARY, "* temporary failure at EHLO: 450 later\n" },
		{ AT_EHLO, "502 what", ENGINE_TEST_ACCEPTED, "* the server refuses EHLO, HELO is used\n" },
		{ AT_EHLO, PEER_CLOSE, ENGINE_TEST_ACCEPTED, "HELO lb1.example.org\n" },
		{ AT_MAIL, "530 5.7.0 who", ENGINE_TEST_FAILED, "* permanent failure at MAIL: 530 5.7.0 who\n" },
		{ AT_MAIL, "550 5.1.0 no", ENGINE_TEST_REFUSED, "* refused at MAIL for <b@example.com>: 550 5.1.0 no\n" },
		{ AT_RCPT, "450 later", ENGINE_TEST_TEMPORARY, "* deferred at RCPT for <a@example.com>: 450 later\n" },
		{ AT_RCPT, PEER_CLOSE, ENGINE_TEST_FAILED, "* connection closed at RCPT\n" },
		{ AT_MESSAGE, PEER_MUTE, ENGINE_TEST_FAILED, "* unknown whether accepted at message for <a@" },
		{ AT_QUIT, PEER_CLOSE, ENGINE_TEST_ACCEPTED, "* mx1:25: accepted\n" },
	};
	enum peer_mode mode;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(*table); i++) {
		for (mode = 0; mode < PEER_MODES; mode++) {
			struct peer *p = peer_two(mode);

			p->rules[0] = (struct peer_rule){ NULL, table[i].at, NULL, table[i].reply, 0 };
			begin(p, "mx1:25");
			assert_int_equal(finish(), table[i].result);
			has(table[i].line);
			peer_run(p);
			assert_int_equal(peer_logged(p, "is down") + peer_logged(p, "failed: "), 0);
			assert_int_equal(engine_deadline(p->engine, p->now), UINT64_MAX); /* nobody's health changed */
			peer_free(p);
		}
	}
}

static void test__mailer_down_and_paused__goes_all_the_same(void **state)
{
	struct peer *p = peer_two(PEER_NEED);

	(void)state;
	engine_pause(p->engine, NULL, p->now);
	begin(p, NULL);
	assert_int_equal(finish(), ENGINE_TEST_ACCEPTED);
	assert_int_equal(p->nmails, 4);
	peer_run(p);
	peer_free(p);
}

static void end__while_it_runs__its_connections_are_named(void **state)
{
	struct peer *p = peer_two(PEER_NEED);

	(void)state;
	p->rules[0] = (struct peer_rule){ NULL, AT_EHLO, NULL, PEER_MUTE, 0 };
	begin(p, NULL);
	peer_run(p);
	assert_int_equal(p->nopen, 2);
	assert_false(look());
	engine_test_end(p->engine, test.id);
	engine_test_end(p->engine, test.id);
	assert_true(look());
	peer_tick(p, p->now);
	assert_int_equal(p->nopen, 0);
	begin(p, NULL);
	engine_test_end(p->engine, test.id); /* before it had a connection */
	peer_run(p);
	assert_int_equal(p->nopened, 2);
	begin(p, NULL);
	peer_run(p);
	engine_free(p->engine); /* with a test that runs: a leak checker looks */
}

static void memory__short_at_any_time__ends_with_a_result(void **state)
{
	bool failed = true;
	long n;

	(void)state;
	for (n = 0; failed; n++) {
		struct peer *p = peer_two(PEER_WHOLE);
		char reason[ENGINE_REASON_MAX];
		size_t rounds = 0;
		struct buffer out = { 0 };

		memset(&test, 0, sizeof(test));
		test.p = p;
		unit_fail_at(n);
		test.id = engine_test_begin(p->engine, "be", "mx1:25", NULL, NULL, p->now, reason);
		if (test.id) {
			peer_run(p);
			while (!engine_test_read(p->engine, test.id, &out, &test.result) && ++rounds < 100)
				assert_true(peer_wait(p));
			assert_true(rounds < 100);
		} else {
			assert_non_null(strstr(reason, "out of memory"));
		}
		failed = unit_failed();
		if (!failed)
			assert_int_equal(test.result, ENGINE_TEST_ACCEPTED);
		buffer_free(&out);
		engine_free(p->engine);
	}
	assert_true(n > 20);
}

/* A bug: it waited for a connection that nobody was to open any more, and the process with it, for a minute. */
static void test__when_the_process_has_ended__is_over(void **state)
{
	struct peer *p = peer_two(PEER_NEED);

	(void)state;
	engine_drain(p->engine, p->now + 1000, p->now);
	peer_tick(p, p->now + 1000);
	begin(p, NULL);
	assert_int_equal(finish(), ENGINE_TEST_LOCAL);
	has("the process ends");
	assert_false(engine_busy(p->engine));
	engine_test_end(p->engine, test.id);
	peer_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test__one_mailer__shows_the_dialogue),
		cmocka_unit_test(test__mail__says_that_it_is_one),
		cmocka_unit_test(test__other_addresses__are_used),
		cmocka_unit_test(begin__wrong_names_and_addresses__says_why),
		cmocka_unit_test(test__failure__has_its_result),
		cmocka_unit_test(test__mailer_down_and_paused__goes_all_the_same),
		cmocka_unit_test(end__while_it_runs__its_connections_are_named),
		cmocka_unit_test(memory__short_at_any_time__ends_with_a_result),
		cmocka_unit_test(test__when_the_process_has_ended__is_over),
	};

	return cmocka_run_group_tests_name("engine test", tests, NULL, NULL);
}
