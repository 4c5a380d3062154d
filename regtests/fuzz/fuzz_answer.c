/*
 * answer: whatever the host answers about an alert, each recipient has it once for each answer that was taken, or as it
 * would be without; a mail server sees commands of ours alone, and a mail no header that an answer may not add.
 *
 * Input: name|value|name|value..., where the name "next" begins another answer.
 */
#include <strings.h>

#include <mailers/engine.h>

#include "fuzz.h"

#define ANSWERS   (ENGINE_ANSWERS + 2)
#define ROUNDS    20000

/* The lines of one connection, as a mail server reads them. */
struct server {
	char line[2048], reply[4096];
	size_t len, mails;
	bool data, headers;
};

static void check_command(const char *line)
{
	static const char *const known[] = { "EHLO lb", "MAIL FROM:<f@example.org>", "RCPT TO:<", "DATA", "QUIT", "RSET" };
	size_t i;

	for (i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (!strncmp(line, known[i], strlen(known[i])))
			break;
	}
	FUZZ_CHECK(i < sizeof(known) / sizeof(*known));
	FUZZ_CHECK(fuzz_printable(line));
}

static void check_header(const char *line)
{
	static const char *const not[] = { "bcc:", "resent-", "received:", "return-path:", "x-original-to:" };
	size_t i;

	for (i = 0; i < sizeof(not) / sizeof(*not); i++)
		FUZZ_CHECK(strncasecmp(line, not[i], strlen(not[i])) != 0);
	FUZZ_CHECK(*line == ' ' || *line == '\t' || strchr(line, ':'));
}

/* One line from the client, without its CRLF; what is to be said goes to s->reply. */
static void server_line(struct server *s, const char *line)
{
	const char *reply = "250 ok\r\n";

	if (s->data && strcmp(line, ".") != 0) {
		s->headers = s->headers && *line;
		if (s->headers)
			check_header(line);
		return;
	}
	if (s->data) {
		s->data = false;
		s->mails++;
	} else {
		check_command(line);
		if (!strcmp(line, "DATA")) {
			s->data = s->headers = true;
			reply = "354 go on\r\n";
		} else if (!strncmp(line, "EHLO", 4)) {
			reply = "250-mx\r\n250 8BITMIME\r\n";
		} else if (!strcmp(line, "QUIT")) {
			reply = "221 bye\r\n";
		}
	}
	strcat(s->reply, reply);
}

static void server_take(struct server *s, const char *data, size_t n)
{
	for (; n; data++, n--) {
		FUZZ_CHECK(s->len < sizeof(s->line) - 1);
		s->line[s->len++] = *data;
		if (*data != '\n')
			continue;
		FUZZ_CHECK(s->len > 1 && s->line[s->len - 2] == '\r');
		s->line[s->len - 2] = '\0';
		server_line(s, s->line);
		s->len = 0;
	}
}

/* Moves the bytes of the one connection until it is over. */
static void serve(struct engine *e, int slot, struct server *s)
{
	const char *data;
	size_t n, rounds = 0;

	strcpy(s->reply, "220 mx ESMTP\r\n");
	s->len = 0;
	s->data = false;
	engine_connected(e, slot, 1000);
	while (engine_want(e, slot) != ENGINE_WANT_CLOSE) {
		FUZZ_CHECK(rounds++ < ROUNDS);
		if (engine_want(e, slot) == ENGINE_WANT_WRITE) {
			n = engine_peek(e, slot, &data);
			server_take(s, data, n);
			engine_ack(e, slot, n, 1000);
		} else {
			FUZZ_CHECK(s->reply[0]);
			char reply[sizeof(s->reply)];

			strcpy(reply, s->reply);
			s->reply[0] = '\0';
			engine_feed(e, slot, reply, strlen(reply), 1000);
		}
	}
	engine_release(e, slot, 1000);
}

static struct engine *start(struct engine_proxy **proxy)
{
	struct engine *e = engine_new(&(struct engine_settings){ .token = "t" });
	const struct engine_proxy_settings settings = {
		.name = "be", .from = "f@example.org", .to = "a@example.org, b@example.org", .level = ALERT_LEVEL_INFO,
		.subject = "%{server} %{state}", .ask_ms = 1000,
	};
	const struct mailer_settings mailer = { .name = "m1", .address = "mx:25", .helo = "lb", .maxconn = 1,
	                                        .timeout_mail_ms = 100000, .timeout_final_ms = 100000 };
	char reason[ENGINE_REASON_MAX];

	FUZZ_CHECK(e && !engine_proxy_add(e, &settings, proxy, reason));
	FUZZ_CHECK(!engine_proxy_mailer(e, *proxy, &mailer, reason) && !engine_proxy_ready(e, *proxy, reason));
	return e;
}

/* The answers of the input; returns how many. */
static size_t read_answers(struct fuzz_input *in, struct buffer *answers)
{
	size_t n = 0;

	while (in->len && n < ANSWERS) {
		char *name = fuzz_field(in), *value = fuzz_field(in);

		if (!strcmp(name, "next")) {
			n++;
		} else {
			buffer_add(&answers[n], name, strlen(name) + 1);
			buffer_add(&answers[n], value, strlen(value) + 1);
		}
		free(name);
		free(value);
	}
	return n < ANSWERS ? n + 1 : n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct alert_text what = { .level = ALERT_LEVEL_ALERT };
	struct fuzz_input in = { data, size };
	struct buffer answers[ANSWERS] = { { 0 } }, question = { 0 };
	struct server server = { .len = 0 };
	struct engine_proxy *proxy;
	struct engine *e = start(&proxy);
	size_t n = read_answers(&in, answers), i;
	struct engine_stats stats;
	enum mailers_error error;
	uint64_t id;
	int slot;

	engine_raise(e, proxy, 1, "be/s1", &what, "Server be/s1 is DOWN", 20, "Mon, 02 Mar 2026 14:05:09 +0100 (CET)", 1000);
	id = engine_ask(e, &question, 1000);
	FUZZ_CHECK(id);
	error = engine_answer(e, id, answers, n, 1000);
	FUZZ_CHECK(error != MAILERS_ERR_STATE && error != MAILERS_ERR_NOMEM && !engine_asked(e, id));
	engine_stats(e, &stats);
	FUZZ_CHECK(stats.raised == (error ? 1 : n));
	FUZZ_CHECK(error ? stats.recipients == 2 : stats.recipients >= n);
	while ((slot = engine_connect(e, 1000)) >= 0)
		serve(e, slot, &server);
	engine_stats(e, &stats);
	FUZZ_CHECK(!engine_busy(e));
	FUZZ_CHECK(stats.accepted == stats.recipients);
	FUZZ_CHECK(server.mails >= stats.raised); /* a recipient whose lane waits gets a mail of its own */
	engine_free(e);
	for (i = 0; i < ANSWERS; i++)
		buffer_free(&answers[i]);
	buffer_free(&question);
	return 0;
}
