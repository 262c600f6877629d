/* test_blocked.c - a loop that does not reach its wait.
 * SPDX-License-Identifier: MIT
 *
 * The callbacks here work until they have been reported, so that no test
 * depends on the speed of the machine; nothing is checked that a stall could
 * change.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "support/alloc.h"
#include "support/clock.h"
#include "test.h"
#include "zmqloop_blocked.h"

#define THRESHOLD (20 * MILLISECONDS)

/* Time enough for anything that must happen. */
#define LONG_TIME (20 * SECONDS)

typedef struct guard {
  volatile sig_atomic_t calls;
  volatile sig_atomic_t on_the_thread;
  pthread_t thread;
  int worked; /* callbacks that have come to their end */
} guard;

static int64_t now_ns(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * SECONDS + now.tv_nsec;
}

static void on_blocked(zl_loop *loop, void *arg) {
  guard *it = arg;
  (void)loop;
  it->calls++;
  it->on_the_thread = pthread_equal(pthread_self(), it->thread) != 0;
}

static guard new_guard(void) {
  return (guard){.thread = pthread_self()};
}

static void watch(zl_loop *loop, guard *it) {
  CHECK_INT(zl_loop_watch_blocking(loop, THRESHOLD, 0, on_blocked, it), 0);
}

static void unwatch(zl_loop *loop) {
  CHECK_INT(zl_loop_watch_blocking(loop, 0, 0, NULL, NULL), 0);
}

static void work_for(int64_t time_ns) {
  int64_t end = now_ns() + time_ns;
  while (now_ns() < end) {
  }
}

/* Works until it has been reported this often. */
static void work_until_told(const guard *it, int calls) {
  int64_t end = now_ns() + LONG_TIME;
  while (it->calls < calls && now_ns() < end) {
  }
  CHECK_INT(it->calls, calls);
}

/* Works until it is reported once more. */
static void on_work(zl_loop *loop, void *arg) {
  guard *it = arg;
  (void)loop;
  work_until_told(it, it->calls + 1);
  it->worked++;
}

static void on_timer_work(zl_timer *timer, uint64_t missed, void *arg) {
  (void)timer;
  (void)missed;
  on_work(NULL, arg);
}

static void add(zl_loop *loop, zl_callback_fn fn, void *arg) {
  CHECK_INT(zl_loop_add_callback(loop, fn, arg), 0);
}

static void run(zl_loop *loop) {
  CHECK_INT(zl_loop_run(loop, ZL_RUN_ALIVE), 0);
}

/* ---- what is reported --------------------------------------------------- */

static void test_blocked_first_iteration_is_told_on_the_thread(void) {
  zl_loop *loop = new_loop();
  guard it = new_guard();
  watch(loop, &it);
  add(loop, on_work, &it);
  run(loop);
  CHECK_INT(it.calls, 1);
  CHECK(it.on_the_thread);
  close_loop(loop);
}

static void test_blocked_timer_and_post_are_told(void) {
  zl_loop *loop = new_loop();
  guard it = new_guard();
  zl_timer *timer;
  watch(loop, &it);
  CHECK_INT(zl_timer_new(loop, on_timer_work, &it, &timer), 0);
  CHECK_INT(zl_timer_start(timer, MILLISECONDS, 0), 0);
  run(loop);
  CHECK_INT(zl_loop_post(loop, on_work, &it, NULL), 0);
  run(loop);
  CHECK_INT(it.calls, 2);
  close_loop(loop);
}

static void test_blocked_step_is_told(void) {
  virtual_clock clock = {0};
  zl_loop *loop = virtual_loop(&clock);
  guard it = new_guard();
  watch(loop, &it);
  add(loop, on_work, &it);
  CHECK(zl_loop_step(loop, 0, NULL) >= 0);
  CHECK_INT(it.calls, 1);
  close_loop(loop);
}

/* Is reported, then works for three more thresholds. */
static void on_work_on(zl_loop *loop, void *arg) {
  on_work(loop, arg);
  work_for(3 * THRESHOLD);
}

static void test_blocked_stretch_is_told_once(void) {
  zl_loop *loop = new_loop();
  guard it = new_guard();
  watch(loop, &it);
  add(loop, on_work_on, &it);
  run(loop);
  CHECK_INT(it.calls, 1);
  add(loop, on_work_on, &it);
  run(loop);
  CHECK_INT(it.calls, 2);
  close_loop(loop);
}

