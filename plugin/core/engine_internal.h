/*
 * engine_internal - what the files of the engine share; nobody else includes it.
 *
 *   engine.c          what a host sees: raising, time, counters
 *   engine_proxy.c    proxies and their mailers, as they are set up
 *   engine_rule.c     rules and templates of a proxy
 *   engine_rcpt.c     its recipients, those that come later too
 *   engine_ask.c      alerts about which the host is asked
 *   engine_answer.c   what it answered
 *   engine_explain.c  what would become of an alert
 *   engine_group.c    mailers that stand in for each other
 *   engine_slot.c     the table of connections: which is opened next, and the bytes of each
 *   engine_route.c    a proxy's way to a mailer or a group: drops and expiry
 *   engine_limit.c    how many mails a recipient may get
 *   engine_summary.c  alerts that wait for others
 *   engine_drain.c    the end of the process
 *   engine_count.c    what is counted for the metrics and the status page
 *   engine_outage.c   servers that are down, and what their mails have in common
 *   engine_metrics.c  the counters in Prometheus' text format
 *   engine_status.c   what the status page shows, as JSON
 *   engine_record.c   the last alerts and their fate
 *   engine_show.c     tables of what goes on
 *   engine_command.c  flush, pause, resume
 *   engine_token.c    OAuth tokens that servers refuse
 *   engine_test.c     mails that are tests
 *   engine_log.c      the lines for the host's log
 *   connection.c      one connection: moves mails of the queue into an smtp_client, and its trouble to the mailer
 *   flight.c          one mail on a connection: taken, submitted, settled
 *   flight_build.c    its message
 *   flight_summary.c  that of one which sums up many alerts
 *   flight_fate.c     what becomes of each of its recipients, and the line about it
 *   failure.c         whose fault it is
 */
#ifndef CORE_ENGINE_INTERNAL_H
#define CORE_ENGINE_INTERNAL_H

#include <mailers/batch.h>
#include <mailers/buffer.h>
#include <mailers/engine.h>
#include <mailers/smtp_client.h>
#include <mailers/wire.h>

#include "list.h"

/* A mailer of a proxy. */
struct engine_member {
	struct mailer *mailer;
	char *name;                 /* its id in this proxy, printable */
	bool backup;
};

/* A mailer of a group, and the ring of routes with something ready that is its turn when those before it can be had too:
 * of alerts that were tried in vain so often, as the first that can be had takes what is new, the next what that one
 * sent away, and so on in a circle. engine_group_elect() says whose turn a ring really is.
 */
struct engine_turn {
	struct mailer *mailer;
	struct queue_ring ring;
};

/* An ordered list of mailers; the proxies that have the same one share it. */
struct engine_group {
	struct engine_group *next;
	size_t n;
	struct engine_turn turns[];
};

/* A proxy's way to one mailer or to a group, the owner of a queue_route. */
struct engine_route {
	struct engine_route *next;
	struct engine_proxy *proxy;
	struct engine_group *group; /* NULL: one mailer */
	struct engine_member *members; /* those of its proxy that it goes to */
	size_t nmembers;
	struct queue_route *queue;
	struct engine_limit **limits; /* one a recipient of the proxy; NULL: none */
	size_t burst;               /* alerts dropped since the last line about it */
	uint64_t burst_first_ms, burst_last_ms; /* when the first and the last of them was */
	uint64_t dropped;           /* alerts, ever */
};

/* Where a rule sends alerts of its proxy: bits of its recipients and members; 0: none. */
struct engine_way {
	uint64_t rcpt[2], members;
};

_Static_assert(SMTP_CLIENT_RCPT_MAX <= 128 && ENGINE_MAILERS_MAX <= 64, "bits of a way");

