/*
 * setting_internal - what setting.c, setting_rule.c and setting_summary.c share.
 */
#ifndef CORE_SETTING_INTERNAL_H
#define CORE_SETTING_INTERNAL_H

#include <mailers/setting.h>

typedef bool setting_set_fn(const struct setting_field *field, void *at, const struct setting_value *value,
                            char *reason);

/* Writes a reason; returns false, so that a check can end with it. */
bool setting_refuse(char *reason, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* What stands in the file, where it is of the wrong type; short values are repeated. */
const char *setting_kind(char *out, const struct setting_value *value);
/* Is what a wider entry says taken back? */
bool setting_is_false(const struct setting_value *value);
/* Index of <text> in <words>, or -1. */
int setting_word(const char *const *words, const char *text, size_t len);
/* <what> is none of the field's words, to which <text> may be near. */
bool setting_refuse_word(const struct setting_field *field, const char *what, const char *text, char *reason);

/* setting_rule.c */
setting_set_fn setting_rule_set_template, setting_rule_set_rules, setting_rule_set_list, setting_rule_set_events,
	setting_rule_set_function, setting_rule_set_batch;

#endif
