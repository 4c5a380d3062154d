/*
 * Unit tests of smtp_client's calls: what they take and refuse, and what they show. The dialogues are in
 * test_smtp_session.c and test_smtp_transaction.c, whole sessions in test_smtp_client_model.c.
 */
#include <mailers/smtp_client.h>

#include "unit.h"

#define MESSAGE "Subject: s\r\n\r\nhi\r\n"

static const struct smtp_client_settings settings = {
	.helo = "me", .timeout_mail_ms = 10000, .timeout_final_ms = 300000, .timeout_quit_ms = 5000,
};

/* Takes what the client has written, as a string. */
static const char *written(struct smtp_client *c)
{
	static char out[4096];
	const char *data;
	size_t n = smtp_client_peek(c, &data);

	assert_in_range(n, 0, sizeof(out) - 1);
	if (n)
		memcpy(out, data, n);
	out[n] = '\0';
	smtp_client_ack(c, n, 0);
	return out;
}

static void say(struct smtp_client *c, const char *text)
{
	smtp_client_feed(c, text, strlen(text), 0);
}

static struct smtp_client *client_ready(const char *ehlo)
{
	struct smtp_client *c = smtp_client_new(&settings, 0);
	struct smtp_client_event ev;

	assert_non_null(c);
	smtp_client_connected(c, 0);
	say(c, "220 mx ESMTP\r\n");
	assert_string_equal(written(c), "EHLO me\r\n");
	say(c, ehlo);
	assert_true(smtp_client_next_event(c, &ev));
	assert_int_equal(ev.type, SMTP_EVENT_READY);
	return c;
}

static struct smtp_envelope envelope(const char *from, const char *const *rcpt, const char *message)
{
	return (struct smtp_envelope){
		.from = from, .rcpt = rcpt, .nrcpt = 1, .message = message, .message_len = strlen(message),
	};
}

static void new__each_name__taken_if_a_command_can_carry_it(void **state)
{
	char longest[SMTP_CLIENT_HELO_MAX + 2];
	struct {
		const char *helo;
		bool good;
	} rows[] = {
		{ "mx.example.net", true }, { "[192.0.2.1]", true },
		{ "caf\xc3\xa9", true }, { longest + 1, true },
		{ longest, false }, { "", false }, { "a b", false }, { "a\r\nQUIT", false }, { "a\n", false },
		{ "\t", false }, { "a\x7f", false },
	};
	struct smtp_client_settings s = settings;
	size_t i;

	(void)state;
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct smtp_client *c;

		s.helo = rows[i].helo;
		c = smtp_client_new(&s, 0);
		assert_int_equal(c != NULL, rows[i].good);
		smtp_client_free(c);
	}
}

static void new__its_name__is_a_copy(void **state)
{
	char helo[] = "here";
	struct smtp_client_settings s = settings;
	struct smtp_client *c;

	(void)state;
	s.helo = helo;
	c = smtp_client_new(&s, 0);
	helo[0] = 'X';
	smtp_client_connected(c, 0);
	say(c, "220 mx\r\n");
	assert_string_equal(written(c), "HELO here\r\n");
	smtp_client_free(c);
}

static void feed__before_the_connection__refused_without_effect(void **state)
{
	struct smtp_client *c = smtp_client_new(&settings, 0);

	(void)state;
	assert_int_equal(smtp_client_feed(c, "220 mx\r\n", 8, 0), MAILERS_ERR_STATE);
	assert_int_equal(smtp_client_stage(c), SMTP_STAGE_CONNECT);
	smtp_client_connected(c, 0);
	smtp_client_connected(c, 0);
	assert_int_equal(smtp_client_need(c), 4);
	assert_int_equal(smtp_client_feed(c, "554 no\r\n", 8, 0), MAILERS_ERR_PERMANENT);
	assert_int_equal(smtp_client_feed(c, "220 mx\r\n", 8, 0), MAILERS_OK);
	assert_int_equal(smtp_client_want(c), SMTP_CLIENT_WANT_CLOSE);
	smtp_client_free(c);
}

static void feed__past_the_deadline__fails_by_itself(void **state)
{
	struct smtp_client *c = smtp_client_new(&settings, 0);

	(void)state;
	smtp_client_connected(c, 0);
	assert_int_equal(smtp_client_feed(c, "2", 1, 9999), MAILERS_OK);
	assert_int_equal(smtp_client_feed(c, "2", 1, 10000), MAILERS_ERR_TIMEOUT);
	smtp_client_free(c);
}

