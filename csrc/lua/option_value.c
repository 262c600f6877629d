/* option_value.c - set() and get() of sockets and contexts.
 * SPDX-License-Identifier: MIT
 *
 * 64-bit numbers are exact where Lua has 64-bit integers (5.3 and later), where
 * values of unsigned options from 2^63 on are negative. Elsewhere numbers are
 * exact up to 2^53, and larger ones are refused.
 *
 * Socket options that are set on a context are the defaults of its new sockets.
 * Where a number names both, libzmq's context option wins.
 */
#define _GNU_SOURCE
#include "option_value.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <zmq.h>

#include "address.h"
#include "argument.h"
#include "compat.h"
#include "context.h"
#include "inbox.h"
#include "open.h"
#include "options.h"
#include "socket.h"

enum {
  STRING_SPACE = 512,
  MOST_STRING_SPACE = 1 << 24,
  KEY_BYTES = 32,
  KEY_TEXT = 40,
  MOST_SOCKETS = 1 << 20, /* libzmq allocates a table of this size at once */
  MOST_IO_THREADS = 1 << 16
};

/* 2^53: up to here numbers without 64-bit integers are exact. */
#define EXACT_LIMIT 9007199254740992

/* What libzmq is given for a Lua value. */
typedef struct setting {
  const void *data;
  size_t size;
  int as_int;
  int64_t as_int64;
} setting;

/* ---- Lua values -------------------------------------------------------
 *
 * The value is argument 2 of the method. */

static int wrong_value(lua_State *L, const char *method, const zlua_option *it,
                       const char *what) {
  return zlua_error(L, "bad argument #2 to '%s' (option '%s': %s)", method,
                    it->name, what);
}

static int wrong_type(lua_State *L, const char *method, int index,
                      const zlua_option *it, const char *expected) {
  return zlua_error(
      L, "bad argument #2 to '%s' (option '%s': %s expected, got %s)", method,
      it->name, expected, luaL_typename(L, index));
}

static int64_t check_integer(lua_State *L, const char *method, int index,
                             const zlua_option *it) {
  bool is_flag = it->type == ZLUA_OPTION_FLAG || it->type == ZLUA_OPTION_ROUTER;
  if (is_flag && lua_type(L, index) == LUA_TBOOLEAN) {
    return lua_toboolean(L, index);
  }
  if (lua_type(L, index) != LUA_TNUMBER) {
    wrong_type(L, method, index, it, "integer");
  }
#if LUA_VERSION_NUM < 503
  lua_Number number = lua_tonumber(L, index);
  if (number > EXACT_LIMIT || number < -(lua_Number)EXACT_LIMIT) {
    wrong_value(L, method, it, "beyond 2^53, to where numbers are exact");
  }
  if (number < 0 && it->type == ZLUA_OPTION_UINT64) {
    wrong_value(L, method, it, "out of range");
  }
#endif
  if (!zlua_isinteger(L, index)) {
    wrong_value(L, method, it, "number has no integer representation");
  }
  return zlua_toint64(L, index);
}

static int check_int(lua_State *L, const char *method, int index,
                     const zlua_option *it) {
  int64_t value = check_integer(L, method, index, it);
  if (value < INT32_MIN || value > INT32_MAX) {
    wrong_value(L, method, it, "out of range");
  }
  return (int)value;
}

/* Reads the value at index, which must stay there: the setting refers to it. */
static void check_setting(lua_State *L, const char *method, int index,
                          const zlua_option *it, setting *to) {
  to->data = &to->as_int;
  to->size = sizeof to->as_int;
  switch (it->type) {
  case ZLUA_OPTION_INT:
  case ZLUA_OPTION_FLAG:
  case ZLUA_OPTION_LISTENER:
  case ZLUA_OPTION_ROUTER:
  case ZLUA_OPTION_HWM: to->as_int = check_int(L, method, index, it); return;
  case ZLUA_OPTION_INT64:
  case ZLUA_OPTION_UINT64:
    to->as_int64 = check_integer(L, method, index, it);
    to->data = &to->as_int64;
    to->size = sizeof to->as_int64;
    return;
  case ZLUA_OPTION_STRING:
  case ZLUA_OPTION_BYTES:
  case ZLUA_OPTION_KEY: break;
  }
  if (lua_type(L, index) == LUA_TSTRING) {
    to->data = lua_tolstring(L, index, &to->size);
  } else if (lua_isnil(L, index) && it->type == ZLUA_OPTION_STRING) {
    to->data = NULL; /* unset */
    to->size = 0;
  } else {
    wrong_type(L, method, index, it, "string");
  }
}

/* ---- sockets: setting --------------------------------------------------- */

