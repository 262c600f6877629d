/* timer.c - handles of add_timeout(), call_later() and call_at().
 * SPDX-License-Identifier: MIT
 *
 * A handle has a core timer exactly while it is active. Its uservalue is {loop,
 * fn, arguments...}: a handle that nobody holds is collected with its callback
 * once it has fired, and one that is held can be started again.
 */
#include "binding.h"

#include <errno.h>

typedef struct zlua_timer {
  zlua_handle handle;
  zl_timer *core; /* NULL: at rest */
  int arguments;
} zlua_timer;

enum { TIMER_LOOP = 1, TIMER_CALLBACK, TIMER_ARGUMENTS };

const zlua_class zlua_class_timer = {.name = "timeout",
                                     .size = sizeof(zlua_timer)};

static zlua_timer *check_self(lua_State *L, const char *method) {
  return zlua_check_self(L, &zlua_class_timer, method);
}

/* The loop goes, or the timer's time with it is over. */
void zlua_timer_detach(zlua_handle *handle) {
  zlua_timer *timer = (zlua_timer *)handle;
  zl_timer_close(timer->core);
  timer->core = NULL;
  handle->anchor = 0;
  zlua_unlink(handle);
}

/* [-0, +0] puts the timer to rest. */
static void rest(lua_State *L, zlua_timer *timer, int active_index) {
  zlua_unanchor(L, &timer->handle, active_index);
  zlua_timer_detach(&timer->handle);
}

static void on_timer(zl_timer *core, uint64_t missed, void *arg) {
  zlua_timer *timer = arg;
  (void)core;
  (void)missed;
  (void)zlua_call(timer->handle.loop, ZLUA_SLOT_CALL_TIMER, timer);
}

/* (active, state, timer, loop) */
int zlua_call_timer(lua_State *L) {
  zlua_timer *timer = lua_touserdata(L, 3);
  int count = timer->arguments;
  luaL_checkstack(L, count + LUA_MINSTACK, "too many arguments");
  lua_rawgeti(L, 1, timer->handle.anchor); /* 5: the handle, kept here */
  zlua_getuservalue(L, 5);                 /* 6 */
  rest(L, timer, 1);
  lua_rawgeti(L, 6, TIMER_CALLBACK); /* 7 */
  zlua_calling(L, 2, 7);
  for (int i = 0; i < count; i++) {
    lua_rawgeti(L, 6, TIMER_ARGUMENTS + i);
  }
  lua_call(L, count, 0);
  return 0;
}

/* [-0, +0] one that has fired or was cancelled too. */
static void cancel(lua_State *L, int index, zlua_timer *timer) {
  if (!timer->handle.loop) {
    return;
  }
  zlua_getuservalue(L, index);
  lua_rawgeti(L, -1, TIMER_LOOP);
  zlua_push_active(L, -1);
  rest(L, timer, lua_gettop(L));
  lua_pop(L, 3);
}

/* [-0, +0] starts the timer at index, which is at rest. Raises when out of
 * memory, and leaves it at rest. */
static void start(lua_State *L, zlua_timer *timer, zlua_loop *loop, int index,
                  int64_t deadline) {
  zlua_anchor(L, &timer->handle, index);
  int rc = zl_timer_new(loop->core, on_timer, timer, &timer->core);
  if (rc == 0) {
    rc = zl_timer_start_at(timer->core, deadline, 0);
  }
  zlua_link(loop, &timer->handle);
  if (rc < 0) {
    cancel(L, index, timer);
    zlua_raise(L, rc);
  }
}

/* (loop, when, fn, ...) -> handle */
static int new_timer(lua_State *L, zlua_loop *loop, int64_t deadline) {
  int top = lua_gettop(L);
  zlua_timer *timer = zlua_new_object(L, &zlua_class_timer);
  int index = lua_gettop(L);
  timer->arguments = top - 3;
  zlua_getuservalue(L, index);
  lua_pushvalue(L, 1);
  lua_rawseti(L, -2, TIMER_LOOP);
  for (int i = 3; i <= top; i++) {
    lua_pushvalue(L, i);
    lua_rawseti(L, -2, TIMER_CALLBACK + i - 3);
  }
  lua_pop(L, 1);
  zlua_set_metatable(L, &zlua_class_timer);
  start(L, timer, loop, index, deadline);
  return 1;
}

