/* frame.c - class Frame: a libzmq message as a Lua object.
 * SPDX-License-Identifier: MIT
 *
 * The bytes belong to libzmq, in memory of their own or shared with other
 * messages, and become a Lua string only on request. They are never in Lua's
 * memory: libzmq may still need them, in its own threads, after the Lua state
 * is gone.
 *
 * The collector does not see these bytes: to it a frame is a few words. So the
 * bytes that frames hold are counted, and above a threshold the collector is
 * made to work for each byte as if Lua had allocated it. Frames that are closed
 * soon cost nothing. In generational mode such work reaches young frames only,
 * and old ones wait until the heap has doubled; so the bytes count as part of
 * the heap.
 */
#include "frame.h"

#include <errno.h>
#include <string.h>
#include <zmq.h>

#include "argument.h"
#include "compat.h"
#include "object.h"
#include "open.h"
#include "send_options.h"

/* The bytes that the frames of a Lua state hold outside Lua's memory. */
struct zlua_payload {
  size_t held; /* bytes */
  size_t owed; /* bytes the collector has not yet worked for */
  size_t kept; /* upper bound of those held after the last full cycle */
};

const zlua_class zlua_class_frame = {.name = "Frame",
                                     .size = sizeof(zlua_frame)};

/* Registry key of the payload. */
static const char payload_key;

/* Messages up to this size are inside the zmq_msg_t, and so part of the
 * userdata. */
enum { BYTES_INSIDE = 29 };

/* ---- the collector ------------------------------------------------------ */

enum {
  KIB = 1024,
  QUIET_BYTES = 8 << 20, /* held without any work */
  STEP_BYTES = 64 << 10  /* worked for at once */
};

/* 5.1 cannot tell whether the collector was stopped. */
static bool collects(lua_State *L) {
#ifdef LUA_GCISRUNNING
  return lua_gc(L, LUA_GCISRUNNING, 0) != 0;
#else
  (void)L;
  return true;
#endif
}

/* Has the heap, with what frames hold, doubled since the last full cycle? */
static bool has_doubled(const zlua_payload *payload, double heap) {
  double grown = (double)(payload->held - payload->kept);
  return grown > QUIET_BYTES && grown > heap + (double)payload->kept;
}

/* [-0, +0] makes the collector work for this many bytes. */
static void collect(lua_State *L, zlua_payload *payload, size_t bytes) {
  double heap = (double)lua_gc(L, LUA_GCCOUNT, 0) * KIB;
  if (has_doubled(payload, heap)) {
    (void)lua_gc(L, LUA_GCCOLLECT, 0);
    payload->kept = payload->held;
    return;
  }
  /* A heap smaller than QUIET_BYTES gets one full cycle per QUIET_BYTES
   * received; a larger one is collected as if the bytes were part of it. */
  double share = heap < QUIET_BYTES ? heap / QUIET_BYTES : 1;
  zlua_gc_step(L, (int)(share * (double)bytes / KIB) + 1);
}

/* This many bytes are about to become frames. May run finalizers and raise
 * their errors, so call it before anything that must not be lost. */
void zlua_frames_announce(lua_State *L, size_t bytes) {
  zlua_getregistry(L, &payload_key);
  zlua_payload *payload = lua_touserdata(L, -1);
  lua_pop(L, 1);
  if (payload->held < payload->kept) {
    payload->kept = payload->held;
  }
  if (payload->held + bytes < QUIET_BYTES) {
    payload->owed = 0;
    return;
  }
  payload->owed += bytes;
  size_t owed = payload->owed;
  if (owed < STEP_BYTES) {
    return;
  }
  payload->owed = 0;
  if (collects(L)) {
    collect(L, payload, owed);
  }
}

static bool is_outside(size_t size) {
  return size > BYTES_INSIDE;
}

static void frame_count_in(zlua_frame *frame) {
  size_t size = zmq_msg_size(&frame->message);
  frame->payload->held += is_outside(size) ? size : 0;
}

