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
  /* libzmq was called on the socket after the last full check and may have
   * consumed a signal, so a report with EPOLLOUT alone counts. */
  bool used;
  bool foreign;              /* other code uses it too: as if always `used` */
  enum zl__answer conflates; /* zl__socket_conflates() */
  int dead;       /* -ETERM or -ENOTSOCK: no more libzmq calls; 0: alive */
  zl__link sweep; /* on loop->sweep: foreign REQ and REP */
  zl_socket_fn fn;
  void *arg;
};

/* Shared with streams. The handle must be new. On failure the caller closes
 * it. */
int zl__socket_open(zl_socket *socket, void *zmq, unsigned flags);
void zl__socket_shut(zl_socket *socket);

/* The socket will be checked before the loop blocks. */
void zl__socket_dirty(zl_socket *socket);

/* No libzmq call may follow, and no report either: a terminated socket has
 * commands that nothing can consume. */
void zl__socket_die(zl_socket *socket, int rc);

/* A full check has just been made, or is about to be. */
void zl__socket_checked(zl_socket *socket);

/* A full check. Returns those of ZL_READ and ZL_WRITE that are ready, or an
 * error. */
int zl__socket_events(zl_socket *socket);

bool zl__socket_conflates(zl_socket *socket);

/* After a libzmq call has failed: should it be repeated? In a forked child
 * libzmq fails with EINTR for ever. */
bool zl__socket_retry(const zl_socket *socket, int *interrupts);

/* Foreign code does not report its libzmq calls: its sockets are checked in
 * every iteration in which something was called, and at the start of each run
 * or step. */
void zl__sockets_sweep(zl_loop *loop);

#endif /* ZL_SOCKET_H */
