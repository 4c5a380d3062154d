/*
 * tls_file - see tls_internal.h: the PEM files of a context. All of them are read to the end when the
 * context is made: HAProxy goes into its chroot and gives up its rights later, so nothing may be looked up
 * by a path then. OpenSSL's own directory of CAs is such a lookup; here its files are read instead.
 *
 * No file asks for a passphrase: OpenSSL would do so on the terminal, and wait.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "tls_internal.h"

#define TLS_FILE_MAX (16 << 20) /* bytes of a file: a CA bundle has a quarter of one MB */

#define TLS_FILE_SYSTEM "@system-ca" /* HAProxy's word */

/* Where systems keep their CAs in one file; OpenSSL's own place comes before them. A module with OpenSSL
 * inside may run on another system than the one its OpenSSL was made for.
 */
static const char *const tls_file_bundles[] = {
	"/etc/ssl/certs/ca-certificates.crt",
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
	"/etc/ssl/ca-bundle.pem",
	"/etc/ssl/cert.pem",
};

struct tls_file {
	char *data;
	size_t len;
	mode_t mode;
};

/* Frees what was read; it may be a key. */
static void tls_file_close(struct tls_file *f)
{
	if (f->data)
		OPENSSL_cleanse(f->data, f->len);
	free(f->data);
	f->data = NULL;
}

/* The bytes of an open file. 0 or an errno. */
static int tls_file_slurp(int fd, struct tls_file *f)
{
	size_t size = f->len;

	f->len = 0;
	f->data = malloc(size + 1);
	if (!f->data)
		return ENOMEM;
	while (f->len < size) {
		ssize_t n = read(fd, f->data + f->len, size - f->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		if (!n)
			break;
		f->len += (size_t)n;
	}
	return 0;
}

/* Reads the file <path>. 0 or an errno. */
static int tls_file_open(const char *path, struct tls_file *f)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), error = 0;
	struct stat st;

	*f = (struct tls_file){ 0 };
	if (fd < 0)
		return errno;
	if (fstat(fd, &st) < 0)
		error = errno;
	else if (!S_ISREG(st.st_mode))
		error = S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
	else if (st.st_size > TLS_FILE_MAX)
		error = EFBIG;
	f->mode = st.st_mode;
	f->len = error ? 0 : (size_t)st.st_size;
	if (!error)
		error = tls_file_slurp(fd, f);
	close(fd);
	if (error)
		tls_file_close(f);
	return error;
}

static bool tls_file_unreadable(const char *key, const char *path, int error, char *reason)
{
	if (error == EINVAL)
		tls_text_print(reason, TLS_REASON_SIZE, "%s: %s is no regular file", key, path);
	else
		tls_text_print(reason, TLS_REASON_SIZE, "%s: cannot read %s: %s; it is read when HAProxy starts, "
		               "before its chroot", key, path, strerror(error));
	return false;
}

static int tls_file_no_passphrase(char *buf, int size, int rwflag, void *u)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)u;
	return -1;
}

/* After the last block of a kind: was that the end, and no fault? */
static bool tls_file_at_end(void)
{
	unsigned long error = ERR_peek_last_error();
	bool end = ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;

	if (end)
		ERR_clear_error();
	return end;
}

/* Adds the certificates of <f> to <store>: how many, or -1 with OpenSSL's errors. */
static int tls_file_add_certificates(X509_STORE *store, const struct tls_file *f)
{
	BIO *bio = BIO_new_mem_buf(f->data, (int)f->len);
	int n = bio ? 0 : -1;

	while (n >= 0) {
		X509 *cert = PEM_read_bio_X509_AUX(bio, NULL, tls_file_no_passphrase, NULL);

		if (!cert && tls_file_at_end())
			break;
		n = cert && X509_STORE_add_cert(store, cert) ? n + 1 : -1;
		X509_free(cert);
	}
	BIO_free(bio);
	return n;
}

