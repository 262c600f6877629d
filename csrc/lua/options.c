/* options.c - the table of options, and how names are found in it.
 * SPDX-License-Identifier: MIT
 *
 * One table for all: tables of options from Lua are applied in its order.
 * Options given by number need it too, since libzmq does not report types.
 * Options newer than libzmq 4.3, and drafts, are included if the header has
 * them.
 */
#include "options.h"

#include <string.h>
#include <zmq.h>

#include "argument.h"
#include "compat.h"
#include "open.h"
#include "spelling.h"

#define INT      ZLUA_OPTION_INT
#define FLAG     ZLUA_OPTION_FLAG
#define INT64    ZLUA_OPTION_INT64
#define UINT64   ZLUA_OPTION_UINT64
#define STRING   ZLUA_OPTION_STRING
#define BYTES    ZLUA_OPTION_BYTES
#define KEY      ZLUA_OPTION_KEY
#define LISTENER ZLUA_OPTION_LISTENER
#define ROUTER   ZLUA_OPTION_ROUTER
#define BOTH     ZLUA_OPTION_BOTH
#define GET      ZLUA_OPTION_GET
#define SET      ZLUA_OPTION_SET

/* zmq.h hides it among the drafts, but libzmq has it without them too. */
#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN 93
#endif

/* The number it had before libzmq 3, now unused. */
enum { HWM_NUMBER = 1 };

