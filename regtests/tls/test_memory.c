/*
 * TLS without memory: allocations that OpenSSL makes for a context, a handshake and some data fail one at a
 * time. What fails must say so, as memory or as TLS, and leave nothing behind; nothing may end the process,
 * and no certificate may pass that would not have passed otherwise.
 *
 * There are 18,000; the first hundred of a run are all tried, of the others fewer and fewer.
 * TLS_MEMORY_ALL=1 tries each.
 */
#include "peer.h"

#define HOST "mx.example.org"

static bool armed; /* the server's allocations do not count */
static long countdown = -1;
static bool failed;
static bool refuses; /* no handshake may be established */

static bool fail_now(void)
{
	if (!armed || countdown < 0 || countdown-- > 0)
		return false;
	failed = true;
	return true;
}

static void *memory_malloc(size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return fail_now() ? NULL : malloc(n);
}

static void *memory_realloc(void *p, size_t n, const char *file, int line)
{
	(void)file;
	(void)line;
	return fail_now() ? NULL : realloc(p, n);
}

static void memory_free(void *p, const char *file, int line)
{
	(void)file;
	(void)line;
	free(p);
}

/* One call of the client's, in which allocations may fail. */
#define CLIENT(call) (armed = true, (call), armed = false)

static struct tls_session *session_new(struct tls_context *ctx)
{
	struct tls_session *s;

	CLIENT(s = tls_openssl.session_new(ctx, HOST, HOST));
	return s;
}

/* Moves bytes until nothing is left. False when the client failed. */
static bool settle(struct pair *p)
{
	bool moved = true;

	while (moved && !p->error) {
		char bytes[4096];
		int n;

		moved = pair_up(p);
		pair_serve(p);
		while (!p->error && (n = BIO_read(p->out, bytes, sizeof(bytes))) > 0) {
			CLIENT(p->error = tls_openssl.feed(p->session, bytes, (size_t)n));
			moved = true;
		}
	}
	if (p->error) {
		assert_true(p->error == MAILERS_ERR_NOMEM || p->error == MAILERS_ERR_TLS);
		assert_true(*tls_openssl.reason(p->session));
	}
	return !p->error;
}

/* From the settings to data both ways with a server of the certificate <crt>. False when some of it failed. */
static bool run(const struct tls_settings *settings, const char *crt, bool client_context)
{
	const struct peer_settings peer = { .min_version = TLS1_3_VERSION, .crt = crt };
	struct tls_description d;
	char reason[TLS_REASON_SIZE], heard[100];
	struct pair p = { 0 };
	bool good = false;

	server_new(&p, &peer);
	armed = client_context;
	p.context = tls_openssl.context_new(settings, reason);
	armed = false;
	if (!p.context)
		assert_true(*reason);
	p.session = p.context ? session_new(p.context) : NULL;
	if (p.session && settle(&p)) {
		enum mailers_error error;

		assert_true(tls_openssl.established(p.session));
		assert_false(refuses);
		CLIENT(error = tls_openssl.write(p.session, "hello", 5));
		if (!error) {
			pair_up(&p);
			assert_int_equal(pair_hear(&p, heard, sizeof(heard)), 5);
			SSL_write(p.server, "hello", 5);
			good = settle(&p) && tls_openssl.read(p.session, heard, sizeof(heard)) == 5;
		}
		CLIENT(tls_openssl.describe(p.session, &d));
		CLIENT(tls_openssl.close(p.session));
	}
	pair_free(&p);
	assert_int_equal(ERR_peek_error(), 0);
	return good;
}

/* Runs with each allocation failing, until none is left to fail; how many runs failed. */
static long sweep(const struct tls_settings *settings, const char *crt, bool client_context)
{
	long n, told = 0;

	for (n = 0;; n += getenv("TLS_MEMORY_ALL") ? 1 : 1 + n / 100) {
		countdown = n;
		failed = false;
		told += !run(settings, crt, client_context);
		countdown = -1;
		if (!failed)
			return told;
	}
}

static void allocation__each_fails__told_and_nothing_ends_the_process(void **state)
{
	struct tls_settings settings = { .verify = true, .ca_file = cert_path("root.pem"),
	                                 .crl_file = cert_path("all.crl.pem"), .crt = cert_path("client.pem") };

	(void)state;
	assert_true(run(&settings, NULL, true)); /* what OpenSSL makes once for the process is not missed */
	assert_true(sweep(&settings, NULL, true) > 50);
	assert_true(sweep(&settings, NULL, false) > 50);
	assert_true(run(&settings, NULL, false));
}

static void allocation__each_fails__no_wrong_certificate_passes(void **state)
{
	static const char *const wrong[] = { "other.pem", "unknown.pem", "revoked.pem" };
	struct tls_settings settings = { .verify = true, .ca_file = cert_path("root.pem"),
	                                 .crl_file = cert_path("all.crl.pem") };
	size_t i;

	(void)state;
	refuses = true;
	for (i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		assert_true(sweep(&settings, wrong[i], true) > 50);
	refuses = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(allocation__each_fails__told_and_nothing_ends_the_process),
		cmocka_unit_test(allocation__each_fails__no_wrong_certificate_passes),
	};

	if (!CRYPTO_set_mem_functions(memory_malloc, memory_realloc, memory_free))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
