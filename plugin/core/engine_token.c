/*
 * engine_token - OAuth access tokens that a server refuses, and the new ones that the host reads then.
 *
 * A token lives for an hour or so, and whoever renews it writes it into a file. So a refusal asks the host
 * for that file's contents before the next try; when they are new, that try comes at once.
 *
 * Called by connection.c, and by the host after each tick.
 */
#include <string.h>

#include "engine_internal.h"

void engine_token_failed(struct mailer *m, const struct smtp_client_event *ev)
{
	if (ev->credentials_refused && m->settings.credentials &&
	    m->settings.credentials->token)
		m->token_refused = true;
}

static struct mailer *engine_mailer_at(const struct engine *e, int index)
{
	struct mailer *m = index < 0 ? NULL : e->mailers;

	while (m && index--)
		m = m->next;
	return m;
}

int engine_token_wanted(struct engine *e)
{
	struct mailer *m;
	int i = 0;

	for (m = e->mailers; m; m = m->next, i++) {
		if (m->token_refused) {
			m->token_refused = false;
			return i;
		}
	}
	return -1;
}

enum mailers_error engine_token_set(struct engine *e, int index, const char *token, uint64_t now_ms)
{
	struct mailer *m = engine_mailer_at(e, index);
	const char *old;

	(void)now_ms;
	if (!m || !m->settings.credentials)
		return MAILERS_ERR_STATE;
	old = m->token ? m->token->text : m->settings.credentials->token;
	if (old && !strcmp(old, token))
		return MAILERS_OK; /* the refused one again: its pause goes on */
	if (!mailer_token_set(m, token))
		return MAILERS_ERR_NOMEM;
	mailer_hurry(m);
	return MAILERS_OK;
}

void engine_token_missing(struct engine *e, int index, const char *why)
{
	const struct mailer *m = engine_mailer_at(e, index);

	if (m)
		engine_log(e, m->state == MAILER_DOWN ? ALERT_LEVEL_INFO : ALERT_LEVEL_WARNING,
		           "mailers: mailer %s (%s): no new token: %s", m->settings.name, m->settings.address, why);
}

const struct mailer_settings *engine_mailer_settings(const struct engine *e, int index)
{
	const struct mailer *m = engine_mailer_at(e, index);

	return m ? &m->settings : NULL;
}
