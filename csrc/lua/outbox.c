/* outbox.c - messages on their way from Lua to libzmq.
 * SPDX-License-Identifier: MIT
 *
 * Strings are copied into memory of libzmq's, frames share theirs. A send may
 * raise half-way, when a signal's handler wants it; what it leaves behind here
 * the next zlua_outbox_fill() throws away.
 */
#include "outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

#include "argument.h"
#include "compat.h"
#include "frame.h"
#include "message.h"
#include "object.h"
#include "send_options.h"
#include "tracker.h"

/* ---- arguments ---------------------------------------------------------- */

static void add_part(zlua_message *message, size_t size) {
  message->bytes += size;
  if (size > message->longest) {
    message->longest = size;
  }
}

/* Counts in the value at index as a part of a message. Returns NULL, or why it
 * cannot be one. */
static const char *count_in(lua_State *L, int index, zlua_message *message) {
  if (lua_type(L, index) == LUA_TSTRING) {
    add_part(message, zlua_rawlen(L, index));
    return NULL;
  }
  zlua_frame *frame = zlua_test_frame(L, index);
  if (frame) {
    message->has_frames = true;
    add_part(message, zmq_msg_size(&frame->message));
    return NULL;
  }
  return zlua_test_object(L, index, &zlua_class_frame)
             ? "frame is closed"
             : lua_pushfstring(L, "string or Frame expected, got %s",
                               lua_isnone(L, index) ? "nil"
                                                    : luaL_typename(L, index));
}

/* A message of the one part at index. */
zlua_message zlua_check_part(lua_State *L, const char *method, int index) {
  zlua_message message = {.count = 1};
  const char *what = count_in(L, index, &message);
  if (what) {
    zlua_argument_error(L, method, 1, what);
  }
  return message;
}

/* Does the list at index have anything after its first `count` elements? If it
 * has a hole, its length may end there. */
bool zlua_has_hole(lua_State *L, int index, size_t count) {
  index = zlua_absindex(L, index);
  if (count == 0) {
    lua_pushnil(L);
  } else {
    lua_pushinteger(L, (lua_Integer)count); /* lua_next() starts after it */
  }
  while (lua_next(L, index)) {
    bool is_behind = lua_type(L, -2) == LUA_TNUMBER &&
                     lua_tonumber(L, -2) > (lua_Number)count;
    lua_pop(L, is_behind ? 2 : 1);
    if (is_behind) {
      return true;
    }
  }
  return false;
}

static void frame_error(lua_State *L, const char *method, size_t i,
                        const char *what) {
  zlua_error(L, "bad argument #1 to '%s' (frame %d: %s)", method, (int)i, what);
}

/* A message of the list at index, all of whose parts are checked. */
zlua_message zlua_check_message(lua_State *L, const char *method, int index) {
  zlua_message message = {0};
  if (!lua_istable(L, index)) {
    zlua_type_error(L, method, 1, index, "list of strings or Frames");
  }
  message.count = zlua_rawlen(L, index);
  for (size_t i = 1; i <= message.count; i++) {
    lua_rawgeti(L, index, (int)i);
    const char *what = count_in(L, -1, &message);
    if (what) {
      frame_error(L, method, i, what);
    }
    lua_pop(L, 1);
  }
  if (zlua_has_hole(L, index, message.count)) {
    frame_error(L, method, message.count + 1,
                "string or Frame expected, got nil");
  }
  if (message.count == 0) {
    zlua_argument_error(L, method, 1, "a message has at least one frame");
  }
  return message;
}

uint32_t zlua_check_routing_id(lua_State *L, const char *method, int argument,
                               int index) {
  return (uint32_t)zlua_check_integer(L, method, argument, index, 1,
                                      UINT32_MAX);
}

const char *zlua_check_group(lua_State *L, const char *method, int argument,
                             int index) {
  size_t length;
  if (lua_type(L, index) != LUA_TSTRING) {
    zlua_type_error(L, method, argument, index, "group as a string");
  }
  const char *group = lua_tolstring(L, index, &length);
  if (strlen(group) != length) {
    zlua_argument_error(L, method, argument, "a group has no zeros");
  }
  return group;
}

int zlua_check_flags(lua_State *L, const char *method, int argument,
                     int index) {
  if (lua_isnil(L, index)) {
    return 0;
  }
  int all = ZMQ_DONTWAIT | ZMQ_SNDMORE;
  lua_Number number =
      lua_type(L, index) == LUA_TNUMBER ? lua_tonumber(L, index) : -1;
  if (number >= 0 && number <= all && number == (int)number) {
    return (int)number;
  }
  return (int)zlua_check_integer(L, method, argument, index, 0, all);
}

/* A flag, true if nil: may the frames be strings? */
bool zlua_check_copy(lua_State *L, const char *method, int argument,
                     int index) {
  if (lua_isnoneornil(L, index)) {
    return true;
  }
  if (!lua_isboolean(L, index)) {
    zlua_type_error(L, method, argument, index, "boolean");
  }
  return lua_toboolean(L, index);
}

/* [-0, +1] reads the table of options at index, whose names have been checked.
 * The group stays on the stack. */
void zlua_read_send_options(lua_State *L, const char *method, int argument,
                            int index, zlua_send_options *options) {
  lua_getfield(L, index, "flags");
  options->flags = zlua_check_flags(L, method, argument, -1);
  lua_getfield(L, index, "track");
  options->track = lua_toboolean(L, -1);
  lua_getfield(L, index, "routing_id");
  if (!lua_isnil(L, -1)) {
    options->routing_id = zlua_check_routing_id(L, method, argument, -1);
  }
  lua_pop(L, 3);
  lua_getfield(L, index, "group");
  if (!lua_isnil(L, -1)) {
    options->group = zlua_check_group(L, method, argument, -1);
  }
}

/* Does a message with these options need to be one of libzmq's? */
bool zlua_needs_message(const zlua_send_options *options) {
  return options->track || options->routing_id != 0 || options->group;
}

/* [-0, +3] a send that has failed */
int zlua_fail_send(lua_State *L, int rc, const zlua_send_options *options) {
  bool addressed = options->routing_id != 0 || options->group;
  if (rc == -ENOTSUP && addressed && !zlua_has_drafts) {
    return zlua_fail_at(L, rc, "libzmq was built without drafts");
  }
  return zlua_fail(L, rc);
}

/* ---- filling ------------------------------------------------------------ */

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

/* The message for the part at the top of the stack: it was checked, but a
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

/* The same for an outbox that is to hold nothing else. */
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
