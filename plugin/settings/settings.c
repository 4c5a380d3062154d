/*
 * settings - see settings.h. Loading, memory, reasons and warnings; what is asked once it is loaded stands in
 * settings_merge.c.
 *
 * Lua errors jump: everything that reads Lua's values runs in one protected call, and what it allocates hangs
 * on the struct settings, which the caller of that call frees.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>

#include "settings_internal.h"

/* What a protected call is given. */
struct settings_run {
	struct settings *s;
	char *reason;
	bool ok;
};

void *settings_alloc(struct settings *s, size_t size)
{
	struct settings_block *block = calloc(1, sizeof(*block) + size);

	if (!block)
		return NULL;
	block->size = size;
	block->next = s->blocks;
	s->blocks = block;
	return block->data;
}

const char *settings_copy(struct settings *s, const char *text, size_t len)
{
	char *copy = settings_alloc(s, len + 1);

	if (copy)
		memcpy(copy, text, len);
	return copy;
}

/* --- reasons and warnings --- */

/* Paths and messages of Lua may hold any byte. */
static void settings_clean(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			*text = '?';
	}
}

__attribute__((format(printf, 5, 0))) static void settings_text(const struct settings *s, char *out,
                                                                size_t size, const char *where,
                                                                const char *format, va_list ap)
{
	int n = snprintf(out, size, "%.200s: %s%s", s->path, where, *where ? ": " : "");

	if (n >= 0 && (size_t)n < size)
		vsnprintf(out + n, size - (size_t)n, format, ap);
	settings_clean(out);
}

bool settings_refuse(const struct settings *s, char *reason, const char *where, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	settings_text(s, reason, SETTINGS_REASON_MAX, where, format, ap);
	va_end(ap);
	return false;
}

void settings_warn(struct settings *s, const char *where, const char *format, ...)
{
	struct settings_warning **last = &s->warnings, *w;
	char text[SETTINGS_REASON_MAX];
	size_t n = 0;
	va_list ap;

	va_start(ap, format);
	settings_text(s, text, sizeof(text), where, format, ap);
	va_end(ap);
	for (; *last; last = &(*last)->next) {
		if (++n > SETTINGS_WARNINGS || !strcmp((*last)->text, text))
			return;
	}
	if (n == SETTINGS_WARNINGS)
		snprintf(text, sizeof(text), "%.200s: there are more warnings; see to those above first",
		         s->path);
	w = settings_alloc(s, sizeof(*w) + strlen(text) + 1);
	if (!w)
		return;
	memcpy(w->text, text, strlen(text) + 1);
	*last = w;
}

const char *settings_warning(const struct settings *s, size_t n)
{
	const struct settings_warning *w = s ? s->warnings : NULL;

	for (; w && n; n--)
		w = w->next;
	return w ? w->text : NULL;
}

/* --- the file --- */

/* May the piece of the file behind <near> be a part of a secret? Punctuation, and <eof> without quotes, are none. */
static bool settings_near_tells(const char *near)
{
	for (near += strlen(" near "); *near == '\''; near++)
		;
	return strpbrk(near, "\"[") || (near[-1] == '\'' && (isalnum((unsigned char)*near) || *near == '_'));
}

/* Lua's message is "file:line: text", the file shortened when it is long. A piece of the file that it repeats
 * may be of a password that was written with one quote, or with none: it is left out.
 */
static void settings_refuse_lua(struct settings_run *run, const char *message)
{
	size_t len = strlen(run->s->path);
	const char *near;
	int n;

	if (!strncmp(message, run->s->path, len) && message[len] == ':')
		message += len + 1;
	near = strstr(message, " near ");
	n = near && settings_near_tells(near) ? (int)(near - message) : (int)strlen(message);
	snprintf(run->reason, SETTINGS_REASON_MAX, "%.200s:%s%.*s; correct the file", run->s->path,
	         strchr("0123456789", *message) ? "" : " ", n > 600 ? 600 : n, message);
	settings_clean(run->reason);
}

static int settings_run(lua_State *L)
{
	struct settings_run *run = lua_touserdata(L, 1);

	lua_settop(L, 0);
	luaL_checkstack(L, 40, "settings");
	if (luaL_loadfilex(L, run->s->path, "t")) {
		if (!strncmp(lua_tostring(L, -1), "cannot ", 7))
			settings_refuse(run->s, run->reason, "", "%.300s; check the path behind mailers.lua",
			                lua_tostring(L, -1));
		else
			settings_refuse_lua(run, lua_tostring(L, -1));
		return 0;
	}
	lua_call(L, 0, 1);
	if (!lua_istable(L, -1))
		settings_refuse(run->s, run->reason, "", "it returns %s; it must end with return { ... }",
		                lua_isnil(L, -1) ? "nothing" : luaL_typename(L, -1));
	else
		run->ok = settings_walk(run->s, L, run->reason);
	return 0;
}

static void settings_run_protected(struct settings_run *run, lua_State *L)
{
	int top = lua_gettop(L);

	if (!lua_checkstack(L, 4)) {
		settings_refuse(run->s, run->reason, "", "out of memory; start again");
		return;
	}
	lua_pushcfunction(L, settings_run);
	lua_pushlightuserdata(L, run);
	if (lua_pcall(L, 1, 0, 0)) {
		run->ok = false;
		if (lua_type(L, -1) == LUA_TSTRING)
			settings_refuse_lua(run, lua_tostring(L, -1));
		else
			settings_refuse(run->s, run->reason, "",
			                "it raises an error that is %s; correct the file",
			                lua_isnil(L, -1) ? "nil" : luaL_typename(L, -1));
	}
	lua_settop(L, top);
}

struct settings *settings_load(lua_State *L, const char *path, unsigned haproxy, char *reason)
{
	struct settings *s = calloc(1, sizeof(*s));
	struct settings_run run = { .s = s, .reason = reason };

	snprintf(reason, SETTINGS_REASON_MAX, "%.200s: out of memory; start again", path);
	if (!s)
		return NULL;
	s->haproxy = haproxy;
	s->top.key = s->top.where = "";
	s->path = settings_copy(s, path, strlen(path));
	if (s->path)
		settings_run_protected(&run, L);
	if (!run.ok || !settings_check(s, reason)) {
		settings_free(s);
		return NULL;
	}
	reason[0] = '\0';
	return s;
}

void settings_free(struct settings *s)
{
	struct settings_block *block, *next;

	if (!s)
		return;
	settings_secret_close(s);
	settings_context_free(s);
	for (block = s->blocks; block; block = next) {
		next = block->next;
		sasl_wipe(block->data, block->size);
		free(block);
	}
	free(s);
}

uint32_t settings_drain_ms(const struct settings *s)
{
	return s ? s->rest.drain : SETTING_DRAIN_MS;
}

bool settings_commands(const struct settings *s)
{
	return s && s->rest.commands;
}
