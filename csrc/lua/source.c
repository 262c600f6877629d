/* source.c - sources of modules to be loaded later, kept outside Lua's memory.
 * SPDX-License-Identifier: MIT
 *
 * As strings they would nearly double the collector's count after
 * require("zmqloop"), and make it work while a program starts.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compat.h"
#include "object.h"
#include "open.h"

typedef struct zlua_source {
  const zlua_class *class;
  char *bytes; /* NULL: none */
  size_t size;
} zlua_source;

static const zlua_class class_source = {.name = "Source",
                                        .size = sizeof(zlua_source)};

/* Reads the whole file. Returns false if it cannot. */
static bool read_file(zlua_source *source, int fd) {
  struct stat info;
  if (fstat(fd, &info) < 0 || !S_ISREG(info.st_mode) || info.st_size <= 0) {
    return false;
  }
  size_t size = (size_t)info.st_size;
  source->bytes = malloc(size);
  while (source->bytes && source->size < size) {
    ssize_t got = read(fd, source->bytes + source->size, size - source->size);
    if (got > 0) {
      source->size += (size_t)got;
    } else if (got == 0 || errno != EINTR) {
      return false; /* it was truncated meanwhile, or cannot be read */
    }
  }
  return source->bytes != NULL;
}

/* read_source(file name) -> source | nil */
static int read_source(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  zlua_source *source = zlua_new_object(L, &class_source);
  zlua_set_metatable(L, &class_source);
  int fd = open(name, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return 0;
  }
  bool is_read = read_file(source, fd);
  (void)close(fd);
  return is_read ? 1 : 0;
}

/* load_source(source, name of the chunk) -> function | nil, message */
static int load_source(lua_State *L) {
  const zlua_source *source = zlua_check_self(L, &class_source, "load_source");
  const char *name = luaL_checkstring(L, 2);
  if (luaL_loadbuffer(L, source->bytes, source->size, name) == 0) {
    return 1;
  }
  lua_pushnil(L);
  lua_insert(L, -2);
  return 2;
}

static int source_gc(lua_State *L) {
  zlua_source *source = zlua_check_self(L, &class_source, "__gc");
  free(source->bytes);
  source->bytes = NULL;
  source->size = 0;
  return 0;
}

/* [-0, +0] module table on the top. */
void zlua_open_source(lua_State *L) {
  static const luaL_Reg none[] = {{NULL, NULL}};
  static const luaL_Reg metamethods[] = {{"__gc", source_gc}, {NULL, NULL}};
  static const luaL_Reg functions[] = {
      {"read_source", read_source}, {"load_source", load_source}, {NULL, NULL}};
  zlua_new_class(L, &class_source, none, metamethods);
  lua_pop(L, 1);
  zlua_setfuncs(L, functions);
}
