/* test_stream_queue.c - limits of the queue, draining, priorities, turns.
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "support/streams.h"
#include "test.h"
#include "zmqloop_batch.h"

/* ---- limits ------------------------------------------------------------- */

/* A PUSH without a reader and with tiny high-water marks: libzmq has `*taken`
 * messages, later ones are queued. */
static zl_stream *new_full_push(int *taken) {
  set_option(push, ZMQ_SNDHWM, 1);
  set_option(pull, ZMQ_RCVHWM, 1);
  join_sockets(INPROC, pull, push);
  zl_stream *stream = new_stream(push);
  *taken = 0;
  while (send_one(stream, "m", 0) == 0) {
    ++*taken;
  }
  return stream;
}

static void count_call(zl_stream *stream, void *arg) {
  (void)stream;
  ++*(int *)arg;
}

static void test_stream_full_queue_refuses(void) {
  int taken;
  begin_pair();
  zl_stream *stream = new_full_push(&taken);
  zl_stream_set_limits(stream, 3, 0);
  CHECK_INT(zl_stream_queued(stream), 1);
  CHECK_INT(send_one(stream, "m", 7), ZL_QUEUED);
  CHECK_INT(zl_stream_may_send(stream, 1), 0);
  CHECK_INT(send_one(stream, "m", 0), ZL_QUEUED);
  CHECK_INT(send_one(stream, "m", 0), -EAGAIN);
  CHECK_INT(zl_stream_may_send(stream, 0), -EAGAIN);
  CHECK_INT(zl_stream_queued(stream), 3);
  /* A lower limit drops nothing, a higher one makes room. */
  zl_stream_set_limits(stream, 1, 0);
  CHECK_INT(zl_stream_queued(stream), 3);
  CHECK_INT(send_one(stream, "m", 0), -EAGAIN);
  zl_stream_set_limits(stream, 0, 0);
  CHECK_INT(send_one(stream, "m", 0), ZL_QUEUED);
  CHECK_INT(zl_stream_close(stream), 4);
  end_pair();
}

static void test_stream_full_of_bytes_refuses(void) {
  int taken;
  begin_pair();
  zl_stream *stream = new_full_push(&taken);
  zl_stream_set_limits(stream, 0, 10);
  CHECK_INT(send_two(stream, "abcd", "efgh", 0), ZL_QUEUED); /* 9 in all */
  CHECK_INT(send_one(stream, "ij", 0), -EAGAIN);
  CHECK_INT(send_one(stream, "i", 0), ZL_QUEUED);
  CHECK_INT(send_one(stream, "", 0), -EAGAIN);
  CHECK_INT(zl_stream_queued(stream), 3);
  zl_stream_close(stream);
  close_socket(push);
  /* An empty queue takes a message of any size: otherwise it could never be
   * sent. */
  push = new_socket(context, ZMQ_PUSH);
  stream = new_stream(push);
  zl_stream_set_limits(stream, 5, 1);
  CHECK_INT(send_one(stream, "larger than the limit", 0), ZL_QUEUED);
  CHECK_INT(send_one(stream, "", 0), -EAGAIN);
  CHECK_INT(zl_stream_close(stream), 1);
  end_pair();
}

enum { ROOM_LIMIT = 8 };

static void fill_to_limit(zl_stream *stream) {
  while (zl_stream_queued(stream) < ROOM_LIMIT) {
    CHECK_INT(send_one(stream, "m", 0), ZL_QUEUED);
  }
}

/* The peer receives until at most so many are queued, and nothing is told
 * before. */
static void empty_to(zl_stream *stream, size_t most, const int *rooms) {
  char text[8];
  int before = *rooms;
  while (zl_stream_queued(stream) > most) {
    CHECK_INT(*rooms, before);
    CHECK_INT(recv_text(pull, text, sizeof text), 1);
    (void)step();
  }
}

