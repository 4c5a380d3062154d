/*
 * Unit tests of smtp_reply. Each row's bytes are read whole, one by one, and in two parts at every place; what
 * was read is written down as text, "(code enhanced lines 'text')" for a reply and "!'line'" for bytes that
 * are none.
 */
#include <mailers/smtp_reply.h>

#include "unit.h"

#define LOG_SIZE 16384

struct row {
	const char *input;
	const char *log; /* what comes out */
};

static const struct row valid[] = {
	{ "250 ok\r\n", "(250 0.0.0 1 'ok')" },
	{ "250 ok\n", "(250 0.0.0 1 'ok')" },
	{ "250\r\n", "(250 0.0.0 1 '')" },
	{ "250\n", "(250 0.0.0 1 '')" },
	{ "250 \r\n", "(250 0.0.0 1 '')" },
	{ "250  ok \r\n", "(250 0.0.0 1 ' ok ')" },
	{ "200 a\r\n", "(200 0.0.0 1 'a')" },
	{ "599 a\r\n", "(599 0.0.0 1 'a')" },
	{ "354\r\n", "(354 0.0.0 1 '')" },
	{ "250-a\r\n250 b\r\n", "(250 0.0.0 2 'a\nb')" },
	{ "250-a\n250 b\n", "(250 0.0.0 2 'a\nb')" },
	{ "250-\r\n250-\r\n250\r\n", "(250 0.0.0 3 '\n\n')" },
	{ "250-a\r\n250\r\n", "(250 0.0.0 2 'a\n')" },
	{ "220 a\r\n250 b\r\n250 c\r\n", "(220 0.0.0 1 'a')(250 0.0.0 1 'b')(250 0.0.0 1 'c')" },
	{ "220-a\r\n220 b\r\n550-c\r\n550 d\r\n", "(220 0.0.0 2 'a\nb')(550 0.0.0 2 'c\nd')" },
	/* Enhanced codes: of the last line, and only if they agree with the code. */
	{ "250 2.1.0 ok\r\n", "(250 2.1.0 1 '2.1.0 ok')" },
	{ "550 5.7.123\r\n", "(550 5.7.123 1 '5.7.123')" },
	{ "450 4.999.1 x\r\n", "(450 4.999.1 1 '4.999.1 x')" },
	{ "550-5.1.1 a\r\n550 5.7.1 b\r\n", "(550 5.7.1 2 '5.1.1 a\n5.7.1 b')" },
	{ "550-5.1.1 a\r\n550 b\r\n", "(550 0.0.0 2 '5.1.1 a\nb')" },
	{ "550 5.7.1 a\r\n550 b\r\n", "(550 5.7.1 1 '5.7.1 a')(550 0.0.0 1 'b')" },
	{ "550 4.7.1 a\r\n", "(550 0.0.0 1 '4.7.1 a')" },
	{ "250 2.1 a\r\n", "(250 0.0.0 1 '2.1 a')" },
	{ "250 2.1.0a\r\n", "(250 0.0.0 1 '2.1.0a')" },
	{ "250 2.1.\r\n", "(250 0.0.0 1 '2.1.')" },
	{ "250 2..1\r\n", "(250 0.0.0 1 '2..1')" },
	{ "250 2.1.0.5\r\n", "(250 0.0.0 1 '2.1.0.5')" },
	{ "250 2.1000.1\r\n", "(250 0.0.0 1 '2.1000.1')" },
	{ "250 02.1.0\r\n", "(250 0.0.0 1 '02.1.0')" },
	{ "250 2\r\n", "(250 0.0.0 1 '2')" },
	{ "250  2.1.0\r\n", "(250 0.0.0 1 ' 2.1.0')" },
	/* A text may hold what it likes, but no NUL; a CR belongs to it unless it ends the line. */
	{ "250 a\rb\r\r\n", "(250 0.0.0 1 'a\rb\r')" },
	{ "250 \x01\x7f\x80\xff\t\r\n", "(250 0.0.0 1 '\x01\x7f\x80\xff\t')" },
	{ "250-\x80\r\n250 \xfe\r\n", "(250 0.0.0 2 '\x80\n\xfe')" },
};

