/*
 * Unit tests of alert: one test for each defect that the mailers.lua shipped with HAProxy has in its texts and
 * levels. A test's name says what that script does, and what is right here.
 */
#include <mailers/alert.h>

#include "unit.h"

#define CHECK(word, ms) .result = CHECK_RESULT_##word, .duration_ms = (ms), .rise = 2, .fall = 3
#define CHECK_EVENT .type = ALERT_EVENT_CHECK, .has_check = true
#define ADMIN_EVENT .type = ALERT_EVENT_ADMIN
#define FDRAIN (SERVER_ADMIN_DRAIN | SERVER_ADMIN_FDRAIN)
#define CHANGE(from, to) .old_state = SERVER_STATE_##from, .new_state = SERVER_STATE_##to
#define NAMES .proxy = "be", .server = "s1"
#define VIA .via_proxy = "px", .via_server = "t1"

/* Composes <event> and says whether the text holds <part>. */
static bool text_holds(const struct alert_event *event, const struct alert_origin *origin, const char *part)
{
	struct alert_text what;
	struct buffer out = { 0 };
	char *text;
	bool holds;

	assert_true(alert_compose(event, origin, &what, &out));
	text = buffer_steal(&out, NULL);
	holds = strstr(text, part) != NULL;
	free(text);
	return holds;
}

static void shipped_lua__up_at_level_alert__is_notice_here(void **state)
{
	static const enum server_state olds[] = { SERVER_STATE_UNKNOWN, SERVER_STATE_STOPPED, SERVER_STATE_STARTING,
	                                          SERVER_STATE_STOPPING };
	struct alert_origin origin = { NAMES };
	struct alert_text what;

	(void)state;
	for (size_t i = 0; i < sizeof(olds) / sizeof(olds[0]); i++) {
		struct alert_event event = { .old_state = olds[i], .new_state = SERVER_STATE_RUNNING };
		struct buffer out = { 0 };

		assert_true(alert_compose(&event, &origin, &what, &out));
		assert_int_equal(what.level, ALERT_LEVEL_NOTICE);
		buffer_free(&out);
	}
}

static void shipped_lua__slowstart_reported_as_down__is_up_here(void **state)
{
	struct alert_event event = { CHANGE(STOPPED, STARTING) };
	struct alert_origin origin = { NAMES };

	(void)state;
	assert_true(text_holds(&event, &origin, "is UP"));
	assert_false(text_holds(&event, &origin, "DOWN"));
}

static void shipped_lua__stopping_reported_as_down__is_not_mailed_here(void **state)
{
	struct alert_event event = { CHANGE(RUNNING, STOPPING) };
	struct alert_origin origin = { NAMES };
	struct alert_text what;
	struct buffer out = { 0 };

	(void)state;
	assert_false(alert_compose(&event, &origin, &what, &out));
	assert_int_equal(out.len, 0);
	buffer_free(&out);
}

static void shipped_lua__no_separator_before_cause__has_one_here(void **state)
{
	struct alert_event event = { CHANGE(RUNNING, STOPPED),
	                             .cause = "changed from CLI" };
	struct alert_origin origin = { NAMES };

	(void)state;
	assert_true(text_holds(&event, &origin, "is DOWN, changed from CLI."));
}

static void shipped_lua__backup_missing__is_there(void **state)
{
	struct alert_event event = { CHANGE(RUNNING, STOPPED) };
	struct alert_event drain = { ADMIN_EVENT, .new_admin = FDRAIN };
	struct alert_origin origin = { NAMES, .backup = true };

	(void)state;
	assert_true(text_holds(&event, &origin, "Backup Server be/s1"));
	assert_true(text_holds(&drain, &origin, "Backup Server be/s1"));
}

static void shipped_lua__info_missing__is_there(void **state)
{
	struct alert_event event = { CHANGE(RUNNING, STOPPED),
	                             .has_check = true, .check = { CHECK(FAILED, -1), .desc = "Layer4 timeout" } };
	struct alert_event report = { CHECK_EVENT, .check = { CHECK(FAILED, -1), .desc = "Layer4 timeout" } };
	struct alert_origin origin = { NAMES, .info = "at step 1" };

	(void)state;
	assert_true(text_holds(&event, &origin, ", reason: Layer4 timeout, info: \"at step 1\""));
	assert_true(text_holds(&report, &origin, ", reason: Layer4 timeout, info: \"at step 1\""));
}

