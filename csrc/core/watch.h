/* watch.h - handles that have a descriptor in the poller.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZL_WATCH_H
#define ZL_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "handle.h"
#include "list.h"

typedef struct zl__watch {
  zl__handle handle;
  /* On ready.dirty: to be served in the next dispatch. On ready.turn: in this
   * one. Membership is the state. */
  zl__link ready;
  /* Serves the watch once, which may close itself. It is taken off its list
   * first, so anything that makes it dirty meanwhile puts it on the next
   * one. */
  void (*serve)(struct zl__watch *watch);
  /* Handles the poller's report: marks the watch dirty if the report
   * matters. */
  void (*report)(struct zl__watch *watch, int events);
  int fd;         /* -1: not in the poller */
  int events;     /* events the poller watches; 0 with edge */
  int priority;   /* order in a turn; the default is 0 */
  bool edge;      /* a zmq descriptor */
  bool paused;    /* out of the poller for now; its number stays reserved */
  uint32_t index; /* of its slot; 0: none */
} zl__watch;

bool zl__events_valid(int events);

/* Puts fd into the poller; the watch must have fd -1 and no slot. */
int zl__watch_open(zl__watch *watch, int fd, int events, bool edge);

/* Removes the watch from the poller and from every list. In a forked child the
 * poller is shared with the parent and left alone. */
void zl__watch_shut(zl__watch *watch);

#endif /* ZL_WATCH_H */
