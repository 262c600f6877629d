/* block_hook.c - the hook that reports where a loop blocks.
 * SPDX-License-Identifier: MIT
 *
 * The core calls zlua_on_blocked() in a signal handler, where nothing can be
 * done in Lua but to set a hook, as interpreters do for Ctrl-C. The hook runs
 * at the next instruction, or at the end of the current C function. It reports
 * how long the loop has been blocked and where, and calls the user's action; an
 * error of the action is raised in the blocking code.
 *
 * A hook belongs to a coroutine (in LuaJIT, to all of them), so loop->runs
 * holds the running one: the one that has entered the core, or one that is
 * resumed through zmqloop.blocked.
 */
#include "block_hook.h"

#include <stdio.h>

#include "calls.h"
#include "compat.h"
#include "loop.h"
#include "open.h"
#include "trace.h"
#include "wait.h"
#include "zmqloop.h"
#include "zmqloop_blocked.h"

/* A hook that runs later than this had to wait for code that does not run
 * hooks. */
#define LATE_NS INT64_C(5000000)

/* The key of debug.traceback in the registry. */
static const char traceback_key;

/* ---- the report ---------------------------------------------------------- */

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
  char text[100]; /* with a decimal point in every locale */
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

/* ---- the hook ------------------------------------------------------------ */

static void on_hook(lua_State *L, lua_Debug *event);

static void set_hook(lua_State *L) {
  const int mask = LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT;
  (void)lua_sethook(L, on_hook, mask, 1);
}

/* A loop that waits for the hook of L, among the loops whose callbacks are
 * running; or NULL. */
static zlua_loop *waiting(const zlua_calls *calls, lua_State *L) {
  for (; calls && calls->loop; calls = calls->outer) {
    lua_State *hooked = calls->loop->blocked.L;
    if (hooked == L || (hooked && LUA_VERSION_NUM == 501)) { /* LuaJIT's */
      return calls->loop;
    }
  }
  return NULL;
}

/* Restores L's hook from before the loop set its own; or, if another loop still
 * waits for our hook, passes it on to that loop. A signal may make one wait at
 * any moment: one that arrives before the former hook is restored is noticed
 * afterwards, and a later one finds the former hook, as if ours had never been
 * set. */
static void give_back(lua_State *L, const zlua_calls *calls,
                      const zlua_blocked *former) {
  if (lua_gethook(L) != on_hook) {
    return; /* a hook that other code has set since stays */
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

/* The former hook may be ours, set for another loop that is waiting for it. */
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
void zlua_on_blocked(zl_loop *core, void *arg) {
  zlua_loop *loop = arg;
  (void)core;
  if (loop->runs) {
    loop->blocked.asked_ns = zlua_monotonic_ns();
    hook(loop);
  }
}

/* [-0, +1] pushes the list of the loops that wait for the hook, and removes the
 * hook. The list is complete before any action is called, since an action could
 * change it. */
static int push_blocked_loops(lua_State *L) {
  int count = 0;
  lua_newtable(L);
  zlua_push_actives(L);
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    if (lua_istable(L, -1)) { /* else it is the last serial number */
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
  zlua_make_room(L, LUA_MINSTACK);
  int top = lua_gettop(L);
  int count = push_blocked_loops(L);
  static const zlua_blocked none = {.L = NULL};
  give_back(L, zlua_calls_of(L), &none); /* a hook left over from a block that
                                          * has ended */
  for (int i = 1; i <= count; i++) {
    lua_rawgeti(L, top + 1, i);
    call_action(L, top + 2, event);
    lua_settop(L, top + 1);
  }
  lua_settop(L, top);
}

/* Moves a hook that has not run yet to the coroutine that runs now, if any. */
void zlua_move_hook(zlua_loop *loop) {
  unhook(loop);
  if (loop->runs) {
    hook(loop);
  }
}

/* [-0, +0] */
void zlua_open_block_hook(lua_State *L) {
  zlua_push_traceback(L);
  zlua_setregistry(L, &traceback_key);
}
