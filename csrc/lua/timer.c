/* timer.c - handles of add_timeout(), call_later() and call_at().
 * SPDX-License-Identifier: MIT
 *
 * Timers are many, so they are small: the core's timer is inside the userdata,
 * whose uservalue is the callback. A pending one costs that, an entry in the
 * heap and a place among the loop's active handles. A handle that nobody holds
 * is collected with its callback once it has fired, and one that is held can be
 * started again, if its loop still exists.
 *
 * There is no finalizer: the core knows a timer only while it is active, and
 * then the loop reaches it, so Lua frees it after it has called the loop's.
 */
#include "binding.h"

#include <errno.h>
#include <string.h>

typedef struct zlua_timer {
  const zlua_class *class;
  int anchor; /* its place among the loop's active handles; 0: at rest */
  int serial; /* of the loop */
  zl_timer_memory core;
} zlua_timer;

const zlua_class zlua_class_timer = {.name = "timeout",
                                     .size = sizeof(zlua_timer)};

static zlua_timer *check_self(lua_State *L, const char *method) {
  return zlua_check_self(L, &zlua_class_timer, method);
}

/* Of a closed loop all are at rest, and their anchors mean nothing. */
static bool is_active(zlua_timer *timer) {
  return zl_timer_active(zl_timer_in(&timer->core));
}

/* ---- the callback ---------------------------------------------------------
 *
 * The uservalue: a function, or a table {number of arguments, callback,
 * arguments...}.
 */

enum { CALL_COUNT = 1, CALL_CALLBACK, CALL_ARGUMENTS };

/* Before 5.3 a uservalue is a table. */
#define TABLES_ONLY (LUA_VERSION_NUM < 503)

/* [-0, +0] the callback and `count` arguments are at `first` and after it. */
static void set_call(lua_State *L, int index, int first, int count) {
  if (count == 0 && !TABLES_ONLY && lua_isfunction(L, first)) {
    lua_pushvalue(L, first);
  } else {
    lua_createtable(L, count + CALL_CALLBACK, 0);
    lua_pushinteger(L, count);
    lua_rawseti(L, -2, CALL_COUNT);
    for (int i = 0; i <= count; i++) {
      lua_pushvalue(L, first + i);
      lua_rawseti(L, -2, CALL_CALLBACK + i);
    }
  }
  zlua_setuservalue(L, index);
}

/* [-0, +(1 + n)] pushes the callback and its n arguments; returns n. */
static int push_call(lua_State *L, int index) {
  zlua_getuservalue(L, index);
  if (!TABLES_ONLY && lua_isfunction(L, -1)) {
    return 0;
  }
  int call = lua_gettop(L);
  lua_rawgeti(L, call, CALL_COUNT);
  int count = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  luaL_checkstack(L, count + LUA_MINSTACK, "too many arguments");
  for (int i = 0; i <= count; i++) {
    lua_rawgeti(L, call, CALL_CALLBACK + i);
  }
  lua_remove(L, call);
  return count;
}

/* [-0, +1] the callback alone. */
void zlua_timer_push_callback(lua_State *L, int index) {
  lua_pop(L, push_call(L, index));
}

/* ---- starting and firing --------------------------------------------------
 */

static void on_timer(zl_timer *core, uint64_t missed, void *arg) {
  (void)missed;
  (void)zlua_call(zl_loop_data(zl_timer_loop(core)), ZLUA_SLOT_CALL_TIMER, arg);
}

/* [-0, +0] the loop lets go of the handle. */
static void release(lua_State *L, zlua_timer *timer, int active_index) {
  zlua_loop *loop = zl_loop_data(zl_timer_loop(zl_timer_in(&timer->core)));
  zlua_let_go(L, loop, active_index, timer->anchor);
  timer->anchor = 0;
}

/* (active, state, timer, loop) */
int zlua_call_timer(lua_State *L, void *handle) {
  zlua_timer *timer = handle;
  lua_rawgeti(L, 1, timer->anchor); /* 5: the handle, kept here */
  release(L, timer, 1);
  int count = push_call(L, 5); /* 6: callback, arguments */
  zlua_calling(L, 2, 6);
  return 1 + count;
}

/* [-0, +0] one that has fired or was cancelled too. */
static void cancel(lua_State *L, zlua_timer *timer) {
  if (!is_active(timer)) {
    return;
  }
  int top = lua_gettop(L);
  zl_timer_cancel(zl_timer_in(&timer->core));
  zlua_push_loop(L, timer->serial);
  zlua_push_active(L, top + 1);
  release(L, timer, top + 2);
  lua_settop(L, top);
}