struct engine_proxy {
	struct engine_proxy *next;
	char *name;                 /* printable */
	char *from, *to;            /* header values */
	char *sender;               /* reverse-path */
	char **rcpt;                /* of `email-alert to`, then of its rules */
	size_t nrcpt, nown, nfixed; /* nown: of `email-alert to`; nfixed: of its rules too */
	const char *subject, *body; /* templates; NULL: none */
	const struct rule *rules;
	size_t nrules;
	struct engine_way *ways;    /* one a rule */
	enum alert_level level;
	enum engine_mode mode;
	unsigned limit_mails;
	uint32_t limit_per_ms;
	uint32_t max_age_ms;
	struct {
		uint32_t wait_ms, max_wait_ms; /* wait_ms 0: none */
		bool first_now;
		char *batch, *group;    /* templates */
		bool batch_asked;       /* an answer tells the batch, where there is one */
	} summary;
	uint32_t ask_ms;            /* 0: the host is not asked */
	struct {
		uint64_t answered, dropped, failed, unasked; /* alerts, by what became of the question */
		size_t waiting;
	} asks;
	bool threads, durations;
	bool ready;                 /* engine_proxy_ready() was called */
	uint64_t alerts[ALERT_LEVEL_DEBUG + 1]; /* raised, by level, once each */
	uint64_t unready;           /* of these: lost for want of routes ... */
	uint64_t ruled_out;         /* ... and dropped by a rule */
	size_t down;                /* its servers that are down now */
	struct engine_member *members;
	size_t nmembers;
	struct engine_route *routes;
};

/* A mail on a connection: taken from the queue, submitted as soon as the client accepts it. */
struct flight {
	struct queue_envelope *env;     /* NULL while the place is free */
	struct queue *queue;
	const struct queue_ring *ring;  /* from which it was taken */
	const struct engine_member *member; /* over which it goes */
	struct buffer message;
	unsigned number;                /* of its connection's mails, in the order of their taking */
	bool submitted, answered;       /* answered: the envelope's verdicts are filled, it waits to be settled */
	bool unknown;                   /* whether it was accepted */
};

/* The bounds of a fold: with a date and a name for each it stays below half of SMTP_CLIENT_MESSAGE_MAX. */
#define FLIGHT_FOLD_ALERTS  1000
#define FLIGHT_FOLD_BYTES   (256u << 10)
#define FLIGHT_RETRY_MS     5000u   /* the pause of an alert after its first try; doubled with each ... */
#define FLIGHT_RETRY_MAX_MS 600000u /* ... up to here, jitter included */

/* As many as a client takes before it has answered the first. */
#define CONNECTION_FLIGHTS SMTP_CLIENT_WINDOW_MAILS

struct connection {
	struct engine_test_leg *leg;    /* it is a test's: what follows about flights is unused then */
	struct mailer *mailer;
	struct mailer_session session;
	struct smtp_client *client;
	struct wire *wire;
	enum smtp_tls tls;              /* that of its mailer, or none when that could not be had */
	struct mailer_token *token;     /* that the client uses; NULL: none of the mailer's own */
	struct flight flights[CONNECTION_FLIGHTS];
	uint64_t id;                    /* never used again */
	unsigned taken;                 /* mails so far */
	uint64_t opened_ms;
	uint64_t final_since_ms;        /* when it began to wait for the reply to a final dot; 0 when not */
	char reason[400];               /* why the session failed, printable */
	bool connected;                 /* the host said so */
	bool failed;                    /* the session failed, and a mail may be charged for it */
	bool charged;                   /* one was */
	bool ended;                     /* the session is over, in whatever way; nothing is in flight any more */
	uint64_t told_ms;               /* when it ended, or the host was last told to release it; 0: neither */
	bool expired;                   /* ended by its deadline, or long ago: the host must be told */
};

enum engine_fate {
	ENGINE_FATE_ACCEPTED = 0, ENGINE_FATE_REFUSED, ENGINE_FATE_GIVEN_UP, ENGINE_FATE_ABANDONED,
	ENGINE_FATE_DEFERRED, /* not the last one */
	ENGINE_FATES
};

