/*
 * message - see message.h. Each header, and then the body, is cleaned into one scratch line and
 * written from there, broken where it is too long. So cleaning comes before folding, in one place,
 * and folding sees neither a control byte nor a line end: the only CRLFs of a message are those that
 * this file adds. An ordinary alert is never folded, and then the bytes are the native sender's.
 *
 * Called for each try of an alert: the same fields give the same bytes. Addresses are not looked at here;
 * the envelope is made by mailbox, not from these headers.
 */
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include <mailers/message.h>
#include <mailers/mime.h>

#define MESSAGE_CHAR_MAX    4 /* bytes of the longest UTF-8 character */
#define MESSAGE_WORD_COLUMN (MIME_LINE_MAX - 24)

/* The headers that come from fields, in their order; <end> closes the value. */
static const struct message_header {
	const char *name;
	size_t field; /* offset in message_fields */
	const char *end;
	bool optional;
} message_headers[] = {
	{ "From: ", offsetof(struct message_fields, from), "", false },
	{ "To: ", offsetof(struct message_fields, to), "", false },
	{ "Cc: ", offsetof(struct message_fields, cc), "", true },
	{ "Date: ", offsetof(struct message_fields, date), "", true },
	{ NULL, 0, NULL, false }, /* the subject */
	{ "Message-ID: <", offsetof(struct message_fields, message_id), ">", true },
	{ "In-Reply-To: <", offsetof(struct message_fields, thread), ">", true },
	{ "References: <", offsetof(struct message_fields, thread), ">", true },
};

/* A message has one of each of these, or mail systems act on them. What begins with one that ends with '-' is meant too. */
static const char *const message_reserved[] = {
	"Apparently-To", "ARC-", "Authentication-Results", "Auto-Submitted", "Bcc", "Cc", "Content-", "Date", "Delivered-To",
	"Disposition-Notification-To", "DKIM-", "From", "In-Reply-To", "Message-ID", "MIME-Version", "Received", "References",
	"Resent-", "Return-Path", "Return-Receipt-To", "Sender", "Subject", "To", "X-Original-To",
};

const char *message_header_fault(const char *name, size_t len)
{
	size_t i, n;

	if (!len)
		return "its name is empty";
	if (len > MESSAGE_NAME_MAX)
		return "its name is too long";
	for (i = 0; i < len; i++) {
		if (name[i] <= ' ' || name[i] > '~' || name[i] == ':')
			return "its name has a character that no header's name has";
	}
	for (i = 0; i < sizeof(message_reserved) / sizeof(*message_reserved); i++) {
		const char *r = message_reserved[i];

		n = strlen(r);
		if ((len == n || (r[n - 1] == '-' && len > n)) && !strncasecmp(name, r, n))
			return "the mail has it already, or mail systems act on it";
	}
	return NULL;
}

static bool message_is_wsp(char c)
{
	return c == ' ' || c == '\t';
}

static bool message_is_control(char c)
{
	unsigned char byte = (unsigned char)c;

	return (byte < ' ' && byte != '\t') || byte == 0x7f;
}

/* NULL is "". */
static const char *message_field(const struct message_fields *fields, size_t offset)
{
	const char *value = *(const char *const *)((const char *)fields + offset);

	return value ? value : "";
}

static bool message_has_high_byte(const char *text)
{
	while (text && *text)
		if ((unsigned char)*text++ > 127)
			return true;
	return false;
}

/* Appends <text>, of <len> bytes, with a space for each control byte. */
static void message_clean(struct buffer *line, const char *text, size_t len)
{
	size_t n;

	while (len) {
		for (n = 0; n < len && !message_is_control(text[n]); n++)
			;
		buffer_add(line, text, n);
		text += n;
		len -= n;
		if (len) {
			buffer_add(line, " ", 1);
			text++;
			len--;
		}
	}
}

/* The last start of a character in <line> at or before <n>; <n> when there is none near, as in text
 * that is not UTF-8.
 */
static size_t message_char_start(const char *line, size_t n)
{
	size_t i;

	for (i = n; i > 0 && i > n - MESSAGE_CHAR_MAX; i--)
		if (((unsigned char)line[i] & 0xc0) != 0x80)
			return i;
	return n;
}

/* How many bytes of <line>, which has more than <max>, stay on this line of a header: 1 to <max>, and
 * not all of them whitespace.
 */
