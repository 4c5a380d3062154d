/*
 * Unit tests of smtp_client's transactions with CHUNKING (RFC 3030), as scripts (smtp_script.h): in lockstep (L),
 * pipelined (P).
 */
#include "smtp_script.h"

#define TO_EHLO "S 220 mx ESMTP\nC EHLO me\n"
#define L TO_EHLO "S 250-mx\nS 250 CHUNKING\nE ready\n"
#define P TO_EHLO "S 250-mx\nS 250-CHUNKING\nS 250 PIPELINING\nE ready\n"

#define MAIL "C MAIL FROM:<f@x>\n"
#define TO(rcpt) "C RCPT TO:<" rcpt ">\n"
#define BODY "C BDAT 22 LAST\nC Subject: s\nC \nC .hello\n"
#define WHOLE(rcpt) MAIL TO(rcpt) BODY
#define RESET(rcpt) "C RSET\n" WHOLE(rcpt)
#define OK2 "S 250 from\nS 250 to\n"

/* A first mail that is accepted. */
#define P1 P "M 1 a\n" MAIL TO("a") OK2 BODY "S 250 taken\nE mail 1: accepted@message[250 taken]\n"
/* ... and three in flight. */
#define P3 P1 "M 2 b\nM 3 c\nM 4 d\n" WHOLE("b") RESET("c") RESET("d")
#define OK(text) OK2 "S 250 " text "\n"
#define OKR(text) "S 250 reset\n" OK(text)
#define E2 "E mail 2: accepted@message[250 two]\n"
#define E3 "E mail 3: accepted@message[250 three]\n"
#define E4 "E mail 4: accepted@message[250 four]\n"

static const struct script plain[] = {
	{ "L: BDAT in the place of DATA", 0, L "M 1 a b\n" MAIL "S 250\n" TO("a") "S 250\n" TO("b")
	  "S 550 no\nL message\nN\n" BODY "N\nS 250 taken\n"
	  "E mail 1: accepted@message[250 taken], refused@RCPT[550 no]\nY\nM 2 a\n" MAIL "S 250\n" },
	{ "P: the first body waits for its recipients", 0, P "M 1 a b\nN\n" MAIL TO("a") TO("b")
	  "W read\nN\nS 250 from\nS 250 to\nW read\nS 250 to\n" BODY "Y\nS 250 taken\n"
	  "E mail 1: accepted@message[250 taken], accepted@message[250 taken]\nW submit\nY\n" },
	{ "P: then whole mails behind each other", 0, P3 "Y\nL MAIL\n" OK("two") E2 "L MAIL\nY\nM 5 e\nY\n"
	  RESET("e") OKR("three") E3 OKR("four") E4 OKR("five") "E mail 5: accepted@message[250 five]\n"
	  "W submit\nM 6 a\n" WHOLE("a") },
	{ "P: all replies at once", 0, P3 OK("two") OKR("three") OKR("four") E2 E3 E4 "Y\n" },
	{ "P: four in flight, the fifth waits", 0, P1 "M 2 b\nM 3 c\nM 4 d\nM 5 e\nN\n" WHOLE("b")
	  RESET("c") RESET("d") RESET("e") "N\n" OK("two") E2 "Y\nM 6 f\nN\n" RESET("f") },
	{ "P: the envelope behind the first goes with its body, and its body when that was accepted", 0, P
	  "M 1 a\n" MAIL TO("a") OK2 "Y\nM 2 b\nN\n" BODY "C RSET\n" MAIL TO("b") "L message\n"
	  "S 250 one\nE mail 1: accepted@message[250 one]\n" BODY "Y\nM 3 c\n" RESET("c") OKR("two") E2
	  OKR("three") E3 },
	{ "P: ... or, when that was refused, its recipients are taken", 0, P
	  "M 1 a\n" MAIL TO("a") OK2 "M 2 b\n" BODY "C RSET\n" MAIL TO("b")
	  "S 550 no\nE mail 1: refused@message[550 no]\nN\nS 250 reset\n" OK2 BODY "Y\nS 250 two\n" E2 },
	{ "P: 20 recipients in groups of at most 16 replies, then the body", SCRIPT_ODD_SERVER, P1
	  "M 2 a b c d e f g h i j k l m n o p\nN\n" MAIL TO("a") TO("b") TO("c") TO("d") TO("e") TO("f")
	  TO("g") TO("h") TO("i") TO("j") TO("k") TO("l") TO("m") TO("n") TO("o")
	  "S 250\nS 250\nS 250\nS 250\nS 250\nS 250\nS 250\nW read\nS 250\n" TO("p") BODY
	  "S 250\nS 250\nY\nM 3 c\n" RESET("c") },
	{ "not asked for", SCRIPT_NO_CHUNKING, P "M 1 a\n" MAIL TO("a") "C DATA\n" },
	{ "PIPELINING is not asked for", SCRIPT_NO_PIPELINING, P "M 1 a\n" MAIL "S 250\n" TO("a")
	  "S 250\n" BODY "N\nS 250 taken\nE mail 1: accepted@message[250 taken]\n" },
	{ "neither", SCRIPT_NO_PIPELINING | SCRIPT_NO_CHUNKING, P "M 1 a\n" MAIL "S 250\n" TO("a")
	  "S 250\nC DATA\n" },
	{ "quit behind three", 0, P3 "Q\nN\n" OK("two") E2 OKR("three") E3 OKR("four") E4
	  "C QUIT\nS 221\nX\nE closed@QUIT[]\n" },
};

