/*
 * Unit tests of address. What Socket:connect takes stands in one table, which regtests/haproxy/address tries
 * on a real HAProxy; here it is read for the parser alone. The tables below hold the rest: what is in the struct,
 * what other places than a client allow, and how an address is printed.
 */
#include <mailers/address.h>

#include "../tools/address_table.h"
#include "unit.h"

#define TABLE "regtests/haproxy/address/texts.table"
#define REASON_MAX 256

static const unsigned versions[][2] = {
	{ 2, 8 }, { 2, 9 }, { 3, 0 }, { 3, 1 }, { 3, 2 }, { 3, 3 }, { 3, 4 }, { 3, 5 },
};

static const char *test_getenv(const char *name, void *arg)
{
	static char longest[ADDRESS_TEXT_MAX + 2];

	assert_string_equal(arg, "arg");
	if (strcmp(name, "IP") == 0)
		return "127.0.0.1";
	if (strcmp(name, "NESTED") == 0)
		return "/run/$IP";
	if (strcmp(name, "LONGEST") == 0) {
		memset(longest, '0', sizeof(longest) - 1);
		return longest;
	}
	return NULL;
}

static enum mailers_error parse(struct address *out, const char *text, unsigned flags, char *reason)
{
	return address_parse(out, text, flags, test_getenv, (void *)"arg", reason, REASON_MAX);
}

/* A reason is one printable line that says what to write. */
static void assert_reason(const char *text, const char *reason)
{
	if (!strstr(reason, "; write "))
		fail_msg("'%s' is refused without a word what to write: %s", text, reason);
	for (const char *c = reason; *c; c++) {
		if (*c < ' ' || *c > '~')
			fail_msg("the reason for '%s' is not printable", text);
	}
}

/* <a> is printed, and read back with <flags> into the same struct, and printed the same again. */
static void assert_prints_back(const struct address *a, unsigned flags)
{
	char text[ADDRESS_TEXT_MAX + 1], again[ADDRESS_TEXT_MAX + 1], reason[REASON_MAX];
	struct address back;
	size_t len = address_print(a, text, sizeof(text));

	if (!len)
		fail_msg("an address of family %d with name '%s' is not printed", a->family, a->name);
	assert_int_equal(len, strlen(text));
	if (address_parse(&back, text, flags, NULL, NULL, reason, sizeof(reason)) != MAILERS_OK)
		fail_msg("'%s' was printed, but is refused: %s", text, reason);
	if (memcmp(&back, a, sizeof(back)) != 0)
		fail_msg("'%s' is not what was printed", text);
	address_print(&back, again, sizeof(again));
	assert_string_equal(again, text);
}

static void parse__table_of_socket_connect__agrees_for_each_version(void **state)
{
	struct address_table *table = address_table_read(TABLE);
	char reason[REASON_MAX];
	struct address a;
	size_t rows = 0;

	(void)state;
	assert_non_null(table);
	assert_true(table->rows > 300);
	for (size_t v = 0; v < sizeof(versions) / sizeof(versions[0]); v++) {
		for (size_t i = 0; i < table->rows; i++) {
			const struct address_table_row *row = &table->row[i];
			unsigned major = versions[v][0], minor = versions[v][1];
			bool accepted = !address_table_parse(table, row, major, minor, &a, reason, sizeof(reason));

			if (accepted != address_table_accepted(row, major, minor))
				fail_msg("%s:%u: '%s' is %s for %u.%u (%s)", TABLE, row->line, row->text,
				         accepted ? "accepted" : "refused", major, minor, reason);
			if (!accepted)
				assert_reason(row->text, reason);
			else if (!strchr(a.name, '$'))
				assert_prints_back(&a, ADDRESS_CLIENT | ADDRESS_HAPROXY(major, minor));
			rows++;
		}
	}
	assert_int_equal(rows, table->rows * (sizeof(versions) / sizeof(versions[0])));
	free(table);
}

