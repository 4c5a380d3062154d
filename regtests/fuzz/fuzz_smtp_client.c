/*
 * smtp_client: whatever a server says, in whatever pieces, the client says nothing but its own commands and
 * mails in their order, each mail gets exactly one event, none is lost or sent twice, the session always has
 * a deadline or an end, and how the bytes were cut changes nothing.
 *
 * Input: a line of options, then what the server says, line by line; before each line the output is
 * acknowledged and mails are submitted. A line that starts with '!' is the host's:
 *
 *   options  0-9 mails to submit (3), h helo_only, c do not connect, a acknowledge nothing by itself,
 *            g feed all lines up to the next '!' at once, o STARTTLS where it is offered, r required, i implicit
 *            TLS, p a password, t a token, k an access token that is long, u AUTH within TLS alone
 *   !c connected   !a acknowledge half of the output   !A all of it   !e eof   !q quit
 *   !T TLS is established   !U it is not, or breaks
 *   !s a second passes   !t the deadline comes   !x submit what must be refused   !! feed this line's rest
 */
#include <mailers/buffer.h>
#include <mailers/smtp_client.h>

#include "fuzz.h"

#define MAILS_MAX 9
#define STEPS_MAX 400

#define R "r@x"
#define R5 R, R, R, R, R

static const char *const recipients[] = { R5, R5, R5, R5, R5 };

/* Mail n is of kind n % KINDS. A line of a message starts with 'm', or with dots: no command does. */
static const struct {
	const char *from;
	size_t nrcpt;
	const char *message, *stuffed; /* formats of the number */
} kinds[] = {
	{ "f@x", 1, "m%zu a line\r\n", "m%zu a line\r\n.\r\n" },
	{ "", 3, ".\r\n..m%zu\r\n.m\r\n", "..\r\n...m%zu\r\n..m\r\n.\r\n" },
	{ "f@x", 25, "m%zu\xff\r\n", "m%zu\xff\r\n.\r\n" },
};

#define KINDS (sizeof(kinds) / sizeof(*kinds))

static struct mail {
	struct smtp_envelope env;
	char message[32], stuffed[32], chunk[64];
} mails[MAILS_MAX];

static void make_mails(void)
{
	for (size_t i = 0; i < MAILS_MAX; i++) {
		struct mail *mail = &mails[i];

		mail->env.from = kinds[i % KINDS].from;
		mail->env.rcpt = recipients;
		mail->env.nrcpt = kinds[i % KINDS].nrcpt;
		snprintf(mail->message, sizeof(mail->message), kinds[i % KINDS].message, i);
		snprintf(mail->stuffed, sizeof(mail->stuffed), kinds[i % KINDS].stuffed, i);
		mail->env.message = mail->message;
		mail->env.message_len = strlen(mail->message);
		mail->env.cookie = (void *)mail;
		snprintf(mail->chunk, sizeof(mail->chunk), "BDAT %zu LAST\r\n%s", mail->env.message_len,
		         mail->message);
	}
}

#define REFUSED_TEXT "m a line\r\n"
#define REFUSED_LEN (sizeof(REFUSED_TEXT) - 1)

static const struct smtp_envelope refused[] = {
	{ .from = "f\r\nDATA", .rcpt = recipients, .nrcpt = 1, .message = REFUSED_TEXT, .message_len = REFUSED_LEN },
	{ .from = "f@x", .rcpt = recipients, .nrcpt = 1, .message = "m", .message_len = 1 },
	{ .from = "f@x", .rcpt = recipients, .nrcpt = 1, .message = "m\n.\r\n", .message_len = 5 },
	{ .from = "f@x", .rcpt = recipients, .nrcpt = 0, .message = REFUSED_TEXT, .message_len = REFUSED_LEN },
};

/* One session, its host, and what was seen. Of our bytes only those count that were acknowledged. */
struct session {
	struct smtp_client *client;
	uint64_t now;
	size_t want_mails, submitted, answered, accepted, cut;
	bool answers[MAILS_MAX], ready, ended, eof, keep, group;
	struct smtp_client_settings settings;
	size_t secured;        /* our bytes before TLS was established, SIZE_MAX before */
	struct buffer log, out, said; /* events; our bytes; the server's */
	struct buffer dialogue;
};