static void on_work_twice(zl_loop *loop, void *arg) {
  on_work(loop, arg);
  zl_loop_not_blocked(loop);
  on_work(loop, arg);
}

static void test_blocked_stretch_can_be_begun_anew(void) {
  zl_loop *loop = new_loop();
  guard it = new_guard();
  watch(loop, &it);
  add(loop, on_work_twice, &it);
  run(loop);
  CHECK_INT(it.calls, 2);
  close_loop(loop);
}

static void on_watch_and_work(zl_loop *loop, void *arg) {
  watch(loop, arg);
  on_work(loop, arg);
}

static void test_blocked_watch_begins_in_a_callback(void) {
  zl_loop *loop = new_loop();
  guard it = new_guard();
  add(loop, on_watch_and_work, &it);
  run(loop);
  CHECK_INT(it.calls, 1);
  close_loop(loop);
}

/* ---- what is not -------------------------------------------------------- */

static void on_timer_count(zl_timer *timer, uint64_t missed, void *arg) {
  (void)timer;
  (void)missed;
  ++*(int *)arg;
}

/* Several thresholds, all of them in the wait or outside the loop. */
static void test_blocked_waiting_is_no_work(void) {
  zl_loop *loop = new_loop();
  guard it = new_guard();
  zl_timer *timer;
  int fired = 0;
  CHECK_INT(zl_loop_watch_blocking(loop, SECONDS / 4, 0, on_blocked, &it), 0);
  CHECK_INT(zl_timer_new(loop, on_timer_count, &fired, &timer), 0);
  CHECK_INT(zl_timer_start(timer, SECONDS, 0), 0);
  run(loop);
  CHECK_INT(fired, 1);
  work_for(SECONDS / 2);
  CHECK_INT(it.calls, 0);
  close_loop(loop);
}

typedef struct chain {
  int left;
  int64_t last;
  int long_ones; /* links that took as long as the threshold: a stall */
} chain;

#define CHAIN_THRESHOLD (100 * MILLISECONDS)

static void on_link(zl_loop *loop, void *arg) {
  chain *it = arg;
  int64_t now = now_ns();
  it->long_ones += now - it->last >= CHAIN_THRESHOLD ? 1 : 0;
  it->last = now;
  work_for(MILLISECONDS / 2);
  if (--it->left > 0) {
    add(loop, on_link, it);
  }
}

static void test_blocked_short_iterations_are_not_told(void) {
  zl_loop *loop = new_loop();
  guard it = new_guard();
  chain links = {.left = 1000, .last = now_ns()};
  CHECK_INT(zl_loop_watch_blocking(loop, CHAIN_THRESHOLD, 0, on_blocked, &it),
            0);
  add(loop, on_link, &links);
  run(loop);
  CHECK_INT(links.left, 0);
  CHECK(it.calls <= links.long_ones);
  close_loop(loop);
}

static void on_unwatch_and_work(zl_loop *loop, void *arg) {
  guard *it = arg;
  unwatch(loop);
  work_for(3 * THRESHOLD);
  it->worked++;
}

static void test_blocked_ended_watch_tells_nothing(void) {
  zl_loop *loop = new_loop();
  guard it = new_guard();
  watch(loop, &it);
  add(loop, on_unwatch_and_work, &it);
  run(loop);
  CHECK_INT(it.worked, 1);
  CHECK_INT(it.calls, 0);
  CHECK_INT(zl_loop_blocking_signal(loop), 0);
  close_loop(loop);
}

/* A stray signal, such as one that arrives late. */
static void on_stray_signal(zl_loop *loop, void *arg) {
  const guard *it = arg;
  CHECK_INT(raise(zl_loop_blocking_signal(loop)), 0);
  CHECK_INT(it->calls, 0);
}

static void test_blocked_stray_signal_is_nothing(void) {
  zl_loop *loop = new_loop();
  zl_loop *closed = new_loop();
  guard it = new_guard();
  guard other = new_guard();
  CHECK_INT(zl_loop_watch_blocking(loop, LONG_TIME, 0, on_blocked, &it), 0);
  CHECK_INT(zl_loop_watch_blocking(closed, LONG_TIME, 0, on_blocked, &other),
            0);
  int signum = zl_loop_blocking_signal(loop);
  close_loop(closed);
  add(loop, on_stray_signal, &it);
  CHECK_INT(raise(signum), 0);
  run(loop);
  CHECK_INT(raise(signum), 0);
  CHECK_INT(it.calls + other.calls, 0);
  close_loop(loop);
}

