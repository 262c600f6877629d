/* blocked.c - what a loop's thread does when it is told that it blocks.
 * SPDX-License-Identifier: MIT
 *
 * The core calls on_blocked() in the handler of a signal, where Lua can only be
 * given a hook, as interpreters do for Ctrl-C. It runs at the next instruction,
 * or at the end of the C function that Lua is in, says how long the loop has
 * blocked and where, and calls the user's action; an error of that is raised in
 * what blocks.
 *
 * A hook belongs to a coroutine (to all of them in LuaJIT), so loop->runs tells
 * which one runs: the one that has entered the core, or one that is resumed
 * through zmqloop.blocked.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>

#include "argument.h"
#include "call.h"
#include "compat.h"
#include "exit.h"
#include "loop.h"
#include "object.h"
#include "open.h"
#include "signal.h"
#include "trace.h"
#include "wait.h"
#include "zmqloop.h"

/* A hook that comes later than this has waited for something that does not look
 * for hooks. */
#define LATE_NS INT64_C(5000000)

/* The key of debug.traceback in the registry. */
static const char traceback_key;

/* ---- the report ----------------------------------------------------------
 */

/* Which code did not run hooks. LuaJIT calls no hook when a C function returns,
 * and no Lua does when one raises. */
static const char *where_late(lua_State *L, lua_Debug *event) {
  bool returns = event->event == LUA_HOOKRET;
  if (returns && lua_getinfo(L, "S", event) && *event->what == 'C') {
    return ", inside C,";
  }
  return ", in C or compiled code before it came here,";
}

/* [-0, +1] pushes "IOLoop blocked for 0.123 seconds in\nstack traceback: ...";
 * Tornado's text. */
static void push_report(lua_State *L, const zlua_loop *loop, lua_Debug *event) {
  int64_t late = zl_time_until(zlua_monotonic_ns(), loop->blocked.asked_ns);
  const char *where = late > LATE_NS ? where_late(L, event) : "";
  int64_t ms = zl_time_add(loop->blocked.threshold_ns, late) / 1000000;
  char text[100]; /* whose point no locale makes a comma */
  (void)snprintf(text, sizeof text, "IOLoop blocked for %lld.%03d seconds%s in",
                 (long long)(ms / 1000), (int)(ms % 1000), where);
  zlua_getregistry(L, &traceback_key);
  bool has_traceback = lua_isfunction(L, -1) != 0;
  lua_pushstring(L, text);
  if (has_traceback) {
    lua_call(L, 1, 1);
  } else {
    lua_remove(L, -2);
  }
}

/* [-0, +0] action(signal, report) of the loop at index. */
static void call_action(lua_State *L, int index, lua_Debug *event) {
  const zlua_loop *loop = lua_touserdata(L, index);
  zlua_getuservalue(L, index);
  lua_rawgeti(L, -1, ZLUA_LOOP_STATE);
  lua_rawgeti(L, -1, ZLUA_LEFT_BLOCKED);
  if (lua_toboolean(L, -1)) {
    lua_pushinteger(L, zl_loop_blocking_signal(loop->core));
    push_report(L, loop, event);
    lua_call(L, 2, 0);
  }
}

/* ---- the hook ------------------------------------------------------------
 */

static void on_hook(lua_State *L, lua_Debug *event);

static void set_hook(lua_State *L) {
  const int mask = LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT;
  (void)lua_sethook(L, on_hook, mask, 1);
}

/* A loop that waits for the hook of L, among those in whose callbacks we are;
 * or NULL. */
static zlua_loop *waiting(const zlua_calls *calls, lua_State *L) {
  for (; calls && calls->loop; calls = calls->outer) {
    lua_State *hooked = calls->loop->blocked.L;
    if (hooked == L || (hooked && LUA_VERSION_NUM == 501)) { /* LuaJIT's */
      return calls->loop;
    }
  }
  return NULL;
}

/* Gives L the former hook of a loop; or to another loop, if one still waits for
 * ours. That may do so since a moment ago, or from any moment on: a signal that
 * comes before the former hook is back is seen after it, and a later one finds
 * that hook, as if there had been no other. */
static void give_back(lua_State *L, const zlua_calls *calls,
                      const zlua_blocked *former) {
  if (lua_gethook(L) != on_hook) {
    return; /* somebody else's that has taken its place stays */
  }
  (void)lua_sethook(L, former->former, former->mask, former->count);
  zlua_loop *other = waiting(calls, L);
  if (other) {
    zlua_blocked *blocked = &other->blocked;
    if (blocked->former == on_hook) {
      blocked->former = former->former;
      blocked->mask = former->mask;
      blocked->count = former->count;
    }
    set_hook(L);
  }
}

/* Takes the hook off again. */
static void unhook(zlua_loop *loop) {
  zlua_blocked *blocked = &loop->blocked;
  lua_State *L = blocked->L;
  blocked->L = NULL;
  if (blocked->former != on_hook) {
    give_back(L, loop->calls, blocked);
  }
}

/* The former hook may be ours, set for another loop that waits for it to run.
 */
