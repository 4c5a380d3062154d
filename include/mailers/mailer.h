/*
 * mailer - one mail server: its settings, its health, its connections and when it is tried again.
 *
 * A failure of the mailer starts a pause, which grows with each failure in a row. After it the mailer is
 * tried by one connection at a time, beside those that still work, until a mail on a connection that was
 * opened after the pause gets a verdict of whatever kind. Connections that were opened before prove nothing
 * any more, neither way: those that fail together are one failure, and those that go on do not open the
 * door to a server that turns new connections away.
 *
 * What waits for a mailer is the queue's; what is said to it is smtp_client's.
 */
#ifndef MAILERS_MAILER_H
#define MAILERS_MAILER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mailers/queue.h>
#include <mailers/sasl.h>
#include <mailers/smtp_client.h>
#include <mailers/wire.h>

#define MAILER_RETRIES          3      /* tries of one alert after its first */
#define MAILER_MAXCONN          4      /* connections at once */
#define MAILER_FALL             3      /* failures in a row until it is down */
#define MAILER_RISE             2      /* successful probes in a row until it is up again */
#define MAILER_INTER_MS         10000  /* between the probes of a mailer that is down */
/* A connection that waits for the reply to its final dot for longer than timeout_mail no longer counts
 * against maxconn, or a few slow replies would hold every lane. So many of them may be, which is what the
 * descriptors of a host bear for a mailer.
 */
#define MAILER_LINGER_MAX       16
#define MAILER_TIMEOUT_MAIL_MS  10000  /* HAProxy's default of `timeout mail` */
/* RFC 5321 4.5.3.2.6 asks for 10 minutes, as a mail that is given up too early may arrive twice; servers
 * answer within the half of it.
 */
#define MAILER_TIMEOUT_FINAL_MS 300000
#define MAILER_TIMEOUT_QUIT_MS  5000
/* How long HELO alone is said after a refused EHLO. Not for ever: a server that was being restarted may
 * look as if it refused.
 */
#define MAILER_HELO_MS          600000

/* The strings are copied, sni and verifyhost too. What wire.api, wire.context and credentials point to is the host's
 * and must outlive the engine; equal ones are one object, as mailer_same() compares their addresses.
 */
struct mailer_settings {
	const char *name;    /* for logs: the id of its `mailer` line */
	const char *address; /* HAProxy's address text, port included */
	const char *helo;    /* our name */
	uint32_t timeout_connect_ms; /* until engine_connected(); 0: timeout_mail_ms, which counts from then too */
	uint32_t timeout_mail_ms, timeout_final_ms, timeout_quit_ms;
	unsigned maxconn;    /* 1 or more */
	enum smtp_tls tls;
	struct wire_tls wire; /* zero: no TLS can be had, <tls> is NONE then; sni and verifyhost are copied */
	const struct sasl_credentials *credentials; /* NULL: no AUTH */
	unsigned mechanisms; /* SASL_BIT()s; 0: all */
	bool auth_without_tls;
	unsigned without;    /* SMTP_CLIENT_NO_* */
	unsigned fall, rise; /* 0: MAILER_FALL, MAILER_RISE */
	uint32_t inter_ms;   /* 0: MAILER_INTER_MS */
	bool backup;         /* ENGINE_MODE_FAILOVER: after those that are none; without effect in ENGINE_MODE_ALL */
};

struct mailer {
	struct mailer_settings settings; /* its strings are the mailer's own copies */
	struct queue_ring ring;          /* routes to this mailer with something ready */
	struct mailer *next;             /* the owner's list */
	unsigned active;                 /* connections that count against maxconn */
	unsigned lingering;              /* connections that only wait for the reply to a final dot */
	unsigned sessions;               /* of the active ones: those whose session is not over */
	unsigned failures;               /* in a row; 0 without trouble */
	uint64_t paused_until_ms;        /* no connection is opened before; 0 without trouble */
	bool trying;                     /* in trouble: the one connection since the pause is open ... */
	uint64_t trying_since_ms;        /* ... and was opened then */
	uint64_t helo_until_ms;          /* it refused EHLO; 0: it never did */
};

/* A mailer with copies of all of <settings>; NULL without memory. */
struct mailer *mailer_new(const struct mailer_settings *settings);
void mailer_free(struct mailer *m);

/* Would connections to both be the same? Address, HELO name, time-outs and maxconn are equal; names may
 * differ.
 */
bool mailer_same(const struct mailer *m, const struct mailer_settings *settings);

/* May one connection more be opened now? */
bool mailer_may_connect(const struct mailer *m, uint64_t now_ms);

/* A connection is opened. Its caller keeps <now_ms> as the connection's <opened_ms>. */
void mailer_opened(struct mailer *m, uint64_t now_ms);
/* It waits long for the reply to its final dot: does it make room for others? False when too many do. */
bool mailer_linger(struct mailer *m, uint64_t opened_ms);
/* Its session is over; <lingering>: mailer_linger() said true. */
void mailer_ended(struct mailer *m, bool lingering);
/* It is closed, after its session ended. */
void mailer_closed(struct mailer *m, uint64_t opened_ms, bool lingering);

/* A session failed and it was the mailer's fault. Returns the milliseconds until the next try. */
uint32_t mailer_failed(struct mailer *m, uint64_t opened_ms, uint64_t now_ms);
/* A mail got a verdict. */
void mailer_works(struct mailer *m, uint64_t opened_ms);

/* It refused EHLO. Returns whether that is new. */
bool mailer_refuses_ehlo(struct mailer *m, uint64_t now_ms);
/* Is HELO to be said at once? */
bool mailer_helo_only(const struct mailer *m, uint64_t now_ms);

/* The pause in milliseconds after <n> tries (1 and up) that did not succeed. */
uint32_t mailer_pause(unsigned n);

#endif
