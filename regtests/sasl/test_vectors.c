/*
 * The examples of the RFCs and of Google, word for word, with OpenSSL's hashes; and crypto_openssl by itself.
 */
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>

#include <mailers/sasl.h>

#include "../../plugin/tls/crypto.h"
#include "../lib/sasl_peer.h"
#include "unit.h"

/* OpenSSL, but for random bytes: those are given. */
static unsigned char given_random[15];

static bool given(void *out, size_t len)
{
	assert_int_equal(len, sizeof(given_random));
	memcpy(out, given_random, len);
	return true;
}

static struct sasl_crypto crypto_given(const char *nonce)
{
	struct sasl_crypto crypto = crypto_openssl;
	char random[32];

	assert_int_equal(peer_decode(nonce, strlen(nonce), random), sizeof(given_random));
	memcpy(given_random, random, sizeof(given_random));
	crypto.random = given;
	return crypto;
}

static char said[PEER_TEXT_MAX]; /* base64 of the last response */

static void keep(struct buffer *out)
{
	assert_int_equal(buffer_error(out), MAILERS_OK);
	snprintf(said, sizeof(said), "%.*s", (int)out->len, out->data ? out->data : "");
	buffer_free(out);
}

static enum mailers_error step(struct sasl *s, const char *challenge)
{
	struct buffer out = { 0 };
	enum mailers_error error = sasl_step(s, challenge, strlen(challenge), &out);

	keep(&out);
	return error;
}

static bool initial(struct sasl *s)
{
	struct buffer out = { 0 };
	bool there = sasl_initial(s, &out);

	keep(&out);
	return there;
}

static const char *coded(const char *text)
{
	static char base64[PEER_TEXT_MAX];

	peer_encode(text, strlen(text), base64);
	return base64;
}

/* Section 4: tim with tanstaaftanstaaf (without an authorization identity, which is the first example). */
static void plain__rfc_4616(void **state)
{
	static const struct sasl_credentials c = { .user = "tim", .password = "tanstaaftanstaaf" };
	struct sasl *s = sasl_new(SASL_PLAIN, &c, &crypto_openssl);

	(void)state;
	assert_true(initial(s));
	assert_string_equal(said, "AHRpbQB0YW5zdGFhZnRhbnN0YWFm");
	sasl_free(s);
}

/* Section 2. */
static void cram_md5__rfc_2195(void **state)
{
	static const struct sasl_credentials c = { .user = "tim", .password = "tanstaaftanstaaf" };
	struct sasl *s = sasl_new(SASL_CRAM_MD5, &c, &crypto_openssl);

	(void)state;
	assert_int_equal(step(s, "PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+"), MAILERS_OK);
	assert_string_equal(said, "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw");
	assert_int_equal(sasl_finish(s, NULL, 0), MAILERS_OK);
	sasl_free(s);
}

/* Section 3. */
static void scram_sha_256__rfc_7677(void **state)
{
	static const struct sasl_credentials c = { .user = "user", .password = "pencil" };
	static const char server_first[] =
		"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
	static const char server_final[] = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
	static const char wrong_final[] = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G0=";
	struct sasl_crypto crypto = crypto_given("rOprNGfwEbeRWgbNEkqO");

	(void)state;
	for (int way = 0; way < 4; way++) {
		struct sasl *s = sasl_new(SASL_SCRAM_SHA_256, &c, &crypto);

		assert_true(initial(s));
		assert_string_equal(said, coded("n,,n=user,r=rOprNGfwEbeRWgbNEkqO"));
		assert_int_equal(step(s, coded(server_first)), MAILERS_OK);
		assert_string_equal(said, coded("c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
		                                "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="));
		if (way == 0) {
			assert_int_equal(step(s, coded(server_final)), MAILERS_OK);
			assert_string_equal(said, "");
			assert_int_equal(sasl_finish(s, NULL, 0), MAILERS_OK);
		} else if (way == 1) {
			assert_int_equal(sasl_finish(s, coded(server_final), strlen(coded(server_final))), MAILERS_OK);
		} else if (way == 2) {
			assert_int_equal(step(s, coded(wrong_final)), MAILERS_ERR_PROTOCOL);
		} else {
			assert_int_equal(sasl_finish(s, NULL, 0), MAILERS_ERR_PROTOCOL);
		}
		sasl_free(s);
	}
}

