/* stats.c - what a loop has done and how long it took.
 * SPDX-License-Identifier: MIT
 *
 * Cheap enough to be always on: the monotonic clock is read once for each call
 * made by the phases (a stream's turn is one), and twice for a wait that may
 * block. It is the system's clock even where the loop has another, since a
 * callback keeps the thread busy in real time.
 */
#include "stats.h"
#include "loop.h"

void zl__stats_working(zl_loop *loop) {
  zl__stats *stats = &loop->stats;
  int64_t now = zl__clock_monotonic(NULL);
  if (stats->idle_since != 0) {
    stats->total.idle_ns += now - stats->idle_since;
    stats->idle_since = 0;
  }
  stats->busy_since = now;
  stats->tick = now;
}

void zl__stats_resting(zl_loop *loop, bool waits) {
  zl__stats *stats = &loop->stats;
  int64_t now = zl__clock_monotonic(NULL);
  stats->total.busy_ns += now - stats->busy_since;
  stats->idle_since = waits ? now : 0;
}

void zl__stats_called(zl_loop *loop) {
  zl__stats *stats = &loop->stats;
  int64_t now = zl__clock_monotonic(NULL);
  int64_t took = now - stats->tick;
  stats->tick = now;
  if (took > stats->total.slowest_ns) {
    stats->total.slowest_ns = took;
    if (loop->slowest) {
      loop->slowest(loop, took, loop->slowest_ud);
    }
  }
}

void zl__stats_timer(zl_loop *loop, int64_t now, int64_t deadline) {
  zl_stats *total = &loop->stats.total;
  total->timers++;
  if (deadline < now) {
    int64_t late_ns = zl_time_until(now, deadline);
    total->lateness_ns = zl_time_add(total->lateness_ns, late_ns);
    if (late_ns > total->lateness_max_ns) {
      total->lateness_max_ns = late_ns;
    }
  }
}

void zl_loop_stats(const zl_loop *loop, zl_stats *out) {
  *out = loop->stats.total;
  if (loop->run != ZL__RUN_NONE) {
    int64_t now = zl__clock_monotonic(NULL);
    out->busy_ns += zl_time_until(now, loop->stats.busy_since);
  }
}
