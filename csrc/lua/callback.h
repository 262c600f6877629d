/* callback.h - functions with their arguments, packed.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_CALLBACK_H
#define ZLUA_CALLBACK_H

#include "compat.h"

void zlua_pack(lua_State *L, int first, int count);
int zlua_unpack(lua_State *L);

#endif /* ZLUA_CALLBACK_H */
