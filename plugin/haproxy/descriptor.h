/*
 * descriptor - ends a connection of HAProxy's whose Lua socket cannot be ended.
 *
 * Socket:close() only half-closes: against a peer that says nothing the descriptor stays until its time-out,
 * against one that drips for ever, and one that is still connecting stays until the kernel gives up after two
 * minutes. shutdown(2) in both directions ends each of them at once, and makes the reader that waits for it
 * return.
 */
#ifndef HAPROXY_DESCRIPTOR_H
#define HAPROXY_DESCRIPTOR_H

#include <stdbool.h>
#include <stddef.h>

#include "diag.h"

/* Shuts down the TCP socket of this process whose local and remote ends are <local> and <remote>,
 * "address:port" as Socket:getsockname() and getpeername() say them. False when there is none.
 */
bool descriptor_shutdown(const char *local, const char *remote);

/* Writes the inodes of the TCP sockets of the machine that are connecting to <remote>, an address text of
 * HAProxy's; at most DIAG_SOCKETS, returns their number. Asked just before a connect, it tells which sockets
 * are not that one's.
 */
size_t descriptor_connecting(const char *remote, unsigned long *inodes);

/* Of the TCP sockets of this process that are still connecting to <remote>, and are none of the <n> in
 * <others>, shuts down the one that tries for the longest time. False when there is none, or the kernel does
 * not tell (no sock_diag).
 */
bool descriptor_abort(const char *remote, const unsigned long *others, size_t n);

/* For unix sockets, which have no names of their own to be told apart by. Asked just before a connect to
 * <remote>: the number that its descriptor will have, most likely; -1 when <remote> is no unix address, or
 * nothing can be said.
 */
int descriptor_likely(const char *remote);
/* Asked after it: the inode of a socket of this process that is connected to <remote> and was not told
 * before, of <likely> if that is one; 0 without.
 */
unsigned long descriptor_claim(const char *remote, int likely);
/* Shuts down the socket of this process with that inode. False when there is none. */
bool descriptor_end(unsigned long inode);

#endif
