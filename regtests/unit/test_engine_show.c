/* Unit tests of engine: the tables, and commands that change something. */
#include "engine_peer.h"

static const char *shown(struct peer *p, void (*show)(const struct engine *, struct buffer *, uint64_t))
{
	static char text[65536];
	struct buffer out = { 0 };
	size_t i;

	show(p->engine, &out, p->now);
	assert_int_equal(buffer_error(&out), MAILERS_OK);
	assert_true(out.len && out.len < sizeof(text) && out.data[out.len - 1] == '\n');
	for (i = 0; i < out.len; i++)
		assert_true(out.data[i] == '\n' || (out.data[i] >= ' ' && out.data[i] < 0x7f));
	memcpy(text, out.data, out.len);
	text[out.len] = '\0';
	buffer_free(&out);
	return text;
}

/* Is there a line with all of <words> (space-separated), in their order, as whole columns? */
static bool has_row(const char *table, const char *words)
{
	char line[4096], wanted[256], *word, *at, *column, *rest, *left;
	const char *end;

	for (; *table; table = end + 1) {
		end = strchr(table, '\n');
		snprintf(line, sizeof(line), "%.*s", (int)(end - table), table);
		snprintf(wanted, sizeof(wanted), "%s", words);
		column = strtok_r(line, " ", &rest);
		word = strtok_r(wanted, " ", &left);
		for (at = column; at && word; at = strtok_r(NULL, " ", &rest)) {
			if (!strcmp(at, word))
				word = strtok_r(NULL, " ", &left);
		}
		if (!word)
			return true;
	}
	return false;
}

static void show_mailers__each_state__is_a_row(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com, b@example.com");
	const char *table;

	(void)state;
	assert_string_equal(shown(p, engine_show_mailers), "# mailer         address                  state   conns "
	                    " queued flight     sent deferred  failed dropped  oldest   erred last_error\n");
	peer_mailer(p, be, "mx1:25");
	peer_mailer(p, be, "mx2:25");
	peer_mailer(p, be, "mx3:25");
	p->rules[0] = (struct peer_rule){ "mx2:25", AT_CONNECT, NULL, PEER_CLOSE, 0 };
	p->rules[1] = (struct peer_rule){ "mx1:25", AT_RCPT, "<b@", "550 no", 1 };
	p->rules[2] = (struct peer_rule){ "mx1:25", AT_RCPT, "<b@", "450 later", 1 };
	p->rules[3] = (struct peer_rule){ "mx3:25", AT_MESSAGE, NULL, PEER_MUTE, 0 };
	peer_raise(p, be, 1, "one");
	peer_run(p);
	table = shown(p, engine_show_mailers);
	assert_true(has_row(table, "mx1:25 mx1:25 UP 0 0 0 1 0 1 0 - - -"));
	assert_true(has_row(table, "mx2:25 mx2:25 FAILING 0 1 0 0 0 0 0 0s 0s connection closed at connect"));
	assert_true(has_row(table, "mx3:25 mx3:25 UP 1 1 2 0 0 0 0 0s - -"));
	peer_raise(p, be, 1, "two");
	peer_tick(p, p->now + 4000);
	peer_tick(p, p->now + 1000);
	peer_tick(p, p->now + 60000);
	table = shown(p, engine_show_mailers);
	assert_true(has_row(table, "mx1:25 mx1:25 UP 0 0 0 3 1 1 0 - - -"));
	assert_true(has_row(table, "mx2:25 mx2:25 DOWN 0 2 0 0 0 0 0 1m05s 0s connection"));
	engine_pause(p->engine, "mx2:25", p->now);
	p->now += 3 * 3600000;
	assert_true(has_row(shown(p, engine_show_mailers), "mx2:25 mx2:25 PAUSED 0 2 0 0 0 0 0 3h01m 3h00m connection"));
	engine_free(p->engine);
}