/* A newer HAProxy than all that are known is taken to do as the last one. */
static void parse__no_version__is_the_newest(void **state)
{
	struct address_table *table = address_table_read(TABLE);
	char reason[REASON_MAX];
	struct address a;

	(void)state;
	assert_non_null(table);
	for (size_t i = 0; i < table->rows; i++)
		assert_int_equal(!address_table_parse(table, &table->row[i], 0, 0, &a, reason, sizeof(reason)),
		                 address_table_accepted(&table->row[i], 99, 0));
	free(table);
}

#define ANY_PLACE (ADDRESS_MAY_HOST | ADDRESS_MAY_RANGE | ADDRESS_MAY_OFFSET)

static const struct {
	const char *text, *printed;
	struct address a;
} valid[] = {
	{ "127.0.0.1:25", "127.0.0.1:25", { .family = ADDRESS_IPV4, .ip = { 127, 0, 0, 1 }, .port = 25 } },
	{ "10.1.2.3", "10.1.2.3", { .family = ADDRESS_IPV4, .ip = { 10, 1, 2, 3 } } },
	{ "10.1.2.3:", "10.1.2.3", { .family = ADDRESS_IPV4, .ip = { 10, 1, 2, 3 } } },
	{ "*:25", "0.0.0.0:25", { .family = ADDRESS_IPV4, .port = 25 } },
	{ ":25", "0.0.0.0:25", { .family = ADDRESS_IPV4, .port = 25 } },
	{ "*", "0.0.0.0", { .family = ADDRESS_IPV4 } },
	{ "ipv4@", "0.0.0.0", { .family = ADDRESS_IPV4 } },
	{ "ipv6@*:25", ":::25", { .family = ADDRESS_IPV6, .port = 25 } },
	{ "[::]", "[::]", { .family = ADDRESS_IPV6 } },
	{ "::1:25", "::1:25", { .family = ADDRESS_IPV6, .ip = { [15] = 1 }, .port = 25 } },
	{ "[::1]:25", "::1:25", { .family = ADDRESS_IPV6, .ip = { [15] = 1 }, .port = 25 } },
	{ "::1:", "[::1]", { .family = ADDRESS_IPV6, .ip = { [15] = 1 } } },
	{ "2001:DB8::1:25", "2001:db8::1:25",
	  { .family = ADDRESS_IPV6, .ip = { 0x20, 1, 0xd, 0xb8, [15] = 1 }, .port = 25 } },
	{ "[127.0.0.1]:25", "127.0.0.1:25", { .family = ADDRESS_IPV4, .ip = { 127, 0, 0, 1 }, .port = 25 } },
	{ "127.0.0.1:25-30", "127.0.0.1:25-30",
	  { .family = ADDRESS_IPV4, .ip = { 127, 0, 0, 1 }, .port = 25, .port_end = 30 } },
	{ "127.0.0.1:25-25", "127.0.0.1:25", { .family = ADDRESS_IPV4, .ip = { 127, 0, 0, 1 }, .port = 25 } },
	{ "127.0.0.1:+25", "127.0.0.1:+25",
	  { .family = ADDRESS_IPV4, .ip = { 127, 0, 0, 1 }, .port = 25, .port_sign = '+' } },
	{ "[::1]:-25", "::1:-25", { .family = ADDRESS_IPV6, .ip = { [15] = 1 }, .port = 25, .port_sign = '-' } },
	{ "127.0.0.1:+0", "127.0.0.1:+0", { .family = ADDRESS_IPV4, .ip = { 127, 0, 0, 1 }, .port_sign = '+' } },
	{ "tcp@127.0.0.1:25", "127.0.0.1:25", { .family = ADDRESS_IPV4, .ip = { 127, 0, 0, 1 }, .port = 25 } },
	{ "stream+ip@[::1]:25", "::1:25", { .family = ADDRESS_IPV6, .ip = { [15] = 1 }, .port = 25 } },
	{ "udp@127.0.0.1:514", "udp4@127.0.0.1:514",
	  { .family = ADDRESS_IPV4, .type = ADDRESS_DGRAM, .ip = { 127, 0, 0, 1 }, .port = 514 } },
	{ "dgram+[::1]:514", "udp6@::1:514",
	  { .family = ADDRESS_IPV6, .type = ADDRESS_DGRAM, .ip = { [15] = 1 }, .port = 514 } },
	{ "quic+127.0.0.1:443", "quic4@127.0.0.1:443",
	  { .family = ADDRESS_IPV4, .type = ADDRESS_QUIC, .ip = { 127, 0, 0, 1 }, .port = 443 } },
	{ "quic6@::1:443", "quic6@::1:443",
	  { .family = ADDRESS_IPV6, .type = ADDRESS_QUIC, .ip = { [15] = 1 }, .port = 443 } },
	{ "mptcp@127.0.0.1:25", "mptcp4@127.0.0.1:25",
	  { .family = ADDRESS_IPV4, .type = ADDRESS_MPTCP, .ip = { 127, 0, 0, 1 }, .port = 25 } },
	{ "/run/smtp", "/run/smtp", { .family = ADDRESS_UNIX, .name = "/run/smtp" } },
	{ "unix@/run/smtp", "/run/smtp", { .family = ADDRESS_UNIX, .name = "/run/smtp" } },
	{ "uxst@run/smtp:25", "unix@run/smtp:25", { .family = ADDRESS_UNIX, .name = "run/smtp:25" } },
	{ "unix@", "unix@", { .family = ADDRESS_UNIX } },
	{ "dgram+/dev/log", "uxdg@/dev/log", { .family = ADDRESS_UNIX, .type = ADDRESS_DGRAM, .name = "/dev/log" } },
	{ "quic+/run/q", "quic+unix@/run/q", { .family = ADDRESS_UNIX, .type = ADDRESS_QUIC, .name = "/run/q" } },
	{ "abns@smtp", "abns@smtp", { .family = ADDRESS_ABNS, .name = "smtp" } },
	{ "dgram+abns@log", "dgram+abns@log", { .family = ADDRESS_ABNS, .type = ADDRESS_DGRAM, .name = "log" } },
	{ "abnsz@smtp", "abnsz@smtp", { .family = ADDRESS_ABNSZ, .name = "smtp" } },
	{ "fd@0", "fd@0", { .family = ADDRESS_FD } },
	{ "dgram+fd@7", "dgram+fd@7", { .family = ADDRESS_FD, .type = ADDRESS_DGRAM, .fd = 7 } },
	{ "sockpair@7", "sockpair@7", { .family = ADDRESS_SOCKPAIR, .fd = 7 } },
	{ "mail.example.com:25", "mail.example.com:25",
	  { .family = ADDRESS_HOST, .name = "mail.example.com", .port = 25 } },
	{ "localhost", "localhost", { .family = ADDRESS_HOST, .name = "localhost" } },
	{ "abnsz.example.com.", "abnsz.example.com.", { .family = ADDRESS_HOST, .name = "abnsz.example.com." } },
	{ "tcp6@mail_1.example:25-26", "ipv6@mail_1.example:25-26",
	  { .family = ADDRESS_HOST, .host_family = ADDRESS_IPV6, .name = "mail_1.example",
	    .port = 25, .port_end = 26 } },
	{ "udp@log.example:514", "udp@log.example:514",
	  { .family = ADDRESS_HOST, .type = ADDRESS_DGRAM, .name = "log.example", .port = 514 } },
	{ "udp4@log.example:514", "udp4@log.example:514",
	  { .family = ADDRESS_HOST, .type = ADDRESS_DGRAM, .host_family = ADDRESS_IPV4,
	    .name = "log.example", .port = 514 } },
	{ "quic+www.example:443", "quic+www.example:443",
	  { .family = ADDRESS_HOST, .type = ADDRESS_QUIC, .name = "www.example", .port = 443 } },
	{ "mptcp4@a:1", "mptcp4@a:1",
	  { .family = ADDRESS_HOST, .type = ADDRESS_MPTCP, .host_family = ADDRESS_IPV4, .name = "a", .port = 1 } },
	{ "$IP:25", "127.0.0.1:25", { .family = ADDRESS_IPV4, .ip = { 127, 0, 0, 1 }, .port = 25 } },
	{ "unix@${IP}x", "unix@127.0.0.1x", { .family = ADDRESS_UNIX, .name = "127.0.0.1x" } },
	{ "$UNSET/run/x", "/run/x", { .family = ADDRESS_UNIX, .name = "/run/x" } },
};

