/* budget.h - how much a step may do.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZL_BUDGET_H
#define ZL_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

#include "clock.h"
#include "zmqloop.h"

typedef struct zl__budget {
  int64_t handled;     /* calls and messages in this run or step */
  int64_t swept;       /* of them, when zl__sockets_sweep() was last called */
  int64_t events_left; /* of the step's budget; huge if there is no limit */
  int64_t ends;        /* ZL_FOREVER: no limit */
  bool breaking;       /* zl_loop_break(): return after this callback */
} zl__budget;

/* Sets a budget without limits. */
static inline void zl__budget_reset(zl__budget *budget) {
  budget->events_left = INT64_MAX;
  budget->ends = ZL_FOREVER;
  budget->breaking = false;
}

/* Must the current step or run return before the next call out? */
static inline bool zl__budget_spent(const zl__budget *budget,
                                    const zl__clock *clock) {
  return budget->breaking || budget->events_left <= 0 ||
         (budget->ends != ZL_FOREVER && clock->fn(clock->ud) >= budget->ends);
}

/* Called before each call out. */
static inline void zl__budget_count(zl__budget *budget) {
  budget->handled++;
  budget->events_left--;
}

#endif /* ZL_BUDGET_H */
