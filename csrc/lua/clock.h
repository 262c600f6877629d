/* clock.h - the time of a loop, perhaps by a clock of the user's.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_CLOCK_H
#define ZLUA_CLOCK_H

#include "loop.h"

void zlua_configure_clock(lua_State *L, int index, zlua_loop *loop,
                          zl_config *config);
bool zlua_push_clock_error(lua_State *L, zlua_loop *loop);
void zlua_check_users_clock(lua_State *L, const zlua_loop *loop);

/* To be called after the clock may have been read: what comes next may raise.
 * Raises what a clock of the user's has raised, unless a run is there that
 * will. */
static inline void zlua_check_clock(lua_State *L, const zlua_loop *loop) {
  if (loop->clock) {
    zlua_check_users_clock(L, loop);
  }
}

/* The time of an open loop; what comes after it may raise. */
static inline int64_t zlua_now_ns(lua_State *L, const zlua_loop *loop) {
  int64_t now = zl_loop_time_ns(loop->core);
  zlua_check_clock(L, loop);
  return now;
}

#endif /* ZLUA_CLOCK_H */
