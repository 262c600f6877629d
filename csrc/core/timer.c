/* timer.c - timers in a 4-ary heap.
 * SPDX-License-Identifier: MIT
 *
 * The heap is an array of 16-byte entries, so that four children share a cache
 * line: three to five times as fast as a heap of pointers at 100,000 timers. A
 * timer knows its index, so cancelling is O(log n) and leaves nothing behind.
 * A wheel would be faster at cancelling only, and has ticks.
 *
 * Due timers are first collected, then called: one that is started meanwhile,
 * with no delay too, waits for the next iteration, and one that is cancelled
 * meanwhile is off the list and never called.
 */
#include <errno.h>

#include "internal.h"

enum { ARITY = 4, FIRST_CAPACITY = 16 };

static bool earlier(const zl__heap_entry *a, const zl__heap_entry *b) {
  return a->key < b->key ||
         (a->key == b->key && a->timer->rank < b->timer->rank);
}

static void place(zl__heap *heap, uint32_t index, zl__heap_entry entry) {
  heap->entries[index] = entry;
  entry.timer->index = index;
}

static void sift_up(zl__heap *heap, uint32_t index) {
  zl__heap_entry entry = heap->entries[index];
  while (index > 0) {
    uint32_t parent = (index - 1) / ARITY;
    if (!earlier(&entry, &heap->entries[parent])) {
      break;
    }
    place(heap, index, heap->entries[parent]);
    index = parent;
  }
  place(heap, index, entry);
}

static void sift_down(zl__heap *heap, uint32_t index) {
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
    place(heap, index, heap->entries[best]);
    index = best;
  }
  place(heap, index, entry);
}

static int reserve(zl_loop *loop) {
  zl__heap *heap = &loop->heap;
  if (heap->count + heap->collected < heap->capacity) {
    return 0;
  }
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
  heap->capacity = capacity;
  return 0;
}

static void insert(zl__heap *heap, zl_timer *timer) {
  timer->rank = timer->start;
  heap->entries[heap->count] =
      (zl__heap_entry){.key = timer->deadline, .timer = timer};
  heap->count++;
  sift_up(heap, heap->count - 1);
}

static void take_out(zl__heap *heap, zl_timer *timer) {
  uint32_t index = timer->index;
  timer->index = ZL__NOT_IN_HEAP;
  heap->count--;
  if (index == heap->count) {
    return;
  }
  place(heap, index, heap->entries[heap->count]);
  sift_up(heap, index);
  sift_down(heap, heap->entries[index].timer->index);
}

/* Gives the timer at the top its real key if it was moved later. Returns false
 * if it had been: the top may be another one now. */
static bool settle_top(zl__heap *heap) {
  zl__heap_entry *top = &heap->entries[0];
  if (top->key == top->timer->deadline) {
    return true;
  }
  top->key = top->timer->deadline;
  top->timer->rank = top->timer->start;
  sift_down(heap, 0);
  return false;
}

static void leave_due(zl_timer *timer) {
  if (zl__linked(&timer->due)) {
    zl__unlink(&timer->due);
    timer->handle.loop->heap.collected--;
  }
}

static void put_to_rest(zl_timer *timer) {
  if (timer->index != ZL__NOT_IN_HEAP) {
    take_out(&timer->handle.loop->heap, timer);
  }
  leave_due(timer);
  timer->deadline = ZL_FOREVER;
}

static void close_handle(zl__handle *handle) {
  zl_timer_close(zl__container(handle, zl_timer, handle));
}

static const zl__handle_kind kind = {
    .size = sizeof(zl_timer),
    .close = close_handle,
};

int zl_timer_new(zl_loop *loop, zl_timer_fn fn, void *arg, zl_timer **out) {
  zl__handle *handle;
  int rc = zl__handle_new(loop, &kind, &handle);
  *out = NULL;
  if (rc < 0) {
    return rc;
  }
  zl_timer *timer = zl__container(handle, zl_timer, handle);
  zl__link_init(&timer->due);
  timer->deadline = ZL_FOREVER;
  timer->index = ZL__NOT_IN_HEAP;
  timer->fn = fn;
  timer->arg = arg;
  *out = timer;
  return 0;
}

