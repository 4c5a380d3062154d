/* Unit tests of engine: summaries. */
#include "engine_peer.h"
#include "engine_talk.h"

#define DATE "Wed, 30 Sep 2026 16:%02u:%02u +0000 (UTC)"

/* A proxy of mx1 whose alerts wait 30 s for others, at most 5 min, unless p->proxy.summary says something else. */
static struct engine_proxy *summed(struct peer *p, const char *name, const char *to)
{
	struct engine_proxy *be;

	if (!p->proxy.summary.wait_ms) {
		p->proxy.summary.wait_ms = 30000;
		p->proxy.summary.max_wait_ms = 300000;
	}
	be = peer_proxy(p, name, to);
	peer_mailer(p, be, "mx1:25");
	peer_ready(p, be);
	return be;
}

/* Server <n> of <be> changes. Dates tell the time since the start. */
static void tell(struct peer *p, struct engine_proxy *be, int n, enum alert_change change)
{
	struct alert_text what = {
		.level = change == ALERT_CHANGE_DOWN ? ALERT_LEVEL_ALERT : ALERT_LEVEL_NOTICE,
		.kind = change == ALERT_CHANGE_CHECK ? ALERT_KIND_CHECK : ALERT_KIND_STATE, .change = change,
	};
	unsigned s = (unsigned)(p->now / 1000 - 1000);
	char name[64], text[128], date[64];

	snprintf(name, sizeof(name), "%s/s%d", engine_proxy_name(be), n);
	snprintf(text, sizeof(text), "Server %s is %s.", name, alert_change_name(change));
	snprintf(date, sizeof(date), DATE, s / 60 % 60, s % 60);
	engine_raise(p->engine, be, (uint64_t)n | (uint64_t)(uintptr_t)be << 16, name, &what, text, strlen(text), date,
	             p->now);
	peer_run(p);
}

/* Subject and body of the last mail. */
static void check_last(const struct peer *p, const char *subject, const char *body)
{
	char text[2048];
	const char *at;

	snprintf(text, sizeof(text), "\r\nSubject: [HAProxy Alert] %s\r\n", subject);
	if (!strstr(p->last, text))
		fail_msg("no subject '%s' in: %s", subject, p->last);
	at = strstr(p->last, "\r\n\r\n") + 4;
	while (*body) {
		size_t n = strcspn(body, "\n");

		if (strncmp(at, body, n) || strncmp(at + n, "\r\n", 2))
			fail_msg("at '%s' in: %s", body, p->last);
		at += n + 2;
		body += n + (body[n] == '\n');
	}
	assert_string_equal(at, "\r\n");
}

static void summary__outage__is_one_mail(void **state)
{
	enum peer_mode mode;

	(void)state;
	for (mode = 0; mode < PEER_MODES; mode++) {
		struct peer *p = peer_new(mode);
		struct engine_proxy *be = summed(p, "rack", "a@example.com");

		tell(p, be, 1, ALERT_CHANGE_DOWN);
		p->now += 1000;
		tell(p, be, 2, ALERT_CHANGE_DOWN);
		tell(p, be, 3, ALERT_CHANGE_DRAIN);
		p->now += 9000;
		tell(p, be, 1, ALERT_CHANGE_CHECK);
		tell(p, be, 1, ALERT_CHANGE_UP);
		assert_int_equal(p->nopened, 0);
		assert_int_equal(peer_stats(p).queued, 5);
		peer_tick(p, p->now + 29999);
		assert_int_equal(p->nopened, 0);
		assert_int_equal(engine_deadline(p->engine, p->now), p->now + 1);
		peer_finish(p);
		assert_int_equal(p->now, 1000000 + 10000 + 30000);
		assert_int_equal(p->nmails, 1);
		check_last(p, "5 alerts: 1 server down, 1 up (rack)",
		           "5 alerts in 3 groups: 4 state changes, 1 check report\n"
		           "Oldest: Wed, 30 Sep 2026 16:00:00 +0000 (UTC)\n"
		           "Newest: Wed, 30 Sep 2026 16:00:10 +0000 (UTC)\n"
		           "\n"
		           "Down now: 1 server\n"
		           "    rack/s2 since Wed, 30 Sep 2026 16:00:01 +0000 (UTC)\n"
		           "\n"
		           "rack/s1: 3 alerts, Wed, 30 Sep 2026 16:00:00 +0000 (UTC) to Wed, 30 Sep 2026 16:00:10 +0000 (UTC)\n"
		           "    Server rack/s1 is up.\n"
		           "\n"
		           "rack/s2: 1 alert, Wed, 30 Sep 2026 16:00:01 +0000 (UTC)\n"
		           "    Server rack/s2 is down.\n"
		           "\n"
		           "rack/s3: 1 alert, Wed, 30 Sep 2026 16:00:01 +0000 (UTC)\n"
		           "    Server rack/s3 is drain.");
		assert_non_null(strstr(p->last, "\r\nDate: Wed, 30 Sep 2026 16:00:10 +0000 (UTC)\r\n"));
		assert_int_equal(peer_stats(p).accepted, 5);
		assert_int_equal(peer_stats(p).folded, 5);
		peer_free(p);
	}
}

