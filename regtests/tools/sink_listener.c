/*
 * sink_listener - see sink.h. The one listener of the program, at an address that it keeps while it is closed.
 *
 * A server that dies takes its connections with it and leaves a port that refuses; one that comes back has the same
 * port. In between a socket that does not listen keeps it, or the kernel might give it to another test's server.
 */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "sink.h"

#define SINK_BACKLOG    1024
#define SINK_ACCEPT_MAX 64          /* connections taken in one turn of the loop */
#define SINK_RETRY_S    .02         /* when the port cannot be had at once */

static struct {
	struct sink *sink;
	struct tool_address *address;
	int no_accept;
	ev_io accept_io;
	ev_timer back;
	int bound;                  /* keeps the address while it is closed; -1 when it is open */
} listener;

static void on_accept(struct ev_loop *loop, ev_io *w, int revents)
{
	int i, fd;

	(void)loop;
	(void)revents;
	/* A session may end the listener as it begins. */
	for (i = 0; i < SINK_ACCEPT_MAX && ev_is_active(w); i++) {
		fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		sink_session_start(listener.sink, fd);
	}
}

/* Fills the queue of a listener that nobody accepts from, so that the next client's SYN is not answered. */
static void queue_fill(const struct tool_address *address)
{
	int i;

	for (i = 0; i < 16; i++) {
		struct pollfd p = { .events = POLLOUT };

		p.fd = tool_connect(address);
		if (p.fd < 0 && errno == EAGAIN)
			return;       /* a unix socket says so */
		if (p.fd < 0)
			tool_die_errno("cannot fill the listener's queue");
		if (poll(&p, 1, 200) == 0)
			return;       /* this one hangs; it stays, to keep its place */
	}
	tool_die("connections do not hang on this kernel");
}

int sink_listener_open(struct sink *sink)
{
	int fd;

	ev_timer_stop(sink->loop, &listener.back);
	if (ev_is_active(&listener.accept_io))
		return 1;
	fd = listener.bound < 0 ? tool_bind(listener.address) : listener.bound;
	listener.bound = fd;
	if (fd < 0 || listen(fd, listener.no_accept ? 0 : SINK_BACKLOG) < 0)
		return 0;
	listener.bound = -1;
	sink->up = 1;
	if (listener.no_accept) {
		queue_fill(listener.address);
		return 1;
	}
	ev_io_set(&listener.accept_io, fd, EV_READ);
	ev_io_start(sink->loop, &listener.accept_io);
	return 1;
}

static void on_back(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)revents;
	if (sink_listener_open(w->data))
		return;
	ev_timer_set(w, SINK_RETRY_S, 0.);
	ev_timer_start(loop, w);
}

void sink_listener_close(struct sink *sink)
{
	ev_timer_stop(sink->loop, &listener.back);
	if (!ev_is_active(&listener.accept_io))
		return;
	ev_io_stop(sink->loop, &listener.accept_io);
	close(listener.accept_io.fd);
	listener.bound = tool_bind(listener.address);
	sink->up = 0;
}

void sink_listener_die(struct sink *sink, unsigned int ms)
{
	sink_listener_close(sink);
	sink_session_drop_all(sink);
	if (!ms)
		return;
	ev_timer_set(&listener.back, ms / 1000., 0.);
	ev_timer_start(sink->loop, &listener.back);
}

void sink_listener_start(struct sink *sink, struct tool_address *address, int no_accept)
{
	listener.sink = sink;
	listener.address = address;
	listener.no_accept = no_accept;
	listener.bound = -1;
	ev_init(&listener.accept_io, on_accept);
	ev_init(&listener.back, on_back);
	listener.back.data = sink;
	if (!sink_listener_open(sink))
		tool_die_errno("cannot listen");
}
