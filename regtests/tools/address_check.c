/*
 * address_check - what address_parse() says about the rows of an address table, for regtests/haproxy/address/run.sh.
 *
 *   address_check <table> <major>.<minor>
 *
 * Prints for each row, with tabs between: line number, verdict of the table for that HAProxy, verdict of the parser
 * (for a client, as Socket:connect), text as it is printed back, reason. Links the core alone.
 */
#include <mailers/address.h>

#include "address_table.h"

static void print_row(struct address_table *table, const struct address_table_row *row,
                      unsigned major, unsigned minor)
{
	char text[ADDRESS_TEXT_MAX + 1] = "", reason[256];
	struct address address;
	bool accepted;

	accepted = address_table_parse(table, row, major, minor, &address, reason, sizeof(reason)) == MAILERS_OK;
	address_print(&address, text, sizeof(text));
	for (char *c = text; *c; c++) {
		if ((unsigned char)*c < ' ')
			*c = '?';
	}
	printf("%u\t%s\t%s\t%s\t%s\n", row->line,
	       address_table_accepted(row, major, minor) ? "accepted" : "refused",
	       accepted ? "accepted" : "refused", *text ? text : "-", *reason ? reason : "-");
}

int main(int argc, char **argv)
{
	struct address_table *table;
	unsigned major, minor;

	if (argc != 3 || sscanf(argv[2], "%u.%u", &major, &minor) != 2) {
		fprintf(stderr, "usage: address_check <table> <major>.<minor>\n");
		return 2;
	}
	table = address_table_read(argv[1]);
	if (!table)
		return 1;
	for (size_t i = 0; i < table->rows; i++)
		print_row(table, &table->row[i], major, minor);
	free(table);
	return 0;
}
