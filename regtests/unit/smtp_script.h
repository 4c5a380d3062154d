/*
 * smtp_script - dialogues with smtp_client, written down as text, for the tests that include this.
 *
 * One line each:
 *
 *   S <text>    the server says this line          s <text>   ... without CRLF
 *   C <text>    the client has written this line; a run of them is all that it has written
 *   c <n>       n bytes of what it has written go out, whatever they are
 *   X           the connection ends
 *   -           not connected yet (the first line) K          now it is
 *   M <n> <r>.. submit mail n (1-9, A-C) to these   Q          quit
 *   + <ms>      time passes, and the client is told
 *   @ <ms>      the deadline, counted from the start ("none" without)
 *   E <event>   the next event; no event may be left over at the next line that is not an E
 *   W <want>    read, write, tls, submit, close    Y / N      a mail may / may not be submitted now
 *   L <stage>   the stage                          D <line>   the next line of the dialogue
 *   T           TLS is established                 U <why>    TLS could not be had, or broke
 *
 * Each script is run with the server's bytes whole, one by one, in two parts at every place, and in parts of
 * exactly smtp_client_need() bytes. What the client needs is never more than what is left of the server's
 * lines up to the next act (c, C, M, Q, +), as a correct server says nothing more until it is spoken to; but
 * X may cut it off.
 */
#ifndef SMTP_SCRIPT_H
#define SMTP_SCRIPT_H

#include <mailers/smtp_client.h>

#include "unit.h"

#define SCRIPT_HELO_ONLY  0x01u
#define SCRIPT_ODD_SERVER 0x02u /* it says less than its commands ask for, or not before more was sent */

#define SCRIPT_NO_PIPELINING 0x04u
#define SCRIPT_NO_CHUNKING   0x08u
#define SCRIPT_OPPORTUNISTIC 0x10u
#define SCRIPT_REQUIRED      0x20u
#define SCRIPT_IMPLICIT      0x40u
#define SCRIPT_PASSWORD      0x80u  /* user "user", password "pass" */
#define SCRIPT_TOKEN         0x100u /* user "user", token "token" */
#define SCRIPT_IN_THE_CLEAR  0x200u /* AUTH without TLS */
#define SCRIPT_ONLY_PLAIN    0x400u /* of the mechanisms */

#define SCRIPT_MAILS 12
#define SCRIPT_SIZE  8192
#define SCRIPT_START 1000 /* ms; timeouts: mail 10 s, final 300 s, QUIT 5 s */

enum script_mode { SCRIPT_WHOLE = 0, SCRIPT_BYTES, SCRIPT_NEED, SCRIPT_SPLIT };

struct script {
	const char *name;
	unsigned flags;
	const char *text;
};

struct script_mail {
	char text[256];
	const char *rcpt[SMTP_CLIENT_RCPT_MAX];
	struct smtp_envelope env;
};

struct script_run {
	const struct script *script;
	enum script_mode mode;
	size_t split;       /* SPLIT: the place, counted over all bytes of the server */
	size_t said;        /* bytes of the server so far */
	const char *line;   /* where the script is */
	struct smtp_client *client;
	uint64_t now;
	struct script_mail mails[SCRIPT_MAILS];
	char server[SCRIPT_SIZE], expected[SCRIPT_SIZE];
	struct buffer dialogue;
	size_t heard;       /* bytes of the dialogue that were compared */
};

#define SCRIPT_MESSAGE "Subject: s\r\n\r\n.hello\r\n"
#define SCRIPT_BODY    "C Subject: s\nC \nC ..hello\nC .\n"

static const char *const script_outcomes[] = { "accepted", "deferred", "refused", "returned", "unknown" };
static const char *const script_wants[] = { "read", "write", "tls", "submit", "close" };

static void script_fail(const struct script_run *r, const char *what, const char *got)
{
	fail_msg("%s (mode %d, split %zu): %s at \"%.60s\": %s", r->script->name, (int)r->mode, r->split, what,
	         r->line, got);
}

