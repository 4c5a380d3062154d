/*
 * tls_internal - what the files of the TLS module share.
 *
 *   tls_openssl.c      the table, and OpenSSL's start
 *   tls_context.c      settings -> SSL_CTX
 *   tls_file.c         PEM files: CAs, CRLs, the client certificate
 *   tls_session.c      one session: bytes in and out, the one place that maps SSL_get_error()
 *   tls_verify.c       the verdict on the server's certificate
 *   tls_certificate.c  what is said about a certificate
 *   tls_text.c         printable lines, OpenSSL's error queue
 *
 * OpenSSL's error queue is the thread's, and so HAProxy's too: each call of the table clears it before its
 * first call of OpenSSL, and leaves it empty.
 */
#ifndef TLS_INTERNAL_H
#define TLS_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <mailers/tls.h>

#define TLS_NAME_MAX 255 /* bytes of a host name; SNI takes no more (RFC 6066 section 3) */

#define TLS_HOST_FLAGS X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS /* "mail*.example.org" is no pattern */

struct tls_context {
	SSL_CTX *ssl;
	bool verify;
};

struct tls_session {
	SSL *ssl;
	BIO *in, *out;         /* ciphertext; the SSL owns them */
	BIO *plain;            /* decrypted and not read */
	bool verify;
	bool established, ended, closed;
	enum mailers_error error;
	struct {
		unsigned char header[TLS_RECORD_HEADER];
		size_t have, left; /* bytes of the header that came; of the record that are to come */
	} record;
	char verifyhost[TLS_NAME_MAX + 1];
	char rejection[TLS_REASON_SIZE]; /* why the certificate was refused, "" when it was not */
	char reason[TLS_REASON_SIZE];
};

/* tls_text.c: writes a line to <out> (<size> bytes) as printf would, every byte outside of ' '..'~' as '?'. */
void tls_text_print(char *out, size_t size, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Takes OpenSSL's error queue; the line says what the first error in it is. NOMEM when one of them is that, else
 * TLS.
 */
enum mailers_error tls_text_errors(char *out, size_t size);

/* tls_file.c: each returns false with a line in <reason>, which names <key>, the file and what to do. */
bool tls_file_ca(X509_STORE *store, const char *path, char *reason);  /* NULL or "@system-ca": the system's */
bool tls_file_crl(X509_STORE *store, const char *path, char *reason);
bool tls_file_crt(SSL_CTX *ctx, const char *path, char *reason);

/* tls_verify.c: the callback of SSL_CTX_set_verify(); the session is the SSL's app data. */
int tls_verify_callback(int ok, X509_STORE_CTX *store);
/* Once more when the handshake is done, as OpenSSL 3.0 forgets the wanted name when it has no memory for a
 * copy of it, and goes on. False, with the rejection written, when the certificate must not pass.
 */
bool tls_verify_again(struct tls_session *s);
bool tls_verify_is_address(const char *name);

/* tls_certificate.c: each writes printable text of <size> bytes at the most, cut where it must be. */
void tls_certificate_name(const X509_NAME *name, char *out, size_t size); /* "CN=mail.example.org", or all */
void tls_certificate_names(X509 *cert, char *out, size_t size);           /* "a.example, 192.0.2.1" */
void tls_certificate_time(const ASN1_TIME *time, bool day, char *out, size_t size);
void tls_certificate_describe(X509 *cert, struct tls_description *out);

/* tls_context.c and tls_session.c: the calls of the table. */
struct tls_context *tls_context_new(const struct tls_settings *settings, char *reason);
void tls_context_free(struct tls_context *ctx);
struct tls_session *tls_session_new(struct tls_context *ctx, const char *sni, const char *verifyhost);
void tls_session_free(struct tls_session *s);
enum mailers_error tls_session_feed(struct tls_session *s, const char *data, size_t len);
enum mailers_error tls_session_eof(struct tls_session *s);
size_t tls_session_peek(struct tls_session *s, const char **data);
void tls_session_ack(struct tls_session *s, size_t n);
size_t tls_session_need(const struct tls_session *s);
bool tls_session_established(const struct tls_session *s);
bool tls_session_ended(const struct tls_session *s);
enum mailers_error tls_session_write(struct tls_session *s, const char *data, size_t len);
size_t tls_session_read(struct tls_session *s, char *out, size_t size);
void tls_session_close(struct tls_session *s);
const char *tls_session_reason(const struct tls_session *s);
void tls_session_describe(const struct tls_session *s, struct tls_description *out);

#endif
