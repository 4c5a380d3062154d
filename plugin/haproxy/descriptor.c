/*
 * descriptor - see descriptor.h. Walks the descriptors of the process, as neither HAProxy's Lua nor a
 * chroot without /proc tells a socket's number. Both calls are only for connections that have to be cut:
 * a walk costs a system call for each open descriptor.
 *
 * A socket that is connecting has a local name, which Lua does not learn, and no peer's name yet. The kernel
 * tells where it goes by sock_diag (diag.h), with its inode; and the inode tells that it is of this process.
 * HAProxy may have others that go there, a health check or a client's connection to the same mail server: so
 * the caller notes, just before it connects, which sockets are on that way already, and the oldest of the
 * rest is its own.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "descriptor.h"

#define DESCRIPTOR_MAX   (1 << 20) /* where a walk ends, whatever the limit of the process */
#define DESCRIPTOR_CHUNK 512
#define DESCRIPTOR_MINE  1         /* SO_PRIORITY of unix sockets that were claimed; it has no effect on those */

/* A walk over the open descriptors; poll() tells many that are not open with one call. */
struct descriptor_walk {
	struct pollfd fds[DESCRIPTOR_CHUNK];
	int first, count, at, end;
};

static void descriptor_walk_start(struct descriptor_walk *w)
{
	struct rlimit limit = { 0 };

	w->first = 3;
	w->count = w->at = 0;
	getrlimit(RLIMIT_NOFILE, &limit);
	w->end = limit.rlim_cur > DESCRIPTOR_MAX ? DESCRIPTOR_MAX : (int)limit.rlim_cur;
}

/* Looks at the next chunk; false at the end. */
static bool descriptor_walk_fill(struct descriptor_walk *w)
{
	int i, found;

	w->first += w->count;
	w->count = w->end - w->first < DESCRIPTOR_CHUNK ? w->end - w->first : DESCRIPTOR_CHUNK;
	w->at = 0;
	if (w->count <= 0)
		return false;
	for (i = 0; i < w->count; i++)
		w->fds[i] = (struct pollfd){ .fd = w->first + i };
	do {
		found = poll(w->fds, (nfds_t)w->count, 0);
	} while (found < 0 && errno == EINTR);
	return found >= 0;
}

/* The next open descriptor, or -1. */
static int descriptor_walk_next(struct descriptor_walk *w)
{
	for (;;) {
		while (w->at < w->count) {
			const struct pollfd *p = &w->fds[w->at++];

			if (!(p->revents & POLLNVAL))
				return p->fd;
		}
		if (!descriptor_walk_fill(w))
			return -1;
	}
}

/* Is <address> that of an IP socket? Reads what getsockname() and getpeername() say too. */
static bool descriptor_parse(const char *text, struct address *address)
{
	char reason[80];

	return address_parse(address, text, ADDRESS_CLIENT | ADDRESS_NEED_PORT, NULL, NULL, reason, sizeof(reason)) == MAILERS_OK &&
	       (address->family == ADDRESS_IPV4 || address->family == ADDRESS_IPV6);
}

static bool descriptor_same(const struct sockaddr_storage *ss, const struct address *address)
{
	const struct sockaddr_in *in4 = (const void *)ss;
	const struct sockaddr_in6 *in6 = (const void *)ss;

	if (ss->ss_family == AF_INET)
		return address->family == ADDRESS_IPV4 && ntohs(in4->sin_port) == address->port &&
		       !memcmp(&in4->sin_addr, address->ip, sizeof(in4->sin_addr));
	return ss->ss_family == AF_INET6 && address->family == ADDRESS_IPV6 && ntohs(in6->sin6_port) == address->port &&
	       !memcmp(&in6->sin6_addr, address->ip, sizeof(in6->sin6_addr));
}

static bool descriptor_joins(int fd, const struct address *local, const struct address *remote)
{
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);

	if (getsockname(fd, (struct sockaddr *)&ss, &len) != 0 || !descriptor_same(&ss, local))
		return false;
	len = sizeof(ss);
	return getpeername(fd, (struct sockaddr *)&ss, &len) == 0 && descriptor_same(&ss, remote);
}

bool descriptor_shutdown(const char *local, const char *remote)
{
	struct descriptor_walk walk;
	struct address here, there;
	int fd;

	if (!descriptor_parse(local, &here) || !descriptor_parse(remote, &there))
		return false;
	descriptor_walk_start(&walk);
	while ((fd = descriptor_walk_next(&walk)) >= 0) {
		if (descriptor_joins(fd, &here, &there))
			return shutdown(fd, SHUT_RDWR) == 0;
	}
	return false;
}