const zlua_option zlua_socket_options[] = {
    {"hwm", HWM_NUMBER, ZLUA_OPTION_HWM, BOTH},
    {"affinity", ZMQ_AFFINITY, UINT64, BOTH},
    {"routing_id", ZMQ_ROUTING_ID, BYTES, BOTH},
    {"identity", ZMQ_ROUTING_ID, BYTES, BOTH},
    {"rate", ZMQ_RATE, INT, BOTH},
    {"recovery_ivl", ZMQ_RECOVERY_IVL, INT, BOTH},
    {"sndbuf", ZMQ_SNDBUF, INT, BOTH},
    {"rcvbuf", ZMQ_RCVBUF, INT, BOTH},
    {"rcvmore", ZMQ_RCVMORE, INT, GET},
    {"fd", ZMQ_FD, INT, GET},
    {"events", ZMQ_EVENTS, INT, GET},
    {"type", ZMQ_TYPE, INT, GET},
    {"linger", ZMQ_LINGER, INT, BOTH},
    {"reconnect_ivl", ZMQ_RECONNECT_IVL, INT, BOTH},
    {"backlog", ZMQ_BACKLOG, INT, BOTH},
    {"reconnect_ivl_max", ZMQ_RECONNECT_IVL_MAX, INT, BOTH},
    {"maxmsgsize", ZMQ_MAXMSGSIZE, INT64, BOTH},
    {"sndhwm", ZMQ_SNDHWM, INT, BOTH},
    {"rcvhwm", ZMQ_RCVHWM, INT, BOTH},
    {"multicast_hops", ZMQ_MULTICAST_HOPS, INT, BOTH},
    {"rcvtimeo", ZMQ_RCVTIMEO, INT, BOTH},
    {"sndtimeo", ZMQ_SNDTIMEO, INT, BOTH},
    {"last_endpoint", ZMQ_LAST_ENDPOINT, STRING, GET},
    {"router_mandatory", ZMQ_ROUTER_MANDATORY, ROUTER, BOTH},
    {"fail_unroutable", ZMQ_ROUTER_MANDATORY, FLAG, BOTH},
    {"router_behavior", ZMQ_ROUTER_MANDATORY, FLAG, BOTH},
    {"tcp_keepalive", ZMQ_TCP_KEEPALIVE, FLAG, BOTH},
    {"tcp_keepalive_cnt", ZMQ_TCP_KEEPALIVE_CNT, INT, BOTH},
    {"tcp_keepalive_idle", ZMQ_TCP_KEEPALIVE_IDLE, INT, BOTH},
    {"tcp_keepalive_intvl", ZMQ_TCP_KEEPALIVE_INTVL, INT, BOTH},
    {"immediate", ZMQ_IMMEDIATE, FLAG, BOTH},
    {"delay_attach_on_connect", ZMQ_IMMEDIATE, FLAG, BOTH},
    {"xpub_verbose", ZMQ_XPUB_VERBOSE, FLAG, BOTH},
    {"router_raw", ZMQ_ROUTER_RAW, ROUTER, SET},
    {"ipv6", ZMQ_IPV6, FLAG, BOTH},
    {"ipv4only", ZMQ_IPV4ONLY, FLAG, BOTH},
    {"mechanism", ZMQ_MECHANISM, INT, GET},
    {"plain_server", ZMQ_PLAIN_SERVER, FLAG, BOTH},
    {"plain_username", ZMQ_PLAIN_USERNAME, STRING, BOTH},
    {"plain_password", ZMQ_PLAIN_PASSWORD, STRING, BOTH},
    {"curve_server", ZMQ_CURVE_SERVER, FLAG, BOTH},
    {"curve_publickey", ZMQ_CURVE_PUBLICKEY, KEY, BOTH},
    {"curve_secretkey", ZMQ_CURVE_SECRETKEY, KEY, BOTH},
    {"curve_serverkey", ZMQ_CURVE_SERVERKEY, KEY, BOTH},
    {"probe_router", ZMQ_PROBE_ROUTER, FLAG, BOTH},
    {"req_correlate", ZMQ_REQ_CORRELATE, FLAG, BOTH},
    {"req_relaxed", ZMQ_REQ_RELAXED, FLAG, BOTH},
    {"conflate", ZMQ_CONFLATE, FLAG, BOTH},
    {"zap_domain", ZMQ_ZAP_DOMAIN, STRING, BOTH},
    {"router_handover", ZMQ_ROUTER_HANDOVER, FLAG, BOTH},
    {"tos", ZMQ_TOS, INT, BOTH},
    {"connect_routing_id", ZMQ_CONNECT_ROUTING_ID, BYTES, SET},
    {"connect_rid", ZMQ_CONNECT_ROUTING_ID, BYTES, SET},
    {"gssapi_server", ZMQ_GSSAPI_SERVER, FLAG, BOTH},
    {"gssapi_principal", ZMQ_GSSAPI_PRINCIPAL, STRING, BOTH},
    {"gssapi_service_principal", ZMQ_GSSAPI_SERVICE_PRINCIPAL, STRING, BOTH},
    {"gssapi_plaintext", ZMQ_GSSAPI_PLAINTEXT, FLAG, BOTH},
    {"gssapi_principal_nametype", ZMQ_GSSAPI_PRINCIPAL_NAMETYPE, INT, BOTH},
    {"gssapi_service_principal_nametype", ZMQ_GSSAPI_SERVICE_PRINCIPAL_NAMETYPE,
     INT, BOTH},
    {"handshake_ivl", ZMQ_HANDSHAKE_IVL, INT, BOTH},
    {"socks_proxy", ZMQ_SOCKS_PROXY, STRING, BOTH},
    {"xpub_nodrop", ZMQ_XPUB_NODROP, FLAG, BOTH},
    {"xpub_manual", ZMQ_XPUB_MANUAL, FLAG, BOTH},
    {"xpub_welcome_msg", ZMQ_XPUB_WELCOME_MSG, BYTES, SET},
    {"xpub_verboser", ZMQ_XPUB_VERBOSER, FLAG, BOTH},
    {"stream_notify", ZMQ_STREAM_NOTIFY, FLAG, BOTH},
    {"invert_matching", ZMQ_INVERT_MATCHING, FLAG, BOTH},
    {"heartbeat_ivl", ZMQ_HEARTBEAT_IVL, INT, BOTH},
    {"heartbeat_ttl", ZMQ_HEARTBEAT_TTL, INT, BOTH},
    {"heartbeat_timeout", ZMQ_HEARTBEAT_TIMEOUT, INT, BOTH},
    {"connect_timeout", ZMQ_CONNECT_TIMEOUT, INT, BOTH},
    {"tcp_maxrt", ZMQ_TCP_MAXRT, INT, BOTH},
    {"thread_safe", ZMQ_THREAD_SAFE, INT, GET},
    {"multicast_maxtpdu", ZMQ_MULTICAST_MAXTPDU, INT, BOTH},
    {"use_fd", ZMQ_USE_FD, LISTENER, BOTH},
    {"bindtodevice", ZMQ_BINDTODEVICE, STRING, BOTH},
    {"tcp_accept_filter", ZMQ_TCP_ACCEPT_FILTER, STRING, SET},
    {"ipc_filter_pid", ZMQ_IPC_FILTER_PID, INT, SET},
    {"ipc_filter_uid", ZMQ_IPC_FILTER_UID, INT, SET},
    {"ipc_filter_gid", ZMQ_IPC_FILTER_GID, INT, SET},
    {"vmci_buffer_size", ZMQ_VMCI_BUFFER_SIZE, UINT64, BOTH},
    {"vmci_buffer_min_size", ZMQ_VMCI_BUFFER_MIN_SIZE, UINT64, BOTH},
    {"vmci_buffer_max_size", ZMQ_VMCI_BUFFER_MAX_SIZE, UINT64, BOTH},
    {"vmci_connect_timeout", ZMQ_VMCI_CONNECT_TIMEOUT, INT, BOTH},
    {"zap_enforce_domain", ZMQ_ZAP_ENFORCE_DOMAIN, FLAG, BOTH},
#ifdef ZMQ_LOOPBACK_FASTPATH
    {"loopback_fastpath", ZMQ_LOOPBACK_FASTPATH, FLAG, BOTH},
#endif
#ifdef ZMQ_METADATA
    {"metadata", ZMQ_METADATA, BYTES, SET},
#endif
#ifdef ZMQ_MULTICAST_LOOP
    {"multicast_loop", ZMQ_MULTICAST_LOOP, FLAG, BOTH},
#endif
#ifdef ZMQ_ROUTER_NOTIFY
    {"router_notify", ZMQ_ROUTER_NOTIFY, INT, BOTH},
#endif
#ifdef ZMQ_XPUB_MANUAL_LAST_VALUE
    {"xpub_manual_last_value", ZMQ_XPUB_MANUAL_LAST_VALUE, FLAG, BOTH},
#endif
#ifdef ZMQ_SOCKS_USERNAME
    {"socks_username", ZMQ_SOCKS_USERNAME, STRING, BOTH},
#endif
#ifdef ZMQ_SOCKS_PASSWORD
    {"socks_password", ZMQ_SOCKS_PASSWORD, STRING, BOTH},
#endif
#ifdef ZMQ_IN_BATCH_SIZE
    {"in_batch_size", ZMQ_IN_BATCH_SIZE, INT, BOTH},
#endif
#ifdef ZMQ_OUT_BATCH_SIZE
    {"out_batch_size", ZMQ_OUT_BATCH_SIZE, INT, BOTH},
#endif
#ifdef ZMQ_ONLY_FIRST_SUBSCRIBE
    {"only_first_subscribe", ZMQ_ONLY_FIRST_SUBSCRIBE, FLAG, BOTH},
#endif
#ifdef ZMQ_RECONNECT_STOP
    {"reconnect_stop", ZMQ_RECONNECT_STOP, INT, BOTH},
#endif
#ifdef ZMQ_HELLO_MSG
    {"hello_msg", ZMQ_HELLO_MSG, BYTES, SET},
#endif
#ifdef ZMQ_DISCONNECT_MSG
    {"disconnect_msg", ZMQ_DISCONNECT_MSG, BYTES, SET},
#endif
#ifdef ZMQ_PRIORITY
    {"priority", ZMQ_PRIORITY, INT, BOTH},
#endif
#ifdef ZMQ_WSS_KEY_PEM
    {"wss_key_pem", ZMQ_WSS_KEY_PEM, STRING, BOTH},
#endif
#ifdef ZMQ_WSS_CERT_PEM
    {"wss_cert_pem", ZMQ_WSS_CERT_PEM, STRING, BOTH},
#endif
#ifdef ZMQ_WSS_TRUST_PEM
    {"wss_trust_pem", ZMQ_WSS_TRUST_PEM, STRING, BOTH},
#endif
#ifdef ZMQ_WSS_HOSTNAME
    {"wss_hostname", ZMQ_WSS_HOSTNAME, STRING, BOTH},
#endif
#ifdef ZMQ_WSS_TRUST_SYSTEM
    {"wss_trust_system", ZMQ_WSS_TRUST_SYSTEM, FLAG, BOTH},
#endif
#ifdef ZMQ_BUSY_POLL
    {"busy_poll", ZMQ_BUSY_POLL, INT, BOTH},
#endif
#ifdef ZMQ_HICCUP_MSG
    {"hiccup_msg", ZMQ_HICCUP_MSG, BYTES, SET},
#endif
#ifdef ZMQ_XSUB_VERBOSE_UNSUBSCRIBE
    {"xsub_verbose_unsubscribe", ZMQ_XSUB_VERBOSE_UNSUBSCRIBE, FLAG, BOTH},
#endif
#ifdef ZMQ_TOPICS_COUNT
    {"topics_count", ZMQ_TOPICS_COUNT, INT, GET},
#endif
#ifdef ZMQ_NORM_MODE
    {"norm_mode", ZMQ_NORM_MODE, INT, BOTH},
#endif
#ifdef ZMQ_NORM_UNICAST_NACK
    {"norm_unicast_nack", ZMQ_NORM_UNICAST_NACK, FLAG, BOTH},
#endif
#ifdef ZMQ_NORM_BUFFER_SIZE
    {"norm_buffer_size", ZMQ_NORM_BUFFER_SIZE, INT, BOTH},
#endif
#ifdef ZMQ_NORM_SEGMENT_SIZE
    {"norm_segment_size", ZMQ_NORM_SEGMENT_SIZE, INT, BOTH},
#endif
#ifdef ZMQ_NORM_BLOCK_SIZE
    {"norm_block_size", ZMQ_NORM_BLOCK_SIZE, INT, BOTH},
#endif
#ifdef ZMQ_NORM_NUM_PARITY
    {"norm_num_parity", ZMQ_NORM_NUM_PARITY, INT, BOTH},
#endif
#ifdef ZMQ_NORM_NUM_AUTOPARITY
    {"norm_num_autoparity", ZMQ_NORM_NUM_AUTOPARITY, INT, BOTH},
#endif
#ifdef ZMQ_NORM_PUSH
    {"norm_push", ZMQ_NORM_PUSH, FLAG, BOTH},
#endif
    {"subscribe", ZMQ_SUBSCRIBE, BYTES, SET},
    {"unsubscribe", ZMQ_UNSUBSCRIBE, BYTES, SET},
    {NULL, 0, INT, BOTH},
};

