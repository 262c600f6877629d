/* clock.h - the time of a loop, which may have a user's clock.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_CLOCK_H
#define ZLUA_CLOCK_H

#include "loop.h"

void zlua_configure_clock(lua_State *L, int index, zlua_loop *loop,
                          zl_config *config);
bool zlua_push_clock_error(lua_State *L, zlua_loop *loop);
void zlua_check_users_clock(lua_State *L, const zlua_loop *loop);

/* Called after the clock may have been read, where raising is allowed. Raises
 * an error of the user's clock, unless a run in progress will do so. */
static inline void zlua_check_clock(lua_State *L, const zlua_loop *loop) {
  if (loop->clock) {
    zlua_check_users_clock(L, loop);
  }
}

/* The time of an open loop, where raising is allowed. */
static inline int64_t zlua_now_ns(lua_State *L, const zlua_loop *loop) {
  int64_t now = zl_loop_time_ns(loop->core);
  zlua_check_clock(L, loop);
  return now;
}

#endif /* ZLUA_CLOCK_H */
