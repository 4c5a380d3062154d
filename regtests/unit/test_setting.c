/*
 * Tests of setting: one value at a time, the tables, and the nearest name.
 */
#include <inttypes.h>

#include <mailers/engine.h>
#include <mailers/setting.h>

#include "unit.h"

#define ROWS(table) (sizeof(table) / sizeof(*(table)))

static const struct setting_field *const tables[] = {
	setting_mailer_fields, setting_proxy_fields, setting_limit_fields, setting_summary_fields, setting_top_fields,
};

static const struct setting_field *mailer_field(const char *name)
{
	const struct setting_field *f = setting_find(setting_mailer_fields, name);

	assert_non_null(f);
	return f;
}

static struct setting_value text_value(const char *text)
{
	return (struct setting_value){ .kind = SETTING_IS_TEXT, .text = text, .len = strlen(text) };
}

static struct setting_value number_value(int64_t number)
{
	return (struct setting_value){ .kind = SETTING_IS_NUMBER, .number = number };
}

static struct setting_value bool_value(bool truth)
{
	return (struct setting_value){ .kind = SETTING_IS_BOOL, .truth = truth };
}

static struct setting_value list_value(const char *const *ids, size_t n)
{
	return (struct setting_value){ .kind = SETTING_IS_LIST, .list = { ids, n } };
}

static bool set_mailer(struct setting_mailer *m, const char *name, struct setting_value value, char *reason)
{
	return setting_set(setting_mailer_fields, mailer_field(name), m, &value, reason);
}

/* One printable line with a remedy. */
static void check_reason(const char *reason)
{
	const char *p;

	assert_non_null(strchr(reason, ';'));
	assert_true(strlen(reason) < SETTING_REASON_SIZE - 1);
	for (p = reason; *p; p++)
		assert_in_range(*p, ' ', '~');
}

/* --- tables --- */

static void tables__each_row__has_bounds_and_an_example(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < ROWS(tables); i++) {
		const struct setting_field *f;

		for (f = tables[i]; f->name; f++) {
			assert_in_range(f - tables[i], 0, 63);
			assert_ptr_equal(setting_find(tables[i], f->name), f);
			assert_true(f->example && f->example[0] && f->initial);
			if (f->type == SETTING_NUMBER || f->type == SETTING_TIME)
				assert_true(f->min < f->max);
			if (f->type == SETTING_ENUM || f->type == SETTING_AUTH)
				assert_non_null(f->words);
		}
	}
}

/* The example as a value, when it is a text or a number. */
static void tables__the_example_of_a_field__is_taken(void **state)
{
	char text[128], reason[SETTING_REASON_SIZE];
	struct setting_mailer m = { 0 };
	const struct setting_field *f;
	struct setting_value value;
	size_t len;

	(void)state;
	for (f = setting_mailer_fields; f->name; f++) {
		len = strlen(f->example);
		if (f->type == SETTING_SECRET || f->type == SETTING_AUTH)
			continue;
		assert_true(len < sizeof(text));
		if (f->example[0] == '"') {
			memcpy(text, f->example + 1, len - 2);
			text[len - 2] = '\0';
			value = text_value(text);
		} else if (f->type == SETTING_BOOL) {
			value = bool_value(!strcmp(f->example, "true"));
		} else {
			value = number_value(strtol(f->example, NULL, 10));
		}
		assert_true(setting_set(setting_mailer_fields, f, &m, &value, reason));
		assert_string_equal(reason, "");
		assert_true(setting_given(setting_mailer_fields, f, &m));
	}
}

