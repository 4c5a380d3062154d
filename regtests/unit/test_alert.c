/*
 * Unit tests of alert: the legacy texts and levels, byte for byte.
 *
 * The expected texts were written by hand from what HAProxy 3.0.11's native sender mails (doc/legacy-texts.md); the
 * differential test (regtests/differential) compares with a running one.
 */
#include <mailers/alert.h>

#include "unit.h"

#define CHECK(word, ms) .result = CHECK_RESULT_##word, .duration_ms = (ms), .rise = 2, .fall = 3
#define CHANGE(from, to) .old_state = SERVER_STATE_##from, .new_state = SERVER_STATE_##to
#define NAMES .proxy = "be", .server = "s1"
#define VIA .via_proxy = "px", .via_server = "t1"

struct row {
	const char *name;
	struct alert_event event;
	struct alert_origin origin;
	enum alert_level level;
	const char *text; /* NULL: no mail */
};

static const struct row state_rows[] = {
	/* DOWN */
	{ "down, no cause",
	  { CHANGE(RUNNING, STOPPED) },
	  { NAMES, .active_servers = 2, .backup_servers = 1, .sessions = 7, .queued = 5 }, ALERT_LEVEL_ALERT,
	  "Server be/s1 is DOWN. 2 active and 1 backup servers left. 7 sessions active, 0 requeued, 5 remaining in queue" },
	{ "down, layer 4 with info",
	  { CHANGE(RUNNING, STOPPED), .requeued = 3, .has_check = true,
	    .check = { CHECK(FAILED, 12), .desc = "Layer4 connection problem" } },
	  { NAMES, .info = "Connection refused" }, ALERT_LEVEL_ALERT,
	  "Server be/s1 is DOWN, reason: Layer4 connection problem, info: \"Connection refused\", check duration: 12ms. "
	  "0 active and 0 backup servers left. 0 sessions active, 3 requeued, 0 remaining in queue" },
	{ "down, layer 7 with code and info",
	  { CHANGE(RUNNING, STOPPED), .has_check = true,
	    .check = { CHECK(FAILED, 0), .has_code = true, .code = 503, .desc = "Layer7 wrong status" } },
	  { NAMES, .active_servers = 1, .info = "Service Unavailable" }, ALERT_LEVEL_ALERT,
	  "Server be/s1 is DOWN, reason: Layer7 wrong status, code: 503, info: \"Service Unavailable\", "
	  "check duration: 0ms. 1 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue" },
	{ "down, code 0 is printed",
	  { CHANGE(RUNNING, STOPPED), .has_check = true,
	    .check = { CHECK(FAILED, -1), .agent = true, .has_code = true, .code = 0, .desc = "Layer7 wrong status" } },
	  { NAMES, .info = "via agent : down" }, ALERT_LEVEL_ALERT,
	  "Server be/s1 is DOWN, reason: Layer7 wrong status, code: 0, info: \"via agent : down\". "
	  "0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue" },
	{ "down, info empty and duration not measured",
	  { CHANGE(RUNNING, STOPPED), .has_check = true,
	    .check = { CHECK(FAILED, -1), .desc = "Health analyze" } },
	  { NAMES, .info = "" }, ALERT_LEVEL_ALERT,
	  "Server be/s1 is DOWN, reason: Health analyze. "
	  "0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue" },
	{ "down, info without a check is not printed",
	  { CHANGE(RUNNING, STOPPED), .cause = "changed from CLI" },
	  { NAMES, .info = "Connection refused" }, ALERT_LEVEL_ALERT,
	  "Server be/s1 is DOWN, changed from CLI. "
	  "0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue" },
	{ "down from starting is a surprise too",
	  { CHANGE(STARTING, STOPPED) },
	  { NAMES }, ALERT_LEVEL_ALERT,
	  "Server be/s1 is DOWN. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue" },
	{ "down, weight 0 is no drain",
	  { CHANGE(RUNNING, STOPPED) },
	  { NAMES, .weight_zero = true }, ALERT_LEVEL_ALERT,
	  "Server be/s1 is DOWN. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue" },
	{ "down, was stopping",
	  { CHANGE(STOPPING, STOPPED) },
	  { NAMES }, ALERT_LEVEL_NOTICE,
	  "Server be/s1 is DOWN. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue" },
	{ "down, in drain",
	  { CHANGE(RUNNING, STOPPED) },
	  { NAMES, .draining = true }, ALERT_LEVEL_NOTICE,
	  "Server be/s1 is DOWN. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue" },
	{ "down, backup server",
	  { CHANGE(RUNNING, STOPPED), .requeued = 1 },
	  { NAMES, .backup = true, .active_servers = 3 }, ALERT_LEVEL_ALERT,
	  "Backup Server be/s1 is DOWN. 3 active and 0 backup servers left. "
	  "0 sessions active, 1 requeued, 0 remaining in queue" },
	{ "down, running on backup",
	  { CHANGE(RUNNING, STOPPED) },
	  { NAMES, .backup_servers = 2 }, ALERT_LEVEL_ALERT,
	  "Server be/s1 is DOWN. 0 active and 2 backup servers left. Running on backup. "
	  "0 sessions active, 0 requeued, 0 remaining in queue" },
	{ "down, tracking",
	  { CHANGE(RUNNING, STOPPED) },
	  { NAMES, VIA }, ALERT_LEVEL_ALERT,
	  "Server be/s1 is DOWN via px/t1. 0 active and 0 backup servers left. "
	  "0 sessions active, 0 requeued, 0 remaining in queue" },
	{ "down, tracking, with a cause",
	  { CHANGE(RUNNING, STOPPED), .cause = "changed from Lua script" },
	  { NAMES, VIA }, ALERT_LEVEL_ALERT,
	  "Server be/s1 is DOWN, changed from Lua script via px/t1. 0 active and 0 backup servers left. "
	  "0 sessions active, 0 requeued, 0 remaining in queue" },
	{ "down, tracking, with a check",
	  { CHANGE(RUNNING, STOPPED), .has_check = true,
	    .check = { CHECK(FAILED, 1), .desc = "Layer4 timeout" } },
	  { NAMES, VIA }, ALERT_LEVEL_ALERT,
	  "Server be/s1 is DOWN, reason: Layer4 timeout, check duration: 1ms via px/t1. "
	  "0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue" },
	{ "down, half a tracked name is none",
	  { CHANGE(RUNNING, STOPPED) },
	  { NAMES, .via_proxy = "px" }, ALERT_LEVEL_ALERT,
	  "Server be/s1 is DOWN. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue" },

	/* UP */
	{ "up, no cause",
	  { CHANGE(STOPPED, RUNNING), .requeued = 4 },
	  { NAMES, .active_servers = 1, .sessions = 9, .queued = 6 }, ALERT_LEVEL_NOTICE,
	  "Server be/s1 is UP. 1 active and 0 backup servers online. 4 sessions requeued, 6 total in queue" },
	{ "up, check",
	  { CHANGE(STOPPED, RUNNING), .has_check = true,
	    .check = { CHECK(PASSED, 2), .has_code = true, .code = 200,
	               .desc = "Layer7 check passed" } },
	  { NAMES, .active_servers = 1, .info = "OK" }, ALERT_LEVEL_NOTICE,
	  "Server be/s1 is UP, reason: Layer7 check passed, code: 200, info: \"OK\", check duration: 2ms. "
	  "1 active and 0 backup servers online. 0 sessions requeued, 0 total in queue" },
	{ "up, CLI",
	  { CHANGE(STOPPED, RUNNING), .cause = "changed from CLI" },
	  { NAMES, .active_servers = 1 }, ALERT_LEVEL_NOTICE,
	  "Server be/s1 is UP, changed from CLI. "
	  "1 active and 0 backup servers online. 0 sessions requeued, 0 total in queue" },
	{ "up, web interface",
	  { CHANGE(STOPPING, RUNNING), .cause = "changed from Web interface" },
	  { NAMES, .active_servers = 1 }, ALERT_LEVEL_NOTICE,
	  "Server be/s1 is UP, changed from Web interface. "
	  "1 active and 0 backup servers online. 0 sessions requeued, 0 total in queue" },
	{ "up, state file",
	  { CHANGE(STOPPED, RUNNING),
	    .cause = "changed from server-state after a reload" },
	  { NAMES, .active_servers = 1 }, ALERT_LEVEL_NOTICE,
	  "Server be/s1 is UP, changed from server-state after a reload. "
	  "1 active and 0 backup servers online. 0 sessions requeued, 0 total in queue" },
	{ "up, draining or was stopping changes nothing",
	  { CHANGE(STOPPING, RUNNING) },
	  { NAMES, .draining = true }, ALERT_LEVEL_NOTICE,
	  "Server be/s1 is UP. 0 active and 0 backup servers online. 0 sessions requeued, 0 total in queue" },
	{ "up, backup server, running on backup",
	  { CHANGE(STOPPED, RUNNING) },
	  { NAMES, .backup = true, .backup_servers = 1 }, ALERT_LEVEL_NOTICE,
	  "Backup Server be/s1 is UP. 0 active and 1 backup servers online. Running on backup. "
	  "0 sessions requeued, 0 total in queue" },
	{ "up, tracking",
	  { CHANGE(STOPPED, RUNNING) },
	  { NAMES, VIA, .active_servers = 2 }, ALERT_LEVEL_NOTICE,
	  "Server be/s1 is UP via px/t1. 2 active and 0 backup servers online. 0 sessions requeued, 0 total in queue" },
	{ "slowstart begins",
	  { CHANGE(STOPPED, STARTING), .has_check = true,
	    .check = { CHECK(PASSED, 3), .desc = "Layer4 check passed" } },
	  { NAMES, .active_servers = 1 }, ALERT_LEVEL_NOTICE,
	  "Server be/s1 is UP, reason: Layer4 check passed, check duration: 3ms. "
	  "1 active and 0 backup servers online. 0 sessions requeued, 0 total in queue" },
	{ "slowstart ends",
	  { CHANGE(STARTING, RUNNING) },
	  { NAMES, .active_servers = 1 }, ALERT_LEVEL_NOTICE,
	  "Server be/s1 is UP. 1 active and 0 backup servers online. 0 sessions requeued, 0 total in queue" },
	{ "slowstart ends, tracking",
	  { CHANGE(STARTING, RUNNING) },
	  { NAMES, VIA, .active_servers = 1 }, ALERT_LEVEL_NOTICE,
	  "Server be/s1 is UP via px/t1. 1 active and 0 backup servers online. 0 sessions requeued, 0 total in queue" },
	{ "first look found it down",
	  { CHANGE(UNKNOWN, STOPPED) },
	  { NAMES }, ALERT_LEVEL_ALERT,
	  "Server be/s1 is DOWN. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue" },

	/* no mail */
	{ "stopping", { CHANGE(RUNNING, STOPPING) }, { NAMES }, 0, NULL },
	{ "stopping, CLI",
	  { CHANGE(STOPPED, STOPPING), .cause = "changed from CLI" },
	  { NAMES }, 0, NULL },
	{ "stopping, 404",
	  { CHANGE(RUNNING, STOPPING), .has_check = true,
	    .check = { CHECK(CONDPASS, -1) } },
	  { NAMES, .info = "Not Found" }, 0, NULL },
	{ "into maintenance",
	  { .admin = true, CHANGE(RUNNING, STOPPED) }, { NAMES }, 0, NULL },
	{ "out of maintenance",
	  { .admin = true, CHANGE(STOPPED, RUNNING) }, { NAMES }, 0, NULL },
	{ "out of maintenance with slowstart",
	  { .admin = true, CHANGE(STOPPED, STARTING) }, { NAMES }, 0, NULL },
	{ "into maintenance with a cause",
	  { .admin = true, CHANGE(RUNNING, STOPPED),
	    .cause = "DNS NX status" }, { NAMES }, 0, NULL },
	{ "same state", { CHANGE(STOPPED, STOPPED) }, { NAMES }, 0, NULL },
	{ "unknown state", { CHANGE(STOPPED, UNKNOWN) }, { NAMES }, 0, NULL },
	{ "state outside of the enum",
	  { .old_state = SERVER_STATE_STOPPED, .new_state = (enum server_state)77 }, { NAMES }, 0, NULL },
};