/* How many mails were said to their ends, with DATA and with BDAT. */
struct session_texts {
	size_t data, chunks;
};

static void log_transaction(struct session *s, const struct smtp_client_event *event)
{
	const struct mail *mail = event->cookie;
	bool accepted = false, sent;

	FUZZ_CHECK(mail < mails + s->submitted && !s->answers[mail - mails]);
	FUZZ_CHECK(event->nverdicts == mail->env.nrcpt);
	sent = memmem(s->out.data, s->out.len, mail->stuffed, strlen(mail->stuffed)) ||
	       memmem(s->out.data, s->out.len, mail->chunk, strlen(mail->chunk));
	s->answers[mail - mails] = true;
	s->answered++;
	for (size_t i = 0; i < event->nverdicts; i++) {
		const struct smtp_verdict *v = &event->verdicts[i];

		FUZZ_CHECK(v->outcome <= SMTP_OUTCOME_UNKNOWN && v->stage <= SMTP_STAGE_AUTH);
		FUZZ_CHECK(fuzz_printable(v->reply));
		/* No mail is lost, and none is sent twice. */
		FUZZ_CHECK(v->outcome != SMTP_OUTCOME_ACCEPTED || (sent && v->code / 100 == 2));
		FUZZ_CHECK(v->outcome != SMTP_OUTCOME_RETURNED || !sent || v->code);
		FUZZ_CHECK(v->outcome != SMTP_OUTCOME_UNKNOWN || sent);
		FUZZ_CHECK(v->outcome != SMTP_OUTCOME_REFUSED || v->code / 100 == 5);
		accepted = accepted || v->outcome == SMTP_OUTCOME_ACCEPTED;
		buffer_printf(&s->log, " %d/%d/%u/%s", v->outcome, v->stage, v->code, v->reply);
	}
	s->accepted += accepted;
}

static void take_events(struct session *s)
{
	struct smtp_client_event event;

	while (smtp_client_next_event(s->client, &event)) {
		FUZZ_CHECK(!s->ended);
		buffer_printf(&s->log, "event %d", event.type);
		switch (event.type) {
		case SMTP_EVENT_READY:
			FUZZ_CHECK(!s->ready);
			s->ready = true;
			break;
		case SMTP_EVENT_TRANSACTION:
			log_transaction(s, &event);
			break;
		case SMTP_EVENT_FAILED:
			FUZZ_CHECK(event.error != MAILERS_OK && event.error != MAILERS_ERR_INTERNAL);
			/* fall through */
		case SMTP_EVENT_CLOSED:
			s->ended = true;
			/* fall through */
		case SMTP_EVENT_NO_EHLO:
			FUZZ_CHECK(event.reply && fuzz_printable(event.reply));
			buffer_printf(&s->log, " %d/%d/%u/%s", event.error, event.stage, event.code,
			              event.reply);
			break;
		}
		buffer_puts(&s->log, "\n");
	}
}

/* What holds whenever the events are taken. */
static void check_state(const struct session *s)
{
	enum smtp_client_want want = smtp_client_want(s->client);
	uint64_t deadline = smtp_client_deadline(s->client);
	const char *data;
	size_t n = smtp_client_peek(s->client, &data);

	FUZZ_CHECK((want == SMTP_CLIENT_WANT_CLOSE) == s->ended);
	FUZZ_CHECK((want == SMTP_CLIENT_WANT_WRITE) == (n > 0));
	FUZZ_CHECK(smtp_client_accepted(s->client) == s->accepted);
	switch (want) {
	case SMTP_CLIENT_WANT_READ:
		FUZZ_CHECK(smtp_client_need(s->client) >= 1);
		FUZZ_CHECK(smtp_client_need(s->client) <= SMTP_CLIENT_NEED_MAX);
		/* fall through */
	case SMTP_CLIENT_WANT_WRITE:
		FUZZ_CHECK(deadline != UINT64_MAX);
		break;
	case SMTP_CLIENT_WANT_TLS:
		break;
	case SMTP_CLIENT_WANT_SUBMIT:
		FUZZ_CHECK(smtp_client_accepts(s->client));
		FUZZ_CHECK(s->answered == s->submitted);
		break;
	case SMTP_CLIENT_WANT_CLOSE:
		FUZZ_CHECK(s->answered == s->submitted);
		FUZZ_CHECK(deadline == UINT64_MAX && !smtp_client_accepts(s->client));
		break;
	}
}

