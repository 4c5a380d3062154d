/*
 * route - see route.h. An alert is a table: its fields are the operator's to read and to change, its methods stand in the
 * metatable, by which it is known when it comes back. What it holds then is text of anybody's: the engine checks it.
 *
 * Values are read raw, so no metamethod of the operator's runs. Errors of Lua are raised with nothing held but userdata; the
 * caller, a protected one, tells the engine then.
 */
#include <stdarg.h>
#include <string.h>

#include <mailers/message.h>

#include "instance.h"
#include "proxy.h"
#include "route.h"
#include "text.h"

#define ROUTE_ALERT   "haproxy-mailers.alert"
#define ROUTE_ANSWERS "haproxy-mailers.answers"
#define ROUTE_HEADERS 64  /* of one alert */
#define ROUTE_LIST    100 /* addresses or mailers of one list */

/* --- a question as an object --- */

/* Fields whose values are numbers for Lua. */
static bool route_is_number(const char *name)
{
	static const char *const names[] = { "code", "duration", "active", "backup", "sessions", "queued", "requeued" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (!strcmp(names[i], name))
			return true;
	}
	return false;
}

/* Adds a field of a question to the table on top of the stack. */
static void route_push_field(lua_State *L, const char *name, const char *value)
{
	if (!strcmp(name, "mailer")) {
		lua_getfield(L, -1, "mailers");
		lua_pushstring(L, value);
		lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
		lua_pop(L, 1);
		return;
	}
	if (!route_is_number(name) || !lua_stringtonumber(L, value))
		lua_pushstring(L, value);
	lua_setfield(L, -2, name);
}

static void route_push_alert(lua_State *L, const struct buffer *b)
{
	const char *at = b->data, *end = at + b->len, *value;

	lua_createtable(L, 0, TEMPLATE_FIELDS + 6);
	lua_newtable(L);
	lua_setfield(L, -2, "mailers");
	for (; at < end; at = value + strlen(value) + 1) {
		value = at + strlen(at) + 1;
		route_push_field(L, at, value);
	}
	luaL_setmetatable(L, ROUTE_ALERT);
}

static void route_push_function(lua_State *L, int reference)
{
	if (reference)
		lua_rawgeti(L, LUA_REGISTRYINDEX, reference);
	else
		lua_pushnil(L);
}

/* Protected: the functions for the question in the buffer (1), and its alert. */
static int route_push_question(lua_State *L)
{
	const struct proxy *p;

	route_push_alert(L, lua_touserdata(L, 1));
	lua_getfield(L, -1, "proxy");
	p = proxy_find(L, lua_tostring(L, -1));
	route_push_function(L, p ? p->route : 0);
	route_push_function(L, p ? p->batch : 0);
	lua_pushvalue(L, 2);
	return 3;
}

/* ask(): the number of the next question, the functions for it (nil: none) and the alert; nothing when there is none, or
 * no memory for it.
 */
static int route_ask(lua_State *L)
{
	struct buffer *b = text_buffer(L);
	struct engine *e;
	uint64_t id;

	lua_pushcfunction(L, route_push_question);
	lua_pushvalue(L, -2);
	e = instance_lock();
	id = e ? engine_ask(e, b, instance_now()) : 0;
	instance_unlock();
	if (!id)
		return 0;
	if (lua_pcall(L, 1, 3, 0) != LUA_OK) { /* nobody else will answer it */
		e = instance_lock();
		engine_answer_failed(e, id, "out of memory", instance_now());
		instance_unlock();
		return 0;
	}
	lua_pushinteger(L, (lua_Integer)id);
	lua_insert(L, -4);
	return 4;
}

/* --- an object as an answer --- */

