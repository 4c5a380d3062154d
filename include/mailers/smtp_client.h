/*
 * smtp_client - one SMTP client session (RFC 5321) as a state machine without I/O.
 *
 * The host moves bytes: what smtp_client_peek() shows goes to the server and is acknowledged with
 * smtp_client_ack(); what the server says goes into smtp_client_feed(). After each of feed, eof, tick
 * and submit the host takes the events with smtp_client_next_event() until there is none, then submits
 * while smtp_client_accepts(), then looks at smtp_client_want(). All times are milliseconds of one
 * monotonic clock of the host's. No function blocks, aborts or calls back.
 *
 *   connect -> [TLS] -> greeting -> EHLO -> [STARTTLS -> TLS -> EHLO] -> [AUTH] -> ready     (or HELO -> ready)
 *   ready: idle <-> transactions -> QUIT -> closing -> over
 *
 * Transactions are answered in the order of their submission (but see smtp_client_deadline() for those
 * that are given back). With PIPELINING (RFC 2920) the envelope and DATA go out as one group, and the
 * next envelope goes with the body of the mail before; without it each command waits for its reply. At
 * most 16 replies are due at a time, so an envelope with more recipients goes out in several groups: a
 * host that cannot read while it sends must not be overrun by replies.
 *
 * With CHUNKING (RFC 3030) the body goes as BDAT, in the place of DATA. With both, and after a first accepted
 * mail, envelope and body go together, and up to SMTP_CLIENT_WINDOW_MAILS of them stand behind each other,
 * each but the first with an RSET before it: a verdict is only the reply to that mail's own MAIL, RCPT and
 * BDAT. A body that was sent is out of our hands: if its reply is lost, what became of it is unknown.
 *
 * Whose fault a failure is: a refused RCPT, or a refused message, is the verdict on that mail; a refused
 * MAIL too unless its enhanced code is 5.7.x (or its code is 530, 534, 535 or 538, which say the same
 * without one); greeting, EHLO/HELO, 5.7.x at MAIL, a reply that is no SMTP or out of turn, a sequence
 * error (503), a timeout or a broken connection is the session's: every transaction without a verdict is
 * returned. What follows from a refusal is no verdict: 503 to a RCPT, DATA or BDAT that was on its way when
 * MAIL was refused, or a refused DATA or BDAT when no recipient had been accepted. When a reply to a mail's
 * command fails the session (or ends it: the server's limit of mails) while bodies behind it are on their way,
 * nothing more is said, their replies are awaited and are their verdicts, and then the session ends.
 *
 * EHLO is said when the greeting has the word ESMTP in it, or TLS or AUTH is asked for. A session with HELO, for
 * whatever reason, carries one mail: after its transaction the client says QUIT by itself. That is how HAProxy's
 * own sender spoke, and servers that were written for nothing else (the sink of HAProxy's regression tests is
 * one) answer a second MAIL with garbage.
 *
 * After six mails none of whose recipients was accepted the client says QUIT too, when nothing is in flight: some
 * servers cut a connection for the RSET that each of those costs.
 *
 * TLS: with IMPLICIT the host is asked for it (WANT_TLS) as soon as it is connected, with OPPORTUNISTIC and
 * REQUIRED after the 220 to STARTTLS (RFC 3207). Bytes that come between that and smtp_client_secured() were
 * injected by somebody: the session fails at STARTTLS with PROTOCOL. What was said before is forgotten, and EHLO is
 * said anew. A refused STARTTLS or a broken handshake fails the session at STARTTLS or TLS also when TLS was only
 * opportunistic: whether a plain connection is tried then is the host's decision. REQUIRED and not offered, or
 * EHLO refused: FAILED at STARTTLS with PROTOCOL.
 *
 * AUTH (RFC 4954) follows the last EHLO when there are credentials, and without it there is no session: FAILED at
 * AUTH with PROTOCOL when it is not offered, no mechanism fits, the connection is plain (but see
 * auth_without_tls), or the server does not prove what SCRAM demands; TEMPORARY or PERMANENT when it refuses, and
 * credentials_refused tells whether others might do. The reply of such a failure is the server's, or a text of
 * ours with code 0. No secret is shown in a dialogue, nor in a reply that repeats it, nor left in memory.
 *
 * EHLO refused with 5xx: HELO on the same connection, and NO_EHLO once HELO was accepted; a server that
 * refuses HELO too refuses us, and the session fails. When the server closes instead of answering EHLO,
 * or closes or says 421 to the HELO that followed the refusal, then the refusal cost the connection:
 * NO_EHLO and CLOSED, for the host to reconnect at once with helo_only. That cannot loop: with helo_only
 * no EHLO is said, and the same close is FAILED. NO_EHLO with code 0 is a guess, from a close without a
 * reply; a host may want to try EHLO again some day. Where HELO is of no use, because TLS is required or AUTH needed,
 * none of this holds: EHLO is said in spite of helo_only, and its refusal or a close fails the session.
 */
