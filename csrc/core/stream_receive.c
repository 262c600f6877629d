/* stream_receive.c - receiving whole messages.
 * SPDX-License-Identifier: MIT
 *
 * A turn calls the receive callback once. zl_stream_next() shows it a message
 * and zl_stream_accept() delivers it. The core, not the callback, decides when
 * the turn is over. A message that was shown but not accepted is held and shown
 * again, so an error between the two loses nothing. The receive that ends in
 * EAGAIN is the full check of socket.c.
 */
#include <errno.h>
#include <limits.h>

#include "hot.h"
#include "loop.h"
#include "stream.h"
#include "zmqloop_batch.h"

/* Nothing else changes it. */
static inline void set_incoming(zl_stream *stream, zl__incoming incoming) {
  stream->incoming = incoming;
}

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

/* Asks libzmq for the next frame, the one after `before` others, for which
 * there is room in the array. Returns whether there was one. */
static inline bool try_frame(zl_stream *stream, int before) {
  zmq_msg_t *frame = &stream->frames[before];
  stream->size = zmq_msg_recv(frame, stream->socket.zmq, ZMQ_DONTWAIT);
  return stream->size >= 0;
}

/* Counts that frame. Returns 1 if it is the last of its message, or 0. */
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
  } while (!try_frame(stream, stream->count));
  return add_frame(stream, stream->count);
}

/* Receives the frames after the first. Returns the number of all, or an error.
 */
static int receive_rest(zl_stream *stream) {
  /* If it conflates, libzmq would abort when asked for them. */
  int rc = zl__socket_conflates(&stream->socket) ? -EPROTO : 0;
  while (rc == 0) {
    rc = stream->count < stream->capacity ? 0 : zl__stream_add_frames(stream);
    if (rc == 0) {
      rc = try_frame(stream, stream->count) ? add_frame(stream, stream->count)
                                            : receive_again(stream);
    }
  }
  set_incoming(stream, ZL__INCOMING_PARTS);
  return rc < 0 ? rc : stream->count;
}

/* Called with the result of a receive, which it returns: a REQ that has its
 * reply may send again, without a signal. */
static inline int after_receive(zl_stream *stream, int rc) {
  if (rc > 0 && stream->socket.type == ZMQ_REQ) {
    zl__socket_dirty(&stream->socket);
  }
  return rc;
}

/* Returns the number of frames of the next message, or an error. This is most
 * of the core's work for a small message. */
ZL__HOT int receive_message(zl_stream *stream) {
  /* There is always room for one. */
  int rc = try_frame(stream, 0) ? add_frame(stream, 0) : receive_again(stream);
  return after_receive(stream, rc == 0 ? receive_rest(stream) : rc);
}

/* As get_message(), if frames have been received. */
ZL__RARE int get_old_message(zl_stream *stream) {
  if (stream->incoming == ZL__INCOMING_PARTS) {
    return after_receive(stream, receive_rest(stream));
  }
  /* Not that of the last receive, if the callback has moved the frames away. */
  stream->size = (int)zmq_msg_size(&stream->frames[stream->count - 1]);
  return stream->count;
}

static bool is_whole(zl__incoming incoming) {
  return incoming != ZL__INCOMING_NONE && incoming != ZL__INCOMING_PARTS;
}

/* Makes frames hold a whole message. Returns their number, or an error. */
static inline int get_message(zl_stream *stream) {
  return stream->incoming == ZL__INCOMING_NONE ? receive_message(stream)
                                               : get_old_message(stream);
}

/* Asks the clock, which may be the user's, and close or pause the stream. */
ZL__RARE bool out_of_time(const zl_stream *stream) {
  return zl__stream_spent(stream) || zl__stream_over(stream) ||
         !stream->on_recv;
}

