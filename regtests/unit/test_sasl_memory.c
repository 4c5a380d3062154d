/*
 * Unit tests of sasl: no copy of a secret is left in freed memory, whatever fails on the way, and the failing
 * allocations. The base64 of RFC 4648.
 */
#include "sasl_steps.h"

#include "../../plugin/core/sasl_internal.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

#define OFFER "r=AAAAAAAAAAAAAAAAAAAAtheirs,s=c2FsdA==,i=4096"

/* The response was sent. */
static void sent(struct buffer *out)
{
	sasl_wipe(out->data, out->size);
	out->len = 0;
}

/* A whole exchange into one buffer, as smtp_client has it: each response is wiped once it was sent. Returns false
 * when an allocation failed.
 */
static bool exchange(enum sasl_mechanism mechanism)
{
	static const char *const challenges[][3] = {
		[SASL_LOGIN] = { "", "" }, [SASL_PLAIN] = { NULL }, [SASL_CRAM_MD5] = { "PDFAaD4=" },
		[SASL_SCRAM_SHA_256] = {
			"cj1BQUFBQUFBQUFBQUFBQUFBQUFBQXRoZWlycyxzPWMyRnNkQT09LGk9NDA5Ng==", "dj1BQUFB",
		},
		[SASL_XOAUTH2] = { "e30=" }, [SASL_OAUTHBEARER] = { "e30=" },
	};
	bool token = mechanism == SASL_XOAUTH2 || mechanism == SASL_OAUTHBEARER, fine = true;
	struct buffer out = { 0 };
	struct sasl *s;

	memset(peer_crypto_random, 0, sizeof(peer_crypto_random));
	s = sasl_new(mechanism, token ? &steps_token : &steps_password, &peer_crypto);
	if (!s)
		return false;
	sasl_initial(s, &out);
	sent(&out);
	for (size_t i = 0; fine && i < 3 && challenges[mechanism][i]; i++) {
		enum mailers_error error = sasl_step(s, challenges[mechanism][i], strlen(challenges[mechanism][i]), &out);

		fine = error != MAILERS_ERR_NOMEM;
		assert_true(!error || !fine || error == MAILERS_ERR_PROTOCOL);
		sent(&out);
	}
	fine = fine && !buffer_error(&out);
	buffer_free(&out);
	sasl_free(s);
	return fine;
}

static const char *const secrets[] = {
	PASSWORD, TOKEN, "cGFzcyB3b3JkLD00Mg==", /* LOGIN's */
	"eWEyOS52RjlkZnQ0cW1UYzJOdmIzUmxja0Jo",  /* the token within the two OAuth responses, by its offset in them */
	"5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhk", "HlhMjkudkY5ZGZ0NHFtVGMyTnZiM1JsY2tCaGRI",
	"cGFzcyB3b3Jk", "Bhc3Mgd29yZCw9ND", "wYXNzIHdvcmQsPTQy", /* PLAIN's */
};

static void memory__each_mechanism__nothing_secret_is_left_in_it(void **state)
{
	struct sasl *s;

	(void)state;
	for (size_t i = 0; i < COUNT(secrets); i++) {
		unit_watch(secrets[i]);
		for (int m = SASL_LOGIN; m <= SASL_OAUTHBEARER; m++)
			assert_true(exchange((enum sasl_mechanism)m));
		/* An attempt that ends at once, or in the middle. */
		s = steps_new(SASL_SCRAM_SHA_256);
		sasl_free(s);
		s = steps_new(SASL_LOGIN);
		assert_int_equal(steps_raw(s, "", 0), MAILERS_OK);
		sasl_free(s);
		assert_int_equal(unit_leaks(), 0);
		unit_watch(NULL);
	}
}

/* Between two calls an attempt holds no secret but in the credentials, which are not its own; at its end not even what it
 * drew at random.
 */
