/* Unit tests of mailbox: tables of valid and invalid lists, every prefix of them, control bytes everywhere,
 * limits, failing allocations.
 */
#include <mailers/mailbox.h>

#include "unit.h"

#define A10 "abcdefghij"
#define A60 A10 A10 A10 A10 A10 A10
#define LABEL63 A60 "xyz"

/* <addresses> are joined by "|". */
struct valid_row {
	const char *text, *addresses;
};

static const struct valid_row valid[] = {
	/* addr-spec */
	{ "ops@example.com", "ops@example.com" },
	{ "  ops@example.com\t", "ops@example.com" },
	{ "Ops.Team+haproxy@Example.COM", "Ops.Team+haproxy@Example.COM" },
	{ "!#$%&'*+-/=?^_`{|}~@x", "!#$%&'*+-/=?^_`{|}~@x" },
	{ "0@1", "0@1" },
	{ "a@b-c.d--e.xn--4ca.9", "a@b-c.d--e.xn--4ca.9" },
	{ "a@my_host.my_net", "a@my_host.my_net" },
	{ "a @ b", "a@b" },
	{ "a(c1)@(c2)b(c3)", "a@b" },
	{ "(c0) a (c1) @ (c2) b (c3)", "a@b" },
	{ "a@b\r\n ", "a@b" },
	{ "a\r\n @\r\n\tb", "a@b" },
	/* a bare local part */
	{ "root", "root" },
	{ "root, ops@x", "root|ops@x" },
	{ "ops.team (on call)", "ops.team" },
	{ "Root <root>", "root" },
	{ "<root>", "root" },
	/* display names */
	{ "<a@b>", "a@b" },
	{ "< a@b >", "a@b" },
	{ "Ops <a@b>", "a@b" },
	{ "Ops<a@b>", "a@b" },
	{ "Ops Team <a@b>", "a@b" },
	{ "\"Ops, Team; \\\"night\\\" <x@y>\" <a@b>", "a@b" },
	{ "\"\" <a@b>", "a@b" },
	{ "\"Ops\" of \"HAProxy\" <a@b>", "a@b" },
	{ "John Q. Public <a@b>", "a@b" },
	{ "Dr. J\xc3\xb6rg M\xc3\xbcller <a@b>", "a@b" },
	{ "\"J\xc3\xb6rg\" <a@b>", "a@b" },
	{ "\xff\xfe <a@b>", "a@b" },
	{ "Ops (night, \"shift\") Team (x) <a@b> (y)", "a@b" },
	{ "Ops\r\n <a@b>", "a@b" },
	{ "\"Ops\r\n Team\" <a@b>", "a@b" },
	/* comments */
	{ "(a(b(c)d)e)a@b", "a@b" },
	{ "(\\) \\( \\\\ , ; : <x@y> \" @)a@b", "a@b" },
	{ "()a@b()", "a@b" },
	{ "(\xc3\xb6\r\n x)a@b", "a@b" },
	{ "a@b, (nobody), c@d", "a@b|c@d" },
	{ "((((((((((((((((16))))))))))))))))a@b", "a@b" },
	/* quoted local parts */
	{ "\"a b\"@c", "\"a b\"@c" },
	{ "\"ab\"@c", "ab@c" },
	{ "\"a.b\"@c", "a.b@c" },
	{ "\"\\a\\.\\b\"@c", "a.b@c" },
	{ "\"a..b\"@c", "\"a..b\"@c" },
	{ "\".a\"@c", "\".a\"@c" },
	{ "\"a.\"@c", "\"a.\"@c" },
	{ "\"\"@c", "\"\"@c" },
	{ "\"a\\\"b\"@c", "\"a\\\"b\"@c" },
	{ "\"a\\\\b\"@c", "\"a\\\\b\"@c" },
	{ "\"a\\ b\"@c", "\"a b\"@c" },
	{ "\"a@b\"@c", "\"a@b\"@c" },
	{ "\"<a>,;:(b)[c]\"@c", "\"<a>,;:(b)[c]\"@c" },
	{ "\"a\r\n b\"@c", "\"a b\"@c" },
	{ "<\"a b\" @ c>", "\"a b\"@c" },
	/* domain literals */
	{ "a@[192.0.2.1]", "a@[192.0.2.1]" },
	{ "a@[ 192.0.2.1 ]", "a@[192.0.2.1]" },
	{ "a@[0.0.0.255]", "a@[0.0.0.255]" },
	{ "<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]" },
	{ "a@[ipv6:::1]", "a@[ipv6:::1]" },
	{ "a@[IPv6:::]", "a@[IPv6:::]" },
	{ "a@[IPv6:1::]", "a@[IPv6:1::]" },
	{ "a@[IPv6:1:2:3:4:5:6:7:8]", "a@[IPv6:1:2:3:4:5:6:7:8]" },
	{ "a@[IPv6:1:2:3:4:5:6:7::]", "a@[IPv6:1:2:3:4:5:6:7::]" },
	{ "a@[IPv6:FE80:2:3:4:5:6:192.0.2.1]", "a@[IPv6:FE80:2:3:4:5:6:192.0.2.1]" },
	{ "a@[IPv6:::ffff:192.0.2.1]", "a@[IPv6:::ffff:192.0.2.1]" },
	/* lists */
	{ "a@b,c@d", "a@b|c@d" },
	{ "a@b ; c@d", "a@b|c@d" },
	{ ",, a@b ,; ,c@d;", "a@b|c@d" },
	{ "A <a@b>, \"C, D\" <c@d>, e@f (g, h)", "a@b|c@d|e@f" },
	{ "a@b,\r\n c@d", "a@b|c@d" },
	/* groups */
	{ "ops: a@b, c@d;", "a@b|c@d" },
	{ "ops:a@b;", "a@b" },
	{ "\"Night: ops\" team (x): A <a@b>, \"C\" <c@d>; (y)", "a@b|c@d" },
	{ "nobody:;, a@b", "a@b" },
	{ "nobody: , (x) ;a@b", "a@b" },
	{ "x@y; ops: a@b; c@d", "x@y|a@b|c@d" },
	{ "ops: a@b; night: c@d;", "a@b|c@d" },
	{ "ops: a@b; <c@d>, e@f", "a@b|c@d|e@f" },
	/* duplicates */
	{ "a@b, A <a@B>, \"a\"@b", "a@b" },
	{ "a@b, A@b", "a@b|A@b" },
	{ "root, root@x, root", "root|root@x" },
	{ "root@x, root, roo@x", "root@x|root|roo@x" },
	{ "\"a@x\"@b, \"a@X\"@b, a@b", "\"a@x\"@b|\"a@X\"@b|a@b" },
	/* lengths */
	{ A60 "abcd@x", A60 "abcd@x" },
	{ "\"" A60 " x\"@x", "\"" A60 " x\"@x" },
	{ "a@" LABEL63, "a@" LABEL63 },
	{ "a@" LABEL63 "." LABEL63 "." LABEL63 "." A60, "a@" LABEL63 "." LABEL63 "." LABEL63 "." A60 },
};

