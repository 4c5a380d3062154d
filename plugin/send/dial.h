/*
 * dial - a connecting socket for an address text of HAProxy's format: IPv4, IPv6, unix@, abns@, abnsz@, and host names.
 */
#ifndef SEND_DIAL_H
#define SEND_DIAL_H

#include <stddef.h>

#define DIAL_REASON_SIZE 480

/* Begins to connect. Returns a non-blocking descriptor, connected or on its way, which the caller closes; or -1, and <reason>
 * (DIAL_REASON_SIZE bytes) says why, one printable line. A host name is looked up here, which waits for the
 * resolver; its addresses are tried in turn as far as connect() answers at once.
 */
int dial(const char *address, char *reason);

/* What became of a connect on its way: 0, or errno's value. */
int dial_outcome(int fd);

#endif
