/* test_callback.c - callbacks, and how a run begins and ends.
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "support/alloc.h"
#include "support/clock.h"
#include "test.h"
#include "zmqloop_batch.h"

static char calls[256];
static int called;

static void note(char letter) {
  CHECK(called < (int)sizeof calls - 1);
  calls[called] = letter;
  called++;
  calls[called] = '\0';
}

static zl_loop *fresh_loop(void) {
  called = 0;
  calls[0] = '\0';
  return new_loop();
}

/* arg is the letter. */
static void on_letter(zl_loop *loop, void *arg) {
  (void)loop;
  note(*(const char *)arg);
}

static void add(zl_loop *loop, const char *letter) {
  CHECK_INT(zl_loop_add_callback(loop, on_letter, (void *)(uintptr_t)letter),
            0);
}

static void on_stop(zl_loop *loop, void *arg) {
  on_letter(loop, arg);
  zl_loop_stop(loop);
}

static void add_stop(zl_loop *loop, const char *letter) {
  CHECK_INT(zl_loop_add_callback(loop, on_stop, (void *)(uintptr_t)letter), 0);
}

/* A timer far away, so that a run that waits never ends. */
static void keep_busy(zl_loop *loop) {
  zl_timer *timer;
  CHECK_INT(zl_timer_new(loop, NULL, NULL, &timer), 0);
  CHECK_INT(zl_timer_start(timer, 3600 * SECONDS, 0), 0);
}

static void test_callback_first_in_first_out(void) {
  static const char letters[] = "abcdefghijklmnopqrstuvwxyz";
  zl_loop *loop = fresh_loop();
  for (const char *letter = letters; *letter; letter++) {
    add(loop, letter);
  }
  CHECK(zl_loop_alive(loop));
  CHECK_INT(zl_loop_run(loop, ZL_RUN_ALIVE), 0);
  CHECK(!strcmp(calls, letters));
  CHECK(!zl_loop_alive(loop));
  close_loop(loop);
}

static void on_add_two(zl_loop *loop, void *arg) {
  on_letter(loop, arg);
  add(loop, "x");
  add(loop, "y");
}

static void test_callback_added_inside_waits_for_the_next_iteration(void) {
  zl_loop *loop = fresh_loop();
  CHECK_INT(zl_loop_add_callback(loop, on_add_two, (void *)(uintptr_t) "a"), 0);
  add(loop, "b");
  CHECK(zl_loop_step(loop, 0, NULL) == (2 | ZL_STEP_MORE));
  CHECK(!strcmp(calls, "ab"));
  CHECK_INT(zl_loop_step(loop, 0, NULL), 2);
  CHECK(!strcmp(calls, "abxy"));
  close_loop(loop);
}

/* The ring of callbacks has to grow while it is wrapped round its end. */
static void on_refill(zl_loop *loop, void *arg) {
  int *left = arg;
  for (int i = 0; i < 3 && *left > 0; i++, (*left)--) {
    CHECK_INT(zl_loop_add_callback(loop, on_refill, arg), 0);
  }
  called = called < 200 ? called + 1 : called;
}

static void test_callback_thousands_of_them(void) {
  zl_loop *loop = fresh_loop();
  int left = 100000;
  CHECK_INT(zl_loop_add_callback(loop, on_refill, &left), 0);
  CHECK_INT(zl_loop_run(loop, ZL_RUN_ALIVE), 0);
  CHECK_INT(left, 0);
  CHECK_INT(called, 200);
  close_loop(loop);
}

static void on_timer_letter(zl_timer *timer, uint64_t missed, void *arg) {
  (void)timer;
  (void)missed;
  note(*(const char *)arg);
}

static void on_fd_letter(zl_fd *watch, int events, void *arg) {
  CHECK(events & ZL_READ);
  note(*(const char *)arg);
  zl_fd_close(watch);
}

static void on_last(zl_loop *loop, void *arg) {
  (void)arg;
  note(zl_loop_is_last(loop) ? 'L' : '-');
}

static void on_last_timer(zl_timer *timer, uint64_t missed, void *arg) {
  (void)missed;
  on_last(zl_timer_loop(timer), arg);
}