/* <reason> is whole, or, ending in "*", its start. */
static const struct {
	const char *text, *reason;
} invalid[] = {
	{ "", "'': no address; write at least one, such as ops@example.com" },
	{ " ", "'': no address; *" },
	{ ", ;", "', ;': no address; *" },
	{ "nobody:;", "'nobody:;': no address; *" },
	{ "(x)", "'(x)': no address; *" },
	{ "<>", "'<>': no address between '<' and '>'; write <user@example.com>" },
	{ "Ops < (x) >", "'Ops < (x) >': no address between *" },
	{ "a@b, <>", "'<>': no address between *" },
	/* what follows, or does not */
	{ "John Doe", "'John Doe': something follows the address; write ',' between addresses, *" },
	{ "a@b c@d", "'a@b c@d': something follows *" },
	{ "a@b <a@b>", "'a@b <a@b>': something follows *" },
	{ "<a@b> c", "'<a@b> c': something follows *" },
	{ "<a@b>>", "'<a@b>>': something follows *" },
	{ "a@b:25", "'a@b:25': something follows *" },
	{ "a@b@c", "'a@b@c': something follows *" },
	{ "a@b)", "'a@b)': something follows *" },
	{ "\"John Doe\"", "'\"John Doe\"': a name without an address; write *" },
	{ "x, \"John Doe\" (y), z", "'\"John Doe\" (y)': a name without *" },
	{ "<\"root\">", "'<\"root\">': a name without *" },
	{ "Ops <a@b", "'Ops <a@b': no '>' right after the address that follows '<'; *" },
	{ "Ops <a@b, c@d", "'Ops <a@b': no '>' *" },
	{ "Ops <a b@c>", "'Ops <a b@c>': no '>' *" },
	{ "Ops <", "'Ops <': no '>' *" },
	{ "\"Ops <a@b>", "'\"Ops <a@b>': a quoted string without end; write the closing '\"'" },
	{ "\"Ops\\", "'\"Ops\\x5c': a quoted string without end; *" },
	{ "\"a, b\\\"@c", "'\"a, b\\x5c\"@c': a quoted string without end; *" },
	{ "a@b (c", "'a@b (c': a comment without end; write the closing ')'" },
	{ "(", "'(': a comment *" },
	{ "a@b, ((c)", "' ((c)': a comment *" },
	{ "(\\", "'(\\x5c': a comment *" },
	{ "(((((((((((((((((17)))))))))))))))))a@b", "'(((((((((((((((((17)))))))))))))))))a@b': comments in *" },
	/* stray characters */
	{ ">a@b", "'>a@b': a character that may not stand there; *" },
	{ ")", "')': a character *" },
	{ "[a]@b", "'[a]@b': a character *" },
	{ ":a@b;", "':a@b': a character *" },
	{ "\\a@b", "'\\x5ca@b': a character *" },
	{ "<,>", "'<': a character *" },
	/* groups */
	{ "ops: a@b, c@d", "'ops: a@b, c@d': a group without end; write ';' *" },
	{ "mailto:a@b", "'mailto:a@b': a group without end; *" },
	{ "ops: night: a@b;;", "'night: a@b': a group in a group; *" },
	{ "ops: a@b c@d;", "'a@b c@d': something follows *" },
	/* local parts */
	{ "@b", "'@b': nothing before '@'; write user@example.com" },
	{ ".a@b", "'.a@b': a dot at an end of the part before '@', or two in a row; *" },
	{ "a.@b", "'a.@b': a dot at an end of the part *" },
	{ "a..b@c", "'a..b@c': a dot at an end of the part *" },
	{ ".", "'.': a dot at an end of the part *" },
	{ "a . b@c", "'a . b@c': something follows *" },
	{ "\"a b\".c@d", "'\"a b\".c@d': quotes around a piece of the part before '@'; *" },
	{ "a.\"b c\"@d", "'a.\"b c\"@d': quotes around a piece *" },
	{ "\"a\"b@c", "'\"a\"b@c': quotes around a piece *" },
	{ A60 "abcde@x", "'" A60 "...': the part before '@' is too long; write at most 64 bytes" },
	{ "\"" A60 " xy\"@x", "'\"" A10 A10 A10 A10 A10 "abcdefghi...': the part before '@' is too long; *" },
	{ "<@x,@y:a@b>", "'<@x': a source route; write the address alone: <user@example.com>" },
	/* domains */
	{ "a@", "'a@': nothing after '@'; write user@example.com" },
	{ "a@ ,b", "'a@': nothing after *" },
	{ "<a@>", "'<a@>': nothing after *" },
	{ "a@.b", "'a@.b': a dot at an end of the domain, *" },
	{ "a@b.", "'a@b.': a dot at an end of the domain, *" },
	{ "a@b..c", "'a@b..c': a dot at an end of the domain, *" },
	{ "a@-b", "'a@-b': a domain holds letters, *" },
	{ "a@b-.c", "'a@b-.c': a domain holds *" },
	{ "a@b!c", "'a@b!c': a domain holds *" },
	{ "a@b/c", "'a@b/c': a domain holds *" },
	{ "a@\"b\"", "'a@\"b\"': nothing after *" },
	{ "a@" LABEL63 "x", "'a@" A10 A10 A10 A10 A10 "abcdefgh...': more than 63 bytes between two dots *" },
	{ "a@" LABEL63 "." LABEL63 "." LABEL63 "." A60 "x",
	  "'a@" A10 A10 A10 A10 A10 "abcdefgh...': an address is too long; write at most 254 bytes" },
	{ "a@" LABEL63 "." LABEL63 "." LABEL63 "." LABEL63 "." LABEL63,
	  "'a@" A10 A10 A10 A10 A10 "abcdefgh...': an address is too long; *" },
	/* literals */
	{ "a@[]", "'a@[]': not an IP address between '[' and ']'; *" },
	{ "a@[192.0.2.1", "'a@[192.0.2.1': not an IP address *" },
	{ "a@[192.0.2.256]", "'a@[192.0.2.256]': not an IP address *" },
	{ "a@[192.0.2]", "'a@[192.0.2]': not an IP address *" },
	{ "a@[192.0.2.1.2]", "'a@[192.0.2.1.2]': not an IP address *" },
	{ "a@[192.0.2.1]x", "'a@[192.0.2.1]x': something follows *" },
	{ "a@[192.0.2.0001]", "'a@[192.0.2.0001]': not an IP address *" },
	{ "a@[x]", "'a@[x]': not an IP address *" },
	{ "a@[[192.0.2.1]", "'a@[[192.0.2.1]': not an IP address *" },
	{ "a@[2001:db8::1]", "'a@[2001:db8::1]': not an IP address *" },
	{ "a@[IPv6]", "'a@[IPv6]': not an IP address *" },
	{ "a@[IPv6:]", "'a@[IPv6:]': not an IP address *" },
	{ "a@[IPv6:1]", "'a@[IPv6:1]': not an IP address *" },
	{ "a@[IPv6:192.0.2.1]", "'a@[IPv6:192.0.2.1]': not an IP address *" },
	{ "a@[IPv6::1:2:3:4:5:6:7:8]", "'a@[IPv6::1:2:3:4:5:6:7:8]': not an IP address *" },
	{ "a@[IPv6:1:2:3:4:5:6:7:]", "'a@[IPv6:1:2:3:4:5:6:7:]': not an IP address *" },
	{ "a@[IPv6:1:2:3:4:5:6:7:8:9]", "'a@[IPv6:1:2:3:4:5:6:7:8:9]': not an IP address *" },
	{ "a@[IPv6:1:2:3:4:5:6:7:8::]", "'a@[IPv6:1:2:3:4:5:6:7:8::]': not an IP address *" },
	{ "a@[IPv6:1::2::3]", "'a@[IPv6:1::2::3]': not an IP address *" },
	{ "a@[IPv6:1:::2]", "'a@[IPv6:1:::2]': not an IP address *" },
	{ "a@[IPv6:12345::]", "'a@[IPv6:12345::]': not an IP address *" },
	{ "a@[IPv6:::192.0.2.1:1]", "'a@[IPv6:::192.0.2.1:1]': not an IP address *" },
	{ "a@[IPv6:1:2:3:4:5:6:7:192.0.2.1]", "'a@[IPv6:1:2:3:4:5:6:7:192.0.2.1]': not an IP address *" },
	{ "a@[IPv4:192.0.2.1]", "'a@[IPv4:192.0.2.1]': not an IP address *" },
	/* RFC 6531 */
	{ "j\xc3\xb6rg@x", "'j\\xc3\\xb6rg@x': a non-ASCII address needs SMTPUTF8, which is not supported; *" },
	{ "\"j\xc3\xb6rg\"@x", "'\"j\\xc3\\xb6rg\"@x': a non-ASCII *" },
	{ "a@b\xc3\xbc.x", "'a@b\\xc3\\xbc.x': a non-ASCII *" },
	{ "a@[\xc3\xbc]", "'a@[\\xc3\\xbc]': a non-ASCII *" },
	{ "Ops <\xc3\xb6@x>", "'Ops <\\xc3\\xb6@x>': a non-ASCII *" },
	{ "j\xc3\xb6rg", "'j\\xc3\\xb6rg': a non-ASCII *" },
	/* control bytes */
	{ "a@b\r\nRCPT TO:<x@y>", "'a@b\\x0d\\x0aRCPT TO:<x@y>': a control byte, *" },
	{ "a@b\n", "'a@b\\x0a': a control byte, *" },
	{ "a@b\r\n", "'a@b\\x0d\\x0a': a control byte, *" },
	{ "\"a\tb\"@c", "'\"a\\x09b\"@c': a control byte, *" },
	{ "\"a\\\nb\"@c", "'\"a\\x5c\\x0ab\"@c': a control byte, *" },
	{ "(\n)a@b", "'(\\x0a)a@b': a control byte, *" },
	{ "a\x7f@b", "'a\\x7f@b': a control byte, *" },
	{ "a@[192.0.2.1\n]", "'a@[192.0.2.1\\x0a]': a control byte, *" },
	{ "<a@b\n>", "'<a@b\\x0a>': a control byte, *" },
};

