/* stream_jit.c - class ZMQStream: what LuaJIT's compiled code calls.
 * SPDX-License-Identifier: MIT
 *
 * Calls from C into Lua are interpreted, and so are calls of a lua_CFunction.
 * In LuaJIT the loop over the messages of a turn, and sending, are therefore
 * written in Lua (lua/zmqloop/jit.lua), which calls the functions here through
 * the FFI. They must not enter Lua: they have no lua_State, and compiled code
 * keeps its state in registers. So where a user's clock would be called, the
 * turn is served as in other Luas.
 */
#include <limits.h>
#include <stddef.h>
#include <zmq.h>

#include "calls.h"
#include "compat.h"
#include "loop.h"
#include "object.h"
#include "open.h"
#include "report.h"
#include "slot.h"
#include "stream.h"
#include "stream_recv.h"
#include "zmqloop.h"
#include "zmqloop_batch.h"

/* ---- receiving ---------------------------------------------------------- */

/* What next_message() returns besides the number of frames; and YIELDED, which
 * is for jit.lua's own use. */
enum { TURN_OVER = 0, ASK_AGAIN = -1, NOT_HERE = -2, YIELDED = -3 };

static bool show_frame(zlua_turn *turn, int i, const void *data, size_t size) {
  turn->data[i] = data;
  turn->size[i] = (int)size;
  return size <= INT_MAX;
}

/* As next_message(), for messages of several frames. */
ZLUA_RARE int show_frames(zlua_turn *turn, int count) {
  if (count > ZLUA_FEW_FRAMES) {
    return NOT_HERE;
  }
  for (int i = 0; i < count; i++) {
    zmq_msg_t *frame = &turn->message.frames[i];
    if (!show_frame(turn, i, zmq_msg_data(frame), zmq_msg_size(frame))) {
      return NOT_HERE;
    }
  }
  return count;
}

/* Returns the number of frames of the next message, which are shown; TURN_OVER;
 * ASK_AGAIN: the user's function must be looked up again; or NOT_HERE: this
 * message must take the interpreted path. Once the frames are Lua values, the
 * caller calls accept_message(). */
static int next_message(void *of_call) {
  zlua_turn *turn = of_call;
  zlua_stream *stream = turn->stream;
  if (!stream->core) {
    return TURN_OVER;
  }
  if (turn->changes != stream->handle.loop->changes) {
    return ASK_AGAIN;
  }
  int count = zl_stream_next(stream->core, &turn->message);
  if (count > 1) {
    return show_frames(turn, count);
  }
  if (count <= 0) {
    return count == 0 ? TURN_OVER : NOT_HERE;
  }
  const zl_incoming *message = &turn->message;
  return show_frame(turn, 0, message->data, message->size) ? 1 : NOT_HERE;
}

/* The message that is shown has become Lua values. Returns 0 if a finalizer
 * that ran meanwhile has closed the stream. */
static int jit_accept_message(void *of_call) {
  const zlua_turn *turn = of_call;
  zl_stream *core = turn->stream->core;
  if (!core) {
    return 0;
  }
  zl_stream_accept(core);
  return 1;
}

/* The turn at 3, which must be that of the innermost call. */
static zlua_turn *check_turn(lua_State *L) {
  void *turn = lua_touserdata(L, 3);
  const zlua_calls *calls = zlua_calls_of(L);
  if (!turn || calls->handle != turn || calls->slot != ZLUA_SLOT_CALL_RECV) {
    luaL_error(L, "no turn of a stream is under way");
  }
  return turn;
}

/* receiver(active, state, turn) -> the user's function, with_stream, unpack,
 * stream; or nothing, for the interpreted path */
static int receiver(lua_State *L) {
  zlua_turn *turn = check_turn(L);
  const zlua_stream *stream = turn->stream;
  zlua_loop *loop = stream->handle.loop;
  zlua_stream_make_room(L);
  if (!stream->core || !stream->copy || loop->clock) {
    return 0;
  }
  turn->changes = loop->changes;
  (void)zlua_stream_push(L, stream, 1);
  zlua_getuservalue(L, -1);
  lua_rawgeti(L, -1, STREAM_ON_RECV);
  zlua_calling(L, 2, lua_gettop(L));
  lua_pushboolean(L, stream->with_stream);
  lua_pushboolean(L, stream->unpack);
  lua_pushvalue(L, -5);
  return 4;
}

/* ---- sending ------------------------------------------------------------ */

enum { NOT_SENT = -1, SENT = 0, QUEUED = 1 };

/* A longer message takes the interpreted path. */
enum { MOST_SENT = 4 };

/* Sends the frames, if no report is wanted. QUEUED: keep_stream() must be
 * called. NOT_SENT: nothing was done; the interpreted path returns the
 * reason. */
static int jit_send_message(const zlua_stream *stream, const zl_frame *frames,
                            size_t count) {
  if (!stream->core || stream->has_sent || stream->socket->uses_norm ||
      !*stream->socket->here) {
    return NOT_SENT;
  }
  int rc = zl_stream_send(stream->core, frames, count, 0);
  return rc < 0 ? NOT_SENT : rc == ZL_QUEUED ? QUEUED : SENT;
}

