/*
 * TLS's handshake and its verdicts: which servers are taken, what is said about those that are not, and
 * that no split of the bytes makes a difference.
 */
#include "peer.h"

#define HOST "mx.example.org"

static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };

#define ROWS(rows) (sizeof(rows) / sizeof(*(rows)))

/* --- certificates ----------------------------------------------------------------------------------------- */

static const struct verify_row {
	const char *crt, *host;
	const char *ca, *crl;  /* ca: root.pem */
	const char *reason;    /* NULL: it is taken */
} verify_rows[] = {
	{ "good.pem", HOST, NULL, NULL, NULL },
	{ "good.pem", "MX.Example.ORG", NULL, NULL, NULL },
	{ "good.pem", HOST ".", NULL, NULL, NULL },
	{ "good.pem", "a.wild.example.org", NULL, NULL, NULL },
	{ "good.pem", "a.b.wild.example.org", NULL, NULL,
	  "hostname mismatch: wanted a.b.wild.example.org, certificate is for mx.example.org, *.wild.example.org" },
	{ "good.pem", NULL, NULL, NULL, NULL },
	{ "plain.pem", HOST, NULL, NULL, NULL },
	{ "plain.pem", "other.example.org", NULL, NULL,
	  "hostname mismatch: wanted other.example.org, certificate is for CN=mx.example.org" },
	{ "ip.pem", "127.0.0.1", NULL, NULL, NULL },
	{ "ip.pem", "::1", NULL, NULL, NULL },
	{ "ip.pem", "127.0.0.2", NULL, NULL,
	  "hostname mismatch: wanted 127.0.0.2, certificate is for 127.0.0.1, 0:0:0:0:0:0:0:1" },
	{ "good.pem", "127.0.0.1", NULL, NULL,
	  "hostname mismatch: wanted 127.0.0.1, certificate is for mx.example.org, *.wild.example.org" },
	{ "other.pem", HOST, NULL, NULL,
	  "hostname mismatch: wanted mx.example.org, certificate is for other.example.net, www.example.net" },
	{ "nul.pem", HOST, NULL, NULL,
	  "hostname mismatch: wanted mx.example.org, certificate is for mx.example.org?.evil.example" },
	{ "good.pem", "", NULL, NULL,
	  "hostname mismatch: wanted invalid., certificate is for mx.example.org, *.wild.example.org" },
	{ "expired.pem", HOST, NULL, NULL, "certificate has expired (CN=mx.example.org, 2025-01-01)" },
	{ "future.pem", HOST, NULL, NULL, "certificate is not yet valid (CN=mx.example.org, *-01-01); is the clock of this host right?" },
	{ "self.pem", HOST, NULL, NULL,
	  "certificate is self-signed (CN=self.example.org); if it is the right one, name it in ca_file" },
	{ "self.pem", HOST, "self.pem", NULL, NULL },
	{ "unknown.pem", HOST, NULL, NULL,
	  "certificate's issuer is unknown (CN=Foreign CA, issued by CN=Foreign root); neither the server nor ca_file has "
	  "its certificate" },
	{ "unknown.pem", HOST, "root2.pem", NULL, NULL },
	{ "unknown.pem", HOST, "strange.crt", NULL, NULL }, /* what ca_file holds is trusted, root or not */
	{ "good.pem", HOST, "good.crt", NULL, NULL },
	{ "good.pem", HOST, "other.crt", NULL,
	  "certificate's issuer is unknown (CN=Test CA, issued by CN=Test root); neither the server nor ca_file has its "
	  "certificate" },
	{ "nochain.pem", HOST, NULL, NULL,
	  "certificate's issuer is unknown (CN=mx.example.org, issued by CN=Test CA); neither the server nor ca_file has "
	  "its certificate" },
	{ "good.pem", HOST, NULL, "sub.crl.pem", NULL },
	{ "good.pem", HOST, NULL, "all.crl.pem", NULL },
	{ "revoked.pem", HOST, NULL, NULL, NULL },
	{ "revoked.pem", HOST, NULL, "sub.crl.pem", "certificate is revoked (CN=mx.example.org)" },
	{ "revoked.pem", HOST, NULL, "all.crl.pem", "certificate is revoked (CN=mx.example.org)" },
	{ "lowsub.pem", HOST, NULL, "low.crl.pem", NULL },
	{ "lowsub.pem", HOST, NULL, "all.crl.pem", "certificate is revoked (CN=Revoked CA)" },
	{ "lowsub.pem", HOST, NULL, "sub.crl.pem",
	  "no CRL of the certificate's issuer in crl_file (CN=mx.example.org, issued by CN=Revoked CA)" },
	{ "good.pem", HOST, NULL, "old.crl.pem",
	  "the CRL for the certificate is out of date (CN=mx.example.org, issued by CN=Test CA); renew crl_file and reload" },
	{ "long.pem", HOST, NULL, NULL, "the server's chain of certificates is too long" },
};

