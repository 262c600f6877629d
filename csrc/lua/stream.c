/* stream.c - shared by the files of class ZMQStream.
 * SPDX-License-Identifier: MIT
 *
 * Its place among the loop's active handles holds the stream while it is
 * active, and otherwise a table with the stream as a weak value: the stream can
 * be collected, but while it exists it can be called.
 */
#include "stream.h"

#include "argument.h"
#include "compat.h"
#include "handle.h"
#include "loop.h"
#include "object.h"
#include "slot.h"
#include "socket.h"
#include "socket_close.h"
#include "zmqloop.h"

const zlua_class zlua_class_stream = {.name = "ZMQStream",
                                      .size = sizeof(zlua_stream)};

zlua_stream *zlua_no_stream(lua_State *L, const char *method) {
  zlua_stream *stream = zlua_check_self(L, &zlua_class_stream, method);
  zlua_error(L, "stream is closed");
  return stream;
}

/* Detaches the stream from its core handle. Returns how many messages were not
 * sent. */
size_t zlua_stream_detach(zlua_stream *stream) {
  size_t unsent = zl_stream_close(stream->core);
  if (stream->awaited && stream->handle.loop->core) {
    zl_loop_stop(stream->handle.loop->core);
    stream->awaited = false;
  }
  stream->core = NULL;
  stream->unsent = unsent;
  stream->kept = false;
  stream->handle.anchor = 0;
  if (stream->socket) {
    stream->socket->stream = NULL;
    stream->socket->user = NULL;
    stream->socket = NULL;
  }
  zlua_unlink(&stream->handle);
  return unsent;
}

/* The loop is being closed. */
void zlua_stream_leave_loop(zlua_handle *handle) {
  zlua_socket *socket = ((zlua_stream *)handle)->socket;
  (void)zlua_stream_detach((zlua_stream *)handle);
  if (socket && socket->of_loop) { /* a monitor's, which only this stream
                                    * uses */
    zlua_socket_shut(socket, NULL);
  }
}

/* [-0, +0] starts or stops keeping the stream at index alive. Its place in the
 * table exists while the stream is open, so this cannot fail. */
void zlua_stream_set_kept(lua_State *L, zlua_stream *stream, int index,
                          bool kept) {
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
bool zlua_stream_push(lua_State *L, const zlua_stream *stream,
                      int active_index) {
  lua_rawgeti(L, active_index, stream->handle.anchor);
  if (lua_istable(L, -1)) {
    lua_rawgeti(L, -1, 1);
    lua_remove(L, -2);
  }
  return !lua_isnil(L, -1);
}

/* [-0, +1] pushes the stream, so that it outlives the callback. */
bool zlua_stream_hold(const zlua_stream *stream) {
  const zlua_loop *loop = stream->handle.loop;
  return zlua_stream_push(loop->L, stream, loop->slots + ZLUA_SLOT_ACTIVE);
}

/* [-1, +0] pops what zlua_stream_hold() has pushed. */
void zlua_stream_release(zlua_stream *stream, const zlua_loop *loop) {
  if (stream->core) {
    zlua_stream_set_kept(loop->L, stream, -1, zlua_stream_is_active(stream));
  }
  lua_pop(loop->L, 1);
}

/* [-0, +0] uservalue[field] = the value at index. */
void zlua_stream_set_field(lua_State *L, int field, int index) {
  index = zlua_absindex(L, index);
  zlua_getuservalue(L, 1);
  lua_pushvalue(L, index);
  lua_rawseti(L, -2, field);
  lua_pop(L, 1);
}

/* A callback, or nil to unset it. */
void zlua_stream_check_callback(lua_State *L, const char *method) {
  if (!lua_isnil(L, 2)) {
    zlua_check_callable(L, method, 1, 2);
  }
}

/* [-0, +0] adds methods to the class; module table on the top. */
void zlua_stream_add_methods(lua_State *L, const luaL_Reg *methods) {
  lua_getfield(L, -1, "ZMQStream");
  zlua_setfuncs(L, methods);
  lua_pop(L, 1);
}
