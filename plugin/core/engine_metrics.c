/*
 * engine_metrics - what was counted, in Prometheus' text format 0.0.4: families in the order of one table,
 * each with HELP and TYPE. The table in doc/operators.md has the same rows; a test compares them.
 *
 * A mailer is known by the id and address of its `mailer` line. Where proxies have different settings for
 * the same, or another HELO name, there are several; the second and later ones have a label `number`, so
 * that no series comes twice.
 */
#include <stdio.h>
#include <string.h>

#include <mailers/version.h>

#include "engine_internal.h"
#include "escape.h"

#define METRICS_PREFIX "haproxy_mailers_"

typedef void metrics_rows(const struct engine *e, struct buffer *out, const char *name, uint64_t now_ms);

/* --- one line --- */

static void metrics_label(struct buffer *out, const char *key, const char *value)
{
	buffer_puts(out, out->data && out->len && out->data[out->len - 1] == '{' ? "" : ",");
	buffer_puts(out, key);
	buffer_puts(out, "=\"");
	escape_label(out, value);
	buffer_puts(out, "\"");
}

static void metrics_number(struct buffer *out, uint64_t value)
{
	buffer_printf(out, "%llu", (unsigned long long)value);
}

static void metrics_seconds(struct buffer *out, uint64_t ms)
{
	buffer_printf(out, "%llu.%03u", (unsigned long long)(ms / 1000), (unsigned)(ms % 1000));
}

/* The beginning of a line, up to the labels. */
static void metrics_begin(struct buffer *out, const char *name, const char *suffix)
{
	buffer_puts(out, METRICS_PREFIX);
	buffer_puts(out, name);
	buffer_puts(out, suffix);
	buffer_puts(out, "{");
}

static void metrics_proxy_begin(struct buffer *out, const char *name, const struct engine_proxy *p)
{
	metrics_begin(out, name, "");
	metrics_label(out, "proxy", p->name);
}

static void metrics_mailer_begin(struct buffer *out, const char *name, const char *suffix,
                                 const struct mailer *m)
{
	char number[16];

	metrics_begin(out, name, suffix);
	metrics_label(out, "mailer", m->settings.name);
	metrics_label(out, "address", m->settings.address);
	if (m->number > 1) {
		snprintf(number, sizeof(number), "%u", m->number);
		metrics_label(out, "number", number);
	}
}

static void metrics_end(struct buffer *out, uint64_t value)
{
	buffer_puts(out, "} ");
	metrics_number(out, value);
	buffer_puts(out, "\n");
}

/* A line of <p> or of <m> whose last label is <key>, without it when that is NULL. */
static void metrics_proxy(struct buffer *out, const char *name, const struct engine_proxy *p, const char *key,
                          const char *label, uint64_t value)
{
	metrics_proxy_begin(out, name, p);
	if (key)
		metrics_label(out, key, label);
	metrics_end(out, value);
}

static void metrics_mailer(struct buffer *out, const char *name, const struct mailer *m, const char *key,
                           const char *label, uint64_t value)
{
	metrics_mailer_begin(out, name, "", m);
	if (key)
		metrics_label(out, key, label);
	metrics_end(out, value);
}

/* --- of the engine --- */

static void metrics_info(const struct engine *e, struct buffer *out, const char *name, uint64_t now_ms)
{
	(void)e, (void)now_ms;
	metrics_begin(out, name, "");
	metrics_label(out, "version", MAILERS_VERSION);
	metrics_end(out, 1);
}

static void metrics_folded(const struct engine *e, struct buffer *out, const char *name, uint64_t now_ms)
{
	(void)now_ms;
	buffer_printf(out, METRICS_PREFIX "%s %llu\n", name, (unsigned long long)e->stats.folded);
}

/* --- of proxies --- */

static void metrics_alerts(const struct engine *e, struct buffer *out, const char *name, uint64_t now_ms)
{
	/* Those that the legacy texts have. */
	static const enum alert_level usual[] = { ALERT_LEVEL_ALERT, ALERT_LEVEL_NOTICE, ALERT_LEVEL_INFO };
	const struct engine_proxy *p;
	enum alert_level level;
	size_t i;

	(void)now_ms;
	for (p = e->proxies; p; p = p->next) {
		for (level = ALERT_LEVEL_EMERG, i = 0; level <= ALERT_LEVEL_DEBUG; level++) {
			bool expected = i < sizeof(usual) / sizeof(*usual) && usual[i] == level;

			i += expected;
			if (p->alerts[level] || (expected && engine_proxy_wants(p, level)))
				metrics_proxy(out, name, p, "level", alert_level_name(level), p->alerts[level]);
		}
	}
}

