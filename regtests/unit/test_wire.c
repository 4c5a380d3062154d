/*
 * Unit tests of wire with a client and a TLS session that are both made here (wire_fake.h): which bytes go
 * where, and when. The client's functions below stand in for smtp_client's and write down how they are
 * called; test_wire_client.c has the real client.
 */
#include <mailers/wire.h>

#include "wire_fake.h"

struct smtp_client {
	enum smtp_client_want want; /* WRITE follows from <out> */
	enum smtp_client_stage stage;
	size_t need;
	bool over;
	struct buffer out, heard;
	size_t acked;
	bool connected, secured, eof;
	uint64_t now;
	char unsecured[80];
	enum mailers_error unsecured_error;
	size_t over_after;          /* bytes heard, after which the client is over; 0: never */
	enum mailers_error error;   /* of a feed that ends it */
};

void smtp_client_connected(struct smtp_client *c, uint64_t now_ms)
{
	c->connected = true;
	c->now = now_ms;
}

void smtp_client_secured(struct smtp_client *c, uint64_t now_ms)
{
	assert_int_equal(c->want, SMTP_CLIENT_WANT_TLS);
	assert_false(c->over);
	c->secured = true;
	c->want = SMTP_CLIENT_WANT_READ;
	c->now = now_ms;
}

void smtp_client_unsecured(struct smtp_client *c, enum mailers_error error, const char *why, uint64_t now_ms)
{
	assert_false(c->over);
	c->unsecured_error = error;
	snprintf(c->unsecured, sizeof(c->unsecured), "%s", why);
	c->over = true;
	c->now = now_ms;
}

enum mailers_error smtp_client_feed(struct smtp_client *c, const char *data, size_t len, uint64_t now_ms)
{
	assert_true(len);
	c->now = now_ms;
	if (c->over)
		return MAILERS_OK;
	buffer_add(&c->heard, data, len);
	c->over = c->over_after && c->heard.len >= c->over_after;
	return c->over ? c->error : MAILERS_OK;
}

void smtp_client_eof(struct smtp_client *c, uint64_t now_ms)
{
	c->eof = true;
	c->over = true;
	c->now = now_ms;
}

size_t smtp_client_peek(const struct smtp_client *c, const char **data)
{
	*data = c->out.data;
	return c->over ? 0 : c->out.len;
}

void smtp_client_ack(struct smtp_client *c, size_t n, uint64_t now_ms)
{
	assert_in_range(n, 0, c->out.len);
	buffer_shift(&c->out, n);
	c->acked += n;
	c->now = now_ms;
}

enum smtp_client_want smtp_client_want(const struct smtp_client *c)
{
	if (c->over)
		return SMTP_CLIENT_WANT_CLOSE;
	return c->out.len ? SMTP_CLIENT_WANT_WRITE : c->want;
}

size_t smtp_client_need(const struct smtp_client *c)
{
	return c->need;
}

enum smtp_client_stage smtp_client_stage(const struct smtp_client *c)
{
	return c->stage;
}

/* --- one wire, its client and its server ------------------------------------------------------------------ */

struct link {
	struct smtp_client client;
	struct tls_context context;
	struct wire *wire;
	struct buffer in, text; /* what the server got: bytes not opened, and plaintext */
	char types[64];         /* of the records that it opened */
};

static void link_init(struct link *l, bool tls)
{
	struct wire_tls settings = { &fake_api, &l->context, "sni.example", "host.example" };

	memset(l, 0, sizeof(*l));
	l->client.need = 7;
	l->client.want = SMTP_CLIENT_WANT_READ;
	l->wire = wire_new(&l->client, tls ? &settings : NULL);
	assert_non_null(l->wire);
}

static void link_free(struct link *l)
{
	wire_free(l->wire);
	assert_int_equal(l->context.sessions, 0);
	buffer_free(&l->client.out);
	buffer_free(&l->client.heard);
	buffer_free(&l->in);
	buffer_free(&l->text);
}

