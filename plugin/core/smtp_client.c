/*
 * smtp_client - see smtp_client.h. The calls of the host: bytes in and out, submission, events, deadlines.
 * What a reply means is decided in smtp_session.c and smtp_transaction.c.
 *
 * Invariants: after SMTP_SESSION_OVER no byte is produced and no state changes, only events are taken; each
 * submitted transaction is in <transactions>, <answered> or <taken> until it is freed; no event needs an
 * allocation, so a session without memory can still say how each mail stands.
 */
#include <stdlib.h>
#include <string.h>

#include "smtp_client_internal.h"

_Static_assert(SMTP_SESSION_WINDOW * SMTP_REPLY_MIN + 1 <= SMTP_CLIENT_NEED_MAX, "need fits");

static const char *const smtp_stage_names[] = {
	[SMTP_STAGE_CONNECT]  = "connect",
	[SMTP_STAGE_GREETING] = "greeting",
	[SMTP_STAGE_EHLO]     = "EHLO",
	[SMTP_STAGE_HELO]     = "HELO",
	[SMTP_STAGE_MAIL]     = "MAIL",
	[SMTP_STAGE_RCPT]     = "RCPT",
	[SMTP_STAGE_DATA]     = "DATA",
	[SMTP_STAGE_MESSAGE]  = "message",
	[SMTP_STAGE_IDLE]     = "idle",
	[SMTP_STAGE_QUIT]     = "QUIT",
	[SMTP_STAGE_STARTTLS] = "STARTTLS",
	[SMTP_STAGE_TLS]      = "TLS",
	[SMTP_STAGE_AUTH]     = "AUTH",
};

const char *smtp_stage_name(enum smtp_client_stage stage)
{
	if ((size_t)stage >= sizeof(smtp_stage_names) / sizeof(*smtp_stage_names))
		return "unknown";
	return smtp_stage_names[stage];
}

/* The length of a name that EHLO can carry, 0 for any other. */
static size_t smtp_helo_check(const char *helo)
{
	size_t len = strlen(helo), i;

	if (len > SMTP_CLIENT_HELO_MAX)
		return 0;
	for (i = 0; i < len; i++) {
		if ((unsigned char)helo[i] <= ' ' || helo[i] == 0x7f)
			return 0;
	}
	return len;
}

struct smtp_client *smtp_client_new(const struct smtp_client_settings *settings, uint64_t now_ms)
{
	size_t len = smtp_helo_check(settings->helo);
	struct smtp_client *c = len ? calloc(1, sizeof(*c) + len + 1) : NULL;

	if (!c)
		return NULL;
	c->timeout_mail_ms = settings->timeout_mail_ms;
	c->timeout_final_ms = settings->timeout_final_ms;
	c->timeout_quit_ms = settings->timeout_quit_ms;
	c->helo_only = settings->helo_only;
	c->tls = settings->tls;
	c->credentials = settings->credentials;
	c->crypto = settings->crypto;
	c->mechanisms = settings->mechanisms;
	c->auth_without_tls = settings->auth_without_tls;
	c->without = settings->without;
	c->dialogue = settings->dialogue;
	c->start_ms = now_ms;
	c->out.limit = SMTP_SESSION_OUTPUT_MAX;
	smtp_reply_parser_init(&c->parser);
	list_init(&c->transactions);
	list_init(&c->answered);
	memcpy(c->helo, settings->helo, len + 1);
	return c;
}

static void smtp_client_free_list(struct list *head)
{
	while (!list_empty(head))
		smtp_transaction_free(LIST_ENTRY(head->next, struct smtp_transaction, link));
}

void smtp_client_free(struct smtp_client *c)
{
	if (!c)
		return;
	smtp_client_free_list(&c->transactions);
	smtp_client_free_list(&c->answered);
	smtp_transaction_free(c->taken);
	smtp_output_free(c);
	smtp_auth_end(c);
	free(c);
}

void smtp_client_connected(struct smtp_client *c, uint64_t now_ms)
{
	(void)now_ms; /* connecting is a part of the first mail's time */
	smtp_session_connected(c);
}

