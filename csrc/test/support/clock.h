/* clock.h - a clock that stands still until a test moves it.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZL_TEST_CLOCK_H
#define ZL_TEST_CLOCK_H

#include "zmqloop.h"

typedef struct virtual_clock {
  int64_t now;
} virtual_clock;

/* A loop on this clock, to be driven by zl_loop_step(loop, 0, ...): waiting
 * would take real time. */
zl_loop *virtual_loop(virtual_clock *clock);

/* A loop as the default configuration makes it. */
zl_loop *new_loop(void);

/* Fails the test if the loop's invariants do not hold, then closes it. */
void close_loop(zl_loop *loop);

/* Fails the test, naming the invariant, if one does not hold. */
void verify_loop(const zl_loop *loop);

#define MILLISECONDS INT64_C(1000000)
#define SECONDS      INT64_C(1000000000)

#endif /* ZL_TEST_CLOCK_H */
