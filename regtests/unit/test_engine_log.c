/* Unit tests of engine: its bounds, what is said of dropped alerts, and the log that a host reads. */
#include "engine_peer.h"

static void bounds__by_default__are_50000_alerts_and_32_MiB(void **state)
{
	static char text[10000];
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");
	struct engine_proxy *other = peer_proxy(p, "other", "a@example.com");
	uint64_t i;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	peer_mailer(p, be, "mx1:25");
	peer_mailer(p, other, "mx1:25");
	for (i = 0; i < 50000; i++)
		peer_raise(p, be, i, "x");
	assert_int_equal(peer_stats(p).dropped, 0);
	peer_raise(p, be, i, "x");
	assert_int_equal(peer_stats(p).dropped, 1);
	assert_int_equal(peer_stats(p).queued, 50000);
	for (i = 0; i < 3200; i++)
		peer_raise(p, other, i, text);
	assert_int_equal(peer_stats(p).dropped, 1); /* each route has its own */
	for (i = 0; i < 200; i++)
		peer_raise(p, other, i, text);
	assert_in_range(peer_stats(p).queued, 50000 + (32 << 20) / 10600, 50000 + (32 << 20) / 10000);
	engine_free(p->engine);
}

static void drops__burst__is_one_line_with_its_number(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be;
	struct engine_stats stats;
	size_t i;

	(void)state;
	engine_free(p->engine);
	p->engine = engine_new(&(struct engine_settings){ .token = "token", .limits.alerts = 10 });
	be = peer_proxy(p, "be", "a@example.com");
	peer_mailer(p, be, "mx1:25");
	p->rules[0] = (struct peer_rule){ NULL, AT_CONNECT, NULL, PEER_MUTE, 1 };
	for (i = 0; i < 25; i++) {
		p->now += 10;
		assert_int_equal(peer_raise(p, be, i, "x"), MAILERS_OK);
	}
	assert_int_equal(engine_deadline(p->engine, p->now), p->now + 1000);
	engine_tick(p->engine, p->now + 999);
	peer_logs(p);
	assert_int_equal(peer_logged(p, "dropped"), 0);
	p->now += 1000;
	engine_tick(p->engine, p->now);
	peer_logs(p);
	assert_int_equal(peer_logged(p, "<3> mailers: proxy be via mx1:25 (mx1:25): 15 alerts dropped"), 1);
	assert_int_equal(engine_deadline(p->engine, p->now), p->now - 1000 - 24 * 10 + ENGINE_MAX_AGE_MS);
	peer_raise(p, be, 1, "x");
	peer_finish(p); /* the next burst's line, before the mails */
	assert_int_equal(peer_logged(p, ": 1 alert dropped"), 1);
	assert_int_equal(peer_logged(p, "dropped"), 4); /* each line says it twice */
	stats = peer_stats(p);
	assert_int_equal(stats.raised, 26);
	assert_int_equal(stats.dropped, 16);
	assert_int_equal(stats.accepted, 10);
	peer_free(p);
}

static void drops__that_do_not_end__are_told_now_and_then(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be;
	size_t i;

	(void)state;
	engine_free(p->engine);
	p->engine = engine_new(&(struct engine_settings){ .token = "token", .limits.alerts = 1 });
	be = peer_proxy(p, "be", "a@example.com");
	peer_mailer(p, be, "mx1:25");
	for (i = 0; i < 1000; i++) { /* 200 s */
		p->now += 200;
		peer_raise(p, be, i, "x");
		engine_tick(p->engine, p->now);
		assert_true(engine_deadline(p->engine, p->now) > p->now);
	}
	peer_logs(p);
	assert_int_equal(peer_logged(p, "proxy be via mx1:25"), 3);
	engine_free(p->engine);
}

static void drops__all_in_flight__the_new_alert_goes(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be;

	(void)state;
	engine_free(p->engine);
	p->engine = engine_new(&(struct engine_settings){ .token = "token", .limits.alerts = 1 });
	be = peer_proxy(p, "be", "a@example.com");
	peer_mailer(p, be, "mx1:25");
	p->rules[0] = (struct peer_rule){ NULL, AT_GREETING, NULL, PEER_MUTE, 1 };
	peer_raise(p, be, 1, "one");
	peer_run(p);
	assert_int_equal(peer_raise(p, be, 2, "two"), MAILERS_ERR_BOUND);
	peer_finish(p);
	assert_string_equal(peer_order(p, "a@example.com"), "one");
	assert_int_equal(peer_stats(p).dropped, 1);
	peer_free(p);
}

static void log__nobody_reads__keeps_the_oldest_and_says_what_is_missing(void **state)
{
	struct engine *e = engine_new(&(struct engine_settings){ .token = "token" });
	struct engine_log line;
	char expected[64];
	size_t i;

	(void)state;
	for (i = 0; i < ENGINE_LOG_LINES + 30; i++)
		engine_log(e, ALERT_LEVEL_INFO, "line %zu", i);
	for (i = 0; i < 10; i++) {
		assert_true(engine_next_log(e, &line));
		snprintf(expected, sizeof(expected), "line %zu", i);
		assert_string_equal(line.text, expected);
	}
	engine_log(e, ALERT_LEVEL_ERR, "after the gap");
	for (; i < ENGINE_LOG_LINES; i++)
		assert_true(engine_next_log(e, &line));
	snprintf(expected, sizeof(expected), "line %d", ENGINE_LOG_LINES - 1);
	assert_string_equal(line.text, expected);
	assert_true(engine_next_log(e, &line));
	assert_int_equal(line.level, ALERT_LEVEL_WARNING);
	assert_string_equal(line.text, "mailers: 30 log lines lost");
	assert_true(engine_next_log(e, &line));
	assert_string_equal(line.text, "after the gap");
	assert_false(engine_next_log(e, &line));
	engine_free(e);
}

static void log__any_bytes__is_one_printable_line(void **state)
{
	struct engine *e = engine_new(&(struct engine_settings){ .token = "token" });
	struct engine_log line;
	char longest[3000];

	(void)state;
	engine_log(e, ALERT_LEVEL_ERR, "a\nb\r\x1b[1m\xe9%s", "~ ");
	assert_true(engine_next_log(e, &line));
	assert_int_equal(line.level, ALERT_LEVEL_ERR);
	assert_string_equal(line.text, "a?b??[1m?~ ");
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	engine_log(e, ALERT_LEVEL_ERR, "%s", longest);
	assert_true(engine_next_log(e, &line));
	assert_int_equal(strlen(line.text), sizeof(line.text) - 1);
	unit_fail_at(0);
	engine_log(e, ALERT_LEVEL_ERR, "no memory");
	assert_true(unit_failed());
	assert_true(engine_next_log(e, &line));
	assert_string_equal(line.text, "mailers: 1 log line lost");
	assert_false(engine_next_log(e, &line));
	engine_free(e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bounds__by_default__are_50000_alerts_and_32_MiB),
		cmocka_unit_test(drops__burst__is_one_line_with_its_number),
		cmocka_unit_test(drops__that_do_not_end__are_told_now_and_then),
		cmocka_unit_test(drops__all_in_flight__the_new_alert_goes),
		cmocka_unit_test(log__nobody_reads__keeps_the_oldest_and_says_what_is_missing),
		cmocka_unit_test(log__any_bytes__is_one_printable_line),
	};

	return cmocka_run_group_tests_name("engine log", tests, NULL, NULL);
}
