/* The Lua module failcall: makes calls fail that the module under test makes to
 * the system and to libzmq. SPDX-License-Identifier: MIT
 *
 * It must come before the real functions, so the process is started with it in
 * LD_PRELOAD; require("failcall") then finds the same library again. Only calls
 * made from core.so count and fail: those of libzmq, of the interpreter and of
 * the C library go through.
 *
 * A failing call is not made, except close(), which frees the descriptor
 * whatever it returns. A socket that has returned ETERM or ENOTSOCK is dead,
 * and keeps returning that, as a real one does.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua.h>
#include <zmq.h>

#define EXPORT __attribute__((visibility("default")))

static struct fault {
  char name[32];
  long first;
  long last;
  int error;
  atomic_long seen;  /* calls of that name since it was armed */
  atomic_long fired; /* those that failed */
  atomic_bool armed;
  void *dead;  /* socket that has failed for good, or NULL */
  void *begun; /* socket that has a part of a message to send, or NULL */
} fault;

static bool from_core(const void *return_address) {
  Dl_info info;
  if (dladdr(return_address, &info) == 0 || !info.dli_fname) {
    return false;
  }
  const char *slash = strrchr(info.dli_fname, '/');
  return strcmp(slash ? slash + 1 : info.dli_fname, "core.so") == 0;
}

/* Sets errno if the call is to fail. */
static bool fails(const char *name, const void *return_address) {
  if (!atomic_load(&fault.armed) || strcmp(name, fault.name) != 0 ||
      !from_core(return_address)) {
    return false;
  }
  long number = atomic_fetch_add(&fault.seen, 1) + 1;
  if (number < fault.first || number > fault.last) {
    return false;
  }
  atomic_fetch_add(&fault.fired, 1);
  errno = fault.error;
  return true;
}

/* ---- calls that are replaced --------------------------------------------- */

#define CALLER __builtin_return_address(0)

/* The next function of the name, looked up once. A union, since C has no cast
 * from an object's pointer to a function's. */
