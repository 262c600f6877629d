/* test_post.c - what other threads and signal handlers may do.
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "support/clock.h"
#include "test.h"

static void rest(long nanoseconds) {
  struct timespec t = {0, nanoseconds};
  (void)nanosleep(&t, NULL);
}

enum { POSTERS = 4, POSTS = 100000 };

typedef struct poster {
  zl_loop *loop;
  pthread_t thread;
  int received;
  int *done; /* posters whose posts have all arrived */
} poster;

typedef struct numbered {
  poster *from;
  int number;
} numbered;

static void on_numbered(zl_loop *loop, void *arg) {
  numbered *n = arg;
  CHECK_INT(n->number, n->from->received);
  n->from->received++;
  if (n->from->received == POSTS) {
    ++*n->from->done;
    if (*n->from->done == POSTERS) {
      zl_loop_stop(loop);
    }
  }
  free(n);
}

static void *post_many(void *arg) {
  poster *p = arg;
  for (int i = 0; i < POSTS; i++) {
    numbered *n = malloc(sizeof *n);
    CHECK(n);
    *n = (numbered){p, i};
    CHECK_INT(zl_loop_post(p->loop, on_numbered, n, free), 0);
    if (i % 1000 == 0) { /* lets the loop sleep now and then */
      rest(100000);
    }
  }
  return NULL;
}

static void post_storm(int backend) {
  zl_config config = {.size = sizeof config, .backend = backend};
  zl_loop *loop;
  poster posters[POSTERS];
  int done = 0;
  CHECK_INT(zl_loop_new(&config, &loop), 0);
  for (int i = 0; i < POSTERS; i++) {
    posters[i] = (poster){.loop = loop, .done = &done};
    CHECK_INT(pthread_create(&posters[i].thread, NULL, post_many, &posters[i]),
              0);
  }
  CHECK_INT(zl_loop_run(loop, ZL_RUN_FOREVER), 0);
  for (int i = 0; i < POSTERS; i++) {
    CHECK_INT(pthread_join(posters[i].thread, NULL), 0);
    CHECK_INT(posters[i].received, POSTS);
  }
  CHECK_INT(zl_loop_step(loop, 0, NULL), 0);
  close_loop(loop);
}

/* The loop sleeps now and then, and is woken. */
static void test_post_many_from_threads_in_order(void) {
  post_storm(ZL_BACKEND_DEFAULT);
}

static void test_post_many_on_the_poll_backend(void) {
  post_storm(ZL_BACKEND_POLL);
}

static void on_count(zl_loop *loop, void *arg) {
  (void)loop;
  ++*(int *)arg;
}

static void on_count_and_stop(zl_loop *loop, void *arg) {
  on_count(loop, arg);
  zl_loop_stop(loop);
}

static void on_repost(zl_loop *loop, void *arg) {
  CHECK_INT(zl_loop_post(loop, on_count, arg, NULL), 0);
}

static void test_post_from_a_post_waits_for_the_next_iteration(void) {
  zl_loop *loop = new_loop();
  int n = 0;
  CHECK_INT(zl_loop_post(loop, on_repost, &n, NULL), 0);
  CHECK(zl_loop_step(loop, 0, NULL) == (1 | ZL_STEP_MORE));
  CHECK_INT(n, 0);
  CHECK_INT(zl_loop_step(loop, 0, NULL), 1);
  CHECK_INT(n, 1);
  close_loop(loop);
}

static void drop_count(void *arg) {
  ++*(int *)arg;
}

