/*
 * engine_answer - what the host makes of an alert about which it was asked (see engine.h).
 *
 * An answer is laid over what the rules decided, which is decided once more: the same alert gives the same. What it has as it
 * was asked counts as untouched, so that an alert that comes back as it was is the mail that it would have been,
 * byte for byte. All answers about an alert are looked at before the first is queued: when something is wrong with one of
 * them, the alert goes as without any. What was right a moment before can only fail for want of memory or places then, and
 * the alert goes once more: better twice than not at all.
 *
 * Called by the host.
 */
#include <stdio.h>
#include <string.h>

#include <mailers/mailbox.h>
#include <mailers/message.h>

#include "engine_internal.h"

/* One answer, its texts the host's. */
struct answer {
	struct template_values values;
	const char *subject, *body, *to, *cc, *batch;
	const char *mailers[ENGINE_MAILERS_MAX];
	size_t nmailers;
	struct buffer headers;      /* lines */
};

/* What it is turned into. */
struct answer_work {
	struct engine *e;
	struct engine_proxy *p;
	const struct engine_ask *ask;
	struct engine_alert alert;
	struct alert_text what;
	struct engine_decision d;
	uint64_t now_ms;
	char *reason;               /* ENGINE_REASON_MAX bytes */
};

/* --- reading --- */

static enum mailers_error answer_header(struct answer *a, const char *line, char *reason)
{
	size_t name = strcspn(line, ":");
	const char *fault = line[name] ? message_header_fault(line, name) : "it is no \"Name: value\"";

	if (fault) {
		snprintf(reason, ENGINE_REASON_MAX, "header %.60s: %s", line, fault);
		return MAILERS_ERR_SYNTAX;
	}
	for (; *line; line++)
		buffer_add(&a->headers, *line == '\n' ? " " : line, 1);
	buffer_puts(&a->headers, "\n");
	return buffer_error(&a->headers);
}

static enum mailers_error answer_mailer(struct answer *a, const char *name, char *reason)
{
	if (a->nmailers == ENGINE_MAILERS_MAX) {
		snprintf(reason, ENGINE_REASON_MAX, "mailers: more than %d", ENGINE_MAILERS_MAX);
		return MAILERS_ERR_BOUND;
	}
	a->mailers[a->nmailers++] = name;
	return MAILERS_OK;
}

static const char **answer_text(struct answer *a, const char *name)
{
	const struct {
		const char *name, **text;
	} texts[] = {
		{ "subject", &a->subject }, { "body", &a->body }, { "to", &a->to }, { "cc", &a->cc }, { "batch", &a->batch },
	};
	unsigned i;

	for (i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		if (!strcmp(texts[i].name, name))
			return texts[i].text;
	}
	for (i = 0; i < TEMPLATE_FIELDS; i++) {
		if (!strcmp(template_field_name(i), name))
			return &a->values.value[i];
	}
	return NULL;
}

/* Fields that are unknown are nobody's. */
static enum mailers_error answer_read(struct answer *a, const struct buffer *from, char *reason)
{
	const char *p = from->data, *end = p ? p + from->len : p;
	enum mailers_error error = MAILERS_OK;

	if (from->len && end[-1])
		return MAILERS_ERR_SYNTAX;
	a->headers.limit = ENGINE_HEADERS_MAX;
	while (!error && p < end) {
		const char *name = p, *value = p + strlen(p) + 1, **text;

		if (value >= end)
			return MAILERS_ERR_SYNTAX;
		p = value + strlen(value) + 1;
		text = answer_text(a, name);
		if (text)
			*text = value;
		else if (!strcmp(name, "mailer"))
			error = answer_mailer(a, value, reason);
		else if (!strcmp(name, "header"))
			error = answer_header(a, value, reason);
	}
	if (error == MAILERS_ERR_BOUND && !*reason)
		snprintf(reason, ENGINE_REASON_MAX, "the headers are longer than %d bytes", ENGINE_HEADERS_MAX);
	return error;
}

/* --- deciding --- */

/* "" and NULL are the same. */
static bool answer_same(const char *a, const char *b)
{
	return !strcmp(a ? a : "", b ? b : "");
}

/* Level and event by their names. */
static enum mailers_error answer_what(struct answer_work *w, const struct answer *a)
{
	const char *level = a->values.value[TEMPLATE_LEVEL], *event = a->values.value[TEMPLATE_EVENT];
	int l = level ? alert_level_from_name(level) : (int)w->what.level;
	int c = event ? alert_change_from_name(event) : (int)w->what.change;

