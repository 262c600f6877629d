/* call.c - calls from the core into Lua.
 * SPDX-License-Identifier: MIT
 *
 * No Lua error crosses a frame of the core: each call is the resume of a
 * coroutine, and what it needs lies ready in slots on the stack. An error goes
 * to the loop's handle_callback_exception() or to what on_error() was given.
 * Where that is "raise", or fails itself, the core is made to return and the
 * method that entered it raises the error.
 *
 * Runners. The coroutine of a call, a runner, serves the next call too, as long
 * as none yields or fails. A callback may yield: its runner is then no longer
 * the loop's, but of whoever resumes it (zmqloop.task, or the user), and the
 * core goes on as after a return. What a slot's function had still to do in
 * that runner, another call does; so after a yield it only ends.
 *
 * Before 5.2 and in LuaJIT nothing yields across a C function. There the slots'
 * functions only say what is to be called, and a Lua function calls it.
 *
 * Ctrl-C. The interpreter's handler of SIGINT resets the signal and installs a
 * hook, which raises in whatever Lua function comes next. That may be a
 * callback: its error is then no error of the callback, but the user's wish.
 */
#define _GNU_SOURCE
#include "call.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "callback.h"
#include "compat.h"
#include "handler.h"
#include "loop.h"
#include "object.h"
#include "signal.h"
#include "stream.h"
#include "text.h"
#include "timer.h"
#include "trace.h"
#include "zmqloop.h"

/* The keys in the registry of the functions of the slots, and of the calls of
 * this state. */
static const char functions_key;
static const char traceback_key;  /* make_traceback() */
static const char note_trace_key; /* note_trace() */
static const char calls_key;

/* ---- entering and leaving the core -------------------------------------- */

static bool sigint_has_handler(void) {
  struct sigaction action;
  return sigaction(SIGINT, NULL, &action) == 0 &&
         action.sa_handler != SIG_DFL && action.sa_handler != SIG_IGN;
}

static int new_runner(lua_State *L) {
  (void)lua_newthread(L);
  return 1;
}

/* [-0, +0] fills the slot of the runner, if it is empty: the first call must
 * find one. May raise. */
static void fill_runner(lua_State *L, int slots) {
  if (lua_isnil(L, slots + ZLUA_SLOT_RUNNER)) {
    (void)new_runner(L);
    lua_replace(L, slots + ZLUA_SLOT_RUNNER);
  }
}

/* [-0, +0] the runner in the slot is this entry's alone. */
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

/* How deep loops and flushes may be nested in each other's callbacks: Lua's
 * limit of 200 nested C calls leaves room for that, with some calls of the user
 * in between. */
enum { DEEPEST_CALL = 50 };

/* Raises if callbacks called at this depth would run out of stack. */
void zlua_check_depth(lua_State *L, const zlua_loop *loop) {
  if (loop->calls->runner && loop->calls->depth >= DEEPEST_CALL) {
    luaL_error(L,
               "too many loops and flushes inside of each other's callbacks");
  }
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
  lua_remove(L, -3);                    /* ZLUA_SLOT_ACTIVE, ZLUA_SLOT_STATE */
  lua_rawgeti(L, -1, ZLUA_LEFT_RUNNER); /* ZLUA_SLOT_RUNNER */
  zlua_getregistry(L, &functions_key);
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
    loop->sigint_handled = sigint_has_handler();
  }
  loop->L = L;
  loop->slots = slots;
  loop->runs = L;
  take_runner(loop);
}

/* [-0, +1] pushes the error of the user's clock, if there is one. */
static bool push_clock_error(lua_State *L, zlua_loop *loop) {
  if (!loop->clock || loop->reads_clock || lua_gettop(loop->clock) == 1) {
    return false;
  }
  lua_xmove(loop->clock, L, 1);
  return true;
}

/* [-0, +0] LuaJIT before 2023-09-21: if a C function raises after it has
 * resumed a coroutine, compiled code takes that coroutine, which may be dead,
 * for the running one. Calling anything on the C function's own state corrects
 * that. The function to call, which does nothing, is at index. May raise, as a
 * hook does.
 */
static void become_running(lua_State *L, int nothing_index) {
  if (LUA_VERSION_NUM == 501) { /* a module for 5.1 loads in LuaJIT too */
    lua_pushvalue(L, nothing_index);
    lua_call(L, 0, 0);
  }
}

/* [-0, +0] The same for where the slots are out of reach: the user's clock,
 * which has its own coroutine, may have been read. */
void zlua_become_running(lua_State *L) {
  if (LUA_VERSION_NUM == 501) {
    zlua_let_hooks_run(L);
  }
}

