/*
 * server - the HAProxy servers that are watched, and what happens to them.
 *
 * Each watched server has one event subscription whose handler is a C closure. The handler copies the
 * event, asks HAProxy for the rest (in a protected call: an error costs that part of the text, never the
 * alert), composes the text and queues it. It never yields and never waits.
 *
 * HAProxy drops events of a server when more than 100 of them wait, and SERVER_ADD too; and the events of a
 * server that was just added come before anyone could subscribe. So after a burst, and after SERVER_ADD,
 * the server's present state is compared with the last known one, and a state that was missed is mailed.
 */
#ifndef HAPROXY_SERVER_H
#define HAPROXY_SERVER_H

#include "compat.h"

#define SERVER_BURST      16   /* events in a row that look like a burst: far below 100 */
#define SERVER_BURST_MS   1000 /* pause after which a burst is over, and its server is looked at */

/* engine.track(server, proxy): subscribes to the server's events. <proxy> is what engine.proxy() gave. */
int server_track(lua_State *L);
/* A handler for SERVER_ADD: tracks the new server when its proxy mails alerts. */
int server_added(lua_State *L);
/* engine.found(server, proxy): tracks it, and sees that a state that was missed is mailed. False when it is
 * tracked already.
 */
int server_found(lua_State *L);
/* engine.reconcile(): looks at some of the servers whose burst is over. Returns whether it is to be called
 * again, at some time; whether all servers are to be gone through with found(), as HAProxy may have
 * dropped SERVER_ADD; and whether it is to be called again at once.
 */
int server_reconcile(lua_State *L);
/* engine.on_wake(wake, revive): functions that are called when work comes, and when nobody seems to do it. */
int server_on_wake(lua_State *L);

#endif
