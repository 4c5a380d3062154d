/* Unit tests of engine: alerts about which the host is asked, and its answers, as mails that arrive. */
#include <mailers/message.h>

#include "engine_peer.h"

#define ASK_MS 5000

/* A proxy "be" for a@ and b@ whose host is asked. */
static struct engine_proxy *asking(struct peer *p, int mailers)
{
	struct engine_proxy *be;
	int i;

	p->proxy.ask_ms = ASK_MS;
	be = peer_proxy(p, "be", "a@example.com, b@example.com");
	for (i = 0; i < mailers; i++)
		peer_mailer(p, be, (const char *[]){ "mx1:25", "mx2:25" }[i]);
	peer_ready(p, be);
	return be;
}

/* The value of a field of a question; NULL without it. */
static const char *field(const struct buffer *b, const char *name)
{
	const char *at = b->data, *value;

	for (; at < b->data + b->len; at = value + strlen(value) + 1) {
		value = at + strlen(at) + 1;
		if (!strcmp(at, name))
			return value;
	}
	return NULL;
}

static uint64_t ask(struct peer *p, struct buffer *b)
{
	buffer_clear(b);
	return engine_ask(p->engine, b, p->now);
}

static void set(struct buffer *b, const char *name, const char *value)
{
	buffer_add(b, name, strlen(name) + 1);
	buffer_add(b, value, strlen(value) + 1);
}

/* The question <from> with other values of the named fields: "name", "value", ..., NULL; value "": without it. */
static void change(struct buffer *b, const struct buffer *from, const char *const *fields)
{
	const char *at = from->data, *value;
	size_t i;

	buffer_clear(b);
	for (; at < from->data + from->len; at = value + strlen(value) + 1) {
		value = at + strlen(at) + 1;
		for (i = 0; fields[i] && strcmp(fields[i], at); i += 2)
			;
		if (!fields[i])
			set(b, at, value);
	}
	for (i = 0; fields[i]; i += 2) {
		if (*fields[i + 1])
			set(b, fields[i], fields[i + 1]);
	}
}

#define FIELDS(...) ((const char *const[]){ __VA_ARGS__, NULL })

/* Asks, and answers the question with these fields changed. */
static enum mailers_error reply(struct peer *p, const char *const *fields)
{
	struct buffer question = { 0 }, answer = { 0 };
	uint64_t id = ask(p, &question);
	enum mailers_error error;

	assert_true(id);
	change(&answer, &question, fields);
	error = engine_answer(p->engine, id, &answer, 1, p->now);
	assert_false(engine_asked(p->engine, id));
	buffer_free(&question);
	buffer_free(&answer);
	return error;
}

/* --- questions --- */

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

/* --- answers --- */

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
