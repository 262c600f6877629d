/* ioloop.c - class IOLoop: the part written in C.
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "argument.h"
#include "calls.h"
#include "clock.h"
#include "compat.h"
#include "ending.h"
#include "entry.h"
#include "handle.h"
#include "handler.h"
#include "loop.h"
#include "object.h"
#include "open.h"
#include "report.h"
#include "stream.h"
#include "zmqloop.h"

/* Registry key of the running loop. */
static const char running_key;

static zlua_loop *ioloop_check_self(lua_State *L, const char *method) {
  return zlua_check_loop(L, 1, method, 0);
}

/* Detaches all handles that have a core handle, because the loop is being
 * closed. */
static void detach_all(zlua_loop *loop) {
  while (loop->handles) {
    zlua_handle *handle = loop->handles;
    if (handle->class == &zlua_class_handler) {
      zlua_handler_detach(handle);
    } else {
      zlua_stream_leave_loop(handle);
    }
  }
}

/* ---- life ---------------------------------------------------------------- */

/* [-0, +0] gives the loop at index its tables. The places of errors in the
 * state table must exist from the start, since filling them must not
 * allocate. */
static void make_tables(lua_State *L, int index) {
  zlua_getuservalue(L, index);
  for (int i = ZLUA_LOOP_ACTIVE; i <= ZLUA_LOOP_STATE; i++) {
    lua_createtable(L, i == ZLUA_LOOP_STATE ? ZLUA_LEFT_LAST : 0, 0);
    if (i == ZLUA_LOOP_ACTIVE) {
      lua_pushvalue(L, index);
      lua_rawseti(L, -2, 0);
    }
    lua_rawseti(L, -2, i);
  }
  lua_rawgeti(L, -1, ZLUA_LOOP_STATE);
  lua_newtable(L);
  lua_rawseti(L, -2, ZLUA_LEFT_CLOSED);
  lua_pop(L, 2);
}

/* [-0, +0] gives the loop at index its serial number. */
static void enlist(lua_State *L, zlua_loop *loop, int index) {
  zlua_push_actives(L);
  lua_rawgeti(L, -1, 0);
  loop->serial = (int)lua_tointeger(L, -1) + 1;
  lua_pushinteger(L, loop->serial);
  lua_rawseti(L, -3, 0);
  zlua_push_active(L, index);
  lua_rawseti(L, -3, loop->serial);
  lua_pop(L, 2);
}

/* new_loop(class) -> loop, not yet open */
static int new_loop(lua_State *L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 1);
  zlua_loop *loop = zlua_new_object(L, &zlua_class_loop);
  loop->calls = zlua_calls_of(L);
  loop->first_callback = 1;
  loop->next_callback = 1;
  loop->first_closed = 1;
  make_tables(L, 2);
  enlist(L, loop, 2);
  zlua_set_own_metatable(L, &zlua_class_loop, 1);
  zlua_watch_end(L, loop);
  return 1;
}

