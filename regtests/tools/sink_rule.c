/*
 * sink_rule - see sink_rule.h. A rule is parsed once into a struct; rules are few, so looking for the first that
 * fits is a walk through an array, and steps without a rule do not even start it.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "sink_rule.h"

enum action { ACTION_USUAL, ACTION_REPLY, ACTION_CLOSE, ACTION_RESET, ACTION_REPLY_CLOSE, ACTION_LIMIT, ACTION_MUTE,
	ACTION_HALF, ACTION_LONG, ACTION_GARBAGE, ACTION_DRIP, ACTION_REPEAT };

struct sink_rule {
	enum sink_step step;
	enum action action;
	int each;
	int accept;
	unsigned long conn, from, times, delay_ms, number;
	unsigned long seen;   /* occurrences over all connections */
	unsigned int id;      /* index of its occurrences on one connection */
	char *match;
	char *text;
	size_t len;
};

static const char *const step_names[] = {
	[STEP_NONE] = "", [STEP_CONNECT] = "connect", [STEP_GREETING] = "greeting", [STEP_HELO] = "helo",
	[STEP_EHLO] = "ehlo", [STEP_MAIL] = "mail", [STEP_RCPT] = "rcpt", [STEP_DATA] = "data", [STEP_DOT] = "dot",
	[STEP_BDAT] = "bdat", [STEP_AUTH] = "auth", [STEP_RSET] = "rset", [STEP_NOOP] = "noop", [STEP_QUIT] = "quit",
	[STEP_OTHER] = "other", [STEP_ANY] = "any",
};

static const struct action_form {
	const char *name;
	enum action action;
	int has_number;
	int has_text;
} action_forms[] = {
	{ "reply", ACTION_REPLY, 0, 1 },
	{ "close", ACTION_CLOSE, 0, 0 },
	{ "reset", ACTION_RESET, 0, 0 },
	{ "reply-then-close", ACTION_REPLY_CLOSE, 0, 1 },
	{ "limit", ACTION_LIMIT, 1, 1 },
	{ "mute", ACTION_MUTE, 0, 0 },
	{ "half", ACTION_HALF, 0, 0 },
	{ "long", ACTION_LONG, 1, 0 },
	{ "garbage", ACTION_GARBAGE, 0, 0 },
	{ "drip", ACTION_DRIP, 1, 1 },
	{ "repeat", ACTION_REPEAT, 1, 1 },
	{ NULL, ACTION_USUAL, 0, 0 },
};

static const char garbage[] = "\x16\x03\x01\x02\0\xff\xfe 2x0 \x80\r\n";

/* Cuts the next word off *rest, in place; "" at the end. */
static char *word_next(char **rest)
{
	char *word = *rest + strspn(*rest, " ");

	*rest = word + strcspn(word, " ");
	if (**rest)
		*(*rest)++ = '\0';
	return word;
}

static int number_next(char **rest, unsigned long *number)
{
	char *word = word_next(rest);
	char *end;

	*number = strtoul(word, &end, 10);
	return isdigit((unsigned char)*word) && !*end && *number <= 100000000;
}

/* Resolves the escapes of <text> in place and returns the length. */
static size_t text_unescape(char *text)
{
	static const char from[] = "rnts", to[] = "\r\n\t ";
	char *out = text;
	const char *in;

	for (in = text; *in; in++) {
		const char *found = *in == '\\' && in[1] ? strchr(from, in[1]) : NULL;

		if (*in != '\\' || !in[1]) {
			*out++ = *in;
		} else if (in[1] == 'x' && isxdigit((unsigned char)in[2]) && isxdigit((unsigned char)in[3])) {
			*out++ = (char)strtoul((char[]){ in[2], in[3], '\0' }, NULL, 16);
			in += 3;
		} else {
			*out++ = found ? to[found - from] : in[1];
			in++;
		}
	}
	*out = '\0';
	return (size_t)(out - text);
}

static const struct action_form *action_find(const char *name)
{
	const struct action_form *form = action_forms;

	while (form->name && strcmp(form->name, name))
		form++;
	return form;
}

/* Takes over <text>, the rest of the rule's line. A line of a reply ends in CRLF. */
static const char *rule_text(struct sink_rule *rule, const char *text)
{
	if (rule->action == ACTION_LIMIT && !*text)
		text = "421 4.7.0 too many mails on this connection";
	if (rule->action == ACTION_REPEAT && !*text)
		return "repeat needs a text";
	rule->text = calloc(1, strlen(text) + 3);
	if (!rule->text)
		return "no memory";
	strcpy(rule->text, text);
	rule->len = text_unescape(rule->text);
	if (rule->len && rule->action != ACTION_REPEAT && rule->text[rule->len - 1] != '\n') {
		memcpy(rule->text + rule->len, "\r\n", 2);
		rule->len += 2;
	}
	return NULL;
}

static const char *rule_action(struct sink_rule *rule, const char *name, char *rest)
{
	const struct action_form *form = action_find(name);

	if (!*name)
		return NULL;
	if (!form->name)
		return "no such clause or action";
	rule->action = form->action;
	if (form->has_number && !number_next(&rest, &rule->number))
		return "a number is missing";
	rest += strspn(rest, " ");
	if (!form->has_text && *rest)
		return "text after the end of the rule";
	if (rule->action == ACTION_LONG) {
		rule->len = rule->number;
		rule->text = malloc(rule->len + 1);
		if (!rule->text)
			return "no memory";
		memset(rule->text, 'x', rule->len);
	}
	return form->has_text ? rule_text(rule, rest) : NULL;
}