static int set_option(void *zmq, int number, const setting *it) {
  int rc;
  do {
    rc = zmq_setsockopt(zmq, number, it->data, it->size);
  } while (rc < 0 && zmq_errno() == EINTR);
  return rc < 0 ? -zmq_errno() : 0;
}

/* libzmq would read Z85 text with a NUL inside, and any text of 41 bytes, up to
 * the NUL. */
static bool is_key(const setting *it) {
  return it->size == KEY_BYTES ||
         (it->size == KEY_TEXT && !memchr(it->data, '\0', it->size));
}

/* libzmq aborts on a descriptor that it cannot wait on. */
static bool is_listener(int fd) {
  int listens = 0;
  socklen_t size = sizeof listens;
  return fd == -1 ||
         (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 &&
          listens);
}

static bool is_proxy(const setting *it) {
  return !it->data || zlua_is_host_and_port(it->data, it->size);
}

/* Was it bound or connected? */
static bool has_endpoint(void *zmq) {
  char none;
  size_t size = sizeof none;
  return zmq_getsockopt(zmq, ZMQ_LAST_ENDPOINT, &none, &size) < 0;
}

/* To a raw socket an empty frame means the end of its connection. libzmq aborts
 * if one arrives in the middle of a message, which a connection that is not raw
 * can deliver. */
static int set_raw(zlua_socket *socket, const setting *it) {
  if (it->as_int && (socket->probes || has_endpoint(socket->zmq))) {
    return -EINVAL;
  }
  int rc = set_option(socket->zmq, ZMQ_ROUTER_RAW, it);
  socket->raw = socket->raw || (rc == 0 && it->as_int);
  return rc;
}

/* libzmq aborts if it writes an empty message to a raw connection. */
static int set_probe(zlua_socket *socket, const setting *it) {
  if (it->as_int && socket->raw) {
    return -EINVAL;
  }
  int rc = set_option(socket->zmq, ZMQ_PROBE_ROUTER, it);
  socket->probes = rc == 0 ? it->as_int != 0 : socket->probes;
  return rc;
}

/* A message that is sent to new connections. */
static int set_greeting(zlua_socket *socket, const zlua_option *option,
                        const setting *it) {
  int rc = set_option(socket->zmq, option->number, it);
  socket->greets = rc == 0 ? it->size > 0 : socket->greets;
  return rc;
}

#ifdef ZMQ_WSS_KEY_PEM
/* If the text is not PEM, libzmq aborts when a connection or bind begins. */
static bool is_pem(const setting *it) {
  static const char begin[] = "-----BEGIN ";
  return it->size >= sizeof begin &&
         memcmp(it->data, begin, sizeof begin - 1) == 0;
}

static int set_pem(zlua_socket *socket, const zlua_option *option,
                   const setting *it) {
  if (it->size > 0 && !is_pem(it)) {
    return -EINVAL;
  }
  int rc = set_option(socket->zmq, option->number, it);
  bool has = it->size > 0;
  if (rc == 0 && option->number == ZMQ_WSS_KEY_PEM) {
    socket->wss_key = has;
  } else if (rc == 0 && option->number == ZMQ_WSS_CERT_PEM) {
    socket->wss_cert = has;
  }
  return rc;
}
#endif

/* Is a ROUTER or REP in the middle of sending a message? A REP begins its
 * reply, with the envelope, when it receives the request. */
static bool is_in_message(zlua_socket *socket) {
  int events = 0;
  size_t size = sizeof events;
  if (socket->type != ZMQ_REP) {
    return socket->type == ZMQ_ROUTER && socket->outgoing.passed;
  }
  socket->looked = true;
  (void)zmq_getsockopt(socket->zmq, ZMQ_EVENTS, &events, &size);
  return events & ZMQ_POLLOUT;
}

/* libzmq aborts if the mark is lowered below what a pipe holds while a ROUTER
 * is in the middle of a message to it: the rest of the message is refused as if
 * the pipe were full, but the pipe is not full any more when the peer reads. */
static int set_sndhwm(zlua_socket *socket, const setting *it) {
  int now = 0;
  size_t size = sizeof now;
  (void)zmq_getsockopt(socket->zmq, ZMQ_SNDHWM, &now, &size);
  bool lowers = it->as_int > 0 && (now == 0 || it->as_int < now);
  if (lowers && is_in_message(socket)) {
    return -EFSM;
  }
  return set_option(socket->zmq, ZMQ_SNDHWM, it);
}

