/* poll_epoll.c - the poller for Linux.
 * SPDX-License-Identifier: MIT
 *
 * ZMQ_FD is an eventfd, written once per batch of commands and read by whatever
 * libzmq call comes next. It is registered once, as EPOLLIN|EPOLLOUT|EPOLLET:
 * an eventfd is always writable, so with EPOLLOUT in the mask a write that
 * libzmq has already read is still reported, as EPOLLOUT alone. A self test at
 * start-up checks this; where it fails (on an emulated kernel), the loop checks
 * a socket after every operation instead.
 */
#ifdef __linux__
#define _GNU_SOURCE
#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "loop.h"
#include "poller.h"

enum { EVENTS_PER_WAIT = 256, STALE_BEFORE_REBUILD = 100 };

typedef struct state {
  int fd;
  int outer_fd; /* for the host, or -1 */
  bool coarse;  /* the kernel has no epoll_pwait2 (before 5.11) */
  struct epoll_event events[EVENTS_PER_WAIT];
} state;

static uint32_t epoll_mask_of(int events, bool edge) {
  uint32_t mask = edge ? (uint32_t)EPOLLIN | EPOLLOUT | EPOLLET : 0;
  if (events & ZL_READ) {
    mask |= EPOLLIN;
  }
  if (events & ZL_WRITE) {
    mask |= EPOLLOUT;
  }
  return mask;
}

static int epoll_events_of(uint32_t mask) {
  int events = 0;
  if (mask & EPOLLIN) {
    events |= ZL_READ;
  }
  if (mask & EPOLLOUT) {
    events |= ZL_WRITE;
  }
  return events | (int)(mask & (EPOLLERR | EPOLLHUP));
}

static int control(int epoll_fd, int operation, int fd, uint32_t mask,
                   uint64_t token) {
  struct epoll_event event = {.events = mask};
  event.data.u64 = token;
  return epoll_ctl(epoll_fd, operation, fd, &event) < 0 ? -errno : 0;
}

/* After a write and a read: is the write reported, once? */
static bool reports_what_was_read(int event_fd) {
  struct epoll_event event;
  uint64_t count = 1;
  int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) {
    return false;
  }
  bool kept = control(epoll_fd, EPOLL_CTL_ADD, event_fd, epoll_mask_of(0, true),
                      0) == 0 &&
              epoll_wait(epoll_fd, &event, 1, 0) == 1 &&
              epoll_wait(epoll_fd, &event, 1, 0) == 0 &&
              write(event_fd, &count, sizeof count) == (ssize_t)sizeof count &&
              read(event_fd, &count, sizeof count) == (ssize_t)sizeof count &&
              epoll_wait(epoll_fd, &event, 1, 0) == 1 &&
              !(event.events & EPOLLIN) &&
              epoll_wait(epoll_fd, &event, 1, 0) == 0;
  (void)close(epoll_fd);
  return kept;
}

static bool self_test(void) {
  int event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (event_fd < 0) {
    return false;
  }
  bool passed = reports_what_was_read(event_fd);
  (void)close(event_fd);
  return passed;
}

static int epoll_open(zl_loop *loop) {
  state *s = zl__alloc(&loop->memory, sizeof *s);
  if (!s) {
    return -ENOMEM;
  }
  s->coarse = false;
  s->outer_fd = -1;
  s->fd = epoll_create1(EPOLL_CLOEXEC);
  if (s->fd < 0) {
    int rc = -errno;
    zl__free(&loop->memory, s, sizeof *s);
    return rc;
  }
  loop->poller_state = s;
  loop->touch = loop->touch || !self_test();
  return 0;
}

static void epoll_shut(zl_loop *loop) {
  state *s = loop->poller_state;
  if (s->outer_fd >= 0) {
    (void)close(s->outer_fd);
  }
  (void)close(s->fd);
  zl__free(&loop->memory, s, sizeof *s);
}

static int epoll_add(zl_loop *loop, int fd, int events, bool edge,
                     uint64_t token) {
  const state *s = loop->poller_state;
  return control(s->fd, EPOLL_CTL_ADD, fd, epoll_mask_of(events, edge), token);
}

static int epoll_modify(zl_loop *loop, int fd, int events, uint64_t token) {
  const state *s = loop->poller_state;
  return control(s->fd, EPOLL_CTL_MOD, fd, epoll_mask_of(events, false), token);
}

static void epoll_remove(zl_loop *loop, int fd) {
  const state *s = loop->poller_state;
  (void)control(s->fd, EPOLL_CTL_DEL, fd, 0, 0);
}

