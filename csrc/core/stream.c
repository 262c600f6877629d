/* stream.c - receiving and sending whole messages on a zmq socket.
 * SPDX-License-Identifier: MIT
 *
 * Receiving. A turn calls the receive callback once; it takes messages by
 * zl_stream_peek() and zl_stream_pop(). The loop, not the callback, knows when
 * the turn is over. A message that was peeked at and not popped is held and
 * comes back in the next turn, so an error between the two loses nothing. The
 * receive that ends in EAGAIN is the full check of socket.c.
 *
 * Sending. Always DONTWAIT. What libzmq does not take now waits in the queue;
 * EAGAIN and EFSM mean "not yet", except for a REP without a request: see
 * needs_request(). libzmq throttles the processing of commands, so half of its
 * EAGAINs at a high-water mark of 1 are false. Reading ZMQ_EVENTS, which is not
 * throttled, tells which; it is also the full check that lets the loop wait for
 * the signal.
 *
 * In a turn sending comes after receiving: a receive may consume the signal
 * meant for sending, and the send that follows sees what it was about.
 *
 * A stream is open, draining (nothing more is accepted, the rest goes on) or
 * closed; apart from that its socket may be dead.
 */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "hot.h"
#include "loop.h"
#include "stream.h"
#include "timer.h"

/* Not in every zmq.h. */
#ifdef ZMQ_DGRAM
enum { ZL__DGRAM = ZMQ_DGRAM };
#else
enum { ZL__DGRAM = -1 };
#endif

enum {
  DEFAULT_BATCH = 128,
  MAX_BATCH = 65535,
  FIRST_FRAMES = 4,
  KEPT_FRAMES = 64,
  SENDS_PER_TURN = 256,
  MAX_PRIORITY = 1000000
};

/* What smaller frames hold is let go of by the next receive, or at the end of
 * the turn; larger ones before their callback runs, or the allocator would grow
 * and trim for each. */
enum { LARGE_FRAME = 1024 };

/* Frames that libzmq keeps inside a zmq_msg_t, 33 bytes since 4.2, need no
 * memory. Copies of larger ones are on the C stack if they are few. */
enum { BYTES_INSIDE = 33, FEW_COPIES = 8 };

static zl_stream *of(zl__watch *watch) {
  return zl__container(watch, zl_stream, socket.watch);
}

static zl_loop *loop_of(const zl_stream *stream) {
  return stream->socket.watch.handle.loop;
}

static bool over(const zl_stream *stream) {
  return stream->socket.dead != 0; /* after a close as well */
}

/* For a callback that the caller has set. */
static void call(zl_stream *stream, zl_stream_fn fn, void *arg) {
  zl__budget_count(&loop_of(stream)->budget);
  fn(stream, arg);
}

static void fail(zl_stream *stream, int rc) {
  if (stream->on_error) {
    zl__budget_count(&loop_of(stream)->budget);
    stream->on_error(stream, rc, stream->on_error_arg);
  }
}

/* ---- the end, and what has left before ---------------------------------- */

static bool has_reports(const zl_stream *stream) {
  return stream->queue.head != stream->queue.unsent;
}

static void push(zl_stream *stream, zl__message *message, bool unsent) {
  zl__queue_push(&stream->queue, message, unsent);
  zl__handle_enliven(&stream->socket.watch.handle);
}

/* Calls on_sent for the oldest message that has left. */
static void report_first(zl_stream *stream) {
  zl__message *message = zl__queue_pop_report(&stream->queue);
  uint64_t token = message->token;
  int status = message->status;
  zl__message_free(loop_of(stream), message);
  zl__queue_drop_silent(loop_of(stream), &stream->queue);
  if (token != 0 && stream->on_sent) {
    zl__budget_count(&loop_of(stream)->budget);
    stream->on_sent(stream, token, status, stream->on_sent_arg);
  }
}

/* For a batch at most: on_sent may send and so make new reports. */
static void report_sent(zl_stream *stream) {
  for (int left = stream->batch;
       left > 0 &&
       !zl__budget_spent(&loop_of(stream)->budget, &loop_of(stream)->clock) &&
       !stream->socket.watch.handle.closed && has_reports(stream);
       left--) {
    report_first(stream);
  }
}

/* Draining ends once: with nothing left to send or report, with the socket, or
 * with its time. */
static void finish_draining(zl_stream *stream) {
  zl_stream_fn fn = stream->on_done;
  stream->on_done = NULL;
  zl_timer_close(stream->deadline);
  stream->deadline = NULL;
  call(stream, fn, stream->on_done_arg);
}

/* The socket is of no use any more. There will be no other turn, and nothing
 * can be sent that would make new reports. */
