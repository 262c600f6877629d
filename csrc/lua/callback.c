/* callback.c - callbacks with their arguments, and add_callback().
 * SPDX-License-Identifier: MIT
 *
 * A packed callback is one Lua value: the function, if there are no arguments,
 * else a table {number of arguments, callback, arguments...}, since arguments
 * may be nil; or {callback}, where a table is needed.
 *
 * All callbacks of an iteration run in one call from the core, until one yields
 * or raises an error: then the core makes another call.
 */
#include "callback.h"

#include "argument.h"
#include "call.h"
#include "compat.h"
#include "loop.h"
#include "object.h"
#include "open.h"
#include "report.h"
#include "slot.h"
#include "zmqloop.h"
#include "zmqloop_batch.h"

enum { PACKED_COUNT = 1, PACKED_CALLBACK, PACKED_ARGUMENTS };

enum { KEPT_PLACES = 1024 };

/* [-0, +1] packs the callback and `count` arguments, at `first` and after it.
 */
void zlua_pack(lua_State *L, int first, int count) {
  if (count == 0 && lua_isfunction(L, first)) {
    lua_pushvalue(L, first);
    return;
  }
  lua_createtable(L, count + PACKED_CALLBACK, 0);
  lua_pushinteger(L, count);
  lua_rawseti(L, -2, PACKED_COUNT);
  for (int i = 0; i <= count; i++) {
    lua_pushvalue(L, first + i);
    lua_rawseti(L, -2, PACKED_CALLBACK + i);
  }
}

/* [-1, +(1 + n)] replaces the packed callback at the top by the callback and
 * its n arguments; returns n. */
int zlua_unpack(lua_State *L) {
  if (lua_isfunction(L, -1)) {
    return 0;
  }
  int packed = lua_gettop(L);
  lua_rawgeti(L, packed, PACKED_COUNT);
  if (lua_isfunction(L, -1)) {
    lua_replace(L, packed);
    return 0;
  }
  int count = (int)lua_tointeger(L, -1);
  lua_pop(L, 1);
  zlua_make_room(L, count + LUA_MINSTACK);
  for (int i = 0; i <= count; i++) {
    lua_rawgeti(L, packed, PACKED_CALLBACK + i);
  }
  lua_remove(L, packed);
  return count;
}

static void call_callbacks(zl_loop *core, void *arg);

/* The core makes one call for each callback queued here. A call that it had no
 * memory for is counted as owed. */
static void callback_settle(zlua_loop *loop) {
  while (loop->owed > 0 &&
         zl_loop_add_callback(loop->core, call_callbacks, loop) == 0) {
    loop->owed--;
  }
}

/* For the calls that serve a turn. */
typedef struct callbacks {
  zlua_loop *loop;
  bool is_taken; /* the core has taken one off its queue, which is still to be
                  * called */
} callbacks;

static void call_callbacks(zl_loop *core, void *arg) {
  zlua_loop *loop = arg;
  callbacks it = {.loop = loop, .is_taken = true};
  (void)core;
  (void)zlua_call(loop, ZLUA_SLOT_CALL_CALLBACK, &it);
  if (it.is_taken) { /* there was no memory for the call: it is still queued */
    loop->owed++;
  }
  if (loop->owed > 0 && loop->core) {
    callback_settle(loop);
  }
}

/* [-0, +0] gives the loop at 1 a new queue, after a burst. */
static void make_queue(lua_State *L, zlua_loop *loop) {
  zlua_getuservalue(L, 1);
  lua_newtable(L);
  lua_rawseti(L, -2, ZLUA_LOOP_CALLBACKS);
  lua_pop(L, 1);
  loop->lacks_queue = false;
}

/* [-0, +0] after a burst, or where memory was short. */
static void prepare(lua_State *L, zlua_loop *loop) {
  if (loop->lacks_queue) {
    make_queue(L, loop);
  }
  if (loop->core) { /* else a finalizer has just closed it */
    callback_settle(loop);
  }
}

