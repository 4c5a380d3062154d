/*
 * dial - a connecting socket for an address text of HAProxy's format: IPv4, IPv6, unix@, abns@, abnsz@, and host names.
 */
#ifndef SEND_DIAL_H
#define SEND_DIAL_H

#include <stddef.h>

#define DIAL_REASON_SIZE 480

struct dial; /* the addresses of a host name that were not tried yet */

/* Begins to connect. Returns a non-blocking descriptor, connected or on its way, which the caller closes; or -1, and <reason>
 * (DIAL_REASON_SIZE bytes) says why, one printable line. A host name is looked up here, which waits for the
 * resolver; *<rest> is what dial_next() tries when this one cannot be reached, and the caller's: NULL for none.
 */
int dial(const char *address, struct dial **rest, char *reason);
/* The same with the next address. <reason> says why when there is none, too. */
int dial_next(struct dial *rest, char *reason);
void dial_free(struct dial *rest); /* NULL is a no-op */

/* What became of a connect on its way: 0, or errno's value. */
int dial_outcome(int fd);

#endif