static const struct row invalid[] = {
	{ "\r\n", "!''" },
	{ "\n", "!''" },
	{ "2\r\n", "!'2'" },
	{ "25\r\n", "!'25'" },
	{ " 250 ok\r\n", "!' 250 ok'" },
	{ "100 a\r\n", "!'100 a'" },
	{ "199 a\r\n", "!'199 a'" },
	{ "600 a\r\n", "!'600 a'" },
	{ "099 a\r\n", "!'099 a'" },
	{ "2a0 a\r\n", "!'2a0 a'" },
	{ "25: a\r\n", "!'25: a'" },
	{ "25/ a\r\n", "!'25/ a'" },
	{ "250ok\r\n", "!'250ok'" },
	{ "2500 ok\r\n", "!'2500 ok'" },
	{ "250\rok\r\n", "!'250\rok'" },
	{ "250+a\r\n", "!'250+a'" },
	{ "250_a\r\n", "!'250_a'" },
	{ "SSH-2.0-OpenSSH_9.2p1\r\n", "!'SSH-2.0-OpenSSH_9.2p1'" },
	{ "* OK IMAP4rev1 ready\r\n", "!'* OK IMAP4rev1 ready'" },
	{ "250-a\r\n251 b\r\n", "!'251 b'" },
	{ "250-a\r\n550 b\r\n250 c\r\n", "!'550 b'" },
	{ "250-a\r\n\r\n", "!''" },
	{ "250-a\r\nb\r\n250 c\r\n", "!'b'" },
	{ "250 ok\r\nhello\r\n", "(250 0.0.0 1 'ok')!'hello'" },
	/* Binary in the place of the code is refused at once. */
	{ "\x15\x03\x01", "!'\x15'" },
	{ "2\x80", "!'2\x80'" },
	{ "25\x7f", "!'25\x7f'" },
	{ "250\t", "!'250\t'" },
	{ "250-a\r\n25\x01", "!'25\x01'" },
	{ "\xff\xff", "!'\xff'" },
};

static void put(char *log, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(char *log, const char *format, ...)
{
	size_t used = strlen(log);
	va_list ap;

	va_start(ap, format);
	vsnprintf(log + used, LOG_SIZE - used, format, ap);
	va_end(ap);
}

static void read_part(struct smtp_reply_parser *p, const char *data, size_t len, char *log)
{
	size_t took;

	for (; len && !p->error; data += took, len -= took) {
		took = smtp_reply_parser_feed(p, data, len);
		assert_in_range(took, 1, len);
		assert_true(p->complete || p->error || took == len);
		assert_true(p->reply.len <= SMTP_REPLY_TEXT_MAX);
		assert_int_equal(p->reply.text[p->reply.len], '\0');
		if (p->error)
			put(log, "!'%s'", p->reply.text);
		else if (p->complete)
			put(log, "(%u %u.%u.%u %zu '%s')", p->reply.code, p->reply.enhanced[0],
			    p->reply.enhanced[1], p->reply.enhanced[2], p->reply.lines, p->reply.text);
	}
}

static void check_row(const struct row *row)
{
	size_t len = strlen(row->input), split, i;
	struct smtp_reply_parser p;
	char log[LOG_SIZE];

	for (split = 0; split < len; split++) {
		log[0] = '\0';
		smtp_reply_parser_init(&p);
		read_part(&p, row->input, split, log);
		read_part(&p, row->input + split, len - split, log);
		assert_string_equal(log, row->log);
	}
	log[0] = '\0';
	smtp_reply_parser_init(&p);
	for (i = 0; i < len; i++)
		read_part(&p, row->input + i, 1, log);
	assert_string_equal(log, row->log);
}

static void reply__valid_rows__same_replies_at_all_splits(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(valid) / sizeof(*valid); i++)
		check_row(&valid[i]);
}

static void reply__invalid_rows__protocol_error_with_the_line(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(invalid) / sizeof(*invalid); i++)
		check_row(&invalid[i]);
}

static void reply__nul_byte__refused_wherever_it_stands(void **state)
{
	struct smtp_reply_parser p;
	char input[] = "250-ab\r\n250 cd\r\n";
	size_t len = sizeof(input) - 1, i, k;

	(void)state;
	for (i = 0; i < len; i++) {
		char saved = input[i];

		input[i] = '\0';
		smtp_reply_parser_init(&p);
		for (k = 0; k < len; k++)
			smtp_reply_parser_feed(&p, input + k, 1);
		assert_int_equal(p.error, MAILERS_ERR_PROTOCOL);
		smtp_reply_parser_init(&p);
		assert_int_equal(smtp_reply_parser_feed(&p, input, len), len);
		assert_int_equal(p.error, MAILERS_ERR_PROTOCOL);
		assert_int_equal(p.reply.code, 0);
		input[i] = saved;
	}
}

static void reply__after_an_error__swallows_everything(void **state)
{
	struct smtp_reply_parser p;

	(void)state;
	smtp_reply_parser_init(&p);
	assert_int_equal(smtp_reply_parser_feed(&p, "hello\r\n250 ok\r\n", 15), 15);
	assert_int_equal(p.error, MAILERS_ERR_PROTOCOL);
	assert_int_equal(smtp_reply_parser_feed(&p, "250 ok\r\n", 8), 8);
	assert_int_equal(p.error, MAILERS_ERR_PROTOCOL);
	assert_false(p.complete);
	assert_string_equal(p.reply.text, "hello");
	assert_int_equal(smtp_reply_parser_need(&p), 1);
}

