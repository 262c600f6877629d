/* test_signal.c - signals as events of a loop.
 * SPDX-License-Identifier: MIT
 *
 * raise() has run the handler when it returns, so that counts are exact.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/loop.h"
#include "support/clock.h"
#include "test.h"

static void rest(long nanoseconds) {
  struct timespec t = {0, nanoseconds};
  (void)nanosleep(&t, NULL);
}

/* ---- dispositions ------------------------------------------------------- */

static atomic_int former_calls;

static void former_plain(int number) {
  (void)number;
  former_calls++;
}

static void former_info(int number, siginfo_t *info, void *context) {
  if (info->si_signo == number && context) {
    former_calls++;
  }
}

static void set_plain(int number, void (*handler)(int)) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = handler;
  (void)sigemptyset(&action.sa_mask);
  CHECK_INT(sigaction(number, &action, NULL), 0);
  former_calls = 0;
}

static void set_info(int number) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = former_info;
  action.sa_flags = SA_SIGINFO;
  (void)sigemptyset(&action.sa_mask);
  CHECK_INT(sigaction(number, &action, NULL), 0);
  former_calls = 0;
}

static void (*handler_of(int number))(int) {
  struct sigaction action;
  CHECK_INT(sigaction(number, NULL, &action), 0);
  return action.sa_handler;
}

/* ---- watches ------------------------------------------------------------ */

typedef struct note {
  int calls;
  unsigned total;
  int number;
  zl_signal *closes; /* in its callback */
} note;

static void on_note(zl_signal *watch, int number, unsigned count, void *arg) {
  note *n = arg;
  (void)watch;
  CHECK(count > 0);
  n->calls++;
  n->total += count;
  n->number = number;
  zl_signal_close(n->closes);
  n->closes = NULL;
}

static zl_signal *watch_signal(zl_loop *loop, int number, note *n) {
  zl_signal *watch;
  memset(n, 0, sizeof *n);
  CHECK_INT(zl_signal_new(loop, number, on_note, n, 0, &watch), 0);
  return watch;
}

static void test_signal_is_delivered_once_with_the_count(void) {
  zl_loop *loop = new_loop();
  note n;
  (void)watch_signal(loop, SIGUSR1, &n);
  CHECK_INT(zl_loop_step(loop, 0, NULL), 0);
  for (int i = 0; i < 3; i++) {
    CHECK_INT(raise(SIGUSR1), 0);
  }
  CHECK_INT(n.calls, 0);
  CHECK_INT(zl_loop_step(loop, ZL_FOREVER, NULL), 1);
  CHECK_INT(n.calls, 1);
  CHECK_INT(n.total, 3);
  CHECK_INT(n.number, SIGUSR1);
  CHECK_INT(raise(SIGUSR1), 0);
  CHECK_INT(zl_loop_step(loop, 0, NULL), 1);
  CHECK_INT(n.total, 4);
  close_loop(loop);
}

/* What woke one wait does not end the next one. */
static void test_signal_ends_one_wait_only(void) {
  static const int backends[] = {ZL_BACKEND_DEFAULT, ZL_BACKEND_POLL};
  for (int b = 0; b < 2; b++) {
    zl_config config = {.size = sizeof config, .backend = backends[b]};
    zl_loop *loop;
    note n;
    CHECK_INT(zl_loop_new(&config, &loop), 0);
    (void)watch_signal(loop, SIGUSR1, &n);
    CHECK_INT(raise(SIGUSR1), 0);
    CHECK_INT(zl_loop_step(loop, ZL_FOREVER, NULL), 1);
    int64_t start = zl_loop_time_ns(loop);
    CHECK_INT(zl_loop_step(loop, 2 * MILLISECONDS, NULL), 0);
    CHECK(zl_loop_time_ns(loop) - start >= 2 * MILLISECONDS);
    close_loop(loop);
  }
}

static void *kill_soon(void *arg) {
  (void)arg;
  rest(2000000);
  CHECK_INT(kill(getpid(), SIGUSR1), 0);
  return NULL;
}

