/* object.c - classes of userdata, and how they are told apart.
 * SPDX-License-Identifier: MIT
 */
#include "object.h"

#include <string.h>

#include "argument.h"
#include "compat.h"
#include "open.h"

/* [-0, +1] pushes a userdata of the class, zeroed but for its class: closed, so
 * that its finalizer is safe; with an empty table as its uservalue. It has no
 * metatable yet. */
void *zlua_new_object(lua_State *L, const zlua_class *class) {
  void *object = zlua_newuserdata(L, class->size);
  memset(object, 0, class->size);
  memcpy(object, &class, sizeof class); /* NOLINT: the pointer is meant */
  lua_newtable(L);
  zlua_setuservalue(L, -2); /* object's uservalue = {} */
  return object;
}

/* [-0, +1] makes the class's metatable, and pushes its table of methods. */
void zlua_new_class(lua_State *L, const zlua_class *class,
                    const luaL_Reg *methods, const luaL_Reg *metamethods) {
  lua_newtable(L); /* methods */
  zlua_setfuncs(L, methods);
  lua_newtable(L); /* methods, metatable */
  zlua_setfuncs(L, metamethods);
  lua_pushfstring(L, "zmqloop.%s", class->name);
  lua_setfield(L, -2, "__name");
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "__index"); /* metatable.__index = methods */
  zlua_setregistry(L, class);     /* methods */
}

/* [-0, +0] gives the object at the top the metatable of its class. */
void zlua_set_metatable(lua_State *L, const zlua_class *class) {
  zlua_getregistry(L, class);
  lua_setmetatable(L, -2);
}

/* [-0, +0] gives the object at the top a metatable of its own: a copy of its
 * class's, with the object's fields before the class table at class_index. That
 * lets a user override a method of one object, or derive a class. */
void zlua_set_own_metatable(lua_State *L, const zlua_class *class,
                            int class_index) {
  class_index = zlua_absindex(L, class_index);
  lua_newtable(L); /* object, own */
  zlua_getregistry(L, class);
  lua_pushnil(L); /* object, own, shared, key */
  while (lua_next(L, -2)) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -5); /* own[key] = value */
  }
  lua_pop(L, 1);   /* object, own */
  lua_newtable(L); /* object, own, fields */
  lua_pushvalue(L, class_index);
  lua_setmetatable(L, -2);
  lua_pushvalue(L, -1);
  lua_setfield(L, -3, "__newindex");
  lua_setfield(L, -2, "__index"); /* object, own */
  lua_setmetatable(L, -2);
}

/* [-0, +0] class.__index = class, if it has none: objects inherit its fields.
 */
static void set_index(lua_State *L, int class_index) {
  lua_pushliteral(L, "__index");
  lua_rawget(L, class_index);
  if (lua_isnil(L, -1)) {
    lua_pushliteral(L, "__index");
    lua_pushvalue(L, class_index);
    lua_rawset(L, class_index);
  }
  lua_pop(L, 1);
}

/* [-0, +0] one of the two above: the value at class_index may be nil. */
void zlua_set_metatable_of(lua_State *L, const zlua_class *class,
                           int class_index) {
  if (lua_isnoneornil(L, class_index)) {
    zlua_set_metatable(L, class);
  } else {
    luaL_checktype(L, class_index, LUA_TTABLE);
    set_index(L, class_index);
    zlua_set_own_metatable(L, class, class_index);
  }
}

/* Raises: the self of the method, at index, is not an object of the class. Most
 * likely the user wrote '.' instead of ':'. */
int zlua_bad_self(lua_State *L, int index, const char *method,
                  const char *class) {
  return zlua_error(L,
                    "bad self to '%s' (%s expected, got %s); call it with ':', "
                    "as object:%s()",
                    method, class, luaL_typename(L, index), method);
}

/* bad_self(method, class, value): the same for classes of Lua files. */
static int bad_self(lua_State *L) {
  return zlua_bad_self(L, 3, luaL_checkstring(L, 1), luaL_checkstring(L, 2));
}

/* Raises the same for the self at 1. */
void *zlua_no_self(lua_State *L, const zlua_class *class, const char *method) {
  zlua_bad_self(L, 1, method, class->name);
  return NULL;
}

/* [-0, +0] module table on the top. */
void zlua_open_object(lua_State *L) {
  lua_pushcfunction(L, bad_self);
  lua_setfield(L, -2, "bad_self");
}
