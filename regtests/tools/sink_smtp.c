/*
 * sink_smtp - the commands of SMTP as smtp_sink understands them (RFC 5321, 1870, 2920, 3030, 4954).
 *
 * Correct in what it says, strict in what it hears: what a client should not send is counted as a violation, and a
 * test looks at that number at its end. It checks the grammar only as far as clients get it wrong in practice.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sink.h"

struct command {
	const char *word;
	enum sink_step step;
	int last_of_group;    /* RFC 2920 section 3.1: nothing may follow before its answer */
	void (*run)(struct sink_session *s, const char *line, size_t len);
};

static void mail_reset(struct sink_session *s)
{
	buffer_clear(&s->envelope);
	buffer_clear(&s->message);
	s->rcpts = 0;
	s->chunk_failed = 0;
}

void sink_smtp_restart(struct sink_session *s)
{
	mail_reset(s);
	buffer_clear(&s->helo);
	free(s->user);
	s->user = NULL;
}

static int answer(struct sink_session *s, enum sink_step step, const char *line, size_t len, const char *text)
{
	return sink_session_answer(s, step, line, len, text, THEN_GO_ON);
}

static void run_hello(struct sink_session *s, const char *line, size_t len)
{
	int extended = line[0] == 'E' || line[0] == 'e';

	if (len < 6)
		sink_store_violation(s, "HELO or EHLO without a name");
	mail_reset(s);
	if (answer(s, extended ? STEP_EHLO : STEP_HELO, line, len, extended ? sink_session_offer(s)->text : "250 sink\r\n")) {
		buffer_clear(&s->helo);
		buffer_add(&s->helo, line, len);
	}
}

/* <prefix> is "MAIL FROM:<" or "RCPT TO:<"; a space before the bracket is the most common mistake. */
static int path_is_valid(struct sink_session *s, const char *line, size_t len, const char *prefix)
{
	size_t n = strlen(prefix);
	const char *close = memchr(line, '>', len);

	if (len > n && !strncasecmp(line, prefix, n) && close && (close + 1 == line + len || close[1] == ' '))
		return 1;
	sink_store_violation(s, n == 11 ? "MAIL that is no MAIL FROM:<...>" : "RCPT that is no RCPT TO:<...>");
	return s->sink->lenient;
}

static int size_is_too_big(const struct sink_session *s, const char *line, size_t len)
{
	const char *size = memmem(line, len, " SIZE=", 6);

	return sink_session_offer(s)->size_max && size && strtoull(size + 6, NULL, 10) > sink_session_offer(s)->size_max;
}

/* The transaction of a mail whose recipients were all refused lives on in Exim 4.96 when its BDAT was pipelined: the next
 * MAIL is a nested one, and what follows it is taken under the sender of before. That is what <exim_quirk> imitates.
 */
static void run_mail(struct sink_session *s, const char *line, size_t len)
{
	const char *text = "250 2.1.0 Ok\r\n";

	if (!path_is_valid(s, line, len, "MAIL FROM:<"))
		text = "501 5.5.4 Syntax: MAIL FROM:<address>\r\n";
	else if (!s->helo.len)
		text = "503 5.5.1 Error: send HELO/EHLO first\r\n";
	else if (s->sink->auth_required && !s->user)
		text = "530 5.7.0 Authentication required\r\n";
	else if (s->envelope.len)
		text = "503 5.5.1 Error: nested MAIL command\r\n";
	else if (size_is_too_big(s, line, len))
		text = "552 5.3.4 Message size exceeds fixed limit\r\n";
	if (!answer(s, STEP_MAIL, line, len, text) || *text != '2')
		return;
	mail_reset(s);
	buffer_add(&s->envelope, line, len);
	buffer_add(&s->envelope, "\n", 1);
}

static void run_rcpt(struct sink_session *s, const char *line, size_t len)
{
	const char *text = "250 2.1.5 Ok\r\n";

	if (!path_is_valid(s, line, len, "RCPT TO:<"))
		text = "501 5.5.4 Syntax: RCPT TO:<address>\r\n";
	else if (!s->envelope.len)
		text = "503 5.5.1 Error: need MAIL command\r\n";
	else if (s->rcpts >= SINK_RCPT_MAX)
		text = "452 4.5.3 Error: too many recipients\r\n";
	if (!answer(s, STEP_RCPT, line, len, text) || *text != '2')
		return;
	buffer_add(&s->envelope, line, len);
	buffer_add(&s->envelope, "\n", 1);
	s->rcpts++;
}

