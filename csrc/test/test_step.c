/* test_step.c - one step at a time, and budgets.
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <unistd.h>

#include "core/loop.h"
#include "support/clock.h"
#include "support/sockets.h"
#include "test.h"

static int handled(int rc) {
  CHECK(rc >= 0);
  return rc & ~ZL_STEP_MORE;
}

static int more(int rc) {
  CHECK(rc >= 0);
  return rc & ZL_STEP_MORE ? 1 : 0;
}

static void on_count(zl_loop *loop, void *arg) {
  (void)loop;
  ++*(int *)arg;
}

static void on_timer_count(zl_timer *timer, uint64_t missed, void *arg) {
  (void)timer;
  (void)missed;
  ++*(int *)arg;
}

static void test_step_budget_cuts_and_resumes(void) {
  virtual_clock clock = {0};
  zl_loop *loop = virtual_loop(&clock);
  zl_budget two = {.events = 2};
  int callbacks = 0;
  int timers = 0;
  for (int i = 0; i < 3; i++) {
    zl_timer *timer;
    CHECK_INT(zl_loop_add_callback(loop, on_count, &callbacks), 0);
    CHECK_INT(zl_timer_new(loop, on_timer_count, &timers, &timer), 0);
    CHECK_INT(zl_timer_start(timer, 0, 0), 0);
  }
  CHECK(zl_loop_step(loop, 0, &two) == (2 | ZL_STEP_MORE));
  CHECK_INT(callbacks, 2);
  CHECK(zl_loop_step(loop, 0, &two) == (2 | ZL_STEP_MORE));
  CHECK_INT(callbacks, 3);
  CHECK_INT(timers, 1);
  CHECK_INT(handled(zl_loop_step(loop, 0, &two)), 2);
  CHECK_INT(timers, 3);
  CHECK_INT(zl_loop_step(loop, 0, &two), 0);
  close_loop(loop);
}

/* A run resumes what a step has left. */
static void test_step_rest_is_done_by_run(void) {
  virtual_clock clock = {0};
  zl_loop *loop = virtual_loop(&clock);
  zl_budget one = {.events = 1};
  int callbacks = 0;
  for (int i = 0; i < 5; i++) {
    CHECK_INT(zl_loop_add_callback(loop, on_count, &callbacks), 0);
  }
  CHECK(zl_loop_step(loop, 0, &one) == (1 | ZL_STEP_MORE));
  CHECK_INT(zl_loop_run(loop, ZL_RUN_ALIVE), 0);
  CHECK_INT(callbacks, 5);
  close_loop(loop);
}

static void on_callback_break(zl_loop *loop, void *arg) {
  on_count(loop, arg);
  zl_loop_break(loop);
}

/* An error leaves little work: the step that resumes continues with what has
 * become due since. */
static void test_step_after_a_break_does_what_is_due(void) {
  virtual_clock clock = {0};
  zl_loop *loop = virtual_loop(&clock);
  int callbacks = 0;
  int timers = 0;
  zl_timer *timer;
  CHECK_INT(zl_loop_add_callback(loop, on_callback_break, &callbacks), 0);
  CHECK_INT(zl_loop_run(loop, ZL_RUN_FOREVER), -EINTR);
  CHECK_INT(callbacks, 1);
  CHECK_INT(zl_loop_add_callback(loop, on_count, &callbacks), 0);
  CHECK_INT(zl_timer_new(loop, on_timer_count, &timers, &timer), 0);
  CHECK_INT(zl_timer_start(timer, 0, 0), 0);
  CHECK_INT(zl_loop_step(loop, 0, NULL), 2);
  CHECK_INT(callbacks, 2);
  CHECK_INT(timers, 1);
  CHECK_INT(zl_loop_step(loop, 0, NULL), 0);
  close_loop(loop);
}

/* ---- no phase starves --------------------------------------------------- */

static void on_callback_again(zl_loop *loop, void *arg) {
  on_count(loop, arg);
  CHECK_INT(zl_loop_add_callback(loop, on_callback_again, arg), 0);
}

