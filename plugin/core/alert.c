/*
 * alert - see alert.h. The legacy texts are built here and nowhere else.
 *
 * HAProxy's native sender composed a text inside of the change itself; this one is given a copy of the event and of
 * what was known of the server, and follows the same order of parts:
 *
 *   STATE  [Backup ]Server P/S is DOWN|UP  <check or cause>  <via>  <counters>
 *   ADMIN  [Backup ]Server P/S enters drain state  <(cause)>  <via, unless the drain was forced>  <counters>
 *   CHECK  Health|Agent check for [backup ]server P/S <result>  <check>, status: <health>
 *
 * Invariants: a text never holds a control byte, whatever the names, the cause or the check's output hold; nothing
 * is appended for an event that is not mailed. The binding calls alert_compose() in its event handlers; the level
 * against `email-alert level`, and whether check reports are wanted at all, is the caller's question.
 */
#include <string.h>

#include <mailers/alert.h>

#define ALERT_COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const char *const alert_level_names[] = {
	[ALERT_LEVEL_EMERG] = "emerg",     [ALERT_LEVEL_ALERT] = "alert",
	[ALERT_LEVEL_CRIT] = "crit",       [ALERT_LEVEL_ERR] = "err",
	[ALERT_LEVEL_WARNING] = "warning", [ALERT_LEVEL_NOTICE] = "notice",
	[ALERT_LEVEL_INFO] = "info",       [ALERT_LEVEL_DEBUG] = "debug",
};

static const char *const alert_change_names[] = {
	[ALERT_CHANGE_DOWN] = "down",   [ALERT_CHANGE_UP] = "up",
	[ALERT_CHANGE_DRAIN] = "drain", [ALERT_CHANGE_CHECK] = "check",
};

static const char *const server_state_names[] = {
	[SERVER_STATE_UNKNOWN] = NULL,       [SERVER_STATE_STOPPED] = "STOPPED",
	[SERVER_STATE_STARTING] = "STARTING", [SERVER_STATE_RUNNING] = "RUNNING",
	[SERVER_STATE_STOPPING] = "STOPPING",
};

static const char *const check_result_names[] = {
	[CHECK_RESULT_UNKNOWN] = NULL,     [CHECK_RESULT_FAILED] = "FAILED",
	[CHECK_RESULT_PASSED] = "PASSED",  [CHECK_RESULT_CONDPASS] = "CONDPASS",
};

/* What a state is called in a mail; NULL for one that is not mailed. */
static const char *const alert_state_words[] = {
	[SERVER_STATE_UNKNOWN] = NULL,  [SERVER_STATE_STOPPED] = "DOWN",
	[SERVER_STATE_STARTING] = "UP", [SERVER_STATE_RUNNING] = "UP",
	[SERVER_STATE_STOPPING] = NULL,
};

/* HAProxy reports a result that is not a pass as a failure, an unknown one too. */
static const char *const alert_result_words[] = {
	[CHECK_RESULT_UNKNOWN] = "failed",    [CHECK_RESULT_FAILED] = "failed",
	[CHECK_RESULT_PASSED] = "succeeded",  [CHECK_RESULT_CONDPASS] = "conditionally succeeded",
};

static size_t alert_lookup(const char *const *names, size_t n, const char *name)
{
	size_t i;

	for (i = 0; name && i < n; i++) {
		if (names[i] && !strcmp(names[i], name))
			return i;
	}
	return 0;
}

const char *alert_level_name(enum alert_level level)
{
	return (size_t)level < ALERT_COUNT(alert_level_names) ? alert_level_names[level] : "unknown";
}

const char *alert_change_name(enum alert_change change)
{
	return (size_t)change < ALERT_COUNT(alert_change_names) ? alert_change_names[change] : "unknown";
}

int alert_level_from_name(const char *name)
{
	int i;

	for (i = 0; i < (int)ALERT_COUNT(alert_level_names); i++) {
		if (!strcmp(alert_level_names[i], name))
			return i;
	}
	return -1;
}

int alert_change_from_name(const char *name)
{
	int i;

	for (i = 0; i < ALERT_CHANGES; i++) {
		if (!strcmp(alert_change_names[i], name))
			return i;
	}
	return -1;
}

enum server_state server_state_from_name(const char *name)
{
	return (enum server_state)alert_lookup(server_state_names, ALERT_COUNT(server_state_names), name);
}