static const char *script_error(enum mailers_error error)
{
	switch (error) {
	case MAILERS_ERR_NOMEM:
		return "nomem";
	case MAILERS_ERR_PROTOCOL:
		return "protocol";
	case MAILERS_ERR_TIMEOUT:
		return "timeout";
	case MAILERS_ERR_CLOSED:
		return "closed";
	case MAILERS_ERR_TEMPORARY:
		return "temporary";
	case MAILERS_ERR_PERMANENT:
		return "permanent";
	case MAILERS_ERR_TLS:
		return "TLS";
	default:
		return "?";
	}
}

static void script_event_text(const struct smtp_client_event *ev, char *out, size_t size)
{
	const struct smtp_verdict *v;
	size_t i, len;

	switch (ev->type) {
	case SMTP_EVENT_READY:
		snprintf(out, size, "ready");
		break;
	case SMTP_EVENT_TRANSACTION:
		len = (size_t)snprintf(out, size, "mail %s:", (const char *)ev->cookie);
		for (i = 0; i < ev->nverdicts && len < size; i++) {
			v = &ev->verdicts[i];
			len += (size_t)snprintf(out + len, size - len, "%s %s@%s[%s]", i ? "," : "",
			                        script_outcomes[v->outcome], smtp_stage_name(v->stage), v->reply);
			assert_true(v->code ? (unsigned)atoi(v->reply) == v->code : !atoi(v->reply));
		}
		break;
	case SMTP_EVENT_NO_EHLO:
		snprintf(out, size, "no-ehlo [%s]", ev->reply);
		assert_int_equal(ev->stage, SMTP_STAGE_EHLO);
		break;
	case SMTP_EVENT_FAILED:
		snprintf(out, size, "failed %s@%s[%s]%s", script_error(ev->error), smtp_stage_name(ev->stage),
		         ev->reply, ev->credentials_refused ? " credentials" : "");
		break;
	case SMTP_EVENT_CLOSED:
		snprintf(out, size, "closed@%s[%s]", smtp_stage_name(ev->stage), ev->reply);
		break;
	}
	if (ev->type != SMTP_EVENT_TRANSACTION)
		assert_int_equal(ev->code, atoi(ev->reply));
}

/* The text of the next event, "" without one. */
static const char *script_next_event(struct script_run *r)
{
	static char text[2048];
	struct smtp_client_event ev;

	text[0] = '\0';
	if (smtp_client_next_event(r->client, &ev))
		script_event_text(&ev, text, sizeof(text));
	return text;
}

static size_t script_part(const struct script_run *r, size_t left)
{
	size_t need = smtp_client_need(r->client);

	switch (r->mode) {
	case SCRIPT_BYTES:
		return 1;
	case SCRIPT_NEED:
		return need < left ? need : left;
	case SCRIPT_SPLIT:
		return r->said < r->split && r->split < r->said + left ? r->split - r->said : left;
	default:
		return left;
	}
}

/* How many bytes the server says from this line on before something is done. */
static size_t script_still(const struct script_run *r)
{
	const char *line;
	size_t len = 0;

	if ((r->script->flags & SCRIPT_ODD_SERVER) || r->server[strlen(r->server) - 1] != '\n')
		return SIZE_MAX / 2;
	for (line = r->line; *line && strchr("SEWYNLD@", *line); line = strchr(line, '\n') + 1)
		len += *line == 'S' ? strcspn(line + 2, "\n") + 2 : 0;
	return *line == 'X' || *line == 's' ? SIZE_MAX / 2 : len;
}

static void script_say(struct script_run *r)
{
	size_t len = strlen(r->server), still = script_still(r), n, pos;

	for (pos = 0; pos < len; pos += n) {
		char *copy;

		if (smtp_client_want(r->client) == SMTP_CLIENT_WANT_READ &&
		    smtp_client_need(r->client) > len - pos + still)
			script_fail(r, "needs more than what is left", r->server + pos);
		n = script_part(r, len - pos);
		copy = malloc(n); /* so that ASan sees a byte too many */
		assert_non_null(copy);
		memcpy(copy, r->server + pos, n);
		smtp_client_feed(r->client, copy, n, r->now);
		free(copy);
		r->said += n;
	}
	r->server[0] = '\0';
}

static void script_check_written(struct script_run *r)
{
	const char *data;
	char got[SCRIPT_SIZE];
	size_t n = smtp_client_peek(r->client, &data);

	assert_true(n < sizeof(got));
	if (n)
		memcpy(got, data, n);
	got[n] = '\0';
	if (strcmp(got, r->expected))
		script_fail(r, "the client wrote", got);
	smtp_client_ack(r->client, n, r->now);
	r->expected[0] = '\0';
}

