/*
 * flight_summary - subject and body of a mail that sums up many alerts: how many, what is down now, and each
 * group with its last text.
 *
 * It is made from the alerts that the mail is for, whyever they came together, and not from what was planned: so its
 * numbers are those of its alerts. A server is down or up by the last of its alerts here that says so; drains and
 * check reports do not. Its size is bounded by that of a fold: of the texts, which hold the names, each stands here
 * once at the most, and a name twice, cut where it is longer than any that HAProxy sends.
 *
 * Called by flight_build.c.
 */
#include <stdio.h>
#include <string.h>

#include "engine_internal.h"

#define SUMMARY_SUBJECT_MAX 150 /* bytes, up to where names of proxies are added */
#define SUMMARY_NAME_MAX    200

struct summary {
	const struct queue_envelope *env;
	struct batch *groups, *servers, *proxies; /* of the alerts */
	size_t down, up;                          /* servers */
};

static const struct queue_alert *summary_alert(const struct batch *b, size_t i)
{
	return b->items[i].data;
}

/* The last alert of <server> that says whether it is up or down; NULL without one. */
static const struct queue_alert *summary_state(const struct batch *servers, const struct batch_group *server)
{
	const struct queue_alert *last = NULL;
	size_t i;

	for (i = server->first; i != BATCH_END; i = servers->items[i].next) {
		const struct queue_alert *a = summary_alert(servers, i);

		if (a->what.change == ALERT_CHANGE_DOWN || a->what.change == ALERT_CHANGE_UP)
			last = a;
	}
	return last;
}

/* Adds <alert> to <b> under <name>, which is emptied; false without memory. */
static bool summary_put(struct batch *b, struct buffer *name, const struct queue_alert *alert)
{
	bool put;

	buffer_add(name, "", 1);
	put = !buffer_error(name) && batch_put(b, name->data, (void *)(uintptr_t)alert, 0, alert->raised_ms);
	buffer_clear(name);
	return put;
}

static bool summary_sort(struct summary *s)
{
	struct buffer name = { 0 };
	bool sorted = true;
	size_t i;

	for (i = 0; i < s->env->nalerts && sorted; i++) {
		const struct queue_alert *a = s->env->alerts[i];
		const struct engine_proxy *p = a->owner;

		engine_summary_render(p->summary.group, p, a, &name);
		sorted = summary_put(s->groups, &name, a);
		buffer_puts(&name, a->name);
		sorted = sorted && summary_put(s->servers, &name, a);
		buffer_puts(&name, p->name);
		sorted = sorted && summary_put(s->proxies, &name, a);
	}
	buffer_free(&name);
	for (i = 0; sorted && i < s->servers->ngroups; i++) {
		const struct queue_alert *a = summary_state(s->servers, &s->servers->groups[i]);

		s->down += a && a->what.change == ALERT_CHANGE_DOWN;
		s->up += a && a->what.change == ALERT_CHANGE_UP;
	}
	return sorted;
}

static const char *summary_s(size_t n)
{
	return n == 1 ? "" : "s";
}

/* "12 alerts: 3 servers down, 9 up (db, web and 2 more proxies)" */
static void summary_subject(const struct summary *s, struct buffer *out)
{
	size_t n = s->proxies->ngroups, i;

	buffer_printf(out, "%zu alert%s: %zu server%s down, %zu up", s->env->nalerts, summary_s(s->env->nalerts), s->down,
	              summary_s(s->down), s->up);
	for (i = 0; i < n; i++) {
		const char *name = s->proxies->groups[i].name;

		if (i && out->len + strlen(name) > SUMMARY_SUBJECT_MAX)
			break;
		buffer_printf(out, "%s%.*s", i ? ", " : " (", SUMMARY_NAME_MAX, name);
	}
	if (i < n)
		buffer_printf(out, " and %zu more", n - i);
	buffer_puts(out, ")");
	buffer_add(out, "", 1);
}

static void summary_down(const struct summary *s, struct buffer *out)
{
	size_t i;

	buffer_printf(out, "\nDown now: %zu server%s\n", s->down, summary_s(s->down));
	for (i = 0; i < s->servers->ngroups; i++) {
		const struct queue_alert *a = summary_state(s->servers, &s->servers->groups[i]);

		if (a && a->what.change == ALERT_CHANGE_DOWN)
			buffer_printf(out, "    %.*s since %s\n", SUMMARY_NAME_MAX, a->name, a->date);
	}
}

static void summary_group(const struct batch *groups, const struct batch_group *g, struct buffer *out)
{
	const struct queue_alert *first = summary_alert(groups, g->first), *last = summary_alert(groups, g->last);
	char text[ENGINE_NOTE_SIZE];
	const char *note = engine_outage_note(last->owner, &last->outage, text);

	buffer_printf(out, "\n%.*s: %zu alert%s, ", SUMMARY_NAME_MAX, g->name, g->n, summary_s(g->n));
	if (g->n > 1)
		buffer_printf(out, "%s to ", first->date);
	buffer_printf(out, "%s\n    ", last->date);
	buffer_puts(out, last->text);
	if (note)
		buffer_printf(out, "\n    %s", note);
	buffer_puts(out, "\n");
}

static void summary_body(const struct summary *s, struct buffer *out)
{
	const struct queue_envelope *env = s->env;
	size_t i, checks = 0;

	for (i = 0; i < env->nalerts; i++)
		checks += env->alerts[i]->what.kind == ALERT_KIND_CHECK;
	buffer_printf(out, "%zu alerts in %zu group%s: %zu state change%s, %zu check report%s\n", env->nalerts,
	              s->groups->ngroups, summary_s(s->groups->ngroups), env->nalerts - checks,
	              summary_s(env->nalerts - checks), checks, summary_s(checks));
	buffer_printf(out, "Oldest: %s\nNewest: %s\n", env->alerts[0]->date, env->alerts[env->nalerts - 1]->date);
	summary_down(s, out);
	for (i = 0; i < s->groups->ngroups; i++)
		summary_group(s->groups, &s->groups->groups[i], out);
	if (out->len)
		out->len--; /* the last line's end, which the message adds */
	buffer_add(out, "", 1);
}

void flight_summary(const struct queue_envelope *env, struct buffer *subject, struct buffer *body)
{
	struct summary s = {
		.env = env, .groups = batch_new(""), .servers = batch_new(""), .proxies = batch_new(""),
	};

	if (s.groups && s.servers && s.proxies && summary_sort(&s)) {
		summary_subject(&s, subject);
		summary_body(&s, body);
	} else {
		body->error = MAILERS_ERR_NOMEM;
	}
	batch_free(s.groups);
	batch_free(s.servers);
	batch_free(s.proxies);
}
