/* outgoing.h - a message on its way out.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZL_OUTGOING_H
#define ZL_OUTGOING_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <zmq.h>

#include "message.h"
#include "socket.h"
#include "zmqloop.h"

/* Either the caller's frames, or a message of the queue. */
typedef struct zl__outgoing {
  const zl_frame *frames;
  size_t count;         /* of the caller's frames */
  zl__message *message; /* NULL: the caller's frames */
} zl__outgoing;

/* Makes one attempt, never blocking. Returns 0 or an error; then the socket has
 * nothing of the message, which can be tried again. A message that was sent
 * keeps its last frames for its owner to release. */
int zl__outgoing_try(zl_socket *socket, const zl__outgoing *it);

/* Makes one attempt at a single frame, for the fast path. */
static inline bool zl__outgoing_try_bytes(zl_socket *socket,
                                          const zl_frame *frame, int flags) {
  socket->used = true;
  return zmq_send(socket->zmq, frame->data, frame->size, flags) >= 0;
}

/* Has an attempt failed with an error that passes? */
static inline bool zl__outgoing_not_yet(int rc) {
  return rc == -EAGAIN || rc == -EFSM || rc == -ENOMEM;
}

#endif /* ZL_OUTGOING_H */
