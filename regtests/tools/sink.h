/*
 * sink - smtp_sink's insides: the settings and counters of the program, its sessions, and the record of mails.
 *
 *   smtp_sink.c     options, control commands
 *   sink_listener.c the listener: open, closed, down for a while
 *   sink_session.c  a connection: bytes in and out, answers that are late, slow or never come
 *   sink_smtp.c     the commands
 *   sink_auth.c     what AUTH asks and checks
 *   sink_tls.c      TLS between the session and its connection, and faults in its handshake
 *   sink_store.c    what is written to disk of a mail that was accepted
 *   sink_rule.c     faults
 */
#ifndef SINK_H
#define SINK_H

#include <stdio.h>

#include <ev.h>

#include <mailers/buffer.h>

#include "sink_rule.h"
#include "tool.h"

#define SINK_LINE_MAX 65536           /* a command line; beyond it the connection is given up */
#define SINK_RCPT_MAX 10000           /* recipients of one mail */

/* What EHLO offers. */
struct sink_offer {
	char *text;                   /* the whole answer */
	int pipelining, chunking, starttls;
	char *auth;                   /* the mechanisms, each with a space in front; NULL: none */
	size_t size_max;              /* bytes of a message, 0 for no limit */
};

struct sink_credentials {
	const char *user;             /* NULL: every user, with any password or token */
	const char *password, *token;
};

struct sink {
	struct ev_loop *loop;
	const char *greeting;         /* without CRLF */
	struct sink_offer plain, secure; /* before and in TLS */
	void *tls;                    /* SSL_CTX; NULL: no TLS */
	int tls_implicit;
	struct sink_credentials credentials;
	int auth_required;            /* before MAIL */
	int lines;                    /* of a usual answer, but those to EHLO and AUTH; 0 is 1 */
	int lenient;                  /* paths with a space before the bracket are taken */
	int exim_quirk;               /* see run_mail() */
	const char *mail_dir;         /* NULL: do not keep mails */
	FILE *log;                    /* a line for each mail, or NULL */
	FILE *transcript;             /* each line said and heard, or NULL */
	struct sink_rules rules;
	struct sink_session *sessions;
	char violation[256];          /* the first one */
	uint64_t mails, rcpts, bytes, refused, violations;
	uint64_t connections, open, peak, quits, lost;
	uint64_t handshakes, handshakes_failed, auths, auths_failed;
	uint64_t up;                  /* 1 while it listens */
};

enum session_state {
	SESSION_START = 0,            /* before the greeting */
	SESSION_COMMAND,
	SESSION_DATA,                 /* in a message, until the dot */
	SESSION_BDAT,                 /* in a chunk, <chunk> bytes to go */
	SESSION_AUTH,                 /* the answer to a challenge is due */
};

/* A fault that happens in the middle of something, once it has come that far. */
struct sink_fault {
	int armed;
	struct sink_answer answer;    /* its text stands in <text> */
	struct buffer text;
};

struct sink_session {
	struct sink *sink;
	struct sink_session *next, **prev;
	ev_io in_io, out_io;
	ev_timer timer;
	int fd;
	enum session_state state;
	uint64_t number;              /* from 1, in the order of accept() */
	uint64_t mails;               /* accepted on this connection */
	unsigned int seen[SINK_RULES_MAX];

	struct buffer in;             /* bytes of an unfinished line */
	struct buffer out;            /* bytes on their way */
	struct buffer held;           /* bytes that wait for the timer */
	unsigned int pace_ms;         /* one byte (one copy, if endless) of <held> each; 0 for all at once */
	int endless;
	int waiting;                  /* the timer has the word: no command is looked at */
	enum sink_then then;          /* when <out> and <held> are sent */
	unsigned int die_ms;          /* for THEN_DIE */
	int closing;                  /* FIN was sent, the peer's is awaited */
	int alone;                    /* the client may send nothing before it has the answer */

	struct sink_tls *tls;         /* NULL: plain text */
	struct buffer wire;           /* with TLS: what is on its way in place of <out> */
	struct sink_fault fault;      /* in the handshake or in the message */

	struct sink_auth *auth;       /* while an exchange runs */
	char *user;                   /* who has authenticated; NULL: nobody */

	struct buffer helo;           /* its line */
	struct buffer envelope;       /* lines: MAIL, RCPT... */
	struct buffer message;        /* unstuffed */
	unsigned int rcpts;
	size_t chunk;
	int chunk_last;
	int chunk_failed;             /* a chunk was refused: RFC 3030 section 2, no more of this message */
	int line_start;               /* the message stands behind a CRLF */
	int quit;
};

/* sink_session.c */

