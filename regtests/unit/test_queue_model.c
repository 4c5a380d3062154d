/* The queue beside a plain model of it (queue_model.h), under many random steps, folds, pins, holds, expiry,
 * failing allocations and freed routes among them: same order in each lane, one mail of a lane in flight, each
 * alert done once for each recipient or dropped, the same counts always.
 */
#include "queue_model.h"

static void drop(struct model *m, struct model_alert *a)
{
	size_t rcpt;

	for (rcpt = 0; rcpt < m->nrcpt[a->route]; rcpt++) {
		if (a->cells[rcpt] != CELL_WAITS)
			continue;
		if (is_head(m, a, rcpt))
			m->until[lane_of(a->route, a->server, rcpt)] = 0;
		a->cells[rcpt] = CELL_DROPPED;
		m->nrcpt_dropped++;
	}
	m->ndropped[a->kind]++;
}

/* Drops the oldest of <kind> that flies nowhere and is not <added>. */
static bool drop_oldest(struct model *m, const struct model_alert *added, enum alert_kind kind)
{
	size_t i;

	for (i = m->first; i < m->nalerts; i++) {
		struct model_alert *a = &m->alerts[i];

		if (a != added && a->route == added->route && a->kind == kind && open_alert(a) && !flies(a)) {
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

	return queue_alert_new(m->q, a->server, "be/s", &what, text, a->len, "date", m->now);
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
	a->len = draw(m, sizeof(text));
	a->raised_ms = m->now;
	for (rcpt = 0; rcpt < m->nrcpt[a->route]; rcpt++)
		a->cells[rcpt] = CELL_WAITS;
	alert = alert_new(m, a);
	assert_int_equal(alert->id, m->first_id + m->nalerts);
	a->batch = alert->batch = draw(m, 3);
	if (!draw(m, 4)) {
		alert->held = true;
		alert->refs++;
		a->held = alert;
	}
	m->nalerts++;
	expected = trim(m, a);
	error = queue_add(m->q, m->routes[a->route], alert, &dropped);
	queue_alert_release(alert);
	assert_int_equal(dropped, expected);
	assert_int_equal(error, open_alert(a) ? MAILERS_OK : MAILERS_ERR_BOUND);
}

/* An envelope of one alert was taken: these recipients fly now. A lane whose head flies waits for no time. */
static void depart(struct model *m, struct queue_envelope *env)
{
	struct model_alert *a = alert_of(m, env->alert);
	size_t i;

	m->flying[m->nflying++] = env;
	m->flies[a->route]++;
	assert_ptr_equal(env->route, m->routes[a->route]);
	assert_int_equal(env->nalerts, 1);
	assert_ptr_equal(env->alerts[0], env->alert);
	for (i = 0; i < env->nrcpt; i++) {
		size_t rcpt = rcpt_of(env, i);

		assert_int_equal(a->cells[rcpt], CELL_WAITS);
		assert_int_equal(env->attempts[i], a->attempts[rcpt]);
		assert_int_equal(env->verdicts[i].outcome, QUEUE_RETRY);
		if (is_head(m, a, rcpt))
			m->until[lane_of(a->route, a->server, rcpt)] = 0;
		a->cells[rcpt] = CELL_FLIES;
	}
}

/* One of the ready heads of <ring>, or none with its allocation failed: NULL. */
static struct queue_envelope *take(struct model *m, size_t ring)
{
	struct queue_envelope *env;
	struct model_alert *a;
	size_t rcpt, n = 0;
	unsigned pin;

	if (m->nflying == FLIGHTS)
		return NULL;
	unit_fail_at(draw(m, 20) ? -1 : 0);
	env = queue_take(m->q, &m->rings[ring]);
	if (unit_failed()) {
		assert_null(env);
		m->nnomem++;
		return NULL;
	}
	if (!env) {
		assert_int_equal(m->rings[ring].ready, 0); /* compare() sees to that number */
		return NULL;
	}
	a = alert_of(m, env->alert);
	pin = a->pins[rcpt_of(env, 0)];
	assert_int_equal(ring_of(a->route, pin), ring);
	for (rcpt = 0; rcpt < m->nrcpt[a->route]; rcpt++)
		n += ready(m, a, rcpt) && a->pins[rcpt] == pin;
	assert_int_equal(env->nrcpt, n);
	for (rcpt = 0; rcpt < n; rcpt++) {
		assert_true(ready(m, a, rcpt_of(env, rcpt)));
		assert_int_equal(a->pins[rcpt_of(env, rcpt)], pin);
	}
	depart(m, env);
	return env;
}

/* Recipient <rcpt>'s flight of <a> ends so. */
static void land(struct model *m, struct model_alert *a, size_t rcpt, const struct queue_verdict *v)
{
	size_t lane = lane_of(a->route, a->server, rcpt);

	assert_int_equal(a->cells[rcpt], CELL_FLIES);
	if (v->outcome == QUEUE_DONE) {
		a->cells[rcpt] = CELL_DONE;
		m->ndone++;
		return;
	}
	a->cells[rcpt] = CELL_WAITS;
	a->attempts[rcpt] += v->outcome == QUEUE_DEFERRED;
	if (v->pin && v->pin < m->nrings[a->route]) {
		a->pins[rcpt] = v->pin;
		m->npinned++;
	}
	if (v->outcome != QUEUE_RETRY && is_head(m, a, rcpt)) {
		m->until[lane] = v->until_ms;
		m->held[lane] = v->outcome == QUEUE_HELD;
	}
}

/* May <a> join the fold of <own>? By the rule: it waits in this ring, nobody holds it, it is of the same batch, and all
 * before it in its lane join too.
 */
static bool joins(struct model *m, const struct model_alert *a, const struct model_alert *own, size_t rcpt,
                  unsigned pin)
{
	size_t lane = lane_of(a->route, a->server, rcpt);
	const struct model_alert *b;

	if (a->cells[rcpt] != CELL_WAITS || a->pins[rcpt] != pin || a->held || (own->batch && a->batch != own->batch))
		return false;
	if (is_head(m, a, rcpt))
		return !m->until[lane] || m->held[lane];
	for (b = &m->alerts[m->first]; b < a; b++) {
		if (b->route == a->route && b->server == a->server && open_cell(b->cells[rcpt]) && !b->folded)
			return false;
	}
	return true;
}

/* Compares <env>, a fold of <own>, with the model's. */
static void compare_fold(struct model *m, const struct queue_envelope *env, struct model_alert *own,
                         size_t rcpt, size_t most_alerts, size_t most_bytes)
{
	unsigned pin = own->pins[rcpt], attempts = 0;
	size_t n = 0, others = 0, bytes = own->len, i;
	bool full = false;

	for (i = m->first; i < m->nalerts; i++) {
		struct model_alert *a = &m->alerts[i];

		if (a->route != own->route || (a != own && (full || !joins(m, a, own, rcpt, pin))))
			continue;
		full |= a != own && (others + 1 >= most_alerts || bytes + a->len > most_bytes);
		if (a != own && full)
			continue;
		others += a != own;
		bytes += a == own ? 0 : a->len;
		a->folded = true;
		assert_true(n < env->nalerts);
		assert_ptr_equal(alert_of(m, env->alerts[n++]), a);
		if (a->attempts[rcpt] > attempts)
			attempts = a->attempts[rcpt];
	}
	assert_int_equal(env->nalerts, n);
	assert_ptr_equal(env->alert, env->alerts[0]);
	assert_int_equal(env->nrcpt, 1);
	assert_int_equal(env->attempts[0], attempts);
	for (i = 0; i < n; i++) {
		struct model_alert *a = alert_of(m, env->alerts[i]);

		a->folded = false;
		a->cells[rcpt] = CELL_FLIES;
		m->until[lane_of(a->route, a->server, rcpt)] = 0;
	}
	m->nfolds += n > 1;
}

static void fold(struct model *m, struct queue_envelope *env)
{
	static const struct queue_verdict retry = { .outcome = QUEUE_RETRY };
	size_t i = draw(m, env->nrcpt), nrcpt = env->nrcpt, which = rcpt_of(env, i), rcpt;
	size_t most_alerts = draw(m, 3) ? draw(m, 8) : SIZE_MAX;
	size_t most_bytes = draw(m, 3) ? draw(m, 200) : SIZE_MAX;
	struct model_alert *a = alert_of(m, env->alert);
	enum mailers_error error;
	bool flew[RCPTS] = { false };

	for (rcpt = 0; rcpt < nrcpt; rcpt++)
		flew[rcpt_of(env, rcpt)] = true;
	unit_fail_at(draw(m, 4) ? -1 : (long)draw(m, 3));
	error = queue_fold(m->q, env, i, most_alerts, most_bytes);
	if (unit_failed()) {
		assert_int_equal(error, MAILERS_ERR_NOMEM);
		assert_int_equal(env->nrcpt, nrcpt);
		assert_int_equal(env->nalerts, 1);
		assert_int_equal(rcpt_of(env, i), which);
		m->nnomem++;
		return;
	}
	assert_int_equal(error, MAILERS_OK);
	assert_int_equal(rcpt_of(env, 0), which);
	compare_fold(m, env, a, which, most_alerts, most_bytes);
	for (rcpt = 0; rcpt < RCPTS; rcpt++) {
		if (flew[rcpt] && rcpt != which)
			land(m, a, rcpt, &retry);
	}
	assert_int_equal(queue_fold(m->q, env, 0, 1, 1), MAILERS_ERR_STATE);
}

/* Puts flight <which> off the table when its envelope is gone. */
static void arrived(struct model *m, size_t which, size_t route)
{
	m->flying[which] = m->flying[--m->nflying];
	m->flies[route]--;
}

/* Holds a recipient of <env>, the newest flight. */
static void hold(struct model *m, struct queue_envelope *env)
{
	const struct queue_verdict held = { .outcome = QUEUE_HELD, .until_ms = m->now + 1 + draw(m, 80) };
	size_t i = draw(m, env->nrcpt), rcpt = rcpt_of(env, i), n = env->nrcpt, k;
	struct model_alert *a = alert_of(m, env->alert);

	for (k = 0; k < env->nalerts; k++)
		land(m, alert_of(m, env->alerts[k]), rcpt, &held);
	if (queue_hold(m->q, env, i, held.until_ms))
		assert_int_equal(env->nrcpt, n - 1);
	else
		arrived(m, m->nflying - 1, a->route);
	assert_int_equal(m->nflying && m->flying[m->nflying - 1] == env, n > 1);
}

static void step_take(struct model *m)
{
	struct queue_envelope *env = take(m, draw(m, RINGS));

	if (env && !draw(m, 4))
		fold(m, env);
	if (env && !draw(m, 4))
		hold(m, env);
}

static void step_expire(struct model *m)
{
	size_t route = draw(m, ROUTES), i, rcpt, n = 0;
	uint64_t before = draw(m, 8) ? m->now - draw(m, 200) : UINT64_MAX;
	struct model_alert *a = NULL;
	struct queue_envelope *env;

	if (m->nflying == FLIGHTS)
		return;
	for (i = m->first; i < m->nalerts && !a; i++) {
		if (m->alerts[i].route == route && open_alert(&m->alerts[i]) && !flies(&m->alerts[i]))
			a = &m->alerts[i];
	}
	env = queue_take_expired(m->q, m->routes[route], before);
	if (!a || a->raised_ms >= before) {
		assert_null(env);
		return;
	}
	assert_non_null(env);
	assert_ptr_equal(alert_of(m, env->alert), a);
	for (rcpt = 0; rcpt < RCPTS; rcpt++)
		n += a->cells[rcpt] == CELL_WAITS;
	assert_int_equal(env->nrcpt, n);
	depart(m, env);
	m->nexpired++;
}

static void step_settle(struct model *m, bool done)
{
	size_t which, i, k, route;
	struct queue_envelope *env;

	if (!m->nflying)
		return;
	which = draw(m, m->nflying);
	env = m->flying[which];
	route = alert_of(m, env->alert)->route;
	for (i = 0; i < env->nrcpt; i++) {
		struct queue_verdict *v = &env->verdicts[i];

		v->outcome = done ? QUEUE_DONE : (enum queue_outcome)draw(m, QUEUE_DONE + 1);
		v->until_ms = m->now + 1 + draw(m, 50);
		v->pin = draw(m, 3) ? 0 : (unsigned)draw(m, RINGS + 1);
		for (k = 0; k < env->nalerts; k++)
			land(m, alert_of(m, env->alerts[k]), rcpt_of(env, i), v);
	}
	queue_settle(m->q, env);
	arrived(m, which, route);
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

/* Ends the hold of an alert, wherever it is. */
static void unhold(struct model *m, struct model_alert *a)
{
	size_t rcpt, lane;

	queue_unhold(m->q, m->routes[a->route], a->held);
	assert_false(a->held->held);
	for (rcpt = 0; rcpt < m->nrcpt[a->route]; rcpt++) {
		lane = lane_of(a->route, a->server, rcpt);
		if (is_head(m, a, rcpt) && a->cells[rcpt] == CELL_WAITS && m->held[lane])
			m->until[lane] = 0;
	}
	queue_alert_release(a->held);
	a->held = NULL;
	m->nunheld++;
}

static void step_unhold(struct model *m, bool all)
{
	size_t i, n = draw(m, 8);

	for (i = 0; i < m->nalerts; i++) {
		if (m->alerts[i].held && (all || !n--))
			unhold(m, &m->alerts[i]);
	}
}

static void step_wake(struct model *m)
{
	size_t route = draw(m, ROUTES);

	memset(&m->until[lane_of(route, 0, 0)], 0, SERVERS * RCPTS * sizeof(m->until[0]));
	queue_wake(m->q, m->routes[route]);
}

static void route_new(struct model *m, size_t route)
{
	struct queue_ring *rings[RINGS];
	unsigned i;

	for (i = 0; i < RINGS; i++)
		rings[i] = &m->rings[ring_of(route, i)];
	m->nrings[route] = route < 2 ? 1 : RINGS;
	m->routes[route] = queue_route_new(m->q, rings, m->nrings[route], NULL, rcpts, m->nrcpt[route],
	                                   &m->limits);
	assert_non_null(m->routes[route]);
}

static void forget_drops(struct model *m, size_t route)
{
	struct queue_route_stats stats;

	queue_route_stats(m->routes[route], &stats);
	m->ndropped[ALERT_KIND_CHECK] -= stats.dropped_check;
	m->ndropped[ALERT_KIND_STATE] -= stats.dropped_state;
	m->nrcpt_dropped -= stats.dropped_rcpt;
}

/* Frees a route with what waits in it, and makes it anew. */
static void step_free(struct model *m)
{
	size_t route = draw(m, ROUTES), i, rcpt;

	if (m->flies[route])
		return;
	forget_drops(m, route);
	for (i = m->first; i < m->nalerts; i++) {
		for (rcpt = 0; rcpt < RCPTS && m->alerts[i].route == route; rcpt++) {
			if (open_cell(m->alerts[i].cells[rcpt]))
				m->alerts[i].cells[rcpt] = CELL_DROPPED;
		}
	}
	memset(&m->until[lane_of(route, 0, 0)], 0, SERVERS * RCPTS * sizeof(m->until[0]));
	queue_route_free(m->q, m->routes[route]);
	route_new(m, route);
	m->nfreed++;
}

/* Delivers what is left, and looks at the end of each alert. */
static void drain(struct model *m)
{
	size_t i, rcpt, done = 0;

	step_unhold(m, true);
	while (queue_alerts(m->q)) {
		step_take(m);
		step_settle(m, true);
		step_tick(m);
	}
	compare(m);
	assert_int_equal(queue_lanes(m->q), 0);
	for (i = 0; i < m->nalerts; i++) {
		for (rcpt = 0; rcpt < m->nrcpt[m->alerts[i].route]; rcpt++) {
			enum cell cell = m->alerts[i].cells[rcpt];

			assert_true(cell == CELL_DONE || cell == CELL_DROPPED);
			done += cell == CELL_DONE;
		}
	}
	assert_int_equal(done, m->ndone);
}

/* Finds what an alert of <route> counts, by one that is delivered at once. */
static void measure(struct model *m, size_t route)
{
	struct queue_alert *alert = alert_new(m, &m->alerts[0]);
	size_t i, dropped = 0, limit = m->limits.alerts;
	struct queue_route_stats stats;
	struct queue_envelope *env;

	m->limits.alerts = 1;
	route_new(m, route);
	assert_int_equal(queue_add(m->q, m->routes[route], alert, &dropped), MAILERS_OK);
	queue_route_stats(m->routes[route], &stats);
	m->bytes[route] = stats.bytes;
	m->first_id = alert->id + 1;
	queue_alert_release(alert);
	env = queue_take(m->q, &m->rings[ring_of(route, 0)]);
	for (i = 0; i < env->nrcpt; i++)
		env->verdicts[i].outcome = QUEUE_DONE;
	queue_settle(m->q, env);
	queue_route_free(m->q, m->routes[route]);
	m->limits.alerts = limit;
}

static void step(struct model *m)
{
	switch (draw(m, 16)) {
	case 0: case 1: case 2: case 3:
		step_add(m);
		break;
	case 4: case 5: case 6: case 7: case 8:
		step_take(m);
		break;
	case 9: case 10: case 11: case 12:
		step_settle(m, false);
		break;
	case 13: case 14:
		step_tick(m);
		break;
	default:
		switch (draw(m, 20)) {
		case 16: case 17: case 18: case 19:
			step_unhold(m, false);
			break;
		case 0:
			step_free(m);
			break;
		case 1: case 2:
			step_wake(m);
			break;
		case 3: case 4: case 5: case 6:
			step_expire(m);
			break;
		default:
			step_add(m);
			break;
		}
	}
}

static void run(size_t limit, uint64_t seed)
{
	struct model *m = calloc(1, sizeof(*m));
	size_t i;

	m->q = queue_new();
	m->limits = (struct queue_limits){ .alerts = limit, .bytes = SIZE_MAX };
	m->random = seed;
	m->now = 1000;
	for (i = 0; i < RINGS; i++)
		queue_ring_init(&m->rings[i]);
	for (i = 0; i < ROUTES; i++) {
		m->nrcpt[i] = 1 + (i + 1) % RCPTS;
		measure(m, i);
	}
	for (i = 0; i < ROUTES; i++)
		route_new(m, i);
	for (i = 0; i < STEPS; i++) {
		step(m);
		compare(m);
	}
	drain(m);
	assert_true(m->nalerts > STEPS / 5 && m->npinned > 50 && m->nnomem > 50 && m->nfreed &&
	            m->nunheld > 100);
	assert_true(m->nexpired > 20 && (m->nfolds > 20 || limit == 1));
	for (i = 0; i < ROUTES; i++)
		forget_drops(m, i);
	assert_int_equal(m->ndropped[ALERT_KIND_CHECK], 0);
	assert_int_equal(m->ndropped[ALERT_KIND_STATE], 0);
	assert_int_equal(m->nrcpt_dropped, 0);
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
