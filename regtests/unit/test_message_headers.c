/* Unit tests of message: headers beside its own. */
#include <mailers/message.h>

#include "unit.h"

/* The headers behind "Auto-Submitted" of a message with <headers>. */
static char *more(const char *headers)
{
	const struct message_fields fields = { .from = "a@x", .to = "b@x", .text = "text", .headers = headers };
	struct buffer out = { 0 };
	char *message, *from, *end;

	message_build(&fields, &out);
	assert_int_equal(buffer_error(&out), MAILERS_OK);
	message = buffer_steal(&out, NULL);
	from = strstr(message, "auto-generated\r\n") + 16;
	end = strstr(message, "\r\n\r\n");
	assert_string_equal(end, "\r\n\r\ntext\r\n\r\n");
	end[from <= end ? 2 : 0] = '\0';
	if (from > end)
		from = end;
	memmove(message, from, strlen(from) + 1);
	return message;
}

static void headers__good_and_bad_ones__each_is_a_line_or_none(void **state)
{
	static const struct {
		const char *headers, *written;
	} rows[] = {
		{ NULL, "" }, { "", "" },
		{ "X-Team: dba\n", "X-Team: dba\r\n" },
		{ "X-Team:dba\nPriority:   urgent\n", "X-Team: dba\r\nPriority: urgent\r\n" },
		{ "X-Empty:\n", "X-Empty: \r\n" },
		{ "List-Id: <alerts.example.org>\n", "List-Id: <alerts.example.org>\r\n" },
		{ "X-A: b\rBcc: c\n", "X-A: b Bcc: c\r\n" },
		{ "X-A: b\x7f\x01 c\n", "X-A: b   c\r\n" },
		{ "X-A: M\303\274hle\n", "X-A: =?utf-8?B?TcO8aGxl?=\r\n" },
		{ "X-A: =?utf-8?Q?x?=\n", "X-A: =?utf-8?B?PT91dGYtOD9RP3g/PQ==?=\r\n" },
		{ "Bcc: c@x\nX-A: b\n", "X-A: b\r\n" },
		{ "no colon\nX A: b\n: c\nX\303\244: b\nX-B: b\n", "X-B: b\r\n" },
		{ "X-A: without its end", "" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char *got = more(rows[i].headers);

		assert_string_equal(got, rows[i].written);
		free(got);
	}
}

static void header_fault__names__are_taken_or_told_why_not(void **state)
{
	static const char *const good[] = { "X-Team", "x", "Reply-To", "List-Id", "Importance", "Contents", "Receive", "Too" };
	static const char *const bad[] = {
		"", " X", "X ", "X:", "X\nBcc", "X\r", "\303\244", "to", "TO", "cc", "BCC", "Subject", "content-type", "Content-X",
		"Resent-To", "DKIM-Signature", "Received", "message-id", "References", "Return-Path", "Sender",
	};
	char name[MESSAGE_NAME_MAX + 2];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_null(message_header_fault(good[i], strlen(good[i])));
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_non_null(message_header_fault(bad[i], strlen(bad[i])));
	memset(name, 'x', sizeof(name));
	assert_null(message_header_fault(name, MESSAGE_NAME_MAX));
	assert_non_null(message_header_fault(name, MESSAGE_NAME_MAX + 1));
	assert_non_null(message_header_fault("X\0Y", 3));
}

/* No line of an encoded header is longer than 76 characters, but for the one that is only a name; none is blank. */
static void headers__every_length_of_name__folds_encoded_words_beside_or_below_it(void **state)
{
	char line[MESSAGE_NAME_MAX + 60], name[MESSAGE_NAME_MAX + 1] = "", *got, *l, *end;
	size_t n;

	(void)state;
	for (n = 1; n <= MESSAGE_NAME_MAX; n++) {
		name[n - 1] = 'x';
		snprintf(line, sizeof(line), "%s: \303\274ber den Wolken muss die Freiheit\n", name);
		got = more(line);
		for (l = got; *l; l = end + 2) {
			end = strstr(l, "\r\n");
			assert_true(end - l <= 76 || !strncmp(l, name, n));
			assert_true(l == got || *l == ' ');
			assert_true(strspn(l, " ") < (size_t)(end - l));
		}
		free(got);
	}
}

static void headers__an_allocation_fails__is_an_error_of_the_message(void **state)
{
	const struct message_fields fields = { .text = "t", .headers = "X-A: \303\274\nX-B: b\n" };
	long n;

	(void)state;
	for (n = 0;; n++) {
		struct buffer out = { 0 };
		bool failed;

		unit_fail_at(n);
		message_build(&fields, &out);
		failed = unit_failed();
		assert_int_equal(buffer_error(&out), failed ? MAILERS_ERR_NOMEM : MAILERS_OK);
		buffer_free(&out);
		if (!failed)
			break;
	}
	assert_true(n > 1);
}

/* A header of one's own for which there was no memory was left out, and the message counted as whole. */
static void headers__memory_fails_at_a_long_one__the_message_is_no_whole_one(void **state)
{
	struct message_fields fields = { .text = "t" };
	struct buffer out = { 0 };
	char headers[2048];
	long n;

	(void)state;
	snprintf(headers, sizeof(headers), "X-Long: %01500d\nX-Short: 1\n", 0);
	fields.headers = headers;
	for (n = 0;; n++) {
		unit_fail_at(n);
		message_build(&fields, &out);
		if (!unit_failed())
			break;
		assert_int_equal(buffer_error(&out), MAILERS_ERR_NOMEM);
		buffer_free(&out);
	}
	assert_int_equal(buffer_error(&out), MAILERS_OK);
	buffer_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(headers__good_and_bad_ones__each_is_a_line_or_none),
		cmocka_unit_test(header_fault__names__are_taken_or_told_why_not),
		cmocka_unit_test(headers__every_length_of_name__folds_encoded_words_beside_or_below_it),
		cmocka_unit_test(headers__an_allocation_fails__is_an_error_of_the_message),
		cmocka_unit_test(headers__memory_fails_at_a_long_one__the_message_is_no_whole_one),
	};

	return cmocka_run_group_tests_name("message_headers", tests, NULL, NULL);
}
