/*
 * address - see address.h. Called where settings are checked, and by the relay for what it opens.
 *
 * The measure is HAProxy's own parser, not the manual's prose: what Socket:connect takes a client must
 * not refuse, or a setting that works would stop the start. So the steps are HAProxy's, in its order:
 * variables, type prefix, family prefix, last colon, port, IP address. Its peculiarities are kept and
 * each is named below; those that are mistakes only for ADDRESS_CLIENT, where HAProxy reads the same text.
 *
 * Not for names (nothing is resolved) and not for sockaddrs (the hosts make them). No allocation.
 */
#include <arpa/inet.h> /* inet_pton, inet_ntop: HAProxy reads and writes IP addresses with these two */
#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mailers/address.h>

#define KEEP_TYPE (-1)
#define QUOTE_MAX 48          /* of the operator's text that a reason repeats */
#define HOST_LABEL_MAX 63     /* RFC 1035 2.3.4 */
#define EXAMPLE "127.0.0.1:25 or [::1]:25"

struct prefix {
	const char *text;
	enum address_family family; /* UNSPEC: an IP address or host of either family */
	int type;                   /* of enum address_type, or KEEP_TYPE */
	unsigned since;             /* the HAProxy that brought it; 0: older than all that are supported */
};

static const struct prefix type_prefixes[] = {
	{ "stream+", ADDRESS_UNSPEC, ADDRESS_STREAM, 0 },
	{ "dgram+", ADDRESS_UNSPEC, ADDRESS_DGRAM, 0 },
	{ "quic+", ADDRESS_UNSPEC, ADDRESS_QUIC, 0 },
	{ NULL, ADDRESS_UNSPEC, 0, 0 },
};

static const struct prefix family_prefixes[] = {
	{ "unix@", ADDRESS_UNIX, KEEP_TYPE, 0 },
	{ "uxdg@", ADDRESS_UNIX, ADDRESS_DGRAM, 0 },
	{ "uxst@", ADDRESS_UNIX, ADDRESS_STREAM, 0 },
	{ "abns@", ADDRESS_ABNS, KEEP_TYPE, 0 },
	{ "abnsz@", ADDRESS_ABNSZ, KEEP_TYPE, ADDRESS_HAPROXY(3, 1) },
	{ "ip@", ADDRESS_UNSPEC, KEEP_TYPE, 0 },
	{ "ipv4@", ADDRESS_IPV4, KEEP_TYPE, 0 },
	{ "ipv6@", ADDRESS_IPV6, KEEP_TYPE, 0 },
	{ "tcp@", ADDRESS_UNSPEC, ADDRESS_STREAM, 0 },
	{ "tcp4@", ADDRESS_IPV4, ADDRESS_STREAM, 0 },
	{ "tcp6@", ADDRESS_IPV6, ADDRESS_STREAM, 0 },
	{ "udp@", ADDRESS_UNSPEC, ADDRESS_DGRAM, 0 },
	{ "udp4@", ADDRESS_IPV4, ADDRESS_DGRAM, 0 },
	{ "udp6@", ADDRESS_IPV6, ADDRESS_DGRAM, 0 },
	{ "quic4@", ADDRESS_IPV4, ADDRESS_QUIC, 0 },
	{ "quic6@", ADDRESS_IPV6, ADDRESS_QUIC, 0 },
	{ "mptcp@", ADDRESS_UNSPEC, ADDRESS_MPTCP, ADDRESS_HAPROXY(3, 1) },
	{ "mptcp4@", ADDRESS_IPV4, ADDRESS_MPTCP, ADDRESS_HAPROXY(3, 1) },
	{ "mptcp6@", ADDRESS_IPV6, ADDRESS_MPTCP, ADDRESS_HAPROXY(3, 1) },
	{ "fd@", ADDRESS_FD, KEEP_TYPE, 0 },
	{ "sockpair@", ADDRESS_SOCKPAIR, KEEP_TYPE, 0 },
	{ NULL, ADDRESS_UNSPEC, 0, 0 },
};

