/*
 * sasl_oauth - XOAUTH2 and OAUTHBEARER (RFC 7628), see sasl_internal.h: an access token instead of a password, in one
 * response. A server that refuses the token may first say why, in a challenge of JSON text that asks for
 * nothing; it is answered, and 535 follows.
 *
 * Both separate their fields by ^A, which therefore may stand in none: the checks here see to that.
 */
#include <stdio.h>
#include <string.h>

#include "sasl_internal.h"

_Static_assert(SASL_TOKEN_MAX == 8192 && SASL_HOST_MAX == 255, "the texts name another limit");

/* Is <text> printable ASCII without space, and up to <max> bytes? */
static bool sasl_oauth_visible(const char *text, size_t max)
{
	size_t i;

	for (i = 0; text[i]; i++)
		if (i == max || text[i] <= ' ' || text[i] > '~')
			return false;
	return true;
}

static const char *sasl_oauth_unfit_token(const struct sasl_credentials *c)
{
	if (!c->token || !*c->token)
		return "no access token is set";
	if (strnlen(c->token, SASL_TOKEN_MAX + 1) > SASL_TOKEN_MAX)
		return "the access token is longer than 8192 bytes";
	if (!sasl_oauth_visible(c->token, SASL_TOKEN_MAX))
		return "the access token holds a byte that none has (a space or a line end?)";
	return NULL;
}

/* Google's and Microsoft's: "user=" name ^A "auth=Bearer " token ^A ^A */
static void sasl_oauth_build_x(struct sasl_message *m, const struct sasl_credentials *c)
{
	sasl_message_puts(m, "user=");
	sasl_message_puts(m, c->user);
	sasl_message_puts(m, "\001auth=Bearer ");
	sasl_message_puts(m, c->token);
	sasl_message_puts(m, "\001\001");
}

/* RFC 7628 section 3.1: a gs2 header without channel binding, then key=value pairs. */
static void sasl_oauth_build_bearer(struct sasl_message *m, const struct sasl_credentials *c)
{
	char port[16];

	sasl_message_puts(m, "n,");
	if (c->user && *c->user) {
		sasl_message_puts(m, "a=");
		sasl_message_name(m, c->user);
	}
	sasl_message_puts(m, ",\001");
	if (c->host && *c->host) {
		sasl_message_puts(m, "host=");
		sasl_message_puts(m, c->host);
		sasl_message_puts(m, "\001");
	}
	if (c->port) {
		snprintf(port, sizeof(port), "%u", c->port);
		sasl_message_puts(m, "port=");
		sasl_message_puts(m, port);
		sasl_message_puts(m, "\001");
	}
	sasl_message_puts(m, "auth=Bearer ");
	sasl_message_puts(m, c->token);
	sasl_message_puts(m, "\001\001");
}

/* Does what <build> makes of checked credentials fit into a response? */
static const char *sasl_oauth_unfit_size(void (*build)(struct sasl_message *, const struct sasl_credentials *),
                                         const struct sasl_credentials *c)
{
	struct sasl_message count = { NULL, 0, 0 };

	build(&count, c);
	if (count.len > SASL_MESSAGE_MAX)
		return "access token, user name and host together are too long for SMTP";
	return NULL;
}

const char *sasl_oauth_unfit_x(const struct sasl_credentials *c, const struct sasl_crypto *crypto)
{
	const char *unfit = sasl_oauth_unfit_token(c);

	(void)crypto;
	if (!unfit)
		unfit = sasl_unfit_user(c);
	return unfit ? unfit : sasl_oauth_unfit_size(sasl_oauth_build_x, c);
}

const char *sasl_oauth_unfit_bearer(const struct sasl_credentials *c, const struct sasl_crypto *crypto)
{
	const char *unfit = sasl_oauth_unfit_token(c);

	(void)crypto;
	if (!unfit && c->user && *c->user)
		unfit = sasl_unfit_user(c);
	if (!unfit && c->host && !sasl_oauth_visible(c->host, SASL_HOST_MAX))
		unfit = "the host is longer than 255 bytes or holds a byte that no host name has";
	if (!unfit && c->port > 65535)
		unfit = "the port is above 65535";
	return unfit ? unfit : sasl_oauth_unfit_size(sasl_oauth_build_bearer, c);
}

void sasl_oauth_first_x(struct sasl *s)
{
	sasl_oauth_build_x(&s->message, s->credentials);
}

void sasl_oauth_first_bearer(struct sasl *s)
{
	sasl_oauth_build_bearer(&s->message, s->credentials);
}

/* "The client sends an empty response to the challenge", as Google has it. */
enum mailers_error sasl_oauth_answer_x(struct sasl *s)
{
	sasl_refused(s, s->challenge, s->challenge_len);
	return MAILERS_OK;
}

/* RFC 7628 section 3.2.3: a single ^A. */
enum mailers_error sasl_oauth_answer_bearer(struct sasl *s)
{
	sasl_refused(s, s->challenge, s->challenge_len);
	sasl_message_puts(&s->message, "\001");
	return MAILERS_OK;
}
