/*
 * tool - see tool.h. Everything here runs at start-up, or once; nothing is on a hot path.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "tool.h"

/* Write end of the pipe to the waiting parent of tool_background(), or -1. */
static int ready_fd = -1;

static void die(int error, const char *format, va_list ap) __attribute__((format(printf, 2, 0), noreturn));

static void die(int error, const char *format, va_list ap)
{
	fprintf(stderr, "%s: ", program_invocation_short_name);
	vfprintf(stderr, format, ap);
	fprintf(stderr, "%s%s\n", error ? ": " : "", error ? strerror(error) : "");
	exit(1);
}

void tool_die(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	die(0, format, ap);
}

void tool_die_errno(const char *format, ...)
{
	int error = errno;
	va_list ap;

	va_start(ap, format);
	die(error, format, ap);
}

long tool_number(const char *what, const char *text, long min, long max)
{
	char *end;
	long n;

	errno = 0;
	n = strtol(text, &end, 10);
	if (errno || end == text || *end || n < min || n > max) {
		tool_die("%s: '%s' is not a number from %ld to %ld", what, text, min, max);
	}
	return n;
}

static void address_unix(struct tool_address *address, const char *path, int abstract)
{
	struct sockaddr_un *un = &address->un;
	size_t len = strlen(path);

	if (!len || len + 2 > sizeof(un->sun_path))
		tool_die("the name '%s' is empty or too long for a socket", path);
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path + (abstract ? 1 : 0), path, len);
	address->len = sizeof(*un);
	if (!abstract)
		address->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
}

void tool_address_parse(struct tool_address *address, const char *text)
{
	char host[INET6_ADDRSTRLEN + 1] = "127.0.0.1";
	const char *port = text;
	const char *colon = strrchr(text, ':');
	int brackets = *text == '[';

	memset(address, 0, sizeof(*address));
	if (!strncmp(text, "unix:", 5) || !strncmp(text, "abns:", 5)) {
		address_unix(address, text + 5, *text == 'a');
		return;
	}
	if (colon) {
		size_t len = (size_t)(colon - text);

		if (len >= sizeof(host) || (brackets && (len < 2 || colon[-1] != ']')))
			tool_die("'%s' is no address", text);
		memcpy(host, text + brackets, len - 2 * (size_t)brackets);
		host[len - 2 * (size_t)brackets] = '\0';
		port = colon + 1;
	}
	if (brackets) {
		address->in6.sin6_family = AF_INET6;
		address->in6.sin6_port = htons((uint16_t)tool_number("port", port, 0, 65535));
		address->len = sizeof(address->in6);
		if (inet_pton(AF_INET6, host, &address->in6.sin6_addr) == 1 &&
		    IN6_IS_ADDR_LOOPBACK(&address->in6.sin6_addr))
			return;
	} else {
		address->in4.sin_family = AF_INET;
		address->in4.sin_port = htons((uint16_t)tool_number("port", port, 0, 65535));
		address->len = sizeof(address->in4);
		if (inet_pton(AF_INET, host, &address->in4.sin_addr) == 1 &&
		    ntohl(address->in4.sin_addr.s_addr) >> 24 == 127)
			return;
	}
	tool_die("'%s' is no address of loopback", text);
}

int tool_bind(struct tool_address *address)
{
	int fd = socket(address->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int saved;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (address->sa.sa_family == AF_UNIX && address->un.sun_path[0])
		unlink(address->un.sun_path);
	if (bind(fd, &address->sa, address->len) == 0 &&
	    (address->sa.sa_family == AF_UNIX || getsockname(fd, &address->sa, &address->len) == 0))
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

int tool_listen(struct tool_address *address, int backlog)
{
	int fd = tool_bind(address);
	int saved;

	if (fd < 0 || listen(fd, backlog) == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

int tool_connect(const struct tool_address *address)
{
	int fd = socket(address->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int saved;

	if (fd < 0)
		return -1;
	if (address->sa.sa_family != AF_UNIX)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
	if (connect(fd, &address->sa, address->len) == 0 || errno == EINPROGRESS)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

unsigned int tool_port(const struct tool_address *address)
{
	switch (address->sa.sa_family) {
	case AF_INET:
		return ntohs(address->in4.sin_port);
	case AF_INET6:
		return ntohs(address->in6.sin6_port);
	default:
		return 0;
	}
}

void tool_write_file(const char *path, const char *text)
{
	char new[4096];
	FILE *f;

	if (snprintf(new, sizeof(new), "%s.new", path) >= (int)sizeof(new))
		tool_die("the name of %s is too long", path);
	f = fopen(new, "we");
	if (!f || fputs(text, f) == EOF || fclose(f) == EOF || rename(new, path) < 0)
		tool_die_errno("cannot write %s", path);
}

void tool_background(void)
{
	int fds[2];
	char c;

	if (pipe2(fds, O_CLOEXEC) < 0)
		tool_die_errno("pipe");
	switch (fork()) {
	case -1:
		tool_die_errno("fork");
	case 0:
		close(fds[0]);
		ready_fd = fds[1];
		return;
	default:
		close(fds[1]);
		_exit(read(fds[0], &c, 1) == 1 ? 0 : 1);
	}
}

void tool_ready(const char *port_file, const char *text)
{
	int null;

	if (port_file)
		tool_write_file(port_file, text);
	fputs(text, stdout);
	fflush(stdout);
	if (ready_fd < 0)
		return;
	/* A shell that reads this output by $(...) waits for the end of the file, not of the parent. */
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 || dup2(null, 2) < 0 || write(ready_fd, "", 1) != 1)
		tool_die_errno("cannot go to the background");
	close(null);
	close(ready_fd);
}

static void on_signal(struct ev_loop *loop, ev_signal *w, int revents)
{
	(void)w;
	(void)revents;
	ev_break(loop, EVBREAK_ALL);
}

static void on_lifetime(struct ev_loop *loop, ev_timer *w, int revents)
{
	(void)w;
	(void)revents;
	ev_break(loop, EVBREAK_ALL);
}

void tool_prepare(struct ev_loop *loop, double lifetime_s)
{
	static ev_signal term, intr;
	static ev_timer lifetime;
	struct rlimit files;

	signal(SIGPIPE, SIG_IGN);
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	ev_signal_init(&term, on_signal, SIGTERM);
	ev_signal_start(loop, &term);
	ev_signal_init(&intr, on_signal, SIGINT);
	ev_signal_start(loop, &intr);
	ev_timer_init(&lifetime, on_lifetime, lifetime_s, 0.);
	ev_timer_start(loop, &lifetime);
}

uint64_t tool_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}
