/* clock.h - the clocks, and the grid of a periodic timer.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZL_CLOCK_H
#define ZL_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "zmqloop.h"

typedef struct zl__clock {
  zl_clock_fn fn;
  void *ud;
  int64_t virtual_ns; /* the time, where the clock is virtual */
} zl__clock;

int64_t zl__clock_monotonic(void *unused);
int64_t zl__clock_virtual(void *clock);

static inline bool zl__clock_is_virtual(const zl__clock *clock) {
  return clock->fn == zl__clock_virtual;
}

/* Always below ZL_FOREVER, the deadline that is never reached. A user's clock
 * may do anything that a callback may. */
int64_t zl__clock_now(const zl__clock *clock);

/* The first deadline + k * period after now, and how many were missed. Exact
 * for any distance, even one that overflows int64_t. If the clock went back,
 * the result is one period after the deadline. */
int64_t zl__time_next(int64_t deadline_ns, int64_t period_ns, int64_t now_ns,
                      uint64_t *missed);

#endif /* ZL_CLOCK_H */
