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
  int64_t events_left; /* of the step's budget; huge if there is no limit; 0
                        * when breaking */
  int64_t ends;        /* ZL_FOREVER: no limit */
  bool breaking;       /* zl_loop_break(): return after this callback */
} zl__budget;

/* Sets a budget without limits. */
static inline void zl__budget_reset(zl__budget *budget) {
  budget->events_left = INT64_MAX;
  budget->ends = ZL_FOREVER;
  budget->breaking = false;
}

/* The step or run returns before its next call out. */
static inline void zl__budget_break(zl__budget *budget) {
  budget->breaking = true;
  budget->events_left = 0;
}

/* Takes the limits away, until zl__budget_restore(), from what a step's budget
 * does not limit. Returns what to restore. */
static inline zl__budget zl__budget_lift(zl__budget *budget) {
  zl__budget before = *budget;
  budget->events_left = budget->breaking ? 0 : INT64_MAX;
  budget->ends = ZL_FOREVER;
  return before;
}

/* What was handled since zl__budget_lift() does not count. */
static inline void zl__budget_restore(zl__budget *budget,
                                      const zl__budget *before) {
  budget->handled = before->handled;
  budget->events_left = budget->breaking ? 0 : before->events_left;
  budget->ends = before->ends;
}

/* The clock of a budget of time. It is the host's time that is limited, and
 * that passes also while a virtual clock stands still. */
static inline int64_t zl__budget_now(const zl__clock *clock) {
  return zl__clock_is_virtual(clock) ? zl__clock_monotonic(NULL)
                                     : zl__clock_now(clock);
}

static inline bool zl__budget_has_limits(const zl__budget *budget) {
  return budget->events_left != INT64_MAX || budget->ends != ZL_FOREVER;
}

/* Must the current step or run return before the next call out? */
static inline bool zl__budget_spent(const zl__budget *budget,
                                    const zl__clock *clock) {
  return budget->events_left <= 0 ||
         (budget->ends != ZL_FOREVER && zl__budget_now(clock) >= budget->ends);
}

/* Called before each call out. */
static inline void zl__budget_count(zl__budget *budget) {
  budget->handled++;
  budget->events_left--;
}

#endif /* ZL_BUDGET_H */
