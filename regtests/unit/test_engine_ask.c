/* Unit tests of engine: alerts about which the host is asked. */
#include "engine_ask_steps.h"

static void engine_ask__a_question__has_what_the_rules_made(void **state)
{
	static const char *const legs[] = { "be/s1", "DOWN", "alert", "down" };
	const struct rule rule = {
		.level = ALERT_LEVEL_DEBUG, .server = { (const char *[]){ "s2" }, 1 }, .to = { (const char *[]){ "dba@example.com" }, 1 },
		.cc = { (const char *[]){ "c@example.com" }, 1 }, .subject = "%{server} %{state}", .body = "B %{text}",
		.mailers = { (const char *[]){ "mx2:25" }, 1 },
	};
	struct peer *p = peer_new(PEER_NEED);
	struct buffer q = { 0 };
	struct engine_proxy *be;

	(void)state;
	p->proxy.rules = &rule;
	p->proxy.nrules = 1;
	be = asking(p, 2);
	assert_true(engine_proxy_renders(be));
	assert_int_equal(ask(p, &q), 0);
	peer_raise(p, be, 1, "one");
	peer_raise(p, be, 2, "two");
	peer_run(p);
	assert_int_equal(p->nmails, 0);
	assert_true(engine_busy(p->engine));
	assert_int_equal(peer_stats(p).queued, 2);
	engine_show_mailers(p->engine, &q, p->now);
	buffer_add(&q, "", 1);
	assert_non_null(strstr(q.data, "\n# before that: 2 alerts wait for the route function\n"));
	assert_int_equal(ask(p, &q), 1);
	assert_string_equal(field(&q, "name"), legs[0]);
	assert_string_equal(field(&q, "state"), legs[1]);
	assert_string_equal(field(&q, "level"), legs[2]);
	assert_string_equal(field(&q, "event"), legs[3]);
	assert_string_equal(field(&q, "proxy"), "be");
	assert_string_equal(field(&q, "server"), "s1");
	assert_string_equal(field(&q, "subject"), "[HAProxy Alert] one");
	assert_string_equal(field(&q, "body"), "one");
	assert_string_equal(field(&q, "to"), "a@example.com, b@example.com");
	assert_null(field(&q, "cc"));
	assert_string_equal(field(&q, "mailer"), "mx1:25");
	assert_null(field(&q, "cause"));
	assert_int_equal(ask(p, &q), 2);
	assert_string_equal(field(&q, "subject"), "s2 DOWN");
	assert_string_equal(field(&q, "body"), "B two");
	assert_string_equal(field(&q, "to"), "dba@example.com");
	assert_string_equal(field(&q, "cc"), "c@example.com");
	assert_string_equal(field(&q, "mailer"), "mx2:25");
	engine_answer(p->engine, 1, NULL, 0, p->now);
	engine_answer(p->engine, 2, NULL, 0, p->now);
	assert_false(engine_busy(p->engine));
	buffer_free(&q);
	peer_free(p);
}

static void engine_ask__one_server__is_asked_about_in_order_and_others_meanwhile(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = asking(p, 1);
	struct buffer q = { 0 };
	uint64_t first, other, id;
	int i;

	(void)state;
	peer_raise(p, be, 1, "one");
	peer_raise(p, be, 1, "two");
	peer_raise(p, be, 257, "elsewhere"); /* of the same bucket, maybe */
	first = ask(p, &q);
	assert_string_equal(field(&q, "text"), "one");
	other = ask(p, &q);
	assert_string_equal(field(&q, "text"), "elsewhere");
	assert_int_equal(ask(p, &q), 0);
	assert_int_equal(engine_answer(p->engine, other, &q, 0, p->now), MAILERS_OK);
	assert_int_equal(ask(p, &q), 0);
	engine_answer_failed(p->engine, first, "oh\nno", p->now);
	assert_int_equal(engine_answer(p->engine, first, &q, 0, p->now), MAILERS_ERR_STATE);
	assert_int_equal(reply(p, FIELDS("text", "TWO")), MAILERS_OK);
	peer_finish(p);
	assert_string_equal(peer_order(p, "a@example.com"), "one TWO");
	assert_int_equal(peer_logged(p, "mailers: be/s1: route: oh?no; the alert goes as without it"), 1);
	for (i = 0; i < 2 * ENGINE_ASKED; i++)
		peer_raise(p, be, (uint64_t)i, "many");
	for (i = 0; (id = ask(p, &q)); i++)
		assert_true(engine_asked(p->engine, id));
	assert_int_equal(i, ENGINE_ASKED);
	peer_finish(p); /* time passes */
	while (peer_wait(p))
		;
	assert_int_equal(peer_took(p, NULL, "a@example.com", "many"), 2 * ENGINE_ASKED);
	assert_int_equal(peer_logged(p, "route: no answer within 5.000 s"), ENGINE_ASKED);
	assert_int_equal(peer_logged(p, "mailers: route: 16 alerts went as without it: too many wait for it, or for too long"), 1);
	buffer_free(&q);
	peer_free(p);
}

