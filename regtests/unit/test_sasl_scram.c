/* Unit tests of sasl: SCRAM-SHA-256, with hashes that need no library (the RFC's example is in regtests/sasl). */
#include "sasl_steps.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

#define OURS  "AAAAAAAAAAAAAAAAAAAA" /* the nonce of random bytes that are all 0 */
#define OFFER "r=" OURS "theirs,s=c2FsdA==,i=4096"

/* An attempt whose server made <offer>; *<final> is what that server says last if our proof was right. */
static struct sasl *scram_proved(const char *offer, const char **final)
{
	static char first[PEER_TEXT_MAX], server_final[100];
	struct sasl *s = steps_new(SASL_SCRAM_SHA_256);

	assert_true(steps_initial(s));
	strcpy(first, steps_text);
	assert_int_equal(steps_step(s, offer), MAILERS_OK);
	assert_true(peer_scram(&peer_crypto, PASSWORD, first, offer, steps_text, server_final));
	*final = server_final;
	return s;
}

static void scram__right_server__proves_and_is_believed(void **state)
{
	static const char *const offers[] = {
		OFFER, OFFER ",x=an extension", OFFER ",x=1,Y=2", "r=" OURS "!,s=AA==,i=100000",
		"r=" OURS "~#$%&'()*+-./:;<=>?@[]^_`{|},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=99999",
	};
	struct sasl *s;
	const char *final;

	(void)state;
	s = steps_new(SASL_SCRAM_SHA_256);
	assert_true(steps_initial(s));
	assert_string_equal(steps_text, "n,,n=" USER ",r=" OURS);
	assert_int_equal(steps_finish(s, ""), MAILERS_ERR_PROTOCOL);
	sasl_free(s);
	for (size_t i = 0; i < COUNT(offers); i++) {
		s = scram_proved(offers[i], &final);
		assert_int_equal(strncmp(steps_text, "c=biws,r=" OURS, 9 + 20), 0);
		assert_int_equal(steps_step(s, final), MAILERS_OK);
		assert_string_equal(steps_base64, "");
		assert_int_equal(steps_finish(s, "2.7.0 fine"), MAILERS_OK);
		sasl_free(s);
	}
}

static void scram__user_with_comma_and_equals__is_escaped(void **state)
{
	struct sasl_credentials c = { .user = "a,b=c=2C", .password = PASSWORD };
	char first[200], final[100];
	struct sasl *s = sasl_new(SASL_SCRAM_SHA_256, &c, &peer_crypto);

	(void)state;
	assert_true(steps_initial(s));
	assert_string_equal(steps_text, "n,,n=a=2Cb=3Dc=3D2C,r=" OURS);
	strcpy(first, steps_text);
	assert_int_equal(steps_step(s, OFFER), MAILERS_OK);
	assert_true(peer_scram(&peer_crypto, PASSWORD, first, OFFER, steps_text, final));
	assert_int_equal(steps_step(s, final), MAILERS_OK);
	sasl_free(s);
}

static void scram__random_bytes__make_the_nonce(void **state)
{
	static const unsigned char random[15] = { 0xff, 0xef, 0xbe, 0, 0x10, 0x83, 7, 8, 9, 10, 11, 12, 13, 14, 15 };
	struct sasl *s;

	(void)state;
	memcpy(peer_crypto_random, random, sizeof(random));
	s = sasl_new(SASL_SCRAM_SHA_256, &steps_password, &peer_crypto);
	assert_true(steps_initial(s));
	assert_string_equal(steps_text, "n,,n=" USER ",r=/+++ABCDBwgJCgsMDQ4P");
	/* One of an attempt before: not ours. */
	assert_int_equal(steps_step(s, OFFER), MAILERS_ERR_PROTOCOL);
	sasl_free(s);
}

