/*
 * mailer - one mail server: its settings, its health, its connections and when it is tried again.
 *
 *   UP       connections up to maxconn
 *   FAILING  the last session failed: after MAILER_RETRY_MS one connection at a time, until a mail on it gets a
 *            verdict of whatever kind (UP), or <fall> sessions in a row have failed (DOWN)
 *   DOWN     one connection each <inter> probes it. A session that gets as far as READY is a success; <rise> of
 *            them in a row: UP
 *
 * Sessions that were open already when one failed prove nothing any more, neither way: those that fail
 * together are one failure, and those that go on do not open the door to a server that turns new
 * connections away. But while one of them still works, a failure only pauses: a server's limit on
 * connections is no outage.
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

#define MAILER_MAXCONN          4      /* connections at once */
#define MAILER_RETRY_MS         1000   /* after a failure, before it is down */
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
#define MAILER_PLAIN_MS         600000 /* between two lines about TLS that could not be had */
#define MAILER_PLAIN_SOON_MS    5000   /* how long the connection without it may take to come */

/* The strings are copied, sni and verifyhost too. What wire.api, wire.context and credentials point to is
 * the host's and must outlive the engine; equal ones are one object, as mailer_same() compares their
 * addresses.
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

enum mailer_state { MAILER_UP = 0, MAILER_FAILING, MAILER_DOWN };

/* What a mailer remembers of a connection to it; zero at first, its owner's memory. */
struct mailer_session {
	unsigned epoch;  /* the mailer's, when it was opened */
	bool trying;     /* in trouble: the one connection that is allowed */
	bool ready;      /* mails can be submitted */
	bool ended;
	bool lingering;  /* counted in mailer.lingering, not in mailer.active */
};

/* Why a session failed. */
enum mailer_trouble {
	MAILER_TROUBLE_CONNECT = 0, /* no connection */
	MAILER_TROUBLE_TLS,         /* STARTTLS, handshake or certificate; also when it went on without */
	MAILER_TROUBLE_AUTH,
	MAILER_TROUBLE_SMTP,        /* anything else that the server did or did not */
	MAILER_TROUBLE_LOCAL,       /* memory was short here */
	MAILER_TROUBLES
};

#define MAILER_OUTCOMES  5  /* of a mail, as in enum smtp_outcome */
#define MAILER_FATES     5  /* of a recipient, as in the engine */
#define MAILER_LATENCIES 20 /* steps of the delivery times, the last without an end */

/* What went over a mailer since the start. */
struct mailer_counts {
	uint64_t connections;                 /* opened */
	uint64_t troubles[MAILER_TROUBLES];   /* sessions that failed */
	uint64_t mails[MAILER_OUTCOMES];      /* by the best that a recipient of it met */
	uint64_t recipients[MAILER_FATES];    /* one for each alert of a mail */
	uint64_t latencies[MAILER_LATENCIES]; /* of the accepted ones: time since the alert was raised */
	uint64_t latency_ms;                  /* their sum */
};

struct mailer_token;

struct mailer {
	struct mailer_settings settings; /* its strings are the mailer's own copies, its numbers not 0 */
	struct queue_ring ring;          /* routes to this mailer alone with something ready */
	struct queue_ring **rings;       /* where it takes from: its own and those of its groups, see mailer_rings() */
	size_t nrings, rings_size;
	size_t turn;                     /* of <rings>: where it goes on */
	struct mailer *next;             /* the owner's list */
	unsigned number;                 /* 1 and up: of those of the same name and address in the list */

	unsigned active;                 /* connections that count against maxconn */
	unsigned lingering;              /* connections that only wait for the reply to a final dot */
	unsigned sessions;               /* of the active ones: those whose session is not over */
	unsigned ready;                  /* of these: those on which mails can be submitted */

	enum mailer_state state;
	unsigned epoch;                  /* failures so far */
	unsigned failures, successes;    /* in a row; successes: of probes */
	uint64_t paused_until_ms;        /* no connection is opened before; 0 without trouble */
	uint64_t since_ms;               /* of the state UP or DOWN */
	bool trying;                     /* not UP: the one connection is open */
	bool suspended;                  /* by command: no connection is opened */
	bool hurried;                    /* the process ends: tried each MAILER_RETRY_MS, whatever its state */
	uint64_t helo_until_ms;          /* it refused EHLO; 0: it never did */

