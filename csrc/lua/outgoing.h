/* outgoing.h - the message on its way from Lua to libzmq.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_OUTGOING_H
#define ZLUA_OUTGOING_H

#include <stdbool.h>
#include <stddef.h>
#include <zmq.h>

#include "compat.h"
#include "send_options.h"

typedef struct zlua_frames {
  zmq_msg_t *frames;
  size_t count;
  size_t capacity;
} zlua_frames;

/* What a socket, and the stream that uses it, is sending. A message may have
 * begun in two places: its first parts are kept here where other code may send
 * before its last one, otherwise libzmq has them. */
typedef struct zlua_outgoing {
  zlua_frames whole; /* of the sends that are being made */
  zlua_frames kept;  /* the first parts of a message */
  bool passed;       /* libzmq has the first parts of a message, not its last */
} zlua_outgoing;

/* Is the message begun whose parts are kept here? */
static inline bool zlua_outgoing_keeps(const zlua_outgoing *it) {
  return it->kept.count > 0;
}

/* [-0, +0] These add the value at index, a part or a list of `count` parts, to
 * `whole` or `kept`. They never raise. They return 0, or an error and add
 * nothing. The first one discards what a send that raised has left. */
int zlua_outgoing_fill(lua_State *L, zlua_outgoing *it, int index, size_t count,
                       const zlua_send_options *options);
int zlua_outgoing_add(lua_State *L, zlua_outgoing *it, int index, size_t count,
                      const zlua_send_options *options);
int zlua_outgoing_keep(lua_State *L, zlua_outgoing *it, int index, size_t count,
                       const zlua_send_options *options);

/* Fills `whole` with copies of the parts that are kept, which share the bytes.
 * Returns 0 or -ENOMEM. */
int zlua_outgoing_complete(zlua_outgoing *it);

/* libzmq has taken a frame that was sent with the flags. */
void zlua_outgoing_pass(zlua_outgoing *it, int flags);

/* Drops all but the first `count` frames of a send, or of the parts kept. */
void zlua_outgoing_cut(zlua_outgoing *it, size_t count);
void zlua_outgoing_cut_kept(zlua_outgoing *it, size_t count);

void zlua_outgoing_close(zlua_outgoing *it);

#endif /* ZLUA_OUTGOING_H */
