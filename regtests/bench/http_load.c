/*
 * http_load - sends HTTP requests at a constant rate over connections that are kept, and says how long each answer took.
 *
 *   http_load SOCKET RATE CONNECTIONS SECONDS > answers
 *
 * Each request has its time, and its connection in turn, whatever became of those before: one that has to wait because the
 * connection's last answer has not come is counted from its own time on, so that a server that halts is seen in all the requests that
 * it kept waiting. Printed in the end, one line an answer: when it was due (monotonic us), a tab, its latency in us; "-" for one
 * that did not come within GRACE_S of the end. SOCKET is the path of a unix socket. Only for benchmarks.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define GRACE_S     10
#define CONNECTIONS 1024
#define ANSWER_SIZE 4096

static const char request[] = "GET / HTTP/1.1\r\nHost: bench\r\n\r\n";

struct connection {
	int fd;
	int busy;        /* a request is out */
	long next;       /* its request, or the next one */
	size_t len;
	char answer[ANSWER_SIZE];
};

static struct {
	long rate, connections, requests, done;
	uint64_t start_us;
	int epoll;
	int64_t *latency_us; /* -1: no answer */
	struct connection connection[CONNECTIONS];
} load;

static void die(const char *what)
{
	fprintf(stderr, "http_load: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static uint64_t due_us(long n)
{
	return load.start_us + (uint64_t)n * 1000000 / (uint64_t)load.rate;
}

/* A waiting generator must not wait for the processor too. Without the right to it the figures are a little worse. */
static void prefer(void)
{
	struct sched_param param = { .sched_priority = 1 };

	if (sched_setscheduler(0, SCHED_FIFO, &param) < 0)
		fprintf(stderr, "http_load: no real-time priority, latencies hold our own waits for a processor\n");
}

static void connections_open(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	long i;

	if (strlen(path) >= sizeof(sun.sun_path))
		die(path);
	strcpy(sun.sun_path, path);
	for (i = 0; i < load.connections; i++) {
		struct connection *c = &load.connection[i];
		struct epoll_event ev = { .events = EPOLLIN, .data.ptr = c };

		c->next = i;
		c->fd = socket(AF_UNIX, SOCK_STREAM, 0);
		if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&sun, sizeof(sun)) < 0)
			die(path);
		if (epoll_ctl(load.epoll, EPOLL_CTL_ADD, c->fd, &ev) < 0)
			die("epoll");
	}
}

static void connection_send(struct connection *c)
{
	if (write(c->fd, request, sizeof(request) - 1) != (ssize_t)sizeof(request) - 1)
		die("write");
	c->busy = 1;
	c->len = 0;
}

/* Sends what is due on this connection, if it is free. */
static void connection_try(struct connection *c, uint64_t now)
{
	if (!c->busy && c->next < load.requests && due_us(c->next) <= now)
		connection_send(c);
}

/* Is the answer there as a whole? It has a length and no more than fits. */
static int answer_complete(struct connection *c)
{
	char *end, *length;

	c->answer[c->len] = '\0';
	end = strstr(c->answer, "\r\n\r\n");
	if (!end)
		return 0;
	if (strncmp(c->answer, "HTTP/1.1 200 ", 13)) {
		fprintf(stderr, "http_load: answer: %.60s\n", c->answer);
		exit(1);
	}
	length = strcasestr(c->answer, "\r\ncontent-length:");
	if (!length || length > end) {
		fprintf(stderr, "http_load: an answer without a length\n");
		exit(1);
	}
	return c->answer + c->len >= end + 4 + strtoul(length + 17, NULL, 10);
}

static void connection_read(struct connection *c)
{
	ssize_t n = read(c->fd, c->answer + c->len, sizeof(c->answer) - 1 - c->len);
	uint64_t now = now_us();

	if (n <= 0)
		die("an answer ended");
	c->len += (size_t)n;
	if (!c->busy || !answer_complete(c))
		return;
	load.latency_us[c->next] = (int64_t)(now - due_us(c->next));
	load.done++;
	c->busy = 0;
	c->next += load.connections;
	connection_try(c, now);
}

/* Sends what is due; returns the time until the next. A step of a millisecond would be counted as the server's. */
static struct timespec requests_send(long *sent, uint64_t now)
{
	uint64_t wait = 100000;

	while (*sent < load.requests && due_us(*sent) <= now) {
		connection_try(&load.connection[*sent % load.connections], now);
		++*sent;
	}
	if (*sent < load.requests)
		wait = due_us(*sent) - now;
	return (struct timespec){ .tv_sec = (time_t)(wait / 1000000), .tv_nsec = (long)(wait % 1000000) * 1000 };
}

static void load_run(void)
{
	struct epoll_event events[64];
	uint64_t end = due_us(load.requests) + GRACE_S * 1000000;
	long sent = 0;

	while (load.done < load.requests && now_us() < end) {
		struct timespec wait = requests_send(&sent, now_us());
		int i, n = epoll_pwait2(load.epoll, events, 64, &wait, NULL);

		if (n < 0 && errno != EINTR)
			die("epoll");
		for (i = 0; i < n; i++)
			connection_read(events[i].data.ptr);
	}
}

int main(int argc, char **argv)
{
	long i;

	if (argc != 5 || (load.rate = atol(argv[2])) < 1 || (load.connections = atol(argv[3])) < 1 ||
	    load.connections > CONNECTIONS || (load.requests = load.rate * atol(argv[4])) < 1) {
		fprintf(stderr, "usage: http_load SOCKET RATE CONNECTIONS SECONDS > answers\n");
		return 1;
	}
	load.latency_us = malloc((size_t)load.requests * sizeof(*load.latency_us));
	load.epoll = epoll_create1(0);
	if (!load.latency_us || load.epoll < 0)
		die("start");
	memset(load.latency_us, 0xff, (size_t)load.requests * sizeof(*load.latency_us));
	connections_open(argv[1]);
	prefer();
	load.start_us = now_us() + 10000;
	load_run();
	for (i = 0; i < load.requests; i++) {
		printf("%llu\t", (unsigned long long)due_us(i));
		if (load.latency_us[i] < 0)
			puts("-");
		else
			printf("%lld\n", (long long)load.latency_us[i]);
	}
	return 0;
}
