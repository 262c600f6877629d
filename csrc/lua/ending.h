/* ending.h - the end of a Lua state, and warnings of mistakes.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_ENDING_H
#define ZLUA_ENDING_H

#include "loop.h"

void zlua_watch_end(lua_State *L, zlua_loop *loop);
void zlua_tell_mistakes(const zlua_loop *loop);

/* Whether the Lua state is being closed. */
typedef struct zlua_ending {
  const void *watch; /* the latest object that is finalized before all loops */
  bool has_begun;
  bool told; /* a warning about its loops was written */
} zlua_ending;

#endif /* ZLUA_ENDING_H */
