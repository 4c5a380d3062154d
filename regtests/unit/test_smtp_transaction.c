/*
 * Unit tests of smtp_client's transactions, as scripts (smtp_script.h): in lockstep (L), pipelined (P), with
 * HELO (H).
 */
#include "smtp_script.h"

#define H "S 220 mx\nC HELO me\nS 250 mx\nE ready\n"
#define L "S 220 mx ESMTP\nC EHLO me\nS 250 mx\nE ready\n"
#define P "S 220 mx ESMTP\nC EHLO me\nS 250-mx\nS 250-8BITMIME\nS 250 PIPELINING\nE ready\n"

#define MAIL "C MAIL FROM:<f@x>\n"
#define BODY SCRIPT_BODY
#define GROUP MAIL "C RCPT TO:<a>\nC DATA\n"
#define OK3 "S 250 from\nS 250 to\nS 354 go\n"

/* A first mail that is accepted. */
#define L1 L "M 1 a\n" MAIL "S 250 from\nC RCPT TO:<a>\nS 250 to\nC DATA\nS 354 go\n" BODY "S 250 taken\n" E1
#define P1 P "M 1 a\n" GROUP OK3 BODY "S 250 taken\n" E1
#define E1 "E mail 1: accepted@message[250 taken]\n"

static const struct script plain[] = {
	{ "H: one recipient, as HAProxy's native sender", 0, H "M 1 a@x\nL MAIL\n" MAIL "W read\n"
	  "S 250 from\nL RCPT\nC RCPT TO:<a@x>\nS 250 to\nL DATA\nC DATA\nS 354 go\nL message\nW write\n"
	  BODY "W read\nS 250 taken\nE mail 1: accepted@message[250 taken]\nC QUIT\nS 221 bye\nX\n"
	  "E closed@QUIT[]\n" },
	{ "L: two mails", 0, L1 "Y\nM 2 b c\n" MAIL "S 250 from\nC RCPT TO:<b>\nS 250 to\nC RCPT TO:<c>\n"
	  "S 251 forward\nC DATA\nS 354 go\nN\n" BODY "N\nS 200\n"
	  "E mail 2: accepted@message[200], accepted@message[200]\nY\n" },
	{ "L: bare codes", 0, L "M 1 a\n" MAIL "S 250\nC RCPT TO:<a>\nS 252\nC DATA\nS 354\n" BODY
	  "S 250\nE mail 1: accepted@message[250]\nW submit\n" },
	{ "L: replies of several lines", 0, L "M 1 a\n" MAIL "S 250-fr\nS 250 om\nC RCPT TO:<a>\nS 250-\n"
	  "S 250\nC DATA\nS 354-g\nS 354 o\n" BODY "S 250-2.0.0 ta\nS 250 2.0.0 ken\n"
	  "E mail 1: accepted@message[250 2.0.0 ta / 2.0.0 ken]\n" },
	{ "P: one mail in one group", 0, P "M 1 a b\nL MAIL\n" MAIL "C RCPT TO:<a>\nC RCPT TO:<b>\n"
	  "C DATA\nN\nS 250 from\nL RCPT\nS 250 to\nS 250 to\nL DATA\nN\nS 354 go\nL message\n" BODY
	  "S 250 taken\nE mail 1: accepted@message[250 taken], accepted@message[250 taken]\nW submit\nY\n" },
	{ "P: the next envelope goes with the body", 0, P "M 1 a\n" GROUP OK3 "Y\nM 2 b\nN\nW write\n"
	  "C Subject: s\nC \nC ..hello\nC .\n" MAIL "C RCPT TO:<b>\nC DATA\nL message\nW read\n"
	  "S 250 taken\n" E1 "N\nL MAIL\n" OK3 BODY "S 250 too\nE mail 2: accepted@message[250 too]\nY\n" },
	{ "P: the next envelope after the body, and all replies at once", 0, P "M 1 a\n" GROUP OK3 BODY
	  "Y\nM 2 b\nN\n" MAIL "C RCPT TO:<b>\nC DATA\nS 250 taken\n" OK3 E1 BODY "S 250 too\n"
	  "E mail 2: accepted@message[250 too]\n" },
	{ "P: three in a row", 0, P "M 1 a\n" GROUP OK3 "M 2 a\n" BODY GROUP "S 250 taken\n" OK3 E1
	  "M 3 a\n" BODY GROUP "S 450 later\n" OK3 "E mail 2: deferred@message[450 later]\n" BODY "Q\n"
	  "S 550 no\nE mail 3: refused@message[550 no]\nC QUIT\n" },
	{ "P: 20 recipients in groups of at most 16 replies", SCRIPT_ODD_SERVER, P
	  "M 1 a b c d e f g h i j k l m n o p q r s t\n" MAIL "C RCPT TO:<a>\nC RCPT TO:<b>\n"
	  "C RCPT TO:<c>\nC RCPT TO:<d>\nC RCPT TO:<e>\nC RCPT TO:<f>\nC RCPT TO:<g>\nC RCPT TO:<h>\n"
	  "C RCPT TO:<i>\nC RCPT TO:<j>\nC RCPT TO:<k>\nC RCPT TO:<l>\nC RCPT TO:<m>\nC RCPT TO:<n>\n"
	  "C RCPT TO:<o>\nS 250\nS 250\nS 250\nS 250\nS 250\nS 250\nS 250\nW read\nS 550\nC RCPT TO:<p>\n"
	  "C RCPT TO:<q>\nC RCPT TO:<r>\nC RCPT TO:<s>\nC RCPT TO:<t>\nC DATA\nS 250\nS 250\nS 250\n"
	  "S 250\nS 250\nS 250\nS 250\nS 250\nS 250\nS 250\nS 250\nS 250\nS 450\nS 354\n" BODY "S 250\n"
	  "E mail 1: accepted@message[250], accepted@message[250], accepted@message[250], "
	  "accepted@message[250], accepted@message[250], accepted@message[250], refused@RCPT[550], "
	  "accepted@message[250], accepted@message[250], accepted@message[250], accepted@message[250], "
	  "accepted@message[250], accepted@message[250], accepted@message[250], accepted@message[250], "
	  "accepted@message[250], accepted@message[250], accepted@message[250], accepted@message[250], "
	  "deferred@RCPT[450]\n" },
};

