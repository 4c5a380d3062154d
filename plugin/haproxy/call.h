/*
 * call - a function of the operator's in a task of HAProxy's: it may wait on HAProxy's API, and is left when it computes
 * without an end.
 */
#ifndef HAPROXY_CALL_H
#define HAPROXY_CALL_H

#include "compat.h"

/* Adds coroutine() and go_on() to the table of functions on top of the stack.
 *
 * coroutine(f): a coroutine of <f>, of the task that calls.
 * go_on(co, ...): goes on with it, at first with the arguments. Returns "done" and what <f> returned; "error" and why; or
 * "yield" after a while of computing: let others have their turn, then call go_on(co) again, or leave it.
 * When <f> waits on HAProxy's API, so does go_on().
 */
void call_register(lua_State *L);

#endif
