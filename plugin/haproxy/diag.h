/*
 * diag - asks the kernel by sock_diag(7) which TCP sockets are trying to connect to an address.
 *
 * It needs no privilege and no /proc, and never waits: the answer is there when the question was sent.
 */
#ifndef HAPROXY_DIAG_H
#define HAPROXY_DIAG_H

#include <stdbool.h>
#include <stddef.h>

#include <mailers/address.h>

#define DIAG_SOCKETS 128 /* more than one process has to a mail server that does not answer */

struct diag_socket {
	unsigned long inode;  /* st_ino of its descriptor */
	unsigned retries;     /* SYNs sent again */
	unsigned left_ms;     /* until the next one */
};

/* Writes the sockets of this network namespace that are connecting to <remote>, DIAG_SOCKETS at most; returns their number, 0
 * also when the kernel does not tell.
 */
size_t diag_connecting(const struct address *remote, struct diag_socket *sockets);

/* Did <a> begin before <b>? */
bool diag_older(const struct diag_socket *a, const struct diag_socket *b);

#endif
