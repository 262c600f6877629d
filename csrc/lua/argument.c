/* argument.c - checks of arguments, and results of failures.
 * SPDX-License-Identifier: MIT
 *
 * Misuse raises an error that names the user's line, the method and the number
 * of the argument, not counting self. luaL_argerror() would name '?' for a
 * method called through pcall, and luaL_error() would name a line of this
 * library where the library calls its own methods.
 */
#include "argument.h"

#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "compat.h"
#include "hook.h"
#include "open.h"
#include "spelling.h"
#include "zmqloop.h"

#define NS_PER_SECOND 1e9

/* The largest double below 2^63. */
#define LARGEST_NS 9223372036854774784.0

/* Registry key of the common prefix of this library's Lua sources. */
static const char library_key;

/* Is it a function of this library? Chunks that call.c loads are named
 * "zmqloop". */
bool zlua_is_ours(lua_State *L, const lua_Debug *at) {
  zlua_getregistry(L, &library_key);
  const char *library = lua_tostring(L, -1);
  bool is = strcmp(at->source, "=zmqloop") == 0 ||
            (library && strncmp(at->source, library, strlen(library)) == 0);
  lua_pop(L, 1);
  return is;
}

/* [-0, +1] pushes "file:line: " of the innermost of the user's functions, or ""
 * if none runs in this coroutine. */
static void push_where(lua_State *L) {
  lua_Debug at;
  for (int level = 1; lua_getstack(L, level, &at); level++) {
    (void)lua_getinfo(L, "Sl", &at);
    if (at.currentline > 0 && !zlua_is_ours(L, &at)) {
      lua_pushfstring(L, "%s:%d: ", at.short_src, at.currentline);
      return;
    }
  }
  lua_pushliteral(L, "");
}

/* Raises misuse, at the user's line. */
int zlua_error(lua_State *L, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  push_where(L);
  lua_pushvfstring(L, format, arguments);
  va_end(arguments);
  lua_concat(L, 2);
  zlua_become_running(L);
  return lua_error(L);
}

/* [-0, +0] Writes a warning about a likely mistake to stderr, with the user's
 * line. */
void zlua_warn(lua_State *L, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  push_where(L);
  lua_pushvfstring(L, format, arguments);
  va_end(arguments);
  (void)fprintf(stderr, "zmqloop: %s%s\n", lua_tostring(L, -2),
                lua_tostring(L, -1));
  lua_pop(L, 2);
}

/* misuse(text): zlua_error() for Lua files. */
static int misuse(lua_State *L) {
  luaL_checktype(L, 1, LUA_TSTRING);
  push_where(L);
  lua_pushvalue(L, 1);
  lua_concat(L, 2);
  return lua_error(L);
}

/* check_callable(method, argument, value): for functions in Lua files. */
static int check_callable(lua_State *L) {
  lua_settop(L, 3);
  zlua_check_callable(L, luaL_checkstring(L, 1), (int)luaL_checkinteger(L, 2),
                      3);
  return 0;
}

/* check_seconds(method, argument, value): a number, or nil for no limit. */
static int check_seconds(lua_State *L) {
  lua_settop(L, 3);
  bool is_time =
      lua_type(L, 3) == LUA_TNUMBER && !isnan((double)lua_tonumber(L, 3));
  if (!is_time && !lua_isnil(L, 3)) {
    zlua_type_error(L, luaL_checkstring(L, 1), (int)luaL_checkinteger(L, 2), 3,
                    "number of seconds");
  }
  return 0;
}

/* where() -> "file:line: " of the user's line, or "" */
static int where(lua_State *L) {
  push_where(L);
  return 1;
}

/* here_is_library(name): called by the Lua file of that name, which lies in
 * this library's folder. */
static int here_is_library(lua_State *L) {
  lua_Debug at;
  const char *name = luaL_checkstring(L, 1);
  if (!*name || !lua_getstack(L, 1, &at)) { /* strstr() finds "" everywhere */
    return 0;
  }
  (void)lua_getinfo(L, "S", &at);
  const char *end = NULL;
  for (const char *next = strstr(at.source, name); next;
       next = strstr(next + 1, name)) {
    end = next;
  }
  if (end && end > at.source + 1) {
    lua_pushlstring(L, at.source, (size_t)(end - at.source));
    zlua_setregistry(L, &library_key);
  }
  return 0;
}

