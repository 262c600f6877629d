/* ending.c - the end of a Lua state, and warnings of mistakes.
 * SPDX-License-Identifier: MIT
 *
 * Lua finalizes newer objects first. So the newest loop has a sentinel
 * (`watch`) created after it, which is finalized before any loop if, and only
 * if, the state is being closed.
 */
#include "ending.h"

#include <stdio.h>
#include <unistd.h>

#include "compat.h"
#include "loop.h"
#include "object.h"
#include "open.h"
#include "zmqloop.h"

typedef struct watch {
  const zlua_class *class;
  zlua_ending *ending;
} watch;

static const zlua_class class_watch = {.name = "watch", .size = sizeof(watch)};

static const char ending_key;
static const char watch_key;

static int watch_gc(lua_State *L) {
  const watch *it = zlua_test_object(L, 1, &class_watch);
  if (it && it->ending && it->ending->watch == it) {
    it->ending->has_begun = true;
  }
  return 0;
}

/* [-0, +0] creates the sentinel for a new loop. */
void zlua_watch_end(lua_State *L, zlua_loop *loop) {
  zlua_getregistry(L, &ending_key);
  loop->ending = lua_touserdata(L, -1);
  watch *it = zlua_new_object(L, &class_watch);
  it->ending = loop->ending;
  zlua_set_metatable(L, &class_watch);
  zlua_setregistry(L, &watch_key);
  loop->ending->watch = it;
  lua_pop(L, 1);
}

/* [-0, +0] */
void zlua_open_ending(lua_State *L) {
  static const luaL_Reg metamethods[] = {{"__gc", watch_gc}, {NULL, NULL}};
  static const luaL_Reg no_methods[] = {{NULL, NULL}};
  zlua_new_class(L, &class_watch, no_methods, metamethods);
  lua_pop(L, 1);
  zlua_ending *ending = zlua_newuserdata(L, sizeof *ending);
  *ending = (zlua_ending){0};
  zlua_setregistry(L, &ending_key);
}

/* At the end of the state, warns of a loop that never ran although something
 * waited for it, or of a SUB that could not receive. Handlers and streams are
 * finalized before their loop. Only one of several loops is reported. */
void zlua_tell_mistakes(const zlua_loop *loop) {
  zl_stats stats;
  zl_loop_stats(loop->core, &stats);
  bool waits = loop->left_waiting || zl_loop_alive(loop->core);
  bool never_ran = stats.iterations == 0 && waits;
  if (!loop->ending->has_begun || loop->ending->told || loop->pid != getpid() ||
      !(never_ran || loop->left_deaf)) {
    return;
  }
  loop->ending->told = true;
  (void)fputs(never_ran
                  ? "zmqloop: an IOLoop was never started, so nothing on it "
                    "has run; call loop:start() or loop:run()\n"
                  : "zmqloop: a SUB has received nothing because it never "
                    "subscribed; stream:subscribe(\"\") receives all "
                    "messages\n",
              stderr);
}