static void count_out(zlua_frame *frame) {
  size_t size = zmq_msg_size(&frame->message);
  frame->payload->held -= is_outside(size) ? size : 0;
}

/* ---- life --------------------------------------------------------------- */

/* [-0, +1] pushes a closed frame. */
zlua_frame *zlua_new_frame(lua_State *L) {
  zlua_frame *frame = zlua_newuserdata(L, sizeof *frame);
  *frame = (zlua_frame){.class = &zlua_class_frame};
  zlua_getregistry(L, &payload_key);
  frame->payload = lua_touserdata(L, -1);
  lua_pop(L, 1);
  zlua_set_metatable(L, &zlua_class_frame);
  return frame;
}

/* Opens a closed frame with the contents of the message, which is left empty.
 * Cannot fail. */
void zlua_frame_take(zlua_frame *frame, zmq_msg_t *message) {
  (void)zmq_msg_init(&frame->message);
  (void)zmq_msg_move(&frame->message, message);
  frame->open = true;
  frame_count_in(frame);
}

/* [-0, +1 or +count] pushes closed frames for the messages, as a list or one by
 * one; the stack must have room. May run finalizers: the caller checks that the
 * messages are still there before it opens the frames. */
void zlua_new_frames(lua_State *L, zmq_msg_t *messages, int count,
                     bool as_list) {
  size_t bytes = 0;
  for (int i = 0; i < count; i++) {
    bytes += zmq_msg_size(&messages[i]);
  }
  zlua_frames_announce(L, bytes);
  if (as_list) {
    lua_createtable(L, count, 0);
  }
  for (int i = 0; i < count; i++) {
    (void)zlua_new_frame(L);
    if (as_list) {
      lua_rawseti(L, -2, i + 1);
    }
  }
}

/* Opens what zlua_new_frames() has pushed, which is on the top, with the
 * contents of the messages. Cannot fail. */
void zlua_open_frames(lua_State *L, zmq_msg_t *messages, int count,
                      bool as_list) {
  int first = lua_gettop(L) - count + 1;
  for (int i = 0; i < count; i++) {
    if (as_list) {
      lua_rawgeti(L, -1, i + 1);
      zlua_frame_take(lua_touserdata(L, -1), &messages[i]);
      lua_pop(L, 1);
    } else {
      zlua_frame_take(lua_touserdata(L, first + i), &messages[i]);
    }
  }
}

/* The frame at index if it is one and open, else NULL. */
zlua_frame *zlua_test_frame(lua_State *L, int index) {
  zlua_frame *frame = zlua_test_object(L, index, &zlua_class_frame);
  return frame && frame->open ? frame : NULL;
}

static zlua_frame *frame_check_self(lua_State *L, const char *method) {
  zlua_frame *frame = zlua_check_self(L, &zlua_class_frame, method);
  if (!frame->open) {
    zlua_error(L, "frame is closed");
  }
  return frame;
}

static int frame_close(lua_State *L) {
  zlua_frame *frame = zlua_check_self(L, &zlua_class_frame, "close");
  if (frame->open) {
    frame->open = false;
    count_out(frame);
    (void)zmq_msg_close(&frame->message);
  }
  return 0;
}

static int frame_gc(lua_State *L) {
  return zlua_test_object(L, 1, &zlua_class_frame) ? frame_close(L) : 0;
}

/* new_frame(data) -> frame | nil, message, name */
static int new_frame(lua_State *L) {
  size_t size;
  zmq_msg_t message;
  if (lua_type(L, 1) != LUA_TSTRING) {
    return zlua_type_error(L, "Frame", 1, 1, "string");
  }
  const char *data = lua_tolstring(L, 1, &size);
  zlua_frames_announce(L, size);
  zlua_frame *frame = zlua_new_frame(L);
  if (zmq_msg_init_size(&message, size) < 0) {
    return zlua_fail(L, -ENOMEM);
  }
  memcpy(zmq_msg_data(&message), data, size);
  zlua_frame_take(frame, &message);
  return 1;
}