size_t descriptor_connecting(const char *remote, unsigned long *inodes)
{
	struct diag_socket sockets[DIAG_SOCKETS];
	struct address there;
	size_t n, i;

	if (!descriptor_parse(remote, &there))
		return 0;
	n = diag_connecting(&there, sockets);
	for (i = 0; i < n; i++)
		inodes[i] = sockets[i].inode;
	return n;
}

static bool descriptor_listed(unsigned long inode, const unsigned long *inodes, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (inodes[i] == inode)
			return true;
	}
	return false;
}

bool descriptor_abort(const char *remote, const unsigned long *others, size_t n)
{
	struct diag_socket sockets[DIAG_SOCKETS], *best = NULL, *s;
	struct descriptor_walk walk;
	struct address there;
	int fd, best_fd = -1;
	struct stat st;
	size_t found;

	if (!descriptor_parse(remote, &there))
		return false;
	found = diag_connecting(&there, sockets);
	if (!found)
		return false;
	descriptor_walk_start(&walk);
	while ((fd = descriptor_walk_next(&walk)) >= 0) {
		if (fstat(fd, &st) != 0 || !S_ISSOCK(st.st_mode))
			continue;
		for (s = sockets; s < sockets + found; s++) {
			if (s->inode == st.st_ino && !descriptor_listed(s->inode, others, n) && (!best || diag_older(s, best))) {
				best = s;
				best_fd = fd;
			}
		}
	}
	return best && shutdown(best_fd, SHUT_RDWR) == 0;
}

static bool descriptor_parse_unix(const char *text, struct address *address)
{
	char reason[80];

	return address_parse(address, text, ADDRESS_CLIENT, NULL, NULL, reason, sizeof(reason)) == MAILERS_OK &&
	       (address->family == ADDRESS_UNIX || address->family == ADDRESS_ABNS || address->family == ADDRESS_ABNSZ);
}

/* Is the other end of <fd> a unix socket of that name? */
static bool descriptor_reaches(int fd, const struct address *remote)
{
	size_t skip = remote->family == ADDRESS_UNIX ? 0 : 1, n = strlen(remote->name), have;
	struct sockaddr_un un = { 0 };
	socklen_t len = sizeof(un);

	if (getpeername(fd, (struct sockaddr *)&un, &len) != 0 || un.sun_family != AF_UNIX || len > sizeof(un))
		return false;
	have = len - offsetof(struct sockaddr_un, sun_path);
	if (have < skip + n || (skip && un.sun_path[0]))
		return false;
	/* Behind a path stands a NUL, behind an abstract name as many as the one who made it wrote. */
	return !memcmp(un.sun_path + skip, remote->name, n) && (have == skip + n || !un.sun_path[skip + n]);
}

/* The inode of <fd> when it goes to <remote> and was not claimed; it is then. */
static unsigned long descriptor_take(int fd, const struct address *remote)
{
	int mine = 0, claimed = DESCRIPTOR_MINE;
	socklen_t len = sizeof(mine);
	struct stat st;

	if (fd < 0 || !descriptor_reaches(fd, remote) || fstat(fd, &st) != 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PRIORITY, &mine, &len) != 0 || mine == DESCRIPTOR_MINE)
		return 0;
	setsockopt(fd, SOL_SOCKET, SO_PRIORITY, &claimed, sizeof(claimed));
	return st.st_ino;
}

int descriptor_likely(const char *remote)
{
	struct address there;
	int fd;

	if (!descriptor_parse_unix(remote, &there))
		return -1;
	fd = dup(STDERR_FILENO); /* gets the lowest number that is free */
	if (fd >= 0)
		close(fd);
	return fd;
}

unsigned long descriptor_claim(const char *remote, int likely)
{
	struct descriptor_walk walk;
	struct address there;
	unsigned long inode;
	int fd;

	if (!descriptor_parse_unix(remote, &there))
		return 0;
	inode = descriptor_take(likely, &there);
	if (inode)
		return inode;
	descriptor_walk_start(&walk);
	while (!inode && (fd = descriptor_walk_next(&walk)) >= 0)
		inode = descriptor_take(fd, &there);
	return inode;
}

bool descriptor_end(unsigned long inode)
{
	struct descriptor_walk walk;
	struct stat st;
	int fd;

	descriptor_walk_start(&walk);
	while ((fd = descriptor_walk_next(&walk)) >= 0) {
		if (fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_ino == inode)
			return shutdown(fd, SHUT_RDWR) == 0;
	}
	return false;
}
