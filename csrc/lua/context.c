/* context.c - contexts, as used by sockets.
 * SPDX-License-Identifier: MIT
 */
#include "context.h"

#include <errno.h>
#include <zmq.h>

#include "argument.h"
#include "compat.h"
#include "object.h"

const zlua_class zlua_class_context = {.name = "Context",
                                       .size = sizeof(zlua_context)};

/* Returns 0, or -EFAULT if it was borrowed from a context of this state that
 * has been closed. */
int zlua_context_check(const zlua_context *context) {
  const zlua_context *home = context->home;
  return home->zmq || home->borrowed ? 0 : -EFAULT;
}

zlua_context *zlua_check_context(lua_State *L, const char *method) {
  zlua_context *context = zlua_check_self(L, &zlua_class_context, method);
  if (!context->zmq) {
    zlua_error(L, "context is closed");
  }
  return context;
}

const char zlua_here = 1;

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
