/*
 * smtp_transaction - the mails of a session: which command is written next, which reply is awaited, and what
 * it means for each recipient.
 *
 *   [RSET] MAIL RCPT... DATA message
 *
 * Writing and reading run apart: <writes> is the next command, <awaits> the next reply, <due> what lies
 * between. Without PIPELINING the window is one reply, and the same code speaks in lockstep. With it DATA
 * may have been written when all recipients turn out to be refused: RFC 2920 section 3.1 has a 354 answered
 * with a dot alone then, and the replies are nobody's verdict.
 *
 * Invariants: <due> of all transactions together is the session's due.n, until some are given back; only the
 * last in flight has commands left to write, and only the first is beyond DATA; a transaction leaves
 * <transactions> with a verdict for each recipient.
 *
 * Called by smtp_session.c with replies and by smtp_client.c. CHUNKING will put BDAT in the place of DATA,
 * and then more than two can be in flight.
 */
#include <stdlib.h>
#include <string.h>

#include <mailers/message.h>

#include "smtp_client_internal.h"

#define TO(step) (1u << SMTP_STEP_##step)

typedef void smtp_transaction_reply_fn(struct smtp_client *c, struct smtp_transaction *t,
                                       const struct smtp_reply *reply);

static smtp_transaction_reply_fn smtp_transaction_rset_reply, smtp_transaction_mail_reply;
static smtp_transaction_reply_fn smtp_transaction_rcpt_reply, smtp_transaction_data_reply;
static smtp_transaction_reply_fn smtp_transaction_message_reply;

static const struct smtp_transaction_rule {
	enum smtp_client_stage stage;
	unsigned next;                    /* the steps that may follow */
	smtp_transaction_reply_fn *reply;
} smtp_transaction_rules[] = {
	[SMTP_STEP_RSET]    = { SMTP_STAGE_MAIL, TO(MAIL) | TO(DONE), smtp_transaction_rset_reply },
	[SMTP_STEP_MAIL]    = { SMTP_STAGE_MAIL, TO(RCPT) | TO(DONE), smtp_transaction_mail_reply },
	[SMTP_STEP_RCPT]    = { SMTP_STAGE_RCPT, TO(DATA) | TO(DONE), smtp_transaction_rcpt_reply },
	[SMTP_STEP_DATA]    = { SMTP_STAGE_DATA, TO(MESSAGE) | TO(DONE), smtp_transaction_data_reply },
	[SMTP_STEP_MESSAGE] = { SMTP_STAGE_MESSAGE, TO(DONE), smtp_transaction_message_reply },
	[SMTP_STEP_DONE]    = { SMTP_STAGE_IDLE, 0, NULL },
};

/* Codes that say at MAIL what 5.7.x says, from servers without enhanced codes (RFC 4954 section 6). */
static const unsigned smtp_security_codes[] = { 530, 534, 535, 538 };

struct smtp_transaction *smtp_transaction_head(const struct smtp_client *c)
{
	return list_empty(&c->transactions) ? NULL : LIST_ENTRY(c->transactions.next, struct smtp_transaction, link);
}

enum smtp_client_stage smtp_transaction_stage(const struct smtp_transaction *t)
{
	return smtp_transaction_rules[t->awaits].stage;
}

bool smtp_transaction_starts(const struct smtp_transaction *t)
{
	return t->awaits <= SMTP_STEP_MAIL;
}

/* The one setter of the awaited step. */
static void smtp_transaction_set(struct smtp_client *c, struct smtp_transaction *t, enum smtp_step step)
{
	if (smtp_transaction_rules[t->awaits].next & (1u << step))
		t->awaits = step;
	else
		smtp_session_fail(c, MAILERS_ERR_INTERNAL, NULL);
}

/* --- making one --- */

static bool smtp_path_is_control(char c)
{
	return (unsigned char)c < ' ' || c == 0x7f;
}

/* Can <path> stand between < and >? Whether it is an address is not looked at: HAProxy's configurations hold
 * bare local parts too.
 */
static enum mailers_error smtp_path_check(const char *path)
{
	bool quoted = false;
	const char *s;

