/* test_socket.c - watches of the readiness of zmq sockets.
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <string.h>

#include "core/loop.h"
#include "support/clock.h"
#include "support/sockets.h"
#include "test.h"

static zl_loop *loop;
static void *context;

typedef struct seen {
  zl_socket *watch;
  void *socket;
  int calls;
  int events;  /* of the last call */
  int receive; /* the callback takes this many frames */
  zl_socket **closes;
} seen;

static void on_socket(zl_socket *watch, int events, void *arg) {
  seen *s = arg;
  char text[16];
  CHECK(watch == s->watch);
  s->calls++;
  s->events = events;
  for (int i = 0; i < s->receive; i++) {
    (void)recv_text(s->socket, text, sizeof text);
  }
  if (s->closes && *s->closes) {
    zl_socket_close(*s->closes);
    *s->closes = NULL;
  }
}

static void begin(int backend, unsigned flags) {
  zl_config config = {
      .size = sizeof config, .backend = backend, .flags = flags};
  CHECK_INT(zl_loop_new(&config, &loop), 0);
  context = zmq_ctx_new();
}

static void end(void) {
  close_loop(loop);
  end_context(context);
}

static void watch_socket(void *socket, int events, unsigned flags, seen *s) {
  memset(s, 0, sizeof *s);
  s->socket = socket;
  CHECK_INT(zl_socket_new(loop, socket, events, flags, on_socket, s, &s->watch),
            0);
}

static int step(void) {
  int rc = zl_loop_step(loop, 0, NULL);
  CHECK(rc >= 0);
  verify_loop(loop);
  return rc & ~ZL_STEP_MORE;
}

static void run_until(const int *counter, int wanted) {
  while (*counter < wanted) {
    CHECK(zl_loop_step(loop, ZL_FOREVER, NULL) >= 0);
  }
}

static void level(int backend, unsigned flags) {
  seen s;
  begin(backend, flags);
  void *pull = new_socket(context, ZMQ_PULL);
  void *push = new_socket(context, ZMQ_PUSH);
  join_sockets(INPROC, pull, push);
  watch_socket(pull, ZL_READ, 0, &s);
  CHECK_INT(step(), 0);
  send_text(push, "a", 0);
  send_text(push, "b", 0);
  send_text(push, "c", 0);
  /* Taken none, then one at a time. */
  CHECK_INT(step(), 1);
  CHECK_INT(step(), 1);
  CHECK_INT(s.events, ZL_READ);
  s.receive = 1;
  CHECK_INT(step(), 1);
  CHECK_INT(step(), 1);
  CHECK_INT(step(), 1);
  CHECK_INT(step(), 0);
  CHECK_INT(s.calls, 5);
  s.receive = 2;
  send_text(push, "d", 0);
  send_text(push, "e", 0);
  CHECK_INT(step(), 1);
  CHECK_INT(step(), 0);
  CHECK(zl_loop_alive(loop));
  zl_socket_close(s.watch);
  CHECK(!zl_loop_alive(loop));
  close_socket(pull);
  close_socket(push);
  end();
}

static void test_socket_is_level_triggered(void) {
  level(ZL_BACKEND_DEFAULT, 0);
  level(ZL_BACKEND_DEFAULT, ZL_CONFIG_TOUCH);
  level(ZL_BACKEND_POLL, 0);
}

static void test_socket_reports_what_was_asked_for(void) {
  seen s;
  begin(ZL_BACKEND_DEFAULT, 0);
  void *dealer = new_socket(context, ZMQ_DEALER);
  void *peer = new_socket(context, ZMQ_DEALER);
  join_sockets(INPROC, dealer, peer);
  watch_socket(dealer, ZL_READ, 0, &s);
  CHECK_INT(step(), 0);
  CHECK_INT(zl_socket_update(s.watch, ZL_WRITE), 0);
  CHECK_INT(step(), 1);
  CHECK_INT(s.events, ZL_WRITE);
  send_text(peer, "m", 0);
  CHECK_INT(step(), 1);
  CHECK_INT(s.events, ZL_WRITE);
  CHECK_INT(zl_socket_update(s.watch, ZL_READ | ZL_WRITE), 0);
  CHECK_INT(step(), 1);
  CHECK_INT(s.events, ZL_READ | ZL_WRITE);
  CHECK_INT(zl_socket_update(s.watch, ZL_NONE), 0);
  CHECK_INT(step(), 0);
  CHECK(!zl_loop_alive(loop));
  CHECK_INT(zl_socket_update(s.watch, ZL_READ), 0);
  CHECK_INT(step(), 1);
  CHECK_INT(s.events, ZL_READ);
  CHECK_INT(zl_socket_update(s.watch, 0x40), -EINVAL);
  zl_socket_close(s.watch);
  close_socket(dealer);
  close_socket(peer);
  end();
}