/* --- ends of the wait --- */

static void engine_ask__over_a_bound__the_oldest_go_in_their_servers_order(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be;
	struct buffer q = { 0 };
	uint64_t id;

	(void)state;
	engine_free(p->engine);
	p->engine = engine_new(&(struct engine_settings){ .token = "t", .limits = { .alerts = 3, .bytes = 0 } });
	be = asking(p, 1);
	peer_raise(p, be, 1, "one");
	id = ask(p, &q);
	peer_raise(p, be, 1, "two");
	peer_raise(p, be, 2, "other");
	assert_true(engine_asked(p->engine, id));
	peer_raise(p, be, 1, "three");
	assert_false(engine_asked(p->engine, id));
	peer_raise(p, be, 1, "four"); /* "two" goes */
	peer_run(p);
	assert_string_equal(peer_order(p, "a@example.com"), "one two");
	assert_int_equal(engine_answer(p->engine, id, NULL, 0, p->now), MAILERS_ERR_STATE);
	assert_int_equal(reply(p, FIELDS("text", "OTHER")), MAILERS_OK);
	assert_int_equal(reply(p, FIELDS("text", "THREE")), MAILERS_OK);
	assert_int_equal(reply(p, FIELDS("text", "FOUR")), MAILERS_OK);
	peer_finish(p);
	assert_string_equal(peer_order(p, "a@example.com"), "one two OTHER THREE FOUR");
	while (peer_wait(p))
		;
	assert_int_equal(peer_logged(p, "route: 2 alerts went as without it"), 1);
	buffer_free(&q);
	peer_free(p);
}

/* One that waits for its turn behind one that is asked about takes that with it: the order stays. */
static void engine_ask__waits_for_too_long__goes_behind_those_before_it(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be;
	struct buffer q = { 0 };
	uint64_t id;

	(void)state;
	p->proxy.ask_ms = 4 * ENGINE_ASK_WAIT_MS;
	be = peer_proxy(p, "be", "a@example.com");
	peer_mailer(p, be, "mx1:25");
	peer_ready(p, be);
	peer_raise(p, be, 1, "one");
	peer_raise(p, be, 1, "two");
	id = ask(p, &q);
	assert_int_equal(engine_deadline(p->engine, p->now), p->now + ENGINE_ASK_WAIT_MS);
	peer_tick(p, p->now + ENGINE_ASK_WAIT_MS - 1);
	assert_true(engine_asked(p->engine, id));
	peer_tick(p, p->now + 1);
	assert_false(engine_asked(p->engine, id));
	peer_finish(p);
	assert_string_equal(peer_order(p, "a@example.com"), "one two");
	while (peer_wait(p))
		;
	assert_int_equal(peer_logged(p, "route: 2 alerts went as without it"), 1);
	buffer_free(&q);
	peer_free(p);
}

static void engine_ask__the_process_ends__nothing_is_lost_unsaid(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = asking(p, 1);
	struct buffer q = { 0 };

	(void)state;
	peer_raise(p, be, 1, "one");
	peer_raise(p, be, 1, "two");
	peer_raise(p, be, 2, "three");
	assert_true(ask(p, &q));
	engine_drain(p->engine, p->now + 1000, p->now);
	assert_int_equal(engine_abandon(p->engine, 0, p->now), 0);
	assert_int_equal(engine_abandon(p->engine, 100, p->now + 1000), 3);
	peer_logs(p);
	assert_false(engine_busy(p->engine));
	assert_int_equal(peer_stats(p).abandoned, 6);
	assert_int_equal(peer_logged(p, "two"), 1);
	buffer_free(&q);
	peer_free(p);
}

