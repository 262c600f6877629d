/* argument.h - checks of arguments, and results of functions.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_ARGUMENT_H
#define ZLUA_ARGUMENT_H

#include "compat.h"

int zlua_error(lua_State *L, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void zlua_warn(lua_State *L, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
int zlua_argument_error(lua_State *L, const char *method, int argument,
                        const char *what);
int zlua_type_error(lua_State *L, const char *method, int argument, int index,
                    const char *expected);
bool zlua_is_callable(lua_State *L, int index);
void zlua_check_callable(lua_State *L, const char *method, int argument,
                         int index);
void zlua_check_given(lua_State *L, const char *method);
void zlua_check_options(lua_State *L, const char *method, int argument,
                        int index, const char *const *names);
int64_t zlua_check_integer(lua_State *L, const char *method, int argument,
                           int index, int64_t minimum, int64_t maximum);
int64_t zlua_nanoseconds(lua_Number seconds);
int64_t zlua_check_seconds(lua_State *L, const char *method, int argument,
                           int index);
int zlua_check_events(lua_State *L, const char *method, int argument,
                      int index);
int zlua_fail(lua_State *L, int rc);
int zlua_fail_at(lua_State *L, int rc, const char *where);
int zlua_raise(lua_State *L, int rc);
bool zlua_is_ours(lua_State *L, const lua_Debug *at);

#endif /* ZLUA_ARGUMENT_H */
