/* exit.c - ending contexts without blocking, and without losing what was sent.
 * SPDX-License-Identifier: MIT
 *
 * zmq_ctx_term() waits until the last message has been sent or its linger is
 * over. A finalizer must not wait, and a script that ends right after a send
 * must not lose the message. So a collected context with sockets that may
 * linger is ended by a thread of its own, and closing the state waits for all
 * of these threads together, for at most a second. The bound applies to the
 * state, not to each context: however many there are, an exit takes no longer.
 *
 * The thread runs code of this library, which Lua may unload meanwhile; so once
 * such a thread is started the library stays loaded.
 */
#define _GNU_SOURCE
#include "exit.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#include "argument.h"
#include "compat.h"
#include "object.h"
#include "open.h"

enum { SECONDS_AT_EXIT = 1 };

/* Shared by a Lua state, its contexts and the threads that end them. */
struct zlua_exit {
  pid_t pid; /* of the process whose threads these are */
  pthread_mutex_t mutex;
  pthread_cond_t ended;
  int references;
  int ending;               /* threads at work */
  bool closing;             /* the Lua state is being closed */
  struct timespec deadline; /* then */
};

typedef struct retirement {
  zlua_exit *exit;
  void *context;
} retirement;

typedef struct exit_object {
  const zlua_class *class;
  zlua_exit *exit;
} exit_object;

static const zlua_class class_exit = {.name = "exit",
                                      .size = sizeof(exit_object)};

static const char exit_key;

static void init_waiting(zlua_exit *exit) {
  pthread_condattr_t attributes;
  (void)pthread_condattr_init(&attributes);
  (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  (void)pthread_mutex_init(&exit->mutex, NULL);
  (void)pthread_cond_init(&exit->ended, &attributes);
  (void)pthread_condattr_destroy(&attributes);
}

/* For calls from Lua. A forked child has none of the threads, one of which may
 * have held the mutex; the child may start its own. */
static void lock(zlua_exit *exit) {
  if (exit->pid != getpid()) {
    init_waiting(exit);
    exit->pid = getpid();
    exit->ending = 0;
  }
  (void)pthread_mutex_lock(&exit->mutex);
}

void zlua_exit_hold(zlua_exit *exit) {
  lock(exit);
  exit->references++;
  (void)pthread_mutex_unlock(&exit->mutex);
}

void zlua_exit_release(zlua_exit *exit) {
  lock(exit);
  bool last = --exit->references == 0;
  (void)pthread_mutex_unlock(&exit->mutex);
  if (last) {
    (void)pthread_cond_destroy(&exit->ended);
    (void)pthread_mutex_destroy(&exit->mutex);
    free(exit);
  }
}

static void term(void *context) {
  while (zmq_ctx_term(context) < 0 && zmq_errno() == EINTR) {
  }
}

static void *end_context(void *arg) {
  retirement it = *(retirement *)arg;
  free(arg);
  term(it.context);
  (void)pthread_mutex_lock(&it.exit->mutex);
  it.exit->ending--;
  (void)pthread_cond_broadcast(&it.exit->ended);
  (void)pthread_mutex_unlock(&it.exit->mutex);
  zlua_exit_release(it.exit);
  return NULL;
}

/* Keeps this library, and with it libzmq, from being unloaded: a thread may run
 * its code after the Lua state is closed. */
void zlua_stay_loaded(void) {
  Dl_info info;
  if (dladdr((const void *)&exit_key, &info) && info.dli_fname) {
    (void)dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
  }
}

/* Starts the thread with all signals blocked: the host's are not for it. */
static int start_detached(retirement *it) {
  sigset_t all;
  sigset_t former;
  pthread_t thread;
  (void)sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, &former);
  int rc = pthread_create(&thread, NULL, end_context, it);
  (void)pthread_sigmask(SIG_SETMASK, &former, NULL);
  if (rc == 0) {
    (void)pthread_detach(thread);
  }
  return rc;
}

/* With the mutex held. */
static void wait_at_exit(zlua_exit *exit) {
  while (exit->ending > 0 && pthread_cond_timedwait(&exit->ended, &exit->mutex,
                                                    &exit->deadline) == 0) {
  }
}

/* Ends a context that is no longer referenced and has no open sockets. lingers:
 * there may still be messages to send. If no thread can be started the context
 * is left alone, which is better than blocking. */
void zlua_exit_retire(zlua_exit *exit, void *zmq_context, bool lingers) {
  if (!lingers) {
    term(zmq_context);
    return;
  }
  retirement *it = malloc(sizeof *it);
  if (!it) {
    return;
  }
  *it = (retirement){.exit = exit, .context = zmq_context};
  zlua_stay_loaded();
  lock(exit);
  exit->references++;
  exit->ending++;
  if (start_detached(it) != 0) {
    exit->references--;
    exit->ending--;
    free(it);
  } else if (exit->closing) {
    wait_at_exit(exit);
  }
  (void)pthread_mutex_unlock(&exit->mutex);
}

/* The state is being closed. Objects that are finalized later can see that. */
static int exit_gc(lua_State *L) {
  exit_object *object = zlua_test_object(L, 1, &class_exit);
  zlua_exit *exit = object ? object->exit : NULL;
  if (!exit) {
    return 0;
  }
  object->exit = NULL;
  lock(exit);
  exit->closing = true;
  (void)clock_gettime(CLOCK_MONOTONIC, &exit->deadline);
  exit->deadline.tv_sec += SECONDS_AT_EXIT;
  wait_at_exit(exit);
  (void)pthread_mutex_unlock(&exit->mutex);
  zlua_exit_release(exit);
  return 0;
}

static zlua_exit *make(void) {
  zlua_exit *exit = calloc(1, sizeof *exit);
  if (!exit) {
    return NULL;
  }
  exit->pid = getpid();
  exit->references = 1;
  init_waiting(exit);
  return exit;
}

/* The state's zlua_exit. Created when the module is opened: Lua finalizes older
 * objects later, so contexts come first. */
zlua_exit *zlua_exit_of(lua_State *L) {
  zlua_getregistry(L, &exit_key);
  const exit_object *object = zlua_test_object(L, -1, &class_exit);
  lua_pop(L, 1);
  return object ? object->exit : NULL;
}

/* [-0, +0] */
void zlua_open_exit(lua_State *L) {
  static const luaL_Reg metamethods[] = {{"__gc", exit_gc}, {NULL, NULL}};
  static const luaL_Reg methods[] = {{NULL, NULL}};
  zlua_new_class(L, &class_exit, methods, metamethods);
  lua_pop(L, 1);
  exit_object *object = zlua_new_object(L, &class_exit);
  zlua_set_metatable(L, &class_exit);
  object->exit = make();
  if (!object->exit) {
    zlua_raise(L, -ENOMEM);
  }
  zlua_setregistry(L, &exit_key);
}
