/* heap.c - deadlines in a 4-ary heap, and the timers that are due.
 * SPDX-License-Identifier: MIT
 *
 * The heap is an array of 16-byte entries, so that four children share a cache
 * line: three to five times as fast as a heap of pointers at 100,000 timers. A
 * timer knows its index. A cancelled timer leaves its entry behind, so that
 * cancelling does not move entries; when more than half of the entries have no
 * timer, all of those are removed at once.
 *
 * Due timers are first collected, then called: a timer started meanwhile, even
 * without a delay, waits for the next iteration, and one cancelled meanwhile
 * leaves a hole and is never called. Collected timers wait at the end of the
 * same array, in order, in the places that the heap has vacated. The place of
 * the first one is next to the heap, so a periodic timer always finds room to
 * return; the holes that others leave are closed when the array cannot grow. So
 * an active timer can always be started again.
 *
 * After a burst the array is halved when only an eighth of it is in use, so the
 * cost of a resize is spread over as many timers started or cancelled.
 */
#include <errno.h>
#include <string.h>

#include "heap.h"

enum { ARITY = 4, FIRST_CAPACITY = 16, KEPT_CAPACITY = 256 };

/* Are the timers' indices kept up to date while the heap is changed? Where many
 * entries move, numbering all of them afterwards is cheaper: most timers are
 * not in the processor's cache. */
typedef enum numbering { NUMBERED, NUMBERED_LATER } numbering;

/* An entry without a timer comes before others with the same key. */
static uint64_t rank_of(const zl__heap_entry *entry) {
  return entry->item ? entry->item->rank : 0;
}

static inline bool earlier(const zl__heap_entry *a, const zl__heap_entry *b) {
  return a->key == b->key ? rank_of(a) < rank_of(b) : a->key < b->key;
}

static inline void place(zl__heap *heap, uint32_t index, zl__heap_entry entry,
                         numbering numbers) {
  heap->entries[index] = entry;
  if (numbers == NUMBERED && entry.item) {
    entry.item->index = index;
  }
}

static void sift_up(zl__heap *heap, uint32_t index) {
  zl__heap_entry entry = heap->entries[index];
  while (index > 0) {
    uint32_t parent = (index - 1) / ARITY;
    if (!earlier(&entry, &heap->entries[parent])) {
      break;
    }
    place(heap, index, heap->entries[parent], NUMBERED);
    index = parent;
  }
  place(heap, index, entry, NUMBERED);
}

static inline void sift_down(zl__heap *heap, uint32_t index,
                             numbering numbers) {
  zl__heap_entry entry = heap->entries[index];
  for (;;) {
    uint64_t first = (uint64_t)index * ARITY + 1;
    if (first >= heap->count) {
      break;
    }
    uint32_t best = (uint32_t)first;
    uint64_t last = first + ARITY < heap->count ? first + ARITY : heap->count;
    for (uint32_t child = best + 1; child < last; child++) {
      if (earlier(&heap->entries[child], &heap->entries[best])) {
        best = child;
      }
    }
    if (!earlier(&heap->entries[best], &entry)) {
      break;
    }
    place(heap, index, heap->entries[best], numbers);
    index = best;
  }
  place(heap, index, entry, numbers);
}

static void number_all(zl__heap *heap) {
  for (uint32_t i = 0; i < heap->count; i++) {
    if (heap->entries[i].item) {
      heap->entries[i].item->index = i;
    }
  }
}

static void drop_gone(zl__heap *heap) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < heap->count; i++) {
    if (heap->entries[i].item) {
      heap->entries[kept++] = heap->entries[i];
    }
  }
  heap->count = kept;
  heap->gone = 0;
}

/* Makes a heap of entries in any order. */
static void order(zl__heap *heap) {
  for (uint32_t i = (heap->count + ARITY - 2) / ARITY; i > 0; i--) {
    sift_down(heap, i - 1, NUMBERED_LATER);
  }
}

static void sweep(zl__heap *heap) {
  drop_gone(heap);
  order(heap);
  number_all(heap);
}

/* ---- room --------------------------------------------------------------- */

/* Collected timers move to the end of the larger array. */
static void move_due(zl__heap *heap, uint32_t capacity) {
  uint32_t due = heap->capacity - heap->due;
  uint32_t moved = capacity - heap->capacity;
  memmove(heap->entries + heap->due + moved, heap->entries + heap->due,
          due * sizeof *heap->entries);
  heap->due += moved;
  heap->capacity = capacity;
  for (uint32_t i = heap->due; i < capacity; i++) {
    if (heap->entries[i].item) {
      heap->entries[i].item->index = i;
    }
  }
}