/* The words stand in the order of their enums. */
static void tables__words__are_those_of_the_enums(void **state)
{
	static const struct {
		const char *key, *word;
		size_t offset;
		int wanted;
	} rows[] = {
		{ "tls", "none", offsetof(struct setting_mailer, tls), SMTP_TLS_NONE },
		{ "tls", "opportunistic", offsetof(struct setting_mailer, tls), SMTP_TLS_OPPORTUNISTIC },
		{ "tls", "required", offsetof(struct setting_mailer, tls), SMTP_TLS_REQUIRED },
		{ "tls", "IMPLICIT", offsetof(struct setting_mailer, tls), SMTP_TLS_IMPLICIT },
		{ "verify", "none", offsetof(struct setting_mailer, verify), SETTING_VERIFY_NONE },
		{ "verify", "required", offsetof(struct setting_mailer, verify), SETTING_VERIFY_REQUIRED },
		{ "ssl_min_ver", "TLSv1.2", offsetof(struct setting_mailer, ssl_min_ver), SETTING_TLS_1_2 },
		{ "ssl_min_ver", "tlsv1.3", offsetof(struct setting_mailer, ssl_min_ver), SETTING_TLS_1_3 },
	};
	char reason[SETTING_REASON_SIZE];
	struct setting_mailer m;
	size_t i;

	(void)state;
	for (i = 0; i < ROWS(rows); i++) {
		memset(&m, 0xff, sizeof(m));
		assert_true(set_mailer(&m, rows[i].key, text_value(rows[i].word), reason));
		assert_int_equal(*(int *)((char *)&m + rows[i].offset), rows[i].wanted);
	}
}

/* --- times --- */

static void time__that_is_one__is_read(void **state)
{
	static const struct {
		const char *text;
		uint32_t ms;
	} rows[] = {
		{ "0", 0 }, { "1", 1 }, { "250", 250 }, { "500ms", 500 }, { "10s", 10000 }, { "5m", 300000 }, { "4h", 14400000 },
		{ "1d", 86400000 }, { "24d", 2073600000 }, { "2147483647", 2147483647 }, { "2147483647ms", 2147483647 },
		{ "2147483s", 2147483000 }, { "596h", 2145600000 }, { "0d", 0 }, { "007s", 7000 },
		{ "1us", 1 }, { "1000us", 1 }, { "1001us", 2 }, { "0us", 0 }, { "2147483647000us", 2147483647 },
	};
	size_t i;
	uint32_t ms;

	(void)state;
	for (i = 0; i < ROWS(rows); i++) {
		assert_true(setting_time(rows[i].text, strlen(rows[i].text), &ms));
		assert_int_equal(ms, rows[i].ms);
	}
}

static void time__that_is_none_or_too_long__is_refused(void **state)
{
	static const char *const rows[] = {
		"", "s", "ms", "-1", "-1s", "+1s", " 1s", "1s ", "1 s", "1S", "1sec", "1min", "1w", "1h30m", "1.5s", "1e3", "0x10",
		"1ns", "1u", "1mss", "2147483648", "2147483648ms", "2147484s", "35792m", "597h", "25d", "2147483647001us",
		"18446744073709551617", "99999999999999999999999999999999s", "10\n", "ten",
	};
	size_t i;
	uint32_t ms;

	(void)state;
	for (i = 0; i < ROWS(rows); i++) {
		ms = 1;
		if (setting_time(rows[i], strlen(rows[i]), &ms))
			fail_msg("'%s' was taken", rows[i]);
		assert_int_equal(ms, 0);
	}
	assert_false(setting_time("1s\0s", 4, &ms));
	assert_true(setting_time("1sx", 2, &ms));
}

/* --- values of each type --- */

struct value_row {
	const char *key;
	struct setting_value value;
	const char *reason; /* part of it; NULL: taken */
};

static void check_rows(const struct value_row *rows, size_t n)
{
	struct setting_mailer m, before;
	char reason[SETTING_REASON_SIZE];
	size_t i;
	bool ok;

	for (i = 0; i < n; i++) {
		memset(&m, 0, sizeof(m));
		before = m;
		memset(reason, 'x', sizeof(reason));
		ok = set_mailer(&m, rows[i].key, rows[i].value, reason);
		if (ok != !rows[i].reason || (!ok && !strstr(reason, rows[i].reason)))
			fail_msg("row %zu, %s: %.300s", i, rows[i].key, reason);
		assert_int_equal(setting_given(setting_mailer_fields, mailer_field(rows[i].key), &m), ok);
		if (!ok) {
			check_reason(reason);
			assert_memory_equal(&m, &before, sizeof(m));
		}
	}
}