static void test_post_dropped_when_the_loop_closes(void) {
  zl_loop *loop = new_loop();
  int called = 0;
  int dropped = 0;
  zl_budget one = {.events = 1};
  for (int i = 0; i < 5; i++) {
    CHECK_INT(zl_loop_post(loop, on_count, i ? &dropped : &called, drop_count),
              0);
  }
  CHECK_INT(zl_loop_post(loop, on_count, &called, NULL), 0);
  CHECK(zl_loop_step(loop, 0, &one) == (1 | ZL_STEP_MORE));
  CHECK_INT(called, 1);
  CHECK_INT(dropped, 0);
  /* Some of them have been taken out of the mailbox, this one has not. */
  CHECK_INT(zl_loop_post(loop, on_count, &dropped, drop_count), 0);
  close_loop(loop);
  CHECK_INT(called, 1);
  CHECK_INT(dropped, 5);
}

enum { LATE_POSTS = 1000 };

typedef struct late_poster {
  zl_loop *loop;
  atomic_int handled; /* called or dropped */
} late_poster;

static void on_late(zl_loop *loop, void *arg) {
  late_poster *p = arg;
  if (atomic_fetch_add(&p->handled, 1) == LATE_POSTS / 2) {
    zl_loop_stop(loop);
  }
}

static void drop_late(void *arg) {
  late_poster *p = arg;
  atomic_fetch_add(&p->handled, 1);
}

static void *post_late(void *arg) {
  late_poster *p = arg;
  for (int i = 0; i < LATE_POSTS; i++) {
    CHECK_INT(zl_loop_post(p->loop, on_late, p, drop_late), 0);
  }
  return NULL;
}

/* None is lost, and none is an error, although the loop is ending. */
static void test_post_while_the_loop_ends(void) {
  late_poster p = {.loop = new_loop()};
  pthread_t thread;
  CHECK_INT(pthread_create(&thread, NULL, post_late, &p), 0);
  CHECK_INT(zl_loop_run(p.loop, ZL_RUN_FOREVER), 0);
  CHECK_INT(pthread_join(thread, NULL), 0);
  close_loop(p.loop);
  CHECK_INT(atomic_load(&p.handled), LATE_POSTS);
}

static void *live_often(void *arg) {
  int n = 0;
  for (int i = 0; i < 10; i++) {
    zl_loop *loop = new_loop();
    CHECK_INT(zl_loop_add_callback(loop, on_count, &n), 0);
    CHECK_INT(zl_loop_run(loop, ZL_RUN_ALIVE), 0);
    close_loop(loop);
  }
  *(int *)arg = n;
  return NULL;
}

static void test_post_loops_of_two_threads_do_not_meet(void) {
  int counts[2] = {0, 0};
  pthread_t thread;
  CHECK_INT(pthread_create(&thread, NULL, live_often, &counts[0]), 0);
  (void)live_often(&counts[1]);
  CHECK_INT(pthread_join(thread, NULL), 0);
  CHECK_INT(counts[0], 10);
  CHECK_INT(counts[1], 10);
}

static void *stop_soon(void *arg) {
  rest(2000000);
  zl_loop_stop(arg);
  return NULL;
}

static void test_post_stop_from_a_thread(void) {
  static const int backends[] = {ZL_BACKEND_DEFAULT, ZL_BACKEND_POLL};
  for (int b = 0; b < 2; b++) {
    zl_config config = {.size = sizeof config, .backend = backends[b]};
    zl_loop *loop;
    pthread_t thread;
    CHECK_INT(zl_loop_new(&config, &loop), 0);
    CHECK_INT(pthread_create(&thread, NULL, stop_soon, loop), 0);
    CHECK_INT(zl_loop_run(loop, ZL_RUN_FOREVER), 0);
    CHECK_INT(pthread_join(thread, NULL), 0);
    close_loop(loop);
  }
}

static void *wake_soon(void *arg) {
  rest(2000000);
  zl_loop_wake(arg);
  return NULL;
}

static void test_post_wake_from_a_thread(void) {
  zl_loop *loop = new_loop();
  pthread_t thread;
  CHECK_INT(pthread_create(&thread, NULL, wake_soon, loop), 0);
  CHECK_INT(zl_loop_step(loop, ZL_FOREVER, NULL), 0);
  CHECK_INT(pthread_join(thread, NULL), 0);
  /* It woke one wait, not the next as well. */
  int64_t start = zl_loop_time_ns(loop);
  CHECK_INT(zl_loop_step(loop, 1 * MILLISECONDS, NULL), 0);
  CHECK(zl_loop_time_ns(loop) - start >= 1 * MILLISECONDS);
  close_loop(loop);
}

