/* clock.c - a user's clock for a loop.
 * SPDX-License-Identifier: MIT
 */
#include "clock.h"

#include <math.h>

#include "argument.h"
#include "compat.h"
#include "hook.h"
#include "loop.h"
#include "zmqloop.h"

/* [-0, +1] pushes the error of the user's clock, if there is one. */
bool zlua_push_clock_error(lua_State *L, zlua_loop *loop) {
  if (!loop->clock || loop->reads_clock || lua_gettop(loop->clock) == 1) {
    return false;
  }
  lua_xmove(loop->clock, L, 1);
  return true;
}

/* The user's clock runs in a coroutine of its own, with the function at the
 * bottom of the stack, since no other stack is available where time is read. On
 * an error time stands still. The first error stays above the function until
 * zlua_leave() raises it, since the clock may have been read from a callback,
 * from which the slots are out of reach. Outside a run the function that read
 * the clock raises it: zlua_check_clock(). If a clock uses its own loop, it
 * gets the time that it returned last. */
static int64_t read_clock(void *arg) {
  zlua_loop *loop = arg;
  lua_State *clock = loop->clock;
  if (loop->reads_clock) {
    return loop->clock_ns;
  }
  int top = lua_gettop(clock);
  lua_pushvalue(clock, 1);
  loop->reads_clock = true;
  int status = lua_pcall(clock, 0, 1, 0);
  loop->reads_clock = false;
  if (status == 0) {
    loop->clock_ns = zlua_nanoseconds(lua_tonumber(clock, -1));
  } else if (top == 1) {
    zl_loop_break(loop->core);
    return loop->clock_ns;
  }
  lua_settop(clock, top);
  return loop->clock_ns;
}

/* () -> seconds, from the upvalue, the user's clock. A result that is not a
 * finite number is an error, like any error that the clock raises. */
static int tell_time(lua_State *L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_call(L, 0, 1);
  if (lua_type(L, -1) != LUA_TNUMBER) {
    return luaL_error(L, "the loop's clock returned %s, not seconds",
                      lua_isnil(L, -1) ? "nil" : luaL_typename(L, -1));
  }
  lua_Number seconds = lua_tonumber(L, -1);
  if (!isfinite(seconds)) {
    return luaL_error(L, "the loop's clock returned %s, not seconds",
                      isnan(seconds) ? "nan" : "an infinite number");
  }
  return 1;
}

/* [-0, +0] reads the clock at index: nil, "monotonic", "virtual" or callable.
 */
void zlua_configure_clock(lua_State *L, int index, zlua_loop *loop,
                          zl_config *config) {
  static const char *const names[] = {"monotonic", "virtual", NULL};
  if (lua_isnoneornil(L, index) || lua_type(L, index) == LUA_TSTRING) {
    if (luaL_checkoption(L, index, "monotonic", names) == 1) {
      config->flags |= ZL_CONFIG_VIRTUAL_CLOCK;
    }
    return;
  }
  zlua_check_callable(L, "IOLoop", 1, index);
  zlua_getuservalue(L, 1);
  loop->clock = lua_newthread(L);
  lua_rawseti(L, -2, ZLUA_LOOP_CLOCK);
  lua_pop(L, 1);
  lua_pushvalue(L, index);
  lua_pushcclosure(L, tell_time, 1);
  lua_xmove(L, loop->clock, 1);
  config->clock = read_clock;
  config->clock_ud = loop;
}

/* Raises the error of the user's clock, unless a run in progress will do so. */
void zlua_check_users_clock(lua_State *L, const zlua_loop *loop) {
  zlua_become_running(L);
  if (!loop->L && !loop->reads_clock && lua_gettop(loop->clock) > 1) {
    lua_xmove(loop->clock, L, 1);
    lua_error(L);
  }
}
