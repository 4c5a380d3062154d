/*
 * tls: whatever comes in place of a server's records, in whatever pieces, the session never hands out a
 * byte that the server did not write, says why it failed, stays dead then, leaves OpenSSL's error queue
 * empty, and how the bytes were cut changes nothing.
 *
 * Beside the session there is a server in this process; random numbers are made from the start of each run,
 * so that an input does the same each time. Input: a line of options, then a line for each step:
 *
 *   options  2 TLS 1.2 (1.3)   c CBC   r ask for a client certificate
 *   s         what the server has goes to the client, what the client has to the server, until both are quiet
 *   u         what the client has goes to the server      d  what the server has goes to the client
 *   xN TEXT   the server's bytes from its N-th on are XORed with TEXT before they go
 *   oN TEXT   they are overwritten with it   iN TEXT  it comes before them   -N  that one is left out   |N  all from there are
 *   f TEXT    TEXT comes to the client
 *   W TEXT    the server writes   w TEXT  the client writes
 *   k K t h   the server: key update, one that asks for ours, ticket, renegotiation
 *   c         the server closes   C  the client does   e  the connection ends
 */
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <mailers/buffer.h>

#include "../../plugin/tls/tls_openssl.h"
#include "fuzz.h"

#define STEPS_MAX 200
#define BYTES_MAX (1 << 20) /* of the server's, in one run */

/* --- what is made once ------------------------------------------------------------------------------------ */

static struct tls_context *context;
static SSL_CTX *servers;
static uint64_t random_state;

static int random_bytes(unsigned char *out, int n)
{
	while (n-- > 0) {
		random_state = random_state * 6364136223846793005u + 1442695040888963407u;
		*out++ = (unsigned char)(random_state >> 56);
	}
	return 1;
}

static int random_add(const void *data, int n, double entropy)
{
	(void)data;
	(void)n;
	(void)entropy;
	return 1;
}

static int random_status(void)
{
	return 1;
}

static void make_random(void)
{
	static RAND_METHOD method;

	method.bytes = random_bytes;
	method.pseudorand = random_bytes;
	method.add = random_add;
	method.status = random_status;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
	FUZZ_CHECK(RAND_set_rand_method(&method));
#pragma GCC diagnostic pop
}

static X509 *make_certificate(EVP_PKEY *key)
{
	X509 *cert = X509_new();
	X509_NAME *name = X509_get_subject_name(cert);

	FUZZ_CHECK(cert && X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"mx", -1, -1, 0));
	FUZZ_CHECK(ASN1_TIME_set_string(X509_getm_notBefore(cert), "20200101000000Z"));
	FUZZ_CHECK(ASN1_TIME_set_string(X509_getm_notAfter(cert), "20990101000000Z"));
	FUZZ_CHECK(X509_set_version(cert, X509_VERSION_3) && X509_set_issuer_name(cert, name) &&
	           X509_set_pubkey(cert, key) && X509_sign(cert, key, EVP_sha256()));
	return cert;
}

static void make_all(void)
{
	struct tls_settings settings = { .verify = false };
	char reason[TLS_REASON_SIZE];
	EVP_PKEY *key;
	X509 *cert;

	if (context)
		return;
	make_random();
	context = tls_openssl.context_new(&settings, reason);
	servers = SSL_CTX_new(TLS_server_method());
	key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	FUZZ_CHECK(context && servers && key);
	cert = make_certificate(key);
	FUZZ_CHECK(SSL_CTX_use_certificate(servers, cert) && SSL_CTX_use_PrivateKey(servers, key));
	SSL_CTX_set_session_cache_mode(servers, SSL_SESS_CACHE_OFF);
	X509_free(cert);
	EVP_PKEY_free(key);
}

/* --- one run ---------------------------------------------------------------------------------------------- */

struct run {
	struct tls_session *session;
	SSL *server;
	BIO *in, *out;            /* the server's */
	struct buffer way;        /* the server's bytes on their way */
	struct buffer wrote, got; /* the server's plaintext, and what the client read */
	struct buffer log;        /* the client's bytes, and how its calls ended */
	enum mailers_error error;
	size_t piece, total;      /* 0: all at once */
	bool closed, eof;         /* by the client; the connection */
	bool forged;              /* other bytes than the server's came */
};

static void take_plaintext(struct run *r)
{
	char text[700];
	size_t n;

	while ((n = tls_openssl.read(r->session, text, sizeof(text))))
		buffer_add(&r->got, text, n);
	FUZZ_CHECK(r->got.len <= r->wrote.len);
	FUZZ_CHECK(!r->got.len || !memcmp(r->got.data, r->wrote.data, r->got.len));
}