/* [-0, +0] module table on the top. */
void zlua_open_argument(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"misuse", misuse},
      {"check_callable", check_callable},
      {"check_seconds", check_seconds},
      {"where", where},
      {"here_is_library", here_is_library},
      {NULL, NULL},
  };
  zlua_setfuncs(L, functions);
}

int zlua_argument_error(lua_State *L, const char *method, int argument,
                        const char *what) {
  return zlua_error(L, "bad argument #%d to '%s' (%s)", argument, method, what);
}

/* [-0, +1] pushes the text of a number, for an error. */
static const char *argument_number_text(lua_State *L, int index) {
  lua_Number number = lua_tonumber(L, index);
  return isnan(number) ? lua_pushfstring(L, "NaN")
                       : lua_pushfstring(L, "%f", number);
}

int zlua_type_error(lua_State *L, const char *method, int argument, int index,
                    const char *expected) {
  const char *got = lua_isnoneornil(L, index) ? "nil" : luaL_typename(L, index);
  if (lua_type(L, index) == LUA_TNUMBER &&
      (isnan(lua_tonumber(L, index)) || strstr(expected, "integer"))) {
    got = argument_number_text(L, index);
  }
  return zlua_error(L, "bad argument #%d to '%s' (%s expected, got %s)",
                    argument, method, expected, got);
}

bool zlua_is_callable(lua_State *L, int index) {
  if (lua_isfunction(L, index)) {
    return true;
  }
  if (!luaL_getmetafield(L, index, "__call")) {
    return false;
  }
  lua_pop(L, 1);
  return true;
}

void zlua_check_callable(lua_State *L, const char *method, int argument,
                         int index) {
  if (!zlua_is_callable(L, index)) {
    zlua_type_error(L, method, argument, index, "function or callable");
  }
}

/* Argument 1, a callback, may be nil but not missing: if it is missing, the
 * user has passed the result of a function that returns nothing. */
void zlua_check_given(lua_State *L, const char *method) {
  if (lua_gettop(L) < 2) {
    zlua_error(L,
               "bad argument #1 to '%s' (function or callable expected, got no "
               "value; nil unsets it)",
               method);
  }
}

/* The table at index has no options but those named; names ends in NULL. */
void zlua_check_options(lua_State *L, const char *method, int argument,
                        int index, const char *const *names) {
  index = zlua_absindex(L, index);
  if (!lua_istable(L, index)) {
    zlua_type_error(L, method, argument, index, "table of options");
  }
  lua_pushnil(L);
  while (lua_next(L, index)) {
    if (lua_type(L, -2) != LUA_TSTRING) {
      zlua_type_error(L, method, argument, -2, "name of an option");
    }
    const char *key = lua_tostring(L, -2);
    const char *const *name = names;
    while (*name && strcmp(*name, key) != 0) {
      name++;
    }
    if (!*name) {
      zlua_error(L,
                 "bad argument #%d to '%s' (unknown option '%s'; did you mean "
                 "'%s'?)",
                 argument, method, key, zlua_nearest(key, names));
    }
    lua_pop(L, 1);
  }
}

int64_t zlua_check_integer(lua_State *L, const char *method, int argument,
                           int index, int64_t minimum, int64_t maximum) {
  if (!zlua_isinteger(L, index)) {
    zlua_type_error(L, method, argument, index, "integer");
  }
  lua_Number as_number = lua_tonumber(L, index);
  int64_t value = zlua_toint64(L, index);
  if (as_number < (lua_Number)minimum || as_number > (lua_Number)maximum ||
      value < minimum || value > maximum) {
    zlua_argument_error(L, method, argument, "out of range");
  }
  return value;
}

