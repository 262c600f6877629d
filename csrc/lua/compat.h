/* compat.h - names for what differs between the six Luas.
 * SPDX-License-Identifier: MIT
 *
 * Own names, because LuaJIT has some of the later functions and lacks others: a
 * module built against the headers of 5.1 then loads in LuaJIT too.
 */
#ifndef ZLUA_COMPAT_H
#define ZLUA_COMPAT_H

#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

#if LUA_VERSION_NUM < 502

/* Every userdata gets its own table: by default it shares that of the function
 * that created it. */
#define zlua_setuservalue(L, index) ((void)lua_setfenv(L, index))
#define zlua_getuservalue(L, index) lua_getfenv(L, index)
#define zlua_rawlen(L, index)       lua_objlen(L, index)
#define zlua_newuserdata(L, size)   lua_newuserdata(L, size)

static inline int zlua_absindex(lua_State *L, int index) {
  return index > 0 || index <= LUA_REGISTRYINDEX ? index
                                                 : lua_gettop(L) + index + 1;
}

#elif LUA_VERSION_NUM < 504

#define zlua_setuservalue(L, index) lua_setuservalue(L, index)
#define zlua_getuservalue(L, index) ((void)lua_getuservalue(L, index))
#define zlua_rawlen(L, index)       ((size_t)lua_rawlen(L, index))
#define zlua_newuserdata(L, size)   lua_newuserdata(L, size)
#define zlua_absindex(L, index)     lua_absindex(L, index)

#else

#define zlua_setuservalue(L, index) ((void)lua_setiuservalue(L, index, 1))
#define zlua_getuservalue(L, index) ((void)lua_getiuservalue(L, index, 1))
#define zlua_rawlen(L, index)       ((size_t)lua_rawlen(L, index))
#define zlua_newuserdata(L, size)   lua_newuserdatauv(L, size, 1)
#define zlua_absindex(L, index)     lua_absindex(L, index)

#endif

/* [-0, +0] makes room for so many values. luaL_checkstack() would call it an
 * overflow when there is no memory. */
static inline void zlua_make_room(lua_State *L, int count) {
  if (!lua_checkstack(L, count)) {
    lua_pushliteral(L, "not enough memory");
    (void)lua_error(L);
  }
}

/* [-0, +1] pushes registry[key]. */
static inline void zlua_getregistry(lua_State *L, const void *key) {
  lua_pushlightuserdata(L, (void *)(size_t)key);
  lua_rawget(L, LUA_REGISTRYINDEX);
}

/* [-1, +0] registry[key] = value on top of the stack. */
static inline void zlua_setregistry(lua_State *L, const void *key) {
  lua_pushlightuserdata(L, (void *)(size_t)key);
  lua_insert(L, -2);
  lua_rawset(L, LUA_REGISTRYINDEX);
}

/* [-0, +0] sets each function of the list in the table at the top. */
static inline void zlua_setfuncs(lua_State *L, const luaL_Reg *list) {
  for (; list->name; list++) {
    lua_pushcfunction(L, list->func);
    lua_setfield(L, -2, list->name);
  }
}

/* Can a C function continue after a yield? Then one that calls several
 * functions finds its stack as it left it. */
#define ZLUA_KEEPS_STACK (LUA_VERSION_NUM >= 502)

/* Starts or continues a coroutine with `count` arguments; as lua_resume(). */
static inline int zlua_resume(lua_State *co, lua_State *from, int count) {
#if LUA_VERSION_NUM >= 504
  int results;
  return lua_resume(co, from, count, &results);
#elif LUA_VERSION_NUM >= 502
  return lua_resume(co, from, count);
#else
  (void)from;
  return lua_resume(co, count);
#endif
}

/* Closes the variables of a coroutine that has failed. It is dead afterwards,
 * as before. */
static inline void zlua_close_failed(lua_State *co) {
#if LUA_VERSION_NUM >= 505
  (void)lua_closethread(co, NULL);
  lua_settop(co, 0);
#elif LUA_VERSION_NUM >= 504
  (void)lua_resetthread(co);
  lua_settop(co, 0);
#else
  (void)co;
#endif
}

/* The collector works as if Lua had allocated this many KiB. */
static inline void zlua_gc_step(lua_State *L, int kib) {
#if LUA_VERSION_NUM < 505
  (void)lua_gc(L, LUA_GCSTEP, kib);
#else
  (void)lua_gc(L, LUA_GCSTEP, (size_t)kib * 1024);
#endif
}

/* 64-bit integers. Before 5.3 they are passed as numbers, exact up to 2^53,
 * since lua_Integer may have 32 bits. */

/* Is the value a number without fraction that fits int64_t? */
static inline bool zlua_isinteger(lua_State *L, int index) {
#if LUA_VERSION_NUM >= 503
  int is_integer = 0;
  if (lua_type(L, index) == LUA_TNUMBER) {
    (void)lua_tointegerx(L, index, &is_integer);
  }
  return is_integer != 0;
#else
  if (lua_type(L, index) != LUA_TNUMBER) {
    return false;
  }
  lua_Number number = lua_tonumber(L, index);
  return number >= -9223372036854775808.0 && number < 9223372036854775808.0 &&
         (lua_Number)(int64_t)number == number;
#endif
}

/* For a value that zlua_isinteger() accepts. */
static inline int64_t zlua_toint64(lua_State *L, int index) {
#if LUA_VERSION_NUM >= 503
  return (int64_t)lua_tointeger(L, index);
#else
  return (int64_t)lua_tonumber(L, index);
#endif
}

/* [-0, +1] */
static inline void zlua_pushint64(lua_State *L, int64_t value) {
#if LUA_VERSION_NUM >= 503
  lua_pushinteger(L, (lua_Integer)value);
#else
  lua_pushnumber(L, (lua_Number)value);
#endif
}

#endif /* ZLUA_COMPAT_H */