static void check_session(struct run *r, enum mailers_error error)
{
	const char *reason = tls_openssl.reason(r->session);

	FUZZ_CHECK(ERR_peek_error() == 0);
	FUZZ_CHECK(error == MAILERS_OK || error == MAILERS_ERR_TLS);
	FUZZ_CHECK(!r->error || error == r->error);
	FUZZ_CHECK((error == MAILERS_OK) == (*reason == '\0'));
	FUZZ_CHECK(fuzz_printable(reason));
	FUZZ_CHECK(tls_openssl.need(r->session) >= 1 && tls_openssl.need(r->session) <= 65535);
	r->error = error;
}

/* Gives <data> to the client, in pieces, each of its own block. */
static void give(struct run *r, const char *data, size_t len)
{
	size_t n;

	for (; len && !r->eof; data += n, len -= n) {
		char *block;

		n = r->piece && r->piece < len ? r->piece : len;
		block = malloc(n);
		FUZZ_CHECK(block);
		memcpy(block, data, n);
		check_session(r, tls_openssl.feed(r->session, block, n));
		free(block);
		take_plaintext(r);
	}
}

static void take_from_server(struct run *r)
{
	char bytes[4096];
	int n;

	while ((n = BIO_read(r->out, bytes, sizeof(bytes))) > 0)
		buffer_add(&r->way, bytes, (size_t)n);
}

static void down(struct run *r)
{
	struct buffer way;

	take_from_server(r);
	way = r->way;
	memset(&r->way, 0, sizeof(r->way));
	r->total += way.len;
	if (r->total < BYTES_MAX)
		give(r, way.data, way.len);
	buffer_free(&way);
}

static bool up(struct run *r)
{
	const char *data;
	char text[700];
	size_t n = tls_openssl.peek(r->session, &data);

	buffer_add(&r->log, data, n);
	BIO_write(r->in, data, (int)n);
	tls_openssl.ack(r->session, n);
	FUZZ_CHECK(tls_openssl.peek(r->session, &data) == 0);
	if (!SSL_is_init_finished(r->server))
		SSL_do_handshake(r->server);
	while (SSL_read(r->server, text, sizeof(text)) > 0)
		;
	ERR_clear_error();
	return n;
}

static void settle(struct run *r)
{
	int i;

	for (i = 0; i < 20 && (up(r) || BIO_pending(r->out)); i++)
		down(r);
}

static void server_write(struct run *r, const char *text, size_t len)
{
	if (!len || !SSL_is_init_finished(r->server) || (SSL_get_shutdown(r->server) & SSL_SENT_SHUTDOWN))
		return;
	if (SSL_write(r->server, text, (int)len) == (int)len)
		buffer_add(&r->wrote, text, len);
	ERR_clear_error();
}

/* What happens to the bytes that are on their way, from the <at>-th on. */
static void forge(struct run *r, char how, size_t at, const char *text, size_t len)
{
	struct buffer before = { 0 };
	size_t i;

	take_from_server(r);
	if (at > r->way.len)
		return;
	r->forged = true;
	buffer_add(&before, r->way.data, at);
	buffer_shift(&r->way, at);
	for (i = 0; i < len && i < r->way.len && (how == 'x' || how == 'o'); i++)
		r->way.data[i] = (char)(how == 'x' ? r->way.data[i] ^ text[i] : text[i]);
	if (how == 'i')
		buffer_add(&before, text, len);
	else if (how == '-')
		buffer_shift(&r->way, 1);
	if (how != '|')
		buffer_add(&before, r->way.data, r->way.len);
	buffer_free(&r->way);
	r->way = before;
}

static void server_does(struct run *r, char what)
{
	if (!SSL_is_init_finished(r->server))
		return;
	switch (what) {
	case 'k': SSL_key_update(r->server, SSL_KEY_UPDATE_NOT_REQUESTED); break;
	case 'K': SSL_key_update(r->server, SSL_KEY_UPDATE_REQUESTED); break;
	case 't': SSL_new_session_ticket(r->server); break;
	case 'h': SSL_renegotiate(r->server); break;
	default:  SSL_shutdown(r->server); break;
	}
	if (what != 'c')
		SSL_do_handshake(r->server);
	ERR_clear_error();
}

