/* argument.c - checks of arguments, and results of what failed.
 * SPDX-License-Identifier: MIT
 *
 * Misuse raises, naming the method and the argument's number, self not counted.
 * luaL_argerror() would name '?' for a method called through pcall.
 */
#include "binding.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#define NS_PER_SECOND 1e9

/* The largest double below 2^63. */
#define LARGEST_NS 9223372036854774784.0

int zlua_argument_error(lua_State *L, const char *method, int argument,
                        const char *what) {
  return luaL_error(L, "bad argument #%d to '%s' (%s)", argument, method, what);
}

int zlua_type_error(lua_State *L, const char *method, int argument, int index,
                    const char *expected) {
  const char *got = lua_isnoneornil(L, index) ? "nil" : luaL_typename(L, index);
  return luaL_error(L, "bad argument #%d to '%s' (%s expected, got %s)",
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

/* The table of options at index has none but those named; names ends in NULL.
 */
void zlua_check_options(lua_State *L, const char *method, int argument,
                        int index, const char *const *names) {
  index = zlua_absindex(L, index);
  if (!lua_istable(L, index)) {
    zlua_type_error(L, method, argument, index, "table of options");
  }
  lua_pushnil(L);
  while (lua_next(L, index)) {
    const char *key =
        lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
    const char *const *name = names;
    while (*name && strcmp(*name, key) != 0) {
      name++;
    }
    if (!*name) {
      luaL_error(L, "bad argument #%d to '%s' (unknown option '%s')", argument,
                 method, key);
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
  int64_t value = (int64_t)lua_tointeger(L, index);
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
    zlua_argument_error(L, method, argument, "time is not a number");
  }
  return seconds;
}

/* The least number of nanoseconds that is not below the time in seconds when it
 * is told as such: 8.3 is 8300000000, though their product is more. */
static int64_t nanoseconds(lua_Number seconds) {
  double product = (double)seconds * NS_PER_SECOND;
  if (product >= LARGEST_NS || product <= -LARGEST_NS) {
    return product > 0 ? ZL_FOREVER : -ZL_FOREVER;
  }
  int64_t ns = (int64_t)floor(product);
  return (double)ns / NS_PER_SECOND < (double)seconds ? ns + 1 : ns;
}

/* A time in seconds, a delay or one of the loop's, as nanoseconds, rounded up;
 * infinite is ZL_FOREVER. */
int64_t zlua_check_seconds(lua_State *L, const char *method, int argument,
                           int index) {
  return nanoseconds(check_time(L, method, argument, index));
}

/* A mask: a number, or "r", "w" and "rw" (5.1 has no bit operators). */
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

/* The key of the table that keeps the texts of errors, so that EAGAIN, which is
 * an ordinary answer, allocates nothing. */
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

/* [-0, +3] the world's failure: nil, text for people, name to branch on. */
int zlua_fail(lua_State *L, int rc) {
  lua_pushnil(L);
  push_text(L, rc);
  lua_pushstring(L, zl_errname(rc));
  return 3;
}

/* [-0, +3] the same with what it was about: an address, an option. */
int zlua_fail_at(lua_State *L, int rc, const char *where) {
  lua_pushnil(L);
  lua_pushfstring(L, "%s: %s (%s)", zl_errname(rc), zl_strerror(rc), where);
  lua_pushstring(L, zl_errname(rc));
  return 3;
}

/* Raises the text of an error for which there is no other answer. */
int zlua_raise(lua_State *L, int rc) {
  return luaL_error(L, "%s: %s", zl_errname(rc), zl_strerror(rc));
}