#define ROWS(table) (sizeof(table) / sizeof(*(table)))

/* What holds for every result: safe addresses that parse back to themselves, or an empty list and a reason. */
static void check_result(enum mailers_error error, const struct mailbox_list *list, const char *reason)
{
	struct mailbox_list again;
	char again_reason[MAILBOX_REASON_SIZE];
	enum mailers_error again_error;

	if (error) {
		assert_int_equal(list->n, 0);
		assert_null(list->address);
		assert_true(strlen(reason) > 10 && strlen(reason) < MAILBOX_REASON_SIZE - 1);
		for (; *reason; reason++)
			assert_in_range(*reason, ' ', '~');
		return;
	}
	assert_in_range(list->n, 1, MAILBOX_LIST_MAX);
	for (size_t i = 0; i < list->n; i++) {
		const char *address = list->address[i];
		bool quoted = false;

		assert_in_range(strlen(address), 1, MAILBOX_PATH_MAX);
		for (const char *c = address; *c; c++) {
			assert_in_range(*c, ' ', '~');
			if (quoted && *c == '\\')
				c++;
			else if (*c == '"')
				quoted = !quoted;
			else if (!quoted)
				assert_null(strchr(" <>,;()\\", *c));
		}
		assert_false(quoted);
		again_error = mailbox_list_parse(&again, address, again_reason, sizeof(again_reason));
		assert_int_equal(again_error, MAILERS_OK);
		assert_int_equal(again.n, 1);
		assert_string_equal(again.address[0], address);
		mailbox_list_free(&again);
	}
}

