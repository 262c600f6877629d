/* hook.c - lets hooks set by signal handlers run.
 * SPDX-License-Identifier: MIT
 */
#include "hook.h"

#include "compat.h"

/* [-0, +0] The same where the slots are out of reach: the user's clock, which
 * has its own coroutine, may have been read. */
void zlua_become_running(lua_State *L) {
  if (LUA_VERSION_NUM == 501) {
    zlua_let_hooks_run(L);
  }
}

/* A function that does nothing, called only to let hooks run. */
int zlua_nothing(lua_State *L) {
  (void)L;
  return 0;
}

/* A signal interrupted a wait outside the loop: calling any function gives a
 * hook set by its handler a chance to raise. */
void zlua_let_hooks_run(lua_State *L) {
  lua_pushcfunction(L, zlua_nothing);
  lua_call(L, 0, 0);
}