static void run_data(struct sink_session *s, const char *line, size_t len)
{
	const char *text = "354 End data with <CR><LF>.<CR><LF>\r\n";

	if (!s->envelope.len)
		text = "503 5.5.1 Error: need MAIL command\r\n";
	else if (!s->rcpts)
		text = "554 5.5.1 Error: no valid recipients\r\n";
	if (!answer(s, STEP_DATA, line, len, text) || *text != '3')
		return;
	s->state = SESSION_DATA;
	s->line_start = 1;
	sink_session_arm(s, STEP_BODY);
}

static void mail_end(struct sink_session *s, enum sink_step step, const char *line, size_t len)
{
	const char *text = "250 2.0.0 Ok: taken\r\n";
	size_t most = sink_session_offer(s)->size_max;

	s->state = SESSION_COMMAND;
	s->fault.armed = 0;
	if (!s->rcpts || s->chunk_failed)
		text = "503 5.5.1 Error: need RCPT command\r\n";
	else if (most && s->message.len > most)
		text = "552 5.3.4 Message size exceeds fixed limit\r\n";
	if (answer(s, step, line, len, text) && *text == '2')
		sink_store_mail(s);
	else if (s->sink->exim_quirk && !s->rcpts && step == STEP_BDAT) {
		buffer_clear(&s->message);
		return;
	}
	mail_reset(s);
}

static void chunk_end(struct sink_session *s)
{
	const char *text = "250 2.0.0 Ok: chunk taken\r\n";

	if (s->chunk_last) {
		mail_end(s, STEP_BDAT, "BDAT LAST", 9);
		return;
	}
	s->state = SESSION_COMMAND;
	if (!s->rcpts || s->chunk_failed)
		text = "503 5.5.1 Error: need RCPT command\r\n";
	if (!answer(s, STEP_BDAT, "BDAT", 4, text) || *text != '2')
		s->chunk_failed = 1;
}

/* The bytes of a chunk follow their command at once, so that they are taken whatever the answer will be. */
static void run_bdat(struct sink_session *s, const char *line, size_t len)
{
	char *end;

	if (!sink_session_offer(s)->chunking || len < 6 || !isdigit((unsigned char)line[5])) {
		sink_store_violation(s, "BDAT that was not offered, or without a size");
		answer(s, STEP_BDAT, line, len, "501 5.5.4 Syntax: BDAT size [LAST]\r\n");
		return;
	}
	s->chunk = strtoul(line + 5, &end, 10);
	s->chunk_last = !strncasecmp(end, " LAST", 5);
	s->state = SESSION_BDAT;
	if (!s->message.len)
		sink_session_arm(s, STEP_BODY);
	if (!s->chunk)
		chunk_end(s);
}

static void auth_end(struct sink_session *s)
{
	sink_auth_free(s->auth);
	s->auth = NULL;
	s->state = SESSION_COMMAND;
}

/* Says what became of a response, or of AUTH itself. Who has authenticated is known only if the client hears it. */
static void auth_answer(struct sink_session *s, enum sink_step step, const char *line, size_t len,
                        enum sink_auth_result result, const struct buffer *challenge)
{
	static const char *const texts[] = {
		[SINK_AUTH_OK] = "235 2.7.0 Authentication successful\r\n",
		[SINK_AUTH_BAD] = "535 5.7.8 Error: authentication failed\r\n",
		[SINK_AUTH_SYNTAX] = "501 5.5.2 Cannot decode response\r\n",
	};
	struct buffer text = { 0 };
	int taken;

