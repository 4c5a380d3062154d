/*
 * engine_test - a mail that says that it is a test, on a connection of its own for each mailer, with the
 * dialogue written down.
 *
 * A leg is a test over one mailer. It takes nothing from the queue, counts against no maxconn and changes
 * nobody's health: what it finds is for its reader alone (but that EHLO, or a token, was refused). The
 * lines of smtp_client begin with "> " and "< ", those of this file with "* ". Legs go at the same time and
 * are read one after another.
 *
 * Invariants: leg->c is the open connection whose client writes into leg->dialogue; a test is freed when it
 * was ended and no leg has one. Called by the host, engine_slot.c (what to open) and connection.c (each
 * call into the client).
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mailers/mailbox.h>
#include <mailers/message.h>

#include "engine_internal.h"

#define TEST_MAX          16          /* at once */
#define TEST_DIALOGUE_MAX (256 << 10) /* bytes of a leg */
#define TEST_CONNECTIONS  4           /* of a leg: with TLS or without, with EHLO or without */

struct engine_test_leg {
	struct engine_test *test;
	const struct engine_member *member;
	struct connection *c;
	struct buffer message, dialogue;
	size_t read;                  /* bytes of the dialogue that were read */
	unsigned opened;
	enum smtp_tls tls;
	bool due;                     /* a connection is to be opened */
	bool submitted, described, over;
	enum engine_test_result result;
};

struct engine_test {
	struct engine_test *next;
	int id;
	bool ended;
	const struct engine_proxy *proxy;
	char *from, *to;              /* header values */
	struct mailbox_list senders, rcpt;
	char date[QUEUE_DATE_MAX];
	size_t nlegs;
	struct engine_test_leg legs[];
};

static const char *const engine_test_results[] = {
	[ENGINE_TEST_ACCEPTED]    = "accepted",
	[ENGINE_TEST_TEMPORARY]   = "temporary failure",
	[ENGINE_TEST_REFUSED]     = "refused",
	[ENGINE_TEST_FAILED]      = "failed",
	[ENGINE_TEST_AUTH]        = "failed at AUTH",
	[ENGINE_TEST_TLS]         = "failed at TLS",
	[ENGINE_TEST_UNREACHABLE] = "unreachable",
	[ENGINE_TEST_LOCAL]       = "not tried",
};

/* --- a test --- */

static struct engine_test *engine_test_find(const struct engine *e, int id)
{
	struct engine_test *t;

	for (t = e->tests; t && (t->id != id || t->ended); t = t->next)
		;
	return t;
}

static void engine_test_free(struct engine_test *t)
{
	size_t i;

	for (i = 0; i < t->nlegs; i++) {
		buffer_free(&t->legs[i].message);
		buffer_free(&t->legs[i].dialogue);
	}
	mailbox_list_free(&t->senders);
	mailbox_list_free(&t->rcpt);
	free(t->from);
	free(t->to);
	free(t);
}

void engine_test_free_all(struct engine *e)
{
	struct engine_test *t, *next;

	for (t = e->tests; t; t = next) {
		next = t->next;
		engine_test_free(t);
	}
}

static const struct engine_proxy *engine_test_proxy(const struct engine *e, const char *name)
{
	const struct engine_proxy *p;

	for (p = e->proxies; p && strcmp(p->name, name); p = p->next)
		;
	return p;
}

/* An address list for the test, with the header value it came from. */
static enum mailers_error engine_test_list(struct mailbox_list *list, char **header, const char *text,
                                           const char *what, char *reason)
{
	char why[MAILBOX_REASON_SIZE];
	enum mailers_error error = mailbox_list_parse(list, text, why, sizeof(why));

	if (error) {
		snprintf(reason, ENGINE_REASON_MAX, "%s: %s", what, why);
		return error;
	}
	*header = engine_copy(text);
	return *header ? MAILERS_OK : MAILERS_ERR_NOMEM;
}

static bool engine_test_addresses(struct engine_test *t, const char *to, const char *from, char *reason)
{
	if (engine_test_list(&t->senders, &t->from, from ? from : t->proxy->from, "from", reason) ||
	    engine_test_list(&t->rcpt, &t->to, to ? to : t->proxy->to, "to", reason))
		return false;
	if (t->senders.n == 1)
		return true;
	snprintf(reason, ENGINE_REASON_MAX, "from: %zu addresses stand there, give one", t->senders.n);
	return false;
}

