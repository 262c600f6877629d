/* slot.c - the C functions in which calls from the core begin.
 * SPDX-License-Identifier: MIT
 *
 * Each class registers the functions of its slots. A slot's C function gets the
 * user's function and its arguments from `next`, and calls it.
 *
 * Before 5.2 and in LuaJIT nothing can yield across a C function. There `next`
 * only returns what is to be called, and a Lua function calls it.
 */
#include "slot.h"

#include <string.h>

#include "calls.h"
#include "compat.h"
#include "hook.h"
#include "loop.h"
#include "object.h"
#include "open.h"
#include "zmqloop_batch.h"

/* Registry keys of two tables: slot -> its C function, and slot ->
 * zlua_slot_call. */
static const char functions_key;
static const char calls_key;

/* [-0, +1] pushes the functions, by slot. */
void zlua_push_slots(lua_State *L) {
  zlua_getregistry(L, &functions_key);
}

/* What the slot calls, or NULL. */
static const zlua_slot_call *call_of_slot(lua_State *L, int slot) {
  zlua_getregistry(L, &calls_key);
  lua_rawgeti(L, -1, slot);
  const zlua_slot_call *it = lua_touserdata(L, -1);
  lua_pop(L, 2);
  return it;
}

/* suspend_call(coroutine): the call in the coroutine is about to yield. -> what
 * to pass to resume_call() when it has ended; nil if nothing waits for that */
static int suspend_call(lua_State *L) {
  const zlua_calls *calls = zlua_calls_of(L);
  if (!calls->runner || calls->runner != lua_tothread(L, 1)) {
    return 0;
  }
  const zlua_slot_call *it = call_of_slot(L, calls->slot);
  return it && it->class ? it->suspend(L, calls->handle) : 0;
}

/* resume_call(object): the call has ended. */
static int resume_call(lua_State *L) {
  for (int slot = 0; slot < ZLUA_SLOTS; slot++) {
    const zlua_slot_call *it = call_of_slot(L, slot);
    if (it && it->class && zlua_test_object(L, 1, it->class)) {
      it->resume(L);
      return 0;
    }
  }
  return zlua_bad_self(L, 1, "resume_call", "stream or handler");
}

/* ---- what runs in a runner ----------------------------------------------- */

#if ZLUA_KEEPS_STACK

#if LUA_VERSION_NUM >= 503
static int after_yield(lua_State *L, int status, lua_KContext context) {
  (void)L;
  (void)status;
  (void)context;
  return 0;
}
#else
static int after_yield(lua_State *L) {
  (void)L;
  return 0;
}
#endif

/* (active, state, handle, loop) */
static int call_once(lua_State *L) {
  const zlua_slot_call *it = lua_touserdata(L, lua_upvalueindex(1));
  int values = it->next(L, lua_touserdata(L, 3));
  if (values > 0) {
    lua_callk(L, values - 1, 0, 0, after_yield);
  }
  return 0;
}

/* the same */
static int call_repeatedly(lua_State *L) {
  const zlua_slot_call *it = lua_touserdata(L, lua_upvalueindex(1));
  zlua_next_fn next = it->next;
  void *handle = lua_touserdata(L, 3);
  int values;
  while ((values = next(L, handle)) > 0) {
    lua_callk(L, values - 1, 0, 0, after_yield);
  }
  return 0;
}

/* [-0, +1] */
static void push_function(lua_State *L, const zlua_slot_call *it) {
  lua_pushlightuserdata(L, (void *)(size_t)it);
  lua_pushcclosure(L, it->repeated ? call_repeatedly : call_once, 1);
}

#else

static const char call_once[] =
    "local next = ...\n"
    "local function call(fn, ...)\n"
    "  if fn ~= nil then\n"
    "    return fn(...)\n"
    "  end\n"
    "end\n"
    "return function(active, state, handle, loop)\n"
    "  return call(next(active, state, handle, loop))\n"
    "end\n";

