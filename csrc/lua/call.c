/* call.c - calls from the core into Lua.
 * SPDX-License-Identifier: MIT
 *
 * No Lua error crosses a frame of the core: each call is protected, and what it
 * needs lies ready in slots on the stack. An error goes to the loop's
 * handle_callback_exception() or to what on_error() was given. Where that is
 * "raise", or fails itself, the core is made to return and the method that
 * entered it raises the error.
 *
 * Ctrl-C. The interpreter's handler of SIGINT resets the signal and installs a
 * hook, which raises in whatever Lua function comes next. That may be a
 * callback: its error is then no error of the callback, but the user's wish.
 */
#define _GNU_SOURCE
#include "binding.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

/* The key of the functions of the slots in the registry. */
static const char calls_key;

/* ---- entering and leaving the core -------------------------------------- */

static bool sigint_has_handler(void) {
  struct sigaction action;
  return sigaction(SIGINT, NULL, &action) == 0 &&
         action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN;
}

/* [-0, +ZLUA_SLOTS] lays out the slots. May raise, before anything happened. */
void zlua_enter(lua_State *L, zlua_loop *loop, int loop_index,
                zlua_entry *before) {
  luaL_checkstack(L, ZLUA_SLOTS + LUA_MINSTACK, "too many nested calls");
  int slots = lua_gettop(L) + 1;
  lua_pushvalue(L, loop_index);     /* ZLUA_SLOT_LOOP */
  zlua_getuservalue(L, loop_index); /* uservalue */
  lua_rawgeti(L, -1, ZLUA_LOOP_ACTIVE);
  lua_rawgeti(L, -2, ZLUA_LOOP_STATE);
  lua_remove(L, -3); /* ZLUA_SLOT_ACTIVE, ZLUA_SLOT_STATE */
  zlua_getregistry(L, &calls_key);
  int calls = lua_gettop(L);
  for (int slot = ZLUA_SLOT_HANDLER; slot < ZLUA_SLOTS; slot++) {
    lua_rawgeti(L, calls, slot);
  }
  lua_remove(L, calls);
  *before =
      (zlua_entry){.L = loop->L, .runs = loop->runs, .slots = loop->slots};
  if (!before->L) {
    loop->sigint_handled = sigint_has_handler();
  }
  loop->L = L;
  loop->slots = slots;
  loop->runs = L;
}

/* [-0, +1] pushes the error of the user's clock, if there is one. */
static bool push_clock_error(lua_State *L, zlua_loop *loop) {
  if (!loop->clock || lua_gettop(loop->clock) == 1) {
    return false;
  }
  lua_xmove(loop->clock, L, 1);
  return true;
}

/* [-ZLUA_SLOTS, +0] takes the slots away. Raises what is to be raised when the
 * outermost entry ends; an inner one lets the core return first. */
int zlua_leave(lua_State *L, zlua_loop *loop, const zlua_entry *before) {
  int state = loop->slots + ZLUA_SLOT_STATE;
  lua_pushnil(L); /* it was kept for error handlers only */
  lua_rawseti(L, state, ZLUA_LEFT_CALLBACK);
  bool raise = !before->L && push_clock_error(L, loop);
  if (loop->failed && !before->L) {
    raise = true;
    loop->failed = false;
    lua_rawgeti(L, state, ZLUA_LEFT_ERROR);
    lua_pushnil(L);
    lua_rawseti(L, state, ZLUA_LEFT_ERROR);
  }
  int slots = loop->slots;
  loop->L = before->L;
  loop->slots = before->slots;
  zlua_runs_on(loop, before->runs);
  if (raise) {
    return lua_error(L);
  }
  lua_settop(L, slots - 1);
  return 0;
}

/* ---- errors ---------------------------------------------------------------
 */

/* [-1, +0] keeps the error on the top for zlua_leave(); the first one counts.
 */
void zlua_raise_later(zlua_loop *loop) {
  lua_State *L = loop->L;
  if (loop->failed) {
    lua_pop(L, 1);
  } else {
    loop->failed = true;
    lua_rawseti(L, loop->slots + ZLUA_SLOT_STATE, ZLUA_LEFT_ERROR);
  }
  zl_loop_break(loop->core);
}

/* Has SIGINT been reset since the loop was entered, as the interpreters do when
 * it comes? */
static bool was_interrupted(zlua_loop *loop) {
  if (!loop->sigint_handled || sigint_has_handler()) {
    return false;
  }
  loop->sigint_handled = false;
  return true;
}

/* The loop has got or lost a handler of signals: that of SIGINT is gone for
 * another reason than that it came. */
void zlua_sigint_changed(zlua_loop *loop) {
  loop->sigint_handled = sigint_has_handler();
}

