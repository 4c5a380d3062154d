/*
 * Unit tests of wire with the real smtp_client and a TLS session of the test's (wire_fake.h): whole
 * dialogues, in pieces of each size, and what becomes of a mail when the connection ends while it is on its
 * way as ciphertext.
 */
#include <mailers/wire.h>

#include "wire_fake.h"

#define MESSAGE "Subject: s\r\n\r\nhi\r\n"

/* A server that speaks in steps: what it waits for, and what it says then. "<H>" begins TLS on its side. */
struct step {
	const char *heard, *says;
};

static const struct step starttls[] = {
	{ "", "220 mx ESMTP\r\n" },
	{ "EHLO me\r\n", "250-mx\r\n250-PIPELINING\r\n250 STARTTLS\r\n" },
	{ "STARTTLS\r\n", "220 go\r\n" },
	{ "<H>", "" },
	{ "EHLO me\r\n", "250 mx\r\n" }, /* PIPELINING was forgotten */
	{ "MAIL FROM:<f@x>\r\n", "250 ok\r\n" },
	{ "RCPT TO:<r@x>\r\n", "250 ok\r\n" },
	{ "DATA\r\n", "354 go\r\n" },
	{ MESSAGE ".\r\n", "250 taken\r\n" },
	{ "QUIT\r\n", "221 bye\r\n" },
	{ NULL, NULL },
};

static const struct step implicit[] = {
	{ "<H>", "220 mx ESMTP\r\n" }, /* in one piece with the end of the handshake */
	{ "EHLO me\r\n", "250-mx\r\n250 PIPELINING\r\n" },
	{ "MAIL FROM:<f@x>\r\nRCPT TO:<r@x>\r\nDATA\r\n", "250 ok\r\n250 ok\r\n354 go\r\n" },
	{ MESSAGE ".\r\n", "250 taken\r\n" },
	{ "QUIT\r\n", "221 bye\r\n" },
	{ NULL, NULL },
};

static const char *const rcpt[] = { "r@x" };
static const struct smtp_envelope envelope = {
	.from = "f@x", .rcpt = rcpt, .nrcpt = 1, .message = MESSAGE, .message_len = sizeof(MESSAGE) - 1,
};

struct dialogue {
	struct smtp_client *client;
	struct wire *wire;
	struct tls_context context;
	const struct step *step;
	struct buffer in, heard, out; /* the server's: bytes, plaintext of this step, bytes to the client */
	bool tls;
	bool submitted, ended, goodbye;
	bool stays;                   /* no QUIT after the mail */
	enum smtp_client_event_type last;
	enum smtp_client_stage stage;
	enum smtp_outcome outcome;    /* of the mail */
	char reply[256];
};

static void dialogue_new(struct dialogue *d, const struct step *steps, enum smtp_tls tls)
{
	struct smtp_client_settings settings = {
		.helo = "me", .timeout_mail_ms = 10000, .timeout_final_ms = 300000, .timeout_quit_ms = 5000, .tls = tls,
	};
	struct wire_tls wire = { &fake_api, &d->context, "mx", "mx" };

	memset(d, 0, sizeof(*d));
	d->client = smtp_client_new(&settings, 0);
	d->wire = wire_new(d->client, &wire);
	d->step = steps;
	assert_non_null(d->client);
	assert_non_null(d->wire);
	wire_connected(d->wire, 1);
}

static void dialogue_free(struct dialogue *d)
{
	wire_free(d->wire);
	smtp_client_free(d->client);
	assert_int_equal(d->context.sessions, 0);
	buffer_free(&d->in);
	buffer_free(&d->heard);
	buffer_free(&d->out);
}

