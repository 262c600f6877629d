/* socket_close.c - the three ways to close a socket.
 * SPDX-License-Identifier: MIT
 *
 * zlua_socket_close() closes a socket for its user, with its stream or handler.
 * zlua_socket_shut() closes one that has neither any more. zlua_socket_drop()
 * does so without Lua, for finalizers.
 */
#include "socket_close.h"

#include <unistd.h>
#include <zmq.h>

#include "compat.h"
#include "context.h"
#include "inbox.h"
#include "inproc.h"
#include "object.h"
#include "open.h"
#include "outgoing.h"
#include "socket.h"

/* libzmq ignores the linger for new connections until it has processed the
 * command that zmq_connect() sends to its own socket: a close right after
 * connect and send would lose the messages. Reading the events processes
 * commands. */
static void socket_settle(void *zmq) {
  int events;
  size_t size = sizeof events;
  (void)zmq_getsockopt(zmq, ZMQ_EVENTS, &events, &size);
}

/* Ends the events of a monitored socket. The last one on the PAIR is then
 * ZMQ_EVENT_MONITOR_STOPPED. In a forked child the sockets are the parent's. */
void zlua_unmonitor(zlua_socket *monitored) {
  if (zlua_socket_check_process(monitored) == 0) {
    (void)zmq_socket_monitor(monitored->zmq, NULL, 0);
  }
  monitored->monitor->monitored = NULL;
  monitored->monitor = NULL;
}

/* The socket is about to be closed; it may be monitored, a monitor, or
 * neither. */
static void end_monitoring(zlua_socket *socket) {
  if (socket->monitor) {
    zlua_unmonitor(socket);
  }
  if (socket->monitored) {
    zlua_unmonitor(socket->monitored);
  }
}

/* Closes the zmq socket, unless it belongs to another library or, in a forked
 * child, to the parent. */
static void close_zmq(zlua_socket *socket) {
  void *zmq = socket->zmq;
  zlua_context *context = socket->context;
  end_monitoring(socket);
  socket->zmq = NULL;
  zlua_inbox_close(&socket->inbox);
  zlua_outgoing_close(&socket->outgoing);
  if (!context) {
    return;
  }
  zlua_socket_unlink(socket);
  zlua_inproc_forget(socket);
  if (context->pid == getpid()) {
    context->home->lingers =
        context->home->lingers || zlua_get_linger(zmq) != 0;
    socket_settle(zmq);
    (void)zmq_close(zmq);
  }
}

/* Closes the zmq socket, which has no stream or handler any more. linger is in
 * milliseconds; NULL: as set on the socket. */
void zlua_socket_shut(zlua_socket *socket, const int *linger) {
  if (linger && socket->context) {
    zlua_set_linger(socket->zmq, *linger);
  }
  close_zmq(socket);
}

/* [-0, +0] notifies those that wait for the socket at index, which was closed.
 * This only queues callbacks; when out of memory it does nothing. */
void zlua_socket_tell_closed(lua_State *L, int index) {
  index = zlua_absindex(L, index);
  zlua_getuservalue(L, index);
  lua_rawgeti(L, -1, ZLUA_SOCKET_ON_CLOSED);
  lua_remove(L, -2);
  if (!lua_isnil(L, -1)) {
    lua_pushvalue(L, index);
    (void)lua_pcall(L, 1, 1, 0);
  }
  lua_pop(L, 1);
}

/* on_socket_closed(socket, fn | nil) */
static int on_socket_closed(lua_State *L) {
  (void)zlua_check_socket(L, 1, "on_socket_closed", 1);
  lua_settop(L, 2);
  zlua_socket_set_field(L, 1, ZLUA_SOCKET_ON_CLOSED, 2);
  return 0;
}

/* [-0, +0] closes the socket at index, with the stream or handler on it. Silent
 * if it is closed already. */
void zlua_socket_close(lua_State *L, int index, const int *linger) {
  zlua_socket *socket = zlua_test_object(L, index, &zlua_class_socket);
  if (!socket || !socket->zmq) {
    return;
  }
  zlua_getuservalue(L, index);
  lua_rawgeti(L, -1, ZLUA_SOCKET_USER);
  if (socket->user) {
    socket->user->close(L, lua_gettop(L), linger);
  }
  if (socket->zmq) {
    zlua_socket_shut(socket, linger);
    zlua_socket_tell_closed(L, index);
  }
  lua_pop(L, 2);
}

/* Closes without Lua, for finalizers: never blocks, and lingers for a bounded
 * time. */
void zlua_socket_drop(zlua_socket *socket) {
  int linger = socket->context ? zlua_get_linger(socket->zmq) : 0;
  if (linger < 0 || linger > ZLUA_LINGER_MS) {
    zlua_set_linger(socket->zmq, ZLUA_LINGER_MS);
  }
  if (socket->user) {
    socket->user->detach(socket);
  }
  close_zmq(socket);
}

/* [-0, +0] module table on the top. */
void zlua_open_socket_close(lua_State *L) {
  lua_pushcfunction(L, on_socket_closed);
  lua_setfield(L, -2, "on_socket_closed");
}