#ifndef MAILERS_SMTP_CLIENT_H
#define MAILERS_SMTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mailers/buffer.h>
#include <mailers/error.h>
#include <mailers/sasl.h>
#include <mailers/smtp_reply.h>

struct smtp_client;

#define SMTP_CLIENT_RCPT_MAX    100       /* RFC 5321 4.5.3.1.8: a server takes at least 100 */
#define SMTP_CLIENT_PATH_MAX    254       /* bytes of a path without <>, RFC 5321 4.5.3.1.3 */
#define SMTP_CLIENT_HELO_MAX    255       /* RFC 5321 4.5.3.1.2 */
#define SMTP_CLIENT_MESSAGE_MAX (1 << 20) /* bytes of a message, dot-stuffed: a copy is held while it is sent */
#define SMTP_CLIENT_NEED_MAX    4096      /* see smtp_client_need() */
#define SMTP_CLIENT_WINDOW_MAILS 4        /* most mails submitted and not answered */

/* Most bytes of several messages in flight; a larger one goes alone. A HAProxy task cannot read while it sends,
 * so what is sent before the next look at replies stays well inside of a socket's send buffer (16,384 bytes at
 * first on Linux) and of tune.bufsize, and the verdict that is due waits for no other mail's transport.
 */
#define SMTP_CLIENT_WINDOW_BYTES 8192

enum smtp_tls {
	SMTP_TLS_NONE = 0,
	SMTP_TLS_OPPORTUNISTIC, /* STARTTLS where it is offered */
	SMTP_TLS_REQUIRED,      /* STARTTLS, or the session fails */
	SMTP_TLS_IMPLICIT,      /* from the first byte */
};

#define SMTP_CLIENT_NO_PIPELINING 0x01u /* not used even where it is offered */
#define SMTP_CLIENT_NO_CHUNKING   0x02u

struct smtp_client_settings {
	const char *helo;          /* copied; our name for EHLO and HELO */
	uint32_t timeout_mail_ms;  /* from the session's start, or a later transaction's, to its final dot */
	uint32_t timeout_final_ms; /* from the final dot to its reply (RFC 5321 4.5.3.2.6) */
	uint32_t timeout_quit_ms;  /* for QUIT, its reply and the server's close */
	bool helo_only;            /* this server refused EHLO before: say HELO at once, if that will do */
	enum smtp_tls tls;
	/* NULL: no AUTH. With them AUTH must succeed. Not copied: unchanged until READY or the session's end. */
	const struct sasl_credentials *credentials;
	const struct sasl_crypto *crypto;           /* NULL: mechanisms that need none */
	unsigned mechanisms;       /* SASL_BIT()s that may be used */
	bool auth_without_tls;     /* AUTH without TLS too */
	unsigned without;          /* SMTP_CLIENT_NO_* */
	struct buffer *dialogue;   /* NULL, or where it is written down: the caller's, as long as the client */
};

/* The dialogue, for a reader: "> EHLO lb1" is ours when it is put to the output, "< 250-PIPELINING" the server's
 * when it came, one line each, escaped as by smtp_reply_print(), cut at 1,023 bytes. A message is "> (message, 512
 * bytes)", a response of AUTH "***". Lines that no longer fit in the buffer's limit are left out.
 */

/* One mail to send. Everything pointed to stays the caller's and must stay valid and unchanged until
 * the event of this transaction was taken, or the client is freed.
 */
struct smtp_envelope {
	const char *from;        /* reverse-path without <>; "" is the null sender */
	const char *const *rcpt; /* forward-paths without <> */
	size_t nrcpt;            /* 1 to SMTP_CLIENT_RCPT_MAX */
	const char *message;     /* RFC 5322 message, CRLF line ends only, ends with CRLF; not dot-stuffed */
	size_t message_len;
	void *cookie;            /* given back in the event */
};