static const struct script mails[] = { /* MAIL refused */
	{ "L: 550", 0, L "M 1 a b\n" MAIL "S 550 5.1.8 no\n"
	  "E mail 1: refused@MAIL[550 5.1.8 no], refused@MAIL[550 5.1.8 no]\nY\nM 2 a\n" MAIL
	  "S 250 from\nC RCPT TO:<a>\n" },
	{ "L: 450 4.7.1 is greylisting, not us", 0, L "M 1 a\n" MAIL "S 450 4.7.1 later\n"
	  "E mail 1: deferred@MAIL[450 4.7.1 later]\nY\n" },
	{ "L: 452 at the first mail", 0, L "M 1 a\n" MAIL "S 452 full\n"
	  "E mail 1: deferred@MAIL[452 full]\nY\n" },
	{ "H: 550", 0, H "M 1 a\n" MAIL "S 550 no\nE mail 1: refused@MAIL[550 no]\nC QUIT\nS 221\nX\n"
	  "E closed@QUIT[]\n" },
	{ "P: 550, and the rest follows from it", 0, P "M 1 a b\n" MAIL "C RCPT TO:<a>\nC RCPT TO:<b>\n"
	  "C DATA\nS 550 no\nW read\nL RCPT\nN\nS 503 mail first\nS 503 mail first\nL DATA\n"
	  "S 503 mail first\nE mail 1: refused@MAIL[550 no], refused@MAIL[550 no]\nY\nM 2 a\n" GROUP },
	{ "P: 550, and a dot alone when DATA is taken", 0, P "M 1 a\n" GROUP "S 550 no\n"
	  "S 503 mail first\nS 354 go\nN\nC .\nL message\nS 554 nothing\nE mail 1: refused@MAIL[550 no]\n"
	  "M 2 a\n" GROUP },
	{ "P: 550, but a recipient taken: RSET", 0, P "M 1 a\n" GROUP "S 450 no\nS 250 to\nS 503 what\n"
	  "E mail 1: deferred@MAIL[450 no]\nM 2 a\nC RSET\n" GROUP "S 250 reset\n" OK3 BODY },
	{ "P: 550, but a recipient and DATA taken", SCRIPT_ODD_SERVER, P "M 1 a\n" GROUP "S 550 no\n"
	  "S 250 to\nS 354 go\nW close\nE mail 1: refused@MAIL[550 no]\nE failed protocol@DATA[354 go]\n" },
	{ "P: 550 with more recipients than fit a group: no more are sent", 0, P
	  "M 1 a b c d e f g h i j k l m n o p\n" MAIL "C RCPT TO:<a>\nC RCPT TO:<b>\nC RCPT TO:<c>\n"
	  "C RCPT TO:<d>\nC RCPT TO:<e>\nC RCPT TO:<f>\nC RCPT TO:<g>\nC RCPT TO:<h>\nC RCPT TO:<i>\n"
	  "C RCPT TO:<j>\nC RCPT TO:<k>\nC RCPT TO:<l>\nC RCPT TO:<m>\nC RCPT TO:<n>\nC RCPT TO:<o>\n"
	  "S 450\nS 503\nS 503\nS 503\nS 503\nS 503\nS 503\nS 503\nS 503\nS 503\nS 503\nS 503\nS 503\n"
	  "S 503\nS 503\nW read\nS 503\n"
	  "E mail 1: deferred@MAIL[450], deferred@MAIL[450], deferred@MAIL[450], deferred@MAIL[450], "
	  "deferred@MAIL[450], deferred@MAIL[450], deferred@MAIL[450], deferred@MAIL[450], "
	  "deferred@MAIL[450], deferred@MAIL[450], deferred@MAIL[450], deferred@MAIL[450], "
	  "deferred@MAIL[450], deferred@MAIL[450], deferred@MAIL[450], deferred@MAIL[450]\nM 2 a\n" GROUP },
	{ "P: 550, then closed", 0, P "M 1 a\n" GROUP "S 550 no\nX\nE mail 1: refused@MAIL[550 no]\n"
	  "E failed closed@RCPT[]\n" },
	/* It means us. */
	{ "L: 530", 0, L "M 1 a\n" MAIL "S 530 auth\nW close\nE mail 1: returned@MAIL[530 auth]\n"
	  "E failed permanent@MAIL[530 auth]\n" },
	{ "L: 535", 0, L "M 1 a\n" MAIL "S 535\nW close\nE mail 1: returned@MAIL[535]\n"
	  "E failed permanent@MAIL[535]\n" },
	{ "L: 550 5.7.1", 0, L "M 1 a\n" MAIL "S 550 5.7.1 go\nE mail 1: returned@MAIL[550 5.7.1 go]\n"
	  "E failed permanent@MAIL[550 5.7.1 go]\n" },
	{ "P: 554 5.7.0 after an accepted mail", 0, P1 "M 2 a\n" GROUP "S 554 5.7.0 spam\nS 503\nS 503\n"
	  "E mail 2: returned@MAIL[554 5.7.0 spam]\nE failed permanent@MAIL[554 5.7.0 spam]\n" },
	{ "L: 503", 0, L "M 1 a\n" MAIL "S 503 what\nE mail 1: returned@MAIL[503 what]\n"
	  "E failed protocol@MAIL[503 what]\n" },
	{ "L: 354", SCRIPT_ODD_SERVER, L "M 1 a\n" MAIL "S 354\nE mail 1: returned@MAIL[354]\n"
	  "E failed protocol@MAIL[354]\n" },
	{ "L: garbage", SCRIPT_ODD_SERVER, L "M 1 a\n" MAIL "S ok\nE mail 1: returned@MAIL[ok]\n"
	  "E failed protocol@MAIL[ok]\n" },
	{ "L: 421", 0, L "M 1 a\n" MAIL "S 421 bye\nE mail 1: returned@MAIL[421 bye]\n"
	  "E failed temporary@MAIL[421 bye]\n" },
	{ "L: closed", 0, L "M 1 a\n" MAIL "X\nE mail 1: returned@MAIL[]\nE failed closed@MAIL[]\n" },
	/* The server's limit of mails, an ordinary event. */
	{ "L: 421 after a mail", 0, L1 "M 2 a\n" MAIL "S 421 bye\nW close\n"
	  "E mail 2: returned@MAIL[421 bye]\nE closed@MAIL[421 bye]\n" },
	{ "L: 452 after a mail", 0, L1 "M 2 a\n" MAIL "S 452 many\nE mail 2: returned@MAIL[452 many]\n"
	  "E closed@MAIL[452 many]\n" },
	{ "L: 503 after a mail", 0, L1 "M 2 a\n" MAIL "S 503 what\nE mail 2: returned@MAIL[503 what]\n"
	  "E closed@MAIL[503 what]\n" },
	{ "L: garbage after a mail", SCRIPT_ODD_SERVER, L1 "M 2 a\n" MAIL "S ok\n"
	  "E mail 2: returned@MAIL[ok]\nE closed@MAIL[ok]\n" },
	{ "L: closed after a mail", 0, L1 "M 2 a\n" MAIL "X\nE mail 2: returned@MAIL[]\nE closed@MAIL[]\n" },
	{ "L: closed amid the reply after a mail", 0, L1 "M 2 a\n" MAIL "s 25\nX\n"
	  "E mail 2: returned@MAIL[]\nE closed@MAIL[]\n" },
	{ "P: 421 behind an accepted mail", 0, P "M 1 a\n" GROUP OK3 "M 2 a\n" BODY GROUP "S 250 taken\n"
	  "S 421 bye\nX\n" E1 "E mail 2: returned@MAIL[421 bye]\nE closed@MAIL[421 bye]\n" },
	{ "P: closed behind an accepted mail", 0, P "M 1 a\n" GROUP OK3 "M 2 a\n" BODY GROUP
	  "S 250 taken\nX\n" E1 "E mail 2: returned@MAIL[]\nE closed@MAIL[]\n" },
	{ "P: Exim's 503, which takes the rest under the sender before", SCRIPT_ODD_SERVER, P1 "M 2 a\n"
	  GROUP "S 503 sender given\nS 250 to\nS 354 go\nW close\n"
	  "E mail 2: returned@MAIL[503 sender given]\nE closed@MAIL[503 sender given]\n" },
	{ "P: 421 behind a refused mail", 0, P "M 1 a\n" GROUP OK3 "M 2 a\n" BODY GROUP "S 550 no\n"
	  "S 421 bye\nX\nE mail 1: refused@message[550 no]\nE mail 2: returned@MAIL[421 bye]\n"
	  "E failed temporary@MAIL[421 bye]\n" },
};

