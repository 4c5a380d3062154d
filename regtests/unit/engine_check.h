/*
 * engine_check - what is true of an engine at all times, looked at from inside; for the test programs that include this
 * behind engine_peer.h.
 */
#ifndef ENGINE_CHECK_H
#define ENGINE_CHECK_H

#include "../../plugin/core/engine_internal.h"
#include "../../plugin/core/queue_internal.h"

/* Lanes that wait without a time wait for a batch. */
static inline void check_lanes(const struct engine *e)
{
	const struct lane_table *t = &e->queue->lanes;
	size_t i;

	for (i = 0; i < t->heap_len; i++) {
		const struct lane *lane = t->heap[i];

		if (lane->until_ms != UINT64_MAX)
			continue;
		assert_true(queue_lane_head(lane)->delivery->alert->held);
		assert_true(engine_summary_deadline(e) != UINT64_MAX && !engine_draining(e));
	}
}

static inline bool check_takes(const struct mailer *m, const struct queue_ring *ring)
{
	size_t i;

	for (i = 0; i < m->nrings && m->rings[i] != ring; i++)
		;
	return i < m->nrings && !m->suspended;
}

/* What waits for a group has somebody who takes it, and who is up if one is. */
static inline void check_groups(const struct engine *e)
{
	const struct engine_group *g;
	size_t i, k, usable, paused, takers, good;

	for (g = e->groups; g; g = g->next) {
		for (i = 0; i < g->n; i++) {
			usable = paused = takers = good = 0;
			for (k = 0; k < g->n; k++) {
				const struct mailer *m = g->turns[k].mailer;

				usable += mailer_usable(m);
				paused += m->suspended;
				takers += check_takes(m, &g->turns[i].ring);
				good += mailer_usable(m) && check_takes(m, &g->turns[i].ring);
			}
			assert_int_equal(takers, usable ? 1 : g->n - paused);
			assert_int_equal(good, usable ? 1 : 0);
		}
	}
}

/* A mailer's counts are those of its connections, and what waits for it does so until a time that is named. */
static inline void check_mailer(const struct engine *e, const struct mailer *x, uint64_t now_ms)
{
	unsigned active = 0, lingering = 0, sessions = 0, ready = 0, trying = 0;
	size_t i;

	for (i = 0; i < e->nslots; i++) {
		const struct connection *c = e->slots[i];

		if (!c || c->mailer != x)
			continue;
		lingering += c->session.lingering;
		active += !c->session.lingering;
		sessions += !c->session.ended;
		ready += c->session.ready && !c->session.ended;
		trying += c->session.trying && c->session.epoch == x->epoch;
	}
	assert_int_equal(active, x->active);
	assert_int_equal(lingering, x->lingering);
	assert_int_equal(sessions, x->sessions);
	assert_int_equal(ready, x->ready);
	assert_true(trying || !x->trying);
	if (!active && !lingering)
		assert_int_equal(x->in_flight, 0);
	if (mailer_has_work(x) && !mailer_may_connect(x, now_ms) && !x->suspended && !x->active)
		assert_true(engine_deadline(e, now_ms) <= x->paused_until_ms);
}

/* To be asked when the host has done all that it can do now. */
static inline void check_engine(const struct engine *e, uint64_t now_ms)
{
	const struct mailer *m;

	for (m = e->mailers; m; m = m->next)
		check_mailer(e, m, now_ms);
	check_lanes(e);
	check_groups(e);
	if (engine_busy(e) && !engine_drain_over(e, now_ms) && engine_deadline(e, now_ms) == UINT64_MAX)
		fail_msg("nothing is to be waited for, and there is work");
}

#endif