/* [-ZLUA_SLOTS, +0] takes the slots away. Raises what is to be raised when the
 * outermost entry ends; an inner one lets the core return first. Whatever
 * raises after it may do so. */
int zlua_leave(lua_State *L, zlua_loop *loop, const zlua_entry *before) {
  int state = loop->slots + ZLUA_SLOT_STATE;
  lua_pushnil(L); /* it was kept for error handlers only */
  lua_rawseti(L, state, ZLUA_LEFT_CALLBACK);
  bool has_resumed = loop->changes != before->changes || loop->clock;
  bool raise = !before->L && push_clock_error(L, loop);
  lua_pushnil(L); /* the trace of the clock's error is not known */
  if (loop->failed && !before->L) {
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

/* [-0, +0] keeps the trace of the error at the top, which the runner at the
 * index has raised, and which is to be raised again later. Without memory there
 * is none. */
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

/* [-0, +0] the same with what note_trace() has noted of the error at the top.
 */
static void keep_noted_trace(const zlua_loop *loop) {
  lua_State *L = loop->L;
  int error = lua_gettop(L);
  (void)lua_pushthread(L);
  if (!loop->failed && zlua_push_trace(L, error, error + 1)) {
    lua_rawseti(L, loop->slots + ZLUA_SLOT_STATE, ZLUA_LEFT_TRACE);
  }
  lua_settop(L, error);
}

/* [-0, +0] an error of a callback, at the top of its runner, which is at the
 * index. */
static void report(zlua_loop *loop, lua_State *runner, int runner_index) {
  lua_State *L = loop->L;
  if (!loop->core) {
    return; /* closed by the callback, with all who might care */
  }
  loop->failed_ns = zl_loop_time_ns(loop->core);
  if (loop->raises || was_interrupted(loop)) {
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

/* ---- runners ------------------------------------------------------------ */

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
    report(loop, runner, index);
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

/* [-0, +0] the calls of this state. */
static zlua_calls *calls_of(lua_State *L) {
  zlua_getregistry(L, &calls_key);
  zlua_calls *calls = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return calls;
}

/* How many callbacks of the loop have been called; one call may make several.
 */
static lua_Number count_callbacks(const zlua_loop *loop) {
  zl_stats stats = {0};
  if (loop->core) {
    zl_loop_stats(loop->core, &stats);
  }
  return (lua_Number)(stats.callbacks + stats.timers + stats.messages_in);
}

/* calling_loop(coroutine) -> the loop that makes a call in the coroutine, its
 * callback, the number of the call and count_callbacks(); nil if none does */
static int calling_loop(lua_State *L) {
  const zlua_calls *calls = calls_of(L);
  if (!calls->runner || calls->runner != lua_tothread(L, 1)) {
    return 0;
  }
  const zlua_loop *loop = calls->loop;
  /* Not by the slots: the callback may have entered its loop itself, and this
   * be called from there. */
  zlua_push_loop(L, loop->serial);
  zlua_getuservalue(L, -1);
  lua_rawgeti(L, -1, ZLUA_LOOP_STATE);
  lua_rawgeti(L, -1, ZLUA_LEFT_CALLBACK); /* loop, uservalue, state, callback */
  lua_replace(L, -3);
  lua_pop(L, 1);
  lua_pushnumber(L, calls->serial);
  lua_pushnumber(L, count_callbacks(loop));
  return 4;
}

/* call_serial() -> the number of the innermost call of a loop; 0: none */
static int call_serial(lua_State *L) {
  lua_pushnumber(L, calls_of(L)->serial);
  return 1;
}

/* is_calling(serial) -> whether that call has not returned; true for 0, which
 * stands for the code outside all calls */
static int is_calling(lua_State *L) {
  const zlua_calls *calls = calls_of(L);
  double serial = luaL_checknumber(L, 1);
  while (calls->outer && calls->serial > serial) {
    calls = calls->outer;
  }
  lua_pushboolean(L, !(calls->serial < serial || calls->serial > serial));
  return 1;
}

/* suspend_call(coroutine) -> what resume_call() is to be given when the call in
 * the coroutine, which is about to yield, has ended; or nil: what is called
 * does not wait for it */
static int suspend_call(lua_State *L) {
  const zlua_calls *calls = calls_of(L);
  const lua_State *runner = lua_tothread(L, 1);
  if (calls->runner == runner && calls->slot == (int)ZLUA_SLOT_CALL_RECV) {
    return zlua_stream_suspend(L, calls->handle);
  }
  if (calls->runner == runner && calls->slot == (int)ZLUA_SLOT_CALL_HANDLER) {
    return zlua_handler_suspend(L, calls->handle);
  }
  return 0;
}

/* resume_call(object): the call has ended. */
static int resume_call(lua_State *L) {
  if (zlua_test_object(L, 1, &zlua_class_stream)) {
    zlua_stream_resume(L);
  } else {
    zlua_handler_resume(L);
  }
  return 0;
}

/* ---- what runs in a runner ------------------------------------------------
 */

/* Pushes the next function to be called, and its arguments, given (active,
 * state, handle, loop) and, where it has left the stack as it was, what it has
 * left above; returns how many values that are, or 0 at the end. */
typedef int (*next_fn)(lua_State *L, void *handle);

typedef struct call {
  next_fn next;
  zlua_slot slot;
  bool repeated; /* until the end, not once */
  bool may_end;  /* before it: the core makes another call for the rest */
} call;

static const call calls_of_slots[] = {
    {zlua_call_callback, ZLUA_SLOT_CALL_CALLBACK, true, true},
    {zlua_call_timer, ZLUA_SLOT_CALL_TIMER, true, true},
    {zlua_call_handler, ZLUA_SLOT_CALL_HANDLER, false, false},
    {zlua_call_signal, ZLUA_SLOT_CALL_SIGNAL, false, false},
    {zlua_call_recv, ZLUA_SLOT_CALL_RECV, true, false},
    {zlua_call_sent, ZLUA_SLOT_CALL_SENT, false, false},
    {zlua_call_closed, ZLUA_SLOT_CALL_CLOSED, false, false},
    {zlua_call_notice, ZLUA_SLOT_CALL_NOTICE, false, false},
};

#if ZLUA_KEEPS_STACK

#if LUA_VERSION_NUM >= 503
static int after_yield(lua_State *L, int status, lua_KContext context) {
  (void)L;
  (void)status;
  (void)context;
  return 0;
}
#else
static int after_yield(lua_State *L) {
  (void)L;
  return 0;
}
#endif

/* (active, state, handle, loop) */
static int call_once(lua_State *L) {
  const call *it = lua_touserdata(L, lua_upvalueindex(1));
  int values = it->next(L, lua_touserdata(L, 3));
  if (values > 0) {
    lua_callk(L, values - 1, 0, 0, after_yield);
  }
  return 0;
}

/* the same */
static int call_repeatedly(lua_State *L) {
  const call *it = lua_touserdata(L, lua_upvalueindex(1));
  next_fn next = it->next;
  void *handle = lua_touserdata(L, 3);
  int values;
  while ((values = next(L, handle)) > 0) {
    lua_callk(L, values - 1, 0, 0, after_yield);
  }
  return 0;
}

/* [-0, +1] */
static void push_function(lua_State *L, const call *it) {
  lua_pushlightuserdata(L, (void *)(size_t)it);
  lua_pushcclosure(L, it->repeated ? call_repeatedly : call_once, 1);
}

#else

static const char call_once[] =
    "local next = ...\n"
    "local function call(fn, ...)\n"
    "  if fn ~= nil then\n"
    "    return fn(...)\n"
    "  end\n"
    "end\n"
    "return function(active, state, handle, loop)\n"
    "  return call(next(active, state, handle, loop))\n"
    "end\n";

static const char call_repeatedly[] =
    "local next = ...\n"
    "local function last(fn, ...)\n"
    "  return fn(...)\n"
    "end\n"
    "local function call(active, state, handle, loop, fn, ...)\n"
    "  if fn then\n"
    "    fn(...)\n"
    "    return call(active, state, handle, loop,\n"
    "      next(active, state, handle, loop))\n"
    "  elseif fn == false then\n"
    "    return last(...)\n"
    "  end\n"
    "end\n"
    "return function(active, state, handle, loop)\n"
    "  return call(active, state, handle, loop,\n"
    "    next(active, state, handle, loop))\n"
    "end\n";

/* The last one is a tail call, marked by `false`: it finds no function of ours
 * whose position error() would tell. A C function, such as error() itself, is
 * always the last one. */
static bool is_last(lua_State *L, const zlua_loop *loop, int values) {
  return zl_loop_is_last(loop->core) || lua_iscfunction(L, -values);
}

/* After a yield the handle, on the stack of whom the call came from, is gone.
 */
static int next_of(lua_State *L) {
  const call *it = lua_touserdata(L, lua_upvalueindex(1));
  const zlua_calls *calls = lua_touserdata(L, lua_upvalueindex(2));
  int values = calls->runner == L ? it->next(L, lua_touserdata(L, 3)) : 0;
  if (it->may_end && values > 0 && is_last(L, calls->loop, values)) {
    lua_pushboolean(L, 0);
    lua_insert(L, -values - 1);
    values++;
  }
  return values;
}

/* [-0, +1] */
static void push_function(lua_State *L, const call *it) {
  const char *source = it->repeated ? call_repeatedly : call_once;
  if (luaL_loadbuffer(L, source, strlen(source), "=zmqloop") != 0) {
    lua_error(L);
  }
  lua_pushlightuserdata(L, (void *)(size_t)it);
  zlua_getregistry(L, &calls_key);
  lua_pushcclosure(L, next_of, 2);
  lua_call(L, 1, 1);
}

#endif

/* ---- errors for the user -------------------------------------------------
 */

/* [-0, +0] notes which callback is about to be called, for report(). */
void zlua_calling(lua_State *L, int state_index, int callback_index) {
  lua_pushvalue(L, callback_index);
  lua_rawseti(L, state_index, ZLUA_LEFT_CALLBACK);
}

/* (err) -> the result of its __tostring(), or nil */
static int text_of_object(lua_State *L) {
  return luaL_callmeta(L, 1, "__tostring");
}

/* [-1, +1] escapes zero bytes in the text at the top, which debug.traceback()
 * would take for its end. */
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

/* Notes where the callback begins that took longer than any before; that of a
 * callable table is its __call. Nothing here may allocate: then the collector
 * would run, and the error of a finalizer be raised across the core. */
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

/* The level of the function that raised the error, for debug.traceback(): below
 * itself, make_traceback() and the message handler. */
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
  lua_pushvalue(L, 4);
  lua_rawseti(L, -2, ZLUA_LEFT_TRACEBACK);
  lua_settop(L, 3);
  return lua_error(L);
}

/* [-0, +0] replaces the coroutine at the top by its traceback with the error at
 * 1; or by the error, if there is no debug.traceback, or no memory. Only the
 * protected call allocates, so the user always hears of the error. */
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

/* [-0, +1] pushes the traceback of the error at 1, of the runner at the top:
 * that which callback_error() was given, if it has raised it. */
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

/* (err) -> err: the message handler of call_error() notes its trace. */
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

/* [-0, +0] functions[slot] = the C function, with functions at the top. */
static void set_function(lua_State *L, zlua_slot slot, lua_CFunction function) {
  lua_pushcfunction(L, function);
  lua_rawseti(L, -2, slot);
}

static void make_functions(lua_State *L) {
  lua_newtable(L);
  for (size_t i = 0; i < sizeof calls_of_slots / sizeof *calls_of_slots; i++) {
    push_function(L, &calls_of_slots[i]);
    lua_rawseti(L, -2, calls_of_slots[i].slot);
  }
  set_function(L, ZLUA_SLOT_CALL_FINISH, zlua_call_finish);
  set_function(L, ZLUA_SLOT_CALL_FOREIGN, zlua_call_foreign);
  set_function(L, ZLUA_SLOT_NEW_RUNNER, new_runner);
  set_function(L, ZLUA_SLOT_NOTHING, nothing);
  set_function(L, ZLUA_SLOT_CALL_ERROR, call_error);
  set_function(L, ZLUA_SLOT_KEEP_TRACE, call_keep_trace);
  zlua_push_traceback(L);
  if (lua_isfunction(L, -1)) {
    lua_pushcclosure(L, make_traceback, 1);
  }
  zlua_setregistry(L, &traceback_key);
  lua_pushcfunction(L, note_trace);
  zlua_setregistry(L, &note_trace_key);
  lua_pushliteral(L, "__call");
  lua_rawseti(L, -2, ZLUA_SLOT_CALL_NAME);
  lua_pushliteral(L, "interrupted!");
  lua_rawseti(L, -2, ZLUA_SLOT_INTERRUPTED);
  zlua_setregistry(L, &functions_key);
}

zlua_calls *zlua_calls_of(lua_State *L) {
  return calls_of(L);
}

/* set_receiver(function): what serves the turns of streams from now on, given
 * (active, state, turn, loop). */
static int set_receiver(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  zlua_getregistry(L, &functions_key);
  lua_pushvalue(L, 1);
  lua_rawseti(L, 2, ZLUA_SLOT_CALL_RECV);
  return 0;
}

/* [-0, +0] makes what calls need, once per state. Module table on the top. */
void zlua_make_calls(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"callback_error", callback_error}, {"calling_loop", calling_loop},
      {"suspend_call", suspend_call},     {"resume_call", resume_call},
      {"call_serial", call_serial},       {"is_calling", is_calling},
      {"set_receiver", set_receiver},     {NULL, NULL},
  };
  zlua_calls *calls = lua_newuserdata(L, sizeof *calls);
  *calls = (zlua_calls){0};
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "calls"); /* module.calls */
  lua_pushlightuserdata(L, (void *)(uintptr_t)&trial);
  lua_setfield(L, -3, "trial"); /* module.trial */
  zlua_setregistry(L, &calls_key);
  make_functions(L);
  zlua_setfuncs(L, functions);
}
