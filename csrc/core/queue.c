/* queue.c - messages that wait to be sent, and reports of those that were.
 * SPDX-License-Identifier: MIT
 *
 * One list, in the order of zl_stream_send(): first the messages that have left
 * and whose senders want to know, then those that wait. A message that leaves
 * stays in its place until it is reported, so reports come in order.
 *
 * The loop keeps some short ones for the next, so that one that queues and
 * reports small messages allocates nothing once it has come to its pace.
 */
#include <errno.h>
#include <string.h>

#include "internal.h"

static size_t size_of(size_t frames) {
  return sizeof(zl__message) + frames * sizeof(zmq_msg_t);
}

/* Returns 0 or -ENOMEM. */
int zl__frame_copy(zmq_msg_t *to, const zl_frame *from) {
  if (zmq_msg_init_size(to, from->size) < 0) {
    return -ENOMEM;
  }
  if (from->size > 0) {
    memcpy(zmq_msg_data(to), from->data, from->size);
  }
  return 0;
}

/* Those that are kept for this number of frames, or NULL. */
static zl__spares *spares_of(zl_loop *loop, size_t count) {
  return count <= ZL__SPARE_FRAMES ? &loop->spares[count] : NULL;
}

static zl__message *allocate(zl_loop *loop, size_t count) {
  zl__spares *spares = spares_of(loop, count);
  if (!spares || !spares->first) {
    return zl__alloc(loop, size_of(count));
  }
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
  zl__message *message = allocate(loop, count);
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

/* A message with copies of the frames; none for the report of one that has
 * left already. Returns NULL when out of memory. */
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

/* A message with the frames themselves, of which empty ones are left. Returns
 * NULL when out of memory. */
zl__message *zl__message_take(zl_loop *loop, zmq_msg_t *frames, size_t count,
                              uint64_t token) {
  zl__message *message = new_message(loop, count, token);
  if (message) {
    move_frames(message->frames, frames, count);
    message->count = (uint32_t)count;
  }
  return message;
}

/* Undoes zl__message_take(). */
void zl__message_give_back(zl_loop *loop, zl__message *message,
                           zmq_msg_t *frames) {
  move_frames(frames, message->frames, message->count);
  zl__message_free(loop, message);
}

/* Lets go of the frames. */
void zl__message_release(zl__message *message) {
  for (uint32_t i = 0; i < message->count; i++) {
    (void)zmq_msg_close(&message->frames[i]);
  }
  message->count = 0;
}

void zl__message_free(zl_loop *loop, zl__message *message) {
  zl__spares *spares = spares_of(loop, message->capacity);
  zl__message_release(message);
  if (spares && spares->count < ZL__SPARE_MESSAGES) {
    message->next = spares->first;
    spares->first = message;
    spares->count++;
  } else {
    zl__free(loop, message, size_of(message->capacity));
  }
}

/* At the end of the loop. */
void zl__messages_free(zl_loop *loop) {
  for (size_t i = 0; i <= ZL__SPARE_FRAMES; i++) {
    while (loop->spares[i].first) {
      zl__message *message = loop->spares[i].first;
      loop->spares[i].first = message->next;
      zl__free(loop, message, size_of(message->capacity));
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

void zl__queue_push(zl__queue *queue, zl__message *message, bool unsent) {
  if (queue->tail) {
    queue->tail->next = message;
  } else {
    queue->head = message;
  }
  queue->tail = message;
  if (unsent) {
    message->bytes = zl__bytes_of(message->frames, message->count);
    queue->unsent_count++;
    queue->unsent_bytes += message->bytes;
    if (!queue->unsent) {
      queue->unsent = message;
    }
  }
}

static zl__message *pop(zl__queue *queue) {
  zl__message *message = queue->head;
  queue->head = message->next;
  if (!queue->head) {
    queue->tail = NULL;
  }
  return message;
}

/* The first unsent message has left. */
void zl__queue_sent(zl_loop *loop, zl__queue *queue, int status) {
  zl__message *message = queue->unsent;
  zl__message_release(message);
  message->status = status;
  queue->unsent = message->next;
  queue->unsent_count--;
  queue->unsent_bytes -= message->bytes;
  zl__queue_drop_silent(loop, queue);
}

/* Takes back the unsent message with the token, which is not 0, and frees it.
 * Returns whether there was one. */
bool zl__queue_take_back(zl_loop *loop, zl__queue *queue, uint64_t token) {
  zl__message *previous = NULL;
  bool unsent = false;
  for (zl__message *m = queue->head; m; previous = m, m = m->next) {
    unsent = unsent || m == queue->unsent;
    if (!unsent || m->token != token) {
      continue;
    }
    if (previous) {
      previous->next = m->next;
    } else {
      queue->head = m->next;
    }
    if (queue->unsent == m) {
      queue->unsent = m->next;
    }
    if (queue->tail == m) {
      queue->tail = previous;
    }
    queue->unsent_count--;
    queue->unsent_bytes -= m->bytes;
    zl__message_free(loop, m);
    zl__queue_drop_silent(loop, queue);
    return true;
  }
  return false;
}

/* Frees those at the head that have left and need no report. */
void zl__queue_drop_silent(zl_loop *loop, zl__queue *queue) {
  while (queue->head != queue->unsent && queue->head->token == 0) {
    zl__message_free(loop, pop(queue));
  }
}

/* The oldest message that has left, for the caller to free, or NULL. */
zl__message *zl__queue_pop_report(zl__queue *queue) {
  return queue->head == queue->unsent ? NULL : pop(queue);
}

void zl__queue_free(zl_loop *loop, zl__queue *queue) {
  while (queue->head) {
    zl__message_free(loop, pop(queue));
  }
  *queue = (zl__queue){0};
}

const char *zl__queue_verify(const zl__queue *queue) {
  size_t unsent = 0;
  size_t bytes = 0;
  bool seen = false;
  const zl__message *last = NULL;
  for (const zl__message *m = queue->head; m; m = m->next) {
    seen = seen || m == queue->unsent;
    unsent += seen ? 1 : 0;
    bytes += seen ? m->bytes : 0;
    if (seen != (m->count > 0)) {
      return "a message has frames exactly while it is unsent";
    }
    last = m;
  }
  if (unsent != queue->unsent_count || bytes != queue->unsent_bytes) {
    return "the unsent messages and their bytes are counted";
  }
  return last == queue->tail ? NULL : "the tail is the last message";
}
