/* outbox.c - messages on their way from Lua to libzmq.
 * SPDX-License-Identifier: MIT
 *
 * Strings are copied into libzmq's memory, frames share theirs. A send may
 * raise half-way, because of a signal handler; the next zlua_outbox_fill()
 * discards what is left here.
 */
#include "outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "compat.h"
#include "frame.h"
#include "send_options.h"
#include "tracker.h"

static int reserve(zlua_outbox *outbox, size_t count) {
  if (count <= outbox->capacity) {
    return 0;
  }
  if (count > SIZE_MAX / sizeof *outbox->frames) {
    return -ENOMEM;
  }
  zmq_msg_t *frames = realloc(outbox->frames, count * sizeof *frames);
  if (!frames) {
    return -ENOMEM;
  }
  outbox->frames = frames;
  outbox->capacity = count;
  return 0;
}

/* The message for the part at the top of the stack, which was checked, but a
 * finalizer may have closed or replaced it since. */
static int init_message(lua_State *L, zmq_msg_t *message) {
  zlua_frame *frame = zlua_test_frame(L, -1);
  if (frame) {
    (void)zmq_msg_init(message);
    return zmq_msg_copy(message, &frame->message) < 0 ? -ENOMEM : 0;
  }
  if (lua_type(L, -1) != LUA_TSTRING) {
    return -EINVAL;
  }
  size_t size;
  const char *data = lua_tolstring(L, -1, &size);
  if (zmq_msg_init_size(message, size) < 0) {
    return -ENOMEM;
  }
  memcpy(zmq_msg_data(message), data, size);
  return 0;
}

static int apply_options(zmq_msg_t *message, const zlua_send_options *options) {
  int rc = 0;
  if (options->routing_id != 0) {
    rc = zlua_set_routing_id(message, options->routing_id);
  }
  if (rc == 0 && options->group) {
    rc = zlua_set_group(message, options->group);
  }
  if (rc == 0 && options->tracking) {
    rc = zlua_tracking_wrap(options->tracking, message);
  }
  return rc;
}

/* Adds the part at the top of the stack. */
static int add(lua_State *L, zlua_outbox *outbox,
               const zlua_send_options *options) {
  zmq_msg_t *message = &outbox->frames[outbox->count];
  int rc = init_message(L, message);
  if (rc == 0) {
    outbox->count++;
    rc = apply_options(message, options);
  }
  return rc;
}

/* [-0, +0] adds the value at index: a part, or a list of `count` parts. Never
 * raises. Returns 0, or an error and adds nothing. */
int zlua_outbox_append(lua_State *L, zlua_outbox *outbox, int index,
                       size_t count, const zlua_send_options *options) {
  bool is_list = lua_istable(L, index);
  size_t before = outbox->count;
  int rc =
      count > SIZE_MAX - before ? -ENOMEM : reserve(outbox, before + count);
  for (size_t i = 1; i <= count && rc == 0; i++) {
    if (is_list) {
      lua_rawgeti(L, index, (int)i);
    } else {
      lua_pushvalue(L, index);
    }
    rc = add(L, outbox, options);
    lua_pop(L, 1);
  }
  if (rc < 0) {
    zlua_outbox_cut(outbox, before);
  }
  return rc;
}

/* The same, but discards the former contents first. */
int zlua_outbox_fill(lua_State *L, zlua_outbox *outbox, int index, size_t count,
                     const zlua_send_options *options) {
  zlua_outbox_clear(outbox);
  return zlua_outbox_append(L, outbox, index, count, options);
}

/* Drops all but the first `count` frames. */
void zlua_outbox_cut(zlua_outbox *outbox, size_t count) {
  while (outbox->count > count) {
    (void)zmq_msg_close(&outbox->frames[--outbox->count]);
  }
}

void zlua_outbox_clear(zlua_outbox *outbox) {
  zlua_outbox_cut(outbox, 0);
}

void zlua_outbox_close(zlua_outbox *outbox) {
  zlua_outbox_clear(outbox);
  free(outbox->frames);
  *outbox = (zlua_outbox){0};
}
