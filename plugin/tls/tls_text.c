/*
 * tls_text - see tls_internal.h: lines that may hold a peer's bytes and go into logs, and what OpenSSL's
 * error queue says in words for whoever runs the mailer. Errors that are not in the table are told in
 * OpenSSL's own words.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/sslerr.h>

#include "tls_internal.h"

/* An alert of the peer is queued as its number above this one (OpenSSL's SSL_AD_REASON_OFFSET). */
#define TLS_TEXT_ALERT SSL_AD_REASON_OFFSET

static const struct {
	int reason;
	const char *text;
} tls_text_table[] = {
	{ SSL_R_WRONG_VERSION_NUMBER, "what the server sent is no TLS; is this port for plain text or STARTTLS?" },
	{ SSL_R_PACKET_LENGTH_TOO_LONG, "what the server sent is no TLS record" },
	{ SSL_R_UNSUPPORTED_PROTOCOL, "the server has no TLS version that is allowed here (ssl_min_ver)" },
	{ SSL_R_NO_PROTOCOLS_AVAILABLE, "no TLS version is left between ssl_min_ver and what OpenSSL allows" },
	{ SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, "a record of the server's was damaged on its way" },
	{ SSL_R_EXCESSIVE_MESSAGE_SIZE, "the server's chain of certificates is too long" },
	{ SSL_R_EE_KEY_TOO_SMALL, "the key of the server's certificate is too short to be trusted" },
	{ SSL_R_DH_KEY_TOO_SMALL, "the server's Diffie-Hellman parameters are too short to be trusted" },
};

void tls_text_print(char *out, size_t size, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(out, size, format, ap);
	va_end(ap);
	for (; *out; out++) {
		if (*out < ' ' || *out > '~')
			*out = '?';
	}
}

static void tls_text_error(unsigned long error, char *out, size_t size)
{
	int reason = ERR_GET_REASON(error);
	size_t i;

	for (i = 0; i < sizeof(tls_text_table) / sizeof(*tls_text_table); i++) {
		if (ERR_GET_LIB(error) == ERR_LIB_SSL && reason == tls_text_table[i].reason) {
			tls_text_print(out, size, "%s", tls_text_table[i].text);
			return;
		}
	}
	if (ERR_GET_LIB(error) == ERR_LIB_SSL && reason > TLS_TEXT_ALERT)
		tls_text_print(out, size, "the server refused with a TLS alert: %s",
		               SSL_alert_desc_string_long(reason - TLS_TEXT_ALERT));
	else if (ERR_SYSTEM_ERROR(error))
		tls_text_print(out, size, "%s", strerror(reason));
	else if (ERR_reason_error_string(error))
		tls_text_print(out, size, "%s", ERR_reason_error_string(error));
	else
		tls_text_print(out, size, "OpenSSL error %lx", error);
}

enum mailers_error tls_text_errors(char *out, size_t size)
{
	enum mailers_error result = MAILERS_ERR_TLS;
	unsigned long first = ERR_peek_error(), error;

	if (first)
		tls_text_error(first, out, size);
	else
		tls_text_print(out, size, "OpenSSL gave no reason");
	while ((error = ERR_get_error())) {
		if (ERR_GET_REASON(error) == ERR_R_MALLOC_FAILURE) {
			result = MAILERS_ERR_NOMEM;
			tls_text_print(out, size, "out of memory");
		}
	}
	return result;
}