static void feed__late_but_whole__counts(void **state)
{
	struct smtp_client *c = smtp_client_new(&settings, 0);
	const char *rcpt = "r";
	struct smtp_envelope env = envelope("f", &rcpt, MESSAGE);
	struct smtp_client_event ev;

	(void)state;
	smtp_client_connected(c, 0);
	say(c, "220 ESMTP\n");
	written(c);
	assert_int_equal(smtp_client_feed(c, "250-mx\n250 PIPELINING\n", 22, 12000), MAILERS_OK);
	assert_true(smtp_client_next_event(c, &ev));
	assert_int_equal(ev.type, SMTP_EVENT_READY);
	assert_int_equal(smtp_client_submit(c, &env, 12000), MAILERS_OK);
	assert_int_equal(smtp_client_deadline(c), 12000); /* but no time is left for the mail */
	written(c);
	say(c, "250\n250\n354\n");
	written(c);
	assert_int_equal(smtp_client_feed(c, "250 ok\n", 7, 400000), MAILERS_OK);
	assert_true(smtp_client_next_event(c, &ev));
	assert_int_equal(ev.verdicts[0].outcome, SMTP_OUTCOME_ACCEPTED);
	smtp_client_free(c);
}

static void ack__more_than_there_is__takes_what_there_is(void **state)
{
	struct smtp_client *c = client_ready("250 mx\r\n");
	const char *data;

	(void)state;
	smtp_client_quit(c, 0);
	smtp_client_ack(c, 4, 0);
	assert_int_equal(smtp_client_peek(c, &data), 2);
	assert_memory_equal(data, "\r\n", 2);
	smtp_client_ack(c, 1000, 0);
	assert_int_equal(smtp_client_peek(c, &data), 0);
	say(c, "221 bye\r\n");
	assert_int_equal(smtp_client_want(c), SMTP_CLIENT_WANT_READ);
	assert_int_equal(smtp_client_need(c), 1);
	smtp_client_free(c);
}

static void ack__of_nothing__does_not_count_ahead(void **state)
{
	struct smtp_client *c = client_ready("250 mx\r\n");
	const char *rcpt = "r";
	struct smtp_envelope env = envelope("f", &rcpt, MESSAGE);

	(void)state;
	smtp_client_ack(c, 1000, 0);
	assert_int_equal(smtp_client_submit(c, &env, 0), MAILERS_OK);
	assert_int_equal(smtp_client_feed(c, "250\r\n", 5, 0), MAILERS_ERR_PROTOCOL); /* MAIL was not sent */
	smtp_client_free(c);
}

static char path_max[SMTP_CLIENT_PATH_MAX + 2];

static const struct path_row {
	const char *path;
	enum mailers_error as_from, as_rcpt;
} path_rows[] = {
	{ "a@x", MAILERS_OK, MAILERS_OK },
	{ "root", MAILERS_OK, MAILERS_OK },
	{ "", MAILERS_OK, MAILERS_ERR_SYNTAX },
	{ "\"a b\"@x", MAILERS_OK, MAILERS_OK },
	{ "\"a<>\"@x", MAILERS_OK, MAILERS_OK },
	{ "\"a\\\"> b\"@x", MAILERS_OK, MAILERS_OK },
	{ "\"a\\\\\"@x", MAILERS_OK, MAILERS_OK },
	{ "a\\b@x", MAILERS_OK, MAILERS_OK },
	{ "caf\xc3\xa9@x", MAILERS_OK, MAILERS_OK },
	{ path_max + 1, MAILERS_OK, MAILERS_OK },
	{ path_max, MAILERS_ERR_BOUND, MAILERS_ERR_BOUND },
	{ "a b@x", MAILERS_ERR_SYNTAX, MAILERS_ERR_SYNTAX },
	{ "a>b@x", MAILERS_ERR_SYNTAX, MAILERS_ERR_SYNTAX },
	{ "<a@x", MAILERS_ERR_SYNTAX, MAILERS_ERR_SYNTAX },
	{ "\"a\\\\\" >\"@x", MAILERS_ERR_SYNTAX, MAILERS_ERR_SYNTAX },
	{ "\"a@x", MAILERS_ERR_SYNTAX, MAILERS_ERR_SYNTAX },
	{ "\"a\\", MAILERS_ERR_SYNTAX, MAILERS_ERR_SYNTAX },
	{ "\"a\\\n\"@x", MAILERS_ERR_SYNTAX, MAILERS_ERR_SYNTAX },
	{ "\"a\n\"@x", MAILERS_ERR_SYNTAX, MAILERS_ERR_SYNTAX },
	{ "a\r\nDATA", MAILERS_ERR_SYNTAX, MAILERS_ERR_SYNTAX },
	{ "a\r", MAILERS_ERR_SYNTAX, MAILERS_ERR_SYNTAX },
	{ "a\n", MAILERS_ERR_SYNTAX, MAILERS_ERR_SYNTAX },
	{ "a\t@x", MAILERS_ERR_SYNTAX, MAILERS_ERR_SYNTAX },
	{ "a\x7f@x", MAILERS_ERR_SYNTAX, MAILERS_ERR_SYNTAX },
};

