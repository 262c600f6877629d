/* object.h - classes of userdata: an object begins with a pointer to its class.
 * SPDX-License-Identifier: MIT
 *
 * A full userdata whose struct begins with a pointer to its class. Type checks
 * compare that pointer, not metatables, since each loop and stream has a
 * metatable of its own, whose __index is the object's table of fields, which
 * falls back to the class. Lua values that an object needs are in its
 * uservalue, a table, so that the collector can break cycles.
 */
#ifndef ZLUA_OBJECT_H
#define ZLUA_OBJECT_H

#include <stddef.h>
#include <string.h>

#include "compat.h"

typedef struct zlua_class {
  const char *name; /* for messages: "stream" */
  size_t size;
} zlua_class;

void *zlua_new_object(lua_State *L, const zlua_class *class);
void zlua_new_class(lua_State *L, const zlua_class *class,
                    const luaL_Reg *methods, const luaL_Reg *metamethods);
void zlua_set_metatable(lua_State *L, const zlua_class *class);
void zlua_set_own_metatable(lua_State *L, const zlua_class *class,
                            int class_index);
void zlua_set_metatable_of(lua_State *L, const zlua_class *class,
                           int class_index);

/* The object at index, or NULL if it is not of the class. Objects of other
 * libraries are not read beyond their length. */
static inline void *zlua_test_object(lua_State *L, int index,
                                     const zlua_class *class) {
  const zlua_class *found;
  void *object = lua_touserdata(L, index);
  if (!object || zlua_rawlen(L, index) != class->size) {
    return NULL; /* a light userdata has length 0 */
  }
  memcpy(&found, object, sizeof found); /* NOLINT: the pointer is meant */
  return found == class ? object : NULL;
}

int zlua_bad_self(lua_State *L, int index, const char *method,
                  const char *class);
void *zlua_no_self(lua_State *L, const zlua_class *class, const char *method);

/* The self of a method. */
static inline void *zlua_check_self(lua_State *L, const zlua_class *class,
                                    const char *method) {
  void *object = zlua_test_object(L, 1, class);
  return object ? object : zlua_no_self(L, class, method);
}

#endif /* ZLUA_OBJECT_H */