/* What a proxy without a summary sends. */
static const char *ordinary(int server)
{
	static char mail[sizeof(peer_one.last)];
	struct peer *p = peer_new(PEER_WHOLE);
	struct engine_proxy *be = peer_proxy(p, "rack", "a@example.com, b@example.com");

	peer_mailer(p, be, "mx1:25");
	tell(p, be, server, ALERT_CHANGE_DOWN);
	peer_finish(p);
	memcpy(mail, p->last, sizeof(mail));
	peer_free(p);
	return mail;
}

static void summary__one_alert_alone__is_the_ordinary_mail(void **state)
{
	const char *expected = ordinary(1);
	struct peer *p = peer_new(PEER_WHOLE);
	struct engine_proxy *be = summed(p, "rack", "a@example.com, b@example.com");

	(void)state;
	tell(p, be, 1, ALERT_CHANGE_DOWN);
	peer_finish(p);
	assert_int_equal(p->now, 1030000);
	assert_int_equal(p->nmails, 2);
	assert_string_equal(p->last, expected);
	assert_int_equal(peer_stats(p).folded, 0);
	peer_free(p);
}

static void summary__recipients__get_one_each(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = summed(p, "rack", "a@example.com, b@example.com, c@example.com");
	int i;

	(void)state;
	for (i = 0; i < 20; i++)
		tell(p, be, i, ALERT_CHANGE_DOWN);
	peer_finish(p);
	assert_int_equal(p->nmails, 3);
	assert_int_equal(peer_took(p, NULL, "b@example.com", "20 alerts in 20 groups: 20 state changes, 0 check reports"), 1);
	assert_int_equal(peer_stats(p).accepted, 60);
	peer_free(p);
}

static void summary__two_proxies__have_one_each(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *one = summed(p, "one", "a@example.com"), *two = summed(p, "two", "a@example.com");
	int i;

	(void)state;
	for (i = 0; i < 10; i++) {
		tell(p, one, i, ALERT_CHANGE_DOWN);
		tell(p, two, i, ALERT_CHANGE_DOWN);
	}
	peer_finish(p);
	assert_int_equal(p->nmails, 2);
	assert_int_equal(peer_took(p, NULL, NULL, "10 alerts in 10 groups: 10 state changes, 0 check reports"), 2);
	peer_free(p);
}

