/*
 * mime - text of any language in mails that are ASCII: encoded words for headers (RFC 2047), quoted-printable
 * for bodies (RFC 2045 6.7).
 *
 * Text is UTF-8; a byte that is not is encoded as it is. Nothing is written that a server without 8BITMIME
 * could not take: a message is built before it is known to which server it will go, and is the same at each try.
 */
#ifndef MAILERS_MIME_H
#define MAILERS_MIME_H

#include <stdbool.h>
#include <stddef.h>

#include <mailers/buffer.h>

#define MIME_WORD_MAX 75 /* RFC 2047 2: characters of an encoded word */
#define MIME_LINE_MAX 76 /* of a line with an encoded word, and of quoted-printable, without CRLF */

/* Must <text> be encoded in a header: is it more than ASCII, or does it look like an encoded word? */
bool mime_header_needs(const char *text, size_t len);
/* Appends <text> as encoded words, Q or B, whichever is shorter, folded ("\r\n "): the first line has <column>
 * characters already, MIME_LINE_MAX - 24 at the most. No character is split, and no line is blank. Decoded the
 * words are <text>.
 */
void mime_header_words(const char *text, size_t len, size_t column, struct buffer *out);

/* Must a body be encoded: is it more than ASCII, or has it a line of more than <most> bytes? */
bool mime_body_needs(const char *text, size_t most);
/* Appends one line of a body, <len> bytes without a line end, as quoted-printable, and CRLF. */
void mime_body_line(const char *line, size_t len, struct buffer *out);

/* The bytes of the UTF-8 character at <text>, of which there are <len> (1 and up); 0 when it is none. */
size_t mime_character(const char *text, size_t len);

#endif
