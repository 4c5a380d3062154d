/*
 * Unit tests of smtp_client's session: greeting, EHLO and HELO, QUIT, ends and deadlines, as scripts
 * (smtp_script.h).
 */
#include "smtp_script.h"

#define EHLO "S 220 mx ESMTP\nE \nC EHLO me\nS 250 mx\nE ready\n"
#define HELO "S 220 mx\nE \nC HELO me\nS 250 mx\nE ready\n"
#define MAIL "C MAIL FROM:<f@x>\nS 250 ok\nC RCPT TO:<a>\nS 250 ok\nC DATA\nS 354 go\n" SCRIPT_BODY \
             "S 250 taken\n"
#define TAKEN "E mail 1: accepted@message[250 taken]\n"

static const struct script greetings[] = {
	{ "ESMTP", 0, "L greeting\nW read\n" EHLO "W submit\nY\nL idle\n" },
	{ "ESMTP in lower case, amid text", 0, "S 220 mx.example.net Sendmail esmtp/8 ready\nC EHLO me\n"
	  "N\nL EHLO\n" },
	{ "ESMTP at the end of the last line", 0, "S 220-mx\nS 220-hello\nS 220 (ESMTP)\nC EHLO me\n"
	  "W read\n" },
	{ "ESMTP as the first word", 0, "S 220 ESMTP\nC EHLO me\nW read\n" },
	{ "no ESMTP", 0, HELO "W submit\nY\n" },
	{ "HAProxy's test sink", 0, "S 220 Welcome\nC HELO me\nW read\nL HELO\n" },
	{ "a bare 220", 0, "S 220\nC HELO me\nW read\n" },
	{ "ESMTP as a part of a word", 0, "S 220 mx ESMTPS xESMTP ESMT P\nC HELO me\nW read\n" },
	{ "ESMTP between other words' ends", 0, "S 220 aESMTP ESMTPz AESMTP ESMTPZ 0ESMTP ESMTP9\n"
	  "C HELO me\nW read\n" },
	{ "ESMTP between signs", 0, "S 220 @ESMTP[\nC EHLO me\nW read\n" },
	{ "ESMTP between other signs", 0, "S 220 `ESMTP{\nC EHLO me\nW read\n" },
	{ "ESMTP between yet others", 0, "S 220 /ESMTP:\nC EHLO me\nW read\n" },
	{ "ESMTP cut off", 0, "S 220 mx ESMT\nC HELO me\nW read\n" },
	{ "another 2xx", 0, "S 200 mx ESMTP\nC EHLO me\nW read\n" },
	{ "HELO only", SCRIPT_HELO_ONLY, "S 220 mx ESMTP\nC HELO me\nS 250 mx\nE ready\n" },
	{ "permanent refusal", 0, "S 554 go away\nW close\nE failed permanent@greeting[554 go away]\n" },
	{ "temporary refusal", 0, "S 450 later\nW close\nE failed temporary@greeting[450 later]\n" },
	{ "421", 0, "S 421-busy\nS 421 later\nW close\nE failed temporary@greeting[421 busy / later]\n" },
	{ "3xx", SCRIPT_ODD_SERVER, "S 354 what\nW close\nE failed protocol@greeting[354 what]\n" },
	{ "another protocol", SCRIPT_ODD_SERVER, "S SSH-2.0-OpenSSH_9.2\nW close\n"
	  "E failed protocol@greeting[SSH-2.0-OpenSSH_9.2]\n" },
	{ "binary", SCRIPT_ODD_SERVER, "s \x15\x03\x01\nW close\nE failed protocol@greeting[\\x15]\n" },
	{ "closed", 0, "X\nW close\nE failed closed@greeting[]\n" },
	{ "closed amid the greeting", 0, "s 220 m\nX\nW close\nE failed closed@greeting[]\n" },
	{ "never connected", 0, "-\nL connect\nX\nW close\nE failed closed@connect[]\n" },
	{ "speaks before it is spoken to", SCRIPT_ODD_SERVER, "S 220 mx ESMTP\nS 250 mx\nW close\n"
	  "E failed protocol@EHLO[250 mx]\n" },
	{ "says 421 before it is spoken to", SCRIPT_ODD_SERVER, "S 220 mx ESMTP\nS 421 no\nW close\n"
	  "E failed temporary@EHLO[421 no]\n" },
	{ "speaks while EHLO is half sent", SCRIPT_ODD_SERVER, "S 220 mx ESMTP\nc 8\nS 250 mx\nW close\n"
	  "E failed protocol@EHLO[250 mx]\n" },
};

