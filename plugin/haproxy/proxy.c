/*
 * proxy - see proxy.h. Only Lua's calls can raise here; the engine's calls stand between them with
 * the lock held for that call alone.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"
#include "instance.h"
#include "proxy.h"

#define PROXY_METATABLE "haproxy-mailers.proxy"
#define PROXY_TABLE     "haproxy-mailers.proxies" /* registry: name -> handle, or false */
#define PROXY_MAILERS   64                        /* of one proxy */
#define PROXY_BATCH_MAX 32

struct proxy *proxy_check(lua_State *L, int arg)
{
	return luaL_checkudata(L, arg, PROXY_METATABLE);
}

void proxy_call(lua_State *L, int index, const char *method)
{
	index = lua_absindex(L, index);
	lua_getfield(L, index, method);
	lua_pushvalue(L, index);
	lua_call(L, 1, 1);
}

/* Raises an error that is one line for the operator. Settings may hold any byte. */
static int proxy_refuse(lua_State *L, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int proxy_refuse(lua_State *L, const char *format, ...)
{
	char text[SETTINGS_REASON_MAX], *p;
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	for (p = text; *p; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	}
	return config_refuse(L, text);
}

static const char *proxy_field(lua_State *L, int table, const char *name, const char *proxy, const char *key)
{
	const char *text;

	lua_getfield(L, table, name); /* stays on the stack: the text is used for as long */
	text = lua_tostring(L, -1);
	if (!text)
		proxy_refuse(L, "proxy %.100s: %s is missing; set it, or remove email-alert mailers", proxy,
		             key);
	return text;
}

/* The ids of a section in a stable order: a Lua table has none of its own. Pushes them as an array. */
static int proxy_mailer_ids(lua_State *L, int servers)
{
	int n = 0, i, k;

	lua_newtable(L);
	for (lua_pushnil(L); lua_next(L, servers); lua_pop(L, 1)) {
		if (lua_type(L, -2) == LUA_TSTRING && lua_type(L, -1) == LUA_TSTRING) {
			lua_pushvalue(L, -2);
			lua_rawseti(L, -4, ++n);
		}
	}
	for (i = 2; i <= n; i++) { /* a handful of lines: insertion will do */
		for (k = i; k > 1; k--) {
			lua_rawgeti(L, -1, k - 1);
			lua_rawgeti(L, -2, k);
			if (strcmp(lua_tostring(L, -2), lua_tostring(L, -1)) <= 0) {
				lua_pop(L, 2);
				break;
			}
			lua_rawseti(L, -3, k - 1);
			lua_rawseti(L, -2, k);
		}
	}
	return n;
}

/* Names and addresses of the <n> `mailer` lines in the table at <servers>, whose ids stand on top of the stack;
 * they stay Lua's. */
static void proxy_lines(lua_State *L, struct mailer_settings *mailers, int servers, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		lua_rawgeti(L, -1, i + 1);
		mailers[i].name = lua_tostring(L, -1);
		lua_rawget(L, servers);
		mailers[i].address = lua_tostring(L, -1);
		lua_pop(L, 1);
	}
}

/* Refines them by the settings file, adds its <extras> mailers, and puts all in order. */
static void proxy_refine(lua_State *L, const char *name, struct mailer_settings *mailers, int n, size_t extras)
{
	struct settings *s = config_settings();
	char reason[SETTINGS_REASON_MAX];
	bool ok = true;
	size_t i;

	for (i = 0; ok && i < (size_t)n; i++)
		ok = settings_mailer(s, name, mailers[i].name, &mailers[i], reason);
	for (i = 0; ok && i < extras; i++)
		ok = settings_extra(s, name, i, &mailers[(size_t)n + i], reason);
	if (!ok || !settings_order(s, name, mailers, (size_t)n + extras, reason))
		proxy_refuse(L, "%s", reason);
}

/* What all mailers of a proxy have of HAProxy's settings. */
static struct mailer_settings proxy_mailer_settings(lua_State *L, const char *name, int conf)
{
	struct mailer_settings settings = { 0 };

	settings.helo = proxy_field(L, conf, "smtp_hostname", name, "email-alert myhostname");
	lua_getfield(L, conf, "mailservers_timeout"); /* absent in early 2.8 */
	if (lua_tointeger(L, -1) > 0 && lua_tointeger(L, -1) <= INT32_MAX)
		settings.timeout_mail_ms = (uint32_t)lua_tointeger(L, -1);
	return settings;
}

