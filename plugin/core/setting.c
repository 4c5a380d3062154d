/*
 * setting - see setting.h. One value at a time: is it of its field's type, and within its bounds? The tables
 * stand in setting_table.c; what goes together is looked at in setting_check.c, once entries are merged.
 *
 * Every refusal is one line for the operator. What it repeats of the file is quoted, and nothing of a secret's
 * field ever is.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include <mailers/address.h>
#include <mailers/rule.h>
#include <mailers/setting.h>

#include "setting_internal.h"

#define QUOTE_MAX 48 /* bytes of the operator's text that a reason repeats */

bool setting_refuse(char *reason, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(reason, SETTING_REASON_SIZE, format, ap);
	va_end(ap);
	return false;
}

const char *setting_quote(char *out, const char *text, size_t len)
{
	size_t n = 0, i;

	out[n++] = '\'';
	for (i = 0; i < len && i < QUOTE_MAX; i++) {
		if (text[i] >= ' ' && text[i] <= '~')
			out[n++] = text[i];
		else
			n += (size_t)snprintf(out + n, 5, "\\x%02X", (unsigned char)text[i]);
	}
	snprintf(out + n, SETTING_QUOTE_SIZE - n, "%s'", len > QUOTE_MAX ? "..." : "");
	return out;
}

/* --- names --- */

/* The address parser knows what a host name is; what else it takes is kept from it. */
bool setting_is_dns(const char *text)
{
	struct address a;
	size_t len = strlen(text);

	if (!len || text[len - 1] == '.' || strpbrk(text, ":@/$[]*"))
		return false;
	return !address_parse(&a, text, ADDRESS_MAY_HOST, NULL, NULL, NULL, 0) && a.family == ADDRESS_HOST;
}

bool setting_is_ip(const char *text)
{
	unsigned char ip[16];

	return inet_pton(AF_INET, text, ip) == 1 || inet_pton(AF_INET6, text, ip) == 1;
}

/* [192.0.2.1] or [IPv6:2001:db8::1] (RFC 5321 4.1.3) */
static bool setting_is_literal(const char *text)
{
	unsigned char ip[16];
	char inner[INET6_ADDRSTRLEN];
	size_t len = strlen(text);
	bool six = len > 6 && !strncasecmp(text, "[IPv6:", 6);
	size_t skip = six ? 6 : 1;

	if (len < skip + 2 || text[0] != '[' || text[len - 1] != ']' || len - skip > sizeof(inner))
		return false;
	memcpy(inner, text + skip, len - skip - 1);
	inner[len - skip - 1] = '\0';
	return inet_pton(six ? AF_INET6 : AF_INET, inner, ip) == 1;
}

bool setting_is_fqdn(const char *text)
{
	return setting_is_literal(text) || (setting_is_dns(text) && strchr(text, '.'));
}

/* --- the nearest name --- */

