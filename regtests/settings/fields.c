/*
 * fields - prints the tables of setting.h as the first columns of those in doc/settings.md: key, what it takes, default, example.
 * regtests/settings/api compares.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <mailers/setting.h>

static const char *const types[] = {
	[SETTING_TEXT] = "text", [SETTING_FILE] = "path of a file", [SETTING_VARIABLE] = "name of an environment variable",
	[SETTING_DNS] = "host name", [SETTING_HOST] = "host name or IP address", [SETTING_HELO] = "host name or address literal",
	[SETTING_ADDRESS] = "address", [SETTING_BOOL] = "`true` or `false`", [SETTING_IDS] = "list of names",
	[SETTING_LIMIT] = "table", [SETTING_SUMMARY] = "table", [SETTING_TABLE] = "table", [SETTING_SUBJECT] = "template of one line",
	[SETTING_BODY] = "template of lines", [SETTING_RULES] = "list of tables", [SETTING_PATTERNS] = "pattern, or a list",
	[SETTING_WORDS] = "text, or a list", [SETTING_MAILBOXES] = "mail addresses, or a list",
	[SETTING_NAMES] = "name, or a list", [SETTING_FUNCTION] = "function", [SETTING_BATCH] = "template of one line, or a function",
};

static void print_time(uint32_t ms)
{
	if (!ms)
		printf("0");
	else if (ms % 1000)
		printf("%" PRIu32 "ms", ms);
	else if (ms == SETTING_TIME_MAX || ms / 86400000)
		printf("%" PRIu32 "d", ms / 86400000);
	else
		printf("%" PRIu32 "s", ms / 1000);
}

static void print_time_max(uint32_t ms)
{
	if (ms == SETTING_TIME_MAX)
		printf("24d");
	else
		print_time(ms);
}

static void print_type(const struct setting_field *f)
{
	size_t i;

	switch (f->type) {
	case SETTING_TIME:
		printf("time, ");
		print_time(f->min);
		printf(" to ");
		print_time_max(f->max);
		break;
	case SETTING_NUMBER:
		printf("number, %" PRIu32 " to %" PRIu32, f->min, f->max);
		break;
	case SETTING_ENUM:
	case SETTING_AUTH:
	case SETTING_EVENTS:
		for (i = 0; f->words[i]; i++)
			printf("%s`\"%s\"`", i ? ", " : "", f->words[i]);
		if (f->type != SETTING_ENUM)
			printf("; one of them, or a list");
		break;
	default:
		printf("%s", types[f->type]);
		break;
	}
}

int main(void)
{
	static const struct setting_field *const tables[] = {
		setting_top_fields, setting_mailer_fields, setting_proxy_fields, setting_limit_fields, setting_summary_fields,
		setting_rule_fields,
	};
	const struct setting_field *f;
	size_t i;

	for (i = 0; i < sizeof(tables) / sizeof(*tables); i++) {
		for (f = tables[i]; f->name; f++) {
			if (f->type == SETTING_SECRET)
				continue;
			printf("| `%s` | ", f->name);
			print_type(f);
			printf(" | %s | `%s = %s` |\n", *f->initial ? f->initial : "-", f->name, f->example);
		}
	}
	return 0;
}