/* ---- several, and changes ----------------------------------------------- */

static void test_blocked_replaced_watch_is_the_last_one(void) {
  zl_loop *loop = new_loop();
  guard before = new_guard();
  guard after = new_guard();
  watch(loop, &before);
  CHECK_INT(
      zl_loop_watch_blocking(loop, THRESHOLD, SIGUSR1, on_blocked, &after), 0);
  CHECK_INT(zl_loop_blocking_signal(loop), SIGUSR1);
  add(loop, on_work, &after);
  run(loop);
  CHECK_INT(before.calls, 0);
  CHECK_INT(after.calls, 1);
  close_loop(loop);
}

typedef struct nested {
  zl_loop *inner;
  guard it; /* of the inner one */
  guard outer;
} nested;

static void on_work_for_both(zl_loop *loop, void *arg) {
  const nested *both = arg;
  (void)loop;
  work_until_told(&both->it, 1);
  work_until_told(&both->outer, 1);
}

static void on_run_inner(zl_loop *loop, void *arg) {
  nested *both = arg;
  (void)loop;
  run(both->inner);
}

/* The outer loop is as blocked as the inner one. */
static void test_blocked_two_loops_on_one_thread(void) {
  zl_loop *loop = new_loop();
  nested both = {.inner = new_loop(), .it = new_guard(), .outer = new_guard()};
  watch(loop, &both.outer);
  watch(both.inner, &both.it);
  add(both.inner, on_work_for_both, &both);
  add(loop, on_run_inner, &both);
  run(loop);
  CHECK_INT(both.it.calls, 1);
  CHECK_INT(both.outer.calls, 1);
  close_loop(both.inner);
  close_loop(loop);
}

static void *run_on_thread(void *arg) {
  guard *it = arg;
  zl_loop *loop;
  sigset_t all;
  it->thread = pthread_self();
  (void)sigfillset(&all);
  (void)pthread_sigmask(SIG_SETMASK, &all, NULL);
  CHECK_INT(zl_loop_new(NULL, &loop), 0);
  watch(loop, it);
  add(loop, on_work, it);
  run(loop);
  close_loop(loop);
  return NULL;
}

/* Each is notified on its own thread, although hosts block signals in
 * theirs. */
static void test_blocked_loops_on_two_threads(void) {
  enum { THREADS = 2 };
  pthread_t threads[THREADS];
  guard guards[THREADS];
  for (int i = 0; i < THREADS; i++) {
    guards[i] = new_guard();
    CHECK_INT(pthread_create(&threads[i], NULL, run_on_thread, &guards[i]), 0);
  }
  for (int i = 0; i < THREADS; i++) {
    CHECK_INT(pthread_join(threads[i], NULL), 0);
    CHECK_INT(guards[i].calls, 1);
    CHECK(guards[i].on_the_thread);
  }
}

/* ---- dispositions ------------------------------------------------------- */

static volatile sig_atomic_t former_calls;

static void on_former(int signum) {
  (void)signum;
  former_calls++;
}

static void handle_before(int signum) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_former;
  CHECK_INT(sigaction(signum, &action, NULL), 0);
}

static bool handled_by_former(int signum) {
  struct sigaction action;
  CHECK_INT(sigaction(signum, NULL, &action), 0);
  return action.sa_handler == on_former;
}

static void test_blocked_former_disposition_comes_back_with_the_last(void) {
  zl_loop *one = new_loop();
  zl_loop *two = new_loop();
  guard it = new_guard();
  handle_before(SIGUSR1);
  CHECK_INT(zl_loop_watch_blocking(one, THRESHOLD, SIGUSR1, on_blocked, &it),
            0);
  CHECK_INT(zl_loop_watch_blocking(two, THRESHOLD, SIGUSR1, on_blocked, &it),
            0);
  CHECK_INT(zl_loop_watch_blocking(two, THRESHOLD, SIGUSR1, on_blocked, &it),
            0);
  CHECK(!handled_by_former(SIGUSR1));
  unwatch(one);
  CHECK(!handled_by_former(SIGUSR1));
  close_loop(two);
  CHECK(handled_by_former(SIGUSR1));
  CHECK_INT(signal(SIGUSR1, SIG_DFL) == SIG_ERR, 0);
  close_loop(one);
}