static void value__of_a_number__is_checked(void **state)
{
	const struct value_row rows[] = {
		{ "maxconn", number_value(1), NULL },
		{ "maxconn", number_value(64), NULL },
		{ "maxconn", number_value(0), "0 is no number from 1 to 64; write one such as 2" },
		{ "maxconn", number_value(65), "65 is no number from 1 to 64" },
		{ "maxconn", number_value(INT64_MIN), "-9223372036854775808 is no number" },
		{ "maxconn", number_value(4294967297), "4294967297 is no number" },
		{ "maxconn", text_value("4"), "'4' is no number from 1 to 64; write one without quotes, such as 2" },
		{ "maxconn", bool_value(true), "true is no number" },
		{ "maxconn", { .kind = SETTING_IS_OTHER, .kind_name = "a function" }, "a function is no number" },
		{ "timeout_mail", number_value(5000), NULL },
		{ "timeout_mail", text_value("10s"), NULL },
		{ "timeout_mail", number_value(-1), "-1 is no time; write a number with us, ms, s, m, h or d" },
		{ "timeout_mail", number_value(9), "9 is out of range; write a time from 10ms to 24d" },
		{ "timeout_mail", text_value("25d"), "'25d' is no time" },
		{ "timeout_mail", text_value("ten"), "such as \"10s\"" },
		{ "inter", text_value("99ms"), "from 100ms to 24d" },
		{ "inter", list_value(NULL, 0), "a list is no time" },
	};

	(void)state;
	check_rows(rows, ROWS(rows));
}

static void value__of_a_word__is_checked(void **state)
{
	static const char *const two[] = { "scram-sha-256", "PLAIN" }, *const bad[] = { "plain", "pain" };
	static const char *const mixed[] = { "auto", "plain" };
	const struct value_row rows[] = {
		{ "pipelining", bool_value(false), NULL },
		{ "pipelining", text_value("false"), "'false' is neither true nor false; write true or false, without quotes" },
		{ "tls", text_value("requird"), "unknown value 'requird'; did you mean \"required\"? Write \"none\", "
		  "\"opportunistic\", \"required\" or \"implicit\"" },
		{ "tls", text_value("yes"), "unknown value 'yes'; write \"none\"" },
		{ "tls", bool_value(true), "unknown value true; write \"none\"" },
		{ "tls", text_value(""), "unknown value ''" },
		{ "ssl_min_ver", text_value("TLSv1.1"), "Write \"TLSv1.2\" or \"TLSv1.3\"" },
		{ "auth", text_value("Plain"), NULL },
		{ "auth", list_value(two, 2), NULL },
		{ "auth", list_value(bad, 2), "unknown value 'pain'; did you mean \"plain\"" },
		{ "auth", list_value(mixed, 2), "\"auto\" stands in a list" },
		{ "auth", list_value(NULL, 0), "the list is empty" },
		{ "auth", number_value(1), "unknown value 1; write \"auto\", \"plain\"" },
	};

	(void)state;
	check_rows(rows, ROWS(rows));
}

static void value__of_a_text__is_checked(void **state)
{
	static char long_text[600];
	struct value_row rows[] = {
		{ "user", text_value("al\xc3\xa9rts"), NULL },
		{ "user", bool_value(false), NULL },
		{ "user", bool_value(true), "true is no text" },
		{ "user", text_value(""), "the text is empty" },
		{ "user", text_value("a\nb"), "'a\\x0Ab' has control characters" },
		{ "user", { .kind = SETTING_IS_TEXT, .text = "a\0b", .len = 3 }, "'a\\x00b' has control characters" },
		{ "user", text_value(long_text), "has 599 bytes; write a text of at most 512" },
		{ "user", number_value(7), "7 is no text" },
		{ "verifyhost", text_value("mail.example.org"), NULL },
		{ "verifyhost", text_value("192.0.2.1"), NULL },
		{ "verifyhost", text_value("2001:db8::1"), NULL },
		{ "verifyhost", text_value("[2001:db8::1]"), "is not a host name or IP address" },
		{ "verifyhost", text_value("*.example.org"), "is not a host name or IP address" },
		{ "verifyhost", text_value("mail.example.org."), "is not a host name" },
		{ "verifyhost", text_value("mail.example.org:25"), "is not a host name" },
		{ "sni", text_value("192.0.2.1"), "is not a host name" },
		{ "sni", text_value("a..b"), "is not a host name" },
		{ "helo", text_value("lb1"), NULL },
		{ "helo", text_value("[192.0.2.1]"), NULL },
		{ "helo", text_value("[IPv6:2001:db8::1]"), NULL },
		{ "helo", text_value("[192.0.2]"), "is not a host name; write such as \"lb1.example.org\"" },
		{ "helo", text_value("lb1 example"), "is not a host name" },
		{ "password_env", text_value("_X9"), NULL },
		{ "password_env", text_value("9X"), "is not the name of an environment variable" },
		{ "password_env", text_value("$X"), "is not the name of an environment variable" },
	};

	(void)state;
	memset(long_text, 'u', sizeof(long_text) - 1);
	rows[6].value = text_value(long_text);
	check_rows(rows, ROWS(rows));
}

