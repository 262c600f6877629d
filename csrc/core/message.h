/* message.h - messages that wait to be sent, and their frames.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZL_MESSAGE_H
#define ZL_MESSAGE_H

#include <stddef.h>
#include <stdint.h>
#include <zmq.h>

#include "zmqloop.h"

/* Messages of at most so many frames, so many of each, are kept for later. */
enum { ZL__SPARE_FRAMES = 4, ZL__SPARE_MESSAGES = 256 };

/* A message in the send queue, or the report of one that has left it. */
typedef struct zl__message {
  struct zl__message *next;
  uint64_t token; /* 0: nobody wants to know */
  size_t bytes;   /* of all its frames; 0 for a report */
  int status;     /* what became of it; meaningless while unsent */
  uint32_t count; /* frames not yet given to libzmq; 0 once it has left */
  uint32_t capacity;
  zmq_msg_t frames[];
} zl__message;

typedef struct zl__spares {
  zl__message *first;
  int count;
} zl__spares;

/* Those kept for reuse, by frames; reports have none. */
typedef struct zl__spare_messages {
  zl__spares by_frames[ZL__SPARE_FRAMES + 1];
} zl__spare_messages;

/* Returns 0 or -ENOMEM. */
int zl__frame_copy(zmq_msg_t *to, const zl_frame *from);

size_t zl__bytes_of(zmq_msg_t *frames, size_t count);

/* A message with copies of the frames; none for the report of one that has
 * left already. Returns NULL when out of memory. */
zl__message *zl__message_new(zl_loop *loop, const zl_frame *frames,
                             size_t count, uint64_t token);

/* A message with the frames themselves, of which empty ones are left. Returns
 * NULL when out of memory. */
zl__message *zl__message_take(zl_loop *loop, zmq_msg_t *frames, size_t count,
                              uint64_t token);

/* Undoes zl__message_take(). */
void zl__message_give_back(zl_loop *loop, zl__message *message,
                           zmq_msg_t *frames);

/* Lets go of the frames. */
void zl__message_release(zl__message *message);

void zl__message_free(zl_loop *loop, zl__message *message);

/* At the end of the loop. */
void zl__messages_free(zl_loop *loop);

#endif /* ZL_MESSAGE_H */
