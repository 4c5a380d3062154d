/*
 * engine_rule - the rules and templates of a proxy (see rule.h, template.h): who else may get its alerts, made
 * ready once, and what becomes of one alert.
 *
 * The recipients of all rules that may match a proxy are recipients of its routes, of which an alert takes some:
 * so one server's alerts keep their order for each recipient, whichever rules they met.
 *
 * Called by engine_proxy.c at the start, and by engine.c for each alert.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mailers/mailbox.h>

#include "engine_internal.h"

/* --- at the start --- */

/* The place of <address> among the recipients of <p>, which takes it over if it is new; -1 without memory or place. */
static int engine_rule_recipient(struct engine_proxy *p, char **address)
{
	int i = engine_rcpt_find(p, *address);
	char **more;

	if (i >= 0)
		return i;
	if (p->nrcpt == SMTP_CLIENT_RCPT_MAX)
		return -1;
	if (!p->ask_ms) {
		more = realloc(p->rcpt, (p->nrcpt + 1) * sizeof(*more));
		if (!more)
			return -1;
		p->rcpt = more;
	}
	p->rcpt[p->nrcpt] = *address;
	*address = NULL;
	return (int)p->nrcpt++;
}

static enum mailers_error engine_rule_address(struct engine_proxy *p, size_t rule, const char *text, char *reason)
{
	char why[MAILBOX_REASON_SIZE];
	struct mailbox_list list;
	enum mailers_error error = mailbox_list_parse(&list, text, why, sizeof(why));
	size_t k;
	int i;

	if (error)
		snprintf(reason, ENGINE_REASON_MAX, "proxy %.100s: rules[%zu]: %s", p->name, rule + 1, why);
	for (k = 0; !error && k < list.n; k++) {
		i = engine_rule_recipient(p, &list.address[k]);
		if (i >= 0) {
			p->ways[rule].rcpt[i / 64] |= UINT64_C(1) << i % 64;
		} else if (p->nrcpt == SMTP_CLIENT_RCPT_MAX) {
			error = MAILERS_ERR_BOUND;
			snprintf(reason, ENGINE_REASON_MAX, "proxy %.100s: rules[%zu]: the proxy has more than %d recipients with "
			         "those of its rules; write fewer, such as the address of a mailing list", p->name, rule + 1,
			         SMTP_CLIENT_RCPT_MAX);
		} else {
			error = MAILERS_ERR_NOMEM; /* <reason> says so */
		}
	}
	mailbox_list_free(&list);
	return error;
}

enum mailers_error engine_rule_add(struct engine_proxy *p, const struct engine_proxy_settings *settings, char *reason)
{
	enum mailers_error error = MAILERS_OK;
	size_t i, k;

	p->subject = settings->subject;
	p->body = settings->body;
	p->nown = p->nfixed = p->nrcpt;
	if (settings->ask_ms) { /* answers may bring more recipients, when there are routes: the array stays where it is */
		char **rcpt = realloc(p->rcpt, SMTP_CLIENT_RCPT_MAX * sizeof(*rcpt));

		if (!rcpt)
			return MAILERS_ERR_NOMEM;
		p->rcpt = rcpt;
		p->ask_ms = settings->ask_ms;
		p->summary.batch_asked = settings->ask_batch;
	}
	if (!settings->nrules)
		return MAILERS_OK;
	p->ways = calloc(settings->nrules, sizeof(*p->ways));
	if (!p->ways)
		return MAILERS_ERR_NOMEM;
	p->rules = settings->rules;
	p->nrules = settings->nrules;
	for (i = 0; i < p->nrules; i++) {
		const struct rule *rule = &p->rules[i];

		if (!rule_for(rule, p->name))
			continue;
		for (k = 0; !error && k < rule->to.n; k++)
			error = engine_rule_address(p, i, rule->to.id[k], reason);
		for (k = 0; !error && k < rule->cc.n; k++)
			error = engine_rule_address(p, i, rule->cc.id[k], reason);
	}
	p->nfixed = p->nrcpt;
	return error;
}

static enum mailers_error engine_rule_refuse(const struct engine_proxy *p, size_t rule, char *reason)
{
	if (p->mode == ENGINE_MODE_FAILOVER)
		snprintf(reason, ENGINE_REASON_MAX, "proxy %.100s: rules[%zu].mailers stands beside mode = \"failover\", where "
		         "the mailers are one; remove one of them, or add another proxy to the rule", p->name, rule + 1);
	else
		snprintf(reason, ENGINE_REASON_MAX, "proxy %.100s: rules[%zu].mailers names no mailer of it; write the id of "
		         "one, or add proxy = \"^name\" to the rule", p->name, rule + 1);
	return MAILERS_ERR_SYNTAX;
}

enum mailers_error engine_rule_ready(struct engine_proxy *p, char *reason)
{
	size_t i, k, m;

	for (i = 0; i < p->nrules; i++) {
		const struct setting_ids *ids = &p->rules[i].mailers;

		if (!ids->n || !rule_for(&p->rules[i], p->name))
			continue;
		if (p->mode == ENGINE_MODE_FAILOVER && p->nmembers > 1)
			return engine_rule_refuse(p, i, reason);
		for (m = 0; m < p->nmembers; m++) {
			for (k = 0; k < ids->n && strcmp(ids->id[k], p->members[m].name); k++)
				;
			if (k < ids->n)
				p->ways[i].members |= UINT64_C(1) << m;
		}
		if (!p->ways[i].members)
			return engine_rule_refuse(p, i, reason);
	}
	return MAILERS_OK;
}

/* --- an alert --- */

