/*
 * batch - see batch.h: one batch, its items and their groups. The open ones of all keys, and their time, are
 * batch_set.c's.
 *
 * Groups are found by a table of indices with open addressing, at most half full. What an item needs is
 * reserved first, so that one that finds no memory changes nothing.
 *
 * Called by batch_set.c, and by who has things to group (flight_summary.c).
 */
#include <stdlib.h>
#include <string.h>

#include "batch_internal.h"

#define BATCH_SIZE_MIN 8

char *batch_copy(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = malloc(size);

	if (copy)
		memcpy(copy, text, size);
	return copy;
}

size_t batch_hash(const char *text)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *text; text++)
		h = (h ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
	return (size_t)(h ^ h >> 32);
}

struct batch *batch_new(const char *key)
{
	struct batch *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->key = batch_copy(key);
	if (b->key)
		return b;
	free(b);
	return NULL;
}

void batch_free(struct batch *b)
{
	size_t i;

	if (!b)
		return;
	for (i = 0; i < b->ngroups; i++)
		free(b->groups[i].name);
	free(b->groups);
	free(b->items);
	free(b->index);
	free(b->key);
	free(b);
}

/* The place of <group> in the index: that of its entry, or the free one where it belongs. */
static size_t *batch_place(const struct batch *b, const char *group)
{
	size_t i = batch_hash(group) & (b->nindex - 1);

	while (b->index[i] && strcmp(b->groups[b->index[i] - 1].name, group))
		i = (i + 1) & (b->nindex - 1);
	return &b->index[i];
}

const struct batch_group *batch_find(const struct batch *b, const char *group)
{
	const size_t *place = b->nindex ? batch_place(b, group) : NULL;

	return place && *place ? &b->groups[*place - 1] : NULL;
}

/* Twice the index, its entries in their new places. */
static bool batch_index_grow(struct batch *b)
{
	size_t n = b->nindex ? 2 * b->nindex : 2 * BATCH_SIZE_MIN, i;
	size_t *index = calloc(n, sizeof(*index));

	if (!index)
		return false;
	free(b->index);
	b->index = index;
	b->nindex = n;
	for (i = 0; i < b->ngroups; i++)
		*batch_place(b, b->groups[i].name) = i + 1;
	return true;
}

/* Room for one item and one group more, in all arrays. */
static bool batch_reserve(struct batch *b)
{
	if (b->nitems == b->items_size) {
		size_t size = b->items_size ? 2 * b->items_size : BATCH_SIZE_MIN;
		struct batch_item *items = realloc(b->items, size * sizeof(*items));

		if (!items)
			return false;
		b->items = items;
		b->items_size = size;
	}
	if (b->ngroups == b->groups_size) {
		size_t size = b->groups_size ? 2 * b->groups_size : BATCH_SIZE_MIN;
		struct batch_group *groups = realloc(b->groups, size * sizeof(*groups));

		if (!groups)
			return false;
		b->groups = groups;
		b->groups_size = size;
	}
	return 2 * (b->ngroups + 1) <= b->nindex || batch_index_grow(b);
}

/* The index of the group of this name, made without items if it is new; BATCH_END without memory. */
static size_t batch_group(struct batch *b, const char *name)
{
	size_t *place = batch_place(b, name);
	struct batch_group *g;

	if (*place)
		return *place - 1;
	g = &b->groups[b->ngroups];
	*g = (struct batch_group){ .name = batch_copy(name), .first = BATCH_END, .last = BATCH_END };
	if (!g->name)
		return BATCH_END;
	*place = ++b->ngroups;
	return b->ngroups - 1;
}

bool batch_put(struct batch *b, const char *group, void *data, size_t size, uint64_t now_ms)
{
	struct batch_group *g;
	size_t i;

	if (!batch_reserve(b))
		return false;
	i = batch_group(b, group);
	if (i == BATCH_END)
		return false;
	g = &b->groups[i];
	b->items[b->nitems] = (struct batch_item){ data, size, now_ms, i, BATCH_END };
	if (g->n++)
		b->items[g->last].next = b->nitems;
	else
		g->first = b->nitems;
	g->last = b->nitems++;
	b->bytes += size;
	return true;
}
