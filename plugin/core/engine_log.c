/*
 * engine_log - the lines that the host writes to its log: a bounded ring of texts. Formatting happens
 * here, with every byte made printable, so that no host has to think of it. A line that finds no place or
 * no memory is counted, and a line about it stands where it is missing.
 *
 * Called by every file of the engine, and by its host.
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

/* Puts a printable line into the ring; false without a place or memory. */
static bool engine_log_add(struct engine *e, enum alert_level level, const char *text)
{
	size_t size = strlen(text) + 1;
	struct engine_log_line *line = NULL;

	if (e->log.count < ENGINE_LOG_LINES)
		line = malloc(sizeof(*line) + size);
	if (!line)
		return false;
	line->level = level;
	memcpy(line->text, text, size);
	e->log.lines[(e->log.first + e->log.count++) % ENGINE_LOG_LINES] = line;
	return true;
}

static void engine_log_print_lost(const struct engine *e, char *text, size_t size)
{
	snprintf(text, size, "mailers: %zu log line%s lost", e->log.lost, e->log.lost == 1 ? "" : "s");
}

void engine_log(struct engine *e, enum alert_level level, const char *format, ...)
{
	char text[sizeof(((struct engine_log *)0)->text)];
	va_list ap;

	if (e->log.lost) {
		engine_log_print_lost(e, text, sizeof(text));
		if (engine_log_add(e, ALERT_LEVEL_WARNING, text))
			e->log.lost = 0;
	}
	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);
	engine_log_printable(text);
	if (!engine_log_add(e, level, text))
		e->log.lost++;
}

bool engine_next_log(struct engine *e, struct engine_log *log)
{
	struct engine_log_line *line;

	if (!e->log.count) {
		if (!e->log.lost)
			return false;
		log->level = ALERT_LEVEL_WARNING;
		engine_log_print_lost(e, log->text, sizeof(log->text));
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

bool engine_log_room(const struct engine *e)
{
	return e->log.count < ENGINE_LOG_LINES / 2;
}
