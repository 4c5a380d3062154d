/* Unit tests of engine: the end of the process. */
#include "engine_peer.h"

static void sums(const struct peer *p)
{
	struct engine_stats s = peer_stats(p);

	assert_int_equal(s.accepted + s.refused + s.given_up + s.abandoned + s.lost, s.recipients);
}

static void drain__server_away_for_a_while__is_tried_each_second(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com, b@example.com");
	uint64_t start, i;

	(void)state;
	p->rules[0] = (struct peer_rule){ NULL, AT_CONNECT, NULL, PEER_CLOSE, 0 };
	peer_mailer(p, be, "mx1:25");
	for (i = 0; i < 50; i++)
		peer_raise(p, be, i, "x");
	peer_run(p);
	while (p->now < 1000000 + 60000)
		assert_true(peer_wait(p));
	start = p->now; /* down, probed in 10 s or less */
	assert_false(engine_draining(p->engine));
	engine_drain(p->engine, start + 30000, start);
	assert_true(engine_draining(p->engine));
	peer_tick(p, start);
	for (i = 1; i <= 5; i++) {
		assert_int_equal(engine_deadline(p->engine, p->now), start + i * 1000);
		peer_wait(p);
	}
	p->rules[0].reply = NULL;
	peer_finish(p);
	assert_int_equal(p->now, start + 6000);
	assert_int_equal(p->nmails, 100);
	assert_int_equal(engine_deadline(p->engine, p->now), UINT64_MAX); /* nobody probes any more */
	sums(p);
	peer_free(p);
}

static void drain__deferred_alerts__are_tried_at_once_and_each_second(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");
	uint64_t start;

	(void)state;
	p->rules[0] = (struct peer_rule){ NULL, AT_RCPT, NULL, "451 greylisted", 8 };
	peer_mailer(p, be, "mx1:25");
	peer_raise(p, be, 1, "one");
	peer_run(p);
	while (p->used[0] < 5)
		assert_true(peer_wait(p));
	start = p->now;
	engine_drain(p->engine, start + 30000, start);
	peer_finish(p);
	assert_int_equal(p->now, start + 3000);
	assert_int_equal(p->nmails, 1);
	sums(p);
	peer_free(p);
}

static void drain__nothing_queued__cuts_probes_and_ends(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be;

	(void)state;
	p->proxy.max_age_ms = 40000;
	be = peer_proxy(p, "be", "a@example.com");
	p->rules[0] = (struct peer_rule){ NULL, AT_CONNECT, NULL, PEER_MUTE, 0 };
	peer_mailer(p, be, "mx1:25");
	peer_raise(p, be, 1, "x");
	while (peer_stats(p).queued || !p->nopen) {
		peer_run(p);
		assert_true(peer_wait(p));
	}
	assert_true(engine_busy(p->engine)); /* a probe */
	engine_drain(p->engine, p->now + 30000, p->now);
	peer_tick(p, p->now);
	assert_false(engine_busy(p->engine));
	assert_int_equal(engine_deadline(p->engine, p->now), UINT64_MAX);
	sums(p);
	peer_free(p);
}

static void drain__paused_by_command__is_sent_all_the_same(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");

	(void)state;
	peer_mailer(p, be, "mx1:25");
	engine_pause(p->engine, NULL, p->now);
	peer_raise(p, be, 1, "x");
	peer_run(p);
	assert_int_equal(p->nopened, 0);
	engine_drain(p->engine, p->now + 30000, p->now);
	peer_finish(p);
	assert_int_equal(p->nmails, 1);
	peer_free(p);
}

