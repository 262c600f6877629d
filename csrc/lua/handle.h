/* handle.h - what handlers and streams have in common.
 * SPDX-License-Identifier: MIT
 *
 * They have a core handle while the loop uses them; `core` NULL means closed or
 * at rest. The loop lists all that have one, so that it can detach them if it
 * is closed first. Timers contain theirs. The loop keeps active handles of all
 * three kinds alive (zlua_anchor).
 */
#ifndef ZLUA_HANDLE_H
#define ZLUA_HANDLE_H

#include "object.h"

typedef struct zlua_loop zlua_loop;

/* The start of handlers and streams. */
typedef struct zlua_handle {
  const zlua_class *class;
  zlua_loop *loop;              /* NULL: it has no core handle */
  struct zlua_handle *previous; /* among those of the loop */
  struct zlua_handle *next;
  int anchor; /* its place in the loop's table of active handles; 0: none */
} zlua_handle;

int zlua_keep(lua_State *L, zlua_loop *loop, int active_index, int index);
void zlua_let_go(lua_State *L, zlua_loop *loop, int active_index, int anchor);
void zlua_link(zlua_loop *loop, zlua_handle *handle);
void zlua_unlink(zlua_handle *handle);
void zlua_anchor(lua_State *L, zlua_handle *handle, int index);
void zlua_unanchor(lua_State *L, zlua_handle *handle, int active_index);

#endif /* ZLUA_HANDLE_H */
