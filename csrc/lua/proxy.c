/* proxy.c - passes messages between two sockets until told to stop.
 * SPDX-License-Identifier: MIT
 *
 * Like zmq_proxy_steerable(), but it always waits for the control socket too,
 * whose commands differ between versions of libzmq, and a signal never loses a
 * message.
 */
#include <errno.h>
#include <string.h>
#include <zmq.h>

#include "argument.h"
#include "compat.h"
#include "object.h"
#include "open.h"
#include "socket.h"
#include "wait.h"
#include "zmqloop_batch.h"

enum { BATCH = 100 }; /* messages of one direction before the other's turn */

typedef struct side {
  void *zmq;
  bool conflates;
  uint64_t received, received_bytes, sent, sent_bytes;
} side;

typedef struct direction {
  side *from;
  side *to;
  void *full; /* the socket that could not take a message, or NULL */
} direction;

typedef struct proxy {
  side sides[2]; /* frontend, backend */
  direction directions[2];
  int count; /* of directions: 1 if both sides are the same */
  void *capture;
  void *control;
  bool paused;
  bool ended;
} proxy;

/* ---- messages ----------------------------------------------------------- */

static bool writable(void *zmq) {
  int events = 0;
  size_t size = sizeof events;
  int rc;
  do {
    rc = zmq_getsockopt(zmq, ZMQ_EVENTS, &events, &size);
  } while (rc < 0 && zmq_errno() == EINTR);
  return rc < 0 || (events & ZMQ_POLLOUT); /* an error appears when it sends */
}

static int proxy_receive(void *zmq, zmq_msg_t *frame) {
  int rc;
  do {
    rc = zmq_msg_recv(frame, zmq, ZMQ_DONTWAIT);
  } while (rc < 0 && zmq_errno() == EINTR);
  return rc < 0 ? -zmq_errno() : 0;
}

/* On success libzmq owns the frame; on failure it is unchanged. */
static int proxy_send_frame(void *zmq, zmq_msg_t *frame, int flags) {
  int rc;
  do {
    rc = zmq_msg_send(frame, zmq, flags);
  } while (rc < 0 && (zmq_errno() == EINTR || zmq_errno() == EAGAIN));
  return rc < 0 ? -zmq_errno() : 0;
}

static int send_copy(void *zmq, zmq_msg_t *frame, int flags) {
  zmq_msg_t copy;
  (void)zmq_msg_init(&copy);
  int rc = zmq_msg_copy(&copy, frame) < 0 ? -zmq_errno() : 0;
  if (rc == 0) {
    rc = proxy_send_frame(zmq, &copy, flags);
  }
  (void)zmq_msg_close(&copy);
  return rc;
}

/* Moves the rest of a message, the first frame of which is in hand. */
static int move(const proxy *it, direction *way, zmq_msg_t *frame) {
  int rc;
  int more;
  do {
    size_t size = zmq_msg_size(frame);
    more = zmq_msg_more(frame);
    int flags = more ? ZMQ_SNDMORE : 0;
    if (more && (way->from->conflates || way->to->conflates)) {
      return -EPROTO; /* libzmq would abort */
    }
    rc = it->capture ? send_copy(it->capture, frame, flags) : 0;
    if (rc == 0) {
      rc = proxy_send_frame(way->to->zmq, frame, flags);
    }
    way->from->received_bytes += size;
    way->to->sent_bytes += size;
  } while (rc == 0 && more && (rc = proxy_receive(way->from->zmq, frame)) == 0);
  way->from->received++;
  way->to->sent++;
  return rc;
}

/* ---- control ------------------------------------------------------------ */

static bool is_command(zmq_msg_t *frame, const char *name) {
  size_t size = strlen(name);
  return zmq_msg_size(frame) == size &&
         memcmp(zmq_msg_data(frame), name, size) == 0;
}

/* Eight frames with one 64-bit number each: for the frontend, then the backend,
 * messages and bytes received and sent. */