/* How address_print() starts, [type][family]; "" needs no prefix, NULL cannot come out of a parse. */
static const char *const print_prefixes[][ADDRESS_ABNSZ + 1] = {
	[ADDRESS_STREAM] = {
		[ADDRESS_IPV4] = "", [ADDRESS_IPV6] = "", [ADDRESS_UNIX] = "unix@", [ADDRESS_ABNS] = "abns@",
		[ADDRESS_FD] = "fd@", [ADDRESS_SOCKPAIR] = "sockpair@", [ADDRESS_HOST] = "",
		[ADDRESS_ABNSZ] = "abnsz@",
	},
	[ADDRESS_DGRAM] = {
		[ADDRESS_IPV4] = "udp4@", [ADDRESS_IPV6] = "udp6@", [ADDRESS_UNIX] = "uxdg@",
		[ADDRESS_ABNS] = "dgram+abns@", [ADDRESS_FD] = "dgram+fd@",
		[ADDRESS_SOCKPAIR] = "dgram+sockpair@", [ADDRESS_HOST] = "udp@",
		[ADDRESS_ABNSZ] = "dgram+abnsz@",
	},
	[ADDRESS_QUIC] = {
		[ADDRESS_IPV4] = "quic4@", [ADDRESS_IPV6] = "quic6@", [ADDRESS_UNIX] = "quic+unix@",
		[ADDRESS_ABNS] = "quic+abns@", [ADDRESS_FD] = "quic+fd@",
		[ADDRESS_SOCKPAIR] = "quic+sockpair@", [ADDRESS_HOST] = "quic+",
		[ADDRESS_ABNSZ] = "quic+abnsz@",
	},
	[ADDRESS_MPTCP] = {
		[ADDRESS_IPV4] = "mptcp4@", [ADDRESS_IPV6] = "mptcp6@", [ADDRESS_HOST] = "mptcp@",
	},
};

struct quote {
	char text[QUOTE_MAX * 4 + 6]; /* each byte may need \xNN; quotes, "..." and NUL */
};

struct parser {
	struct address *out;
	unsigned flags;
	char *reason;
	size_t reason_size;
	char text[ADDRESS_TEXT_MAX + 1]; /* with its variables replaced */
};

/* <len> bytes of <text> in quotes, printable and cut. */
static const char *quote_part(struct quote *q, const char *text, size_t len)
{
	size_t n = 0;

	q->text[n++] = '\'';
	for (size_t i = 0; i < len && i < QUOTE_MAX; i++) {
		if (isprint((unsigned char)text[i]) && (unsigned char)text[i] < 0x80)
			q->text[n++] = text[i];
		else
			n += (size_t)snprintf(q->text + n, 5, "\\x%02X", (unsigned char)text[i]);
	}
	snprintf(q->text + n, sizeof(q->text) - n, "%s'", len > QUOTE_MAX ? "..." : "");
	return q->text;
}

static const char *quote(struct quote *q, const char *text)
{
	return quote_part(q, text, strlen(text));
}

/* Writes the reason. Returns false, so that a step can end with it. */
__attribute__((format(printf, 2, 3)))
static bool refuse(struct parser *p, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	if (p->reason_size)
		vsnprintf(p->reason, p->reason_size, format, ap);
	va_end(ap);
	return false;
}

/* Is the HAProxy at hand older than <version> (of ADDRESS_HAPROXY)? */
static bool older_than(const struct parser *p, unsigned version)
{
	unsigned at_hand = p->flags & ~0xffffu;

	return at_hand && at_hand < version;
}

/* Reads a variable from <text>, which starts with '$'. Returns the text behind it and its value,
 * or NULL for a name longer than any. As in HAProxy the closing brace may be missing, and a '$'
 * without a name is empty.
 */
