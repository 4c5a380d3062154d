/*
 * setting_check - defaults, and what does not go together (see setting.h). It looks at entries that are merged
 * already: what one of them lacks another may have given.
 *
 * The rules of AUTH are the strict ones: credentials ask for TLS that is verified, unless the operator says
 * otherwise in so many words. Nothing is put right in silence.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <mailers/engine.h>
#include <mailers/setting.h>

#define MECHANISMS_PASSWORD \
	(SASL_BIT(SASL_LOGIN) | SASL_BIT(SASL_PLAIN) | SASL_BIT(SASL_CRAM_MD5) | SASL_BIT(SASL_SCRAM_SHA_256))
#define MECHANISMS_TOKEN (SASL_BIT(SASL_XOAUTH2) | SASL_BIT(SASL_OAUTHBEARER))

/* Returns false, so that a check can end with it. */
__attribute__((format(printf, 2, 3)))
static bool setting_conflict(char *reason, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(reason, SETTING_REASON_SIZE, format, ap);
	va_end(ap);
	return false;
}

static const struct setting_field *setting_mailer_field(const char *name)
{
	return setting_find(setting_mailer_fields, name);
}

static bool setting_mailer_has(const struct setting_mailer *m, const char *name)
{
	return setting_given(setting_mailer_fields, setting_mailer_field(name), m);
}

static const char *setting_tls_word(const struct setting_mailer *m)
{
	return setting_mailer_field("tls")->words[m->tls];
}

/* The first of <names>, which are texts' fields, that is set; NULL without. */
static const char *setting_mailer_first(const struct setting_mailer *m, const char *const *names)
{
	for (; *names; names++) {
		if (*(const char *const *)((const char *)m + setting_mailer_field(*names)->offset))
			return *names;
	}
	return NULL;
}

/* --- AUTH --- */

static const char *setting_password(const struct setting_mailer *m)
{
	static const char *const names[] = { "password_file", "password_env", NULL };

	return setting_mailer_first(m, names);
}

static const char *setting_token(const struct setting_mailer *m)
{
	static const char *const names[] = { "token_file", "token_env", NULL };

	return setting_mailer_first(m, names);
}

static bool setting_wants_auth(const struct setting_mailer *m)
{
	return m->user || setting_password(m) || setting_token(m);
}

/* One place for the secret, a user for it, and mechanisms that it fits. */
static bool setting_check_credentials(const struct setting_mailer *m, char *reason)
{
	const char *password = setting_password(m), *token = setting_token(m);
	const char *secret = password ? password : token;

	if ((m->password_file && m->password_env) || (m->token_file && m->token_env) || (password && token))
		return setting_conflict(reason, "%s and %s are both set; keep one of them", secret,
		                        password && token ? token : password ? "password_env" : "token_env");
	if (!setting_wants_auth(m)) {
		if (setting_mailer_has(m, "auth") && m->auth)
			return setting_conflict(reason, "auth is set, and no user; write user = \"...\" with "
			                                "password_file, password_env, token_file or "
			                                "token_env, or remove auth");
		return true;
	}
	if (!secret)
		return setting_conflict(reason, "user is set, and no password or token; write password_file, "
		                                "password_env, token_file or token_env too");
	if (!m->user)
		return setting_conflict(reason, "%s is set, and no user; write user = \"...\" too", secret);
	if (m->auth && !(m->auth & (password ? MECHANISMS_PASSWORD : MECHANISMS_TOKEN)))
		return setting_conflict(reason, "auth names no mechanism for a %s; write %s, or remove auth",
		                        password ? "password" : "token",
		                        password ? "\"scram-sha-256\", \"cram-md5\", \"plain\" or \"login\"" :
		                        "\"oauthbearer\" or \"xoauth2\"");
	return true;
}

static bool setting_check_auth(const struct setting_mailer *m, char *reason)
{
	if (!setting_check_credentials(m, reason))
		return false;
	if (setting_wants_auth(m) && m->tls < SMTP_TLS_REQUIRED && !m->auth_without_tls)
		return setting_conflict(reason,
		                        "tls = \"%s\" could send the %s in plain text; write tls = "
		                        "\"required\" or \"implicit\", or, where the network can be trusted, "
		                        "auth_without_tls = true",
		                        setting_tls_word(m), setting_password(m) ? "password" : "token");
	return true;
}

/* --- TLS --- */

