/* module.c - opening the module; constants; questions to libzmq.
 * SPDX-License-Identifier: MIT
 */
#include "binding.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "zmqloop_lua.h"

/* The key of the module in the registry. */
static const char module_key;

typedef struct constant {
  const char *name;
  int value;
} constant;

#define C(name)                                                                \
  { #name, ZMQ_##name }
#define E(error)                                                               \
  { #error, error }

static const constant constants[] = {
    C(PAIR),
    C(PUB),
    C(SUB),
    C(REQ),
    C(REP),
    C(DEALER),
    C(ROUTER),
    C(PULL),
    C(PUSH),
    C(XPUB),
    C(XSUB),
    C(STREAM),
    C(DONTWAIT),
    C(SNDMORE),
    C(POLLIN),
    C(POLLOUT),
    C(POLLERR),
    C(POLLPRI),
    C(MORE),
    C(SHARED),
    C(NULL),
    C(PLAIN),
    C(CURVE),
    C(GSSAPI),
    C(STREAMER),
    C(FORWARDER),
    C(QUEUE),
    {"NOBLOCK", ZMQ_DONTWAIT},
#ifdef ZMQ_SERVER
    C(SERVER),
    C(CLIENT),
    C(RADIO),
    C(DISH),
    C(GATHER),
    C(SCATTER),
    C(DGRAM),
#endif
    C(EVENT_CONNECTED),
    C(EVENT_CONNECT_DELAYED),
    C(EVENT_CONNECT_RETRIED),
    C(EVENT_LISTENING),
    C(EVENT_BIND_FAILED),
    C(EVENT_ACCEPTED),
    C(EVENT_ACCEPT_FAILED),
    C(EVENT_CLOSED),
    C(EVENT_CLOSE_FAILED),
    C(EVENT_DISCONNECTED),
    C(EVENT_MONITOR_STOPPED),
    C(EVENT_HANDSHAKE_FAILED_NO_DETAIL),
    C(EVENT_HANDSHAKE_SUCCEEDED),
    C(EVENT_HANDSHAKE_FAILED_PROTOCOL),
    C(EVENT_HANDSHAKE_FAILED_AUTH),
    C(EVENT_ALL),
    E(EAGAIN),
    E(EFSM),
    E(ETERM),
    E(EMTHREAD),
    E(ENOCOMPATPROTO),
    E(EINVAL),
    E(ENOTSUP),
    E(EPROTONOSUPPORT),
    E(ENOBUFS),
    E(ENETDOWN),
    E(EADDRINUSE),
    E(EADDRNOTAVAIL),
    E(ECONNREFUSED),
    E(EINPROGRESS),
    E(ENOTSOCK),
    E(EMSGSIZE),
    E(EAFNOSUPPORT),
    E(ENETUNREACH),
    E(ECONNABORTED),
    E(ECONNRESET),
    E(ENOTCONN),
    E(ETIMEDOUT),
    E(EHOSTUNREACH),
    E(ENETRESET),
    E(EINTR),
    E(EMFILE),
    E(ENOMEM),
    E(EFAULT),
    E(ENODEV),
    E(ENOENT),
    E(EBUSY),
};

/* [-0, +0] module table on the top */
static void open_constants(lua_State *L) {
  lua_newtable(L);
  zlua_option_constants(L);
  for (size_t i = 0; i < sizeof constants / sizeof *constants; i++) {
    lua_pushinteger(L, constants[i].value);
    lua_setfield(L, -2, constants[i].name);
  }
  lua_setfield(L, -2, "constants");
}

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

/* is_callable(value): by the same rule as everywhere */
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

static const luaL_Reg functions[] = {
    {"version", version},   {"has", has}, {"is_callable", is_callable},
    {"close_fd", close_fd}, {NULL, NULL},
};

/* The state's module is made once, however often it is required: objects of two
 * would not know each other. */
int luaopen_zmqloop_core(lua_State *L) {
  zlua_getregistry(L, &module_key);
  if (!lua_isnil(L, -1)) {
    return 1;
  }
  lua_newtable(L);
  zlua_open_exit(L); /* first: Lua finalizes it last */
  zlua_open_context(L);
  zlua_open_socket(L);
  zlua_open_loop(L);
  zlua_open_timer(L);
  zlua_open_handler(L);
  zlua_open_stream(L);
  zlua_push_options(L);
  open_constants(L);
  zlua_setfuncs(L, functions);
  zlua_make_calls(L);
  lua_pushliteral(L, ZL_VERSION);
  lua_setfield(L, -2, "version_string");
  lua_pushvalue(L, -1);
  zlua_setregistry(L, &module_key);
  return 1;
}
