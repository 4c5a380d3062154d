/* Unit tests of engine: metrics, the status page's JSON, and servers that are down. */
#include <mailers/rule.h>
#include <mailers/version.h>

#include "engine_peer.h"

static char text[1 << 20];

typedef void said(const struct engine *e, struct buffer *out, uint64_t now_ms);

static const char *say(struct peer *p, said *what)
{
	struct buffer out = { 0 };

	what(p->engine, &out, p->now);
	assert_int_equal(buffer_error(&out), MAILERS_OK);
	assert_true(out.len && out.len < sizeof(text));
	memcpy(text, out.data, out.len);
	text[out.len] = '\0';
	assert_int_equal(strlen(text), out.len);
	buffer_free(&out);
	return text;
}

static size_t count(const char *in, const char *what)
{
	size_t n = 0;

	for (; (in = strstr(in, what)); in += strlen(what))
		n++;
	return n;
}

/* --- JSON, strictly as in RFC 8259 --- */

static const char *json_value(const char *s);

static const char *json_string(const char *s)
{
	assert_int_equal(*s++, '"');
	for (; *s != '"'; s++) {
		assert_true((unsigned char)*s >= 0x20);
		if (*s != '\\')
			continue;
		s++;
		assert_non_null(strchr("\"\\/bfnrtu", *s));
		if (*s == 'u') {
			assert_int_equal(strspn(s + 1, "0123456789abcdefABCDEF") >= 4, 1);
			s += 4;
		}
	}
	return s + 1;
}

static const char *json_list(const char *s, bool named)
{
	char end = *s++ == '{' ? '}' : ']';

	if (*s == end)
		return s + 1;
	for (;;) {
		if (named) {
			s = json_string(s);
			assert_int_equal(*s++, ':');
		}
		s = json_value(s);
		if (*s == end)
			return s + 1;
		assert_int_equal(*s++, ',');
	}
}

static const char *json_value(const char *s)
{
	static const char *const words[] = { "true", "false", "null" };
	size_t i, n;

	if (*s == '{' || *s == '[')
		return json_list(s, *s == '{');
	if (*s == '"')
		return json_string(s);
	for (i = 0; i < 3; i++) {
		if (!strncmp(s, words[i], strlen(words[i])))
			return s + strlen(words[i]);
	}
	n = strspn(s, "0123456789");
	assert_true(n && (s[0] != '0' || n == 1));
	return s + n;
}

static const char *status(struct peer *p)
{
	const char *s = say(p, engine_status_json);

	assert_string_equal(json_value(s), "\n");
	return s;
}

/* --- the metrics, strictly as in the text format --- */

static bool is_name(const char *s, size_t n)
{
	return n && strspn(s, "abcdefghijklmnopqrstuvwxyz_") >= n;
}

static const char *check_labels(const char *s)
{
	while (*s != '}') {
		size_t n = strcspn(s, "=");

		assert_true(is_name(s, n));
		s += n;
		assert_int_equal(*s++, '=');
		assert_int_equal(*s++, '"');
		for (; *s != '"'; s++) {
			assert_true(*s && *s != '\n');
			if (*s == '\\')
				assert_non_null(strchr("\\\"n", *++s));
		}
		s++;
		if (*s == ',')
			s++;
		else
			assert_int_equal(*s, '}');
	}
	return s + 1;
}

/* Each family: HELP, TYPE, its series, none of them twice; then the next. */
static const char *metrics(struct peer *p)
{
	const char *s = say(p, engine_metrics), *line, *series[2000], *end;
	char family[100] = "", head[120];
	size_t n = 0, lengths[2000], i;

	for (line = s; *line; line = end + 1) {
		end = strchr(line, '\n');
		assert_non_null(end);
		if (!strncmp(line, "# HELP ", 7)) {
			assert_int_equal(sscanf(line, "# HELP %99s", family), 1);
			assert_true(end > line + 7 + strlen(family) + 10); /* a text */
			snprintf(head, sizeof(head), "\n# TYPE %s ", family);
			assert_memory_equal(end, head, strlen(head));
			assert_int_equal(count(s, head), 1);
			assert_memory_equal(family, "haproxy_mailers_", 16);
			continue;
		}
		if (*line == '#')
			continue;
		assert_memory_equal(line, family, strlen(family));
		lengths[n] = strcspn(line, " \n");
		if (memchr(line, '{', (size_t)(end - line)))
			lengths[n] = (size_t)(check_labels(strchr(line, '{') + 1) - line);
		assert_int_equal(line[lengths[n]], ' ');
		assert_int_equal(strspn(line + lengths[n] + 1, "0123456789."), end - line - (long)lengths[n] - 1);
		for (i = 0; i < n; i++)
			assert_true(lengths[i] != lengths[n] || memcmp(series[i], line, lengths[n]));
		series[n++] = line;
		assert_true(n < 2000);
	}
	return s;
}

