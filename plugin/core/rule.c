/*
 * rule - see rule.h. Called by the engine for each alert of a proxy that has rules, so nothing here allocates;
 * patterns are checked by setting_rule.c when the settings are read.
 *
 * Not regular expressions: those of libc have no bound on time, and Lua's patterns would need Lua. What an operator
 * of another tool would write as one is refused with what to write here, and not taken literally.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include <mailers/rule.h>

#define RULE_FOREIGN "[](){}|+\\%" /* of regular expressions and Lua's patterns; no name of HAProxy's has them */

bool rule_pattern_check(const char *text, char *reason)
{
	size_t len = strlen(text), i;

	reason[0] = '\0';
	for (i = 0; i < len; i++) {
		if (strchr(RULE_FOREIGN, text[i]))
			return snprintf(reason, RULE_REASON_SIZE, "'%c' stands in a pattern, which knows ^ at its begin, $ at its "
			                "end, * and ? alone; write several, such as { \"^db\", \"^sql\" }", text[i]), false;
		if ((text[i] == '^' && i) || (text[i] == '$' && i + 1 < len))
			return snprintf(reason, RULE_REASON_SIZE, "'%c' stands inside of a pattern; write ^ at its begin alone, "
			                "and $ at its end alone", text[i]), false;
		if (text[i] == '.' && text[i + 1] == '*')
			return snprintf(reason, RULE_REASON_SIZE, "\".*\" stands in a pattern, where a dot is a dot; write * "
			                "for any characters"), false;
	}
	if (!len || len > RULE_PATTERN_MAX)
		return snprintf(reason, RULE_REASON_SIZE, "the pattern is %s; write one such as \"^db\"",
		                len ? "too long" : "empty"), false;
	return true;
}

/* Does the pattern from <p> to <end> match <name> from its begin, to its end if <whole>? Only the last '*' is ever
 * gone back to: what stands before it matched at the first possible place, which leaves the most.
 */
static bool rule_match_from(const char *p, const char *end, const char *name, bool whole)
{
	const char *star = NULL, *again = NULL;

	for (;;) {
		if (p < end && *p == '*') {
			star = ++p;
			again = name;
		} else if (p == end && (!whole || !*name)) {
			return true;
		} else if (p < end && *name && (*p == '?' || *p == *name)) {
			p++;
			name++;
		} else if (star && *again) {
			p = star;
			name = ++again;
		} else {
			return false;
		}
	}
}

bool rule_pattern_match(const char *pattern, const char *name)
{
	size_t len = strlen(pattern);
	bool begin = len && pattern[0] == '^', whole;
	char any[RULE_PATTERN_MAX + 2] = "*";

	if (begin) {
		pattern++;
		len--;
	}
	if (len > RULE_PATTERN_MAX)
		return false;
	whole = len && pattern[len - 1] == '$';
	if (whole)
		len--;
	if (begin)
		return rule_match_from(pattern, pattern + len, name, whole);
	memcpy(any + 1, pattern, len);
	return rule_match_from(any, any + 1 + len, name, whole);
}

static bool rule_match_any(const struct setting_ids *patterns, const char *name)
{
	size_t i;

	for (i = 0; i < patterns->n; i++) {
		if (rule_pattern_match(patterns->id[i], name))
			return true;
	}
	return !patterns->n;
}

static bool rule_has_word(const char *text, size_t len, const char *word)
{
	size_t n = strlen(word), i, k;

	for (i = 0; i + n <= len; i++) {
		for (k = 0; k < n && tolower((unsigned char)text[i + k]) == tolower((unsigned char)word[k]); k++)
			;
		if (k == n)
			return true;
	}
	return false;
}

static bool rule_has_any(const struct rule *rule, const struct rule_alert *alert)
{
	size_t i;

	for (i = 0; i < rule->words.n; i++) {
		if (rule_has_word(alert->text, alert->len, rule->words.id[i]))
			return true;
	}
	return !rule->words.n;
}

bool rule_for(const struct rule *rule, const char *proxy)
{
	return rule_match_any(&rule->proxy, proxy);
}

bool rule_matches(const struct rule *rule, const struct rule_alert *alert)
{
	return (int)alert->level <= rule->level && (!rule->event || rule->event & 1u << alert->change) &&
	       rule_for(rule, alert->proxy) && rule_match_any(&rule->server, alert->server) && rule_has_any(rule, alert);
}

size_t rule_select(const struct rule *rules, size_t n, const struct rule_alert *alert, bool *used, bool *drop)
{
	size_t i, count = 0;
	bool over = false;

	*drop = false;
	for (i = 0; i < n; i++) {
		used[i] = !over && rule_matches(&rules[i], alert);
		if (!used[i])
			continue;
		count++;
		*drop |= rules[i].drop;
		over = !rules[i].further;
	}
	return count;
}
