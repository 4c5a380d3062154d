/* Encoded words and quoted-printable: the RFCs' own examples, bounds on lines, and back to the text. */
#include <mailers/mime.h>

#include "unit.h"

static char *words(const char *text, size_t len, size_t column)
{
	struct buffer b = { 0 };

	mime_header_words(text, len, column, &b);
	return buffer_steal(&b, NULL);
}

static char *body(const char *text)
{
	struct buffer b = { 0 };

	mime_body_line(text, strlen(text), &b);
	return buffer_steal(&b, NULL);
}

static int hex(char c)
{
	return c <= '9' ? c - '0' : c - 'A' + 10;
}

static size_t decode_b(const char *in, size_t len, char *out)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t n = 0;
	unsigned bits = 0, have = 0;

	for (; len && *in != '='; in++, len--) {
		bits = bits << 6 | (unsigned)(strchr(letters, *in) - letters);
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[n++] = (char)(bits >> have);
		}
	}
	return n;
}

/* What a reader makes of <in>; every word and line is looked at. */
static size_t decode_words(const char *in, size_t column, char *out)
{
	size_t n = 0;

	while (*in) {
		const char *end = strstr(in + 10, "?=");
		size_t start = n, k;

		assert_true(!strncmp(in, "=?utf-8?Q?", 10) || !strncmp(in, "=?utf-8?B?", 10));
		assert_non_null(end);
		assert_true(end + 2 - in <= MIME_WORD_MAX);
		assert_true(column + (size_t)(end + 2 - in) <= MIME_LINE_MAX);
		if (in[8] == 'B') {
			n += decode_b(in + 10, (size_t)(end - in) - 10, out + n);
		} else {
			for (in += 10; in < end; in++) {
				assert_true(*in > ' ' && *in <= '~');
				if (*in == '=') {
					out[n++] = (char)(hex(in[1]) << 4 | hex(in[2]));
					in += 2;
				} else {
					out[n++] = *in == '_' ? ' ' : *in;
				}
			}
		}
		/* A word alone is whole characters. */
		for (k = start; k < n && (unsigned char)out[start] < 0xc0 && (unsigned char)out[start] > 0x7f; k++)
			fail_msg("a word begins inside of a character");
		in = end + 2;
		if (*in) {
			assert_int_equal(strncmp(in, "\r\n ", 3), 0);
			in += 3;
			column = 1;
		}
	}
	return n;
}

static size_t decode_body(const char *in, char *out)
{
	size_t n = 0, column = 0;

	for (; strcmp(in, "\r\n"); in++) {
		if (!strncmp(in, "=\r\n", 3)) {
			assert_true(column + 1 <= MIME_LINE_MAX);
			column = 0;
			in += 2;
		} else if (*in == '=') {
			out[n++] = (char)(hex(in[1]) << 4 | hex(in[2]));
			in += 2;
			column += 3;
		} else {
			assert_true((*in >= ' ' && *in <= '~') || *in == '\t');
			assert_true((*in != ' ' && *in != '\t') || strncmp(in + 1, "\r\n", 2) != 0);
			out[n++] = *in;
			column++;
		}
	}
	assert_true(column <= MIME_LINE_MAX);
	return n;
}

static void mime_header__table__is_the_shorter_encoding(void **state)
{
	static const struct {
		const char *text, *words;
	} rows[] = {
		{ "a\303\251", "=?utf-8?B?YcOp?=" },
		{ "Server db/s1 is down: M\303\274hle", "=?utf-8?Q?Server_db/s1_is_down:_M=C3=BChle?=" },
		{ "\346\227\245\346\234\254\350\252\236", "=?utf-8?B?5pel5pys6Kqe?=" },
		{ "=?utf-8?Q?x?=", "=?utf-8?B?PT91dGYtOD9RP3g/PQ==?=" },
		{ "a_b? \377 and more of it", "=?utf-8?Q?a=5Fb=3F_=FF_and_more_of_it?=" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		char *w = words(rows[i].text, strlen(rows[i].text), 9);

		assert_true(mime_header_needs(rows[i].text, strlen(rows[i].text)));
		assert_string_equal(w, rows[i].words);
		free(w);
	}
	assert_false(mime_header_needs("plain = ? text", 14));
	assert_false(mime_header_needs("x=?", 2));
}

static void mime__any_text__comes_back(void **state)
{
	static const char *const parts[] = { "a", " ", "=", "_", "\303\251", "\346\227\245", "\360\237\230\200", "\377", ".", "\t" };
	uint64_t seed = 7;
	unsigned run;

	(void)state;
	for (run = 0; run < 3000; run++) {
		char text[500] = "", out[1600], *coded;
		size_t n = run % 90, column = run % (MIME_LINE_MAX - 24 + 1);

		while (n--) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			strcat(text, parts[(seed >> 33) % (run % 10 + 1)]);
		}
		coded = body(text);
		assert_int_equal(decode_body(coded, out), strlen(text));
		assert_memory_equal(out, text, strlen(text));
		free(coded);
		if (!*text)
			continue;
		coded = words(text, strlen(text), column);
		assert_int_equal(decode_words(coded, column, out), strlen(text));
		assert_memory_equal(out, text, strlen(text));
		free(coded);
	}
}

static void mime_body__needs__is_more_than_ascii_or_a_long_line(void **state)
{
	(void)state;
	assert_false(mime_body_needs("abc\ndef", 3));
	assert_true(mime_body_needs("abc\ndefg", 3));
	assert_true(mime_body_needs("\303\251", 3));
	assert_false(mime_body_needs("", 3));
}

static void mime_character__table__is_rfc_3629(void **state)
{
	static const struct {
		const char *text;
		size_t n;
	} rows[] = {
		{ "a", 1 }, { "\302\200", 2 }, { "\301\277", 0 }, { "\340\240\200", 3 }, { "\340\237\277", 0 },
		{ "\355\237\277", 3 }, { "\355\240\200", 0 }, { "\360\220\200\200", 4 }, { "\360\217\277\277", 0 },
		{ "\364\217\277\277", 4 }, { "\364\220\200\200", 0 }, { "\365\200\200\200", 0 }, { "\200", 0 },
		{ "\303", 0 }, { "\342\202", 0 }, { "\342\202x", 0 }, { "\360\237\230", 0 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_int_equal(mime_character(rows[i].text, strlen(rows[i].text)), rows[i].n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mime_header__table__is_the_shorter_encoding),
		cmocka_unit_test(mime__any_text__comes_back),
		cmocka_unit_test(mime_body__needs__is_more_than_ascii_or_a_long_line),
		cmocka_unit_test(mime_character__table__is_rfc_3629),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
