/* The Lua module process: a second process, to test what fork() does to a loop.
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua.h>

#define EXPORT __attribute__((visibility("default")))

/* fork() -> the child's id, or 0 in the child */
static int process_fork(lua_State *L) {
  pid_t pid = fork();
  if (pid < 0)
    return luaL_error(L, "fork: %s", strerror(errno));
  lua_pushinteger(L, (lua_Integer)pid);
  return 1;
}

/* wait(pid) -> exit status, or minus the signal that ended it */
static int process_wait(lua_State *L) {
  pid_t pid = (pid_t)luaL_checkinteger(L, 1);
  int status;
  while (waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR)
      return luaL_error(L, "waitpid: %s", strerror(errno));
  }
  lua_pushinteger(L,
                  WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
  return 1;
}

/* leave(status): ends the process at once, without Lua's or C's clean-up. */
static int process_leave(lua_State *L) {
  _exit((int)luaL_checkinteger(L, 1));
}

EXPORT int luaopen_process(lua_State *L);

int luaopen_process(lua_State *L) {
  lua_createtable(L, 0, 3);
  lua_pushcfunction(L, process_fork);
  lua_setfield(L, -2, "fork");
  lua_pushcfunction(L, process_wait);
  lua_setfield(L, -2, "wait");
  lua_pushcfunction(L, process_leave);
  lua_setfield(L, -2, "leave");
  return 1;
}