/* Alerts waited for a function that hung until the process had no time left to send them: they went to the log alone. */
static void engine_ask__the_process_ends_and_no_answer_comes__they_go_while_there_is_time(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be;
	struct buffer q = { 0 };
	uint64_t id, begin;

	(void)state;
	p->proxy.ask_ms = 600000;
	be = peer_proxy(p, "be", "a@example.com");
	peer_mailer(p, be, "mx1:25");
	peer_ready(p, be);
	peer_raise(p, be, 1, "one");
	peer_raise(p, be, 1, "two");
	id = ask(p, &q);
	begin = p->now;
	engine_drain(p->engine, begin + 30000, begin);
	assert_int_equal(engine_deadline(p->engine, begin), begin + 15000);
	peer_tick(p, begin + 14999);
	assert_true(engine_asked(p->engine, id));
	peer_tick(p, begin + 15000);
	assert_false(engine_asked(p->engine, id));
	peer_raise(p, be, 1, "three");
	assert_int_equal(ask(p, &q), 0);
	peer_finish(p);
	assert_true(p->now < begin + 30000);
	assert_string_equal(peer_order(p, "a@example.com"), "one two three");
	assert_int_equal(peer_logged(p, "route: 2 alerts went as without it"), 1);
	assert_int_equal(peer_logged(p, "route: 1 alert went as without it"), 1);
	buffer_free(&q);
	peer_free(p);
}

static void engine_ask__freed_while_it_waits__leaves_nothing(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = asking(p, 1);
	struct buffer q = { 0 };

	(void)state;
	peer_raise(p, be, 1, "one");
	peer_raise(p, be, 1, "two");
	assert_true(ask(p, &q));
	buffer_free(&q);
	engine_free(p->engine);
}

/* Alerts that found no memory to wait in, and those before them, went without the host and without a word. */
static void engine_ask__no_memory_to_wait_in__is_told(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = asking(p, 1);

	(void)state;
	peer_raise(p, be, 1, "one");
	unit_fail_at(0);
	peer_raise(p, be, 1, "two");
	unit_fail_at(-1);
	peer_finish(p);
	assert_string_equal(peer_order(p, "a@example.com"), "one two");
	while (peer_wait(p))
		;
	assert_int_equal(peer_logged(p, "route: 2 alerts went as without it"), 1);
	peer_free(p);
}

/* Whichever allocation fails, each recipient has the alert, or it is counted as lost. */
static void engine_ask__an_allocation_fails__the_alert_goes_or_is_counted(void **state)
{
	long n;

	(void)state;
	for (n = 0;; n++) {
		struct peer *p = peer_new(PEER_NEED);
		struct engine_proxy *be = asking(p, 1);
		struct buffer q = { 0 }, answer = { 0 };
		uint64_t id;
		bool failed;

		unit_fail_at(n);
		peer_raise(p, be, 1, "one");
		id = ask(p, &q);
		if (id) {
			set(&answer, "to", "n@example.com, a@example.com");
			set(&answer, "header", "X-A: b");
			set(&answer, "subject", "s");
			if (!buffer_error(&answer))
				engine_answer(p->engine, id, &answer, 1, p->now);
			else
				engine_answer_failed(p->engine, id, "memory", p->now);
		}
		failed = unit_failed();
		unit_fail_at(-1);
		buffer_free(&q);
		buffer_free(&answer);
		peer_finish(p);
		assert_int_equal(peer_stats(p).accepted + peer_stats(p).lost, 2);
		assert_int_equal(p->nmails, peer_stats(p).accepted);
		peer_free(p);
		if (!failed)
			break;
	}
	assert_true(n > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(engine_ask__a_question__has_what_the_rules_made),
		cmocka_unit_test(engine_ask__one_server__is_asked_about_in_order_and_others_meanwhile),
		cmocka_unit_test(engine_ask__over_a_bound__the_oldest_go_in_their_servers_order),
		cmocka_unit_test(engine_ask__waits_for_too_long__goes_behind_those_before_it),
		cmocka_unit_test(engine_ask__the_process_ends__nothing_is_lost_unsaid),
		cmocka_unit_test(engine_ask__the_process_ends_and_no_answer_comes__they_go_while_there_is_time),
		cmocka_unit_test(engine_ask__no_memory_to_wait_in__is_told),
		cmocka_unit_test(engine_ask__freed_while_it_waits__leaves_nothing),
		cmocka_unit_test(engine_ask__an_allocation_fails__the_alert_goes_or_is_counted),
	};

	return cmocka_run_group_tests_name("engine_ask", tests, NULL, NULL);
}
