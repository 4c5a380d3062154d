/*
 * Unit tests of smtp_client's STARTTLS, implicit TLS and AUTH, as scripts (smtp_script.h), and of what happens to
 * secrets.
 */
#include "smtp_script.h"

#define TO_EHLO "S 220 mx ESMTP\nC EHLO me\n"
#define OFFER TO_EHLO "S 250-mx\nS 250-PIPELINING\nS 250 STARTTLS\nC STARTTLS\n"
#define UPGRADE OFFER "S 220 go\nW tls\nT\nC EHLO me\n"
#define LOCKSTEP "M 1 a\nC MAIL FROM:<f@x>\nW read\n"

#define NONE 0
#define OPPO SCRIPT_OPPORTUNISTIC
#define REQU SCRIPT_REQUIRED
#define IMPL SCRIPT_IMPLICIT
#define ODD  SCRIPT_ODD_SERVER

static const struct script starttls[] = {
	{ "offered, and what was offered before is forgotten", REQU, "W read\n" OFFER "N\nL STARTTLS\nW read\n"
	  "S 220 go\nE \nW tls\nL TLS\nN\nT\nE \nW write\nL EHLO\nC EHLO me\nS 250 mx\nE ready\nY\n" LOCKSTEP },
	{ "offered: opportunistic", OPPO, UPGRADE "S 250-mx\nS 250 PIPELINING\nE ready\nM 1 a\n"
	  "C MAIL FROM:<f@x>\nC RCPT TO:<a>\nC DATA\n" },
	{ "offered again within TLS", REQU, UPGRADE "S 250-mx\nS 250 STARTTLS\nE ready\n" LOCKSTEP },
	{ "offered, not asked for", NONE, TO_EHLO "S 250-mx\nS 250 STARTTLS\nE ready\n" LOCKSTEP },
	{ "not offered: opportunistic", OPPO, TO_EHLO "S 250 mx\nE ready\n" LOCKSTEP },
	{ "not offered: required", REQU, TO_EHLO "S 250-mx\nS 250 STARTTLSX\nW close\n"
	  "E failed protocol@STARTTLS[STARTTLS is not offered]\n" },
	{ "no ESMTP in the greeting", REQU, "S 220 mx\nC EHLO me\nS 250-mx\nS 250 STARTTLS\nC STARTTLS\n" },
	{ "no ESMTP in the greeting: opportunistic", OPPO, "S 220 mx\nC EHLO me\nS 250 mx\nE ready\n" },
	{ "helo_only: opportunistic", OPPO | SCRIPT_HELO_ONLY, "S 220 mx ESMTP\nC HELO me\nS 250 mx\nE ready\n" },
	{ "helo_only: EHLO nevertheless", REQU | SCRIPT_HELO_ONLY, TO_EHLO "S 502 what\nW close\n"
	  "E failed protocol@STARTTLS[STARTTLS is not offered, EHLO was refused: 502 what]\n" },
	{ "EHLO refused: opportunistic", OPPO, TO_EHLO "S 502 no\nC HELO me\nS 250 mx\nE no-ehlo [502 no]\n"
	  "E ready\n" },
	{ "EHLO refused: required", REQU, TO_EHLO "S 502 no \\\nW close\n"
	  "E failed protocol@STARTTLS[STARTTLS is not offered, EHLO was refused: 502 no \\x5c]\n" },
	{ "closed at EHLO: opportunistic", OPPO, TO_EHLO "X\nE no-ehlo []\nE closed@EHLO[]\n" },
	{ "closed at EHLO: required", REQU, TO_EHLO "X\nW close\nE failed closed@EHLO[]\n" },
	{ "STARTTLS deferred", OPPO, OFFER "S 454 later\nW close\nE failed temporary@STARTTLS[454 later]\n" },
	{ "STARTTLS refused", REQU, OFFER "S 502 no\nW close\nE failed permanent@STARTTLS[502 no]\n" },
	{ "STARTTLS answered with 250", ODD | REQU, OFFER "S 250 ok\nW close\n"
	  "E failed protocol@STARTTLS[250 ok]\n" },
	{ "STARTTLS answered with 354", ODD | REQU, OFFER "S 354 ok\nE failed protocol@STARTTLS[354 ok]\n" },
	{ "STARTTLS answered with garbage", ODD | REQU, OFFER "S ok\nE failed protocol@STARTTLS[ok]\n" },
	{ "STARTTLS answered with 421", OPPO, OFFER "S 421 bye\nE failed temporary@STARTTLS[421 bye]\n" },
	{ "closed at STARTTLS", OPPO, OFFER "X\nW close\nE failed closed@STARTTLS[]\n" },
	{ "closed amid 220", OPPO, OFFER "s 220 g\nX\nE failed closed@STARTTLS[]\n" },
	{ "220 before STARTTLS is sent", ODD | OPPO, TO_EHLO "S 250-mx\nS 250 STARTTLS\nS 220 go\n"
	  "E failed protocol@STARTTLS[220 go]\n" },
	{ "injected: a reply behind the 220", ODD | REQU, OFFER "S 220 go\nS 250 mx\nW close\n"
	  "E failed protocol@STARTTLS[plain text before the TLS handshake]\n" },
	{ "injected: a byte", ODD | OPPO, OFFER "S 220 go\ns \x16\nW close\n"
	  "E failed protocol@STARTTLS[plain text before the TLS handshake]\n" },
	{ "injected: a newline", ODD | OPPO, OFFER "S 220 go\nS \nW close\n"
	  "E failed protocol@STARTTLS[plain text before the TLS handshake]\n" },
	{ "injected: after a while", ODD | OPPO, OFFER "S 220 go\nW tls\nS 250 mx\nW close\n"
	  "E failed protocol@STARTTLS[plain text before the TLS handshake]\n" },
	{ "a bare 220", REQU, OFFER "S 220\nW tls\nT\nC EHLO me\n" },
	{ "220 of two lines", REQU, OFFER "S 220-go\nS 220 on\nW tls\nT\nC EHLO me\n" },
	{ "no handshake", OPPO, OFFER "S 220 go\nU no common cipher\nW close\n"
	  "E failed TLS@TLS[no common cipher]\n" },
	{ "no handshake, and why is not printable", OPPO, OFFER "S 220 go\nU caf\xc3\xa9\n"
	  "E failed TLS@TLS[caf\\xc3\\xa9]\n" },
	{ "the handshake is cut off", OPPO, OFFER "S 220 go\nX\nW close\nE failed closed@TLS[]\n" },
	{ "the handshake takes too long", OPPO, OFFER "+ 4000\nS 220 go\n@ 10000\n+ 6000\nW close\n"
	  "E failed timeout@TLS[]\n" },
	{ "no TLS to be had at all", REQU, "-\nU no OpenSSL\nW close\nE failed TLS@TLS[no OpenSSL]\n" },
	{ "quit at the handshake", OPPO, OFFER "S 220 go\nQ\nW tls\nT\nC EHLO me\nS 250 mx\nC QUIT\n" },
	{ "TLS breaks before a mail", REQU, UPGRADE "S 250 mx\nE ready\nU bad record\nW close\n"
	  "E failed TLS@TLS[bad record]\n" },
	{ "TLS breaks within a mail", REQU, UPGRADE "S 250 mx\nE ready\n" LOCKSTEP "U bad record\nW close\n"
	  "E mail 1: returned@TLS[bad record]\nE failed TLS@TLS[bad record]\n" },
	{ "TLS breaks at the final reply", REQU, UPGRADE "S 250 mx\nE ready\n" LOCKSTEP "S 250\n"
	  "C RCPT TO:<a>\nS 250\nC DATA\nS 354\n" SCRIPT_BODY "U bad record\nW close\n"
	  "E mail 1: unknown@TLS[bad record]\nE failed TLS@TLS[bad record]\n" },
	{ "TLS breaks at QUIT", REQU, UPGRADE "S 250 mx\nE ready\nQ\nC QUIT\nU bad record\nW close\n"
	  "E closed@QUIT[]\n" },
	{ "established twice", REQU, UPGRADE "T\nS 250 mx\nE ready\nT\nW submit\n" },
	/* EHLO within TLS. */
	{ "EHLO refused within TLS: required", REQU, UPGRADE "S 502 no\nW close\n"
	  "E failed permanent@EHLO[502 no]\n" },
	{ "EHLO refused within TLS: opportunistic, and not to be remembered", OPPO, UPGRADE "S 502 no\n"
	  "C HELO me\nS 250 mx\nE ready\n" },
	{ "EHLO refused within TLS, and closed", OPPO, UPGRADE "S 502 no\nC HELO me\nX\n"
	  "E failed closed@HELO[]\n" },
	{ "EHLO deferred within TLS", OPPO, UPGRADE "S 451 no\nE failed temporary@EHLO[451 no]\n" },
	{ "closed at EHLO within TLS", OPPO, UPGRADE "X\nE failed closed@EHLO[]\n" },
	{ "a reply to EHLO before it is sent", ODD | REQU, OFFER "S 220 go\nT\nS 250 mx\n"
	  "E failed protocol@EHLO[250 mx]\n" },
	{ "the dialogue", REQU, UPGRADE "S 250 mx\nE ready\nD < 220 mx ESMTP\nD > EHLO me\nD < 250-mx\n"
	  "D < 250-PIPELINING\nD < 250 STARTTLS\nD > STARTTLS\nD < 220 go\nD > EHLO me\nD < 250 mx\nD \n" },
};

