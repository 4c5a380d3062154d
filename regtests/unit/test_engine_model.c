/* The engine before servers that fail at random, at every stage and in every way: whatever happens, the mails
 * of one server of HAProxy's reach each recipient in the order of its events, and each alert is accepted,
 * refused, given up or dropped for each recipient, exactly once, and said so.
 */
#include "engine_peer.h"

enum { PROXIES = 2, SERVERS = 8, EVENTS = 600, MAILERS = 2 };

static uint64_t draw(struct peer *p, uint64_t n)
{
	p->random ^= p->random << 13;
	p->random ^= p->random >> 7;
	p->random ^= p->random << 17;
	return p->random % n;
}

/* One in 20 replies is another than a correct server's. */
static const char *chaos(struct peer *p, const char *address, enum peer_stage at)
{
	static const char *const replies[] = {
		"450 4.3.0 later", "451 4.7.1 greylisted", "452 4.5.3 enough", "550 5.1.1 no such user",
		"554 5.6.0 no", "530 5.7.0 who are you", "503 5.5.1 what", "421 4.3.2 bye", "garbage", "354 what",
		PEER_CLOSE, PEER_MUTE,
	};

	(void)address;
	if (draw(p, 20))
		return NULL;
	if (at == AT_CONNECT)
		return draw(p, 2) ? PEER_CLOSE : PEER_MUTE;
	if (at == AT_MESSAGE && !draw(p, 4))
		return PEER_TAKE_CLOSE;
	return replies[draw(p, sizeof(replies) / sizeof(*replies))];
}

/* The servers' order: for each (mailer, recipient, proxy, server) no number comes after a larger one. A mail
 * may come twice in a row, when the server took it and did not say so. Returns how often one did.
 */
static size_t check_order(const struct peer *p, size_t nrcpt)
{
	static int last[MAILERS][3][PROXIES][SERVERS];
	size_t i, twice = 0;

	memset(last, 0, sizeof(last));
	for (i = 0; i < p->nmails; i++) {
		const struct peer_mail *m = &p->mails[i];
		int proxy, server, number, *before;

		assert_int_equal(sscanf(m->text, "%d %d %d", &proxy, &server, &number), 3);
		assert_true((size_t)(m->rcpt[0] - 'a') < nrcpt);
		before = &last[m->address[2] - '1'][m->rcpt[0] - 'a'][proxy][server];
		if (number < *before)
			fail_msg("%s at %s got %s after %d", m->rcpt, m->address, m->text, *before);
		twice += number == *before;
		*before = number;
	}
	return twice;
}

static void raise_some(struct peer *p, struct engine_proxy **proxies, int *numbers)
{
	size_t n = draw(p, 6);
	char text[32];

	while (n--) {
		int proxy = (int)draw(p, PROXIES), server = (int)draw(p, SERVERS);

		snprintf(text, sizeof(text), "%d %d %d", proxy, server, ++numbers[proxy * SERVERS + server]);
		peer_raise(p, proxies[proxy], (uint64_t)(proxy * SERVERS + server), text);
	}
}

static void run(enum peer_mode mode, bool plain, size_t limit, uint64_t seed)
{
	static const char *const to[] = { "a@example.com, b@example.com, c@example.com", "a@example.com" };
	struct peer *p = peer_new(mode);
	struct engine_proxy *proxies[PROXIES];
	int numbers[PROXIES * SERVERS] = { 0 };
	struct engine_stats s;
	size_t i, twice, fates, expected;

	engine_free(p->engine);
	p->engine = engine_new(&(struct engine_settings){ .token = "token", .limits.alerts = limit });
	p->plain = plain;
	p->random = seed;
	p->hook = chaos;
	for (i = 0; i < PROXIES; i++) {
		proxies[i] = peer_proxy(p, i ? "two" : "one", to[i]);
		peer_mailer(p, proxies[i], "mx1:25");
		peer_mailer(p, proxies[i], "mx2:25");
	}
	for (i = 0; i < EVENTS; i++) {
		raise_some(p, proxies, numbers);
		if (draw(p, 2))
			peer_run(p);
		if (draw(p, 3))
			peer_wait(p);
		else
			peer_tick(p, p->now + draw(p, 3000));
		assert_true(p->nopen <= MAILERS * (MAILER_MAXCONN + MAILER_LINGER_MAX));
		if (p->nmails > PEER_MAILS / 2)
			fail_msg("the servers took too much");
	}
	peer_finish(p);
	twice = check_order(p, 3);
	s = peer_stats(p);
	fates = s.accepted + s.refused + s.given_up;
	expected = 0;
	for (i = 0; i < PROXIES * SERVERS; i++)
		expected += (size_t)numbers[i] * MAILERS * (i < SERVERS ? 3 : 1);
	if (!limit) {
		assert_int_equal(s.dropped, 0);
		assert_int_equal(fates, expected);
		assert_true(s.accepted > expected / 4 && s.refused > 0 && s.given_up > 0);
	} else { /* a dropped alert may have been settled for some of its recipients */
		assert_true(s.dropped > 0);
		assert_true(fates + 3 * s.dropped >= expected && fates <= expected);
	}
	/* What the servers took they said, or it came again, or came to a bad end after it. */
	assert_true(p->nmails >= s.accepted && p->nmails - twice <= fates + 3 * s.dropped);
	peer_free(p);
}

static void order__servers_fail_at_random__is_kept(void **state)
{
	enum peer_mode mode;

	(void)state;
	for (mode = 0; mode < PEER_MODES; mode++) {
		run(mode, false, 0, 0x9E3779B97F4A7C15);
		run(mode, true, 0, 0xD6E8FEB86659FD93);
	}
}

static void order__servers_fail_at_random_and_queues_are_full__is_kept(void **state)
{
	(void)state;
	run(PEER_NEED, false, 12, 0xBF58476D1CE4E5B9);
	run(PEER_WHOLE, false, 3, 0x94D049BB133111EB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order__servers_fail_at_random__is_kept),
		cmocka_unit_test(order__servers_fail_at_random_and_queues_are_full__is_kept),
	};

	return cmocka_run_group_tests_name("engine model", tests, NULL, NULL);
}
