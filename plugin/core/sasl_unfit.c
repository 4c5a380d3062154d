/*
 * sasl_unfit - why credentials do not fit a mechanism, see sasl_unfit() in sasl.h. An operator reads the texts at the
 * start of HAProxy; they say what is wrong, and never show a secret.
 */
#include <string.h>

#include "sasl_internal.h"

_Static_assert(SASL_TEXT_MAX == 512, "the texts name another limit");

/* What can be wrong with a user name or a password. */
struct sasl_unfit_texts {
	const char *none, *size, *control;
};

static const struct sasl_unfit_texts sasl_unfit_of_user = {
	"no user name is set",
	"the user name is longer than 512 bytes",
	"the user name holds a control byte (a line end?)",
};

static const struct sasl_unfit_texts sasl_unfit_of_password = {
	"no password is set",
	"the password is longer than 512 bytes",
	"the password holds a control byte (a line end?)",
};

static const char *sasl_unfit_text(const char *text, const struct sasl_unfit_texts *texts)
{
	size_t i;

	if (!text || !*text)
		return texts->none;
	for (i = 0; text[i]; i++) {
		if (i == SASL_TEXT_MAX)
			return texts->size;
		if ((unsigned char)text[i] < ' ' || text[i] == 0x7f)
			return texts->control;
	}
	return NULL;
}

const char *sasl_unfit_user(const struct sasl_credentials *c)
{
	return sasl_unfit_text(c->user, &sasl_unfit_of_user);
}

const char *sasl_unfit_password(const struct sasl_credentials *c, const struct sasl_crypto *crypto)
{
	const char *unfit = sasl_unfit_user(c);

	(void)crypto;
	return unfit ? unfit : sasl_unfit_text(c->password, &sasl_unfit_of_password);
}

const char *sasl_unfit_md5(const struct sasl_credentials *c, const struct sasl_crypto *crypto)
{
	unsigned char out[SASL_MD5_SIZE];
	const char *unfit = sasl_unfit_password(c, crypto);

	if (unfit)
		return unfit;
	if (!crypto)
		return "no crypto library is loaded";
	/* Else it would be chosen before PLAIN, and fail each time. */
	if (!crypto->hmac(SASL_MD5, "", 0, "", 0, out))
		return "the crypto library refuses MD5 (FIPS mode?)";
	return NULL;
}

const char *sasl_unfit_sha256(const struct sasl_credentials *c, const struct sasl_crypto *crypto)
{
	const char *unfit = sasl_unfit_password(c, crypto);

	if (unfit)
		return unfit;
	return crypto ? NULL : "no crypto library is loaded";
}
