/* call.c - calls from the core into Lua.
 * SPDX-License-Identifier: MIT
 *
 * No Lua error crosses a frame of the core: each call is the resume of a
 * coroutine, and what it needs lies ready in slots on the stack (slot.h).
 *
 * Runners. The coroutine of a call, a runner, serves the next call too, as long
 * as none yields or fails. A callback may yield: its runner is then no longer
 * the loop's, but of whoever resumes it (zmqloop.task, or the user), and the
 * core goes on as after a return. What a slot's function had still to do in
 * that runner, another call does; so after a yield it only ends.
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

/* [-0, +1] the runner in the slot is at work, or there is none: pushes another
 * one. Returns its index, or 0, and pushes nothing, without memory for one. */
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

/* [-0, +0] the runner in the slot is lost. The next one is made now: when its
 * call comes the core has let go of what that is to tell. Without memory for it
 * the loop ends, and begins again by zlua_enter(), which makes it. */
static void replace_runner(zlua_loop *loop) {
  lua_State *L = loop->L;
  lua_pushnil(L);
  lua_replace(L, loop->slots + ZLUA_SLOT_RUNNER);
  int index = loop->core ? push_runner(loop) : 0;
  if (index > 0) {
    loop->runner = lua_tothread(L, index);
  }
}

/* [-0 or -1, +0] the runner at the index has served its call; or it is lost: it
 * has failed, or somebody else goes on with it. */
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

/* From now on the coroutine runs for the loop of the call, and for those in
 * whose callbacks that runs. */
static void run_on(const zlua_calls *calls, lua_State *co) {
  for (; calls && calls->loop; calls = calls->outer) {
    zlua_runs_on(calls->loop, co);
  }
}

/* Its address is what a coroutine yields to try whether it can. */
static const char trial;

/* Did the runner yield to try that? */
static bool was_trial(lua_State *runner) {
  return lua_gettop(runner) > 0 &&
         lua_touserdata(runner, -1) == (const void *)&trial;
}

/* Resumes the runner with the function in the slot. Returns its status. */
static int resume(zlua_loop *loop, lua_State *runner, zlua_slot slot,
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

/* Calls the function in the slot. Returns whether it came to its end; if not
 * its error has been dealt with, or it waits for somebody to resume it. */
bool zlua_call(zlua_loop *loop, zlua_slot slot, void *handle) {
  lua_State *L = loop->L;
  int index = loop->runner ? loop->slots + ZLUA_SLOT_RUNNER : push_runner(loop);
  if (index == 0) {
    return false;
  }
  lua_State *runner = loop->runner ? loop->runner : lua_tothread(L, index);
  loop->runner = NULL;
  int status = resume(loop, runner, slot, handle);
  if (status != 0 && status != LUA_YIELD) {
    zlua_report(loop, runner, index);
  }
  put_back(loop, runner, index, status != 0);
  /* A hook that was set meanwhile is this thread's, not the runner's. */
  if (lua_gethookmask(L) != 0 && loop->core) {
    (void)zlua_on_interrupt(loop->core, loop);
  }
  return status == 0;
}

/* May what is called repeatedly go on? A hook that waits for the end of it does
 * so in vain in a long batch. */
bool zlua_may_repeat(const zlua_loop *loop) {
  return lua_gethookmask(loop->L) == 0;
}

/* [-0, +0] module table on the top. */
void zlua_open_call(lua_State *L) {
  lua_pushlightuserdata(L, (void *)(uintptr_t)&trial);
  lua_setfield(L, -2, "trial"); /* module.trial */
}
