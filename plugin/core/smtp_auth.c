/*
 * smtp_auth - AUTH (RFC 4954) between EHLO and the first mail: which mechanism, challenges and responses, and what
 * the end of it means. What a response is made of is sasl's.
 *
 * Invariants: nothing else is written while an attempt goes on, so that a response is all that the output holds;
 * <said> is the last response, kept until its reply has come: a server that repeats it in a refusal ("unknown
 * command AUTH PLAIN ...") must not put it into a log. Attempt and response are wiped at the session's end, or
 * when it is ready.
 *
 * Called by smtp_session.c.
 */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "smtp_client_internal.h"

/* What an attempt is answered with (RFC 4954 section 4). */
#define SMTP_AUTH_CHALLENGE 334
#define SMTP_AUTH_SUCCESS   235

/* A repeated response is seen by its beginning: as many bytes. */
#define SMTP_AUTH_ECHO_MIN 8

/* What a server offers. */
struct smtp_auth_offer {
	unsigned mechanisms; /* SASL_BIT()s of those that we know */
	char names[160];     /* all of them, printable, cut if there are more */
};

static void smtp_auth_forget(struct smtp_client *c)
{
	sasl_wipe(c->auth.said.data, c->auth.said.size);
	buffer_free(&c->auth.said);
}

void smtp_auth_end(struct smtp_client *c)
{
	sasl_free(c->auth.sasl);
	c->auth.sasl = NULL;
	smtp_auth_forget(c);
}

/* Reads the names of one line, behind its keyword. */
static void smtp_auth_read_names(struct smtp_auth_offer *offer, const char *s)
{
	size_t len, used;

	for (; *s && *s != '\n'; s += len) {
		s += strspn(s, " \t");
		len = strcspn(s, " \t\n");
		if (!len)
			continue;
		used = strlen(offer->names);
		if (used && used < sizeof(offer->names) - 1)
			offer->names[used++] = ' ';
		smtp_reply_print_text(s, len, offer->names + used, sizeof(offer->names) - used);
		offer->mechanisms |= SASL_BIT(sasl_mechanism_find(s, len));
	}
	offer->mechanisms &= ~SASL_BIT(SASL_NONE);
}

/* "AUTH PLAIN LOGIN", and "AUTH=PLAIN LOGIN" of servers that served the clients of before RFC 2554; both may be
 * there. False when neither is.
 */
static bool smtp_auth_read_offer(struct smtp_auth_offer *offer, const char *ehlo)
{
	bool found = false;
	const char *line;

	memset(offer, 0, sizeof(*offer));
	for (line = strchr(ehlo, '\n'); line; line = strchr(line, '\n')) {
		line++;
		if (strncasecmp(line, "AUTH", 4) || !strchr(" =\n", line[4]))
			continue;
		found = true;
		if (line[4] && line[4] != '\n')
			smtp_auth_read_names(offer, line + 5);
	}
	return found;
}

/* Says which mechanisms the server has, and why the strongest of them that may be used cannot be. */
static void smtp_auth_none(struct smtp_client *c, const struct smtp_auth_offer *offer)
{
	enum sasl_mechanism m = SASL_OAUTHBEARER;

	while (m != SASL_NONE && !(offer->mechanisms & c->mechanisms & SASL_BIT(m)))
		m--;
	if (m == SASL_NONE)
		smtp_session_fail_text(c, MAILERS_ERR_PROTOCOL, SMTP_STAGE_AUTH,
		                       "none of the AUTH mechanisms offered may be used: %s", offer->names);
	else
		smtp_session_fail_text(c, MAILERS_ERR_PROTOCOL, SMTP_STAGE_AUTH,
		                       "none of the AUTH mechanisms offered may be used: %s (%s: %s)", offer->names,
		                       sasl_mechanism_name(m), sasl_unfit(m, c->credentials, c->crypto));
}

static void smtp_auth_written(struct smtp_client *c, enum mailers_error error)
{
	if (error)
		smtp_session_fail(c, error, NULL);
}

