/*
 * engine_ask - alerts that wait for the host's word on what becomes of them (see engine.h), before they are queued.
 *
 *   waiting: not the first of its server, or the first -> ready -> asked -> gone
 *
 * An alert is here as a copy, as it was raised. All of them stand in <all>, in the order of raising, and each in the bucket of
 * its server; the first of each server that nobody is asked about stands in <ready>. Whatever ends a wait, be it an answer,
 * a time that is over or a bound, ends it for those of its server that were raised before, too: so what is queued is
 * queued in each server's order.
 *
 * Called by the host through engine_answer.c too, by engine.c and engine_drain.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_internal.h"

static struct engine_ask *ask_of_all(const struct list *l)
{
	return LIST_ENTRY(l, struct engine_ask, in_all);
}

static struct list *ask_bucket(struct engine *e, uint64_t server)
{
	return &e->asks.buckets[(server * UINT64_C(0x9E3779B97F4A7C15)) >> 56 & (ENGINE_ASK_BUCKETS - 1)];
}

/* The first alert of <server>; NULL without one. */
static struct engine_ask *ask_first(struct engine *e, uint64_t server)
{
	struct list *head = ask_bucket(e, server), *l;

	for (l = head->next; l != head; l = l->next) {
		struct engine_ask *ask = LIST_ENTRY(l, struct engine_ask, in_bucket);

		if (ask->alert.server == server)
			return ask;
	}
	return NULL;
}

/* --- waiting --- */

/* Copies <text> to *<bytes>, and goes behind it. */
static const char *ask_put(char **bytes, const char *text, size_t len)
{
	char *copy = memcpy(*bytes, text, len);

	copy[len] = '\0';
	*bytes += len + 1;
	return copy;
}

static struct engine_ask *ask_new(const struct engine_alert *a)
{
	size_t size = sizeof(struct engine_ask) + strlen(a->name) + 1 + a->text_len + 1 + strlen(a->date) + 1;
	struct engine_ask *ask;
	char *bytes;
	size_t i;

	for (i = 0; a->values && i < TEMPLATE_FIELDS; i++)
		size += a->values->value[i] ? strlen(a->values->value[i]) + 1 : 0;
	ask = calloc(1, size);
	if (!ask)
		return NULL;
	bytes = ask->bytes;
	ask->size = size;
	ask->what = *a->what;
	ask->alert = *a;
	ask->alert.what = &ask->what;
	ask->alert.name = ask_put(&bytes, a->name, strlen(a->name));
	ask->alert.text = ask_put(&bytes, a->text, a->text_len);
	ask->alert.date = ask_put(&bytes, a->date, strlen(a->date));
	for (i = 0; a->values && i < TEMPLATE_FIELDS; i++) {
		const char *value = a->values->value[i];

		if (value)
			ask->values.value[i] = ask_put(&bytes, value, strlen(value));
	}
	if (a->values)
		ask->alert.values = &ask->values;
	list_init(&ask->in_ready);
	return ask;
}

/* The alert goes where its rules send it. */
static void ask_raise(struct engine *e, struct engine_ask *ask, uint64_t now_ms)
{
	engine_raise_ruled(e, ask->proxy, &ask->alert, now_ms);
	engine_ask_end(e, ask);
}

/* An alert of <p> goes without the host, and no other line says so: the burst is told by engine_ask_tick(). */
static void ask_overflow(struct engine *e, struct engine_proxy *p, uint64_t now_ms)
{
	p->asks.unasked++;
	if (!e->asks.burst++)
		e->asks.burst_first_ms = now_ms;
}

static void ask_tell(struct engine *e)
{
	if (!e->asks.burst)
		return;
	engine_log(e, ALERT_LEVEL_ERR, "mailers: route: %zu alert%s went as without it: too many wait for it, or for too "
	           "long, or memory is short", e->asks.burst, e->asks.burst == 1 ? "" : "s");
	e->asks.burst = 0;
}

/* ask_raise() for <ask> and those of its server before it. <tell>: as above. */
static void ask_raise_through(struct engine *e, struct engine_ask *ask, bool tell, uint64_t now_ms)
{
	struct engine_ask *first;
	bool last;

	do {
		first = ask_first(e, ask->alert.server);
		last = first == ask;
		if (tell)
			ask_overflow(e, first->proxy, now_ms);
		else
			first->proxy->asks.unasked++;
		ask_raise(e, first, now_ms);
	} while (!last);
}

