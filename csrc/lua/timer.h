/* timer.h - timeouts.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_TIMER_H
#define ZLUA_TIMER_H

#include "object.h"

extern const zlua_class zlua_class_timer;
void zlua_timer_push_callback(lua_State *L, int index);

#endif /* ZLUA_TIMER_H */