static int send_statistics(const proxy *it) {
  int rc = 0;
  for (int i = 0; i < 8 && rc == 0; i++) {
    const side *of = &it->sides[i / 4];
    const uint64_t numbers[] = {of->received, of->received_bytes, of->sent,
                                of->sent_bytes};
    do {
      rc = zmq_send(it->control, &numbers[i % 4], sizeof numbers[0],
                    i < 7 ? ZMQ_SNDMORE : 0);
    } while (rc < 0 && zmq_errno() == EINTR);
    rc = rc < 0 ? -zmq_errno() : 0;
  }
  return rc;
}

/* Obeys the command whose first frame is in hand; others are ignored. */
static int obey(proxy *it, zmq_msg_t *frame) {
  if (is_command(frame, "STATISTICS")) {
    return send_statistics(it);
  }
  if (is_command(frame, "PAUSE")) {
    it->paused = true;
  } else if (is_command(frame, "RESUME")) {
    it->paused = false;
  } else if (is_command(frame, "TERMINATE")) {
    it->ended = true;
  }
  int type = 0;
  size_t size = sizeof type;
  (void)zmq_getsockopt(it->control, ZMQ_TYPE, &type, &size);
  return type == ZMQ_REP && zmq_send(it->control, "", 0, 0) < 0 ? -zmq_errno()
                                                                : 0;
}

/* Takes one command. Returns 0, -EAGAIN if there is none, or an error. */
static int take_command(proxy *it) {
  zmq_msg_t command;
  zmq_msg_t rest;
  (void)zmq_msg_init(&command);
  (void)zmq_msg_init(&rest);
  int rc = proxy_receive(it->control, &command);
  bool more = rc == 0 && zmq_msg_more(&command);
  while (more && rc == 0) {
    rc = proxy_receive(it->control, &rest);
    more = zmq_msg_more(&rest);
  }
  if (rc == 0) {
    rc = obey(it, &command);
  }
  (void)zmq_msg_close(&command);
  (void)zmq_msg_close(&rest);
  return rc;
}

/* Obeys all pending commands. Called before each message, so that no message
 * that was sent after a command is relayed before it takes effect. Returns 0 or
 * an error. */
static int take_commands(proxy *it) {
  int rc = 0;
  while (it->control && rc == 0 && !it->ended) {
    rc = take_command(it);
  }
  return rc == -EAGAIN ? 0 : rc;
}

/* ---- the proxy ---------------------------------------------------------- */

/* Relays the messages that are there, up to a batch, until a command stops it.
 * Returns 0 or an error. */
static int serve(proxy *it, direction *way) {
  zmq_msg_t frame;
  int rc = 0;
  (void)zmq_msg_init(&frame);
  for (int i = 0; i < BATCH && rc == 0; i++) {
    rc = take_commands(it);
    if (rc < 0 || it->paused || it->ended) {
      break;
    }
    way->full = !writable(way->to->zmq)                 ? way->to->zmq
                : it->capture && !writable(it->capture) ? it->capture
                                                        : NULL;
    rc = way->full ? -EAGAIN : proxy_receive(way->from->zmq, &frame);
    if (rc == 0) {
      rc = move(it, way, &frame);
    }
  }
  (void)zmq_msg_close(&frame);
  return rc == -EAGAIN ? 0 : rc;
}

/* The sockets to wait for, each only once: zmq_poll() misses events of a socket
 * listed twice, since the second check consumes the signal for what the first
 * one did not find. */
typedef struct waiting {
  zmq_pollitem_t items[4];
  int count;
} waiting;

static zmq_pollitem_t *find_item(waiting *on, const void *zmq) {
  for (int i = 0; i < on->count; i++) {
    if (on->items[i].socket == zmq) {
      return &on->items[i];
    }
  }
  return NULL;
}

static void wait_for(waiting *on, void *zmq, short events) {
  zmq_pollitem_t *item = find_item(on, zmq);
  if (!item) {
    item = &on->items[on->count++];
    *item = (zmq_pollitem_t){.socket = zmq};
  }
  item->events = (short)(item->events | events);
}

