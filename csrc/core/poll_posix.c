/* poll_posix.c - the poller for any POSIX system, by poll(2).
 * SPDX-License-Identifier: MIT
 *
 * poll() over plain descriptors and ZMQ_FDs alike, not zmq_poll(), which asks
 * every socket for ZMQ_EVENTS in every call and is about 20 times as expensive.
 * Everything is level-triggered and a consumed signal is lost, so the loop
 * works in touch mode: it checks a socket after every operation on it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "loop.h"
#include "poller.h"

enum { FIRST_CAPACITY = 16 };

typedef struct state {
  struct pollfd *fds;
  uint64_t *tokens;
  size_t count;
  size_t capacity;
} state;

static short posix_mask_of(int events, bool edge) {
  int mask = 0;
  if ((events & ZL_READ) || edge) {
    mask |= POLLIN;
  }
  if (events & ZL_WRITE) {
    mask |= POLLOUT;
  }
  return (short)mask;
}

static int posix_events_of(short mask) {
  int events = 0;
  if (mask & POLLIN) {
    events |= ZL_READ;
  }
  if (mask & POLLOUT) {
    events |= ZL_WRITE;
  }
  if (mask & (POLLERR | POLLNVAL)) {
    events |= 0x008;
  }
  if (mask & POLLHUP) {
    events |= 0x010;
  }
  return events;
}

static int posix_open(zl_loop *loop) {
  state *s = zl__alloc(&loop->memory, sizeof *s);
  if (!s) {
    return -ENOMEM;
  }
  memset(s, 0, sizeof *s);
  loop->poller_state = s;
  loop->touch = true;
  return 0;
}

static void posix_close(zl_loop *loop) {
  state *s = loop->poller_state;
  zl__free(&loop->memory, s->fds, s->capacity * sizeof *s->fds);
  zl__free(&loop->memory, s->tokens, s->capacity * sizeof *s->tokens);
  zl__free(&loop->memory, s, sizeof *s);
}

/* Its index, or count if it is not there. */
static size_t posix_find(const state *s, int fd) {
  size_t i = 0;
  while (i < s->count && s->fds[i].fd != fd) {
    i++;
  }
  return i;
}

static int posix_reserve(zl_loop *loop, state *s) {
  if (s->count < s->capacity) {
    return 0;
  }
  size_t old = s->capacity;
  size_t capacity = old ? old * 2 : FIRST_CAPACITY;
  uint64_t *tokens = zl__alloc(&loop->memory, capacity * sizeof *tokens);
  struct pollfd *fds =
      tokens ? zl__resize(&loop->memory, s->fds, old * sizeof *fds,
                          capacity * sizeof *fds)
             : NULL;
  if (!fds) {
    zl__free(&loop->memory, tokens, capacity * sizeof *tokens);
    return -ENOMEM;
  }
  if (old) {
    memcpy(tokens, s->tokens, old * sizeof *tokens);
  }
  zl__free(&loop->memory, s->tokens, old * sizeof *tokens);
  s->fds = fds;
  s->tokens = tokens;
  s->capacity = capacity;
  return 0;
}

static int posix_add(zl_loop *loop, int fd, int events, bool edge,
                     uint64_t token) {
  state *s = loop->poller_state;
  if (fcntl(fd, F_GETFD) < 0) {
    return -EBADF;
  }
  if (posix_find(s, fd) < s->count) {
    return -EEXIST;
  }
  int rc = posix_reserve(loop, s);
  if (rc < 0) {
    return rc;
  }
  s->fds[s->count] =
      (struct pollfd){.fd = fd, .events = posix_mask_of(events, edge)};
  s->tokens[s->count] = token;
  s->count++;
  return 0;
}

static int posix_modify(zl_loop *loop, int fd, int events, uint64_t token) {
  state *s = loop->poller_state;
  size_t i = posix_find(s, fd);
  (void)token;
  if (i == s->count || fcntl(fd, F_GETFD) < 0) {
    return -EBADF;
  }
  s->fds[i].events = posix_mask_of(events, false);
  return 0;
}

static void posix_remove(zl_loop *loop, int fd) {
  state *s = loop->poller_state;
  size_t i = posix_find(s, fd);
  if (i < s->count) {
    s->count--;
    s->fds[i] = s->fds[s->count];
    s->tokens[i] = s->tokens[s->count];
  }
}

#ifdef __linux__
static int posix_wait_events(state *s, int64_t timeout_ns) {
  int64_t seconds = timeout_ns / 1000000000;
  /* A time_t may have 32 bits. */
  struct timespec timeout = {.tv_sec = seconds < INT32_MAX ? (time_t)seconds
                                                           : INT32_MAX,
                             .tv_nsec = (long)(timeout_ns % 1000000000)};
  return ppoll(s->fds, (nfds_t)s->count,
               timeout_ns == ZL_FOREVER ? NULL : &timeout, NULL);
}
#else
static int posix_wait_events(state *s, int64_t timeout_ns) {
  int64_t ms = timeout_ns / 1000000 + (timeout_ns % 1000000 != 0);
  int timeout = ms > INT32_MAX ? INT32_MAX : (int)ms;
  return poll(s->fds, (nfds_t)s->count,
              timeout_ns == ZL_FOREVER ? -1 : timeout);
}
#endif

static int posix_wait(zl_loop *loop, int64_t timeout_ns) {
  state *s = loop->poller_state;
  int count = posix_wait_events(s, timeout_ns);
  if (count < 0) {
    return -errno;
  }
  for (size_t i = 0; i < s->count && count > 0; i++) {
    if (s->fds[i].revents) {
      count--;
      zl__registry_report(loop, s->tokens[i],
                          posix_events_of(s->fds[i].revents));
    }
  }
  return 0;
}

const zl__poller zl__poller_posix = {
    .name = "poll",
    .open = posix_open,
    .close = posix_close,
    .add = posix_add,
    .modify = posix_modify,
    .remove = posix_remove,
    .wait = posix_wait,
};
