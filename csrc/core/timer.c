/* timer.c - timers in a 4-ary heap.
 * SPDX-License-Identifier: MIT
 *
 * The heap is an array of 16-byte entries, so that four children share a cache
 * line: three to five times as fast as a heap of pointers at 100,000 timers. A
 * timer knows its index. A cancelled one leaves its entry behind, without a
 * timer, which costs no walk through the heap; when more than half of the
 * entries are such, they are all swept out at once.
 *
 * Due timers are first collected, then called: one that is started meanwhile,
 * with no delay too, waits for the next iteration, and one that is cancelled
 * meanwhile leaves a hole and is never called. They wait at the end of the same
 * array, in order, in the places that the heap gives up. The place of the first
 * one is next to the heap, so a periodic timer always finds room to return; the
 * holes that others leave are closed when the array cannot grow. So an active
 * timer can always be started again.
 *
 * After a burst the array is halved when only an eighth of it is in use: each
 * resize is paid for by as many timers that came or went.
 */
#include <errno.h>
#include <string.h>

#include "internal.h"

/* A timer that zl_timer_new() made. */
typedef struct boxed_timer {
  zl__handle handle;
  zl_timer timer;
} boxed_timer;

_Static_assert(sizeof(zl_timer) <= sizeof(zl_timer_memory), "a timer fits");

enum { ARITY = 4, FIRST_CAPACITY = 16, KEPT_CAPACITY = 256 };

/* Do timers know their indices while the heap is changed? Where many entries
 * move, numbering all of them afterwards is cheaper than to look for the timer
 * of each: most are not in the processor's cache. */
typedef enum numbering { NUMBERED, NUMBERED_LATER } numbering;

/* An entry that has lost its timer is before those of its key. */
static uint64_t rank_of(const zl__heap_entry *entry) {
  return entry->timer ? entry->timer->rank : 0;
}

static inline bool earlier(const zl__heap_entry *a, const zl__heap_entry *b) {
  return a->key == b->key ? rank_of(a) < rank_of(b) : a->key < b->key;
}

static inline void place(zl__heap *heap, uint32_t index, zl__heap_entry entry,
                         numbering numbers) {
  heap->entries[index] = entry;
  if (numbers == NUMBERED && entry.timer) {
    entry.timer->index = index;
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
    if (heap->entries[i].timer) {
      heap->entries[i].timer->index = i;
    }
  }
}

