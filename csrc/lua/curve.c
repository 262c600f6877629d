/* curve.c - CURVE keys, and Z85, a text form of bytes.
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <string.h>
#include <zmq.h>

#include "argument.h"
#include "compat.h"
#include "open.h"

/* Five characters of Z85 stand for four bytes. */
enum { BYTES = 4, CHARACTERS = 5, KEY_TEXT = 40 };

static const char alphabet[] =
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    ".-:+=^!/*?&<>()[]{}@%$#";

static const char *check_bytes(lua_State *L, const char *function,
                               size_t *size) {
  if (lua_type(L, 1) != LUA_TSTRING) {
    zlua_type_error(L, function, 1, 1, "string");
  }
  return lua_tolstring(L, 1, size);
}

static bool is_z85(const char *text, size_t size) {
  return strspn(text, alphabet) == size;
}

/* curve_keypair() -> public key, secret key, as 40 characters | nil, message,
 * name */
static int curve_keypair(lua_State *L) {
  char public_key[KEY_TEXT + 1];
  char secret_key[KEY_TEXT + 1];
  if (zmq_curve_keypair(public_key, secret_key) < 0) {
    return zlua_fail(L, -zmq_errno());
  }
  lua_pushstring(L, public_key);
  lua_pushstring(L, secret_key);
  return 2;
}

/* curve_public(secret key) -> its public key | nil, message, name */
static int curve_public(lua_State *L) {
  char public_key[KEY_TEXT + 1];
  size_t size;
  const char *secret_key = check_bytes(L, "curve_public", &size);
  if (size != KEY_TEXT) {
    return zlua_argument_error(L, "curve_public", 1,
                               "a key has 40 characters of Z85");
  }
  if (!is_z85(secret_key, size)) {
    return zlua_fail_at(L, -EINVAL, "a key is Z85");
  }
  if (zmq_curve_public(public_key, secret_key) < 0) {
    return zlua_fail(L, -zmq_errno());
  }
  lua_pushstring(L, public_key);
  return 1;
}

/* z85_encode(bytes) -> text */
static int z85_encode(lua_State *L) {
  size_t size;
  const char *bytes = check_bytes(L, "z85_encode", &size);
  if (size % BYTES != 0) {
    return zlua_argument_error(L, "z85_encode", 1,
                               "the number of bytes is not divisible by 4");
  }
  size_t length = size / BYTES * CHARACTERS;
  char *text = lua_newuserdata(L, length + 1);
  (void)zmq_z85_encode(text, (const uint8_t *)bytes, size);
  lua_pushlstring(L, text, length);
  return 1;
}

/* z85_decode(text) -> bytes | nil, message, name */
static int z85_decode(lua_State *L) {
  size_t size;
  const char *text = check_bytes(L, "z85_decode", &size);
  if (size % CHARACTERS != 0) {
    return zlua_argument_error(
        L, "z85_decode", 1, "the number of characters is not divisible by 5");
  }
  size_t length = size / CHARACTERS * BYTES;
  uint8_t *bytes = lua_newuserdata(L, length + 1);
  if (!is_z85(text, size) || (size > 0 && !zmq_z85_decode(bytes, text))) {
    return zlua_fail_at(L, -EINVAL, "not Z85");
  }
  lua_pushlstring(L, (const char *)bytes, length);
  return 1;
}

/* [-0, +0] module table on the top. */
void zlua_open_curve(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"curve_keypair", curve_keypair},
      {"curve_public", curve_public},
      {"z85_encode", z85_encode},
      {"z85_decode", z85_decode},
      {NULL, NULL},
  };
  zlua_setfuncs(L, functions);
}