static const struct script implicit[] = {
	{ "before the greeting", IMPL, "W tls\nL TLS\n@ 10000\nT\nL greeting\nW read\nS 220 mx\nC EHLO me\n"
	  "S 250-mx\nS 250 STARTTLS\nE ready\n" LOCKSTEP },
	{ "with HELO", IMPL | SCRIPT_HELO_ONLY, "T\nS 220 mx ESMTP\nC HELO me\nS 250 mx\nE ready\n" },
	{ "EHLO refused", IMPL, "T\n" TO_EHLO "S 502 no\nC HELO me\nS 250 mx\nE no-ehlo [502 no]\nE ready\n" },
	{ "no handshake", IMPL, "U wrong version\nW close\nE failed TLS@TLS[wrong version]\n" },
	{ "closed", IMPL, "X\nW close\nE failed closed@TLS[]\n" },
	{ "the time is over", IMPL, "+ 10000\nE failed timeout@TLS[]\n" },
	{ "plain text", ODD | IMPL, "S 220 mx ESMTP\nW close\n"
	  "E failed protocol@TLS[plain text before the TLS handshake]\n" },
	{ "quit before it", IMPL, "Q\nW tls\nT\nS 220 mx\nC EHLO me\nS 250 mx\nC QUIT\n" },
};

