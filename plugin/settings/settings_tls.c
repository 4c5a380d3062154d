/*
 * settings_tls - TLS contexts: one for all mailers of equal settings, as each holds the CAs, and all made at
 * start, as they read files.
 */
#include <stdio.h>
#include <string.h>

#include "settings_internal.h"

#define MECHANISMS_WITHOUT_CRYPTO \
	(SASL_BIT(SASL_LOGIN) | SASL_BIT(SASL_PLAIN) | SASL_BIT(SASL_XOAUTH2) | SASL_BIT(SASL_OAUTHBEARER))

typedef bool context_each_fn(struct settings *s, const struct setting_mailer *m, const char *where,
                             char *reason);

/* --- contexts --- */

static bool context_text_same(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool context_same(const struct tls_settings *a, const struct tls_settings *b)
{
	return a->verify == b->verify && a->min_version == b->min_version &&
	       context_text_same(a->ca_file, b->ca_file) && context_text_same(a->crl_file, b->crl_file) &&
	       context_text_same(a->crt, b->crt);
}

/* The entry of <entries> that set the very text <at> offset, or NULL. */
static const char *context_setter(const struct settings_entries *entries, size_t offset, const char *text)
{
	size_t i;

	for (i = 0; i < entries->n; i++) {
		if (*(const char *const *)((const char *)&entries->entry[i].own + offset) == text)
			return entries->entry[i].where;
	}
	return NULL;
}

/* The reason of context_new() begins with the key of the fault: tells which entry has set it. */
static bool context_refuse(struct settings *s, const struct setting_mailer *m, const char *where,
                           const char *why, char *reason)
{
	const struct setting_field *f;
	const char *text, *setter;

	for (f = setting_mailer_fields; f->name; f++) {
		if (f->type == SETTING_FILE && !strncmp(why, f->name, strlen(f->name)) &&
		    why[strlen(f->name)] == ':')
			break;
	}
	text = f->name ? *(const char *const *)((const char *)m + f->offset) : NULL;
	setter = text ? context_setter(&s->mailers, f->offset, text) : NULL;
	if (text)
		return settings_refuse(s, reason, "", "%s.%s", setter ? setter : where, why);
	return settings_refuse(s, reason, where, "%s", why);
}

struct tls_context *settings_context(struct settings *s, const struct setting_mailer *m, const char *where,
                                     char *reason)
{
	struct tls_settings wanted = {
		.verify = m->verify == SETTING_VERIFY_REQUIRED,
		.ca_file = m->ca_file,
		.crl_file = m->crl_file,
		.crt = m->crt,
		.min_version = m->ssl_min_ver == SETTING_TLS_1_3 ? TLS_VERSION_1_3 : TLS_VERSION_1_2,
	};
	char why[TLS_REASON_SIZE] = "";
	struct settings_context *c;

	for (c = s->contexts; c; c = c->next) {
		if (context_same(&c->settings, &wanted))
			return c->context;
	}
	if (!s->api) {
		settings_refuse(s, reason, where, "TLS is not loaded; write tls = \"none\"");
		return NULL;
	}
	c = settings_alloc(s, sizeof(*c));
	if (!c) {
		settings_refuse(s, reason, where, "out of memory; start again");
		return NULL;
	}
	c->settings = wanted;
	c->context = s->api->context_new(&wanted, why);
	if (!c->context) {
		context_refuse(s, m, where, why, reason);
		return NULL;
	}
	c->next = s->contexts;
	s->contexts = c;
	return c->context;
}

void settings_context_free(struct settings *s)
{
	struct settings_context *c;

	for (c = s->contexts; c; c = c->next)
		s->api->context_free(c->context);
	s->contexts = NULL;
}

/* --- all that the file can ask for --- */

static bool context_each_extra(struct settings *s, const struct settings_scope *scope, context_each_fn *f,
                               char *reason)
{
	char why[SETTING_REASON_SIZE];
	struct setting_mailer m;
	size_t i;

	for (i = 0; i < scope->extra.n; i++) {
		const struct settings_entry *e = &scope->extra.entry[i];

		settings_merge(s, NULL, e->key, e, &m);
		setting_mailer_complete(&m, e->host, why);
		if (!f(s, &m, e->where, reason))
			return false;
	}
	return true;
}

/* Calls <f> for each mailer that can come of the entries; false when it said false. One that is not complete is
 * left out: no mailer can have it.
 */
static bool context_each(struct settings *s, context_each_fn *f, char *reason)
{
	char why[SETTING_REASON_SIZE];
	struct setting_mailer m = { 0 };
	size_t i;

	if (!settings_entry_find(&s->mailers, "*")) {
		setting_mailer_complete(&m, NULL, why);
		if (!f(s, &m, "mailers[\"*\"]", reason))
			return false;
	}
	for (i = 0; i < s->mailers.n; i++) {
		settings_merge_entry(s, &s->mailers.entry[i], &m);
		if (setting_mailer_complete(&m, NULL, why) && !f(s, &m, s->mailers.entry[i].where, reason))
			return false;
	}
	if (!context_each_extra(s, &s->top, f, reason))
		return false;
	for (i = 0; i < s->nproxies; i++) {
		if (!context_each_extra(s, &s->proxies[i], f, reason))
			return false;
	}
	return true;
}

/* False when TLS is needed. */
static bool context_without_tls(struct settings *s, const struct setting_mailer *m, const char *where,
                                char *reason)
{
	unsigned mechanisms = m->auth ? m->auth : SASL_ALL;

	(void)s;
	(void)where;
	(void)reason;
	if (m->tls != SMTP_TLS_NONE)
		return false;
	return (!m->password_file && !m->password_env) || !(mechanisms & ~MECHANISMS_WITHOUT_CRYPTO);
}

static bool context_make(struct settings *s, const struct setting_mailer *m, const char *where, char *reason)
{
	return m->tls == SMTP_TLS_NONE || settings_context(s, m, where, reason);
}

bool settings_need_tls(const struct settings *s)
{
	/* what is called with it changes nothing */
	return s && !context_each((struct settings *)s, context_without_tls, NULL);
}

bool settings_tls(struct settings *s, const struct tls_api *api, char *reason)
{
	reason[0] = '\0';
	s->api = api;
	return context_each(s, context_make, reason);
}