enum smtp_client_want {
	SMTP_CLIENT_WANT_READ = 0, /* give me at least one byte; smtp_client_need() are sure to come */
	SMTP_CLIENT_WANT_WRITE,    /* smtp_client_peek() has bytes: send them first, then read */
	SMTP_CLIENT_WANT_TLS,      /* begin TLS on this connection, then smtp_client_secured() or _unsecured() */
	SMTP_CLIENT_WANT_SUBMIT,   /* idle: submit a mail or call smtp_client_quit() */
	SMTP_CLIENT_WANT_CLOSE,    /* it is over: close the connection, free the client */
};

/* Where in the session something happened; for logs and tests. MAIL includes an RSET before it. */
enum smtp_client_stage {
	SMTP_STAGE_CONNECT = 0, SMTP_STAGE_GREETING, SMTP_STAGE_EHLO, SMTP_STAGE_HELO, SMTP_STAGE_MAIL,
	SMTP_STAGE_RCPT, SMTP_STAGE_DATA, SMTP_STAGE_MESSAGE, SMTP_STAGE_IDLE, SMTP_STAGE_QUIT,
	SMTP_STAGE_STARTTLS, SMTP_STAGE_TLS, SMTP_STAGE_AUTH,
};

enum smtp_outcome {
	SMTP_OUTCOME_ACCEPTED = 0, /* 2xx to the message, and this RCPT was accepted */
	SMTP_OUTCOME_DEFERRED,     /* 4xx: verdict on this mail for this recipient, temporary (552 at RCPT too) */
	SMTP_OUTCOME_REFUSED,      /* 5xx: verdict on this mail for this recipient, final */
	SMTP_OUTCOME_RETURNED,     /* no verdict and surely not accepted: try again on another connection */
	SMTP_OUTCOME_UNKNOWN,      /* the message was sent, its reply lost or none: a retry may duplicate */
};

/* What became of one recipient of a transaction. */
struct smtp_verdict {
	enum smtp_outcome outcome;
	enum smtp_client_stage stage; /* where it was decided */
	unsigned code;                /* the reply's code, 0 when there was none */
	char reply[256];              /* smtp_reply_print() of it, "" without one */
};

/* CLOSED is: QUIT, however it went; after at least one accepted mail the server's own limit, which is 421
 * anywhere, or 452, 503, garbage or a close in place of the reply to MAIL, or a close between mails; a mail
 * refused before its final dot was sent; a transaction that was given back; NO_EHLO that cost the connection.
 */
enum smtp_client_event_type {
	SMTP_EVENT_READY = 0,   /* the session is established; transactions may be submitted */
	SMTP_EVENT_TRANSACTION, /* a transaction is over: cookie, verdicts[nrcpt] */
	SMTP_EVENT_NO_EHLO,     /* the server refused EHLO: use helo_only for it from now on */
	SMTP_EVENT_FAILED,      /* the session failed, the mailer's fault: error, stage, reply */
	SMTP_EVENT_CLOSED,      /* the session ended in order: reconnect at once if there is more to send */
};

struct smtp_client_event {
	enum smtp_client_event_type type;
	void *cookie;                        /* TRANSACTION */
	size_t nverdicts;                    /* TRANSACTION: the envelope's nrcpt */
	const struct smtp_verdict *verdicts; /* TRANSACTION: in the order of rcpt; valid until the next call */
	enum mailers_error error;            /* FAILED */
	enum smtp_client_stage stage;        /* FAILED, CLOSED, NO_EHLO */
	unsigned code;                       /* FAILED, NO_EHLO: of the reply, 0 without one */
	bool credentials_refused;            /* FAILED at AUTH: 534, 535 or 5.7.8, another token might do */
	const char *reply;                   /* FAILED, CLOSED, NO_EHLO: printable; never NULL, valid as verdicts */
};

/* A session on a connection that is about to be opened at <now_ms>. NULL without memory, or when <helo> is
 * empty, longer than SMTP_CLIENT_HELO_MAX, or holds a byte that could end a command (controls, space).
 */
struct smtp_client *smtp_client_new(const struct smtp_client_settings *settings, uint64_t now_ms);
void smtp_client_free(struct smtp_client *c); /* NULL is a no-op; no event is raised */

/* The connection is there; the greeting is due. Until then the stage is SMTP_STAGE_CONNECT, and the host looks
 * at nothing but smtp_client_deadline() and a WANT_CLOSE.
 */
void smtp_client_connected(struct smtp_client *c, uint64_t now_ms);

/* After WANT_TLS: TLS is established, and all that the server said before is forgotten (RFC 3207 section 4.2).
 * Without effect at any other time.
 */
