/* trace.c - where errors were raised, and whether they can be caught.
 * SPDX-License-Identifier: MIT
 *
 * An error keeps the value that was raised. If it ends the program, an
 * interpreter prints that value and the stack of the main coroutine, which does
 * not show where a callback or task raised it. So if nothing can catch an error
 * its trace is raised instead: a text that begins with the error, followed by
 * the stack where it was raised.
 */
#include "trace.h"

#include <string.h>

#include "argument.h"
#include "compat.h"
#include "open.h"
#include "text.h"

/* Registry keys of the table {error, trace, coroutine} of the last error that
 * was raised again, and of the table of C functions that let errors pass:
 * function -> true. */
static const char last_key;
static const char passed_key;

enum { LAST_ERROR = 1, LAST_TRACE, LAST_COROUTINE };

/* [-1, +0] Does the function at the top let errors pass? */
static bool lets_pass(lua_State *L) {
  zlua_getregistry(L, &passed_key);
  lua_insert(L, -2);
  lua_rawget(L, -2);
  bool passes = lua_toboolean(L, -1) != 0;
  lua_pop(L, 2);
  return passes;
}

/* Can an error that is raised here be caught? Lua code catches errors by a C
 * function, such as pcall(), or in another coroutine. The outermost C function
 * is the interpreter's or the host's. */
bool zlua_is_caught(lua_State *L) {
  lua_Debug at;
  lua_Debug caller;
  bool is_main = lua_pushthread(L) != 0;
  lua_pop(L, 1);
  if (!is_main) {
    return true;
  }
  for (int level = 1; lua_getstack(L, level, &at); level++) {
    (void)lua_getinfo(L, "S", &at);
    if (*at.what == 'C' && lua_getstack(L, level + 1, &caller)) {
      (void)lua_getinfo(L, "f", &at);
      if (!lets_pass(L)) {
        return true;
      }
    }
  }
  return false;
}

/* [-0, +0] notes the error that is about to be raised or passed on, whose trace
 * is at the top. Allocates nothing. */
void zlua_note_trace(lua_State *L, int error_index) {
  error_index = zlua_absindex(L, error_index);
  zlua_getregistry(L, &last_key);
  lua_pushvalue(L, error_index);
  lua_rawseti(L, -2, LAST_ERROR);
  lua_pushvalue(L, -2);
  lua_rawseti(L, -2, LAST_TRACE);
  (void)lua_pushthread(L);
  lua_rawseti(L, -2, LAST_COROUTINE);
  lua_pop(L, 1);
}

/* [-0, +1] pushes the trace of the error if it was noted last, for that
 * coroutine; else pushes nothing and returns false. */
bool zlua_push_trace(lua_State *L, int error_index, int co_index) {
  int top = lua_gettop(L);
  zlua_getregistry(L, &last_key);
  lua_rawgeti(L, top + 1, LAST_ERROR);
  lua_rawgeti(L, top + 1, LAST_COROUTINE);
  bool is_last = lua_rawequal(L, top + 2, error_index) &&
                 lua_rawequal(L, top + 3, co_index);
  lua_rawgeti(L, top + 1, LAST_TRACE);
  if (!is_last || lua_type(L, -1) != LUA_TSTRING) {
    lua_settop(L, top);
    return false;
  }
  lua_replace(L, top + 1);
  lua_settop(L, top + 1);
  return true;
}

/* [-0, +1] pushes debug.traceback, or nil where there is none. */
void zlua_push_traceback(lua_State *L) {
  lua_getglobal(L, "debug");
  if (lua_istable(L, -1)) {
    lua_getfield(L, -1, "traceback");
    lua_remove(L, -2);
  } else {
    lua_pop(L, 1);
    lua_pushnil(L);
  }
}

/* Raises the error just below the top; its trace, a string or nil, is at the
 * top. */
int zlua_raise_traced(lua_State *L) {
  bool has_trace = lua_type(L, -1) == LUA_TSTRING;
  if (has_trace) {
    zlua_note_trace(L, -2);
  }
  if (!has_trace || zlua_is_caught(L)) {
    lua_pop(L, 1);
  } else {
    zlua_push_printable(L, -1);
  }
  return lua_error(L);
}

