/*
 * event - see event.h. Every read is lua_rawgeti() for the name and lua_rawget() for the value:
 * neither allocates, neither calls a metamethod.
 */
#include <string.h>

#include "event.h"

static const char *const key_names[EVENT_KEYS] = {
	[EVENT_KEY_STATE] = "state", [EVENT_KEY_ADMIN] = "admin", [EVENT_KEY_CHECK] = "check",
	[EVENT_KEY_CAUSE] = "cause", [EVENT_KEY_OLD_STATE] = "old_state", [EVENT_KEY_NEW_STATE] = "new_state",
	[EVENT_KEY_REQUEUED] = "requeued", [EVENT_KEY_OLD_ADMIN] = "old_admin", [EVENT_KEY_NEW_ADMIN] = "new_admin",
	[EVENT_KEY_AGENT] = "agent", [EVENT_KEY_RESULT] = "result", [EVENT_KEY_DURATION] = "duration",
	[EVENT_KEY_REASON] = "reason", [EVENT_KEY_DESC] = "desc", [EVENT_KEY_CODE] = "code",
	[EVENT_KEY_HEALTH] = "health", [EVENT_KEY_CUR] = "cur", [EVENT_KEY_RISE] = "rise", [EVENT_KEY_FALL] = "fall",
	[EVENT_KEY_REFERENCE] = "reference", [EVENT_KEY_MAINT] = "MAINT", [EVENT_KEY_FMAINT] = "FMAINT",
	[EVENT_KEY_IMAINT] = "IMAINT", [EVENT_KEY_RMAINT] = "RMAINT", [EVENT_KEY_CMAINT] = "CMAINT",
	[EVENT_KEY_DRAIN] = "DRAIN", [EVENT_KEY_FDRAIN] = "FDRAIN", [EVENT_KEY_IDRAIN] = "IDRAIN",
};

static const struct {
	enum event_key key;
	unsigned flag;
} admin_flags[] = {
	{ EVENT_KEY_MAINT, SERVER_ADMIN_MAINT }, { EVENT_KEY_FMAINT, SERVER_ADMIN_FMAINT },
	{ EVENT_KEY_IMAINT, SERVER_ADMIN_IMAINT }, { EVENT_KEY_RMAINT, SERVER_ADMIN_RMAINT },
	{ EVENT_KEY_CMAINT, SERVER_ADMIN_CMAINT }, { EVENT_KEY_DRAIN, SERVER_ADMIN_DRAIN },
	{ EVENT_KEY_FDRAIN, SERVER_ADMIN_FDRAIN }, { EVENT_KEY_IDRAIN, SERVER_ADMIN_IDRAIN },
};

void event_keys(lua_State *L)
{
	int i;

	if (lua_getfield(L, LUA_REGISTRYINDEX, "haproxy-mailers.keys") == LUA_TTABLE)
		return;
	lua_pop(L, 1);
	lua_createtable(L, EVENT_KEYS, 0);
	for (i = 1; i < EVENT_KEYS; i++) {
		lua_pushstring(L, key_names[i]);
		lua_rawseti(L, -2, i);
	}
	lua_pushvalue(L, -1);
	lua_setfield(L, LUA_REGISTRYINDEX, "haproxy-mailers.keys");
}

/* Pushes table[key], or nil when there is no table. */
static int event_field(lua_State *L, int keys, int table, enum event_key key)
{
	if (!lua_istable(L, table)) {
		lua_pushnil(L);
		return LUA_TNIL;
	}
	lua_rawgeti(L, keys, key);
	return lua_rawget(L, table < 0 ? table - 1 : table);
}

/* Only strings are read as strings: lua_tolstring() on a number would convert it, and may raise. */
static const char *event_string(lua_State *L, int keys, int table, enum event_key key)
{
	const char *text = event_field(L, keys, table, key) == LUA_TSTRING ? lua_tolstring(L, -1, NULL) : NULL;

	lua_pop(L, 1); /* the table keeps it alive */
	return text;
}

static void event_copy(char *out, size_t size, const char *text)
{
	size_t len = text ? strlen(text) : 0;

	if (len >= size)
		len = size - 1;
	if (len)
		memcpy(out, text, len);
	out[len] = '\0';
}

static lua_Integer event_integer(lua_State *L, int keys, int table, enum event_key key)
{
	lua_Integer n;

	event_field(L, keys, table, key);
	n = lua_tointegerx(L, -1, NULL);
	lua_pop(L, 1);
	return n;
}