static void summary__batch_and_group__are_templates(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be;
	int i;

	(void)state;
	p->proxy.summary = (struct engine_summary_settings){ 1000, 1000, false, "%{server}", "%{state} of %{proxy}" };
	be = summed(p, "rack", "a@example.com");
	for (i = 0; i < 9; i++)
		tell(p, be, i % 2, i % 4 < 2 ? ALERT_CHANGE_DOWN : ALERT_CHANGE_UP);
	peer_finish(p);
	assert_int_equal(p->nmails, 2);
	check_last(p, "4 alerts: 0 servers down, 1 up (rack)",
	           "4 alerts in 2 groups: 4 state changes, 0 check reports\n"
	           "Oldest: Wed, 30 Sep 2026 16:00:00 +0000 (UTC)\n"
	           "Newest: Wed, 30 Sep 2026 16:00:00 +0000 (UTC)\n"
	           "\n"
	           "Down now: 0 servers\n"
	           "\n"
	           "DOWN of rack: 2 alerts, Wed, 30 Sep 2026 16:00:00 +0000 (UTC) to Wed, 30 Sep 2026 16:00:00 +0000 (UTC)\n"
	           "    Server rack/s1 is down.\n"
	           "\n"
	           "UP of rack: 2 alerts, Wed, 30 Sep 2026 16:00:00 +0000 (UTC) to Wed, 30 Sep 2026 16:00:00 +0000 (UTC)\n"
	           "    Server rack/s1 is up.");
	peer_free(p);
}

static void summary__batch_of_several_proxies__is_one_mail(void **state)
{
	static const char *const names[] = { "web", "db", "a-name-that-is-rather-long-and-leaves-no-room-for-those-behind-it-in-"
	                                     "the-subject-of-the-mail", "api", "static" };
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be[5], *alone;
	int i;

	(void)state;
	p->proxy.summary = (struct engine_summary_settings){ 1000, 1000, false, "all of them", "%{proxy}" };
	for (i = 0; i < 5; i++) {
		be[i] = peer_proxy(p, names[i], "a@example.com, b@example.com");
		peer_mailer(p, be[i], "mx1:25");
		peer_mailer(p, be[i], i % 2 ? "mx2:25" : "mx1:25"); /* some have one twice */
		peer_ready(p, be[i]);
	}
	alone = summed(p, "alone", "a@example.com");
	for (i = 0; i < 10; i++)
		tell(p, be[i % 5], i / 5, i == 6 ? ALERT_CHANGE_UP : ALERT_CHANGE_DOWN);
	tell(p, alone, 1, ALERT_CHANGE_DOWN);
	peer_finish(p);
	assert_int_equal(peer_took(p, "mx1:25", "a@example.com", "Server alone/s1 is down."), 1);
	for (i = 0; i < 2; i++) {
		const char *rcpt = i ? "a@example.com" : "b@example.com";

		assert_int_equal(peer_took(p, "mx1:25", rcpt, "10 alerts in 5 groups: 10 state changes, 0 check reports"),
		                 1);
		assert_int_equal(peer_took(p, "mx2:25", rcpt, "4 alerts in 2 groups: 4 state changes, 0 check reports"), 1);
		assert_int_equal(peer_took(p, "mx1:25", rcpt, "2 alerts in 1 group: 2 state changes, 0 check reports"), 3);
	}
	assert_int_equal(peer_stats(p).accepted, 2 * 20 + 1);
	assert_int_equal(p->nmails, 1 + 2 * 5);
	peer_free(p);
}

static void summary__subject__names_proxies_while_they_fit(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be;
	char name[32];
	int i;

	(void)state;
	p->proxy.summary = (struct engine_summary_settings){ 1000, 1000, false, "%%", "all" };
	for (i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "backend%d", i);
		be = summed(p, name, "a@example.com");
		tell(p, be, 1, i % 2 ? ALERT_CHANGE_DOWN : ALERT_CHANGE_UP);
		tell(p, be, 2, ALERT_CHANGE_DOWN);
	}
	peer_finish(p);
	assert_int_equal(p->nmails, 1);
	assert_non_null(strstr(p->last, "\r\nSubject: [HAProxy Alert] 80 alerts: 60 servers down, 20 up (backend0, "
	                                "backend1, backend2, backend3, backend4, backend5, backend6, backend7, "
	                                "backend8, backend9, backend10 and 29 more)\r\n"));
	peer_free(p);
}

