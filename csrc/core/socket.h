/* socket.h - the readiness of zmq sockets.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZL_SOCKET_H
#define ZL_SOCKET_H

#include <stdbool.h>

#include "list.h"
#include "watch.h"
#include "zmqloop.h"

enum zl__answer { ZL__UNKNOWN, ZL__NO, ZL__YES };

struct zl_socket {
  zl__watch watch;
  void *zmq;    /* the caller's zmq socket */
  int type;     /* ZMQ_PULL, ... */
  int interest; /* of an event-mode watch: ZL_READ, ZL_WRITE */
  /* Some libzmq call on the socket came after the last full check, and may have
   * taken away a signal: a report with EPOLLOUT alone then means something. */
  bool used;
  bool foreign;              /* operated by other code too: as if always used */
  enum zl__answer conflates; /* zl__socket_conflates() */
  int dead; /* -ETERM or -ENOTSOCK: no libzmq call any more; 0: alive */
  /* While it is served it is on no list: marking it dirty is remembered here
   * and becomes list membership when the serving ends. */
  bool serving;
  bool again;
  zl__link sweep; /* on loop->sweep: foreign REQ and REP */
  zl_socket_fn fn;
  void *arg;
};

/* Shared with streams. The handle must be new. On failure the caller closes. */
int zl__socket_open(zl_socket *socket, void *zmq, unsigned flags);
void zl__socket_shut(zl_socket *socket);

/* The socket will be looked at before the loop blocks. */
void zl__socket_dirty(zl_socket *socket);

/* No libzmq call after this one; no report either: a terminated socket gets
 * commands that nobody can take away. */
void zl__socket_die(zl_socket *socket, int rc);

void zl__socket_serve_begin(zl_socket *socket);
void zl__socket_serve_end(zl_socket *socket);

/* A full check. Returns ZL_READ and ZL_WRITE as they are so, or an error. */
int zl__socket_events(zl_socket *socket);

bool zl__socket_conflates(zl_socket *socket);

/* After a libzmq call has failed: is it to be repeated? In a forked child
 * libzmq answers EINTR for ever. */
bool zl__socket_retry(const zl_socket *socket, int *interrupts);

/* Foreign code does not tell what it does: such sockets are looked at in every
 * iteration in which something was called, and first thing in a run or step. */
void zl__sockets_sweep(zl_loop *loop);

#endif /* ZL_SOCKET_H */