/* [-1, +0] an error of a callback, at the top. */
static void report(zlua_loop *loop) {
  lua_State *L = loop->L;
  if (!loop->core) {
    lua_pop(L, 1); /* closed by the callback, with all who might care */
  } else if (loop->raises || was_interrupted(loop)) {
    zlua_raise_later(loop);
  } else {
    lua_pushvalue(L, loop->slots + ZLUA_SLOT_CALL_ERROR);
    lua_insert(L, -2);
    lua_pushvalue(L, loop->slots + ZLUA_SLOT_LOOP);
    lua_pushvalue(L, loop->slots + ZLUA_SLOT_STATE); /* f, err, loop, state */
    if (lua_pcall(L, 3, 0, loop->slots + ZLUA_SLOT_HANDLER) != 0) {
      zlua_raise_later(loop);
    }
  }
}

/* Calls the function in the slot with (active, state, handle, loop). Returns
 * whether it returned; if not its error has been dealt with. */
bool zlua_call(zlua_loop *loop, zlua_slot slot, void *handle) {
  lua_State *L = loop->L;
  loop->changes++;
  lua_pushvalue(L, loop->slots + (int)slot);
  lua_pushvalue(L, loop->slots + ZLUA_SLOT_ACTIVE);
  lua_pushvalue(L, loop->slots + ZLUA_SLOT_STATE);
  lua_pushlightuserdata(L, handle);
  lua_pushvalue(L, loop->slots + ZLUA_SLOT_LOOP);
  if (lua_pcall(L, 4, 0, loop->slots + ZLUA_SLOT_HANDLER) == 0) {
    return true;
  }
  report(loop);
  return false;
}

/* [-0, +0] notes which callback is about to be called, for report(). */
void zlua_calling(lua_State *L, int state_index, int callback_index) {
  lua_pushvalue(L, callback_index);
  lua_rawseti(L, state_index, ZLUA_LEFT_CALLBACK);
}

/* [-0, +1] pushes the text of the error at index, for a traceback. */
static void push_error_text(lua_State *L, int index) {
  if (lua_type(L, index) == LUA_TSTRING) {
    lua_pushvalue(L, index);
  } else if (!luaL_callmeta(L, index, "__tostring")) {
    lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, index));
  }
}

/* Fields of the table in which a traceback travels. It is the first upvalue of
 * take_traceback(), whose second is debug.traceback, and of call_error(). */
enum {
  TRACEBACK_TAKEN = 1,
  TRACEBACK_GIVEN /* by callback_error(), of another coroutine */
};

/* Notes where the callback begins that took longer than any before; that of a
 * callable table is its __call. */
void zlua_on_slowest(zl_loop *core, int64_t took_ns, void *arg) {
  zlua_loop *loop = arg;
  lua_State *L = loop->L;
  lua_Debug where;
  (void)core;
  (void)took_ns;
  lua_rawgeti(L, loop->slots + ZLUA_SLOT_STATE, ZLUA_LEFT_CALLBACK);
  if (!lua_isfunction(L, -1) && luaL_getmetafield(L, -1, "__call")) {
    lua_remove(L, -2);
  }
  if (lua_isfunction(L, -1)) {
    (void)lua_getinfo(L, ">S", &where);
    (void)snprintf(loop->slowest, sizeof loop->slowest, "%s:%d",
                   where.short_src, where.linedefined);
  } else {
    lua_pop(L, 1);
  }
}

/* (err) -> err. A handler of errors has one result, hence the table. */
static int take_traceback(lua_State *L) {
  lua_settop(L, 1);
  lua_rawgeti(L, lua_upvalueindex(1), TRACEBACK_GIVEN);
  if (!lua_isnil(L, 2)) {
    lua_pushnil(L);
    lua_rawseti(L, lua_upvalueindex(1), TRACEBACK_GIVEN);
  } else if (lua_isfunction(L, lua_upvalueindex(2))) {
    lua_pushvalue(L, lua_upvalueindex(2));
    push_error_text(L, 1);
    lua_pushinteger(L, 2);
    lua_call(L, 2, 1);
  }
  lua_rawseti(L, lua_upvalueindex(1), TRACEBACK_TAKEN);
  lua_settop(L, 1);
  return 1;
}

/* callback_error(loop, callback, err, co): raises err as the error of a
 * callback of the loop that has run, and failed, in the coroutine co; in place
 * of that there may be its traceback. */
static int callback_error(lua_State *L) {
  luaL_argcheck(L, lua_isthread(L, 4) || lua_isstring(L, 4), 4,
                "coroutine or traceback expected");
  (void)zlua_check_loop(L, 1, "callback_error", 1);
  lua_settop(L, 4);
  zlua_getuservalue(L, 1);
  lua_rawgeti(L, -1, ZLUA_LOOP_STATE);
  zlua_calling(L, lua_gettop(L), 2);
  lua_settop(L, 4);
  zlua_getregistry(L, &calls_key);
  lua_rawgeti(L, -1, ZLUA_SLOT_HANDLER);
  (void)lua_getupvalue(L, -1, 1); /* co, calls, handler, table */
  (void)lua_getupvalue(L, -2, 2); /* ..., debug.traceback, or nil */
  if (lua_isstring(L, 4)) {
    lua_pushvalue(L, 4);
    lua_replace(L, -2);
  } else if (lua_isfunction(L, -1)) {
    lua_pushvalue(L, 4);
    push_error_text(L, 3);
    lua_call(L, 2, 1);
  }
  lua_rawseti(L, -2, TRACEBACK_GIVEN);
  lua_settop(L, 3);
  return lua_error(L);
}

