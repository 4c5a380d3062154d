/*
 * engine_summary - which alerts wait for others, to go with them in one mail.
 *
 * An alert of a proxy with a `summary` is queued as any other, but held, and joins the batch of its key. When
 * that is due, its alerts are held no longer, and flight.c makes one mail of what is ready of a batch
 * (queue_fold()). So what waits keeps its place in its server's lane: the order, the bounds, the age and the end
 * of the process are the queue's, as ever, and alerts that are still there from before, deferred or over a limit, go
 * first.
 *
 * A batch may have alerts of several proxies, when its template does not name them: then their routes are joined
 * (queue_route_join()), as far as they lead over the same mailers. Its key has sender and recipients too, as one mail
 * has one From and To; all its mails have one clock. An alert for which there is no memory, or that is raised at the
 * end of the process, goes at once and alone. As a batch refers to its alerts, also to those that the queue has
 * dropped at a bound, no more are held than half of what a route may have: then all go.
 *
 * Called by engine.c, engine_drain.c and engine_command.c.
 */
#include <string.h>

#include <mailers/template.h>

#include "engine_internal.h"

/* The fields that an alert of the queue has. */
void engine_summary_render(const char *text, const struct engine_proxy *p, const struct queue_alert *alert,
                           struct buffer *out)
{
	static const char *const states[ALERT_CHANGES] = {
		[ALERT_CHANGE_DOWN] = "DOWN", [ALERT_CHANGE_UP] = "UP", [ALERT_CHANGE_DRAIN] = "DRAIN",
	};
	const char *slash = strchr(alert->name, '/');
	const struct template_values values = { .value = {
		[TEMPLATE_PROXY] = p->name, [TEMPLATE_SERVER] = slash ? slash + 1 : alert->name,
		[TEMPLATE_NAME] = alert->name, [TEMPLATE_STATE] = states[alert->what.change],
		[TEMPLATE_LEVEL] = alert_level_name(alert->what.level),
		[TEMPLATE_EVENT] = alert_change_name(alert->what.change),
	} };

	template_render(text, &values, ENGINE_SUMMARY_KEY_MAX, out);
}

/* "from\nto\nbatch", and what a rule has in place of the recipients */
static void engine_summary_key(const struct engine_proxy *p, const struct queue_alert *alert, const char *batch,
                               struct buffer *key)
{
	buffer_printf(key, "%s\n%s\n", p->from, p->to);
	if (batch)
		buffer_printf(key, "%.*s", ENGINE_SUMMARY_KEY_MAX, batch);
	else
		engine_summary_render(p->summary.batch_asked ? "%{proxy}" : p->summary.batch, p, alert, key);
	buffer_printf(key, "\n%s\n%s", alert->to ? alert->to : "", alert->cc ? alert->cc : "");
	buffer_add(key, "", 1);
}

/* Not 0. Two keys that had one would share mails over the same mailers to the same people, no more. */
static uint64_t engine_summary_number(const char *key)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *key; key++)
		h = (h ^ (unsigned char)*key) * UINT64_C(0x100000001b3);
	return h ? h : 1;
}

void engine_summary_add(struct engine *e, struct engine_proxy *p, struct queue_alert *alert, const char *batch,
                        uint64_t now_ms)
{
	const struct batch_settings settings = {
		.wait_ms = p->summary.wait_ms, .max_wait_ms = p->summary.max_wait_ms, .first_now = p->summary.first_now,
		.items = FLIGHT_FOLD_ALERTS, .bytes = FLIGHT_FOLD_BYTES,
	};
	struct buffer key = { 0 };

	if (!p->summary.wait_ms || engine_draining(e))
		return;
	if (batch_set_items(e->batches) >= e->limits.alerts / 2)
		engine_summary_flush(e);
	engine_summary_key(p, alert, batch, &key);
	if (!buffer_error(&key) &&
	    !batch_set_add(e->batches, &settings, key.data, "", alert, strlen(alert->text), now_ms)) {
		alert->refs++;
		alert->batch = engine_summary_number(key.data);
		alert->held = true;
	}
	buffer_free(&key);
}

static void engine_summary_release(struct engine *e, const struct batch *b)
{
	size_t i;

	for (i = 0; i < b->nitems; i++) {
		struct queue_alert *alert = b->items[i].data;
		const struct engine_proxy *p = alert->owner;
		const struct engine_route *r;

		if (b->nitems == 1)
			alert->batch = 0; /* one mail for all recipients, as ever */
		for (r = p->routes; r; r = r->next)
			queue_unhold(e->queue, r->queue, alert);
		queue_alert_release(alert);
	}
}

void engine_summary_tick(struct engine *e, uint64_t now_ms)
{
	struct batch *b;

	while ((b = batch_set_take(e->batches, now_ms))) {
		engine_summary_release(e, b);
		batch_free(b);
	}
}

uint64_t engine_summary_deadline(const struct engine *e)
{
	return batch_set_deadline(e->batches);
}

void engine_summary_flush(struct engine *e)
{
	batch_set_flush(e->batches);
	engine_summary_tick(e, UINT64_MAX);
}

void engine_summary_free(struct engine *e)
{
	if (e->batches)
		engine_summary_flush(e);
	batch_set_free(e->batches);
}

/* May a batch of <p> have alerts of others, as far as its template says? */
static bool engine_summary_shares(const struct engine_proxy *p)
{
	return p->summary.wait_ms && !strstr(p->summary.batch, "%{proxy}") && !strstr(p->summary.batch, "%{name}");
}

static bool engine_summary_same(const struct engine_proxy *p, const struct engine_proxy *other)
{
	return p != other && other->ready && other->summary.wait_ms && !strcmp(p->summary.batch, other->summary.batch) &&
	       !strcmp(p->from, other->from) && !strcmp(p->to, other->to);
}

/* The first route of <p> over the mailers of <way>. A second one has the same alerts once more. */
static struct engine_route *engine_summary_route(const struct engine_proxy *p, const struct engine_route *way)
{
	struct engine_route *r;

	for (r = p->routes; r; r = r->next) {
		if (r->group == way->group && (r->group || r->members->mailer == way->members->mailer))
			return r;
	}
	return NULL;
}

void engine_summary_join(struct engine *e, struct engine_proxy *p)
{
	struct engine_proxy *other;
	struct engine_route *r, *kin;

	if (!engine_summary_shares(p))
		return;
	for (r = p->routes; r; r = r->next) {
		kin = NULL;
		if (engine_summary_route(p, r) != r)
			continue;
		for (other = e->proxies; other && !kin; other = other->next)
			kin = engine_summary_same(p, other) ? engine_summary_route(other, r) : NULL;
		if (kin)
			queue_route_join(r->queue, kin->queue);
	}
}