/* The value of a series without the prefix of its name; "absent" without. */
static const char *value(const char *in, const char *series)
{
	static char out[64];
	char line[300];
	const char *at;

	snprintf(line, sizeof(line), "\nhaproxy_mailers_%s ", series);
	at = strstr(in, line);
	if (!at)
		return "absent";
	snprintf(out, sizeof(out), "%.*s", (int)strcspn(at + strlen(line), "\n"), at + strlen(line));
	return out;
}

/* --- tests --- */

static void metrics__nothing_raised__has_all_families(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	const char *s = metrics(p);

	(void)state;
	assert_int_equal(count(s, "# HELP "), 19);
	assert_int_equal(count(s, "# TYPE "), 19);
	assert_int_equal(count(s, "_total counter\n"), 8);
	assert_string_equal(value(s, "alerts_folded_total"), "0");
	assert_string_equal(value(s, "build_info{version=\"" MAILERS_VERSION "\"}"), "1");
	peer_mailer(p, peer_proxy(p, "be", "a@example.com"), "mx1:25");
	s = metrics(p);
	assert_string_equal(value(s, "alerts_total{proxy=\"be\",level=\"alert\"}"), "0");
	assert_string_equal(value(s, "alerts_total{proxy=\"be\",level=\"info\"}"), "0");
	assert_string_equal(value(s, "alerts_total{proxy=\"be\",level=\"debug\"}"), "absent");
	assert_string_equal(value(s, "queue_age_seconds{proxy=\"be\"}"), "0.000");
	assert_string_equal(value(s, "mailer_state{mailer=\"mx1:25\",address=\"mx1:25\",state=\"up\"}"), "1");
	peer_free(p);
}

#define MX1 "mailer=\"mx1:25\",address=\"mx1:25\""
#define MX2 "mailer=\"mx2:25\",address=\"mx2:25\""