/* The members of <p> that are meant, into <t> unless that is NULL. */
static size_t engine_test_legs(struct engine_test *t, const struct engine_proxy *p, const char *mailer)
{
	size_t i, n = 0;

	for (i = 0; i < p->nmembers; i++) {
		if (mailer && strcmp(p->members[i].name, mailer))
			continue;
		if (t)
			t->legs[n] = (struct engine_test_leg){
				.test = t, .member = &p->members[i], .due = true,
				.tls = p->members[i].mailer->settings.tls, .dialogue.limit = TEST_DIALOGUE_MAX,
			};
		n++;
	}
	return n;
}

/* A test without its addresses; NULL: <reason>. */
static struct engine_test *engine_test_new(const struct engine *e, const char *proxy, const char *mailer,
                                           char *reason)
{
	const struct engine_proxy *p = engine_test_proxy(e, proxy);
	const struct engine_test *other;
	struct engine_test *t;
	size_t n = p ? engine_test_legs(NULL, p, mailer) : 0, tests = 0;

	for (other = e->tests; other; other = other->next)
		tests++;
	if (!p)
		snprintf(reason, ENGINE_REASON_MAX, "there is no proxy %.100s with email-alert mailers", proxy);
	else if (!n)
		snprintf(reason, ENGINE_REASON_MAX, "proxy %.100s has no mailer%s%.100s", p->name, mailer ? " " : "",
		         mailer ? mailer : "");
	else if (tests == TEST_MAX)
		snprintf(reason, ENGINE_REASON_MAX, "%d tests go on already, try again later", TEST_MAX);
	else
		snprintf(reason, ENGINE_REASON_MAX, "out of memory");
	t = n && tests < TEST_MAX ? calloc(1, sizeof(*t) + n * sizeof(t->legs[0])) : NULL;
	if (!t)
		return NULL;
	t->proxy = p;
	t->nlegs = engine_test_legs(t, p, mailer);
	return t;
}

int engine_test_begin(struct engine *e, const char *proxy, const char *mailer, const char *to, const char *from,
                      uint64_t now_ms, char *reason)
{
	struct engine_test *t = engine_test_new(e, proxy, mailer, reason);

	(void)now_ms;
	if (!t)
		return 0;
	if (!engine_test_addresses(t, to, from, reason)) {
		engine_test_free(t);
		return 0;
	}
	reason[0] = '\0';
	t->id = ++e->last_test;
	t->next = e->tests;
	e->tests = t;
	return t->id;
}

void engine_test_date(struct engine *e, int id, const char *date)
{
	struct engine_test *t = engine_test_find(e, id);

	if (t)
		snprintf(t->date, sizeof(t->date), "%s", date);
}

/* --- what is said about it --- */