/* ---- signals ------------------------------------------------------------ */

static zl_loop *signalled;
static void (*in_handler)(zl_loop *loop);
static volatile sig_atomic_t signals;

static void on_signal(int sig) {
  (void)sig;
  signals++;
  if (in_handler) {
    in_handler(signalled);
  }
}

static struct sigaction handle_signal(zl_loop *loop,
                                      void (*fn)(zl_loop *loop)) {
  struct sigaction action;
  struct sigaction old;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  (void)sigemptyset(&action.sa_mask);
  signalled = loop;
  in_handler = fn;
  signals = 0;
  CHECK_INT(sigaction(SIGUSR1, &action, &old), 0);
  return old;
}

/* Sends until told to stop: a signal that arrives while the loop does not wait
 * interrupts nothing. */
typedef struct sender {
  pthread_t to;
  pthread_t thread;
  atomic_bool enough;
} sender;

static void *send_signals(void *arg) {
  sender *s = arg;
  while (!atomic_load(&s->enough)) {
    rest(2000000);
    CHECK_INT(pthread_kill(s->to, SIGUSR1), 0);
  }
  return NULL;
}

static void send_from_thread(sender *s) {
  s->to = pthread_self();
  atomic_init(&s->enough, false);
  CHECK_INT(pthread_create(&s->thread, NULL, send_signals, s), 0);
}

static void send_no_more(sender *s) {
  atomic_store(&s->enough, true);
  CHECK_INT(pthread_join(s->thread, NULL), 0);
}

static void test_post_wake_from_a_signal_handler(void) {
  zl_loop *loop = new_loop();
  struct sigaction old = handle_signal(loop, zl_loop_wake);
  sender s;
  CHECK_INT(raise(SIGUSR1), 0);
  CHECK_INT(zl_loop_step(loop, ZL_FOREVER, NULL), 0);
  send_from_thread(&s);
  CHECK_INT(zl_loop_step(loop, ZL_FOREVER, NULL), 0);
  send_no_more(&s);
  CHECK_INT(sigaction(SIGUSR1, &old, NULL), 0);
  close_loop(loop);
}

static void test_post_stop_from_a_signal_handler(void) {
  zl_loop *loop = new_loop();
  struct sigaction old = handle_signal(loop, zl_loop_stop);
  sender s;
  send_from_thread(&s);
  CHECK_INT(zl_loop_run(loop, ZL_RUN_FOREVER), 0);
  send_no_more(&s);
  CHECK_INT(sigaction(SIGUSR1, &old, NULL), 0);
  close_loop(loop);
}

static void on_timer_stop(zl_timer *timer, uint64_t missed, void *arg) {
  (void)timer;
  (void)missed;
  zl_loop_stop(arg);
}

/* Without an interrupt callback signals do not affect the loop: deadlines are
 * kept. */
static void test_post_signals_do_not_disturb_a_wait(void) {
  static const int backends[] = {ZL_BACKEND_DEFAULT, ZL_BACKEND_POLL};
  for (int b = 0; b < 2; b++) {
    zl_config config = {.size = sizeof config, .backend = backends[b]};
    zl_loop *loop;
    zl_timer *timer;
    sender s;
    CHECK_INT(zl_loop_new(&config, &loop), 0);
    struct sigaction old = handle_signal(loop, NULL);
    int64_t start = zl_loop_time_ns(loop);
    CHECK_INT(zl_timer_new(loop, on_timer_stop, loop, &timer), 0);
    CHECK_INT(zl_timer_start(timer, 20 * MILLISECONDS, 0), 0);
    send_from_thread(&s);
    CHECK_INT(zl_loop_run(loop, ZL_RUN_FOREVER), 0);
    CHECK(zl_loop_time_ns(loop) - start >= 20 * MILLISECONDS);
    send_no_more(&s);
    CHECK_INT(sigaction(SIGUSR1, &old, NULL), 0);
    close_loop(loop);
  }
}