static void test_callback_knows_that_it_is_the_last(void) {
  zl_loop *loop = fresh_loop();
  zl_timer *timers[2];
  for (int i = 0; i < 2; i++) {
    CHECK_INT(zl_loop_add_callback(loop, on_last, NULL), 0);
    CHECK_INT(zl_timer_new(loop, on_last_timer, NULL, &timers[i]), 0);
    CHECK_INT(zl_timer_start_at(timers[i], 0, 0), 0);
  }
  CHECK_INT(zl_loop_step(loop, 0, NULL), 4);
  CHECK(!strcmp(calls, "---L"));
  CHECK_INT(zl_loop_add_callback(loop, on_last, NULL), 0);
  CHECK_INT(zl_loop_step(loop, 0, NULL), 1);
  CHECK(!strcmp(calls, "---LL"));
  close_loop(loop);
}

static void on_batch(zl_loop *loop, void *arg) {
  note('(');
  do {
    note(*(const char *)arg);
    if (*(const char *)arg == 'b') {
      CHECK_INT(zl_loop_add_callback(loop, on_batch, arg), 0);
    }
  } while (zl_loop_next_callback(loop, on_batch, &arg));
  note(')');
}

static void test_callback_next_takes_those_of_its_function(void) {
  static const char letters[] = "abcde";
  zl_loop *loop = fresh_loop();
  for (int i = 0; i < 5; i++) {
    if (i == 3) {
      add(loop, "+");
    }
    CHECK_INT(
        zl_loop_add_callback(loop, on_batch, (void *)(uintptr_t)&letters[i]),
        0);
  }
  CHECK_INT(zl_loop_step(loop, 0, &(zl_budget){.events = 2}), 2 | ZL_STEP_MORE);
  CHECK(!strcmp(calls, "(ab)"));
  CHECK_INT(zl_loop_step(loop, 0, NULL), 4 | ZL_STEP_MORE);
  CHECK(!strcmp(calls, "(ab)(c)+(de)"));
  CHECK(zl_loop_step(loop, 0, &(zl_budget){.events = 1}) > 0);
  CHECK(!strcmp(calls, "(ab)(c)+(de)(b)"));
  zl_stats stats;
  zl_loop_stats(loop, &stats);
  CHECK_INT(stats.callbacks, 7);
  close_loop(loop);
}

static void test_callback_before_timer_before_descriptor(void) {
  zl_loop *loop = fresh_loop();
  int ends[2];
  zl_fd *watch;
  zl_timer *timer;
  CHECK_INT(pipe(ends), 0);
  CHECK_INT(write(ends[1], "", 1), 1);
  CHECK_INT(zl_fd_new(loop, ends[0], ZL_READ, on_fd_letter,
                      (void *)(uintptr_t) "f", &watch),
            0);
  CHECK_INT(
      zl_timer_new(loop, on_timer_letter, (void *)(uintptr_t) "t", &timer), 0);
  CHECK_INT(zl_timer_start(timer, 0, 0), 0);
  CHECK_INT(zl_loop_post(loop, on_letter, (void *)(uintptr_t) "p", NULL), 0);
  add(loop, "c");
  CHECK_INT(zl_loop_step(loop, 0, NULL), 4);
  CHECK(!strcmp(calls, "ctpf"));
  (void)close(ends[0]);
  (void)close(ends[1]);
  close_loop(loop);
}

static void test_callback_stop_before_run_is_used_up(void) {
  zl_loop *loop = fresh_loop();
  keep_busy(loop);
  add_stop(loop, "a");
  zl_loop_stop(loop);
  CHECK_INT(zl_loop_run(loop, ZL_RUN_FOREVER), 0);
  CHECK(!strcmp(calls, ""));
  CHECK_INT(zl_loop_run(loop, ZL_RUN_FOREVER), 0);
  CHECK(!strcmp(calls, "a"));
  close_loop(loop);
}

static void test_callback_stop_twice_is_stop_once(void) {
  zl_loop *loop = fresh_loop();
  keep_busy(loop);
  zl_loop_stop(loop);
  zl_loop_stop(loop);
  CHECK_INT(zl_loop_run(loop, ZL_RUN_FOREVER), 0);
  add_stop(loop, "a");
  add_stop(loop, "b");
  CHECK_INT(zl_loop_run(loop, ZL_RUN_FOREVER), 0);
  CHECK(!strcmp(calls, "ab"));
  add_stop(loop, "c");
  CHECK_INT(zl_loop_run(loop, ZL_RUN_FOREVER), 0);
  CHECK(!strcmp(calls, "abc"));
  close_loop(loop);
}

