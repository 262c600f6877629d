/* send_options.h - how a message is to be sent.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZLUA_SEND_OPTIONS_H
#define ZLUA_SEND_OPTIONS_H

#include "compat.h"

typedef struct zlua_tracking zlua_tracking;

/* How a message is to be sent. */
typedef struct zlua_send_options {
  int flags;
  bool track;
  bool early;              /* for streams: a reply may wait for its request */
  zlua_tracking *tracking; /* NULL: not tracked */
  uint32_t routing_id;     /* 0: none */
  const char *group;       /* NULL: none */
} zlua_send_options;

uint32_t zlua_check_routing_id(lua_State *L, const char *method, int argument,
                               int index);
const char *zlua_check_group(lua_State *L, const char *method, int argument,
                             int index);
int zlua_check_flags(lua_State *L, const char *method, int argument, int index);
bool zlua_check_copy(lua_State *L, const char *method, int argument, int index);
void zlua_read_send_options(lua_State *L, const char *method, int argument,
                            int index, zlua_send_options *options);
bool zlua_needs_message(const zlua_send_options *options);
int zlua_fail_send(lua_State *L, int rc, const zlua_send_options *options);

#endif /* ZLUA_SEND_OPTIONS_H */