static void test_stream_tells_of_room_once_after_a_refusal(void) {
  int taken;
  int rooms = 0;
  begin_pair();
  zl_stream *stream = new_full_push(&taken);
  zl_stream_set_limits(stream, ROOM_LIMIT, 0);
  zl_stream_on_room(stream, count_call, &rooms);
  fill_to_limit(stream);
  for (int round = 0; round < 3; round++) {
    CHECK_INT(send_one(stream, "m", 0), -EAGAIN);
    CHECK_INT(send_one(stream, "m", 0), -EAGAIN);
    (void)step();
    CHECK_INT(rooms, round); /* nothing has left */
    empty_to(stream, ROOM_LIMIT / 2, &rooms);
    CHECK_INT(rooms, round + 1);
    CHECK(zl_stream_queued(stream) > 0);
    fill_to_limit(stream);
  }
  /* Without a refusal on_room is not called, */
  empty_to(stream, 0, &rooms);
  CHECK_INT(rooms, 3);
  /* and a higher limit is room. */
  while (send_one(stream, "m", 0) >= 0) {
  }
  zl_stream_set_limits(stream, 10 * (size_t)ROOM_LIMIT, 0);
  CHECK_INT(rooms, 3);
  (void)step();
  CHECK_INT(rooms, 4);
  zl_stream_close(stream);
  end_pair();
}

enum { TOO_OFTEN = 100 };

static void send_large(zl_stream *stream, void *arg) {
  char large[8] = "1234567";
  int *calls = arg;
  if (++*calls < TOO_OFTEN) {
    CHECK_INT(send_one(stream, large, 0), -EAGAIN);
  }
}

/* Half of the limit is room again, but not for every message. */
static void test_stream_tells_of_room_once_for_each_message_that_leaves(void) {
  int taken;
  int calls = 0;
  begin_pair();
  zl_stream *stream = new_full_push(&taken);
  zl_stream_on_room(stream, send_large, &calls);
  CHECK_INT(send_one(stream, "ab", 1), ZL_QUEUED);
  CHECK_INT(send_one(stream, "cd", 2), ZL_QUEUED);
  CHECK_INT(send_one(stream, "e", 3), ZL_QUEUED);
  zl_stream_set_limits(stream, 0, 8);
  send_large(stream, &calls);
  calls = 0;
  CHECK_INT(zl_stream_unsend(stream, 1), 1);
  CHECK_INT(calls, 0);
  (void)step();
  CHECK_INT(calls, 1);
  (void)step();
  CHECK_INT(calls, 1);
  CHECK_INT(zl_stream_unsend(stream, 2), 1);
  (void)step();
  CHECK_INT(calls, 2);
  zl_stream_close(stream);
  end_pair();
}

/* ---- may it be sent? ---------------------------------------------------- */

static void test_stream_asked_for_room_counts_as_refused(void) {
  int taken;
  int rooms = 0;
  begin_pair();
  zl_stream *stream = new_full_push(&taken);
  zl_stream_set_limits(stream, ROOM_LIMIT, 0);
  zl_stream_on_room(stream, count_call, &rooms);
  fill_to_limit(stream);
  CHECK_INT(zl_stream_may_send(stream, 0), -EAGAIN);
  empty_to(stream, ROOM_LIMIT / 2, &rooms);
  CHECK_INT(rooms, 1);
  CHECK_INT(zl_stream_may_send(stream, 0), 0);
  empty_to(stream, 0, &rooms);
  CHECK_INT(rooms, 1);
  zl_stream_close(stream);
  end_pair();
}

static void test_stream_may_not_reply_twice(void) {
  begin();
  void *rep = new_socket(context, ZMQ_REP);
  zl_stream *stream = new_stream(rep);
  zl_stream_early(stream, 1);
  CHECK_INT(zl_stream_may_send(stream, 1), 0);
  CHECK_INT(send_one(stream, "m", 0), ZL_QUEUED);
  CHECK_INT(zl_stream_may_send(stream, 1), 0);
  zl_stream_early(stream, 0);
  CHECK_INT(zl_stream_may_send(stream, 1), -EFSM);
  CHECK_INT(zl_stream_error(stream), 0);
  CHECK_INT(zl_stream_close(stream), 1);
  close_socket(rep);
  end();
}

/* Asking for the error is not asking for room. */
static void test_stream_with_a_full_queue_has_no_error(void) {
  int taken;
  int rooms = 0;
  begin_pair();
  zl_stream *stream = new_full_push(&taken);
  zl_stream_set_limits(stream, ROOM_LIMIT, 0);
  zl_stream_on_room(stream, count_call, &rooms);
  fill_to_limit(stream);
  CHECK_INT(zl_stream_error(stream), 0);
  empty_to(stream, 0, &rooms);
  CHECK_INT(rooms, 0);
  CHECK_INT(zl_stream_error(stream), 0);
  zl_stream_close(stream);
  end_pair();
}