/* ---- contents ----------------------------------------------------------- */

static int frame_push_bytes(lua_State *L, zlua_frame *frame) {
  lua_pushlstring(L, zmq_msg_data(&frame->message),
                  zmq_msg_size(&frame->message));
  return 1;
}

static int frame_data(lua_State *L) {
  return frame_push_bytes(L, frame_check_self(L, "data"));
}

static int frame_tostring(lua_State *L) {
  return frame_push_bytes(L, frame_check_self(L, "tostring"));
}

static int frame_length(lua_State *L) {
  zlua_frame *frame = frame_check_self(L, "#");
  zlua_pushint64(L, (int64_t)zmq_msg_size(&frame->message));
  return 1;
}

/* The place of the first byte, by the rules of string.sub(). */
static int64_t first_place(int64_t i, int64_t size) {
  if (i < -size || i == 0) {
    return 1;
  }
  return i > 0 ? i : size + i + 1;
}

/* Of the last one. */
static int64_t last_place(int64_t j, int64_t size) {
  if (j < -size) {
    return 0;
  }
  int64_t place = j >= 0 ? j : size + j + 1;
  return place < size ? place : size;
}

/* sub(i [, j]) */
static int frame_sub(lua_State *L) {
  zlua_frame *frame = frame_check_self(L, "sub");
  int64_t size = (int64_t)zmq_msg_size(&frame->message);
  int64_t i = zlua_check_integer(L, "sub", 1, 2, INT64_MIN, INT64_MAX);
  int64_t j = -1;
  if (!lua_isnoneornil(L, 3)) {
    j = zlua_check_integer(L, "sub", 2, 3, INT64_MIN, INT64_MAX);
  }
  int64_t first = first_place(i, size);
  int64_t last = last_place(j, size);
  if (first > last) {
    lua_pushliteral(L, "");
  } else {
    const char *data = zmq_msg_data(&frame->message);
    lua_pushlstring(L, data + first - 1, (size_t)(last - first + 1));
  }
  return 1;
}

static int frame_pointer(lua_State *L) {
  lua_pushlightuserdata(L,
                        zmq_msg_data(&frame_check_self(L, "pointer")->message));
  return 1;
}

/* ---- properties --------------------------------------------------------- */

static int frame_more(lua_State *L) {
  zlua_frame *frame = frame_check_self(L, "more");
  lua_pushboolean(L, zmq_msg_more(&frame->message));
  return 1;
}

/* get(name | constant) -> string or integer | nil when the frame has none */
static int frame_get(lua_State *L) {
  zlua_frame *frame = frame_check_self(L, "get");
  if (lua_type(L, 2) == LUA_TNUMBER) {
    int property = (int)zlua_check_integer(L, "get", 1, 2, 0, INT32_MAX);
    int value = zmq_msg_get(&frame->message, property);
    if (value < 0) {
      lua_pushnil(L);
    } else {
      lua_pushinteger(L, value);
    }
    return 1;
  }
  if (lua_type(L, 2) != LUA_TSTRING) {
    return zlua_type_error(L, "get", 1, 2, "string or integer");
  }
  lua_pushstring(L, zmq_msg_gets(&frame->message, lua_tostring(L, 2)));
  return 1;
}

#ifdef ZMQ_BUILD_DRAFT_API

int zlua_set_routing_id(zmq_msg_t *message, uint32_t routing_id) {
  return zmq_msg_set_routing_id(message, routing_id) < 0 ? -zmq_errno() : 0;
}

int zlua_set_group(zmq_msg_t *message, const char *group) {
  return zmq_msg_set_group(message, group) < 0 ? -zmq_errno() : 0;
}