static const struct script rcpts[] = {
	{ "L: some refused", 0, L "M 1 a b c d\n" MAIL "S 250\nC RCPT TO:<a>\nS 550 5.1.1 who\n"
	  "C RCPT TO:<b>\nS 450 later\nC RCPT TO:<c>\nS 250\nC RCPT TO:<d>\nS 552 many\nC DATA\nS 354\n"
	  BODY "S 250 taken\n"
	  "E mail 1: refused@RCPT[550 5.1.1 who], deferred@RCPT[450 later], accepted@message[250 taken], "
	  "deferred@RCPT[552 many]\nY\nM 2 a\n" MAIL },
	{ "P: some refused", 0, P "M 1 a b\n" MAIL "C RCPT TO:<a>\nC RCPT TO:<b>\nC DATA\nS 250\nS 550\n"
	  "S 250\nS 354\n" BODY "S 450 later\nE mail 1: refused@RCPT[550], deferred@message[450 later]\n"
	  "M 2 a\n" GROUP },
	{ "L: 550 5.7.1 at RCPT is that recipient's", 0, L "M 1 a\n" MAIL "S 250\nC RCPT TO:<a>\n"
	  "S 550 5.7.1 relay\nE mail 1: refused@RCPT[550 5.7.1 relay]\nY\n" },
	{ "L: all refused: no DATA, and RSET before the next", 0, L "M 1 a b\n" MAIL "S 250\n"
	  "C RCPT TO:<a>\nS 550\nC RCPT TO:<b>\nS 451\nE mail 1: refused@RCPT[550], deferred@RCPT[451]\n"
	  "W submit\nM 2 c\nC RSET\nL MAIL\nS 250 reset\n" MAIL "S 250\nC RCPT TO:<c>\nS 250\nC DATA\n"
	  "S 354\n" BODY "S 250\nE mail 2: accepted@message[250]\nM 3 a\n" MAIL },
	{ "H: all refused", 0, H "M 1 a\n" MAIL "S 250\nC RCPT TO:<a>\nS 550\n"
	  "E mail 1: refused@RCPT[550]\nC QUIT\n" },
	{ "P: all refused, and so DATA", 0, P "M 1 a\n" GROUP "S 250\nS 550 who\nS 554 none\n"
	  "E mail 1: refused@RCPT[550 who]\nY\nM 2 a\nC RSET\n" GROUP "S 250\n" OK3 BODY "S 250 two\n"
	  "E mail 2: accepted@message[250 two]\nM 3 a\n" GROUP },
	{ "P: RSET is for one mail", 0, P "M 1 a\n" GROUP "S 250\nS 550 who\nS 554 none\n"
	  "E mail 1: refused@RCPT[550 who]\nM 2 a\nC RSET\n" GROUP "S 250\n" OK3 "M 3 a\n" BODY GROUP
	  "S 250\nE mail 2: accepted@message[250]\n" },
	{ "P: all refused, and DATA deferred", 0, P "M 1 a\n" GROUP "S 250\nS 550 who\nS 451 none\n"
	  "E mail 1: refused@RCPT[550 who]\n" },
	{ "P: all refused, DATA taken: a dot alone, whose reply is no verdict", 0, P "M 1 a\n" GROUP
	  "S 250\nS 550 who\nS 354 go\nN\nC .\nW read\nS 250 taken\nE mail 1: refused@RCPT[550 who]\n"
	  "M 2 a\nC RSET\n" GROUP },
	{ "P: nor is the lack of it", 0, P "M 1 a\n" GROUP "S 250\nS 450 later\nS 354 go\nC .\nX\n"
	  "E mail 1: deferred@RCPT[450 later]\nE failed closed@message[]\n" },
	{ "P: a reply before the dot alone is sent", SCRIPT_ODD_SERVER, P "M 1 a\n" GROUP "S 250\n"
	  "S 450 later\nS 354 go\nS 550 no\nE mail 1: deferred@RCPT[450 later]\n"
	  "E failed protocol@message[550 no]\n" },
	{ "L: RSET refused matters not", 0, L "M 1 a\n" MAIL "S 250\nC RCPT TO:<a>\nS 550\n"
	  "E mail 1: refused@RCPT[550]\nM 2 c\nC RSET\nS 502 what\n" MAIL "S 250\nC RCPT TO:<c>\n" },
	{ "L: RSET refused, and MAIL for that", 0, L "M 1 a\n" MAIL "S 250\nC RCPT TO:<a>\nS 550\n"
	  "E mail 1: refused@RCPT[550]\nM 2 c\nC RSET\nS 502 what\n" MAIL "S 503 sender\n"
	  "E mail 2: returned@MAIL[503 sender]\nE failed protocol@MAIL[503 sender]\n" },
	{ "L: 421 to RSET", 0, L "M 1 a\n" MAIL "S 250\nC RCPT TO:<a>\nS 550\n"
	  "E mail 1: refused@RCPT[550]\nM 2 c\nC RSET\nS 421 bye\nE mail 2: returned@MAIL[421 bye]\n"
	  "E failed temporary@MAIL[421 bye]\n" },
	{ "L: 354 to RSET", SCRIPT_ODD_SERVER, L "M 1 a\n" MAIL "S 250\nC RCPT TO:<a>\nS 550\n"
	  "E mail 1: refused@RCPT[550]\nM 2 c\nC RSET\nS 354\nE mail 2: returned@MAIL[354]\n"
	  "E failed protocol@MAIL[354]\n" },
	{ "L: closed at RSET after a mail", 0, L1 "M 2 a\n" MAIL "S 250\nC RCPT TO:<a>\nS 550\n"
	  "E mail 2: refused@RCPT[550]\nM 3 c\nC RSET\nX\nE mail 3: returned@MAIL[]\nE closed@MAIL[]\n" },
	{ "L: 421", 0, L "M 1 a b c\n" MAIL "S 250\nC RCPT TO:<a>\nS 550 who\nC RCPT TO:<b>\nS 421 bye\n"
	  "W close\nE mail 1: refused@RCPT[550 who], returned@RCPT[421 bye], returned@RCPT[421 bye]\n"
	  "E failed temporary@RCPT[421 bye]\n" },
	{ "L: 421 after a mail", 0, L1 "M 2 a\n" MAIL "S 250\nC RCPT TO:<a>\nS 421 bye\n"
	  "E mail 2: returned@RCPT[421 bye]\nE closed@RCPT[421 bye]\n" },
	{ "P: 421, and nothing after it", 0, P "M 1 a b\n" MAIL "C RCPT TO:<a>\nC RCPT TO:<b>\nC DATA\n"
	  "S 250\nS 250\nS 421 bye\nX\nW close\n"
	  "E mail 1: returned@RCPT[421 bye], returned@RCPT[421 bye]\nE failed temporary@RCPT[421 bye]\n" },
	{ "P: a reply before its RCPT is sent", SCRIPT_ODD_SERVER, P "M 1 a\nc 17\nS 250\nc 12\nS 250\n"
	  "W close\nE mail 1: returned@RCPT[250]\nE failed protocol@RCPT[250]\n" },
	{ "P: replies as soon as their commands are sent", SCRIPT_ODD_SERVER, P "M 1 a\nc 17\nS 250\n"
	  "c 13\nS 250\nc 6\nS 354\n" BODY "S 250\nE mail 1: accepted@message[250]\n" },
	{ "L: 503", 0, L "M 1 a b\n" MAIL "S 250\nC RCPT TO:<a>\nS 450 later\nC RCPT TO:<b>\nS 503 what\n"
	  "E mail 1: deferred@RCPT[450 later], returned@RCPT[503 what]\n"
	  "E failed protocol@RCPT[503 what]\n" },
	{ "L: 354", SCRIPT_ODD_SERVER, L "M 1 a\n" MAIL "S 250\nC RCPT TO:<a>\nS 354\n"
	  "E mail 1: returned@RCPT[354]\nE failed protocol@RCPT[354]\n" },
	{ "L: garbage after a mail", SCRIPT_ODD_SERVER, L1 "M 2 a\n" MAIL "S 250\nC RCPT TO:<a>\nS hi\n"
	  "E mail 2: returned@RCPT[hi]\nE failed protocol@RCPT[hi]\n" },
	{ "L: closed after a mail", 0, L1 "M 2 a\n" MAIL "S 250\nC RCPT TO:<a>\nX\n"
	  "E mail 2: returned@RCPT[]\nE failed closed@RCPT[]\n" },
};

