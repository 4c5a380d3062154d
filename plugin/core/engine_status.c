/*
 * engine_status - what the status page shows, as one JSON object: totals, mailers, servers that are down,
 * the last alerts, and the mails of each minute. Times are ages in milliseconds, null where there is none;
 * <now_ms> of the host's clock goes with them, so that a page that asks again can tell the same moment from
 * a later one. Its members are documented in doc/operators.md; members may be added, none changes its
 * meaning.
 */
#include <stdio.h>
#include <string.h>

#include <mailers/version.h>

#include "engine_internal.h"
#include "escape.h"

static void status_text(struct buffer *out, const char *key, const char *text)
{
	buffer_printf(out, "\"%s\":", key);
	escape_json(out, text);
	buffer_puts(out, ",");
}

static void status_number(struct buffer *out, const char *key, uint64_t value)
{
	buffer_printf(out, "\"%s\":%llu,", key, (unsigned long long)value);
}

/* The age of something at <at_ms>; null when that is UINT64_MAX. */
static void status_age(struct buffer *out, const char *key, uint64_t at_ms, uint64_t now_ms)
{
	if (at_ms == UINT64_MAX)
		buffer_printf(out, "\"%s\":null,", key);
	else
		status_number(out, key, now_ms > at_ms ? now_ms - at_ms : 0);
}

/* Closes an object or array: <end>, with what is to follow, in the place of its last comma. */
static void status_close(struct buffer *out, const char *end)
{
	if (out->len && out->data[out->len - 1] == ',')
		out->len--;
	buffer_puts(out, end);
}

static void status_totals(const struct engine *e, struct buffer *out)
{
	struct engine_stats s;

	engine_stats(e, &s);
	buffer_puts(out, "\"totals\":{");
	status_number(out, "raised", s.raised);
	status_number(out, "dropped", s.dropped);
	status_number(out, "queued", s.queued);
	status_number(out, "connections", s.connections);
	status_number(out, "recipients", s.recipients);
	status_number(out, "accepted", s.accepted);
	status_number(out, "refused", s.refused);
	status_number(out, "given_up", s.given_up);
	status_number(out, "abandoned", s.abandoned);
	status_number(out, "lost", s.lost);
	status_number(out, "deferred", s.deferred);
	status_number(out, "folded", s.folded);
	status_close(out, "},");
}

static void status_mailer(const struct engine *e, const struct mailer *m, struct buffer *out, uint64_t now_ms)
{
	struct engine_show_queue q = engine_show_queued(e, m);
	const uint64_t *to = m->counts.recipients;

	buffer_puts(out, "{");
	status_text(out, "name", m->settings.name);
	status_text(out, "address", m->settings.address);
	status_number(out, "number", m->number);
	status_text(out, "state", engine_show_state(m));
	status_age(out, "since_ms", m->since_ms ? m->since_ms : UINT64_MAX, now_ms);
	status_number(out, "retry_ms", mailer_pause(m, now_ms));
	status_number(out, "connections", m->active + m->lingering);
	status_number(out, "queued", q.queued);
	status_age(out, "oldest_ms", q.oldest_ms, now_ms);
	status_number(out, "in_flight", m->in_flight);
	status_number(out, "accepted", to[ENGINE_FATE_ACCEPTED]);
	status_number(out, "refused", to[ENGINE_FATE_REFUSED]);
	status_number(out, "given_up", to[ENGINE_FATE_GIVEN_UP]);
	status_number(out, "abandoned", to[ENGINE_FATE_ABANDONED]);
	status_number(out, "deferred", to[ENGINE_FATE_DEFERRED]);
	status_number(out, "dropped", q.dropped);
	status_text(out, "error", m->error);
	status_age(out, "error_ms", m->error[0] ? m->error_ms : UINT64_MAX, now_ms);
	status_close(out, "},");
}

static void status_mailers(const struct engine *e, struct buffer *out, uint64_t now_ms)
{
	const struct mailer *m;

	buffer_puts(out, "\"mailers\":[");
	for (m = e->mailers; m; m = m->next)
		status_mailer(e, m, out, now_ms);
	status_close(out, "],");
}

