/* stream.c - class ZMQStream: its life, limits, notices and questions.
 * SPDX-License-Identifier: MIT
 *
 * Its place among the loop's active handles holds the stream while it is
 * active, and otherwise a table with the stream as a weak value: the stream can
 * be collected, but while it exists it can be called.
 */
#include "stream.h"

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
#include "outbox.h"
#include "report.h"
#include "slot.h"
#include "socket.h"
#include "socket_close.h"
#include "zmqloop.h"

/* Registry key of the metatable of weak tables. */
static const char weak_key;

const zlua_class zlua_class_stream = {.name = "ZMQStream",
                                      .size = sizeof(zlua_stream)};

zlua_stream *zlua_no_stream(lua_State *L, const char *method) {
  zlua_stream *stream = zlua_check_self(L, &zlua_class_stream, method);
  zlua_error(L, "stream is closed");
  return stream;
}

static void socket_used(const zlua_socket *socket) {
  zl_stream_used(socket->stream->core);
}

static void socket_touch(const zlua_socket *socket) {
  zl_stream_touch(socket->stream->core);
}

/* In a finalizer, a frame that is being converted must not be overwritten. */
static int receive_ahead(const zlua_socket *socket) {
  return socket->stream->converting == ZLUA_TAKEN
             ? -EFSM
             : zl_stream_receive_ahead(socket->stream->core);
}

static void detach_socket(zlua_socket *socket) {
  zlua_stream_detach(&socket->stream->handle);
}

static void close_stream(lua_State *L, int index, const int *linger) {
  (void)zlua_stream_close(L, index, linger);
}

static const zlua_socket_user socket_user = {
    .used = socket_used,
    .touch = socket_touch,
    .detach = detach_socket,
    .close = close_stream,
    .receive_ahead = receive_ahead,
};

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
    stream->socket->user = NULL;
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

/* ---- notices: room in the queue, errors ---------------------------------- */

typedef struct notice {
  zlua_stream *stream;
  int field; /* of the uservalue, with the user's function */
  int error; /* for on_error; 0 for on_drain */
} notice;

/* (active, state, notice, loop): on_drain's fn(), on_error's fn(message, name).
 * Without on_error, a refused message is an error of the stream. */