static void metrics__each_outcome__is_counted_once(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com, b@example.com");
	const char *s;

	(void)state;
	peer_mailer(p, be, "mx1:25");
	peer_mailer(p, be, "mx2:25");
	p->rules[0] = (struct peer_rule){ "mx1:25", AT_RCPT, "<b@", "550 no", 1 };
	p->rules[1] = (struct peer_rule){ "mx1:25", AT_MESSAGE, "later", "451 busy", 1 };
	p->rules[2] = (struct peer_rule){ "mx1:25", AT_MESSAGE, "never", "554 no", 1 };
	p->rules[3] = (struct peer_rule){ "mx1:25", AT_MESSAGE, "perhaps", PEER_TAKE_CLOSE, 1 };
	p->rules[4] = (struct peer_rule){ "mx2:25", AT_CONNECT, NULL, PEER_CLOSE, 0 };
	peer_raise(p, be, 1, "mixed");
	peer_raise(p, be, 2, "later");
	peer_raise(p, be, 3, "never");
	peer_raise(p, be, 4, "perhaps");
	peer_run(p);
	s = metrics(p);
	assert_string_equal(value(s, "alerts_total{proxy=\"be\",level=\"alert\"}"), "4");
	assert_string_equal(value(s, "mails_total{" MX1 ",outcome=\"accepted\"}"), "1");
	assert_string_equal(value(s, "mails_total{" MX1 ",outcome=\"deferred\"}"), "1");
	assert_string_equal(value(s, "mails_total{" MX1 ",outcome=\"refused\"}"), "1");
	assert_string_equal(value(s, "mails_total{" MX1 ",outcome=\"unknown\"}"), "1");
	assert_string_equal(value(s, "recipients_total{" MX1 ",outcome=\"accepted\"}"), "1");
	assert_string_equal(value(s, "recipients_total{" MX1 ",outcome=\"refused\"}"), "3");
	assert_string_equal(value(s, "recipients_total{" MX1 ",outcome=\"deferred\"}"), "4");
	assert_string_equal(value(s, "queue_alerts{proxy=\"be\"}"), "6"); /* two here, four for mx2 */
	assert_string_equal(value(s, "mailer_queue_alerts{" MX1 "}"), "2");
	assert_string_equal(value(s, "mailer_queue_alerts{" MX2 "}"), "4");
	assert_string_equal(value(s, "mailer_failures_total{" MX2 ",reason=\"connect\"}"), "1");
	assert_string_equal(value(s, "mailer_connections_opened_total{" MX2 "}"), "1");
	assert_string_equal(value(s, "mailer_state{" MX2 ",state=\"failing\"}"), "1");
	p->now += 2500;
	s = metrics(p);
	assert_string_equal(value(s, "queue_age_seconds{proxy=\"be\"}"), "2.500");
	peer_tick(p, p->now + 30000);
	s = metrics(p);
	assert_string_equal(value(s, "recipients_total{" MX1 ",outcome=\"accepted\"}"), "5");
	assert_string_equal(value(s, "delivery_seconds_bucket{" MX1 ",le=\"0.001\"}"), "1");
	assert_string_equal(value(s, "delivery_seconds_bucket{" MX1 ",le=\"30\"}"), "1");
	assert_string_equal(value(s, "delivery_seconds_bucket{" MX1 ",le=\"60\"}"), "5");
	assert_string_equal(value(s, "delivery_seconds_bucket{" MX1 ",le=\"+Inf\"}"), "5");
	assert_string_equal(value(s, "delivery_seconds_count{" MX1 "}"), "5");
	assert_string_equal(value(s, "delivery_seconds_sum{" MX1 "}"), "130.000");
	engine_free(p->engine);
}

/* Each step's end belongs to it, and a millisecond more to the next. */
static void metrics__delivery_times__are_in_their_steps(void **state)
{
	static const struct {
		uint64_t ms;
		const char *le, *before;
	} rows[] = {
		{ 0, "0.001", NULL }, { 1, "0.001", NULL }, { 2, "0.002", "0.001" }, { 3, "0.005", "0.002" },
		{ 250, "0.25", "0.1" }, { 251, "0.5", "0.25" }, { 1000, "1", "0.5" }, { 1001, "2.5", "1" },
		{ 10000, "10", "5" }, { 3600000, "3600", "1800" }, { 3600001, "+Inf", "3600" },
	};
	char series[200];
	const char *s;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct peer *p = peer_new(PEER_NEED);
		struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");

		peer_mailer(p, be, "mx1:25");
		peer_raise(p, be, 1, "one");
		p->now += rows[i].ms;
		peer_finish(p);
		s = metrics(p);
		snprintf(series, sizeof(series), "delivery_seconds_bucket{" MX1 ",le=\"%s\"}", rows[i].le);
		assert_string_equal(value(s, series), "1");
		snprintf(series, sizeof(series), "delivery_seconds_bucket{" MX1 ",le=\"%s\"}",
		         rows[i].before ? rows[i].before : "0");
		assert_string_equal(value(s, series), rows[i].before ? "0" : "absent");
		peer_free(p);
	}
}

