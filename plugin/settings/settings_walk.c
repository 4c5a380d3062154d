/*
 * settings_walk - the table that the file returns, value by value, into the structs of setting.h.
 *
 * Lua's tables have no order: keys are taken in that of the alphabet, so that of several faults always the same
 * one is told. Values are read raw (no metamethod runs). Called in a protected call: may raise where Lua wants
 * memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include <mailers/rule.h>

#include "settings_internal.h"

struct walk {
	lua_State *L;
	struct settings *s;
	char *reason;
	char where[SETTINGS_WHERE_MAX]; /* mailers["smtp1"].tls */
};

/* Where the values of a table go: the rows that its keys may be of, with the struct of each. */
struct walk_place {
	const struct setting_field *fields;
	void *base;
};

struct walk_keys {
	const char **key;
	size_t n;
};

#define WALK_PLACES 2
#define WALK_FUNCTIONS "haproxy-mailers.functions" /* registry: function -> reference */

/* Takes the table on top of the stack, which is the value of <field>. */
typedef bool walk_table_fn(struct walk *w, void *arg);

struct walk_tables {
	const char *name;
	walk_table_fn *walk;
	void *arg;
};

static bool walk_mailer(struct walk *w, struct settings_entry *e, bool extra);

static bool walk_refuse_memory(struct walk *w)
{
	return settings_refuse(w->s, w->reason, w->where, "out of memory; start again");
}

/* Lengthens the path; returns what walk_leave() takes. */
static size_t walk_enter(struct walk *w, const char *key, bool name)
{
	char quote[SETTING_QUOTE_SIZE];
	size_t len = strlen(w->where), n;

	if (name) {
		snprintf(w->where + len, sizeof(w->where) - len, "%s%s", len ? "." : "", key);
	} else {
		setting_quote(quote, key, strlen(key));
		n = strlen(quote);
		quote[n - 1] = '\0';
		snprintf(w->where + len, sizeof(w->where) - len, "[\"%s\"]", quote + 1);
	}
	return len;
}

static void walk_leave(struct walk *w, size_t len)
{
	w->where[len] = '\0';
}

/* --- keys --- */

static int walk_compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool walk_refuse_key(struct walk *w, int type)
{
	char quote[SETTING_QUOTE_SIZE];
	size_t len;
	const char *text;

	if (type == LUA_TSTRING) {
		text = lua_tolstring(w->L, -2, &len);
		return settings_refuse(w->s, w->reason, w->where,
		                       "the key %s is empty, too long or has control characters; write another",
		                       setting_quote(quote, text, len));
	}
	return settings_refuse(w->s, w->reason, w->where,
	                       "a value stands there without a name; write name = value, or [\"name\"] = "
	                       "value");
}

/* The keys of the table on top of the stack, sorted. They are Lua's strings, which live as long as the table.
 */
static bool walk_keys(struct walk *w, struct walk_keys *keys)
{
	size_t n = 0, i;

	keys->n = 0;
	for (lua_pushnil(w->L); lua_next(w->L, -2); lua_pop(w->L, 1))
		n++;
	if (n > SETTINGS_ENTRIES)
		return settings_refuse(w->s, w->reason, w->where, "it has %zu entries; write at most %d", n,
		                       SETTINGS_ENTRIES);
	keys->key = settings_alloc(w->s, (n + 1) * sizeof(*keys->key));
	if (!keys->key)
		return walk_refuse_memory(w);
	for (lua_pushnil(w->L); lua_next(w->L, -2); lua_pop(w->L, 1)) {
		int type = lua_type(w->L, -2);
		const char *text = type == LUA_TSTRING ? lua_tostring(w->L, -2) : NULL;
		size_t len = text ? lua_rawlen(w->L, -2) : 0;

		for (i = 0; i < len && (unsigned char)text[i] >= ' ' && text[i] != 0x7f; i++)
			;
		if (!len || i < len || len > SETTINGS_KEY_MAX)
			return walk_refuse_key(w, type);
		if (keys->n < n)
			keys->key[keys->n++] = text;
	}
	qsort(keys->key, keys->n, sizeof(*keys->key), walk_compare);
	return true;
}

/* Pushes the value of <key> of the table on top of the stack. */
static void walk_push(struct walk *w, const char *key)
{
	lua_pushstring(w->L, key);
	lua_rawget(w->L, -2);
}

/* --- values --- */

