/* socket.c - sockets, as used by other files.
 * SPDX-License-Identifier: MIT
 *
 * If the socket has a stream or a handler, every operation notifies it: the
 * call may have consumed the signal that the loop waits for.
 */
#define _GNU_SOURCE
#include "socket.h"

#include <errno.h>
#include <unistd.h>
#include <zmq.h>

#include "argument.h"
#include "compat.h"
#include "context.h"
#include "message.h"
#include "object.h"
#include "zmqloop_batch.h"

const zlua_class zlua_class_socket = {.name = "socket",
                                      .size = sizeof(zlua_socket)};

/* The open socket at index, which is the argument, or self (argument 0). */
zlua_socket *zlua_check_socket(lua_State *L, int index, const char *method,
                               int argument) {
  zlua_socket *socket = zlua_test_object(L, index, &zlua_class_socket);
  if (!socket && argument > 0) {
    zlua_type_error(L, method, argument, index, "zmq socket");
    return NULL; /* it has raised */
  }
  if (!socket) {
    socket = zlua_check_self(L, &zlua_class_socket, method);
  }
  if (!socket->zmq) {
    zlua_error(L, "socket is closed");
  }
  return socket;
}

void zlua_socket_used(const zlua_socket *socket) {
  if (socket->user) {
    socket->user->used(socket);
  }
}

void zlua_socket_touch(const zlua_socket *socket) {
  if (socket->user) {
    socket->user->touch(socket);
  }
}

/* A longer frame makes libzmq's thread spin for ever (zeromq/libzmq#3501). */
enum { NORM_LONGEST = 2038 };

/* Can the socket's transports carry the message? Returns 0 or an error. */
int zlua_socket_check_message(const zlua_socket *socket,
                              const zlua_message *message) {
  return socket->uses_norm && message->longest > NORM_LONGEST ? -EMSGSIZE : 0;
}

/* An option of the socket was set. */
void zlua_socket_changed(zlua_socket *socket) {
  socket->inbox.single = zl_socket_conflates(socket->zmq) != 0;
  zlua_socket_touch(socket);
}

/* [-0, +0] uservalue[field] = the value at value_index, for the socket at
 * index. The place exists: this cannot fail. */
void zlua_socket_set_field(lua_State *L, int index, int field,
                           int value_index) {
  value_index = zlua_absindex(L, value_index);
  zlua_getuservalue(L, index);
  lua_pushvalue(L, value_index);
  lua_rawseti(L, -2, field);
  lua_pop(L, 1);
}

/* [-0, +0] notes that the stream or handler at user_index uses the socket at
 * index. */
void zlua_socket_set_user(lua_State *L, int index, int user_index) {
  zlua_socket_set_field(L, index, ZLUA_SOCKET_USER, user_index);
}

/* [-0, +0] the socket at index keeps its monitor alive. */
void zlua_socket_set_monitor(lua_State *L, int index, int monitor_index) {
  zlua_socket_set_field(L, index, ZLUA_SOCKET_MONITOR, monitor_index);
}

/* [-0, +1] pushes the context of the socket at index. */
void zlua_push_context(lua_State *L, int index) {
  zlua_getuservalue(L, index);
  lua_rawgeti(L, -1, ZLUA_SOCKET_CONTEXT);
  lua_remove(L, -2);
}

/* Adds the socket to the context's list. */
void zlua_socket_link(zlua_socket *socket, zlua_context *context) {
  context->home->guests += context->home == context ? 0 : 1;
  socket->context = context;
  socket->here = context->here;
  socket->next = context->sockets;
  if (context->sockets) {
    context->sockets->previous = socket;
  }
  context->sockets = socket;
}

/* Removes it again. */
void zlua_socket_unlink(zlua_socket *socket) {
  zlua_context *home = socket->context->home;
  home->guests -= home == socket->context ? 0 : 1;
  if (socket->previous) {
    socket->previous->next = socket->next;
  } else {
    socket->context->sockets = socket->next;
  }
  if (socket->next) {
    socket->next->previous = socket->previous;
  }
  socket->previous = NULL;
  socket->next = NULL;
  socket->here = &zlua_here;
}

/* Milliseconds; -1: for ever. */
int zlua_get_linger(void *zmq) {
  int linger = -1;
  size_t size = sizeof linger;
  (void)zmq_getsockopt(zmq, ZMQ_LINGER, &linger, &size);
  return linger;
}

void zlua_set_linger(void *zmq, int linger) {
  (void)zmq_setsockopt(zmq, ZMQ_LINGER, &linger, sizeof linger);
}

/* In a forked child libzmq fails with EINTR for ever in every call that
 * processes commands. Returns 0, or -ECHILD there. */
int zlua_socket_check_process(const zlua_socket *socket) {
  return socket->context && socket->context->pid != getpid() ? -ECHILD : 0;
}

/* Reads an option; *value is 0 on failure. Returns 0 or an error. */
int zlua_get_int(void *zmq, int option, int *value) {
  size_t size = sizeof *value;
  int rc;
  do {
    rc = zmq_getsockopt(zmq, option, value, &size);
  } while (rc < 0 && zmq_errno() == EINTR);
  if (rc < 0) {
    *value = 0;
  }
  return rc < 0 ? -zmq_errno() : 0;
}
