/*
 * wire - see wire.h. Moves bytes between an smtp_client and its connection, through a TLS session once the
 * client has asked for one. It holds no plaintext: what the client shows is encrypted when the host asks
 * for bytes to send, and what the session has decrypted goes into the client within the call that brought
 * it.
 *
 * Invariants: the client is acknowledged a record's plaintext when that record has left to its last byte,
 * neither before (its final dot could still be here) nor later (a server can answer a record, and the
 * records behind it be lost); records leave in the order of <records>; after the session failed, nothing
 * but its alert leaves; after the client took back what was encrypted, nothing at all.
 *
 * Called by connection.c, and by tests with a tls_api of their own. It knows nothing of OpenSSL.
 */
#include <stdlib.h>

#include <mailers/wire.h>

#define WIRE_RECORD  16384                      /* plaintext of the longest record, RFC 8446 section 5.1 */
#define WIRE_RECORDS (WIRE_CHUNK / WIRE_RECORD * 2) /* short ones too */

enum wire_state { /* each is followed by the next ones only; there is no way back */
	WIRE_PLAIN = 0,
	WIRE_HANDSHAKE,
	WIRE_SECURE,
	WIRE_BROKEN, /* the client was told; an alert may leave */
};

/* A piece of the client's output that was encrypted and has not left. */
struct wire_record {
	size_t plain;  /* its bytes */
	size_t cipher; /* ciphertext that has to leave until it is gone, from the end of the one before */
};

struct wire {
	struct smtp_client *client;
	struct wire_tls tls;
	struct tls_session *session;  /* NULL while WIRE_PLAIN, or when none could be had */
	enum wire_state state;
	bool begun;                   /* some of our first flight has left */
	bool closing;                 /* our close_notify is on the way */
	bool eof;
	uint64_t now_ms;              /* of the last call that said it */
	struct wire_record records[WIRE_RECORDS];
	size_t first, nrecords;
	size_t pending;               /* plaintext of all <records> */
	size_t queued;                /* ciphertext that has to leave until the last of <records> is gone */
};

struct wire *wire_new(struct smtp_client *client, const struct wire_tls *tls)
{
	struct wire *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->client = client;
	if (tls)
		w->tls = *tls;
	return w;
}

void wire_free(struct wire *w)
{
	if (!w)
		return;
	if (w->session)
		w->tls.api->session_free(w->session);
	free(w);
}

static bool wire_over(const struct wire *w)
{
	return smtp_client_want(w->client) == SMTP_CLIENT_WANT_CLOSE;
}

/* Nothing that was encrypted and has not left will be read. */
static void wire_break(struct wire *w, enum mailers_error error, const char *why)
{
	w->state = WIRE_BROKEN;
	w->nrecords = 0;
	w->pending = 0;
	w->queued = 0;
	smtp_client_unsecured(w->client, error, why, w->now_ms);
}

/* Begins TLS when the client asks for it. */
static void wire_begin(struct wire *w)
{
	if (w->state != WIRE_PLAIN || smtp_client_want(w->client) != SMTP_CLIENT_WANT_TLS)
		return;
	if (!w->tls.api || !w->tls.context) {
		wire_break(w, MAILERS_ERR_TLS, "TLS is not available");
		return;
	}
	w->session = w->tls.api->session_new(w->tls.context, w->tls.sni, w->tls.verifyhost);
	if (w->session)
		w->state = WIRE_HANDSHAKE;
	else
		wire_break(w, MAILERS_ERR_NOMEM, mailers_error_text(MAILERS_ERR_NOMEM));
}

void wire_connected(struct wire *w, uint64_t now_ms)
{
	w->now_ms = now_ms;
	smtp_client_connected(w->client, now_ms);
	wire_begin(w);
}

/* Says goodbye to a server that has said its last word: no more than the end of its reply to QUIT is
 * missing. Some wait for that before they close.
 */
static void wire_farewell(struct wire *w)
{
	if (w->closing || smtp_client_stage(w->client) != SMTP_STAGE_QUIT ||
	    smtp_client_want(w->client) != SMTP_CLIENT_WANT_READ || smtp_client_need(w->client) > 1)
		return;
	w->closing = true;
	w->tls.api->close(w->session);
}

/* Hands what was decrypted to the client. */
static enum mailers_error wire_deliver(struct wire *w)
{
	enum mailers_error error = MAILERS_OK;
	char text[4096];
	size_t n;

	if (w->state != WIRE_SECURE && w->tls.api->established(w->session)) {
		w->state = WIRE_SECURE;
		smtp_client_secured(w->client, w->now_ms);
	}
	while (!error && w->state == WIRE_SECURE && (n = w->tls.api->read(w->session, text, sizeof(text))))
		error = smtp_client_feed(w->client, text, n, w->now_ms);
	return error;
}

static enum mailers_error wire_feed_tls(struct wire *w, const char *data, size_t len)
{
	enum mailers_error broken, error;

	if (!w->begun) {
		wire_break(w, MAILERS_ERR_TLS, "the server spoke before the TLS handshake began");
		return MAILERS_ERR_TLS;
	}
	/* What was decrypted before the failure has arrived, and may be the reply to a final dot. */
	broken = w->tls.api->feed(w->session, data, len);
	error = wire_deliver(w);
	if (wire_over(w))
		return error;
	if (broken) {
		wire_break(w, broken, w->tls.api->reason(w->session));
		return broken;
	}
	if (w->tls.api->ended(w->session))
		wire_eof(w, w->now_ms);
	else if (w->state == WIRE_SECURE)
		wire_farewell(w);
	return error;
}

