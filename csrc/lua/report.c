/* report.c - reports errors of callbacks to the user.
 * SPDX-License-Identifier: MIT
 *
 * An error is passed to the loop's handle_callback_exception() or to the
 * function given to on_error(). If that was "raise", or the handler itself
 * fails, the core returns and the method that entered it raises the error.
 */
#include "report.h"

#include <stdio.h>
#include <string.h>

#include "compat.h"
#include "entry.h"
#include "interrupt.h"
#include "loop.h"
#include "open.h"
#include "slot.h"
#include "text.h"
#include "trace.h"
#include "zmqloop.h"

/* Registry keys of make_traceback() and note_trace(). */
static const char traceback_key;
static const char note_trace_key;

/* [-0, +0] keeps the trace of the error at the top, raised by the runner at the
 * index, which will be raised again later. When out of memory there is no
 * trace. */
static void keep_trace(const zlua_loop *loop, int runner_index) {
  lua_State *L = loop->L;
  int error = lua_gettop(L);
  lua_pushvalue(L, loop->slots + ZLUA_SLOT_KEEP_TRACE);
  lua_pushvalue(L, error);
  lua_pushvalue(L, loop->slots + ZLUA_SLOT_STATE);
  lua_pushvalue(L, runner_index);
  (void)lua_pcall(L, 3, 0, 0);
  lua_settop(L, error);
}

/* [-0, +0] the same, with the trace that note_trace() has noted for the error
 * at the top. */
static void keep_noted_trace(const zlua_loop *loop) {
  lua_State *L = loop->L;
  int error = lua_gettop(L);
  (void)lua_pushthread(L);
  if (!loop->failed && zlua_push_trace(L, error, error + 1)) {
    lua_rawseti(L, loop->slots + ZLUA_SLOT_STATE, ZLUA_LEFT_TRACE);
  }
  lua_settop(L, error);
}

/* [-0, +0] reports the error of a callback, at the top of its runner, which is
 * at the index. */
void zlua_report(zlua_loop *loop, lua_State *runner, int runner_index) {
  lua_State *L = loop->L;
  if (!loop->core) {
    return; /* the callback has closed the loop: there is no handler any more */
  }
  loop->failed_ns = zl_loop_time_ns(loop->core);
  if (loop->raises || zlua_was_interrupted(loop)) {
    lua_xmove(runner, L, 1);
    if (!loop->failed) {
      keep_trace(loop, runner_index);
    }
    zlua_close_failed(runner);
    zlua_raise_later(loop);
    return;
  }
  int handler = lua_gettop(L) + 1;
  zlua_getregistry(L, &note_trace_key);
  lua_pushvalue(L, loop->slots + ZLUA_SLOT_CALL_ERROR);
  lua_xmove(runner, L, 1);
  lua_pushvalue(L, loop->slots + ZLUA_SLOT_LOOP);
  lua_pushvalue(L, loop->slots + ZLUA_SLOT_STATE);
  lua_pushvalue(L, runner_index); /* handler, f, err, loop, state, runner */
  bool fails = lua_pcall(L, 4, 0, handler) != 0;
  lua_remove(L, handler);
  if (fails) {
    keep_noted_trace(loop);
    zlua_raise_later(loop);
  }
}

/* [-0, +0] notes which callback is about to be called, for report(). */
void zlua_calling(lua_State *L, int state_index, int callback_index) {
  lua_pushvalue(L, callback_index);
  lua_rawseti(L, state_index, ZLUA_LEFT_CALLBACK);
}

/* (err) -> the result of its __tostring(), or nil */
static int text_of_object(lua_State *L) {
  return luaL_callmeta(L, 1, "__tostring");
}

/* [-1, +1] escapes zero bytes in the text at the top, where debug.traceback()
 * would end it. */
static void show_zero_bytes(lua_State *L) {
  if (strlen(lua_tostring(L, -1)) < zlua_rawlen(L, -1)) {
    zlua_push_printable(L, -1);
    lua_replace(L, -2);
  }
}

/* [-0, +1] pushes the text of the error at index, for a traceback. */
static void push_error_text(lua_State *L, int index) {
  if (lua_type(L, index) == LUA_TSTRING) {
    lua_pushvalue(L, index);
    show_zero_bytes(L);
    return;
  }
  lua_pushcfunction(L, text_of_object);
  lua_pushvalue(L, index);
  bool fails = lua_pcall(L, 1, 1, 0) != 0;
  if (fails || lua_type(L, -1) != LUA_TSTRING) {
    lua_pop(L, 1);
    lua_pushfstring(L, "(error object is a %s value%s)",
                    luaL_typename(L, index), fails ? " without a text" : "");
  }
  show_zero_bytes(L);
}

/* [-1, +1] replaces the value at the top by its __call, if it has one. */
static void replace_by_call(lua_State *L, const zlua_loop *loop) {
  if (lua_getmetatable(L, -1)) {
    lua_pushvalue(L, loop->slots + ZLUA_SLOT_CALL_NAME);
    lua_rawget(L, -2);
    lua_replace(L, -3);
    lua_pop(L, 1);
  }
}

/* Notes where the slowest callback so far is defined; for a callable table, its
 * __call. Nothing here may allocate: the collector could run, and an error of a
 * finalizer would be raised across the core. */