static void summary__max_wait__ends_a_storm(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = summed(p, "rack", "a@example.com");
	int i;

	(void)state;
	for (i = 0; i < 100; i++) {
		tell(p, be, i % 7, i % 14 < 7 ? ALERT_CHANGE_DOWN : ALERT_CHANGE_UP);
		peer_tick(p, p->now + 10000);
	}
	assert_int_equal(p->nmails, 3);
	assert_int_equal(peer_took(p, NULL, NULL, "30 alerts in 7 groups: 30 state changes, 0 check reports"), 3);
	peer_finish(p);
	assert_int_equal(p->nmails, 4);
	peer_free(p);
}

static void summary__first_now__first_is_ordinary(void **state)
{
	const char *expected = ordinary(1);
	struct peer *p = peer_new(PEER_WHOLE);
	struct engine_proxy *be;

	(void)state;
	p->proxy.summary = (struct engine_summary_settings){ 30000, 300000, true, NULL, NULL };
	be = summed(p, "rack", "a@example.com, b@example.com");
	tell(p, be, 1, ALERT_CHANGE_DOWN);
	assert_int_equal(p->nmails, 2);
	assert_string_equal(p->last, expected);
	tell(p, be, 2, ALERT_CHANGE_DOWN);
	tell(p, be, 1, ALERT_CHANGE_UP);
	assert_int_equal(p->nmails, 2);
	peer_finish(p);
	assert_int_equal(p->now, 1030000);
	assert_int_equal(p->nmails, 4);
	assert_int_equal(peer_took(p, NULL, NULL, "2 alerts in 2 groups: 2 state changes, 0 check reports"), 2);
	tell(p, be, 3, ALERT_CHANGE_DOWN); /* none came for 30 s */
	assert_int_equal(p->nmails, 6);
	peer_free(p);
}

/* The first is deferred; what comes of its server stays behind it. */
static void summary__earlier_alert_deferred__keeps_the_order_of_its_server(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be;

	(void)state;
	p->proxy.summary = (struct engine_summary_settings){ 1000, 1000, true, NULL, "%{proxy}" };
	p->rules[0] = (struct peer_rule){ NULL, AT_MESSAGE, "is down.", "451 later", 1 };
	be = summed(p, "rack", "a@example.com");
	tell(p, be, 1, ALERT_CHANGE_DOWN);
	assert_int_equal(peer_stats(p).deferred, 1);
	tell(p, be, 1, ALERT_CHANGE_UP);
	tell(p, be, 2, ALERT_CHANGE_DRAIN);
	tell(p, be, 3, ALERT_CHANGE_UP);
	peer_tick(p, p->now + 1000);
	assert_int_equal(p->nmails, 1); /* of servers 2 and 3 */
	check_last(p, "2 alerts: 0 servers down, 1 up (rack)",
	           "2 alerts in 1 group: 2 state changes, 0 check reports\n"
	           "Oldest: Wed, 30 Sep 2026 16:00:00 +0000 (UTC)\n"
	           "Newest: Wed, 30 Sep 2026 16:00:00 +0000 (UTC)\n"
	           "\n"
	           "Down now: 0 servers\n"
	           "\n"
	           "rack: 2 alerts, Wed, 30 Sep 2026 16:00:00 +0000 (UTC) to Wed, 30 Sep 2026 16:00:00 +0000 (UTC)\n"
	           "    Server rack/s3 is up.");
	peer_finish(p);
	assert_int_equal(p->nmails, 3);
	assert_string_equal(p->mails[1].text, "Server rack/s1 is down.");
	assert_string_equal(p->mails[2].text, "Server rack/s1 is up.");
	peer_free(p);
}

