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

/* Does the stream know that its socket was closed? */
static bool is_gone(const zlua_stream *stream) {
  return zl_stream_error(stream->core) == -ENOTSOCK;
}

/* A close callback that is due while another one of the loop runs waits until
 * that one has returned: otherwise each could close the next stream and
 * overflow the C stack. They are queued in the loop's state at
 * ZLUA_LEFT_CLOSED: callback, unsent, callback, unsent... */
enum { CLOSED_VALUES = 2, CLOSED_ROOM = 8 };

/* Is a close callback of the loop running? Its caller then calls the waiting
 * ones. */
static bool is_telling(const zlua_loop *loop) {
  const zlua_calls *calls = loop->calls;
  return calls->runner && calls->loop == loop &&
         calls->slot == (int)ZLUA_SLOT_CALL_CLOSED;
}

/* [-0, +0] makes room in the queue of the loop at index, so that add_closed()
 * needs no memory: also for streams that finalizers close before it. */
static void make_room_for_closed(lua_State *L, const zlua_loop *loop,
                                 int index) {
  int end = loop->last_closed + CLOSED_ROOM * CLOSED_VALUES;
  zlua_getuservalue(L, index);
  lua_rawgeti(L, -1, ZLUA_LOOP_STATE);
  lua_rawgeti(L, -1, ZLUA_LEFT_CLOSED);
  lua_rawgeti(L, -1, end);
  bool has_room = !lua_isnil(L, -1);
  lua_pop(L, 1);
  for (int place = loop->last_closed + 1; place <= end && !has_room; place++) {
    lua_pushboolean(L, 0);
    lua_rawseti(L, -2, place);
  }
  lua_pop(L, 3);
}

/* [-1, +0] queues the close callback at the top. */
static void add_closed(lua_State *L, zlua_loop *loop, size_t unsent) {
  int place = loop->last_closed + 1;
  loop->last_closed += CLOSED_VALUES;
  lua_rawgeti(L, loop->slots + ZLUA_SLOT_STATE, ZLUA_LEFT_CLOSED);
  lua_insert(L, -2);
  lua_rawseti(L, -2, place);
  lua_pushinteger(L, (lua_Integer)unsent);
  lua_rawseti(L, -2, place + 1);
  lua_pop(L, 1);
}

/* [-0, +2] takes the first pair off the queue, which is not empty. The state is
 * at index. */
static void take_closed(lua_State *L, zlua_loop *loop, int state) {
  int place = loop->first_closed;
  loop->first_closed += CLOSED_VALUES;
  if (loop->first_closed > loop->last_closed) {
    loop->first_closed = 1;
    loop->last_closed = 0;
  }
  lua_rawgeti(L, state, ZLUA_LEFT_CLOSED);
  lua_rawgeti(L, -1, place);
  lua_rawgeti(L, -2, place + 1);
  lua_pushboolean(L, 0); /* keeps the place for reuse */
  lua_rawseti(L, -4, place);
  lua_remove(L, -3);
}

/* (active, state, whether it was taken, loop): fn(unsent) */
static int call_closed(lua_State *L, void *taken) {
  take_closed(L, lua_touserdata(L, 4), 2);
  *(bool *)taken = true;
  zlua_calling(L, 2, lua_gettop(L) - 1);
  return 2;
}

static void tell_again(zl_loop *core, void *arg);

/* [-0, +0] calls the queued close callbacks. One for whose call there is no
 * memory stays queued: the next iteration, or the next close, calls it. */
static void tell_closed(zlua_loop *loop) {
  bool taken = true;
  while (taken && loop->first_closed < loop->last_closed) {
    taken = false;
    (void)zlua_call(loop, ZLUA_SLOT_CALL_CLOSED, &taken);
  }
  if (!taken && loop->core) {
    (void)zl_loop_add_callback(loop->core, tell_again, loop);
  }
}

static void tell_again(zl_loop *core, void *arg) {
  zlua_loop *loop = arg;
  (void)core;
  tell_closed(loop);
}

/* [-0, +0] closes an open stream; the core has been entered. Its uservalue is
 * at index, another library's socket or nil at index + 2. */
static void close_now(lua_State *L, zlua_loop *loop, zlua_stream *stream,
                      int index, const int *linger) {
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
  if (!lua_isnil(L, -1)) {
    add_closed(L, loop, unsent);
  } else {
    lua_pop(L, 1);
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
  make_room_for_closed(L, loop, top + 2);
  zlua_enter(L, loop, top + 2, &before);
  if (stream->core && !is_gone(stream) &&
      call_foreign(L, loop, top + 3, "closed", NULL) && stream->core) {
    zl_stream_socket_closed(stream->core);
  }
  if (stream->core) {
    close_now(L, loop, stream, top + 1, linger);
  }
  if (!is_telling(loop)) {
    tell_closed(loop);
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
