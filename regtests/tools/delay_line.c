/*
 * delay_line - a TCP proxy that is as far away as it is told: every byte, in each direction, is held for the one-way
 * time. It limits no throughput and keeps the order, so that a benchmark sees round trips and nothing else.
 *
 * The proxy cannot delay the handshake of a client's own connect(), so it makes up for it: it connects to the server
 * after three one-way times (SYN, SYN-ACK, ACK), and the server's greeting reaches the client after two round trips
 * from connect(), as on a real line.
 *
 * All bytes are held for the same time, so that one queue in the order of arrival is also the order of departure, and
 * one timerfd, which is exact to microseconds where the loop's own timers round up to milliseconds, serves all.
 * A connection lives until its last event has left the queue.
 */
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <mailers/buffer.h>

#include "control.h"
#include "tool.h"

#define LINE_BLOCK_SIZE 65536
#define LINE_PIPE_MAX   (64 << 20)  /* bytes on their way in one direction; the sender waits beyond it */

static const char usage[] =
	"usage: delay_line --to ADDRESS [OPTION]...\n"
	"  --to ADDRESS       127.0.0.1:PORT, PORT, [::1]:PORT or unix:PATH\n"
	"  --delay-ms MS      one way; a round trip takes twice that (10)\n"
	"  --listen ADDRESS   127.0.0.1:0 (default), ...\n"
	"  --port-file FILE   write the port there once it listens\n"
	"  --background       leave the foreground once it listens; the port is printed\n"
	"  --control PATH     unix socket for sinkctl: stats, get, wait, quit\n"
	"  --lifetime SECS    end by itself (900)\n";

enum event_kind { EVENT_OPEN, EVENT_DATA, EVENT_FIN, EVENT_RESET };

struct event {
	struct event *next;
	uint64_t due_ns;
	struct pipe *pipe;
	enum event_kind kind;
	size_t len;
	char data[];
};

struct event_queue {
	struct event *first, **last;
};

/* One direction: bytes read from <from> are written to <to>. */
struct pipe {
	struct connection *connection;
	struct side *from, *to;
	uint64_t *counter;
	struct buffer out;        /* due, but not yet taken by <to> */
	size_t held;              /* in the queue */
	int eof;                  /* nothing more will be read */
	int fin;                  /* FIN is due */
	int done;                 /* FIN was sent */
};

struct side {
	ev_io in_io, out_io;
	int fd;
	struct pipe *source, *sink;  /* the pipe that reads from here, the one that writes to here */
};

struct connection {
	struct side client, server;
	struct pipe up, down;
	unsigned int events;      /* in the queues */
	int opened;               /* the server's socket is connected */
	int dead;
};

static struct {
	struct ev_loop *loop;
	struct tool_address address, to;
	ev_io accept_io, timer_io;
	struct event_queue line, opening;
	uint64_t delay_ns;
	uint64_t connections, open, peak, bytes_up, bytes_down, failed;
	const char *listen, *target, *port_file, *control;
	int background;
	long delay_ms, lifetime;
} program = {
	.listen = "127.0.0.1:0",
	.delay_ms = 10,
	.lifetime = TOOL_LIFETIME_S,
};

static const struct control_counter counters[] = {
	{ "connections", &program.connections },
	{ "open", &program.open },
	{ "peak", &program.peak },
	{ "bytes_up", &program.bytes_up },
	{ "bytes_down", &program.bytes_down },
	{ "failed", &program.failed },          /* the server could not be reached */
	{ NULL, NULL },
};

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void timer_arm(void)
{
	struct itimerspec at = { 0 };
	uint64_t due = UINT64_MAX;

	if (program.line.first)
		due = program.line.first->due_ns;
	if (program.opening.first && program.opening.first->due_ns < due)
		due = program.opening.first->due_ns;
	if (due == UINT64_MAX)
		return;
	at.it_value.tv_sec = (time_t)(due / 1000000000);
	at.it_value.tv_nsec = (long)(due % 1000000000);
	timerfd_settime(program.timer_io.fd, TFD_TIMER_ABSTIME, &at, NULL);
}

static void event_add(struct event_queue *queue, struct pipe *pipe, enum event_kind kind, uint64_t delay_ns,
                      const char *data, size_t len)
{
	struct event *e = malloc(sizeof(*e) + len);
	int idle = !queue->first;

	if (!e)
		tool_die("no memory");
	e->next = NULL;
	e->due_ns = now_ns() + delay_ns;
	e->pipe = pipe;
	e->kind = kind;
	e->len = len;
	if (len)
		memcpy(e->data, data, len);
	pipe->held += len;
	pipe->connection->events++;
	*queue->last = e;
	queue->last = &e->next;
	if (idle)
		timer_arm();
}

