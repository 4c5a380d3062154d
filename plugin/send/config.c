/*
 * config - see config.h. Reads words as HAProxy does as far as a `mailer` line needs it: blanks separate, '#' begins
 * a comment, quotes and backslashes are refused where they matter, as nobody writes them there.
 *
 * Called by mailers_send.c once.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"

static const char config_blanks[] = " \t\r\n";

/* The address of a line that is `mailer <id> <address>`; NULL of any other. Cuts the line to pieces. */
static const char *config_line(char *line, const char *id)
{
	char *save = NULL, *word;

	line[strcspn(line, "#")] = '\0';
	word = strtok_r(line, config_blanks, &save);
	if (!word || strcmp(word, "mailer"))
		return NULL;
	word = strtok_r(NULL, config_blanks, &save);
	if (!word || strcmp(word, id))
		return NULL;
	return strtok_r(NULL, config_blanks, &save);
}

char *config_mailer(const char *path, const char *id, char *reason)
{
	FILE *file = fopen(path, "re");
	char *line = NULL, *found = NULL;
	bool differ = false;
	const char *address;
	size_t size = 0;

	if (!file) {
		snprintf(reason, CONFIG_REASON_SIZE, "%.200s: %s", path, strerror(errno));
		return NULL;
	}
	while (!differ && getline(&line, &size, file) >= 0) {
		address = config_line(line, id);
		if (!address)
			continue;
		if (found)
			differ = strcmp(found, address) != 0;
		else
			found = strdup(address);
	}
	free(line);
	fclose(file);
	if (found && !differ)
		return found;
	free(found);
	snprintf(reason, CONFIG_REASON_SIZE, differ ? "%.200s: mailer %.100s stands there with different addresses; say "
	         "which with --address" : "%.200s: there is no line 'mailer %.100s ADDRESS'", path, id);
	return NULL;
}
