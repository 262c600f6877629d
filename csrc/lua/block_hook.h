/* block_hook.h - the hook that reports where a loop blocks.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_BLOCK_HOOK_H
#define ZLUA_BLOCK_HOOK_H

#include "loop.h"

void zlua_on_blocked(zl_loop *core, void *arg);
void zlua_move_hook(zlua_loop *loop);

/* From now on another coroutine, or none, runs the callbacks of the loop; the
 * former one may be collected. A hook that has not run yet moves to the new
 * one. */
static inline void zlua_runs_on(zlua_loop *loop, lua_State *L) {
  lua_State *former = loop->runs;
  loop->runs = L;
  if (loop->blocked.L && loop->blocked.L == former && L != former) {
    zlua_move_hook(loop);
  }
}

#endif /* ZLUA_BLOCK_HOOK_H */