static void die(zl_stream *stream, int rc) {
  zl__socket_die(&stream->socket, rc);
  while (!stream->socket.watch.handle.closed && has_reports(stream)) {
    report_first(stream);
  }
  if (!stream->socket.watch.handle.closed) {
    fail(stream, rc);
  }
  if (!stream->socket.watch.handle.closed && stream->on_done) {
    finish_draining(stream);
  }
}

/* ---- receiving ---------------------------------------------------------- */

/* All frames that there is room for are initialized. */
static int add_frames(zl_stream *stream) {
  if (stream->capacity > INT_MAX / 2) {
    return -ENOMEM;
  }
  int capacity = stream->capacity ? stream->capacity * 2 : FIRST_FRAMES;
  size_t size = sizeof *stream->frames;
  /* Moving a zmq_msg_t by its bytes is what libzmq's own queues do. */
  zmq_msg_t *frames =
      zl__resize(&loop_of(stream)->memory, stream->frames,
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

/* zmq_msg_recv() has failed: is it to be tried again? Returns 0, or the error.
 */
static int failed_to_receive(zl_stream *stream, int *interrupts) {
  return zl__socket_retry(&stream->socket, interrupts) ? 0 : -zmq_errno();
}

/* Asks libzmq for the frame behind those there are, for which there is room.
 * Returns whether there was one. */
static inline bool try_frame(zl_stream *stream) {
  zl_socket *socket = &stream->socket;
  zmq_msg_t *frame = &stream->frames[stream->count];
  /* If it ends in EAGAIN it was a full check. */
  socket->used = false;
  socket->again = false;
  stream->size = zmq_msg_recv(frame, socket->zmq, ZMQ_DONTWAIT);
  return stream->size >= 0;
}

/* Counts the frame that has come, behind `before` others. Returns 1 if it is
 * the last of its message, or 0. */
static inline int add_frame(zl_stream *stream, int before) {
  stream->count = before + 1;
  stream->large = (before > 0 && stream->large) || stream->size > LARGE_FRAME;
  return !zmq_msg_more(&stream->frames[before]);
}

/* After try_frame() has failed. Returns what add_frame() does, or an error. */
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

/* The frames behind the first one. Returns 1 or an error. */
static int receive_rest(zl_stream *stream) {
  int rc = 0;
  if (zl__socket_conflates(&stream->socket)) {
    return -EPROTO; /* asking for them would end the process */
  }
  while (rc == 0) {
    rc = stream->count < stream->capacity ? 0 : add_frames(stream);
    if (rc == 0) {
      rc = try_frame(stream) ? add_frame(stream, stream->count)
                             : receive_again(stream);
    }
  }
  return rc;
}

/* Returns 1: frames hold a whole message; or an error. Most of what the core
 * does for a small message. */
ZL__HOT int receive_message(zl_stream *stream) {
  int rc = 0;
  if (stream->count == 0) { /* there is always room for one */
    rc = try_frame(stream) ? add_frame(stream, 0) : receive_again(stream);
  }
  if (rc == 0) {
    rc = receive_rest(stream);
  }
  if (rc > 0) {
    stream->drained = false;
    /* REQ may send again now, and nothing will signal it. */
    if (stream->socket.type == ZMQ_REQ) {
      stream->socket.again = true;
    }
  }
  return rc;
}

static inline bool turn_over(const zl_stream *stream) {
  const zl_loop *loop = loop_of(stream);
  if (zl__budget_spent(&loop->budget, &loop->clock) || over(stream) ||
      stream->lost || stream->left <= 0) {
    return true;
  }
  return atomic_load_explicit(&loop->stopping, memory_order_relaxed) &&
         loop->run == ZL__RUN_ENDLESS && !stream->flushing &&
         stream->left < stream->batch;
}

/* There is no message now. Returns 0, or -ENOMEM: there is one. */
static int without_message(zl_stream *stream, int rc) {
  if (rc == -ENOMEM) {
    return rc;
  }
  stream->drained = true;
  /* A REP that owes a reply, a REQ that has not asked, a type that never
   * receives: libzmq refuses before it looks at its commands, and one of them
   * may be the end of the context. */
  if (rc == -EFSM || rc == -ENOTSUP) {
    rc = zl__socket_events(&stream->socket);
  }
  if (rc < 0 && rc != -EAGAIN) {
    stream->lost = rc;
  }
  return 0;
}

/* The message that was received ahead is about to be delivered. */
static inline int show_held(zl_stream *stream) {
  stream->unseen = false;
  return 1;
}

/* peek without asking whether the turn is over */
static inline int hold_message(zl_stream *stream) {
  int rc = stream->whole ? show_held(stream) : receive_message(stream);
  if (rc <= 0) {
    return without_message(stream, rc);
  }
  stream->whole = true;
  return stream->count;
}

int zl_stream_peek(zl_stream *stream, zmq_msg_t **frames) {
  int rc = !stream->on_recv || turn_over(stream) ? 0 : hold_message(stream);
  if (rc <= 0) {
    *frames = NULL;
    return rc;
  }
  *frames = stream->frames;
  stream->looked_at = true;
  return rc;
}

int zl_stream_receive_ahead(zl_stream *stream) {
  if (over(stream)) {
    return 0;
  }
  if (stream->whole) {
    int events = zl__socket_events(&stream->socket);
    return events > 0 && (events & ZL_READ) ? -EFSM : 0;
  }
  int rc = hold_message(stream);
  stream->unseen = rc > 0;
  return rc < 0 ? rc : 0;
}

static void release_frames(zl_stream *stream, int first, int end) {
  for (int i = first; i < end; i++) {
    (void)zmq_msg_close(&stream->frames[i]);
    (void)zmq_msg_init(&stream->frames[i]);
  }
}

/* The message, of so many frames, counts as delivered. */
static inline void deliver(zl_stream *stream, int count) {
  zl_loop *loop = loop_of(stream);
  if (stream->spent < count) {
    stream->spent = count;
  }
  stream->count = 0;
  stream->whole = false;
  stream->left--;
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
  if (!stream->on_recv || turn_over(stream)) {
    return 0;
  }
  int rc = stream->whole ? show_held(stream) : receive_message(stream);
  if (rc <= 0) {
    return without_message(stream, rc);
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
  stream->left++;
  loop_of(stream)->stats.total.messages_in--;
}

/* The callback may be in the middle of something while it peeks: others are
 * called when it has returned. */
static void end_if_lost(zl_stream *stream) {
  int rc = stream->lost;
  stream->lost = 0;
  if (rc < 0 && !over(stream)) {
    die(stream, rc);
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
      zl__resize(&loop_of(stream)->memory, stream->frames,
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

static void receive_turn(zl_stream *stream) {
  stream->left = stream->batch;
  stream->drained = false;
  call_on_recv(stream);
  release_spent(stream);
  end_if_lost(stream);
  if (!stream->drained) {
    stream->socket.again = true;
  }
}

/* ---- sending ------------------------------------------------------------ */

/* zmq_send() or zmq_msg_send() has failed: is it to be tried again? Returns 0,
 * or the error. */
static int failed_to_send(zl_socket *socket, int *interrupts) {
  return zl__socket_retry(socket, interrupts) ? 0 : -zmq_errno();
}

static inline bool try_bytes(zl_socket *socket, const zl_frame *frame,
                             int flags) {
  socket->used = true;
  return zmq_send(socket->zmq, frame->data, frame->size, flags) >= 0;
}

/* After try_bytes() has failed. */
static int send_bytes_again(zl_socket *socket, const zl_frame *frame,
                            int flags) {
  int interrupts = 0;
  int rc;
  do {
    rc = failed_to_send(socket, &interrupts);
  } while (rc == 0 && !try_bytes(socket, frame, flags));
  return rc;
}

/* Gives libzmq a copy of the frame. Returns 0 or an error. */
static inline int send_bytes(zl_socket *socket, const zl_frame *frame,
                             int flags) {
  return try_bytes(socket, frame, flags)
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
 * those and, in the types that balance load, drops what follows up to the end
 * of the message. Ends it, so that the message can be sent again whole. */
static void abandon_message(zl_socket *socket, bool more) {
  static const zl_frame empty = {.data = "", .size = 0};
  bool balances = socket->type == ZMQ_PUSH || socket->type == ZMQ_DEALER ||
                  socket->type == ZMQ_REQ;
  if (more && balances) {
    (void)send_bytes(socket, &empty, ZMQ_DONTWAIT);
  }
}

/* Might there be no memory for it? */
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

/* One attempt, which consumes the copies. */
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
    next += is_copied ? 1 : 0; /* which is empty, since it was sent */
  }
  return 0;
}

/* As try_frames(), where frames behind the first need memory. */
static int send_with_copies(zl_stream *stream, const zl_frame *frames,
                            size_t count) {
  zmq_msg_t few[FEW_COPIES];
  zl_loop *loop = loop_of(stream);
  size_t copied = 0;
  for (size_t i = 1; i < count; i++) {
    copied += needs_memory(&frames[i]) ? 1 : 0;
  }
  if (copied > SIZE_MAX / sizeof *few) {
    return -ENOMEM;
  }
  zmq_msg_t *copies = copied <= FEW_COPIES
                          ? few
                          : zl__alloc(&loop->memory, copied * sizeof *few);
  int rc = copies ? copy_frames(copies, frames, count) : -ENOMEM;
  if (rc == 0) {
    rc = send_all(&stream->socket, frames, count, copies, copied);
  }
  if (copies != few && copies) {
    zl__free(&loop->memory, copies, copied * sizeof *few);
  }
  return rc;
}

/* One attempt at a message from the caller's bytes. Returns 0 or an error. Of
 * several frames all after the first that need memory are copied before any is
 * sent: one that there is none for would leave the others in the socket. */
static int try_frames(zl_stream *stream, const zl_frame *frames, size_t count) {
  if (count > 1 && zl__socket_conflates(&stream->socket)) {
    return -ENOTSUP;
  }
  for (size_t i = 1; i < count; i++) {
    if (needs_memory(&frames[i])) {
      return send_with_copies(stream, frames, count);
    }
  }
  return send_all(&stream->socket, frames, count, NULL, 0);
}

/* One attempt at a queued message. Its frames are sent as copies, which share
 * the bytes, until the last: if it fails the message is still whole. */
static int try_message(zl_socket *socket, zl__message *message) {
  if (message->count > 1 && zl__socket_conflates(socket)) {
    return -ENOTSUP;
  }
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

static bool not_yet(int rc) {
  return rc == -EAGAIN || rc == -EFSM || rc == -ENOMEM;
}

/* May it only send the reply to a request that was delivered? A message that
 * waited for the next request would answer another client, and so would all
 * that follow. */
static bool needs_request(const zl_stream *stream) {
  return stream->socket.type == ZMQ_REP && !stream->early;
}

/* Is a message that failed with rc to wait in the queue? */
static bool waits(const zl_stream *stream, int rc) {
  return not_yet(rc) && !(rc == -EFSM && needs_request(stream));
}

/* After "not yet": is a second attempt worth it? Returns 1, or 0: nothing is,
 * before the next signal; or an error, which no signal will tell again. */
static int writable_after_all(zl_stream *stream) {
  int events = zl__socket_events(&stream->socket);
  /* A paused stream that is readable would be looked at for ever. */
  if (events < 0 || ((events & ZL_READ) && stream->on_recv)) {
    zl__socket_dirty(&stream->socket);
  }
  return events < 0 ? events : (events & ZL_WRITE) != 0;
}

/* REP may receive again now, and nothing will signal it. */
static inline void after_attempt(zl_stream *stream) {
  if (stream->socket.type == ZMQ_REP || loop_of(stream)->touch) {
    zl__socket_dirty(&stream->socket);
  }
}

static inline void count_as_sent(zl_stream *stream) {
  after_attempt(stream);
  loop_of(stream)->stats.total.messages_out++;
}

/* For DGRAM, before an attempt: without a bind or connect libzmq takes the
 * frame, fails, and aborts when it releases that. */
static int may_attempt(zl_stream *stream) {
  int events = zl__socket_events(&stream->socket);
  return events < 0 ? events : events & ZL_WRITE ? 0 : -EAGAIN;
}

static int attempt(zl_stream *stream, const zl_frame *frames, size_t count,
                   zl__message *message) {
  zl_socket *socket = &stream->socket;
  if (socket->type == ZL__DGRAM) {
    int rc = may_attempt(stream);
    if (rc < 0) {
      return rc;
    }
  }
  int rc = message ? try_message(socket, message)
                   : try_frames(stream, frames, count);
  int again = not_yet(rc) ? writable_after_all(stream) : 0;
  if (again > 0) {
    rc = message ? try_message(socket, message)
                 : try_frames(stream, frames, count);
  } else if (again < 0) {
    rc = again;
  }
  if (rc == 0) {
    count_as_sent(stream);
  } else if (rc == -ENOMEM) {
    zl__socket_dirty(&stream->socket); /* no signal comes for free memory */
  } else if (!not_yet(rc)) {
    after_attempt(stream);
  }
  return rc;
}

/* ---- the limits of the queue -------------------------------------------- */

/* A message larger than the limit may wait alone: it could never leave else. */
static bool has_room(const zl_stream *stream, size_t bytes) {
  const zl__queue *queue = &stream->queue;
  size_t most = stream->most_bytes;
  if (!queue->unsent) {
    return true;
  }
  return (stream->most_messages == 0 ||
          queue->unsent_count < stream->most_messages) &&
         (most == 0 ||
          (queue->unsent_bytes < most && bytes <= most - queue->unsent_bytes));
}

/* Half of what there may be: one call for many messages that leave. */
static bool half_empty(const zl_stream *stream) {
  const zl__queue *queue = &stream->queue;
  return (stream->most_messages == 0 ||
          queue->unsent_count <= stream->most_messages / 2) &&
         (stream->most_bytes == 0 ||
          queue->unsent_bytes <= stream->most_bytes / 2);
}

static void tell_room(zl_stream *stream) {
  if (stream->refused && !stream->draining && half_empty(stream)) {
    stream->refused = false;
    if (stream->on_room) {
      call(stream, stream->on_room, stream->on_room_arg);
    }
  }
}

static size_t sum_of(const zl_frame *frames, size_t count) {
  size_t bytes = 0;
  for (size_t i = 0; i < count; i++) {
    bytes =
        frames[i].size > SIZE_MAX - bytes ? SIZE_MAX : bytes + frames[i].size;
  }
  return bytes;
}

/* The first queued message has left. A message that libzmq refuses is reported
 * and does not block the rest. */
static void tell_sent(zl_stream *stream, int rc) {
  bool silent = stream->queue.unsent->token == 0;
  zl__queue_sent(loop_of(stream), &stream->queue, rc);
  if (rc < 0 && silent) {
    fail(stream, rc);
  }
  if (!over(stream)) {
    tell_room(stream);
  }
  if (!over(stream) && !stream->queue.unsent && stream->on_empty) {
    call(stream, stream->on_empty, stream->on_empty_arg);
  }
}

/* Sends the first queued message. Returns false if the socket cannot take it
 * now. */
static bool send_first(zl_stream *stream) {
  int rc = attempt(stream, NULL, 0, stream->queue.unsent);
  if (not_yet(rc)) {
    return false;
  }
  if (rc == -ETERM || rc == -ENOTSOCK) {
    die(stream, rc);
    return false;
  }
  stream->telling = true;
  tell_sent(stream, rc);
  stream->telling = false;
  return true;
}

/* A long queue leaves in turns: the rest of the loop has its own between. One
 * message at least, or receiving could use up each step's budget. */
static void send_queued(zl_stream *stream) {
  for (int left = SENDS_PER_TURN; !over(stream) && stream->queue.unsent;
       left--) {
    if (left == 0 ||
        (left < SENDS_PER_TURN &&
         zl__budget_spent(&loop_of(stream)->budget, &loop_of(stream)->clock))) {
      stream->socket.again = true;
      return;
    }
    /* The user's clock may have closed the stream. */
    if (over(stream) || !stream->queue.unsent || !send_first(stream)) {
      return;
    }
  }
}

static int enqueue(zl_stream *stream, const zl_frame *frames, size_t count,
                   uint64_t token) {
  zl__message *message = zl__message_new(loop_of(stream), frames, count, token);
  if (!message) {
    return -ENOMEM;
  }
  push(stream, message, true);
  return ZL_QUEUED;
}

/* With nothing queued before it. The report is made before the attempt: what
 * libzmq has taken must be reported. */
static int send_now_or_enqueue(zl_stream *stream, const zl_frame *frames,
                               size_t count, uint64_t token) {
  zl_loop *loop = loop_of(stream);
  zl__message *report = NULL;
  if (token != 0) {
    report = zl__message_new(loop, NULL, 0, token);
    if (!report) {
      return -ENOMEM;
    }
  }
  int rc = attempt(stream, frames, count, NULL);
  if (rc == 0 && report) {
    push(stream, report, false);
    zl__socket_dirty(&stream->socket);
  } else if (report) {
    zl__message_free(loop, report);
  }
  return waits(stream, rc) ? enqueue(stream, frames, count, token) : rc;
}

int zl_stream_may_send(zl_stream *stream, size_t bytes) {
  if (over(stream)) {
    return stream->socket.dead;
  }
  if (stream->draining) {
    return -ESHUTDOWN;
  }
  if ((stream->queue.unsent || stream->unseen) && needs_request(stream)) {
    return -EFSM; /* no request was delivered, or a queued message answers it */
  }
  if (!has_room(stream, bytes)) {
    stream->refused = true;
    return -EAGAIN;
  }
  return 0;
}

static int send_or_refuse(zl_stream *stream, const zl_frame *frames,
                          size_t count, uint64_t token) {
  bool bounded = stream->most_bytes > 0 && stream->queue.unsent;
  int rc = zl_stream_may_send(stream, bounded ? sum_of(frames, count) : 0);
  if (rc < 0) {
    return rc;
  }
  return stream->queue.unsent
             ? enqueue(stream, frames, count, token)
             : send_now_or_enqueue(stream, frames, count, token);
}

static inline bool try_once(zl_stream *stream, const zl_frame *frames,
                            size_t count) {
  return count == 1 ? try_bytes(&stream->socket, frames, ZMQ_DONTWAIT)
                    : stream->socket.type != ZL__DGRAM &&
                          try_frames(stream, frames, count) == 0;
}

/* The fast path: nothing is queued and no report is wanted. What fails here is
 * tried again on the general path, which handles the failure. */
static inline bool send_at_once(zl_stream *stream, const zl_frame *frames,
                                size_t count) {
  bool may_send = !over(stream) && !stream->draining && !stream->queue.unsent &&
                  !stream->unseen;
  if (!may_send || !try_once(stream, frames, count)) {
    return false;
  }
  count_as_sent(stream);
  return true;
}

int zl_stream_send(zl_stream *stream, const zl_frame *frames, size_t count,
                   uint64_t token) {
  if (count == 0) {
    return -EINVAL;
  }
  if (token == 0 && send_at_once(stream, frames, count)) {
    return 0;
  }
  return send_or_refuse(stream, frames, count, token);
}

/* With the message's frames all or none: 0, ZL_QUEUED, or an error that leaves
 * them to the caller. */
static int send_or_push(zl_stream *stream, zl__message *message) {
  zl_loop *loop = loop_of(stream);
  int rc = stream->queue.unsent ? -EAGAIN : attempt(stream, NULL, 0, message);
  if (waits(stream, rc)) {
    push(stream, message, true);
    return ZL_QUEUED;
  }
  if (rc == 0 && message->token != 0) {
    zl__message_release(message);
    push(stream, message, false);
    zl__socket_dirty(&stream->socket);
  } else if (rc == 0) {
    zl__message_free(loop, message);
  }
  return rc;
}

int zl_stream_send_messages(zl_stream *stream, zmq_msg_t *frames, size_t count,
                            uint64_t token) {
  zl_loop *loop = loop_of(stream);
  if (count == 0) {
    return -EINVAL;
  }
  int rc = zl_stream_may_send(stream, zl__bytes_of(frames, count));
  if (rc < 0) {
    return rc;
  }
  zl__message *message = zl__message_take(loop, frames, count, token);
  if (!message) {
    return -ENOMEM;
  }
  rc = send_or_push(stream, message);
  if (rc < 0) {
    zl__message_give_back(loop, message, frames);
  }
  return rc;
}

void zl_stream_early(zl_stream *stream, int on) {
  stream->early = on != 0;
}

size_t zl_stream_queued(const zl_stream *stream) {
  return stream->queue.unsent_count;
}

int zl_stream_busy(const zl_stream *stream) {
  return stream->queue.head != NULL;
}

/* ---- a turn in the loop ------------------------------------------------- */

/* Nothing to receive or send for: only lets libzmq process its commands. */
static void look(zl_stream *stream) {
  int events = zl__socket_events(&stream->socket);
  if (events < 0) {
    die(stream, events);
  }
}

/* Reports before messages, unless those have used up the last turn's budget:
 * an on_sent that always sends would keep messages waiting for ever. */
static void report_and_receive(zl_stream *stream) {
  bool reports_first = !stream->starved;
  stream->starved = false;
  if (reports_first) {
    report_sent(stream);
    stream->starved =
        zl__budget_spent(&loop_of(stream)->budget, &loop_of(stream)->clock);
  }
  if (!over(stream) && stream->on_recv) {
    receive_turn(stream);
  }
  if (!over(stream) && !reports_first) {
    report_sent(stream);
  }
}

static void serve(zl__watch *watch) {
  zl_stream *stream = of(watch);
  zl__socket_serve_begin(&stream->socket);
  report_and_receive(stream);
  if (!over(stream) && stream->queue.unsent) {
    send_queued(stream);
  } else if (!over(stream) && !stream->on_recv) {
    look(stream);
  }
  if (!over(stream)) {
    tell_room(stream); /* a limit may have been raised */
  }
  if (!over(stream) && stream->on_done && !stream->queue.head) {
    finish_draining(stream);
  }
  if (has_reports(stream)) {
    stream->socket.again = true;
  }
  zl__socket_serve_end(&stream->socket);
}

/* What its leaving gives occasion to, the next turn finds. */
int zl_stream_unsend(zl_stream *stream, uint64_t token) {
  if (!stream || token == 0 || stream->socket.watch.handle.closed) {
    return 0;
  }
  bool taken = zl__queue_take_back(loop_of(stream), &stream->queue, token);
  if (taken) {
    zl__socket_dirty(&stream->socket);
  }
  return taken;
}

/* ---- flush -------------------------------------------------------------- */

static void discard(zl_stream *stream) {
  while (stream->left > 0 && !over(stream) && hold_message(stream) > 0) {
    zl_stream_pop(stream);
  }
}

/* Returns the number of messages received. */
static int flush_received(zl_stream *stream, int limit, bool discards) {
  stream->left = limit;
  if (stream->on_recv) {
    call_on_recv(stream);
  } else if (discards) {
    discard(stream);
  }
  release_spent(stream);
  end_if_lost(stream);
  return limit - stream->left;
}

/* Does nothing inside a callback for a sent message: the code that sends goes
 * on with the rest anyway, and callbacks that flush would nest as deep as the
 * queue of refused messages is long. */
static int flush_queued(zl_stream *stream, int limit) {
  int sent = 0;
  while (!stream->telling && sent < limit && !over(stream) &&
         stream->queue.unsent && send_first(stream)) {
    sent++;
  }
  return sent;
}

/* Alternates, since callbacks queue replies and replies let peers go on. */
static int flush_all(zl_stream *stream, int events, int limit) {
  zl_loop *loop = loop_of(stream);
  /* Not what is behind a message whose callback has stopped receiving. */
  bool discards = !stream->on_recv;
  int total = 0;
  int handled;
  do {
    handled = 0;
    if ((events & ZL_READ) && !over(stream)) {
      handled += flush_received(stream, limit - total, discards);
    }
    if ((events & ZL_WRITE) && !over(stream)) {
      handled += flush_queued(stream, limit - total - handled);
    }
    total += handled;
  } while (handled > 0 && total < limit && !over(stream) &&
           !loop->budget.breaking);
  return total;
}

int zl_stream_flush(zl_stream *stream, int events, int limit) {
  zl_loop *loop = loop_of(stream);
  /* It may be called from within a turn or flush of the same stream, and a
   * step's budget does not limit it. Inside a flush it only sends, or callbacks
   * that flush would nest as deep as there are messages; and also between peek
   * and pop, or the same message would be delivered again. */
  int left = stream->left;
  bool flushing = stream->flushing;
  if (flushing || stream->looked_at) {
    events &= ~ZL_READ;
  }
  int64_t events_left = loop->budget.events_left;
  int64_t budget_ends = loop->budget.ends;
  zl__handles_keep(loop);
  loop->budget.events_left = INT64_MAX;
  loop->budget.ends = ZL_FOREVER;
  stream->flushing = true;
  int total = flush_all(stream, events, limit < 0 ? INT_MAX : limit);
  stream->flushing = flushing;
  stream->left = left;
  loop->budget.events_left = events_left;
  loop->budget.ends = budget_ends;
  zl__socket_dirty(&stream->socket);
  zl__handles_release(loop);
  return total;
}

/* ---- life --------------------------------------------------------------- */

static void close_handle(zl__handle *handle) {
  (void)zl_stream_close(zl__container(handle, zl_stream, socket.watch.handle));
}

static void dispose(zl__handle *handle) {
  zl_stream *stream = zl__container(handle, zl_stream, socket.watch.handle);
  for (int i = 0; i < stream->capacity; i++) {
    (void)zmq_msg_close(&stream->frames[i]);
  }
  zl__free(&handle->loop->memory, stream->frames,
           (size_t)stream->capacity * sizeof *stream->frames);
}

static bool alive(const zl__handle *handle) {
  const zl_stream *stream =
      zl__container(handle, const zl_stream, socket.watch.handle);
  return stream->on_done ||
         (!stream->socket.dead && (stream->on_recv || stream->queue.head));
}

static const zl__handle_kind kind = {
    .size = sizeof(zl_stream),
    .close = close_handle,
    .dispose = dispose,
    .alive = alive,
};

int zl_stream_new(zl_loop *loop, void *zmq_socket, unsigned flags,
                  zl_stream **out) {
  zl__handle *handle;
  *out = NULL;
  int rc = zl__handle_new(loop, &kind, &handle);
  if (rc < 0) {
    return rc;
  }
  zl_stream *stream = zl__container(handle, zl_stream, socket.watch.handle);
  stream->batch = DEFAULT_BATCH;
  stream->socket.watch.serve = serve;
  rc = zl__socket_open(&stream->socket, zmq_socket, flags);
  if (rc == 0) {
    rc = add_frames(stream);
  }
  if (rc < 0) {
    stream->socket.dead = rc;
    (void)zl_stream_close(stream);
    return rc;
  }
  *out = stream;
  return 0;
}

void zl_stream_on_recv(zl_stream *stream, zl_stream_fn fn, void *arg) {
  stream->on_recv = fn;
  stream->on_recv_arg = arg;
  if (fn) {
    zl__handle_enliven(&stream->socket.watch.handle);
    zl__socket_dirty(&stream->socket);
  }
}

void zl_stream_on_sent(zl_stream *stream, zl_sent_fn fn, void *arg) {
  stream->on_sent = fn;
  stream->on_sent_arg = arg;
}

void zl_stream_on_error(zl_stream *stream, zl_stream_error_fn fn, void *arg) {
  stream->on_error = fn;
  stream->on_error_arg = arg;
}

void zl_stream_on_empty(zl_stream *stream, zl_stream_fn fn, void *arg) {
  stream->on_empty = fn;
  stream->on_empty_arg = arg;
}

void zl_stream_on_room(zl_stream *stream, zl_stream_fn fn, void *arg) {
  stream->on_room = fn;
  stream->on_room_arg = arg;
}

void zl_stream_set_limits(zl_stream *stream, size_t messages, size_t bytes) {
  stream->most_messages = messages;
  stream->most_bytes = bytes;
  if (stream->refused) {
    zl__socket_dirty(&stream->socket);
  }
}

int zl_stream_set_batch(zl_stream *stream, int messages) {
  if (messages < 1 || messages > MAX_BATCH) {
    return -EINVAL;
  }
  stream->batch = messages;
  return 0;
}

int zl_stream_set_priority(zl_stream *stream, int priority) {
  if (priority < -MAX_PRIORITY || priority > MAX_PRIORITY) {
    return -EINVAL;
  }
  zl__watch_set_priority(&stream->socket.watch, priority);
  return 0;
}

void zl_stream_socket_closed(zl_stream *stream) {
  if (!over(stream)) {
    zl__socket_die(&stream->socket, -ENOTSOCK);
  }
}

void zl_stream_used(zl_stream *stream) {
  zl_socket_used(&stream->socket);
}

void zl_stream_touch(zl_stream *stream) {
  zl_socket_touch(&stream->socket);
}

/* What libzmq refuses counts as unsent too. */
static size_t send_last(zl_stream *stream) {
  size_t refused = 0;
  while (!stream->socket.dead && stream->queue.unsent) {
    int rc = attempt(stream, NULL, 0, stream->queue.unsent);
    if (not_yet(rc) || rc == -ETERM || rc == -ENOTSOCK || rc == -EINTR) {
      break;
    }
    refused += rc < 0 ? 1 : 0;
    zl__queue_sent(loop_of(stream), &stream->queue, rc);
  }
  /* libzmq forgets the linger of connections that it has not yet come to know
   * of, by a command of zmq_connect() to its own socket. */
  if (!stream->socket.dead) {
    (void)zl__socket_events(&stream->socket);
  }
  return refused + stream->queue.unsent_count;
}

static void on_deadline(zl_timer *timer, uint64_t missed, void *arg) {
  (void)timer;
  (void)missed;
  finish_draining(arg);
}

/* The timer is younger than the stream, so that a loop that closes all its
 * handles closes the stream first, and the stream its timer. */
static int set_deadline(zl_stream *stream, int64_t timeout_ns) {
  int rc = 0;
  if (timeout_ns == ZL_FOREVER) {
    zl_timer_close(stream->deadline);
    stream->deadline = NULL;
    return 0;
  }
  if (!stream->deadline) {
    rc = zl_timer_new(loop_of(stream), on_deadline, stream, &stream->deadline);
  }
  return rc < 0 ? rc : zl_timer_start(stream->deadline, timeout_ns, 0);
}

int zl_stream_drain(zl_stream *stream, int64_t timeout_ns, zl_stream_fn fn,
                    void *arg) {
  if (timeout_ns < 0 || !fn) {
    return -EINVAL;
  }
  /* A dead stream has no turn in which it could be told. */
  int rc = set_deadline(stream, stream->socket.dead ? 0 : timeout_ns);
  if (rc < 0) {
    return rc;
  }
  stream->draining = true;
  stream->on_done = fn;
  stream->on_done_arg = arg;
  zl__handle_enliven(&stream->socket.watch.handle);
  zl__socket_dirty(&stream->socket);
  return 0;
}

size_t zl_stream_close(zl_stream *stream) {
  if (!stream || stream->socket.watch.handle.closed) {
    return 0;
  }
  zl_timer_close(stream->deadline);
  size_t unsent = send_last(stream);
  if (!stream->socket.dead) {
    stream->socket.dead = -ENOTSOCK;
  }
  zl__queue_free(loop_of(stream), &stream->queue);
  /* The received frames stay for whoever is looking at them: dispose(). */
  zl__socket_shut(&stream->socket);
  return unsent;
}

const char *zl__streams_verify(const zl_loop *loop) {
  const zl__link *head = &loop->handles.open;
  const char *broken = NULL;
  for (const zl__link *link = head->next; link != head && !broken;
       link = link->next) {
    const zl__handle *handle = zl__container(link, const zl__handle, all);
    if (handle->kind == &kind) {
      broken = zl__queue_verify(
          &zl__container(handle, const zl_stream, socket.watch.handle)->queue);
    }
  }
  return broken;
}