/* Takes over the connected, non-blocking <fd>. */
void sink_session_start(struct sink *sink, int fd);

/* Ends all sessions at once, as a server that dies does. */
void sink_session_drop_all(struct sink *sink);

/* Answers <step> with <text> (which may be several lines and ends in CRLF), or with what the rules say. <line> is
 * the command it answers. Returns whether the step has its effect.
 */
int sink_session_answer(struct sink_session *s, enum sink_step step, const char *line, size_t len, const char *text,
                        enum sink_then then);

/* Says the answer <a>, or does what is in its place. */
void sink_session_say(struct sink_session *s, const struct sink_answer *a);

/* Looks whether a fault is to happen in what begins now, STEP_TLS or STEP_BODY. */
void sink_session_arm(struct sink_session *s, enum sink_step step);

/* The fault that was armed happens now. */
void sink_session_fault(struct sink_session *s);

/* The handshake is over: the dialogue goes on, or begins. */
void sink_session_secured(struct sink_session *s);

static inline const struct sink_offer *sink_session_offer(const struct sink_session *s)
{
	return s->tls ? &s->sink->secure : &s->sink->plain;
}

/* sink_listener.c */

/* Begins to listen on <address>. With <no_accept> connections hang. Exits on failure. */
void sink_listener_start(struct sink *sink, struct tool_address *address, int no_accept);

/* Connections are refused, or taken again at the same address. Returns 0 and errno on failure. */
void sink_listener_close(struct sink *sink);
int sink_listener_open(struct sink *sink);

/* Ends the listener and all sessions, as a server that dies does. It comes back after <ms>, if that is not 0. */
void sink_listener_die(struct sink *sink, unsigned int ms);

/* sink_tls.c */

struct sink_tls_options {
	const char *cert, *key;       /* PEM: the chain, the key; NULL: <cert> has it too */
	const char *client_ca;        /* PEM: ask for a client certificate of these; NULL: do not */
	int client_required;
	int version;                  /* 12 or 13: only that TLS version; 0: both */
};

/* Prepares TLS; exits on failure. */
void sink_tls_prepare(struct sink *sink, const struct sink_tls_options *options);

/* The client's first message is awaited. */
void sink_tls_start(struct sink_session *s);
void sink_tls_free(struct sink_tls *tls);

/* Takes ciphertext; what it holds joins s->in. */
void sink_tls_feed(struct sink_session *s, const char *data, size_t len);

/* Encrypts s->out into s->wire. */
void sink_tls_push(struct sink_session *s);

/* The next byte of a handshake that is dripped. Returns whether there was one. */
int sink_tls_drip(struct sink_session *s);

/* Says that nothing more follows: for an end that is no fault. */
void sink_tls_close(struct sink_session *s);

/* One line about the session's TLS: version, cipher, name asked for, subject of the client. */
void sink_tls_describe(const struct sink_tls *tls, char *line, size_t size);

/* sink_auth.c */

enum sink_auth_result {
	SINK_AUTH_CHALLENGE = 0,      /* say it and go on */
	SINK_AUTH_OK,
	SINK_AUTH_BAD,                /* not who it says */
	SINK_AUTH_SYNTAX,
};

/* Is the mechanism at the head of the <len> bytes at <text> offered to this session, and known? NULL when not. */
struct sink_auth *sink_auth_new(const struct sink_session *s, const char *text, size_t len);
void sink_auth_free(struct sink_auth *a);

/* Takes a response in base64, NULL when there is none yet. <challenge> gets the base64 of what is to be asked. */
enum sink_auth_result sink_auth_step(struct sink_auth *a, const char *text, size_t len, struct buffer *challenge);

/* Who it says it is; valid after SINK_AUTH_OK. */
const char *sink_auth_user(const struct sink_auth *a);

/* sink_smtp.c */

/* STARTTLS was accepted: nothing that was said before counts (RFC 3207 section 4.2). */
void sink_smtp_restart(struct sink_session *s);

/* Takes the next line or piece of a message from the <len> bytes at <data>. Returns the bytes used, 0 when it needs
 * more.
 */
size_t sink_smtp_feed(struct sink_session *s, const char *data, size_t len);

/* sink_store.c */

/* Records the session's mail, which was just accepted, and counts it. */
void sink_store_mail(struct sink_session *s);

/* Counts and names a breach of SMTP by the client. */
void sink_store_violation(struct sink_session *s, const char *what);

/* Adds a line of the dialogue to the transcript, if there is one. <who> is 'C' or 'S'. */
void sink_store_line(struct sink_session *s, char who, const char *text, size_t len);

/* Writes out what is still in memory. */
void sink_store_flush(struct sink *sink);

#endif
