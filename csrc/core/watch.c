/* watch.c - handles, and the table through which the poller reaches them.
 * SPDX-License-Identifier: MIT
 *
 * The poller is given a token: the index of a slot and the slot's generation,
 * which changes when the slot is freed. So a report that is already in hand
 * when its watch is closed finds nobody.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "internal.h"

enum { FIRST_SLOTS = 16 };

/* ---- handles ------------------------------------------------------------ */

int zl__handle_new(zl_loop *loop, const zl__handle_kind *kind,
                   zl__handle **out) {
  zl__handle *handle = zl__alloc(loop, kind->size);
  *out = NULL;
  if (!handle) {
    return -ENOMEM;
  }
  memset(handle, 0, kind->size);
  handle->loop = loop;
  handle->kind = kind;
  zl__link_init(&handle->lively);
  zl__append(&loop->handles, &handle->all);
  *out = handle;
  return 0;
}

/* To be called when the handle may have become alive. zl_loop_alive() removes
 * from the list what is not, each at the cost of one call of this. */
void zl__handle_enliven(zl__handle *handle) {
  if (!zl__linked(&handle->lively)) {
    zl__append(&handle->loop->lively, &handle->lively);
  }
}

/* Marks the handle closed; its memory stays until no frame of the core that may
 * still look at it is on the stack. */
void zl__handle_bury(zl__handle *handle) {
  zl_loop *loop = handle->loop;
  handle->closed = true;
  zl__unlink(&handle->lively);
  zl__unlink(&handle->all);
  zl__append(&loop->graveyard, &handle->all);
  if (loop->depth == 0) {
    zl__handles_free_buried(loop);
  }
}

void zl__handles_free_buried(zl_loop *loop) {
  zl__link *link;
  while ((link = zl__first(&loop->graveyard))) {
    zl__handle *handle = zl__container(link, zl__handle, all);
    zl__unlink(link);
    if (handle->kind->dispose) {
      handle->kind->dispose(handle);
    }
    zl__free(loop, handle, handle->kind->size);
  }
}

/* ---- slots -------------------------------------------------------------- */

/* Slot 0 stays free: token 0 is the loop's own descriptor, and 0 ends the list
 * of free slots. */
static int grow_slots(zl_loop *loop) {
  uint32_t count = loop->slot_count ? loop->slot_count * 2 : FIRST_SLOTS;
  if (loop->slot_count > UINT32_MAX / 4) {
    return -ENOMEM;
  }
  zl__slot *slots =
      zl__resize(loop, loop->slots, loop->slot_count * sizeof *slots,
                 count * sizeof *slots);
  if (!slots) {
    return -ENOMEM;
  }
  for (uint32_t i = count - 1; i >= loop->slot_count && i > 0; i--) {
    slots[i] = (zl__slot){.next_free = loop->free_slot};
    loop->free_slot = i;
  }
  if (loop->slot_count == 0) {
    slots[0] = (zl__slot){.next_free = 0};
  }
  loop->slots = slots;
  loop->slot_count = count;
  return 0;
}

static int take_slot(zl__watch *watch) {
  zl_loop *loop = watch->handle.loop;
  if (loop->free_slot == 0) {
    int rc = grow_slots(loop);
    if (rc < 0) {
      return rc;
    }
  }
  watch->index = loop->free_slot;
  loop->free_slot = loop->slots[watch->index].next_free;
  loop->slots[watch->index].watch = watch;
  loop->watch_count++;
  return 0;
}

static void give_slot_back(zl__watch *watch) {
  zl_loop *loop = watch->handle.loop;
  zl__slot *slot = &loop->slots[watch->index];
  slot->watch = NULL;
  slot->generation++;
  slot->next_free = loop->free_slot;
  loop->free_slot = watch->index;
  loop->watch_count--;
  watch->index = 0;
}

/* ---- descriptors -------------------------------------------------------- */

/* Checked first, because the table grows with the number, which may be large.
 */
static int reserve_owner(zl_loop *loop, int fd) {
  size_t needed = (size_t)fd + 1;
  if (needed <= loop->owner_count) {
    return 0;
  }
  if (fcntl(fd, F_GETFD) < 0) {
    return -errno;
  }
  size_t count = loop->owner_count ? loop->owner_count : FIRST_SLOTS;
  while (count < needed) {
    count *= 2;
  }
  uint32_t *owners =
      zl__resize(loop, loop->owners, loop->owner_count * sizeof *owners,
                 count * sizeof *owners);
  if (!owners) {
    return -ENOMEM;
  }
  memset(owners + loop->owner_count, 0,
         (count - loop->owner_count) * sizeof *owners);
  loop->owners = owners;
  loop->owner_count = count;
  return 0;
}

