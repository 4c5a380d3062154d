/*
 * sasl - see sasl.h. The table of mechanisms, the course of an attempt that they share, and those of them that need
 * no file of their own.
 *
 * A mechanism's handler reads s->challenge, builds s->message and enters the next state; everything around it
 * (base64, bounds, wiping, what may not come any more) is done once, here. Invariants: the state only goes
 * forward; the message and its base64 are empty, and wiped, between two calls; after a failure nothing is sent.
 *
 * Called by smtp_client. Not for servers.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "sasl_internal.h"

static void sasl_plain_first(struct sasl *s);
static enum mailers_error sasl_login_answer(struct sasl *s);
static enum mailers_error sasl_cram_answer(struct sasl *s);

static const struct sasl_kind sasl_kinds[] = {
	[SASL_LOGIN] = {
		.name = "LOGIN", .unfit = sasl_unfit_password, .answer = sasl_login_answer, .prompts = true,
	},
	[SASL_PLAIN] = {
		.name = "PLAIN", .unfit = sasl_unfit_password, .first = sasl_plain_first, .next = SASL_STATE_DONE,
	},
	[SASL_CRAM_MD5] = { .name = "CRAM-MD5", .unfit = sasl_unfit_md5, .answer = sasl_cram_answer },
	[SASL_SCRAM_SHA_256] = {
		.name = "SCRAM-SHA-256", .unfit = sasl_unfit_sha256, .start = sasl_scram_start,
		.first = sasl_scram_first, .next = SASL_STATE_FIRST,
		.answer = sasl_scram_answer, .finish = sasl_scram_finish,
	},
	[SASL_XOAUTH2] = {
		.name = "XOAUTH2", .unfit = sasl_oauth_unfit_x, .first = sasl_oauth_first_x,
		.next = SASL_STATE_DONE, .answer = sasl_oauth_answer_x, .announces = true,
	},
	[SASL_OAUTHBEARER] = {
		.name = "OAUTHBEARER", .unfit = sasl_oauth_unfit_bearer, .first = sasl_oauth_first_bearer,
		.next = SASL_STATE_DONE, .answer = sasl_oauth_answer_bearer, .announces = true,
	},
};

#define SASL_KINDS (sizeof(sasl_kinds) / sizeof(sasl_kinds[0]))

_Static_assert(SASL_ALL == (1u << SASL_KINDS) - 2, "SASL_ALL is every mechanism of the table");

static const struct sasl_kind *sasl_kind(enum sasl_mechanism mechanism)
{
	return (unsigned)mechanism < SASL_KINDS && mechanism != SASL_NONE ? &sasl_kinds[mechanism] : NULL;
}

enum sasl_mechanism sasl_mechanism_find(const char *text, size_t len)
{
	size_t i;

	for (i = SASL_NONE + 1; i < SASL_KINDS; i++)
		if (strlen(sasl_kinds[i].name) == len && !strncasecmp(sasl_kinds[i].name, text, len))
			return (enum sasl_mechanism)i;
	return SASL_NONE;
}

const char *sasl_mechanism_name(enum sasl_mechanism mechanism)
{
	const struct sasl_kind *kind = sasl_kind(mechanism);

	return kind ? kind->name : "none";
}

const char *sasl_unfit(enum sasl_mechanism mechanism, const struct sasl_credentials *credentials,
                       const struct sasl_crypto *crypto)
{
	const struct sasl_kind *kind = sasl_kind(mechanism);

	if (!kind)
		return "no such mechanism";
	if (!credentials)
		return "no user name is set";
	return kind->unfit(credentials, crypto);
}

enum sasl_mechanism sasl_choose(unsigned offered, unsigned allowed, const struct sasl_credentials *credentials,
                                const struct sasl_crypto *crypto)
{
	size_t i;

	for (i = SASL_KINDS - 1; i > SASL_NONE; i--)
		if (offered & allowed & SASL_BIT(i) && !sasl_unfit((enum sasl_mechanism)i, credentials, crypto))
			return (enum sasl_mechanism)i;
	return SASL_NONE;
}

void sasl_wipe(void *data, size_t len)
{
	if (data)
		explicit_bzero(data, len);
}

struct sasl *sasl_new(enum sasl_mechanism mechanism, const struct sasl_credentials *credentials,
                      const struct sasl_crypto *crypto)
{
	struct sasl *s;

	if (sasl_unfit(mechanism, credentials, crypto))
		return NULL;
	s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->kind = sasl_kind(mechanism);
	s->credentials = credentials;
	s->crypto = crypto;
	s->message.data = s->raw;
	s->message.size = sizeof(s->raw);
	if (s->kind->start && !s->kind->start(s)) {
		sasl_free(s);
		return NULL;
	}
	return s;
}

void sasl_free(struct sasl *s)
{
	if (!s)
		return;
	sasl_wipe(s, sizeof(*s));
	free(s);
}

const char *sasl_reason(const struct sasl *s)
{
	return s->reason;
}

void sasl_enter(struct sasl *s, enum sasl_state state)
{
	if (state > s->state)
		s->state = state;
	else
		sasl_fail(s, MAILERS_ERR_INTERNAL, "the attempt would go back from state %d to %d", s->state, state);
}

enum mailers_error sasl_fail(struct sasl *s, enum mailers_error error, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(s->reason, sizeof(s->reason), format, ap);
	va_end(ap);
	s->state = SASL_STATE_FAILED;
	s->error = error;
	return error;
}

/* Does <text> repeat a secret of ours? */
static bool sasl_betrays(const struct sasl_credentials *c, const char *text, size_t len)
{
	return (c->password && *c->password && memmem(text, len, c->password, strlen(c->password))) ||
	       (c->token && *c->token && memmem(text, len, c->token, strlen(c->token)));
}

