/*
 * A TLS session after its handshake: data both ways, what a server may do with the session, and how it ends.
 */
#include "peer.h"

#define HOST "mx.example.org"

#define ROWS(rows) (sizeof(rows) / sizeof(*(rows)))

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
static const size_t steps[] = { STEP_ALL, STEP_NEED, 1, 7, 1000 };

static char text[100000];

static void text_fill(void)
{
	size_t i;

	for (i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * 31 >> 4);
}

static void pair_connect_with(struct pair *p, int version, size_t step, const char *ciphers)
{
	struct tls_settings settings = { .verify = true, .ca_file = cert_path("root.pem") };
	struct peer_settings peer = { .min_version = version, .max_version = version, .ciphers = ciphers };

	pair_new(p, &settings, HOST, &peer);
	p->step = step;
	pair_settle(p);
	assert_true(pair_up_and_running(p));
}

static void pair_connect(struct pair *p, int version, size_t step)
{
	pair_connect_with(p, version, step, NULL);
}

/* Reads all plaintext in pieces of <size>; it must be the first <len> bytes of <text>. */
static void pair_read(struct pair *p, size_t len, size_t size)
{
	char *got = malloc(len + size);
	size_t at = 0, n;

	assert_non_null(got);
	while (at <= len && (n = tls_openssl.read(p->session, got + at, size)))
		at += n;
	assert_int_equal(at, len);
	assert_memory_equal(got, text, len);
	free(got);
}

/* --- data ------------------------------------------------------------------------------------------------- */