static void test_signal_wakes_a_loop_that_waits(void) {
  static const int backends[] = {ZL_BACKEND_DEFAULT, ZL_BACKEND_POLL};
  for (int b = 0; b < 2; b++) {
    zl_config config = {.size = sizeof config, .backend = backends[b]};
    zl_loop *loop;
    pthread_t thread;
    note n;
    CHECK_INT(zl_loop_new(&config, &loop), 0);
    (void)watch_signal(loop, SIGUSR1, &n);
    CHECK_INT(pthread_create(&thread, NULL, kill_soon, NULL), 0);
    CHECK_INT(zl_loop_step(loop, ZL_FOREVER, NULL), 1);
    CHECK_INT(n.total, 1);
    CHECK_INT(pthread_join(thread, NULL), 0);
    close_loop(loop);
  }
}

static void test_signal_watch_keeps_the_loop_alive_until_closed(void) {
  zl_loop *loop = new_loop();
  note n;
  CHECK(!zl_loop_alive(loop));
  zl_signal *watch = watch_signal(loop, SIGUSR1, &n);
  CHECK(zl_loop_alive(loop));
  n.closes = watch; /* in its own callback */
  CHECK_INT(raise(SIGUSR1), 0);
  CHECK_INT(zl_loop_run(loop, ZL_RUN_ALIVE), 0);
  CHECK_INT(n.calls, 1);
  CHECK(!zl_loop_alive(loop));
  close_loop(loop);
}

static void test_signal_reaches_all_watches(void) {
  zl_loop *a = new_loop();
  zl_loop *b = new_loop();
  note notes[4];
  (void)watch_signal(a, SIGUSR1, &notes[0]);
  (void)watch_signal(a, SIGUSR1, &notes[1]);
  (void)watch_signal(b, SIGUSR1, &notes[2]);
  (void)watch_signal(b, SIGUSR2, &notes[3]);
  CHECK_INT(raise(SIGUSR1), 0);
  CHECK_INT(raise(SIGUSR1), 0);
  CHECK_INT(zl_loop_step(a, 0, NULL), 2);
  CHECK_INT(zl_loop_step(b, 0, NULL), 1);
  for (int i = 0; i < 4; i++) {
    CHECK_INT(notes[i].total, i < 3 ? 2 : 0);
  }
  close_loop(a);
  CHECK_INT(raise(SIGUSR1), 0);
  CHECK_INT(raise(SIGUSR2), 0);
  CHECK_INT(zl_loop_step(b, 0, NULL), 2);
  CHECK_INT(notes[1].total, 2);
  CHECK_INT(notes[2].total, 3);
  CHECK_INT(notes[3].total, 1);
  close_loop(b);
}

static void test_signal_pending_at_the_close_is_not_delivered(void) {
  zl_loop *loop = new_loop();
  note n;
  note other;
  zl_signal *watch = watch_signal(loop, SIGUSR1, &n);
  CHECK_INT(raise(SIGUSR1), 0);
  zl_signal_close(watch);
  zl_signal_close(NULL);
  CHECK_INT(zl_loop_step(loop, 0, NULL), 0);
  CHECK_INT(n.calls, 0);
  /* The one called first closes the other one, which is already collected. */
  watch = watch_signal(loop, SIGUSR1, &n);
  zl_signal *second = watch_signal(loop, SIGUSR1, &other);
  n.closes = second;
  other.closes = watch;
  CHECK_INT(raise(SIGUSR1), 0);
  CHECK_INT(zl_loop_step(loop, 0, NULL), 1);
  CHECK_INT(n.calls + other.calls, 1);
  close_loop(loop);
}

static void test_signal_step_with_a_budget_goes_on_where_it_was(void) {
  zl_loop *loop = new_loop();
  const zl_budget one = {.events = 1};
  note notes[3];
  for (int i = 0; i < 3; i++) {
    (void)watch_signal(loop, SIGUSR1, &notes[i]);
  }
  CHECK_INT(raise(SIGUSR1), 0);
  CHECK(zl_loop_step(loop, 0, &one) == (1 | ZL_STEP_MORE));
  /* It arrives again: watches not yet called get a count of both. */
  CHECK_INT(raise(SIGUSR1), 0);
  CHECK(zl_loop_step(loop, 0, &one) == (1 | ZL_STEP_MORE));
  CHECK(zl_loop_step(loop, 0, &one) == (1 | ZL_STEP_MORE));
  CHECK_INT(notes[0].total, 1);
  CHECK_INT(notes[1].total, 2);
  CHECK_INT(notes[2].total, 2);
  CHECK(zl_loop_step(loop, 0, NULL) == 1);
  CHECK_INT(notes[0].total, 2);
  close_loop(loop);
}

