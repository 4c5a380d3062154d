/*
 * engine_group - mailers that stand in for each other, in an order.
 *
 * A new alert of a group waits in the ring of its first turn. Of its mailers the first that is neither down
 * nor paused by command takes from it; while there is none, all that are not paused do, which are those
 * being probed: whoever gets through first. A mailer that is merely at its maxconn keeps the alerts waiting:
 * to spill over would turn a busy moment of the preferred server into mail over the backup. But one that
 * lets MAILER_LINGER_MAX mails wait for their last reply takes no more here than one that is down: it answers
 * everything but that, and would not be down for as long as three times timeout_final.
 *
 * An alert that was tried in vain, because the server deferred it or broke the session that it was in, waits
 * out its pause and then in the ring of the next turn, which is that of the next mailer that is neither down
 * nor paused. Else a server that greets us and then takes no mail would keep an alert until it is too old, as
 * its probes get through, while another would take it. An alert that a mailer may have taken already waits
 * in that mailer's own ring (queue_verdict.pin), and for that mailer alone.
 *
 * Invariant: a mailer's rings are its own and those of the groups that it takes from; engine_group_elect()
 * is the only one that changes them, after each change of a mailer's usability.
 */
#include <stdlib.h>

#include "engine_internal.h"

static bool engine_group_is(const struct engine_group *g, const struct engine_member *members, size_t n)
{
	size_t i;

	for (i = 0; i < n && i < g->n && g->turns[i].mailer == members[i].mailer; i++)
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
		if (!mailer_reserve(members[i].mailer, n))
			return NULL;
	}
	g = calloc(1, sizeof(*g) + n * sizeof(g->turns[0]));
	if (!g)
		return NULL;
	for (i = 0; i < n; i++) {
		queue_ring_init(&g->turns[i].ring);
		g->turns[i].mailer = members[i].mailer;
	}
	g->n = n;
	g->next = e->groups;
	e->groups = g;
	engine_group_elect(e);
	return g;
}

static void engine_group_give(struct engine_group *g)
{
	struct mailer *usable[ENGINE_MAILERS_MAX];
	size_t i, k, n = 0;

	for (i = 0; i < g->n; i++) {
		if (mailer_usable(g->turns[i].mailer))
			usable[n++] = g->turns[i].mailer;
	}
	for (i = 0; n && i < g->n; i++)
		mailer_ring_add(usable[i % n], &g->turns[i].ring);
	for (i = 0; !n && i < g->n; i++) {
		for (k = 0; !g->turns[i].mailer->suspended && k < g->n; k++)
			mailer_ring_add(g->turns[i].mailer, &g->turns[k].ring);
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

unsigned engine_route_next_turn(const struct engine_route *r, const struct queue_ring *ring)
{
	size_t i;

	for (i = 0; r->group && i < r->group->n; i++) {
		if (ring == &r->group->turns[i].ring)
			return (unsigned)(1 + r->nmembers + i); /* where engine_route_new() put it */
	}
	return 0;
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
