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
#include <mailers/buffer.h>
#include <mailers/error.h>
#include <mailers/mailer.h>
#include <mailers/outage.h>
#include <mailers/queue.h>
#include <mailers/rule.h>
#include <mailers/template.h>

struct engine;
struct engine_proxy;

#define ENGINE_ROUTE_ALERTS 50000      /* queued alerts of one route */
#define ENGINE_ROUTE_BYTES  (32u << 20) /* bytes of one route */
#define ENGINE_LOG_LINES    4096       /* log lines that wait for the host */
#define ENGINE_BURST_MS     1000       /* drops less than this apart are one burst, one line ... */
#define ENGINE_BURST_MAX_MS 60000      /* ... but none goes untold for longer than this */
#define ENGINE_RETRY_MS     1000       /* until engine_connect() is worth a call again when memory was short */
#define ENGINE_RELEASE_MS   5000       /* until a connection that is over and not released is named by engine_expired() */
#define ENGINE_MAX_AGE_MS   14400000   /* an alert is given up when it is so old */
#define ENGINE_MAILERS_MAX  64         /* of one proxy */
#define ENGINE_SHOW_ALERTS  100        /* of the last alerts the fate is remembered */
#define ENGINE_MINUTES      60         /* of the last minutes the mails are counted */
#define ENGINE_OUTAGES      10000      /* servers that are known to be down; more are counted */
#define ENGINE_ASKED        16         /* alerts about which the host is asked at a time */
#define ENGINE_ASK_WAIT_MS  60000      /* an alert waits for its turn to be asked about for so long */
#define ENGINE_ANSWERS      16         /* that the host may make of one alert */
#define ENGINE_HEADERS_MAX  8192       /* bytes of the headers that an answer adds */
#define ENGINE_ADDRESSES_MAX 65536     /* bytes of to, and of cc, that an answer has */
#define ENGINE_REASON_MAX   768        /* holds every reason uncut: MAILBOX_REASON_SIZE, a name, a key */

struct engine_settings {
	const char *token;          /* makes Message-IDs of this process start unique: letters and digits */
	struct queue_limits limits; /* per route; 0 means the defaults above */
	uint32_t max_age_ms;        /* of proxies that have none of their own; 0: ENGINE_MAX_AGE_MS */
};

enum engine_mode {
	ENGINE_MODE_ALL = 0,  /* each mailer gets a copy of each alert */
	/* The first in order that is neither down nor paused gets them; one that was tried over it in vain is tried
	 * over the next. */
	ENGINE_MODE_FAILOVER,
};

/* Alerts that come close together go in one mail (batch.h has the times). */
struct engine_summary_settings {
	uint32_t wait_ms;       /* 0: each goes by itself */
	uint32_t max_wait_ms;
	bool first_now;
	/* Templates (template.h) of the alert's proxy, server and name; of <group> its state, level and event too. Alerts
	 * of which <batch> makes one text go together, also those of several proxies, if they have the same <batch>, From
	 * and To; over the same mailers in one mail. NULL: "%{proxy}" and "%{name}".
	 */
	const char *batch, *group;
};

struct engine_proxy_settings {
	const char *name;       /* HAProxy's proxy */
	const char *from, *to;  /* `email-alert from` and `to` as configured */
	enum alert_level level; /* `email-alert level`: alerts of this level and graver are mailed */
	enum engine_mode mode;
	unsigned limit_mails;   /* most mails to one recipient over one mailer (or ordered list of them) ... */
	uint32_t limit_per_ms;  /* ... in any stretch of so long; what is over it is folded into one. 0: no limit */
	uint32_t max_age_ms;    /* 0: the engine's */
	struct engine_summary_settings summary;
	bool threads;           /* the mails of an outage refer to one id, the same in all of them and in no other */
	bool durations;         /* a mail says how long the outage was whose end it tells, if its text is the legacy one */
	/* Checked, and the host's, as long as the engine lives: */
	const char *subject, *body; /* templates; NULL: the legacy ones */
	const struct rule *rules;
	size_t nrules;          /* up to RULE_MAX */
	uint32_t ask_ms;        /* not 0: the host is asked about each alert, and answers in so long; see engine_ask() */
	bool ask_batch;         /* its answers tell the batch: summary.batch only says which proxies may share one */
};

