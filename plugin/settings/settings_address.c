/*
 * settings_address - the addresses of extra mailers, at start: HAProxy's Socket:connect() takes no host names,
 * so they are resolved here, once, as HAProxy itself does with `mailer` lines.
 */
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <mailers/address.h>

#include "settings_internal.h"

#define ADDRESS_FLAGS (ADDRESS_CLIENT | ADDRESS_MAY_HOST | ADDRESS_NEED_PORT | ADDRESS_STREAM_ONLY)

static const char *address_getenv(const char *name, void *arg)
{
	(void)arg;
	return getenv(name);
}

/* Formats that parse, and that no mail server listens on. NULL when it is none of them. */
static const char *address_useless(const struct address *a)
{
	static const uint8_t any[16];

	switch (a->family) {
	case ADDRESS_IPV4:
	case ADDRESS_IPV6:
		return memcmp(a->ip, any, a->family == ADDRESS_IPV4 ? 4 : 16) ? NULL :
		       "is an address to listen on; write the mail server's, such as 192.0.2.25:25";
	case ADDRESS_SOCKPAIR:
		return "is a descriptor of HAProxy's own processes; write ip:port, unix@ or abns@";
	case ADDRESS_UNIX:
	case ADDRESS_ABNS:
	case ADDRESS_ABNSZ:
		return a->name[0] ? NULL : "names no socket; write one such as unix@/run/smtp.sock";
	default:
		return NULL;
	}
}

/* The first address of a->name. */
static bool address_resolve(struct settings *s, const char *place, struct address *a, char *reason)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;
	int error;

	hints.ai_family = a->host_family == ADDRESS_IPV4   ? AF_INET
	                  : a->host_family == ADDRESS_IPV6 ? AF_INET6
	                                                   : AF_UNSPEC;
	error = getaddrinfo(a->name, NULL, &hints, &found);
	if (!error && found->ai_family != AF_INET && found->ai_family != AF_INET6)
		error = EAI_FAMILY;
	if (error) {
		if (found)
			freeaddrinfo(found);
		return settings_refuse(s, reason, place,
		                       "cannot resolve %.255s: %s; check the name, or write its IP address",
		                       a->name, gai_strerror(error));
	}
	memset(a->ip, 0, sizeof(a->ip));
	if (found->ai_family == AF_INET) {
		a->family = ADDRESS_IPV4;
		memcpy(a->ip, &((const struct sockaddr_in *)(const void *)found->ai_addr)->sin_addr, 4);
	} else {
		a->family = ADDRESS_IPV6;
		memcpy(a->ip, &((const struct sockaddr_in6 *)(const void *)found->ai_addr)->sin6_addr, 16);
	}
	a->name[0] = '\0';
	freeaddrinfo(found);
	return true;
}

/* A trailing dot is the resolver's matter: no certificate has it. */
static bool address_keep_host(struct settings *s, struct settings_entry *e, const char *name)
{
	size_t len = strlen(name);

	e->host = settings_copy(s, name, len - (name[len - 1] == '.'));
	return e->host;
}

bool settings_address_read(struct settings *s, struct settings_entry *e, char *reason)
{
	char place[SETTINGS_WHERE_MAX + 20], why[256], text[ADDRESS_TEXT_MAX + 1];
	const char *useless;
	struct address a;

	snprintf(place, sizeof(place), "%s.address", e->where);
	if (address_parse(&a, e->own.address, ADDRESS_FLAGS | s->haproxy, address_getenv, NULL, why,
	                  sizeof(why)))
		return settings_refuse(s, reason, place, "%s", why);
	useless = address_useless(&a);
	if (useless)
		return settings_refuse(s, reason, place, "'%.100s' %s", e->own.address, useless);
	e->port = a.port;
	if (a.family == ADDRESS_HOST) {
		if (!address_keep_host(s, e, a.name))
			return settings_refuse(s, reason, place, "out of memory; start again");
		if (!address_resolve(s, place, &a, reason))
			return false;
	}
	if (!address_print(&a, text, sizeof(text)))
		return settings_refuse(s, reason, place, "'%.100s' has a '$' in its name; write another",
		                       e->own.address);
	e->address = settings_copy(s, text, strlen(text));
	return e->address || settings_refuse(s, reason, place, "out of memory; start again");
}

unsigned settings_address_port(const char *address)
{
	struct address a;

	return address_parse(&a, address, ADDRESS_MAY_HOST, NULL, NULL, NULL, 0) ? 0 : a.port;
}
