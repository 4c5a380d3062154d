/*
 * smtp_pipeline - what of the mails in flight is written when: commands in groups (RFC 2920), bodies, how much
 * may be on its way, and which mails can still be taken back.
 *
 *   lockstep      each command waits for its reply
 *   PIPELINING    MAIL RCPT... DATA in one group; the next envelope goes with the body of the mail before
 *   CHUNKING      the body follows the envelope as one BDAT, in the place of DATA
 *   both          [RSET] MAIL RCPT... BDAT of several mails stand behind each other
 *
 * With both, a mail is out of our hands before the server said a word about it. So the first mail of a
 * connection, or one that follows nothing but refusals, sends its body when its recipients were answered: a
 * server that is mute, or bad at BDAT, then leaves no mail of which nobody knows. And each envelope behind an
 * unanswered mail begins with an RSET: what is left of the one before, if the server refused a part of it,
 * must not be joined with the next (Exim 4.96 answers a MAIL behind such a one with 503, and then takes the
 * recipients and the BDAT that follow it, under the sender before).
 *
 * Invariants: only the last in flight has something left to write; those whose bodies have gone
 * (<uncertain>) stand before all others.
 *
 * Called by smtp_client.c and smtp_transaction.c.
 */
#include "smtp_client_internal.h"

/* [RSET] MAIL RCPT BDAT: the replies of the smallest mail behind another. */
#define SMTP_PIPELINE_REPLIES 4

/* The mails that smtp_pipeline_admits() lets stand behind each other: the oldest owes one reply or more. */
_Static_assert(SMTP_CLIENT_WINDOW_MAILS == (SMTP_SESSION_WINDOW - 1) / SMTP_PIPELINE_REPLIES + 1, "mails fit");

static bool smtp_pipeline_groups(const struct smtp_client *c)
{
	return c->extensions & SMTP_EXTENSION_PIPELINING;
}

static size_t smtp_pipeline_window(const struct smtp_client *c)
{
	return smtp_pipeline_groups(c) ? SMTP_SESSION_WINDOW : 1;
}

static struct smtp_transaction *smtp_pipeline_tail(const struct smtp_client *c)
{
	return LIST_ENTRY(c->transactions.prev, struct smtp_transaction, link);
}

bool smtp_pipeline_admits(const struct smtp_client *c)
{
	const struct smtp_transaction *head = smtp_transaction_head(c), *tail = smtp_pipeline_tail(c);

	if (!head)
		return true;
	if (!smtp_pipeline_groups(c))
		return false;
	if (tail->chunked)
		return tail->dot_end && c->due.n + SMTP_PIPELINE_REPLIES <= SMTP_SESSION_WINDOW;
	/* Not behind a dot alone: what the server makes of it is seen first. */
	return head == tail && head->awaits == SMTP_STEP_MESSAGE && head->ntaken;
}

bool smtp_pipeline_resets(const struct smtp_client *c)
{
	return c->rset_due || (smtp_transaction_head(c) && (c->extensions & SMTP_EXTENSION_CHUNKING));
}

/* May the body of <t> follow its envelope as BDAT now? */
static bool smtp_pipeline_may_chunk(const struct smtp_client *c, const struct smtp_transaction *t)
{
	const struct list *l;
	size_t bytes = 0;

	for (l = c->transactions.next; l != &t->link; l = l->next)
		bytes += LIST_ENTRY(l, struct smtp_transaction, link)->env.message_len;
	if (bytes && bytes + t->env.message_len > SMTP_CLIENT_WINDOW_BYTES)
		return false;
	if (smtp_pipeline_groups(c) && c->accepted)
		return true;
	return t->nanswered == t->env.nrcpt && t->ntaken;
}

static bool smtp_pipeline_may_write(const struct smtp_client *c, const struct smtp_transaction *t)
{
	if (c->due.n >= smtp_pipeline_window(c))
		return false;
	if (t->writes == SMTP_STEP_MESSAGE)
		return t->chunked && smtp_pipeline_may_chunk(c, t);
	return t->writes < SMTP_STEP_MESSAGE;
}

static enum mailers_error smtp_pipeline_chunk(struct smtp_client *c, struct smtp_transaction *t)
{
	enum mailers_error error = smtp_output_chunk(c, t->env.message, t->env.message_len);

	t->dot_end = c->acked + c->out.len;
	t->writes = SMTP_STEP_DONE;
	return error;
}

/* Writes what comes next of <t>. */
static enum mailers_error smtp_pipeline_write(struct smtp_client *c, struct smtp_transaction *t)
{
	bool body = t->eightbit && (c->extensions & SMTP_EXTENSION_8BITMIME);
	const char *rcpt;

