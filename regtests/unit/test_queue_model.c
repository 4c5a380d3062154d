/* The queue beside a plain model of it, under many random steps: same order in each lane, at most one
 * alert of a lane in flight, each alert done once for each recipient or dropped, the same counts always.
 *
 * The model is arrays that are searched from end to end: slow, and too simple to be wrong in the same way.
 */
#include <mailers/queue.h>

#include "unit.h"

enum {
	RINGS = 2, ROUTES = 4, SERVERS = 6, RCPTS = 3, LANES = ROUTES * SERVERS * RCPTS,
	STEPS = 10000, ALERTS = STEPS, FLIGHTS = 12,
};

enum cell { CELL_NONE = 0, CELL_WAITS, CELL_FLIES, CELL_DONE, CELL_DROPPED };

struct model_alert {
	size_t route, server;
	enum alert_kind kind;
	enum cell cells[RCPTS];
	unsigned attempts[RCPTS];
};

struct model {
	struct queue *q;
	struct queue_ring rings[RINGS];
	struct queue_route *routes[ROUTES];
	size_t nrcpt[ROUTES], bytes[ROUTES]; /* of each of the route's alerts */
	struct queue_limits limits;
	struct model_alert alerts[ALERTS];   /* oldest first */
	size_t nalerts, first;               /* those before <first> are over */
	uint64_t first_id;                   /* queue_alert.id of alerts[0] */
	uint64_t until[LANES];               /* the lane's head waits; 0: it does not */
	struct queue_envelope *flying[FLIGHTS];
	size_t nflying;
	size_t ndone, ndropped[2];
	uint64_t now, random;
};

static const char *const rcpts[RCPTS] = { "a@example.com", "b@example.com", "c@example.com" };

static uint64_t draw(struct model *m, uint64_t n)
{
	m->random ^= m->random << 13;
	m->random ^= m->random >> 7;
	m->random ^= m->random << 17;
	return m->random % n;
}

static size_t lane_of(size_t route, size_t server, size_t rcpt)
{
	return (route * SERVERS + server) * RCPTS + rcpt;
}

static bool open_cell(enum cell cell)
{
	return cell == CELL_WAITS || cell == CELL_FLIES;
}

static bool open_alert(const struct model_alert *a)
{
	return open_cell(a->cells[0]) || open_cell(a->cells[1]) || open_cell(a->cells[2]);
}

/* The oldest alert that is open in a lane; NULL for an empty lane. */
static struct model_alert *head(struct model *m, size_t route, size_t server, size_t rcpt)
{
	size_t i;

	for (i = m->first; i < m->nalerts; i++) {
		struct model_alert *a = &m->alerts[i];

		if (a->route == route && a->server == server && open_cell(a->cells[rcpt]))
			return a;
	}
	return NULL;
}

static bool ready(struct model *m, const struct model_alert *a, size_t rcpt)
{
	return a->cells[rcpt] == CELL_WAITS && !m->until[lane_of(a->route, a->server, rcpt)] &&
	       head(m, a->route, a->server, rcpt) == a;
}

