/*
 * engine_show - what the engine is doing, as tables.
 */
#include "engine_internal.h"

void engine_show_mailers(const struct engine *e, struct buffer *out, uint64_t now_ms)
{
	(void)e;
	(void)now_ms;
	buffer_puts(out, "# not built yet\n");
}

void engine_show_alerts(const struct engine *e, struct buffer *out, uint64_t now_ms)
{
	(void)e;
	(void)now_ms;
	buffer_puts(out, "# not built yet\n");
}
