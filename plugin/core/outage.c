/*
 * outage - see outage.h. An alert's number is enough to tell the outages of one server apart; with the server's key
 * and the process's token it is unique, which engine_outage.c makes of it.
 *
 * Called by the host, from the same events that the alerts come from; outage_text() also by the engine.
 */
#include <stdio.h>

#include <mailers/outage.h>

void outage_begin(struct outage *o, uint64_t since_ms)
{
	if (o->down)
		return;
	o->number++;
	o->since_ms = since_ms;
	o->down = true;
	o->known = o->ramp = false;
}

void outage_until(struct outage *o, uint64_t until_ms)
{
	if (!o->down || o->known)
		return;
	o->until_ms = until_ms;
	o->known = true;
}

void outage_end(struct outage *o, bool ramp)
{
	o->ramp = ramp && (o->down || o->ramp);
	o->down = o->known = false;
}

struct outage_mark outage_mark(const struct outage *o, enum alert_change change)
{
	bool up = change == ALERT_CHANGE_UP;
	struct outage_mark mark = { .number = o->down || (up && o->ramp) ? o->number : 0 };

	mark.over = up && o->down && o->known;
	if (mark.over && o->until_ms > o->since_ms)
		mark.lasted_ms = o->until_ms - o->since_ms;
	return mark;
}

const char *outage_text(char *out, uint64_t ms)
{
	static const struct {
		uint64_t ms;
		const char *name;
	} units[] = { { 86400000, "day" }, { 3600000, "hour" }, { 60000, "minute" }, { 1000, "second" } };
	size_t i, len = 0;

	for (i = 0; i < sizeof(units) / sizeof(*units); i++) {
		uint64_t n = ms / units[i].ms;

		ms %= units[i].ms;
		if (n)
			len += (size_t)snprintf(out + len, OUTAGE_TEXT_SIZE - len, "%s%llu %s%s", len ? " " : "",
			                        (unsigned long long)n, units[i].name, n == 1 ? "" : "s");
	}
	if (!len)
		snprintf(out, OUTAGE_TEXT_SIZE, "less than a second");
	return out;
}