/* Sends at most <most> bytes of what there is to send; returns how many. */
static size_t link_send(struct link *l, size_t most)
{
	const char *data;
	size_t n = wire_peek(l->wire, &data);

	if (n > most)
		n = most;
	buffer_add(&l->in, data, n);
	wire_ack(l->wire, n, 5);
	return n;
}

/* Sends all and opens it; the types of the records are appended to <types>. */
static const char *link_flush(struct link *l)
{
	char type;

	while (link_send(l, SIZE_MAX))
		;
	while ((type = fake_open(&l->in, &l->text))) {
		size_t len = strlen(l->types);

		assert_in_range(len, 0, sizeof(l->types) - 2);
		l->types[len] = type;
		l->types[len + 1] = '\0';
	}
	assert_int_equal(l->in.len, 0);
	return l->types;
}

static enum mailers_error link_say(struct link *l, char type, const char *text)
{
	struct buffer b = { 0 };
	enum mailers_error error;

	fake_seal_text(&b, type, text);
	error = wire_feed(l->wire, b.data, b.len, 6);
	buffer_free(&b);
	return error;
}

static void link_heard(struct link *l, const char *text)
{
	assert_int_equal(l->client.heard.len, strlen(text));
	assert_memory_equal(l->client.heard.data, text, strlen(text));
}

/* Up to an established session of implicit TLS. */
static void link_secure(struct link *l)
{
	link_init(l, true);
	l->client.want = SMTP_CLIENT_WANT_TLS;
	wire_connected(l->wire, 1);
	assert_string_equal(link_flush(l), "H");
	assert_int_equal(link_say(l, 'H', "ready"), MAILERS_OK);
	assert_true(l->client.secured);
	assert_string_equal(link_flush(l), "HH");
	l->types[0] = '\0';
	buffer_clear(&l->text);
}

/* --- without TLS ------------------------------------------------------------------------------------------ */

static void plain__each_call__goes_to_the_client_as_it_is(void **state)
{
	struct tls_description description;
	struct link l;
	const char *data;

	(void)state;
	link_init(&l, false);
	wire_connected(l.wire, 3);
	assert_true(l.client.connected);
	assert_int_equal(l.client.now, 3);
	assert_int_equal(wire_feed(l.wire, "220 hi\r\n", 8, 4), MAILERS_OK);
	link_heard(&l, "220 hi\r\n");
	assert_int_equal(wire_want(l.wire), SMTP_CLIENT_WANT_READ);
	assert_int_equal(wire_need(l.wire), 7);
	assert_false(wire_encrypted(l.wire));
	buffer_puts(&l.client.out, "EHLO me\r\n");
	assert_int_equal(wire_want(l.wire), SMTP_CLIENT_WANT_WRITE);
	assert_int_equal(wire_peek(l.wire, &data), 9);
	assert_memory_equal(data, "EHLO me\r\n", 9);
	wire_ack(l.wire, 4, 5);
	assert_int_equal(l.client.acked, 4);
	assert_false(wire_describe(l.wire, &description));
	wire_eof(l.wire, 6);
	assert_true(l.client.eof);
	assert_int_equal(wire_want(l.wire), SMTP_CLIENT_WANT_CLOSE);
	link_free(&l);
	wire_free(NULL);
}

static void tls_wanted__none_to_be_had__client_is_told(void **state)
{
	struct link l;
	const char *data;

	(void)state;
	link_init(&l, false);
	l.client.want = SMTP_CLIENT_WANT_TLS;
	wire_connected(l.wire, 1);
	assert_string_equal(l.client.unsecured, "TLS is not available");
	assert_int_equal(wire_want(l.wire), SMTP_CLIENT_WANT_CLOSE);
	assert_int_equal(wire_peek(l.wire, &data), 0);
	wire_ack(l.wire, 1, 1);
	assert_int_equal(wire_feed(l.wire, "x", 1, 1), MAILERS_OK);
	link_free(&l);
}

