/* luabench.c - bench.h for the Lua drivers. SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "load.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_ARGUMENTS = 32, MAX_NAME = 24 };

static bench b;

static void set_number(lua_State *L, const char *name, double value) {
  lua_pushnumber(L, (lua_Number)value);
  lua_setfield(L, -2, name);
}

static void set_string(lua_State *L, const char *name, const char *value) {
  lua_pushstring(L, value);
  lua_setfield(L, -2, name);
}

/* parse(arg) -> {workload, endpoint, ...}; the names are those of the struct */
static int parse(lua_State *L) {
  char *argv[MAX_ARGUMENTS];
  int argc = 0;
  do {
    lua_rawgeti(L, 1, argc); /* the strings stay alive in the table `arg` */
    argv[argc] = (char *)lua_tostring(L, -1);
    lua_pop(L, 1);
  } while (argv[argc] != NULL && ++argc < MAX_ARGUMENTS);
  bench_parse(&b, argc, argv);
  lua_newtable(L);
  set_string(L, "workload", b.workload);
  set_string(L, "endpoint", b.endpoint);
  set_string(L, "load", b.load);
  set_number(L, "size", (double)b.size);
  set_number(L, "checked", (double)b.checked);
  set_number(L, "counted", (double)b.counted);
  set_number(L, "idle", b.idle);
  set_number(L, "span", b.span_s);
  lua_pushboolean(L, b.unpack);
  lua_setfield(L, -2, "unpack");
  lua_pushboolean(L, b.green);
  lua_setfield(L, -2, "green");
  lua_pushboolean(L, b.connect);
  lua_setfield(L, -2, "connect");
  return 1;
}

/* The counted part begins with a collected heap. Otherwise it depends on such
 * things as the length of a path whether a short part has a collection in it.
 */
static void collect_before_begin(lua_State *L) {
  if (b.seen + 1 == b.checked)
    lua_gc(L, LUA_GCCOLLECT, 0);
}

/* take(data) -> messages still to come */
static int take(lua_State *L) {
  size_t size;
  const char *data = luaL_checklstring(L, 1, &size);
  collect_before_begin(L);
  lua_pushnumber(L, (lua_Number)bench_take(&b, data, size));
  return 1;
}

/* counted(count, bytes): the driver counted these itself */
static int counted(lua_State *L) {
  b.seen += (uint64_t)luaL_checknumber(L, 1);
  b.bytes += (uint64_t)luaL_checknumber(L, 2);
  return 0;
}

/* count(bytes) -> messages still to come */
static int count(lua_State *L) {
  size_t size = (size_t)luaL_checknumber(L, 1);
  collect_before_begin(L);
  lua_pushnumber(L, (lua_Number)bench_count(&b, size));
  return 1;
}

/* message(i) -> the i-th of a flood */
static int message(lua_State *L) {
  unsigned char bytes[b.size];
  uint64_t i = (uint64_t)luaL_checknumber(L, 1);
  bench_fill(bytes, b.size, bench_flood_number(&b, i));
  lua_pushlstring(L, (const char *)bytes, b.size);
  return 1;
}

/* load(context): starts the load, if there is one, on a thread of its own */
static int load(lua_State *L) {
  load_start(&b, lua_touserdata(L, 1));
  return 0;
}

static int begin(lua_State *L) {
  (void)L;
  bench_begin(&b);
  return 0;
}

/* finish() -> seconds of CPU of this thread since begin() */
static int finish(lua_State *L) {
  bench_end(&b);
  lua_pushnumber(L, b.end.thread - b.start.thread);
  return 1;
}

static int seconds(lua_State *L) {
  lua_pushnumber(L, bench_seconds());
  return 1;
}


static int private_bytes(lua_State *L) {
  lua_pushnumber(L, bench_private_bytes());
  return 1;
}

/* sleep(seconds) */
static int sleep_seconds(lua_State *L) {
  usleep((useconds_t)(luaL_checknumber(L, 1) * 1e6));
  return 0;
}

/* A copy of the first argument, to be the name of the next figure. */
static const char *check_name(lua_State *L) {
  static char names[BENCH_MAX_FIGURES][MAX_NAME];
  char *name = names[b.figure_count % BENCH_MAX_FIGURES];
  strncpy(name, luaL_checkstring(L, 1), MAX_NAME - 1);
  return name;
}

/* add(name, value) */
static int add(lua_State *L) {
  bench_add(&b, check_name(L), luaL_checknumber(L, 2));
  return 0;
}

static int begin_part(lua_State *L) {
  (void)L;
  bench_begin_part(&b);
  return 0;
}

/* end_part(name, count) */
static int end_part(lua_State *L) {
  uint64_t count = (uint64_t)luaL_checknumber(L, 2);
  bench_end_part(&b, check_name(L), count);
  return 0;
}

/* add_ticks(list, count, start, period) */
static int add_ticks(lua_State *L) {
  size_t count = (size_t)luaL_checknumber(L, 2);
  double *ticks = calloc(count, sizeof *ticks);
  for (size_t i = 0; i < count; i++) {
    lua_rawgeti(L, 1, (int)i + 1);
    ticks[i] = lua_tonumber(L, -1);
    lua_pop(L, 1);
  }
  bench_add_ticks(&b, ticks, count, luaL_checknumber(L, 3),
                  luaL_checknumber(L, 4));
  free(ticks);
  return 0;
}

static int report(lua_State *L) {
  (void)L;
  load_join(&b);
  bench_report(&b);
  return 0;
}

static int die(lua_State *L) {
  bench_die("%s", luaL_checkstring(L, 1));
}

int luaopen_luabench(lua_State *L) {
  static const struct {
    const char *name;
    lua_CFunction fn;
  } functions[] = {{"parse", parse},
                   {"take", take},
                   {"counted", counted},
                   {"count", count},
                   {"message", message},
                   {"load", load},
                   {"begin", begin},
                   {"finish", finish},
                   {"seconds", seconds},
                   {"begin_part", begin_part},
                   {"end_part", end_part},
                   {"private_bytes", private_bytes},
                   {"sleep", sleep_seconds},
                   {"add", add},
                   {"add_ticks", add_ticks},
                   {"report", report},
                   {"die", die}};
  lua_newtable(L);
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    lua_pushcfunction(L, functions[i].fn);
    lua_setfield(L, -2, functions[i].name);
  }
  return 1;
}