enum mailers_error wire_feed(struct wire *w, const char *data, size_t len, uint64_t now_ms)
{
	enum mailers_error error;

	w->now_ms = now_ms;
	if (w->state == WIRE_PLAIN) {
		/* All of it, what came behind the 220 to STARTTLS too: the client refuses that. */
		error = smtp_client_feed(w->client, data, len, now_ms);
		wire_begin(w);
		return error;
	}
	if (!wire_encrypted(w) || wire_over(w) || w->eof || !len)
		return MAILERS_OK;
	return wire_feed_tls(w, data, len);
}

void wire_eof(struct wire *w, uint64_t now_ms)
{
	w->now_ms = now_ms;
	w->eof = true;
	if (w->state != WIRE_HANDSHAKE) {
		/* A missing close_notify tells nothing: many servers leave it out after QUIT, and a reply
		 * that was cut short is no reply.
		 */
		smtp_client_eof(w->client, now_ms);
		return;
	}
	if (w->tls.api->eof(w->session))
		wire_break(w, MAILERS_ERR_TLS, w->tls.api->reason(w->session));
	else
		wire_break(w, MAILERS_ERR_TLS, "the server ended the TLS session before it was established");
}

/* Encrypts the next piece of the client's output. False when there is none, or no room. */
static bool wire_encrypt(struct wire *w)
{
	const char *data, *out;
	size_t n = smtp_client_peek(w->client, &data), before;
	enum mailers_error error;
	struct wire_record *r;

	if (n <= w->pending || w->pending >= WIRE_CHUNK || w->nrecords == WIRE_RECORDS)
		return false;
	data += w->pending;
	n -= w->pending;
	if (n > WIRE_RECORD)
		n = WIRE_RECORD;
	if (n > WIRE_CHUNK - w->pending)
		n = WIRE_CHUNK - w->pending;
	before = w->queued;
	error = w->tls.api->write(w->session, data, n);
	if (error) {
		wire_break(w, error, w->tls.api->reason(w->session));
		return false;
	}
	w->queued = w->tls.api->peek(w->session, &out);
	r = &w->records[(w->first + w->nrecords++) % WIRE_RECORDS];
	r->plain = n;
	r->cipher = w->queued - before;
	w->pending += n;
	return true;
}

/* Has the client taken back what was encrypted for it (a mail that is given back)? It says no more then, and a
 * record cannot be left out: all that has not left stays here.
 */
static bool wire_is_mute(const struct wire *w)
{
	const char *data;

	return smtp_client_peek(w->client, &data) < w->pending;
}

/* May anything leave? A broken session's alert may, as long as the server is there. */
static bool wire_writes(const struct wire *w)
{
	if (!w->session || w->eof)
		return false;
	return w->state == WIRE_BROKEN || (!wire_over(w) && !wire_is_mute(w));
}

size_t wire_peek(struct wire *w, const char **data)
{
	*data = NULL;
	if (w->state == WIRE_PLAIN)
		return smtp_client_peek(w->client, data);
	while (w->state == WIRE_SECURE && wire_writes(w) && wire_encrypt(w))
		;
	return wire_writes(w) ? w->tls.api->peek(w->session, data) : 0;
}

void wire_ack(struct wire *w, size_t n, uint64_t now_ms)
{
	const char *data;
	size_t most;

	w->now_ms = now_ms;
	if (w->state == WIRE_PLAIN) {
		smtp_client_ack(w->client, n, now_ms);
		wire_begin(w);
		return;
	}
	most = w->session ? w->tls.api->peek(w->session, &data) : 0;
	if (n > most)
		n = most;
	if (!n)
		return;
	w->begun = true;
	w->tls.api->ack(w->session, n);
	while (w->nrecords && w->records[w->first].cipher <= n) {
		struct wire_record *r = &w->records[w->first];

		n -= r->cipher;
		w->queued -= r->cipher;
		w->pending -= r->plain;
		w->first = (w->first + 1) % WIRE_RECORDS;
		w->nrecords--;
		smtp_client_ack(w->client, r->plain, now_ms);
	}
	if (w->nrecords) {
		w->records[w->first].cipher -= n;
		w->queued -= n;
	}
	if (w->state == WIRE_SECURE && !wire_over(w))
		wire_farewell(w);
}

enum smtp_client_want wire_want(struct wire *w)
{
	enum smtp_client_want want = smtp_client_want(w->client);
	const char *data;

	if (w->state == WIRE_PLAIN)
		return want;
	if (wire_peek(w, &data))
		return SMTP_CLIENT_WANT_WRITE;
	want = smtp_client_want(w->client);
	if (want == SMTP_CLIENT_WANT_CLOSE)
		return want;
	return w->state == WIRE_SECURE && want != SMTP_CLIENT_WANT_WRITE ? want : SMTP_CLIENT_WANT_READ;
}

size_t wire_need(const struct wire *w)
{
	return wire_encrypted(w) ? w->tls.api->need(w->session) : smtp_client_need(w->client);
}

bool wire_encrypted(const struct wire *w)
{
	return w->state == WIRE_HANDSHAKE || w->state == WIRE_SECURE;
}

bool wire_describe(const struct wire *w, struct tls_description *out)
{
	if (!w->session || !w->tls.api->established(w->session))
		return false;
	w->tls.api->describe(w->session, out);
	return true;
}
