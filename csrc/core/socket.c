/* socket.c - the readiness of zmq sockets, missing no event.
 * SPDX-License-Identifier: MIT
 *
 * ZMQ_FD signals that commands are waiting, not messages, and any libzmq call
 * may process them and so consume the signal. Hence:
 *
 *  - A dirty socket is checked before the loop blocks. This is a full check:
 *    ZMQ_EVENTS, or a receive that ends in EAGAIN (for messages).
 *  - `used` is cleared at each full check and set by every other call
 *    on the socket. A report with EPOLLIN makes the socket dirty. A report with
 *    EPOLLOUT alone means that the signal has already been consumed: by our own
 *    check, which has seen everything, unless `used` is set.
 *  - Some state changes send no signal at all: registration, bind, connect,
 *    setsockopt, REP after its reply, REQ after the reply it received, a wider
 *    interest, a callback that ran, a check that stopped early. Each of them
 *    marks the socket dirty (touch).
 *
 * So a socket that is not on the dirty list has been checked after the last
 * local change, and anything new arrives as a command, whose signal is
 * reported.
 */
#include <errno.h>

#include "loop.h"
#include "socket.h"
#include "zmqloop_batch.h"

enum { INTERRUPTS_BEFORE_FORK_CHECK = 100 };

static zl_socket *socket_of(zl__watch *watch) {
  return zl__container(watch, zl_socket, watch);
}

bool zl__socket_retry(const zl_socket *socket, int *interrupts) {
  if (zmq_errno() != EINTR) {
    return false;
  }
  (*interrupts)++;
  return *interrupts % INTERRUPTS_BEFORE_FORK_CHECK != 0 ||
         !zl__mailbox_forked(&socket->watch.handle.loop->mailbox);
}

void zl__socket_checked(zl_socket *socket) {
  socket->used = false;
  zl__ready_checked(&socket->watch.handle.loop->ready, &socket->watch);
}

int zl__socket_events(zl_socket *socket) {
  int events = 0;
  size_t size = sizeof events;
  int interrupts = 0;
  zl__socket_checked(socket);
  while (zmq_getsockopt(socket->zmq, ZMQ_EVENTS, &events, &size) < 0) {
    if (!zl__socket_retry(socket, &interrupts)) {
      return -zmq_errno();
    }
  }
  return (events & ZMQ_POLLIN ? ZL_READ : 0) |
         (events & ZMQ_POLLOUT ? ZL_WRITE : 0);
}

void zl__socket_dirty(zl_socket *socket) {
  if (!socket->dead && !socket->watch.handle.closed) {
    zl__watch_dirty(&socket->watch);
  }
}

void zl__socket_die(zl_socket *socket, int rc) {
  socket->dead = rc;
  zl__unlink(&socket->sweep);
  zl__watch_shut(&socket->watch);
  if (rc == -ETERM) {
    socket->watch.handle.loop->terminated = true;
  }
}

static void socket_report(zl__watch *watch, int events) {
  zl_socket *socket = socket_of(watch);
  bool meaningful = (events & ~ZL_WRITE) != 0 || socket->used ||
                    socket->foreign || watch->handle.loop->touch;
  if (meaningful) {
    zl__socket_dirty(socket);
  }
}

static void socket_call(zl_socket *socket, int events) {
  socket->watch.handle.loop->stats.total.events++;
  zl__budget_count(&socket->watch.handle.loop->budget);
  socket->fn(socket, events, socket->arg);
}

static void socket_serve(zl__watch *watch) {
  zl_socket *socket = socket_of(watch);
  int events = zl__socket_events(socket);
  if (events < 0) {
    zl__socket_die(socket, events);
    socket_call(socket, ZL_ERROR);
  } else if (events & socket->interest) {
    socket_call(socket, events & socket->interest);
    zl__socket_dirty(socket);
  }
}

/* REQ and REP do so by themselves; all do where the poller does not report
 * consumed signals. */
static bool changes_silently(const zl_socket *socket) {
  return socket->type == ZMQ_REQ || socket->type == ZMQ_REP ||
         socket->watch.handle.loop->touch;
}

void zl__sockets_sweep(zl_loop *loop) {
  zl__link *head = &loop->sweep;
  for (zl__link *link = head->next; link != head; link = link->next) {
    zl__socket_dirty(zl__container(link, zl_socket, sweep));
  }
}

static int get_int(void *zmq, int option, int *value) {
  size_t size = sizeof *value;
  int rc;
  do {
    rc = zmq_getsockopt(zmq, option, value, &size);
  } while (rc < 0 && zmq_errno() == EINTR);
  return rc < 0 ? -zmq_errno() : 0;
}