static void drop_gone(zl__heap *heap) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < heap->count; i++) {
    if (heap->entries[i].timer) {
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

/* Those collected go to the end of the larger array. */
static void move_due(zl__heap *heap, uint32_t capacity) {
  uint32_t due = heap->capacity - heap->due;
  uint32_t moved = capacity - heap->capacity;
  memmove(heap->entries + heap->due + moved, heap->entries + heap->due,
          due * sizeof *heap->entries);
  heap->due += moved;
  heap->capacity = capacity;
  for (uint32_t i = heap->due; i < capacity; i++) {
    if (heap->entries[i].timer) {
      heap->entries[i].timer->index = i;
    }
  }
}

static int grow(zl_loop *loop) {
  zl__heap *heap = &loop->heap;
  if (heap->capacity > UINT32_MAX / 4) {
    return -ENOMEM;
  }
  uint32_t capacity = heap->capacity ? heap->capacity * 2 : FIRST_CAPACITY;
  zl__heap_entry *entries =
      zl__resize(loop, heap->entries, heap->capacity * sizeof *entries,
                 capacity * sizeof *entries);
  if (!entries) {
    return -ENOMEM;
  }
  heap->entries = entries;
  move_due(heap, capacity);
  return 0;
}

/* Moves the collected timers together at the end, over the holes. */
static void close_holes(zl__heap *heap) {
  uint32_t to = heap->capacity;
  for (uint32_t i = heap->capacity; i > heap->due; i--) {
    zl__heap_entry entry = heap->entries[i - 1];
    if (entry.timer) {
      to--;
      heap->entries[to] = entry;
      entry.timer->index = to;
    }
  }
  heap->due = to;
}

/* Makes room for one more timer. Cannot fail if there is a hole among those
 * collected. */
static int reserve(zl_loop *loop) {
  zl__heap *heap = &loop->heap;
  if (heap->count < heap->due || grow(loop) == 0) {
    return 0;
  }
  close_holes(heap);
  return heap->count < heap->due ? 0 : -ENOMEM;
}

/* Shrinks the array, while no timers are collected. If the allocator fails the
 * array stays as it is. */
static void trim(zl_loop *loop) {
  zl__heap *heap = &loop->heap;
  uint32_t capacity = heap->capacity;
  while (capacity > KEPT_CAPACITY && heap->count <= capacity / 8) {
    capacity /= 2;
  }
  if (capacity == heap->capacity) {
    return;
  }
  zl__heap_entry *entries =
      zl__resize(loop, heap->entries, heap->capacity * sizeof *entries,
                 capacity * sizeof *entries);
  if (entries) {
    heap->entries = entries;
    heap->capacity = capacity;
    heap->due = capacity;
  }
}

/* ---- in and out --------------------------------------------------------- */

ZL__HOT void insert(zl__heap *heap, zl_timer *timer) {
  timer->rank = timer->start;
  timer->place = ZL__TIMER_IN_HEAP;
  heap->entries[heap->count] =
      (zl__heap_entry){.key = timer->deadline, .timer = timer};
  heap->count++;
  sift_up(heap, heap->count - 1);
}

static void pop(zl__heap *heap) {
  heap->count--;
  if (heap->count > 0) {
    heap->entries[0] = heap->entries[heap->count];
    sift_down(heap, 0, NUMBERED);
  }
}

/* Brings a timer to the top with its real key: one may have been moved later,
 * or have left. Returns false if it is not there yet. */
static bool settle_top(zl__heap *heap) {
  zl__heap_entry *top = &heap->entries[0];
  if (!top->timer) {
    heap->gone--;
    pop(heap);
    return false;
  }
  if (top->key == top->timer->deadline) {
    return true;
  }
  top->key = top->timer->deadline;
  top->timer->rank = top->timer->start;
  sift_down(heap, 0, NUMBERED);
  return false;
}

/* Those at the end just go. */
static void leave_heap(zl__heap *heap, zl_timer *timer) {
  timer->place = ZL__TIMER_AT_REST;
  heap->entries[timer->index].timer = NULL;
  heap->gone++;
  if (timer->index < heap->count - 1) {
    sift_up(heap, timer->index);
  }
  while (heap->count > 0 && !heap->entries[heap->count - 1].timer) {
    heap->count--;
    heap->gone--;
  }
  if (heap->gone > heap->count / 2) {
    sweep(heap);
  }
}

static void leave_due(zl_timer *timer) {
  if (timer->place == ZL__TIMER_DUE) {
    timer->loop->heap.entries[timer->index].timer = NULL;
    timer->loop->heap.collected--;
    timer->place = ZL__TIMER_AT_REST;
  }
}

static void put_to_rest(zl_timer *timer) {
  if (timer->place == ZL__TIMER_IN_HEAP) {
    leave_heap(&timer->loop->heap, timer);
  }
  leave_due(timer);
  timer->deadline = ZL_FOREVER;
}

/* ---- the API ------------------------------------------------------------ */

static void close_handle(zl__handle *handle) {
  zl_timer_close(&zl__container(handle, boxed_timer, handle)->timer);
}

static const zl__handle_kind kind = {
    .size = sizeof(boxed_timer),
    .close = close_handle,
};

static void init(zl_timer *timer, zl_loop *loop, zl_timer_fn fn, void *arg) {
  *timer =
      (zl_timer){.loop = loop, .fn = fn, .arg = arg, .deadline = ZL_FOREVER};
}

int zl_timer_new(zl_loop *loop, zl_timer_fn fn, void *arg, zl_timer **out) {
  zl__handle *handle;
  int rc = zl__handle_new(loop, &kind, &handle);
  *out = NULL;
  if (rc < 0) {
    return rc;
  }
  boxed_timer *box = zl__container(handle, boxed_timer, handle);
  init(&box->timer, loop, fn, arg);
  box->timer.boxed = true;
  *out = &box->timer;
  return 0;
}

zl_timer *zl_timer_init(zl_timer_memory *memory, zl_loop *loop, zl_timer_fn fn,
                        void *arg) {
  zl_timer *timer = zl_timer_in(memory);
  init(timer, loop, fn, arg);
  return timer;
}

static void set_times(zl_timer *timer, int64_t deadline, int64_t period) {
  timer->start = timer->loop->timer_starts++;
  timer->period = period;
  timer->deadline = deadline;
}

/* After reserve(). */
ZL__HOT void enter_heap(zl_timer *timer, int64_t deadline, int64_t period) {
  set_times(timer, deadline, period);
  insert(&timer->loop->heap, timer);
  if (timer->index == 0) {
    zl__loop_changed(timer->loop);
  }
}

static void move_in_heap(zl_timer *timer, int64_t deadline, int64_t period) {
  zl__heap *heap = &timer->loop->heap;
  set_times(timer, deadline, period);
  if (deadline <= heap->entries[timer->index].key) {
    /* Also if the key is equal: its rank has grown, so the entry may have to
     * move down as well as up. */
    heap->entries[timer->index].key = deadline;
    timer->rank = timer->start;
    sift_up(heap, timer->index);
    sift_down(heap, timer->index, NUMBERED);
  }
  if (timer->index == 0) {
    zl__loop_changed(timer->loop);
  }
}

int zl_timer_start_at(zl_timer *timer, int64_t deadline_ns, int64_t period_ns) {
  zl_loop *loop = timer->loop;
  if (period_ns < 0) {
    return -EINVAL;
  }
  leave_due(timer);
  if (timer->place == ZL__TIMER_IN_HEAP) {
    move_in_heap(timer, deadline_ns, period_ns);
    return 0;
  }
  int rc = reserve(loop);
  if (rc < 0) {
    timer->deadline = ZL_FOREVER;
    return rc;
  }
  enter_heap(timer, deadline_ns, period_ns);
  return 0;
}

int zl_timer_start(zl_timer *timer, int64_t delay_ns, int64_t period_ns) {
  int64_t now = zl_loop_time_ns(timer->loop);
  return zl_timer_start_at(timer, zl_time_add(now, delay_ns), period_ns);
}

int zl_timer_again(zl_timer *timer, int64_t delay_ns) {
  return zl_timer_start(timer, delay_ns, timer->period);
}

void zl_timer_cancel(zl_timer *timer) {
  put_to_rest(timer);
}

zl_loop *zl_timer_loop(const zl_timer *timer) {
  return timer->loop;
}

void *zl_timer_arg(const zl_timer *timer) {
  return timer->arg;
}

int zl_timer_active(const zl_timer *timer) {
  return timer->place != ZL__TIMER_AT_REST;
}

int64_t zl_timer_deadline_ns(const zl_timer *timer) {
  return timer->deadline;
}

void zl_timer_close(zl_timer *timer) {
  if (!timer) {
    return;
  }
  put_to_rest(timer);
  if (timer->boxed) {
    zl__handle_bury(&zl__container(timer, boxed_timer, timer)->handle);
  }
}

/* ---- sorting ------------------------------------------------------------ */

/* Below it an insertion sort is faster. */
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

/* Brings the median of first, middle and last to the end. */
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

/* Returns where the pivot came to be. Always swaps, since a processor cannot
 * guess the outcome of the comparison. */
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

/* Quicksort in place; what its pivots divide badly goes to the heap. */
static void sort(zl__heap_entry *entries, uint32_t count) {
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
      sort(entries, before);
      entries += before + 1;
      count = after;
    } else {
      sort(entries + before + 1, after);
      count = before;
    }
  }
  sort_short(entries, count);
}