	if (result == SINK_AUTH_CHALLENGE) {
		buffer_printf(&text, "334 %.*s\r\n", (int)challenge->len, challenge->len ? challenge->data : "");
		buffer_add(&text, "", 1);
	}
	taken = answer(s, step, line, len, text.len ? text.data : texts[result]);
	buffer_free(&text);
	s->sink->auths += result == SINK_AUTH_OK && taken;
	s->sink->auths_failed += result == SINK_AUTH_BAD;
	if (result == SINK_AUTH_OK && taken)
		s->user = strdup(sink_auth_user(s->auth));
	if (result == SINK_AUTH_CHALLENGE && taken)
		s->state = SESSION_AUTH;
	else
		auth_end(s);
}

static void run_auth(struct sink_session *s, const char *line, size_t len)
{
	const char *name = len > 5 ? line + 5 : "", *end = line + len, *initial;
	struct buffer challenge = { 0 };
	enum sink_auth_result result;

	initial = len > 5 ? memchr(name, ' ', (size_t)(end - name)) : NULL;
	if (s->user || s->envelope.len) {
		answer(s, STEP_AUTH, line, len, "503 5.5.1 Error: already authenticated, or in a mail\r\n");
		return;
	}
	s->auth = len > 5 ? sink_auth_new(s, name, (size_t)((initial ? initial : end) - name)) : NULL;
	if (!s->auth) {
		sink_store_violation(s, "AUTH that was not offered");
		answer(s, STEP_AUTH, line, len, "504 5.5.4 Unrecognized authentication type\r\n");
		return;
	}
	if (!initial)
		result = sink_auth_step(s->auth, NULL, 0, &challenge);
	else if (end - initial == 2 && initial[1] == '=')   /* RFC 4954 section 4: an empty one */
		result = sink_auth_step(s->auth, "", 0, &challenge);
	else
		result = sink_auth_step(s->auth, initial + 1, (size_t)(end - initial - 1), &challenge);
	auth_answer(s, STEP_AUTH, line, len, result, &challenge);
	buffer_free(&challenge);
}

static void auth_line(struct sink_session *s, const char *line, size_t len)
{
	struct buffer challenge = { 0 };

	if (len == 1 && *line == '*') {
		auth_end(s);
		answer(s, STEP_AUTHSTEP, line, len, "501 5.7.0 Authentication aborted\r\n");
		return;
	}
	auth_answer(s, STEP_AUTHSTEP, line, len, sink_auth_step(s->auth, line, len, &challenge), &challenge);
	buffer_free(&challenge);
}

static void run_starttls(struct sink_session *s, const char *line, size_t len)
{
	if (!sink_session_offer(s)->starttls) {
		sink_store_violation(s, "STARTTLS that was not offered");
		answer(s, STEP_STARTTLS, line, len, "503 5.5.1 Error: no STARTTLS now\r\n");
	} else if (answer(s, STEP_STARTTLS, line, len, "220 2.0.0 Ready to start TLS\r\n") && s->then == THEN_GO_ON) {
		s->then = THEN_TLS;
		s->waiting = 1;
	}
}

static void run_rset(struct sink_session *s, const char *line, size_t len)
{
	mail_reset(s);
	answer(s, STEP_RSET, line, len, "250 2.0.0 Ok\r\n");
}

static void run_noop(struct sink_session *s, const char *line, size_t len)
{
	answer(s, STEP_NOOP, line, len, "250 2.0.0 Ok\r\n");
}

static void run_quit(struct sink_session *s, const char *line, size_t len)
{
	s->quit = 1;
	s->sink->quits++;
	sink_session_answer(s, STEP_QUIT, line, len, "221 2.0.0 Bye\r\n", THEN_CLOSE);
}

static void run_other(struct sink_session *s, const char *line, size_t len)
{
	sink_store_violation(s, "a command that does not exist");
	answer(s, STEP_OTHER, line, len, "500 5.5.2 Error: command not recognized\r\n");
}

static const struct command commands[] = {
	{ "MAIL", STEP_MAIL, 0, run_mail },
	{ "RCPT", STEP_RCPT, 0, run_rcpt },
	{ "DATA", STEP_DATA, 1, run_data },
	{ "BDAT", STEP_BDAT, 0, run_bdat },
	{ "RSET", STEP_RSET, 0, run_rset },
	{ "NOOP", STEP_NOOP, 1, run_noop },
	{ "EHLO", STEP_EHLO, 1, run_hello },
	{ "HELO", STEP_HELO, 1, run_hello },
	{ "QUIT", STEP_QUIT, 1, run_quit },
	{ "AUTH", STEP_AUTH, 1, run_auth },
	{ "STARTTLS", STEP_STARTTLS, 1, run_starttls },
	{ NULL, STEP_OTHER, 0, run_other },
};