static unsigned setting_min(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* Damerau and Levenshtein's distance, in which no piece is edited twice: enough for slips of the keyboard. Both
 * are at most SETTING_NAME_MAX long.
 */
static unsigned setting_distance(const char *a, const char *b)
{
	unsigned rows[3][SETTING_NAME_MAX + 1] = { { 0 } };
	unsigned *before = rows[0], *last = rows[1], *row = rows[2], *spare;
	size_t i, k, n = strlen(b);

	for (k = 0; k <= n; k++)
		last[k] = (unsigned)k;
	for (i = 1; a[i - 1]; i++) {
		row[0] = (unsigned)i;
		for (k = 1; k <= n; k++) {
			unsigned wrong = tolower((unsigned char)a[i - 1]) != tolower((unsigned char)b[k - 1]);

			row[k] = setting_min(setting_min(last[k] + 1, row[k - 1] + 1), last[k - 1] + wrong);
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
				row[k] = setting_min(row[k], before[k - 2] + 1);
		}
		spare = before;
		before = last;
		last = row;
		row = spare;
	}
	return last[n];
}

/* A third of the letters wrong is another word. */
void setting_guess(struct setting_guess *g, const char *name)
{
	size_t len = strlen(g->text);
	unsigned distance;

	if (!len || len > SETTING_NAME_MAX || strlen(name) > SETTING_NAME_MAX)
		return;
	distance = setting_distance(g->text, name);
	if (distance > (len + 2) / 3 || distance >= strlen(name) || (g->best && distance >= g->distance))
		return;
	g->best = name;
	g->distance = distance;
}

void setting_guess_fields(struct setting_guess *g, const struct setting_field *fields)
{
	for (; fields->name; fields++)
		setting_guess(g, fields->name);
}

/* --- one type each --- */

static const struct {
	const char *text;
	uint64_t us;
} setting_units[] = {
	{ "", 1000 }, { "us", 1 }, { "ms", 1000 }, { "s", 1000000 }, { "m", 60000000 }, { "h", 3600000000 },
	{ "d", 86400000000 },
};

bool setting_time(const char *text, size_t len, uint32_t *ms)
{
	uint64_t value = 0, us;
	size_t n, i;

	*ms = 0;
	for (n = 0; n < len && isdigit((unsigned char)text[n]); n++) {
		value = value * 10 + (uint64_t)(text[n] - '0');
		if (value > (uint64_t)SETTING_TIME_MAX * 1000)
			return false;
	}
	for (i = 0; n && i < sizeof(setting_units) / sizeof(*setting_units); i++) {
		if (strlen(setting_units[i].text) != len - n ||
		    memcmp(setting_units[i].text, text + n, len - n))
			continue;
		if (value > (uint64_t)SETTING_TIME_MAX * 1000 / setting_units[i].us)
			return false;
		us = value * setting_units[i].us;
		*ms = (uint32_t)((us + 999) / 1000);
		return true;
	}
	return false;
}

/* "10s" of 10000: the largest unit that divides it. */
static const char *setting_time_text(char *out, size_t size, uint32_t ms)
{
	static const struct {
		uint32_t ms;
		const char *unit;
	} units[] = { { 86400000, "d" }, { 3600000, "h" }, { 60000, "m" }, { 1000, "s" }, { 1, "ms" } };
	size_t i = 0;

	while (ms % units[i].ms)
		i++;
	snprintf(out, size, "%" PRIu32 "%s", ms / units[i].ms, units[i].unit);
	return out;
}

const char *setting_kind(char *out, const struct setting_value *value)
{
	switch (value->kind) {
	case SETTING_IS_FUNCTION:
		return "a function";
	case SETTING_IS_TEXT:
		return setting_quote(out, value->text, value->len);
	case SETTING_IS_NUMBER:
		snprintf(out, SETTING_QUOTE_SIZE, "%" PRId64, value->number);
		return out;
	case SETTING_IS_BOOL:
		return value->truth ? "true" : "false";
	case SETTING_IS_LIST:
		return "a list";
	case SETTING_IS_OTHER:
		break;
	}
	return value->kind_name ? value->kind_name : "something else";
}

bool setting_is_false(const struct setting_value *value)
{
	return value->kind == SETTING_IS_BOOL && !value->truth;
}

static bool setting_set_time(const struct setting_field *field, void *at, const struct setting_value *value,
                             char *reason)
{
	char quote[SETTING_QUOTE_SIZE], least[24], most[24];
	uint32_t ms = 0;
	bool ok = false;

	if (value->kind == SETTING_IS_TEXT)
		ok = setting_time(value->text, value->len, &ms);
	else if (value->kind == SETTING_IS_NUMBER && value->number >= 0 && value->number <= SETTING_TIME_MAX)
		ok = true, ms = (uint32_t)value->number;
	if (!ok)
		return setting_refuse(reason,
		                      "%s is no time; write a number with us, ms, s, m, h or d behind it, at "
		                      "most 24d, such as %s",
		                      setting_kind(quote, value), field->example);
	if (ms < field->min || ms > field->max)
		return setting_refuse(
			reason, "%s is out of range; write a time from %s to %s", setting_kind(quote, value),
			setting_time_text(least, sizeof(least), field->min),
			field->max == SETTING_TIME_MAX ? "24d"
						       : setting_time_text(most, sizeof(most), field->max));
	*(uint32_t *)at = ms;
	return true;
}

static bool setting_set_number(const struct setting_field *field, void *at, const struct setting_value *value,
                               char *reason)
{
	char quote[SETTING_QUOTE_SIZE];

	if (value->kind != SETTING_IS_NUMBER || value->number < field->min || value->number > field->max)
		return setting_refuse(reason,
		                      "%s is no number from %" PRIu32 " to %" PRIu32 "; write one%s such as %s",
		                      setting_kind(quote, value), field->min, field->max,
		                      value->kind == SETTING_IS_TEXT ? " without quotes," : "", field->example);
	*(uint32_t *)at = (uint32_t)value->number;
	return true;
}

static bool setting_set_bool(const struct setting_field *field, void *at, const struct setting_value *value,
                             char *reason)
{
	char quote[SETTING_QUOTE_SIZE];

	(void)field;
	if (value->kind != SETTING_IS_BOOL)
		return setting_refuse(reason,
		                      "%s is neither true nor false; write true or false, without quotes",
		                      setting_kind(quote, value));
	*(bool *)at = value->truth;
	return true;
}

int setting_word(const char *const *words, const char *text, size_t len)
{
	int i;

	for (i = 0; words[i]; i++) {
		if (strlen(words[i]) == len && !strncasecmp(words[i], text, len))
			return i;
	}
	return -1;
}

bool setting_refuse_word(const struct setting_field *field, const char *what, const char *text,
                                char *reason)
{
	struct setting_guess guess = { .text = text ? text : "" };
	size_t n;
	int i;

	for (i = 0; field->words[i]; i++)
		setting_guess(&guess, field->words[i]);
	if (guess.best)
		n = (size_t)snprintf(reason, SETTING_REASON_SIZE,
		                     "unknown value %s; did you mean \"%s\"? Write ", what, guess.best);
	else
		n = (size_t)snprintf(reason, SETTING_REASON_SIZE, "unknown value %s; write ", what);
	for (i = 0; field->words[i] && n < SETTING_REASON_SIZE; i++)
		n += (size_t)snprintf(reason + n, SETTING_REASON_SIZE - n, "%s\"%s\"",
		                      !i ? "" : field->words[i + 1] ? ", " : " or ", field->words[i]);
	return false;
}

static bool setting_set_enum(const struct setting_field *field, void *at, const struct setting_value *value,
                             char *reason)
{
	char quote[SETTING_QUOTE_SIZE];
	bool text = value->kind == SETTING_IS_TEXT;
	int i = text ? setting_word(field->words, value->text, value->len) : -1;

	if (i < 0)
		return setting_refuse_word(field, setting_kind(quote, value), text ? value->text : NULL,
		                           reason);
	*(int *)at = i;
	return true;
}

/* The words are "auto" and then the names of mechanisms. */
static bool setting_set_auth(const struct setting_field *field, void *at, const struct setting_value *value,
                             char *reason)
{
	char quote[SETTING_QUOTE_SIZE];
	const struct setting_ids *list = &value->list, one = { &value->text, 1 };
	unsigned bits = 0;
	size_t i;
	int word;

	if (value->kind == SETTING_IS_TEXT)
		list = &one;
	else if (value->kind != SETTING_IS_LIST)
		return setting_refuse_word(field, setting_kind(quote, value), NULL, reason);
	if (!list->n)
		return setting_refuse(reason, "the list is empty; write such as %s, or remove it",
		                      field->example);
	for (i = 0; i < list->n; i++) {
		size_t len = list == &one ? value->len : strlen(list->id[i]);

		word = setting_word(field->words, list->id[i], len);
		if (word < 0)
			return setting_refuse_word(field, setting_quote(quote, list->id[i], len), list->id[i],
			                           reason);
		if (!word && list->n > 1)
			return setting_refuse(reason, "\"auto\" stands in a list; write \"auto\" alone, or "
			                              "mechanisms alone");
		if (word)
			bits |= SASL_BIT(sasl_mechanism_find(list->id[i], len));
	}
	*(unsigned *)at = bits;
	return true;
}

static bool setting_set_ids(const struct setting_field *field, void *at, const struct setting_value *value,
                            char *reason)
{
	char quote[SETTING_QUOTE_SIZE];
	size_t i, k;

	if (setting_is_false(value)) {
		*(struct setting_ids *)at = (struct setting_ids){ NULL, 0 };
		return true;
	}
	if (value->kind != SETTING_IS_LIST)
		return setting_refuse(reason, "%s is no list; write such as %s", setting_kind(quote, value),
		                      field->example);
	if (!value->list.n)
		return setting_refuse(reason, "the list is empty; write such as %s, or remove it",
		                      field->example);
	for (i = 0; i < value->list.n; i++) {
		for (k = 0; k < i; k++) {
			if (!strcmp(value->list.id[i], value->list.id[k]))
				return setting_refuse(
					reason, "%s stands there twice; remove one",
					setting_quote(quote, value->list.id[i], strlen(value->list.id[i])));
		}
	}
	*(struct setting_ids *)at = value->list;
	return true;
}

/* --- texts --- */

/* A character that no text of ours can have, or that ends a line. */
static bool setting_printable(const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return false;
	}
	return true;
}

