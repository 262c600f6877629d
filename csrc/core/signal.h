/* signal.h - signals of the process, delivered by loops.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZL_SIGNAL_H
#define ZL_SIGNAL_H

#include <stdatomic.h>
#include <stdbool.h>

#include "handle.h"
#include "list.h"
#include "zmqloop.h"

struct zl_signal {
  zl__handle handle;
  /* On signals.at_rest, or on signals.raised: collected, not yet called. */
  zl__link raised;
  int number;
  unsigned flags;
  zl_signal_fn fn;
  void *arg;
  /* The rest is used by the signal handler, on any thread. */
  atomic_uint arrivals;      /* since the last call */
  _Atomic(zl_signal *) next; /* the next watch of the same signal */
};


typedef struct zl__signals {
  zl__link at_rest;
  zl__link raised;     /* to be called in this iteration */
  atomic_bool arrived; /* some watcher has arrivals */
} zl__signals;

void zl__signals_init(zl__signals *signals);

/* Would zl__signals_take() or zl__signals_run() find anything? */
bool zl__signals_pending(const zl_loop *loop);

/* Collects the watchers whose signal has arrived, for zl__signals_run(). */
void zl__signals_take(zl_loop *loop);

/* Calls the collected ones. Returns false if the budget ran out first. */
bool zl__signals_run(zl_loop *loop);

/* What is wrong, or NULL. */
const char *zl__signals_verify(const zl_loop *loop);

#endif /* ZL_SIGNAL_H */