/* Raises a line for the operator, without a place in our Lua. */
static int route_refuse(lua_State *L, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int route_refuse(lua_State *L, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	lua_pushvfstring(L, format, ap);
	va_end(ap);
	return lua_error(L);
}

struct route_answers {
	size_t n;
	struct buffer one[ENGINE_ANSWERS];
};

static int route_answers_free(lua_State *L)
{
	struct route_answers *a = luaL_checkudata(L, 1, ROUTE_ANSWERS);
	size_t i;

	for (i = 0; i < ENGINE_ANSWERS; i++)
		buffer_free(&a->one[i]);
	return 0;
}

/* The text on top of the stack, of field <name>; numbers are texts, too. */
static const char *route_text(lua_State *L, const char *name)
{
	size_t len;
	const char *text;

	if (lua_type(L, -1) != LUA_TSTRING && lua_type(L, -1) != LUA_TNUMBER)
		route_refuse(L, "%s: it is a %s; it must be a text", name, luaL_typename(L, -1));
	text = lua_tolstring(L, -1, &len);
	if (strlen(text) != len)
		route_refuse(L, "%s: it holds a NUL", name);
	return text;
}

static void route_put(struct buffer *b, const char *name, const char *value)
{
	buffer_add(b, name, strlen(name) + 1);
	buffer_add(b, value, strlen(value) + 1);
}

/* Field <name> of the alert at <alert>. */
static void route_put_field(lua_State *L, int alert, const char *name, struct buffer *b)
{
	lua_pushstring(L, name);
	lua_rawget(L, alert);
	if (!lua_isnil(L, -1))
		route_put(b, name, route_text(L, name));
	lua_pop(L, 1);
}

/* The members of field <name>, one text or a list; each by itself as <each>, or without that as one text with commas. */
static void route_put_list(lua_State *L, int alert, const char *name, const char *each, struct buffer *b)
{
	size_t n, i;

	lua_pushstring(L, name);
	lua_rawget(L, alert);
	n = lua_istable(L, -1) ? lua_rawlen(L, -1) : 0;
	if (n > ROUTE_LIST)
		route_refuse(L, "%s: it has more than %d members", name, ROUTE_LIST);
	if (!lua_istable(L, -1) && !lua_isnil(L, -1)) {
		route_put(b, each ? each : name, route_text(L, name));
	} else if (n && !each) {
		buffer_add(b, name, strlen(name) + 1);
	}
	for (i = 0; i < n; i++) {
		lua_rawgeti(L, -1, (lua_Integer)i + 1);
		if (each) {
			route_put(b, each, route_text(L, name));
		} else {
			buffer_puts(b, i ? ", " : "");
			buffer_puts(b, route_text(L, name));
		}
		lua_pop(L, 1);
	}
	if (n && !each)
		buffer_add(b, "", 1);
	if (each && lua_istable(L, -1) && !n && !strcmp(name, "mailers"))
		route_refuse(L, "mailers: the list is empty; write nil for all of them");
	lua_pop(L, 1);
}

/* The alert at <index>. */
static void route_put_alert(lua_State *L, int index, struct route_answers *a)
{
	static const char *const names[] = { "subject", "body", "batch" };
	struct buffer *b;
	unsigned i;

	if (a->n == ENGINE_ANSWERS)
		route_refuse(L, "it returned more than %d alerts", ENGINE_ANSWERS);
	b = &a->one[a->n++];
	for (i = 0; i < TEMPLATE_FIELDS; i++)
		route_put_field(L, index, template_field_name(i), b);
	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		route_put_field(L, index, names[i], b);
	route_put_list(L, index, "to", NULL, b);
	route_put_list(L, index, "cc", NULL, b);
	route_put_list(L, index, "mailers", "mailer", b);
	route_put_list(L, index, "headers", "header", b);
	if (buffer_error(b))
		route_refuse(L, "out of memory");
}

static bool route_is_alert(lua_State *L, int index)
{
	bool is;

	if (!lua_istable(L, index) || !lua_getmetatable(L, index))
		return false;
	luaL_getmetatable(L, ROUTE_ALERT);
	is = lua_rawequal(L, -1, -2);
	lua_pop(L, 2);
	return is;
}

/* The value at <index>, which the function returned: an alert, a list of them, or nothing. */
static void route_put_value(lua_State *L, int index, struct route_answers *a)
{
	size_t n, i;

	if (route_is_alert(L, index)) {
		route_put_alert(L, index, a);
		return;
	}
	if (!lua_toboolean(L, index))
		return;
	if (!lua_istable(L, index))
		route_refuse(L, "it returned a %s; return the alert, a list of alerts, or nil", luaL_typename(L, index));
	n = lua_rawlen(L, index);
	if (!n)
		route_refuse(L, "it returned a table that is no list of alerts; return the alert, a list of alerts, or nil");
	for (i = 0; i < n; i++) {
		lua_rawgeti(L, index, (lua_Integer)i + 1);
		if (!route_is_alert(L, lua_gettop(L)))
			route_refuse(L, "it returned a list with a %s that is no alert", luaL_typename(L, -1));
		route_put_alert(L, lua_gettop(L), a);
		lua_pop(L, 1);
	}
}

/* answer(id, ...): what the function returned. Raises when that is no answer at all. */
static int route_answer(lua_State *L)
{
	uint64_t id = (uint64_t)luaL_checkinteger(L, 1);
	int top = lua_gettop(L), i;
	struct route_answers *a;
	struct engine *e;

	luaL_checkstack(L, LUA_MINSTACK, "alert");
	a = compat_newuserdata(L, sizeof(*a));
	memset(a, 0, sizeof(*a));
	luaL_setmetatable(L, ROUTE_ANSWERS);
	for (i = 2; i <= top; i++)
		route_put_value(L, i, a);
	e = instance_lock();
	engine_answer(e, id, a->one, a->n, instance_now());
	instance_unlock();
	return 0;
}

/* unanswered(id, why): the function failed. */
static int route_unanswered(lua_State *L)
{
	uint64_t id = (uint64_t)luaL_checkinteger(L, 1);
	const char *why = luaL_checkstring(L, 2);
	struct engine *e = instance_lock();

	engine_answer_failed(e, id, why, instance_now());
	instance_unlock();
	return 0;
}

/* asked(id): does anybody still wait for the answer? */
static int route_asked(lua_State *L)
{
	uint64_t id = (uint64_t)luaL_checkinteger(L, 1);
	const struct engine *e = instance_lock();
	bool asked = e && engine_asked(e, id);

	instance_unlock();
	lua_pushboolean(L, asked);
	return 1;
}

/* askable(): would ask() return something? */
static int route_askable(lua_State *L)
{
	const struct engine *e = instance_lock();
	bool askable = e && engine_askable(e);

	instance_unlock();
	lua_pushboolean(L, askable);
	return 1;
}

/* ask_able(able): whether the functions can be called. */
static int route_ask_able(lua_State *L)
{
	bool able = lua_toboolean(L, 1);
	struct engine *e = instance_lock();

	if (e)
		engine_ask_able(e, able, instance_now());
	instance_unlock();
	return 0;
}

/* --- methods --- */

/* alert:insert_header(name, value) */
static int route_insert_header(lua_State *L)
{
	size_t len;
	const char *name = luaL_checklstring(L, 2, &len), *fault = message_header_fault(name, len);

	luaL_argcheck(L, route_is_alert(L, 1), 1, "it is no alert; write alert:insert_header(name, value)");
	if (fault)
		return luaL_argerror(L, 2, fault);
	luaL_checkstring(L, 3);
	lua_pushliteral(L, "headers");
	lua_rawget(L, 1);
	if (!lua_istable(L, -1)) {
		lua_pop(L, 1);
		lua_newtable(L);
		lua_pushliteral(L, "headers");
		lua_pushvalue(L, -2);
		lua_rawset(L, 1);
	}
	if (lua_rawlen(L, -1) >= ROUTE_HEADERS)
		return luaL_error(L, "more than %d headers", ROUTE_HEADERS);
	lua_pushfstring(L, "%s: %s", name, lua_tostring(L, 3));
	lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
	return 0;
}

/* Pushes a copy of the table at <from>; its tables are copied too, as long as <depth> lasts. */
static void route_push_copy(lua_State *L, int from, int depth)
{
	luaL_checkstack(L, LUA_MINSTACK, "alert");
	lua_newtable(L);
	for (lua_pushnil(L); lua_next(L, from); ) {
		lua_pushvalue(L, -2);
		if (depth && lua_istable(L, -2))
			route_push_copy(L, lua_absindex(L, -2), depth - 1);
		else
			lua_pushvalue(L, -2);
		lua_rawset(L, -5);
		lua_pop(L, 1);
	}
}

/* alert:copy(): one like it. */
static int route_copy(lua_State *L)
{
	luaL_argcheck(L, route_is_alert(L, 1), 1, "it is no alert; write alert:copy()");
	lua_settop(L, 1);
	route_push_copy(L, 1, 1);
	luaL_setmetatable(L, ROUTE_ALERT);
	return 1;
}

void route_register(lua_State *L)
{
	static const luaL_Reg methods[] = {
		{ "insert_header", route_insert_header }, { "copy", route_copy }, { NULL, NULL },
	};
	static const luaL_Reg functions[] = {
		{ "ask", route_ask },     { "answer", route_answer },   { "unanswered", route_unanswered },
		{ "asked", route_asked }, { "askable", route_askable }, { "ask_able", route_ask_able },
		{ NULL, NULL },
	};

	luaL_newmetatable(L, ROUTE_ALERT);
	luaL_newlib(L, methods);
	lua_setfield(L, -2, "__index");
	lua_pop(L, 1);
	luaL_newmetatable(L, ROUTE_ANSWERS);
	lua_pushcfunction(L, route_answers_free);
	lua_setfield(L, -2, "__gc");
	lua_pop(L, 1);
	luaL_setfuncs(L, functions, 0);
}
