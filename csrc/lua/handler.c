/* handler.c - add_handler(): callbacks for ready descriptors and sockets.
 * SPDX-License-Identifier: MIT
 *
 * A handler is registered under both the descriptor's number and the object
 * passed to add_handler(), so that either removes it, even an object that can
 * no longer tell its number.
 */
#include "handler.h"

#include <errno.h>
#include <lualib.h>
#include <stdio.h>

#include "argument.h"
#include "call.h"
#include "compat.h"
#include "handle.h"
#include "loop.h"
#include "object.h"
#include "open.h"
#include "report.h"
#include "slot.h"
#include "socket.h"
#include "zmqloop.h"

struct zlua_handler {
  zlua_handle handle;
  zl_fd *fd;        /* of a descriptor, or NULL */
  zl_socket *watch; /* of a zmq socket, or NULL */
  zlua_socket *socket;
  int number;     /* the descriptor's */
  int events;     /* asked for */
  bool suspended; /* its callback has yielded */
};

enum { HANDLER_LOOP = 1, HANDLER_OBJECT, HANDLER_CALLBACK };

const zlua_class zlua_class_handler = {.name = "handler",
                                       .size = sizeof(zlua_handler)};

void zlua_handler_detach(zlua_handle *handle) {
  zlua_handler *handler = (zlua_handler *)handle;
  zl_fd_close(handler->fd);
  zl_socket_close(handler->watch);
  handler->fd = NULL;
  handler->watch = NULL;
  handle->anchor = 0;
  if (handler->socket) {
    handler->socket->handler = NULL;
    handler->socket->user = NULL;
    handler->socket = NULL;
  }
  zlua_unlink(handle);
}

/* ---- what can be registered ---------------------------------------------- */

/* The number of a Lua file's descriptor, or -1 if it is closed. */
static int number_of_file(lua_State *L, int index) {
#if LUA_VERSION_NUM >= 502
  const luaL_Stream *stream = lua_touserdata(L, index);
  return stream->closef ? fileno(stream->f) : -1;
#else
  FILE *const *file = lua_touserdata(L, index);
  return *file ? fileno(*file) : -1;
#endif
}

static bool is_file(lua_State *L, int index) {
  bool same = false;
  if (lua_type(L, index) == LUA_TUSERDATA && lua_getmetatable(L, index)) {
    luaL_getmetatable(L, LUA_FILEHANDLE);
    same = lua_rawequal(L, -1, -2) != 0;
    lua_pop(L, 2);
  }
  return same;
}

/* [-0, +1] pushes the first method of the object that gives a number; returns
 * false, and pushes nothing, if it has none. */
static bool push_number_method(lua_State *L, int index) {
  static const char *const names[] = {"fileno", "getfd", "pollfd"};
  bool indexable = lua_istable(L, index);
  if (!indexable && luaL_getmetafield(L, index, "__index")) {
    lua_pop(L, 1);
    indexable = lua_type(L, index) == LUA_TUSERDATA;
  }
  for (size_t i = 0; indexable && i < sizeof names / sizeof *names; i++) {
    lua_getfield(L, index, names[i]);
    if (zlua_is_callable(L, -1)) {
      return true;
    }
    lua_pop(L, 1);
  }
  return false;
}

/* The descriptor number that a method returned; -1: not a descriptor. */
static int64_t number_at(lua_State *L, int index) {
  return zlua_isinteger(L, index) ? zlua_toint64(L, index) : -1;
}

/* The descriptor that the argument at index stands for. */
int zlua_check_descriptor(lua_State *L, const char *method, int index) {
  int64_t number;
  if (lua_type(L, index) == LUA_TNUMBER) {
    return (int)zlua_check_integer(L, method, 1, index, 0, INT32_MAX);
  }
  if (is_file(L, index)) {
    number = number_of_file(L, index);
  } else if (push_number_method(L, index)) {
    lua_pushvalue(L, index);
    lua_call(L, 1, 1);
    number = number_at(L, -1);
    if (number > INT32_MAX) {
      zlua_argument_error(L, method, 1, "descriptor out of range");
    }
    lua_pop(L, 1);
  } else {
    bool is_loop = zlua_test_object(L, index, &zlua_class_loop) != NULL;
    return zlua_type_error(
        L, method, 1, index,
        is_loop
            ? "loop:pollable(), or zmqloop.integrate.ioloop for its timers too,"
            : "descriptor, socket or object with fileno, getfd or pollfd");
  }
  if (number < 0) {
    zlua_argument_error(L, method, 1, "object has no descriptor: closed?");
  }
  return (int)number;
}