/* Exim cuts at the eleventh RSET that begins no message, accepted mails between them or not. */
#define NOBODY(n) "S 250\nS 250\nS 550\nS 503\nE mail " n ": refused@RCPT[550]\n"
#define LAGAIN(n) "M " n " a\nC RSET\nS 250\n" MAIL "S 250\n" TO("a") "S 550\nE mail " n ": refused@RCPT[550]\n"
#define TAKEN(n) "S 250\nS 250\nS 250\nS 250\nE mail " n ": accepted@message[250]\n"

static const struct script refusals[] = {
	{ "P: six mails for nobody: QUIT", 0, P3 "S 250\nS 550\nS 503\nE mail 2: refused@RCPT[550]\n" NOBODY("3")
	  "M 5 a\nM 6 a\n" RESET("a") RESET("a") TAKEN("4") NOBODY("5") "M 7 a\n" RESET("a") NOBODY("6") NOBODY("7")
	  "M 8 a\nM 9 a\nM A a\n" RESET("a") RESET("a") RESET("a") "Y\n" NOBODY("8") "N\n" TAKEN("9") "N\n"
	  NOBODY("A") "C QUIT\nS 221\nX\nE closed@QUIT[]\n" },
	{ "L: six mails for nobody: QUIT", 0, L "M 1 a\n" MAIL "S 250\n" TO("a") "S 550\nE mail 1: refused@RCPT[550]\n"
	  LAGAIN("2") LAGAIN("3") LAGAIN("4") LAGAIN("5") "Y\n" LAGAIN("6") "N\nC QUIT\nS 221\nX\nE closed@QUIT[]\n" },
	{ "L: all recipients: no body, and RSET before the next", 0, L "M 1 a\n" MAIL "S 250\n" TO("a")
	  "S 550 no\nE mail 1: refused@RCPT[550 no]\nW submit\nM 2 b\nC RSET\nS 250\n" MAIL },
	{ "L: MAIL", 0, L "M 1 a\n" MAIL "S 550 no\nE mail 1: refused@MAIL[550 no]\nM 2 b\n" MAIL },
	{ "L: the body, and RSET before the next", 0, L "M 1 a\n" MAIL "S 250\n" TO("a") "S 250\n" BODY
	  "S 452 full\nE mail 1: deferred@message[452 full]\nM 2 b\nC RSET\nS 250\n" MAIL },
	{ "P: all recipients of the first: no body", 0, P "M 1 a\n" MAIL TO("a") "S 250\nS 550 no\n"
	  "E mail 1: refused@RCPT[550 no]\nM 2 b\nC RSET\n" MAIL TO("b") "S 250\n" OK2 BODY },
	{ "P: MAIL of the first: no body", 0, P "M 1 a\n" MAIL TO("a") "S 450 no\nS 503\n"
	  "E mail 1: deferred@MAIL[450 no]\nM 2 b\n" MAIL TO("b") },
	{ "P: all recipients, and so the body: 503 is no verdict", 0, P3 "S 250\nS 550 who\nS 503 rcpt\n"
	  "E mail 2: refused@RCPT[550 who]\nY\n" OKR("three") E3 OKR("four") E4 },
	{ "P: nor is 554", 0, P3 "S 250\nS 450 later\nS 554 none\nE mail 2: deferred@RCPT[450 later]\n"
	  OKR("three") E3 OKR("four") E4 },
	{ "P: nor is 250", 0, P3 "S 250\nS 450 later\nS 250 ok\nE mail 2: deferred@RCPT[450 later]\n"
	  OKR("three") E3 OKR("four") E4 },
	{ "P: the last one's: RSET before the next", 0, P3 OK("two") E2 OKR("three") E3
	  "S 250\nS 250\nS 550 who\nS 503 rcpt\nE mail 4: refused@RCPT[550 who]\nM 5 a\n" RESET("a") },
	{ "P: MAIL, and what follows from it", 0, P3 "S 550 no\nS 503\nS 503\n"
	  "E mail 2: refused@MAIL[550 no]\n" OKR("three") E3 OKR("four") E4 },
	{ "P: the body", 0, P3 "S 250\nS 250\nS 552 big\nE mail 2: refused@message[552 big]\n"
	  OKR("three") E3 "S 250\nS 250\nS 250\nS 451 later\nE mail 4: deferred@message[451 later]\n"
	  "M 5 e\n" RESET("e") },
	{ "P: RSET refused matters not", 0, P3 OK("two") E2 "S 502 what\n" OK("three") E3 OKR("four") E4 },
	{ "P: MAIL refused, but the body taken: who knows whose it is", SCRIPT_ODD_SERVER, P3 "S 550 no\nS 250\n"
	  "S 250 taken\nE mail 2: unknown@message[250 taken]\n" OKR("three") E3 OKR("four") "W close\n" E4
	  "E failed protocol@message[250 taken]\n" },
	{ "P: refused before its end: a verdict, but the connection is lost", SCRIPT_ODD_SERVER, P1
	  "M 2 b\nM 3 c\nc 44\nS 250\nS 250\nS 552 big\nW close\nE mail 2: refused@message[552 big]\n"
	  "E mail 3: returned@message[]\nE closed@message[]\n" },
	{ "P: for nobody, and refused before its end", SCRIPT_ODD_SERVER, P1
	  "M 2 b\nM 3 c\nc 44\nS 250\nS 550 who\nS 503 rcpt\nW close\nE mail 2: refused@RCPT[550 who]\n"
	  "E mail 3: returned@message[]\nE closed@message[]\n" },
};