/* --- the handshake ---------------------------------------------------------------------------------------- */

static void implicit__connected__handshake_then_secured(void **state)
{
	struct tls_description description;
	struct link l;

	(void)state;
	link_init(&l, true);
	l.client.want = SMTP_CLIENT_WANT_TLS;
	wire_connected(l.wire, 1);
	assert_true(wire_encrypted(l.wire));
	assert_int_equal(l.context.sessions, 1);
	assert_int_equal(wire_want(l.wire), SMTP_CLIENT_WANT_WRITE);
	assert_string_equal(link_flush(&l), "H");
	assert_int_equal(wire_want(l.wire), SMTP_CLIENT_WANT_READ);
	assert_int_equal(wire_need(l.wire), TLS_RECORD_HEADER);
	assert_false(wire_describe(l.wire, &description));
	assert_false(l.client.secured);
	assert_int_equal(link_say(&l, 'H', "ready"), MAILERS_OK);
	assert_true(l.client.secured);
	assert_int_equal(l.client.now, 6);
	assert_int_equal(wire_want(l.wire), SMTP_CLIENT_WANT_WRITE);
	assert_string_equal(link_flush(&l), "HH");
	assert_int_equal(wire_want(l.wire), SMTP_CLIENT_WANT_READ);
	assert_true(wire_describe(l.wire, &description));
	assert_string_equal(description.names, "host.example");
	link_free(&l);
}

static void starttls__reply_heard__handshake_begins(void **state)
{
	struct link l;

	(void)state;
	link_init(&l, true);
	wire_connected(l.wire, 1);
	assert_false(wire_encrypted(l.wire));
	l.client.want = SMTP_CLIENT_WANT_TLS; /* as the 220 below makes it */
	assert_int_equal(wire_feed(l.wire, "220 go\r\n", 8, 2), MAILERS_OK);
	link_heard(&l, "220 go\r\n");
	assert_true(wire_encrypted(l.wire));
	assert_string_equal(link_flush(&l), "H");
	link_free(&l);
}

/* What a man in the middle sends behind the 220 must reach the client, who refuses it, or fail the handshake. */
static void starttls__bytes_behind_the_reply__never_taken_as_tls(void **state)
{
	struct link l;

	(void)state;
	link_init(&l, true);
	wire_connected(l.wire, 1);
	l.client.over_after = 8; /* the client ends with it */
	l.client.error = MAILERS_ERR_PROTOCOL;
	assert_int_equal(wire_feed(l.wire, "220 go\r\n250 x\r\n", 15, 2), MAILERS_ERR_PROTOCOL);
	link_heard(&l, "220 go\r\n250 x\r\n");
	assert_false(wire_encrypted(l.wire));
	link_free(&l);

	link_init(&l, true);
	l.client.want = SMTP_CLIENT_WANT_TLS;
	wire_connected(l.wire, 1);
	assert_int_equal(link_say(&l, 'H', "ready"), MAILERS_ERR_TLS);
	assert_string_equal(l.client.unsecured, "the server spoke before the TLS handshake began");
	assert_false(l.client.secured);
	link_free(&l);
}

static void handshake__plaintext_behind_it__is_heard(void **state)
{
	struct buffer b = { 0 };
	struct link l;

	(void)state;
	link_init(&l, true);
	l.client.want = SMTP_CLIENT_WANT_TLS;
	wire_connected(l.wire, 1);
	link_flush(&l);
	fake_seal_text(&b, 'H', "ready");
	fake_seal_text(&b, 'D', "220 hi\r\n");
	assert_int_equal(wire_feed(l.wire, b.data, b.len, 2), MAILERS_OK);
	assert_true(l.client.secured);
	link_heard(&l, "220 hi\r\n");
	buffer_free(&b);
	link_free(&l);
}

