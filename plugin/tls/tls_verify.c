/*
 * tls_verify - see tls_internal.h: OpenSSL asks here about each fault it finds in the server's chain. The
 * first one that counts is written down for the log, with the certificate it is about; none is forgiven but
 * a CRL that is not there.
 *
 * crl_file: each certificate whose issuer has a CRL in the file is checked. The server's own must have one,
 * CAs need not: CRLs of root CAs are seldom published, and one CRL of the issuing CA is what an
 * administrator has.
 */
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "tls_internal.h"

bool tls_verify_is_address(const char *name)
{
	ASN1_OCTET_STRING *address = a2i_IPADDRESS(name);
	bool is = address != NULL;

	ASN1_OCTET_STRING_free(address);
	return is;
}

static void tls_verify_wrong_name(struct tls_session *s, X509 *cert)
{
	char names[256];

	tls_certificate_names(cert, names, sizeof(names));
	if (!names[0])
		tls_certificate_name(X509_get_subject_name(cert), names, sizeof(names));
	tls_text_print(s->rejection, sizeof(s->rejection), "hostname mismatch: wanted %s, certificate is for %s",
	               s->verifyhost, names[0] ? names : "no name at all");
}

#define TLS_VERIFY_NO_ISSUER "certificate's issuer is unknown (%s, issued by %s); neither the server nor ca_file has " \
	"its certificate"

/* What is said about each error: %s are the certificate, and its date or its issuer. */
static const struct tls_verify_text {
	int error;
	enum { TLS_VERIFY_PLAIN, TLS_VERIFY_AFTER, TLS_VERIFY_BEFORE, TLS_VERIFY_ISSUER } second;
	const char *text;
} tls_verify_texts[] = {
	{ X509_V_ERR_CERT_HAS_EXPIRED, TLS_VERIFY_AFTER, "certificate has expired (%s, %s)" },
	{ X509_V_ERR_CERT_NOT_YET_VALID, TLS_VERIFY_BEFORE,
	  "certificate is not yet valid (%s, %s); is the clock of this host right?" },
	{ X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, TLS_VERIFY_PLAIN,
	  "certificate is self-signed (%s); if it is the right one, name it in ca_file" },
	{ X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, TLS_VERIFY_PLAIN,
	  "certificate comes from a CA that is not trusted (%s); if it is the right one, name it in ca_file" },
	{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, TLS_VERIFY_ISSUER, TLS_VERIFY_NO_ISSUER },
	{ X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, TLS_VERIFY_ISSUER, TLS_VERIFY_NO_ISSUER },
	{ X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, TLS_VERIFY_ISSUER, TLS_VERIFY_NO_ISSUER },
	{ X509_V_ERR_CERT_REVOKED, TLS_VERIFY_PLAIN, "certificate is revoked (%s)" },
	{ X509_V_ERR_UNABLE_TO_GET_CRL, TLS_VERIFY_ISSUER,
	  "no CRL of the certificate's issuer in crl_file (%s, issued by %s)" },
	{ X509_V_ERR_CRL_HAS_EXPIRED, TLS_VERIFY_ISSUER,
	  "the CRL for the certificate is out of date (%s, issued by %s); renew crl_file and reload" },
};

static void tls_verify_reject(struct tls_session *s, int error, X509 *cert)
{
	const size_t count = sizeof(tls_verify_texts) / sizeof(*tls_verify_texts);
	char name[120], second[120] = "";
	size_t i;

	tls_certificate_name(X509_get_subject_name(cert), name, sizeof(name));
	for (i = 0; i < count && tls_verify_texts[i].error != error; i++)
		;
	if (i == count) {
		tls_text_print(s->rejection, sizeof(s->rejection), "certificate is not accepted: %s (%s)",
		               X509_verify_cert_error_string(error), name);
		return;
	}
	switch (tls_verify_texts[i].second) {
	case TLS_VERIFY_AFTER:
		tls_certificate_time(X509_get0_notAfter(cert), true, second, sizeof(second));
		break;
	case TLS_VERIFY_BEFORE:
		tls_certificate_time(X509_get0_notBefore(cert), true, second, sizeof(second));
		break;
	case TLS_VERIFY_ISSUER:
		tls_certificate_name(X509_get_issuer_name(cert), second, sizeof(second));
		break;
	case TLS_VERIFY_PLAIN:
		break;
	}
	tls_text_print(s->rejection, sizeof(s->rejection), tls_verify_texts[i].text, name, second);
}

int tls_verify_callback(int ok, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct tls_session *s = ssl ? SSL_get_app_data(ssl) : NULL;
	int error = X509_STORE_CTX_get_error(store);
	X509 *cert = X509_STORE_CTX_get_current_cert(store);

	if (ok)
		return ok;
	if (error == X509_V_ERR_UNABLE_TO_GET_CRL && X509_STORE_CTX_get_error_depth(store) > 0) {
		X509_STORE_CTX_set_error(store, X509_V_OK);
		return 1;
	}
	if (!s || s->rejection[0])
		return 0;
	if (cert && (error == X509_V_ERR_HOSTNAME_MISMATCH || error == X509_V_ERR_IP_ADDRESS_MISMATCH))
		tls_verify_wrong_name(s, cert);
	else if (cert)
		tls_verify_reject(s, error, cert);
	else
		tls_text_print(s->rejection, sizeof(s->rejection), "certificate is not accepted: %s",
		               X509_verify_cert_error_string(error));
	return 0;
}

bool tls_verify_again(struct tls_session *s)
{
	X509 *cert = SSL_get0_peer_certificate(s->ssl);
	int result = 1;

	if (!s->verify)
		return true;
	if (!cert || SSL_get_verify_result(s->ssl) != X509_V_OK)
		result = -1;
	else if (s->verifyhost[0] && tls_verify_is_address(s->verifyhost))
		result = X509_check_ip_asc(cert, s->verifyhost, 0);
	else if (s->verifyhost[0])
		result = X509_check_host(cert, s->verifyhost, 0, TLS_HOST_FLAGS, NULL);
	if (!result)
		tls_verify_wrong_name(s, cert);
	else if (result < 0)
		tls_text_print(s->rejection, sizeof(s->rejection), "certificate could not be verified");
	return result == 1;
}