static void on_post_again(zl_loop *loop, void *arg) {
  on_count(loop, arg);
  CHECK_INT(zl_loop_post(loop, on_post_again, arg, NULL), 0);
}

static void on_fd_count(zl_fd *watch, int events, void *arg) {
  (void)watch;
  CHECK_INT(events, ZL_READ);
  ++*(int *)arg;
}

static void on_recv_count(zl_stream *stream, void *arg) {
  zl_incoming message;
  while (zl_stream_next(stream, &message) > 0) {
    ++*(int *)arg;
    zl_stream_accept(stream);
  }
}

/* Level-triggered: the socket is never read. */
static void on_socket_count(zl_socket *watch, int events, void *arg) {
  (void)watch;
  CHECK_INT(events, ZL_READ);
  ++*(int *)arg;
}

enum { STEPS = 3000, FILLED = 2000 };

static void *new_full_pull(void *context, int messages) {
  void *pull = new_socket(context, ZMQ_PULL);
  void *push = new_socket(context, ZMQ_PUSH);
  set_option(pull, ZMQ_RCVHWM, 0);
  set_option(push, ZMQ_SNDHWM, 0);
  join_sockets(INPROC, pull, push);
  for (int i = 0; i < messages; i++) {
    send_text(push, "m", 0);
  }
  close_socket(push);
  return pull;
}

/* Each step does something, never more than its budget, and leaves more. */
static void step_often(zl_loop *loop, int events) {
  zl_budget budget = {.events = events};
  for (int i = 0; i < STEPS; i++) {
    int rc = zl_loop_step(loop, 0, &budget);
    CHECK(handled(rc) >= 1 && handled(rc) <= events);
    CHECK(more(rc));
    if (i % 64 == 0) {
      verify_loop(loop);
    }
  }
}

static void starve(int backend, int events) {
  zl_config config = {.size = sizeof config, .backend = backend};
  zl_loop *loop;
  zl_timer *timer;
  zl_fd *watch;
  zl_socket *socket;
  zl_stream *stream;
  int ends[2];
  int n[6] = {0};
  void *context = zmq_ctx_new();
  void *streaming = new_full_pull(context, FILLED);
  void *watched = new_full_pull(context, 1);
  CHECK_INT(zl_loop_new(&config, &loop), 0);
  CHECK_INT(pipe(ends), 0);
  CHECK_INT(write(ends[1], "", 1), 1);
  CHECK_INT(zl_loop_add_callback(loop, on_callback_again, &n[0]), 0);
  CHECK_INT(zl_timer_new(loop, on_timer_count, &n[1], &timer), 0);
  CHECK_INT(zl_timer_start(timer, 0, 1), 0);
  CHECK_INT(zl_loop_post(loop, on_post_again, &n[2], NULL), 0);
  CHECK_INT(zl_fd_new(loop, ends[0], ZL_READ, on_fd_count, &n[3], &watch), 0);
  CHECK_INT(
      zl_socket_new(loop, watched, ZL_READ, 0, on_socket_count, &n[4], &socket),
      0);
  CHECK_INT(zl_stream_new(loop, streaming, 0, &stream), 0);
  CHECK_INT(zl_stream_set_batch(stream, 1), 0);
  zl_stream_on_recv(stream, on_recv_count, &n[5]);
  step_often(loop, events);
  for (int i = 0; i < 6; i++) {
    /* One in six would be fair for a budget of one. */
    CHECK(n[i] > STEPS / 8 || (i == 5 && n[i] == FILLED));
  }
  (void)zl_stream_close(stream);
  zl_socket_close(socket);
  close_loop(loop);
  close_socket(streaming);
  close_socket(watched);
  end_context(context);
  (void)close(ends[0]);
  (void)close(ends[1]);
}

static void test_step_no_phase_starves_under_a_budget_of_one(void) {
  starve(ZL_BACKEND_DEFAULT, 1);
}

