/* tracker.c - class Tracker: tells when libzmq is done with sent frames.
 * SPDX-License-Identifier: MIT
 *
 * A tracked frame is sent in an envelope: a message that shares the bytes of
 * another one, which the envelope keeps. libzmq calls the envelope's free
 * function when it releases the envelope, in any thread, even after the Lua
 * state is closed. So the function uses nothing of Lua, and this library stays
 * loaded.
 */
#define _GNU_SOURCE
#include "tracker.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>
#include <zmq.h>

#include "argument.h"
#include "compat.h"
#include "exit.h"
#include "frame.h"
#include "hook.h"
#include "object.h"
#include "open.h"
#include "wait.h"
#include "zmqloop.h"

/* Shared by the tracker and its envelopes. */
struct zlua_tracking {
  atomic_int references;
  atomic_int pending; /* envelopes that libzmq holds */
  /* A pipe for wait(), created by the first wait; -1: none. It stays open as
   * long as this struct exists, so that its number cannot be reused before it
   * is written to. */
  atomic_int wake;
  int wait;
  pid_t pid; /* of the sending process: a forked one shares the pipe */
};

typedef struct envelope {
  zmq_msg_t message; /* with the bytes */
  zlua_tracking *tracking;
} envelope;

typedef struct zlua_tracker {
  const zlua_class *class;
  zlua_tracking *tracking; /* NULL: not yet open */
} zlua_tracker;

const zlua_class zlua_class_tracker = {.name = "Tracker",
                                       .size = sizeof(zlua_tracker)};

/* ---- in any thread ------------------------------------------------------ */

static void tracker_release(zlua_tracking *tracking) {
  if (atomic_fetch_sub(&tracking->references, 1) == 1) {
    int wake = atomic_load(&tracking->wake);
    if (wake >= 0) {
      (void)close(wake);
      (void)close(tracking->wait);
    }
    free(tracking);
  }
}

/* Either the waiter sees that nothing is pending, or this sees the waiter's
 * pipe: each side writes before it reads. */
static void arrived(zlua_tracking *tracking) {
  if (atomic_fetch_sub(&tracking->pending, 1) == 1) {
    int wake = atomic_load(&tracking->wake);
    if (wake >= 0 && tracking->pid == getpid()) {
      ssize_t written = write(wake, "", 1);
      (void)written;
    }
  }
  tracker_release(tracking);
}

static void open_envelope(void *data, void *hint) {
  envelope *it = hint;
  zlua_tracking *tracking = it->tracking;
  (void)data;
  (void)zmq_msg_close(&it->message);
  free(it);
  arrived(tracking);
}

/* ---- sending ------------------------------------------------------------ */

/* Puts the message, which is left empty, into an envelope. Returns 0 or
 * -ENOMEM, which leaves it as it is. */
int zlua_tracking_wrap(zlua_tracking *tracking, zmq_msg_t *message) {
  zmq_msg_t wrapper;
  envelope *it = malloc(sizeof *it);
  if (!it) {
    return -ENOMEM;
  }
  it->tracking = tracking;
  (void)zmq_msg_init(&it->message);
  (void)zmq_msg_move(&it->message, message);
  if (zmq_msg_init_data(&wrapper, zmq_msg_data(&it->message),
                        zmq_msg_size(&it->message), open_envelope, it) < 0) {
    (void)zmq_msg_move(message, &it->message);
    free(it);
    return -ENOMEM;
  }
  zlua_copy_address(&wrapper, &it->message);
  atomic_fetch_add(&tracking->references, 1);
  atomic_fetch_add(&tracking->pending, 1);
  (void)zmq_msg_move(message, &wrapper);
  return 0;
}

/* [-0, +1] pushes a tracker; raises when out of memory. */
zlua_tracking *zlua_new_tracker(lua_State *L) {
  zlua_tracker *tracker = zlua_newuserdata(L, sizeof *tracker);
  *tracker = (zlua_tracker){.class = &zlua_class_tracker};
  zlua_set_metatable(L, &zlua_class_tracker);
  zlua_tracking *tracking = malloc(sizeof *tracking);
  if (!tracking) {
    zlua_raise(L, -ENOMEM);
    return NULL; /* not reached */
  }
  atomic_init(&tracking->references, 1);
  atomic_init(&tracking->pending, 0);
  atomic_init(&tracking->wake, -1);
  tracking->wait = -1;
  tracking->pid = getpid();
  tracker->tracking = tracking;
  zlua_stay_loaded();
  return tracking;
}

