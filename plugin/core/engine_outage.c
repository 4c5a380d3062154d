/*
 * engine_outage - which servers are down now, and since when, for the metrics and the status page. The host
 * tells it whether or not the level of the alert is mailed. Those beyond ENGINE_OUTAGES, and those for which
 * there was no memory, are counted and not listed.
 *
 * Called by the host; read by engine_metrics.c and engine_status.c.
 */
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

void engine_outage_free(struct engine *e)
{
	while (!list_empty(&e->outages.list)) {
		struct engine_outage *o = LIST_ENTRY(e->outages.list.next, struct engine_outage, link);

		list_remove(&o->link);
		free(o);
	}
}