static bool event_bool(lua_State *L, int keys, int table, enum event_key key)
{
	bool b;

	event_field(L, keys, table, key);
	b = lua_toboolean(L, -1);
	lua_pop(L, 1);
	return b;
}

static void event_check(lua_State *L, int keys, int table, struct alert_check *check)
{
	check->agent = event_bool(L, keys, table, EVENT_KEY_AGENT);
	check->result = check_result_from_name(event_string(L, keys, table, EVENT_KEY_RESULT));
	check->duration_ms = event_integer(L, keys, table, EVENT_KEY_DURATION);
	event_field(L, keys, table, EVENT_KEY_REASON);
	event_copy(check->desc, sizeof(check->desc), event_string(L, keys, -1, EVENT_KEY_DESC));
	check->has_code = event_field(L, keys, -1, EVENT_KEY_CODE) == LUA_TNUMBER;
	check->code = (int)lua_tointegerx(L, -1, NULL);
	lua_pop(L, 2);
	event_field(L, keys, table, EVENT_KEY_HEALTH);
	check->cur = (int)event_integer(L, keys, -1, EVENT_KEY_CUR);
	check->rise = (int)event_integer(L, keys, -1, EVENT_KEY_RISE);
	check->fall = (int)event_integer(L, keys, -1, EVENT_KEY_FALL);
	lua_pop(L, 1);
}

static unsigned event_flags(lua_State *L, int keys, int table, enum event_key key)
{
	unsigned flags = 0;
	size_t i;

	event_field(L, keys, table, key);
	for (i = 0; i < sizeof(admin_flags) / sizeof(admin_flags[0]); i++) {
		if (event_bool(L, keys, -1, admin_flags[i].key))
			flags |= admin_flags[i].flag;
	}
	lua_pop(L, 1);
	return flags;
}

static void event_state(lua_State *L, int keys, int table, struct alert_event *ev)
{
	ev->type = ALERT_EVENT_STATE;
	ev->admin = event_bool(L, keys, table, EVENT_KEY_ADMIN);
	ev->old_state = server_state_from_name(event_string(L, keys, table, EVENT_KEY_OLD_STATE));
	ev->new_state = server_state_from_name(event_string(L, keys, table, EVENT_KEY_NEW_STATE));
	ev->requeued = (unsigned)event_integer(L, keys, table, EVENT_KEY_REQUEUED);
	event_copy(ev->cause, sizeof(ev->cause), event_string(L, keys, table, EVENT_KEY_CAUSE));
	ev->has_check = event_field(L, keys, table, EVENT_KEY_CHECK) == LUA_TTABLE;
	if (ev->has_check)
		event_check(L, keys, lua_gettop(L), &ev->check);
	lua_pop(L, 1);
}

static void event_admin(lua_State *L, int keys, int table, struct alert_event *ev)
{
	ev->type = ALERT_EVENT_ADMIN;
	ev->old_admin = event_flags(L, keys, table, EVENT_KEY_OLD_ADMIN);
	ev->new_admin = event_flags(L, keys, table, EVENT_KEY_NEW_ADMIN);
	ev->requeued = (unsigned)event_integer(L, keys, table, EVENT_KEY_REQUEUED);
	event_copy(ev->cause, sizeof(ev->cause), event_string(L, keys, table, EVENT_KEY_CAUSE));
}

bool event_decode(lua_State *L, int keys, const char *name, int data, int when, struct alert_event *ev)
{
	static const struct {
		const char *name;
		enum event_key part;
	} events[] = {
		{ "SERVER_STATE", EVENT_KEY_STATE }, { "SERVER_ADMIN", EVENT_KEY_ADMIN }, { "SERVER_CHECK", EVENT_KEY_CHECK },
	};
	enum event_key part = 0;
	size_t i;

	for (i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		if (name && !strcmp(name, events[i].name))
			part = events[i].part;
	}
	if (!part || event_field(L, keys, data, part) != LUA_TTABLE) {
		lua_pop(L, part ? 1 : 0);
		return false;
	}
	*ev = (struct alert_event){ .when = lua_tointegerx(L, when, NULL) };
	if (part == EVENT_KEY_STATE) {
		event_state(L, keys, lua_gettop(L), ev);
	} else if (part == EVENT_KEY_ADMIN) {
		event_admin(L, keys, lua_gettop(L), ev);
	} else {
		ev->type = ALERT_EVENT_CHECK;
		ev->has_check = true;
		event_check(L, keys, lua_gettop(L), &ev->check);
	}
	lua_pop(L, 1);
	return true;
}

void event_reference(lua_State *L, int keys, int data)
{
	event_field(L, keys, data, EVENT_KEY_REFERENCE);
}
