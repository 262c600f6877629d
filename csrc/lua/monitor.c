/* monitor.c - events of a socket's connections, on a PAIR socket.
 * SPDX-License-Identifier: MIT
 *
 * libzmq sends events to its PAIR from its own threads, and blocks when it
 * cannot: with no peer or a full queue those threads stop, and with them every
 * socket of the context. So our PAIR has no high-water mark, and the two
 * sockets know each other: whichever is closed first, in whatever way, the
 * events are stopped before.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

#include "argument.h"
#include "compat.h"
#include "context.h"
#include "open.h"
#include "socket.h"
#include "socket_close.h"
#include "zmqloop.h"

enum { ADDRESS_SPACE = 80, TRIES = 100, EVENT_SIZE = 6 };

/* The address is unique, unless a libzmq socket that is still being closed has
 * it. Returns 0 or an error. */
static int begin(zlua_socket *monitored, const zlua_socket *pair, int events) {
  char address[ADDRESS_SPACE];
  int none = 0;
  int rc = -1;
  (void)zmq_setsockopt(pair->zmq, ZMQ_RCVHWM, &none, sizeof none);
  (void)zmq_setsockopt(pair->zmq, ZMQ_LINGER, &none, sizeof none);
  for (int i = 0; i < TRIES && rc < 0; i++) {
    (void)snprintf(address, sizeof address, "inproc://zmqloop.monitor-%p-%d",
                   (const void *)pair, i);
    rc = zmq_socket_monitor(monitored->zmq, address, events);
    if (rc < 0 && zmq_errno() != EADDRINUSE) {
      break;
    }
  }
  /* An event that occurs before our PAIR is connected blocks a libzmq thread,
   * which holds the monitor's lock until then. So the connect must follow at
   * once: it fails only at the end of the context, which ends that wait too, or
   * is retried. */
  while (rc == 0 && (rc = zmq_connect(pair->zmq, address)) < 0 &&
         zmq_errno() == EINTR) {
    rc = 0;
  }
  return rc < 0 ? -zmq_errno() : 0;
}

/* start_monitor(socket, PAIR socket, events, of_loop) -> true | nil, message,
 * name. A former monitor of the socket receives its last event. of_loop: only a
 * stream uses the PAIR. */
static int start_monitor(lua_State *L) {
  zlua_socket *monitored = zlua_check_socket(L, 1, "monitor", 0);
  zlua_socket *pair = zlua_check_socket(L, 2, "monitor", 1);
  int events = (int)zlua_check_integer(L, "monitor", 2, 3, 0, INT32_MAX);
  bool of_loop = lua_toboolean(L, 4);
  if (monitored->monitor) {
    zlua_unmonitor(monitored);
  }
  int rc = begin(monitored, pair, events | ZMQ_EVENT_MONITOR_STOPPED);
  zlua_socket_touch(monitored);
  if (rc < 0) {
    (void)zmq_socket_monitor(monitored->zmq, NULL, 0);
    return zlua_fail(L, rc);
  }
  monitored->monitor = pair;
  pair->monitored = monitored;
  pair->of_loop = of_loop;
  lua_settop(L, 2);
  if (of_loop) {
    lua_pushboolean(L, 0);
  }
  zlua_socket_set_monitor(L, 1, -1);
  lua_pushboolean(L, 1);
  return 1;
}

/* socket:disable_monitor() */
static int socket_disable_monitor(lua_State *L) {
  zlua_socket *monitored = zlua_check_socket(L, 1, "disable_monitor", 0);
  if (monitored->monitor) {
    zlua_unmonitor(monitored);
  }
  return 0;
}

/* monitor_socket(socket) -> the PAIR created by get_monitor_socket(), or nil */
static int monitor_socket(lua_State *L) {
  const zlua_socket *socket = zlua_check_socket(L, 1, "get_monitor_socket", 0);
  if (!socket->monitor || socket->monitor->of_loop) {
    return 0;
  }
  lua_settop(L, 1);
  zlua_push_context(L, 1);
  zlua_push_sockets(L, 2);
  zlua_push_socket(L, 3, socket->monitor);
  return 1;
}

/* parse_event(first frame) -> event, value; nothing if it is not an event */
static int parse_event(lua_State *L) {
  size_t size;
  uint16_t event;
  int32_t value;
  const char *frame = luaL_checklstring(L, 1, &size);
  if (size != EVENT_SIZE) {
    return 0;
  }
  memcpy(&event, frame, sizeof event);
  memcpy(&value, frame + sizeof event, sizeof value);
  lua_pushinteger(L, event);
  lua_pushinteger(L, value);
  return 2;
}

/* error_name(errno) -> "ECONNREFUSED" */
static int error_name(lua_State *L) {
  lua_pushstring(L, zl_errname(-(int)luaL_checkinteger(L, 1)));
  return 1;
}

/* socket_context(socket) -> context | nil, message, name */
static int socket_context(lua_State *L) {
  (void)zlua_check_socket(L, 1, "monitor", 0);
  zlua_push_context(L, 1);
  if (lua_isnil(L, -1)) {
    return zlua_fail_at(L, -ENOTSUP, "the socket is another library's");
  }
  return 1;
}

/* [-0, +0] module table on the top. */
void zlua_open_monitor(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"start_monitor", start_monitor},   {"monitor_socket", monitor_socket},
      {"parse_event", parse_event},       {"error_name", error_name},
      {"socket_context", socket_context}, {NULL, NULL},
  };
  zlua_setfuncs(L, functions);
  lua_getfield(L, -1, "Socket");
  lua_pushcfunction(L, socket_disable_monitor);
  lua_setfield(L, -2, "disable_monitor");
  lua_pop(L, 1);
}