	for (s = path; *s; s++) {
		if (smtp_path_is_control(*s))
			return MAILERS_ERR_SYNTAX;
		if (quoted && *s == '\\') {
			if (smtp_path_is_control(*++s))
				return MAILERS_ERR_SYNTAX;
		} else if (*s == '"') {
			quoted = !quoted;
		} else if (!quoted && (*s == '<' || *s == '>' || *s == ' ')) {
			return MAILERS_ERR_SYNTAX;
		}
	}
	if (quoted)
		return MAILERS_ERR_SYNTAX;
	return (size_t)(s - path) > SMTP_CLIENT_PATH_MAX ? MAILERS_ERR_BOUND : MAILERS_OK;
}

/* Are its lines such that no server can see the message's end too early? */
static enum mailers_error smtp_message_check(const char *message, size_t len, bool *eightbit)
{
	size_t i, stuffed = 0;

	if (len < 2 || message[len - 2] != '\r' || message[len - 1] != '\n')
		return MAILERS_ERR_SYNTAX;
	if (len > SMTP_CLIENT_MESSAGE_MAX)
		return MAILERS_ERR_BOUND;
	*eightbit = false;
	for (i = 0; i < len; i++) {
		if (message[i] == '\r') {
			if (message[++i] != '\n') /* the last byte is no CR */
				return MAILERS_ERR_SYNTAX;
		} else if (message[i] == '\n' || message[i] == '\0') {
			return MAILERS_ERR_SYNTAX;
		} else if (message[i] == '.' && (!i || message[i - 1] == '\n')) {
			stuffed++;
		} else if ((unsigned char)message[i] > 127) {
			*eightbit = true;
		}
	}
	return stuffed > SMTP_CLIENT_MESSAGE_MAX - len ? MAILERS_ERR_BOUND : MAILERS_OK;
}

static enum mailers_error smtp_envelope_check(const struct smtp_envelope *env, bool *eightbit)
{
	enum mailers_error error;
	size_t i;

	if (!env->nrcpt)
		return MAILERS_ERR_SYNTAX;
	if (env->nrcpt > SMTP_CLIENT_RCPT_MAX)
		return MAILERS_ERR_BOUND;
	error = smtp_path_check(env->from);
	for (i = 0; i < env->nrcpt && !error; i++)
		error = env->rcpt[i][0] ? smtp_path_check(env->rcpt[i]) : MAILERS_ERR_SYNTAX;
	return error ? error : smtp_message_check(env->message, env->message_len, eightbit);
}

enum mailers_error smtp_transaction_new(const struct smtp_envelope *env, bool rset,
                                        struct smtp_transaction **out)
{
	enum mailers_error error;
	struct smtp_transaction *t;
	bool eightbit;

	error = smtp_envelope_check(env, &eightbit);
	if (error)
		return error;
	t = calloc(1, sizeof(*t) + env->nrcpt * sizeof(*t->verdicts));
	if (!t)
		return MAILERS_ERR_NOMEM;
	list_init(&t->link);
	t->env = *env;
	t->eightbit = eightbit;
	t->awaits = rset ? SMTP_STEP_RSET : SMTP_STEP_MAIL;
	t->writes = t->awaits;
	*out = t;
	return MAILERS_OK;
}

void smtp_transaction_free(struct smtp_transaction *t)
{
	if (!t)
		return;
	list_remove(&t->link);
	free(t);
}

/* --- writing --- */

/* Writes the next command of <t>. */
static void smtp_transaction_put(struct smtp_client *c, struct smtp_transaction *t)
{
	bool body = t->eightbit && (c->extensions & SMTP_EXTENSION_8BITMIME);

	switch (t->writes) {
	case SMTP_STEP_RSET:
		buffer_puts(&c->out, "RSET\r\n");
		t->writes = SMTP_STEP_MAIL;
		break;
	case SMTP_STEP_MAIL:
		buffer_printf(&c->out, "MAIL FROM:<%s>%s\r\n", t->env.from, body ? " BODY=8BITMIME" : "");
		t->writes = SMTP_STEP_RCPT;
		break;
	case SMTP_STEP_RCPT:
		buffer_printf(&c->out, "RCPT TO:<%s>\r\n", t->env.rcpt[t->nwritten++]);
		if (t->nwritten == t->env.nrcpt)
			t->writes = SMTP_STEP_DATA;
		break;
	default:
		buffer_puts(&c->out, "DATA\r\n");
		t->writes = SMTP_STEP_MESSAGE;
		break;
	}
}

