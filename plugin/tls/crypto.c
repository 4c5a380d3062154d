/*
 * crypto - see crypto.h. One-shot functions of EVP; a hash is fetched by its name at each call, so that the provider in
 * use decides what there is. An attempt of AUTH makes about ten such calls.
 *
 * The error queue is OpenSSL's per thread and HAProxy's own TLS code reads it too: what fails here is removed from
 * it, and no more than that.
 */
#include <limits.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "crypto.h"

static const char *const crypto_names[] = { [SASL_MD5] = "MD5", [SASL_SHA256] = "SHA256" };
static const size_t crypto_sizes[] = { [SASL_MD5] = 16, [SASL_SHA256] = 32 };

static bool crypto_digest(enum sasl_hash hash, const void *data, size_t len, unsigned char *out)
{
	bool fine;

	ERR_set_mark();
	fine = EVP_Q_digest(NULL, crypto_names[hash], NULL, data, len, out, NULL) == 1;
	ERR_pop_to_mark();
	return fine;
}

static bool crypto_hmac(enum sasl_hash hash, const void *key, size_t key_len, const void *data, size_t len,
                        unsigned char *out)
{
	size_t out_len = 0;
	bool fine;

	ERR_set_mark();
	fine = EVP_Q_mac(NULL, "HMAC", NULL, crypto_names[hash], NULL, key, key_len, data, len, out,
	                 crypto_sizes[hash], &out_len) != NULL;
	ERR_pop_to_mark();
	return fine && out_len == crypto_sizes[hash];
}

static bool crypto_pbkdf2(const void *password, size_t password_len, const void *salt, size_t salt_len,
                          unsigned iterations, unsigned char *out)
{
	EVP_MD *md;
	bool fine;

	if (password_len > INT_MAX || salt_len > INT_MAX || iterations > INT_MAX)
		return false;
	ERR_set_mark();
	md = EVP_MD_fetch(NULL, "SHA256", NULL);
	fine = md && PKCS5_PBKDF2_HMAC(password, (int)password_len, salt, (int)salt_len, (int)iterations, md,
	                               (int)crypto_sizes[SASL_SHA256], out) == 1;
	EVP_MD_free(md);
	ERR_pop_to_mark();
	return fine;
}

static bool crypto_random(void *out, size_t len)
{
	bool fine;

	if (len > INT_MAX)
		return false;
	ERR_set_mark();
	fine = RAND_bytes(out, (int)len) == 1;
	ERR_pop_to_mark();
	return fine;
}

const struct sasl_crypto crypto_openssl = {
	.digest = crypto_digest,
	.hmac = crypto_hmac,
	.pbkdf2 = crypto_pbkdf2,
	.random = crypto_random,
};