static void data__each_cipher_and_step__arrives_both_ways(void **state)
{
	static const struct {
		int version;
		const char *ciphers;
	} rows[] = {
		{ TLS1_3_VERSION, NULL },
		{ TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384" },
		{ TLS1_2_VERSION, "ECDHE-ECDSA-AES128-SHA" }, /* CBC */
		{ TLS1_2_VERSION, "ECDHE-ECDSA-CHACHA20-POLY1305" },
	};
	static const size_t sizes[] = { 1, 3, 4096, 16383, 16384, 16385, 70000 };
	static char heard[sizeof(text) + 1];
	size_t i, j, k;

	(void)state;
	for (i = 0; i < ROWS(rows); i++) {
		for (j = 0; j < ROWS(steps); j++) {
			struct pair p;

			pair_connect_with(&p, rows[i].version, steps[j], rows[i].ciphers);
			for (k = 0; k < ROWS(sizes); k++) {
				assert_int_equal(tls_openssl.write(p.session, text, sizes[k]), MAILERS_OK);
				while (pair_up(&p))
					;
				assert_int_equal(pair_hear(&p, heard, sizeof(heard)), sizes[k]);
				assert_memory_equal(heard, text, sizes[k]);
				pair_say(&p, text, sizes[k]);
				pair_settle(&p);
				pair_read(&p, sizes[k], k % 2 ? 5000 : 17);
			}
			assert_int_equal(p.error, MAILERS_OK);
			pair_free(&p);
		}
	}
}

/* The host reads exactly what need() says: never a byte of the record behind. */
static void need__records_of_each_length__read_in_two_pieces(void **state)
{
	struct pair p;
	size_t len, calls;

	(void)state;
	pair_connect(&p, TLS1_3_VERSION, STEP_NEED);
	for (len = 1; len <= 16384; len = len * 3 + 1) {
		pair_say(&p, text, len);
		calls = p.count;
		assert_int_equal(tls_openssl.need(p.session), TLS_RECORD_HEADER);
		pair_settle(&p);
		assert_int_equal(p.count - calls, 2); /* header, body */
		pair_read(&p, len, 4096);
	}
	pair_free(&p);
}

static void write__before_the_handshake_or_after_close__refused(void **state)
{
	struct tls_settings settings = { .verify = false };
	struct pair p;

	(void)state;
	pair_new(&p, &settings, HOST, NULL);
	assert_int_equal(tls_openssl.write(p.session, "x", 1), MAILERS_ERR_TLS);
	pair_free(&p);
	pair_connect(&p, TLS1_3_VERSION, STEP_ALL);
	tls_openssl.close(p.session);
	assert_int_equal(tls_openssl.write(p.session, "x", 1), MAILERS_ERR_TLS);
	pair_free(&p);
}

/* --- what servers do -------------------------------------------------------------------------------------- */

static void tickets__many_come__no_plaintext_and_no_failure(void **state)
{
	struct pair p;
	int i;

	(void)state;
	pair_connect(&p, TLS1_3_VERSION, STEP_NEED);
	for (i = 0; i < 50; i++) {
		assert_true(SSL_new_session_ticket(p.server));
		pair_say(&p, text, 3);
		pair_settle(&p);
		pair_read(&p, 3, 10);
	}
	assert_int_equal(p.error, MAILERS_OK);
	pair_free(&p);
}

static void key_update__each_kind__data_goes_on_both_ways(void **state)
{
	static const int kinds[] = { SSL_KEY_UPDATE_NOT_REQUESTED, SSL_KEY_UPDATE_REQUESTED };
	char heard[100];
	size_t i, j;

	(void)state;
	for (i = 0; i < ROWS(kinds); i++) {
		for (j = 0; j < ROWS(steps); j++) {
			const char *data;
			struct pair p;
			int n;

			pair_connect(&p, TLS1_3_VERSION, steps[j]);
			for (n = 0; n < 5; n++) {
				assert_true(SSL_key_update(p.server, kinds[i]));
				pair_say(&p, text, 10); /* with the new key */
				while (pair_down(&p))
					;
				pair_read(&p, 10, 100);
				/* Ours is owed if it was asked for, at the latest before our next data. */
				assert_int_equal(tls_openssl.write(p.session, "hello", 5), MAILERS_OK);
				assert_true(tls_openssl.peek(p.session, &data) > 0);
				while (pair_up(&p))
					;
				assert_int_equal(pair_hear(&p, heard, sizeof(heard)), 5);
				assert_string_equal(heard, "hello");
			}
			assert_int_equal(p.error, MAILERS_OK);
			pair_free(&p);
		}
	}
}

/* A HelloRequest gets a warning, and the session goes on without it. */
static void renegotiation__server_asks__refused_and_data_goes_on(void **state)
{
	const char *data;
	struct pair p;

	(void)state;
	pair_connect(&p, TLS1_2_VERSION, STEP_ALL);
	assert_true(SSL_renegotiate(p.server));
	ERR_clear_error();
	SSL_do_handshake(p.server); /* the request alone leaves */
	ERR_clear_error();
	assert_true(BIO_pending(p.out) > 0);
	while (pair_down(&p))
		;
	assert_int_equal(p.error, MAILERS_OK);
	assert_true(tls_openssl.established(p.session));
	assert_true(tls_openssl.peek(p.session, &data) > 0);
	assert_int_equal(data[0], 21); /* an alert: no ClientHello */
	/* OpenSSL's server would give up now; one that goes on is heard. */
	assert_int_equal(tls_openssl.write(p.session, text, 10), MAILERS_OK);
	pair_free(&p);
}

static void alert__after_the_handshake__is_the_failure(void **state)
{
	struct pair p;
	size_t v;

	(void)state;
	for (v = 0; v < ROWS(versions); v++) {
		pair_connect(&p, versions[v], STEP_ALL);
		BIO_write(p.in, "\x17\x03\x03\x00\x20" "0123456789abcdef0123456789abcdef", 37);
		assert_int_equal(SSL_read(p.server, text, 1), -1); /* it cannot decrypt that, and says so */
		pair_settle(&p);
		assert_int_equal(p.error, MAILERS_ERR_TLS);
		assert_string_equal(tls_openssl.reason(p.session), "the server refused with a TLS alert: bad record mac");
		assert_false(tls_openssl.ended(p.session));
		pair_free(&p);
	}
}

static void garbage__in_place_of_a_record__is_a_failure(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} rows[] = {
		{ "250 ok\r\n250 ok\r\n250 ok\r\n", 24 },
		{ "\x17\x03\x03\x00\x20" "0123456789abcdef0123456789abcdef", 37 },
		{ "\x17\x03\x03\xff\xff", 5 },
		{ "\x16\x03\x03\x00\x04\x00\x00\x00\x00", 9 },
		{ "\x15\x03\x03\x00\x02\x01\x00", 7 }, /* a close_notify that is not ours */
		{ "\x00\x00\x00\x00\x00", 5 },
	};
	struct pair p;
	size_t i, v;

	(void)state;
	for (v = 0; v < ROWS(versions); v++) {
		for (i = 0; i < ROWS(rows); i++) {
			char got[10];

			pair_connect(&p, versions[v], STEP_ALL);
			/* What came before it is still read. */
			pair_say(&p, text, 5);
			while (pair_down(&p))
				;
			assert_int_equal(tls_openssl.feed(p.session, rows[i].bytes, rows[i].len), MAILERS_ERR_TLS);
			assert_true(*tls_openssl.reason(p.session));
			assert_false(tls_openssl.ended(p.session));
			assert_int_equal(tls_openssl.read(p.session, got, sizeof(got)), 5);
			assert_memory_equal(got, text, 5);
			pair_free(&p);
		}
	}
}

/* --- the end ---------------------------------------------------------------------------------------------- */

