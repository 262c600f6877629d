/* calls.h - the calls from cores into Lua that are in progress.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_CALLS_H
#define ZLUA_CALLS_H

#include "compat.h"

typedef struct zlua_loop zlua_loop;

/* The innermost call from a core into a Lua state. jit.lua reads the first
 * field. */
typedef struct zlua_calls {
  double serial;     /* of the call; 0: none */
  double last;       /* serial given */
  lua_State *runner; /* the coroutine it runs in */
  zlua_loop *loop;
  int slot;                       /* zlua_slot */
  int depth;                      /* how deeply calls are nested; 1 for the
                                   * outermost */
  void *handle;                   /* given to its function */
  const struct zlua_calls *outer; /* the call inside which it was made */
} zlua_calls;
zlua_calls *zlua_calls_of(lua_State *L);

#endif /* ZLUA_CALLS_H */