static void metrics__sessions_that_fail__are_counted_by_reason(void **state)
{
	static const struct {
		struct peer_rule rule;
		const char *reason;
	} rows[] = {
		{ { NULL, AT_CONNECT, NULL, PEER_CLOSE, 0 }, "connect" },
		{ { NULL, AT_GREETING, NULL, "554 no", 0 }, "smtp" },
		{ { NULL, AT_EHLO, NULL, "421 no", 0 }, "smtp" },
		{ { NULL, AT_STARTTLS, NULL, "454 no", 0 }, "tls" },
		{ { NULL, AT_AUTH, NULL, "535 no", 0 }, "auth" },
		{ { NULL, AT_MAIL, NULL, "530 5.7.0 no", 0 }, "smtp" },
		{ { NULL, AT_MESSAGE, NULL, PEER_CLOSE, 0 }, "smtp" },
	};
	static const char *const reasons[] = { "connect", "tls", "auth", "smtp", "local" };
	static const struct sasl_credentials credentials = { .user = "me", .password = "secret" };
	char series[200];
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct peer *p = peer_new(PEER_NEED);
		struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");
		const char *s;

		if (rows[i].rule.at == AT_AUTH) {
			p->auth = "PLAIN";
			p->mailer.credentials = &credentials;
			p->mailer.auth_without_tls = true;
		}
		if (rows[i].rule.at == AT_STARTTLS)
			p->mailer.tls = SMTP_TLS_REQUIRED; /* and it is not offered */
		p->rules[0] = rows[i].rule;
		peer_mailer(p, be, "mx1:25");
		peer_raise(p, be, 1, "one");
		peer_run(p);
		s = metrics(p);
		for (k = 0; k < 5; k++) {
			snprintf(series, sizeof(series), "mailer_failures_total{" MX1 ",reason=\"%s\"}", reasons[k]);
			assert_string_equal(value(s, series), strcmp(reasons[k], rows[i].reason) ? "0" : "1");
		}
		engine_free(p->engine);
	}
}

static void metrics__drops__are_counted_by_reason(void **state)
{
	struct alert_text report = { .level = ALERT_LEVEL_INFO, .kind = ALERT_KIND_CHECK };
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be;
	const char *s;
	long n;

	(void)state;
	engine_free(p->engine);
	p->engine = engine_new(&(struct engine_settings){ .token = "token", .limits.alerts = 2 });
	be = peer_proxy(p, "be", "a@example.com");
	peer_mailer(p, be, "mx1:25");
	peer_ready(p, be);
	engine_raise(p->engine, be, 9, "be/s9", &report, "report", 6, "date", p->now);
	for (n = 1; n <= 4; n++)
		peer_raise(p, be, (uint64_t)n, "one");
	unit_fail_at(0);
	peer_raise(p, be, 5, "one");
	assert_true(unit_failed());
	s = metrics(p);
	assert_string_equal(value(s, "alerts_dropped_total{proxy=\"be\",reason=\"full_check\"}"), "1");
	assert_string_equal(value(s, "alerts_dropped_total{proxy=\"be\",reason=\"full_state\"}"), "2");
	assert_string_equal(value(s, "alerts_dropped_total{proxy=\"be\",reason=\"memory\"}"), "1");
	assert_string_equal(value(s, "alerts_total{proxy=\"be\",level=\"info\"}"), "1");
	assert_string_equal(value(s, "alerts_total{proxy=\"be\",level=\"alert\"}"), "5");
	peer_finish(p);
	peer_free(p);
}

static void metrics__a_rule_drops__is_a_reason_of_its_own(void **state)
{
	static const char *const words[] = { "noise" };
	const struct rule rule = { .level = ALERT_LEVEL_DEBUG, .words = { words, 1 }, .drop = true };
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be;
	const char *s;

	(void)state;
	p->proxy.rules = &rule;
	p->proxy.nrules = 1;
	be = peer_proxy(p, "be", "a@example.com");
	peer_mailer(p, be, "mx1:25");
	peer_raise(p, be, 1, "only noise");
	peer_raise(p, be, 1, "news");
	peer_finish(p);
	s = metrics(p);
	assert_string_equal(value(s, "alerts_total{proxy=\"be\",level=\"alert\"}"), "2");
	assert_string_equal(value(s, "alerts_dropped_total{proxy=\"be\",reason=\"rule\"}"), "1");
	assert_string_equal(value(s, "alerts_dropped_total{proxy=\"be\",reason=\"memory\"}"), "0");
	assert_string_equal(value(s, "mails_total{" MX1 ",outcome=\"accepted\"}"), "1");
	peer_free(p);
}

static void metrics__no_mailer__alerts_are_counted_as_dropped(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");

	(void)state;
	peer_raise(p, be, 1, "one");
	assert_string_equal(value(metrics(p), "alerts_dropped_total{proxy=\"be\",reason=\"memory\"}"), "1");
	peer_free(p);
}