/* Parses <text> out of a heap block of its own size, so that a byte read too far is seen. */
static enum mailers_error parse(struct mailbox_list *list, const char *text, size_t len, char *reason)
{
	char *copy = malloc(len + 1);
	enum mailers_error error;

	assert_non_null(copy);
	memcpy(copy, text, len);
	copy[len] = '\0';
	reason[0] = '\0';
	error = mailbox_list_parse(list, copy, reason, MAILBOX_REASON_SIZE);
	check_result(error, list, reason);
	free(copy);
	return error;
}

static void check_joined(const struct mailbox_list *list, const char *expected)
{
	char joined[4096] = "";

	for (size_t i = 0; i < list->n; i++)
		snprintf(joined + strlen(joined), sizeof(joined) - strlen(joined), "%s%s",
		         i ? "|" : "", list->address[i]);
	assert_string_equal(joined, expected);
}

static void mailbox__valid_rows__give_the_paths(void **state)
{
	char reason[MAILBOX_REASON_SIZE];
	struct mailbox_list list;

	(void)state;
	for (size_t i = 0; i < ROWS(valid); i++) {
		enum mailers_error error = parse(&list, valid[i].text, strlen(valid[i].text), reason);

		if (error != MAILERS_OK)
			fail_msg("row %zu: %s", i, reason);
		check_joined(&list, valid[i].addresses);
		mailbox_list_free(&list);
		assert_int_equal(list.n, 0);
	}
}