static int grow(zl__heap *heap, zl__memory *memory) {
  if (heap->capacity > UINT32_MAX / 4) {
    return -ENOMEM;
  }
  uint32_t capacity = heap->capacity ? heap->capacity * 2 : FIRST_CAPACITY;
  zl__heap_entry *entries =
      zl__resize(memory, heap->entries, heap->capacity * sizeof *entries,
                 capacity * sizeof *entries);
  if (!entries) {
    return -ENOMEM;
  }
  heap->entries = entries;
  move_due(heap, capacity);
  return 0;
}

/* Moves the collected timers to the end, closing the holes. */
static void close_holes(zl__heap *heap) {
  uint32_t to = heap->capacity;
  for (uint32_t i = heap->capacity; i > heap->due; i--) {
    zl__heap_entry entry = heap->entries[i - 1];
    if (entry.item) {
      to--;
      heap->entries[to] = entry;
      entry.item->index = to;
    }
  }
  heap->due = to;
}

/* Makes room for one more timer. Cannot fail if there is a hole among the
 * collected ones. */
static int heap_reserve(zl__heap *heap, zl__memory *memory) {
  if (heap->count < heap->due || grow(heap, memory) == 0) {
    return 0;
  }
  close_holes(heap);
  return heap->count < heap->due ? 0 : -ENOMEM;
}

void zl__heap_trim(zl__heap *heap, zl__memory *memory) {
  uint32_t capacity = heap->capacity;
  while (capacity > KEPT_CAPACITY && heap->count <= capacity / 8) {
    capacity /= 2;
  }
  if (capacity == heap->capacity) {
    return;
  }
  zl__heap_entry *entries =
      zl__resize(memory, heap->entries, heap->capacity * sizeof *entries,
                 capacity * sizeof *entries);
  if (entries) {
    heap->entries = entries;
    heap->capacity = capacity;
    heap->due = capacity;
  }
}

/* ---- in and out --------------------------------------------------------- */

static inline void insert(zl__heap *heap, zl__heap_item *item) {
  item->rank = item->start;
  item->place = ZL__IN_HEAP;
  heap->entries[heap->count] =
      (zl__heap_entry){.key = item->deadline, .item = item};
  heap->count++;
  sift_up(heap, heap->count - 1);
}

static void heap_pop(zl__heap *heap) {
  heap->count--;
  if (heap->count > 0) {
    heap->entries[0] = heap->entries[heap->count];
    sift_down(heap, 0, NUMBERED);
  }
}

/* Gives the top entry its real key, since its timer may have been moved later,
 * or removes it, if its timer has left. Returns false if the new top entry has
 * to be settled too. */
static bool settle_top(zl__heap *heap) {
  zl__heap_entry *top = &heap->entries[0];
  if (!top->item) {
    heap->gone--;
    heap_pop(heap);
    return false;
  }
  if (top->key == top->item->deadline) {
    return true;
  }
  top->key = top->item->deadline;
  top->item->rank = top->item->start;
  sift_down(heap, 0, NUMBERED);
  return false;
}

/* An entry at the end is simply removed. */
static void leave_heap(zl__heap *heap, zl__heap_item *item) {
  item->place = ZL__AT_REST;
  heap->entries[item->index].item = NULL;
  heap->gone++;
  if (item->index < heap->count - 1) {
    sift_up(heap, item->index);
  }
  while (heap->count > 0 && !heap->entries[heap->count - 1].item) {
    heap->count--;
    heap->gone--;
  }
  if (heap->gone > heap->count / 2) {
    sweep(heap);
  }
}

static void leave_due(zl__heap *heap, zl__heap_item *item) {
  if (item->place == ZL__DUE) {
    heap->entries[item->index].item = NULL;
    heap->collected--;
    item->place = ZL__AT_REST;
  }
}

void zl__heap_remove(zl__heap *heap, zl__heap_item *item) {
  if (item->place == ZL__IN_HEAP) {
    leave_heap(heap, item);
  }
  leave_due(heap, item);
  item->deadline = ZL_FOREVER;
}

/* Prefetches a timer that will be called soon, and what its owner is likely to
 * keep before it. */
static void announce(const zl__heap *heap, uint64_t index) {
#ifdef __GNUC__
  if (index < heap->capacity && heap->entries[index].item) {
    const char *item = (const char *)heap->entries[index].item;
    __builtin_prefetch(item);
    __builtin_prefetch(item - 64);
  }
#endif
}

/* Equal deadlines are ordered by their starts. */
static inline void heap_set_deadline(zl__heap *heap, zl__heap_item *item,
                                     int64_t deadline) {
  item->start = heap->starts++;
  item->deadline = deadline;
}