/* raise_traced(err, trace): raises it again. */
static int raise_traced(lua_State *L) {
  lua_settop(L, 2);
  return zlua_raise_traced(L);
}

/* [-0, +0] adds a newline and "\tmain.lua:7: in function <main.lua:5>". */
static void add_line(lua_State *L, luaL_Buffer *buffer, const lua_Debug *at) {
  if (strcmp(at->what, "main") == 0) {
    lua_pushfstring(L, "\n\t%s:%d: in main chunk", at->short_src,
                    at->currentline);
  } else if (*at->namewhat && at->name) {
    lua_pushfstring(L, "\n\t%s:%d: in function '%s'", at->short_src,
                    at->currentline, at->name);
  } else {
    lua_pushfstring(L, "\n\t%s:%d: in function <%s:%d>", at->short_src,
                    at->currentline, at->short_src, at->linedefined);
  }
  luaL_addvalue(buffer);
}

/* How many lines of a stack are shown. */
enum { MOST_LINES = 20 };

/* user_lines(coroutine) -> "\n\tmain.lua:7: in function 'answer'\n\t...": the
 * stack of a coroutine without this library's functions */
static int user_lines(lua_State *L) {
  lua_State *co = lua_tothread(L, 1);
  lua_Debug at;
  luaL_Buffer buffer;
  luaL_argcheck(L, co != NULL, 1, "coroutine expected");
  luaL_buffinit(L, &buffer);
  int lines = 0;
  for (int level = 0; lua_getstack(co, level, &at) && lines < MOST_LINES;
       level++) {
    (void)lua_getinfo(co, "Sln", &at);
    if (at.currentline > 0 && !zlua_is_ours(L, &at)) {
      add_line(L, &buffer, &at);
      lines++;
    }
  }
  luaL_pushresult(&buffer);
  return 1;
}

/* How often the __call of an object may itself be an object. */
enum { DEEPEST_CALL = 8 };

/* [-0, +1] pushes "main.lua:12", where the callback at index begins; for a
 * callable object, its __call. Pushes nil for a C function. */
static void push_source(lua_State *L, int index) {
  lua_Debug at;
  int top = lua_gettop(L);
  lua_pushvalue(L, index);
  for (int i = 0; i < DEEPEST_CALL && luaL_getmetafield(L, -1, "__call"); i++) {
  }
  bool found =
      lua_isfunction(L, -1) && lua_getinfo(L, ">S", &at) && at.linedefined >= 0;
  lua_settop(L, top);
  if (found) {
    lua_pushfstring(L, "%s:%d", at.short_src, at.linedefined);
  } else {
    lua_pushnil(L);
  }
}

/* source_of(callback) -> "main.lua:12", or nil */
static int source_of(lua_State *L) {
  lua_settop(L, 1);
  push_source(L, 1);
  return 1;
}

/* last_error() -> error, trace, coroutine: what was noted last */
static int last_error(lua_State *L) {
  lua_settop(L, 0);
  zlua_getregistry(L, &last_key);
  lua_rawgeti(L, 1, LAST_ERROR);
  lua_rawgeti(L, 1, LAST_TRACE);
  lua_rawgeti(L, 1, LAST_COROUTINE);
  return 3;
}

/* [-0, +0] passed[the global function] = true, with passed at the top. */
static void let_pass(lua_State *L, const char *name) {
  lua_getglobal(L, name);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    return;
  }
  lua_pushboolean(L, 1);
  lua_rawset(L, -3);
}

/* [-0, +0] module table on the top. */
void zlua_open_trace(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"raise_traced", raise_traced},
      {"user_lines", user_lines},
      {"source_of", source_of},
      {"last_error", last_error},
      {NULL, NULL},
  };
  lua_createtable(L, LAST_COROUTINE, 0);
  for (int i = LAST_ERROR; i <= LAST_COROUTINE; i++) {
    lua_pushboolean(L, 0); /* reserves its place */
    lua_rawseti(L, -2, i);
  }
  lua_newtable(L);
  lua_pushliteral(L, "v"); /* a coroutine is not kept alive */
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  zlua_setregistry(L, &last_key);
  lua_newtable(L);
  let_pass(L, "require");
  let_pass(L, "dofile");
  zlua_setregistry(L, &passed_key);
  zlua_setfuncs(L, functions);
}
