/*
 * mailbox - address lists as `email-alert from` and `email-alert to` hold them (RFC 5322 section 3.4,
 * addr-spec for RFC 5321 paths).
 *
 * Accepted: mailboxes separated by ',' (or ';' as users of other mailers write it), display names (atoms, quoted
 * strings, 8-bit text), comments, quoted local parts, domain literals, groups ("ops: a@x, b@y;"), and a bare local part without a
 * domain, which HAProxy's configurations use ("root"). Empty list members are skipped.
 */
#ifndef MAILERS_MAILBOX_H
#define MAILERS_MAILBOX_H

#include <stddef.h>

#include <mailers/error.h>

#define MAILBOX_PATH_MAX 254  /* RFC 5321 4.5.3.1.3: 256 with < and > */
#define MAILBOX_LIST_MAX 100  /* RFC 5321 4.5.3.1.8: as many recipients every server takes */

struct mailbox_list {
	char **address; /* owned; addr-spec as it goes between < and > : quoted local parts kept quoted when they must be */
	size_t n;
};

/* Parses <text> into <out> (which need not be initialised). Duplicates (same local part, same domain without
 * case) are kept once. On SYNTAX or BOUND <reason> gets one line for the operator with the offending part, escaped,
 * cut to <reason_size>; <out> is then empty. An empty list is SYNTAX.
 */
enum mailers_error mailbox_list_parse(struct mailbox_list *out, const char *text,
                                      char *reason, size_t reason_size);

/* Frees the addresses; <list> is empty and valid after it. */
void mailbox_list_free(struct mailbox_list *list);

#endif
