/* wait.h - the wait of a loop, and how long it may take.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZL_WAIT_H
#define ZL_WAIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "loop.h"

/* A stop applies to runs only, and stays set during steps: otherwise a host
 * that only steps would never wait again. */
static inline bool zl__stopping(const zl_loop *loop) {
  return loop->run == ZL__RUN_ENDLESS &&
         atomic_load_explicit(&loop->stopping, memory_order_acquire);
}

/* How long the wait may take: 0 if there is something to do. */
int64_t zl__wait_time(zl_loop *loop, int64_t wait_until);

/* Waits and collects what is to be dispatched. Returns 0, -EINTR if the
 * interrupt callback asks for it, -ECHILD in a forked child, or the poller's
 * error: if ignored, the loop would spin without any events. */
int zl__wait(zl_loop *loop, int64_t wait_until);

#endif /* ZL_WAIT_H */