/* Is <text> the line <pattern>, where a '*' stands for anything? */
static bool matches(const char *text, const char *pattern)
{
	const char *star = strchr(pattern, '*');
	size_t head, tail;

	if (!star || !strstr(pattern, "*-01-01"))
		return !strcmp(text, pattern);
	head = (size_t)(star - pattern);
	tail = strlen(star + 1);
	return !strncmp(text, pattern, head) && strlen(text) >= head + tail &&
	       !strcmp(text + strlen(text) - tail, star + 1);
}

static void verify_one(const struct verify_row *row, int version)
{
	struct tls_settings settings = { .verify = true };
	struct peer_settings peer = { .crt = row->crt, .min_version = version, .max_version = version };
	struct pair p;

	settings.ca_file = cert_path(row->ca ? row->ca : "root.pem");
	settings.crl_file = row->crl ? cert_path(row->crl) : NULL;
	pair_new(&p, &settings, row->host, &peer);
	pair_settle(&p);
	if (!row->reason) {
		if (p.error)
			fail_msg("%s: %s", row->crt, tls_openssl.reason(p.session));
		assert_true(pair_up_and_running(&p));
	} else {
		assert_int_equal(p.error, MAILERS_ERR_TLS);
		if (!matches(tls_openssl.reason(p.session), row->reason))
			assert_string_equal(tls_openssl.reason(p.session), row->reason);
		assert_false(tls_openssl.established(p.session));
	}
	pair_free(&p);
}

static void verified__each_certificate__verdict_and_reason(void **state)
{
	size_t i, v;

	(void)state;
	for (v = 0; v < ROWS(versions); v++) {
		for (i = 0; i < ROWS(verify_rows); i++)
			verify_one(&verify_rows[i], versions[v]);
	}
}

/* Without verification each of them is taken, and is not said to be verified. */
static void unverified__each_certificate__taken(void **state)
{
	struct tls_settings settings = { .verify = false };
	struct tls_description d;
	size_t i;

	(void)state;
	for (i = 0; i < ROWS(verify_rows); i++) {
		struct peer_settings peer = { .crt = verify_rows[i].crt };
		struct pair p;

		if (!strcmp(peer.crt, "long.pem"))
			continue;
		pair_new(&p, &settings, verify_rows[i].host, &peer);
		pair_settle(&p);
		assert_true(pair_up_and_running(&p));
		tls_openssl.describe(p.session, &d);
		assert_false(d.verified);
		pair_free(&p);
	}
}

static void verify_failed__server__gets_an_alert(void **state)
{
	struct tls_settings settings = { .verify = true, .ca_file = cert_path("root.pem") };
	struct peer_settings peer = { .crt = "self.pem" };
	const char *data;
	struct pair p;
	int result;

	(void)state;
	pair_new(&p, &settings, HOST, &peer);
	assert_true(pair_up(&p));
	pair_serve(&p);
	assert_true(pair_down(&p));
	assert_int_equal(p.error, MAILERS_ERR_TLS);
	assert_true(tls_openssl.peek(p.session, &data) > 0);
	while (pair_up(&p))
		;
	ERR_clear_error();
	result = SSL_do_handshake(p.server);
	assert_int_equal(SSL_get_error(p.server, result), SSL_ERROR_SSL);
	assert_int_equal(ERR_GET_REASON(ERR_peek_error()), SSL_R_TLSV1_ALERT_UNKNOWN_CA);
	/* It is dead: whatever comes changes nothing. */
	assert_int_equal(tls_openssl.feed(p.session, "x", 1), MAILERS_ERR_TLS);
	assert_int_equal(tls_openssl.write(p.session, "x", 1), MAILERS_ERR_TLS);
	assert_int_equal(tls_openssl.eof(p.session), MAILERS_ERR_TLS);
	tls_openssl.close(p.session);
	assert_int_equal(tls_openssl.peek(p.session, &data), 0);
	pair_free(&p);
}

