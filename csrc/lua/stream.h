/* stream.h - class ZMQStream: first for its own files, at the end for others.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_STREAM_H
#define ZLUA_STREAM_H

#include "handle.h"
#include "socket.h"
#include "zmqloop.h"

extern const zlua_class zlua_class_stream;

typedef struct zlua_stream {
  zlua_handle handle;
  zl_stream *core; /* NULL: closed */
  zlua_socket *socket;
  uint64_t tokens;  /* given out so far */
  bool keeping;     /* a report is being stored, or storing failed half-way */
  bool with_stream; /* on_recv_stream: fn(stream, frames) */
  bool unpack;      /* fn(frame1, frame2, ...) */
  bool copy;        /* frames as strings, not as Frames */
  bool usual;       /* copy and not with_stream; checked once per message */
  bool sent_with_stream;
  bool has_recv;
  bool told_deaf; /* the warning that its socket only sends was written */
  bool has_sent;
  bool has_error;
  bool paused;
  int suspended;   /* calls of on_recv's function that have yielded */
  int concurrency; /* how many of them may exist while it still receives */
  bool draining;
  bool awaited;  /* the loop is to stop when the stream is closed */
  bool kept;     /* kept alive by the loop, exactly while it is active */
  size_t unsent; /* how many messages were unsent at its close */
} zlua_stream;

/* The uservalue. */
enum {
  STREAM_LOOP = 1,
  STREAM_SOCKET,
  STREAM_ON_RECV,
  STREAM_ON_SEND,
  STREAM_ON_CLOSE,
  STREAM_ON_DRAIN,
  STREAM_ON_ERROR,
  STREAM_FOREIGN,   /* another library's socket, closed with the stream */
  STREAM_WEAK,      /* {stream}, weakly */
  STREAM_MESSAGES,  /* token -> the frames of a message to be reported */
  STREAM_CALLBACKS, /* token -> its own callback, if it has one */
  STREAM_ON_ROOM    /* internal: like on_drain's */
};

static inline bool zlua_stream_is_receiving(const zlua_stream *stream) {
  return stream->has_recv && !stream->paused;
}

/* May messages be handed out now? */
static inline bool zlua_stream_has_hands_free(const zlua_stream *stream) {
  return zlua_stream_is_receiving(stream) &&
         stream->suspended < stream->concurrency;
}

static inline bool zlua_stream_is_active(const zlua_stream *stream) {
  return zlua_stream_is_receiving(stream) || stream->draining ||
         zl_stream_busy(stream->core);
}

/* Longer messages are rare: they get buffers from Lua, and in LuaJIT take the
 * interpreted path. A macro, since stream_jit.c also needs it as text. */
#define ZLUA_FEW_FRAMES 8

/* What the code for each message does in the unusual case: apart from it, so
 * that the usual one saves no registers for that. */
#ifdef __GNUC__
#define ZLUA_RARE __attribute__((noinline)) static
#else
#define ZLUA_RARE static
#endif

/* A turn of a stream, for the calls that serve it. jit.lua uses the first two
 * fields, as stream_jit.c declares them. */
typedef struct zlua_turn {
  const void *data[ZLUA_FEW_FRAMES]; /* the frames that are shown */
  int size[ZLUA_FEW_FRAMES];
  bool begun;       /* the values looked up once are on the stack */
  unsigned changes; /* of the loop, when the user's function was looked up */
  zlua_stream *stream;
  zl_incoming message; /* that the core shows */
  bool failed;         /* the core had no memory for the next message */
} zlua_turn;

zlua_stream *zlua_no_stream(lua_State *L, const char *method);

/* The open stream that a method was called with. */
static inline zlua_stream *zlua_stream_check(lua_State *L, const char *method) {
  zlua_stream *stream = zlua_test_object(L, 1, &zlua_class_stream);
  return stream && stream->core ? stream : zlua_no_stream(L, method);
}

void zlua_stream_set_kept(lua_State *L, zlua_stream *stream, int index,
                          bool kept);
bool zlua_stream_push(lua_State *L, const zlua_stream *stream,
                      int active_index);
bool zlua_stream_hold(const zlua_stream *stream);
void zlua_stream_release(zlua_stream *stream, const zlua_loop *loop);
void zlua_stream_set_field(lua_State *L, int field, int index);
void zlua_stream_check_callback(lua_State *L, const char *method);
void zlua_stream_add_methods(lua_State *L, const luaL_Reg *methods);
size_t zlua_stream_detach(zlua_stream *stream);
void zlua_stream_leave_loop(zlua_handle *handle);

#endif /* ZLUA_STREAM_H */