	unsigned plain;                  /* connections to open without TLS, each for one that could not have it ... */
	uint64_t plain_until_ms;         /* ... soon: after that TLS is tried anew */
	uint64_t plain_said_ms;          /* when that was said last; 0: never */
	struct mailer_token *token;      /* in place of the one in the settings; NULL: none was set */
	bool token_refused;              /* and nobody was asked for another yet */

	char error[400];                 /* why a session failed last, printable; "" when none ever did */
	uint64_t error_ms;
	struct mailer_counts counts;
	size_t in_flight;                /* recipients on its connections */
};

/* A mailer with copies of all of <settings>; NULL without memory. */
struct mailer *mailer_new(const struct mailer_settings *settings);
void mailer_free(struct mailer *m);

/* Would connections to both be the same? All but <name> and <backup> is equal. */
bool mailer_same(const struct mailer *m, const struct mailer_settings *settings);

/* Makes room for <n> rings more than its own; false without memory. */
bool mailer_reserve(struct mailer *m, size_t n);
/* Its own ring alone from now on, then rings that were reserved. */
void mailer_rings(struct mailer *m);
void mailer_ring_add(struct mailer *m, struct queue_ring *ring);
/* Is something ready in one of its rings? */
bool mailer_has_work(const struct mailer *m);
/* The next of its rings that has something ready, by turns; NULL without one. */
struct queue_ring *mailer_next_ring(struct mailer *m);

/* May one connection more be opened now? When DOWN it is a probe: it takes a mail only once it is READY. */
bool mailer_may_connect(const struct mailer *m, uint64_t now_ms);
/* Is it neither down nor suspended, nor waiting for MAILER_LINGER_MAX replies? */
bool mailer_usable(const struct mailer *m);

/* The life of a connection: opened, ready (or not), at last ended, and closed. ready(), failed() and
 * works() return true when the mailer went DOWN or came UP from it by this.
 */
void mailer_opened(struct mailer *m, struct mailer_session *s);
/* READY. */
bool mailer_ready(struct mailer *m, struct mailer_session *s, uint64_t now_ms);
/* It waits long for the reply to its final dot: does it make room for others? False when too many do. */
bool mailer_linger(struct mailer *m, struct mailer_session *s);
/* A mail got a verdict. */
void mailer_works(struct mailer *m, struct mailer_session *s);
/* The session is over; no-op when it was told before. */
void mailer_ended(struct mailer *m, struct mailer_session *s);
/* It failed, after it ended, and it was the mailer's fault. */
bool mailer_failed(struct mailer *m, struct mailer_session *s, uint64_t now_ms);
/* It failed for want of memory: a pause, and nobody's fault. */
void mailer_faltered(struct mailer *m, uint64_t now_ms);
/* It is closed, after it ended. */
void mailer_closed(struct mailer *m, struct mailer_session *s);

/* The next connection may be opened at once. */
void mailer_hurry(struct mailer *m);
/* Milliseconds until the next connection may be opened. */
uint32_t mailer_pause(const struct mailer *m, uint64_t now_ms);

/* TLS that is merely opportunistic could not be had: the next connection goes without. Returns whether that
 * is to be said: once in MAILER_PLAIN_MS.
 */
bool mailer_goes_plain(struct mailer *m, uint64_t now_ms);
/* The kind of TLS of the connection that is opened now. */
enum smtp_tls mailer_tls(struct mailer *m, uint64_t now_ms);

/* Credentials with a token of their own, counted: an attempt may still use one that was replaced. */
struct mailer_token {
	unsigned refs;
	struct sasl_credentials credentials;
	size_t size; /* of the text */
	char text[];
};
/* Takes a copy of <text> as the mailer's token; false without memory: the old one stays. */
bool mailer_token_set(struct mailer *m, const char *text);
/* What its sessions use; the second NULL when that is the settings' own. A reference to *<token> is taken. */
const struct sasl_credentials *mailer_credentials(struct mailer *m, struct mailer_token **token);
/* Gives a reference back, and wipes the token with the last; NULL is a no-op. */
void mailer_token_release(struct mailer_token *token);

/* It refused EHLO. Returns whether that is new. */
bool mailer_refuses_ehlo(struct mailer *m, uint64_t now_ms);
/* Is HELO to be said at once? Never when EHLO alone can give what the settings demand: STARTTLS, AUTH. */
bool mailer_helo_only(const struct mailer *m, uint64_t now_ms);

const char *mailer_state_name(enum mailer_state state); /* "UP", "FAILING", "DOWN"; static */

#endif
