/*
 * mailer - see mailer.h. The retry schedule stands here and nowhere else; it is the plugin's first,
 * short one: three retries with a growing pause.
 *
 * A connection is known by the time at which it was opened. While in trouble only one is opened after the
 * pause, so its time tells it from all others; and a time before the end of the pause is that of a
 * connection from before the last failure.
 *
 * Called by engine.c (whom to connect to) and connection.c (how it went).
 */
#include <stdlib.h>
#include <string.h>

#include <mailers/mailer.h>

static const uint32_t mailer_pauses_ms[MAILER_RETRIES] = { 1000, 5000, 25000 };

static char *mailer_copy(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = malloc(size);

	if (copy)
		memcpy(copy, text, size);
	return copy;
}

struct mailer *mailer_new(const struct mailer_settings *settings)
{
	struct mailer *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->settings = *settings;
	m->settings.name = mailer_copy(settings->name);
	m->settings.address = mailer_copy(settings->address);
	m->settings.helo = mailer_copy(settings->helo);
	queue_ring_init(&m->ring);
	if (!m->settings.name || !m->settings.address || !m->settings.helo) {
		mailer_free(m);
		return NULL;
	}
	return m;
}

void mailer_free(struct mailer *m)
{
	if (!m)
		return;
	free((char *)m->settings.name);
	free((char *)m->settings.address);
	free((char *)m->settings.helo);
	free(m);
}

bool mailer_same(const struct mailer *m, const struct mailer_settings *settings)
{
	const struct mailer_settings *own = &m->settings;

	return !strcmp(own->address, settings->address) && !strcmp(own->helo, settings->helo) &&
	       own->timeout_mail_ms == settings->timeout_mail_ms &&
	       own->timeout_final_ms == settings->timeout_final_ms &&
	       own->timeout_quit_ms == settings->timeout_quit_ms && own->maxconn == settings->maxconn;
}

bool mailer_may_connect(const struct mailer *m, uint64_t now_ms)
{
	if (now_ms < m->paused_until_ms || m->active >= m->settings.maxconn)
		return false;
	return !m->failures || !m->trying;
}

void mailer_opened(struct mailer *m, uint64_t now_ms)
{
	m->active++;
	m->sessions++;
	if (m->failures) {
		m->trying = true;
		m->trying_since_ms = now_ms;
	}
}

/* A connection counts no longer: another may be the one that tries. */
static void mailer_leave(struct mailer *m, uint64_t opened_ms)
{
	m->active--;
	if (opened_ms == m->trying_since_ms)
		m->trying = false;
}

bool mailer_linger(struct mailer *m, uint64_t opened_ms)
{
	if (m->lingering >= MAILER_LINGER_MAX)
		return false;
	mailer_leave(m, opened_ms);
	m->sessions--;
	m->lingering++;
	return true;
}

void mailer_ended(struct mailer *m, bool lingering)
{
	if (!lingering)
		m->sessions--;
}

void mailer_closed(struct mailer *m, uint64_t opened_ms, bool lingering)
{
	if (lingering)
		m->lingering--;
	else
		mailer_leave(m, opened_ms);
}

uint32_t mailer_pause(unsigned n)
{
	if (n < 1)
		n = 1;
	return mailer_pauses_ms[n > MAILER_RETRIES ? MAILER_RETRIES - 1 : n - 1];
}

uint32_t mailer_failed(struct mailer *m, uint64_t opened_ms, uint64_t now_ms)
{
	if (opened_ms >= m->paused_until_ms) {
		m->failures++;
		m->paused_until_ms = now_ms + mailer_pause(m->failures);
	}
	return now_ms < m->paused_until_ms ? (uint32_t)(m->paused_until_ms - now_ms) : 0;
}

void mailer_works(struct mailer *m, uint64_t opened_ms)
{
	if (opened_ms < m->paused_until_ms)
		return;
	m->failures = 0;
	m->paused_until_ms = 0;
	m->trying = false;
}

bool mailer_refuses_ehlo(struct mailer *m, uint64_t now_ms)
{
	bool first = !m->helo_until_ms;

	m->helo_until_ms = now_ms + MAILER_HELO_MS;
	return first;
}

bool mailer_helo_only(const struct mailer *m, uint64_t now_ms)
{
	return now_ms < m->helo_until_ms;
}
