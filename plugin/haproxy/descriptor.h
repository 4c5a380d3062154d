/*
 * descriptor - ends a connection of HAProxy's whose Lua socket cannot be ended.
 *
 * Socket:close() only half-closes: against a peer that says nothing the descriptor stays until its time-out, against
 * one that drips for ever. shutdown(2) in both directions ends it at once in every HAProxy, and makes the reader that waits for it
 * return.
 */
#ifndef HAPROXY_DESCRIPTOR_H
#define HAPROXY_DESCRIPTOR_H

#include <stdbool.h>

/* Shuts down the TCP socket of this process whose local and remote ends are <local> and <remote>, "address:port" as Socket:getsockname() and
 * getpeername() say them. False when there is none.
 */
bool descriptor_shutdown(const char *local, const char *remote);

#endif
