/*
 * status - what HAProxy's HTTP service lua.mailers asks for, from whichever Lua state and thread serves it:
 * a look at the engine under its lock, nothing else.
 */
#ifndef HAPROXY_STATUS_H
#define HAPROXY_STATUS_H

#include "compat.h"

/* Adds to the module's table on top of the stack:
 *   metrics()   Prometheus' text
 *   status()    JSON
 * Both return nil without memory, and before start().
 */
void status_register(lua_State *L);

#endif