bool engine_ask_add(struct engine *e, struct engine_proxy *p, const struct engine_alert *a, uint64_t now_ms)
{
	struct engine_ask *first, *ask;

	if (e->asks.unable) {
		p->asks.unasked++;
		return false;
	}
	ask = now_ms < e->asks.until_ms ? ask_new(a) : NULL;
	if (!ask) {
		while ((first = ask_first(e, a->server)))
			ask_raise_through(e, first, true, now_ms);
		ask_overflow(e, p, now_ms);
		if (engine_draining(e))
			ask_tell(e); /* there may be no tick any more */
		return false;
	}
	first = ask_first(e, a->server);
	ask->proxy = p;
	ask->raised_ms = now_ms;
	list_append(&e->asks.all, &ask->in_all);
	list_append(ask_bucket(e, a->server), &ask->in_bucket);
	if (!first)
		list_append(&e->asks.ready, &ask->in_ready);
	e->asks.count++;
	p->asks.waiting++;
	e->asks.bytes += ask->size;
	while (e->asks.count > e->limits.alerts || (e->asks.bytes > e->limits.bytes && e->asks.count > 1))
		ask_raise_through(e, ask_of_all(e->asks.all.next), true, now_ms);
	return true;
}

void engine_ask_end(struct engine *e, struct engine_ask *ask)
{
	uint64_t server = ask->alert.server;
	bool was_first = ask->asked || !list_empty(&ask->in_ready);
	struct engine_ask *next;

	if (ask->asked)
		e->asks.asked[ask->place] = NULL;
	list_remove(&ask->in_ready);
	list_remove(&ask->in_bucket);
	list_remove(&ask->in_all);
	e->asks.count--;
	ask->proxy->asks.waiting--;
	e->asks.bytes -= ask->size;
	free(ask);
	next = was_first ? ask_first(e, server) : NULL;
	if (next)
		list_append(&e->asks.ready, &next->in_ready);
}

/* --- asking --- */

static void ask_field(struct buffer *out, const char *name, const char *value)
{
	if (!value || !*value)
		return;
	buffer_add(out, name, strlen(name) + 1);
	buffer_add(out, value, strlen(value) + 1);
}

void engine_ask_subject(const struct engine_alert *a, const struct engine_decision *d, struct buffer *out)
{
	if (d->mail.subject) {
		buffer_puts(out, d->mail.subject);
	} else {
		buffer_puts(out, "[HAProxy Alert] ");
		buffer_add(out, a->text, a->text_len);
	}
	buffer_add(out, "", 1);
}

/* Appends the question about <ask>. */
static void ask_write(const struct engine_ask *ask, const struct engine_decision *d, struct buffer *out)
{
	const struct engine_proxy *p = ask->proxy;
	struct template_values values = ask->values;
	char downtime[OUTAGE_TEXT_SIZE];
	struct buffer subject = { 0 };
	size_t i;

	if (!ask->alert.values)
		engine_rule_values(p, &ask->alert, ask->alert.text, downtime, &values);
	for (i = 0; i < TEMPLATE_FIELDS; i++)
		ask_field(out, template_field_name((unsigned)i), values.value[i]);
	engine_ask_subject(&ask->alert, d, &subject);
	if (buffer_error(&subject))
		out->error = buffer_error(&subject);
	else
		ask_field(out, "subject", subject.data);
	buffer_free(&subject);
	ask_field(out, "body", d->mail.body ? d->mail.body : ask->alert.text);
	ask_field(out, "to", d->mail.to ? d->mail.to : p->to);
	ask_field(out, "cc", d->mail.cc);
	for (i = 0; i < p->nmembers; i++) {
		if (d->members >> i & 1)
			ask_field(out, "mailer", p->members[i].name);
	}
}

/* Asks about <ask> in <place>. False: it is gone, by a rule or for want of memory. */
static bool ask_put_question(struct engine *e, struct engine_ask *ask, unsigned place, struct buffer *out, uint64_t now_ms)
{
	struct engine_decision d;
	enum mailers_error error = engine_rule_decide(ask->proxy, &ask->alert, &d);
	bool dropped = d.drop;

	if (!error && !dropped) {
		ask_write(ask, &d, out);
		error = buffer_error(out);
	}
	engine_rule_end(&d);
	if (dropped) {
		ask->proxy->ruled_out++;
		engine_ask_end(e, ask);
		return false;
	}
	if (error) {
		buffer_clear(out);
		engine_ask_fail(e, ask, mailers_error_text(error), now_ms);
		return false;
	}
	list_remove(&ask->in_ready);
	ask->asked = ++e->asks.last_id;
	ask->place = place;
	ask->deadline_ms = now_ms + ask->proxy->ask_ms;
	e->asks.asked[place] = ask;
	return true;
}

static unsigned ask_place(const struct engine *e)
{
	unsigned place = 0;

	while (place < ENGINE_ASKED && e->asks.asked[place])
		place++;
	return place;
}

bool engine_askable(const struct engine *e)
{
	return !list_empty(&e->asks.ready) && ask_place(e) < ENGINE_ASKED;
}

