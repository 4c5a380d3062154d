/*
 * config - see config.h. The settings are made once, in the body of lua/mailers.lua, so that `haproxy -c`
 * checks them, and are never freed: the engine has parts of them until the process ends.
 */
#include <stdio.h>
#include <string.h>

#include <mailers/address.h>

#include "config.h"
#include "instance.h"

#define CONFIG_VERSION_MAX 99

/* Set before the first event, by the one state that claimed the engine. */
static struct {
	struct settings *settings;
	size_t warned; /* warnings that warning() has given out */
} config;

struct settings *config_settings(void)
{
	return config.settings;
}

int config_refuse(lua_State *L, const char *reason)
{
	lua_pushfstring(L, "haproxy-mailers: %s", reason);
	return lua_error(L);
}

/* ADDRESS_HAPROXY() of "3.0.11-1+deb13u3"; 0 of what does not begin with two numbers. */
static unsigned config_version(const char *text)
{
	unsigned major, minor;

	if (sscanf(text, "%2u.%2u", &major, &minor) != 2 || !major || major > CONFIG_VERSION_MAX)
		return 0;
	return ADDRESS_HAPROXY(major, minor);
}

/* settings(path, version): reads the file; is TLS needed? */
static int config_load(lua_State *L)
{
	const char *path = luaL_checkstring(L, 1);
	const char *version = luaL_optstring(L, 2, "");
	char reason[SETTINGS_REASON_MAX];

	config.settings = settings_load(L, path, config_version(version), reason);
	if (!config.settings)
		return config_refuse(L, reason);
	instance_options()->drain_ms = settings_drain_ms(config.settings);
	instance_options()->commands = settings_commands(config.settings);
	lua_pushboolean(L, settings_need_tls(config.settings));
	return 1;
}

/* tls(api): what mailers/tls.so returned. */
static int config_tls(lua_State *L)
{
	const struct tls_api *api = lua_touserdata(L, 1);
	char reason[SETTINGS_REASON_MAX];

	if (!lua_islightuserdata(L, 1) || !api || api->version != TLS_API_VERSION)
		return config_refuse(L, "mailers/tls.so is not of this version; build and install both "
		                        "modules again: make install");
	if (config.settings && !settings_tls(config.settings, api, reason))
		return config_refuse(L, reason);
	return 0;
}

/* warning(): the next warning, or nil. */
static int config_warning(lua_State *L)
{
	const char *text = settings_warning(config.settings, config.warned);

	if (!text)
		return 0;
	config.warned++;
	lua_pushstring(L, text);
	return 1;
}

/* finish(): all proxies are known. */
static int config_finish(lua_State *L)
{
	(void)L;
	settings_finish(config.settings);
	return 0;
}

void config_tokens(struct engine *e, uint64_t now_ms)
{
	char token[SASL_TOKEN_MAX + 1], reason[SETTINGS_REASON_MAX];
	const struct mailer_settings *m;
	int index;
	bool ok;

	while ((index = engine_token_wanted(e)) >= 0) {
		m = engine_mailer_settings(e, index);
		if (!m)
			continue;
		ok = settings_token_read(config.settings, m->credentials, token, reason);
		if (ok && engine_token_set(e, index, token, now_ms)) {
			ok = false;
			snprintf(reason, sizeof(reason), "out of memory");
		}
		if (!ok)
			engine_token_missing(e, index, reason);
		sasl_wipe(token, sizeof(token));
	}
}

void config_register(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{ "settings", config_load }, { "tls", config_tls }, { "warning", config_warning },
		{ "finish", config_finish }, { NULL, NULL },
	};

	luaL_setfuncs(L, functions, 0);
}
