/* test_stream_seams.c - a stream's callbacks that flush, short memory, and the
 * calls of bindings: take, put_back, socket_closed, conflates.
 * SPDX-License-Identifier: MIT
 *
 * zmq_send() and zmq_msg_send() are replaced, to fail with ENOMEM.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "core/loop.h"
#include "support/alloc.h"
#include "support/streams.h"
#include "test.h"
#include "zmqloop_batch.h"

static int sends_to_fail;

#ifdef __GLIBC__
static bool fails(void) {
  if (sends_to_fail > 0) {
    sends_to_fail--;
    errno = ENOMEM;
    return true;
  }
  return false;
}

int zmq_send(void *socket, const void *data, size_t size, int flags) {
  typedef int send(void *, const void *, size_t, int);
  static send *real;
  if (!real) {
    *(void **)&real = dlsym(RTLD_NEXT, "zmq_send");
  }
  return fails() ? -1 : real(socket, data, size, flags);
}

int zmq_msg_send(zmq_msg_t *frame, void *socket, int flags) {
  typedef int send(zmq_msg_t *, void *, int);
  static send *real;
  if (!real) {
    *(void **)&real = dlsym(RTLD_NEXT, "zmq_msg_send");
  }
  return fails() ? -1 : real(frame, socket, flags);
}
#endif

static void *pull;
static void *push;

static void begin_pair(void) {
  begin();
  pull = new_socket(context, ZMQ_PULL);
  push = new_socket(context, ZMQ_PUSH);
  join_sockets(INPROC, pull, push);
}

static void end_pair(void) {
  close_socket(pull);
  close_socket(push);
  end();
}

static void send_digits(int count) {
  for (int i = 1; i <= count; i++) {
    char digit[] = {(char)('0' + i), '\0'};
    send_text(push, digit, 0);
  }
}

static void check_text(const char *got, const char *wanted) {
  if (strcmp(got, wanted) != 0) {
    test_fail(__FILE__, __LINE__, got);
  }
}

/* ---- flush within callbacks --------------------------------------------- */

static char seen[256];
static int depth;
static int deepest;

static void see(const void *data, size_t size) {
  size_t used = strlen(seen);
  CHECK(used + size < sizeof seen);
  memcpy(seen + used, data, size);
  seen[used + size] = '\0';
}

static void enter(void) {
  depth++;
  deepest = depth > deepest ? depth : deepest;
}

static void begin_seeing(void) {
  seen[0] = '\0';
  depth = 0;
  deepest = 0;
}

/* Peeks at a message, flushes, and only then pops it. */
static void on_recv_flush_inside(zl_stream *stream, void *arg) {
  zmq_msg_t *frames;
  enter();
  while (zl_stream_peek(stream, &frames) > 0) {
    CHECK_INT(zl_stream_flush(stream, ZL_READ | ZL_WRITE, *(int *)arg), 0);
    CHECK_INT(zl_stream_receive_ahead(stream), (*seen ? 0 : -EFSM));
    see(zmq_msg_data(frames), zmq_msg_size(frames));
    zl_stream_pop(stream);
  }
  depth--;
}

static void test_stream_flush_between_peek_and_pop_gives_nothing_twice(void) {
  int limit = -1;
  begin_pair();
  begin_seeing();
  send_digits(2);
  zl_stream *stream = new_stream(pull);
  zl_stream_on_recv(stream, on_recv_flush_inside, &limit);
  CHECK(step() > 0);
  check_text(seen, "12");
  CHECK_INT(deepest, 1);
  zl_stream_close(stream);
  end_pair();
}

/* Takes one, peeks at the next and leaves it; the outer call flushes at the
 * first. */
static void on_recv_flush_at_1(zl_stream *stream, void *arg) {
  zmq_msg_t *frames;
  (void)arg;
  enter();
  for (int n = 0; zl_stream_peek(stream, &frames) > 0; n++) {
    char digit = *(char *)zmq_msg_data(frames);
    if (depth == 2 && n == 1) {
      break;
    }
    if (depth == 1 && digit == '1') {
      (void)zl_stream_flush(stream, ZL_READ, -1);
    }
    see(&digit, 1);
    zl_stream_pop(stream);
  }
  depth--;
}

