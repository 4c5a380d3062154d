/* Unit tests of engine: the mails of an outage that refer to one id, and those that say how long it was. */
#include <mailers/message.h>

#include "engine_peer.h"

#define DATE "Wed, 30 Sep 2026 16:09:04 +0000 (UTC)"
#define KEPT 32

/* The mails that were taken, in their order. */
static struct {
	size_t n;
	char mail[KEPT][2048], address[KEPT][24];
} kept;

static void keep(struct peer *p, const struct peer_mail *mail, const char *message)
{
	(void)p;
	assert_true(kept.n < KEPT && strlen(message) < sizeof(kept.mail[0]));
	strcpy(kept.mail[kept.n], message);
	strcpy(kept.address[kept.n++], mail->address);
}

static struct peer *threaded(bool threads, bool durations)
{
	struct peer *p = peer_new(PEER_WHOLE);

	kept.n = 0;
	p->taken = keep;
	p->proxy.threads = threads;
	p->proxy.durations = durations;
	return p;
}

static struct engine_proxy *proxy(struct peer *p, const char *name, const char *mailers)
{
	struct engine_proxy *be = peer_proxy(p, name, "a@example.com");

	peer_mailer(p, be, "mx1:25");
	if (strchr(mailers, '2'))
		peer_mailer(p, be, "mx2:25");
	peer_ready(p, be);
	return be;
}

/* Server <key> of <be> changes, with what its host knows of its outage. */
static void tell(struct peer *p, struct engine_proxy *be, uint64_t key, enum alert_change change,
                 struct outage_mark outage)
{
	const struct alert_text what = { .level = ALERT_LEVEL_ALERT, .change = change };
	char text[128], name[64];

	snprintf(name, sizeof(name), "%s/s%d", engine_proxy_name(be), (int)key);
	snprintf(text, sizeof(text), "Server %s is %s", name, alert_change_name(change));
	assert_int_equal(engine_raise_alert(p->engine, be, &(struct engine_alert){
		.server = key, .name = name, .what = &what, .text = text, .text_len = strlen(text), .date = DATE,
		.outage = outage }, p->now), MAILERS_OK);
}

/* The value of the header of mail <i>; "" without. */
static const char *header(size_t i, const char *name)
{
	static char value[2][600];
	static int turn;
	const char *p = strstr(kept.mail[i], name), *body = strstr(kept.mail[i], "\r\n\r\n");
	size_t len;

	turn = !turn;
	value[turn][0] = '\0';
	if (p && p < body) {
		p += strlen(name);
		len = strcspn(p, "\r");
		assert_true(len < sizeof(value[0]));
		memcpy(value[turn], p, len);
		value[turn][len] = '\0';
	}
	return value[turn];
}

/* Mail <i> refers to <id>, "" for none, and is not it. */
static void check_thread(size_t i, const char *id)
{
	assert_string_equal(header(i, "\r\nReferences: "), id);
	assert_string_equal(header(i, "\r\nIn-Reply-To: "), id);
	assert_string_not_equal(header(i, "\r\nMessage-ID: "), id);
}

static const char *body(size_t i)
{
	return strstr(kept.mail[i], "\r\n\r\n") + 4;
}

static void thread__two_mailers_two_servers_two_outages__an_id_for_each_outage(void **state)
{
	struct peer *p = threaded(true, false);
	struct engine_proxy *be = proxy(p, "be", "12");
	size_t i;

	(void)state;
	p->rules[0] = (struct peer_rule){ .address = "mx1:25", .at = AT_MESSAGE, .reply = "451 later", .times = 1 };
	tell(p, be, 1, ALERT_CHANGE_DOWN, (struct outage_mark){ .number = 1 });
	peer_finish(p); /* mx1 has it at the second try */
	tell(p, be, 1, ALERT_CHANGE_UP, (struct outage_mark){ 1, true, 1000 });
	peer_finish(p);
	tell(p, be, 1, ALERT_CHANGE_DOWN, (struct outage_mark){ .number = 2 });
	peer_finish(p);
	tell(p, be, 2, ALERT_CHANGE_DOWN, (struct outage_mark){ .number = 1 });
	peer_finish(p);
	tell(p, be, 1, ALERT_CHANGE_CHECK, (struct outage_mark){ .number = 0 });
	peer_finish(p);
	assert_int_equal(kept.n, 10);
	for (i = 0; i < 4; i++)
		check_thread(i, "<outage.1.1.token@lb1.example.org>");
	for (; i < 6; i++)
		check_thread(i, "<outage.1.2.token@lb1.example.org>");
	for (; i < 8; i++)
		check_thread(i, "<outage.2.1.token@lb1.example.org>");
	for (; i < 10; i++)
		check_thread(i, "");
	for (i = 0; i < 10; i++)
		assert_string_equal(body(i) + strlen(body(i)) - 4, "\r\n\r\n");
	assert_string_not_equal(kept.address[0], kept.address[1]);
	peer_free(p);
}

