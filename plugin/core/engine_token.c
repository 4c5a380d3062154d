/*
 * engine_token - OAuth access tokens that a server refuses, and the new ones that the host reads then.
 */
#include "engine_internal.h"

int engine_token_wanted(struct engine *e)
{
	(void)e;
	return -1;
}

enum mailers_error engine_token_set(struct engine *e, int index, const char *token, uint64_t now_ms)
{
	(void)e;
	(void)index;
	(void)token;
	(void)now_ms;
	return MAILERS_OK;
}

const struct mailer_settings *engine_mailer_settings(const struct engine *e, int index)
{
	const struct mailer *m = index < 0 ? NULL : e->mailers;

	while (m && index--)
		m = m->next;
	return m ? &m->settings : NULL;
}
