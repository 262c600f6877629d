/* signal.h - signals of the process.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_SIGNAL_H
#define ZLUA_SIGNAL_H

#include "compat.h"

int zlua_check_signal(lua_State *L, const char *method, int argument,
                      int index);

#endif /* ZLUA_SIGNAL_H */