enum check_result check_result_from_name(const char *name)
{
	return (enum check_result)alert_lookup(check_result_names, ALERT_COUNT(check_result_names), name);
}

/* Control bytes only: names and causes are HAProxy's own text, their other bytes stay as they are. */
static bool alert_is_control(unsigned char c)
{
	return c < 0x20 || c == 0x7f;
}

/* What HAProxy encodes in a check's output, which stands between quotes and comes from the checked server. */
static bool alert_is_encoded_info(unsigned char c)
{
	return c < 0x20 || c > 0x7e || c == '<' || c == '>' || c == '"';
}

static void alert_add_encoded(struct buffer *out, const char *text, bool (*is_encoded)(unsigned char))
{
	const char *run = text;

	for (; *text; text++) {
		if (!is_encoded((unsigned char)*text))
			continue;
		buffer_add(out, run, (size_t)(text - run));
		buffer_printf(out, "<%02X>", (unsigned)(unsigned char)*text);
		run = text + 1;
	}
	buffer_add(out, run, (size_t)(text - run));
}

static void alert_add_text(struct buffer *out, const char *text)
{
	alert_add_encoded(out, text, alert_is_control);
}

static void alert_add_names(struct buffer *out, const char *proxy, const char *server)
{
	alert_add_text(out, proxy);
	buffer_puts(out, "/");
	alert_add_text(out, server);
}

/* "[Backup ]Server P/S " */
static void alert_add_server(struct buffer *out, const struct alert_origin *origin)
{
	buffer_puts(out, origin->backup ? "Backup Server " : "Server ");
	alert_add_names(out, origin->proxy, origin->server);
	buffer_puts(out, " ");
}

static void alert_add_check(struct buffer *out, const struct alert_check *check, const char *info)
{
	buffer_puts(out, ", reason: ");
	alert_add_text(out, check->desc);
	if (check->has_code)
		buffer_printf(out, ", code: %d", check->code);
	if (info && *info) {
		buffer_puts(out, ", info: \"");
		alert_add_encoded(out, info, alert_is_encoded_info);
		buffer_puts(out, "\"");
	}
	if (check->duration_ms >= 0)
		buffer_printf(out, ", check duration: %lldms", (long long)check->duration_ms);
}

static void alert_add_via(struct buffer *out, const struct alert_origin *origin)
{
	if (!origin->via_proxy || !origin->via_server)
		return;
	buffer_puts(out, " via ");
	alert_add_names(out, origin->via_proxy, origin->via_server);
}

static void alert_add_counters(struct buffer *out, const struct alert_origin *origin, bool stopped,
                               unsigned requeued)
{
	const char *on_backup = origin->backup_servers && !origin->active_servers ? " Running on backup." : "";

	buffer_printf(out, ". %u active and %u backup servers %s.%s", origin->active_servers,
	              origin->backup_servers, stopped ? "left" : "online", on_backup);
	if (stopped)
		buffer_printf(out, " %u sessions active, %u requeued, %u remaining in queue",
		              origin->sessions, requeued, origin->queued);
	else
		buffer_printf(out, " %u sessions requeued, %u total in queue", requeued, origin->queued);
}

/* The parts that DOWN and UP share, told or found. */
static void alert_add_state(struct buffer *out, enum server_state state, const struct alert_origin *origin)
{
	alert_add_server(out, origin);
	buffer_puts(out, "is ");
	buffer_puts(out, alert_state_words[state]);
}

/* A server that was leaving anyway is no surprise: its end is not worth an alert. */
static enum alert_level alert_state_level(enum server_state state, bool was_leaving)
{
	return state == SERVER_STATE_STOPPED && !was_leaving ? ALERT_LEVEL_ALERT : ALERT_LEVEL_NOTICE;
}

static enum alert_change alert_state_change(enum server_state state)
{
	return state == SERVER_STATE_STOPPED ? ALERT_CHANGE_DOWN : ALERT_CHANGE_UP;
}

static bool alert_compose_state(const struct alert_event *event, const struct alert_origin *origin,
                                struct alert_text *what, struct buffer *out)
{
	enum server_state state = event->new_state;
	bool was_leaving = event->old_state == SERVER_STATE_STOPPING || origin->draining;

