/* timer.c - handles of add_timeout(), call_later() and call_at().
 * SPDX-License-Identifier: MIT
 *
 * Timers are numerous, so they are small: the core's timer is inside the
 * userdata, whose uservalue is the packed callback. A pending one costs that,
 * an entry in the heap and a place among the loop's active handles. An
 * unreferenced handle is collected with its callback once it has fired; a
 * referenced one can be started again while its loop exists.
 *
 * All timers due in an iteration run in one call from the core, until one
 * yields or raises an error: then the core makes another call.
 *
 * There is no finalizer: the core knows a timer only while it is active, and
 * then the loop keeps it alive, so Lua frees it only after the loop's finalizer
 * has run.
 */
#include "timer.h"

#include "argument.h"
#include "call.h"
#include "callback.h"
#include "clock.h"
#include "compat.h"
#include "handle.h"
#include "loop.h"
#include "object.h"
#include "open.h"
#include "report.h"
#include "slot.h"
#include "zmqloop.h"
#include "zmqloop_batch.h"

typedef struct zlua_timer {
  const zlua_class *class;
  int anchor; /* its place among the loop's active handles; 0: at rest */
  int serial; /* of the loop */
  zl_timer_memory core;
} zlua_timer;

const zlua_class zlua_class_timer = {.name = "timeout",
                                     .size = sizeof(zlua_timer)};

static zlua_timer *timer_check_self(lua_State *L, const char *method) {
  return zlua_check_self(L, &zlua_class_timer, method);
}

/* Timers of a closed loop are at rest, and their anchors meaningless. */
static bool is_active(zlua_timer *timer) {
  return zl_timer_active(zl_timer_in(&timer->core));
}

/* Upvalues of the functions here. */
enum {
  METATABLE = lua_upvalueindex(1), /* of timers */
  ACTIVES = lua_upvalueindex(2),   /* zlua_push_actives() */
  LAST_CELL = lua_upvalueindex(3)  /* set_callback()'s, weak */
};

/* ---- the callback ---------------------------------------------------------
 *
 * Before 5.3 a uservalue must be a table, so a cell is used: a table that holds
 * just the function. Timers created in a row with the same function share it.
 */

#define TABLES_ONLY (LUA_VERSION_NUM < 503)

/* [-1, +1] replaces the function at the top by its cell. */
static void replace_by_cell(lua_State *L) {
  lua_rawgeti(L, LAST_CELL, 1);
  if (lua_istable(L, -1)) {
    lua_rawgeti(L, -1, 1); /* function, cell, its function */
    bool is_same = lua_rawequal(L, -1, -3);
    lua_pop(L, 1);
    if (is_same) {
      lua_replace(L, -2);
      return;
    }
  }
  lua_pop(L, 1);
  lua_createtable(L, 1, 0);
  lua_insert(L, -2);
  lua_rawseti(L, -2, 1); /* cell */
  lua_pushvalue(L, -1);
  lua_rawseti(L, LAST_CELL, 1);
}

/* [-0, +0] the callback and `count` arguments are at `first` and after it. */
static void set_callback(lua_State *L, int index, int first, int count) {
  zlua_pack(L, first, count);
  if (TABLES_ONLY && lua_isfunction(L, -1)) {
    replace_by_cell(L);
  }
  zlua_setuservalue(L, index);
}

/* ---- starting and firing ------------------------------------------------- */

static zlua_loop *loop_of(zlua_timer *timer) {
  return zl_loop_data(zl_timer_loop(zl_timer_in(&timer->core)));
}

static void on_timer(zl_timer *core, uint64_t missed, void *arg) {
  zlua_timer *timer = arg;
  zlua_loop *loop = loop_of(timer);
  (void)missed;
  (void)zlua_call(loop, ZLUA_SLOT_CALL_TIMER, &timer);
  if (timer && loop->core && timer->anchor != 0) {
    (void)zl_timer_start(core, 0, 0); /* no memory for the call: try again */
  }
}

/* [-0, +0] the loop no longer keeps the handle alive. */
static void timer_release(lua_State *L, zlua_timer *timer, int active_index) {
  zlua_let_go(L, loop_of(timer), active_index, timer->anchor);
  timer->anchor = 0;
}