static void script_submit(struct script_run *r, const char *line)
{
	struct script_mail *m = &r->mails[line[0] <= '9' ? line[0] - '1' : line[0] - 'A' + 9];
	char *s;

	snprintf(m->text, sizeof(m->text), "%.250s", line);
	*strchrnul(m->text, '\n') = '\0';
	m->env = (struct smtp_envelope){
		.from = "f@x", .rcpt = m->rcpt, .cookie = m->text,
		.message = SCRIPT_MESSAGE, .message_len = strlen(SCRIPT_MESSAGE),
	};
	for (s = strtok(m->text + 1, " "); s; s = strtok(NULL, " "))
		m->rcpt[m->env.nrcpt++] = s;
	m->text[1] = '\0';
	if (smtp_client_submit(r->client, &m->env, r->now) != MAILERS_OK)
		script_fail(r, "submit", "refused");
}

static void script_check(struct script_run *r, const char *expected, const char *got)
{
	size_t len = strcspn(expected, "\n");

	if (strlen(got) != len || strncmp(expected, got, len))
		script_fail(r, "got", got);
}

static void script_deadline(struct script_run *r, const char *arg)
{
	uint64_t deadline = smtp_client_deadline(r->client);
	char got[32] = "none";

	if (deadline != UINT64_MAX)
		snprintf(got, sizeof(got), "%llu", (unsigned long long)(deadline - SCRIPT_START));
	script_check(r, arg, got);
}

static void script_dialogue(struct script_run *r, const char *expected)
{
	char got[1024];
	size_t len = 0;

	while (r->heard < r->dialogue.len && r->dialogue.data[r->heard] != '\n' && len < sizeof(got) - 1)
		got[len++] = r->dialogue.data[r->heard++];
	got[len] = '\0';
	r->heard++;
	script_check(r, expected, got);
}

static void script_append(char *to, const char *text, const char *end)
{
	size_t used = strlen(to);

	assert_true(used + strlen(text) + 3 < SCRIPT_SIZE);
	sprintf(to + used, "%.*s%s", (int)strcspn(text, "\n"), text, end);
}

static void script_unsecured(struct script_run *r, const char *arg)
{
	char why[100];

	snprintf(why, sizeof(why), "%.*s", (int)strcspn(arg, "\n"), arg);
	smtp_client_unsecured(r->client, MAILERS_ERR_TLS, why, r->now);
}

static void script_step(struct script_run *r, char verb, const char *arg)
{
	switch (verb) {
	case '-':
		break;
	case 'K':
		smtp_client_connected(r->client, r->now);
		break;
	case 'S':
	case 's':
		script_append(r->server, arg, verb == 'S' ? "\r\n" : "");
		break;
	case 'C':
		script_append(r->expected, arg, "\r\n");
		break;
	case 'c':
		smtp_client_ack(r->client, (size_t)atoi(arg), r->now);
		break;
	case 'T':
		smtp_client_secured(r->client, r->now);
		break;
	case 'U':
		script_unsecured(r, arg);
		break;
	case 'X':
		smtp_client_eof(r->client, r->now);
		break;
	case 'M':
		script_submit(r, arg);
		break;
	case 'Q':
		smtp_client_quit(r->client, r->now);
		break;
	case '+':
		r->now += (uint64_t)atoi(arg);
		smtp_client_tick(r->client, r->now);
		break;
	case '@':
		script_deadline(r, arg);
		break;
	case 'E':
		script_check(r, arg, script_next_event(r));
		break;
	case 'W':
		script_check(r, arg, script_wants[smtp_client_want(r->client)]);
		break;
	case 'Y':
	case 'N':
		if (smtp_client_accepts(r->client) != (verb == 'Y'))
			script_fail(r, "accepts", verb == 'Y' ? "no" : "yes");
		break;
	case 'D':
		script_dialogue(r, arg);
		break;
	case 'L':
		script_check(r, arg, smtp_stage_name(smtp_client_stage(r->client)));
		break;
	default:
		script_fail(r, "no such verb", "");
	}
}

