/*
 * tls - a TLS client session without I/O, with the same verbs as smtp_client: ciphertext goes in with
 * feed() and comes out with peek() and ack(), plaintext goes in with write() and comes out with read().
 *
 * The code (plugin/tls, OpenSSL over memory BIOs) is not linked to the core: whoever has it hands over a
 * struct tls_api. So a process without a TLS setting has no OpenSSL in it. Nothing here blocks, reads a
 * file after context_new(), or keeps a global of its own.
 */
#ifndef MAILERS_TLS_H
#define MAILERS_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mailers/error.h>
#include <mailers/sasl.h>

struct tls_context;
struct tls_session;

#define TLS_API_VERSION 1
#define TLS_REASON_SIZE 400 /* of the lines about failures */
#define TLS_RECORD_HEADER 5

enum tls_version { TLS_VERSION_1_2 = 0, TLS_VERSION_1_3 };

/* Files are PEM, and are read in context_new(). */
struct tls_settings {
	/* Chain, and name if session_new() got one. Without it what OpenSSL takes for weak (short keys,
	 * SHA-1) is taken too: whoever is active could be in the middle anyway, and the alternative is
	 * plain text (RFC 7435).
	 */
	bool verify;
	/* CAs, a file or a folder of files; NULL or "@system-ca": the system's. Read with <verify> only.
	 * What it holds is trusted as it is: a root, a CA below one, or the server's own certificate.
	 */
	const char *ca_file;
	/* CRLs; NULL: revocation is not checked. Read with <verify> only. The server's certificate needs a
	 * CRL of its issuer in it, one that is in date; a CA of the chain is checked if there is one of its
	 * issuer.
	 */
	const char *crl_file;
	/* Client certificate, chain and key in one (HAProxy's `crt`), refused when everybody can read it; NULL:
	 * none.
	 */
	const char *crt;
	/* Or what the system's openssl.cnf demands, if that is more. */
	enum tls_version min_version;
};

/* What a handshake came to, for logs and `mailers test`; printable, "" where it does not apply. */
struct tls_description {
	char version[16], cipher[64];        /* "TLSv1.3", "TLS_AES_256_GCM_SHA384" */
	char subject[160], issuer[160];      /* of the server's certificate, one line */
	char names[256];                     /* its DNS and IP names, comma separated */
	char expires[40];                    /* "2027-01-31 12:00:00 UTC" */
	bool verified;
};

struct tls_api {
	unsigned version;                    /* TLS_API_VERSION */
	const char *library;                 /* "OpenSSL 3.0.17 1 Jul 2025" */
	const struct sasl_crypto *crypto;

	/* Reads all files. NULL on failure, and <reason> (TLS_REASON_SIZE bytes) says which key, which
	 * file, what is wrong and what to do, without "mailer x". Shared by any number of sessions of one
	 * thread at a time.
	 */
	struct tls_context *(*context_new)(const struct tls_settings *settings, char *reason);
	void (*context_free)(struct tls_context *ctx); /* NULL is a no-op; after its sessions */

	/* <sni>: server name to send, NULL for none; an address is not sent (RFC 6066 section 3).
	 * <verifyhost>: the DNS name or IP address that the certificate must carry, when the context
	 * verifies; NULL: any. The first flight waits in peek(). NULL without memory.
	 */
	struct tls_session *(*session_new)(struct tls_context *ctx, const char *sni, const char *verifyhost);
	void (*session_free)(struct tls_session *s); /* NULL is a no-op */

	/* Takes ciphertext. OK, or TLS or NOMEM: the session is dead then, reason() says why, and an alert
	 * may wait in peek(). Any split of the bytes gives the same.
	 */
	enum mailers_error (*feed)(struct tls_session *s, const char *data, size_t len);
	/* The connection ended. OK when close_notify came before, TLS when this is a truncation or a cut
	 * handshake.
	 */
	enum mailers_error (*eof)(struct tls_session *s);
	/* Ciphertext to send; *<data> is valid until the next call that changes <s>. */
	size_t (*peek)(struct tls_session *s, const char **data);
	void (*ack)(struct tls_session *s, size_t n);
	/* Bytes that are sure to come before anything can be read: the rest of a record's header, or of the
	 * record; 1 or more.
	 */
	size_t (*need)(const struct tls_session *s);

	bool (*established)(const struct tls_session *s);
	bool (*ended)(const struct tls_session *s);        /* the server's close_notify came */
	/* Encrypts all of <data>: only while established and before close(). OK; TLS, NOMEM: the session is
	 * dead.
	 */
	enum mailers_error (*write)(struct tls_session *s, const char *data, size_t len);
	/* Copies up to <size> bytes of plaintext that came; 0 when there is none. */
	size_t (*read)(struct tls_session *s, char *out, size_t size);
	void (*close)(struct tls_session *s);              /* close_notify joins the output, once */

	const char *(*reason)(const struct tls_session *s); /* printable line, "" without a failure */
	void (*describe)(const struct tls_session *s, struct tls_description *out);
};

#endif