static void memory__attempt_between_calls__holds_no_secret(void **state)
{
	struct buffer out = { 0 };
	struct sasl *s;

	(void)state;
	for (int m = SASL_LOGIN; m <= SASL_OAUTHBEARER; m++) {
		s = steps_new((enum sasl_mechanism)m);
		if (!sasl_initial(s, &out))
			assert_int_equal(sasl_step(s, "AAAA", 4, &out), MAILERS_OK);
		if (m == SASL_LOGIN)
			assert_int_equal(sasl_step(s, "AAAA", 4, &out), MAILERS_OK);
		for (size_t i = 0; i < COUNT(secrets); i++)
			assert_null(memmem(s, sizeof(*s), secrets[i], strlen(secrets[i])));
		unit_watch("AAAAAAAAAAAAAAAAAAAA");
		sasl_free(s);
		assert_int_equal(unit_leaks(), 0);
		unit_watch(NULL);
		sent(&out);
	}
	buffer_free(&out);
}

/* What the other test would not see if it looked at the wrong bytes. */
static void memory__response_that_is_not_wiped__is_found(void **state)
{
	static const enum sasl_mechanism mechanisms[] = { SASL_PLAIN, SASL_LOGIN, SASL_XOAUTH2, SASL_OAUTHBEARER };
	struct sasl *s;

	(void)state;
	for (size_t m = 0; m < COUNT(mechanisms); m++) {
		unsigned found = 0;

		for (size_t i = 0; i < COUNT(secrets); i++) {
			struct buffer out = { 0 };

			unit_watch(secrets[i]);
			s = steps_new(mechanisms[m]);
			if (!sasl_initial(s, &out)) {
				assert_int_equal(sasl_step(s, "", 0, &out), MAILERS_OK);
				buffer_clear(&out);
				assert_int_equal(sasl_step(s, "", 0, &out), MAILERS_OK);
			}
			sasl_free(s);
			assert_int_equal(unit_leaks(), 0);
			buffer_free(&out);
			found += unit_leaks();
			unit_watch(NULL);
		}
		assert_in_range(found, 1, COUNT(secrets));
	}
}

/* A buffer that is empty, or holds nothing secret, and must grow for the response. */
static void memory__buffer_that_grows__had_no_secret_in_it(void **state)
{
	(void)state;
	for (size_t filled = 0; filled < 300; filled += 10) {
		struct buffer out = { 0 };
		struct sasl *s = steps_new(SASL_PLAIN);

		for (size_t i = 0; i < filled; i++)
			buffer_puts(&out, "x");
		unit_watch("cGFzcyB3b3Jk");
		assert_true(sasl_initial(s, &out));
		assert_int_equal(out.len, filled + 44);
		assert_int_equal(unit_leaks(), 0);
		unit_watch(NULL);
		sasl_wipe(out.data, out.size);
		buffer_free(&out);
		sasl_free(s);
	}
}

static void memory__allocation_fails__no_attempt_or_nomem_and_no_secret(void **state)
{
	(void)state;
	for (int m = SASL_LOGIN; m <= SASL_OAUTHBEARER; m++) {
		long n;

		for (n = 0; ; n++) {
			bool fine;

			unit_watch(m < SASL_XOAUTH2 ? PASSWORD : TOKEN);
			unit_fail_at(n);
			fine = exchange((enum sasl_mechanism)m);
			assert_int_equal(unit_leaks(), 0);
			unit_watch(NULL);
			assert_int_equal(fine, !unit_failed());
			if (fine)
				break;
		}
		assert_in_range(n, 2, 10);
	}
	sasl_free(NULL);
	sasl_wipe(NULL, 0);
}

static void memory__buffer_without_room__fails_and_ends_the_attempt(void **state)
{
	struct buffer out = { .limit = 10 };
	struct sasl *s = steps_new(SASL_LOGIN);

	(void)state;
	assert_int_equal(sasl_step(s, "", 0, &out), MAILERS_ERR_BOUND);
	assert_int_equal(out.len, 0);
	assert_string_equal(sasl_reason(s), "limit reached");
	buffer_clear(&out);
	out.limit = 0;
	assert_int_equal(sasl_step(s, "", 0, &out), MAILERS_ERR_BOUND);
	assert_int_equal(sasl_finish(s, NULL, 0), MAILERS_ERR_BOUND);
	assert_int_equal(out.len, 0);
	sasl_free(s);

	s = steps_new(SASL_PLAIN);
	out.limit = 10;
	assert_true(sasl_initial(s, &out));
	assert_int_equal(buffer_error(&out), MAILERS_ERR_BOUND);
	assert_int_equal(sasl_finish(s, NULL, 0), MAILERS_ERR_BOUND);
	sasl_free(s);
	buffer_free(&out);
}

