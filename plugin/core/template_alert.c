/*
 * template_alert - the fields of one alert for its templates (see template.h): what HAProxy told and what was
 * known, as texts. A field that has no meaning for an alert is "".
 */
#include <stdio.h>

#include <mailers/template.h>

enum { NUMBER_DURATION = 0, NUMBER_HEALTH, NUMBER_CODE, NUMBER_ACTIVE, NUMBER_BACKUP, NUMBER_SESSIONS,
       NUMBER_QUEUED, NUMBER_REQUEUED };

static const char *template_number(char *out, size_t size, long long n)
{
	snprintf(out, size, "%lld", n);
	return out;
}

/* The word that the text of the alert has for it. */
static const char *template_state(const struct alert_event *event, const struct alert_origin *origin,
                                  const struct alert_text *what)
{
	static const char *const words[ALERT_CHANGES] = {
		[ALERT_CHANGE_DOWN] = "DOWN", [ALERT_CHANGE_UP] = "UP", [ALERT_CHANGE_DRAIN] = "DRAIN",
	};

	if (what->change != ALERT_CHANGE_CHECK || !event)
		return words[what->change < ALERT_CHANGES ? what->change : ALERT_CHANGE_UP];
	if (event->check.cur < event->check.rise)
		return "DOWN";
	return origin->weight_zero ? "DRAIN" : "UP";
}

static void template_check_fields(struct template_alert *t, const struct alert_check *check, const char *info)
{
	const char **v = t->values.value;
	bool good = check->cur >= check->rise;

	v[TEMPLATE_CHECK] = check->desc;
	v[TEMPLATE_INFO] = info;
	if (check->has_code)
		v[TEMPLATE_CODE] = template_number(t->number[NUMBER_CODE], sizeof(t->number[0]), check->code);
	if (check->duration_ms >= 0)
		v[TEMPLATE_DURATION] = template_number(t->number[NUMBER_DURATION], sizeof(t->number[0]), check->duration_ms);
	if (!check->rise && !check->fall)
		return;
	snprintf(t->number[NUMBER_HEALTH], sizeof(t->number[0]), "%d/%d", good ? check->cur - check->rise + 1 : check->cur,
	         good ? check->fall : check->rise);
	v[TEMPLATE_HEALTH] = t->number[NUMBER_HEALTH];
}

static void template_event_fields(struct template_alert *t, const struct alert_event *event, const char *info)
{
	const char **v = t->values.value;

	v[TEMPLATE_CAUSE] = event->cause;
	if (event->type == ALERT_EVENT_CHECK || event->has_check) {
		template_check_fields(t, &event->check, info);
		if (!event->cause[0])
			v[TEMPLATE_CAUSE] = event->check.desc;
	}
}

void template_alert_fill(struct template_alert *t, const struct alert_event *event, const struct alert_origin *origin,
                         const struct alert_text *what, const char *name, const char *text, const char *date,
                         const char *since, const struct outage_mark *outage)
{
	const char **v = t->values.value;
	size_t size = sizeof(t->number[0]);

	*t = (struct template_alert){ .values = { .value = {
		[TEMPLATE_PROXY] = origin->proxy, [TEMPLATE_SERVER] = origin->server, [TEMPLATE_NAME] = name,
		[TEMPLATE_STATE] = template_state(event, origin, what), [TEMPLATE_LEVEL] = alert_level_name(what->level),
		[TEMPLATE_EVENT] = alert_change_name(what->change), [TEMPLATE_TEXT] = text, [TEMPLATE_DATE] = date,
		[TEMPLATE_SINCE] = since,
	} } };
	if (event)
		template_event_fields(t, event, origin->info);
	if (origin->via_proxy && origin->via_server) {
		snprintf(t->via, sizeof(t->via), "%s/%s", origin->via_proxy, origin->via_server);
		v[TEMPLATE_VIA] = t->via;
	}
	if (outage && outage->over)
		v[TEMPLATE_DOWNTIME] = outage_text(t->downtime, outage->lasted_ms);
	v[TEMPLATE_ACTIVE] = template_number(t->number[NUMBER_ACTIVE], size, origin->active_servers);
	v[TEMPLATE_BACKUP] = template_number(t->number[NUMBER_BACKUP], size, origin->backup_servers);
	v[TEMPLATE_SESSIONS] = template_number(t->number[NUMBER_SESSIONS], size, origin->sessions);
	v[TEMPLATE_QUEUED] = template_number(t->number[NUMBER_QUEUED], size, origin->queued);
	v[TEMPLATE_REQUEUED] = template_number(t->number[NUMBER_REQUEUED], size, event ? event->requeued : 0);
}