/* A mailer that says HELO by a name of its own does not have threads of its own. */
static void thread__mailers_with_other_names__the_same_id(void **state)
{
	struct mailer_settings settings = { .name = "m2", .address = "mx2:25", .timeout_mail_ms = 1000, .maxconn = 1 };
	struct peer *p = threaded(true, false);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");
	char reason[ENGINE_REASON_MAX], name[61], id[200];
	size_t i;

	(void)state;
	memset(name, 'h', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	peer_mailer(p, be, "mx1:25");
	settings.helo = "[192.0.2.1]";
	settings.timeout_final_ms = settings.timeout_quit_ms = 1000;
	assert_int_equal(engine_proxy_mailer(p->engine, be, &settings, reason), MAILERS_OK);
	tell(p, be, UINT64_MAX, ALERT_CHANGE_DOWN, (struct outage_mark){ .number = UINT64_MAX });
	peer_finish(p);
	be = peer_proxy(p, "long", "a@example.com");
	settings.helo = name;
	assert_int_equal(engine_proxy_mailer(p->engine, be, &settings, reason), MAILERS_OK);
	tell(p, be, UINT64_MAX, ALERT_CHANGE_DOWN, (struct outage_mark){ .number = UINT64_MAX });
	peer_finish(p);
	assert_int_equal(kept.n, 3);
	for (i = 0; i < 2; i++)
		check_thread(i, "<outage.18446744073709551615.18446744073709551615.token@lb1.example.org>");
	assert_string_not_equal(header(0, "\r\nMessage-ID: "), header(1, "\r\nMessage-ID: "));
	snprintf(id, sizeof(id), "<outage.18446744073709551615.18446744073709551615.token@%s>", name);
	check_thread(2, id);
	peer_free(p);
}

static void thread__fold__has_it_if_all_are_of_one_outage(void **state)
{
	static const struct {
		struct outage_mark marks[3]; /* of servers 1, <server>, 1 */
		uint64_t server;
		const char *id;
	} rows[] = {
		{ { { 3, false, 0 }, { 3, false, 0 }, { 3, true, 1 } }, 1, "<outage.1.3.token@lb1.example.org>" },
		{ { { 3, false, 0 }, { 3, false, 0 }, { 4, false, 0 } }, 1, "" },
		{ { { 3, false, 0 }, { 0, false, 0 }, { 3, true, 1 } }, 1, "" },
		{ { { 0, false, 0 }, { 0, false, 0 }, { 0, false, 0 } }, 1, "" },
		{ { { 3, false, 0 }, { 3, false, 0 }, { 3, true, 1 } }, 2, "" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct peer *p = threaded(true, false);
		struct engine_proxy *be;

		p->proxy.summary = (struct engine_summary_settings){ .wait_ms = 1000, .max_wait_ms = 1000 };
		be = proxy(p, "be", "1");
		tell(p, be, 1, ALERT_CHANGE_DOWN, rows[i].marks[0]);
		tell(p, be, rows[i].server, ALERT_CHANGE_CHECK, rows[i].marks[1]);
		tell(p, be, 1, ALERT_CHANGE_UP, rows[i].marks[2]);
		peer_finish(p);
		assert_int_equal(kept.n, 1);
		assert_non_null(strstr(kept.mail[0], "Subject: [HAProxy Alert] 3 alerts: 0 "));
		check_thread(0, rows[i].id);
		peer_free(p);
	}
}

/* An outage whose DOWN was folded with others is continued by the UP, which is alone. */
static void thread__down_in_a_summary__up_has_the_id(void **state)
{
	struct peer *p = threaded(true, true);
	struct engine_proxy *be;

	(void)state;
	p->proxy.summary = (struct engine_summary_settings){ .wait_ms = 1000, .max_wait_ms = 1000 };
	be = proxy(p, "be", "1");
	tell(p, be, 1, ALERT_CHANGE_DOWN, (struct outage_mark){ .number = 1 });
	tell(p, be, 2, ALERT_CHANGE_DOWN, (struct outage_mark){ .number = 1 });
	peer_finish(p);
	tell(p, be, 2, ALERT_CHANGE_UP, (struct outage_mark){ 1, true, 61000 });
	peer_finish(p);
	assert_int_equal(kept.n, 2);
	check_thread(0, "");
	check_thread(1, "<outage.2.1.token@lb1.example.org>");
	assert_string_equal(body(1), "Server be/s2 is up\r\n\r\nThe server was down for 1 minute 1 second.\r\n\r\n");
	peer_free(p);
}

static void duration__up__says_it_behind_the_legacy_text(void **state)
{
	struct peer *p = threaded(false, true);
	struct engine_proxy *be = proxy(p, "be", "1");

	(void)state;
	tell(p, be, 1, ALERT_CHANGE_DOWN, (struct outage_mark){ .number = 1 });
	peer_finish(p);
	tell(p, be, 1, ALERT_CHANGE_UP, (struct outage_mark){ 1, true, 125999 });
	peer_finish(p);
	tell(p, be, 1, ALERT_CHANGE_UP, (struct outage_mark){ .number = 1 }); /* the end of its slowstart */
	peer_finish(p);
	tell(p, be, 1, ALERT_CHANGE_UP, (struct outage_mark){ .number = 0 }); /* nobody knew that it was down */
	peer_finish(p);
	assert_int_equal(kept.n, 4);
	assert_string_equal(body(0), "Server be/s1 is down\r\n\r\n");
	assert_string_equal(header(1, "\r\nSubject: "), "[HAProxy Alert] Server be/s1 is up");
	assert_string_equal(body(1), "Server be/s1 is up\r\n\r\nThe server was down for 2 minutes 5 seconds.\r\n\r\n");
	assert_string_equal(body(2), "Server be/s1 is up\r\n\r\n");
	assert_string_equal(body(3), "Server be/s1 is up\r\n\r\n");
	check_thread(1, "");
	peer_free(p);
}

static void duration__own_body__has_the_field_alone(void **state)
{
	struct peer *p = threaded(false, true);
	struct engine_proxy *be;

	(void)state;
	p->proxy.body = "%{state}[%{downtime}]";
	be = proxy(p, "be", "1");
	tell(p, be, 1, ALERT_CHANGE_DOWN, (struct outage_mark){ .number = 1 });
	peer_finish(p);
	tell(p, be, 1, ALERT_CHANGE_UP, (struct outage_mark){ 1, true, 999 });
	peer_finish(p);
	assert_string_equal(body(0), "DOWN[]\r\n\r\n");
	assert_string_equal(body(1), "UP[less than a second]\r\n\r\n");
	peer_free(p);
	/* A subject of one's own leaves the body, and what comes behind it. */
	p = threaded(false, true);
	p->proxy.subject = "%{name} was down: %{downtime}";
	be = proxy(p, "be", "1");
	tell(p, be, 1, ALERT_CHANGE_UP, (struct outage_mark){ 1, true, 1000 });
	peer_finish(p);
	assert_string_equal(header(0, "\r\nSubject: "), "be/s1 was down: 1 second");
	assert_string_equal(body(0), "Server be/s1 is up\r\n\r\nThe server was down for 1 second.\r\n\r\n");
	peer_free(p);
}

static void duration__in_one_mail_of_many__stands_with_its_alert(void **state)
{
	struct peer *p = threaded(false, true);
	struct engine_proxy *be;
	int kind;

	(void)state;
	for (kind = 0; kind < 2; kind++) {
		if (kind) {
			p = threaded(false, true);
			p->proxy.limit_mails = 1;
			p->proxy.limit_per_ms = 1000;
		} else {
			p->proxy.summary = (struct engine_summary_settings){ 1000, 1000, .first_now = true };
		}
		be = proxy(p, "be", "1");
		tell(p, be, 9, ALERT_CHANGE_DOWN, (struct outage_mark){ .number = 1 });
		peer_run(p);
		tell(p, be, 1, ALERT_CHANGE_DOWN, (struct outage_mark){ .number = 1 });
		tell(p, be, 1, ALERT_CHANGE_UP, (struct outage_mark){ 1, true, 2000 });
		tell(p, be, 2, ALERT_CHANGE_DOWN, (struct outage_mark){ .number = 1 });
		peer_finish(p);
		assert_int_equal(kept.n, 2);
		assert_non_null(strstr(kept.mail[1], kind ?
			": Server be/s1 is up. The server was down for 2 seconds.\r\n" :
			"\r\n    Server be/s1 is up\r\n    The server was down for 2 seconds.\r\n\r\nbe/s2: 1 alert, "));
		assert_null(strstr(strstr(kept.mail[1], "was down for ") + 1, "was down for "));
		peer_free(p);
	}
}

/* Without the settings the mails are those of alerts that carry nothing, byte for byte. */
static void off__with_outages__changes_no_byte(void **state)
{
	static const enum alert_change changes[] = { ALERT_CHANGE_DOWN, ALERT_CHANGE_CHECK, ALERT_CHANGE_UP };
	static char plain[3][2048];
	int run, i;

	(void)state;
	for (run = 0; run < 2; run++) {
		struct peer *p = threaded(false, false);
		struct engine_proxy *be = proxy(p, "be", "1");

		for (i = 0; i < 3; i++) {
			tell(p, be, 1, changes[i], (struct outage_mark){ (uint64_t)run, run && i == 2, run ? 5000 : 0 });
			peer_finish(p);
			assert_null(strstr(kept.mail[i], "\r\nReferences:"));
			if (run)
				assert_string_equal(kept.mail[i], plain[i]);
			else
				strcpy(plain[i], kept.mail[i]);
		}
		peer_free(p);
	}
}

static void both__memory_fails__the_mail_is_whole_or_waits(void **state)
{
	bool failed = true;
	long n;

	(void)state;
	for (n = 0; failed; n++) {
		struct peer *p = threaded(true, true);
		struct engine_proxy *be = proxy(p, "be", "1");
		const struct alert_text what = { .level = ALERT_LEVEL_NOTICE, .change = ALERT_CHANGE_UP };

		unit_fail_at(n);
		engine_raise_alert(p->engine, be, &(struct engine_alert){
			.server = 1, .name = "be/s1", .what = &what, .text = "t", .text_len = 1, .date = DATE,
			.outage = { 1, true, 1000 } }, p->now);
		peer_finish(p);
		failed = unit_failed();
		assert_int_equal(kept.n + peer_stats(p).lost, 1);
		if (kept.n) {
			check_thread(0, "<outage.1.1.token@lb1.example.org>");
			assert_string_equal(body(0), "t\r\n\r\nThe server was down for 1 second.\r\n\r\n");
		}
		peer_free(p);
	}
	assert_true(n > 15);
}

/* Two mails that the host makes of an alert are of its outage; a body that the host wrote has nothing behind it. */
static void both__host_is_asked__its_answers_keep_the_outage(void **state)
{
	struct peer *p = threaded(true, true);
	struct buffer question = { 0 }, answers[2] = { { 0 }, { 0 } };
	struct engine_proxy *be;
	uint64_t id;
	int i;

	(void)state;
	p->proxy.ask_ms = 5000;
	be = proxy(p, "be", "1");
	tell(p, be, 7, ALERT_CHANGE_UP, (struct outage_mark){ 3, true, 60000 });
	id = engine_ask(p->engine, &question, p->now);
	assert_true(id);
	assert_non_null(memmem(question.data, question.len, "downtime\0" "1 minute", 18));
	for (i = 0; i < 2; i++)
		buffer_add(&answers[i], question.data, question.len);
	buffer_add(&answers[1], "body\0" "mine", 10);
	assert_int_equal(engine_answer(p->engine, id, answers, 2, p->now), MAILERS_OK);
	peer_finish(p);
	assert_int_equal(kept.n, 2);
	for (i = 0; i < 2; i++)
		check_thread((size_t)i, "<outage.7.3.token@lb1.example.org>");
	assert_string_equal(body(0), "Server be/s7 is up\r\n\r\nThe server was down for 1 minute.\r\n\r\n");
	assert_string_equal(body(1), "mine\r\n\r\n");
	buffer_free(&question);
	buffer_free(&answers[0]);
	buffer_free(&answers[1]);
	peer_free(p);
}

static void explain__up__shows_what_would_be_said(void **state)
{
	const struct alert_text what = { .level = ALERT_LEVEL_NOTICE, .change = ALERT_CHANGE_UP };
	const struct engine_alert alert = { .name = "be/s1", .what = &what, .text = "up", .text_len = 2, .date = "now",
	                                    .outage = { 1, true, 125000 } };
	struct buffer out = { 0 };
	struct peer *p;
	bool on;

	(void)state;
	for (on = false;; on = true) {
		p = threaded(on, on);
		proxy(p, "be", "1");
		assert_true(engine_explain(p->engine, &alert, &out));
		buffer_add(&out, "", 1);
		assert_string_equal(strstr(out.data, "subject: "), on ?
			"subject: [HAProxy Alert] up\n| up\n| \n| The server was down for 2 minutes 5 seconds.\n" :
			"subject: [HAProxy Alert] up\n| up\n");
		buffer_free(&out);
		peer_free(p);
		if (on)
			break;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(thread__two_mailers_two_servers_two_outages__an_id_for_each_outage),
		cmocka_unit_test(thread__mailers_with_other_names__the_same_id),
		cmocka_unit_test(thread__fold__has_it_if_all_are_of_one_outage),
		cmocka_unit_test(thread__down_in_a_summary__up_has_the_id),
		cmocka_unit_test(duration__up__says_it_behind_the_legacy_text),
		cmocka_unit_test(duration__own_body__has_the_field_alone),
		cmocka_unit_test(duration__in_one_mail_of_many__stands_with_its_alert),
		cmocka_unit_test(off__with_outages__changes_no_byte),
		cmocka_unit_test(both__memory_fails__the_mail_is_whole_or_waits),
		cmocka_unit_test(both__host_is_asked__its_answers_keep_the_outage),
		cmocka_unit_test(explain__up__shows_what_would_be_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