static void summary__deferred__is_tried_again_with_what_came_since(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be;
	int i;

	(void)state;
	p->proxy.summary = (struct engine_summary_settings){ 1000, 1000, false, NULL, "%{proxy}" };
	p->rules[0] = (struct peer_rule){ NULL, AT_MESSAGE, NULL, "451 later", 1 };
	be = summed(p, "rack", "a@example.com");
	for (i = 0; i < 6; i++)
		tell(p, be, i, ALERT_CHANGE_DOWN);
	peer_tick(p, p->now + 1000);
	assert_int_equal(peer_stats(p).deferred, 6);
	for (i = 0; i < 6; i++)
		tell(p, be, i, ALERT_CHANGE_UP);
	peer_finish(p);
	assert_int_equal(p->nmails, 1);
	assert_string_equal(p->mails[0].text, "12 alerts in 1 group: 12 state changes, 0 check reports");
	assert_non_null(strstr(p->last, " alerts: 0 servers down, 6 up (rack)\r\n"));
	peer_free(p);
}

static void summary__drain__leaves_at_once(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = summed(p, "rack", "a@example.com");
	int i;

	(void)state;
	for (i = 0; i < 6; i++)
		tell(p, be, i, ALERT_CHANGE_DOWN);
	engine_drain(p->engine, p->now + 30000, p->now);
	peer_run(p);
	assert_int_equal(p->nmails, 1);
	assert_string_equal(p->mails[0].text, "6 alerts in 6 groups: 6 state changes, 0 check reports");
	tell(p, be, 6, ALERT_CHANGE_DOWN); /* and from then on nothing waits */
	assert_int_equal(p->nmails, 2);
	assert_string_equal(p->mails[1].text, "Server rack/s6 is down.");
	peer_free(p);
}

static void summary__abandoned__each_alert_is_told(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be;
	int i;

	(void)state;
	p->rules[0] = (struct peer_rule){ NULL, AT_CONNECT, NULL, PEER_CLOSE, 0 };
	be = summed(p, "rack", "a@example.com");
	for (i = 0; i < 6; i++)
		tell(p, be, i, ALERT_CHANGE_DOWN);
	engine_drain(p->engine, p->now, p->now);
	peer_run(p);
	assert_int_equal(engine_abandon(p->engine, 100, p->now), 6);
	peer_logs(p);
	assert_int_equal(peer_logged(p, ", abandoned: "), 6);
	peer_free(p);
}

static void summary__flush__leaves_at_once(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = summed(p, "rack", "a@example.com");
	int i;

	(void)state;
	for (i = 0; i < 6; i++)
		tell(p, be, i, ALERT_CHANGE_DOWN);
	engine_flush(p->engine, NULL, p->now);
	peer_run(p);
	assert_int_equal(p->nmails, 1);
	assert_int_equal(peer_stats(p).folded, 6);
	peer_free(p);
}

/* Each server is a batch of its own, so that none is full. */
static void summary__half_as_many_held_as_a_route_may_have__all_go(void **state)
{
	const struct engine_settings settings = { .token = "token", .limits = { .alerts = 100, .bytes = 1u << 20 } };
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be;
	int i;

	(void)state;
	engine_free(p->engine);
	p->engine = engine_new(&settings);
	p->proxy.summary = (struct engine_summary_settings){ 30000, 300000, false, "%{server}", NULL };
	be = summed(p, "rack", "a@example.com");
	for (i = 0; i < 50; i++)
		tell(p, be, i, ALERT_CHANGE_DOWN);
	assert_int_equal(p->nmails, 0);
	tell(p, be, 50, ALERT_CHANGE_DOWN);
	assert_int_equal(p->nmails, 50);
	assert_int_equal(peer_stats(p).queued, 1);
	peer_finish(p);
	assert_int_equal(peer_stats(p).accepted, 51);
	peer_free(p);
}