/* A send on the watched socket processes the command that announced a message,
 * and so consumes the signal. */
static void swallow(int backend, unsigned config, unsigned flags) {
  seen s;
  begin(backend, config);
  void *dealer = new_socket(context, ZMQ_DEALER);
  void *peer = new_socket(context, ZMQ_DEALER);
  join_sockets(INPROC, dealer, peer);
  watch_socket(dealer, ZL_READ, flags, &s);
  s.receive = 1;
  for (int i = 1; i <= 100; i++) {
    int events;
    size_t size = sizeof events;
    CHECK_INT(step(), 0);
    send_text(peer, "m", 0);
    CHECK_INT(zmq_getsockopt(dealer, ZMQ_EVENTS, &events, &size), 0);
    CHECK(events & ZMQ_POLLIN);
    if (!flags) {
      zl_socket_used(s.watch);
    }
    run_until(&s.calls, i);
    CHECK_INT(s.calls, i);
  }
  zl_socket_close(s.watch);
  close_socket(dealer);
  close_socket(peer);
  end();
}

static void test_socket_used_by_other_code(void) {
  swallow(ZL_BACKEND_DEFAULT, 0, 0);
  swallow(ZL_BACKEND_DEFAULT, ZL_CONFIG_TOUCH, 0);
  swallow(ZL_BACKEND_POLL, 0, 0);
}

static void test_socket_foreign_needs_not_be_told(void) {
  swallow(ZL_BACKEND_DEFAULT, 0, ZL_FOREIGN);
}

/* The negative of the two tests above: the calls they test are needed. */
static void test_socket_used_by_other_code_untold(void) {
  seen s;
  int events;
  size_t size = sizeof events;
  begin(ZL_BACKEND_DEFAULT, 0);
  if (!loop->touch) {
    void *dealer = new_socket(context, ZMQ_DEALER);
    void *peer = new_socket(context, ZMQ_DEALER);
    join_sockets(INPROC, dealer, peer);
    watch_socket(dealer, ZL_READ, 0, &s);
    CHECK_INT(step(), 0);
    CHECK_INT(step(), 0);
    send_text(peer, "m", 0);
    CHECK_INT(zmq_getsockopt(dealer, ZMQ_EVENTS, &events, &size), 0);
    CHECK_INT(step(), 0);
    CHECK_INT(zl_loop_step(loop, 5 * MILLISECONDS, NULL), 0);
    zl_socket_touch(s.watch);
    CHECK_INT(step(), 1);
    zl_socket_close(s.watch);
    close_socket(dealer);
    close_socket(peer);
  }
  end();
}

/* Replying makes the next request readable, and nothing signals it. */
static void test_socket_touched_after_a_reply(void) {
  enum { CLIENTS = 3 };
  seen s;
  char endpoint[128];
  void *client[CLIENTS];
  begin(ZL_BACKEND_DEFAULT, 0);
  void *rep = new_socket(context, ZMQ_REP);
  new_endpoint(INPROC, endpoint, sizeof endpoint);
  CHECK_INT(zmq_bind(rep, endpoint), 0);
  for (int i = 0; i < CLIENTS; i++) {
    client[i] = new_socket(context, ZMQ_REQ);
    CHECK_INT(zmq_connect(client[i], endpoint), 0);
    send_text(client[i], "m", 0);
  }
  watch_socket(rep, ZL_READ, 0, &s);
  s.receive = 1;
  for (int i = 1; i <= CLIENTS; i++) {
    run_until(&s.calls, i);
    CHECK_INT(step(), 0);
    CHECK_INT(step(), 0);
    send_text(rep, "m", 0);
    zl_socket_touch(s.watch);
  }
  CHECK_INT(step(), 0);
  zl_socket_close(s.watch);
  for (int i = 0; i < CLIENTS; i++) {
    close_socket(client[i]);
  }
  close_socket(rep);
  end();
}

