/*
 * template: whatever is taken as a template, and whatever the values are, a mail made of it is ASCII, has the headers
 * that it should and no others, and no line is too long; what is refused has a reason of one line.
 *
 * Input: subject|body|value, where <value> stands for each field.
 */
#include <mailers/message.h>
#include <mailers/template.h>

#include "fuzz.h"

static bool check_template(const char *text, bool lines)
{
	char reason[TEMPLATE_REASON_SIZE];
	bool good = template_check(text, lines, reason);

	FUZZ_CHECK(good == !reason[0]);
	FUZZ_CHECK(good || (fuzz_printable(reason) && strchr(reason, ';')));
	FUZZ_CHECK(strlen(reason) < sizeof(reason) - 1);
	return good;
}

static char *render(const char *text, const struct template_values *values, size_t most)
{
	struct buffer out = { 0 };

	template_render(text, values, most, &out);
	FUZZ_CHECK(out.len <= most);
	buffer_add(&out, "", 1);
	FUZZ_CHECK(!buffer_error(&out));
	return out.data;
}

/* The lines before the first empty one: a header each, or the rest of one. */
static size_t check_headers(const char *mail)
{
	static const char *const names[] = { "From: ", "To: ", "Subject: ", "MIME-Version: ", "Content-Type: ",
	                                     "Content-Transfer-Encoding: ", "Auto-Submitted: " };
	size_t next = 0;
	const char *line = mail;

	while (strncmp(line, "\r\n", 2) != 0) {
		if (*line != ' ' && *line != '\t') {
			FUZZ_CHECK(next < sizeof(names) / sizeof(*names));
			FUZZ_CHECK(!strncmp(line, names[next], strlen(names[next])));
			next++;
		}
		line = strstr(line, "\r\n");
		FUZZ_CHECK(line);
		line += 2;
	}
	FUZZ_CHECK(next == sizeof(names) / sizeof(*names));
	return (size_t)(line - mail);
}

static void check_mail(const char *subject, const char *body)
{
	const struct message_fields fields = {
		.from = "f@example.org", .to = "t@example.org", .text = "t", .subject = subject, .body = body, .encode = true,
	};
	struct buffer out = { 0 };
	size_t i, column = 0;

	message_build(&fields, &out);
	for (i = 0; i < out.len; i++) {
		FUZZ_CHECK((unsigned char)out.data[i] < 127 && out.data[i]);
		FUZZ_CHECK(out.data[i] != '\r' || (i + 1 < out.len && out.data[i + 1] == '\n'));
		FUZZ_CHECK(out.data[i] != '\n' || (i && out.data[i - 1] == '\r'));
		column = out.data[i] == '\n' ? 0 : column + 1;
		FUZZ_CHECK(column <= MESSAGE_LINE_MAX + 1); /* the CR */
	}
	buffer_add(&out, "", 1);
	FUZZ_CHECK(!buffer_error(&out));
	check_headers(out.data);
	buffer_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = { data, size };
	char *subject = fuzz_field(&in), *body = fuzz_field(&in), *value = fuzz_field(&in);
	bool good = check_template(subject, false), lines = check_template(body, true);
	struct template_values values;
	size_t i;

	for (i = 0; i < TEMPLATE_FIELDS; i++)
		values.value[i] = value;
	if (good && lines) {
		char *s = render(subject, &values, TEMPLATE_SUBJECT_MAX), *b = render(body, &values, TEMPLATE_BODY_MAX);

		check_mail(s, b);
		free(s);
		free(b);
	}
	free(subject);
	free(body);
	free(value);
	return 0;
}