static void shipped_lua__running_on_backup_missing__is_there(void **state)
{
	struct alert_event event = { CHANGE(RUNNING, STOPPED) };
	struct alert_origin origin = { NAMES, .backup_servers = 1 };

	(void)state;
	assert_true(text_holds(&event, &origin, "left. Running on backup. 0 sessions active"));
	origin.active_servers = 1;
	assert_false(text_holds(&event, &origin, "Running on backup"));
}

static void shipped_lua__left_wording_for_up__is_online_here(void **state)
{
	struct alert_event event = { CHANGE(STOPPED, RUNNING) };
	struct alert_event drain = { ADMIN_EVENT, .new_admin = FDRAIN };
	struct alert_origin origin = { NAMES };

	(void)state;
	assert_true(text_holds(&event, &origin, "servers online. 0 sessions requeued, 0 total in queue"));
	assert_true(text_holds(&drain, &origin, "servers online. 0 sessions requeued, 0 total in queue"));
}

static void shipped_lua__drain_cause_missing__is_there(void **state)
{
	struct alert_event event = { ADMIN_EVENT, .new_admin = FDRAIN, .cause = "'stop' on stats page" };
	struct alert_origin origin = { NAMES };

	(void)state;
	assert_true(text_holds(&event, &origin, "enters drain state ('stop' on stats page)."));
}

static void shipped_lua__via_before_cause__is_after_it_here(void **state)
{
	struct alert_event event = { CHANGE(RUNNING, STOPPED),
	                             .cause = "changed from CLI" };
	struct alert_origin origin = { NAMES, VIA };

	(void)state;
	assert_true(text_holds(&event, &origin, "is DOWN, changed from CLI via px/t1."));
}

static void shipped_lua__weight_zero_never_drain__is_drain_here(void **state)
{
	struct alert_event event = { CHECK_EVENT, .check = { CHECK(PASSED, -1), .cur = 4 } };
	struct alert_origin origin = { NAMES, .weight_zero = true };

	(void)state;
	assert_true(text_holds(&event, &origin, "status: 3/3 DRAIN"));
}

/* It asks HAProxy's is_draining(), which is true at weight 0 as well: an outage was mailed as a mere notice. */
static void shipped_lua__weight_zero_lowers_down_to_notice__is_alert_here(void **state)
{
	struct alert_event event = { CHANGE(RUNNING, STOPPED) };
	struct alert_origin origin = { NAMES, .weight_zero = true };
	struct alert_text what;
	struct buffer out = { 0 };

	(void)state;
	assert_true(alert_compose(&event, &origin, &what, &out));
	assert_int_equal(what.level, ALERT_LEVEL_ALERT);
	buffer_free(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shipped_lua__up_at_level_alert__is_notice_here),
		cmocka_unit_test(shipped_lua__slowstart_reported_as_down__is_up_here),
		cmocka_unit_test(shipped_lua__stopping_reported_as_down__is_not_mailed_here),
		cmocka_unit_test(shipped_lua__no_separator_before_cause__has_one_here),
		cmocka_unit_test(shipped_lua__backup_missing__is_there),
		cmocka_unit_test(shipped_lua__info_missing__is_there),
		cmocka_unit_test(shipped_lua__running_on_backup_missing__is_there),
		cmocka_unit_test(shipped_lua__left_wording_for_up__is_online_here),
		cmocka_unit_test(shipped_lua__drain_cause_missing__is_there),
		cmocka_unit_test(shipped_lua__via_before_cause__is_after_it_here),
		cmocka_unit_test(shipped_lua__weight_zero_never_drain__is_drain_here),
		cmocka_unit_test(shipped_lua__weight_zero_lowers_down_to_notice__is_alert_here),
	};

	return cmocka_run_group_tests_name("alert defects", tests, NULL, NULL);
}