#define TO_EHLO "S 220 mx ESMTP\nC EHLO me\n"

static const struct script hellos[] = {
	{ "EHLO refused: HELO here", 0, TO_EHLO "S 502 what\nE \nC HELO me\nS 250 mx\n"
	  "E no-ehlo [502 what]\nE ready\nY\n" },
	{ "EHLO refused with 500", 0, TO_EHLO "S 500\nC HELO me\nS 250\nE no-ehlo [500]\nE ready\n" },
	{ "EHLO refused with 550 and lines", 0, TO_EHLO "S 550-5.7.1 a\nS 550 5.7.1 b\nC HELO me\n"
	  "S 250 mx\nE no-ehlo [550 5.7.1 a / 5.7.1 b]\nE ready\n" },
	{ "the refusal closes", 0, TO_EHLO "S 502 no\nC HELO me\nX\nW close\nE no-ehlo [502 no]\n"
	  "E closed@HELO[]\n" },
	{ "the refusal closes before HELO is sent", 0, TO_EHLO "S 502 no\nX\nE no-ehlo [502 no]\n"
	  "E closed@HELO[]\n" },
	{ "the refusal closes amid a reply", 0, TO_EHLO "S 502 no\nC HELO me\ns 42\nX\n"
	  "E no-ehlo [502 no]\nE closed@HELO[]\n" },
	{ "the refusal brings 421", 0, TO_EHLO "S 502 no\nC HELO me\nS 421 bye\nE no-ehlo [502 no]\n"
	  "E closed@HELO[421 bye]\n" },
	{ "the refusal brings 421 at once", SCRIPT_ODD_SERVER, TO_EHLO "S 502 no\nS 421 bye\nW close\n"
	  "E no-ehlo [502 no]\nE closed@HELO[421 bye]\n" },
	{ "HELO refused as EHLO was", 0, /* it refuses us, not EHLO */
	  TO_EHLO "S 550 no\nC HELO me\nS 550 never\nW close\nE failed permanent@HELO[550 never]\n" },
	{ "HELO deferred after EHLO was refused", 0, TO_EHLO "S 550 no\nC HELO me\nS 450 later\nW close\n"
	  "E failed temporary@HELO[450 later]\n" },
	{ "closed in place of a reply to EHLO", 0, TO_EHLO "X\nW close\nE no-ehlo []\nE closed@EHLO[]\n" },
	{ "closed before EHLO was sent", 0, "S 220 mx ESMTP\nX\nW close\nE failed closed@EHLO[]\n" },
	{ "closed amid the reply to EHLO", 0, TO_EHLO "s 2\nX\nW close\nE failed closed@EHLO[]\n" },
	{ "closed between two lines of it", 0, TO_EHLO "S 250-mx\nX\nW close\nE failed closed@EHLO[]\n" },
	{ "EHLO deferred", 0, TO_EHLO "S 451 later\nW close\nE failed temporary@EHLO[451 later]\n" },
	{ "EHLO answered with 421", 0, TO_EHLO "S 421 bye\nW close\nE failed temporary@EHLO[421 bye]\n" },
	{ "EHLO answered with 3xx", SCRIPT_ODD_SERVER, TO_EHLO "S 334\nW close\n"
	  "E failed protocol@EHLO[334]\n" },
	{ "EHLO answered with garbage", SCRIPT_ODD_SERVER, TO_EHLO "S hi\nW close\n"
	  "E failed protocol@EHLO[hi]\n" },
	{ "two replies to EHLO", SCRIPT_ODD_SERVER, TO_EHLO "S 250 mx\nS 250 mx\nE ready\n"
	  "E failed protocol@idle[250 mx]\n" },
	{ "HELO only, and closed", SCRIPT_HELO_ONLY, "S 220 mx ESMTP\nC HELO me\nX\nW close\n"
	  "E failed closed@HELO[]\n" },
	{ "HELO only, and 421", SCRIPT_HELO_ONLY, "S 220 mx ESMTP\nC HELO me\nS 421 no\nW close\n"
	  "E failed temporary@HELO[421 no]\n" },
	{ "HELO, and closed", 0, "S 220 mx\nC HELO me\nX\nW close\nE failed closed@HELO[]\n" },
	{ "HELO refused", 0, "S 220 mx\nC HELO me\nS 550 no\nW close\nE failed permanent@HELO[550 no]\n" },
	{ "HELO answered with 3xx", SCRIPT_ODD_SERVER, "S 220 mx\nC HELO me\nS 354\nW close\n"
	  "E failed protocol@HELO[354]\n" },
};