static void value__of_a_secret__is_refused_and_not_repeated(void **state)
{
	char reason[SETTING_REASON_SIZE];
	struct setting_mailer m = { 0 };

	(void)state;
	assert_false(set_mailer(&m, "password", text_value("hunter2"), reason));
	check_reason(reason);
	assert_non_null(strstr(reason, "write password_file = "));
	assert_null(strstr(reason, "hunter2"));
	assert_false(set_mailer(&m, "token", text_value("hunter2"), reason));
	assert_non_null(strstr(reason, "write token_file = "));
	assert_null(strstr(reason, "hunter2"));
	assert_int_equal(m.given, 0);
}

static void value__of_a_proxy__is_checked(void **state)
{
	static const char *const ids[] = { "smtp2", "smtp1" }, *const twice[] = { "a", "b", "a" };
	const struct setting_field *order = setting_find(setting_proxy_fields, "order");
	const struct setting_field *limit = setting_find(setting_proxy_fields, "limit");
	struct setting_value value = list_value(ids, 2);
	struct setting_limit given = { .mails = 20, .per = 60000 };
	struct setting_proxy p = { 0 };
	char reason[SETTING_REASON_SIZE];

	(void)state;
	assert_true(setting_set(setting_proxy_fields, order, &p, &value, reason));
	assert_int_equal(p.order.n, 2);
	assert_string_equal(p.order.id[0], "smtp2");
	value = list_value(twice, 3);
	assert_false(setting_set(setting_proxy_fields, order, &p, &value, reason));
	assert_string_equal(reason, "'a' stands there twice; remove one");
	value = bool_value(false);
	assert_true(setting_set(setting_proxy_fields, order, &p, &value, reason));
	assert_int_equal(p.order.n, 0);
	setting_put(setting_proxy_fields, limit, &p, &given);
	assert_int_equal(p.limit.mails, 20);
	assert_true(setting_given(setting_proxy_fields, limit, &p));
	assert_true(setting_set(setting_proxy_fields, limit, &p, &value, reason));
	assert_int_equal(p.limit.mails, 0);
	value = number_value(20);
	assert_false(setting_set(setting_proxy_fields, limit, &p, &value, reason));
	assert_string_equal(reason, "20 is no table; write such as { mails = 20, per = \"1m\" }");
}

static void limit__with_one_key__is_refused(void **state)
{
	struct setting_limit l = { .mails = 1, .per = 100 };
	char reason[SETTING_REASON_SIZE];

	(void)state;
	assert_true(setting_limit_check(&l, reason));
	l.per = 0;
	assert_false(setting_limit_check(&l, reason));
	assert_string_equal(reason, "per is missing; write limit = { mails = 20, per = \"1m\" }");
	l = (struct setting_limit){ .per = 100 };
	assert_false(setting_limit_check(&l, reason));
	assert_string_equal(reason, "mails is missing; write limit = { mails = 20, per = \"1m\" }");
}

static void summary__keys_that_are_not_set__get_defaults(void **state)
{
	struct setting_summary s = { 0 }, longer = { .wait = 600000 }, given = { .wait = 1000, .max_wait = 1000 };
	char reason[SETTING_REASON_SIZE];

	(void)state;
	assert_true(setting_summary_check(&s, reason));
	assert_int_equal(s.wait, 30000);
	assert_int_equal(s.max_wait, 300000);
	assert_int_equal(s.first, SETTING_FIRST_WAITS);
	assert_true(setting_summary_check(&longer, reason));
	assert_int_equal(longer.max_wait, 600000);
	assert_true(setting_summary_check(&given, reason));
	assert_int_equal(given.max_wait, 1000);
}

