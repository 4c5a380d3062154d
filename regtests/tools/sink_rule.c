/*
 * sink_rule - see sink_rule.h. A rule is parsed once into a struct; rules are few, so looking for the first that
 * fits is a walk through an array, and steps without a rule do not even start it.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "sink_rule.h"

enum action { ACTION_USUAL, ACTION_REPLY, ACTION_CLOSE, ACTION_RESET, ACTION_REPLY_CLOSE, ACTION_LIMIT, ACTION_MUTE,
	ACTION_HALF, ACTION_LONG, ACTION_GARBAGE, ACTION_DRIP, ACTION_REPEAT, ACTION_HALF_CLOSE, ACTION_DIE, ACTION_INJECT };

struct sink_rule {
	enum sink_step step;
	enum action action;
	int each;
	int accept;
	unsigned long conn, from, times, delay_ms, number, line, after;
	unsigned long seen;   /* occurrences over all connections */
	unsigned int id;      /* index of its occurrences on one connection */
	char *match;
	char *text;
	size_t len;
	struct buffer composed; /* an answer of several parts */
};

static const char *const step_names[] = {
	[STEP_NONE] = "", [STEP_CONNECT] = "connect", [STEP_GREETING] = "greeting", [STEP_HELO] = "helo",
	[STEP_EHLO] = "ehlo", [STEP_STARTTLS] = "starttls", [STEP_AUTH] = "auth", [STEP_AUTHSTEP] = "authstep", [STEP_MAIL] = "mail", [STEP_RCPT] = "rcpt", [STEP_DATA] = "data", [STEP_DOT] = "dot",
	[STEP_BDAT] = "bdat", [STEP_RSET] = "rset", [STEP_NOOP] = "noop", [STEP_QUIT] = "quit",
	[STEP_OTHER] = "other", [STEP_TLS] = "tls", [STEP_BODY] = "body", [STEP_ANY] = "any",
};

#define GARBAGE "\xff\xfe\x16\x03\x01\x02\0 2x0 \x80\r\n"
#define FIXED(text) text, sizeof(text) - 1

static const struct action_form {
	const char *name;
	int has_number;
	int has_text;
	int replaces;         /* the usual answer, by <text>, or if that is NULL by the rule's */
	enum sink_then then;
	const char *text;
	size_t len;
} action_forms[] = {
	[ACTION_USUAL] = { "", 0, 0, 0, THEN_GO_ON, NULL, 0 },
	[ACTION_REPLY] = { "reply", 0, 1, 1, THEN_GO_ON, NULL, 0 },
	[ACTION_CLOSE] = { "close", 0, 0, 1, THEN_DROP, FIXED("") },
	[ACTION_RESET] = { "reset", 0, 0, 1, THEN_RESET, FIXED("") },
	[ACTION_REPLY_CLOSE] = { "reply-then-close", 0, 1, 1, THEN_CLOSE, NULL, 0 },
	[ACTION_LIMIT] = { "limit", 1, 1, 1, THEN_CLOSE, NULL, 0 },
	[ACTION_MUTE] = { "mute", 0, 0, 1, THEN_MUTE, FIXED("") },
	[ACTION_HALF] = { "half", 0, 0, 1, THEN_MUTE, FIXED("abc") },
	[ACTION_LONG] = { "long", 1, 0, 1, THEN_MUTE, NULL, 0 },
	[ACTION_GARBAGE] = { "garbage", 0, 0, 1, THEN_GO_ON, FIXED(GARBAGE) },
	[ACTION_DRIP] = { "drip", 1, 1, 0, THEN_GO_ON, NULL, 0 },
	[ACTION_REPEAT] = { "repeat", 1, 1, 1, THEN_MUTE, NULL, 0 },
	[ACTION_HALF_CLOSE] = { "half-close", 0, 0, 1, THEN_HALF_CLOSE, FIXED("") },
	[ACTION_DIE] = { "die", 1, 0, 1, THEN_DIE, FIXED("") },
	[ACTION_INJECT] = { "reply-inject", 0, 1, 0, THEN_GO_ON, NULL, 0 },
};
#define ACTIONS (sizeof(action_forms) / sizeof(action_forms[0]))

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

/* ACTION_USUAL when there is none of that name. */
static enum action action_find(const char *name)
{
	enum action action = ACTIONS - 1;

	while (action != ACTION_USUAL && strcmp(action_forms[action].name, name))
		action--;
	return action;
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
	const struct action_form *form;

