/*
 * engine_command - what an operator can change while the engine runs.
 */
#include "engine_internal.h"

size_t engine_flush(struct engine *e, const char *name, uint64_t now_ms)
{
	(void)e;
	(void)name;
	(void)now_ms;
	return 0;
}

size_t engine_pause(struct engine *e, const char *name, uint64_t now_ms)
{
	(void)e;
	(void)name;
	(void)now_ms;
	return 0;
}

size_t engine_resume(struct engine *e, const char *name, uint64_t now_ms)
{
	(void)e;
	(void)name;
	(void)now_ms;
	return 0;
}