/* Each message of server-first that is none, or none for us. */
static void scram__bad_offer__is_protocol(void **state)
{
	static const struct { const char *offer, *reason; } rows[] = {
		{ "", "no message" }, { "x", "no message" }, { "r=", "no message" },
		{ "r=" OURS "t", "no message" }, { "r=" OURS "t,s=c2FsdA==", "no message" },
		{ "r=" OURS "t,i=4096,s=c2FsdA==", "no message" }, { "s=c2FsdA==,r=" OURS "t,i=4096", "no message" },
		{ "r=" OURS "t,s=,i=4096", "no message" }, { "r=,s=c2FsdA==,i=4096", "no message" },
		{ "r=" OURS "t,s=c2FsdA==,i=", "no message" }, { OFFER ",", "no message" }, { OFFER ",,x=1", "no message" },
		{ OFFER ",x", "no message" }, { OFFER ",x=", "no message" }, { OFFER ",1=2", "no message" },
		{ "," OFFER, "no message" }, { " " OFFER, "no message" }, { "R=" OURS "t,s=c2FsdA==,i=4096", "no message" },
		{ "v=AAAA", "no message" }, { "m=1," OFFER, "unknown extension" }, { "m=", "unknown extension" },
		{ "r=" OURS ",s=c2FsdA==,i=4096", "nonce" }, { "r=AAAA,s=c2FsdA==,i=4096", "nonce" },
		{ "r=BAAAAAAAAAAAAAAAAAAAt,s=c2FsdA==,i=4096", "nonce" },
		{ "r=AAAAAAAAAAAAAAAAAAABt,s=c2FsdA==,i=4096", "nonce" },
		{ "r=" OURS "a b,s=c2FsdA==,i=4096", "nonce" }, { "r=" OURS "\x7f,s=c2FsdA==,i=4096", "nonce" },
		{ "r=" OURS "\xc3\xa4,s=c2FsdA==,i=4096", "nonce" }, { "r=" OURS "\n,s=c2FsdA==,i=4096", "nonce" },
		{ "r=" OURS "t,s=c2FsdA=,i=4096", "salt" }, { "r=" OURS "t,s=c2FsdB==,i=4096", "salt" },
		{ "r=" OURS "t,s=====,i=4096", "salt" }, { "r=" OURS "t,s=!!!!,i=4096", "salt" },
		{ "r=" OURS "t,s=c2FsdA==,i=0", "count" }, { "r=" OURS "t,s=c2FsdA==,i=04096", "count" },
		{ "r=" OURS "t,s=c2FsdA==,i=-4096", "count" }, { "r=" OURS "t,s=c2FsdA==,i=4096 ", "count" },
		{ "r=" OURS "t,s=c2FsdA==,i=4096x", "count" }, { "r=" OURS "t,s=c2FsdA==,i=0x1000", "count" },
		{ "r=" OURS "t,s=c2FsdA==,i=1", "less than 4096 iterations" },
		{ "r=" OURS "t,s=c2FsdA==,i=4095", "less than 4096 iterations" },
		{ "r=" OURS "t,s=c2FsdA==,i=100001", "more than 100000 iterations" },
		{ "r=" OURS "t,s=c2FsdA==,i=999999999", "more than 100000 iterations" },
		{ "r=" OURS "t,s=c2FsdA==,i=4294971392", "more than 100000 iterations" },
		{ "r=" OURS "t,s=c2FsdA==,i=18446744073709555712", "more than 100000 iterations" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sasl *s = steps_new(SASL_SCRAM_SHA_256);

		assert_true(steps_initial(s));
		peer_crypto_calls = 0;
		assert_int_equal(steps_step(s, rows[i].offer), MAILERS_ERR_PROTOCOL);
		assert_non_null(strstr(sasl_reason(s), rows[i].reason));
		assert_int_equal(peer_crypto_calls, 0);
		assert_int_equal(steps_step(s, OFFER), MAILERS_ERR_PROTOCOL);
		assert_int_equal(steps_finish(s, ""), MAILERS_ERR_PROTOCOL);
		sasl_free(s);
	}
}

/* RFC 5802 section 7 has NUL nowhere, not even in an extension. */
static void scram__nul_in_a_message__is_protocol(void **state)
{
	static const struct { const char *offer; size_t len; } rows[] = {
		{ "r=" OURS "t\0,s=c2FsdA==,i=4096", 22 + 2 + 19 }, { OFFER "\0", sizeof(OFFER) },
		{ OFFER ",x=a\0", sizeof(OFFER) + 4 }, { OFFER ",x=\0", sizeof(OFFER) + 3 }, { "\0" OFFER, sizeof(OFFER) },
	};
	char base64[200];

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sasl *s = steps_new(SASL_SCRAM_SHA_256);

		assert_true(steps_initial(s));
		peer_encode(rows[i].offer, rows[i].len, base64);
		assert_int_equal(steps_raw(s, base64, strlen(base64)), MAILERS_ERR_PROTOCOL);
		sasl_free(s);
	}
}