int zlua_call_notice(lua_State *L, void *handle) {
  const notice *it = handle;
  (void)zlua_stream_push(L, it->stream, 1); /* 5 */
  zlua_getuservalue(L, 5);                  /* 6 */
  lua_rawgeti(L, 6, it->field);             /* 7: function, or nil */
  if (lua_isnil(L, 7)) {
    zlua_calling(L, 2, 5);
    return zlua_error(L, "a queued message was refused: %s: %s",
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
  (void)zlua_stream_push(L, stream, 1);
  (void)zlua_stream_close(L, 5, NULL);
  return 0;
}

/* [-0, +0] closes the stream, which is held. When out of memory the close
 * callback is not called, but the stream is closed. */
static void finish(zlua_stream *stream, zlua_loop *loop) {
  (void)zlua_call(loop, ZLUA_SLOT_CALL_FINISH, stream);
  if (stream->core) {
    zlua_socket *socket = stream->socket;
    zlua_unanchor(loop->L, &stream->handle, loop->slots + ZLUA_SLOT_ACTIVE);
    (void)detach(stream);
    zlua_socket_shut(socket, NULL);
  }
}

/* [-0, +0] calls the function in the field of the stream at the top, if any. */
static void tell_room(zlua_stream *stream, zlua_loop *loop, int field) {
  notice it = {.stream = stream, .field = field};
  lua_State *L = loop->L;
  zlua_getuservalue(L, -1);
  lua_rawgeti(L, -1, field);
  bool wanted = !lua_isnil(L, -1);
  lua_pop(L, 2);
  if (wanted) {
    (void)zlua_call(loop, ZLUA_SLOT_CALL_NOTICE, &it);
  }
}

static void on_room(zl_stream *core, void *arg) {
  zlua_stream *stream = arg;
  zlua_loop *loop = stream->handle.loop;
  (void)core;
  if (zlua_stream_hold(stream)) {
    tell_room(stream, loop, STREAM_ON_DRAIN);
    if (stream->core) { /* else the callback has closed it */
      tell_room(stream, loop, STREAM_ON_ROOM);
    }
  }
  lua_pop(loop->L, 1);
}

/* The end of a context is reported by the loop; a closed socket closes the
 * stream. */
static void on_error(zl_stream *core, int rc, void *arg) {
  notice it = {.stream = arg, .field = STREAM_ON_ERROR, .error = rc};
  zlua_loop *loop = it.stream->handle.loop;
  bool fatal = rc == -ETERM || rc == -ENOTSOCK;
  (void)core;
  if (zlua_stream_hold(it.stream)) {
    if (it.stream->has_error || !fatal) {
      (void)zlua_call(loop, ZLUA_SLOT_CALL_NOTICE, &it);
    }
    if (rc == -ETERM && it.stream->core) {
      zlua_getuservalue(loop->L, -1);
      lua_rawgeti(loop->L, -1, STREAM_SOCKET);
      zlua_socket_tell_closed(loop->L, -1);
      lua_pop(loop->L, 2);
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
  (void)zlua_stream_hold(stream);
  finish(stream, loop);
  lua_pop(loop->L, 1);
}

/* ---- callbacks ---------------------------------------------------------- */

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

/* on_drain(fn): fn() when there is room in the queue again. */
static int stream_on_drain(lua_State *L) {
  (void)zlua_stream_check(L, "on_drain");
  zlua_check_given(L, "on_drain");
  lua_settop(L, 2);
  zlua_stream_check_callback(L, "on_drain");
  zlua_stream_set_field(L, STREAM_ON_DRAIN, 2);
  return 0;
}

/* on_stream_room(stream, fn): called in addition to on_drain's. */
static int on_stream_room(lua_State *L) {
  (void)zlua_stream_check(L, "send_wait");
  lua_settop(L, 2);
  zlua_stream_set_field(L, STREAM_ON_ROOM, 2);
  return 0;
}

static int set_on_error(lua_State *L, const char *method) {
  zlua_stream *stream = zlua_stream_check(L, method);
  zlua_check_given(L, method);
  lua_settop(L, 2);
  zlua_stream_check_callback(L, method);
  zlua_stream_set_field(L, STREAM_ON_ERROR, 2);
  stream->has_error = !lua_isnil(L, 2);
  return 0;
}

static int stream_on_error(lua_State *L) {
  return set_on_error(L, "on_error");
}

static int stream_stop_on_err(lua_State *L) {
  lua_settop(L, 1);
  lua_pushnil(L);
  return set_on_error(L, "stop_on_err");
}

static int stream_set_close_callback(lua_State *L) {
  (void)zlua_stream_check(L, "set_close_callback");
  zlua_check_given(L, "set_close_callback");
  lua_settop(L, 2);
  zlua_stream_check_callback(L, "set_close_callback");
  zlua_stream_set_field(L, STREAM_ON_CLOSE, 2);
  return 0;
}

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
  zlua_stream *stream = zlua_stream_check(L, "set_send_hwm");
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

/* (active, state, foreign, loop); the object was noted as the callback. Objects
 * without the method are left alone. */
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
  size_t unsent = detach(stream);
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
  /* Everything that may raise is done first. */
  int place = is_telling(loop) ? reserve_closed(L, loop, top + 2) : 0;
  zlua_enter(L, loop, top + 2, &before);
  if (!is_gone(stream) && call_foreign(L, loop, top + 3, "closed", NULL) &&
      stream->core) {
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

/* ---- draining ----------------------------------------------------------- */

/* drain_stream(stream [, seconds]) -> whether the caller must run the loop */
static int drain_stream(lua_State *L) {
  zlua_stream *stream = zlua_stream_check(L, "drain");
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
  zlua_stream_set_kept(L, stream, 1, true);
  lua_pushboolean(L, stream->handle.loop->L == NULL);
  return 1;
}

/* await_stream(stream, on) -> the number of messages unsent at its close. While
 * on, closing the stream stops its loop. */
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
    stream->handle.loop->left_waiting |= stream->has_recv;
    stream->handle.loop->left_deaf |=
        stream->has_recv && stream->socket && stream->socket->deaf;
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
  fill_uservalue(L, 6);
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
  zl_stream_on_room(stream->core, on_room, stream);
  zl_stream_on_error(stream->core, on_error, stream);
  return 1;
}

static const luaL_Reg methods[] = {
    {"on_drain", stream_on_drain},
    {"on_error", stream_on_error},
    {"stop_on_err", stream_stop_on_err},
    {"set_close_callback", stream_set_close_callback},
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
    {"on_stream_room", on_stream_room},
    {"stream_receiver", zlua_stream_receiver},
    {"deliver_stream", zlua_stream_deliver},
    {"stream_token", zlua_stream_token},
    {"unsend", zlua_stream_unsend},
    {"new_stream", new_stream},
    {"stream_socket", stream_socket},
    {"drain_stream", drain_stream},
    {"await_stream", await_stream},
    {"release_stream", release_stream},
    {"foreign_handle", foreign_handle},
    {NULL, NULL},
};

static const zlua_slot_call calls[] = {
    {.slot = ZLUA_SLOT_CALL_RECV,
     .next = zlua_call_recv,
     .repeated = true,
     .class = &zlua_class_stream,
     .suspend = zlua_stream_suspend,
     .resume = zlua_stream_resume},
    {.slot = ZLUA_SLOT_CALL_SENT, .next = zlua_call_sent},
    {.slot = ZLUA_SLOT_CALL_CLOSED, .next = zlua_call_closed},
    {.slot = ZLUA_SLOT_CALL_NOTICE, .next = zlua_call_notice},
};

/* [-0, +0] module table on the top. */
void zlua_open_stream(lua_State *L) {
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    zlua_slot_register(L, &calls[i]);
  }
  zlua_slot_set(L, ZLUA_SLOT_CALL_FINISH, zlua_call_finish);
  zlua_slot_set(L, ZLUA_SLOT_CALL_FOREIGN, zlua_call_foreign);
  zlua_new_class(L, &zlua_class_stream, methods, metamethods);
  zlua_setfuncs(L, zlua_stream_recv_methods);
  zlua_setfuncs(L, zlua_stream_send_methods);
  lua_setfield(L, -2, "ZMQStream");
  zlua_setfuncs(L, functions);
  zlua_setfuncs(L, zlua_stream_jit_functions);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  zlua_setregistry(L, &weak_key);
}