static void close_notify__from_the_server__ended_and_the_rest_ignored(void **state)
{
	struct pair p;
	size_t v, i;

	(void)state;
	for (v = 0; v < ROWS(versions); v++) {
		for (i = 0; i < ROWS(steps); i++) {
			pair_connect(&p, versions[v], steps[i]);
			pair_say(&p, text, 10);
			SSL_shutdown(p.server);
			pair_settle(&p);
			assert_int_equal(p.error, MAILERS_OK);
			assert_true(tls_openssl.ended(p.session));
			pair_read(&p, 10, 100);
			assert_int_equal(tls_openssl.feed(p.session, "garbage", 7), MAILERS_OK);
			assert_int_equal(tls_openssl.eof(p.session), MAILERS_OK);
			assert_string_equal(tls_openssl.reason(p.session), "");
			pair_free(&p);
		}
	}
}

static void close_notify__ours__leaves_once_and_reading_goes_on(void **state)
{
	const char *data;
	char heard[10];
	struct pair p;
	size_t v, n;

	(void)state;
	for (v = 0; v < ROWS(versions); v++) {
		pair_connect(&p, versions[v], STEP_ALL);
		tls_openssl.close(p.session);
		n = tls_openssl.peek(p.session, &data);
		assert_true(n > 0);
		tls_openssl.close(p.session);
		assert_int_equal(tls_openssl.peek(p.session, &data), n);
		pair_say(&p, text, 10);
		while (pair_up(&p))
			;
		assert_int_equal(pair_hear(&p, heard, sizeof(heard)), 0);
		assert_int_equal(SSL_get_shutdown(p.server) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
		SSL_shutdown(p.server);
		while (pair_down(&p))
			;
		pair_read(&p, 10, 100);
		assert_true(tls_openssl.ended(p.session));
		pair_free(&p);
	}
}

static void end__without_close_notify__told_and_plaintext_kept(void **state)
{
	struct pair p;
	size_t v, cut;

	(void)state;
	for (v = 0; v < ROWS(versions); v++) {
		for (cut = 1; cut < 30; cut++) {
			pair_connect(&p, versions[v], STEP_ALL);
			pair_say(&p, text, 10);
			while (pair_down(&p))
				;
			pair_say(&p, text, 10);
			p.cut = p.received + cut; /* within the second record */
			while (pair_down(&p))
				;
			assert_int_equal(tls_openssl.eof(p.session), MAILERS_ERR_TLS);
			assert_string_equal(tls_openssl.reason(p.session), "the connection ended without a close_notify");
			pair_read(&p, 10, 100);
			pair_free(&p);
		}
	}
}

static void free__at_any_time__leaves_nothing(void **state)
{
	struct tls_settings settings = { .verify = false };
	struct pair p;

	(void)state;
	tls_openssl.session_free(NULL);
	tls_openssl.context_free(NULL);
	pair_new(&p, &settings, HOST, NULL);
	pair_free(&p);
	pair_connect(&p, TLS1_3_VERSION, STEP_ALL);
	pair_say(&p, text, sizeof(text));
	while (pair_down(&p))
		;
	assert_int_equal(tls_openssl.write(p.session, text, sizeof(text)), MAILERS_OK);
	pair_free(&p);
}

/* HAProxy's own errors and ours share a queue: what was there does not become ours. */
static void error_queue__others_errors_in_it__not_taken_for_ours(void **state)
{
	struct pair p;

	(void)state;
	pair_connect(&p, TLS1_3_VERSION, STEP_ALL);
	pair_say(&p, text, 10);
	ERR_raise(ERR_LIB_SSL, SSL_R_WRONG_VERSION_NUMBER);
	while (pair_down(&p))
		;
	assert_int_equal(p.error, MAILERS_OK);
	pair_read(&p, 10, 100);
	ERR_raise(ERR_LIB_SSL, SSL_R_WRONG_VERSION_NUMBER);
	assert_int_equal(tls_openssl.write(p.session, text, 10), MAILERS_OK);
	assert_int_equal(ERR_peek_error(), 0);
	pair_free(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(data__each_cipher_and_step__arrives_both_ways),
		cmocka_unit_test(need__records_of_each_length__read_in_two_pieces),
		cmocka_unit_test(write__before_the_handshake_or_after_close__refused),
		cmocka_unit_test(tickets__many_come__no_plaintext_and_no_failure),
		cmocka_unit_test(key_update__each_kind__data_goes_on_both_ways),
		cmocka_unit_test(renegotiation__server_asks__refused_and_data_goes_on),
		cmocka_unit_test(alert__after_the_handshake__is_the_failure),
		cmocka_unit_test(garbage__in_place_of_a_record__is_a_failure),
		cmocka_unit_test(close_notify__from_the_server__ended_and_the_rest_ignored),
		cmocka_unit_test(close_notify__ours__leaves_once_and_reading_goes_on),
		cmocka_unit_test(end__without_close_notify__told_and_plaintext_kept),
		cmocka_unit_test(free__at_any_time__leaves_nothing),
		cmocka_unit_test(error_queue__others_errors_in_it__not_taken_for_ours),
	};

	text_fill();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
