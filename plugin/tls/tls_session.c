/*
 * tls_session - see tls.h: one client session over memory BIOs. What comes is decrypted at once, as far as
 * it goes, so that a failure is found by the feed() that brought it; read() only hands out.
 *
 * Invariants: after <error> is set nothing but peek(), ack(), read() and reason() does anything; the length
 * of the record that is being received is followed here, as OpenSSL does not tell how many bytes it waits
 * for; OpenSSL's error queue is empty before and after each call.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/err.h>

#include "tls_internal.h"

#define TLS_SESSION_PIECE 4096

static enum mailers_error tls_session_fail(struct tls_session *s, enum mailers_error error, const char *reason)
{
	s->error = error;
	tls_text_print(s->reason, sizeof(s->reason), "%s", reason);
	return error;
}

/* A host name as SNI and certificates have it, without the root's dot. Empty when it is too long to be one. */
static void tls_session_name(const char *name, char *out)
{
	size_t len = name ? strlen(name) : 0;

	if (len && name[len - 1] == '.')
		len--;
	if (len > TLS_NAME_MAX)
		len = 0;
	if (len)
		memcpy(out, name, len);
	out[len] = '\0';
}

/* The name or address that the server's certificate must carry. */
static bool tls_session_expect(struct tls_session *s, const char *verifyhost)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(s->ssl);

	if (!s->verify || !verifyhost)
		return true;
	tls_session_name(verifyhost, s->verifyhost);
	if (tls_verify_is_address(s->verifyhost))
		return X509_VERIFY_PARAM_set1_ip_asc(param, s->verifyhost);
	X509_VERIFY_PARAM_set_hostflags(param, TLS_HOST_FLAGS);
	/* A name that is none must match nothing; to OpenSSL an empty one would match everything. */
	if (!s->verifyhost[0])
		memcpy(s->verifyhost, "invalid.", sizeof("invalid."));
	return X509_VERIFY_PARAM_set1_host(param, s->verifyhost, 0);
}

static bool tls_session_indicate(struct tls_session *s, const char *sni)
{
	char name[TLS_NAME_MAX + 1];

	tls_session_name(sni, name);
	return !name[0] || tls_verify_is_address(name) || SSL_set_tlsext_host_name(s->ssl, name);
}

static bool tls_session_open(struct tls_session *s, struct tls_context *ctx, const char *sni,
                             const char *verifyhost)
{
	s->verify = ctx->verify;
	s->plain = BIO_new(BIO_s_mem());
	s->in = BIO_new(BIO_s_mem());
	s->out = BIO_new(BIO_s_mem());
	s->ssl = s->plain && s->in && s->out ? SSL_new(ctx->ssl) : NULL;
	if (!s->ssl)
		return false;
	SSL_set_bio(s->ssl, s->in, s->out);
	SSL_set_connect_state(s->ssl);
	return SSL_set_app_data(s->ssl, s) && tls_session_expect(s, verifyhost) &&
	       tls_session_indicate(s, sni) && SSL_do_handshake(s->ssl) < 0 && BIO_pending(s->out) > 0;
}

struct tls_session *tls_session_new(struct tls_context *ctx, const char *sni, const char *verifyhost)
{
	struct tls_session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	ERR_clear_error();
	if (!tls_session_open(s, ctx, sni, verifyhost)) {
		tls_session_free(s);
		s = NULL;
	}
	ERR_clear_error();
	return s;
}

void tls_session_free(struct tls_session *s)
{
	if (!s)
		return;
	if (!s->ssl) {
		BIO_free(s->in);
		BIO_free(s->out);
	}
	SSL_free(s->ssl);
	BIO_free(s->plain);
	ERR_clear_error();
	free(s);
}

/* Follows the records in what was received. */
static void tls_session_count(struct tls_session *s, const unsigned char *data, size_t len)
{
	while (len) {
		size_t n = TLS_RECORD_HEADER - s->record.have;

		if (n) {
			n = n < len ? n : len;
			memcpy(s->record.header + s->record.have, data, n);
			s->record.have += n;
			if (s->record.have == TLS_RECORD_HEADER)
				s->record.left = (size_t)s->record.header[3] << 8 | s->record.header[4];
		} else {
			n = s->record.left < len ? s->record.left : len;
			s->record.left -= n;
		}
		data += n;
		len -= n;
		if (s->record.have == TLS_RECORD_HEADER && !s->record.left)
			s->record.have = 0;
	}
}

/* What a call of OpenSSL that did not succeed means: the only place that looks at SSL_get_error(). OK is
 * "more bytes are needed", or the server's close_notify.
 */
static enum mailers_error tls_session_result(struct tls_session *s, int result)
{
	char fault[TLS_REASON_SIZE];
	enum mailers_error error;