static void parse__valid_rows__fill_the_struct_and_print(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(valid) / sizeof(valid[0]); i++) {
		char reason[REASON_MAX], printed[ADDRESS_TEXT_MAX + 1];
		struct address a;

		if (parse(&a, valid[i].text, ANY_PLACE, reason) != MAILERS_OK)
			fail_msg("'%s': %s", valid[i].text, reason);
		assert_string_equal(reason, "");
		if (memcmp(&a, &valid[i].a, sizeof(a)) != 0)
			fail_msg("'%s' is not read as it should", valid[i].text);
		assert_int_equal(address_print(&a, printed, sizeof(printed)), strlen(valid[i].printed));
		assert_string_equal(printed, valid[i].printed);
		assert_prints_back(&a, ANY_PLACE);
	}
}

static const struct {
	const char *text;
	unsigned flags;
	const char *reason; /* part of it */
} invalid[] = {
	{ "", ANY_PLACE, "empty" },
	{ "$UNSET", ANY_PLACE, "environment variable missing" },
	{ "127.0.0.1", ADDRESS_NEED_PORT, "the port is missing" },
	{ "127.0.0.1:0", ADDRESS_NEED_PORT, "the port is 0" },
	{ "localhost", ADDRESS_NEED_PORT | ADDRESS_MAY_HOST, "the port is missing" },
	{ "127.0.0.1:0-5", ADDRESS_NEED_PORT | ADDRESS_MAY_RANGE, "the port is 0" },
	{ "127.0.0.1:70000", ANY_PLACE, "port '70000' is out of range" },
	{ "127.0.0.1:4294967321", ANY_PLACE, "port '4294967321' is out of range" },
	{ "127.0.0.1:25x", ANY_PLACE | ADDRESS_HAPROXY(2, 8), "'25x' is no port number" },
	{ "127.0.0.1:25-", ANY_PLACE, "'' is no port number" },
	{ "127.0.0.1:25-x", ANY_PLACE, "'x' is no port number" },
	{ "127.0.0.1:25x-30", ANY_PLACE, "'25x' is no port number" },
	{ "127.0.0.1:25-+30", ANY_PLACE, "'+30' is no port number" },
	{ "127.0.0.1:30-25", ANY_PLACE, "upside down" },
	{ "127.0.0.1:25-30", ADDRESS_MAY_HOST, "'25-30' is a port range" },
	{ "127.0.0.1:+25", ADDRESS_MAY_RANGE, "'+25' is a port offset" },
	{ "127.0.0.1:+", ANY_PLACE, "'' is no port number" },
	{ "127.0.0.1:+-1", ANY_PLACE, "'-1' is no port number" },
	{ "127.0.0.1:-70000", ANY_PLACE, "port '70000' is out of range" },
	{ "::1", ANY_PLACE, "IPv6 address '::1' has no port" },
	{ "ipv4@::1:25", ANY_PLACE, "'::1' is an IPv6 address behind a prefix for IPv4" },
	{ "ipv6@[127.0.0.1]:25", ANY_PLACE, "'127.0.0.1' is an IPv4 address behind a prefix for IPv6" },
	{ "[::1", ANY_PLACE, "brackets in the wrong place" },
	{ "[localhost]:25", ANY_PLACE, "'localhost' is no IP address; write" },
	{ "localhost:25", ADDRESS_CLIENT, "'localhost' is a host name, not taken here" },
	{ "127.0.0.256:25", ANY_PLACE, "'127.0.0.256' is no IP address and no host name" },
	{ "127.1:25", ANY_PLACE, "'127.1' is no IP address" },
	{ "mail..example:25", ANY_PLACE, "no host name" },
	{ ".example:25", ANY_PLACE, "no host name" },
	{ "mail.example..:25", ANY_PLACE, "no host name" },
	{ "mail example:25", ANY_PLACE, "no host name" },
	{ "m\xC3\xA4il.example:25", ANY_PLACE, "'m\\xC3\\xA4il.example' is no IP address and no host name" },
	{ "smtp@mail.example:25", ANY_PLACE, "no known prefix" },
	{ "abnszx", ANY_PLACE | ADDRESS_NEED_PORT, "port is missing" },
	{ "rhttp@be/srv", ANY_PLACE, "HTTP reverse" },
	{ "run/smtp", ANY_PLACE, "unix@ before a path" },
	{ "smtp://mail.example:25", ANY_PLACE, "write ip:port" },
	{ "mptcp@127.0.0.1:25", ANY_PLACE | ADDRESS_HAPROXY(3, 0),
	  "'mptcp@' is not known before HAProxy 3.1; write tcp@" },
	{ "abnsz@smtp", ANY_PLACE | ADDRESS_HAPROXY(2, 8), "'abnsz@' is not known before HAProxy 3.1; write abns@" },
	{ "udp@127.0.0.1:25", ADDRESS_CLIENT, "datagram" },
	{ "udp@127.0.0.1:25", ADDRESS_STREAM_ONLY, "datagram" },
	{ "uxdg@/dev/log", ADDRESS_STREAM_ONLY, "datagram" },
	{ "quic4@127.0.0.1:25", ADDRESS_STREAM_ONLY, "QUIC" },
	{ "fd@3", ADDRESS_CLIENT, "nothing to connect to" },
	{ "fd@", ANY_PLACE, "'' is no file descriptor; write its number, as fd@3" },
	{ "fd@4294967296", ANY_PLACE, "no file descriptor" },
	{ "sockpair@x", ANY_PLACE, "'x' is no file descriptor; write its number, as sockpair@3" },
	{ "127.0.0.1:$LONGEST", ANY_PLACE, "longer than 512 bytes" },
};

