/* ready.h - the watches to be served, in their order.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZL_READY_H
#define ZL_READY_H

#include "list.h"
#include "watch.h"

typedef struct zl__ready {
  zl__link dirty;  /* to be served in the next dispatch */
  zl__link turn;   /* to be served in this dispatch */
  int prioritized; /* open watches with another priority than 0 */
} zl__ready;

void zl__ready_init(zl__ready *ready);

/* The watch will be served in the next dispatch. */
void zl__watch_dirty(zl__watch *watch);

void zl__watch_set_priority(zl__watch *watch, int priority);

/* Every dirty watch is served in this turn once, by priority, so none starves
 * another. */
void zl__ready_take(zl__ready *ready);

/* Takes the first watch of this turn off the list. Returns NULL at its end. */
zl__watch *zl__ready_next(zl__ready *ready);

#endif /* ZL_READY_H */
