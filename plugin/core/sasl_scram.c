/*
 * sasl_scram - SCRAM-SHA-256 (RFC 5802, RFC 7677) without channel binding, see sasl_internal.h.
 *
 *   client-first  n,,n=<user>,r=<our nonce>
 *   server-first  r=<our nonce><the server's>,s=<salt>,i=<count>
 *   client-final  c=biws,r=<both>,p=<our proof>
 *   server-final  v=<the server's signature>, or e=<error>
 *
 * The server knows the password, or what was derived from it, only if its signature is right: until then its 235
 * counts for nothing. Keys live on the stack of one function and are wiped there.
 */
#include <string.h>

#include "sasl_internal.h"

/* What is left of a server's message: attributes between commas. */
struct sasl_scram_cursor {
	const char *at, *end;
};

/* server-first, taken apart; points into the challenge. */
struct sasl_scram_offer {
	const char *nonce;
	size_t nonce_len;
	unsigned char salt[SASL_PLAIN_MAX];
	size_t salt_len;
	unsigned iterations;
};

struct sasl_scram_keys {
	unsigned char salted[SASL_SHA256_SIZE];
	unsigned char client[SASL_SHA256_SIZE];
	unsigned char stored[SASL_SHA256_SIZE];
	unsigned char server[SASL_SHA256_SIZE];
	unsigned char proof[SASL_SHA256_SIZE];
};

bool sasl_scram_start(struct sasl *s)
{
	unsigned char random[SASL_NONCE_RANDOM];

	if (!s->crypto->random(random, sizeof(random)))
		return false;
	sasl_base64_encode(s->nonce, random, sizeof(random));
	return true;
}

/* client-first-message-bare */
static void sasl_scram_put_bare(struct sasl *s)
{
	sasl_message_puts(&s->message, "n=");
	sasl_message_name(&s->message, s->credentials->user);
	sasl_message_puts(&s->message, ",r=");
	sasl_message_puts(&s->message, s->nonce);
}

void sasl_scram_first(struct sasl *s)
{
	sasl_message_puts(&s->message, "n,,");
	sasl_scram_put_bare(s);
}

/* Takes the attribute <name> ('*': any), which must be the next one and not empty, and the comma behind it, which
 * must not be the last byte.
 */
static bool sasl_scram_take(struct sasl_scram_cursor *c, char name, const char **value, size_t *len)
{
	const char *at = c->at, *comma;

	if (c->end - at < 3 || at[1] != '=')
		return false;
	if (name == '*' ? (at[0] | 32) < 'a' || (at[0] | 32) > 'z' : at[0] != name)
		return false;
	comma = memchr(at, ',', (size_t)(c->end - at));
	if (comma && comma + 1 == c->end)
		return false;
	*value = at + 2;
	*len = (size_t)((comma ? comma : c->end) - *value);
	c->at = comma ? comma + 1 : c->end;
	return *len > 0;
}

/* The rest must be extensions, which we are free to ignore (RFC 5802 section 5.1). */
static bool sasl_scram_take_rest(struct sasl_scram_cursor *c)
{
	const char *value;
	size_t len;

	while (c->at < c->end)
		if (!sasl_scram_take(c, '*', &value, &len))
			return false;
	return true;
}

/* posit-number; 0 when it is none. Digits beyond the ninth are only looked at: the value is far too large already. */
static unsigned sasl_scram_number(const char *text, size_t len)
{
	unsigned number = 0;
	size_t i;

	for (i = 0; i < len; i++) {
		if (text[i] < (i ? '0' : '1') || text[i] > '9')
			return 0;
		if (i < 9)
			number = number * 10 + (unsigned)(text[i] - '0');
	}
	return number;
}

/* Is it ours, with something of the server's behind it, and printable? */
static bool sasl_scram_nonce_right(const struct sasl *s, const char *nonce, size_t len)
{
	size_t i;

	if (len <= SASL_NONCE_LEN || memcmp(nonce, s->nonce, SASL_NONCE_LEN))
		return false;
	for (i = SASL_NONCE_LEN; i < len; i++)
		if (nonce[i] <= ' ' || nonce[i] > '~')
			return false;
	return true;
}

static enum mailers_error sasl_scram_read_offer(struct sasl *s, struct sasl_scram_offer *offer)
{
	struct sasl_scram_cursor c = { s->challenge, s->challenge + s->challenge_len };
	const char *salt, *count;
	size_t salt_len, count_len;

	if (s->challenge_len >= 2 && !memcmp(s->challenge, "m=", 2))
		return sasl_fail(s, MAILERS_ERR_PROTOCOL, "the server demands an unknown extension of SCRAM");
	if (memchr(s->challenge, '\0', s->challenge_len) ||
	    !sasl_scram_take(&c, 'r', &offer->nonce, &offer->nonce_len) ||
	    !sasl_scram_take(&c, 's', &salt, &salt_len) ||
	    !sasl_scram_take(&c, 'i', &count, &count_len) || !sasl_scram_take_rest(&c))
		return sasl_fail(s, MAILERS_ERR_PROTOCOL, "the first challenge is no message of SCRAM");
	if (!sasl_scram_nonce_right(s, offer->nonce, offer->nonce_len))
		return sasl_fail(s, MAILERS_ERR_PROTOCOL, "the server's nonce is not ours with more behind it");
	if (!sasl_base64_decode(salt, salt_len, offer->salt, sizeof(offer->salt), &offer->salt_len))
		return sasl_fail(s, MAILERS_ERR_PROTOCOL, "the salt is no base64");
	offer->iterations = sasl_scram_number(count, count_len);
	if (!offer->iterations)
		return sasl_fail(s, MAILERS_ERR_PROTOCOL, "the iteration count is no number");
	if (offer->iterations < SASL_ITERATIONS_MIN || offer->iterations > SASL_ITERATIONS_MAX)
		return sasl_fail(s, MAILERS_ERR_PROTOCOL, "the server asks for %s than %d iterations",
		                 offer->iterations < SASL_ITERATIONS_MIN ? "less" : "more",
		                 offer->iterations < SASL_ITERATIONS_MIN ? SASL_ITERATIONS_MIN : SASL_ITERATIONS_MAX);
	return MAILERS_OK;
}

