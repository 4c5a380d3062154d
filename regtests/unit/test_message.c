/* Unit tests of message: legacy bytes, encoding, folding, injection, dot-stuffing, failing allocations. */
#include <mailers/message.h>

#include "../lib/message_check.h"
#include "unit.h"

#define LONG_MAX_BYTES 8192

static const struct message_fields ordinary = {
	.from = "from@domain.tld",
	.to = "to@domain.tld",
	.date = "Mon, 02 Mar 2026 14:05:09 +0100 (CET)",
	.text = "Health check for server be1/srv1 failed, reason: Layer4 connection problem, "
	        "info: \"Connection refused\", check duration: 0ms, status: 0/1 DOWN",
	.message_id = "69a58b35.1.7@lb1.example.org",
};

/* Builds, checks what holds for every message, and returns it NUL-terminated; the caller frees it. */
static char *build(const struct message_fields *fields, size_t *len)
{
	struct buffer message = { 0 }, data = { 0 };
	const char *wrong;

	message_build(fields, &message);
	assert_int_equal(buffer_error(&message), MAILERS_OK);
	wrong = message_check(fields, message.data, message.len);
	if (wrong)
		fail_msg("%s:\n%.*s", wrong, (int)message.len, message.data);
	message_dot_stuff(message.data, message.len, &data);
	buffer_puts(&data, ".\r\n");
	assert_int_equal(buffer_error(&data), MAILERS_OK);
	assert_true(message_check_sink(data.data, data.len));
	buffer_free(&data);
	return buffer_steal(&message, len);
}

static void check_bytes(const struct message_fields *fields, const char *expected)
{
	size_t len;
	char *message = build(fields, &len);

	assert_string_equal(message, expected);
	assert_int_equal(len, strlen(expected));
	free(message);
}

static void message__ordinary_alert__is_the_legacy_message_and_our_headers(void **state)
{
	(void)state;
	check_bytes(&ordinary,
	            "From: from@domain.tld\r\n"
	            "To: to@domain.tld\r\n"
	            "Date: Mon, 02 Mar 2026 14:05:09 +0100 (CET)\r\n"
	            "Subject: [HAProxy Alert] Health check for server be1/srv1 failed, reason: Layer4 connection "
	            "problem, info: \"Connection refused\", check duration: 0ms, status: 0/1 DOWN\r\n"
	            "Message-ID: <69a58b35.1.7@lb1.example.org>\r\n"
	            "MIME-Version: 1.0\r\n"
	            "Content-Type: text/plain; charset=us-ascii\r\n"
	            "Content-Transfer-Encoding: 7bit\r\n"
	            "Auto-Submitted: auto-generated\r\n"
	            "\r\n"
	            "Health check for server be1/srv1 failed, reason: Layer4 connection "
	            "problem, info: \"Connection refused\", check duration: 0ms, status: 0/1 DOWN\r\n"
	            "\r\n");
}

static void message__high_bytes__are_kept_and_declared(void **state)
{
	struct message_fields fields = ordinary;

	(void)state;
	fields.text = "Server caf\xc3\xa9/a\tb is DOWN";
	check_bytes(&fields,
	            "From: from@domain.tld\r\n"
	            "To: to@domain.tld\r\n"
	            "Date: Mon, 02 Mar 2026 14:05:09 +0100 (CET)\r\n"
	            "Subject: [HAProxy Alert] Server caf\xc3\xa9/a\tb is DOWN\r\n"
	            "Message-ID: <69a58b35.1.7@lb1.example.org>\r\n"
	            "MIME-Version: 1.0\r\n"
	            "Content-Type: text/plain; charset=utf-8\r\n"
	            "Content-Transfer-Encoding: 8bit\r\n"
	            "Auto-Submitted: auto-generated\r\n"
	            "\r\n"
	            "Server caf\xc3\xa9/a\tb is DOWN\r\n"
	            "\r\n");
	fields.text = "ascii";
	fields.to = "J\xc3\xb6rg <j@x.org>";
	free(build(&fields, NULL));
}