/* The queues of a proxy, taken together. */
struct metrics_queue {
	size_t alerts, bytes;
	uint64_t oldest_ms, full_check, full_state, dropped;
};

static struct metrics_queue metrics_queue_of(const struct engine_proxy *p)
{
	struct metrics_queue sum = { .oldest_ms = UINT64_MAX, .dropped = p->unready };
	struct queue_route_stats stats;
	const struct engine_route *r;

	for (r = p->routes; r; r = r->next) {
		queue_route_stats(r->queue, &stats);
		sum.alerts += stats.alerts;
		sum.bytes += stats.bytes;
		sum.oldest_ms = engine_earlier(sum.oldest_ms, stats.oldest_ms);
		sum.full_check += stats.dropped_check;
		sum.full_state += stats.dropped_state;
		sum.dropped += r->dropped;
	}
	return sum;
}

static void metrics_dropped(const struct engine *e, struct buffer *out, const char *name, uint64_t now_ms)
{
	const struct engine_proxy *p;

	(void)now_ms;
	for (p = e->proxies; p; p = p->next) {
		struct metrics_queue q = metrics_queue_of(p);

		metrics_proxy(out, name, p, "reason", "rule", p->ruled_out);
		metrics_proxy(out, name, p, "reason", "route", p->asks.dropped);
		metrics_proxy(out, name, p, "reason", "full_check", q.full_check);
		metrics_proxy(out, name, p, "reason", "full_state", q.full_state);
		metrics_proxy(out, name, p, "reason", "memory", q.dropped - q.full_check - q.full_state);
	}
}

static void metrics_routed(const struct engine *e, struct buffer *out, const char *name, uint64_t now_ms)
{
	const struct engine_proxy *p;

	(void)now_ms;
	for (p = e->proxies; p; p = p->next) {
		if (!p->ask_ms)
			continue;
		metrics_proxy(out, name, p, "outcome", "answered", p->asks.answered);
		metrics_proxy(out, name, p, "outcome", "dropped", p->asks.dropped);
		metrics_proxy(out, name, p, "outcome", "failed", p->asks.failed);
		metrics_proxy(out, name, p, "outcome", "unasked", p->asks.unasked);
	}
}

static void metrics_routing(const struct engine *e, struct buffer *out, const char *name, uint64_t now_ms)
{
	const struct engine_proxy *p;

	(void)now_ms;
	for (p = e->proxies; p; p = p->next) {
		if (p->ask_ms)
			metrics_proxy(out, name, p, NULL, NULL, p->asks.waiting);
	}
}

static void metrics_queued(const struct engine *e, struct buffer *out, const char *name, uint64_t now_ms)
{
	const struct engine_proxy *p;

	(void)now_ms;
	for (p = e->proxies; p; p = p->next)
		metrics_proxy(out, name, p, NULL, NULL, metrics_queue_of(p).alerts);
}

static void metrics_queued_bytes(const struct engine *e, struct buffer *out, const char *name, uint64_t now_ms)
{
	const struct engine_proxy *p;

	(void)now_ms;
	for (p = e->proxies; p; p = p->next)
		metrics_proxy(out, name, p, NULL, NULL, metrics_queue_of(p).bytes);
}

static void metrics_queued_age(const struct engine *e, struct buffer *out, const char *name, uint64_t now_ms)
{
	const struct engine_proxy *p;

	for (p = e->proxies; p; p = p->next) {
		uint64_t oldest_ms = metrics_queue_of(p).oldest_ms;

		metrics_proxy_begin(out, name, p);
		buffer_puts(out, "} ");
		metrics_seconds(out, oldest_ms < now_ms ? now_ms - oldest_ms : 0);
		buffer_puts(out, "\n");
	}
}

static void metrics_down(const struct engine *e, struct buffer *out, const char *name, uint64_t now_ms)
{
	const struct engine_proxy *p;

	(void)now_ms;
	for (p = e->proxies; p; p = p->next)
		metrics_proxy(out, name, p, NULL, NULL, p->down);
}

/* --- of mailers --- */

