/* Unit tests of engine: rules and templates, as mails that arrive. */
#include <mailers/rule.h>

#include "engine_peer.h"

#define LIST(...) { (const char *const[]){ __VA_ARGS__ }, sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *) }
#define ANY_LEVEL .level = ALERT_LEVEL_DEBUG

/* A proxy "be" of mx1 and mx2 for a@ and b@, with these rules. */
static struct engine_proxy *ruled(struct peer *p, const struct rule *rules, size_t n)
{
	struct engine_proxy *be;

	p->proxy.rules = rules;
	p->proxy.nrules = n;
	be = peer_proxy(p, "be", "a@example.com, b@example.com");
	peer_mailer(p, be, "mx1:25");
	peer_mailer(p, be, "mx2:25");
	peer_ready(p, be);
	return be;
}

static size_t got(struct peer *p, const char *rcpt, const char *text)
{
	return peer_took(p, NULL, rcpt, text);
}

static void engine_rule__to_cc_drop_and_continue__decide_who_gets_it(void **state)
{
	const struct rule rules[] = {
		{ ANY_LEVEL, .server = LIST("^s1$"), .to = LIST("dba@example.com"), .cc = LIST("A@EXAMPLE.com, a@example.com") },
		{ ANY_LEVEL, .server = LIST("^s2$"), .drop = true },
		{ ANY_LEVEL, .server = LIST("^s3$"), .cc = LIST("boss@example.com"), .further = true },
		{ ANY_LEVEL, .server = LIST("^s3$", "^s4$"), .to = LIST("dba@example.com", "c@example.com"), .mailers = LIST("mx2:25") },
	};
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = ruled(p, rules, 4);
	uint64_t i;

	(void)state;
	for (i = 0; i < 5; i++)
		assert_int_equal(peer_raise(p, be, i, (const char *[]){ "zero", "one", "two", "three", "four" }[i]), MAILERS_OK);
	peer_finish(p);
	assert_int_equal(got(p, NULL, "zero"), 4);
	assert_int_equal(got(p, "a@example.com", "zero") + got(p, "b@example.com", "zero"), 4);
	/* "A@" is another local part than "a@"; its domain is the same in any case. */
	assert_int_equal(got(p, NULL, "one"), 6);
	assert_int_equal(got(p, "dba@example.com", "one"), 2);
	assert_int_equal(got(p, "a@example.com", "one"), 2);
	assert_int_equal(got(p, "b@example.com", "one"), 0);
	assert_int_equal(got(p, NULL, "two"), 0);
	assert_int_equal(got(p, NULL, "three"), 3);
	assert_int_equal(peer_took(p, "mx2:25", "boss@example.com", "three"), 1);
	assert_int_equal(peer_took(p, "mx2:25", "c@example.com", "three"), 1);
	assert_int_equal(peer_took(p, "mx1:25", NULL, "three"), 0);
	assert_int_equal(got(p, NULL, "four"), 2);
	assert_int_equal(peer_stats(p).recipients, 4 + 6 + 3 + 2);
	assert_int_equal(peer_stats(p).accepted, 4 + 6 + 3 + 2);
	peer_free(p);
}