#define AUTH SCRIPT_PASSWORD | SCRIPT_IN_THE_CLEAR
#define PLAIN TO_EHLO "S 250-mx\nS 250 AUTH PLAIN\nC AUTH PLAIN AHVzZXIAcGFzcw==\n"
#define LOGIN TO_EHLO "S 250-mx\nS 250 AUTH LOGIN\nC AUTH LOGIN\n"
#define TOKEN TO_EHLO "S 250-mx\nS 250 AUTH XOAUTH2\nC AUTH XOAUTH2 dXNlcj11c2VyAWF1dGg9QmVhcmVyIHRva2VuAQE=\n"

static const struct script auths[] = {
	{ "PLAIN", AUTH, PLAIN "L AUTH\nN\nW read\nS 235 2.7.0 yes\nE ready\nY\n" LOCKSTEP },
	{ "within TLS", REQU | SCRIPT_PASSWORD, OFFER "S 220 go\nT\n" "C EHLO me\nS 250-mx\nS 250 AUTH PLAIN\n"
	  "C AUTH PLAIN AHVzZXIAcGFzcw==\nS 235\nE ready\n" },
	{ "an offer of before TLS does not count", REQU | SCRIPT_PASSWORD, TO_EHLO "S 250-mx\nS 250-AUTH PLAIN\n"
	  "S 250 STARTTLS\nC STARTTLS\nS 220 go\nT\nC EHLO me\nS 250 mx\nW close\n"
	  "E failed protocol@AUTH[AUTH is not offered]\n" },
	{ "within implicit TLS", IMPL | SCRIPT_PASSWORD, "T\n" PLAIN "S 235\nE ready\n" },
	{ "never without TLS", SCRIPT_PASSWORD, TO_EHLO "S 250-mx\nS 250 AUTH PLAIN\nW close\n"
	  "E failed protocol@AUTH[AUTH is not used without TLS]\n" },
	{ "nor when STARTTLS is stripped", OPPO | SCRIPT_PASSWORD, TO_EHLO "S 250-mx\nS 250 AUTH PLAIN\n"
	  "E failed protocol@AUTH[AUTH is not used without TLS]\n" },
	{ "PLAIN is stronger than LOGIN", AUTH, TO_EHLO "S 250-mx\nS 250 AUTH LOGIN PLAIN\n"
	  "C AUTH PLAIN AHVzZXIAcGFzcw==\n" },
	{ "in lower case, amid others", AUTH, TO_EHLO "S 250-mx\nS 250-auth  gssapi\tlogin x\nS 250 SIZE\n"
	  "C AUTH LOGIN\n" },
	{ "old syntax", AUTH, TO_EHLO "S 250-mx\nS 250 AUTH=LOGIN\nC AUTH LOGIN\n" },
	{ "both", AUTH, TO_EHLO "S 250-mx\nS 250-AUTH=LOGIN\nS 250 AUTH PLAIN\nC AUTH PLAIN AHVzZXIAcGFzcw==\n" },
	{ "not offered", AUTH, TO_EHLO "S 250-mx\nS 250 AUTHX PLAIN\nW close\n"
	  "E failed protocol@AUTH[AUTH is not offered]\n" },
	{ "nothing of ours", AUTH, TO_EHLO "S 250-mx\nS 250 AUTH GSSAPI N\x1bTLM\n"
	  "E failed protocol@AUTH[none of the AUTH mechanisms offered may be used: GSSAPI N\\x1bTLM]\n" },
	{ "an empty offer", AUTH, TO_EHLO "S 250-mx\nS 250 AUTH\n"
	  "E failed protocol@AUTH[none of the AUTH mechanisms offered may be used: ]\n" },
	{ "nothing allowed", AUTH | SCRIPT_ONLY_PLAIN, TO_EHLO "S 250-mx\nS 250 AUTH LOGIN\n"
	  "E failed protocol@AUTH[none of the AUTH mechanisms offered may be used: LOGIN]\n" },
	{ "EHLO refused", AUTH, TO_EHLO "S 502 no\nW close\n"
	  "E failed protocol@AUTH[AUTH is not offered, EHLO was refused: 502 no]\n" },
	{ "no ESMTP in the greeting, and helo_only", AUTH | SCRIPT_HELO_ONLY, "S 220 mx\nC EHLO me\n" },
	{ "LOGIN", AUTH, LOGIN "S 334 VXNlcm5hbWU6\nC dXNlcg==\nW read\nS 334 UGFzc3dvcmQ6\nC cGFzcw==\nS 235\n"
	  "E ready\n" },
	{ "XOAUTH2", SCRIPT_TOKEN | SCRIPT_IN_THE_CLEAR, TOKEN "S 235\nE ready\n" },
	{ "quit behind it", AUTH, PLAIN "Q\nS 235\nC QUIT\n" },
	/* It goes wrong. */
	{ "535", AUTH, PLAIN "S 535 5.7.8 no\nW close\nE failed permanent@AUTH[535 5.7.8 no] credentials\n" },
	{ "534", AUTH, PLAIN "S 534 5.7.9 weak\nE failed permanent@AUTH[534 5.7.9 weak] credentials\n" },
	{ "5.7.8 with another code", AUTH, PLAIN "S 550 5.7.8 no\nE failed permanent@AUTH[550 5.7.8 no] credentials\n" },
	{ "504", AUTH, PLAIN "S 504 5.5.4 what\nE failed permanent@AUTH[504 5.5.4 what]\n" },
	{ "538", AUTH, PLAIN "S 538 TLS\nE failed permanent@AUTH[538 TLS]\n" },
	{ "454", AUTH, PLAIN "S 454 4.7.0 later\nW close\nE failed temporary@AUTH[454 4.7.0 later]\n" },
	{ "421", AUTH, PLAIN "S 421 bye\nE failed temporary@AUTH[421 bye]\n" },
	{ "250", ODD | AUTH, PLAIN "S 250 ok\nE failed protocol@AUTH[250 ok]\n" },
	{ "garbage", ODD | AUTH, PLAIN "S ok\nE failed protocol@AUTH[ok]\n" },
	{ "closed", AUTH, PLAIN "X\nW close\nE failed closed@AUTH[]\n" },
	{ "the time is over", AUTH, PLAIN "+ 10000\nE failed timeout@AUTH[]\n" },
	{ "235 before it is sent", ODD | AUTH, TO_EHLO "S 250-mx\nS 250 AUTH PLAIN\nc 5\nS 235\n"
	  "E failed protocol@AUTH[235]\n" },
	{ "235 too early", AUTH, LOGIN "S 235\nW close\n"
	  "E failed protocol@AUTH[the server says 235 before the end of the exchange]\n" },
	{ "refused after the announcement of why", SCRIPT_TOKEN | SCRIPT_IN_THE_CLEAR, TOKEN
	  "S 334 eyJzdGF0dXMiOiI0MDEifQ==\nC \nS 535 5.7.8 no\nW close\n"
	  "E failed permanent@AUTH[535 5.7.8 no; the server announces: {\"status\":\"401\"}] credentials\n" },
	{ "a challenge that is none is cancelled", ODD | AUTH, PLAIN "S 334 !\nL AUTH\nC *\nS 501 cancelled\nW close\n"
	  "E failed protocol@AUTH[a challenge after the end of the exchange]\n" },
	{ "another 3xx", ODD | AUTH, PLAIN "S 354 go\nC *\nS 501\nW close\n"
	  "E failed protocol@AUTH[not a challenge of AUTH]\n" },
	{ "two lines", ODD | AUTH, LOGIN "S 334-VXNl\nS 334 cm5hbWU6\nC *\nS 501\n"
	  "E failed protocol@AUTH[not a challenge of AUTH]\n" },
	{ "cancelled, but accepted", ODD | AUTH, PLAIN "S 334 !\nC *\nS 235 yes\nW close\n"
	  "E failed protocol@AUTH[a challenge after the end of the exchange]\n" },
	{ "cancelled, and closed", ODD | AUTH, PLAIN "S 334 !\nC *\nX\n"
	  "E failed protocol@AUTH[a challenge after the end of the exchange]\n" },
	{ "cancelled, and mute", ODD | AUTH, PLAIN "S 334 !\nC *\n+ 10000\n"
	  "E failed protocol@AUTH[a challenge after the end of the exchange]\n" },
	{ "cancelled, and challenged again", ODD | AUTH, PLAIN "S 334 !\nC *\nS 334 \nW close\n"
	  "E failed protocol@AUTH[a challenge after the end of the exchange]\n" },
	/* Nothing secret is shown. */
	{ "repeated in a refusal", AUTH, PLAIN "S 500-what\nS 500 is AUTH PLAIN AHVzZXIAcGFzcw==?\nW close\n"
	  "D < 220 mx ESMTP\nD > EHLO me\nD < 250-mx\nD < 250 AUTH PLAIN\nD > AUTH PLAIN ***\nD < 500-what\n"
	  "D < 500 is AUTH PLAIN ****************?\nD \n"
	  "E failed permanent@AUTH[500 what / is AUTH PLAIN ****************?]\n" },
	{ "repeated in part", AUTH, PLAIN "S 500 AHVzZXIAcG AHVzZXIA AHVzZXI\n"
	  "E failed permanent@AUTH[500 ********** ******** AHVzZXI]\n" },
	{ "repeated in a success that is none", AUTH, PLAIN "S 250 AUTH PLAIN AHVzZXIAcGFzcw==?\n"
	  "E failed protocol@AUTH[250 AUTH PLAIN ****************?]\n" },
	{ "repeated in a wrong challenge", AUTH, PLAIN "S 354 AUTH PLAIN AHVzZXIAcGFzcw==?\nC *\n"
	  "S 501 no\nE failed protocol@AUTH[not a challenge of AUTH]\n" },
	{ "repeated in what is no reply", ODD | AUTH, PLAIN "S what is AHVzZXIAcGFzcw==\n"
	  "E failed protocol@AUTH[what is ****************]\n" },
	{ "a short one", AUTH, LOGIN "S 334 VXNlcm5hbWU6\nC dXNlcg==\nS 334 UGFzc3dvcmQ6\nC cGFzcw==\n"
	  "S 535 not cGFzcw==\nE failed permanent@AUTH[535 not ********] credentials\nD < 220 mx ESMTP\n"
	  "D > EHLO me\nD < 250-mx\nD < 250 AUTH LOGIN\nD > AUTH LOGIN\nD < 334 VXNlcm5hbWU6\nD > ***\n"
	  "D < 334 UGFzc3dvcmQ6\nD > ***\nD < 535 not ********\nD \n" },
	{ "half a line of it", AUTH, PLAIN "s 500 AHVzZXIAcGFz\nX\nD < 220 mx ESMTP\nD > EHLO me\n"
	  "D < 250-mx\nD < 250 AUTH PLAIN\nD > AUTH PLAIN ***\nD < 500 ************\nD \n"
	  "E failed closed@AUTH[]\n" },
};

