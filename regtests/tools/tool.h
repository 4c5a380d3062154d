/*
 * tool - what the test programs share: addresses on loopback, port files, going to the background, time.
 *
 * The programs serve tests and benchmarks only. They listen on loopback and unix sockets and refuse any
 * other address, take no fixed port, and end by themselves after a lifetime, so that a test that was killed
 * leaves nothing behind for long.
 */
#ifndef TOOL_H
#define TOOL_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <netinet/in.h>

#include <ev.h>

#define TOOL_LIFETIME_S 900

struct tool_address {
	union {
		struct sockaddr sa;
		struct sockaddr_in in4;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	};
	socklen_t len;
};

/* Prints "<program>: <text>" to stderr and exits with 1. */
void tool_die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* The same with the text of errno behind it. */
void tool_die_errno(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* Reads "127.0.0.1:0", "[::1]:0", a bare port (of 127.0.0.1), "unix:PATH" or "abns:NAME" (padded with NULs to
 * its whole length, as HAProxy does). Exits on anything else, and on an address that is not loopback.
 */
void tool_address_parse(struct tool_address *address, const char *text);

/* As tool_listen(), but for listen(): connections are refused, and nobody else gets the port. */
int tool_bind(struct tool_address *address);

/* Returns a non-blocking listening socket, and writes back to <address> the port it was given. -1 and errno on
 * failure.
 */
int tool_listen(struct tool_address *address, int backlog);

/* Returns a non-blocking socket that connects or is connected, or -1 and errno. */
int tool_connect(const struct tool_address *address);

/* The port of <address>, in host order, or 0 for a unix socket. */
unsigned int tool_port(const struct tool_address *address);

/* Replaces <path> at once, so that a reader sees the whole text or none. Exits on failure. */
void tool_write_file(const char *path, const char *text);

/* Forks; the parent exits with 0 once the child calls tool_ready(), or with 1 if the child ends before that. */
void tool_background(void);

/* Says that the program listens: writes <text> to <port_file> (may be NULL) and stdout, and releases the parent
 * of tool_background(), which keeps stdin, stdout and stderr open no longer.
 */
void tool_ready(const char *port_file, const char *text);

/* Ends the loop on SIGTERM and SIGINT and after <lifetime_s> seconds; ignores SIGPIPE; raises the limit of open
 * files to what is allowed.
 */
void tool_prepare(struct ev_loop *loop, double lifetime_s);

/* Reads a decimal number between <min> and <max> or exits, naming <what>. */
long tool_number(const char *what, const char *text, long min, long max);

/* Milliseconds of the monotonic clock. */
uint64_t tool_now_ms(void);

#endif
