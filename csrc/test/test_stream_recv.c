/* test_stream_recv.c - receiving and flushing streams.
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "support/streams.h"
#include "test.h"
#include "zmqloop_batch.h"

static void test_stream_receives_in_batches(void) {
  inbox in;
  begin_pair();
  join_sockets(INPROC, pull, push);
  zl_stream *stream = new_receiver(pull, &in);
  CHECK_INT(zl_stream_set_batch(stream, 0), -EINVAL);
  CHECK_INT(zl_stream_set_batch(stream, -1), -EINVAL);
  CHECK_INT(zl_stream_set_batch(stream, 65536), -EINVAL);
  CHECK_INT(zl_stream_set_batch(stream, 65535), 0);
  CHECK_INT(zl_stream_set_batch(stream, 3), 0);
  for (int i = 0; i < 10; i++) {
    send_text(push, "m", 0);
  }
  static const int turns[] = {3, 3, 3, 1, 0};
  for (int i = 0; i < 5; i++) {
    CHECK_INT(step(), turns[i]);
  }
  CHECK_INT(in.messages, 10);
  CHECK_INT(zl_stream_close(stream), 0);
  end_pair();
}

/* A callback that leaves messages is called again. */
static void test_stream_leaves_what_is_not_taken(void) {
  inbox in;
  begin_pair();
  join_sockets(INPROC, pull, push);
  zl_stream *stream = new_receiver(pull, &in);
  in.take = 1;
  send_text(push, "a", 0);
  send_text(push, "b", 0);
  send_text(push, "c", 0);
  CHECK_INT(step(), 1);
  CHECK_INT(step(), 1);
  in.take = 0;
  send_text(push, "d", 0);
  CHECK_INT(step(), 2);
  CHECK(!strcmp(in.text, "a;b;c;d;"));
  zl_stream_close(stream);
  end_pair();
}

static void on_next_only(zl_stream *stream, void *arg) {
  int *n = arg;
  zl_incoming first;
  zl_incoming second;
  CHECK(!zl_stream_shows(stream));
  CHECK_INT(zl_stream_next(stream, &first), 2);
  CHECK_INT(zl_stream_next(stream, &second), 2);
  CHECK(zl_stream_shows(stream));
  CHECK(first.frames == second.frames);
  CHECK_INT(first.count, 2);
  CHECK(first.data == NULL);
  CHECK_INT(zmq_msg_size(&first.frames[1]), 1);
  ++*n;
}

static void test_stream_holds_what_is_not_accepted(void) {
  inbox in;
  int shown = 0;
  begin_pair();
  join_sockets(INPROC, pull, push);
  zl_stream *stream = new_receiver(pull, &in);
  zl_stream_on_recv(stream, on_next_only, &shown);
  send_text(push, "a", ZMQ_SNDMORE);
  send_text(push, "b", 0);
  send_text(push, "c", 0);
  for (int i = 1; i <= 5; i++) {
    (void)step();
    CHECK_INT(shown, i);
  }
  zl_stream_on_recv(stream, inbox_recv, &in);
  CHECK_INT(step(), 2);
  CHECK(!strcmp(in.text, "a|b;c;"));
  /* A held message is dropped with its stream. */
  send_text(push, "a", ZMQ_SNDMORE);
  send_text(push, "b", 0);
  zl_stream_on_recv(stream, on_next_only, &shown);
  (void)step();
  CHECK_INT(shown, 6);
  zl_stream_close(stream);
  end_pair();
}

static int poll_readable(void *zmq) {
  zmq_pollitem_t item = {.socket = zmq, .events = ZMQ_POLLIN};
  return zmq_poll(&item, 1, -1);
}

/* A turn that ended before its batch leaves nothing behind. */
static void test_stream_receives_only_in_its_callback(void) {
  inbox in;
  zl_incoming message;
  begin_pair();
  join_sockets(INPROC, pull, push);
  zl_stream *stream = new_receiver(pull, &in);
  send_text(push, "a", 0);
  CHECK_INT(step(), 1);
  send_text(push, "b", 0);
  CHECK_INT(poll_readable(pull), 1);
  zl_stream_touch(stream);
  CHECK_INT(zl_stream_next(stream, &message), 0);
  CHECK(message.frames == NULL);
  zl_stream_accept(stream);
  CHECK(!zl_stream_shows(stream));
  CHECK_INT(step(), 1);
  CHECK(!strcmp(in.text, "a;b;"));
  zl_stream_close(stream);
  end_pair();
}

