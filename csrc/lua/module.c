/* module.c - opens the module; queries of libzmq.
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include <zmq.h>

#include "argument.h"
#include "compat.h"
#include "open.h"
#include "zmqloop.h"
#include "zmqloop_lua.h"

/* The key of the module in the registry. */
static const char module_key;

/* version() -> major, minor, patch of the libzmq in use */
static int version(lua_State *L) {
  int major;
  int minor;
  int patch;
  zmq_version(&major, &minor, &patch);
  lua_pushinteger(L, major);
  lua_pushinteger(L, minor);
  lua_pushinteger(L, patch);
  return 3;
}

/* has("curve") -> whether libzmq was built with it */
static int has(lua_State *L) {
  if (lua_type(L, 1) != LUA_TSTRING) {
    return zlua_type_error(L, "has", 1, 1, "string");
  }
  lua_pushboolean(L, zmq_has(lua_tostring(L, 1)) != 0);
  return 1;
}

/* is_callable(value): by the rule used everywhere */
static int is_callable(lua_State *L) {
  luaL_checkany(L, 1);
  lua_pushboolean(L, zlua_is_callable(L, 1));
  return 1;
}

/* close_fd(number) -> true | nil, message, name */
static int close_fd(lua_State *L) {
  int fd = (int)zlua_check_integer(L, "close_fd", 1, 1, 0, INT32_MAX);
  if (close(fd) < 0) {
    return zlua_fail(L, -errno);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* failure(number) -> nil, message, name: for an error number of the system or
 * of libzmq, such as zmq.EAGAIN */
static int failure(lua_State *L) {
  return zlua_fail(L, -(int)luaL_checkinteger(L, 1));
}

/* write_error(text): writes to stderr where Lua has no `io`. */
static int write_error(lua_State *L) {
  size_t size;
  const char *text = luaL_checklstring(L, 1, &size);
  (void)fwrite(text, 1, size, stderr);
  return 0;
}

static const luaL_Reg functions[] = {
    {"version", version},   {"has", has},         {"is_callable", is_callable},
    {"close_fd", close_fd}, {"failure", failure}, {"write_error", write_error},
    {NULL, NULL},
};

/* The parts, in the order in which they are opened. [-0, +0] each, with the
 * module's table at the top. */
static void (*const parts[])(lua_State *) = {
    zlua_open_exit, /* first: Lua finalizes it last */
    zlua_open_argument,    zlua_open_object,       zlua_open_trace,
    zlua_open_text,        zlua_open_spelling,     zlua_open_context_life,
    zlua_open_socket_life, zlua_open_socket_close, zlua_open_socket_address,
    zlua_open_socket_send, zlua_open_socket_recv,  zlua_open_option_value,
    zlua_open_monitor,     zlua_open_poller,       zlua_open_proxy,
    zlua_open_curve,       zlua_open_calls,        zlua_open_slot,
    zlua_open_entry,       zlua_open_report,       zlua_open_call,
    zlua_open_loop,        zlua_open_ending,       zlua_open_ioloop,
    zlua_open_callback,    zlua_open_timer,        zlua_open_handler,
    zlua_open_block_hook,  zlua_open_blocked,      zlua_open_signal,
    zlua_open_stream_life, zlua_open_stream_close, zlua_open_stream_notice,
    zlua_open_stream_recv, zlua_open_stream_send,  zlua_open_stream_jit,
    zlua_open_frame,       zlua_open_tracker,      zlua_open_source,
    zlua_open_testing,     zlua_open_options,      zlua_open_constants,
};

/* The module is created once per state, however often it is required: two would
 * not recognize each other's objects. */
int luaopen_zmqloop_core(lua_State *L) {
  zlua_getregistry(L, &module_key);
  if (!lua_isnil(L, -1)) {
    return 1;
  }
  lua_newtable(L);
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    parts[i](L);
  }
  zlua_setfuncs(L, functions);
  lua_pushliteral(L, ZL_VERSION);
  lua_setfield(L, -2, "version_string");
  lua_pushvalue(L, -1);
  zlua_setregistry(L, &module_key);
  return 1;
}