static void drain__time_is_over__open_connections_are_named_and_all_is_told(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com, b@example.com");
	uint64_t start = p->now, i;
	size_t n;

	(void)state;
	p->maxconn = 2;
	p->plain = true;
	p->rules[0] = (struct peer_rule){ NULL, AT_MESSAGE, "mute", PEER_MUTE, 1 };
	p->rules[1] = (struct peer_rule){ NULL, AT_RCPT, "<b@", PEER_MUTE, 1 };
	peer_mailer(p, be, "mx1:25");
	peer_raise(p, be, 1, "rcpt");
	peer_raise(p, be, 2, "mute");
	for (i = 0; i < 10; i++)
		peer_raise(p, be, 3, "waits");
	p->rules[0].match = NULL;
	engine_drain(p->engine, start + 8000, start);
	peer_run(p);
	assert_int_equal(p->nopen, 2);
	assert_int_equal(engine_deadline(p->engine, p->now), start + 8000);
	peer_tick(p, start + 7999);
	assert_int_equal(p->nopen, 2);
	peer_wait(p);
	assert_int_equal(p->nopen, 0); /* cut, and none opened */
	assert_int_equal(engine_connect(p->engine, p->now), -1);
	assert_true(engine_busy(p->engine));
	assert_int_equal(engine_abandon(p->engine, 4, p->now), 4);
	for (n = 4; engine_busy(p->engine); n++)
		assert_int_equal(engine_abandon(p->engine, 1, p->now), 1);
	assert_int_equal(engine_abandon(p->engine, 100, p->now), 0);
	peer_logs(p);
	assert_int_equal(peer_stats(p).abandoned, 24);
	assert_int_equal(n, 10); /* the two others left with their connections */
	assert_int_equal(peer_logged(p, "<3> mailers: be/s3 via mx1:25 (mx1:25): not sent for 2 recipients "
	                             "(<a@example.com>, <b@example.com>) after 8.000s, abandoned: "), 10);
	assert_int_equal(peer_logged(p, "abandoned"), 12);
	assert_int_equal(peer_logged(p, ": waits\n"), 10);
	assert_int_equal(peer_logged(p, "unknown whether accepted at message for 2 recipients (<a@example.com>, "
	                             "<b@example.com>) after 8.000s, try 1, abandoned: no reply: "), 1);
	sums(p);
	peer_free(p);
}

static void drain__host_does_not_release__is_asked_again(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");
	uint64_t start = p->now;
	int i;

	(void)state;
	p->rules[0] = (struct peer_rule){ NULL, AT_GREETING, NULL, PEER_MUTE, 0 };
	peer_mailer(p, be, "mx1:25");
	peer_raise(p, be, 1, "x");
	peer_run(p);
	engine_drain(p->engine, start + 1000, start);
	for (i = 0; i < 3; i++) {
		uint64_t at = start + 1000 + (uint64_t)i * ENGINE_RELEASE_MS;

		assert_int_equal(engine_deadline(p->engine, p->now), at);
		p->now = at;
		engine_tick(p->engine, at);
		assert_int_equal(engine_expired(p->engine), 0);
		assert_int_equal(engine_expired(p->engine), -1);
	}
	peer_release(p, 0);
	assert_int_equal(engine_abandon(p->engine, 100, p->now), 1);
	assert_int_equal(engine_deadline(p->engine, p->now), UINT64_MAX);
	sums(p);
	peer_free(p);
}

static void abandon__log_is_full__goes_on_when_its_lines_were_taken(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");
	size_t i, n, rounds = 0;

	(void)state;
	peer_mailer(p, be, "mx1:25");
	for (i = 0; i < 10000; i++)
		peer_raise(p, be, i, "x");
	engine_drain(p->engine, p->now, p->now);
	for (n = 0; engine_busy(p->engine); rounds++) {
		n += engine_abandon(p->engine, SIZE_MAX, p->now);
		p->log_len = 0;
		peer_logs(p);
		assert_int_equal(peer_logged(p, "log lines lost"), 0);
	}
	assert_int_equal(n, 10000);
	assert_true(rounds < 10);
	sums(p);
	peer_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(drain__server_away_for_a_while__is_tried_each_second),
		cmocka_unit_test(drain__deferred_alerts__are_tried_at_once_and_each_second),
		cmocka_unit_test(drain__nothing_queued__cuts_probes_and_ends),
		cmocka_unit_test(drain__paused_by_command__is_sent_all_the_same),
		cmocka_unit_test(drain__time_is_over__open_connections_are_named_and_all_is_told),
		cmocka_unit_test(drain__host_does_not_release__is_asked_again),
		cmocka_unit_test(abandon__log_is_full__goes_on_when_its_lines_were_taken),
	};

	return cmocka_run_group_tests_name("engine drain", tests, NULL, NULL);
}
