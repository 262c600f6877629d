/* spelling.c - finds the known name nearest to a misspelt one.
 * SPDX-License-Identifier: MIT
 */
#include "spelling.h"

#include <string.h>

#include "compat.h"
#include "open.h"

static int lower(char c) {
  return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

static size_t least(size_t a, size_t b) {
  return a < b ? a : b;
}

/* The edit distance of two names: single letters changed or neighbours
 * swapped, ignoring case. Names are short, and this is only for a message. */
size_t zlua_distance(const char *a, const char *b) {
  enum { LONGEST = 64 };
  size_t rows[3][LONGEST + 1] = {{0}}; /* the last three, by i % 3 */
  size_t n = strlen(a);
  size_t m = strlen(b);
  if (n > LONGEST || m > LONGEST) {
    return LONGEST;
  }
  for (size_t i = 0; i <= n; i++) {
    size_t *row = rows[i % 3];
    const size_t *above = rows[(i + 2) % 3];
    row[0] = i;
    for (size_t j = 1; j <= m; j++) {
      if (i == 0) {
        row[j] = j;
        continue;
      }
      bool same = lower(a[i - 1]) == lower(b[j - 1]);
      row[j] =
          least(above[j - 1] + (same ? 0 : 1), least(above[j], row[j - 1]) + 1);
      if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
          lower(a[i - 2]) == lower(b[j - 1])) {
        row[j] = least(row[j], rows[(i + 1) % 3][j - 2] + 1);
      }
    }
  }
  return rows[n % 3][m];
}

/* The name in the list, which ends in NULL, that is nearest to this one. */
const char *zlua_nearest(const char *name, const char *const *names) {
  const char *nearest = *names;
  for (; *names; names++) {
    if (zlua_distance(name, *names) < zlua_distance(name, nearest)) {
      nearest = *names;
    }
  }
  return nearest;
}

/* nearest(name, names) -> the name in the list that is nearest to it */
static int nearest(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  size_t least = SIZE_MAX;
  luaL_checktype(L, 2, LUA_TTABLE);
  lua_settop(L, 2);
  lua_pushnil(L); /* 3: the answer */
  for (int i = 1; i <= (int)zlua_rawlen(L, 2); i++) {
    lua_rawgeti(L, 2, i);
    size_t away = zlua_distance(name, luaL_checkstring(L, -1));
    if (away < least) {
      least = away;
      lua_replace(L, 3);
    } else {
      lua_pop(L, 1);
    }
  }
  return 1;
}

/* [-0, +0] module table on the top. */
void zlua_open_spelling(lua_State *L) {
  lua_pushcfunction(L, nearest);
  lua_setfield(L, -2, "nearest");
}