static void wipe__bytes__are_zero(void **state)
{
	char text[] = PASSWORD;

	(void)state;
	sasl_wipe(text, sizeof(text));
	for (size_t i = 0; i < sizeof(text); i++)
		assert_int_equal(text[i], 0);
}

/* RFC 4648 section 10. */
static void base64__vectors__both_ways(void **state)
{
	static const char *const rows[][2] = {
		{ "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg==" },
		{ "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" },
	};
	char out[16];
	size_t len;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		size_t plain = strlen(rows[i][0]), coded = strlen(rows[i][1]);

		assert_int_equal(SASL_BASE64_LEN(plain), coded);
		memset(out, '#', sizeof(out));
		sasl_base64_encode(out, rows[i][0], plain);
		assert_memory_equal(out, rows[i][1], coded);
		assert_int_equal(out[coded], '#');
		memset(out, '#', sizeof(out));
		assert_true(sasl_base64_decode(rows[i][1], coded, out, plain, &len));
		assert_int_equal(len, plain);
		assert_memory_equal(out, rows[i][0], plain);
		assert_int_equal(out[plain], '#');
		if (plain) {
			memset(out, '#', sizeof(out));
			assert_false(sasl_base64_decode(rows[i][1], coded, out, plain - 1, &len));
			assert_int_equal(out[plain - 1], '#');
		}
	}
}

/* All runs of one and two bytes, and each byte at each place of a group. */
static void base64__any_bytes__one_text_each(void **state)
{
	char text[8], other[8], out[8];
	size_t len, valid = 0;

	(void)state;
	for (unsigned n = 0; n < 65536; n++) {
		unsigned char in[3] = { (unsigned char)(n >> 8), (unsigned char)n, (unsigned char)(n * 7) };

		for (size_t bytes = 1; bytes <= 3; bytes++) {
			sasl_base64_encode(text, in, bytes);
			peer_encode(in, bytes, other);
			assert_memory_equal(text, other, 4);
			assert_true(sasl_base64_decode(text, 4, out, sizeof(out), &len));
			assert_int_equal(len, bytes);
			assert_memory_equal(out, in, bytes);
		}
	}
	/* Of all texts of the form "ab==" only those with nothing in the last four bits. */
	for (unsigned n = 0; n < 65536; n++) {
		char pair[4] = { (char)(n >> 8), (char)n, '=', '=' };

		valid += sasl_base64_decode(pair, 4, out, sizeof(out), &len);
	}
	assert_int_equal(valid, 256);
	valid = 0;
	for (unsigned n = 0; n < 256; n++)
		for (size_t at = 0; at < 4; at++) {
			char group[4] = { 'A', 'A', 'A', 'A' };

			group[at] = (char)n;
			valid += sasl_base64_decode(group, 4, out, sizeof(out), &len);
		}
	assert_int_equal(valid, 4 * 64 + 1); /* and "AAA=" */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory__each_mechanism__nothing_secret_is_left_in_it),
		cmocka_unit_test(memory__attempt_between_calls__holds_no_secret),
		cmocka_unit_test(memory__response_that_is_not_wiped__is_found),
		cmocka_unit_test(memory__buffer_that_grows__had_no_secret_in_it),
		cmocka_unit_test(memory__allocation_fails__no_attempt_or_nomem_and_no_secret),
		cmocka_unit_test(memory__buffer_without_room__fails_and_ends_the_attempt),
		cmocka_unit_test(wipe__bytes__are_zero),
		cmocka_unit_test(base64__vectors__both_ways),
		cmocka_unit_test(base64__any_bytes__one_text_each),
	};

	return cmocka_run_group_tests_name("sasl_memory", tests, NULL, NULL);
}
