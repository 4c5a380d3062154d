/*
 * sink_tls - see sink.h. OpenSSL over memory BIOs: the session reads and writes the socket, as without TLS.
 *
 * Until the handshake is over everything that OpenSSL has to say is looked at by sink_tls_say(), which lets a fault
 * happen after the byte that a rule names. From then on the connection is <raw>: what the session says goes out as
 * it is, and what the client says is not heard any more, unless the fault only made the handshake slow.
 */
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "sink.h"

struct sink_tls {
	SSL *ssl;
	BIO *in, *out;
	int established, closed;
	int raw;                  /* out and held go to the connection as they are */
	int dead;                 /* no handshake any more */
	size_t said;              /* bytes of our side of the handshake */
};

static void die_tls(const char *what, const char *name)
{
	ERR_print_errors_fp(stderr);
	tool_die("%s %s", what, name);
}

void sink_tls_prepare(struct sink *sink, const struct sink_tls_options *o)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
	int version = o->version == 12 ? TLS1_2_VERSION : TLS1_3_VERSION;

	if (!ctx)
		die_tls("no", "TLS");
	if (o->version && !(SSL_CTX_set_min_proto_version(ctx, version) && SSL_CTX_set_max_proto_version(ctx, version)))
		die_tls("cannot have", "that TLS version");
	if (SSL_CTX_use_certificate_chain_file(ctx, o->cert) != 1)
		die_tls("cannot read the certificate", o->cert);
	if (SSL_CTX_use_PrivateKey_file(ctx, o->key ? o->key : o->cert, SSL_FILETYPE_PEM) != 1)
		die_tls("cannot read the key", o->key ? o->key : o->cert);
	if (o->client_ca) {
		if (SSL_CTX_load_verify_locations(ctx, o->client_ca, NULL) != 1)
			die_tls("cannot read", o->client_ca);
		SSL_CTX_set_client_CA_list(ctx, SSL_load_client_CA_file(o->client_ca));
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | (o->client_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
	}
	sink->tls = ctx;
}

void sink_tls_start(struct sink_session *s)
{
	struct sink_tls *t = calloc(1, sizeof(*t));

	if (!t)
		tool_die("no memory");
	t->ssl = SSL_new(s->sink->tls);
	t->in = BIO_new(BIO_s_mem());
	t->out = BIO_new(BIO_s_mem());
	if (!t->ssl || !t->in || !t->out)
		die_tls("no memory", "for TLS");
	SSL_set_bio(t->ssl, t->in, t->out);
	SSL_set_accept_state(t->ssl);
	s->tls = t;
	s->waiting = 1;
	s->alone = 0;
	s->then = THEN_GO_ON;
	sink_session_arm(s, STEP_TLS);
}

void sink_tls_free(struct sink_tls *t)
{
	if (!t)
		return;
	SSL_free(t->ssl);
	free(t);
}

/* The fault's place among the <len> bytes that are to be said at <data>, which begins with a record; <len> when it is
 * not among them.
 */
static size_t fault_place(const struct sink_tls *t, struct sink_fault *f, const char *data, size_t len)
{
	const unsigned char *p = (const unsigned char *)data;
	size_t at = 0;

	while (f->answer.line > 1) {
		if (len - at < 5)
			return len;
		at += 5 + (size_t)p[at + 3] * 256 + p[at + 4];
		if (--f->answer.line == 1)
			f->answer.after += t->said + at;
	}
	at = f->answer.after > t->said ? f->answer.after - t->said : 0;
	return at < len ? at : len;
}

/* Everything after the fault's place: slow, or not at all. */
static void fault_begin(struct sink_session *s, const char *rest, size_t len)
{
	const struct sink_answer *a = &s->fault.answer;
	int slow = !a->len && a->then == THEN_GO_ON && (a->delay_ms || a->pace_ms);

	s->tls->raw = 1;
	s->tls->dead = !slow;
	sink_session_fault(s);
	s->waiting = 1;
	if (slow)
		buffer_add(&s->held, rest, len);
}

