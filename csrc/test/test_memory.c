/* test_memory.c - out of memory at each request for it.
 * SPDX-License-Identifier: MIT
 *
 * One scenario uses everything. It is repeated with the first, the second, ...
 * request for memory refused, until none is: either that one only, and the call
 * is repeated; or all from there on, until the end of the scenario, when there
 * is memory again. Whatever was accepted must happen, and nothing may leak.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "support/alloc.h"
#include "support/clock.h"
#include "support/sockets.h"
#include "test.h"

/* Enough of each to make every table grow. */
enum { TIMERS = 40, CALLBACKS = 40, WATCHES = 20, MESSAGES = 30, FRAMES = 9 };

typedef struct world {
  test_alloc memory;
  bool again; /* calls that were refused are made again */
  zl_loop *loop;
  zl_stream *sender;
  zl_stream *receiver;
  int refusals;
  int timers;    /* started */
  int callbacks; /* added */
  int frames;    /* of each message */
  int accepted;  /* messages */
  int reports;   /* of them, asked for */
  int watches;
  bool signal; /* watched */
  bool signal_called;
  int timers_fired;
  int callbacks_called;
  int received;
  int reported;
  int watches_called;
} world;

/* Did the call succeed? Memory is the only excuse. */
static bool done(world *w, int rc) {
  if (rc >= 0) {
    return true;
  }
  CHECK_INT(rc, -ENOMEM);
  w->refusals++;
  if (w->loop) {
    verify_loop(w->loop);
  }
  return false;
}

/* Makes the call, and repeats it once if it was refused and `again` is set. */
#define TRY(call) (done(w, call) || (w->again && (CHECK_INT(call, 0), true)))

static void on_callback(zl_loop *loop, void *arg) {
  (void)loop;
  ((world *)arg)->callbacks_called++;
}

static void on_timer(zl_timer *timer, uint64_t missed, void *arg) {
  (void)missed;
  ((world *)arg)->timers_fired++;
  zl_timer_close(timer);
}

static void on_fd(zl_fd *watch, int events, void *arg) {
  (void)events;
  ((world *)arg)->watches_called++;
  zl_fd_close(watch);
}

static void on_signal(zl_signal *watch, int signum, unsigned count, void *arg) {
  CHECK_INT(signum, SIGUSR2);
  CHECK_INT(count, 1);
  ((world *)arg)->signal_called = true;
  zl_signal_close(watch);
}

static void check_message(const world *w, zmq_msg_t *frames, int count) {
  CHECK_INT(count, w->frames);
  for (int i = 0; i < w->frames; i++) {
    int number;
    CHECK_INT(zmq_msg_size(&frames[i]), sizeof number);
    memcpy(&number, zmq_msg_data(&frames[i]), sizeof number);
    CHECK_INT(number, w->received);
  }
}

static void on_recv(zl_stream *stream, void *arg) {
  world *w = arg;
  zl_incoming message;
  int count;
  while ((count = zl_stream_next(stream, &message)) > 0) {
    check_message(w, message.frames, count);
    zl_stream_accept(stream);
    w->received++;
  }
  CHECK(!message.frames);
  (void)done(w, count);
}

static void on_sent(zl_stream *stream, uint64_t token, int status, void *arg) {
  world *w = arg;
  (void)stream;
  w->reported++;
  CHECK_INT(token, w->reported);
  CHECK_INT(status, 0);
}

static void make_timers(world *w) {
  for (int i = 0; i < TIMERS; i++) {
    zl_timer *timer;
    if (!TRY(zl_timer_new(w->loop, on_timer, w, &timer))) {
      CHECK(!timer);
      continue;
    }
    if (TRY(zl_timer_start(timer, 0, 0))) {
      w->timers++;
    } else {
      CHECK(!zl_timer_active(timer));
      zl_timer_close(timer);
    }
  }
}

static void make_callbacks(world *w) {
  for (int i = 0; i < CALLBACKS; i++) {
    w->callbacks += TRY(zl_loop_add_callback(w->loop, on_callback, w));
  }
}