static void test_step_no_phase_starves_in_the_poll_backend(void) {
  starve(ZL_BACKEND_POLL, 1);
}

static void test_step_no_phase_starves_under_a_budget_of_four(void) {
  starve(ZL_BACKEND_DEFAULT, 4);
}

/* The budget counts messages, not turns of a stream. */
static void test_step_budget_counts_messages(void) {
  zl_loop *loop = new_loop();
  zl_budget ten = {.events = 10};
  zl_stream *stream;
  int n = 0;
  void *context = zmq_ctx_new();
  void *pull = new_full_pull(context, 25);
  CHECK_INT(zl_stream_new(loop, pull, 0, &stream), 0);
  zl_stream_on_recv(stream, on_recv_count, &n);
  CHECK(zl_loop_step(loop, 0, &ten) == (10 | ZL_STEP_MORE));
  CHECK_INT(n, 10);
  CHECK(zl_loop_step(loop, 0, &ten) == (10 | ZL_STEP_MORE));
  CHECK_INT(n, 20);
  CHECK_INT(handled(zl_loop_step(loop, 0, &ten)), 5);
  CHECK_INT(n, 25);
  CHECK_INT(zl_stream_close(stream), 0);
  close_loop(loop);
  close_socket(pull);
  end_context(context);
}

static void on_take_ten(zl_loop *loop, void *arg) {
  (void)loop;
  ((virtual_clock *)arg)->now += 10;
}

static void on_take_ten_again(zl_loop *loop, void *arg) {
  on_take_ten(loop, arg);
  CHECK_INT(zl_loop_add_callback(loop, on_take_ten_again, arg), 0);
}

/* ---- a budget is worked off ---------------------------------------------- */

static const zl_budget AMPLE = {.time_ns = 600 * SECONDS};

/* More than a batch, and what becomes due on the way. */
static void test_step_with_a_budget_goes_on_until_nothing_is_pending(void) {
  static const zl_budget budgets[] = {{.time_ns = 60 * SECONDS},
                                      {.events = 1000000}};
  for (int i = 0; i < 2; i++) {
    zl_loop *loop = new_loop();
    zl_stream *stream;
    int n = 0;
    void *context = zmq_ctx_new();
    void *pull = new_full_pull(context, FILLED);
    CHECK_INT(zl_stream_new(loop, pull, 0, &stream), 0);
    CHECK_INT(zl_stream_set_batch(stream, 10), 0);
    zl_stream_on_recv(stream, on_recv_count, &n);
    CHECK_INT(zl_loop_step(loop, 0, &budgets[i]), FILLED);
    CHECK_INT(n, FILLED);
    CHECK_INT(zl_loop_step(loop, 0, &budgets[i]), 0);
    CHECK_INT(zl_stream_close(stream), 0);
    close_loop(loop);
    close_socket(pull);
    end_context(context);
  }
}

typedef struct countdown {
  int left;
} countdown;

static void on_count_down(zl_loop *loop, void *arg) {
  countdown *it = arg;
  if (--it->left > 0) {
    CHECK_INT(zl_loop_add_callback(loop, on_count_down, arg), 0);
  }
}

static void test_step_with_a_budget_calls_what_callbacks_queue(void) {
  virtual_clock clock = {0};
  zl_loop *loop = virtual_loop(&clock);
  countdown it = {.left = 50};
  CHECK_INT(zl_loop_add_callback(loop, on_count_down, &it), 0);
  CHECK_INT(zl_loop_step(loop, 0, NULL), 1 | ZL_STEP_MORE);
  CHECK_INT(zl_loop_step(loop, 0, &AMPLE), 49);
  CHECK_INT(it.left, 0);
  close_loop(loop);
}

typedef struct reader {
  int fd;
  int bytes;
} reader;

static void on_fd_read_one(zl_fd *watch, int events, void *arg) {
  reader *it = arg;
  char byte;
  (void)watch;
  (void)events;
  CHECK_INT(read(it->fd, &byte, 1), 1);
  it->bytes++;
}