static void submit__each_path__taken_if_it_stays_between_its_brackets(void **state)
{
	struct smtp_client_event ev;
	char expected[600];
	size_t i;

	(void)state;
	memset(path_max, 'x', sizeof(path_max) - 1);
	for (i = 0; i < sizeof(path_rows) / sizeof(*path_rows); i++) {
		struct smtp_client *c = client_ready("250-mx\r\n250 PIPELINING\r\n");
		const char *rcpts[] = { "good", path_rows[i].path };
		struct smtp_envelope env = envelope(path_rows[i].path, rcpts, MESSAGE);

		assert_int_equal(smtp_client_submit(c, &env, 0), path_rows[i].as_from);
		if (path_rows[i].as_from) { /* nothing has changed */
			assert_string_equal(written(c), "");
			assert_false(smtp_client_next_event(c, &ev));
			assert_int_equal(smtp_client_want(c), SMTP_CLIENT_WANT_SUBMIT);
			assert_true(smtp_client_accepts(c));
		} else {
			snprintf(expected, sizeof(expected), "MAIL FROM:<%s>\r\nRCPT TO:<good>\r\nDATA\r\n",
			         path_rows[i].path);
			assert_string_equal(written(c), expected);
		}
		smtp_client_free(c);
		c = client_ready("250-mx\r\n250 PIPELINING\r\n");
		env = envelope("f", rcpts, MESSAGE);
		env.nrcpt = 2;
		assert_int_equal(smtp_client_submit(c, &env, 0), path_rows[i].as_rcpt);
		env.rcpt = rcpts + 1;
		env.nrcpt = 1;
		if (path_rows[i].as_rcpt)
			assert_int_equal(smtp_client_submit(c, &env, 0), path_rows[i].as_rcpt);
		smtp_client_free(c);
	}
}

static void submit__each_message__taken_if_its_end_is_its_end(void **state)
{
	static const struct {
		const char *message;
		size_t len;
		enum mailers_error error;
	} rows[] = {
		{ "\r\n", 2, MAILERS_OK },
		{ "a\r\n", 3, MAILERS_OK },
		{ ".\r\n", 3, MAILERS_OK },
		{ "a.b\r\n", 5, MAILERS_OK },
		{ "a\r\n.\r\nb\r\n", 9, MAILERS_OK },
		{ "\xff\x01\t\r\n", 5, MAILERS_OK },
		{ "", 0, MAILERS_ERR_SYNTAX },
		{ "\n", 1, MAILERS_ERR_SYNTAX },
		{ "a", 1, MAILERS_ERR_SYNTAX },
		{ "a\n", 2, MAILERS_ERR_SYNTAX },
		{ "a\r", 2, MAILERS_ERR_SYNTAX },
		{ "a\r\n\r", 4, MAILERS_ERR_SYNTAX },
		{ "a\rb", 3, MAILERS_ERR_SYNTAX },
		{ "a\nb\r\n", 5, MAILERS_ERR_SYNTAX },
		{ "a\rb\r\n", 5, MAILERS_ERR_SYNTAX },
		{ "a\r\r\n", 4, MAILERS_ERR_SYNTAX },
		{ "\n\r\n", 3, MAILERS_ERR_SYNTAX },
		{ "a\n.\r\n", 5, MAILERS_ERR_SYNTAX },
		{ "a\0b\r\n", 5, MAILERS_ERR_SYNTAX },
	};
	const char *rcpt = "r";
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct smtp_client *c = client_ready("250 mx\r\n");
		struct smtp_envelope env = envelope("f", &rcpt, MESSAGE);
		char *copy = malloc(rows[i].len + 1);

		assert_non_null(copy);
		memcpy(copy, rows[i].message, rows[i].len);
		env.message = copy;
		env.message_len = rows[i].len;
		assert_int_equal(smtp_client_submit(c, &env, 0), rows[i].error);
		assert_int_equal(smtp_client_want(c),
		                 rows[i].error ? SMTP_CLIENT_WANT_SUBMIT : SMTP_CLIENT_WANT_WRITE);
		smtp_client_free(c);
		free(copy);
	}
}