static inline bool turn_over(const zl_stream *stream) {
  const zl_loop *loop = zl__stream_loop(stream);
  const zl__turn *turn = stream->turn;
  if (!stream->on_recv || zl__stream_over(stream) || !turn || turn->lost ||
      turn->left <= 0 || loop->budget.events_left <= 0) {
    return true;
  }
  if (atomic_load_explicit(&loop->stopping, memory_order_relaxed) &&
      loop->run == ZL__RUN_ENDLESS && !turn->flushes &&
      turn->left < stream->batch) {
    return true;
  }
  return loop->budget.ends != ZL_FOREVER && out_of_time(stream);
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

ZL__RARE int show_frames(const zl_stream *stream, zl_incoming *out) {
  *out = (zl_incoming){.frames = stream->frames, .count = stream->count};
  return stream->count;
}

/* Returns the number of frames. */
static inline int show(zl_stream *stream, int count, zl_incoming *out) {
  set_incoming(stream, ZL__INCOMING_SHOWN);
  if (count != 1) {
    return show_frames(stream, out);
  }
  out->data = zmq_msg_data(stream->frames);
  out->size =
      stream->large ? zmq_msg_size(stream->frames) : (size_t)stream->size;
  out->frames = stream->frames;
  out->count = 1;
  return 1;
}

ZL__RARE int show_none(zl_incoming *out) {
  *out = (zl_incoming){.count = 0};
  return 0;
}

ZL__RARE int end_turn(zl_stream *stream, zl_incoming *out, int rc) {
  (void)show_none(out);
  return without_message(stream, stream->turn, rc);
}

int zl_stream_next(zl_stream *stream, zl_incoming *out) {
  if (turn_over(stream)) {
    return show_none(out);
  }
  int count = get_message(stream);
  return count < 0 ? end_turn(stream, out, count) : show(stream, count, out);
}

int zl_stream_shows(const zl_stream *stream) {
  return stream->incoming == ZL__INCOMING_SHOWN;
}

/* ---- disconnecting ------------------------------------------------------- */

/* Receives a message for the next turn. Returns 0; -EFSM: there is one already,
 * and another to be received; or -ENOMEM. */
static int receive_ahead(zl_stream *stream) {
  if (is_whole(stream->incoming)) {
    int events = zl__socket_events(&stream->socket);
    return events > 0 && (events & ZL_READ) ? -EFSM : 0;
  }
  zl__turn turn = {.left = 0};
  int rc = get_message(stream);
  if (rc > 0) {
    set_incoming(stream, ZL__INCOMING_AHEAD);
    return 0;
  }
  return without_message(stream, &turn, rc);
}

/* Asked whether a message is there, sockets of these types read its first
 * frame. */
static bool reads_ahead(int type) {
  return type == ZMQ_ROUTER || type == ZMQ_REP || type == ZMQ_SUB ||
         type == ZMQ_XSUB;
}

/* Is a message received up to its middle? */
static bool is_mid_message(const zl_stream *stream) {
  int more = 0;
  size_t size = sizeof more;
  (void)zmq_getsockopt(stream->socket.zmq, ZMQ_RCVMORE, &more, &size);
  return more != 0;
}

/* Has libzmq all of the messages that it has begun? Returns what
 * receive_ahead() does, or -EFSM. */
static int complete_messages(zl_stream *stream) {
  int rc = 0;
  if (reads_ahead(stream->socket.type) ||
      stream->incoming == ZL__INCOMING_PARTS) {
    rc = receive_ahead(stream);
  }
  return rc == 0 && is_mid_message(stream) ? -EFSM : rc;
}

static int disconnect_now(const zl_stream *stream, const char *address) {
  int interrupts = 0;
  while (zmq_disconnect(stream->socket.zmq, address) < 0) {
    if (!zl__socket_retry(&stream->socket, &interrupts)) {
      return -zmq_errno();
    }
  }
  return 0;
}

int zl_stream_disconnect(zl_stream *stream, const char *address) {
  if (zl__stream_over(stream)) {
    return stream->socket.dead;
  }
  int rc = complete_messages(stream);
  if (rc == 0) {
    rc = disconnect_now(stream, address);
  }
  /* The next turn delivers what was received ahead, or finds its error. */
  zl_stream_touch(stream);
  return rc;
}

/* ---- accepting ----------------------------------------------------------- */

static void release_frames(zl_stream *stream, int first, int end) {
  for (int i = first; i < end; i++) {
    (void)zmq_msg_close(&stream->frames[i]);
    (void)zmq_msg_init(&stream->frames[i]);
  }
}

/* Large ones free their memory now, before the callback goes on. */
ZL__RARE void release_large(zl_stream *stream) {
  release_frames(stream, 0, stream->spent);
  stream->spent = 0;
}

/* The message counts as delivered. */
static inline void deliver(zl_stream *stream, zl__turn *turn) {
  zl_loop *loop = zl__stream_loop(stream);
  if (stream->spent < stream->count) {
    stream->spent = stream->count;
  }
  stream->count = 0;
  set_incoming(stream, ZL__INCOMING_NONE);
  turn->drained = false;
  turn->left--;
  loop->stats.total.messages_in++;
  zl__budget_count(&loop->budget);
  if (stream->large) {
    release_large(stream);
  }
}

void zl_stream_accept(zl_stream *stream) {
  if (stream->incoming == ZL__INCOMING_SHOWN) {
    deliver(stream, stream->turn);
  }
}

/* Other callbacks are not called while this one receives, but when it has
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

/* If the callback does not accept the message, it stays held. */
static void call_on_recv(zl_stream *stream) {
  stream->on_recv(stream, stream->on_recv_arg);
  if (stream->incoming == ZL__INCOMING_SHOWN) {
    set_incoming(stream, ZL__INCOMING_HELD);
    stream->turn->drained = false;
  }
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
  int rc = 0;
  while (rc >= 0 && turn->left > 0 && !zl__stream_over(stream)) {
    rc = get_message(stream);
    if (rc > 0) {
      deliver(stream, turn);
    } else {
      (void)without_message(stream, turn, rc);
    }
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