static void on_stop_and_add(zl_loop *loop, void *arg) {
  on_stop(loop, arg);
  add(loop, "z");
}

static void test_callback_stop_lets_the_batch_end(void) {
  zl_loop *loop = fresh_loop();
  zl_timer *timer;
  keep_busy(loop);
  CHECK_INT(
      zl_timer_new(loop, on_timer_letter, (void *)(uintptr_t) "t", &timer), 0);
  CHECK_INT(zl_timer_start(timer, 0, 0), 0);
  CHECK_INT(
      zl_loop_add_callback(loop, on_stop_and_add, (void *)(uintptr_t) "a"), 0);
  add(loop, "b");
  CHECK_INT(zl_loop_run(loop, ZL_RUN_FOREVER), 0);
  CHECK(!strcmp(calls, "abt"));
  add_stop(loop, "c");
  CHECK_INT(zl_loop_run(loop, ZL_RUN_FOREVER), 0);
  CHECK(!strcmp(calls, "abtzc"));
  close_loop(loop);
}

static void on_timer_stop(zl_timer *timer, uint64_t missed, void *arg) {
  on_timer_letter(timer, missed, (void *)(uintptr_t) "s");
  zl_loop_stop(arg);
}

static void test_callback_stop_in_a_timer(void) {
  zl_loop *loop = fresh_loop();
  zl_timer *timer;
  keep_busy(loop);
  CHECK_INT(zl_timer_new(loop, on_timer_stop, loop, &timer), 0);
  CHECK_INT(zl_timer_start(timer, 1, 0), 0);
  CHECK_INT(zl_loop_run(loop, ZL_RUN_ALIVE), 0);
  CHECK(!strcmp(calls, "s"));
  CHECK(zl_loop_alive(loop));
  CHECK(!zl_loop_running(loop));
  close_loop(loop);
}

static void on_nested(zl_loop *loop, void *arg) {
  on_letter(loop, arg);
  CHECK(zl_loop_running(loop));
  CHECK_INT(zl_loop_run(loop, ZL_RUN_FOREVER), -EBUSY);
  CHECK_INT(zl_loop_run(loop, ZL_RUN_ALIVE), -EBUSY);
  CHECK_INT(zl_loop_step(loop, 0, NULL), -EBUSY);
  CHECK_INT(zl_loop_close(loop), -EBUSY);
}

static void test_callback_nested_run_is_busy(void) {
  zl_loop *loop = fresh_loop();
  CHECK_INT(zl_loop_add_callback(loop, on_nested, (void *)(uintptr_t) "a"), 0);
  add(loop, "b");
  CHECK(!zl_loop_running(loop));
  CHECK_INT(zl_loop_run(loop, ZL_RUN_ALIVE), 0);
  CHECK(!zl_loop_running(loop));
  CHECK_INT(zl_loop_add_callback(loop, on_nested, (void *)(uintptr_t) "c"), 0);
  CHECK_INT(zl_loop_step(loop, 0, NULL), 1);
  CHECK(!strcmp(calls, "abc"));
  close_loop(loop);
}

static void on_other_loop(zl_loop *loop, void *arg) {
  (void)loop;
  CHECK_INT(zl_loop_run(arg, ZL_RUN_ALIVE), 0);
  note('o');
}

static void test_callback_may_run_another_loop(void) {
  zl_loop *loop = fresh_loop();
  zl_loop *other = new_loop();
  add(other, "a");
  CHECK_INT(zl_loop_add_callback(loop, on_other_loop, other), 0);
  CHECK_INT(zl_loop_run(loop, ZL_RUN_ALIVE), 0);
  CHECK(!strcmp(calls, "ao"));
  close_loop(other);
  close_loop(loop);
}

static void on_break(zl_loop *loop, void *arg) {
  on_letter(loop, arg);
  zl_loop_break(loop);
}