static void engine_test_say(struct engine_test_leg *leg, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A line of this file's own. */
static void engine_test_say(struct engine_test_leg *leg, const char *format, ...)
{
	char text[1200], *p;
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	for (p = text; *p; p++) {
		if ((unsigned char)*p < ' ' || (unsigned char)*p > '~')
			*p = '?';
	}
	if (leg->dialogue.len + strlen(text) + sizeof("* \n") <= leg->dialogue.limit)
		buffer_printf(&leg->dialogue, "* %s\n", text);
}

/* What TLS came to, once it is established. */
static void engine_test_describe(struct engine_test_leg *leg)
{
	struct tls_description d;

	if (leg->described || !wire_describe(leg->c->wire, &d))
		return;
	leg->described = true;
	engine_test_say(leg, "TLS established: %s, %s", d.version, d.cipher);
	engine_test_say(leg, "certificate of %s, names: %s", d.subject[0] ? d.subject : "nobody",
	                d.names[0] ? d.names : "none");
	engine_test_say(leg, "issued by %s, expires %s, %s", d.issuer[0] ? d.issuer : "nobody", d.expires,
	                d.verified ? "verified" : "not verified");
}

static void engine_test_result(struct engine_test_leg *leg, enum engine_test_result result)
{
	if (result > leg->result)
		leg->result = result;
}

static void engine_test_over(struct engine *e, struct engine_test_leg *leg)
{
	const struct engine_member *m = leg->member;

	if (leg->over)
		return;
	leg->over = true;
	engine_test_say(leg, "%s: %s", m->name, engine_test_results[leg->result]);
	engine_log(e, ALERT_LEVEL_NOTICE, "mailers: test mail of proxy %s via %s (%s): %s", leg->test->proxy->name,
	           m->name, m->mailer->settings.address, engine_test_results[leg->result]);
}

bool engine_test_read(struct engine *e, int id, struct buffer *out, enum engine_test_result *result)
{
	struct engine_test *t = engine_test_find(e, id);
	size_t i;

	*result = t ? ENGINE_TEST_ACCEPTED : ENGINE_TEST_LOCAL;
	for (i = 0; t && i < t->nlegs; i++) {
		struct engine_test_leg *leg = &t->legs[i];

		if (leg->dialogue.len > leg->read)
			buffer_add(out, leg->dialogue.data + leg->read, leg->dialogue.len - leg->read);
		leg->read = leg->dialogue.len;
		if (!leg->over)
			return false;
		if (leg->result > *result)
			*result = leg->result;
	}
	return true;
}

/* --- its connections --- */

static struct engine_test_leg *engine_test_due(const struct engine *e)
{
	struct engine_test *t;
	size_t i;

	for (t = e->tests; t; t = t->next) {
		for (i = 0; i < t->nlegs; i++) {
			if (t->legs[i].due && !t->legs[i].c)
				return &t->legs[i];
		}
	}
	return NULL;
}

bool engine_test_waits(const struct engine *e)
{
	return engine_test_due(e) != NULL;
}

void engine_test_refuse(struct engine *e)
{
	struct engine_test_leg *leg;

	while ((leg = engine_test_due(e))) {
		leg->due = false;
		engine_test_result(leg, ENGINE_TEST_LOCAL);
		engine_test_say(leg, "the process ends");
		engine_test_over(e, leg);
	}
}

struct connection *engine_test_connection(struct engine *e, uint64_t now_ms)
{
	struct engine_test_leg *leg = engine_test_due(e);
	struct mailer *m;

	if (!leg)
		return NULL;
	m = leg->member->mailer;
	leg->due = false;
	leg->opened++;
	engine_test_say(leg, "%s: connecting to %s", leg->member->name, m->settings.address);
	leg->c = connection_open(m, leg->tls, &leg->dialogue, now_ms);
	if (leg->c) {
		leg->c->leg = leg;
	} else {
		engine_test_result(leg, ENGINE_TEST_LOCAL);
		engine_test_say(leg, "out of memory");
		engine_test_over(e, leg);
	}
	return leg->c;
}

/* Another connection: what this one found out makes it different. */
static bool engine_test_again(struct engine_test_leg *leg)
{
	leg->due = !leg->submitted && !leg->test->ended && leg->opened < TEST_CONNECTIONS;
	return leg->due;
}

static void engine_test_verdicts(struct engine_test_leg *leg, const struct smtp_client_event *ev)
{
	static const enum engine_test_result results[] = {
		[SMTP_OUTCOME_ACCEPTED] = ENGINE_TEST_ACCEPTED, [SMTP_OUTCOME_DEFERRED] = ENGINE_TEST_TEMPORARY,
		[SMTP_OUTCOME_REFUSED] = ENGINE_TEST_REFUSED,   [SMTP_OUTCOME_RETURNED] = ENGINE_TEST_ACCEPTED,
		[SMTP_OUTCOME_UNKNOWN] = ENGINE_TEST_FAILED,
	};
	size_t i;

	for (i = 0; i < ev->nverdicts; i++) {
		const struct smtp_verdict *v = &ev->verdicts[i];

		engine_test_result(leg, results[v->outcome]);
		if (v->outcome != SMTP_OUTCOME_RETURNED) /* the line about the session speaks for it */
			engine_test_say(leg, "%s at %s for <%s>: %s", flight_outcome_name(v->outcome),
			                smtp_stage_name(v->stage), leg->test->rcpt.address[i],
			                v->reply[0] ? v->reply : "no reply");
	}
}

/* The session failed, or ended without a word on the mail. */
static void engine_test_failed(struct engine_test_leg *leg, const struct smtp_client_event *ev)
{
	struct failure f = failure_of_session(ev, &leg->member->mailer->settings, leg->submitted);
	enum engine_test_result result = ENGINE_TEST_FAILED;

	engine_token_failed(leg->member->mailer, ev);
	engine_test_say(leg, "%s at %s%s%s", mailers_error_text(ev->error), smtp_stage_name(ev->stage),
	                ev->reply[0] ? ": " : "", ev->reply);
	if (f.blame == FAILURE_TLS && leg->tls != SMTP_TLS_NONE && engine_test_again(leg)) {
		leg->tls = SMTP_TLS_NONE;
		engine_test_say(leg, "tls = \"opportunistic\": once more without TLS");
		return;
	}
	if (ev->error == MAILERS_ERR_NOMEM)
		result = ENGINE_TEST_LOCAL;
	else if (ev->stage == SMTP_STAGE_CONNECT)
		result = ENGINE_TEST_UNREACHABLE;
	else if (ev->stage == SMTP_STAGE_STARTTLS || ev->stage == SMTP_STAGE_TLS)
		result = ENGINE_TEST_TLS;
	else if (ev->stage == SMTP_STAGE_AUTH)
		result = ENGINE_TEST_AUTH;
	else if (ev->error == MAILERS_ERR_TEMPORARY)
		result = ENGINE_TEST_TEMPORARY;
	engine_test_result(leg, result);
}

static void engine_test_event(struct engine_test_leg *leg, const struct smtp_client_event *ev, uint64_t now_ms)
{
	switch (ev->type) {
	case SMTP_EVENT_READY:
		break;
	case SMTP_EVENT_TRANSACTION:
		engine_test_verdicts(leg, ev);
		break;
	case SMTP_EVENT_NO_EHLO:
		mailer_refuses_ehlo(leg->member->mailer, now_ms);
		engine_test_say(leg, "the server refuses EHLO, HELO is used");
		break;
	case SMTP_EVENT_FAILED:
		engine_test_failed(leg, ev);
		leg->c->ended = true;
		leg->c->told_ms = now_ms;
		break;
	case SMTP_EVENT_CLOSED:
		if (!leg->submitted && !engine_test_again(leg))
			engine_test_result(leg, ENGINE_TEST_FAILED);
		leg->c->ended = true;
		leg->c->told_ms = now_ms;
		break;
	}
}

static void engine_test_build(const struct engine *e, struct engine_test_leg *leg)
{
	const struct engine_test *t = leg->test;
	const struct mailer_settings *m = &leg->member->mailer->settings;
	char subject[400], body[600], id[400];
	struct message_fields fields = {
		.from = t->from, .to = t->to, .date = t->date, .text = subject, .body = body, .message_id = id,
	};

	snprintf(subject, sizeof(subject), "test mail of haproxy-mailers: proxy %.100s via mailer %.100s",
	         t->proxy->name, leg->member->name);
	snprintf(body, sizeof(body), "This is only a test: somebody asked haproxy-mailers to send it.\n"
	         "Alerts of proxy %.100s can reach you over mailer %.100s (%.100s).", t->proxy->name,
	         leg->member->name, m->address);
	snprintf(id, sizeof(id), "test.%d.%zu.%.40s@%.255s", t->id, (size_t)(leg - t->legs), e->token, m->helo);
	buffer_clear(&leg->message);
	message_build(&fields, &leg->message);
}

static void engine_test_submit(struct engine *e, struct engine_test_leg *leg, uint64_t now_ms)
{
	struct smtp_envelope env = {
		.from = leg->test->senders.address[0], .rcpt = (const char *const *)leg->test->rcpt.address,
		.nrcpt = leg->test->rcpt.n,
	};
	enum mailers_error error;

	leg->submitted = true;
	engine_test_build(e, leg);
	env.message = leg->message.data;
	env.message_len = leg->message.len;
	error = buffer_error(&leg->message);
	if (!error)
		error = smtp_client_submit(leg->c->client, &env, now_ms);
	if (!error)
		return;
	engine_test_result(leg, ENGINE_TEST_LOCAL);
	engine_test_say(leg, "%s", mailers_error_text(error));
}

void engine_test_run(struct engine *e, struct connection *c, uint64_t now_ms)
{
	struct engine_test_leg *leg = c->leg;
	struct smtp_client_event ev;

	engine_test_describe(leg);
	while (smtp_client_next_event(c->client, &ev))
		engine_test_event(leg, &ev, now_ms);
	if (!c->ended && !leg->submitted && smtp_client_accepts(c->client))
		engine_test_submit(e, leg, now_ms);
	if (!c->ended && wire_want(c->wire) == SMTP_CLIENT_WANT_SUBMIT)
		smtp_client_quit(c->client, now_ms);
	if (c->ended && !leg->due)
		engine_test_over(e, leg);
}

/* Takes a test that was ended, and has no connection, out of the list. */
static void engine_test_remove(struct engine *e, struct engine_test *test)
{
	struct engine_test **at = &e->tests;
	size_t i;

	for (i = 0; i < test->nlegs; i++) {
		if (!test->ended || test->legs[i].c)
			return;
	}
	while (*at != test)
		at = &(*at)->next;
	*at = test->next;
	engine_test_free(test);
}

void engine_test_closed(struct engine *e, struct engine_test_leg *leg)
{
	leg->c = NULL;
	engine_test_remove(e, leg->test);
}

void engine_test_end(struct engine *e, int id)
{
	struct engine_test *t = engine_test_find(e, id);
	size_t i;

	if (!t)
		return;
	t->ended = true;
	for (i = 0; i < t->nlegs; i++) {
		t->legs[i].due = false;
		if (t->legs[i].c)
			t->legs[i].c->expired = true;
	}
	engine_test_remove(e, t);
}