static void acknowledge(struct session *s, size_t divisor)
{
	const char *data;
	size_t n = smtp_client_peek(s->client, &data);

	n = (n + divisor - 1) / divisor;
	buffer_add(&s->out, data, n);
	smtp_client_ack(s->client, n, s->now);
}

/* As many mails as may go, then QUIT. */
static void submit(struct session *s)
{
	while (s->submitted < s->want_mails && smtp_client_accepts(s->client)) {
		FUZZ_CHECK(smtp_client_submit(s->client, &mails[s->submitted].env, s->now) == MAILERS_OK);
		s->submitted++;
		FUZZ_CHECK(s->submitted - s->answered <= SMTP_CLIENT_WINDOW_MAILS);
		take_events(s);
	}
	if (s->submitted == s->want_mails && smtp_client_want(s->client) == SMTP_CLIENT_WANT_SUBMIT)
		smtp_client_quit(s->client, s->now);
}

static void submit_refused(struct session *s)
{
	const char *data;
	size_t n = smtp_client_peek(s->client, &data);

	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++)
		FUZZ_CHECK(smtp_client_submit(s->client, &refused[i], s->now) ==
		           (smtp_client_accepts(s->client) ? MAILERS_ERR_SYNTAX : MAILERS_ERR_STATE));
	FUZZ_CHECK(smtp_client_peek(s->client, &data) == n);
}

static void tick(struct session *s, uint64_t now)
{
	s->now = now;
	smtp_client_tick(s->client, now);
	FUZZ_CHECK(smtp_client_deadline(s->client) > now);
}

static void feed(struct session *s, const char *data, size_t len)
{
	size_t n;

	buffer_add(&s->said, data, len);
	for (size_t at = 0; at < len; at += n) {
		n = s->cut ? s->cut : (size_t)(unsigned char)data[at] % 7 + 1;
		if (n > len - at)
			n = len - at;
		smtp_client_feed(s->client, data + at, n, s->now);
		take_events(s);
	}
}

static void host_step(struct session *s, const char *line, size_t len)
{
	switch (len > 1 ? line[1] : 0) {
	case 'c': smtp_client_connected(s->client, s->now); break;
	case 'a': acknowledge(s, 2); break;
	case 'A': acknowledge(s, 1); break;
	case 'e': smtp_client_eof(s->client, s->now); s->eof = true; break;
	case 'q': smtp_client_quit(s->client, s->now); s->want_mails = s->submitted; break;
	case 's': tick(s, s->now + 1000); break;
	case 'T':
		if (smtp_client_want(s->client) == SMTP_CLIENT_WANT_TLS)
			s->secured = s->out.len;
		smtp_client_secured(s->client, s->now);
		break;
	case 'U': smtp_client_unsecured(s->client, MAILERS_ERR_TLS, "no \xff TLS", s->now); break;
	case 't':
		if (smtp_client_deadline(s->client) != UINT64_MAX)
			tick(s, smtp_client_deadline(s->client));
		break;
	case 'x': submit_refused(s); break;
	case '!': feed(s, line + 2, len - 2); break;
	default: break;
	}
}

/* The length of the step at <p>: a line, or with <group> all lines up to the next that starts with '!'. */
static size_t step_length(const char *p, size_t len, bool group)
{
	size_t n = 0;

	do {
		while (n < len && p[n] != '\n')
			n++;
		n += n < len;
	} while (group && *p != '!' && n < len && p[n] != '!');
	return n;
}

/* After the end of the server, and of time, everything is told. */
static void finish(struct session *s)
{
	for (int i = 0; i < MAILS_MAX + 3 && !s->ended; i++) {
		if (smtp_client_want(s->client) == SMTP_CLIENT_WANT_SUBMIT)
			smtp_client_quit(s->client, s->now);
		tick(s, smtp_client_deadline(s->client));
		take_events(s);
	}
	FUZZ_CHECK(s->ended);
	check_state(s);
	FUZZ_CHECK(s->answered == s->submitted);
}

static char token[6000];
static const struct sasl_credentials credentials[] = {
	{ .user = "user", .password = "pass" }, { .user = "user", .token = "token" },
	{ .user = "user", .token = token },
};