static const char *variable_read(const char *text, address_getenv_fn *getenv_fn, void *arg, const char **value)
{
	char name[ADDRESS_TEXT_MAX];
	bool brace = text[1] == '{';
	size_t len = 0;

	text += 1 + brace;
	while (isalnum((unsigned char)text[len]) || text[len] == '_')
		len++;
	if (len >= sizeof(name))
		return NULL;
	memcpy(name, text, len);
	name[len] = '\0';
	*value = len ? getenv_fn(name, arg) : NULL;
	text += len;
	return text + (brace && *text == '}');
}

/* Copies <text> to p->text with its variables replaced; what they hold is not looked at again. */
static bool parser_expand(struct parser *p, const char *text, address_getenv_fn *getenv_fn, void *arg)
{
	size_t len = 0;

	while (*text) {
		const char *part = text;
		size_t n = strcspn(text, "$");

		if (n) {
			text += n;
		} else if (!getenv_fn) {
			return refuse(p, "environment variables are not replaced here; write the value itself");
		} else {
			text = variable_read(text, getenv_fn, arg, &part);
			part = text && part ? part : "";
			n = strlen(part);
		}
		if (!text || n > ADDRESS_TEXT_MAX - len)
			return refuse(p, "the address is longer than %d bytes; write a shorter one",
			              ADDRESS_TEXT_MAX);
		memcpy(p->text + len, part, n);
		len += n;
	}
	p->text[len] = '\0';
	if (!len)
		return refuse(p, "the address is empty (is an environment variable missing?); write " EXAMPLE);
	return true;
}

/* The row of <table> that <text> starts with, or NULL; *<rest> is the text behind the prefix.
 * HAProxy compares five bytes of "abnsz@" and skips six, so any byte in place of '@' will do there.
 */
static const struct prefix *prefix_find(const struct parser *p, const struct prefix *table, const char *text,
                                        const char **rest)
{
	for (const struct prefix *row = table; row->text; row++) {
		size_t len = strlen(row->text);
		bool sloppy = (p->flags & ADDRESS_CLIENT) && row->family == ADDRESS_ABNSZ &&
		              !older_than(p, row->since);

		if (strncmp(text, row->text, len - sloppy) == 0 && text[len - 1]) {
			*rest = text + len;
			return row;
		}
	}
	*rest = text;
	return NULL;
}

/* Reads both prefixes into family and type. Returns the text behind them, or NULL after refusing. */
static const char *parser_read_prefixes(struct parser *p)
{
	const struct prefix *type, *family;
	const char *text;
	struct quote q;

	type = prefix_find(p, type_prefixes, p->text, &text);
	if (type)
		p->out->type = (enum address_type)type->type;
	family = prefix_find(p, family_prefixes, text, &text);
	if (!family) {
		if (*text == '/')
			p->out->family = ADDRESS_UNIX;
		return text;
	}
	if (older_than(p, family->since)) {
		refuse(p, "%s is not known before HAProxy %u.%u; write %s", quote(&q, family->text),
		       family->since >> 24, family->since >> 16 & 0xff,
		       family->family == ADDRESS_ABNSZ ? "abns@name or a unix path" : "tcp@ip:port");
		return NULL;
	}
	p->out->family = family->family;
	if (family->type != KEEP_TYPE)
		p->out->type = (enum address_type)family->type;
	return text;
}

/* UNIX, ABNS, ABNSZ: all of <text> is the name, colons too; HAProxy takes an empty one. */
static bool parser_read_name(struct parser *p, const char *text)
{
	size_t max = p->out->family == ADDRESS_UNIX ? ADDRESS_UNIX_MAX : ADDRESS_ABNS_MAX;
	size_t len = strlen(text);
	struct quote q;

	if (len > max)
		return refuse(p, "the socket name %s has %zu bytes; write one of at most %zu",
		              quote(&q, text), len, max);
	memcpy(p->out->name, text, len + 1);
	return true;
}

