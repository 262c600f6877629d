/* fd.c - level-triggered watches of plain descriptors.
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>

#include "loop.h"
#include "ready.h"
#include "watch.h"

struct zl_fd {
  zl__watch watch;
  int events;   /* asked for */
  int reported; /* by the poller, for this turn */
  zl_fd_fn fn;
  void *arg;
};

static zl_fd *fd_of(zl__watch *watch) {
  return zl__container(watch, zl_fd, watch);
}

static void fd_report(zl__watch *watch, int events) {
  fd_of(watch)->reported = events;
  zl__watch_dirty(watch);
}

/* The mask may have been narrowed since the report. */
static void fd_serve(zl__watch *watch) {
  zl_fd *fd = fd_of(watch);
  int events = fd->reported & (fd->events | ZL_ERROR);
  fd->reported = 0;
  if (events) {
    watch->handle.loop->stats.total.events++;
    zl__budget_count(&watch->handle.loop->budget);
    fd->fn(fd, events, fd->arg);
  }
}

static void fd_close_handle(zl__handle *handle) {
  zl_fd_close(zl__container(handle, zl_fd, watch.handle));
}

static bool fd_alive(const zl__handle *handle) {
  return zl__container(handle, const zl_fd, watch.handle)->events != 0;
}

static const zl__handle_kind fd_kind = {
    .size = sizeof(zl_fd),
    .close = fd_close_handle,
    .alive = fd_alive,
};

int zl_fd_new(zl_loop *loop, int fd, int events, zl_fd_fn fn, void *arg,
              zl_fd **out) {
  zl__handle *handle;
  *out = NULL;
  if (!zl__events_valid(events)) {
    return -EINVAL;
  }
  int rc = zl__handle_new(loop, &fd_kind, &handle);
  if (rc < 0) {
    return rc;
  }
  zl_fd *watch = zl__container(handle, zl_fd, watch.handle);
  zl__link_init(&watch->watch.ready);
  watch->watch.serve = fd_serve;
  watch->watch.report = fd_report;
  watch->watch.fd = -1;
  watch->events = events;
  watch->fn = fn;
  watch->arg = arg;
  rc = zl__watch_open(&watch->watch, fd, events, false);
  if (rc < 0) {
    zl_fd_close(watch);
    return rc;
  }
  zl__handle_enliven(handle);
  *out = watch;
  return 0;
}

int zl_fd_update(zl_fd *watch, int events) {
  zl_loop *loop = watch->watch.handle.loop;
  if (!zl__events_valid(events)) {
    return -EINVAL;
  }
  if (watch->watch.fd < 0) {
    return -EBADF;
  }
  if (zl__mailbox_forked(&loop->mailbox)) {
    return -ECHILD;
  }
  int rc = watch->watch.paused
               ? 0
               : loop->poller->modify(loop, watch->watch.fd, events,
                                      zl__registry_token(&watch->watch));
  if (rc == 0) {
    watch->events = events;
    watch->watch.events = events;
    zl__handle_enliven(&watch->watch.handle);
  }
  return rc;
}

int zl_fd_pause(zl_fd *watch, int paused) {
  zl_loop *loop = watch->watch.handle.loop;
  if (watch->watch.fd < 0) {
    return -EBADF;
  }
  if (zl__mailbox_forked(&loop->mailbox)) {
    return -ECHILD;
  }
  if (watch->watch.paused == (paused != 0)) {
    return 0;
  }
  if (paused) {
    loop->poller->remove(loop, watch->watch.fd);
    zl__unlink(&watch->watch.ready);
    watch->reported = 0;
    watch->watch.paused = true;
    return 0;
  }
  int rc = loop->poller->add(loop, watch->watch.fd, watch->events, false,
                             zl__registry_token(&watch->watch));
  watch->watch.paused = rc < 0;
  return rc;
}

void zl_fd_close(zl_fd *watch) {
  if (!watch || watch->watch.handle.closed) {
    return;
  }
  zl__watch_shut(&watch->watch);
  zl__handle_bury(&watch->watch.handle);
}
