/*
 * smtp_transaction - the mails of a session: which reply is awaited, and what it means for each recipient.
 *
 *   [RSET] MAIL RCPT... DATA message
 *   [RSET] MAIL RCPT... message         with CHUNKING: the message's reply is BDAT's
 *
 * Writing and reading run apart: <writes> is the next command (smtp_pipeline.c), <awaits> the next reply, <due>
 * what lies between. With PIPELINING DATA may have been written when all recipients turn out to be refused:
 * RFC 2920 section 3.1 has a 354 answered with a dot alone then, and the replies are nobody's verdict; nor is
 * the reply to a BDAT that was for nobody.
 *
 * Invariants: <due> of all transactions together is the session's due.n, until some are given back; a
 * transaction leaves <transactions> with a verdict for each recipient.
 *
 * Called by smtp_session.c with replies and by smtp_client.c.
 */
#include <stdlib.h>
#include <string.h>

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
	[SMTP_STEP_RCPT]    = { SMTP_STAGE_RCPT, TO(DATA) | TO(MESSAGE) | TO(DONE),
	                        smtp_transaction_rcpt_reply },
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

enum mailers_error smtp_transaction_new(const struct smtp_client *c, const struct smtp_envelope *env,
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
	t->chunked = c->extensions & SMTP_EXTENSION_CHUNKING;
	t->awaits = smtp_pipeline_resets(c) ? SMTP_STEP_RSET : SMTP_STEP_MAIL;
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

static bool smtp_transaction_next_is_uncertain(const struct smtp_client *c, const struct smtp_transaction *t)
{
	const struct list *next = t->link.next;

	return next != &c->transactions && LIST_ENTRY(next, struct smtp_transaction, link)->uncertain;
}

/* All its replies are there: moves on to the next transaction, or to what the session does without one. */
static void smtp_transaction_finish(struct smtp_client *c, struct smtp_transaction *t, uint64_t now_ms)
{
	if (c->abandoned && !smtp_transaction_next_is_uncertain(c, t)) {
		smtp_session_close(c, NULL);
		return;
	}
	smtp_transaction_set(c, t, SMTP_STEP_DONE);
	c->rset_due = t->open;
	/* Only when the session is leaving is there a recipient without a verdict. */
	smtp_transaction_return(c, t, &c->end);
	c->refused += !t->ntaken;
	if (!c->extended || c->refused >= SMTP_SESSION_REFUSED_MAX)
		c->quitting = true; /* one mail with HELO: see smtp_client.h */
	if (smtp_transaction_head(c))
		smtp_pipeline_advance(c, now_ms);
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

/* MAIL was refused. What this says of the session ends it; else it is the verdict. */
static void smtp_transaction_mail_refused(struct smtp_client *c, struct smtp_transaction *t,
                                          const struct smtp_reply *reply)
{
	if (c->accepted && (reply->code == 452 || reply->code == 503))
		smtp_session_leave(c, MAILERS_OK, reply); /* enough mails for one connection */
	else if (reply->code / 100 == 3 || reply->code == 503)
		smtp_session_fail(c, MAILERS_ERR_PROTOCOL, reply);
	else if (smtp_transaction_is_security(reply))
		smtp_session_leave(c, MAILERS_ERR_PERMANENT, reply);
	else
		smtp_transaction_decide(t, SMTP_RCPT_OPEN, smtp_verdict_outcome(reply), reply);
	t->refused = true;
	t->writes = SMTP_STEP_DONE;
}

static void smtp_transaction_mail_reply(struct smtp_client *c, struct smtp_transaction *t,
                                        const struct smtp_reply *reply)
{
	if (reply->code / 100 == 2)
		t->open = true;
	else
		smtp_transaction_mail_refused(c, t, reply);
	if (c->state == SMTP_SESSION_READY)
		smtp_transaction_set(c, t, SMTP_STEP_RCPT);
}

/* What a reply says of the recipient that it is for. */
static void smtp_transaction_rcpt_verdict(struct smtp_client *c, struct smtp_transaction *t,
                                          const struct smtp_reply *reply)
{
	size_t i = t->nanswered;
	enum smtp_outcome outcome;

	if (reply->code / 100 == 2) {
		t->open = true; /* after a refused MAIL too: there are servers that go on with the envelope before */
		t->ntaken += !t->refused;
		if (!t->refused)
			t->rcpt[i] = SMTP_RCPT_TAKEN;
	} else if (!t->refused && reply->code == 503) {
		smtp_session_leave(c, MAILERS_ERR_PROTOCOL, reply);
	} else if (!t->refused) {
		/* 552 is how older servers say "too many recipients" (RFC 5321 section 4.5.3.1.10). */
		outcome = reply->code == 552 ? SMTP_OUTCOME_DEFERRED : smtp_verdict_outcome(reply);
		smtp_verdict_set(&t->verdicts[i], outcome, SMTP_STAGE_RCPT, reply);
		t->rcpt[i] = SMTP_RCPT_DECIDED;
	}
}

static void smtp_transaction_rcpt_reply(struct smtp_client *c, struct smtp_transaction *t,
                                        const struct smtp_reply *reply)
{
	enum smtp_step body = t->chunked ? SMTP_STEP_MESSAGE : SMTP_STEP_DATA;

	if (reply->code / 100 == 3)
		smtp_session_fail(c, MAILERS_ERR_PROTOCOL, reply);
	else
		smtp_transaction_rcpt_verdict(c, t, reply);
	if (c->state != SMTP_SESSION_READY || ++t->nanswered < t->env.nrcpt)
		return;
	if (!t->ntaken && t->writes == body)
		t->writes = SMTP_STEP_DONE;
	smtp_transaction_set(c, t, body);
}

/* 354: the body, or the dot alone when nobody is to get it. */
static void smtp_transaction_go(struct smtp_client *c, struct smtp_transaction *t)
{
	enum mailers_error error;

	smtp_transaction_set(c, t, SMTP_STEP_MESSAGE);
	error = smtp_output_message(c, t->env.message, t->ntaken ? t->env.message_len : 0);
	if (error) {
		smtp_session_fail(c, error, NULL);
		return;
	}
	t->due++;
	t->dot_end = c->acked + c->out.len;
	t->writes = SMTP_STEP_DONE;
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
		if (t->refused && t->open)
			smtp_session_fail(c, MAILERS_ERR_PROTOCOL, reply);
		else
			smtp_transaction_go(c, t);
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

/* A body was accepted though MAIL was refused: it goes to somebody, in somebody's name. */
static void smtp_transaction_mixed(struct smtp_client *c, struct smtp_transaction *t,
                                   const struct smtp_reply *reply)
{
	size_t i;

	for (i = 0; i < t->env.nrcpt; i++) {
		smtp_verdict_set(&t->verdicts[i], SMTP_OUTCOME_UNKNOWN, SMTP_STAGE_MESSAGE, reply);
		t->rcpt[i] = SMTP_RCPT_DECIDED;
	}
	smtp_session_leave(c, MAILERS_ERR_PROTOCOL, reply);
}

static void smtp_transaction_message_verdict(struct smtp_client *c, struct smtp_transaction *t,
                                             const struct smtp_reply *reply)
{
	if (reply->code / 100 == 2)
		c->accepted++;
	smtp_transaction_decide(t, SMTP_RCPT_TAKEN, smtp_verdict_outcome(reply), reply);
}

static void smtp_transaction_message_reply(struct smtp_client *c, struct smtp_transaction *t,
                                           const struct smtp_reply *reply)
{
	if (c->unsolicited)
		c->abandoned = true; /* refused before its end: the server would read the rest as commands */
	if (reply->code / 100 == 3 && (t->ntaken || t->chunked)) {
		smtp_session_fail(c, MAILERS_ERR_PROTOCOL, reply);
		return;
	}
	t->uncertain = false;
	/* After a failed BDAT the state of the server is "indeterminate" (RFC 3030 section 2). */
	if (t->chunked)
		t->open = reply->code >= 400;
	else if (t->ntaken)
		t->open = false;
	if (t->chunked && t->refused && reply->code / 100 == 2)
		smtp_transaction_mixed(c, t, reply);
	else if (t->ntaken && reply->code == 503)
		smtp_session_leave(c, MAILERS_ERR_PROTOCOL, reply);
	else if (t->ntaken)
		smtp_transaction_message_verdict(c, t, reply);
	/* else it is the reply to a dot alone, or to a chunk for nobody */
}

bool smtp_transaction_cut(const struct smtp_client *c, const struct smtp_reply *reply)
{
	const struct smtp_transaction *head = smtp_transaction_head(c);

	return head && head->awaits == SMTP_STEP_MESSAGE && (head->ntaken || head->chunked) && reply->code >= 400;
}

/* 421: the server closes, and what was not answered before it is surely not accepted. */
static void smtp_transaction_closing(struct smtp_client *c, const struct smtp_reply *reply)
{
	struct list *l;

	for (l = c->transactions.next; l != &c->transactions; l = l->next)
		LIST_ENTRY(l, struct smtp_transaction, link)->uncertain = false;
	smtp_session_limit(c, reply);
}

void smtp_transaction_reply(struct smtp_client *c, const struct smtp_reply *reply, uint64_t now_ms)
{
	struct smtp_transaction *t = smtp_transaction_head(c);
	enum mailers_error error;

	if (reply->code == 421) {
		smtp_transaction_closing(c, reply);
		return;
	}
	t->due--;
	smtp_transaction_rules[t->awaits].reply(c, t, reply);
	if (c->state != SMTP_SESSION_READY)
		return;
	if (!t->due && t->writes == SMTP_STEP_DONE)
		smtp_transaction_finish(c, t, now_ms);
	if (c->abandoned)
		return;
	error = smtp_pipeline_pump(c);
	if (error)
		smtp_session_fail(c, error, NULL);
}
