/*
 * engine - alerts in, mails out: proxies, mailers, the queue and the connections, without I/O.
 *
 * The host (HAProxy's Lua binding, or an event loop) raises alerts, opens a connection whenever
 * engine_connect() names one, and moves its bytes:
 *
 *   slot = engine_connect()            a connection to open to engine_address(slot); ask until it says -1,
 *                                      after a raise, a tick and a release
 *   engine_connected() or engine_eof() how it went
 *   loop: engine_want(): WRITE: engine_peek(), send, engine_ack()
 *                        READ:  read engine_need() bytes or fewer, engine_feed(), or engine_eof()
 *                        CLOSE: close the connection, engine_release()
 *   engine_tick() at engine_deadline() at the latest; then engine_expired() names connections to cut: make
 *   their pending I/O return, and release them as ever.
 *
 * A slot is a small number that is reused after its release. All times are milliseconds of one monotonic
 * clock. One engine is used by one thread at a time (the host locks); no function calls back, blocks or
 * aborts.
 */
#ifndef MAILERS_ENGINE_H
#define MAILERS_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mailers/alert.h>
#include <mailers/error.h>
#include <mailers/mailer.h>
#include <mailers/queue.h>

struct engine;
struct engine_proxy;

#define ENGINE_ROUTE_ALERTS 50000      /* queued alerts of one route */
#define ENGINE_ROUTE_BYTES  (32u << 20) /* bytes of one route */
#define ENGINE_LOG_LINES    4096       /* log lines that wait for the host */
#define ENGINE_BURST_MS     1000       /* drops less than this apart are one burst, one line ... */
#define ENGINE_BURST_MAX_MS 60000      /* ... but none goes untold for longer than this */
#define ENGINE_RETRY_MS     1000       /* until engine_connect() is worth a call again when memory was short */
#define ENGINE_RELEASE_MS   5000       /* until a connection that is over and not released is named by engine_expired() */
#define ENGINE_REASON_MAX   768        /* holds every reason uncut: MAILBOX_REASON_SIZE, a name, a key */

struct engine_settings {
	const char *token;          /* makes Message-IDs of this process start unique: letters and digits */
	struct queue_limits limits; /* per route; 0 means the defaults above */
};

struct engine_proxy_settings {
	const char *name;       /* HAProxy's proxy */
	const char *from, *to;  /* `email-alert from` and `to` as configured */
	enum alert_level level; /* `email-alert level`: alerts of this level and graver are mailed */
};

enum engine_want { ENGINE_WANT_READ = 0, ENGINE_WANT_WRITE, ENGINE_WANT_CLOSE };

struct engine_log {
	enum alert_level level;
	char text[1000]; /* printable, one line: HAProxy cuts at `len` (1024) */
};

/* NULL without memory. */
struct engine *engine_new(const struct engine_settings *settings);
void engine_free(struct engine *e); /* NULL is a no-op; frees proxies and mailers too */

/* Adds a proxy, which lives as long as the engine. When an address does not parse: SYNTAX or BOUND, and
 * <reason> (ENGINE_REASON_MAX bytes) names proxy, key, fault and remedy; else <reason> is "", or says NOMEM.
 */
enum mailers_error engine_proxy_add(struct engine *e, const struct engine_proxy_settings *settings,
                                    struct engine_proxy **proxy, char *reason);
/* Adds a mailer to a proxy: from now on it gets a copy of each of its alerts. Mailers of equal settings
 * (mailer_same()) share connections. Errors as above, for the HELO name.
 */
enum mailers_error engine_proxy_mailer(struct engine *e, struct engine_proxy *proxy,
                                       const struct mailer_settings *settings, char *reason);
/* Would an alert of <level> be mailed? */
bool engine_proxy_wants(const struct engine_proxy *proxy, enum alert_level level);
const char *engine_proxy_name(const struct engine_proxy *proxy);

/* Queues an alert of <server> (a key that is one server's alone; <name> is "proxy/server") for all mailers of
 * <proxy>; not when its level is not wanted. What could not be queued is counted and logged, and the error
 * of one of them is returned: NOMEM or BOUND.
 */
enum mailers_error engine_raise(struct engine *e, struct engine_proxy *proxy, uint64_t server, const char *name,
                                const struct alert_text *what, const char *text, size_t text_len,
                                const char *date, uint64_t now_ms);

/* A slot for which a connection is to be opened now, or -1. The alert that it will carry is taken at once. */
int engine_connect(struct engine *e, uint64_t now_ms);
/* Of a slot in use. The strings live as long as the engine. */
const char *engine_address(const struct engine *e, int slot);
const char *engine_mailer_name(const struct engine *e, int slot);
/* A number that is this connection's alone, 1 and up; 0 for a slot not in use. A host whose late calls could meet the slot's next
 * connection compares it. */
uint64_t engine_connection_id(const struct engine *e, int slot);

void engine_connected(struct engine *e, int slot, uint64_t now_ms);
enum engine_want engine_want(const struct engine *e, int slot);
size_t engine_need(const struct engine *e, int slot);
size_t engine_peek(const struct engine *e, int slot, const char **data);
void engine_ack(struct engine *e, int slot, size_t n, uint64_t now_ms);
void engine_feed(struct engine *e, int slot, const char *data, size_t len, uint64_t now_ms);
void engine_eof(struct engine *e, int slot, uint64_t now_ms);
/* The host is done with the slot, in whatever state; alerts without a verdict go back to the queue, and a
 * session that was not over counts as failed. No-op for a slot not in use.
 */
void engine_release(struct engine *e, int slot, uint64_t now_ms);

void engine_tick(struct engine *e, uint64_t now_ms);
/* UINT64_MAX when nothing waits for a time. */
uint64_t engine_deadline(const struct engine *e, uint64_t now_ms);
/* A slot whose time is over while its host may be waiting for I/O, or whose connection is over and was not released for
 * ENGINE_RELEASE_MS (again after each of them); -1 when there is no other.
 */
int engine_expired(struct engine *e);

/* Alerts queued or in flight, or connections open? */
bool engine_busy(const struct engine *e);

/* Adds a line of the host's to the log. */
void engine_log(struct engine *e, enum alert_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Takes the oldest log line; false when there is none. Lines that found no place are counted, and told where
 * they are missing.
 */
bool engine_next_log(struct engine *e, struct engine_log *log);

/* For tests and, later, `show mailers`. */
struct engine_stats {
	uint64_t raised, dropped;             /* alerts, once for each mailer of their proxy */
	uint64_t accepted, refused, given_up; /* recipients */
	size_t queued, connections;           /* now; alerts as above */
};
void engine_stats(const struct engine *e, struct engine_stats *stats);

#endif
