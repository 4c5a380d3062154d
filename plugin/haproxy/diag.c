/*
 * diag - see diag.h. One question, a dump of the sockets in SYN_SENT with the port wanted; the kernel
 * filters by both, the address is compared here. Called by descriptor.c alone.
 */
#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "diag.h"

static bool diag_ask(int fd, const struct address *remote)
{
	struct {
		struct nlmsghdr header;
		struct inet_diag_req_v2 body;
	} request = {
		.header = {
			.nlmsg_len = sizeof(request), .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP,
		},
		.body = {
			.sdiag_family = remote->family == ADDRESS_IPV6 ? AF_INET6 : AF_INET, .sdiag_protocol = IPPROTO_TCP,
			.idiag_states = 1u << TCP_SYN_SENT, .id = { .idiag_dport = htons(remote->port) },
		},
	};

	return send(fd, &request, sizeof(request), MSG_DONTWAIT) == (ssize_t)sizeof(request);
}

static bool diag_matches(const struct inet_diag_msg *m, const struct address *remote)
{
	return m->id.idiag_dport == htons(remote->port) &&
	       !memcmp(m->id.idiag_dst, remote->ip, remote->family == ADDRESS_IPV6 ? 16 : 4);
}

/* Reads one datagram of the answer; false when it was the last one, or none. */
static bool diag_read(int fd, const struct address *remote, struct diag_socket *sockets, size_t *n)
{
	union {
		struct nlmsghdr header;
		char bytes[16384];
	} answer;
	ssize_t got = recv(fd, &answer, sizeof(answer), MSG_DONTWAIT);
	struct nlmsghdr *h;

	if (got <= 0)
		return false;
	for (h = &answer.header; NLMSG_OK(h, (size_t)got); h = NLMSG_NEXT(h, got)) {
		const struct inet_diag_msg *m = NLMSG_DATA(h);

		if (h->nlmsg_type != SOCK_DIAG_BY_FAMILY || h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)))
			return false; /* NLMSG_DONE or NLMSG_ERROR */
		if (*n < DIAG_SOCKETS && diag_matches(m, remote))
			sockets[(*n)++] = (struct diag_socket){
				.inode = m->idiag_inode, .retries = m->idiag_retrans, .left_ms = m->idiag_expires,
			};
	}
	return true;
}

size_t diag_connecting(const struct address *remote, struct diag_socket *sockets)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
	size_t n = 0;

	if (fd < 0)
		return 0;
	if (diag_ask(fd, remote)) {
		while (diag_read(fd, remote, sockets, &n))
			;
	}
	close(fd);
	return n;
}

bool diag_older(const struct diag_socket *a, const struct diag_socket *b)
{
	return a->retries != b->retries ? a->retries > b->retries : a->left_ms < b->left_ms;
}
