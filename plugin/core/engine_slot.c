/*
 * engine_slot - the table of connections: which one is opened next, and what the host moves on each.
 *
 * Invariants: slots[i] is NULL or an open connection, counted in its mailer's active or lingering. A slot
 * is used again after its release; a connection's id never is.
 *
 * Called by the host, and by engine.c for the time.
 */
#include <stdlib.h>
#include <string.h>

#include "engine_internal.h"

/* A free place in the table of connections, grown when it must be; -1 without memory. */
static int engine_slot(struct engine *e)
{
	struct connection **slots;
	size_t i, n;

	for (i = 0; i < e->nslots; i++) {
		if (!e->slots[i])
			return (int)i;
	}
	n = e->nslots ? e->nslots * 2 : 16;
	slots = realloc(e->slots, n * sizeof(*slots));
	if (!slots)
		return -1;
	memset(slots + e->nslots, 0, (n - e->nslots) * sizeof(*slots));
	e->slots = slots;
	e->nslots = n;
	return (int)i;
}

/* A mailer that is down is probed for its own sake too: its group, or the next alert, is to know. */
static bool engine_mailer_wants(const struct engine *e, const struct mailer *m, uint64_t now_ms)
{
	bool probe = m->state == MAILER_DOWN && !engine_draining(e);

	return (probe || mailer_has_work(m)) && mailer_may_connect(m, now_ms);
}

/* The mailer whose turn it is of those that want a connection; NULL without one. */
static struct mailer *engine_mailer_next(const struct engine *e, uint64_t now_ms)
{
	struct mailer *m = e->next_mailer ? e->next_mailer : e->mailers, *first = m;

	while (m && !engine_mailer_wants(e, m, now_ms)) {
		m = m->next ? m->next : e->mailers;
		if (m == first)
			return NULL;
	}
	return m;
}

int engine_connect(struct engine *e, uint64_t now_ms)
{
	struct connection *c;
	struct mailer *m;
	int slot;

	if (engine_drain_over(e, now_ms)) {
		engine_test_refuse(e);
		return -1;
	}
	slot = engine_slot(e);
	if (slot < 0) {
		e->retry_ms = now_ms + ENGINE_RETRY_MS;
		return -1;
	}
	c = engine_test_connection(e, now_ms);
	while (!c && (m = engine_mailer_next(e, now_ms))) {
		e->next_mailer = m->next;
		c = connection_new(e, m, now_ms);
		e->retry_ms = 0;
		if (!c && engine_mailer_wants(e, m, now_ms)) { /* else all that it has is held by limits */
			e->retry_ms = now_ms + ENGINE_RETRY_MS;
			break;
		}
	}
	if (!c)
		return -1;
	c->id = ++e->last_id;
	e->slots[slot] = c;
	e->nconnections++;
	return slot;
}

static struct connection *engine_connection(const struct engine *e, int slot)
{
	return e && slot >= 0 && (size_t)slot < e->nslots ? e->slots[slot] : NULL;
}

const char *engine_address(const struct engine *e, int slot)
{
	const struct connection *c = engine_connection(e, slot);

	return c ? c->mailer->settings.address : "";
}

const char *engine_mailer_name(const struct engine *e, int slot)
{
	const struct connection *c = engine_connection(e, slot);

	return c ? c->mailer->settings.name : "";
}

uint64_t engine_connection_id(const struct engine *e, int slot)
{
	const struct connection *c = engine_connection(e, slot);

	return c ? c->id : 0;
}

void engine_connected(struct engine *e, int slot, uint64_t now_ms)
{
	struct connection *c = engine_connection(e, slot);

	if (!c)
		return;
	c->connected = true;
	wire_connected(c->wire, now_ms);
}

enum engine_want engine_want(const struct engine *e, int slot)
{
	const struct connection *c = engine_connection(e, slot);