/* The server's side in sasl_peer.h, which the other tests stand on, agrees with the RFC too. */
static void scram_sha_256__peer(void **state)
{
	char final[100];

	(void)state;
	assert_true(peer_scram(&crypto_openssl, "pencil", "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
	                       "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
	                       "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
	                       "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", final));
	assert_string_equal(final, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}

/* Random nonces and a password that is not ASCII, against the server's side. */
static void scram_sha_256__own_nonces(void **state)
{
	static const struct sasl_credentials c = { .user = "m\xc3\xbcller, a=b", .password = "Gr\xc3\xb6\xc3\x9f" "e 7" };
	char first[2][200], offer[300], text[PEER_TEXT_MAX], final[100];

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct sasl *s = sasl_new(SASL_SCRAM_SHA_256, &c, &crypto_openssl);

		assert_true(initial(s));
		assert_true(peer_decode(said, strlen(said), text) > 0);
		assert_true(strlen(text) < sizeof(first[i]));
		strcpy(first[i], text);
		assert_int_equal(strncmp(first[i], "n,,n=m\xc3\xbcller=2C a=3Db,r=", 23), 0);
		snprintf(offer, sizeof(offer), "r=%sserver,s=c2FsdHNhbHRzYWx0,i=10000", strstr(first[i], ",r=") + 3);
		assert_int_equal(step(s, coded(offer)), MAILERS_OK);
		assert_true(peer_decode(said, strlen(said), text) > 0);
		assert_true(peer_scram(&crypto_openssl, c.password, first[i], offer, text, final));
		assert_int_equal(step(s, coded(final)), MAILERS_OK);
		sasl_free(s);
	}
	assert_string_not_equal(first[0], first[1]);
}

/* Section 4.1, and the example of a refusal in SMTP, with port 587. */
static void oauthbearer__rfc_7628(void **state)
{
	struct sasl_credentials c = {
		.user = "user@example.com", .token = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==",
		.host = "server.example.com", .port = 143,
	};
	struct sasl *s = sasl_new(SASL_OAUTHBEARER, &c, NULL);

	(void)state;
	assert_true(initial(s));
	assert_string_equal(said, "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcm"
	                          "VyIHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB");
	assert_int_equal(sasl_finish(s, NULL, 0), MAILERS_OK);
	sasl_free(s);

	c.port = 587;
	s = sasl_new(SASL_OAUTHBEARER, &c, NULL);
	assert_true(initial(s));
	assert_string_equal(said, "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9NTg3AWF1dGg9QmVhcm"
	                          "VyIHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB");
	assert_int_equal(step(s, "eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIiwic2NoZW1lcyI6ImJlYXJlciBtYWMiLCJzY29wZSI6Imh0dHBzOi8v"
	                         "bWFpbC5leGFtcGxlLmNvbS8ifQ=="), MAILERS_OK);
	assert_string_equal(said, "AQ==");
	assert_string_equal(sasl_reason(s), "the server announces: {\"status\":\"invalid_token\",\"schemes\":\"bearer mac\","
	                                    "\"scope\":\"https://mail.example.com/\"}");
	sasl_free(s);
}

/* developers.google.com, OAuth 2.0 Mechanism: the initial response, and the error response. */
static void xoauth2__google(void **state)
{
	static const struct sasl_credentials c = {
		.user = "someuser@example.com", .token = "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg",
	};
	struct sasl *s = sasl_new(SASL_XOAUTH2, &c, NULL);

	(void)state;
	assert_true(initial(s));
	assert_string_equal(said, "dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhk"
	                          "SFJoZG1semRHRXVZMjl0Q2cBAQ==");
	assert_int_equal(step(s, "eyJzdGF0dXMiOiI0MDEiLCJzY2hlbWVzIjoiYmVhcmVyIG1hYyIsInNjb3BlIjoiaHR0cHM6Ly9tYWlsLmdvb2ds"
	                         "ZS5jb20vIn0K"), MAILERS_OK);
	assert_string_equal(said, "");
	assert_string_equal(sasl_reason(s), "the server announces: {\"status\":\"401\",\"schemes\":\"bearer mac\","
	                                    "\"scope\":\"https://mail.google.com/\"}\\x0a");
	sasl_free(s);
}

static void hex(const unsigned char *data, size_t len, char *out)
{
	for (size_t i = 0; i < len; i++)
		sprintf(out + 2 * i, "%02x", data[i]);
}

