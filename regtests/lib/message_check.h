/*
 * message_check - what must be true of every message that message_build() makes, checked without
 * knowledge of how it folds. Shared by the unit test and the fuzz target.
 */
#ifndef MESSAGE_CHECK_H
#define MESSAGE_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <mailers/message.h>

static inline bool message_check_wsp(char c)
{
	return c == ' ' || c == '\t';
}

static inline const char *message_check_text(const char *value)
{
	return value ? value : "";
}

/* The byte that <c> of a field must become. */
static inline char message_check_clean(char c)
{
	return ((unsigned char)c < ' ' && c != '\t') || c == 0x7f ? ' ' : c;
}

/* The length of the line at <p> without its CRLF; (size_t)-1 when it does not end in CRLF, or holds a
 * control byte.
 */
static inline size_t message_check_line(const char *p, const char *end)
{
	const char *at;

	for (at = p; at < end && *at != '\r'; at++)
		if (message_check_clean(*at) != *at)
			return (size_t)-1;
	return end - at >= 2 && at[1] == '\n' ? (size_t)(at - p) : (size_t)-1;
}

/* Does the unfolded header at *<p> hold <name>, <value>, <end>, whitespace aside? Moves *<p> behind it. */
static inline const char *message_check_header(const char **p, const char *msg_end, const char *name,
                                               const char *value, const char *end)
{
	const char *expected[3] = { name, value, end };
	size_t whole = strlen(name) + strlen(value) + strlen(end), lines = 0, len, i, k = 0, at = 0;
	bool blank;

	do {
		len = message_check_line(*p, msg_end);
		if (len == (size_t)-1)
			return "a header line does not end in CRLF, or holds a control byte";
		if (len > MESSAGE_LINE_MAX)
			return "a header line is too long";
		if (lines++ && whole <= MESSAGE_LINE_MAX)
			return "a header is folded without need";
		for (blank = true, i = 0; i < len; i++) {
			char c = (*p)[i];

			blank = blank && message_check_wsp(c);
			if (message_check_wsp(c) && whole > MESSAGE_LINE_MAX)
				continue;
			for (;; at++) {
				if (k < 3 && !expected[k][at]) {
					k++;
					at = (size_t)-1;
				} else if (k == 3 || whole <= MESSAGE_LINE_MAX ||
				           !message_check_wsp(message_check_clean(expected[k][at]))) {
					break;
				}
			}
			if (k == 3 || message_check_clean(expected[k][at++]) != c)
				return "a header holds something else";
		}
		if (blank)
			return "a header line is blank";
		*p += len + 2;
	} while (*p < msg_end && message_check_wsp(**p));
	for (; k < 3; k++, at = 0)
		for (; expected[k][at]; at++)
			if (whole <= MESSAGE_LINE_MAX || !message_check_wsp(message_check_clean(expected[k][at])))
				return "a header lacks something";
	return NULL;
}

/* Do the lines at *<p> hold the <whole> bytes of <text>? Moves *<p> behind them. */
static inline const char *message_check_lines(const char **p, const char *end, const char *text, size_t whole)
{
	size_t len, i, lines = 0, left = whole;

	do {
		len = message_check_line(*p, end);
		if (len == (size_t)-1 || len > MESSAGE_LINE_MAX)
			return "a body line is bad or too long";
		if (lines++ && (!len || whole <= MESSAGE_LINE_MAX))
			return "the body is broken without need";
		for (i = 0; i < len; i++, left--)
			if (!left || message_check_clean(*text++) != (*p)[i])
				return "the body holds something else";
		*p += len + 2;
	} while (left);
	return NULL;
}

/* Do the lines from <p> to <end> hold <text>, or the lines of <body>, an empty line and <note> if there is one, and
 * then one empty line?
 */
static inline const char *message_check_body(const char *p, const char *end, const char *text, const char *body,
                                             const char *note)
{
	const char *wrong, *lf;

	if (!body)
		wrong = message_check_lines(&p, end, text, strlen(text));
	else
		do {
			lf = strchr(body, '\n');
			wrong = message_check_lines(&p, end, body, lf ? (size_t)(lf - body) : strlen(body));
			body = lf ? lf + 1 : NULL;
		} while (body && !wrong);
	if (!wrong && note) {
		if (end - p < 2 || memcmp(p, "\r\n", 2))
			return "no empty line before the note";
		p += 2;
		wrong = message_check_lines(&p, end, note, strlen(note));
	}
	if (wrong)
		return wrong;
	return end - p == 2 && !memcmp(p, "\r\n", 2) ? NULL : "the body does not end in one empty line";
}

/* NULL, or what is wrong with the message <msg> of <fields>. */
static inline const char *message_check(const struct message_fields *fields, const char *msg, size_t len)
{
	const char *text = message_check_text(fields->text), *end = msg + len;
	bool high = false;
	const char *wrong, *all[] = { fields->from, fields->to, fields->text, fields->body, fields->note };
	const struct { const char *name, *value, *end; } headers[] = {
		{ "From: ", message_check_text(fields->from), "" },
		{ "To: ", message_check_text(fields->to), "" },
		{ "Date: ", message_check_text(fields->date), "" },
		{ "Subject: [HAProxy Alert] ", text, "" },
		{ "Message-ID: <", message_check_text(fields->message_id), ">" },
		{ "In-Reply-To: <", message_check_text(fields->thread), ">" },
		{ "References: <", message_check_text(fields->thread), ">" },
		{ "MIME-Version: ", "1.0", "" },
		{ "Content-Type: text/plain; charset=", "us-ascii", "" },
		{ "Content-Transfer-Encoding: ", "7bit", "" },
		{ "Auto-Submitted: ", "auto-generated", "" },
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		for (const char *p = message_check_text(all[i]); *p; p++)
			high = high || (unsigned char)*p > 127;
	for (size_t i = 0; i < sizeof(headers) / sizeof(*headers); i++) {
		const char *value = headers[i].value;

		if ((i == 2 || (i >= 4 && i <= 6)) && !*value)
			continue;
		if (high && i == 8)
			value = "utf-8";
		if (high && i == 9)
			value = "8bit";
		wrong = message_check_header(&msg, end, headers[i].name, value, headers[i].end);
		if (wrong)
			return wrong;
	}
	if (end - msg < 2 || memcmp(msg, "\r\n", 2))
		return "the headers do not end where they should";
	return message_check_body(msg + 2, end, text, fields->body, fields->note);
}

/* Does HAProxy's own mail sink, which knows the end only as an empty line followed by a dot, find it
 * at the very end of <data>, the message as DATA carries it with the final dot?
 */
static inline bool message_check_sink(const char *data, size_t len)
{
	const char *p = data, *end = data + len;
	bool empty = false;
	size_t n;

	while (p < end) {
		n = message_check_line(p, end);
		if (n == (size_t)-1)
			return false;
		if (empty && n == 1 && *p == '.')
			return p + 3 == end;
		/* It reads the line after an empty one only to compare it with the dot. */
		empty = !n && !empty;
		p += n + 2;
	}
	return false;
}

#endif