/* Both challenges, cut at each byte of the text and of its base64: none is taken for another message. */
static void scram__truncated_challenges__are_protocol(void **state)
{
	char base64[300], text[300];
	const char *final;
	struct sasl *s;

	(void)state;
	for (size_t cut = 0; cut < strlen(OFFER); cut++) {
		s = steps_new(SASL_SCRAM_SHA_256);
		assert_true(steps_initial(s));
		snprintf(text, sizeof(text), "%.*s", (int)cut, OFFER);
		assert_int_equal(steps_step(s, text), MAILERS_ERR_PROTOCOL);
		sasl_free(s);
	}
	peer_encode(OFFER, strlen(OFFER), base64);
	for (size_t cut = 0; cut < strlen(base64); cut++) {
		s = steps_new(SASL_SCRAM_SHA_256);
		assert_true(steps_initial(s));
		assert_int_equal(steps_raw(s, base64, cut), MAILERS_ERR_PROTOCOL);
		sasl_free(s);
	}
	for (size_t cut = 0; cut < 46; cut++) {
		s = scram_proved(OFFER, &final);
		assert_int_equal(strlen(final), 46);
		snprintf(text, sizeof(text), "%.*s", (int)cut, final);
		assert_int_equal(steps_step(s, text), MAILERS_ERR_PROTOCOL);
		assert_string_equal(sasl_reason(s), "the server's proof that it knows the password is wrong");
		sasl_free(s);
		s = scram_proved(OFFER, &final);
		peer_encode(final, strlen(final), base64);
		assert_int_equal(steps_raw(s, base64, cut), MAILERS_ERR_PROTOCOL);
		sasl_free(s);
		s = scram_proved(OFFER, &final);
		assert_int_equal(sasl_finish(s, base64, cut), MAILERS_ERR_PROTOCOL);
		sasl_free(s);
	}
}

static void scram__wrong_proof_of_the_server__is_protocol(void **state)
{
	const char *final;
	struct sasl *s;
	char text[100];

	(void)state;
	/* Each digit of the signature is looked at; the last one's spare bits too. */
	for (size_t i = 2; i < 46; i++) {
		s = scram_proved(OFFER, &final);
		strcpy(text, final);
		text[i] = text[i] == 'A' ? 'B' : 'A';
		assert_int_equal(steps_step(s, text), MAILERS_ERR_PROTOCOL);
		assert_int_equal(steps_finish(s, ""), MAILERS_ERR_PROTOCOL);
		sasl_free(s);
	}
	s = scram_proved(OFFER, &final);
	snprintf(text, sizeof(text), "%s,", final);
	assert_int_equal(steps_step(s, text), MAILERS_ERR_PROTOCOL);
	sasl_free(s);
	s = scram_proved(OFFER, &final);
	snprintf(text, sizeof(text), "%s,x", final);
	assert_int_equal(steps_step(s, text), MAILERS_ERR_PROTOCOL);
	sasl_free(s);
	/* The offer again instead of the proof. */
	s = scram_proved(OFFER, &final);
	assert_int_equal(steps_step(s, OFFER), MAILERS_ERR_PROTOCOL);
	sasl_free(s);
	/* An extension may follow. */
	s = scram_proved(OFFER, &final);
	snprintf(text, sizeof(text), "%s,x=1", final);
	assert_int_equal(steps_step(s, text), MAILERS_OK);
	assert_int_equal(steps_step(s, text), MAILERS_ERR_PROTOCOL);
	sasl_free(s);
}

