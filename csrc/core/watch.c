/* watch.c - handles that have a descriptor in the poller.
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>

#include "loop.h"
#include "watch.h"

bool zl__events_valid(int events) {
  return (events & ~(ZL_READ | ZL_WRITE | ZL_ERROR)) == 0;
}

int zl__watch_open(zl__watch *watch, int fd, int events, bool edge) {
  zl_loop *loop = watch->handle.loop;
  if (fd < 0) {
    return -EBADF;
  }
  if (zl__mailbox_forked(&loop->mailbox)) {
    return -ECHILD; /* the poller is the parent's */
  }
  int rc = zl__registry_reserve(loop, fd);
  if (rc < 0) {
    return rc;
  }
  const zl__watch *owner = zl__registry_owner(loop, fd);
  if (owner && owner->paused) {
    return -EEXIST;
  }
  rc = zl__registry_add(watch);
  if (rc < 0) {
    return rc;
  }
  rc = loop->poller->add(loop, fd, events, edge, zl__registry_token(watch));
  if (rc < 0) {
    zl__registry_remove(watch);
    return rc;
  }
  watch->events = events;
  watch->edge = edge;
  zl__registry_own(watch, fd);
  return 0;
}

void zl__watch_shut(zl__watch *watch) {
  zl_loop *loop = watch->handle.loop;
  zl__unlink(&watch->ready);
  zl__watch_set_priority(watch, 0);
  if (watch->fd >= 0) {
    if (!watch->paused && !zl__mailbox_forked(&loop->mailbox)) {
      loop->poller->remove(loop, watch->fd);
    }
    zl__registry_disown(watch);
  }
  if (watch->index != 0) {
    zl__registry_remove(watch);
  }
}