static void status_down(const struct engine *e, struct buffer *out, uint64_t now_ms)
{
	const struct list *link = e->outages.list.prev;
	size_t n;

	buffer_puts(out, "\"down\":{");
	status_number(out, "count", e->outages.count);
	buffer_puts(out, "\"servers\":[");
	for (n = 0; n < ENGINE_STATUS_DOWN && link != &e->outages.list; n++, link = link->prev) {
		const struct engine_outage *o = LIST_ENTRY(link, const struct engine_outage, link);

		buffer_puts(out, "{");
		status_text(out, "name", o->name);
		status_text(out, "why", o->why);
		status_age(out, "since_ms", o->since_ms, now_ms);
		status_close(out, "},");
	}
	status_close(out, "]},");
}

/* Copies what of <text> fits, whole characters and an ellipsis if it does not. */
static void status_cut(char *out, const char *text)
{
	size_t n = strlen(text);

	if (n > ENGINE_STATUS_TEXT) {
		for (n = ENGINE_STATUS_TEXT; n > ENGINE_STATUS_TEXT - 3 && (text[n] & 0xc0) == 0x80; n--)
			;
		sprintf(out + n, "\xe2\x80\xa6");
	} else {
		out[n] = '\0';
	}
	memcpy(out, text, n);
}

static void status_alert(const struct engine *e, const struct engine_record *r, struct buffer *out,
                         uint64_t now_ms)
{
	const struct engine_member *m = r->member ? r->member : engine_route_member(r->route);
	unsigned counts[ENGINE_RECORD_WORDS];
	char text[ENGINE_STATUS_TEXT + 4];
	size_t i;

	status_cut(text, r->alert->text);
	engine_record_count(e, r, counts);
	buffer_puts(out, "{");
	status_number(out, "id", r->alert->id);
	status_age(out, "age_ms", r->alert->raised_ms, now_ms);
	status_text(out, "server", r->alert->name);
	status_text(out, "level", alert_level_name(r->alert->what.level));
	status_text(out, "text", text);
	status_text(out, "mailer", m->name);
	buffer_puts(out, "\"fates\":{");
	for (i = 0; i < ENGINE_RECORD_WORDS; i++) {
		if (counts[i])
			status_number(out, engine_record_word(i), counts[i]);
	}
	status_close(out, "},");
	status_number(out, "deferrals", r->fates[ENGINE_FATE_DEFERRED]);
	status_text(out, "answer", r->answer);
	status_close(out, "},");
}

/* The newest first. */
static void status_alerts(const struct engine *e, struct buffer *out, uint64_t now_ms)
{
	size_t i;

	buffer_puts(out, "\"alerts\":[");
	for (i = e->records.count; i--; )
		status_alert(e, &e->records.ring[(e->records.first + i) % ENGINE_SHOW_ALERTS], out, now_ms);
	status_close(out, "],");
}

/* The oldest first, the one that is not over last. */
static void status_minutes(const struct engine *e, struct buffer *out, uint64_t now_ms)
{
	static const struct engine_minute none;
	uint64_t ago;

	buffer_puts(out, "\"minutes\":[");
	for (ago = ENGINE_MINUTES; ago--; ) {
		uint64_t minute = now_ms / 60000;
		const struct engine_minute *m = minute < ago ? NULL : engine_count_minute(e, minute - ago);

		m = m ? m : &none;
		buffer_puts(out, "{");
		status_number(out, "accepted", m->accepted);
		status_number(out, "deferred", m->deferred);
		status_number(out, "refused", m->refused);
		status_close(out, "},");
	}
	status_close(out, "]");
}

void engine_status_json(const struct engine *e, struct buffer *out, uint64_t now_ms)
{
	buffer_puts(out, "{");
	status_text(out, "version", MAILERS_VERSION);
	status_number(out, "now_ms", now_ms);
	buffer_printf(out, "\"draining\":%s,", engine_draining(e) ? "true" : "false");
	status_totals(e, out);
	status_mailers(e, out, now_ms);
	status_down(e, out, now_ms);
	status_alerts(e, out, now_ms);
	status_minutes(e, out, now_ms);
	buffer_puts(out, "}\n");
}
