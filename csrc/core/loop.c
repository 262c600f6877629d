/* loop.c - the loop: one iteration and its phases, run, step, stop, close.
 * SPDX-License-Identifier: MIT
 *
 * An iteration: read the clock; collect the queued callbacks and the due
 * timers; call the callbacks, then the timers; wait, unless there is something
 * to do; take the posts, signals and ready watches; call posts and signals;
 * serve each watch once. Nothing queued by a call runs in the same phase, so no
 * class starves another. A budget may end a step between any two calls: `phase`
 * remembers where, and the next step resumes there before it waits again.
 *
 * After every call out, all state is read again. A handle closed by a call
 * leaves its list, but its memory stays until the stack has unwound.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "host.h"
#include "loop.h"
#include "timer.h"
#include "wait.h"
#include "zmqloop_batch.h"
#include "zmqloop_blocked.h"

/* Debug builds verify every invariant in every iteration. */
#ifndef ZL_DEBUG
#define ZL_DEBUG 0
#endif

/* ---- making ------------------------------------------------------------- */

static const zl__poller *find_poller(int backend) {
#ifdef __linux__
  if (backend == ZL_BACKEND_DEFAULT || backend == ZL_BACKEND_EPOLL) {
    return &zl__poller_epoll;
  }
#else
  if (backend == ZL_BACKEND_DEFAULT) {
    return &zl__poller_posix;
  }
#endif
  return backend == ZL_BACKEND_POLL ? &zl__poller_posix : NULL;
}

static zl_loop *loop_allocate(const zl_config *config) {
  zl__memory memory = {.fn = config->alloc ? config->alloc : zl__system_alloc,
                       .ud = config->alloc_ud};
  zl_loop *loop = zl__alloc(&memory, sizeof *loop);
  if (!loop) {
    return NULL;
  }
  memset(loop, 0, sizeof *loop);
  loop->memory = memory;
  loop->clock.fn = config->clock ? config->clock : zl__clock_monotonic;
  loop->clock.ud = config->clock_ud;
  if (config->flags & ZL_CONFIG_VIRTUAL_CLOCK) {
    loop->clock.fn = zl__clock_virtual;
    loop->clock.ud = &loop->clock;
  }
  loop->interrupt = config->interrupt;
  loop->interrupt_ud = config->interrupt_ud;
  loop->data = config->data;
  loop->slowest = config->slowest;
  loop->slowest_ud = config->slowest_ud;
  loop->mailbox.pid = getpid();
  loop->touch = (config->flags & ZL_CONFIG_TOUCH) != 0;
  zl__budget_reset(&loop->budget);
  loop->mailbox.wake_read = -1;
  atomic_init(&loop->stopping, false);
  atomic_init(&loop->stretch, 0);
  atomic_init(&loop->mailbox.waking, false);
  zl__handles_init(&loop->handles);
  zl__ready_init(&loop->ready);
  zl__signals_init(&loop->signals);
  zl__link_init(&loop->sweep);
  return loop;
}

static int open_poller(zl_loop *loop, const zl__poller *poller) {
  int rc = poller->open(loop);
  if (rc < 0) {
    return rc;
  }
  loop->poller = poller; /* set only now: from here on it must be closed */
  rc = zl__mailbox_open(&loop->mailbox);
  if (rc < 0) {
    return rc;
  }
  return poller->add(loop, loop->mailbox.wake_read, ZL_READ, false,
                     ZL__TOKEN_WAKE);
}

int zl_loop_new(const zl_config *config, zl_loop **out) {
  static const zl_config defaults = {.size = sizeof defaults};
  *out = NULL;
  if (!config) {
    config = &defaults;
  }
  if (config->size != sizeof *config || config->backend < ZL_BACKEND_DEFAULT ||
      config->backend > ZL_BACKEND_POLL) {
    return -EINVAL;
  }
  const zl__poller *poller = find_poller(config->backend);
  if (!poller) {
    return -ENOSYS;
  }
  zl_loop *loop = loop_allocate(config);
  if (!loop) {
    return -ENOMEM;
  }
  int rc = open_poller(loop, poller);
  if (rc < 0) {
    (void)zl_loop_close(loop);
    return rc;
  }
  *out = loop;
  return 0;
}

