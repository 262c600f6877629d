/* stream_recv.c - class ZMQStream: receiving.
 * SPDX-License-Identifier: MIT
 *
 * One protected call per turn, not per message: it takes messages from the core
 * and calls the user's function until the turn is over. A message is accepted
 * once it has become Lua values, so an earlier error loses nothing; an error or
 * a yield of the user's function ends the protected call, and another one
 * continues with the next message. While as many calls as the user allows have
 * yielded, the stream receives nothing.
 */
#include "stream_recv.h"

#include <errno.h>
#include <zmq.h>

#include "argument.h"
#include "call.h"
#include "compat.h"
#include "constants.h"
#include "entry.h"
#include "frame.h"
#include "hook.h"
#include "loop.h"
#include "object.h"
#include "open.h"
#include "report.h"
#include "send_options.h"
#include "slot.h"
#include "stream.h"
#include "zmqloop.h"
#include "zmqloop_batch.h"

/* [-0, +1 or +count] pushes the strings, as a list or one by one. */
static void recv_push_strings(lua_State *L, zmq_msg_t *frames, int count,
                              bool as_list) {
  if (as_list) {
    lua_createtable(L, count, 0);
  }
  for (int i = 0; i < count; i++) {
    lua_pushlstring(L, zmq_msg_data(&frames[i]), zmq_msg_size(&frames[i]));
    if (as_list) {
      lua_rawseti(L, -2, i + 1);
    }
  }
}

/* The message has become Lua values. Returns false if a finalizer that ran
 * meanwhile has closed the stream. Large messages free their memory now, before
 * the user's function is called. */
static inline bool recv_accept_message(const zlua_stream *stream) {
  if (!stream->core) {
    return false;
  }
  zl_stream_accept(stream->core);
  return true;
}

/* [-0, +n] pushes the arguments of the user's function. Returns how many. */
static int push_message(lua_State *L, const zlua_stream *stream,
                        const zl_incoming *message) {
  bool as_list = !stream->unpack;
  if (stream->copy) {
    recv_push_strings(L, message->frames, message->count, as_list);
  } else {
    zlua_new_frames(L, message->frames, message->count, as_list);
    if (stream->core) {
      zlua_open_frames(L, message->frames, message->count, as_list);
    }
  }
  return as_list ? 1 : message->count;
}

/* With fewer frames, a stack too small for them means that memory is short. */
enum { MANY_FRAMES = 1000 };

/* There is always room for this many. */
enum { FEW_ARGUMENTS = LUA_MINSTACK - 10 };

/* Makes room for the frames as arguments. A message that no stack can ever hold
 * is dropped: it would block the others for ever. */
static void make_room(lua_State *L, zlua_turn *it, int count) {
  if (lua_checkstack(L, count + LUA_MINSTACK)) {
    return;
  }
  if (count > MANY_FRAMES) {
    zl_stream_accept(it->stream->core);
  }
  zlua_error(L, "a message of %d frames is too long to unpack", count);
}

/* Stack indices of a turn. */
enum {
  TURN_ACTIVE = 1,
  TURN_STATE,
  TURN_HANDLE,
  TURN_LOOP,
  TURN_STREAM, /* kept here */
  TURN_USERVALUE,
  TURN_CALLBACK /* the user's function */
};

/* More than the frame of any Lua function has. */
enum { LARGEST_FRAME = 256 };

/* [-0, +0] makes room for the call of the user's function while the message is
 * still with the core: stack, and from 5.2 on Lua's record of a call, which
 * exists once any call was made. */
void zlua_stream_make_room(lua_State *L) {
  zlua_make_room(L, LARGEST_FRAME + LUA_MINSTACK);
#if LUA_VERSION_NUM >= 502
  zlua_let_hooks_run(L); /* calls a function that does nothing */
#endif
}

/* [-0, +0 or +3] Returns false if a finalizer or hook, which making room may
 * run, has closed the stream: so this comes before a message is looked at. */