static void client_write(struct run *r, const char *text, size_t len)
{
	if (len && !r->error && !r->eof && !r->closed && tls_openssl.established(r->session))
		check_session(r, tls_openssl.write(r->session, text, len));
}

static void step(struct run *r, const char *line, size_t len)
{
	const char *text = memchr(line, ' ', len);
	size_t text_len = text ? len - (size_t)(++text - line) : 0;

	switch (*line) {
	case 's': settle(r); break;
	case 'u': up(r); break;
	case 'd': down(r); break;
	case 'x': case 'o': case 'i': case '-': case '|':
		forge(r, *line, (size_t)atoi(line + 1), text, text_len);
		break;
	case 'f':
		r->forged = r->forged || text_len;
		give(r, text, text_len);
		break;
	case 'W': server_write(r, text, text_len); break;
	case 'w': client_write(r, text, text_len); break;
	case 'C':
		tls_openssl.close(r->session);
		r->closed = true;
		break;
	case 'e':
		if (!r->eof)
			check_session(r, tls_openssl.eof(r->session));
		r->eof = true;
		break;
	case 'k': case 'K': case 't': case 'h': case 'c': server_does(r, *line); break;
	default: break;
	}
	FUZZ_CHECK(ERR_peek_error() == 0);
}

static void begin(struct run *r, const char *options, size_t len, size_t piece)
{
	int version = memchr(options, '2', len) ? TLS1_2_VERSION : TLS1_3_VERSION;

	memset(r, 0, sizeof(*r));
	random_state = 1;
	r->piece = piece;
	r->server = SSL_new(servers);
	r->in = BIO_new(BIO_s_mem());
	r->out = BIO_new(BIO_s_mem());
	FUZZ_CHECK(r->server && r->in && r->out);
	SSL_set_bio(r->server, r->in, r->out);
	SSL_set_accept_state(r->server);
	FUZZ_CHECK(SSL_set_min_proto_version(r->server, version) && SSL_set_max_proto_version(r->server, version));
	if (memchr(options, 'c', len))
		SSL_set_cipher_list(r->server, "ECDHE-ECDSA-AES128-SHA");
	if (memchr(options, 'r', len))
		SSL_set_verify(r->server, SSL_VERIFY_PEER, NULL);
	r->session = tls_openssl.session_new(context, "mx", "mx");
	FUZZ_CHECK(r->session);
}

static size_t line_length(const char *p, size_t len)
{
	const char *end = len ? memchr(p, '\n', len) : NULL;

	return end ? (size_t)(end - p) : len;
}

static void run(struct run *r, const char *p, size_t len, size_t piece)
{
	struct tls_description d;
	size_t n = line_length(p, len), steps;

	begin(r, p, n, piece);
	for (steps = 0; n < len && steps < STEPS_MAX; steps++) {
		p += n + 1;
		len -= n + 1;
		n = line_length(p, len);
		if (n) {
			char *line = malloc(n + 1); /* a block of its own, ended for atoi() */

			FUZZ_CHECK(line);
			memcpy(line, p, n);
			line[n] = '\0';
			step(r, line, n);
			free(line);
		}
	}
	up(r);
	tls_openssl.describe(r->session, &d);
	FUZZ_CHECK(fuzz_printable(d.subject) && fuzz_printable(d.names));
	FUZZ_CHECK(!d.verified);
	/* An honest server's session is not failed. */
	FUZZ_CHECK(r->forged || r->eof || !r->error || SSL_get_shutdown(r->server) || !SSL_is_init_finished(r->server) ||
	           SSL_version(r->server) == TLS1_2_VERSION);
	buffer_printf(&r->log, " %d %d %d %s", r->error, tls_openssl.established(r->session),
	              tls_openssl.ended(r->session), tls_openssl.reason(r->session));
}

static void end(struct run *r)
{
	tls_openssl.session_free(r->session);
	SSL_free(r->server);
	buffer_free(&r->way);
	buffer_free(&r->wrote);
	buffer_free(&r->got);
	buffer_free(&r->log);
	ERR_clear_error();
}

static bool same(const struct buffer *a, const struct buffer *b)
{
	return a->len == b->len && (!a->len || !memcmp(a->data, b->data, a->len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run whole, other;

	make_all();
	run(&whole, (const char *)data, size, 0);
	run(&other, (const char *)data, size, 1);
	FUZZ_CHECK(same(&whole.got, &other.got));
	FUZZ_CHECK(same(&whole.log, &other.log));
	end(&other);
	end(&whole);
	return 0;
}