/* The session's matter, while bodies are on their way: each is answered for itself, and then it ends. */
static const struct script leaving[] = {
	{ "452 at MAIL: the limit", 0, P3 OK("two") E2 "S 250\nS 452 many\nS 503\nS 503\n"
	  "E mail 3: returned@MAIL[452 many]\nN\nS 250\nS 452 many\nS 503\nS 503\nW close\n"
	  "E mail 4: returned@MAIL[452 many]\nE closed@MAIL[452 many]\n" },
	{ "503 at MAIL, but the next one is taken", 0, P3 OK("two") E2 "S 250\nS 503 what\nS 503\nS 503\n"
	  "E mail 3: returned@MAIL[503 what]\nN\n" OKR("four") "W close\n" E4 "E closed@MAIL[503 what]\n" },
	{ "503 at MAIL, as Exim's, and the body taken under the sender before", SCRIPT_ODD_SERVER, P3 OK("two") E2
	  "S 250\nS 503 sender given\nS 250\nS 250 taken\nE mail 3: unknown@message[250 taken]\n"
	  OKR("four") "W close\n" E4 "E closed@MAIL[503 sender given]\n" },
	{ "5.7.x at MAIL", 0, P3 "S 550 5.7.1 no\nN\nS 503\nS 503\nE mail 2: returned@MAIL[550 5.7.1 no]\n"
	  "S 250\nS 250\nS 250\nS 250 three\n" E3 "S 250\nS 550 5.7.1 no\nS 503\nS 503\nW close\n"
	  "E mail 4: returned@MAIL[550 5.7.1 no]\nE failed permanent@MAIL[550 5.7.1 no]\n" },
	{ "5.7.x at MAIL of the first: at once", SCRIPT_ODD_SERVER, P "M 1 a\n" MAIL TO("a") "S 550 5.7.1 no\nW close\n"
	  "E mail 1: returned@MAIL[550 5.7.1 no]\nE failed permanent@MAIL[550 5.7.1 no]\n" },
	{ "5.7.x at MAIL, and a mail behind it that has not gone", SCRIPT_ODD_SERVER, P1 "M 2 b\nM 3 c\nc 90\n"
	  "S 550 5.7.1 no\nW read\nE mail 3: returned@MAIL[]\nS 503\nS 503\nW close\n"
	  "E mail 2: returned@MAIL[550 5.7.1 no]\nE failed permanent@MAIL[550 5.7.1 no]\n" },
	{ "503 at RCPT", 0, P3 "S 250\nS 503 what\nS 503\nE mail 2: returned@RCPT[503 what]\n"
	  OKR("three") E3 OKR("four") "W close\n" E4 "E failed protocol@RCPT[503 what]\n" },
	{ "503 at one of two RCPT", 0, P1 "M 2 b c\n" MAIL TO("b") TO("c") BODY "S 250\nS 503 what\nS 250\n"
	  "S 250 two\nW close\nE mail 2: returned@RCPT[503 what], accepted@message[250 two]\n"
	  "E failed protocol@RCPT[503 what]\n" },
	{ "503 at the body, though a recipient was taken", 0, P3 "S 250\nS 250\nS 503 what\n"
	  "E mail 2: returned@message[503 what]\n" OKR("three") E3 OKR("four") "W close\n" E4
	  "E failed protocol@message[503 what]\n" },
	{ "and the connection breaks then", 0, P3 "S 550 5.7.1 no\nX\nE mail 2: unknown@MAIL[550 5.7.1 no]\n"
	  "E mail 3: unknown@MAIL[550 5.7.1 no]\nE mail 4: unknown@MAIL[550 5.7.1 no]\n"
	  "E failed permanent@MAIL[550 5.7.1 no]\n" },
	{ "and nothing comes then", SCRIPT_ODD_SERVER, P3 "S 452 many\n+ 300000\nE mail 2: unknown@MAIL[452 many]\n"
	  "E mail 3: unknown@MAIL[452 many]\nE mail 4: unknown@MAIL[452 many]\nE closed@MAIL[452 many]\n" },
	{ "and 421 comes then", 0, P3 "S 452 many\nS 421 bye\nX\nE mail 2: returned@MAIL[452 many]\n"
	  "E mail 3: returned@MAIL[452 many]\nE mail 4: returned@MAIL[452 many]\nE closed@MAIL[452 many]\n" },
};