/* The options; returns whether the client is connected at once. */
static bool read_options(struct session *s, const char *p, size_t n)
{
	struct smtp_client_settings *settings = &s->settings;
	bool connected = true;

	for (size_t i = 0; i < n; i++) {
		if (p[i] >= '0' && p[i] <= '9')
			s->want_mails = (size_t)(p[i] - '0');
		connected = connected && p[i] != 'c';
		switch (p[i]) {
		case 'h': settings->helo_only = true; break;
		case 'g': s->group = true; break;
		case 'a': s->keep = true; break;
		case 'o': settings->tls = SMTP_TLS_OPPORTUNISTIC; break;
		case 'r': settings->tls = SMTP_TLS_REQUIRED; break;
		case 'i': settings->tls = SMTP_TLS_IMPLICIT; break;
		case 'p': settings->credentials = &credentials[0]; break;
		case 't': settings->credentials = &credentials[1]; break;
		case 'k': settings->credentials = &credentials[2]; break;
		case 'u': settings->auth_without_tls = false; break;
		default: break;
		}
	}
	return connected;
}

static void run_session(struct session *s, const char *p, size_t len, size_t cut)
{
	size_t n = step_length(p, len, false);
	bool connected;

	*s = (struct session){ .want_mails = 3, .cut = cut, .now = 1000, .secured = SIZE_MAX };
	s->settings = (struct smtp_client_settings){
		.helo = "our.name", .timeout_mail_ms = 10000, .timeout_final_ms = 300000, .timeout_quit_ms = 5000,
		.mechanisms = SASL_ALL, .auth_without_tls = true, .dialogue = &s->dialogue,
	};
	memset(token, 't', sizeof(token) - 1);
	connected = read_options(s, p, n);
	s->client = smtp_client_new(&s->settings, s->now);
	FUZZ_CHECK(s->client);
	if (connected)
		smtp_client_connected(s->client, s->now);
	for (size_t steps = 0; n < len && steps < STEPS_MAX; steps++) {
		p += n;
		len -= n;
		if (!s->keep)
			acknowledge(s, 1);
		n = step_length(p, len, s->group);
		if (*p == '!')
			host_step(s, p, n);
		else if (!s->eof)
			feed(s, p, n);
		take_events(s);
		submit(s);
		take_events(s);
		check_state(s);
	}
	finish(s);
}

/* --- what we said --- */

/* Does <out> at *<at> go on with <text>? Takes it. True too when the output ends within it. */
static bool said(const struct buffer *out, size_t *at, const char *text)
{
	size_t len = strlen(text), left = out->len - *at;

	if (len > left)
		len = left;
	if (!len || memcmp(out->data + *at, text, len) != 0)
		return false;
	*at += len;
	return true;
}

static size_t count_lines(const struct buffer *b, char first)
{
	size_t n = 0;

	for (size_t i = 0; i < b->len; i++)
		n += b->data[i] == first && (!i || b->data[i - 1] == '\n');
	return n;
}

/* The envelope and the text of one mail, as far as they were said. */
static void check_mail(const struct buffer *out, size_t *at, const struct mail *mail, struct session_texts *texts)
{
	char command[64];

	snprintf(command, sizeof(command), "MAIL FROM:<%s>", mail->env.from);
	FUZZ_CHECK(said(out, at, command));
	said(out, at, " BODY=8BITMIME");
	FUZZ_CHECK(*at == out->len || said(out, at, "\r\n"));
	for (size_t i = 0; i < mail->env.nrcpt; i++)
		if (!said(out, at, "RCPT TO:<" R ">\r\n"))
			return;
	if (said(out, at, mail->chunk)) {
		texts->chunks++;
		return;
	}
	if (!said(out, at, "DATA\r\n") || *at == out->len)
		return;
	if (said(out, at, mail->stuffed) || said(out, at, ".\r\n"))
		texts->data++;
}