/* Adds the mailers of the table at <conf>. */
static void proxy_add_mailers(lua_State *L, struct engine_proxy *proxy, const char *name, int conf)
{
	struct mailer_settings common = proxy_mailer_settings(L, name, conf), *mailers;
	size_t extras = settings_extras(config_settings(), name), i;
	char reason[ENGINE_REASON_MAX];
	enum mailers_error error = MAILERS_OK;
	int servers, n;

	lua_getfield(L, conf, "mailservers");
	servers = lua_gettop(L);
	n = lua_istable(L, servers) ? proxy_mailer_ids(L, servers) : 0;
	if (!n && !extras)
		proxy_refuse(L, "proxy %.100s: its mailers section has no mailer line; add one such as "
		             "'mailer smtp1 192.0.2.25:25', or remove email-alert mailers", name);
	if ((size_t)n + extras > PROXY_MAILERS)
		proxy_refuse(L, "proxy %.100s: it has %zu mailers, %d can be served; remove some", name,
		             (size_t)n + extras, PROXY_MAILERS);
	mailers = compat_newuserdata(L, ((size_t)n + extras) *
	                                        sizeof(*mailers)); /* Lua's, as what follows may raise */
	lua_insert(L, -2);
	for (i = 0; i < (size_t)n + extras; i++)
		mailers[i] = common;
	if (n)
		proxy_lines(L, mailers, servers, n);
	proxy_refine(L, name, mailers, n, extras);
	for (i = 0; !error && i < (size_t)n + extras; i++) {
		error = engine_proxy_mailer(instance_lock(), proxy, &mailers[i], reason);
		instance_unlock();
	}
	if (!error) {
		error = engine_proxy_ready(instance_lock(), proxy, reason);
		instance_unlock();
	}
	if (error)
		proxy_refuse(L, "%s", reason);
}

/* Has the engine ask for functions of the settings. Proxies with the same one for the batch may share mails: so it is the
 * same text, in <batch>.
 */
static void proxy_functions(struct proxy *p, struct engine_proxy_settings *settings, char *batch)
{
	struct settings_functions functions;

	settings_functions(config_settings(), settings->name, &functions);
	p->route = functions.route;
	p->batch = functions.batch;
	if (p->route || p->batch)
		settings->ask_ms = functions.timeout_ms;
	if (p->batch) {
		snprintf(batch, PROXY_BATCH_MAX, "function %d", p->batch);
		settings->summary.batch = batch;
		settings->ask_batch = true;
	}
}

static int proxy_open(lua_State *L)
{
	struct engine_proxy_settings settings = { 0 };
	char reason[ENGINE_REASON_MAX], batch[PROXY_BATCH_MAX];
	enum mailers_error error;
	struct proxy *p;
	int conf;

	lua_settop(L, 1);
	luaL_checkstack(L, 30, "mailers");
	proxy_call(L, 1, "get_name");
	settings.name = luaL_checkstring(L, 2);
	proxy_call(L, 1, "get_mailers");
	conf = lua_gettop(L);
	luaL_getsubtable(L, LUA_REGISTRYINDEX, PROXY_TABLE);
	if (!lua_istable(L, conf)) {
		lua_pushboolean(L, 0);
		lua_setfield(L, -2, settings.name);
		lua_pushnil(L);
		return 1;
	}
	p = compat_newuserdata(L, sizeof(*p));
	*p = (struct proxy){ .object = LUA_NOREF };
	luaL_newmetatable(L, PROXY_METATABLE);
	lua_setmetatable(L, -2);
	lua_pushvalue(L, 1);
	p->object = luaL_ref(L, LUA_REGISTRYINDEX);
	settings.from = proxy_field(L, conf, "smtp_from", settings.name, "email-alert from");
	settings.to = proxy_field(L, conf, "smtp_to", settings.name, "email-alert to");
	lua_getfield(L, conf, "log_level");
	settings.level = (enum alert_level)lua_tointeger(L, -1);
	lua_getfield(L, conf, "track_server_health");
	p->checks = lua_toboolean(L, -1);
	settings_proxy(config_settings(), settings.name, &settings);
	proxy_functions(p, &settings, batch);
	error = engine_proxy_add(instance_lock(), &settings, &p->engine, reason);
	instance_unlock();
	if (error)
		return proxy_refuse(L, "%s", reason);
	proxy_add_mailers(L, p->engine, settings.name, conf);
	lua_settop(L, conf + 2); /* the table of proxies, the handle */
	lua_pushvalue(L, -1);
	lua_setfield(L, -3, settings.name);
	return 1;
}

/* From now on the proxy is one that mails nothing. */
static void proxy_close(lua_State *L, int px)
{
	luaL_getsubtable(L, LUA_REGISTRYINDEX, PROXY_TABLE);
	proxy_call(L, px, "get_name");
	lua_pushboolean(L, 0);
	lua_rawset(L, -3);
	lua_pop(L, 1);
}

void proxy_push(lua_State *L, int px)
{
	px = lua_absindex(L, px);
	luaL_getsubtable(L, LUA_REGISTRYINDEX, PROXY_TABLE);
	proxy_call(L, px, "get_name");
	lua_rawget(L, -2);
	lua_remove(L, -2);
	if (lua_isnil(L, -1)) { /* the first time, for a backend that came after the start too */
		lua_pop(L, 1);
		proxy_close(L, px); /* if it cannot be opened now, it is not tried again with each event */
		lua_pushcfunction(L, proxy_open);
		lua_pushvalue(L, px);
		lua_call(L, 1, 1);
	}
	if (!lua_isuserdata(L, -1)) {
		lua_pop(L, 1);
		lua_pushnil(L);
	}
}

struct proxy *proxy_find(lua_State *L, const char *name)
{
	struct proxy *p;

	luaL_getsubtable(L, LUA_REGISTRYINDEX, PROXY_TABLE);
	lua_getfield(L, -1, name);
	p = lua_touserdata(L, -1); /* the table keeps it */
	lua_pop(L, 2);
	return p;
}

int proxy_get(lua_State *L)
{
	lua_settop(L, 1);
	proxy_push(L, 1);
	return 1;
}