static const struct script ends[] = {
	{ "closed: the bodies have gone", 0, P3 "X\nE mail 2: unknown@MAIL[]\nE mail 3: unknown@MAIL[]\n"
	  "E mail 4: unknown@MAIL[]\nE closed@MAIL[]\n" },
	{ "closed behind an accepted one", 0, P3 OK("two") E2 "S 250\nX\nE mail 3: unknown@MAIL[]\n"
	  "E mail 4: unknown@MAIL[]\nE closed@MAIL[]\n" },
	{ "closed when the second had not gone", 0, P1 "M 2 b\nM 3 c\nc 100\nX\nE mail 2: unknown@MAIL[]\n"
	  "E mail 3: returned@MAIL[]\nE closed@MAIL[]\n" },
	{ "closed with a byte of the first missing", 0, P1 "M 2 b\nc 65\nX\nE mail 2: returned@MAIL[]\n"
	  "E closed@MAIL[]\n" },
	{ "closed with none missing", 0, P1 "M 2 b\nc 65\nc 1\nX\nE mail 2: unknown@MAIL[]\n"
	  "E closed@MAIL[]\n" },
	{ "a recipient's refusal stands", 0, P3 "S 250\nS 550 who\nX\nE mail 2: refused@RCPT[550 who]\n"
	  "E mail 3: unknown@message[]\nE mail 4: unknown@message[]\nE failed closed@message[]\n" },
	{ "421: surely not taken", 0, P3 OK("two") E2 "S 421 bye\nX\nE mail 3: returned@MAIL[421 bye]\n"
	  "E mail 4: returned@MAIL[421 bye]\nE closed@MAIL[421 bye]\n" },
	{ "421 to a body", 0, P3 "S 250\nS 250\nS 421 bye\nX\nE mail 2: returned@message[421 bye]\n"
	  "E mail 3: returned@message[421 bye]\nE mail 4: returned@message[421 bye]\n"
	  "E closed@message[421 bye]\n" },
	{ "garbage", SCRIPT_ODD_SERVER, P3 "S 250\nS hm\nE mail 2: unknown@RCPT[hm]\n"
	  "E mail 3: unknown@RCPT[hm]\nE mail 4: unknown@RCPT[hm]\nE failed protocol@RCPT[hm]\n" },
	{ "354 to a body", SCRIPT_ODD_SERVER, P3 "S 250\nS 250\nS 354\nE mail 2: unknown@message[354]\n"
	  "E mail 3: unknown@message[354]\nE mail 4: unknown@message[354]\n"
	  "E failed protocol@message[354]\n" },
	{ "354 to a body for nobody", SCRIPT_ODD_SERVER, P1 "M 2 b\n" WHOLE("b") "S 250\nS 550\nS 354\n"
	  "E mail 2: refused@RCPT[550]\nE failed protocol@message[354]\n" },
	{ "a reply before its command is sent", SCRIPT_ODD_SERVER, P1 "M 2 b\nM 3 c\nc 71\n" OK("two")
	  "S 250 reset\nW close\nE mail 2: accepted@message[250 two]\nE mail 3: returned@MAIL[250 reset]\n"
	  "E failed protocol@MAIL[250 reset]\n" },
};