/* [-0, +0] starts the timer at index, which is at rest. Raises when out of
 * memory, and leaves it at rest. */
static void start(lua_State *L, zlua_timer *timer, int index, int loop_index,
                  int64_t deadline) {
  zl_timer *core = zl_timer_in(&timer->core);
  int top = lua_gettop(L);
  zlua_getuservalue(L, loop_index);
  lua_rawgeti(L, top + 1, ZLUA_LOOP_ACTIVE);
  if (!timer->anchor) { /* else a call of it has failed for want of memory */
    zlua_loop *loop = zl_loop_data(zl_timer_loop(core));
    timer->anchor = zlua_keep(L, loop, top + 2, index);
  }
  int rc = zl_timer_start_at(core, deadline, 0);
  if (rc < 0) {
    release(L, timer, top + 2);
    zlua_raise(L, rc);
  }
  lua_settop(L, top);
}

/* (loop, when, fn, ...) -> handle. The upvalue is the metatable of timers. */
static int new_timer(lua_State *L, const zlua_loop *loop, int64_t deadline) {
  int top = lua_gettop(L);
  zlua_timer *timer = zlua_newuserdata(L, sizeof *timer);
  timer->class = &zlua_class_timer;
  timer->anchor = 0;
  timer->serial = loop->serial;
  (void)zl_timer_init(&timer->core, loop->core, on_timer, timer);
  set_call(L, top + 1, 3, top - 3);
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_setmetatable(L, top + 1);
  start(L, timer, top + 1, 1, deadline);
  return 1;
}

static int add_at(lua_State *L, const char *method) {
  zlua_loop *loop = zlua_check_loop(L, 1, method, 0);
  int64_t deadline = zlua_check_seconds(L, method, 1, 2);
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
  cancel(L, timer);
  return 0;
}

static int timer_cancel(lua_State *L) {
  cancel(L, check_self(L, "cancel"));
  return 0;
}

static int timer_active(lua_State *L) {
  lua_pushboolean(L, is_active(check_self(L, "active")));
  return 1;
}

/* Seconds, not below 0; nil at rest. */
static int timer_remaining(lua_State *L) {
  zlua_timer *timer = check_self(L, "remaining");
  const zl_timer *core = zl_timer_in(&timer->core);
  if (!is_active(timer)) {
    lua_pushnil(L);
    return 1;
  }
  int64_t deadline = zl_timer_deadline_ns(core);
  int64_t now = zl_loop_time_ns(zl_timer_loop(core));
  lua_pushnumber(L, deadline > now ? (lua_Number)(deadline - now) / 1e9 : 0);
  return 1;
}

/* [-0, +0] the timer at 1, of the loop at 2. */
static void restart(lua_State *L, zlua_timer *timer, int64_t deadline) {
  if (!is_active(timer)) {
    start(L, timer, 1, 2, deadline);
  } else {
    /* There is room for it: this cannot fail. */
    (void)zl_timer_start_at(zl_timer_in(&timer->core), deadline, 0);
  }
}

/* again(delay): also after it has fired or was cancelled. */
static int timer_again(lua_State *L) {
  zlua_timer *timer = check_self(L, "again");
  int64_t delay = zlua_check_seconds(L, "again", 1, 2);
  lua_settop(L, 1);
  zlua_push_loop(L, timer->serial); /* 2 */
  const zlua_loop *loop = zlua_check_loop(L, 2, "again", 0);
  restart(L, timer, after(loop, delay));
  lua_settop(L, 1);
  return 1;
}

/* again_at(timeout, when): for what keeps to a grid; a delay would be rounded
 * up. */
static int again_at(lua_State *L) {
  zlua_timer *timer = check_self(L, "again_at");
  int64_t deadline = zlua_check_seconds(L, "again_at", 1, 2);
  lua_settop(L, 1);
  zlua_push_loop(L, timer->serial); /* 2 */
  (void)zlua_check_loop(L, 2, "again_at", 0);
  restart(L, timer, deadline);
  return 0;
}

static int timer_tostring(lua_State *L) {
  zlua_timer *timer = check_self(L, "tostring");
  lua_pushfstring(L, "timeout (%s): %p",
                  is_active(timer) ? "active" : "inactive",
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
  lua_pushcfunction(L, again_at);
  lua_setfield(L, -2, "again_at");
  lua_getfield(L, -1, "IOLoop");
  for (const luaL_Reg *method = loop_methods; method->name; method++) {
    zlua_getregistry(L, &zlua_class_timer); /* the metatable */
    lua_pushcclosure(L, method->func, 1);
    lua_setfield(L, -2, method->name);
  }
  lua_pop(L, 1);
}
