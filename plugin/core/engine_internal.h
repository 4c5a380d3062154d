/*
 * engine_internal - what engine.c, connection.c and engine_log.c share; nobody else includes it.
 */
#ifndef CORE_ENGINE_INTERNAL_H
#define CORE_ENGINE_INTERNAL_H

#include <stdarg.h>

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
	uint64_t burst_ms;          /* when the last of them was */
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
	bool submitted, answered;       /* answered: the envelope's verdicts are filled */
};

/* One mail waits for its final reply while the next one's envelope is on the way. */
#define CONNECTION_FLIGHTS 2

struct connection {
	struct mailer *mailer;
	struct smtp_client *client;
	struct flight flights[CONNECTION_FLIGHTS];
	uint64_t final_since_ms;        /* when it began to wait for the reply to a final dot; 0 when not */
	enum mailers_error error;       /* why the session failed */
	char reason[400];               /* of the failure, printable */
	bool failed;                    /* the session failed and it was the mailer's fault */
	bool ended;                     /* the session is over, in whatever way */
	bool lingering;                 /* counted in mailer.lingering, not in mailer.active */
	bool expired;                   /* ended by its deadline: the host must be told */
};

struct engine {
	struct queue *queue;
	struct queue_limits limits;
	struct engine_proxy *proxies;
	struct mailer *mailers;
	struct mailer *next_mailer;     /* where engine_connect() goes on */
	struct connection **slots;
	size_t nslots, nconnections;
	char *token;
	struct engine_stats stats;
	struct {
		struct engine_log_line *lines[ENGINE_LOG_LINES]; /* a ring */
		size_t first, count;
		size_t lost;
	} log;
};

/* engine_log.c */
void engine_vlog(struct engine *e, enum alert_level level, const char *format, va_list ap);
void engine_log_free(struct engine *e);

/* connection.c: a connection to <m> that has taken a mail; NULL when there was none to take, or no memory. */
struct connection *connection_new(struct engine *e, struct mailer *m, uint64_t now_ms);
/* Takes the client's events, settles what was answered, submits what the queue has. After each call into the client. */
void connection_run(struct engine *e, struct connection *c, uint64_t now_ms);
void connection_tick(struct engine *e, struct connection *c, uint64_t now_ms);
/* Ends the session if it was not over, settles everything and frees. */
void connection_free(struct engine *e, struct connection *c, uint64_t now_ms);
uint64_t connection_deadline(const struct connection *c);

#endif