/* The texts of the list on top of the stack. */
static bool walk_list(struct walk *w, struct setting_value *value)
{
	size_t n = lua_rawlen(w->L, -1), count = 0, i, len;
	const char **ids;
	const char *text;

	for (lua_pushnil(w->L); lua_next(w->L, -2); lua_pop(w->L, 1))
		count++;
	if (count != n || n > SETTINGS_LIST)
		return settings_refuse(w->s, w->reason, w->where,
		                       n > SETTINGS_LIST ? "the list has too many members; write at most 100"
		                                         : "it is no list; write { \"one\", \"two\" }");
	ids = settings_alloc(w->s, (n + 1) * sizeof(*ids));
	if (!ids)
		return walk_refuse_memory(w);
	for (i = 0; i < n; i++) {
		lua_rawgeti(w->L, -1, (lua_Integer)i + 1);
		text = lua_type(w->L, -1) == LUA_TSTRING ? lua_tolstring(w->L, -1, &len) : NULL;
		if (!text || strlen(text) != len)
			return settings_refuse(w->s, w->reason, w->where,
			                       "member %zu of the list is no text; write { \"one\", \"two\" }",
			                       i + 1);
		ids[i] = settings_copy(w->s, text, len);
		if (!ids[i])
			return walk_refuse_memory(w);
		lua_pop(w->L, 1);
	}
	value->kind = SETTING_IS_LIST;
	value->list = (struct setting_ids){ ids, n };
	return true;
}

static const char *const walk_kinds[] = {
	[LUA_TNIL] = "nil", [LUA_TBOOLEAN] = "a boolean", [LUA_TLIGHTUSERDATA] = "a userdata", [LUA_TNUMBER] =
	"a number", [LUA_TSTRING] = "a text", [LUA_TTABLE] = "a table", [LUA_TFUNCTION] = "a function",
	[LUA_TUSERDATA] = "a userdata", [LUA_TTHREAD] = "a coroutine",
};

static bool walk_takes_list(enum setting_type type)
{
	return type == SETTING_AUTH || type == SETTING_IDS || type >= SETTING_PATTERNS;
}

/* A text where a list may stand, too, is a list of one. */
static bool walk_one(struct walk *w, struct setting_value *value)
{
	const char **ids;

	if (strlen(value->text) != value->len)
		return settings_refuse(w->s, w->reason, w->where, "the text holds a NUL; write one without");
	ids = settings_alloc(w->s, sizeof(*ids));
	if (!ids)
		return walk_refuse_memory(w);
	ids[0] = value->text;
	value->kind = SETTING_IS_LIST;
	value->list = (struct setting_ids){ ids, 1 };
	return true;
}

/* A reference to the function on top of the stack, for as long as the state lives: the same for the same function, as
 * proxies whose batch is one function share mails.
 */
static int walk_function(lua_State *L)
{
	int reference;

	luaL_checkstack(L, 4, "functions");
	luaL_getsubtable(L, LUA_REGISTRYINDEX, WALK_FUNCTIONS);
	lua_pushvalue(L, -2);
	lua_rawget(L, -2);
	reference = (int)lua_tointeger(L, -1);
	lua_pop(L, 1);
	if (!reference) {
		lua_pushvalue(L, -2);
		reference = luaL_ref(L, LUA_REGISTRYINDEX);
		lua_pushvalue(L, -2);
		lua_pushinteger(L, reference);
		lua_rawset(L, -3);
	}
	lua_pop(L, 1);
	return reference;
}

/* The value on top of the stack, for <field>. A secret is not even copied. */
static bool walk_value(struct walk *w, const struct setting_field *field, struct setting_value *value)
{
	int type = lua_type(w->L, -1), whole = 0;

	*value = (struct setting_value){ .kind = SETTING_IS_OTHER, .kind_name = walk_kinds[type] };
	if (field->type == SETTING_SECRET)
		return true;
	if (type == LUA_TSTRING) {
		value->kind = SETTING_IS_TEXT;
		value->text = lua_tolstring(w->L, -1, &value->len);
		value->text = settings_copy(w->s, value->text, value->len);
		if (!value->text)
			return walk_refuse_memory(w);
		return field->type < SETTING_PATTERNS || walk_one(w, value);
	}
	if (type == LUA_TFUNCTION && (field->type == SETTING_FUNCTION || field->type == SETTING_BATCH)) {
		value->kind = SETTING_IS_FUNCTION;
		value->number = walk_function(w->L);
		return true;
	}
	if (type == LUA_TBOOLEAN) {
		value->kind = SETTING_IS_BOOL;
		value->truth = lua_toboolean(w->L, -1);
	} else if (type == LUA_TNUMBER) {
		value->number = lua_tointegerx(w->L, -1, &whole);
		value->kind_name = "a number with a fraction";
		if (whole)
			value->kind = SETTING_IS_NUMBER;
	} else if (type == LUA_TTABLE && walk_takes_list(field->type)) {
		return walk_list(w, value);
	}
	return true;
}

