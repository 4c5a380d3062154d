/*
 * smtp_output - what the client says: commands and bodies on their way out, the replies that are due for them,
 * and the dialogue, which is both sides' lines for a reader.
 *
 * Invariants: each command enters <out> whole or not at all, and with it the place where its reply is due;
 * what is secret stands in <out> alone, and every byte of it is overwritten once it has gone.
 *
 * Called by the other files of smtp_client.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <mailers/message.h>

#include "smtp_client_internal.h"

/* Bytes of a line of the dialogue: longer ones are cut. */
#define SMTP_DIALOGUE_LINE_MAX 1024

static void smtp_dialogue_add(struct smtp_client *c, char side, const char *text, size_t len)
{
	char shown[SMTP_DIALOGUE_LINE_MAX];

	if (!c->dialogue)
		return;
	smtp_reply_print_text(text, len, shown, sizeof(shown));
	buffer_printf(c->dialogue, "%c %s\n", side, shown);
}

void smtp_output_heard(struct smtp_client *c, size_t len)
{
	smtp_auth_mask(c, c->parser.line, len);
	smtp_dialogue_add(c, '<', c->parser.line, len);
}

/* One more reply is due, for what <out> ends with. The error of <out> if it did not fit; nothing is due then. */
static enum mailers_error smtp_output_expect(struct smtp_client *c)
{
	if (buffer_error(&c->out))
		return buffer_error(&c->out);
	if (c->due.n == SMTP_SESSION_WINDOW)
		return MAILERS_ERR_INTERNAL;
	c->due.end[(c->due.first + c->due.n++) % SMTP_SESSION_WINDOW] = c->acked + c->out.len;
	return MAILERS_OK;
}

enum mailers_error smtp_output_greeting(struct smtp_client *c)
{
	return smtp_output_expect(c);
}

enum mailers_error smtp_output_command(struct smtp_client *c, const char *format, ...)
{
	char line[SMTP_SESSION_COMMAND_MAX + 1];
	enum mailers_error error;
	va_list ap;
	int len;

	va_start(ap, format);
	len = vsnprintf(line, sizeof(line) - 2, format, ap);
	va_end(ap);
	if (len < 0 || (size_t)len >= sizeof(line) - 2)
		return MAILERS_ERR_INTERNAL;
	memcpy(line + len, "\r\n", 3);
	buffer_add(&c->out, line, (size_t)len + 2);
	error = smtp_output_expect(c);
	if (!error)
		smtp_dialogue_add(c, '>', line, (size_t)len);
	return error;
}

static void smtp_dialogue_body(struct smtp_client *c, size_t len)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "(message, %zu bytes)", len);

	smtp_dialogue_add(c, '>', text, (size_t)n);
}

enum mailers_error smtp_output_message(struct smtp_client *c, const char *message, size_t len)
{
	enum mailers_error error;

	if (len)
		message_dot_stuff(message, len, &c->out);
	buffer_puts(&c->out, ".\r\n");
	error = smtp_output_expect(c);
	if (error)
		return error;
	if (len)
		smtp_dialogue_body(c, len);
	else
		smtp_dialogue_add(c, '>', ".", 1);
	return MAILERS_OK;
}

enum mailers_error smtp_output_chunk(struct smtp_client *c, const char *message, size_t len)
{
	char line[64];
	int n = snprintf(line, sizeof(line), "BDAT %zu LAST\r\n", len);
	enum mailers_error error;

	buffer_add(&c->out, line, (size_t)n);
	buffer_add(&c->out, message, len);
	error = smtp_output_expect(c);
	if (error)
		return error;
	smtp_dialogue_add(c, '>', line, (size_t)n - 2);
	smtp_dialogue_body(c, len);
	return MAILERS_OK;
}

enum mailers_error smtp_output_secret(struct smtp_client *c, const char *shown, const struct buffer *secret)
{
	static const char room[SASL_COMMAND_MAX];
	char text[SMTP_SESSION_COMMAND_MAX];
	enum mailers_error error = buffer_error(secret);

	if (error || c->out.len)
		return error ? error : MAILERS_ERR_INTERNAL;
	/* It grows before the secret is in it, as growing may leave a copy behind. */
	while (c->out.len < secret->len + sizeof(room) && !buffer_error(&c->out))
		buffer_add(&c->out, room, sizeof(room));
	c->out.len = 0;
	buffer_puts(&c->out, shown);
	buffer_add(&c->out, secret->data, secret->len);
	buffer_puts(&c->out, "\r\n");
	c->secret = true;
	error = smtp_output_expect(c);
	if (!error) {
		snprintf(text, sizeof(text), "%s%s", shown, secret->len ? "***" : "");
		smtp_dialogue_add(c, '>', text, strlen(text));
	}
	return error;
}

void smtp_output_mark(const struct smtp_client *c, struct smtp_output_mark *mark)
{
	mark->len = c->out.len;
	mark->due = c->due.n;
	mark->dialogue_len = c->dialogue ? c->dialogue->len : 0;
}

void smtp_output_back(struct smtp_client *c, const struct smtp_output_mark *mark)
{
	c->out.len = mark->len;
	c->out.error = MAILERS_OK;
	c->due.n = mark->due;
	if (c->dialogue)
		c->dialogue->len = mark->dialogue_len;
}

void smtp_output_free(struct smtp_client *c)
{
	if (c->secret)
		sasl_wipe(c->out.data, c->out.size);
	c->secret = false;
	buffer_free(&c->out);
}

void smtp_output_ack(struct smtp_client *c, size_t n)
{
	size_t len = c->out.len;

	if (n > len)
		n = len;
	buffer_shift(&c->out, n);
	c->acked += n;
	if (c->secret && n == len)
		smtp_output_free(c);
	else if (c->secret)
		sasl_wipe(c->out.data + c->out.len, n);
}

void smtp_output_cut(struct smtp_client *c, uint64_t end)
{
	if (end < c->acked)
		c->out.len = 0;
	else if (end - c->acked < c->out.len)
		c->out.len = (size_t)(end - c->acked);
}

bool smtp_output_awaits(const struct smtp_client *c)
{
	return c->due.n && c->due.end[c->due.first] <= c->acked;
}

void smtp_output_answered(struct smtp_client *c)
{
	if (!c->due.n)
		return;
	c->due.first = (c->due.first + 1) % SMTP_SESSION_WINDOW;
	c->due.n--;
}