void zlua_copy_address(zmq_msg_t *to, zmq_msg_t *from) {
  if (zmq_msg_routing_id(from) != 0) {
    (void)zmq_msg_set_routing_id(to, zmq_msg_routing_id(from));
  }
  if (*zmq_msg_group(from)) {
    (void)zmq_msg_set_group(to, zmq_msg_group(from));
  }
}

static int push_routing_id(lua_State *L, zmq_msg_t *message) {
  uint32_t routing_id = zmq_msg_routing_id(message);
  if (routing_id == 0) {
    lua_pushnil(L);
  } else {
    lua_pushnumber(L, routing_id);
  }
  return 1;
}

static int push_group(lua_State *L, zmq_msg_t *message) {
  lua_pushstring(L, zmq_msg_group(message));
  return 1;
}

#else

/* This libzmq has no sockets that use them either. */
int zlua_set_routing_id(zmq_msg_t *message, uint32_t routing_id) {
  (void)message;
  (void)routing_id;
  return -ENOTSUP;
}

int zlua_set_group(zmq_msg_t *message, const char *group) {
  (void)message;
  (void)group;
  return -ENOTSUP;
}

void zlua_copy_address(zmq_msg_t *to, zmq_msg_t *from) {
  (void)to;
  (void)from;
}

static int push_routing_id(lua_State *L, zmq_msg_t *message) {
  (void)message;
  return zlua_fail_send(L, -ENOTSUP, &(zlua_send_options){.group = ""});
}

static int push_group(lua_State *L, zmq_msg_t *message) {
  return push_routing_id(L, message);
}

#endif

/* [-0, +n] what a setter with these options returns */
static int push_outcome(lua_State *L, int rc,
                        const zlua_send_options *options) {
  if (rc < 0) {
    return zlua_fail_send(L, rc, options);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* routing_id([number]) */
static int frame_routing_id(lua_State *L) {
  zlua_frame *frame = frame_check_self(L, "routing_id");
  if (lua_isnoneornil(L, 2)) {
    return push_routing_id(L, &frame->message);
  }
  uint32_t id = zlua_check_routing_id(L, "routing_id", 1, 2);
  int rc = zlua_set_routing_id(&frame->message, id);
  return push_outcome(L, rc, &(zlua_send_options){.routing_id = id});
}

/* group([string]) */
static int frame_group(lua_State *L) {
  zlua_frame *frame = frame_check_self(L, "group");
  if (lua_isnoneornil(L, 2)) {
    return push_group(L, &frame->message);
  }
  const char *group = zlua_check_group(L, "group", 1, 2);
  int rc = zlua_set_group(&frame->message, group);
  return push_outcome(L, rc, &(zlua_send_options){.group = group});
}

static int frame_closed(lua_State *L) {
  const zlua_frame *frame = zlua_check_self(L, &zlua_class_frame, "closed");
  lua_pushboolean(L, !frame->open);
  return 1;
}

/* ---- opening ------------------------------------------------------------ */

static const luaL_Reg methods[] = {
    {"data", frame_data},       {"sub", frame_sub},
    {"pointer", frame_pointer}, {"more", frame_more},
    {"get", frame_get},         {"routing_id", frame_routing_id},
    {"group", frame_group},     {"close", frame_close},
    {"closed", frame_closed},   {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", frame_gc},
    {"__close", frame_gc},
    {"__len", frame_length},
    {"__tostring", frame_tostring},
    {NULL, NULL},
};

/* [-0, +0] module table on the top. */
void zlua_open_frame(lua_State *L) {
  zlua_payload *payload = lua_newuserdata(L, sizeof *payload);
  *payload = (zlua_payload){0};
  zlua_setregistry(L, &payload_key);
  zlua_new_class(L, &zlua_class_frame, methods, metamethods);
  lua_setfield(L, -2, "Frame");
  lua_pushcfunction(L, new_frame);
  lua_setfield(L, -2, "new_frame");
}
