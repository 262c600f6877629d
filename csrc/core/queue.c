/* queue.c - messages waiting to be sent, and reports of sent ones.
 * SPDX-License-Identifier: MIT
 *
 * One list, in the order of zl_stream_send(): first the messages that have left
 * and are to be reported, then those that wait to be sent. A message that
 * leaves stays in its place until it is reported, so reports come in order.
 */
#include "queue.h"

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

static zl__message *queue_pop(zl__queue *queue) {
  zl__message *message = queue->head;
  queue->head = message->next;
  if (!queue->head) {
    queue->tail = NULL;
  }
  return message;
}

void zl__queue_sent(zl_loop *loop, zl__queue *queue, int status) {
  zl__message *message = queue->unsent;
  zl__message_release(message);
  message->status = status;
  queue->unsent = message->next;
  queue->unsent_count--;
  queue->unsent_bytes -= message->bytes;
  zl__queue_drop_silent(loop, queue);
}

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

void zl__queue_drop_silent(zl_loop *loop, zl__queue *queue) {
  while (queue->head != queue->unsent && queue->head->token == 0) {
    zl__message_free(loop, queue_pop(queue));
  }
}

zl__message *zl__queue_pop_report(zl__queue *queue) {
  return queue->head == queue->unsent ? NULL : queue_pop(queue);
}

void zl__queue_free(zl_loop *loop, zl__queue *queue) {
  while (queue->head) {
    zl__message_free(loop, queue_pop(queue));
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