/* ends: of pipes that hold a byte */
static void make_watches(world *w, int (*ends)[2]) {
  for (int i = 0; i < WATCHES; i++) {
    zl_fd *watch;
    if (TRY(zl_fd_new(w->loop, ends[i][0], ZL_READ, on_fd, w, &watch))) {
      w->watches++;
    } else {
      CHECK(!watch);
    }
  }
}

/* A refused call leaves the signal as it was: it would end the process. */
static void make_signal(world *w) {
  struct sigaction action;
  zl_signal *watch;
  w->signal = TRY(zl_signal_new(w->loop, SIGUSR2, on_signal, w, 0, &watch));
  CHECK(w->signal == (watch != NULL));
  CHECK_INT(sigaction(SIGUSR2, NULL, &action), 0);
  CHECK(w->signal == (action.sa_handler != SIG_DFL));
  if (w->signal) {
    CHECK_INT(raise(SIGUSR2), 0);
  }
}

static int send_number(world *w, uint64_t token) {
  zl_frame frames[FRAMES];
  for (int i = 0; i < w->frames; i++) {
    frames[i] = (zl_frame){&w->accepted, sizeof w->accepted};
  }
  return zl_stream_send(w->sender, frames, (size_t)w->frames, token);
}

static void send_messages(world *w) {
  for (int i = 0; w->sender && i < MESSAGES; i++) {
    uint64_t token = i % 2 ? (uint64_t)w->reports + 1 : 0;
    int rc = send_number(w, token);
    if (!done(w, rc) && w->again) {
      rc = send_number(w, token);
      CHECK(rc >= 0);
    }
    if (rc >= 0) {
      w->accepted++;
      w->reports += token != 0;
    }
  }
}

static void step(world *w) {
  (void)done(w, zl_loop_step(w->loop, 0, NULL));
  verify_loop(w->loop);
}

static void run_the_rest(world *w) {
  w->memory.fail_from = 0;
  while (w->timers_fired < w->timers || w->callbacks_called < w->callbacks ||
         (w->receiver && w->received < w->accepted) ||
         (w->receiver && w->reported < w->reports) ||
         w->watches_called < w->watches || w->signal_called < w->signal) {
    CHECK(zl_loop_step(w->loop, ZL_FOREVER, NULL) >= 0);
    verify_loop(w->loop);
  }
  CHECK_INT(w->timers_fired, w->timers);
  CHECK_INT(w->callbacks_called, w->callbacks);
  CHECK_INT(w->watches_called, w->watches);
}

static void use_everything(world *w, int (*ends)[2]) {
  void *context = zmq_ctx_new();
  void *pull = new_socket(context, ZMQ_PULL);
  void *push = new_socket(context, ZMQ_PUSH);
  set_option(push, ZMQ_SNDHWM, 3);
  set_option(pull, ZMQ_RCVHWM, 3);
  make_timers(w);
  make_callbacks(w);
  make_watches(w, ends);
  make_signal(w);
  if (TRY(zl_stream_new(w->loop, push, 0, &w->sender))) {
    zl_stream_on_sent(w->sender, on_sent, w);
  }
  send_messages(w);
  step(w);
  if (TRY(zl_stream_new(w->loop, pull, 0, &w->receiver))) {
    zl_stream_on_recv(w->receiver, on_recv, w);
  }
  join_sockets(INPROC, pull, push);
  if (w->sender) {
    zl_stream_touch(w->sender);
  }
  for (int i = 0; i < 3; i++) {
    step(w);
  }
  send_messages(w);
  step(w);
  run_the_rest(w);
  if (w->receiver) {
    CHECK_INT(w->received, w->accepted);
    CHECK_INT(w->reported, w->reports);
  }
  zl_stream_close(w->receiver);
  /* Without a receiver libzmq's buffers hold some and the queue the rest. */
  size_t unsent = zl_stream_close(w->sender);
  CHECK(unsent <= (size_t)w->accepted && (unsent == 0 || !w->receiver));
  close_socket(pull);
  close_socket(push);
  end_context(context);
}