static void engine_rule__headers_and_templates__are_those_of_the_first_rule_that_has_them(void **state)
{
	const struct rule rules[] = {
		{ ANY_LEVEL, .words = LIST("DOWN"), .to = LIST("The DBAs <dba@example.com>"), .subject = "%{server}: %{state} %{event}", .further = true },
		{ ANY_LEVEL, .words = LIST("down"), .cc = LIST("c@example.com"), .subject = "no", .body = "%{proxy}\nM\303\274hle" },
	};
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be;

	(void)state;
	p->proxy.subject = "[HAProxy Alert] %{text}";
	be = ruled(p, rules, 2);
	peer_raise(p, be, 1, "is down");
	peer_finish(p);
	assert_non_null(strstr(p->last, "\r\nTo: The DBAs <dba@example.com>\r\nCc: c@example.com\r\n"));
	assert_non_null(strstr(p->last, "\r\nSubject: s1: DOWN down\r\n"));
	assert_non_null(strstr(p->last, "\r\n\r\nbe\r\nM=C3=BChle\r\n"));
	assert_non_null(strstr(p->last, "Content-Transfer-Encoding: quoted-printable\r\n"));
	peer_raise(p, be, 1, "is up");
	peer_finish(p);
	assert_non_null(strstr(p->last, "\r\nTo: a@example.com, b@example.com\r\n"));
	assert_null(strstr(p->last, "\r\nCc:"));
	assert_non_null(strstr(p->last, "\r\nSubject: [HAProxy Alert] is up\r\n"));
	assert_non_null(strstr(p->last, "\r\n\r\nis up\r\n\r\n"));
	peer_free(p);
}

static void engine_explain__says_what_would_be__and_raises_nothing(void **state)
{
	const struct rule rules[] = {
		{ ANY_LEVEL, .server = LIST("^s1$"), .cc = LIST("c@example.com"), .further = true },
		{ ANY_LEVEL, .words = LIST("timeout"), .to = LIST("dba@example.com"), .mailers = LIST("mx2:25"),
		  .subject = "%{name} %{state}", .body = "a\n%{text}" },
		{ ANY_LEVEL, .server = LIST("^s9$"), .drop = true },
	};
	static const struct {
		const char *name, *text, *says;
		enum alert_level level;
	} rows[] = {
		{ "be/s2", "x", "rules:   none matches\nto:      <a@example.com>, <b@example.com>\nmailers: mx1:25, mx2:25\n"
		  "subject: [HAProxy Alert] x\n| x\n", ALERT_LEVEL_ALERT },
		{ "be/s1", "Timeout", "rules:   1, 2\nto:      <c@example.com>, <dba@example.com>\nmailers: mx2:25\n"
		  "subject: be/s1 DOWN\n| a\n| Timeout\n", ALERT_LEVEL_ALERT },
		{ "be/s9", "x", "rules:   3\nno mail: dropped\n", ALERT_LEVEL_ALERT },
		{ "be/s1", "x", "no mail: email-alert level of proxy be is info, and the alert's debug\n", ALERT_LEVEL_DEBUG },
		{ "b/s1", "x", NULL, ALERT_LEVEL_ALERT }, { "bee/s1", "x", NULL, ALERT_LEVEL_ALERT },
	};
	struct peer *p = peer_new(PEER_NEED);
	size_t i;
	long n;

	(void)state;
	ruled(p, rules, 3);
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct alert_text what = { .level = rows[i].level };
		const struct engine_alert alert = { .name = rows[i].name, .what = &what, .text = rows[i].text,
		                                    .text_len = strlen(rows[i].text), .date = "now" };

		for (n = 0;; n++) {
			struct buffer out = { 0 };
			bool failed, found;

			unit_fail_at(n);
			found = engine_explain(p->engine, &alert, &out);
			failed = unit_failed();
			assert_int_equal(found, rows[i].says != NULL);
			assert_int_equal(buffer_error(&out), failed ? MAILERS_ERR_NOMEM : MAILERS_OK);
			if (!failed && found) {
				buffer_add(&out, "", 1);
				assert_string_equal(out.data, rows[i].says);
			}
			buffer_free(&out);
			if (!failed)
				break;
		}
	}
	assert_int_equal(peer_stats(p).raised, 0);
	peer_finish(p);
	assert_int_equal(p->nmails, 0);
	peer_free(p);
}