/* ---- firing ------------------------------------------------------------- */

/* The earliest deadline, or ZL_FOREVER. */
int64_t zl__timers_next(zl_loop *loop) {
  zl__heap *heap = &loop->heap;
  while (heap->count > 0) {
    if (settle_top(heap)) {
      return heap->entries[0].key;
    }
  }
  return ZL_FOREVER;
}

bool zl__timers_alive(const zl_loop *loop) {
  return loop->heap.count > loop->heap.gone || loop->heap.collected > 0;
}

/* Does some entry from index downwards make it `most` that are due? `found` is
 * how many were found so far; returns how many are. */
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

/* One after the other, which comes to the end of the array last first, as the
 * heap makes room. */
static void take_few(zl__heap *heap, int64_t now) {
  while (heap->count > 0 && heap->entries[0].key <= now) {
    if (settle_top(heap)) {
      zl__heap_entry top = heap->entries[0];
      pop(heap);
      heap->due--;
      heap->entries[heap->due] = top;
    }
  }
  reverse(heap->entries + heap->due, heap->entries + heap->capacity - 1);
}

/* Is it due, now that its key is the real one? */
static bool settle(zl__heap_entry *entry, int64_t now) {
  if (entry->key <= now) {
    entry->key = entry->timer->deadline;
    entry->timer->rank = entry->timer->start;
  }
  return entry->key <= now;
}