static void parse__invalid_rows__are_refused_with_the_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
		static const struct address zero;
		char reason[REASON_MAX];
		struct address a;

		memset(&a, 0xff, sizeof(a));
		if (parse(&a, invalid[i].text, invalid[i].flags, reason) != MAILERS_ERR_SYNTAX)
			fail_msg("'%s' is accepted", invalid[i].text);
		assert_reason(invalid[i].text, reason);
		if (!strstr(reason, invalid[i].reason))
			fail_msg("'%s': the reason is '%s', not '%s'", invalid[i].text, reason, invalid[i].reason);
		assert_memory_equal(&a, &zero, sizeof(a));
	}
}

static void parse__longest_names__fit_and_one_more_is_refused(void **state)
{
	static const struct {
		const char *prefix;
		size_t max;
	} rows[] = {
		{ "/", ADDRESS_UNIX_MAX - 1 }, { "unix@", ADDRESS_UNIX_MAX }, { "abns@", ADDRESS_ABNS_MAX },
		{ "abnsz@", ADDRESS_ABNS_MAX }, { "ip@", 63 }, { "ip@a.", 63 },
	};
	char text[ADDRESS_TEXT_MAX], reason[REASON_MAX];
	struct address a;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t len = strlen(rows[i].prefix);

		strcpy(text, rows[i].prefix);
		memset(text + len, 'x', rows[i].max + 1);
		text[len + rows[i].max] = '\0';
		assert_int_equal(parse(&a, text, ANY_PLACE, reason), MAILERS_OK);
		assert_prints_back(&a, ANY_PLACE);
		strcat(text, "x");
		assert_int_equal(parse(&a, text, ANY_PLACE, reason), MAILERS_ERR_SYNTAX);
		assert_reason(text, reason);
	}
}