/* [-0, +1] pushes the table of the loop's handlers. */
static void push_handlers(lua_State *L, int loop_index) {
  zlua_getuservalue(L, loop_index);
  lua_rawgeti(L, -1, ZLUA_LOOP_HANDLERS);
  lua_remove(L, -2);
}

/* [-0, +1] pushes the handler registered for the value at index, or nil. May
 * call a method of the object to get its number. */
static zlua_handler *push_handler(lua_State *L, const char *method, int index) {
  push_handlers(L, 1);
  lua_pushvalue(L, index);
  lua_rawget(L, -2);
  if (lua_isnil(L, -1) && lua_type(L, index) != LUA_TNUMBER &&
      !zlua_test_object(L, index, &zlua_class_socket)) {
    lua_pop(L, 1);
    lua_rawgeti(L, -1, zlua_check_descriptor(L, method, index));
  }
  lua_remove(L, -2);
  return zlua_test_object(L, -1, &zlua_class_handler);
}

/* ---- calls -------------------------------------------------------------- */

typedef struct event {
  zlua_handler *handler;
  int events;
} event;

/* Keeps the handler alive during the call: the callback may remove it and then
 * wait. */
static void on_event(zlua_handler *handler, int events) {
  event it = {.handler = handler, .events = events};
  zlua_loop *loop = handler->handle.loop;
  lua_rawgeti(loop->L, loop->slots + ZLUA_SLOT_ACTIVE, handler->handle.anchor);
  (void)zlua_call(loop, ZLUA_SLOT_CALL_HANDLER, &it);
  lua_pop(loop->L, 1);
}

static void on_fd(zl_fd *fd, int events, void *arg) {
  (void)fd;
  on_event(arg, events);
}

static void on_socket(zl_socket *watch, int events, void *arg) {
  (void)watch;
  on_event(arg, events);
}

static bool is_open(const zlua_handler *handler) {
  return handler->fd || handler->watch;
}

/* (active, state, event, loop): fn(what was registered, events) */
static int handler_next_call(lua_State *L, void *handle) {
  const event *it = handle;
  if (!is_open(it->handler)) { /* a finalizer or hook has just removed it */
    return 0;
  }
  lua_rawgeti(L, 1, it->handler->handle.anchor); /* 5 */
  zlua_getuservalue(L, 5);                       /* 6 */
  lua_rawgeti(L, 6, HANDLER_CALLBACK);           /* 7 */
  zlua_calling(L, 2, 7);
  lua_rawgeti(L, 6, HANDLER_OBJECT);
  lua_pushinteger(L, it->events);
  return 3;
}

static int set_suspended(zlua_handler *handler, bool suspended) {
  handler->suspended = suspended;
  return handler->fd ? zl_fd_pause(handler->fd, suspended)
                     : zl_socket_update(handler->watch,
                                        suspended ? 0 : handler->events);
}

/* [-0, +1] pushes the handler being called, because its call yields. Until the
 * call has ended there is no other one: data that it has not read yet would
 * trigger it again and again. */
static int handler_suspend(lua_State *L, const void *handle) {
  zlua_handler *handler = ((const event *)handle)->handler;
  const zlua_loop *loop = handler->handle.loop;
  if (!is_open(handler)) {
    return 0;
  }
  lua_pushvalue(loop->L, loop->slots + ZLUA_SLOT_ACTIVE);
  lua_xmove(loop->L, L, 1);
  lua_rawgeti(L, -1, handler->handle.anchor);
  (void)set_suspended(handler, true);
  return 1;
}

/* [-0, +0] the call of the handler at 1 has ended: resumes its watch. If the
 * descriptor was closed meanwhile the watch reports nothing more, as if the
 * callback had not waited. Any other failure raises, as an error of the
 * callback; update_handler() can try again. */