/* The next timer to be called: one that the core has already taken, or takes
 * now. */
static zlua_timer *timer_take_next(zlua_timer **taken, const zlua_loop *loop) {
  zlua_timer *timer = *taken;
  *taken = NULL;
  if (!timer && zlua_may_repeat(loop)) {
    uint64_t missed;
    zl_timer *core = zl_timer_next(loop->core, on_timer, &missed);
    timer = core ? zl_timer_arg(core) : NULL;
  }
  return timer;
}

/* [-0, +1] the callback alone, of the timer at index. */
void zlua_timer_push_callback(lua_State *L, int index) {
  zlua_getuservalue(L, index);
  lua_pop(L, zlua_unpack(L));
}

/* (active, state, taken, loop) */
static int next_timer(lua_State *L, void *taken) {
  zlua_timer *timer = timer_take_next(taken, lua_touserdata(L, 4));
  if (!timer) {
    return 0;
  }
  lua_settop(L, 4);
  lua_rawgeti(L, 1, timer->anchor); /* 5: the handle, kept here */
  timer_release(L, timer, 1);
  zlua_getuservalue(L, 5);
  int count = zlua_unpack(L);
  zlua_calling(L, 2, 6);
  return 1 + count;
}

/* [-0, +0] cancels a timer, even one that has fired or was cancelled before. */
static void cancel(lua_State *L, zlua_timer *timer) {
  if (!is_active(timer)) {
    return;
  }
  zl_timer_cancel(zl_timer_in(&timer->core));
  lua_rawgeti(L, ACTIVES, timer->serial);
  if (lua_istable(L, -1)) { /* else it is being collected with the loop */
    timer_release(L, timer, lua_gettop(L));
  }
  lua_pop(L, 1);
}

/* [-0, +1] starts the timer at index, which is at rest. When out of memory,
 * raises and leaves it at rest. */
static void start(lua_State *L, zlua_timer *timer, int index,
                  int64_t deadline) {
  int active = lua_gettop(L) + 1;
  lua_rawgeti(L, ACTIVES, timer->serial);
  if (!timer->anchor) { /* else a call of it failed for lack of memory */
    timer->anchor = zlua_keep(L, loop_of(timer), active, index);
  }
  int rc = zl_timer_start_at(zl_timer_in(&timer->core), deadline, 0);
  if (rc < 0) {
    timer_release(L, timer, active);
    zlua_raise(L, rc);
  }
}