	if (l < 0 || c < 0) {
		snprintf(w->reason, ENGINE_REASON_MAX, "%s: there is no '%.40s'", l < 0 ? "level" : "event", l < 0 ? level : event);
		return MAILERS_ERR_SYNTAX;
	}
	w->what.level = (enum alert_level)l;
	w->what.change = (enum alert_change)c;
	return MAILERS_OK;
}

/* Text, subject and body. A template is rendered anew, for the fields may be others. */
static enum mailers_error answer_texts(struct answer_work *w, struct answer *a)
{
	struct engine_decision *d = &w->d;
	struct buffer subject = { 0 };
	const char *body = d->mail.body ? d->mail.body : w->ask->alert.text, **text = &a->values.value[TEMPLATE_TEXT];
	bool own_subject, own_body, own_text;

	engine_ask_subject(&w->ask->alert, d, &subject);
	if (buffer_error(&subject))
		return MAILERS_ERR_NOMEM;
	own_subject = a->subject && *a->subject && strcmp(a->subject, subject.data);
	own_body = a->body && *a->body && strcmp(a->body, body);
	buffer_free(&subject);
	if (!*text || !**text)
		*text = w->ask->alert.text;
	own_text = strcmp(*text, w->ask->alert.text) != 0;
	w->alert.text = *text;
	w->alert.text_len = strlen(*text);
	w->alert.values = &a->values;
	engine_rule_render(w->p, &w->alert, d);
	if (buffer_error(&d->subject) || buffer_error(&d->body))
		return MAILERS_ERR_NOMEM;
	if ((own_subject && strlen(a->subject) > TEMPLATE_SUBJECT_MAX) || (own_body && strlen(a->body) > TEMPLATE_BODY_MAX) ||
	    (own_text && w->alert.text_len > TEMPLATE_BODY_MAX)) {
		snprintf(w->reason, ENGINE_REASON_MAX, "subject, body or text is longer than %d or %d bytes", TEMPLATE_SUBJECT_MAX,
		         TEMPLATE_BODY_MAX);
		return MAILERS_ERR_BOUND;
	}
	if (own_subject)
		d->mail.subject = a->subject;
	if (own_body)
		d->mail.body = a->body;
	return MAILERS_OK;
}

/* Adds the addresses of <text>, which <key> has, to the recipients. */
static enum mailers_error answer_addresses(struct answer_work *w, const char *key, const char *text)
{
	char why[MAILBOX_REASON_SIZE];
	struct mailbox_list list;
	enum mailers_error error;
	size_t i;
	int place;

	if (!text || !*text)
		return MAILERS_OK;
	if (strlen(text) > ENGINE_ADDRESSES_MAX) {
		snprintf(w->reason, ENGINE_REASON_MAX, "%s: it is longer than %d bytes", key, ENGINE_ADDRESSES_MAX);
		return MAILERS_ERR_BOUND;
	}
	error = mailbox_list_parse(&list, text, why, sizeof(why));
	if (error) {
		snprintf(w->reason, ENGINE_REASON_MAX, "%s: %s", key, why);
		return error;
	}
	for (i = 0; !error && i < list.n; i++) {
		place = engine_rcpt_place(w->e, w->p, list.address[i], w->d.wanted, w->now_ms, &error);
		if (place < 0)
			break;
		error = MAILERS_OK;
		w->d.nrcpt += !w->d.wanted[place];
		w->d.wanted[place] = true;
	}
	mailbox_list_free(&list);
	if (error == MAILERS_ERR_BOUND)
		snprintf(w->reason, ENGINE_REASON_MAX, "%s: mails to %d recipients of the proxy wait already", key,
		         SMTP_CLIENT_RCPT_MAX);
	return error;
}

static enum mailers_error answer_recipients(struct answer_work *w, const struct answer *a)
{
	struct engine_decision *d = &w->d;
	enum mailers_error error;

	if (answer_same(a->to, d->mail.to ? d->mail.to : w->p->to) && answer_same(a->cc, d->mail.cc))
		return MAILERS_OK;
	memset(d->wanted, 0, sizeof(d->wanted));
	d->nrcpt = 0;
	error = answer_addresses(w, "to", a->to);
	if (!error)
		error = answer_addresses(w, "cc", a->cc);
	if (error)
		return error;
	if (!d->nrcpt) {
		snprintf(w->reason, ENGINE_REASON_MAX, "to: it is empty; return nil to drop the alert");
		return MAILERS_ERR_SYNTAX;
	}
	d->mail.to = a->to && *a->to ? a->to : "undisclosed-recipients:;";
	d->mail.cc = a->cc && *a->cc ? a->cc : NULL;
	return MAILERS_OK;
}