/* ---- methods ------------------------------------------------------------ */

static zlua_tracking *tracker_check_self(lua_State *L, const char *method) {
  const zlua_tracker *tracker = zlua_check_self(L, &zlua_class_tracker, method);
  if (!tracker->tracking) {
    zlua_error(L, "tracker is closed"); /* in a finalizer that runs after its
                                         * own */
  }
  return tracker->tracking;
}

static bool is_done(const zlua_tracking *tracking) {
  return atomic_load(&tracking->pending) == 0;
}

static int tracker_done(lua_State *L) {
  lua_pushboolean(L, is_done(tracker_check_self(L, "done")));
  return 1;
}

static int make_pipe(zlua_tracking *tracking) {
  int ends[2];
  if (tracking->pid != getpid()) {
    return -ECHILD;
  }
  if (atomic_load(&tracking->wake) >= 0) {
    return 0;
  }
  if (pipe(ends) < 0) {
    return -errno;
  }
  (void)fcntl(ends[0], F_SETFD, FD_CLOEXEC);
  (void)fcntl(ends[1], F_SETFD, FD_CLOEXEC);
  tracking->wait = ends[0];
  atomic_store(&tracking->wake, ends[1]);
  return 0;
}

/* Returns 0, -ETIMEDOUT or the system's error. A signal handler may raise. */
static int wait_until_done(lua_State *L, zlua_tracking *tracking,
                           int64_t timeout_ns) {
  int64_t deadline = zl_time_add(zlua_monotonic_ns(), timeout_ns);
  int rc = is_done(tracking) ? 0 : make_pipe(tracking);
  while (rc == 0 && !is_done(tracking)) {
    struct pollfd item = {.fd = tracking->wait, .events = POLLIN};
    int left = (int)zlua_milliseconds_left(deadline, INT_MAX);
    int ready = poll(&item, 1, left);
    if (ready < 0 && errno != EINTR) {
      rc = -errno;
    } else if (ready < 0) {
      zlua_let_hooks_run(L);
    } else if (ready == 0 && left == 0) {
      rc = is_done(tracking) ? 0 : -ETIMEDOUT;
    }
  }
  return rc;
}

/* wait([seconds]) -> true | nil, message, name */
static int tracker_wait(lua_State *L) {
  zlua_tracking *tracking = tracker_check_self(L, "wait");
  int64_t timeout = ZL_FOREVER;
  if (!lua_isnoneornil(L, 2)) {
    timeout = zlua_check_seconds(L, "wait", 1, 2);
  }
  int rc = wait_until_done(L, tracking, timeout);
  if (rc < 0) {
    return zlua_fail(L, rc);
  }
  lua_pushboolean(L, 1);
  return 1;
}

static int tracker_tostring(lua_State *L) {
  const zlua_tracking *tracking = tracker_check_self(L, "tostring");
  lua_pushfstring(L, "Tracker (%s): %p", is_done(tracking) ? "done" : "pending",
                  (const void *)tracking);
  return 1;
}

static int tracker_gc(lua_State *L) {
  zlua_tracker *tracker = zlua_test_object(L, 1, &zlua_class_tracker);
  if (tracker && tracker->tracking) {
    tracker_release(tracker->tracking);
    tracker->tracking = NULL;
  }
  return 0;
}

/* ---- opening ------------------------------------------------------------ */

static const luaL_Reg methods[] = {
    {"done", tracker_done},
    {"wait", tracker_wait},
    {NULL, NULL},
};

static const luaL_Reg metamethods[] = {
    {"__gc", tracker_gc},
    {"__tostring", tracker_tostring},
    {NULL, NULL},
};

/* [-0, +0] module table on the top. */
void zlua_open_tracker(lua_State *L) {
  zlua_new_class(L, &zlua_class_tracker, methods, metamethods);
  lua_setfield(L, -2, "Tracker");
}
