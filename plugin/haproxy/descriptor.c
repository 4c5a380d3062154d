/*
 * descriptor - see descriptor.h. Walks the descriptors of the process, as neither HAProxy's Lua nor a
 * chroot without /proc tells a socket's number. It costs a system call a descriptor and is only for connections
 * that have to be cut.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "descriptor.h"

/* Parses "1.2.3.4:25" or "::1:25" (HAProxy writes no brackets here; they are taken too). */
static bool descriptor_parse(const char *text, struct sockaddr_storage *ss)
{
	struct sockaddr_in *in4 = (struct sockaddr_in *)(void *)ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)(void *)ss;
	const char *colon = strrchr(text, ':');
	char host[INET6_ADDRSTRLEN];
	size_t len;
	long port;

	if (!colon)
		return false;
	port = strtol(colon + 1, NULL, 10);
	len = (size_t)(colon - text);
	if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
		text++;
		len -= 2;
	}
	if (port <= 0 || port > 65535 || len >= sizeof(host))
		return false;
	memcpy(host, text, len);
	host[len] = '\0';
	memset(ss, 0, sizeof(*ss));
	if (inet_pton(AF_INET, host, &in4->sin_addr) == 1) {
		in4->sin_family = AF_INET;
		in4->sin_port = htons((uint16_t)port);
		return true;
	}
	if (inet_pton(AF_INET6, host, &in6->sin6_addr) == 1) {
		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons((uint16_t)port);
		return true;
	}
	return false;
}

static bool descriptor_same(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	const struct sockaddr_in *a4 = (const void *)a, *b4 = (const void *)b;
	const struct sockaddr_in6 *a6 = (const void *)a, *b6 = (const void *)b;

	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET)
		return a4->sin_port == b4->sin_port && a4->sin_addr.s_addr == b4->sin_addr.s_addr;
	return a6->sin6_port == b6->sin6_port && !memcmp(&a6->sin6_addr, &b6->sin6_addr, sizeof(a6->sin6_addr));
}

/* An end of <fd> equals <wanted>. A socket that is still connecting has no peer yet: it is let pass. */
static bool descriptor_end(int fd, const struct sockaddr_storage *wanted, bool peer)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);

	if (peer)
		return getpeername(fd, (struct sockaddr *)&ss, &len) != 0 || descriptor_same(&ss, wanted);
	return getsockname(fd, (struct sockaddr *)&ss, &len) == 0 && descriptor_same(&ss, wanted);
}

bool descriptor_shutdown(const char *local, const char *remote)
{
	struct sockaddr_storage here, there;
	struct rlimit limit;
	int fd, most, listening;
	socklen_t len;

	if (!descriptor_parse(local, &here) || !descriptor_parse(remote, &there))
		return false;
	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return false;
	most = limit.rlim_cur > 1 << 20 ? 1 << 20 : (int)limit.rlim_cur;
	for (fd = 3; fd < most; fd++) {
		if (!descriptor_end(fd, &here, false) || !descriptor_end(fd, &there, true))
			continue;
		len = sizeof(listening);
		if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 && !listening)
			return shutdown(fd, SHUT_RDWR) == 0;
	}
	return false;
}
