/*
 * foreign - see foreign.h. Looks for some functions of OpenSSL's interface in the process, and at the
 * object that the dynamic linker would take each of them from.
 *
 *   nobody has it                                  libssl.so.3 will come with tls.so: fine
 *   a shared library, which is OpenSSL 3           tls.so uses the same: fine, and the usual case
 *   a shared library whose names have versions     of another OpenSSL, so that they are not taken for 3's: fine
 *   any other shared library                       LibreSSL, AWS-LC, BoringSSL: foreign
 *   the program itself                             foreign, whatever it is: of an OpenSSL 3 inside it exports
 *                                                  what it uses itself, the rest would come from libssl.so.3
 *
 * Called from Lua while HAProxy reads its configuration; nothing is loaded by it.
 */
#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>

#include <lauxlib.h>

#include "foreign.h"

#define FOREIGN_OPENSSL_MAJOR 3 /* what tls.so is built with: tls_openssl.c holds it to that */

/* Functions that tls.so calls, and that every library with OpenSSL's interface has. */
static const char *const foreign_probes[] = {
	"SSL_CTX_new", "SSL_new", "SSL_do_handshake", "SSL_set_bio", "BIO_new", "BIO_s_mem", "ERR_clear_error",
	"ERR_get_error", "PEM_read_bio_PrivateKey", "X509_STORE_add_cert",
};

/* Where a function comes from. */
struct foreign_object {
	const char *path;
	const struct link_map *map;
	bool program;
};

static bool foreign_is_program(const Dl_info *info)
{
	Dl_info program;

	return dladdr((void *)getauxval(AT_PHDR), &program) && program.dli_fbase == info->dli_fbase;
}

/* Who defines <symbol> for the process? A program that takes the address of a library's function has an
 * entry for it of its own, without being the one who defines it; another function will tell.
 */
static bool foreign_find(const char *symbol, struct foreign_object *object)
{
	void *at = dlsym(RTLD_DEFAULT, symbol), *map = NULL, *entry = NULL;
	Dl_info info;

	if (!at || !dladdr1(at, &info, &entry, RTLD_DL_SYMENT))
		return false;
	if (entry && ((const ElfW(Sym) *)entry)->st_shndx == SHN_UNDEF)
		return false;
	if (!dladdr1(at, &info, &map, RTLD_DL_LINKMAP) || !map)
		return false;
	object->path = info.dli_fname;
	object->map = map;
	object->program = foreign_is_program(&info);
	return true;
}

static bool foreign_has_versions(const struct foreign_object *object)
{
	const ElfW(Dyn) *d = object->map->l_ld;

	while (d->d_tag != DT_NULL && d->d_tag != DT_VERDEF)
		d++;
	return d->d_tag == DT_VERDEF;
}

/* The major version of the OpenSSL that <handle> and the libraries under it are; 0 before 3, and for others. */
static unsigned foreign_major(void *handle)
{
	unsigned (*major)(void) = NULL;
	void *symbol = dlsym(handle, "OPENSSL_version_major");

	memcpy(&major, &symbol, sizeof(major));
	return major ? major() : 0;
}

/* What it says of itself: "OpenSSL 1.1.1 (compatible; AWS-LC 1.48.0)", "LibreSSL 3.8.2". */
static void foreign_name(void *handle, char *out, size_t size)
{
	const char *(*version)(int) = NULL;
	void *symbol = dlsym(handle, "OpenSSL_version");

	memcpy(&version, &symbol, sizeof(version));
	snprintf(out, size, "%s", version && version(0) ? version(0) : "another TLS library");
	for (; *out; out++) {
		if (*out < ' ' || *out > '~')
			*out = '?';
	}
}

static bool foreign_probe(const char *symbol, char *reason)
{
	struct foreign_object object;
	char name[120];
	bool foreign;
	void *handle;

	if (!foreign_find(symbol, &object))
		return false;
	handle = dlopen(object.program ? NULL : object.path, RTLD_LAZY | RTLD_NOLOAD);
	if (!handle)
		return false;
	foreign = object.program ||
	          (foreign_major(handle) != FOREIGN_OPENSSL_MAJOR && !foreign_has_versions(&object));
	foreign_name(handle, name, sizeof(name));
	dlclose(handle);
	if (foreign)
		snprintf(reason, FOREIGN_REASON_SIZE, "%s has a TLS library of its own, %s, which the TLS "
		         "module cannot be mixed with; build and install the one with OpenSSL inside: "
		         "make STATIC_SSL=1 install",
		         object.program ? "this HAProxy" : object.path, name);
	return foreign;
}

bool foreign_tls(char *reason)
{
	size_t i;

	for (i = 0; i < sizeof(foreign_probes) / sizeof(*foreign_probes); i++) {
		if (foreign_probe(foreign_probes[i], reason))
			return true;
	}
	return false;
}

int foreign_tls_check(lua_State *L)
{
	char reason[FOREIGN_REASON_SIZE];

	if (foreign_tls(reason))
		lua_pushstring(L, reason);
	else
		lua_pushnil(L);
	return 1;
}
