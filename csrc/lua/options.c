/* options.c - options of sockets and contexts by name, and their types.
 * SPDX-License-Identifier: MIT
 *
 * One table for all: the option tables of Lua are applied in its order. Options
 * by number need it too, since libzmq does not tell types.
 */
#include "binding.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef enum option_type {
  OPTION_INT,
  OPTION_INT64,
  OPTION_UINT64,
  OPTION_STRING, /* libzmq counts the trailing NUL */
  OPTION_BYTES,
  OPTION_KEY /* of CURVE: Z85 text, or 32 bytes when set */
} option_type;

typedef struct option {
  const char *name;
  int number;
  option_type type;
} option;

enum { STRING_SPACE = 4096, KEY_SPACE = 41 };

/* In the order in which a table of options is applied. */
static const option socket_options[] = {
    {"affinity", ZMQ_AFFINITY, OPTION_UINT64},
    {"routing_id", ZMQ_ROUTING_ID, OPTION_BYTES},
    {"identity", ZMQ_ROUTING_ID, OPTION_BYTES},
    {"rate", ZMQ_RATE, OPTION_INT},
    {"recovery_ivl", ZMQ_RECOVERY_IVL, OPTION_INT},
    {"sndbuf", ZMQ_SNDBUF, OPTION_INT},
    {"rcvbuf", ZMQ_RCVBUF, OPTION_INT},
    {"rcvmore", ZMQ_RCVMORE, OPTION_INT},
    {"fd", ZMQ_FD, OPTION_INT},
    {"events", ZMQ_EVENTS, OPTION_INT},
    {"type", ZMQ_TYPE, OPTION_INT},
    {"linger", ZMQ_LINGER, OPTION_INT},
    {"reconnect_ivl", ZMQ_RECONNECT_IVL, OPTION_INT},
    {"backlog", ZMQ_BACKLOG, OPTION_INT},
    {"reconnect_ivl_max", ZMQ_RECONNECT_IVL_MAX, OPTION_INT},
    {"maxmsgsize", ZMQ_MAXMSGSIZE, OPTION_INT64},
    {"sndhwm", ZMQ_SNDHWM, OPTION_INT},
    {"rcvhwm", ZMQ_RCVHWM, OPTION_INT},
    {"multicast_hops", ZMQ_MULTICAST_HOPS, OPTION_INT},
    {"rcvtimeo", ZMQ_RCVTIMEO, OPTION_INT},
    {"sndtimeo", ZMQ_SNDTIMEO, OPTION_INT},
    {"last_endpoint", ZMQ_LAST_ENDPOINT, OPTION_STRING},
    {"router_mandatory", ZMQ_ROUTER_MANDATORY, OPTION_INT},
    {"tcp_keepalive", ZMQ_TCP_KEEPALIVE, OPTION_INT},
    {"tcp_keepalive_cnt", ZMQ_TCP_KEEPALIVE_CNT, OPTION_INT},
    {"tcp_keepalive_idle", ZMQ_TCP_KEEPALIVE_IDLE, OPTION_INT},
    {"tcp_keepalive_intvl", ZMQ_TCP_KEEPALIVE_INTVL, OPTION_INT},
    {"immediate", ZMQ_IMMEDIATE, OPTION_INT},
    {"xpub_verbose", ZMQ_XPUB_VERBOSE, OPTION_INT},
    {"router_raw", ZMQ_ROUTER_RAW, OPTION_INT},
    {"ipv6", ZMQ_IPV6, OPTION_INT},
    {"mechanism", ZMQ_MECHANISM, OPTION_INT},
    {"plain_server", ZMQ_PLAIN_SERVER, OPTION_INT},
    {"plain_username", ZMQ_PLAIN_USERNAME, OPTION_STRING},
    {"plain_password", ZMQ_PLAIN_PASSWORD, OPTION_STRING},
    {"curve_server", ZMQ_CURVE_SERVER, OPTION_INT},
    {"curve_publickey", ZMQ_CURVE_PUBLICKEY, OPTION_KEY},
    {"curve_secretkey", ZMQ_CURVE_SECRETKEY, OPTION_KEY},
    {"curve_serverkey", ZMQ_CURVE_SERVERKEY, OPTION_KEY},
    {"probe_router", ZMQ_PROBE_ROUTER, OPTION_INT},
    {"req_correlate", ZMQ_REQ_CORRELATE, OPTION_INT},
    {"req_relaxed", ZMQ_REQ_RELAXED, OPTION_INT},
    {"conflate", ZMQ_CONFLATE, OPTION_INT},
    {"zap_domain", ZMQ_ZAP_DOMAIN, OPTION_STRING},
    {"router_handover", ZMQ_ROUTER_HANDOVER, OPTION_INT},
    {"tos", ZMQ_TOS, OPTION_INT},
    {"connect_routing_id", ZMQ_CONNECT_ROUTING_ID, OPTION_BYTES},
    {"gssapi_server", ZMQ_GSSAPI_SERVER, OPTION_INT},
    {"gssapi_principal", ZMQ_GSSAPI_PRINCIPAL, OPTION_STRING},
    {"gssapi_service_principal", ZMQ_GSSAPI_SERVICE_PRINCIPAL, OPTION_STRING},
    {"gssapi_plaintext", ZMQ_GSSAPI_PLAINTEXT, OPTION_INT},
    {"gssapi_principal_nametype", ZMQ_GSSAPI_PRINCIPAL_NAMETYPE, OPTION_INT},
    {"gssapi_service_principal_nametype", ZMQ_GSSAPI_SERVICE_PRINCIPAL_NAMETYPE,
     OPTION_INT},
    {"handshake_ivl", ZMQ_HANDSHAKE_IVL, OPTION_INT},
    {"socks_proxy", ZMQ_SOCKS_PROXY, OPTION_STRING},
    {"xpub_nodrop", ZMQ_XPUB_NODROP, OPTION_INT},
    {"xpub_manual", ZMQ_XPUB_MANUAL, OPTION_INT},
    {"xpub_welcome_msg", ZMQ_XPUB_WELCOME_MSG, OPTION_BYTES},
    {"xpub_verboser", ZMQ_XPUB_VERBOSER, OPTION_INT},
    {"stream_notify", ZMQ_STREAM_NOTIFY, OPTION_INT},
    {"invert_matching", ZMQ_INVERT_MATCHING, OPTION_INT},
    {"heartbeat_ivl", ZMQ_HEARTBEAT_IVL, OPTION_INT},
    {"heartbeat_ttl", ZMQ_HEARTBEAT_TTL, OPTION_INT},
    {"heartbeat_timeout", ZMQ_HEARTBEAT_TIMEOUT, OPTION_INT},
    {"connect_timeout", ZMQ_CONNECT_TIMEOUT, OPTION_INT},
    {"tcp_maxrt", ZMQ_TCP_MAXRT, OPTION_INT},
    {"thread_safe", ZMQ_THREAD_SAFE, OPTION_INT},
    {"multicast_maxtpdu", ZMQ_MULTICAST_MAXTPDU, OPTION_INT},
    {"use_fd", ZMQ_USE_FD, OPTION_INT},
    {"bindtodevice", ZMQ_BINDTODEVICE, OPTION_STRING},
#ifdef ZMQ_ZAP_ENFORCE_DOMAIN
    {"zap_enforce_domain", ZMQ_ZAP_ENFORCE_DOMAIN, OPTION_INT},
#endif
#ifdef ZMQ_LOOPBACK_FASTPATH
    {"loopback_fastpath", ZMQ_LOOPBACK_FASTPATH, OPTION_INT},
#endif
#ifdef ZMQ_METADATA
    {"metadata", ZMQ_METADATA, OPTION_BYTES},
#endif
#ifdef ZMQ_MULTICAST_LOOP
    {"multicast_loop", ZMQ_MULTICAST_LOOP, OPTION_INT},
#endif
#ifdef ZMQ_ROUTER_NOTIFY
    {"router_notify", ZMQ_ROUTER_NOTIFY, OPTION_INT},
#endif
#ifdef ZMQ_XPUB_MANUAL_LAST_VALUE
    {"xpub_manual_last_value", ZMQ_XPUB_MANUAL_LAST_VALUE, OPTION_INT},
#endif
#ifdef ZMQ_SOCKS_USERNAME
    {"socks_username", ZMQ_SOCKS_USERNAME, OPTION_STRING},
#endif
#ifdef ZMQ_SOCKS_PASSWORD
    {"socks_password", ZMQ_SOCKS_PASSWORD, OPTION_STRING},
#endif
#ifdef ZMQ_IN_BATCH_SIZE
    {"in_batch_size", ZMQ_IN_BATCH_SIZE, OPTION_INT},
#endif
#ifdef ZMQ_OUT_BATCH_SIZE
    {"out_batch_size", ZMQ_OUT_BATCH_SIZE, OPTION_INT},
#endif
#ifdef ZMQ_ONLY_FIRST_SUBSCRIBE
    {"only_first_subscribe", ZMQ_ONLY_FIRST_SUBSCRIBE, OPTION_INT},
#endif
#ifdef ZMQ_RECONNECT_STOP
    {"reconnect_stop", ZMQ_RECONNECT_STOP, OPTION_INT},
#endif
#ifdef ZMQ_HELLO_MSG
    {"hello_msg", ZMQ_HELLO_MSG, OPTION_BYTES},
#endif
#ifdef ZMQ_DISCONNECT_MSG
    {"disconnect_msg", ZMQ_DISCONNECT_MSG, OPTION_BYTES},
#endif
#ifdef ZMQ_PRIORITY
    {"priority", ZMQ_PRIORITY, OPTION_INT},
#endif
    {"subscribe", ZMQ_SUBSCRIBE, OPTION_BYTES},
    {"unsubscribe", ZMQ_UNSUBSCRIBE, OPTION_BYTES},
    {NULL, 0, OPTION_INT},
};

