/* option_value.h - setting and getting options.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_OPTION_VALUE_H
#define ZLUA_OPTION_VALUE_H

#include "compat.h"

typedef struct zlua_socket zlua_socket;

void zlua_apply_defaults(lua_State *L, int index, zlua_socket *socket);

#endif /* ZLUA_OPTION_VALUE_H */
