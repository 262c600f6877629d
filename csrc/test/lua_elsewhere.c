/* The Lua module elsewhere: code in another thread, in a Lua state of its own,
 * and in a forked process. SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#define EXPORT __attribute__((visibility("default")))

enum { RESULT_SPACE = 1000, CHILD_SECONDS = 20 };

typedef struct work {
  pthread_t thread;
  char *source;
  void *pointer;
  int running;
  int succeeded;
  char result[RESULT_SPACE];
} work;

static const char *const class_name = "test.elsewhere";

/* (work): runs the chunk with the pointer; keeps what it returns as text. */
static int run(lua_State *L) {
  work *it = lua_touserdata(L, 1);
  luaL_openlibs(L);
  if (luaL_loadstring(L, it->source) != 0) {
    return lua_error(L);
  }
  lua_pushlightuserdata(L, it->pointer);
  lua_call(L, 1, 1);
  if (lua_isstring(L, -1)) {
    strncpy(it->result, lua_tostring(L, -1), RESULT_SPACE - 1);
  }
  return 0;
}

static void *begin(void *arg) {
  work *it = arg;
  lua_State *L = luaL_newstate();
  if (!L) {
    strncpy(it->result, "no memory", RESULT_SPACE - 1);
    return NULL;
  }
  lua_pushcfunction(L, run);
  lua_pushlightuserdata(L, it);
  it->succeeded = lua_pcall(L, 1, 0, 0) == 0;
  if (!it->succeeded && lua_isstring(L, -1)) {
    strncpy(it->result, lua_tostring(L, -1), RESULT_SPACE - 1);
  }
  lua_close(L);
  return NULL;
}

/* thread(source, light userdata): starts the chunk, which gets the latter. */
static int thread(lua_State *L) {
  const char *source = luaL_checkstring(L, 1);
  work *it = lua_newuserdata(L, sizeof *it);
  memset(it, 0, sizeof *it);
  it->pointer = lua_touserdata(L, 2);
  luaL_getmetatable(L, class_name);
  lua_setmetatable(L, -2);
  it->source = strdup(source);
  if (!it->source || pthread_create(&it->thread, NULL, begin, it) != 0) {
    return luaL_error(L, "no thread");
  }
  it->running = 1;
  return 1;
}

static void finish(work *it) {
  if (it->running) {
    (void)pthread_join(it->thread, NULL);
    it->running = 0;
  }
  free(it->source);
  it->source = NULL;
}

/* work:join() -> whether it succeeded, its result or error as a string */
static int join(lua_State *L) {
  work *it = luaL_checkudata(L, 1, class_name);
  finish(it);
  lua_pushboolean(L, it->succeeded);
  lua_pushstring(L, it->result);
  return 2;
}

static int work_gc(lua_State *L) {
  finish(luaL_checkudata(L, 1, class_name));
  return 0;
}

/* AddressSanitizer's allocator (GCC 12) does not look after its locks in a
 * fork: the child waits for ever for one that another thread was holding. */
static int waits_for_sanitizer(int status) {
#ifdef __SANITIZE_ADDRESS__
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
#else
  (void)status;
  return 0;
#endif
}

/* process(fn) -> whether fn() succeeded in a forked process, which ends without
 * closing its Lua state; its error goes to stderr. */
static int process(lua_State *L) {
  int status = -1;
  luaL_checktype(L, 1, LUA_TFUNCTION);
  pid_t child = fork();
  if (child == 0) {
    (void)signal(SIGALRM, SIG_DFL); /* the storm of signals has a handler */
    (void)alarm(CHILD_SECONDS);
    int failed = lua_pcall(L, 0, 0, 0);
    if (failed) {
      const char *text = lua_tostring(L, -1);
      (void)!write(STDERR_FILENO, text, strlen(text));
    }
    _exit(failed ? 1 : 0);
  }
  if (child < 0) {
    return luaL_error(L, "no process");
  }
  while (waitpid(child, &status, 0) != child) {
    if (errno != EINTR) {
      return luaL_error(L, "waitpid: %s", strerror(errno));
    }
  }
  lua_pushboolean(L, (WIFEXITED(status) && WEXITSTATUS(status) == 0) ||
                         waits_for_sanitizer(status));
  return 1;
}

EXPORT int luaopen_elsewhere(lua_State *L);

int luaopen_elsewhere(lua_State *L) {
  luaL_newmetatable(L, class_name);
  lua_pushcfunction(L, work_gc);
  lua_setfield(L, -2, "__gc");
  lua_newtable(L);
  lua_pushcfunction(L, join);
  lua_setfield(L, -2, "join");
  lua_setfield(L, -2, "__index");
  lua_pop(L, 1);
  lua_createtable(L, 0, 2);
  lua_pushcfunction(L, thread);
  lua_setfield(L, -2, "thread");
  lua_pushcfunction(L, process);
  lua_setfield(L, -2, "process");
  return 1;
}
