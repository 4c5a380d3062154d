/*
 * sasl_steps - short words for the tests of sasl: an attempt with its buffer, challenges and responses as plain texts.
 */
#ifndef SASL_STEPS_H
#define SASL_STEPS_H

#include <mailers/sasl.h>

#include "../lib/sasl_peer.h"
#include "unit.h"

#define USER     "alerts@example.org"
#define PASSWORD "pass word,=42"
#define TOKEN    "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg"

static const struct sasl_credentials steps_password = { .user = USER, .password = PASSWORD };
static const struct sasl_credentials steps_token = {
	.user = USER, .token = TOKEN, .host = "smtp.example.org", .port = 587,
};

/* What the last step appended, in base64 and decoded. */
static char steps_base64[PEER_TEXT_MAX], steps_text[PEER_TEXT_MAX];
static long steps_len;

static inline struct sasl *steps_new(enum sasl_mechanism mechanism)
{
	bool token = mechanism == SASL_XOAUTH2 || mechanism == SASL_OAUTHBEARER;
	struct sasl *s;

	memset(peer_crypto_random, 0, sizeof(peer_crypto_random));
	s = sasl_new(mechanism, token ? &steps_token : &steps_password, &peer_crypto);
	assert_non_null(s);
	assert_string_equal(sasl_reason(s), "");
	return s;
}

static inline void steps_keep(struct buffer *out)
{
	assert_int_equal(buffer_error(out), MAILERS_OK);
	assert_true(out->len < sizeof(steps_base64));
	if (out->len)
		memcpy(steps_base64, out->data, out->len);
	steps_base64[out->len] = '\0';
	steps_len = peer_decode(steps_base64, out->len, steps_text);
	assert_true(steps_len >= 0);
	sasl_wipe(out->data, out->size);
	buffer_free(out);
}

static inline bool steps_initial(struct sasl *s)
{
	struct buffer out = { 0 };
	bool given = sasl_initial(s, &out);

	assert_true(given || !out.len);
	steps_keep(&out);
	return given;
}

/* A step with base64 as the server would send it. */
static inline enum mailers_error steps_raw(struct sasl *s, const char *challenge, size_t len)
{
	struct buffer out = { 0 };
	char *block = malloc(len ? len : 1); /* of its own size: reading too far is seen */
	enum mailers_error error;

	assert_non_null(block);
	if (len)
		memcpy(block, challenge, len);
	error = sasl_step(s, block, len, &out);
	free(block);
	assert_true(!error || !out.len);
	if (error)
		assert_string_not_equal(sasl_reason(s), "");
	steps_keep(&out);
	return error;
}

/* The same with the plain text of the challenge. */
static inline enum mailers_error steps_step(struct sasl *s, const char *challenge)
{
	static char base64[PEER_TEXT_MAX];

	peer_encode(challenge, strlen(challenge), base64);
	return steps_raw(s, base64, strlen(base64));
}

static inline enum mailers_error steps_finish(struct sasl *s, const char *text)
{
	return sasl_finish(s, text, strlen(text));
}

#endif