	if (event->admin || state == event->old_state || (size_t)state >= ALERT_COUNT(alert_state_words) ||
	    !alert_state_words[state])
		return false;
	what->kind = ALERT_KIND_STATE;
	what->change = alert_state_change(state);
	what->level = alert_state_level(state, was_leaving);
	alert_add_state(out, state, origin);
	if (event->has_check) {
		alert_add_check(out, &event->check, origin->info);
	} else if (event->cause[0]) {
		buffer_puts(out, ", ");
		alert_add_text(out, event->cause);
	}
	alert_add_via(out, origin);
	alert_add_counters(out, origin, state == SERVER_STATE_STOPPED, event->requeued);
	return true;
}

static bool alert_compose_admin(const struct alert_event *event, const struct alert_origin *origin,
                                struct alert_text *what, struct buffer *out)
{
	/* Not CMAINT: HAProxy keeps it for good on a server that was `disabled` in the configuration. */
	const unsigned maint = SERVER_ADMIN_MAINT | SERVER_ADMIN_FMAINT | SERVER_ADMIN_IMAINT |
	                       SERVER_ADMIN_RMAINT;
	const unsigned drain = SERVER_ADMIN_DRAIN | SERVER_ADMIN_FDRAIN | SERVER_ADMIN_IDRAIN;

	if (event->new_admin & maint || event->old_admin & drain || !(event->new_admin & drain))
		return false;
	what->kind = ALERT_KIND_STATE;
	what->change = ALERT_CHANGE_DRAIN;
	what->level = ALERT_LEVEL_NOTICE;
	alert_add_server(out, origin);
	buffer_puts(out, "enters drain state");
	if (event->cause[0]) {
		buffer_puts(out, " (");
		alert_add_text(out, event->cause);
		buffer_puts(out, ")");
	}
	if (!(event->new_admin & SERVER_ADMIN_FDRAIN))
		alert_add_via(out, origin);
	alert_add_counters(out, origin, origin->stopped, event->requeued);
	return true;
}

static bool alert_compose_check(const struct alert_event *event, const struct alert_origin *origin,
                                struct alert_text *what, struct buffer *out)
{
	const struct alert_check *check = &event->check;
	bool good = check->cur >= check->rise;

	what->kind = ALERT_KIND_CHECK;
	what->change = ALERT_CHANGE_CHECK;
	what->level = ALERT_LEVEL_INFO;
	buffer_puts(out, check->agent ? "Agent check for " : "Health check for ");
	buffer_puts(out, origin->backup ? "backup server " : "server ");
	alert_add_names(out, origin->proxy, origin->server);
	buffer_puts(out, " ");
	buffer_puts(out, alert_result_words[(size_t)check->result < ALERT_COUNT(alert_result_words) ?
	                                    check->result : CHECK_RESULT_UNKNOWN]);
	alert_add_check(out, check, origin->info);
	if (good)
		buffer_printf(out, ", status: %d/%d %s", check->cur - check->rise + 1, check->fall,
		              origin->weight_zero ? "DRAIN" : "UP");
	else
		buffer_printf(out, ", status: %d/%d DOWN", check->cur, check->rise);
	return true;
}

bool alert_compose(const struct alert_event *event, const struct alert_origin *origin,
                   struct alert_text *what, struct buffer *out)
{
	switch (event->type) {
	case ALERT_EVENT_STATE:
		return alert_compose_state(event, origin, what, out);
	case ALERT_EVENT_ADMIN:
		return alert_compose_admin(event, origin, what, out);
	case ALERT_EVENT_CHECK:
		return alert_compose_check(event, origin, what, out);
	}
	return false;
}

void alert_compose_found(enum server_state state, bool drain, const struct alert_origin *origin,
                         struct alert_text *what, struct buffer *out)
{
	bool stopped = state == SERVER_STATE_STOPPED;

	what->kind = ALERT_KIND_STATE;
	what->change = drain ? ALERT_CHANGE_DRAIN : alert_state_change(state);
	if (drain) {
		what->level = ALERT_LEVEL_NOTICE;
		alert_add_server(out, origin);
		buffer_puts(out, "enters drain state");
	} else {
		what->level = alert_state_level(state, origin->draining);
		alert_add_state(out, stopped ? SERVER_STATE_STOPPED : SERVER_STATE_RUNNING, origin);
	}
	alert_add_via(out, origin);
	alert_add_counters(out, origin, stopped, 0);
}
