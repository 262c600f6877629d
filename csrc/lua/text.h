/* text.h - bytes as text that a terminal can show.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_TEXT_H
#define ZLUA_TEXT_H

#include "compat.h"

void zlua_push_printable(lua_State *L, int index);

#endif /* ZLUA_TEXT_H */
