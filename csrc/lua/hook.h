/* hook.h - lets hooks set by signal handlers run.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_HOOK_H
#define ZLUA_HOOK_H

#include "compat.h"

int zlua_nothing(lua_State *L);
void zlua_let_hooks_run(lua_State *L);
void zlua_become_running(lua_State *L);

#endif /* ZLUA_HOOK_H */