static int wait_milliseconds(state *s, int64_t timeout_ns) {
  int64_t ms = timeout_ns / 1000000 + (timeout_ns % 1000000 != 0);
  int timeout = ms > INT32_MAX ? INT32_MAX : (int)ms;
  if (timeout_ns == ZL_FOREVER) {
    timeout = -1;
  }
  return epoll_wait(s->fd, s->events, EVENTS_PER_WAIT, timeout);
}

#ifdef SYS_epoll_pwait2
/* By number: kernels have had it longer than C libraries. */
static int wait_nanoseconds(state *s, int64_t timeout_ns) {
  struct {
    int64_t seconds;
    int64_t nanoseconds;
  } timeout = {timeout_ns / 1000000000, timeout_ns % 1000000000};
  return (int)syscall(SYS_epoll_pwait2, s->fd, s->events, EVENTS_PER_WAIT,
                      &timeout, NULL, (size_t)0);
}
#else
static int wait_nanoseconds(state *s, int64_t timeout_ns) {
  (void)s;
  (void)timeout_ns;
  errno = ENOSYS;
  return -1;
}
#endif

static int epoll_wait_events(state *s, int64_t timeout_ns) {
  /* Nothing to round: the old call is cheaper. */
  if (timeout_ns == 0 || timeout_ns == ZL_FOREVER || s->coarse) {
    return wait_milliseconds(s, timeout_ns);
  }
  int count = wait_nanoseconds(s, timeout_ns);
  /* A sandbox may answer EPERM for a call it does not know. */
  if (count < 0 && (errno == ENOSYS || errno == EPERM)) {
    s->coarse = true;
    return wait_milliseconds(s, timeout_ns);
  }
  return count;
}

/* Makes the outer set readable while the inner one has something to report. */
static int enclose(int outer_fd, int fd) {
  return control(outer_fd, EPOLL_CTL_ADD, fd, EPOLLIN, 0);
}

/* A set around ours, since rebuild() may replace ours by another. */
static int epoll_descriptor(zl_loop *loop) {
  state *s = loop->poller_state;
  if (s->outer_fd >= 0) {
    return s->outer_fd;
  }
  int fd = epoll_create1(EPOLL_CLOEXEC);
  if (fd < 0) {
    return -errno;
  }
  int rc = enclose(fd, s->fd);
  if (rc < 0) {
    (void)close(fd);
    return rc;
  }
  s->outer_fd = fd;
  return fd;
}

/* Adds everything watched to a new set. */
static int fill(zl_loop *loop, int epoll_fd) {
  int rc = control(epoll_fd, EPOLL_CTL_ADD, loop->mailbox.wake_read,
                   epoll_mask_of(ZL_READ, false), ZL__TOKEN_WAKE);
  for (uint32_t i = 1; i < loop->registry.slot_count && rc == 0; i++) {
    const zl__watch *watch = loop->registry.slots[i].watch;
    if (watch && watch->fd >= 0 && !watch->paused) {
      rc = control(epoll_fd, EPOLL_CTL_ADD, watch->fd,
                   epoll_mask_of(watch->events, watch->edge),
                   zl__registry_token(watch));
      /* A descriptor closed behind the loop's back cannot be watched. */
      rc = rc == -EBADF || rc == -EPERM ? 0 : rc;
    }
  }
  return rc;
}

/* A descriptor that was closed before its watch, while a duplicate of it is
 * open, leaves an entry that reports for ever and that no call can remove. A
 * new set has no such entries. If it cannot be created, the old one stays. */
static void rebuild(zl_loop *loop) {
  state *s = loop->poller_state;
  loop->registry.stale = 0;
  int epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd < 0) {
    return;
  }
  if (fill(loop, epoll_fd) < 0 ||
      (s->outer_fd >= 0 && enclose(s->outer_fd, epoll_fd) < 0)) {
    (void)close(epoll_fd);
    return;
  }
  (void)close(s->fd);
  s->fd = epoll_fd;
}

static int epoll_wait_and_report(zl_loop *loop, int64_t timeout_ns) {
  state *s = loop->poller_state;
  if (loop->registry.stale > STALE_BEFORE_REBUILD) {
    rebuild(loop);
  }
  int count = epoll_wait_events(s, timeout_ns);
  if (count < 0) {
    return -errno;
  }
  for (int i = 0; i < count; i++) {
    zl__registry_report(loop, s->events[i].data.u64,
                        epoll_events_of(s->events[i].events));
  }
  return 0;
}

const zl__poller zl__poller_epoll = {
    .name = "epoll",
    .open = epoll_open,
    .close = epoll_shut,
    .add = epoll_add,
    .modify = epoll_modify,
    .remove = epoll_remove,
    .wait = epoll_wait_and_report,
    .descriptor = epoll_descriptor,
};
#else
typedef int zl__poller_epoll_is_for_linux; /* no empty translation unit */
#endif
