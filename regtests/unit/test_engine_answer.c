/* Unit tests of engine: what the host answers about alerts, as mails that arrive. */
#include "engine_ask_steps.h"

static void engine_answer__an_alert_as_it_was__is_the_mail_without_a_host(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = asking(p, 1);
	char with[sizeof(p->last)];
	char *id;

	(void)state;
	peer_raise(p, be, 1, "Server M\303\274hle is DOWN");
	assert_int_equal(reply(p, FIELDS("unknown", "x")), MAILERS_OK);
	peer_finish(p);
	memcpy(with, p->last, sizeof(with));
	assert_int_equal(peer_took(p, NULL, NULL, NULL), 2);
	engine_ask_able(p->engine, false, p->now);
	peer_raise(p, be, 1, "Server M\303\274hle is DOWN");
	peer_finish(p);
	id = strstr(with, "Message-ID: <1.");
	assert_non_null(id);
	id[13] = '2';
	assert_string_equal(with, p->last);
	assert_non_null(strstr(with, "Content-Transfer-Encoding: 8bit\r\n"));
	peer_free(p);
}

static void engine_answer__fields_of_its_own__are_those_of_the_mail(void **state)
{
	const struct {
		const char *const *fields;
		const char *in[4];
	} rows[] = {
		{ FIELDS("subject", "Gr\303\274\303\237e\r\nBcc: x@example.com"),
		  { "Subject: =?utf-8?", "\r\n\r\none\r\n\r\n", "7bit" } },
		{ FIELDS("subject", "Plain\r\nBcc: x@example.com"), { "Subject: Plain  Bcc: x@example.com\r\n" } },
		{ FIELDS("subject", ""), { "Subject: [HAProxy Alert] one\r\n" } },
		{ FIELDS("body", "two\nlines\r\n.\r\nQUIT"), { "[HAProxy Alert] one\r\n", "\r\n\r\ntwo\r\nlines \r\n. \r\nQUIT\r\n" } },
		{ FIELDS("text", "changed"), { "Subject: [HAProxy Alert] changed\r\n", "\r\n\r\nchanged\r\n\r\n" } },
		{ FIELDS("text", ""), { "Subject: [HAProxy Alert] one\r\n" } },
		{ FIELDS("to", "The DBAs <dba@example.com>"), { "\r\nTo: The DBAs <dba@example.com>\r\nDate:" } },
		{ FIELDS("cc", "c@example.com"), { "\r\nTo: a@example.com, b@example.com\r\nCc: c@example.com\r\n" } },
		{ FIELDS("to", "", "cc", "c@example.com"), { "\r\nTo: undisclosed-recipients:;\r\nCc: c@example.com\r\n" } },
		{ FIELDS("header", "X-Team: dba\nBcc: x@example.com", "header", "List-Id: \303\244"),
		  { "\r\nX-Team: dba Bcc: x@example.com\r\nList-Id: =?utf-8?", "\r\n\r\none\r\n" } },
		{ FIELDS("mailer", "mx2:25"), { "\r\n\r\none\r\n" } },
	};
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct peer *p = peer_new(PEER_NEED);
		struct engine_proxy *be = asking(p, 2);

		peer_raise(p, be, 1, "one");
		assert_int_equal(reply(p, rows[i].fields), MAILERS_OK);
		peer_finish(p);
		for (k = 0; k < 4 && rows[i].in[k]; k++) {
			if (!strstr(p->last, rows[i].in[k]))
				fail_msg("row %zu: no '%s' in:\n%s", i, rows[i].in[k], p->last);
		}
		assert_null(strstr(p->last, "\r\nBcc:"));
		assert_int_equal(peer_took(p, NULL, "x@example.com", NULL), 0);
		peer_free(p);
	}
}

static void engine_answer__recipients_and_mailers__are_told_with_the_alert(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = asking(p, 2);
	char to[40];
	int i;

	(void)state;
	peer_raise(p, be, 1, "one");
	assert_int_equal(reply(p, FIELDS("to", "A <a@EXAMPLE.com>, n@example.com", "cc", "n@example.com")), MAILERS_OK);
	peer_raise(p, be, 1, "two");
	assert_int_equal(reply(p, FIELDS("mailer", "mx1:25", "to", "b@example.com")), MAILERS_OK);
	peer_finish(p);
	assert_int_equal(peer_took(p, NULL, "a@example.com", "one") + peer_took(p, NULL, "n@example.com", "one"), 4);
	assert_int_equal(peer_took(p, NULL, NULL, "one"), 4);
	assert_int_equal(peer_took(p, "mx1:25", "b@example.com", "two"), 1);
	assert_int_equal(peer_took(p, NULL, NULL, "two"), 1);
	for (i = 0; i < 300; i++) { /* more than a proxy has places: each is used again when its mail is gone */
		snprintf(to, sizeof(to), "r%d@example.com", i);
		peer_raise(p, be, 1, to);
		assert_int_equal(reply(p, FIELDS("to", to)), MAILERS_OK);
		peer_finish(p);
		assert_int_equal(peer_took(p, NULL, to, to), 2);
	}
	assert_int_equal(p->nmails, 4 + 1 + 2 * 300);
	assert_int_equal(peer_stats(p).accepted, p->nmails);
	peer_free(p);
}