static const option context_options[] = {
    {"io_threads", ZMQ_IO_THREADS, OPTION_INT},
    {"max_sockets", ZMQ_MAX_SOCKETS, OPTION_INT},
    {"socket_limit", ZMQ_SOCKET_LIMIT, OPTION_INT},
    {"thread_priority", ZMQ_THREAD_PRIORITY, OPTION_INT},
    {"thread_sched_policy", ZMQ_THREAD_SCHED_POLICY, OPTION_INT},
    {"max_msgsz", ZMQ_MAX_MSGSZ, OPTION_INT},
    {"msg_t_size", ZMQ_MSG_T_SIZE, OPTION_INT},
    {"thread_affinity_cpu_add", ZMQ_THREAD_AFFINITY_CPU_ADD, OPTION_INT},
    {"thread_affinity_cpu_remove", ZMQ_THREAD_AFFINITY_CPU_REMOVE, OPTION_INT},
    {"thread_name_prefix", ZMQ_THREAD_NAME_PREFIX, OPTION_INT},
    {"blocky", ZMQ_BLOCKY, OPTION_INT},
    {"ipv6", ZMQ_IPV6, OPTION_INT},
    {NULL, 0, OPTION_INT},
};

/* ---- finding ------------------------------------------------------------ */

static const option *find_name(const option *options, const char *name) {
  for (; options->name; options++) {
    if (strcmp(options->name, name) == 0) {
      return options;
    }
  }
  return NULL;
}