static void mailbox__invalid_rows__give_the_reason(void **state)
{
	char reason[MAILBOX_REASON_SIZE];
	struct mailbox_list list;

	(void)state;
	for (size_t i = 0; i < ROWS(invalid); i++) {
		size_t len = strlen(invalid[i].reason);
		bool start = invalid[i].reason[len - 1] == '*';

		if (parse(&list, invalid[i].text, strlen(invalid[i].text), reason) == MAILERS_OK)
			fail_msg("row %zu is accepted: %s", i, list.address[0]);
		if (start)
			reason[len - 1] = '*';
		reason[len] = '\0';
		assert_string_equal(reason, invalid[i].reason);
	}
}

/* Every row of both tables. */
static const char *row_text(size_t i)
{
	if (i < ROWS(valid))
		return valid[i].text;
	i -= ROWS(valid);
	return i < ROWS(invalid) ? invalid[i].text : NULL;
}

static void mailbox__every_prefix_and_suffix__is_consistent(void **state)
{
	char reason[MAILBOX_REASON_SIZE];
	struct mailbox_list list;
	const char *text;

	(void)state;
	for (size_t i = 0; (text = row_text(i)); i++) {
		for (size_t n = 0; n <= strlen(text); n++) {
			parse(&list, text, n, reason);
			mailbox_list_free(&list);
			parse(&list, text + n, strlen(text) - n, reason);
			mailbox_list_free(&list);
		}
	}
}