const zlua_option zlua_context_options[] = {
    {"io_threads", ZMQ_IO_THREADS, INT, BOTH},
    {"max_sockets", ZMQ_MAX_SOCKETS, INT, BOTH},
    {"socket_limit", ZMQ_SOCKET_LIMIT, INT, GET},
    {"thread_priority", ZMQ_THREAD_PRIORITY, INT, SET},
    {"thread_sched_policy", ZMQ_THREAD_SCHED_POLICY, INT, SET},
    {"max_msgsz", ZMQ_MAX_MSGSZ, INT, BOTH},
    {"msg_t_size", ZMQ_MSG_T_SIZE, INT, GET},
    {"thread_affinity_cpu_add", ZMQ_THREAD_AFFINITY_CPU_ADD, INT, SET},
    {"thread_affinity_cpu_remove", ZMQ_THREAD_AFFINITY_CPU_REMOVE, INT, SET},
    {"thread_name_prefix", ZMQ_THREAD_NAME_PREFIX, INT, BOTH},
    {"blocky", ZMQ_BLOCKY, FLAG, BOTH},
    {"ipv6", ZMQ_IPV6, FLAG, BOTH},
#ifdef ZMQ_ZERO_COPY_RECV
    {"zero_copy_recv", ZMQ_ZERO_COPY_RECV, FLAG, BOTH},
#endif
    {NULL, 0, INT, BOTH},
};

