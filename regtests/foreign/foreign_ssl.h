/*
 * foreign_ssl - functions by the names of OpenSSL's, as another TLS library in the process has them.
 * Whoever calls one by mistake is seen: the program ends with 66.
 */
#include <unistd.h>

#define FOREIGN_FUNCTION(name) \
	void name(void); \
	void name(void) \
	{ \
		static const char text[] = "the foreign " #name "() was called\n"; \
		_exit(write(1, text, sizeof(text) - 1) > 0 ? 66 : 67); \
	}

FOREIGN_FUNCTION(SSL_CTX_new)
FOREIGN_FUNCTION(SSL_new)
FOREIGN_FUNCTION(SSL_do_handshake)
FOREIGN_FUNCTION(SSL_set_bio)
FOREIGN_FUNCTION(BIO_new)
FOREIGN_FUNCTION(BIO_s_mem)
FOREIGN_FUNCTION(ERR_get_error)

const char *OpenSSL_version(int what);
const char *OpenSSL_version(int what)
{
	(void)what;
	return FOREIGN;
}