static void handshake_say(struct sink_session *s, const char *data, size_t len)
{
	struct sink_tls *t = s->tls;
	size_t n = len;

	if (t->dead)
		return;
	if (t->raw) {
		buffer_add(&s->held, data, len);
		if (!ev_is_active(&s->timer))
			ev_feed_event(s->sink->loop, &s->timer, EV_TIMER);
		return;
	}
	if (s->fault.armed)
		n = fault_place(t, &s->fault, data, len);
	buffer_add(&s->wire, data, n);
	t->said += n;
	if (n < len)
		fault_begin(s, data + n, len - n);
}

static void output_take(struct sink_session *s, int handshake)
{
	struct sink_tls *t = s->tls;
	char *data;
	long len = BIO_get_mem_data(t->out, &data);

	if (len <= 0)
		return;
	if (handshake)
		handshake_say(s, data, (size_t)len);
	else
		buffer_add(&s->wire, data, (size_t)len);
	(void)BIO_reset(t->out);
}

/* The alert that tells the client why is among what is sent. */
static void handshake_failed(struct sink_session *s)
{
	char text[256];

	ERR_error_string_n(ERR_peek_error(), text, sizeof(text));
	sink_store_line(s, '!', text, strlen(text));
	if (!s->tls->established)
		s->sink->handshakes_failed++;
	s->tls->dead = 1;
	s->tls->closed = 1;
	s->waiting = 1;
	s->then = THEN_CLOSE;
}

static void handshake_run(struct sink_session *s)
{
	struct sink_tls *t = s->tls;
	int result = SSL_do_handshake(t->ssl);
	char text[512];

	output_take(s, 1);
	if (t->dead)
		return;
	if (result != 1) {
		if (SSL_get_error(t->ssl, result) != SSL_ERROR_WANT_READ)
			handshake_failed(s);
		return;
	}
	t->established = 1;
	s->fault.armed = 0;
	s->sink->handshakes++;
	sink_tls_describe(t, text, sizeof(text));
	sink_store_line(s, '!', text, strlen(text));
	if (t->raw && s->held.len)
		return;
	t->raw = 0;
	sink_session_secured(s);
}

void sink_tls_feed(struct sink_session *s, const char *data, size_t len)
{
	struct sink_tls *t = s->tls;
	char text[16384];
	int n;

	if (t->dead)
		return;
	ERR_clear_error();
	if (BIO_write(t->in, data, (int)len) != (int)len)
		tool_die("no memory");
	if (!t->established)
		handshake_run(s);
	if (!t->established || t->dead)
		return;
	while ((n = SSL_read(t->ssl, text, sizeof(text))) > 0)
		buffer_add(&s->in, text, (size_t)n);
	n = SSL_get_error(t->ssl, n);
	if (n != SSL_ERROR_WANT_READ && n != SSL_ERROR_ZERO_RETURN)
		handshake_failed(s);
	output_take(s, 0);
}

void sink_tls_push(struct sink_session *s)
{
	struct sink_tls *t = s->tls;

	if (t->raw) {
		buffer_add(&s->wire, s->out.data, s->out.len);
		buffer_clear(&s->out);
	} else if (t->established && s->out.len) {
		/* It fails only when the client broke TLS, and then nobody listens. */
		if (SSL_write(t->ssl, s->out.data, (int)s->out.len) > 0)
			output_take(s, 0);
		buffer_clear(&s->out);
	}
}

int sink_tls_drip(struct sink_session *s)
{
	struct sink_tls *t = s->tls;

	if (!t->raw)
		return 0;
	sink_tls_push(s);
	if (!t->established)
		return 1;
	t->raw = 0;
	return 0;
}

void sink_tls_close(struct sink_session *s)
{
	struct sink_tls *t = s->tls;

	if (t->closed || t->raw || !t->established)
		return;
	sink_tls_push(s);
	t->closed = 1;
	SSL_shutdown(t->ssl);
	output_take(s, 0);
}

void sink_tls_describe(const struct sink_tls *t, char *line, size_t size)
{
	X509 *client = SSL_get0_peer_certificate(t->ssl);
	const char *name = SSL_get_servername(t->ssl, TLSEXT_NAMETYPE_host_name);
	char subject[256] = "-";

	if (client)
		X509_NAME_oneline(X509_get_subject_name(client), subject, sizeof(subject));
	snprintf(line, size, "TLS %s %s sni=%s client=%s", SSL_get_version(t->ssl), SSL_get_cipher_name(t->ssl),
	         name ? name : "-", subject);
}
