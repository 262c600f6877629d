/* handler.h - handlers of descriptors and sockets.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_HANDLER_H
#define ZLUA_HANDLER_H

#include "handle.h"

typedef struct zlua_handler zlua_handler;

extern const zlua_class zlua_class_handler;
void zlua_handler_detach(zlua_handle *handle);
int zlua_check_descriptor(lua_State *L, const char *method, int index);

#endif /* ZLUA_HANDLER_H */
