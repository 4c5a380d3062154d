/*
 * tls_openssl - struct tls_api (mailers/tls.h) on OpenSSL 3. Whoever links plugin/tls and OpenSSL has it:
 * the module mailers/tls.so, mailers-send, tests.
 */
#ifndef TLS_OPENSSL_H
#define TLS_OPENSSL_H

#include <stdbool.h>

#include <mailers/tls.h>

extern const struct tls_api tls_openssl;

/* Sets OpenSSL up without a handler at the process's exit. Any number of times; context_new() does it too,
 * who only wants hashes calls it. False when OpenSSL cannot be used at all.
 */
bool tls_openssl_init(void);

#endif
