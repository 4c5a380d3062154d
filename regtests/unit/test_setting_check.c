/*
 * Tests of setting_check: defaults, and what does not go together. A row is a mailer as in the settings file, "key=value ..."
 */
#include <mailers/engine.h>
#include <mailers/setting.h>

#include "unit.h"

#define ROWS(table) (sizeof(table) / sizeof(*(table)))

/* Reads "key=value key=value" into <m>; the texts are those of <store>. */
static void entry_read(struct setting_mailer *m, char *store, const char *text)
{
	char reason[SETTING_REASON_SIZE];
	char *word, *rest = store;

	strcpy(store, text);
	memset(m, 0, sizeof(*m));
	while ((word = strtok_r(rest, " ", &rest))) {
		char *value = strchr(word, '=');
		const struct setting_field *field;
		struct setting_value v = { .kind = SETTING_IS_TEXT };

		assert_non_null(value);
		*value++ = '\0';
		field = setting_find(setting_mailer_fields, word);
		assert_non_null(field);
		v.text = value;
		v.len = strlen(value);
		if (!strcmp(value, "false") || !strcmp(value, "true"))
			v = (struct setting_value){ .kind = SETTING_IS_BOOL, .truth = *value == 't' };
		if (!setting_set(setting_mailer_fields, field, m, &v, reason))
			fail_msg("%s: %s", text, reason);
	}
}

static void complete__of_nothing__is_the_defaults(void **state)
{
	struct setting_mailer m = { 0 };
	struct setting_proxy p = { 0 };
	struct setting_top t = { 0 };
	char reason[SETTING_REASON_SIZE];

	(void)state;
	assert_true(setting_mailer_complete(&m, NULL, reason));
	assert_int_equal(m.tls, SMTP_TLS_OPPORTUNISTIC);
	assert_int_equal(m.verify, SETTING_VERIFY_NONE);
	assert_int_equal(m.ssl_min_ver, SETTING_TLS_1_2);
	assert_null(m.sni);
	assert_null(m.verifyhost);
	assert_int_equal(m.auth, 0);
	assert_true(m.pipelining);
	assert_true(m.chunking);
	assert_false(m.backup);
	assert_false(m.auth_without_tls);
	assert_int_equal(m.maxconn, MAILER_MAXCONN);
	assert_int_equal(m.timeout_connect, 0);
	assert_int_equal(m.timeout_mail, 0);
	assert_int_equal(m.timeout_final, 300000);
	assert_int_equal(m.fall, 3);
	assert_int_equal(m.rise, 2);
	assert_int_equal(m.inter, 10000);
	setting_proxy_complete(&p);
	assert_int_equal(p.mode, SETTING_MODE_ALL);
	assert_int_equal(p.max_age, 14400000);
	setting_top_complete(&t);
	assert_int_equal(t.drain, 30000);
	assert_false(t.commands);
}

static void complete__of_what_is_set__keeps_it(void **state)
{
	struct setting_top t = { 0 };
	struct setting_value zero = { .kind = SETTING_IS_NUMBER };
	struct setting_mailer m;
	char reason[SETTING_REASON_SIZE], store[256];

	(void)state;
	entry_read(&m, store, "pipelining=false chunking=false timeout_final=1s inter=1s");
	assert_true(setting_mailer_complete(&m, NULL, reason));
	assert_false(m.pipelining);
	assert_false(m.chunking);
	assert_int_equal(m.timeout_final, 1000);
	assert_int_equal(m.inter, 1000);
	assert_true(setting_set(setting_top_fields, setting_find(setting_top_fields, "drain"), &t, &zero, reason));
	setting_top_complete(&t);
	assert_int_equal(t.drain, 0);
}

