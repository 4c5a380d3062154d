/*
 * mailbox: whatever the list is, its addresses are safe in a command and parse back to themselves; what is
 * refused has a reason of one line.
 */
#include <mailers/mailbox.h>

#include "fuzz.h"

/* Printable, and nothing that could end a path or an address outside of quotes. */
static void check_address(const char *address)
{
	const char *at = strrchr(address, '@');
	size_t len = strlen(address);
	bool quoted = false;

	FUZZ_CHECK(len >= 1 && len <= MAILBOX_PATH_MAX);
	FUZZ_CHECK((at ? (size_t)(at - address) : len) <= MAILBOX_LOCAL_MAX);
	FUZZ_CHECK(fuzz_printable(address));
	for (const char *c = address; *c; c++) {
		if (quoted && *c == '\\')
			FUZZ_CHECK(*++c == '"' || *c == '\\');
		else if (*c == '"')
			quoted = !quoted;
		else if (!quoted)
			FUZZ_CHECK(!strchr(" <>,;()\\", *c));
	}
	FUZZ_CHECK(!quoted);
}

/* An address stays what it is, alone, in <>, behind a name, and in a group. */
static void check_again(const char *address)
{
	static const char *const format[] = { "%s", "<%s>", "\"Any, name\" (x) <%s> (y)", "g: ,%s;" };
	char text[MAILBOX_PATH_MAX + 40], reason[MAILBOX_REASON_SIZE];
	struct mailbox_list again;

	for (size_t i = 0; i < sizeof(format) / sizeof(*format); i++) {
		snprintf(text, sizeof(text), format[i], address);
		FUZZ_CHECK(mailbox_list_parse(&again, text, reason, sizeof(reason)) == MAILERS_OK);
		FUZZ_CHECK(again.n == 1 && !strcmp(again.address[0], address));
		mailbox_list_free(&again);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char reason[MAILBOX_REASON_SIZE] = "", *text = malloc(size + 1);
	struct mailbox_list list;
	enum mailers_error error;

	FUZZ_CHECK(text);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	error = mailbox_list_parse(&list, text, reason, sizeof(reason));
	if (error) {
		FUZZ_CHECK(error == MAILERS_ERR_SYNTAX || error == MAILERS_ERR_BOUND);
		FUZZ_CHECK(list.n == 0 && !list.address);
		FUZZ_CHECK(fuzz_printable(reason) && strstr(reason, "': "));
		FUZZ_CHECK(strlen(reason) < sizeof(reason) - 1);
	} else {
		FUZZ_CHECK(list.n >= 1 && list.n <= MAILBOX_LIST_MAX);
	}
	for (size_t i = 0; i < list.n; i++) {
		check_address(list.address[i]);
		check_again(list.address[i]);
		for (size_t k = 0; k < i; k++)
			FUZZ_CHECK(strcmp(list.address[i], list.address[k]) != 0);
	}
	mailbox_list_free(&list);
	free(text);
	return 0;
}
