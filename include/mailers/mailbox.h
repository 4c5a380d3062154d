/*
 * mailbox - address lists as `email-alert from` and `email-alert to` hold them (RFC 5322 section 3.4),
 * turned into paths of RFC 5321.
 *
 * Accepted: mailboxes with display names, comments, folding whitespace, quoted local parts, domain
 * literals, and groups ("ops: a@x, b@y;"). Empty list members are skipped, dots may stand in a display
 * name. Beyond the RFC, as configurations need it:
 *
 *   ';' separates like ',' outside of a group, and no ',' is needed after the ';' of a group
 *   bytes above 127 in display names, their quoted strings, and comments
 *   a local part alone ("root"), as a dot-atom, in <> too: the server completes it
 *   '_' in a domain
 *
 * Refused, with a reason: source routes, the null sender (<>), other obsolete forms of an address,
 * control bytes, bytes above 127 in an address (RFC 6531: SMTPUTF8 is not spoken), domains that are no
 * host names, and literals that are no IP address.
 */
#ifndef MAILERS_MAILBOX_H
#define MAILERS_MAILBOX_H

#include <stddef.h>

#include <mailers/error.h>

#define MAILBOX_LOCAL_MAX     64  /* RFC 5321 4.5.3.1.1, quotes counted */
#define MAILBOX_LABEL_MAX     63  /* RFC 1035 2.3.4 */
#define MAILBOX_DOMAIN_MAX    255 /* RFC 5321 4.5.3.1.2 */
#define MAILBOX_PATH_MAX      254 /* RFC 5321 4.5.3.1.3: 256 with < and > */
#define MAILBOX_LIST_MAX      100 /* RFC 5321 4.5.3.1.8: as many recipients every server takes */
#define MAILBOX_COMMENT_DEPTH 16  /* comments in comments; nobody writes two */
#define MAILBOX_REASON_SIZE   512 /* holds every reason uncut */

struct mailbox_list {
	char **address; /* owned; as it goes between < and >: printable ASCII, 1 to MAILBOX_PATH_MAX bytes */
	size_t n;
};

/* Parses <text> (NULL is "") into <out>, which need not be initialised: at least one address, at most
 * MAILBOX_LIST_MAX, in their order. A local part is printed without quotes where it can be, the case of
 * letters is kept. Duplicates (same local part, same domain without regard to case) are kept once.
 *
 * On SYNTAX (an empty list too), BOUND (too many addresses, or comments too deep) and NOMEM, <out> is
 * empty and <reason> gets one line of printable ASCII for the operator: the offending part, escaped
 * and shortened, what is wrong with it and what to write. It is cut to <reason_size>, which may be 0.
 */
enum mailers_error mailbox_list_parse(struct mailbox_list *out, const char *text,
                                      char *reason, size_t reason_size);

/* Frees the addresses; <list> is empty and valid after it. */
void mailbox_list_free(struct mailbox_list *list);

#endif
