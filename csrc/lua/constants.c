/* constants.c - numbers of libzmq and the system, by name.
 * SPDX-License-Identifier: MIT
 */
#include "constants.h"

#include <errno.h>
#include <zmq.h>

#include "compat.h"
#include "open.h"
#include "options.h"

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
static void constants_add(lua_State *L, const constant *list) {
  for (; list->name; list++) {
    lua_pushinteger(L, list->value);
    lua_setfield(L, -2, list->name);
  }
}

/* [-0, +0] module table on the top */
void zlua_open_constants(lua_State *L) {
  lua_newtable(L);
  constants_add(L, socket_types);
  lua_setfield(L, -2, "socket_types");
  lua_newtable(L);
  zlua_option_constants(L);
  constants_add(L, socket_types);
  constants_add(L, constants);
  lua_setfield(L, -2, "constants");
}
