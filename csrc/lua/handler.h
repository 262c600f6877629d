/* handler.h - handlers of descriptors and sockets.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_HANDLER_H
#define ZLUA_HANDLER_H

#include "handle.h"

typedef struct zlua_handler zlua_handler;

extern const zlua_class zlua_class_handler;
void zlua_handler_detach(zlua_handle *handle);
int zlua_call_handler(lua_State *L, void *handle);
void zlua_handler_used(const zlua_handler *handler);
void zlua_handler_touch(const zlua_handler *handler);
void zlua_handler_close(lua_State *L, int index);
int zlua_handler_suspend(lua_State *L, const void *handle);
void zlua_handler_resume(lua_State *L);
int zlua_check_descriptor(lua_State *L, const char *method, int index);

#endif /* ZLUA_HANDLER_H */