static void test_signal_that_cannot_be_watched(void) {
  static const int numbers[] = {-1,      0,      NSIG,   10000,   SIGKILL,
                                SIGSTOP, SIGBUS, SIGFPE, SIGSEGV, SIGILL};
  zl_loop *loop = new_loop();
  note n;
  zl_signal *watch;
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    watch = (zl_signal *)&n;
    CHECK_INT(zl_signal_new(loop, numbers[i], on_note, &n, 0, &watch), -EINVAL);
    CHECK(!watch);
  }
  CHECK_INT(zl_signal_new(loop, SIGUSR1, on_note, &n, 2, &watch), -EINVAL);
  CHECK(!zl_loop_alive(loop));
  close_loop(loop);
}

/* ---- what was there before ---------------------------------------------- */

static void test_signal_restores_the_disposition(void) {
  static void (*const handlers[])(int) = {SIG_DFL, SIG_IGN, former_plain};
  for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++) {
    zl_loop *loop = new_loop();
    note notes[2];
    set_plain(SIGUSR1, handlers[i]);
    CHECK(handler_of(SIGUSR1) == handlers[i]);
    zl_signal *a = watch_signal(loop, SIGUSR1, &notes[0]);
    (void)watch_signal(loop, SIGUSR1, &notes[1]);
    CHECK(handler_of(SIGUSR1) != handlers[i]);
    CHECK(handler_of(SIGUSR2) == SIG_DFL);
    zl_signal_close(a);
    CHECK(handler_of(SIGUSR1) != handlers[i]);
    CHECK_INT(raise(SIGUSR1), 0);
    close_loop(loop);
    CHECK(handler_of(SIGUSR1) == handlers[i]);
    CHECK_INT(notes[1].calls + former_calls, 0);
  }
  CHECK_INT(raise(SIGUSR1), 0);
  CHECK_INT(former_calls, 1);
  set_plain(SIGUSR1, SIG_DFL);
}

static void test_signal_calls_the_former_handler_if_asked(void) {
  for (int i = 0; i < 2; i++) {
    zl_loop *loop = new_loop();
    zl_signal *chaining;
    note notes[2];
    if (i == 0) {
      set_plain(SIGUSR2, former_plain);
    } else {
      set_info(SIGUSR2);
    }
    (void)watch_signal(loop, SIGUSR2, &notes[0]);
    CHECK_INT(raise(SIGUSR2), 0);
    CHECK_INT(former_calls, 0);
    memset(&notes[1], 0, sizeof notes[1]);
    CHECK_INT(zl_signal_new(loop, SIGUSR2, on_note, &notes[1], ZL_SIGNAL_CHAIN,
                            &chaining),
              0);
    CHECK_INT(raise(SIGUSR2), 0);
    CHECK_INT(former_calls, 1);
    CHECK_INT(zl_loop_step(loop, 0, NULL), 2);
    CHECK_INT(notes[0].total, 2);
    CHECK_INT(notes[1].total, 1);
    zl_signal_close(chaining);
    CHECK_INT(raise(SIGUSR2), 0);
    CHECK_INT(former_calls, 1);
    close_loop(loop);
    CHECK_INT(raise(SIGUSR2), 0);
    CHECK_INT(former_calls, 2);
  }
  set_plain(SIGUSR2, SIG_DFL);
}

static void change_errno(int number) {
  (void)number;
  former_calls++;
  errno = EDOM;
}