/* A summary is one recipient's: what rules sent to others is in theirs, and all that is in one adds up. */
static void engine_rule__with_a_summary__each_recipient_has_its_own(void **state)
{
	const struct rule rules[] = {
		{ ANY_LEVEL, .words = LIST("for dba"), .to = LIST("dba@example.com"), .subject = "%{text}" },
		{ ANY_LEVEL, .words = LIST("for none"), .drop = true },
	};
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be;
	int i;

	(void)state;
	p->proxy.summary.wait_ms = 30000;
	p->proxy.summary.max_wait_ms = 300000;
	p->proxy.rules = rules;
	p->proxy.nrules = 2;
	be = peer_proxy(p, "be", "a@example.com");
	peer_mailer(p, be, "mx1:25");
	peer_ready(p, be);
	for (i = 0; i < 30; i++)
		peer_raise(p, be, (uint64_t)i, (const char *[]){ "for all", "for dba", "for none" }[i % 3]);
	peer_finish(p);
	assert_int_equal(p->nmails, 2);
	assert_int_equal(peer_took(p, NULL, "a@example.com", NULL), 1);
	assert_int_equal(peer_took(p, NULL, "dba@example.com", NULL), 1);
	assert_int_equal(peer_stats(p).recipients, 20);
	assert_int_equal(peer_stats(p).accepted, 20);
	assert_true(engine_proxy_renders(be));
	peer_free(p);
}

/* Whichever rule an alert meets, and though tries fail on the way, a recipient gets one server's in their order. */
static void engine_rule__order__is_kept_for_each_recipient(void **state)
{
	const struct rule rules[] = {
		{ ANY_LEVEL, .words = LIST("2", "5"), .to = LIST("dba@example.com, a@example.com") },
		{ ANY_LEVEL, .words = LIST("3"), .to = LIST("dba@example.com") },
		{ ANY_LEVEL, .words = LIST("4"), .cc = LIST("dba@example.com") },
	};
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be;
	int i;

	(void)state;
	p->proxy.rules = rules;
	p->proxy.nrules = 3;
	be = peer_proxy(p, "be", "a@example.com, b@example.com");
	peer_mailer(p, be, "mx1:25");
	peer_ready(p, be);
	p->rules[0] = (struct peer_rule){ NULL, AT_RCPT, "a@example.com", "451 later", 3 };
	p->rules[1] = (struct peer_rule){ NULL, AT_RCPT, "dba@example.com", "451 later", 2 };
	for (i = 1; i <= 6; i++)
		peer_raise(p, be, 1, (const char *[]){ "1", "2", "3", "4", "5", "6" }[i - 1]);
	peer_finish(p);
	assert_string_equal(peer_order(p, "a@example.com"), "1 2 4 5 6");
	assert_string_equal(peer_order(p, "b@example.com"), "1 4 6");
	assert_string_equal(peer_order(p, "dba@example.com"), "2 3 4 5");
	peer_free(p);
}

static void engine_rule__bad_ones__are_refused_at_the_start(void **state)
{
	char many[5000] = "", reason[ENGINE_REASON_MAX];
	const struct rule unknown = { ANY_LEVEL, .mailers = LIST("mx9") };
	const struct rule elsewhere = { ANY_LEVEL, .proxy = LIST("^other"), .mailers = LIST("mx9") };
	const struct rule failover = { ANY_LEVEL, .mailers = LIST("mx1:25") };
	const struct rule full = { ANY_LEVEL, .to = LIST(many) };
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be;
	int i;

	(void)state;
	for (i = 0; i < 99; i++)
		sprintf(many + strlen(many), "%sr%d@example.com", i ? "," : "", i);
	p->proxy.nrules = 1;
	p->proxy.rules = &unknown;
	be = peer_proxy(p, "be", "a@example.com");
	peer_mailer(p, be, "mx1:25");
	assert_int_equal(engine_proxy_ready(p->engine, be, reason), MAILERS_ERR_SYNTAX);
	assert_string_equal(reason, "proxy be: rules[1].mailers names no mailer of it; write the id of one, or add proxy = "
	                    "\"^name\" to the rule");
	p->proxy.rules = &elsewhere;
	be = peer_proxy(p, "b2", "a@example.com");
	peer_mailer(p, be, "mx1:25");
	peer_ready(p, be);
	p->proxy.rules = &failover;
	p->proxy.mode = ENGINE_MODE_FAILOVER;
	be = peer_proxy(p, "b3", "a@example.com");
	peer_mailer(p, be, "mx1:25");
	peer_mailer(p, be, "mx2:25");
	assert_int_equal(engine_proxy_ready(p->engine, be, reason), MAILERS_ERR_SYNTAX);
	assert_non_null(strstr(reason, "mode = \"failover\""));
	p->proxy.rules = &full;
	p->proxy.name = "b4";
	p->proxy.from = "f@example.com";
	p->proxy.to = "a@example.com";
	assert_int_equal(engine_proxy_add(p->engine, &p->proxy, &be, reason), MAILERS_OK);
	p->proxy.to = "a@example.com, b@example.com";
	assert_int_equal(engine_proxy_add(p->engine, &p->proxy, &be, reason), MAILERS_ERR_BOUND);
	assert_non_null(strstr(reason, "more than 100 recipients"));
	peer_free(p);
}

