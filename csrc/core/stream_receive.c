/* stream_receive.c - receiving whole messages.
 * SPDX-License-Identifier: MIT
 *
 * A turn calls the receive callback once, which takes messages by
 * zl_stream_peek() and zl_stream_pop(), or zl_stream_take(). The core, not the
 * callback, decides when the turn is over. A message that was peeked at but not
 * popped is held and returns in the next turn, so an error between the two
 * loses nothing. The receive that ends in EAGAIN is the full check of socket.c.
 */
#include <errno.h>
#include <limits.h>

#include "hot.h"
#include "loop.h"
#include "stream.h"
#include "zmqloop_batch.h"

enum { FIRST_FRAMES = 4, KEPT_FRAMES = 64 };

/* Smaller frames are released by the next receive, or at the end of the turn;
 * larger ones before their callback runs, or the allocator would grow and trim
 * for each. */
enum { LARGE_FRAME = 1024 };

int zl__stream_add_frames(zl_stream *stream) {
  if (stream->capacity > INT_MAX / 2) {
    return -ENOMEM;
  }
  int capacity = stream->capacity ? stream->capacity * 2 : FIRST_FRAMES;
  size_t size = sizeof *stream->frames;
  /* libzmq's own queues also move a zmq_msg_t by its bytes. */
  zmq_msg_t *frames =
      zl__resize(&zl__stream_loop(stream)->memory, stream->frames,
                 (size_t)stream->capacity * size, (size_t)capacity * size);
  if (!frames) {
    return -ENOMEM;
  }
  stream->frames = frames;
  while (stream->capacity < capacity) {
    (void)zmq_msg_init(&frames[stream->capacity++]);
  }
  return 0;
}

/* zmq_msg_recv() has failed: should it be tried again? Returns 0, or the error.
 */
static int failed_to_receive(zl_stream *stream, int *interrupts) {
  return zl__socket_retry(&stream->socket, interrupts) ? 0 : -zmq_errno();
}

/* Asks libzmq for the next frame, for which there is room in the array. Returns
 * whether there was one. */
static inline bool try_frame(zl_stream *stream) {
  zmq_msg_t *frame = &stream->frames[stream->count];
  stream->size = zmq_msg_recv(frame, stream->socket.zmq, ZMQ_DONTWAIT);
  return stream->size >= 0;
}

/* Counts the frame just received, the one after `before` others. Returns 1 if
 * it is the last of its message, or 0. */
static inline int add_frame(zl_stream *stream, int before) {
  stream->count = before + 1;
  stream->large = (before > 0 && stream->large) || stream->size > LARGE_FRAME;
  return !zmq_msg_more(&stream->frames[before]);
}

/* Called after try_frame() has failed. Returns what add_frame() does, or an
 * error. */
static int receive_again(zl_stream *stream) {
  int interrupts = 0;
  do {
    int rc = failed_to_receive(stream, &interrupts);
    if (rc < 0) {
      return rc;
    }
  } while (!try_frame(stream));
  return add_frame(stream, stream->count);
}

/* Receives the frames after the first. Returns 1 or an error. */
static int receive_rest(zl_stream *stream) {
  int rc = 0;
  if (zl__socket_conflates(&stream->socket)) {
    return -EPROTO; /* libzmq would abort when asked for them */
  }
  while (rc == 0) {
    rc = stream->count < stream->capacity ? 0 : zl__stream_add_frames(stream);
    if (rc == 0) {
      rc = try_frame(stream) ? add_frame(stream, stream->count)
                             : receive_again(stream);
    }
  }
  return rc;
}

/* Returns 1: frames hold a whole message; or an error. This is most of the
 * core's work for a small message. */
ZL__HOT int receive_message(zl_stream *stream, zl__turn *turn) {
  int rc = 0;
  if (stream->count == 0) { /* there is always room for one */
    rc = try_frame(stream) ? add_frame(stream, 0) : receive_again(stream);
  }
  if (rc == 0) {
    rc = receive_rest(stream);
  }
  if (rc > 0) {
    turn->drained = false;
    /* REQ may send again now, without a signal. */
    if (stream->socket.type == ZMQ_REQ) {
      zl__socket_dirty(&stream->socket);
    }
  }
  return rc;
}

static inline bool turn_over(const zl_stream *stream, const zl__turn *turn) {
  const zl_loop *loop = zl__stream_loop(stream);
  if (!turn || zl__budget_spent(&loop->budget, &loop->clock) ||
      zl__stream_over(stream) || turn->lost || turn->left <= 0) {
    return true;
  }
  return atomic_load_explicit(&loop->stopping, memory_order_relaxed) &&
         loop->run == ZL__RUN_ENDLESS && !turn->flushes &&
         turn->left < stream->batch;
}

/* There is no message now. Returns 0, or -ENOMEM: there is one. */
static int without_message(zl_stream *stream, zl__turn *turn, int rc) {
  if (rc == -ENOMEM) {
    return rc;
  }
  turn->drained = true;
  zl__socket_checked(&stream->socket); /* EAGAIN ends a full check */
  /* For a REP that owes a reply, a REQ that has not asked, and types that never
   * receive, libzmq refuses before it processes its commands, one of which may
   * be the end of the context. */
  if (rc == -EFSM || rc == -ENOTSUP) {
    rc = zl__socket_events(&stream->socket);
  }
  if (rc < 0 && rc != -EAGAIN) {
    turn->lost = rc;
  }
  return 0;
}

