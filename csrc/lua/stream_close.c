/* stream_close.c - class ZMQStream: closing.
 * SPDX-License-Identifier: MIT
 */
#include "stream_close.h"

#include <errno.h>

#include "argument.h"
#include "call.h"
#include "calls.h"
#include "compat.h"
#include "entry.h"
#include "handle.h"
#include "loop.h"
#include "object.h"
#include "open.h"
#include "report.h"
#include "slot.h"
#include "socket.h"
#include "socket_close.h"
#include "stream.h"
#include "zmqloop.h"

static int stream_set_close_callback(lua_State *L) {
  (void)zlua_stream_check(L, "set_close_callback");
  zlua_check_given(L, "set_close_callback");
  lua_settop(L, 2);
  zlua_stream_check_callback(L, "set_close_callback");
  zlua_stream_set_field(L, STREAM_ON_CLOSE, 2);
  return 0;
}

/* A call of a method of another library's socket. */
typedef struct foreign {
  const char *method;
  const int *linger;
  bool result;
} foreign;

/* (active, state, foreign, loop); the object was noted as the callback. Objects
 * without the method are left alone. */
static int run_foreign(lua_State *L) {
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
  size_t unsent;
} closed;

/* (active, state, closed, loop, close callback): fn(unsent) */
static int call_closed(lua_State *L, void *handle) {
  const closed *it = handle;
  lua_rawgeti(L, 2, ZLUA_LEFT_CALLBACK);
  lua_pushinteger(L, (lua_Integer)it->unsent);
  return 2;
}

/* Does the stream know that its socket was closed? */
static bool is_gone(const zlua_stream *stream) {
  return zl_stream_may_send(stream->core, 0) == -ENOTSOCK;
}

/* A close callback that is due while another one of the loop runs waits until
 * that one has returned: otherwise each could close the next stream and
 * overflow the C stack. They are queued in the loop's state at
 * ZLUA_LEFT_CLOSED: callback, unsent, callback, unsent... */
enum { CLOSED_VALUES = 2 };

/* Is a close callback of the loop running? Its caller then calls the waiting
 * ones. */
static bool is_telling(const zlua_loop *loop) {
  const zlua_calls *calls = loop->calls;
  return calls->runner && calls->loop == loop &&
         calls->slot == (int)ZLUA_SLOT_CALL_CLOSED;
}

/* [-0, +0] reserves a place in the queue of the loop at index, so that filling
 * it cannot fail. An unfilled place is skipped. */
static int reserve_closed(lua_State *L, zlua_loop *loop, int index) {
  int place = loop->last_closed + 1;
  zlua_getuservalue(L, index);
  lua_rawgeti(L, -1, ZLUA_LOOP_STATE);
  lua_rawgeti(L, -1, ZLUA_LEFT_CLOSED);
  for (int i = CLOSED_VALUES - 1; i >= 0; i--) {
    lua_pushboolean(L, 0);
    lua_rawseti(L, -2, place + i);
  }
  lua_pop(L, 3);
  loop->last_closed += CLOSED_VALUES;
  return place;
}

/* [-0, +1] pushes the queue; the core has been entered. */
static void push_closed(lua_State *L, const zlua_loop *loop) {
  lua_rawgeti(L, loop->slots + ZLUA_SLOT_STATE, ZLUA_LEFT_CLOSED);
}

/* [-1, +0] fills the place with the close callback at the top. */
static void tell_later(lua_State *L, const zlua_loop *loop, int place,
                       size_t unsent) {
  push_closed(L, loop);
  lua_insert(L, -2);
  lua_rawseti(L, -2, place);
  lua_pushinteger(L, (lua_Integer)unsent);
  lua_rawseti(L, -2, place + 1);
  lua_pop(L, 1);
}

/* [-1, +0] calls the close callback at the top. */
static void tell_now(lua_State *L, zlua_loop *loop, size_t unsent) {
  closed it = {.unsent = unsent};
  lua_rawseti(L, loop->slots + ZLUA_SLOT_STATE, ZLUA_LEFT_CALLBACK);
  (void)zlua_call(loop, ZLUA_SLOT_CALL_CLOSED, &it);
}

/* [-0, +1] takes the first pair off the queue, which is not empty, and pushes
 * the callback, or false. */
