/*
 * address_table - reads regtests/haproxy/address/texts.table (its head says what is in it), for the
 * unit test and for address_check. Everything is static, so that both link the core and nothing else.
 */
#ifndef ADDRESS_TABLE_H
#define ADDRESS_TABLE_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <mailers/address.h>

#define ADDRESS_TABLE_ROWS 1000
#define ADDRESS_TABLE_TEXT 400
#define ADDRESS_TABLE_ENV  16

struct address_table_row {
	unsigned line;                   /* in the file */
	bool accepted;                   /* by the HAProxys from <major>.<minor> on; the older ones do the opposite */
	unsigned major, minor;           /* 0.0: all do the same */
	bool with_port;                  /* Socket:connect(text, 1) */
	char text[ADDRESS_TABLE_TEXT];
};

struct address_table {
	size_t rows, envs;
	struct address_table_row row[ADDRESS_TABLE_ROWS];
	struct { char name[64], value[64]; } env[ADDRESS_TABLE_ENV];
};

/* Does HAProxy <major>.<minor> accept the row's text? */
static inline bool address_table_accepted(const struct address_table_row *row, unsigned major, unsigned minor)
{
	bool older = major < row->major || (major == row->major && minor < row->minor);

	return older ? !row->accepted : row->accepted;
}

/* An address_getenv_fn with the table as its argument. */
static inline const char *address_table_getenv(const char *name, void *arg)
{
	const struct address_table *table = arg;

	for (size_t i = 0; i < table->envs; i++) {
		if (strcmp(table->env[i].name, name) == 0)
			return table->env[i].value;
	}
	return NULL;
}

/* What the parser says about the row for a client of HAProxy <major>.<minor>. */
static inline enum mailers_error address_table_parse(struct address_table *table,
                                                     const struct address_table_row *row,
                                                     unsigned major, unsigned minor, struct address *out,
                                                     char *reason, size_t reason_size)
{
	unsigned flags = ADDRESS_CLIENT | ADDRESS_HAPROXY(major, minor);
	char text[ADDRESS_TABLE_TEXT + 1];

	if (!row->with_port)
		flags |= ADDRESS_NEED_PORT;
	snprintf(text, sizeof(text), "%s%s", row->text, row->with_port ? ":" : "");
	return address_parse(out, text, flags, address_table_getenv, table, reason, reason_size);
}

/* Replaces each \xNN of <text> by its byte. */
static inline void address_table_unescape(char *text)
{
	char *out = text;
	unsigned byte;

	while (*text) {
		if (sscanf(text, "\\x%2X", &byte) == 1) {
			*out++ = (char)byte;
			text += 4;
		} else {
			*out++ = *text++;
		}
	}
	*out = '\0';
}

/* Reads one line, already without its end. Returns false when it is none of the table's. */
static inline bool address_table_line(struct address_table *table, unsigned number, char *line)
{
	struct address_table_row *row = &table->row[table->rows];
	char *first = strchr(line, '"'), *last = strrchr(line, '"');
	char verdict[16] = "", name[64] = "", *with_port;

	if (!*line || *line == '#')
		return true;
	if (first == last || table->rows == ADDRESS_TABLE_ROWS || strlen(first) > sizeof(row->text))
		return false;
	*first++ = '\0';
	*last = '\0';
	if (sscanf(line, "env %63s", name) == 1) {
		if (table->envs == ADDRESS_TABLE_ENV || strlen(first) >= sizeof(table->env[0].value))
			return false;
		strcpy(table->env[table->envs].name, name);
		strcpy(table->env[table->envs++].value, first);
		return true;
	}
	memset(row, 0, sizeof(*row));
	with_port = strstr(line, " with port");
	row->with_port = with_port != NULL;
	if (with_port)
		memset(with_port, ' ', strlen(" with port"));
	if (sscanf(line, "%15s from %u.%u", verdict, &row->major, &row->minor) == 2)
		return false;
	row->line = number;
	row->accepted = strcmp(verdict, "accepted") == 0;
	strcpy(row->text, first);
	address_table_unescape(row->text);
	table->rows++;
	return row->accepted || strcmp(verdict, "refused") == 0;
}

/* Reads the file. Returns the table, to be freed with free(), or NULL after saying why on stderr. */
static inline struct address_table *address_table_read(const char *path)
{
	struct address_table *table = calloc(1, sizeof(*table));
	FILE *file = fopen(path, "r");
	char line[1024];
	bool ok = table && file;

	if (!file)
		perror(path);
	for (unsigned number = 1; ok && fgets(line, sizeof(line), file); number++) {
		line[strcspn(line, "\n")] = '\0';
		ok = address_table_line(table, number, line);
		if (!ok)
			fprintf(stderr, "%s:%u: not a row of the table\n", path, number);
	}
	if (file)
		fclose(file);
	if (ok)
		return table;
	free(table);
	return NULL;
}

#endif