/* Asked whether it is readable, a ROUTER reads the first frame. */
static void test_stream_receives_ahead_of_a_disconnect(void) {
  static const char address[] = "inproc://ahead";
  static const char other[] = "inproc://other";
  inbox in;
  int shown = 0;
  begin();
  void *dealer = new_socket(context, ZMQ_DEALER);
  void *router = new_socket(context, ZMQ_ROUTER);
  CHECK_INT(zmq_bind(dealer, address), 0);
  CHECK_INT(zmq_connect(router, address), 0);
  zl_stream *stream = new_receiver(router, &in);
  CHECK_INT(zl_stream_disconnect(stream, other), -ENOENT);
  send_text(dealer, "a", 0);
  CHECK_INT(poll_readable(router), 1);
  CHECK_INT(zl_stream_disconnect(stream, other), -ENOENT);
  CHECK_INT(zl_stream_disconnect(stream, other), -ENOENT);
  send_text(dealer, "b", 0);
  CHECK_INT(poll_readable(router), 1);
  CHECK_INT(zl_stream_disconnect(stream, address), -EFSM);
  zl_stream_on_recv(stream, on_next_only, &shown);
  (void)step();
  CHECK_INT(shown, 1);
  CHECK_INT(zl_stream_disconnect(stream, address), -EFSM);
  zl_stream_on_recv(stream, inbox_recv, &in);
  CHECK_INT(step(), 2);
  CHECK_INT(zl_stream_disconnect(stream, address), 0);
  CHECK_INT(zl_stream_disconnect(stream, address), -ENOENT);
  CHECK_INT(step(), 0);
  zl_stream_close(stream);
  close_socket(router);
  close_socket(dealer);
  end();
}

/* What is received ahead needs no signal to be delivered. */
static void test_stream_delivers_what_a_disconnect_has_received(void) {
  static const char address[] = "inproc://ahead";
  inbox in;
  begin();
  void *dealer = new_socket(context, ZMQ_DEALER);
  void *router = new_socket(context, ZMQ_ROUTER);
  CHECK_INT(zmq_bind(dealer, address), 0);
  CHECK_INT(zmq_connect(router, address), 0);
  zl_stream *stream = new_receiver(router, &in);
  CHECK_INT(step(), 0);
  send_text(dealer, "a", 0);
  CHECK_INT(zl_stream_disconnect(stream, address), 0);
  CHECK_INT(step(), 1);
  CHECK_INT(in.messages, 1);
  zl_stream_close(stream);
  close_socket(router);
  close_socket(dealer);
  end();
}

/* The first frame of a message was received by other code. */
static void test_stream_is_not_disconnected_in_the_middle_of_a_message(void) {
  static const char address[] = "inproc://middle";
  char text[8];
  begin_pair();
  CHECK_INT(zmq_bind(push, address), 0);
  CHECK_INT(zmq_connect(pull, address), 0);
  zl_stream *stream = new_stream(pull);
  send_text(push, "a", ZMQ_SNDMORE);
  send_text(push, "b", 0);
  CHECK_INT(recv_text(pull, text, sizeof text), 1);
  CHECK_INT(zl_stream_disconnect(stream, address), -EFSM);
  CHECK_INT(recv_text(pull, text, sizeof text), 1);
  CHECK_INT(zl_stream_disconnect(stream, "no address"), -EINVAL);
  CHECK_INT(zl_stream_disconnect(stream, address), 0);
  zl_stream_close(stream);
  end_pair();
}

static void receive_multipart(transport kind) {
  enum { MANY = 40 };
  inbox in;
  begin_pair();
  join_sockets(kind, pull, push);
  zl_stream *stream = new_receiver(pull, &in);
  send_text(push, "a", ZMQ_SNDMORE);
  send_text(push, "", ZMQ_SNDMORE);
  send_text(push, "b", 0);
  send_text(push, "", 0);
  send_text(push, "", ZMQ_SNDMORE);
  send_text(push, "", 0);
  for (int i = 0; i < MANY; i++) {
    send_text(push, "x", ZMQ_SNDMORE);
  }
  send_text(push, "y", 0);
  run_until(&in.messages, 4);
  CHECK(!strncmp(in.text, "a||b;;|;x|x|", 12));
  CHECK(!strcmp(in.text + strlen(in.text) - 5, "|x|y;"));
  CHECK_INT(strlen(in.text), 8 + 2 * MANY + 2);
  zl_stream_close(stream);
  end_pair();
}

