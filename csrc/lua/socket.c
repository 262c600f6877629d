/* socket.c - class Socket: a zmq socket used directly.
 * SPDX-License-Identifier: MIT
 *
 * When a stream or a handler is on the socket, every operation tells it: the
 * call may have taken away the signal that the loop waits for.
 */
#define _GNU_SOURCE
#include "socket.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#include "address.h"
#include "argument.h"
#include "compat.h"
#include "constants.h"
#include "context.h"
#include "handle.h"
#include "handler.h"
#include "hook.h"
#include "inbox.h"
#include "inproc.h"
#include "message.h"
#include "monitor.h"
#include "object.h"
#include "open.h"
#include "option_value.h"
#include "outbox.h"
#include "send_options.h"
#include "start.h"
#include "stream.h"
#include "tracker.h"
#include "wait.h"
#include "zmqloop.h"

const zlua_class zlua_class_socket = {.name = "socket",
                                      .size = sizeof(zlua_socket)};

/* The uservalue. */
enum {
  SOCKET_CONTEXT = 1,
  SOCKET_USER,
  SOCKET_MONITOR,
  SOCKET_ON_CLOSED /* of zmqloop's own: fn(socket) is called after a close */
};

/* What a socket made here lingers unless told otherwise, and at most when it is
 * collected: no exit takes longer. */
enum { LINGER_MS = 1000 };

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

static zlua_socket *check_self(lua_State *L, const char *method) {
  return zlua_check_socket(L, 1, method, 0);
}

void zlua_socket_used(const zlua_socket *socket) {
  if (socket->stream) {
    zlua_stream_used(socket->stream);
  } else if (socket->handler) {
    zlua_handler_used(socket->handler);
  }
}

void zlua_socket_touch(const zlua_socket *socket) {
  if (socket->stream) {
    zlua_stream_touch(socket->stream);
  } else if (socket->handler) {
    zlua_handler_touch(socket->handler);
  }
}

/* A longer frame makes the thread of libzmq's context spin for ever
 * (zeromq/libzmq#3501). */
enum { NORM_LONGEST = 2038 };

/* Is it one that the socket's transports carry? Returns 0 or an error. */
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
static void set_field(lua_State *L, int index, int field, int value_index) {
  value_index = zlua_absindex(L, value_index);
  zlua_getuservalue(L, index);
  lua_pushvalue(L, value_index);
  lua_rawseti(L, -2, field);
  lua_pop(L, 1);
}

/* [-0, +0] the stream or handler at user_index is on the socket at index. */
void zlua_socket_set_user(lua_State *L, int index, int user_index) {
  set_field(L, index, SOCKET_USER, user_index);
}

/* [-0, +0] the socket at index keeps its monitor. */
void zlua_socket_set_monitor(lua_State *L, int index, int monitor_index) {
  set_field(L, index, SOCKET_MONITOR, monitor_index);
}

/* [-0, +1] pushes the context of the socket at index. */
void zlua_push_context(lua_State *L, int index) {
  zlua_getuservalue(L, index);
  lua_rawgeti(L, -1, SOCKET_CONTEXT);
  lua_remove(L, -2);
}

/* ---- life -------------------------------------------------------------------
 */

static void link_to_context(zlua_socket *socket, zlua_context *context) {
  context->home->guests += context->home == context ? 0 : 1;
  socket->context = context;
  socket->here = context->here;
  socket->next = context->sockets;
  if (context->sockets) {
    context->sockets->previous = socket;
  }
  context->sockets = socket;
}