/* FD, SOCKPAIR: what strtol() reads, blanks and sign before it included, kept in an int as HAProxy does. */
static bool parser_read_fd(struct parser *p, const char *text)
{
	const char *prefix = p->out->family == ADDRESS_FD ? "fd@" : "sockpair@";
	struct quote q;
	char *end;
	long fd;

	if (p->out->family == ADDRESS_FD && (p->flags & ADDRESS_CLIENT))
		return refuse(p, "an inherited descriptor (fd@) is nothing to connect to; write " EXAMPLE);
	fd = strtol(text, &end, 10);
	p->out->fd = (int)fd;
	if (!*text || *end || p->out->fd < 0 || (!(p->flags & ADDRESS_CLIENT) && p->out->fd != fd))
		return refuse(p, "%s is no file descriptor; write its number, as %s3", quote(&q, text), prefix);
	return true;
}

/* Reads a number of 0 to 65535 up to <end> (NULL: to the end of <text>). For a client as HAProxy does:
 * a larger one goes through an int (4294967321 is port 25), and before 2.9 what follows the digits is ignored.
 */
static bool parser_read_number(struct parser *p, const char *text, const char *end, uint16_t *number)
{
	bool client = p->flags & ADDRESS_CLIENT;
	bool lenient = client && older_than(p, ADDRESS_HAPROXY(2, 9));
	const char *stop = end ? end : text + strlen(text);
	struct quote q;
	char *behind;
	long value;

	value = isdigit((unsigned char)*text) ? strtol(text, &behind, 10) : -1;
	if (value < 0 || (behind != stop && !lenient))
		return refuse(p, "%s is no port number; write a number from 1 to 65535",
		              quote_part(&q, text, (size_t)(stop - text)));
	if (client)
		value = (int)value;
	if (value < 0 || value > 65535)
		return refuse(p, "port %s is out of range; write a number from 1 to 65535",
		              quote_part(&q, text, (size_t)(stop - text)));
	*number = (uint16_t)value;
	return true;
}

/* Reads "25", "25-30", "+25", "-25" or nothing. */
static bool parser_read_port(struct parser *p, const char *text)
{
	struct address *out = p->out;
	const char *dash = strchr(text, '-');
	struct quote q;

	if (*text == '+' || *text == '-') {
		if (!(p->flags & ADDRESS_MAY_OFFSET))
			return refuse(p, "%s is a port offset, not taken here; write the port itself, 1 to 65535",
			              quote(&q, text));
		out->port_sign = *text;
		return parser_read_number(p, text + 1, NULL, &out->port);
	}
	if (*text && dash && isdigit((unsigned char)*text)) {
		if (!(p->flags & ADDRESS_MAY_RANGE))
			return refuse(p, "%s is a port range, not taken here; write one port", quote(&q, text));
		if (!parser_read_number(p, text, dash, &out->port) ||
		    !parser_read_number(p, dash + 1, NULL, &out->port_end))
			return false;
		if (out->port > out->port_end)
			return refuse(p, "port range %s is upside down; write the lower port first", quote(&q, text));
		if (out->port == out->port_end)
			out->port_end = 0;
	} else if (*text && !parser_read_number(p, text, NULL, &out->port)) {
		return false;
	}
	if ((p->flags & ADDRESS_NEED_PORT) && !out->port)
		return refuse(p, "the port is %s; write a number from 1 to 65535 behind a colon",
		              *text ? "0" : "missing");
	return true;
}

/* Letters, digits, '-' and '_' in labels of 1 to 63, one dot at the end allowed. Not ending in a number:
 * that is an IPv4 address with a mistake (RFC 1123 2.1), which a resolver might read in its own way.
 */
static bool host_valid(const char *host)
{
	size_t total = strlen(host);
	const char *label = host;

	if (!total || total > ADDRESS_HOST_MAX)
		return false;
	for (;;) {
		size_t len = strcspn(label, ".");

		if (!len || len > HOST_LABEL_MAX)
			return false;
		for (size_t i = 0; i < len; i++) {
			if (!isalnum((unsigned char)label[i]) && label[i] != '-' && label[i] != '_')
				return false;
		}
		if (!label[len] || !label[len + 1])
			return strspn(label, "0123456789") != len;
		label += len + 1;
	}
}

