/*
 * lane - the queue's lanes: the table that finds them and the heap of those that wait for a time.
 *
 * Private to the queue. A lane exists while it holds an item. The heap never has to grow at a moment
 * that cannot fail: room for every lane is reserved when the lane is made.
 */
#ifndef CORE_LANE_H
#define CORE_LANE_H

#include <stddef.h>
#include <stdint.h>

#include "list.h"

struct queue_route;

enum lane_state {
	LANE_EMPTY = 0, /* just made, or its last item left */
	LANE_READY,     /* in a pool of its route */
	LANE_BUSY,      /* its head is in flight */
	LANE_DEFERRED,  /* in the heap until <until_ms>, because of its head */
	LANE_HELD,      /* in the heap until <until_ms>, because of others */
};

struct lane {
	struct list ready;         /* in the pool while READY */
	struct list items;         /* queue_item.in_lane, oldest first */
	struct lane *chain;        /* in the table */
	struct queue_route *route;
	uint64_t server;
	uint64_t until_ms;
	size_t rcpt;               /* index of the recipient in the route */
	size_t heap_pos;           /* while DEFERRED or HELD */
	enum lane_state state;
	unsigned pool;             /* while READY: index of the pool in the route */
};

struct lane_table {
	struct lane **buckets;     /* a power of two */
	struct lane **heap;        /* lanes that wait, the earliest first */
	size_t nbuckets, count;
	size_t heap_len, heap_size;
};

/* Finds the lane or returns NULL. */
struct lane *lane_find(const struct lane_table *t, const struct queue_route *route, uint64_t server,
                       size_t rcpt);
/* Makes an EMPTY lane that is not there yet; NULL without memory. */
struct lane *lane_new(struct lane_table *t, struct queue_route *route, uint64_t server, size_t rcpt);
/* Removes and frees a lane that is neither in a pool nor in the heap. */
void lane_free(struct lane_table *t, struct lane *lane);
/* Puts <lane> into the heap by its <until_ms>, or takes it out; sets no state. */
void lane_heap_add(struct lane_table *t, struct lane *lane);
void lane_heap_remove(struct lane_table *t, struct lane *lane);
/* The lane with the earliest time; NULL without one. */
struct lane *lane_heap_first(const struct lane_table *t);
/* Frees all lanes and the table's memory. */
void lane_table_free(struct lane_table *t);

#endif
