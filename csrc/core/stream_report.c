/* stream_report.c - what a stream reports: sent messages, errors, its end.
 * SPDX-License-Identifier: MIT
 */
#include "loop.h"
#include "stream.h"

void zl__stream_call(zl_stream *stream, zl_stream_fn fn, void *arg) {
  zl__budget_count(&zl__stream_loop(stream)->budget);
  fn(stream, arg);
}

void zl__stream_fail(zl_stream *stream, int rc) {
  if (stream->on_error) {
    zl__budget_count(&zl__stream_loop(stream)->budget);
    stream->on_error(stream, rc, stream->on_error_arg);
  }
}

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
  zl_timer_close(stream->deadline);
  stream->deadline = NULL;
  zl__stream_call(stream, fn, stream->on_done_arg);
}

void zl__stream_die(zl_stream *stream, int rc) {
  zl__socket_die(&stream->socket, rc);
  while (!stream->socket.watch.handle.closed &&
         zl__stream_has_reports(stream)) {
    report_first(stream);
  }
  if (!stream->socket.watch.handle.closed) {
    zl__stream_fail(stream, rc);
  }
  if (!stream->socket.watch.handle.closed && stream->on_done) {
    zl__stream_finish_draining(stream);
  }
}
