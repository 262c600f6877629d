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
  /* Serves the watch once: it is on no list, and may close itself. */
  void (*serve)(struct zl__watch *watch);
  /* The poller's report: marks the watch dirty if that means anything. */
  void (*report)(struct zl__watch *watch, int events);
  int fd;         /* -1: not in the poller */
  int events;     /* what the poller watches it for; 0 with edge */
  int priority;   /* in a turn; 0: as most */
  bool edge;      /* a zmq descriptor */
  bool paused;    /* out of the poller for a while, with its number kept */
  uint32_t index; /* of its slot; 0: none */
} zl__watch;

bool zl__events_valid(int events);

/* Puts fd into the poller; the watch must have fd -1 and no slot. */
int zl__watch_open(zl__watch *watch, int fd, int events, bool edge);

/* Takes the watch off the poller and off every list. In a forked child the
 * poller is shared with the parent and left alone. */
void zl__watch_shut(zl__watch *watch);

#endif /* ZL_WATCH_H */
