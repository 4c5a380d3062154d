/*
 * address - HAProxy's address formats (configuration manual, "Address formats": chapter 11 up to 3.1, 2.9 later).
 *
 *   address = [ type ] ( [ family ] ip-or-host [ ":" [ port ] ] / [ "unix@" ] path / "abns@" name / … )
 *   type    = "stream+" / "dgram+" / "quic+"
 *   family  = "ip@" / "ipv4@" / "ipv6@" / "unix@" / "abns@" / "abnsz@" / "fd@" / "sockpair@"
 *           / "tcp@" / "tcp4@" / "tcp6@" / "udp@" / "udp4@" / "udp6@" / "quic4@" / "quic6@"
 *           / "mptcp@" / "mptcp4@" / "mptcp6@" / "uxst@" / "uxdg@"
 *   ip      = IPv4 / IPv6 / "[" IPv6-or-IPv4 "]" / "*" / ""       ("*" and "": any address of the family)
 *   port    = number / number "-" number / "+" number / "-" number
 *
 * The port stands after the last colon: "::1:25" is port 25 of ::1, and "::1" needs "[::1]" or "::1:".
 * A leading '/' is a unix path. "$NAME" and "${NAME}" are environment variables, replaced before all
 * else; one that is not set is empty.
 *
 * Nothing is resolved, opened or looked up here: a host name stays a name, and whether a descriptor is
 * open is not asked. With ADDRESS_CLIENT | ADDRESS_NEED_PORT the parser takes exactly what
 * Socket:connect(text) of HAProxy takes, its peculiarities included; regtests/haproxy/address proves it.
 */
#ifndef MAILERS_ADDRESS_H
#define MAILERS_ADDRESS_H

#include <stddef.h>
#include <stdint.h>

#include <mailers/error.h>

enum address_family {
	ADDRESS_UNSPEC = 0, /* of no parsed address; as host_family: either */
	ADDRESS_IPV4, ADDRESS_IPV6,
	ADDRESS_UNIX,       /* a path, absolute or not */
	ADDRESS_ABNS,       /* abstract name, padded with NULs to the whole of sun_path (HAProxy's way) */
	ADDRESS_FD, ADDRESS_SOCKPAIR,
	ADDRESS_HOST,       /* a host name, to be resolved by others */
	ADDRESS_ABNSZ,      /* abstract name, as long as it is (everybody else's way); HAProxy 3.1 */
};

enum address_type {
	ADDRESS_STREAM = 0,
	ADDRESS_DGRAM,
	ADDRESS_QUIC,       /* stream transport on datagram sockets */
	ADDRESS_MPTCP,      /* stream, by multipath TCP; HAProxy 3.1 */
};

/* Most bytes of a text once its variables are replaced, and enough for whatever address_print() writes. */
#define ADDRESS_TEXT_MAX 512
/* HAProxy keeps 10 of sun_path's 107 bytes for the suffix of a socket being bound, for clients too. */
#define ADDRESS_UNIX_MAX 97
#define ADDRESS_ABNS_MAX 107
#define ADDRESS_HOST_MAX 255 /* RFC 1035 2.3.4 */

struct address {
	enum address_family family;
	enum address_type type;
	uint8_t ip[16];          /* IPV4, IPV6: network order; 4 bytes used for IPv4; 0 for '*' and the empty host */
	uint16_t port, port_end; /* IPV4, IPV6, HOST: 0 without; port_end is 0 without a range, else > port */
	char port_sign;          /* '+' or '-': <port> is an offset to the port of the other side; else NUL */
	int fd;                  /* FD, SOCKPAIR */
	char name[256];          /* UNIX, ABNS, ABNSZ, HOST: NUL-terminated; empty is possible but for HOST */
	enum address_family host_family; /* HOST: UNSPEC, IPV4 or IPV6 as a prefix asked */
};

/* What the place of the address allows. Without any flag: all types and families but host names, no port or one. */
#define ADDRESS_MAY_HOST    0x01u /* a host name (Socket:connect takes none) */
#define ADDRESS_NEED_PORT   0x02u /* an IP address or host without a port, or with port 0, is refused */
#define ADDRESS_MAY_RANGE   0x04u /* port1-port2 */
#define ADDRESS_STREAM_ONLY 0x08u /* datagram and quic forms are refused */
#define ADDRESS_CLIENT      0x10u /* to connect to, as Socket:connect: datagram forms and fd@ are refused */
#define ADDRESS_MAY_OFFSET  0x20u /* +port and -port, as on server lines */

/* The HAProxy whose format counts, to be or-ed to the flags; the newest known one without. It decides
 * on abnsz@ and mptcp@ (3.1), and with ADDRESS_CLIENT on text behind a port's digits, ignored until 2.9.
 */
#define ADDRESS_HAPROXY(major, minor) (((unsigned)(major) << 8 | (unsigned)(minor)) << 16)

/* Looks up the environment variable <name>. Returns its value, valid until the next call, or NULL. */
typedef const char *address_getenv_fn(const char *name, void *arg);

/* Parses <text>, with <flags> of the above. Returns OK, or SYNTAX; then <out> is all zero and <reason>
 * holds one printable line for the operator: what is wrong, and after "; write " what to write instead,
 * cut to <reason_size> - 1 bytes (after OK it is empty). <getenv_fn> may be NULL: a '$' is refused then.
 *
 * ADDRESS_CLIENT for Socket:connect(text, port) with a port above 0: HAProxy parses <text> with a colon
 * added, so append one and leave ADDRESS_NEED_PORT out.
 */
enum mailers_error address_parse(struct address *out, const char *text, unsigned flags,
                                 address_getenv_fn *getenv_fn, void *getenv_arg,
                                 char *reason, size_t reason_size);

/* Writes the text of <a> to <out>, NUL-terminated: HAProxy's own form (127.0.0.1:25, ::1:25, /path,
 * abns@name) where it has one, and the shortest prefix elsewhere. address_parse() with the flags that
 * <a> came from reads it back into the same struct. Returns its length, or 0, and an empty <out>, when
 * <size> is too small or no text says <a> (family UNSPEC, a '$' that a variable brought into a name).
 */
size_t address_print(const struct address *a, char *out, size_t size);

#endif