static void test_signal_handler_keeps_errno(void) {
  zl_loop *loop = new_loop();
  zl_signal *watch;
  note n;
  set_plain(SIGUSR1, change_errno);
  CHECK_INT(zl_signal_new(loop, SIGUSR1, on_note, &n, ZL_SIGNAL_CHAIN, &watch),
            0);
  errno = ERANGE;
  (void)raise(SIGUSR1);
  CHECK_INT(errno, ERANGE);
  CHECK_INT(former_calls, 1);
  zl_signal_close(watch);
  close_loop(loop);
  set_plain(SIGUSR1, SIG_DFL);
}

static struct sigaction covered;

/* A handler installed in place of the loop's, which passes the signal on to
 * it. */
static void on_top(int number, siginfo_t *info, void *context) {
  former_calls++;
  covered.sa_sigaction(number, info, context);
}

static void cover(int number) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_sigaction = on_top;
  action.sa_flags = SA_SIGINFO;
  (void)sigemptyset(&action.sa_mask);
  CHECK_INT(sigaction(number, &action, &covered), 0);
  former_calls = 0;
}

/* SIGURG, since what is left behind stays for the rest of the process. */
static void test_signal_leaves_a_later_handler_alone(void) {
  zl_loop *loop = new_loop();
  note n;
  zl_signal *watch = watch_signal(loop, SIGURG, &n);
  cover(SIGURG);
  CHECK_INT(raise(SIGURG), 0);
  CHECK_INT(former_calls, 1);
  CHECK_INT(zl_loop_step(loop, 0, NULL), 1);
  zl_signal_close(watch);
  CHECK_INT(raise(SIGURG), 0);
  CHECK_INT(former_calls, 2);
  /* Now ours is on top again, and the other one would call it: no circle. */
  CHECK_INT(zl_signal_new(loop, SIGURG, on_note, &n, ZL_SIGNAL_CHAIN, &watch),
            0);
  CHECK_INT(raise(SIGURG), 0);
  CHECK_INT(former_calls, 2);
  CHECK_INT(zl_loop_step(loop, 0, NULL), 1);
  CHECK_INT(n.total, 2);
  zl_signal_close(watch);
  CHECK_INT(raise(SIGURG), 0);
  CHECK_INT(former_calls, 3);
  close_loop(loop);
}

/* ---- threads ------------------------------------------------------------ */

enum { RAISERS = 3, RAISES = 5000 };

static void *raise_many(void *arg) {
  (void)arg;
  for (int i = 0; i < RAISES; i++) {
    CHECK_INT(raise(SIGUSR1), 0);
  }
  return NULL;
}

static void start_raisers(pthread_t *threads) {
  for (int i = 0; i < RAISERS; i++) {
    CHECK_INT(pthread_create(&threads[i], NULL, raise_many, NULL), 0);
  }
}

static void join_raisers(const pthread_t *threads) {
  for (int i = 0; i < RAISERS; i++) {
    CHECK_INT(pthread_join(threads[i], NULL), 0);
  }
}

static void run_until_told(zl_loop *loop, const note *n, unsigned total) {
  while (n->total < total) {
    CHECK(zl_loop_step(loop, ZL_FOREVER, NULL) > 0);
  }
}

typedef struct listener {
  zl_loop *loop;
  note note;
} listener;

static void *listen(void *arg) {
  listener *l = arg;
  run_until_told(l->loop, &l->note, RAISERS * RAISES);
  return NULL;
}

/* Two loops in two threads and a storm from three more: each loop counts each
 * signal. */
static void test_signal_counts_under_a_storm(void) {
  pthread_t threads[RAISERS];
  pthread_t thread;
  listener a = {.loop = new_loop()};
  listener b = {.loop = new_loop()};
  (void)watch_signal(a.loop, SIGUSR1, &a.note);
  (void)watch_signal(b.loop, SIGUSR1, &b.note);
  CHECK_INT(pthread_create(&thread, NULL, listen, &b), 0);
  start_raisers(threads);
  (void)listen(&a);
  join_raisers(threads);
  CHECK_INT(pthread_join(thread, NULL), 0);
  CHECK_INT(zl_loop_step(a.loop, 0, NULL), 0);
  CHECK_INT(a.note.total, RAISERS * RAISES);
  CHECK_INT(b.note.total, RAISERS * RAISES);
  close_loop(a.loop);
  close_loop(b.loop);
}

