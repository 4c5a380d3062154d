/*
 * smtp_reply - see smtp_reply.h. One byte at a time into a line, one line at a time into the reply: as no
 * decision looks ahead, the result cannot depend on how the peer's bytes were cut.
 *
 * Invariants: line_len <= SMTP_REPLY_LINE_MAX + 1, and the one more only for a CR; reply.len <=
 * SMTP_REPLY_TEXT_MAX. After an error nothing changes any more.
 *
 * Called by smtp_client for each reply. What a reply means is not decided here.
 */
#include <stdio.h>
#include <string.h>

#include <mailers/smtp_reply.h>

#define SMTP_REPLY_CODE_LEN 3

static bool smtp_reply_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

void smtp_reply_parser_init(struct smtp_reply_parser *p)
{
	memset(p, 0, sizeof(*p));
}

/* Forgets a complete reply, but not with 4 kB of zeros for each of them. */
static void smtp_reply_parser_restart(struct smtp_reply_parser *p)
{
	struct smtp_reply *r = &p->reply;

	r->code = 0;
	memset(r->enhanced, 0, sizeof(r->enhanced));
	r->lines = 0;
	r->len = 0;
	r->text[0] = '\0';
	p->complete = false;
	p->code = 0;
	p->line_len = 0;
}

/* Appends to the text what still fits. */
static void smtp_reply_add_text(struct smtp_reply *r, const char *data, size_t len)
{
	size_t room = SMTP_REPLY_TEXT_MAX - r->len;

	if (len > room)
		len = room;
	memcpy(r->text + r->len, data, len);
	r->len += len;
	r->text[r->len] = '\0';
}

/* The peer does not speak SMTP: leaves the line that shows it in the reply. */
static void smtp_reply_parser_fail(struct smtp_reply_parser *p)
{
	size_t len = p->line_len;

	p->error = MAILERS_ERR_PROTOCOL;
	smtp_reply_parser_restart(p);
	smtp_reply_add_text(&p->reply, p->line, len);
}

/* Reads 1 to 3 digits at *<pos>; returns false without one (RFC 3463 section 2: 1*3DIGIT). */
static bool smtp_reply_read_number(const char *s, size_t len, size_t *pos, unsigned *number)
{
	size_t start = *pos;

	*number = 0;
	while (*pos < len && *pos < start + 3 && smtp_reply_is_digit(s[*pos]))
		*number = *number * 10 + (unsigned)(s[(*pos)++] - '0');
	return *pos > start;
}

/* Reads "X.Y.Z" at the start of <s>. A class that contradicts the code is not believed: RFC 2034
 * section 4 makes the first digits equal, and the code is what RFC 5321 lets a client act on.
 */
static void smtp_reply_read_enhanced(struct smtp_reply *r, const char *s, size_t len)
{
	unsigned part[3];
	size_t pos = 0;
	int i;

	for (i = 0; i < 3; i++) {
		if (i && (pos == len || s[pos++] != '.'))
			return;
		if (!smtp_reply_read_number(s, len, &pos, &part[i]))
			return;
	}
	if (part[0] != r->code / 100 || s[1] != '.' || (pos < len && s[pos] != ' '))
		return;
	memcpy(r->enhanced, part, sizeof(part));
}