/* Reads <host> as an IP address of <family> (UNSPEC: either) into <out>. */
static bool ip_read(const char *host, enum address_family family, struct address *out)
{
	if (family != ADDRESS_IPV4 && inet_pton(AF_INET6, host, out->ip) == 1)
		out->family = ADDRESS_IPV6;
	else if (family != ADDRESS_IPV6 && inet_pton(AF_INET, host, out->ip) == 1)
		out->family = ADDRESS_IPV4;
	else
		return false;
	return true;
}

/* <host>, without brackets around it, is nothing that this place takes: says why. <text> is what stands
 * there, with the port.
 */
static bool parser_refuse_host(struct parser *p, const char *host, const char *text)
{
	struct address other;
	struct quote q;

	if (ip_read(text, ADDRESS_IPV6, &other) && p->out->family != ADDRESS_IPV4)
		return refuse(p, "IPv6 address %s has no port that can be told from it; write [address]:port",
		              quote(&q, text));
	if (p->out->family && ip_read(host, ADDRESS_UNSPEC, &other))
		return refuse(p, "%s is an IPv%d address behind a prefix for IPv%d; write it without the prefix",
		              quote(&q, host), other.family == ADDRESS_IPV4 ? 4 : 6,
		              p->out->family == ADDRESS_IPV4 ? 4 : 6);
	if (strncmp(text, "rhttp@", 6) == 0)
		return refuse(p, "rhttp@ is for HTTP reverse servers; write " EXAMPLE);
	if (strchr(text, '@'))
		return refuse(p, "%s starts with no known prefix; write ip:port, or ipv4@ ipv6@ tcp@ unix@ or abns@ "
		              "before it", quote(&q, text));
	if (strpbrk(host, "[]"))
		return refuse(p, "%s has brackets in the wrong place; write [::1]:25 for an IPv6 address",
		              quote(&q, text));
	if (strchr(host, '/'))
		return refuse(p, "%s is no IP address; write ip:port, or unix@ before a path", quote(&q, text));
	if (host_valid(host) && *text != '[')
		return refuse(p, "%s is a host name, not taken here; write its IP address", quote(&q, host));
	return refuse(p, "%s is no IP address%s; write " EXAMPLE, quote(&q, host),
	              (p->flags & ADDRESS_MAY_HOST) && *text != '[' ? " and no host name" : "");
}

/* Reads the <len> bytes of <text> before the port. */
static bool parser_read_host(struct parser *p, const char *text, size_t len)
{
	struct address *out = p->out;
	char host[ADDRESS_TEXT_MAX + 1];
	char *ip = host;

	memcpy(host, text, len);
	host[len] = '\0';
	if (!len || strcmp(host, "*") == 0) {
		if (!out->family)
			out->family = ADDRESS_IPV4;
		return true;
	}
	if (host[0] == '[' && host[len - 1] == ']') {
		host[len - 1] = '\0';
		ip++;
	}
	if (ip_read(ip, out->family, out))
		return true;
	if (!(p->flags & ADDRESS_MAY_HOST) || ip != host || !host_valid(host))
		return parser_refuse_host(p, ip, text);
	memcpy(out->name, host, len + 1);
	out->host_family = out->family;
	out->family = ADDRESS_HOST;
	return true;
}

/* An IP address or host with its port. Only a colon behind the last bracket starts a port. */
static bool parser_read_inet(struct parser *p, const char *text)
{
	const char *colon = strrchr(text, ':');
	const char *bracket = strrchr(text, ']');
	bool port = colon && (!bracket || colon > bracket);
	size_t len = port ? (size_t)(colon - text) : strlen(text);

	return parser_read_host(p, text, len) && parser_read_port(p, port ? colon + 1 : "");
}