int zl_loop_close(zl_loop *loop) {
  if (!loop) {
    return 0;
  }
  if (loop->handles.kept > 0) {
    return -EBUSY;
  }
  (void)zl_loop_watch_blocking(loop, 0, 0, NULL, NULL);
  zl__handles_close_all(loop);
  zl__mailbox_close(&loop->mailbox);
  if (loop->poller) {
    loop->poller->close(loop);
  }
  zl__callbacks_free(loop);
  zl__heap_free(&loop->heap, &loop->memory);
  zl__registry_free(loop);
  zl__messages_free(loop);
  zl__memory memory = loop->memory;
  zl__free(&memory, loop, sizeof *loop);
  return 0;
}

/* ---- one iteration ------------------------------------------------------ */

static void collect(zl_loop *loop) {
  loop->stats.total.iterations++;
  zl__callbacks_collect(loop);
  if (loop->heap.count > 0) {
    int64_t now = zl__clock_now(&loop->clock);
    if (loop->clock.fn == zl__clock_monotonic) {
      loop->stats.tick = now;
    }
    zl__heap_collect(&loop->heap, now);
  }
}

/* Serves each watch of this turn once. Returns false if the budget ran out
 * first. */
static bool serve_ready(zl_loop *loop) {
  while (zl__first(&loop->ready.turn)) {
    if (zl__budget_spent(&loop->budget, &loop->clock)) {
      return false;
    }
    if (!zl__ready_serve_next(&loop->ready)) {
      break; /* the user's clock has closed it */
    }
    zl__stats_called(loop);
  }
  return true;
}

/* Used in place of a mode of zl_loop_run(). */
enum { ONE_STEP = -1 };

/* A step that has handled something does not wait: its caller got what it
 * waited for. A run does not wait if the last active handle has just gone. */
static int64_t may_wait_until(const zl_loop *loop, int64_t wait_until,
                              int mode) {
  bool done = mode == ONE_STEP ? loop->budget.handled > 0
                               : mode == ZL_RUN_ALIVE && !zl_loop_alive(loop);
  return done ? INT64_MIN : wait_until;
}

/* Resumes where the last call ended. Returns 0 at the end of the iteration,
 * ZL_STEP_MORE if the budget ran out first, or an error. */
static int iterate(zl_loop *loop, int64_t wait_until, int mode) {
  if (loop->phase == ZL__PHASE_COLLECT) {
    collect(loop);
    loop->phase = ZL__PHASE_CALLBACKS;
  }
  if (loop->phase == ZL__PHASE_CALLBACKS) {
    if (!zl__callbacks_run(loop)) {
      return ZL_STEP_MORE;
    }
    loop->phase = ZL__PHASE_TIMERS;
  }
  if (loop->phase == ZL__PHASE_TIMERS) {
    if (!zl__timers_run(loop)) {
      return ZL_STEP_MORE;
    }
    loop->phase = ZL__PHASE_WAIT;
  }
  if (loop->phase == ZL__PHASE_WAIT) {
    if (loop->budget.breaking) {
      return ZL_STEP_MORE;
    }
    if (zl__stopping(loop)) {
      loop->phase = ZL__PHASE_COLLECT;
      return 0;
    }
    int rc = zl__wait(loop, may_wait_until(loop, wait_until, mode));
    loop->phase = ZL__PHASE_POSTS;
    if (rc < 0) {
      return rc;
    }
  }
  if (loop->phase == ZL__PHASE_POSTS) {
    if (!zl__posts_run(loop) || !zl__signals_run(loop)) {
      return ZL_STEP_MORE;
    }
    loop->phase = ZL__PHASE_READY;
  }
  if (!serve_ready(loop)) {
    return ZL_STEP_MORE;
  }
  loop->phase = ZL__PHASE_COLLECT;
  return 0;
}

/* ---- the next iteration, inside a call of this one ----------------------- */

/* Would this iteration do nothing more, and the next one nothing before its
 * callbacks? Whatever iterate() does has its line here. */
static bool only_callbacks(const zl_loop *loop) {
  return loop->run == ZL__RUN_ENDLESS && loop->phase == ZL__PHASE_CALLBACKS &&
         loop->heap.count == 0 && loop->heap.collected == 0 &&
         loop->registry.watch_count == 0 && !zl__linked(&loop->ready.dirty) &&
         !zl__linked(&loop->ready.turn) &&
         !zl__linked(&loop->handles.graveyard) && !loop->watchdog &&
         !loop->terminated && zl__mailbox_empty(&loop->mailbox) &&
         !zl__signals_pending(loop) && !zl__stopping(loop);
}