static void test_stream_receives_multipart_inproc(void) {
  receive_multipart(INPROC);
}

static void test_stream_receives_multipart_ipc(void) {
  receive_multipart(IPC);
}

static void test_stream_receives_multipart_tcp(void) {
  receive_multipart(TCP);
}

static void pending_messages(transport kind) {
  inbox in;
  begin_pair();
  join_sockets(kind, pull, push);
  for (int i = 0; i < 3; i++) {
    send_text(push, "m", 0);
  }
  rest(); /* the signal for them was sent and not yet seen */
  zl_stream *stream = new_receiver(pull, &in);
  run_until(&in.messages, 3);
  zl_stream_close(stream);
  end_pair();
}

static void test_stream_on_a_socket_with_messages_pending(void) {
  for (transport kind = INPROC; kind < TRANSPORTS; kind++) {
    pending_messages(kind);
  }
}

static void test_stream_bound_after_connect_and_send(void) {
  inbox in;
  char endpoint[128];
  begin_pair();
  new_endpoint(INPROC, endpoint, sizeof endpoint);
  zl_stream *stream = new_receiver(pull, &in);
  CHECK_INT(step(), 0);
  CHECK_INT(zmq_connect(push, endpoint), 0);
  send_text(push, "early", 0);
  CHECK_INT(step(), 0);
  CHECK_INT(zmq_bind(pull, endpoint), 0);
  zl_stream_touch(stream);
  run_until(&in.messages, 1);
  CHECK(!strcmp(in.text, "early;"));
  zl_stream_close(stream);
  end_pair();
}

/* A receive made by other code, which consumes a signal. */
static void test_stream_socket_used_directly(void) {
  inbox in;
  char text[16];
  begin();
  void *dealer = new_socket(context, ZMQ_DEALER);
  void *peer = new_socket(context, ZMQ_DEALER);
  join_sockets(INPROC, dealer, peer);
  zl_stream *stream = new_receiver(dealer, &in);
  for (int i = 0; i < 200; i++) {
    in.text[0] = '\0';
    CHECK_INT(step(), 0);
    send_text(peer, "a", 0);
    send_text(peer, "b", 0);
    if (i % 2) {
      CHECK_INT(recv_text(dealer, text, sizeof text), 1);
    } else {
      send_text(dealer, "away", 0);
    }
    zl_stream_used(stream);
    run_until(&in.messages, in.messages + (i % 2 ? 1 : 2));
    CHECK(!strcmp(in.text, i % 2 ? "b;" : "a;b;"));
  }
  zl_stream_close(stream);
  close_socket(dealer);
  close_socket(peer);
  end();
}

typedef struct pauser {
  inbox in;
  int pause_at;
} pauser;

static void on_recv_and_pause(zl_stream *stream, void *arg) {
  pauser *p = arg;
  zl_incoming message;
  int count;
  while ((count = zl_stream_next(stream, &message)) > 0) {
    append_message(&p->in, message.frames, count);
    zl_stream_accept(stream);
    if (p->in.messages == p->pause_at) {
      zl_stream_on_recv(stream, NULL, NULL);
    }
  }
}

static void test_stream_pause_and_resume_lose_nothing(void) {
  static const char all[] = "0;1;2;3;4;5;6;7;8;9;";
  for (transport kind = INPROC; kind < TRANSPORTS; kind++) {
    begin_pair();
    join_sockets(kind, pull, push);
    zl_stream *stream = new_stream(pull);
    pauser p;
    memset(&p, 0, sizeof p);
    for (int i = 0; i < 10; i++) {
      char digit[2] = {(char)('0' + i), '\0'};
      send_text(push, digit, 0);
    }
    rest();
    CHECK_INT(step(), 0);
    for (p.pause_at = 2; p.pause_at <= 10; p.pause_at += 4) {
      zl_stream_on_recv(stream, on_recv_and_pause, &p);
      run_until(&p.in.messages, p.pause_at);
      CHECK_INT(step(), 0);
      CHECK(!zl_loop_alive(loop));
      rest();
      CHECK_INT(step(), 0);
    }
    CHECK(!strcmp(p.in.text, all));
    zl_stream_close(stream);
    end_pair();
  }
}