static void test_callback_break_resumes_where_it_was(void) {
  zl_loop *loop = fresh_loop();
  zl_timer *timer;
  CHECK_INT(
      zl_timer_new(loop, on_timer_letter, (void *)(uintptr_t) "t", &timer), 0);
  CHECK_INT(zl_timer_start(timer, 0, 0), 0);
  CHECK_INT(zl_loop_add_callback(loop, on_break, (void *)(uintptr_t) "a"), 0);
  CHECK_INT(zl_loop_add_callback(loop, on_break, (void *)(uintptr_t) "b"), 0);
  add(loop, "c");
  CHECK_INT(zl_loop_run(loop, ZL_RUN_ALIVE), -EINTR);
  CHECK(!strcmp(calls, "a"));
  verify_loop(loop);
  CHECK_INT(zl_loop_step(loop, 0, NULL), -EINTR);
  CHECK(!strcmp(calls, "ab"));
  add(loop, "d");
  CHECK_INT(zl_loop_run(loop, ZL_RUN_ALIVE), 0);
  CHECK(!strcmp(calls, "abctd"));
  close_loop(loop);
}

/* Nothing follows in the iteration but the wait. */
static void test_callback_break_in_the_last_does_not_wait(void) {
  zl_loop *loop = fresh_loop();
  keep_busy(loop);
  CHECK_INT(zl_loop_add_callback(loop, on_break, (void *)(uintptr_t) "a"), 0);
  CHECK_INT(zl_loop_run(loop, ZL_RUN_FOREVER), -EINTR);
  CHECK_INT(zl_loop_add_callback(loop, on_break, (void *)(uintptr_t) "b"), 0);
  CHECK_INT(zl_loop_step(loop, ZL_FOREVER, NULL), -EINTR);
  CHECK_INT(zl_loop_post(loop, on_break, (void *)(uintptr_t) "c", NULL), 0);
  CHECK_INT(zl_loop_run(loop, ZL_RUN_FOREVER), -EINTR);
  CHECK(!strcmp(calls, "abc"));
  CHECK_INT(zl_loop_step(loop, 0, NULL), 0);
  close_loop(loop);
}

static void on_timer_break(zl_timer *timer, uint64_t missed, void *arg) {
  on_timer_letter(timer, missed, (void *)(uintptr_t) "a");
  zl_loop_break(arg);
}

static void test_callback_break_in_a_timer(void) {
  zl_loop *loop = fresh_loop();
  zl_timer *timers[2];
  CHECK_INT(zl_timer_new(loop, on_timer_break, loop, &timers[0]), 0);
  CHECK_INT(
      zl_timer_new(loop, on_timer_letter, (void *)(uintptr_t) "b", &timers[1]),
      0);
  CHECK_INT(zl_timer_start(timers[0], 0, 0), 0);
  CHECK_INT(zl_timer_start(timers[1], 0, 0), 0);
  CHECK_INT(zl_loop_run(loop, ZL_RUN_ALIVE), -EINTR);
  CHECK(!strcmp(calls, "a"));
  CHECK_INT(zl_loop_run(loop, ZL_RUN_ALIVE), 0);
  CHECK(!strcmp(calls, "ab"));
  close_loop(loop);
}

static void test_callback_forgotten_when_the_loop_closes(void) {
  zl_loop *loop = fresh_loop();
  add(loop, "a");
  close_loop(loop);
  CHECK(!strcmp(calls, ""));
}

static void test_callback_run_of_an_empty_loop(void) {
  zl_loop *loop = fresh_loop();
  CHECK_INT(zl_loop_run(loop, ZL_RUN_ALIVE), 0);
  CHECK_INT(zl_loop_run(loop, ZL_RUN_ALIVE), 0);
  CHECK_INT(zl_loop_step(loop, 0, NULL), 0);
  close_loop(loop);
  CHECK_INT(zl_loop_close(NULL), 0);
}

static void test_callback_configuration_is_checked(void) {
  zl_loop *loop = (zl_loop *)&calls;
  zl_config config = {.size = 3};
  CHECK_INT(zl_loop_new(&config, &loop), -EINVAL);
  CHECK(!loop);
  config = (zl_config){.size = sizeof config, .backend = 99};
  loop = (zl_loop *)&calls;
  CHECK_INT(zl_loop_new(&config, &loop), -EINVAL);
  CHECK(!loop);
  config = (zl_config){.size = sizeof config, .backend = ZL_BACKEND_POLL};
  CHECK_INT(zl_loop_new(&config, &loop), 0);
  CHECK(!strcmp(zl_loop_backend(loop), "poll"));
  close_loop(loop);
}