void smtp_client_secured(struct smtp_client *c, uint64_t now_ms);
/* It could not be established, or broke, at any time: the session fails with <error> (TLS, or NOMEM, which is not
 * the server's doing), stage TLS, and <why> as its reply; after QUIT it ends in order, as ever.
 */
void smtp_client_unsecured(struct smtp_client *c, enum mailers_error error, const char *why, uint64_t now_ms);

/* Takes <len> bytes from the server. OK, or the error of the FAILED event that it caused; STATE, without
 * effect, before smtp_client_connected(). After the end bytes are ignored. A reply that starts before its
 * command was acknowledged is out of turn.
 */
enum mailers_error smtp_client_feed(struct smtp_client *c, const char *data, size_t len, uint64_t now_ms);

/* The connection ended or broke, or never came about. After a failed send that does not say how much of it
 * went, the host first acknowledges all that it tried to send: the final dot may have gone, and the outcome
 * is UNKNOWN then.
 */
void smtp_client_eof(struct smtp_client *c, uint64_t now_ms);

/* Bytes to send: *<data> is valid until the next call that changes <c>. 0 when there is nothing. */
size_t smtp_client_peek(const struct smtp_client *c, const char **data);
/* The first <n> bytes of the peek were handed to the connection. */
void smtp_client_ack(struct smtp_client *c, size_t n, uint64_t now_ms);

enum smtp_client_want smtp_client_want(const struct smtp_client *c);

/* The number of bytes that the server at the least still has to send for what is outstanding (1 or more
 * while WANT_READ): a reader that must name an exact number asks for this many and never waits for a
 * byte that a correct server does not send. Replies beyond the oldest transaction's are not counted, so that its
 * verdict never waits for those behind it. Never more than SMTP_CLIENT_NEED_MAX.
 */
size_t smtp_client_need(const struct smtp_client *c);

/* May a transaction be submitted now? With PIPELINING it may already be while the mail before waits
 * for the reply to its final dot (its body is queued, the next envelope joins the same group); with CHUNKING
 * too, as long as a mail of one recipient fits in the window of replies: SMTP_CLIENT_WINDOW_MAILS of those.
 */
bool smtp_client_accepts(const struct smtp_client *c);

/* Starts a transaction. On failure nothing changed and no event follows:
 *   STATE   smtp_client_accepts() is false
 *   SYNTAX  a path or the message could break the dialogue: a control byte in a path, or '<', '>' or space
 *           outside of a quoted string, or an empty forward-path; a bare CR or LF, a NUL or a missing final
 *           CRLF in the message; or there is no recipient
 *   BOUND   more than SMTP_CLIENT_RCPT_MAX, SMTP_CLIENT_PATH_MAX or SMTP_CLIENT_MESSAGE_MAX
 *   NOMEM
 */
enum mailers_error smtp_client_submit(struct smtp_client *c, const struct smtp_envelope *env, uint64_t now_ms);

/* No more mails: QUIT follows the last transaction, or EHLO, and then the server's close is awaited. Before
 * smtp_client_connected() there is nobody to say it to: CLOSED at once.
 */
void smtp_client_quit(struct smtp_client *c, uint64_t now_ms);

/* Takes the next event. False when there is none. */
bool smtp_client_next_event(struct smtp_client *c, struct smtp_client_event *event);

/* When smtp_client_tick() must be called at the latest; UINT64_MAX without a deadline. A deadline does not move
 * when bytes arrive: a server that drips is cut at it.
 *
 *   until the message was sent     timeout_mail_ms, for the session's first mail from smtp_client_new() on
 *                                  (idle time excepted), for a later one from its submission or, if it was
 *                                  pipelined behind another mail, from the reply to that one
 *   after it                       timeout_final_ms, and for one behind another from the reply to that one
 *   after QUIT                     timeout_quit_ms, until the server closed
 *   idle                           none
 *
 * A transaction that waits behind others, and whose message was not sent yet, is given back (RETURNED), ahead of
 * those it waits for, timeout_mail_ms after their messages were sent (after its own submission, if that came
 * later). Nothing more is said then, as a part of it may have gone: the client closes after the replies that it
 * still awaits.
 */
uint64_t smtp_client_deadline(const struct smtp_client *c);
void smtp_client_tick(struct smtp_client *c, uint64_t now_ms);

/* For logs: the stage of the oldest outstanding reply; mails accepted on this connection. */
enum smtp_client_stage smtp_client_stage(const struct smtp_client *c);
unsigned smtp_client_accepted(const struct smtp_client *c);
const char *smtp_stage_name(enum smtp_client_stage stage); /* "connect", "greeting", "EHLO", … static */

#endif
