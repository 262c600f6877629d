/* blocked.h - tells a loop's thread that it has been busy for too long.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZL_BLOCKED_H
#define ZL_BLOCKED_H

#include <stdatomic.h>

#include "zmqloop.h"
#include "zmqloop_blocked.h"

typedef struct zl__watchdog zl__watchdog;

/* Counts stretches of work and of rest; odd while at work. Written by the
 * loop's thread only. */
typedef atomic_uint zl__stretch;

static inline void zl__stretch_add(zl__stretch *stretch, unsigned count) {
  unsigned now = atomic_load_explicit(stretch, memory_order_relaxed);
  atomic_store_explicit(stretch, now + count, memory_order_release);
}

/* A run begins on this thread. */
void zl__watchdog_begin(zl__watchdog *watchdog);

/* The run has ended. Waits until no signal is being sent. */
void zl__watchdog_end(zl__watchdog *watchdog);

#endif /* ZL_BLOCKED_H */
