/*
 * smtp_client_internal - what the files of smtp_client share.
 *
 *   smtp_client.c       the public calls: bytes, events, deadlines
 *   smtp_session.c      the connection's state: greeting, EHLO, HELO, ready, QUIT, and how it ends
 *   smtp_auth.c         ... and AUTH, between EHLO and ready
 *   smtp_transaction.c  the mails within the ready state: replies and verdicts
 *   smtp_pipeline.c     ... and what of them is written when
 *   smtp_envelope.c     ... and which may be submitted
 *   smtp_output.c       commands and bodies on their way out, the replies due for them, the dialogue
 *
 * Nothing else includes this.
 */
#ifndef CORE_SMTP_CLIENT_INTERNAL_H
#define CORE_SMTP_CLIENT_INTERNAL_H

#include <mailers/buffer.h>
#include <mailers/smtp_client.h>

#include "list.h"

/* Most replies due at a time with PIPELINING. A host that cannot read while it sends (RFC 2920 section 3.1),
 * or whose reads stall when the server is more than 16,384 bytes ahead (HAProxy up to 3.2), must not be
 * overrun: 16 replies of the RFC's longest lines, 512 bytes, are half of that.
 */
#define SMTP_SESSION_WINDOW 16

/* Longest command, CRLF included (RFC 5321 section 4.5.3.1.4): "MAIL FROM:<path> BODY=8BITMIME" and
 * "EHLO helo" stay well below it.
 */
#define SMTP_SESSION_COMMAND_MAX 512

/* What may stand in the output at a time: one body, or several small ones, and commands whose replies are due. */
#define SMTP_SESSION_OUTPUT_MAX (SMTP_CLIENT_MESSAGE_MAX + SMTP_SESSION_WINDOW * SMTP_SESSION_COMMAND_MAX)

/* Mails without any accepted recipient after which a session says QUIT. Each of them makes for an RSET that begins no
 * message, and Exim cuts a connection at the eleventh of those (smtp_accept_max_nonmail), accepted mails between
 * them or not; then what became of the bodies on their way is not known. As many as may be in flight when
 * this limit is reached fit below that one.
 */
#define SMTP_SESSION_REFUSED_MAX 6

enum smtp_session_state { /* what may follow: smtp_session_rules[] */
	SMTP_SESSION_CONNECT = 0,
	SMTP_SESSION_GREETING,
	SMTP_SESSION_EHLO,
	SMTP_SESSION_HELO,
	SMTP_SESSION_STARTTLS,
	SMTP_SESSION_TLS,     /* the host is at the handshake */
	SMTP_SESSION_AUTH,
	SMTP_SESSION_READY,
	SMTP_SESSION_QUIT,
	SMTP_SESSION_CLOSING, /* QUIT was answered: the server closes */
	SMTP_SESSION_OVER,
};

#define SMTP_EXTENSION_PIPELINING 0x01u
#define SMTP_EXTENSION_8BITMIME   0x02u
#define SMTP_EXTENSION_CHUNKING   0x04u
#define SMTP_EXTENSION_STARTTLS   0x08u

enum smtp_step { /* of a transaction, in their order; what may follow: smtp_transaction_rules[] */
	SMTP_STEP_RSET = 0,
	SMTP_STEP_MAIL,
	SMTP_STEP_RCPT,
	SMTP_STEP_DATA,
	SMTP_STEP_MESSAGE,
	SMTP_STEP_DONE,
};

enum smtp_rcpt {
	SMTP_RCPT_OPEN = 0, /* no reply yet, or none that counts */
	SMTP_RCPT_TAKEN,    /* 2xx to RCPT: what becomes of it is the message's verdict */
	SMTP_RCPT_DECIDED,  /* its verdict is written */
};

struct smtp_transaction {
	struct list link;         /* in <transactions> or <answered> */
	struct smtp_envelope env;
	bool eightbit;            /* the message has a byte above 127 */
	bool chunked;             /* BDAT, not DATA */
	enum smtp_step awaits;    /* the reply that comes next */
	enum smtp_step writes;    /* what to write next; MESSAGE: BDAT, or the body after DATA's reply; DONE: none */
	size_t due;               /* replies awaited: commands written and not answered */
	size_t nwritten;          /* RCPT commands written ... */
	size_t nanswered;         /* ... and answered */
	size_t ntaken;            /* ... with 2xx, while MAIL was accepted */
	bool refused;             /* MAIL was not accepted: what follows is no verdict */
	bool open;                /* the server may hold an envelope of this transaction */
	uint64_t dot_end;         /* where the body ends in the stream of our output, 0 before it was written */
	bool uncertain;           /* the body was sent to its end, and no reply said what became of it */
	uint64_t deadline_ms;     /* UINT64_MAX: none yet, it waits behind another */
	unsigned char rcpt[SMTP_CLIENT_RCPT_MAX]; /* enum smtp_rcpt */
	struct smtp_verdict verdicts[];           /* env.nrcpt of them */
};

