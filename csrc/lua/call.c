/* call.c - calls from the core into Lua.
 * SPDX-License-Identifier: MIT
 *
 * No Lua error crosses a frame of the core: each call resumes a coroutine, and
 * the values it needs are kept in slots on the stack (slot.h).
 *
 * Runners. The coroutine of a call, a runner, is reused for the next call
 * unless it yields or fails. A callback may yield: its runner then belongs to
 * whatever resumes it (zmqloop.task, or the user), and the core continues as
 * after a return. Any work that the slot's function had left is done by another
 * call; when the runner is resumed, that function only returns.
 */
#include "call.h"

#include "block_hook.h"
#include "calls.h"
#include "compat.h"
#include "entry.h"
#include "loop.h"
#include "open.h"
#include "report.h"
#include "slot.h"

/* [-0, +1] the runner in the slot is busy, or there is none: pushes another
 * one. Returns its index; or 0, pushing nothing, when out of memory. */
static int push_runner(zlua_loop *loop) {
  lua_State *L = loop->L;
  lua_pushvalue(L, loop->slots + ZLUA_SLOT_NEW_RUNNER);
  if (lua_pcall(L, 0, 1, 0) != 0) {
    zlua_raise_later(loop);
    return 0;
  }
  if (lua_isnil(L, loop->slots + ZLUA_SLOT_RUNNER)) {
    lua_replace(L, loop->slots + ZLUA_SLOT_RUNNER);
    return loop->slots + ZLUA_SLOT_RUNNER;
  }
  return lua_gettop(L);
}

/* [-0, +0] the runner in the slot is lost. The next one is created now: when it
 * is needed, the core no longer holds what that call would report. When out of
 * memory the loop ends; it is restarted by zlua_enter(), which creates the
 * runner. */
static void replace_runner(zlua_loop *loop) {
  lua_State *L = loop->L;
  lua_pushnil(L);
  lua_replace(L, loop->slots + ZLUA_SLOT_RUNNER);
  int index = loop->core ? push_runner(loop) : 0;
  if (index > 0) {
    loop->runner = lua_tothread(L, index);
  }
}

/* [-0 or -1, +0] the runner at the index has finished its call; or it is lost:
 * it failed, or it yielded and now belongs to its resumer. */
static void put_back(zlua_loop *loop, lua_State *runner, int index, bool lost) {
  lua_State *L = loop->L;
  if (index != loop->slots + ZLUA_SLOT_RUNNER) {
    lua_pop(L, 1);
  } else if (lost) {
    replace_runner(loop);
  } else {
    lua_settop(runner, 0); /* results of a callback */
    loop->runner = runner;
  }
}

/* [-0, +0] Moves the function in the slot and its arguments, (active, state,
 * handle, loop), to the runner. */
static void move_call(const zlua_loop *loop, lua_State *runner, zlua_slot slot,
                      void *handle) {
  lua_State *L = loop->L;
  lua_pushvalue(L, loop->slots + (int)slot);
  lua_pushvalue(L, loop->slots + ZLUA_SLOT_ACTIVE);
  lua_pushvalue(L, loop->slots + ZLUA_SLOT_STATE);
  lua_pushlightuserdata(L, handle);
  lua_pushvalue(L, loop->slots + ZLUA_SLOT_LOOP);
  lua_xmove(L, runner, 5);
}

/* From now on the coroutine runs for the loop of the call, and for the loops in
 * whose callbacks that loop runs. */
static void run_on(const zlua_calls *calls, lua_State *co) {
  for (; calls && calls->loop; calls = calls->outer) {
    zlua_runs_on(calls->loop, co);
  }
}

/* A coroutine yields the address of this to find out whether it can yield. */
static const char trial;

/* Did the runner yield only to find that out? */
static bool was_trial(lua_State *runner) {
  return lua_gettop(runner) > 0 &&
         lua_touserdata(runner, -1) == (const void *)&trial;
}

/* Resumes the runner with the function in the slot. Returns its status. */
static int call_resume(zlua_loop *loop, lua_State *runner, zlua_slot slot,
                       void *handle) {
  zlua_calls *calls = loop->calls;
  const zlua_calls before = *calls;
  double serial = before.last + 1;
  *calls = (zlua_calls){.serial = serial,
                        .last = serial,
                        .runner = runner,
                        .loop = loop,
                        .slot = (int)slot,
                        .handle = handle,
                        .outer = &before,
                        .depth = before.depth + 1};
  loop->changes++;
  move_call(loop, runner, slot, handle);
  run_on(calls, runner);
  int status = zlua_resume(runner, loop->L, 4);
  while (status == LUA_YIELD && was_trial(runner)) {
    lua_pop(runner, 1);
    lua_pushboolean(runner, 1);
    status = zlua_resume(runner, loop->L, 1);
  }
  run_on(calls, loop->L);
  serial = calls->last;
  *calls = before;
  calls->last = serial;
  return status;
}

/* Calls the function in the slot. Returns whether it returned; if not, its
 * error has been reported, or it has yielded and waits to be resumed. */
bool zlua_call(zlua_loop *loop, zlua_slot slot, void *handle) {
  lua_State *L = loop->L;
  int index = loop->runner ? loop->slots + ZLUA_SLOT_RUNNER : push_runner(loop);
  if (index == 0) {
    return false;
  }
  lua_State *runner = loop->runner ? loop->runner : lua_tothread(L, index);
  loop->runner = NULL;
  int status = call_resume(loop, runner, slot, handle);
  if (status != 0 && status != LUA_YIELD) {
    zlua_report(loop, runner, index);
  }
  put_back(loop, runner, index, status != 0);
  /* A hook that was set meanwhile belongs to this coroutine, not to the
   * runner. */
  if (lua_gethookmask(L) != 0 && loop->core) {
    (void)zlua_on_interrupt(loop->core, loop);
  }
  return status == 0;
}

/* May a repeated call continue? A pending hook, which runs when the call ends,
 * must not wait for a long batch. */
bool zlua_may_repeat(const zlua_loop *loop) {
  return lua_gethookmask(loop->L) == 0;
}

/* [-0, +0] module table on the top. */
void zlua_open_call(lua_State *L) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)&trial);
  lua_setfield(L, -2, "trial"); /* module.trial */
}
