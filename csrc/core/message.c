/* message.c - messages that wait to be sent, and their frames.
 * SPDX-License-Identifier: MIT
 *
 * The loop keeps freed short messages for reuse, so that in a steady state
 * queuing and reporting small messages allocates nothing.
 */
#include <errno.h>
#include <string.h>

#include "loop.h"
#include "message.h"

static size_t size_of(size_t frames) {
  return sizeof(zl__message) + frames * sizeof(zmq_msg_t);
}

int zl__frame_copy(zmq_msg_t *to, const zl_frame *from) {
  if (zmq_msg_init_size(to, from->size) < 0) {
    return -ENOMEM;
  }
  if (from->size > 0) {
    memcpy(zmq_msg_data(to), from->data, from->size);
  }
  return 0;
}

static zl__message *message_allocate(zl_loop *loop, size_t count) {
  if (count > ZL__SPARE_FRAMES || !loop->spares.by_frames[count].first) {
    return zl__alloc(&loop->memory, size_of(count));
  }
  zl__spares *spares = &loop->spares.by_frames[count];
  zl__message *message = spares->first;
  spares->first = message->next;
  spares->count--;
  return message;
}

/* A message with room for the frames. Returns NULL when out of memory. */
static zl__message *new_message(zl_loop *loop, size_t count, uint64_t token) {
  if (count > UINT32_MAX / sizeof(zmq_msg_t)) {
    return NULL;
  }
  zl__message *message = message_allocate(loop, count);
  if (message) {
    message->next = NULL;
    message->token = token;
    message->bytes = 0;
    message->status = 0;
    message->count = 0;
    message->capacity = (uint32_t)count;
  }
  return message;
}

zl__message *zl__message_new(zl_loop *loop, const zl_frame *frames,
                             size_t count, uint64_t token) {
  zl__message *message = new_message(loop, count, token);
  if (!message) {
    return NULL;
  }
  for (; message->count < count; message->count++) {
    if (zl__frame_copy(&message->frames[message->count],
                       &frames[message->count]) < 0) {
      zl__message_free(loop, message);
      return NULL;
    }
  }
  return message;
}

static void move_frames(zmq_msg_t *to, zmq_msg_t *from, size_t count) {
  for (size_t i = 0; i < count; i++) {
    (void)zmq_msg_init(&to[i]);
    (void)zmq_msg_move(&to[i], &from[i]);
  }
}

zl__message *zl__message_take(zl_loop *loop, zmq_msg_t *frames, size_t count,
                              uint64_t token) {
  zl__message *message = new_message(loop, count, token);
  if (message) {
    move_frames(message->frames, frames, count);
    message->count = (uint32_t)count;
  }
  return message;
}

void zl__message_give_back(zl_loop *loop, zl__message *message,
                           zmq_msg_t *frames) {
  move_frames(frames, message->frames, message->count);
  zl__message_free(loop, message);
}

void zl__message_release(zl__message *message) {
  for (uint32_t i = 0; i < message->count; i++) {
    (void)zmq_msg_close(&message->frames[i]);
  }
  message->count = 0;
}

void zl__message_free(zl_loop *loop, zl__message *message) {
  size_t capacity = message->capacity;
  zl__message_release(message);
  if (capacity > ZL__SPARE_FRAMES ||
      loop->spares.by_frames[capacity].count >= ZL__SPARE_MESSAGES) {
    zl__free(&loop->memory, message, size_of(capacity));
    return;
  }
  zl__spares *spares = &loop->spares.by_frames[capacity];
  message->next = spares->first;
  spares->first = message;
  spares->count++;
}

void zl__messages_free(zl_loop *loop) {
  for (size_t i = 0; i <= ZL__SPARE_FRAMES; i++) {
    while (loop->spares.by_frames[i].first) {
      zl__message *message = loop->spares.by_frames[i].first;
      loop->spares.by_frames[i].first = message->next;
      zl__free(&loop->memory, message, size_of(message->capacity));
    }
  }
}

size_t zl__bytes_of(zmq_msg_t *frames, size_t count) {
  size_t bytes = 0;
  for (size_t i = 0; i < count; i++) {
    bytes += zmq_msg_size(&frames[i]);
  }
  return bytes;
}