/* ---- finding ------------------------------------------------------------ */

static const zlua_option *find_name(const zlua_option *options,
                                    const char *name) {
  for (; options->name; options++) {
    if (strcmp(options->name, name) == 0) {
      return options;
    }
  }
  return NULL;
}

static const zlua_option *find_number(const zlua_option *options,
                                      lua_Number number) {
  for (; options->name; options++) {
    if ((lua_Number)options->number == number) {
      return options;
    }
  }
  return NULL;
}

/* The option that the value at index names, by name or number, or NULL. */
const zlua_option *zlua_find_option(lua_State *L, int index,
                                    const zlua_option *options) {
  if (lua_type(L, index) == LUA_TSTRING) {
    return find_name(options, lua_tostring(L, index));
  }
  return lua_type(L, index) == LUA_TNUMBER
             ? find_number(options, lua_tonumber(L, index))
             : NULL;
}

static const zlua_option *nearest_to(const char *name,
                                     const zlua_option *options,
                                     const zlua_option *nearest) {
  for (; options && options->name; options++) {
    if (zlua_distance(name, options->name) <
        zlua_distance(name, nearest->name)) {
      nearest = options;
    }
  }
  return nearest;
}

/* [-0, +1] pushes the error text for an unknown name. */
static void push_unknown(lua_State *L, const char *name,
                         const zlua_option *options, const zlua_option *more) {
  const zlua_option *nearest = nearest_to(name, options, options);
  nearest = nearest_to(name, more, nearest);
  lua_pushfstring(L, "unknown option '%s'; did you mean '%s'?", name,
                  nearest->name);
}