static void handshake__byte_by_byte__need_counts_down_to_each_record(void **state)
{
	struct buffer b = { 0 };
	struct link l;
	size_t i;

	(void)state;
	link_init(&l, true);
	l.client.want = SMTP_CLIENT_WANT_TLS;
	wire_connected(l.wire, 1);
	link_flush(&l);
	fake_seal_text(&b, 'H', "ready");
	for (i = 0; i < b.len; i++) {
		assert_int_equal(wire_need(l.wire), i < TLS_RECORD_HEADER ? TLS_RECORD_HEADER - i : b.len - i);
		assert_false(l.client.secured);
		assert_int_equal(wire_feed(l.wire, b.data + i, 1, 2), MAILERS_OK);
	}
	assert_true(l.client.secured);
	buffer_free(&b);
	link_free(&l);
}

static void handshake__fails__client_is_told_and_the_alert_may_leave(void **state)
{
	struct link l;

	(void)state;
	link_init(&l, true);
	l.client.want = SMTP_CLIENT_WANT_TLS;
	wire_connected(l.wire, 1);
	link_flush(&l);
	assert_int_equal(link_say(&l, 'X', "?"), MAILERS_ERR_TLS);
	assert_string_equal(l.client.unsecured, "bad record");
	assert_int_equal(l.client.unsecured_error, MAILERS_ERR_TLS);
	assert_false(wire_encrypted(l.wire));
	assert_int_equal(wire_want(l.wire), SMTP_CLIENT_WANT_WRITE);
	assert_string_equal(link_flush(&l), "HA");
	assert_int_equal(wire_want(l.wire), SMTP_CLIENT_WANT_CLOSE);
	assert_int_equal(link_say(&l, 'D', "x"), MAILERS_OK);
	link_free(&l);
}

static void handshake__connection_ends__is_a_failure_of_tls(void **state)
{
	static const struct {
		const char *record, *why;
	} rows[] = {
		{ "", "cut" },
		{ "C", "the server ended the TLS session before it was established" },
		{ "A", "the server said: alert" },
	};
	struct link l;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		link_init(&l, true);
		l.client.want = SMTP_CLIENT_WANT_TLS;
		wire_connected(l.wire, 1);
		link_flush(&l);
		if (*rows[i].record)
			link_say(&l, *rows[i].record, "");
		else
			wire_eof(l.wire, 2);
		assert_string_equal(l.client.unsecured, rows[i].why);
		assert_false(l.client.eof);
		assert_int_equal(wire_want(l.wire), SMTP_CLIENT_WANT_CLOSE);
		link_free(&l);
	}
}

/* --- established ------------------------------------------------------------------------------------------ */

/* The ends of the first <n> plaintext records in the ciphertext that waits. */
static void record_ends(struct link *l, size_t *ends, size_t n)
{
	const char *data;
	size_t len = wire_peek(l->wire, &data), at = 0, i;

	for (i = 0; i < n; at = ends[i++]) {
		assert_true(at + TLS_RECORD_HEADER <= len);
		ends[i] = at + TLS_RECORD_HEADER + ((size_t)(unsigned char)data[at + 3] << 8 | (unsigned char)data[at + 4]);
	}
}

static void output__ciphertext_leaves_byte_by_byte__acked_with_the_last_byte(void **state)
{
	struct link l;
	size_t i;

	(void)state;
	link_secure(&l);
	buffer_puts(&l.client.out, ".\r\n");
	for (i = 0; i < TLS_RECORD_HEADER + 3; i++) {
		assert_int_equal(l.client.acked, 0);
		assert_int_equal(wire_want(l.wire), SMTP_CLIENT_WANT_WRITE);
		assert_int_equal(link_send(&l, 1), 1);
	}
	assert_int_equal(l.client.acked, 3);
	assert_int_equal(link_send(&l, 1), 0);
	assert_string_equal(link_flush(&l), "D");
	assert_memory_equal(l.text.data, ".\r\n", 3);
	link_free(&l);
}

