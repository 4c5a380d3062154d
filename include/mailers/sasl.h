/*
 * sasl - the client's side of AUTH (RFC 4954): PLAIN (RFC 4616), LOGIN, CRAM-MD5 (RFC 2195), SCRAM-SHA-256
 * (RFC 5802, RFC 7677), XOAUTH2 and OAUTHBEARER (RFC 7628).
 *
 * One struct sasl is one attempt. Its texts are the base64 that travels between "334 " and CRLF. Hashes and
 * random bytes come from the host through struct sasl_crypto (the TLS module has one), as the core links no
 * crypto library; mechanisms that need it are not chosen without it.
 *
 *   "AUTH <name>[ <sasl_initial()>]", then 334: sasl_step(), and again, until 235: sasl_finish(), or a refusal
 *
 * Secrets: an attempt is one block of fixed size, which never grows, and is wiped before it is freed; what the
 * functions keep on the stack is wiped before they return. A response is appended to <out> by one append, so that
 * a buffer which holds no secret yet grows before the secret is in it, and no copy stays in a freed block. From then
 * on the secret in <out> is the caller's: wipe it (sasl_wipe(out->data, out->size)) before anything else is appended,
 * and before it is freed.
 *
 * User names and passwords are UTF-8 and pass unchanged. For ASCII without control bytes that is what SASLprep
 * (RFC 4013) makes of it; control bytes are refused, in any mechanism: they are what a secret's file should not
 * hold. Other text is not prepared: whoever needs it for SCRAM writes it as SASLprep would (NFKC); a wrong form is a
 * refusal by the server, no more.
 *
 * SCRAM is without channel binding (gs2 header "n,,"). An iteration count below 4096 is refused, though RFC 5802
 * has no lower bound: RFC 7677 section 4 asks servers for that much, and less would only help whoever plays the
 * server to try passwords against our proof. What is above SASL_ITERATIONS_MAX is refused as well; the reason says so.
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

#define SASL_CHALLENGE_MAX  2048   /* bytes of a challenge's base64 */
#define SASL_RESPONSE_MAX   12286  /* bytes of a response's base64: RFC 4954 section 4 lets a server take no more than
                                    * 12288 with the CRLF; a token that does not fit is refused by sasl_unfit() */
#define SASL_COMMAND_MAX    512    /* bytes of the AUTH command with its CRLF (RFC 5321 section 4.5.3.1.4) */
#define SASL_TEXT_MAX       512    /* bytes of a user name or password */
#define SASL_TOKEN_MAX      8192   /* bytes of an access token */
#define SASL_HOST_MAX       255    /* bytes of OAUTHBEARER's host */
#define SASL_ITERATIONS_MIN 4096   /* of SCRAM, see above */
#define SASL_ITERATIONS_MAX 100000 /* a server must not make us compute for long inside HAProxy: 20 to 60 ms */
#define SASL_REASON_SIZE    256

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
	const char *user;    /* OAUTHBEARER can do without */
	const char *password;
	const char *token;   /* OAuth 2.0 access token, printable ASCII without space (RFC 6750 section 2.1) */
	const char *host;    /* OAUTHBEARER's host= and port=; may be NULL and 0 */
	unsigned port;
};

struct sasl;

/* The mechanism of the name <text> of <len> bytes, in any case; SASL_NONE when it is not one of ours. */
enum sasl_mechanism sasl_mechanism_find(const char *text, size_t len);
const char *sasl_mechanism_name(enum sasl_mechanism mechanism); /* "CRAM-MD5", "none"; static, never NULL */

/* Why <mechanism> cannot be used with these credentials and <crypto> (either may be NULL): one line without
 * secrets, static, to be read after "<mechanism>: "; NULL when it can be used. Settings are checked with it at
 * start. CRAM-MD5 tries MD5 once: in FIPS mode there is none.
 */
const char *sasl_unfit(enum sasl_mechanism mechanism, const struct sasl_credentials *credentials,
                       const struct sasl_crypto *crypto);

/* The strongest of <offered> and <allowed> (bits) that is not unfit; SASL_NONE without one. */
enum sasl_mechanism sasl_choose(unsigned offered, unsigned allowed, const struct sasl_credentials *credentials,
                                const struct sasl_crypto *crypto);

/* An attempt; NULL without memory or random bytes, or when sasl_unfit(). */
struct sasl *sasl_new(enum sasl_mechanism mechanism, const struct sasl_credentials *credentials,
                      const struct sasl_crypto *crypto);
void sasl_free(struct sasl *s); /* NULL is a no-op */

/* Once, before the first step: appends the initial response in base64 to <out>, for "AUTH <name> <response>".
 * False, and nothing is appended, when the mechanism begins with a challenge (LOGIN, CRAM-MD5), or when the command
 * would be longer than SASL_COMMAND_MAX, which RFC 4954 section 4 forbids (access tokens often are): "AUTH <name>"
 * alone is sent, and the step for its empty challenge gives the response. <out> may have failed when it is true
 * (buffer_error()).
 */
bool sasl_initial(struct sasl *s, struct buffer *out);

/* Answers the challenge of a 334, <len> bytes of base64 without the code: appends the base64 of the response to
 * <out> (nothing for an empty one: an empty line is sent then).
 *
 *   OK        answered. A server that announces a failure (an error of SCRAM, the JSON text of the OAuth mechanisms)
 *             is answered as well: its 5xx follows, and sasl_reason() has what it announced
 *   PROTOCOL  the challenge is none of this mechanism's, or proves that the server does not know the password
 *   INTERNAL  the crypto failed
 *   NOMEM, BOUND  <out> failed
 *
 * Not looked at, base64 or not, are LOGIN's prompts, which are meant for a person and differ between servers (first
 * the user name is answered, then the password, a third is PROTOCOL), and the challenge before the first response
 * ("334 ok, go on").
 *
 * On a failure nothing is appended and the attempt is over: the client cancels with "*" (RFC 4954 section 4), and
 * a further step fails in the same way.
 */
enum mailers_error sasl_step(struct sasl *s, const char *challenge, size_t len, struct buffer *out);

/* The server said 235 with <text> of <len> bytes behind the code (lines separated by '\n'; NULL and 0 without): some
 * put the last message of SCRAM there, as one of its words, instead of into a 334. OK, or PROTOCOL when the
 * exchange is not at its end, or the server has not proved what the mechanism demands of it (SCRAM): the session is
 * not to be trusted.
 */
enum mailers_error sasl_finish(struct sasl *s, const char *text, size_t len);

/* Why the last call failed, or what failure the server announced in a challenge: one printable line below
 * SASL_REASON_SIZE without secrets; "" otherwise. Lives as long as <s>.
 */
const char *sasl_reason(const struct sasl *s);

/* Overwrites <len> bytes in a way that no compiler leaves out; NULL is a no-op. */
void sasl_wipe(void *data, size_t len);

#endif