/* The server's last message as a word of the text behind 235, RFC 4954 or not. */
static void scram__proof_in_the_text_of_235__is_verified(void **state)
{
	static const struct { const char *before; bool proof; const char *behind; enum mailers_error error; } rows[] = {
		{ "", true, "", MAILERS_OK }, { "2.7.0 ", true, "", MAILERS_OK }, { " ", true, " ", MAILERS_OK },
		{ "2.7.0 Authentication successful ", true, "", MAILERS_OK },
		{ "2.7.0 fine\n2.7.0\t", true, "\r\nAAAA", MAILERS_OK },
		{ "2.7.0 dj1BQUFB ", true, "", MAILERS_ERR_PROTOCOL }, /* "v=AAAA" comes first */
		{ "", false, "", MAILERS_ERR_PROTOCOL }, { "2.7.0 fine", false, "", MAILERS_ERR_PROTOCOL },
		{ "x", true, "", MAILERS_ERR_PROTOCOL }, { "", true, "=", MAILERS_ERR_PROTOCOL },
		{ "dj0=", false, "", MAILERS_ERR_PROTOCOL },
	};
	char base64[100], text[300];
	const char *final;
	struct sasl *s;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		s = scram_proved(OFFER, &final);
		peer_encode(final, strlen(final), base64);
		snprintf(text, sizeof(text), "%s%s%s", rows[i].before, rows[i].proof ? base64 : "", rows[i].behind);
		assert_int_equal(steps_finish(s, text), rows[i].error);
		assert_true(!rows[i].error == !*sasl_reason(s));
		assert_int_equal(steps_finish(s, ""), rows[i].error);
		sasl_free(s);
	}
	/* Not before our proof is out, and not after a wrong one. */
	s = scram_proved(OFFER, &final);
	peer_encode(final, strlen(final), base64);
	sasl_free(s);
	s = steps_new(SASL_SCRAM_SHA_256);
	assert_true(steps_initial(s));
	assert_int_equal(steps_finish(s, base64), MAILERS_ERR_PROTOCOL);
	sasl_free(s);
	/* What compares equal with a signature that was never computed. */
	s = steps_new(SASL_SCRAM_SHA_256);
	assert_true(steps_initial(s));
	peer_encode("v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", 46, base64);
	assert_int_equal(steps_finish(s, base64), MAILERS_ERR_PROTOCOL);
	sasl_free(s);
	/* Once in a 334, and any text behind 235. */
	for (int right = 0; right < 2; right++) {
		s = scram_proved(OFFER, &final);
		assert_int_equal(steps_step(s, final), MAILERS_OK);
		peer_encode(right ? final : "v=AAAA", right ? strlen(final) : 6, base64);
		assert_int_equal(steps_finish(s, base64), MAILERS_OK);
		sasl_free(s);
	}
	s = scram_proved(OFFER, &final);
	assert_int_equal(sasl_finish(s, NULL, 0), MAILERS_ERR_PROTOCOL);
	assert_string_equal(sasl_reason(s), "the server says 235 without proof that it knows the password");
	sasl_free(s);
}

static void scram__announced_error__answered_and_never_believed(void **state)
{
	const char *final;
	struct sasl *s;

	(void)state;
	s = scram_proved(OFFER, &final);
	assert_int_equal(steps_step(s, "e=invalid-proof"), MAILERS_OK);
	assert_string_equal(steps_base64, "");
	assert_string_equal(sasl_reason(s), "the server announces: e=invalid-proof");
	assert_int_equal(steps_step(s, final), MAILERS_ERR_PROTOCOL);
	sasl_free(s);

	s = steps_new(SASL_SCRAM_SHA_256);
	assert_true(steps_initial(s));
	assert_int_equal(steps_step(s, "e=unknown-user"), MAILERS_OK);
	assert_int_equal(steps_finish(s, ""), MAILERS_ERR_PROTOCOL);
	assert_string_equal(sasl_reason(s), "the server says 235 after it announced a failure");
	sasl_free(s);

	s = scram_proved(OFFER, &final);
	assert_int_equal(steps_step(s, "e=" PASSWORD), MAILERS_OK);
	assert_null(strstr(sasl_reason(s), PASSWORD));
	sasl_free(s);

	s = scram_proved(OFFER, &final);
	assert_int_equal(steps_step(s, "e="), MAILERS_ERR_PROTOCOL);
	sasl_free(s);
}