static void metrics_state(const struct engine *e, struct buffer *out, const char *name, uint64_t now_ms)
{
	static const struct {
		const char *name, *shown;
	} states[] = { { "up", "UP" }, { "failing", "FAILING" }, { "down", "DOWN" }, { "paused", "PAUSED" } };
	const struct mailer *m;
	size_t i;

	(void)now_ms;
	for (m = e->mailers; m; m = m->next) {
		for (i = 0; i < sizeof(states) / sizeof(*states); i++)
			metrics_mailer(out, name, m, "state", states[i].name,
			               !strcmp(states[i].shown, engine_show_state(m)));
	}
}

static void metrics_mailer_queue(const struct engine *e, struct buffer *out, const char *name, uint64_t now_ms)
{
	const struct mailer *m;

	(void)now_ms;
	for (m = e->mailers; m; m = m->next)
		metrics_mailer(out, name, m, NULL, NULL, engine_show_queued(e, m).queued);
}

static void metrics_in_flight(const struct engine *e, struct buffer *out, const char *name, uint64_t now_ms)
{
	const struct mailer *m;

	(void)now_ms;
	for (m = e->mailers; m; m = m->next)
		metrics_mailer(out, name, m, NULL, NULL, m->in_flight);
}

static void metrics_connections(const struct engine *e, struct buffer *out, const char *name, uint64_t now_ms)
{
	const struct mailer *m;

	(void)now_ms;
	for (m = e->mailers; m; m = m->next)
		metrics_mailer(out, name, m, NULL, NULL, m->active + m->lingering);
}

static void metrics_opened(const struct engine *e, struct buffer *out, const char *name, uint64_t now_ms)
{
	const struct mailer *m;

	(void)now_ms;
	for (m = e->mailers; m; m = m->next)
		metrics_mailer(out, name, m, NULL, NULL, m->counts.connections);
}

static void metrics_troubles(const struct engine *e, struct buffer *out, const char *name, uint64_t now_ms)
{
	static const char *const reasons[MAILER_TROUBLES] = {
		[MAILER_TROUBLE_CONNECT] = "connect", [MAILER_TROUBLE_TLS] = "tls", [MAILER_TROUBLE_AUTH] = "auth",
		[MAILER_TROUBLE_SMTP] = "smtp",       [MAILER_TROUBLE_LOCAL] = "local",
	};
	const struct mailer *m;
	size_t i;

	(void)now_ms;
	for (m = e->mailers; m; m = m->next) {
		for (i = 0; i < MAILER_TROUBLES; i++)
			metrics_mailer(out, name, m, "reason", reasons[i], m->counts.troubles[i]);
	}
}

static void metrics_mails(const struct engine *e, struct buffer *out, const char *name, uint64_t now_ms)
{
	static const char *const outcomes[MAILER_OUTCOMES] = {
		[SMTP_OUTCOME_ACCEPTED] = "accepted", [SMTP_OUTCOME_DEFERRED] = "deferred",
		[SMTP_OUTCOME_REFUSED] = "refused",   [SMTP_OUTCOME_RETURNED] = "returned",
		[SMTP_OUTCOME_UNKNOWN] = "unknown",
	};
	const struct mailer *m;
	size_t i;

	(void)now_ms;
	for (m = e->mailers; m; m = m->next) {
		for (i = 0; i < MAILER_OUTCOMES; i++)
			metrics_mailer(out, name, m, "outcome", outcomes[i], m->counts.mails[i]);
	}
}

static void metrics_recipients(const struct engine *e, struct buffer *out, const char *name, uint64_t now_ms)
{
	static const char *const outcomes[MAILER_FATES] = {
		[ENGINE_FATE_ACCEPTED] = "accepted", [ENGINE_FATE_REFUSED] = "refused",
		[ENGINE_FATE_GIVEN_UP] = "given_up", [ENGINE_FATE_ABANDONED] = "abandoned",
		[ENGINE_FATE_DEFERRED] = "deferred",
	};
	const struct mailer *m;
	size_t i;

	(void)now_ms;
	for (m = e->mailers; m; m = m->next) {
		for (i = 0; i < MAILER_FATES; i++)
			metrics_mailer(out, name, m, "outcome", outcomes[i], m->counts.recipients[i]);
	}
}

