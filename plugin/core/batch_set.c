/*
 * batch_set - see batch.h: the open batches of all keys, and when each is due.
 *
 * A key is known while it has an open batch, or is not quiet yet and its batches are <first_now>. It stands
 * in a table by its text and in a heap by its time: when its batch is due, or it is quiet. The batches that
 * are due and not taken stand in a row. Room in the heap is reserved when a key is made, so nothing but adding
 * can fail.
 *
 * Called by the engine (engine_summary.c).
 */
#include <stdlib.h>
#include <string.h>

#include "batch_internal.h"

#define BATCH_BUCKETS_MIN 16

struct batch_key {
	struct batch_key *chain;        /* in the table */
	struct batch_settings settings; /* of its last batch */
	struct batch *open;             /* NULL: it is only not quiet yet */
	uint64_t first_ms, last_ms;     /* of the open batch's items; the last also without one */
	uint64_t until_ms;              /* by which it stands in the heap */
	size_t pos;                     /* there */
	char text[];
};

struct batch_set {
	struct batch_key **buckets; /* a power of two */
	struct batch_key **heap;
	size_t nbuckets, nkeys, heap_size, nitems;
	struct batch *due, **due_end;
};

struct batch_set *batch_set_new(void)
{
	struct batch_set *s = calloc(1, sizeof(*s));

	if (s)
		s->due_end = &s->due;
	return s;
}

void batch_set_free(struct batch_set *s)
{
	struct batch *b;
	size_t i;

	if (!s)
		return;
	while ((b = s->due)) {
		s->due = b->next;
		batch_free(b);
	}
	for (i = 0; i < s->nkeys; i++) {
		batch_free(s->heap[i]->open);
		free(s->heap[i]);
	}
	free(s->heap);
	free(s->buckets);
	free(s);
}

/* --- the heap: the earliest first --- */

static void batch_heap_place(struct batch_set *s, struct batch_key *k, size_t pos)
{
	s->heap[pos] = k;
	k->pos = pos;
}

/* <k>, whose time has changed, goes from <pos>, which is free, to where it belongs. */
static void batch_heap_settle(struct batch_set *s, struct batch_key *k, size_t pos)
{
	size_t child;

	while (pos && s->heap[(pos - 1) / 2]->until_ms > k->until_ms) {
		batch_heap_place(s, s->heap[(pos - 1) / 2], pos);
		pos = (pos - 1) / 2;
	}
	while ((child = 2 * pos + 1) < s->nkeys) {
		if (child + 1 < s->nkeys && s->heap[child + 1]->until_ms < s->heap[child]->until_ms)
			child++;
		if (s->heap[child]->until_ms >= k->until_ms)
			break;
		batch_heap_place(s, s->heap[child], pos);
		pos = child;
	}
	batch_heap_place(s, k, pos);
}

/* --- keys --- */

static struct batch_key **batch_key_link(const struct batch_set *s, const char *text)
{
	struct batch_key **link = &s->buckets[batch_hash(text) & (s->nbuckets - 1)];

	while (*link && strcmp((*link)->text, text))
		link = &(*link)->chain;
	return link;
}

/* Room for one key more. A table that cannot grow still works, a heap would not. */
static bool batch_key_reserve(struct batch_set *s)
{
	size_t size = s->heap_size ? 2 * s->heap_size : BATCH_BUCKETS_MIN, i;
	struct batch_key **heap, **buckets;

	if (s->nkeys == s->heap_size) {
		heap = realloc(s->heap, size * sizeof(*heap));
		if (!heap)
			return false;
		s->heap = heap;
		s->heap_size = size;
	}
	if (s->nkeys < s->nbuckets)
		return true;
	size = s->nbuckets ? 2 * s->nbuckets : BATCH_BUCKETS_MIN;
	buckets = calloc(size, sizeof(*buckets));
	if (!buckets)
		return s->nbuckets != 0;
	free(s->buckets);
	s->buckets = buckets;
	s->nbuckets = size;
	for (i = 0; i < s->nkeys; i++) {
		struct batch_key **bucket = &buckets[batch_hash(s->heap[i]->text) & (size - 1)];

		s->heap[i]->chain = *bucket;
		*bucket = s->heap[i];
	}
	return true;
}

static struct batch_key *batch_key_new(struct batch_set *s, const char *text)
{
	size_t size = strlen(text) + 1;
	struct batch_key *k, **link;

	if (!batch_key_reserve(s))
		return NULL;
	k = calloc(1, sizeof(*k) + size);
	if (!k)
		return NULL;
	memcpy(k->text, text, size);
	k->until_ms = UINT64_MAX;
	link = batch_key_link(s, text);
	*link = k;
	batch_heap_place(s, k, s->nkeys++);
	return k;
}

