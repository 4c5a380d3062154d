/*
 * mailbox_fault - see mailbox_fault.h. Each text says what is wrong and what to write; an operator reads
 * it at the start of HAProxy, next to nothing else. The part of the list that it names is shown
 * escaped, as a setting may come from anywhere (an environment variable, say).
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <mailers/mailbox.h>

#include "mailbox_fault.h"

#define MAILBOX_SHOWN_MAX 60 /* bytes of the list that a reason shows; enough to find the place */

/* The texts name these limits. */
_Static_assert(MAILBOX_LIST_MAX == 100 && MAILBOX_PATH_MAX == 254 && MAILBOX_LOCAL_MAX == 64 &&
               MAILBOX_LABEL_MAX == 63, "a text of mailbox_texts names another limit");

static const char *const mailbox_texts[] = {
	[MAILBOX_FINE] = "",
	[MAILBOX_NO_MEMORY] = "out of memory",
	[MAILBOX_EMPTY] = "no address; write at least one, such as ops@example.com",
	[MAILBOX_TOO_MANY] = "more than 100 addresses; write a distribution list's address",
	[MAILBOX_NULL_SENDER] = "no address between '<' and '>'; write <user@example.com>",
	[MAILBOX_CONTROL] = "a control byte, such as a line end; write one line of text",
	[MAILBOX_NON_ASCII] =
		"a non-ASCII address needs SMTPUTF8, which is not supported; write an ASCII address, "
		"with the domain in its xn-- form",
	[MAILBOX_STRAY] =
		"a character that may not stand there; write user@example.com or \"Any name\" "
		"<user@example.com>",
	[MAILBOX_FOLLOWED] =
		"something follows the address; write ',' between addresses, and a name before its "
		"address: \"Any name\" <user@example.com>",
	[MAILBOX_QUOTE_OPEN] = "a quoted string without end; write the closing '\"'",
	[MAILBOX_COMMENT_OPEN] = "a comment without end; write the closing ')'",
	[MAILBOX_COMMENT_DEEP] = "comments in comments beyond the limit; leave them out",
	[MAILBOX_ANGLE_OPEN] =
		"no '>' right after the address that follows '<'; write <user@example.com>",
	[MAILBOX_GROUP_OPEN] =
		"a group without end; write ';' after its last address, or leave out its name and ':'",
	[MAILBOX_GROUP_NESTED] = "a group in a group; write ';' before its name",
	[MAILBOX_ROUTE] = "a source route; write the address alone: <user@example.com>",
	[MAILBOX_NAME_ONLY] = "a name without an address; write \"Any name\" <user@example.com>",
	[MAILBOX_NO_LOCAL] = "nothing before '@'; write user@example.com",
	[MAILBOX_LOCAL_DOTS] =
		"a dot at an end of the part before '@', or two in a row; write single dots, or "
		"quotes: \"user.\"@example.com",
	[MAILBOX_LOCAL_MIXED] =
		"quotes around a piece of the part before '@'; write them around the whole of it: "
		"\"any user\"@example.com",
	[MAILBOX_LOCAL_LONG] = "the part before '@' is too long; write at most 64 bytes",
	[MAILBOX_NO_DOMAIN] = "nothing after '@'; write user@example.com",
	[MAILBOX_DOMAIN_DOTS] =
		"a dot at an end of the domain, or two in a row; write user@example.com",
	[MAILBOX_DOMAIN_BYTES] =
		"a domain holds letters, digits and, not at an end of a label, '-'; write "
		"user@example.com",
	[MAILBOX_LABEL_LONG] =
		"more than 63 bytes between two dots of the domain; write user@example.com",
	[MAILBOX_LITERAL] =
		"not an IP address between '[' and ']'; write user@[192.0.2.1] or "
		"user@[IPv6:2001:db8::1]",
	[MAILBOX_PATH_LONG] = "an address is too long; write at most 254 bytes",
};

enum mailers_error mailbox_fault_error(enum mailbox_fault fault)
{
	switch (fault) {
	case MAILBOX_FINE:
		return MAILERS_OK;
	case MAILBOX_NO_MEMORY:
		return MAILERS_ERR_NOMEM;
	case MAILBOX_TOO_MANY:
	case MAILBOX_COMMENT_DEEP:
		return MAILERS_ERR_BOUND;
	default:
		return MAILERS_ERR_SYNTAX;
	}
}

/* The end of the part to show: that of the member, or, with a separator in quotes before <at>, later. */
static const char *mailbox_shown_end(const char *member, const char *at)
{
	const char *end = at + strcspn(at, ",;");

	while (end > member && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	return end;
}

void mailbox_fault_explain(enum mailbox_fault fault, const char *member, const char *at,
                           char *out, size_t size)
{
	char shown[4 * MAILBOX_SHOWN_MAX + 1];
	const char *end = mailbox_shown_end(member, at);
	bool cut = end - member > MAILBOX_SHOWN_MAX;
	size_t n = 0;

	if (cut)
		end = member + MAILBOX_SHOWN_MAX;
	for (; member < end; member++) {
		unsigned char byte = (unsigned char)*member;

		if (byte < ' ' || byte > '~' || byte == '\\')
			n += (size_t)snprintf(shown + n, sizeof(shown) - n, "\\x%02x", byte);
		else
			shown[n++] = (char)byte;
	}
	shown[n] = '\0';
	if (size)
		snprintf(out, size, "'%s%s': %s", shown, cut ? "..." : "", mailbox_texts[fault]);
}