enum mailers_error smtp_transaction_pump(struct smtp_client *c)
{
	size_t window = c->extensions & SMTP_EXTENSION_PIPELINING ? SMTP_SESSION_WINDOW : 1;
	enum mailers_error error;
	struct list *l;

	/* Not one by one as replies come in: a group is worth a write. */
	if (c->due.n > window / 2)
		return MAILERS_OK;
	for (l = c->transactions.next; l != &c->transactions; l = l->next) {
		struct smtp_transaction *t = LIST_ENTRY(l, struct smtp_transaction, link);

		while (t->writes < SMTP_STEP_MESSAGE) {
			if (c->due.n == window)
				return MAILERS_OK;
			smtp_transaction_put(c, t);
			error = smtp_session_expect(c);
			if (error)
				return error;
			t->due++;
		}
	}
	return MAILERS_OK;
}

/* Writes the body, or the dot alone when nobody is to get it. */
static void smtp_transaction_put_message(struct smtp_client *c, struct smtp_transaction *t)
{
	enum mailers_error error;

	if (t->ntaken)
		message_dot_stuff(t->env.message, t->env.message_len, &c->out);
	buffer_puts(&c->out, ".\r\n");
	error = smtp_session_expect(c);
	if (error) {
		smtp_session_fail(c, error, NULL);
		return;
	}
	t->due++;
	t->dot_end = c->acked + c->out.len;
	t->writes = SMTP_STEP_DONE;
}

/* --- verdicts --- */

static void smtp_verdict_set(struct smtp_verdict *v, enum smtp_outcome outcome,
                             enum smtp_client_stage stage, const struct smtp_reply *reply)
{
	v->outcome = outcome;
	v->stage = stage;
	v->code = reply->code;
	smtp_reply_print(reply, v->reply, sizeof(v->reply));
}

/* <reply>, at the step that is awaited, is the verdict on all recipients that stand at <from>. */
static void smtp_transaction_decide(struct smtp_transaction *t, enum smtp_rcpt from,
                                    enum smtp_outcome outcome, const struct smtp_reply *reply)
{
	size_t i;

	for (i = 0; i < t->env.nrcpt; i++) {
		if (t->rcpt[i] != from)
			continue;
		smtp_verdict_set(&t->verdicts[i], outcome, smtp_transaction_stage(t), reply);
		t->rcpt[i] = SMTP_RCPT_DECIDED;
	}
}

/* What a final reply (2xx, 4xx or 5xx) makes of a recipient. */
static enum smtp_outcome smtp_verdict_outcome(const struct smtp_reply *reply)
{
	switch (reply->code / 100) {
	case 2:
		return SMTP_OUTCOME_ACCEPTED;
	case 4:
		return SMTP_OUTCOME_DEFERRED;
	default:
		return SMTP_OUTCOME_REFUSED;
	}
}

void smtp_transaction_return(struct smtp_client *c, struct smtp_transaction *t,
                             const struct smtp_session_note *end)
{
	size_t i;

	for (i = 0; i < t->env.nrcpt; i++) {
		struct smtp_verdict *v = &t->verdicts[i];

		if (t->rcpt[i] == SMTP_RCPT_DECIDED)
			continue;
		v->outcome = t->uncertain ? SMTP_OUTCOME_UNKNOWN : SMTP_OUTCOME_RETURNED;
		v->stage = end->stage;
		v->code = end->code;
		memcpy(v->reply, end->reply, sizeof(v->reply));
		t->rcpt[i] = SMTP_RCPT_DECIDED;
	}
	list_remove(&t->link);
	list_append(&c->answered, &t->link);
}

