/* options.h - the options of libzmq.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_OPTIONS_H
#define ZLUA_OPTIONS_H

#include <lua.h>
#include <stdbool.h>

typedef enum zlua_option_type {
  ZLUA_OPTION_INT,
  ZLUA_OPTION_FLAG, /* an int that takes booleans */
  ZLUA_OPTION_INT64,
  ZLUA_OPTION_UINT64,
  ZLUA_OPTION_STRING, /* libzmq counts the trailing NUL */
  ZLUA_OPTION_BYTES,
  ZLUA_OPTION_KEY,      /* of CURVE: Z85 text, or 32 bytes when set */
  ZLUA_OPTION_LISTENER, /* a descriptor that listens, or -1 */
  ZLUA_OPTION_ROUTER,   /* a flag that REP accepts, and aborts with */
  ZLUA_OPTION_HWM       /* ours: sndhwm and rcvhwm together */
} zlua_option_type;

typedef enum zlua_option_access {
  ZLUA_OPTION_BOTH,
  ZLUA_OPTION_GET, /* can only be read */
  ZLUA_OPTION_SET  /* can only be set */
} zlua_option_access;

typedef struct zlua_option {
  const char *name;
  int number;
  zlua_option_type type;
  zlua_option_access access;
} zlua_option;

/* Both end with a NULL name. Tables of options are applied in this order. */
extern const zlua_option zlua_socket_options[];
extern const zlua_option zlua_context_options[];

const zlua_option *zlua_find_option(lua_State *L, int index,
                                    const zlua_option *options);
int zlua_unknown_option(lua_State *L, int index, const char *method,
                        const zlua_option *options, const zlua_option *more);
void zlua_option_constants(lua_State *L);

#endif /* ZLUA_OPTIONS_H */