static void unlink_from_context(zlua_socket *socket) {
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

/* [-0, +1] pushes the table of the sockets of the context. */
void zlua_push_sockets(lua_State *L, int context_index) {
  zlua_getuservalue(L, context_index);
  lua_rawgeti(L, -1, ZLUA_CONTEXT_SOCKETS);
  lua_remove(L, -2);
}

/* [-0, +1] pushes the socket, or nil if it is about to be collected; the
 * sockets of its context are at index. */
void zlua_push_socket(lua_State *L, int index, const zlua_socket *socket) {
  lua_pushlightuserdata(L, (void *)(size_t)socket);
  lua_rawget(L, index);
}

/* [-0, +0] sockets[address] = socket */
static void enter_in_context(lua_State *L, int context, int index) {
  zlua_push_sockets(L, context);
  lua_pushlightuserdata(L, lua_touserdata(L, index));
  lua_pushvalue(L, index);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

static int get_linger(void *zmq) {
  int linger = -1;
  size_t size = sizeof linger;
  (void)zmq_getsockopt(zmq, ZMQ_LINGER, &linger, &size);
  return linger;
}

static void set_linger(void *zmq, int linger) {
  (void)zmq_setsockopt(zmq, ZMQ_LINGER, &linger, sizeof linger);
}

/* libzmq forgets the linger of connections that the socket has not yet come to
 * know of, by a command of zmq_connect() to itself: close right after connect
 * and send would lose the messages. Asking for events processes commands. */
static void settle(void *zmq) {
  int events;
  size_t size = sizeof events;
  (void)zmq_getsockopt(zmq, ZMQ_EVENTS, &events, &size);
}

/* Closes the zmq socket, unless it is another library's. In a forked child it
 * is the parent's. */
static void close_zmq(zlua_socket *socket) {
  void *zmq = socket->zmq;
  zlua_context *context = socket->context;
  zlua_monitor_stop(socket);
  socket->zmq = NULL;
  zlua_inbox_close(&socket->inbox);
  zlua_outbox_close(&socket->outbox);
  zlua_outbox_close(&socket->begun);
  if (!context) {
    return;
  }
  unlink_from_context(socket);
  zlua_inproc_forget(socket);
  if (context->pid == getpid()) {
    context->home->lingers = context->home->lingers || get_linger(zmq) != 0;
    settle(zmq);
    (void)zmq_close(zmq);
  }
}

/* Closes the zmq socket, nothing being on it any more. linger is in
 * milliseconds, or NULL for what the socket has. */
void zlua_socket_shut(zlua_socket *socket, const int *linger) {
  if (linger && socket->context) {
    set_linger(socket->zmq, *linger);
  }
  close_zmq(socket);
}

/* [-0, +0] the socket at index was closed: tells who waits for it. That only
 * queues callbacks; short of memory nobody is told. */
void zlua_socket_tell_closed(lua_State *L, int index) {
  index = zlua_absindex(L, index);
  zlua_getuservalue(L, index);
  lua_rawgeti(L, -1, SOCKET_ON_CLOSED);
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
  set_field(L, 1, SOCKET_ON_CLOSED, 2);
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
  lua_rawgeti(L, -1, SOCKET_USER);
  if (socket->stream) {
    (void)zlua_stream_close(L, lua_gettop(L), linger);
  } else {
    if (socket->handler) {
      zlua_handler_close(L, lua_gettop(L));
    }
    zlua_socket_shut(socket, linger);
    zlua_socket_tell_closed(L, index);
  }
  lua_pop(L, 2);
}

/* Without Lua, for finalizers: never blocks, and lingers a bounded time. */
void zlua_socket_drop(zlua_socket *socket) {
  int linger = socket->context ? get_linger(socket->zmq) : 0;
  if (linger < 0 || linger > LINGER_MS) {
    set_linger(socket->zmq, LINGER_MS);
  }
  if (socket->stream) {
    zlua_stream_detach((zlua_handle *)(void *)socket->stream);
  }
  if (socket->handler) {
    zlua_handler_detach((zlua_handle *)(void *)socket->handler);
  }
  close_zmq(socket);
}

/* new_socket(context, type [, class]) -> socket | nil, message, name; of a
 * class derived from Socket it has fields of its own. */
static int new_socket(lua_State *L) {
  zlua_context *context = zlua_check_context(L, "socket");
  int type = (int)zlua_check_integer(L, "socket", 1, 2, 0, INT32_MAX);
  lua_settop(L, 3);
  zlua_socket *socket = zlua_new_object(L, &zlua_class_socket); /* 4 */
  zlua_getuservalue(L, 4);
  lua_pushvalue(L, 1);
  lua_rawseti(L, -2, SOCKET_CONTEXT);
  lua_pushboolean(L, 0); /* the places: setting them later cannot fail */
  lua_rawseti(L, -2, SOCKET_USER);
  lua_pushboolean(L, 0);
  lua_rawseti(L, -2, SOCKET_MONITOR);
  lua_pop(L, 1);
  zlua_set_metatable_of(L, &zlua_class_socket, 3);
  enter_in_context(L, 1, 4);
  int rc = zlua_context_start(context);
  if (rc < 0) {
    return zlua_fail(L, rc);
  }
  if (!zlua_type_name(type)) {
    /* libzmq makes those of its drafts also where it was built without them. */
    lua_pushfstring(L, "type %d", type);
    return zlua_fail_at(L, -EINVAL, lua_tostring(L, -1));
  }
  socket->type = type;
  socket->deaf = type == ZMQ_SUB;
  socket->zmq = zmq_socket(context->zmq, type);
  if (!socket->zmq) {
    return zlua_fail(L, -zmq_errno());
  }
  link_to_context(socket, context);
  set_linger(socket->zmq, LINGER_MS);
  zlua_apply_defaults(L, 1, socket);
  zlua_socket_changed(socket);
  return 1;
}

/* is_socket(value): is it a socket made here? */
static int is_socket(lua_State *L) {
  lua_pushboolean(L, zlua_test_object(L, 1, &zlua_class_socket) != NULL);
  return 1;
}

/* borrow_socket(handle) -> socket | nil, message, name: another library's, by
 * its void *; closing this one leaves that one open. */
static int borrow_socket(lua_State *L) {
  size_t size = sizeof(int);
  int type;
  luaL_checktype(L, 1, LUA_TLIGHTUSERDATA);
  void *zmq = lua_touserdata(L, 1);
  if (zmq_getsockopt(zmq, ZMQ_TYPE, &type, &size) < 0) {
    return zlua_fail(L, -zmq_errno());
  }
  zlua_socket *socket = zlua_new_object(L, &zlua_class_socket);
  zlua_getuservalue(L, -1);
  lua_pushboolean(L, 0);
  lua_rawseti(L, -2, SOCKET_USER);
  lua_pop(L, 1);
  zlua_set_metatable(L, &zlua_class_socket);
  socket->type = type;
  socket->zmq = zmq;
  socket->here = &zlua_here;
  socket->looked = true;
  zlua_socket_changed(socket);
  return 1;
}

/* close([linger]) */
static int socket_close(lua_State *L) {
  int linger = 0;
  (void)zlua_check_self(L, &zlua_class_socket, "close");
  bool has_linger = !lua_isnoneornil(L, 2);
  if (has_linger) {
    linger = (int)zlua_check_integer(L, "close", 1, 2, -1, INT32_MAX);
  }
  zlua_socket_close(L, 1, has_linger ? &linger : NULL);
  return 0;
}

static int socket_scope_close(lua_State *L) {
  zlua_socket_close(L, 1, NULL);
  return 0;
}

static int socket_gc(lua_State *L) {
  zlua_socket *socket = zlua_test_object(L, 1, &zlua_class_socket);
  if (socket && socket->zmq) {
    zlua_socket_drop(socket);
  }
  if (socket) {
    socket->inbox.pushing = false;
    zlua_inbox_close(&socket->inbox);
  }
  return 0;
}

static int socket_closed(lua_State *L) {
  const zlua_socket *socket = zlua_check_self(L, &zlua_class_socket, "closed");
  lua_pushboolean(L, socket->zmq == NULL);
  return 1;
}

/* handle() -> the void * of libzmq as light userdata */
static int socket_handle(lua_State *L) {
  lua_pushlightuserdata(L, check_self(L, "handle")->zmq);
  return 1;
}

static int socket_tostring(lua_State *L) {
  const zlua_socket *socket =
      zlua_check_self(L, &zlua_class_socket, "tostring");
  const char *type = zlua_type_name(socket->type);
  lua_pushfstring(L, "zmq.Socket (%s, %s): %p", type ? type : "?",
                  socket->zmq ? "open" : "closed", (const void *)socket);
  return 1;
}

/* ---- addresses ---------------------------------------------------------- */

typedef int (*address_fn)(void *zmq, const char *address);

/* A message names so much of an address. */
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

/* While it tells a monitor that a bind has failed, libzmq 4.3 forgets why, and
 * answers EAGAIN. An unmonitored socket learns the cause. */
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
  set_linger(other, 0);
  (void)zmq_close(other);
  return -error;
}

/* Asked whether a message is there, these read its first frame. */
static bool looks_ahead(int type) {
  return type == ZMQ_ROUTER || type == ZMQ_REP || type == ZMQ_SUB ||
         type == ZMQ_XSUB;
}

/* In a forked child libzmq fails with EINTR for ever in every call that
 * processes commands. Returns 0, or -ECHILD there. */
int zlua_socket_check_process(const zlua_socket *socket) {
  return socket->context && socket->context->pid != getpid() ? -ECHILD : 0;
}

/* Reads an option; *value is 0 on failure. Returns 0 or an error. */
static int get_option(void *zmq, int option, int *value) {
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

static int get_int(void *zmq, int option) {
  int value;
  (void)get_option(zmq, option, &value);
  return value;
}

/* When a connection ends of whose message libzmq has handed out or looked at a
 * part only, it still waits for the rest: it aborts the process at the next
 * receive, or says for ever that the socket is readable. */
static int check_no_message_begun(const zlua_socket *socket) {
  if (get_int(socket->zmq, ZMQ_RCVMORE)) {
    return -EFSM;
  }
  if (!looks_ahead(socket->type)) {
    return 0;
  }
  if (socket->stream) {
    return zlua_stream_receive_ahead(socket->stream);
  }
  return socket->looked && (get_int(socket->zmq, ZMQ_EVENTS) & ZMQ_POLLIN)
             ? -EFSM
             : 0;
}

/* Returns 0 or an error; may raise when a signal's handler wants it. */
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
  if (rc == 0 && act == zmq_disconnect) {
    rc = check_no_message_begun(socket);
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
  while ((rc = act(socket->zmq, address)) < 0 && zmq_errno() == EINTR) {
    zlua_socket_touch(socket); /* the hook may raise */
    zlua_let_hooks_run(L);
  }
  int error = rc < 0 ? -zmq_errno() : 0;
  if (begins) {
    zlua_inproc_began(name, error == 0);
  } else if (error == 0) {
    zlua_inproc_ended(socket, address);
  }
  return error == -EAGAIN && act == zmq_bind && socket->monitor
             ? cause_of_failure(socket, address)
             : error;
}

static int with_address(lua_State *L, const char *method, address_fn act) {
  zlua_socket *socket = check_self(L, method);
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

/* ---- groups ---------------------------------------------------------------
 */

#ifdef ZMQ_BUILD_DRAFT_API

typedef int (*group_fn)(void *zmq, const char *group);

static int with_group(lua_State *L, const char *method, group_fn act) {
  const zlua_socket *socket = check_self(L, method);
  const char *group = zlua_check_group(L, method, 1, 2);
  if (socket->type != ZMQ_DISH) { /* libzmqs differ in what they say */
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

/* The type that has groups is not in this libzmq either. */
static int without_groups(lua_State *L, const char *method) {
  (void)check_self(L, method);
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

/* ---- signals --------------------------------------------------------------
 *
 * A call that a signal interrupts is made again, after the host's handler has
 * had the occasion to raise; its time does not start anew. */

/* A send or receive, as a signal interrupts it. */
typedef struct attempt {
  int flags;
  int option; /* ZMQ_SNDTIMEO or ZMQ_RCVTIMEO */
  short events;
  int64_t started_ns;
} attempt;

static attempt begin(int flags, int option) {
  return (attempt){
      .flags = flags,
      .option = option,
      .events = option == ZMQ_SNDTIMEO ? ZMQ_POLLOUT : ZMQ_POLLIN,
      .started_ns = flags & ZMQ_DONTWAIT ? 0 : zlua_monotonic_ns(),
  };
}

/* After a receive or send that may have changed readiness silently. */
static void after_operation(const zlua_socket *socket) {
  if (socket->type == ZMQ_REP || socket->type == ZMQ_REQ) {
    zlua_socket_touch(socket);
  } else {
    zlua_socket_used(socket);
  }
}

/* After EINTR: waits for what is left of the socket's time; what then is not
 * ready is EAGAIN. Returns 0, -ENOTSOCK if the signal's handler has closed the
 * socket, or -ECHILD. */
static int prepare_again(lua_State *L, const zlua_socket *socket, attempt *it) {
  int timeout = -1;
  size_t size = sizeof timeout;
  int rc = zlua_socket_check_process(socket);
  if (rc < 0) {
    return rc;
  }
  after_operation(socket); /* the hook may raise */
  zlua_let_hooks_run(L);
  if (!socket->zmq) {
    return -ENOTSOCK;
  }
  (void)zmq_getsockopt(socket->zmq, it->option, &timeout, &size);
  if (timeout >= 0 && !(it->flags & ZMQ_DONTWAIT)) {
    zmq_pollitem_t item = {.socket = socket->zmq, .events = it->events};
    (void)zlua_poll_until(L, &item, 1,
                          zlua_deadline_ns(it->started_ns, timeout));
    it->flags |= ZMQ_DONTWAIT;
  }
  return socket->zmq ? 0 : -ENOTSOCK;
}

/* ---- messages ----------------------------------------------------------- */

/* [-0, +n] a number of flags or a table of options at 3 */
static zlua_send_options check_send_options(lua_State *L, const char *method) {
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

/* A socket that conflates keeps one frame: of a message of several its peer
 * would get what libzmq aborts on. */
static bool may_send(const zlua_socket *socket, int flags) {
  return !(flags & ZMQ_SNDMORE) || !socket->inbox.single;
}

/* For a DGRAM without a bind or connect libzmq takes the frame, fails, and
 * aborts when it releases that. So this waits until it can send. Returns 0 or
 * an error; may raise. */
static int wait_for_dgram(lua_State *L, const zlua_socket *socket,
                          const attempt *it) {
  int timeout = 0;
  size_t size = sizeof timeout;
  zmq_pollitem_t item = {.socket = socket->zmq, .events = ZMQ_POLLOUT};
  if (!(it->flags & ZMQ_DONTWAIT)) {
    (void)zmq_getsockopt(socket->zmq, ZMQ_SNDTIMEO, &timeout, &size);
  }
  int rc = zlua_poll(L, &item, 1, timeout);
  return rc == 0 ? -EAGAIN : rc < 0 ? rc : 0;
}

/* Checks before the first attempt. Returns 0 or an error; may raise. */
static int before_send(lua_State *L, const zlua_socket *socket,
                       const attempt *it) {
  if (!may_send(socket, it->flags)) {
    return -ENOTSUP;
  }
  if (!*socket->here) {
    return -ECHILD;
  }
  return socket->type == ZLUA_DGRAM ? wait_for_dgram(L, socket, it) : 0;
}

/* Sends the string at index. Returns 0 or an error; may raise when a signal's
 * handler wants it. */
static int send_string(lua_State *L, zlua_socket *socket, int index,
                       int flags) {
  size_t size;
  const char *data = lua_tolstring(L, index, &size);
  attempt it = begin(flags, ZMQ_SNDTIMEO);
  int error = before_send(L, socket, &it);
  while (error == 0 && zmq_send(socket->zmq, data, size, it.flags) < 0) {
    error = zmq_errno() == EINTR ? prepare_again(L, socket, &it) : -zmq_errno();
  }
  if (error == 0) {
    socket->sends = (flags & ZMQ_SNDMORE) != 0;
  }
  after_operation(socket);
  return error;
}

/* Sends the message, which is left empty. */
static int send_frame(lua_State *L, zlua_socket *socket, zmq_msg_t *message,
                      int flags) {
  attempt it = begin(flags, ZMQ_SNDTIMEO);
  int error = before_send(L, socket, &it);
  while (error == 0 && zmq_msg_send(message, socket->zmq, it.flags) < 0) {
    error = zmq_errno() == EINTR ? prepare_again(L, socket, &it) : -zmq_errno();
  }
  if (error == 0) {
    socket->sends = (flags & ZMQ_SNDMORE) != 0;
  }
  after_operation(socket);
  return error;
}

static int flags_of(int flags, size_t i, size_t count) {
  return i < count ? flags | ZMQ_SNDMORE : flags;
}

/* A peer that went away after the first frames of a message takes them along,
 * and in the types that balance load libzmq drops what follows up to the end of
 * the message: then nothing was sent. Where it may block it does so itself. */
static void abandon_message(const zlua_socket *socket, bool more) {
  bool balances = socket->type == ZMQ_PUSH || socket->type == ZMQ_DEALER ||
                  socket->type == ZMQ_REQ;
  if (more && balances) {
    (void)zmq_send(socket->zmq, "", 0, ZMQ_DONTWAIT);
  }
}

/* All frames are made before the first is sent: if memory ran out in between,
 * the first ones would stay in the socket. */
static int send_messages(lua_State *L, zlua_socket *socket, size_t count,
                         const zlua_send_options *options) {
  zlua_outbox *outbox = &socket->outbox;
  int rc = zlua_outbox_fill(L, outbox, 2, count, options);
  for (size_t i = 1; i <= count && rc == 0; i++) {
    rc = send_frame(L, socket, &outbox->frames[i - 1],
                    flags_of(options->flags, i, count));
    if (rc == -EAGAIN && i > 1) {
      abandon_message(socket, i < count);
    }
  }
  zlua_outbox_clear(outbox);
  return rc;
}

/* ---- messages that are sent part by part ------------------------------------
 *
 * libzmq cannot take back a message that was begun, and whatever is sent next
 * belongs to it. So where others may send meanwhile, as tasks and a stream can,
 * the parts are kept here until the last one and then sent at once. */

/* In a STREAM every two parts are a message, whatever the flags say. */
static bool ends_message(const zlua_socket *socket, int flags) {
  return !(flags & ZMQ_SNDMORE) ||
         (socket->type == ZMQ_STREAM && socket->begun.count >= 2);
}

/* Could the socket send the first part now? Some types know only when they are
 * given a message: then the last part fails. */
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
  error = get_option(socket->zmq, ZMQ_EVENTS, &events);
  socket->looked = true;
  zlua_socket_used(socket);
  if (error < 0 || (events & ZMQ_POLLOUT)) {
    return error;
  }
  return socket->type == ZMQ_REP           ? -EFSM
         : waits && (flags & ZMQ_DONTWAIT) ? -EAGAIN
                                           : 0;
}

/* Sends copies, which share the bytes: after EAGAIN the message is still whole.
 */
static int send_begun(lua_State *L, zlua_socket *socket, int flags) {
  size_t count = socket->begun.count;
  int rc = 0;
  for (size_t i = 1; i <= count && rc == 0; i++) {
    zmq_msg_t copy;
    (void)zmq_msg_init(&copy);
    rc = zmq_msg_copy(&copy, &socket->begun.frames[i - 1]) < 0
             ? -ENOMEM
             : send_frame(L, socket, &copy, flags_of(flags, i, count));
    if (rc < 0) {
      (void)zmq_msg_close(&copy);
    }
    if (rc == -EAGAIN && i > 1) {
      abandon_message(socket, i < count);
    }
  }
  return rc;
}

/* Keeps the part, or list of `count` parts, at 2, and sends the message if it
 * is the last. If that fails with EAGAIN the part is dropped, to be given
 * again; any other error drops the message. */
static int send_part(lua_State *L, zlua_socket *socket, size_t count,
                     const zlua_send_options *options) {
  zlua_outbox *begun = &socket->begun;
  size_t before = begun->count;
  bool begins = before == 0 && (options->flags & ZMQ_SNDMORE);
  int rc = begins ? may_begin(socket, options->flags) : 0;
  if (rc == 0) {
    rc = zlua_outbox_append(L, begun, 2, count, options);
  }
  if (rc == 0 && ends_message(socket, options->flags)) {
    rc = send_begun(L, socket, options->flags);
    zlua_outbox_cut(begun, rc == -EAGAIN ? before : 0);
  }
  return rc;
}

/* Does a send with these flags belong to a message that is kept here? */
static bool is_part(const zlua_socket *socket, int flags, bool is_task) {
  return socket->begun.count > 0 ||
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
  zlua_send_options options = check_send_options(L, method);
  if (options.track) {
    options.tracking = zlua_new_tracker(L);
  } else {
    lua_pushboolean(L, 1);
  }
  int answer = lua_gettop(L);
  if (is_part(socket, options.flags, is_task)) {
    rc = send_part(L, socket, message.count, &options);
  } else if (lua_type(L, 2) != LUA_TSTRING || zlua_needs_message(&options)) {
    rc = send_messages(L, socket, message.count, &options);
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
  zlua_socket *socket = check_self(L, "send");
  return send(L, socket, "send", zlua_check_part(L, "send", 2), false);
}

/* send_multipart(list [, flags | options]): all frames are checked before any
 * is sent. */
static int socket_send_multipart(lua_State *L) {
  zlua_socket *socket = check_self(L, "send_multipart");
  zlua_message message = zlua_check_message(L, "send_multipart", 2);
  return send(L, socket, "send_multipart", message, false);
}

/* send_part(socket, data | frame | list [, flags | options]): as send() and
 * send_multipart(), for tasks: others may send before the message ends. */
static int socket_send_part(lua_State *L) {
  zlua_socket *socket = check_self(L, "send");
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
  lua_pushboolean(L, socket->begun.count > 0);
  lua_pushboolean(L, zlua_inbox_more(&socket->inbox, socket->zmq));
  return 2;
}

/* abandon_message(socket) -> how many parts of the begun message were dropped
 */
static int abandon_begun(lua_State *L) {
  zlua_socket *socket = zlua_check_socket(L, 1, "abandon_message", 1);
  lua_pushinteger(L, (lua_Integer)socket->begun.count);
  zlua_outbox_clear(&socket->begun);
  return 1;
}

/* Nobody can subscribe while the thread waits in libzmq. */
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

/* Are the socket's frames becoming Lua's further down on this stack? Then a
 * finalizer runs in the middle of that. An error leaves the mark behind. */
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
    return -EAGAIN; /* what is here is somebody's already */
  }
  attempt it = begin(flags, ZMQ_RCVTIMEO);
  int rc;
  if (socket->deaf) {
    check_hears(L, socket, flags);
  }
  /* A stream would take the parts left in libzmq for a message. */
  whole = whole || socket->stream;
  do {
    rc = zlua_inbox_fill(&socket->inbox, socket->zmq, it.flags, whole);
  } while (rc == -EINTR && (rc = prepare_again(L, socket, &it)) == 0);
  /* A handler's loop looks whenever it likes, and so does another library. */
  socket->looked = socket->handler || !socket->context;
  after_operation(socket);
  return rc;
}

/* recv_part(socket [, flags [, copy]]) -> one frame, whether more follow */
static int socket_recv_part(lua_State *L) {
  zlua_socket *socket = check_self(L, "recv");
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
  after_operation(socket);
  return 0;
}

/* recv_multipart([flags [, copy]]) -> list of frames */
static int socket_recv_multipart(lua_State *L) {
  zlua_socket *socket = check_self(L, "recv_multipart");
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

/* poll([milliseconds [, events]]) -> zmq.POLLIN, zmq.POLLOUT, their sum or 0 */
static int socket_poll(lua_State *L) {
  zlua_socket *socket = check_self(L, "poll");
  int64_t timeout = zlua_check_timeout(L, "poll", 1, 2);
  short events = lua_isnoneornil(L, 3)
                     ? ZMQ_POLLIN
                     : zlua_check_poll_events(L, "poll", 2, 3);
  zmq_pollitem_t item = {.socket = socket->zmq, .events = events};
  int rc = zlua_socket_check_process(socket);
  if (rc < 0) {
    return zlua_fail(L, rc);
  }
  socket->looked = true;
  zlua_socket_used(socket); /* before what may raise */
  rc = zlua_poll(L, &item, 1, timeout);
  zlua_socket_used(socket); /* a hook may have run the loop */
  if (rc < 0) {
    return zlua_fail(L, rc);
  }
  lua_pushinteger(L, item.revents);
  return 1;
}

/* ---- opening
 * ---------------------------------------------------------------------------
 */

static const luaL_Reg methods[] = {
    {"bind", socket_bind},
    {"connect", socket_connect},
    {"unbind", socket_unbind},
    {"disconnect", socket_disconnect},
    {"join", socket_join},
    {"leave", socket_leave},
    {"send", socket_send},
    {"send_multipart", socket_send_multipart},
    {"recv", socket_recv},
    {"recv_multipart", socket_recv_multipart},
    {"poll", socket_poll},
    {"set", zlua_socket_set},
    {"get", zlua_socket_get},
    {"setsockopt", zlua_socket_set},
    {"getsockopt", zlua_socket_get},
    {"close", socket_close},
    {"closed", socket_closed},
    {"handle", socket_handle},
    {"disable_monitor", zlua_socket_disable_monitor},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", socket_gc},
    {"__close", socket_scope_close},
    {"__tostring", socket_tostring},
    {NULL, NULL},
};

/* [-0, +0] module table on the top. */
void zlua_open_socket(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"on_socket_closed", on_socket_closed},
      {"new_socket", new_socket},
      {"borrow_socket", borrow_socket},
      {"is_socket", is_socket},
      {"send_part", socket_send_part},
      {"recv_part", socket_recv_part},
      {"message_begun", message_begun},
      {"abandon_message", abandon_begun},
      {"skip_message", skip_message},
      {NULL, NULL},
  };
  zlua_new_class(L, &zlua_class_socket, methods, metamethods);
  lua_setfield(L, -2, "Socket");
  zlua_setfuncs(L, functions);
}
