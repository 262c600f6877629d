/* stream_send.c - sending whole messages, and the queue.
 * SPDX-License-Identifier: MIT
 *
 * Always DONTWAIT. A message that libzmq does not take at once waits in the
 * queue; EAGAIN and EFSM mean "not yet", except for a REP without a request:
 * see needs_request(). libzmq throttles the processing of commands, so half of
 * its EAGAINs at a high-water mark of 1 are false. Reading ZMQ_EVENTS, which is
 * not throttled, shows which; it is also the full check that lets the loop wait
 * for the signal.
 */
#include <errno.h>
#include <stdint.h>

#include "loop.h"
#include "stream.h"

/* Not in every zmq.h. */
#ifdef ZMQ_DGRAM
enum { ZL__DGRAM = ZMQ_DGRAM };
#else
enum { ZL__DGRAM = -1 };
#endif

enum { SENDS_PER_TURN = 256 };

/* Frames that libzmq keeps inside a zmq_msg_t, 33 bytes since 4.2, need no
 * memory. Copies of larger ones live on the C stack if they are few. */
enum { BYTES_INSIDE = 33, FEW_COPIES = 8 };

/* zmq_send() or zmq_msg_send() has failed: should it be tried again? Returns 0,
 * or the error. */
static int failed_to_send(zl_socket *socket, int *interrupts) {
  return zl__socket_retry(socket, interrupts) ? 0 : -zmq_errno();
}

static inline bool try_bytes(zl_socket *socket, const zl_frame *frame,
                             int flags) {
  socket->used = true;
  return zmq_send(socket->zmq, frame->data, frame->size, flags) >= 0;
}

/* Called after try_bytes() has failed. */
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
static int send_with_copies(zl_stream *stream, const zl_frame *frames,
                            size_t count) {
  zmq_msg_t few[FEW_COPIES];
  zl_loop *loop = zl__stream_loop(stream);
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
 * several frames, all after the first that need memory are copied before any is
 * sent: if memory ran out for one, the frames before it would stay in the
 * socket. */
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

/* May the socket only reply to a request that was delivered? A message that
 * waited for the next request would answer another client, and so would all
 * later ones. */
static bool needs_request(const zl_stream *stream) {
  return stream->socket.type == ZMQ_REP && !stream->early;
}

/* Should a message that failed with rc wait in the queue? */
static bool waits(const zl_stream *stream, int rc) {
  return not_yet(rc) && !(rc == -EFSM && needs_request(stream));
}

/* After "not yet": is a second attempt worthwhile? Returns 1; 0 if not before
 * the next signal; or an error, which no signal will report again. */
static int writable_after_all(zl_stream *stream) {
  int events = zl__socket_events(&stream->socket);
  /* A paused stream that is readable would be checked for ever. */
  if (events < 0 || ((events & ZL_READ) && stream->on_recv)) {
    zl__socket_dirty(&stream->socket);
  }
  return events < 0 ? events : (events & ZL_WRITE) != 0;
}

/* REP may receive again now, without a signal. */
static inline void after_attempt(zl_stream *stream) {
  if (stream->socket.type == ZMQ_REP || zl__stream_loop(stream)->touch) {
    zl__socket_dirty(&stream->socket);
  }
}

static inline void count_as_sent(zl_stream *stream) {
  after_attempt(stream);
  zl__stream_loop(stream)->stats.total.messages_out++;
}

/* Before an attempt on a DGRAM: without a bind or connect libzmq takes the
 * frame, fails, and aborts when it releases the frame. */
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
    zl__socket_dirty(&stream->socket); /* no signal announces free memory */
  } else if (!not_yet(rc)) {
    after_attempt(stream);
  }
  return rc;
}

/* ---- the limits of the queue -------------------------------------------- */

/* A message larger than the limit may wait alone: otherwise it could never be
 * sent. */
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

/* At half of each limit: one call for many messages that leave. */
static bool half_empty(const zl_stream *stream) {
  const zl__queue *queue = &stream->queue;
  return (stream->most_messages == 0 ||
          queue->unsent_count <= stream->most_messages / 2) &&
         (stream->most_bytes == 0 ||
          queue->unsent_bytes <= stream->most_bytes / 2);
}

/* Only here, and not whenever somebody looks: a message can be too large for
 * a queue that is half empty, and on_room that sends it again would be called
 * for ever. */
void zl__stream_note_room(zl_stream *stream) {
  if (stream->room == ZL__ROOM_WANTED && half_empty(stream)) {
    stream->room = ZL__ROOM_AGAIN;
  }
}

/* A message has left the queue. */
static void note_one_less(zl_stream *stream) {
  stream->emptied = !stream->queue.unsent;
  zl__stream_note_room(stream);
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
  zl__queue_sent(zl__stream_loop(stream), &stream->queue, rc);
  if (rc < 0 && silent) {
    stream->failure = rc;
  }
  note_one_less(stream);
  zl__stream_tell(stream);
}

/* Sends the first queued message. Returns false if the socket cannot take it
 * now. */
static bool send_first(zl_stream *stream) {
  int rc = attempt(stream, NULL, 0, stream->queue.unsent);
  if (not_yet(rc)) {
    return false;
  }
  if (rc == -ETERM || rc == -ENOTSOCK) {
    zl__stream_die(stream, rc);
    return false;
  }
  stream->telling = true;
  tell_sent(stream, rc);
  stream->telling = false;
  return true;
}