static const option *find_number(const option *options, int number) {
  for (; options->name; options++) {
    if (options->number == number) {
      return options;
    }
  }
  return NULL;
}

/* How many single letters have to be changed to make one of the other; names
 * are short, and this is only for a message. */
static size_t distance(const char *a, const char *b) {
  enum { LONGEST = 64 };
  size_t row[LONGEST + 1];
  size_t n = strlen(a);
  size_t m = strlen(b);
  if (n > LONGEST || m > LONGEST) {
    return LONGEST;
  }
  for (size_t j = 0; j <= m; j++) {
    row[j] = j;
  }
  for (size_t i = 1; i <= n; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= m; j++) {
      size_t above = row[j];
      size_t best = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      best = above + 1 < best ? above + 1 : best;
      best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
      row[j] = best;
      diagonal = above;
    }
  }
  return row[m];
}

/* [-0, +1] pushes what to say of a name that is none of theirs. */
static void push_unknown(lua_State *L, const option *options,
                         const char *name) {
  const char *nearest = options->name;
  for (const option *o = options; o->name; o++) {
    if (distance(name, o->name) < distance(name, nearest)) {
      nearest = o->name;
    }
  }
  lua_pushfstring(L, "unknown option '%s'; did you mean '%s'?", name, nearest);
}