/* A text that the function took away was empty in templates, and the alert's in the mail without them. */
static void engine_answer__without_a_text__it_is_the_alerts_in_templates_too(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be;

	(void)state;
	p->proxy.subject = "%{server}: %{text}";
	be = asking(p, 1);
	peer_raise(p, be, 1, "one");
	assert_int_equal(reply(p, FIELDS("text", "", "server", "db")), MAILERS_OK);
	peer_finish(p);
	if (!strstr(p->last, "\r\nSubject: db: one\r\n"))
		fail_msg("%s", p->last);
	peer_free(p);
}

/* While mails to them wait, recipients keep their places; what finds none goes as without the host. */
static void engine_answer__too_many_recipients_wait__the_alert_goes_unchanged(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = asking(p, 1);
	char to[40];
	int i;

	(void)state;
	p->rules[0] = (struct peer_rule){ NULL, AT_CONNECT, NULL, PEER_CLOSE, 3 };
	for (i = 0; i < 98; i++) {
		snprintf(to, sizeof(to), "r%d@example.com", i);
		peer_raise(p, be, 1, to);
		assert_int_equal(reply(p, FIELDS("to", to)), MAILERS_OK);
	}
	peer_raise(p, be, 2, "over");
	assert_int_equal(reply(p, FIELDS("to", "new@example.com")), MAILERS_ERR_BOUND);
	peer_raise(p, be, 2, "old");
	assert_int_equal(reply(p, FIELDS("to", "r5@example.com")), MAILERS_OK);
	peer_finish(p);
	assert_int_equal(peer_took(p, NULL, "a@example.com", "over") + peer_took(p, NULL, "b@example.com", "over"), 2);
	assert_int_equal(peer_took(p, NULL, "r5@example.com", "old"), 1);
	assert_int_equal(p->nmails, 98 + 2 + 1);
	assert_int_equal(peer_logged(p, "route: to: mails to 100 recipients of the proxy wait already; the alert goes as"), 1);
	peer_free(p);
}

static void engine_answer__several_or_none__are_as_many_alerts(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = asking(p, 1);
	struct buffer q = { 0 }, many[ENGINE_ANSWERS + 1] = { { 0 } }, metrics = { 0 };
	uint64_t id;
	size_t i;

	(void)state;
	peer_raise(p, be, 1, "one");
	peer_raise(p, be, 1, "two");
	peer_raise(p, be, 1, "three");
	id = ask(p, &q);
	change(&many[0], &q, FIELDS("text", "first", "to", "a@example.com"));
	change(&many[1], &q, FIELDS("text", "second"));
	assert_int_equal(engine_answer(p->engine, id, many, 2, p->now), MAILERS_OK);
	assert_int_equal(engine_answer(p->engine, ask(p, &q), many, 0, p->now), MAILERS_OK);
	id = ask(p, &q);
	for (i = 0; i <= ENGINE_ANSWERS; i++)
		change(&many[i], &q, FIELDS("text", "x"));
	assert_int_equal(engine_answer(p->engine, id, many, ENGINE_ANSWERS + 1, p->now), MAILERS_ERR_BOUND);
	peer_finish(p);
	assert_string_equal(peer_order(p, "a@example.com"), "first second three");
	assert_int_equal(peer_logged(p, "mailers: be/s1: dropped by the route function: two\n"), 1);
	assert_string_equal(peer_order(p, "b@example.com"), "second three");
	engine_metrics(p->engine, &metrics, p->now);
	buffer_add(&metrics, "", 1);
	assert_non_null(strstr(metrics.data, "alerts_dropped_total{proxy=\"be\",reason=\"route\"} 1\n"));
	assert_non_null(strstr(metrics.data, "alerts_routed_total{proxy=\"be\",outcome=\"answered\"} 1\n"));
	assert_non_null(strstr(metrics.data, "alerts_routed_total{proxy=\"be\",outcome=\"failed\"} 1\n"));
	assert_non_null(strstr(metrics.data, "alerts_routing{proxy=\"be\"} 0\n"));
	for (i = 0; i <= ENGINE_ANSWERS; i++)
		buffer_free(&many[i]);
	buffer_free(&metrics);
	buffer_free(&q);
	peer_free(p);
}

