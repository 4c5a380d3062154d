/*
 * mime - see mime.h. Both encodings write whole units: an encoded word ends between two characters, a soft line
 * break stands between two bytes' texts. Which of Q and B is shorter is decided once for a header, so that its
 * words are of one kind.
 *
 * Called by message.c, for mails whose texts the operator wrote; the legacy mail is never encoded.
 */
#include <string.h>

#include <mailers/mime.h>

#define MIME_WORD_FRAME  12 /* =?utf-8?Q??= */
#define MIME_CHARACTER_Q 12 /* the longest character: four bytes of three letters */
#define MIME_FIRST_MAX   (MIME_LINE_MAX - MIME_WORD_FRAME - MIME_CHARACTER_Q)

static const char mime_hex[] = "0123456789ABCDEF";

/* RFC 3629: no overlong forms, no surrogates, nothing beyond U+10FFFF. */
size_t mime_character(const char *text, size_t len)
{
	const unsigned char *s = (const unsigned char *)text;
	unsigned char low = 0x80, high = 0xbf;
	size_t n, i;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	n = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f;
	if (n > len || s[1] < low || s[1] > high)
		return 0;
	for (i = 2; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	}
	return n;
}

/* --- headers --- */

bool mime_header_needs(const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if ((unsigned char)text[i] > 127 || (text[i] == '=' && i + 1 < len && text[i + 1] == '?'))
			return true;
	}
	return false;
}

/* What may stand for itself in a Q word, in any header (RFC 2047 4.2 and 5). */
static bool mime_q_plain(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || strchr("!*+-/[]:.,", c);
}

static size_t mime_q_size(const char *text, size_t len)
{
	size_t i, n = 0;

	for (i = 0; i < len; i++)
		n += text[i] == ' ' || (text[i] && mime_q_plain(text[i])) ? 1 : 3;
	return n;
}

static size_t mime_b_size(size_t len)
{
	return (len + 2) / 3 * 4;
}

static void mime_add_hex(struct buffer *out, char mark, char byte)
{
	const char text[3] = { mark, mime_hex[(unsigned char)byte >> 4], mime_hex[(unsigned char)byte & 15] };

	buffer_add(out, text, sizeof(text));
}

static void mime_add_q(struct buffer *out, const char *text, size_t len)
{
	for (; len; text++, len--) {
		if (*text == ' ')
			buffer_add(out, "_", 1);
		else if (*text && mime_q_plain(*text))
			buffer_add(out, text, 1);
		else
			mime_add_hex(out, '=', *text);
	}
}

static void mime_add_b(struct buffer *out, const char *text, size_t len)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	size_t i, k;

	for (i = 0; i < len; i += 3) {
		char four[4] = { '=', '=', '=', '=' };
		size_t n = len - i < 3 ? len - i : 3;
		unsigned bits = 0;

		for (k = 0; k < 3; k++)
			bits = bits << 8 | (k < n ? (unsigned char)text[i + k] : 0);
		for (k = 0; k <= n; k++)
			four[k] = letters[bits >> (18 - 6 * k) & 63];
		buffer_add(out, four, sizeof(four));
	}
}

/* How many bytes of <text> go into a word with <room> letters between its frame: whole characters, one at
 * least.
 */
static size_t mime_word_fits(const char *text, size_t len, size_t room, bool q)
{
	size_t n = 0, used = 0, step, size;

	while (n < len) {
		step = mime_character(text + n, len - n);
		if (!step)
			step = 1;
		size = q ? used + mime_q_size(text + n, step) : mime_b_size(n + step);
		if (n && size > room)
			break;
		used = size;
		n += step;
	}
	return n;
}

void mime_header_words(const char *text, size_t len, size_t column, struct buffer *out)
{
	/* A B word that is not the last wastes what its last four letters do not hold. */
	bool q = mime_q_size(text, len) <= mime_b_size(len);
	size_t room, n;

	if (column > MIME_FIRST_MAX)
		column = MIME_FIRST_MAX;
	for (; len; text += n, len -= n) {
		room = MIME_LINE_MAX - MIME_WORD_FRAME - column;
		if (room > MIME_WORD_MAX - MIME_WORD_FRAME)
			room = MIME_WORD_MAX - MIME_WORD_FRAME;
		n = mime_word_fits(text, len, room, q);
		buffer_puts(out, q ? "=?utf-8?Q?" : "=?utf-8?B?");
		if (q)
			mime_add_q(out, text, n);
		else
			mime_add_b(out, text, n);
		buffer_puts(out, n < len ? "?=\r\n " : "?=");
		column = 1;
	}
}

/* --- bodies --- */

bool mime_body_needs(const char *text, size_t most)
{
	size_t column = 0;

	for (; *text; text++) {
		column = *text == '\n' ? 0 : column + 1;
		if ((unsigned char)*text > 127 || column > most)
			return true;
	}
	return false;
}

void mime_body_line(const char *line, size_t len, struct buffer *out)
{
	size_t column = 0, i, size;

	for (i = 0; i < len; i++) {
		bool blank = line[i] == ' ' || line[i] == '\t', last = i + 1 == len;
		bool plain = (line[i] > ' ' && line[i] <= '~' && line[i] != '=') || (blank && !last);

		size = plain ? 1 : 3;
		if (column + size > (size_t)MIME_LINE_MAX - !last) { /* one place for the '=' */
			buffer_puts(out, "=\r\n");
			column = 0;
		}
		column += size;
		if (plain)
			buffer_add(out, &line[i], 1);
		else
			mime_add_hex(out, '=', line[i]);
	}
	buffer_puts(out, "\r\n");
}
