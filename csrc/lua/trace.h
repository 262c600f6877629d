/* trace.h - where errors were raised.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_TRACE_H
#define ZLUA_TRACE_H

#include "compat.h"

bool zlua_is_caught(lua_State *L);
void zlua_note_trace(lua_State *L, int error_index);
bool zlua_push_trace(lua_State *L, int error_index, int co_index);
int zlua_raise_traced(lua_State *L);
void zlua_push_traceback(lua_State *L);

#endif /* ZLUA_TRACE_H */
