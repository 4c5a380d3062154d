/*
 * settings_internal - what the files of settings share. Each function stands in the file that its second word
 * names: settings_walk (the Lua table), settings_secret (passwords, tokens), settings_address (extra mailers'
 * addresses), settings_check (what the file alone can tell), settings_tls (contexts), settings_merge (which
 * entries count for whom), settings (the rest).
 */
#ifndef SETTINGS_INTERNAL_H
#define SETTINGS_INTERNAL_H

#include "settings.h"

#define SETTINGS_ENTRIES   10000 /* of one table: more are a mistake of the file */
#define SETTINGS_LIST      100   /* members of a list */
#define SETTINGS_WARNINGS  200   /* that are said; then one line that there are more */
#define SETTINGS_KEY_MAX   300   /* bytes of a mailer's or proxy's name */
#define SETTINGS_WHERE_MAX 400   /* bytes of a key's path in a reason */

/* One table of mailers{} or of extra{}. */
struct settings_entry {
	const char *key;         /* "*", "smtp1", "db/smtp1"; of extra: the mailer's id */
	const char *where;       /* mailers["smtp1"] */
	struct setting_mailer own;
	bool wide;               /* another entry is laid over it */
	bool matched;            /* some mailer asked for it */
	const char *address;     /* of extra: as HAProxy takes it, resolved */
	const char *host;        /* of extra: the name that it was given by; NULL without */
	unsigned port;           /* of extra: 0 without */
};

struct settings_entries {    /* sorted by key */
	struct settings_entry *entry;
	size_t n;
};

/* One table of proxies{}, or the top level. */
struct settings_scope {
	const char *key;         /* "" for the top level */
	const char *where;       /* proxies["db"]; "" for the top level */
	struct setting_proxy own;
	struct settings_entries extra;
	bool matched;
	bool asked;              /* own.order was looked at ... */
	bool *ordered;           /* ... and for each id of it: some proxy has a mailer of that name */
};

struct settings_secret {
	struct settings_secret *next;
	bool token;
	const char *file, *variable; /* one of them */
	const char *text;
	int directory;               /* token files: of the file, to read it again; else -1 */
	const char *name;            /* token files: in <directory> */
};

struct settings_credentials {
	struct settings_credentials *next;
	struct sasl_credentials c;
	const struct settings_secret *secret;
};

struct settings_context {
	struct settings_context *next;
	struct tls_settings settings;
	struct tls_context *context;
};

struct settings_warning {
	struct settings_warning *next;
	char text[];
};

/* All memory but the contexts is in blocks that are wiped and freed together. So a Lua error leaks nothing. */
struct settings_block {
	struct settings_block *next;
	size_t size;
	_Alignas(max_align_t) char data[];
};

struct settings {
	struct settings_block *blocks;
	const char *path;
	unsigned haproxy;
	struct settings_entries mailers;
	struct settings_scope top;      /* defaults of all proxies */
	struct settings_scope *proxies; /* sorted by key */
	size_t nproxies;
	struct setting_top rest;
	struct settings_secret *secrets;
	struct settings_credentials *credentials;
	struct settings_context *contexts;
	struct settings_warning *warnings;
	const struct tls_api *api;
};

/* --- settings.c --- */
/* Zeroed memory that lives as long as <s>; NULL without. */
void *settings_alloc(struct settings *s, size_t size);
const char *settings_copy(struct settings *s, const char *text, size_t len);
/* Writes "<file>: <where>: <text>" to <reason>, printable. <where> may be "". Returns false. */
bool settings_refuse(const struct settings *s, char *reason, const char *where, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* Adds a warning of the same form, once; one that finds no memory is lost. */
void settings_warn(struct settings *s, const char *where, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* --- settings_walk.c --- */
/* Checks and keeps the table at the top of the stack. May raise for want of memory. False with a <reason>. */
bool settings_walk(struct settings *s, lua_State *L, char *reason);

/* --- settings_secret.c --- */
/* Reads what <m>, the entry <where>, names. */
bool settings_secret_load(struct settings *s, const struct setting_mailer *m, const char *where, char *reason);
/* The secret that <m> names, which was loaded; NULL without one. */
const struct settings_secret *settings_secret_find(const struct settings *s, const struct setting_mailer *m);
/* Reads a token's file again. */
bool settings_secret_again(const struct settings *s, const struct settings_secret *secret, char *out,
                           char *reason);
void settings_secret_close(struct settings *s);

/* --- settings_address.c --- */
/* Parses and resolves the address of an extra mailer. */
bool settings_address_read(struct settings *s, struct settings_entry *e, char *reason);
/* The port of an address of HAProxy's; 0 without one. */
unsigned settings_address_port(const char *address);

/* --- settings_check.c --- */
/* All that can be told without the proxies: secrets, addresses, conflicts, warnings. */
bool settings_check(struct settings *s, char *reason);

/* --- settings_merge.c --- */
struct settings_entry *settings_entry_find(const struct settings_entries *entries, const char *key);
struct settings_scope *settings_scope_find(const struct settings *s, const char *key);
/* What counts for mailer <id> of <proxy> (NULL: of any), unfinished: an extra one's own entry may be given.
 * Returns the most particular entry's path.
 */
const char *settings_merge(struct settings *s, const char *proxy, const char *id,
                           const struct settings_entry *extra, struct setting_mailer *out);
/* The same for the entry <key> of mailers{} as such. */
/* Does what <proxy> has from all scopes go together? <reason>: SETTING_REASON_SIZE bytes, without the place. */
bool settings_proxy_check(struct settings *s, const char *proxy, char *reason);
void settings_merge_entry(struct settings *s, const struct settings_entry *e, struct setting_mailer *out);

/* --- settings_tls.c --- */
/* The context for <m>, which is complete; made when there is none. NULL with a <reason>. */
struct tls_context *settings_context(struct settings *s, const struct setting_mailer *m, const char *where,
                                     char *reason);
void settings_context_free(struct settings *s);

#endif