/* RFC 5802 section 3; <auth> of <len> bytes is AuthMessage. Leaves our proof in <k>, and the signature that the
 * server must send in <s>.
 */
static bool sasl_scram_derive(struct sasl *s, const struct sasl_scram_offer *offer, const char *auth, size_t len,
                              struct sasl_scram_keys *k)
{
	const struct sasl_crypto *crypto = s->crypto;
	const char *password = s->credentials->password;
	int i;

	if (!crypto->pbkdf2(password, strlen(password), offer->salt, offer->salt_len, offer->iterations, k->salted) ||
	    !crypto->hmac(SASL_SHA256, k->salted, SASL_SHA256_SIZE, "Client Key", 10, k->client) ||
	    !crypto->digest(SASL_SHA256, k->client, SASL_SHA256_SIZE, k->stored) ||
	    !crypto->hmac(SASL_SHA256, k->stored, SASL_SHA256_SIZE, auth, len, k->proof) ||
	    !crypto->hmac(SASL_SHA256, k->salted, SASL_SHA256_SIZE, "Server Key", 10, k->server) ||
	    !crypto->hmac(SASL_SHA256, k->server, SASL_SHA256_SIZE, auth, len, s->signature))
		return false;
	for (i = 0; i < SASL_SHA256_SIZE; i++)
		k->proof[i] ^= k->client[i];
	return true;
}

/* Builds AuthMessage, whose end is client-final without its proof, then takes what is before that end away. */
static enum mailers_error sasl_scram_prove(struct sasl *s)
{
	struct sasl_message *m = &s->message;
	struct sasl_scram_offer offer;
	struct sasl_scram_keys keys;
	enum mailers_error error = sasl_scram_read_offer(s, &offer);
	size_t final;
	bool derived;

	if (error)
		return error;
	sasl_scram_put_bare(s);
	sasl_message_puts(m, ",");
	sasl_message_add(m, s->challenge, s->challenge_len);
	sasl_message_puts(m, ",");
	final = m->len;
	sasl_message_puts(m, "c=biws,r="); /* base64 of "n,," */
	sasl_message_add(m, offer.nonce, offer.nonce_len);
	if (m->len > m->size)
		return sasl_fail(s, MAILERS_ERR_INTERNAL, "a message of SCRAM is too long");
	derived = sasl_scram_derive(s, &offer, m->data, m->len, &keys);
	if (derived) {
		sasl_message_puts(m, ",p=");
		sasl_message_base64(m, keys.proof, sizeof(keys.proof));
		m->len -= final;
		memmove(m->data, m->data + final, m->len);
		sasl_enter(s, SASL_STATE_SECOND);
	}
	sasl_wipe(&keys, sizeof(keys));
	return derived ? MAILERS_OK : sasl_fail(s, MAILERS_ERR_INTERNAL, "the crypto library failed");
}

/* Does <text> have the server's signature? The time taken does not depend on how much of it is right. */
static bool sasl_scram_signed(const struct sasl *s, const char *text, size_t len)
{
	struct sasl_scram_cursor c = { text, text + len };
	unsigned char signature[SASL_SHA256_SIZE];
	volatile unsigned char differs = 0;
	const char *value;
	size_t i;

	if (!sasl_scram_take(&c, 'v', &value, &len) || !sasl_scram_take_rest(&c) ||
	    !sasl_base64_decode(value, len, signature, sizeof(signature), &len) || len != sizeof(signature))
		return false;
	for (i = 0; i < sizeof(signature); i++)
		differs |= signature[i] ^ s->signature[i];
	return !differs;
}

static enum mailers_error sasl_scram_verify(struct sasl *s, const char *text, size_t len)
{
	if (!sasl_scram_signed(s, text, len))
		return sasl_fail(s, MAILERS_ERR_PROTOCOL, "the server's proof that it knows the password is wrong");
	sasl_enter(s, SASL_STATE_DONE);
	return MAILERS_OK;
}

enum mailers_error sasl_scram_answer(struct sasl *s)
{
	if (s->challenge_len > 2 && !memcmp(s->challenge, "e=", 2)) {
		sasl_refused(s, s->challenge, s->challenge_len);
		return MAILERS_OK;
	}
	if (s->state == SASL_STATE_FIRST)
		return sasl_scram_prove(s);
	return sasl_scram_verify(s, s->challenge, s->challenge_len);
}

/* Looks at each word of the text, as an enhanced code or a phrase may stand around the message. Without one that
 * could be it the state stays.
 */
enum mailers_error sasl_scram_finish(struct sasl *s, const char *text, size_t len)
{
	const char *end = text + len, *word = text, *stop;

	/* Before our proof is out there is no signature to compare with, but 32 zeros. */
	if (s->state != SASL_STATE_SECOND)
		return MAILERS_OK;
	for (; word < end; word = stop + (stop < end)) {
		for (stop = word; stop < end && !memchr(" \t\r\n", *stop, 4); )
			stop++;
		if (!sasl_base64_decode(word, (size_t)(stop - word), s->challenge, sizeof(s->challenge), &len))
			continue;
		if (len > 2 && !memcmp(s->challenge, "v=", 2))
			return sasl_scram_verify(s, s->challenge, len);
	}
	return MAILERS_OK;
}