/* The server can answer the dot in a record that left, whatever becomes of the next one. */
static void output__several_records__each_acked_when_it_has_left(void **state)
{
	static char body[40000];
	size_t ends[3];
	struct link l;

	(void)state;
	memset(body, 'x', sizeof(body));
	link_secure(&l);
	buffer_add(&l.client.out, body, sizeof(body));
	record_ends(&l, ends, 3);
	link_send(&l, ends[0] - 1);
	assert_int_equal(l.client.acked, 0);
	link_send(&l, 1);
	assert_int_equal(l.client.acked, 16384);
	link_send(&l, ends[1] - ends[0]);
	assert_int_equal(l.client.acked, 32768);
	link_send(&l, ends[2] - ends[1] - 1);
	assert_int_equal(l.client.acked, 32768);
	link_send(&l, 1);
	assert_int_equal(l.client.acked, sizeof(body));
	assert_string_equal(link_flush(&l), "DDD");
	assert_int_equal(l.text.len, sizeof(body));
	link_free(&l);
}

static void output__more_than_a_chunk__encrypted_as_the_rest_leaves(void **state)
{
	static char body[3 * WIRE_CHUNK + 17];
	struct link l;
	const char *data;
	size_t i, n;

	(void)state;
	for (i = 0; i < sizeof(body); i++)
		body[i] = (char)(i * 7 >> 3);
	for (n = 999; n < 200000; n += 7777) {
		link_secure(&l);
		buffer_add(&l.client.out, body, sizeof(body));
		while (link_send(&l, n))
			assert_true(wire_peek(l.wire, &data) <= WIRE_CHUNK + 20 * TLS_RECORD_HEADER);
		link_flush(&l);
		assert_int_equal(l.client.acked, sizeof(body));
		assert_int_equal(l.text.len, sizeof(body));
		assert_memory_equal(l.text.data, body, sizeof(body));
		link_free(&l);
	}
}

/* What the session sends by itself stands between the records, and is nobody's plaintext. */
static void output__key_updates_between__acks_stay_exact(void **state)
{
	size_t cut, n;
	struct link l;

	(void)state;
	for (cut = 1; cut < 40; cut++) {
		link_secure(&l);
		link_say(&l, 'K', "");
		buffer_puts(&l.client.out, "first");
		assert_int_equal(wire_want(l.wire), SMTP_CLIENT_WANT_WRITE); /* is encrypted: K D */
		link_say(&l, 'K', "");
		buffer_puts(&l.client.out, "second");
		for (n = 0; link_send(&l, n + cut > 31 && n < 31 ? 31 - n : cut);) {
			n = l.in.len;
			/* K 5, "first" 10, K 5, "second" 11 */
			assert_int_equal(l.client.acked, n < 15 ? 0 : n < 31 ? 5 : 11);
		}
		assert_string_equal(link_flush(&l), "KDKD");
		assert_int_equal(l.text.len, 11);
		assert_memory_equal(l.text.data, "firstsecond", 11);
		link_free(&l);
	}
}

static void want__each_of_the_clients__is_passed_on(void **state)
{
	struct link l;

	(void)state;
	link_secure(&l);
	assert_int_equal(wire_want(l.wire), SMTP_CLIENT_WANT_READ);
	l.client.want = SMTP_CLIENT_WANT_SUBMIT;
	assert_int_equal(wire_want(l.wire), SMTP_CLIENT_WANT_SUBMIT);
	link_say(&l, 'K', "");
	assert_int_equal(wire_want(l.wire), SMTP_CLIENT_WANT_WRITE);
	link_flush(&l);
	assert_int_equal(wire_want(l.wire), SMTP_CLIENT_WANT_SUBMIT);
	buffer_puts(&l.client.out, "MAIL");
	l.client.over = true; /* a deadline of its own: nothing of it leaves */
	assert_int_equal(wire_want(l.wire), SMTP_CLIENT_WANT_CLOSE);
	assert_int_equal(link_send(&l, SIZE_MAX), 0);
	link_free(&l);
}