static void message__empty_or_missing_fields__still_a_message(void **state)
{
	const struct message_fields missing = { 0 };
	const struct message_fields empty = { .from = "", .to = "", .date = "", .text = "", .message_id = "" };
	const char *expected =
		"From: \r\n"
		"To: \r\n"
		"Subject: [HAProxy Alert] \r\n"
		"MIME-Version: 1.0\r\n"
		"Content-Type: text/plain; charset=us-ascii\r\n"
		"Content-Transfer-Encoding: 7bit\r\n"
		"Auto-Submitted: auto-generated\r\n"
		"\r\n"
		"\r\n"
		"\r\n";

	(void)state;
	check_bytes(&missing, expected);
	check_bytes(&empty, expected);
}

enum { THREAD = 5, NOTE, FIELDS };

/* How many lines more a message has with field <i>. */
static size_t lines_of(size_t i)
{
	return i == NOTE || i == THREAD ? 2 : 0;
}

/* The place of field <i> in <fields>. */
static const char **field_at(struct message_fields *fields, size_t i)
{
	const char **all[FIELDS] = { &fields->from, &fields->to, &fields->date, &fields->text, &fields->message_id,
	                             &fields->thread, &fields->note };

	return all[i];
}

static size_t count(const char *text, const char *what)
{
	size_t n = 0;

	while ((text = strstr(text, what))) {
		n++;
		text++;
	}
	return n;
}

static void message__control_byte_anywhere__becomes_a_space(void **state)
{
	static const char *const format[] = { "%cBcc: x@y", "a%cBcc: x@y", "a%c.%c", "a%c", "%c%c%c" };
	struct message_fields fields;
	char value[32], *message;

	(void)state;
	for (size_t field = 0; field < FIELDS; field++) {
		for (int c = 1; c < 256; c++) {
			if ((c >= ' ' && c != 0x7f) || c == '\t')
				continue;
			for (size_t i = 0; i < sizeof(format) / sizeof(*format); i++) {
				snprintf(value, sizeof(value), format[i], c, c, c);
				fields = ordinary;
				*field_at(&fields, field) = value;
				message = build(&fields, NULL);
				assert_int_equal(count(message, "\r\n"), 12 + lines_of(field));
				assert_null(strchr(message, c == '\r' || c == '\n' ? 1 : c));
				assert_null(strstr(message, "\nBcc"));
				free(message);
			}
		}
	}
}

static void message__crlf_injection__stays_one_line(void **state)
{
	static const char *const attack[] = {
		"x\r\nBcc: victim@example.org", "x\nBcc: victim@example.org", "x\rBcc: victim@example.org",
		"\r\n\r\nbody", "\n\nbody", "x\r\n.\r\nMAIL FROM:<a@b>", "x\n.\nQUIT", "\r\n", "\n", "\r",
	};
	struct message_fields fields;
	char *message;

	(void)state;
	for (size_t field = 0; field < FIELDS; field++) {
		for (size_t i = 0; i < sizeof(attack) / sizeof(*attack); i++) {
			fields = ordinary;
			*field_at(&fields, field) = attack[i];
			message = build(&fields, NULL);
			assert_int_equal(count(message, "\n"), 12 + lines_of(field));
			assert_int_equal(count(message, "\r\n"), 12 + lines_of(field));
			free(message);
		}
	}
}

/* <n> bytes of <unit> over and over. */
static char *repeat(const char *unit, size_t n)
{
	static char text[LONG_MAX_BYTES + 1];
	size_t len = strlen(unit);

	assert_true(n <= LONG_MAX_BYTES);
	for (size_t i = 0; i < n; i++)
		text[i] = unit[i % len];
	text[n] = '\0';
	return text;
}

/* The lengths of the lines of the header <name>, as many as <max>; returns how many. */
static size_t header_lines(const char *message, const char *name, size_t *lengths, size_t max)
{
	const char *p = strstr(message, name), *end;
	size_t n = 0;

	assert_non_null(p);
	do {
		end = strstr(p, "\r\n");
		assert_true(n < max);
		lengths[n++] = (size_t)(end - p);
		p = end + 2;
	} while (*p == ' ' || *p == '\t');
	return n;
}