static void side_stop(struct side *side)
{
	ev_io_stop(program.loop, &side->in_io);
	ev_io_stop(program.loop, &side->out_io);
	if (side->fd >= 0)
		close(side->fd);
	side->fd = -1;
}

/* Frees what no event needs any more. */
static void connection_end(struct connection *c)
{
	if (!c->dead) {
		c->dead = 1;
		side_stop(&c->client);
		side_stop(&c->server);
		program.open--;
	}
	if (c->events)
		return;
	buffer_free(&c->up.out);
	buffer_free(&c->down.out);
	free(c);
}

static void connection_reset(struct connection *c)
{
	struct linger linger = { .l_onoff = 1 };

	if (c->client.fd >= 0)
		setsockopt(c->client.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	if (c->server.fd >= 0)
		setsockopt(c->server.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
	connection_end(c);
}

/* Writes what is due. The connection may be gone afterwards. */
static void pipe_flush(struct pipe *p)
{
	struct connection *c = p->connection;
	ssize_t n = 0;

	if (!c->opened || c->dead)
		return;
	if (p->out.len)
		n = send(p->to->fd, p->out.data, p->out.len, MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		connection_reset(c);
		return;
	}
	if (n > 0)
		buffer_shift(&p->out, (size_t)n);
	if (p->out.len) {
		ev_io_start(program.loop, &p->to->out_io);
		return;
	}
	ev_io_stop(program.loop, &p->to->out_io);
	if (p->fin && !p->done) {
		p->done = 1;
		shutdown(p->to->fd, SHUT_WR);
		if (c->up.done && c->down.done) {
			connection_end(c);
			return;
		}
	}
	if (!p->eof && p->held < LINE_PIPE_MAX / 2)
		ev_io_start(program.loop, &p->from->in_io);
}

static void on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
	static char block[LINE_BLOCK_SIZE];
	struct side *side = w->data;
	struct pipe *p = side->source;
	ssize_t n = read(side->fd, block, sizeof(block));

	(void)revents;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		ev_io_stop(loop, w);
		p->eof = 1;
		event_add(&program.line, p, n ? EVENT_RESET : EVENT_FIN, program.delay_ns, NULL, 0);
		return;
	}
	*p->counter += (uint64_t)n;
	event_add(&program.line, p, EVENT_DATA, program.delay_ns, block, (size_t)n);
	if (p->held + p->out.len >= LINE_PIPE_MAX)
		ev_io_stop(loop, w);
}

static void on_writable(struct ev_loop *loop, ev_io *w, int revents)
{
	struct side *side = w->data;
	struct connection *c = side->sink->connection;
	int error = 0;

	(void)revents;
	if (!c->opened) {
		getsockopt(side->fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){ sizeof(error) });
		if (error) {
			program.failed++;
			connection_reset(c);
			return;
		}
		c->opened = 1;
		ev_io_stop(loop, w);
		ev_io_start(loop, &c->server.in_io);
	}
	pipe_flush(side->sink);
}

static void side_init(struct side *side, int fd)
{
	side->fd = fd;
	ev_io_init(&side->in_io, on_readable, fd, EV_READ);
	ev_io_init(&side->out_io, on_writable, fd, EV_WRITE);
	side->in_io.data = side;
	side->out_io.data = side;
}

static void connection_open(struct connection *c)
{
	int fd = tool_connect(&program.to);

	if (fd < 0) {
		program.failed++;
		connection_reset(c);
		return;
	}
	side_init(&c->server, fd);
	ev_io_start(program.loop, &c->server.out_io);
}

static void event_run(struct event *e)
{
	struct pipe *p = e->pipe;
	struct connection *c = p->connection;

	c->events--;
	p->held -= e->len;
	if (c->dead) {
		connection_end(c);
		return;
	}
	switch (e->kind) {
	case EVENT_OPEN:
		connection_open(c);
		return;
	case EVENT_DATA:
		buffer_add(&p->out, e->data, e->len);
		if (buffer_error(&p->out))
			tool_die("no memory");
		break;
	case EVENT_FIN:
		p->fin = 1;
		break;
	case EVENT_RESET:
		connection_reset(c);
		return;
	}
	/* What else is due is written in the same go. */
	if (!e->next || e->next->pipe != p || e->next->due_ns > now_ns())
		pipe_flush(p);
}