static void engine_answer__no_good__goes_unchanged_and_is_told(void **state)
{
	static char huge[TEMPLATE_BODY_MAX + 10], name[2 << 20];
	const struct {
		const char *const *fields;
		const char *log;
	} rows[] = {
		{ FIELDS("to", "a@example.com\r\nBcc: x@example.com"), "route: to: " },
		{ FIELDS("to", "a@example.com> SIZE=1"), "route: to: " },
		{ FIELDS("cc", "nobody at all"), "route: cc: " },
		{ FIELDS("to", ""), "route: to: it is empty; return nil to drop the alert;" },
		{ FIELDS("mailer", "mx9"), "route: mailers: 'mx9' is no mailer of the proxy;" },
		{ FIELDS("level", "urgent"), "route: level: there is no 'urgent';" },
		{ FIELDS("event", "gone"), "route: event: there is no 'gone';" },
		{ FIELDS("header", "Bcc: x@example.com"), "route: header Bcc: x@example.com: the mail has it already" },
		{ FIELDS("header", "no colon"), "route: header no colon: it is no" },
		{ FIELDS("header", "X Y: z"), "its name has a character" },
		{ FIELDS("body", huge), "route: subject, body or text is longer than 900 or 16384 bytes;" },
		{ FIELDS("header", huge), "it is no" },
		{ FIELDS("text", name), "route: subject, body or text is longer than 900 or 16384 bytes;" }, /* of 1 MB: no server took it */
		{ FIELDS("to", name), "route: to: it is longer than 65536 bytes;" },
		{ FIELDS("cc", name), "route: cc: it is longer than 65536 bytes;" },
	};
	size_t i;

	(void)state;
	memset(huge, 'x', sizeof(huge) - 1);
	memset(name, 'x', sizeof(name) - 1);
	memcpy(name + sizeof(name) - sizeof(" <c@example.com>"), " <c@example.com>", sizeof(" <c@example.com>"));
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct peer *p = peer_new(PEER_NEED);
		struct engine_proxy *be = asking(p, 2);

		peer_raise(p, be, 1, "one");
		assert_int_not_equal(reply(p, rows[i].fields), MAILERS_OK);
		peer_finish(p);
		if (!peer_logged(p, rows[i].log))
			fail_msg("row %zu: no '%s' in:\n%s", i, rows[i].log, p->log);
		assert_int_equal(peer_logged(p, "; the alert goes as without it"), 1);
		assert_int_equal(peer_took(p, NULL, "a@example.com", "one"), 2);
		assert_int_equal(p->nmails, 4);
		assert_null(strstr(p->last, "Bcc"));
		peer_free(p);
	}
}

/* Bytes that are no run of fields, cut anywhere, harm nobody. */
static void engine_answer__cut_at_each_byte__is_refused_or_taken_whole(void **state)
{
	struct buffer q = { 0 }, cut = { 0 };
	size_t len = 1, n;

	(void)state;
	for (n = 0; n <= len; n++) {
		struct peer *p = peer_new(PEER_NEED);
		struct engine_proxy *be = asking(p, 1);
		enum mailers_error error;
		uint64_t id;

		peer_raise(p, be, 1, "one");
		id = ask(p, &q);
		len = q.len;
		buffer_clear(&cut);
		buffer_add(&cut, q.data, n);
		error = engine_answer(p->engine, id, &cut, 1, p->now);
		assert_true(n < len || !error);
		peer_finish(p);
		assert_int_equal(p->nmails, 2);
		assert_int_equal(peer_took(p, NULL, NULL, "one"), 2);
		peer_free(p);
	}
	buffer_free(&q);
	buffer_free(&cut);
}

static void engine_answer__failover__all_mailers_or_none(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be;

	(void)state;
	p->proxy.mode = ENGINE_MODE_FAILOVER;
	be = asking(p, 2);
	peer_raise(p, be, 1, "one");
	assert_int_equal(reply(p, FIELDS("to", "n@example.com")), MAILERS_OK);
	peer_raise(p, be, 1, "two");
	assert_int_equal(reply(p, FIELDS("mailer", "mx2:25")), MAILERS_ERR_SYNTAX);
	peer_finish(p);
	assert_int_equal(peer_took(p, "mx1:25", "n@example.com", "one"), 1);
	assert_int_equal(peer_took(p, "mx1:25", NULL, "two"), 2);
	assert_int_equal(p->nmails, 3);
	peer_free(p);
}

static void engine_answer__batch__is_the_hosts(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be;
	uint64_t i;

	(void)state;
	p->proxy.summary = (struct engine_summary_settings){
		.wait_ms = 30000, .max_wait_ms = 300000, .batch = "function 1",
	};
	p->proxy.ask_batch = true;
	be = asking(p, 1);
	for (i = 0; i < 6; i++) {
		peer_raise(p, be, i, "x");
		assert_int_equal(reply(p, FIELDS("batch", i % 2 ? "odd" : "even")), MAILERS_OK);
	}
	engine_ask_able(p->engine, false, p->now);
	peer_raise(p, be, 7, "x");
	peer_raise(p, be, 8, "x");
	peer_finish(p);
	assert_int_equal(peer_took(p, NULL, "a@example.com", NULL), 3);
	assert_int_equal(peer_stats(p).accepted, 16);
	peer_free(p);
}

