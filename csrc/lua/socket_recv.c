/* socket_recv.c - class Socket: receiving.
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <zmq.h>

#include "argument.h"
#include "attempt.h"
#include "compat.h"
#include "inbox.h"
#include "open.h"
#include "send_options.h"
#include "socket.h"

/* Nothing can subscribe while the thread waits in libzmq. */
static void check_hears(lua_State *L, const zlua_socket *socket, int flags) {
  int timeout = -1;
  size_t size = sizeof timeout;
  (void)zmq_getsockopt(socket->zmq, ZMQ_RCVTIMEO, &timeout, &size);
  if (!(flags & ZMQ_DONTWAIT) && timeout < 0) {
    zlua_error(L, "this SUB has no subscription and would wait for ever; "
                  "socket:subscribe(\"\") takes all messages");
  }
}

static int socket_recv_part(lua_State *L);

static int socket_recv(lua_State *L);

static int socket_recv_multipart(lua_State *L);

/* Are the socket's frames being converted further down this stack? Then a
 * finalizer is running in the middle of that. An error leaves the mark
 * behind. */
static bool is_pushing(lua_State *L, zlua_socket *socket) {
  lua_Debug where;
  for (int level = 1; socket->inbox.pushing && lua_getstack(L, level, &where);
       level++) {
    (void)lua_getinfo(L, "f", &where);
    lua_CFunction function = lua_tocfunction(L, -1);
    lua_pop(L, 1);
    if (function == socket_recv_part || function == socket_recv ||
        function == socket_recv_multipart) {
      return true;
    }
  }
  socket->inbox.pushing = false;
  return false;
}

static int fill(lua_State *L, zlua_socket *socket, int flags, bool whole) {
  if (socket->inbox.pushing && is_pushing(L, socket)) {
    return -EAGAIN; /* the frames held here are already being converted */
  }
  zlua_attempt it = zlua_begin_attempt(flags, ZMQ_RCVTIMEO);
  int rc;
  if (socket->deaf) {
    check_hears(L, socket, flags);
  }
  /* A stream would take the parts left in libzmq for a message of their own. */
  whole = whole || socket->stream;
  do {
    rc = zlua_inbox_fill(&socket->inbox, socket->zmq, it.flags, whole);
  } while (rc == -EINTR && (rc = zlua_attempt_again(L, socket, &it)) == 0);
  /* A handler's loop may check at any time, and so may another library. */
  socket->looked = socket->handler || !socket->context;
  zlua_after_operation(socket);
  return rc;
}

/* recv_part(socket [, flags [, copy]]) -> one frame, whether more follow */
static int socket_recv_part(lua_State *L) {
  zlua_socket *socket = zlua_check_socket(L, 1, "recv", 0);
  lua_settop(L, 3);
  bool copy = zlua_check_copy(L, "recv", 2, 3);
  int rc = fill(L, socket, zlua_check_flags(L, "recv", 1, 2), false);
  if (rc < 0) {
    return zlua_fail(L, rc);
  }
  zlua_inbox_push_first(L, &socket->inbox, copy);
  lua_pushboolean(L, socket->inbox.more);
  return 2;
}

/* recv([flags [, copy]]) -> one frame */
static int socket_recv(lua_State *L) {
  int results = socket_recv_part(L);
  if (results == 2) {
    lua_pop(L, 1);
    return 1;
  }
  return results;
}

/* skip_message(socket): discards the rest of the message that was begun */
static int skip_message(lua_State *L) {
  zlua_socket *socket = zlua_check_socket(L, 1, "skip_message", 1);
  if (!socket->inbox.pushing || !is_pushing(L, socket)) {
    zlua_inbox_skip(&socket->inbox, socket->zmq);
  }
  zlua_after_operation(socket);
  return 0;
}

/* recv_multipart([flags [, copy]]) -> list of frames */
static int socket_recv_multipart(lua_State *L) {
  zlua_socket *socket = zlua_check_socket(L, 1, "recv_multipart", 0);
  lua_settop(L, 3);
  bool copy = zlua_check_copy(L, "recv_multipart", 2, 3);
  int flags = zlua_check_flags(L, "recv_multipart", 1, 2);
  int rc = fill(L, socket, flags, true);
  if (rc < 0) {
    return zlua_fail(L, rc);
  }
  zlua_inbox_push_list(L, &socket->inbox, copy);
  return 1;
}

/* [-0, +0] module table on the top. */
void zlua_open_socket_recv(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"recv", socket_recv},
      {"recv_multipart", socket_recv_multipart},
      {NULL, NULL},
  };
  static const luaL_Reg functions[] = {
      {"recv_part", socket_recv_part},
      {"skip_message", skip_message},
      {NULL, NULL},
  };
  zlua_setfuncs(L, functions);
  lua_getfield(L, -1, "Socket");
  zlua_setfuncs(L, methods);
  lua_pop(L, 1);
}