static void message__subject_at_the_limit__folds_only_beyond_998(void **state)
{
	const size_t room = MESSAGE_LINE_MAX - strlen("Subject: [HAProxy Alert] ");
	struct message_fields fields = ordinary;
	size_t length[4], n;
	char *message;

	(void)state;
	for (size_t total = room - 1; total <= room + 1; total++) {
		fields.text = repeat("server ", total);
		message = build(&fields, NULL);
		n = header_lines(message, "Subject: ", length, 4);
		assert_int_equal(n, total <= room ? 1 : 2);
		if (n == 1)
			assert_int_equal(length[0], MESSAGE_LINE_MAX - room + total);
		else
			assert_in_range(length[0], MESSAGE_LINE_MAX - strlen("server "), MESSAGE_LINE_MAX);
		free(message);
	}
}

static void message__text_at_the_limit__is_broken_only_beyond_998(void **state)
{
	static const struct { const char *unit; size_t len, first; } row[] = {
		{ "x", 997, 997 }, { "x", 998, 998 }, { "x", 999, 998 },
		{ "abc ", 997, 997 }, { "abc ", 998, 998 }, { "abc ", 999, 996 },
		{ ".", 998, 998 }, { ".", 999, 998 }, { " ", 998, 998 }, { " ", 999, 998 },
		{ "\xc3\xa9", 1000, 998 }, { "\xe2\x82\xac", 999, 996 }, { "\xf0\x9f\x93\xa7", 1000, 996 },
		{ "\x80", 999, 998 },
	};
	struct message_fields fields = ordinary;
	char *message, *body;

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(*row); i++) {
		fields.text = repeat(row[i].unit, row[i].len);
		message = build(&fields, NULL);
		body = strstr(message, "\r\n\r\n") + 4;
		assert_int_equal(strstr(body, "\r\n") - body, row[i].first);
		free(message);
	}
	/* The word before the limit ends exactly there: nothing is to be gained by an earlier break. */
	fields.text = repeat("x", 1500);
	((char *)fields.text)[998] = ' ';
	((char *)fields.text)[500] = ' ';
	message = build(&fields, NULL);
	body = strstr(message, "\r\n\r\n") + 4;
	assert_int_equal(strstr(body, "\r\n") - body, 998);
	free(message);
}

static void message__every_length__keeps_its_invariants(void **state)
{
	static const char *const unit[] = {
		"x", " ", "\t", "ab ", "a,b", ".", ". ", "word\t \tword  ", "\xe2\x82\xac",
		"\xe2\x82\xac \xc3\xa9", "\r\n", "\x80", "ten-bytes,twenty-bytes-in-a-row ",
	};
	struct message_fields fields;

	(void)state;
	for (size_t i = 0; i < sizeof(unit) / sizeof(*unit); i++) {
		for (size_t field = 0; field < FIELDS; field++) {
			for (size_t n = 960; n <= 2010; n += n < 1005 || n > 1960 ? 1 : 30) {
				fields = ordinary;
				*field_at(&fields, field) = repeat(unit[i], n);
				free(build(&fields, NULL));
			}
		}
	}
}

static void message__run_of_whitespace_of_every_length__no_blank_line(void **state)
{
	struct message_fields fields = ordinary;

	(void)state;
	for (size_t run = 940; run <= 1010; run++) {
		char *text = repeat(" ", run + 20);

		memcpy(text + run, "\xf0\x9f\x93\xa7x,", 6);
		fields.to = text;
		free(build(&fields, NULL));
		memcpy(text, "word", 4);
		fields.text = text;
		free(build(&fields, NULL));
		text[run] = '\0';
		free(build(&fields, NULL));
	}
}

static void message__run_before_a_long_word__is_not_split(void **state)
{
	struct message_fields fields = ordinary;
	char *text = repeat("x", 2500);

	(void)state;
	/* The run crosses the limit of the first line, and no other is near. */
	memset(text + 965, ' ', 40);
	fields.text = text;
	free(build(&fields, NULL));
	fields.to = text;
	free(build(&fields, NULL));
}

/* Where a line of <message> starts inside of a UTF-8 character; NULL when none does. */
static const char *split_character(const char *message)
{
	for (const char *p = message; (p = strstr(p, "\r\n")); p += 2)
		if (((unsigned char)p[2] & 0xc0) == 0x80 || (p[2] == ' ' && ((unsigned char)p[3] & 0xc0) == 0x80))
			return p;
	return NULL;
}

