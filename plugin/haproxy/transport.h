/*
 * transport - the engine's connections as Lua functions: what the driver calls between its waits.
 *
 * A connection is its slot number. Each function that moves a connection on returns what it wants next:
 *   "write", bytes    send them, then sent(slot)
 *   "read", n         receive n bytes, then received(slot, bytes), or ended(slot)
 *   "line", n         the same for the bytes up to a line's end, or n of them: how many are sure to come is
 *                     known for a reply's first bytes alone, and a call for each byte after them would cost most
 *   "close"           close the socket, then release(slot)
 */
#ifndef HAPROXY_TRANSPORT_H
#define HAPROXY_TRANSPORT_H

#include "compat.h"

/* Adds the functions to the module's table on top of the stack. */
void transport_register(lua_State *L);

#endif