static void submit__recipients__one_to_the_limit(void **state)
{
	struct smtp_client *c = client_ready("250 mx\r\n");
	const char *rcpts[SMTP_CLIENT_RCPT_MAX + 1];
	struct smtp_envelope env = envelope("f", rcpts, MESSAGE);
	struct smtp_client_event ev;
	size_t i;

	(void)state;
	for (i = 0; i <= SMTP_CLIENT_RCPT_MAX; i++)
		rcpts[i] = "r";
	env.nrcpt = 0;
	assert_int_equal(smtp_client_submit(c, &env, 0), MAILERS_ERR_SYNTAX);
	env.nrcpt = SMTP_CLIENT_RCPT_MAX + 1;
	assert_int_equal(smtp_client_submit(c, &env, 0), MAILERS_ERR_BOUND);
	env.nrcpt = SMTP_CLIENT_RCPT_MAX;
	assert_int_equal(smtp_client_submit(c, &env, 0), MAILERS_OK);
	assert_int_equal(smtp_client_submit(c, &env, 0), MAILERS_ERR_STATE);
	smtp_client_eof(c, 0);
	assert_true(smtp_client_next_event(c, &ev));
	assert_int_equal(ev.nverdicts, SMTP_CLIENT_RCPT_MAX);
	assert_int_equal(ev.verdicts[SMTP_CLIENT_RCPT_MAX - 1].outcome, SMTP_OUTCOME_RETURNED);
	smtp_client_free(c);
}

/* The longest message, with a dot at the start of its first <dots> lines of "x\r\n". */
static void submit_longest(size_t len, size_t dots, enum mailers_error error)
{
	struct smtp_client *c = client_ready("250-mx\r\n250 PIPELINING\r\n");
	char *message = malloc(len + 1);
	const char *rcpt = "r", *data;
	struct smtp_envelope env;
	size_t i;

	assert_non_null(message);
	memset(message, 'x', len);
	memcpy(message + len - 2, "\r\n", 3);
	for (i = 0; i < dots; i++)
		memcpy(message + 3 * i, ".\r\n", 3);
	env = envelope("f", &rcpt, message);
	assert_int_equal(smtp_client_submit(c, &env, 0), error);
	if (!error) {
		written(c);
		say(c, "250\r\n250\r\n354\r\n");
		assert_int_equal(smtp_client_peek(c, &data), len + dots + 3);
		assert_int_equal(smtp_client_submit(c, &env, 0), MAILERS_OK);
	}
	smtp_client_free(c);
	free(message);
}

static void submit__long_message__counted_with_its_dots(void **state)
{
	(void)state;
	submit_longest(SMTP_CLIENT_MESSAGE_MAX, 0, MAILERS_OK);
	submit_longest(SMTP_CLIENT_MESSAGE_MAX - 3, 3, MAILERS_OK);
	submit_longest(SMTP_CLIENT_MESSAGE_MAX + 1, 0, MAILERS_ERR_BOUND);
	submit_longest(SMTP_CLIENT_MESSAGE_MAX - 3, 4, MAILERS_ERR_BOUND);
}