/* The option that the argument at 2 names: a name, or a number, which libzmq
 * may know though the table does not. */
static option check_option(lua_State *L, const option *options,
                           const char *method) {
  const option *found;
  if (lua_type(L, 2) == LUA_TSTRING) {
    const char *name = lua_tostring(L, 2);
    found = find_name(options, name);
    if (!found) {
      push_unknown(L, options, name);
      luaL_error(L, "bad argument #1 to '%s' (%s)", method,
                 lua_tostring(L, -1));
    }
    return *found; /* NOLINT: luaL_error does not return */
  }
  int number = (int)zlua_check_integer(L, method, 1, 2, 0, INT32_MAX);
  found = find_number(options, number);
  if (found) {
    return *found;
  }
  bool is_string = lua_type(L, 3) == LUA_TSTRING;
  return (option){.name = "?",
                  .number = number,
                  .type = is_string ? OPTION_BYTES : OPTION_INT};
}

/* ---- setting ------------------------------------------------------------ */

static int wrong_type(lua_State *L, const option *it, const char *expected) {
  return luaL_error(
      L, "bad argument #2 to 'set' (option '%s': %s expected, got %s)",
      it->name, expected, luaL_typename(L, 3));
}

/* The value at 3, exact where Lua's integers are. */
static int64_t check_value(lua_State *L, const option *it) {
  if (lua_type(L, 3) == LUA_TBOOLEAN) {
    return lua_toboolean(L, 3);
  }
  if (!zlua_isinteger(L, 3)) {
    wrong_type(L, it, "integer");
  }
  return (int64_t)lua_tointeger(L, 3);
}

static int check_int(lua_State *L, const option *it) {
  int64_t value = check_value(L, it);
  if (value < INT32_MIN || value > INT32_MAX) {
    luaL_error(L, "bad argument #2 to 'set' (option '%s': out of range)",
               it->name);
  }
  return (int)value;
}

/* Returns 0 or an error. */
static int set_option(lua_State *L, void *zmq, const option *it) {
  int as_int;
  int64_t as_int64;
  const void *data = &as_int;
  size_t size = sizeof as_int;
  if (it->type == OPTION_INT) {
    as_int = check_int(L, it);
  } else if (it->type == OPTION_INT64 || it->type == OPTION_UINT64) {
    as_int64 = check_value(L, it);
    data = &as_int64;
    size = sizeof as_int64;
  } else if (it->type == OPTION_STRING && lua_isnil(L, 3)) {
    data = NULL;
    size = 0;
  } else if (lua_type(L, 3) == LUA_TSTRING) {
    data = lua_tolstring(L, 3, &size);
  } else {
    wrong_type(L, it, "string");
  }
  int rc;
  do {
    rc = zmq_setsockopt(zmq, it->number, data, size);
  } while (rc < 0 && zmq_errno() == EINTR);
  return rc < 0 ? -zmq_errno() : 0;
}

