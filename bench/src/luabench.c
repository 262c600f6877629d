/* luabench.c - bench.h for the Lua drivers. SPDX-License-Identifier: MIT */
#include "bench.h"

#include <lauxlib.h>
#include <lua.h>

static bench b;

/* parse(arg) -> {workload, endpoint, counted, idle} [-0, +1] */
static int parse(lua_State *L) {
  char *argv[8];
  int argc = 0;
  do {
    lua_rawgeti(L, 1, argc); /* the strings stay alive in the table `arg` */
    argv[argc] = (char *)lua_tostring(L, -1);
  } while (argv[argc] != NULL && ++argc < 8);
  bench_parse(&b, argc, argv);
  lua_newtable(L);
  lua_pushstring(L, b.workload);
  lua_setfield(L, -2, "workload");
  lua_pushstring(L, b.endpoint);
  lua_setfield(L, -2, "endpoint");
  lua_pushnumber(L, (lua_Number)b.counted);
  lua_setfield(L, -2, "counted");
  lua_pushnumber(L, b.idle);
  lua_setfield(L, -2, "idle");
  return 1;
}

/* take(data) -> messages still to come */
static int take(lua_State *L) {
  size_t size;
  const char *data = luaL_checklstring(L, 1, &size);
  lua_pushnumber(L, (lua_Number)bench_take(&b, data, size));
  return 1;
}

/* counted(count, bytes): the driver counted these itself */
static int counted(lua_State *L) {
  b.seen += (uint64_t)luaL_checknumber(L, 1);
  b.bytes += (uint64_t)luaL_checknumber(L, 2);
  return 0;
}

static int report(lua_State *L) {
  (void)L;
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
                   {"report", report},
                   {"die", die}};
  lua_newtable(L);
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    lua_pushcfunction(L, functions[i].fn);
    lua_setfield(L, -2, functions[i].name);
  }
  return 1;
}