void zl__slots_free(zl_loop *loop) {
  zl__free(loop, loop->slots, loop->slot_count * sizeof *loop->slots);
  zl__free(loop, loop->owners, loop->owner_count * sizeof *loop->owners);
}

/* ---- watches ------------------------------------------------------------ */

bool zl__events_valid(int events) {
  return (events & ~(ZL_READ | ZL_WRITE | ZL_ERROR)) == 0;
}

uint64_t zl__watch_token(const zl__watch *watch) {
  const zl_loop *loop = watch->handle.loop;
  /* clang 14 takes the shift for one of 32 bits. NOLINTNEXTLINE */
  return (uint64_t)watch->index << 32 | loop->slots[watch->index].generation;
}

/* A poller that accepted a number which another watch has knows better: that
 * watch's descriptor was closed behind the loop's back and the number is used
 * again. The old watch must not take the new one's registration with it. */
static void take_over(zl__watch *watch, int fd) {
  zl_loop *loop = watch->handle.loop;
  uint32_t owner = loop->owners[fd];
  if (owner != 0) {
    loop->slots[owner].watch->fd = -1;
  }
  loop->owners[fd] = watch->index;
  watch->fd = fd;
}

/* Puts fd into the poller; the watch must have fd -1 and no slot. */
int zl__watch_open(zl__watch *watch, int fd, int events, bool edge) {
  zl_loop *loop = watch->handle.loop;
  if (fd < 0) {
    return -EBADF;
  }
  if (zl__loop_forked(loop)) {
    return -ECHILD; /* the poller is the parent's */
  }
  int rc = reserve_owner(loop, fd);
  if (rc < 0) {
    return rc;
  }
  if (loop->owners[fd] != 0 && loop->slots[loop->owners[fd]].watch->paused) {
    return -EEXIST;
  }
  rc = take_slot(watch);
  if (rc < 0) {
    return rc;
  }
  rc = loop->poller->add(loop, fd, events, edge, zl__watch_token(watch));
  if (rc < 0) {
    give_slot_back(watch);
    return rc;
  }
  watch->events = events;
  watch->edge = edge;
  take_over(watch, fd);
  return 0;
}

/* Takes the watch off the poller and off every list. In a forked child the
 * poller is shared with the parent and left alone. */
void zl__watch_shut(zl__watch *watch) {
  zl_loop *loop = watch->handle.loop;
  zl__unlink(&watch->ready);
  zl__watch_set_priority(watch, 0);
  if (watch->fd >= 0) {
    loop->owners[watch->fd] = 0;
    if (!watch->paused && !zl__loop_forked(loop)) {
      loop->poller->remove(loop, watch->fd);
    }
    watch->fd = -1;
  }
  if (watch->index != 0) {
    give_slot_back(watch);
  }
}

/* The watch will be served in the next dispatch. */
void zl__watch_dirty(zl__watch *watch) {
  if (!zl__linked(&watch->ready)) {
    zl__append(&watch->handle.loop->dirty, &watch->ready);
    zl__loop_changed(watch->handle.loop);
  }
}

/* ---- priorities --------------------------------------------------------- */

void zl__watch_set_priority(zl__watch *watch, int priority) {
  zl_loop *loop = watch->handle.loop;
  loop->prioritized -= watch->priority != 0 ? 1 : 0;
  loop->prioritized += priority != 0 ? 1 : 0;
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

/* Merge sort, stable, the highest first. Recursion is as deep as the count has
 * bits. */
static void sort(zl__link *list, size_t count) {
  zl__link first;
  zl__link rest;
  if (count < 2) {
    return;
  }
  take_first(&first, list, count / 2);
  zl__link_init(&rest);
  zl__splice(&rest, list);
  sort(&first, count / 2);
  sort(&rest, count - count / 2);
  merge(list, &first, &rest);
}

/* All that is dirty is served in this turn, by priority, each once: so none
 * starves another. */
void zl__watches_take(zl_loop *loop) {
  size_t count = 0;
  if (loop->prioritized > 0) {
    for (zl__link *link = loop->dirty.next; link != &loop->dirty;
         link = link->next) {
      count++;
    }
    sort(&loop->dirty, count);
  }
  zl__splice(&loop->turn, &loop->dirty);
}