typedef struct breaker {
  inbox in;
  int stop; /* else break */
} breaker;

static void on_recv_and_break(zl_stream *stream, void *arg) {
  breaker *b = arg;
  zl_incoming message;
  int count = zl_stream_next(stream, &message);
  if (count == 0) {
    return;
  }
  append_message(&b->in, message.frames, count);
  zl_stream_accept(stream);
  if (b->stop) {
    zl_loop_stop(loop);
  } else {
    zl_loop_break(loop);
    CHECK_INT(zl_stream_next(stream, &message), 0);
  }
}

static void test_stream_break_and_stop_lose_nothing(void) {
  for (int stop = 0; stop < 2; stop++) {
    begin_pair();
    join_sockets(INPROC, pull, push);
    zl_stream *stream = new_stream(pull);
    breaker b;
    memset(&b, 0, sizeof b);
    b.stop = stop;
    zl_stream_on_recv(stream, on_recv_and_break, &b);
    send_text(push, "a", 0);
    send_text(push, "b", 0);
    send_text(push, "c", 0);
    for (int i = 1; i <= 3; i++) {
      CHECK_INT(zl_loop_run(loop, ZL_RUN_FOREVER), stop ? 0 : -EINTR);
      CHECK_INT(b.in.messages, i);
    }
    CHECK(!strcmp(b.in.text, "a;b;c;"));
    zl_stream_close(stream);
    end_pair();
  }
}

static void test_stream_busy_ones_alternate(void) {
  enum { EACH = 20, BATCH = 2 };
  inbox in[2];
  void *pulls[2];
  void *pushes[2];
  zl_stream *stream[2];
  begin();
  for (int i = 0; i < 2; i++) {
    pulls[i] = new_socket(context, ZMQ_PULL);
    pushes[i] = new_socket(context, ZMQ_PUSH);
    join_sockets(INPROC, pulls[i], pushes[i]);
    stream[i] = new_receiver(pulls[i], &in[i]);
    CHECK_INT(zl_stream_set_batch(stream[i], BATCH), 0);
    for (int k = 0; k < EACH; k++) {
      send_text(pushes[i], "m", 0);
    }
  }
  for (int k = BATCH; k <= EACH; k += BATCH) {
    CHECK_INT(step(), 2 * BATCH);
    CHECK_INT(in[0].messages, k);
    CHECK_INT(in[1].messages, k);
  }
  /* With a budget of one batch each gets its turn. */
  zl_budget budget = {.events = BATCH};
  for (int i = 0; i < 2; i++) {
    in[i].messages = 0;
    for (int k = 0; k < EACH; k++) {
      send_text(pushes[i], "m", 0);
    }
  }
  for (int k = 1; k <= EACH / BATCH; k++) {
    CHECK(zl_loop_step(loop, 0, &budget) >= BATCH);
    CHECK(zl_loop_step(loop, 0, &budget) >= BATCH);
    CHECK_INT(in[0].messages, k * BATCH);
    CHECK_INT(in[1].messages, k * BATCH);
  }
  for (int i = 0; i < 2; i++) {
    zl_stream_close(stream[i]);
    close_socket(pulls[i]);
    close_socket(pushes[i]);
  }
  end();
}

static void on_recv_count(zl_stream *stream, void *arg) {
  zl_incoming message;
  while (zl_stream_next(stream, &message) > 0) {
    zl_stream_accept(stream);
    ++*(int *)arg;
  }
}

typedef struct storm {
  void *push;
  atomic_bool over;
} storm;

static void *send_storm(void *arg) {
  storm *s = arg;
  while (!atomic_load(&s->over)) {
    (void)zmq_send(s->push, "m", 1, ZMQ_DONTWAIT);
  }
  return NULL;
}

static void on_tick(zl_timer *timer, uint64_t missed, void *arg) {
  (void)timer;
  (void)missed;
  ++*(int *)arg;
}

