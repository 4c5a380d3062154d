/*
 * smtp_session - the state of one connection: who speaks, what may be said, and how it ends.
 *
 *   CONNECT - GREETING - EHLO - [AUTH] - READY - QUIT - CLOSING - OVER
 *        \    /       \  / | \           /
 *         TLS ------ STARTTLS HELO ----           (and from each of them to OVER)
 *
 * Invariants: <state> changes in smtp_session_set() alone; a session ends in smtp_session_end() alone, which
 * answers every transaction in flight. What was said before TLS is forgotten with it (RFC 3207 section 4.2).
 *
 * Called by smtp_client.c with the server's replies, and by smtp_transaction.c when a reply to a mail's
 * commands turns out to be the session's matter.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "smtp_client_internal.h"

#define TO(state) (1u << SMTP_SESSION_##state)

typedef void smtp_session_reply_fn(struct smtp_client *c, const struct smtp_reply *reply, uint64_t now_ms);

static void smtp_session_end(struct smtp_client *c, enum smtp_client_event_type type,
                             enum mailers_error error, const struct smtp_reply *reply);
static smtp_session_reply_fn smtp_session_greeting_reply, smtp_session_ehlo_reply, smtp_session_helo_reply;
static smtp_session_reply_fn smtp_session_ready_reply, smtp_session_quit_reply, smtp_session_starttls_reply;

static const struct smtp_session_rule {
	const char *name;
	enum smtp_client_stage stage;
	unsigned next;                /* the states that may follow */
	smtp_session_reply_fn *reply; /* NULL: no reply is read */
} smtp_session_rules[] = {
	[SMTP_SESSION_CONNECT]  = { "connect", SMTP_STAGE_CONNECT, TO(GREETING) | TO(TLS) | TO(OVER), NULL },
	[SMTP_SESSION_GREETING] = { "greeting", SMTP_STAGE_GREETING, TO(EHLO) | TO(HELO) | TO(OVER),
	                            smtp_session_greeting_reply },
	[SMTP_SESSION_EHLO]     = { "EHLO", SMTP_STAGE_EHLO,
	                            TO(HELO) | TO(STARTTLS) | TO(AUTH) | TO(READY) | TO(OVER),
	                            smtp_session_ehlo_reply },
	[SMTP_SESSION_HELO]     = { "HELO", SMTP_STAGE_HELO, TO(READY) | TO(OVER), smtp_session_helo_reply },
	[SMTP_SESSION_STARTTLS] = { "STARTTLS", SMTP_STAGE_STARTTLS, TO(TLS) | TO(OVER),
	                            smtp_session_starttls_reply },
	[SMTP_SESSION_TLS]      = { "TLS", SMTP_STAGE_TLS, TO(GREETING) | TO(EHLO) | TO(OVER), NULL },
	[SMTP_SESSION_AUTH]     = { "AUTH", SMTP_STAGE_AUTH, TO(READY) | TO(OVER), smtp_auth_reply },
	[SMTP_SESSION_READY]    = { "ready", SMTP_STAGE_IDLE, TO(QUIT) | TO(OVER), smtp_session_ready_reply },
	[SMTP_SESSION_QUIT]     = { "QUIT", SMTP_STAGE_QUIT, TO(CLOSING) | TO(OVER), smtp_session_quit_reply },
	[SMTP_SESSION_CLOSING]  = { "closing", SMTP_STAGE_QUIT, TO(OVER), NULL },
	[SMTP_SESSION_OVER]     = { "over", SMTP_STAGE_QUIT, 0, NULL },
};

static const struct smtp_extension {
	const char *keyword;
	unsigned bit;
} smtp_extensions[] = {
	{ "PIPELINING", SMTP_EXTENSION_PIPELINING },
	{ "8BITMIME", SMTP_EXTENSION_8BITMIME },
	{ "CHUNKING", SMTP_EXTENSION_CHUNKING },
	{ "STARTTLS", SMTP_EXTENSION_STARTTLS },
};

enum smtp_client_stage smtp_session_stage(const struct smtp_client *c)
{
	const struct smtp_transaction *head = smtp_transaction_head(c);

