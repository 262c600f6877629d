/* ready.c - the watches to be served, in their order.
 * SPDX-License-Identifier: MIT
 */
#include "ready.h"
#include "host.h"
#include "loop.h"

void zl__ready_init(zl__ready *ready) {
  zl__link_init(&ready->dirty);
  zl__link_init(&ready->turn);
}

void zl__watch_dirty(zl__watch *watch) {
  if (!zl__linked(&watch->ready)) {
    zl__append(&watch->handle.loop->ready.dirty, &watch->ready);
    zl__host_changed(watch->handle.loop);
  }
}

void zl__watch_set_priority(zl__watch *watch, int priority) {
  zl_loop *loop = watch->handle.loop;
  loop->ready.prioritized -= watch->priority != 0 ? 1 : 0;
  loop->ready.prioritized += priority != 0 ? 1 : 0;
  watch->priority = priority;
}

static int priority_of(const zl__link *link) {
  /* clang 14 takes the head of a list for a watch. NOLINTNEXTLINE */
  return zl__container(link, const zl__watch, ready)->priority;
}

/* Moves the first `count` of `list` to `half`. */
static void take_first(zl__link *half, zl__link *list, size_t count) {
  zl__link_init(half);
  for (; count > 0; count--) {
    zl__link *link = list->next;
    zl__unlink(link);
    zl__append(half, link);
  }
}

/* Appends two sorted lists to a third, those of `a` first where equal. */
static void merge(zl__link *to, zl__link *a, zl__link *b) {
  while (zl__linked(a) && zl__linked(b)) {
    zl__link *link =
        priority_of(a->next) >= priority_of(b->next) ? a->next : b->next;
    zl__unlink(link);
    zl__append(to, link);
  }
  zl__splice(to, a);
  zl__splice(to, b);
}

/* Stable merge sort, highest first. The recursion is as deep as the count has
 * bits. */
static void ready_sort(zl__link *list, size_t count) {
  zl__link first;
  zl__link rest;
  if (count < 2) {
    return;
  }
  take_first(&first, list, count / 2);
  zl__link_init(&rest);
  zl__splice(&rest, list);
  ready_sort(&first, count / 2);
  ready_sort(&rest, count - count / 2);
  merge(list, &first, &rest);
}

void zl__ready_take(zl__ready *ready) {
  size_t count = 0;
  if (ready->prioritized > 0) {
    for (zl__link *link = ready->dirty.next; link != &ready->dirty;
         link = link->next) {
      count++;
    }
    ready_sort(&ready->dirty, count);
  }
  zl__splice(&ready->turn, &ready->dirty);
}

bool zl__ready_serve_next(zl__ready *ready) {
  zl__link *link = zl__first(&ready->turn);
  if (!link) {
    return false;
  }
  zl__watch *watch = zl__container(link, zl__watch, ready);
  zl__unlink(link);
  ready->served = watch;
  watch->serve(watch);
  ready->served = NULL;
  return true;
}