static void dialogue_events(struct dialogue *d)
{
	struct smtp_client_event ev;

	while (smtp_client_next_event(d->client, &ev)) {
		d->last = ev.type;
		d->stage = ev.stage;
		snprintf(d->reply, sizeof(d->reply), "%s", ev.reply ? ev.reply : "");
		if (ev.type == SMTP_EVENT_TRANSACTION)
			d->outcome = ev.verdicts[0].outcome;
		d->ended = d->ended || ev.type == SMTP_EVENT_CLOSED || ev.type == SMTP_EVENT_FAILED;
	}
	if (!d->submitted && smtp_client_accepts(d->client)) {
		assert_int_equal(smtp_client_submit(d->client, &envelope, 2), MAILERS_OK);
		d->submitted = true;
	} else if (!d->stays && smtp_client_want(d->client) == SMTP_CLIENT_WANT_SUBMIT) {
		smtp_client_quit(d->client, 2);
	}
}

static void server_say(struct dialogue *d, const char *text)
{
	if (d->tls)
		fake_seal_text(&d->out, 'D', text);
	else
		buffer_puts(&d->out, text);
}

static void server_goes_on(struct dialogue *d)
{
	server_say(d, d->step->says);
	d->step++;
	buffer_clear(&d->heard);
}

/* The server takes what came; TLS's own records are answered, the others are the dialogue's. */
static void server_hear(struct dialogue *d)
{
	struct buffer record = { 0 };
	char type;

	if (!d->tls && d->step->heard && strcmp(d->step->heard, "<H>") != 0) {
		buffer_add(&d->heard, d->in.data, d->in.len);
		buffer_clear(&d->in);
	}
	while ((d->tls || (d->step->heard && !strcmp(d->step->heard, "<H>"))) && (type = fake_open(&d->in, &record))) {
		if (type == 'H' && !memcmp(record.data, "hello", 5)) {
			d->tls = true;
			fake_seal_text(&d->out, 'H', "ready");
			server_goes_on(d);
		} else if (type == 'D') {
			buffer_add(&d->heard, record.data, record.len);
		} else if (type == 'C') {
			d->goodbye = true;
		} else {
			assert_true(type == 'H' || type == 'A');
		}
		buffer_clear(&record);
	}
	buffer_free(&record);
	while (d->step->heard && strcmp(d->step->heard, "<H>") != 0 && d->heard.len >= strlen(d->step->heard)) {
		assert_int_equal(d->heard.len, strlen(d->step->heard));
		if (d->heard.len)
			assert_memory_equal(d->heard.data, d->step->heard, d->heard.len);
		server_goes_on(d);
	}
}

/* Moves bytes in pieces of at most <piece>, up to <most> of the client's. False when neither moves. */
static bool dialogue_move(struct dialogue *d, size_t piece, size_t *most)
{
	const char *data;
	size_t n;

	server_hear(d);
	switch (wire_want(d->wire)) {
	case SMTP_CLIENT_WANT_WRITE:
		n = wire_peek(d->wire, &data);
		n = n > piece ? piece : n;
		n = n > *most ? *most : n;
		*most -= n;
		buffer_add(&d->in, data, n);
		wire_ack(d->wire, n, 3);
		break;
	case SMTP_CLIENT_WANT_READ:
		n = d->out.len > piece ? piece : d->out.len;
		/* What is sure to come must not be more than what this server has said. */
		assert_true(!n || wire_need(d->wire) <= d->out.len);
		wire_feed(d->wire, d->out.data, n, 4);
		buffer_shift(&d->out, n);
		break;
	default:
		n = 0;
		break;
	}
	dialogue_events(d);
	return n;
}

static void dialogue_run(struct dialogue *d, size_t piece, size_t most)
{
	while (dialogue_move(d, piece, &most))
		;
}

static void dialogue__each_kind_and_piece__mail_is_taken(void **state)
{
	static const size_t pieces[] = { 1, 2, 3, 7, 64, SIZE_MAX };
	struct tls_description description;
	struct dialogue d;
	size_t i, kind;

	(void)state;
	for (i = 0; i < 2 * sizeof(pieces) / sizeof(*pieces); i++) {
		kind = i % 2;
		dialogue_new(&d, kind ? implicit : starttls, kind ? SMTP_TLS_IMPLICIT : SMTP_TLS_REQUIRED);
		dialogue_run(&d, pieces[i / 2], SIZE_MAX);
		assert_null(d.step->heard);
		assert_true(wire_describe(d.wire, &description));
		assert_true(d.goodbye);
		assert_false(d.ended);
		wire_eof(d.wire, 5); /* without a close_notify */
		dialogue_events(&d);
		assert_int_equal(d.last, SMTP_EVENT_CLOSED);
		assert_int_equal(d.outcome, SMTP_OUTCOME_ACCEPTED);
		assert_int_equal(wire_want(d.wire), SMTP_CLIENT_WANT_CLOSE);
		dialogue_free(&d);
	}
}

