/*
 * descriptor - ends a connection of HAProxy's whose Lua socket cannot be ended.
 *
 * Socket:close() only half-closes: against a peer that says nothing the descriptor stays until its time-out, against
 * one that drips for ever, and one that is still connecting stays until the kernel gives up after two minutes. shutdown(2)
 * in both directions ends each of them at once, and makes the reader that waits for it return.
 */
#ifndef HAPROXY_DESCRIPTOR_H
#define HAPROXY_DESCRIPTOR_H

#include <stdbool.h>

/* Shuts down the TCP socket of this process whose local and remote ends are <local> and <remote>, "address:port" as Socket:getsockname() and
 * getpeername() say them. False when there is none.
 */
bool descriptor_shutdown(const char *local, const char *remote);

/* Of the TCP sockets of this process that are still connecting to <remote>, an address text of HAProxy's, shuts down the one that
 * tries for the longest time. False when there is none, or the kernel does not tell (no sock_diag).
 */
bool descriptor_abort(const char *remote);

#endif