static const char *rule_parse(struct sink_rule *rule, char *rest)
{
	const struct { const char *name; unsigned long *number; } numbers[] = {
		{ "conn", &rule->conn }, { "from", &rule->from }, { "times", &rule->times }, { "delay", &rule->delay_ms },
	};
	char *word = word_next(&rest);
	size_t i;

	while (strcmp(word, step_names[rule->step]) || rule->step == STEP_NONE)
		if (rule->step++ == STEP_ANY)
			return "no such step";
	for (;;) {
		word = word_next(&rest);
		for (i = 0; i < 4 && strcmp(word, numbers[i].name); i++)
			;
		if (i < 4) {
			if (!number_next(&rest, numbers[i].number))
				return "a number is missing";
		} else if (!strcmp(word, "match")) {
			free(rule->match);
			rule->match = strdup(word_next(&rest));
			if (!rule->match || !text_unescape(rule->match))
				return "match needs a text";
		} else if (!strcmp(word, "each")) {
			rule->each = 1;
		} else if (!strcmp(word, "accept")) {
			rule->accept = 1;
		} else {
			return rule_action(rule, word, rest);
		}
	}
}

static void rule_free(struct sink_rule *rule)
{
	if (!rule)
		return;
	free(rule->match);
	free(rule->text);
	free(rule);
}

const char *sink_rules_add(struct sink_rules *rules, const char *text)
{
	struct sink_rule *rule = calloc(1, sizeof(*rule));
	char *line = strdup(text);
	const char *error;

	error = rule && line ? rule_parse(rule, line) : "no memory";
	if (!error && rules->count == SINK_RULES_MAX)
		error = "too many rules";
	free(line);
	if (error) {
		rule_free(rule);
		return error;
	}
	rule->id = rules->next_id++ % SINK_RULES_MAX;
	memmove(rules->rule + 1, rules->rule, rules->count * sizeof(*rules->rule));
	rules->rule[0] = rule;
	rules->count++;
	rules->steps |= rule->step == STEP_ANY ? ~0UL : 1UL << rule->step;
	return NULL;
}

void sink_rules_clear(struct sink_rules *rules)
{
	while (rules->count)
		rule_free(rules->rule[--rules->count]);
	rules->steps = 0;
}

static int rule_fits(struct sink_rule *rule, const struct sink_occasion *o)
{
	unsigned long seen;

	if (rule->step != o->step && rule->step != STEP_ANY)
		return 0;
	if (rule->conn && rule->conn != o->connection)
		return 0;
	if (rule->match && !memmem(o->line, o->len, rule->match, strlen(rule->match)))
		return 0;
	if (rule->action == ACTION_LIMIT && o->mails < rule->number)
		return 0;
	rule->seen++;
	o->seen[rule->id]++;
	seen = rule->each ? o->seen[rule->id] : rule->seen;
	if (rule->from && seen < rule->from)
		return 0;
	return !rule->times || seen < (rule->from ? rule->from : 1) + rule->times;
}

static void answer_text(struct sink_answer *answer, const char *text, size_t len, enum sink_then then)
{
	answer->text = text;
	answer->len = len;
	answer->then = then;
	answer->accepts = len && (*text == '2' || *text == '3');
}

static void rule_answer(const struct sink_rule *rule, struct sink_answer *answer)
{
	answer->delay_ms = (unsigned int)rule->delay_ms;
	switch (rule->action) {
	case ACTION_USUAL:
		break;
	case ACTION_REPLY:
		answer_text(answer, rule->text, rule->len, THEN_GO_ON);
		break;
	case ACTION_CLOSE:
		answer_text(answer, "", 0, THEN_DROP);
		break;
	case ACTION_RESET:
		answer_text(answer, "", 0, THEN_RESET);
		break;
	case ACTION_REPLY_CLOSE:
	case ACTION_LIMIT:
		answer_text(answer, rule->text, rule->len, THEN_CLOSE);
		break;
	case ACTION_MUTE:
		answer_text(answer, "", 0, THEN_MUTE);
		break;
	case ACTION_HALF:
		answer_text(answer, "abc", 3, THEN_MUTE);
		break;
	case ACTION_LONG:
		answer_text(answer, rule->text, rule->len, THEN_MUTE);
		break;
	case ACTION_GARBAGE:
		answer_text(answer, garbage, sizeof(garbage) - 1, THEN_GO_ON);
		break;
	case ACTION_DRIP:
		if (rule->len)
			answer_text(answer, rule->text, rule->len, answer->then);
		answer->pace_ms = (unsigned int)rule->number;
		break;
	case ACTION_REPEAT:
		answer_text(answer, rule->text, rule->len, THEN_MUTE);
		answer->pace_ms = (unsigned int)rule->number;
		answer->endless = 1;
		answer->accepts = 0;
		break;
	}
	if (rule->accept)
		answer->accepts = 1;
}

void sink_rules_apply(struct sink_rules *rules, const struct sink_occasion *occasion, struct sink_answer *answer)
{
	unsigned int i;

	for (i = 0; i < rules->count; i++) {
		if (rule_fits(rules->rule[i], occasion)) {
			rules->hits++;
			rule_answer(rules->rule[i], answer);
			return;
		}
	}
}