/* Does the socket keep only one frame? It then holds part of a multipart
 * message, which no receive can complete: libzmq aborts the process on the
 * attempt. */
int zl_socket_conflates(void *zmq_socket) {
  int type = 0;
  int conflates = 0;
  (void)get_int(zmq_socket, ZMQ_TYPE, &type);
  (void)get_int(zmq_socket, ZMQ_CONFLATE, &conflates);
  /* Other types accept the option, but it has no effect. */
  return conflates && (type == ZMQ_PUB || type == ZMQ_SUB || type == ZMQ_PUSH ||
                       type == ZMQ_PULL || type == ZMQ_DEALER);
}

bool zl__socket_conflates(zl_socket *socket) {
  if (socket->conflates == ZL__UNKNOWN) {
    socket->conflates = zl_socket_conflates(socket->zmq) ? ZL__YES : ZL__NO;
  }
  return socket->conflates == ZL__YES;
}

int zl__socket_open(zl_socket *socket, void *zmq, unsigned flags) {
  int fd;
  zl__link_init(&socket->watch.ready);
  zl__link_init(&socket->sweep);
  socket->watch.fd = -1;
  socket->watch.report = socket_report;
  socket->zmq = zmq;
  socket->foreign = (flags & ZL_FOREIGN) != 0;
  if (flags & ~(unsigned)ZL_FOREIGN) {
    return -EINVAL;
  }
  int rc = get_int(zmq, ZMQ_TYPE, &socket->type);
  if (rc < 0) {
    return rc;
  }
  rc = get_int(zmq, ZMQ_FD, &fd);
  if (rc < 0) {
    return rc == -EINVAL ? -ENOTSUP : rc; /* thread-safe types have no FD */
  }
  rc = zl__watch_open(&socket->watch, fd, 0, true);
  if (rc < 0) {
    return rc;
  }
  if (socket->foreign && changes_silently(socket)) {
    zl__append(&socket->watch.handle.loop->sweep, &socket->sweep);
  }
  zl__socket_dirty(socket); /* messages may be waiting already */
  return 0;
}

void zl__socket_shut(zl_socket *socket) {
  zl__unlink(&socket->sweep);
  zl__watch_shut(&socket->watch);
  zl__handle_bury(&socket->watch.handle);
}

static void socket_close_handle(zl__handle *handle) {
  zl_socket_close(zl__container(handle, zl_socket, watch.handle));
}

static bool socket_alive(const zl__handle *handle) {
  const zl_socket *socket =
      zl__container(handle, const zl_socket, watch.handle);
  return socket->interest != 0 && !socket->dead;
}

static const zl__handle_kind socket_kind = {
    .size = sizeof(zl_socket),
    .close = socket_close_handle,
    .alive = socket_alive,
};

int zl_socket_new(zl_loop *loop, void *zmq_socket, int events, unsigned flags,
                  zl_socket_fn fn, void *arg, zl_socket **out) {
  zl__handle *handle;
  *out = NULL;
  if (!zl__events_valid(events)) {
    return -EINVAL;
  }
  int rc = zl__handle_new(loop, &socket_kind, &handle);
  if (rc < 0) {
    return rc;
  }
  zl_socket *socket = zl__container(handle, zl_socket, watch.handle);
  socket->watch.serve = socket_serve;
  socket->interest = events & (ZL_READ | ZL_WRITE);
  socket->fn = fn;
  socket->arg = arg;
  rc = zl__socket_open(socket, zmq_socket, flags);
  if (rc < 0) {
    zl_socket_close(socket);
    return rc;
  }
  zl__handle_enliven(handle);
  *out = socket;
  return 0;
}

int zl_socket_update(zl_socket *watch, int events) {
  if (!zl__events_valid(events)) {
    return -EINVAL;
  }
  if (zl__mailbox_forked(&watch->watch.handle.loop->mailbox)) {
    return -ECHILD;
  }
  watch->interest = events & (ZL_READ | ZL_WRITE);
  zl__handle_enliven(&watch->watch.handle);
  zl__socket_dirty(watch);
  return 0;
}

void zl_socket_used(zl_socket *watch) {
  watch->used = true;
  if (watch->watch.handle.loop->touch) {
    zl__socket_dirty(watch);
  }
}

void zl_socket_touch(zl_socket *watch) {
  watch->used = true;
  watch->conflates = ZL__UNKNOWN;
  zl__socket_dirty(watch);
}

void zl_socket_close(zl_socket *watch) {
  if (!watch || watch->watch.handle.closed) {
    return;
  }
  zl__socket_shut(watch);
}