typedef struct interrupts {
  int calls;
  int ends_at;
} interrupts;

static int on_interrupt(zl_loop *loop, void *ud) {
  interrupts *i = ud;
  (void)loop;
  i->calls++;
  return i->calls >= i->ends_at;
}

static void test_post_interrupt_callback_ends_a_run(void) {
  interrupts i = {.ends_at = 3};
  zl_config config = {
      .size = sizeof config, .interrupt = on_interrupt, .interrupt_ud = &i};
  zl_loop *loop;
  sender s;
  int n = 0;
  CHECK_INT(zl_loop_new(&config, &loop), 0);
  struct sigaction old = handle_signal(loop, NULL);
  send_from_thread(&s);
  CHECK_INT(zl_loop_run(loop, ZL_RUN_FOREVER), -EINTR);
  CHECK_INT(i.calls, 3);
  send_no_more(&s);
  i = (interrupts){.ends_at = 1};
  send_from_thread(&s);
  CHECK_INT(zl_loop_step(loop, ZL_FOREVER, NULL), -EINTR);
  send_no_more(&s);
  CHECK_INT(zl_loop_post(loop, on_count_and_stop, &n, NULL), 0);
  CHECK_INT(zl_loop_run(loop, ZL_RUN_FOREVER), 0);
  CHECK_INT(n, 1);
  CHECK_INT(sigaction(SIGUSR1, &old, NULL), 0);
  close_loop(loop);
}

/* ---- two loops ----------------------------------------------------------- */

enum { RALLIES = 20000 };

typedef struct player {
  zl_loop *loop;
  struct player *other;
  int hits;
} player;

static void on_hit(zl_loop *loop, void *arg) {
  player *p = arg;
  CHECK(loop == p->loop);
  p->hits++;
  CHECK_INT(zl_loop_post(p->other->loop, on_hit, p->other, NULL), 0);
  if (p->hits == RALLIES) {
    zl_loop_stop(loop);
  }
}

static void *play(void *arg) {
  player *p = arg;
  CHECK_INT(zl_loop_run(p->loop, ZL_RUN_FOREVER), 0);
  return NULL;
}

static void test_post_between_two_loops(void) {
  player a = {new_loop(), NULL, 0};
  player b = {new_loop(), &a, 0};
  pthread_t thread;
  a.other = &b;
  CHECK_INT(zl_loop_post(a.loop, on_hit, &a, NULL), 0);
  CHECK_INT(pthread_create(&thread, NULL, play, &b), 0);
  CHECK_INT(zl_loop_run(a.loop, ZL_RUN_FOREVER), 0);
  CHECK_INT(pthread_join(thread, NULL), 0);
  CHECK_INT(a.hits, RALLIES);
  CHECK_INT(b.hits, RALLIES);
  close_loop(a.loop);
  close_loop(b.loop);
}

static const zl_test tests[] = {
    TEST(test_post_many_from_threads_in_order),
    TEST(test_post_many_on_the_poll_backend),
    TEST(test_post_from_a_post_waits_for_the_next_iteration),
    TEST(test_post_dropped_when_the_loop_closes),
    TEST(test_post_while_the_loop_ends),
    TEST(test_post_loops_of_two_threads_do_not_meet),
    TEST(test_post_stop_from_a_thread),
    TEST(test_post_wake_from_a_thread),
    TEST(test_post_wake_from_a_signal_handler),
    TEST(test_post_stop_from_a_signal_handler),
    TEST(test_post_signals_do_not_disturb_a_wait),
    TEST(test_post_interrupt_callback_ends_a_run),
    TEST(test_post_between_two_loops),
};

TEST_MAIN(tests)
