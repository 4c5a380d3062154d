/*
 * settings_merge - which entries count for whom, and what the engine takes made of them. For a mailer:
 * mailers["*"], then mailers["id"], mailers["proxy/id"], and an extra one's own entry; for a proxy: the top
 * level, proxies["*"], proxies["name"]. What a later one sets wins.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "settings_internal.h"

#define PORT_SMTPS 465

/* --- entries --- */

static int entry_compare(const void *key, const void *entry)
{
	return strcmp(key, ((const struct settings_entry *)entry)->key);
}

static int scope_compare(const void *key, const void *scope)
{
	return strcmp(key, ((const struct settings_scope *)scope)->key);
}

struct settings_entry *settings_entry_find(const struct settings_entries *entries, const char *key)
{
	return entries->n ? bsearch(key, entries->entry, entries->n, sizeof(*entries->entry), entry_compare)
	                  : NULL;
}

struct settings_scope *settings_scope_find(const struct settings *s, const char *key)
{
	return s->nproxies ? bsearch(key, s->proxies, s->nproxies, sizeof(*s->proxies), scope_compare) : NULL;
}

static void entry_lay(struct setting_mailer *out, const char **where, struct settings_entry *e, bool used)
{
	if (!e)
		return;
	setting_merge(setting_mailer_fields, out, &e->own);
	e->matched |= used;
	*where = e->where;
}

const char *settings_merge(struct settings *s, const char *proxy, const char *id,
                           const struct settings_entry *extra, struct setting_mailer *out)
{
	char both[2 * SETTINGS_KEY_MAX + 2];
	const char *where = "mailers[\"*\"]";

	memset(out, 0, sizeof(*out));
	entry_lay(out, &where, settings_entry_find(&s->mailers, "*"), proxy);
	entry_lay(out, &where, settings_entry_find(&s->mailers, id), proxy);
	if (proxy && snprintf(both, sizeof(both), "%s/%s", proxy, id) < (int)sizeof(both))
		entry_lay(out, &where, settings_entry_find(&s->mailers, both), true);
	if (extra) {
		setting_merge(setting_mailer_fields, out, &extra->own);
		where = extra->where;
	}
	return where;
}

void settings_merge_entry(struct settings *s, const struct settings_entry *e, struct setting_mailer *out)
{
	const struct settings_entry *wide = settings_entry_find(&s->mailers, "*"), *id;
	const char *slash = strchr(e->key, '/');

	memset(out, 0, sizeof(*out));
	if (wide)
		setting_merge(setting_mailer_fields, out, &wide->own);
	id = slash ? settings_entry_find(&s->mailers, slash + 1) : NULL;
	if (id)
		setting_merge(setting_mailer_fields, out, &id->own);
	if (e != wide)
		setting_merge(setting_mailer_fields, out, &e->own);
}

/* --- mailers --- */

/* Credentials as the engine takes them: equal ones are one object. NULL without memory. */
static const struct sasl_credentials *merge_credentials(struct settings *s, const struct setting_mailer *m,
                                                        const struct settings_secret *secret, unsigned port)
{
	const char *host = m->verifyhost ? m->verifyhost : m->sni;
	struct settings_credentials *c;

	for (c = s->credentials; c; c = c->next) {
		if (c->secret == secret && c->c.port == port && !strcmp(c->c.user, m->user) &&
		    (host ? c->c.host && !strcmp(c->c.host, host) : !c->c.host))
			return &c->c;
	}
	c = settings_alloc(s, sizeof(*c));
	if (!c)
		return NULL;
	c->secret = secret;
	c->c = (struct sasl_credentials){ .user = m->user, .host = host, .port = port };
	if (m->password_file || m->password_env)
		c->c.password = secret->text;
	else
		c->c.token = secret->text;
	c->next = s->credentials;
	s->credentials = c;
	return &c->c;
}

/* Is there a mechanism that can be used? */
static bool merge_check_mechanisms(struct settings *s, const struct mailer_settings *out, const char *where,
                                   char *reason)
{
	const struct sasl_crypto *crypto = s->api ? s->api->crypto : NULL;
	unsigned allowed = out->mechanisms ? out->mechanisms : SASL_ALL;
	const char *unfit = NULL, *why;
	enum sasl_mechanism m, which = SASL_NONE;

	for (m = SASL_LOGIN; m <= SASL_OAUTHBEARER; m++) {
		if (!(allowed & SASL_BIT(m)))
			continue;
		why = sasl_unfit(m, out->credentials, crypto);
		if (!why)
			return true;
		if (!unfit || !out->credentials->token || m >= SASL_XOAUTH2) {
			unfit = why;
			which = m;
		}
	}
	return settings_refuse(s, reason, where,
	                       "no mechanism of AUTH can be used, %s: %s; write other credentials, or another "
	                       "auth",
	                       sasl_mechanism_name(which), unfit ? unfit : "unknown");
}

