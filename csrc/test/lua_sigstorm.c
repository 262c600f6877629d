/* The Lua module sigstorm: interrupts the process again and again, to test
 * calls that fail with EINTR. SPDX-License-Identifier: MIT
 *
 * The handler does nothing and is installed without SA_RESTART, so every call
 * that can be interrupted is.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <sys/time.h>

#include <lauxlib.h>
#include <lua.h>

#define EXPORT __attribute__((visibility("default")))

static volatile sig_atomic_t interruptions;

static void on_alarm(int number) {
  (void)number;
  interruptions++;
}

static int set_interval(long microseconds) {
  struct itimerval timer;
  timer.it_interval.tv_sec = microseconds / 1000000;
  timer.it_interval.tv_usec = microseconds % 1000000;
  timer.it_value = timer.it_interval;
  return setitimer(ITIMER_REAL, &timer, NULL);
}

/* start(microseconds): one signal per interval, until stop(). */
static int start(lua_State *L) {
  lua_Integer interval = luaL_checkinteger(L, 1);
  struct sigaction action;
  luaL_argcheck(L, interval >= 1 && interval <= 1000000, 1, "1 to 1000000");
  memset(&action, 0, sizeof action);
  action.sa_handler = on_alarm;
  sigemptyset(&action.sa_mask);
  interruptions = 0;
  if (sigaction(SIGALRM, &action, NULL) != 0 ||
      set_interval((long)interval) != 0)
    return luaL_error(L, "no timer");
  return 0;
}

/* stop() -> number of signals that arrived. */
static int stop(lua_State *L) {
  (void)set_interval(0);
  lua_pushinteger(L, (lua_Integer)interruptions);
  return 1;
}

EXPORT int luaopen_sigstorm(lua_State *L);

int luaopen_sigstorm(lua_State *L) {
  lua_createtable(L, 0, 2);
  lua_pushcfunction(L, start);
  lua_setfield(L, -2, "start");
  lua_pushcfunction(L, stop);
  lua_setfield(L, -2, "stop");
  return 1;
}
