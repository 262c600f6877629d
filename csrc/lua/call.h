/* call.h - protected calls from the core into Lua.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_CALL_H
#define ZLUA_CALL_H

#include "loop.h"
#include "slot.h"

bool zlua_call(zlua_loop *loop, zlua_slot slot, void *handle);
bool zlua_may_repeat(const zlua_loop *loop);

#endif /* ZLUA_CALL_H */