static void summary__too_old__is_given_up_as_any(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be;
	int i;

	(void)state;
	p->proxy.max_age_ms = 20000;
	be = summed(p, "rack", "a@example.com");
	for (i = 0; i < 6; i++)
		tell(p, be, i, ALERT_CHANGE_DOWN);
	while (engine_busy(p->engine) && peer_wait(p))
		;
	assert_int_equal(peer_stats(p).given_up, 6);
	while (peer_wait(p)) /* the batch is due, and nothing is left of it */
		;
	assert_int_equal(p->nopened, 0);
	peer_free(p);
}

/* What a limit folds has the same form, and is the next mails' in order. */
static void summary__limit__sums_up_too(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be;
	size_t i, alerts = 0;

	(void)state;
	p->proxy.summary = (struct engine_summary_settings){ 1000, 1000, false, NULL, "%{proxy}" };
	p->proxy.limit_mails = 2;
	p->proxy.limit_per_ms = 20000;
	be = summed(p, "rack", "a@example.com");
	for (i = 0; i < 40; i++) {
		tell(p, be, (int)i % 5, i % 10 < 5 ? ALERT_CHANGE_DOWN : ALERT_CHANGE_UP);
		peer_tick(p, p->now + 300);
	}
	peer_finish(p);
	assert_true(p->nmails <= 4);
	for (i = 0; i < p->nmails; i++)
		alerts += strtoul(p->mails[i].text, NULL, 10);
	assert_int_equal(alerts, 40);
	assert_int_equal(peer_stats(p).accepted, 40);
	peer_free(p);
}

static void summary__memory_fails__nothing_is_lost_but_what_was_not_queued(void **state)
{
	bool failed = true;
	long n;

	(void)state;
	for (n = 0; failed; n++) {
		struct peer *p = peer_new(PEER_WHOLE);
		struct engine_proxy *be = summed(p, "rack", "a@example.com, b@example.com");
		struct engine_stats stats;
		int i;

		unit_fail_at(n);
		for (i = 0; i < 10; i++)
			tell(p, be, i, ALERT_CHANGE_DOWN);
		peer_finish(p);
		failed = unit_failed();
		stats = peer_stats(p);
		assert_int_equal(stats.accepted + stats.lost, 20);
		assert_true(stats.lost == 0 || stats.lost == 2);
		peer_free(p);
	}
	assert_true(n > 150);
}

static void summary__memory_fails_at_the_start__is_refused(void **state)
{
	bool failed = true;
	long n;

	(void)state;
	for (n = 0; failed; n++) {
		struct engine *e;
		struct engine_proxy *be;
		char reason[ENGINE_REASON_MAX];
		struct engine_proxy_settings settings = {
			.name = "be", .from = "a@example.com", .to = "b@example.com", .summary = { 1, 1, true, NULL, NULL },
		};
		enum mailers_error error = MAILERS_ERR_NOMEM;

		unit_fail_at(n);
		e = engine_new(&(struct engine_settings){ .token = "token" });
		if (e)
			error = engine_proxy_add(e, &settings, &be, reason);
		failed = unit_failed();
		assert_int_equal(error, failed ? MAILERS_ERR_NOMEM : MAILERS_OK);
		engine_free(e);
	}
	assert_true(n > 10);
}

