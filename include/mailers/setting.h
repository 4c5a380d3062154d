/*
 * setting - what may stand in the settings file: typed fields in tables, the values they take, and which of
 * them go together.
 *
 * Who reads the file (plugin/settings) turns each of its values into a struct setting_value; here it is checked
 * and stored. Nothing is allocated: texts are the caller's and must outlive the struct that they are stored in.
 * The tables are also what doc/settings.md is checked against.
 */
#ifndef MAILERS_SETTING_H
#define MAILERS_SETTING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mailers/smtp_client.h>

#define SETTING_REASON_SIZE 640        /* holds every reason uncut; it is one line of printable ASCII */
#define SETTING_TIME_MAX    2147483647 /* ms, HAProxy's limit: 24 days */
#define SETTING_DRAIN_MS    30000
#define SETTING_ROUTE_MS    5000
#define SETTING_ROUTE_MAX   600000     /* ms */
#define SETTING_NAME_MAX    64         /* bytes of a key that is still compared with the known ones */
#define SETTING_QUOTE_SIZE  208        /* of setting_quote() */

/* What a field holds, and as what it is stored. Texts take `false` too: not set, whatever a wider entry says.
 */
enum setting_type {
	SETTING_TEXT = 0, /* const char *: printable, up to <max> bytes */
	SETTING_FILE,     /* const char *: a path */
	SETTING_VARIABLE, /* const char *: name of an environment variable */
	SETTING_DNS,      /* const char *: a host name */
	SETTING_HOST,     /* const char *: a host name or IP address */
	SETTING_HELO,     /* const char *: a host name or address literal */
	SETTING_ADDRESS,  /* const char *: address text, parsed by the caller */
	SETTING_SECRET,   /* nothing: refused, whatever it holds, and never repeated */
	SETTING_TIME,     /* uint32_t: ms */
	SETTING_NUMBER,   /* uint32_t */
	SETTING_BOOL,     /* bool */
	SETTING_ENUM,     /* int: index of one of <words> */
	SETTING_AUTH,     /* unsigned: SASL_BIT()s, 0 for "auto"; one word or a list */
	SETTING_IDS,      /* struct setting_ids: a list of mailers' ids; or `false` */
	SETTING_LIMIT,    /* struct setting_limit: a table that the caller walks and puts; or `false` */
	SETTING_SUMMARY,  /* struct setting_summary: the same */
	SETTING_TABLE,    /* nothing: a table that the caller walks */
	SETTING_SUBJECT,  /* const char *: a template of one line */
	SETTING_BODY,     /* const char *: a template of lines */
	SETTING_RULES,    /* struct setting_rules: a list of tables that the caller walks and puts; or `false` */
	SETTING_FUNCTION, /* int: the caller's number of a function; or `false` */
	SETTING_BATCH,    /* struct setting_batch: a template of one line, or a function */
	/* struct setting_ids, of one text or a list: */
	SETTING_PATTERNS, /* patterns of names, see rule.h */
	SETTING_WORDS,    /* texts */
	SETTING_MAILBOXES, /* mail addresses */
	SETTING_NAMES,    /* ids */
	SETTING_EVENTS,   /* unsigned: a bit for each of <words>, of one or a list */
};

struct setting_field {
	const char *name;
	enum setting_type type;
	size_t offset;            /* in its struct, whose first member is `uint64_t given` */
	uint32_t min, max;        /* NUMBER, TIME (ms), TEXT (bytes: max) */
	const char *const *words; /* ENUM, AUTH; ends with NULL */
	const char *initial;      /* its default as the documentation writes it; "" without */
	const char *example;      /* as it stands in a file */
	unsigned group; /* not 0: of the fields of one group at most one is set, the most particular entry's */
};

enum setting_mode { SETTING_MODE_ALL = 0, SETTING_MODE_FAILOVER };
enum setting_verify { SETTING_VERIFY_NONE = 0, SETTING_VERIFY_REQUIRED };
enum setting_first { SETTING_FIRST_WAITS = 0, SETTING_FIRST_NOW };
enum setting_ssl { SETTING_TLS_1_2 = 0, SETTING_TLS_1_3 };

/* A mailer's entry. <given> has a bit for each row of its table that the file sets. */
struct setting_mailer {
	uint64_t given;
	const char *address; /* of extra mailers alone */
	int tls;             /* enum smtp_tls */
	int verify, ssl_min_ver;
	const char *verifyhost, *sni, *ca_file, *crl_file, *crt;
	const char *user, *password_file, *password_env, *token_file, *token_env;
	unsigned auth;
	bool auth_without_tls;
	const char *helo;
	uint32_t maxconn, timeout_connect, timeout_mail, timeout_final;
	bool pipelining, chunking;
	uint32_t fall, rise, inter;
	bool backup;
};

struct setting_ids {
	const char *const *id;
	size_t n;
};

struct setting_limit {
	uint64_t given;
	uint32_t mails, per;
};

/* One of them, or none. */
struct setting_batch {
	const char *text;
	int function;
};

