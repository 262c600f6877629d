/* The Lua module faultalloc: makes Lua's allocator fail, to test what happens
 * when memory runs out. SPDX-License-Identifier: MIT
 *
 * Only requests that make a block larger are counted and may fail: freeing and
 * shrinking never do, which Lua relies on. The allocator is wrapped at the
 * first use and stays wrapped: code that has copied it from lua_getallocf()
 * keeps calling it. For the same reason the module never leaves the process,
 * not even in lua_close(), which frees its memory after it has unloaded the
 * modules.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <limits.h>
#include <stddef.h>

#include <lauxlib.h>
#include <lua.h>

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

static void arm(lua_State *L, enum fault_mode mode) {
  lua_Integer n = luaL_checkinteger(L, 1);
  luaL_argcheck(L, n >= 1 && n <= LONG_MAX, 1, "counts from 1");
  if (fault.next == NULL) {
    fault.next = lua_getallocf(L, &fault.next_ud);
    lua_setallocf(L, allocate, NULL);
  }
  fault.target = (long)n;
  fault.seen = 0;
  fault.retry_of = 0;
  fault.mode = mode;
}

/* fail_from(n): every growing request from the n-th on fails. */
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