static void mailbox__control_byte_anywhere__never_in_an_address(void **state)
{
	static const char bytes[] = "\x01\t\n\x0b\r\x1b\x1f\x7f\x80\xff";
	char reason[MAILBOX_REASON_SIZE], text[1024];
	struct mailbox_list list;

	(void)state;
	for (size_t i = 0; i < ROWS(valid); i++) {
		size_t len = strlen(valid[i].text);

		assert_true(len + 1 < sizeof(text));
		for (size_t at = 0; at <= len; at++) {
			for (const char *b = bytes; *b; b++) {
				memcpy(text, valid[i].text, at);
				text[at] = *b;
				memcpy(text + at + 1, valid[i].text + at, len - at);
				if (parse(&list, text, len + 1, reason) == MAILERS_OK)
					assert_non_null(strchr("\t\r\n\x80\xff", *b));
				mailbox_list_free(&list);
			}
		}
	}
}

/* "u0@x,u1@x,…", <n> of them. */
static char *many(size_t n)
{
	char *text = malloc(n * 8 + 1);
	size_t len = 0;

	assert_non_null(text);
	for (size_t i = 0; i < n; i++)
		len += (size_t)sprintf(text + len, "u%zu@x,", i);
	return text;
}

static void mailbox__list_at_its_limit__bound_beyond(void **state)
{
	char reason[MAILBOX_REASON_SIZE], *text = many(MAILBOX_LIST_MAX);
	struct mailbox_list list;

	(void)state;
	assert_int_equal(parse(&list, text, strlen(text), reason), MAILERS_OK);
	assert_int_equal(list.n, MAILBOX_LIST_MAX);
	assert_string_equal(list.address[MAILBOX_LIST_MAX - 1], "u99@x");
	mailbox_list_free(&list);
	free(text);
	text = many(MAILBOX_LIST_MAX + 1);
	assert_int_equal(parse(&list, text, strlen(text), reason), MAILERS_ERR_BOUND);
	assert_string_equal(reason, "'u100@x': more than 100 addresses; write a distribution list's address");
	/* A duplicate is none too many. */
	memcpy(strstr(text, "u100"), "u000", 4);
	memcpy(strstr(text, "u000"), "  u5", 4);
	assert_int_equal(parse(&list, text, strlen(text), reason), MAILERS_OK);
	assert_int_equal(list.n, MAILBOX_LIST_MAX);
	mailbox_list_free(&list);
	free(text);
}

static void mailbox__comments_too_deep__bound(void **state)
{
	char reason[MAILBOX_REASON_SIZE], text[100001];
	struct mailbox_list list;

	(void)state;
	memset(text, '(', sizeof(text) - 1);
	assert_int_equal(parse(&list, text, sizeof(text) - 1, reason), MAILERS_ERR_BOUND);
}

static void mailbox__huge_parts__refused_or_skipped(void **state)
{
	static const struct { const char *before, *unit, *after; bool fine; } row[] = {
		{ "", "a", "@x", false },
		{ "\"", "a", "\"@x", false },
		{ "a@", "a", "", false },
		{ "a@", "a.", "a", false },
		{ "a@[", "1", "]", false },
		{ "a@[IPv6:", "1:", ":]", false },
		{ "a", ".", "@x", false },
		{ "(", "x ", ")a@b", true },
		{ "\"", "\\\"", "\" <a@b>", true },
		{ "", "Ops ", "<a@b>", true },
		{ "", ",", "a@b", true },
		{ "", "x:;", "a@b", true },
		{ "", "\r\n ", "a@b", true },
		{ "", "()", "a@b", true },
		{ "", "a@b,", "", true },
	};
	char reason[MAILBOX_REASON_SIZE], *text = malloc(60000);
	struct mailbox_list list;

	(void)state;
	assert_non_null(text);
	for (size_t i = 0; i < ROWS(row); i++) {
		strcpy(text, row[i].before);
		for (size_t n = 0, len = strlen(text); n < 10000; n++, len += strlen(row[i].unit))
			strcpy(text + len, row[i].unit);
		strcat(text, row[i].after);
		assert_int_equal(parse(&list, text, strlen(text), reason) == MAILERS_OK, row[i].fine);
		if (row[i].fine)
			check_joined(&list, "a@b");
		mailbox_list_free(&list);
	}
	free(text);
}