static bool walk_set(struct walk *w, const struct walk_place *place, const struct setting_field *field)
{
	char reason[SETTING_REASON_SIZE];
	struct setting_value value;

	if (!walk_value(w, field, &value))
		return false;
	if (!setting_set(place->fields, field, place->base, &value, reason))
		return settings_refuse(w->s, w->reason, w->where, "%s", reason);
	return true;
}

/* --- tables --- */

/* Where a key that does not belong here does. */
static const struct {
	const struct setting_field *fields;
	const char *place;
} walk_homes[] = {
	{ setting_mailer_fields, "a mailer's entry, as mailers = { [\"*\"] = { ... } }" },
	{ setting_top_fields, "the top level of the file" },
	{ setting_proxy_fields, "the top level of the file, or a proxy's entry, as proxies = { [\"db\"] = { "
	                        "... } }" },
	{ setting_limit_fields, "limit = { ... }" },
	{ setting_summary_fields, "summary = { ... }" },
	{ setting_rule_fields, "a rule, as rules = { { ... } }" },
};

static bool walk_refuse_unknown(struct walk *w, const struct walk_place *places, const char *key)
{
	char quote[SETTING_QUOTE_SIZE], text[SETTINGS_REASON_MAX / 2] = "";
	struct setting_guess guess = { .text = key };
	const struct setting_field *f = NULL;
	size_t i, n = 0;

	setting_quote(quote, key, strlen(key));
	for (i = 0; i < WALK_PLACES && places[i].fields; i++)
		setting_guess_fields(&guess, places[i].fields);
	for (i = 0; guess.best && i < WALK_PLACES && places[i].fields && !f; i++)
		f = setting_find(places[i].fields, guess.best);
	for (i = 0; i < sizeof(walk_homes) / sizeof(*walk_homes); i++) {
		if (setting_find(walk_homes[i].fields, key))
			return settings_refuse(w->s, w->reason, w->where,
			                       "%s does not belong here; write it in %s", quote,
			                       walk_homes[i].place);
	}
	if (f && f->type == SETTING_SECRET)
		return settings_refuse(w->s, w->reason, w->where, "unknown key %s; write %s", quote,
		                       f->example);
	if (guess.best)
		return settings_refuse(w->s, w->reason, w->where, "unknown key %s; did you mean '%s'?", quote,
		                       guess.best);
	for (i = 0; i < WALK_PLACES && places[i].fields; i++) {
		for (f = places[i].fields; f->name && n < sizeof(text); f++) {
			if (f->type != SETTING_SECRET)
				n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", n ? ", " : "",
				                      f->name);
		}
	}
	return settings_refuse(w->s, w->reason, w->where, "unknown key %s; write one of: %s", quote, text);
}

/* Takes the value on top of the stack, that of <key>. */
static bool walk_key(struct walk *w, const struct walk_place *places, const struct walk_tables *tables,
                     const char *key)
{
	const struct setting_field *field = NULL;
	size_t i, len;
	bool ok;

	for (i = 0; i < WALK_PLACES && places[i].fields && !field; i++)
		field = setting_find(places[i].fields, key);
	if (!field)
		return walk_refuse_unknown(w, places, key);
	len = walk_enter(w, key, true);
	while (tables && tables->name && strcmp(tables->name, key))
		tables++;
	if (lua_istable(w->L, -1) && tables && tables->name)
		ok = tables->walk(w, tables->arg);
	else
		ok = walk_set(w, &places[i - 1], field);
	walk_leave(w, len);
	return ok;
}

/* The table on top of the stack, whose keys are those of <places>. */
static bool walk_fields(struct walk *w, const struct walk_place *places, const struct walk_tables *tables)
{
	struct walk_keys keys;
	size_t i;

	if (!walk_keys(w, &keys))
		return false;
	for (i = 0; i < keys.n; i++) {
		walk_push(w, keys.key[i]);
		if (!walk_key(w, places, tables, keys.key[i]))
			return false;
		lua_pop(w->L, 1);
	}
	return true;
}

