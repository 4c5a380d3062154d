/*
 * address: what is parsed is printed and read back into the same struct; what is refused has a reason of
 * one line and leaves nothing; no buffer is overrun, however small.
 *
 * Input: flags|version (304 is HAProxy 3.4)|text
 */
#include <mailers/address.h>

#include "fuzz.h"

#define REASON_MAX 256

static const char *lookup(const char *name, void *arg)
{
	static const char *const variables[][2] = {
		{ "IP", "127.0.0.1" }, { "PORT", "25" }, { "DOLLAR", "$x" }, { "EMPTY", "" },
	};

	FUZZ_CHECK(!arg);
	for (size_t i = 0; i < sizeof(variables) / sizeof(*variables); i++)
		if (!strcmp(name, variables[i][0]))
			return variables[i][1];
	return NULL;
}

static bool same(const struct address *a, const struct address *b)
{
	return a->family == b->family && a->type == b->type && !memcmp(a->ip, b->ip, sizeof(a->ip)) &&
	       a->port == b->port && a->port_end == b->port_end && a->port_sign == b->port_sign &&
	       a->fd == b->fd && !strcmp(a->name, b->name) && a->host_family == b->host_family;
}

static void check_printed(const struct address *a, unsigned flags)
{
	char text[ADDRESS_TEXT_MAX + 1], reason[REASON_MAX];
	size_t len = address_print(a, text, sizeof(text));
	struct address back;

	if (!len) {
		FUZZ_CHECK(!text[0] && strchr(a->name, '$'));
		return;
	}
	FUZZ_CHECK(len == strlen(text) && len <= ADDRESS_TEXT_MAX);
	FUZZ_CHECK(address_parse(&back, text, flags, NULL, NULL, reason, sizeof(reason)) == MAILERS_OK);
	FUZZ_CHECK(same(a, &back));
	for (size_t size = 1; size <= len; size += len / 3 + 1) {
		char *small = malloc(size);

		FUZZ_CHECK(small);
		FUZZ_CHECK(address_print(a, small, size) == 0 && !small[0]);
		free(small);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct address zero;
	struct fuzz_input in = { data, size };
	unsigned flags = (unsigned)fuzz_number(&in) & 0x3f;
	unsigned version = (unsigned)fuzz_number(&in) % 1000;
	char *text = fuzz_field(&in), reason[REASON_MAX], cut[8];
	struct address a;
	enum mailers_error error;

	if (version)
		flags |= ADDRESS_HAPROXY(version / 100, version % 100);
	error = address_parse(&a, text, flags, lookup, NULL, reason, sizeof(reason));
	FUZZ_CHECK(fuzz_printable(reason) && strlen(reason) < sizeof(reason));
	if (error) {
		FUZZ_CHECK(error == MAILERS_ERR_SYNTAX && strstr(reason, "; write "));
		FUZZ_CHECK(same(&a, &zero));
		FUZZ_CHECK(address_parse(&a, text, flags, lookup, NULL, cut, sizeof(cut)) == error);
		FUZZ_CHECK(!strncmp(cut, reason, sizeof(cut) - 1));
	} else {
		FUZZ_CHECK(!reason[0]);
		check_printed(&a, flags);
	}
	free(text);
	return 0;
}