static void test_callback_errors_have_text_and_name(void) {
  CHECK(!strcmp(zl_errname(-EADDRINUSE), "EADDRINUSE"));
  CHECK(!strcmp(zl_strerror(-EADDRINUSE), "address already in use"));
  CHECK(!strcmp(zl_errname(-ETERM), "ETERM"));
  CHECK(!strcmp(zl_errname(-EFSM), "EFSM"));
  CHECK(!strcmp(zl_errname(-987654), "EUNKNOWN"));
  CHECK(zl_strerror(-987654));
  CHECK(zl_strerror(0) && zl_errname(0));
}

enum { DESCRIPTORS = 64 }; /* more than the process has open */

/* Notes which descriptors are open; returns how many were not before. */
static int opened(bool *open, int *fresh) {
  int count = 0;
  for (int fd = 0; fd < DESCRIPTORS; fd++) {
    bool is_open = fcntl(fd, F_GETFD) >= 0;
    if (is_open && !open[fd]) {
      fresh[count] = fd;
      count++;
    }
    open[fd] = is_open;
  }
  return count;
}

static void test_callback_descriptors_close_on_exec(void) {
  static const int backends[] = {ZL_BACKEND_DEFAULT, ZL_BACKEND_POLL};
  for (int b = 0; b < 2; b++) {
    zl_config config = {.size = sizeof config, .backend = backends[b]};
    bool open[DESCRIPTORS] = {false};
    int fresh[DESCRIPTORS];
    zl_loop *loop;
    (void)opened(open, fresh);
    CHECK_INT(zl_loop_new(&config, &loop), 0);
    int count = opened(open, fresh);
    CHECK(count > 0);
    for (int i = 0; i < count; i++) {
      CHECK(fcntl(fresh[i], F_GETFD) & FD_CLOEXEC);
    }
    close_loop(loop);
    for (int i = 0; i < count; i++) {
      CHECK(fcntl(fresh[i], F_GETFD) < 0);
    }
  }
}

/* However many descriptors are left, the loop keeps them or gives them back. */
static void test_callback_no_descriptors_left(void) {
  struct rlimit old;
  zl_loop *loop = NULL;
  int used[DESCRIPTORS];
  int count = 0;
  CHECK_INT(getrlimit(RLIMIT_NOFILE, &old), 0);
  struct rlimit few = {DESCRIPTORS, old.rlim_max};
  CHECK_INT(setrlimit(RLIMIT_NOFILE, &few), 0);
  int fd;
  while ((fd = dup(STDOUT_FILENO)) >= 0) {
    CHECK(count < DESCRIPTORS);
    used[count] = fd;
    count++;
  }
  int rc = -EMFILE;
  while (rc < 0) { /* one more each time */
    CHECK_INT(zl_loop_new(NULL, &loop), -EMFILE);
    CHECK(!loop);
    CHECK(count > 0);
    count--;
    (void)close(used[count]);
    rc = zl_loop_new(NULL, &loop);
    CHECK(rc == 0 || rc == -EMFILE);
  }
  CHECK_INT(setrlimit(RLIMIT_NOFILE, &old), 0);
  while (count > 0) {
    count--;
    (void)close(used[count]);
  }
  CHECK_INT(zl_loop_step(loop, 0, NULL), 0);
  close_loop(loop);
}

/* ---- what is alive, and what stays of a burst --------------------------- */

static void on_fd(zl_fd *watch, int events, void *arg) {
  (void)watch;
  (void)events;
  (void)arg;
}

static void on_socket(zl_socket *watch, int events, void *arg) {
  (void)watch;
  (void)events;
  (void)arg;
}

static void on_recv(zl_stream *stream, void *arg) {
  (void)stream;
  (void)arg;
}

static void check_alive(const zl_loop *loop, bool alive) {
  verify_loop(loop);
  CHECK_INT(zl_loop_alive(loop), alive);
  CHECK_INT(zl_loop_alive(loop), alive);
}

