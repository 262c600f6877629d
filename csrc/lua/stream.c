/* stream.c - class ZMQStream: what is done in C of it.
 * SPDX-License-Identifier: MIT
 *
 * Receiving. One protected call per turn, not per message: it takes messages
 * from the core and calls the user's function until the turn is over. A message
 * stays with the core until it has become Lua values, so an error before loses
 * nothing; an error or a yield of the user's function ends the protected call,
 * and another one goes on with the next message. While so many calls of the
 * function as the user allows have yielded, the stream receives nothing.
 *
 * Reports. A message whose sender wants to know is kept, under its token, in
 * the uservalue's tables until it is reported.
 *
 * Its place among the loop's active handles has the stream while it is active,
 * and else a table that has it as a weak value: it can be collected, and as
 * long as it is there it is told what happens.
 */
#include "binding.h"

#include <errno.h>
#include <string.h>

struct zlua_stream {
  zlua_handle handle;
  zl_stream *core; /* NULL: closed */
  zlua_socket *socket;
  uint64_t tokens;  /* given so far */
  bool with_stream; /* on_recv_stream: fn(stream, frames) */
  bool unpack;      /* fn(frame1, frame2, ...) */
  bool copy;        /* frames as strings, not as Frames */
  bool converting;  /* a message is on its way from the core to Lua */
  bool sent_with_stream;
  bool has_recv;
  bool has_sent;
  bool has_error;
  bool paused;
  int suspended;   /* calls of on_recv's function that have yielded */
  int concurrency; /* how many there may be while more messages come */
  bool draining;
  bool awaited;  /* the loop is to stop when the stream is closed */
  bool kept;     /* alive by the loop, exactly while it is active */
  size_t unsent; /* what closing it has told */
  zlua_outbox outbox;
};

/* The uservalue. */
enum {
  STREAM_LOOP = 1,
  STREAM_SOCKET,
  STREAM_ON_RECV,
  STREAM_ON_SEND,
  STREAM_ON_CLOSE,
  STREAM_ON_DRAIN,
  STREAM_ON_ERROR,
  STREAM_FOREIGN,  /* another library's socket, which is closed with it */
  STREAM_WEAK,     /* {stream}, weakly */
  STREAM_MESSAGES, /* token -> the frames of a message to be reported */
  STREAM_CALLBACKS /* token -> its own callback, if it has one */
};

/* The key of the metatable of weak tables in the registry. */
static const char weak_key;

const zlua_class zlua_class_stream = {.name = "ZMQStream",
                                      .size = sizeof(zlua_stream)};

static zlua_stream *check_self(lua_State *L, const char *method) {
  zlua_stream *stream = zlua_check_self(L, &zlua_class_stream, method);
  if (!stream->core) {
    luaL_error(L, "stream is closed");
  }
  return stream;
}

void zlua_stream_used(const zlua_stream *stream) {
  zl_stream_used(stream->core);
}

void zlua_stream_touch(const zlua_stream *stream) {
  zl_stream_touch(stream->core);
}

static size_t detach(zlua_stream *stream) {
  size_t unsent = zl_stream_close(stream->core);
  if (stream->awaited && stream->handle.loop->core) {
    zl_loop_stop(stream->handle.loop->core);
    stream->awaited = false;
  }
  stream->core = NULL;
  stream->unsent = unsent;
  stream->kept = false;
  stream->handle.anchor = 0;
  zlua_outbox_close(&stream->outbox);
  if (stream->socket) {
    stream->socket->stream = NULL;
    stream->socket = NULL;
  }
  zlua_unlink(&stream->handle);
  return unsent;
}

void zlua_stream_detach(zlua_handle *handle) {
  (void)detach((zlua_stream *)handle);
}

/* The loop is being closed. */
void zlua_stream_leave_loop(zlua_handle *handle) {
  zlua_socket *socket = ((zlua_stream *)handle)->socket;
  zlua_stream_detach(handle);
  if (socket) {
    zlua_monitor_close(socket);
  }
}

static bool receiving(const zlua_stream *stream) {
  return stream->has_recv && !stream->paused;
}

/* May messages be handed out now? */
static bool has_hands_free(const zlua_stream *stream) {
  return receiving(stream) && stream->suspended < stream->concurrency;
}

static bool active(const zlua_stream *stream) {
  return receiving(stream) || stream->draining || zl_stream_busy(stream->core);
}

/* [-0, +0] the loop keeps the stream at index alive, or no longer. Its place in
 * the table exists while the stream is open, so this cannot fail. */
static void set_kept(lua_State *L, zlua_stream *stream, int index, bool kept) {
  if (stream->kept == kept) {
    return;
  }
  index = zlua_absindex(L, index);
  zlua_getuservalue(L, index);
  lua_rawgeti(L, -1, STREAM_LOOP);
  zlua_push_active(L, -1);
  if (kept) {
    lua_pushvalue(L, index);
  } else {
    lua_rawgeti(L, -3, STREAM_WEAK);
  }
  lua_rawseti(L, -2, stream->handle.anchor);
  lua_pop(L, 3);
  stream->kept = kept;
}

/* [-0, +1] pushes the stream from the table of active handles; nil, and returns
 * false, if it is about to be collected. */
static bool push_stream(lua_State *L, const zlua_stream *stream,
                        int active_index) {
  lua_rawgeti(L, active_index, stream->handle.anchor);
  if (lua_istable(L, -1)) {
    lua_rawgeti(L, -1, 1);
    lua_remove(L, -2);
  }
  return !lua_isnil(L, -1);
}

/* [-0, +1] pushes the stream, so that it outlives what a callback does. */
static bool hold(const zlua_stream *stream) {
  const zlua_loop *loop = stream->handle.loop;
  return push_stream(loop->L, stream, loop->slots + ZLUA_SLOT_ACTIVE);
}

