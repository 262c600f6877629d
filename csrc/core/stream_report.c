/* stream_report.c - what a stream reports: sent messages, errors, its end.
 * SPDX-License-Identifier: MIT
 */
#include "loop.h"
#include "stream.h"

bool zl__stream_has_reports(const zl_stream *stream) {
  return stream->queue.head != stream->queue.unsent;
}

void zl__stream_push(zl_stream *stream, zl__message *message, bool unsent) {
  zl__queue_push(&stream->queue, message, unsent);
  zl__handle_enliven(&stream->socket.watch.handle);
}

/* Calls on_sent for the oldest message that has left. */
static void report_first(zl_stream *stream) {
  zl__message *message = zl__queue_pop_report(&stream->queue);
  uint64_t token = message->token;
  int status = message->status;
  zl__message_free(zl__stream_loop(stream), message);
  zl__queue_drop_silent(zl__stream_loop(stream), &stream->queue);
  if (token != 0 && stream->on_sent) {
    zl__budget_count(&zl__stream_loop(stream)->budget);
    stream->on_sent(stream, token, status, stream->on_sent_arg);
  }
}

void zl__stream_report_sent(zl_stream *stream) {
  for (int left = stream->batch;
       left > 0 && !zl__stream_spent(stream) &&
       !stream->socket.watch.handle.closed && zl__stream_has_reports(stream);
       left--) {
    report_first(stream);
  }
}

void zl__stream_finish_draining(zl_stream *stream) {
  zl_stream_fn fn = stream->on_done;
  stream->on_done = NULL;
  if (stream->deadline) {
    zl_timer_cancel(stream->deadline); /* kept: a second call needs no memory */
  }
  fn(stream, stream->on_done_arg);
}

/* ---- what is due --------------------------------------------------------- */

typedef enum notice {
  NOTICE_NONE,
  NOTICE_FAILURE, /* of a message */
  NOTICE_ROOM,
  NOTICE_EMPTY,
  NOTICE_REPORT, /* of a socket that has died; else see report_sent() */
  NOTICE_END,    /* of the socket */
  NOTICE_DONE,   /* draining, of a socket that has died */
} notice;

static notice next_at_the_end(const zl_stream *stream) {
  if (zl__stream_has_reports(stream)) {
    return NOTICE_REPORT;
  }
  if (stream->ending) {
    return NOTICE_END;
  }
  return stream->on_done ? NOTICE_DONE : NOTICE_NONE;
}

static notice next_notice(const zl_stream *stream) {
  if (stream->socket.watch.handle.closed) {
    return NOTICE_NONE;
  }
  if (stream->failure != 0) {
    return NOTICE_FAILURE;
  }
  if (zl__stream_over(stream)) {
    return next_at_the_end(stream);
  }
  if (stream->room == ZL__ROOM_AGAIN && !stream->draining) {
    return NOTICE_ROOM;
  }
  return stream->emptied && !stream->queue.unsent ? NOTICE_EMPTY : NOTICE_NONE;
}

static void report_call(zl_stream *stream, zl_stream_fn fn, void *arg) {
  if (fn) {
    zl__budget_count(&zl__stream_loop(stream)->budget);
    fn(stream, arg);
  }
}

static void fail(zl_stream *stream, int rc) {
  if (stream->on_error) {
    zl__budget_count(&zl__stream_loop(stream)->budget);
    stream->on_error(stream, rc, stream->on_error_arg);
  }
}

static void tell(zl_stream *stream, notice what) {
  int rc = stream->failure;
  switch (what) {
  case NOTICE_FAILURE:
    stream->failure = 0;
    fail(stream, rc);
    break;
  case NOTICE_ROOM:
    stream->room = ZL__ROOM_NOT_WANTED;
    report_call(stream, stream->on_room, stream->on_room_arg);
    break;
  case NOTICE_EMPTY:
    stream->emptied = false;
    report_call(stream, stream->on_empty, stream->on_empty_arg);
    break;
  case NOTICE_REPORT: report_first(stream); break;
  case NOTICE_END:
    stream->ending = false;
    fail(stream, stream->socket.dead);
    break;
  case NOTICE_DONE:
    zl__budget_count(&zl__stream_loop(stream)->budget);
    zl__stream_finish_draining(stream);
    break;
  case NOTICE_NONE: break;
  }
}

void zl__stream_tell(zl_stream *stream) {
  while (next_notice(stream) != NOTICE_NONE) {
    bool spent = zl__stream_spent(stream);
    notice what = next_notice(stream); /* the user's clock may have closed it */
    if (spent && what != NOTICE_NONE) {
      zl__watch_dirty(&stream->socket.watch); /* even if the socket is dead */
      zl__handle_enliven(&stream->socket.watch.handle);
      return;
    }
    tell(stream, what);
  }
}

void zl__stream_die(zl_stream *stream, int rc) {
  zl__socket_die(&stream->socket, rc);
  stream->ending = true;
  zl__stream_tell(stream);
}