/* The code of a line, 0 when it is none. */
static unsigned smtp_reply_read_code(const char *line, size_t len)
{
	if (len < SMTP_REPLY_CODE_LEN || line[0] < '2' || line[0] > '5' || !smtp_reply_is_digit(line[1]) ||
	    !smtp_reply_is_digit(line[2]))
		return 0;
	if (len > SMTP_REPLY_CODE_LEN && line[3] != ' ' && line[3] != '-')
		return 0;
	return (unsigned)((line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0'));
}

static void smtp_reply_parser_end_line(struct smtp_reply_parser *p)
{
	struct smtp_reply *r = &p->reply;
	const char *text = p->line + SMTP_REPLY_CODE_LEN;
	unsigned code;
	size_t len;

	if (p->line_len && p->line[p->line_len - 1] == '\r')
		p->line_len--;
	p->ended_len = p->line_len;
	code = smtp_reply_read_code(p->line, p->line_len);
	if (!code || (p->code && code != p->code) || r->lines == SMTP_REPLY_LINES_MAX) {
		smtp_reply_parser_fail(p);
		return;
	}
	p->code = code;
	len = p->line_len - SMTP_REPLY_CODE_LEN;
	p->complete = !len || *text == ' ';
	if (len) {
		text++;
		len--;
	}
	if (r->lines++)
		smtp_reply_add_text(r, "\n", 1);
	smtp_reply_add_text(r, text, len);
	p->line_len = 0;
	if (p->complete) {
		r->code = code;
		smtp_reply_read_enhanced(r, text, len);
	}
}

/* Takes a byte that ends no line. */
static void smtp_reply_parser_add(struct smtp_reply_parser *p, char c)
{
	bool binary = c < ' ' || c > '~'; /* a byte above 127 is one of the two, whether char has a sign or not */
	bool fits = p->line_len < SMTP_REPLY_LINE_MAX || (p->line_len == SMTP_REPLY_LINE_MAX && c == '\r');

	if (fits)
		p->line[p->line_len++] = c;
	if (!fits || c == '\0' || (binary && c != '\r' && p->line_len <= SMTP_REPLY_CODE_LEN + 1))
		smtp_reply_parser_fail(p);
}

size_t smtp_reply_parser_feed(struct smtp_reply_parser *p, const char *data, size_t len)
{
	size_t i = 0;

	if (p->complete)
		smtp_reply_parser_restart(p);
	while (i < len && !p->complete && !p->error) {
		char c = data[i++];

		if (c == '\n')
			smtp_reply_parser_end_line(p);
		else
			smtp_reply_parser_add(p, c);
	}
	return p->error ? len : i;
}

bool smtp_reply_parser_begun(const struct smtp_reply_parser *p)
{
	return !p->complete && (p->line_len || p->reply.lines);
}

size_t smtp_reply_parser_need(const struct smtp_reply_parser *p)
{
	if (p->error)
		return 1;
	if (p->complete)
		return SMTP_REPLY_MIN;
	if (p->line_len <= SMTP_REPLY_CODE_LEN)
		return SMTP_REPLY_MIN - p->line_len;
	/* "250-": the end of this line, and another one. But "SSH-" surely brings no more than an end. */
	if (p->line[SMTP_REPLY_CODE_LEN] == '-' && smtp_reply_read_code(p->line, SMTP_REPLY_CODE_LEN))
		return 1 + SMTP_REPLY_MIN;
	return 1;
}

/* Writes how <c> is shown to <piece>; returns the length. */
static size_t smtp_reply_escape(char c, char piece[4])
{
	static const char hex[] = "0123456789abcdef";

	if (c == '\n') {
		memcpy(piece, " / ", 3);
		return 3;
	}
	if (c >= ' ' && c <= '~' && c != '\\') {
		piece[0] = c;
		return 1;
	}
	piece[0] = '\\';
	piece[1] = 'x';
	piece[2] = hex[(unsigned char)c >> 4];
	piece[3] = hex[(unsigned char)c & 15];
	return 4;
}

size_t smtp_reply_print_text(const char *text, size_t text_len, char *out, size_t size)
{
	char piece[4];
	size_t i, n, len = 0;

	if (!size)
		return 0;
	for (i = 0; i < text_len; i++) {
		n = smtp_reply_escape(text[i], piece);
		if (n >= size - len)
			break;
		memcpy(out + len, piece, n);
		len += n;
	}
	out[len] = '\0';
	return len;
}

size_t smtp_reply_print(const struct smtp_reply *reply, char *out, size_t size)
{
	size_t n, len = 0;

	if (reply->code) {
		n = (size_t)snprintf(out, size, "%03u%s", reply->code, reply->len ? " " : "");
		len = n < size ? n : size ? size - 1 : 0;
	}
	return len + smtp_reply_print_text(reply->text, reply->len, out + len, size - len);
}