static void input__more_than_a_buffer__all_is_heard_in_order(void **state)
{
	struct buffer b = { 0 }, text = { 0 };
	struct link l;
	size_t i;

	(void)state;
	for (i = 0; i < 2000; i++)
		buffer_printf(&text, "250-%zu\r\n", i);
	link_secure(&l);
	fake_seal(&b, 'D', text.data, 16000);
	fake_seal(&b, 'D', text.data + 16000, text.len - 16000);
	assert_int_equal(wire_feed(l.wire, b.data, b.len, 2), MAILERS_OK);
	assert_int_equal(l.client.heard.len, text.len);
	assert_memory_equal(l.client.heard.data, text.data, text.len);
	buffer_free(&b);
	buffer_free(&text);
	link_free(&l);
}

/* A verdict that came before the failure counts: without it the mail would be sent again. */
static void input__reply_then_garbage__reply_is_heard_first(void **state)
{
	struct buffer b = { 0 };
	struct link l;

	(void)state;
	link_secure(&l);
	fake_seal_text(&b, 'D', "250 taken\r\n");
	fake_seal_text(&b, 'X', "?");
	assert_int_equal(wire_feed(l.wire, b.data, b.len, 2), MAILERS_ERR_TLS);
	link_heard(&l, "250 taken\r\n");
	assert_string_equal(l.client.unsecured, "bad record");
	assert_int_equal(l.client.unsecured_error, MAILERS_ERR_TLS);
	buffer_free(&b);
	link_free(&l);
}

static void input__clients_error__is_returned(void **state)
{
	struct link l;

	(void)state;
	link_secure(&l);
	l.client.over_after = 5;
	l.client.error = MAILERS_ERR_PROTOCOL;
	assert_int_equal(link_say(&l, 'D', "554 no\r\n"), MAILERS_ERR_PROTOCOL);
	assert_int_equal(wire_want(l.wire), SMTP_CLIENT_WANT_CLOSE);
	assert_string_equal(l.client.unsecured, "");
	link_free(&l);
}

static void ending__each_way__is_the_end_of_the_connection(void **state)
{
	struct buffer b = { 0 };
	struct link l;

	(void)state;
	link_secure(&l); /* close_notify, behind a reply */
	fake_seal_text(&b, 'D', "421 bye\r\n");
	fake_seal_text(&b, 'C', "");
	assert_int_equal(wire_feed(l.wire, b.data, b.len, 2), MAILERS_OK);
	link_heard(&l, "421 bye\r\n");
	assert_true(l.client.eof);
	assert_int_equal(wire_want(l.wire), SMTP_CLIENT_WANT_CLOSE);
	buffer_free(&b);
	link_free(&l);

	link_secure(&l); /* none */
	wire_eof(l.wire, 3);
	assert_true(l.client.eof);
	assert_string_equal(l.client.unsecured, "");
	link_free(&l);

	link_secure(&l); /* within a record */
	assert_int_equal(wire_feed(l.wire, "D\3\3", 3, 2), MAILERS_OK);
	wire_eof(l.wire, 3);
	assert_true(l.client.eof);
	assert_string_equal(l.client.unsecured, "");
	assert_int_equal(link_say(&l, 'D', "late"), MAILERS_OK);
	link_heard(&l, "");
	link_free(&l);
}