/* Watches are opened and closed, and with them their memory and loops, while
 * handlers run in other threads. */
static void test_signal_watches_come_and_go_in_a_storm(void) {
  pthread_t threads[RAISERS];
  note notes[3];
  set_plain(SIGUSR1, SIG_IGN);
  start_raisers(threads);
  for (int i = 0; i < 300; i++) {
    zl_loop *loop = new_loop();
    zl_signal *watches[3];
    for (int j = 0; j < 3; j++) {
      watches[j] = watch_signal(loop, SIGUSR1, &notes[j]);
    }
    CHECK(zl_loop_step(loop, 0, NULL) >= 0);
    zl_signal_close(watches[i % 3]);
    CHECK(zl_loop_step(loop, 0, NULL) >= 0);
    close_loop(loop);
  }
  join_raisers(threads);
  CHECK(handler_of(SIGUSR1) == SIG_IGN);
  set_plain(SIGUSR1, SIG_DFL);
}

/* ---- zl_loop_stop() from a handler -------------------------------------- */

static zl_loop *_Atomic stopped_by_handler;

static void stop_loop(int number) {
  (void)number;
  zl_loop_stop(stopped_by_handler);
}

static void *run_loop(void *arg) {
  CHECK_INT(zl_loop_run(arg, ZL_RUN_FOREVER), 0);
  return NULL;
}

/* The loop runs in another thread than the handler. */
static void test_signal_handler_stops_a_loop_of_another_thread(void) {
  for (int i = 0; i < 50; i++) {
    zl_loop *loop = new_loop();
    pthread_t thread;
    stopped_by_handler = loop;
    set_plain(SIGUSR1, stop_loop);
    CHECK_INT(pthread_create(&thread, NULL, run_loop, loop), 0);
    rest(i % 2 ? 100000 : 0);
    CHECK_INT(raise(SIGUSR1), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
    close_loop(loop);
  }
  set_plain(SIGUSR1, SIG_DFL);
}

/* ---- processes ---------------------------------------------------------- */

/* Returns the child's status: fn's result, or 200 if it died. */
static int in_child(int (*fn)(zl_loop *loop), zl_loop *loop) {
  int status = 0;
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    (void)alarm(30);
    _exit(fn(loop));
  }
  CHECK(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 200;
}

static int get_signals(zl_loop *loop) {
  (void)loop;
  for (int i = 0; i < 10; i++) {
    (void)raise(SIGUSR1);
  }
  return 0;
}

static int close_parents_loop(zl_loop *loop) {
  note n;
  zl_signal *watch;
  if (zl_signal_new(loop, SIGUSR2, on_note, &n, 0, &watch) != -ECHILD) {
    return 1;
  }
  if (zl_loop_close(loop) < 0) {
    return 2;
  }
  return handler_of(SIGUSR1) == SIG_DFL ? 0 : 3;
}

static int use_own_loop(zl_loop *parents) {
  zl_loop *loop = new_loop();
  note n;
  zl_signal *watch = watch_signal(loop, SIGUSR1, &n);
  (void)raise(SIGUSR1);
  if (zl_loop_step(loop, ZL_FOREVER, NULL) != 1 || n.total != 1) {
    return 1;
  }
  zl_signal_close(watch);
  (void)zl_loop_close(loop);
  return zl_loop_close(parents) < 0 ? 2 : 0;
}

static void test_signal_of_a_child_is_not_the_parents(void) {
  static int (*const acts[])(zl_loop *) = {get_signals, close_parents_loop,
                                           use_own_loop};
  zl_loop *loop = new_loop();
  note n;
  (void)watch_signal(loop, SIGUSR1, &n);
  for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
    struct pollfd wake = {.fd = loop->mailbox.wake_read, .events = POLLIN};
    zl__mailbox_drain_wake(&loop->mailbox);
    CHECK_INT(in_child(acts[i], loop), 0);
    CHECK_INT(poll(&wake, 1, 0), 0);
    CHECK_INT(zl_loop_step(loop, 0, NULL), 0);
    CHECK_INT(raise(SIGUSR1), 0);
    CHECK_INT(zl_loop_step(loop, 0, NULL), 1);
  }
  CHECK_INT(n.total, sizeof acts / sizeof *acts);
  close_loop(loop);
}