static void test_stream_error_tells_why_it_cannot_send(void) {
  int done = 0;
  begin();
  void *lonely = new_socket(context, ZMQ_PUSH);
  zl_stream *stream = new_stream(lonely);
  CHECK_INT(zl_stream_error(stream), 0);
  CHECK_INT(send_one(stream, "m", 0), ZL_QUEUED);
  CHECK_INT(zl_stream_drain(stream, ZL_FOREVER, count_call, &done), 0);
  CHECK_INT(zl_stream_error(stream), -ESHUTDOWN);
  CHECK_INT(done, 0);
  close_socket(lonely);
  zl_stream_socket_closed(stream);
  CHECK_INT(zl_stream_error(stream), -ENOTSOCK); /* which it says first */
  CHECK_INT(zl_stream_close(stream), 1);
  end();
}

static void test_stream_error_of_a_terminated_context(void) {
  inbox in;
  begin();
  void *own = zmq_ctx_new();
  void *doomed = new_socket(own, ZMQ_PULL);
  zl_stream *stream = new_receiver(doomed, &in);
  CHECK_INT(zmq_ctx_shutdown(own), 0);
  CHECK_INT(zl_stream_error(stream), 0); /* it has not looked yet */
  CHECK_INT(zl_loop_run(loop, ZL_RUN_FOREVER), -ETERM);
  CHECK_INT(zl_stream_error(stream), -ETERM);
  CHECK_INT(zl_stream_may_send(stream, 1), -ETERM);
  CHECK_INT(zl_stream_close(stream), 0);
  close_socket(doomed);
  CHECK_INT(zmq_ctx_term(own), 0);
  end();
}

static void close_in_call(zl_stream *stream, void *arg) {
  ++*(int *)arg;
  zl_stream_close(stream);
}

static void test_stream_close_when_there_is_room(void) {
  char text[8];
  int taken;
  int rooms = 0;
  begin_pair();
  zl_stream *stream = new_full_push(&taken);
  zl_stream_set_limits(stream, 1, 0);
  zl_stream_on_room(stream, close_in_call, &rooms);
  CHECK_INT(send_one(stream, "m", 0), -EAGAIN);
  for (int i = 0; i < taken; i++) {
    CHECK_INT(recv_text(pull, text, sizeof text), 1);
  }
  run_until(&rooms, 1);
  CHECK(!zl_loop_alive(loop));
  end_pair();
}

/* ---- draining ----------------------------------------------------------- */

static void test_stream_drain_sends_what_is_queued(void) {
  enum { MESSAGES = 1000 };
  sequence s = {0, 1};
  reports r;
  int done = 0;
  memset(&r, 0, sizeof r);
  begin_pair();
  zl_stream *sender = new_stream(push);
  zl_stream_on_sent(sender, on_sent, &r);
  for (int i = 0; i < MESSAGES; i++) {
    bool last = i == MESSAGES - 1;
    CHECK_INT(send_number(sender, 1, i, last ? 5 : 0), ZL_QUEUED);
  }
  CHECK_INT(zl_stream_drain(sender, ZL_FOREVER, count_call, &done), 0);
  CHECK_INT(send_one(sender, "late", 0), -ESHUTDOWN);
  CHECK_INT(zl_stream_may_send(sender, 1), -ESHUTDOWN);
  (void)step();
  CHECK_INT(done, 0);
  CHECK(zl_loop_alive(loop));
  zl_stream *receiver = new_stream(pull);
  zl_stream_on_recv(receiver, sequence_recv, &s);
  join_sockets(TCP, pull, push);
  zl_stream_touch(sender);
  run_until(&done, 1);
  CHECK_INT(r.count, 1); /* reported first */
  CHECK_INT(zl_stream_queued(sender), 0);
  CHECK_INT(send_one(sender, "late", 0), -ESHUTDOWN);
  run_until(&s.next, MESSAGES);
  CHECK_INT(done, 1);
  CHECK_INT(zl_stream_close(sender), 0);
  zl_stream_close(receiver);
  end_pair();
}