static void mailbox__reason_of_any_size__is_cut(void **state)
{
	char whole[MAILBOX_REASON_SIZE], reason[MAILBOX_REASON_SIZE];
	struct mailbox_list list;

	(void)state;
	assert_int_equal(mailbox_list_parse(&list, "\n\n", whole, sizeof(whole)), MAILERS_ERR_SYNTAX);
	for (size_t size = 0; size < strlen(whole) + 2; size++) {
		memset(reason, '#', sizeof(reason));
		assert_int_equal(mailbox_list_parse(&list, "\n\n", reason, size), MAILERS_ERR_SYNTAX);
		assert_int_equal(reason[size], '#');
		if (!size)
			continue;
		assert_int_equal(strlen(reason), size - 1 < strlen(whole) ? size - 1 : strlen(whole));
		assert_memory_equal(reason, whole, strlen(reason));
	}
	assert_int_equal(mailbox_list_parse(&list, "\n\n", NULL, 0), MAILERS_ERR_SYNTAX);
	assert_int_equal(mailbox_list_parse(&list, NULL, reason, sizeof(reason)), MAILERS_ERR_SYNTAX);
	assert_string_equal(reason, "'': no address; write at least one, such as ops@example.com");
}

static void mailbox__longest_reason__fits(void **state)
{
	/* Sixty escaped bytes before each kind of fault. */
	static const char *const end[] = {
		"", "<>", "\n", "@x", " <a", " <a@b> c", "\"", "(", " <a@.x>", " <a@-x>", " <a@[]>",
		" <.a@x>", " <\"a\".b@x>", ":",
		" <@x:a@b>", " <@>", " <a@>", " <" A60 A60 "@x>", " <a@" LABEL63 "x>", " <\xff@x>",
	};
	char reason[MAILBOX_REASON_SIZE], text[512];
	struct mailbox_list list;

	(void)state;
	for (size_t i = 0; i < ROWS(end); i++) {
		memset(text, '\xff', 60);
		strcpy(text + 60, end[i]);
		assert_int_equal(parse(&list, text, strlen(text), reason), MAILERS_ERR_SYNTAX);
		assert_non_null(strstr(reason, "\\xff': ") ? reason : strstr(reason, "\\xff...': "));
	}
}

static void mailbox__allocation_fails__nomem_and_empty(void **state)
{
	char reason[MAILBOX_REASON_SIZE];
	struct mailbox_list list;
	enum mailers_error error;
	long n = 0;

	(void)state;
	for (;; n++) {
		unit_fail_at(n);
		error = mailbox_list_parse(&list, "ops: a@b, \"c d\"@e; root", reason, sizeof(reason));
		if (!unit_failed())
			break;
		assert_int_equal(error, MAILERS_ERR_NOMEM);
		assert_non_null(strstr(reason, "out of memory"));
		assert_int_equal(list.n, 0);
		assert_null(list.address);
	}
	assert_int_equal(error, MAILERS_OK);
	assert_int_equal(n, 6);
	check_joined(&list, "a@b|\"c d\"@e|root");
	mailbox_list_free(&list);
	mailbox_list_free(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mailbox__valid_rows__give_the_paths),
		cmocka_unit_test(mailbox__invalid_rows__give_the_reason),
		cmocka_unit_test(mailbox__every_prefix_and_suffix__is_consistent),
		cmocka_unit_test(mailbox__control_byte_anywhere__never_in_an_address),
		cmocka_unit_test(mailbox__list_at_its_limit__bound_beyond),
		cmocka_unit_test(mailbox__comments_too_deep__bound),
		cmocka_unit_test(mailbox__huge_parts__refused_or_skipped),
		cmocka_unit_test(mailbox__reason_of_any_size__is_cut),
		cmocka_unit_test(mailbox__longest_reason__fits),
		cmocka_unit_test(mailbox__allocation_fails__nomem_and_empty),
	};

	return cmocka_run_group_tests_name("mailbox", tests, NULL, NULL);
}
