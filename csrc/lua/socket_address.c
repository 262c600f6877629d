/* socket_address.c - class Socket: addresses and groups.
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <string.h>
#include <zmq.h>

#include "address.h"
#include "argument.h"
#include "compat.h"
#include "hook.h"
#include "inproc.h"
#include "open.h"
#include "send_options.h"
#include "socket.h"
#include "start.h"

typedef int (*address_fn)(void *zmq, const char *address);

/* Error messages show this much of an address. */
enum { ADDRESS_SHOWN = 300 };

static int fail_at_address(lua_State *L, int rc, const char *address) {
  char shown[ADDRESS_SHOWN + 4];
  size_t length = strlen(address);
  size_t kept = length > ADDRESS_SHOWN ? ADDRESS_SHOWN : length;
  memcpy(shown, address, kept);
  memcpy(shown + kept, "...", 4);
  if (kept == length) {
    shown[kept] = '\0';
  }
  return zlua_fail_at(L, rc, shown);
}

/* While libzmq 4.3 reports a failed bind to a monitor, it loses the cause and
 * returns EAGAIN. A bind of an unmonitored socket shows the cause. */
static int cause_of_failure(const zlua_socket *socket, const char *address) {
  int ipv6 = 0;
  size_t size = sizeof ipv6;
  void *other = zmq_socket(socket->context->zmq, socket->type);
  if (!other) {
    return -zmq_errno();
  }
  (void)zmq_getsockopt(socket->zmq, ZMQ_IPV6, &ipv6, &size);
  (void)zmq_setsockopt(other, ZMQ_IPV6, &ipv6, size);
  int error = zmq_bind(other, address) < 0 ? zmq_errno() : EAGAIN;
  zlua_set_linger(other, 0);
  (void)zmq_close(other);
  return -error;
}

/* Asked whether a message is there, sockets of these types read its first
 * frame. */
static bool looks_ahead(int type) {
  return type == ZMQ_ROUTER || type == ZMQ_REP || type == ZMQ_SUB ||
         type == ZMQ_XSUB;
}

static int int_option(void *zmq, int option) {
  int value;
  (void)zlua_get_int(zmq, option, &value);
  return value;
}

/* When a connection ends after libzmq has delivered or read only part of a
 * message, libzmq still waits for the rest: it aborts the process at the next
 * receive, or reports the socket as readable for ever. */
static int check_no_message_begun(const zlua_socket *socket) {
  if (int_option(socket->zmq, ZMQ_RCVMORE)) {
    return -EFSM;
  }
  if (!looks_ahead(socket->type)) {
    return 0;
  }
  return socket->looked && (int_option(socket->zmq, ZMQ_EVENTS) & ZMQ_POLLIN)
             ? -EFSM
             : 0;
}

/* Returns 0 or an error. */
static int act_on(const zlua_socket *socket, const char *address,
                  address_fn act) {
  int rc = 0;
  if (act == zmq_disconnect) {
    if (socket->user && socket->user->disconnect) {
      return socket->user->disconnect(socket, address);
    }
    rc = check_no_message_begun(socket);
  }
  return rc == 0 && act(socket->zmq, address) < 0 ? -zmq_errno() : rc;
}

/* Returns 0 or an error; a signal handler may raise. */
static int call_with_address(lua_State *L, zlua_socket *socket,
                             const char *address, address_fn act) {
  bool ready = !socket->context || strncmp(address, "inproc:", 7) == 0;
  bool begins = act == zmq_bind || act == zmq_connect;
  if (!zlua_address_has_port(address)) {
    return -EINVAL;
  }
  int rc = ready ? zlua_socket_check_process(socket)
                 : zlua_address_start(socket->context);
  if (rc == 0 && begins) {
    rc = zlua_address_check(socket, address, act == zmq_bind);
  }
  if (rc == 0 && begins && strncmp(address, "norm:", 5) == 0) {
    socket->uses_norm = true;
  }
  zlua_name *name = NULL;
  if (rc == 0 && begins) {
    rc = zlua_inproc_begin(socket, address, act == zmq_bind, &name);
  }
  if (rc < 0) {
    return rc;
  }
  while ((rc = act_on(socket, address, act)) == -EINTR) {
    zlua_socket_touch(socket); /* the hook may raise */
    zlua_let_hooks_run(L);
  }
  if (begins) {
    zlua_inproc_began(name, rc == 0);
  } else if (rc == 0) {
    zlua_inproc_ended(socket, address);
  }
  return rc == -EAGAIN && act == zmq_bind && socket->monitor
             ? cause_of_failure(socket, address)
             : rc;
}

static int with_address(lua_State *L, const char *method, address_fn act) {
  zlua_socket *socket = zlua_check_socket(L, 1, method, 0);
  size_t length;
  if (lua_type(L, 2) != LUA_TSTRING) {
    return zlua_type_error(L, method, 1, 2, "string");
  }
  const char *address = lua_tolstring(L, 2, &length);
  int rc = strlen(address) == length
               ? call_with_address(L, socket, address, act)
               : -EINVAL;
  zlua_socket_touch(socket);
  if (rc < 0) {
    return fail_at_address(L, rc, address);
  }
  lua_pushboolean(L, 1);
  return 1;
}

static int socket_bind(lua_State *L) {
  return with_address(L, "bind", zmq_bind);
}

static int socket_connect(lua_State *L) {
  return with_address(L, "connect", zmq_connect);
}

static int socket_unbind(lua_State *L) {
  return with_address(L, "unbind", zmq_unbind);
}

static int socket_disconnect(lua_State *L) {
  return with_address(L, "disconnect", zmq_disconnect);
}

/* ---- groups -------------------------------------------------------------- */

#ifdef ZMQ_BUILD_DRAFT_API

typedef int (*group_fn)(void *zmq, const char *group);

static int with_group(lua_State *L, const char *method, group_fn act) {
  const zlua_socket *socket = zlua_check_socket(L, 1, method, 0);
  const char *group = zlua_check_group(L, method, 1, 2);
  if (socket->type != ZMQ_DISH) { /* versions of libzmq return different
                                   * errors */
    return zlua_fail_at(L, -ENOTSUP, "the type has no groups");
  }
  int rc = act(socket->zmq, group) < 0 ? -zmq_errno() : 0;
  zlua_socket_touch(socket);
  if (rc < 0) {
    return zlua_fail_at(L, rc, group);
  }
  lua_pushboolean(L, 1);
  return 1;
}

static int socket_join(lua_State *L) {
  return with_group(L, "join", zmq_join);
}

static int socket_leave(lua_State *L) {
  return with_group(L, "leave", zmq_leave);
}

#else

/* This libzmq has no socket type with groups either. */
static int without_groups(lua_State *L, const char *method) {
  (void)zlua_check_socket(L, 1, method, 0);
  (void)zlua_check_group(L, method, 1, 2);
  return zlua_fail_at(L, -ENOTSUP, "libzmq was built without drafts");
}

static int socket_join(lua_State *L) {
  return without_groups(L, "join");
}

static int socket_leave(lua_State *L) {
  return without_groups(L, "leave");
}

#endif

/* [-0, +0] module table on the top. */
void zlua_open_socket_address(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"bind", socket_bind},
      {"connect", socket_connect},
      {"unbind", socket_unbind},
      {"disconnect", socket_disconnect},
      {"join", socket_join},
      {"leave", socket_leave},
      {NULL, NULL},
  };
  lua_getfield(L, -1, "Socket");
  zlua_setfuncs(L, methods);
  lua_pop(L, 1);
}