/* The end of step <i> of the delivery times, in seconds: "0.25", "10", "+Inf". */
static const char *metrics_bound(char *out, size_t size, size_t i)
{
	uint32_t ms = i < MAILER_LATENCIES - 1 ? engine_count_latency(i) : 0;
	size_t n;

	if (!ms)
		return "+Inf";
	snprintf(out, size, "%u.%03u", ms / 1000, ms % 1000);
	for (n = strlen(out); out[n - 1] == '0'; n--)
		;
	out[out[n - 1] == '.' ? n - 1 : n] = '\0';
	return out;
}

static void metrics_latency(const struct engine *e, struct buffer *out, const char *name, uint64_t now_ms)
{
	const struct mailer *m;
	char bound[32];
	size_t i;

	(void)now_ms;
	for (m = e->mailers; m; m = m->next) {
		uint64_t sum = 0;

		for (i = 0; i < MAILER_LATENCIES; i++) {
			sum += m->counts.latencies[i];
			metrics_mailer_begin(out, name, "_bucket", m);
			metrics_label(out, "le", metrics_bound(bound, sizeof(bound), i));
			metrics_end(out, sum);
		}
		metrics_mailer_begin(out, name, "_sum", m);
		buffer_puts(out, "} ");
		metrics_seconds(out, m->counts.latency_ms);
		buffer_puts(out, "\n");
		metrics_mailer_begin(out, name, "_count", m);
		metrics_end(out, sum);
	}
}

/* --- all --- */

static const struct metrics_family {
	const char *name, *type, *help;
	metrics_rows *rows;
} metrics_families[] = {
	{ "build_info", "gauge", "Always 1; the version is a label.", metrics_info },
	{ "alerts_total", "counter", "Alerts raised, by proxy and level.", metrics_alerts },
	{ "alerts_dropped_total", "counter", "Alerts dropped before they were sent: rule and route by a rule or the route "
	  "function of the settings; "
	  "once for each mailer (or ordered list) full_check and full_state (check reports, state changes) at a "
	  "bound of the queue, memory for want of it.", metrics_dropped },
	{ "alerts_folded_total", "counter", "Alerts accepted in a mail that names several (a limit's or a "
	  "summary), one a recipient.",
	  metrics_folded },
	{ "alerts_routed_total", "counter", "Alerts for which the settings have a route function, by what it did; failed "
	  "and unasked (too many, or it hangs) went as without it.", metrics_routed },
	{ "alerts_routing", "gauge", "Alerts that wait for the route function, or for its answer.", metrics_routing },
	{ "queue_alerts", "gauge", "Alerts queued or in flight, once for each mailer (or ordered list).",
	  metrics_queued },
	{ "queue_bytes", "gauge", "Memory of what is queued.", metrics_queued_bytes },
	{ "queue_age_seconds", "gauge", "Age of the oldest alert queued; 0 without one.", metrics_queued_age },
	{ "servers_down", "gauge", "Servers that are down now, maintenance apart.", metrics_down },
	{ "mailer_state", "gauge", "1 for the state that the mailer is in, 0 for the others.", metrics_state },
	{ "mailer_queue_alerts", "gauge", "Alerts queued or in flight that this mailer is to send at present.",
	  metrics_mailer_queue },
	{ "mailer_recipients_in_flight", "gauge", "Recipients of mails on connections.", metrics_in_flight },
	{ "mailer_connections", "gauge", "Connections open.", metrics_connections },
	{ "mailer_connections_opened_total", "counter", "Connections opened, or tried to.", metrics_opened },
	{ "mailer_failures_total", "counter", "Sessions that failed: no connection, at TLS, at AUTH, in SMTP, for "
	  "want of memory here (local).", metrics_troubles },
	{ "mails_total", "counter", "Mails by the best that one of their recipients met; returned: surely not "
	  "accepted, and tried again; unknown: tried again, and may come twice.", metrics_mails },
	{ "recipients_total", "counter", "Recipients, one for each alert of a mail; deferred: tries that are "
	  "repeated, the others are final.", metrics_recipients },
	{ "delivery_seconds", "histogram", "From the alert to the acceptance of its mail, for each recipient.",
	  metrics_latency },
};

void engine_metrics(const struct engine *e, struct buffer *out, uint64_t now_ms)
{
	size_t i;

	for (i = 0; i < sizeof(metrics_families) / sizeof(*metrics_families); i++) {
		const struct metrics_family *f = &metrics_families[i];

		buffer_printf(out, "# HELP " METRICS_PREFIX "%s %s\n# TYPE " METRICS_PREFIX "%s %s\n", f->name,
		              f->help, f->name, f->type);
		f->rows(e, out, f->name, now_ms);
	}
}