/* Mails of one minute. */
struct engine_minute {
	uint64_t minute;                /* of the host's clock */
	uint64_t accepted, refused, deferred; /* deferred: and returned, or unknown whether accepted */
};

struct engine_outage {
	struct list link;               /* of engine.outages, in the order of their telling */
	uint64_t since_ms;
	const char *name, *why;         /* in <bytes> */
	char bytes[];
};

#define ENGINE_ASK_BUCKETS 256

/* An alert that waits for the host's word. */
struct engine_ask {
	struct list in_all, in_ready, in_bucket;
	struct engine_proxy *proxy;
	uint64_t raised_ms, deadline_ms;
	uint64_t asked;             /* the number of the question; 0: nobody is asked yet */
	unsigned place;             /* then: of engine.asks.asked */
	size_t size;
	struct engine_alert alert;  /* its texts are in <bytes>, and end with a NUL */
	struct alert_text what;
	struct template_values values;
	char bytes[];
};

/* What became of an alert on one of its ways. */
struct engine_record {
	struct queue_alert *alert;      /* a reference */
	const struct engine_route *route;
	const struct engine_member *member; /* that had it last; NULL before the first try */
	unsigned fates[ENGINE_FATES];   /* recipients; of DEFERRED: tries, one a recipient */
	char answer[120];               /* the last one, or what went wrong; printable */
};

struct engine {
	struct queue *queue;
	struct queue_limits limits;
	uint32_t max_age_ms;
	struct engine_proxy *proxies;
	struct engine_group *groups;
	struct mailer *mailers;
	struct mailer *next_mailer;     /* where engine_connect() goes on */
	uint64_t retry_ms;              /* memory was short: engine_connect() is worth a call again then */
	uint64_t expiry_ms;             /* when alerts are looked at again that may be too old */
	uint64_t drain_until_ms;        /* 0: not draining */
	struct engine_limit *limited;
	struct batch_set *batches;      /* of alerts that are held, with a reference each */
	struct {
		struct list all, ready, buckets[ENGINE_ASK_BUCKETS];
		struct engine_ask *asked[ENGINE_ASKED];
		size_t count, bytes;
		uint64_t last_id;
		size_t burst;           /* alerts over a bound since the last line about it */
		uint64_t burst_first_ms;
		uint64_t until_ms;      /* the process ends: later none waits any more */
		bool unable;
	} asks;
	struct engine_test *tests;
	int last_test;
	struct connection **slots;
	uint64_t last_id;               /* of a connection */
	size_t nslots, nconnections;
	char *token;
	struct engine_stats stats;
	struct engine_minute minutes[ENGINE_MINUTES]; /* a ring: minute modulo ENGINE_MINUTES */
	struct {
		struct list list;       /* the newest last */
		size_t listed, count;   /* count: those of which there is no record, too */
	} outages;
	struct {
		struct engine_record ring[ENGINE_SHOW_ALERTS];
		size_t first, count;
	} records;
	struct {
		struct engine_log_line *lines[ENGINE_LOG_LINES]; /* a ring */
		size_t first, count;
		size_t lost;
	} log;
};

static inline uint64_t engine_earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* engine.c. A copy of <text>; NULL without memory. */
char *engine_copy(const char *text);
/* Queues an alert as its rules say, or drops it ... */
struct engine_decision;
enum mailers_error engine_raise_ruled(struct engine *e, struct engine_proxy *proxy, const struct engine_alert *a,
                                      uint64_t now_ms);
/* ... or as it was decided otherwise; without <memory> it is lost. */
enum mailers_error engine_raise_decided(struct engine *e, struct engine_proxy *proxy, const struct engine_alert *a,
                                        const struct engine_decision *d, bool memory, uint64_t now_ms);

/* engine_proxy.c */
void engine_proxy_free(struct engine_proxy *p);