void smtp_client_secured(struct smtp_client *c, uint64_t now_ms)
{
	(void)now_ms;
	smtp_session_secured(c);
}

void smtp_client_unsecured(struct smtp_client *c, enum mailers_error error, const char *why, uint64_t now_ms)
{
	char text[256];

	(void)now_ms;
	smtp_reply_print_text(why, strlen(why), text, sizeof(text));
	smtp_session_fail_text(c, error, SMTP_STAGE_TLS, "%s", text);
}

/* Reads no more once QUIT is answered: what a server says after its last word is not for us. */
static bool smtp_client_reads(const struct smtp_client *c)
{
	return c->state != SMTP_SESSION_CLOSING && c->state != SMTP_SESSION_OVER;
}

/* Bytes of <data> up to the end of a line. */
static size_t smtp_client_line(const char *data, size_t len)
{
	const char *end = memchr(data, '\n', len);

	return end ? (size_t)(end - data) + 1 : len;
}

/* Reads what belongs to one line; returns how much that was. */
static size_t smtp_client_read(struct smtp_client *c, const char *data, size_t len, uint64_t now_ms)
{
	struct smtp_reply_parser *p = &c->parser;
	size_t took;

	if (c->state == SMTP_SESSION_TLS) {
		smtp_session_injected(c);
		return len;
	}
	if (!smtp_reply_parser_begun(p))
		c->unsolicited = !smtp_output_awaits(c);
	took = smtp_reply_parser_feed(p, data, smtp_client_line(data, len));
	if (p->error)
		smtp_output_heard(c, p->reply.len);
	else if (data[took - 1] == '\n')
		smtp_output_heard(c, p->ended_len);
	if (p->error || p->complete)
		smtp_auth_mask_reply(c, &p->reply);
	if (p->error)
		smtp_session_garbage(c, &p->reply);
	else if (p->complete)
		smtp_session_reply(c, &p->reply, now_ms);
	return took;
}

enum mailers_error smtp_client_feed(struct smtp_client *c, const char *data, size_t len, uint64_t now_ms)
{
	bool was_over = c->state == SMTP_SESSION_OVER;
	size_t took;

	if (c->state == SMTP_SESSION_CONNECT)
		return MAILERS_ERR_STATE;
	for (; len && smtp_client_reads(c); data += took, len -= took)
		took = smtp_client_read(c, data, len, now_ms);
	/* What came counts even if it came late; what is still missing then is late for good. */
	smtp_client_tick(c, now_ms);
	return was_over || c->state != SMTP_SESSION_OVER ? MAILERS_OK : c->end.error;
}

void smtp_client_eof(struct smtp_client *c, uint64_t now_ms)
{
	(void)now_ms;
	smtp_session_eof(c);
}

size_t smtp_client_peek(const struct smtp_client *c, const char **data)
{
	*data = c->out.data;
	return c->state == SMTP_SESSION_OVER ? 0 : c->out.len;
}

void smtp_client_ack(struct smtp_client *c, size_t n, uint64_t now_ms)
{
	smtp_output_ack(c, n);
	smtp_pipeline_acked(c, now_ms);
}

enum smtp_client_want smtp_client_want(const struct smtp_client *c)
{
	if (c->state == SMTP_SESSION_OVER)
		return SMTP_CLIENT_WANT_CLOSE;
	if (c->out.len)
		return SMTP_CLIENT_WANT_WRITE;
	if (c->state == SMTP_SESSION_TLS)
		return SMTP_CLIENT_WANT_TLS;
	if (c->state == SMTP_SESSION_READY && !smtp_transaction_head(c))
		return SMTP_CLIENT_WANT_SUBMIT;
	return SMTP_CLIENT_WANT_READ;
}

size_t smtp_client_need(const struct smtp_client *c)
{
	const struct smtp_transaction *head = smtp_transaction_head(c);
	size_t replies = head ? head->due : c->due.n;

	if (!replies || !smtp_client_reads(c))
		return 1;
	return (replies - 1) * SMTP_REPLY_MIN + smtp_reply_parser_need(&c->parser);
}

bool smtp_client_accepts(const struct smtp_client *c)
{
	return c->state == SMTP_SESSION_READY && !c->quitting && !c->abandoned && smtp_pipeline_admits(c);
}

