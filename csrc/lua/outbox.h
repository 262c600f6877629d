/* outbox.h - frames on their way from Lua to libzmq.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_OUTBOX_H
#define ZLUA_OUTBOX_H

#include <stddef.h>
#include <zmq.h>

#include "compat.h"
#include "send_options.h"

/* Frames to be sent by libzmq. */
typedef struct zlua_outbox {
  zmq_msg_t *frames;
  size_t count;
  size_t capacity;
} zlua_outbox;

int zlua_outbox_fill(lua_State *L, zlua_outbox *outbox, int index, size_t count,
                     const zlua_send_options *options);
int zlua_outbox_append(lua_State *L, zlua_outbox *outbox, int index,
                       size_t count, const zlua_send_options *options);
void zlua_outbox_cut(zlua_outbox *outbox, size_t count);
void zlua_outbox_clear(zlua_outbox *outbox);
void zlua_outbox_close(zlua_outbox *outbox);

#endif /* ZLUA_OUTBOX_H */
