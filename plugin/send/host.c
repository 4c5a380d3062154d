/*
 * host - see host.h. One io watcher and one small struct for each open connection, one timer for the engine.
 *
 * Invariants: places[slot] is set exactly while the engine's slot is in use by us, with the connection id that it had
 * then; a watcher is active exactly while its connection waits for the socket. After each call into the engine
 * host_wake() looks at what else became possible, and sets the timer anew.
 *
 * Called by the program that owns the loop, and by libev.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "dial.h"
#include "host.h"

/* Reads in one go: a TLS record and its header fit. */
#define HOST_READ 17000
/* Turns of one connection before others get theirs. */
#define HOST_TURNS 64

struct host_place {
	struct ev_io io;
	struct host *host;
	int slot, fd;
	bool connecting;
	struct dial *rest; /* what to try when that fails */
};

struct host {
	struct ev_loop *loop;
	struct engine *engine;
	struct host_calls calls;
	struct ev_timer timer;
	struct host_place **places;
	size_t nplaces;
	bool awake; /* in host_wake(): not again from within */
};

uint64_t host_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void host_place_free(struct host *h, struct host_place *p)
{
	ev_io_stop(h->loop, &p->io);
	if (p->fd >= 0)
		close(p->fd);
	dial_free(p->rest);
	h->places[p->slot] = NULL;
	engine_release(h->engine, p->slot, host_now());
	free(p);
}

static void host_place_watch(struct host *h, struct host_place *p, int events)
{
	if (ev_is_active(&p->io) && p->io.events == events)
		return;
	ev_io_stop(h->loop, &p->io);
	ev_io_set(&p->io, p->fd, events);
	ev_io_start(h->loop, &p->io);
}

/* Sends what there is to send. False when the socket takes no more now. */
static bool host_place_write(struct host *h, struct host_place *p)
{
	const char *data;
	size_t len = engine_peek(h->engine, p->slot, &data);
	ssize_t n = send(p->fd, data, len, MSG_NOSIGNAL);

	if (n >= 0) {
		engine_ack(h->engine, p->slot, (size_t)n, host_now());
		return true;
	}
	if (errno == EAGAIN || errno == EINTR) {
		host_place_watch(h, p, EV_WRITE);
		return false;
	}
	engine_eof(h->engine, p->slot, host_now());
	return true;
}

static bool host_place_read(struct host *h, struct host_place *p)
{
	char data[HOST_READ];
	ssize_t n = recv(p->fd, data, sizeof(data), 0);

	if (n > 0) {
		engine_feed(h->engine, p->slot, data, (size_t)n, host_now());
		return true;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		host_place_watch(h, p, EV_READ);
		return false;
	}
	engine_eof(h->engine, p->slot, host_now());
	return true;
}

/* Moves a connection as far as it goes without waiting. */
static void host_place_run(struct host *h, struct host_place *p)
{
	int turns;

	for (turns = 0; turns < HOST_TURNS; turns++) {
		bool went = false;

		switch (engine_want(h->engine, p->slot)) {
		case ENGINE_WANT_WRITE:
			went = host_place_write(h, p);
			break;
		case ENGINE_WANT_READ:
			went = host_place_read(h, p);
			break;
		case ENGINE_WANT_CLOSE:
			host_place_free(h, p);
			return;
		}
		if (!went)
			return;
	}
	host_place_watch(h, p, EV_READ | EV_WRITE); /* goes on in the next round */
}

static void host_unreachable(struct host *h, const struct host_place *p, const char *why)
{
	engine_log(h->engine, ALERT_LEVEL_WARNING, "mailers: cannot connect to %s: %s",
	           engine_address(h->engine, p->slot), why);
	engine_eof(h->engine, p->slot, host_now());
}

static void host_connected(struct host *h, struct host_place *p)
{
	int error = dial_outcome(p->fd);
	char reason[DIAL_REASON_SIZE];

	ev_io_stop(h->loop, &p->io);
	if (error && p->rest) { /* its host may have an address of the other kind */
		close(p->fd);
		p->fd = dial_next(p->rest, reason);
		if (p->fd >= 0) {
			host_place_watch(h, p, EV_WRITE);
			return;
		}
	}
	p->connecting = false;
	if (error)
		host_unreachable(h, p, strerror(error));
	else
		engine_connected(h->engine, p->slot, host_now());
}