static void test_stream_flush_in_a_callback_keeps_the_order(void) {
  begin_pair();
  begin_seeing();
  send_digits(5);
  zl_stream *stream = new_stream(pull);
  zl_stream_on_recv(stream, on_recv_flush_at_1, NULL);
  for (int i = 0; i < 5; i++) {
    (void)step();
  }
  check_text(seen, "12345");
  zl_stream_close(stream);
  end_pair();
}

/* After each message, as an eager program would. */
static void on_recv_then_flush(zl_stream *stream, void *arg) {
  zmq_msg_t *frames;
  (void)arg;
  enter();
  while (zl_stream_peek(stream, &frames) > 0) {
    see(zmq_msg_data(frames), 1);
    zl_stream_pop(stream);
    (void)zl_stream_flush(stream, ZL_READ | ZL_WRITE, -1);
  }
  depth--;
}

static void test_stream_flush_in_a_flush_does_not_receive(void) {
  begin_pair();
  begin_seeing();
  set_option(pull, ZMQ_RCVHWM, 0);
  for (int i = 0; i < 20; i++) {
    send_digits(9);
  }
  zl_stream *stream = new_stream(pull);
  zl_stream_on_recv(stream, on_recv_then_flush, NULL);
  while (strlen(seen) < 180) {
    (void)step();
  }
  CHECK_INT(deepest, 2); /* the turn's call, and that of its flush */
  for (size_t i = 0; i < 180; i++) {
    CHECK_INT(seen[i], '1' + (int)(i % 9));
  }
  zl_stream_close(stream);
  end_pair();
}

static int refusals;

static void on_refused_flush(zl_stream *stream, int rc, void *arg) {
  (void)arg;
  CHECK_INT(rc, -EHOSTUNREACH);
  enter();
  refusals++;
  CHECK_INT(zl_stream_flush(stream, ZL_WRITE, -1), 0);
  depth--;
}

/* Each refusal of a long queue flushes. */
static void test_stream_refused_queue_is_no_stack_of_callbacks(void) {
  enum { COUNT = 1000 };
  zl_frame frames[2] = {{"nobody", 6}, {"x", 1}};
  begin();
  begin_seeing();
  refusals = 0;
  void *router = new_socket(context, ZMQ_ROUTER);
  set_option(router, ZMQ_ROUTER_MANDATORY, 1);
  zl_stream *stream = new_stream(router);
  zl_stream_on_error(stream, on_refused_flush, NULL);
  sends_to_fail = 2; /* the first attempt, and the one after a check */
  CHECK_INT(zl_stream_send(stream, frames, 2, 7), ZL_QUEUED);
  sends_to_fail = 0;
  for (int i = 0; i < COUNT; i++) {
    CHECK_INT(zl_stream_send(stream, frames, 2, 0), ZL_QUEUED);
  }
  CHECK_INT(zl_stream_flush(stream, ZL_WRITE, -1), COUNT + 1);
  CHECK_INT(refusals, COUNT);
  CHECK_INT(deepest, 1);
  zl_stream_close(stream);
  close_socket(router);
  end();
}

/* ---- short memory ------------------------------------------------------- */

static void on_recv_count_frames(zl_stream *stream, void *arg) {
  zmq_msg_t *frames;
  int count;
  while ((count = zl_stream_peek(stream, &frames)) > 0) {
    *(int *)arg += count;
    zl_stream_pop(stream);
  }
}

#ifdef __GLIBC__
static void test_stream_send_without_memory_is_tried_again(void) {
  char text[16];
  begin_pair();
  zl_stream *stream = new_stream(push);
  (void)step();
  (void)step();
  sends_to_fail = 3;
  CHECK_INT(send_one(stream, "hello", 0), ZL_QUEUED);
  CHECK_INT(sends_to_fail, 0);
  CHECK(zl_loop_timeout_ns(loop) == 0); /* nothing else would wake it */
  (void)step();
  CHECK_INT(zl_stream_queued(stream), 0);
  CHECK_INT(recv_text(pull, text, sizeof text), 5);
  CHECK_INT(zl_stream_close(stream), 0);
  end_pair();
}
#endif

