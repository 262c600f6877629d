/* stream.c - receiving and sending whole messages on a zmq socket.
 * SPDX-License-Identifier: MIT
 *
 * In a turn sending comes after receiving: a receive may consume the signal
 * meant for sending, and the send that follows sees what it announced.
 *
 * A stream is open, draining (it accepts no more messages, everything else
 * continues) or closed; in each state its socket may be dead.
 */
#include <errno.h>
#include <limits.h>

#include "loop.h"
#include "stream.h"
#include "timer.h"

enum { DEFAULT_BATCH = 128, MAX_BATCH = 65535, MAX_PRIORITY = 1000000 };

/* ---- a turn in the loop ------------------------------------------------- */

static zl_stream *stream_of(zl__watch *watch) {
  return zl__container(watch, zl_stream, socket.watch);
}

/* Nothing to receive or send: only lets libzmq process its commands. */
static void look(zl_stream *stream) {
  int events = zl__socket_events(&stream->socket);
  if (events < 0) {
    zl__stream_die(stream, events);
  }
}

/* Reports come before messages, unless reports used up the budget of the last
 * turn: an on_sent that always sends would keep messages waiting for ever. */
static void report_and_receive(zl_stream *stream) {
  bool reports_first = !stream->starved;
  stream->starved = false;
  if (reports_first) {
    zl__stream_tell(stream);
    zl__stream_report_sent(stream);
    stream->starved = zl__stream_spent(stream);
  }
  if (!zl__stream_over(stream) && stream->on_recv) {
    zl__stream_receive_turn(stream);
  }
  if (!zl__stream_over(stream) && !reports_first) {
    zl__stream_tell(stream);
    zl__stream_report_sent(stream);
  }
}

static void end_draining(zl_stream *stream) {
  if (zl__stream_spent(stream)) {
    zl__socket_dirty(&stream->socket);
  } else if (stream->on_done) { /* the user's clock has not closed it */
    zl__budget_count(&zl__stream_loop(stream)->budget);
    zl__stream_finish_draining(stream);
  }
}

static void stream_serve(zl__watch *watch) {
  zl_stream *stream = stream_of(watch);
  if (zl__stream_over(stream)) {
    zl__stream_tell(stream); /* what is left to tell of its end */
    return;
  }
  report_and_receive(stream);
  if (!zl__stream_over(stream) && stream->queue.unsent) {
    zl__stream_send_queued(stream);
  } else if (!zl__stream_over(stream) && !stream->on_recv) {
    look(stream);
  }
  zl__stream_tell(stream); /* what the budget left, or another limit */
  if (!zl__stream_over(stream) && stream->on_done && !stream->queue.head) {
    end_draining(stream);
  }
  if (zl__stream_has_reports(stream)) {
    zl__socket_dirty(&stream->socket);
  }
}

/* ---- flush -------------------------------------------------------------- */

/* Alternates, since callbacks queue replies and replies let peers continue. */
static int flush_all(zl_stream *stream, int events, int limit) {
  zl_loop *loop = zl__stream_loop(stream);
  /* Decided once: if a callback unsets itself, the messages after its own are
   * not discarded. */
  bool discards = !stream->on_recv;
  int total = 0;
  int handled;
  do {
    handled = 0;
    if ((events & ZL_READ) && !zl__stream_over(stream)) {
      handled += zl__stream_flush_received(stream, limit - total, discards);
    }
    if ((events & ZL_WRITE) && !zl__stream_over(stream)) {
      handled += zl__stream_flush_queued(stream, limit - total - handled);
    }
    total += handled;
  } while (handled > 0 && total < limit && !zl__stream_over(stream) &&
           !loop->budget.breaking);
  return total;
}

int zl_stream_flush(zl_stream *stream, int events, int limit) {
  zl_loop *loop = zl__stream_loop(stream);
  /* It may be called within a turn or flush of the same stream, and a step's
   * budget does not limit it. Inside a flush it only sends, or callbacks that
   * flush would nest as deeply as there are messages; also while a message is
   * shown, or that one would be delivered again. */
  zl__turn *outer = stream->turn;
  zl__turn turn = {.flushes = true};
  if ((outer && outer->flushes) || stream->incoming == ZL__INCOMING_SHOWN) {
    events &= ~ZL_READ;
  }
  zl__budget before = zl__budget_lift(&loop->budget);
  zl__handles_keep(loop);
  stream->turn = &turn;
  int total = flush_all(stream, events, limit < 0 ? INT_MAX : limit);
  stream->turn = outer;
  zl__budget_restore(&loop->budget, &before);
  zl__socket_dirty(&stream->socket);
  zl__handles_release(loop);
  return total;
}

