/* Rules: patterns, what matches, and which rules decide. */
#include <mailers/rule.h>

#include "unit.h"

static void rule_pattern__check_table__names_the_remedy(void **state)
{
	static const struct {
		const char *text, *reason;
	} rows[] = {
		{ "db", NULL }, { "^db", NULL }, { "db$", NULL }, { "^db$", NULL }, { "d*b?", NULL }, { "a.b-c_d:e", NULL },
		{ "^", NULL }, { "*", NULL },
		{ "", "the pattern is empty; write" },
		{ "^(db|sql)", "'(' stands in a pattern" }, { "db%d", "'%' stands in" }, { "db[0-9]", "'[' stands in" },
		{ "a+", "'+' stands in" }, { "a\\.b", "'\\' stands in" },
		{ "a^b", "'^' stands inside" }, { "a$b", "'$' stands inside" }, { "^db.*", "\".*\" stands in a pattern" },
	};
	char reason[RULE_REASON_SIZE], text[RULE_PATTERN_MAX + 2];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		assert_int_equal(rule_pattern_check(rows[i].text, reason), !rows[i].reason);
		if (rows[i].reason)
			assert_memory_equal(reason, rows[i].reason, strlen(rows[i].reason));
	}
	memset(text, 'a', sizeof(text));
	text[RULE_PATTERN_MAX + 1] = '\0';
	assert_false(rule_pattern_check(text, reason));
	text[RULE_PATTERN_MAX] = '\0';
	assert_true(rule_pattern_check(text, reason));
	assert_true(rule_pattern_match(text, text));
}

static void rule_pattern__match_table__is_anchored_as_written(void **state)
{
	static const struct {
		const char *pattern, *name;
		bool match;
	} rows[] = {
		{ "db", "db", true }, { "db", "mydb1", true }, { "db", "DB", false }, { "db", "d", false }, { "db", "", false },
		{ "^db", "db1", true }, { "^db", "mydb", false }, { "db$", "mydb", true }, { "db$", "db1", false },
		{ "db$", "dbdb", true }, { "^db$", "db", true }, { "^db$", "dbdb", false }, { "^db*1$", "db-x-1", true },
		{ "^db*1$", "db-x-12", false }, { "^d?$", "db", true }, { "^d?$", "d", false }, { "d?x", "xdbx", true },
		{ "a*b*c", "xxaxxbxxcxx", true }, { "^a*b*c$", "abcbc", true }, { "^a*b*c$", "abcb", false },
		{ "a.b", "axb", false }, { "^", "x", true }, { "$", "x", true }, { "^$", "", true }, { "^$", "x", false },
		{ "*", "", true }, { "?", "", false }, { "?", "x", true }, { "^**x", "yyx", true },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (rule_pattern_match(rows[i].pattern, rows[i].name) != rows[i].match)
			fail_msg("'%s' and '%s'", rows[i].pattern, rows[i].name);
	}
}

/* Against a matcher that tries everything. */
static bool slow(const char *p, const char *name)
{
	if (!*p)
		return !*name;
	if (*p == '*')
		return slow(p + 1, name) || (*name && slow(p, name + 1));
	return *name && (*p == '?' || *p == *name) && slow(p + 1, name + 1);
}

static void rule_pattern__any__is_what_a_slow_matcher_says(void **state)
{
	uint64_t seed = 3;
	int run;

	(void)state;
	for (run = 0; run < 20000; run++) {
		char pattern[12] = "", name[12] = "", both[16];
		size_t n, i;
		bool begin, end;

		seed = seed * 6364136223846793005u + 1442695040888963407u;
		n = seed >> 60 & 7;
		for (i = 0; i < n; i++)
			pattern[i] = "ab*?"[seed >> (30 + 2 * i) & 3];
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		n = seed >> 60 & 7;
		for (i = 0; i < n; i++)
			name[i] = "ab"[seed >> (30 + i) & 1];
		begin = seed >> 50 & 1;
		end = seed >> 51 & 1;
		snprintf(both, sizeof(both), "%s%s%s", begin ? "^" : "", pattern, end ? "$" : "");
		{
			char whole[16];

			snprintf(whole, sizeof(whole), "%s%s%s", begin ? "" : "*", pattern, end ? "" : "*");
			if (rule_pattern_match(both, name) != slow(whole, name))
				fail_msg("'%s' and '%s'", both, name);
		}
	}
}