/* The message that was received ahead is about to be delivered. */
static inline int show_held(zl_stream *stream) {
  stream->unseen = false;
  return 1;
}

/* zl_stream_peek() without asking whether the turn is over. */
static inline int hold_message(zl_stream *stream, zl__turn *turn) {
  int rc = stream->whole ? show_held(stream) : receive_message(stream, turn);
  if (rc <= 0) {
    return without_message(stream, turn, rc);
  }
  stream->whole = true;
  return stream->count;
}

int zl_stream_peek(zl_stream *stream, zmq_msg_t **frames) {
  zl__turn *turn = stream->turn;
  int rc = !stream->on_recv || turn_over(stream, turn)
               ? 0
               : hold_message(stream, turn);
  if (rc <= 0) {
    *frames = NULL;
    return rc;
  }
  *frames = stream->frames;
  stream->looked_at = true;
  return rc;
}

int zl_stream_receive_ahead(zl_stream *stream) {
  if (zl__stream_over(stream)) {
    return 0;
  }
  if (stream->whole) {
    int events = zl__socket_events(&stream->socket);
    return events > 0 && (events & ZL_READ) ? -EFSM : 0;
  }
  zl__turn turn = {.left = 1};
  int rc = hold_message(stream, &turn);
  stream->unseen = rc > 0;
  if (turn.lost) {
    zl__socket_dirty(&stream->socket); /* the next turn will find the error */
  }
  return rc < 0 ? rc : 0;
}

static void release_frames(zl_stream *stream, int first, int end) {
  for (int i = first; i < end; i++) {
    (void)zmq_msg_close(&stream->frames[i]);
    (void)zmq_msg_init(&stream->frames[i]);
  }
}

/* The message of `count` frames counts as delivered. */
static inline void deliver(zl_stream *stream, int count) {
  zl_loop *loop = zl__stream_loop(stream);
  if (stream->spent < count) {
    stream->spent = count;
  }
  stream->count = 0;
  stream->whole = false;
  stream->turn->left--;
  loop->stats.total.messages_in++;
  zl__budget_count(&loop->budget);
}

void zl_stream_pop(zl_stream *stream) {
  stream->looked_at = false;
  if (stream->large) {
    release_frames(stream, 0, stream->count);
  }
  deliver(stream, stream->count);
}

int zl_stream_take(zl_stream *stream, zl_frame *frame) {
  zl__turn *turn = stream->turn;
  if (!stream->on_recv || turn_over(stream, turn)) {
    return 0;
  }
  int rc = stream->whole ? show_held(stream) : receive_message(stream, turn);
  if (rc <= 0) {
    return without_message(stream, turn, rc);
  }
  if (stream->count != 1 || stream->large) {
    stream->whole = true;
    return ZL_PEEK;
  }
  frame->data = zmq_msg_data(stream->frames);
  frame->size = (size_t)stream->size;
  deliver(stream, 1);
  return 1;
}

void zl_stream_put_back(zl_stream *stream) {
  stream->count = 1;
  stream->whole = true;
  stream->turn->left++;
  zl__stream_loop(stream)->stats.total.messages_in--;
}

/* Other callbacks are not called while this one peeks, but when it has
 * returned: it may be in the middle of something. */
static void end_if_lost(zl_stream *stream, int rc) {
  if (rc < 0 && !zl__stream_over(stream)) {
    zl__stream_die(stream, rc);
  }
}

/* Shrinks the array after messages of very many frames, when only an eighth of
 * it is in use. Empty frames need not be closed. */
static void trim_frames(zl_stream *stream) {
  int capacity = stream->capacity;
  while (capacity > KEPT_FRAMES && stream->spent <= capacity / 8) {
    capacity /= 2;
  }
  if (capacity == stream->capacity || stream->count > 0) {
    return;
  }
  size_t size = sizeof *stream->frames;
  zmq_msg_t *frames =
      zl__resize(&zl__stream_loop(stream)->memory, stream->frames,
                 (size_t)stream->capacity * size, (size_t)capacity * size);
  if (frames) {
    stream->frames = frames;
    stream->capacity = capacity;
  }
}

/* A sender in this process may be tracking when libzmq releases them. */
ZL__HOT void release_spent(zl_stream *stream) {
  release_frames(stream, stream->count, stream->spent);
  if (stream->capacity > KEPT_FRAMES) {
    trim_frames(stream);
  }
  stream->spent = 0;
}

/* If the callback does not pop the message, it stays held. */
static void call_on_recv(zl_stream *stream) {
  stream->on_recv(stream, stream->on_recv_arg);
  stream->looked_at = false;
}

void zl__stream_receive_turn(zl_stream *stream) {
  zl__turn turn = {.left = stream->batch};
  stream->turn = &turn;
  call_on_recv(stream);
  stream->turn = NULL;
  release_spent(stream);
  end_if_lost(stream, turn.lost);
  if (!turn.drained) {
    zl__socket_dirty(&stream->socket);
  }
}

static void discard(zl_stream *stream, zl__turn *turn) {
  while (turn->left > 0 && !zl__stream_over(stream) &&
         hold_message(stream, turn) > 0) {
    zl_stream_pop(stream);
  }
}

int zl__stream_flush_received(zl_stream *stream, int limit, bool discards) {
  zl__turn *turn = stream->turn;
  turn->left = limit;
  if (stream->on_recv) {
    call_on_recv(stream);
  } else if (discards) {
    discard(stream, turn);
  }
  release_spent(stream);
  end_if_lost(stream, turn->lost);
  return limit - turn->left;
}