static bool merge_auth(struct settings *s, const struct setting_mailer *m, const char *where,
                       struct mailer_settings *out, char *reason)
{
	const struct settings_secret *secret = settings_secret_find(s, m);

	out->credentials = NULL;
	out->mechanisms = m->auth;
	out->auth_without_tls = m->auth_without_tls;
	if (!secret)
		return true;
	out->credentials = merge_credentials(s, m, secret, settings_address_port(out->address));
	if (!out->credentials)
		return settings_refuse(s, reason, where, "out of memory; start again");
	out->wire.api = s->api;
	return merge_check_mechanisms(s, out, where, reason);
}

static bool merge_tls(struct settings *s, const struct setting_mailer *m, const char *where,
                      struct mailer_settings *out, char *reason)
{
	out->tls = (enum smtp_tls)m->tls;
	memset(&out->wire, 0, sizeof(out->wire));
	if (m->tls == SMTP_TLS_NONE)
		return true;
	out->wire.api = s->api;
	out->wire.sni = m->sni;
	out->wire.verifyhost = m->verify ? m->verifyhost : NULL;
	out->wire.context = settings_context(s, m, where, reason);
	return out->wire.context;
}

static void merge_numbers(const struct setting_mailer *m, struct mailer_settings *out)
{
	if (m->helo)
		out->helo = m->helo;
	if (m->timeout_mail)
		out->timeout_mail_ms = m->timeout_mail;
	if (!out->timeout_mail_ms)
		out->timeout_mail_ms = MAILER_TIMEOUT_MAIL_MS;
	out->timeout_connect_ms = m->timeout_connect;
	out->timeout_final_ms = m->timeout_final;
	out->timeout_quit_ms = MAILER_TIMEOUT_QUIT_MS;
	out->maxconn = m->maxconn;
	out->without =
		(m->pipelining ? 0 : SMTP_CLIENT_NO_PIPELINING) | (m->chunking ? 0 : SMTP_CLIENT_NO_CHUNKING);
	out->fall = m->fall;
	out->rise = m->rise;
	out->inter_ms = m->inter;
	out->backup = m->backup;
}

/* The same for two proxies is said once. */
static void merge_warn(struct settings *s, const struct setting_mailer *m, const struct mailer_settings *out)
{
	char place[SETTINGS_WHERE_MAX];

	snprintf(place, sizeof(place), "mailer %.100s", out->name);
	if (m->tls != SMTP_TLS_IMPLICIT && settings_address_port(out->address) == PORT_SMTPS)
		settings_warn(s, place, "port 465 speaks TLS from the first byte; write tls = \"implicit\"");
	if (!m->helo && !setting_is_fqdn(out->helo))
		settings_warn(s, "",
		              "email-alert myhostname '%.255s' is not fully qualified, which some mail "
		              "servers refuse; write helo = \"lb1.example.org\"",
		              out->helo);
}

/* The settings of a process without a file. */
static bool merge_none(struct mailer_settings *out)
{
	struct setting_mailer m = { 0 };
	char reason[SETTING_REASON_SIZE];

	setting_mailer_complete(&m, NULL, reason);
	merge_numbers(&m, out);
	out->tls = SMTP_TLS_NONE;
	return true;
}

static bool merge_mailer(struct settings *s, const char *proxy, const struct settings_entry *extra,
                         struct mailer_settings *out, char *reason)
{
	char why[SETTING_REASON_SIZE];
	struct setting_mailer m;
	const char *where = settings_merge(s, proxy, out->name, extra, &m);

	if (!setting_mailer_complete(&m, extra ? extra->host : NULL, why))
		return settings_refuse(s, reason, where, "mailer %.100s of proxy %.100s: %s", out->name, proxy,
		                       why);
	merge_numbers(&m, out);
	if (!merge_tls(s, &m, where, out, reason) || !merge_auth(s, &m, where, out, reason))
		return false;
	merge_warn(s, &m, out);
	return true;
}

bool settings_mailer(struct settings *s, const char *proxy, const char *id, struct mailer_settings *out,
                     char *reason)
{
	reason[0] = '\0';
	if (!s)
		return merge_none(out);
	out->name = id;
	return merge_mailer(s, proxy, NULL, out, reason);
}

/* --- extra mailers --- */

