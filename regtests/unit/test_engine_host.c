/* Unit tests of engine: hosts that cut, leave or free at any time, and memory that runs out. */
#include "engine_peer.h"

static void expired__each_once__is_cut_by_the_host(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");
	uint64_t start = p->now;

	(void)state;
	p->rules[0] = (struct peer_rule){ NULL, AT_GREETING, NULL, PEER_MUTE, 0 };
	peer_mailer(p, be, "mx1:25");
	peer_raise(p, be, 1, "x");
	peer_raise(p, be, 2, "y");
	peer_run(p);
	assert_int_equal(engine_deadline(p->engine, p->now), start + 10000);
	engine_tick(p->engine, start + 9999);
	assert_int_equal(engine_expired(p->engine), -1);
	engine_tick(p->engine, start + 10000);
	assert_int_equal(engine_expired(p->engine), 0);
	assert_int_equal(engine_expired(p->engine), 1);
	assert_int_equal(engine_expired(p->engine), -1);
	engine_tick(p->engine, start + 10001);
	assert_int_equal(engine_expired(p->engine), -1);
	assert_int_equal(engine_want(p->engine, 0), ENGINE_WANT_CLOSE);
	assert_string_equal(engine_address(p->engine, 1), "mx1:25");
	engine_free(p->engine);
}

/* A host whose task ended just before the release held the place for ever. */
static void over_and_not_released__after_a_while__is_named_again(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");
	uint64_t start = p->now, id;
	int slot;

	(void)state;
	peer_mailer(p, be, "mx1:25");
	peer_raise(p, be, 1, "x");
	slot = engine_connect(p->engine, start);
	id = engine_connection_id(p->engine, slot);
	assert_int_not_equal(id, 0);
	engine_eof(p->engine, slot, start);
	assert_true(engine_deadline(p->engine, start) <= start + ENGINE_RELEASE_MS);
	engine_tick(p->engine, start + ENGINE_RELEASE_MS - 1);
	assert_int_equal(engine_expired(p->engine), -1);
	engine_tick(p->engine, start + ENGINE_RELEASE_MS);
	assert_int_equal(engine_expired(p->engine), slot);
	assert_int_equal(engine_expired(p->engine), -1);
	engine_tick(p->engine, start + 2 * ENGINE_RELEASE_MS);
	assert_int_equal(engine_expired(p->engine), slot);
	engine_release(p->engine, slot, start + 2 * ENGINE_RELEASE_MS);
	assert_int_equal(engine_connection_id(p->engine, slot), 0);
	assert_int_equal(engine_connect(p->engine, start + 2 * ENGINE_RELEASE_MS), slot);
	assert_int_not_equal(engine_connection_id(p->engine, slot), id);
	engine_free(p->engine);
}

static void slot__not_in_use__is_harmless(void **state)
{
	static const int slots[] = { -1, 0, 3, 15, 16, 1000 };
	struct peer *p = peer_new(PEER_NEED);
	const char *data;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(slots) / sizeof(*slots); i++) {
		engine_connected(p->engine, slots[i], 1);
		engine_feed(p->engine, slots[i], "x", 1, 1);
		engine_ack(p->engine, slots[i], 1, 1);
		engine_eof(p->engine, slots[i], 1);
		engine_release(p->engine, slots[i], 1);
		assert_int_equal(engine_want(p->engine, slots[i]), ENGINE_WANT_CLOSE);
		assert_int_equal(engine_need(p->engine, slots[i]), 0);
		assert_int_equal(engine_peek(p->engine, slots[i], &data), 0);
		assert_string_equal(engine_address(p->engine, slots[i]), "");
		assert_string_equal(engine_mailer_name(p->engine, slots[i]), "");
		assert_int_equal(engine_connection_id(p->engine, slots[i]), 0);
	}
	peer_free(p);
}

/* Two alerts for two recipients, and then <acts> acts of the host. False when there was nothing more to do.
 */
