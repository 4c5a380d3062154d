/*
 * settings_check - what can be told from the file alone, as `haproxy -c` does: secrets, addresses, and the
 * entries as they will be merged.
 *
 * A wide entry may lack what narrower ones add (mailers["*"] a user, the others their passwords): it is checked
 * here only when nothing is laid over it, and else when a mailer asks for it alone.
 */
#include <stdio.h>
#include <string.h>

#include "settings_internal.h"

#define PORT_SMTPS 465

/* Notes over which entries others are laid. */
static void check_widths(struct settings *s)
{
	struct settings_entry *wide;
	const char *slash;
	size_t i;

	for (i = 0; i < s->mailers.n; i++) {
		slash = strchr(s->mailers.entry[i].key, '/');
		wide = slash ? settings_entry_find(&s->mailers, slash + 1) : NULL;
		if (wide)
			wide->wide = true;
	}
	wide = s->mailers.n > 1 ? settings_entry_find(&s->mailers, "*") : NULL;
	if (wide)
		wide->wide = true;
}

static bool check_entry(struct settings *s, const struct settings_entry *e, char *reason)
{
	char why[SETTING_REASON_SIZE];
	struct setting_mailer m;

	if (!settings_secret_load(s, &e->own, e->where, reason))
		return false;
	if (e->own.helo && !setting_is_fqdn(e->own.helo))
		settings_warn(s, e->where,
		              "helo '%.255s' is not fully qualified, which some mail servers refuse; write "
		              "one such as \"lb1.example.org\"",
		              e->own.helo);
	settings_merge_entry(s, e, &m);
	if (!setting_mailer_complete(&m, NULL, why) && !e->wide)
		return settings_refuse(s, reason, e->where, "%s", why);
	return true;
}

static bool check_extra(struct settings *s, struct settings_entry *e, char *reason)
{
	char why[SETTING_REASON_SIZE];
	struct setting_mailer m;

	if (!settings_secret_load(s, &e->own, e->where, reason) || !settings_address_read(s, e, reason))
		return false;
	settings_merge(s, NULL, e->key, e, &m);
	if (!setting_mailer_complete(&m, e->host, why))
		return settings_refuse(s, reason, e->where, "%s", why);
	if (e->port == PORT_SMTPS && m.tls != SMTP_TLS_IMPLICIT)
		settings_warn(s, e->where, "port 465 speaks TLS from the first byte; write tls = \"implicit\"");
	if (e->own.helo && !setting_is_fqdn(e->own.helo))
		settings_warn(s, e->where,
		              "helo '%.255s' is not fully qualified, which some mail servers refuse; write "
		              "one such as \"lb1.example.org\"",
		              e->own.helo);
	return true;
}

static bool check_scope(struct settings *s, struct settings_scope *scope, char *reason)
{
	size_t i;

	for (i = 0; i < scope->extra.n; i++) {
		if (!check_extra(s, &scope->extra.entry[i], reason))
			return false;
	}
	return true;
}

/* The top level comes last: what it has of "*" is told there. */
static bool check_proxies(struct settings *s, char *reason)
{
	char why[SETTING_REASON_SIZE];
	size_t i;

	for (i = 0; i <= s->nproxies; i++) {
		const struct settings_scope *scope = i < s->nproxies ? &s->proxies[i] : &s->top;

		if (!settings_proxy_check(s, scope->key, why))
			return settings_refuse(s, reason, scope->where, "%s", why);
	}
	return true;
}

bool settings_check(struct settings *s, char *reason)
{
	size_t i;

	setting_top_complete(&s->rest);
	check_widths(s);
	for (i = 0; i < s->mailers.n; i++) {
		if (!check_entry(s, &s->mailers.entry[i], reason))
			return false;
	}
	if (!check_scope(s, &s->top, reason))
		return false;
	for (i = 0; i < s->nproxies; i++) {
		if (!check_scope(s, &s->proxies[i], reason))
			return false;
	}
	return check_proxies(s, reason);
}
