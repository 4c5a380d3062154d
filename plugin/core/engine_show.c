/*
 * engine_show - what the engine is doing, as tables for people and scripts: columns of a fixed width, the
 * last one open-ended. A value that is wider than its column pushes the rest of its line to the right:
 * nothing is cut but texts.
 */
#include <stdio.h>
#include <string.h>

#include "engine_internal.h"

#define SHOW_NAME 48 /* bytes of a name that are shown */

/* Names come from the configuration and from events: no byte may end a column or a line. */
static const char *engine_show_name(char *out, const char *text)
{
	size_t i;

	for (i = 0; text[i] && i < SHOW_NAME; i++)
		out[i] = (unsigned char)text[i] > ' ' && (unsigned char)text[i] < 0x7f ? text[i] : '?';
	out[i] = '\0';
	if (!i)
		memcpy(out, "-", 2);
	return out;
}

/* The rest of a line: a text, in which spaces may stand. */
static void engine_show_text(struct buffer *out, const char *text)
{
	char c;

	for (; *text; text++) {
		c = (unsigned char)*text >= ' ' && (unsigned char)*text < 0x7f ? *text : '?';
		buffer_add(out, &c, 1);
	}
}

/* "12s", "3m05s", "2h10m", "4d03h"; "-" for a time that is none. */
static const char *engine_show_age(char *out, size_t size, uint64_t since_ms, uint64_t now_ms)
{
	unsigned long long s = now_ms > since_ms ? (now_ms - since_ms) / 1000 : 0;

	if (since_ms == UINT64_MAX)
		snprintf(out, size, "-");
	else if (s < 60)
		snprintf(out, size, "%llus", s);
	else if (s < 3600)
		snprintf(out, size, "%llum%02llus", s / 60, s % 60);
	else if (s < 86400)
		snprintf(out, size, "%lluh%02llum", s / 3600, s / 60 % 60);
	else
		snprintf(out, size, "%llud%02lluh", s / 86400, s / 3600 % 24);
	return out;
}

/* --- show mailers --- */

/* Alerts of a list of mailers are shown with the one that has them now. */
struct engine_show_queue engine_show_queued(const struct engine *e, const struct mailer *m)
{
	struct engine_show_queue sum = { .oldest_ms = UINT64_MAX };
	struct queue_route_stats stats;
	const struct engine_proxy *p;
	const struct engine_route *r;

	for (p = e->proxies; p; p = p->next) {
		for (r = p->routes; r; r = r->next) {
			if (engine_route_member(r)->mailer != m)
				continue;
			queue_route_stats(r->queue, &stats);
			sum.queued += stats.alerts;
			sum.dropped += r->dropped;
			sum.oldest_ms = engine_earlier(sum.oldest_ms, stats.oldest_ms);
		}
	}
	return sum;
}

const char *engine_show_state(const struct mailer *m)
{
	return m->suspended ? "PAUSED" : mailer_state_name(m->state);
}

static void engine_show_mailer(const struct engine *e, const struct mailer *m, struct buffer *out, uint64_t now_ms)
{
	struct engine_show_queue q = engine_show_queued(e, m);
	const uint64_t *to = m->counts.recipients;
	char name[SHOW_NAME + 1], address[SHOW_NAME + 1], oldest[32], error[32];

	buffer_printf(out, "%-16s %-24s %-7s %5u %7zu %6zu %8llu %8llu %7llu %7llu %7s %7s ",
	              engine_show_name(name, m->settings.name), engine_show_name(address, m->settings.address),
	              engine_show_state(m), m->active + m->lingering, q.queued,
	              m->in_flight, (unsigned long long)to[ENGINE_FATE_ACCEPTED],
	              (unsigned long long)to[ENGINE_FATE_DEFERRED],
	              (unsigned long long)(to[ENGINE_FATE_REFUSED] + to[ENGINE_FATE_GIVEN_UP] + to[ENGINE_FATE_ABANDONED]),
	              (unsigned long long)q.dropped,
	              engine_show_age(oldest, sizeof(oldest), q.oldest_ms, now_ms),
	              engine_show_age(error, sizeof(error), m->error[0] ? m->error_ms : UINT64_MAX, now_ms));
	engine_show_text(out, m->error[0] ? m->error : "-");
	buffer_puts(out, "\n");
}

void engine_show_mailers(const struct engine *e, struct buffer *out, uint64_t now_ms)
{
	const struct mailer *m;

	buffer_printf(out, "# %-14s %-24s %-7s %5s %7s %6s %8s %8s %7s %7s %7s %7s %s\n", "mailer", "address",
	              "state", "conns", "queued", "flight", "sent", "deferred", "failed", "dropped", "oldest", "erred",
	              "last_error");
	for (m = e->mailers; m; m = m->next)
		engine_show_mailer(e, m, out, now_ms);
	if (e->asks.count)
		buffer_printf(out, "# before that: %zu alert%s for the route function\n", e->asks.count,
		              e->asks.count == 1 ? " waits" : "s wait");
}

/* --- show mailers alerts --- */

/* "accepted", or with several recipients "accepted:2,refused:1"; what waits is "queued" or "deferred". */
static void engine_show_fate(const struct engine *e, const struct engine_record *r, char *out, size_t size)
{
	unsigned n = r->alert->nrcpt, counts[ENGINE_RECORD_WORDS];
	size_t i, len = 0;

	engine_record_count(e, r, counts);
	out[0] = '\0';
	for (i = 0; i < ENGINE_RECORD_WORDS && len < size; i++) {
		const char *word = engine_record_word(i);

		if (counts[i] == n)
			len += (size_t)snprintf(out + len, size - len, "%s", word);
		else if (counts[i])
			len += (size_t)snprintf(out + len, size - len, "%s%s:%u", len ? "," : "", word, counts[i]);
	}
}

static void engine_show_record(const struct engine *e, const struct engine_record *r, struct buffer *out,
                               uint64_t now_ms)
{
	const struct engine_member *m = r->member ? r->member : engine_route_member(r->route);
	char name[SHOW_NAME + 1], mailer[SHOW_NAME + 1], fate[100], age[32];

	engine_show_fate(e, r, fate, sizeof(fate));
	buffer_printf(out, "%7s %-24s %-16s %5zu %-16s %5u ",
	              engine_show_age(age, sizeof(age), r->alert->raised_ms, now_ms),
	              engine_show_name(name, r->alert->name), engine_show_name(mailer, m->name),
	              (size_t)r->alert->nrcpt, fate, r->fates[ENGINE_FATE_DEFERRED]);
	engine_show_text(out, r->alert->text);
	if (r->answer[0]) {
		buffer_puts(out, " | ");
		engine_show_text(out, r->answer);
	}
	buffer_puts(out, "\n");
}

void engine_show_alerts(const struct engine *e, struct buffer *out, uint64_t now_ms)
{
	size_t i;

	buffer_printf(out, "# %5s %-24s %-16s %5s %-16s %5s %s\n", "age", "server", "mailer", "rcpts", "fate", "defer",
	              "text | last_answer");
	for (i = 0; i < e->records.count; i++)
		engine_show_record(e, &e->records.ring[(e->records.first + i) % ENGINE_SHOW_ALERTS], out, now_ms);
}
