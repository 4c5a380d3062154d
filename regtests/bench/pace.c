/*
 * pace - sends commands to HAProxy's CLI at a pace, and says when.
 *
 *   pace SOCKET INTERVAL_MS < commands > times
 *
 * Each line of the input is one command, sent on one interactive connection; the next goes out when INTERVAL_MS
 * are over since the last one, and its answer has come. Each is printed before it is sent: monotonic milliseconds, a tab,
 * the command. Only for benchmarks: tests wait for what they caused instead.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static void die(const char *what)
{
	fprintf(stderr, "pace: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void sleep_until(uint64_t when_ms)
{
	struct timespec ts = { .tv_sec = (time_t)(when_ms / 1000), .tv_nsec = (long)(when_ms % 1000) * 1000000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
		;
}

static void send_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0)
			die("write");
		data += n;
		len -= (size_t)n;
	}
}

/* An answer of the interactive CLI ends with its prompt. */
static void read_answer(int fd)
{
	char tail[2] = { 0 }, c;

	while (!(tail[0] == '>' && tail[1] == ' ')) {
		if (read(fd, &c, 1) != 1)
			die("read");
		tail[0] = tail[1];
		tail[1] = c;
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	uint64_t interval, next;
	char line[4096];
	int fd;

	if (argc != 3 || strlen(argv[1]) >= sizeof(sun.sun_path)) {
		fprintf(stderr, "usage: pace SOCKET INTERVAL_MS < commands > times\n");
		return 1;
	}
	strcpy(sun.sun_path, argv[1]);
	interval = strtoull(argv[2], NULL, 10);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0)
		die(argv[1]);
	send_all(fd, "prompt\n", 7);
	read_answer(fd);
	next = now_ms();
	while (fgets(line, sizeof(line), stdin)) {
		sleep_until(next);
		next = now_ms() + interval;
		printf("%llu\t%s", (unsigned long long)now_ms(), line);
		send_all(fd, line, strlen(line));
		read_answer(fd);
	}
	return 0;
}