void smtp_transaction_give_back(struct smtp_client *c)
{
	const struct smtp_session_note note = { .stage = SMTP_STAGE_MAIL };
	struct list *first = c->transactions.next;

	while (first->next != &c->transactions)
		smtp_transaction_return(c, LIST_ENTRY(first->next, struct smtp_transaction, link), &note);
	c->abandoned = true;
}

/* All replies are there: moves on to the next transaction, or to what the session does without one. */
static void smtp_transaction_finish(struct smtp_client *c, struct smtp_transaction *t, uint64_t now_ms)
{
	struct smtp_transaction *next;

	if (c->abandoned) {
		smtp_session_close(c, NULL);
		return;
	}
	smtp_transaction_set(c, t, SMTP_STEP_DONE);
	c->rset_due = t->open;
	list_remove(&t->link);
	list_append(&c->answered, &t->link);
	if (!c->extended)
		c->quitting = true; /* one mail with HELO: see smtp_client.h */
	next = smtp_transaction_head(c);
	if (next)
		next->deadline_ms = now_ms + c->timeout_mail_ms;
	else if (c->quitting)
		smtp_session_quit(c, now_ms);
}

/* --- reading --- */

static void smtp_transaction_rset_reply(struct smtp_client *c, struct smtp_transaction *t,
                                        const struct smtp_reply *reply)
{
	/* Whether it helped shows at MAIL. */
	if (reply->code / 100 == 3)
		smtp_session_fail(c, MAILERS_ERR_PROTOCOL, reply);
	else
		smtp_transaction_set(c, t, SMTP_STEP_MAIL);
}

/* Does a refused MAIL mean us, not this mail (RFC 3463 section 3.8)? */
static bool smtp_transaction_is_security(const struct smtp_reply *reply)
{
	size_t i;

	for (i = 0; i < sizeof(smtp_security_codes) / sizeof(*smtp_security_codes); i++) {
		if (reply->code == smtp_security_codes[i])
			return true;
	}
	return reply->enhanced[0] == 5 && reply->enhanced[1] == 7;
}

static void smtp_transaction_mail_reply(struct smtp_client *c, struct smtp_transaction *t,
                                        const struct smtp_reply *reply)
{
	if (c->accepted && (reply->code == 452 || reply->code == 503)) {
		smtp_session_close(c, reply); /* enough mails for one connection */
	} else if (reply->code / 100 == 3 || reply->code == 503) {
		smtp_session_fail(c, MAILERS_ERR_PROTOCOL, reply);
	} else if (smtp_transaction_is_security(reply)) {
		smtp_session_fail(c, MAILERS_ERR_PERMANENT, reply);
	} else {
		if (reply->code / 100 == 2) {
			t->open = true;
		} else {
			smtp_transaction_decide(t, SMTP_RCPT_OPEN, smtp_verdict_outcome(reply), reply);
			t->refused = true;
			t->writes = SMTP_STEP_DONE;
		}
		smtp_transaction_set(c, t, SMTP_STEP_RCPT);
	}
}

static void smtp_transaction_rcpt_reply(struct smtp_client *c, struct smtp_transaction *t,
                                        const struct smtp_reply *reply)
{
	size_t i = t->nanswered;
	enum smtp_outcome outcome;

	if (reply->code / 100 == 3 || (reply->code == 503 && !t->refused)) {
		smtp_session_fail(c, MAILERS_ERR_PROTOCOL, reply);
		return;
	}
	if (reply->code / 100 == 2) {
		t->open = true; /* after a refused MAIL too: there are servers that go on with the envelope before */
		t->ntaken += !t->refused;
		if (!t->refused)
			t->rcpt[i] = SMTP_RCPT_TAKEN;
	} else if (!t->refused) {
		/* 552 is how older servers say "too many recipients" (RFC 5321 section 4.5.3.1.10). */
		outcome = reply->code == 552 ? SMTP_OUTCOME_DEFERRED : smtp_verdict_outcome(reply);
		smtp_verdict_set(&t->verdicts[i], outcome, SMTP_STAGE_RCPT, reply);
		t->rcpt[i] = SMTP_RCPT_DECIDED;
	}
	if (++t->nanswered < t->env.nrcpt)
		return;
	if (!t->ntaken && t->writes == SMTP_STEP_DATA)
		t->writes = SMTP_STEP_DONE;
	smtp_transaction_set(c, t, SMTP_STEP_DATA);
}