/* At the fork other threads are in the handler, which has long lists to walk,
 * and are changing the table: the child, which lacks those threads, waits for
 * none of them. */
enum { WATCHES = 500, FORK_ROUNDS = 5, FORKS = 5 };

static void *watch_many(void *arg) {
  zl_loop *loop = new_loop();
  note n;
  (void)arg;
  for (int i = 0; i < 500; i++) {
    zl_signal_close(watch_signal(loop, SIGUSR1, &n));
  }
  close_loop(loop);
  return NULL;
}

static void test_signal_fork_in_the_midst_of_handlers(void) {
  zl_loop *loop = new_loop();
  pthread_t threads[RAISERS];
  pthread_t watcher;
  note notes[WATCHES];
  for (int i = 0; i < WATCHES; i++) {
    (void)watch_signal(loop, SIGUSR1, &notes[i]);
  }
  for (int i = 0; i < FORK_ROUNDS; i++) {
    start_raisers(threads);
    CHECK_INT(pthread_create(&watcher, NULL, watch_many, NULL), 0);
    for (int j = 0; j < FORKS; j++) {
      CHECK_INT(in_child(use_own_loop, loop), 0);
    }
    join_raisers(threads);
    CHECK_INT(pthread_join(watcher, NULL), 0);
  }
  for (int i = 0; i < WATCHES; i++) {
    run_until_told(loop, &notes[i], FORK_ROUNDS * RAISERS * RAISES);
    CHECK_INT(notes[i].total, FORK_ROUNDS * RAISERS * RAISES);
  }
  close_loop(loop);
}

enum { CHILDREN = 30 };

static void on_children(zl_signal *watch, int number, unsigned count,
                        void *arg) {
  int *reaped = arg;
  (void)count;
  CHECK_INT(number, SIGCHLD);
  while (waitpid(-1, NULL, WNOHANG) > 0) {
    ++*reaped;
  }
  if (*reaped == CHILDREN) {
    zl_signal_close(watch);
  }
}

/* Signals of one number that are pending are one: the callback has to look for
 * all children, and then finds all. */
static void test_signal_all_children_are_heard_of(void) {
  zl_loop *loop = new_loop();
  zl_signal *watch;
  int reaped = 0;
  CHECK_INT(zl_signal_new(loop, SIGCHLD, on_children, &reaped, 0, &watch), 0);
  for (int i = 0; i < CHILDREN; i++) {
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
      _exit(0);
    }
  }
  CHECK_INT(zl_loop_run(loop, ZL_RUN_ALIVE), 0);
  CHECK_INT(reaped, CHILDREN);
  close_loop(loop);
}

static const zl_test tests[] = {
    TEST(test_signal_is_delivered_once_with_the_count),
    TEST(test_signal_ends_one_wait_only),
    TEST(test_signal_wakes_a_loop_that_waits),
    TEST(test_signal_watch_keeps_the_loop_alive_until_closed),
    TEST(test_signal_reaches_all_watches),
    TEST(test_signal_pending_at_the_close_is_not_delivered),
    TEST(test_signal_step_with_a_budget_goes_on_where_it_was),
    TEST(test_signal_that_cannot_be_watched),
    TEST(test_signal_restores_the_disposition),
    TEST(test_signal_calls_the_former_handler_if_asked),
    TEST(test_signal_handler_keeps_errno),
    TEST(test_signal_leaves_a_later_handler_alone),
    TEST(test_signal_counts_under_a_storm),
    TEST(test_signal_watches_come_and_go_in_a_storm),
    TEST(test_signal_handler_stops_a_loop_of_another_thread),
    TEST(test_signal_of_a_child_is_not_the_parents),
    TEST(test_signal_fork_in_the_midst_of_handlers),
    TEST(test_signal_all_children_are_heard_of),
};

TEST_MAIN(tests)