/* --- what the server is told and asked -------------------------------------------------------------------- */

static void sni__each_name__sent_unless_it_is_an_address(void **state)
{
	static const struct {
		const char *name, *sent;
	} rows[] = {
		{ HOST, HOST }, { HOST ".", HOST }, { "127.0.0.1", NULL }, { "::1", NULL }, { NULL, NULL }, { "", NULL },
		{ ".", NULL }, { "localhost", "localhost" },
	};
	struct tls_settings settings = { .verify = false };
	char longest[400];
	struct pair p;
	size_t i;

	(void)state;
	for (i = 0; i < ROWS(rows); i++) {
		const char *sent;

		pair_new(&p, &settings, rows[i].name, NULL);
		pair_settle(&p);
		assert_true(pair_up_and_running(&p));
		sent = SSL_get_servername(p.server, TLSEXT_NAMETYPE_host_name);
		if (rows[i].sent)
			assert_string_equal(sent, rows[i].sent);
		else
			assert_null(sent);
		pair_free(&p);
	}
	memset(longest, 'x', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	pair_new(&p, &settings, longest, NULL);
	pair_settle(&p);
	assert_true(pair_up_and_running(&p));
	assert_null(SSL_get_servername(p.server, TLSEXT_NAMETYPE_host_name));
	pair_free(&p);
}

static void client_certificate__wanted__sent_with_its_chain(void **state)
{
	struct tls_settings settings = { .verify = true, .ca_file = cert_path("root.pem") };
	size_t v;

	(void)state;
	for (v = 0; v < ROWS(versions); v++) {
		struct peer_settings peer = { .min_version = versions[v], .max_version = versions[v],
		                              .client_ca = "root.pem" };
		struct pair p;
		X509 *cert;

		settings.crt = cert_path("client.pem");
		pair_new(&p, &settings, HOST, &peer);
		pair_settle(&p);
		assert_true(pair_up_and_running(&p));
		cert = SSL_get0_peer_certificate(p.server);
		assert_non_null(cert);
		assert_int_equal(X509_check_host(cert, "client.example.org", 0, 0, NULL), 1);
		pair_free(&p);

		/* None: with TLS 1.3 the refusal comes when the client is done. */
		settings.crt = NULL;
		pair_new(&p, &settings, HOST, &peer);
		pair_settle(&p);
		assert_int_equal(p.error, MAILERS_ERR_TLS);
		assert_non_null(strstr(tls_openssl.reason(p.session), "the server refused with a TLS alert: "));
		pair_free(&p);
	}
}

static void version__each_range__lowest_is_kept(void **state)
{
	static const struct {
		enum tls_version min;
		int server_min, server_max;
		const char *version; /* NULL: refused */
	} rows[] = {
		{ TLS_VERSION_1_2, TLS1_2_VERSION, TLS1_2_VERSION, "TLSv1.2" },
		{ TLS_VERSION_1_2, TLS1_VERSION, TLS1_3_VERSION, "TLSv1.3" },
		{ TLS_VERSION_1_3, TLS1_VERSION, TLS1_3_VERSION, "TLSv1.3" },
		{ TLS_VERSION_1_3, TLS1_2_VERSION, TLS1_2_VERSION, NULL },
		{ TLS_VERSION_1_2, TLS1_1_VERSION, TLS1_1_VERSION, NULL },
		{ TLS_VERSION_1_2, TLS1_VERSION, TLS1_VERSION, NULL },
	};
	size_t i, verify;

	(void)state;
	for (i = 0; i < 2 * ROWS(rows); i++) {
		size_t r = i / 2;
		struct tls_settings settings = { .verify = i % 2, .min_version = rows[r].min };
		struct peer_settings peer = { .min_version = rows[r].server_min, .max_version = rows[r].server_max };
		struct tls_description d;
		struct pair p;

		verify = i % 2;
		settings.ca_file = verify ? cert_path("root.pem") : NULL;
		pair_new(&p, &settings, HOST, &peer);
		pair_settle(&p);
		assert_int_equal(pair_up_and_running(&p), rows[r].version != NULL);
		tls_openssl.describe(p.session, &d);
		assert_string_equal(d.version, rows[r].version ? rows[r].version : "");
		if (!rows[r].version)
			assert_string_equal(tls_openssl.reason(p.session),
			                    "the server refused with a TLS alert: protocol version");
		pair_free(&p);
	}
}

static void describe__established__certificate_and_cipher_are_told(void **state)
{
	struct tls_settings settings = { .verify = true, .ca_file = cert_path("root.pem") };
	struct peer_settings peer = { .min_version = TLS1_3_VERSION };
	struct tls_description d;
	struct pair p;

	(void)state;
	pair_new(&p, &settings, HOST, &peer);
	tls_openssl.describe(p.session, &d);
	assert_string_equal(d.version, "");
	pair_settle(&p);
	tls_openssl.describe(p.session, &d);
	assert_string_equal(d.version, "TLSv1.3");
	assert_string_equal(d.cipher, "TLS_AES_256_GCM_SHA384");
	assert_string_equal(d.subject, "CN = mx.example.org");
	assert_string_equal(d.issuer, "CN = Test CA");
	assert_string_equal(d.names, "mx.example.org, *.wild.example.org");
	assert_non_null(strstr(d.expires, "-01-01 00:00:00 UTC"));
	assert_true(d.verified);
	pair_free(&p);

	peer.crt = "many.pem"; /* more names than there is room for */
	pair_new(&p, &settings, "host200.many.example.org", &peer);
	pair_settle(&p);
	assert_true(pair_up_and_running(&p));
	tls_openssl.describe(p.session, &d);
	assert_non_null(strstr(d.names, ", host2.many.example.org, "));
	assert_string_equal(d.names + strlen(d.names) - 5, ", ...");
	pair_free(&p);
}

/* --- bytes ------------------------------------------------------------------------------------------------ */

static void handshake__each_step_size__established(void **state)
{
	static const size_t steps[] = { STEP_ALL, STEP_NEED, 1, 2, 3, 5, 7, 100, 1000 };
	struct tls_settings settings = { .verify = true, .ca_file = cert_path("root.pem") };
	size_t i, v;

	(void)state;
	for (v = 0; v < ROWS(versions); v++) {
		for (i = 0; i < ROWS(steps); i++) {
			struct peer_settings peer = { .min_version = versions[v], .max_version = versions[v] };
			struct pair p;

			pair_new(&p, &settings, HOST, &peer);
			p.step = steps[i];
			pair_settle(&p);
			if (p.error)
				fail_msg("%s", tls_openssl.reason(p.session));
			assert_true(pair_up_and_running(&p));
			assert_true(SSL_is_init_finished(p.server));
			pair_free(&p);
		}
	}
}

/* The server's flight ends at each byte of it, each end of a record included. */
static void handshake__cut_at_each_byte__told_and_never_established(void **state)
{
	struct tls_settings settings = { .verify = true, .ca_file = cert_path("root.pem") };
	size_t v, cut;

	(void)state;
	for (v = 0; v < ROWS(versions); v++) {
		for (cut = 1;; cut++) {
			struct peer_settings peer = { .min_version = versions[v], .max_version = versions[v] };
			struct pair p;
			bool whole;

			pair_new(&p, &settings, HOST, &peer);
			p.cut = cut;
			pair_settle(&p);
			whole = pair_up_and_running(&p);
			if (p.error)
				fail_msg("%s", tls_openssl.reason(p.session));
			assert_int_equal(tls_openssl.eof(p.session), MAILERS_ERR_TLS);
			assert_string_equal(tls_openssl.reason(p.session), whole ?
			                    "the connection ended without a close_notify" :
			                    "the connection ended within the TLS handshake");
			pair_free(&p);
			if (whole)
				break;
		}
		assert_true(cut > 1000);
	}
}

/* A header's version, and the change_cipher_spec that TLS 1.3 sends for old middle boxes, are nobody's; all else is refused. */
static void handshake__each_byte_damaged__refused_or_of_no_matter(void **state)
{
	struct tls_settings settings = { .verify = true, .ca_file = cert_path("root.pem") };
	size_t at, n = 1, refused = 0, taken = 0;

	(void)state;
	for (at = 0; at < n; at += 1 + at / 100) {
		struct peer_settings peer = { .min_version = TLS1_3_VERSION };
		char flight[8192];
		struct pair p;
		size_t left;

		pair_new(&p, &settings, HOST, &peer);
		assert_true(pair_up(&p));
		pair_serve(&p);
		n = (size_t)BIO_read(p.out, flight, sizeof(flight));
		assert_in_range(n, 1000, sizeof(flight) - 1);
		flight[at] ^= 0x11;
		p.error = tls_openssl.feed(p.session, flight, n);
		left = tls_openssl.need(p.session); /* a length that was damaged waits for more */
		assert_true(p.error == MAILERS_ERR_TLS || left > 0);
		refused += p.error == MAILERS_ERR_TLS;
		taken += tls_openssl.established(p.session);
		pair_free(&p);
	}
	assert_true(refused > 50);
	assert_in_range(taken, 0, 3);
}

static void handshake__no_tls_comes__said_so(void **state)
{
	static const struct {
		const char *bytes, *reason;
	} rows[] = {
		{ "220 mx.example.org ESMTP\r\n", "what the server sent is no TLS; is this port for plain text or STARTTLS?" },
		{ "SSH-2.0-OpenSSH\r\n", "what the server sent is no TLS; is this port for plain text or STARTTLS?" },
		{ "\x15\x03\x01\x00\x02\x02\x28", "the server refused with a TLS alert: handshake failure" },
		{ "\x15\x03\x01\x00\x02\x02\x46", "the server refused with a TLS alert: protocol version" },
		{ "\x15\x03\x01\x00\x02\x02\x50", "the server refused with a TLS alert: internal error" },
		{ "\x15\x03\x01\x00\x02\x01\x00", "" }, /* close_notify */
		{ "\x16\x03\x03\xff\xff", "*" },
		{ "\x17\x03\x03\x00\x01x", "*" },
		{ "\x16\x03\x03\x00\x04\x02\xff\xff\xff", "*" },
	};
	struct tls_settings settings = { .verify = false };
	size_t i;

	(void)state;
	for (i = 0; i < ROWS(rows); i++) {
		const char *b = rows[i].bytes;
		/* the rows of records say their length */
		size_t len = b[0] >= ' ' ? strlen(b) : 5 + (size_t)(unsigned char)b[4] % 255;
		struct pair p;

		pair_new(&p, &settings, HOST, NULL);
		assert_true(pair_up(&p));
		p.error = tls_openssl.feed(p.session, b, len);
		assert_false(tls_openssl.established(p.session));
		if (!strcmp(rows[i].reason, "*"))
			assert_true(p.error == MAILERS_ERR_TLS && *tls_openssl.reason(p.session));
		else
			assert_string_equal(tls_openssl.reason(p.session), rows[i].reason);
		assert_int_equal(tls_openssl.ended(p.session), !*rows[i].reason);
		pair_free(&p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verified__each_certificate__verdict_and_reason),
		cmocka_unit_test(unverified__each_certificate__taken),
		cmocka_unit_test(verify_failed__server__gets_an_alert),
		cmocka_unit_test(sni__each_name__sent_unless_it_is_an_address),
		cmocka_unit_test(client_certificate__wanted__sent_with_its_chain),
		cmocka_unit_test(version__each_range__lowest_is_kept),
		cmocka_unit_test(describe__established__certificate_and_cipher_are_told),
		cmocka_unit_test(handshake__each_step_size__established),
		cmocka_unit_test(handshake__cut_at_each_byte__told_and_never_established),
		cmocka_unit_test(handshake__each_byte_damaged__refused_or_of_no_matter),
		cmocka_unit_test(handshake__no_tls_comes__said_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
