/*
 * crypto - hashes and random bytes of OpenSSL 3 for SASL (struct sasl_crypto in mailers/sasl.h). The core gets it as a
 * pointer, so that it links no OpenSSL.
 *
 * Each function returns false when OpenSSL refuses, as a FIPS provider does with MD5; what OpenSSL queued about that
 * is taken out of its error queue. No function keeps anything between two calls.
 */
#ifndef MAILERS_CRYPTO_H
#define MAILERS_CRYPTO_H

#include <mailers/sasl.h>

extern const struct sasl_crypto crypto_openssl;

#endif