/* Feeds "<head>", <n> times 'x', and <tail>, whole or byte by byte. */
static void feed_long(struct smtp_reply_parser *p, const char *head, size_t n, const char *tail, bool bytes)
{
	size_t len = strlen(head) + n + strlen(tail), i;
	char *input = malloc(len + 1);

	assert_non_null(input);
	memcpy(input, head, strlen(head));
	memset(input + strlen(head), 'x', n);
	strcpy(input + strlen(head) + n, tail);
	smtp_reply_parser_init(p);
	for (i = 0; bytes && i < len; i++)
		smtp_reply_parser_feed(p, input + i, 1);
	if (!bytes)
		smtp_reply_parser_feed(p, input, len);
	free(input);
}

static void reply__line_of_the_limit__taken_and_one_more_refused(void **state)
{
	static const char *const ends[] = { "\n", "\r\n" };
	size_t max = SMTP_REPLY_LINE_MAX - 4, i;
	struct smtp_reply_parser p;

	(void)state;
	for (i = 0; i < 4; i++) {
		feed_long(&p, "250 ", max, ends[i / 2], i % 2);
		assert_int_equal(p.error, MAILERS_OK);
		assert_true(p.complete);
		assert_int_equal(p.reply.len, max);
		feed_long(&p, "250 ", max + 1, ends[i / 2], i % 2);
		assert_int_equal(p.error, MAILERS_ERR_PROTOCOL);
		assert_int_equal(p.reply.len, SMTP_REPLY_TEXT_MAX);
		feed_long(&p, "250 ", max, "\r\r\n", i % 2);
		assert_int_equal(p.error, MAILERS_ERR_PROTOCOL);
		feed_long(&p, "250 ", max, "\rx", i % 2);
		assert_int_equal(p.error, MAILERS_ERR_PROTOCOL);
	}
}

static void reply__endless_line__refused_without_waiting_for_its_end(void **state)
{
	struct smtp_reply_parser p;

	(void)state;
	feed_long(&p, "", 100000, "", false);
	assert_int_equal(p.error, MAILERS_ERR_PROTOCOL);
	feed_long(&p, "250 ", 100000, "", true);
	assert_int_equal(p.error, MAILERS_ERR_PROTOCOL);
}

static void reply__lines_of_the_limit__taken_and_one_more_refused(void **state)
{
	struct smtp_reply_parser p;
	size_t i;

	(void)state;
	smtp_reply_parser_init(&p);
	for (i = 1; i < SMTP_REPLY_LINES_MAX; i++)
		assert_int_equal(smtp_reply_parser_feed(&p, "250-a\r\n", 7), 7);
	smtp_reply_parser_feed(&p, "250 b\r\n", 7);
	assert_true(p.complete);
	assert_int_equal(p.reply.lines, SMTP_REPLY_LINES_MAX);
	for (i = 0; i < SMTP_REPLY_LINES_MAX; i++)
		smtp_reply_parser_feed(&p, "250-a\r\n", 7);
	assert_int_equal(p.error, MAILERS_OK);
	smtp_reply_parser_feed(&p, "250 b\r\n", 7);
	assert_int_equal(p.error, MAILERS_ERR_PROTOCOL);
}

static void reply__more_text_than_kept__is_cut_and_the_code_counts(void **state)
{
	struct smtp_reply_parser p;
	char line[1005];

	(void)state;
	memset(line, 'x', sizeof(line));
	memcpy(line, "550-", 4);
	line[sizeof(line) - 1] = '\n';
	smtp_reply_parser_init(&p);
	smtp_reply_parser_feed(&p, line, sizeof(line));
	smtp_reply_parser_feed(&p, line, sizeof(line));
	smtp_reply_parser_feed(&p, line, sizeof(line));
	smtp_reply_parser_feed(&p, "550 5.7.1 no\r\n", 14);
	assert_true(p.complete);
	assert_int_equal(p.reply.code, 550);
	assert_int_equal(p.reply.enhanced[1], 7);
	assert_int_equal(p.reply.lines, 4);
	assert_int_equal(p.reply.len, SMTP_REPLY_TEXT_MAX);
	assert_int_equal(p.reply.text[1000], '\n');
}

/* A reader that asks for as many bytes as are needed never asks beyond the last reply, and gets there. */
static void reply__need__never_more_than_what_is_left(void **state)
{
	struct smtp_reply_parser p;
	size_t i, pos, len, need, next;
	char log[LOG_SIZE] = "";

	(void)state;
	for (i = 0; i < sizeof(valid) / sizeof(*valid); i++) {
		/* The row may hold several replies; each is a reading of its own. */
		len = strlen(valid[i].input);
		smtp_reply_parser_init(&p);
		for (pos = 0; pos < len; pos++) {
			need = smtp_reply_parser_need(&p);
			assert_in_range(need, 1, len - pos);
			read_part(&p, valid[i].input + pos, 1, log);
			next = smtp_reply_parser_need(&p);
			assert_true(p.complete || next + 1 >= need); /* each byte pays for one at the most */
		}
		assert_true(p.complete);
		assert_int_equal(smtp_reply_parser_need(&p), SMTP_REPLY_MIN);
		log[0] = '\0';
	}
}

