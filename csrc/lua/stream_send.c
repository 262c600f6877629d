/* stream_send.c - class ZMQStream: sending, and reports of what was sent.
 * SPDX-License-Identifier: MIT
 *
 * A message with a report is kept, under its token, in the uservalue's tables
 * until it is reported.
 */
#include "stream_send.h"

#include <errno.h>
#include <zmq.h>

#include "argument.h"
#include "call.h"
#include "compat.h"
#include "loop.h"
#include "message.h"
#include "object.h"
#include "open.h"
#include "outgoing.h"
#include "report.h"
#include "send_options.h"
#include "slot.h"
#include "socket.h"
#include "stream.h"
#include "stream_recv.h"
#include "tracker.h"
#include "zmqloop.h"
#include "zmqloop_batch.h"

/* ---- reports ------------------------------------------------------------ */

typedef struct sent {
  zlua_stream *stream;
  uint64_t token;
  int status;
  bool to_stream; /* to the stream's on_send, not to the message's own
                   * callback */
  bool is_told;   /* the call has begun */
} sent;

/* [-0, +n] pushes true, or nil, message, name; returns how many. */
static int push_status(lua_State *L, int status) {
  if (status < 0) {
    return zlua_fail(L, status);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* [-0, +1] pushes table[token]. */
static void push_of_token(lua_State *L, int table, uint64_t token) {
  zlua_pushint64(L, (int64_t)token);
  lua_rawget(L, table);
}

/* [-0, +0] table[token] = nil */
static void forget_token(lua_State *L, int table, uint64_t token) {
  zlua_pushint64(L, (int64_t)token);
  lua_pushnil(L);
  lua_rawset(L, table);
}

/* (active, state, sent, loop): fn(frames, status). What needs memory comes
 * first: if there is none, tell() calls this again. */
static int call_sent(lua_State *L, void *handle) {
  enum { STREAM = 5, USERVALUE, MESSAGES, CALLBACKS, FRAMES, CALLBACK };
  sent *it = handle;
  zlua_stream *stream = it->stream;
  zlua_stream_make_room(L);
  if (!stream->core) { /* a finalizer or hook has just closed it */
    return 0;
  }
  (void)zlua_stream_push(L, stream, 1);
  zlua_getuservalue(L, STREAM);
  lua_rawgeti(L, USERVALUE, STREAM_MESSAGES);
  lua_rawgeti(L, USERVALUE, STREAM_CALLBACKS);
  push_of_token(L, MESSAGES, it->token);
  if (it->to_stream) {
    lua_rawgeti(L, USERVALUE, STREAM_ON_SEND);
  } else {
    push_of_token(L, CALLBACKS, it->token);
  }
  int count = 1 + push_status(L, it->status); /* of the arguments */
  forget_token(L, it->to_stream ? MESSAGES : CALLBACKS, it->token);
  it->is_told = true;
  if (lua_isnil(L, CALLBACK)) {
    return 0;
  }
  zlua_calling(L, 2, CALLBACK);
  lua_pushvalue(L, FRAMES);
  lua_insert(L, CALLBACK + 1);
  if (it->to_stream && stream->sent_with_stream) {
    lua_pushvalue(L, STREAM);
    lua_insert(L, CALLBACK + 1);
    count++;
  }
  return 1 + count;
}

/* A token's last bit is set if the message has a callback of its own. */
static bool has_callback(uint64_t token) {
  return token & 1;
}

/* Without memory tries once more, since some may be free again. */
static void tell(zlua_loop *loop, sent *it) {
  enum { ATTEMPTS = 2 };
  it->is_told = false;
  for (int i = 0; i < ATTEMPTS && !it->is_told && it->stream->core; i++) {
    (void)zlua_call(loop, ZLUA_SLOT_CALL_SENT, it);
  }
}

void zlua_stream_on_sent(zl_stream *core, uint64_t token, int status,
                         void *arg) {
  sent it = {.stream = arg, .token = token, .status = status};
  zlua_loop *loop = it.stream->handle.loop;
  (void)core;
  (void)zlua_stream_hold(it.stream);
  if (has_callback(token)) {
    tell(loop, &it);
  }
  it.to_stream = true;
  tell(loop, &it);
  zlua_stream_release(it.stream, loop);
}

void zlua_stream_on_empty(zl_stream *core, void *arg) {
  zlua_stream *stream = arg;
  (void)core;
  (void)zlua_stream_hold(stream);
  zlua_stream_release(stream, stream->handle.loop);
}

static int set_on_send(lua_State *L, const char *method, bool with_stream) {
  zlua_stream *stream = zlua_stream_check(L, method);
  zlua_check_given(L, method);
  lua_settop(L, 2);
  zlua_stream_check_callback(L, method);
  zlua_stream_set_field(L, STREAM_ON_SEND, 2);
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
  lua_pushnil(L);
  return set_on_send(L, "stop_on_send", false);
}

/* ---- sending ------------------------------------------------------------ */

/* [-0, +2] reads the argument at 3: nil, a function, or a table of options.
 * Pushes a value that must stay alive, then the message's own callback, or
 * nil. */
static void stream_check_send_options(lua_State *L, const char *method,
                                      zlua_send_options *options) {
  static const char *const names[] = {"callback", "copy",  "early",
                                      "flags",    "group", "routing_id",
                                      "track",    NULL};
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
  lua_getfield(L, 3, "early");
  options->early = lua_toboolean(L, -1);
  lua_pop(L, 1);
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
  zlua_pushint64(L, (int64_t)token);
  lua_pushvalue(L, index);
  lua_rawset(L, -3);
  lua_pop(L, 2);
}

/* [-0, +1] pushes the i-th part, from 1, of the value at index: a part or a
 * list of parts. */
static void push_part(lua_State *L, int index, size_t i) {
  if (lua_istable(L, index)) {
    lua_rawgeti(L, index, (int)i);
  } else {
    lua_pushvalue(L, index);
  }
}

/* [-0, +1] pushes a copy of the list of parts at 2: if the sender changes the
 * original afterwards, the report still shows what was sent. */
static void push_parts(lua_State *L, size_t count) {
  lua_createtable(L, (int)count, 0);
  for (size_t i = 1; i <= count; i++) {
    push_part(L, 2, i);
    lua_rawseti(L, -2, (int)i);
  }
}

static void forget_report(lua_State *L, uint64_t token) {
  lua_pushnil(L);
  keep(L, STREAM_MESSAGES, token, -1);
  if (has_callback(token)) {
    keep(L, STREAM_CALLBACKS, token, -1);
  }
  lua_pop(L, 1);
}

/* Stores what the report needs: the parts at index and the message's own
 * callback, or nil, at callback_index. Returns its token. No finalizer runs
 * meanwhile. If memory runs out half-way, the next report cleans up. */
static uint64_t keep_report(lua_State *L, zlua_stream *stream, int index,
                            int callback_index) {
  bool own = !lua_isnil(L, callback_index);
  uint64_t next = (stream->tokens + 1) << 1;
  uint64_t token = next | (own ? 1 : 0);
  if (stream->keeping) {
    forget_report(L, next | 1);
  }
  stream->keeping = true;
  if (own) {
    keep(L, STREAM_CALLBACKS, token, callback_index);
  }
  keep(L, STREAM_MESSAGES, token, index);
  stream->keeping = false;
  stream->tokens++;
  return token;
}

/* Sends the strings at index, using the array of frames. Their bytes are looked
 * up last, when nothing that might change the list can run any more. */
static int send_strings(lua_State *L, const zlua_stream *stream, int index,
                        zl_frame *frames, size_t count, uint64_t token) {
  for (size_t i = 0; i < count; i++) {
    push_part(L, index, i + 1);
    if (lua_type(L, -1) != LUA_TSTRING) {
      return -EINVAL; /* a finalizer has changed it */
    }
    frames[i].data = lua_tolstring(L, -1, &frames[i].size);
    lua_pop(L, 1); /* the list keeps the string alive */
  }
  return zl_stream_send(stream->core, frames, count, token);
}

/* A send of the socket may be under way, in whose hook this is: its frames
 * stay.
 */
static int stream_send_messages(lua_State *L, zlua_stream *stream, int index,
                                size_t count, const zlua_send_options *options,
                                uint64_t token) {
  zlua_outgoing *it = &stream->socket->outgoing;
  size_t before = it->whole.count;
  int rc = zlua_outgoing_add(L, it, index, count, options);
  if (rc == 0) {
    rc = zl_stream_send_messages(stream->core, &it->whole.frames[before], count,
                                 token);
  }
  zlua_outgoing_cut(it, before);
  return rc;
}

/* Sends the parts at 2, with the message's own callback, or nil, at 6. Returns
 * ZL_SENT, ZL_QUEUED or an error, and the token of its report, or 0. Everything
 * that may raise or run a finalizer comes before the report is stored. */
static int send_parts(lua_State *L, zlua_stream *stream, size_t count,
                      bool as_messages, const zlua_send_options *options,
                      uint64_t *token) {
  zl_frame few[ZLUA_FEW_FRAMES];
  zl_frame *frames = few;
  int parts = 2;
  bool reports = stream->has_sent || !lua_isnil(L, 6);
  if (reports) {
    push_parts(L, count);
    parts = lua_gettop(L);
  }
  if (!as_messages && count > ZLUA_FEW_FRAMES) {
    frames = lua_newuserdata(L, count * sizeof *frames);
  }
  if (!stream->core) { /* by a finalizer */
    return zlua_error(L, "stream is closed");
  }
  *token = reports ? keep_report(L, stream, parts, 6) : 0;
  zl_stream_early(stream->core, options->early);
  int rc = as_messages
               ? stream_send_messages(L, stream, parts, count, options, *token)
               : send_strings(L, stream, parts, frames, count, *token);
  zl_stream_early(stream->core, 0);
  if (rc < 0 && reports) {
    forget_report(L, *token);
  }
  return rc;
}

/* Sends the part or list at 2, which has been checked, with the options at 3.
 * -> true or a tracker | nil, message, name */
static int stream_send_message(lua_State *L, zlua_stream *stream,
                               const char *method, zlua_message message) {
  zlua_send_options options = {0};
  uint64_t token = 0;
  int rc = *stream->socket->here
               ? zlua_socket_check_message(stream->socket, &message)
               : -ECHILD;
  if (rc < 0) {
    return zlua_fail(L, rc);
  }
  lua_settop(L, 3);
  lua_pushboolean(L, 1); /* 4: the answer */
  if (!lua_isnil(L, 3)) {
    stream_check_send_options(L, method, &options); /* 5, 6: its own callback */
  } else {
    lua_settop(L, 6);
  }
  if (!stream->core) { /* closed by a metamethod of the options */
    return zlua_error(L, "stream is closed");
  }
  bool as_messages = message.has_frames || zlua_needs_message(&options);
  if (stream->has_sent || !lua_isnil(L, 3) || as_messages) {
    /* A full queue is an ordinary result, and costs nothing. */
    zl_stream_early(stream->core, options.early);
    rc = zl_stream_may_send(stream->core, message.bytes);
    zl_stream_early(stream->core, 0);
    if (rc < 0) {
      return zlua_fail(L, rc);
    }
  }
  if (options.track) {
    options.tracking = zlua_new_tracker(L);
    lua_replace(L, 4);
  }
  rc = send_parts(L, stream, message.count, as_messages, &options, &token);
  if (rc < 0) {
    return zlua_fail_send(L, rc, &options);
  }
  if (rc == ZL_QUEUED || token != 0) {
    zlua_stream_set_kept(L, stream, 1, true);
  }
  lua_settop(L, 4);
  return 1;
}

/* stream_token(stream) -> the token of the last message that had one */
static int stream_token(lua_State *L) {
  const zlua_stream *stream = zlua_stream_check(L, "send_wait");
  zlua_pushint64(L, (int64_t)(stream->tokens << 1 | 1));
  return 1;
}

/* unsend(stream, token): cancels a message with a callback of its own, if it is
 * still in the queue. Returns whether it was. */
static int unsend(lua_State *L) {
  zlua_stream *stream = zlua_check_self(L, &zlua_class_stream, "unsend");
  uint64_t token =
      (uint64_t)zlua_check_integer(L, "unsend", 1, 2, 0, INT64_MAX);
  bool taken = stream->core && zl_stream_unsend(stream->core, token);
  if (taken) {
    forget_report(L, token);
    zlua_stream_set_kept(L, stream, 1, zlua_stream_is_active(stream));
  }
  lua_pushboolean(L, taken);
  return 1;
}

/* ---- the usual case: strings, without options or reports ----------------- */

static bool is_usual(lua_State *L, const zlua_stream *stream) {
  return !stream->has_sent && !stream->socket->uses_norm &&
         (lua_gettop(L) == 2 || lua_isnoneornil(L, 3));
}

/* -> true | nil, message, name */
static int stream_send_frames(lua_State *L, zlua_stream *stream,
                              const zl_frame *frames, size_t count) {
  static const zlua_send_options none = {0};
  int rc = *stream->socket->here
               ? zl_stream_send(stream->core, frames, count, 0)
               : -ECHILD;
  if (rc < 0) {
    return zlua_fail_send(L, rc, &none);
  }
  if (rc == ZL_QUEUED) {
    zlua_stream_set_kept(L, stream, 1, true);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* [-0, +count] pushes the strings of the list at 2, which must stay on the
 * stack. Returns whether it has only strings. */
static bool send_push_strings(lua_State *L, zl_frame *frames, size_t count) {
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, 2, (int)i + 1);
    if (lua_type(L, -1) != LUA_TSTRING) {
      return false;
    }
    frames[i].data = lua_tolstring(L, -1, &frames[i].size);
  }
  return true;
}

/* [-0, +0 or +2] Does the list at 2 have anything but its first `count`
 * elements? zlua_has_hole() decides whether that is an error. */
static bool has_more(lua_State *L, size_t count) {
  lua_pushinteger(L, (lua_Integer)count);
  return lua_next(L, 2) != 0;
}

/* Sends the list at 2, if it is a few strings; nothing that could change it
 * runs meanwhile. -> as stream_send_frames(), or 0: it has something else */
static int send_few_strings(lua_State *L, zlua_stream *stream) {
  zl_frame frames[ZLUA_FEW_FRAMES];
  size_t count = zlua_rawlen(L, 2);
  if (count == 0 || count > ZLUA_FEW_FRAMES ||
      !send_push_strings(L, frames, count) || has_more(L, count)) {
    lua_settop(L, 2);
    return 0;
  }
  return stream_send_frames(L, stream, frames, count);
}

/* send(data [, options | callback]) */
static int stream_send(lua_State *L) {
  zlua_stream *stream = zlua_stream_check(L, "send");
  if (is_usual(L, stream) && lua_type(L, 2) == LUA_TSTRING) {
    zl_frame frame;
    frame.data = lua_tolstring(L, 2, &frame.size);
    return stream_send_frames(L, stream, &frame, 1);
  }
  return stream_send_message(L, stream, "send", zlua_check_part(L, "send", 2));
}

/* the same */
static int stream_send_string(lua_State *L) {
  zlua_stream *stream = zlua_stream_check(L, "send_string");
  return stream_send_message(L, stream, "send_string",
                             zlua_check_part(L, "send_string", 2));
}

/* send_multipart(list [, options | callback]): all frames are checked before
 * anything is sent. */
static int stream_send_multipart(lua_State *L) {
  zlua_stream *stream = zlua_stream_check(L, "send_multipart");
  int results = is_usual(L, stream) && lua_istable(L, 2)
                    ? send_few_strings(L, stream)
                    : 0;
  if (results == 0) {
    zlua_message message = zlua_check_message(L, "send_multipart", 2);
    results = stream_send_message(L, stream, "send_multipart", message);
  }
  return results;
}

static const zlua_slot_call sent_call = {
    .slot = ZLUA_SLOT_CALL_SENT,
    .next = call_sent,
};

/* [-0, +0] module table on the top. */
void zlua_open_stream_send(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"on_send", stream_on_send},
      {"on_send_stream", stream_on_send_stream},
      {"stop_on_send", stream_stop_on_send},
      {"send", stream_send},
      {"send_string", stream_send_string},
      {"send_multipart", stream_send_multipart},
      {NULL, NULL},
  };
  static const luaL_Reg functions[] = {
      {"stream_token", stream_token},
      {"unsend", unsend},
      {NULL, NULL},
  };
  zlua_slot_register(L, &sent_call);
  zlua_setfuncs(L, functions);
  zlua_stream_add_methods(L, methods);
}