static void test_blocked_later_handler_is_left_alone(void) {
  zl_loop *loop = new_loop();
  guard it = new_guard();
  CHECK_INT(zl_loop_watch_blocking(loop, THRESHOLD, SIGUSR1, on_blocked, &it),
            0);
  handle_before(SIGUSR1);
  close_loop(loop);
  CHECK(handled_by_former(SIGUSR1));
  CHECK_INT(signal(SIGUSR1, SIG_DFL) == SIG_ERR, 0);
}

typedef struct race {
  guard it;
  int64_t work_ns;
} race;

static void on_work_and_unwatch(zl_loop *loop, void *arg) {
  const race *now = arg;
  work_for(now->work_ns);
  unwatch(loop);
}

/* The watch ends at about the time the signal is sent: if the signal arrived
 * later it would meet the default disposition, which ends the process. */
static void test_blocked_end_of_a_watch_meets_its_signal(void) {
  zl_loop *loop = new_loop();
  race now = {.it = new_guard()};
  for (int i = 0; i < 100; i++) {
    now.work_ns = 4 * MILLISECONDS + i * MILLISECONDS / 50;
    CHECK_INT(
        zl_loop_watch_blocking(loop, 4 * MILLISECONDS, 0, on_blocked, &now.it),
        0);
    add(loop, on_work_and_unwatch, &now);
    run(loop);
  }
  close_loop(loop);
}

