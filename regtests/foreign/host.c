/*
 * host - a program that loads Lua modules as HAProxy does, with or without a TLS library of its own (run.sh
 * builds it in several ways). `host check ENGINE` prints what engine.tls_check() says; `host use TLS` loads
 * a TLS module and begins a session with it.
 *
 *   -DFOREIGN=TEXT   exports some of OpenSSL's functions; they end the program with 66 when they are called
 *   -DLINKED         uses OpenSSL itself, and takes addresses of its functions
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <mailers/tls.h>

#ifdef FOREIGN
#include "foreign_ssl.h"
#endif

#ifdef LINKED
#include <openssl/ssl.h>

/* In a program at a fixed address the linker makes an entry of the program's own for each. */
static void linked(void)
{
	void (*volatile bio_free)(BIO *) = BIO_free_all;
	SSL_CTX *(*volatile ctx_new)(const SSL_METHOD *) = SSL_CTX_new;

	bio_free(NULL);
	SSL_CTX_free(ctx_new(TLS_method()));
	if (strncmp(OpenSSL_version(OPENSSL_VERSION), "OpenSSL ", 8) != 0)
		exit(3);
}
#endif

static int die(lua_State *L)
{
	printf("%s\n", lua_tostring(L, -1));
	return 1;
}

/* A session up to its first flight. */
static int use(const struct tls_api *api)
{
	struct tls_settings settings = { .verify = false };
	char reason[TLS_REASON_SIZE];
	struct tls_context *ctx = api->context_new(&settings, reason);
	struct tls_session *s = ctx ? api->session_new(ctx, "host.example.org", NULL) : NULL;
	const char *data;

	if (!s || api->peek(s, &data) < 100) {
		printf("no session: %s\n", reason);
		return 1;
	}
	printf("works\n");
	api->session_free(s);
	api->context_free(ctx);
	return 0;
}

int main(int argc, char **argv)
{
	lua_State *L = luaL_newstate();
	int result = 2;

	if (argc != 3 || !L)
		return result;
#ifdef LINKED
	linked();
#endif
	luaL_openlibs(L);
	lua_pushstring(L, argv[2]);
	lua_setglobal(L, "path");
	if (!strcmp(argv[1], "check")) {
		if (luaL_dostring(L, "return assert(package.loadlib(path, 'luaopen_mailers_engine'))().tls_check()"))
			return die(L);
		printf("%s\n", lua_isnil(L, -1) ? "fine" : lua_tostring(L, -1));
		result = 0;
	} else {
		if (luaL_dostring(L, "return assert(package.loadlib(path, 'luaopen_mailers_tls'))()"))
			return die(L);
		result = lua_islightuserdata(L, -1) ? use(lua_touserdata(L, -1)) : 1;
	}
	lua_close(L);
	return result;
}
