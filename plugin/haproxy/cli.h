/*
 * cli - what HAProxy's command line asks for, from whichever Lua state and thread serves it.
 *
 * All of it is done on the engine, under its lock; nothing here touches a connection. Who changed something
 * wakes the host: in the state that owns the engine by its driver, in others by call().
 */
#ifndef HAPROXY_CLI_H
#define HAPROXY_CLI_H

#include <stdint.h>

#include "compat.h"

struct engine;

/* Adds to the module's table on top of the stack:
 *   show("mailers"|"alerts")            the table as text
 *   commands()                          may the command line change something?
 *   flush(name), pause(name), resume(name)
 *                                       the number of mailers of that name (nil: of all)
 *   may_follow(version)                 may a command of that HAProxy wait? See cli.c
 *   test(proxy, mailer)                 a test of that mailer (nil: of each), or nil and why not
 *   test:read()                         what was said and heard since; true behind it, and the outcome, when it
 *                                       is over
 *   test:close()                        ends it; so does its collection, and nobody reading it for CLI_TEST_MS
 *   call()                              there is work for the host, said in another state than the host's
 *   called()                            was it said since the last time?
 */
void cli_register(lua_State *L);

/* Under the lock, at each tick: ends the tests that nobody reads any more. Their reader went without a word:
 * HAProxy drops a Lua function whose client is gone.
 */
void cli_tick(struct engine *e, uint64_t now_ms);

#endif