/* A long queue is sent in several turns, with the rest of the loop in
 * between. At least one message per turn, or receiving could use up each
 * step's budget; but none while there is an error to tell. */
void zl__stream_send_queued(zl_stream *stream) {
  if (stream->failure != 0) {
    return;
  }
  for (int left = SENDS_PER_TURN;
       !zl__stream_over(stream) && stream->queue.unsent; left--) {
    if (left == 0 || (left < SENDS_PER_TURN && zl__stream_spent(stream))) {
      zl__socket_dirty(&stream->socket);
      return;
    }
    /* The user's clock may have closed the stream. */
    if (zl__stream_over(stream) || !stream->queue.unsent ||
        !send_first(stream)) {
      return;
    }
  }
}

static int enqueue(zl_stream *stream, const zl_frame *frames, size_t count,
                   uint64_t token) {
  zl__message *message =
      zl__message_new(zl__stream_loop(stream), frames, count, token);
  if (!message) {
    return -ENOMEM;
  }
  zl__stream_push(stream, message, true);
  return ZL_QUEUED;
}

/* For a message with nothing queued before it. The report is allocated before
 * the attempt: a message that libzmq has taken must be reported. */
static int send_now_or_enqueue(zl_stream *stream, const zl_frame *frames,
                               size_t count, uint64_t token) {
  zl_loop *loop = zl__stream_loop(stream);
  zl__message *report = NULL;
  if (token != 0) {
    report = zl__message_new(loop, NULL, 0, token);
    if (!report) {
      return -ENOMEM;
    }
  }
  int rc = attempt(stream, frames, count, NULL);
  if (rc == 0 && report) {
    zl__stream_push(stream, report, false);
    zl__socket_dirty(&stream->socket);
  } else if (report) {
    zl__message_free(loop, report);
  }
  return waits(stream, rc) ? enqueue(stream, frames, count, token) : rc;
}

int zl_stream_may_send(zl_stream *stream, size_t bytes) {
  if (zl__stream_over(stream)) {
    return stream->socket.dead;
  }
  if (stream->draining) {
    return -ESHUTDOWN;
  }
  if ((stream->queue.unsent || stream->incoming == ZL__INCOMING_AHEAD) &&
      needs_request(stream)) {
    return -EFSM; /* no request was delivered, or a queued message already
                   * answers it */
  }
  if (!has_room(stream, bytes)) {
    stream->room = ZL__ROOM_WANTED;
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

/* The fast path: nothing is queued and no report is wanted. Failures are
 * retried on the general path, which handles them. */
static inline bool send_at_once(zl_stream *stream, const zl_frame *frames,
                                size_t count) {
  bool may_send = !zl__stream_over(stream) && !stream->draining &&
                  !stream->queue.unsent &&
                  stream->incoming != ZL__INCOMING_AHEAD;
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

/* Takes all frames of the message or none. Returns 0, ZL_QUEUED, or an error
 * that leaves them to the caller. */
static int send_or_push(zl_stream *stream, zl__message *message) {
  zl_loop *loop = zl__stream_loop(stream);
  int rc = stream->queue.unsent ? -EAGAIN : attempt(stream, NULL, 0, message);
  if (waits(stream, rc)) {
    zl__stream_push(stream, message, true);
    return ZL_QUEUED;
  }
  if (rc == 0 && message->token != 0) {
    zl__message_release(message);
    zl__stream_push(stream, message, false);
    zl__socket_dirty(&stream->socket);
  } else if (rc == 0) {
    zl__message_free(loop, message);
  }
  return rc;
}

int zl_stream_send_messages(zl_stream *stream, zmq_msg_t *frames, size_t count,
                            uint64_t token) {
  zl_loop *loop = zl__stream_loop(stream);
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

/* Does nothing inside a callback for a sent message: the code that sends
 * continues with the rest anyway, and callbacks that flush would nest as deeply
 * as the queue of refused messages is long. */
int zl__stream_flush_queued(zl_stream *stream, int limit) {
  int sent = 0;
  while (!stream->telling && sent < limit && !zl__stream_over(stream) &&
         stream->queue.unsent && send_first(stream)) {
    sent++;
  }
  return sent;
}

/* Messages that libzmq refuses count as unsent too. */
size_t zl__stream_send_last(zl_stream *stream) {
  size_t refused = 0;
  while (!stream->socket.dead && stream->queue.unsent) {
    int rc = attempt(stream, NULL, 0, stream->queue.unsent);
    if (not_yet(rc) || rc == -ETERM || rc == -ENOTSOCK || rc == -EINTR) {
      break;
    }
    refused += rc < 0 ? 1 : 0;
    zl__queue_sent(zl__stream_loop(stream), &stream->queue, rc);
  }
  /* libzmq ignores the linger for new connections until it has processed the
   * command that zmq_connect() sends to its own socket. */
  if (!stream->socket.dead) {
    (void)zl__socket_events(&stream->socket);
  }
  return refused + stream->queue.unsent_count;
}

/* The next turn handles the consequences: on_empty, on_room, the end of
 * draining. */
int zl_stream_unsend(zl_stream *stream, uint64_t token) {
  if (!stream || token == 0 || stream->socket.watch.handle.closed) {
    return 0;
  }
  bool taken =
      zl__queue_take_back(zl__stream_loop(stream), &stream->queue, token);
  if (taken) {
    note_one_less(stream);
    zl__socket_dirty(&stream->socket);
  }
  return taken;
}
