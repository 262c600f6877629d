/* stats.h - what a loop has done and how long it took.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZL_STATS_H
#define ZL_STATS_H

#include <stdbool.h>
#include <stdint.h>

#include "zmqloop.h"

typedef struct zl__stats {
  zl_stats total;
  int64_t busy_since;
  int64_t idle_since; /* 0: not in a wait */
  int64_t tick;       /* when the last call returned or work began */
} zl__stats;


/* The loop begins to work: a run or step begins, or a wait has ended. */
void zl__stats_working(zl_loop *loop);

/* A run or step ends, or with `waits` a wait begins. */
void zl__stats_resting(zl_loop *loop, bool waits);

/* A call of one of the phases has returned. */
void zl__stats_called(zl_loop *loop);

/* A timer is about to be called. */
void zl__stats_timer(zl_loop *loop, int64_t now, int64_t deadline);

#endif /* ZL_STATS_H */
