/* stream_send.c - sending whole messages.
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
#include "zmqloop_batch.h"

/* Not in every zmq.h. */
#ifdef ZMQ_DGRAM
enum { ZL__DGRAM = ZMQ_DGRAM };
#else
enum { ZL__DGRAM = -1 };
#endif

/* May the socket only reply to a request that was delivered? A message that
 * waited for the next request would answer another client, and so would all
 * later ones. */
static bool needs_request(const zl_stream *stream) {
  return stream->socket.type == ZMQ_REP && !stream->early;
}

/* Should a message that failed with rc wait in the queue? */
static bool waits(const zl_stream *stream, int rc) {
  return zl__outgoing_not_yet(rc) && !(rc == -EFSM && needs_request(stream));
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

/* What follows from the result of an attempt. */
static void send_settle(zl_stream *stream, int rc) {
  if (rc == 0) {
    count_as_sent(stream);
  } else if (rc == -ENOMEM) {
    zl__socket_dirty(&stream->socket); /* no signal announces free memory */
  } else if (!zl__outgoing_not_yet(rc)) {
    after_attempt(stream);
  }
}

int zl__stream_attempt(zl_stream *stream, const zl__outgoing *it) {
  zl_socket *socket = &stream->socket;
  int rc = socket->type == ZL__DGRAM ? may_attempt(stream) : 0;
  if (rc < 0) {
    return rc;
  }
  rc = zl__outgoing_try(socket, it);
  int writable = zl__outgoing_not_yet(rc) ? writable_after_all(stream) : 0;
  if (writable > 0) {
    rc = zl__outgoing_try(socket, it);
  } else if (writable < 0) {
    rc = writable;
  }
  send_settle(stream, rc);
  return rc;
}

static int enqueue(zl_stream *stream, const zl__outgoing *it, uint64_t token) {
  zl__message *message =
      zl__message_new(zl__stream_loop(stream), it->frames, it->count, token);
  if (!message) {
    return -ENOMEM;
  }
  zl__stream_push(stream, message, true);
  return ZL_QUEUED;
}

/* For a message with nothing queued before it. The report is allocated before
 * the attempt: a message that libzmq has taken must be reported. */
static int send_now_or_enqueue(zl_stream *stream, const zl__outgoing *it,
                               uint64_t token) {
  zl_loop *loop = zl__stream_loop(stream);
  zl__message *report = NULL;
  if (token != 0) {
    report = zl__message_new(loop, NULL, 0, token);
    if (!report) {
      return -ENOMEM;
    }
  }
  int rc = zl__stream_attempt(stream, it);
  if (rc == 0 && report) {
    zl__stream_push(stream, report, false);
    zl__socket_dirty(&stream->socket);
  } else if (report) {
    zl__message_free(loop, report);
  }
  return waits(stream, rc) ? enqueue(stream, it, token) : rc;
}

int zl_stream_error(const zl_stream *stream) {
  if (zl__stream_over(stream)) {
    return stream->socket.dead;
  }
  return stream->draining ? -ESHUTDOWN : 0;
}

int zl_stream_may_send(zl_stream *stream, size_t bytes) {
  int rc = zl_stream_error(stream);
  if (rc < 0) {
    return rc;
  }
  if ((stream->queue.unsent || stream->incoming == ZL__INCOMING_AHEAD) &&
      needs_request(stream)) {
    return -EFSM; /* no request was delivered, or a queued message already
                   * answers it */
  }
  if (!zl__stream_has_room(stream, bytes)) {
    zl__stream_want_room(stream);
    return -EAGAIN;
  }
  return 0;
}

static size_t bytes_of(const zl__outgoing *it) {
  size_t bytes = 0;
  for (size_t i = 0; i < it->count; i++) {
    size_t size = it->frames[i].size;
    bytes = size > SIZE_MAX - bytes ? SIZE_MAX : bytes + size;
  }
  return bytes;
}

static int send_or_refuse(zl_stream *stream, const zl__outgoing *it,
                          uint64_t token) {
  bool bounded = stream->most_bytes > 0 && stream->queue.unsent;
  int rc = zl_stream_may_send(stream, bounded ? bytes_of(it) : 0);
  if (rc < 0) {
    return rc;
  }
  return stream->queue.unsent ? enqueue(stream, it, token)
                              : send_now_or_enqueue(stream, it, token);
}

static inline bool try_once(zl_stream *stream, const zl__outgoing *it) {
  zl_socket *socket = &stream->socket;
  return it->count == 1
             ? zl__outgoing_try_bytes(socket, it->frames, ZMQ_DONTWAIT)
             : socket->type != ZL__DGRAM && zl__outgoing_try(socket, it) == 0;
}

/* The fast path: nothing is queued and no report is wanted. Failures are
 * retried on the general path, which handles them. */
static inline bool send_at_once(zl_stream *stream, const zl__outgoing *it) {
  bool may_send = !zl__stream_over(stream) && !stream->draining &&
                  !stream->queue.unsent &&
                  stream->incoming != ZL__INCOMING_AHEAD;
  if (!may_send || !try_once(stream, it)) {
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
  zl__outgoing it = {.frames = frames, .count = count};
  if (token == 0 && send_at_once(stream, &it)) {
    return 0;
  }
  return send_or_refuse(stream, &it, token);
}

/* Takes all frames of the message or none. Returns 0, ZL_QUEUED, or an error
 * that leaves them to the caller. */
static int send_or_push(zl_stream *stream, zl__message *message) {
  zl_loop *loop = zl__stream_loop(stream);
  zl__outgoing it = {.message = message};
  int rc = stream->queue.unsent ? -EAGAIN : zl__stream_attempt(stream, &it);
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