/* That a descriptor is ready still, only the next poll tells. */
static void test_step_with_a_budget_serves_descriptors_until_none_is_ready(
    void) {
  static const int backends[] = {ZL_BACKEND_DEFAULT, ZL_BACKEND_POLL};
  for (int b = 0; b < 2; b++) {
    zl_config config = {.size = sizeof config, .backend = backends[b]};
    zl_loop *loop;
    zl_fd *watch;
    int ends[2];
    CHECK_INT(zl_loop_new(&config, &loop), 0);
    CHECK_INT(pipe(ends), 0);
    CHECK_INT(write(ends[1], "12345", 5), 5);
    reader it = {.fd = ends[0]};
    CHECK_INT(zl_fd_new(loop, ends[0], ZL_READ, on_fd_read_one, &it, &watch),
              0);
    CHECK_INT(zl_loop_step(loop, ZL_FOREVER, &AMPLE), 5);
    CHECK_INT(it.bytes, 5);
    close_loop(loop);
    (void)close(ends[0]);
    (void)close(ends[1]);
  }
}

/* What never ends is ended by the budget, to the call. */
static void test_step_with_a_budget_ends_with_it(void) {
  virtual_clock clock = {0};
  zl_loop *loop = virtual_loop(&clock);
  int n = 0;
  CHECK_INT(zl_loop_add_callback(loop, on_callback_again, &n), 0);
  CHECK_INT(zl_loop_step(loop, 0, &(zl_budget){.events = 321}),
            321 | ZL_STEP_MORE);
  CHECK_INT(zl_loop_add_callback(loop, on_take_ten_again, &clock), 0);
  CHECK_INT(zl_loop_step(loop, 0, &(zl_budget){.time_ns = 95}),
            20 | ZL_STEP_MORE);
  CHECK_INT(clock.now, 100);
  close_loop(loop);
}

/* While a virtual clock stands still, the host's time passes. */
static void test_step_with_a_budget_of_time_ends_under_a_virtual_clock(void) {
  zl_config config = {.size = sizeof config, .flags = ZL_CONFIG_VIRTUAL_CLOCK};
  zl_loop *loop;
  int n = 0;
  CHECK_INT(zl_loop_new(&config, &loop), 0);
  CHECK_INT(zl_loop_add_callback(loop, on_callback_again, &n), 0);
  CHECK(more(zl_loop_step(loop, 0, &(zl_budget){.time_ns = MILLISECONDS})));
  CHECK(n > 0);
  CHECK_INT(zl_loop_time_ns(loop), 0);
  close_loop(loop);
}

/* It waits for the first thing only. */
static void test_step_with_a_budget_waits_once(void) {
  zl_config config = {.size = sizeof config, .flags = ZL_CONFIG_VIRTUAL_CLOCK};
  zl_loop *loop;
  zl_timer *timers[2];
  int n = 0;
  CHECK_INT(zl_loop_new(&config, &loop), 0);
  for (int i = 0; i < 2; i++) {
    CHECK_INT(zl_timer_new(loop, on_timer_count, &n, &timers[i]), 0);
    CHECK_INT(zl_timer_start(timers[i], (i + 1) * MILLISECONDS, 0), 0);
  }
  CHECK_INT(zl_loop_step(loop, SECONDS, &AMPLE), 1);
  CHECK_INT(zl_loop_time_ns(loop), MILLISECONDS);
  CHECK_INT(zl_loop_step(loop, SECONDS, &AMPLE), 1);
  CHECK_INT(zl_loop_time_ns(loop), 2 * MILLISECONDS);
  close_loop(loop);
}

static void on_stop_and_go_on(zl_loop *loop, void *arg) {
  zl_loop_stop(loop);
  CHECK_INT(zl_loop_add_callback(loop, on_count_down, arg), 0);
}