/* engine_rule.c. Takes over the rules and templates of <settings>, when the proxy's own recipients are there ... */
enum mailers_error engine_rule_add(struct engine_proxy *p, const struct engine_proxy_settings *settings, char *reason);
/* ... and looks for their mailers, when all members are. */
enum mailers_error engine_rule_ready(struct engine_proxy *p, char *reason);

/* What becomes of an alert. */
struct engine_decision {
	bool drop, has_to, has_cc;
	bool used[RULE_MAX];            /* rules that decided */
	bool wanted[SMTP_CLIENT_RCPT_MAX]; /* of the proxy's recipients */
	size_t nrcpt;                   /* how many of them */
	uint64_t members;               /* bits of the proxy's members; all set without a rule about them */
	struct queue_mail mail;         /* texts in the buffers, or an answer's */
	const char *batch;              /* an answer's; NULL: none */
	const char *subject_text, *body_text; /* templates */
	uint64_t rcpt[2];               /* bits of the rules' recipients */
	struct buffer subject, body, to, cc;
};
/* OK; or NOMEM: all is told but <mail>. engine_rule_end() in any case. */
enum mailers_error engine_rule_decide(const struct engine_proxy *p, const struct engine_alert *a,
                                      struct engine_decision *d);
void engine_rule_end(struct engine_decision *d);
/* Makes subject and body of d->mail anew, from its templates and the values of <a>. */
void engine_rule_render(const struct engine_proxy *p, const struct engine_alert *a, struct engine_decision *d);
/* Fills <values> with what the alert itself tells; <text> is its text, ended, <downtime> memory for one of them
 * (OUTAGE_TEXT_SIZE bytes).
 */
void engine_rule_values(const struct engine_proxy *p, const struct engine_alert *a, const char *text,
                        char *downtime, struct template_values *values);

/* engine_ask.c. Takes an alert to be asked about; false: it is to be raised at once, and all before it of its server were. */
bool engine_ask_add(struct engine *e, struct engine_proxy *p, const struct engine_alert *a, uint64_t now_ms);
struct engine_ask *engine_ask_find(const struct engine *e, uint64_t id);
/* <ask>, the first of its server, goes as its rules say; <why> is logged. */
void engine_ask_fail(struct engine *e, struct engine_ask *ask, const char *why, uint64_t now_ms);
/* <ask>, the first of its server, is over: what became of it is queued. */
void engine_ask_end(struct engine *e, struct engine_ask *ask);
/* All go as their rules say. */
void engine_ask_flush(struct engine *e, uint64_t now_ms);
/* The process is to end: half of the time that is left belongs to what waits here, the other half to sending it. */
void engine_ask_drain(struct engine *e, uint64_t until_ms, uint64_t now_ms);
/* Appends the subject of the mail that was decided, with a NUL. */
void engine_ask_subject(const struct engine_alert *a, const struct engine_decision *d, struct buffer *out);
void engine_ask_init(struct engine *e);
void engine_ask_tick(struct engine *e, uint64_t now_ms);
uint64_t engine_ask_deadline(const struct engine *e);
void engine_ask_free(struct engine *e);

/* engine_rcpt.c. Are both one mailbox? The case of a domain does not matter. */
bool engine_rcpt_same(const char *a, const char *b);
/* The place of <address> among the recipients of <p>; -1: none. */
int engine_rcpt_find(const struct engine_proxy *p, const char *address);
/* The same, made if it is new: it takes the place of one that is neither the proxy's nor a rule's, and for whom nothing
 * waits, nor is to wait (<taken>). -1 with an <error>: NOMEM, or BOUND when all SMTP_CLIENT_RCPT_MAX are in use.
 */
int engine_rcpt_place(struct engine *e, struct engine_proxy *p, const char *address, const bool *taken, uint64_t now_ms,
                      enum mailers_error *error);

