/* context_life.c - class Context: creation, termination, collection.
 * SPDX-License-Identifier: MIT
 *
 * A socket keeps its context alive: a context is collected after the last of
 * its sockets, or with them. exit.c then does the rest.
 *
 * A borrowed context belongs to other code in the process, such as a Lua state
 * in another thread, which terminates it; the sockets created here are ours.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zmq.h>

#include "argument.h"
#include "compat.h"
#include "context.h"
#include "exit.h"
#include "hook.h"
#include "inproc.h"
#include "object.h"
#include "open.h"
#include "socket.h"
#include "socket_close.h"

/* [-0, +0] creates the tables of the context at index. The sockets are weak
 * values: the context does not keep them alive. */
static void context_fill_uservalue(lua_State *L, int index) {
  zlua_getuservalue(L, index);
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawseti(L, -2, ZLUA_CONTEXT_SOCKETS);
  lua_pushnil(L);
  lua_rawseti(L, -2, ZLUA_CONTEXT_DEFAULTS);
  lua_pop(L, 1);
}

/* Registry key of the state's table: libzmq's context -> its home, weakly. */
static const char homes_key;

/* [-0, +1] pushes the home of libzmq's context, or nil. */
static const zlua_context *push_home(lua_State *L, void *zmq) {
  zlua_getregistry(L, &homes_key);
  lua_pushlightuserdata(L, zmq);
  lua_rawget(L, -2);
  lua_remove(L, -2);
  const zlua_context *home = zlua_test_object(L, -1, &zlua_class_context);
  return home && home->zmq == zmq && home->pid == getpid() ? home : NULL;
}

/* [-0, +0] finds the home of the new context at index, or makes it the home
 * itself. */
static void context_settle(lua_State *L, int index, zlua_context *context,
                           void *zmq) {
  zlua_context *home = (zlua_context *)(size_t)push_home(L, zmq);
  if (home) {
    zlua_getuservalue(L, index);
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, ZLUA_CONTEXT_HOME);
    lua_pop(L, 2);
    context->home = home;
    return;
  }
  lua_pop(L, 1);
  zlua_getregistry(L, &homes_key);
  lua_pushlightuserdata(L, zmq);
  lua_pushvalue(L, index);
  lua_rawset(L, -3);
  lua_pop(L, 1);
}

/* ---- in which process ------------------------------------------------------
 *
 * In a forked process libzmq takes messages that can never leave. To ask for
 * the process's number at each of them would cost too much. Linux, from 4.14
 * on, clears a page in such a process if told to. */

enum { HERE_BYTES = 1 };

/* Returns the address of a 1 that reads 0 in a forked process; or, where the
 * system cannot do that, of a constant 1. */
static const volatile char *new_here(void) {
#ifdef MADV_WIPEONFORK
  char *page = mmap(NULL, HERE_BYTES, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page != MAP_FAILED) {
    *page = 1;
    if (madvise(page, HERE_BYTES, MADV_WIPEONFORK) == 0) {
      return page;
    }
    (void)munmap(page, HERE_BYTES);
  }
#endif
  return &zlua_here;
}

static void free_here(zlua_context *context) {
  if (context->here != &zlua_here) {
    (void)munmap((void *)(uintptr_t)context->here, HERE_BYTES);
  }
  context->here = &zlua_here;
}

/* Is it a context, as far as libzmq can tell? */
static bool is_context(void *zmq) {
  return zmq_ctx_get(zmq, ZMQ_IO_THREADS) >= 0;
}

/* new_context(handle | nil [, class]) -> context | nil, message, name. With a
 * class derived from Context the object has fields of its own. */
static int new_context(lua_State *L) {
  void *borrowed = lua_touserdata(L, 1);
  lua_settop(L, 2);
  zlua_context *context = zlua_new_object(L, &zlua_class_context);
  context_fill_uservalue(L, 3);
  zlua_set_metatable_of(L, &zlua_class_context, 2);
  context->exit = zlua_exit_of(L);
  if (!context->exit) {
    return zlua_error(L, "the Lua state is being closed");
  }
  zlua_exit_hold(context->exit);
  context->pid = getpid();
  context->here = new_here();
  context->sched_policy = -1;
  context->priority = -1;
  context->borrowed = borrowed != NULL;
  context->home = context;
  if (borrowed && !is_context(borrowed)) {
    return zlua_fail(L, -EFAULT);
  }
  context->zmq = borrowed ? borrowed : zmq_ctx_new();
  if (!context->zmq) {
    return zlua_fail(L, -zmq_errno());
  }
  context_settle(L, 3, context, context->zmq);
  return 1;
}

/* borrow_context(light userdata [, class]) -> context | nil, message, name */
static int borrow_context(lua_State *L) {
  if (!lua_islightuserdata(L, 1)) {
    return zlua_type_error(L, "Context", 1, 1, "table or light userdata");
  }
  if (!lua_touserdata(L, 1)) {
    return zlua_fail(L, -EFAULT);
  }
  return new_context(L);
}

/* Whether the context is usable in this process: open, and not created by the
 * parent of a forked process. */
static int context_usable(lua_State *L) {
  const zlua_context *context =
      zlua_check_self(L, &zlua_class_context, "usable");
  lua_pushboolean(L, context->zmq != NULL && context->pid == getpid());
  return 1;
}

