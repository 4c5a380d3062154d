/*
 * outage - when a server is down, and which of its alerts belong together for that: DOWN, what comes while it is
 * down, UP.
 *
 * One struct for each server, its host's. An outage begins before the alert that tells so is raised, and ends after the
 * alert that tells its end, so that each of its alerts finds it:
 *
 *   outage_begin(), the alerts of the change to DOWN, ..., outage_until(), the alerts of the change to UP, outage_end()
 *
 * An outage that ends without an alert (in maintenance, deleted) just ends. Times are milliseconds of the host's
 * monotonic clock. Nothing fails.
 */
#ifndef MAILERS_OUTAGE_H
#define MAILERS_OUTAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mailers/alert.h>

/* All 0 at first: not down. */
struct outage {
	uint64_t number;    /* of the one that is, or was last; 1 and up, never the same again for this server */
	uint64_t since_ms, until_ms;
	bool down;          /* it is not over */
	bool known;         /* <until_ms> is when it ended; its last alert is still to come */
	bool ramp;          /* it is over, and the slowstart after it is not */
};

/* What an alert carries of its server's outage. */
struct outage_mark {
	uint64_t number;    /* 0: it belongs to none */
	bool over;          /* it tells the end of an outage ... */
	uint64_t lasted_ms; /* ... of so long */
};

/* The server is down since <since_ms>; no effect when it is known to be down. */
void outage_begin(struct outage *o, uint64_t since_ms);
/* It is no longer, since <until_ms>; no effect when it was not down, or that is known. */
void outage_until(struct outage *o, uint64_t until_ms);
/* All alerts about the end were raised. <ramp>: the server is in slowstart, at the end of which a second UP is raised;
 * to be called again, without, when that is over. No effect when nothing is to end.
 */
void outage_end(struct outage *o, bool ramp);

/* What an alert of the server that tells <change> carries now. The UP at the end of slowstart belongs to the outage,
 * and does not tell its end: the first one did.
 */
struct outage_mark outage_mark(const struct outage *o, enum alert_change change);

/* Writes <ms> in words, whole seconds, to <out>, and returns it: "2 minutes 5 seconds", "1 day", "less than a second".
 */
#define OUTAGE_TEXT_SIZE 80
const char *outage_text(char *out, uint64_t ms);

#endif
