/* queue.h - messages waiting to be sent, and reports of sent ones.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZL_QUEUE_H
#define ZL_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "message.h"

/* First in, first out. Messages before `unsent` have left and wait to be
 * reported; `unsent` and those after it wait to be sent. */
typedef struct zl__queue {
  zl__message *head;
  zl__message *tail;
  zl__message *unsent;
  size_t unsent_count;
  size_t unsent_bytes;
} zl__queue;

void zl__queue_push(zl__queue *queue, zl__message *message, bool unsent);

/* The first unsent message has left. */
void zl__queue_sent(zl_loop *loop, zl__queue *queue, int status);

/* Removes and frees the unsent message with the token, which is not 0. Returns
 * whether there was one. */
bool zl__queue_take_back(zl_loop *loop, zl__queue *queue, uint64_t token);

/* Frees messages at the head that have left and need no report. */
void zl__queue_drop_silent(zl_loop *loop, zl__queue *queue);

/* The oldest message that has left, for the caller to free, or NULL. */
zl__message *zl__queue_pop_report(zl__queue *queue);

void zl__queue_free(zl_loop *loop, zl__queue *queue);

/* What is wrong, or NULL. */
const char *zl__queue_verify(const zl__queue *queue);

#endif /* ZL_QUEUE_H */