	if (c->state == SMTP_SESSION_OVER)
		return c->end.stage;
	if (c->state == SMTP_SESSION_READY && head)
		return smtp_transaction_stage(head);
	return smtp_session_rules[c->state].stage;
}

/* Writes down what happens at this stage; each note is written once. */
static void smtp_session_note(struct smtp_client *c, struct smtp_session_note *note,
                              enum smtp_client_event_type type, enum mailers_error error,
                              const struct smtp_reply *reply)
{
	note->type = type;
	note->error = error;
	note->stage = smtp_session_stage(c);
	note->code = reply ? reply->code : 0;
	if (reply)
		smtp_reply_print(reply, note->reply, sizeof(note->reply));
}

/* The one setter of the state. A step that is not in the table is a bug of this module: the session ends. */
static void smtp_session_set(struct smtp_client *c, enum smtp_session_state state)
{
	if (smtp_session_rules[c->state].next & (1u << state)) {
		c->state = state;
		return;
	}
	smtp_session_end(c, SMTP_EVENT_FAILED, MAILERS_ERR_INTERNAL, NULL);
	snprintf(c->end.reply, sizeof(c->end.reply), "no step to %s", smtp_session_rules[state].name);
}

static void smtp_session_end(struct smtp_client *c, enum smtp_client_event_type type,
                             enum mailers_error error, const struct smtp_reply *reply)
{
	if (c->state == SMTP_SESSION_OVER)
		return;
	if (!c->leaving)
		smtp_session_note(c, &c->end, type, error, reply);
	c->end.pending = true;
	if (smtp_reply_parser_begun(&c->parser) && c->parser.line_len)
		smtp_output_heard(c, c->parser.line_len);
	while (smtp_transaction_head(c))
		smtp_transaction_return(c, smtp_transaction_head(c), &c->end);
	smtp_session_set(c, SMTP_SESSION_OVER);
	smtp_output_free(c);
	smtp_auth_end(c);
}

void smtp_session_close(struct smtp_client *c, const struct smtp_reply *reply)
{
	smtp_session_end(c, SMTP_EVENT_CLOSED, MAILERS_OK, reply);
}

void smtp_session_fail(struct smtp_client *c, enum mailers_error error, const struct smtp_reply *reply)
{
	/* All mails have their verdicts: how the rest of the session goes is nobody's trouble. */
	if (c->state == SMTP_SESSION_QUIT || c->state == SMTP_SESSION_CLOSING)
		smtp_session_close(c, reply);
	else
		smtp_session_end(c, SMTP_EVENT_FAILED, error, reply);
}

static void smtp_session_decide_va(struct smtp_client *c, enum mailers_error error, enum smtp_client_stage stage,
                                   const char *format, va_list ap)
{
	if (c->leaving || c->state == SMTP_SESSION_OVER)
		return;
	smtp_session_note(c, &c->end, SMTP_EVENT_FAILED, error, NULL);
	c->end.stage = stage;
	vsnprintf(c->end.reply, sizeof(c->end.reply), format, ap);
	c->leaving = true;
}

void smtp_session_decide(struct smtp_client *c, enum mailers_error error, enum smtp_client_stage stage,
                         const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	smtp_session_decide_va(c, error, stage, format, ap);
	va_end(ap);
}

void smtp_session_fail_text(struct smtp_client *c, enum mailers_error error, enum smtp_client_stage stage,
                            const char *format, ...)
{
	va_list ap;

	if (c->state != SMTP_SESSION_QUIT && c->state != SMTP_SESSION_CLOSING) {
		va_start(ap, format);
		smtp_session_decide_va(c, error, stage, format, ap);
		va_end(ap);
	}
	smtp_session_fail(c, error, NULL);
}

void smtp_session_leave(struct smtp_client *c, enum mailers_error error, const struct smtp_reply *reply)
{
	enum smtp_client_event_type type = error ? SMTP_EVENT_FAILED : SMTP_EVENT_CLOSED;

	if (c->leaving)
		return;
	if (!smtp_pipeline_is_uncertain(c)) {
		smtp_session_end(c, type, error, reply);
		return;
	}
	smtp_session_note(c, &c->end, type, error, reply);
	c->leaving = true;
	smtp_pipeline_give_back(c);
}

