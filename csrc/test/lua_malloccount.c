/* The Lua module malloccount: counts this thread's requests to malloc() and its
 * kin, except Lua's own. SPDX-License-Identifier: MIT
 *
 * It counts if it was loaded before the C library, by LD_PRELOAD, and if that
 * is glibc, whose malloc() has a second name. Code that has Lua's allocator
 * from before watch() was called is counted.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include <lauxlib.h>
#include <lua.h>

#define EXPORT __attribute__((visibility("default")))

static __thread long requests;
static __thread int in_lua; /* depth */

#ifdef __GLIBC__

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static void note(void) {
  requests += in_lua == 0;
}

EXPORT void *malloc(size_t size) {
  note();
  return __libc_malloc(size);
}

EXPORT void *calloc(size_t count, size_t size) {
  note();
  return __libc_calloc(count, size);
}

EXPORT void *realloc(void *block, size_t size) {
  note();
  return __libc_realloc(block, size);
}

EXPORT void *aligned_alloc(size_t alignment, size_t size) {
  note();
  return __libc_memalign(alignment, size);
}

EXPORT int posix_memalign(void **block, size_t alignment, size_t size) {
  note();
  *block = __libc_memalign(alignment, size);
  return *block ? 0 : ENOMEM;
}

#endif

static struct {
  lua_Alloc next;
  void *next_ud;
} lua;

static void *allocate(void *ud, void *block, size_t osize, size_t nsize) {
  (void)ud;
  in_lua++;
  block = lua.next(lua.next_ud, block, osize, nsize);
  in_lua--;
  return block;
}

/* watch(): from here on requests of this state's Lua are not counted. */
static int watch(lua_State *L) {
  if (!lua.next) {
    lua.next = lua_getallocf(L, &lua.next_ud);
    lua_setallocf(L, allocate, NULL);
  }
  return 0;
}

/* count() -> requests of this thread so far */
static int count(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)requests);
  return 1;
}

EXPORT int luaopen_malloccount(lua_State *L);

int luaopen_malloccount(lua_State *L) {
  lua_createtable(L, 0, 2);
  lua_pushcfunction(L, watch);
  lua_setfield(L, -2, "watch");
  lua_pushcfunction(L, count);
  lua_setfield(L, -2, "count");
  return 1;
}
