/*
 * failure - whose fault it is, in one place.
 *
 * What the server said to one mail is that alert's (smtp_client sorts it out; RFC 5321 sections 4.2 and
 * 4.3.2):
 *
 *   reply                                    outcome    the alert                            counted as a try
 *   2xx to the message                       ACCEPTED   done                                 -
 *   4xx to MAIL, RCPT, DATA, message         DEFERRED   its lane waits, then again           yes
 *   552 to RCPT (too many recipients)        DEFERRED   the same                             yes
 *   5xx to them, but 5.7.x to MAIL           REFUSED    done, logged with the reply          -
 *   none: the session ended before           RETURNED   again, at once; see below            no
 *   none to the final dot                    UNKNOWN    its lane waits, then again over the  yes
 *                                                       same mailer: SMTP cannot tell (RFC
 *                                                       5321 4.5.3.2.6), and a duplicate is
 *                                                       better than a loss
 *   503 to anything                          RETURNED   a sequence error is no verdict
 *
 * Everything else that fails is the session's. It is the mailer's fault then, and its alerts are kept,
 * whatever the code was; the mailer pauses, and is down after several (mailer.h):
 *
 *   where the session failed                 whose               a mail is charged a try
 *   connect, greeting, EHLO, HELO            the mailer's        no: none was said
 *   STARTTLS, TLS before it is established   the mailer's; with opportunistic TLS nobody's: once more
 *                                            without TLS         no
 *   AUTH                                     the mailer's        no
 *   MAIL (5.7.x; 530, 534, 535, 538 without  the mailer's        the oldest on the way
 *   an enhanced code; 503; garbage; closed)
 *   RCPT, DATA, message, TLS in between      the mailer's        the oldest on the way
 *   idle                                     the mailer's        no
 *   anywhere, for want of memory here        nobody's: a pause   no
 *
 * The charge is there because a mail may be what breaks each session that it is in. It waits then like a
 * deferred one, and the others go on; those behind it on the way are not charged.
 */
#include "engine_internal.h"

static const struct failure_stage {
	enum failure_blame blame;
	bool said; /* a mail was said: the oldest is charged */
} failure_stages[] = {
	[SMTP_STAGE_CONNECT]  = { FAILURE_MAILER, false },
	[SMTP_STAGE_GREETING] = { FAILURE_MAILER, false },
	[SMTP_STAGE_EHLO]     = { FAILURE_MAILER, false },
	[SMTP_STAGE_HELO]     = { FAILURE_MAILER, false },
	[SMTP_STAGE_STARTTLS] = { FAILURE_TLS, false },
	[SMTP_STAGE_TLS]      = { FAILURE_TLS, true },
	[SMTP_STAGE_AUTH]     = { FAILURE_MAILER, false },
	[SMTP_STAGE_MAIL]     = { FAILURE_MAILER, true },
	[SMTP_STAGE_RCPT]     = { FAILURE_MAILER, true },
	[SMTP_STAGE_DATA]     = { FAILURE_MAILER, true },
	[SMTP_STAGE_MESSAGE]  = { FAILURE_MAILER, true },
	[SMTP_STAGE_IDLE]     = { FAILURE_MAILER, false },
	[SMTP_STAGE_QUIT]     = { FAILURE_MAILER, false },
};

static const enum queue_outcome failure_outcomes[] = {
	[SMTP_OUTCOME_ACCEPTED] = QUEUE_DONE,
	[SMTP_OUTCOME_DEFERRED] = QUEUE_DEFERRED,
	[SMTP_OUTCOME_REFUSED]  = QUEUE_DONE,
	[SMTP_OUTCOME_RETURNED] = QUEUE_RETRY,
	[SMTP_OUTCOME_UNKNOWN]  = QUEUE_DEFERRED,
};

/* May a session do without TLS? Not when it would say credentials in plain text that are not to be said so.
 */
static bool failure_spares_tls(const struct mailer_settings *s)
{
	return s->tls == SMTP_TLS_OPPORTUNISTIC && (!s->credentials || s->auth_without_tls);
}

struct failure failure_of_session(const struct smtp_client_event *ev, const struct mailer_settings *settings,
                                  bool established)
{
	const struct failure_stage *row = &failure_stages[ev->stage];
	struct failure f = { .blame = row->blame, .charges = row->said && established };

	if (ev->error == MAILERS_ERR_NOMEM)
		return (struct failure){ .blame = FAILURE_NOBODY };
	if (f.blame == FAILURE_TLS && (established || !failure_spares_tls(settings)))
		f.blame = FAILURE_MAILER;
	return f;
}

enum queue_outcome failure_of_recipient(enum smtp_outcome outcome)
{
	return failure_outcomes[outcome];
}