/* In three passes, and sorted: the heap would look at a timer, which is most
 * likely not in the processor's cache, for each step of each of them. */
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
  sort(heap->entries + heap->due, count);
}

/* Moves the timers due at `now` to the end of the array, by deadline, then
 * start. */
void zl__timers_collect(zl_loop *loop, int64_t now) {
  zl__heap *heap = &loop->heap;
  uint32_t many = heap->count / 16 + 16;
  if (count_due(heap, 0, now, 0, many) < many) {
    take_few(heap, now);
  } else {
    take_many(heap, now);
  }
  heap->collected = heap->capacity - heap->due;
  for (uint32_t i = heap->due; i < heap->capacity; i++) {
    heap->entries[i].timer->index = i;
    heap->entries[i].timer->place = ZL__TIMER_DUE;
  }
}

/* The first of those collected, or NULL. */
static zl_timer *first_due(zl__heap *heap) {
  while (heap->due < heap->capacity && !heap->entries[heap->due].timer) {
    heap->due++;
  }
  return heap->due < heap->capacity ? heap->entries[heap->due].timer : NULL;
}

/* Before the call, so that the callback can cancel, restart or close the timer.
 * It has just left the place next to the heap, so there is room. */
static uint64_t rearm(zl_timer *timer, int64_t now) {
  uint64_t missed;
  int64_t next = zl__time_next(timer->deadline, timer->period, now, &missed);
  enter_heap(timer, next, timer->period);
  return missed;
}

/* The clock has just been read if it is the system's. */
static int64_t now_of(const zl_loop *loop) {
  return loop->clock == zl__clock_monotonic ? loop->stats.tick
                                            : zl_loop_time_ns(loop);
}

/* Tells the processor of a timer that will be called soon, and of what its
 * owner is likely to have before it. */
static void announce(const zl__heap *heap, uint64_t index) {
#ifdef __GNUC__
  if (index < heap->capacity && heap->entries[index].timer) {
    const char *timer = (const char *)heap->entries[index].timer;
    __builtin_prefetch(timer);
    __builtin_prefetch(timer - 64);
  }
#endif
}