static void parse__host_of_255_bytes__fits_and_256_do_not(void **state)
{
	char text[ADDRESS_TEXT_MAX], reason[REASON_MAX];
	struct address a;

	(void)state;
	for (size_t i = 0; i < ADDRESS_HOST_MAX; i++)
		text[i] = i % 64 == 63 ? '.' : 'x';
	strcpy(text + ADDRESS_HOST_MAX, ":65535");
	assert_int_equal(parse(&a, text, ANY_PLACE, reason), MAILERS_OK);
	assert_int_equal(strlen(a.name), ADDRESS_HOST_MAX);
	assert_prints_back(&a, ANY_PLACE);
	strcpy(text + ADDRESS_HOST_MAX, ".:65535");
	assert_int_equal(parse(&a, text, ANY_PLACE, reason), MAILERS_ERR_SYNTAX);
}

static void parse__without_getenv__refuses_variables(void **state)
{
	char reason[REASON_MAX];
	struct address a;

	(void)state;
	assert_int_equal(address_parse(&a, "$IP:25", 0, NULL, NULL, reason, sizeof(reason)), MAILERS_ERR_SYNTAX);
	assert_reason("$IP:25", reason);
	assert_int_equal(address_parse(&a, "10.0.0.1:25", 0, NULL, NULL, reason, sizeof(reason)), MAILERS_OK);
}

