/*
 * peer - for the TLS tests: a server of OpenSSL over memory BIOs in this process, and the client's session
 * beside it. Bytes move between them in steps of a size, or in the exact records that a host asks for.
 *
 * The certificates are those of certs.sh in the folder $TLS_CERTS.
 */
#ifndef TLS_PEER_H
#define TLS_PEER_H

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "tls_openssl.h"
#include "unit.h"

#define STEP_ALL  0          /* whatever is there at once */
#define STEP_NEED (SIZE_MAX) /* what need() asks for, and no byte more */

struct peer_settings {
	const char *crt;           /* in $TLS_CERTS; NULL: good.pem */
	int min_version, max_version;
	const char *client_ca;     /* a client certificate is demanded */
	const char *ciphers;       /* of TLS 1.2, at security level 0 */
};

struct pair {
	struct tls_context *context;
	struct tls_session *session;
	SSL_CTX *server_context;
	SSL *server;
	BIO *in, *out;             /* the server's */
	size_t step;
	size_t sent, received;     /* bytes of the client's and the server's that were moved */
	size_t cut;                /* the server's bytes end after this many; 0: never */
	size_t count;              /* calls of feed() */
	enum mailers_error error;  /* of the last feed() */
};

static inline const char *cert_path(const char *name)
{
	static char paths[64][512];
	const char *dir = getenv("TLS_CERTS");
	char path[512];
	size_t i;

	assert_non_null(dir);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	for (i = 0; paths[i][0] && strcmp(paths[i], path) != 0; i++)
		assert_in_range(i, 0, 62);
	memcpy(paths[i], path, sizeof(path));
	return paths[i];
}

static inline void server_new(struct pair *p, const struct peer_settings *settings)
{
	const char *crt = cert_path(settings->crt ? settings->crt : "good.pem");

	p->server_context = SSL_CTX_new(TLS_server_method());
	assert_non_null(p->server_context);
	SSL_CTX_set_security_level(p->server_context, 0);
	assert_true(SSL_CTX_use_certificate_chain_file(p->server_context, crt));
	assert_true(SSL_CTX_use_PrivateKey_file(p->server_context, crt, SSL_FILETYPE_PEM));
	assert_true(SSL_CTX_set_min_proto_version(p->server_context, settings->min_version));
	assert_true(SSL_CTX_set_max_proto_version(p->server_context, settings->max_version));
	SSL_CTX_set_mode(p->server_context, SSL_MODE_ENABLE_PARTIAL_WRITE);
	SSL_CTX_set_max_cert_list(p->server_context, 1 << 20);
	if (settings->ciphers)
		assert_true(SSL_CTX_set_cipher_list(p->server_context, settings->ciphers));
	if (settings->client_ca) {
		assert_true(SSL_CTX_load_verify_locations(p->server_context, cert_path(settings->client_ca), NULL));
		SSL_CTX_set_verify(p->server_context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	}
	p->server = SSL_new(p->server_context);
	assert_non_null(p->server);
	p->in = BIO_new(BIO_s_mem());
	p->out = BIO_new(BIO_s_mem());
	SSL_set_bio(p->server, p->in, p->out);
	SSL_set_accept_state(p->server);
}

/* A client with <settings> that wants <host>, and a server. */
static inline void pair_new(struct pair *p, const struct tls_settings *settings, const char *host,
                            const struct peer_settings *peer)
{
	static const struct peer_settings usual;
	char reason[TLS_REASON_SIZE];

	memset(p, 0, sizeof(*p));
	server_new(p, peer ? peer : &usual);
	p->context = tls_openssl.context_new(settings, reason);
	if (!p->context)
		fail_msg("%s", reason);
	p->session = tls_openssl.session_new(p->context, host, host);
	assert_non_null(p->session);
}

static inline void pair_free(struct pair *p)
{
	tls_openssl.session_free(p->session);
	tls_openssl.context_free(p->context);
	SSL_free(p->server);
	SSL_CTX_free(p->server_context);
	ERR_clear_error();
}

/* Moves what the client has to the server. False when there was nothing. */
static inline bool pair_up(struct pair *p)
{
	const char *data;
	size_t n = tls_openssl.peek(p->session, &data);

	if (!n)
		return false;
	if (p->step && p->step < n)
		n = p->step;
	assert_int_equal(BIO_write(p->in, data, (int)n), n);
	tls_openssl.ack(p->session, n);
	p->sent += n;
	return true;
}

/* The bytes of the next step that the server has for the client. */
static inline size_t pair_down_size(struct pair *p)
{
	size_t n = BIO_pending(p->out), most = p->step;

	if (p->step == STEP_NEED) {
		most = tls_openssl.need(p->session);
		assert_in_range(most, 1, 5 + 16384 + 2048);
		if (n)
			assert_in_range(most, 1, n); /* it is sure to come */
	}
	if (most && most < n)
		n = most;
	if (p->cut && n > p->cut - p->received)
		n = p->cut - p->received;
	return n;
}

static inline bool pair_down(struct pair *p)
{
	size_t n = pair_down_size(p);
	char *bytes; /* of their own block, so that reading too far is seen */

	if (!n || p->error)
		return false;
	bytes = malloc(n);
	assert_non_null(bytes);
	assert_int_equal(BIO_read(p->out, bytes, (int)n), n);
	p->error = tls_openssl.feed(p->session, bytes, n);
	free(bytes);
	p->received += n;
	p->count++;
	assert_int_equal(ERR_peek_error(), 0); /* HAProxy's queue too */
	if (p->error)
		assert_true(*tls_openssl.reason(p->session));
	else
		assert_string_equal(tls_openssl.reason(p->session), "");
	return true;
}

/* The server does what it can without a byte from us. */
static inline void pair_serve(struct pair *p)
{
	ERR_clear_error();
	if (!SSL_is_init_finished(p->server))
		SSL_do_handshake(p->server);
	ERR_clear_error();
}

/* Until neither has anything to say. */
static inline void pair_settle(struct pair *p)
{
	bool moved = true;

	while (moved) {
		moved = pair_up(p);
		pair_serve(p);
		while (pair_down(p))
			moved = true;
	}
}

static inline bool pair_up_and_running(const struct pair *p)
{
	return !p->error && tls_openssl.established(p->session);
}

/* The server says <len> bytes. */
static inline void pair_say(struct pair *p, const char *data, size_t len)
{
	size_t done;

	while (len) {
		assert_true(SSL_write_ex(p->server, data, len, &done));
		data += done;
		len -= done;
	}
}

/* What the server hears: up to <size> - 1 bytes as a string. */
static inline size_t pair_hear(struct pair *p, char *out, size_t size)
{
	size_t len = 0, n;

	while (len < size - 1 && SSL_read_ex(p->server, out + len, size - 1 - len, &n))
		len += n;
	ERR_clear_error();
	out[len] = '\0';
	return len;
}

#endif