static void test_stream_drain_of_an_empty_queue_is_told_by_the_loop(void) {
  int done = 0;
  begin();
  push = new_socket(context, ZMQ_PUSH);
  zl_stream *stream = new_stream(push);
  CHECK_INT(zl_stream_drain(stream, ZL_FOREVER, close_in_call, &done), 0);
  CHECK_INT(done, 0);
  CHECK_INT(zl_loop_run(loop, ZL_RUN_ALIVE), 0);
  CHECK_INT(done, 1);
  close_socket(push);
  end();
}

static void test_stream_drain_ends_with_its_time(void) {
  int done = 0;
  begin();
  push = new_socket(context, ZMQ_PUSH);
  zl_stream *stream = new_stream(push);
  CHECK_INT(send_one(stream, "m", 0), ZL_QUEUED);
  CHECK_INT(zl_stream_drain(stream, -1, count_call, &done), -EINVAL);
  CHECK_INT(zl_stream_drain(stream, 0, NULL, NULL), -EINVAL);
  CHECK_INT(send_one(stream, "m", 0), ZL_QUEUED);
  CHECK_INT(zl_stream_drain(stream, 3600 * SECONDS, count_call, &done), 0);
  CHECK_INT(zl_stream_drain(stream, 5 * MILLISECONDS, close_in_call, &done), 0);
  int64_t start = zl_loop_time_ns(loop);
  CHECK_INT(zl_loop_run(loop, ZL_RUN_ALIVE), 0);
  CHECK_INT(done, 1);
  CHECK(zl_loop_time_ns(loop) - start >= 5 * MILLISECONDS);
  close_socket(push);
  end();
}

static void test_stream_closed_while_it_drains(void) {
  for (int i = 0; i < 2; i++) {
    int done = 0;
    begin();
    push = new_socket(context, ZMQ_PUSH);
    zl_stream *stream = new_stream(push);
    CHECK_INT(send_one(stream, "m", 0), ZL_QUEUED);
    CHECK_INT(zl_stream_drain(stream, SECONDS, count_call, &done), 0);
    if (i == 0) {
      CHECK_INT(zl_stream_close(stream), 1);
      CHECK(!zl_loop_alive(loop));
    }
    close_loop(loop); /* closes what is open */
    CHECK_INT(done, 0);
    close_socket(push);
    end_context(context);
  }
}

static void test_stream_drain_of_a_dead_socket(void) {
  int done = 0;
  reports r;
  memset(&r, 0, sizeof r);
  begin();
  push = new_socket(context, ZMQ_PUSH);
  zl_stream *stream = new_stream(push);
  zl_stream_on_error(stream, on_error, &r);
  CHECK_INT(send_one(stream, "m", 0), ZL_QUEUED);
  CHECK_INT(zl_stream_drain(stream, ZL_FOREVER, count_call, &done), 0);
  CHECK_INT(zmq_ctx_shutdown(context), 0);
  CHECK_INT(zl_loop_run(loop, ZL_RUN_FOREVER), -ETERM);
  CHECK_INT(r.errors, 1);
  CHECK_INT(done, 1);
  CHECK_INT(zl_stream_drain(stream, ZL_FOREVER, close_in_call, &done), 0);
  run_until(&done, 2);
  close_socket(push);
  end();
}

/* ---- the end of the context, found outside a run ------------------------- */

static void test_stream_terminated_in_a_flush_ends_the_next_run(void) {
  inbox in;
  begin();
  pull = new_socket(context, ZMQ_PULL);
  zl_stream *stream = new_receiver(pull, &in);
  CHECK_INT(step(), 0);
  CHECK_INT(zmq_ctx_shutdown(context), 0);
  CHECK_INT(zl_stream_flush(stream, ZL_READ, -1), 0);
  CHECK_INT(zl_loop_run(loop, ZL_RUN_FOREVER), -ETERM);
  /* Returned once: the next run is an ordinary one. */
  start_timer(on_nothing, 1 * MILLISECONDS);
  CHECK_INT(zl_loop_run(loop, ZL_RUN_ALIVE), 0);
  zl_stream_close(stream);
  close_socket(pull);
  end();
}

/* ---- turns -------------------------------------------------------------- */