/* The final dot is gone when the last byte of its record is, and not before: what the client makes of a
 * lost connection depends on it.
 */
static void dialogue__cut_at_each_byte__unknown_only_behind_the_dot(void **state)
{
	const size_t message = TLS_RECORD_HEADER + sizeof(MESSAGE) - 1 + 3;
	size_t sent, dot = 0, total = 0;
	struct dialogue d;

	(void)state;
	for (sent = 0; sent < 400; sent++) {
		size_t most = sent;

		dialogue_new(&d, implicit, SMTP_TLS_IMPLICIT);
		dialogue_run(&d, SIZE_MAX, most);
		/* nothing of the 250 comes back: the server of this test is deaf from here on */
		if (d.step->heard && !strcmp(d.step->heard, MESSAGE ".\r\n") && !dot)
			dot = sent; /* the first byte of the message's record is next */
		wire_eof(d.wire, 5);
		dialogue_events(&d);
		if (d.submitted && (!dot || sent < dot + message))
			assert_int_equal(d.outcome, SMTP_OUTCOME_RETURNED);
		else if (d.submitted)
			assert_int_equal(d.outcome, SMTP_OUTCOME_ACCEPTED);
		total += d.submitted;
		dialogue_free(&d);
	}
	assert_true(dot > 0 && total > 100);
}

static void dialogue__server_dies_after_the_dot__unknown(void **state)
{
	static const struct step dies[] = {
		{ "<H>", "220 mx ESMTP\r\n" },
		{ "EHLO me\r\n", "250 mx\r\n" },
		{ "MAIL FROM:<f@x>\r\n", "250 ok\r\n" },
		{ "RCPT TO:<r@x>\r\n", "250 ok\r\n" },
		{ "DATA\r\n", "354 go\r\n" },
		{ NULL, NULL },
	};
	const char *data;
	struct dialogue d;
	size_t n;

	(void)state;
	dialogue_new(&d, dies, SMTP_TLS_IMPLICIT);
	dialogue_run(&d, SIZE_MAX, SIZE_MAX); /* the message leaves, and is not answered */
	n = wire_peek(d.wire, &data);
	assert_int_equal(n, 0);
	wire_eof(d.wire, 5);
	dialogue_events(&d);
	assert_int_equal(d.outcome, SMTP_OUTCOME_UNKNOWN);
	dialogue_free(&d);
}

/* Sends all but the last <rest> bytes of what there is; the server gets it. */
static void dialogue_send(struct dialogue *d, size_t rest)
{
	const char *data;
	size_t n = wire_peek(d->wire, &data);

	assert_true(n > rest);
	buffer_add(&d->in, data, n - rest);
	wire_ack(d->wire, n - rest, 3);
}

/* A mail that was given back is tried again elsewhere. Its ciphertext, left half by a socket that took no more,
 * went on its way all the same, and the server delivered it too.
 */
