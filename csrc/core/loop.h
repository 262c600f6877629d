/* loop.h - the struct of a loop, composed of its parts.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZL_LOOP_H
#define ZL_LOOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "blocked.h"
#include "budget.h"
#include "callback.h"
#include "clock.h"
#include "handle.h"
#include "heap.h"
#include "list.h"
#include "memory.h"
#include "message.h"
#include "poller.h"
#include "post.h"
#include "ready.h"
#include "registry.h"
#include "signal.h"
#include "stats.h"
#include "zmqloop.h"

/* Where the current iteration is; a budget may end a step in any of them. */
typedef enum zl__phase {
  ZL__PHASE_COLLECT,   /* between two iterations */
  ZL__PHASE_CALLBACKS, /* those collected */
  ZL__PHASE_TIMERS,    /* those due at collection */
  ZL__PHASE_WAIT,      /* for events, if there is nothing to do */
  ZL__PHASE_POSTS,     /* and signals: those taken after the wait */
  ZL__PHASE_READY      /* the watches on loop->turn, each once */
} zl__phase;

/* zl_loop_run(), zl_loop_step(), or neither is on the stack. */
typedef enum zl__run { ZL__RUN_NONE, ZL__RUN_STEP, ZL__RUN_ENDLESS } zl__run;

/* There is a host once zl_loop_fd() was called. ZL__HOST_TOLD: the descriptor
 * was made readable, until the next step. */
typedef enum zl__host { ZL__HOST_NONE, ZL__HOST_WAITS, ZL__HOST_TOLD } zl__host;

struct zl_loop {
  zl__memory memory;
  zl__clock clock;
  zl_interrupt_fn interrupt;
  void *interrupt_ud;
  zl_slowest_fn slowest;
  void *slowest_ud;
  void *data;

  const zl__poller *poller;
  void *poller_state;
  bool touch; /* mark a socket dirty after every operation on it */

  zl__handles handles;
  zl__registry registry;
  zl__ready ready;
  zl__heap heap;
  zl__callbacks callbacks;
  zl__mailbox mailbox;
  zl__signals signals;
  zl__link sweep; /* foreign sockets that change state silently */
  zl__spare_messages spares;
  zl__stats stats;
  zl__budget budget;

  zl__phase phase;
  zl__run run;
  zl__host host;
  bool terminated; /* a socket reported ETERM, not yet returned by a run */
  int64_t looked;  /* the tick at which the loop last polled */
  atomic_bool stopping;
  zl__stretch stretch;
  zl__watchdog *watchdog; /* NULL: the loop is not watched */
};

#endif /* ZL_LOOP_H */