static size_t message_fold_at(const char *line, size_t max)
{
	size_t i;

	for (i = max; i > 0; i--)
		if (message_is_wsp(line[i]) && !message_is_wsp(line[i - 1]))
			return i;
	for (i = max; i > 0; i--)
		if (line[i - 1] == ',')
			return i;
	return message_char_start(line, max);
}

/* Writes one header, folded where it must be. Blank lines are avoided as some readers take one for
 * the end of the headers, and RFC 5322 section 3.2.2 forbids to write them.
 */
static void message_put_header(struct buffer *out, const char *line, size_t len)
{
	size_t indent = 0; /* the space that was added before <line> */
	size_t n, run;

	while (indent + len > MESSAGE_LINE_MAX) {
		n = message_fold_at(line, MESSAGE_LINE_MAX - indent);
		buffer_add(out, line, n);
		buffer_puts(out, "\r\n");
		line += n;
		len -= n;
		for (run = 0; run < len && message_is_wsp(line[run]); run++)
			;
		if (run == len)
			return;
		indent = run ? 0 : 1;
		buffer_add(out, " ", indent);
		if (run > MESSAGE_LINE_MAX - MESSAGE_CHAR_MAX) {
			line += run - 1;
			len -= run - 1;
		}
	}
	buffer_add(out, line, len);
	buffer_puts(out, "\r\n");
}

/* How many bytes of <text>, which has more than MESSAGE_LINE_MAX, stay on this line of the body. */
static size_t message_break_at(const char *text)
{
	size_t i;

	if (message_is_wsp(text[MESSAGE_LINE_MAX]))
		return MESSAGE_LINE_MAX;
	for (i = MESSAGE_LINE_MAX; i > 0; i--)
		if (message_is_wsp(text[i - 1]))
			return i;
	return message_char_start(text, MESSAGE_LINE_MAX);
}

static void message_put_body(struct buffer *out, const char *text, size_t len)
{
	size_t n;

	for (; len > MESSAGE_LINE_MAX; text += n, len -= n) {
		n = message_break_at(text);
		buffer_add(out, text, n);
		buffer_puts(out, "\r\n");
	}
	buffer_add(out, text, len);
	buffer_puts(out, "\r\n");
}

/* The subject, through <line>. */
static void message_put_subject(const struct message_fields *fields, struct buffer *line, struct buffer *out)
{
	static const char name[] = "Subject: ";
	size_t len = sizeof(name) - 1;

	buffer_clear(line);
	buffer_puts(line, name);
	if (fields->subject) {
		message_clean(line, fields->subject, strlen(fields->subject));
	} else {
		buffer_puts(line, "[HAProxy Alert] ");
		message_clean(line, message_field(fields, offsetof(struct message_fields, text)),
		              strlen(message_field(fields, offsetof(struct message_fields, text))));
	}
	if (buffer_error(line))
		return;
	if (!fields->encode || !mime_header_needs(line->data + len, line->len - len)) {
		message_put_header(out, line->data, line->len);
		return;
	}
	buffer_puts(out, name);
	mime_header_words(line->data + len, line->len - len, len, out);
	buffer_puts(out, "\r\n");
}

/* The headers from fields, each through <line>. */
static void message_put_fields(const struct message_fields *fields, struct buffer *line, struct buffer *out)
{
	const struct message_header *h = message_headers;
	const struct message_header *end = h + sizeof(message_headers) / sizeof(*message_headers);
	const char *value;

	for (; h < end; h++) {
		if (!h->name) {
			message_put_subject(fields, line, out);
			if (buffer_error(line))
				return;
			continue;
		}
		value = message_field(fields, h->field);
		if (h->optional && !*value)
			continue;
		buffer_clear(line);
		buffer_puts(line, h->name);
		message_clean(line, value, strlen(value));
		buffer_puts(line, h->end);
		if (buffer_error(line))
			return;
		message_put_header(out, line->data, line->len);
	}
}

