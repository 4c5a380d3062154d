/*
 * instance - the one engine of the process.
 *
 * `lua-load-per-thread` opens the module in the Lua state of every thread, but its statics are one: the first
 * state that claims the engine owns it, starts it and sends; the others may only look. Whoever touches the
 * engine does so between instance_lock() and instance_unlock(), and calls no Lua function in between: a Lua
 * error would leave the lock held for ever.
 */
#ifndef HAPROXY_INSTANCE_H
#define HAPROXY_INSTANCE_H

#include <stdbool.h>
#include <stdint.h>

#include <mailers/engine.h>

/* True for the first call in the process, false for all later ones. */
bool instance_claim(void);

/* Makes the engine; false without memory or entropy. Reads the random token and the time zone: both need
 * files that a chroot hides later.
 */
bool instance_start(void);

/* The engine, locked. NULL before instance_start() (locked all the same). */
struct engine *instance_lock(void);
void instance_unlock(void);

/* Under the lock: something became ready. True when the host has to be woken for it, false when it is awake
 * or was woken already.
 */
bool instance_ring(void);
/* Under the lock: the host looks for work now, later rings wake it again. */
void instance_rung(void);
/* Under the lock: the host ticks now; and: is the engine busy and has the host not ticked for <limit_ms>? */
void instance_ticked(uint64_t now_ms);
bool instance_stalled(uint64_t now_ms, uint64_t limit_ms);

/* Under the lock: has the host ever ticked? Not in a master process. */
bool instance_has_ticked(void);

/* What of the settings is neither a proxy's nor a mailer's. Written before instance_start(), read by every
 * thread afterwards.
 */
struct instance_options {
	uint32_t drain_ms; /* for what is queued when HAProxy stops */
	bool commands;     /* may HAProxy's command line change something? */
};
struct instance_options *instance_options(void);

/* Under the lock: HAProxy stops, the engine drains for <ms>; and: is that time over? False when it does not
 * drain.
 */
void instance_drain(uint64_t now_ms, uint32_t ms);
bool instance_drained(uint64_t now_ms);

/* Under the lock: the tests that HAProxy's command line runs, INSTANCE_TESTS places; id 0: free. */
#define INSTANCE_TESTS 4
struct instance_test {
	int id;
	uint64_t read_ms; /* when its reader last asked */
};
struct instance_test *instance_tests(void);

/* Under the lock: another Lua state has work for the host, which it cannot wake; and: was that said since the
 * last call?
 */
void instance_call(void);
bool instance_called(void);

/* Under the lock: a number that no server had before. */
uint64_t instance_key(void);

/* Milliseconds of a clock that never goes back. */
uint64_t instance_now(void);

#endif