/* An endless stream of messages, with a quiet stream and a timer beside it. */
static void test_stream_storm_starves_nobody(void) {
  enum { TICKS = 20 };
  int quiet = 0;
  storm s;
  pthread_t thread;
  zl_timer *timer;
  int stormy = 0;
  int ticks = 0;
  begin();
  pull = new_socket(context, ZMQ_PULL);
  void *calm_pull = new_socket(context, ZMQ_PULL);
  void *calm_push = new_socket(context, ZMQ_PUSH);
  s.push = new_socket(context, ZMQ_PUSH);
  atomic_init(&s.over, false);
  join_sockets(INPROC, pull, s.push);
  join_sockets(INPROC, calm_pull, calm_push);
  zl_stream *stream = new_stream(pull);
  zl_stream *calm = new_stream(calm_pull);
  zl_stream_on_recv(calm, on_recv_count, &quiet);
  zl_stream_on_recv(stream, on_recv_count, &stormy);
  CHECK_INT(zl_timer_new(loop, on_tick, &ticks, &timer), 0);
  CHECK_INT(zl_timer_start(timer, 1 * MILLISECONDS, 1 * MILLISECONDS), 0);
  CHECK_INT(pthread_create(&thread, NULL, send_storm, &s), 0);
  while (ticks < TICKS || quiet < TICKS) {
    send_text(calm_push, "m", 0);
    int before = quiet;
    while (quiet == before) {
      CHECK(zl_loop_step(loop, ZL_FOREVER, NULL) >= 0);
    }
  }
  CHECK(stormy > 0);
  atomic_store(&s.over, true);
  CHECK_INT(pthread_join(thread, NULL), 0);
  zl_timer_close(timer);
  zl_stream_close(stream);
  zl_stream_close(calm);
  close_socket(pull);
  close_socket(s.push);
  close_socket(calm_pull);
  close_socket(calm_push);
  end();
}

/* ---- flush -------------------------------------------------------------- */

static void test_stream_flush_receives_exactly(void) {
  inbox in;
  begin_pair();
  join_sockets(INPROC, pull, push);
  zl_stream *stream = new_receiver(pull, &in);
  CHECK_INT(zl_stream_flush(stream, ZL_READ, -1), 0);
  for (int i = 0; i < 100; i++) {
    send_text(push, "m", 0);
  }
  CHECK_INT(zl_stream_flush(stream, ZL_READ, 0), 0);
  CHECK_INT(in.messages, 0);
  CHECK_INT(zl_stream_flush(stream, ZL_WRITE, -1), 0);
  CHECK_INT(zl_stream_flush(stream, ZL_READ, 1), 1);
  CHECK_INT(in.messages, 1);
  CHECK_INT(zl_stream_flush(stream, ZL_READ | ZL_WRITE, 7), 7);
  CHECK_INT(in.messages, 8);
  /* More than a batch, and less than wanted. */
  CHECK_INT(zl_stream_flush(stream, ZL_READ, 1000), 92);
  CHECK_INT(in.messages, 100);
  /* A callback that takes one at a time is called again. */
  for (int i = 0; i < 10; i++) {
    send_text(push, "m", 0);
  }
  in.take = 1;
  CHECK_INT(zl_stream_flush(stream, ZL_READ, 4), 4);
  CHECK_INT(zl_stream_flush(stream, ZL_READ, -1), 6);
  CHECK_INT(in.messages, 110);
  /* Nothing is left that the loop would not find. */
  send_text(push, "m", 0);
  run_until(&in.messages, 111);
  zl_stream_close(stream);
  end_pair();
}

static void test_stream_flush_without_callback_discards(void) {
  inbox in;
  begin_pair();
  join_sockets(INPROC, pull, push);
  zl_stream *stream = new_stream(pull);
  for (int i = 0; i < 10; i++) {
    send_text(push, "old", 0);
  }
  CHECK_INT(zl_stream_flush(stream, ZL_READ, 4), 4);
  CHECK_INT(zl_stream_flush(stream, ZL_READ, -1), 6);
  send_text(push, "new", 0);
  memset(&in, 0, sizeof in);
  zl_stream_on_recv(stream, inbox_recv, &in);
  run_until(&in.messages, 1);
  CHECK(!strcmp(in.text, "new;"));
  zl_stream_close(stream);
  end_pair();
}

static void recv_once(zl_stream *stream, void *arg) {
  zl_incoming message;
  if (zl_stream_next(stream, &message) > 0) {
    zl_stream_accept(stream);
    (*(int *)arg)++;
  }
  zl_stream_on_recv(stream, NULL, NULL);
}

