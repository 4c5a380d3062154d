/*
 * mailer - one mail server: its settings, its health, its connections and when it is tried again.
 *
 * A mailer in trouble (its last connection failed) is tried by one connection at a time, after a pause that grows with
 * each failure in a row; the first verdict on a mail, of whatever kind, ends the trouble. What waits for a mailer is
 * the queue's; what is said to it is smtp_client's.
 */
#ifndef MAILERS_MAILER_H
#define MAILERS_MAILER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mailers/queue.h>

#define MAILER_RETRIES     3      /* tries of one alert after its first */
#define MAILER_MAXCONN     4      /* connections at once */
/* A connection that waits for the reply to its final dot for longer than timeout_mail no longer counts
 * against maxconn, or a few slow replies would hold every lane; so many of them may be. */
#define MAILER_LINGER_MAX  16
#define MAILER_TIMEOUT_MAIL_MS  10000  /* HAProxy's default of `timeout mail` */
#define MAILER_TIMEOUT_FINAL_MS 300000 /* RFC 5321 4.5.3.2.6 says 10 minutes; the issue of duplicates ends well before */
#define MAILER_TIMEOUT_QUIT_MS  5000

struct mailer_settings {
	const char *name;    /* for logs: the id of its `mailer` line */
	const char *address; /* HAProxy's address text, port included */
	const char *helo;    /* our name */
	uint32_t timeout_mail_ms, timeout_final_ms, timeout_quit_ms;
	unsigned maxconn;
};

struct mailer {
	struct mailer_settings settings; /* its strings are the mailer's own copies */
	struct queue_ring ring;          /* routes to this mailer with something ready */
	struct mailer *next;             /* the owner's list */
	unsigned active;                 /* connections that count against maxconn */
	unsigned lingering;              /* connections that only wait for the reply to a final dot */
	unsigned failures;               /* in a row */
	uint64_t paused_until_ms;        /* no connection is opened before; 0 without trouble */
	bool helo_only;                  /* it refused EHLO */
};

/* A mailer with copies of all of <settings>; NULL without memory. */
struct mailer *mailer_new(const struct mailer_settings *settings);
void mailer_free(struct mailer *m);

/* Would connections to both be the same? Address, HELO name, time-outs and maxconn are equal; names may differ. */
bool mailer_same(const struct mailer *m, const struct mailer_settings *settings);

/* May one connection more be opened now? */
bool mailer_may_connect(const struct mailer *m, uint64_t now_ms);

/* A session failed and it was the mailer's fault. Several connections that fail during one pause are one failure. Returns
 * the milliseconds until the next try. */
uint32_t mailer_failed(struct mailer *m, uint64_t now_ms);
/* A mail got a verdict: the mailer works. */
void mailer_works(struct mailer *m);

/* The pause in milliseconds after <n> tries (1 and up) that did not succeed. */
uint32_t mailer_pause(unsigned n);

#endif