/* ---- life --------------------------------------------------------------- */

static void stream_close_handle(zl__handle *handle) {
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

static bool stream_alive(const zl__handle *handle) {
  const zl_stream *stream =
      zl__container(handle, const zl_stream, socket.watch.handle);
  return stream->on_done || stream->ending || stream->failure != 0 ||
         (!stream->socket.dead && (stream->on_recv || stream->queue.head));
}

static const zl__handle_kind stream_kind = {
    .size = sizeof(zl_stream),
    .close = stream_close_handle,
    .dispose = dispose,
    .alive = stream_alive,
};

int zl_stream_new(zl_loop *loop, void *zmq_socket, unsigned flags,
                  zl_stream **out) {
  zl__handle *handle;
  *out = NULL;
  int rc = zl__handle_new(loop, &stream_kind, &handle);
  if (rc < 0) {
    return rc;
  }
  zl_stream *stream = zl__container(handle, zl_stream, socket.watch.handle);
  stream->batch = DEFAULT_BATCH;
  stream->socket.watch.serve = stream_serve;
  rc = zl__socket_open(&stream->socket, zmq_socket, flags);
  if (rc == 0) {
    rc = zl__stream_add_frames(stream);
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
  if (!zl__stream_over(stream)) {
    zl__socket_die(&stream->socket, -ENOTSOCK);
  }
}

void zl_stream_used(zl_stream *stream) {
  zl_socket_used(&stream->socket);
}

void zl_stream_touch(zl_stream *stream) {
  zl_socket_touch(&stream->socket);
}

static void on_deadline(zl_timer *timer, uint64_t missed, void *arg) {
  (void)timer;
  (void)missed;
  zl__stream_finish_draining(arg);
}

/* The timer is created after the stream, so a loop that closes all its handles
 * closes the stream first, which closes its timer. */
static int stream_set_deadline(zl_stream *stream, int64_t timeout_ns) {
  int rc = 0;
  if (timeout_ns == ZL_FOREVER) {
    zl_timer_close(stream->deadline);
    stream->deadline = NULL;
    return 0;
  }
  if (!stream->deadline) {
    rc = zl_timer_new(zl__stream_loop(stream), on_deadline, stream,
                      &stream->deadline);
  }
  return rc < 0 ? rc : zl_timer_start(stream->deadline, timeout_ns, 0);
}

int zl_stream_drain(zl_stream *stream, int64_t timeout_ns, zl_stream_fn fn,
                    void *arg) {
  if (timeout_ns < 0 || !fn) {
    return -EINVAL;
  }
  if (!zl__stream_over(stream)) { /* else its next turn calls fn */
    int rc = stream_set_deadline(stream, timeout_ns);
    if (rc < 0) {
      return rc;
    }
  }
  stream->draining = true;
  stream->on_done = fn;
  stream->on_done_arg = arg;
  zl__handle_enliven(&stream->socket.watch.handle);
  zl__watch_dirty(&stream->socket.watch); /* even if the socket is dead */
  return 0;
}

size_t zl_stream_close(zl_stream *stream) {
  if (!stream || stream->socket.watch.handle.closed) {
    return 0;
  }
  zl_timer_close(stream->deadline);
  size_t unsent = zl__stream_send_last(stream);
  if (!stream->socket.dead) {
    stream->socket.dead = -ENOTSOCK;
  }
  zl__queue_free(zl__stream_loop(stream), &stream->queue);
  /* The received frames stay until dispose(), since the callback may still be
   * reading them. */
  zl__socket_shut(&stream->socket);
  return unsent;
}

static const char *stream_verify(const zl_stream *stream) {
  bool has_frames = stream->count > 0;
  if (has_frames != (stream->incoming != ZL__INCOMING_NONE)) {
    return "the state of a stream's message says whether there are frames";
  }
  return zl__queue_verify(&stream->queue);
}

const char *zl__streams_verify(const zl_loop *loop) {
  const zl__link *head = &loop->handles.open;
  const char *broken = NULL;
  for (const zl__link *link = head->next; link != head && !broken;
       link = link->next) {
    const zl__handle *handle = zl__container(link, const zl__handle, all);
    if (handle->kind == &stream_kind) {
      broken = stream_verify(
          zl__container(handle, const zl_stream, socket.watch.handle));
    }
  }
  return broken;
}