ZLUA_RARE bool begin_turn(lua_State *L, zlua_turn *it) {
  zlua_stream_make_room(L);
  if (!it->stream->core) {
    return false;
  }
  (void)zlua_stream_push(L, it->stream, TURN_ACTIVE);
  zlua_getuservalue(L, TURN_STREAM);
  lua_pushnil(L);
  it->begun = true;
  return true;
}

/* Has the user's function been looked up, and not changed since? */
static inline bool is_current(const zlua_turn *it, const zlua_stream *stream) {
  return ZLUA_KEEPS_STACK && it->changes == stream->handle.loop->changes;
}

/* [-0, +0] looks the user's function up. */
ZLUA_RARE void look_up_callback(lua_State *L, zlua_turn *it) {
  it->changes = it->stream->handle.loop->changes;
  lua_rawgeti(L, TURN_USERVALUE, STREAM_ON_RECV);
  lua_replace(L, TURN_CALLBACK);
  zlua_calling(L, TURN_STATE, TURN_CALLBACK);
}

/* [-0, +n] */
static int push_arguments(lua_State *L, zlua_turn *it) {
  zlua_stream *stream = it->stream;
  int before = 0;
  if (stream->with_stream) {
    lua_pushvalue(L, TURN_STREAM);
    before = 1;
  }
  if (stream->unpack && it->message.count > FEW_ARGUMENTS) {
    make_room(L, it, it->message.count);
  }
  return before + push_message(L, stream, &it->message);
}

/* [-0, +n] the call with the message that is shown, in any form. */
ZLUA_RARE int call_with_message(lua_State *L, zlua_turn *it) {
  zlua_stream *stream = it->stream;
  if (!is_current(it, stream)) {
    look_up_callback(L, it);
  }
  lua_pushvalue(L, TURN_CALLBACK);
  int arguments = push_arguments(L, it);
  return recv_accept_message(stream) ? 1 + arguments : 0;
}

/* [-0, +n] the same for a message of one frame, in the usual form. */
static inline int call_with_frame(lua_State *L, zlua_turn *it,
                                  zlua_stream *stream) {
  if (!is_current(it, stream)) {
    look_up_callback(L, it);
  }
  lua_pushvalue(L, TURN_CALLBACK);
  if (stream->unpack) {
    lua_pushlstring(L, it->message.data, it->message.size);
  } else {
    lua_createtable(L, 1, 0);
    lua_pushlstring(L, it->message.data, it->message.size);
    lua_rawseti(L, -2, 1);
  }
  return recv_accept_message(stream) ? 2 : 0;
}

/* (active, state, turn, loop): the next message until the turn is over. */
int zlua_call_recv(lua_State *L, void *handle) {
  zlua_turn *it = handle;
  zlua_stream *stream = it->stream;
  if (!stream->core ||
      ((!ZLUA_KEEPS_STACK || !it->begun) && !begin_turn(L, it))) {
    return 0;
  }
  int count = zl_stream_next(stream->core, &it->message);
  if (count == 1 && stream->usual) {
    return call_with_frame(L, it, stream);
  }
  if (count < 0) {
    it->failed = true;
    return zlua_raise(L, count);
  }
  return count == 0 ? 0 : call_with_message(L, it);
}

/* May the turn continue with another call? A message that has not become Lua
 * values is left to the next turn. */
static bool goes_on(const zlua_turn *it) {
  const zlua_stream *stream = it->stream;
  return !it->failed && stream->core && !stream->handle.loop->failed &&
         !zl_stream_shows(stream->core) && zlua_stream_has_hands_free(stream);
}

static void on_recv(zl_stream *core, void *arg) {
  zlua_stream *stream = arg;
  zlua_loop *loop = stream->handle.loop;
  zlua_turn it = {.stream = stream};
  (void)core;
  (void)zlua_stream_hold(stream);
  do {
    it.begun = false;
    it.changes = loop->changes - 1; /* not current */
  } while (!zlua_call(loop, ZLUA_SLOT_CALL_RECV, &it) && goes_on(&it));
  lua_pop(loop->L, 1);
}

/* ---- who receives -------------------------------------------------------- */

