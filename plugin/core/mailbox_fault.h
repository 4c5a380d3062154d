/*
 * mailbox_fault - what can be wrong with an address list, and the reason that the operator reads.
 * Private to mailbox.
 */
#ifndef MAILERS_MAILBOX_FAULT_H
#define MAILERS_MAILBOX_FAULT_H

#include <stddef.h>

#include <mailers/error.h>

enum mailbox_fault {
	MAILBOX_FINE = 0,
	MAILBOX_NO_MEMORY,
	MAILBOX_EMPTY,
	MAILBOX_TOO_MANY,
	MAILBOX_NULL_SENDER,
	MAILBOX_CONTROL,
	MAILBOX_NON_ASCII,
	MAILBOX_STRAY,
	MAILBOX_FOLLOWED,
	MAILBOX_QUOTE_OPEN,
	MAILBOX_COMMENT_OPEN,
	MAILBOX_COMMENT_DEEP,
	MAILBOX_ANGLE_OPEN,
	MAILBOX_GROUP_OPEN,
	MAILBOX_GROUP_NESTED,
	MAILBOX_ROUTE,
	MAILBOX_NAME_ONLY,
	MAILBOX_NO_LOCAL,
	MAILBOX_LOCAL_DOTS,
	MAILBOX_LOCAL_MIXED,
	MAILBOX_LOCAL_LONG,
	MAILBOX_NO_DOMAIN,
	MAILBOX_DOMAIN_DOTS,
	MAILBOX_DOMAIN_BYTES,
	MAILBOX_LABEL_LONG,
	MAILBOX_LITERAL,
	MAILBOX_PATH_LONG,
};

/* SYNTAX, BOUND, NOMEM; OK for MAILBOX_FINE. */
enum mailers_error mailbox_fault_error(enum mailbox_fault fault);

/* Writes the reason for <fault>, found at <at> in the list member that starts at <member>, to <out>: one
 * line of printable ASCII, cut to <size>, which may be 0.
 */
void mailbox_fault_explain(enum mailbox_fault fault, const char *member, const char *at,
                           char *out, size_t size);

#endif
