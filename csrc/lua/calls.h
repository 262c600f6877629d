/* calls.h - the calls of cores into Lua that are under way.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_CALLS_H
#define ZLUA_CALLS_H

#include "compat.h"

typedef struct zlua_loop zlua_loop;

/* The innermost call of a Lua state into which a core has called. The first
 * field is what jit.lua reads. */
typedef struct zlua_calls {
  double serial;     /* of the call; 0: there is none */
  double last;       /* serial given */
  lua_State *runner; /* the coroutine it runs in */
  zlua_loop *loop;
  int slot;                       /* zlua_slot */
  int depth;                      /* how many calls are outside, and this one */
  void *handle;                   /* what its function was given */
  const struct zlua_calls *outer; /* the call inside of which it was made */
} zlua_calls;
zlua_calls *zlua_calls_of(lua_State *L);

#endif /* ZLUA_CALLS_H */