static void move(zl__heap *heap, zl__heap_item *item, int64_t deadline) {
  heap_set_deadline(heap, item, deadline);
  if (deadline <= heap->entries[item->index].key) {
    /* Even if the key is equal: the rank has grown, so the entry may have to
     * move down as well as up. */
    heap->entries[item->index].key = deadline;
    item->rank = item->start;
    sift_up(heap, item->index);
    sift_down(heap, item->index, NUMBERED);
  }
}

int zl__heap_put(zl__heap *heap, zl__memory *memory, zl__heap_item *item,
                 int64_t deadline) {
  leave_due(heap, item);
  if (item->place == ZL__IN_HEAP) {
    move(heap, item, deadline);
    return 0;
  }
  int rc = heap_reserve(heap, memory);
  if (rc < 0) {
    item->deadline = ZL_FOREVER;
    return rc;
  }
  heap_set_deadline(heap, item, deadline);
  insert(heap, item);
  return 0;
}

void zl__heap_take(zl__heap *heap, zl__heap_item *item) {
  announce(heap, (uint64_t)heap->due + 4);
  leave_due(heap, item);
  heap->due++;
  item->deadline = ZL_FOREVER;
}

void zl__heap_put_back(zl__heap *heap, zl__heap_item *item, int64_t deadline) {
  heap_set_deadline(heap, item, deadline);
  insert(heap, item);
}

/* ---- sorting ------------------------------------------------------------ */

/* Below this an insertion sort is faster. */
enum { SHORT = 24 };

static void sort_short(zl__heap_entry *entries, uint32_t count) {
  for (uint32_t i = 1; i < count; i++) {
    zl__heap_entry entry = entries[i];
    uint32_t at = i;
    for (; at > 0 && earlier(&entry, &entries[at - 1]); at--) {
      entries[at] = entries[at - 1];
    }
    entries[at] = entry;
  }
}

static void swap(zl__heap_entry *a, zl__heap_entry *b) {
  zl__heap_entry entry = *a;
  *a = *b;
  *b = entry;
}

static void reverse(zl__heap_entry *first, zl__heap_entry *last) {
  for (; first < last; first++, last--) {
    swap(first, last);
  }
}

/* Moves the median of the first, middle and last entries to the end. */
static void choose_pivot(zl__heap_entry *entries, uint32_t count) {
  zl__heap_entry *a = &entries[0];
  zl__heap_entry *b = &entries[count / 2];
  zl__heap_entry *c = &entries[count - 1];
  if (earlier(b, a)) {
    swap(a, b);
  }
  if (earlier(b, c)) {
    swap(b, c);
  }
  if (earlier(c, a)) {
    swap(a, c);
  }
}

/* Returns the index of the pivot. Always swaps, since a processor cannot
 * predict the comparison. */
static uint32_t partition(zl__heap_entry *entries, uint32_t count) {
  zl__heap_entry pivot = entries[count - 1];
  uint32_t before = 0;
  for (uint32_t i = 0; i < count - 1; i++) {
    zl__heap_entry entry = entries[i];
    entries[i] = entries[before];
    entries[before] = entry;
    before += earlier(&entry, &pivot);
  }
  swap(&entries[before], &entries[count - 1]);
  return before;
}

static void sort_by_heap(zl__heap_entry *entries, uint32_t count) {
  zl__heap heap = {.entries = entries, .count = count};
  order(&heap);
  while (heap.count > 1) {
    heap.count--;
    swap(&entries[0], &entries[heap.count]);
    sift_down(&heap, 0, NUMBERED_LATER);
  }
  reverse(entries, entries + count - 1);
}

/* Quicksort in place; parts that its pivots divide badly are sorted by a
 * heap. */
static void heap_sort(zl__heap_entry *entries, uint32_t count) {
  uint32_t bad = 0;
  while (count > SHORT) {
    choose_pivot(entries, count);
    uint32_t before = partition(entries, count);
    uint32_t after = count - before - 1;
    if ((before < count / 8 || after < count / 8) && ++bad > 4) {
      sort_by_heap(entries, count);
      return;
    }
    if (before < after) {
      heap_sort(entries, before);
      entries += before + 1;
      count = after;
    } else {
      heap_sort(entries + before + 1, after);
      count = before;
    }
  }
  sort_short(entries, count);
}

/* ---- collecting ---------------------------------------------------------- */

int64_t zl__heap_next(zl__heap *heap) {
  while (heap->count > 0) {
    if (settle_top(heap)) {
      return heap->entries[0].key;
    }
  }
  return ZL_FOREVER;
}

/* Counts the due entries at and below index, stopping at `most`. `found` is the
 * count so far; returns the new count. */