#define ADMIN_EVENT .type = ALERT_EVENT_ADMIN
#define FDRAIN (SERVER_ADMIN_DRAIN | SERVER_ADMIN_FDRAIN)
#define IDRAIN (SERVER_ADMIN_DRAIN | SERVER_ADMIN_IDRAIN)
#define FMAINT (SERVER_ADMIN_MAINT | SERVER_ADMIN_FMAINT)
#define DRAIN_ONLINE " 1 active and 0 backup servers online. 0 sessions requeued, 0 total in queue"

static const struct row admin_rows[] = {
	{ "drain", { ADMIN_EVENT, .new_admin = FDRAIN, .requeued = 2 },
	  { NAMES, .active_servers = 1, .sessions = 8, .queued = 3 }, ALERT_LEVEL_NOTICE,
	  "Server be/s1 enters drain state. 1 active and 0 backup servers online. 2 sessions requeued, 3 total in queue" },
	{ "drain, flags as the mask alone", { ADMIN_EVENT, .new_admin = SERVER_ADMIN_DRAIN },
	  { NAMES, .active_servers = 1 }, ALERT_LEVEL_NOTICE, "Server be/s1 enters drain state." DRAIN_ONLINE },
	{ "drain, flags as the detail alone", { ADMIN_EVENT, .new_admin = SERVER_ADMIN_FDRAIN },
	  { NAMES, .active_servers = 1 }, ALERT_LEVEL_NOTICE, "Server be/s1 enters drain state." DRAIN_ONLINE },
	{ "drain of a server that is down", { ADMIN_EVENT, .new_admin = FDRAIN, .requeued = 1 },
	  { NAMES, .stopped = true, .active_servers = 1, .sessions = 8, .queued = 3 }, ALERT_LEVEL_NOTICE,
	  "Server be/s1 enters drain state. 1 active and 0 backup servers left. "
	  "8 sessions active, 1 requeued, 3 remaining in queue" },
	{ "drain with a cause", { ADMIN_EVENT, .new_admin = FDRAIN, .cause = "'disable' on stats page" },
	  { NAMES, .active_servers = 1 }, ALERT_LEVEL_NOTICE,
	  "Server be/s1 enters drain state ('disable' on stats page)." DRAIN_ONLINE },
	{ "drain with a cause that ends in a space", { ADMIN_EVENT, .new_admin = IDRAIN, .cause = "No IP for server " },
	  { NAMES, VIA, .active_servers = 1 }, ALERT_LEVEL_NOTICE,
	  "Server be/s1 enters drain state (No IP for server ) via px/t1." DRAIN_ONLINE },
	{ "drain, backup, running on backup", { ADMIN_EVENT, .new_admin = FDRAIN },
	  { NAMES, .backup = true, .backup_servers = 1 }, ALERT_LEVEL_NOTICE,
	  "Backup Server be/s1 enters drain state. 0 active and 1 backup servers online. Running on backup. "
	  "0 sessions requeued, 0 total in queue" },
	{ "inherited drain", { ADMIN_EVENT, .new_admin = IDRAIN },
	  { NAMES, VIA, .active_servers = 1 }, ALERT_LEVEL_NOTICE,
	  "Server be/s1 enters drain state via px/t1." DRAIN_ONLINE },
	{ "inherited drain with a cause", { ADMIN_EVENT, .new_admin = IDRAIN, .cause = "'stop' on stats page" },
	  { NAMES, VIA, .active_servers = 1 }, ALERT_LEVEL_NOTICE,
	  "Server be/s1 enters drain state ('stop' on stats page) via px/t1." DRAIN_ONLINE },
	{ "forced drain of a tracking server has no via", { ADMIN_EVENT, .new_admin = FDRAIN },
	  { NAMES, VIA, .active_servers = 1 }, ALERT_LEVEL_NOTICE, "Server be/s1 enters drain state." DRAIN_ONLINE },
	{ "drain when it leaves maintenance at once", { ADMIN_EVENT, .old_admin = FMAINT, .new_admin = FDRAIN },
	  { NAMES, .active_servers = 1 }, ALERT_LEVEL_NOTICE, "Server be/s1 enters drain state." DRAIN_ONLINE },
	{ "drain of a server once disabled in the configuration",
	  { ADMIN_EVENT, .old_admin = SERVER_ADMIN_CMAINT, .new_admin = SERVER_ADMIN_CMAINT | FDRAIN },
	  { NAMES, .active_servers = 1 }, ALERT_LEVEL_NOTICE, "Server be/s1 enters drain state." DRAIN_ONLINE },

	/* no mail */
	{ "drain in maintenance", { ADMIN_EVENT, .old_admin = FMAINT, .new_admin = FMAINT | FDRAIN }, { NAMES }, 0, NULL },
	{ "drain and maintenance at once",
	  { ADMIN_EVENT, .new_admin = FDRAIN | SERVER_ADMIN_MAINT | SERVER_ADMIN_RMAINT }, { NAMES }, 0, NULL },
	{ "second drain", { ADMIN_EVENT, .old_admin = IDRAIN, .new_admin = IDRAIN | FDRAIN }, { NAMES }, 0, NULL },
	{ "out of maintenance into the drain it had",
	  { ADMIN_EVENT, .old_admin = FMAINT | FDRAIN, .new_admin = FDRAIN }, { NAMES }, 0, NULL },
	{ "out of forced drain, inherited stays",
	  { ADMIN_EVENT, .old_admin = IDRAIN | FDRAIN, .new_admin = IDRAIN }, { NAMES }, 0, NULL },
	{ "out of drain", { ADMIN_EVENT, .old_admin = FDRAIN }, { NAMES }, 0, NULL },
	{ "into maintenance", { ADMIN_EVENT, .new_admin = FMAINT }, { NAMES }, 0, NULL },
	{ "out of maintenance", { ADMIN_EVENT, .old_admin = FMAINT }, { NAMES }, 0, NULL },
	{ "nothing changed", { ADMIN_EVENT }, { NAMES }, 0, NULL },
};

