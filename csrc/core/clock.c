/* clock.c - the clocks, and sums of times that cannot overflow.
 * SPDX-License-Identifier: MIT
 *
 * Not CLOCK_MONOTONIC_COARSE: it is 19 ns cheaper and 4 ms coarse.
 */
#define _GNU_SOURCE
#include <time.h>

#include "internal.h"

int64_t zl__clock_monotonic(void *unused) {
  struct timespec now;
  (void)unused;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t zl__clock_virtual(void *loop) {
  return ((const zl_loop *)loop)->virtual_ns;
}

/* Saturates: "in ZL_FOREVER" is for ever, not in the past. */
int64_t zl__time_add(int64_t time_ns, int64_t delay_ns) {
  if (delay_ns > 0 && time_ns > ZL_FOREVER - delay_ns) {
    return ZL_FOREVER;
  }
  if (delay_ns < 0 && time_ns < INT64_MIN - delay_ns) {
    return INT64_MIN;
  }
  return time_ns + delay_ns;
}