/* The scopes of <proxy>, the widest first; absent ones are NULL. */
#define SCOPES 3

static void merge_scopes(struct settings *s, const char *proxy, struct settings_scope **scopes)
{
	scopes[0] = &s->top;
	scopes[1] = settings_scope_find(s, "*");
	scopes[2] = strcmp(proxy, "*") ? settings_scope_find(s, proxy) : NULL;
}

/* Extra mailer <n> of <proxy>, NULL behind the last. One of a narrower scope takes the place of its namesake.
 */
static const struct settings_entry *merge_extra(struct settings *s, const char *proxy, size_t n)
{
	struct settings_scope *scopes[SCOPES];
	size_t i, k, narrower;

	merge_scopes(s, proxy, scopes);
	for (i = 0; i < SCOPES; i++) {
		for (k = 0; scopes[i] && k < scopes[i]->extra.n; k++) {
			const struct settings_entry *e = &scopes[i]->extra.entry[k];
			bool hidden = false;

			for (narrower = i + 1; narrower < SCOPES; narrower++)
				hidden |= scopes[narrower] &&
				          settings_entry_find(&scopes[narrower]->extra, e->key);
			if (!hidden && !n--)
				return e;
		}
	}
	return NULL;
}

size_t settings_extras(struct settings *s, const char *proxy)
{
	size_t n = 0;

	while (s && merge_extra(s, proxy, n))
		n++;
	return n;
}

bool settings_extra(struct settings *s, const char *proxy, size_t n, struct mailer_settings *out, char *reason)
{
	const struct settings_entry *e = s ? merge_extra(s, proxy, n) : NULL;

	reason[0] = '\0';
	if (!e)
		return false;
	out->name = e->key;
	out->address = e->address;
	return merge_mailer(s, proxy, e, out, reason);
}

/* --- proxies --- */

/* The entry of <proxy> as all scopes make it, complete; they are noted as <used>. */
static void merge_proxy(struct settings *s, const char *proxy, bool used, struct setting_proxy *p)
{
	struct settings_scope *scopes[SCOPES] = { NULL };
	size_t i;

	*p = (struct setting_proxy){ 0 };
	if (s)
		merge_scopes(s, proxy, scopes);
	for (i = 0; i < SCOPES; i++) {
		if (!scopes[i])
			continue;
		setting_merge(setting_proxy_fields, p, &scopes[i]->own);
		scopes[i]->matched |= used;
	}
	setting_proxy_complete(p);
}

bool settings_proxy_check(struct settings *s, const char *proxy, char *reason)
{
	struct setting_proxy p;

	merge_proxy(s, proxy, false, &p);
	return setting_proxy_check(&p, reason);
}

void settings_proxy(struct settings *s, const char *proxy, struct engine_proxy_settings *out)
{
	struct setting_proxy p;

	merge_proxy(s, proxy, true, &p);
	out->mode = p.mode == SETTING_MODE_FAILOVER ? ENGINE_MODE_FAILOVER : ENGINE_MODE_ALL;
	out->limit_mails = p.limit.mails;
	out->limit_per_ms = p.limit.per;
	out->max_age_ms = p.max_age;
	out->summary = (struct engine_summary_settings){
		.wait_ms = p.summary.wait, .max_wait_ms = p.summary.max_wait,
		.first_now = p.summary.first == SETTING_FIRST_NOW, .batch = p.summary.batch.text, .group = p.summary.group,
	};
	out->threads = p.threads;
	out->durations = p.durations;
	out->subject = p.subject;
	out->body = p.body;
	out->rules = p.rules.rule;
	out->nrules = p.rules.n;
}

void settings_functions(struct settings *s, const char *proxy, struct settings_functions *out)
{
	struct setting_proxy p;

	merge_proxy(s, proxy, true, &p);
	*out = (struct settings_functions){
		.route = p.route, .batch = p.summary.wait ? p.summary.batch.function : 0, .timeout_ms = p.route_timeout,
	};
}

static bool order_refuse(struct settings *s, const struct settings_scope *scope, const char *proxy,
                         const char *id, const struct mailer_settings *mailers, size_t n, char *reason)
{
	char place[SETTINGS_WHERE_MAX + 20];
	struct setting_guess guess = { .text = id };
	size_t i;

	snprintf(place, sizeof(place), "%s.order", scope->where);
	for (i = 0; i < n; i++)
		setting_guess(&guess, mailers[i].name);
	if (guess.best)
		return settings_refuse(s, reason, place,
		                       "'%.100s' is no mailer of proxy %.100s; did you mean '%.100s'?", id,
		                       proxy, guess.best);
	return settings_refuse(s, reason, place,
	                       "'%.100s' is no mailer of proxy %.100s; write the id of one of its mailer "
	                       "lines, or add it to extra",
	                       id, proxy);
}

