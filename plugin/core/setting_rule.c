/*
 * setting_rule - values of rules and templates (see setting.h): lists of patterns, words and addresses, events, functions, and the
 * texts of templates. All that can be wrong with them is told when the file is read, by `haproxy -c` too.
 */
#include <stdio.h>
#include <string.h>

#include <mailers/alert.h>
#include <mailers/mailbox.h>
#include <mailers/rule.h>
#include <mailers/template.h>

#include "setting_internal.h"

bool setting_rule_set_template(const struct setting_field *field, void *at, const struct setting_value *value,
                               char *reason)
{
	char quote[SETTING_QUOTE_SIZE], why[TEMPLATE_REASON_SIZE];

	if (setting_is_false(value)) {
		*(const char **)at = NULL;
		return true;
	}
	if (value->kind != SETTING_IS_TEXT)
		return setting_refuse(reason, "%s is no text; write a text such as %s", setting_kind(quote, value),
		                      field->example);
	if (!value->len || strlen(value->text) != value->len)
		return setting_refuse(reason, "the text %s; write one such as %s, or remove it",
		                      value->len ? "holds a NUL" : "is empty", field->example);
	if (!template_check(value->text, field->type == SETTING_BODY, why))
		return setting_refuse(reason, "%s", why);
	*(const char **)at = value->text;
	return true;
}

bool setting_rule_set_rules(const struct setting_field *field, void *at, const struct setting_value *value,
                            char *reason)
{
	char quote[SETTING_QUOTE_SIZE];

	if (!setting_is_false(value))
		return setting_refuse(reason, "%s is no list of tables; write such as %s", setting_kind(quote, value),
		                      field->example);
	*(struct setting_rules *)at = (struct setting_rules){ NULL, 0 };
	return true;
}

static bool setting_rule_mailboxes(const char *text, char *reason)
{
	char why[MAILBOX_REASON_SIZE];
	struct mailbox_list list;

	if (mailbox_list_parse(&list, text, why, sizeof(why)))
		return setting_refuse(reason, "%s", why);
	mailbox_list_free(&list);
	return true;
}

/* One text of a list. */
static bool setting_rule_text(const struct setting_field *field, const char *text, char *reason)
{
	char quote[SETTING_QUOTE_SIZE], why[RULE_REASON_SIZE];
	size_t len = strlen(text), i;

	setting_quote(quote, text, len);
	for (i = 0; i < len; i++) {
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return setting_refuse(reason, "%s has control characters; write such as %s", quote, field->example);
	}
	if (!len || len > field->max)
		return setting_refuse(reason, "the text %s is %s; write such as %s", quote, len ? "too long" : "empty",
		                      field->example);
	if (field->type == SETTING_PATTERNS && !rule_pattern_check(text, why))
		return setting_refuse(reason, "%s: %s", quote, why);
	return field->type != SETTING_MAILBOXES || setting_rule_mailboxes(text, reason);
}

bool setting_rule_set_list(const struct setting_field *field, void *at, const struct setting_value *value,
                           char *reason)
{
	char quote[SETTING_QUOTE_SIZE];
	size_t i;

	if (value->kind != SETTING_IS_LIST)
		return setting_refuse(reason, "%s is neither a text nor a list; write such as %s",
		                      setting_kind(quote, value), field->example);
	if (!value->list.n)
		return setting_refuse(reason, "the list is empty; write such as %s, or remove it", field->example);
	for (i = 0; i < value->list.n; i++) {
		if (!setting_rule_text(field, value->list.id[i], reason))
			return false;
	}
	*(struct setting_ids *)at = value->list;
	return true;
}

bool setting_rule_set_events(const struct setting_field *field, void *at, const struct setting_value *value,
                             char *reason)
{
	char quote[SETTING_QUOTE_SIZE];
	unsigned bits = 0;
	size_t i;
	int word;

	if (value->kind != SETTING_IS_LIST || !value->list.n)
		return setting_refuse_word(field, value->kind == SETTING_IS_LIST ? "{ }" : setting_kind(quote, value), NULL,
		                           reason);
	for (i = 0; i < value->list.n; i++) {
		const char *text = value->list.id[i];

		word = setting_word(field->words, text, strlen(text));
		if (word < 0)
			return setting_refuse_word(field, setting_quote(quote, text, strlen(text)), text, reason);
		bits |= 1u << word;
	}
	*(unsigned *)at = bits;
	return true;
}

bool setting_rule_check(struct rule *r, char *reason)
{
	reason[0] = '\0';
	if (!setting_given(setting_rule_fields, setting_find(setting_rule_fields, "level"), r))
		r->level = ALERT_LEVEL_DEBUG;
	if (r->drop && (r->to.n || r->cc.n || r->mailers.n || r->subject || r->body || r->further))
		return setting_refuse(reason, "drop = true stands beside what a mail is to be; remove one of them");
	return true;
}

bool setting_rule_set_function(const struct setting_field *field, void *at, const struct setting_value *value, char *reason)
{
	char quote[SETTING_QUOTE_SIZE];

	if (value->kind != SETTING_IS_FUNCTION && !setting_is_false(value))
		return setting_refuse(reason, "%s is no function; write such as %s", setting_kind(quote, value), field->example);
	*(int *)at = value->kind == SETTING_IS_FUNCTION ? (int)value->number : 0;
	return true;
}

bool setting_rule_set_batch(const struct setting_field *field, void *at, const struct setting_value *value, char *reason)
{
	struct setting_batch *batch = at;

	*batch = (struct setting_batch){ NULL, 0 };
	return value->kind == SETTING_IS_FUNCTION ? setting_rule_set_function(field, &batch->function, value, reason)
	                                          : setting_rule_set_template(field, &batch->text, value, reason);
}
