/*
 * engine_log - the lines that the host writes to its log: a bounded ring of texts. Formatting happens
 * here, with every byte made printable, so that no host has to think of it; a line that finds no
 * place is counted, and the count is told as soon as there is room.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine_internal.h"

struct engine_log_line {
	enum alert_level level;
	char text[];
};

/* Control bytes and 8-bit bytes become '?': whoever wants them readable escapes before. */
static void engine_log_printable(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || (unsigned char)*text > 0x7e)
			*text = '?';
	}
}

void engine_vlog(struct engine *e, enum alert_level level, const char *format, va_list ap)
{
	char text[sizeof(((struct engine_log *)0)->text)];
	struct engine_log_line *line = NULL;
	size_t size;

	vsnprintf(text, sizeof(text), format, ap);
	engine_log_printable(text);
	size = strlen(text) + 1;
	if (e->log.count < ENGINE_LOG_LINES)
		line = malloc(sizeof(*line) + size);
	if (!line) {
		e->log.lost++;
		return;
	}
	line->level = level;
	memcpy(line->text, text, size);
	e->log.lines[(e->log.first + e->log.count++) % ENGINE_LOG_LINES] = line;
}

void engine_log(struct engine *e, enum alert_level level, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	engine_vlog(e, level, format, ap);
	va_end(ap);
}

bool engine_next_log(struct engine *e, struct engine_log *log)
{
	struct engine_log_line *line;

	if (!e->log.count) {
		if (!e->log.lost)
			return false;
		log->level = ALERT_LEVEL_WARNING;
		snprintf(log->text, sizeof(log->text), "mailers: %zu log lines lost", e->log.lost);
		e->log.lost = 0;
		return true;
	}
	line = e->log.lines[e->log.first];
	e->log.first = (e->log.first + 1) % ENGINE_LOG_LINES;
	e->log.count--;
	log->level = line->level;
	snprintf(log->text, sizeof(log->text), "%s", line->text);
	free(line);
	return true;
}

void engine_log_free(struct engine *e)
{
	while (e->log.count) {
		free(e->log.lines[e->log.first]);
		e->log.first = (e->log.first + 1) % ENGINE_LOG_LINES;
		e->log.count--;
	}
}