/* [-0, +0] the stream is at index. */
static void update_receiving(lua_State *L, zlua_stream *stream, int index) {
  zl_stream_on_recv(stream->core,
                    zlua_stream_has_hands_free(stream) ? on_recv : NULL,
                    stream);
  zlua_stream_set_kept(L, stream, index, zlua_stream_is_active(stream));
}

/* [-0, +1] pushes the stream of the turn: the call of its function yields. */
static int stream_suspend(lua_State *L, const void *handle) {
  zlua_stream *stream = ((const zlua_turn *)handle)->stream;
  const zlua_loop *loop = stream->handle.loop;
  if (!stream->core) {
    return 0;
  }
  lua_pushvalue(loop->L, loop->slots + ZLUA_SLOT_ACTIVE);
  lua_xmove(loop->L, L, 1);
  (void)zlua_stream_push(L, stream, lua_gettop(L));
  stream->suspended++;
  update_receiving(L, stream, -1);
  return 1;
}

/* [-0, +0] such a call of the stream at 1 has ended. */
static void resume_stream(lua_State *L) {
  zlua_stream *stream = zlua_check_self(L, &zlua_class_stream, "resume_call");
  if (stream->core && stream->suspended > 0) {
    stream->suspended--;
    update_receiving(L, stream, 1);
  }
}

/* How the user's function is called. */
typedef struct recv_options {
  bool copy;
  bool unpack;
  int concurrency;
} recv_options;

/* The options of on_recv: a flag, copy, or a table {copy=, unpack=,
 * concurrency=}. */
static recv_options check_recv_options(lua_State *L, const char *method,
                                       int index) {
  static const char *const names[] = {"concurrency", "copy", "unpack", NULL};
  recv_options options = {.concurrency = 1};
  if (!lua_istable(L, index)) {
    options.copy = zlua_check_copy(L, method, 2, index);
    return options;
  }
  zlua_check_options(L, method, 2, index, names);
  lua_getfield(L, index, "copy");
  options.copy = zlua_check_copy(L, method, 2, -1);
  lua_getfield(L, index, "unpack");
  options.unpack = lua_toboolean(L, -1);
  lua_getfield(L, index, "concurrency");
  if (!lua_isnil(L, -1)) {
    options.concurrency =
        (int)zlua_check_integer(L, method, 2, -1, 1, INT32_MAX);
  }
  return options;
}

/* [-0, +0] warns once if the socket only sends. In PyZMQ that is not an
 * error. */
static void look_for_receiver(lua_State *L, zlua_stream *stream,
                              const char *method) {
  int type = stream->socket ? stream->socket->type : ZMQ_PAIR;
  if ((type == ZMQ_PUSH || type == ZMQ_PUB) && !stream->told_deaf) {
    stream->told_deaf = true;
    zlua_warn(L, "%s: a %s only sends; a %s receives what it has sent", method,
              zlua_type_name(type), type == ZMQ_PUSH ? "PULL" : "SUB");
  }
}

static int set_on_recv(lua_State *L, const char *method, bool with_stream) {
  zlua_stream *stream = zlua_stream_check(L, method);
  zlua_check_given(L, method);
  lua_settop(L, 3);
  zlua_stream_check_callback(L, method);
  if (!lua_isnil(L, 2)) {
    look_for_receiver(L, stream, method);
  }
  recv_options options = check_recv_options(L, method, 3);
  zlua_stream_set_field(L, STREAM_ON_RECV, 2);
  stream->has_recv = !lua_isnil(L, 2);
  stream->paused = false;
  stream->with_stream = with_stream;
  stream->copy = options.copy;
  stream->usual = options.copy && !with_stream;
  stream->unpack = options.unpack;
  stream->concurrency = options.concurrency;
  stream->handle.loop->changes++;
  update_receiving(L, stream, 1);
  return 0;
}

static int stream_on_recv(lua_State *L) {
  return set_on_recv(L, "on_recv", false);
}

static int stream_on_recv_stream(lua_State *L) {
  return set_on_recv(L, "on_recv_stream", true);
}