	switch (t->writes) {
	case SMTP_STEP_RSET:
		t->writes = SMTP_STEP_MAIL;
		return smtp_output_command(c, "RSET");
	case SMTP_STEP_MAIL:
		t->writes = SMTP_STEP_RCPT;
		return smtp_output_command(c, "MAIL FROM:<%s>%s", t->env.from, body ? " BODY=8BITMIME" : "");
	case SMTP_STEP_RCPT:
		rcpt = t->env.rcpt[t->nwritten++];
		if (t->nwritten == t->env.nrcpt)
			t->writes = t->chunked ? SMTP_STEP_MESSAGE : SMTP_STEP_DATA;
		return smtp_output_command(c, "RCPT TO:<%s>", rcpt);
	case SMTP_STEP_DATA:
		t->writes = SMTP_STEP_MESSAGE;
		return smtp_output_command(c, "DATA");
	default:
		return smtp_pipeline_chunk(c, t);
	}
}

/* Was it stopped by the window, amid its envelope? */
static bool smtp_pipeline_resumes(const struct smtp_transaction *t)
{
	return t->writes == SMTP_STEP_DATA || (t->writes == SMTP_STEP_RCPT && t->nwritten);
}

enum mailers_error smtp_pipeline_pump(struct smtp_client *c)
{
	struct smtp_transaction *t = smtp_pipeline_tail(c);
	enum mailers_error error;

	if (!smtp_transaction_head(c))
		return MAILERS_OK;
	/* Not one by one as replies come in: a group is worth a write. */
	if (smtp_pipeline_resumes(t) && c->due.n > smtp_pipeline_window(c) / 2)
		return MAILERS_OK;
	while (smtp_pipeline_may_write(c, t)) {
		error = smtp_pipeline_write(c, t);
		if (error)
			return error;
		t->due++;
	}
	return MAILERS_OK;
}

uint64_t smtp_pipeline_deadline(const struct smtp_client *c, uint64_t now_ms)
{
	uint64_t left = c->timeout_mail_ms;

	if (smtp_transaction_head(c))
		return smtp_pipeline_tail(c)->uncertain ? now_ms + left : UINT64_MAX;
	return now_ms + (c->spent_ms < left ? left - c->spent_ms : 0);
}

void smtp_pipeline_acked(struct smtp_client *c, uint64_t now_ms)
{
	bool moved = false;
	struct list *l;

	for (l = c->transactions.next; l != &c->transactions; l = l->next) {
		struct smtp_transaction *t = LIST_ENTRY(l, struct smtp_transaction, link);

		if (t->uncertain)
			continue;
		if (t->dot_end && c->acked >= t->dot_end) {
			t->uncertain = true;
			t->deadline_ms = t == smtp_transaction_head(c) ? now_ms + c->timeout_final_ms : UINT64_MAX;
			moved = true;
		} else if (moved) {
			t->deadline_ms = now_ms + c->timeout_mail_ms;
		}
	}
}

void smtp_pipeline_advance(struct smtp_client *c, uint64_t now_ms)
{
	struct smtp_transaction *head = smtp_transaction_head(c);
	struct list *l;

	head->deadline_ms = now_ms + (head->uncertain ? c->timeout_final_ms : c->timeout_mail_ms);
	for (l = head->link.next; l != &c->transactions; l = l->next) {
		struct smtp_transaction *t = LIST_ENTRY(l, struct smtp_transaction, link);

		if (t->deadline_ms != UINT64_MAX)
			t->deadline_ms = now_ms + c->timeout_mail_ms;
	}
}

bool smtp_pipeline_is_uncertain(const struct smtp_client *c)
{
	const struct list *l;

	for (l = c->transactions.next; l != &c->transactions; l = l->next) {
		if (LIST_ENTRY(l, struct smtp_transaction, link)->uncertain)
			return true;
	}
	return false;
}

void smtp_pipeline_give_back(struct smtp_client *c)
{
	const struct smtp_session_note note = { .stage = SMTP_STAGE_MAIL };
	struct list *last = c->transactions.next;

	while (last->next != &c->transactions && LIST_ENTRY(last->next, struct smtp_transaction, link)->uncertain)
		last = last->next;
	/* What is left of them in the output must not go: it may be a body. */
	if (last->next != &c->transactions)
		smtp_output_cut(c, LIST_ENTRY(last, struct smtp_transaction, link)->dot_end);
	while (last->next != &c->transactions)
		smtp_transaction_return(c, LIST_ENTRY(last->next, struct smtp_transaction, link), &note);
	c->abandoned = true;
}
