/*
 * wire_fake - a tls_api for the tests of wire: records with a header of five bytes as TLS has them, and a
 * payload that is XORed, so that a test can tell ciphertext from plaintext.
 *
 *   H handshake  the client sends "hello", the server "ready", the client "done": established for the client then
 *   D data       plaintext
 *   K key update is answered with another
 *   C close_notify
 *   A alert      the failure of whoever reads it
 *
 * Any other type, or a wrong version, is a failure: an alert is queued.
 */
#ifndef WIRE_FAKE_H
#define WIRE_FAKE_H

#include <mailers/buffer.h>
#include <mailers/tls.h>

#include "unit.h"

#define FAKE_KEY 0x2a

struct tls_context {
	int sessions; /* that live */
	bool ok;
};

struct tls_session {
	struct tls_context *context;
	struct buffer in, out, plain;
	bool established, ended, closed;
	enum mailers_error error;
	const char *reason;
	char sni[32], verifyhost[32];
};

/* Appends the record of <type> with <len> bytes of <data> to <out>. */
static inline void fake_seal(struct buffer *out, char type, const char *data, size_t len)
{
	char header[TLS_RECORD_HEADER] = { type, 3, 3, (char)(len >> 8), (char)len };
	size_t i;

	buffer_add(out, header, sizeof(header));
	for (i = 0; i < len; i++) {
		char c = (char)(data[i] ^ FAKE_KEY);

		buffer_add(out, &c, 1);
	}
}

static inline void fake_seal_text(struct buffer *out, char type, const char *text)
{
	fake_seal(out, type, text, strlen(text));
}

/* Takes a whole record from the front of <in>: appends its payload to <plain> and returns its type; 0 when
 * there is no whole one.
 */
static inline char fake_open(struct buffer *in, struct buffer *plain)
{
	const unsigned char *p = (const unsigned char *)in->data;
	size_t len, i;
	char type;

	if (in->len < TLS_RECORD_HEADER)
		return 0;
	len = (size_t)p[3] << 8 | p[4];
	if (in->len < TLS_RECORD_HEADER + len)
		return 0;
	type = in->data[0];
	for (i = 0; i < len; i++) {
		char c = (char)(p[TLS_RECORD_HEADER + i] ^ FAKE_KEY);

		buffer_add(plain, &c, 1);
	}
	buffer_shift(in, TLS_RECORD_HEADER + len);
	return type;
}

static inline enum mailers_error fake_fail(struct tls_session *s, enum mailers_error error, const char *reason)
{
	s->error = error;
	s->reason = reason;
	return error;
}

static inline enum mailers_error fake_record(struct tls_session *s, char type, struct buffer *text)
{
	switch (type) {
	case 'H':
		if (s->established || text->len != 5 || memcmp(text->data, "ready", 5) != 0)
			break;
		s->established = true;
		fake_seal_text(&s->out, 'H', "done");
		return buffer_error(&s->out);
	case 'D':
		if (!s->established)
			break;
		buffer_add(&s->plain, text->data, text->len);
		return buffer_error(&s->plain);
	case 'K':
		fake_seal_text(&s->out, 'K', "");
		return buffer_error(&s->out);
	case 'C':
		s->ended = true;
		return MAILERS_OK;
	case 'A':
		return fake_fail(s, MAILERS_ERR_TLS, "the server said: alert");
	default:
		break;
	}
	fake_seal_text(&s->out, 'A', "bad");
	return fake_fail(s, MAILERS_ERR_TLS, "bad record");
}

static inline struct tls_session *fake_session_new(struct tls_context *ctx, const char *sni, const char *verifyhost)
{
	struct tls_session *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	fake_seal_text(&s->out, 'H', "hello");
	if (buffer_error(&s->out)) {
		free(s);
		return NULL;
	}
	s->context = ctx;
	s->reason = "";
	snprintf(s->sni, sizeof(s->sni), "%s", sni ? sni : "");
	snprintf(s->verifyhost, sizeof(s->verifyhost), "%s", verifyhost ? verifyhost : "");
	ctx->sessions++;
	return s;
}

