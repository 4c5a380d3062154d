/* Unit tests of escape: any bytes as JSON strings and as label values. */
#include "../../plugin/core/escape.h"

#include "unit.h"

static const struct {
	const char *text, *json, *label;
} rows[] = {
	{ "", "", "" },
	{ "be/s1", "be/s1", "be/s1" },
	{ "a\"b\\c/d'e", "a\\\"b\\\\c/d'e", "a\\\"b\\\\c/d'e" },
	{ "one\ntwo\r\tthree\x01\x7f", "one\\ntwo\\u000d\\u0009three\\u0001\\u007f",
	  "one\\ntwo\xef\xbf\xbd\xef\xbf\xbdthree\xef\xbf\xbd\xef\xbf\xbd" },
	{ "<script>alert(1)</script>", "\\u003cscript\\u003ealert(1)\\u003c/script\\u003e", "<script>alert(1)</script>" },
	{ "<!--&amp;]]>", "\\u003c!--\\u0026amp;]]\\u003e", "<!--&amp;]]>" },
	/* characters of each length, the first and the last of them */
	{ "\xc2\x80 \xdf\xbf", "\xc2\x80 \xdf\xbf", "\xc2\x80 \xdf\xbf" },
	{ "\xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf", "\xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf",
	  "\xe0\xa0\x80 \xed\x9f\xbf \xee\x80\x80 \xef\xbf\xbf" },
	{ "\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf", "\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf", "\xf0\x90\x80\x80 \xf4\x8f\xbf\xbf" },
	/* JavaScript once took these for the end of a line */
	{ "\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa", "\\u2028\\u2029\xe2\x80\xaa", "\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa" },
	{ "\xef\xbf\xbd", "\\ufffd", "\xef\xbf\xbd" },
	/* alone, cut, overlong, a surrogate, too large, no UTF-8 at all: one replacement a byte */
	{ "\x80", "\\ufffd", "\xef\xbf\xbd" },
	{ "\xc3", "\\ufffd", "\xef\xbf\xbd" },
	{ "a\xe2\x82", "a\\ufffd\\ufffd", "a\xef\xbf\xbd\xef\xbf\xbd" },
	{ "\xe2\x82z", "\\ufffd\\ufffdz", "\xef\xbf\xbd\xef\xbf\xbdz" },
	{ "\xc0\xaf", "\\ufffd\\ufffd", "\xef\xbf\xbd\xef\xbf\xbd" },
	{ "\xc1\xbf", "\\ufffd\\ufffd", "\xef\xbf\xbd\xef\xbf\xbd" },
	{ "\xe0\x9f\xbf", "\\ufffd\\ufffd\\ufffd", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
	{ "\xed\xa0\x80", "\\ufffd\\ufffd\\ufffd", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
	{ "\xf0\x8f\xbf\xbf", "\\ufffd\\ufffd\\ufffd\\ufffd", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
	{ "\xf4\x90\x80\x80", "\\ufffd\\ufffd\\ufffd\\ufffd", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
	{ "\xf8\xff\xfe", "\\ufffd\\ufffd\\ufffd", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd" },
	{ "\xc3\x22", "\\ufffd\\\"", "\xef\xbf\xbd\\\"" },
};

static void equal(const struct buffer *b, const char *wanted)
{
	assert_int_equal(buffer_error(b), MAILERS_OK);
	assert_int_equal(b->len, strlen(wanted));
	assert_memory_equal(b->data ? b->data : "", wanted, b->len);
}

static void escape__any_bytes__are_utf_8_that_cannot_end_the_string(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct buffer b = { 0 };
		char quoted[200];

		snprintf(quoted, sizeof(quoted), "\"%s\"", rows[i].json);
		escape_json(&b, rows[i].text);
		equal(&b, quoted);
		buffer_clear(&b);
		escape_label(&b, rows[i].text);
		equal(&b, rows[i].label);
		buffer_free(&b);
	}
}

/* Whatever comes before and behind, a character's escape is its own. */
static void escape__rows_in_a_row__are_as_each_alone(void **state)
{
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		for (k = 0; k < sizeof(rows) / sizeof(*rows); k++) {
			char text[200], json[400], label[200];
			struct buffer b = { 0 };

			snprintf(text, sizeof(text), "%s.%s", rows[i].text, rows[k].text);
			snprintf(json, sizeof(json), "\"%s.%s\"", rows[i].json, rows[k].json);
			snprintf(label, sizeof(label), "%s.%s", rows[i].label, rows[k].label);
			escape_json(&b, text);
			equal(&b, json);
			buffer_clear(&b);
			escape_label(&b, text);
			equal(&b, label);
			buffer_free(&b);
		}
	}
}

static void escape__no_memory__is_the_buffers_error(void **state)
{
	struct buffer b = { 0 };

	(void)state;
	unit_fail_at(0);
	escape_json(&b, "x\n");
	assert_true(unit_failed());
	assert_int_equal(buffer_error(&b), MAILERS_ERR_NOMEM);
	buffer_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(escape__any_bytes__are_utf_8_that_cannot_end_the_string),
		cmocka_unit_test(escape__rows_in_a_row__are_as_each_alone),
		cmocka_unit_test(escape__no_memory__is_the_buffers_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