static const struct script datas[] = {
	{ "L: 451", 0, L "M 1 a b\n" MAIL "S 250\nC RCPT TO:<a>\nS 550\nC RCPT TO:<b>\nS 250\nC DATA\n"
	  "S 451 later\nE mail 1: refused@RCPT[550], deferred@DATA[451 later]\nY\nM 2 a\nC RSET\n" },
	{ "P: 554", 0, P "M 1 a\n" GROUP "S 250\nS 250\nS 554 no\nE mail 1: refused@DATA[554 no]\nY\n"
	  "M 2 a\nC RSET\n" GROUP },
	{ "H: 554", 0, H "M 1 a\n" MAIL "S 250\nC RCPT TO:<a>\nS 250\nC DATA\nS 554 no\n"
	  "E mail 1: refused@DATA[554 no]\nC QUIT\n" },
	{ "L: 250", SCRIPT_ODD_SERVER, L "M 1 a\n" MAIL "S 250\nC RCPT TO:<a>\nS 250\nC DATA\n"
	  "S 250 what\nE mail 1: returned@DATA[250 what]\nE failed protocol@DATA[250 what]\n" },
	{ "P: 250 though nobody is to get it", SCRIPT_ODD_SERVER, P "M 1 a\n" GROUP "S 250\nS 550\n"
	  "S 250 what\nE mail 1: refused@RCPT[550]\nE failed protocol@DATA[250 what]\n" },
	{ "L: 503", 0, L "M 1 a\n" MAIL "S 250\nC RCPT TO:<a>\nS 250\nC DATA\nS 503 what\n"
	  "E mail 1: returned@DATA[503 what]\nE failed protocol@DATA[503 what]\n" },
	{ "L: 421", 0, L "M 1 a\n" MAIL "S 250\nC RCPT TO:<a>\nS 250\nC DATA\nS 421 bye\n"
	  "E mail 1: returned@DATA[421 bye]\nE failed temporary@DATA[421 bye]\n" },
	{ "P: closed", 0, P "M 1 a\n" GROUP "S 250\nS 250\nX\nE mail 1: returned@DATA[]\n"
	  "E failed closed@DATA[]\n" },
	{ "L: another 3xx", SCRIPT_ODD_SERVER, L "M 1 a\n" MAIL "S 250\nC RCPT TO:<a>\nS 250\nC DATA\n"
	  "S 350 go\n" BODY "S 250\nE mail 1: accepted@message[250]\n" },
};

