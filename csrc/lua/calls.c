/* calls.c - the calls from cores into Lua that are in progress.
 * SPDX-License-Identifier: MIT
 */
#include "calls.h"

#include "compat.h"
#include "loop.h"
#include "open.h"
#include "zmqloop.h"

/* Registry key of the calls of this state. */
static const char calls_key;

/* [-0, +0] the calls of this state. */
zlua_calls *zlua_calls_of(lua_State *L) {
  zlua_getregistry(L, &calls_key);
  zlua_calls *calls = lua_touserdata(L, -1);
  lua_pop(L, 1);
  return calls;
}

/* How many callbacks of the loop have been called; one call may serve several.
 */
static lua_Number count_callbacks(const zlua_loop *loop) {
  zl_stats stats = {0};
  if (loop->core) {
    zl_loop_stats(loop->core, &stats);
  }
  return (lua_Number)(stats.callbacks + stats.timers + stats.messages_in);
}

/* calling_loop(coroutine) -> the loop that is making a call in the coroutine,
 * its callback, the serial number of the call and count_callbacks(); nil if
 * there is none */
static int calling_loop(lua_State *L) {
  const zlua_calls *calls = zlua_calls_of(L);
  if (!calls->runner || calls->runner != lua_tothread(L, 1)) {
    return 0;
  }
  const zlua_loop *loop = calls->loop;
  /* The slots cannot be used: the callback may have entered its loop itself,
   * and this may be called from there. */
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

/* call_serial() -> the serial number of the innermost call of a loop; 0:
 * none */
static int call_serial(lua_State *L) {
  lua_pushnumber(L, zlua_calls_of(L)->serial);
  return 1;
}

/* is_calling(serial) -> whether that call is still running; true for 0, which
 * stands for code outside all calls */
static int is_calling(lua_State *L) {
  const zlua_calls *calls = zlua_calls_of(L);
  double serial = luaL_checknumber(L, 1);
  while (calls->outer && calls->serial > serial) {
    calls = calls->outer;
  }
  lua_pushboolean(L, !(calls->serial < serial || calls->serial > serial));
  return 1;
}

/* [-0, +0] creates the calls of the state. Module table on the top. */
void zlua_open_calls(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"calling_loop", calling_loop},
      {"call_serial", call_serial},
      {"is_calling", is_calling},
      {NULL, NULL},
  };
  zlua_calls *calls = lua_newuserdata(L, sizeof *calls);
  *calls = (zlua_calls){0};
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "calls"); /* module.calls */
  zlua_setregistry(L, &calls_key);
  zlua_setfuncs(L, functions);
}
