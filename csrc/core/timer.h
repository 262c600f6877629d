/* timer.h - timers: the API over the heap.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZL_TIMER_H
#define ZL_TIMER_H

#include <stdbool.h>
#include <stdint.h>

#include "heap.h"
#include "zmqloop.h"

struct zl_timer {
  zl__heap_item item;
  zl_loop *loop;
  zl_timer_fn fn;
  void *arg;
  int64_t period; /* 0: once */
};

/* Calls the collected ones. Returns false if the budget ran out first. */
bool zl__timers_run(zl_loop *loop);

#endif /* ZL_TIMER_H */