static void on_block_signal_and_work(zl_loop *loop, void *arg) {
  sigset_t set;
  sigset_t pending;
  int signum = zl_loop_blocking_signal(loop);
  int64_t end = now_ns() + LONG_TIME;
  (void)sigemptyset(&set);
  (void)sigaddset(&set, signum);
  CHECK_INT(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
  do {
    CHECK_INT(sigpending(&pending), 0);
  } while (!sigismember(&pending, signum) && now_ns() < end);
  unwatch(loop);
  CHECK_INT(pthread_sigmask(SIG_UNBLOCK, &set, NULL), 0);
  ((guard *)arg)->worked++;
}

/* The same, deterministically: the signal is held back until the watch has
 * ended. */
static void test_blocked_pending_signal_ends_with_its_watch(void) {
  zl_loop *loop = new_loop();
  guard it = new_guard();
  watch(loop, &it);
  add(loop, on_block_signal_and_work, &it);
  run(loop);
  CHECK_INT(it.worked, 1);
  close_loop(loop);
}

/* ---- failures ----------------------------------------------------------- */

static void test_blocked_misuse_is_told(void) {
  zl_loop *loop = new_loop();
  guard it = new_guard();
  CHECK_INT(zl_loop_watch_blocking(loop, -1, 0, on_blocked, &it), -EINVAL);
  CHECK_INT(zl_loop_watch_blocking(loop, 1, 0, NULL, NULL), -EINVAL);
  CHECK_INT(zl_loop_watch_blocking(loop, 1, -1, on_blocked, &it), -EINVAL);
  CHECK_INT(zl_loop_watch_blocking(loop, 1, SIGKILL, on_blocked, &it), -EINVAL);
  CHECK_INT(zl_loop_watch_blocking(loop, 1, 100000, on_blocked, &it), -EINVAL);
  CHECK_INT(zl_loop_blocking_signal(loop), 0);
  close_loop(loop);
}

static void test_blocked_without_memory_the_former_goes_on(void) {
  test_alloc memory = {0};
  zl_config config = {
      .size = sizeof config, .alloc = test_alloc_fn, .alloc_ud = &memory};
  zl_loop *loop;
  guard it = new_guard();
  CHECK_INT(zl_loop_new(&config, &loop), 0);
  watch(loop, &it);
  memory.fail_from = memory.requests + 1;
  memory.fail_count = 1;
  CHECK_INT(zl_loop_watch_blocking(loop, LONG_TIME, SIGUSR1, on_blocked, NULL),
            -ENOMEM);
  CHECK_INT(memory.failed, 1);
  add(loop, on_work, &it);
  run(loop);
  CHECK_INT(it.calls, 1);
  close_loop(loop);
  CHECK_INT(memory.blocks, 0);
}

#ifdef __GLIBC__
static void test_blocked_without_a_thread_is_eagain(void) {
  pthread_attr_t former;
  pthread_attr_t huge;
  zl_loop *loop = new_loop();
  guard it = new_guard();
  handle_before(SIGUSR1);
  CHECK_INT(pthread_getattr_default_np(&former), 0);
  CHECK_INT(pthread_attr_init(&huge), 0);
  CHECK_INT(pthread_attr_setstacksize(&huge, SIZE_MAX / 4 * 3), 0);
  CHECK_INT(pthread_setattr_default_np(&huge), 0);
  int rc = zl_loop_watch_blocking(loop, THRESHOLD, SIGUSR1, on_blocked, &it);
  CHECK_INT(pthread_setattr_default_np(&former), 0);
  (void)pthread_attr_destroy(&former);
  (void)pthread_attr_destroy(&huge);
  CHECK_INT(rc, -EAGAIN);
  CHECK(handled_by_former(SIGUSR1));
  CHECK_INT(signal(SIGUSR1, SIG_DFL) == SIG_ERR, 0);
  CHECK_INT(zl_loop_blocking_signal(loop), 0);
  watch(loop, &it);
  close_loop(loop);
}
#endif

static void test_blocked_too_many_loops_are_eagain(void) {
  enum { MOST = 64 };
  zl_loop *loops[MOST + 1];
  guard it = new_guard();
  for (int i = 0; i <= MOST; i++) {
    loops[i] = new_loop();
    int rc = zl_loop_watch_blocking(loops[i], LONG_TIME, 0, on_blocked, &it);
    CHECK_INT(rc, i < MOST ? 0 : -EAGAIN);
  }
  close_loop(loops[0]);
  watch(loops[MOST], &it);
  for (int i = 1; i <= MOST; i++) {
    close_loop(loops[i]);
  }
}

/* ---- fork --------------------------------------------------------------- */

static int child_status(zl_loop *loop, zl_loop *idle) {
  guard it = new_guard();
  int signum = zl_loop_blocking_signal(loop);
  if (zl_loop_watch_blocking(idle, THRESHOLD, 0, on_blocked, &it) != -ECHILD) {
    return 1;
  }
  if (zl_loop_close(loop) != 0 || zl_loop_close(idle) != 0) {
    return 2;
  }
  if (raise(signum) != 0) {
    return 3;
  }
  zl_loop *own;
  if (zl_loop_new(NULL, &own) != 0) {
    return 4;
  }
  watch(own, &it);
  add(own, on_work, &it);
  run(own);
  return zl_loop_close(own) == 0 && it.calls == 1 ? 0 : 5;
}

static void test_blocked_forked_child_has_no_watchdog(void) {
  zl_loop *loop = new_loop();
  zl_loop *idle = new_loop();
  guard it = new_guard();
  int status;
  watch(loop, &it);
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    test_watchdog(20);
    _exit(child_status(loop, idle));
  }
  CHECK(waitpid(child, &status, 0) == child);
  CHECK_INT(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
  add(loop, on_work, &it);
  run(loop);
  CHECK_INT(it.calls, 1);
  close_loop(loop);
  close_loop(idle);
}

static const zl_test tests[] = {
    TEST(test_blocked_first_iteration_is_told_on_the_thread),
    TEST(test_blocked_timer_and_post_are_told),
    TEST(test_blocked_step_is_told),
    TEST(test_blocked_stretch_is_told_once),
    TEST(test_blocked_stretch_can_be_begun_anew),
    TEST(test_blocked_watch_begins_in_a_callback),
    TEST(test_blocked_waiting_is_no_work),
    TEST(test_blocked_short_iterations_are_not_told),
    TEST(test_blocked_ended_watch_tells_nothing),
    TEST(test_blocked_stray_signal_is_nothing),
    TEST(test_blocked_replaced_watch_is_the_last_one),
    TEST(test_blocked_two_loops_on_one_thread),
    TEST(test_blocked_loops_on_two_threads),
    TEST(test_blocked_former_disposition_comes_back_with_the_last),
    TEST(test_blocked_later_handler_is_left_alone),
    TEST(test_blocked_end_of_a_watch_meets_its_signal),
    TEST(test_blocked_pending_signal_ends_with_its_watch),
    TEST(test_blocked_misuse_is_told),
    TEST(test_blocked_without_memory_the_former_goes_on),
#ifdef __GLIBC__
    TEST(test_blocked_without_a_thread_is_eagain),
#endif
    TEST(test_blocked_too_many_loops_are_eagain),
    TEST(test_blocked_forked_child_has_no_watchdog),
};

TEST_MAIN(tests)
