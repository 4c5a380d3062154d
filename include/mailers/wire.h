/*
 * wire - an smtp_client on its connection, with or without TLS between them: the verbs of smtp_client, for
 * the bytes that really travel.
 *
 * Without TLS every call goes to the client as it is. When the client asks for TLS (SMTP_CLIENT_WANT_TLS,
 * at once for implicit TLS, after the 220 for STARTTLS) a session is begun, and the client is told when it
 * is established or has failed. What the client hears as sent is what has left as ciphertext, record by
 * record: its final dot must not count as gone while it waits here, nor as held back when only what follows
 * it does. The client stays its owner's: it takes the events, submits and ticks.
 *
 * The server's close_notify is the end of the connection, and so is an end without one, once the handshake
 * is over. In the handshake either is a failure of TLS, as are bytes that came before our first flight had
 * left.
 */
#ifndef MAILERS_WIRE_H
#define MAILERS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mailers/smtp_client.h>
#include <mailers/tls.h>

/* Most plaintext that waits as ciphertext: more is encrypted when some has left. */
#define WIRE_CHUNK 65536

struct wire_tls {
	const struct tls_api *api;   /* NULL: no TLS can be had */
	struct tls_context *context;
	const char *sni, *verifyhost; /* as session_new(); owned by the mailer's settings */
};

struct wire;

/* A wire for <client>, which must outlive it; <tls> is copied, NULL is none. NULL without memory. */
struct wire *wire_new(struct smtp_client *client, const struct wire_tls *tls);
void wire_free(struct wire *w); /* NULL is a no-op; the client is not freed */

/* As in smtp_client.h, for the bytes on the connection. */
void wire_connected(struct wire *w, uint64_t now_ms);
enum mailers_error wire_feed(struct wire *w, const char *data, size_t len, uint64_t now_ms);
void wire_eof(struct wire *w, uint64_t now_ms);
size_t wire_peek(struct wire *w, const char **data);
void wire_ack(struct wire *w, size_t n, uint64_t now_ms);
/* Never SMTP_CLIENT_WANT_TLS. While the client wants CLOSE it may say WRITE first, when an alert tells the
 * server why we go: to send that is a courtesy, and a host that closes at once does no harm.
 */
enum smtp_client_want wire_want(struct wire *w);
size_t wire_need(const struct wire *w);
/* Are exact records read now: is wire_need() all that may be asked for at a time? */
bool wire_encrypted(const struct wire *w);

/* False without an established session. */
bool wire_describe(const struct wire *w, struct tls_description *out);

#endif