/* Copies of the present path and of <key>, for an entry that is to be kept. */
static bool walk_name(struct walk *w, const char *key, const char **key_copy, const char **where_copy)
{
	*key_copy = settings_copy(w->s, key, strlen(key));
	*where_copy = settings_copy(w->s, w->where, strlen(w->where));
	if (!*key_copy || !*where_copy)
		return walk_refuse_memory(w);
	if (!lua_istable(w->L, -1))
		return settings_refuse(w->s, w->reason, w->where, "%s is no table; write { ... }",
		                       walk_kinds[lua_type(w->L, -1)]);
	return true;
}

/* mailers{} or extra{} on top of the stack. */
static bool walk_mailers(struct walk *w, struct settings_entries *out, bool extra)
{
	struct walk_keys keys;
	size_t i, len;

	if (!walk_keys(w, &keys))
		return false;
	out->entry = settings_alloc(w->s, (keys.n + 1) * sizeof(*out->entry));
	if (!out->entry)
		return walk_refuse_memory(w);
	for (i = 0; i < keys.n; i++) {
		struct settings_entry *e = &out->entry[out->n++];

		walk_push(w, keys.key[i]);
		len = walk_enter(w, keys.key[i], false);
		if (!walk_name(w, keys.key[i], &e->key, &e->where) || !walk_mailer(w, e, extra))
			return false;
		walk_leave(w, len);
		lua_pop(w->L, 1);
	}
	return true;
}

static bool walk_mailer(struct walk *w, struct settings_entry *e, bool extra)
{
	struct walk_place places[WALK_PLACES] = { { setting_mailer_fields, &e->own } };

	if (extra && strpbrk(e->key, "*/"))
		return settings_refuse(w->s, w->reason, w->where,
		                       "the name of an extra mailer has no '*' or '/'; write one such as "
		                       "local1");
	if (strchr(e->key, '*') && strcmp(e->key, "*"))
		return settings_refuse(w->s, w->reason, w->where,
		                       "'*' is no pattern; write \"*\" alone for all mailers, or a mailer's "
		                       "id, or \"proxy/id\"");
	if (!walk_fields(w, places, NULL))
		return false;
	if (!extra && e->own.address)
		return settings_refuse(w->s, w->reason, w->where,
		                       "address is set, and a mailer line has its own in HAProxy's "
		                       "configuration; remove it, or write the mailer in extra = { ... }");
	if (extra && !e->own.address)
		return settings_refuse(w->s, w->reason, w->where,
		                       "address is missing; write one such as address = "
		                       "\"unix@/run/smtp.sock\"");
	return true;
}

static bool walk_mailers_table(struct walk *w, void *entries)
{
	return walk_mailers(w, entries, false);
}

static bool walk_extra_table(struct walk *w, void *entries)
{
	return walk_mailers(w, entries, true);
}

static bool walk_limit_table(struct walk *w, void *proxy)
{
	char reason[SETTING_REASON_SIZE];
	struct setting_limit limit = { 0 };
	struct walk_place places[WALK_PLACES] = { { setting_limit_fields, &limit } };

	if (!walk_fields(w, places, NULL))
		return false;
	if (!setting_limit_check(&limit, reason))
		return settings_refuse(w->s, w->reason, w->where, "%s", reason);
	setting_put(setting_proxy_fields, setting_find(setting_proxy_fields, "limit"), proxy, &limit);
	return true;
}

static bool walk_summary_table(struct walk *w, void *proxy)
{
	char reason[SETTING_REASON_SIZE];
	struct setting_summary summary = { 0 };
	struct walk_place places[WALK_PLACES] = { { setting_summary_fields, &summary } };

	if (!walk_fields(w, places, NULL))
		return false;
	if (!setting_summary_check(&summary, reason))
		return settings_refuse(w->s, w->reason, w->where, "%s", reason);
	setting_put(setting_proxy_fields, setting_find(setting_proxy_fields, "summary"), proxy, &summary);
	return true;
}

