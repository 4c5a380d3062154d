/* Unit tests of sasl: the mechanisms' names and choice, what fits them, their dialogues, bounds and memory. */
#include "sasl_steps.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void mechanism__each_name__is_found_in_any_case(void **state)
{
	static const struct { const char *text; enum sasl_mechanism mechanism; } rows[] = {
		{ "LOGIN", SASL_LOGIN }, { "PLAIN", SASL_PLAIN }, { "CRAM-MD5", SASL_CRAM_MD5 },
		{ "SCRAM-SHA-256", SASL_SCRAM_SHA_256 }, { "XOAUTH2", SASL_XOAUTH2 },
		{ "OAUTHBEARER", SASL_OAUTHBEARER }, { "plain", SASL_PLAIN }, { "Scram-Sha-256", SASL_SCRAM_SHA_256 },
		{ "", SASL_NONE }, { "PLAI", SASL_NONE }, { "PLAIN ", SASL_NONE }, { "PLAINX", SASL_NONE },
		{ "none", SASL_NONE }, { "SCRAM-SHA-256-PLUS", SASL_NONE }, { "SCRAM-SHA-1", SASL_NONE },
		{ "DIGEST-MD5", SASL_NONE }, { "NTLM", SASL_NONE }, { "GSSAPI", SASL_NONE }, { "EXTERNAL", SASL_NONE },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(sasl_mechanism_find(rows[i].text, strlen(rows[i].text)), rows[i].mechanism);
	for (int m = SASL_LOGIN; m <= SASL_OAUTHBEARER; m++) {
		const char *name = sasl_mechanism_name((enum sasl_mechanism)m);

		assert_int_equal(sasl_mechanism_find(name, strlen(name)), m);
		assert_true(SASL_ALL & SASL_BIT(m));
	}
	assert_int_equal(sasl_mechanism_find("PLAIN LOGIN", 5), SASL_PLAIN);
	assert_string_equal(sasl_mechanism_name(SASL_NONE), "none");
	assert_string_equal(sasl_mechanism_name((enum sasl_mechanism)7), "none");
	assert_string_equal(sasl_mechanism_name((enum sasl_mechanism)-1), "none");
}

#define L SASL_BIT(SASL_LOGIN)
#define P SASL_BIT(SASL_PLAIN)
#define C SASL_BIT(SASL_CRAM_MD5)
#define S SASL_BIT(SASL_SCRAM_SHA_256)
#define X SASL_BIT(SASL_XOAUTH2)
#define O SASL_BIT(SASL_OAUTHBEARER)

static void choose__what_is_offered_and_allowed__the_strongest_that_fits(void **state)
{
	static const struct sasl_credentials both = { .user = "u", .password = "p", .token = "t" };
	static const struct sasl_credentials nobody = { .password = "p" };
	static const struct sasl_credentials token_alone = { .token = "t" };
	static const struct {
		unsigned offered, allowed;
		const struct sasl_credentials *credentials;
		enum { CRYPTO, NO_MD5, NO_CRYPTO } crypto;
		enum sasl_mechanism mechanism;
	} rows[] = {
		{ L | P | C | S | X | O, SASL_ALL, &steps_password, CRYPTO, SASL_SCRAM_SHA_256 },
		{ L | P | C | S | X | O, SASL_ALL, &steps_token, CRYPTO, SASL_OAUTHBEARER },
		{ L | P | C | S | X | O, SASL_ALL, &both, CRYPTO, SASL_OAUTHBEARER },
		{ L | P | C | S | X, SASL_ALL, &both, CRYPTO, SASL_XOAUTH2 },
		{ L | P | C | S, SASL_ALL, &both, CRYPTO, SASL_SCRAM_SHA_256 },
		{ L | P | C, SASL_ALL, &steps_password, CRYPTO, SASL_CRAM_MD5 },
		{ L | P | C, SASL_ALL, &steps_password, NO_MD5, SASL_PLAIN },
		{ L | P | C | S, SASL_ALL, &steps_password, NO_MD5, SASL_SCRAM_SHA_256 },
		{ L | P | C | S, SASL_ALL, &steps_password, NO_CRYPTO, SASL_PLAIN },
		{ X | O, SASL_ALL, &steps_token, NO_CRYPTO, SASL_OAUTHBEARER },
		{ L | P, SASL_ALL, &steps_password, CRYPTO, SASL_PLAIN },
		{ L, SASL_ALL, &steps_password, CRYPTO, SASL_LOGIN },
		{ L | P | C | S, P | L, &steps_password, CRYPTO, SASL_PLAIN },
		{ L | P | C | S, X, &steps_password, CRYPTO, SASL_NONE },
		{ X | O, SASL_ALL, &steps_password, CRYPTO, SASL_NONE },
		{ L | P | C | S, SASL_ALL, &steps_token, CRYPTO, SASL_NONE },
		{ C | S, SASL_ALL, &steps_password, NO_CRYPTO, SASL_NONE },
		{ L | P | C | S, SASL_ALL, &nobody, CRYPTO, SASL_NONE },
		{ X | O, SASL_ALL, &token_alone, CRYPTO, SASL_OAUTHBEARER },
		{ X, SASL_ALL, &token_alone, CRYPTO, SASL_NONE },
		{ L | P, SASL_ALL, NULL, CRYPTO, SASL_NONE },
		{ 0, SASL_ALL, &steps_password, CRYPTO, SASL_NONE },
		{ 1u | 0x80u | 1u << 31, ~0u, &both, CRYPTO, SASL_NONE },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		peer_crypto_no_md5 = rows[i].crypto == NO_MD5;
		assert_int_equal(sasl_choose(rows[i].offered, rows[i].allowed, rows[i].credentials,
		                             rows[i].crypto == NO_CRYPTO ? NULL : &peer_crypto), rows[i].mechanism);
	}
	peer_crypto_no_md5 = false;
}

/* A text of <len> bytes; the last 12 are valid. */
static const char *long_text(size_t len)
{
	static char texts[12][16384];
	static unsigned turn;
	char *text = texts[turn++ % COUNT(texts)];

	memset(text, 'x', len);
	text[len] = '\0';
	return text;
}

static void unfit__credentials__the_reason(void **state)
{
	const struct { enum sasl_mechanism mechanism; struct sasl_credentials c; const char *reason; } rows[] = {
		{ SASL_NONE, { "u", "p", "t", NULL, 0 }, "no such mechanism" },
		{ (enum sasl_mechanism)7, { "u", "p", "t", NULL, 0 }, "no such mechanism" },
		{ SASL_PLAIN, { "u", "p", NULL, NULL, 0 }, NULL },
		{ SASL_PLAIN, { NULL, "p", NULL, NULL, 0 }, "no user name" },
		{ SASL_PLAIN, { "", "p", NULL, NULL, 0 }, "no user name" },
		{ SASL_PLAIN, { "u", NULL, "t", NULL, 0 }, "no password" },
		{ SASL_LOGIN, { "u", "", NULL, NULL, 0 }, "no password" },
		{ SASL_PLAIN, { "u\n", "p", NULL, NULL, 0 }, "user name holds a control byte" },
		{ SASL_CRAM_MD5, { "u", "p\n", NULL, NULL, 0 }, "password holds a control byte" },
		{ SASL_SCRAM_SHA_256, { "u", "p\r", NULL, NULL, 0 }, "password holds a control byte" },
		{ SASL_PLAIN, { "u", "\x7fp", NULL, NULL, 0 }, "password holds a control byte" },
		{ SASL_SCRAM_SHA_256, { "m\xc3\xbcller", "p\xc3\xa4ss w\xc3\xb6rd", NULL, NULL, 0 }, NULL },
		{ SASL_PLAIN, { long_text(512), long_text(512), NULL, NULL, 0 }, NULL },
		{ SASL_PLAIN, { long_text(513), "p", NULL, NULL, 0 }, "user name is longer than 512 bytes" },
		{ SASL_SCRAM_SHA_256, { "u", long_text(513), NULL, NULL, 0 }, "password is longer than 512 bytes" },
		{ SASL_XOAUTH2, { "u", "p", "t", NULL, 0 }, NULL },
		{ SASL_XOAUTH2, { "u", "p", NULL, NULL, 0 }, "no access token" },
		{ SASL_XOAUTH2, { "u", "p", "", NULL, 0 }, "no access token" },
		{ SASL_XOAUTH2, { NULL, NULL, "t", NULL, 0 }, "no user name" },
		{ SASL_XOAUTH2, { "u\001auth=Bearer x", NULL, "t", NULL, 0 }, "user name holds a control byte" },
		{ SASL_XOAUTH2, { "u", NULL, "t\001", NULL, 0 }, "access token holds a byte" },
		{ SASL_OAUTHBEARER, { "u", NULL, "t\n", NULL, 0 }, "access token holds a byte" },
		{ SASL_OAUTHBEARER, { "u", NULL, "t u", NULL, 0 }, "access token holds a byte" },
		{ SASL_OAUTHBEARER, { "u", NULL, "\xc3\xa4", NULL, 0 }, "access token holds a byte" },
		{ SASL_OAUTHBEARER, { NULL, NULL, "t", NULL, 0 }, NULL },
		{ SASL_OAUTHBEARER, { "", NULL, "t", "", 0 }, NULL },
		{ SASL_OAUTHBEARER, { "\t", NULL, "t", NULL, 0 }, "user name holds a control byte" },
		{ SASL_OAUTHBEARER, { "u", NULL, "t", "h\001", 0 }, "host is longer" },
		{ SASL_OAUTHBEARER, { "u", NULL, "t", long_text(256), 0 }, "host is longer" },
		{ SASL_OAUTHBEARER, { "u", NULL, "t", "h", 65535 }, NULL },
		{ SASL_OAUTHBEARER, { "u", NULL, "t", "h", 65536 }, "port is above" },
		{ SASL_OAUTHBEARER, { "u", NULL, long_text(8192), "h", 25 }, NULL },
		{ SASL_OAUTHBEARER, { "u", NULL, long_text(8193), "h", 25 }, "access token is longer than 8192" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *reason = sasl_unfit(rows[i].mechanism, &rows[i].c, &peer_crypto);
		struct sasl *s = sasl_new(rows[i].mechanism, &rows[i].c, &peer_crypto);

		assert_true(!reason == !rows[i].reason);
		assert_true(!reason || strstr(reason, rows[i].reason));
		assert_true(!reason == !!s);
		sasl_free(s);
	}
	assert_string_equal(sasl_unfit(SASL_PLAIN, NULL, NULL), "no user name is set");
	assert_non_null(strstr(sasl_unfit(SASL_CRAM_MD5, &steps_password, NULL), "no crypto"));
	assert_non_null(strstr(sasl_unfit(SASL_SCRAM_SHA_256, &steps_password, NULL), "no crypto"));
	peer_crypto_no_md5 = true;
	assert_non_null(strstr(sasl_unfit(SASL_CRAM_MD5, &steps_password, &peer_crypto), "refuses MD5"));
	assert_null(sasl_new(SASL_CRAM_MD5, &steps_password, &peer_crypto));
	peer_crypto_no_md5 = false;
}

/* Everything at its limit, and a user name that trebles in OAUTHBEARER's escapes. */
static void unfit__more_than_a_line_of_smtp__refused_by_its_size(void **state)
{
	char user[513];
	struct sasl_credentials c = { user, NULL, NULL, long_text(255), 65535 };
	struct sasl *s;

	(void)state;
	memset(user, ',', 512);
	user[512] = '\0';
	/* 9213 bytes of message make 12284 of base64: "n,a=" 1536 ",^Ahost=" 255 "^Aport=65535^Aauth=Bearer " t "^A^A" */
	c.token = long_text(9213 - 4 - 1536 - 7 - 255 - 12 - 12 - 2);
	assert_null(sasl_unfit(SASL_OAUTHBEARER, &c, NULL));
	s = sasl_new(SASL_OAUTHBEARER, &c, NULL);
	assert_non_null(s);
	assert_false(steps_initial(s));
	assert_int_equal(steps_raw(s, "", 0), MAILERS_OK);
	assert_int_equal(strlen(steps_base64), 12284);
	assert_int_equal(strlen(steps_text), 9213);
	sasl_free(s);
	c.token = long_text(strlen(c.token) + 1);
	assert_string_equal(sasl_unfit(SASL_OAUTHBEARER, &c, NULL),
	                    "access token, user name and host together are too long for SMTP");
	assert_null(sasl_unfit(SASL_XOAUTH2, &c, NULL));
}

static void plain__password__one_response_and_no_challenge(void **state)
{
	struct sasl *s = steps_new(SASL_PLAIN);

	(void)state;
	assert_true(steps_initial(s));
	assert_int_equal(steps_len, 2 + strlen(USER PASSWORD));
	assert_memory_equal(steps_text, "\0" USER "\0" PASSWORD, (size_t)steps_len);
	assert_false(steps_initial(s));
	assert_int_equal(steps_finish(s, "2.7.0 fine"), MAILERS_OK);
	sasl_free(s);

	s = steps_new(SASL_PLAIN);
	assert_true(steps_initial(s));
	assert_int_equal(steps_raw(s, "", 0), MAILERS_ERR_PROTOCOL);
	assert_string_equal(sasl_reason(s), "a challenge after the end of the exchange");
	assert_int_equal(steps_raw(s, "", 0), MAILERS_ERR_PROTOCOL);
	assert_int_equal(steps_finish(s, ""), MAILERS_ERR_PROTOCOL);
	sasl_free(s);
}

/* RFC 4954 section 4: an AUTH command keeps to the 512 bytes of a command. */
static void initial__longer_than_a_command__waits_for_the_empty_challenge(void **state)
{
	char user[400];
	struct sasl_credentials c = { .user = user, .password = "12345" };
	struct sasl *s;

	(void)state;
	/* "AUTH PLAIN " and CRLF are 13 bytes; 496 of base64 are 372 of message, 375 would make 513. */
	for (size_t len = 360; len < 380; len++) {
		memset(user, 'u', len - 7);
		user[len - 7] = '\0';
		s = sasl_new(SASL_PLAIN, &c, NULL);
		assert_non_null(s);
		assert_int_equal(steps_initial(s), len <= 372);
		if (len > 372) {
			assert_int_equal(steps_finish(s, ""), MAILERS_ERR_PROTOCOL);
			sasl_free(s);
			s = sasl_new(SASL_PLAIN, &c, NULL);
			assert_non_null(s);
			assert_false(steps_initial(s));
			/* Not all servers send it empty: qmail says "ok". */
			assert_int_equal(steps_raw(s, "ok, go on", len % 2 ? 9 : 0), MAILERS_OK);
		}
		assert_int_equal(steps_len, len);
		assert_int_equal(steps_finish(s, ""), MAILERS_OK);
		sasl_free(s);
	}
}

static void login__prompts_of_any_text__user_then_password_then_none(void **state)
{
	static const char *const prompts[][2] = {
		{ "VXNlcm5hbWU6", "UGFzc3dvcmQ6" }, { "UGFzc3dvcmQ6", "VXNlcm5hbWU6" }, { "", "" },
		{ "Username:", "not base64!" }, { "\xff\x01", "=" },
	};
	struct sasl *s;

	(void)state;
	for (size_t i = 0; i < COUNT(prompts); i++) {
		s = steps_new(SASL_LOGIN);
		assert_false(steps_initial(s));
		assert_int_equal(steps_raw(s, prompts[i][0], strlen(prompts[i][0])), MAILERS_OK);
		assert_string_equal(steps_text, USER);
		assert_int_equal(steps_raw(s, prompts[i][1], strlen(prompts[i][1])), MAILERS_OK);
		assert_string_equal(steps_text, PASSWORD);
		if (i % 2) {
			assert_int_equal(steps_finish(s, ""), MAILERS_OK);
		} else {
			assert_int_equal(steps_raw(s, "UGFzc3dvcmQ6", 12), MAILERS_ERR_PROTOCOL);
			assert_int_equal(steps_finish(s, ""), MAILERS_ERR_PROTOCOL);
		}
		sasl_free(s);
	}
	s = steps_new(SASL_LOGIN);
	assert_int_equal(steps_raw(s, "", 0), MAILERS_OK);
	assert_int_equal(steps_finish(s, ""), MAILERS_ERR_PROTOCOL);
	assert_string_equal(sasl_reason(s), "the server says 235 before the end of the exchange");
	sasl_free(s);
}

static void cram_md5__challenge__name_and_digest(void **state)
{
	struct sasl *s = steps_new(SASL_CRAM_MD5);
	unsigned char digest[16];
	char wanted[100];
	int n;

	(void)state;
	assert_false(steps_initial(s));
	assert_int_equal(steps_step(s, "<1896.697170952@postoffice.example.net>"), MAILERS_OK);
	peer_hmac(SASL_MD5, PASSWORD, strlen(PASSWORD), "<1896.697170952@postoffice.example.net>", 39, digest);
	n = sprintf(wanted, "%s ", USER);
	for (int i = 0; i < 16; i++)
		n += sprintf(wanted + n, "%02x", digest[i]);
	assert_string_equal(steps_text, wanted);
	assert_int_equal(steps_finish(s, ""), MAILERS_OK);
	sasl_free(s);

	s = steps_new(SASL_CRAM_MD5);
	assert_int_equal(steps_raw(s, "", 0), MAILERS_ERR_PROTOCOL);
	assert_string_equal(sasl_reason(s), "the challenge of CRAM-MD5 is empty");
	sasl_free(s);

	s = steps_new(SASL_CRAM_MD5);
	peer_crypto_fails = 0;
	assert_int_equal(steps_step(s, "x"), MAILERS_ERR_INTERNAL);
	assert_int_equal(steps_step(s, "x"), MAILERS_ERR_INTERNAL);
	sasl_free(s);
}

static void oauth__token__one_response(void **state)
{
	struct sasl *s = steps_new(SASL_XOAUTH2);
	struct sasl_credentials c = { .token = TOKEN };

	(void)state;
	assert_true(steps_initial(s));
	assert_string_equal(steps_text, "user=" USER "\001auth=Bearer " TOKEN "\001\001");
	assert_int_equal(steps_finish(s, "2.7.0 Accepted"), MAILERS_OK);
	sasl_free(s);

	s = steps_new(SASL_OAUTHBEARER);
	assert_true(steps_initial(s));
	assert_string_equal(steps_text, "n,a=" USER ",\001host=smtp.example.org\001port=587\001auth=Bearer " TOKEN
	                    "\001\001");
	assert_int_equal(steps_finish(s, ""), MAILERS_OK);
	sasl_free(s);

	s = sasl_new(SASL_OAUTHBEARER, &c, NULL);
	assert_true(steps_initial(s));
	assert_string_equal(steps_text, "n,,\001auth=Bearer " TOKEN "\001\001");
	sasl_free(s);

	c.user = "a=b,c";
	s = sasl_new(SASL_OAUTHBEARER, &c, NULL);
	assert_true(steps_initial(s));
	assert_string_equal(steps_text, "n,a=a=3Db=2Cc,\001auth=Bearer " TOKEN "\001\001");
	sasl_free(s);
}

/* The refusal is announced in a challenge that asks for nothing; then 535 follows. */
static void oauth__announced_failure__answered_and_kept_as_the_reason(void **state)
{
	static const struct { enum sasl_mechanism mechanism; const char *challenge, *answer, *reason; } rows[] = {
		{ SASL_XOAUTH2, "{\"status\":\"401\"}", "", "the server announces: {\"status\":\"401\"}" },
		{ SASL_OAUTHBEARER, "{\"status\":\"invalid_token\"}", "AQ==",
		  "the server announces: {\"status\":\"invalid_token\"}" },
		{ SASL_XOAUTH2, "a\r\nb\\c\x7f\xc3\xa4", "", "the server announces: a\\x0d\\x0ab\\x5cc\\x7f\\xc3\\xa4" },
		{ SASL_XOAUTH2, "", "", "the server announces a failure without a reason" },
		{ SASL_OAUTHBEARER, "", "AQ==", "the server announces a failure without a reason" },
		{ SASL_OAUTHBEARER, "bad token " TOKEN "!", "AQ==",
		  "the server announces a failure in a text that holds our secret" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct sasl *s = steps_new(rows[i].mechanism);

		assert_true(steps_initial(s));
		assert_int_equal(steps_step(s, rows[i].challenge), MAILERS_OK);
		assert_string_equal(steps_base64, rows[i].answer);
		assert_string_equal(sasl_reason(s), rows[i].reason);
		if (i % 2) {
			assert_int_equal(steps_finish(s, ""), MAILERS_ERR_PROTOCOL);
			assert_string_equal(sasl_reason(s), "the server says 235 after it announced a failure");
		} else {
			assert_int_equal(steps_step(s, rows[i].challenge), MAILERS_ERR_PROTOCOL);
		}
		sasl_free(s);
	}
}

static void oauth__long_announcement__cut_to_a_line(void **state)
{
	char text[1500 + 1];
	struct sasl *s;

	(void)state;
	for (unsigned char byte = 1; byte; byte = byte == 1 ? 'x' : 0) {
		memset(text, byte, 1500);
		text[1500] = '\0';
		s = steps_new(SASL_XOAUTH2);
		assert_true(steps_initial(s));
		assert_int_equal(steps_step(s, text), MAILERS_OK);
		assert_in_range(strlen(sasl_reason(s)), SASL_REASON_SIZE - 5, SASL_REASON_SIZE - 1);
		sasl_free(s);
	}
}

static void step__challenge_that_is_no_base64_or_too_long__is_protocol(void **state)
{
	static char longest[SASL_CHALLENGE_MAX + 4];
	static const char *const bad[] = {
		"A", "AB", "ABC", "ABCDE", "=", "==", "===", "====", "A===", "AA=A", "=AAA", "A=AA", "AAAA=", "AA==AAAA",
		"AAA=AAAA", "AA A", " AAA", "AAA\n", "AAA-", "AAA_", "AA\xff" "A", "AB==", "AAB=", "A*==", "ok, go on",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct sasl *s = steps_new(SASL_CRAM_MD5), *o = steps_new(SASL_OAUTHBEARER);

		assert_int_equal(steps_raw(s, bad[i], strlen(bad[i])), MAILERS_ERR_PROTOCOL);
		assert_string_equal(sasl_reason(s), "the challenge is no base64");
		assert_true(steps_initial(o));
		assert_int_equal(steps_raw(o, bad[i], strlen(bad[i])), MAILERS_ERR_PROTOCOL);
		sasl_free(s);
		sasl_free(o);
	}
	memset(longest, 'A', sizeof(longest));
	for (int m = SASL_LOGIN; m <= SASL_OAUTHBEARER; m++) {
		struct sasl *s = steps_new((enum sasl_mechanism)m);

		assert_int_equal(steps_raw(s, longest, sizeof(longest)), MAILERS_ERR_PROTOCOL);
		assert_string_equal(sasl_reason(s), "a challenge of more than 2048 bytes");
		sasl_free(s);
		s = steps_new((enum sasl_mechanism)m);
		assert_int_equal(steps_raw(s, longest, SASL_CHALLENGE_MAX), MAILERS_OK);
		sasl_free(s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mechanism__each_name__is_found_in_any_case),
		cmocka_unit_test(choose__what_is_offered_and_allowed__the_strongest_that_fits),
		cmocka_unit_test(unfit__credentials__the_reason),
		cmocka_unit_test(unfit__more_than_a_line_of_smtp__refused_by_its_size),
		cmocka_unit_test(plain__password__one_response_and_no_challenge),
		cmocka_unit_test(initial__longer_than_a_command__waits_for_the_empty_challenge),
		cmocka_unit_test(login__prompts_of_any_text__user_then_password_then_none),
		cmocka_unit_test(cram_md5__challenge__name_and_digest),
		cmocka_unit_test(oauth__token__one_response),
		cmocka_unit_test(oauth__announced_failure__answered_and_kept_as_the_reason),
		cmocka_unit_test(oauth__long_announcement__cut_to_a_line),
		cmocka_unit_test(step__challenge_that_is_no_base64_or_too_long__is_protocol),
	};

	return cmocka_run_group_tests_name("sasl", tests, NULL, NULL);
}
