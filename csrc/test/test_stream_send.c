/* test_stream_send.c - sending: at once, queued, reported, refused.
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <string.h>

#include "support/streams.h"
#include "test.h"

static void test_stream_sends_at_once(void) {
  char text[64];
  for (transport kind = INPROC; kind < TRANSPORTS; kind++) {
    begin_pair();
    join_sockets(kind, pull, push);
    zl_stream *stream = new_stream(push);
    zl_frame frames[3] = {{"a", 1}, {NULL, 0}, {"bc", 2}};
    CHECK_INT(zl_stream_send(stream, frames, 3, 0), 0);
    CHECK_INT(send_one(stream, "d", 0), 0);
    CHECK_INT(zl_stream_send(stream, frames, 0, 0), -EINVAL);
    CHECK_INT(zl_stream_queued(stream), 0);
    CHECK_INT(recv_text(pull, text, sizeof text), 1);
    CHECK_INT(recv_text(pull, text, sizeof text), 0);
    CHECK_INT(recv_text(pull, text, sizeof text), 2);
    CHECK_INT(recv_text(pull, text, sizeof text), 1);
    CHECK(!strcmp(text, "d"));
    CHECK_INT(zl_stream_close(stream), 0);
    end_pair();
  }
}

/* There is no peer yet; later there is one, which takes less than is queued. */
static void send_without_a_peer(transport kind, int parts) {
  enum { MESSAGES = 3000 };
  sequence s = {0, parts};
  begin_pair();
  set_option(push, ZMQ_SNDHWM, 10);
  set_option(pull, ZMQ_RCVHWM, 10);
  zl_stream *sender = new_stream(push);
  for (int i = 0; i < MESSAGES; i++) {
    CHECK_INT(send_number(sender, parts, i, 0), ZL_QUEUED);
  }
  CHECK_INT(zl_stream_queued(sender), MESSAGES);
  CHECK_INT(step(), 0);
  CHECK(zl_loop_alive(loop));
  zl_stream *receiver = new_stream(pull);
  zl_stream_on_recv(receiver, sequence_recv, &s);
  join_sockets(kind, pull, push);
  zl_stream_touch(sender);
  zl_stream_touch(receiver);
  run_until(&s.next, MESSAGES);
  CHECK_INT(zl_stream_queued(sender), 0);
  CHECK_INT(send_number(sender, parts, MESSAGES, 0), 0);
  run_until(&s.next, MESSAGES + 1);
  CHECK_INT(zl_stream_close(sender), 0);
  zl_stream_close(receiver);
  end_pair();
}

static void test_stream_queues_without_a_peer_inproc(void) {
  send_without_a_peer(INPROC, 1);
  send_without_a_peer(INPROC, 3);
}

static void test_stream_queues_without_a_peer_ipc(void) {
  send_without_a_peer(IPC, 2);
}

static void test_stream_queues_without_a_peer_tcp(void) {
  send_without_a_peer(TCP, 1);
  send_without_a_peer(TCP, 3);
}

/* The peer connects by itself, without a touch. */
static void test_stream_queue_leaves_when_a_peer_connects(void) {
  char endpoint[128];
  size_t size = sizeof endpoint;
  sequence s = {0, 1};
  begin_pair();
  new_endpoint(TCP, endpoint, sizeof endpoint);
  CHECK_INT(zmq_bind(push, endpoint), 0);
  CHECK_INT(zmq_getsockopt(push, ZMQ_LAST_ENDPOINT, endpoint, &size), 0);
  zl_stream *sender = new_stream(push);
  for (int i = 0; i < 100; i++) {
    CHECK_INT(send_number(sender, 1, i, 0), ZL_QUEUED);
  }
  CHECK_INT(step(), 0);
  CHECK_INT(zmq_connect(pull, endpoint), 0);
  zl_stream *receiver = new_stream(pull);
  zl_stream_on_recv(receiver, sequence_recv, &s);
  run_until(&s.next, 100);
  zl_stream_close(sender);
  zl_stream_close(receiver);
  end_pair();
}