/* Text of any length may come in, but no more than ADDRESS_TEXT_MAX bytes of it after the variables. */
static void parse__text_at_the_bound__is_read_and_beyond_refused(void **state)
{
	char text[2 * ADDRESS_TEXT_MAX], reason[REASON_MAX];
	struct address a;

	(void)state;
	memset(text, '0', sizeof(text));
	memcpy(text, "127.0.0.1:", 10);
	strcpy(text + ADDRESS_TEXT_MAX - 2, "25");
	assert_int_equal(parse(&a, text, ADDRESS_NEED_PORT, reason), MAILERS_OK);
	assert_int_equal(a.port, 25);
	strcpy(text + ADDRESS_TEXT_MAX - 2, "025");
	assert_int_equal(parse(&a, text, ADDRESS_NEED_PORT, reason), MAILERS_ERR_SYNTAX);
	assert_reason(text, reason);
	memset(text, 'A', sizeof(text) - 1); /* the name of a variable */
	text[0] = '$';
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(parse(&a, text, 0, reason), MAILERS_ERR_SYNTAX);
	assert_reason(text, reason);
}

static void parse__short_reason_buffers__are_respected(void **state)
{
	struct address a;

	(void)state;
	for (size_t size = 0; size < 100; size++) {
		char *reason = malloc(size + 1); /* exact, for AddressSanitizer */

		assert_non_null(reason);
		reason[size] = '#';
		assert_int_equal(address_parse(&a, "mail example:25", 0, NULL, NULL, reason, size),
		                 MAILERS_ERR_SYNTAX);
		assert_int_equal(reason[size], '#');
		if (size)
			assert_true(strlen(reason) < size);
		free(reason);
	}
}

static void print__short_buffers__give_nothing(void **state)
{
	char reason[REASON_MAX], out[64];
	struct address a;

	(void)state;
	assert_int_equal(parse(&a, "ipv6@mail.example:25-30", ANY_PLACE, reason), MAILERS_OK);
	for (size_t size = 0; size <= strlen("ipv6@mail.example:25-30"); size++) {
		memset(out, '#', sizeof(out));
		assert_int_equal(address_print(&a, out, size), 0);
		assert_int_equal(out[size], '#');
		if (size)
			assert_string_equal(out, "");
	}
	assert_int_equal(address_print(&a, out, strlen("ipv6@mail.example:25-30") + 1), 23);
}

/* HAProxy has no way to write a '$' that is not a variable: rather no text than another address. */
static void print__what_no_text_says__gives_nothing(void **state)
{
	static const struct address none;
	struct address a = { .family = ADDRESS_UNIX, .type = ADDRESS_MPTCP, .name = "/x" };
	char reason[REASON_MAX], out[ADDRESS_TEXT_MAX];

	(void)state;
	assert_int_equal(address_print(&none, out, sizeof(out)), 0);
	assert_int_equal(address_print(&a, out, sizeof(out)), 0);
	assert_int_equal(parse(&a, "$NESTED", 0, reason), MAILERS_OK);
	assert_string_equal(a.name, "/run/$IP");
	assert_int_equal(address_print(&a, out, sizeof(out)), 0);
	assert_string_equal(out, "");
}