/* Returns 0 or an error. */
static int apply(zlua_socket *socket, const zlua_option *option,
                 const setting *it) {
  void *zmq = socket->zmq;
  /* A REP would abort when it replies with the frames of a request: at the
   * empty frame if it is raw, or when the peer is gone if router_mandatory is
   * set. */
  if (option->access == ZLUA_OPTION_GET ||
      (option->type == ZLUA_OPTION_ROUTER && socket->type == ZMQ_REP &&
       it->as_int) ||
      (option->type == ZLUA_OPTION_KEY && !is_key(it)) ||
      (option->type == ZLUA_OPTION_LISTENER && !is_listener(it->as_int)) ||
      (option->number == ZMQ_SOCKS_PROXY && !is_proxy(it))) {
    return -EINVAL;
  }
  switch (option->number) {
  case ZMQ_SUBSCRIBE: socket->deaf = false; break;
  case ZMQ_ROUTER_RAW: return set_raw(socket, it);
  case ZMQ_PROBE_ROUTER: return set_probe(socket, it);
  case ZMQ_SNDHWM: return set_sndhwm(socket, it);
  case ZMQ_XPUB_WELCOME_MSG:
#ifdef ZMQ_HELLO_MSG
  case ZMQ_HELLO_MSG:
#endif
    return set_greeting(socket, option, it);
#ifdef ZMQ_WSS_KEY_PEM
  case ZMQ_WSS_KEY_PEM:
  case ZMQ_WSS_CERT_PEM:
  case ZMQ_WSS_TRUST_PEM: return set_pem(socket, option, it);
#endif
  default: break;
  }
  if (option->type != ZLUA_OPTION_HWM) {
    return set_option(zmq, option->number, it);
  }
  int rc = set_sndhwm(socket, it);
  return rc < 0 ? rc : set_option(zmq, ZMQ_RCVHWM, it);
}

/* The option that argument 2 names: by name, or by a number, which libzmq may
 * know although the table does not. */
static zlua_option check_socket_option(lua_State *L, const char *method) {
  const zlua_option *found = zlua_find_option(L, 2, zlua_socket_options);
  if (found) {
    return *found;
  }
  if (lua_type(L, 2) != LUA_TNUMBER) {
    zlua_unknown_option(L, 2, method, zlua_socket_options, NULL);
  }
  int number = (int)zlua_check_integer(L, method, 1, 2, 0, INT32_MAX);
  bool is_string = lua_type(L, 3) == LUA_TSTRING;
  return (zlua_option){
      .name = "?",
      .number = number,
      .type = is_string ? ZLUA_OPTION_BYTES : ZLUA_OPTION_FLAG,
  };
}

/* [-0, +3] the failure, with the name of the option. */
static int fail(lua_State *L, int rc, const zlua_option *it,
                zlua_option_access wanted) {
  if (rc == -EINVAL && it->access != ZLUA_OPTION_BOTH && it->access != wanted) {
    lua_pushfstring(L, "%s, which can only be %s", it->name,
                    it->access == ZLUA_OPTION_GET ? "read" : "set");
    return zlua_fail_at(L, rc, lua_tostring(L, -1));
  }
  return zlua_fail_at(L, rc, it->name);
}

/* Connections that libzmq creates with conflate keep it, and half a message in
 * one of them ends the process. So conflate cannot be unset. */
static int set_keeping_conflation(zlua_socket *socket,
                                  const zlua_option *option,
                                  const setting *it) {
  const int on = 1;
  bool conflated = socket->inbox.single;
  int rc = apply(socket, option, it);
  zlua_socket_changed(socket);
  if (conflated && !socket->inbox.single) {
    (void)zmq_setsockopt(socket->zmq, ZMQ_CONFLATE, &on, sizeof on);
    zlua_socket_changed(socket);
    rc = -EINVAL;
  }
  return rc;
}