static bool is_ready(waiting *on, const void *zmq, short events) {
  const zmq_pollitem_t *item = find_item(on, zmq);
  return item && (item->revents & events);
}

static void wait_for_direction(waiting *on, const direction *way) {
  if (way->full) {
    wait_for(on, way->full, ZMQ_POLLOUT);
  } else {
    wait_for(on, way->from->zmq, ZMQ_POLLIN);
  }
}

static bool may_move(waiting *on, const direction *way) {
  return way->full ? is_ready(on, way->full, ZMQ_POLLOUT)
                   : is_ready(on, way->from->zmq, ZMQ_POLLIN);
}

/* Waits until something can be done, and does it. A signal handler may raise,
 * but never while a message is in hand. Returns 0 or an error. */
static int turn(lua_State *L, proxy *it) {
  waiting on = {.count = 0};
  int ways = it->paused ? 0 : it->count;
  for (int i = 0; i < ways; i++) {
    wait_for_direction(&on, &it->directions[i]);
  }
  if (it->control) {
    wait_for(&on, it->control, ZMQ_POLLIN);
  }
  int rc = zlua_poll(L, on.items, on.count, -1);
  if (rc >= 0) {
    rc = take_commands(it);
  }
  for (int i = 0; i < ways && rc >= 0; i++) {
    direction *way = &it->directions[i];
    rc = may_move(&on, way) ? serve(it, way) : 0;
  }
  return rc < 0 ? rc : 0;
}

static void *check_optional(lua_State *L, int index) {
  return lua_isnoneornil(L, index)
             ? NULL
             : zlua_check_socket(L, index, "proxy", index)->zmq;
}

static int check_process(lua_State *L) {
  int rc = 0;
  for (int i = 1; i <= 4 && rc == 0; i++) {
    const zlua_socket *socket = zlua_test_object(L, i, &zlua_class_socket);
    rc = socket ? zlua_socket_check_process(socket) : 0;
  }
  return rc;
}

/* After use readiness may have changed without a signal. */
static void touch(lua_State *L) {
  for (int i = 1; i <= 4; i++) {
    zlua_socket *socket = zlua_test_object(L, i, &zlua_class_socket);
    if (socket) {
      socket->looked = true;
      zlua_socket_touch(socket);
    }
  }
}

/* proxy(frontend, backend [, capture [, control]]) -> true when a command ends
 * it | nil, message, name */
static int run_proxy(lua_State *L) {
  proxy it = {.count = 2};
  lua_settop(L, 4);
  it.sides[0].zmq = zlua_check_socket(L, 1, "proxy", 1)->zmq;
  it.sides[1].zmq = zlua_check_socket(L, 2, "proxy", 2)->zmq;
  it.sides[0].conflates = zl_socket_conflates(it.sides[0].zmq);
  it.sides[1].conflates = zl_socket_conflates(it.sides[1].zmq);
  it.capture = check_optional(L, 3);
  it.control = check_optional(L, 4);
  it.directions[0] = (direction){.from = &it.sides[0], .to = &it.sides[1]};
  it.directions[1] = (direction){.from = &it.sides[1], .to = &it.sides[0]};
  if (it.sides[0].zmq == it.sides[1].zmq) {
    it.count = 1;
  }
  int rc = check_process(L);
  if (rc < 0) {
    return zlua_fail(L, rc);
  }
  touch(L); /* even if a signal handler raises: loops check the sockets */
  while (rc == 0 && !it.ended) {
    rc = turn(L, &it);
  }
  touch(L);
  if (rc < 0) {
    return zlua_fail(L, rc);
  }
  lua_pushboolean(L, 1);
  return 1;
}

/* [-0, +0] module table on the top. */
void zlua_open_proxy(lua_State *L) {
  lua_pushcfunction(L, run_proxy);
  lua_setfield(L, -2, "proxy");
}