/* Handles that become active again after the loop was found idle. */
static void test_callback_alive_follows_the_handles(void) {
  int ends[2];
  zl_fd *fd;
  zl_socket *watch;
  zl_stream *stream;
  zl_loop *loop = fresh_loop();
  void *context = zmq_ctx_new();
  void *pull = zmq_socket(context, ZMQ_PULL);
  void *push = zmq_socket(context, ZMQ_PUSH);
  CHECK_INT(pipe(ends), 0);
  check_alive(loop, false);
  CHECK_INT(zl_fd_new(loop, ends[0], 0, on_fd, NULL, &fd), 0);
  check_alive(loop, false);
  CHECK_INT(zl_fd_update(fd, ZL_READ), 0);
  check_alive(loop, true);
  CHECK_INT(zl_fd_update(fd, 0), 0);
  check_alive(loop, false);
  CHECK_INT(zl_socket_new(loop, pull, 0, 0, on_socket, NULL, &watch), 0);
  check_alive(loop, false);
  CHECK_INT(zl_socket_update(watch, ZL_READ), 0);
  check_alive(loop, true);
  zl_socket_close(watch);
  check_alive(loop, false);
  CHECK_INT(zl_stream_new(loop, push, 0, &stream), 0);
  check_alive(loop, false);
  CHECK_INT(zl_stream_send(stream, &(zl_frame){"x", 1}, 1, 0), ZL_QUEUED);
  check_alive(loop, true);
  zl_stream_close(stream);
  check_alive(loop, false);
  CHECK_INT(zl_stream_new(loop, pull, 0, &stream), 0);
  zl_stream_on_recv(stream, on_recv, NULL);
  check_alive(loop, true);
  zl_stream_on_recv(stream, NULL, NULL);
  check_alive(loop, false);
  CHECK_INT(zl_stream_drain(stream, ZL_FOREVER, on_recv, NULL), 0);
  check_alive(loop, true);
  CHECK(zl_loop_step(loop, 0, NULL) >= 0);
  check_alive(loop, false);
  close_loop(loop);
  (void)close(ends[0]);
  (void)close(ends[1]);
  CHECK_INT(zmq_close(pull), 0);
  CHECK_INT(zmq_close(push), 0);
  CHECK_INT(zmq_ctx_term(context), 0);
}

static void on_count(zl_loop *loop, void *arg) {
  (void)loop;
  ++*(int *)arg;
}

static void test_callback_queue_gets_smaller_after_a_burst(void) {
  enum { COUNT = 100000 };
  test_alloc memory = {0};
  zl_config config = {
      .size = sizeof config, .alloc = test_alloc_fn, .alloc_ud = &memory};
  zl_loop *loop;
  int count = 0;
  CHECK_INT(zl_loop_new(&config, &loop), 0);
  for (int i = 0; i < COUNT; i++) {
    CHECK_INT(zl_loop_add_callback(loop, on_count, &count), 0);
  }
  size_t most = memory.bytes;
  CHECK_INT(zl_loop_step(loop, 0, NULL), COUNT);
  CHECK(memory.bytes < most / 100);
  long requests = memory.requests;
  for (int i = 0; i < 1000; i++) { /* and does not go up and down after it */
    for (int k = 0; k < 30; k++) {
      CHECK_INT(zl_loop_add_callback(loop, on_count, &count), 0);
    }
    CHECK_INT(zl_loop_step(loop, 0, NULL), 30);
  }
  CHECK_INT(memory.requests, requests);
  CHECK_INT(count, COUNT + 30000);
  close_loop(loop);
  CHECK_INT(memory.bytes, 0);
}

static const zl_test tests[] = {
    TEST(test_callback_first_in_first_out),
    TEST(test_callback_added_inside_waits_for_the_next_iteration),
    TEST(test_callback_thousands_of_them),
    TEST(test_callback_knows_that_it_is_the_last),
    TEST(test_callback_next_takes_those_of_its_function),
    TEST(test_callback_before_timer_before_descriptor),
    TEST(test_callback_stop_before_run_is_used_up),
    TEST(test_callback_stop_twice_is_stop_once),
    TEST(test_callback_stop_lets_the_batch_end),
    TEST(test_callback_stop_in_a_timer),
    TEST(test_callback_nested_run_is_busy),
    TEST(test_callback_may_run_another_loop),
    TEST(test_callback_break_resumes_where_it_was),
    TEST(test_callback_break_in_the_last_does_not_wait),
    TEST(test_callback_break_in_a_timer),
    TEST(test_callback_forgotten_when_the_loop_closes),
    TEST(test_callback_run_of_an_empty_loop),
    TEST(test_callback_configuration_is_checked),
    TEST(test_callback_errors_have_text_and_name),
    TEST(test_callback_descriptors_close_on_exec),
    TEST(test_callback_no_descriptors_left),
    TEST(test_callback_alive_follows_the_handles),
    TEST(test_callback_queue_gets_smaller_after_a_burst),
};

TEST_MAIN(tests)