static enum mailers_error smtp_session_error(const struct smtp_reply *reply)
{
	switch (reply->code / 100) {
	case 4:
		return MAILERS_ERR_TEMPORARY;
	case 5:
		return MAILERS_ERR_PERMANENT;
	default:
		return MAILERS_ERR_PROTOCOL;
	}
}

/* Fails with a reply that is not what the session needs. */
static void smtp_session_refused(struct smtp_client *c, const struct smtp_reply *reply)
{
	smtp_session_fail(c, smtp_session_error(reply), reply);
}

void smtp_session_refused_credentials(struct smtp_client *c, const struct smtp_reply *reply, bool credentials,
                                      const char *announced)
{
	char text[256];

	smtp_reply_print(reply, text, sizeof(text));
	smtp_session_decide(c, smtp_session_error(reply), SMTP_STAGE_AUTH, "%s%s%s", text,
	                    announced[0] ? "; " : "", announced);
	c->end.code = reply->code;
	c->end.credentials_refused = credentials;
	smtp_session_refused(c, reply);
}

void smtp_session_limit(struct smtp_client *c, const struct smtp_reply *reply)
{
	if (c->accepted)
		smtp_session_close(c, reply);
	else
		smtp_session_refused(c, reply);
}

/* What was just written, or why it could not be. */
static void smtp_session_written(struct smtp_client *c, enum mailers_error error)
{
	if (error)
		smtp_session_fail(c, error, NULL);
}

static void smtp_session_await_greeting(struct smtp_client *c)
{
	smtp_session_set(c, SMTP_SESSION_GREETING);
	smtp_session_written(c, smtp_output_greeting(c));
}

void smtp_session_connected(struct smtp_client *c)
{
	if (c->state != SMTP_SESSION_CONNECT)
		return;
	if (c->tls == SMTP_TLS_IMPLICIT)
		smtp_session_set(c, SMTP_SESSION_TLS);
	else
		smtp_session_await_greeting(c);
}

static void smtp_session_ehlo(struct smtp_client *c)
{
	smtp_session_set(c, SMTP_SESSION_EHLO);
	smtp_session_written(c, smtp_output_command(c, "EHLO %s", c->helo));
}

static void smtp_session_helo(struct smtp_client *c)
{
	smtp_session_set(c, SMTP_SESSION_HELO);
	smtp_session_written(c, smtp_output_command(c, "HELO %s", c->helo));
}

static void smtp_session_starttls(struct smtp_client *c)
{
	smtp_session_set(c, SMTP_SESSION_STARTTLS);
	smtp_session_written(c, smtp_output_command(c, "STARTTLS"));
}

/* Was TLS begun within the session? */
static bool smtp_session_upgraded(const struct smtp_client *c)
{
	return c->secure && c->tls != SMTP_TLS_IMPLICIT;
}

void smtp_session_secured(struct smtp_client *c)
{
	if (c->state != SMTP_SESSION_TLS)
		return;
	c->secure = true;
	c->extended = false;
	c->extensions = 0;
	smtp_reply_parser_init(&c->parser);
	if (smtp_session_upgraded(c))
		smtp_session_ehlo(c);
	else
		smtp_session_await_greeting(c);
}

void smtp_session_injected(struct smtp_client *c)
{
	smtp_session_fail_text(c, MAILERS_ERR_PROTOCOL,
	                       c->tls == SMTP_TLS_IMPLICIT ? SMTP_STAGE_TLS : SMTP_STAGE_STARTTLS,
	                       "plain text before the TLS handshake");
}

void smtp_session_quit(struct smtp_client *c, uint64_t now_ms)
{
	smtp_session_set(c, SMTP_SESSION_QUIT);
	c->quit_ms = now_ms;
	smtp_session_written(c, smtp_output_command(c, "QUIT"));
}

void smtp_session_ready(struct smtp_client *c, uint64_t now_ms)
{
	smtp_session_set(c, SMTP_SESSION_READY);
	c->spent_ms = now_ms - c->start_ms;
	if (c->quitting)
		smtp_session_quit(c, now_ms);
	else
		c->ready_pending = true;
}

