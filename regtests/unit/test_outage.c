/* Unit tests of outage: which alerts of a server belong to which of its outages, and how long each was. */
#include <mailers/outage.h>

#include "unit.h"

static void check_mark(const struct outage *o, enum alert_change change, uint64_t number, bool over, uint64_t lasted)
{
	struct outage_mark mark = outage_mark(o, change);

	assert_int_equal(mark.number, number);
	assert_int_equal(mark.over, over);
	assert_int_equal(mark.lasted_ms, lasted);
}

/* Outside of all outages. */
static void check_none(const struct outage *o)
{
	enum alert_change change;

	for (change = 0; change < ALERT_CHANGES; change++)
		check_mark(o, change, 0, false, 0);
}

static void outage__all_that_comes_from_down_to_up__has_one_number(void **state)
{
	struct outage o = { 0 };

	(void)state;
	check_none(&o);
	outage_begin(&o, 1000);
	check_mark(&o, ALERT_CHANGE_DOWN, 1, false, 0);
	check_mark(&o, ALERT_CHANGE_CHECK, 1, false, 0);
	outage_begin(&o, 9000); /* it is known already */
	check_mark(&o, ALERT_CHANGE_DRAIN, 1, false, 0);
	outage_until(&o, 126000);
	outage_until(&o, 127000); /* so is this */
	check_mark(&o, ALERT_CHANGE_CHECK, 1, false, 0);
	check_mark(&o, ALERT_CHANGE_UP, 1, true, 125000);
	check_mark(&o, ALERT_CHANGE_UP, 1, true, 125000);
	outage_end(&o, false);
	check_none(&o);
	outage_end(&o, false);
	outage_begin(&o, 128000);
	check_mark(&o, ALERT_CHANGE_DOWN, 2, false, 0);
}

static void outage__first_up_of_a_slowstart__tells_the_end__the_second_only_belongs_to_it(void **state)
{
	struct outage o = { 0 };

	(void)state;
	outage_begin(&o, 1000);
	outage_until(&o, 3000);
	check_mark(&o, ALERT_CHANGE_UP, 1, true, 2000);
	outage_end(&o, true);
	check_mark(&o, ALERT_CHANGE_CHECK, 0, false, 0);
	outage_until(&o, 60000);
	check_mark(&o, ALERT_CHANGE_UP, 1, false, 0);
	outage_end(&o, true); /* another alert in it */
	check_mark(&o, ALERT_CHANGE_UP, 1, false, 0);
	outage_end(&o, false);
	check_none(&o);
	/* The slowstart after maintenance follows no outage. */
	outage_end(&o, true);
	check_none(&o);
	/* Down again within a slowstart. */
	outage_begin(&o, 70000);
	outage_until(&o, 71000);
	outage_end(&o, true);
	outage_begin(&o, 72000);
	check_mark(&o, ALERT_CHANGE_DOWN, 3, false, 0);
	outage_end(&o, false);
	check_none(&o);
}

static void outage__end_without_an_alert__leaves_nothing(void **state)
{
	struct outage o = { 0 };

	(void)state;
	outage_until(&o, 1);
	outage_end(&o, false);
	check_none(&o);
	outage_begin(&o, 1000);
	outage_until(&o, 2000); /* maintenance */
	outage_end(&o, false);
	outage_begin(&o, 5000);
	check_mark(&o, ALERT_CHANGE_UP, 2, false, 0); /* not known to be over: nothing is said about it */
	outage_until(&o, 4000); /* as HAProxy's whole seconds may have it */
	check_mark(&o, ALERT_CHANGE_UP, 2, true, 0);
}

static void outage_text__table__says_it_in_words(void **state)
{
	static const struct {
		uint64_t ms;
		const char *text;
	} rows[] = {
		{ 0, "less than a second" }, { 999, "less than a second" }, { 1000, "1 second" }, { 1999, "1 second" },
		{ 2000, "2 seconds" }, { 59999, "59 seconds" }, { 60000, "1 minute" }, { 60999, "1 minute" },
		{ 61000, "1 minute 1 second" }, { 125000, "2 minutes 5 seconds" }, { 3599999, "59 minutes 59 seconds" },
		{ 3600000, "1 hour" }, { 3601000, "1 hour 1 second" }, { 7380000, "2 hours 3 minutes" },
		{ 86399000, "23 hours 59 minutes 59 seconds" }, { 86400000, "1 day" }, { 86400999, "1 day" },
		{ 180061000, "2 days 2 hours 1 minute 1 second" }, { 8640000000, "100 days" },
		{ UINT64_MAX, "213503982334 days 14 hours 25 minutes 51 seconds" },
	};
	char out[OUTAGE_TEXT_SIZE];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		assert_string_equal(outage_text(out, rows[i].ms), rows[i].text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(outage__all_that_comes_from_down_to_up__has_one_number),
		cmocka_unit_test(outage__first_up_of_a_slowstart__tells_the_end__the_second_only_belongs_to_it),
		cmocka_unit_test(outage__end_without_an_alert__leaves_nothing),
		cmocka_unit_test(outage_text__table__says_it_in_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
