/* send_options.c - flags and options of a send.
 * SPDX-License-Identifier: MIT
 */
#include "send_options.h"

#include <errno.h>
#include <string.h>
#include <zmq.h>

#include "argument.h"
#include "compat.h"

/* Was this built with libzmq's draft API? */
#ifdef ZMQ_BUILD_DRAFT_API
enum { HAS_DRAFTS = 1 };
#else
enum { HAS_DRAFTS = 0 };
#endif

uint32_t zlua_check_routing_id(lua_State *L, const char *method, int argument,
                               int index) {
  return (uint32_t)zlua_check_integer(L, method, argument, index, 1,
                                      UINT32_MAX);
}

const char *zlua_check_group(lua_State *L, const char *method, int argument,
                             int index) {
  size_t length;
  if (lua_type(L, index) != LUA_TSTRING) {
    zlua_type_error(L, method, argument, index, "group as a string");
  }
  const char *group = lua_tolstring(L, index, &length);
  if (strlen(group) != length) {
    zlua_argument_error(L, method, argument, "a group has no zeros");
  }
  return group;
}

int zlua_check_flags(lua_State *L, const char *method, int argument,
                     int index) {
  if (lua_isnil(L, index)) {
    return 0;
  }
  int all = ZMQ_DONTWAIT | ZMQ_SNDMORE;
  lua_Number number =
      lua_type(L, index) == LUA_TNUMBER ? lua_tonumber(L, index) : -1;
  if (number >= 0 && number <= all && number == (int)number) {
    return (int)number;
  }
  return (int)zlua_check_integer(L, method, argument, index, 0, all);
}

/* A flag, true if nil: may the frames be strings? */
bool zlua_check_copy(lua_State *L, const char *method, int argument,
                     int index) {
  if (lua_isnoneornil(L, index)) {
    return true;
  }
  if (!lua_isboolean(L, index)) {
    zlua_type_error(L, method, argument, index, "boolean");
  }
  return lua_toboolean(L, index);
}

/* [-0, +1] reads the table of options at index, whose names have been checked.
 * The group stays on the stack. */
void zlua_read_send_options(lua_State *L, const char *method, int argument,
                            int index, zlua_send_options *options) {
  lua_getfield(L, index, "flags");
  options->flags = zlua_check_flags(L, method, argument, -1);
  lua_getfield(L, index, "track");
  options->track = lua_toboolean(L, -1);
  lua_getfield(L, index, "routing_id");
  if (!lua_isnil(L, -1)) {
    options->routing_id = zlua_check_routing_id(L, method, argument, -1);
  }
  lua_pop(L, 3);
  lua_getfield(L, index, "group");
  if (!lua_isnil(L, -1)) {
    options->group = zlua_check_group(L, method, argument, -1);
  }
}

/* Must a message with these options be a zmq_msg_t? */
bool zlua_needs_message(const zlua_send_options *options) {
  return options->track || options->routing_id != 0 || options->group;
}

/* [-0, +3] the results of a failed send */
int zlua_fail_send(lua_State *L, int rc, const zlua_send_options *options) {
  bool addressed = options->routing_id != 0 || options->group;
  if (rc == -ENOTSUP && addressed && !HAS_DRAFTS) {
    return zlua_fail_at(L, rc, "libzmq was built without drafts");
  }
  return zlua_fail(L, rc);
}
