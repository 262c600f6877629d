/* poller.c - waiting for one or more sockets and descriptors.
 * SPDX-License-Identifier: MIT
 */
#include <zmq.h>

#include "argument.h"
#include "compat.h"
#include "handler.h"
#include "object.h"
#include "open.h"
#include "socket.h"
#include "wait.h"

/* An entry of a poller: {registered object, events, descriptor; nil for a
 * socket}. */
enum { ENTRY_OBJECT = 1, ENTRY_EVENTS, ENTRY_NUMBER };

/* [-0, +0] the entry is on the top. Users can change the list of entries, so
 * everything is checked. Returns 0, or an error if the entry cannot be polled
 * in this process. */
static int read_entry(lua_State *L, zmq_pollitem_t *item) {
  int rc = 0;
  int entry = lua_gettop(L);
  if (!lua_istable(L, entry)) {
    zlua_argument_error(L, "poll", 1, "not an entry of poll_entry()");
  }
  lua_rawgeti(L, entry, ENTRY_EVENTS);
  *item = (zmq_pollitem_t){.events = zlua_check_poll_events(L, "poll", 1, -1)};
  lua_rawgeti(L, entry, ENTRY_NUMBER);
  if (lua_isnil(L, -1)) {
    lua_rawgeti(L, entry, ENTRY_OBJECT);
    const zlua_socket *socket = zlua_check_socket(L, -1, "poll", 1);
    item->socket = socket->zmq;
    rc = zlua_socket_check_process(socket);
  } else {
    item->fd = (int)zlua_check_integer(L, "poll", 1, -1, 0, INT32_MAX);
  }
  lua_settop(L, entry);
  return rc;
}

/* [-0, +0] notes that libzmq was called on those entries at 1 that are
 * sockets. */
static void note_use(lua_State *L, int count) {
  for (int i = 1; i <= count; i++) {
    lua_rawgeti(L, 1, i);
    if (lua_istable(L, -1)) { /* a hook may have changed the list */
      lua_rawgeti(L, -1, ENTRY_OBJECT);
      zlua_socket *socket = zlua_test_object(L, -1, &zlua_class_socket);
      if (socket && socket->zmq) {
        socket->looked = true;
        zlua_socket_used(socket);
      }
      lua_pop(L, 1);
    }
    lua_pop(L, 1);
  }
}

/* [-0, +1] pushes {object, events} of the entry on the top. */
static void push_ready(lua_State *L, int events) {
  lua_createtable(L, 2, 0);
  lua_rawgeti(L, -2, ENTRY_OBJECT);
  lua_rawseti(L, -2, 1);
  lua_pushinteger(L, events);
  lua_rawseti(L, -2, 2);
}

/* poll_items(entries, milliseconds) -> list of {object, events} | nil, message,
 * name */
static int poll_items(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  int64_t timeout = zlua_check_timeout(L, "poll", 1, 2);
  int count = (int)zlua_rawlen(L, 1);
  int ready = 0;
  int rc = 0;
  lua_settop(L, 1);
  zmq_pollitem_t *items =
      lua_newuserdata(L, ((size_t)count + 1) * sizeof *items);
  for (int i = 0; i < count && rc == 0; i++) {
    lua_rawgeti(L, 1, i + 1);
    rc = read_entry(L, &items[i]);
    lua_pop(L, 1);
  }
  if (rc < 0) {
    return zlua_fail(L, rc);
  }
  note_use(L, count); /* before anything that may raise */
  rc = zlua_poll(L, items, count, timeout);
  note_use(L, count); /* a hook may have run the loop */
  lua_newtable(L);    /* 3: the result */
  for (int i = 0; i < count; i++) {
    lua_rawgeti(L, 1, i + 1);
    if (rc > 0 && items[i].revents && lua_istable(L, -1)) {
      push_ready(L, items[i].revents);
      lua_rawseti(L, 3, ++ready);
    }
    lua_settop(L, 3);
  }
  return rc < 0 ? zlua_fail(L, rc) : 1;
}

/* poll_entry(method, object, events) -> {object, events, descriptor} */
static int poll_entry(lua_State *L) {
  const char *method = luaL_checkstring(L, 1);
  bool is_socket = zlua_test_object(L, 2, &zlua_class_socket) != NULL;
  int events = ZMQ_POLLIN | ZMQ_POLLOUT;
  lua_settop(L, 3);
  if (!lua_isnil(L, 3)) {
    events = zlua_check_poll_events(L, method, 2, 3);
  }
  lua_createtable(L, ENTRY_NUMBER, 0);
  lua_pushvalue(L, 2);
  lua_rawseti(L, -2, ENTRY_OBJECT);
  lua_pushinteger(L, events);
  lua_rawseti(L, -2, ENTRY_EVENTS);
  if (is_socket) {
    (void)zlua_check_socket(L, 2, method, 1);
  } else {
    lua_pushinteger(L, zlua_check_descriptor(L, method, 2));
    lua_rawseti(L, -2, ENTRY_NUMBER);
  }
  return 1;
}

/* poll([milliseconds [, events]]) -> zmq.POLLIN, zmq.POLLOUT, their sum or 0 */
static int socket_poll(lua_State *L) {
  zlua_socket *socket = zlua_check_socket(L, 1, "poll", 0);
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
  zlua_socket_used(socket); /* before anything that may raise */
  rc = zlua_poll(L, &item, 1, timeout);
  zlua_socket_used(socket); /* a hook may have run the loop */
  if (rc < 0) {
    return zlua_fail(L, rc);
  }
  lua_pushinteger(L, item.revents);
  return 1;
}

/* [-0, +0] module table on the top. */
void zlua_open_poller(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"poll_items", poll_items},
      {"poll_entry", poll_entry},
      {NULL, NULL},
  };
  zlua_setfuncs(L, functions);
  lua_getfield(L, -1, "Socket");
  lua_pushcfunction(L, socket_poll);
  lua_setfield(L, -2, "poll");
  lua_pop(L, 1);
}
