/*
 * message - the RFC 5322 message of an alert, as HAProxy's native sender wrote it, plus the headers that a mail needs today.
 *
 *   From: <from> / To: <to> / Date: <date> / Subject: [HAProxy Alert] <text>   (these four, in this order)
 *   Message-ID / MIME-Version / Content-Type / Content-Transfer-Encoding / Auto-Submitted
 *   empty line, <text>, empty line
 *
 * CRLF only; not dot-stuffed (that belongs to DATA). Lines are folded only beyond 998 bytes (RFC 5322 2.1.1). No byte of a
 * field can start a line or a header: CR, LF and NUL become a space.
 */
#ifndef MAILERS_MESSAGE_H
#define MAILERS_MESSAGE_H

#include <stddef.h>

#include <mailers/buffer.h>
#include <mailers/error.h>

#define MESSAGE_LINE_MAX 998 /* RFC 5322 2.1.1, without CRLF */

struct message_fields {
	const char *from, *to;  /* header values as configured */
	const char *date;       /* RFC 5322 date-time */
	const char *text;       /* the alert's text: subject and body */
	const char *message_id; /* without <> */
};

/* Appends the message to <out>; failures are <out>'s. */
void message_build(const struct message_fields *fields, struct buffer *out);

/* Appends <len> bytes of <message> to <out> with a '.' doubled at each start of a line (RFC 5321 4.5.2). <message> starts a line. */
void message_dot_stuff(const char *message, size_t len, struct buffer *out);

#endif