typedef struct foreign_rep {
  void *socket;
  int replies;
} foreign_rep;

static void on_reply_time(zl_timer *timer, uint64_t missed, void *arg) {
  foreign_rep *f = arg;
  (void)timer;
  (void)missed;
  send_text(f->socket, "m", 0);
  f->replies++;
}

/* Foreign code replies from a timer without reporting it. */
static void test_socket_foreign_rep_replies_from_a_timer(void) {
  enum { CLIENTS = 3 };
  seen s;
  char endpoint[128];
  void *client[CLIENTS];
  zl_timer *timer;
  foreign_rep f = {NULL, 0};
  begin(ZL_BACKEND_DEFAULT, 0);
  f.socket = new_socket(context, ZMQ_REP);
  new_endpoint(INPROC, endpoint, sizeof endpoint);
  CHECK_INT(zmq_bind(f.socket, endpoint), 0);
  for (int i = 0; i < CLIENTS; i++) {
    client[i] = new_socket(context, ZMQ_REQ);
    CHECK_INT(zmq_connect(client[i], endpoint), 0);
    send_text(client[i], "m", 0);
  }
  watch_socket(f.socket, ZL_READ, ZL_FOREIGN, &s);
  s.receive = 1;
  CHECK_INT(zl_timer_new(loop, on_reply_time, &f, &timer), 0);
  for (int i = 1; i <= CLIENTS; i++) {
    run_until(&s.calls, i);
    CHECK_INT(zl_timer_start(timer, 1 * MILLISECONDS, 0), 0);
    run_until(&f.replies, i);
  }
  zl_timer_close(timer);
  zl_socket_close(s.watch);
  for (int i = 0; i < CLIENTS; i++) {
    close_socket(client[i]);
  }
  close_socket(f.socket);
  end();
}

static void test_socket_touched_after_bind(void) {
  seen s;
  char endpoint[128];
  begin(ZL_BACKEND_DEFAULT, 0);
  void *pull = new_socket(context, ZMQ_PULL);
  void *push = new_socket(context, ZMQ_PUSH);
  new_endpoint(INPROC, endpoint, sizeof endpoint);
  watch_socket(pull, ZL_READ, 0, &s);
  CHECK_INT(step(), 0);
  CHECK_INT(zmq_connect(push, endpoint), 0);
  send_text(push, "m", 0);
  CHECK_INT(step(), 0);
  CHECK_INT(zmq_bind(pull, endpoint), 0);
  zl_socket_touch(s.watch);
  CHECK_INT(step(), 1);
  zl_socket_close(s.watch);
  close_socket(pull);
  close_socket(push);
  end();
}

/* Sends until the socket stays full for a while; returns how many went. */
static int fill(seen *s, unsigned flags, const char *data, size_t size) {
  int sent = 0;
  for (int full = 0; full < 20;) {
    int rc = zmq_send(s->socket, data, size, ZMQ_DONTWAIT);
    if (!flags) {
      zl_socket_used(s->watch);
    }
    if (rc >= 0) {
      sent++;
      full = 0;
    } else {
      full++;
      CHECK(zl_loop_step(loop, 1 * MILLISECONDS, NULL) >= 0);
    }
  }
  return sent;
}

static void full_then_writable(transport kind, int backend, unsigned flags) {
  static const char data[4096];
  seen s;
  char text[16];
  begin(backend, 0);
  void *pull = new_socket(context, ZMQ_PULL);
  void *push = new_socket(context, ZMQ_PUSH);
  set_option(push, ZMQ_SNDHWM, 2);
  set_option(pull, ZMQ_RCVHWM, 2);
  set_option(push, ZMQ_SNDBUF, 2048);
  set_option(pull, ZMQ_RCVBUF, 2048);
  join_sockets(kind, pull, push);
  watch_socket(push, ZL_WRITE, flags, &s);
  for (int round = 0; round < 3; round++) {
    run_until(&s.calls, s.calls + 1);
    CHECK_INT(s.events, ZL_WRITE);
    int sent = fill(&s, flags, data, sizeof data);
    CHECK(sent >= 2);
    while (step() > 0) { /* the network has taken some more meanwhile */
      sent += fill(&s, flags, data, sizeof data);
    }
    int calls = s.calls;
    while (sent > 0) {
      CHECK_INT(zmq_recv(pull, text, sizeof text, 0), sizeof data);
      sent--;
    }
    run_until(&s.calls, calls + 1);
  }
  zl_socket_close(s.watch);
  close_socket(pull);
  close_socket(push);
  end();
}