/* A session event with its reply. */
struct smtp_session_note {
	bool pending;
	enum smtp_client_event_type type;
	enum mailers_error error;
	enum smtp_client_stage stage;
	unsigned code;
	bool credentials_refused;
	char reply[256];
};

struct smtp_client {
	uint32_t timeout_mail_ms, timeout_final_ms, timeout_quit_ms;
	bool helo_only;
	enum smtp_tls tls;
	const struct sasl_credentials *credentials;
	const struct sasl_crypto *crypto;
	unsigned mechanisms;
	bool auth_without_tls;
	unsigned without;                   /* SMTP_CLIENT_NO_* */
	struct buffer *dialogue;            /* the caller's, may be NULL */

	enum smtp_session_state state;      /* smtp_session_set() alone writes it */
	bool secure;                        /* TLS is established */
	bool extended;                      /* greeted with EHLO */
	unsigned extensions;                /* SMTP_EXTENSION_* */
	bool quitting;                      /* QUIT when no transaction is left */
	bool abandoned;                     /* nothing more is said, and the session closes when the
	                                     * transactions in flight are answered */
	bool leaving;                       /* <end> says already why it will end */
	bool rset_due;                      /* the last transaction ended inside of its envelope */
	unsigned accepted;
	unsigned refused;                   /* mails without an accepted recipient */

	struct smtp_reply_parser parser;
	bool unsolicited;                   /* nothing was due when the reply being read began */
	struct {
		uint64_t end[SMTP_SESSION_WINDOW]; /* where each command ends in the stream of our output */
		size_t first, n;
	} due;                              /* the replies due, the oldest first; the greeting is one */
	struct buffer out;
	bool secret;                        /* <out> holds a response of AUTH */
	struct {
		struct sasl *sasl;          /* the attempt, NULL without one */
		struct buffer said;         /* the last response in base64, which awaits its reply */
	} auth;
	uint64_t acked;                     /* bytes of the stream before <out> */

	struct list transactions;           /* in flight, in the order of their submission */
	struct list answered;               /* over, their events not taken */
	struct smtp_transaction *taken;     /* the one whose event was taken last */

	uint64_t start_ms;
	uint64_t spent_ms;                  /* from the start to ready: the first mail's time */
	uint64_t quit_ms;

	bool ready_pending;                 /* events not taken */
	struct smtp_session_note no_ehlo, end;
	char helo[];
};

/* smtp_session.c: what came in, in any state. */
void smtp_session_connected(struct smtp_client *c);
void smtp_session_reply(struct smtp_client *c, const struct smtp_reply *reply, uint64_t now_ms);
void smtp_session_garbage(struct smtp_client *c, const struct smtp_reply *line);
void smtp_session_eof(struct smtp_client *c);

void smtp_session_secured(struct smtp_client *c);
void smtp_session_injected(struct smtp_client *c); /* plain text came */
void smtp_session_ready(struct smtp_client *c, uint64_t now_ms);

/* Writes QUIT. */
void smtp_session_quit(struct smtp_client *c, uint64_t now_ms);

/* Ends the session: transactions in flight are answered, output is dropped. <reply> may be NULL. A failure
 * after QUIT is none: it ends as smtp_session_close().
 */
void smtp_session_fail(struct smtp_client *c, enum mailers_error error, const struct smtp_reply *reply);
void smtp_session_close(struct smtp_client *c, const struct smtp_reply *reply);

/* Ends the session with a failure, or in order with OK, for what the reply to a mail's command says of all that
 * follow: at once, or when bodies are on their way that may still be accepted, after the replies to them.
 */
void smtp_session_leave(struct smtp_client *c, enum mailers_error error, const struct smtp_reply *reply);

/* Fails at <stage> for a reason of our own, printable; the host shows it as the reply. Or says that it will,
 * whatever else comes: it goes on until smtp_session_fail().
 */
void smtp_session_fail_text(struct smtp_client *c, enum mailers_error error, enum smtp_client_stage stage,
                            const char *format, ...) __attribute__((format(printf, 4, 5)));
