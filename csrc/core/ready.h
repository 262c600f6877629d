/* ready.h - the watches to be served, in their order.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZL_READY_H
#define ZL_READY_H

#include <stdbool.h>

#include "list.h"
#include "watch.h"

typedef struct zl__ready {
  zl__link dirty;    /* to be served in the next dispatch */
  zl__link turn;     /* to be served in this dispatch */
  zl__watch *served; /* being served; NULL: none */
  int prioritized;   /* open watches with another priority than 0 */
} zl__ready;

void zl__ready_init(zl__ready *ready);

/* The watch will be served in the next dispatch. */
void zl__watch_dirty(zl__watch *watch);

void zl__watch_set_priority(zl__watch *watch, int priority);

/* Every dirty watch is served in this turn once, by priority, so none starves
 * another. */
void zl__ready_take(zl__ready *ready);

/* Takes the first watch of this turn off the list and serves it. Returns false
 * if there is none. */
bool zl__ready_serve_next(zl__ready *ready);

/* The watch has been checked for everything that made it dirty. During its turn
 * this takes it off its list; outside a turn it stays there. */
static inline void zl__ready_checked(zl__ready *ready, zl__watch *watch) {
  if (zl__linked(&watch->ready) && ready->served == watch) {
    zl__unlink(&watch->ready);
  }
}

#endif /* ZL_READY_H */