/* shutdown(): blocking calls and loops on its sockets end with ETERM. */
static int context_shutdown(lua_State *L) {
  zlua_context *context = zlua_check_context(L, "shutdown");
  if (context->borrowed || context->pid != getpid()) {
    return zlua_fail_at(L, -EPERM, "the context is someone else's");
  }
  zlua_inproc_close(context);
  if (zmq_ctx_shutdown(context->zmq) < 0) {
    return zlua_fail(L, -zmq_errno());
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* [-0, +3] Terminating a context that has open sockets in this state, which is
 * one thread, would wait for ever: it is shut down instead. */
static int refuse(lua_State *L, zlua_context *context) {
  if (!context->borrowed && context->pid == getpid()) {
    zlua_inproc_close(context);
    (void)zmq_ctx_shutdown(context->zmq);
  }
  return zlua_fail_at(L, -EBUSY, "sockets of the context are open");
}

/* [-0, +n] terminates the context. Its own sockets are closed, but perhaps not
 * those of contexts borrowed from it. Waits for lingering messages. A borrowed
 * context is only released. */
static int terminate(lua_State *L, zlua_context *context) {
  bool ours = !context->borrowed && context->pid == getpid();
  if (ours && context->guests > 0) {
    return refuse(L, context);
  }
  if (ours) {
    zlua_inproc_close(context);
  }
  while (ours && zmq_ctx_term(context->zmq) < 0) {
    if (zmq_errno() != EINTR) {
      return zlua_fail(L, -zmq_errno());
    }
    zlua_let_hooks_run(L);
  }
  context->zmq = NULL;
  lua_pushboolean(L, 1);
  return 1;
}

/* Has it open sockets, other than monitors that only their loops know? */
static bool context_is_used(const zlua_context *context) {
  const zlua_socket *socket = context->sockets;
  while (socket && socket->of_loop) {
    socket = socket->next;
  }
  return socket != NULL;
}

/* [-0, +0] closes the sockets of the context at 1. */
static void close_sockets(lua_State *L, const zlua_context *context,
                          const int *linger) {
  int top = lua_gettop(L);
  zlua_push_sockets(L, 1);
  while (context->sockets) {
    zlua_push_socket(L, top + 1, context->sockets);
    if (lua_isnil(L, -1)) {
      zlua_socket_drop(context->sockets); /* about to be collected */
    } else {
      zlua_socket_close(L, top + 2, linger);
    }
    lua_settop(L, top + 1);
  }
  lua_settop(L, top);
}

/* term() -> true | nil, message, name. Terminating twice is silent. */
static int context_term(lua_State *L) {
  zlua_context *context = zlua_check_self(L, &zlua_class_context, "term");
  if (!context->zmq) {
    lua_pushboolean(L, 1);
    return 1;
  }
  if (context_is_used(context)) {
    return refuse(L, context);
  }
  close_sockets(L, context, NULL);
  return terminate(L, context);
}

/* destroy([linger]): closes its sockets, then terminates it. */
static int context_destroy(lua_State *L) {
  zlua_context *context = zlua_check_self(L, &zlua_class_context, "destroy");
  int linger = 0;
  bool has_linger = !lua_isnoneornil(L, 2);
  if (has_linger) {
    linger = (int)zlua_check_integer(L, "destroy", 1, 2, -1, INT32_MAX);
  }
  if (!context->zmq) {
    lua_pushboolean(L, 1);
    return 1;
  }
  close_sockets(L, context, has_linger ? &linger : NULL);
  return terminate(L, context);
}

/* In a forked child the context is the parent's: it is left alone. */
static int context_gc(lua_State *L) {
  zlua_context *context = zlua_test_object(L, 1, &zlua_class_context);
  if (!context || !context->exit) {
    return 0;
  }
  while (context->sockets) {
    zlua_socket_drop(context->sockets);
  }
  zlua_inproc_close(context);
  if (context->zmq && !context->borrowed && context->pid == getpid()) {
    zlua_exit_retire(context->exit, context->zmq, context->lingers);
  }
  context->zmq = NULL;
  free_here(context);
  zlua_exit_release(context->exit);
  context->exit = NULL;
  return 0;
}

/* for __close, which is given the error too */
static int context_scope_close(lua_State *L) {
  lua_settop(L, 1);
  return context_destroy(L);
}

static int context_closed(lua_State *L) {
  const zlua_context *context =
      zlua_check_self(L, &zlua_class_context, "closed");
  lua_pushboolean(L, context->zmq == NULL);
  return 1;
}

/* handle() -> the void * of libzmq as light userdata */
static int context_handle(lua_State *L) {
  lua_pushlightuserdata(L, zlua_check_context(L, "handle")->zmq);
  return 1;
}

static int context_tostring(lua_State *L) {
  const zlua_context *context =
      zlua_check_self(L, &zlua_class_context, "tostring");
  int count = 0;
  for (const zlua_socket *s = context->sockets; s; s = s->next) {
    count++;
  }
  if (!context->zmq) {
    lua_pushliteral(L, "Context (closed)");
  } else {
    lua_pushfstring(L, "Context (%d sockets): %p", count,
                    (const void *)context);
  }
  return 1;
}

static const luaL_Reg methods[] = {
    {"shutdown", context_shutdown}, {"term", context_term},
    {"destroy", context_destroy},   {"closed", context_closed},
    {"handle", context_handle},     {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", context_gc},
    {"__close", context_scope_close},
    {"__tostring", context_tostring},
    {NULL, NULL},
};

/* [-0, +0] module table on the top. */
void zlua_open_context_life(lua_State *L) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  zlua_setregistry(L, &homes_key);
  zlua_new_class(L, &zlua_class_context, methods, metamethods);
  lua_setfield(L, -2, "Context");
  lua_pushcfunction(L, new_context);
  lua_setfield(L, -2, "new_context");
  lua_pushcfunction(L, borrow_context);
  lua_setfield(L, -2, "borrow_context");
  lua_pushcfunction(L, context_usable);
  lua_setfield(L, -2, "context_usable");
}
