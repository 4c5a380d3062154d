/*
 * engine_proxy - proxies and their mailers, as the host sets them up.
 *
 * Invariants: a proxy has all its members before engine_proxy_ready(), and its routes after it; nothing of it
 * changes from then on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mailers/mailbox.h>

#include "engine_internal.h"

void engine_proxy_free(struct engine_proxy *p)
{
	struct engine_route *r, *next;
	size_t i;

	for (r = p->routes; r; r = next) {
		next = r->next;
		free(r->limits);
		free(r);
	}
	for (i = 0; i < p->nmembers; i++)
		free(p->members[i].name);
	free(p->members);
	for (i = 0; i < p->nrcpt; i++)
		free(p->rcpt[i]);
	free(p->rcpt);
	free(p->ways);
	free(p->summary.batch);
	free(p->summary.group);
	free(p->sender);
	free(p->from);
	free(p->to);
	free(p->name);
	free(p);
}

/* Parses `email-alert from` and `to`; moves the addresses into <p>. */
static enum mailers_error engine_proxy_addresses(struct engine_proxy *p, const char *name, char *reason)
{
	char why[MAILBOX_REASON_SIZE];
	struct mailbox_list list;
	enum mailers_error error;

	error = mailbox_list_parse(&list, p->from, why, sizeof(why));
	if (!error && list.n != 1) {
		snprintf(why, sizeof(why), "%zu addresses stand there, give one", list.n);
		mailbox_list_free(&list);
		error = MAILERS_ERR_SYNTAX;
	}
	if (error) {
		snprintf(reason, ENGINE_REASON_MAX, "proxy %.100s: email-alert from: %s", name, why);
		return error;
	}
	p->sender = list.address[0];
	list.address[0] = NULL;
	mailbox_list_free(&list);
	error = mailbox_list_parse(&list, p->to, why, sizeof(why));
	if (error) {
		snprintf(reason, ENGINE_REASON_MAX, "proxy %.100s: email-alert to: %s", name, why);
		return error;
	}
	p->rcpt = list.address;
	p->nrcpt = list.n;
	return MAILERS_OK;
}

/* False without memory. */
static bool engine_proxy_summary(struct engine_proxy *p, const struct engine_summary_settings *settings)
{
	p->summary.wait_ms = settings->wait_ms;
	p->summary.max_wait_ms = settings->max_wait_ms;
	p->summary.first_now = settings->first_now;
	if (!settings->wait_ms)
		return true;
	p->summary.batch = engine_copy(settings->batch ? settings->batch : "%{proxy}");
	p->summary.group = engine_copy(settings->group ? settings->group : "%{name}");
	return p->summary.batch && p->summary.group;
}

enum mailers_error engine_proxy_add(struct engine *e, const struct engine_proxy_settings *settings,
                                    struct engine_proxy **proxy, char *reason)
{
	struct engine_proxy *p = calloc(1, sizeof(*p));
	enum mailers_error error = MAILERS_ERR_NOMEM;

	snprintf(reason, ENGINE_REASON_MAX, "proxy %.100s: out of memory", settings->name);
	if (!p)
		return error;
	p->name = engine_copy(settings->name);
	p->from = engine_copy(settings->from);
	p->to = engine_copy(settings->to);
	p->level = settings->level;
	p->mode = settings->mode;
	p->limit_mails = settings->limit_per_ms ? settings->limit_mails : 0;
	p->limit_per_ms = settings->limit_per_ms;
	p->threads = settings->threads;
	p->durations = settings->durations;
	p->max_age_ms = settings->max_age_ms ? settings->max_age_ms : e->max_age_ms;
	if (p->name && p->from && p->to && engine_proxy_summary(p, &settings->summary))
		error = engine_proxy_addresses(p, settings->name, reason);
	if (!error)
		error = engine_rule_add(p, settings, reason);
	if (error) {
		engine_proxy_free(p);
		return error;
	}
	p->next = e->proxies;
	e->proxies = p;
	*proxy = p;
	reason[0] = '\0';
	return MAILERS_OK;
}

/* The mailer with these settings, made if it is new. */
static struct mailer *engine_mailer(struct engine *e, const struct mailer_settings *settings)
{
	struct mailer **end = &e->mailers, *m;
	unsigned number = 1;

	for (; *end; end = &(*end)->next) {
		if (mailer_same(*end, settings))
			return *end;
		number += !strcmp((*end)->settings.name, settings->name) &&
		          !strcmp((*end)->settings.address, settings->address);
	}
	m = mailer_new(settings);
	if (m)
		m->number = number;
	*end = m;
	return m;
}

/* A HELO name ends up in a command and in Message-IDs: nothing may end either. */
static bool engine_helo_valid(const char *helo)
{
	const char *p;

	for (p = helo; *p; p++) {
		if ((unsigned char)*p <= ' ' || (unsigned char)*p > '~' || strchr("<>@\"\\(),;", *p))
			return false;
	}
	return p != helo && p - helo <= 255;
}