/* A queue of any length is sent in several turns, so that others get theirs. */
static void test_stream_long_queue_does_not_hold_up_the_loop(void) {
  enum { MESSAGES = 20000 };
  sequence s = {0, 1};
  zl_budget budget = {.time_ns = 1};
  begin_pair();
  set_option(push, ZMQ_SNDHWM, 0);
  set_option(pull, ZMQ_RCVHWM, 0);
  zl_stream *sender = new_stream(push);
  for (int i = 0; i < MESSAGES; i++) {
    CHECK_INT(send_number(sender, 1, i, 0), ZL_QUEUED);
  }
  join_sockets(INPROC, pull, push);
  zl_stream_touch(sender);
  (void)step();
  CHECK(zl_stream_queued(sender) > 0);
  size_t left = zl_stream_queued(sender);
  CHECK(zl_loop_step(loop, 0, &budget) >= 0);
  CHECK(zl_stream_queued(sender) > 0 && zl_stream_queued(sender) <= left);
  zl_stream *receiver = new_stream(pull);
  zl_stream_on_recv(receiver, sequence_recv, &s);
  run_until(&s.next, MESSAGES);
  CHECK_INT(zl_stream_queued(sender), 0);
  zl_stream_close(sender);
  zl_stream_close(receiver);
  end_pair();
}

/* Receiving uses up the budget of each step, but the queue is sent all the
 * same. */
static void test_stream_sends_under_a_budget_of_one(void) {
  enum { MESSAGES = 50 };
  zl_budget one = {.events = 1};
  inbox in;
  begin();
  void *dealer = new_socket(context, ZMQ_DEALER);
  void *peer = new_socket(context, ZMQ_DEALER);
  zl_stream *stream = new_receiver(dealer, &in);
  for (int i = 0; i < MESSAGES; i++) {
    CHECK_INT(send_one(stream, "m", 0), ZL_QUEUED);
  }
  join_sockets(INPROC, dealer, peer);
  zl_stream_touch(stream);
  for (int i = 0; i < 10 * MESSAGES; i++) {
    send_text(peer, "m", 0);
  }
  for (int i = 0; i < 2 * MESSAGES; i++) {
    CHECK(zl_loop_step(loop, 0, &one) >= 0);
  }
  CHECK(in.messages >= MESSAGES);
  CHECK_INT(zl_stream_queued(stream), 0);
  zl_stream_close(stream);
  close_socket(dealer);
  close_socket(peer);
  end();
}

static void on_drained(zl_stream *stream, void *arg) {
  CHECK_INT(zl_stream_queued(stream), 0);
  ++*(int *)arg;
}

static void test_stream_tells_when_the_queue_is_empty(void) {
  sequence s = {0, 1};
  int drained = 0;
  begin_pair();
  zl_stream *sender = new_stream(push);
  zl_stream_on_empty(sender, on_drained, &drained);
  CHECK(!zl_stream_busy(sender));
  for (int i = 0; i < 10; i++) {
    CHECK_INT(send_number(sender, 1, i, 0), ZL_QUEUED);
  }
  CHECK(zl_stream_busy(sender));
  CHECK_INT(step(), 0);
  CHECK_INT(drained, 0);
  join_sockets(INPROC, pull, push);
  zl_stream_touch(sender);
  run_until(&drained, 1);
  CHECK(!zl_stream_busy(sender));
  zl_stream *receiver = new_stream(pull);
  zl_stream_on_recv(receiver, sequence_recv, &s);
  run_until(&s.next, 10);
  /* Messages that were never queued cause no call of on_empty. */
  CHECK_INT(send_number(sender, 1, 10, 0), 0);
  run_until(&s.next, 11);
  CHECK_INT(drained, 1);
  zl_stream_close(sender);
  zl_stream_close(receiver);
  end_pair();
}

/* ---- reports of what was sent ------------------------------------------- */