static void batch_key_forget(struct batch_set *s, struct batch_key *k)
{
	struct batch_key *last = s->heap[--s->nkeys];

	*batch_key_link(s, k->text) = k->chain;
	if (last != k)
		batch_heap_settle(s, last, k->pos);
	free(k);
}

/* Its time has changed. */
static void batch_key_wait(struct batch_set *s, struct batch_key *k)
{
	uint64_t quiet = k->last_ms + k->settings.wait_ms, most = k->first_ms + k->settings.max_wait_ms;

	k->until_ms = k->open && most < quiet ? most : quiet;
	batch_heap_settle(s, k, k->pos);
}

/* Its open batch, if it has one, is due. It is forgotten when nothing has to be known of it at <now_ms>. */
static void batch_key_close(struct batch_set *s, struct batch_key *k, uint64_t now_ms)
{
	if (k->open) {
		*s->due_end = k->open;
		s->due_end = &k->open->next;
		k->open = NULL;
	}
	if (k->settings.first_now && k->last_ms + k->settings.wait_ms > now_ms)
		batch_key_wait(s, k);
	else
		batch_key_forget(s, k);
}

/* --- items --- */

static bool batch_full(const struct batch *b, const struct batch_settings *settings)
{
	return (settings->items && b->nitems >= settings->items) || (settings->bytes && b->bytes >= settings->bytes);
}

/* Does an item of <size> belong into the next batch? */
static bool batch_over(const struct batch *b, const struct batch_settings *settings, size_t size)
{
	return settings->bytes && size > settings->bytes - b->bytes;
}

/* The key to which an item is added now; NULL: it is new. What is due or full is closed. */
static struct batch_key *batch_key_ready(struct batch_set *s, const char *key, size_t size, uint64_t now_ms)
{
	struct batch_key *k = s->nbuckets ? *batch_key_link(s, key) : NULL;

	if (k && (k->until_ms <= now_ms || (k->open && batch_over(k->open, &k->settings, size)))) {
		batch_key_close(s, k, now_ms);
		k = *batch_key_link(s, key);
	}
	return k;
}

/* Opens the batch of <k> and puts its first item into it; false without memory. */
static bool batch_key_open(struct batch_key *k, const struct batch_settings *settings, const char *group,
                           void *data, size_t size, uint64_t now_ms)
{
	struct batch *b = batch_new(k->text);

	if (!b || !batch_put(b, group, data, size, now_ms)) {
		batch_free(b);
		return false;
	}
	k->open = b;
	k->settings = *settings;
	k->first_ms = now_ms;
	return true;
}

enum mailers_error batch_set_add(struct batch_set *s, const struct batch_settings *settings, const char *key,
                                 const char *group, void *data, size_t size, uint64_t now_ms)
{
	struct batch_key *k = batch_key_ready(s, key, size, now_ms);
	bool quiet = !k, added;

	if (quiet && s->nkeys >= BATCH_KEYS_MAX)
		return MAILERS_ERR_BOUND;
	if (quiet)
		k = batch_key_new(s, key);
	if (!k)
		return MAILERS_ERR_NOMEM;
	if (k->open)
		added = batch_put(k->open, group, data, size, now_ms);
	else
		added = batch_key_open(k, settings, group, data, size, now_ms);
	if (!added) {
		if (quiet)
			batch_key_forget(s, k);
		return MAILERS_ERR_NOMEM;
	}
	s->nitems++;
	k->last_ms = now_ms;
	k->open->alone = quiet && settings->first_now;
	if (k->open->alone || batch_full(k->open, &k->settings))
		batch_key_close(s, k, now_ms);
	else
		batch_key_wait(s, k);
	return MAILERS_OK;
}

struct batch *batch_set_take(struct batch_set *s, uint64_t now_ms)
{
	struct batch *b;

	while (s->nkeys && s->heap[0]->until_ms <= now_ms)
		batch_key_close(s, s->heap[0], now_ms);
	b = s->due;
	if (!b)
		return NULL;
	s->due = b->next;
	if (!s->due)
		s->due_end = &s->due;
	b->next = NULL;
	s->nitems -= b->nitems;
	return b;
}

uint64_t batch_set_deadline(const struct batch_set *s)
{
	if (s->due)
		return 0;
	return s->nkeys ? s->heap[0]->until_ms : UINT64_MAX;
}

void batch_set_flush(struct batch_set *s)
{
	while (s->nkeys)
		batch_key_close(s, s->heap[0], UINT64_MAX);
}

size_t batch_set_items(const struct batch_set *s)
{
	return s->nitems;
}
