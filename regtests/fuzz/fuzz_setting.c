/*
 * setting: a mailer, read key by key, is refused in one printable line that has a remedy, or keeps what it was given; what is
 * merged and completed never sends a secret in plain text without leave, nor verifies without a name.
 *
 * Input: host|key=value|key=value|... where a value is text; #N a number, true, false, or {a,b} a list. A key that is '+' begins
 * another entry, which is laid over the one before. An unknown key is guessed at.
 */
#include <strings.h>

#include <mailers/setting.h>

#include "fuzz.h"

#define TEXTS 64 /* values that stay alive */
#define LIST  8

struct texts {
	char *text[TEXTS];
	const char *list[TEXTS][LIST];
	size_t n;
};

static void check_reason(const char *reason)
{
	FUZZ_CHECK(fuzz_printable(reason) && reason[0] && strlen(reason) < SETTING_REASON_SIZE - 1);
	FUZZ_CHECK(strchr(reason, ';'));
}

static struct setting_value read_list(const char **list, char *text)
{
	struct setting_value v = { .kind = SETTING_IS_LIST };
	char *end = strchr(text, '}');

	if (end)
		*end = '\0';
	while (*text && v.list.n < LIST) {
		char *comma = strchr(text, ',');

		list[v.list.n++] = text;
		if (!comma)
			break;
		*comma = '\0';
		text = comma + 1;
	}
	v.list.id = list;
	return v;
}

static struct setting_value read_value(struct texts *texts, char *text)
{
	struct setting_value v = { .kind = SETTING_IS_TEXT, .text = text, .len = strlen(text) };

	if (*text == '#')
		v = (struct setting_value){ .kind = SETTING_IS_NUMBER, .number = strtoll(text + 1, NULL, 10) };
	else if (*text == '{')
		v = read_list(texts->list[texts->n - 1], text + 1);
	else if (!strcmp(text, "true") || !strcmp(text, "false"))
		v = (struct setting_value){ .kind = SETTING_IS_BOOL, .truth = *text == 't' };
	else if (!strcmp(text, "?"))
		v = (struct setting_value){ .kind = SETTING_IS_OTHER };
	return v;
}

static void check_guess(const char *name)
{
	struct setting_guess guess = { .text = name };

	setting_guess_fields(&guess, setting_mailer_fields);
	setting_guess_fields(&guess, setting_proxy_fields);
	FUZZ_CHECK(!guess.best || guess.distance > 0 || !strcasecmp(guess.best, name));
	FUZZ_CHECK(!guess.best || guess.distance < strlen(guess.best));
}

/* Of a time: the same number in the next smaller unit. */
static void check_time(const char *text)
{
	char longer[32];
	uint32_t ms, again;
	size_t len = strlen(text);

	if (!setting_time(text, len, &ms)) {
		FUZZ_CHECK(!ms);
		return;
	}
	FUZZ_CHECK(ms <= SETTING_TIME_MAX);
	snprintf(longer, sizeof(longer), "%lums", (unsigned long)ms);
	FUZZ_CHECK(setting_time(longer, strlen(longer), &again) && again == ms);
	snprintf(longer, sizeof(longer), "%llu000us", (unsigned long long)ms);
	FUZZ_CHECK(setting_time(longer, strlen(longer), &again) && again == ms);
}

static void check_names(const char *text)
{
	FUZZ_CHECK(!setting_is_dns(text) || !setting_is_ip(text));
	FUZZ_CHECK(!setting_is_fqdn(text) || setting_is_dns(text) || text[0] == '[');
}

static void set(struct setting_mailer *m, struct texts *texts, const char *key, char *text)
{
	const struct setting_field *f = setting_find(setting_mailer_fields, key);
	char reason[SETTING_REASON_SIZE];
	struct setting_mailer before = *m;
	struct setting_value v;
	bool given;

	check_time(text);
	check_names(text);
	if (!f) {
		check_guess(key);
		return;
	}
	given = setting_given(setting_mailer_fields, f, m);
	v = read_value(texts, text);
	if (setting_set(setting_mailer_fields, f, m, &v, reason)) {
		FUZZ_CHECK(!reason[0] && setting_given(setting_mailer_fields, f, m));
		return;
	}
	check_reason(reason);
	FUZZ_CHECK(given == setting_given(setting_mailer_fields, f, m));
	FUZZ_CHECK(!memcmp(&before, m, sizeof(before)));
}

static void check_complete(struct setting_mailer *m, const char *host)
{
	bool secret = m->password_file || m->password_env || m->token_file || m->token_env;
	char reason[SETTING_REASON_SIZE];

	if (!setting_mailer_complete(m, host, reason)) {
		check_reason(reason);
		return;
	}
	FUZZ_CHECK(!reason[0]);
	FUZZ_CHECK(secret == !!m->user);
	FUZZ_CHECK(!secret || m->tls >= SMTP_TLS_REQUIRED || m->auth_without_tls);
	FUZZ_CHECK(!!m->password_file + !!m->password_env + !!m->token_file + !!m->token_env <= 1);
	FUZZ_CHECK(m->verify != SETTING_VERIFY_REQUIRED || (m->verifyhost && m->tls >= SMTP_TLS_REQUIRED));
	FUZZ_CHECK(m->verify == SETTING_VERIFY_REQUIRED || (!m->ca_file && !m->crl_file && !m->verifyhost));
	FUZZ_CHECK(m->maxconn && m->fall && m->rise && m->inter && m->timeout_final);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	char *host = fuzz_field(&in);
	struct setting_mailer merged = { 0 }, entry = { 0 };
	struct texts texts = { .n = 0 };

	while (in.len && texts.n < TEXTS) {
		char *text = texts.text[texts.n++] = fuzz_field(&in);
		char *value = strchr(text, '=');

		if (!strcmp(text, "+")) {
			setting_merge(setting_mailer_fields, &merged, &entry);
			memset(&entry, 0, sizeof(entry));
		} else {
			if (value)
				*value++ = '\0';
			set(&entry, &texts, text, value ? value : text + strlen(text));
		}
	}
	setting_merge(setting_mailer_fields, &merged, &entry);
	check_complete(&merged, *host ? host : NULL);
	while (texts.n)
		free(texts.text[--texts.n]);
	free(host);
	return 0;
}
