/*
 * transport - the engine's connections as Lua functions: what the driver calls between its waits.
 *
 * A connection is a handle, a number that is never used again: a call that comes late, for a connection that
 * was released, does nothing and answers "close". Each function that moves a connection on returns what it
 * wants next:
 *   "write", bytes    send them, then sent(handle, n)
 *   "read", n         receive n bytes, then received(handle, bytes), or ended(handle)
 *   "line", n, most   the same for n bytes, and those after them up to a line's end, or <most> in all: how many
 *                     are sure to come is known for a reply's first bytes alone, and a call for each byte after
 *                     them would cost most
 *   "close"           close the socket, then release(handle)
 */
#ifndef HAPROXY_TRANSPORT_H
#define HAPROXY_TRANSPORT_H

#include "compat.h"

/* Adds the functions to the module's table on top of the stack. */
void transport_register(lua_State *L);

#endif