static const char call_repeatedly[] =
    "local next = ...\n"
    "local function last(fn, ...)\n"
    "  return fn(...)\n"
    "end\n"
    "local function call(active, state, handle, loop, fn, ...)\n"
    "  if fn then\n"
    "    fn(...)\n"
    "    return call(active, state, handle, loop,\n"
    "      next(active, state, handle, loop))\n"
    "  elseif fn == false then\n"
    "    return last(...)\n"
    "  end\n"
    "end\n"
    "return function(active, state, handle, loop)\n"
    "  return call(active, state, handle, loop,\n"
    "    next(active, state, handle, loop))\n"
    "end\n";

/* The last one is a tail call, marked by `false`: no function of ours is below
 * it whose position error() would report. A C function, such as error() itself,
 * is always the last one. */
static bool is_last(lua_State *L, const zlua_loop *loop, int values) {
  return zl_loop_is_last(loop->core) || lua_iscfunction(L, -values);
}

/* After a yield the handle is gone: it was on the stack of the caller. */
static int next_of(lua_State *L) {
  const zlua_slot_call *it = lua_touserdata(L, lua_upvalueindex(1));
  const zlua_calls *calls = lua_touserdata(L, lua_upvalueindex(2));
  int values = calls->runner == L ? it->next(L, lua_touserdata(L, 3)) : 0;
  if (it->may_end && values > 0 && is_last(L, calls->loop, values)) {
    lua_pushboolean(L, 0);
    lua_insert(L, -values - 1);
    values++;
  }
  return values;
}

/* [-0, +1] */
static void push_function(lua_State *L, const zlua_slot_call *it) {
  const char *source = it->repeated ? call_repeatedly : call_once;
  if (luaL_loadbuffer(L, source, strlen(source), "=zmqloop") != 0) {
    lua_error(L);
  }
  lua_pushlightuserdata(L, (void *)(size_t)it);
  lua_pushlightuserdata(L, zlua_calls_of(L));
  lua_pushcclosure(L, next_of, 2);
  lua_call(L, 1, 1);
}

#endif

/* ---- registering --------------------------------------------------------- */

/* [-1, +0] puts the value at the top into the slot. */
static void fill_slot(lua_State *L, zlua_slot slot) {
  zlua_push_slots(L);
  lua_insert(L, -2);
  lua_rawseti(L, -2, slot);
  lua_pop(L, 1);
}

/* [-0, +0] puts a C function into the slot. */
void zlua_slot_set(lua_State *L, zlua_slot slot, lua_CFunction function) {
  lua_pushcfunction(L, function);
  fill_slot(L, slot);
}

/* [-0, +0] makes the slot call as described by `it`, which must stay valid. */
void zlua_slot_register(lua_State *L, const zlua_slot_call *it) {
  push_function(L, it);
  fill_slot(L, it->slot);
  zlua_getregistry(L, &calls_key);
  lua_pushlightuserdata(L, (void *)(size_t)it);
  lua_rawseti(L, -2, it->slot);
  lua_pop(L, 1);
}

/* set_receiver(function): from now on this function serves the turns of
 * streams, given (active, state, turn, loop). */
static int set_receiver(lua_State *L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_settop(L, 1);
  fill_slot(L, ZLUA_SLOT_CALL_RECV);
  return 0;
}

/* [-0, +0] module table on the top. */
void zlua_open_slot(lua_State *L) {
  static const luaL_Reg functions[] = {
      {"suspend_call", suspend_call},
      {"resume_call", resume_call},
      {"set_receiver", set_receiver},
      {NULL, NULL},
  };
  lua_newtable(L);
  lua_pushliteral(L, "__call");
  lua_rawseti(L, -2, ZLUA_SLOT_CALL_NAME);
  lua_pushliteral(L, "interrupted!");
  lua_rawseti(L, -2, ZLUA_SLOT_INTERRUPTED);
  zlua_setregistry(L, &functions_key);
  lua_newtable(L);
  zlua_setregistry(L, &calls_key);
  zlua_slot_set(L, ZLUA_SLOT_NOTHING, zlua_nothing);
  zlua_setfuncs(L, functions);
}
