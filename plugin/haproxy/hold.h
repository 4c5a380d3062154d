/*
 * hold - a connection that leads nowhere, so that a stopping HAProxy stays for what is queued.
 *
 * A HAProxy that was told to stop waits for its connections, not for the tasks of Lua. A hold is one end of a
 * pair of sockets: Lua connects to its address, over which HAProxy hands us the other end of a pair of its
 * own, and nobody ever takes it. Closing the hold closes that end with it, and whoever reads on Lua's side
 * returns. No name, path, port or other process has a part in it.
 */
#ifndef HAPROXY_HOLD_H
#define HAPROXY_HOLD_H

#include "compat.h"

/* Adds hold() to the module's table on top of the stack: returns a hold and the address to connect to, or
 * nothing when there are no descriptors left. hold:close() releases it; so does its collection.
 */
void hold_register(lua_State *L);

#endif