/* A stop ends the wait of a step, not its work. */
static void test_step_with_a_budget_takes_a_stop_as_a_wake_up(void) {
  zl_loop *loop = new_loop();
  countdown it = {.left = 3};
  CHECK_INT(zl_loop_add_callback(loop, on_stop_and_go_on, &it), 0);
  CHECK_INT(zl_loop_step(loop, ZL_FOREVER, &AMPLE), 4);
  CHECK_INT(it.left, 0);
  zl_loop_stop(loop);
  CHECK_INT(zl_loop_step(loop, ZL_FOREVER, &AMPLE), 0);
  close_loop(loop);
}

static void on_break_once(zl_loop *loop, void *arg) {
  countdown *it = arg;
  if (it->left-- == 2) {
    zl_loop_break(loop);
  }
  CHECK_INT(zl_loop_add_callback(loop, on_count_down, arg), 0);
}

static void test_step_with_a_budget_is_left_by_a_break(void) {
  virtual_clock clock = {0};
  zl_loop *loop = virtual_loop(&clock);
  countdown it = {.left = 2};
  CHECK_INT(zl_loop_add_callback(loop, on_break_once, &it), 0);
  CHECK_INT(zl_loop_step(loop, 0, &AMPLE), -EINTR);
  CHECK_INT(zl_loop_step(loop, 0, &AMPLE), 1);
  CHECK_INT(it.left, 0);
  close_loop(loop);
}

/* ---- time --------------------------------------------------------------- */

static void test_step_time_budget(void) {
  virtual_clock clock = {1000};
  zl_loop *loop = virtual_loop(&clock);
  zl_budget budget = {.time_ns = 25};
  for (int i = 0; i < 8; i++) {
    CHECK_INT(zl_loop_add_callback(loop, on_take_ten, &clock), 0);
  }
  CHECK(zl_loop_step(loop, 0, &budget) == (3 | ZL_STEP_MORE));
  CHECK_INT(clock.now, 1030);
  budget.events = 2;
  CHECK(zl_loop_step(loop, 0, &budget) == (2 | ZL_STEP_MORE));
  budget.events = 0;
  budget.time_ns = 1;
  CHECK(zl_loop_step(loop, 0, &budget) == (1 | ZL_STEP_MORE));
  CHECK_INT(zl_loop_step(loop, 0, NULL), 2);
  close_loop(loop);
}

/* Waiting does not use up the budget. */
static void test_step_time_budget_begins_after_the_wait(void) {
  zl_loop *loop = new_loop();
  zl_timer *timer;
  zl_budget budget = {.time_ns = 20 * MILLISECONDS};
  int n = 0;
  CHECK_INT(zl_timer_new(loop, on_timer_count, &n, &timer), 0);
  CHECK_INT(zl_timer_start(timer, 50 * MILLISECONDS, 0), 0);
  CHECK_INT(zl_loop_step(loop, ZL_FOREVER, &budget), 1);
  CHECK_INT(n, 1);
  close_loop(loop);
}

static void test_step_of_no_time_never_blocks(void) {
  static const int backends[] = {ZL_BACKEND_DEFAULT, ZL_BACKEND_POLL};
  for (int b = 0; b < 2; b++) {
    zl_config config = {.size = sizeof config, .backend = backends[b]};
    zl_loop *loop;
    zl_timer *timer;
    int n = 0;
    CHECK_INT(zl_loop_new(&config, &loop), 0);
    CHECK_INT(zl_loop_step(loop, 0, NULL), 0);
    CHECK_INT(zl_timer_new(loop, on_timer_count, &n, &timer), 0);
    CHECK_INT(zl_timer_start(timer, 3600 * SECONDS, 0), 0);
    CHECK_INT(zl_loop_step(loop, 0, NULL), 0);
    CHECK_INT(zl_loop_step(loop, -5, NULL), 0);
    CHECK_INT(n, 0);
    close_loop(loop);
  }
}