static void hook(zlua_loop *loop) {
  zlua_blocked *blocked = &loop->blocked;
  lua_State *L = loop->runs;
  if (blocked->L != L) {
    blocked->former = lua_gethook(L);
    blocked->mask = lua_gethookmask(L);
    blocked->count = lua_gethookcount(L);
  }
  blocked->L = L;
  set_hook(L);
}

/* In the handler of a signal. */
static void on_blocked(zl_loop *core, void *arg) {
  zlua_loop *loop = arg;
  (void)core;
  if (loop->runs) {
    loop->blocked.asked_ns = zlua_monotonic_ns();
    hook(loop);
  }
}

/* [-0, +1] pushes the list of the loops that wait for the hook, which takes it
 * off; calling actions while they are looked for could change what there is. */
static int push_blocked_loops(lua_State *L) {
  int count = 0;
  lua_newtable(L);
  zlua_push_actives(L);
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    if (lua_istable(L, -1)) { /* else it is the last number */
      lua_rawgeti(L, -1, 0);
      zlua_loop *loop = lua_touserdata(L, -1);
      if (loop->blocked.L) {
        unhook(loop);
        lua_pushvalue(L, -1);
        lua_rawseti(L, -6, ++count);
      }
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return count;
}

static void on_hook(lua_State *L, lua_Debug *event) {
  luaL_checkstack(L, LUA_MINSTACK, "too many nested calls");
  int top = lua_gettop(L);
  int count = push_blocked_loops(L);
  static const zlua_blocked none = {.L = NULL};
  give_back(L, zlua_calls_of(L), &none); /* the hook of a block that is over */
  for (int i = 1; i <= count; i++) {
    lua_rawgeti(L, top + 1, i);
    call_action(L, top + 2, event);
    lua_settop(L, top + 1);
  }
  lua_settop(L, top);
}

/* Takes the hook that has not run yet to the coroutine that runs now, if any.
 */
void zlua_move_hook(zlua_loop *loop) {
  unhook(loop);
  if (loop->runs) {
    hook(loop);
  }
}

/* ---- for zmqloop.blocked --------------------------------------------------
 */

/* [-0, +1] pushes what the loop at 1 has as its action, and replaces it by the
 * value at index. */
static void exchange_action(lua_State *L, int index) {
  zlua_getuservalue(L, 1);
  lua_rawgeti(L, -1, ZLUA_LOOP_STATE);
  lua_remove(L, -2);
  lua_rawgeti(L, -1, ZLUA_LEFT_BLOCKED);
  lua_insert(L, -2);
  lua_pushvalue(L, index);
  lua_rawseti(L, -2, ZLUA_LEFT_BLOCKED);
  lua_pop(L, 1);
}

/* watch_blocking(loop, seconds | nil, action, signal | nil)
 * -> true | nil, message, name */
static int watch_blocking(lua_State *L) {
  static const char method[] = "set_blocking_signal_threshold";
  zlua_loop *loop = zlua_check_loop(L, 1, method, 0);
  bool watches = !lua_isnoneornil(L, 2);
  int64_t threshold = watches ? zlua_check_seconds(L, method, 1, 2) : 0;
  int number = 0;
  if (watches && threshold <= 0) {
    return zlua_argument_error(L, method, 1, "seconds must be positive");
  }
  if (watches) {
    zlua_check_callable(L, method, 2, 3);
  }
  if (!lua_isnoneornil(L, 4)) {
    number = zlua_check_signal(L, method, 3, 4);
  }
  lua_settop(L, 3);
  zlua_stay_loaded();
  exchange_action(L, 3); /* 4: the former one */
  int rc =
      zl_loop_watch_blocking(loop->core, threshold, number, on_blocked, loop);
  if (rc < 0) {
    exchange_action(L, 4);
  }
  if (rc == -EINVAL) {
    return zlua_argument_error(L, method, 3, "not a signal for handlers");
  }
  if (rc < 0) {
    return zlua_fail(L, rc);
  }
  loop->blocked.threshold_ns = threshold;
  lua_pushboolean(L, 1);
  return 1;
}

/* resume(loop, coroutine, ...): coroutine.resume(coroutine, ...), which is the
 * upvalue, on behalf of a callback of the loop. */
static int resume(lua_State *L) {
  zlua_loop *loop = zlua_check_self(L, &zlua_class_loop, "resume");
  lua_State *former = loop->runs;
  luaL_checktype(L, 2, LUA_TTHREAD); /* the rest raises nothing */
  zlua_runs_on(loop, lua_tothread(L, 2));
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_replace(L, 1);
  lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
  zlua_runs_on(loop, former);
  return lua_gettop(L);
}

/* [-0, +0] module table on the top. */
void zlua_open_blocked(lua_State *L) {
  lua_pushcfunction(L, watch_blocking);
  lua_setfield(L, -2, "watch_blocking");
  lua_getglobal(L, "coroutine");
  lua_getfield(L, -1, "resume");
  lua_remove(L, -2);
  lua_pushcclosure(L, resume, 1);
  lua_setfield(L, -2, "resume");
  zlua_push_traceback(L);
  zlua_setregistry(L, &traceback_key);
}
