/* module.c - opening the module; constants; questions to libzmq.
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include <zmq.h>

#include "argument.h"
#include "call.h"
#include "compat.h"
#include "constants.h"
#include "open.h"
#include "option.h"
#include "zmqloop.h"
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

static const constant socket_types[] = {
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
    {"XREQ", ZMQ_DEALER},
    {"XREP", ZMQ_ROUTER},
#ifdef ZMQ_SERVER
    C(SERVER),
#endif
#ifdef ZMQ_CLIENT
    C(CLIENT),
#endif
#ifdef ZMQ_RADIO
    C(RADIO),
#endif
#ifdef ZMQ_DISH
    C(DISH),
#endif
#ifdef ZMQ_GATHER
    C(GATHER),
#endif
#ifdef ZMQ_SCATTER
    C(SCATTER),
#endif
#ifdef ZMQ_DGRAM
    C(DGRAM),
#endif
#ifdef ZMQ_PEER
    C(PEER),
#endif
#ifdef ZMQ_CHANNEL
    C(CHANNEL),
#endif
    {NULL, 0},
};

static const constant constants[] = {
    C(DONTWAIT),
    C(SNDMORE),
    C(POLLIN),
    C(POLLOUT),
    C(POLLERR),
    C(POLLPRI),
    C(MORE),
    C(SHARED),
    C(VERSION),
    C(VERSION_MAJOR),
    C(VERSION_MINOR),
    C(VERSION_PATCH),
    C(SRCFD),
    C(NULL),
    C(PLAIN),
    C(CURVE),
    C(GSSAPI),
    C(GSSAPI_NT_HOSTBASED),
    C(GSSAPI_NT_USER_NAME),
    C(GSSAPI_NT_KRB5_PRINCIPAL),
    C(STREAMER),
    C(FORWARDER),
    C(QUEUE),
    C(GROUP_MAX_LENGTH),
    C(IO_THREADS_DFLT),
    C(MAX_SOCKETS_DFLT),
    C(POLLITEMS_DFLT),
    C(THREAD_PRIORITY_DFLT),
    C(THREAD_SCHED_POLICY_DFLT),
    {"NOBLOCK", ZMQ_DONTWAIT},
#ifdef ZMQ_NOTIFY_CONNECT
    C(NOTIFY_CONNECT),
#endif
#ifdef ZMQ_NOTIFY_DISCONNECT
    C(NOTIFY_DISCONNECT),
#endif
#ifdef ZMQ_RECONNECT_STOP_CONN_REFUSED
    C(RECONNECT_STOP_CONN_REFUSED),
#endif
#ifdef ZMQ_RECONNECT_STOP_HANDSHAKE_FAILED
    C(RECONNECT_STOP_HANDSHAKE_FAILED),
#endif
#ifdef ZMQ_RECONNECT_STOP_AFTER_DISCONNECT
    C(RECONNECT_STOP_AFTER_DISCONNECT),
#endif
#ifdef ZMQ_NORM_FIXED
    C(NORM_FIXED),
#endif
#ifdef ZMQ_NORM_CC
    C(NORM_CC),
#endif
#ifdef ZMQ_NORM_CCL
    C(NORM_CCL),
#endif
#ifdef ZMQ_NORM_CCE
    C(NORM_CCE),
#endif
#ifdef ZMQ_NORM_CCE_ECNONLY
    C(NORM_CCE_ECNONLY),
#endif
#ifdef ZMQ_CURRENT_EVENT_VERSION
    C(CURRENT_EVENT_VERSION),
#endif
#ifdef ZMQ_CURRENT_EVENT_VERSION_DRAFT
    C(CURRENT_EVENT_VERSION_DRAFT),
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
#ifdef ZMQ_EVENT_PIPES_STATS
    C(EVENT_PIPES_STATS),
#endif
    C(PROTOCOL_ERROR_ZMTP_UNSPECIFIED),
    C(PROTOCOL_ERROR_ZMTP_UNEXPECTED_COMMAND),
    C(PROTOCOL_ERROR_ZMTP_INVALID_SEQUENCE),
    C(PROTOCOL_ERROR_ZMTP_KEY_EXCHANGE),
    C(PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_UNSPECIFIED),
    C(PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_MESSAGE),
    C(PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_HELLO),
    C(PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_INITIATE),
    C(PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_ERROR),
    C(PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_READY),
    C(PROTOCOL_ERROR_ZMTP_MALFORMED_COMMAND_WELCOME),
    C(PROTOCOL_ERROR_ZMTP_INVALID_METADATA),
    C(PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC),
    C(PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH),
    C(PROTOCOL_ERROR_ZAP_UNSPECIFIED),
    C(PROTOCOL_ERROR_ZAP_MALFORMED_REPLY),
    C(PROTOCOL_ERROR_ZAP_BAD_REQUEST_ID),
    C(PROTOCOL_ERROR_ZAP_BAD_VERSION),
    C(PROTOCOL_ERROR_ZAP_INVALID_STATUS_CODE),
    C(PROTOCOL_ERROR_ZAP_INVALID_METADATA),
#ifdef ZMQ_PROTOCOL_ERROR_WS_UNSPECIFIED
    C(PROTOCOL_ERROR_WS_UNSPECIFIED),
#endif
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
    E(EACCES),
    E(EBADF),
    E(ENAMETOOLONG),
    E(EPERM),
    E(EPIPE),
    E(EPROTO),
    E(ECHILD),
    E(ERANGE),
    E(ENOTRECOVERABLE),
    E(ENOSYS),
    {NULL, 0},
};

/* The name of a socket's type, "REP"; NULL if it has none here. */
const char *zlua_type_name(int type) {
  const constant *it = socket_types;
  while (it->name && it->value != type) {
    it++;
  }
  return it->name;
}

/* [-0, +0] table[NAME] = number, in the table on the top */
static void add_constants(lua_State *L, const constant *list) {
  for (; list->name; list++) {
    lua_pushinteger(L, list->value);
    lua_setfield(L, -2, list->name);
  }
}

/* [-0, +0] module table on the top */
static void open_constants(lua_State *L) {
  lua_newtable(L);
  add_constants(L, socket_types);
  lua_setfield(L, -2, "socket_types");
  lua_newtable(L);
  zlua_option_constants(L);
  add_constants(L, socket_types);
  add_constants(L, constants);
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

/* failure(number) -> nil, message, name: of an error of the system's or of
 * libzmq's, such as zmq.EAGAIN */
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

/* The state's module is made once, however often it is required: objects of two
 * would not know each other. */
int luaopen_zmqloop_core(lua_State *L) {
  zlua_getregistry(L, &module_key);
  if (!lua_isnil(L, -1)) {
    return 1;
  }
  lua_newtable(L);
  zlua_open_exit(L); /* first: Lua finalizes it last */
  zlua_open_argument(L);
  zlua_open_object(L);
  zlua_open_trace(L);
  zlua_open_text(L);
  zlua_open_context(L);
  zlua_open_socket(L);
  zlua_open_monitor(L);
  zlua_open_poller(L);
  zlua_open_proxy(L);
  zlua_open_curve(L);
  zlua_open_loop(L);
  zlua_open_callback(L);
  zlua_open_timer(L);
  zlua_open_handler(L);
  zlua_open_blocked(L);
  zlua_open_signal(L);
  zlua_open_stream(L);
  zlua_open_frame(L);
  zlua_open_tracker(L);
  zlua_open_source(L);
  zlua_open_testing(L);
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
