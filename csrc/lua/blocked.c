/* blocked.c - C functions of zmqloop.blocked.
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>

#include "argument.h"
#include "block_hook.h"
#include "compat.h"
#include "exit.h"
#include "loop.h"
#include "object.h"
#include "open.h"
#include "signal.h"
#include "zmqloop_blocked.h"

/* [-0, +1] pushes the action of the loop at 1, and replaces it by the value at
 * index. */
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
  int rc = zl_loop_watch_blocking(loop->core, threshold, number,
                                  zlua_on_blocked, loop);
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
static int blocked_resume(lua_State *L) {
  zlua_loop *loop = zlua_check_self(L, &zlua_class_loop, "resume");
  lua_State *former = loop->runs;
  luaL_checktype(L, 2, LUA_TTHREAD); /* nothing below raises */
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
  lua_pushcclosure(L, blocked_resume, 1);
  lua_setfield(L, -2, "resume");
}