static void smtp_transaction_data_reply(struct smtp_client *c, struct smtp_transaction *t,
                                        const struct smtp_reply *reply)
{
	switch (reply->code / 100) {
	case 2:
		smtp_session_fail(c, MAILERS_ERR_PROTOCOL, reply);
		return;
	case 3:
		/* A dot alone is right when nobody was accepted. But a server that refuses MAIL, and then takes
		 * recipients and DATA, would mail it to somebody.
		 */
		if (t->refused && t->open) {
			smtp_session_fail(c, MAILERS_ERR_PROTOCOL, reply);
			return;
		}
		smtp_transaction_set(c, t, SMTP_STEP_MESSAGE);
		smtp_transaction_put_message(c, t);
		return;
	default:
		if (t->ntaken && reply->code == 503)
			smtp_session_fail(c, MAILERS_ERR_PROTOCOL, reply);
		else
			smtp_transaction_decide(t, SMTP_RCPT_TAKEN, smtp_verdict_outcome(reply), reply);
		t->writes = SMTP_STEP_DONE;
		return;
	}
}

static void smtp_transaction_message_reply(struct smtp_client *c, struct smtp_transaction *t,
                                           const struct smtp_reply *reply)
{
	if (!t->ntaken)
		return; /* the reply to a dot alone */
	if (reply->code >= 400)
		t->uncertain = false;
	if (reply->code / 100 == 3 || reply->code == 503) {
		smtp_session_fail(c, MAILERS_ERR_PROTOCOL, reply);
		return;
	}
	if (reply->code / 100 == 2)
		c->accepted++;
	smtp_transaction_decide(t, SMTP_RCPT_TAKEN, smtp_verdict_outcome(reply), reply);
	t->open = false;
	if (c->unsolicited)
		c->abandoned = true; /* refused before its end: the server would read the rest as commands */
}

bool smtp_transaction_cut(const struct smtp_client *c, const struct smtp_reply *reply)
{
	const struct smtp_transaction *head = smtp_transaction_head(c);

	return head && head->awaits == SMTP_STEP_MESSAGE && head->ntaken && reply->code >= 400;
}

void smtp_transaction_reply(struct smtp_client *c, const struct smtp_reply *reply, uint64_t now_ms)
{
	struct smtp_transaction *t = smtp_transaction_head(c);
	enum mailers_error error;

	if (reply->code == 421) {
		if (t->awaits == SMTP_STEP_MESSAGE)
			t->uncertain = false;
		smtp_session_limit(c, reply);
		return;
	}
	t->due--;
	smtp_transaction_rules[t->awaits].reply(c, t, reply);
	if (c->state != SMTP_SESSION_READY)
		return;
	if (!t->due && t->writes == SMTP_STEP_DONE)
		smtp_transaction_finish(c, t, now_ms);
	error = smtp_transaction_pump(c);
	if (error)
		smtp_session_fail(c, error, NULL);
}

bool smtp_transaction_admits(const struct smtp_client *c, const struct smtp_transaction *t)
{
	/* Not behind a dot alone: what the server makes of it is seen first. */
	return (c->extensions & SMTP_EXTENSION_PIPELINING) && t->awaits == SMTP_STEP_MESSAGE && t->ntaken &&
	       t->link.next == &c->transactions;
}

void smtp_transaction_acked(struct smtp_client *c, uint64_t now_ms)
{
	struct smtp_transaction *t = smtp_transaction_head(c);
	struct list *l;

	if (!t || t->uncertain || !t->dot_end || c->acked < t->dot_end)
		return;
	t->uncertain = true;
	t->deadline_ms = now_ms + c->timeout_final_ms;
	for (l = t->link.next; l != &c->transactions; l = l->next)
		LIST_ENTRY(l, struct smtp_transaction, link)->deadline_ms = now_ms + c->timeout_mail_ms;
}