static void command_run(struct sink_session *s, const char *line, size_t len, int more)
{
	const struct command *c = commands;

	size_t word = 0;

	while (word < len && line[word] != ' ')
		word++;
	while (c->word && (strlen(c->word) != word || strncasecmp(line, c->word, word)))
		c++;
	s->alone = (c->last_of_group || !sink_session_offer(s)->pipelining) && c->step != STEP_BDAT;
	if (more && s->alone)
		sink_store_violation(s, c->last_of_group ? "bytes after a command that ends a group" :
		                     "pipelining that was not offered");
	if (len > 510)
		sink_store_violation(s, "a command line of more than 512 bytes");
	c->run(s, line, len);
}

static size_t feed_line(struct sink_session *s, const char *data, size_t len)
{
	const char *newline = memchr(data, '\n', len);
	size_t used, length;

	if (!newline) {
		if (len <= SINK_LINE_MAX)
			return 0;
		sink_store_violation(s, "a line without an end");
		sink_session_answer(s, STEP_OTHER, "", 0, "500 5.5.2 Error: line too long\r\n", THEN_CLOSE);
		return len;
	}
	used = (size_t)(newline - data) + 1;
	length = used - 1;
	if (length && data[length - 1] == '\r')
		length--;
	else
		sink_store_violation(s, "a command line that ends in a bare LF");
	sink_store_line(s, 'C', data, length);
	if (s->state == SESSION_AUTH)
		auth_line(s, data, length);
	else
		command_run(s, data, length, used < len);
	return used;
}

/* One line of the message. Only CRLF ends a line, so that a bare LF before a dot hides nothing. */
static size_t feed_data(struct sink_session *s, const char *data, size_t len)
{
	const char *newline = memchr(data, '\n', len);
	size_t used = newline ? (size_t)(newline - data) + 1 : len;
	int crlf = newline && used >= 2 && newline[-1] == '\r';

	if (!newline && len <= SINK_LINE_MAX)
		return 0;
	if (s->line_start && crlf && used == 3 && data[0] == '.') {
		sink_store_line(s, 'C', data, 1);
		s->alone = !sink_session_offer(s)->pipelining;
		if (used < len && s->alone)
			sink_store_violation(s, "pipelining that was not offered");
		mail_end(s, STEP_DOT, ".", 1);
		return used;
	}
	if (newline && !crlf)
		sink_store_violation(s, "a bare LF in a message");
	if (s->line_start && used - (data[0] == '.') > 1000)
		sink_store_violation(s, "a line of more than 1000 bytes in a message");
	if (s->line_start && data[0] == '.')
		buffer_add(&s->message, data + 1, used - 1);
	else
		buffer_add(&s->message, data, used);
	s->line_start = crlf;
	return used;
}

static size_t feed_chunk(struct sink_session *s, const char *data, size_t len)
{
	size_t used = len < s->chunk ? len : s->chunk;

	if (s->fault.armed && s->message.len + used > s->fault.answer.after)
		used = s->fault.answer.after - s->message.len;
	buffer_add(&s->message, data, used);
	s->chunk -= used;
	if (!s->chunk)
		chunk_end(s);
	return used;
}

/* Has a message come to where its fault is? */
static int fault_is_due(const struct sink_session *s)
{
	return s->fault.armed && (s->state == SESSION_DATA || s->state == SESSION_BDAT) &&
	       s->message.len >= s->fault.answer.after;
}

size_t sink_smtp_feed(struct sink_session *s, const char *data, size_t len)
{
	if (fault_is_due(s)) {
		sink_session_fault(s);
		if (s->waiting)
			return 0;
	}
	switch (s->state) {
	case SESSION_DATA:
		return feed_data(s, data, len);
	case SESSION_BDAT:
		return feed_chunk(s, data, len);
	default:
		return feed_line(s, data, len);
	}
}