static void test_socket_full_push_becomes_writable(void) {
  full_then_writable(INPROC, ZL_BACKEND_DEFAULT, 0);
  full_then_writable(IPC, ZL_BACKEND_DEFAULT, 0);
  full_then_writable(TCP, ZL_BACKEND_DEFAULT, 0);
}

static void test_socket_full_push_becomes_writable_on_poll(void) {
  full_then_writable(INPROC, ZL_BACKEND_POLL, 0);
  full_then_writable(TCP, ZL_BACKEND_POLL, 0);
}

static void test_socket_full_push_becomes_writable_foreign(void) {
  full_then_writable(INPROC, ZL_BACKEND_DEFAULT, ZL_FOREIGN);
  full_then_writable(TCP, ZL_BACKEND_DEFAULT, ZL_FOREIGN);
}

static void test_socket_closes_itself_and_a_neighbour(void) {
  seen s[2];
  void *pull[2];
  void *push[2];
  for (int self = 0; self < 2; self++) {
    begin(ZL_BACKEND_DEFAULT, 0);
    for (int i = 0; i < 2; i++) {
      pull[i] = new_socket(context, ZMQ_PULL);
      push[i] = new_socket(context, ZMQ_PUSH);
      join_sockets(INPROC, pull[i], push[i]);
      send_text(push[i], "m", 0);
      watch_socket(pull[i], ZL_READ, 0, &s[i]);
    }
    for (int i = 0; i < 2; i++) {
      s[i].closes = &s[self ? i : 1 - i].watch;
    }
    (void)step();
    CHECK_INT(s[0].calls + s[1].calls, self ? 2 : 1);
    for (int i = 0; i < 2; i++) {
      zl_socket_close(s[i].watch);
      close_socket(pull[i]);
      close_socket(push[i]);
    }
    CHECK_INT(step(), 0);
    end();
  }
}

static void test_socket_refuses_what_it_cannot_watch(void) {
  seen s;
  zl_socket *second = (zl_socket *)&s;
  zl_stream *stream;
  begin(ZL_BACKEND_DEFAULT, 0);
  void *pull = new_socket(context, ZMQ_PULL);
  watch_socket(pull, ZL_READ, 0, &s);
  CHECK_INT(zl_socket_new(loop, pull, ZL_READ, 0, on_socket, &s, &second),
            -EEXIST);
  CHECK(!second);
  CHECK_INT(zl_stream_new(loop, pull, 0, &stream), -EEXIST);
  CHECK(!stream);
  zl_socket_close(s.watch);
  zl_socket_close(NULL);
  CHECK_INT(zl_socket_new(loop, pull, 0x40, 0, on_socket, &s, &second),
            -EINVAL);
  CHECK_INT(zl_socket_new(loop, pull, ZL_READ, 0x40, on_socket, &s, &second),
            -EINVAL);
  CHECK_INT(zl_socket_new(loop, NULL, ZL_READ, 0, on_socket, &s, &second),
            -ENOTSOCK);
  CHECK(!second);
  CHECK(!zl_loop_alive(loop));
  close_socket(pull);
  end();
}

static const zl_test tests[] = {
    TEST(test_socket_is_level_triggered),
    TEST(test_socket_reports_what_was_asked_for),
    TEST(test_socket_used_by_other_code),
    TEST(test_socket_foreign_needs_not_be_told),
    TEST(test_socket_used_by_other_code_untold),
    TEST(test_socket_touched_after_a_reply),
    TEST(test_socket_foreign_rep_replies_from_a_timer),
    TEST(test_socket_touched_after_bind),
    TEST(test_socket_full_push_becomes_writable),
    TEST(test_socket_full_push_becomes_writable_on_poll),
    TEST(test_socket_full_push_becomes_writable_foreign),
    TEST(test_socket_closes_itself_and_a_neighbour),
    TEST(test_socket_refuses_what_it_cannot_watch),
};

TEST_MAIN(tests)