/* RFC 1321 A.5, RFC 6234 8.5, RFC 2202 2, RFC 4231 4.3, RFC 7914 11. */
static void crypto__vectors(void **state)
{
	unsigned char out[33];
	char text[67];

	(void)state;
	out[16] = out[32] = 0xa5;
	assert_true(crypto_openssl.digest(SASL_MD5, "abc", 3, out));
	hex(out, 17, text);
	assert_string_equal(text, "900150983cd24fb0d6963f7d28e17f72" "a5");
	assert_true(crypto_openssl.hmac(SASL_MD5, "Jefe", 4, "what do ya want for nothing?", 28, out));
	hex(out, 17, text);
	assert_string_equal(text, "750c783e6ab0b503eaa86e310a5db738" "a5");
	assert_true(crypto_openssl.digest(SASL_SHA256, "abc", 3, out));
	hex(out, 33, text);
	assert_string_equal(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" "a5");
	assert_true(crypto_openssl.digest(SASL_SHA256, "", 0, out));
	hex(out, 33, text);
	assert_string_equal(text, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" "a5");
	assert_true(crypto_openssl.hmac(SASL_SHA256, "Jefe", 4, "what do ya want for nothing?", 28, out));
	hex(out, 33, text);
	assert_string_equal(text, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" "a5");
	assert_true(crypto_openssl.hmac(SASL_MD5, "", 0, "", 0, out));
	hex(out, 16, text);
	assert_memory_equal(text, "74e6f7298a9c2d168935f58c001bad88", 32);
	assert_true(crypto_openssl.pbkdf2("Password", 8, "NaCl", 4, 80000, out));
	hex(out, 33, text);
	assert_string_equal(text, "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56" "a5");
}

static void crypto__random__differs(void **state)
{
	unsigned char a[32] = { 0 }, b[32] = { 0 };

	(void)state;
	assert_true(crypto_openssl.random(a, sizeof(a)));
	assert_true(crypto_openssl.random(b, sizeof(b)));
	assert_memory_not_equal(a, b, sizeof(a));
	assert_false(crypto_openssl.random(a, (size_t)1 << 40));
	assert_false(crypto_openssl.pbkdf2("p", 1, "s", 1, 1u << 31, a));
}

/* As in FIPS mode, which few test machines have: no provider has the property that is asked for. */
static void crypto__hash_refused__false_and_no_error_left(void **state)
{
	static const struct sasl_credentials c = { .user = "u", .password = "p" };
	unsigned char out[32];

	(void)state;
	ERR_clear_error();
	ERR_raise(ERR_LIB_USER, 7); /* somebody else's, which must stay */
	assert_int_equal(EVP_set_default_properties(NULL, "provider=nobody"), 1);
	assert_false(crypto_openssl.digest(SASL_MD5, "abc", 3, out));
	assert_false(crypto_openssl.hmac(SASL_MD5, "k", 1, "abc", 3, out));
	assert_false(crypto_openssl.pbkdf2("p", 1, "s", 1, 4096, out));
	assert_non_null(strstr(sasl_unfit(SASL_CRAM_MD5, &c, &crypto_openssl), "refuses MD5"));
	assert_int_equal(sasl_choose(SASL_ALL & ~SASL_BIT(SASL_SCRAM_SHA_256), SASL_ALL, &c, &crypto_openssl), SASL_PLAIN);
	assert_int_equal(ERR_GET_REASON(ERR_get_error()), 7);
	assert_int_equal(ERR_get_error(), 0);
	assert_false(crypto_openssl.digest(SASL_MD5, "abc", 3, out)); /* with an empty queue */
	assert_false(crypto_openssl.hmac(SASL_MD5, "k", 1, "abc", 3, out));
	assert_int_equal(ERR_get_error(), 0);
	assert_int_equal(EVP_set_default_properties(NULL, ""), 1);
	assert_true(crypto_openssl.digest(SASL_MD5, "abc", 3, out));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain__rfc_4616),
		cmocka_unit_test(cram_md5__rfc_2195),
		cmocka_unit_test(scram_sha_256__rfc_7677),
		cmocka_unit_test(scram_sha_256__peer),
		cmocka_unit_test(scram_sha_256__own_nonces),
		cmocka_unit_test(oauthbearer__rfc_7628),
		cmocka_unit_test(xoauth2__google),
		cmocka_unit_test(crypto__vectors),
		cmocka_unit_test(crypto__random__differs),
		cmocka_unit_test(crypto__hash_refused__false_and_no_error_left),
	};

	return cmocka_run_group_tests_name("sasl_vectors", tests, NULL, NULL);
}