/* While posts are called, no callbacks are collected. */
int zl_loop_next_callback(zl_loop *loop, zl_callback_fn fn, void **arg) {
  const zl__callbacks *q = &loop->callbacks;
  if (q->count == 0 || q->ring[q->head].fn != fn ||
      zl__budget_spent(&loop->budget, &loop->clock)) {
    return 0;
  }
  if (q->collected == 0) {
    if (!only_callbacks(loop)) {
      return 0;
    }
    loop->stats.total.iterations++;
    zl__callbacks_collect(loop);
  }
  zl__stats_called(loop);
  *arg = zl__callbacks_take(loop).arg;
  return 1;
}

/* ---- what is left to do -------------------------------------------------- */

static bool due_now(zl_loop *loop) {
  return loop->callbacks.count > 0 ||
         (loop->heap.count > 0 &&
          zl__heap_next(&loop->heap) <= zl__clock_now(&loop->clock));
}

/* How long the next step would do nothing but wait. */
static int64_t idle_time(zl_loop *loop) {
  return zl__wait_time(loop, ZL_FOREVER);
}

int64_t zl_loop_timeout_ns(zl_loop *loop) {
  return loop->phase == ZL__PHASE_COLLECT ? idle_time(loop) : 0;
}

/* ---- run and step ------------------------------------------------------- */

static int begin(zl_loop *loop, zl__run run) {
  if (zl__mailbox_forked(&loop->mailbox)) {
    return -ECHILD;
  }
  if (loop->handles.kept > 0) {
    return -EBUSY;
  }
  loop->run = run;
  loop->mailbox.woken = false;
  loop->budget.handled = 0;
  loop->budget.swept = -1; /* the host's own code ran since the last step */
  if (loop->watchdog) {
    zl__watchdog_begin(loop->watchdog);
  }
  zl__stretch_add(&loop->stretch, 1);
  zl__handles_keep(loop);
  zl__stats_working(loop);
  return 0;
}

static void end(zl_loop *loop) {
  if (loop->host != ZL__HOST_NONE) {
    zl__host_step_ended(loop, zl_loop_timeout_ns(loop) == 0);
  }
  zl__stats_resting(loop, false);
  loop->run = ZL__RUN_NONE;
  zl__budget_reset(&loop->budget);
  zl__stretch_add(&loop->stretch, 1);
  if (loop->watchdog) {
    zl__watchdog_end(loop->watchdog);
  }
  zl__handles_release(loop);
}

/* One call of iterate(), and what has to be done between two. */
static int iterate_and_check(zl_loop *loop, int64_t wait_until, int mode) {
  int rc = iterate(loop, wait_until, mode);
  if (loop->budget.breaking) {
    return -EINTR;
  }
  zl__handles_release(loop); /* frees what was closed */
  zl__handles_keep(loop);
  if (ZL_DEBUG && rc >= 0 && zl_loop_verify(loop, NULL) < 0) {
    return -ENOTRECOVERABLE;
  }
  return rc;
}

int zl_loop_run(zl_loop *loop, int mode) {
  int rc = begin(loop, ZL__RUN_ENDLESS);
  if (rc < 0) {
    return rc;
  }
  while (rc == 0 && !zl__stopping(loop) &&
         (mode != ZL_RUN_ALIVE || zl_loop_alive(loop))) {
    rc = iterate_and_check(loop, ZL_FOREVER, mode);
    if (rc == 0 && loop->terminated) {
      loop->terminated = false;
      rc = -ETERM;
    }
  }
  atomic_store(&loop->stopping, false);
  end(loop);
  return rc;
}

/* Is a step to go on after an iteration? Without a budget it does one that
 * handles something. With a budget it does all that is pending, until the
 * budget is used up. An iteration that handled something may not have seen all:
 * only the next wait reports what became ready meanwhile. */