#define SCRIPT_TEST(name, scripts) \
	static void name(void **state) { (void)state; SCRIPT_RUN_ALL(scripts); }

SCRIPT_TEST(starttls__each_reply__leads_to_tls_or_not_to_plain_text, starttls)
SCRIPT_TEST(implicit_tls__comes_before_the_greeting, implicit)
SCRIPT_TEST(auth__each_reply__opens_the_session_or_ends_it, auths)

/* --- secrets --- */

#define EHLO_AUTH "250-mx\r\n250 AUTH PLAIN LOGIN XOAUTH2\r\n"

static char token[SASL_TOKEN_MAX - 600];

static const struct sasl_credentials password = { .user = "user", .password = "pass" };
static const struct sasl_credentials oauth = { .user = "user", .token = token };

static struct smtp_client *client_new(const struct sasl_credentials *credentials, struct buffer *dialogue)
{
	struct smtp_client_settings settings = {
		.helo = "me", .timeout_mail_ms = 10000, .timeout_final_ms = 300000, .timeout_quit_ms = 5000,
		.credentials = credentials, .mechanisms = SASL_ALL, .auth_without_tls = true, .dialogue = dialogue,
	};

	memset(token, 't', sizeof(token) - 1);
	return smtp_client_new(&settings, 0);
}

