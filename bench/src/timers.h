/* timers.h - the timer workloads, for loops in C. SPDX-License-Identifier: MIT
 *
 *   timers   one-shot timers over b->span_s: create, cancel nine of ten, run
 *   due      the same, but the loop starts when all of them are due
 *   all_due  the same without cancelling
 *   pending  timers that are due in an hour, and a loop that runs for b->span_s
 */
#ifndef TIMERS_H
#define TIMERS_H

#include "bench.h"

#include <stdbool.h>

typedef struct timers_peer {
  /* Starts timer `index` of b->counted: on_timer(index) after delay_s. */
  void (*create)(size_t index, double delay_s);
  void (*cancel)(size_t index);
  void (*run)(void);  /* until stop */
  void (*stop)(void); /* called inside a callback */
} timers_peer;

/* To be called by the peer when a timer fires. */
void timers_fired(size_t index);

/* Runs b->workload and adds its figures; false if it is not one of these. */
bool timers_run(bench *b, const timers_peer *peer);

#endif
