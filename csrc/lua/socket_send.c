/* socket_send.c - class Socket: sending.
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <zmq.h>

#include "argument.h"
#include "attempt.h"
#include "compat.h"
#include "constants.h"
#include "inbox.h"
#include "message.h"
#include "open.h"
#include "outgoing.h"
#include "send_options.h"
#include "socket.h"
#include "tracker.h"
#include "wait.h"

/* [-0, +n] reads a number of flags or a table of options at 3 */
static zlua_send_options socket_check_send_options(lua_State *L,
                                                   const char *method) {
  static const char *const names[] = {"flags",      "copy",  "track",
                                      "routing_id", "group", NULL};
  zlua_send_options options = {0};
  if (lua_istable(L, 3)) {
    zlua_check_options(L, method, 2, 3, names);
    zlua_read_send_options(L, method, 2, 3, &options);
  } else {
    options.flags = zlua_check_flags(L, method, 2, 3);
  }
  return options;
}

/* A socket that conflates keeps one frame: from a multipart message its peer
 * would get a part on which libzmq aborts. */
static bool may_send(const zlua_socket *socket, int flags) {
  return !(flags & ZMQ_SNDMORE) || !socket->inbox.single;
}

/* For a DGRAM without a bind or connect libzmq takes the frame, fails, and
 * aborts when it releases that. So this waits until it can send. Returns 0 or
 * an error; may raise. */
static int wait_for_dgram(lua_State *L, const zlua_socket *socket,
                          const zlua_attempt *it) {
  int timeout = 0;
  size_t size = sizeof timeout;
  zmq_pollitem_t item = {.socket = socket->zmq, .events = ZMQ_POLLOUT};
  if (!(it->flags & ZMQ_DONTWAIT)) {
    (void)zmq_getsockopt(socket->zmq, ZMQ_SNDTIMEO, &timeout, &size);
  }
  int rc = zlua_poll(L, &item, 1, timeout);
  return rc == 0 ? -EAGAIN : rc < 0 ? rc : 0;
}

/* Checks made before the first attempt. Returns 0 or an error; may raise. */
static int before_send(lua_State *L, const zlua_socket *socket,
                       const zlua_attempt *it) {
  if (!may_send(socket, it->flags)) {
    return -ENOTSUP;
  }
  if (!*socket->here) {
    return -ECHILD;
  }
  return socket->type == ZLUA_DGRAM ? wait_for_dgram(L, socket, it) : 0;
}

/* Sends the string at index. Returns 0 or an error; a signal handler may
 * raise. */
static int send_string(lua_State *L, zlua_socket *socket, int index,
                       int flags) {
  size_t size;
  const char *data = lua_tolstring(L, index, &size);
  zlua_attempt it = zlua_begin_attempt(flags, ZMQ_SNDTIMEO);
  int error = before_send(L, socket, &it);
  while (error == 0 && zmq_send(socket->zmq, data, size, it.flags) < 0) {
    error = zmq_errno() == EINTR ? zlua_attempt_again(L, socket, &it)
                                 : -zmq_errno();
  }
  if (error == 0) {
    zlua_outgoing_pass(&socket->outgoing, flags);
  }
  zlua_after_operation(socket);
  return error;
}

/* Sends the i-th frame, from 0, of the message that is being sent, and leaves
 * it empty. Looked up each time: a signal handler may send, which moves it. */
static int socket_send_frame(lua_State *L, zlua_socket *socket, size_t i,
                             int flags) {
  zlua_frames *whole = &socket->outgoing.whole;
  zlua_attempt it = zlua_begin_attempt(flags, ZMQ_SNDTIMEO);
  int error = before_send(L, socket, &it);
  while (error == 0 &&
         zmq_msg_send(&whole->frames[i], socket->zmq, it.flags) < 0) {
    error = zmq_errno() == EINTR ? zlua_attempt_again(L, socket, &it)
                                 : -zmq_errno();
  }
  if (error == 0) {
    zlua_outgoing_pass(&socket->outgoing, flags);
  }
  zlua_after_operation(socket);
  return error;
}

static int flags_of(int flags, size_t i, size_t count) {
  return i < count ? flags | ZMQ_SNDMORE : flags;
}

