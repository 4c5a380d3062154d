/*
 * message - the RFC 5322 message of an alert, as HAProxy's native sender wrote it, plus the headers
 * that a mail needs today.
 *
 *   From: <from>
 *   To: <to>
 *   Cc: <cc>                                        (left out without one)
 *   Date: <date>                                    (left out without one)
 *   Subject: [HAProxy Alert] <text>                 (or <subject>, without the words before it)
 *   Message-ID: <<message_id>>
 *   In-Reply-To: <<thread>>                         (both left out without one)
 *   References: <<thread>>
 *   MIME-Version: 1.0
 *   Content-Type: text/plain; charset=us-ascii      (utf-8 when from, to or text holds a byte above 127)
 *   Content-Transfer-Encoding: 7bit                 (8bit then)
 *   Auto-Submitted: auto-generated
 *   <headers>                                       (left out without)
 *   empty line, <body> or <text>, empty line        (with <note>: an empty line and <note> before the last one)
 *
 * Line ends are CRLF only. No byte of a field can start a line: CR, LF and every other control
 * byte but TAB becomes a space; all other bytes are written as they are, in headers too. LF alone ends a line of
 * <body>, where each line is cleaned and broken like <text>; so is <note>, which is one line.
 *
 * The value of a header of <headers> is written as encoded words where it has to be.
 *
 * With <encode> subject and body are ASCII whatever their text: the subject by encoded words where it has to be, and
 * a body with another byte, or with a line that is too long, as quoted-printable (see mime.h); the charset is then
 * utf-8. So the mail needs no 8BITMIME of any server. Addresses stay as they are.
 *
 * A line of up to MESSAGE_LINE_MAX bytes is never folded. A longer one is broken like this, and never
 * inside of a UTF-8 character:
 *
 *   header  before the last run of whitespace that starts in the line (RFC 5322 2.2.3: unfolding gives the
 *           value back); without one after the last comma, else at the limit, and then one space is added.
 *           No line of a header is blank: whitespace that would fill a whole line alone is cut to one
 *           space, and removed at the end of the value. Nothing else is ever left out.
 *   body    after the last whitespace, else at the limit; the lines without their CRLF are the text.
 */
#ifndef MAILERS_MESSAGE_H
#define MAILERS_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

#include <mailers/buffer.h>
#include <mailers/error.h>

#define MESSAGE_LINE_MAX 998 /* RFC 5322 2.1.1, without CRLF */

/* NULL is read as "". */
struct message_fields {
	const char *from, *to;  /* header values as configured */
	const char *date;       /* RFC 5322 date-time */
	const char *text;       /* the alert's text: subject and body */
	const char *message_id; /* without <>, the same at each try; without it the header is left out */
	const char *body;       /* NULL: <text>; else lines, and <text> is the subject alone */
	const char *subject;    /* NULL: <text>, with the words before it */
	const char *cc;         /* header value; left out without one */
	/* Without <>: the message that this one follows, which need not exist: those that name the same one are shown
	 * together (RFC 5322 3.6.4). */
	const char *thread;
	const char *note;       /* a paragraph behind the body; NULL: none */
	bool encode;            /* the mail is to be ASCII, but for its addresses */
	const char *headers;    /* more of them: lines "Name: value", each with a LF; names that are none are left out */
};

#define MESSAGE_NAME_MAX 76 /* bytes of a header's name: RFC 2047 wants a line of its own for a longer one */

/* Why <name>, of <len> bytes, cannot be a header of <headers>: what is wrong with it, NULL if nothing. Those that a
 * message has anyway, that tell a mail system what to do, or that it writes itself, are not taken.
 */
const char *message_header_fault(const char *name, size_t len);

/* Appends the message to <out>, which must be at the start of a line; it ends with <text>, <body> or <note>, CRLF CRLF
 * and is not dot-stuffed (that belongs to DATA). A failure, of memory for a scratch line too, is <out>'s
 * error; what was appended before it is no whole message.
 */
void message_build(const struct message_fields *fields, struct buffer *out);

/* Appends <len> bytes of <message> to <out> with a '.' doubled at each start of a line, which is the start of
 * <message> and what follows a LF (RFC 5321 4.5.2). The final dot is not added.
 */
void message_dot_stuff(const char *message, size_t len, struct buffer *out);

#endif
