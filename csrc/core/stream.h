/* stream.h - receiving and sending whole messages on a zmq socket.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZL_STREAM_H
#define ZL_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <zmq.h>

#include "loop.h"
#include "outgoing.h"
#include "queue.h"
#include "socket.h"
#include "zmqloop.h"

/* What a turn or flush may still receive, and how its receiving ended. It lives
 * on the stack of the C function that serves the stream. */
typedef struct zl__turn {
  int left;     /* messages */
  bool drained; /* the socket was empty */
  bool flushes; /* in a flush: stopping the loop does not end it */
  int lost;     /* the error that killed the socket; 0: none */
} zl__turn;

/* Where the stream is with the incoming message, which is the one whose frames
 * it has. set_incoming() in stream_receive.c changes it. */
typedef enum zl__incoming {
  ZL__INCOMING_NONE,  /* there are no frames */
  ZL__INCOMING_PARTS, /* only the first ones are here */
  ZL__INCOMING_AHEAD, /* received ahead of its turn, and never shown */
  ZL__INCOMING_HELD,  /* shown in a turn that did not accept it */
  ZL__INCOMING_SHOWN  /* between zl_stream_next() and zl_stream_accept() */
} zl__incoming;

/* What is known of a sender that met a full queue. */
typedef enum zl__room {
  ZL__ROOM_NOT_WANTED,
  ZL__ROOM_WANTED, /* a message was refused */
  ZL__ROOM_AGAIN,  /* since then there is room again; on_room is pending */
} zl__room;

struct zl_stream {
  zl_socket socket; /* its fn and interest are not used */
  zl_stream_fn on_recv;
  void *on_recv_arg;
  zl_sent_fn on_sent;
  void *on_sent_arg;
  zl_stream_error_fn on_error;
  void *on_error_arg;
  zl_stream_fn on_empty;
  void *on_empty_arg;
  zl_stream_fn on_room;
  void *on_room_arg;
  zl_stream_fn on_done; /* of zl_stream_drain(); NULL once it was called */
  void *on_done_arg;
  zl_timer *deadline; /* of zl_stream_drain(), or NULL */
  zl__queue queue;
  size_t most_messages; /* in the queue; 0: no limit */
  size_t most_bytes;
  zl__room room;
  bool emptied;   /* the last queued message has left; on_empty is pending */
  bool ending;    /* the socket has died, and not all of that was told */
  int failure;    /* a refused message's error, still to be told; 0: none */
  bool draining;  /* accepts no more messages */
  bool early;     /* a REP may queue messages without a request to answer */
  bool starved;   /* reports used up the budget of the last turn */
  int batch;      /* messages per turn */
  zl__turn *turn; /* the innermost; NULL: none */
  zl__incoming incoming;
  bool large; /* one of the frames is large */
  int size;   /* of the last frame, as returned by zmq_msg_recv() */
  int count;  /* frames received so far */
  int spent;  /* frames of messages already delivered in this turn */
  int capacity;
  zmq_msg_t *frames;
  bool telling; /* in a callback for a message that has left the queue */
};

/* ---- shared by its files ------------------------------------------------- */

static inline zl_loop *zl__stream_loop(const zl_stream *stream) {
  return stream->socket.watch.handle.loop;
}

/* Is it closed, or its socket dead? */
static inline bool zl__stream_over(const zl_stream *stream) {
  return stream->socket.dead != 0;
}

static inline bool zl__stream_spent(const zl_stream *stream) {
  const zl_loop *loop = zl__stream_loop(stream);
  return zl__budget_spent(&loop->budget, &loop->clock);
}

/* ---- stream_report.c ----------------------------------------------------- */

/* Makes the calls that are due about the queue and the end of the socket, as
 * many as the step's budget allows; the next turn makes the others. */
void zl__stream_tell(zl_stream *stream);

bool zl__stream_has_reports(const zl_stream *stream);

/* Appends the message to the queue, as unsent or as a report. */
void zl__stream_push(zl_stream *stream, zl__message *message, bool unsent);

/* Calls on_sent for messages that have left; at most a batch, since on_sent may
 * send and so cause new reports. */
void zl__stream_report_sent(zl_stream *stream);

/* Draining ends exactly once: when everything is sent and reported, when the
 * socket dies, or on timeout. */
void zl__stream_finish_draining(zl_stream *stream);

/* The socket is no longer usable: tells that. Nothing can be sent that would
 * cause new reports. */
void zl__stream_die(zl_stream *stream, int rc);

/* ---- stream_receive.c ---------------------------------------------------- */

/* Makes room for more frames; all frames of the array are initialized. Returns
 * 0 or -ENOMEM. */
int zl__stream_add_frames(zl_stream *stream);

/* Calls on_recv once, for at most a batch of messages. */
void zl__stream_receive_turn(zl_stream *stream);

/* In the turn of a flush: receives up to `limit` messages for on_recv or, with
 * `discards`, discards them. Returns how many. */
int zl__stream_flush_received(zl_stream *stream, int limit, bool discards);

/* ---- stream_send.c ------------------------------------------------------- */

/* Attempts to send the message, twice if it can be sent after all. Returns 0,
 * or an error: see zl__outgoing_try(). */
int zl__stream_attempt(zl_stream *stream, const zl__outgoing *it);

/* ---- stream_room.c ------------------------------------------------------- */

/* May a message of so many bytes be queued? */
bool zl__stream_has_room(const zl_stream *stream, size_t bytes);

/* A message was refused for want of room. */
void zl__stream_want_room(zl_stream *stream);

/* A message has left the queue. */
void zl__stream_left_queue(zl_stream *stream);

/* ---- stream_queue.c ------------------------------------------------------ */

/* Sends queued messages, at most as many as one turn allows. */
void zl__stream_send_queued(zl_stream *stream);

/* Sends up to `limit` queued messages. Returns how many. */
int zl__stream_flush_queued(zl_stream *stream, int limit);

/* Sends what it can before a close. Returns how many messages could not be
 * sent. */
size_t zl__stream_send_last(zl_stream *stream);

/* ---- stream.c ------------------------------------------------------------ */

/* What is wrong with some stream of the loop, or NULL. */
const char *zl__streams_verify(const zl_loop *loop);

#endif /* ZL_STREAM_H */