static void test_stream_reports_in_order_from_the_loop(void) {
  reports r;
  memset(&r, 0, sizeof r);
  begin_pair();
  set_option(push, ZMQ_SNDHWM, 3);
  set_option(pull, ZMQ_RCVHWM, 3);
  join_sockets(INPROC, pull, push);
  zl_stream *stream = new_stream(push);
  zl_stream_on_sent(stream, on_sent, &r);
  uint64_t tokens = 0;
  int queued = 0;
  for (int i = 0; i < 20; i++) { /* every third without a token */
    int rc = send_reported(stream, &r, i % 3 == 2 ? 0 : ++tokens);
    CHECK(rc == 0 || rc == ZL_QUEUED);
    CHECK(!queued || rc == ZL_QUEUED);
    queued += rc == ZL_QUEUED;
  }
  CHECK(queued > 0 && queued < 20);
  CHECK_INT(r.count, 0);
  (void)step();
  CHECK(r.count > 0 && r.count < (int)tokens);
  inbox in;
  zl_stream *receiver = new_receiver(pull, &in);
  run_until(&in.messages, 20);
  run_until(&r.count, (int)tokens);
  for (int i = 0; i < r.count; i++) {
    CHECK_INT(r.tokens[i], i + 1);
    CHECK_INT(r.status[i], 0);
  }
  CHECK_INT(step(), 0);
  CHECK_INT(r.errors, 0);
  zl_stream_close(receiver);
  CHECK_INT(zl_stream_close(stream), 0);
  end_pair();
}

static void on_sent_and_send(zl_stream *stream, uint64_t token, int status,
                             void *arg) {
  on_sent(stream, token, status, arg);
  if (token < 10) {
    CHECK_INT(send_reported(stream, arg, token + 1), 0);
  }
}

static void test_stream_send_in_a_report(void) {
  reports r;
  memset(&r, 0, sizeof r);
  begin_pair();
  join_sockets(INPROC, pull, push);
  zl_stream *stream = new_stream(push);
  zl_stream_on_sent(stream, on_sent_and_send, &r);
  CHECK_INT(send_reported(stream, &r, 1), 0);
  run_until(&r.count, 10);
  CHECK_INT(r.tokens[9], 10);
  CHECK_INT(step(), 0);
  CHECK(!zl_loop_alive(loop));
  zl_stream_close(stream);
  end_pair();
}

/* Sends to the peer until a message is queued; returns how many were accepted,
 * that one too. */
static int send_until_queued(zl_stream *stream) {
  int accepted = 1;
  int rc;
  while ((rc = send_two(stream, "peer", "m", 0)) == 0) {
    accepted++;
    CHECK(accepted < 100);
  }
  CHECK_INT(rc, ZL_QUEUED);
  return accepted;
}

static void test_stream_refused_messages(void) {
  reports r;
  inbox in;
  memset(&r, 0, sizeof r);
  begin();
  void *router = new_socket(context, ZMQ_ROUTER);
  void *dealer = new_socket(context, ZMQ_DEALER);
  set_option(router, ZMQ_ROUTER_MANDATORY, 1);
  set_option(router, ZMQ_SNDHWM, 2);
  set_option(dealer, ZMQ_RCVHWM, 2);
  CHECK_INT(zmq_setsockopt(dealer, ZMQ_ROUTING_ID, "peer", 4), 0);
  join_sockets(INPROC, router, dealer);
  zl_stream *stream = new_receiver(router, &in);
  zl_stream_on_sent(stream, on_sent, &r);
  zl_stream_on_error(stream, on_error, &r);
  CHECK_INT(send_two(stream, "ghost", "m", 7), -EHOSTUNREACH);
  CHECK_INT(zl_stream_queued(stream), 0);
  send_text(dealer, "hello", 0);
  run_until(&in.messages, 1);
  int accepted = send_until_queued(stream);
  CHECK_INT(send_two(stream, "ghost", "m", 7), ZL_QUEUED);
  CHECK_INT(send_two(stream, "peer", "m", 8), ZL_QUEUED);
  CHECK_INT(send_two(stream, "ghost", "m", 0), ZL_QUEUED);
  CHECK_INT(send_two(stream, "peer", "m", 9), ZL_QUEUED);
  accepted += 2;
  CHECK_INT(zl_stream_queued(stream), 5);
  inbox out;
  zl_stream *receiver = new_receiver(dealer, &out);
  run_until(&out.messages, accepted);
  run_until(&r.count, 3);
  CHECK(r.tokens[0] == 7 && r.status[0] == -EHOSTUNREACH);
  CHECK(r.tokens[1] == 8 && r.status[1] == 0);
  CHECK(r.tokens[2] == 9 && r.status[2] == 0);
  CHECK_INT(r.errors, 1);
  CHECK_INT(r.error, -EHOSTUNREACH);
  zl_stream_close(receiver);
  CHECK_INT(zl_stream_close(stream), 0);
  close_socket(router);
  close_socket(dealer);
  end();
}