static void handler_resume(lua_State *L) {
  zlua_handler *handler =
      zlua_check_self(L, &zlua_class_handler, "resume_call");
  int rc = is_open(handler) && handler->suspended
               ? set_suspended(handler, false)
               : 0;
  if (rc < 0 && rc != -EBADF && rc != -ECHILD) {
    luaL_error(L, "%s: %s (descriptor %d is not watched any more)",
               zl_errname(rc), zl_strerror(rc), handler->number);
  }
}

/* ---- registration ------------------------------------------------------- */

/* [-0, +0] handlers[key] = value, of the loop at loop_index. */
static void set_handler(lua_State *L, int loop_index, int key_index,
                        int value_index) {
  key_index = zlua_absindex(L, key_index);
  value_index = zlua_absindex(L, value_index);
  push_handlers(L, loop_index);
  lua_pushvalue(L, key_index);
  lua_pushvalue(L, value_index);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* [-0, +0] handlers[key] = nil if it is the value at value_index: a number that
 * was closed behind the loop's back may belong to another handler by now. */
static void clear_key(lua_State *L, int loop_index, int key_index,
                      int value_index) {
  key_index = zlua_absindex(L, key_index);
  value_index = zlua_absindex(L, value_index);
  push_handlers(L, loop_index);
  lua_pushvalue(L, key_index);
  lua_rawget(L, -2);
  if (lua_rawequal(L, -1, value_index)) {
    lua_pushvalue(L, key_index);
    lua_pushnil(L);
    lua_rawset(L, -4);
  }
  lua_pop(L, 2);
}

/* [-0, +0] removes the handler at index from the loop and its tables. Closing
 * the core handle comes first: it cannot fail. */
static void unregister(lua_State *L, int index, zlua_handler *handler) {
  if (!handler->handle.loop) {
    return;
  }
  bool has_number = handler->fd != NULL;
  int anchor = handler->handle.anchor;
  int top = lua_gettop(L);
  index = zlua_absindex(L, index);
  zlua_handler_detach(&handler->handle);
  handler->handle.anchor = anchor;
  zlua_getuservalue(L, index);
  lua_rawgeti(L, -1, HANDLER_LOOP);
  int loop = top + 2;
  lua_rawgeti(L, -2, HANDLER_OBJECT);
  clear_key(L, loop, -1, index);
  if (has_number) {
    lua_pushinteger(L, handler->number);
    clear_key(L, loop, -1, index);
  }
  zlua_push_active(L, loop);
  zlua_unanchor(L, &handler->handle, lua_gettop(L));
  lua_settop(L, top);
}

/* ---- for a socket -------------------------------------------------------- */

static void handler_socket_used(const zlua_socket *socket) {
  zl_socket_used(socket->handler->watch);
}

static void handler_socket_touch(const zlua_socket *socket) {
  zl_socket_touch(socket->handler->watch);
}

static void handler_detach_socket(zlua_socket *socket) {
  zlua_handler_detach(&socket->handler->handle);
}

static void close_handler(lua_State *L, int index, const int *linger) {
  (void)linger;
  unregister(L, index, zlua_test_object(L, index, &zlua_class_handler));
}

static const zlua_socket_user socket_user = {
    .used = handler_socket_used,
    .touch = handler_socket_touch,
    .detach = handler_detach_socket,
    .close = close_handler,
};

/* [-0, +0] opens the core handle of the handler at index for the object at 2.
 * Returns 0 or an error. */
static int open_core(lua_State *L, zlua_loop *loop, zlua_handler *handler,
                     int events) {
  zlua_socket *socket = zlua_test_object(L, 2, &zlua_class_socket);
  if (!socket) {
    return zl_fd_new(loop->core, handler->number, events, on_fd, handler,
                     &handler->fd);
  }
  int rc = zl_socket_new(loop->core, socket->zmq, events, 0, on_socket, handler,
                         &handler->watch);
  if (rc == 0) {
    socket->handler = handler;
    socket->user = &socket_user;
    socket->looked = true;
    handler->socket = socket;
  }
  return rc;
}

/* [-0, +1] pushes a new handler, at rest, for the loop at 1, the object at 2
 * and the function at 3. */
static zlua_handler *push_new_handler(lua_State *L) {
  zlua_handler *handler = zlua_new_object(L, &zlua_class_handler);
  zlua_getuservalue(L, -1);
  lua_pushvalue(L, 1);
  lua_rawseti(L, -2, HANDLER_LOOP);
  lua_pushvalue(L, 2);
  lua_rawseti(L, -2, HANDLER_OBJECT);
  lua_pushvalue(L, 3);
  lua_rawseti(L, -2, HANDLER_CALLBACK);
  lua_pop(L, 1);
  zlua_set_metatable(L, &zlua_class_handler);
  return handler;
}

/* [-0, +0] makes sure that handlers has the key at key_index, so that setting
 * it later cannot fail. */
static void reserve_key(lua_State *L, int key_index) {
  key_index = zlua_absindex(L, key_index);
  push_handlers(L, 1);
  lua_pushvalue(L, key_index);
  lua_rawget(L, -2);
  if (lua_isnil(L, -1)) {
    lua_pushvalue(L, key_index);
    lua_pushboolean(L, 0);
    lua_rawset(L, -4);
  }
  lua_pop(L, 2);
}

/* [-0, +0] undoes reserve_tables(): a reserved key would keep the object
 * alive. */
static void release_tables(lua_State *L, zlua_handler *handler) {
  int top = lua_gettop(L);
  lua_pushboolean(L, 0); /* the value of reserved keys */
  clear_key(L, 1, 2, top + 1);
  if (!zlua_test_object(L, 2, &zlua_class_socket)) {
    lua_pushinteger(L, handler->number);
    clear_key(L, 1, -1, top + 1);
  }
  zlua_push_active(L, 1);
  zlua_unanchor(L, &handler->handle, lua_gettop(L));
  lua_settop(L, top);
}

/* [-0, +0] everything that may raise is done before the core knows of the
 * handler at 5. */
static void reserve_tables(lua_State *L, zlua_handler *handler) {
  reserve_key(L, 2);
  if (!zlua_test_object(L, 2, &zlua_class_socket)) {
    lua_pushinteger(L, handler->number);
    reserve_key(L, -1);
    lua_pop(L, 1);
  }
  zlua_anchor(L, &handler->handle, 5);
}

/* [-0, +0] enters the handler at 5 in the tables of its loop and socket. */
static void enter_tables(lua_State *L, zlua_handler *handler) {
  set_handler(L, 1, 2, 5);
  if (handler->fd) {
    lua_pushinteger(L, handler->number);
    set_handler(L, 1, -1, 5);
    lua_pop(L, 1);
  } else {
    zlua_socket_set_user(L, 2, 5);
  }
}

/* Raises if the object at 2 has a handler or stream already. */
static void check_unregistered(lua_State *L, zlua_handler *handler) {
  zlua_socket *socket = zlua_test_object(L, 2, &zlua_class_socket);
  if (socket) {
    (void)zlua_check_socket(L, 2, "add_handler", 1);
    if (socket->user) {
      zlua_argument_error(L, "add_handler", 1, "socket is already registered");
    }
  } else {
    handler->number = zlua_check_descriptor(L, "add_handler", 2);
  }
}

/* check_watch(method, fd|object|socket, events) -> the events as a number.
 * Raises in the name of a method that has the latter two as arguments. */
static int check_watch(lua_State *L) {
  const char *method = luaL_checkstring(L, 1);
  if (zlua_test_object(L, 2, &zlua_class_socket)) {
    (void)zlua_check_socket(L, 2, method, 1);
  } else {
    (void)zlua_check_descriptor(L, method, 2);
  }
  lua_pushinteger(L, zlua_check_events(L, method, 2, 3));
  return 1;
}

/* add_handler(fd|object|socket, fn, events) -> true | nil, message, name */
static int add_handler(lua_State *L) {
  zlua_loop *loop = zlua_check_loop(L, 1, "add_handler", 0);
  zlua_check_callable(L, "add_handler", 2, 3);
  int events = zlua_check_events(L, "add_handler", 3, 4);
  lua_settop(L, 4);
  zlua_handler *handler = push_new_handler(L); /* 5 */
  check_unregistered(L, handler);
  reserve_tables(L, handler);
  int rc = open_core(L, loop, handler, events);
  if (rc < 0) {
    release_tables(L, handler);
  }
  if (rc == -EEXIST) {
    return zlua_argument_error(L, "add_handler", 1,
                               "descriptor is already registered");
  }
  if (rc < 0) {
    return zlua_fail(L, rc);
  }
  handler->events = events;
  zlua_link(loop, &handler->handle);
  enter_tables(L, handler);
  lua_pushboolean(L, 1);
  return 1;
}

/* update_handler(fd|object|socket, events) -> true | nil, message, name */
static int update_handler(lua_State *L) {
  (void)zlua_check_loop(L, 1, "update_handler", 0);
  int events = zlua_check_events(L, "update_handler", 2, 3);
  zlua_handler *handler = push_handler(L, "update_handler", 2);
  if (!handler || !handler->handle.loop) {
    return zlua_argument_error(L, "update_handler", 1, "not registered");
  }
  int rc = 0;
  if (handler->fd) {
    rc = zl_fd_update(handler->fd, events);
    if (rc == 0 && !handler->suspended) { /* else it has been resumed */
      rc = zl_fd_pause(handler->fd, 0);
    }
  } else if (!handler->suspended) {
    rc = zl_socket_update(handler->watch, events);
  }
  if (rc < 0) {
    return zlua_fail(L, rc);
  }
  handler->events = events;
  lua_pushboolean(L, 1);
  return 1;
}

/* remove_handler(fd|object|socket): does nothing if it is not registered. */
static int remove_handler(lua_State *L) {
  (void)zlua_check_loop(L, 1, "remove_handler", 0);
  lua_settop(L, 2);
  push_handlers(L, 1); /* 3 */
  lua_pushvalue(L, 2);
  if (lua_isnil(L, -1)) {
    return zlua_type_error(L, "remove_handler", 1, 2, "descriptor or object");
  }
  lua_rawget(L, 3); /* 4 */
  zlua_handler *handler = zlua_test_object(L, 4, &zlua_class_handler);
  if (handler) {
    unregister(L, 4, handler);
  }
  return 0;
}

/* split_fd(fd|object|socket) -> number, the argument. For a socket the number
 * is the socket itself, since its descriptor does not show its readiness. */
static int split_fd(lua_State *L) {
  (void)zlua_check_self(L, &zlua_class_loop, "split_fd");
  lua_settop(L, 2);
  if (zlua_test_object(L, 2, &zlua_class_socket)) {
    lua_pushvalue(L, 2);
  } else {
    lua_pushinteger(L, zlua_check_descriptor(L, "split_fd", 2));
  }
  lua_insert(L, 2);
  return 2;
}

static int handler_gc(lua_State *L) {
  zlua_handler *handler = zlua_test_object(L, 1, &zlua_class_handler);
  if (handler && (handler->fd || handler->watch)) {
    handler->handle.loop->left_waiting = true;
    zlua_handler_detach(&handler->handle);
  }
  return 0;
}

static const luaL_Reg no_methods[] = {{NULL, NULL}};

static const luaL_Reg metamethods[] = {
    {"__gc", handler_gc},
    {NULL, NULL},
};

static const luaL_Reg loop_methods[] = {
    {"add_handler", add_handler},
    {"update_handler", update_handler},
    {"remove_handler", remove_handler},
    {"split_fd", split_fd},
    {NULL, NULL},
};

static const zlua_slot_call handler_call = {
    .slot = ZLUA_SLOT_CALL_HANDLER,
    .next = handler_next_call,
    .class = &zlua_class_handler,
    .suspend = handler_suspend,
    .resume = handler_resume,
};

/* [-0, +0] module table on the top. */
void zlua_open_handler(lua_State *L) {
  zlua_slot_register(L, &handler_call);
  zlua_new_class(L, &zlua_class_handler, no_methods, metamethods);
  lua_pop(L, 1);
  lua_pushcfunction(L, check_watch);
  lua_setfield(L, -2, "check_watch");
  lua_getfield(L, -1, "IOLoop");
  zlua_setfuncs(L, loop_methods);
  lua_pop(L, 1);
}