/* (loop, when, fn, ...) -> handle */
static int new_timer(lua_State *L, const zlua_loop *loop, int64_t deadline) {
  int top = lua_gettop(L);
  zlua_timer *timer = zlua_newuserdata(L, sizeof *timer);
  timer->class = &zlua_class_timer;
  timer->anchor = 0;
  timer->serial = loop->serial;
  set_callback(L, top + 1, 3, top - 3);
  if (!loop->core) { /* a finalizer has just closed it */
    return zlua_error(L, "loop is closed");
  }
  (void)zl_timer_init(&timer->core, loop->core, on_timer, timer);
  lua_pushvalue(L, METATABLE);
  lua_setmetatable(L, top + 1);
  start(L, timer, top + 1, deadline);
  lua_pushvalue(L, top + 1);
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

static inline int64_t timer_after(lua_State *L, const zlua_loop *loop,
                                  int64_t delay) {
  return zl_time_add(zlua_now_ns(L, loop), delay);
}

static int call_later(lua_State *L) {
  zlua_loop *loop = zlua_check_loop(L, 1, "call_later", 0);
  int64_t delay = zlua_check_seconds(L, "call_later", 1, 2);
  zlua_check_callable(L, "call_later", 2, 3);
  return new_timer(L, loop, timer_after(L, loop, delay));
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
  cancel(L, timer_check_self(L, "cancel"));
  return 0;
}

static int timer_active(lua_State *L) {
  lua_pushboolean(L, is_active(timer_check_self(L, "active")));
  return 1;
}

/* Seconds, not below 0; nil at rest. */
static int timer_remaining(lua_State *L) {
  zlua_timer *timer = timer_check_self(L, "remaining");
  const zl_timer *core = zl_timer_in(&timer->core);
  if (!is_active(timer)) {
    lua_pushnil(L);
    return 1;
  }
  int64_t now = zlua_now_ns(L, loop_of(timer));
  int64_t left = zl_time_until(zl_timer_deadline_ns(core), now);
  lua_pushnumber(L, (lua_Number)left / 1e9);
  return 1;
}

/* The loop of the timer, which may be at rest. Raises if the loop is closed. */
static const zlua_loop *timer_check_loop(lua_State *L, zlua_timer *timer,
                                         const char *method) {
  if (is_active(timer)) {
    return loop_of(timer);
  }
  zlua_push_loop(L, timer->serial);
  return zlua_check_loop(L, lua_gettop(L), method, 0);
}

/* [-0, +0] the timer at 1. */
static void restart(lua_State *L, zlua_timer *timer, int64_t deadline) {
  if (!is_active(timer)) {
    start(L, timer, 1, deadline);
  } else {
    /* For an active timer it cannot fail. */
    (void)zl_timer_start_at(zl_timer_in(&timer->core), deadline, 0);
  }
}

/* again(delay): works even after it has fired or was cancelled. */
static int timer_again(lua_State *L) {
  zlua_timer *timer = timer_check_self(L, "again");
  int64_t delay = zlua_check_seconds(L, "again", 1, 2);
  lua_settop(L, 1);
  restart(L, timer, timer_after(L, timer_check_loop(L, timer, "again"), delay));
  lua_settop(L, 1);
  return 1;
}

/* again_at(timeout, when): for timers on a grid, where a delay would be rounded
 * up. */
static int again_at(lua_State *L) {
  zlua_timer *timer = timer_check_self(L, "again_at");
  int64_t deadline = zlua_check_seconds(L, "again_at", 1, 2);
  lua_settop(L, 1);
  (void)timer_check_loop(L, timer, "again_at");
  restart(L, timer, deadline);
  return 0;
}

static int timer_tostring(lua_State *L) {
  zlua_timer *timer = timer_check_self(L, "tostring");
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

static const luaL_Reg functions[] = {
    {"again_at", again_at},
    {NULL, NULL},
};

static const luaL_Reg loop_methods[] = {
    {"add_timeout", add_timeout},
    {"call_at", call_at},
    {"call_later", call_later},
    {"remove_timeout", remove_timeout},
    {NULL, NULL},
};

/* [-0, +0] sets the functions in the table at the top. The metatable is at
 * `upvalues`, the other upvalues are after it. */
static void set_closures(lua_State *L, const luaL_Reg *list, int upvalues) {
  for (; list->name; list++) {
    for (int i = 0; i < 3; i++) {
      lua_pushvalue(L, upvalues + i);
    }
    lua_pushcclosure(L, list->func, 3);
    lua_setfield(L, -2, list->name);
  }
}

/* [-0, +1] a table whose values are weak. */
static void new_weak_table(lua_State *L) {
  lua_newtable(L);
  lua_newtable(L);
  lua_pushliteral(L, "v");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
}

static const zlua_slot_call timer_call = {
    .slot = ZLUA_SLOT_CALL_TIMER,
    .next = next_timer,
    .repeated = true,
    .may_end = true,
};

/* [-0, +0] module table on the top. */
void zlua_open_timer(lua_State *L) {
  zlua_slot_register(L, &timer_call);
  static const luaL_Reg none[] = {{NULL, NULL}};
  int module = lua_gettop(L);
  zlua_new_class(L, &zlua_class_timer, none, none); /* methods */
  zlua_getregistry(L, &zlua_class_timer);           /* metatable */
  zlua_push_actives(L);
  new_weak_table(L);
  lua_pushvalue(L, module + 1);
  set_closures(L, methods, module + 2);
  lua_pushvalue(L, module + 2);
  set_closures(L, metamethods, module + 2);
  lua_pushvalue(L, module);
  set_closures(L, functions, module + 2);
  lua_getfield(L, module, "IOLoop");
  set_closures(L, loop_methods, module + 2);
  lua_settop(L, module);
}