enum { RANKED = 6 };

typedef struct ranked {
  int rank;
  int *order;
  int *count;
} ranked;

static void note_rank(zl_stream *stream, void *arg) {
  const ranked *r = arg;
  zl_incoming message;
  if (zl_stream_next(stream, &message) > 0) {
    r->order[(*r->count)++] = r->rank;
    zl_stream_accept(stream);
  }
}

/* Each has a message or two; in each turn the higher are before the lower, and
 * of equal ones the first to be ready. */
static void test_stream_priority_orders_a_turn(void) {
  static const int ranks[RANKED] = {-5, 3, 0, 1000000, 3, 0};
  static const int wanted[RANKED] = {1000000, 3, 3, 0, 0, -5};
  int order[2 * RANKED];
  int count = 0;
  void *pulls[RANKED];
  void *pushes[RANKED];
  zl_stream *stream[RANKED];
  ranked r[RANKED];
  begin();
  for (int i = 0; i < RANKED; i++) {
    pulls[i] = new_socket(context, ZMQ_PULL);
    pushes[i] = new_socket(context, ZMQ_PUSH);
    join_sockets(INPROC, pulls[i], pushes[i]);
    stream[i] = new_stream(pulls[i]);
    r[i] = (ranked){ranks[i], order, &count};
    zl_stream_on_recv(stream[i], note_rank, &r[i]);
    CHECK_INT(zl_stream_set_priority(stream[i], ranks[i]), 0);
  }
  CHECK_INT(zl_stream_set_priority(stream[0], 1000001), -EINVAL);
  CHECK_INT(zl_stream_set_priority(stream[0], -1000001), -EINVAL);
  CHECK_INT(step(), 0);
  for (int i = 0; i < 2 * RANKED; i++) {
    send_text(pushes[i % RANKED], "m", 0);
  }
  while (count < 2 * RANKED) {
    (void)step();
  }
  for (int i = 0; i < 2 * RANKED; i++) {
    CHECK_INT(order[i], wanted[i % RANKED]);
  }
  for (int i = 0; i < RANKED; i++) {
    zl_stream_close(stream[i]);
    close_socket(pushes[i]);
    close_socket(pulls[i]);
  }
  end();
}

/* Reports that always cause another one. */
typedef struct chain {
  int sent;
  int received;
} chain;

static void send_again(zl_stream *stream, uint64_t token, int status,
                       void *arg) {
  CHECK_INT(status, 0);
  ((chain *)arg)->sent++;
  CHECK(send_one(stream, "again", token + 1) >= 0);
}

static void receive_one(zl_stream *stream, void *arg) {
  zl_incoming message;
  while (zl_stream_next(stream, &message) > 0) {
    zl_stream_accept(stream);
    ((chain *)arg)->received++;
  }
}

static void test_stream_reports_do_not_starve_receiving(void) {
  enum { MESSAGES = 10 };
  zl_budget budget = {.events = 1};
  chain c = {0, 0};
  begin();
  void *a = new_socket(context, ZMQ_PAIR);
  void *b = new_socket(context, ZMQ_PAIR);
  join_sockets(INPROC, a, b);
  zl_stream *stream = new_stream(a);
  zl_stream_on_sent(stream, send_again, &c);
  zl_stream_on_recv(stream, receive_one, &c);
  CHECK_INT(send_one(stream, "first", 1), 0);
  for (int i = 0; i < MESSAGES; i++) {
    send_text(b, "m", 0);
  }
  for (int i = 0; i < 4 * MESSAGES; i++) {
    CHECK(zl_loop_step(loop, 0, &budget) >= 0);
  }
  CHECK_INT(c.received, MESSAGES);
  CHECK(c.sent >= MESSAGES);
  zl_stream_close(stream);
  close_socket(a);
  close_socket(b);
  end();
}

/* ---- taking back -------------------------------------------------------- */

/* Cancels some of the queued messages with tokens 1 to `count`: bit i of `mask`
 * stands for token i + 1. The others arrive, and are reported. */