static bool setting_check_verify(struct setting_mailer *m, const char *host, char *reason)
{
	static const char *const names[] = { "verifyhost", "ca_file", "crl_file", NULL };
	const char *name = setting_mailer_first(m, names);

	if (m->verify == SETTING_VERIFY_NONE) {
		if (name && m->tls == SMTP_TLS_OPPORTUNISTIC)
			return setting_conflict(reason,
			                        "%s is set, and tls = \"opportunistic\" verifies nothing; "
			                        "write tls = \"required\" or \"implicit\", or remove %s",
			                        name, name);
		if (name)
			return setting_conflict(reason,
			                        "%s is set, and verify = \"none\" verifies nothing; remove "
			                        "one of them",
			                        name);
		return true;
	}
	if (m->tls < SMTP_TLS_REQUIRED)
		return setting_conflict(reason,
		                        "verify = \"required\" does not go with tls = \"%s\"; write tls = "
		                        "\"required\" or \"implicit\", or remove verify",
		                        setting_tls_word(m));
	if (!m->verifyhost)
		m->verifyhost = host;
	if (!m->verifyhost)
		return setting_conflict(reason,
		                        "verifyhost is missing: tls = \"%s\" verifies the server's "
		                        "certificate, and HAProxy tells the address of a mailer line, not its "
		                        "name; write verifyhost = \"mail.example.org\" with the name in the "
		                        "certificate, or verify = \"none\"",
		                        setting_tls_word(m));
	return true;
}

static bool setting_check_tls(struct setting_mailer *m, const char *host, char *reason)
{
	static const char *const names[] = { "verifyhost", "sni", "ca_file", "crl_file", "crt", NULL };
	const char *name = setting_mailer_first(m, names);

	if (m->tls == SMTP_TLS_NONE) {
		if (!name && setting_mailer_has(m, "ssl_min_ver"))
			name = "ssl_min_ver";
		if (name)
			return setting_conflict(reason,
			                        "%s is set, and tls = \"none\" makes no use of it; write tls "
			                        "= \"required\" or \"implicit\", or remove %s",
			                        name, name);
	}
	if (!setting_check_verify(m, host, reason))
		return false;
	if (m->tls != SMTP_TLS_NONE && !m->sni && !setting_mailer_has(m, "sni")) {
		if (m->verifyhost && setting_is_dns(m->verifyhost))
			m->sni = m->verifyhost;
		else if (!m->verifyhost && host)
			m->sni = host;
	}
	return true;
}

/* --- defaults --- */

static void setting_default_number(uint32_t *number, uint32_t initial)
{
	if (!*number)
		*number = initial;
}

bool setting_mailer_complete(struct setting_mailer *m, const char *host, char *reason)
{
	reason[0] = '\0';
	if (!setting_mailer_has(m, "tls"))
		m->tls = setting_wants_auth(m) ? SMTP_TLS_REQUIRED : SMTP_TLS_OPPORTUNISTIC;
	if (!setting_mailer_has(m, "verify"))
		m->verify = m->tls >= SMTP_TLS_REQUIRED ? SETTING_VERIFY_REQUIRED : SETTING_VERIFY_NONE;
	if (!setting_mailer_has(m, "pipelining"))
		m->pipelining = true;
	if (!setting_mailer_has(m, "chunking"))
		m->chunking = true;
	setting_default_number(&m->maxconn, MAILER_MAXCONN);
	setting_default_number(&m->timeout_final, MAILER_TIMEOUT_FINAL_MS);
	setting_default_number(&m->fall, MAILER_FALL);
	setting_default_number(&m->rise, MAILER_RISE);
	setting_default_number(&m->inter, MAILER_INTER_MS);
	return setting_check_auth(m, reason) && setting_check_tls(m, host, reason);
}

void setting_proxy_complete(struct setting_proxy *p)
{
	setting_default_number(&p->max_age, ENGINE_MAX_AGE_MS);
	setting_default_number(&p->route_timeout, SETTING_ROUTE_MS);
}

void setting_top_complete(struct setting_top *t)
{
	if (!setting_given(setting_top_fields, setting_find(setting_top_fields, "drain"), t))
		t->drain = SETTING_DRAIN_MS;
}

bool setting_limit_check(const struct setting_limit *l, char *reason)
{
	reason[0] = '\0';
	if (l->mails && l->per)
		return true;
	return setting_conflict(reason, "%s is missing; write limit = { mails = 20, per = \"1m\" }",
	                        l->mails ? "per" : "mails");
}

bool setting_proxy_check(const struct setting_proxy *p, char *reason)
{
	reason[0] = '\0';
	if (!p->summary.wait || p->summary.max_wait < p->max_age)
		return true;
	return setting_conflict(reason, "summary.max_wait is not below max_age, at which alerts are given up; write a shorter "
	                        "max_wait");
}
