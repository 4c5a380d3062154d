/*
 * sink_rule - the faults of smtp_sink: at which step, on which occurrence, what happens.
 *
 * A rule is one line: STEP [CLAUSE...] [delay MS] [ACTION]
 *
 *   STEP     connect greeting helo ehlo starttls auth authstep mail rcpt data dot bdat rset noop quit other, or any of
 *            them; and two that answer nothing: tls, while the handshake is answered, and body, inside the message.
 *            auth is the answer to AUTH, authstep that to each line with which the client meets a 334; dot and bdat are
 *            the answers to the final dot, and to each BDAT (its last one is "BDAT LAST" for match)
 *   match T  only where the command line contains T (one word; in T \s is a space); for dot, bdat and body the
 *            envelope or what came of the message may contain it too
 *   conn N   only on the N-th connection
 *   each     count the occurrences on each connection for itself, not over all of them
 *   from N   not before the N-th occurrence (1)
 *   times N  at most N times (no limit)
 *   accept   the step has its effect (a mail counts as accepted) whatever the answer says
 *   delay MS wait before the action
 *   line N   the lines of the usual answer before its N-th one (from 1) are sent first; tls: the records
 *   after N  so are the N bytes behind them. tls: bytes of our side of the handshake; body: bytes of the message that
 *            came before it happens
 *
 *   ACTION, the usual answer where there is none:
 *   reply T        answer T; \r \n \t \\ \s \xHH are understood, CRLF is added unless T ends in \n. Without T say
 *                  nothing, and go on.
 *   close | reset  end the connection without an answer, by FIN | by RST
 *   half-close     send FIN and keep reading, until the client ends it
 *   die MS         the whole server: its listener and all connections end at once, by RST; it listens again at the same
 *                  address after MS, or, with 0, when `up` tells it to
 *   reply-then-close T
 *   reply-inject T the usual answer, and T behind it in the same piece
 *   limit N T      after N mails on the connection answer T (a 421 where it is empty) and close; else the usual
 *   mute           say nothing, for ever
 *   half           send "abc", and nothing more for ever
 *   long N         send N bytes without a newline, and nothing more
 *   garbage        send bytes that are no reply, and go on
 *   drip MS T      send the usual answer, or T, a byte every MS ms, and go on; at tls: our side of the handshake
 *   repeat MS T    send T every MS ms, for ever
 *
 * The first rule that fits is taken; one that is added later goes first.
 */
#ifndef SINK_RULE_H
#define SINK_RULE_H

#include <stddef.h>
#include <stdint.h>

#include <mailers/buffer.h>

enum sink_step {
	STEP_NONE = 0,
	STEP_CONNECT,
	STEP_GREETING,
	STEP_HELO,
	STEP_EHLO,
	STEP_STARTTLS,
	STEP_AUTH,
	STEP_AUTHSTEP,
	STEP_MAIL,
	STEP_RCPT,
	STEP_DATA,
	STEP_DOT,
	STEP_BDAT,
	STEP_RSET,
	STEP_NOOP,
	STEP_QUIT,
	STEP_OTHER,
	STEP_TLS,
	STEP_BODY,
	STEP_ANY,
};

/* What the session does once the bytes of an answer are on their way. */
enum sink_then {
	THEN_GO_ON = 0,
	THEN_CLOSE,         /* when they are sent, and gently: FIN first */
	THEN_DROP,          /* close() at once */
	THEN_RESET,
	THEN_MUTE,
	THEN_HALF_CLOSE,
	THEN_DIE,
	THEN_TLS,           /* the handshake of STARTTLS is awaited */
};

struct sink_answer {
	const char *text;   /* bytes to send, valid until the next answer or change of rules */
	size_t len;
	size_t at_once;     /* the first of them, which wait for neither delay nor pace */
	unsigned int delay_ms; /* before them */
	unsigned int pace_ms;  /* from one byte to the next, or, if endless, from one text to the next */
	int endless;
	int accepts;        /* the step has its effect */
	enum sink_then then;
	unsigned int die_ms; /* THEN_DIE: until it comes back, 0 for not by itself */
	int fault;          /* a rule was applied; at tls and body it happens where these say: */
	unsigned int line;  /* before this record, from 1; 0 is the same as 1 */
	size_t after;       /* and so many bytes later */
};

#define SINK_RULES_MAX 32

struct sink_rules {
	struct sink_rule *rule[SINK_RULES_MAX];
	unsigned int count;
	unsigned int next_id;
	unsigned long steps;  /* bit 1 << step: some rule looks at it */
	uint64_t hits;        /* times that a rule was applied; tls and body: that it happened */
};

/* What a rule may look at; <seen> are the occurrences on this connection, one for each rule's id. */
struct sink_occasion {
	enum sink_step step;
	const char *line;     /* the command's line; not terminated */
	size_t len;
	const struct buffer *envelope, *message; /* looked at by match too; may be NULL */
	uint64_t connection;  /* number of the connection, from 1 */
	uint64_t mails;       /* mails accepted on it */
	unsigned int *seen;
};

/* Adds the rule of the line <text> in front. Returns NULL, or what is wrong with it. */
const char *sink_rules_add(struct sink_rules *rules, const char *text);

void sink_rules_clear(struct sink_rules *rules);

/* Whether some rule looks at <step>; a cheap test before an occasion is put together. */
static inline int sink_rules_watch(const struct sink_rules *rules, enum sink_step step)
{
	return (int)(rules->steps >> step & 1);
}

/* Changes <answer>, which holds the usual answer, to what the rules make of it. */
void sink_rules_apply(struct sink_rules *rules, const struct sink_occasion *occasion, struct sink_answer *answer);

#endif
