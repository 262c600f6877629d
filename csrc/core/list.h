/* list.h - intrusive doubly linked list, first in first out.
 * SPDX-License-Identifier: MIT
 *
 * A link that is on no list points to itself, so removing it again does
 * nothing, and membership needs no flag.
 */
#ifndef ZL_LIST_H
#define ZL_LIST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct zl__link {
  struct zl__link *prev;
  struct zl__link *next;
} zl__link;

/* The struct of type `type` whose member `member` is *link. */
#define zl__container(link, type, member)                                      \
  ((type *)(void *)((char *)(link)-offsetof(type, member)))

static inline void zl__link_init(zl__link *link) {
  link->prev = link;
  link->next = link;
}

static inline bool zl__linked(const zl__link *link) {
  return link->next != link;
}

static inline void zl__unlink(zl__link *link) {
  link->prev->next = link->next;
  link->next->prev = link->prev;
  zl__link_init(link);
}

static inline void zl__append(zl__link *list, zl__link *link) {
  link->prev = list->prev;
  link->next = list;
  list->prev->next = link;
  list->prev = link;
}

/* First link of the list, or NULL. */
static inline zl__link *zl__first(const zl__link *list) {
  return list->next == list ? NULL : list->next;
}

/* Appends all of `from` to `list`; `from` is empty afterwards. */
static inline void zl__splice(zl__link *list, zl__link *from) {
  if (!zl__linked(from)) {
    return;
  }
  from->next->prev = list->prev;
  list->prev->next = from->next;
  from->prev->next = list;
  list->prev = from->prev;
  zl__link_init(from);
}

#endif /* ZL_LIST_H */