/* The time: mail 10 s, final 300 s. */
static const struct script deadlines[] = {
	{ "the first mail's envelope", SCRIPT_ODD_SERVER, P "M 1 a\n" MAIL TO("a") "S 250\n@ 10000\n+ 10000\n"
	  "E mail 1: returned@RCPT[]\nE failed timeout@RCPT[]\n" },
	{ "the first mail's body", 0, P "M 1 a\n" MAIL TO("a") OK2 "+ 5000\n@ 10000\n" BODY "@ 305000\n"
	  "+ 300000\nE mail 1: unknown@message[]\nE failed timeout@message[]\n" },
	{ "a later one is not sent in time", 0, P1 "+ 1000\nM 2 b\n@ 11000\nc 50\n+ 10000\n"
	  "E mail 2: returned@MAIL[]\nE failed timeout@MAIL[]\n" },
	{ "a later one has gone", SCRIPT_ODD_SERVER, P1 "+ 1000\nM 2 b\n+ 1000\n" WHOLE("b") "@ 302000\nS 250\n@ 302000\n"
	  "+ 300000\nE mail 2: unknown@RCPT[]\nE failed timeout@RCPT[]\n" },
	{ "those behind it have their time after it", 0, P3 "@ 300000\n+ 200000\n" OK("two") E2 "@ 500000\n"
	  "+ 200000\n" OKR("three") E3 "@ 700000\n+ 300000\nE mail 4: unknown@MAIL[]\n"
	  "E failed timeout@MAIL[]\n" },
	{ "one that has not gone is given back, and not sent any more", SCRIPT_ODD_SERVER, P1 "M 2 b\nM 3 c\nc 100\n"
	  "@ 10000\n+ 9999\nY\n+ 1\nW read\nE mail 3: returned@MAIL[]\nN\n@ 300000\n" OK("two") "W close\n"
	  E2 "E closed@message[]\n" },
	{ "one whose body waits is given back", 0, P "M 1 a\n" MAIL TO("a") OK2 "M 2 b\n" BODY "C RSET\n"
	  MAIL TO("b") "@ 10000\n+ 10000\nE mail 2: returned@MAIL[]\nS 250 taken\nW close\n"
	  "E mail 1: accepted@message[250 taken]\nE closed@message[]\n" },
};