static size_t push_first_closed(lua_State *L, zlua_loop *loop) {
  int place = loop->first_closed;
  loop->first_closed += CLOSED_VALUES;
  if (loop->first_closed > loop->last_closed) {
    loop->first_closed = 1;
    loop->last_closed = 0;
  }
  push_closed(L, loop);
  lua_rawgeti(L, -1, place + 1);
  size_t unsent = (size_t)lua_tointeger(L, -1);
  lua_pop(L, 1);
  lua_rawgeti(L, -1, place);
  lua_pushboolean(L, 0); /* keeps the place for reuse */
  lua_rawseti(L, -3, place);
  lua_remove(L, -2);
  return unsent;
}

/* [-0, +0] calls the waiting ones. */
static void tell_rest(lua_State *L, zlua_loop *loop) {
  while (loop->first_closed < loop->last_closed) {
    size_t unsent = push_first_closed(L, loop);
    if (lua_toboolean(L, -1)) {
      tell_now(L, loop, unsent);
    } else {
      lua_pop(L, 1);
    }
  }
}

/* [-0, +0] closes an open stream; the core has been entered. Its uservalue is
 * at index, another library's socket or nil at index + 2. place is that of the
 * close callback in the queue; 0: call it now. */
static void close_now(lua_State *L, zlua_loop *loop, zlua_stream *stream,
                      int index, const int *linger, int place) {
  bool gone = is_gone(stream);
  zlua_unanchor(L, &stream->handle, loop->slots + ZLUA_SLOT_ACTIVE);
  zlua_socket *socket = stream->socket;
  size_t unsent = zlua_stream_detach(stream);
  zlua_socket_shut(socket, linger);
  if (!gone) {
    (void)call_foreign(L, loop, index + 2, "close", linger);
  }
  lua_rawgeti(L, index, STREAM_SOCKET);
  zlua_socket_tell_closed(L, -1);
  lua_pop(L, 1);
  lua_rawgeti(L, index, STREAM_ON_CLOSE);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
  } else if (place > 0) {
    tell_later(L, loop, place, unsent);
  } else {
    tell_now(L, loop, unsent);
    tell_rest(L, loop);
  }
}

/* [-0, +0] closes the stream at index and its socket. linger is in
 * milliseconds; NULL: as set on the socket. Then calls the close callback; if
 * another one of the same loop is running, after that has returned. Returns the
 * number of unsent messages. */
size_t zlua_stream_close(lua_State *L, int index, const int *linger) {
  zlua_stream *stream = zlua_test_object(L, index, &zlua_class_stream);
  zlua_loop *loop = stream->handle.loop;
  zlua_entry before;
  int top = lua_gettop(L);
  zlua_getuservalue(L, index);
  lua_rawgeti(L, top + 1, STREAM_LOOP);
  lua_rawgeti(L, top + 1, STREAM_FOREIGN);
  /* Everything that may raise is done first. A finalizer may then close it. */
  int place = is_telling(loop) ? reserve_closed(L, loop, top + 2) : 0;
  zlua_enter(L, loop, top + 2, &before);
  if (stream->core && !is_gone(stream) &&
      call_foreign(L, loop, top + 3, "closed", NULL) && stream->core) {
    zl_stream_socket_closed(stream->core);
  }
  if (stream->core) {
    close_now(L, loop, stream, top + 1, linger, place);
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

static const zlua_slot_call closed_call = {
    .slot = ZLUA_SLOT_CALL_CLOSED,
    .next = call_closed,
};

/* [-0, +0] module table on the top. */
void zlua_open_stream_close(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"set_close_callback", stream_set_close_callback},
      {"close", stream_close},
      {NULL, NULL},
  };
  static const luaL_Reg metamethods[] = {
      {"__close", stream_scope_close},
      {NULL, NULL},
  };
  zlua_slot_register(L, &closed_call);
  zlua_slot_set(L, ZLUA_SLOT_CALL_FOREIGN, run_foreign);
  lua_pushcfunction(L, release_stream);
  lua_setfield(L, -2, "release_stream");
  zlua_stream_add_methods(L, methods);
  zlua_getregistry(L, &zlua_class_stream);
  zlua_setfuncs(L, metamethods);
  lua_pop(L, 1);
}
