/*
 * tls_openssl - see tls_openssl.h: the table of the calls, and OpenSSL's start.
 *
 * Inside HAProxy OpenSSL may be there already, set up by HAProxy, or come with this module. So nothing of
 * it is configured but what belongs to our own contexts, and nothing is left that would run at the
 * process's exit: the module could be gone by then.
 */
#include <openssl/err.h>

#include "crypto.h"
#include "tls_internal.h"
#include "tls_openssl.h"

#if OPENSSL_VERSION_MAJOR != 3
#error "the TLS module is for OpenSSL 3; another major version needs a look at plugin/haproxy/foreign.c as well"
#endif

/* With OpenSSL inside, the system's openssl.cnf is another library's: it may name modules that need that one. */
#ifdef TLS_STATIC_SSL
#define TLS_OPENSSL_CONFIG OPENSSL_INIT_NO_LOAD_CONFIG
#else
#define TLS_OPENSSL_CONFIG OPENSSL_INIT_LOAD_CONFIG
#endif

bool tls_openssl_init(void)
{
	bool done;

	ERR_clear_error();
	/* A configuration with faults is the system administrator's; TLS works without it. */
	done = OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT | TLS_OPENSSL_CONFIG, NULL) ||
	       OPENSSL_init_ssl(OPENSSL_INIT_NO_ATEXIT | OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	ERR_clear_error();
	return done;
}

const struct tls_api tls_openssl = {
	.version = TLS_API_VERSION,
	.library = OPENSSL_VERSION_TEXT,
	.crypto = &crypto_openssl,
	.context_new = tls_context_new,
	.context_free = tls_context_free,
	.session_new = tls_session_new,
	.session_free = tls_session_free,
	.feed = tls_session_feed,
	.eof = tls_session_eof,
	.peek = tls_session_peek,
	.ack = tls_session_ack,
	.need = tls_session_need,
	.established = tls_session_established,
	.ended = tls_session_ended,
	.write = tls_session_write,
	.read = tls_session_read,
	.close = tls_session_close,
	.reason = tls_session_reason,
	.describe = tls_session_describe,
};
