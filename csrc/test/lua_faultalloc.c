/* The Lua module faultalloc: makes Lua's allocator fail, to test what happens
 * when memory runs out. SPDX-License-Identifier: MIT
 *
 * Only requests that make a block larger are counted and may fail: freeing and
 * shrinking never do, which Lua relies on. The allocator is wrapped at the
 * first use and stays wrapped: code that has copied it from lua_getallocf()
 * keeps calling it. For the same reason the module never leaves the process,
 * not even in lua_close(), which frees its memory after it has unloaded the
 * modules.
 *
 * LuaJIT crashes, later, in its collector, after an allocation of compiled code
 * or of its compiler has failed. There, code is interpreted while allocations
 * may fail.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <limits.h>
#include <stddef.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#ifdef LUA_JITLIBNAME
#include <luajit.h>
#endif

#define EXPORT __attribute__((visibility("default")))

enum fault_mode {
  FAULT_OFF,
  FAULT_FROM, /* the n-th request fails and all after it */
  FAULT_ONCE  /* the n-th fails, and its retry after Lua collected garbage */
};

static struct fault {
  lua_Alloc next; /* what was wrapped; NULL: nothing yet */
  void *next_ud;
  enum fault_mode mode;
  long target;     /* n */
  long seen;       /* growing requests since the mode was set */
  size_t retry_of; /* size of the request that failed; 0: none */
  const void *retry_block;
  int compiler_stopped; /* by this module */
} fault;

/* Whether this request is Lua's second try of the one that failed: the next
 * one to grow anything, with the same arguments. 5.1 and LuaJIT try once. */
static int is_retry(const void *block, size_t size) {
  int retry = fault.retry_of == size && fault.retry_block == block;
#if LUA_VERSION_NUM < 502
  retry = 0;
#endif
  fault.retry_of = 0;
  return retry;
}

static int fails(const void *block, size_t size) {
  if (fault.mode == FAULT_OFF)
    return 0;
  fault.seen++;
  if (fault.mode == FAULT_FROM)
    return fault.seen >= fault.target;
  if (is_retry(block, size)) {
    fault.seen--;
    return 1;
  }
  if (fault.seen != fault.target)
    return 0;
  fault.retry_of = size;
  fault.retry_block = block;
  return 1;
}

static void *allocate(void *ud, void *block, size_t osize, size_t nsize) {
  int grows = nsize > 0 && (block == NULL || nsize > osize);
  (void)ud;
  if (grows && fails(block, nsize))
    return NULL;
  return fault.next(fault.next_ud, block, osize, nsize);
}

#ifdef LUA_JITLIBNAME

static int compiles(lua_State *L) {
  int yes;
  lua_getglobal(L, LUA_JITLIBNAME);
  lua_getfield(L, -1, "status");
  lua_call(L, 0, 1);
  yes = lua_toboolean(L, -1);
  lua_pop(L, 2);
  return yes;
}

static int interpret(lua_State *L) {
  luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
  luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_FLUSH);
  return 0;
}

static int compile_again(lua_State *L) {
  luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_ON);
  return 0;
}

/* LuaJIT raises in a finalizer, which may have interrupted compiled code. */
static int may_call(lua_State *L, lua_CFunction change) {
  int done = lua_cpcall(L, change, NULL) == 0;
  if (!done)
    lua_pop(L, 1);
  return done;
}

/* Returns 0 where that cannot be. */
static int stop_compiler(lua_State *L) {
  int compiled = compiles(L);
  if (!may_call(L, interpret))
    return 0;
  fault.compiler_stopped |= compiled;
  return 1;
}

/* In a finalizer the next call of off() does it. */
static void resume_compiler(lua_State *L) {
  if (fault.compiler_stopped && may_call(L, compile_again))
    fault.compiler_stopped = 0;
}

#else

static int stop_compiler(lua_State *L) {
  (void)L;
  return 1;
}

static void resume_compiler(lua_State *L) {
  (void)L;
}

#endif

static void arm(lua_State *L, enum fault_mode mode) {
  lua_Integer n = luaL_checkinteger(L, 1);
  luaL_argcheck(L, n >= 1 && n <= LONG_MAX, 1, "counts from 1");
  if (!stop_compiler(L))
    return;
  if (fault.next == NULL) {
    fault.next = lua_getallocf(L, &fault.next_ud);
    lua_setallocf(L, allocate, NULL);
  }
  fault.target = (long)n;
  fault.seen = 0;
  fault.retry_of = 0;
  fault.mode = mode;
}

/* fail_from(n): every growing request from the n-th on fails. Under LuaJIT
 * neither this nor fail_once() does anything in a finalizer. */
static int fail_from(lua_State *L) {
  arm(L, FAULT_FROM);
  return 0;
}

/* fail_once(n): the n-th growing request and its retry fail. */
static int fail_once(lua_State *L) {
  arm(L, FAULT_ONCE);
  return 0;
}

/* off() -> number of growing requests seen since the last fail_...(). */
static int off(lua_State *L) {
  fault.mode = FAULT_OFF;
  resume_compiler(L);
  lua_pushinteger(L, (lua_Integer)fault.seen);
  return 1;
}

static void stay_loaded(void) {
  Dl_info info;
  if (dladdr(&fault, &info) != 0)
    (void)dlopen(info.dli_fname, RTLD_NOW | RTLD_NODELETE);
}

EXPORT int luaopen_faultalloc(lua_State *L);

int luaopen_faultalloc(lua_State *L) {
  stay_loaded();
  lua_createtable(L, 0, 3);
  lua_pushcfunction(L, fail_from);
  lua_setfield(L, -2, "fail_from");
  lua_pushcfunction(L, fail_once);
  lua_setfield(L, -2, "fail_once");
  lua_pushcfunction(L, off);
  lua_setfield(L, -2, "off");
  return 1;
}