/* Takes all output, <piece> bytes at a time; returns how much it was, or stops after <most>. */
static size_t take(struct smtp_client *c, size_t piece, size_t most)
{
	const char *data;
	size_t n, all = 0;

	while (all < most && (n = smtp_client_peek(c, &data)) > 0) {
		n = n < piece ? n : piece;
		smtp_client_ack(c, n, 0);
		all += n;
	}
	return all;
}

static void say(struct smtp_client *c, const char *text)
{
	smtp_client_feed(c, text, strlen(text), 0);
}

static void secret__however_the_session_goes__no_freed_memory_holds_it(void **state)
{
	static const char *const secrets[] = { "pass", "AHVzZXIAcGFzcw", "cGFzcw" };
	static const char *const last[] = {
		"235 yes\r\n", "535 no\r\n", "334 !\r\n", "500 AHVzZXIAcGFzcw==\r\n", NULL,
	};
	size_t piece, secret, i;

	(void)state;
	for (secret = 0; secret < 3; secret++) {
		unit_watch(secrets[secret]);
		for (piece = 1; piece < 40; piece++) {
			for (i = 0; i < sizeof(last) / sizeof(*last); i++) {
				struct smtp_client *c = client_new(&password, NULL);

				smtp_client_connected(c, 0);
				say(c, "220 mx ESMTP\r\n");
				take(c, 100, 100);
				say(c, EHLO_AUTH);
				if (last[i])
					assert_int_equal(take(c, piece, 1000), 29);
				else
					take(c, piece, piece); /* freed when a part has gone */
				if (last[i])
					say(c, last[i]);
				smtp_client_free(c);
			}
		}
		assert_int_equal(unit_leaks(), 0);
	}
	unit_watch(NULL);
}

