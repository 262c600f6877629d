/* testing.c - queries of loop and system for zmqloop.testing.
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "argument.h"
#include "compat.h"
#include "context.h"
#include "handler.h"
#include "loop.h"
#include "object.h"
#include "open.h"
#include "socket.h"
#include "stream.h"
#include "timer.h"

/* ---- what is active on a loop -------------------------------------------- */

/* [-1, +0] t[#t + 1] = {kind, the value at the top} */
static void add_active(lua_State *L, int list_index, const char *kind) {
  lua_createtable(L, 2, 0);
  lua_pushstring(L, kind);
  lua_rawseti(L, -2, 1);
  lua_insert(L, -2);
  lua_rawseti(L, -2, 2);
  lua_rawseti(L, list_index, (int)zlua_rawlen(L, list_index) + 1);
}

/* [-0, +0] the handle at the top. */
static void add_handle(lua_State *L, int list_index) {
  if (zlua_test_object(L, -1, &zlua_class_handler)) {
    zlua_getuservalue(L, -1);
    lua_rawgeti(L, -1, 2);
    lua_remove(L, -2);
    add_active(L, list_index, "handler");
  } else if (zlua_test_object(L, -1, &zlua_class_stream)) {
    lua_pushvalue(L, -1);
    add_active(L, list_index, "stream");
  } else if (zlua_test_object(L, -1, &zlua_class_timer)) {
    zlua_timer_push_callback(L, lua_gettop(L));
    add_active(L, list_index, "timeout");
  }
}

/* [-0, +0] adds the arguments of add_signal_handler(). */
static void add_signals(lua_State *L, int list_index) {
  zlua_getuservalue(L, 1);
  lua_rawgeti(L, -1, ZLUA_LOOP_SIGNALS);
  lua_pushnil(L);
  while (lua_next(L, -2)) {
    lua_rawgeti(L, -1, 1);
    add_active(L, list_index, "signal handler");
    lua_pop(L, 1);
  }
  lua_pop(L, 2);
}

/* active_handles(loop) -> list of {kind, what}: "handler" with the object
 * passed to add_handler(), "stream" with the stream, "timeout" with its
 * callback, "signal handler" with the signal. */
static int active_handles(lua_State *L) {
  (void)zlua_check_loop(L, 1, "active_handles", 1);
  lua_settop(L, 1);
  zlua_push_active(L, 1); /* 2 */
  lua_newtable(L);        /* 3 */
  lua_pushnil(L);
  while (lua_next(L, 2)) {
    add_handle(L, 3);
    lua_pop(L, 1);
  }
  add_signals(L, 3);
  return 1;
}

/* open_sockets(context) -> list of its sockets that are not closed. */
static int open_sockets(lua_State *L) {
  const zlua_context *context = zlua_check_context(L, "open_sockets");
  lua_settop(L, 1);
  lua_newtable(L);         /* 2 */
  zlua_push_sockets(L, 1); /* 3 */
  for (const zlua_socket *it = context->sockets; it; it = it->next) {
    zlua_push_socket(L, 3, it);
    if (it->of_loop || lua_isnil(L, -1)) {
      lua_pop(L, 1);
    } else {
      lua_rawseti(L, 2, (int)zlua_rawlen(L, 2) + 1);
    }
  }
  lua_settop(L, 2);
  return 1;
}

/* ---- descriptors --------------------------------------------------------- */

/* The kind of a descriptor; NULL if a library may keep it open: an eventfd, an
 * epoll set, a device. */
static const char *kind_of(const struct stat *status) {
  if (S_ISSOCK(status->st_mode)) {
    return "socket";
  }
  if (S_ISFIFO(status->st_mode)) {
    return "pipe";
  }
  return S_ISREG(status->st_mode) ? "file" : NULL;
}

/* [-0, +0] t[fd] = "socket 8:1234" */
static void add_descriptor(lua_State *L, int list_index, int fd) {
  struct stat status;
  const char *kind = fstat(fd, &status) == 0 ? kind_of(&status) : NULL;
  if (kind) {
    char text[64];
    (void)snprintf(text, sizeof text, "%s %ju:%ju", kind,
                   (uintmax_t)status.st_dev, (uintmax_t)status.st_ino);
    lua_pushstring(L, text);
    lua_rawseti(L, list_index, fd);
  }
}

/* The highest number in use; -1 on systems where libzmq keeps sockets and pipes
 * of its own open. */
static int last_descriptor(void) {
  int last = -1;
#ifdef __linux__
  DIR *directory = opendir("/proc/self/fd");
  const struct dirent *entry;
  while (directory && (entry = readdir(directory))) {
    int fd = (int)strtol(entry->d_name, NULL, 10);
    last = fd > last ? fd : last;
  }
  if (directory) {
    (void)closedir(directory);
  }
#endif
  return last;
}

/* open_descriptors() -> table: number -> what it is; the text changes if the
 * number is reused. Sockets, pipes and files; empty except on Linux. */
static int open_descriptors(lua_State *L) {
  int last = last_descriptor();
  lua_settop(L, 0);
  lua_newtable(L);
  for (int fd = 0; fd <= last; fd++) {
    add_descriptor(L, 1, fd);
  }
  return 1;
}

/* Reads a numeric address, with port 0. Returns its length, 0 if it is not
 * one. */
static socklen_t read_address(const char *text, struct sockaddr_storage *out) {
  struct sockaddr_in *v4 = (struct sockaddr_in *)out;
  struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
  memset(out, 0, sizeof *out);
  if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    return sizeof *v4;
  }
  if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    return sizeof *v6;
  }
  return 0;
}

/* Both address families have the port at the same offset. */
static int port_of(int fd) {
  union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_storage storage;
  } address = {.v4 = {.sin_port = 0}};
  socklen_t length = sizeof address;
  return getsockname(fd, &address.any, &length) < 0
             ? -errno
             : ntohs(address.v4.sin_port);
}

static int set_up(int fd, const struct sockaddr_storage *address,
                  socklen_t length, bool reuse_port) {
  int on = 1;
  if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 ||
      fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
    return -errno;
  }
#ifdef SO_REUSEPORT
  if (reuse_port &&
      setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) < 0) {
    return -errno;
  }
#endif
  if (bind(fd, (const struct sockaddr *)address, length) < 0 ||
      listen(fd, SOMAXCONN) < 0) {
    return -errno;
  }
  return port_of(fd);
}

/* listen(address, reuse_port) -> descriptor, port | nil, message, name: a TCP
 * socket on a port that the system chooses. */
static int listen_somewhere(lua_State *L) {
  const char *text = luaL_checkstring(L, 1);
  bool reuse_port = lua_toboolean(L, 2);
  struct sockaddr_storage address;
  socklen_t length = read_address(text, &address);
  if (length == 0) {
    return zlua_fail_at(L, -EINVAL, text);
  }
  int fd = socket(address.ss_family, SOCK_STREAM, 0);
  int rc = fd < 0 ? -errno : set_up(fd, &address, length, reuse_port);
  if (rc < 0) {
    if (fd >= 0) {
      (void)close(fd);
    }
    return zlua_fail_at(L, rc, text);
  }
  lua_pushinteger(L, fd);
  lua_pushinteger(L, rc);
  return 2;
}

static const luaL_Reg functions[] = {
    {"active_handles", active_handles},
    {"open_sockets", open_sockets},
    {"open_descriptors", open_descriptors},
    {"listen", listen_somewhere},
    {NULL, NULL},
};

/* [-0, +0] module table on the top. */
void zlua_open_testing(lua_State *L) {
  zlua_setfuncs(L, functions);
}