static void engine_rule_join(struct buffer *out, const struct setting_ids *ids)
{
	size_t i;

	for (i = 0; i < ids->n; i++) {
		if (out->len)
			buffer_puts(out, ", ");
		buffer_puts(out, ids->id[i]);
	}
}

/* Adds what rule <i> says to <d>. */
static void engine_rule_use(const struct engine_proxy *p, size_t i, struct engine_decision *d)
{
	const struct rule *rule = &p->rules[i];

	d->has_to |= rule->to.n > 0;
	d->has_cc |= rule->cc.n > 0;
	engine_rule_join(&d->to, &rule->to);
	engine_rule_join(&d->cc, &rule->cc);
	d->rcpt[0] |= p->ways[i].rcpt[0];
	d->rcpt[1] |= p->ways[i].rcpt[1];
	d->members |= p->ways[i].members;
	if (!d->subject_text)
		d->subject_text = rule->subject;
	if (!d->body_text)
		d->body_text = rule->body;
}

/* The text of <b>, ended; NULL when it is not <set>. */
static const char *engine_rule_text(struct buffer *b, bool set)
{
	if (!set)
		return NULL;
	buffer_add(b, "", 1);
	return b->data;
}

/* The recipients: those of the rules, and the proxy's own unless a rule says to whom. */
static void engine_rule_recipients(const struct engine_proxy *p, struct engine_decision *d)
{
	size_t i;

	for (i = 0; i < p->nrcpt; i++) {
		d->wanted[i] = d->rcpt[i / 64] >> i % 64 & 1 || (i < p->nown && !d->has_to);
		d->nrcpt += d->wanted[i];
	}
	if (!d->members)
		d->members = UINT64_MAX;
}

/* The name of the server alone: <name> is "proxy/server". */
static const char *engine_rule_server(const struct engine_proxy *p, const char *name)
{
	size_t len = strlen(p->name);

	return !strncmp(name, p->name, len) && name[len] == '/' ? name + len + 1 : name;
}

void engine_rule_values(const struct engine_proxy *p, const struct engine_alert *a, const char *text,
                        char *downtime, struct template_values *values)
{
	static const char *const states[ALERT_CHANGES] = {
		[ALERT_CHANGE_DOWN] = "DOWN", [ALERT_CHANGE_UP] = "UP", [ALERT_CHANGE_DRAIN] = "DRAIN",
	};

	*values = (struct template_values){ .value = {
		[TEMPLATE_PROXY] = p->name, [TEMPLATE_SERVER] = engine_rule_server(p, a->name), [TEMPLATE_NAME] = a->name,
		[TEMPLATE_STATE] = states[a->what->change], [TEMPLATE_LEVEL] = alert_level_name(a->what->level),
		[TEMPLATE_EVENT] = alert_change_name(a->what->change),
		[TEMPLATE_TEXT] = text, [TEMPLATE_DATE] = a->date, [TEMPLATE_SINCE] = a->date,
		[TEMPLATE_DOWNTIME] = a->outage.over ? outage_text(downtime, a->outage.lasted_ms) : NULL,
	} };
}

void engine_rule_render(const struct engine_proxy *p, const struct engine_alert *a, struct engine_decision *d)
{
	const struct template_values *values = a->values;
	struct template_values own;
	char downtime[OUTAGE_TEXT_SIZE];
	struct buffer text = { 0 };

	buffer_clear(&d->subject);
	buffer_clear(&d->body);
	if (!values && (d->subject_text || d->body_text)) {
		buffer_add(&text, a->text, a->text_len);
		buffer_add(&text, "", 1);
		if (buffer_error(&text))
			d->subject.error = MAILERS_ERR_NOMEM;
		engine_rule_values(p, a, buffer_error(&text) ? "" : text.data, downtime, &own);
		values = &own;
	}
	if (d->subject_text)
		template_render(d->subject_text, values, TEMPLATE_SUBJECT_MAX, &d->subject);
	if (d->body_text)
		template_render(d->body_text, values, TEMPLATE_BODY_MAX, &d->body);
	buffer_free(&text);
	d->mail.subject = engine_rule_text(&d->subject, d->subject_text);
	d->mail.body = engine_rule_text(&d->body, d->body_text);
}

enum mailers_error engine_rule_decide(const struct engine_proxy *p, const struct engine_alert *a,
                                      struct engine_decision *d)
{
	const struct rule_alert alert = {
		.proxy = p->name, .server = engine_rule_server(p, a->name), .text = a->text, .len = a->text_len,
		.level = a->what->level, .change = a->what->change,
	};
	size_t i;

	*d = (struct engine_decision){ .drop = false };
	rule_select(p->rules, p->nrules, &alert, d->used, &d->drop);
	for (i = 0; i < p->nrules; i++) {
		if (d->used[i])
			engine_rule_use(p, i, d);
	}
	if (!d->subject_text)
		d->subject_text = p->subject;
	if (!d->body_text)
		d->body_text = p->body;
	engine_rule_recipients(p, d);
	if (!d->drop)
		engine_rule_render(p, a, d);
	d->mail.to = engine_rule_text(&d->to, d->has_to);
	d->mail.cc = engine_rule_text(&d->cc, d->has_cc);
	if (buffer_error(&d->subject) || buffer_error(&d->body) || buffer_error(&d->to) || buffer_error(&d->cc))
		return MAILERS_ERR_NOMEM;
	return MAILERS_OK;
}

void engine_rule_end(struct engine_decision *d)
{
	buffer_free(&d->subject);
	buffer_free(&d->body);
	buffer_free(&d->to);
	buffer_free(&d->cc);
}
