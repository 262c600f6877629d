/* socket_life.c - class Socket: creating, borrowing, closing.
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <zmq.h>

#include "argument.h"
#include "compat.h"
#include "constants.h"
#include "context.h"
#include "inbox.h"
#include "object.h"
#include "open.h"
#include "option_value.h"
#include "socket.h"
#include "socket_close.h"
#include "start.h"

/* [-0, +0] sockets[address] = socket */
static void enter_in_context(lua_State *L, int context, int index) {
  zlua_push_sockets(L, context);
  lua_pushlightuserdata(L, lua_touserdata(L, index));
  lua_pushvalue(L, index);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* new_socket(context, type [, class]) -> socket | nil, message, name. With a
 * class derived from Socket the object has fields of its own. */
static int new_socket(lua_State *L) {
  zlua_context *context = zlua_check_context(L, "socket");
  int type = (int)zlua_check_integer(L, "socket", 1, 2, 0, INT32_MAX);
  lua_settop(L, 3);
  zlua_socket *socket = zlua_new_object(L, &zlua_class_socket); /* 4 */
  zlua_getuservalue(L, 4);
  lua_pushvalue(L, 1);
  lua_rawseti(L, -2, ZLUA_SOCKET_CONTEXT);
  lua_pushboolean(L, 0); /* reserves the places: setting them later cannot
                          * fail */
  lua_rawseti(L, -2, ZLUA_SOCKET_USER);
  lua_pushboolean(L, 0);
  lua_rawseti(L, -2, ZLUA_SOCKET_MONITOR);
  lua_pop(L, 1);
  zlua_set_metatable_of(L, &zlua_class_socket, 3);
  enter_in_context(L, 1, 4);
  int rc = zlua_context_start(context);
  if (rc < 0) {
    return zlua_fail(L, rc);
  }
  if (!zlua_type_name(type)) {
    /* libzmq creates sockets of draft types even where it was built without
     * drafts. */
    lua_pushfstring(L, "type %d", type);
    return zlua_fail_at(L, -EINVAL, lua_tostring(L, -1));
  }
  socket->type = type;
  socket->deaf = type == ZMQ_SUB;
  socket->zmq = zmq_socket(context->zmq, type);
  if (!socket->zmq) {
    return zlua_fail(L, -zmq_errno());
  }
  zlua_socket_link(socket, context);
  zlua_set_linger(socket->zmq, ZLUA_LINGER_MS);
  zlua_apply_defaults(L, 1, socket);
  zlua_socket_changed(socket);
  return 1;
}

/* is_socket(value): is it a socket of this library? */
static int is_socket(lua_State *L) {
  lua_pushboolean(L, zlua_test_object(L, 1, &zlua_class_socket) != NULL);
  return 1;
}

/* borrow_socket(handle) -> socket | nil, message, name: wraps another library's
 * void *, which stays open when the wrapper is closed. */
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
  lua_rawseti(L, -2, ZLUA_SOCKET_USER);
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
  lua_pushlightuserdata(L, zlua_check_socket(L, 1, "handle", 0)->zmq);
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

static const luaL_Reg methods[] = {
    {"close", socket_close},
    {"closed", socket_closed},
    {"handle", socket_handle},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", socket_gc},
    {"__close", socket_scope_close},
    {"__tostring", socket_tostring},
    {NULL, NULL},
};

/* [-0, +0] module table on the top. */
void zlua_open_socket_life(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"new_socket", new_socket},
      {"borrow_socket", borrow_socket},
      {"is_socket", is_socket},
      {NULL, NULL},
  };
  zlua_new_class(L, &zlua_class_socket, methods, metamethods);
  lua_setfield(L, -2, "Socket");
  zlua_setfuncs(L, functions);
}