static void summary__what_does_not_go_together__is_refused(void **state)
{
	static const struct {
		struct setting_summary summary;
		const char *reason;
	} rows[] = {
		{ { .wait = 2000, .max_wait = 1999 }, "wait is longer than max_wait, after which a mail leaves anyway; write a shorter "
		  "wait or a longer max_wait" },
		{ { .batch.text = "%{name} at %{date}" }, "batch: %{date} cannot stand here; write %{proxy}, %{server}, %{name} alone" },
		{ { .group = "%%{text} %{text}" }, "group: %{text} cannot stand here; write %{proxy}, %{server}, %{name}, %{state}, "
		  "%{level} or %{event}" },
		{ { .batch.text = "%{proxy}%{server}%{name}%%{text}", .group = "%{state} %{level} %{event} %{proxy}" }, "" },
	};
	char reason[SETTING_REASON_SIZE];
	size_t i;

	(void)state;
	for (i = 0; i < ROWS(rows); i++) {
		struct setting_summary s = rows[i].summary;

		assert_int_equal(setting_summary_check(&s, reason), !*rows[i].reason);
		assert_string_equal(reason, rows[i].reason);
	}
}

static void proxy__summary_that_waits_as_long_as_alerts_live__is_refused(void **state)
{
	struct setting_proxy p = { .summary = { .wait = 1, .max_wait = 4999 }, .max_age = 5000 };
	char reason[SETTING_REASON_SIZE];

	(void)state;
	assert_true(setting_proxy_check(&p, reason));
	p.summary.max_wait++;
	assert_false(setting_proxy_check(&p, reason));
	assert_string_equal(reason, "summary.max_wait is not below max_age, at which alerts are given up; write a shorter max_wait");
	p.summary.wait = 0;
	assert_true(setting_proxy_check(&p, reason));
}

/* --- merging --- */

static void merge__of_entries__takes_what_the_later_sets(void **state)
{
	struct setting_mailer to = { 0 }, from = { 0 };
	char reason[SETTING_REASON_SIZE];

	(void)state;
	assert_true(set_mailer(&to, "maxconn", number_value(2), reason));
	assert_true(set_mailer(&to, "helo", text_value("a.example"), reason));
	assert_true(set_mailer(&to, "user", text_value("u"), reason));
	assert_true(set_mailer(&from, "maxconn", number_value(3), reason));
	assert_true(set_mailer(&from, "pipelining", bool_value(false), reason));
	assert_true(set_mailer(&from, "user", bool_value(false), reason));
	setting_merge(setting_mailer_fields, &to, &from);
	assert_int_equal(to.maxconn, 3);
	assert_string_equal(to.helo, "a.example");
	assert_null(to.user);
	assert_false(to.pipelining);
	assert_true(setting_given(setting_mailer_fields, mailer_field("pipelining"), &to));
	assert_true(setting_given(setting_mailer_fields, mailer_field("helo"), &to));
	assert_false(setting_given(setting_mailer_fields, mailer_field("chunking"), &to));
}

/* A password of its own takes the place of another's token. */
static void merge__of_a_group__leaves_the_later_alone(void **state)
{
	struct setting_mailer to = { 0 }, from = { 0 };
	char reason[SETTING_REASON_SIZE];

	(void)state;
	assert_true(set_mailer(&to, "token_file", text_value("/t"), reason));
	assert_true(set_mailer(&from, "password_env", text_value("P"), reason));
	setting_merge(setting_mailer_fields, &to, &from);
	assert_null(to.token_file);
	assert_false(setting_given(setting_mailer_fields, mailer_field("token_file"), &to));
	assert_string_equal(to.password_env, "P");
	assert_true(set_mailer(&from, "password_file", text_value("/p"), reason));
	setting_merge(setting_mailer_fields, &to, &from);
	assert_string_equal(to.password_env, "P");
	assert_string_equal(to.password_file, "/p");
}

/* --- the nearest name --- */

