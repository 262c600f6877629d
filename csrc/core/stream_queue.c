/* stream_queue.c - sends what waits in a stream's queue.
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>

#include "loop.h"
#include "stream.h"

enum { SENDS_PER_TURN = 256 };

/* The first queued message has left. A message that libzmq refuses is reported
 * and does not block the rest. */
static void tell_sent(zl_stream *stream, int rc) {
  bool silent = stream->queue.unsent->token == 0;
  zl__queue_sent(zl__stream_loop(stream), &stream->queue, rc);
  if (rc < 0 && silent) {
    stream->failure = rc;
  }
  zl__stream_left_queue(stream);
  zl__stream_tell(stream);
}

static int try_first(zl_stream *stream) {
  zl__outgoing first = {.message = stream->queue.unsent};
  return zl__stream_attempt(stream, &first);
}

/* Sends the first queued message. Returns false if the socket cannot take it
 * now. */
static bool send_first(zl_stream *stream) {
  int rc = try_first(stream);
  if (zl__outgoing_not_yet(rc)) {
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
    int rc = try_first(stream);
    if (zl__outgoing_not_yet(rc) || rc == -ETERM || rc == -ENOTSOCK ||
        rc == -EINTR) {
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
    zl__stream_left_queue(stream);
    zl__socket_dirty(&stream->socket);
  }
  return taken;
}
