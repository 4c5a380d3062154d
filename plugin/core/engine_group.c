/*
 * engine_group - mailers that stand in for each other, in an order.
 *
 * An alert of a group waits in the group's ring. Of its mailers the first that is neither down nor paused
 * by command takes from it; while there is none, all that are not paused do, which are those being probed:
 * whoever gets through first. A mailer that is merely at its maxconn keeps the alerts waiting: to spill
 * over would turn a busy moment of the preferred server into mail over the backup. An alert that a mailer
 * may have taken already waits in that mailer's own ring (queue_verdict.pin), and for that mailer alone.
 *
 * Invariant: a mailer's rings are its own and those of the groups that it takes from; engine_group_elect()
 * is the only one that changes them, after each change of a mailer's usability.
 */
#include <stdlib.h>

#include "engine_internal.h"

static bool engine_group_is(const struct engine_group *g, const struct engine_member *members, size_t n)
{
	size_t i;

	for (i = 0; i < n && i < g->n && g->mailers[i] == members[i].mailer; i++)
		;
	return i == n && n == g->n;
}

struct engine_group *engine_group_get(struct engine *e, const struct engine_member *members, size_t n)
{
	struct engine_group *g;
	size_t i;

	for (g = e->groups; g; g = g->next) {
		if (engine_group_is(g, members, n))
			return g;
	}
	for (i = 0; i < n; i++) {
		if (!mailer_reserve(members[i].mailer))
			return NULL;
	}
	g = calloc(1, sizeof(*g) + n * sizeof(g->mailers[0]));
	if (!g)
		return NULL;
	queue_ring_init(&g->ring);
	for (i = 0; i < n; i++)
		g->mailers[i] = members[i].mailer;
	g->n = n;
	g->next = e->groups;
	e->groups = g;
	engine_group_elect(e);
	return g;
}

static void engine_group_give(struct engine_group *g)
{
	size_t i;

	for (i = 0; i < g->n; i++) {
		if (mailer_usable(g->mailers[i])) {
			mailer_ring_add(g->mailers[i], &g->ring);
			return;
		}
	}
	for (i = 0; i < g->n; i++) {
		if (!g->mailers[i]->suspended)
			mailer_ring_add(g->mailers[i], &g->ring);
	}
}

void engine_group_elect(struct engine *e)
{
	struct engine_group *g;
	struct mailer *m;

	for (m = e->mailers; m; m = m->next)
		mailer_rings(m);
	for (g = e->groups; g; g = g->next)
		engine_group_give(g);
}

size_t engine_mailer_queued(const struct mailer *m)
{
	size_t i, n = 0;

	for (i = 0; i < m->nrings; i++)
		n += m->rings[i]->alerts;
	return n;
}

const struct engine_member *engine_route_member(const struct engine_route *r)
{
	size_t i;

	for (i = 0; i < r->nmembers; i++) {
		if (mailer_usable(r->members[i].mailer))
			return &r->members[i];
	}
	return r->members;
}

void engine_group_free(struct engine *e)
{
	struct engine_group *g, *next;

	for (g = e->groups; g; g = next) {
		next = g->next;
		free(g);
	}
}
