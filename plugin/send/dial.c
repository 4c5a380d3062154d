/*
 * dial - see dial.h. The text is read by the core's address module, with the rules for a client; this file only makes
 * socket addresses of the result.
 *
 * Called by host.c for each connection.
 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <mailers/address.h>

#include "dial.h"

static const char *dial_getenv(const char *name, void *arg)
{
	(void)arg;
	return getenv(name);
}

/* Begins to connect; the descriptor, or -1 with errno. */
static int dial_to(const struct sockaddr *sa, socklen_t len)
{
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), error;

	if (fd < 0)
		return -1;
	if (connect(fd, sa, len) == 0 || errno == EINPROGRESS)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

static int dial_unix(const struct address *a)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	size_t len = strlen(a->name);

	if (a->family == ADDRESS_UNIX) {
		memcpy(un.sun_path, a->name, len); /* the parser bounds it well below sun_path */
		return dial_to((struct sockaddr *)&un, sizeof(un));
	}
	/* HAProxy pads abns names to the whole of sun_path; abnsz names end where they end. */
	memcpy(un.sun_path + 1, a->name, len);
	len = a->family == ADDRESS_ABNS ? sizeof(un) : offsetof(struct sockaddr_un, sun_path) + 1 + len;
	return dial_to((struct sockaddr *)&un, (socklen_t)len);
}

static int dial_ip(const struct address *a)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(a->port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(a->port) };

	if (a->family == ADDRESS_IPV4) {
		memcpy(&in.sin_addr, a->ip, sizeof(in.sin_addr));
		return dial_to((struct sockaddr *)&in, sizeof(in));
	}
	memcpy(&in6.sin6_addr, a->ip, sizeof(in6.sin6_addr));
	return dial_to((struct sockaddr *)&in6, sizeof(in6));
}

struct dial {
	struct addrinfo *list, *next;
	char name[ADDRESS_HOST_MAX + 1];
};

void dial_free(struct dial *rest)
{
	if (!rest)
		return;
	freeaddrinfo(rest->list);
	free(rest);
}

int dial_next(struct dial *rest, char *reason)
{
	int fd = -1;

	snprintf(reason, DIAL_REASON_SIZE, "%s: it has no other address", rest ? rest->name : "host");
	while (rest && rest->next && fd < 0) {
		const struct addrinfo *ai = rest->next;

		rest->next = ai->ai_next;
		fd = dial_to(ai->ai_addr, ai->ai_addrlen);
		if (fd < 0)
			snprintf(reason, DIAL_REASON_SIZE, "%s: %s", rest->name, strerror(errno));
	}
	return fd;
}

static int dial_host(const struct address *a, struct dial **rest, char *reason)
{
	static const int families[] = {
		[ADDRESS_UNSPEC] = AF_UNSPEC, [ADDRESS_IPV4] = AF_INET, [ADDRESS_IPV6] = AF_INET6,
	};
	struct addrinfo hints = { .ai_family = families[a->host_family], .ai_socktype = SOCK_STREAM };
	struct dial *d = calloc(1, sizeof(*d));
	char port[8];
	int error;

	if (!d) {
		snprintf(reason, DIAL_REASON_SIZE, "out of memory");
		return -1;
	}
	snprintf(port, sizeof(port), "%u", a->port);
	snprintf(d->name, sizeof(d->name), "%s", a->name);
	error = getaddrinfo(a->name, port, &hints, &d->list);
	if (error) {
		snprintf(reason, DIAL_REASON_SIZE, "%s: %s", a->name, gai_strerror(error));
		free(d);
		return -1;
	}
	d->next = d->list;
	*rest = d;
	return dial_next(d, reason);
}

int dial(const char *address, struct dial **rest, char *reason)
{
	struct address a;
	int fd;

	*rest = NULL;
	reason[0] = '\0';
	if (address_parse(&a, address, ADDRESS_CLIENT | ADDRESS_MAY_HOST | ADDRESS_NEED_PORT | ADDRESS_STREAM_ONLY,
	                  dial_getenv, NULL, reason, DIAL_REASON_SIZE))
		return -1;
	switch (a.family) {
	case ADDRESS_IPV4:
	case ADDRESS_IPV6:
		fd = dial_ip(&a);
		break;
	case ADDRESS_UNIX:
	case ADDRESS_ABNS:
	case ADDRESS_ABNSZ:
		fd = dial_unix(&a);
		break;
	case ADDRESS_HOST:
		return dial_host(&a, rest, reason);
	default:
		snprintf(reason, DIAL_REASON_SIZE, "%s is nothing that this program can connect to", address);
		return -1;
	}
	if (fd < 0)
		snprintf(reason, DIAL_REASON_SIZE, "%s", strerror(errno));
	return fd;
}

int dial_outcome(int fd)
{
	socklen_t len = sizeof(int);
	int error = 0;

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) ? errno : error;
}
