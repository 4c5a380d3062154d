/* The engine before servers that fail at random, at every stage and in every way, while it is paused,
 * flushed and ended: whatever happens, the mails of one server of HAProxy's reach each recipient in the
 * order of its events, and each alert is accepted, refused, given up, abandoned or dropped for each
 * recipient, exactly once, and said so.
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

/* The ways in which the runs differ. */
struct ways {
	enum peer_mode mode;
	bool plain;             /* no PIPELINING */
	bool chunking;
	size_t alerts;          /* bound of a queue; 0: the usual */
	bool failover;          /* the second server stands in for the first */
	bool drain;             /* at last the process ends, in a short time */
	unsigned limit;         /* mails for each recipient in 10 s; 0: any */
	uint64_t seed;
};

/* Was alert <i> taken before, from the same fold or mail? */
static bool was_taken(const struct peer *p, size_t i)
{
	const struct peer_mail *m = &p->alerts[i];

	while (i--) {
		if (!strcmp(p->alerts[i].rcpt, m->rcpt) && !strcmp(p->alerts[i].text, m->text))
			return true;
	}
	return false;
}

/* The servers' order: for each (mailer, recipient, proxy, server) no number comes after a larger one, and
 * with failover for each of them whatever the mailer. A mail may come twice, when the server took it and
 * did not say so; then all alerts of a fold do. Returns how many alerts did.
 */