static void complete__of_what_goes_together__is_taken(void **state)
{
	static const struct {
		const char *entry, *host;
		int tls, verify;
		const char *verifyhost, *sni;
	} rows[] = {
		{ "tls=none", NULL, SMTP_TLS_NONE, SETTING_VERIFY_NONE, NULL, NULL },
		{ "tls=none verify=none", "h.example", SMTP_TLS_NONE, SETTING_VERIFY_NONE, NULL, NULL },
		{ "", "h.example", SMTP_TLS_OPPORTUNISTIC, SETTING_VERIFY_NONE, NULL, "h.example" },
		{ "sni=s.example", "h.example", SMTP_TLS_OPPORTUNISTIC, SETTING_VERIFY_NONE, NULL, "s.example" },
		{ "sni=false", "h.example", SMTP_TLS_OPPORTUNISTIC, SETTING_VERIFY_NONE, NULL, NULL },
		{ "crt=/c ssl_min_ver=TLSv1.3", NULL, SMTP_TLS_OPPORTUNISTIC, SETTING_VERIFY_NONE, NULL, NULL },
		{ "tls=required", "h.example", SMTP_TLS_REQUIRED, SETTING_VERIFY_REQUIRED, "h.example", "h.example" },
		{ "tls=implicit verifyhost=v.example", "h.example", SMTP_TLS_IMPLICIT, SETTING_VERIFY_REQUIRED, "v.example",
		  "v.example" },
		{ "tls=required verifyhost=v.example sni=s.example", NULL, SMTP_TLS_REQUIRED, SETTING_VERIFY_REQUIRED, "v.example",
		  "s.example" },
		{ "tls=required verifyhost=192.0.2.1 ca_file=/c crl_file=/r", NULL, SMTP_TLS_REQUIRED, SETTING_VERIFY_REQUIRED,
		  "192.0.2.1", NULL },
		{ "tls=required verify=none", NULL, SMTP_TLS_REQUIRED, SETTING_VERIFY_NONE, NULL, NULL },
		{ "tls=implicit verify=none", "h.example", SMTP_TLS_IMPLICIT, SETTING_VERIFY_NONE, NULL, "h.example" },
		{ "user=u password_env=P verifyhost=v.example", NULL, SMTP_TLS_REQUIRED, SETTING_VERIFY_REQUIRED, "v.example",
		  "v.example" },
		{ "user=u token_file=/t verifyhost=v.example auth=xoauth2", NULL, SMTP_TLS_REQUIRED, SETTING_VERIFY_REQUIRED,
		  "v.example", "v.example" },
		{ "user=u password_file=/p tls=none auth_without_tls=true", NULL, SMTP_TLS_NONE, SETTING_VERIFY_NONE, NULL, NULL },
		{ "user=u password_file=/p tls=opportunistic auth_without_tls=true", NULL, SMTP_TLS_OPPORTUNISTIC,
		  SETTING_VERIFY_NONE, NULL, NULL },
		{ "user=u password_file=/p verify=none auth=scram-sha-256", NULL, SMTP_TLS_REQUIRED, SETTING_VERIFY_NONE, NULL,
		  NULL },
		{ "user=false auth=auto", NULL, SMTP_TLS_OPPORTUNISTIC, SETTING_VERIFY_NONE, NULL, NULL },
	};
	char reason[SETTING_REASON_SIZE], store[256];
	struct setting_mailer m;
	size_t i;

	(void)state;
	for (i = 0; i < ROWS(rows); i++) {
		entry_read(&m, store, rows[i].entry);
		if (!setting_mailer_complete(&m, rows[i].host, reason))
			fail_msg("%s: %s", rows[i].entry, reason);
		assert_int_equal(m.tls, rows[i].tls);
		assert_int_equal(m.verify, rows[i].verify);
		assert_string_equal(m.verifyhost ? m.verifyhost : "-", rows[i].verifyhost ? rows[i].verifyhost : "-");
		assert_string_equal(m.sni ? m.sni : "-", rows[i].sni ? rows[i].sni : "-");
	}
}

static void complete__of_what_does_not_go_together__is_refused(void **state)
{
	static const struct {
		const char *entry, *reason;
	} rows[] = {
		{ "user=u", "user is set, and no password or token; write password_file" },
		{ "password_file=/p", "password_file is set, and no user; write user" },
		{ "token_env=T", "token_env is set, and no user" },
		{ "user=u password_file=/p token_file=/t", "password_file and token_file are both set; keep one" },
		{ "user=u password_env=P token_env=T", "password_env and token_env are both set" },
		{ "user=u password_file=/p password_env=P", "password_file and password_env are both set" },
		{ "user=u token_file=/t token_env=T", "token_file and token_env are both set" },
		{ "auth=plain", "auth is set, and no user" },
		{ "user=u password_env=P auth=xoauth2", "auth names no mechanism for a password" },
		{ "user=u token_env=P auth=plain", "auth names no mechanism for a token" },
		{ "user=u password_env=P tls=none", "tls = \"none\" could send the password in plain text; write tls = \"required\"" },
		{ "user=u token_env=P tls=opportunistic", "tls = \"opportunistic\" could send the token in plain text" },
		{ "user=u password_env=P", "verifyhost is missing: tls = \"required\"" },
		{ "tls=required", "verifyhost is missing" },
		{ "tls=implicit", "verifyhost is missing: tls = \"implicit\"" },
		{ "verify=required", "verify = \"required\" does not go with tls = \"opportunistic\"" },
		{ "verify=required tls=none", "verify = \"required\" does not go with tls = \"none\"" },
		{ "tls=none ca_file=/c", "ca_file is set, and tls = \"none\" makes no use of it" },
		{ "tls=none verifyhost=v.example", "verifyhost is set, and tls = \"none\"" },
		{ "tls=none sni=v.example", "sni is set, and tls = \"none\"" },
		{ "tls=none crt=/c", "crt is set, and tls = \"none\"" },
		{ "tls=none crl_file=/c", "crl_file is set, and tls = \"none\"" },
		{ "tls=none ssl_min_ver=TLSv1.2", "ssl_min_ver is set, and tls = \"none\"" },
		{ "tls=required verify=none verifyhost=v.example", "verifyhost is set, and verify = \"none\" verifies nothing" },
		{ "tls=required verify=none ca_file=/c", "ca_file is set, and verify = \"none\"" },
		{ "tls=required verify=none crl_file=/c", "crl_file is set, and verify = \"none\"" },
		{ "crl_file=/c", "crl_file is set, and tls = \"opportunistic\" verifies nothing; write tls = \"required\"" },
		{ "verifyhost=v.example", "verifyhost is set, and tls = \"opportunistic\" verifies nothing" },
	};
	char reason[SETTING_REASON_SIZE], store[256];
	struct setting_mailer m;
	size_t i;

	(void)state;
	for (i = 0; i < ROWS(rows); i++) {
		entry_read(&m, store, rows[i].entry);
		if (setting_mailer_complete(&m, NULL, reason))
			fail_msg("%s: was taken", rows[i].entry);
		if (strncmp(reason, rows[i].reason, strlen(rows[i].reason)))
			fail_msg("%s: %s", rows[i].entry, reason);
		assert_non_null(strchr(reason, ';'));
		assert_true(strlen(reason) < SETTING_REASON_SIZE - 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(complete__of_nothing__is_the_defaults),
		cmocka_unit_test(complete__of_what_is_set__keeps_it),
		cmocka_unit_test(complete__of_what_goes_together__is_taken),
		cmocka_unit_test(complete__of_what_does_not_go_together__is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