static uint32_t count_due(const zl__heap *heap, uint64_t index, int64_t now,
                          uint32_t found, uint32_t most) {
  if (index >= heap->count || heap->entries[index].key > now) {
    return found;
  }
  found++;
  for (uint64_t child = 1; child <= ARITY && found < most; child++) {
    found = count_due(heap, index * ARITY + child, now, found, most);
  }
  return found;
}

/* Collects the timers one after the other, filling the end of the array
 * backwards as the heap makes room. */
static void take_few(zl__heap *heap, int64_t now) {
  while (heap->count > 0 && heap->entries[0].key <= now) {
    if (settle_top(heap)) {
      zl__heap_entry top = heap->entries[0];
      heap_pop(heap);
      heap->due--;
      heap->entries[heap->due] = top;
    }
  }
  reverse(heap->entries + heap->due, heap->entries + heap->capacity - 1);
}

/* Gives the entry its real key. Returns whether it is due. */
static bool settle(zl__heap_entry *entry, int64_t now) {
  if (entry->key <= now) {
    entry->key = entry->item->deadline;
    entry->item->rank = entry->item->start;
  }
  return entry->key <= now;
}

/* In three passes and a sort: removing them from the heap one by one would, for
 * each step, read a timer that is most likely not in the processor's cache. */
static void take_many(zl__heap *heap, int64_t now) {
  drop_gone(heap);
  uint32_t end = heap->count;
  for (uint32_t i = 0; i < end;) {
    if (settle(&heap->entries[i], now)) {
      end--;
      zl__heap_entry due = heap->entries[i];
      heap->entries[i] = heap->entries[end];
      heap->entries[end] = due;
    } else {
      i++;
    }
  }
  uint32_t count = heap->count - end;
  heap->due = heap->capacity - count;
  memmove(heap->entries + heap->due, heap->entries + end,
          count * sizeof *heap->entries);
  heap->count = end;
  order(heap);
  number_all(heap);
  heap_sort(heap->entries + heap->due, count);
}

void zl__heap_collect(zl__heap *heap, int64_t now) {
  uint32_t many = heap->count / 16 + 16;
  if (count_due(heap, 0, now, 0, many) < many) {
    take_few(heap, now);
  } else {
    take_many(heap, now);
  }
  heap->collected = heap->capacity - heap->due;
  for (uint32_t i = heap->due; i < heap->capacity; i++) {
    heap->entries[i].item->index = i;
    heap->entries[i].item->place = ZL__DUE;
  }
}

zl__heap_item *zl__heap_first_due(zl__heap *heap) {
  while (heap->due < heap->capacity && !heap->entries[heap->due].item) {
    heap->due++;
  }
  return heap->due < heap->capacity ? heap->entries[heap->due].item : NULL;
}

void zl__heap_free(zl__heap *heap, zl__memory *memory) {
  for (uint32_t i = 0; i < heap->capacity; i++) {
    if ((i < heap->count || i >= heap->due) && heap->entries[i].item) {
      heap->entries[i].item->place = ZL__AT_REST;
      heap->entries[i].item->deadline = ZL_FOREVER;
    }
  }
  zl__free(memory, heap->entries, heap->capacity * sizeof *heap->entries);
}

static const char *verify_due(const zl__heap *heap) {
  uint32_t collected = 0;
  for (uint32_t i = heap->due; i < heap->capacity; i++) {
    const zl__heap_item *item = heap->entries[i].item;
    if (item && (item->index != i || item->place != ZL__DUE)) {
      return "a collected timer knows its place";
    }
    collected += item != NULL;
  }
  if (heap->count > heap->due || collected != heap->collected) {
    return "the collected timers are counted and after the heap";
  }
  return NULL;
}

static const char *verify_entry(const zl__heap_entry *entry, uint32_t index) {
  if (entry->item->index != index) {
    return "a timer knows its place in the heap";
  }
  if (entry->key > entry->item->deadline) {
    return "a timer's key is not after its deadline";
  }
  if (entry->item->place != ZL__IN_HEAP) {
    return "a timer in the heap is not collected";
  }
  return NULL;
}

const char *zl__heap_verify(const zl__heap *heap) {
  uint32_t gone = 0;
  for (uint32_t i = 0; i < heap->count; i++) {
    const zl__heap_entry *entry = &heap->entries[i];
    if (i > 0 && earlier(entry, &heap->entries[(i - 1) / ARITY])) {
      return "no entry of the heap is before its parent";
    }
    gone += entry->item == NULL;
    const char *broken = entry->item ? verify_entry(entry, i) : NULL;
    if (broken) {
      return broken;
    }
  }
  if (gone != heap->gone) {
    return "the entries without a timer are counted";
  }
  return verify_due(heap);
}
