/* wait.c - the wait of a loop, and how long it may take.
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>

#include "loop.h"
#include "socket.h"
#include "wait.h"

static bool something_to_do(const zl_loop *loop) {
  return loop->callbacks.count > 0 || zl__linked(&loop->ready.dirty) ||
         !zl__mailbox_empty(&loop->mailbox) || zl__signals_pending(loop) ||
         zl__stopping(loop) || loop->terminated;
}

static int64_t wait_ends(zl_loop *loop, int64_t wait_until) {
  int64_t next = zl__heap_next(&loop->heap);
  return next < wait_until ? next : wait_until;
}

int64_t zl__wait_time(zl_loop *loop, int64_t wait_until) {
  if (something_to_do(loop)) {
    return 0;
  }
  int64_t until = wait_ends(loop, wait_until);
  if (until == ZL_FOREVER) {
    return ZL_FOREVER;
  }
  int64_t now = zl__clock_now(&loop->clock);
  if (loop->clock.fn != zl__clock_monotonic) {
    /* The user's clock may have queued something. */
    if (something_to_do(loop)) {
      return 0;
    }
    until = wait_ends(loop, wait_until);
  }
  return zl_time_until(until, now);
}

/* With a virtual clock, pending events come first; if there are none, the clock
 * jumps to the end of the wait. */
static int wait_virtually(zl_loop *loop, int64_t timeout_ns) {
  bool woken_before = loop->mailbox.woken;
  loop->mailbox.woken = false;
  int rc = loop->poller->wait(loop, 0);
  if (rc == 0 && !something_to_do(loop) && !loop->mailbox.woken) {
    loop->clock.virtual_ns = zl_time_add(loop->clock.virtual_ns, timeout_ns);
  }
  loop->mailbox.woken = loop->mailbox.woken || woken_before;
  return rc;
}

/* Polling for new events while there is work to do costs as much as ten
 * messages. A run polls at most this often. */
static const int64_t LOOK_NS = 50000;

static int look_for_events(zl_loop *loop) {
  bool may_skip = loop->run == ZL__RUN_ENDLESS && loop->host == ZL__HOST_NONE &&
                  loop->clock.fn == zl__clock_monotonic;
  if (may_skip && zl_time_until(loop->stats.tick, loop->looked) < LOOK_NS) {
    return 0;
  }
  loop->looked = loop->stats.tick;
  return loop->poller->wait(loop, 0);
}

/* Waiting is not work: a time budget does not count it. Polling without waiting
 * is skipped when only the wake-up descriptor is registered: posts, signals and
 * stop are checked directly. With a host it is not skipped, since the host sees
 * that descriptor too. In a forked child the events belong to the parent. */
static int wait_for_events(zl_loop *loop, int64_t timeout_ns, int64_t start) {
  if (timeout_ns == 0 && loop->registry.watch_count == 0 &&
      loop->host == ZL__HOST_NONE) {
    return 0;
  }
  if (zl__mailbox_forked(&loop->mailbox)) {
    return -ECHILD;
  }
  if (timeout_ns == 0) {
    return look_for_events(loop);
  }
  bool jumps = zl__clock_is_virtual(&loop->clock) && timeout_ns != ZL_FOREVER;
  zl__stats_resting(loop, true);
  int rc = jumps ? wait_virtually(loop, timeout_ns)
                 : loop->poller->wait(loop, timeout_ns);
  zl__stats_working(loop);
  loop->looked = loop->stats.tick;
  if (loop->budget.ends != ZL_FOREVER) {
    int64_t waited = zl_time_until(zl__budget_now(&loop->clock), start);
    loop->budget.ends = zl_time_add(loop->budget.ends, waited);
  }
  return rc;
}

int zl__wait(zl_loop *loop, int64_t wait_until) {
  if (loop->budget.swept != loop->budget.handled) {
    loop->budget.swept = loop->budget.handled;
    zl__sockets_sweep(loop);
  }
  int64_t start =
      loop->budget.ends != ZL_FOREVER ? zl__budget_now(&loop->clock) : 0;
  int64_t timeout_ns = zl__wait_time(loop, wait_until);
  zl__stretch_add(&loop->stretch, 1);
  int rc = wait_for_events(loop, timeout_ns, start);
  zl__stretch_add(&loop->stretch, 1);
  if (rc == -ECHILD) {
    return rc;
  }
  zl__posts_take(loop);
  zl__signals_take(loop);
  zl__ready_take(&loop->ready);
  if (rc != -EINTR) {
    return rc < 0 ? rc : loop->mailbox.deaf;
  }
  bool ends = loop->interrupt && loop->interrupt(loop, loop->interrupt_ud) != 0;
  return ends ? -EINTR : loop->mailbox.deaf;
}
