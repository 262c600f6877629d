/* entry.c - entering and leaving the core.
 * SPDX-License-Identifier: MIT
 *
 * An entry pushes the slots on the stack of the C function that enters the
 * core. No error may be raised across the core: it is kept, the core returns,
 * and zlua_leave() raises it.
 */
#include "entry.h"

#include "block_hook.h"
#include "calls.h"
#include "clock.h"
#include "compat.h"
#include "interrupt.h"
#include "loop.h"
#include "open.h"
#include "slot.h"
#include "trace.h"
#include "zmqloop.h"

static int new_runner(lua_State *L) {
  (void)lua_newthread(L);
  return 1;
}

/* [-0, +0] fills the slot of the runner, if it is empty, since the first call
 * needs one. May raise. */
static void fill_runner(lua_State *L, int slots) {
  if (lua_isnil(L, slots + ZLUA_SLOT_RUNNER)) {
    (void)new_runner(L);
    lua_replace(L, slots + ZLUA_SLOT_RUNNER);
  }
}

/* [-0, +0] claims the runner in the slot for this entry. */
static void take_runner(zlua_loop *loop) {
  lua_State *L = loop->L;
  loop->runner = lua_tothread(L, loop->slots + ZLUA_SLOT_RUNNER);
  lua_pushnil(L);
  lua_rawseti(L, loop->slots + ZLUA_SLOT_STATE, ZLUA_LEFT_RUNNER);
}

/* [-0, +0] leaves an idle runner to the next entry. */
static void leave_runner(zlua_loop *loop) {
  lua_State *L = loop->L;
  if (loop->runner) {
    lua_pushvalue(L, loop->slots + ZLUA_SLOT_RUNNER);
    lua_rawseti(L, loop->slots + ZLUA_SLOT_STATE, ZLUA_LEFT_RUNNER);
  }
}

/* How deeply loops and flushes may nest in each other's callbacks: Lua's limit
 * of 200 nested C calls leaves room for this, and for some calls of the user in
 * between. */
enum { DEEPEST_CALL = 50 };

/* Raises if callbacks called at this depth would run out of stack. */
void zlua_check_depth(lua_State *L, const zlua_loop *loop) {
  if (loop->calls->runner && loop->calls->depth >= DEEPEST_CALL) {
    luaL_error(L,
               "too many loops and flushes inside of each other's callbacks");
  }
}

/* [-0, +ZLUA_SLOTS] pushes the slots. May raise, before anything has been
 * done. */
void zlua_enter(lua_State *L, zlua_loop *loop, int loop_index,
                zlua_entry *before) {
  zlua_make_room(L, ZLUA_SLOTS + LUA_MINSTACK);
  int slots = lua_gettop(L) + 1;
  lua_pushvalue(L, loop_index);     /* ZLUA_SLOT_LOOP */
  zlua_getuservalue(L, loop_index); /* uservalue */
  lua_rawgeti(L, -1, ZLUA_LOOP_ACTIVE);
  lua_rawgeti(L, -2, ZLUA_LOOP_STATE);
  lua_remove(L, -3);                    /* ZLUA_SLOT_ACTIVE, ZLUA_SLOT_STATE */
  lua_rawgeti(L, -1, ZLUA_LEFT_RUNNER); /* ZLUA_SLOT_RUNNER */
  zlua_push_slots(L);
  int functions = lua_gettop(L);
  for (int slot = ZLUA_SLOT_CALL_CALLBACK; slot < ZLUA_SLOTS; slot++) {
    lua_rawgeti(L, functions, slot);
  }
  lua_remove(L, functions);
  fill_runner(L, slots);
  *before = (zlua_entry){.L = loop->L,
                         .runs = loop->runs,
                         .runner = loop->runner,
                         .changes = loop->changes,
                         .slots = loop->slots};
  if (!before->L) {
    loop->sigint_handled = zlua_sigint_has_handler();
  }
  loop->L = L;
  loop->slots = slots;
  loop->runs = L;
  take_runner(loop);
}

/* [-0, +0] LuaJIT before 2023-09-21: if a C function raises after it has
 * resumed a coroutine, compiled code takes that coroutine, which may be dead,
 * for the running one. Calling anything on the C function's own state corrects
 * this. The function to call, which does nothing, is at index. May raise, since
 * a hook may. */
static void become_running(lua_State *L, int nothing_index) {
  if (LUA_VERSION_NUM == 501) { /* a module for 5.1 loads in LuaJIT too */
    lua_pushvalue(L, nothing_index);
    lua_call(L, 0, 0);
  }
}

/* [-ZLUA_SLOTS, +0] removes the slots. Raises any pending error at the end of
 * the outermost entry, and at that of a run, which a callback of close() or
 * flush() may have begun; another inner entry lets the core return first.
 * After it, errors may be raised. */
int zlua_leave(lua_State *L, zlua_loop *loop, const zlua_entry *before) {
  int state = loop->slots + ZLUA_SLOT_STATE;
  lua_pushnil(L); /* it was kept for error handlers only */
  lua_rawseti(L, state, ZLUA_LEFT_CALLBACK);
  bool has_resumed = loop->changes != before->changes || loop->clock;
  bool ends = !before->L || before->is_run;
  bool raise = ends && zlua_push_clock_error(L, loop);
  lua_pushnil(L); /* the clock's error has no trace */
  if (loop->failed && ends) {
    raise = true;
    loop->failed = false;
    lua_rawgeti(L, state, ZLUA_LEFT_ERROR);
    lua_rawgeti(L, state, ZLUA_LEFT_TRACE);
    lua_pushnil(L);
    lua_rawseti(L, state, ZLUA_LEFT_ERROR);
    lua_pushnil(L);
    lua_rawseti(L, state, ZLUA_LEFT_TRACE);
  }
  leave_runner(loop);
  int slots = loop->slots;
  loop->L = before->L;
  loop->slots = before->slots;
  loop->runner = before->runner;
  zlua_runs_on(loop, before->runs);
  if (has_resumed) {
    become_running(L, slots + ZLUA_SLOT_NOTHING);
  }
  if (raise) {
    return zlua_raise_traced(L);
  }
  lua_settop(L, slots - 1);
  return 0;
}

/* [-1, +0] keeps the error at the top for zlua_leave(); only the first one is
 * kept. */
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
  /* The hook may belong to a coroutine other than the running one. */
  if (zlua_was_interrupted(loop)) {
    lua_pushvalue(L, loop->slots + ZLUA_SLOT_INTERRUPTED);
    zlua_raise_later(loop);
    return 1;
  }
  return 0;
}

/* [-0, +0] module table on the top. */
void zlua_open_entry(lua_State *L) {
  zlua_slot_set(L, ZLUA_SLOT_NEW_RUNNER, new_runner);
}
