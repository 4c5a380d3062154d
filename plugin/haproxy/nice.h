/*
 * nice - lets HAProxy's connections go before the events of its servers.
 *
 * HAProxy's run queue is a line: when 20,000 servers go down at once, the task of each one's event stands in it, and an HTTP
 * request that comes now would wait behind them all, 300 ms. With a nice value (Lua's core.set_nice(), the `nice` of a
 * bind line) a task stands further back: others pass as long as there are any, and HAProxy takes fewer tasks at a time.
 */
#ifndef HAPROXY_NICE_H
#define HAPROXY_NICE_H

#include <stddef.h>

#include <lua.h>

/* Asked just before Server:event_sub(), for nice_events(). */
size_t nice_mark(lua_State *L);
/* Asked just after it: from now on the subscription that was made stands back. Without effect when its coroutine is not found. */
void nice_events(lua_State *L, size_t mark);

#endif
