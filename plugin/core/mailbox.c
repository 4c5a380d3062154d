/*
 * mailbox - see mailbox.h. A recursive descent over RFC 5322's grammar; each function has its rule
 * above it. Functions return the fault that they found, MAILBOX_FINE without one, and leave the position
 * where it is: the reason is written once, at the top, by mailbox_fault.
 *
 * What is printed is safe to stand in a command by construction: every byte of it went through
 * mailbox_put_local() or mailbox_check_domain(). Recursion is bounded, a list holds members and a group
 * holds a list that holds no group; comments are counted. Time is linear in the text but for the search
 * for duplicates, which MAILBOX_LIST_MAX bounds.
 *
 * Called while the configuration is read.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mailers/mailbox.h>

#include "mailbox_fault.h"

/* One half of an address while it is read: <len> counts on when <text> is full. */
struct mailbox_half {
	char text[MAILBOX_DOMAIN_MAX + 1];
	size_t len;
};

struct mailbox_parser {
	const char *pos;    /* next byte; the text ends with a NUL */
	const char *member; /* start of what the reason shows */
	bool in_group;
	struct mailbox_list *list;
	struct mailbox_half local, domain;
};

static bool mailbox_is_wsp(char c)
{
	return c == ' ' || c == '\t';
}

static bool mailbox_is_high(char c)
{
	return (unsigned char)c > 127;
}

static bool mailbox_is_control(char c)
{
	return (unsigned char)c < ' ' || c == 127;
}