static int tls_file_add_crls(X509_STORE *store, const struct tls_file *f)
{
	BIO *bio = BIO_new_mem_buf(f->data, (int)f->len);
	int n = bio ? 0 : -1;

	while (n >= 0) {
		X509_CRL *crl = PEM_read_bio_X509_CRL(bio, NULL, tls_file_no_passphrase, NULL);

		if (!crl && tls_file_at_end())
			break;
		n = crl && X509_STORE_add_crl(store, crl) ? n + 1 : -1;
		X509_CRL_free(crl);
	}
	BIO_free(bio);
	return n;
}

/* The line for a file that was read and holds <n> of <what>: none, or a fault. True when n > 0. */
static bool tls_file_told(int n, const char *key, const char *path, const char *what, char *reason)
{
	char fault[160];

	if (n > 0)
		return true;
	if (!n) {
		tls_text_print(reason, TLS_REASON_SIZE, "%s: no %s in %s; it must be in PEM format", key, what,
		               path);
		return false;
	}
	tls_text_errors(fault, sizeof(fault));
	tls_text_print(reason, TLS_REASON_SIZE, "%s: a %s in %s cannot be read: %s", key, what, path, fault);
	return false;
}

/* Is it the name of a certificate in a directory: as HAProxy takes them, or the hash that OpenSSL looks for? */
static bool tls_file_names_certificate(const char *name)
{
	const char *dot = strrchr(name, '.');

	if (!dot)
		return false;
	if (!strcmp(dot, ".pem") || !strcmp(dot, ".crt") || !strcmp(dot, ".cer"))
		return true;
	return dot - name == 8 && strspn(name, "0123456789abcdef") == 8 && dot[1] &&
	       !dot[1 + strspn(dot + 1, "0123456789")];
}

/* Adds all certificates of a directory; what in it cannot be read is left out. How many. */
static int tls_file_add_directory(X509_STORE *store, const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	int total = 0;

	while (dir && (entry = readdir(dir))) {
		char name[4096];
		struct tls_file f;
		int n;

		if (!tls_file_names_certificate(entry->d_name))
			continue;
		if ((size_t)snprintf(name, sizeof(name), "%s/%s", path, entry->d_name) >= sizeof(name))
			continue;
		if (tls_file_open(name, &f))
			continue;
		n = tls_file_add_certificates(store, &f);
		total += n > 0 ? n : 0;
		tls_file_close(&f);
		ERR_clear_error();
	}
	if (dir)
		closedir(dir);
	return total;
}

/* <key> names the setting in <reason>. */
static bool tls_file_add_ca(X509_STORE *store, const char *key, const char *path, char *reason)
{
	struct tls_file f;
	int error = tls_file_open(path, &f), n;

	if (error == EISDIR)
		return tls_file_told(tls_file_add_directory(store, path), key, path, "certificate", reason);
	if (error)
		return tls_file_unreadable(key, path, error, reason);
	n = tls_file_add_certificates(store, &f);
	tls_file_close(&f);
	return tls_file_told(n, key, path, "certificate", reason);
}

/* The system's CAs: where the environment says, as OpenSSL has it, or at the first place that has some. */
static bool tls_file_system_ca(X509_STORE *store, char *reason)
{
	const char *file = getenv(X509_get_default_cert_file_env());
	const char *dir = getenv(X509_get_default_cert_dir_env());
	size_t i;

	if (file && *file)
		return tls_file_add_ca(store, X509_get_default_cert_file_env(), file, reason);
	if (dir && *dir)
		return tls_file_add_ca(store, X509_get_default_cert_dir_env(), dir, reason);
	if (tls_file_add_ca(store, "ca_file", X509_get_default_cert_file(), reason))
		return true;
	for (i = 0; i < sizeof(tls_file_bundles) / sizeof(*tls_file_bundles); i++) {
		if (tls_file_add_ca(store, "ca_file", tls_file_bundles[i], reason))
			return true;
	}
	if (tls_file_add_directory(store, X509_get_default_cert_dir()))
		return true;
	tls_text_print(reason, TLS_REASON_SIZE, "ca_file: this system has no CA certificates (looked for %s, %s and "
	               "others); install its package ca-certificates, or set ca_file", tls_file_bundles[0],
	               X509_get_default_cert_dir());
	return false;
}