static void test_step_waits_for_a_timer(void) {
  static const int64_t timeouts[] = {ZL_FOREVER, 3600 * SECONDS};
  for (int i = 0; i < 2; i++) {
    zl_loop *loop = new_loop();
    zl_timer *timer;
    int n = 0;
    CHECK_INT(zl_timer_new(loop, on_timer_count, &n, &timer), 0);
    CHECK_INT(zl_timer_start(timer, 2 * MILLISECONDS, 0), 0);
    CHECK_INT(zl_loop_step(loop, timeouts[i], NULL), 1);
    CHECK_INT(n, 1);
    close_loop(loop);
  }
}

static void test_step_waits_as_long_as_it_may(void) {
  zl_loop *loop = new_loop();
  int64_t start = zl_loop_time_ns(loop);
  CHECK_INT(zl_loop_step(loop, 3 * MILLISECONDS, NULL), 0);
  CHECK(zl_loop_time_ns(loop) - start >= 3 * MILLISECONDS);
  close_loop(loop);
}

static void test_step_does_not_wait_when_there_is_work(void) {
  zl_loop *loop = new_loop();
  int n = 0;
  CHECK_INT(zl_loop_add_callback(loop, on_count, &n), 0);
  CHECK_INT(zl_loop_step(loop, ZL_FOREVER, NULL), 1);
  CHECK_INT(zl_loop_post(loop, on_count, &n, NULL), 0);
  CHECK_INT(zl_loop_step(loop, ZL_FOREVER, NULL), 1);
  CHECK_INT(n, 2);
  close_loop(loop);
}

/* The stop is for the next run, however many steps come before. */
static void test_step_waits_after_a_stop(void) {
  zl_loop *loop = new_loop();
  int timers = 0;
  zl_timer *timer;
  CHECK_INT(zl_timer_new(loop, on_timer_count, &timers, &timer), 0);
  zl_loop_stop(loop);
  CHECK_INT(zl_loop_step(loop, ZL_FOREVER, NULL), 0); /* woken */
  CHECK_INT(timers, 0);
  for (int i = 1; i <= 3; i++) {
    CHECK_INT(zl_timer_start(timer, MILLISECONDS, 0), 0);
    CHECK_INT(zl_loop_step(loop, ZL_FOREVER, NULL), 1);
    CHECK_INT(timers, i);
  }
  CHECK_INT(zl_loop_run(loop, ZL_RUN_FOREVER), 0);
  CHECK_INT(timers, 3);
  close_loop(loop);
}

static void test_step_after_a_stop_fills_its_batch(void) {
  zl_loop *loop = new_loop();
  void *context = zmq_ctx_new();
  zl_stream *stream;
  int messages = 0;
  void *pull = new_full_pull(context, 5);
  CHECK_INT(zl_stream_new(loop, pull, 0, &stream), 0);
  zl_stream_on_recv(stream, on_recv_count, &messages);
  zl_loop_stop(loop);
  CHECK_INT(handled(zl_loop_step(loop, 0, NULL)), 5);
  CHECK_INT(messages, 5);
  CHECK_INT(zl_stream_close(stream), 0);
  close_loop(loop);
  close_socket(pull);
  end_context(context);
}

/* ---- a clock that gives work --------------------------------------------- */

typedef struct giving_clock {
  zl_loop *loop;
  int phase;    /* in which it does */
  int readings; /* up to the one that queues work */
  int calls;
} giving_clock;

static int64_t read_giving_clock(void *arg) {
  giving_clock *clock = arg;
  if (clock->loop && (int)clock->loop->phase == clock->phase &&
      clock->readings > 0 && --clock->readings == 0) {
    CHECK_INT(zl_loop_add_callback(clock->loop, on_count, &clock->calls), 0);
  }
  return zl__clock_monotonic(NULL);
}

