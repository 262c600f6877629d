/* stream_room.c - the limits of a stream's queue.
 * SPDX-License-Identifier: MIT
 */
#include "stream.h"

/* A message larger than the limit may wait alone: otherwise it could never be
 * sent. */
bool zl__stream_has_room(const zl_stream *stream, size_t bytes) {
  const zl__queue *queue = &stream->queue;
  size_t most = stream->most_bytes;
  if (!queue->unsent) {
    return true;
  }
  return (stream->most_messages == 0 ||
          queue->unsent_count < stream->most_messages) &&
         (most == 0 ||
          (queue->unsent_bytes < most && bytes <= most - queue->unsent_bytes));
}

/* At half of each limit: one call for many messages that leave. */
static bool half_empty(const zl_stream *stream) {
  const zl__queue *queue = &stream->queue;
  return (stream->most_messages == 0 ||
          queue->unsent_count <= stream->most_messages / 2) &&
         (stream->most_bytes == 0 ||
          queue->unsent_bytes <= stream->most_bytes / 2);
}

/* Only here, and not whenever somebody looks: a message can be too large for
 * a queue that is half empty, and on_room that sends it again would be called
 * for ever. */
static void note_room(zl_stream *stream) {
  if (stream->room == ZL__ROOM_WANTED && half_empty(stream)) {
    stream->room = ZL__ROOM_AGAIN;
  }
}

void zl__stream_want_room(zl_stream *stream) {
  stream->room = ZL__ROOM_WANTED;
}

void zl__stream_left_queue(zl_stream *stream) {
  stream->emptied = !stream->queue.unsent;
  note_room(stream);
}

void zl_stream_set_limits(zl_stream *stream, size_t messages, size_t bytes) {
  stream->most_messages = messages;
  stream->most_bytes = bytes;
  note_room(stream);
  if (stream->room == ZL__ROOM_AGAIN) {
    zl__socket_dirty(&stream->socket);
  }
}