/* The longest of everything: user name, password, and a challenge of SASL_CHALLENGE_MAX with one long nonce. */
static void scram__longest_of_all__fits(void **state)
{
	static char user[513], password[513], offer[1537], first[PEER_TEXT_MAX];
	struct sasl_credentials c = { .user = user, .password = password };
	struct sasl *s;
	char final[100];
	int n;

	(void)state;
	memset(user, '=', 512);
	memset(password, 'p', 512);
	memset(peer_crypto_random, 0, sizeof(peer_crypto_random));
	s = sasl_new(SASL_SCRAM_SHA_256, &c, &peer_crypto);
	assert_non_null(s);
	assert_false(steps_initial(s));
	assert_int_equal(steps_raw(s, "", 0), MAILERS_OK);
	assert_int_equal(steps_len, 3 + 2 + 3 * 512 + 3 + 20);
	strcpy(first, steps_text);
	n = sprintf(offer, "r=%s", OURS);
	memset(offer + n, 'n', sizeof(offer) - (size_t)n);
	strcpy(offer + 1536 - 14, ",s=AA==,i=4096");
	assert_int_equal(strlen(offer), 1536);
	assert_int_equal(steps_step(s, offer), MAILERS_OK);
	assert_true(peer_scram(&peer_crypto, password, first, offer, steps_text, final));
	assert_int_equal(steps_step(s, final), MAILERS_OK);
	assert_int_equal(steps_finish(s, ""), MAILERS_OK);
	sasl_free(s);
}

static void scram__crypto_fails_at_each_call__internal_or_no_attempt(void **state)
{
	struct sasl *s;
	long calls;

	(void)state;
	peer_crypto_fails = 0;
	assert_null(sasl_new(SASL_SCRAM_SHA_256, &steps_password, &peer_crypto));
	for (calls = 0; ; calls++) {
		enum mailers_error error;

		s = steps_new(SASL_SCRAM_SHA_256);
		assert_true(steps_initial(s));
		peer_crypto_fails = calls;
		error = steps_step(s, OFFER);
		if (!error) {
			peer_crypto_fails = -1;
			sasl_free(s);
			break;
		}
		assert_int_equal(error, MAILERS_ERR_INTERNAL);
		assert_string_equal(sasl_reason(s), "the crypto library failed");
		assert_int_equal(steps_step(s, OFFER), MAILERS_ERR_INTERNAL);
		assert_int_equal(steps_finish(s, ""), MAILERS_ERR_INTERNAL);
		sasl_free(s);
	}
	assert_int_equal(calls, 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scram__right_server__proves_and_is_believed),
		cmocka_unit_test(scram__user_with_comma_and_equals__is_escaped),
		cmocka_unit_test(scram__random_bytes__make_the_nonce),
		cmocka_unit_test(scram__bad_offer__is_protocol),
		cmocka_unit_test(scram__nul_in_a_message__is_protocol),
		cmocka_unit_test(scram__truncated_challenges__are_protocol),
		cmocka_unit_test(scram__wrong_proof_of_the_server__is_protocol),
		cmocka_unit_test(scram__proof_in_the_text_of_235__is_verified),
		cmocka_unit_test(scram__announced_error__answered_and_never_believed),
		cmocka_unit_test(scram__longest_of_all__fits),
		cmocka_unit_test(scram__crypto_fails_at_each_call__internal_or_no_attempt),
	};

	return cmocka_run_group_tests_name("sasl_scram", tests, NULL, NULL);
}
