/*
 * batch - things of one key that come close together, kept until the batch that they make is due. It knows keys,
 * times and sizes; what its items are is their owner's business.
 *
 * An item joins the open batch of its key, or opens one. A batch is due <wait> after its last item, and <max_wait>
 * after its first at the latest; one that has reached a bound is due at once. A batch that is due takes no more
 * items: what comes later is the next one's, whether it was taken or not. With <first_now> an item that comes in
 * a quiet time of its key (none came for <wait>) is a batch of its own, due at once, and what follows is kept.
 *
 *   batch:  (none) -> open -> due -> taken, its taker's
 *                  -> due (alone, or full with its first item)
 *
 * Within a batch items stand in the order of adding, and in groups in the order of the groups' first items. All
 * times are milliseconds of the caller's monotonic clock. Adding costs O(log keys), the rest the same or less;
 * taking and flushing allocate nothing, so they cannot fail.
 */
#ifndef MAILERS_BATCH_H
#define MAILERS_BATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <mailers/error.h>

#define BATCH_KEYS_MAX 65536 /* keys of a set that have an open batch, or are not quiet */
#define BATCH_END      SIZE_MAX

struct batch_set;

struct batch_settings {
	uint32_t wait_ms, max_wait_ms;
	bool first_now;
	size_t items, bytes; /* bounds of a batch; an item alone may be larger. 0: none */
};

struct batch_item {
	void *data;        /* the caller's */
	size_t size;       /* bytes, as the caller counts them */
	uint64_t ms;       /* when it was added */
	size_t group;      /* index of its group */
	size_t next;       /* the next item of its group; BATCH_END after the last */
};

struct batch_group {
	char *name;
	size_t n;           /* items */
	size_t first, last; /* indices of the first and the last of them */
};

/* Read-only for everyone but the functions here. */
struct batch {
	char *key;
	struct batch_item *items;
	struct batch_group *groups;
	size_t nitems, ngroups, bytes;
	bool alone;        /* the first item of a time that was quiet before, by first_now */
	struct batch *next; /* what follows is the set's own */
	size_t *index, nindex, items_size, groups_size;
};

/* A batch of no set, of use where many things are to be grouped; NULL without memory. */
struct batch *batch_new(const char *key);
/* Adds an item behind the others. False without memory: nothing has changed then. */
bool batch_put(struct batch *b, const char *group, void *data, size_t size, uint64_t now_ms);
/* The group of this name; NULL without one. */
const struct batch_group *batch_find(const struct batch *b, const char *group);
void batch_free(struct batch *b); /* NULL is a no-op; the items' data are left alone */

/* NULL without memory. */
struct batch_set *batch_set_new(void);
/* Frees the batches that were not taken, too. NULL is a no-op. */
void batch_set_free(struct batch_set *s);
/* Adds an item of <key>. <settings> are copied for the batch that it opens; it joins one that is open by the
 * settings with which that was opened. OK; NOMEM or BOUND (BATCH_KEYS_MAX): it is in no batch.
 */
enum mailers_error batch_set_add(struct batch_set *s, const struct batch_settings *settings, const char *key,
                                 const char *group, void *data, size_t size, uint64_t now_ms);
/* A batch that is due at <now_ms>, of one key the earlier first, and the caller's from now on; NULL without one. */
struct batch *batch_set_take(struct batch_set *s, uint64_t now_ms);
/* When to call batch_set_take() again; 0: at once, UINT64_MAX: not before an item is added. */
uint64_t batch_set_deadline(const struct batch_set *s);
/* All open batches are due, and all keys are quiet. */
void batch_set_flush(struct batch_set *s);
/* Items in batches that were not taken. */
size_t batch_set_items(const struct batch_set *s);

#endif