/* One batch of the longest names and texts, and of more than there is room for. */
static void summary__very_many__are_several_of_a_bounded_size(void **state)
{
	struct alert_text what = { .level = ALERT_LEVEL_ALERT, .change = ALERT_CHANGE_DOWN };
	struct peer *p = peer_new(PEER_WHOLE);
	char name[301], text[401];
	struct engine_proxy *be;
	size_t mails = 0, size;
	int i, slot;

	(void)state;
	p->maxconn = 1;
	be = summed(p, "be", "a@example.com");
	for (i = 0; i < 2500; i++) {
		size_t n = i < 1500 ? 260 : 30;

		memset(name, 'n', sizeof(name) - 1);
		memset(text, 't', sizeof(text) - 1);
		snprintf(name + n, sizeof(name) - n, "/s%04d", i);
		snprintf(text + n, sizeof(text) - n, ".");
		assert_int_equal(engine_raise(p->engine, be, (uint64_t)i, name, &what, text, strlen(text),
		                              "Wed, 30 Sep 2026 16:09:04 +0000 (UTC)", p->now), MAILERS_OK);
	}
	slot = engine_connect(p->engine, p->now);
	assert_int_equal(slot, 0);
	size = talk(p->engine, slot, p->now, &mails);
	assert_int_equal(engine_connect(p->engine, p->now), -1);
	assert_true(size > 500000 && size < SMTP_CLIENT_MESSAGE_MAX);
	assert_int_equal(mails, 2); /* those that are full */
	engine_tick(p->engine, p->now + 30000);
	slot = engine_connect(p->engine, p->now);
	talk(p->engine, slot, p->now, &mails);
	assert_int_equal(mails, 3);
	assert_int_equal(peer_stats(p).accepted, 2500);
	peer_free(p);
}

/* --- under random load --- */

enum { SERVERS = 8, PROXIES = 2, RCPTS = 3 };

static struct { unsigned raised, got[RCPTS]; } servers[PROXIES][SERVERS];

static bool random_same_people; /* both proxies mail the same, which one batch may have */

static uint64_t any(struct peer *p, uint64_t below)
{
	p->random = p->random * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (p->random >> 33) % below;
}

static const char *random_hook(struct peer *p, const char *address, enum peer_stage at)
{
	(void)address;
	if (at >= AT_RCPT && at <= AT_MESSAGE && !any(p, 8))
		return "451 later";
	return at != AT_MESSAGE && !any(p, 100) ? PEER_CLOSE : NULL;
}

/* The alerts of a server count up: <n> of them, the last of which is <text>, are those that come next. */
static void random_group(const struct peer_mail *mail, unsigned long n, const char *text)
{
	unsigned proxy, server, last, *got;

	assert_int_equal(sscanf(text, "Server %u/s%u, number %u.\r\n", &proxy, &server, &last), 3);
	assert_true(proxy < PROXIES && server < SERVERS);
	got = &servers[proxy][server].got[mail->rcpt[0] - 'a'];
	*got += n;
	assert_int_equal(*got, last);
}

static void random_taken(struct peer *p, const struct peer_mail *mail, const char *message)
{
	const char *at = strstr(message, "\r\n\r\n") + 4, *next;
	unsigned long alerts = strtoul(at, NULL, 10), groups = 0, n;

	(void)p;
	if (!strncmp(at, "Server ", 7)) {
		random_group(mail, 1, at);
		return;
	}
	groups = strtoul(strstr(at, " in ") + 4, NULL, 10);
	at = strstr(strstr(at, "Down now: "), "\r\n\r\n") + 4;
	for (; *at != '\r'; at = next, groups--) {
		n = strtoul(strchr(at, ':') + 1, NULL, 10);
		at = strstr(at, "\r\n    ") + 6;
		random_group(mail, n, at);
		next = strstr(at, "\r\n") + 2;
		if (!strncmp(next, "\r\n", 2) && next[2])
			next += 2;
		alerts -= n;
	}
	assert_int_equal(alerts, 0);
	assert_int_equal(groups, 0);
}

static void random_raise(struct peer *p, struct engine_proxy *be, unsigned proxy, unsigned n)
{
	struct alert_text what = { .level = ALERT_LEVEL_ALERT, .change = (enum alert_change)any(p, ALERT_CHANGES) };
	char name[32], text[64];

	snprintf(name, sizeof(name), "%u/s%u", proxy, n);
	snprintf(text, sizeof(text), "Server %s, number %u.", name, ++servers[proxy][n].raised);
	assert_int_equal(engine_raise(p->engine, be, proxy * 100 + n, name, &what, text, strlen(text), "a date (UTC)", p->now),
	                 MAILERS_OK);
	peer_run(p);
}