static void message__hard_break__not_inside_of_a_character(void **state)
{
	static const char *const unit[] = { "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x93\xa7" };
	struct message_fields fields = ordinary;
	char *message;

	(void)state;
	for (size_t i = 0; i < sizeof(unit) / sizeof(*unit); i++) {
		for (size_t shift = 0; shift < 5; shift++) {
			char *text = repeat(unit[i], 2400 + shift);

			memmove(text + shift, text, 2400);
			memset(text, 'x', shift);
			fields.text = text;
			fields.to = text;
			message = build(&fields, NULL);
			assert_null(split_character(message));
			free(message);
		}
	}
}

static void message__long_list_without_spaces__is_folded_after_commas(void **state)
{
	struct message_fields fields = ordinary;
	size_t length[8], n;
	char *message, *p;

	(void)state;
	fields.to = repeat("somebody@example.org,", 3000);
	message = build(&fields, NULL);
	n = header_lines(message, "To:", length, 8);
	assert_int_equal(n, 5);
	p = strstr(message, "To:");
	assert_memory_equal(p, "To:\r\n somebody@", 15);
	p += length[0] + 2;
	for (size_t i = 1; i + 1 < n; i++) {
		assert_int_equal(p[length[i] - 1], ',');
		assert_memory_equal(p, " somebody@", 10);
		p += length[i] + 2;
	}
	free(message);
}

static void message__body_of_its_own__is_lines_below_the_subject(void **state)
{
	static const char *const bodies[] = { "", "one", "one\ntwo", "a\r\nb\x01", ".\n.." };
	struct message_fields fields = ordinary;
	char *message, *longest;
	size_t i;

	(void)state;
	fields.text = "2 alerts for be";
	for (i = 0; i < sizeof(bodies) / sizeof(*bodies); i++) {
		fields.body = bodies[i];
		free(build(&fields, NULL));
	}
	fields.body = "2 alerts\nfirst\nsecond";
	message = build(&fields, NULL);
	assert_non_null(strstr(message, "Subject: [HAProxy Alert] 2 alerts for be\r\n"));
	assert_non_null(strstr(message, "\r\n\r\n2 alerts\r\nfirst\r\nsecond\r\n\r\n"));
	free(message);
	fields.body = "caf\xc3\xa9";
	message = build(&fields, NULL);
	assert_non_null(strstr(message, "charset=utf-8"));
	free(message);
	fields.body = longest = repeat("word ", 3000); /* each line is broken alone */
	longest[5000] = longest[5100] = '\n';
	free(build(&fields, NULL));
}

static void message__longer_than_the_native_limit__is_sent_whole(void **state)
{
	struct message_fields fields = ordinary;

	(void)state;
	for (size_t n = 1020; n < 1030; n++) {
		fields.text = repeat("Server with a long name ", n);
		free(build(&fields, NULL));
	}
	fields.text = repeat("Server with a long name ", LONG_MAX_BYTES);
	free(build(&fields, NULL));
}

static void check_encoded(const struct message_fields *fields, const char *expected)
{
	struct buffer out = { 0 };
	char *text;

	message_build(fields, &out);
	text = buffer_steal(&out, NULL);
	assert_string_equal(text, expected);
	free(text);
}

static void message__encode__is_ascii_whatever_the_texts(void **state)
{
	struct message_fields fields = {
		.from = "f@x", .to = "t@x", .cc = "c@x, d@x", .text = "t", .subject = "Stra\303\237e zu, alles steht",
		.body = "1.\tna\303\257ve = ja \n.\n", .encode = true,
	};
	char row[MESSAGE_LINE_MAX + 2] = "";

	(void)state;
	check_encoded(&fields, "From: f@x\r\nTo: t@x\r\nCc: c@x, d@x\r\n"
	              "Subject: =?utf-8?Q?Stra=C3=9Fe_zu,_alles_steht?=\r\n"
	              "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
	              "Content-Transfer-Encoding: quoted-printable\r\nAuto-Submitted: auto-generated\r\n\r\n"
	              "1.\tna=C3=AFve =3D ja=20\r\n.\r\n\r\n\r\n");
	fields.subject = "plain = 1";
	fields.body = "x = 1";
	fields.cc = NULL;
	check_encoded(&fields, "From: f@x\r\nTo: t@x\r\nSubject: plain = 1\r\n"
	              "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n"
	              "Content-Transfer-Encoding: 7bit\r\nAuto-Submitted: auto-generated\r\n\r\nx = 1\r\n\r\n");
	fields.subject = NULL;
	fields.text = "\303\237";
	check_encoded(&fields, "From: f@x\r\nTo: t@x\r\nSubject: =?utf-8?Q?[HAProxy_Alert]_=C3=9F?=\r\n"
	              "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
	              "Content-Transfer-Encoding: 7bit\r\nAuto-Submitted: auto-generated\r\n\r\nx = 1\r\n\r\n");
	memset(row, 'a', MESSAGE_LINE_MAX + 1);
	fields.text = "t";
	fields.body = row;
	{
		struct buffer out = { 0 };

		message_build(&fields, &out);
		buffer_add(&out, "", 1);
		assert_non_null(strstr(out.data, "Content-Transfer-Encoding: quoted-printable\r\n"));
		buffer_free(&out);
	}
}