static void show_mailers__list__its_queue_is_with_the_one_that_has_it(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be;

	(void)state;
	p->proxy.mode = ENGINE_MODE_FAILOVER;
	be = peer_proxy(p, "be", "a@example.com");
	peer_mailer(p, be, "mx1:25");
	peer_mailer(p, be, "mx2:25");
	peer_raise(p, be, 1, "one");
	assert_true(has_row(shown(p, engine_show_mailers), "mx1:25 mx1:25 UP 0 1"));
	assert_true(has_row(shown(p, engine_show_mailers), "mx2:25 mx2:25 UP 0 0"));
	engine_pause(p->engine, "mx1:25", p->now);
	assert_true(has_row(shown(p, engine_show_mailers), "mx1:25 mx1:25 PAUSED 0 0"));
	assert_true(has_row(shown(p, engine_show_mailers), "mx2:25 mx2:25 UP 0 1"));
	peer_finish(p);
	assert_int_equal(peer_took(p, "mx2:25", NULL, "one"), 1);
	peer_free(p);
}

static void show_alerts__each_fate__is_a_row(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com, b@example.com");
	struct engine_proxy *full;
	const char *table;
	int i;

	(void)state;
	assert_string_equal(shown(p, engine_show_alerts), "#   age server                   mailer           rcpts "
	                    "fate             defer text | last_answer\n");
	peer_mailer(p, be, "mx1:25");
	p->rules[0] = (struct peer_rule){ NULL, AT_RCPT, "<b@", "550 no", 1 };
	p->rules[1] = (struct peer_rule){ NULL, AT_MESSAGE, "later", "451 busy", 1 };
	for (i = 1; i <= 3; i++) {
		peer_raise(p, be, (uint64_t)i, i == 1 ? "mixed" : i == 2 ? "later" : "fine");
		peer_run(p);
		p->now += 1000;
	}
	peer_raise(p, be, 4, "queued\x07");
	table = shown(p, engine_show_alerts);
	assert_true(has_row(table, "3s be/s1 mx1:25 2 accepted:1,refused:1 0 mixed | 550"));
	assert_true(has_row(table, "2s be/s2 mx1:25 2 deferred 2 later | 451 busy"));
	assert_true(has_row(table, "1s be/s3 mx1:25 2 accepted 0 fine | 250"));
	assert_true(has_row(table, "0s be/s4 mx1:25 2 queued 0 queued?"));
	engine_free(p->engine);

	p->engine = engine_new(&(struct engine_settings){ .token = "token", .limits.alerts = 1 });
	full = peer_proxy(p, "full", "a@example.com");
	peer_mailer(p, full, "mx1:25");
	peer_raise(p, full, 1, "one");
	peer_raise(p, full, 2, "two");
	table = shown(p, engine_show_alerts);
	assert_true(has_row(table, "0s be/s1 mx1:25 1 dropped 0 one"));
	assert_true(has_row(table, "0s be/s2 mx1:25 1 queued 0 two"));
	engine_drain(p->engine, p->now, p->now);
	engine_abandon(p->engine, 9, p->now);
	assert_true(has_row(shown(p, engine_show_alerts), "0s be/s2 mx1:25 1 abandoned 0 two | the process ends"));
	engine_free(p->engine);
}

static void show_alerts__many__are_the_last_hundred(void **state)
{
	struct peer *p = peer_new(PEER_WHOLE);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");
	char text[32];
	const char *table;
	size_t lines = 0;
	int i;

	(void)state;
	peer_mailer(p, be, "mx1:25");
	for (i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "number%d", i);
		peer_raise(p, be, (uint64_t)i, text);
	}
	peer_finish(p);
	table = shown(p, engine_show_alerts);
	assert_false(has_row(table, "number899"));
	for (i = 900; i < 1000; i++) {
		snprintf(text, sizeof(text), "accepted 0 number%d", i);
		assert_true(has_row(table, text));
	}
	for (; *table; table++)
		lines += *table == '\n';
	assert_int_equal(lines, 101);
	peer_free(p);
}

static void show__memory_is_short__is_the_buffers_error(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");
	struct buffer out = { 0 };

	(void)state;
	peer_mailer(p, be, "mx1:25");
	peer_raise(p, be, 1, "x");
	unit_fail_at(0);
	engine_show_mailers(p->engine, &out, p->now);
	assert_true(unit_failed());
	assert_int_equal(buffer_error(&out), MAILERS_ERR_NOMEM);
	buffer_free(&out);
	engine_free(p->engine);
}