static int stream_stop_on_recv(lua_State *L) {
  lua_settop(L, 1);
  lua_pushnil(L);
  return set_on_recv(L, "stop_on_recv", false);
}

/* stream_receiver(stream) -> the callback of on_recv(), or nil */
static int stream_receiver(lua_State *L) {
  (void)zlua_stream_check(L, "recv");
  zlua_getuservalue(L, 1);
  lua_rawgeti(L, -1, STREAM_ON_RECV);
  return 1;
}

/* pause() and resume() keep the callback, unlike on_recv(nil). */
static int set_paused(lua_State *L, const char *method, bool paused) {
  zlua_stream *stream = zlua_stream_check(L, method);
  lua_settop(L, 1);
  stream->paused = paused;
  update_receiving(L, stream, 1);
  return 0;
}

/* deliver_stream(stream, fn or nil): as on_recv_stream(), but a paused stream
 * stays paused. */
static int deliver_stream(lua_State *L) {
  bool paused = zlua_stream_check(L, "recv")->paused;
  lua_settop(L, 2);
  (void)set_on_recv(L, "recv", true);
  return set_paused(L, "recv", paused);
}

static int stream_pause(lua_State *L) {
  return set_paused(L, "pause", true);
}

static int stream_resume(lua_State *L) {
  return set_paused(L, "resume", false);
}

/* flush([events [, limit]]) -> how many messages were handled */
static int stream_flush(lua_State *L) {
  zlua_stream *stream = zlua_stream_check(L, "flush");
  int events = ZL_READ | ZL_WRITE;
  int limit = -1;
  zlua_entry before;
  if (lua_type(L, 2) == LUA_TNUMBER) {
    /* zmq.POLLIN is READ; PyZMQ's users pass zmq.POLLOUT, which is 2. */
    int64_t mask = zlua_check_integer(L, "flush", 1, 2, 0, 7);
    events = (mask & ZL_READ ? ZL_READ : 0) |
             (mask & (ZL_WRITE | ZMQ_POLLOUT) ? ZL_WRITE : 0);
  } else if (!lua_isnoneornil(L, 2)) {
    events = zlua_check_events(L, "flush", 1, 2);
  }
  if (!lua_isnoneornil(L, 3)) {
    limit = (int)zlua_check_integer(L, "flush", 2, 3, 0, INT32_MAX);
  }
  /* What pause() and yielded calls hold back must not be discarded. */
  if (stream->has_recv && !zlua_stream_has_hands_free(stream)) {
    events &= ~ZL_READ;
  }
  lua_settop(L, 1);
  zlua_loop *loop = stream->handle.loop;
  zlua_check_depth(L, loop);
  zlua_getuservalue(L, 1);
  lua_rawgeti(L, -1, STREAM_LOOP);
  zlua_enter(L, loop, lua_gettop(L), &before);
  /* A finalizer may have closed it. */
  int count = stream->core ? zl_stream_flush(stream->core, events, limit) : 0;
  (void)zlua_leave(L, loop, &before);
  lua_pushinteger(L, count);
  return 1;
}

static const zlua_slot_call recv_call = {
    .slot = ZLUA_SLOT_CALL_RECV,
    .next = zlua_call_recv,
    .repeated = true,
    .class = &zlua_class_stream,
    .suspend = stream_suspend,
    .resume = resume_stream,
};

/* [-0, +0] module table on the top. */
void zlua_open_stream_recv(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"on_recv", stream_on_recv},
      {"on_recv_stream", stream_on_recv_stream},
      {"stop_on_recv", stream_stop_on_recv},
      {"pause", stream_pause},
      {"resume", stream_resume},
      {"flush", stream_flush},
      {NULL, NULL},
  };
  static const luaL_Reg functions[] = {
      {"stream_receiver", stream_receiver},
      {"deliver_stream", deliver_stream},
      {NULL, NULL},
  };
  zlua_slot_register(L, &recv_call);
  zlua_setfuncs(L, functions);
  zlua_stream_add_methods(L, methods);
}
