/* attempt.h - sends and receives that signals interrupt.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_ATTEMPT_H
#define ZLUA_ATTEMPT_H

#include <zmq.h>

#include "socket.h"
#include "wait.h"

/* A send or receive that a signal may interrupt. */
typedef struct zlua_attempt {
  int flags;
  int option; /* ZMQ_SNDTIMEO or ZMQ_RCVTIMEO */
  short events;
  int64_t started_ns;
} zlua_attempt;

static inline zlua_attempt zlua_begin_attempt(int flags, int option) {
  return (zlua_attempt){
      .flags = flags,
      .option = option,
      .events = option == ZMQ_SNDTIMEO ? ZMQ_POLLOUT : ZMQ_POLLIN,
      .started_ns = flags & ZMQ_DONTWAIT ? 0 : zlua_monotonic_ns(),
  };
}

/* Called after a receive or send that may have changed readiness silently. */
static inline void zlua_after_operation(const zlua_socket *socket) {
  if (socket->type == ZMQ_REP || socket->type == ZMQ_REQ) {
    zlua_socket_touch(socket);
  } else {
    zlua_socket_used(socket);
  }
}

int zlua_attempt_again(lua_State *L, const zlua_socket *socket,
                       zlua_attempt *it);

#endif /* ZLUA_ATTEMPT_H */
