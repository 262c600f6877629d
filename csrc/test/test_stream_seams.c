/* test_stream_seams.c - a stream's callbacks that flush, short memory, and the
 * protocol of next and accept, a socket that others have closed.
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

/* Flushes between the two. */
static void on_recv_flush_inside(zl_stream *stream, void *arg) {
  zl_incoming message;
  enter();
  while (zl_stream_next(stream, &message) > 0) {
    CHECK_INT(zl_stream_flush(stream, ZL_READ | ZL_WRITE, *(int *)arg), 0);
    see(zmq_msg_data(message.frames), zmq_msg_size(message.frames));
    zl_stream_accept(stream);
  }
  depth--;
}

static void test_stream_flush_between_next_and_accept_gives_nothing_twice(
    void) {
  int limit = -1;
  begin_pair();
  join_sockets(INPROC, pull, push);
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

/* Accepts one, looks at the next and leaves it; the outer call flushes at the
 * first. */
static void on_recv_flush_at_1(zl_stream *stream, void *arg) {
  zl_incoming message;
  (void)arg;
  enter();
  for (int n = 0; zl_stream_next(stream, &message) > 0; n++) {
    char digit = *(char *)zmq_msg_data(message.frames);
    if (depth == 2 && n == 1) {
      break;
    }
    if (depth == 1 && digit == '1') {
      (void)zl_stream_flush(stream, ZL_READ, -1);
    }
    see(&digit, 1);
    zl_stream_accept(stream);
  }
  depth--;
}

static void test_stream_flush_in_a_callback_keeps_the_order(void) {
  begin_pair();
  join_sockets(INPROC, pull, push);
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
  zl_incoming message;
  (void)arg;
  enter();
  while (zl_stream_next(stream, &message) > 0) {
    see(zmq_msg_data(message.frames), 1);
    zl_stream_accept(stream);
    (void)zl_stream_flush(stream, ZL_READ | ZL_WRITE, -1);
  }
  depth--;
}

static void test_stream_flush_in_a_flush_does_not_receive(void) {
  begin_pair();
  join_sockets(INPROC, pull, push);
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
  zl_incoming message;
  int count;
  while ((count = zl_stream_next(stream, &message)) > 0) {
    *(int *)arg += count;
    zl_stream_accept(stream);
  }
}

#ifdef __GLIBC__
static void test_stream_send_without_memory_is_tried_again(void) {
  char text[16];
  begin_pair();
  join_sockets(INPROC, pull, push);
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

/* ---- next and accept ---------------------------------------------------- */

static char leave_at; /* the message that is shown and left, once */
static bool paused;   /* by the clock: nothing may be shown */

/* Sees messages by their first letter: (a) if of several frames, [a] if large.
 */
static void on_recv_see(zl_stream *stream, void *arg) {
  zl_incoming message;
  int count;
  (void)arg;
  while ((count = zl_stream_next(stream, &message)) > 0) {
    const char *data = zmq_msg_data(message.frames);
    size_t size = zmq_msg_size(message.frames);
    CHECK(!paused);
    const char *form = count > 1 ? "()" : size > 1 ? "[]" : "";
    CHECK_INT(message.count, count);
    CHECK(message.data == (count == 1 ? data : NULL));
    CHECK_INT(message.size, count == 1 ? size : 0);
    if (size > 0 && leave_at == *data) {
      leave_at = 0;
      see("-", 1);
      return;
    }
    see(form, *form ? 1 : 0);
    see(data, size > 0 ? 1 : 0);
    see(form + 1, *form ? 1 : 0);
    zl_stream_accept(stream);
  }
  CHECK_INT(count, 0);
  CHECK(message.frames == NULL);
}

static void begin_seeing_messages(zl_stream **stream) {
  begin_pair();
  join_sockets(INPROC, pull, push);
  begin_seeing();
  leave_at = 0;
  *stream = new_stream(pull);
  zl_stream_on_recv(*stream, on_recv_see, NULL);
}

static uint64_t messages_in(void) {
  zl_stats stats;
  zl_loop_stats(loop, &stats);
  return stats.messages_in;
}

static void send_large(char letter) {
  static char large[5000];
  memset(large, letter, sizeof large);
  CHECK_INT(zmq_send(push, large, sizeof large, 0), (int)sizeof large);
}

static void test_stream_next_shows_messages_of_any_form(void) {
  zl_stream *stream;
  begin_seeing_messages(&stream);
  send_text(push, "1", 0);
  send_text(push, "a", ZMQ_SNDMORE);
  send_text(push, "b", 0);
  send_text(push, "", 0);
  send_text(push, "2", 0);
  send_large('L');
  send_text(push, "3", 0);
  (void)step();
  check_text(seen, "1(a)2[L]3");
  CHECK_INT(messages_in(), 6);
  zl_stream_close(stream);
  end_pair();
}

static void test_stream_next_keeps_to_the_batch(void) {
  zl_stream *stream;
  begin_seeing_messages(&stream);
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

/* Small, large, of several frames: only an accepted message counts. */
static void test_stream_shows_again_what_was_not_accepted(void) {
  static const char *const expected[][2] = {
      {"-", "1[L](a)"}, {"1-", "1-[L](a)"}, {"1[L]-", "1[L]-(a)"}};
  static const char left[] = {'1', 'L', 'a'};
  for (int i = 0; i < 3; i++) {
    zl_stream *stream;
    begin_seeing_messages(&stream);
    leave_at = left[i];
    send_text(push, "1", 0);
    send_large('L');
    send_text(push, "a", ZMQ_SNDMORE);
    send_text(push, "b", 0);
    (void)step();
    check_text(seen, expected[i][0]);
    CHECK_INT(messages_in(), i);
    CHECK(!zl_stream_shows(stream));
    (void)step(); /* without a new signal */
    check_text(seen + (i == 0), expected[i][1]);
    CHECK_INT(messages_in(), 3);
    zl_stream_close(stream);
    end_pair();
  }
}

/* Nothing is accepted twice, nor what was not shown. */
static void on_recv_accept_much(zl_stream *stream, void *arg) {
  zl_incoming message;
  (void)arg;
  zl_stream_accept(stream);
  CHECK_INT(zl_stream_next(stream, &message), 1);
  CHECK(zl_stream_shows(stream));
  see(message.data, message.size);
  zl_stream_accept(stream);
  CHECK(!zl_stream_shows(stream));
  zl_stream_accept(stream);
}

static void test_stream_accepts_only_what_it_shows(void) {
  begin_pair();
  join_sockets(INPROC, pull, push);
  begin_seeing();
  zl_stream *stream = new_stream(pull);
  zl_stream_on_recv(stream, on_recv_accept_much, NULL);
  send_digits(3);
  for (int i = 0; i < 3; i++) {
    CHECK_INT(step(), 1);
  }
  check_text(seen, "123");
  CHECK_INT(messages_in(), 3);
  zl_stream_close(stream);
  end_pair();
}

/* Moves the frame away, and leaves the message. */
static void on_recv_move(zl_stream *stream, void *arg) {
  zl_incoming message;
  CHECK_INT(zl_stream_next(stream, &message), 1);
  if (message.size > 0) {
    CHECK_INT(zmq_msg_move(arg, message.frames), 0);
    return;
  }
  see("empty", 5);
  zl_stream_accept(stream);
}

static void test_stream_shows_a_frame_that_was_moved_away_as_empty(void) {
  zmq_msg_t moved;
  begin_pair();
  join_sockets(INPROC, pull, push);
  begin_seeing();
  (void)zmq_msg_init(&moved);
  zl_stream *stream = new_stream(pull);
  zl_stream_on_recv(stream, on_recv_move, &moved);
  send_text(push, "away", 0);
  (void)step();
  (void)step();
  check_text(seen, "empty");
  CHECK_INT(zmq_msg_size(&moved), 4);
  (void)zmq_msg_close(&moved);
  zl_stream_close(stream);
  end_pair();
}

/* Closes the stream between the two: the message can still be read. */
static void on_recv_close(zl_stream *stream, void *arg) {
  zl_incoming message;
  (void)arg;
  CHECK_INT(zl_stream_next(stream, &message), 1);
  (void)zl_stream_close(stream);
  see(message.data, message.size);
  CHECK_INT(zl_stream_flush(stream, ZL_READ | ZL_WRITE, -1), 0);
  CHECK_INT(zl_stream_disconnect(stream, "inproc://x"), -ENOTSOCK);
  zl_stream_accept(stream);
  CHECK_INT(zl_stream_next(stream, &message), 0);
}

static void test_stream_closed_between_next_and_accept(void) {
  begin_pair();
  join_sockets(INPROC, pull, push);
  begin_seeing();
  zl_stream *stream = new_stream(pull);
  zl_stream_on_recv(stream, on_recv_close, NULL);
  send_digits(2);
  (void)step();
  check_text(seen, "1");
  end_pair();
}

/* Pauses between the two: the message is shown when the stream resumes. */
static void on_recv_pause(zl_stream *stream, void *arg) {
  zl_incoming message;
  (void)arg;
  CHECK_INT(zl_stream_next(stream, &message), 1);
  zl_stream_on_recv(stream, NULL, NULL);
  CHECK_INT(zl_stream_next(stream, &message), 0);
}

static void test_stream_paused_between_next_and_accept(void) {
  begin_pair();
  join_sockets(INPROC, pull, push);
  begin_seeing();
  zl_stream *stream = new_stream(pull);
  zl_stream_on_recv(stream, on_recv_pause, NULL);
  send_digits(2);
  (void)step();
  CHECK_INT(messages_in(), 0);
  zl_stream_on_recv(stream, on_recv_see, NULL);
  (void)step();
  check_text(seen, "12");
  zl_stream_on_recv(stream, on_recv_pause, NULL);
  send_digits(2);
  (void)step();
  CHECK_INT(zl_stream_flush(stream, ZL_READ, -1), 2); /* discards both */
  CHECK_INT(messages_in(), 4);
  zl_stream_close(stream);
  end_pair();
}

static zl_stream *clocked;
static int readings; /* of the clock, up to the one that pauses the stream */

static int64_t read_pausing_clock(void *arg) {
  (void)arg;
  if (clocked && --readings == 0) {
    paused = true;
    zl_stream_on_recv(clocked, NULL, NULL);
  }
  return 1;
}

/* By the clock, at any of the times when it is read. */
static void test_stream_paused_by_the_clock_is_shown_nothing(void) {
  const zl_budget budget = {.time_ns = 1 * SECONDS};
  zl_config config = {.size = sizeof config, .clock = read_pausing_clock};
  for (int at = 1; at < 20; at++) {
    CHECK_INT(zl_loop_new(&config, &loop), 0);
    context = zmq_ctx_new();
    pull = new_socket(context, ZMQ_PULL);
    push = new_socket(context, ZMQ_PUSH);
    join_sockets(INPROC, pull, push);
    begin_seeing();
    clocked = new_stream(pull);
    zl_stream_on_recv(clocked, on_recv_see, NULL);
    send_digits(3);
    readings = at;
    CHECK(zl_loop_step(loop, 0, &budget) >= 0);
    paused = false;
    readings = 0;
    zl_stream_on_recv(clocked, on_recv_see, NULL);
    CHECK(step() >= 0);
    check_text(seen, "123");
    zl_stream_close(clocked);
    clocked = NULL;
    end_pair();
  }
}

/* The request was received before it was shown. */
static void test_stream_rep_answers_only_what_was_shown(void) {
  int echoed = 0;
  char text[16];
  begin();
  void *rep = new_socket(context, ZMQ_REP);
  void *req = new_socket(context, ZMQ_REQ);
  join_sockets(INPROC, rep, req);
  zl_stream *stream = new_stream(rep);
  send_text(req, "ask", 0);
  CHECK_INT(zl_stream_disconnect(stream, "inproc://nobody"), -ENOENT);
  CHECK_INT(send_one(stream, "too early", 0), -EFSM);
  zl_stream_on_recv(stream, echo_recv, &echoed);
  (void)step();
  CHECK_INT(echoed, 1);
  CHECK_INT(recv_text(req, text, sizeof text), 3);
  zl_stream_close(stream);
  close_socket(rep);
  close_socket(req);
  end();
}

/* Disconnects between the two: never while another message may have begun. */
static void on_recv_disconnect(zl_stream *stream, void *arg) {
  zl_incoming message;
  while (zl_stream_next(stream, &message) > 0) {
    int rc = zl_stream_disconnect(stream, arg);
    CHECK_INT(rc, (*seen ? 0 : -EFSM));
    CHECK_INT(message.count, 2);
    see(zmq_msg_data(&message.frames[1]), zmq_msg_size(&message.frames[1]));
    zl_stream_accept(stream);
  }
}

static void test_stream_disconnected_between_next_and_accept(void) {
  static char address[] = "inproc://between";
  begin();
  begin_seeing();
  void *dealer = new_socket(context, ZMQ_DEALER);
  void *router = new_socket(context, ZMQ_ROUTER);
  CHECK_INT(zmq_bind(dealer, address), 0);
  CHECK_INT(zmq_connect(router, address), 0);
  zl_stream *stream = new_stream(router);
  zl_stream_on_recv(stream, on_recv_disconnect, address);
  send_text(dealer, "1", 0);
  send_text(dealer, "2", 0);
  (void)step();
  check_text(seen, "12");
  zl_stream_close(stream);
  close_socket(router);
  close_socket(dealer);
  end();
}

/* A loop that breaks does so although a flush is around. */
static void on_recv_break_in_flush(zl_stream *stream, void *arg) {
  zl_incoming message;
  enter();
  if (zl_stream_next(stream, &message) > 0) {
    see(message.data, message.size);
    zl_stream_accept(stream);
    if (*(bool *)arg) {
      *(bool *)arg = false;
      CHECK_INT(zl_stream_flush(stream, ZL_READ, -1), 1);
    } else {
      zl_loop_break(loop);
    }
    CHECK_INT(zl_stream_next(stream, &message), 0);
    CHECK_INT(zl_stream_flush(stream, ZL_READ, -1), 0);
  }
  depth--;
}

static void test_stream_flush_ends_when_the_loop_breaks(void) {
  bool flushes = true;
  begin_pair();
  join_sockets(INPROC, pull, push);
  begin_seeing();
  send_digits(4);
  zl_stream *stream = new_stream(pull);
  zl_stream_on_recv(stream, on_recv_break_in_flush, &flushes);
  CHECK_INT(zl_loop_run(loop, ZL_RUN_FOREVER), -EINTR);
  check_text(seen, "12");
  CHECK_INT(zl_loop_run(loop, ZL_RUN_FOREVER), -EINTR);
  check_text(seen, "123");
  zl_stream_close(stream);
  end_pair();
}

/* ---- a socket that other code has closed -------------------------------- */

static void test_stream_of_a_closed_socket_is_over(void) {
  inbox in;
  begin_pair();
  join_sockets(INPROC, pull, push);
  zl_stream *stream = new_receiver(pull, &in);
  (void)step();
  close_socket(pull);
  zl_stream_socket_closed(stream);
  CHECK_INT(zl_stream_error(stream), -ENOTSOCK);
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
    TEST(test_stream_flush_between_next_and_accept_gives_nothing_twice),
    TEST(test_stream_flush_in_a_callback_keeps_the_order),
    TEST(test_stream_flush_in_a_flush_does_not_receive),
#ifdef __GLIBC__
    TEST(test_stream_refused_queue_is_no_stack_of_callbacks),
    TEST(test_stream_send_without_memory_is_tried_again),
#endif
    TEST(test_stream_room_for_frames_gets_smaller),
    TEST(test_stream_next_shows_messages_of_any_form),
    TEST(test_stream_next_keeps_to_the_batch),
    TEST(test_stream_shows_again_what_was_not_accepted),
    TEST(test_stream_accepts_only_what_it_shows),
    TEST(test_stream_shows_a_frame_that_was_moved_away_as_empty),
    TEST(test_stream_closed_between_next_and_accept),
    TEST(test_stream_paused_between_next_and_accept),
    TEST(test_stream_paused_by_the_clock_is_shown_nothing),
    TEST(test_stream_disconnected_between_next_and_accept),
    TEST(test_stream_rep_answers_only_what_was_shown),
    TEST(test_stream_flush_ends_when_the_loop_breaks),
    TEST(test_stream_of_a_closed_socket_is_over),
    TEST(test_stream_of_a_closed_socket_counts_the_unsent),
    TEST(test_stream_conflates_by_type_and_option),
};

TEST_MAIN(tests)
