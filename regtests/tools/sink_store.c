/*
 * sink_store - see sink.h. A mail is on disk under its final name before the counter that tests wait for moves.
 * Nothing is stored unless it is asked for: a benchmark counts only.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sink.h"

static void mail_write(FILE *f, const struct sink_session *s)
{
	char tls[512];

	fwrite(s->envelope.data, 1, s->envelope.len, f);
	fwrite(s->helo.data, 1, s->helo.len, f);
	if (s->tls) {
		sink_tls_describe(s->tls, tls, sizeof(tls));
		fprintf(f, "\n%s", tls);
	}
	if (s->user)
		fprintf(f, "\nAUTH %s", s->user);
	fprintf(f, "\nCONNECTION %llu\nTIME %llu\n\n", (unsigned long long)s->number,
	        (unsigned long long)tool_now_ms());
	fwrite(s->message.data, 1, s->message.len, f);
}

static void mail_to_file(const struct sink_session *s)
{
	const struct sink *sink = s->sink;
	char name[4096], new[4096 + 8];
	FILE *f;

	snprintf(name, sizeof(name), "%s/%06llu.eml", sink->mail_dir, (unsigned long long)sink->mails + 1);
	snprintf(new, sizeof(new), "%s.new", name);
	f = fopen(new, "we");
	if (!f)
		tool_die_errno("cannot write %s", new);
	mail_write(f, s);
	if (ferror(f) || fclose(f) == EOF || rename(new, name) < 0)
		tool_die_errno("cannot write %s", name);
}

/* The text of the header field <name>, "\r\nSubject: ", without folded lines: enough to tell alerts apart. Returns its
 * length.
 */
static int message_field(const struct buffer *message, const char *name, const char **text)
{
	size_t len = strlen(name);
	const char *p = NULL, *end;

	*text = "";
	if (message->len < len)
		return 0;
	if (!memcmp(message->data, name + 2, len - 2))
		p = message->data - 2;
	else
		p = memmem(message->data, message->len, name, len);
	if (!p)
		return 0;
	*text = p + len;
	end = memchr(*text, '\r', message->len - (size_t)(*text - message->data));
	return end ? (int)(end - *text) : 0;
}

/* number, connection, ms, bytes, "MAIL FROM:<a> RCPT TO:<b> RCPT TO:<c>", subject, Message-ID; tabs between them */
static void mail_to_log(const struct sink_session *s)
{
	const struct sink *sink = s->sink;
	const char *subject, *id;
	int len = message_field(&s->message, "\r\nSubject: ", &subject);
	int id_len = message_field(&s->message, "\r\nMessage-ID: ", &id);
	size_t i;

	fprintf(sink->log, "%llu\t%llu\t%llu\t%zu\t", (unsigned long long)sink->mails + 1,
	        (unsigned long long)s->number, (unsigned long long)tool_now_ms(), s->message.len);
	for (i = 0; i + 1 < s->envelope.len; i++)
		putc(s->envelope.data[i] == '\n' ? ' ' : s->envelope.data[i], sink->log);
	fprintf(sink->log, "\t%.*s\t%.*s\n", len, subject, id_len, id);
}

void sink_store_mail(struct sink_session *s)
{
	struct sink *sink = s->sink;

	if (sink->mail_dir)
		mail_to_file(s);
	if (sink->log)
		mail_to_log(s);
	s->mails++;
	sink->rcpts += s->rcpts;
	sink->bytes += s->message.len;
	sink->mails++;
}

void sink_store_violation(struct sink_session *s, const char *what)
{
	struct sink *sink = s->sink;

	if (!sink->violations++)
		snprintf(sink->violation, sizeof(sink->violation), "connection %llu: %s",
		         (unsigned long long)s->number, what);
	sink_store_line(s, '!', what, strlen(what));
}

void sink_store_line(struct sink_session *s, char who, const char *text, size_t len)
{
	FILE *f = s->sink->transcript;
	size_t i;

	if (!f)
		return;
	fprintf(f, "%llu %c: ", (unsigned long long)s->number, who);
	for (i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '\r' && i + 1 < len && text[i + 1] == '\n')
			continue;
		if (c == '\n' && i + 1 < len)
			fprintf(f, "\n%llu %c: ", (unsigned long long)s->number, who);
		else if (c != '\n')
			fprintf(f, c < ' ' || c > '~' ? "\\x%02x" : "%c", c);
	}
	putc('\n', f);
}

void sink_store_flush(struct sink *sink)
{
	if ((sink->log && fflush(sink->log) == EOF) || (sink->transcript && fflush(sink->transcript) == EOF))
		tool_die_errno("cannot write the log");
}