static void take_back(int count, unsigned mask) {
  int taken;
  reports r = {0};
  inbox in = {0};
  char expected[64] = "";
  const char *broken;
  int left = 0;
  begin_pair();
  zl_stream *stream = new_full_push(&taken);
  zl_stream_on_sent(stream, on_sent, &r);
  for (int i = 1; i <= count; i++) {
    const char text[] = {(char)('0' + i), '\0'};
    CHECK_INT(send_one(stream, text, (uint64_t)i), ZL_QUEUED);
    if (!(mask & 1U << (i - 1))) {
      expected[2 * left] = text[0];
      expected[2 * left + 1] = ';';
      left++;
    }
  }
  for (int i = 1; i <= count; i++) {
    bool wanted = mask & 1U << (i - 1);
    CHECK_INT(wanted && zl_stream_unsend(stream, (uint64_t)i), wanted);
    CHECK_INT(zl_loop_verify(loop, &broken), 0);
  }
  CHECK_INT(zl_stream_queued(stream), left + 1);
  CHECK_INT(zl_stream_unsend(stream, 0), 0);
  CHECK_INT(zl_stream_unsend(stream, 99), 0);
  zl_stream *receiver = new_receiver(pull, &in);
  run_until(&in.messages, taken + 1 + left);
  CHECK(strcmp(in.text + 2 * (taken + 1), expected) == 0);
  run_until(&r.count, left);
  CHECK_INT(zl_stream_unsend(stream, 1), 0);
  zl_stream_close(receiver);
  zl_stream_close(stream);
  CHECK_INT(zl_stream_unsend(NULL, 1), 0);
  end_pair();
}

static void test_stream_unsend_takes_back_what_is_queued(void) {
  for (unsigned mask = 0; mask < 16; mask++) {
    take_back(4, mask);
  }
}

static void test_stream_unsend_makes_room(void) {
  int taken;
  int calls = 0;
  begin_pair();
  zl_stream *stream = new_full_push(&taken);
  zl_stream_set_limits(stream, 2, 0);
  zl_stream_on_room(stream, count_call, &calls);
  CHECK_INT(send_one(stream, "m", 7), ZL_QUEUED);
  CHECK_INT(send_one(stream, "m", 8), -EAGAIN);
  CHECK_INT(zl_stream_unsend(stream, 7), 1);
  CHECK_INT(calls, 0); /* from the loop */
  run_until(&calls, 1);
  zl_stream_close(stream);
  end_pair();
}

static void test_stream_unsend_may_empty_the_queue(void) {
  int calls = 0;
  begin();
  push = new_socket(context, ZMQ_PUSH); /* without a peer */
  zl_stream *stream = new_stream(push);
  zl_stream_on_empty(stream, count_call, &calls);
  CHECK_INT(send_one(stream, "m", 7), ZL_QUEUED);
  CHECK_INT(zl_stream_unsend(stream, 7), 1);
  CHECK_INT(calls, 0); /* from the loop */
  (void)step();
  CHECK_INT(calls, 1);
  zl_stream_close(stream);
  close_socket(push);
  end();
}

static const zl_test tests[] = {
    TEST(test_stream_full_queue_refuses),
    TEST(test_stream_full_of_bytes_refuses),
    TEST(test_stream_tells_of_room_once_after_a_refusal),
    TEST(test_stream_tells_of_room_once_for_each_message_that_leaves),
    TEST(test_stream_asked_for_room_counts_as_refused),
    TEST(test_stream_may_not_reply_twice),
    TEST(test_stream_with_a_full_queue_has_no_error),
    TEST(test_stream_error_tells_why_it_cannot_send),
    TEST(test_stream_error_of_a_terminated_context),
    TEST(test_stream_close_when_there_is_room),
    TEST(test_stream_drain_sends_what_is_queued),
    TEST(test_stream_drain_of_an_empty_queue_is_told_by_the_loop),
    TEST(test_stream_drain_ends_with_its_time),
    TEST(test_stream_closed_while_it_drains),
    TEST(test_stream_drain_of_a_dead_socket),
    TEST(test_stream_terminated_in_a_flush_ends_the_next_run),
    TEST(test_stream_priority_orders_a_turn),
    TEST(test_stream_reports_do_not_starve_receiving),
    TEST(test_stream_unsend_takes_back_what_is_queued),
    TEST(test_stream_unsend_makes_room),
    TEST(test_stream_unsend_may_empty_the_queue),
};

TEST_MAIN(tests)
