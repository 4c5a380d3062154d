/*
 * smtp_reply - incremental parser of SMTP replies (RFC 5321 section 4.2, RFC 2034, RFC 3463).
 *
 *   Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF
 *
 * Tolerated, as real servers need it: a bare code without text or space, LF without CR, any byte but
 * NUL in the text (a CR that ends no line is text). Refused: a code outside of 200 to 599, a fourth
 * byte of a line other than SP and '-', lines of one reply with different codes, a NUL byte, more
 * than the limits below. The text is the peer's: bounded here, and escaped by smtp_reply_print()
 * before it is shown to anyone.
 *
 * A line that is no reply is refused at its end, so that a log can show it whole ("SSH-2.0-..."); one
 * that is binary within its first four bytes, holds a NUL or is too long, at that byte.
 */
#ifndef MAILERS_SMTP_REPLY_H
#define MAILERS_SMTP_REPLY_H

#include <stdbool.h>
#include <stddef.h>

#include <mailers/error.h>

/* RFC 5321 4.5.3.1.5 says 512; real banners are longer. Beyond it the reply is not SMTP. */
#define SMTP_REPLY_LINE_MAX  2048
/* Most lines of one reply: EHLO of the largest servers answers with about 25. */
#define SMTP_REPLY_LINES_MAX 128
/* Bytes of text kept of one reply (all lines, joined by '\n', without codes). The rest is dropped. */
#define SMTP_REPLY_TEXT_MAX  2048
/* The shortest complete reply, "250\n": as many bytes surely follow while a reply is due. */
#define SMTP_REPLY_MIN       4

struct smtp_reply {
	unsigned code;                      /* 200..599, 0 while none is complete */
	unsigned enhanced[3];               /* X.Y.Z of the last line, if X is the code's first digit */
	size_t lines;                       /* how many lines the reply had */
	size_t len;                         /* bytes of text */
	char text[SMTP_REPLY_TEXT_MAX + 1]; /* NUL-terminated; lines are joined by '\n' */
};

struct smtp_reply_parser {
	struct smtp_reply reply;  /* whole after a feed that said so; after an error: code 0, and as its text
	                           * the line that is no reply, up to the byte that decided */
	enum mailers_error error; /* sticky: PROTOCOL, or MAILERS_OK without a failure */
	bool complete;            /* the last feed completed a reply; the next one starts anew */
	unsigned code;            /* of the reply being read, 0 in its first line */
	size_t line_len;          /* bytes of the line being read, a CR at its end included */
	size_t ended_len;         /* when the last byte fed ended a line: its bytes, which are still in <line> */
	char line[SMTP_REPLY_LINE_MAX + 1];
};

/* Makes <p> ready for the first reply. */
void smtp_reply_parser_init(struct smtp_reply_parser *p);

/* Reads at most <len> bytes of <data>, no further than the end of one reply. Returns how many it took.
 * Afterwards either p->complete is true and p->reply holds the reply (valid until the next feed),
 * or p->error is set (sticky, everything is swallowed), or all bytes were taken and more are due.
 */
size_t smtp_reply_parser_feed(struct smtp_reply_parser *p, const char *data, size_t len);

/* Has the reply being read begun? False before its first byte, and after a complete reply. */
bool smtp_reply_parser_begun(const struct smtp_reply_parser *p);

/* Bytes that at the least still have to come until the reply being read can be complete (1 to
 * SMTP_REPLY_MIN + 1): what a reader that must ask for an exact number may safely ask for.
 */
size_t smtp_reply_parser_need(const struct smtp_reply_parser *p);

/* Writes "<code> <text>" to <out> as one printable ASCII line (lines joined by " / ", every byte
 * outside of ' '..'~' and the backslash as \xNN), cut to <size> - 1 bytes, an escape never in two,
 * NUL-terminated. A reply without a code is its text alone, one without text its code alone. Returns the
 * length written.
 */
size_t smtp_reply_print(const struct smtp_reply *reply, char *out, size_t size);

/* Writes the <text_len> bytes of <text> in the same way. */
size_t smtp_reply_print_text(const char *text, size_t text_len, char *out, size_t size);

#endif