static void submit__high_bytes__body_8bitmime_where_it_is_offered(void **state)
{
	static const struct {
		const char *ehlo, *message, *mail;
	} rows[] = {
		{ "250-mx\r\n250 8BITMIME\r\n", "\xc3\xa9\r\n", "MAIL FROM:<f> BODY=8BITMIME\r\n" },
		{ "250-mx\r\n250 8BITMIME\r\n", "\x7f\r\n", "MAIL FROM:<f>\r\n" },
		{ "250 mx\r\n", "\xc3\xa9\r\n", "MAIL FROM:<f>\r\n" },
	};
	const char *rcpt = "r";
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct smtp_client *c = client_ready(rows[i].ehlo);
		struct smtp_envelope env = envelope("f", &rcpt, rows[i].message);

		assert_int_equal(smtp_client_submit(c, &env, 0), MAILERS_OK);
		assert_string_equal(written(c), rows[i].mail);
		smtp_client_free(c);
	}
}

static void verdict__long_and_binary_reply__is_cut_and_printable(void **state)
{
	struct smtp_client *c = client_ready("250 mx\r\n");
	const char *rcpt = "r";
	struct smtp_envelope env = envelope("f", &rcpt, MESSAGE);
	struct smtp_client_event ev;
	char reply[600];
	size_t i;

	(void)state;
	env.cookie = reply;
	assert_int_equal(smtp_client_submit(c, &env, 0), MAILERS_OK);
	written(c);
	memset(reply, '\x1b', sizeof(reply));
	memcpy(reply, "550 ", 4);
	reply[sizeof(reply) - 1] = '\n';
	smtp_client_feed(c, reply, sizeof(reply), 0);
	assert_true(smtp_client_next_event(c, &ev));
	assert_ptr_equal(ev.cookie, reply);
	assert_int_equal(ev.verdicts[0].code, 550);
	assert_in_range(strlen(ev.verdicts[0].reply), 250, 255);
	for (i = 0; ev.verdicts[0].reply[i]; i++)
		assert_in_range(ev.verdicts[0].reply[i], ' ', '~');
	assert_false(smtp_client_next_event(c, &ev));
	assert_non_null(ev.reply);
	smtp_client_free(c);
}

static void free__at_any_time__frees_what_is_in_flight(void **state)
{
	struct smtp_client *c = client_ready("250-mx\r\n250 PIPELINING\r\n");
	const char *rcpt = "r";
	struct smtp_envelope env = envelope("f", &rcpt, MESSAGE);
	struct smtp_client_event ev;

	(void)state;
	smtp_client_free(NULL);
	assert_int_equal(smtp_client_submit(c, &env, 0), MAILERS_OK);
	written(c);
	say(c, "550\r\n503\r\n503\r\n");
	assert_int_equal(smtp_client_submit(c, &env, 0), MAILERS_OK);
	written(c);
	say(c, "250\r\n250\r\n354\r\n");
	written(c);
	assert_int_equal(smtp_client_submit(c, &env, 0), MAILERS_OK);
	say(c, "250\r\n");
	assert_int_equal(smtp_client_accepted(c), 1);
	assert_true(smtp_client_next_event(c, &ev));
	smtp_client_free(c); /* one taken, one answered, one in flight */
}

static uint32_t draw(uint32_t *seed, uint32_t n)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed % n;
}

struct babble { /* what came of a session */
	uint32_t seed;
	uint64_t now;
	unsigned submitted, answered, ends;
};

static void babble_take(struct babble *b, struct smtp_client *c)
{
	struct smtp_client_event ev;

	while (smtp_client_next_event(c, &ev)) {
		assert_int_equal(b->ends, 0);
		b->answered += ev.type == SMTP_EVENT_TRANSACTION;
		b->ends += ev.type == SMTP_EVENT_FAILED || ev.type == SMTP_EVENT_CLOSED;
		assert_int_not_equal(ev.error, MAILERS_ERR_INTERNAL);
	}
}