#define NEXT(function)                                                         \
  ({                                                                           \
    static union {                                                             \
      void *object;                                                            \
      __typeof__(&(function)) call;                                            \
    } next;                                                                    \
    if (!next.object) {                                                        \
      next.object = dlsym(RTLD_NEXT, #function);                               \
    }                                                                          \
    next.call;                                                                 \
  })

#define STAND_BEFORE(type, failure, function, parameters, arguments)           \
  EXPORT type function parameters {                                            \
    if (fails(#function, CALLER)) {                                            \
      return failure;                                                          \
    }                                                                          \
    return __extension__ NEXT(function) arguments;                             \
  }

STAND_BEFORE(int, -1, epoll_create1, (int flags), (flags))
STAND_BEFORE(int, -1, eventfd, (unsigned count, int flags), (count, flags))
STAND_BEFORE(int, -1, pipe, (int fds[2]), (fds))
STAND_BEFORE(int, -1, pipe2, (int fds[2], int flags), (fds, flags))
STAND_BEFORE(int, -1, poll, (struct pollfd * fds, nfds_t n, int ms),
             (fds, n, ms))
STAND_BEFORE(int, -1, ppoll,
             (struct pollfd * fds, nfds_t n, const struct timespec *timeout,
              const sigset_t *mask),
             (fds, n, timeout, mask))
STAND_BEFORE(int, -1, epoll_wait,
             (int fd, struct epoll_event *events, int most, int ms),
             (fd, events, most, ms))
STAND_BEFORE(ssize_t, -1, read, (int fd, void *data, size_t size),
             (fd, data, size))
STAND_BEFORE(ssize_t, -1, write, (int fd, const void *data, size_t size),
             (fd, data, size))
STAND_BEFORE(int, fault.error, pthread_create,
             (pthread_t * thread, const pthread_attr_t *attributes,
              void *(*fn)(void *), void *arg),
             (thread, attributes, fn, arg))
STAND_BEFORE(int, -1, sigaction,
             (int number, const struct sigaction *action,
              struct sigaction *before),
             (number, action, before))
STAND_BEFORE(int, -1, zmq_msg_init_size, (zmq_msg_t * message, size_t size),
             (message, size))
STAND_BEFORE(int, -1, zmq_msg_init_data,
             (zmq_msg_t * message, void *data, size_t size, zmq_free_fn *free,
              void *hint),
             (message, data, size, free, hint))
STAND_BEFORE(int, -1, zmq_msg_copy, (zmq_msg_t * to, zmq_msg_t *from),
             (to, from))
STAND_BEFORE(int, -1, zmq_setsockopt,
             (void *socket, int option, const void *value, size_t size),
             (socket, option, value, size))
STAND_BEFORE(int, -1, zmq_poll, (zmq_pollitem_t * items, int count, long ms),
             (items, count, ms))
STAND_BEFORE(void *, NULL, zmq_socket, (void *context, int type),
             (context, type))
STAND_BEFORE(void *, NULL, zmq_ctx_new, (void), ())
STAND_BEFORE(int, -1, zmq_bind, (void *socket, const char *address),
             (socket, address))
STAND_BEFORE(int, -1, zmq_connect, (void *socket, const char *address),
             (socket, address))

/* ---- calls of sockets ---------------------------------------------------- */

static bool is_final(int error) {
  return error == ETERM || error == ENOTSOCK;
}

static bool socket_fails(void *socket, const char *name, const void *caller) {
  if (socket == fault.dead && atomic_load(&fault.armed)) {
    errno = fault.error;
    return true;
  }
  if (!fails(name, caller)) {
    return false;
  }
  if (is_final(fault.error)) {
    fault.dead = socket;
  }
  return true;
}

/* A first frame may be refused where later ones cannot be: libzmq has found
 * room for the whole message by then. */
static int sent(void *socket, int flags, int rc) {
  if (rc >= 0) {
    fault.begun = flags & ZMQ_SNDMORE ? socket : NULL;
  }
  return rc;
}

EXPORT int zmq_send(void *socket, const void *data, size_t size, int flags) {
  const char *name = fault.begun == socket ? "zmq_send later" : "zmq_send";
  if (socket_fails(socket, name, CALLER)) {
    return -1;
  }
  return sent(socket, flags,
              __extension__ NEXT(zmq_send)(socket, data, size, flags));
}

EXPORT int zmq_msg_send(zmq_msg_t *message, void *socket, int flags) {
  const char *name =
      fault.begun == socket ? "zmq_msg_send later" : "zmq_msg_send";
  if (socket_fails(socket, name, CALLER)) {
    return -1;
  }
  return sent(socket, flags,
              __extension__ NEXT(zmq_msg_send)(message, socket, flags));
}

EXPORT int zmq_msg_recv(zmq_msg_t *message, void *socket, int flags) {
  if (socket_fails(socket, "zmq_msg_recv", CALLER)) {
    return -1;
  }
  return __extension__ NEXT(zmq_msg_recv)(message, socket, flags);
}

/* Options that the loop reads have names of their own: each is read often. */
static const char *name_of_option(int option) {
  switch (option) {
  case ZMQ_EVENTS: return "zmq_getsockopt EVENTS";
  case ZMQ_FD: return "zmq_getsockopt FD";
  default: return "zmq_getsockopt";
  }
}

EXPORT int zmq_getsockopt(void *socket, int option, void *value, size_t *size) {
  if (socket_fails(socket, name_of_option(option), CALLER)) {
    return -1;
  }
  return __extension__ NEXT(zmq_getsockopt)(socket, option, value, size);
}

/* ---- others -------------------------------------------------------------- */

EXPORT int epoll_ctl(int fd, int operation, int of, struct epoll_event *event) {
  const char *name = operation == EPOLL_CTL_ADD   ? "epoll_ctl ADD"
                     : operation == EPOLL_CTL_MOD ? "epoll_ctl MOD"
                                                  : "epoll_ctl DEL";
  if (fails(name, CALLER)) {
    return -1;
  }
  return __extension__ NEXT(epoll_ctl)(fd, operation, of, event);
}

EXPORT int close(int fd) {
  bool failed = fails("close", CALLER);
  int error = errno;
  int rc = __extension__ NEXT(close)(fd);
  if (failed) {
    errno = error;
    return -1;
  }
  return rc;
}

/* With a third argument or without: it is passed on unread. */
#define FCNTL(function)                                                        \
  EXPORT int function(int fd, int command, ...) {                              \
    va_list list;                                                              \
    va_start(list, command);                                                   \
    void *argument = va_arg(list, void *);                                     \
    va_end(list);                                                              \
    if (fails("fcntl", CALLER)) {                                              \
      return -1;                                                               \
    }                                                                          \
    return __extension__ NEXT(function)(fd, command, argument);                \
  }

FCNTL(fcntl)
FCNTL(fcntl64)

/* Only epoll_pwait2 is called by number. */
EXPORT long syscall(long number, ...) {
  long arguments[6];
  va_list list;
  va_start(list, number);
  for (int i = 0; i < 6; i++) {
    arguments[i] = va_arg(list, long);
  }
  va_end(list);
#ifdef SYS_epoll_pwait2
  if (number == SYS_epoll_pwait2 && fails("epoll_pwait2", CALLER)) {
    return -1;
  }
#endif
  return __extension__ NEXT(syscall)(number, arguments[0], arguments[1],
                                     arguments[2], arguments[3], arguments[4],
                                     arguments[5]);
}

/* ---- the Lua module ------------------------------------------------------ */

static const struct {
  const char *name;
  int number;
} errors[] = {
    {"EAGAIN", EAGAIN},     {"EBADF", EBADF},
    {"EEXIST", EEXIST},     {"EFAULT", EFAULT},
    {"EFSM", EFSM},         {"EHOSTUNREACH", EHOSTUNREACH},
    {"EINTR", EINTR},       {"EINVAL", EINVAL},
    {"EIO", EIO},           {"EMFILE", EMFILE},
    {"ENFILE", ENFILE},     {"ENODEV", ENODEV},
    {"ENOENT", ENOENT},     {"ENOMEM", ENOMEM},
    {"ENOSPC", ENOSPC},     {"ENOSYS", ENOSYS},
    {"ENOTSOCK", ENOTSOCK}, {"EPERM", EPERM},
    {"ETERM", ETERM},       {"EADDRINUSE", EADDRINUSE},
};

static int error_named(lua_State *L, int index) {
  const char *name = luaL_checkstring(L, index);
  for (size_t i = 0; i < sizeof errors / sizeof *errors; i++) {
    if (strcmp(errors[i].name, name) == 0) {
      return errors[i].number;
    }
  }
  return luaL_error(L, "failcall knows no %s", name);
}

/* arm(call, n, error [, count]): the n-th call fails, and by default no other.
 */
static int arm(lua_State *L) {
  const char *name = luaL_checkstring(L, 1);
  long first = (long)luaL_checkinteger(L, 2);
  int error = error_named(L, 3);
  long count = (long)luaL_optinteger(L, 4, 1);
  atomic_store(&fault.armed, false);
  luaL_argcheck(L, strlen(name) < sizeof fault.name, 1, "too long");
  luaL_argcheck(L, first > 0 && count > 0, 2, "counts from 1");
  (void)strcpy(fault.name, name);
  fault.first = first;
  fault.last = first + count - 1;
  fault.error = error;
  atomic_store(&fault.seen, 0);
  atomic_store(&fault.fired, 0);
  fault.dead = NULL;
  fault.begun = NULL;
  atomic_store(&fault.armed, true);
  return 0;
}

/* off() -> how many calls of the name there were, and how many failed */
static int off(lua_State *L) {
  atomic_store(&fault.armed, false);
  lua_pushinteger(L, (lua_Integer)atomic_load(&fault.seen));
  lua_pushinteger(L, (lua_Integer)atomic_load(&fault.fired));
  return 2;
}

EXPORT int luaopen_failcall(lua_State *L);

int luaopen_failcall(lua_State *L) {
  /* Uses libzmq, or the linker would leave it out: the next function of a name
   * is looked up among the libraries that the process started with. */
  int major;
  int minor;
  int patch;
  zmq_version(&major, &minor, &patch);
  lua_createtable(L, 0, 2);
  lua_pushcfunction(L, arm);
  lua_setfield(L, -2, "arm");
  lua_pushcfunction(L, off);
  lua_setfield(L, -2, "off");
  return 1;
}