static bool mailbox_is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool mailbox_is_alnum(char c)
{
	return mailbox_is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool mailbox_is_atext(char c)
{
	return mailbox_is_alnum(c) || (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

/* What stands in a comment or a quoted string, and behind a backslash in them. */
static bool mailbox_is_text(char c)
{
	return !mailbox_is_control(c) || c == '\t';
}

/* The fault of a byte that no rule takes. */
static enum mailbox_fault mailbox_unexpected(char c)
{
	if (mailbox_is_control(c))
		return MAILBOX_CONTROL;
	return mailbox_is_high(c) ? MAILBOX_NON_ASCII : MAILBOX_STRAY;
}

static void mailbox_half_put(struct mailbox_half *half, char c)
{
	if (half->len < sizeof(half->text) - 1) {
		half->text[half->len] = c;
		half->text[half->len + 1] = '\0';
	}
	half->len++;
}

static void mailbox_half_clear(struct mailbox_half *half)
{
	half->len = 0;
	half->text[0] = '\0';
}

/* FWS = ([*WSP CRLF] 1*WSP) / obs-FWS, any number of them */
static void mailbox_skip_fws(struct mailbox_parser *p)
{
	for (;;) {
		if (mailbox_is_wsp(*p->pos))
			p->pos++;
		else if (p->pos[0] == '\r' && p->pos[1] == '\n' && mailbox_is_wsp(p->pos[2]))
			p->pos += 3;
		else
			return;
	}
}

/* comment = "(" *([FWS] (ctext / quoted-pair / comment)) [FWS] ")" */
static enum mailbox_fault mailbox_skip_comment(struct mailbox_parser *p)
{
	unsigned depth = 0;

	do {
		mailbox_skip_fws(p);
		if (*p->pos == '(' && ++depth > MAILBOX_COMMENT_DEPTH)
			return MAILBOX_COMMENT_DEEP;
		if (*p->pos == ')')
			depth--;
		if (*p->pos == '\\')
			p->pos++;
		if (!*p->pos)
			return MAILBOX_COMMENT_OPEN;
		if (!mailbox_is_text(*p->pos))
			return MAILBOX_CONTROL;
		p->pos++;
	} while (depth);
	return MAILBOX_FINE;
}

/* CFWS = (1*([FWS] comment) [FWS]) / FWS, or nothing */
static enum mailbox_fault mailbox_skip_cfws(struct mailbox_parser *p)
{
	enum mailbox_fault fault = MAILBOX_FINE;

	mailbox_skip_fws(p);
	while (!fault && *p->pos == '(') {
		fault = mailbox_skip_comment(p);
		mailbox_skip_fws(p);
	}
	return fault;
}

/* quoted-string = DQUOTE *([FWS] (qtext / quoted-pair)) [FWS] DQUOTE; its bytes, without the CRLF
 * of FWS, go to <half> unless that is NULL.
 */
static enum mailbox_fault mailbox_read_quoted(struct mailbox_parser *p, struct mailbox_half *half)
{
	for (p->pos++; *p->pos != '"'; p->pos++) {
		if (p->pos[0] == '\r' && p->pos[1] == '\n' && mailbox_is_wsp(p->pos[2]))
			p->pos += 2;
		else if (*p->pos == '\\')
			p->pos++;
		if (!*p->pos)
			return MAILBOX_QUOTE_OPEN;
		if (!mailbox_is_text(*p->pos))
			return MAILBOX_CONTROL;
		if (half)
			mailbox_half_put(half, *p->pos);
	}
	p->pos++;
	return MAILBOX_FINE;
}

/* dot-atom-text = 1*atext *("." 1*atext); a high byte is read to be refused by name */
static enum mailbox_fault mailbox_read_dot_atom(struct mailbox_parser *p, struct mailbox_half *half)
{
	for (; mailbox_is_atext(*p->pos) || *p->pos == '.' || mailbox_is_high(*p->pos); p->pos++) {
		if (mailbox_is_high(*p->pos))
			return MAILBOX_NON_ASCII;
		mailbox_half_put(half, *p->pos);
	}
	return MAILBOX_FINE;
}

/* Are there only single dots in <text>, and none at an end? */
static bool mailbox_has_fine_dots(const char *text)
{
	return *text && *text != '.' && !strstr(text, "..") && text[strlen(text) - 1] != '.';
}

/* Can <text> stand without quotes? Dot-string = Atom *("." Atom) of RFC 5321 */
static bool mailbox_is_dot_string(const char *text)
{
	if (!mailbox_has_fine_dots(text))
		return false;
	while (*text && (mailbox_is_atext(*text) || *text == '.'))
		text++;
	return !*text;
}

/* local-part = dot-atom / quoted-string, the CFWS around it excluded */
static enum mailbox_fault mailbox_read_local(struct mailbox_parser *p)
{
	bool quoted = *p->pos == '"';
	enum mailbox_fault fault;

	fault = quoted ? mailbox_read_quoted(p, &p->local) : mailbox_read_dot_atom(p, &p->local);
	if (fault)
		return fault;
	if (p->local.len > MAILBOX_LOCAL_MAX)
		return MAILBOX_LOCAL_LONG;
	for (const char *c = p->local.text; *c; c++)
		if (mailbox_is_control(*c) || mailbox_is_high(*c))
			return mailbox_unexpected(*c);
	if (quoted)
		return *p->pos == '.' || mailbox_is_atext(*p->pos) ? MAILBOX_LOCAL_MIXED : MAILBOX_FINE;
	if (*p->pos == '"' && p->local.len)
		return MAILBOX_LOCAL_MIXED;
	if (*p->pos == '@' && !p->local.len)
		return MAILBOX_NO_LOCAL;
	if (!p->local.len)
		return mailbox_unexpected(*p->pos);
	return mailbox_has_fine_dots(p->local.text) ? MAILBOX_FINE : MAILBOX_LOCAL_DOTS;
}

/* Domain = sub-domain *("." sub-domain), sub-domain = Let-dig [Ldh-str] of RFC 5321, and '_' */
static enum mailbox_fault mailbox_check_domain(const struct mailbox_half *domain)
{
	const char *label = domain->text;
	size_t n;

	if (!domain->len)
		return MAILBOX_NO_DOMAIN;
	if (domain->len > MAILBOX_DOMAIN_MAX)
		return MAILBOX_PATH_LONG;
	if (!mailbox_has_fine_dots(label))
		return MAILBOX_DOMAIN_DOTS;
	for (;; label += n + 1) {
		n = strcspn(label, ".");
		if (n > MAILBOX_LABEL_MAX)
			return MAILBOX_LABEL_LONG;
		if (label[0] == '-' || label[n - 1] == '-')
			return MAILBOX_DOMAIN_BYTES;
		for (size_t i = 0; i < n; i++)
			if (!mailbox_is_alnum(label[i]) && label[i] != '-' && label[i] != '_')
				return MAILBOX_DOMAIN_BYTES;
		if (!label[n])
			return MAILBOX_FINE;
	}
}

/* IPv4-address-literal = Snum 3("." Snum), Snum = 1*3DIGIT up to 255; <text> ends with "]" */
static bool mailbox_is_ipv4(const char *text)
{
	for (int i = 0; i < 4; i++) {
		unsigned value = 0;
		int digits = 0;

		for (; mailbox_is_digit(*text) && digits < 3; digits++)
			value = value * 10 + (unsigned)(*text++ - '0');
		if (!digits || value > 255 || *text++ != (i < 3 ? '.' : ']'))
			return false;
	}
	return !*text;
}

/* IPv6-addr: eight groups of up to four hexadecimal digits, "::" once for one or more of them, an IPv4
 * address for the last two; <text> ends with "]"
 */
static bool mailbox_is_ipv6(const char *text)
{
	bool gap = false;
	int groups = 0;
	size_t n;

	for (; *text != ']'; groups++, text += n) {
		if (text[0] == ':' && text[1] == ':' && !gap) {
			gap = true;
			text += 2;
			if (*text == ']')
				break;
		} else if (groups && *text++ != ':') {
			return false;
		}
		if (mailbox_is_ipv4(text)) {
			groups += 2;
			break;
		}
		n = strspn(text, "0123456789abcdefABCDEF");
		if (!n || n > 4)
			return false;
	}
	return gap ? groups < 8 : groups == 8;
}

/* domain-literal = "[" *([FWS] dtext) [FWS] "]", and what RFC 5321 4.1.3 allows in it */
static enum mailbox_fault mailbox_read_literal(struct mailbox_parser *p)
{
	static const char tag[] = "IPv6:";
	char *text = p->domain.text;

	for (;; p->pos++) {
		mailbox_skip_fws(p);
		if (!*p->pos)
			return MAILBOX_LITERAL;
		if (mailbox_is_control(*p->pos) || mailbox_is_high(*p->pos))
			return mailbox_unexpected(*p->pos);
		mailbox_half_put(&p->domain, *p->pos);
		if (*p->pos == ']')
			break;
	}
	p->pos++;
	if (p->domain.len > MAILBOX_DOMAIN_MAX)
		return MAILBOX_LITERAL;
	if (mailbox_is_ipv4(text + 1))
		return MAILBOX_FINE;
	for (size_t i = 0; tag[i]; i++)
		if ((text[1 + i] | 0x20) != (tag[i] | 0x20))
			return MAILBOX_LITERAL;
	return mailbox_is_ipv6(text + sizeof(tag)) ? MAILBOX_FINE : MAILBOX_LITERAL;
}

/* domain = dot-atom / domain-literal, the CFWS around it excluded */
static enum mailbox_fault mailbox_read_domain(struct mailbox_parser *p)
{
	enum mailbox_fault fault;

	if (*p->pos == '[')
		return mailbox_read_literal(p);
	fault = mailbox_read_dot_atom(p, &p->domain);
	return fault ? fault : mailbox_check_domain(&p->domain);
}

/* addr-spec = local-part [CFWS] "@" [CFWS] domain [CFWS], or a dot-atom alone; CFWS before it is gone */
static enum mailbox_fault mailbox_read_addr_spec(struct mailbox_parser *p)
{
	enum mailbox_fault fault;
	bool quoted = *p->pos == '"';

	mailbox_half_clear(&p->local);
	mailbox_half_clear(&p->domain);
	fault = mailbox_read_local(p);
	if (!fault)
		fault = mailbox_skip_cfws(p);
	if (fault)
		return fault;
	if (*p->pos != '@')
		return quoted ? MAILBOX_NAME_ONLY : MAILBOX_FINE;
	p->pos++;
	fault = mailbox_skip_cfws(p);
	if (!fault)
		fault = mailbox_read_domain(p);
	return fault ? fault : mailbox_skip_cfws(p);
}

/* angle-addr = "<" addr-spec ">" [CFWS] */
static enum mailbox_fault mailbox_read_angle(struct mailbox_parser *p)
{
	enum mailbox_fault fault;

	p->pos++;
	fault = mailbox_skip_cfws(p);
	if (fault)
		return fault;
	if (*p->pos == '>')
		return MAILBOX_NULL_SENDER;
	if (*p->pos == '@')
		return MAILBOX_ROUTE;
	if (!*p->pos)
		return MAILBOX_ANGLE_OPEN;
	fault = mailbox_read_addr_spec(p);
	if (fault)
		return fault;
	if (*p->pos != '>')
		return *p->pos && mailbox_is_control(*p->pos) ? MAILBOX_CONTROL : MAILBOX_ANGLE_OPEN;
	p->pos++;
	return mailbox_skip_cfws(p);
}

/* Prints the address that was read into <out> of MAILBOX_PATH_MAX + 1 bytes. */
static enum mailbox_fault mailbox_print(const struct mailbox_parser *p, char *out)
{
	char local[2 * MAILBOX_LOCAL_MAX + 3];
	size_t n = 0;
	int len;

	if (mailbox_is_dot_string(p->local.text)) {
		memcpy(local, p->local.text, p->local.len + 1);
		n = p->local.len;
	} else {
		local[n++] = '"';
		for (const char *c = p->local.text; *c; c++) {
			if (*c == '"' || *c == '\\')
				local[n++] = '\\';
			local[n++] = *c;
		}
		local[n++] = '"';
		local[n] = '\0';
	}
	if (n > MAILBOX_LOCAL_MAX)
		return MAILBOX_LOCAL_LONG;
	len = snprintf(out, MAILBOX_PATH_MAX + 1, "%s%s%s", local, p->domain.len ? "@" : "", p->domain.text);
	return len > MAILBOX_PATH_MAX ? MAILBOX_PATH_LONG : MAILBOX_FINE;
}

/* The same mailbox? Only the domain is without case (RFC 5321 2.4). */
static bool mailbox_equal(const char *a, const char *b)
{
	const char *at = strrchr(a, '@');
	size_t local = at ? (size_t)(at - a) : strlen(a);

	if (strncmp(a, b, local) != 0)
		return false;
	for (a += local, b += local; *a && *b; a++, b++)
		if (*a != *b && !(mailbox_is_alnum(*a) && mailbox_is_alnum(*b) && (*a | 0x20) == (*b | 0x20)))
			return false;
	return *a == *b;
}

/* Adds the address that was read to the list, unless it is there. */
static enum mailbox_fault mailbox_add(struct mailbox_parser *p)
{
	struct mailbox_list *list = p->list;
	char text[MAILBOX_PATH_MAX + 1];
	enum mailbox_fault fault = mailbox_print(p, text);
	char **address;

	if (fault)
		return fault;
	for (size_t i = 0; i < list->n; i++)
		if (mailbox_equal(list->address[i], text))
			return MAILBOX_FINE;
	if (list->n == MAILBOX_LIST_MAX)
		return MAILBOX_TOO_MANY;
	address = realloc(list->address, (list->n + 1) * sizeof(*address));
	if (!address)
		return MAILBOX_NO_MEMORY;
	list->address = address;
	address[list->n] = malloc(strlen(text) + 1);
	if (!address[list->n])
		return MAILBOX_NO_MEMORY;
	memcpy(address[list->n++], text, strlen(text) + 1);
	return MAILBOX_FINE;
}

/* phrase = 1*word, obs-phrase = word *(word / "." / CFWS), word = [CFWS] (atom / quoted-string) [CFWS],
 * or nothing of it. What follows tells a display name from an address.
 */
static enum mailbox_fault mailbox_skip_phrase(struct mailbox_parser *p)
{
	enum mailbox_fault fault;

	for (;;) {
		fault = mailbox_skip_cfws(p);
		if (!fault && *p->pos == '"')
			fault = mailbox_read_quoted(p, NULL);
		else if (mailbox_is_atext(*p->pos) || mailbox_is_high(*p->pos) || *p->pos == '.')
			p->pos++;
		else
			return fault;
		if (fault)
			return fault;
	}
}

static enum mailbox_fault mailbox_read_list(struct mailbox_parser *p);

/* group = display-name ":" [group-list] ";" [CFWS], from the ":" on */
static enum mailbox_fault mailbox_read_group(struct mailbox_parser *p)
{
	const char *start = p->member;
	enum mailbox_fault fault;

	p->pos++;
	p->in_group = true;
	fault = mailbox_read_list(p);
	p->in_group = false;
	if (fault)
		return fault;
	if (!*p->pos) {
		p->member = start;
		return MAILBOX_GROUP_OPEN;
	}
	p->pos++;
	return MAILBOX_FINE;
}

/* address = mailbox / group, mailbox = name-addr / addr-spec, name-addr = [display-name] angle-addr;
 * only the end of the list or a separator may follow
 */
static enum mailbox_fault mailbox_read_member(struct mailbox_parser *p)
{
	enum mailbox_fault fault;

	p->member = p->pos;
	fault = mailbox_skip_phrase(p);
	if (fault)
		return fault;
	if (*p->pos == ':' && p->pos != p->member)
		return p->in_group ? MAILBOX_GROUP_NESTED : mailbox_read_group(p);
	if (*p->pos == '<') {
		fault = mailbox_read_angle(p);
	} else {
		p->pos = p->member;
		fault = mailbox_read_addr_spec(p);
	}
	if (fault)
		return fault;
	if (*p->pos && !strchr(",;", *p->pos))
		return mailbox_is_control(*p->pos) ? MAILBOX_CONTROL : MAILBOX_FOLLOWED;
	return mailbox_add(p);
}

/* address-list = [address] *("," [address]), and ";" for "," outside of a group; group-list is the same.
 * Ends at the end of the text or before the ";" of a group.
 */
static enum mailbox_fault mailbox_read_list(struct mailbox_parser *p)
{
	enum mailbox_fault fault;

	for (;;) {
		p->member = p->pos;
		fault = mailbox_skip_cfws(p);
		if (fault || !*p->pos || (*p->pos == ';' && p->in_group))
			return fault;
		if (*p->pos == ',' || *p->pos == ';') {
			p->pos++;
			continue;
		}
		fault = mailbox_read_member(p);
		if (fault)
			return fault;
	}
}

enum mailers_error mailbox_list_parse(struct mailbox_list *out, const char *text,
                                      char *reason, size_t reason_size)
{
	struct mailbox_parser p = { .list = out };
	enum mailbox_fault fault;

	if (!text)
		text = "";
	*out = (struct mailbox_list){ 0 };
	p.pos = text;
	fault = mailbox_read_list(&p);
	if (!fault && !out->n) {
		p.member = text;
		fault = MAILBOX_EMPTY;
	}
	if (!fault)
		return MAILERS_OK;
	mailbox_fault_explain(fault, p.member, p.pos, reason, reason_size);
	mailbox_list_free(out);
	return mailbox_fault_error(fault);
}

void mailbox_list_free(struct mailbox_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free(list->address[i]);
	free(list->address);
	*list = (struct mailbox_list){ 0 };
}
