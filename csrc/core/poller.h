/* poller.h - the only code that waits: epoll, or poll.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZL_POLLER_H
#define ZL_POLLER_H

#include <stdbool.h>
#include <stdint.h>

#include "zmqloop.h"

/* Reported for the loop's own wake-up descriptor. No slot has index 0. */
#define ZL__TOKEN_WAKE 0

typedef struct zl__poller {
  const char *name;
  int (*open)(zl_loop *loop);
  void (*close)(zl_loop *loop);
  /* edge: report each write to an eventfd once, even if the count has been read
   * meanwhile; else level-triggered. */
  int (*add)(zl_loop *loop, int fd, int events, bool edge, uint64_t token);
  int (*modify)(zl_loop *loop, int fd, int events, uint64_t token);
  void (*remove)(zl_loop *loop, int fd);
  /* Waits at most timeout_ns and calls zl__registry_report() for each event.
   * Returns 0 or an error; after -EINTR it may be called again at once. */
  int (*wait)(zl_loop *loop, int64_t timeout_ns);
  /* A descriptor that is readable while wait() would report something,
   * level-triggered; always the same one. NULL: the poller has none. */
  int (*descriptor)(zl_loop *loop);
} zl__poller;

extern const zl__poller zl__poller_epoll;
extern const zl__poller zl__poller_posix;

#endif /* ZL_POLLER_H */
