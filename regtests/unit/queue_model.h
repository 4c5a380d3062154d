/*
 * queue_model - a plain model of the queue: arrays that are searched from end to end. Slow, and too simple
 * to be wrong in the same way. test_queue_model.c takes its steps.
 */
#ifndef QUEUE_MODEL_H
#define QUEUE_MODEL_H

#include <mailers/queue.h>

#include "unit.h"

enum {
	RINGS = 3, ROUTES = 4, SERVERS = 6, RCPTS = 3, LANES = ROUTES * SERVERS * RCPTS,
	STEPS = 10000, ALERTS = STEPS, FLIGHTS = 12,
};

enum cell { CELL_NONE = 0, CELL_WAITS, CELL_FLIES, CELL_DONE, CELL_DROPPED };

struct model_alert {
	size_t route, server, len;
	uint64_t raised_ms;
	enum alert_kind kind;
	enum cell cells[RCPTS];
	unsigned attempts[RCPTS], pins[RCPTS];
	bool folded;                         /* in the fold that is looked at */
	uint64_t batch;
	struct queue_alert *held;            /* a reference while it is held */
};

struct model {
	struct queue *q;
	struct queue_ring rings[RINGS];
	struct queue_route *routes[ROUTES];
	size_t nrcpt[ROUTES], bytes[ROUTES]; /* of each of the route's alerts, without its text */
	size_t nrings[ROUTES], flies[ROUTES];
	struct queue_limits limits;
	struct model_alert alerts[ALERTS];   /* oldest first */
	size_t nalerts, first;               /* those before <first> are over */
	uint64_t first_id;                   /* queue_alert.id of alerts[0] */
	uint64_t until[LANES];               /* the lane's head waits; 0: it does not */
	bool held[LANES];                    /* and for no reason of its own */
	const struct model_alert *heads[LANES]; /* when compare() looked last */
	struct queue_envelope *flying[FLIGHTS];
	size_t nflying;
	size_t ndone, ndropped[2], nrcpt_dropped, nfolds, nexpired, nnomem, npinned, nfreed, nunheld;
	uint64_t now, random;
};

static const char *const rcpts[RCPTS] = { "a@example.com", "b@example.com", "c@example.com" };
static const char text[] = "the text of an alert";

static inline uint64_t draw(struct model *m, uint64_t n)
{
	m->random ^= m->random << 13;
	m->random ^= m->random >> 7;
	m->random ^= m->random << 17;
	return m->random % n;
}

/* Index of a route's ring <pin>. Routes 0 and 1 have one ring, the others all. */
static inline size_t ring_of(size_t route, unsigned pin)
{
	return (route + pin) % RINGS;
}

static inline size_t lane_of(size_t route, size_t server, size_t rcpt)
{
	return (route * SERVERS + server) * RCPTS + rcpt;
}

static inline bool open_cell(enum cell cell)
{
	return cell == CELL_WAITS || cell == CELL_FLIES;
}

static inline bool open_alert(const struct model_alert *a)
{
	return open_cell(a->cells[0]) || open_cell(a->cells[1]) || open_cell(a->cells[2]);
}

static inline bool flies(const struct model_alert *a)
{
	return a->cells[0] == CELL_FLIES || a->cells[1] == CELL_FLIES || a->cells[2] == CELL_FLIES;
}

static inline struct model_alert *alert_of(struct model *m, const struct queue_alert *alert)
{
	return &m->alerts[alert->id - m->first_id];
}

static inline size_t rcpt_of(const struct queue_envelope *env, size_t i)
{
	size_t rcpt;

	for (rcpt = 0; strcmp(env->rcpt[i], rcpts[rcpt]); rcpt++)
		assert_true(rcpt < RCPTS - 1);
	return rcpt;
}

/* The oldest alert that is open in a lane; NULL for an empty lane. */
static inline struct model_alert *head(struct model *m, size_t route, size_t server, size_t rcpt)
{
	size_t i;

	for (i = m->first; i < m->nalerts; i++) {
		struct model_alert *a = &m->alerts[i];

		if (a->route == route && a->server == server && open_cell(a->cells[rcpt]))
			return a;
	}
	return NULL;
}

static inline bool is_head(struct model *m, const struct model_alert *a, size_t rcpt)
{
	return head(m, a->route, a->server, rcpt) == a;
}

static inline bool ready(struct model *m, const struct model_alert *a, size_t rcpt)
{
	return a->cells[rcpt] == CELL_WAITS && !m->until[lane_of(a->route, a->server, rcpt)] &&
	       is_head(m, a, rcpt);
}

/* Lanes that have come to an alert that is held wait without end. */
static inline void go_on(struct model *m, size_t route, size_t server, size_t rcpt)
{
	size_t lane = lane_of(route, server, rcpt);
	const struct model_alert *a = head(m, route, server, rcpt);

	if (a && a != m->heads[lane] && a->held && a->cells[rcpt] == CELL_WAITS) {
		m->until[lane] = UINT64_MAX;
		m->held[lane] = true;
	}
	m->heads[lane] = a;
}

static inline void compare_route(struct model *m, size_t route, size_t *alerts)
{
	struct queue_route_stats stats;
	size_t own = 0, in_flight = 0, bytes = 0, i, rcpt;
	uint64_t oldest_ms = UINT64_MAX;

	for (i = m->first; i < m->nalerts; i++) {
		const struct model_alert *a = &m->alerts[i];

		if (a->route != route || !open_alert(a))
			continue;
		if (!own++)
			oldest_ms = a->raised_ms;
		bytes += m->bytes[route] + a->len;
		for (rcpt = 0; rcpt < RCPTS; rcpt++)
			in_flight += a->cells[rcpt] == CELL_FLIES;
	}
	queue_route_stats(m->routes[route], &stats);
	assert_int_equal(stats.alerts, own);
	assert_int_equal(stats.bytes, bytes);
	assert_int_equal(stats.in_flight, in_flight);
	assert_int_equal(stats.oldest_ms, oldest_ms);
	*alerts = own;
}

/* The queue's counts are the model's. */
static inline void compare(struct model *m)
{
	size_t ring_ready[RINGS] = { 0 }, ring_alerts[RINGS] = { 0 }, lanes = 0, alerts = 0;
	size_t route, server, rcpt, own, i;
	uint64_t deadline = UINT64_MAX;

	while (m->first < m->nalerts && !open_alert(&m->alerts[m->first]))
		m->first++;
	for (route = 0; route < ROUTES; route++) {
		for (server = 0; server < SERVERS; server++) {
			for (rcpt = 0; rcpt < m->nrcpt[route]; rcpt++) {
				const struct model_alert *a = head(m, route, server, rcpt);
				uint64_t until;

				go_on(m, route, server, rcpt);
				until = m->until[lane_of(route, server, rcpt)];
				lanes += a != NULL;
				if (a && ready(m, a, rcpt))
					ring_ready[ring_of(route, a->pins[rcpt])]++;
				if (a && until && until < deadline)
					deadline = until;
			}
		}
		compare_route(m, route, &own);
		ring_alerts[ring_of(route, 0)] += own;
		alerts += own;
	}
	assert_int_equal(queue_lanes(m->q), lanes);
	assert_int_equal(queue_alerts(m->q), alerts);
	assert_int_equal(queue_deadline(m->q), deadline);
	for (i = 0; i < RINGS; i++) {
		assert_int_equal(m->rings[i].ready, ring_ready[i]);
		assert_int_equal(m->rings[i].alerts, ring_alerts[i]);
	}
}

#endif