/* The room for frames is as large as the longest message, for a while. */
static void test_stream_room_for_frames_gets_smaller(void) {
  enum { COUNT = 10000 };
  test_alloc memory = {0};
  zl_config config = {
      .size = sizeof config, .alloc = test_alloc_fn, .alloc_ud = &memory};
  inbox in;
  CHECK_INT(zl_loop_new(&config, &loop), 0);
  context = zmq_ctx_new();
  pull = new_socket(context, ZMQ_PULL);
  push = new_socket(context, ZMQ_PUSH);
  join_sockets(INPROC, pull, push);
  zl_stream *stream = new_receiver(pull, &in);
  send_text(push, "small", 0);
  (void)step();
  size_t before = memory.bytes;
  for (int i = 0; i < COUNT; i++) {
    send_text(push, "", i + 1 < COUNT ? ZMQ_SNDMORE : 0);
  }
  zl_stream_on_recv(stream, on_recv_count_frames, &in.messages);
  (void)step();
  CHECK_INT(in.messages, 1 + COUNT);
  CHECK(memory.bytes > before + COUNT * sizeof(zmq_msg_t));
  send_text(push, "small", 0);
  (void)step();
  CHECK_INT(in.messages, 2 + COUNT);
  CHECK(memory.bytes < before + 100 * sizeof(zmq_msg_t));
  zl_stream_close(stream);
  end_pair();
  CHECK_INT(memory.bytes, 0);
}

/* ---- take and put_back -------------------------------------------------- */

static int put_back_at; /* the message that is put back, once */

static void on_recv_take(zl_stream *stream, void *arg) {
  zl_frame frame;
  zmq_msg_t *frames;
  int rc;
  (void)arg;
  while ((rc = zl_stream_take(stream, &frame)) > 0) {
    if (rc == ZL_PEEK) {
      int count = zl_stream_peek(stream, &frames);
      CHECK(count > 1 || zmq_msg_size(frames) > 1000);
      see("(", 1);
      see(zmq_msg_data(frames), 1);
      see(")", 1);
      zl_stream_pop(stream);
    } else if (frame.size == 1 && put_back_at == *(const char *)frame.data) {
      put_back_at = 0;
      see("-", 1);
      zl_stream_put_back(stream);
      return;
    } else {
      CHECK_INT(rc, 1);
      see(frame.data, frame.size);
    }
  }
  CHECK_INT(rc, 0);
}

static void begin_taking(zl_stream **stream) {
  begin_pair();
  begin_seeing();
  put_back_at = 0;
  *stream = new_stream(pull);
  zl_stream_on_recv(*stream, on_recv_take, NULL);
}

static uint64_t messages_in(void) {
  zl_stats stats;
  zl_loop_stats(loop, &stats);
  return stats.messages_in;
}

static void test_stream_take_gives_small_frames_and_leaves_others(void) {
  static char large[5000];
  zl_stream *stream;
  begin_taking(&stream);
  memset(large, 'L', sizeof large);
  send_text(push, "1", 0);
  send_text(push, "a", ZMQ_SNDMORE);
  send_text(push, "b", 0);
  send_text(push, "", 0);
  send_text(push, "2", 0);
  CHECK_INT(zmq_send(push, large, sizeof large, 0), (int)sizeof large);
  send_text(push, "3", 0);
  (void)step();
  check_text(seen, "1(a)2(L)3");
  CHECK_INT(messages_in(), 6);
  zl_stream_close(stream);
  end_pair();
}

static void test_stream_take_keeps_to_the_batch(void) {
  zl_stream *stream;
  begin_taking(&stream);
  CHECK_INT(zl_stream_set_batch(stream, 2), 0);
  send_digits(5);
  (void)step();
  check_text(seen, "12");
  (void)step();
  (void)step();
  check_text(seen, "12345");
  zl_stream_close(stream);
  end_pair();
}

static void test_stream_put_back_gives_the_message_again(void) {
  zl_stream *stream;
  begin_taking(&stream);
  put_back_at = '2';
  send_digits(3);
  (void)step();
  check_text(seen, "1-");
  CHECK_INT(messages_in(), 1);
  (void)step();
  check_text(seen, "1-23");
  CHECK_INT(messages_in(), 3);
  zl_stream_close(stream);
  end_pair();
}

