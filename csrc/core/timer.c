/* timer.c - timers: the API over the heap.
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>

#include "host.h"
#include "loop.h"
#include "timer.h"
#include "zmqloop_batch.h"

/* A timer allocated by zl_timer_new(). */
typedef struct boxed_timer {
  zl__handle handle;
  zl_timer timer;
} boxed_timer;

_Static_assert(sizeof(zl_timer) <= sizeof(zl_timer_memory), "a timer fits");

/* ---- the API ------------------------------------------------------------ */

static void timer_close_handle(zl__handle *handle) {
  zl_timer_close(&zl__container(handle, boxed_timer, handle)->timer);
}

static const zl__handle_kind timer_kind = {
    .size = sizeof(boxed_timer),
    .close = timer_close_handle,
};

static void init(zl_timer *timer, zl_loop *loop, zl_timer_fn fn, void *arg) {
  *timer = (zl_timer){
      .item.deadline = ZL_FOREVER, .loop = loop, .fn = fn, .arg = arg};
}

int zl_timer_new(zl_loop *loop, zl_timer_fn fn, void *arg, zl_timer **out) {
  zl__handle *handle;
  int rc = zl__handle_new(loop, &timer_kind, &handle);
  *out = NULL;
  if (rc < 0) {
    return rc;
  }
  boxed_timer *box = zl__container(handle, boxed_timer, handle);
  init(&box->timer, loop, fn, arg);
  box->timer.item.boxed = true;
  *out = &box->timer;
  return 0;
}

zl_timer *zl_timer_init(zl_timer_memory *memory, zl_loop *loop, zl_timer_fn fn,
                        void *arg) {
  zl_timer *timer = zl_timer_in(memory);
  init(timer, loop, fn, arg);
  return timer;
}

/* A host waits for what is due first. */
static void tell_if_first(const zl_timer *timer) {
  if (timer->item.index == 0) {
    zl__host_changed(timer->loop);
  }
}

int zl_timer_start_at(zl_timer *timer, int64_t deadline_ns, int64_t period_ns) {
  zl_loop *loop = timer->loop;
  if (period_ns < 0) {
    return -EINVAL;
  }
  int rc = zl__heap_put(&loop->heap, &loop->memory, &timer->item, deadline_ns);
  if (rc == 0) {
    timer->period = period_ns;
    tell_if_first(timer);
  }
  return rc;
}

int zl_timer_start(zl_timer *timer, int64_t delay_ns, int64_t period_ns) {
  int64_t now = zl__clock_now(&timer->loop->clock);
  return zl_timer_start_at(timer, zl_time_add(now, delay_ns), period_ns);
}

int zl_timer_again(zl_timer *timer, int64_t delay_ns) {
  return zl_timer_start(timer, delay_ns, timer->period);
}

void zl_timer_cancel(zl_timer *timer) {
  zl__heap_remove(&timer->loop->heap, &timer->item);
}

zl_loop *zl_timer_loop(const zl_timer *timer) {
  return timer->loop;
}

void *zl_timer_arg(const zl_timer *timer) {
  return timer->arg;
}

int zl_timer_active(const zl_timer *timer) {
  return timer->item.place != ZL__AT_REST;
}

int64_t zl_timer_deadline_ns(const zl_timer *timer) {
  return timer->item.deadline;
}

void zl_timer_close(zl_timer *timer) {
  if (!timer) {
    return;
  }
  zl__heap_remove(&timer->loop->heap, &timer->item);
  if (timer->item.boxed) {
    zl__handle_bury(&zl__container(timer, boxed_timer, timer)->handle);
  }
}

/* ---- firing ------------------------------------------------------------- */

/* The system's clock has just been read; only the others are read again. */
static int64_t now_of(const zl_loop *loop) {
  return loop->clock.fn == zl__clock_monotonic ? loop->stats.tick
                                               : zl__clock_now(&loop->clock);
}

/* The first collected timer, or NULL. */
static zl_timer *first_due(zl_loop *loop) {
  zl__heap_item *item = zl__heap_first_due(&loop->heap);
  return item ? zl__container(item, zl_timer, item) : NULL;
}

/* Takes the first of those collected: it is about to be called. Rearms it
 * before the call, so that the callback can cancel, restart or close it. */
static void take_due(zl_timer *timer, int64_t now, uint64_t *missed) {
  zl_loop *loop = timer->loop;
  int64_t deadline = timer->item.deadline;
  zl__stats_timer(loop, now, deadline);
  zl__heap_take(&loop->heap, &timer->item);
  *missed = 0;
  if (timer->period > 0) {
    int64_t next = zl__time_next(deadline, timer->period, now, missed);
    zl__heap_put_back(&loop->heap, &timer->item, next);
    tell_if_first(timer);
  }
  zl__budget_count(&loop->budget);
}

/* The first one is looked for after the clock was read: a user's clock may
 * cancel any. */
bool zl__timers_run(zl_loop *loop) {
  while (first_due(loop)) {
    if (zl__budget_spent(&loop->budget, &loop->clock)) {
      return false;
    }
    int64_t now = now_of(loop);
    zl_timer *timer = first_due(loop);
    if (!timer) {
      break;
    }
    uint64_t missed;
    take_due(timer, now, &missed);
    timer->fn(timer, missed, timer->arg);
    zl__stats_called(loop);
  }
  zl__heap_trim(&loop->heap, &loop->memory);
  return true;
}

zl_timer *zl_timer_next(zl_loop *loop, zl_timer_fn fn, uint64_t *missed) {
  const zl_timer *next = first_due(loop);
  if (!next || next->fn != fn ||
      zl__budget_spent(&loop->budget, &loop->clock)) {
    return NULL;
  }
  zl__stats_called(loop);
  int64_t now = now_of(loop);
  zl_timer *timer = first_due(loop);
  if (!timer || timer->fn != fn) {
    return NULL;
  }
  take_due(timer, now, missed);
  return timer;
}