	switch (SSL_get_error(s->ssl, result)) {
	case SSL_ERROR_NONE:
	case SSL_ERROR_WANT_READ:
		return MAILERS_OK;
	case SSL_ERROR_ZERO_RETURN:
		s->ended = true;
		return MAILERS_OK;
	case SSL_ERROR_SSL:
	case SSL_ERROR_SYSCALL: /* a memory BIO fails for memory alone */
		error = tls_text_errors(fault, sizeof(fault));
		return tls_session_fail(s, error, s->rejection[0] ? s->rejection : fault);
	default:
		return tls_session_fail(s, MAILERS_ERR_TLS, "OpenSSL waits for what it cannot get here");
	}
}

/* Takes the session as far as the bytes go that have come. */
static enum mailers_error tls_session_pump(struct tls_session *s)
{
	char text[TLS_SESSION_PIECE];
	enum mailers_error error;
	size_t n;
	int result;

	if (!s->established) {
		result = SSL_do_handshake(s->ssl);
		if (result != 1)
			return tls_session_result(s, result);
		if (!tls_verify_again(s))
			return tls_session_fail(s, MAILERS_ERR_TLS, s->rejection);
		s->established = true;
	}
	while ((result = SSL_read_ex(s->ssl, text, sizeof(text), &n)) == 1) {
		size_t done;

		if (!BIO_write_ex(s->plain, text, n, &done) || done != n)
			return tls_session_fail(s, MAILERS_ERR_NOMEM, "out of memory");
	}
	error = tls_session_result(s, result);
	OPENSSL_cleanse(text, sizeof(text));
	return error;
}

enum mailers_error tls_session_feed(struct tls_session *s, const char *data, size_t len)
{
	enum mailers_error error;
	size_t done;

	if (s->error || s->ended || !len)
		return s->error;
	ERR_clear_error();
	tls_session_count(s, (const unsigned char *)data, len);
	if (!BIO_write_ex(s->in, data, len, &done) || done != len)
		error = tls_session_fail(s, MAILERS_ERR_NOMEM, "out of memory");
	else
		error = tls_session_pump(s);
	ERR_clear_error();
	return error;
}

enum mailers_error tls_session_eof(struct tls_session *s)
{
	if (s->error || s->ended)
		return s->error;
	return tls_session_fail(s, MAILERS_ERR_TLS, s->established ?
	                        "the connection ended without a close_notify" :
	                        "the connection ended within the TLS handshake");
}

size_t tls_session_peek(struct tls_session *s, const char **data)
{
	char *bytes = NULL;
	long n = BIO_get_mem_data(s->out, &bytes);

	*data = bytes;
	return n > 0 ? (size_t)n : 0;
}

void tls_session_ack(struct tls_session *s, size_t n)
{
	char gone[TLS_SESSION_PIECE];
	size_t done;

	for (; n; n -= done) {
		if (!BIO_read_ex(s->out, gone, n < sizeof(gone) ? n : sizeof(gone), &done))
			break;
	}
	ERR_clear_error();
}

size_t tls_session_need(const struct tls_session *s)
{
	return s->record.left ? s->record.left : TLS_RECORD_HEADER - s->record.have;
}

bool tls_session_established(const struct tls_session *s)
{
	return s->established;
}

bool tls_session_ended(const struct tls_session *s)
{
	return s->ended;
}

enum mailers_error tls_session_write(struct tls_session *s, const char *data, size_t len)
{
	enum mailers_error error = MAILERS_OK;
	size_t done;
	int result;

	if (s->error)
		return s->error;
	if (!s->established || s->closed)
		return tls_session_fail(s, MAILERS_ERR_TLS, "nothing can be sent in this state");
	ERR_clear_error();
	for (; len && !error; data += done, len -= done) {
		done = 0;
		result = SSL_write_ex(s->ssl, data, len, &done);
		if (result != 1)
			error = tls_session_result(s, result);
		if (!done && !error)
			error = tls_session_fail(s, MAILERS_ERR_TLS, "the session takes nothing more");
	}
	ERR_clear_error();
	return error;
}

size_t tls_session_read(struct tls_session *s, char *out, size_t size)
{
	size_t done = 0;

	if (size && !BIO_read_ex(s->plain, out, size, &done))
		done = 0;
	ERR_clear_error();
	return done;
}

void tls_session_close(struct tls_session *s)
{
	if (!s->established || s->closed || s->error)
		return;
	s->closed = true;
	ERR_clear_error();
	SSL_shutdown(s->ssl);
	ERR_clear_error();
}

const char *tls_session_reason(const struct tls_session *s)
{
	return s->reason;
}

void tls_session_describe(const struct tls_session *s, struct tls_description *out)
{
	X509 *cert = SSL_get0_peer_certificate(s->ssl);

	memset(out, 0, sizeof(*out));
	if (!s->established)
		return;
	ERR_clear_error();
	tls_text_print(out->version, sizeof(out->version), "%s", SSL_get_version(s->ssl));
	tls_text_print(out->cipher, sizeof(out->cipher), "%s", SSL_get_cipher_name(s->ssl));
	if (cert)
		tls_certificate_describe(cert, out);
	out->verified = s->verify && cert && SSL_get_verify_result(s->ssl) == X509_V_OK;
	ERR_clear_error();
}
