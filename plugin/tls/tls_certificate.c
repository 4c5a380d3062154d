/*
 * tls_certificate - see tls_internal.h: what logs and `mailers test` say about a certificate. All of it is
 * the peer's text, bounded and printable here; names with a NUL in them are shown with a '?' in its place.
 */
#include <stdio.h>
#include <string.h>

#include <openssl/bio.h>
#include <openssl/x509v3.h>

#include "tls_internal.h"

/* Takes what was written to <bio>, and frees it. */
static void tls_certificate_take(BIO *bio, char *out, size_t size)
{
	char text[512];
	int n = bio ? BIO_read(bio, text, sizeof(text)) : 0;

	tls_text_print(out, size, "%.*s", n > 0 ? n : 0, text);
	BIO_free(bio);
}

void tls_certificate_name(const X509_NAME *name, char *out, size_t size)
{
	int at = -1, next;
	BIO *bio;

	while ((next = X509_NAME_get_index_by_NID((X509_NAME *)name, NID_commonName, at)) >= 0)
		at = next;
	bio = BIO_new(BIO_s_mem());
	if (bio && at >= 0) {
		BIO_puts(bio, "CN=");
		ASN1_STRING_print_ex(bio, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)),
		                     ASN1_STRFLGS_ESC_CTRL | ASN1_STRFLGS_UTF8_CONVERT);
	} else if (bio) {
		X509_NAME_print_ex(bio, name, 0, XN_FLAG_ONELINE);
	}
	tls_certificate_take(bio, out, size);
}

/* One name as text; false for kinds that a host is not known by. */
static bool tls_certificate_one_name(const GENERAL_NAME *name, char *out, size_t size)
{
	const unsigned char *data;
	int len, i;

	if (name->type != GEN_DNS && name->type != GEN_IPADD)
		return false; /* not a string either */
	data = ASN1_STRING_get0_data(name->type == GEN_DNS ? name->d.dNSName : name->d.iPAddress);
	len = ASN1_STRING_length(name->type == GEN_DNS ? name->d.dNSName : name->d.iPAddress);
	if (name->type == GEN_DNS) {
		if (len >= (int)size)
			len = (int)size - 1;
		for (i = 0; i < len; i++)
			out[i] = (char)(data[i] ? data[i] : '?');
		out[len] = '\0';
		return true;
	}
	if (len == 4) {
		snprintf(out, size, "%u.%u.%u.%u", data[0], data[1], data[2], data[3]);
		return true;
	}
	if (len != 16)
		return false;
	for (i = 0; i < 16; i += 2)
		snprintf(out + strlen(out), size - strlen(out), "%s%x", i ? ":" : "",
		         data[i] << 8 | data[i + 1]);
	return true;
}

void tls_certificate_names(X509 *cert, char *out, size_t size)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	char one[TLS_NAME_MAX + 1];
	size_t len = 0;
	int i;

	out[0] = '\0';
	for (i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		one[0] = '\0';
		if (!tls_certificate_one_name(sk_GENERAL_NAME_value(names, i), one, sizeof(one)))
			continue;
		if (len + strlen(one) + sizeof(", ...") > size) {
			tls_text_print(out + len, size - len, "%s...", len ? ", " : "");
			break;
		}
		tls_text_print(out + len, size - len, "%s%s", len ? ", " : "", one);
		len += strlen(out + len);
	}
	GENERAL_NAMES_free(names);
}

void tls_certificate_time(const ASN1_TIME *time, bool day, char *out, size_t size)
{
	struct tm tm;

	out[0] = '\0';
	if (!ASN1_TIME_to_tm(time, &tm))
		return;
	if (day)
		tls_text_print(out, size, "%04d-%02d-%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday);
	else
		tls_text_print(out, size, "%04d-%02d-%02d %02d:%02d:%02d UTC", tm.tm_year + 1900, tm.tm_mon + 1,
		               tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

void tls_certificate_describe(X509 *cert, struct tls_description *out)
{
	BIO *bio = BIO_new(BIO_s_mem());

	if (bio)
		X509_NAME_print_ex(bio, X509_get_subject_name(cert), 0, XN_FLAG_ONELINE);
	tls_certificate_take(bio, out->subject, sizeof(out->subject));
	bio = BIO_new(BIO_s_mem());
	if (bio)
		X509_NAME_print_ex(bio, X509_get_issuer_name(cert), 0, XN_FLAG_ONELINE);
	tls_certificate_take(bio, out->issuer, sizeof(out->issuer));
	tls_certificate_names(cert, out->names, sizeof(out->names));
	tls_certificate_time(X509_get0_notAfter(cert), false, out->expires, sizeof(out->expires));
}
