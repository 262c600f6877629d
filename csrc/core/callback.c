/* callback.c - callbacks for the next iteration.
 * SPDX-License-Identifier: MIT
 *
 * A ring, first in first out. An iteration runs those that were queued when it
 * began. Callbacks queued meanwhile wait for the next, so they cannot starve
 * the rest.
 */
#include <errno.h>

#include "callback.h"
#include "host.h"
#include "hot.h"
#include "loop.h"

enum { FIRST_CAPACITY = 16, KEPT_CAPACITY = 256 };

static int resize(zl_loop *loop, size_t capacity) {
  zl__callbacks *q = &loop->callbacks;
  zl__callback *ring = zl__alloc(&loop->memory, capacity * sizeof *ring);
  if (!ring) {
    return -ENOMEM;
  }
  for (size_t i = 0; i < q->count; i++) {
    ring[i] = q->ring[(q->head + i) & (q->capacity - 1)];
  }
  zl__free(&loop->memory, q->ring, q->capacity * sizeof *q->ring);
  q->ring = ring;
  q->capacity = capacity;
  q->head = 0;
  return 0;
}

/* Shrinks the ring after a burst, when only an eighth is in use. If the
 * allocator fails the ring stays as it is. */
static void trim(zl_loop *loop) {
  const zl__callbacks *q = &loop->callbacks;
  size_t capacity = q->capacity;
  while (capacity > KEPT_CAPACITY && q->count <= capacity / 8) {
    capacity /= 2;
  }
  if (capacity < q->capacity) {
    (void)resize(loop, capacity);
  }
}

ZL__HOT void trim_if_large(zl_loop *loop) {
  if (loop->callbacks.capacity > KEPT_CAPACITY) {
    trim(loop);
  }
}

int zl_loop_add_callback(zl_loop *loop, zl_callback_fn fn, void *arg) {
  zl__callbacks *q = &loop->callbacks;
  if (q->count == q->capacity) {
    int rc = resize(loop, q->capacity ? q->capacity * 2 : FIRST_CAPACITY);
    if (rc < 0) {
      return rc;
    }
  }
  q->ring[(q->head + q->count) & (q->capacity - 1)] =
      (zl__callback){.fn = fn, .arg = arg};
  q->count++;
  zl__host_changed(loop);
  return 0;
}

void zl__callbacks_collect(zl_loop *loop) {
  trim_if_large(loop);
  loop->callbacks.collected = loop->callbacks.count;
}

zl__callback zl__callbacks_take(zl_loop *loop) {
  zl__callbacks *q = &loop->callbacks;
  zl__callback first = q->ring[q->head];
  q->head = (q->head + 1) & (q->capacity - 1);
  q->count--;
  q->collected--;
  loop->stats.total.callbacks++;
  zl__budget_count(&loop->budget);
  return first;
}

bool zl__callbacks_run(zl_loop *loop) {
  if (loop->callbacks.collected == 0) {
    return true;
  }
  while (loop->callbacks.collected > 0) {
    if (zl__budget_spent(&loop->budget, &loop->clock)) {
      return false;
    }
    zl__callback next = zl__callbacks_take(loop);
    next.fn(loop, next.arg);
    zl__stats_called(loop);
  }
  trim_if_large(loop);
  return true;
}

void zl__callbacks_free(zl_loop *loop) {
  zl__callbacks *q = &loop->callbacks;
  zl__free(&loop->memory, q->ring, q->capacity * sizeof *q->ring);
}
