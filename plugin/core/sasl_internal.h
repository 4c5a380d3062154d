/*
 * sasl_internal - what the files of sasl share: an attempt, the message it builds, base64, and the table of
 * mechanisms. Private to sasl*.c.
 */
#ifndef MAILERS_SASL_INTERNAL_H
#define MAILERS_SASL_INTERNAL_H

#include <mailers/sasl.h>

#define SASL_PLAIN_MAX    (SASL_CHALLENGE_MAX / 4 * 3) /* bytes of a challenge, decoded */
#define SASL_MESSAGE_MAX  (SASL_RESPONSE_MAX / 4 * 3)  /* bytes of a response before its base64 */
#define SASL_SHA256_SIZE  32
#define SASL_MD5_SIZE     16
/* Random bytes of SCRAM's nonce: 120 bits, and the 20 characters of the nonce in RFC 7677's example. */
#define SASL_NONCE_RANDOM 15
#define SASL_NONCE_LEN    (SASL_NONCE_RANDOM / 3 * 4)

/* An attempt only goes forward. NEW -> FIRST -> SECOND -> DONE, a mechanism with fewer responses skips some;
 * DONE (or SECOND) -> REFUSED; any -> FAILED.
 */
enum sasl_state {
	SASL_STATE_NEW = 0, /* nothing was said: the first response is due, with AUTH or after a challenge */
	SASL_STATE_FIRST,   /* the first of several responses is out */
	SASL_STATE_SECOND,  /* SCRAM: our proof is out, the server's is due */
	SASL_STATE_DONE,    /* nothing more to say: 235 is due, or a refusal */
	SASL_STATE_REFUSED, /* the server announced a failure, and was answered: its 5xx is due */
	SASL_STATE_FAILED,  /* over, <error> says why */
};

/* A message to build. Without <data> it is only counted. */
struct sasl_message {
	char *data;
	size_t size;
	size_t len; /* may exceed <size>: what is beyond was not written */
};

struct sasl {
	const struct sasl_kind *kind;
	const struct sasl_credentials *credentials;
	const struct sasl_crypto *crypto;
	enum sasl_state state;
	enum mailers_error error;
	char reason[SASL_REASON_SIZE];
	struct sasl_message message;              /* in <raw> */
	size_t challenge_len;
	char challenge[SASL_PLAIN_MAX];           /* decoded */
	char nonce[SASL_NONCE_LEN + 1];           /* SCRAM: ours */
	unsigned char signature[SASL_SHA256_SIZE]; /* SCRAM: what the server must prove to know */
	char raw[SASL_MESSAGE_MAX];
	char base64[SASL_RESPONSE_MAX];
};

/* One mechanism. Handlers build s->message. */
struct sasl_kind {
	const char *name;
	/* See sasl_unfit(); <c> is not NULL. */
	const char *(*unfit)(const struct sasl_credentials *c, const struct sasl_crypto *crypto);
	/* Prepares a new attempt; NULL: nothing to do. False when it cannot. */
	bool (*start)(struct sasl *s);
	/* Builds the initial response, after which the attempt stands at <next>; NULL: it begins with a challenge. */
	void (*first)(struct sasl *s);
	enum sasl_state next;
	/* Answers s->challenge and enters the next state; NULL: no challenge may follow the initial response. */
	enum mailers_error (*answer)(struct sasl *s);
	/* Looks for the server's proof in the text of 235; NULL: there is none. */
	enum mailers_error (*finish)(struct sasl *s, const char *text, size_t len);
	bool prompts;   /* challenges are prompts for a human reader, whose text is not looked at */
	bool announces; /* a challenge after the last response announces a failure */
};

/* sasl.c */
void sasl_enter(struct sasl *s, enum sasl_state state);
/* Ends the attempt; returns <error>. The reason is a format for printf, and may show no text of the peer's. */
enum mailers_error sasl_fail(struct sasl *s, enum mailers_error error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Keeps a failure that the server announced as the reason, printable, unless it holds our secret; the state is
 * REFUSED then.
 */
void sasl_refused(struct sasl *s, const char *text, size_t len);

/* sasl_message.c */
void sasl_message_add(struct sasl_message *m, const void *data, size_t len);
void sasl_message_puts(struct sasl_message *m, const char *text);
/* <text> as a saslname of RFC 5802: ',' is "=2C", '=' is "=3D". */
void sasl_message_name(struct sasl_message *m, const char *text);
void sasl_message_base64(struct sasl_message *m, const void *data, size_t len);

/* sasl_base64.c (RFC 4648 section 4) */
#define SASL_BASE64_LEN(len) (((len) + 2) / 3 * 4)
/* Writes SASL_BASE64_LEN(len) bytes to <out>, without NUL. */
void sasl_base64_encode(char *out, const void *data, size_t len);
/* Strict: groups of four, '=' at the very end only, no other bytes, unused bits zero. Writes up to <size> bytes to
 * <out> and their number to *<out_len>; false when <text> is no base64 or does not fit, and <out> is undefined then.
 */
bool sasl_base64_decode(const char *text, size_t len, void *out, size_t size, size_t *out_len);

/* sasl_scram.c: SCRAM-SHA-256 */
bool sasl_scram_start(struct sasl *s);
void sasl_scram_first(struct sasl *s);
enum mailers_error sasl_scram_answer(struct sasl *s);
enum mailers_error sasl_scram_finish(struct sasl *s, const char *text, size_t len);

/* sasl_oauth.c: XOAUTH2 and OAUTHBEARER */
const char *sasl_oauth_unfit_x(const struct sasl_credentials *c, const struct sasl_crypto *crypto);
const char *sasl_oauth_unfit_bearer(const struct sasl_credentials *c, const struct sasl_crypto *crypto);
void sasl_oauth_first_x(struct sasl *s);
void sasl_oauth_first_bearer(struct sasl *s);
enum mailers_error sasl_oauth_answer_x(struct sasl *s);
enum mailers_error sasl_oauth_answer_bearer(struct sasl *s);

/* sasl_unfit.c: the checks of credentials */
const char *sasl_unfit_user(const struct sasl_credentials *c);
const char *sasl_unfit_password(const struct sasl_credentials *c, const struct sasl_crypto *crypto);
const char *sasl_unfit_md5(const struct sasl_credentials *c, const struct sasl_crypto *crypto);
const char *sasl_unfit_sha256(const struct sasl_credentials *c, const struct sasl_crypto *crypto);

#endif