/* The generator of Knuth's MMIX: the same texts in every run. */
static unsigned draw(uint64_t *seed, unsigned n)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(*seed >> 33) % n;
}

/* Property: whatever is accepted, with whatever flags, prints back into the same struct; whatever is
 * refused has a reason.
 */
static void parse__random_texts__print_back_or_have_a_reason(void **state)
{
	static const char *const pieces[] = {
		"stream+", "dgram+", "quic+", "unix@", "uxst@", "uxdg@", "abns@", "abnsz@", "ip@", "ipv4@",
		"ipv6@", "tcp@", "tcp4@", "tcp6@", "udp@", "udp4@", "udp6@", "quic4@", "quic6@", "mptcp@",
		"mptcp4@", "mptcp6@", "fd@", "sockpair@", "127.0.0.1", "::1", "[::1]", "::", "*", "", ":", ":25",
		":25-30", ":+1", ":-1", ":0", "1", "x", "a.b", "/", "[", "]", "$IP", "${IP}", "$", " ", "-", ":ffff",
		".", "\x01", "\xff", "7",
	};
	uint64_t seed = 20240601;
	unsigned accepted = 0;

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		unsigned n = 1 + draw(&seed, 5), flags = draw(&seed, 64);
		char text[128] = "", reason[REASON_MAX];
		struct address a;

		if (draw(&seed, 2))
			flags |= ADDRESS_HAPROXY(3, draw(&seed, 5));
		while (n--)
			strcat(text, pieces[draw(&seed, sizeof(pieces) / sizeof(pieces[0]))]);
		if (parse(&a, text, flags, reason) != MAILERS_OK) {
			assert_reason(text, reason);
			continue;
		}
		assert_prints_back(&a, flags);
		accepted++;
	}
	assert_true(accepted > 10000);
}

/* Property: every struct that a parse can give is printed and read back. Built from the struct's side. */
static void print__each_family_type_and_port__prints_back(void **state)
{
	static const struct {
		uint16_t port, port_end;
		char sign;
	} ports[] = {
		{ 0, 0, 0 }, { 1, 0, 0 }, { 65535, 0, 0 }, { 0, 1, 0 }, { 1, 65535, 0 }, { 0, 0, '+' }, { 7, 0, '-' },
	};
	static const uint8_t ips[][16] = {
		{ 0 }, { 127, 0, 0, 1 }, { 255, 255, 255, 255 }, { [15] = 1 }, { [10] = 0xff, 0xff, 127, 0, 0, 1 },
		{ 0xfe, 0x80, [15] = 0x25 }, { 0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1 },
	};
	static const char *const names[] = {
		"/", "/a:25", "a", "fd@1", "127.0.0.1:25", "stream+/x", "[::1]", " ", "",
	};

	(void)state;
	for (int type = ADDRESS_STREAM; type <= ADDRESS_MPTCP; type++) {
		for (size_t p = 0; p < sizeof(ports) / sizeof(ports[0]); p++) {
			struct address a = { .type = (enum address_type)type, .port = ports[p].port,
			                     .port_end = ports[p].port_end, .port_sign = ports[p].sign };

			for (size_t i = 0; i < sizeof(ips) / sizeof(ips[0]); i++) {
				memcpy(a.ip, ips[i], sizeof(a.ip));
				a.family = ADDRESS_IPV6;
				assert_prints_back(&a, ANY_PLACE);
				memset(a.ip + 4, 0, 12);
				a.family = ADDRESS_IPV4;
				assert_prints_back(&a, ANY_PLACE);
			}
			memset(a.ip, 0, sizeof(a.ip));
			a.family = ADDRESS_HOST;
			strcpy(a.name, "mail.example");
			for (int family = ADDRESS_UNSPEC; family <= ADDRESS_IPV6; family++) {
				a.host_family = (enum address_family)family;
				assert_prints_back(&a, ANY_PLACE);
			}
		}
		for (size_t i = 0; type != ADDRESS_MPTCP && i < sizeof(names) / sizeof(names[0]); i++) {
			struct address a = { .type = (enum address_type)type };

			strcpy(a.name, names[i]);
			a.family = ADDRESS_UNIX;
			assert_prints_back(&a, ANY_PLACE);
			a.family = ADDRESS_ABNS;
			assert_prints_back(&a, ANY_PLACE);
			a.family = ADDRESS_ABNSZ;
			assert_prints_back(&a, ANY_PLACE);
			memset(a.name, 0, sizeof(a.name));
			a.fd = INT32_MAX - (int)i;
			a.family = ADDRESS_FD;
			assert_prints_back(&a, ANY_PLACE);
			a.family = ADDRESS_SOCKPAIR;
			assert_prints_back(&a, ANY_PLACE);
		}
	}
}