/* Deferred and broken mails, two ways of batching, several recipients: each server's alerts arrive once, in order. */
static void random_run(struct engine_summary_settings one, struct engine_summary_settings two, unsigned limit)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be[PROXIES];
	unsigned i, k, r;

	memset(servers, 0, sizeof(servers));
	p->hook = random_hook;
	p->taken = random_taken;
	p->proxy.limit_mails = limit;
	p->proxy.limit_per_ms = 5000;
	p->proxy.summary = one;
	be[0] = summed(p, "0", random_same_people ? "b@example.com, c@example.com" : "a@example.com");
	p->proxy.summary = two;
	be[1] = summed(p, "1", "b@example.com, c@example.com");
	for (i = 0; i < 3000; i++) {
		k = (unsigned)any(p, PROXIES);
		random_raise(p, be[k], k, (unsigned)any(p, SERVERS));
		peer_tick(p, p->now + any(p, 600));
		if (!any(p, 500))
			engine_flush(p->engine, NULL, p->now);
	}
	peer_finish(p);
	for (i = 0; i < SERVERS; i++) {
		assert_int_equal(servers[0][i].got[random_same_people], servers[0][i].raised);
		for (r = 1; r < RCPTS; r++)
			assert_int_equal(servers[1][i].got[r], servers[1][i].raised);
	}
	assert_int_equal(peer_stats(p).accepted, peer_stats(p).recipients);
	assert_true(p->nmails < 2600 && peer_stats(p).deferred > 1000 && peer_stats(p).folded > 2000);
	peer_free(p);
}

static void summary__random_load__each_servers_alerts_in_order(void **state)
{
	const struct engine_summary_settings all = { 2000, 9000, false, "all", NULL },
	                                     all_alone = { 3000, 9000, true, "all", NULL };
	const struct engine_summary_settings one = { 2000, 9000, false, NULL, NULL }, alone = { 900, 4000, true, NULL, NULL },
	                                     split = { 3000, 3000, true, "%{server}", NULL };

	(void)state;
	random_run(one, split, 0);
	random_run(alone, one, 0);
	random_run(one, alone, 3);
	random_same_people = true;
	random_run(all, all, 0);
	random_run(all, all_alone, 4);
	random_same_people = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(summary__outage__is_one_mail),
		cmocka_unit_test(summary__one_alert_alone__is_the_ordinary_mail),
		cmocka_unit_test(summary__recipients__get_one_each),
		cmocka_unit_test(summary__two_proxies__have_one_each),
		cmocka_unit_test(summary__batch_and_group__are_templates),
		cmocka_unit_test(summary__batch_of_several_proxies__is_one_mail),
		cmocka_unit_test(summary__subject__names_proxies_while_they_fit),
		cmocka_unit_test(summary__max_wait__ends_a_storm),
		cmocka_unit_test(summary__first_now__first_is_ordinary),
		cmocka_unit_test(summary__earlier_alert_deferred__keeps_the_order_of_its_server),
		cmocka_unit_test(summary__deferred__is_tried_again_with_what_came_since),
		cmocka_unit_test(summary__drain__leaves_at_once),
		cmocka_unit_test(summary__abandoned__each_alert_is_told),
		cmocka_unit_test(summary__flush__leaves_at_once),
		cmocka_unit_test(summary__half_as_many_held_as_a_route_may_have__all_go),
		cmocka_unit_test(summary__too_old__is_given_up_as_any),
		cmocka_unit_test(summary__limit__sums_up_too),
		cmocka_unit_test(summary__memory_fails__nothing_is_lost_but_what_was_not_queued),
		cmocka_unit_test(summary__memory_fails_at_the_start__is_refused),
		cmocka_unit_test(summary__very_many__are_several_of_a_bounded_size),
		cmocka_unit_test(summary__random_load__each_servers_alerts_in_order),
	};

	return cmocka_run_group_tests_name("engine summary", tests, NULL, NULL);
}