static int new_loop_of(world *w, int backend) {
  zl_config config = {.size = sizeof config,
                      .backend = backend,
                      .alloc = test_alloc_fn,
                      .alloc_ud = &w->memory};
  int rc = zl_loop_new(&config, &w->loop);
  w->frames = FRAMES;
  CHECK(rc == 0 || (!w->loop && w->memory.bytes == 0));
  return rc;
}

/* Returns whether anything was refused. */
static bool refuse_from(long request, long count, int backend, int (*ends)[2]) {
  world this_world;
  world *w = &this_world;
  memset(w, 0, sizeof *w);
  w->memory.fail_from = request;
  w->memory.fail_count = count;
  w->again = count == 1;
  if (TRY(new_loop_of(w, backend))) {
    use_everything(w, ends);
    close_loop(w->loop);
  }
  CHECK_INT(w->memory.bytes, 0);
  CHECK_INT(w->memory.blocks, 0);
  CHECK((w->memory.failed > 0) == (w->refusals > 0));
  return w->memory.failed > 0;
}

static void refuse_each(long count, int backend) {
  int ends[WATCHES][2];
  long request = 1;
  for (int i = 0; i < WATCHES; i++) {
    CHECK_INT(pipe(ends[i]), 0);
    CHECK_INT(write(ends[i][1], "", 1), 1);
  }
  while (refuse_from(request, count, backend, ends)) {
    request++;
  }
  CHECK(request > TIMERS + WATCHES + MESSAGES);
  for (int i = 0; i < WATCHES; i++) {
    (void)close(ends[i][0]);
    (void)close(ends[i][1]);
  }
}

static void test_memory_one_request_refused(void) {
  refuse_each(1, ZL_BACKEND_DEFAULT);
}

static void test_memory_one_request_refused_on_poll(void) {
  refuse_each(1, ZL_BACKEND_POLL);
}

static void test_memory_all_requests_refused_from_one_on(void) {
  refuse_each(LONG_MAX, ZL_BACKEND_DEFAULT);
}

static void test_memory_all_requests_refused_on_poll(void) {
  refuse_each(LONG_MAX, ZL_BACKEND_POLL);
}

/* ---- timers ------------------------------------------------------------- */

static int64_t stopped_clock(void *ud) {
  return *(int64_t *)ud;
}

static zl_timer *started_inside[2];

static void on_start_two(zl_timer *timer, uint64_t missed, void *arg) {
  (void)timer;
  (void)missed;
  ((world *)arg)->timers_fired++;
  for (int i = 0; i < 2; i++) {
    int rc = zl_timer_start_at(started_inside[i], 1000, 0);
    CHECK(rc == 0 || rc == -ENOMEM);
  }
}

static void on_period(zl_timer *timer, uint64_t missed, void *arg) {
  (void)timer;
  (void)missed;
  ((world *)arg)->timers_fired++;
}

/* A timer that is about to be called has left the heap; one that is started
 * meanwhile must not take the place it needs for its next period. */
static void periodic_in_a_heap_of(int others) {
  int64_t now = 0;
  world this_world;
  world *w = &this_world;
  zl_config config = {.size = sizeof config,
                      .alloc = test_alloc_fn,
                      .alloc_ud = &w->memory,
                      .clock = stopped_clock,
                      .clock_ud = &now};
  zl_timer *timer;
  memset(w, 0, sizeof *w);
  CHECK_INT(zl_loop_new(&config, &w->loop), 0);
  for (int i = 0; i < others; i++) {
    CHECK_INT(zl_timer_new(w->loop, on_period, w, &timer), 0);
    CHECK_INT(zl_timer_start_at(timer, 1000, 0), 0);
  }
  CHECK_INT(zl_timer_new(w->loop, on_start_two, w, &timer), 0);
  CHECK_INT(zl_timer_start_at(timer, 1, 0), 0);
  CHECK_INT(zl_timer_new(w->loop, on_period, w, &timer), 0);
  CHECK_INT(zl_timer_start_at(timer, 2, 10), 0);
  for (int i = 0; i < 2; i++) {
    CHECK_INT(zl_timer_new(w->loop, on_period, w, &started_inside[i]), 0);
  }
  w->memory.fail_from = w->memory.requests + 1;
  w->memory.fail_count = LONG_MAX;
  for (int i = 1; i <= 5; i++) {
    now = 2 + 10 * (i - 1);
    CHECK(zl_loop_step(w->loop, 0, NULL) >= 0);
    verify_loop(w->loop);
    CHECK(zl_timer_active(timer));
    CHECK_INT(w->timers_fired, 1 + i);
  }
  close_loop(w->loop);
  CHECK_INT(w->memory.bytes, 0);
}