static void guess__of_a_slip__finds_the_key(void **state)
{
	static const struct {
		const char *text, *best;
	} rows[] = {
		{ "timout_mail", "timeout_mail" }, { "timeout-mail", "timeout_mail" }, { "TLS", "tls" }, { "tsl", "tls" },
		{ "verfyhost", "verifyhost" }, { "cafile", "ca_file" }, { "max_conn", "maxconn" }, { "pasword_file", "password_file" },
		{ "timeout_maill", "timeout_mail" }, { "hello", "helo" }, { "ssl_min_version", "ssl_min_ver" },
		{ "iner", "inter" }, { "back_up", "backup" }, { "passwd", "password" }, { "", NULL }, { "x", NULL }, { "zz", NULL },
		{ "smtp1", NULL }, { "certificate_authority", NULL },
		{ "timeout_mailtimeout_mailtimeout_mailtimeout_mailtimeout_mailtimeout_mail", NULL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < ROWS(rows); i++) {
		struct setting_guess guess = { .text = rows[i].text };

		setting_guess_fields(&guess, setting_mailer_fields);
		if (rows[i].best ? !guess.best || strcmp(guess.best, rows[i].best) : guess.best != NULL)
			fail_msg("%s: %s", rows[i].text, guess.best ? guess.best : "nothing");
	}
}

static void guess__between_two__takes_the_nearer(void **state)
{
	struct setting_guess guess = { .text = "smtp12" };

	(void)state;
	setting_guess(&guess, "smtp34");
	assert_string_equal(guess.best, "smtp34");
	setting_guess(&guess, "smtp1");
	assert_string_equal(guess.best, "smtp1");
	assert_int_equal(guess.distance, 1);
	setting_guess(&guess, "smpt12"); /* two letters exchanged are one edit: not nearer */
	assert_string_equal(guess.best, "smtp1");
	assert_int_equal(guess.distance, 1);
}

static void quote__of_any_bytes__is_printable_and_cut(void **state)
{
	char out[SETTING_QUOTE_SIZE], bytes[100];

	(void)state;
	memset(bytes, 0xff, sizeof(bytes));
	setting_quote(out, bytes, sizeof(bytes));
	assert_int_equal(strlen(out), 48 * 4 + 5);
	assert_string_equal(out + strlen(out) - 8, "\\xFF...'");
	assert_string_equal(setting_quote(out, "a b", 3), "'a b'");
	assert_string_equal(setting_quote(out, "", 0), "''");
}

static void names__of_hosts__are_told_apart(void **state)
{
	(void)state;
	assert_true(setting_is_fqdn("lb1.example.org"));
	assert_true(setting_is_fqdn("[192.0.2.1]"));
	assert_true(setting_is_fqdn("[ipv6:::1]"));
	assert_false(setting_is_fqdn("[::1]"));
	assert_false(setting_is_fqdn("[]"));
	assert_false(setting_is_fqdn("[IPv6:]"));
	assert_false(setting_is_fqdn("["));
	assert_false(setting_is_fqdn(""));
	assert_false(setting_is_fqdn("lb1"));
	assert_false(setting_is_fqdn("192.0.2.1"));
	assert_false(setting_is_fqdn("tcp@lb1.example.org"));
	assert_false(setting_is_fqdn("/tmp/x.y"));
	assert_true(setting_is_ip("::ffff:192.0.2.1"));
	assert_false(setting_is_ip("192.0.2"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables__each_row__has_bounds_and_an_example),
		cmocka_unit_test(tables__the_example_of_a_field__is_taken),
		cmocka_unit_test(tables__words__are_those_of_the_enums),
		cmocka_unit_test(time__that_is_one__is_read),
		cmocka_unit_test(time__that_is_none_or_too_long__is_refused),
		cmocka_unit_test(value__of_a_number__is_checked),
		cmocka_unit_test(value__of_a_word__is_checked),
		cmocka_unit_test(value__of_a_text__is_checked),
		cmocka_unit_test(value__of_a_secret__is_refused_and_not_repeated),
		cmocka_unit_test(value__of_a_proxy__is_checked),
		cmocka_unit_test(limit__with_one_key__is_refused),
		cmocka_unit_test(summary__keys_that_are_not_set__get_defaults),
		cmocka_unit_test(summary__what_does_not_go_together__is_refused),
		cmocka_unit_test(proxy__summary_that_waits_as_long_as_alerts_live__is_refused),
		cmocka_unit_test(merge__of_entries__takes_what_the_later_sets),
		cmocka_unit_test(merge__of_a_group__leaves_the_later_alone),
		cmocka_unit_test(guess__of_a_slip__finds_the_key),
		cmocka_unit_test(guess__between_two__takes_the_nearer),
		cmocka_unit_test(quote__of_any_bytes__is_printable_and_cut),
		cmocka_unit_test(names__of_hosts__are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