/* (err, loop, state): on_error's fn(err, traceback, callback), or the loop's
 * handle_callback_exception(callback, err, traceback). */
static int call_error(lua_State *L) {
  lua_rawgeti(L, lua_upvalueindex(1), TRACEBACK_TAKEN); /* 4: traceback */
  lua_pushnil(L);
  lua_rawseti(L, lua_upvalueindex(1), TRACEBACK_TAKEN);
  if (lua_isnil(L, 4)) {
    lua_pushvalue(L, 1); /* there was no memory for one */
    lua_replace(L, 4);
  }
  lua_rawgeti(L, 3, ZLUA_LEFT_CALLBACK); /* 5: callback */
  lua_rawgeti(L, 3, ZLUA_LEFT_ON_ERROR); /* 6: function, or nil */
  bool is_method = lua_isnil(L, 6);
  if (is_method) {
    lua_getfield(L, 2, "handle_callback_exception");
    lua_pushvalue(L, 2); /* ..., method, loop */
  }
  lua_pushvalue(L, 5);
  lua_pushvalue(L, 1);
  lua_pushvalue(L, 4);
  lua_call(L, is_method ? 4 : 3, 0); /* (callback, err, traceback) */
  return 0;
}

/* ---- interrupts -------------------------------------------------------------
 */

static int nothing(lua_State *L) {
  (void)L;
  return 0;
}

/* A signal interrupted a wait outside of the loop: calling any function lets a
 * hook that its handler has set raise. */
void zlua_let_hooks_run(lua_State *L) {
  lua_pushcfunction(L, nothing);
  lua_call(L, 0, 0);
}

/* The same in the loop's wait, where nothing may raise. */
int zlua_on_interrupt(zl_loop *core, void *arg) {
  zlua_loop *loop = arg;
  lua_State *L = loop->L;
  (void)core;
  lua_pushvalue(L, loop->slots + ZLUA_SLOT_NOTHING);
  if (lua_pcall(L, 0, 0, 0) != 0) {
    zlua_raise_later(loop);
    return 1;
  }
  /* The hook may belong to another coroutine than the one we run on. */
  if (was_interrupted(loop)) {
    lua_pushvalue(L, loop->slots + ZLUA_SLOT_INTERRUPTED);
    zlua_raise_later(loop);
    return 1;
  }
  return 0;
}

/* ---- opening ----------------------------------------------------------------
 */

/* [-0, +1] pushes debug.traceback, or nil where there is none. */
void zlua_push_traceback(lua_State *L) {
  lua_getglobal(L, "debug");
  if (lua_istable(L, -1)) {
    lua_getfield(L, -1, "traceback");
    lua_remove(L, -2);
  } else {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
}

/* [-0, +0] makes the functions of the slots, once per state. Module table on
 * the top. */
void zlua_make_calls(lua_State *L) {
  static const struct {
    zlua_slot slot;
    lua_CFunction function;
  } calls[] = {
      {ZLUA_SLOT_CALL_CALLBACK, zlua_call_callback},
      {ZLUA_SLOT_CALL_TIMER, zlua_call_timer},
      {ZLUA_SLOT_CALL_HANDLER, zlua_call_handler},
      {ZLUA_SLOT_CALL_SIGNAL, zlua_call_signal},
      {ZLUA_SLOT_CALL_RECV, zlua_call_recv},
      {ZLUA_SLOT_CALL_SENT, zlua_call_sent},
      {ZLUA_SLOT_CALL_CLOSED, zlua_call_closed},
      {ZLUA_SLOT_CALL_NOTICE, zlua_call_notice},
      {ZLUA_SLOT_CALL_FINISH, zlua_call_finish},
      {ZLUA_SLOT_CALL_FOREIGN, zlua_call_foreign},
      {ZLUA_SLOT_NOTHING, nothing},
  };
  lua_newtable(L); /* calls */
  lua_newtable(L); /* calls, what take_traceback leaves */
  lua_pushvalue(L, -1);
  zlua_push_traceback(L);
  lua_pushcclosure(L, take_traceback, 2);
  lua_rawseti(L, -3, ZLUA_SLOT_HANDLER);
  lua_pushcclosure(L, call_error, 1); /* calls, closure */
  lua_rawseti(L, -2, ZLUA_SLOT_CALL_ERROR);
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    lua_pushcfunction(L, calls[i].function);
    lua_rawseti(L, -2, calls[i].slot);
  }
  lua_pushliteral(L, "interrupted!");
  lua_rawseti(L, -2, ZLUA_SLOT_INTERRUPTED);
  zlua_setregistry(L, &calls_key);
  lua_pushcfunction(L, callback_error);
  lua_setfield(L, -2, "callback_error");
}