static void babble_step(struct babble *b, struct smtp_client *c)
{
	static const char *const words[] = {
		"220 ESMTP\r\n", "220 x\r\n", "250-x\r\n250 PIPELINING\r\n", "250\n", "250 ok\r\n",
		"250\r\n250\r\n354\r\n", "354 go\r\n", "421 bye\r\n", "450 x\r\n", "503 x\r\n", "550 x\r\n",
		"550 5.7.1 x\r\n", "221\r\n", "25", "0", "-", " ", "\r\n", "x", "452\r\n", "552\r\n",
	};
	static const char *const rcpts[] = { "a", "b", "c" };
	struct smtp_envelope env = envelope("f", rcpts, MESSAGE);
	const char *data;
	size_t n;

	switch (draw(&b->seed, 16)) {
	case 0:
		b->now += draw(&b->seed, 8000);
		smtp_client_tick(c, b->now);
		break;
	case 1:
		babble_take(b, c);
		break;
	case 2:
		if (!draw(&b->seed, 8))
			smtp_client_quit(c, b->now);
		break;
	case 3:
	case 4:
		env.nrcpt = 1 + draw(&b->seed, 3);
		b->submitted += smtp_client_submit(c, &env, b->now) == MAILERS_OK;
		break;
	case 5:
	case 6:
	case 7:
	case 8:
		n = smtp_client_peek(c, &data);
		smtp_client_ack(c, draw(&b->seed, 4) ? n : draw(&b->seed, (uint32_t)n + 1), b->now);
		break;
	default:
		data = words[draw(&b->seed, sizeof(words) / sizeof(*words))];
		if (draw(&b->seed, 8)) /* mostly what gets it further */
			data = smtp_client_stage(c) == SMTP_STAGE_DATA ? "354\r\n" : "250\r\n";
		if (smtp_client_want(c) == SMTP_CLIENT_WANT_READ || !draw(&b->seed, 32))
			smtp_client_feed(c, data, strlen(data), b->now);
		break;
	}
	assert_in_range(smtp_client_need(c), 1, SMTP_CLIENT_NEED_MAX);
	assert_true(smtp_client_deadline(c) > b->now || smtp_client_want(c) == SMTP_CLIENT_WANT_CLOSE);
}

static void client__server_says_anything__each_mail_is_answered_once(void **state)
{
	unsigned answered = 0, i;
	uint32_t seed;

	(void)state;
	for (seed = 1; seed < 20000; seed++) {
		struct smtp_client *c = client_ready(seed % 3 ? "250-mx\r\n250 PIPELINING\r\n" : "250 mx\r\n");
		struct babble b = { .seed = seed };

		for (i = 0; i < 100; i++)
			babble_step(&b, c);
		smtp_client_eof(c, b.now);
		assert_int_equal(smtp_client_want(c), SMTP_CLIENT_WANT_CLOSE);
		babble_take(&b, c);
		assert_int_equal(b.answered, b.submitted);
		assert_int_equal(b.ends, 1);
		answered += b.answered;
		smtp_client_free(c);
	}
	assert_true(answered > 20000); /* else it never got anywhere */
}

static void stage__each__has_a_name(void **state)
{
	int i, k;

	(void)state;
	for (i = SMTP_STAGE_CONNECT; i <= SMTP_STAGE_QUIT; i++) {
		for (k = 0; k < i; k++)
			assert_string_not_equal(smtp_stage_name((enum smtp_client_stage)i),
			                        smtp_stage_name((enum smtp_client_stage)k));
	}
	assert_string_equal(smtp_stage_name(SMTP_STAGE_CONNECT), "connect");
	assert_string_equal(smtp_stage_name(SMTP_STAGE_EHLO), "EHLO");
	assert_string_equal(smtp_stage_name((enum smtp_client_stage)99), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(new__each_name__taken_if_a_command_can_carry_it),
		cmocka_unit_test(new__its_name__is_a_copy),
		cmocka_unit_test(feed__before_the_connection__refused_without_effect),
		cmocka_unit_test(feed__past_the_deadline__fails_by_itself),
		cmocka_unit_test(feed__late_but_whole__counts),
		cmocka_unit_test(ack__of_nothing__does_not_count_ahead),
		cmocka_unit_test(ack__more_than_there_is__takes_what_there_is),
		cmocka_unit_test(submit__each_path__taken_if_it_stays_between_its_brackets),
		cmocka_unit_test(submit__each_message__taken_if_its_end_is_its_end),
		cmocka_unit_test(submit__recipients__one_to_the_limit),
		cmocka_unit_test(submit__long_message__counted_with_its_dots),
		cmocka_unit_test(submit__high_bytes__body_8bitmime_where_it_is_offered),
		cmocka_unit_test(verdict__long_and_binary_reply__is_cut_and_printable),
		cmocka_unit_test(free__at_any_time__frees_what_is_in_flight),
		cmocka_unit_test(client__server_says_anything__each_mail_is_answered_once),
		cmocka_unit_test(stage__each__has_a_name),
	};

	return cmocka_run_group_tests_name("smtp_client", tests, NULL, NULL);
}
