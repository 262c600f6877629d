/* heap.h - deadlines in order, and the timers that are due.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZL_HEAP_H
#define ZL_HEAP_H

#include <stdbool.h>
#include <stdint.h>

#include "memory.h"

typedef enum zl__heap_place {
  ZL__AT_REST,
  ZL__IN_HEAP,
  ZL__DUE /* collected, not yet called */
} zl__heap_place;

/* The heap's part of a timer, which is a member of the timer. */
typedef struct zl__heap_item {
  int64_t deadline;    /* ZL_FOREVER when at rest */
  uint64_t start;      /* number of its last start; orders equal deadlines */
  uint64_t rank;       /* the start that its heap key belongs to */
  uint32_t index;      /* of its entry, unless at rest */
  unsigned char place; /* zl__heap_place */
  bool boxed;          /* used by timer.c; here because it fills a gap */
} zl__heap_item;

/* Invariant: key <= item->deadline. A timer moved later keeps its key until the
 * entry comes to the top: re-arming an idle timeout costs one store. */
typedef struct zl__heap_entry {
  int64_t key;
  zl__heap_item *item; /* NULL: the timer has left */
} zl__heap_entry;

/* entries[0, count) is the heap. entries[due, capacity) are the timers to be
 * called in this iteration, in order; NULL where one has left. */
typedef struct zl__heap {
  zl__heap_entry *entries;
  uint32_t count;
  uint32_t gone; /* how many of them have no timer */
  uint32_t due;
  uint32_t capacity;
  uint32_t collected; /* of entries[due, capacity), those not NULL */
  uint64_t starts;    /* so far */
} zl__heap;

static inline bool zl__heap_empty(const zl__heap *heap) {
  return heap->count == heap->gone && heap->collected == 0;
}

/* Moves the item to the deadline, wherever it was before. Returns 0, or
 * -ENOMEM, which happens only to items at rest and leaves them so. */
int zl__heap_put(zl__heap *heap, zl__memory *memory, zl__heap_item *item,
                 int64_t deadline);

/* Puts the item to rest. */
void zl__heap_remove(zl__heap *heap, zl__heap_item *item);

/* The earliest deadline, or ZL_FOREVER. */
int64_t zl__heap_next(zl__heap *heap);

/* Collects the items due at `now`, ordered by deadline, then start. Only while
 * none are collected. */
void zl__heap_collect(zl__heap *heap, int64_t now);

/* The first collected timer, or NULL. */
zl__heap_item *zl__heap_first_due(zl__heap *heap);

/* Puts the first collected item to rest. */
void zl__heap_take(zl__heap *heap, zl__heap_item *item);

/* Gives the item that zl__heap_take() has just taken another deadline. There is
 * always room for it. */
void zl__heap_put_back(zl__heap *heap, zl__heap_item *item, int64_t deadline);

/* Shrinks the array; only while no items are collected. If the allocator fails
 * the array stays as it is. */
void zl__heap_trim(zl__heap *heap, zl__memory *memory);

/* Puts all items to rest: timers in the caller's memory outlive the loop. */
void zl__heap_free(zl__heap *heap, zl__memory *memory);

/* What is wrong, or NULL. */
const char *zl__heap_verify(const zl__heap *heap);

#endif /* ZL_HEAP_H */
