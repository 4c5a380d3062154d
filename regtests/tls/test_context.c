/*
 * TLS contexts: the files that the settings name, and what is said about those that cannot be used.
 */
#include <sys/stat.h>
#include <unistd.h>

#include "peer.h"

#define HOST "mx.example.org"

#define ROWS(rows) (sizeof(rows) / sizeof(*(rows)))

/* The line of a context that cannot be had. A '*' at its end stands for anything. */
static void refused(const struct tls_settings *settings, const char *wanted)
{
	char reason[TLS_REASON_SIZE] = "unset";
	size_t len = strlen(wanted);

	assert_null(tls_openssl.context_new(settings, reason));
	if (wanted[len - 1] != '*' || strncmp(reason, wanted, len - 1) != 0)
		assert_string_equal(reason, wanted);
	assert_int_equal(ERR_peek_error(), 0);
}

static bool taken(const struct tls_settings *settings)
{
	char reason[TLS_REASON_SIZE] = "unset";
	struct tls_context *ctx = tls_openssl.context_new(settings, reason);

	if (ctx)
		assert_string_equal(reason, "");
	tls_openssl.context_free(ctx);
	return ctx;
}

/* Writes <text> to the file <name>, and returns its path. */
static const char *file_write(const char *name, const char *text)
{
	const char *path = cert_path(name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	return path;
}

/* A copy of a certificate's file as it is, at <to>. */
static void file_copy(const char *from, const char *to)
{
	char text[65536];
	FILE *f = fopen(cert_path(from), "r");
	size_t n;

	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	file_write(to, text);
}

static const char *line(const char *format, const char *path)
{
	static char text[TLS_REASON_SIZE];

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(text, sizeof(text), format, path, path);
#pragma GCC diagnostic pop
	return text;
}

static void ca_file__cannot_be_used__key_file_and_reason_are_told(void **state)
{
	struct tls_settings settings = { .verify = true };

	(void)state;
	settings.ca_file = cert_path("missing.pem");
	refused(&settings, line("ca_file: cannot read %s: No such file or directory; it is read when HAProxy starts, before its "
	                        "chroot", settings.ca_file));
	settings.ca_file = file_write("empty.pem", "");
	refused(&settings, line("ca_file: no certificate in %s; it must be in PEM format", settings.ca_file));
	settings.ca_file = file_write("text.pem", "hello\n");
	refused(&settings, line("ca_file: no certificate in %s; it must be in PEM format", settings.ca_file));
	settings.ca_file = cert_path("good.key");
	refused(&settings, line("ca_file: no certificate in %s; it must be in PEM format", settings.ca_file));
	settings.ca_file = file_write("broken.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n");
	refused(&settings, line("ca_file: a certificate in %s cannot be read: *", settings.ca_file));
	settings.ca_file = file_write("half.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n");
	refused(&settings, line("ca_file: a certificate in %s cannot be read: *", settings.ca_file));
	settings.ca_file = "/dev/null";
	refused(&settings, "ca_file: /dev/null is no regular file");
	/* Without verification it is not read. */
	settings.verify = false;
	assert_true(taken(&settings));
}

static void ca_file__folder__certificates_in_it_are_read(void **state)
{
	struct tls_settings settings = { .verify = true };
	struct pair p;

	(void)state;
	settings.ca_file = cert_path("folder");
	assert_int_equal(mkdir(settings.ca_file, 0700), 0);
	refused(&settings, line("ca_file: no certificate in %s; it must be in PEM format", settings.ca_file));
	file_copy("root.pem", "folder/README");
	file_copy("root.pem", "folder/12345678.x");
	file_copy("root.pem", "folder/1234567.0");
	refused(&settings, line("ca_file: no certificate in %s; it must be in PEM format", settings.ca_file));
	file_copy("root.pem", "folder/a.crt");
	file_copy("good.key", "folder/key.pem");
	file_copy("root2.pem", "folder/b.pem");
	pair_new(&p, &settings, HOST, NULL);
	/* What happens to the files later is of no matter: HAProxy is in its chroot then. */
	assert_int_equal(unlink(cert_path("folder/a.crt")), 0);
	pair_settle(&p);
	assert_true(pair_up_and_running(&p));
	pair_free(&p);
}

static void crl_file__cannot_be_used__key_file_and_reason_are_told(void **state)
{
	struct tls_settings settings = { .verify = true, .ca_file = cert_path("root.pem") };

	(void)state;
	settings.crl_file = cert_path("missing.pem");
	refused(&settings, line("crl_file: cannot read %s: No such file or directory; *", settings.crl_file));
	settings.crl_file = cert_path("root.pem");
	refused(&settings, line("crl_file: no CRL in %s; it must be in PEM format", settings.crl_file));
	settings.crl_file = file_write("broken.crl", "-----BEGIN X509 CRL-----\nMIIB\n-----END X509 CRL-----\n");
	refused(&settings, line("crl_file: a CRL in %s cannot be read: *", settings.crl_file));
	settings.crl_file = cert_path("all.crl.pem");
	assert_true(taken(&settings));
}

static void crt__cannot_be_used__key_file_and_reason_are_told(void **state)
{
	static const struct {
		const char *file, *reason;
	} rows[] = {
		{ "missing.pem", "crt: cannot read %s: No such file or directory; *" },
		{ "good.key", "crt: no certificate in %s; it must be in PEM format" },
		{ "nokey.pem", "crt: no private key in %s; append the certificate's key to it" },
		{ "mismatch.pem", "crt: the private key in %s is not that of its first certificate; the certificate comes "
		                  "first, then its chain" },
		{ "locked.pem", "crt: the private key in %s cannot be read; it must be in PEM format, without a passphrase" },
	};
	struct tls_settings settings = { .verify = false };
	size_t i;

	(void)state;
	for (i = 0; i < ROWS(rows); i++) {
		settings.crt = cert_path(rows[i].file);
		refused(&settings, line(rows[i].reason, settings.crt));
	}
	settings.crt = cert_path("client.pem");
	assert_true(taken(&settings));
}

static void crt__others_can_read_it__refused(void **state)
{
	static const struct {
		mode_t mode;
		bool good;
	} rows[] = { { 0600, true }, { 0400, true }, { 0640, true }, { 0644, false }, { 0604, false } };
	struct tls_settings settings = { .verify = false };
	size_t i;

	(void)state;
	settings.crt = cert_path("client.pem");
	for (i = 0; i < ROWS(rows); i++) {
		assert_int_equal(chmod(settings.crt, rows[i].mode), 0);
		assert_int_equal(taken(&settings), rows[i].good);
		if (!rows[i].good)
			refused(&settings, line("crt: %s holds a private key and everybody can read it; chmod 600 %s",
			                        settings.crt));
	}
	assert_int_equal(chmod(settings.crt, 0600), 0);
}

/* The environment names the system's CAs, as for every program with OpenSSL. */
static void system__environment__file_or_folder_is_used(void **state)
{
	struct tls_settings settings = { .verify = true };
	struct pair p;

	(void)state;
	setenv("SSL_CERT_FILE", cert_path("root.pem"), 1);
	pair_new(&p, &settings, HOST, NULL);
	pair_settle(&p);
	assert_true(pair_up_and_running(&p));
	pair_free(&p);
	settings.ca_file = "@system-ca";
	assert_true(taken(&settings));
	setenv("SSL_CERT_FILE", "/nonexistent", 1);
	refused(&settings, "SSL_CERT_FILE: cannot read /nonexistent: No such file or directory; *");
	unsetenv("SSL_CERT_FILE");
	assert_int_equal(mkdir(cert_path("hashed"), 0700), 0);
	file_copy("root.pem", "hashed/0a1b2c3d.0");
	setenv("SSL_CERT_DIR", cert_path("hashed"), 1);
	pair_new(&p, &settings, HOST, NULL);
	pair_settle(&p);
	assert_true(pair_up_and_running(&p));
	pair_free(&p);
	unsetenv("SSL_CERT_DIR");
}

static void version__library__is_named(void **state)
{
	(void)state;
	assert_int_equal(tls_openssl.version, TLS_API_VERSION);
	assert_int_equal(strncmp(tls_openssl.library, "OpenSSL 3.", 10), 0);
	assert_non_null(tls_openssl.crypto);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ca_file__cannot_be_used__key_file_and_reason_are_told),
		cmocka_unit_test(ca_file__folder__certificates_in_it_are_read),
		cmocka_unit_test(crl_file__cannot_be_used__key_file_and_reason_are_told),
		cmocka_unit_test(crt__cannot_be_used__key_file_and_reason_are_told),
		cmocka_unit_test(crt__others_can_read_it__refused),
		cmocka_unit_test(system__environment__file_or_folder_is_used),
		cmocka_unit_test(version__library__is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