/* Takes a timer off those collected: it is about to be called. */
static void take_due(zl_loop *loop, zl_timer *timer, int64_t now,
                     uint64_t *missed) {
  announce(&loop->heap, (uint64_t)loop->heap.due + 4);
  zl__stats_timer(loop, now, timer->deadline);
  leave_due(timer);
  loop->heap.due++;
  if (timer->period > 0) {
    *missed = rearm(timer, now);
  } else {
    *missed = 0;
    timer->deadline = ZL_FOREVER;
  }
  zl__loop_handled(loop);
}

/* Calls those collected. Returns false if the budget ended it before. The first
 * one is looked for after the clock was read: a user's clock may cancel any. */
bool zl__timers_run(zl_loop *loop) {
  while (first_due(&loop->heap)) {
    if (zl__loop_spent(loop)) {
      return false;
    }
    int64_t now = now_of(loop);
    zl_timer *timer = first_due(&loop->heap);
    if (!timer) {
      break;
    }
    uint64_t missed;
    take_due(loop, timer, now, &missed);
    timer->fn(timer, missed, timer->arg);
    zl__stats_called(loop);
  }
  trim(loop);
  return true;
}

zl_timer *zl_timer_next(zl_loop *loop, zl_timer_fn fn, uint64_t *missed) {
  const zl_timer *next = first_due(&loop->heap);
  if (!next || next->fn != fn || zl__loop_spent(loop)) {
    return NULL;
  }
  zl__stats_called(loop);
  int64_t now = now_of(loop);
  zl_timer *timer = first_due(&loop->heap);
  if (!timer || timer->fn != fn) {
    return NULL;
  }
  take_due(loop, timer, now, missed);
  return timer;
}

/* Those in the caller's memory outlive the loop, at rest. */
void zl__timers_free(zl_loop *loop) {
  zl__heap *heap = &loop->heap;
  for (uint32_t i = 0; i < heap->capacity; i++) {
    if ((i < heap->count || i >= heap->due) && heap->entries[i].timer) {
      heap->entries[i].timer->place = ZL__TIMER_AT_REST;
      heap->entries[i].timer->deadline = ZL_FOREVER;
    }
  }
  zl__free(loop, heap->entries, heap->capacity * sizeof *heap->entries);
}

static const char *verify_due(const zl__heap *heap) {
  uint32_t collected = 0;
  for (uint32_t i = heap->due; i < heap->capacity; i++) {
    const zl_timer *timer = heap->entries[i].timer;
    if (timer && (timer->index != i || timer->place != ZL__TIMER_DUE)) {
      return "a collected timer knows its place";
    }
    collected += timer != NULL;
  }
  if (heap->count > heap->due || collected != heap->collected) {
    return "the collected timers are counted and after the heap";
  }
  return NULL;
}

static const char *verify_entry(const zl__heap_entry *entry, uint32_t index) {
  if (entry->timer->index != index) {
    return "a timer knows its place in the heap";
  }
  if (entry->key > entry->timer->deadline) {
    return "a timer's key is not after its deadline";
  }
  if (entry->timer->place != ZL__TIMER_IN_HEAP) {
    return "a timer in the heap is not collected";
  }
  return NULL;
}

const char *zl__timers_verify(const zl_loop *loop) {
  const zl__heap *heap = &loop->heap;
  uint32_t gone = 0;
  for (uint32_t i = 0; i < heap->count; i++) {
    const zl__heap_entry *entry = &heap->entries[i];
    if (i > 0 && earlier(entry, &heap->entries[(i - 1) / ARITY])) {
      return "no entry of the heap is before its parent";
    }
    gone += entry->timer == NULL;
    const char *broken = entry->timer ? verify_entry(entry, i) : NULL;
    if (broken) {
      return broken;
    }
  }
  if (gone != heap->gone) {
    return "the entries without a timer are counted";
  }
  return verify_due(heap);
}