/* No alert half queued, none told as delivered, no memory lost. */
static void engine_rule__an_allocation_fails__the_alert_is_counted_as_lost(void **state)
{
	const struct rule rules[] = {
		{ ANY_LEVEL, .to = LIST("dba@example.com"), .cc = LIST("c@example.com"), .subject = "%{text}", .body = "%{text}" },
	};
	long n;

	(void)state;
	for (n = 0;; n++) {
		struct peer *p = peer_new(PEER_NEED);
		struct engine_proxy *be = ruled(p, rules, 1);
		enum mailers_error error;
		bool failed;

		unit_fail_at(n);
		error = peer_raise(p, be, 1, "x");
		failed = unit_failed();
		peer_finish(p);
		assert_int_equal(peer_stats(p).accepted + peer_stats(p).lost, 4);
		assert_true(!error || peer_stats(p).lost);
		assert_int_equal(p->nmails, peer_stats(p).accepted);
		peer_free(p);
		if (!failed)
			break;
	}
	assert_true(n > 6);
}

static void engine_rule__an_allocation_fails_at_the_start__is_told(void **state)
{
	const struct rule rules[] = { { ANY_LEVEL, .to = LIST("dba@example.com, x@example.com"), .cc = LIST("c@example.com") } };
	long n;

	(void)state;
	for (n = 0;; n++) {
		struct peer *p = peer_new(PEER_NEED);
		char reason[ENGINE_REASON_MAX];
		struct engine_proxy *be;
		enum mailers_error error;

		p->proxy.rules = rules;
		p->proxy.nrules = 1;
		p->proxy.name = "be";
		p->proxy.from = "f@example.com";
		p->proxy.to = "a@example.com";
		unit_fail_at(n);
		error = engine_proxy_add(p->engine, &p->proxy, &be, reason);
		if (!unit_failed()) {
			assert_int_equal(error, MAILERS_OK);
			peer_free(p);
			break;
		}
		assert_int_equal(error, MAILERS_ERR_NOMEM);
		assert_non_null(strstr(reason, "out of memory"));
		peer_free(p);
	}
	assert_true(n > 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(engine_rule__to_cc_drop_and_continue__decide_who_gets_it),
		cmocka_unit_test(engine_rule__headers_and_templates__are_those_of_the_first_rule_that_has_them),
		cmocka_unit_test(engine_explain__says_what_would_be__and_raises_nothing),
		cmocka_unit_test(engine_rule__with_a_summary__each_recipient_has_its_own),
		cmocka_unit_test(engine_rule__order__is_kept_for_each_recipient),
		cmocka_unit_test(engine_rule__bad_ones__are_refused_at_the_start),
		cmocka_unit_test(engine_rule__an_allocation_fails__the_alert_is_counted_as_lost),
		cmocka_unit_test(engine_rule__an_allocation_fails_at_the_start__is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