/* engine_group.c. The group of these mailers in this order, made if it is new; NULL without memory. */
struct engine_group *engine_group_get(struct engine *e, const struct engine_member *members, size_t n);
/* To be called whenever a mailer became usable or ceased to be: decides from which rings each takes. */
void engine_group_elect(struct engine *e);
/* Alerts in all rings that <m> takes from. */
size_t engine_mailer_queued(const struct mailer *m);
/* Where a mail of <r> that was taken from <ring> is to wait after a try in vain (queue_verdict.pin): for the next mailer of
 * its group; 0: where it was, as there is none, or as it is pinned to the one that may have taken it.
 */
unsigned engine_route_next_turn(const struct engine_route *r, const struct queue_ring *ring);
/* The mailer that takes from <route> at present, or would first. */
const struct engine_member *engine_route_member(const struct engine_route *r);
void engine_group_free(struct engine *e);

/* engine_route.c. A way for <proxy> to <n> of its members; false without memory. */
bool engine_route_new(struct engine *e, struct engine_proxy *proxy, struct engine_member *members, size_t n,
                      struct engine_group *group);
void engine_route_dropped(struct engine *e, struct engine_route *r, size_t n, uint64_t now_ms);
/* Tells the drops whose burst is over; gives up what is too old. */
void engine_route_tick(struct engine *e, uint64_t now_ms);
uint64_t engine_route_deadline(const struct engine *e);

/* engine_slot.c */
void engine_slot_tick(struct engine *e, uint64_t now_ms);
uint64_t engine_slot_deadline(const struct engine *e, uint64_t now_ms);
void engine_slot_free(struct engine *e);

/* engine_summary.c. Holds <alert>, which is not queued yet, if others are to go with it. <batch>: with which; NULL: what
 * the proxy's template makes of it. */
void engine_summary_add(struct engine *e, struct engine_proxy *p, struct queue_alert *alert, const char *batch,
                        uint64_t now_ms);
/* Lets go what is due. */
void engine_summary_tick(struct engine *e, uint64_t now_ms);
uint64_t engine_summary_deadline(const struct engine *e);
/* Lets go all. */
void engine_summary_flush(struct engine *e);
/* Appends a template of a `summary`, rendered, to <out>. */
void engine_summary_render(const char *text, const struct engine_proxy *p, const struct queue_alert *alert,
                           struct buffer *out);
/* The routes of <p> have been made: its batches may have alerts of others. */
void engine_summary_join(struct engine *e, struct engine_proxy *p);
void engine_summary_free(struct engine *e);
#define ENGINE_SUMMARY_KEY_MAX 400 /* bytes of a template, rendered */

/* engine_drain.c. Is the time over that the process had for sending? */
bool engine_drain_over(const struct engine *e, uint64_t now_ms);

/* engine_log.c; engine_log() stands in the public header. */
void engine_log_free(struct engine *e);
/* Is there place for lines that must not be lost, half of the log kept for the others? */
bool engine_log_room(const struct engine *e);

/* engine_count.c. Nothing of it allocates. An alert of <p> was raised. */
void engine_count_alert(struct engine_proxy *p, enum alert_level level);
/* A recipient of <env> met its fate with, or before, <m>. */
void engine_count_fate(struct engine *e, struct mailer *m, const struct queue_envelope *env,
                       enum engine_fate fate, uint64_t now_ms);
/* All verdicts on a mail over <m> have come. */
void engine_count_mail(struct engine *e, struct mailer *m, const struct smtp_verdict *verdicts, size_t n,
                       uint64_t now_ms);
/* A session with <m> failed. */
void engine_count_trouble(struct mailer *m, const struct smtp_client_event *ev);
/* In milliseconds: the end of step <i> of mailer_counts.latencies, but the last. */
uint32_t engine_count_latency(size_t i);
/* The mails of minute <minute>; NULL when none were counted, or longer ago than ENGINE_MINUTES. */
const struct engine_minute *engine_count_minute(const struct engine *e, uint64_t minute);