static bool step_goes_on(zl_loop *loop, bool has_budget, int64_t handled_before,
                         int64_t until) {
  const zl__budget *budget = &loop->budget;
  if (loop->terminated) {
    return false;
  }
  if (has_budget &&
      (budget->handled > handled_before || idle_time(loop) == 0)) {
    return !zl__budget_spent(budget, &loop->clock);
  }
  return budget->handled == 0 && !loop->mailbox.woken &&
         zl__clock_now(&loop->clock) < until;
}

static void set_budget(zl_loop *loop, const zl_budget *budget) {
  if (budget && budget->events > 0) {
    loop->budget.events_left = budget->events;
  }
  if (budget && budget->time_ns > 0) {
    loop->budget.ends =
        zl_time_add(zl__budget_now(&loop->clock), budget->time_ns);
  }
}

static int step_result(zl_loop *loop, int rc) {
  const int64_t most = ZL_STEP_MORE - 1;
  int64_t handled = loop->budget.handled;
  bool more = rc > 0 || idle_time(loop) == 0;
  return (int)(handled < most ? handled : most) | (more ? ZL_STEP_MORE : 0);
}

int zl_loop_step(zl_loop *loop, int64_t timeout_ns, const zl_budget *budget) {
  int rc = begin(loop, ZL__RUN_STEP);
  if (rc < 0) {
    return rc;
  }
  int64_t now = zl__clock_now(&loop->clock);
  int64_t until = timeout_ns > 0 ? zl_time_add(now, timeout_ns) : INT64_MIN;
  int64_t handled_before;
  bool goes_on;
  bool resumes = loop->phase != ZL__PHASE_COLLECT;
  set_budget(loop, budget);
  const bool has_budget = zl__budget_has_limits(&loop->budget);
  do {
    handled_before = loop->budget.handled;
    rc = iterate_and_check(loop, resumes ? INT64_MIN : until, ONE_STEP);
    /* An interrupted iteration is resumed first. It may have nothing left to
     * do, and the timer that the wait was for belongs to the next iteration. */
    goes_on = rc == 0 && step_goes_on(loop, has_budget, handled_before,
                                      resumes ? ZL_FOREVER : until);
    resumes = false;
  } while (goes_on);
  loop->terminated = false;
  if (rc >= 0) {
    rc = step_result(loop, rc);
  }
  end(loop);
  return rc;
}

/* Moves to `target` from one deadline to the next, and iterates at each until
 * nothing is due. */
static int advance_to(zl_loop *loop, int64_t target) {
  int rc = 0;
  while (rc >= 0 && (due_now(loop) || loop->clock.virtual_ns < target)) {
    if (!due_now(loop)) {
      int64_t next = zl__heap_next(&loop->heap);
      loop->clock.virtual_ns = next < target ? next : target;
    }
    rc = zl_loop_step(loop, 0, NULL);
  }
  return rc < 0 ? rc : 0;
}

int zl_loop_advance(zl_loop *loop, int64_t delay_ns) {
  if (!zl__clock_is_virtual(&loop->clock) || delay_ns < 0) {
    return -EINVAL;
  }
  int64_t target = zl_time_add(loop->clock.virtual_ns, delay_ns);
  if (loop->handles.kept > 0) {
    loop->clock.virtual_ns = target;
    return 0;
  }
  return advance_to(loop, target);
}

void zl_loop_stop(zl_loop *loop) {
  atomic_store_explicit(&loop->stopping, true, memory_order_release);
  zl_loop_wake(loop);
}

void zl_loop_break(zl_loop *loop) {
  if (loop->run != ZL__RUN_NONE) {
    zl__budget_break(&loop->budget);
  }
}

int zl_loop_running(const zl_loop *loop) {
  return loop->run != ZL__RUN_NONE;
}

/* ---- questions ---------------------------------------------------------- */

int zl_loop_alive(const zl_loop *loop) {
  if (loop->callbacks.count > 0 || !zl__heap_empty(&loop->heap) ||
      !zl__mailbox_empty(&loop->mailbox)) {
    return 1;
  }
  return zl__handles_alive(&loop->handles);
}

int zl_loop_is_last(const zl_loop *loop) {
  return loop->callbacks.collected == 0 && loop->heap.collected == 0;
}

int64_t zl_loop_time_ns(const zl_loop *loop) {
  return zl__clock_now(&loop->clock);
}

void *zl_loop_data(const zl_loop *loop) {
  return loop->data;
}

const char *zl_loop_backend(const zl_loop *loop) {
  return loop->poller->name;
}
