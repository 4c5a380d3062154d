/*
 * config - the settings file of the process: read by the first Lua state while HAProxy reads its configuration.
 */
#ifndef HAPROXY_CONFIG_H
#define HAPROXY_CONFIG_H

#include <mailers/engine.h>

#include "../settings/settings.h"
#include "compat.h"

/* NULL without a file. Used by the thread of the first Lua state alone. */
struct settings *config_settings(void);

/* Raises a line for the operator, without a place in a Lua file. */
int config_refuse(lua_State *L, const char *reason);

/* Under the lock, at each tick: reads the tokens again that servers refused. */
void config_tokens(struct engine *e, uint64_t now_ms);

/* Adds settings(), tls(), warning() and finish() to the table of functions on top of the stack. */
void config_register(lua_State *L);

#endif