void smtp_session_decide(struct smtp_client *c, enum mailers_error error, enum smtp_client_stage stage,
                         const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Fails with a 4xx or 5xx to AUTH, and what the server announced before ("" without). */
void smtp_session_refused_credentials(struct smtp_client *c, const struct smtp_reply *reply, bool credentials,
                                      const char *announced);

/* Ends the session with a refusal that is not a mail's: the server's limit (close) after an accepted mail, and a
 * failure before.
 */
void smtp_session_limit(struct smtp_client *c, const struct smtp_reply *reply);

enum smtp_client_stage smtp_session_stage(const struct smtp_client *c);

/* smtp_auth.c. Begins an attempt by what the reply to EHLO offers; takes its replies; ends it and wipes what was
 * secret, at any time.
 */
void smtp_auth_begin(struct smtp_client *c, const char *ehlo);
void smtp_auth_reply(struct smtp_client *c, const struct smtp_reply *reply, uint64_t now_ms);
void smtp_auth_end(struct smtp_client *c);

/* Overwrites the last response where <text> repeats it. The second: in any reply but what sasl reads; one without a
 * code is no reply at all.
 */
void smtp_auth_mask(const struct smtp_client *c, char *text, size_t len);
void smtp_auth_mask_reply(const struct smtp_client *c, struct smtp_reply *reply);

/* smtp_transaction.c. The oldest transaction in flight, NULL without one. */
struct smtp_transaction *smtp_transaction_head(const struct smtp_client *c);

/* Checks <env>, and makes a transaction of it, the next one in flight. */
enum mailers_error smtp_transaction_new(const struct smtp_client *c, const struct smtp_envelope *env,
                                        struct smtp_transaction **out);
void smtp_transaction_free(struct smtp_transaction *t); /* NULL is a no-op */

/* A reply for the oldest in flight. */
void smtp_transaction_reply(struct smtp_client *c, const struct smtp_reply *reply, uint64_t now_ms);

/* May <reply> come before the host has sent what it answers? A refusal of the body may. */
bool smtp_transaction_cut(const struct smtp_client *c, const struct smtp_reply *reply);

/* Is it still at its MAIL, or at the RSET before it? */
bool smtp_transaction_starts(const struct smtp_transaction *t);

/* Answers all recipients without a verdict as the session's <end> leaves them, UNKNOWN or RETURNED, and moves
 * the transaction to <answered>.
 */
void smtp_transaction_return(struct smtp_client *c, struct smtp_transaction *t,
                             const struct smtp_session_note *end);

enum smtp_client_stage smtp_transaction_stage(const struct smtp_transaction *t);

/* smtp_pipeline.c. Writes what may go now. On failure the output holds a part of it. */
enum mailers_error smtp_pipeline_pump(struct smtp_client *c);

/* May a mail be submitted behind those in flight? Does it begin with RSET? When does it time out? */
bool smtp_pipeline_admits(const struct smtp_client *c);
bool smtp_pipeline_resets(const struct smtp_client *c);
uint64_t smtp_pipeline_deadline(const struct smtp_client *c, uint64_t now_ms);

/* The host sent more: bodies may have gone. */
void smtp_pipeline_acked(struct smtp_client *c, uint64_t now_ms);

/* The oldest was answered: the next one's time begins. There is one. */
void smtp_pipeline_advance(struct smtp_client *c, uint64_t now_ms);

/* Has the body of one gone? */
bool smtp_pipeline_is_uncertain(const struct smtp_client *c);

/* Gives back all but the oldest and those whose bodies have gone. There is one. */
void smtp_pipeline_give_back(struct smtp_client *c);

/* smtp_envelope.c. May it be sent? Sets *<eightbit> if its message has a byte above 127. */
enum mailers_error smtp_envelope_check(const struct smtp_envelope *env, bool *eightbit);

/* smtp_output.c. Each writes one thing, and expects its reply: the greeting, which needs no command; a command,
 * without its CRLF; a message after DATA, the final dot alone if <len> is 0; a message with its BDAT. The error of
 * <out>, or INTERNAL when too many replies are due.
 */
enum mailers_error smtp_output_greeting(struct smtp_client *c);
enum mailers_error smtp_output_command(struct smtp_client *c, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
enum mailers_error smtp_output_message(struct smtp_client *c, const char *message, size_t len);
enum mailers_error smtp_output_chunk(struct smtp_client *c, const char *message, size_t len);

/* ... and <shown>, then <secret>, which the dialogue does not show. Nothing else is in the output. */
enum mailers_error smtp_output_secret(struct smtp_client *c, const char *shown, const struct buffer *secret);

/* What was written since the mark is unwritten; nothing of it was acknowledged. */
struct smtp_output_mark {
	size_t len, due, dialogue_len;
};
void smtp_output_mark(const struct smtp_client *c, struct smtp_output_mark *mark);
void smtp_output_back(struct smtp_client *c, const struct smtp_output_mark *mark);

/* The first <n> bytes were sent. What lies beyond <end> in the stream will not be. */
void smtp_output_ack(struct smtp_client *c, size_t n);
void smtp_output_cut(struct smtp_client *c, uint64_t end);

/* Nothing will be sent any more; what is secret is wiped. */
void smtp_output_free(struct smtp_client *c);

/* Is a reply due whose command the host has sent? The oldest that is due has come. */
bool smtp_output_awaits(const struct smtp_client *c);
void smtp_output_answered(struct smtp_client *c);

/* The parser's line of <len> bytes came to its end: it is for the dialogue. */
void smtp_output_heard(struct smtp_client *c, size_t len);

#endif