#define CHECK_EVENT .type = ALERT_EVENT_CHECK, .has_check = true

static const struct row check_rows[] = {
	{ "failed, still up", { CHECK_EVENT,
	  .check = { CHECK(FAILED, 5), .cur = 3, .desc = "Layer4 connection problem" } },
	  { NAMES, .info = "Connection refused" }, ALERT_LEVEL_INFO,
	  "Health check for server be/s1 failed, reason: Layer4 connection problem, info: \"Connection refused\", "
	  "check duration: 5ms, status: 2/3 UP" },
	{ "failed, now down", { CHECK_EVENT,
	  .check = { CHECK(FAILED, 5), .cur = 0, .desc = "Layer4 timeout" } },
	  { NAMES }, ALERT_LEVEL_INFO,
	  "Health check for server be/s1 failed, reason: Layer4 timeout, check duration: 5ms, status: 0/2 DOWN" },
	{ "succeeded, still down", { CHECK_EVENT,
	  .check = { CHECK(PASSED, 0), .cur = 1, .has_code = true, .code = 200,
	             .desc = "Layer7 check passed" } },
	  { NAMES, .info = "OK" }, ALERT_LEVEL_INFO,
	  "Health check for server be/s1 succeeded, reason: Layer7 check passed, code: 200, info: \"OK\", "
	  "check duration: 0ms, status: 1/2 DOWN" },
	{ "succeeded, up", { CHECK_EVENT,
	  .check = { CHECK(PASSED, -1), .cur = 4, .desc = "Layer6 check passed" } },
	  { NAMES }, ALERT_LEVEL_INFO,
	  "Health check for server be/s1 succeeded, reason: Layer6 check passed, status: 3/3 UP" },
	{ "succeeded, health just at rise", { CHECK_EVENT,
	  .check = { CHECK(PASSED, -1), .cur = 2, .desc = "Layer4 check passed" } },
	  { NAMES }, ALERT_LEVEL_INFO,
	  "Health check for server be/s1 succeeded, reason: Layer4 check passed, status: 1/3 UP" },
	{ "rise 1 fall 1", { CHECK_EVENT,
	  .check = { .result = CHECK_RESULT_PASSED, .duration_ms = -1, .cur = 1, .rise = 1, .fall = 1,
	             .desc = "Layer4 check passed" } },
	  { NAMES }, ALERT_LEVEL_INFO,
	  "Health check for server be/s1 succeeded, reason: Layer4 check passed, status: 1/1 UP" },
	{ "conditionally succeeded, backup", { CHECK_EVENT,
	  .check = { CHECK(CONDPASS, 1), .cur = 4, .has_code = true, .code = 404,
	             .desc = "Layer7 check conditionally passed" } },
	  { NAMES, .backup = true, .info = "Not Found" }, ALERT_LEVEL_INFO,
	  "Health check for backup server be/s1 conditionally succeeded, reason: Layer7 check conditionally passed, "
	  "code: 404, info: \"Not Found\", check duration: 1ms, status: 3/3 UP" },
	{ "agent", { CHECK_EVENT,
	  .check = { .agent = true, .result = CHECK_RESULT_FAILED, .duration_ms = 2, .cur = 0, .rise = 1, .fall = 1,
	             .has_code = true, .code = 0, .desc = "Layer7 wrong status" } },
	  { NAMES, .info = "via agent : down (disk full)" }, ALERT_LEVEL_INFO,
	  "Agent check for server be/s1 failed, reason: Layer7 wrong status, code: 0, "
	  "info: \"via agent : down (disk full)\", check duration: 2ms, status: 0/1 DOWN" },
	{ "no known result", { CHECK_EVENT,
	  .check = { CHECK(UNKNOWN, -1), .cur = 4, .desc = "Unknown" } },
	  { NAMES }, ALERT_LEVEL_INFO,
	  "Health check for server be/s1 failed, reason: Unknown, status: 3/3 UP" },
	{ "weight 0, up", { CHECK_EVENT,
	  .check = { CHECK(PASSED, -1), .cur = 4, .desc = "Layer4 check passed" } },
	  { NAMES, .weight_zero = true }, ALERT_LEVEL_INFO,
	  "Health check for server be/s1 succeeded, reason: Layer4 check passed, status: 3/3 DRAIN" },
	{ "weight 0, down", { CHECK_EVENT,
	  .check = { CHECK(FAILED, -1), .cur = 0, .desc = "Layer4 timeout" } },
	  { NAMES, .weight_zero = true }, ALERT_LEVEL_INFO,
	  "Health check for server be/s1 failed, reason: Layer4 timeout, status: 0/2 DOWN" },
	{ "admin drain does not show", { CHECK_EVENT,
	  .check = { CHECK(PASSED, -1), .cur = 4, .desc = "Layer4 check passed" } },
	  { NAMES, .draining = true }, ALERT_LEVEL_INFO,
	  "Health check for server be/s1 succeeded, reason: Layer4 check passed, status: 3/3 UP" },
	{ "tracked names, cause and counters have no place", { CHECK_EVENT, .requeued = 3, .cause = "changed from CLI",
	  .check = { CHECK(FAILED, -1), .cur = 0, .desc = "Layer4 timeout" } },
	  { NAMES, VIA, .active_servers = 4, .sessions = 2 }, ALERT_LEVEL_INFO,
	  "Health check for server be/s1 failed, reason: Layer4 timeout, status: 0/2 DOWN" },
};