/* Nothing but these is said before the first mail. */
static void check_opening(const struct buffer *out, size_t *at)
{
	static const char *const lines[] = {
		"EHLO our.name\r\n", "HELO our.name\r\n", "STARTTLS\r\n", "AUTH PLAIN AHVzZXIAcGFzcw==\r\n",
		"AUTH LOGIN\r\n", "dXNlcg==\r\n", "cGFzcw==\r\n", "*\r\n", "\r\n", "AQ==\r\n",
		"AUTH XOAUTH2 dXNlcj11c2VyAWF1dGg9QmVhcmVyIHRva2VuAQE=\r\n", "AUTH XOAUTH2\r\n",
		"AUTH OAUTHBEARER bixhPXVzZXIsAWF1dGg9QmVhcmVyIHRva2VuAQE=\r\n", "AUTH OAUTHBEARER\r\n",
	};
	static char longs[2][12000]; /* the responses with the long token */
	bool more = true;

	for (int i = 0; i < 2 && !longs[i][0]; i++) {
		struct sasl *sasl = sasl_new(i ? SASL_XOAUTH2 : SASL_OAUTHBEARER, &credentials[2], NULL);
		struct buffer response = { 0 };

		FUZZ_CHECK(sasl && !sasl_initial(sasl, &response) && !sasl_step(sasl, "", 0, &response));
		snprintf(longs[i], sizeof(longs[i]), "%.*s\r\n", (int)response.len, response.data);
		buffer_free(&response);
		sasl_free(sasl);
	}
	while (more && *at < out->len) {
		more = said(out, at, longs[0]) || said(out, at, longs[1]);
		for (size_t i = 0; i < sizeof(lines) / sizeof(*lines) && !more; i++)
			more = said(out, at, lines[i]);
	}
}

/* What may be said within TLS alone, and what is never shown. */
static void check_secrets(const struct session *s)
{
	size_t plain = s->secured < s->out.len ? s->secured : s->out.len;
	bool tls = s->settings.tls >= SMTP_TLS_REQUIRED;

	FUZZ_CHECK(!tls || !plain || !memmem(s->out.data, plain, "MAIL FROM", 9));
	FUZZ_CHECK(s->settings.auth_without_tls || !plain || !memmem(s->out.data, plain, "AUTH ", 5));
	FUZZ_CHECK(!s->settings.credentials || !s->out.len || memmem(s->out.data, s->out.len, "AUTH ", 5) ||
	           !memmem(s->out.data, s->out.len, "MAIL FROM", 9));
	if (s->dialogue.len && !memmem(s->said.data, s->said.len, "dXNl", 4) &&
	    !memmem(s->said.data, s->said.len, "AHVz", 4)) {
		FUZZ_CHECK(!memmem(s->dialogue.data, s->dialogue.len, "dXNl", 4));
		FUZZ_CHECK(!memmem(s->dialogue.data, s->dialogue.len, "AHVz", 4));
	}
	for (size_t i = 0; i < s->dialogue.len; i++)
		FUZZ_CHECK(s->dialogue.data[i] == '\n' || (s->dialogue.data[i] >= ' ' && s->dialogue.data[i] <= '~'));
}

static void check_said(const struct session *s)
{
	struct session_texts texts = { 0, 0 };
	size_t at = 0, mail = 0;

	check_opening(&s->out, &at);
	while (at < s->out.len) {
		said(&s->out, &at, "RSET\r\n");
		if (at == s->out.len || said(&s->out, &at, "QUIT\r\n"))
			break;
		FUZZ_CHECK(mail < s->submitted);
		check_mail(&s->out, &at, &mails[mail++], &texts);
	}
	FUZZ_CHECK(at == s->out.len);
	FUZZ_CHECK(texts.data <= count_lines(&s->said, '3'));
	FUZZ_CHECK(s->accepted <= texts.data + texts.chunks);
	check_secrets(s);
}

static void end_session(struct session *s)
{
	smtp_client_free(s->client);
	buffer_free(&s->log);
	buffer_free(&s->out);
	buffer_free(&s->said);
	buffer_free(&s->dialogue);
}

static bool same(const struct buffer *a, const struct buffer *b)
{
	return a->len == b->len && (!a->len || !memcmp(a->data, b->data, a->len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct session whole, other;

	make_mails();
	run_session(&whole, (const char *)data, size, size ? size : 1);
	check_said(&whole);
	for (size_t cut = 0; cut < 2; cut++) {
		run_session(&other, (const char *)data, size, cut);
		FUZZ_CHECK(same(&whole.log, &other.log));
		FUZZ_CHECK(same(&whole.out, &other.out));
		FUZZ_CHECK(same(&whole.dialogue, &other.dialogue));
		end_session(&other);
	}
	end_session(&whole);
	return 0;
}