void zlua_on_slowest(zl_loop *core, int64_t took_ns, void *arg) {
  zlua_loop *loop = arg;
  lua_State *L = loop->L;
  lua_Debug where;
  (void)core;
  (void)took_ns;
  lua_rawgeti(L, loop->slots + ZLUA_SLOT_STATE, ZLUA_LEFT_CALLBACK);
  if (!lua_isfunction(L, -1)) {
    replace_by_call(L, loop);
  }
  if (lua_isfunction(L, -1)) {
    (void)lua_getinfo(L, ">S", &where);
    (void)snprintf(loop->slowest, sizeof loop->slowest, "%s:%d",
                   where.short_src, where.linedefined);
  } else {
    lua_pop(L, 1);
  }
}

/* The level of the function that raised the error, for debug.traceback(): above
 * it are debug.traceback(), make_traceback() and the message handler. */
enum { LEVEL_OF_ERROR = 3 };

/* (err, co) -> traceback, by the upvalue, debug.traceback. Called from a
 * message handler if co is the coroutine that runs. */
static int make_traceback(lua_State *L) {
  bool is_handler = lua_tothread(L, 2) == L;
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushvalue(L, 2);
  if (!zlua_push_trace(L, 1, 2)) {
    push_error_text(L, 1);
  }
  lua_pushinteger(L, is_handler ? LEVEL_OF_ERROR : 0);
  lua_call(L, 3, 1);
  return 1;
}

/* callback_error(loop, callback, err, co): raises err as the error of a
 * callback of the loop that failed in the coroutine co. co may also be its
 * traceback. */
static int callback_error(lua_State *L) {
  luaL_argcheck(L, lua_isthread(L, 4) || lua_isstring(L, 4), 4,
                "coroutine or traceback expected");
  (void)zlua_check_loop(L, 1, "callback_error", 1);
  lua_settop(L, 4);
  zlua_getuservalue(L, 1);
  lua_rawgeti(L, -1, ZLUA_LOOP_STATE);
  zlua_calling(L, lua_gettop(L), 2);
  lua_pushvalue(L, 4);
  lua_rawseti(L, -2, ZLUA_LEFT_TRACEBACK);
  lua_settop(L, 3);
  return lua_error(L);
}

/* [-0, +0] replaces the coroutine at the top by its traceback with the error at
 * 1; or by the error, if there is no debug.traceback, or no memory. Only the
 * protected call allocates, so the error is always reported. */
static void replace_by_traceback(lua_State *L) {
  zlua_getregistry(L, &traceback_key);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, -3);
  if (lua_pcall(L, 2, 1, 0) != 0) { /* or it is nil */
    lua_pop(L, 1);
    lua_pushvalue(L, 1);
  }
  lua_replace(L, -2);
}

/* [-0, +1] pushes the traceback of the error at 1, of the runner at the top; or
 * the one given to callback_error(), if that raised the error. */
static void push_traceback(lua_State *L, int state_index) {
  lua_rawgeti(L, state_index, ZLUA_LEFT_TRACEBACK);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_pushvalue(L, -1);
  }
  lua_pushnil(L);
  lua_rawseti(L, state_index, ZLUA_LEFT_TRACEBACK);
  if (lua_isthread(L, -1)) {
    replace_by_traceback(L);
  }
}

/* (err, state, runner) */
static int call_keep_trace(lua_State *L) {
  push_traceback(L, 2);
  lua_rawseti(L, 2, ZLUA_LEFT_TRACE);
  return 0;
}

/* (err) -> err: message handler of call_error(), which notes the trace. */
static int note_trace(lua_State *L) {
  lua_settop(L, 1);
  (void)lua_pushthread(L);
  replace_by_traceback(L);
  zlua_note_trace(L, 1);
  lua_settop(L, 1);
  return 1;
}

/* (err, loop, state, runner): on_error's fn(callback, err, traceback), or the
 * loop's handle_callback_exception() with the same. */
static int call_error(lua_State *L) {
  lua_State *runner = lua_tothread(L, 4);
  push_traceback(L, 3); /* 5 */
  zlua_close_failed(runner);
  lua_rawgeti(L, 3, ZLUA_LEFT_CALLBACK); /* 6: callback */
  lua_rawgeti(L, 3, ZLUA_LEFT_ON_ERROR); /* 7: function, or nil */
  bool is_method = lua_isnil(L, 7);
  if (is_method) {
    lua_getfield(L, 2, "handle_callback_exception");
    lua_pushvalue(L, 2); /* ..., method, loop */
  }
  lua_pushvalue(L, 6);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 5);
  lua_call(L, is_method ? 4 : 3, 0); /* (callback, err, traceback) */
  return 0;
}

/* [-0, +0] module table on the top. */
void zlua_open_report(lua_State *L) {
  zlua_slot_set(L, ZLUA_SLOT_CALL_ERROR, call_error);
  zlua_slot_set(L, ZLUA_SLOT_KEEP_TRACE, call_keep_trace);
  zlua_push_traceback(L);
  if (lua_isfunction(L, -1)) {
    lua_pushcclosure(L, make_traceback, 1);
  }
  zlua_setregistry(L, &traceback_key);
  lua_pushcfunction(L, note_trace);
  zlua_setregistry(L, &note_trace_key);
  lua_pushcfunction(L, callback_error);
  lua_setfield(L, -2, "callback_error");
}
