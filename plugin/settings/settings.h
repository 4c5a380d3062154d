/*
 * settings - the settings file: a Lua file that returns one table. Reads it with the files and variables that
 * it names, and fills what the engine takes.
 *
 * For any host: it calls no engine. Everything is read by settings_load() and settings_tls(), before a chroot;
 * what is asked later touches no file, but for settings_token_read(). A struct settings is used by one thread
 * at a time, and lives as long as the engine that got something of it. NULL in its place stands for no file: no
 * TLS, no AUTH.
 */
#ifndef SETTINGS_H
#define SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <lua.h>

#include <mailers/engine.h>
#include <mailers/setting.h>
#include <mailers/tls.h>

#define SETTINGS_REASON_MAX                                                                                    \
	1200 /* bytes of every <reason> here: one printable line, "file: key: fault; remedy" */

struct settings;

/* Runs the file <path> in <L> and checks what it returns. <haproxy> is ADDRESS_HAPROXY() of the HAProxy whose
 * address format counts, 0 for the newest. NULL on failure: <reason> says why. Raises no Lua error, and leaves
 * the stack as it was.
 */
struct settings *settings_load(lua_State *L, const char *path, unsigned haproxy, char *reason);
/* Wipes the secrets. NULL is a no-op. After the engine. */
void settings_free(struct settings *s);

/* Warning number <n> (0 and up), "file: ...", NULL behind the last. They become more with the calls below. */
const char *settings_warning(const struct settings *s, size_t n);

/* Can some mailer want TLS, or a mechanism of AUTH that needs its hashes? Then settings_tls() has to come
 * before any settings_mailer().
 */
bool settings_need_tls(const struct settings *s);
/* Makes the contexts of all entries, which reads their files. <api> must outlive <s>. False with a <reason>. */
bool settings_tls(struct settings *s, const struct tls_api *api, char *reason);

/* Mode, limit, summary, max_age, templates and rules of <proxy>; the other members are left alone. A
 * batch that is a function is left out.
 */
void settings_proxy(struct settings *s, const char *proxy, struct engine_proxy_settings *out);

/* The functions of <proxy>: references in the registry of the state that loaded the file; 0: none. */
struct settings_functions {
	int route, batch;    /* of summary */
	uint32_t timeout_ms; /* for both */
};
void settings_functions(struct settings *s, const char *proxy, struct settings_functions *out);

/* The mailer <id> of <proxy>: the caller has set name, address, helo and, from HAProxy, timeout_mail_ms (0:
 * none), and the rest is filled. Strings are those of <s>, contexts and credentials too, equal ones shared.
 * False with a <reason>.
 */
bool settings_mailer(struct settings *s, const char *proxy, const char *id, struct mailer_settings *out,
                     char *reason);
/* How many mailers <proxy> has beyond its `mailer` lines, and number <n> of them; as above, name and address
 * are filled too. */
size_t settings_extras(struct settings *s, const char *proxy);
bool settings_extra(struct settings *s, const char *proxy, size_t n, struct mailer_settings *out, char *reason);
/* Sorts the <n> mailers of <proxy> as `order` says; those it does not name come after, as they stood. False
 * with a <reason>: two have one name, or the order names one that is none.
 */
bool settings_order(struct settings *s, const char *proxy, struct mailer_settings *mailers, size_t n,
                    char *reason);
/* All proxies are known: a warning for each entry that none of them asked for. */
void settings_finish(struct settings *s);

uint32_t settings_drain_ms(const struct settings *s);
bool settings_commands(const struct settings *s);

/* Reads the token of <credentials> (which settings_mailer() gave out) from its file again; waits for nothing,
 * and works in a chroot. The text goes to <out>, SASL_TOKEN_MAX + 1 bytes, which the caller wipes. False with a
 * <reason>.
 */
bool settings_token_read(const struct settings *s, const struct sasl_credentials *credentials, char *out,
                         char *reason);

#endif