/* If the peer goes away after the first frames of a message, they are lost, and
 * in the types that balance load libzmq drops the following ones up to the end
 * of the message: nothing was sent. A blocking send does this itself. */
static void abandon_message(const zlua_socket *socket, bool more) {
  bool balances = socket->type == ZMQ_PUSH || socket->type == ZMQ_DEALER ||
                  socket->type == ZMQ_REQ;
  if (more && balances) {
    (void)zmq_send(socket->zmq, "", 0, ZMQ_DONTWAIT);
  }
}

/* Sends the `count` frames that `whole` was filled with. */
static int send_whole(lua_State *L, zlua_socket *socket, size_t count,
                      int flags) {
  int rc = 0;
  for (size_t i = 1; i <= count && rc == 0; i++) {
    rc = socket_send_frame(L, socket, i - 1, flags_of(flags, i, count));
    if (rc == -EAGAIN && i > 1) {
      abandon_message(socket, i < count);
    }
  }
  return rc;
}

/* All frames are created before the first is sent: if memory ran out in
 * between, the first ones would stay in the socket. */
static int socket_send_messages(lua_State *L, zlua_socket *socket, size_t count,
                                const zlua_send_options *options) {
  zlua_outgoing *outgoing = &socket->outgoing;
  int rc = zlua_outgoing_fill(L, outgoing, 2, count, options);
  if (rc == 0) {
    rc = send_whole(L, socket, count, options->flags);
  }
  zlua_outgoing_cut(outgoing, 0);
  return rc;
}

/* ---- messages that are sent part by part ------------------------------------
 *
 * libzmq cannot cancel a message that was begun, and whatever is sent next
 * becomes part of it. So where other code may send meanwhile, as tasks and a
 * stream can, the parts are kept here until the last one and then sent at
 * once. */

/* On a STREAM every two parts are a message, whatever the flags say. */
static bool ends_message(const zlua_socket *socket, int flags) {
  return !(flags & ZMQ_SNDMORE) ||
         (socket->type == ZMQ_STREAM && socket->outgoing.kept.count >= 2);
}

/* Could the socket send the first part now? Some types can tell only when they
 * are given a message: then the last part fails. */
static int may_begin(zlua_socket *socket, int flags) {
  bool waits = socket->type == ZMQ_PUSH || socket->type == ZMQ_DEALER ||
               socket->type == ZMQ_PAIR;
  int events;
  if (!may_send(socket, flags)) {
    return -ENOTSUP;
  }
  int error = zlua_socket_check_process(socket);
  if (error < 0) {
    return error;
  }
  error = zlua_get_int(socket->zmq, ZMQ_EVENTS, &events);
  socket->looked = true;
  zlua_socket_used(socket);
  if (error < 0 || (events & ZMQ_POLLOUT)) {
    return error;
  }
  return socket->type == ZMQ_REP           ? -EFSM
         : waits && (flags & ZMQ_DONTWAIT) ? -EAGAIN
                                           : 0;
}

/* Sends copies: after EAGAIN the message is still whole. */
static int send_kept(lua_State *L, zlua_socket *socket, int flags) {
  zlua_outgoing *outgoing = &socket->outgoing;
  int rc = zlua_outgoing_complete(outgoing);
  if (rc == 0) {
    rc = send_whole(L, socket, outgoing->kept.count, flags);
  }
  zlua_outgoing_cut(outgoing, 0);
  return rc;
}

/* Keeps the part, or list of `count` parts, at 2, and sends the message if it
 * is the last. If that fails with EAGAIN the part is dropped and can be sent
 * again; any other error drops the message. */
static int send_part(lua_State *L, zlua_socket *socket, size_t count,
                     const zlua_send_options *options) {
  zlua_outgoing *outgoing = &socket->outgoing;
  size_t before = outgoing->kept.count;
  bool begins = before == 0 && (options->flags & ZMQ_SNDMORE);
  int rc = begins ? may_begin(socket, options->flags) : 0;
  if (rc == 0) {
    rc = zlua_outgoing_keep(L, outgoing, 2, count, options);
  }
  if (rc == 0 && ends_message(socket, options->flags)) {
    rc = send_kept(L, socket, options->flags);
    zlua_outgoing_cut_kept(outgoing, rc == -EAGAIN ? before : 0);
  }
  return rc;
}