static enum smtp_tls script_tls(unsigned flags)
{
	if (flags & SCRIPT_OPPORTUNISTIC)
		return SMTP_TLS_OPPORTUNISTIC;
	if (flags & SCRIPT_REQUIRED)
		return SMTP_TLS_REQUIRED;
	return flags & SCRIPT_IMPLICIT ? SMTP_TLS_IMPLICIT : SMTP_TLS_NONE;
}

static const struct sasl_credentials *script_credentials(unsigned flags)
{
	static const struct sasl_credentials password = { .user = "user", .password = "pass" };
	static const struct sasl_credentials token = { .user = "user", .token = "token" };

	if (flags & SCRIPT_PASSWORD)
		return &password;
	return flags & SCRIPT_TOKEN ? &token : NULL;
}

static void script_open(struct script_run *r)
{
	unsigned flags = r->script->flags;
	struct smtp_client_settings settings = {
		.helo = "me", .timeout_mail_ms = 10000, .timeout_final_ms = 300000, .timeout_quit_ms = 5000,
		.helo_only = flags & SCRIPT_HELO_ONLY, .dialogue = &r->dialogue,
		.without = (flags & SCRIPT_NO_PIPELINING ? SMTP_CLIENT_NO_PIPELINING : 0) |
		           (flags & SCRIPT_NO_CHUNKING ? SMTP_CLIENT_NO_CHUNKING : 0),
		.tls = script_tls(flags), .credentials = script_credentials(flags),
		.mechanisms = flags & SCRIPT_ONLY_PLAIN ? SASL_BIT(SASL_PLAIN) : SASL_ALL,
		.auth_without_tls = flags & SCRIPT_IN_THE_CLEAR,
	};

	r->now = SCRIPT_START;
	r->client = smtp_client_new(&settings, r->now);
	assert_non_null(r->client);
	if (r->script->text[0] != '-')
		smtp_client_connected(r->client, r->now);
}

/* The session is over: nothing moves any more. */
static void script_check_over(struct script_run *r)
{
	const char *data;

	assert_int_equal(smtp_client_feed(r->client, "250 ok\r\n", 8, r->now), MAILERS_OK);
	smtp_client_eof(r->client, r->now);
	smtp_client_quit(r->client, r->now);
	smtp_client_tick(r->client, UINT64_MAX);
	assert_int_equal(smtp_client_peek(r->client, &data), 0);
	assert_int_equal(smtp_client_deadline(r->client), UINT64_MAX);
	assert_int_equal(smtp_client_want(r->client), SMTP_CLIENT_WANT_CLOSE);
	script_check(r, "", script_next_event(r));
}

static void script_run(struct script_run *r)
{
	const char *last = NULL;

	script_open(r);
	for (r->line = r->script->text; *r->line; r->line = strchr(r->line, '\n') + 1) {
		char verb = r->line[0];

		if (r->server[0] && verb != 'S' && verb != 's')
			script_say(r);
		if (r->expected[0] && verb != 'C')
			script_check_written(r);
		if (last && *last == 'E' && verb != 'E')
			script_check(r, "", script_next_event(r));
		script_step(r, verb, r->line[1] ? r->line + 2 : "");
		last = r->line;
	}
	if (r->server[0])
		script_say(r);
	if (r->expected[0])
		script_check_written(r);
	script_check(r, "", script_next_event(r));
	if (smtp_client_want(r->client) == SMTP_CLIENT_WANT_CLOSE)
		script_check_over(r);
	smtp_client_free(r->client);
	buffer_free(&r->dialogue);
}

static void script_run_all(const struct script *scripts, size_t n)
{
	struct script_run r;
	size_t i, split, said;

	for (i = 0; i < n; i++) {
		for (int mode = SCRIPT_WHOLE; mode < SCRIPT_SPLIT; mode++) {
			memset(&r, 0, sizeof(r));
			r.script = &scripts[i];
			r.mode = (enum script_mode)mode;
			script_run(&r);
		}
		for (split = 1, said = r.said; split < said; split++) {
			memset(&r, 0, sizeof(r));
			r.script = &scripts[i];
			r.mode = SCRIPT_SPLIT;
			r.split = split;
			script_run(&r);
		}
	}
}

#define SCRIPT_RUN_ALL(scripts) script_run_all(scripts, sizeof(scripts) / sizeof(*(scripts)))

#endif