static void secret__long_token__goes_after_an_empty_challenge_and_leaves_no_copy(void **state)
{
	static const char *const secrets[] = { "tttttttttttttttttttt", "dHR0dHR0dHR0dHR0dHR0" };
	size_t i, piece;

	(void)state;
	for (i = 0; i < 4; i++) {
		struct buffer dialogue = { 0 };
		struct smtp_client *c = client_new(&oauth, &dialogue);
		struct smtp_client_event ev;
		const char *data;

		piece = i / 2 ? 100 : 100000;
		unit_watch(secrets[i % 2]);
		smtp_client_connected(c, 0);
		say(c, "220 mx ESMTP\r\n");
		take(c, 100, 100);
		say(c, EHLO_AUTH);
		assert_int_equal(smtp_client_peek(c, &data), 14);
		assert_memory_equal(data, "AUTH XOAUTH2\r\n", 14);
		take(c, 100, 100);
		say(c, "334 \r\n");
		assert_in_range(smtp_client_peek(c, &data), sizeof(token) * 4 / 3, 12288);
		assert_non_null(strstr(data, secrets[1]));
		take(c, piece, 100000);
		say(c, "235 yes\r\n");
		assert_true(smtp_client_next_event(c, &ev));
		assert_int_equal(ev.type, SMTP_EVENT_READY);
		assert_non_null(memmem(dialogue.data, dialogue.len, "> AUTH XOAUTH2\n< 334 \n> ***\n", 28));
		smtp_client_free(c);
		buffer_free(&dialogue);
		assert_int_equal(unit_leaks(), 0);
	}
	unit_watch(NULL);
}

