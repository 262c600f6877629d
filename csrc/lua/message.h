/* message.h - messages as passed from Lua.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_MESSAGE_H
#define ZLUA_MESSAGE_H

#include <stddef.h>

#include "compat.h"

/* The message passed to a send. */
typedef struct zlua_message {
  size_t count; /* parts */
  size_t bytes;
  size_t longest;  /* bytes of a part */
  bool has_frames; /* not only strings */
} zlua_message;

zlua_message zlua_check_part(lua_State *L, const char *method, int index);
bool zlua_has_hole(lua_State *L, int index, size_t count);
zlua_message zlua_check_message(lua_State *L, const char *method, int index);

#endif /* ZLUA_MESSAGE_H */
