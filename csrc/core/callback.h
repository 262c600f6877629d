/* callback.h - callbacks for the next iteration.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZL_CALLBACK_H
#define ZL_CALLBACK_H

#include <stdbool.h>
#include <stddef.h>

#include "zmqloop.h"

typedef struct zl__callback {
  zl_callback_fn fn;
  void *arg;
} zl__callback;

/* Ring of pending callbacks; capacity is 0 or a power of two. */
typedef struct zl__callbacks {
  zl__callback *ring;
  size_t capacity;
  size_t head;
  size_t count;
  size_t collected; /* how many belong to the current iteration */
} zl__callbacks;

/* Those that are queued belong to the iteration that begins. */
void zl__callbacks_collect(zl_loop *loop);

/* Takes the first collected one, which is about to be called. */
zl__callback zl__callbacks_take(zl_loop *loop);

/* Calls the collected ones. Returns false if the budget ran out first. */
bool zl__callbacks_run(zl_loop *loop);
void zl__callbacks_free(zl_loop *loop);

#endif /* ZL_CALLBACK_H */