/* A pattern that takes others exponential time; this test would not end. */
static void rule_pattern__many_stars__are_bounded(void **state)
{
	char pattern[RULE_PATTERN_MAX + 1], name[400];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(pattern) - 2; i += 2)
		memcpy(pattern + i, "a*", 2);
	strcpy(pattern + i - 2, "b$");
	memset(name, 'a', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_false(rule_pattern_match(pattern, name));
}

#define LIST(...) { (const char *const[]){ __VA_ARGS__ }, sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *) }
#define ANY_LEVEL .level = ALERT_LEVEL_DEBUG

static const struct rule_alert down = { "db", "s1", "Server db/s1 is DOWN, reason: Timeout", 37, ALERT_LEVEL_ALERT,
                                        ALERT_CHANGE_DOWN };

static void rule_matches__each_condition__counts(void **state)
{
	const struct {
		struct rule rule;
		bool match;
	} rows[] = {
		{ { ANY_LEVEL }, true },
		{ { ANY_LEVEL, .proxy = LIST("^web", "^db") }, true }, { { ANY_LEVEL, .proxy = LIST("^web") }, false },
		{ { ANY_LEVEL, .server = LIST("s1$") }, true }, { { ANY_LEVEL, .server = LIST("s2$") }, false },
		{ { .level = ALERT_LEVEL_ALERT }, true }, { { .level = ALERT_LEVEL_EMERG }, false },
		{ { ANY_LEVEL, .event = 1u << ALERT_CHANGE_DOWN | 1u << ALERT_CHANGE_UP }, true },
		{ { ANY_LEVEL, .event = 1u << ALERT_CHANGE_UP }, false },
		{ { ANY_LEVEL, .words = LIST("nothing", "timeOUT") }, true }, { { ANY_LEVEL, .words = LIST("timeouts") }, false },
		{ { ANY_LEVEL, .proxy = LIST("db"), .words = LIST("nothing") }, false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_int_equal(rule_matches(&rows[i].rule, &down), rows[i].match);
}

static void rule_select__order__decides(void **state)
{
	const struct rule rules[] = {
		{ ANY_LEVEL, .proxy = LIST("^web"), .drop = true },
		{ ANY_LEVEL, .proxy = LIST("^db"), .further = true },
		{ ANY_LEVEL, .server = LIST("s1") },
		{ ANY_LEVEL, .drop = true },
	};
	struct rule_alert alert = down;
	bool used[4], drop;

	(void)state;
	assert_int_equal(rule_select(rules, 4, &alert, used, &drop), 2);
	assert_true(!used[0] && used[1] && used[2] && !used[3] && !drop);
	alert.server = "s2";
	assert_int_equal(rule_select(rules, 4, &alert, used, &drop), 2);
	assert_true(used[1] && !used[2] && used[3] && drop);
	alert.proxy = "web";
	assert_int_equal(rule_select(rules, 4, &alert, used, &drop), 1);
	assert_true(used[0] && drop);
	assert_int_equal(rule_select(rules, 0, &alert, used, &drop), 0);
	assert_false(drop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rule_pattern__check_table__names_the_remedy),
		cmocka_unit_test(rule_pattern__match_table__is_anchored_as_written),
		cmocka_unit_test(rule_pattern__any__is_what_a_slow_matcher_says),
		cmocka_unit_test(rule_pattern__many_stars__are_bounded),
		cmocka_unit_test(rule_matches__each_condition__counts),
		cmocka_unit_test(rule_select__order__decides),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
