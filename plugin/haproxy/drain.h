/*
 * drain - the end of the process: what is queued is sent within a bounded time, and what is left is told.
 */
#ifndef HAPROXY_DRAIN_H
#define HAPROXY_DRAIN_H

#include "compat.h"

/* Adds to the module's table on top of the stack:
 *   busy()         is an alert queued or in flight, or a connection open?
 *   drain(struck)  HAProxy stops. The time for what is queued begins; with <struck> (HAProxy ends its
 *                  connections) it is over.
 *   abandon(most)  nil while there is time left, or when HAProxy does not stop. Else writes a log line for each
 *                  of up to <most> alerts that wait, which are given up by that, and returns how many.
 */
void drain_register(lua_State *L);

/* Whatever is still there when HAProxy closes this Lua state, alerts and log lines, is written to standard error
 * then: HAProxy's log is gone. May raise.
 */
void drain_at_exit(lua_State *L);

#endif