/* The same id and address with another HELO name, or other settings, are mailers of their own. */
static void metrics__mailers_of_one_name__are_series_of_their_own(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	const char *s;
	int i;

	(void)state;
	for (i = 0; i < 3; i++) {
		struct engine_proxy *be = peer_proxy(p, i ? i == 1 ? "b" : "c" : "a", "a@example.com");

		p->mailer.fall = i < 2 ? 3 : 7;
		peer_mailer(p, be, "mx1:25");
		p->maxconn = 9;
	}
	s = metrics(p);
	assert_string_equal(value(s, "mailer_connections{" MX1 "}"), "0");
	assert_string_equal(value(s, "mailer_connections{" MX1 ",number=\"2\"}"), "0");
	assert_string_equal(value(s, "mailer_connections{" MX1 ",number=\"3\"}"), "0");
	assert_int_equal(count(status(p), "\"name\":\"mx1:25\""), 3);
	peer_free(p);
}

static void status__names_of_any_bytes__are_text(void **state)
{
	static const char bad[] = "<script>alert(1)</script>\"\\\n\xff\xc3";
	struct alert_text what = { .level = ALERT_LEVEL_NOTICE };
	struct mailer_settings mailer = { .name = bad, .address = bad, .helo = "lb", .maxconn = 1 };
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = peer_proxy(p, bad, "a@example.com");
	char reason[ENGINE_REASON_MAX];
	struct engine_outage *o;
	const char *s;

	(void)state;
	assert_int_equal(engine_proxy_mailer(p->engine, be, &mailer, reason), MAILERS_OK);
	engine_raise(p->engine, be, 1, bad, &what, bad, strlen(bad), "date", p->now);
	o = engine_outage_begin(p->engine, be, bad, bad, p->now);
	s = status(p);
	assert_int_equal(count(s, "\"\\u003cscript\\u003ealert(1)\\u003c/script\\u003e"
	                          "\\\"\\\\\\n\\ufffd\\ufffd\""), 7);
	assert_null(strchr(s, '<'));
	assert_null(strchr(s, '\xff'));
	s = metrics(p);
	assert_non_null(strstr(s, "alerts_total{proxy=\"<script>alert(1)</script>\\\"\\\\\\n\xef\xbf\xbd\xef\xbf\xbd\","
	                       "level=\"notice\"} 1\n"));
	assert_null(strchr(s, '\xff'));
	engine_outage_end(p->engine, be, o);
	engine_free(p->engine);
}

static void status__replies__are_told_with_the_fate(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com, b@example.com");
	const char *s;

	(void)state;
	peer_mailer(p, be, "mx1:25");
	p->rules[0] = (struct peer_rule){ NULL, AT_RCPT, "<b@", "550 no <script> \x07\"here\"", 1 };
	peer_raise(p, be, 1, "one");
	peer_run(p);
	p->now += 1234;
	peer_raise(p, be, 2, "two");
	s = status(p);
	assert_non_null(strstr(s, "\"alerts\":[{\"id\":2,\"age_ms\":0,\"server\":\"be/s2\",\"level\":\"alert\","
	                       "\"text\":\"two\",\"mailer\":\"mx1:25\",\"fates\":{\"queued\":2},\"deferrals\":0,\"answer\":\"\"},"
	                       "{\"id\":1,\"age_ms\":1234,\"server\":\"be/s1\""));
	assert_non_null(strstr(s, "\"fates\":{\"accepted\":1,\"refused\":1},\"deferrals\":0,"
	                       "\"answer\":\"550 no \\u003cscript"));
	assert_non_null(strstr(s, "\\\"here\\\"\"}]"));
	assert_non_null(strstr(s, "\"totals\":{\"raised\":2,\"dropped\":0,\"queued\":1,"));
	engine_free(p->engine);
}