enum mailers_error smtp_client_submit(struct smtp_client *c, const struct smtp_envelope *env, uint64_t now_ms)
{
	struct smtp_output_mark mark;
	struct smtp_transaction *t;
	enum mailers_error error;

	if (!smtp_client_accepts(c))
		return MAILERS_ERR_STATE;
	error = smtp_transaction_new(c, env, &t);
	if (error)
		return error;
	smtp_output_mark(c, &mark);
	t->deadline_ms = smtp_pipeline_deadline(c, now_ms);
	list_append(&c->transactions, &t->link);
	error = smtp_pipeline_pump(c);
	if (error) { /* as if nothing had been written */
		smtp_output_back(c, &mark);
		smtp_transaction_free(t);
		return error;
	}
	c->spent_ms = 0;
	c->rset_due = false;
	return MAILERS_OK;
}

void smtp_client_quit(struct smtp_client *c, uint64_t now_ms)
{
	c->quitting = true;
	if (c->state == SMTP_SESSION_CONNECT)
		smtp_session_close(c, NULL);
	else if (c->state == SMTP_SESSION_READY && !smtp_transaction_head(c))
		smtp_session_quit(c, now_ms);
}

static void smtp_client_take_note(struct smtp_session_note *note, struct smtp_client_event *event)
{
	note->pending = false;
	event->type = note->type;
	event->error = note->error;
	event->stage = note->stage;
	event->code = note->code;
	event->credentials_refused = note->credentials_refused;
	event->reply = note->reply;
}

static void smtp_client_take_transaction(struct smtp_client *c, struct smtp_client_event *event)
{
	c->taken = LIST_ENTRY(c->answered.next, struct smtp_transaction, link);
	list_remove(&c->taken->link);
	event->type = SMTP_EVENT_TRANSACTION;
	event->cookie = c->taken->env.cookie;
	event->nverdicts = c->taken->env.nrcpt;
	event->verdicts = c->taken->verdicts;
}

bool smtp_client_next_event(struct smtp_client *c, struct smtp_client_event *event)
{
	*event = (struct smtp_client_event){ .reply = "" };
	smtp_transaction_free(c->taken);
	c->taken = NULL;
	if (c->no_ehlo.pending) {
		smtp_client_take_note(&c->no_ehlo, event);
	} else if (c->ready_pending) {
		c->ready_pending = false;
		event->type = SMTP_EVENT_READY;
	} else if (!list_empty(&c->answered)) {
		smtp_client_take_transaction(c, event);
	} else if (c->end.pending) {
		smtp_client_take_note(&c->end, event);
	} else {
		return false;
	}
	return true;
}

uint64_t smtp_client_deadline(const struct smtp_client *c)
{
	uint64_t deadline = UINT64_MAX;
	const struct list *l;

	switch (c->state) {
	case SMTP_SESSION_READY:
		for (l = c->transactions.next; l != &c->transactions; l = l->next) {
			const struct smtp_transaction *t = LIST_ENTRY(l, struct smtp_transaction, link);

			if (t->deadline_ms < deadline)
				deadline = t->deadline_ms;
		}
		return deadline;
	case SMTP_SESSION_QUIT:
	case SMTP_SESSION_CLOSING:
		return c->quit_ms + c->timeout_quit_ms;
	case SMTP_SESSION_OVER:
		return UINT64_MAX;
	default:
		return c->start_ms + c->timeout_mail_ms;
	}
}

void smtp_client_tick(struct smtp_client *c, uint64_t now_ms)
{
	const struct smtp_transaction *head = smtp_transaction_head(c);

	if (now_ms < smtp_client_deadline(c))
		return;
	if (head && now_ms < head->deadline_ms)
		smtp_pipeline_give_back(c);
	else
		smtp_session_fail(c, MAILERS_ERR_TIMEOUT, NULL);
}

enum smtp_client_stage smtp_client_stage(const struct smtp_client *c)
{
	return smtp_session_stage(c);
}

unsigned smtp_client_accepted(const struct smtp_client *c)
{
	return c->accepted;
}
