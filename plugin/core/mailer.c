/*
 * mailer - see mailer.h. The schedule of a mailer's tries stands here and nowhere else; that of an alert is
 * flight.c's.
 *
 * A connection carries the epoch in which it was opened, which is the number of failures before: one from an
 * earlier epoch is from before the last failure, and neither its failure nor its success changes the state.
 *
 * Called by engine.c and engine_group.c (whom to connect to, what it takes) and connection.c (how it went).
 */
#include <stdlib.h>
#include <string.h>

#include <mailers/mailer.h>

/* The strings of the settings, which are copied. */
static const size_t mailer_strings[] = {
	offsetof(struct mailer_settings, name),     offsetof(struct mailer_settings, address),
	offsetof(struct mailer_settings, helo),     offsetof(struct mailer_settings, wire.sni),
	offsetof(struct mailer_settings, wire.verifyhost),
};

enum { MAILER_STRINGS = sizeof(mailer_strings) / sizeof(*mailer_strings) };

static const char **mailer_string(struct mailer_settings *settings, size_t i)
{
	return (const char **)(void *)((char *)settings + mailer_strings[i]);
}

static const char *mailer_copy(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = malloc(size);

	if (copy)
		memcpy(copy, text, size);
	return copy;
}

/* <settings> with copies of its strings, and defaults in place of zeros. False without memory. */
static bool mailer_settings_copy(struct mailer_settings *own, const struct mailer_settings *settings)
{
	bool copied = true;
	size_t i;

	*own = *settings;
	for (i = 0; i < MAILER_STRINGS; i++) {
		const char **text = mailer_string(own, i);

		if (*text) {
			*text = mailer_copy(*text);
			copied &= *text != NULL;
		}
	}
	own->fall = own->fall ? own->fall : MAILER_FALL;
	own->rise = own->rise ? own->rise : MAILER_RISE;
	own->inter_ms = own->inter_ms ? own->inter_ms : MAILER_INTER_MS;
	own->maxconn = own->maxconn ? own->maxconn : MAILER_MAXCONN;
	own->mechanisms = own->mechanisms ? own->mechanisms : SASL_ALL;
	return copied;
}

struct mailer *mailer_new(const struct mailer_settings *settings)
{
	struct mailer *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	queue_ring_init(&m->ring);
	m->rings = malloc(sizeof(struct queue_ring *));
	if (!mailer_settings_copy(&m->settings, settings) || !m->rings) {
		mailer_free(m);
		return NULL;
	}
	m->rings_size = 1;
	mailer_rings(m);
	return m;
}

void mailer_free(struct mailer *m)
{
	size_t i;

	if (!m)
		return;
	for (i = 0; i < MAILER_STRINGS; i++)
		free((char *)*mailer_string(&m->settings, i));
	free(m->rings);
	mailer_token_release(m->token);
	free(m);
}