static void message__thread_and_note__are_two_headers_and_a_paragraph(void **state)
{
	struct message_fields fields = ordinary;

	(void)state;
	fields.text = "Server be1/srv1 is UP";
	fields.thread = "outage.7.1.0a1b@lb1.example.org";
	fields.note = "The server was down for 1 second.";
	check_bytes(&fields,
	            "From: from@domain.tld\r\n"
	            "To: to@domain.tld\r\n"
	            "Date: Mon, 02 Mar 2026 14:05:09 +0100 (CET)\r\n"
	            "Subject: [HAProxy Alert] Server be1/srv1 is UP\r\n"
	            "Message-ID: <69a58b35.1.7@lb1.example.org>\r\n"
	            "In-Reply-To: <outage.7.1.0a1b@lb1.example.org>\r\n"
	            "References: <outage.7.1.0a1b@lb1.example.org>\r\n"
	            "MIME-Version: 1.0\r\n"
	            "Content-Type: text/plain; charset=us-ascii\r\n"
	            "Content-Transfer-Encoding: 7bit\r\n"
	            "Auto-Submitted: auto-generated\r\n"
	            "\r\n"
	            "Server be1/srv1 is UP\r\n"
	            "\r\n"
	            "The server was down for 1 second.\r\n"
	            "\r\n");
	/* A LF of the text stays in its line; what stands in the note alone is encoded, too. */
	fields = (struct message_fields){ .from = "f", .to = "t", .text = "a\nb", .note = "caf\xc3\xa9", .encode = true };
	check_encoded(&fields, "From: f\r\nTo: t\r\nSubject: [HAProxy Alert] a b\r\n"
	              "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
	              "Content-Transfer-Encoding: quoted-printable\r\nAuto-Submitted: auto-generated\r\n\r\n"
	              "a b\r\n\r\ncaf=C3=A9\r\n\r\n");
}

/* The words before the text are not put before a subject that somebody wrote, and no field begins a line. */
static void message__subject_and_cc__begin_no_line(void **state)
{
	struct message_fields fields = { .from = "f", .to = "t", .text = "x", .subject = "a\r\nBcc: b", .cc = "c\nd" };

	(void)state;
	check_encoded(&fields, "From: f\r\nTo: t\r\nCc: c d\r\nSubject: a  Bcc: b\r\n"
	              "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n"
	              "Content-Transfer-Encoding: 7bit\r\nAuto-Submitted: auto-generated\r\n\r\nx\r\n\r\n");
}

static void message__appended__leaves_what_was_there(void **state)
{
	struct buffer out = { 0 };

	(void)state;
	buffer_puts(&out, "before\r\n");
	message_build(&ordinary, &out);
	assert_int_equal(buffer_error(&out), MAILERS_OK);
	assert_memory_equal(out.data, "before\r\nFrom: ", 14);
	assert_null(message_check(&ordinary, out.data + 8, out.len - 8));
	buffer_free(&out);
}