/* Two mailers of one name: lines have their own, so one of them is an extra one. */
static bool order_check_names(struct settings *s, const char *proxy, const struct mailer_settings *mailers,
                              size_t n, char *reason)
{
	size_t i, k;

	for (i = 1; i < n; i++) {
		for (k = 0; k < i; k++) {
			if (!strcmp(mailers[i].name, mailers[k].name))
				return settings_refuse(s, reason, "extra",
				                       "proxy %.100s has a mailer line %.100s already; write "
				                       "another name",
				                       proxy, mailers[i].name);
		}
	}
	return true;
}

bool settings_order(struct settings *s, const char *proxy, struct mailer_settings *mailers, size_t n,
                    char *reason)
{
	struct settings_scope *scopes[SCOPES], *scope = NULL;
	const struct setting_field *order = setting_find(setting_proxy_fields, "order");
	size_t i, k, done = 0;

	reason[0] = '\0';
	if (!s)
		return true;
	merge_scopes(s, proxy, scopes);
	for (i = 0; i < SCOPES; i++) {
		if (scopes[i] && setting_given(setting_proxy_fields, order, &scopes[i]->own))
			scope = scopes[i];
	}
	if (!order_check_names(s, proxy, mailers, n, reason))
		return false;
	if (scope)
		scope->asked = true;
	for (i = 0; scope && i < scope->own.order.n; i++) {
		const char *id = scope->own.order.id[i];
		struct mailer_settings found;

		for (k = done; k < n && strcmp(mailers[k].name, id); k++)
			;
		if (k == n) {
			if (scope == scopes[2]) /* a wider order may name mailers of other proxies */
				return order_refuse(s, scope, proxy, id, mailers, n, reason);
			continue;
		}
		scope->ordered[i] = true;
		found = mailers[k];
		memmove(&mailers[done + 1], &mailers[done], (k - done) * sizeof(*mailers));
		mailers[done++] = found;
	}
	return true;
}

/* --- what nobody asked for --- */

static void finish_scope(struct settings *s, const struct settings_scope *scope)
{
	char place[SETTINGS_WHERE_MAX + 20];
	size_t i;

	if (*scope->key && strcmp(scope->key, "*") && !scope->matched) {
		settings_warn(s, scope->where,
		              "no proxy of this name mails alerts; check the name, or remove it");
		return;
	}
	snprintf(place, sizeof(place), "%s%sorder", scope->where, *scope->where ? "." : "");
	for (i = 0; scope->asked && i < scope->own.order.n; i++) {
		if (!scope->ordered[i])
			settings_warn(s, place, "no mailer has the name '%.100s'; check it, or remove it",
			              scope->own.order.id[i]);
	}
}

void settings_finish(struct settings *s)
{
	size_t i;

	if (!s)
		return;
	for (i = 0; i < s->mailers.n; i++) {
		if (!s->mailers.entry[i].matched && strcmp(s->mailers.entry[i].key, "*"))
			settings_warn(s, s->mailers.entry[i].where,
			              "no mailer of this name is used; check the name, or remove it");
	}
	finish_scope(s, &s->top);
	for (i = 0; i < s->nproxies; i++)
		finish_scope(s, &s->proxies[i]);
}

/* Could no mechanism take <token> for that of <c>? One that is not tried is refused by no server, and would stay. */
static const char *merge_unfit_token(const struct settings_credentials *c, const char *token)
{
	struct sasl_credentials renewed = c->c;

	renewed.token = token;
	return sasl_unfit(SASL_OAUTHBEARER, &renewed, NULL) ? sasl_unfit(SASL_XOAUTH2, &renewed, NULL) : NULL;
}

bool settings_token_read(const struct settings *s, const struct sasl_credentials *credentials, char *out,
                         char *reason)
{
	const struct settings_credentials *c = s ? s->credentials : NULL;
	const char *unfit;

	while (c && &c->c != credentials)
		c = c->next;
	if (!c || !c->secret->file || c->secret->directory < 0) {
		snprintf(reason, SETTINGS_REASON_MAX,
		         "the token is not from a file, and cannot be read again; write token_file");
		return false;
	}
	if (!settings_secret_again(s, c->secret, out, reason))
		return false;
	unfit = merge_unfit_token(c, out);
	return !unfit || settings_refuse(s, reason, "token_file", "%.200s: %s; write the token alone into it",
	                                 c->secret->file, unfit);
}