static int add_at(lua_State *L, const char *method) {
  zlua_loop *loop = zlua_check_loop(L, 1, method, 0);
  int64_t deadline = zlua_check_deadline(L, method, 1, 2);
  zlua_check_callable(L, method, 2, 3);
  return new_timer(L, loop, deadline);
}

static int add_timeout(lua_State *L) {
  return add_at(L, "add_timeout");
}

static int call_at(lua_State *L) {
  return add_at(L, "call_at");
}

static int64_t after(const zlua_loop *loop, int64_t delay) {
  int64_t now = zl_loop_time_ns(loop->core);
  return delay > ZL_FOREVER - now ? ZL_FOREVER : now + delay;
}

static int call_later(lua_State *L) {
  zlua_loop *loop = zlua_check_loop(L, 1, "call_later", 0);
  int64_t delay = zlua_check_seconds(L, "call_later", 1, 2);
  zlua_check_callable(L, "call_later", 2, 3);
  return new_timer(L, loop, after(loop, delay));
}

static int remove_timeout(lua_State *L) {
  (void)zlua_check_self(L, &zlua_class_loop, "remove_timeout");
  zlua_timer *timer = zlua_test_object(L, 2, &zlua_class_timer);
  if (!timer) {
    return zlua_type_error(L, "remove_timeout", 1, 2, "timeout");
  }
  cancel(L, 2, timer);
  return 0;
}

static int timer_cancel(lua_State *L) {
  cancel(L, 1, check_self(L, "cancel"));
  return 0;
}

static int timer_active(lua_State *L) {
  lua_pushboolean(L, check_self(L, "active")->core != NULL);
  return 1;
}

/* Seconds, not below 0; nil at rest. */
static int timer_remaining(lua_State *L) {
  const zlua_timer *timer = check_self(L, "remaining");
  if (!timer->core) {
    lua_pushnil(L);
    return 1;
  }
  int64_t deadline = zl_timer_deadline_ns(timer->core);
  int64_t now = zl_loop_time_ns(timer->handle.loop->core);
  lua_pushnumber(L, deadline > now ? (lua_Number)(deadline - now) / 1e9 : 0);
  return 1;
}

/* again(delay): also after it has fired or was cancelled. */
static int timer_again(lua_State *L) {
  zlua_timer *timer = check_self(L, "again");
  int64_t delay = zlua_check_seconds(L, "again", 1, 2);
  zlua_getuservalue(L, 1);
  lua_rawgeti(L, -1, TIMER_LOOP);
  zlua_loop *loop = zlua_check_loop(L, -1, "again", 0);
  if (!timer->core) {
    start(L, timer, loop, 1, after(loop, delay));
  } else {
    int rc = zl_timer_start(timer->core, delay, 0);
    if (rc < 0) {
      return zlua_raise(L, rc);
    }
  }
  lua_pushvalue(L, 1);
  return 1;
}

/* Only one at rest, or one whose loop goes in the same collection. */
static int timer_gc(lua_State *L) {
  zlua_timer *timer = zlua_test_object(L, 1, &zlua_class_timer);
  if (timer && timer->core) {
    zlua_timer_detach(&timer->handle);
  }
  return 0;
}

static int timer_tostring(lua_State *L) {
  const zlua_timer *timer = check_self(L, "tostring");
  lua_pushfstring(L, "timeout (%s): %p", timer->core ? "active" : "inactive",
                  (const void *)timer);
  return 1;
}

static const luaL_Reg methods[] = {
    {"cancel", timer_cancel},
    {"active", timer_active},
    {"remaining", timer_remaining},
    {"again", timer_again},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", timer_gc},
    {"__close", timer_cancel},
    {"__tostring", timer_tostring},
    {NULL, NULL},
};

static const luaL_Reg loop_methods[] = {
    {"add_timeout", add_timeout},
    {"call_at", call_at},
    {"call_later", call_later},
    {"remove_timeout", remove_timeout},
    {NULL, NULL},
};

/* [-0, +0] module table on the top. */
void zlua_open_timer(lua_State *L) {
  zlua_new_class(L, &zlua_class_timer, methods, metamethods);
  lua_pop(L, 1);
  lua_getfield(L, -1, "IOLoop");
  zlua_setfuncs(L, loop_methods);
  lua_pop(L, 1);
}