static void test_memory_periodic_timer_goes_on(void) {
  for (int others = 0; others < 40; others++) {
    periodic_in_a_heap_of(others);
  }
}

/* After warm-up messages cost no memory, and a closed loop returns all. */
static void test_memory_receiving_needs_none(void) {
  world this_world;
  world *w = &this_world;
  memset(w, 0, sizeof *w);
  CHECK_INT(new_loop_of(w, ZL_BACKEND_DEFAULT), 0);
  void *context = zmq_ctx_new();
  void *pull = new_socket(context, ZMQ_PULL);
  void *push = new_socket(context, ZMQ_PUSH);
  join_sockets(INPROC, pull, push);
  CHECK_INT(zl_stream_new(w->loop, push, 0, &w->sender), 0);
  CHECK_INT(zl_stream_new(w->loop, pull, 0, &w->receiver), 0);
  zl_stream_on_recv(w->receiver, on_recv, w);
  long warm = 0;
  for (int i = 0; i < 1000; i++) {
    CHECK_INT(send_number(w, 0), 0);
    w->accepted++;
    step(w);
    warm = i == 0 ? w->memory.requests : warm;
  }
  CHECK_INT(w->received, 1000);
  CHECK_INT(w->memory.requests, warm);
  close_loop(w->loop);
  CHECK_INT(w->memory.bytes, 0);
  close_socket(pull);
  close_socket(push);
  end_context(context);
}

/* Queued and reported messages are reused. */
static void test_memory_queueing_needs_none(void) {
  world this_world;
  world *w = &this_world;
  int one = 1;
  memset(w, 0, sizeof *w);
  CHECK_INT(new_loop_of(w, ZL_BACKEND_DEFAULT), 0);
  w->frames = 2;
  void *context = zmq_ctx_new();
  void *pull = new_socket(context, ZMQ_PULL);
  void *push = new_socket(context, ZMQ_PUSH);
  (void)zmq_setsockopt(pull, ZMQ_RCVHWM, &one, sizeof one);
  (void)zmq_setsockopt(push, ZMQ_SNDHWM, &one, sizeof one);
  join_sockets(INPROC, pull, push);
  CHECK_INT(zl_stream_new(w->loop, push, 0, &w->sender), 0);
  CHECK_INT(zl_stream_new(w->loop, pull, 0, &w->receiver), 0);
  zl_stream_on_recv(w->receiver, on_recv, w);
  zl_stream_on_sent(w->sender, on_sent, w);
  long warm = 0;
  for (int i = 0; i < 100; i++) {
    send_messages(w);
    CHECK(zl_stream_queued(w->sender) > 0);
    while (w->received < w->accepted || w->reported < w->reports) {
      step(w);
    }
    warm = i == 1 ? w->memory.requests : warm;
  }
  CHECK_INT(w->memory.requests, warm);
  close_loop(w->loop);
  CHECK_INT(w->memory.bytes, 0);
  close_socket(pull);
  close_socket(push);
  end_context(context);
}

static const zl_test tests[] = {
    TEST(test_memory_one_request_refused),
    TEST(test_memory_one_request_refused_on_poll),
    TEST(test_memory_all_requests_refused_from_one_on),
    TEST(test_memory_all_requests_refused_on_poll),
    TEST(test_memory_periodic_timer_goes_on),
    TEST(test_memory_receiving_needs_none),
    TEST(test_memory_queueing_needs_none),
};

TEST_MAIN(tests)