uint64_t engine_ask(struct engine *e, struct buffer *out, uint64_t now_ms)
{
	unsigned place = ask_place(e);

	if (place == ENGINE_ASKED)
		return 0;
	while (!list_empty(&e->asks.ready)) {
		struct engine_ask *ask = LIST_ENTRY(e->asks.ready.next, struct engine_ask, in_ready);

		if (ask_put_question(e, ask, place, out, now_ms))
			return ask->asked;
	}
	return 0;
}

struct engine_ask *engine_ask_find(const struct engine *e, uint64_t id)
{
	unsigned i;

	for (i = 0; id && i < ENGINE_ASKED; i++) {
		if (e->asks.asked[i] && e->asks.asked[i]->asked == id)
			return e->asks.asked[i];
	}
	return NULL;
}

bool engine_asked(const struct engine *e, uint64_t id)
{
	return engine_ask_find(e, id) != NULL;
}

void engine_ask_fail(struct engine *e, struct engine_ask *ask, const char *why, uint64_t now_ms)
{
	engine_log(e, ALERT_LEVEL_ERR, "mailers: %s: route: %s; the alert goes as without it", ask->alert.name, why);
	ask->proxy->asks.failed++;
	ask_raise(e, ask, now_ms);
}

void engine_ask_able(struct engine *e, bool able, uint64_t now_ms)
{
	e->asks.unable = !able;
	if (!able)
		engine_ask_flush(e, now_ms);
}

/* --- time --- */

void engine_ask_flush(struct engine *e, uint64_t now_ms)
{
	while (!list_empty(&e->asks.all))
		ask_raise_through(e, ask_of_all(e->asks.all.next), false, now_ms);
}

void engine_ask_drain(struct engine *e, uint64_t until_ms, uint64_t now_ms)
{
	e->asks.until_ms = now_ms + (until_ms > now_ms ? (until_ms - now_ms) / 2 : 0);
}

static uint64_t ask_burst_end(const struct engine *e)
{
	return e->asks.burst ? e->asks.burst_first_ms + ENGINE_BURST_MS : UINT64_MAX;
}

/* The alert that was raised first of those that nobody is asked about; NULL without one. */
static struct engine_ask *ask_oldest(const struct engine *e)
{
	const struct list *l = e->asks.all.next;

	while (l != &e->asks.all && ask_of_all(l)->asked)
		l = l->next; /* past ENGINE_ASKED at the most */
	return l == &e->asks.all ? NULL : ask_of_all(l);
}

void engine_ask_tick(struct engine *e, uint64_t now_ms)
{
	struct engine_ask *ask;
	char why[80];
	unsigned i;

	for (i = 0; i < ENGINE_ASKED; i++) {
		ask = e->asks.asked[i];
		if (!ask || now_ms < ask->deadline_ms)
			continue;
		snprintf(why, sizeof(why), "no answer within %u.%03u s", ask->proxy->ask_ms / 1000,
		         ask->proxy->ask_ms % 1000);
		engine_ask_fail(e, ask, why, now_ms);
	}
	while ((ask = ask_oldest(e)) && now_ms >= ask->raised_ms + ENGINE_ASK_WAIT_MS)
		ask_raise_through(e, ask, true, now_ms);
	while (now_ms >= e->asks.until_ms && !list_empty(&e->asks.all))
		ask_raise_through(e, ask_of_all(e->asks.all.next), true, now_ms);
	if (now_ms >= ask_burst_end(e) || engine_draining(e))
		ask_tell(e);
}

uint64_t engine_ask_deadline(const struct engine *e)
{
	const struct engine_ask *ask = ask_oldest(e);
	uint64_t deadline = engine_earlier(ask_burst_end(e), ask ? ask->raised_ms + ENGINE_ASK_WAIT_MS : UINT64_MAX);
	unsigned i;

	if (e->asks.count)
		deadline = engine_earlier(deadline, e->asks.until_ms);
	for (i = 0; i < ENGINE_ASKED; i++) {
		if (e->asks.asked[i])
			deadline = engine_earlier(deadline, e->asks.asked[i]->deadline_ms);
	}
	return deadline;
}

void engine_ask_init(struct engine *e)
{
	size_t i;

	list_init(&e->asks.all);
	list_init(&e->asks.ready);
	e->asks.until_ms = UINT64_MAX;
	for (i = 0; i < ENGINE_ASK_BUCKETS; i++)
		list_init(&e->asks.buckets[i]);
}

void engine_ask_free(struct engine *e)
{
	while (!list_empty(&e->asks.all)) {
		struct engine_ask *ask = ask_of_all(e->asks.all.next);

		list_remove(&ask->in_all);
		free(ask);
	}
}