static void step_with_giving_clock(int readings, const zl_budget *budget) {
  giving_clock clock = {.phase = ZL__PHASE_WAIT, .readings = readings};
  zl_config config = {
      .size = sizeof config, .clock = read_giving_clock, .clock_ud = &clock};
  zl_loop *loop;
  CHECK_INT(zl_loop_new(&config, &loop), 0);
  clock.loop = loop;
  CHECK_INT(handled(zl_loop_step(loop, 2 * SECONDS, budget)), 1);
  CHECK_INT(clock.calls, 1);
  close_loop(loop);
}

static void test_step_does_not_wait_for_what_its_clock_gives(void) {
  const zl_budget budget = {.time_ns = 3600 * SECONDS};
  step_with_giving_clock(1, NULL);
  step_with_giving_clock(1, &budget);
  step_with_giving_clock(2, &budget);
}

/* For a host, which would wait that long. */
static void test_step_timeout_knows_what_its_clock_gives(void) {
  giving_clock clock = {.phase = ZL__PHASE_COLLECT, .readings = 1};
  zl_config config = {
      .size = sizeof config, .clock = read_giving_clock, .clock_ud = &clock};
  zl_loop *loop;
  zl_timer *timer;
  CHECK_INT(zl_loop_new(&config, &loop), 0);
  CHECK_INT(zl_timer_new(loop, on_timer_count, &clock.calls, &timer), 0);
  CHECK_INT(zl_timer_start(timer, 3600 * SECONDS, 0), 0);
  clock.loop = loop;
  CHECK_INT(zl_loop_timeout_ns(loop), 0);
  close_loop(loop);
}

static void test_step_is_ended_by_a_wake(void) {
  zl_loop *loop = new_loop();
  zl_loop_wake(loop);
  CHECK_INT(zl_loop_step(loop, ZL_FOREVER, NULL), 0);
  close_loop(loop);
}

static void test_loop_has_the_data_of_its_configuration(void) {
  int data = 0;
  const zl_config config = {.size = sizeof config, .data = &data};
  zl_loop *made = NULL;
  CHECK_INT(zl_loop_new(&config, &made), 0);
  CHECK(zl_loop_data(made) == &data);
  CHECK_INT(zl_loop_close(made), 0);
  CHECK_INT(zl_loop_new(NULL, &made), 0);
  CHECK(zl_loop_data(made) == NULL);
  CHECK_INT(zl_loop_close(made), 0);
}

static const zl_test tests[] = {
    TEST(test_loop_has_the_data_of_its_configuration),
    TEST(test_step_budget_cuts_and_resumes),
    TEST(test_step_rest_is_done_by_run),
    TEST(test_step_after_a_break_does_what_is_due),
    TEST(test_step_no_phase_starves_under_a_budget_of_one),
    TEST(test_step_no_phase_starves_in_the_poll_backend),
    TEST(test_step_no_phase_starves_under_a_budget_of_four),
    TEST(test_step_budget_counts_messages),
    TEST(test_step_with_a_budget_goes_on_until_nothing_is_pending),
    TEST(test_step_with_a_budget_calls_what_callbacks_queue),
    TEST(test_step_with_a_budget_serves_descriptors_until_none_is_ready),
    TEST(test_step_with_a_budget_ends_with_it),
    TEST(test_step_with_a_budget_of_time_ends_under_a_virtual_clock),
    TEST(test_step_with_a_budget_waits_once),
    TEST(test_step_with_a_budget_takes_a_stop_as_a_wake_up),
    TEST(test_step_with_a_budget_is_left_by_a_break),
    TEST(test_step_time_budget),
    TEST(test_step_time_budget_begins_after_the_wait),
    TEST(test_step_of_no_time_never_blocks),
    TEST(test_step_waits_for_a_timer),
    TEST(test_step_waits_as_long_as_it_may),
    TEST(test_step_does_not_wait_when_there_is_work),
    TEST(test_step_waits_after_a_stop),
    TEST(test_step_after_a_stop_fills_its_batch),
    TEST(test_step_does_not_wait_for_what_its_clock_gives),
    TEST(test_step_timeout_knows_what_its_clock_gives),
    TEST(test_step_is_ended_by_a_wake),
};

TEST_MAIN(tests)