/* Raises: the value at index, argument 1 of the method, is not one of the
 * options. more may be NULL. */
int zlua_unknown_option(lua_State *L, int index, const char *method,
                        const zlua_option *options, const zlua_option *more) {
  if (lua_type(L, index) != LUA_TSTRING) {
    return zlua_type_error(L, method, 1, index, "option's name or number");
  }
  push_unknown(L, lua_tostring(L, index), options, more);
  return zlua_argument_error(L, method, 1, lua_tostring(L, -1));
}

/* ---- for Lua ------------------------------------------------------------ */

/* [-0, +0] if the name at the top is nearer than *least, or as near and
 * alphabetically first, it replaces the value at 5. */
static void look_at(lua_State *L, const char *name, size_t *least) {
  const char *known = luaL_checkstring(L, -1);
  size_t away = zlua_distance(name, known);
  if (away < *least ||
      (away == *least && strcmp(known, lua_tostring(L, 5)) < 0)) {
    *least = away;
    lua_pushvalue(L, -1);
    lua_replace(L, 5);
  }
}

/* unknown_option(method, argument, name, known): raises an error that names the
 * nearest key of the table known */
static int unknown_option(lua_State *L) {
  const char *method = luaL_checkstring(L, 1);
  int argument = (int)luaL_checkinteger(L, 2);
  size_t least = SIZE_MAX;
  lua_settop(L, 4);
  if (lua_type(L, 3) != LUA_TSTRING) {
    return zlua_type_error(L, method, argument, 3, "name of an option");
  }
  lua_pushliteral(L, ""); /* 5: the nearest */
  lua_pushnil(L);
  while (lua_next(L, 4)) {
    lua_pop(L, 1);
    look_at(L, lua_tostring(L, 3), &least);
  }
  return zlua_error(
      L, "bad argument #%d to '%s' (unknown option '%s'; did you mean '%s'?)",
      argument, method, lua_tostring(L, 3), lua_tostring(L, 5));
}

/* [-0, +1] pushes the list of names, in the order of application. */
static void push_names(lua_State *L, const zlua_option *options) {
  lua_newtable(L);
  for (int i = 0; options[i].name; i++) {
    lua_pushstring(L, options[i].name);
    lua_rawseti(L, -2, i + 1);
  }
}

/* [-0, +0] constants[NAME] = number, for every option */
static void options_add_constants(lua_State *L, const zlua_option *options) {
  for (; options->name; options++) {
    luaL_Buffer buffer;
    luaL_buffinit(L, &buffer);
    for (const char *c = options->name; *c; c++) {
      int upper = *c >= 'a' && *c <= 'z' ? *c - 'a' + 'A' : *c;
      luaL_addchar(&buffer, (char)upper);
    }
    luaL_pushresult(&buffer);
    lua_pushinteger(L, options->number);
    lua_rawset(L, -3);
  }
}

/* [-0, +0] module table on the top: socket_options, context_options
 * and unknown_option. */
void zlua_open_options(lua_State *L) {
  push_names(L, zlua_socket_options);
  lua_setfield(L, -2, "socket_options");
  push_names(L, zlua_context_options);
  lua_setfield(L, -2, "context_options");
  lua_pushcfunction(L, unknown_option);
  lua_setfield(L, -2, "unknown_option");
}

/* [-0, +0] table of constants on the top. */
void zlua_option_constants(lua_State *L) {
  options_add_constants(L, zlua_context_options);
  options_add_constants(L, zlua_socket_options);
}
