/* entry.h - entering and leaving the core.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_ENTRY_H
#define ZLUA_ENTRY_H

#include "loop.h"

/* An entry into the core; they nest. */
typedef struct zlua_entry {
  lua_State *L;
  lua_State *runs;
  lua_State *runner;
  unsigned changes;
  int slots;
  bool is_run; /* of the loop: errors of callbacks end here */
} zlua_entry;
void zlua_check_depth(lua_State *L, const zlua_loop *loop);
void zlua_enter(lua_State *L, zlua_loop *loop, int loop_index,
                zlua_entry *before);
int zlua_leave(lua_State *L, zlua_loop *loop, const zlua_entry *before);
void zlua_raise_later(zlua_loop *loop);
int zlua_on_interrupt(zl_loop *core, void *arg);

#endif /* ZLUA_ENTRY_H */
