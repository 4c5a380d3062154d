/*
 * lane - see lane.h. A chained hash table that doubles, and a binary heap whose entries know their
 * place, so that a lane can leave it when its alert is dropped.
 */
#include <stdlib.h>

#include "lane.h"

#define LANE_BUCKETS_MIN 64

static size_t lane_hash(const struct queue_route *route, uint64_t server, size_t rcpt)
{
	uint64_t h = server * UINT64_C(0x9E3779B97F4A7C15) ^ (uint64_t)(uintptr_t)route ^ (uint64_t)rcpt << 48;

	h ^= h >> 32;
	h *= UINT64_C(0xD6E8FEB86659FD93);
	return (size_t)(h ^ h >> 32);
}

struct lane *lane_find(const struct lane_table *t, const struct queue_route *route, uint64_t server,
                       size_t rcpt)
{
	struct lane *lane;

	if (!t->nbuckets)
		return NULL;
	lane = t->buckets[lane_hash(route, server, rcpt) & (t->nbuckets - 1)];
	while (lane && (lane->server != server || lane->route != route || lane->rcpt != rcpt))
		lane = lane->chain;
	return lane;
}

static void lane_link(struct lane_table *t, struct lane *lane)
{
	struct lane **bucket = &t->buckets[lane_hash(lane->route, lane->server, lane->rcpt) & (t->nbuckets - 1)];

	lane->chain = *bucket;
	*bucket = lane;
}

/* Room in table and heap for one lane more. A table that cannot grow still works, a heap would not. */
static int lane_reserve(struct lane_table *t)
{
	struct lane_table bigger = *t;
	struct lane **heap;
	size_t i;

	if (t->count >= t->heap_size) {
		size_t size = t->heap_size ? t->heap_size * 2 : LANE_BUCKETS_MIN;

		heap = realloc(t->heap, size * sizeof(*heap));
		if (!heap)
			return 0;
		t->heap = heap;
		t->heap_size = size;
	}
	if (t->count < t->nbuckets)
		return 1;
	bigger.nbuckets = t->nbuckets ? t->nbuckets * 2 : LANE_BUCKETS_MIN;
	bigger.buckets = calloc(bigger.nbuckets, sizeof(*bigger.buckets));
	if (!bigger.buckets)
		return t->nbuckets != 0;
	for (i = 0; i < t->nbuckets; i++) {
		struct lane *lane, *next;

		for (lane = t->buckets[i]; lane; lane = next) {
			next = lane->chain;
			lane_link(&bigger, lane);
		}
	}
	free(t->buckets);
	t->buckets = bigger.buckets;
	t->nbuckets = bigger.nbuckets;
	return 1;
}

struct lane *lane_new(struct lane_table *t, struct queue_route *route, uint64_t server, size_t rcpt)
{
	struct lane *lane;

	if (!lane_reserve(t))
		return NULL;
	lane = calloc(1, sizeof(*lane));
	if (!lane)
		return NULL;
	list_init(&lane->ready);
	list_init(&lane->items);
	lane->route = route;
	lane->server = server;
	lane->rcpt = rcpt;
	lane_link(t, lane);
	t->count++;
	return lane;
}

void lane_free(struct lane_table *t, struct lane *lane)
{
	struct lane **p = &t->buckets[lane_hash(lane->route, lane->server, lane->rcpt) & (t->nbuckets - 1)];

	while (*p != lane)
		p = &(*p)->chain;
	*p = lane->chain;
	t->count--;
	free(lane);
}

static void lane_heap_place(struct lane_table *t, struct lane *lane, size_t pos)
{
	t->heap[pos] = lane;
	lane->heap_pos = pos;
}

static void lane_heap_up(struct lane_table *t, struct lane *lane, size_t pos)
{
	while (pos && t->heap[(pos - 1) / 2]->until_ms > lane->until_ms) {
		lane_heap_place(t, t->heap[(pos - 1) / 2], pos);
		pos = (pos - 1) / 2;
	}
	lane_heap_place(t, lane, pos);
}

static void lane_heap_down(struct lane_table *t, struct lane *lane, size_t pos)
{
	size_t child;

	while ((child = 2 * pos + 1) < t->heap_len) {
		if (child + 1 < t->heap_len && t->heap[child + 1]->until_ms < t->heap[child]->until_ms)
			child++;
		if (t->heap[child]->until_ms >= lane->until_ms)
			break;
		lane_heap_place(t, t->heap[child], pos);
		pos = child;
	}
	lane_heap_place(t, lane, pos);
}

void lane_heap_add(struct lane_table *t, struct lane *lane)
{
	lane_heap_up(t, lane, t->heap_len++);
}

void lane_heap_remove(struct lane_table *t, struct lane *lane)
{
	struct lane *last = t->heap[--t->heap_len];
	size_t pos = lane->heap_pos;

	if (last == lane)
		return;
	lane_heap_down(t, last, pos);
	if (last->heap_pos == pos)
		lane_heap_up(t, last, pos);
}

struct lane *lane_heap_first(const struct lane_table *t)
{
	return t->heap_len ? t->heap[0] : NULL;
}

void lane_table_free(struct lane_table *t)
{
	struct lane *lane, *next;
	size_t i;

	for (i = 0; i < t->nbuckets; i++) {
		for (lane = t->buckets[i]; lane; lane = next) {
			next = lane->chain;
			free(lane);
		}
	}
	free(t->buckets);
	free(t->heap);
	*t = (struct lane_table){ 0 };
}
