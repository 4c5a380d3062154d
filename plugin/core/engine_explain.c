/*
 * engine_explain - what would become of an alert, in words, without raising it (see engine.h). It asks the same
 * function as engine_raise_alert(), so it cannot say another thing than what is done.
 *
 * Called by the host for an operator.
 */
#include <stdio.h>
#include <string.h>

#include "engine_internal.h"

/* The proxy of "proxy/server". */
static struct engine_proxy *engine_explain_proxy(const struct engine *e, const char *name)
{
	size_t len = strcspn(name, "/");
	struct engine_proxy *p;

	for (p = e->proxies; p; p = p->next) {
		if (strlen(p->name) == len && !memcmp(p->name, name, len))
			return p;
	}
	return NULL;
}

/* Texts of the operator may hold any byte: what is no text is a '?'; a line of them stays one. */
static void engine_explain_text(struct buffer *out, const char *text)
{
	for (; *text; text++) {
		char c = (unsigned char)*text < ' ' || *text == 0x7f ? '?' : *text;

		buffer_add(out, &c, 1);
	}
	buffer_puts(out, "\n");
}

static void engine_explain_rules(const struct engine_proxy *p, const struct engine_decision *d, struct buffer *out)
{
	const char *between = "";
	size_t i;

	buffer_puts(out, "rules:   ");
	for (i = 0; i < p->nrules; i++) {
		if (!d->used[i])
			continue;
		buffer_printf(out, "%s%zu", between, i + 1);
		between = ", ";
	}
	buffer_puts(out, *between ? "\n" : "none matches\n");
}

static void engine_explain_ways(const struct engine_proxy *p, const struct engine_decision *d, struct buffer *out)
{
	const char *between = "";
	size_t i;

	buffer_puts(out, "to:      ");
	for (i = 0; i < p->nrcpt; i++) {
		if (!d->wanted[i])
			continue;
		buffer_printf(out, "%s<%s>", between, p->rcpt[i]);
		between = ", ";
	}
	buffer_puts(out, p->mode == ENGINE_MODE_FAILOVER ? "\nmailers: one of " : "\nmailers: ");
	between = "";
	for (i = 0; i < p->nmembers; i++) {
		if (!(d->members >> i & 1))
			continue;
		buffer_printf(out, "%s%s", between, p->members[i].name);
		between = ", ";
	}
	buffer_puts(out, "\n");
}

static void engine_explain_mail(const struct engine_proxy *p, const struct engine_alert *a,
                                const struct engine_decision *d, struct buffer *out)
{
	const char *body = d->mail.body ? d->mail.body : a->text, *end, *note;
	char text[ENGINE_NOTE_SIZE];

	buffer_puts(out, d->mail.subject ? "subject: " : "subject: [HAProxy Alert] ");
	engine_explain_text(out, d->mail.subject ? d->mail.subject : a->text);
	for (; body; body = *end ? end + 1 : NULL) {
		struct buffer line = { 0 };

		end = body + strcspn(body, "\n");
		buffer_add(&line, body, (size_t)(end - body));
		buffer_add(&line, "", 1);
		buffer_puts(out, "| ");
		engine_explain_text(out, buffer_error(&line) ? "" : line.data);
		if (buffer_error(&line))
			out->error = MAILERS_ERR_NOMEM;
		buffer_free(&line);
	}
	note = d->mail.body ? NULL : engine_outage_note(p, &a->outage, text);
	if (note)
		buffer_printf(out, "| \n| %s\n", note);
}

bool engine_explain(const struct engine *e, const struct engine_alert *a, struct buffer *out)
{
	const struct engine_proxy *p = engine_explain_proxy(e, a->name);
	struct engine_decision d;

	if (!p)
		return false;
	if (!engine_proxy_wants(p, a->what->level)) {
		buffer_printf(out, "no mail: email-alert level of proxy %s is %s, and the alert's %s\n", p->name,
		              alert_level_name(p->level), alert_level_name(a->what->level));
		return true;
	}
	if (engine_rule_decide(p, a, &d)) {
		out->error = MAILERS_ERR_NOMEM;
	} else {
		engine_explain_rules(p, &d, out);
		if (d.drop) {
			buffer_puts(out, "no mail: dropped\n");
		} else {
			engine_explain_ways(p, &d, out);
			engine_explain_mail(p, a, &d, out);
			if (p->ask_ms)
				buffer_puts(out, "then:    the route function of the settings decides\n");
		}
	}
	engine_rule_end(&d);
	return true;
}
