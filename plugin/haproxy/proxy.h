/*
 * proxy - HAProxy's proxies that mail alerts: reads `Proxy:get_mailers()` once a proxy, at init, and
 * gives the engine its routes.
 */
#ifndef HAPROXY_PROXY_H
#define HAPROXY_PROXY_H

#include <mailers/engine.h>

#include "compat.h"

/* What engine.proxy() returns, a userdata that lives as long as the Lua state. */
struct proxy {
	struct engine_proxy *engine; /* the engine's, lives as long as it */
	int object;                  /* registry reference of HAProxy's Proxy */
	int64_t date_when;           /* of the mail that was written last ... */
	char date[QUEUE_DATE_MAX];   /* ... and its text; "" without */
	bool checks;                 /* option log-health-checks: SERVER_CHECK is wanted */
	int route, batch;            /* functions of the settings, references in the registry; 0: none */
};

/* engine.proxy(px): the proxy's handle, or nil when it mails no alerts. Raises an error for the operator when a setting is bad. */
int proxy_get(lua_State *L);
/* Pushes the handle of HAProxy's Proxy at index <px>, or nil; opens a proxy that is not known yet. May raise. */
void proxy_push(lua_State *L, int px);
/* The handle of the proxy <name>, which was opened; NULL when it mails no alerts. May raise. */
struct proxy *proxy_find(lua_State *L, const char *name);
/* The handle at <arg>; raises when it is none. */
struct proxy *proxy_check(lua_State *L, int arg);

/* Calls object:method() with the object at <index> and pushes its one result. May raise. */
void proxy_call(lua_State *L, int index, const char *method);

#endif
