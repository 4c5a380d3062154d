/*
 * engine_record - the last alerts, and what became of each, for `show mailers alerts` and the
 * status page.
 *
 * A ring of ENGINE_SHOW_ALERTS records, one for each way of an alert, in the order of raising. A record
 * keeps a reference to its alert: so nothing is copied when an alert is raised, and one that nobody else
 * holds while recipients still wait for it was dropped.
 *
 * Called by engine.c when an alert is raised, by flight_fate.c with fates, and by engine_show.c
 * and engine_status.c.
 */
#include <stdio.h>
#include <string.h>

#include "engine_internal.h"

static struct engine_record *engine_record_at(struct engine *e, size_t i)
{
	return &e->records.ring[(e->records.first + i) % ENGINE_SHOW_ALERTS];
}

void engine_record_add(struct engine *e, struct engine_route *r, struct queue_alert *alert)
{
	struct engine_record *record = engine_record_at(e, e->records.count);

	if (e->records.count == ENGINE_SHOW_ALERTS) {
		queue_alert_release(record->alert);
		e->records.first = (e->records.first + 1) % ENGINE_SHOW_ALERTS;
	} else {
		e->records.count++;
	}
	alert->refs++;
	*record = (struct engine_record){ .alert = alert, .route = r };
}

/* The record of <alert> on <r>; NULL when newer ones have taken its place. */
static struct engine_record *engine_record_find(struct engine *e, const struct engine_route *r,
                                                const struct queue_alert *alert)
{
	size_t i = e->records.count;

	if (!i || alert->id < engine_record_at(e, 0)->alert->id)
		return NULL;
	while (i--) {
		struct engine_record *record = engine_record_at(e, i);

		if (record->alert == alert && record->route == r)
			return record;
	}
	return NULL;
}

void engine_record_fate(struct engine *e, const struct queue_envelope *env, const struct engine_member *m,
                        enum engine_fate fate, const char *answer)
{
	size_t i;

	for (i = env->nalerts; i--; ) {
		const struct engine_route *r = queue_route_owner(queue_envelope_route(env, i));
		struct engine_record *record = engine_record_find(e, r, env->alerts[i]);

		if (!record)
			return; /* those before it are older */
		record->fates[fate]++;
		record->member = m;
		snprintf(record->answer, sizeof(record->answer), "%.*s", (int)sizeof(record->answer) - 1, answer);
	}
}

/* Recipients for which it waited when it was dropped. */
static size_t engine_record_lost(const struct engine *e, const struct engine_record *record)
{
	size_t i, holders = 0, settled = 0;

	for (i = 0; i < e->records.count; i++)
		holders += engine_record_at((struct engine *)e, i)->alert == record->alert;
	for (i = 0; i < ENGINE_FATES; i++)
		settled += i == ENGINE_FATE_DEFERRED ? 0 : record->fates[i];
	return record->alert->refs == holders ? record->alert->nrcpt - settled : 0;
}

const char *engine_record_word(size_t i)
{
	static const char *const words[ENGINE_RECORD_WORDS] = {
		"accepted", "refused", "given-up", "abandoned", "dropped", "deferred", "queued",
	};

	return words[i];
}

void engine_record_count(const struct engine *e, const struct engine_record *record, unsigned *counts)
{
	unsigned left = record->alert->nrcpt;
	size_t i;

	memset(counts, 0, ENGINE_RECORD_WORDS * sizeof(*counts));
	for (i = 0; i < ENGINE_FATE_DEFERRED; i++)
		counts[i] = record->fates[i];
	counts[ENGINE_FATE_DEFERRED] = (unsigned)engine_record_lost(e, record);
	for (i = 0; i <= ENGINE_FATE_DEFERRED; i++)
		left -= counts[i] < left ? counts[i] : left;
	counts[record->fates[ENGINE_FATE_DEFERRED] ? 5 : 6] = left;
}

void engine_record_free(struct engine *e)
{
	while (e->records.count)
		queue_alert_release(engine_record_at(e, --e->records.count)->alert);
}