static const struct script extensions[] = {
	{ "PIPELINING", 0, TO_EHLO "S 250-mx\nS 250-STARTTLS\nS 250-ENHANCEDXX\nS 250 PIPELINING\n"
	  "E ready\nM 1 a\nC MAIL FROM:<f@x>\nC RCPT TO:<a>\nC DATA\nW read\n" },
	{ "in lower case with a parameter", 0, TO_EHLO "S 250-mx\nS 250-pipelining yes\nS 250 HELP\n"
	  "E ready\nM 1 a\nC MAIL FROM:<f@x>\nC RCPT TO:<a>\nC DATA\nW read\n" },
	{ "its beginning", 0, TO_EHLO "S 250-mx\nS 250 PIPELIN\nE ready\nM 1 a\nC MAIL FROM:<f@x>\n"
	  "W read\n" },
	{ "more than it", 0, TO_EHLO "S 250-mx\nS 250 PIPELININGS\nE ready\nM 1 a\nC MAIL FROM:<f@x>\n"
	  "W read\n" },
	{ "behind another", 0, TO_EHLO "S 250-mx\nS 250 X PIPELINING\nE ready\nM 1 a\nC MAIL FROM:<f@x>\n"
	  "W read\n" },
	{ "as the server's name", 0, TO_EHLO "S 250-PIPELINING\nS 250 SIZE\nE ready\nM 1 a\n"
	  "C MAIL FROM:<f@x>\nW read\n" },
	{ "in the reply to HELO", 0, "S 220 mx\nC HELO me\nS 250-mx\nS 250 PIPELINING\nE ready\nM 1 a\n"
	  "C MAIL FROM:<f@x>\nW read\n" },
};

static const struct script quits[] = {
	{ "QUIT", 0, EHLO "Q\nN\nL QUIT\nC QUIT\nW read\nS 221 bye\nW read\nL QUIT\nX\nW close\n"
	  "E closed@QUIT[]\n" },
	{ "QUIT twice", 0, EHLO "Q\nQ\nC QUIT\nQ\nS 221 bye\nX\nE closed@QUIT[]\n" },
	{ "221 and more", 0, EHLO "Q\nC QUIT\nS 221 bye\nS and more\nW read\nX\nE closed@QUIT[]\n" },
	{ "QUIT refused", 0, EHLO "Q\nC QUIT\nS 500 what\nW read\nX\nE closed@QUIT[]\n" },
	{ "421 at QUIT", 0, EHLO "Q\nC QUIT\nS 421 bye\nW read\nX\nE closed@QUIT[]\n" },
	{ "421 before QUIT is sent", 0, EHLO "Q\nS 421 bye\nW write\nX\nE closed@QUIT[]\n" },
	{ "closed at QUIT", 0, EHLO "Q\nC QUIT\nX\nW close\nE closed@QUIT[]\n" },
	{ "garbage at QUIT", SCRIPT_ODD_SERVER, EHLO "Q\nC QUIT\nS bye\nW close\nE closed@QUIT[bye]\n" },
	{ "out of turn before QUIT is sent", SCRIPT_ODD_SERVER, EHLO "Q\nS 250 ok\nW close\n"
	  "E closed@QUIT[250 ok]\n" },
	{ "no reply to QUIT", 0, EHLO "Q\nC QUIT\n@ 5000\n+ 4999\nW read\n+ 1\nW close\nE closed@QUIT[]\n" },
	{ "no close after 221", 0, EHLO "Q\n+ 1000\nC QUIT\nS 221 bye\n@ 5000\n+ 4000\nW close\n"
	  "E closed@QUIT[]\n" },
	{ "quit before the connection", 0, "-\nQ\nW close\nK\nE closed@connect[]\n" },
	{ "quit before the greeting", 0, "Q\nW read\nS 220 mx ESMTP\nC EHLO me\nS 250 mx\nC QUIT\nS 221\n"
	  "X\nE closed@QUIT[]\n" },
	{ "quit before HELO's reply", 0, "S 220 mx\nC HELO me\nQ\nS 250 mx\nC QUIT\nS 221\nX\n"
	  "E closed@QUIT[]\n" },
	{ "quit before the reply to EHLO that refuses", 0, TO_EHLO "Q\nS 500\nC HELO me\nS 250\nC QUIT\n"
	  "S 221\nX\nE no-ehlo [500]\nE closed@QUIT[]\n" },
	{ "quit within a mail", 0, EHLO "M 1 a\nQ\nN\n" MAIL TAKEN "C QUIT\nW read\nS 221\nX\n"
	  "E closed@QUIT[]\n" },
	{ "one mail with HELO", 0, HELO "M 1 a\nN\n" MAIL TAKEN "N\nL QUIT\nC QUIT\nS 221\nX\n"
	  "E closed@QUIT[]\n" },
	{ "one mail with EHLO", 0, EHLO "M 1 a\nN\n" MAIL TAKEN "Y\nW submit\n" },
};

