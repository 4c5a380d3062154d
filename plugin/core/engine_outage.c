/*
 * engine_outage - which servers are down now, and since when, for the metrics and the status page. The host
 * tells it whether or not the level of the alert is mailed. Those beyond ENGINE_OUTAGES, and those for which
 * there was no memory, are counted and not listed.
 *
 * And what the mails of an outage have in common, made from what each alert carries (outage.h), and not from that list:
 * the id of their thread, and how long it was. No mail has that id: whoever gets some of them only, after others were
 * folded, lost or sent elsewhere, has those in one thread.
 *
 * Called by the host; read by engine_metrics.c and engine_status.c; the mails' part by flight_build.c,
 * flight_summary.c and engine_explain.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_internal.h"

struct engine_outage *engine_outage_begin(struct engine *e, struct engine_proxy *proxy, const char *name,
                                          const char *why, uint64_t since_ms)
{
	size_t name_size = strlen(name) + 1, why_size = strlen(why) + 1;
	struct engine_outage *o = NULL;

	proxy->down++;
	e->outages.count++;
	if (e->outages.listed < ENGINE_OUTAGES)
		o = malloc(sizeof(*o) + name_size + why_size);
	if (!o)
		return NULL;
	o->since_ms = since_ms;
	o->name = memcpy(o->bytes, name, name_size);
	o->why = memcpy(o->bytes + name_size, why, why_size);
	list_append(&e->outages.list, &o->link);
	e->outages.listed++;
	return o;
}

void engine_outage_end(struct engine *e, struct engine_proxy *proxy, struct engine_outage *outage)
{
	proxy->down--;
	e->outages.count--;
	if (!outage)
		return;
	list_remove(&outage->link);
	e->outages.listed--;
	free(outage);
}

void engine_outage_thread(const struct engine *e, const struct queue_envelope *mail, struct buffer *id)
{
	const struct queue_alert *a = mail->alert;
	const struct engine_proxy *p = a->owner;
	size_t i;

	if (!p->threads || !a->outage.number)
		return;
	for (i = 0; i < mail->nalerts; i++) {
		if (mail->alerts[i]->server != a->server || mail->alerts[i]->outage.number != a->outage.number)
			return;
	}
	/* The proxy's first mailer, whichever one it goes over. Nothing of it is HAProxy's text but the host name, which
	 * engine_proxy_mailer() has checked. */
	buffer_printf(id, "outage.%llu.%llu.%s@%s", (unsigned long long)a->server, (unsigned long long)a->outage.number,
	              e->token, p->members[0].mailer->settings.helo);
	buffer_add(id, "", 1);
}

const char *engine_outage_note(const struct engine_proxy *p, const struct outage_mark *outage, char *out)
{
	char text[OUTAGE_TEXT_SIZE];

	if (!p->durations || !outage->over)
		return NULL;
	snprintf(out, ENGINE_NOTE_SIZE, "The server was down for %s.", outage_text(text, outage->lasted_ms));
	return out;
}

void engine_outage_free(struct engine *e)
{
	while (!list_empty(&e->outages.list)) {
		struct engine_outage *o = LIST_ENTRY(e->outages.list.next, struct engine_outage, link);

		list_remove(&o->link);
		free(o);
	}
}
