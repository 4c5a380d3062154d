/*
 * rule - to whom, over which mailers and with which words an alert goes, said by the operator in rules.
 *
 * Rules are looked at in their order. The first that matches decides; one with <further> adds what it says, and
 * the next ones are looked at too. An alert that no rule matches goes as it would without rules.
 *
 * A pattern is matched anywhere in a name, "^" at its begin and "$" at its end bind it there, "*" is any run of
 * characters and "?" any one; all others are themselves. So it is bounded: no pattern takes longer than its length
 * times that of the name.
 */
#ifndef MAILERS_RULE_H
#define MAILERS_RULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mailers/alert.h>
#include <mailers/setting.h>

#define RULE_MAX         100 /* rules of one proxy */
#define RULE_PATTERN_MAX 255 /* bytes of a pattern or word */
#define RULE_REASON_SIZE 400 /* holds every reason uncut */

/* What a rule asks for: all that is set, of each list one. Texts and lists are the caller's, and checked. */
struct rule {
	uint64_t given;                     /* see setting.h */
	struct setting_ids proxy, server;   /* patterns; none: any name */
	int level;                          /* enum alert_level: this one and graver ones */
	unsigned event;                     /* bits 1 << enum alert_change; 0: any */
	struct setting_ids words;           /* one of them stands in the text, whatever its case; none: any text */
	/* What it does. */
	struct setting_ids to, cc;          /* lists of addresses; <to> none: those of `email-alert to` */
	struct setting_ids mailers;         /* ids; none: all */
	const char *subject, *body;         /* templates; NULL: as without */
	bool drop;                          /* no mail */
	bool further;                       /* the next rules are looked at too */
};

struct rule_alert {
	const char *proxy, *server;
	const char *text;                   /* <len> bytes */
	size_t len;
	enum alert_level level;
	enum alert_change change;
};

/* Is <text> a pattern? False with a <reason> (RULE_REASON_SIZE bytes): what is wrong and, after ';', what to write. */
bool rule_pattern_check(const char *text, char *reason);
bool rule_pattern_match(const char *pattern, const char *name);

/* Could <rule> match an alert of <proxy>? */
bool rule_for(const struct rule *rule, const char *proxy);
bool rule_matches(const struct rule *rule, const struct rule_alert *alert);
/* Sets used[i] for each of the <n> rules that decides or adds. Returns how many; *<drop>: one of them drops it. */
size_t rule_select(const struct rule *rules, size_t n, const struct rule_alert *alert, bool *used, bool *drop);

#endif