static const struct script idles[] = {
	{ "closed before the first mail", 0, EHLO "X\nW close\nE failed closed@idle[]\n" },
	{ "421 before the first mail", 0, EHLO "S 421 bye\nW close\nE failed temporary@idle[421 bye]\n" },
	{ "250 before the first mail", SCRIPT_ODD_SERVER, EHLO "S 250 ok\nW close\n"
	  "E failed protocol@idle[250 ok]\n" },
	{ "closed after a mail", 0, EHLO "M 1 a\n" MAIL TAKEN "X\nW close\nE closed@idle[]\n" },
	{ "421 after a mail", 0, EHLO "M 1 a\n" MAIL TAKEN "S 421 bye\nW close\nE closed@idle[421 bye]\n" },
	{ "half a 421 after a mail", 0, EHLO "M 1 a\n" MAIL TAKEN "s 42\nX\nW close\nE closed@idle[]\n" },
	{ "250 after a mail", SCRIPT_ODD_SERVER, EHLO "M 1 a\n" MAIL TAKEN "S 250 ok\n"
	  "E failed protocol@idle[250 ok]\n" },
	{ "garbage after a mail", SCRIPT_ODD_SERVER, EHLO "M 1 a\n" MAIL TAKEN "S hi\n"
	  "E failed protocol@idle[hi]\n" },
	{ "half a 250 after a mail, the rest at the next MAIL", SCRIPT_ODD_SERVER, EHLO "M 1 a\n" MAIL
	  TAKEN "s 250\nM 2 b\nC MAIL FROM:<f@x>\nS  ok\nW close\nE mail 2: returned@MAIL[250 ok]\n"
	  "E failed protocol@MAIL[250 ok]\n" },
	{ "half a 421 after a mail, the rest at the next MAIL", SCRIPT_ODD_SERVER, EHLO "M 1 a\n" MAIL
	  TAKEN "s 421\nM 2 b\nC MAIL FROM:<f@x>\nS  bye\nW close\nE mail 2: returned@MAIL[421 bye]\n"
	  "E closed@MAIL[421 bye]\n" },
	{ "only refused mails before the close", 0, EHLO "M 1 a\nC MAIL FROM:<f@x>\nS 550 no\n"
	  "E mail 1: refused@MAIL[550 no]\nX\nE failed closed@idle[]\n" },
};

