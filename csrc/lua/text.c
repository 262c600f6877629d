/* text.c - text for people: no control characters, numbers in every locale.
 * SPDX-License-Identifier: MIT
 *
 * The text of an error may come from a peer, and a terminal must not interpret
 * it as commands. So control characters are escaped when it is written; the
 * value keeps them.
 */
#include "text.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "compat.h"
#include "open.h"

/* The length of the UTF-8 character at text; 0: not UTF-8. Overlong forms and
 * surrogates do no harm here. */
static size_t character(const unsigned char *text, size_t size) {
  size_t length = *text >= 0xf0 && *text <= 0xf4   ? 4
                  : *text >= 0xe0 && *text <= 0xef ? 3
                  : *text >= 0xc2 && *text <= 0xdf ? 2
                                                   : 0;
  if (length == 0 || length > size) {
    return 0;
  }
  for (size_t i = 1; i < length; i++) {
    if ((text[i] & 0xc0) != 0x80) {
      return 0;
    }
  }
  return length;
}

/* How many bytes at text may be written unchanged; 0: not even the first. */
static size_t harmless(const unsigned char *text, size_t size) {
  if (*text < 0x80) {
    return (*text >= ' ' && *text != 0x7f) || *text == '\n' || *text == '\t';
  }
  bool is_c1 = *text == 0xc2 && size > 1 && text[1] < 0xa0;
  return is_c1 ? 0 : character(text, size);
}

/* [-0, +1] pushes the text at index with everything escaped as \x1b that is not
 * a printable character, a newline or a tab. */
void zlua_push_printable(lua_State *L, int index) {
  size_t size;
  const char *text = lua_tolstring(L, index, &size);
  luaL_Buffer buffer;
  luaL_buffinit(L, &buffer);
  for (size_t i = 0; i < size;) {
    size_t length = harmless((const unsigned char *)text + i, size - i);
    if (length > 0) {
      luaL_addlstring(&buffer, text + i, length);
    } else {
      char escaped[8];
      (void)snprintf(escaped, sizeof escaped, "\\x%02x",
                     (unsigned)(unsigned char)text[i]);
      luaL_addstring(&buffer, escaped);
    }
    i += length > 0 ? length : 1;
  }
  luaL_pushresult(&buffer);
}

/* printable(text) -> text */
static int printable(lua_State *L) {
  luaL_checktype(L, 1, LUA_TSTRING);
  zlua_push_printable(L, 1);
  return 1;
}

/* number_text(number) -> "0.5", as %g, but with a point in every locale; "NaN"
 */
static int text_of_number(lua_State *L) {
  char text[40];
  double number = (double)luaL_checknumber(L, 1);
  (void)snprintf(text, sizeof text, isnan(number) ? "NaN" : "%g", number);
  const char *point = localeconv()->decimal_point;
  char *at = strstr(text, point);
  if (!at) {
    lua_pushstring(L, text);
    return 1;
  }
  lua_pushlstring(L, text, (size_t)(at - text));
  lua_pushfstring(L, "%s.%s", lua_tostring(L, -1), at + strlen(point));
  return 1;
}

/* [-0, +0] module table on the top. */
void zlua_open_text(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"printable", printable},
      {"number_text", text_of_number},
      {NULL, NULL},
  };
  zlua_setfuncs(L, functions);
}
