/* The Lua module process: a second process, to test what fork() does to a loop,
 * and what the process does with signals. SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
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

static volatile sig_atomic_t handled;

static void count(int number) {
  (void)number;
  handled++;
}

/* kill(number): sends the signal to this process. */
static int process_kill(lua_State *L) {
  if (kill(getpid(), (int)luaL_checkinteger(L, 1)) < 0)
    return luaL_error(L, "kill: %s", strerror(errno));
  return 0;
}

/* dispose(number, "default" | "ignore" | "count"): sets what the signal does.
 */
static int process_dispose(lua_State *L) {
  static const char *const names[] = {"default", "ignore", "count", NULL};
  static void (*const handlers[])(int) = {SIG_DFL, SIG_IGN, count};
  int which = luaL_checkoption(L, 2, NULL, names);
  handled = 0;
  if (signal((int)luaL_checkinteger(L, 1), handlers[which]) == SIG_ERR)
    return luaL_error(L, "signal: %s", strerror(errno));
  return 0;
}

/* disposition(number) -> "default", "ignore", "count" or "handler" */
static int process_disposition(lua_State *L) {
  struct sigaction action;
  if (sigaction((int)luaL_checkinteger(L, 1), NULL, &action) < 0)
    return luaL_error(L, "sigaction: %s", strerror(errno));
  lua_pushstring(L, action.sa_handler == SIG_DFL   ? "default"
                    : action.sa_handler == SIG_IGN ? "ignore"
                    : action.sa_handler == count   ? "count"
                                                   : "handler");
  return 1;
}

/* handled() -> how many signals "count" has counted since dispose() */
static int process_handled(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)handled);
  return 1;
}

EXPORT int luaopen_process(lua_State *L);

static const luaL_Reg functions[] = {
    {"fork", process_fork},       {"wait", process_wait},
    {"leave", process_leave},     {"kill", process_kill},
    {"dispose", process_dispose}, {"disposition", process_disposition},
    {"handled", process_handled}, {NULL, NULL},
};

int luaopen_process(lua_State *L) {
  lua_newtable(L);
  for (const luaL_Reg *function = functions; function->name; function++) {
    lua_pushcfunction(L, function->func);
    lua_setfield(L, -2, function->name);
  }
  return 1;
}