#define TO_BODY L "M 1 a b\n" MAIL "S 250\nC RCPT TO:<a>\nS 250\nC RCPT TO:<b>\nS 550\nC DATA\nS 354\n"

static const struct script finals[] = {
	{ "550", 0, TO_BODY BODY "S 550 spam\nE mail 1: refused@message[550 spam], refused@RCPT[550]\nY\n"
	  "M 2 a\n" MAIL },
	{ "552 is about the message's size here", 0, TO_BODY BODY "S 552 big\n"
	  "E mail 1: refused@message[552 big], refused@RCPT[550]\n" },
	{ "451", 0, TO_BODY BODY "S 451 later\nE mail 1: deferred@message[451 later], refused@RCPT[550]\n"
	  "Y\n" },
	{ "421: surely not taken", 0, TO_BODY BODY "S 421 bye\n"
	  "E mail 1: returned@message[421 bye], refused@RCPT[550]\nE failed temporary@message[421 bye]\n" },
	{ "503", 0, TO_BODY BODY "S 503 what\nE mail 1: returned@message[503 what], refused@RCPT[550]\n"
	  "E failed protocol@message[503 what]\n" },
	{ "354: who knows", SCRIPT_ODD_SERVER, TO_BODY BODY "S 354 go\n"
	  "E mail 1: unknown@message[354 go], refused@RCPT[550]\nE failed protocol@message[354 go]\n" },
	{ "garbage", SCRIPT_ODD_SERVER, TO_BODY BODY "S yes\n"
	  "E mail 1: unknown@message[yes], refused@RCPT[550]\nE failed protocol@message[yes]\n" },
	{ "closed", 0, TO_BODY BODY "X\nE mail 1: unknown@message[], refused@RCPT[550]\n"
	  "E failed closed@message[]\n" },
	{ "closed amid the reply", 0, TO_BODY BODY "s 250 take\nX\n"
	  "E mail 1: unknown@message[], refused@RCPT[550]\nE failed closed@message[]\n" },
	{ "closed before the dot was all sent", 0, TO_BODY "c 25\nX\n"
	  "E mail 1: returned@message[], refused@RCPT[550]\nE failed closed@message[]\n" },
	{ "closed when it just was", 0, TO_BODY "c 25\nc 1\nX\n"
	  "E mail 1: unknown@message[], refused@RCPT[550]\nE failed closed@message[]\n" },
	{ "refused before its end: a verdict, but the connection is lost", SCRIPT_ODD_SERVER, TO_BODY
	  "c 5\nS 552 big\nW close\nE mail 1: refused@message[552 big], refused@RCPT[550]\n"
	  "E closed@message[]\n" },
	{ "accepted before its end", SCRIPT_ODD_SERVER, TO_BODY "c 5\nS 250 taken\n"
	  "E mail 1: returned@message[250 taken], refused@RCPT[550]\n"
	  "E failed protocol@message[250 taken]\n" },
	{ "421 before its end", SCRIPT_ODD_SERVER, TO_BODY "c 5\nS 421 slow\n"
	  "E mail 1: returned@message[421 slow], refused@RCPT[550]\n"
	  "E failed temporary@message[421 slow]\n" },
	{ "two replies", SCRIPT_ODD_SERVER, TO_BODY BODY "S 250\nS 250 again\n"
	  "E mail 1: accepted@message[250], refused@RCPT[550]\nE failed protocol@idle[250 again]\n" },
	{ "421 after a mail", 0, L1 "M 2 a\n" MAIL "S 250\nC RCPT TO:<a>\nS 250\nC DATA\nS 354\n" BODY
	  "S 421 bye\nE mail 2: returned@message[421 bye]\nE closed@message[421 bye]\n" },
};