void sasl_refused(struct sasl *s, const char *text, size_t len)
{
	static const char before[] = "the server announces: ";
	size_t i, n = sizeof(before) - 1;

	sasl_enter(s, SASL_STATE_REFUSED);
	if (!len || sasl_betrays(s->credentials, text, len)) {
		snprintf(s->reason, sizeof(s->reason), "the server announces a failure %s",
		         len ? "in a text that holds our secret" : "without a reason");
		return;
	}
	memcpy(s->reason, before, n);
	for (i = 0; i < len && n + 4 < sizeof(s->reason); i++) {
		if (text[i] < ' ' || text[i] > '~' || text[i] == '\\')
			n += (size_t)snprintf(s->reason + n, 5, "\\x%02x", (unsigned char)text[i]);
		else
			s->reason[n++] = text[i];
	}
	s->reason[n] = '\0';
}

/* RFC 4616: no authorization identity, NUL, name, NUL, password. */
static void sasl_plain_first(struct sasl *s)
{
	sasl_message_add(&s->message, "", 1);
	sasl_message_puts(&s->message, s->credentials->user);
	sasl_message_add(&s->message, "", 1);
	sasl_message_puts(&s->message, s->credentials->password);
}

/* Servers prompt with all sorts of texts, so that only their number counts: the name, then the password. */
static enum mailers_error sasl_login_answer(struct sasl *s)
{
	bool first = s->state == SASL_STATE_NEW;

	sasl_message_puts(&s->message, first ? s->credentials->user : s->credentials->password);
	sasl_enter(s, first ? SASL_STATE_FIRST : SASL_STATE_DONE);
	return MAILERS_OK;
}

/* RFC 2195: name, space, the keyed digest of the challenge in lower-case hex. */
static enum mailers_error sasl_cram_answer(struct sasl *s)
{
	const char *password = s->credentials->password;
	static const char hex[] = "0123456789abcdef";
	unsigned char digest[SASL_MD5_SIZE];
	int i;

	if (!s->challenge_len)
		return sasl_fail(s, MAILERS_ERR_PROTOCOL, "the challenge of CRAM-MD5 is empty");
	if (!s->crypto->hmac(SASL_MD5, password, strlen(password), s->challenge, s->challenge_len, digest))
		return sasl_fail(s, MAILERS_ERR_INTERNAL, "the crypto library failed");
	sasl_message_puts(&s->message, s->credentials->user);
	sasl_message_puts(&s->message, " ");
	for (i = 0; i < SASL_MD5_SIZE; i++) {
		sasl_message_add(&s->message, &hex[digest[i] >> 4], 1);
		sasl_message_add(&s->message, &hex[digest[i] & 15], 1);
	}
	sasl_wipe(digest, sizeof(digest));
	sasl_enter(s, SASL_STATE_DONE);
	return MAILERS_OK;
}