/* ---- the budget of a step ------------------------------------------------ */

typedef struct notices {
  reports r;
  int room;
  int empty;
  int done;
} notices;

static void on_room(zl_stream *stream, void *arg) {
  (void)stream;
  ((notices *)arg)->room++;
}

static void on_empty(zl_stream *stream, void *arg) {
  (void)stream;
  ((notices *)arg)->empty++;
}

static void on_done(zl_stream *stream, void *arg) {
  (void)stream;
  ((notices *)arg)->done++;
}

static int count_of(const notices *n) {
  return n->r.count + n->r.errors + n->room + n->empty + n->done;
}

static zl_stream *new_noticed(void *socket, notices *n) {
  zl_stream *stream = new_stream(socket);
  memset(n, 0, sizeof *n);
  zl_stream_on_error(stream, on_error, &n->r);
  zl_stream_on_sent(stream, on_sent, &n->r);
  zl_stream_on_room(stream, on_room, n);
  zl_stream_on_empty(stream, on_empty, n);
  return stream;
}

/* Steps of one event each, until `wanted` calls were made. */
static void step_one_by_one(const notices *n, int wanted) {
  zl_budget one = {.events = 1};
  for (int i = 0; count_of(n) < wanted && i < 1000; i++) {
    int before = count_of(n);
    int rc = zl_loop_step(loop, 0, &one);
    CHECK(rc >= 0);
    CHECK((rc & ~ZL_STEP_MORE) <= 1);
    CHECK(count_of(n) - before <= 1);
    CHECK(count_of(n) == wanted || (rc & ZL_STEP_MORE));
  }
  CHECK_INT(count_of(n), wanted);
}

/* What queued messages bring about when they leave: room in the queue, an
 * error, an empty queue, the end of draining. */
static void test_stream_notices_keep_to_the_budget(void) {
  notices n;
  char text[8];
  begin();
  void *router = new_socket(context, ZMQ_ROUTER);
  void *dealer = new_socket(context, ZMQ_DEALER);
  set_option(router, ZMQ_ROUTER_MANDATORY, 1);
  set_option(router, ZMQ_SNDHWM, 2);
  set_option(dealer, ZMQ_RCVHWM, 2);
  CHECK_INT(zmq_setsockopt(dealer, ZMQ_ROUTING_ID, "peer", 4), 0);
  join_sockets(INPROC, router, dealer);
  send_text(dealer, "hello", 0);
  zl_stream *stream = new_noticed(router, &n);
  CHECK_INT(zl_stream_flush(stream, ZL_READ, -1), 1);
  int accepted = send_until_queued(stream);
  CHECK_INT(send_two(stream, "ghost", "m", 0), ZL_QUEUED);
  zl_stream_set_limits(stream, 2, 0);
  CHECK_INT(send_two(stream, "peer", "m", 0), -EAGAIN);
  for (int i = 1; i < accepted; i++) {
    CHECK_INT(recv_text(dealer, text, sizeof text), 1);
  }
  step_one_by_one(&n, 3);
  CHECK(n.room == 1 && n.r.errors == 1 && n.empty == 1);
  CHECK_INT(n.r.error, -EHOSTUNREACH);
  CHECK_INT(zl_stream_drain(stream, ZL_FOREVER, on_done, &n), 0);
  step_one_by_one(&n, 4);
  CHECK_INT(n.done, 1);
  zl_stream_close(stream);
  close_socket(router);
  close_socket(dealer);
  end();
}

