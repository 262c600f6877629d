/* wait.c - the system's clock, and waiting outside a loop.
 * SPDX-License-Identifier: MIT
 *
 * A wait that a signal interrupts is resumed for the rest of its time, once the
 * host's handler has had a chance to raise.
 */
#define _GNU_SOURCE
#include "wait.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <time.h>
#include <zmq.h>

#include "argument.h"
#include "compat.h"
#include "hook.h"
#include "zmqloop.h"

/* Above this a double is no longer exact, and means for ever. */
#define LONGEST_MS 9007199254740992.0

#define NS_PER_SECOND 1000000000
#define NS_PER_MS     1000000

enum { POLL_ALL = ZMQ_POLLIN | ZMQ_POLLOUT | ZMQ_POLLERR | ZMQ_POLLPRI };

/* Nanoseconds of the system's clock. Async-signal-safe. */
int64_t zlua_monotonic_ns(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

/* started_ns plus a number of milliseconds; below 0: ZL_FOREVER. */
int64_t zlua_deadline_ns(int64_t started_ns, int64_t milliseconds) {
  if (milliseconds < 0 || milliseconds > ZL_FOREVER / NS_PER_MS) {
    return ZL_FOREVER;
  }
  return zl_time_add(started_ns, milliseconds * NS_PER_MS);
}

/* The time left, rounded up, as system calls take it: at most `most`; -1: for
 * ever. A deadline of 0 has passed, whatever the clock says. */
int64_t zlua_milliseconds_left(int64_t deadline_ns, int64_t most) {
  int64_t now_ns = deadline_ns > 0 ? zlua_monotonic_ns() : 0;
  int64_t left_ns = zl_time_until(deadline_ns, now_ns);
  if (left_ns == ZL_FOREVER) {
    return -1;
  }
  int64_t left = left_ns > 0 ? (left_ns - 1) / NS_PER_MS + 1 : 0;
  return left > most ? most : left;
}

/* Polls until something is ready or the deadline has passed; zmq_poll() may
 * return a millisecond early. Returns how many are ready or an error. */
int zlua_poll_until(lua_State *L, zmq_pollitem_t *items, int count,
                    int64_t deadline_ns) {
  for (;;) {
    long left = (long)zlua_milliseconds_left(deadline_ns, LONG_MAX);
    int rc = zmq_poll(items, count, left);
    if (rc < 0 && zmq_errno() != EINTR) {
      return -zmq_errno();
    }
    if (rc > 0 || (rc == 0 && left == 0)) {
      return rc;
    }
    if (rc < 0) {
      zlua_let_hooks_run(L);
    }
  }
}

/* The same for a number of milliseconds; below 0: for ever. */
int zlua_poll(lua_State *L, zmq_pollitem_t *items, int count, int64_t timeout) {
  int64_t started_ns = timeout > 0 ? zlua_monotonic_ns() : 0;
  return zlua_poll_until(L, items, count,
                         zlua_deadline_ns(started_ns, timeout));
}

/* Milliseconds, rounded up; nil and negative ones are -1, for ever. */
int64_t zlua_check_timeout(lua_State *L, const char *method, int argument,
                           int index) {
  if (lua_isnoneornil(L, index)) {
    return -1;
  }
  if (lua_type(L, index) != LUA_TNUMBER) {
    zlua_type_error(L, method, argument, index, "number of milliseconds");
  }
  lua_Number milliseconds = lua_tonumber(L, index);
  if (isnan(milliseconds)) {
    zlua_argument_error(L, method, argument, "time is not a number");
  }
  bool for_ever = milliseconds < 0 || milliseconds > LONGEST_MS;
  return for_ever ? -1 : (int64_t)ceil((double)milliseconds);
}

/* zmq.POLLIN, zmq.POLLOUT, zmq.POLLERR, zmq.POLLPRI, or a sum of them. */
short zlua_check_poll_events(lua_State *L, const char *method, int argument,
                             int index) {
  return (short)zlua_check_integer(L, method, argument, index, 0, POLL_ALL);
}
