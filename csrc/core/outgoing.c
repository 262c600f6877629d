/* outgoing.c - gives a message to libzmq, whole or not at all.
 * SPDX-License-Identifier: MIT
 */
#include "outgoing.h"

#include <errno.h>

#include "loop.h"

/* Frames that libzmq keeps inside a zmq_msg_t, 33 bytes since 4.2, need no
 * memory. Copies of larger ones live on the C stack if they are few. */
enum { BYTES_INSIDE = 33, FEW_COPIES = 8 };

/* zmq_send() or zmq_msg_send() has failed: should it be tried again? Returns 0,
 * or the error. */
static int failed_to_send(zl_socket *socket, int *interrupts) {
  return zl__socket_retry(socket, interrupts) ? 0 : -zmq_errno();
}

/* Called after zl__outgoing_try_bytes() has failed. */
static int send_bytes_again(zl_socket *socket, const zl_frame *frame,
                            int flags) {
  int interrupts = 0;
  int rc;
  do {
    rc = failed_to_send(socket, &interrupts);
  } while (rc == 0 && !zl__outgoing_try_bytes(socket, frame, flags));
  return rc;
}

/* Gives libzmq a copy of the frame. Returns 0 or an error. */
static inline int send_bytes(zl_socket *socket, const zl_frame *frame,
                             int flags) {
  return zl__outgoing_try_bytes(socket, frame, flags)
             ? 0
             : send_bytes_again(socket, frame, flags);
}

/* Gives libzmq the contents of the frame. */
static int send_contents(zl_socket *socket, zmq_msg_t *frame, int flags) {
  int interrupts = 0;
  int rc = 0;
  socket->used = true;
  while (rc == 0 && zmq_msg_send(frame, socket->zmq, flags) < 0) {
    rc = failed_to_send(socket, &interrupts);
  }
  return rc;
}

/* The peer went away after the first frames of a message: libzmq has dropped
 * those and, in the types that balance load, drops the following ones up to the
 * end of the message. Sends an empty last frame, so that the whole message can
 * be sent again. */
static void abandon_message(zl_socket *socket, bool more) {
  static const zl_frame empty = {.data = "", .size = 0};
  bool balances = socket->type == ZMQ_PUSH || socket->type == ZMQ_DEALER ||
                  socket->type == ZMQ_REQ;
  if (more && balances) {
    (void)send_bytes(socket, &empty, ZMQ_DONTWAIT);
  }
}

/* Does copying it need memory? */
static inline bool needs_memory(const zl_frame *frame) {
  return frame->size > BYTES_INSIDE;
}

/* Closes the copies from `first` on. */
static void close_copies(zmq_msg_t *copies, size_t first, size_t count) {
  for (size_t i = first; i < count; i++) {
    (void)zmq_msg_close(&copies[i]);
  }
}

/* Copies the frames that need it. Returns 0, or -ENOMEM without any copies. */
static int copy_frames(zmq_msg_t *copies, const zl_frame *frames,
                       size_t count) {
  size_t copied = 0;
  for (size_t i = 1; i < count; i++) {
    if (needs_memory(&frames[i])) {
      if (zl__frame_copy(&copies[copied], &frames[i]) < 0) {
        close_copies(copies, 0, copied);
        return -ENOMEM;
      }
      copied++;
    }
  }
  return 0;
}

/* Makes one attempt, which consumes the copies. */
static inline int send_all(zl_socket *socket, const zl_frame *frames,
                           size_t count, zmq_msg_t *copies, size_t copied) {
  size_t next = 0;
  for (size_t i = 0; i < count; i++) {
    bool more = i + 1 < count;
    int flags = ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0);
    bool is_copied = copied > 0 && i > 0 && needs_memory(&frames[i]);
    int rc = is_copied ? send_contents(socket, &copies[next], flags)
                       : send_bytes(socket, &frames[i], flags);
    if (rc < 0) {
      close_copies(copies, next, copied);
      if (i > 0) {
        abandon_message(socket, more);
      }
      return rc;
    }
    next += is_copied ? 1 : 0; /* already empty, since it was sent */
  }
  return 0;
}

/* As try_frames(), where frames after the first need memory. */
static int send_with_copies(zl_socket *socket, const zl_frame *frames,
                            size_t count) {
  zmq_msg_t few[FEW_COPIES];
  zl__memory *memory = &socket->watch.handle.loop->memory;
  size_t copied = 0;
  for (size_t i = 1; i < count; i++) {
    copied += needs_memory(&frames[i]) ? 1 : 0;
  }
  if (copied > SIZE_MAX / sizeof *few) {
    return -ENOMEM;
  }
  zmq_msg_t *copies =
      copied <= FEW_COPIES ? few : zl__alloc(memory, copied * sizeof *few);
  int rc = copies ? copy_frames(copies, frames, count) : -ENOMEM;
  if (rc == 0) {
    rc = send_all(socket, frames, count, copies, copied);
  }
  if (copies != few && copies) {
    zl__free(memory, copies, copied * sizeof *few);
  }
  return rc;
}

/* One attempt at a message from the caller's bytes. Returns 0 or an error. Of
 * several frames, all after the first that need memory are copied before any is
 * sent: if memory ran out for one, the frames before it would stay in the
 * socket. */
static int try_frames(zl_socket *socket, const zl_frame *frames, size_t count) {
  for (size_t i = 1; i < count; i++) {
    if (needs_memory(&frames[i])) {
      return send_with_copies(socket, frames, count);
    }
  }
  return send_all(socket, frames, count, NULL, 0);
}

/* One attempt at a queued message. Its frames are sent as copies, which share
 * the bytes, until the last: if it fails the message is still whole. */
static int try_message(zl_socket *socket, zl__message *message) {
  for (uint32_t i = 0; i < message->count; i++) {
    bool more = i + 1 < message->count;
    int flags = ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0);
    zmq_msg_t copy;
    (void)zmq_msg_init(&copy);
    int rc = zmq_msg_copy(&copy, &message->frames[i]) < 0
                 ? -ENOMEM
                 : send_contents(socket, &copy, flags);
    if (rc < 0) {
      (void)zmq_msg_close(&copy);
      if (i > 0) {
        abandon_message(socket, more);
      }
      return rc;
    }
  }
  return 0;
}

/* libzmq aborts when the peer of a socket that conflates receives a message of
 * several frames. */
int zl__outgoing_try(zl_socket *socket, const zl__outgoing *it) {
  size_t count = it->message ? it->message->count : it->count;
  if (count > 1 && zl__socket_conflates(socket)) {
    return -ENOTSUP;
  }
  return it->message ? try_message(socket, it->message)
                     : try_frames(socket, it->frames, it->count);
}
