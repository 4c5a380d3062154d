/*
 * engine_internal - what the files of the engine share; nobody else includes it.
 *
 *   engine.c      what a host sees: proxies, mailers, the queue, the table of connections
 *   connection.c  one connection: moves mails of the queue into an smtp_client, and its trouble to the mailer
 *   flight.c      one mail on a connection, and what becomes of each of its recipients
 *   engine_log.c  the lines for the host's log
 */
#ifndef CORE_ENGINE_INTERNAL_H
#define CORE_ENGINE_INTERNAL_H

#include <mailers/buffer.h>
#include <mailers/engine.h>
#include <mailers/smtp_client.h>

/* A proxy's way to one mailer, the owner of a queue_route. */
struct engine_route {
	struct engine_route *next;
	struct engine_proxy *proxy;
	struct mailer *mailer;
	struct queue_route *queue;
	char *mailer_name;          /* the mailer's id in this proxy, printable */
	size_t burst;               /* alerts dropped since the last line about it */
	uint64_t burst_first_ms, burst_last_ms; /* when the first and the last of them was */
};

struct engine_proxy {
	struct engine_proxy *next;
	char *name;                 /* printable */
	char *from, *to;            /* header values */
	char *sender;               /* reverse-path */
	char **rcpt;
	size_t nrcpt;
	enum alert_level level;
	struct engine_route *routes;
};

/* A mail on a connection: taken from the queue, submitted as soon as the client accepts it. */
struct flight {
	struct queue_envelope *env;     /* NULL while the place is free */
	struct buffer message;
	unsigned number;                /* of its connection's mails, in the order of their taking */
	bool submitted, answered;       /* answered: the envelope's verdicts are filled, it waits to be settled */
	bool unknown;                   /* whether it was accepted */
};

/* One mail waits for its final reply while the next one's envelope is on the way. */
#define CONNECTION_FLIGHTS 2

struct connection {
	struct mailer *mailer;
	struct smtp_client *client;
	struct flight flights[CONNECTION_FLIGHTS];
	uint64_t id;                    /* never used again */
	unsigned taken;                 /* mails so far */
	uint64_t opened_ms;
	uint64_t final_since_ms;        /* when it began to wait for the reply to a final dot; 0 when not */
	char reason[400];               /* why the session failed, printable */
	bool established;               /* mails could be submitted */
	bool failed;                    /* the session failed and it was the mailer's fault */
	bool charged;                   /* ... and a mail was charged for it */
	bool ended;                     /* the session is over, in whatever way; nothing is in flight any more */
	bool lingering;                 /* counted in mailer.lingering, not in mailer.active */
	uint64_t ended_ms;              /* when it ended, or the host was last told to release it */
	bool expired;                   /* ended by its deadline, or long ago: the host must be told */
};

struct engine {
	struct queue *queue;
	struct queue_limits limits;
	struct engine_proxy *proxies;
	struct mailer *mailers;
	struct mailer *next_mailer;     /* where engine_connect() goes on */
	uint64_t retry_ms;              /* memory was short: engine_connect() is worth a call again then */
	struct connection **slots;
	uint64_t last_id;               /* of a connection */
	size_t nslots, nconnections;
	char *token;
	struct engine_stats stats;
	struct {
		struct engine_log_line *lines[ENGINE_LOG_LINES]; /* a ring */
		size_t first, count;
		size_t lost;
	} log;
};

/* engine_log.c; engine_log() stands in the public header. */
void engine_log_free(struct engine *e);

/* flight.c. Takes the next mail for <m> and builds it; false when there is none, or no memory (it is still
 * queued then).
 */
bool flight_take(struct engine *e, struct flight *f, struct mailer *m);
const struct engine_route *flight_route(const struct flight *f);
/* The client's verdicts for all recipients have come: logs them. Returns whether one of them was the server's
 * word on the mail.
 */
bool flight_answer(struct engine *e, struct flight *f, const struct smtp_verdict *verdicts, uint64_t now_ms);
/* The client did not take it. */
void flight_reject(struct engine *e, struct flight *f, enum mailers_error error, uint64_t now_ms);
/* Gives the mail back to the queue. <failure>: why a try is charged for what has no verdict; NULL: none is.
 * Returns whether one was.
 */
bool flight_settle(struct engine *e, struct flight *f, const char *failure, uint64_t now_ms);

/* connection.c. A connection to <m> that has taken a mail; NULL when there was none to take, or no memory. */
struct connection *connection_new(struct engine *e, struct mailer *m, uint64_t now_ms);
/* After each call into the client: takes its events, settles what was answered, submits what the queue has. */
void connection_run(struct engine *e, struct connection *c, uint64_t now_ms);
void connection_tick(struct engine *e, struct connection *c, uint64_t now_ms);
/* Ends the session if it was not over, settles everything and frees. */
void connection_free(struct engine *e, struct connection *c, uint64_t now_ms);
/* When it must be ticked. */
uint64_t connection_deadline(const struct connection *c);

#endif
