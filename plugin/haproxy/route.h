/*
 * route - alerts for the functions of the settings file, `route` and `batch`: as Lua objects out of the engine, and back.
 * lua/mailers/route.lua calls the functions; the engine knows what waits for them, and for how long (engine_ask()).
 */
#ifndef HAPROXY_ROUTE_H
#define HAPROXY_ROUTE_H

#include "compat.h"

/* Adds ask(), answer(), unanswered(), asked(), askable() and ask_able() to the table of functions on top of the stack. */
void route_register(lua_State *L);

#endif