/* The queue's counts are the model's. */
static void compare(struct model *m)
{
	size_t ring_ready[RINGS] = { 0 }, ring_alerts[RINGS] = { 0 }, lanes = 0, alerts = 0;
	size_t route, server, rcpt, i;
	uint64_t deadline = UINT64_MAX;

	while (m->first < m->nalerts && !open_alert(&m->alerts[m->first]))
		m->first++;
	for (route = 0; route < ROUTES; route++) {
		struct queue_route_stats stats;
		size_t own = 0, in_flight = 0;

		for (i = m->first; i < m->nalerts; i++) {
			if (m->alerts[i].route != route || !open_alert(&m->alerts[i]))
				continue;
			own++;
			for (rcpt = 0; rcpt < RCPTS; rcpt++)
				in_flight += m->alerts[i].cells[rcpt] == CELL_FLIES;
		}
		for (server = 0; server < SERVERS; server++) {
			for (rcpt = 0; rcpt < m->nrcpt[route]; rcpt++) {
				const struct model_alert *a = head(m, route, server, rcpt);
				uint64_t until = m->until[lane_of(route, server, rcpt)];

				lanes += a != NULL;
				ring_ready[route % RINGS] += a && ready(m, a, rcpt);
				if (a && until && until < deadline)
					deadline = until;
			}
		}
		queue_route_stats(m->routes[route], &stats);
		assert_int_equal(stats.alerts, own);
		assert_int_equal(stats.bytes, own * m->bytes[route]);
		assert_int_equal(stats.in_flight, in_flight);
		ring_alerts[route % RINGS] += own;
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

static void drop(struct model *m, struct model_alert *a)
{
	size_t rcpt;

	for (rcpt = 0; rcpt < m->nrcpt[a->route]; rcpt++) {
		if (a->cells[rcpt] != CELL_WAITS)
			continue;
		if (head(m, a->route, a->server, rcpt) == a)
			m->until[lane_of(a->route, a->server, rcpt)] = 0;
		a->cells[rcpt] = CELL_DROPPED;
	}
	m->ndropped[a->kind]++;
}

/* Drops the oldest of <kind> that flies nowhere and is not <added>. */
static bool drop_oldest(struct model *m, const struct model_alert *added, enum alert_kind kind)
{
	size_t i;

	for (i = m->first; i < m->nalerts; i++) {
		struct model_alert *a = &m->alerts[i];

		if (a != added && a->route == added->route && a->kind == kind && open_alert(a) &&
		    a->cells[0] != CELL_FLIES && a->cells[1] != CELL_FLIES && a->cells[2] != CELL_FLIES) {
			drop(m, a);
			return true;
		}
	}
	return false;
}

/* What the bound makes of <added>, which the model holds already: the alerts dropped. */
static size_t trim(struct model *m, struct model_alert *added)
{
	size_t dropped = 0, own, i;

	for (;; dropped++) {
		for (own = 0, i = m->first; i < m->nalerts; i++)
			own += m->alerts[i].route == added->route && open_alert(&m->alerts[i]);
		if (own <= m->limits.alerts || !open_alert(added))
			return dropped;
		if (!drop_oldest(m, added, ALERT_KIND_CHECK) &&
		    (added->kind == ALERT_KIND_CHECK || !drop_oldest(m, added, ALERT_KIND_STATE)))
			drop(m, added);
	}
}

/* Makes an alert of the queue's for <a>. */
static struct queue_alert *alert_new(struct model *m, const struct model_alert *a)
{
	struct alert_text what = { .level = ALERT_LEVEL_ALERT, .kind = a->kind };

	return queue_alert_new(m->q, a->server, "be/s", &what, "text", 4, "date", m->now);
}

static void step_add(struct model *m)
{
	struct model_alert *a = &m->alerts[m->nalerts];
	struct queue_alert *alert;
	size_t rcpt, dropped = 0, expected;
	enum mailers_error error;

	a->route = draw(m, ROUTES);
	a->server = draw(m, SERVERS);
	a->kind = draw(m, 3) ? ALERT_KIND_STATE : ALERT_KIND_CHECK;
	for (rcpt = 0; rcpt < m->nrcpt[a->route]; rcpt++)
		a->cells[rcpt] = CELL_WAITS;
	alert = alert_new(m, a);
	assert_int_equal(alert->id, m->first_id + m->nalerts);
	m->nalerts++;
	expected = trim(m, a);
	error = queue_add(m->q, m->routes[a->route], alert, &dropped);
	queue_alert_release(alert);
	assert_int_equal(dropped, expected);
	assert_int_equal(error, open_alert(a) ? MAILERS_OK : MAILERS_ERR_BOUND);
}

static void step_take(struct model *m)
{
	size_t ring = draw(m, RINGS), route, i, rcpt, n = 0;
	struct queue_envelope *env;
	struct model_alert *a;

	if (m->nflying == FLIGHTS)
		return;
	env = queue_take(m->q, &m->rings[ring]);
	if (!env) {
		assert_int_equal(m->rings[ring].ready, 0); /* compare() sees to that number */
		return;
	}
	m->flying[m->nflying++] = env;
	a = &m->alerts[env->alert->id - m->first_id];
	route = a->route;
	assert_int_equal(route % RINGS, ring);
	assert_ptr_equal(env->route, m->routes[route]);
	for (rcpt = 0; rcpt < m->nrcpt[route]; rcpt++)
		n += ready(m, a, rcpt);
	assert_int_equal(env->nrcpt, n);
	for (i = 0; i < n; i++) {
		for (rcpt = 0; strcmp(env->rcpt[i], rcpts[rcpt]); rcpt++)
			;
		assert_true(ready(m, a, rcpt));
		assert_int_equal(env->attempts[i], a->attempts[rcpt]);
		a->cells[rcpt] = CELL_FLIES;
	}
}

static void step_settle(struct model *m, bool done)
{
	size_t which, i, rcpt;
	struct queue_envelope *env;
	struct model_alert *a;

	if (!m->nflying)
		return;
	which = draw(m, m->nflying);
	env = m->flying[which];
	m->flying[which] = m->flying[--m->nflying];
	a = &m->alerts[env->alert->id - m->first_id];
	for (i = 0; i < env->nrcpt; i++) {
		struct queue_verdict *v = &env->verdicts[i];

		for (rcpt = 0; strcmp(env->rcpt[i], rcpts[rcpt]); rcpt++)
			;
		assert_int_equal(a->cells[rcpt], CELL_FLIES);
		v->outcome = done ? QUEUE_DONE : (enum queue_outcome)draw(m, QUEUE_DONE + 1);
		v->until_ms = m->now + 1 + draw(m, 50);
		a->cells[rcpt] = v->outcome == QUEUE_DONE ? CELL_DONE : CELL_WAITS;
		m->ndone += v->outcome == QUEUE_DONE;
		if (v->outcome == QUEUE_DEFERRED) {
			m->until[lane_of(a->route, a->server, rcpt)] = v->until_ms;
			a->attempts[rcpt]++;
		}
	}
	queue_settle(m->q, env);
}

static void step_tick(struct model *m)
{
	size_t i;

	m->now += draw(m, 20);
	for (i = 0; i < LANES; i++) {
		if (m->until[i] <= m->now)
			m->until[i] = 0;
	}
	queue_tick(m->q, m->now);
}

/* Delivers what is left, and looks at the end of each alert. */
static void drain(struct model *m)
{
	size_t i, rcpt, done = 0, dropped = 0;

	while (queue_alerts(m->q)) {
		step_take(m);
		step_settle(m, true);
		step_tick(m);
	}
	compare(m);
	assert_int_equal(queue_lanes(m->q), 0);
	for (i = 0; i < m->nalerts; i++) {
		bool gone = false;

		for (rcpt = 0; rcpt < m->nrcpt[m->alerts[i].route]; rcpt++) {
			enum cell cell = m->alerts[i].cells[rcpt];

			assert_true(cell == CELL_DONE || cell == CELL_DROPPED);
			done += cell == CELL_DONE;
			gone |= cell == CELL_DROPPED;
		}
		dropped += gone;
	}
	assert_int_equal(done, m->ndone);
	assert_int_equal(dropped, m->ndropped[0] + m->ndropped[1]);
}

/* Finds what an alert of <route> counts, by one that is delivered at once. */
static void measure(struct model *m, size_t route)
{
	struct queue_alert *alert = alert_new(m, &m->alerts[0]);
	struct queue_limits limits = { .alerts = 1, .bytes = SIZE_MAX };
	struct queue_route_stats stats;
	struct queue_route *r;
	struct queue_envelope *env;
	size_t i, dropped = 0;

	r = queue_route_new(m->q, (struct queue_ring *[]){ &m->rings[0] }, 1, NULL, rcpts, m->nrcpt[route], &limits);
	assert_int_equal(queue_add(m->q, r, alert, &dropped), MAILERS_OK);
	queue_route_stats(r, &stats);
	m->bytes[route] = stats.bytes;
	m->first_id = alert->id + 1;
	queue_alert_release(alert);
	env = queue_take(m->q, &m->rings[0]);
	for (i = 0; i < env->nrcpt; i++)
		env->verdicts[i].outcome = QUEUE_DONE;
	queue_settle(m->q, env);
}

static void run(size_t limit, uint64_t seed)
{
	struct model *m = calloc(1, sizeof(*m));
	size_t i, step;

	m->q = queue_new();
	m->limits = (struct queue_limits){ .alerts = limit, .bytes = SIZE_MAX };
	m->random = seed;
	for (i = 0; i < RINGS; i++)
		queue_ring_init(&m->rings[i]);
	for (i = 0; i < ROUTES; i++) {
		m->nrcpt[i] = 1 + i % RCPTS;
		m->routes[i] = queue_route_new(m->q, (struct queue_ring *[]){ &m->rings[i % RINGS] }, 1, NULL, rcpts, m->nrcpt[i], &m->limits);
		measure(m, i);
	}
	for (step = 0; step < STEPS; step++) {
		switch (draw(m, 8)) {
		case 0: case 1:
			step_add(m);
			break;
		case 2: case 3: case 4:
			step_take(m);
			break;
		case 5: case 6:
			step_settle(m, false);
			break;
		default:
			step_tick(m);
			break;
		}
		compare(m);
	}
	assert_true(m->nalerts > STEPS / 5);
	drain(m);
	for (i = 0; i < ROUTES; i++) {
		struct queue_route_stats stats;

		queue_route_stats(m->routes[i], &stats);
		m->ndropped[ALERT_KIND_CHECK] -= stats.dropped_check;
		m->ndropped[ALERT_KIND_STATE] -= stats.dropped_state;
	}
	assert_int_equal(m->ndropped[ALERT_KIND_CHECK], 0);
	assert_int_equal(m->ndropped[ALERT_KIND_STATE], 0);
	queue_free(m->q);
	free(m);
}

static void queue__random_steps__does_as_the_model(void **state)
{
	(void)state;
	run(SIZE_MAX, 0x9E3779B97F4A7C15);
	run(SIZE_MAX, 0x2545F4914F6CDD1D);
}

static void queue__random_steps_over_a_bound__drops_as_the_model(void **state)
{
	(void)state;
	run(1, 0xD6E8FEB86659FD93);
	run(4, 0xBF58476D1CE4E5B9);
	run(15, 0x94D049BB133111EB);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queue__random_steps__does_as_the_model),
		cmocka_unit_test(queue__random_steps_over_a_bound__drops_as_the_model),
	};

	return cmocka_run_group_tests_name("queue model", tests, NULL, NULL);
}