static bool setting_is_variable(const char *text)
{
	size_t i;

	for (i = 0; text[i]; i++) {
		if (!isalnum((unsigned char)text[i]) && text[i] != '_')
			return false;
	}
	return i && !isdigit((unsigned char)text[0]);
}

static bool setting_is_host(const char *text)
{
	return setting_is_ip(text) || setting_is_dns(text);
}

static bool setting_is_helo(const char *text)
{
	return setting_is_literal(text) || setting_is_dns(text);
}

static const struct {
	bool (*is)(const char *text);
	const char *what;
} setting_texts[] = {
	[SETTING_TEXT]     = { NULL, "a text" },
	[SETTING_FILE]     = { NULL, "the path of a file" },
	[SETTING_VARIABLE] = { setting_is_variable, "the name of an environment variable" },
	[SETTING_DNS]      = { setting_is_dns, "a host name" },
	[SETTING_HOST]     = { setting_is_host, "a host name or IP address" },
	[SETTING_HELO]     = { setting_is_helo, "a host name" },
	[SETTING_ADDRESS]  = { NULL, "an address" },
};

static bool setting_set_text(const struct setting_field *field, void *at, const struct setting_value *value,
                             char *reason)
{
	char quote[SETTING_QUOTE_SIZE];
	const char *what = setting_texts[field->type].what;

	if (setting_is_false(value)) {
		*(const char **)at = NULL;
		return true;
	}
	if (value->kind != SETTING_IS_TEXT)
		return setting_refuse(reason, "%s is no text; write %s, such as %s", setting_kind(quote, value),
		                      what, field->example);
	setting_quote(quote, value->text, value->len);
	if (!value->len)
		return setting_refuse(reason, "the text is empty; write %s, such as %s, or remove it", what,
		                      field->example);
	if (!setting_printable(value->text, value->len))
		return setting_refuse(reason, "%s has control characters; write %s, such as %s", quote, what,
		                      field->example);
	if (field->max && value->len > field->max)
		return setting_refuse(reason, "%s has %zu bytes; write %s of at most %" PRIu32, quote,
		                      value->len, what, field->max);
	if (setting_texts[field->type].is && !setting_texts[field->type].is(value->text))
		return setting_refuse(reason, "%s is not %s; write such as %s", quote, what, field->example);
	*(const char **)at = value->text;
	return true;
}

