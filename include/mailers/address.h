/*
 * address - HAProxy's address formats (configuration manual, chapter "Address formats").
 *
 * One struct for every form: family and type prefixes (ipv4@ ipv6@ ip@ unix@ abns@ fd@ sockpair@ tcp@ tcp4@ tcp6@ udp@ … uxst@ uxdg@
 * quic4@ quic6@, stream+ dgram+ quic+), IPv4, IPv6 with and without brackets, '*', unix paths, host names, ports and port ranges, environment variables.
 * Nothing is resolved or opened here.
 */
#ifndef MAILERS_ADDRESS_H
#define MAILERS_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mailers/error.h>

enum address_family { ADDRESS_UNSPEC = 0, ADDRESS_IPV4, ADDRESS_IPV6, ADDRESS_UNIX, ADDRESS_ABNS, ADDRESS_FD, ADDRESS_SOCKPAIR, ADDRESS_HOST };
enum address_type { ADDRESS_STREAM = 0, ADDRESS_DGRAM, ADDRESS_QUIC };

#define ADDRESS_TEXT_MAX 512

struct address {
	enum address_family family;
	enum address_type type;
	uint8_t ip[16];          /* network order; 4 bytes used for IPv4 */
	uint16_t port, port_end; /* 0 without; port_end is 0 without a range */
	int fd;                  /* FD, SOCKPAIR */
	char name[256];          /* UNIX path, ABNS name, HOST name; NUL-terminated */
	enum address_family host_family; /* HOST: UNSPEC, IPV4 or IPV6 as a prefix asked */
};

/* What the place of the address allows. */
#define ADDRESS_MAY_HOST  0x01u /* a host name (Socket:connect without a port argument takes none) */
#define ADDRESS_NEED_PORT 0x02u /* an IP or host without a port is refused */
#define ADDRESS_MAY_RANGE 0x04u /* port1-port2 */
#define ADDRESS_STREAM_ONLY 0x08u /* datagram and quic forms are refused */
#define ADDRESS_CLIENT    0x10u /* something to connect to: no '*', no port 0 … as Socket:connect */

/* Looks up an environment variable for ${NAME} and "$NAME"; NULL means unset. */
typedef const char *address_getenv_fn(const char *name, void *arg);

/* Parses <text>. On SYNTAX <reason> gets one line for the operator that says what is wrong and what to write.
 * <getenv_fn> may be NULL: variables are refused then.
 */
enum mailers_error address_parse(struct address *out, const char *text, unsigned flags,
                                 address_getenv_fn *getenv_fn, void *getenv_arg,
                                 char *reason, size_t reason_size);

/* Writes the shortest text that address_parse() reads back into the same struct; returns its length, or 0 when <size> is too small. */
size_t address_print(const struct address *a, char *out, size_t size);

#endif
