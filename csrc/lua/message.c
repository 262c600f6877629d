/* message.c - messages as passed from Lua: strings and Frames, one or a list.
 * SPDX-License-Identifier: MIT
 */
#include "message.h"

#include <zmq.h>

#include "argument.h"
#include "compat.h"
#include "frame.h"
#include "object.h"

static void add_part(zlua_message *message, size_t size) {
  message->bytes += size;
  if (size > message->longest) {
    message->longest = size;
  }
}

/* Adds the value at index to the counts of a message. Returns NULL, or why it
 * cannot be a part. */
static const char *message_count_in(lua_State *L, int index,
                                    zlua_message *message) {
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
  const char *what = message_count_in(L, index, &message);
  if (what) {
    zlua_argument_error(L, method, 1, what);
  }
  return message;
}

/* Does the list at index have anything after its first `count` elements? If it
 * has a hole, its length may stop there. */
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
    const char *what = message_count_in(L, -1, &message);
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
