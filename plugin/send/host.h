/*
 * host - the engine's host on libev: opens the connections that the engine names, moves their bytes, keeps its time.
 *
 * The second host beside HAProxy's (lua/mailers/driver.lua), for programs with an event loop of their own. One thread. The
 * loop is the caller's; the host has its watchers in it while it lives.
 */
#ifndef SEND_HOST_H
#define SEND_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

#include <mailers/engine.h>

struct host;

/* Called after the engine was given something to do, and after each of its log lines. */
struct host_calls {
	void (*log)(void *arg, const struct engine_log *line);
	void (*moved)(void *arg); /* bytes or time have moved: what the caller waits for may have come about */
	void *arg;
};

/* NULL without memory. <e> and <loop> must outlive it. */
struct host *host_new(struct ev_loop *loop, struct engine *e, const struct host_calls *calls);
/* Closes all connections, which gives their mails back to the engine; NULL is a no-op. */
void host_free(struct host *h);

/* The engine has new work: opens what is to be opened. To be called after engine_raise() and the like. */
void host_wake(struct host *h);

/* The engine's clock: milliseconds of one that never goes back. */
uint64_t host_now(void);

#endif