static void test_stream_flush_keeps_what_its_callback_leaves(void) {
  inbox in;
  int received = 0;
  begin_pair();
  join_sockets(INPROC, pull, push);
  zl_stream *stream = new_stream(pull);
  zl_stream_on_recv(stream, recv_once, &received);
  for (int i = 0; i < 3; i++) {
    send_text(push, "m", 0);
  }
  CHECK_INT(zl_stream_flush(stream, ZL_READ | ZL_WRITE, -1), 1);
  CHECK_INT(received, 1);
  memset(&in, 0, sizeof in);
  zl_stream_on_recv(stream, inbox_recv, &in);
  run_until(&in.messages, 2);
  zl_stream_close(stream);
  end_pair();
}

static void test_stream_flush_sends_exactly(void) {
  char text[8];
  reports r;
  memset(&r, 0, sizeof r);
  begin_pair();
  zl_stream *stream = new_stream(push);
  zl_stream_on_sent(stream, on_sent, &r);
  for (uint64_t i = 1; i <= 10; i++) {
    CHECK_INT(send_reported(stream, &r, i), ZL_QUEUED);
  }
  CHECK_INT(zl_stream_flush(stream, ZL_WRITE, -1), 0);
  join_sockets(INPROC, pull, push);
  zl_stream_touch(stream);
  CHECK_INT(zl_stream_flush(stream, ZL_WRITE, 0), 0);
  CHECK_INT(zl_stream_queued(stream), 10);
  CHECK_INT(zl_stream_flush(stream, ZL_READ, -1), 0);
  CHECK_INT(zl_stream_flush(stream, ZL_WRITE, 1), 1);
  CHECK_INT(zl_stream_flush(stream, ZL_WRITE, 4), 4);
  CHECK_INT(zl_stream_queued(stream), 5);
  CHECK_INT(zl_stream_flush(stream, ZL_WRITE, -1), 5);
  for (int i = 0; i < 10; i++) {
    CHECK_INT(recv_text(pull, text, sizeof text), 1);
  }
  run_until(&r.count, 10);
  CHECK_INT(zl_stream_close(stream), 0);
  end_pair();
}

/* Replies sent by the callbacks are flushed too. */
static void test_stream_flush_sends_the_replies(void) {
  int echoed = 0;
  char text[8];
  begin();
  void *rep = new_socket(context, ZMQ_REP);
  void *req = new_socket(context, ZMQ_REQ);
  join_sockets(INPROC, rep, req);
  zl_stream *stream = new_stream(rep);
  zl_stream_on_recv(stream, echo_recv, &echoed);
  send_text(req, "m", 0);
  CHECK(zl_stream_flush(stream, ZL_READ | ZL_WRITE, -1) >= 1);
  CHECK_INT(recv_text(req, text, sizeof text), 1);
  zl_stream_close(stream);
  close_socket(rep);
  close_socket(req);
  end();
}

static const zl_test tests[] = {
    TEST(test_stream_receives_in_batches),
    TEST(test_stream_leaves_what_is_not_taken),
    TEST(test_stream_holds_what_is_not_accepted),
    TEST(test_stream_receives_only_in_its_callback),
    TEST(test_stream_receives_ahead_of_a_disconnect),
    TEST(test_stream_delivers_what_a_disconnect_has_received),
    TEST(test_stream_is_not_disconnected_in_the_middle_of_a_message),
    TEST(test_stream_receives_multipart_inproc),
    TEST(test_stream_receives_multipart_ipc),
    TEST(test_stream_receives_multipart_tcp),
    TEST(test_stream_on_a_socket_with_messages_pending),
    TEST(test_stream_bound_after_connect_and_send),
    TEST(test_stream_socket_used_directly),
    TEST(test_stream_pause_and_resume_lose_nothing),
    TEST(test_stream_break_and_stop_lose_nothing),
    TEST(test_stream_busy_ones_alternate),
    TEST(test_stream_storm_starves_nobody),
    TEST(test_stream_flush_receives_exactly),
    TEST(test_stream_flush_without_callback_discards),
    TEST(test_stream_flush_keeps_what_its_callback_leaves),
    TEST(test_stream_flush_sends_exactly),
    TEST(test_stream_flush_sends_the_replies),
};

TEST_MAIN(tests)