/* The limit counts a recipient that comes and goes, and forgets it when it may. */
static void engine_answer__a_limit__holds_for_recipients_that_come_again(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be;
	char to[40];
	int i;

	(void)state;
	p->proxy.limit_mails = 2;
	p->proxy.limit_per_ms = 60000;
	be = asking(p, 1);
	for (i = 0; i < 150; i++) {
		snprintf(to, sizeof(to), "r%d@example.com", i);
		peer_raise(p, be, 1, to);
		assert_int_equal(reply(p, FIELDS("to", i % 3 ? to : "same@example.com")), MAILERS_OK);
		peer_run(p);
	}
	assert_int_equal(peer_took(p, NULL, "same@example.com", NULL), 2);
	assert_int_equal(p->nmails, 2 + 100);
	peer_finish(p);
	assert_int_equal(peer_took(p, NULL, "same@example.com", NULL), 3);
	assert_int_equal(peer_stats(p).accepted, 150);
	peer_free(p);
}

/* A domain in other letters was another recipient for the limit, once the first had lost its place. */
static void engine_answer__a_limit__is_one_for_a_mailbox_whatever_the_case_of_its_domain(void **state)
{
	static const char *const to[] = { "c@example.com", "d@example.com", "c@Example.COM" };
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be;
	int i;

	(void)state;
	p->proxy.limit_mails = 1;
	p->proxy.limit_per_ms = 60000;
	be = asking(p, 1);
	for (i = 0; i < 3; i++) {
		peer_raise(p, be, 1, to[i]);
		assert_int_equal(reply(p, FIELDS("to", to[i])), MAILERS_OK);
		peer_run(p);
	}
	assert_int_equal(p->nmails, 2);
	peer_finish(p);
	assert_int_equal(p->nmails, 3);
	peer_free(p);
}

/* A function that invents an address for each alert had the engine remember all of them for as long as a limit's <per>. */
static void engine_answer__limits_of_a_thousand_others__are_remembered_and_no_more(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be;
	char to[40] = "same@example.com";
	int i;

	(void)state;
	p->proxy.limit_mails = 1;
	p->proxy.limit_per_ms = 24 * 3600 * 1000;
	be = asking(p, 1);
	for (i = 0; i < 2200; i++) {
		if (i)
			snprintf(to, sizeof(to), i % 1100 ? "r%d@example.com" : "same@example.com", i);
		peer_raise(p, be, 1, to);
		assert_int_equal(reply(p, FIELDS("to", to)), MAILERS_OK);
		peer_run(p);
		if (i != 900)
			continue;
		peer_raise(p, be, 2, "over");
		assert_int_equal(reply(p, FIELDS("to", "r1@example.com")), MAILERS_OK);
		peer_run(p);
		assert_int_equal(peer_took(p, NULL, NULL, "over"), 0);
		engine_abandon(p->engine, 100, p->now);
	}
	assert_int_equal(peer_took(p, NULL, "same@example.com", NULL), 2);
	assert_int_equal(p->nmails, 2200);
	peer_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(engine_answer__an_alert_as_it_was__is_the_mail_without_a_host),
		cmocka_unit_test(engine_answer__fields_of_its_own__are_those_of_the_mail),
		cmocka_unit_test(engine_answer__recipients_and_mailers__are_told_with_the_alert),
		cmocka_unit_test(engine_answer__without_a_text__it_is_the_alerts_in_templates_too),
		cmocka_unit_test(engine_answer__too_many_recipients_wait__the_alert_goes_unchanged),
		cmocka_unit_test(engine_answer__several_or_none__are_as_many_alerts),
		cmocka_unit_test(engine_answer__no_good__goes_unchanged_and_is_told),
		cmocka_unit_test(engine_answer__cut_at_each_byte__is_refused_or_taken_whole),
		cmocka_unit_test(engine_answer__failover__all_mailers_or_none),
		cmocka_unit_test(engine_answer__batch__is_the_hosts),
		cmocka_unit_test(engine_answer__a_limit__holds_for_recipients_that_come_again),
		cmocka_unit_test(engine_answer__a_limit__is_one_for_a_mailbox_whatever_the_case_of_its_domain),
		cmocka_unit_test(engine_answer__limits_of_a_thousand_others__are_remembered_and_no_more),
	};

	return cmocka_run_group_tests_name("engine_answer", tests, NULL, NULL);
}