/* engine_record.c */
void engine_record_add(struct engine *e, struct engine_route *r, struct queue_alert *alert);
/* A recipient of <env> met this fate. */
void engine_record_fate(struct engine *e, const struct queue_envelope *env, const struct engine_member *m,
                        enum engine_fate fate, const char *answer);
/* Where its recipients are: how many "accepted", "refused", "given-up", "abandoned", "dropped", "deferred"
 * (they wait, and were tried), "queued", in this order.
 */
#define ENGINE_RECORD_WORDS 7
const char *engine_record_word(size_t i);
void engine_record_count(const struct engine *e, const struct engine_record *record, unsigned *counts);
void engine_record_free(struct engine *e);

/* engine_show.c. What waits for a mailer. */
struct engine_show_queue {
	size_t queued;
	uint64_t dropped, oldest_ms; /* UINT64_MAX: nothing waits */
};
struct engine_show_queue engine_show_queued(const struct engine *e, const struct mailer *m);
const char *engine_show_state(const struct mailer *m); /* "UP", "FAILING", "DOWN", "PAUSED" */

/* engine_outage.c */
void engine_outage_free(struct engine *e);
/* Appends the id, without <> and with a NUL, that all mails about this outage of <alert>'s server refer to, which is
 * also <mail>'s if all of its alerts are of it. Nothing when they are not, or the proxy has no threads.
 */
void engine_outage_thread(const struct engine *e, const struct queue_envelope *mail, struct buffer *id);
/* What the mail of an alert of <p> says of the outage that it ends, in <out> (ENGINE_NOTE_SIZE bytes), which is
 * returned; NULL: nothing.
 */
#define ENGINE_NOTE_SIZE (OUTAGE_TEXT_SIZE + 32)
const char *engine_outage_note(const struct engine_proxy *p, const struct outage_mark *outage, char *out);

/* engine_token.c. Looks whether a session failed because of its token. */
void engine_token_failed(struct mailer *m, const struct smtp_client_event *ev);

/* engine_test.c. A connection that a test waits for; NULL without one, or memory. */
struct connection *engine_test_connection(struct engine *e, uint64_t now_ms);
/* Does one wait for a connection? */
bool engine_test_waits(const struct engine *e);
/* No connection is opened any more: those that wait for one are over. */
void engine_test_refuse(struct engine *e);
/* connection_run() for it. */
void engine_test_run(struct engine *e, struct connection *c, uint64_t now_ms);
/* Its connection is to be freed, after it ended. */
void engine_test_closed(struct engine *e, struct engine_test_leg *leg);
void engine_test_free_all(struct engine *e);

/* engine_limit.c. The limit on <rcpt> over the mailer or list of <ring>, for <mails> in <per_ms> at the most, made if
 * it is new; NULL without memory. It is kept until it was released as often.
 */
struct engine_limit *engine_limit_get(struct engine *e, const struct queue_ring *ring, const char *rcpt,
                                      size_t mails, uint32_t per_ms, uint64_t now_ms);
void engine_limit_release(struct engine_limit *l);
/* When a mail may go; not after <now_ms>: now. If it may not, the next ones are to be folds. */
uint64_t engine_limit_asks(struct engine_limit *l, size_t mails, uint32_t per_ms, uint64_t now_ms);
bool engine_limit_folds(const struct engine_limit *l);
/* A fold was made; <all>: nothing else waited. */
void engine_limit_folded(struct engine_limit *l, bool all);
/* A mail is on the way; it is no longer; it was accepted, or may have been. */
void engine_limit_begins(struct engine_limit *l);
void engine_limit_ends(struct engine_limit *l);
void engine_limit_accepted(struct engine_limit *l, uint64_t now_ms);
void engine_limit_free(struct engine *e);