/* The example of such a field names what to write in its place. */
static bool setting_set_secret(const struct setting_field *field, void *at, const struct setting_value *value,
                               char *reason)
{
	(void)at;
	(void)value;
	return setting_refuse(reason, "a secret does not belong into this file; write %s", field->example);
}

static bool setting_set_table(const struct setting_field *field, void *at, const struct setting_value *value,
                              char *reason)
{
	char quote[SETTING_QUOTE_SIZE];

	(void)at;
	return setting_refuse(reason, "%s is no table; write such as %s", setting_kind(quote, value),
	                      field->example);
}

static bool setting_set_summary(const struct setting_field *field, void *at, const struct setting_value *value,
                                char *reason)
{
	if (!setting_is_false(value))
		return setting_set_table(field, at, value, reason);
	memset(at, 0, sizeof(struct setting_summary));
	return true;
}

static bool setting_set_limit(const struct setting_field *field, void *at, const struct setting_value *value,
                              char *reason)
{
	if (!setting_is_false(value))
		return setting_set_table(field, at, value, reason);
	memset(at, 0, sizeof(struct setting_limit));
	return true;
}

/* --- rows --- */

static const struct {
	setting_set_fn *set;
	size_t size; /* of what is stored */
} setting_types[] = {
	[SETTING_TEXT]     = { setting_set_text, sizeof(const char *) },
	[SETTING_FILE]     = { setting_set_text, sizeof(const char *) },
	[SETTING_VARIABLE] = { setting_set_text, sizeof(const char *) },
	[SETTING_DNS]      = { setting_set_text, sizeof(const char *) },
	[SETTING_HOST]     = { setting_set_text, sizeof(const char *) },
	[SETTING_HELO]     = { setting_set_text, sizeof(const char *) },
	[SETTING_ADDRESS]  = { setting_set_text, sizeof(const char *) },
	[SETTING_SECRET]   = { setting_set_secret, 0 },
	[SETTING_TIME]     = { setting_set_time, sizeof(uint32_t) },
	[SETTING_NUMBER]   = { setting_set_number, sizeof(uint32_t) },
	[SETTING_BOOL]     = { setting_set_bool, sizeof(bool) },
	[SETTING_ENUM]     = { setting_set_enum, sizeof(int) },
	[SETTING_AUTH]     = { setting_set_auth, sizeof(unsigned) },
	[SETTING_IDS]      = { setting_set_ids, sizeof(struct setting_ids) },
	[SETTING_LIMIT]    = { setting_set_limit, sizeof(struct setting_limit) },
	[SETTING_SUMMARY]  = { setting_set_summary, sizeof(struct setting_summary) },
	[SETTING_TABLE]    = { setting_set_table, 0 },
	[SETTING_SUBJECT]  = { setting_rule_set_template, sizeof(const char *) },
	[SETTING_BODY]     = { setting_rule_set_template, sizeof(const char *) },
	[SETTING_RULES]    = { setting_rule_set_rules, sizeof(struct setting_rules) },
	[SETTING_FUNCTION] = { setting_rule_set_function, sizeof(int) },
	[SETTING_BATCH]    = { setting_rule_set_batch, sizeof(struct setting_batch) },
	[SETTING_PATTERNS] = { setting_rule_set_list, sizeof(struct setting_ids) },
	[SETTING_WORDS]    = { setting_rule_set_list, sizeof(struct setting_ids) },
	[SETTING_MAILBOXES] = { setting_rule_set_list, sizeof(struct setting_ids) },
	[SETTING_NAMES]    = { setting_rule_set_list, sizeof(struct setting_ids) },
	[SETTING_EVENTS]   = { setting_rule_set_events, sizeof(unsigned) },
};