static size_t check_order(const struct peer *p, const struct ways *ways)
{
	static int last[MAILERS][3][PROXIES][SERVERS];
	size_t i, twice = 0;

	memset(last, 0, sizeof(last));
	for (i = 0; i < p->nalerts; i++) {
		const struct peer_mail *m = &p->alerts[i];
		int proxy, server, number, *before;

		assert_int_equal(sscanf(m->text, "%d %d %d", &proxy, &server, &number), 3);
		assert_true((size_t)(m->rcpt[0] - 'a') < 3);
		before = &last[ways->failover ? 0 : m->address[2] - '1'][m->rcpt[0] - 'a'][proxy][server];
		if (number < *before && (!ways->limit || !was_taken(p, i)))
			fail_msg("%s at %s got %s after %d", m->rcpt, m->address, m->text, *before);
		twice += number <= *before;
		*before = number > *before ? number : *before;
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

/* Paused, resumed, flushed: now and then. */
static void command_some(struct peer *p)
{
	const char *name = draw(p, 2) ? "mx1:25" : "mx2:25";

	switch (draw(p, 40)) {
	case 0:
		engine_pause(p->engine, name, p->now);
		break;
	case 1:
	case 2:
		engine_resume(p->engine, name, p->now);
		break;
	case 3:
		engine_flush(p->engine, name, p->now);
		break;
	default:
		break;
	}
}

/* All is sent, or the process ends in half a minute. */
static void finish(struct peer *p, bool drain)
{
	uint64_t until = p->now + 30000;

	engine_resume(p->engine, NULL, p->now);
	if (!drain) {
		peer_finish(p);
		return;
	}
	engine_drain(p->engine, until, p->now);
	peer_run(p);
	while (peer_stats(p).connections || (engine_busy(p->engine) && p->now < until))
		assert_true(peer_wait(p));
	while (engine_abandon(p->engine, 100, p->now))
		peer_logs(p);
}

static void run(const struct ways *ways)
{
	static const char *const to[] = { "a@example.com, b@example.com, c@example.com", "a@example.com" };
	struct peer *p = peer_new(ways->mode);
	struct engine_proxy *proxies[PROXIES];
	int numbers[PROXIES * SERVERS] = { 0 };
	size_t i, twice, expected = 0;
	struct engine_stats s;

	engine_free(p->engine);
	p->engine = engine_new(&(struct engine_settings){ .token = "token", .limits.alerts = ways->alerts,
	                                                  .max_age_ms = 600000 });
	p->plain = ways->plain;
	p->chunking = ways->chunking;
	p->random = ways->seed;
	p->hook = chaos;
	p->proxy.mode = ways->failover ? ENGINE_MODE_FAILOVER : ENGINE_MODE_ALL;
	p->proxy.limit_mails = ways->limit;
	p->proxy.limit_per_ms = 10000;
	for (i = 0; i < PROXIES; i++) {
		proxies[i] = peer_proxy(p, i ? "two" : "one", to[i]);
		peer_mailer(p, proxies[i], "mx1:25");
		peer_mailer(p, proxies[i], "mx2:25");
	}
	for (i = 0; i < EVENTS; i++) {
		raise_some(p, proxies, numbers);
		command_some(p);
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
	finish(p, ways->drain);
	twice = check_order(p, ways);
	s = peer_stats(p);
	for (i = 0; i < PROXIES * SERVERS; i++)
		expected += (size_t)numbers[i] * (ways->failover ? 1 : MAILERS) * (i < SERVERS ? 3 : 1);
	assert_int_equal(s.recipients, expected);
	assert_int_equal(s.accepted + s.refused + s.given_up + s.abandoned + s.lost, expected);
	assert_int_equal(s.dropped > 0, ways->alerts > 0);
	assert_true(s.accepted > 0 && s.refused > 0);
	assert_true(ways->drain ? !engine_busy(p->engine) : !s.abandoned);
	/* What the servers took they said, or it came again, or came to a bad end after it. */
	assert_true(p->nalerts >= s.accepted && p->nalerts - twice <= expected - s.refused);
	assert_int_equal(s.folded > 0, ways->limit > 0);
	peer_free(p);
}

static void order__servers_fail_at_random__is_kept(void **state)
{
	enum peer_mode mode;

	(void)state;
	for (mode = 0; mode < PEER_MODES; mode++) {
		run(&(struct ways){ .mode = mode, .seed = 0x9E3779B97F4A7C15 });
		run(&(struct ways){ .mode = mode, .plain = true, .seed = 0xD6E8FEB86659FD93 });
		run(&(struct ways){ .mode = mode, .chunking = true, .seed = 0xA0761D6478BD642F });
		run(&(struct ways){ .mode = mode, .chunking = true, .plain = true, .seed = 0xE7037ED1A0B428DB });
	}
}

static void order__servers_fail_at_random_and_queues_are_full__is_kept(void **state)
{
	(void)state;
	run(&(struct ways){ .mode = PEER_NEED, .alerts = 12, .seed = 0xBF58476D1CE4E5B9 });
	run(&(struct ways){ .mode = PEER_WHOLE, .alerts = 3, .seed = 0x94D049BB133111EB });
}

static void order__servers_stand_in_for_each_other__is_kept(void **state)
{
	enum peer_mode mode;

	(void)state;
	for (mode = 0; mode < PEER_MODES; mode++) {
		run(&(struct ways){ .mode = mode, .failover = true, .seed = 0x2545F4914F6CDD1D + mode });
		run(&(struct ways){ .mode = mode, .failover = true, .drain = true, .chunking = true,
		                    .seed = 0xDA942042E4DD58B5 + mode });
	}
	run(&(struct ways){ .failover = true, .alerts = 5, .drain = true, .seed = 0x369DEA0F31A53F85 });
}

static void order__mails_are_limited__is_kept(void **state)
{
	enum peer_mode mode;

	(void)state;
	for (mode = 0; mode < PEER_MODES; mode++) {
		run(&(struct ways){ .mode = mode, .limit = 3, .seed = 0x71374491428A2F98 + mode });
		run(&(struct ways){ .mode = mode, .limit = 2, .failover = true, .drain = true, .chunking = true,
		                    .seed = 0xB5C0FBCFEC4D3B2F + mode });
		run(&(struct ways){ .mode = mode, .limit = 5, .alerts = 20, .seed = 0xE9B5DBA58189DBBC + mode });
	}
}

static void fates__process_ends_in_the_middle__add_up(void **state)
{
	enum peer_mode mode;

	(void)state;
	for (mode = 0; mode < PEER_MODES; mode++) {
		run(&(struct ways){ .mode = mode, .drain = true, .seed = 0x106689D45497FDB5 + mode });
		run(&(struct ways){ .mode = mode, .drain = true, .alerts = 12, .seed = 0x3C6EF372FE94F82A + mode });
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order__servers_fail_at_random__is_kept),
		cmocka_unit_test(order__servers_fail_at_random_and_queues_are_full__is_kept),
		cmocka_unit_test(order__servers_stand_in_for_each_other__is_kept),
		cmocka_unit_test(order__mails_are_limited__is_kept),
		cmocka_unit_test(fates__process_ends_in_the_middle__add_up),
	};

	return cmocka_run_group_tests_name("engine model", tests, NULL, NULL);
}