/* Does a send with these flags belong to a message that is kept here? */
static bool is_part(const zlua_socket *socket, int flags, bool is_task) {
  return zlua_outgoing_keeps(&socket->outgoing) ||
         ((flags & ZMQ_SNDMORE) && (is_task || socket->stream));
}

/* [-0, +n] sends the part or list at 2 with the options at 3. */
static int send(lua_State *L, zlua_socket *socket, const char *method,
                zlua_message message, bool is_task) {
  int rc = zlua_socket_check_message(socket, &message);
  if (rc < 0) {
    return zlua_fail(L, rc);
  }
  lua_settop(L, 3);
  zlua_send_options options = socket_check_send_options(L, method);
  if (options.track) {
    options.tracking = zlua_new_tracker(L);
  } else {
    lua_pushboolean(L, 1);
  }
  int answer = lua_gettop(L);
  if (is_part(socket, options.flags, is_task)) {
    rc = send_part(L, socket, message.count, &options);
  } else if (lua_type(L, 2) != LUA_TSTRING || zlua_needs_message(&options)) {
    rc = socket_send_messages(L, socket, message.count, &options);
  } else {
    rc = send_string(L, socket, 2, options.flags);
  }
  if (rc < 0) {
    return zlua_fail_send(L, rc, &options);
  }
  lua_settop(L, answer);
  return 1;
}

/* send(data | frame [, flags | options]) -> true or a tracker */
static int socket_send(lua_State *L) {
  zlua_socket *socket = zlua_check_socket(L, 1, "send", 0);
  return send(L, socket, "send", zlua_check_part(L, "send", 2), false);
}

/* send_multipart(list [, flags | options]): all frames are checked before any
 * is sent. */
static int socket_send_multipart(lua_State *L) {
  zlua_socket *socket = zlua_check_socket(L, 1, "send_multipart", 0);
  zlua_message message = zlua_check_message(L, "send_multipart", 2);
  return send(L, socket, "send_multipart", message, false);
}

/* send_part(socket, data | frame | list [, flags | options]): like send() and
 * send_multipart(), for tasks: other code may send before the message ends. */
static int socket_send_part(lua_State *L) {
  zlua_socket *socket = zlua_check_socket(L, 1, "send", 0);
  bool is_list = lua_istable(L, 2);
  const char *method = is_list ? "send_multipart" : "send";
  zlua_message message = is_list ? zlua_check_message(L, method, 2)
                                 : zlua_check_part(L, method, 2);
  return send(L, socket, method, message, true);
}

/* message_begun(socket) -> whether the last part sent, and whether the last
 * part received, is in the middle of its message */
static int message_begun(lua_State *L) {
  const zlua_socket *socket = zlua_check_socket(L, 1, "message_begun", 1);
  lua_pushboolean(L, zlua_outgoing_keeps(&socket->outgoing));
  lua_pushboolean(L, zlua_inbox_more(&socket->inbox, socket->zmq));
  return 2;
}

/* abandon_message(socket) -> how many parts of the begun message were dropped
 */
static int abandon_begun(lua_State *L) {
  zlua_socket *socket = zlua_check_socket(L, 1, "abandon_message", 1);
  lua_pushinteger(L, (lua_Integer)socket->outgoing.kept.count);
  zlua_outgoing_cut_kept(&socket->outgoing, 0);
  return 1;
}

/* [-0, +0] module table on the top. */
void zlua_open_socket_send(lua_State *L) {
  static const luaL_Reg methods[] = {
      {"send", socket_send},
      {"send_multipart", socket_send_multipart},
      {NULL, NULL},
  };
  static const luaL_Reg functions[] = {
      {"send_part", socket_send_part},
      {"message_begun", message_begun},
      {"abandon_message", abandon_begun},
      {NULL, NULL},
  };
  zlua_setfuncs(L, functions);
  lua_getfield(L, -1, "Socket");
  zlua_setfuncs(L, methods);
  lua_pop(L, 1);
}