static void quit__answered__close_notify_leaves_once(void **state)
{
	struct link l;

	(void)state;
	link_secure(&l);
	buffer_puts(&l.client.out, "QUIT\r\n");
	l.client.stage = SMTP_STAGE_QUIT;
	l.client.need = 5;
	assert_string_equal(link_flush(&l), "D");
	assert_int_equal(wire_want(l.wire), SMTP_CLIENT_WANT_READ);
	l.client.need = 1;
	link_say(&l, 'D', "221 bye\r\n");
	assert_int_equal(wire_want(l.wire), SMTP_CLIENT_WANT_WRITE);
	assert_string_equal(link_flush(&l), "DC");
	link_say(&l, 'K', "");
	assert_string_equal(link_flush(&l), "DCK");
	link_say(&l, 'C', "");
	assert_true(l.client.eof);
	assert_int_equal(wire_want(l.wire), SMTP_CLIENT_WANT_CLOSE);
	link_free(&l);
}

/* --- memory ----------------------------------------------------------------------------------------------- */

static bool dialogue(struct link *l)
{
	static const struct wire_tls tls = { .api = &fake_api };
	struct wire_tls settings = tls;
	struct buffer b = { 0 };

	memset(l, 0, sizeof(*l));
	l->client.need = 7;
	settings.context = &l->context;
	l->wire = wire_new(&l->client, &settings);
	if (!l->wire)
		return false;
	l->client.want = SMTP_CLIENT_WANT_TLS;
	wire_connected(l->wire, 1);
	while (link_send(l, 9))
		;
	fake_seal_text(&b, 'H', "ready");
	fake_seal_text(&b, 'D', "220 hi\r\n");
	if (!buffer_error(&b))
		wire_feed(l->wire, b.data, b.len, 2);
	buffer_free(&b);
	buffer_puts(&l->client.out, "EHLO me\r\n");
	while (link_send(l, 9))
		;
	return l->client.acked == 9;
}

static void allocation__each_fails__told_and_nothing_leaks(void **state)
{
	struct link l;
	bool failed, good;
	long n;

	(void)state;
	for (n = 0;; n++) {
		unit_fail_at(n);
		good = dialogue(&l);
		failed = unit_failed();
		if (l.wire && !good && l.client.over) {
			assert_string_equal(l.client.unsecured, "out of memory");
			/* It was told as a failure of TLS: with opportunistic TLS the mail went in plain text then. */
			assert_int_equal(l.client.unsecured_error, MAILERS_ERR_NOMEM);
		}
		link_free(&l);
		if (!failed)
			break;
	}
	assert_true(good);
	assert_true(n > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain__each_call__goes_to_the_client_as_it_is),
		cmocka_unit_test(tls_wanted__none_to_be_had__client_is_told),
		cmocka_unit_test(implicit__connected__handshake_then_secured),
		cmocka_unit_test(starttls__reply_heard__handshake_begins),
		cmocka_unit_test(starttls__bytes_behind_the_reply__never_taken_as_tls),
		cmocka_unit_test(handshake__plaintext_behind_it__is_heard),
		cmocka_unit_test(handshake__byte_by_byte__need_counts_down_to_each_record),
		cmocka_unit_test(handshake__fails__client_is_told_and_the_alert_may_leave),
		cmocka_unit_test(handshake__connection_ends__is_a_failure_of_tls),
		cmocka_unit_test(output__ciphertext_leaves_byte_by_byte__acked_with_the_last_byte),
		cmocka_unit_test(output__several_records__each_acked_when_it_has_left),
		cmocka_unit_test(output__more_than_a_chunk__encrypted_as_the_rest_leaves),
		cmocka_unit_test(output__key_updates_between__acks_stay_exact),
		cmocka_unit_test(want__each_of_the_clients__is_passed_on),
		cmocka_unit_test(input__more_than_a_buffer__all_is_heard_in_order),
		cmocka_unit_test(input__reply_then_garbage__reply_is_heard_first),
		cmocka_unit_test(input__clients_error__is_returned),
		cmocka_unit_test(ending__each_way__is_the_end_of_the_connection),
		cmocka_unit_test(quit__answered__close_notify_leaves_once),
		cmocka_unit_test(allocation__each_fails__told_and_nothing_leaks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