static const struct script dialogues[] = {
	{ "chunks", 0, P3 "S 250-2.1.0 a\nS 250 2.1.0 b\nX\nD < 220 mx ESMTP\nD > EHLO me\nD < 250-mx\n"
	  "D < 250-CHUNKING\nD < 250 PIPELINING\nD > MAIL FROM:<f@x>\nD > RCPT TO:<a>\nD < 250 from\n"
	  "D < 250 to\nD > BDAT 22 LAST\nD > (message, 22 bytes)\nD < 250 taken\nD > MAIL FROM:<f@x>\n"
	  "D > RCPT TO:<b>\nD > BDAT 22 LAST\nD > (message, 22 bytes)\nD > RSET\nD > MAIL FROM:<f@x>\n"
	  "D > RCPT TO:<c>\nD > BDAT 22 LAST\nD > (message, 22 bytes)\nD > RSET\nD > MAIL FROM:<f@x>\n"
	  "D > RCPT TO:<d>\nD > BDAT 22 LAST\nD > (message, 22 bytes)\nD < 250-2.1.0 a\nD < 250 2.1.0 b\n"
	  "D \nE mail 2: unknown@RCPT[]\nE mail 3: unknown@RCPT[]\nE mail 4: unknown@RCPT[]\n"
	  "E failed closed@RCPT[]\n" },
	{ "DATA", SCRIPT_NO_CHUNKING, P "M 1 a\n" MAIL TO("a") "C DATA\n" OK2 "S 354\n" SCRIPT_BODY
	  "S 250 \nE mail 1: accepted@message[250]\nD < 220 mx ESMTP\nD > EHLO me\nD < 250-mx\n"
	  "D < 250-CHUNKING\nD < 250 PIPELINING\nD > MAIL FROM:<f@x>\nD > RCPT TO:<a>\nD > DATA\n"
	  "D < 250 from\nD < 250 to\nD < 354\nD > (message, 22 bytes)\nD < 250 \nQ\nC QUIT\nX\nD > QUIT\nD \n"
	  "E closed@QUIT[]\n" },
	{ "a dot alone", SCRIPT_NO_CHUNKING, P "M 1 a\n" MAIL TO("a") "C DATA\nS 250\nS 550\nS 354\nC .\n"
	  "S 554 none\nE mail 1: refused@RCPT[550]\nD < 220 mx ESMTP\nD > EHLO me\nD < 250-mx\n"
	  "D < 250-CHUNKING\nD < 250 PIPELINING\nD > MAIL FROM:<f@x>\nD > RCPT TO:<a>\nD > DATA\n"
	  "D < 250\nD < 550\nD < 354\nD > .\nD < 554 none\nD \n" },
	{ "broken and binary", SCRIPT_ODD_SERVER, "S 220-\x1b[31m \\ caf\xc3\xa9\nS x21 hm\nW close\n"
	  "D < 220-\\x1b[31m \\x5c caf\\xc3\\xa9\nD < x21 hm\nD \nE failed protocol@greeting[x21 hm]\n" },
	{ "another protocol", SCRIPT_ODD_SERVER, "S SSH-2.0-x\nD < SSH-2.0-x\nD \n"
	  "E failed protocol@greeting[SSH-2.0-x]\n" },
	{ "cut off", 0, "S 220-mx\ns 220 ES\nX\nD < 220-mx\nD < 220 ES\nD \nE failed closed@greeting[]\n" },
};

#define SCRIPT_TEST(name, scripts) \
	static void name(void **state) { (void)state; SCRIPT_RUN_ALL(scripts); }

SCRIPT_TEST(chunking__nothing_refused__mails_stand_behind_each_other, plain)
SCRIPT_TEST(chunking__each_refusal__is_its_own_mails_alone, refusals)
SCRIPT_TEST(chunking__session_is_refused__bodies_on_their_way_are_answered_first, leaving)
SCRIPT_TEST(chunking__session_ends__what_has_gone_is_unknown, ends)
SCRIPT_TEST(chunking__each_deadline__counts_from_its_start, deadlines)
SCRIPT_TEST(dialogue__each_line_said_and_heard__is_written_down, dialogues)