bool tls_file_ca(X509_STORE *store, const char *path, char *reason)
{
	if (!path || !strcmp(path, TLS_FILE_SYSTEM))
		return tls_file_system_ca(store, reason);
	return tls_file_add_ca(store, "ca_file", path, reason);
}

bool tls_file_crl(X509_STORE *store, const char *path, char *reason)
{
	struct tls_file f;
	int error = tls_file_open(path, &f), n;

	if (error)
		return tls_file_unreadable("crl_file", path, error, reason);
	n = tls_file_add_crls(store, &f);
	tls_file_close(&f);
	return tls_file_told(n, "crl_file", path, "CRL", reason);
}

/* The certificates of <f>: the first is ours, the others lead to its CA. How many, or -1. */
static int tls_file_use_chain(SSL_CTX *ctx, const struct tls_file *f)
{
	BIO *bio = BIO_new_mem_buf(f->data, (int)f->len);
	int n = bio ? 0 : -1;

	while (n >= 0) {
		X509 *cert = PEM_read_bio_X509_AUX(bio, NULL, tls_file_no_passphrase, NULL);

		if (!cert && tls_file_at_end())
			break;
		if (!cert || !(n ? SSL_CTX_add1_chain_cert(ctx, cert) : SSL_CTX_use_certificate(ctx, cert)))
			n = -1;
		else
			n++;
		X509_free(cert);
	}
	BIO_free(bio);
	return n;
}

/* The key of <f>: 1, 0 when it has none, or -1. */
static int tls_file_use_key(SSL_CTX *ctx, const struct tls_file *f)
{
	static const char mark[] = "PRIVATE KEY-----"; /* OpenSSL says the same of none and of a bad one */
	EVP_PKEY *key;
	BIO *bio;
	int n;

	if (!f->len || !memmem(f->data, f->len, mark, sizeof(mark) - 1))
		return 0;
	bio = BIO_new_mem_buf(f->data, (int)f->len);
	key = bio ? PEM_read_bio_PrivateKey(bio, NULL, tls_file_no_passphrase, NULL) : NULL;
	n = key && SSL_CTX_use_PrivateKey(ctx, key) ? 1 : -1;
	EVP_PKEY_free(key);
	BIO_free(bio);
	return n;
}

static bool tls_file_use_crt(SSL_CTX *ctx, const struct tls_file *f, const char *path, char *reason)
{
	if (!tls_file_told(tls_file_use_chain(ctx, f), "crt", path, "certificate", reason))
		return false;
	switch (tls_file_use_key(ctx, f)) {
	case 1:
		return true;
	case 0:
		tls_text_print(reason, TLS_REASON_SIZE, "crt: no private key in %s; append the certificate's key "
		               "to it", path);
		return false;
	default:
		if (ERR_GET_REASON(ERR_peek_error()) == X509_R_KEY_VALUES_MISMATCH)
			tls_text_print(reason, TLS_REASON_SIZE, "crt: the private key in %s is not that of its "
			               "first certificate; the certificate comes first, then its chain", path);
		else
			tls_text_print(reason, TLS_REASON_SIZE, "crt: the private key in %s cannot be read; it "
			               "must be in PEM format, without a passphrase", path);
		return false;
	}
}

bool tls_file_crt(SSL_CTX *ctx, const char *path, char *reason)
{
	struct tls_file f;
	int error = tls_file_open(path, &f);
	bool done;

	if (error)
		return tls_file_unreadable("crt", path, error, reason);
	if (f.mode & S_IROTH) {
		tls_text_print(reason, TLS_REASON_SIZE, "crt: %s holds a private key and everybody can read it; "
		               "chmod 600 %s", path, path);
		tls_file_close(&f);
		return false;
	}
	done = tls_file_use_crt(ctx, &f, path, reason);
	tls_file_close(&f);
	return done;
}
