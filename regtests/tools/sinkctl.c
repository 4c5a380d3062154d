/*
 * sinkctl SOCKET COMMAND... - sends one command to the control socket of a test tool and prints the answer.
 *
 * Prints what follows OK and exits with 0; prints the whole answer to stderr and exits with 1 on ERR, TIMEOUT and a
 * tool that is not there. With SOCKET NUMBER: no time limit of its own, `wait` has one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

static size_t command_join(char *line, size_t size, char **words)
{
	size_t len = 0;

	for (; *words; words++) {
		int n = snprintf(line + len, size - len, "%s%c", *words, words[1] ? ' ' : '\n');

		if (n < 0 || (size_t)n >= size - len)
			tool_die("the command is too long");
		len += (size_t)n;
	}
	return len;
}

int main(int argc, char **argv)
{
	struct tool_address address;
	char name[512], text[16384];
	size_t len;
	ssize_t n;
	int fd;

	if (argc < 3) {
		fprintf(stderr, "usage: sinkctl SOCKET COMMAND...\n");
		return 1;
	}
	snprintf(name, sizeof(name), "unix:%s", argv[1]);
	tool_address_parse(&address, name);
	fd = tool_connect(&address);
	if (fd < 0)
		tool_die_errno("cannot connect to %s", argv[1]);
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	len = command_join(text, sizeof(text), argv + 2);
	if (write(fd, text, len) != (ssize_t)len)
		tool_die_errno("cannot send to %s", argv[1]);
	for (len = 0; (n = read(fd, text + len, sizeof(text) - 1 - len)) > 0; len += (size_t)n)
		;
	text[len] = '\0';
	if (!strncmp(text, "OK", 2) && (text[2] == ' ' || text[2] == '\n')) {
		if (text[2] == ' ')
			fputs(text + 3, stdout);
		return 0;
	}
	fprintf(stderr, "sinkctl: %s: %s", argv[2], len ? text : "no answer\n");
	return 1;
}
