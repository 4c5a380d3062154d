/*
 * tcp_target - servers to be checked: listens on a number of ports, each of which can be closed and opened again at
 * the same address while it runs, so that a HAProxy in front of it sees its servers go down and come up.
 *
 * A connection is closed at once, or, with --reply, after that text and the client's own end: enough for checks of
 * layer 4, for agent checks (--reply 'up\n') and for HTTP checks (--reply 'HTTP/1.0 200 OK\r\n\r\n').
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "tool.h"

#define TARGET_PORTS_MAX 10000

static const char usage[] =
	"usage: tcp_target [OPTION]...\n"
	"  --ports N          how many (1)\n"
	"  --reply TEXT       what a connection is told; \\r and \\n are understood\n"
	"  --port-file FILE   write the ports there, one a line, once it listens\n"
	"  --background       leave the foreground once it listens; the ports are printed\n"
	"  --control PATH     unix socket for sinkctl\n"
	"  --lifetime SECS    end by itself (900)\n"
	"control commands: stats, get, wait, quit (control.h), and\n"
	"  close N|all, open N|all   the N-th port, from 1\n"
	"  reply TEXT                from now on\n";

struct port {
	ev_io io;
	struct tool_address address;
};

struct visitor {
	ev_io io;
	ev_timer timer;
};

static struct {
	struct ev_loop *loop;
	struct port *ports;
	char reply[1024];
	uint64_t connections, open_ports;
	const char *port_file, *control;
	int background;
	long count, lifetime;
} program = {
	.count = 1,
	.lifetime = TOOL_LIFETIME_S,
};

static const struct control_counter counters[] = {
	{ "connections", &program.connections },
	{ "open_ports", &program.open_ports },
	{ NULL, NULL },
};

static void reply_set(const char *text)
{
	char *out = program.reply;

	for (; *text && out < program.reply + sizeof(program.reply) - 1; text++) {
		if (text[0] == '\\' && (text[1] == 'r' || text[1] == 'n'))
			*out++ = *++text == 'r' ? '\r' : '\n';
		else
			*out++ = *text;
	}
	*out = '\0';
}

static void visitor_end(struct visitor *v)
{
	ev_io_stop(program.loop, &v->io);
	ev_timer_stop(program.loop, &v->timer);
	close(v->io.fd);
	free(v);
}

static void on_visitor(struct ev_loop *loop, ev_io *w, int revents)
{
	char block[4096];

	(void)loop;
	(void)revents;
	if (read(w->fd, block, sizeof(block)) <= 0)
		visitor_end(w->data);
}

static void on_timeout(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	visitor_end(w->data);
}

/* Says its text and waits for the client's end: closing with unread bytes would reset the connection. */
static void visitor_start(int fd)
{
	struct visitor *v = calloc(1, sizeof(*v));

	if (!v || send(fd, program.reply, strlen(program.reply), MSG_NOSIGNAL) < 0) {
		free(v);
		close(fd);
		return;
	}
	shutdown(fd, SHUT_WR);
	ev_io_init(&v->io, on_visitor, fd, EV_READ);
	ev_timer_init(&v->timer, on_timeout, 10., 0.);
	v->io.data = v;
	v->timer.data = v;
	ev_io_start(program.loop, &v->io);
	ev_timer_start(program.loop, &v->timer);
}

static void on_accept(struct ev_loop *loop, ev_io *w, int revents)
{
	int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)loop;
	(void)revents;
	if (fd < 0)
		return;
	program.connections++;
	if (*program.reply)
		visitor_start(fd);
	else
		close(fd);
}

static int port_open(struct port *port)
{
	int fd;

	if (ev_is_active(&port->io))
		return 1;
	fd = tool_listen(&port->address, 256);
	if (fd < 0)
		return 0;
	ev_io_init(&port->io, on_accept, fd, EV_READ);
	ev_io_start(program.loop, &port->io);
	program.open_ports++;
	return 1;
}

static int port_close(struct port *port)
{
	if (ev_is_active(&port->io)) {
		ev_io_stop(program.loop, &port->io);
		close(port->io.fd);
		program.open_ports--;
	}
	return 1;
}

/* Calls <f> for the ports that <which> names. Returns NULL, or what went wrong. */
static const char *ports_each(const char *which, int (*f)(struct port *port))
{
	long first = strtol(which, NULL, 10), last = first;

	if (!strcmp(which, "all")) {
		first = 1;
		last = program.count;
	}
	if (first < 1 || last > program.count)
		return "no such port";
	for (; first <= last; first++)
		if (!f(&program.ports[first - 1]))
			return "cannot listen";
	return NULL;
}

static void on_command(void *arg, char *word, char *rest, char *answer, int size)
{
	const char *error = NULL;

	(void)arg;
	if (!strcmp(word, "close"))
		error = ports_each(rest, port_close);
	else if (!strcmp(word, "open"))
		error = ports_each(rest, port_open);
	else if (!strcmp(word, "reply"))
		reply_set(rest);
	else
		error = "no such command";
	if (error)
		snprintf(answer, (size_t)size, "ERR %s", error);
}

static void options_read(int argc, char **argv)
{
	enum { PORTS = 1, REPLY, PORT_FILE, BACKGROUND, CONTROL, LIFETIME, HELP };
	static const struct option options[] = {
		{ "ports", 1, NULL, PORTS }, { "reply", 1, NULL, REPLY }, { "port-file", 1, NULL, PORT_FILE },
		{ "background", 0, NULL, BACKGROUND }, { "control", 1, NULL, CONTROL },
		{ "lifetime", 1, NULL, LIFETIME }, { "help", 0, NULL, HELP }, { NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case PORTS: program.count = tool_number("ports", optarg, 1, TARGET_PORTS_MAX); break;
		case REPLY: reply_set(optarg); break;
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
	if (optind < argc)
		tool_die("unexpected argument '%s'", argv[optind]);
}

int main(int argc, char **argv)
{
	char *text, *end;
	long i;

	options_read(argc, argv);
	program.ports = calloc((size_t)program.count, sizeof(*program.ports));
	text = end = calloc((size_t)program.count, 8);
	if (!program.ports || !text)
		tool_die("no memory");
	if (program.background)
		tool_background();
	program.loop = ev_default_loop(0);
	tool_prepare(program.loop, (double)program.lifetime);
	for (i = 0; i < program.count; i++) {
		tool_address_parse(&program.ports[i].address, "127.0.0.1:0");
		if (!port_open(&program.ports[i]))
			tool_die_errno("cannot listen");
		end += sprintf(end, "%u\n", tool_port(&program.ports[i].address));
	}
	if (program.control)
		control_start(program.loop, program.control, counters, on_command, NULL);
	tool_ready(program.port_file, text);
	ev_run(program.loop, 0);
	return 0;
}