static void queue_run(struct event_queue *queue)
{
	struct event *e;

	while ((e = queue->first) && e->due_ns <= now_ns()) {
		event_run(e);
		queue->first = e->next;
		if (!queue->first)
			queue->last = &queue->first;
		free(e);
	}
}

static void on_due(struct ev_loop *loop, ev_io *w, int revents)
{
	uint64_t n;

	(void)loop;
	(void)revents;
	if (read(w->fd, &n, sizeof(n)) < 0)
		return;
	queue_run(&program.opening);
	queue_run(&program.line);
	timer_arm();
}

static void pipe_init(struct pipe *p, struct connection *c, struct side *from, struct side *to, uint64_t *counter)
{
	p->connection = c;
	p->from = from;
	p->to = to;
	p->counter = counter;
	from->source = p;
	to->sink = p;
}

static void on_accept(struct ev_loop *loop, ev_io *w, int revents)
{
	int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct connection *c;

	(void)revents;
	if (fd < 0)
		return;
	c = calloc(1, sizeof(*c));
	if (!c)
		tool_die("no memory");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	pipe_init(&c->up, c, &c->client, &c->server, &program.bytes_up);
	pipe_init(&c->down, c, &c->server, &c->client, &program.bytes_down);
	side_init(&c->client, fd);
	c->server.fd = -1;
	program.connections++;
	if (++program.open > program.peak)
		program.peak = program.open;
	ev_io_start(loop, &c->client.in_io);
	event_add(&program.opening, &c->up, EVENT_OPEN, 3 * program.delay_ns, NULL, 0);
}

static void on_command(void *arg, char *word, char *rest, char *answer, int size)
{
	(void)arg;
	(void)word;
	(void)rest;
	snprintf(answer, (size_t)size, "ERR no such command");
}

static void options_read(int argc, char **argv)
{
	enum { TO = 1, DELAY, LISTEN, PORT_FILE, BACKGROUND, CONTROL, LIFETIME, HELP };
	static const struct option options[] = {
		{ "to", 1, NULL, TO }, { "delay-ms", 1, NULL, DELAY }, { "listen", 1, NULL, LISTEN },
		{ "port-file", 1, NULL, PORT_FILE }, { "background", 0, NULL, BACKGROUND },
		{ "control", 1, NULL, CONTROL }, { "lifetime", 1, NULL, LIFETIME }, { "help", 0, NULL, HELP },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case TO: program.target = optarg; break;
		case DELAY: program.delay_ms = tool_number("delay-ms", optarg, 0, 60000); break;
		case LISTEN: program.listen = optarg; break;
		case PORT_FILE: program.port_file = optarg; break;
		case BACKGROUND: program.background = 1; break;
		case CONTROL: program.control = optarg; break;
		case LIFETIME: program.lifetime = tool_number("lifetime", optarg, 1, 1000000); break;
		case HELP:
			fputs(usage, stdout);
			exit(0);
		default:
			exit(1);
		}
	}
	if (optind < argc || !program.target)
		tool_die("--to ADDRESS is needed, and nothing besides options");
}

int main(int argc, char **argv)
{
	char text[256];
	int fd;

	options_read(argc, argv);
	tool_address_parse(&program.to, program.target);
	tool_address_parse(&program.address, program.listen);
	program.delay_ns = (uint64_t)program.delay_ms * 1000000;
	program.line.last = &program.line.first;
	program.opening.last = &program.opening.first;
	if (program.background)
		tool_background();
	program.loop = ev_default_loop(0);
	tool_prepare(program.loop, (double)program.lifetime);
	fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (fd < 0)
		tool_die_errno("timerfd");
	ev_io_init(&program.timer_io, on_due, fd, EV_READ);
	ev_io_start(program.loop, &program.timer_io);
	fd = tool_listen(&program.address, 1024);
	if (fd < 0)
		tool_die_errno("cannot listen on %s", program.listen);
	ev_io_init(&program.accept_io, on_accept, fd, EV_READ);
	ev_io_start(program.loop, &program.accept_io);
	if (program.control)
		control_start(program.loop, program.control, counters, on_command, NULL);
	snprintf(text, sizeof(text), "%u\n", tool_port(&program.address));
	tool_ready(program.port_file, text);
	ev_run(program.loop, 0);
	return 0;
}