static void commands__names__match_ids_and_proxies(void **state)
{
	static const struct { const char *name; size_t n; } table[] = {
		{ NULL, 3 }, { "mx1:25", 1 }, { "one/mx1:25", 1 }, { "two/mx1:25", 0 }, { "two/mx2:25", 1 },
		{ "one/", 0 }, { "", 0 }, { "mx", 0 }, { "one", 0 }, { "on/mx1:25", 0 }, { "mx3:25", 1 },
	};
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *one = peer_proxy(p, "one", "a@example.com"), *other = peer_proxy(p, "two", "b@example.com");
	size_t i;

	(void)state;
	peer_mailer(p, one, "mx1:25");
	peer_mailer(p, one, "mx2:25");
	peer_mailer(p, other, "mx2:25");
	peer_mailer(p, other, "mx3:25");
	for (i = 0; i < sizeof(table) / sizeof(*table); i++) {
		assert_int_equal(engine_pause(p->engine, table[i].name, p->now), table[i].n);
		assert_int_equal(engine_resume(p->engine, table[i].name, p->now), table[i].n);
		assert_int_equal(engine_flush(p->engine, table[i].name, p->now), table[i].n);
	}
	peer_logs(p);
	assert_int_equal(peer_logged(p, "<5> mailers: paused by command: all, 3 mailers"), 1);
	assert_int_equal(peer_logged(p, "<5> mailers: resumed by command: mx1:25, 1 mailer\n"), 1);
	assert_int_equal(peer_logged(p, "<5> mailers: flushed by command: one/, 0 mailers"), 1);
	peer_free(p);
}

static void pause__while_sending__ends_with_the_mails_on_the_way(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");
	uint64_t i;

	(void)state;
	p->plain = true;
	peer_mailer(p, be, "mx1:25");
	for (i = 0; i < 100; i++)
		peer_raise(p, be, i, "x");
	assert_true(peer_connect(p));
	engine_pause(p->engine, NULL, p->now);
	peer_run(p);
	assert_int_equal(p->nmails, 4);
	assert_int_equal(p->nopen, 0);
	peer_tick(p, p->now + 60000);
	assert_int_equal(p->nopened, 4);
	engine_resume(p->engine, NULL, p->now);
	peer_finish(p);
	assert_int_equal(p->nmails, 100);
	peer_free(p);
}

static void flush__deferred_and_down__are_tried_at_once(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com"), *other = peer_proxy(p, "other", "b@example.com");
	uint64_t start;

	(void)state;
	peer_mailer(p, be, "mx1:25");
	peer_mailer(p, other, "mx2:25");
	p->rules[0] = (struct peer_rule){ "mx1:25", AT_RCPT, NULL, "450 later", 5 };
	p->rules[1] = (struct peer_rule){ "mx2:25", AT_CONNECT, NULL, PEER_CLOSE, 0 };
	peer_raise(p, be, 1, "one");
	peer_raise(p, other, 1, "two");
	peer_run(p);
	while (p->used[0] < 5)
		assert_true(peer_wait(p));
	start = p->now;
	p->rules[1].reply = NULL;
	p->rules[1].times = 0;
	assert_int_equal(engine_flush(p->engine, "mx1:25", p->now), 1);
	peer_run(p);
	assert_int_equal(peer_took(p, "mx1:25", NULL, "one"), 1);
	assert_int_equal(p->nmails, 1); /* the other waits for its probe */
	assert_int_equal(engine_flush(p->engine, NULL, p->now), 2);
	peer_run(p);
	assert_int_equal(p->nmails, 2);
	assert_int_equal(p->now, start);
	peer_finish(p);
	peer_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(show_mailers__each_state__is_a_row),
		cmocka_unit_test(show_mailers__list__its_queue_is_with_the_one_that_has_it),
		cmocka_unit_test(show_alerts__each_fate__is_a_row),
		cmocka_unit_test(show_alerts__many__are_the_last_hundred),
		cmocka_unit_test(show__memory_is_short__is_the_buffers_error),
		cmocka_unit_test(commands__names__match_ids_and_proxies),
		cmocka_unit_test(pause__while_sending__ends_with_the_mails_on_the_way),
		cmocka_unit_test(flush__deferred_and_down__are_tried_at_once),
	};

	return cmocka_run_group_tests_name("engine show", tests, NULL, NULL);
}