const struct setting_field *setting_find(const struct setting_field *fields, const char *name)
{
	for (; fields->name; fields++) {
		if (!strcmp(fields->name, name))
			return fields;
	}
	return NULL;
}

static uint64_t setting_bit(const struct setting_field *fields, const struct setting_field *field)
{
	return UINT64_C(1) << (field - fields);
}

bool setting_given(const struct setting_field *fields, const struct setting_field *field, const void *base)
{
	return *(const uint64_t *)base & setting_bit(fields, field);
}

bool setting_set(const struct setting_field *fields, const struct setting_field *field, void *base,
                 const struct setting_value *value, char *reason)
{
	reason[0] = '\0';
	if (!setting_types[field->type].set(field, (char *)base + field->offset, value, reason))
		return false;
	*(uint64_t *)base |= setting_bit(fields, field);
	return true;
}

void setting_put(const struct setting_field *fields, const struct setting_field *field, void *base,
                 const void *data)
{
	memcpy((char *)base + field->offset, data, setting_types[field->type].size);
	*(uint64_t *)base |= setting_bit(fields, field);
}

/* Clears the fields of <group>, of which <from> has its own. */
static void setting_clear_group(const struct setting_field *fields, void *to, unsigned group)
{
	const struct setting_field *f;

	for (f = fields; f->name; f++) {
		if (f->group == group) {
			memset((char *)to + f->offset, 0, setting_types[f->type].size);
			*(uint64_t *)to &= ~setting_bit(fields, f);
		}
	}
}

void setting_merge(const struct setting_field *fields, void *to, const void *from)
{
	const struct setting_field *f;

	for (f = fields; f->name; f++) {
		if (f->group && setting_given(fields, f, from))
			setting_clear_group(fields, to, f->group);
	}
	for (f = fields; f->name; f++) {
		if (setting_given(fields, f, from))
			setting_put(fields, f, to, (const char *)from + f->offset);
	}
}