/* socket:set(option, value) -> true | nil, message, name */
static int socket_set(lua_State *L) {
  zlua_socket *socket = zlua_check_socket(L, 1, "set", 0);
  lua_settop(L, 3);
  zlua_option option = check_socket_option(L, "set");
  setting it = {0};
  check_setting(L, "set", 3, &option, &it);
  int rc = set_keeping_conflation(socket, &option, &it);
  if (rc < 0) {
    return fail(L, rc, &option, ZLUA_OPTION_SET);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* ---- sockets: getting --------------------------------------------------- */

static int read_option(void *zmq, int number, void *data, size_t *size) {
  int rc;
  do {
    rc = zmq_getsockopt(zmq, number, data, size);
  } while (rc < 0 && zmq_errno() == EINTR);
  return rc < 0 ? -zmq_errno() : 0;
}

/* An address may have any length; libzmq does not report it, and fails with
 * EINVAL if the buffer is too small. Other text is short. */
static int option_push_bytes(lua_State *L, void *zmq, const zlua_option *it) {
  char space[STRING_SPACE];
  char *data = space;
  size_t most = it->type == ZLUA_OPTION_KEY ? KEY_TEXT + 1 : sizeof space;
  size_t size = most;
  int rc = read_option(zmq, it->number, data, &size);
  while (rc == -EINVAL && it->number == ZMQ_LAST_ENDPOINT &&
         most < MOST_STRING_SPACE) {
    most *= 2;
    size = most;
    data = lua_newuserdata(L, most);
    rc = read_option(zmq, it->number, data, &size);
  }
  if (rc < 0) {
    return fail(L, rc, it, ZLUA_OPTION_GET);
  }
  bool counts_nul =
      it->type == ZLUA_OPTION_STRING || it->type == ZLUA_OPTION_KEY;
  if (counts_nul && size > 0 && data[size - 1] == '\0') {
    size--;
  }
  lua_pushlstring(L, data, size);
  return 1;
}

static int push_int(lua_State *L, void *zmq, const zlua_option *it) {
  int value = 0;
  size_t size = sizeof value;
  int number = it->type == ZLUA_OPTION_HWM ? ZMQ_SNDHWM : it->number;
  int rc = read_option(zmq, number, &value, &size);
  if (rc < 0) {
    return fail(L, rc, it, ZLUA_OPTION_GET);
  }
  lua_pushinteger(L, value);
  return 1;
}

static int push_int64(lua_State *L, void *zmq, const zlua_option *it) {
  int64_t value = 0;
  size_t size = sizeof value;
  int rc = read_option(zmq, it->number, &value, &size);
  if (rc < 0) {
    return fail(L, rc, it, ZLUA_OPTION_GET);
  }
#if LUA_VERSION_NUM < 503
  if (value > EXACT_LIMIT || value < -EXACT_LIMIT) {
    return fail(L, -ERANGE, it, ZLUA_OPTION_GET);
  }
#endif
  zlua_pushint64(L, value);
  return 1;
}

/* socket:get(option) -> value | nil, message, name */
static int socket_get(lua_State *L) {
  zlua_socket *socket = zlua_check_socket(L, 1, "get", 0);
  lua_settop(L, 2);
  zlua_option it = check_socket_option(L, "get");
  int results;
  if (it.number == ZMQ_EVENTS) {
    int rc = zlua_socket_check_process(socket);
    if (rc < 0) {
      return zlua_fail(L, rc);
    }
    socket->looked = true;
  }
  switch (it.type) {
  case ZLUA_OPTION_STRING:
  case ZLUA_OPTION_BYTES:
  case ZLUA_OPTION_KEY: results = option_push_bytes(L, socket->zmq, &it); break;
  case ZLUA_OPTION_INT64:
  case ZLUA_OPTION_UINT64: results = push_int64(L, socket->zmq, &it); break;
  default: results = push_int(L, socket->zmq, &it);
  }
  if (it.number == ZMQ_RCVMORE && results == 1) {
    lua_pushinteger(L, zlua_inbox_more(&socket->inbox, socket->zmq) ? 1 : 0);
  }
  zlua_socket_used(socket);
  return results;
}

/* ---- contexts ----------------------------------------------------------- */

/* [-0, +1] pushes the defaults of the context at index, a table: index of the
 * option -> value; nil if it has none. */
static void push_defaults(lua_State *L, int index) {
  zlua_getuservalue(L, index);
  lua_rawgeti(L, -1, ZLUA_CONTEXT_DEFAULTS);
  lua_remove(L, -2);
}

/* Makes the value at 3 the default for new sockets of the context at 1; nil: no
 * default. */
static int set_default(lua_State *L, const zlua_option *option) {
  if (option->access == ZLUA_OPTION_GET) {
    return fail(L, -EINVAL, option, ZLUA_OPTION_SET);
  }
  if (!lua_isnil(L, 3)) {
    setting it = {0};
    check_setting(L, "set", 3, option, &it);
  }
  push_defaults(L, 1);
  if (lua_isnil(L, -1)) {
    lua_newtable(L);
    zlua_getuservalue(L, 1);
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, ZLUA_CONTEXT_DEFAULTS);
    lua_pop(L, 1);
  }
  lua_pushvalue(L, 3);
  lua_rawseti(L, -2, (int)(option - zlua_socket_options) + 1);
  lua_pushboolean(L, 1);
  return 1;
}

/* [-0, +0] sets the defaults of the context at index on its new socket, except
 * those that the socket's type does not have. */
void zlua_apply_defaults(lua_State *L, int index, zlua_socket *socket) {
  push_defaults(L, index);
  for (int i = 0; lua_istable(L, -1) && zlua_socket_options[i].name; i++) {
    lua_rawgeti(L, -1, i + 1);
    if (!lua_isnil(L, -1)) {
      setting it = {0};
      check_setting(L, "set", lua_gettop(L), &zlua_socket_options[i], &it);
      (void)apply(socket, &zlua_socket_options[i], &it);
    }
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
}

/* Can threads of this process run on the processor? */
static bool may_run_on(int cpu) {
#ifdef __linux__
  cpu_set_t cpus;
  return cpu >= 0 && cpu < CPU_SETSIZE &&
         sched_getaffinity(0, sizeof cpus, &cpus) == 0 &&
         CPU_ISSET((size_t)cpu, &cpus);
#else
  return cpu >= 0;
#endif
}

/* Refuses values that libzmq would accept, only to abort when the first socket
 * is created. */
static int set_context_option(zlua_context *context, int number, int value) {
  int rc = zlua_context_check(context);
  if (rc < 0) {
    return rc;
  }
  if ((number == ZMQ_MAX_SOCKETS && value > MOST_SOCKETS) ||
      (number == ZMQ_IO_THREADS && value > MOST_IO_THREADS) ||
      (number == ZMQ_THREAD_AFFINITY_CPU_ADD && !may_run_on(value))) {
    return -EINVAL;
  }
  if (zmq_ctx_set(context->zmq, number, value) < 0) {
    return -zmq_errno();
  }
  if (number == ZMQ_THREAD_SCHED_POLICY) {
    context->sched_policy = value;
  } else if (number == ZMQ_THREAD_PRIORITY) {
    context->priority = value;
  }
  return 0;
}

/* The option of contexts or of sockets that argument 2 names. */
static zlua_option check_context_option(lua_State *L, const char *method,
                                        const zlua_option **for_sockets) {
  const zlua_option *found = zlua_find_option(L, 2, zlua_context_options);
  *for_sockets = found ? NULL : zlua_find_option(L, 2, zlua_socket_options);
  if (found || *for_sockets) {
    return found ? *found : **for_sockets;
  }
  if (lua_type(L, 2) != LUA_TNUMBER) {
    zlua_unknown_option(L, 2, method, zlua_context_options,
                        zlua_socket_options);
  }
  int number = (int)zlua_check_integer(L, method, 1, 2, 0, INT32_MAX);
  return (zlua_option){.name = "?", .number = number};
}

/* context:set(option, value) -> true | nil, message, name */
static int context_set(lua_State *L) {
  zlua_context *context = zlua_check_context(L, "set");
  const zlua_option *for_sockets;
  lua_settop(L, 3);
  zlua_option it = check_context_option(L, "set", &for_sockets);
  if (for_sockets) {
    return set_default(L, for_sockets);
  }
  int rc = set_context_option(context, it.number, check_int(L, "set", 3, &it));
  if (rc < 0) {
    return fail(L, rc, &it, ZLUA_OPTION_SET);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* context:get(option) -> value | nil, message, name */
static int context_get(lua_State *L) {
  const zlua_context *context = zlua_check_context(L, "get");
  const zlua_option *for_sockets;
  lua_settop(L, 2);
  zlua_option it = check_context_option(L, "get", &for_sockets);
  if (for_sockets) {
    push_defaults(L, 1);
    if (lua_istable(L, -1)) {
      lua_rawgeti(L, -1, (int)(for_sockets - zlua_socket_options) + 1);
    }
    return lua_isnil(L, -1) ? zlua_fail_at(L, -EINVAL, it.name) : 1;
  }
  int rc = zlua_context_check(context);
  int value = rc < 0 ? rc : zmq_ctx_get(context->zmq, it.number);
  if (value < 0) {
    return fail(L, rc < 0 ? rc : -zmq_errno(), &it, ZLUA_OPTION_GET);
  }
  lua_pushinteger(L, value);
  return 1;
}

/* [-0, +0] module table on the top. */
void zlua_open_option_value(lua_State *L) {
  static const luaL_Reg of_sockets[] = {
      {"set", socket_set},
      {"get", socket_get},
      {"setsockopt", socket_set},
      {"getsockopt", socket_get},
      {NULL, NULL},
  };
  static const luaL_Reg of_contexts[] = {
      {"set", context_set},
      {"get", context_get},
      {NULL, NULL},
  };
  lua_getfield(L, -1, "Socket");
  zlua_setfuncs(L, of_sockets);
  lua_getfield(L, -2, "Context");
  zlua_setfuncs(L, of_contexts);
  lua_pop(L, 2);
}