/* One member more, without its mailer; NULL without memory. */
static struct engine_member *engine_member_new(struct engine_proxy *p, const struct mailer_settings *settings)
{
	struct engine_member *members = realloc(p->members, (p->nmembers + 1) * sizeof(*members)), *m;

	if (!members)
		return NULL;
	p->members = members;
	m = &members[p->nmembers];
	*m = (struct engine_member){ .backup = settings->backup };
	m->name = engine_copy(settings->name);
	return m->name ? m : NULL;
}

enum mailers_error engine_proxy_mailer(struct engine *e, struct engine_proxy *proxy,
                                       const struct mailer_settings *settings, char *reason)
{
	struct engine_member *m;

	if (!engine_helo_valid(settings->helo)) {
		snprintf(reason, ENGINE_REASON_MAX, "proxy %.100s: email-alert myhostname: '%.100s' is no host "
		         "name; write one such as lb1.example.org", proxy->name, settings->helo);
		return MAILERS_ERR_SYNTAX;
	}
	if (proxy->nmembers == ENGINE_MAILERS_MAX) {
		snprintf(reason, ENGINE_REASON_MAX, "proxy %.100s: more than %d mailers; remove some", proxy->name,
		         ENGINE_MAILERS_MAX);
		return MAILERS_ERR_BOUND;
	}
	reason[0] = '\0';
	if (proxy->ready)
		return MAILERS_ERR_STATE;
	snprintf(reason, ENGINE_REASON_MAX, "proxy %.100s: out of memory", proxy->name);
	m = engine_member_new(proxy, settings);
	if (!m)
		return MAILERS_ERR_NOMEM;
	m->mailer = engine_mailer(e, settings);
	if (!m->mailer) {
		free(m->name);
		return MAILERS_ERR_NOMEM;
	}
	proxy->nmembers++;
	reason[0] = '\0';
	return MAILERS_OK;
}

/* Puts the backups behind the others, each kind in its order. */
static void engine_proxy_sort(struct engine_proxy *p)
{
	size_t i, k;

	for (i = 1; i < p->nmembers; i++) { /* a handful: insertion will do */
		struct engine_member m = p->members[i];

		for (k = i; k && p->members[k - 1].backup && !m.backup; k--)
			p->members[k] = p->members[k - 1];
		p->members[k] = m;
	}
}

/* One route for all members, which are a group. */
static bool engine_proxy_failover(struct engine *e, struct engine_proxy *p)
{
	struct engine_group *group;

	engine_proxy_sort(p);
	group = engine_group_get(e, p->members, p->nmembers);
	return group && (p->routes || engine_route_new(e, p, p->members, p->nmembers, group));
}

/* A route for each member; those that were made by a call that failed stay. */
static bool engine_proxy_all(struct engine *e, struct engine_proxy *p)
{
	const struct engine_route *r;
	size_t i, done = 0;

	for (r = p->routes; r; r = r->next)
		done++;
	for (i = done; i < p->nmembers; i++) {
		if (!engine_route_new(e, p, &p->members[i], 1, NULL))
			return false;
	}
	return true;
}

enum mailers_error engine_proxy_ready(struct engine *e, struct engine_proxy *proxy, char *reason)
{
	bool failover = proxy->mode == ENGINE_MODE_FAILOVER && proxy->nmembers > 1;

	reason[0] = '\0';
	if (!proxy->nmembers) {
		snprintf(reason, ENGINE_REASON_MAX, "proxy %.100s: it has no mailer", proxy->name);
		return MAILERS_ERR_STATE;
	}
	if (engine_rule_ready(proxy, reason))
		return MAILERS_ERR_SYNTAX;
	if (proxy->ready)
		return MAILERS_OK;
	proxy->ready = failover ? engine_proxy_failover(e, proxy) : engine_proxy_all(e, proxy);
	if (proxy->ready) {
		engine_summary_join(e, proxy);
		return MAILERS_OK;
	}
	snprintf(reason, ENGINE_REASON_MAX, "proxy %.100s: out of memory", proxy->name);
	return MAILERS_ERR_NOMEM;
}

bool engine_proxy_wants(const struct engine_proxy *proxy, enum alert_level level)
{
	return level <= proxy->level;
}

bool engine_proxy_renders(const struct engine_proxy *proxy)
{
	size_t i;

	for (i = 0; i < proxy->nrules && !proxy->rules[i].subject && !proxy->rules[i].body; i++)
		;
	return proxy->subject || proxy->body || i < proxy->nrules || proxy->ask_ms;
}

const char *engine_proxy_name(const struct engine_proxy *proxy)
{
	return proxy->name;
}