static int jit_send_frame(void *stream, const char *data, size_t size) {
  const zl_frame frame = {.data = data, .size = size};
  return jit_send_message(stream, &frame, 1);
}

/* Sends the first `count` of these. They are arguments, not a buffer filled
 * from Lua, because a hook or finalizer that sends could overwrite that. */
static int jit_send_frames(void *stream, int count, const char *a,
                           size_t a_size, const char *b, size_t b_size,
                           const char *c, size_t c_size, const char *d,
                           size_t d_size) {
  const zl_frame frames[MOST_SENT] = {{.data = a, .size = a_size},
                                      {.data = b, .size = b_size},
                                      {.data = c, .size = c_size},
                                      {.data = d, .size = d_size}};
  return jit_send_message(stream, frames, (size_t)count);
}

/* keep_stream(stream): something is queued. */
static int keep_stream(lua_State *L) {
  zlua_stream *stream = zlua_check_self(L, &zlua_class_stream, "send");
  if (stream->core) {
    zlua_stream_set_kept(L, stream, 1, true);
  }
  return 0;
}

/* ---- for jit.lua --------------------------------------------------------- */

/* The fields of structs that jit.lua uses, as C and as text for the FFI. */
#define TURN_FIELDS                                                            \
  const void *data[ZLUA_FEW_FRAMES];                                           \
  int size[ZLUA_FEW_FRAMES];

#define CALLS_FIELDS double serial;

#define FUNCTIONS_FIELDS                                                       \
  int (*next_message)(void *turn);                                             \
  int (*accept_message)(void *turn);                                           \
  int (*send_frame)(void *stream, const char *data, size_t size);              \
  int (*send_frames)(void *stream, int count, const char *a, size_t a_size,    \
                     const char *b, size_t b_size, const char *c,              \
                     size_t c_size, const char *d, size_t d_size);

#define TEXT(...)       #__VA_ARGS__
#define POINTER_TO(...) "struct { " TEXT(__VA_ARGS__) " } *"

typedef struct jit_turn {
  TURN_FIELDS
} jit_turn;

typedef struct jit_calls {
  CALLS_FIELDS
} jit_calls;

typedef struct jit_functions {
  FUNCTIONS_FIELDS
} jit_functions;

#define SAME_PLACE(field)                                                      \
  _Static_assert(offsetof(jit_turn, field) == offsetof(zlua_turn, field) &&    \
                     sizeof(((jit_turn *)NULL)->field) ==                      \
                         sizeof(((zlua_turn *)NULL)->field),                   \
                 "jit.lua sees the " #field " of a turn elsewhere")
SAME_PLACE(data);
SAME_PLACE(size);
_Static_assert(offsetof(jit_calls, serial) == offsetof(zlua_calls, serial) &&
                   sizeof(((zlua_calls *)NULL)->serial) == sizeof(double),
               "jit.lua sees the serial of a call elsewhere");

/* The constants of which jit.lua needs the values. */
static void push_jit_constants(lua_State *L) {
  static const struct {
    const char *name;
    int value;
  } constants[] = {
      {"TURN_OVER", TURN_OVER}, {"ASK_AGAIN", ASK_AGAIN},
      {"NOT_HERE", NOT_HERE},   {"YIELDED", YIELDED},
      {"NOT_SENT", NOT_SENT},   {"QUEUED", QUEUED},
      {"MOST_SENT", MOST_SENT},
  };
  enum { COUNT = sizeof constants / sizeof *constants };
  lua_createtable(L, 0, COUNT);
  for (int i = 0; i < COUNT; i++) {
    lua_pushinteger(L, constants[i].value);
    lua_setfield(L, -2, constants[i].name);
  }
}

/* jit_functions() -> userdata that holds them, the types, for the FFI, of
 * pointers to them, to a turn and to the calls, and a table of constants */
static int push_jit_functions(lua_State *L) {
  jit_functions *functions = lua_newuserdata(L, sizeof *functions);
  *functions = (jit_functions){
      .next_message = next_message,
      .accept_message = jit_accept_message,
      .send_frame = jit_send_frame,
      .send_frames = jit_send_frames,
  };
  lua_pushliteral(L, "const " POINTER_TO(FUNCTIONS_FIELDS));
  lua_pushliteral(L, POINTER_TO(TURN_FIELDS));
  lua_pushliteral(L, "const " POINTER_TO(CALLS_FIELDS));
  push_jit_constants(L);
  return 5;
}

/* next_call(active, state, turn, loop) -> the user's function and its
 * arguments, for a message that takes the interpreted path */
static int next_call(lua_State *L) {
  zlua_turn *turn = check_turn(L);
  turn->begun = false;
  return zlua_call_recv(L, turn);
}

/* [-0, +0] module table on the top. */
void zlua_open_stream_jit(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"jit_functions", push_jit_functions},
      {"receiver", receiver},
      {"next_call", next_call},
      {"keep_stream", keep_stream},
      {NULL, NULL},
  };
  zlua_setfuncs(L, functions);
}