	if (!c)
		return ENGINE_WANT_CLOSE;
	switch (wire_want(c->wire)) {
	case SMTP_CLIENT_WANT_READ:
		return ENGINE_WANT_READ;
	case SMTP_CLIENT_WANT_WRITE:
		return ENGINE_WANT_WRITE;
	case SMTP_CLIENT_WANT_TLS:    /* cannot be: the wire begins it */
	case SMTP_CLIENT_WANT_SUBMIT: /* nor this: connection_run() submits or quits */
	case SMTP_CLIENT_WANT_CLOSE:
		break;
	}
	return ENGINE_WANT_CLOSE;
}

size_t engine_need(const struct engine *e, int slot)
{
	const struct connection *c = engine_connection(e, slot);

	return c ? wire_need(c->wire) : 0;
}

bool engine_encrypted(const struct engine *e, int slot)
{
	const struct connection *c = engine_connection(e, slot);

	return c && wire_encrypted(c->wire);
}

size_t engine_peek(const struct engine *e, int slot, const char **data)
{
	const struct connection *c = engine_connection(e, slot);

	return c ? wire_peek(c->wire, data) : 0;
}

void engine_ack(struct engine *e, int slot, size_t n, uint64_t now_ms)
{
	struct connection *c = engine_connection(e, slot);

	if (!c)
		return;
	wire_ack(c->wire, n, now_ms);
	connection_run(e, c, now_ms);
}

void engine_feed(struct engine *e, int slot, const char *data, size_t len, uint64_t now_ms)
{
	struct connection *c = engine_connection(e, slot);

	if (!c)
		return;
	wire_feed(c->wire, data, len, now_ms);
	connection_run(e, c, now_ms);
}

void engine_eof(struct engine *e, int slot, uint64_t now_ms)
{
	struct connection *c = engine_connection(e, slot);

	if (!c)
		return;
	wire_eof(c->wire, now_ms);
	connection_run(e, c, now_ms);
}

void engine_release(struct engine *e, int slot, uint64_t now_ms)
{
	struct connection *c = engine_connection(e, slot);

	if (!c)
		return;
	connection_free(e, c, now_ms);
	e->slots[slot] = NULL;
	e->nconnections--;
}

int engine_expired(struct engine *e)
{
	size_t i;

	for (i = 0; i < e->nslots; i++) {
		if (e->slots[i] && e->slots[i]->expired) {
			e->slots[i]->expired = false;
			return (int)i;
		}
	}
	return -1;
}

void engine_slot_tick(struct engine *e, uint64_t now_ms)
{
	size_t i;

	for (i = 0; i < e->nslots; i++) {
		if (e->slots[i])
			connection_tick(e, e->slots[i], now_ms);
	}
}

/* When <m> may be connected to, if it is to be then and is not yet; the past is nobody's deadline. */
static uint64_t engine_mailer_deadline(const struct engine *e, const struct mailer *m, uint64_t now_ms)
{
	if (m->paused_until_ms <= now_ms || !engine_mailer_wants(e, m, m->paused_until_ms))
		return UINT64_MAX;
	return m->paused_until_ms;
}

uint64_t engine_slot_deadline(const struct engine *e, uint64_t now_ms)
{
	bool ends = e->nconnections && e->drain_until_ms > now_ms;
	uint64_t deadline = engine_earlier(e->retry_ms > now_ms ? e->retry_ms : UINT64_MAX,
	                                   ends ? e->drain_until_ms : UINT64_MAX);
	const struct mailer *m;
	size_t i;

	for (i = 0; i < e->nslots; i++) {
		if (e->slots[i])
			deadline = engine_earlier(deadline, connection_deadline(e->slots[i]));
	}
	for (m = e->mailers; m; m = m->next)
		deadline = engine_earlier(deadline, engine_mailer_deadline(e, m, now_ms));
	return deadline;
}

void engine_slot_free(struct engine *e)
{
	size_t i;

	for (i = 0; i < e->nslots; i++) {
		if (e->slots[i])
			connection_free(e, e->slots[i], 0);
	}
	free(e->slots);
}