/* One waits for its final reply, one stands behind it. */
#define BEHIND P "M 1 a\n" GROUP OK3 "M 2 b\nC Subject: s\nC \nC ..hello\nC .\n" MAIL "C RCPT TO:<b>\nC DATA\n"

static const struct script pipelined[] = {
	{ "closed", 0, BEHIND "X\nE mail 1: unknown@message[]\nE mail 2: returned@message[]\n"
	  "E failed closed@message[]\n" },
	{ "421", 0, BEHIND "S 421 bye\nE mail 1: returned@message[421 bye]\n"
	  "E mail 2: returned@message[421 bye]\nE failed temporary@message[421 bye]\n" },
	{ "503", SCRIPT_ODD_SERVER, BEHIND "S 503 what\nE mail 1: returned@message[503 what]\n"
	  "E mail 2: returned@message[503 what]\nE failed protocol@message[503 what]\n" },
	{ "closed before the second envelope was all sent", 0, P "M 1 a\n" GROUP OK3 "M 2 b\nc 30\nX\n"
	  "E mail 1: unknown@message[]\nE mail 2: returned@message[]\nE failed closed@message[]\n" },
	{ "closed before the dot was all sent", 0, P "M 1 a\n" GROUP OK3 "M 2 b\nc 25\nX\n"
	  "E mail 1: returned@message[]\nE mail 2: returned@message[]\nE failed closed@message[]\n" },
	{ "the first refused before its end", SCRIPT_ODD_SERVER, P "M 1 a\n" GROUP OK3 "M 2 b\nc 3\n"
	  "S 552 big\nE mail 1: refused@message[552 big]\nE mail 2: returned@message[]\n"
	  "E closed@message[]\n" },
	{ "the second is given back in time, the first then accepted", 0, BEHIND "@ 10000\n+ 9999\nN\n"
	  "+ 1\nE mail 2: returned@MAIL[]\nN\nW read\n@ 300000\nL message\nS 250 taken\nW close\n" E1
	  "E closed@message[]\n" },
	{ "the second is given back, the first then missed", 0, BEHIND "+ 10000\n"
	  "E mail 2: returned@MAIL[]\n+ 290000\nE mail 1: unknown@message[]\nE failed timeout@message[]\n" },
	{ "the second is given back, the connection then closed", 0, BEHIND "+ 10000\n"
	  "E mail 2: returned@MAIL[]\nX\nE mail 1: unknown@message[]\nE failed closed@message[]\n" },
	{ "the second is given back, and quit is asked for", 0, BEHIND "+ 10000\n"
	  "E mail 2: returned@MAIL[]\nQ\nW read\nS 450 later\nW close\n"
	  "E mail 1: deferred@message[450 later]\nE closed@message[]\n" },
	{ "both are late at once", 0, BEHIND "+ 400000\nE mail 1: unknown@message[]\n"
	  "E mail 2: returned@message[]\nE failed timeout@message[]\n" },
	{ "the second was submitted late", 0, P "M 1 a\n" GROUP OK3 BODY "+ 8000\n@ 300000\nM 2 b\n"
	  "@ 18000\n" },
	{ "the second was submitted before the dot was sent", 0, P "M 1 a\n" GROUP OK3 "M 2 a\n+ 1000\n"
	  "@ 10000\n+ 1000\n" BODY GROUP "@ 12000\n" },
	{ "the second has its time from the reply to the first", 0, BEHIND "+ 7000\nS 250 taken\n" E1
	  "@ 17000\nS 250\nS 250\ns 3\n+ 10000\nE mail 2: returned@DATA[]\nE failed timeout@DATA[]\n" },
	{ "MAIL of the second refused", 0, BEHIND "S 250 taken\nS 550 no\nS 503\nS 503\n" E1
	  "E mail 2: refused@MAIL[550 no]\nY\n" },
	{ "a dot alone for the second, and nothing behind it", 0, BEHIND "S 250 taken\n" E1 "S 250\n"
	  "S 550 no\nS 354\nN\nC .\nN\nS 554\nE mail 2: refused@RCPT[550 no]\nY\n" },
};