void smtp_auth_begin(struct smtp_client *c, const char *ehlo)
{
	struct smtp_auth_offer offer;
	enum sasl_mechanism mechanism;
	char command[64];

	if (!c->secure && !c->auth_without_tls) {
		smtp_session_fail_text(c, MAILERS_ERR_PROTOCOL, SMTP_STAGE_AUTH, "AUTH is not used without TLS");
		return;
	}
	if (!smtp_auth_read_offer(&offer, ehlo)) {
		smtp_session_fail_text(c, MAILERS_ERR_PROTOCOL, SMTP_STAGE_AUTH, "AUTH is not offered");
		return;
	}
	mechanism = sasl_choose(offer.mechanisms, c->mechanisms, c->credentials, c->crypto);
	if (mechanism == SASL_NONE) {
		smtp_auth_none(c, &offer);
		return;
	}
	c->auth.sasl = sasl_new(mechanism, c->credentials, c->crypto);
	if (!c->auth.sasl) {
		smtp_session_fail(c, MAILERS_ERR_NOMEM, NULL);
		return;
	}
	snprintf(command, sizeof(command), "AUTH %s%s", sasl_mechanism_name(mechanism),
	         sasl_initial(c->auth.sasl, &c->auth.said) ? " " : "");
	smtp_auth_written(c, smtp_output_secret(c, command, &c->auth.said));
}

/* The server's challenge is wrong: it is told, and whatever it says then, this was why. */
static void smtp_auth_cancel(struct smtp_client *c, enum mailers_error error, const char *why)
{
	smtp_session_decide(c, error, SMTP_STAGE_AUTH, "%s", why);
	smtp_auth_written(c, smtp_output_command(c, "*"));
}

static void smtp_auth_step(struct smtp_client *c, const struct smtp_reply *reply)
{
	enum mailers_error error;

	smtp_auth_forget(c);
	if (reply->code != SMTP_AUTH_CHALLENGE || reply->lines > 1) {
		smtp_auth_cancel(c, MAILERS_ERR_PROTOCOL, "not a challenge of AUTH");
		return;
	}
	error = sasl_step(c->auth.sasl, reply->text, reply->len, &c->auth.said);
	if (error)
		smtp_auth_cancel(c, error, sasl_reason(c->auth.sasl));
	else
		smtp_auth_written(c, smtp_output_secret(c, "", &c->auth.said));
}

static void smtp_auth_accepted(struct smtp_client *c, const struct smtp_reply *reply, uint64_t now_ms)
{
	if (reply->code != SMTP_AUTH_SUCCESS) {
		smtp_session_fail(c, MAILERS_ERR_PROTOCOL, reply);
		return;
	}
	if (sasl_finish(c->auth.sasl, reply->text, reply->len)) {
		smtp_session_fail_text(c, MAILERS_ERR_PROTOCOL, SMTP_STAGE_AUTH, "%s", sasl_reason(c->auth.sasl));
		return;
	}
	smtp_auth_end(c);
	smtp_session_ready(c, now_ms);
}

/* Was it the credentials? 534 asks for others or for more of them (RFC 4954 section 6), and 5.7.8 says so with
 * whatever code.
 */
static bool smtp_auth_is_credentials(const struct smtp_reply *reply)
{
	return reply->code == 535 || reply->code == 534 ||
	       (reply->enhanced[0] == 5 && reply->enhanced[1] == 7 && reply->enhanced[2] == 8);
}

void smtp_auth_reply(struct smtp_client *c, const struct smtp_reply *reply, uint64_t now_ms)
{
	if (c->leaving)
		smtp_session_fail(c, MAILERS_ERR_PROTOCOL, reply); /* it was cancelled */
	else if (reply->code / 100 == 2)
		smtp_auth_accepted(c, reply, now_ms);
	else if (reply->code / 100 == 3)
		smtp_auth_step(c, reply);
	else
		smtp_session_refused_credentials(c, reply, smtp_auth_is_credentials(reply),
		                                 sasl_reason(c->auth.sasl));
}

/* How many bytes of <text> are the last response's, from its beginning on; 0 when too few to tell. */
static size_t smtp_auth_echo(const struct smtp_client *c, const char *text, size_t len)
{
	const struct buffer *said = &c->auth.said;
	size_t least = said->len < SMTP_AUTH_ECHO_MIN ? said->len : SMTP_AUTH_ECHO_MIN, n = 0;

	while (n < len && n < said->len && text[n] == said->data[n])
		n++;
	return n < least ? 0 : n;
}

void smtp_auth_mask(const struct smtp_client *c, char *text, size_t len)
{
	size_t i, n;

	/* "=" and the like hide nothing. */
	if (c->auth.said.len < SMTP_AUTH_ECHO_MIN / 2)
		return;
	for (i = 0; i < len; i += n ? n : 1) {
		n = smtp_auth_echo(c, text + i, len - i);
		memset(text + i, '*', n);
	}
}

void smtp_auth_mask_reply(const struct smtp_client *c, struct smtp_reply *reply)
{
	/* Those two are read by sasl, and shown nowhere. */
	if (reply->code != SMTP_AUTH_CHALLENGE && reply->code != SMTP_AUTH_SUCCESS)
		smtp_auth_mask(c, reply->text, reply->len);
}