static enum mailers_error answer_mailers(struct answer_work *w, const struct answer *a)
{
	const struct engine_proxy *p = w->p;
	uint64_t members = 0;
	size_t i, m;

	for (i = 0; i < a->nmailers; i++) {
		for (m = 0; m < p->nmembers && strcmp(p->members[m].name, a->mailers[i]); m++)
			;
		if (m == p->nmembers) {
			snprintf(w->reason, ENGINE_REASON_MAX, "mailers: '%.60s' is no mailer of the proxy", a->mailers[i]);
			return MAILERS_ERR_SYNTAX;
		}
		members |= UINT64_C(1) << m;
	}
	for (m = 0; m < p->nmembers && (members >> m & 1); m++)
		;
	if (members && m < p->nmembers && p->mode == ENGINE_MODE_FAILOVER && p->nmembers > 1) {
		snprintf(w->reason, ENGINE_REASON_MAX, "mailers: with mode = \"failover\" they are one, and none can be chosen");
		return MAILERS_ERR_SYNTAX;
	}
	w->d.members = members ? members : UINT64_MAX;
	return MAILERS_OK;
}

static enum mailers_error answer_decide(struct answer_work *w, struct answer *a)
{
	enum mailers_error error = engine_rule_decide(w->p, &w->ask->alert, &w->d);

	w->alert = w->ask->alert;
	w->what = w->ask->what;
	w->alert.what = &w->what;
	if (!error)
		error = answer_what(w, a);
	if (!error)
		error = answer_texts(w, a);
	if (!error)
		error = answer_mailers(w, a);
	if (!error)
		error = answer_recipients(w, a);
	w->d.mail.headers = a->headers.len ? a->headers.data : NULL;
	w->d.batch = a->batch;
	return error;
}

/* --- all --- */

/* Reads and decides answer <from>, and queues it if <raise>. */
static enum mailers_error answer_one(struct engine *e, const struct engine_ask *ask, const struct buffer *from, bool raise,
                                     uint64_t now_ms, char *reason)
{
	struct answer_work w = { .e = e, .p = ask->proxy, .ask = ask, .now_ms = now_ms, .reason = reason };
	struct answer a = { .to = NULL };
	enum mailers_error error = answer_read(&a, from, reason);

	if (!error) {
		buffer_add(&a.headers, "", a.headers.len ? 1 : 0);
		error = buffer_error(&a.headers);
	}
	if (!error)
		error = answer_decide(&w, &a);
	if (!error && raise)
		engine_raise_decided(e, w.p, &w.alert, &w.d, true, now_ms);
	engine_rule_end(&w.d);
	buffer_free(&a.headers);
	return error;
}

enum mailers_error engine_answer(struct engine *e, uint64_t id, const struct buffer *answers, size_t n, uint64_t now_ms)
{
	struct engine_ask *ask = engine_ask_find(e, id);
	char reason[ENGINE_REASON_MAX] = "";
	enum mailers_error error = n > ENGINE_ANSWERS ? MAILERS_ERR_BOUND : MAILERS_OK;
	size_t i;

	if (!ask)
		return MAILERS_ERR_STATE;
	if (error)
		snprintf(reason, sizeof(reason), "it made %zu alerts of one, more than %d", n, ENGINE_ANSWERS);
	for (i = 0; !error && i < n; i++)
		error = answer_one(e, ask, &answers[i], false, now_ms, reason);
	for (i = 0; !error && i < n; i++)
		error = answer_one(e, ask, &answers[i], true, now_ms, reason);
	if (error) {
		engine_ask_fail(e, ask, *reason ? reason : mailers_error_text(error), now_ms);
		return error;
	}
	if (n) {
		ask->proxy->asks.answered++;
	} else { /* it may have forgotten to return the alert */
		ask->proxy->asks.dropped++;
		engine_log(e, ALERT_LEVEL_INFO, "mailers: %s: dropped by the route function: %s", ask->alert.name, ask->alert.text);
	}
	engine_ask_end(e, ask);
	return MAILERS_OK;
}

void engine_answer_failed(struct engine *e, uint64_t id, const char *why, uint64_t now_ms)
{
	struct engine_ask *ask = engine_ask_find(e, id);

	if (ask)
		engine_ask_fail(e, ask, why, now_ms);
}