static enum alert_change change_of(const char *text)
{
	if (strstr(text, " check for "))
		return ALERT_CHANGE_CHECK;
	if (strstr(text, " enters drain state"))
		return ALERT_CHANGE_DRAIN;
	return strstr(text, " is DOWN") ? ALERT_CHANGE_DOWN : ALERT_CHANGE_UP;
}

static void check_row(const struct row *row, enum alert_kind kind)
{
	struct alert_text what = { .level = (enum alert_level)99, .kind = (enum alert_kind)99 };
	struct buffer out = { 0 };
	bool mailed;
	char *text;

	buffer_puts(&out, "<");
	mailed = alert_compose(&row->event, &row->origin, &what, &out);
	text = buffer_steal(&out, NULL);
	assert_non_null(text);
	if (mailed != !!row->text || strcmp(text + 1, row->text ? row->text : "") != 0)
		fail_msg("%s: %s\n  has  \"%s\"\n  want \"%s\"", row->name, mailed ? "mailed" : "not mailed", text + 1,
		         row->text ? row->text : "(no mail)");
	if (mailed && (what.level != row->level || what.kind != kind))
		fail_msg("%s: level %d kind %d, want level %d kind %d", row->name, what.level, what.kind, row->level, kind);
	if (mailed)
		assert_int_equal(what.change, change_of(text));
	free(text);
}