struct setting_summary {
	uint64_t given;
	uint32_t wait, max_wait;   /* wait 0: none */
	int first;                 /* enum setting_first */
	struct setting_batch batch; /* none: the engine's */
	const char *group;         /* NULL: the same */
};

struct rule; /* see rule.h */
struct setting_rules {
	const struct rule *rule;
	size_t n;
};

/* A proxy's entry. */
struct setting_proxy {
	uint64_t given;
	int mode;
	struct setting_ids order;
	struct setting_limit limit;
	struct setting_summary summary;
	uint32_t max_age;
	const char *subject, *body;
	struct setting_rules rules;
	int route;                 /* 0: no function */
	uint32_t route_timeout;
	bool threads, durations;
};

/* What stands at the top level alone. */
struct setting_top {
	uint64_t given;
	uint32_t drain;
	bool commands;
};

/* The tables; each ends with a row without a name. A mailer's begins with "address", which only extra ones
 * have. */
extern const struct setting_field setting_mailer_fields[];
extern const struct setting_field setting_proxy_fields[];
extern const struct setting_field setting_limit_fields[];
extern const struct setting_field setting_summary_fields[];
extern const struct setting_field setting_top_fields[];
extern const struct setting_field setting_rule_fields[]; /* of struct rule */

/* A value of the file. */
enum setting_kind {
	SETTING_IS_TEXT = 0,
	SETTING_IS_NUMBER,
	SETTING_IS_BOOL,
	SETTING_IS_FUNCTION,
	SETTING_IS_LIST, /* for a field that takes one text or a list: also one text */
	SETTING_IS_OTHER
};

struct setting_value {
	enum setting_kind kind;
	const char *kind_name;    /* OTHER: what it is, "a function" */
	const char *text;         /* TEXT: NUL-terminated ... */
	size_t len;               /* ... and its bytes, as it may hold other NULs */
	int64_t number;           /* NUMBER; FUNCTION: the caller's for it, 1 and up */
	bool truth;               /* BOOL */
	struct setting_ids list;  /* LIST: its texts, none of which holds a NUL */
};

/* The row of the key <name>, or NULL. */
const struct setting_field *setting_find(const struct setting_field *fields, const char *name);
/* Is the row <field> of <fields> set in <base>? */
bool setting_given(const struct setting_field *fields, const struct setting_field *field, const void *base);

/* Checks <value> and stores it in <base>. False with a <reason> (SETTING_REASON_SIZE bytes): what is wrong, and
 * after ';' what to write; without the field's name. Values of a SETTING_SECRET are not repeated.
 */
bool setting_set(const struct setting_field *fields, const struct setting_field *field, void *base,
                 const struct setting_value *value, char *reason);

/* Stores what the caller has read of a SETTING_LIMIT, a SETTING_SUMMARY or a SETTING_RULES. */
void setting_put(const struct setting_field *fields, const struct setting_field *field, void *base,
                 const void *data);

/* Lays what <from> sets over <to>. */
void setting_merge(const struct setting_field *fields, void *to, const void *from);

/* HAProxy's time format: a number with us (rounded up to ms), ms, s, m, h or d behind it, or without: ms. False
 * when <text> is none, or is longer than SETTING_TIME_MAX; then *<ms> is 0.
 */
bool setting_time(const char *text, size_t len, uint32_t *ms);

/* The nearest of a number of names to a text, by the edits (letters missing, too many, wrong, exchanged) from
 * one to the other. Zero but <text> at first; <best> is NULL while none is near.
 */
struct setting_guess {
	const char *text;
	const char *best;
	unsigned distance; /* of <best> */
};
void setting_guess(struct setting_guess *g, const char *name);
void setting_guess_fields(struct setting_guess *g, const struct setting_field *fields);

/* Writes <text> in single quotes, printable and shortened, to <out> (SETTING_QUOTE_SIZE bytes); returns it. */
const char *setting_quote(char *out, const char *text, size_t len);

/* Is <text> a host name without a dot at its end, an IP address, a name to say HELO with that is an FQDN or an
 * address literal (RFC 5321 4.1.1.1)? */
bool setting_is_dns(const char *text);
bool setting_is_ip(const char *text);
bool setting_is_fqdn(const char *text);

/* Gives what a merged mailer does not set its default, and refuses what does not go together. <host> is the
 * name that its address was given by, NULL when it is not known. False with a <reason> that begins with a key
 * or with what is missing.
 */
bool setting_mailer_complete(struct setting_mailer *m, const char *host, char *reason);
void setting_proxy_complete(struct setting_proxy *p);
/* Does what stands in a complete proxy go together? */
bool setting_proxy_check(const struct setting_proxy *p, char *reason);
void setting_top_complete(struct setting_top *t);
/* A limit that stands in the file: both of its keys. */
bool setting_limit_check(const struct setting_limit *l, char *reason);
/* The same for a summary and a rule; what they do not set gets its default. */
bool setting_summary_check(struct setting_summary *s, char *reason);
bool setting_rule_check(struct rule *r, char *reason);

#endif