/* One table of rules{}. */
static bool walk_rule(struct walk *w, struct rule *rule)
{
	struct walk_place places[WALK_PLACES] = { { setting_rule_fields, rule } };
	char reason[SETTING_REASON_SIZE];

	if (!lua_istable(w->L, -1))
		return settings_refuse(w->s, w->reason, w->where, "%s is no rule; write { proxy = \"^db\", to = "
		                       "\"dba@example.org\" }", walk_kinds[lua_type(w->L, -1)]);
	if (!walk_fields(w, places, NULL))
		return false;
	if (!setting_rule_check(rule, reason))
		return settings_refuse(w->s, w->reason, w->where, "%s", reason);
	return true;
}

static bool walk_rules_table(struct walk *w, void *proxy)
{
	size_t n = lua_rawlen(w->L, -1), count = 0, len = strlen(w->where), i;
	struct setting_rules rules = { NULL, n };
	struct rule *rule;

	for (lua_pushnil(w->L); lua_next(w->L, -2); lua_pop(w->L, 1))
		count++;
	if (count != n || n > RULE_MAX)
		return settings_refuse(w->s, w->reason, w->where,
		                       n > RULE_MAX ? "too many rules; write at most %d"
		                                    : "it is no list of rules; write { { proxy = \"^db\", to = "
		                                      "\"dba@example.org\" } }", RULE_MAX);
	rule = settings_alloc(w->s, (n + 1) * sizeof(*rule));
	if (!rule)
		return walk_refuse_memory(w);
	for (i = 0; i < n; i++) {
		lua_rawgeti(w->L, -1, (lua_Integer)i + 1);
		snprintf(w->where + len, sizeof(w->where) - len, "[%zu]", i + 1);
		if (!walk_rule(w, &rule[i]))
			return false;
		walk_leave(w, len);
		lua_pop(w->L, 1);
	}
	rules.rule = rule;
	setting_put(setting_proxy_fields, setting_find(setting_proxy_fields, "rules"), proxy, &rules);
	return true;
}

/* The table of a proxy, or the top level, on top of the stack; <places> has that of the scope, and more. */
static bool walk_scope(struct walk *w, struct settings_scope *scope, const struct walk_place *places)
{
	const struct walk_tables tables[] = {
		{ "extra", walk_extra_table, &scope->extra },
		{ "limit", walk_limit_table, &scope->own },
		{ "rules", walk_rules_table, &scope->own },
		{ "summary", walk_summary_table, &scope->own },
		{ NULL, NULL, NULL },
	};

	if (!walk_fields(w, places, tables))
		return false;
	scope->ordered = settings_alloc(w->s, scope->own.order.n + 1);
	return scope->ordered || walk_refuse_memory(w);
}

static bool walk_proxies_table(struct walk *w, void *settings)
{
	struct settings *s = settings;
	struct walk_keys keys;
	size_t i, len;

	if (!walk_keys(w, &keys))
		return false;
	s->proxies = settings_alloc(s, (keys.n + 1) * sizeof(*s->proxies));
	if (!s->proxies)
		return walk_refuse_memory(w);
	for (i = 0; i < keys.n; i++) {
		struct settings_scope *scope = &s->proxies[s->nproxies++];
		struct walk_place places[WALK_PLACES] = { { setting_proxy_fields, &scope->own } };

		walk_push(w, keys.key[i]);
		len = walk_enter(w, keys.key[i], false);
		if (!walk_name(w, keys.key[i], &scope->key, &scope->where) || !walk_scope(w, scope, places))
			return false;
		walk_leave(w, len);
		lua_pop(w->L, 1);
	}
	return true;
}

bool settings_walk(struct settings *s, lua_State *L, char *reason)
{
	struct walk w = { .L = L, .s = s, .reason = reason };
	const struct walk_place places[WALK_PLACES] = {
		{ setting_top_fields, &s->rest }, { setting_proxy_fields, &s->top.own },
	};
	const struct walk_tables tables[] = {
		{ "mailers", walk_mailers_table, &s->mailers },
		{ "proxies", walk_proxies_table, s },
		{ "extra", walk_extra_table, &s->top.extra },
		{ "limit", walk_limit_table, &s->top.own },
		{ "rules", walk_rules_table, &s->top.own },
		{ "summary", walk_summary_table, &s->top.own },
		{ NULL, NULL, NULL },
	};

	if (!walk_fields(&w, places, tables))
		return false;
	s->top.ordered = settings_alloc(s, s->top.own.order.n + 1);
	return s->top.ordered || walk_refuse_memory(&w);
}
