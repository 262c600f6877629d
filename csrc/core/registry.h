/* registry.h - the table through which the poller reaches watches.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZL_REGISTRY_H
#define ZL_REGISTRY_H

#include <stddef.h>
#include <stdint.h>

#include "watch.h"

/* Reports carry index and generation, so that a report for a closed watch is
 * ignored, even if its descriptor or slot has been reused. */
typedef struct zl__slot {
  zl__watch *watch; /* NULL: free */
  uint32_t generation;
  uint32_t next_free;
} zl__slot;

typedef struct zl__registry {
  zl__slot *slots;
  uint32_t slot_count;
  uint32_t free_slot;
  uint32_t watch_count; /* slots in use */
  uint32_t *owners;     /* descriptor -> index of the slot of its watch, or 0 */
  size_t owner_count;
  int stale; /* reports for closed watches since the last rebuild */
} zl__registry;

/* Gives the watch a slot. Returns 0 or -ENOMEM. */
int zl__registry_add(zl__watch *watch);
void zl__registry_remove(zl__watch *watch);

/* What the poller is to report for the watch, which has a slot. */
uint64_t zl__registry_token(const zl__watch *watch);

/* Makes room for the owner of fd. Returns 0, -ENOMEM or -EBADF. */
int zl__registry_reserve(zl_loop *loop, int fd);

/* The watch that owns the descriptor, or NULL. */
const zl__watch *zl__registry_owner(const zl_loop *loop, int fd);

/* The poller has accepted fd for the watch. */
void zl__registry_own(zl__watch *watch, int fd);

/* The watch no longer owns its descriptor. */
void zl__registry_disown(zl__watch *watch);

/* Called by the poller during its wait; nothing is called out from here. */
void zl__registry_report(zl_loop *loop, uint64_t token, int events);

void zl__registry_free(zl_loop *loop);

#endif /* ZL_REGISTRY_H */