/* The time: mail 10 s, final 300 s, QUIT 5 s. What is late is late whatever came in between. */
static const struct script deadlines[] = {
	{ "connecting", 0, "-\n@ 10000\n+ 9999\n@ 10000\n+ 1\nW close\nL connect\n"
	  "E failed timeout@connect[]\n" },
	{ "connected late", 0, "-\n+ 9999\nK\n@ 10000\n+ 1\nE failed timeout@greeting[]\n" },
	{ "greeting", 0, "@ 10000\n+ 9000\ns 22\n+ 999\ns 0\n@ 10000\n+ 1\nW close\n"
	  "E failed timeout@greeting[]\n" },
	{ "EHLO", 0, "+ 9000\n" TO_EHLO "@ 10000\n+ 999\ns 25\n+ 1\nW close\nE failed timeout@EHLO[]\n" },
	{ "HELO", 0, "S 220 mx\nC HELO me\n+ 9999\nW read\n+ 1\nW close\nE failed timeout@HELO[]\n" },
	{ "idle", 0, EHLO "@ none\n+ 999999\nW submit\nY\n" },
	{ "the first mail has the time from the start", 0, "+ 4000\n" EHLO "M 1 a\n@ 10000\n+ 6000\n"
	  "E mail 1: returned@MAIL[]\nE failed timeout@MAIL[]\n" },
	{ "but idle time is not charged", 0, "+ 4000\n" EHLO "+ 60000\nM 1 a\n@ 70000\n" },
	{ "a later mail has its own", 0, "+ 4000\n" EHLO "M 1 a\n" MAIL TAKEN "@ none\n+ 500\nM 2 a\n"
	  "@ 14500\n" },
	{ "a mail in drops", 0, EHLO "M 1 a\nC MAIL FROM:<f@x>\n+ 3000\nS 250 ok\n@ 10000\n"
	  "C RCPT TO:<a>\n+ 3000\nS 250 ok\nC DATA\n+ 3999\ns 354\n@ 10000\n+ 1\n"
	  "E mail 1: returned@DATA[]\nE failed timeout@DATA[]\n" },
	{ "the body is not sent in time", 0, EHLO "M 1 a\nC MAIL FROM:<f@x>\nS 250 ok\nC RCPT TO:<a>\n"
	  "S 250 ok\nC DATA\nS 354 go\nW write\n@ 10000\nc 25\n@ 10000\n+ 10000\nW close\n"
	  "E mail 1: returned@message[]\nE failed timeout@message[]\n" },
	{ "the final reply has its own time", 0, EHLO "M 1 a\nC MAIL FROM:<f@x>\nS 250 ok\n"
	  "C RCPT TO:<a>\nS 250 ok\nC DATA\nS 354 go\n+ 5000\n" SCRIPT_BODY "@ 305000\n+ 299999\n"
	  "S 250 taken\n" TAKEN "@ none\n" },
	{ "and is missed", 0, EHLO "M 1 a\nC MAIL FROM:<f@x>\nS 250 ok\nC RCPT TO:<a>\nS 250 ok\nC DATA\n"
	  "S 354 go\n" SCRIPT_BODY "s 25\n+ 299999\nW read\ns 0\n+ 1\nW close\n"
	  "E mail 1: unknown@message[]\nE failed timeout@message[]\n" },
};

#define SCRIPT_TEST(name, scripts) \
	static void name(void **state) { (void)state; SCRIPT_RUN_ALL(scripts); }

SCRIPT_TEST(session__each_greeting__decides_how_to_speak, greetings)
SCRIPT_TEST(session__each_reply_to_ehlo_and_helo__ends_or_opens_it, hellos)
SCRIPT_TEST(session__each_extension__is_found_as_a_keyword_only, extensions)
SCRIPT_TEST(session__quit__always_ends_in_order, quits)
SCRIPT_TEST(session__idle__the_server_may_leave_after_a_mail, idles)
SCRIPT_TEST(session__each_deadline__counts_from_its_start, deadlines)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(session__each_greeting__decides_how_to_speak),
		cmocka_unit_test(session__each_reply_to_ehlo_and_helo__ends_or_opens_it),
		cmocka_unit_test(session__each_extension__is_found_as_a_keyword_only),
		cmocka_unit_test(session__quit__always_ends_in_order),
		cmocka_unit_test(session__idle__the_server_may_leave_after_a_mail),
		cmocka_unit_test(session__each_deadline__counts_from_its_start),
	};

	return cmocka_run_group_tests_name("smtp_session", tests, NULL, NULL);
}
