/*
 * sasl_peer - the other side of AUTH, for tests and the fuzzer: base64 and the server of SCRAM, written after the RFCs
 * apart from the code under test, and a sasl_crypto that needs no library. Its "hashes" are none: they are fast,
 * the same on every run, and differ when anything that goes into them does.
 */
#ifndef SASL_PEER_H
#define SASL_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <mailers/sasl.h>

#define PEER_TEXT_MAX 16384

static const char peer_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Writes a C string. */
static inline void peer_encode(const void *data, size_t len, char *out)
{
	const unsigned char *in = data;
	size_t i, bits;

	for (i = 0; i < len * 8; i += 6) {
		bits = 0;
		for (size_t k = i; k < i + 6; k++)
			bits = bits << 1 | (k < len * 8 ? in[k / 8] >> (7 - k % 8) & 1u : 0);
		*out++ = peer_digits[bits];
	}
	for (i = 0; i < (3 - len % 3) % 3; i++)
		*out++ = '=';
	*out = '\0';
}

/* Decodes what is right; returns the length, -1 if it is not. <out> gets a NUL too. */
static inline long peer_decode(const char *text, size_t len, char *out)
{
	size_t n = 0, digits = len;
	unsigned bits = 0;

	while (digits && text[digits - 1] == '=')
		digits--;
	if (len % 4 || len - digits > 2)
		return -1;
	for (size_t i = 0; i < digits; i++) {
		const char *digit = text[i] ? strchr(peer_digits, text[i]) : NULL;

		if (!digit)
			return -1;
		bits = bits << 6 | (unsigned)(digit - peer_digits);
		if (i % 4)
			out[n++] = (char)(bits >> (6 - i % 4 * 2));
	}
	out[n] = '\0';
	return (long)n;
}

/* --- crypto without a library --------------------------------------------------------------------------- */

static long peer_crypto_fails = -1;       /* the n-th call from now (0: the next) fails, once */
static bool peer_crypto_no_md5;
static unsigned char peer_crypto_random[15]; /* what random() gives, again and again */
static unsigned peer_crypto_calls;

static inline bool peer_crypto_fine(enum sasl_hash hash)
{
	peer_crypto_calls++;
	return (peer_crypto_fails < 0 || peer_crypto_fails-- > 0) && !(hash == SASL_MD5 && peer_crypto_no_md5);
}

static inline uint64_t peer_mix(uint64_t state, const void *data, size_t len)
{
	const unsigned char *in = data;

	for (size_t i = 0; i < len; i++)
		state = (state ^ in[i]) * 0x100000001b3u;
	return (state ^ len) * 0x100000001b3u;
}

static inline bool peer_spread(uint64_t state, enum sasl_hash hash, unsigned char *out)
{
	for (size_t i = 0; i < (hash == SASL_MD5 ? 16u : 32u); i++) {
		state = (state ^ state >> 29) * 0x9e3779b97f4a7c15u + i;
		out[i] = (unsigned char)(state >> 56);
	}
	return true;
}

static inline bool peer_digest(enum sasl_hash hash, const void *data, size_t len, unsigned char *out)
{
	return peer_crypto_fine(hash) && peer_spread(peer_mix(0xcbf29ce484222325u, data, len), hash, out);
}

static inline bool peer_hmac(enum sasl_hash hash, const void *key, size_t key_len, const void *data, size_t len,
                             unsigned char *out)
{
	return peer_crypto_fine(hash) && peer_spread(peer_mix(peer_mix(1, key, key_len), data, len), hash, out);
}

static inline bool peer_pbkdf2(const void *password, size_t password_len, const void *salt, size_t salt_len,
                               unsigned iterations, unsigned char *out)
{
	uint64_t state = peer_mix(peer_mix(2 + (uint64_t)iterations, password, password_len), salt, salt_len);

	return peer_crypto_fine(SASL_SHA256) && peer_spread(state, SASL_SHA256, out);
}

static inline bool peer_random(void *out, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((unsigned char *)out)[i] = peer_crypto_random[i % sizeof(peer_crypto_random)];
	return peer_crypto_fine(SASL_SHA256);
}

static const struct sasl_crypto peer_crypto = { peer_digest, peer_hmac, peer_pbkdf2, peer_random };

/* --- the server of SCRAM-SHA-256 ------------------------------------------------------------------------ */

/* RFC 5802 section 3, from the three messages as they were sent (decoded): is the client's proof right, and what is the
 * server's last message, "v=..."?
 */
static inline bool peer_scram(const struct sasl_crypto *crypto, const char *password, const char *client_first,
                              const char *server_first, const char *client_final, char *server_final)
{
	static char auth[PEER_TEXT_MAX], text[PEER_TEXT_MAX], proof[PEER_TEXT_MAX];
	unsigned char salted[32], key[32], stored[32], signature[32], hash[32];
	const char *salt = strstr(server_first, ",s="), *count = strstr(server_first, ",i=");
	const char *p = strstr(client_final, ",p=");
	unsigned iterations = 0;
	long salt_len;

	if (strncmp(client_first, "n,,", 3) || !salt || !count || !p || sscanf(count, ",i=%u", &iterations) != 1 ||
	    count < salt)
		return false;
	if (snprintf(auth, sizeof(auth), "%s,%s,%.*s", client_first + 3, server_first, (int)(p - client_final),
	             client_final) >= (int)sizeof(auth))
		return false;
	salt_len = peer_decode(salt + 3, (size_t)(count - salt - 3), text);
	if (salt_len < 0 || peer_decode(p + 3, strlen(p + 3), proof) != 32 ||
	    !crypto->pbkdf2(password, strlen(password), text, (size_t)salt_len, iterations, salted) ||
	    !crypto->hmac(SASL_SHA256, salted, 32, "Client Key", 10, key) ||
	    !crypto->digest(SASL_SHA256, key, 32, stored) ||
	    !crypto->hmac(SASL_SHA256, stored, 32, auth, strlen(auth), signature))
		return false;
	for (int i = 0; i < 32; i++)
		key[i] = signature[i] ^ (unsigned char)proof[i];
	if (!crypto->digest(SASL_SHA256, key, 32, hash) || memcmp(hash, stored, 32) ||
	    !crypto->hmac(SASL_SHA256, salted, 32, "Server Key", 10, key) ||
	    !crypto->hmac(SASL_SHA256, key, 32, auth, strlen(auth), signature))
		return false;
	strcpy(server_final, "v=");
	peer_encode(signature, 32, server_final + 2);
	return true;
}

#endif
