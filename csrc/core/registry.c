/* registry.c - the table through which the poller reaches watches.
 * SPDX-License-Identifier: MIT
 *
 * The poller is given a token: the index of a slot and the slot's generation,
 * which changes when the slot is freed. So a report that was collected before
 * its watch was closed finds no watch.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "loop.h"
#include "registry.h"

enum { FIRST_SLOTS = 16 };

/* ---- slots -------------------------------------------------------------- */

/* Slot 0 is never used: token 0 is the loop's own descriptor, and 0 ends the
 * list of free slots. */
static int grow_slots(zl_loop *loop) {
  uint32_t count =
      loop->registry.slot_count ? loop->registry.slot_count * 2 : FIRST_SLOTS;
  if (loop->registry.slot_count > UINT32_MAX / 4) {
    return -ENOMEM;
  }
  zl__slot *slots = zl__resize(&loop->memory, loop->registry.slots,
                               loop->registry.slot_count * sizeof *slots,
                               count * sizeof *slots);
  if (!slots) {
    return -ENOMEM;
  }
  for (uint32_t i = count - 1; i >= loop->registry.slot_count && i > 0; i--) {
    slots[i] = (zl__slot){.next_free = loop->registry.free_slot};
    loop->registry.free_slot = i;
  }
  if (loop->registry.slot_count == 0) {
    slots[0] = (zl__slot){.next_free = 0};
  }
  loop->registry.slots = slots;
  loop->registry.slot_count = count;
  return 0;
}

int zl__registry_add(zl__watch *watch) {
  zl_loop *loop = watch->handle.loop;
  if (loop->registry.free_slot == 0) {
    int rc = grow_slots(loop);
    if (rc < 0) {
      return rc;
    }
  }
  watch->index = loop->registry.free_slot;
  loop->registry.free_slot = loop->registry.slots[watch->index].next_free;
  loop->registry.slots[watch->index].watch = watch;
  loop->registry.watch_count++;
  return 0;
}

void zl__registry_remove(zl__watch *watch) {
  zl_loop *loop = watch->handle.loop;
  zl__slot *slot = &loop->registry.slots[watch->index];
  slot->watch = NULL;
  slot->generation++;
  slot->next_free = loop->registry.free_slot;
  loop->registry.free_slot = watch->index;
  loop->registry.watch_count--;
  watch->index = 0;
}

uint64_t zl__registry_token(const zl__watch *watch) {
  const zl_loop *loop = watch->handle.loop;
  /* clang 14 takes this for a 32-bit shift. NOLINTNEXTLINE */
  return (uint64_t)watch->index << 32 |
         loop->registry.slots[watch->index].generation;
}

/* ---- descriptors -------------------------------------------------------- */

/* fd is checked first, because the table grows with its number, which may be
 * large. */
int zl__registry_reserve(zl_loop *loop, int fd) {
  size_t needed = (size_t)fd + 1;
  if (needed <= loop->registry.owner_count) {
    return 0;
  }
  if (fcntl(fd, F_GETFD) < 0) {
    return -errno;
  }
  size_t count =
      loop->registry.owner_count ? loop->registry.owner_count : FIRST_SLOTS;
  while (count < needed) {
    count *= 2;
  }
  uint32_t *owners = zl__resize(&loop->memory, loop->registry.owners,
                                loop->registry.owner_count * sizeof *owners,
                                count * sizeof *owners);
  if (!owners) {
    return -ENOMEM;
  }
  memset(owners + loop->registry.owner_count, 0,
         (count - loop->registry.owner_count) * sizeof *owners);
  loop->registry.owners = owners;
  loop->registry.owner_count = count;
  return 0;
}

const zl__watch *zl__registry_owner(const zl_loop *loop, int fd) {
  uint32_t index =
      (size_t)fd < loop->registry.owner_count ? loop->registry.owners[fd] : 0;
  return index != 0 ? loop->registry.slots[index].watch : NULL;
}

/* The poller has accepted fd. If another watch has that number, the poller is
 * right: that watch's descriptor was closed behind the loop's back and the
 * number has been reused. The old watch must not take the new one's
 * registration with it. */
void zl__registry_own(zl__watch *watch, int fd) {
  zl_loop *loop = watch->handle.loop;
  uint32_t owner = loop->registry.owners[fd];
  if (owner != 0) {
    loop->registry.slots[owner].watch->fd = -1;
  }
  loop->registry.owners[fd] = watch->index;
  watch->fd = fd;
}

void zl__registry_disown(zl__watch *watch) {
  watch->handle.loop->registry.owners[watch->fd] = 0;
  watch->fd = -1;
}

/* ---- reports ------------------------------------------------------------ */

void zl__registry_report(zl_loop *loop, uint64_t token, int events) {
  uint32_t index = (uint32_t)(token >> 32);
  if (token == ZL__TOKEN_WAKE) {
    zl__mailbox_take_wake(&loop->mailbox);
    return;
  }
  const zl__slot *slot = &loop->registry.slots[index];
  if (slot->watch && slot->generation == (uint32_t)token) {
    slot->watch->report(slot->watch, events);
  } else {
    loop->registry.stale++;
  }
}

void zl__registry_free(zl_loop *loop) {
  zl__free(&loop->memory, loop->registry.slots,
           loop->registry.slot_count * sizeof *loop->registry.slots);
  zl__free(&loop->memory, loop->registry.owners,
           loop->registry.owner_count * sizeof *loop->registry.owners);
}