/* Every beginning of a valid text, and a text with any one byte in it, is accepted or refused, never more. */
static void parse__cut_and_mangled_texts__are_bounded(void **state)
{
	char text[128], reason[REASON_MAX];
	struct address a;

	(void)state;
	for (size_t i = 0; i < sizeof(valid) / sizeof(valid[0]); i++) {
		size_t len = strlen(valid[i].text);

		for (size_t cut = 0; cut < len; cut++) {
			char *exact = malloc(cut + 1); /* exact, for AddressSanitizer */

			assert_non_null(exact);
			memcpy(exact, valid[i].text, cut);
			exact[cut] = '\0';
			if (parse(&a, exact, ANY_PLACE, reason) != MAILERS_OK)
				assert_reason(exact, reason);
			else
				assert_prints_back(&a, ANY_PLACE);
			free(exact);
			for (int byte = 1; byte < 256; byte++) {
				strcpy(text, valid[i].text);
				text[cut] = (char)byte;
				if (parse(&a, text, ADDRESS_CLIENT, reason) != MAILERS_OK)
					assert_reason(text, reason);
				else
					assert_prints_back(&a, ADDRESS_CLIENT);
			}
		}
	}
}

static void parse_and_print__never_allocate(void **state)
{
	char reason[REASON_MAX], out[ADDRESS_TEXT_MAX];
	struct address a;

	(void)state;
	unit_fail_at(0);
	for (size_t i = 0; i < sizeof(valid) / sizeof(valid[0]); i++) {
		if (parse(&a, valid[i].text, ANY_PLACE, reason) == MAILERS_OK)
			address_print(&a, out, sizeof(out));
	}
	for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++)
		parse(&a, invalid[i].text, invalid[i].flags, reason);
	assert_false(unit_failed());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse__table_of_socket_connect__agrees_for_each_version),
		cmocka_unit_test(parse__no_version__is_the_newest),
		cmocka_unit_test(parse__valid_rows__fill_the_struct_and_print),
		cmocka_unit_test(parse__invalid_rows__are_refused_with_the_reason),
		cmocka_unit_test(parse__longest_names__fit_and_one_more_is_refused),
		cmocka_unit_test(parse__host_of_255_bytes__fits_and_256_do_not),
		cmocka_unit_test(parse__without_getenv__refuses_variables),
		cmocka_unit_test(parse__text_at_the_bound__is_read_and_beyond_refused),
		cmocka_unit_test(parse__short_reason_buffers__are_respected),
		cmocka_unit_test(print__short_buffers__give_nothing),
		cmocka_unit_test(print__what_no_text_says__gives_nothing),
		cmocka_unit_test(parse__random_texts__print_back_or_have_a_reason),
		cmocka_unit_test(print__each_family_type_and_port__prints_back),
		cmocka_unit_test(parse__cut_and_mangled_texts__are_bounded),
		cmocka_unit_test(parse_and_print__never_allocate),
	};

	return cmocka_run_group_tests_name("address", tests, NULL, NULL);
}