int zl_timer_start_at(zl_timer *timer, int64_t deadline_ns, int64_t period_ns) {
  zl_loop *loop = timer->handle.loop;
  if (period_ns < 0) {
    return -EINVAL;
  }
  leave_due(timer);
  bool in_heap = timer->index != ZL__NOT_IN_HEAP;
  int rc = in_heap ? 0 : reserve(loop);
  if (rc < 0) {
    timer->deadline = ZL_FOREVER;
    return rc;
  }
  timer->start = loop->timer_starts++;
  timer->period = period_ns;
  timer->deadline = deadline_ns;
  if (!in_heap) {
    insert(&loop->heap, timer);
  } else if (deadline_ns <= loop->heap.entries[timer->index].key) {
    /* With an equal key too: the rank is a later one, so the entry may have to
     * go down as well as up. */
    loop->heap.entries[timer->index].key = deadline_ns;
    timer->rank = timer->start;
    sift_up(&loop->heap, timer->index);
    sift_down(&loop->heap, timer->index);
  }
  return 0;
}

int zl_timer_start(zl_timer *timer, int64_t delay_ns, int64_t period_ns) {
  int64_t now = zl_loop_time_ns(timer->handle.loop);
  return zl_timer_start_at(timer, zl__time_add(now, delay_ns), period_ns);
}

int zl_timer_again(zl_timer *timer, int64_t delay_ns) {
  return zl_timer_start(timer, delay_ns, timer->period);
}

void zl_timer_cancel(zl_timer *timer) {
  put_to_rest(timer);
}

int zl_timer_active(const zl_timer *timer) {
  return timer->index != ZL__NOT_IN_HEAP || zl__linked(&timer->due);
}

int64_t zl_timer_deadline_ns(const zl_timer *timer) {
  return timer->deadline;
}

void zl_timer_close(zl_timer *timer) {
  if (!timer || timer->handle.closed) {
    return;
  }
  put_to_rest(timer);
  zl__handle_bury(&timer->handle);
}

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

/* Moves the timers due at `now` to loop->due, by deadline, then start. */
void zl__timers_collect(zl_loop *loop, int64_t now) {
  zl__heap *heap = &loop->heap;
  while (heap->count > 0 && heap->entries[0].key <= now) {
    if (settle_top(heap)) {
      zl_timer *timer = heap->entries[0].timer;
      take_out(heap, timer);
      zl__append(&loop->due, &timer->due);
      heap->collected++;
    }
  }
}

/* Before the call, so that the callback can cancel, restart or close the timer.
 * Cannot fail: room was kept. */
static uint64_t rearm(zl_timer *timer, int64_t now) {
  int64_t late = now - timer->deadline;
  uint64_t missed = late > 0 ? (uint64_t)late / (uint64_t)timer->period : 0;
  int64_t ahead = (int64_t)missed * timer->period;
  int64_t next =
      zl__time_add(zl__time_add(timer->deadline, ahead), timer->period);
  (void)zl_timer_start_at(timer, next, timer->period);
  return missed;
}

/* Calls those collected. Returns false if the budget ended it before. */
bool zl__timers_run(zl_loop *loop) {
  zl__link *link;
  while ((link = zl__first(&loop->due))) {
    if (zl__loop_spent(loop)) {
      return false;
    }
    zl_timer *timer = zl__container(link, zl_timer, due);
    uint64_t missed = 0;
    leave_due(timer);
    if (timer->period > 0) {
      missed = rearm(timer, zl_loop_time_ns(loop));
    } else {
      timer->deadline = ZL_FOREVER;
    }
    zl__loop_handled(loop);
    timer->fn(timer, missed, timer->arg);
  }
  return true;
}

void zl__timers_free(zl_loop *loop) {
  zl__free(loop, loop->heap.entries,
           loop->heap.capacity * sizeof *loop->heap.entries);
}

const char *zl__timers_verify(const zl_loop *loop) {
  const zl__heap *heap = &loop->heap;
  for (uint32_t i = 0; i < heap->count; i++) {
    const zl__heap_entry *entry = &heap->entries[i];
    if (entry->timer->index != i) {
      return "a timer knows its place in the heap";
    }
    if (entry->key > entry->timer->deadline) {
      return "a timer's key is not after its deadline";
    }
    if (i > 0 && earlier(entry, &heap->entries[(i - 1) / ARITY])) {
      return "no timer in the heap is before its parent";
    }
    if (entry->timer->handle.closed || zl__linked(&entry->timer->due)) {
      return "a timer in the heap is open and not collected";
    }
  }
  return NULL;
}
