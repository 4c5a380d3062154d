/*
 * sasl - the client's side of AUTH (RFC 4954): PLAIN (RFC 4616), LOGIN, CRAM-MD5 (RFC 2195), SCRAM-SHA-256
 * (RFC 5802, RFC 7677), XOAUTH2 and OAUTHBEARER (RFC 7628).
 *
 * One struct sasl is one attempt. Its texts are the base64 that travels between "334 " and CRLF. Hashes and
 * random bytes come from the host through struct sasl_crypto (the TLS module has one), as the core links no
 * crypto library; mechanisms that need it are not chosen without it. Everything secret is wiped when it is freed.
 */
#ifndef MAILERS_SASL_H
#define MAILERS_SASL_H

#include <stdbool.h>
#include <stddef.h>

#include <mailers/buffer.h>
#include <mailers/error.h>

enum sasl_mechanism {
	SASL_NONE = 0,
	SASL_LOGIN,         /* in the order of their strength, the weakest first */
	SASL_PLAIN,
	SASL_CRAM_MD5,
	SASL_SCRAM_SHA_256,
	SASL_XOAUTH2,
	SASL_OAUTHBEARER,
};
#define SASL_BIT(mechanism) (1u << (mechanism))
#define SASL_ALL            0x7eu

#define SASL_CHALLENGE_MAX  2048  /* bytes of a challenge's base64 */
#define SASL_TEXT_MAX       512   /* bytes of a user name or password */
#define SASL_TOKEN_MAX      8192  /* bytes of an access token */
#define SASL_ITERATIONS_MAX 100000 /* of SCRAM: a server must not make us compute for long inside HAProxy */

enum sasl_hash { SASL_MD5 = 0, SASL_SHA256 };

struct sasl_crypto {
	/* Each returns false when it failed. <out> takes 16 bytes for MD5 and 32 for SHA-256. */
	bool (*digest)(enum sasl_hash hash, const void *data, size_t len, unsigned char *out);
	bool (*hmac)(enum sasl_hash hash, const void *key, size_t key_len, const void *data, size_t len,
	             unsigned char *out);
	/* PBKDF2 with HMAC-SHA-256, 32 bytes (Hi() of RFC 5802). */
	bool (*pbkdf2)(const void *password, size_t password_len, const void *salt, size_t salt_len,
	               unsigned iterations, unsigned char *out);
	bool (*random)(void *out, size_t len);
};

/* Whoever owns it keeps it unchanged while an attempt lives. A field that does not matter is NULL. With a token
 * the two OAuth mechanisms fit, with a password all others.
 */
struct sasl_credentials {
	const char *user;
	const char *password;
	const char *token;   /* OAuth 2.0 access token */
	const char *host;    /* OAUTHBEARER's host= and port=; may be NULL and 0 */
	unsigned port;
};

struct sasl;

/* The mechanism of the name <text> of <len> bytes, in any case; SASL_NONE when it is not one of ours. */
enum sasl_mechanism sasl_mechanism_find(const char *text, size_t len);
const char *sasl_mechanism_name(enum sasl_mechanism mechanism); /* "CRAM-MD5"; static, never NULL */

/* The strongest of <offered> and <allowed> (bits) that the credentials fit; SASL_NONE without one. */
enum sasl_mechanism sasl_choose(unsigned offered, unsigned allowed, const struct sasl_credentials *credentials,
                                const struct sasl_crypto *crypto);

/* An attempt; NULL without memory, random bytes, or when the credentials do not fit the mechanism. */
struct sasl *sasl_new(enum sasl_mechanism mechanism, const struct sasl_credentials *credentials,
                      const struct sasl_crypto *crypto);
void sasl_free(struct sasl *s); /* NULL is a no-op */

/* Appends the initial response in base64 to <out>, "=" for an empty one (RFC 4954 section 4). False when the mechanism begins with
 * a challenge (LOGIN, CRAM-MD5): nothing is appended.
 */
bool sasl_initial(struct sasl *s, struct buffer *out);

/* Answers the challenge of a 334: appends the base64 of the response to <out> (nothing for an empty one). OK; PROTOCOL when the
 * server's text is none of this mechanism's or proves that it does not know the password, INTERNAL when the crypto failed:
 * the client cancels with "*" then (RFC 4954 section 4) and the session fails.
 */
enum mailers_error sasl_step(struct sasl *s, const char *challenge, size_t len, struct buffer *out);

/* The server said 235. OK, or PROTOCOL when it has not proved what the mechanism demands of it (SCRAM). */
enum mailers_error sasl_finish(const struct sasl *s);

/* Why the last call failed, one printable line without secrets; "" otherwise. Lives as long as <s>. */
const char *sasl_reason(const struct sasl *s);

/* Overwrites <len> bytes in a way that no compiler leaves out. */
void sasl_wipe(void *data, size_t len);

#endif
