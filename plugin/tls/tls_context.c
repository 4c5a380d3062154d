/*
 * tls_context - see tls.h: what all sessions of some settings share. It is made when HAProxy starts and
 * never changed; the CAs in it are most of its memory.
 *
 * Not used: sessions that are resumed (a mailer's connections are few and live long; what is remembered of
 * another one would be state to keep), renegotiation, and compression, which gives away what it compresses.
 */
#include <stdlib.h>

#include <openssl/err.h>

#include "tls_internal.h"
#include "tls_openssl.h"

/* Bytes of a server's chain of certificates: twenty large ones. OpenSSL would hold up to 100 KB of it for each
 * session.
 */
#define TLS_CONTEXT_CHAIN_MAX 65536

static const int tls_context_versions[] = {
	[TLS_VERSION_1_2] = TLS1_2_VERSION,
	[TLS_VERSION_1_3] = TLS1_3_VERSION,
};

/* The lowest version: ours, or the system's configuration, whichever is stricter. */
static bool tls_context_set_version(SSL_CTX *ssl, enum tls_version min)
{
	int version = tls_context_versions[min == TLS_VERSION_1_3 ? TLS_VERSION_1_3 : TLS_VERSION_1_2];

	return SSL_CTX_get_min_proto_version(ssl) > version || SSL_CTX_set_min_proto_version(ssl, version);
}

static SSL_CTX *tls_context_make(const struct tls_settings *settings)
{
	SSL_CTX *ssl = SSL_CTX_new(TLS_client_method());

	if (!ssl)
		return NULL;
	if (!tls_context_set_version(ssl, settings->min_version)) {
		SSL_CTX_free(ssl);
		return NULL;
	}
	SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_NO_TICKET);
	SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_max_cert_list(ssl, TLS_CONTEXT_CHAIN_MAX);
	if (settings->verify)
		SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER, tls_verify_callback);
	else
		/* Without a look at the certificate whoever is active can be in the middle anyway. Short
		 * keys and old hashes still keep out those who only listen, and the alternative is plain
		 * text (RFC 7435).
		 */
		SSL_CTX_set_security_level(ssl, 0);
	return ssl;
}

/* A certificate whose issuer has no CRL in the file passes, unless it is the server's own: tls_verify.c. */
static bool tls_context_revocation(SSL_CTX *ssl, const char *crl_file, char *reason)
{
	X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ssl);

	X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
	return tls_file_crl(SSL_CTX_get_cert_store(ssl), crl_file, reason);
}

/* Can a session be begun at all? The system's configuration may have left no version, or no cipher for it. */
static bool tls_context_works(struct tls_context *ctx, char *reason)
{
	struct tls_session *s = tls_session_new(ctx, NULL, NULL);

	if (!s)
		tls_text_print(reason, TLS_REASON_SIZE, "OpenSSL cannot begin a session with ssl_min_ver and "
		               "the ciphers that its configuration (openssl.cnf) allows");
	tls_session_free(s);
	return s;
}

static bool tls_context_files(SSL_CTX *ssl, const struct tls_settings *settings, char *reason)
{
	/* What the administrator put into ca_file is trusted as it is, a CA below a root or the server's own
	 * certificate too.
	 */
	if (settings->verify && settings->ca_file)
		X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ssl), X509_V_FLAG_PARTIAL_CHAIN);
	if (settings->verify && !tls_file_ca(SSL_CTX_get_cert_store(ssl), settings->ca_file, reason))
		return false;
	if (settings->verify && settings->crl_file && !tls_context_revocation(ssl, settings->crl_file, reason))
		return false;
	return !settings->crt || tls_file_crt(ssl, settings->crt, reason);
}

struct tls_context *tls_context_new(const struct tls_settings *settings, char *reason)
{
	struct tls_context *ctx = calloc(1, sizeof(*ctx));
	bool done = false;

	tls_text_print(reason, TLS_REASON_SIZE, "out of memory");
	if (!ctx)
		return NULL;
	if (!tls_openssl_init()) {
		tls_text_print(reason, TLS_REASON_SIZE, "OpenSSL does not start");
	} else {
		ctx->verify = settings->verify;
		ctx->ssl = tls_context_make(settings);
		if (!ctx->ssl)
			tls_text_errors(reason, TLS_REASON_SIZE);
		else
			done = tls_context_files(ctx->ssl, settings, reason) && tls_context_works(ctx, reason);
	}
	ERR_clear_error();
	if (done) {
		reason[0] = '\0';
		return ctx;
	}
	tls_context_free(ctx);
	return NULL;
}

void tls_context_free(struct tls_context *ctx)
{
	if (!ctx)
		return;
	SSL_CTX_free(ctx->ssl);
	ERR_clear_error();
	free(ctx);
}