static void status__a_mailer_in_trouble__says_what_and_when(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");
	const char *s;

	(void)state;
	peer_mailer(p, be, "mx1:25");
	assert_non_null(strstr(status(p), "\"state\":\"UP\",\"since_ms\":null,\"retry_ms\":0,\"connections\":0,"
	                       "\"queued\":0,\"oldest_ms\":null,"));
	assert_non_null(strstr(text, "\"error\":\"\",\"error_ms\":null}"));
	p->rules[0] = (struct peer_rule){ NULL, AT_CONNECT, NULL, PEER_CLOSE, 0 };
	peer_raise(p, be, 1, "one");
	peer_run(p);
	while (p->nopened < 3)
		assert_true(peer_wait(p));
	p->now += 2000;
	s = status(p);
	assert_non_null(strstr(s, "\"state\":\"DOWN\",\"since_ms\":2000,\"retry_ms\":8000,\"connections\":0,"
	                       "\"queued\":1,"));
	assert_non_null(strstr(s, "\"error\":\"connection closed at connect\",\"error_ms\":2000}"));
	engine_free(p->engine);
}

/* Mails of the minute that goes on are last; those of an hour ago are forgotten. */
static void status__minutes__are_the_last_sixty(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");
	static const char none[] = "{\"accepted\":0,\"deferred\":0,\"refused\":0}";
	const char *s;
	int i;

	(void)state;
	p->rules[0] = (struct peer_rule){ NULL, AT_MESSAGE, "no", "554 no", 0 };
	peer_mailer(p, be, "mx1:25");
	p->now = 60000 * 100 + 59999;
	peer_raise(p, be, 1, "one");
	peer_finish(p);
	p->now++;
	for (i = 2; i <= 4; i++) {
		peer_raise(p, be, (uint64_t)i, i == 4 ? "no" : "two");
		peer_finish(p);
	}
	s = strstr(status(p), "\"minutes\":[");
	assert_int_equal(count(s, none), 58);
	assert_int_equal(count(s, "\"accepted\""), 60);
	assert_non_null(strstr(s, ",{\"accepted\":1,\"deferred\":0,\"refused\":0},"
	                       "{\"accepted\":2,\"deferred\":0,\"refused\":1}]"));
	p->now += 59 * 60000;
	s = strstr(status(p), "\"minutes\":[{\"accepted\":2,\"deferred\":0,\"refused\":1},");
	assert_int_equal(count(s, none), 59);
	p->now += 60000;
	assert_int_equal(count(strstr(status(p), "\"minutes\":["), none), 60);
	p->now = 5;
	assert_int_equal(count(strstr(status(p), "\"minutes\":["), none), 60);
	peer_free(p);
}

static void status__long_text__is_cut_between_characters(void **state)
{
	struct alert_text what = { .level = ALERT_LEVEL_ALERT };
	char wanted[ENGINE_STATUS_TEXT + 40];
	size_t lead;

	(void)state;
	for (lead = 0; lead < 4; lead++) {
		struct peer *p = peer_new(PEER_NEED);
		struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");
		char long_text[2000];
		size_t n = lead, whole;

		peer_mailer(p, be, "mx1:25");
		memset(long_text, 'x', lead);
		for (; n + 4 < sizeof(long_text); n += 4)
			memcpy(long_text + n, "\xf0\x9f\x93\xa7", 4);
		engine_raise(p->engine, be, 1, "be/s1", &what, long_text, n, "date", p->now);
		whole = lead + (ENGINE_STATUS_TEXT - lead) / 4 * 4;
		snprintf(wanted, sizeof(wanted), "\"text\":\"%.*s\xe2\x80\xa6\"", (int)whole, long_text);
		assert_non_null(strstr(status(p), wanted));
		engine_free(p->engine);
	}
}

static void down__servers__are_listed_and_counted(void **state)
{
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *a = peer_proxy(p, "a", "a@example.com"), *b = peer_proxy(p, "b", "a@example.com");
	struct engine_outage *one, *two;
	const char *s;

	(void)state;
	assert_non_null(strstr(status(p), "\"down\":{\"count\":0,\"servers\":[]}"));
	one = engine_outage_begin(p->engine, a, "a/s1", "Layer4 timeout", p->now);
	p->now += 5000;
	two = engine_outage_begin(p->engine, b, "b/s1", "", p->now - 60000);
	assert_non_null(strstr(status(p), "\"down\":{\"count\":2,\"servers\":["
	                       "{\"name\":\"b/s1\",\"why\":\"\",\"since_ms\":60000},"
	                       "{\"name\":\"a/s1\",\"why\":\"Layer4 timeout\",\"since_ms\":5000}]}"));
	engine_outage_end(p->engine, a, one);
	assert_non_null(strstr(status(p), "\"down\":{\"count\":1,\"servers\":[{\"name\":\"b/s1\""));
	s = metrics(p);
	assert_string_equal(value(s, "servers_down{proxy=\"a\"}"), "0");
	assert_string_equal(value(s, "servers_down{proxy=\"b\"}"), "1");
	engine_outage_end(p->engine, b, two);
	assert_non_null(strstr(status(p), "\"down\":{\"count\":0,\"servers\":[]}"));
	peer_free(p);
}