static void dialogue__given_back_as_ciphertext__does_not_leave(void **state)
{
	static const struct step chunks[] = {
		{ "<H>", "220 mx ESMTP\r\n" },
		{ "EHLO me\r\n", "250-mx\r\n250-PIPELINING\r\n250 CHUNKING\r\n" },
		{ "MAIL FROM:<f@x>\r\nRCPT TO:<r@x>\r\n", "250 ok\r\n250 ok\r\n" },
		{ "BDAT 18 LAST\r\n" MESSAGE, "250 taken\r\n" },
		{ "MAIL FROM:<f@x>\r\nRCPT TO:<r@x>\r\nBDAT 18 LAST\r\n" MESSAGE, "" }, /* it takes its time */
		{ NULL, NULL },
	};
	struct dialogue d;
	const char *data;
	size_t most = SIZE_MAX;

	(void)state;
	dialogue_new(&d, chunks, SMTP_TLS_IMPLICIT);
	d.stays = true;
	dialogue_run(&d, SIZE_MAX, SIZE_MAX);
	assert_int_equal(d.outcome, SMTP_OUTCOME_ACCEPTED);
	assert_int_equal(smtp_client_submit(d.client, &envelope, 4), MAILERS_OK);
	dialogue_send(&d, 0);
	server_hear(&d);
	assert_int_equal(smtp_client_submit(d.client, &envelope, 5), MAILERS_OK);
	dialogue_send(&d, 1);
	assert_int_equal(wire_want(d.wire), SMTP_CLIENT_WANT_WRITE);
	smtp_client_tick(d.client, 10005);
	dialogue_events(&d);
	assert_int_equal(d.outcome, SMTP_OUTCOME_RETURNED);
	assert_int_equal(wire_want(d.wire), SMTP_CLIENT_WANT_READ);
	assert_int_equal(wire_peek(d.wire, &data), 0);
	server_say(&d, "250 ok\r\n250 ok\r\n250 taken\r\n"); /* to the one before it */
	assert_true(dialogue_move(&d, SIZE_MAX, &most));
	assert_int_equal(d.outcome, SMTP_OUTCOME_ACCEPTED);
	assert_int_equal(d.last, SMTP_EVENT_CLOSED);
	assert_int_equal(wire_want(d.wire), SMTP_CLIENT_WANT_CLOSE);
	dialogue_free(&d);
}

static void starttls__plain_bytes_with_the_reply__session_fails(void **state)
{
	static const struct step injects[] = {
		{ "", "220 mx ESMTP\r\n" },
		{ "EHLO me\r\n", "250-mx\r\n250 STARTTLS\r\n" },
		{ "STARTTLS\r\n", "220 go\r\n250 injected\r\n" },
		{ "<H>", "" },
		{ NULL, NULL },
	};
	size_t pieces[] = { 1, 9, SIZE_MAX }, i;
	struct dialogue d;

	(void)state;
	for (i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
		dialogue_new(&d, injects, SMTP_TLS_REQUIRED);
		dialogue_run(&d, pieces[i], SIZE_MAX);
		assert_true(d.ended);
		assert_int_equal(d.last, SMTP_EVENT_FAILED);
		assert_false(d.submitted);
		dialogue_free(&d);
	}
}

static void handshake__ends_or_is_none__failed_at_tls(void **state)
{
	static const struct step plain[] = {
		{ "", "220 mx ESMTP\r\n" }, { NULL, NULL }, /* to a client that wants TLS at once */
	};
	struct dialogue d;

	(void)state;
	dialogue_new(&d, plain, SMTP_TLS_IMPLICIT);
	d.step++;
	buffer_puts(&d.out, "220 mx ESMTP\r\n");
	dialogue_run(&d, SIZE_MAX, SIZE_MAX);
	assert_int_equal(d.last, SMTP_EVENT_FAILED);
	assert_int_equal(d.stage, SMTP_STAGE_TLS);
	assert_string_equal(d.reply, "bad record");
	dialogue_free(&d);

	dialogue_new(&d, plain, SMTP_TLS_IMPLICIT);
	d.step++;
	dialogue_run(&d, SIZE_MAX, SIZE_MAX);
	wire_eof(d.wire, 5);
	dialogue_events(&d);
	assert_int_equal(d.last, SMTP_EVENT_FAILED);
	assert_int_equal(d.stage, SMTP_STAGE_TLS);
	assert_string_equal(d.reply, "cut");
	dialogue_free(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dialogue__each_kind_and_piece__mail_is_taken),
		cmocka_unit_test(dialogue__cut_at_each_byte__unknown_only_behind_the_dot),
		cmocka_unit_test(dialogue__server_dies_after_the_dot__unknown),
		cmocka_unit_test(dialogue__given_back_as_ciphertext__does_not_leave),
		cmocka_unit_test(starttls__plain_bytes_with_the_reply__session_fails),
		cmocka_unit_test(handshake__ends_or_is_none__failed_at_tls),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
