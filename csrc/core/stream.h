/* stream.h - receiving and sending whole messages on a zmq socket.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZL_STREAM_H
#define ZL_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <zmq.h>

#include "queue.h"
#include "socket.h"
#include "zmqloop.h"

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
  bool refused;   /* a message for want of room; on_room is still to come */
  bool draining;  /* nothing more is accepted */
  bool early;     /* a REP queues messages without a request to answer */
  bool starved;   /* reports have used up the budget of the last turn */
  int batch;      /* messages per turn */
  int left;       /* of this turn or flush */
  bool drained;   /* this turn ended because the socket had no more */
  int lost;       /* the error that this turn ended with; 0: none */
  bool whole;     /* frames hold a whole message */
  bool unseen;    /* it was received ahead, and not yet delivered */
  bool looked_at; /* the callback is between peek and pop */
  bool large;     /* one of the frames is */
  int size;       /* of the frame received last, as zmq_msg_recv() told */
  int count;      /* frames received so far */
  int spent;      /* the first so many are of messages of this turn */
  int capacity;
  zmq_msg_t *frames;
  bool flushing; /* in zl_stream_flush(): stopping does not end the turn */
  bool telling;  /* in a callback for a message that has left the queue */
};

const char *zl__streams_verify(const zl_loop *loop);

#endif /* ZL_STREAM_H */
