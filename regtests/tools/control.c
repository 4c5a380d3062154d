/*
 * control - see control.h. One instance a process.
 *
 * Waiters are looked at before each sleep of the loop: whatever changes a counter needs to tell nobody, and a
 * busy tool without waiters pays nothing.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control.h"
#include "tool.h"

#define CONTROL_LINE_MAX 8192

struct client {
	ev_io io;
	ev_timer timer;
	struct client *next;
	const struct control_counter *waits_for; /* NULL when it does not wait */
	uint64_t target;
	int exactly;
	int len;
	char line[CONTROL_LINE_MAX];
};

static struct {
	ev_io io;
	ev_prepare prepare;
	const struct control_counter *counters;
	control_command_f *command;
	void *arg;
	struct client *clients;
} control;

static void client_free(struct ev_loop *loop, struct client *c)
{
	struct client **p = &control.clients;

	while (*p != c)
		p = &(*p)->next;
	*p = c->next;
	ev_io_stop(loop, &c->io);
	ev_timer_stop(loop, &c->timer);
	close(c->io.fd);
	free(c);
}

/* One answer and the end of the connection: a client that wants more connects again. */
static void client_answer(struct ev_loop *loop, struct client *c, const char *text)
{
	char line[CONTROL_LINE_MAX + 2];
	int len = snprintf(line, sizeof(line), "%s\n", text);

	if (write(c->io.fd, line, (size_t)len) < 0)
		fprintf(stderr, "control: a client left without its answer\n");
	client_free(loop, c);
}

static const struct control_counter *counter_find(const char *name)
{
	const struct control_counter *k;

	for (k = control.counters; k->name; k++)
		if (!strcmp(k->name, name))
			return k;
	return NULL;
}

static void counters_print(char *answer, int size)
{
	const struct control_counter *k;
	int len = snprintf(answer, (size_t)size, "OK");

	for (k = control.counters; k->name && len < size; k++)
		len += snprintf(answer + len, (size_t)(size - len), " %s=%llu", k->name,
		                (unsigned long long)*k->value);
}

static int client_is_served(const struct client *c)
{
	return c->exactly ? *c->waits_for->value == c->target : *c->waits_for->value >= c->target;
}

static void client_end_wait(struct ev_loop *loop, struct client *c, const char *how)
{
	char answer[64];

	snprintf(answer, sizeof(answer), "%s %llu", how, (unsigned long long)*c->waits_for->value);
	client_answer(loop, c, answer);
}

static void on_prepare(struct ev_loop *loop, ev_prepare *w, int revents)
{
	struct client *c, *next;

	(void)w;
	(void)revents;
	for (c = control.clients; c; c = next) {
		next = c->next;
		if (c->waits_for && client_is_served(c))
			client_end_wait(loop, c, "OK");
	}
}

static void on_timeout(struct ev_loop *loop, ev_timer *w, int revents)
{
	struct client *c = w->data;

	(void)revents;
	client_end_wait(loop, c, client_is_served(c) ? "OK" : "TIMEOUT");
}

/* "wait [NAME] [=]N SECS"; returns 0 when it is none. */
static int client_wait(struct ev_loop *loop, struct client *c, char *rest)
{
	const struct control_counter *counter = control.counters;
	char name[64], number[64], end;
	double seconds;

	if (sscanf(rest, "%63s %63s %lf %c", name, number, &seconds, &end) == 3)
		counter = counter_find(name);
	else if (sscanf(rest, "%63s %lf %c", number, &seconds, &end) != 2)
		return 0;
	if (!counter)
		return 0;
	c->exactly = number[0] == '=';
	c->target = strtoull(number + c->exactly, NULL, 10);
	c->waits_for = counter;
	ev_timer_set(&c->timer, seconds, 0.);
	ev_timer_start(loop, &c->timer);
	return 1;
}

static void client_run(struct ev_loop *loop, struct client *c)
{
	char answer[CONTROL_LINE_MAX] = "OK";
	char *rest = c->line + strcspn(c->line, " ");

	if (*rest)
		*rest++ = '\0';
	if (!strcmp(c->line, "wait")) {
		if (client_wait(loop, c, rest))
			return;
		snprintf(answer, sizeof(answer), "ERR usage: wait [NAME] [=]N SECONDS");
	} else if (!strcmp(c->line, "stats")) {
		counters_print(answer, sizeof(answer));
	} else if (!strcmp(c->line, "get")) {
		const struct control_counter *k = counter_find(rest);

		snprintf(answer, sizeof(answer), k ? "OK %llu" : "ERR no such counter",
		         k ? (unsigned long long)*k->value : 0ULL);
	} else if (!strcmp(c->line, "quit")) {
		ev_break(loop, EVBREAK_ALL);
	} else {
		control.command(control.arg, c->line, rest, answer, sizeof(answer));
	}
	client_answer(loop, c, answer);
}

static void on_client(struct ev_loop *loop, ev_io *w, int revents)
{
	struct client *c = w->data;
	char *end;
	ssize_t n;

	(void)revents;
	n = read(w->fd, c->line + c->len, sizeof(c->line) - 1 - (size_t)c->len);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		client_free(loop, c);
		return;
	}
	c->len += (int)n;
	c->line[c->len] = '\0';
	if (c->waits_for)
		return;
	end = strchr(c->line, '\n');
	if (end) {
		*end = '\0';
		client_run(loop, c);
	} else if (c->len + 1 == (int)sizeof(c->line)) {
		client_answer(loop, c, "ERR the line is too long");
	}
}

static void on_accept(struct ev_loop *loop, ev_io *w, int revents)
{
	int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct client *c;

	(void)revents;
	if (fd < 0)
		return;
	c = calloc(1, sizeof(*c));
	if (!c) {
		close(fd);
		return;
	}
	ev_io_init(&c->io, on_client, fd, EV_READ);
	ev_timer_init(&c->timer, on_timeout, 0., 0.);
	c->io.data = c;
	c->timer.data = c;
	c->next = control.clients;
	control.clients = c;
	ev_io_start(loop, &c->io);
}

void control_start(struct ev_loop *loop, const char *path, const struct control_counter *counters,
                   control_command_f *command, void *arg)
{
	struct tool_address address;
	char text[512];
	int fd;

	snprintf(text, sizeof(text), "unix:%s", path);
	tool_address_parse(&address, text);
	fd = tool_listen(&address, 64);
	if (fd < 0)
		tool_die_errno("cannot listen on %s", path);
	control.counters = counters;
	control.command = command;
	control.arg = arg;
	ev_io_init(&control.io, on_accept, fd, EV_READ);
	ev_io_start(loop, &control.io);
	ev_prepare_init(&control.prepare, on_prepare);
	ev_prepare_start(loop, &control.prepare);
}
