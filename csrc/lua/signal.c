/* signal.c - add_signal_handler(): signals of the process, on the loop.
 * SPDX-License-Identifier: MIT
 *
 * The core's handler only counts; Lua is called from the loop. A loop has a
 * table of its handlers by signal number, and closes their watches itself, so
 * there is no handle and no finalizer.
 */
#include "signal.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "argument.h"
#include "call.h"
#include "compat.h"
#include "exit.h"
#include "interrupt.h"
#include "loop.h"
#include "open.h"
#include "report.h"
#include "slot.h"
#include "zmqloop.h"

/* An entry of the table of handlers. */
enum { SIGNAL_NAME = 1, SIGNAL_CALLBACK, SIGNAL_WATCH };

/* ---- names --------------------------------------------------------------- */

typedef struct name {
  const char *text;
  int number;
} name;

#define S(text)                                                                \
  { #text, SIG##text }

static const name names[] = {
    S(HUP),   S(INT),  S(QUIT), S(ILL),  S(TRAP), S(ABRT),   S(BUS),
    S(FPE),   S(KILL), S(USR1), S(SEGV), S(USR2), S(PIPE),   S(ALRM),
    S(TERM),  S(CHLD), S(CONT), S(STOP), S(TSTP), S(TTIN),   S(TTOU),
    S(URG),   S(XCPU), S(XFSZ), S(PROF), S(SYS),  S(VTALRM),
#ifdef SIGWINCH
    S(WINCH),
#endif
#ifdef SIGIO
    S(IO),
#endif
#ifdef SIGPWR
    S(PWR),
#endif
};

/* "TERM" and "SIGTERM" are the same. */
static int number_of(const char *text) {
  if (strncmp(text, "SIG", 3) == 0) {
    text += 3;
  }
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (strcmp(names[i].text, text) == 0) {
      return names[i].number;
    }
  }
  return 0;
}

/* The signal that the argument at index names, or is the number of. */
int zlua_check_signal(lua_State *L, const char *method, int argument,
                      int index) {
  if (lua_type(L, index) == LUA_TNUMBER) {
    return (int)zlua_check_integer(L, method, argument, index, 1, INT32_MAX);
  }
  if (lua_type(L, index) != LUA_TSTRING) {
    zlua_type_error(L, method, argument, index, "name or number of a signal");
  }
  int number = number_of(lua_tostring(L, index));
  if (number == 0) {
    zlua_error(L, "bad argument #%d to '%s' (no signal '%s')", argument, method,
               lua_tostring(L, index));
  }
  return number;
}

/* ---- calls --------------------------------------------------------------- */

typedef struct arrival {
  int number;
  unsigned count;
} arrival;

static void on_signal(zl_signal *watch, int number, unsigned count, void *arg) {
  arrival it = {.number = number, .count = count};
  (void)watch;
  (void)zlua_call(arg, ZLUA_SLOT_CALL_SIGNAL, &it);
}

/* [-0, +1] pushes the loop's table of handlers. */
static void push_signals(lua_State *L, int loop_index) {
  zlua_getuservalue(L, loop_index);
  lua_rawgeti(L, -1, ZLUA_LOOP_SIGNALS);
  lua_remove(L, -2);
}

/* (active, state, arrival, loop): fn(what was registered, count) */
static int signal_next_call(lua_State *L, void *handle) {
  const arrival *it = handle;
  push_signals(L, 4);            /* 5 */
  lua_rawgeti(L, 5, it->number); /* 6 */
  if (lua_isnil(L, 6)) {         /* a finalizer or hook has just removed it */
    return 0;
  }
  lua_rawgeti(L, 6, SIGNAL_CALLBACK); /* 7 */
  zlua_calling(L, 2, 7);
  lua_rawgeti(L, 6, SIGNAL_NAME);
  lua_pushinteger(L, (lua_Integer)it->count);
  return 3;
}

/* ---- registration -------------------------------------------------------- */

/* The interpreters' handler of SIGINT removes itself and raises: a handler for
 * SIGINT is meant to replace it. */
static unsigned flags_for(int number) {
  return number == SIGINT ? 0 : ZL_SIGNAL_CHAIN;
}

/* [-0, +1] pushes the entry of the signal, a new one if it has none. */
static void push_entry(lua_State *L, int signals_index, int number) {
  lua_rawgeti(L, signals_index, number);
  if (lua_isnil(L, -1)) {
    lua_pop(L, 1);
    lua_createtable(L, SIGNAL_WATCH, 0);
    lua_pushvalue(L, -1);
    lua_rawseti(L, signals_index, number);
  }
}

static int watch_signal(zlua_loop *loop, int number, zl_signal **watch) {
  zlua_stay_loaded();
  int rc = zl_signal_new(loop->core, number, on_signal, loop, flags_for(number),
                         watch);
  zlua_sigint_changed(loop);
  return rc;
}

/* add_signal_handler(name, fn) -> true | nil, message, name */
static int add_signal_handler(lua_State *L) {
  zlua_loop *loop = zlua_check_loop(L, 1, "add_signal_handler", 0);
  int number = zlua_check_signal(L, "add_signal_handler", 1, 2);
  zlua_check_callable(L, "add_signal_handler", 2, 3);
  zl_signal *watch = NULL;
  int rc = 0;
  lua_settop(L, 3);
  push_signals(L, 1);       /* 4 */
  push_entry(L, 4, number); /* 5 */
  lua_rawgeti(L, 5, SIGNAL_WATCH);
  watch = lua_touserdata(L, -1);
  if (!watch) {
    rc = watch_signal(loop, number, &watch);
  }
  if (rc < 0) {
    lua_pushnil(L);
    lua_rawseti(L, 4, number);
    return rc == -EINVAL ? zlua_argument_error(L, "add_signal_handler", 1,
                                               "not a signal for handlers")
                         : zlua_fail(L, rc);
  }
  lua_pushlightuserdata(L, watch); /* fills existing places: cannot fail */
  lua_rawseti(L, 5, SIGNAL_WATCH);
  lua_pushvalue(L, 2);
  lua_rawseti(L, 5, SIGNAL_NAME);
  lua_pushvalue(L, 3);
  lua_rawseti(L, 5, SIGNAL_CALLBACK);
  lua_pushboolean(L, 1);
  return 1;
}

/* remove_signal_handler(name): does nothing if there is none. */
static int remove_signal_handler(lua_State *L) {
  zlua_loop *loop = zlua_check_loop(L, 1, "remove_signal_handler", 0);
  int number = zlua_check_signal(L, "remove_signal_handler", 1, 2);
  push_signals(L, 1);
  lua_rawgeti(L, -1, number);
  if (lua_istable(L, -1)) {
    lua_rawgeti(L, -1, SIGNAL_WATCH);
    zl_signal_close(lua_touserdata(L, -1));
    lua_pushnil(L);
    lua_rawseti(L, -4, number);
    zlua_sigint_changed(loop);
  }
  return 0;
}

static const luaL_Reg loop_methods[] = {
    {"add_signal_handler", add_signal_handler},
    {"remove_signal_handler", remove_signal_handler},
    {NULL, NULL},
};

static const zlua_slot_call signal_call = {
    .slot = ZLUA_SLOT_CALL_SIGNAL,
    .next = signal_next_call,
};

/* [-0, +0] module table on the top. */
void zlua_open_signal(lua_State *L) {
  zlua_slot_register(L, &signal_call);
  lua_getfield(L, -1, "IOLoop");
  zlua_setfuncs(L, loop_methods);
  lua_pop(L, 1);
}
