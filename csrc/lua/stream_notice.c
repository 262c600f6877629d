/* stream_notice.c - class ZMQStream: room in the queue, errors, draining.
 * SPDX-License-Identifier: MIT
 */
#include "stream_notice.h"

#include <errno.h>

#include "argument.h"
#include "call.h"
#include "compat.h"
#include "handle.h"
#include "loop.h"
#include "object.h"
#include "open.h"
#include "report.h"
#include "slot.h"
#include "socket.h"
#include "socket_close.h"
#include "stream.h"
#include "stream_close.h"
#include "zmqloop.h"

typedef struct notice {
  zlua_stream *stream;
  int field; /* of the uservalue, with the user's function */
  int error; /* for on_error; 0 for on_drain */
} notice;

/* (active, state, notice, loop): on_drain's fn(), on_error's fn(message, name).
 * Without on_error, a refused message is an error of the stream. */
static int call_notice(lua_State *L, void *handle) {
  const notice *it = handle;
  if (!it->stream->core) { /* a finalizer or hook has just closed it */
    return 0;
  }
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
static int call_finish(lua_State *L) {
  const zlua_stream *stream = lua_touserdata(L, 3);
  (void)zlua_stream_push(L, stream, 1);
  if (stream->core) { /* else a finalizer has closed it */
    (void)zlua_stream_close(L, 5, NULL);
  }
  return 0;
}

static void on_done(zl_stream *core, void *arg);

/* [-0, +0] closes the stream, which is held. Without memory for that tries
 * again in the next iteration. Then the socket is dead, everything has been
 * sent, or there is a timer, which can be started again: none of these needs
 * memory. */
static void finish(zlua_stream *stream, zlua_loop *loop) {
  (void)zlua_call(loop, ZLUA_SLOT_CALL_FINISH, stream);
  if (stream->core && zl_stream_drain(stream->core, 0, on_done, stream) < 0) {
    (void)zl_stream_drain(stream->core, ZL_FOREVER, on_done, stream);
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

void zlua_stream_on_room(zl_stream *core, void *arg) {
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
void zlua_stream_on_error(zl_stream *core, int rc, void *arg) {
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
  /* A finalizer may have closed it. */
  lua_pushboolean(L, stream->core && stream->handle.loop->L == NULL);
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

static const zlua_slot_call notice_call = {
    .slot = ZLUA_SLOT_CALL_NOTICE,
    .next = call_notice,
};

/* [-0, +0] module table on the top. */
void zlua_open_stream_notice(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"on_drain", stream_on_drain},
      {"on_error", stream_on_error},
      {"stop_on_err", stream_stop_on_err},
      {NULL, NULL},
  };
  static const luaL_Reg functions[] = {
      {"on_stream_room", on_stream_room},
      {"drain_stream", drain_stream},
      {"await_stream", await_stream},
      {NULL, NULL},
  };
  zlua_slot_register(L, &notice_call);
  zlua_slot_set(L, ZLUA_SLOT_CALL_FINISH, call_finish);
  zlua_setfuncs(L, functions);
  zlua_stream_add_methods(L, methods);
}