/* An alert as engine_raise_alert() takes it. */
struct engine_alert {
	uint64_t server;        /* a key that is one server's alone */
	const char *name;       /* "proxy/server" */
	const struct alert_text *what;
	const char *text;       /* <text_len> bytes */
	size_t text_len;
	const char *date;       /* RFC 5322 */
	const struct template_values *values; /* of its fields; NULL: what the other members tell */
	struct outage_mark outage; /* of <server> */
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
/* Adds a mailer to a proxy, the preferred first. Mailers of equal settings (mailer_same()) share
 * connections and health. Errors as above, for the HELO name.
 */
enum mailers_error engine_proxy_mailer(struct engine *e, struct engine_proxy *proxy,
                                       const struct mailer_settings *settings, char *reason);
/* All mailers were added: from now on the proxy's alerts are queued, and it takes no more mailers. STATE
 * without a mailer, NOMEM (call it again); <reason> as above. engine_raise() does it if nobody did.
 */
enum mailers_error engine_proxy_ready(struct engine *e, struct engine_proxy *proxy, char *reason);
/* Would an alert of <level> be mailed? */
bool engine_proxy_wants(const struct engine_proxy *proxy, enum alert_level level);
/* Has it templates, of its own or of a rule, or is the host asked? If not, engine_alert.values are not looked at. */
bool engine_proxy_renders(const struct engine_proxy *proxy);
const char *engine_proxy_name(const struct engine_proxy *proxy);

/* Queues an alert of <server> (a key that is one server's alone; <name> is "proxy/server") for all mailers of
 * <proxy>; not when its level is not wanted. What could not be queued is counted and logged, and the error
 * of one of them is returned: NOMEM or BOUND.
 */
enum mailers_error engine_raise(struct engine *e, struct engine_proxy *proxy, uint64_t server, const char *name,
                                const struct alert_text *what, const char *text, size_t text_len,
                                const char *date, uint64_t now_ms);

/* The same for an alert that is told in full. The proxy's rules decide whether it goes, to whom and over which of its
 * mailers, and templates make its texts; it keeps its order with the server's other alerts for each recipient.
 */
enum mailers_error engine_raise_alert(struct engine *e, struct engine_proxy *proxy, const struct engine_alert *alert,
                                      uint64_t now_ms);

/* A slot for which a connection is to be opened now, or -1. The alert that it will carry is taken at once. */
int engine_connect(struct engine *e, uint64_t now_ms);
/* Of a slot in use. The strings live as long as the engine. */
const char *engine_address(const struct engine *e, int slot);
const char *engine_mailer_name(const struct engine *e, int slot);
/* A number that is this connection's alone, 1 and up; 0 for a slot not in use. A host whose late calls
 * could meet the slot's next connection compares it.
 */
uint64_t engine_connection_id(const struct engine *e, int slot);

void engine_connected(struct engine *e, int slot, uint64_t now_ms);
enum engine_want engine_want(const struct engine *e, int slot);
/* Bytes that are sure to come: a host that must name an exact number reads so many. */
size_t engine_need(const struct engine *e, int slot);
/* Does TLS run on it, or begin? Then engine_need() counts to the end of a record or of its header, and not
 * one byte more may be read at a time by a host whose reads wait for all that they ask for.
 */
bool engine_encrypted(const struct engine *e, int slot);
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
/* A slot whose time is over while its host may be waiting for I/O, or whose connection is over and was not
 * released for ENGINE_RELEASE_MS (again after each of them); -1 when there is no other.
 */
int engine_expired(struct engine *e);

/* Alerts queued or in flight, connections open, or tests that wait for one? */
bool engine_busy(const struct engine *e);

/* Adds a line of the host's to the log. */
void engine_log(struct engine *e, enum alert_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* Takes the oldest log line; false when there is none. Lines that found no place are counted, and told where
 * they are missing.
 */
bool engine_next_log(struct engine *e, struct engine_log *log);

/* --- the end (engine_drain.c) --- */

/* The process is to end: from now on pauses and backoff are ignored (a mailer that failed is tried again
 * each second, so is an alert that was deferred), folds do not wait for their limit, and mailers are probed
 * only for the sake of queued alerts. From <until_ms> on no connection is opened any more, and
 * engine_tick() makes engine_expired() name those that are open. Again: a new <until_ms>.
 */
void engine_drain(struct engine *e, uint64_t until_ms, uint64_t now_ms);
bool engine_draining(const struct engine *e);
/* Takes up to <most> alerts that are queued and not in flight out of the queue, for good, with a log line
 * for each: proxy, mailer, recipients, text. Fewer when the log has no place for more: take its lines, and
 * call again while engine_busy(). Returns how many.
 */
size_t engine_abandon(struct engine *e, size_t most, uint64_t now_ms);

/* --- OAuth tokens --- */

/* The index of a mailer whose server refused its token, once for each refusal; -1 when there is none. Its
 * next connection waits for engine_token_set(), at most until its pause after the failure is over.
 */
int engine_token_wanted(struct engine *e);
/* <token> (copied; the host wipes its own) is used from now on, and if it is another one, at once. OK;
 * NOMEM: the old one stays; STATE: there is no such mailer, or it has no credentials.
 */
enum mailers_error engine_token_set(struct engine *e, int index, const char *token, uint64_t now_ms);
/* There is none, <why> is logged: while the mailer is down, and asks with each probe, only in passing. */
void engine_token_missing(struct engine *e, int index, const char *why);
/* The settings of mailer <index> (0 and up, in the order of their making); NULL beyond the last. Its
 * credentials are those that the host gave, also after engine_token_set().
 */
const struct mailer_settings *engine_mailer_settings(const struct engine *e, int index);

/* --- seeing it (engine_show.c) --- */

/* Append a table of fixed-width columns, one head line that begins with "# " first; other such lines may follow. Printable ASCII and
 * '\n' only; errors are those of <out>.
 */
void engine_show_mailers(const struct engine *e, struct buffer *out, uint64_t now_ms);
/* The last ENGINE_SHOW_ALERTS alerts, once for each mailer (or list of mailers) of their proxy, the oldest
 * first.
 */
void engine_show_alerts(const struct engine *e, struct buffer *out, uint64_t now_ms);

/* --- servers that are down (engine_outage.c) --- */

struct engine_outage;

/* Server <name> ("proxy/server") of <proxy> is down since <since_ms>, whether or not that is mailed; <why>
 * is a short text, "" for none. To be told when it goes down, and the end when it is down no longer (up, in
 * maintenance, deleted). Returns what engine_outage_end() is told then, NULL too: that one is counted but
 * not listed.
 */
struct engine_outage *engine_outage_begin(struct engine *e, struct engine_proxy *proxy, const char *name,
                                          const char *why, uint64_t since_ms);
void engine_outage_end(struct engine *e, struct engine_proxy *proxy, struct engine_outage *outage);

/* --- metrics and status page (engine_metrics.c, engine_status.c) --- */

/* Appends what was counted since the start, in Prometheus' text format 0.0.4. UTF-8, whatever the names
 * hold; errors are those of <out>. Proxies of one name would be one series: a host has none.
 */
void engine_metrics(const struct engine *e, struct buffer *out, uint64_t now_ms);
/* Appends one JSON object (RFC 8259) with what the status page shows; doc/operators.md tells its members.
 * The same holds.
 */
#define ENGINE_STATUS_DOWN  200 /* servers that are down, the last of them; the count is of all */
#define ENGINE_STATUS_TEXT  400 /* bytes of an alert's text */
void engine_status_json(const struct engine *e, struct buffer *out, uint64_t now_ms);

/* --- alerts about which the host is asked (engine_ask.c, engine_answer.c) --- */

/* An alert of a proxy with <ask_ms> waits until the host has said what becomes of it, finally: the rules come before.
 * Those of one server are asked about one after the other, so that their order stays; those of others at the same
 * time, ENGINE_ASKED at the most. One about which nothing is said in time, that is over a bound of what waits (the engine's
 * limits), that waits for its turn for longer than ENGINE_ASK_WAIT_MS, or whose answer is no good, goes as its rules say;
 * that is logged. So does what still waits when half of the time of engine_drain() is over.
 *
 *   wait: engine_ask() -> asked: engine_answer(), engine_answer_failed(), or its time is over
 *
 * Fields go to and fro as runs of "name\0value\0". A question has those of template.h that are not empty, and
 * subject, body, to and cc as they would be without the host, and mailer once for each of them. An answer has the same. One
 * that is missing is empty: subject, body and text are then as without the host, cc is none, mailer all. It may have
 * header ("Name: value", see message.h) any number of times, and batch.
 */
/* Appends the next question to <out>. Returns its number, which is never used again; 0 when there is none now: ask again
 * after a raise, an answer or a tick.
 */
uint64_t engine_ask(struct engine *e, struct buffer *out, uint64_t now_ms);
/* Would it return a number? */
bool engine_askable(const struct engine *e);
/* The alert of question <id> becomes <n> (0: none; ENGINE_ANSWERS at the most) others. OK; STATE: nobody waits for the
 * answer any more, which is no fault; SYNTAX, BOUND: it is no good; NOMEM.
 */
enum mailers_error engine_answer(struct engine *e, uint64_t id, const struct buffer *answers, size_t n,
                                 uint64_t now_ms);
/* There is no answer. <why> is logged, and may hold any byte. */
void engine_answer_failed(struct engine *e, uint64_t id, const char *why, uint64_t now_ms);
/* Does anybody still wait for the answer to question <id>? */
bool engine_asked(const struct engine *e, uint64_t id);
/* Whether the host can be asked. If not, all alerts go at once. */
void engine_ask_able(struct engine *e, bool able, uint64_t now_ms);

/* --- what would become of an alert (engine_explain.c) --- */

/* Appends, line by line, which rules would decide about <alert> (its <text> ends with a NUL), to whom it would go,
 * over which mailers, and its subject and body; or why it would not be mailed. Its proxy is that of its name. False:
 * there is none. Nothing is raised or counted.
 */
bool engine_explain(const struct engine *e, const struct engine_alert *alert, struct buffer *out);

/* --- commands (engine_command.c) --- */

/* All three: on the mailers of <name>, the id of a `mailer` line, or "proxy/id"; NULL: all. They return how
 * many matched; each call is logged.
 */
/* Ends pauses and backoff: what waits is tried now. No summary waits for more, those of other mailers neither. */
size_t engine_flush(struct engine *e, const char *name, uint64_t now_ms);
/* No connection is opened until engine_resume(); those that are open take no more mails. With
 * ENGINE_MODE_FAILOVER another goes in its place.
 */
size_t engine_pause(struct engine *e, const char *name, uint64_t now_ms);
size_t engine_resume(struct engine *e, const char *name, uint64_t now_ms);

/* --- tests (engine_test.c) --- */

/* What a test came to: of several mailers the gravest, which is the last here. */
enum engine_test_result {
	ENGINE_TEST_ACCEPTED = 0,
	ENGINE_TEST_TEMPORARY,    /* 4xx to the mail, or the server said 4xx before */
	ENGINE_TEST_REFUSED,      /* 5xx to the mail or its recipients */
	ENGINE_TEST_FAILED,       /* no SMTP, 5xx before the mail, closed, time over, unknown whether accepted */
	ENGINE_TEST_AUTH,         /* at AUTH */
	ENGINE_TEST_TLS,          /* at STARTTLS or in TLS */
	ENGINE_TEST_UNREACHABLE,  /* no connection */
	ENGINE_TEST_LOCAL,        /* out of memory, or ended by engine_test_end() or the host */
};

/* Sends one mail that says that it is a test over mailer <mailer> of proxy <proxy>, or over each of its
 * mailers (NULL), on connections of its own that engine_connect() names: pauses, health and limits are
 * neither asked nor changed. <to> and <from> replace the proxy's unless NULL. Returns the test's number, 1
 * and up; 0 without: <reason> (ENGINE_REASON_MAX bytes) says why.
 */
int engine_test_begin(struct engine *e, const char *proxy, const char *mailer, const char *to, const char *from,
                      uint64_t now_ms, char *reason);
/* The Date of its mails (RFC 5322); none without this call, which comes before engine_connect(). */
void engine_test_date(struct engine *e, int id, const char *date);
/* Appends what was said and heard since the last call, line by line ('\n'), with the outcome of each step.
 * True when the test is over: *<result> is set then. An unknown <id> is over, with LOCAL.
 */
bool engine_test_read(struct engine *e, int id, struct buffer *out, enum engine_test_result *result);
/* Forgets the test, which no call knows any more; connections of it that are open are named by
 * engine_expired().
 */
void engine_test_end(struct engine *e, int id);

/* Each recipient of an alert that was raised ends in exactly one of accepted, refused, given_up, abandoned
 * and lost, and was in none of them before: so with nothing queued the five add up to <recipients>.
 */
struct engine_stats {
	uint64_t raised, dropped; /* alerts, once for each mailer (or ordered list of them) of their proxy */
	uint64_t recipients;      /* of those that were raised */
	uint64_t accepted, refused, given_up, abandoned;
	uint64_t lost;            /* dropped before they had a verdict: at a bound, or for want of memory */
	uint64_t deferred;        /* tries that are to be repeated, one a recipient */
	uint64_t folded;          /* of the accepted: in a mail that names several alerts */
	size_t queued, connections; /* now; alerts as above */
};
void engine_stats(const struct engine *e, struct engine_stats *stats);

#endif