static void host_place_ready(struct ev_loop *loop, struct ev_io *io, int events)
{
	struct host_place *p = io->data;
	struct host *h = p->host;

	(void)loop;
	(void)events;
	if (p->connecting)
		host_connected(h, p);
	if (!p->connecting)
		host_place_run(h, p);
	host_wake(h);
}

static struct host_place *host_place_new(struct host *h, int slot)
{
	size_t n = h->nplaces ? h->nplaces : 16;
	struct host_place **places, *p;

	while (n <= (size_t)slot)
		n *= 2;
	if (n != h->nplaces) {
		places = realloc(h->places, n * sizeof(*places));
		if (!places)
			return NULL;
		memset(places + h->nplaces, 0, (n - h->nplaces) * sizeof(*places));
		h->places = places;
		h->nplaces = n;
	}
	p = calloc(1, sizeof(*p));
	if (!p)
		return NULL;
	p->host = h;
	p->slot = slot;
	p->fd = -1;
	ev_init(&p->io, host_place_ready);
	p->io.data = p;
	h->places[slot] = p;
	return p;
}

/* Opens the connection of <slot>. */
static void host_open(struct host *h, int slot)
{
	struct host_place *p = host_place_new(h, slot);
	char reason[DIAL_REASON_SIZE];

	if (!p) {
		engine_release(h->engine, slot, host_now());
		return;
	}
	p->fd = dial(engine_address(h->engine, slot), &p->rest, reason);
	if (p->fd < 0) {
		host_unreachable(h, p, reason);
		host_place_free(h, p);
		return;
	}
	p->connecting = true;
	host_place_watch(h, p, EV_WRITE);
}

/* Ends what the engine has given up. */
static void host_cut(struct host *h)
{
	int slot;

	while ((slot = engine_expired(h->engine)) >= 0) {
		if ((size_t)slot < h->nplaces && h->places[slot])
			host_place_free(h, h->places[slot]);
		else
			engine_release(h->engine, slot, host_now());
	}
}

static void host_set_timer(struct host *h)
{
	uint64_t now = host_now(), deadline = engine_deadline(h->engine, now);

	ev_timer_stop(h->loop, &h->timer);
	if (deadline == UINT64_MAX)
		return;
	ev_timer_set(&h->timer, deadline > now ? (double)(deadline - now) / 1000.0 : 0.0, 0.0);
	ev_now_update(h->loop);
	ev_timer_start(h->loop, &h->timer);
}

static void host_tick(struct ev_loop *loop, struct ev_timer *timer, int events)
{
	struct host *h = timer->data;

	(void)loop;
	(void)events;
	engine_tick(h->engine, host_now());
	host_wake(h);
}

void host_wake(struct host *h)
{
	struct engine_log line;
	int slot;

	if (h->awake)
		return;
	h->awake = true;
	host_cut(h);
	while ((slot = engine_connect(h->engine, host_now())) >= 0)
		host_open(h, slot);
	while (engine_next_log(h->engine, &line)) {
		if (h->calls.log)
			h->calls.log(h->calls.arg, &line);
	}
	host_set_timer(h);
	h->awake = false;
	if (h->calls.moved)
		h->calls.moved(h->calls.arg);
}

struct host *host_new(struct ev_loop *loop, struct engine *e, const struct host_calls *calls)
{
	struct host *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->loop = loop;
	h->engine = e;
	h->calls = *calls;
	ev_init(&h->timer, host_tick);
	h->timer.data = h;
	return h;
}

void host_free(struct host *h)
{
	size_t i;

	if (!h)
		return;
	ev_timer_stop(h->loop, &h->timer);
	for (i = 0; i < h->nplaces; i++) {
		if (h->places[i])
			host_place_free(h, h->places[i]);
	}
	free(h->places);
	free(h);
}