/* socket:set(option, value) -> true | nil, message, name */
int zlua_socket_set(lua_State *L) {
  const zlua_socket *socket = zlua_check_socket(L, 1, "set", 0);
  option it = check_option(L, socket_options, "set");
  lua_settop(L, 3);
  int rc = set_option(L, socket->zmq, &it);
  zlua_socket_touch(socket);
  if (rc < 0) {
    return zlua_fail_at(L, rc, it.name);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- getting ------------------------------------------------------------ */

static int read_option(void *zmq, int number, void *data, size_t *size) {
  int rc;
  do {
    rc = zmq_getsockopt(zmq, number, data, size);
  } while (rc < 0 && zmq_errno() == EINTR);
  return rc < 0 ? -zmq_errno() : 0;
}

/* Exact from 5.3 on; unsigned values from 2^63 on come as their negative
 * integer, and before 5.3 as the nearest number. */
static void push_int64(lua_State *L, int64_t value, bool is_unsigned) {
#if LUA_VERSION_NUM >= 503
  (void)is_unsigned;
  lua_pushinteger(L, (lua_Integer)value);
#else
  lua_pushnumber(L,
                 is_unsigned ? (lua_Number)(uint64_t)value : (lua_Number)value);
#endif
}

static int get_bytes(lua_State *L, void *zmq, const option *it) {
  char data[STRING_SPACE];
  size_t size = it->type == OPTION_KEY ? KEY_SPACE : sizeof data;
  int rc = read_option(zmq, it->number, data, &size);
  if (rc < 0) {
    return zlua_fail_at(L, rc, it->name);
  }
  bool counts_nul = it->type == OPTION_STRING || it->type == OPTION_KEY;
  if (counts_nul && size > 0 && data[size - 1] == '\0') {
    size--;
  }
  lua_pushlstring(L, data, size);
  return 1;
}

static int get_number(lua_State *L, void *zmq, const option *it) {
  int as_int = 0;
  int64_t as_int64 = 0;
  bool is_int = it->type == OPTION_INT;
  size_t size = is_int ? sizeof as_int : sizeof as_int64;
  int rc =
      read_option(zmq, it->number, is_int ? (void *)&as_int : &as_int64, &size);
  if (rc < 0) {
    return zlua_fail_at(L, rc, it->name);
  }
  if (is_int) {
    lua_pushinteger(L, as_int);
  } else {
    push_int64(L, as_int64, it->type == OPTION_UINT64);
  }
  return 1;
}

/* socket:get(option) -> value | nil, message, name */
int zlua_socket_get(lua_State *L) {
  const zlua_socket *socket = zlua_check_socket(L, 1, "get", 0);
  lua_settop(L, 2);
  option it = check_option(L, socket_options, "get");
  int results = it.type == OPTION_INT || it.type == OPTION_INT64 ||
                        it.type == OPTION_UINT64
                    ? get_number(L, socket->zmq, &it)
                    : get_bytes(L, socket->zmq, &it);
  zlua_socket_used(socket);
  return results;
}

/* ---- contexts ----------------------------------------------------------- */

/* context:set(option, value) -> true | nil, message, name */
int zlua_context_set(lua_State *L) {
  const zlua_context *context = zlua_check_context(L, "set");
  option it = check_option(L, context_options, "set");
  lua_settop(L, 3);
  if (zmq_ctx_set(context->zmq, it.number, check_int(L, &it)) < 0) {
    return zlua_fail_at(L, -zmq_errno(), it.name);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* context:get(option) -> value | nil, message, name */
int zlua_context_get(lua_State *L) {
  const zlua_context *context = zlua_check_context(L, "get");
  lua_settop(L, 2);
  option it = check_option(L, context_options, "get");
  int value = zmq_ctx_get(context->zmq, it.number);
  if (value < 0) {
    return zlua_fail_at(L, -zmq_errno(), it.name);
  }
  lua_pushinteger(L, value);
  return 1;
}

/* unknown_option(name) -> what to say of it */
static int unknown_option(lua_State *L) {
  push_unknown(L, socket_options, luaL_checkstring(L, 1));
  return 1;
}

/* ---- for Lua ------------------------------------------------------------ */

/* [-0, +1] pushes the list of names, in the order of application. */
static void push_names(lua_State *L, const option *options) {
  lua_newtable(L);
  for (int i = 0; options[i].name; i++) {
    lua_pushstring(L, options[i].name);
    lua_rawseti(L, -2, i + 1);
  }
}

/* [-0, +0] constants[NAME] = number, for every option */
static void add_constants(lua_State *L, const option *options) {
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

/* [-0, +0] module table on the top: socket_options, context_options and
 * unknown_option. */
void zlua_push_options(lua_State *L) {
  push_names(L, socket_options);
  lua_setfield(L, -2, "socket_options");
  push_names(L, context_options);
  lua_setfield(L, -2, "context_options");
  lua_pushcfunction(L, unknown_option);
  lua_setfield(L, -2, "unknown_option");
}

/* [-0, +0] table of constants on the top. */
void zlua_option_constants(lua_State *L) {
  add_constants(L, context_options);
  add_constants(L, socket_options);
}