static void check_rows_of(const struct row *rows, size_t n, enum alert_kind kind)
{
	for (size_t i = 0; i < n; i++)
		check_row(&rows[i], kind);
}

static void alert__state_table__gives_legacy_text_and_level(void **state)
{
	(void)state;
	check_rows_of(state_rows, sizeof(state_rows) / sizeof(state_rows[0]), ALERT_KIND_STATE);
}

static void alert__admin_table__gives_legacy_text_and_level(void **state)
{
	(void)state;
	check_rows_of(admin_rows, sizeof(admin_rows) / sizeof(admin_rows[0]), ALERT_KIND_STATE);
}

static void alert__check_table__gives_legacy_text_and_level(void **state)
{
	(void)state;
	check_rows_of(check_rows, sizeof(check_rows) / sizeof(check_rows[0]), ALERT_KIND_CHECK);
}

static void alert__unknown_event_type__is_not_mailed(void **state)
{
	const struct row row = { "type 9", { .type = (enum alert_event_type)9, .new_state = SERVER_STATE_STOPPED,
	                                     .old_state = SERVER_STATE_RUNNING }, { NAMES }, 0, NULL };

	(void)state;
	check_row(&row, ALERT_KIND_STATE);
}

/* The text of a DOWN whose check said <info>, of server be/<server>; the caller frees it. */
static char *down_text(const char *server, const char *info, const char *cause)
{
	struct alert_event event = { CHANGE(RUNNING, STOPPED),
	                             .has_check = info != NULL, .check = { CHECK(FAILED, -1), .desc = "d" } };
	struct alert_origin origin = { .proxy = "be", .server = server, .info = info };
	struct alert_text what;
	struct buffer out = { 0 };

	snprintf(event.cause, sizeof(event.cause), "%s", cause);
	assert_true(alert_compose(&event, &origin, &what, &out));
	return buffer_steal(&out, NULL);
}