/* failure.c */
enum failure_blame {
	FAILURE_NOBODY = 0, /* memory was short here */
	FAILURE_MAILER,     /* it pauses, and is down after several; its alerts are kept */
	FAILURE_TLS,        /* opportunistic TLS could not be had: once more without it, and nobody's fault */
};
struct failure {
	enum failure_blame blame;
	bool charges; /* the oldest mail on the way a try, as it may be the mail that breaks the session */
};
/* <established>: mails could be submitted. */
struct failure failure_of_session(const struct smtp_client_event *ev, const struct mailer_settings *settings,
                                  bool established);
/* What an outcome is to the queue. */
enum queue_outcome failure_of_recipient(enum smtp_outcome outcome);

/* flight.c. Takes the next mail for <m> and builds it; false when there is none, or no memory (it is still
 * queued then).
 */
bool flight_take(struct engine *e, struct flight *f, struct mailer *m, uint64_t now_ms);
/* Recipient <i> got it, or may have got it. */
void flight_accepted(const struct flight *f, size_t i, uint64_t now_ms);
/* flight_build.c. Fills f->message; a failure is its error. */
void flight_build(const struct engine *e, struct flight *f);
/* flight_summary.c. Appends subject and body of a mail with the alerts of <env>, both with a NUL; for want of memory
 * <body> has failed.
 */
void flight_summary(const struct queue_envelope *env, struct buffer *subject, struct buffer *body);
struct engine_route *flight_route(const struct flight *f);
/* The client did not take it. */
void flight_reject(struct engine *e, struct flight *f, enum mailers_error error, uint64_t now_ms);
/* Gives the mail back to the queue. <failure>: why a try is charged for what has no verdict; NULL: none is.
 * Returns whether one was.
 */
bool flight_settle(struct engine *e, struct flight *f, const char *failure, uint64_t now_ms);

/* flight_fate.c. The client's verdicts for all recipients have come: logs them. Returns whether one of them
 * was the server's word on the mail.
 */
bool flight_answer(struct engine *e, struct flight *f, const struct smtp_verdict *verdicts, uint64_t now_ms);
const char *flight_outcome_name(enum smtp_outcome outcome); /* "accepted", "deferred", ... */
/* Counts a try of all recipients that have no verdict, the last for each if <useless>. One line says for how
 * many it was the last. Returns whether there was one to count.
 */
bool flight_charge(struct engine *e, struct flight *f, const char *why, bool useless, uint64_t now_ms);
/* All recipients of <env>, which no connection has, leave the queue with <fate>: counted, logged and
 * settled.
 */
void flight_give_up(struct engine *e, struct queue_envelope *env, enum engine_fate fate, const char *why,
                    uint64_t now_ms);
/* The pause of an alert before its next try after <attempts> (1 and up), in milliseconds. */
uint32_t flight_backoff(uint64_t id, unsigned attempts);

/* connection.c. A connection to <m> with client and wire, and nothing else; NULL without memory.
 * <dialogue>: as in smtp_client_settings.
 */
struct connection *connection_open(struct mailer *m, enum smtp_tls tls, struct buffer *dialogue, uint64_t now_ms);
void connection_close(struct connection *c);
/* A connection to <m> that has taken a mail, or is to probe it; NULL when there was none to take, or no
 * memory.
 */
struct connection *connection_new(struct engine *e, struct mailer *m, uint64_t now_ms);
/* After each call into the client: takes its events, settles what was answered, submits what the queue has.
 */
void connection_run(struct engine *e, struct connection *c, uint64_t now_ms);
void connection_tick(struct engine *e, struct connection *c, uint64_t now_ms);
/* The process ends: one without a mail, and on which none can be said yet, is cut. */
void connection_drain(struct connection *c, uint64_t now_ms);
/* Ends the session if it was not over, settles everything and frees. */
void connection_free(struct engine *e, struct connection *c, uint64_t now_ms);
/* When it must be ticked. */
uint64_t connection_deadline(const struct connection *c);

#endif