#define SCRIPT_TEST(name, scripts) \
	static void name(void **state) { (void)state; SCRIPT_RUN_ALL(scripts); }

SCRIPT_TEST(transaction__nothing_refused__accepted, plain)
SCRIPT_TEST(transaction__each_reply_to_mail__is_the_mails_or_the_sessions, mails)
SCRIPT_TEST(transaction__each_reply_to_rcpt__is_that_recipients, rcpts)
SCRIPT_TEST(transaction__each_reply_to_data__is_the_mails, datas)
SCRIPT_TEST(transaction__each_reply_to_the_dot__decides_or_leaves_it_unknown, finals)
SCRIPT_TEST(transaction__one_behind_another__shares_its_fate_or_not, pipelined)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(transaction__nothing_refused__accepted),
		cmocka_unit_test(transaction__each_reply_to_mail__is_the_mails_or_the_sessions),
		cmocka_unit_test(transaction__each_reply_to_rcpt__is_that_recipients),
		cmocka_unit_test(transaction__each_reply_to_data__is_the_mails),
		cmocka_unit_test(transaction__each_reply_to_the_dot__decides_or_leaves_it_unknown),
		cmocka_unit_test(transaction__one_behind_another__shares_its_fate_or_not),
	};

	return cmocka_run_group_tests_name("smtp_transaction", tests, NULL, NULL);
}