/* [-1, +0] lets go of what hold() has pushed. */
static void release(zlua_stream *stream, const zlua_loop *loop) {
  if (stream->core) {
    set_kept(loop->L, stream, -1, active(stream));
  }
  lua_pop(loop->L, 1);
}

/* ---- receiving ---------------------------------------------------------- */

/* [-0, +1 or +count] pushes the strings, as a list or one by one. */
static void push_strings(lua_State *L, zmq_msg_t *frames, int count,
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

/* [-0, +n] pushes what the user's function gets. Returns how many, or -1 if a
 * finalizer that ran meanwhile has closed the stream. */
static int push_message(lua_State *L, const zlua_stream *stream,
                        zmq_msg_t *frames, int count) {
  bool as_list = !stream->unpack;
  if (stream->copy) {
    push_strings(L, frames, count, as_list);
    return !stream->core ? -1 : as_list ? 1 : count;
  }
  zlua_new_frames(L, frames, count, as_list);
  if (!stream->core) {
    return -1;
  }
  zlua_open_frames(L, frames, count, as_list);
  return as_list ? 1 : count;
}

/* With fewer, a stack too small for them is a matter of memory. */
enum { MANY_FRAMES = 1000 };

/* There is always room for so many. */
enum { FEW_ARGUMENTS = LUA_MINSTACK - 10 };

/* A turn of a stream, for the calls that serve it. */
typedef struct turn {
  zlua_stream *stream;
  unsigned changes; /* of the loop, when the user's function was looked up */
  bool begun;       /* what it needs is on the stack */
  bool pending;     /* a message that could not become Lua's is with the core */
} turn;

/* For the frames as arguments. A message that no stack can hold, now or later,
 * is let go: it would stand in the way of the others for ever. */
static void make_room(lua_State *L, turn *it, int count) {
  if (lua_checkstack(L, count + LUA_MINSTACK)) {
    return;
  }
  if (count > MANY_FRAMES) {
    it->pending = false;
    zl_stream_pop(it->stream->core);
  }
  luaL_error(L, "a message of %d frames is too long to unpack", count);
}

/* What the stack of a turn has. */
enum {
  TURN_ACTIVE = 1,
  TURN_STATE,
  TURN_HANDLE,
  TURN_LOOP,
  TURN_STREAM, /* kept here */
  TURN_USERVALUE,
  TURN_CALLBACK /* the user's function */
};

/* [-0, +3] */
static void begin_turn(lua_State *L, turn *it) {
  (void)push_stream(L, it->stream, TURN_ACTIVE);
  zlua_getuservalue(L, TURN_STREAM);
  lua_pushnil(L);
  it->changes = it->stream->handle.loop->changes - 1;
  it->begun = true;
}

/* [-0, +0] What changes seldom is looked up again only when it may have. */
static void refresh_callback(lua_State *L, turn *it) {
  unsigned changes = it->stream->handle.loop->changes;
  if (it->changes != changes) {
    it->changes = changes;
    lua_rawgeti(L, TURN_USERVALUE, STREAM_ON_RECV);
    lua_replace(L, TURN_CALLBACK);
    zlua_calling(L, TURN_STATE, TURN_CALLBACK);
  }
}

/* (active, state, turn, loop): the next message until the turn is over. */
int zlua_call_recv(lua_State *L, void *handle) {
  turn *it = handle;
  zlua_stream *stream = it->stream;
  zmq_msg_t *frames;
  int count = stream->core ? zl_stream_peek(stream->core, &frames) : 0;
  it->pending = count != 0;
  if (count <= 0) {
    return count < 0 ? zlua_raise(L, count) : 0;
  }
  if (!ZLUA_KEEPS_STACK || !it->begun) {
    begin_turn(L, it);
  }
  refresh_callback(L, it);
  lua_pushvalue(L, TURN_CALLBACK);
  if (stream->with_stream) {
    lua_pushvalue(L, TURN_STREAM);
  }
  if (stream->unpack && count > FEW_ARGUMENTS) {
    make_room(L, it, count);
  }
  stream->converting = true;
  int arguments = push_message(L, stream, frames, count);
  stream->converting = false;
  it->pending = false;
  if (arguments < 0) {
    return 0;
  }
  zl_stream_pop(stream->core); /* before the call: large ones free memory */
  return 1 + (stream->with_stream ? 1 : 0) + arguments;
}

static void on_recv(zl_stream *core, void *arg) {
  turn it = {.stream = arg, .pending = true};
  zlua_loop *loop = it.stream->handle.loop;
  (void)core;
  (void)hold(it.stream);
  do {
    it.pending = true; /* unless the call gets to say otherwise */
    it.begun = false;
  } while (!zlua_call(loop, ZLUA_SLOT_CALL_RECV, &it) && !it.pending &&
           it.stream->core && has_hands_free(it.stream));
  it.stream->converting = false;
  lua_pop(loop->L, 1);
}

/* ---- reports ------------------------------------------------------------ */

typedef struct sent {
  zlua_stream *stream;
  uint64_t token;
  int status;
  bool to_stream; /* to the stream's on_send, not the message's own callback */
} sent;

/* [-0, +n] pushes true, or nil, message, name; returns how many. */
static int push_status(lua_State *L, int status) {
  if (status < 0) {
    return zlua_fail(L, status);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* (active, state, sent, loop): fn(frames, status) */
int zlua_call_sent(lua_State *L, void *handle) {
  const sent *it = handle;
  zlua_stream *stream = it->stream;
  lua_Integer token = (lua_Integer)it->token;
  (void)push_stream(L, stream, 1);    /* 5: kept here */
  zlua_getuservalue(L, 5);            /* 6 */
  lua_rawgeti(L, 6, STREAM_MESSAGES); /* 7 */
  lua_pushinteger(L, token);
  lua_rawget(L, 7); /* 8: frames */
  if (it->to_stream) {
    lua_pushinteger(L, token);
    lua_pushnil(L);
    lua_rawset(L, 7); /* messages[token] = nil */
    lua_rawgeti(L, 6, STREAM_ON_SEND);
  } else {
    lua_rawgeti(L, 6, STREAM_CALLBACKS);
    lua_pushinteger(L, token);
    lua_rawget(L, -2);
    lua_pushinteger(L, token);
    lua_pushnil(L);
    lua_rawset(L, -4); /* callbacks[token] = nil */
  }
  if (lua_isnil(L, -1)) {
    return 0;
  }
  zlua_calling(L, 2, lua_gettop(L));
  bool with_stream = it->to_stream && stream->sent_with_stream;
  if (with_stream) {
    lua_pushvalue(L, 5);
  }
  lua_pushvalue(L, 8);
  return 2 + (with_stream ? 1 : 0) + push_status(L, it->status);
}

/* A token's last bit tells whether the message has a callback of its own. */
static bool has_callback(uint64_t token) {
  return token & 1;
}

static void on_sent(zl_stream *core, uint64_t token, int status, void *arg) {
  sent it = {.stream = arg, .token = token, .status = status};
  zlua_loop *loop = it.stream->handle.loop;
  (void)core;
  (void)hold(it.stream);
  if (has_callback(token)) {
    (void)zlua_call(loop, ZLUA_SLOT_CALL_SENT, &it);
  }
  it.to_stream = true;
  if (it.stream->core) {
    (void)zlua_call(loop, ZLUA_SLOT_CALL_SENT, &it);
  }
  release(it.stream, loop);
}

static void on_empty(zl_stream *core, void *arg) {
  zlua_stream *stream = arg;
  (void)core;
  (void)hold(stream);
  release(stream, stream->handle.loop);
}

/* ---- notices: room in the queue, errors ---------------------------------- */

typedef struct notice {
  zlua_stream *stream;
  int field; /* of the uservalue, where the user's function is */
  int error; /* for on_error; 0 for on_drain */
} notice;

/* (active, state, notice, loop): on_drain's fn(), on_error's fn(message, name).
 * Without the latter a message that was refused is an error of the stream. */
int zlua_call_notice(lua_State *L, void *handle) {
  const notice *it = handle;
  (void)push_stream(L, it->stream, 1); /* 5 */
  zlua_getuservalue(L, 5);             /* 6 */
  lua_rawgeti(L, 6, it->field);        /* 7: function, or nil */
  if (lua_isnil(L, 7)) {
    zlua_calling(L, 2, 5);
    return luaL_error(L, "a queued message was refused: %s: %s",
                      zl_errname(it->error), zl_strerror(it->error));
  }
  zlua_calling(L, 2, 7);
  if (it->error == 0) {
    return 1;
  }
  (void)zlua_fail(L, it->error); /* ..., function, nil, message, name */
  lua_remove(L, 8);
  return 3;
}

/* (active, state, stream, loop): closes it. */
int zlua_call_finish(lua_State *L) {
  const zlua_stream *stream = lua_touserdata(L, 3);
  (void)push_stream(L, stream, 1);
  (void)zlua_stream_close(L, 5, NULL);
  return 0;
}

/* [-0, +0] closes the stream, which is held. Without memory for the call
 * nobody is told, but closed it is. */
static void finish(zlua_stream *stream, zlua_loop *loop) {
  (void)zlua_call(loop, ZLUA_SLOT_CALL_FINISH, stream);
  if (stream->core) {
    zlua_socket *socket = stream->socket;
    zlua_unanchor(loop->L, &stream->handle, loop->slots + ZLUA_SLOT_ACTIVE);
    (void)detach(stream);
    zlua_socket_shut(socket, NULL);
  }
}

static void on_room(zl_stream *core, void *arg) {
  notice it = {.stream = arg, .field = STREAM_ON_DRAIN};
  zlua_loop *loop = it.stream->handle.loop;
  (void)core;
  if (hold(it.stream)) {
    (void)zlua_call(loop, ZLUA_SLOT_CALL_NOTICE, &it);
  }
  lua_pop(loop->L, 1);
}

/* The end of a context is for the loop to tell; a socket that is gone takes the
 * stream with it. */
static void on_error(zl_stream *core, int rc, void *arg) {
  notice it = {.stream = arg, .field = STREAM_ON_ERROR, .error = rc};
  zlua_loop *loop = it.stream->handle.loop;
  bool fatal = rc == -ETERM || rc == -ENOTSOCK;
  (void)core;
  if (hold(it.stream)) {
    if (it.stream->has_error || !fatal) {
      (void)zlua_call(loop, ZLUA_SLOT_CALL_NOTICE, &it);
    }
    if (rc == -ENOTSOCK && it.stream->core) {
      finish(it.stream, loop);
    }
  }
  lua_pop(loop->L, 1);
}

static void on_done(zl_stream *core, void *arg) {
  zlua_stream *stream = arg;
  zlua_loop *loop = stream->handle.loop;
  (void)core;
  (void)hold(stream);
  finish(stream, loop);
  lua_pop(loop->L, 1);
}

/* ---- callbacks ---------------------------------------------------------- */

/* [-0, +0] uservalue[field] = the value at index. */
static void set_field(lua_State *L, int field, int index) {
  index = zlua_absindex(L, index);
  zlua_getuservalue(L, 1);
  lua_pushvalue(L, index);
  lua_rawseti(L, -2, field);
  lua_pop(L, 1);
}

/* [-0, +0] the stream is at index. */
static void update_receiving(lua_State *L, zlua_stream *stream, int index) {
  zl_stream_on_recv(stream->core, has_hands_free(stream) ? on_recv : NULL,
                    stream);
  set_kept(L, stream, index, active(stream));
}

/* [-0, +1] pushes the stream of the turn: the call of its function yields. */
int zlua_stream_suspend(lua_State *L, const void *handle) {
  zlua_stream *stream = ((const turn *)handle)->stream;
  const zlua_loop *loop = stream->handle.loop;
  if (!stream->core) {
    return 0;
  }
  lua_pushvalue(loop->L, loop->slots + ZLUA_SLOT_ACTIVE);
  lua_xmove(loop->L, L, 1);
  (void)push_stream(L, stream, lua_gettop(L));
  stream->suspended++;
  update_receiving(L, stream, -1);
  return 1;
}

/* [-0, +0] such a call of the stream at 1 has ended. */
void zlua_stream_resume(lua_State *L) {
  zlua_stream *stream = zlua_check_self(L, &zlua_class_stream, "resume_call");
  if (stream->core && stream->suspended > 0) {
    stream->suspended--;
    update_receiving(L, stream, 1);
  }
}

/* How the user's function is to be called. */
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

/* A callback, or nil to unset it. */
static void check_callback(lua_State *L, const char *method) {
  if (!lua_isnil(L, 2)) {
    zlua_check_callable(L, method, 1, 2);
  }
}

static int set_on_recv(lua_State *L, const char *method, bool with_stream) {
  zlua_stream *stream = check_self(L, method);
  lua_settop(L, 3);
  check_callback(L, method);
  recv_options options = check_recv_options(L, method, 3);
  set_field(L, STREAM_ON_RECV, 2);
  stream->has_recv = !lua_isnil(L, 2);
  stream->paused = false;
  stream->with_stream = with_stream;
  stream->copy = options.copy;
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
  return set_on_recv(L, "stop_on_recv", false);
}

/* pause() and resume() keep the callback, unlike on_recv(nil). */
static int set_paused(lua_State *L, const char *method, bool paused) {
  zlua_stream *stream = check_self(L, method);
  lua_settop(L, 1);
  stream->paused = paused;
  update_receiving(L, stream, 1);
  return 0;
}

static int stream_pause(lua_State *L) {
  return set_paused(L, "pause", true);
}

static int stream_resume(lua_State *L) {
  return set_paused(L, "resume", false);
}

static int set_on_send(lua_State *L, const char *method, bool with_stream) {
  zlua_stream *stream = check_self(L, method);
  lua_settop(L, 2);
  check_callback(L, method);
  set_field(L, STREAM_ON_SEND, 2);
  stream->has_sent = !lua_isnil(L, 2);
  stream->sent_with_stream = with_stream;
  return 0;
}

static int stream_on_send(lua_State *L) {
  return set_on_send(L, "on_send", false);
}

static int stream_on_send_stream(lua_State *L) {
  return set_on_send(L, "on_send_stream", true);
}

static int stream_stop_on_send(lua_State *L) {
  lua_settop(L, 1);
  return set_on_send(L, "stop_on_send", false);
}

/* on_drain(fn): fn() when there is room in the queue again. */
static int stream_on_drain(lua_State *L) {
  zlua_stream *stream = check_self(L, "on_drain");
  lua_settop(L, 2);
  check_callback(L, "on_drain");
  set_field(L, STREAM_ON_DRAIN, 2);
  zl_stream_on_room(stream->core, lua_isnil(L, 2) ? NULL : on_room, stream);
  return 0;
}

static int set_on_error(lua_State *L, const char *method) {
  zlua_stream *stream = check_self(L, method);
  lua_settop(L, 2);
  check_callback(L, method);
  set_field(L, STREAM_ON_ERROR, 2);
  stream->has_error = !lua_isnil(L, 2);
  return 0;
}

static int stream_on_error(lua_State *L) {
  return set_on_error(L, "on_error");
}

static int stream_stop_on_err(lua_State *L) {
  lua_settop(L, 1);
  return set_on_error(L, "stop_on_err");
}

static int stream_set_close_callback(lua_State *L) {
  (void)check_self(L, "set_close_callback");
  lua_settop(L, 2);
  check_callback(L, "set_close_callback");
  set_field(L, STREAM_ON_CLOSE, 2);
  return 0;
}

/* ---- sending ------------------------------------------------------------ */

/* Frames on the C stack; a message of more gets a buffer from Lua. */
enum { FEW_FRAMES = 8 };

/* [-0, +2] reads the argument at 3: nil, a function, or a table of options.
 * Pushes what must stay, then the message's own callback, or nil. */
static void check_send_options(lua_State *L, const char *method,
                               zlua_send_options *options) {
  static const char *const names[] = {"callback",   "copy",  "flags", "group",
                                      "routing_id", "track", NULL};
  if (lua_isnil(L, 3) || zlua_is_callable(L, 3)) {
    lua_pushnil(L);
    lua_pushvalue(L, 3);
    return;
  }
  if (!lua_istable(L, 3)) {
    zlua_type_error(L, method, 2, 3, "function, callable or options");
  }
  zlua_check_options(L, method, 2, 3, names);
  zlua_read_send_options(L, method, 2, 3, options);
  if (options->flags & ZMQ_SNDMORE) {
    zlua_argument_error(L, method, 2,
                        "a stream sends whole messages, by send_multipart, "
                        "and knows no SNDMORE");
  }
  lua_getfield(L, 3, "callback");
  if (!lua_isnil(L, -1) && !zlua_is_callable(L, -1)) {
    zlua_argument_error(L, method, 2, "callback must be callable");
  }
}

/* [-0, +0] uservalue[field][token] = the value at index. */
static void keep(lua_State *L, int field, uint64_t token, int index) {
  index = zlua_absindex(L, index);
  zlua_getuservalue(L, 1);
  lua_rawgeti(L, -1, field);
  lua_pushinteger(L, (lua_Integer)token);
  lua_pushvalue(L, index);
  lua_rawset(L, -3);
  lua_pop(L, 2);
}

/* [-0, +1] pushes the i-th part, from 1, of what is at 2: one, or a list. */
static void push_part(lua_State *L, size_t i) {
  if (lua_istable(L, 2)) {
    lua_rawgeti(L, 2, (int)i);
  } else {
    lua_pushvalue(L, 2);
  }
}

/* [-0, +1] the parts in a list of their own: what the sender does to his
 * afterwards does not change what was sent. */
static void push_parts(lua_State *L, size_t count) {
  lua_createtable(L, (int)count, 0);
  for (size_t i = 1; i <= count; i++) {
    push_part(L, i);
    lua_rawseti(L, -2, (int)i);
  }
}

/* Keeps what the report will need, and returns its token; 0 if nobody wants to
 * know. The message's own callback is at index. */
static uint64_t prepare_report(lua_State *L, zlua_stream *stream, size_t count,
                               int index) {
  bool own = !lua_isnil(L, index);
  if (!own && !stream->has_sent) {
    return 0;
  }
  uint64_t token = (stream->tokens + 1) << 1 | (own ? 1 : 0);
  push_parts(L, count);
  keep(L, STREAM_MESSAGES, token, -1);
  if (own) {
    keep(L, STREAM_CALLBACKS, token, index);
  }
  stream->tokens++;
  return token;
}

static void forget_report(lua_State *L, uint64_t token) {
  lua_pushnil(L);
  keep(L, STREAM_MESSAGES, token, -1);
  if (has_callback(token)) {
    keep(L, STREAM_CALLBACKS, token, -1);
  }
  lua_pop(L, 1);
}

/* Sends the strings at 2. The bytes are looked up when nothing will run any
 * more that might change the list. */
static int send_strings(lua_State *L, const zlua_stream *stream, size_t count,
                        uint64_t token) {
  zl_frame few[FEW_FRAMES];
  zl_frame *frames = few;
  if (count > FEW_FRAMES) {
    frames = lua_newuserdata(L, count * sizeof *frames);
  }
  for (size_t i = 0; i < count; i++) {
    push_part(L, i + 1);
    if (lua_type(L, -1) != LUA_TSTRING) {
      return -EINVAL; /* a finalizer has changed it */
    }
    frames[i].data = lua_tolstring(L, -1, &frames[i].size);
    lua_pop(L, 1); /* the list keeps the string */
  }
  return zl_stream_send(stream->core, frames, count, token);
}

static int send_messages(lua_State *L, zlua_stream *stream, size_t count,
                         const zlua_send_options *options, uint64_t token) {
  zlua_outbox *outbox = &stream->outbox;
  int rc = zlua_outbox_fill(L, outbox, 2, count, options);
  if (rc == 0) {
    rc = zl_stream_send_messages(stream->core, outbox->frames, count, token);
  }
  zlua_outbox_clear(outbox);
  return rc;
}

/* Sends the part or list at 2, which has been checked, with the options at 3.
 * -> true or a tracker | nil, message, name */
static int send_message(lua_State *L, zlua_stream *stream, const char *method,
                        zlua_message message) {
  zlua_send_options options = {0};
  uint64_t token = 0;
  int rc = 0;
  lua_settop(L, 3);
  lua_pushboolean(L, 1); /* 4: the answer */
  if (!lua_isnil(L, 3)) {
    check_send_options(L, method, &options); /* 5, 6: its own callback */
  } else {
    lua_settop(L, 6);
  }
  bool as_messages = message.has_frames || zlua_needs_message(&options);
  if (stream->has_sent || !lua_isnil(L, 3) || as_messages) {
    /* A full queue is an ordinary answer, and costs nothing. */
    rc = zl_stream_may_send(stream->core, message.bytes);
    if (rc < 0) {
      return zlua_fail(L, rc);
    }
    token = prepare_report(L, stream, message.count, 6);
  }
  if (options.track) {
    options.tracking = zlua_new_tracker(L);
    lua_replace(L, 4);
  }
  rc = as_messages ? send_messages(L, stream, message.count, &options, token)
                   : send_strings(L, stream, message.count, token);
  if (rc < 0 && token != 0) {
    forget_report(L, token);
  }
  if (rc < 0) {
    return zlua_fail_send(L, rc, &options);
  }
  if (rc == ZL_QUEUED || token != 0) {
    set_kept(L, stream, 1, true);
  }
  lua_settop(L, 4);
  return 1;
}

/* send(data [, options | callback]) */
static int stream_send(lua_State *L) {
  zlua_stream *stream = check_self(L, "send");
  return send_message(L, stream, "send", zlua_check_part(L, "send", 2));
}

/* send_multipart(list [, options | callback]): all frames are checked before
 * anything is sent. */
static int stream_send_multipart(lua_State *L) {
  zlua_stream *stream = check_self(L, "send_multipart");
  zlua_message message = zlua_check_message(L, "send_multipart", 2);
  return send_message(L, stream, "send_multipart", message);
}

/* flush([events [, limit]]) -> how many messages were handled */
static int stream_flush(lua_State *L) {
  zlua_stream *stream = check_self(L, "flush");
  int events = ZL_READ | ZL_WRITE;
  int limit = -1;
  zlua_entry before;
  if (lua_type(L, 2) == LUA_TNUMBER) {
    /* zmq.POLLIN is READ; zmq.POLLOUT, 2, is meant by PyZMQ's users. */
    int64_t mask = zlua_check_integer(L, "flush", 1, 2, 0, 7);
    events = (mask & ZL_READ ? ZL_READ : 0) |
             (mask & (ZL_WRITE | ZMQ_POLLOUT) ? ZL_WRITE : 0);
  } else if (!lua_isnoneornil(L, 2)) {
    events = zlua_check_events(L, "flush", 1, 2);
  }
  if (!lua_isnoneornil(L, 3)) {
    limit = (int)zlua_check_integer(L, "flush", 2, 3, 0, INT32_MAX);
  }
  /* pause() and calls that have yielded hold messages back, they are not to be
   * thrown away. And a finalizer may run in the middle of a message. */
  if ((stream->has_recv && !has_hands_free(stream)) || stream->converting) {
    events &= ~ZL_READ;
  }
  lua_settop(L, 1);
  zlua_loop *loop = stream->handle.loop;
  zlua_getuservalue(L, 1);
  lua_rawgeti(L, -1, STREAM_LOOP);
  zlua_enter(L, loop, lua_gettop(L), &before);
  int count = zl_stream_flush(stream->core, events, limit);
  (void)zlua_leave(L, loop, &before);
  lua_pushinteger(L, count);
  return 1;
}

static int stream_set_batch(lua_State *L) {
  zlua_stream *stream = check_self(L, "set_batch");
  int batch = (int)zlua_check_integer(L, "set_batch", 1, 2, 1, 65535);
  (void)zl_stream_set_batch(stream->core, batch);
  return 0;
}

static int stream_set_priority(lua_State *L) {
  zlua_stream *stream = check_self(L, "set_priority");
  int priority =
      (int)zlua_check_integer(L, "set_priority", 1, 2, -1000000, 1000000);
  (void)zl_stream_set_priority(stream->core, priority);
  return 0;
}

/* A limit of the queue: 0 or nil is none. */
static size_t check_limit(lua_State *L, int argument) {
  const int64_t most = INT64_C(1) << 53; /* exact in every Lua */
  if (lua_isnoneornil(L, argument + 1)) {
    return 0;
  }
  int64_t limit =
      zlua_check_integer(L, "set_send_hwm", argument, argument + 1, 0, most);
  return (uint64_t)limit > SIZE_MAX ? SIZE_MAX : (size_t)limit;
}

/* set_send_hwm(messages [, bytes]) */
static int stream_set_send_hwm(lua_State *L) {
  zlua_stream *stream = check_self(L, "set_send_hwm");
  size_t messages = check_limit(L, 1);
  size_t bytes = check_limit(L, 2);
  zl_stream_set_limits(stream->core, messages, bytes);
  return 0;
}

/* ---- closing ------------------------------------------------------------ */

/* A call of a method of another library's socket. */
typedef struct foreign {
  const char *method;
  const int *linger;
  bool result;
} foreign;

/* (active, state, foreign, loop), the object being noted as the callback. What
 * has no such method is left alone. */
int zlua_call_foreign(lua_State *L) {
  foreign *it = lua_touserdata(L, 3);
  lua_rawgeti(L, 2, ZLUA_LEFT_CALLBACK); /* 5: object */
  lua_getfield(L, 5, it->method);
  if (lua_isnil(L, -1)) {
    return 0;
  }
  lua_pushvalue(L, 5);
  if (it->linger) {
    lua_pushinteger(L, *it->linger);
  }
  lua_call(L, it->linger ? 2 : 1, 1);
  it->result = lua_toboolean(L, -1);
  return 0;
}

/* [-0, +0] calls the method of the object at index, unless it is nil. */
static bool call_foreign(lua_State *L, zlua_loop *loop, int index,
                         const char *method, const int *linger) {
  foreign it = {.method = method, .linger = linger};
  if (!lua_isnil(L, index)) {
    zlua_calling(L, loop->slots + ZLUA_SLOT_STATE, index);
    (void)zlua_call(loop, ZLUA_SLOT_CALL_FOREIGN, &it);
  }
  return it.result;
}

typedef struct closed {
  zlua_stream *stream;
  size_t unsent;
} closed;

/* (active, state, closed, loop, close callback): fn(unsent) */
int zlua_call_closed(lua_State *L, void *handle) {
  const closed *it = handle;
  lua_rawgeti(L, 2, ZLUA_LEFT_CALLBACK);
  lua_pushinteger(L, (lua_Integer)it->unsent);
  return 2;
}

/* Does the stream know that its socket was closed? */
static bool is_gone(const zlua_stream *stream) {
  return zl_stream_may_send(stream->core, 0) == -ENOTSOCK;
}

/* [-0, +0] closes an open stream, the core having been entered. Its uservalue
 * is at index, another library's socket or nil at index + 2. */
static void close_now(lua_State *L, zlua_loop *loop, zlua_stream *stream,
                      int index, const int *linger) {
  bool gone = is_gone(stream);
  zlua_unanchor(L, &stream->handle, loop->slots + ZLUA_SLOT_ACTIVE);
  zlua_socket *socket = stream->socket;
  closed it = {.stream = stream, .unsent = detach(stream)};
  zlua_socket_shut(socket, linger);
  if (!gone) {
    (void)call_foreign(L, loop, index + 2, "close", linger);
  }
  lua_rawgeti(L, index, STREAM_ON_CLOSE);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
  } else {
    lua_rawseti(L, loop->slots + ZLUA_SLOT_STATE, ZLUA_LEFT_CALLBACK);
    (void)zlua_call(loop, ZLUA_SLOT_CALL_CLOSED, &it);
  }
}

/* [-0, +0] closes the stream at index, and its socket: linger is in
 * milliseconds, or NULL for what the socket has. Then the close callback is
 * called. Returns the number of unsent messages. */
size_t zlua_stream_close(lua_State *L, int index, const int *linger) {
  zlua_stream *stream = zlua_test_object(L, index, &zlua_class_stream);
  zlua_loop *loop = stream->handle.loop;
  zlua_entry before;
  int top = lua_gettop(L);
  zlua_getuservalue(L, index);
  lua_rawgeti(L, top + 1, STREAM_LOOP);
  lua_rawgeti(L, top + 1, STREAM_FOREIGN);
  zlua_enter(L, loop, top + 2, &before); /* may raise: nothing is done */
  if (!is_gone(stream) && call_foreign(L, loop, top + 3, "closed", NULL) &&
      stream->core) {
    zl_stream_socket_closed(stream->core);
  }
  if (stream->core) {
    close_now(L, loop, stream, top + 1, linger);
  }
  (void)zlua_leave(L, loop, &before);
  lua_settop(L, top);
  return stream->unsent;
}

/* [-0, +0] closes the socket of the stream at 1, whose loop may have been
 * closed first: then the socket is still open. */
static void close_leftover(lua_State *L, const int *linger) {
  zlua_getuservalue(L, 1);
  int uservalue = lua_gettop(L);
  lua_rawgeti(L, uservalue, STREAM_SOCKET);
  const zlua_socket *socket = lua_touserdata(L, -1);
  bool open = socket && socket->zmq;
  zlua_socket_close(L, lua_gettop(L), linger);
  lua_rawgeti(L, uservalue, STREAM_FOREIGN);
  if (open && !lua_isnil(L, -1)) {
    lua_getfield(L, -1, "close");
    lua_pushvalue(L, -2);
    if (linger) {
      lua_pushinteger(L, *linger);
    }
    lua_call(L, linger ? 2 : 1, 0);
  }
  lua_settop(L, uservalue - 1);
}

/* close([linger]) -> how many messages were not sent; the socket is closed too.
 * linger is in milliseconds. Closing twice is silent. */
static int stream_close(lua_State *L) {
  const zlua_stream *stream = zlua_check_self(L, &zlua_class_stream, "close");
  int linger = 0;
  bool has_linger = !lua_isnoneornil(L, 2);
  if (has_linger) {
    linger = (int)zlua_check_integer(L, "close", 1, 2, -1, INT32_MAX);
  }
  lua_settop(L, 1);
  size_t unsent = 0;
  if (stream->core) {
    unsent = zlua_stream_close(L, 1, has_linger ? &linger : NULL);
  } else {
    close_leftover(L, has_linger ? &linger : NULL);
  }
  lua_pushinteger(L, (lua_Integer)unsent);
  return 1;
}

/* for __close, which is given the error too */
static int stream_scope_close(lua_State *L) {
  lua_settop(L, 1);
  (void)stream_close(L);
  return 0;
}

/* release_stream(stream): its socket, another library's, is about to be closed
 * by that library. */
static int release_stream(lua_State *L) {
  const zlua_stream *stream = zlua_check_self(L, &zlua_class_stream, "close");
  if (stream->core) {
    zlua_getuservalue(L, 1);
    lua_pushnil(L);
    lua_rawseti(L, -2, STREAM_FOREIGN);
    (void)zlua_stream_close(L, 1, NULL);
  }
  return 0;
}

/* ---- draining ----------------------------------------------------------- */

/* drain_stream(stream [, seconds]) -> whether it is for the caller to run the
 * loop */
static int drain_stream(lua_State *L) {
  zlua_stream *stream = check_self(L, "drain");
  int64_t timeout = ZL_FOREVER;
  if (!lua_isnoneornil(L, 2)) {
    timeout = zlua_check_seconds(L, "drain", 1, 2);
  }
  int rc =
      zl_stream_drain(stream->core, timeout < 0 ? 0 : timeout, on_done, stream);
  if (rc < 0) {
    return zlua_raise(L, rc);
  }
  stream->draining = true;
  set_kept(L, stream, 1, true);
  lua_pushboolean(L, stream->handle.loop->L == NULL);
  return 1;
}

/* await_stream(stream, on) -> what closing it has told: while it is on, closing
 * the stream stops its loop. */
static int await_stream(lua_State *L) {
  zlua_stream *stream = zlua_check_self(L, &zlua_class_stream, "drain");
  stream->awaited = stream->core && lua_toboolean(L, 2);
  lua_pushinteger(L, (lua_Integer)stream->unsent);
  return 1;
}

static int stream_gc(lua_State *L) {
  zlua_stream *stream = zlua_test_object(L, 1, &zlua_class_stream);
  if (stream && stream->core) {
    zlua_getuservalue(L, 1);
    lua_rawgeti(L, -1, STREAM_LOOP);
    zlua_push_active(L, -1);
    zlua_unanchor(L, &stream->handle, lua_gettop(L));
    (void)detach(stream);
  }
  return 0;
}

/* ---- questions ---------------------------------------------------------- */

static int stream_closed(lua_State *L) {
  const zlua_stream *stream = zlua_check_self(L, &zlua_class_stream, "closed");
  lua_pushboolean(L, stream->core == NULL);
  return 1;
}

static int stream_receiving(lua_State *L) {
  const zlua_stream *stream =
      zlua_check_self(L, &zlua_class_stream, "receiving");
  lua_pushboolean(L, stream->core && receiving(stream));
  return 1;
}

static size_t count_queued(const zlua_stream *stream) {
  return stream->core ? zl_stream_queued(stream->core) : 0;
}

static int stream_sending(lua_State *L) {
  const zlua_stream *stream = zlua_check_self(L, &zlua_class_stream, "sending");
  lua_pushboolean(L, count_queued(stream) > 0);
  return 1;
}

static int stream_queued(lua_State *L) {
  const zlua_stream *stream = zlua_check_self(L, &zlua_class_stream, "queued");
  lua_pushinteger(L, (lua_Integer)count_queued(stream));
  return 1;
}

static int stream_tostring(lua_State *L) {
  const zlua_stream *stream =
      zlua_check_self(L, &zlua_class_stream, "tostring");
  if (!stream->core) {
    lua_pushliteral(L, "ZMQStream (closed)");
  } else {
    lua_pushfstring(L, "ZMQStream (%s, %d queued): %p",
                    receiving(stream) ? "receiving" : "paused",
                    (int)count_queued(stream), (const void *)stream);
  }
  return 1;
}

/* stream_socket(stream) -> the zmqloop socket it works on: its own, or the one
 * that borrows another library's */
static int stream_socket(lua_State *L) {
  (void)check_self(L, "socket");
  zlua_getuservalue(L, 1);
  lua_rawgeti(L, -1, STREAM_SOCKET);
  return 1;
}

/* ---- opening ------------------------------------------------------------ */

/* LuaJIT's own type, which Lua has no name for. */
enum { TYPE_CDATA = 10 };

/* foreign_handle(value) -> a light userdata, or nil: value is one, or a pointer
 * of LuaJIT's, which the caller has made sure of. */
static int foreign_handle(lua_State *L) {
  if (lua_type(L, 1) == TYPE_CDATA) {
    lua_pushlightuserdata(L, *(void *const *)lua_topointer(L, 1));
  } else if (lua_islightuserdata(L, 1)) {
    lua_pushvalue(L, 1);
  } else {
    lua_pushnil(L);
  }
  return 1;
}

/* [-0, +1] pushes {the value at index}, which does not keep it. */
static void push_weak(lua_State *L, int index) {
  lua_createtable(L, 1, 0);
  lua_pushvalue(L, index);
  lua_rawseti(L, -2, 1);
  zlua_getregistry(L, &weak_key);
  lua_setmetatable(L, -2);
}

/* [-0, +0] fills the uservalue of the stream at index: loop at 2, socket at 3,
 * another library's socket to be closed with it at 5 */
static void fill_uservalue(lua_State *L, int index) {
  zlua_getuservalue(L, index);
  push_weak(L, index);
  lua_rawseti(L, -2, STREAM_WEAK);
  if (lua_toboolean(L, 5)) {
    lua_pushvalue(L, 5);
    lua_rawseti(L, -2, STREAM_FOREIGN);
  }
  lua_pushvalue(L, 2);
  lua_rawseti(L, -2, STREAM_LOOP);
  lua_pushvalue(L, 3);
  lua_rawseti(L, -2, STREAM_SOCKET);
  lua_newtable(L);
  lua_rawseti(L, -2, STREAM_MESSAGES);
  lua_newtable(L);
  lua_rawseti(L, -2, STREAM_CALLBACKS);
  lua_pop(L, 1);
}

/* [-0, +0] the fields `io_loop` and `socket` of the stream at index */
static void set_fields(lua_State *L, int index) {
  lua_pushvalue(L, 2);
  lua_setfield(L, index, "io_loop");
  lua_pushvalue(L, lua_isnil(L, 4) ? 3 : 4);
  lua_setfield(L, index, "socket");
}

/* new_stream(class, loop, socket [, given [, owned]]) -> stream | nil, message,
 * name. For another library's socket: socket is borrowed, given is what the
 * user gave, and owned is the object to be closed with the stream, or nil. */
static int new_stream(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  zlua_loop *loop = zlua_check_loop(L, 2, "ZMQStream", 2);
  zlua_socket *socket = zlua_check_socket(L, 3, "ZMQStream", 1);
  if (socket->stream || socket->handler) {
    return zlua_argument_error(L, "ZMQStream", 1,
                               "socket is already registered");
  }
  lua_settop(L, 5);
  bool is_foreign = !lua_isnil(L, 4);
  zlua_stream *stream = zlua_new_object(L, &zlua_class_stream); /* 6 */
  fill_uservalue(L, 6);
  zlua_set_own_metatable(L, &zlua_class_stream, 1);
  set_fields(L, 6);
  zlua_socket_set_user(L, 3, 6);
  zlua_anchor(L, &stream->handle, 6); /* its place; may raise, so it is first */
  int rc = zl_stream_new(loop->core, socket->zmq, is_foreign ? ZL_FOREIGN : 0,
                         &stream->core);
  if (rc < 0) {
    zlua_push_active(L, 2);
    zlua_unanchor(L, &stream->handle, -1);
    return zlua_fail(L, rc);
  }
  zlua_link(loop, &stream->handle);
  stream->copy = true;
  stream->concurrency = 1;
  stream->kept = true;
  set_kept(L, stream, 6, false);
  stream->socket = socket;
  socket->stream = stream;
  zl_stream_on_sent(stream->core, on_sent, stream);
  zl_stream_on_empty(stream->core, on_empty, stream);
  zl_stream_on_error(stream->core, on_error, stream);
  return 1;
}

static const luaL_Reg methods[] = {
    {"on_recv", stream_on_recv},
    {"on_recv_stream", stream_on_recv_stream},
    {"stop_on_recv", stream_stop_on_recv},
    {"pause", stream_pause},
    {"resume", stream_resume},
    {"on_send", stream_on_send},
    {"on_send_stream", stream_on_send_stream},
    {"stop_on_send", stream_stop_on_send},
    {"on_drain", stream_on_drain},
    {"on_error", stream_on_error},
    {"stop_on_err", stream_stop_on_err},
    {"set_close_callback", stream_set_close_callback},
    {"send", stream_send},
    {"send_string", stream_send},
    {"send_multipart", stream_send_multipart},
    {"flush", stream_flush},
    {"set_batch", stream_set_batch},
    {"set_priority", stream_set_priority},
    {"set_send_hwm", stream_set_send_hwm},
    {"close", stream_close},
    {"closed", stream_closed},
    {"receiving", stream_receiving},
    {"sending", stream_sending},
    {"queued", stream_queued},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", stream_gc},
    {"__close", stream_scope_close},
    {"__tostring", stream_tostring},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"new_stream", new_stream},
    {"stream_socket", stream_socket},
    {"drain_stream", drain_stream},
    {"await_stream", await_stream},
    {"release_stream", release_stream},
    {"foreign_handle", foreign_handle},
    {NULL, NULL},
};

/* [-0, +0] module table on the top. */
void zlua_open_stream(lua_State *L) {
  zlua_new_class(L, &zlua_class_stream, methods, metamethods);
  lua_setfield(L, -2, "ZMQStream");
  zlua_setfuncs(L, functions);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  zlua_setregistry(L, &weak_key);
}