static bool some_acts(struct peer *p, struct engine_proxy **be, size_t acts)
{
	size_t n = 0;
	int slot;

	*be = peer_proxy(p, "be", "a@example.com, b@example.com");
	peer_mailer(p, *be, "mx1:25");
	p->maxconn = 1;
	peer_mailer(p, *be, "mx2:25");
	peer_raise(p, *be, 1, "one");
	peer_raise(p, *be, 1, "two");
	peer_raise(p, *be, 2, "other");
	while (peer_connect(p) || p->nopen) {
		for (slot = 0; slot < PEER_SLOTS; slot++) {
			if (!p->slots[slot].open)
				continue;
			if (n++ == acts)
				return true;
			assert_true(peer_step(p, slot));
		}
	}
	return false;
}

static void host__releases_in_any_state__nothing_is_lost(void **state)
{
	static const char *const addresses[] = { "mx1:25", "mx2:25" }, *const texts[] = { "one", "two", "other" };
	static const char *const rcpts[] = { "a@example.com", "b@example.com" };
	bool more = true;
	size_t acts;

	(void)state;
	for (acts = 0; more; acts++) {
		struct peer *p = peer_new(PEER_BYTES);
		struct engine_proxy *be;
		int slot;
		size_t i;

		more = some_acts(p, &be, acts);
		for (slot = 0; slot < PEER_SLOTS; slot++) {
			if (p->slots[slot].open)
				peer_release(p, slot);
		}
		assert_int_equal(peer_stats(p).connections, 0);
		peer_finish(p);
		for (i = 0; i < 12; i++)
			assert_true(peer_took(p, addresses[i / 6], rcpts[i / 3 % 2], texts[i % 3]) > 0);
		assert_int_equal(peer_stats(p).accepted, 12);
		assert_int_equal(peer_stats(p).given_up + peer_stats(p).refused, 0);
		peer_free(p);
	}
	assert_true(acts > 1000);
}

static void engine__freed_in_any_state__leaves_nothing(void **state)
{
	bool more = true;
	size_t acts;

	(void)state;
	for (acts = 0; more; acts += 7) {
		struct peer *p = peer_new(PEER_BYTES);
		struct engine_proxy *be;

		more = some_acts(p, &be, acts);
		engine_free(p->engine); /* what is left, a leak checker finds */
	}
}

/* --- memory --- */

static void memory__any_allocation_fails__no_alert_is_lost_silently(void **state)
{
	bool failed = true;
	long n;

	(void)state;
	for (n = 0; failed; n++) {
		struct peer *p = peer_new(PEER_WHOLE);
		struct engine_proxy *be = peer_proxy(p, "be", "a@example.com, b@example.com");
		struct engine_stats s;
		uint64_t i;

		p->rules[0] = (struct peer_rule){ NULL, AT_RCPT, "<b@", "450 later", 1 };
		p->rules[1] = (struct peer_rule){ "mx1:25", AT_RCPT, "<a@", "550 never", 1 };
		p->rules[2] = (struct peer_rule){ "mx2:25", AT_MESSAGE, NULL, PEER_CLOSE, 1 };
		peer_mailer(p, be, "mx1:25");
		peer_mailer(p, be, "mx2:25");
		peer_ready(p, be);
		unit_fail_at(n);
		for (i = 0; i < 6; i++)
			peer_raise(p, be, i / 2, "x");
		peer_finish(p);
		failed = unit_failed();
		s = peer_stats(p);
		assert_int_equal(s.raised, 12);
		assert_int_equal(s.accepted + s.refused + s.given_up + 2 * s.dropped, 24);
		assert_int_equal(s.given_up, 0); /* one moment without memory is not the end of an alert */
		assert_true(s.dropped <= (failed ? 2 : 0));
		assert_int_equal(p->nmails, s.accepted);
		peer_tick(p, p->now + ENGINE_BURST_MS);
		assert_int_equal(peer_logged(p, "memory is short"), s.dropped);
		peer_free(p);
	}
	assert_true(n > 100);
}