static inline void fake_session_free(struct tls_session *s)
{
	if (!s)
		return;
	s->context->sessions--;
	buffer_free(&s->in);
	buffer_free(&s->out);
	buffer_free(&s->plain);
	free(s);
}

static inline enum mailers_error fake_feed(struct tls_session *s, const char *data, size_t len)
{
	assert_int_equal(s->error, MAILERS_OK); /* dead sessions are left alone */
	buffer_add(&s->in, data, len);
	if (buffer_error(&s->in))
		return fake_fail(s, MAILERS_ERR_NOMEM, "out of memory");
	while (!s->ended && s->in.len >= TLS_RECORD_HEADER) {
		struct buffer text = { 0 };
		enum mailers_error error;
		char type = s->in.data[1] == 3 ? fake_open(&s->in, &text) : '?';

		if (!type)
			break;
		error = buffer_error(&text) ? MAILERS_ERR_NOMEM : fake_record(s, type, &text);
		buffer_free(&text);
		if (error)
			return s->error ? s->error : fake_fail(s, error, "out of memory");
	}
	return MAILERS_OK;
}

static inline enum mailers_error fake_eof(struct tls_session *s)
{
	return s->ended ? MAILERS_OK : fake_fail(s, MAILERS_ERR_TLS, "cut");
}

static inline size_t fake_peek(struct tls_session *s, const char **data)
{
	*data = s->out.data;
	return s->out.len;
}

static inline void fake_ack(struct tls_session *s, size_t n)
{
	assert_in_range(n, 0, s->out.len);
	buffer_shift(&s->out, n);
}

static inline size_t fake_need(const struct tls_session *s)
{
	const unsigned char *p = (const unsigned char *)s->in.data;

	if (s->in.len < TLS_RECORD_HEADER)
		return TLS_RECORD_HEADER - s->in.len;
	return TLS_RECORD_HEADER + ((size_t)p[3] << 8 | p[4]) - s->in.len;
}

static inline bool fake_established(const struct tls_session *s)
{
	return s->established;
}

static inline bool fake_ended(const struct tls_session *s)
{
	return s->ended;
}

static inline enum mailers_error fake_write(struct tls_session *s, const char *data, size_t len)
{
	assert_true(s->established && !s->closed && !s->error);
	assert_in_range(len, 1, 16384);
	fake_seal(&s->out, 'D', data, len);
	if (buffer_error(&s->out))
		return fake_fail(s, MAILERS_ERR_NOMEM, "out of memory");
	return MAILERS_OK;
}

static inline size_t fake_read(struct tls_session *s, char *out, size_t size)
{
	size_t n = s->plain.len < size ? s->plain.len : size;

	if (n)
		memcpy(out, s->plain.data, n);
	buffer_shift(&s->plain, n);
	return n;
}

static inline void fake_close(struct tls_session *s)
{
	if (!s->closed)
		fake_seal_text(&s->out, 'C', "");
	s->closed = true;
}

static inline const char *fake_reason(const struct tls_session *s)
{
	return s->reason;
}

static inline void fake_describe(const struct tls_session *s, struct tls_description *out)
{
	memset(out, 0, sizeof(*out));
	snprintf(out->version, sizeof(out->version), "TLSv1.3");
	snprintf(out->names, sizeof(out->names), "%s", s->verifyhost);
}

static const struct tls_api fake_api = {
	.version = TLS_API_VERSION,
	.library = "none",
	.session_new = fake_session_new,
	.session_free = fake_session_free,
	.feed = fake_feed,
	.eof = fake_eof,
	.peek = fake_peek,
	.ack = fake_ack,
	.need = fake_need,
	.established = fake_established,
	.ended = fake_ended,
	.write = fake_write,
	.read = fake_read,
	.close = fake_close,
	.reason = fake_reason,
	.describe = fake_describe,
};

#endif
