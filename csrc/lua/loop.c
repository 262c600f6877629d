/* loop.c - loops, as used by other files.
 * SPDX-License-Identifier: MIT
 */
#include "loop.h"

#include "argument.h"
#include "compat.h"
#include "object.h"
#include "open.h"

const zlua_class zlua_class_loop = {.name = "IOLoop",
                                    .size = sizeof(zlua_loop)};

/* Registry key of the table serial number -> the loop's table of active
 * handles. Its values are weak; [0] is the last number. */
static const char actives_key;

/* The open loop at index, which is the argument, or self (argument 0). */
zlua_loop *zlua_no_loop(lua_State *L, int index, const char *method,
                        int argument) {
  zlua_loop *loop = zlua_test_object(L, index, &zlua_class_loop);
  if (loop) {
    zlua_error(L, "loop is closed");
  } else if (argument > 0) {
    zlua_type_error(L, method, argument, index, "IOLoop");
  }
  return zlua_no_self(L, &zlua_class_loop, method);
}

/* [-0, +1] pushes the table of active handles. */
void zlua_push_active(lua_State *L, int loop_index) {
  zlua_getuservalue(L, loop_index);
  lua_rawgeti(L, -1, ZLUA_LOOP_ACTIVE);
  lua_remove(L, -2);
}

/* [-0, +1] */
void zlua_push_actives(lua_State *L) {
  zlua_getregistry(L, &actives_key);
}

/* [-0, +1] pushes the loop of that number, which may be closed. */
void zlua_push_loop(lua_State *L, int serial) {
  zlua_push_actives(L);
  lua_rawgeti(L, -1, serial);
  if (lua_isnil(L, -1)) {
    zlua_error(L, "loop is closed");
  }
  lua_rawgeti(L, -1, 0); /* actives, active, loop */
  lua_insert(L, -3);
  lua_pop(L, 2);
}

/* ---- the end of a state --------------------------------------------------
 *
 * Lua finalizes newer objects first. So the newest loop has a sentinel
 * (`watch`) created after it, which is finalized before any loop if, and only
 * if, the state is being closed.
 */

/* [-0, +0] */
void zlua_open_loop(lua_State *L) {
  lua_newtable(L);
  lua_newtable(L);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  zlua_setregistry(L, &actives_key);
}