/* open_loop(loop, backend, clock) -> true | nil, message, name */
static int open_loop(lua_State *L) {
  static const char *const backends[] = {"default", "epoll", "poll", NULL};
  zl_config config = {.size = sizeof config};
  zlua_loop *loop = zlua_check_self(L, &zlua_class_loop, "initialize");
  if (loop->core) {
    return zlua_error(L, "loop is open already");
  }
  config.backend = luaL_checkoption(L, 2, "default", backends);
  zlua_configure_clock(L, 3, loop, &config);
  config.alloc = lua_getallocf(L, &config.alloc_ud);
  config.interrupt = zlua_on_interrupt;
  config.interrupt_ud = loop;
  config.data = loop;
  config.slowest = zlua_on_slowest;
  config.slowest_ud = loop;
  loop->pid = getpid();
  int rc = zl_loop_new(&config, &loop->core);
  if (rc < 0) {
    return zlua_fail(L, rc);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* Closing twice is silent. */
static int loop_close(lua_State *L) {
  zlua_loop *loop = zlua_check_self(L, &zlua_class_loop, "close");
  zl_loop *core = loop->core;
  if (!core) {
    return 0;
  }
  if (loop->L || loop->reads_clock) {
    return zlua_error(L, "loop is running");
  }
  loop->clock_ns = zl_loop_time_ns(core); /* the last call out */
  detach_all(loop);
  loop->core = NULL;
  (void)zl_loop_close(core);
  return 0;
}

/* for __close, which is also given the error: calls the method, which the user
 * may have overridden */
static int loop_scope_close(lua_State *L) {
  lua_settop(L, 1);
  lua_getfield(L, 1, "close");
  lua_insert(L, 1);
  lua_call(L, 1, 0);
  return 0;
}

static int loop_gc(lua_State *L) {
  zlua_loop *loop = zlua_test_object(L, 1, &zlua_class_loop);
  if (loop && loop->core && !loop->L) {
    zlua_tell_mistakes(loop);
    return loop_close(L);
  }
  return 0;
}

static int loop_tostring(lua_State *L) {
  zlua_loop *loop = zlua_check_self(L, &zlua_class_loop, "tostring");
  if (!loop->core) {
    lua_pushliteral(L, "IOLoop (closed)");
  } else {
    lua_pushfstring(L, "IOLoop (%s, %s): %p", zl_loop_backend(loop->core),
                    zl_loop_running(loop->core) ? "running" : "stopped",
                    (const void *)loop);
  }
  return 1;
}

/* ---- running ------------------------------------------------------------ */

/* [-0, +1] running(): the innermost running loop; nil if none. */
static int running_loop(lua_State *L) {
  zlua_getregistry(L, &running_key);
  if (!lua_toboolean(L, -1)) {
    lua_pushnil(L);
  }
  return 1;
}

/* Shared by run and step: enters the core with the loop as the running one. */
typedef struct loop_entry {
  zlua_entry entry;
  int former; /* the index of the loop that ran before */
} loop_entry;

static void leave_running(lua_State *L, zlua_loop *loop,
                          const loop_entry *before) {
  lua_pushvalue(L, before->former);
  zlua_setregistry(L, &running_key);
  (void)zlua_leave(L, loop, &before->entry);
}

static void enter_running(lua_State *L, zlua_loop *loop, loop_entry *before) {
  if (zl_loop_running(loop->core)) {
    zlua_error(L, "IOLoop is already running");
  }
  zlua_check_depth(L, loop);
  zlua_getregistry(L, &running_key);
  before->former = lua_gettop(L);
  zlua_enter(L, loop, 1, &before->entry);
  before->entry.is_run = true;
  lua_pushvalue(L, 1);
  zlua_setregistry(L, &running_key);
  if (!loop->core) { /* a finalizer has closed it */
    leave_running(L, loop, before);
    zlua_error(L, "loop is closed");
  }
}

static int run(lua_State *L, const char *method, int mode) {
  zlua_loop *loop = ioloop_check_self(L, method);
  loop_entry before;
  lua_settop(L, 1);
  enter_running(L, loop, &before);
  int rc = zl_loop_run(loop->core, mode);
  leave_running(L, loop, &before);
  if (rc < 0 && rc != -ETERM) {
    return zlua_raise(L, rc);
  }
  lua_pushboolean(L, 1);
  return 1;
}

static int loop_start(lua_State *L) {
  return run(L, "start", ZL_RUN_FOREVER);
}

static int loop_run(lua_State *L) {
  return run(L, "run", ZL_RUN_ALIVE);
}

/* [-0, +0] reads {events=, seconds=} at index. */
static void check_budget(lua_State *L, int index, zl_budget *budget) {
  static const char *const names[] = {"events", "seconds", NULL};
  zlua_check_options(L, "step", 2, index, names);
  lua_getfield(L, index, "events");
  if (!lua_isnil(L, -1)) {
    budget->events =
        (int)zlua_check_integer(L, "step", 2, -1, 1, ZL_STEP_MORE - 1);
  }
  lua_getfield(L, index, "seconds");
  if (!lua_isnil(L, -1)) {
    budget->time_ns = zlua_check_seconds(L, "step", 2, -1);
  }
  if (budget->time_ns < 0) {
    zlua_argument_error(L, "step", 2, "seconds must not be negative");
  }
}

/* step([timeout [, {events=, seconds=}]]) -> handled, more */
static int loop_step(lua_State *L) {
  zlua_loop *loop = ioloop_check_self(L, "step");
  zl_budget budget = {0};
  loop_entry before;
  int64_t timeout =
      lua_isnoneornil(L, 2) ? 0 : zlua_check_seconds(L, "step", 1, 2);
  if (!lua_isnoneornil(L, 3)) {
    check_budget(L, 3, &budget);
  }
  lua_settop(L, 1);
  enter_running(L, loop, &before);
  int rc = zl_loop_step(loop->core, timeout, &budget);
  leave_running(L, loop, &before);
  if (rc < 0) {
    return zlua_raise(L, rc);
  }
  lua_pushinteger(L, rc & ~ZL_STEP_MORE);
  lua_pushboolean(L, (rc & ZL_STEP_MORE) != 0);
  return 2;
}

/* advance(seconds): moves a virtual clock. */
static int loop_advance(lua_State *L) {
  zlua_loop *loop = ioloop_check_self(L, "advance");
  int64_t delay = zlua_check_seconds(L, "advance", 1, 2);
  loop_entry before;
  int rc;
  if (delay < 0) {
    return zlua_argument_error(L, "advance", 1, "time does not go back");
  }
  lua_settop(L, 1);
  if (zl_loop_running(loop->core)) {
    rc = zl_loop_advance(loop->core, delay);
  } else {
    enter_running(L, loop, &before);
    rc = zl_loop_advance(loop->core, delay);
    leave_running(L, loop, &before);
  }
  if (rc == -EINVAL) {
    return zlua_error(L, "only a virtual clock can be advanced");
  }
  return rc < 0 ? zlua_raise(L, rc) : 0;
}

/* A closed loop has stopped already. */
static int loop_stop(lua_State *L) {
  zlua_loop *loop = zlua_check_self(L, &zlua_class_loop, "stop");
  if (loop->core) {
    zl_loop_stop(loop->core);
  }
  return 0;
}

static int loop_running(lua_State *L) {
  zlua_loop *loop = zlua_check_self(L, &zlua_class_loop, "running");
  lua_pushboolean(L, loop->core && zl_loop_running(loop->core));
  return 1;
}

static int loop_closed(lua_State *L) {
  const zlua_loop *loop = zlua_check_self(L, &zlua_class_loop, "closed");
  lua_pushboolean(L, loop->core == NULL);
  return 1;
}

/* In seconds; for a closed loop, the time when it was closed. */
static int loop_time(lua_State *L) {
  const zlua_loop *loop = zlua_check_self(L, &zlua_class_loop, "time");
  int64_t now = loop->core ? zlua_now_ns(L, loop) : loop->clock_ns;
  lua_pushnumber(L, (lua_Number)now / 1e9);
  return 1;
}

/* ---- inside another loop ------------------------------------------------- */

/* fd() -> number | nil, message, name */
static int loop_fd(lua_State *L) {
  const zlua_loop *loop = ioloop_check_self(L, "fd");
  int fd = zl_loop_fd(loop->core);
  if (fd < 0) {
    return zlua_fail(L, fd);
  }
  lua_pushinteger(L, fd);
  return 1;
}

/* timeout() -> seconds, or nil for ever */
static int loop_timeout(lua_State *L) {
  const zlua_loop *loop = ioloop_check_self(L, "timeout");
  int64_t timeout = zl_loop_timeout_ns(loop->core);
  zlua_check_clock(L, loop);
  if (timeout == ZL_FOREVER) {
    lua_pushnil(L);
  } else {
    lua_pushnumber(L, (lua_Number)timeout / 1e9);
  }
  return 1;
}

/* ---- statistics --------------------------------------------------------- */

/* [-0, +0] sets a field of the table at the top. */
static void set_count(lua_State *L, const char *name, uint64_t count) {
  zlua_pushint64(L, (int64_t)count);
  lua_setfield(L, -2, name);
}

static void set_seconds(lua_State *L, const char *name, int64_t ns) {
  lua_pushnumber(L, (lua_Number)ns / 1e9);
  lua_setfield(L, -2, name);
}

/* stats() -> table */
static int loop_stats(lua_State *L) {
  const zlua_loop *loop = ioloop_check_self(L, "stats");
  zl_stats stats;
  zl_loop_stats(loop->core, &stats);
  int64_t timers = stats.timers > 0 ? (int64_t)stats.timers : 1;
  lua_createtable(L, 0, 13);
  set_count(L, "iterations", stats.iterations);
  set_count(L, "callbacks", stats.callbacks);
  set_count(L, "timers", stats.timers);
  set_count(L, "signals", stats.signals);
  set_count(L, "events", stats.events);
  set_count(L, "messages_in", stats.messages_in);
  set_count(L, "messages_out", stats.messages_out);
  set_seconds(L, "busy", stats.busy_ns);
  set_seconds(L, "idle", stats.idle_ns);
  set_seconds(L, "lateness_mean", stats.lateness_ns / timers);
  set_seconds(L, "lateness_max", stats.lateness_max_ns);
  set_seconds(L, "slowest", stats.slowest_ns);
  if (loop->slowest[0]) {
    lua_pushstring(L, loop->slowest);
    lua_setfield(L, -2, "slowest_source");
  }
  return 1;
}

/* failed_at(loop) -> when the last error of a callback was raised */
static int failed_at(lua_State *L) {
  const zlua_loop *loop = ioloop_check_self(L, "failed_at");
  lua_pushnumber(L, (lua_Number)loop->failed_ns / 1e9);
  return 1;
}

/* check_loop(method, argument, value): raises unless value is a loop or nil.
 * With argument 0 it is the self of a method, and must not be nil. */
static int ioloop_check(lua_State *L) {
  const char *method = luaL_checkstring(L, 1);
  int argument = (int)luaL_checkinteger(L, 2);
  lua_settop(L, 3);
  if (zlua_test_object(L, 3, &zlua_class_loop)) {
    return 0;
  }
  if (argument == 0) {
    return zlua_bad_self(L, 3, method, "IOLoop");
  }
  return lua_isnil(L, 3) ? 0
                         : zlua_type_error(L, method, argument, 3, "IOLoop");
}

/* calling(loop, callback): the code that runs next is called on behalf of the
 * callback. */
static int calling(lua_State *L) {
  (void)ioloop_check_self(L, "calling");
  zlua_getuservalue(L, 1);
  lua_rawgeti(L, -1, ZLUA_LOOP_STATE);
  zlua_calling(L, lua_gettop(L), 2);
  return 0;
}

/* ---- errors ------------------------------------------------------------- */

/* on_error(fn | "raise" | nil): how errors of callbacks are handled. */
static int loop_on_error(lua_State *L) {
  zlua_loop *loop = ioloop_check_self(L, "on_error");
  zlua_check_given(L, "on_error");
  lua_settop(L, 2);
  bool raises =
      lua_type(L, 2) == LUA_TSTRING && strcmp(lua_tostring(L, 2), "raise") == 0;
  if (!raises && !lua_isnil(L, 2) && !zlua_is_callable(L, 2)) {
    return zlua_type_error(L, "on_error", 1, 2,
                           "function, callable or 'raise'");
  }
  loop->raises = raises;
  if (raises) {
    lua_pushnil(L);
    lua_replace(L, 2);
  }
  zlua_getuservalue(L, 1);
  lua_rawgeti(L, -1, ZLUA_LOOP_STATE);
  lua_pushvalue(L, 2);
  lua_rawseti(L, -2, ZLUA_LEFT_ON_ERROR);
  return 0;
}

/* error_handler(loop) -> the argument of on_error(): a function, "raise" or nil
 */
static int error_handler(lua_State *L) {
  const zlua_loop *loop = zlua_check_self(L, &zlua_class_loop, "error_handler");
  if (loop->raises) {
    lua_pushliteral(L, "raise");
  } else {
    zlua_getuservalue(L, 1);
    lua_rawgeti(L, -1, ZLUA_LOOP_STATE);
    lua_rawgeti(L, -1, ZLUA_LEFT_ON_ERROR);
  }
  return 1;
}

/* ---- for close(true) ---------------------------------------------------- */

/* objects(loop) -> list of what is registered or active: the objects passed to
 * add_handler(), and streams. */
static int loop_objects(lua_State *L) {
  int count = 0;
  (void)ioloop_check_self(L, "objects");
  lua_settop(L, 1);
  zlua_push_active(L, 1); /* 2 */
  lua_newtable(L);        /* 3 */
  lua_pushnil(L);
  while (lua_next(L, 2)) {
    bool is_handler = zlua_test_object(L, -1, &zlua_class_handler) != NULL;
    if (is_handler) {
      zlua_getuservalue(L, -1);
      lua_rawgeti(L, -1, 2);
      lua_rawseti(L, 3, ++count);
      lua_pop(L, 1);
    } else if (zlua_test_object(L, -1, &zlua_class_stream)) {
      lua_pushvalue(L, -1);
      lua_rawseti(L, 3, ++count);
    }
    lua_pop(L, 1);
  }
  return 1;
}

/* ---- opening ------------------------------------------------------------ */

static const luaL_Reg methods[] = {
    {"start", loop_start},
    {"run", loop_run},
    {"step", loop_step},
    {"advance", loop_advance},
    {"stop", loop_stop},
    {"running", loop_running},
    {"closed", loop_closed},
    {"time", loop_time},
    {"on_error", loop_on_error},
    {"fd", loop_fd},
    {"timeout", loop_timeout},
    {"stats", loop_stats},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", loop_gc},
    {"__close", loop_scope_close},
    {"__tostring", loop_tostring},
    {NULL, NULL},
};

static const luaL_Reg functions[] = {
    {"new_loop", new_loop},
    {"open_loop", open_loop},
    {"close_loop", loop_close},
    {"loop_objects", loop_objects},
    {"running_loop", running_loop},
    {"check_loop", ioloop_check},
    {"calling", calling},
    {"failed_at", failed_at},
    {"error_handler", error_handler},
    {NULL, NULL},
};

/* [-0, +0] module table on the top. */
void zlua_open_ioloop(lua_State *L) {
  zlua_new_class(L, &zlua_class_loop, methods, metamethods);
  lua_setfield(L, -2, "IOLoop");
  zlua_setfuncs(L, functions);
  lua_pushboolean(L, 0);
  zlua_setregistry(L, &running_key); /* its place exists from now on */
}