static void sasl_drop(struct sasl *s)
{
	sasl_wipe(s->raw, sizeof(s->raw));
	s->message.len = 0;
}

/* Appends the base64 of the message to <out>, at once, and wipes both. */
static enum mailers_error sasl_send(struct sasl *s, struct buffer *out)
{
	size_t len = s->message.len;

	if (len > s->message.size)
		sasl_fail(s, MAILERS_ERR_INTERNAL, "a response is too long");
	if (s->state == SASL_STATE_FAILED) {
		sasl_drop(s);
		return s->error;
	}
	sasl_base64_encode(s->base64, s->raw, len);
	buffer_add(out, s->base64, SASL_BASE64_LEN(len));
	sasl_wipe(s->base64, sizeof(s->base64));
	sasl_drop(s);
	if (buffer_error(out))
		return sasl_fail(s, buffer_error(out), "%s", mailers_error_text(buffer_error(out)));
	return MAILERS_OK;
}

bool sasl_initial(struct sasl *s, struct buffer *out)
{
	size_t len = strlen("AUTH ") + strlen(s->kind->name) + strlen(" ") + strlen("\r\n");

	if (s->state != SASL_STATE_NEW || !s->kind->first)
		return false;
	s->kind->first(s);
	if (len + SASL_BASE64_LEN(s->message.len) > SASL_COMMAND_MAX) {
		sasl_drop(s);
		return false;
	}
	sasl_enter(s, s->kind->next);
	sasl_send(s, out);
	return true;
}

/* The handler's part of a step. */
static enum mailers_error sasl_answer(struct sasl *s, const char *challenge, size_t len)
{
	const struct sasl_kind *kind = s->kind;

	/* What a server says where it has nothing to ask yet does not matter; some say "334 ok". */
	if (s->state == SASL_STATE_NEW && kind->first) {
		kind->first(s);
		sasl_enter(s, kind->next);
		return MAILERS_OK;
	}
	if (s->state == SASL_STATE_REFUSED || (s->state == SASL_STATE_DONE && !kind->announces))
		return sasl_fail(s, MAILERS_ERR_PROTOCOL, "a challenge after the end of the exchange");
	if (!kind->prompts &&
	    !sasl_base64_decode(challenge, len, s->challenge, sizeof(s->challenge), &s->challenge_len))
		return sasl_fail(s, MAILERS_ERR_PROTOCOL, "the challenge is no base64");
	return kind->answer(s);
}

enum mailers_error sasl_step(struct sasl *s, const char *challenge, size_t len, struct buffer *out)
{
	enum mailers_error error;

	if (s->state == SASL_STATE_FAILED)
		return s->error;
	s->reason[0] = '\0';
	if (len > SASL_CHALLENGE_MAX)
		return sasl_fail(s, MAILERS_ERR_PROTOCOL, "a challenge of more than %d bytes", SASL_CHALLENGE_MAX);
	error = sasl_answer(s, challenge, len);
	if (error) {
		sasl_drop(s);
		return error;
	}
	return sasl_send(s, out);
}

enum mailers_error sasl_finish(struct sasl *s, const char *text, size_t len)
{
	enum mailers_error error;

	if (s->state == SASL_STATE_FAILED)
		return s->error;
	s->reason[0] = '\0';
	if (s->kind->finish && len) {
		error = s->kind->finish(s, text, len);
		if (error)
			return error;
	}
	if (s->state == SASL_STATE_DONE)
		return MAILERS_OK;
	return sasl_fail(s, MAILERS_ERR_PROTOCOL, "the server says 235 %s",
	                 s->state == SASL_STATE_REFUSED ? "after it announced a failure" :
	                 s->state == SASL_STATE_SECOND ? "without proof that it knows the password" :
	                 "before the end of the exchange");
}