	if (!*name)
		return NULL;
	rule->action = action_find(name);
	if (rule->action == ACTION_USUAL)
		return "no such clause or action";
	form = &action_forms[rule->action];
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
		{ "line", &rule->line }, { "after", &rule->after },
	};
	const size_t NUMBERS = sizeof(numbers) / sizeof(numbers[0]);
	char *word = word_next(&rest);
	size_t i;

	while (strcmp(word, step_names[rule->step]) || rule->step == STEP_NONE)
		if (rule->step++ == STEP_ANY)
			return "no such step";
	for (;;) {
		word = word_next(&rest);
		for (i = 0; i < NUMBERS && strcmp(word, numbers[i].name); i++)
			;
		if (i < NUMBERS) {
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
	buffer_free(&rule->composed);
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

static int holds(const char *data, size_t len, const char *text)
{
	return len && memmem(data, len, text, strlen(text)) != NULL;
}

static int rule_matches(const struct sink_rule *rule, const struct sink_occasion *o)
{
	return holds(o->line, o->len, rule->match) ||
	       (o->envelope && holds(o->envelope->data, o->envelope->len, rule->match)) ||
	       (o->message && holds(o->message->data, o->message->len, rule->match));
}

static int rule_is_of(const struct sink_rule *rule, enum sink_step step)
{
	return rule->step == step || (rule->step == STEP_ANY && step < STEP_TLS);
}

static int rule_fits(struct sink_rule *rule, const struct sink_occasion *o)
{
	unsigned long seen;

	if (!rule_is_of(rule, o->step))
		return 0;
	if (rule->conn && rule->conn != o->connection)
		return 0;
	if (rule->match && !rule_matches(rule, o))
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

/* Where the clauses line and after cut the usual answer <text>. */
static size_t rule_cut(const struct sink_rule *rule, const char *text, size_t len)
{
	const char *at = text, *end = text + len, *newline;
	unsigned long line;

	for (line = 1; line < rule->line && at < end; line++) {
		newline = memchr(at, '\n', (size_t)(end - at));
		at = newline ? newline + 1 : end;
	}
	return (size_t)(end - at) < rule->after ? len : (size_t)(at - text) + rule->after;
}

/* Makes one text of two. */
static void answer_join(struct sink_rule *rule, struct sink_answer *answer, const char *head, size_t head_len,
                        const char *tail, size_t tail_len)
{
	buffer_clear(&rule->composed);
	buffer_add(&rule->composed, head, head_len);
	buffer_add(&rule->composed, tail, tail_len);
	answer->text = rule->composed.len ? rule->composed.data : "";
	answer->len = rule->composed.len;
}

/* Keeps what stands before the cut in the <usual> answer, whatever the action made of the rest. */
static void answer_cut(struct sink_rule *rule, struct sink_answer *answer, const struct sink_answer *usual)
{
	size_t cut = rule_cut(rule, usual->text, usual->len);

	if (answer->text != usual->text && rule->action != ACTION_INJECT)
		answer_join(rule, answer, usual->text, cut, answer->text, answer->len);
	answer->at_once = cut;
}

static void rule_answer(struct sink_rule *rule, struct sink_answer *answer)
{
	const struct action_form *form = &action_forms[rule->action];
	const struct sink_answer usual = *answer;

	answer->delay_ms = (unsigned int)rule->delay_ms;
	if (form->replaces)
		answer_text(answer, form->text ? form->text : rule->text, form->text ? form->len : rule->len, form->then);
	if (rule->action == ACTION_DRIP && rule->len)
		answer_text(answer, rule->text, rule->len, answer->then);
	if (rule->action == ACTION_DRIP || rule->action == ACTION_REPEAT)
		answer->pace_ms = (unsigned int)rule->number;
	if (rule->action == ACTION_REPEAT) {
		answer->endless = 1;
		answer->accepts = 0;
	}
	if (rule->action == ACTION_DIE)
		answer->die_ms = (unsigned int)rule->number;
	if (rule->action == ACTION_INJECT)
		answer_join(rule, answer, usual.text, usual.len, rule->text, rule->len);
	if (rule->accept)
		answer->accepts = 1;
	if (rule->step == STEP_TLS || rule->step == STEP_BODY) {
		answer->line = (unsigned int)rule->line;
		answer->after = rule->after;
	} else if (rule->line || rule->after) {
		answer_cut(rule, answer, &usual);
	}
}

void sink_rules_apply(struct sink_rules *rules, const struct sink_occasion *occasion, struct sink_answer *answer)
{
	unsigned int i;

	for (i = 0; i < rules->count; i++) {
		if (rule_fits(rules->rule[i], occasion)) {
			rules->hits += occasion->step != STEP_TLS && occasion->step != STEP_BODY;
			answer->fault = 1;
			rule_answer(rules->rule[i], answer);
			return;
		}
	}
}