static void dialogue__buffer_is_full__whole_lines_up_to_it(void **state)
{
	struct buffer dialogue = { .limit = 30 };
	struct smtp_client_settings settings = { .helo = "me", .timeout_mail_ms = 10, .dialogue = &dialogue };
	struct smtp_client *c = smtp_client_new(&settings, 0);

	(void)state;
	smtp_client_connected(c, 0);
	assert_int_equal(smtp_client_feed(c, "220 mx ESMTP\r\n", 14, 0), MAILERS_OK);
	smtp_client_ack(c, 9, 0);
	assert_int_equal(smtp_client_feed(c, "250 mx.example.org\r\n", 20, 0), MAILERS_OK);
	assert_int_equal(dialogue.len, 25);
	assert_memory_equal(dialogue.data, "< 220 mx ESMTP\n> EHLO me\n", 25);
	smtp_client_free(c);
	buffer_free(&dialogue);
}

/* Mails of these sizes behind an accepted one: how many of their bodies stand in the output. */
static void expect_bodies(size_t first, size_t second, size_t bodies)
{
	static char text[SMTP_CLIENT_WINDOW_BYTES + 2];
	struct smtp_client_settings settings = { .helo = "me", .timeout_mail_ms = 10, .timeout_final_ms = 10 };
	struct smtp_client *c = smtp_client_new(&settings, 0);
	const char *rcpt = "r", *data;
	struct smtp_envelope env = { .from = "f", .rcpt = &rcpt, .nrcpt = 1, .message = text };
	const char said[] = "250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n", ok[] = "250\r\n250\r\n";
	size_t sizes[] = { 2, first, second }, i, found = 0;

	smtp_client_connected(c, 0);
	smtp_client_feed(c, "220 ESMTP\r\n", 11, 0);
	smtp_client_ack(c, 100, 0);
	smtp_client_feed(c, said, sizeof(said) - 1, 0);
	for (i = 0; i < 3; i++) {
		memset(text, 'x', sizeof(text));
		memcpy(text + sizes[i] - 2, "\r\n", 2);
		env.message_len = sizes[i];
		assert_int_equal(smtp_client_submit(c, &env, 0), MAILERS_OK);
		if (!i) {
			smtp_client_ack(c, 100, 0);
			smtp_client_feed(c, ok, sizeof(ok) - 1, 0);
			smtp_client_ack(c, 100, 0);
			smtp_client_feed(c, "250\r\n", 5, 0);
		}
	}
	assert_true(smtp_client_accepts(c) == (bodies == 2));
	for (i = smtp_client_peek(c, &data); i > 4; i--)
		found += !memcmp(data + i - 5, "BDAT ", 5);
	assert_int_equal(found, bodies);
	smtp_client_free(c);
}

static void chunking__bytes_in_flight__bounded_but_for_one(void **state)
{
	(void)state;
	expect_bodies(100, 100, 2);
	expect_bodies(100, SMTP_CLIENT_WINDOW_BYTES - 100, 2);
	expect_bodies(100, SMTP_CLIENT_WINDOW_BYTES - 99, 1);
	expect_bodies(SMTP_CLIENT_WINDOW_BYTES + 1, 2, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(chunking__nothing_refused__mails_stand_behind_each_other),
		cmocka_unit_test(chunking__each_refusal__is_its_own_mails_alone),
		cmocka_unit_test(chunking__session_is_refused__bodies_on_their_way_are_answered_first),
		cmocka_unit_test(chunking__session_ends__what_has_gone_is_unknown),
		cmocka_unit_test(chunking__each_deadline__counts_from_its_start),
		cmocka_unit_test(chunking__bytes_in_flight__bounded_but_for_one),
		cmocka_unit_test(dialogue__each_line_said_and_heard__is_written_down),
		cmocka_unit_test(dialogue__buffer_is_full__whole_lines_up_to_it),
	};

	return cmocka_run_group_tests_name("smtp_chunking", tests, NULL, NULL);
}