static void reply__need__is_exact_for_the_shortest_replies(void **state)
{
	static const struct {
		const char *seen;
		size_t need;
		bool begun;
	} rows[] = {
		{ "", 4, false },      { "2", 3, true },        { "25", 2, true },      { "250", 1, true },
		{ "250\r", 1, true },  { "250 ", 1, true },     { "250 ok", 1, true },  { "250-", 5, true },
		{ "250-ok", 5, true }, { "250-ok\r", 5, true }, { "250-\n", 4, true },  { "250-\n2", 3, true },
		{ "250\n", 4, false }, { "250\n2", 3, true },   { "SSH-2.0", 1, true }, { "x", 3, true },
	};
	struct smtp_reply_parser p;
	char log[LOG_SIZE] = "";
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		smtp_reply_parser_init(&p);
		read_part(&p, rows[i].seen, strlen(rows[i].seen), log);
		assert_int_equal(smtp_reply_parser_need(&p), rows[i].need);
		assert_int_equal(smtp_reply_parser_begun(&p), rows[i].begun);
	}
}

static void print__rows__one_printable_line(void **state)
{
	static const struct row rows[] = {
		{ "250 ok\r\n", "250 ok" },
		{ "250\r\n", "250" },
		{ "250 \r\n", "250" },
		{ "250-a\r\n250 b\r\n", "250 a / b" },
		{ "250-\r\n250\r\n", "250  / " },
		{ "550 a\\b\x7f\x80\xff\x1b[31m\r\r\n", "550 a\\x5cb\\x7f\\x80\\xff\\x1b[31m\\x0d" },
		{ "250 \t~ \r\n", "250 \\x09~ " },
		{ "SSH-2.0\r\n", "SSH-2.0" },
		{ "\x15\x03", "\\x15" },
	};
	struct smtp_reply_parser p;
	char out[256];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		smtp_reply_parser_init(&p);
		smtp_reply_parser_feed(&p, rows[i].input, strlen(rows[i].input));
		assert_int_equal(smtp_reply_print(&p.reply, out, sizeof(out)), strlen(rows[i].log));
		assert_string_equal(out, rows[i].log);
	}
}

static void print__each_size__cut_before_what_does_not_fit(void **state)
{
	static const char *const cuts[] = { /* by size */
		NULL, "", "2", "25", "250", "250 ", "250 a", "250 a", "250 a", "250 a", "250 a\\xff",
		"250 a\\xff", "250 a\\xff", "250 a\\xff / ", "250 a\\xff / b",
	};
	struct smtp_reply_parser p;
	size_t size;

	(void)state;
	smtp_reply_parser_init(&p);
	smtp_reply_parser_feed(&p, "250-a\xff\r\n250 b\r\n", 15);
	for (size = 0; size < sizeof(cuts) / sizeof(*cuts); size++) {
		char *out = malloc(size + 1); /* so that ASan sees a byte too many */

		assert_non_null(out);
		out[size] = 'G';
		if (!size)
			assert_int_equal(smtp_reply_print(&p.reply, out, 0), 0);
		else
			assert_int_equal(smtp_reply_print(&p.reply, out, size), strlen(cuts[size]));
		assert_int_equal(out[size], 'G');
		if (size)
			assert_string_equal(out, cuts[size]);
		free(out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reply__valid_rows__same_replies_at_all_splits),
		cmocka_unit_test(reply__invalid_rows__protocol_error_with_the_line),
		cmocka_unit_test(reply__nul_byte__refused_wherever_it_stands),
		cmocka_unit_test(reply__after_an_error__swallows_everything),
		cmocka_unit_test(reply__line_of_the_limit__taken_and_one_more_refused),
		cmocka_unit_test(reply__endless_line__refused_without_waiting_for_its_end),
		cmocka_unit_test(reply__lines_of_the_limit__taken_and_one_more_refused),
		cmocka_unit_test(reply__more_text_than_kept__is_cut_and_the_code_counts),
		cmocka_unit_test(reply__need__never_more_than_what_is_left),
		cmocka_unit_test(reply__need__is_exact_for_the_shortest_replies),
		cmocka_unit_test(print__rows__one_printable_line),
		cmocka_unit_test(print__each_size__cut_before_what_does_not_fit),
	};

	return cmocka_run_group_tests_name("smtp_reply", tests, NULL, NULL);
}