/* One line of fields->headers, through <line>; false when that has failed. */
static bool message_put_own(const char *text, size_t len, struct buffer *line, struct buffer *out)
{
	const char *colon = memchr(text, ':', len);
	size_t name = colon ? (size_t)(colon - text) : len;

	if (!colon || message_header_fault(text, name))
		return true;
	buffer_clear(line);
	buffer_add(line, text, name);
	buffer_puts(line, ": ");
	for (name++; name < len && message_is_wsp(text[name]); name++)
		;
	message_clean(line, text + name, len - name);
	name = (size_t)(colon - text) + 2;
	if (buffer_error(line))
		return false;
	if (!mime_header_needs(line->data + name, line->len - name)) {
		message_put_header(out, line->data, line->len);
		return true;
	}
	buffer_add(out, line->data, name);
	/* A long name leaves no place for a word beside it. */
	if (name > MESSAGE_WORD_COLUMN)
		buffer_puts(out, "\r\n ");
	mime_header_words(line->data + name, line->len - name, name > MESSAGE_WORD_COLUMN ? 1 : name, out);
	buffer_puts(out, "\r\n");
	return true;
}

static bool message_put_more(const struct message_fields *fields, struct buffer *line, struct buffer *out)
{
	const char *text = fields->headers ? fields->headers : "", *end;

	for (; *text && (end = strchr(text, '\n')); text = end + 1) {
		if (!message_put_own(text, (size_t)(end - text), line, out))
			return false;
	}
	return true;
}

/* <len> bytes of <text>, one line of the body, through <line>; false when that has failed. */
static bool message_put_line(const char *text, size_t len, bool quoted, struct buffer *line, struct buffer *out)
{
	buffer_clear(line);
	message_clean(line, text, len);
	if (buffer_error(line))
		return false;
	if (quoted)
		mime_body_line(line->data, line->len, out);
	else
		message_put_body(out, line->data, line->len);
	return true;
}

/* The body, line by line through <line>, and the paragraph behind it. */
static void message_put_lines(const struct message_fields *fields, bool quoted, struct buffer *line,
                              struct buffer *out)
{
	const char *text = fields->body, *end;

	if (!text)
		text = message_field(fields, offsetof(struct message_fields, text));
	while ((end = fields->body ? strchr(text, '\n') : NULL)) {
		if (!message_put_line(text, (size_t)(end - text), quoted, line, out))
			return;
		text = end + 1;
	}
	if (!message_put_line(text, strlen(text), quoted, line, out) || !fields->note)
		return;
	buffer_puts(out, "\r\n");
	message_put_line(fields->note, strlen(fields->note), quoted, line, out);
}

/* Is there a byte above 127 in what is written as it is, or was before it was encoded? */
static bool message_is_high(const struct message_fields *fields)
{
	return message_has_high_byte(fields->from) || message_has_high_byte(fields->to) ||
	       message_has_high_byte(fields->cc) || message_has_high_byte(fields->text) ||
	       message_has_high_byte(fields->body) || message_has_high_byte(fields->subject) ||
	       message_has_high_byte(fields->note);
}

void message_build(const struct message_fields *fields, struct buffer *out)
{
	const char *body = fields->body ? fields->body : message_field(fields, offsetof(struct message_fields, text));
	bool quoted = fields->encode && (mime_body_needs(body, MESSAGE_LINE_MAX) ||
	                                 (fields->note && mime_body_needs(fields->note, MESSAGE_LINE_MAX)));
	bool high = message_is_high(fields);
	const char *encoding = quoted ? "quoted-printable" : high && !fields->encode ? "8bit" : "7bit";
	struct buffer line = { 0 };

	message_put_fields(fields, &line, out);
	if (buffer_error(&line))
		goto end;
	buffer_printf(out,
	              "MIME-Version: 1.0\r\n"
	              "Content-Type: text/plain; charset=%s\r\n"
	              "Content-Transfer-Encoding: %s\r\n"
	              "Auto-Submitted: auto-generated\r\n",
	              high ? "utf-8" : "us-ascii", encoding);
	if (!message_put_more(fields, &line, out))
		goto end;
	buffer_puts(out, "\r\n");
	message_put_lines(fields, quoted, &line, out);
	buffer_puts(out, "\r\n");
end:
	/* The caller looks at <out> alone. */
	if (!out->error)
		out->error = buffer_error(&line);
	buffer_free(&line);
}

void message_dot_stuff(const char *message, size_t len, struct buffer *out)
{
	const char *lf;
	size_t n;

	for (; len; message += n, len -= n) {
		if (*message == '.')
			buffer_add(out, ".", 1);
		lf = memchr(message, '\n', len);
		n = lf ? (size_t)(lf - message) + 1 : len;
		buffer_add(out, message, n);
	}
}