static void down__more_than_can_be_listed__are_counted(void **state)
{
	static struct engine_outage *o[ENGINE_OUTAGES + 5];
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");
	const char *s;
	size_t i;

	(void)state;
	for (i = 0; i < ENGINE_OUTAGES + 5; i++) {
		o[i] = engine_outage_begin(p->engine, be, "be/s", "", p->now);
		assert_int_equal(o[i] == NULL, i >= ENGINE_OUTAGES);
	}
	s = status(p);
	assert_non_null(strstr(s, "\"down\":{\"count\":10005,"));
	assert_int_equal(count(s, "\"name\":\"be/s\""), ENGINE_STATUS_DOWN);
	for (i = 0; i < ENGINE_OUTAGES + 5; i += 2)
		engine_outage_end(p->engine, be, o[i]);
	assert_non_null(strstr(status(p), "\"down\":{\"count\":5002,"));
	unit_fail_at(0);
	assert_null(engine_outage_begin(p->engine, be, "be/s", "", p->now));
	assert_true(unit_failed());
	assert_string_equal(value(metrics(p), "servers_down{proxy=\"be\"}"), "5003");
	peer_free(p);
}

/* A text that could not be written is an error, never a shorter one. */
static void text__memory_fails__is_the_buffers_error(void **state)
{
	static said *const whats[] = { engine_metrics, engine_status_json };
	struct peer *p = peer_new(PEER_NEED);
	struct engine_proxy *be = peer_proxy(p, "be", "a@example.com");
	size_t i;
	long n;

	(void)state;
	peer_mailer(p, be, "mx1:25");
	peer_raise(p, be, 1, "one");
	for (i = 0; i < 2; i++) {
		bool failed = true;

		for (n = 0; failed; n++) {
			struct buffer out = { 0 };

			unit_fail_at(n);
			whats[i](p->engine, &out, p->now);
			failed = unit_failed();
			assert_int_equal(buffer_error(&out), failed ? MAILERS_ERR_NOMEM : MAILERS_OK);
			buffer_free(&out);
		}
		assert_true(n > 3);
	}
	for (i = 0; i < 2; i++) {
		struct buffer out = { .limit = 500 };

		whats[i](p->engine, &out, p->now);
		assert_int_equal(buffer_error(&out), MAILERS_ERR_BOUND);
		buffer_free(&out);
	}
	peer_finish(p);
	peer_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(metrics__nothing_raised__has_all_families),
		cmocka_unit_test(metrics__each_outcome__is_counted_once),
		cmocka_unit_test(metrics__delivery_times__are_in_their_steps),
		cmocka_unit_test(metrics__sessions_that_fail__are_counted_by_reason),
		cmocka_unit_test(metrics__drops__are_counted_by_reason),
		cmocka_unit_test(metrics__a_rule_drops__is_a_reason_of_its_own),
		cmocka_unit_test(metrics__no_mailer__alerts_are_counted_as_dropped),
		cmocka_unit_test(metrics__mailers_of_one_name__are_series_of_their_own),
		cmocka_unit_test(status__names_of_any_bytes__are_text),
		cmocka_unit_test(status__replies__are_told_with_the_fate),
		cmocka_unit_test(status__a_mailer_in_trouble__says_what_and_when),
		cmocka_unit_test(status__minutes__are_the_last_sixty),
		cmocka_unit_test(status__long_text__is_cut_between_characters),
		cmocka_unit_test(down__servers__are_listed_and_counted),
		cmocka_unit_test(down__more_than_can_be_listed__are_counted),
		cmocka_unit_test(text__memory_fails__is_the_buffers_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