/* The reports that are left, the error, the end of draining. */
static void test_stream_end_of_a_context_keeps_to_the_budget(void) {
  enum { MESSAGES = 5 };
  notices n;
  begin_pair();
  join_sockets(INPROC, pull, push);
  zl_stream *stream = new_noticed(push, &n);
  for (uint64_t token = 1; token <= MESSAGES; token++) {
    CHECK_INT(send_one(stream, "m", token), 0);
  }
  CHECK_INT(zl_stream_drain(stream, ZL_FOREVER, on_done, &n), 0);
  CHECK_INT(zmq_ctx_shutdown(context), 0);
  CHECK_INT(zl_stream_flush(stream, ZL_WRITE, -1), 0);
  step_one_by_one(&n, MESSAGES + 2);
  CHECK(n.r.count == MESSAGES && n.r.errors == 1 && n.done == 1);
  CHECK_INT(n.r.error, -ETERM);
  CHECK(!zl_loop_alive(loop));
  zl_stream_close(stream);
  end_pair();
}

/* A type that never receives still sends. */
static void test_stream_receive_on_a_type_that_cannot(void) {
  inbox in;
  reports r;
  char text[8];
  memset(&r, 0, sizeof r);
  begin_pair();
  join_sockets(INPROC, pull, push);
  zl_stream *stream = new_receiver(push, &in);
  zl_stream_on_error(stream, on_error, &r);
  CHECK_INT(step(), 0);
  CHECK_INT(zl_stream_flush(stream, ZL_READ, -1), 0);
  CHECK_INT(send_one(stream, "m", 0), 0);
  CHECK_INT(recv_text(pull, text, sizeof text), 1);
  CHECK_INT(r.errors, 0);
  CHECK_INT(zl_loop_step(loop, 1 * MILLISECONDS, NULL), 0);
  zl_stream_close(stream);
  end_pair();
}

static void test_stream_send_on_a_type_that_cannot(void) {
  inbox in;
  begin_pair();
  join_sockets(INPROC, pull, push);
  zl_stream *stream = new_receiver(pull, &in);
  CHECK_INT(send_one(stream, "m", 1), -ENOTSUP);
  CHECK_INT(zl_stream_queued(stream), 0);
  /* It still receives. */
  send_text(push, "a", 0);
  run_until(&in.messages, 1);
  zl_stream_close(stream);
  end_pair();
}

static const zl_test tests[] = {
    TEST(test_stream_sends_at_once),
    TEST(test_stream_queues_without_a_peer_inproc),
    TEST(test_stream_queues_without_a_peer_ipc),
    TEST(test_stream_queues_without_a_peer_tcp),
    TEST(test_stream_queue_leaves_when_a_peer_connects),
    TEST(test_stream_long_queue_does_not_hold_up_the_loop),
    TEST(test_stream_sends_under_a_budget_of_one),
    TEST(test_stream_tells_when_the_queue_is_empty),
    TEST(test_stream_reports_in_order_from_the_loop),
    TEST(test_stream_send_in_a_report),
    TEST(test_stream_refused_messages),
    TEST(test_stream_notices_keep_to_the_budget),
    TEST(test_stream_end_of_a_context_keeps_to_the_budget),
    TEST(test_stream_receive_on_a_type_that_cannot),
    TEST(test_stream_send_on_a_type_that_cannot),
};

TEST_MAIN(tests)