/* Prefixes, then what the family asks for, then whether the type may stand here. */
static bool parser_read(struct parser *p)
{
	const char *text = parser_read_prefixes(p);
	enum address_type type = p->out->type;
	bool ok;

	if (!text)
		return false;
	switch (p->out->family) {
	case ADDRESS_UNIX:
	case ADDRESS_ABNS:
	case ADDRESS_ABNSZ:
		ok = parser_read_name(p, text);
		break;
	case ADDRESS_FD:
	case ADDRESS_SOCKPAIR:
		ok = parser_read_fd(p, text);
		break;
	default:
		ok = parser_read_inet(p, text);
		break;
	}
	if (ok && type == ADDRESS_DGRAM && (p->flags & (ADDRESS_STREAM_ONLY | ADDRESS_CLIENT)))
		return refuse(p, "a datagram address is not taken here; write it without dgram+, udp@ or uxdg@");
	if (ok && type == ADDRESS_QUIC && (p->flags & ADDRESS_STREAM_ONLY))
		return refuse(p, "a QUIC address is not taken here; write it without quic+, or tcp4@ or tcp6@");
	return ok;
}

enum mailers_error address_parse(struct address *out, const char *text, unsigned flags,
                                 address_getenv_fn *getenv_fn, void *getenv_arg,
                                 char *reason, size_t reason_size)
{
	struct parser p = { .out = out, .flags = flags, .reason = reason, .reason_size = reason_size };

	memset(out, 0, sizeof(*out));
	if (reason_size)
		reason[0] = '\0';
	if (parser_expand(&p, text, getenv_fn, getenv_arg) && parser_read(&p))
		return MAILERS_OK;
	memset(out, 0, sizeof(*out));
	return MAILERS_ERR_SYNTAX;
}

/* The prefix of <a>'s text, or NULL when no text says it. */
static const char *address_prefix(const struct address *a)
{
	enum address_family family = a->family;
	const char *prefix;

	if ((unsigned)family > ADDRESS_ABNSZ || (unsigned)a->type > ADDRESS_MPTCP)
		return NULL;
	if (family == ADDRESS_UNIX && a->name[0] == '/' && a->type == ADDRESS_STREAM)
		return "";
	if (family == ADDRESS_HOST && (a->host_family == ADDRESS_IPV4 || a->host_family == ADDRESS_IPV6))
		family = a->host_family;
	prefix = print_prefixes[a->type][family];
	if (prefix && !*prefix && a->family == ADDRESS_HOST && family != ADDRESS_HOST)
		return family == ADDRESS_IPV4 ? "ipv4@" : "ipv6@";
	return prefix;
}

/* ":25", ":25-30", ":+25", or "" without a port. */
static void address_port(const struct address *a, char *out, size_t size)
{
	if (a->port_sign)
		snprintf(out, size, ":%c%u", a->port_sign, a->port);
	else if (a->port_end)
		snprintf(out, size, ":%u-%u", a->port, a->port_end);
	else if (a->port)
		snprintf(out, size, ":%u", a->port);
	else
		out[0] = '\0';
}

size_t address_print(const struct address *a, char *out, size_t size)
{
	const char *prefix = address_prefix(a);
	char ip[INET6_ADDRSTRLEN] = "", port[16] = "";
	bool brackets = false;
	int len;

	if (!size)
		return 0;
	out[0] = '\0';
	if (!prefix || memchr(a->name, '$', strnlen(a->name, sizeof(a->name))))
		return 0;
	if (a->family == ADDRESS_FD || a->family == ADDRESS_SOCKPAIR) {
		len = snprintf(out, size, "%s%d", prefix, a->fd);
	} else if (a->family == ADDRESS_IPV4 || a->family == ADDRESS_IPV6) {
		inet_ntop(a->family == ADDRESS_IPV4 ? AF_INET : AF_INET6, a->ip, ip, sizeof(ip));
		address_port(a, port, sizeof(port));
		brackets = a->family == ADDRESS_IPV6 && !*port;
		len = snprintf(out, size, "%s%s%s%s%s", prefix, brackets ? "[" : "", ip, brackets ? "]" : "", port);
	} else {
		if (a->family == ADDRESS_HOST)
			address_port(a, port, sizeof(port));
		len = snprintf(out, size, "%s%s%s", prefix, a->name, port);
	}
	if (len < 0 || (size_t)len >= size) {
		out[0] = '\0';
		return 0;
	}
	return (size_t)len;
}