static void on_recv_take_back_and_peek(zl_stream *stream, void *arg) {
  zl_frame frame;
  zmq_msg_t *frames;
  (void)arg;
  CHECK_INT(zl_stream_take(stream, &frame), 1);
  zl_stream_put_back(stream);
  CHECK_INT(zl_stream_peek(stream, &frames), 1);
  see(zmq_msg_data(frames), zmq_msg_size(frames));
  zl_stream_pop(stream);
}

static void test_stream_put_back_is_for_peek_as_well(void) {
  begin_pair();
  begin_seeing();
  zl_stream *stream = new_stream(pull);
  zl_stream_on_recv(stream, on_recv_take_back_and_peek, NULL);
  send_text(push, "back", 0);
  (void)step();
  check_text(seen, "back");
  zl_stream_close(stream);
  end_pair();
}

/* ---- a socket that other code has closed -------------------------------- */

static void test_stream_of_a_closed_socket_is_over(void) {
  inbox in;
  begin_pair();
  zl_stream *stream = new_receiver(pull, &in);
  (void)step();
  close_socket(pull);
  zl_stream_socket_closed(stream);
  CHECK_INT(zl_stream_may_send(stream, 0), -ENOTSOCK);
  CHECK_INT(send_one(stream, "x", 0), -ENOTSOCK);
  CHECK_INT(zl_stream_flush(stream, ZL_READ | ZL_WRITE, -1), 0);
  CHECK(!zl_loop_alive(loop));
  CHECK_INT(step(), 0);
  CHECK_INT(in.messages, 0);
  zl_stream_socket_closed(stream); /* twice is once */
  CHECK_INT(zl_stream_close(stream), 0);
  pull = new_socket(context, ZMQ_PULL);
  end_pair();
}

static void test_stream_of_a_closed_socket_counts_the_unsent(void) {
  begin();
  void *lonely = new_socket(context, ZMQ_PUSH);
  zl_stream *stream = new_stream(lonely);
  CHECK_INT(send_one(stream, "a", 1), ZL_QUEUED);
  CHECK_INT(send_one(stream, "b", 0), ZL_QUEUED);
  close_socket(lonely);
  zl_stream_socket_closed(stream);
  CHECK_INT(zl_stream_close(stream), 2);
  end();
}

/* ---- ZMQ_CONFLATE ------------------------------------------------------- */

static int conflates(int type, int value) {
  void *socket = new_socket(context, type);
  set_option(socket, ZMQ_CONFLATE, value);
  int result = zl_socket_conflates(socket);
  close_socket(socket);
  return result;
}

static void test_stream_conflates_by_type_and_option(void) {
  static const int types[] = {ZMQ_PUB, ZMQ_SUB, ZMQ_PUSH, ZMQ_PULL, ZMQ_DEALER};
  static const int others[] = {ZMQ_PAIR, ZMQ_REQ, ZMQ_REP, ZMQ_ROUTER};
  begin();
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    CHECK(conflates(types[i], 1));
    CHECK(!conflates(types[i], 0));
  }
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    CHECK(!conflates(others[i], 1));
  }
  void *socket = new_socket(context, ZMQ_PUSH);
  set_option(socket, ZMQ_CONFLATE, 1);
  zl_stream *stream = new_stream(socket);
  CHECK_INT(send_two(stream, "a", "b", 0), -ENOTSUP);
  zl_stream_close(stream);
  close_socket(socket);
  end();
}

static const zl_test tests[] = {
    TEST(test_stream_flush_between_peek_and_pop_gives_nothing_twice),
    TEST(test_stream_flush_in_a_callback_keeps_the_order),
    TEST(test_stream_flush_in_a_flush_does_not_receive),
#ifdef __GLIBC__
    TEST(test_stream_refused_queue_is_no_stack_of_callbacks),
    TEST(test_stream_send_without_memory_is_tried_again),
#endif
    TEST(test_stream_room_for_frames_gets_smaller),
    TEST(test_stream_take_gives_small_frames_and_leaves_others),
    TEST(test_stream_take_keeps_to_the_batch),
    TEST(test_stream_put_back_gives_the_message_again),
    TEST(test_stream_put_back_is_for_peek_as_well),
    TEST(test_stream_of_a_closed_socket_is_over),
    TEST(test_stream_of_a_closed_socket_counts_the_unsent),
    TEST(test_stream_conflates_by_type_and_option),
};

TEST_MAIN(tests)
