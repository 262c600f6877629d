/* post.h - callbacks from other threads, and waking the loop.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZL_POST_H
#define ZL_POST_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

#include "zmqloop.h"

typedef struct zl__post {
  struct zl__post *next;
  zl_callback_fn fn;
  void *arg;
  void (*drop)(void *arg);
} zl__post;

typedef struct zl__mailbox {
  _Atomic(zl__post *) head; /* pushed by any thread, newest first */
  zl__post *taken;          /* taken by the loop, oldest first */
  int wake_read;            /* in the poller, level-triggered */
  int wake_write;           /* the same descriptor where there is eventfd */
  pid_t pid;                /* of the loop's process */
  atomic_bool waking;       /* zl_loop_wake() was called */
  bool woken;               /* by zl_loop_wake(), in this run or step */
  int deaf;                 /* the error of the wake-up descriptor; 0: none */
} zl__mailbox;


/* Returns 0 or an error; it must be closed in either case. */
int zl__mailbox_open(zl__mailbox *mailbox);
void zl__mailbox_close(zl__mailbox *mailbox);

/* Returns 0, or -EBADF if other code has closed the descriptor: then nothing
 * can wake the loop any more. */
int zl__mailbox_drain_wake(const zl__mailbox *mailbox);

/* Called when the descriptor is reported: sets `woken` and `deaf`. */
void zl__mailbox_take_wake(zl__mailbox *mailbox);

/* Ends the current or the next wait. Async-signal-safe. */
void zl__mailbox_wake(const zl__mailbox *mailbox);

/* Would zl__posts_take() and zl__posts_run() find nothing? */
bool zl__mailbox_empty(const zl__mailbox *mailbox);

/* Is this a forked child of the loop's process? */
bool zl__mailbox_forked(const zl__mailbox *mailbox);

/* Collects what has been posted, for zl__posts_run(). */
void zl__posts_take(zl_loop *loop);

/* Calls the collected ones. Returns false if the budget ran out first. */
bool zl__posts_run(zl_loop *loop);

#endif /* ZL_POST_H */
