/*
 * smtp_reply: the replies do not depend on how the bytes were cut, everything kept of them is bounded, what is
 * shown is printable, and no reply is complete before the bytes that were said to be needed.
 */
#include <mailers/smtp_reply.h>

#include "fuzz.h"

#define REPLIES_MAX 64

struct result {
	size_t n;
	struct { unsigned code, enhanced[3]; size_t lines, end; char print[256]; } reply[REPLIES_MAX];
	enum mailers_error error;
};

static void keep(struct result *result, const struct smtp_reply *reply, size_t end)
{
	size_t i = result->n++;

	FUZZ_CHECK(reply->code >= 200 && reply->code <= 599);
	FUZZ_CHECK(reply->lines >= 1 && reply->lines <= SMTP_REPLY_LINES_MAX);
	FUZZ_CHECK(reply->len <= SMTP_REPLY_TEXT_MAX && reply->text[reply->len] == '\0');
	FUZZ_CHECK(strlen(reply->text) == reply->len);
	result->reply[i].code = reply->code;
	memcpy(result->reply[i].enhanced, reply->enhanced, sizeof(reply->enhanced));
	result->reply[i].lines = reply->lines;
	result->reply[i].end = end;
	FUZZ_CHECK(smtp_reply_print(reply, result->reply[i].print, 256) == strlen(result->reply[i].print));
	FUZZ_CHECK(fuzz_printable(result->reply[i].print));
}

/* Reads all of <data> in pieces of <cut> bytes, or less as <data> itself says when that is 0. */
static void read_all(struct result *result, const uint8_t *data, size_t size, size_t cut)
{
	static struct smtp_reply_parser p;
	size_t at = 0, earliest = 0, n, taken;

	memset(result, 0, sizeof(*result));
	smtp_reply_parser_init(&p);
	while (at < size && result->n < REPLIES_MAX) {
		n = cut ? cut : (size_t)data[at] % 7 + 1;
		if (n > size - at)
			n = size - at;
		if (!p.error) {
			FUZZ_CHECK(smtp_reply_parser_need(&p) >= 1);
			if (at + smtp_reply_parser_need(&p) > earliest)
				earliest = at + smtp_reply_parser_need(&p);
		}
		taken = smtp_reply_parser_feed(&p, (const char *)data + at, n);
		FUZZ_CHECK(taken >= 1 && taken <= n);
		at += taken;
		if (p.complete) {
			FUZZ_CHECK(!p.error);
			FUZZ_CHECK(at >= earliest);
			keep(result, &p.reply, at);
		} else {
			FUZZ_CHECK(taken == n);
		}
	}
	result->error = p.error;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct result whole, other;

	read_all(&whole, data, size, size ? size : 1);
	for (size_t cut = 0; cut < 3; cut++) {
		read_all(&other, data, size, cut);
		FUZZ_CHECK(!memcmp(&whole, &other, sizeof(whole)));
	}
	return 0;
}