static lua_Number check_time(lua_State *L, const char *method, int argument,
                             int index) {
  if (lua_type(L, index) != LUA_TNUMBER) {
    zlua_type_error(L, method, argument, index, "number of seconds");
  }
  lua_Number seconds = lua_tonumber(L, index);
  if (isnan(seconds)) {
    zlua_type_error(L, method, argument, index, "number of seconds");
  }
  return seconds;
}

/* Processors with 80-bit registers would compare digits that a double lacks. */
#if FLT_EVAL_METHOD == 0
typedef double rounded;
#else
typedef volatile double rounded;
#endif

/* The least number of nanoseconds that, converted back to seconds, is not below
 * `seconds`, which is a number: 8.3 is 8300000000, though the product is more.
 */
static inline int64_t nanoseconds(lua_Number seconds) {
  const rounded product = (double)seconds * NS_PER_SECOND;
  if (product >= LARGEST_NS || product <= -LARGEST_NS) {
    return product > 0 ? ZL_FOREVER : -ZL_FOREVER;
  }
  int64_t ns = (int64_t)floor(product);
  const rounded told = (double)ns / NS_PER_SECOND;
  return told < (double)seconds ? ns + 1 : ns;
}

int64_t zlua_nanoseconds(lua_Number seconds) {
  return nanoseconds(seconds);
}

/* A time in seconds, a delay or one of the loop's, as nanoseconds, rounded up;
 * infinite is ZL_FOREVER. */
int64_t zlua_check_seconds(lua_State *L, const char *method, int argument,
                           int index) {
  return nanoseconds(check_time(L, method, argument, index));
}

/* A mask: a number, or "r", "w" or "rw" (5.1 has no bit operators). */
int zlua_check_events(lua_State *L, const char *method, int argument,
                      int index) {
  if (lua_type(L, index) == LUA_TSTRING) {
    const char *events = lua_tostring(L, index);
    bool reads = strchr(events, 'r') != NULL;
    bool writes = strchr(events, 'w') != NULL;
    if (strspn(events, "rw") != strlen(events)) {
      zlua_argument_error(L, method, argument, "'r', 'w' or 'rw' expected");
    }
    return (reads ? ZL_READ : 0) | (writes ? ZL_WRITE : 0);
  }
  int mask = ZL_READ | ZL_WRITE | ZL_ERROR;
  int events = (int)zlua_check_integer(L, method, argument, index, 0, mask);
  if (events & ~mask) {
    zlua_argument_error(L, method, argument, "not READ, WRITE or ERROR");
  }
  return events;
}

/* Registry key of the table that caches the texts of errors, so that EAGAIN, an
 * ordinary result, allocates nothing. */
static const char texts_key;

static void push_texts(lua_State *L) {
  zlua_getregistry(L, &texts_key);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    zlua_setregistry(L, &texts_key);
  }
}

/* [-0, +1] pushes "EAGAIN: resource temporarily unavailable". */
static void push_text(lua_State *L, int rc) {
  push_texts(L);
  lua_rawgeti(L, -1, -rc);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_pushfstring(L, "%s: %s", zl_errname(rc), zl_strerror(rc));
    lua_pushvalue(L, -1);
    lua_rawseti(L, -3, -rc);
  }
  lua_remove(L, -2);
}

/* [-0, +3] a failure of the outside world: nil, text for people, name to branch
 * on. */
int zlua_fail(lua_State *L, int rc) {
  lua_pushnil(L);
  push_text(L, rc);
  lua_pushstring(L, zl_errname(rc));
  return 3;
}

/* [-0, +3] the same, naming what failed: an address, an option. */
int zlua_fail_at(lua_State *L, int rc, const char *where) {
  lua_pushnil(L);
  lua_pushfstring(L, "%s: %s (%s)", zl_errname(rc), zl_strerror(rc), where);
  lua_pushstring(L, zl_errname(rc));
  return 3;
}

/* Raises the text of an error that cannot be returned. */
int zlua_raise(lua_State *L, int rc) {
  return zlua_error(L, "%s: %s", zl_errname(rc), zl_strerror(rc));
}