/* [-0, +2] pushes the queue of the loop at 1, on the top, which may be closed.
 */
static inline void push_queue(lua_State *L, zlua_loop *loop) {
  if (loop->lacks_queue || loop->owed > 0) {
    prepare(L, loop);
  }
  zlua_getuservalue(L, 1);
  lua_rawgeti(L, -1, ZLUA_LOOP_CALLBACKS);
}

/* (loop, fn, ...): fn(...) in the next iteration. A closed loop drops it, as it
 * has dropped its pending callbacks. */
static int add_callback(lua_State *L) {
  zlua_loop *loop = zlua_check_self(L, &zlua_class_loop, "add_callback");
  int top = lua_gettop(L);
  if (top == 2 && lua_isfunction(L, 2)) {
    push_queue(L, loop);
    lua_pushvalue(L, 2);
  } else {
    zlua_check_callable(L, "add_callback", 1, 2);
    push_queue(L, loop);
    zlua_pack(L, 2, top - 2);
  }
  if (!loop->core) {
    return 0; /* before, or just now by a finalizer */
  }
  lua_rawseti(L, -2, (int)loop->next_callback);
  int rc = zl_loop_add_callback(loop->core, call_callbacks, loop);
  if (rc < 0) {
    return zlua_raise(L, rc);
  }
  loop->next_callback++;
  return 0;
}

enum {
  LOOP = 4,
  USERVALUE,
  CALLBACKS
}; /* stack indices of zlua_call_callback() */

/* [-0, +1] takes the first callback off the queue and returns its index. An
 * empty queue starts again at 1, so that the table stays an array. After a
 * burst the table is dropped, since it would keep its size. Nothing may be
 * allocated here, so the next add_callback() creates a new one. */
static inline int push_first(lua_State *L, zlua_loop *loop) {
  int place = (int)loop->first_callback;
  loop->first_callback++;
  lua_rawgeti(L, CALLBACKS, place);
  lua_pushnil(L);
  lua_rawseti(L, CALLBACKS, place);
  if (loop->first_callback < loop->next_callback) {
    return CALLBACKS + 1;
  }
  bool was_burst = loop->next_callback > KEPT_PLACES;
  loop->first_callback = 1;
  loop->next_callback = 1;
  if (was_burst) {
    lua_pushboolean(L, 0);
    lua_rawseti(L, USERVALUE, ZLUA_LOOP_CALLBACKS);
    lua_remove(L, CALLBACKS); /* the next call looks them up again */
    lua_remove(L, USERVALUE);
    loop->lacks_queue = true;
  }
  return was_burst ? LOOP + 1 : CALLBACKS + 1;
}

/* Takes the next callback off the core's queue, unless that is already done. */
static bool callback_take_next(callbacks *it) {
  void *arg;
  if (it->is_taken) {
    it->is_taken = false;
    return true;
  }
  return zlua_may_repeat(it->loop) &&
         zl_loop_next_callback(it->loop->core, call_callbacks, &arg);
}

/* (active, state, callbacks, loop) */
static int push_next(lua_State *L, void *handle) {
  callbacks *it = handle;
  zlua_loop *loop = it->loop;
  if (!callback_take_next(it)) {
    return 0;
  }
  if (lua_gettop(L) == LOOP) {
    zlua_getuservalue(L, LOOP);
    lua_rawgeti(L, -1, ZLUA_LOOP_CALLBACKS);
  }
  int callback = push_first(L, loop);
  int count = zlua_unpack(L);
  zlua_calling(L, 2, callback);
  return 1 + count;
}

static const zlua_slot_call callback_call = {
    .slot = ZLUA_SLOT_CALL_CALLBACK,
    .next = push_next,
    .repeated = true,
    .may_end = true,
};

/* [-0, +0] module table on the top. */
void zlua_open_callback(lua_State *L) {
  zlua_slot_register(L, &callback_call);
  lua_getfield(L, -1, "IOLoop");
  lua_pushcfunction(L, add_callback);
  lua_setfield(L, -2, "add_callback");
  lua_pop(L, 1);
}