/* Equal texts, or none in both? */
static bool mailer_text_same(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

/* What a connection is made of, but the strings. */
static bool mailer_connection_same(const struct mailer_settings *a, const struct mailer_settings *b)
{
	return a->timeout_connect_ms == b->timeout_connect_ms && a->timeout_mail_ms == b->timeout_mail_ms &&
	       a->timeout_final_ms == b->timeout_final_ms && a->timeout_quit_ms == b->timeout_quit_ms &&
	       a->tls == b->tls && a->wire.api == b->wire.api && a->wire.context == b->wire.context &&
	       a->credentials == b->credentials && a->auth_without_tls == b->auth_without_tls &&
	       a->without == b->without;
}

bool mailer_same(const struct mailer *m, const struct mailer_settings *settings)
{
	const struct mailer_settings *own = &m->settings;

	return mailer_text_same(own->address, settings->address) && mailer_text_same(own->helo, settings->helo) &&
	       mailer_text_same(own->wire.sni, settings->wire.sni) &&
	       mailer_text_same(own->wire.verifyhost, settings->wire.verifyhost) &&
	       mailer_connection_same(own, settings) &&
	       own->maxconn == (settings->maxconn ? settings->maxconn : MAILER_MAXCONN) &&
	       own->mechanisms == (settings->mechanisms ? settings->mechanisms : SASL_ALL) &&
	       own->fall == (settings->fall ? settings->fall : MAILER_FALL) &&
	       own->rise == (settings->rise ? settings->rise : MAILER_RISE) &&
	       own->inter_ms == (settings->inter_ms ? settings->inter_ms : MAILER_INTER_MS);
}

/* --- rings --- */

bool mailer_reserve(struct mailer *m, size_t n)
{
	struct queue_ring **rings = realloc(m->rings, (m->rings_size + n) * sizeof(struct queue_ring *));

	if (!rings)
		return false;
	m->rings = rings;
	m->rings_size += n;
	return true;
}

void mailer_rings(struct mailer *m)
{
	m->rings[0] = &m->ring;
	m->nrings = 1;
}

void mailer_ring_add(struct mailer *m, struct queue_ring *ring)
{
	if (m->nrings < m->rings_size)
		m->rings[m->nrings++] = ring;
}

bool mailer_has_work(const struct mailer *m)
{
	size_t i;

	for (i = 0; i < m->nrings; i++) {
		if (m->rings[i]->ready)
			return true;
	}
	return false;
}

struct queue_ring *mailer_next_ring(struct mailer *m)
{
	size_t i;

	for (i = 0; i < m->nrings; i++) {
		struct queue_ring *ring = m->rings[(m->turn + i) % m->nrings];

		if (ring->ready) {
			m->turn = (m->turn + i + 1) % m->nrings;
			return ring;
		}
	}
	return NULL;
}

/* --- health --- */

bool mailer_usable(const struct mailer *m)
{
	return m->state != MAILER_DOWN && !m->suspended && m->lingering < MAILER_LINGER_MAX;
}

bool mailer_may_connect(const struct mailer *m, uint64_t now_ms)
{
	if (m->suspended || now_ms < m->paused_until_ms || m->active >= m->settings.maxconn)
		return false;
	return m->state == MAILER_UP || !m->trying;
}

void mailer_opened(struct mailer *m, struct mailer_session *s)
{
	m->active++;
	m->sessions++;
	s->epoch = m->epoch;
	if (m->state != MAILER_UP) {
		m->trying = true;
		s->trying = true;
	}
}

/* The one connection that tries does so no longer: another may. */
static void mailer_tried(struct mailer *m, struct mailer_session *s)
{
	if (s->trying && s->epoch == m->epoch)
		m->trying = false;
	s->trying = false;
}

/* The next connection is opened <ms> from now. */
static void mailer_wait(struct mailer *m, uint32_t ms, uint64_t now_ms)
{
	m->paused_until_ms = now_ms + (m->hurried && ms > MAILER_RETRY_MS ? MAILER_RETRY_MS : ms);
}

static void mailer_up(struct mailer *m)
{
	m->state = MAILER_UP;
	m->failures = 0;
	m->successes = 0;
	m->paused_until_ms = 0;
	m->trying = false;
}

bool mailer_ready(struct mailer *m, struct mailer_session *s, uint64_t now_ms)
{
	if (s->ready || s->ended)
		return false;
	s->ready = true;
	m->ready++;
	if (m->state != MAILER_DOWN || s->epoch != m->epoch)
		return false;
	if (++m->successes >= m->settings.rise) {
		mailer_up(m);
		m->since_ms = now_ms;
		return true;
	}
	mailer_wait(m, m->settings.inter_ms, now_ms);
	mailer_tried(m, s);
	return false;
}

void mailer_works(struct mailer *m, struct mailer_session *s)
{
	if (m->state == MAILER_FAILING && s->epoch == m->epoch)
		mailer_up(m);
}

bool mailer_linger(struct mailer *m, struct mailer_session *s)
{
	if (m->lingering >= MAILER_LINGER_MAX)
		return false;
	mailer_ended(m, s);
	mailer_tried(m, s);
	s->lingering = true;
	m->active--;
	m->lingering++;
	return true;
}

void mailer_ended(struct mailer *m, struct mailer_session *s)
{
	if (s->ended)
		return;
	s->ended = true;
	m->sessions--;
	m->ready -= s->ready;
}

void mailer_closed(struct mailer *m, struct mailer_session *s)
{
	mailer_tried(m, s);
	if (s->lingering)
		m->lingering--;
	else
		m->active--;
}

bool mailer_failed(struct mailer *m, struct mailer_session *s, uint64_t now_ms)
{
	bool went_down = false;

	if (s->epoch != m->epoch)
		return false;
	m->epoch++;
	m->trying = false;
	m->successes = 0;
	if (m->state == MAILER_UP)
		m->state = MAILER_FAILING;
	if (m->state == MAILER_DOWN || !m->ready)
		m->failures++;
	if (m->state == MAILER_FAILING && m->failures >= m->settings.fall) {
		m->state = MAILER_DOWN;
		m->since_ms = now_ms;
		went_down = true;
	}
	mailer_wait(m, m->state == MAILER_DOWN ? m->settings.inter_ms : MAILER_RETRY_MS, now_ms);
	return went_down;
}

void mailer_faltered(struct mailer *m, uint64_t now_ms)
{
	if (mailer_pause(m, now_ms) < MAILER_RETRY_MS)
		mailer_wait(m, MAILER_RETRY_MS, now_ms);
}

void mailer_hurry(struct mailer *m)
{
	m->paused_until_ms = 0;
}

uint32_t mailer_pause(const struct mailer *m, uint64_t now_ms)
{
	return now_ms < m->paused_until_ms ? (uint32_t)(m->paused_until_ms - now_ms) : 0;
}

const char *mailer_state_name(enum mailer_state state)
{
	static const char *const names[] = {
		[MAILER_UP] = "UP", [MAILER_FAILING] = "FAILING", [MAILER_DOWN] = "DOWN",
	};

	return (size_t)state < sizeof(names) / sizeof(*names) ? names[state] : "unknown";
}

/* --- TLS and tokens --- */

bool mailer_goes_plain(struct mailer *m, uint64_t now_ms)
{
	bool said = m->plain_said_ms && now_ms - m->plain_said_ms < MAILER_PLAIN_MS;

	m->plain = now_ms < m->plain_until_ms ? m->plain + 1 : 1;
	m->plain_until_ms = now_ms + MAILER_PLAIN_SOON_MS;
	if (!said)
		m->plain_said_ms = now_ms;
	return !said;
}

enum smtp_tls mailer_tls(struct mailer *m, uint64_t now_ms)
{
	if (m->settings.tls != SMTP_TLS_OPPORTUNISTIC || !m->plain || now_ms >= m->plain_until_ms)
		return m->settings.tls;
	m->plain--;
	return SMTP_TLS_NONE;
}

bool mailer_token_set(struct mailer *m, const char *text)
{
	size_t size = strlen(text) + 1;
	struct mailer_token *token = calloc(1, sizeof(*token) + size);

	if (!token)
		return false;
	memcpy(token->text, text, size);
	token->refs = 1;
	token->size = size;
	if (m->settings.credentials)
		token->credentials = *m->settings.credentials;
	token->credentials.token = token->text;
	mailer_token_release(m->token);
	m->token = token;
	return true;
}

const struct sasl_credentials *mailer_credentials(struct mailer *m, struct mailer_token **token)
{
	*token = m->token;
	if (!m->token)
		return m->settings.credentials;
	m->token->refs++;
	return &m->token->credentials;
}

void mailer_token_release(struct mailer_token *token)
{
	if (!token || --token->refs)
		return;
	sasl_wipe(token->text, token->size);
	free(token);
}

/* --- EHLO --- */

bool mailer_refuses_ehlo(struct mailer *m, uint64_t now_ms)
{
	bool first = !m->helo_until_ms;

	m->helo_until_ms = now_ms + MAILER_HELO_MS;
	return first;
}

bool mailer_helo_only(const struct mailer *m, uint64_t now_ms)
{
	return m->settings.tls != SMTP_TLS_REQUIRED && !m->settings.credentials && now_ms < m->helo_until_ms;
}