static void message__allocation_or_limit_fails__is_an_error_of_out(void **state)
{
	struct message_fields fields = ordinary;
	struct buffer out = { 0 };
	char note[6001] = "";
	size_t len;
	long n = 0;

	(void)state;
	fields.text = repeat("word ", 3000);
	memset(note, 'x', sizeof(note) - 1);
	fields.note = note;
	fields.thread = "a@b";
	free(build(&fields, &len));
	for (;; n++) {
		unit_fail_at(n);
		message_build(&fields, &out);
		if (!unit_failed())
			break;
		assert_int_equal(buffer_error(&out), MAILERS_ERR_NOMEM);
		buffer_free(&out);
	}
	assert_true(n > 5);
	assert_int_equal(buffer_error(&out), MAILERS_OK);
	assert_int_equal(out.len, len);
	buffer_free(&out);

	out.limit = len - 1;
	message_build(&fields, &out);
	assert_int_equal(buffer_error(&out), MAILERS_ERR_BOUND);
	buffer_free(&out);
	out.limit = len;
	message_build(&fields, &out);
	assert_int_equal(buffer_error(&out), MAILERS_OK);
	buffer_free(&out);
}

static void message__dot_stuff__doubles_dots_at_line_starts(void **state)
{
	static const struct { const char *in, *out; } row[] = {
		{ "", "" },
		{ "a\r\n", "a\r\n" },
		{ ".", ".." },
		{ ".\r\n", "..\r\n" },
		{ "..\r\n", "...\r\n" },
		{ "a.b.\r\n", "a.b.\r\n" },
		{ "a\r\n.\r\nb\r\n", "a\r\n..\r\nb\r\n" },
		{ "a\r\n.b\r\n..c\r\n\r\n.", "a\r\n..b\r\n...c\r\n\r\n.." },
		{ "a\n.b", "a\n..b" },
		{ "a\r.b", "a\r.b" },
	};
	struct buffer out = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(*row); i++) {
		message_dot_stuff(row[i].in, strlen(row[i].in), &out);
		assert_int_equal(buffer_error(&out), MAILERS_OK);
		assert_int_equal(out.len, strlen(row[i].out));
		if (out.len)
			assert_memory_equal(out.data, row[i].out, out.len);
		buffer_clear(&out);
	}
	message_dot_stuff("a\0.b\n\0", 6, &out);
	assert_int_equal(out.len, 6);
	buffer_free(&out);
}

static void message__text_of_dots__is_stuffed_and_found_by_the_sink(void **state)
{
	static const char *const text[] = { ".", "..", ".\r\n.\r\n", ". ", "" };
	struct message_fields fields = ordinary;

	(void)state;
	for (size_t i = 0; i < sizeof(text) / sizeof(*text); i++) {
		fields.text = text[i];
		free(build(&fields, NULL));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(message__ordinary_alert__is_the_legacy_message_and_our_headers),
		cmocka_unit_test(message__high_bytes__are_kept_and_declared),
		cmocka_unit_test(message__empty_or_missing_fields__still_a_message),
		cmocka_unit_test(message__control_byte_anywhere__becomes_a_space),
		cmocka_unit_test(message__crlf_injection__stays_one_line),
		cmocka_unit_test(message__subject_at_the_limit__folds_only_beyond_998),
		cmocka_unit_test(message__text_at_the_limit__is_broken_only_beyond_998),
		cmocka_unit_test(message__every_length__keeps_its_invariants),
		cmocka_unit_test(message__run_of_whitespace_of_every_length__no_blank_line),
		cmocka_unit_test(message__run_before_a_long_word__is_not_split),
		cmocka_unit_test(message__hard_break__not_inside_of_a_character),
		cmocka_unit_test(message__long_list_without_spaces__is_folded_after_commas),
		cmocka_unit_test(message__body_of_its_own__is_lines_below_the_subject),
		cmocka_unit_test(message__longer_than_the_native_limit__is_sent_whole),
		cmocka_unit_test(message__encode__is_ascii_whatever_the_texts),
		cmocka_unit_test(message__thread_and_note__are_two_headers_and_a_paragraph),
		cmocka_unit_test(message__subject_and_cc__begin_no_line),
		cmocka_unit_test(message__appended__leaves_what_was_there),
		cmocka_unit_test(message__allocation_or_limit_fails__is_an_error_of_out),
		cmocka_unit_test(message__dot_stuff__doubles_dots_at_line_starts),
		cmocka_unit_test(message__text_of_dots__is_stuffed_and_found_by_the_sink),
	};

	return cmocka_run_group_tests_name("message", tests, NULL, NULL);
}
