/*
 * sink - smtp_sink's insides: the settings and counters of the program, its sessions, and the record of mails.
 *
 *   smtp_sink.c     options, listener, control commands
 *   sink_session.c  a connection: bytes in and out, answers that are late, slow or never come
 *   sink_smtp.c     the commands
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

struct sink {
	struct ev_loop *loop;
	const char *greeting;         /* without CRLF */
	char *ehlo;                   /* the whole answer to EHLO */
	int pipelining, chunking, auth;  /* offered in <ehlo> */
	int lenient;                     /* paths with a space before the bracket are taken */
	size_t size_max;              /* bytes of a message, 0 for no limit */
	const char *mail_dir;         /* NULL: do not keep mails */
	FILE *log;                    /* a line for each mail, or NULL */
	FILE *transcript;             /* each line said and heard, or NULL */
	struct sink_rules rules;
	struct sink_session *sessions;
	char violation[256];          /* the first one */
	uint64_t mails, rcpts, bytes, refused, violations;
	uint64_t connections, open, peak, quits, lost;
};

enum session_state {
	SESSION_START = 0,            /* before the greeting */
	SESSION_COMMAND,
	SESSION_DATA,                 /* in a message, until the dot */
	SESSION_BDAT,                 /* in a chunk, <chunk> bytes to go */
	SESSION_AUTH,                 /* <auth_lines> answers to challenges to go */
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
	int closing;                  /* FIN was sent, the peer's is awaited */
	int alone;                    /* the client may send nothing before it has the answer */

	struct buffer helo;           /* its line */
	struct buffer envelope;       /* lines: MAIL, RCPT... */
	struct buffer message;        /* unstuffed */
	unsigned int rcpts;
	size_t chunk;
	int chunk_last;
	int auth_lines;
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

/* sink_smtp.c */

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