#define DOWN_TAIL ". 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue"

static void alert__info_of_any_bytes__is_asciiencoded(void **state)
{
	static const struct { const char *info, *text; } rows[] = {
		{ "plain text, 'quoted' & 100% ~", "plain text, 'quoted' & 100% ~" },
		{ "\"", "<22>" },
		{ "say \"no\"", "say <22>no<22>" },
		{ "<b>bold</b>", "<3C>b<3E>bold<3C>/b<3E>" },
		{ "caf\xc3\xa9", "caf<C3><A9>" },
		{ "\x80\xff\x7f\x01\x1f", "<80><FF><7F><01><1F>" },
		{ "two\r\nlines\tand a tab", "two<0D><0A>lines<09>and a tab" },
		{ " ", " " },
		{ "\\", "\\" },
		{ "\r\n.\r\n", "<0D><0A>.<0D><0A>" },
		{ "%s%n%d", "%s%n%d" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char want[512];
		char *text = down_text("s1", rows[i].info, "");

		snprintf(want, sizeof(want), "Server be/s1 is DOWN, reason: d, info: \"%s\"%s", rows[i].text, DOWN_TAIL);
		assert_string_equal(text, want);
		free(text);
	}
}

static void alert__each_byte_of_info__is_printable_and_not_a_quote(void **state)
{
	(void)state;
	for (int c = 1; c < 256; c++) {
		char info[2] = { (char)c, '\0' };
		char *text = down_text("s1", info, "");
		const char *from = strchr(text, '"') + 1;
		const char *to = strchr(from, '"');

		assert_non_null(to);
		assert_true(to - from == 1 || (to - from == 4 && from[0] == '<' && from[3] == '>'));
		for (const char *p = text; *p; p++)
			assert_true(*p >= ' ' && *p <= '~');
		free(text);
	}
}

static void alert__control_bytes_in_names_and_cause__stay_on_one_line(void **state)
{
	char *text = down_text("s\r\n1\x7f<ok>", NULL, "because\nof\x1b[1m this");

	(void)state;
	assert_string_equal(text, "Server be/s<0D><0A>1<7F><ok> is DOWN, because<0A>of<1B>[1m this" DOWN_TAIL);
	free(text);
}

static void alert__names_beyond_63_bytes__are_whole(void **state)
{
	char name[301];
	char want[512];
	char *text;

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	text = down_text(name, NULL, "");
	snprintf(want, sizeof(want), "Server be/%s is DOWN%s", name, DOWN_TAIL);
	assert_string_equal(text, want);
	free(text);
}

/* The largest numbers that the types hold are printed as they are. */
static void alert__largest_numbers__are_printed(void **state)
{
	const struct row row = {
		"largest", { CHANGE(RUNNING, STOPPED), .requeued = UINT32_MAX,
		.has_check = true, .check = { CHECK(FAILED, INT64_MAX), .has_code = true, .code = -1, .desc = "d" } },
		{ NAMES, .active_servers = UINT32_MAX, .backup_servers = UINT32_MAX, .sessions = UINT32_MAX,
		  .queued = UINT32_MAX },
		ALERT_LEVEL_ALERT,
		"Server be/s1 is DOWN, reason: d, code: -1, check duration: 9223372036854775807ms. "
		"4294967295 active and 4294967295 backup servers left. "
		"4294967295 sessions active, 4294967295 requeued, 4294967295 remaining in queue" };

	(void)state;
	check_row(&row, ALERT_KIND_STATE);
}

static void alert__limited_buffer__keeps_the_error(void **state)
{
	struct alert_event event = { CHANGE(RUNNING, STOPPED) };
	struct alert_origin origin = { NAMES };
	struct alert_text what;
	struct buffer out = { .limit = 40 };

	(void)state;
	assert_true(alert_compose(&event, &origin, &what, &out));
	assert_int_equal(buffer_error(&out), MAILERS_ERR_BOUND);
	assert_true(out.len <= 40);
	assert_null(buffer_steal(&out, NULL));
}

static void alert__allocations_fail_in_turn__says_no_memory(void **state)
{
	const struct row *row = &check_rows[0];
	char info[257];
	long n;

	(void)state;
	memset(info, '"', sizeof(info) - 1);
	info[sizeof(info) - 1] = '\0';
	for (n = 0; n < 100; n++) {
		struct alert_origin origin = row->origin;
		struct alert_text what;
		struct buffer out = { 0 };

		origin.info = info;
		unit_fail_at(n);
		assert_true(alert_compose(&row->event, &origin, &what, &out));
		if (!unit_failed()) {
			assert_int_equal(buffer_error(&out), MAILERS_OK);
			buffer_free(&out);
			break;
		}
		assert_int_equal(buffer_error(&out), MAILERS_ERR_NOMEM);
		buffer_free(&out);
	}
	assert_in_range(n, 2, 99); /* the sweep reached growth, and came to its end */
}

static void alert__found_state__has_no_cause(void **state)
{
	static const struct {
		enum server_state state;
		bool drain;
		struct alert_origin origin;
		enum alert_level level;
		const char *text;
	} rows[] = {
		{ SERVER_STATE_STOPPED, false, { NAMES, .active_servers = 1, .sessions = 2, .queued = 3, .info = "x" },
		  ALERT_LEVEL_ALERT, "Server be/s1 is DOWN. 1 active and 0 backup servers left. "
		  "2 sessions active, 0 requeued, 3 remaining in queue" },
		{ SERVER_STATE_STOPPED, false, { NAMES, .draining = true }, ALERT_LEVEL_NOTICE,
		  "Server be/s1 is DOWN" DOWN_TAIL },
		{ SERVER_STATE_RUNNING, false, { NAMES, VIA, .active_servers = 1, .queued = 3 }, ALERT_LEVEL_NOTICE,
		  "Server be/s1 is UP via px/t1. 1 active and 0 backup servers online. 0 sessions requeued, 3 total in queue" },
		{ SERVER_STATE_STARTING, false, { NAMES, .backup = true, .backup_servers = 1 }, ALERT_LEVEL_NOTICE,
		  "Backup Server be/s1 is UP. 0 active and 1 backup servers online. Running on backup. "
		  "0 sessions requeued, 0 total in queue" },
		{ SERVER_STATE_UNKNOWN, false, { NAMES, .active_servers = 1 }, ALERT_LEVEL_NOTICE,
		  "Server be/s1 is UP." DRAIN_ONLINE },
		{ SERVER_STATE_RUNNING, true, { NAMES, VIA, .active_servers = 1 }, ALERT_LEVEL_NOTICE,
		  "Server be/s1 enters drain state via px/t1." DRAIN_ONLINE },
		{ SERVER_STATE_STOPPED, true, { NAMES }, ALERT_LEVEL_NOTICE, "Server be/s1 enters drain state" DOWN_TAIL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct alert_text what;
		struct buffer out = { 0 };
		char *text;

		alert_compose_found(rows[i].state, rows[i].drain, &rows[i].origin, &what, &out);
		text = buffer_steal(&out, NULL);
		assert_string_equal(text, rows[i].text);
		assert_int_equal(what.level, rows[i].level);
		assert_int_equal(what.kind, ALERT_KIND_STATE);
		assert_int_equal(what.change, change_of(text));
		free(text);
	}
}

static void alert__names__are_looked_up_both_ways(void **state)
{
	static const char *const levels[] = { "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug" };

	(void)state;
	for (int i = 0; i < 8; i++)
		assert_string_equal(alert_level_name((enum alert_level)i), levels[i]);
	assert_string_equal(alert_level_name((enum alert_level)8), "unknown");
	assert_string_equal(alert_level_name((enum alert_level)-1), "unknown");
	assert_string_equal(alert_change_name(ALERT_CHANGE_DOWN), "down");
	assert_string_equal(alert_change_name(ALERT_CHANGE_CHECK), "check");
	assert_string_equal(alert_change_name(ALERT_CHANGES), "unknown");
	for (int i = 0; i < 8; i++)
		assert_int_equal(alert_level_from_name(levels[i]), i);
	for (int i = 0; i < ALERT_CHANGES; i++)
		assert_int_equal(alert_change_from_name(alert_change_name((enum alert_change)i)), i);
	assert_int_equal(alert_level_from_name("unknown"), -1);
	assert_int_equal(alert_change_from_name("unknown"), -1);
	assert_int_equal(server_state_from_name("STOPPED"), SERVER_STATE_STOPPED);
	assert_int_equal(server_state_from_name("STARTING"), SERVER_STATE_STARTING);
	assert_int_equal(server_state_from_name("RUNNING"), SERVER_STATE_RUNNING);
	assert_int_equal(server_state_from_name("STOPPING"), SERVER_STATE_STOPPING);
	assert_int_equal(server_state_from_name("stopped"), SERVER_STATE_UNKNOWN);
	assert_int_equal(server_state_from_name(""), SERVER_STATE_UNKNOWN);
	assert_int_equal(server_state_from_name(NULL), SERVER_STATE_UNKNOWN);
	assert_int_equal(check_result_from_name("FAILED"), CHECK_RESULT_FAILED);
	assert_int_equal(check_result_from_name("PASSED"), CHECK_RESULT_PASSED);
	assert_int_equal(check_result_from_name("CONDPASS"), CHECK_RESULT_CONDPASS);
	assert_int_equal(check_result_from_name("CONDPASSED"), CHECK_RESULT_UNKNOWN);
	assert_int_equal(check_result_from_name(NULL), CHECK_RESULT_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alert__state_table__gives_legacy_text_and_level),
		cmocka_unit_test(alert__admin_table__gives_legacy_text_and_level),
		cmocka_unit_test(alert__check_table__gives_legacy_text_and_level),
		cmocka_unit_test(alert__unknown_event_type__is_not_mailed),
		cmocka_unit_test(alert__info_of_any_bytes__is_asciiencoded),
		cmocka_unit_test(alert__each_byte_of_info__is_printable_and_not_a_quote),
		cmocka_unit_test(alert__control_bytes_in_names_and_cause__stay_on_one_line),
		cmocka_unit_test(alert__names_beyond_63_bytes__are_whole),
		cmocka_unit_test(alert__largest_numbers__are_printed),
		cmocka_unit_test(alert__limited_buffer__keeps_the_error),
		cmocka_unit_test(alert__allocations_fail_in_turn__says_no_memory),
		cmocka_unit_test(alert__found_state__has_no_cause),
		cmocka_unit_test(alert__names__are_looked_up_both_ways),
	};

	return cmocka_run_group_tests_name("alert", tests, NULL, NULL);
}