static bool smtp_session_is_word(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* Does <text> hold <word>, in any case, not as a part of a longer word? */
static bool smtp_session_has_word(const char *text, const char *word)
{
	size_t len = strlen(word);
	const char *s;

	for (s = text; *s; s++) {
		if (!strncasecmp(s, word, len) && (s == text || !smtp_session_is_word(s[-1])) &&
		    !smtp_session_is_word(s[len]))
			return true;
	}
	return false;
}

/* Is a session without EHLO of no use? */
static bool smtp_session_needs_ehlo(const struct smtp_client *c)
{
	return c->tls == SMTP_TLS_REQUIRED || c->credentials;
}

static bool smtp_session_says_ehlo(const struct smtp_client *c, const struct smtp_reply *greeting)
{
	if (smtp_session_needs_ehlo(c))
		return true;
	return !c->helo_only && (c->tls != SMTP_TLS_NONE || smtp_session_has_word(greeting->text, "ESMTP"));
}

static void smtp_session_greeting_reply(struct smtp_client *c, const struct smtp_reply *reply, uint64_t now_ms)
{
	(void)now_ms;
	if (reply->code / 100 != 2)
		smtp_session_refused(c, reply);
	else if (smtp_session_says_ehlo(c, reply))
		smtp_session_ehlo(c);
	else
		smtp_session_helo(c);
}

/* Finds the extensions in the lines after the first, which is the server's name (RFC 5321 section 4.1.1.1). */
static unsigned smtp_session_read_extensions(const struct smtp_client *c, const char *text)
{
	const size_t count = sizeof(smtp_extensions) / sizeof(*smtp_extensions);
	unsigned found = 0;
	const char *line;
	size_t i, len;

	for (line = strchr(text, '\n'); line; line = strchr(line, '\n')) {
		line++;
		len = strcspn(line, " \n");
		for (i = 0; i < count; i++) {
			if (len == strlen(smtp_extensions[i].keyword) &&
			    !strncasecmp(line, smtp_extensions[i].keyword, len))
				found |= smtp_extensions[i].bit;
		}
	}
	if (c->without & SMTP_CLIENT_NO_PIPELINING)
		found &= ~SMTP_EXTENSION_PIPELINING;
	if (c->without & SMTP_CLIENT_NO_CHUNKING)
		found &= ~SMTP_EXTENSION_CHUNKING;
	return found;
}

/* EHLO was accepted: TLS, AUTH, or the first mail. */
static void smtp_session_extended(struct smtp_client *c, const struct smtp_reply *reply, uint64_t now_ms)
{
	bool asks = !c->secure && (c->tls == SMTP_TLS_OPPORTUNISTIC || c->tls == SMTP_TLS_REQUIRED);

	c->extended = true;
	c->extensions = smtp_session_read_extensions(c, reply->text);
	if (asks && (c->extensions & SMTP_EXTENSION_STARTTLS)) {
		smtp_session_starttls(c);
	} else if (asks && c->tls == SMTP_TLS_REQUIRED) {
		smtp_session_fail_text(c, MAILERS_ERR_PROTOCOL, SMTP_STAGE_STARTTLS, "STARTTLS is not offered");
	} else if (c->credentials) {
		smtp_session_set(c, SMTP_SESSION_AUTH);
		smtp_auth_begin(c, reply->text);
	} else {
		smtp_session_ready(c, now_ms);
	}
}

/* EHLO was refused, and HELO will not do. */
static void smtp_session_lacks_ehlo(struct smtp_client *c, const struct smtp_reply *reply)
{
	bool tls = c->tls == SMTP_TLS_REQUIRED;
	char text[200];

	smtp_reply_print(reply, text, sizeof(text));
	if (smtp_session_upgraded(c))
		smtp_session_refused(c, reply);
	else
		smtp_session_fail_text(c, MAILERS_ERR_PROTOCOL, tls ? SMTP_STAGE_STARTTLS : SMTP_STAGE_AUTH,
		                       "%s is not offered, EHLO was refused: %s", tls ? "STARTTLS" : "AUTH", text);
}

static void smtp_session_ehlo_reply(struct smtp_client *c, const struct smtp_reply *reply, uint64_t now_ms)
{
	switch (reply->code / 100) {
	case 2:
		smtp_session_extended(c, reply, now_ms);
		break;
	case 5:
		if (smtp_session_needs_ehlo(c)) {
			smtp_session_lacks_ehlo(c, reply);
			break;
		}
		smtp_session_note(c, &c->no_ehlo, SMTP_EVENT_NO_EHLO, MAILERS_OK, reply);
		smtp_session_helo(c);
		break;
	default:
		smtp_session_refused(c, reply);
		break;
	}
}

static void smtp_session_starttls_reply(struct smtp_client *c, const struct smtp_reply *reply, uint64_t now_ms)
{
	(void)now_ms;
	if (reply->code == 220)
		smtp_session_set(c, SMTP_SESSION_TLS);
	else
		smtp_session_refused(c, reply);
}

/* Was EHLO refused on this connection? What is said of it within TLS is not to be remembered: without EHLO the next
 * session would be plain.
 */
static bool smtp_session_fell_back(const struct smtp_client *c)
{
	return c->no_ehlo.code != 0 && !smtp_session_upgraded(c);
}

/* That EHLO was refused is told when HELO fares better, or the connection is lost over it. A server that
 * refuses HELO too refuses us: to remember that as a dislike of EHLO would leave it with HELO for ever.
 */
static void smtp_session_helo_reply(struct smtp_client *c, const struct smtp_reply *reply, uint64_t now_ms)
{
	if (reply->code / 100 == 2) {
		c->no_ehlo.pending = smtp_session_fell_back(c);
		smtp_session_ready(c, now_ms);
	} else if (reply->code == 421 && smtp_session_fell_back(c)) {
		c->no_ehlo.pending = true;
		smtp_session_close(c, reply);
	} else {
		smtp_session_refused(c, reply);
	}
}

static void smtp_session_ready_reply(struct smtp_client *c, const struct smtp_reply *reply, uint64_t now_ms)
{
	if (smtp_transaction_head(c))
		smtp_transaction_reply(c, reply, now_ms);
	else
		smtp_session_limit(c, reply); /* idle, where nothing but 421 gets through */
}

static void smtp_session_quit_reply(struct smtp_client *c, const struct smtp_reply *reply, uint64_t now_ms)
{
	(void)reply;
	(void)now_ms;
	smtp_session_set(c, SMTP_SESSION_CLOSING);
}

void smtp_session_reply(struct smtp_client *c, const struct smtp_reply *reply, uint64_t now_ms)
{
	/* 421 may come at any time (RFC 5321 section 3.8). */
	if (c->unsolicited && reply->code != 421 && !smtp_transaction_cut(c, reply)) {
		smtp_session_fail(c, MAILERS_ERR_PROTOCOL, reply);
		return;
	}
	smtp_output_answered(c);
	smtp_session_rules[c->state].reply(c, reply, now_ms);
}

/* Is the connection between two mails, the first of which was accepted? Some servers say that they have
 * taken enough by closing here, or with something that is no reply.
 */
static bool smtp_session_between_mails(const struct smtp_client *c)
{
	const struct smtp_transaction *head = smtp_transaction_head(c);

	return c->state == SMTP_SESSION_READY && c->accepted && (!head || smtp_transaction_starts(head));
}

void smtp_session_garbage(struct smtp_client *c, const struct smtp_reply *line)
{
	if (!c->unsolicited && smtp_session_between_mails(c))
		smtp_session_close(c, line);
	else
		smtp_session_fail(c, MAILERS_ERR_PROTOCOL, line);
}

void smtp_session_eof(struct smtp_client *c)
{
	bool silent = smtp_output_awaits(c) && !smtp_reply_parser_begun(&c->parser);
	bool guess = silent && !smtp_session_needs_ehlo(c) && !smtp_session_upgraded(c);

	if (c->state == SMTP_SESSION_EHLO && guess) {
		smtp_session_note(c, &c->no_ehlo, SMTP_EVENT_NO_EHLO, MAILERS_OK, NULL);
		c->no_ehlo.pending = true;
		smtp_session_close(c, NULL);
	} else if (c->state == SMTP_SESSION_HELO && smtp_session_fell_back(c)) {
		c->no_ehlo.pending = true;
		smtp_session_close(c, NULL);
	} else if (smtp_session_between_mails(c)) {
		smtp_session_close(c, NULL);
	} else {
		smtp_session_fail(c, MAILERS_ERR_CLOSED, NULL);
	}
}
