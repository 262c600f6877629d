/* stream_life.c - class ZMQStream: creation, queries, collection.
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>

#include "argument.h"
#include "compat.h"
#include "handle.h"
#include "loop.h"
#include "object.h"
#include "open.h"
#include "socket.h"
#include "stream.h"
#include "stream_close.h"
#include "stream_notice.h"
#include "stream_send.h"
#include "zmqloop.h"

/* Registry key of the metatable of weak tables. */
static const char weak_key;

static void stream_socket_used(const zlua_socket *socket) {
  zl_stream_used(socket->stream->core);
}

static void stream_socket_touch(const zlua_socket *socket) {
  zl_stream_touch(socket->stream->core);
}

static int stream_disconnect(const zlua_socket *socket, const char *address) {
  return zl_stream_disconnect(socket->stream->core, address);
}

static void stream_detach_socket(zlua_socket *socket) {
  (void)zlua_stream_detach(socket->stream);
}

static void close_stream(lua_State *L, int index, const int *linger) {
  (void)zlua_stream_close(L, index, linger);
}

static const zlua_socket_user socket_user = {
    .used = stream_socket_used,
    .touch = stream_socket_touch,
    .detach = stream_detach_socket,
    .close = close_stream,
    .disconnect = stream_disconnect,
};

static int stream_set_batch(lua_State *L) {
  zlua_stream *stream = zlua_stream_check(L, "set_batch");
  int batch = (int)zlua_check_integer(L, "set_batch", 1, 2, 1, 65535);
  (void)zl_stream_set_batch(stream->core, batch);
  return 0;
}

static int stream_set_priority(lua_State *L) {
  zlua_stream *stream = zlua_stream_check(L, "set_priority");
  int priority =
      (int)zlua_check_integer(L, "set_priority", 1, 2, -1000000, 1000000);
  (void)zl_stream_set_priority(stream->core, priority);
  return 0;
}

/* A limit of the queue; 0 or nil: no limit. */
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
  zlua_stream *stream = zlua_stream_check(L, "set_send_hwm");
  size_t messages = check_limit(L, 1);
  size_t bytes = check_limit(L, 2);
  zl_stream_set_limits(stream->core, messages, bytes);
  return 0;
}

static int stream_gc(lua_State *L) {
  zlua_stream *stream = zlua_test_object(L, 1, &zlua_class_stream);
  if (stream && stream->core) {
    zlua_getuservalue(L, 1);
    lua_rawgeti(L, -1, STREAM_LOOP);
    zlua_push_active(L, -1);
    zlua_unanchor(L, &stream->handle, lua_gettop(L));
    stream->handle.loop->left_waiting |= stream->has_recv;
    stream->handle.loop->left_deaf |=
        stream->has_recv && stream->socket && stream->socket->deaf;
    (void)zlua_stream_detach(stream);
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
  lua_pushboolean(L, stream->core && zlua_stream_is_receiving(stream));
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
                    zlua_stream_is_receiving(stream) ? "receiving" : "paused",
                    (int)count_queued(stream), (const void *)stream);
  }
  return 1;
}

/* stream_socket(stream) -> the zmqloop socket it uses: its own, or the wrapper
 * of another library's */
static int stream_socket(lua_State *L) {
  (void)zlua_stream_check(L, "socket");
  zlua_getuservalue(L, 1);
  lua_rawgeti(L, -1, STREAM_SOCKET);
  return 1;
}

/* ---- opening ------------------------------------------------------------ */

/* LuaJIT's own type, for which Lua has no constant. */
enum { TYPE_CDATA = 10 };

/* foreign_handle(value) -> a light userdata, or nil. value is one, or a LuaJIT
 * pointer, which the caller has checked. */
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

/* [-0, +1] pushes {the value at index}, a weak reference. */
static void push_weak(lua_State *L, int index) {
  lua_createtable(L, 1, 0);
  lua_pushvalue(L, index);
  lua_rawseti(L, -2, 1);
  zlua_getregistry(L, &weak_key);
  lua_setmetatable(L, -2);
}

/* [-0, +0] fills the uservalue of the stream at index: loop at 2, socket at 3,
 * another library's socket to be closed with it at 5 */
static void stream_fill_uservalue(lua_State *L, int index) {
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
 * name. For another library's socket: socket is the borrowing wrapper, given
 * the user's argument, and owned the object to be closed with the stream, or
 * nil. */
static int new_stream(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  zlua_loop *loop = zlua_check_loop(L, 2, "ZMQStream", 2);
  zlua_socket *socket = zlua_check_socket(L, 3, "ZMQStream", 1);
  if (socket->user) {
    return zlua_argument_error(L, "ZMQStream", 1,
                               "socket is already registered");
  }
  lua_settop(L, 5);
  bool is_foreign = !lua_isnil(L, 4);
  zlua_stream *stream = zlua_new_object(L, &zlua_class_stream); /* 6 */
  stream_fill_uservalue(L, 6);
  zlua_set_own_metatable(L, &zlua_class_stream, 1);
  set_fields(L, 6);
  zlua_socket_set_user(L, 3, 6);
  zlua_anchor(L, &stream->handle, 6); /* reserves its place; may raise, so it
                                       * comes first */
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
  zlua_stream_set_kept(L, stream, 6, false);
  stream->socket = socket;
  socket->stream = stream;
  socket->user = &socket_user;
  zl_stream_on_sent(stream->core, zlua_stream_on_sent, stream);
  zl_stream_on_empty(stream->core, zlua_stream_on_empty, stream);
  zl_stream_on_room(stream->core, zlua_stream_on_room, stream);
  zl_stream_on_error(stream->core, zlua_stream_on_error, stream);
  return 1;
}

static const luaL_Reg methods[] = {
    {"set_batch", stream_set_batch},
    {"set_priority", stream_set_priority},
    {"set_send_hwm", stream_set_send_hwm},
    {"closed", stream_closed},
    {"receiving", stream_receiving},
    {"sending", stream_sending},
    {"queued", stream_queued},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", stream_gc},
    {"__tostring", stream_tostring},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"new_stream", new_stream},
    {"stream_socket", stream_socket},
    {"foreign_handle", foreign_handle},
    {NULL, NULL},
};

/* [-0, +0] module table on the top. */
void zlua_open_stream_life(lua_State *L) {
  zlua_new_class(L, &zlua_class_stream, methods, metamethods);
  lua_setfield(L, -2, "ZMQStream");
  zlua_setfuncs(L, functions);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  zlua_setregistry(L, &weak_key);
}