static void memory__short_when_a_connection_is_opened__is_tried_again(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");

	(void)state;
	peer_mailer(p, be, "mx1:25");
	peer_raise(p, be, 1, "x");
	unit_fail_at(0);
	assert_int_equal(engine_connect(p->engine, p->now), -1);
	assert_true(unit_failed());
	assert_true(engine_deadline(p->engine, p->now) <= p->now + 1000);
	peer_finish(p);
	assert_int_equal(p->nmails, 1);
	peer_free(p);
}

static void memory__short_when_a_mail_is_submitted__holds_it_for_a_pause_alone(void **state)
{
	size_t held = 0;
	bool failed = true;
	long n;

	(void)state;
	for (n = 0; failed; n++) {
		struct peer *p = peer_new(PEER_NEED);
		struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");
		uint64_t start = p->now;

		p->rules[0] = (struct peer_rule){ NULL, AT_MESSAGE, "slow", PEER_MUTE, 1 };
		p->maxconn = 1;
		peer_mailer(p, be, "mx1:25");
		peer_raise(p, be, 1, "slow");
		peer_raise(p, be, 2, "two"); /* on the way behind it, but for the lack of memory */
		unit_fail_at(n);
		peer_run(p);
		failed = unit_failed();
		held += p->slots[0].mute && engine_deadline(p->engine, p->now) == start + 1000;
		while (!peer_took(p, NULL, NULL, "two"))
			assert_true(peer_wait(p));
		assert_true(p->now <= start + 11000);
		peer_finish(p);
		assert_int_equal(p->nmails, 2);
		peer_free(p);
	}
	assert_true(held > 0);
}

static void memory__short_but_another_connection_did_the_work__is_forgotten(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");

	(void)state;
	peer_mailer(p, be, "mx1:25");
	peer_raise(p, be, 1, "one");
	assert_true(peer_connect(p));
	peer_raise(p, be, 2, "two");
	unit_fail_at(0);
	assert_int_equal(engine_connect(p->engine, p->now), -1);
	assert_true(unit_failed());
	while (p->nopen)
		assert_true(peer_step(p, 0));
	assert_int_equal(p->nmails, 2);
	peer_tick(p, p->now + ENGINE_RETRY_MS);
	assert_int_equal(engine_deadline(p->engine, p->now), UINT64_MAX);
	peer_free(p);
}

static void message__too_large_for_a_session__is_given_up_alone(void **state)
{
	static char huge[SMTP_CLIENT_MESSAGE_MAX + 1];
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");

	(void)state;
	memset(huge, 'x', sizeof(huge) - 1);
	peer_mailer(p, be, "mx1:25");
	peer_raise(p, be, 1, huge);
	peer_raise(p, be, 1, "one");
	peer_run(p);
	assert_string_equal(peer_order(p, "a@example.com"), "one");
	assert_int_equal(peer_stats(p).given_up, 1);
	assert_int_equal(peer_logged(p, "try 1, given up: limit reached: xxx"), 1);
	assert_int_equal(p->nopened, 1);
	peer_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(expired__each_once__is_cut_by_the_host),
		cmocka_unit_test(over_and_not_released__after_a_while__is_named_again),
		cmocka_unit_test(slot__not_in_use__is_harmless),
		cmocka_unit_test(host__releases_in_any_state__nothing_is_lost),
		cmocka_unit_test(engine__freed_in_any_state__leaves_nothing),
		cmocka_unit_test(memory__any_allocation_fails__no_alert_is_lost_silently),
		cmocka_unit_test(memory__short_when_a_connection_is_opened__is_tried_again),
		cmocka_unit_test(memory__short_when_a_mail_is_submitted__holds_it_for_a_pause_alone),
		cmocka_unit_test(memory__short_but_another_connection_did_the_work__is_forgotten),
		cmocka_unit_test(message__too_large_for_a_session__is_given_up_alone),
	};

	return cmocka_run_group_tests_name("engine host", tests, NULL, NULL);
}
