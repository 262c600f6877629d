/* message.h - messages that wait to be sent, and their frames.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZL_MESSAGE_H
#define ZL_MESSAGE_H

#include <stddef.h>
#include <stdint.h>
#include <zmq.h>

#include "zmqloop.h"

/* Freed messages of up to ZL__SPARE_FRAMES frames are kept for reuse, up to
 * ZL__SPARE_MESSAGES for each number of frames. */
enum { ZL__SPARE_FRAMES = 4, ZL__SPARE_MESSAGES = 256 };

/* A message in the send queue, or the report of one that has left the queue. */
typedef struct zl__message {
  struct zl__message *next;
  uint64_t token; /* 0: no report wanted */
  size_t bytes;   /* of all its frames; 0 for a report */
  int status;     /* the outcome; meaningless while unsent */
  uint32_t count; /* frames not yet given to libzmq; 0 once it has left */
  uint32_t capacity;
  zmq_msg_t frames[];
} zl__message;

typedef struct zl__spares {
  zl__message *first;
  int count;
} zl__spares;

/* Messages kept for reuse, by number of frames; reports have none. */
typedef struct zl__spare_messages {
  zl__spares by_frames[ZL__SPARE_FRAMES + 1];
} zl__spare_messages;

/* Returns 0 or -ENOMEM. */
int zl__frame_copy(zmq_msg_t *to, const zl_frame *from);

size_t zl__bytes_of(zmq_msg_t *frames, size_t count);

/* A message with copies of the frames; without frames it is the report of a
 * message that has already left. Returns NULL when out of memory. */
zl__message *zl__message_new(zl_loop *loop, const zl_frame *frames,
                             size_t count, uint64_t token);

/* A message that takes the frames over and leaves empty ones. Returns NULL when
 * out of memory. */
zl__message *zl__message_take(zl_loop *loop, zmq_msg_t *frames, size_t count,
                              uint64_t token);

/* Undoes zl__message_take(). */
void zl__message_give_back(zl_loop *loop, zl__message *message,
                           zmq_msg_t *frames);

/* Releases the frames. */
void zl__message_release(zl__message *message);

void zl__message_free(zl_loop *loop, zl__message *message);

/* Frees the spare messages, at the end of the loop. */
void zl__messages_free(zl_loop *loop);

#endif /* ZL_MESSAGE_H */