/* One session up to its first mail, with every allocation failing once. Returns whether it got there. */
static bool secure_session(const struct sasl_credentials *credentials, enum mailers_error *error)
{
	static const char *const said[] = { "220 mx\r\n", EHLO_AUTH, "334 \r\n", "235 yes\r\n" };
	struct smtp_client *c = client_new(credentials, NULL);
	struct smtp_client_event ev = { .type = SMTP_EVENT_NO_EHLO };
	bool ready = false;
	size_t i;

	*error = MAILERS_OK;
	if (!c)
		return false;
	smtp_client_connected(c, 0);
	for (i = 0; i < sizeof(said) / sizeof(*said); i++) {
		if (i != 2 || credentials == &oauth)
			say(c, said[i]);
		take(c, 100000, 100000);
	}
	while (smtp_client_next_event(c, &ev)) {
		ready |= ev.type == SMTP_EVENT_READY;
		if (ev.type == SMTP_EVENT_FAILED)
			*error = ev.error;
	}
	smtp_client_free(c);
	return ready;
}

static void auth__each_allocation_fails__the_session_does_and_nothing_leaks(void **state)
{
	const struct sasl_credentials *const rows[] = { &password, &oauth };
	enum mailers_error error;
	size_t i;
	long n;

	(void)state;
	for (i = 0; i < 2; i++) {
		bool failed = true, ready = false;
		long failures = 0;

		unit_watch(i ? "tttttttttttttttttttt" : "pass");
		for (n = 0; failed; n++) {
			unit_fail_at(n);
			ready = secure_session(rows[i], &error);
			failed = unit_failed();
			if (!ready && error) {
				assert_int_equal(error, MAILERS_ERR_NOMEM);
				failures++;
			}
		}
		assert_true(ready && failures >= 3);
		assert_int_equal(unit_leaks(), 0);
	}
	unit_watch(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(starttls__each_reply__leads_to_tls_or_not_to_plain_text),
		cmocka_unit_test(implicit_tls__comes_before_the_greeting),
		cmocka_unit_test(auth__each_reply__opens_the_session_or_ends_it),
		cmocka_unit_test(auth__each_allocation_fails__the_session_does_and_nothing_leaks),
		cmocka_unit_test(secret__however_the_session_goes__no_freed_memory_holds_it),
		cmocka_unit_test(secret__long_token__goes_after_an_empty_challenge_and_leaves_no_copy),
	};

	return cmocka_run_group_tests_name("smtp_secure", tests, NULL, NULL);
}
