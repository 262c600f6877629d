/* uv - libuv in C: timers, callbacks, posts. SPDX-License-Identifier: MIT */
#include "../src/timers.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

static bench b;
static uv_loop_t *loop;

static void *allocate(size_t count, size_t size) {
  void *block = calloc(count, size);
  if (block == NULL)
    bench_die("out of memory");
  return block;
}

static void run(void) {
  uv_run(loop, UV_RUN_DEFAULT);
}

static void stop(void) {
  uv_stop(loop);
}

/* ---- timers ------------------------------------------------------------- */

static uv_timer_t **timers;

static void on_timer(uv_timer_t *timer) {
  timers_fired((size_t)(uintptr_t)timer->data);
}

static void create(size_t index, double delay_s) {
  uv_timer_t *timer = allocate(1, sizeof *timer);
  timers[index] = timer;
  uv_timer_init(loop, timer);
  timer->data = (void *)(uintptr_t)index;
  uv_timer_start(timer, on_timer, (uint64_t)(delay_s * 1000), 0);
}

static void cancel(size_t index) {
  uv_timer_stop(timers[index]);
}

static const timers_peer timer_calls = {create, cancel, run, stop};

static double *ticks;

static void on_tick(uv_timer_t *timer) {
  ticks[b.seen++] = bench_seconds();
  if (b.seen == b.counted)
    uv_timer_stop(timer);
}

static void periodic(void) {
  uv_timer_t timer;
  ticks = allocate(b.counted, sizeof *ticks);
  uv_timer_init(loop, &timer);
  uv_update_time(loop);
  double start = bench_seconds();
  uv_timer_start(&timer, on_tick, 1, 1);
  bench_begin(&b);
  run();
  bench_end(&b);
  bench_add_ticks(&b, ticks, b.counted, start, 1e-3);
}

/* ---- callbacks ---------------------------------------------------------- */

static void on_idle(uv_idle_t *idle) {
  if (++b.seen == b.counted)
    uv_idle_stop(idle);
}

/* An idle handle is what libuv has for "in the next turn". */
static void chain(void) {
  uv_idle_t idle;
  uv_idle_init(loop, &idle);
  uv_idle_start(&idle, on_idle);
  bench_begin(&b);
  run();
  bench_end(&b);
}

static void on_zero(uv_timer_t *timer) {
  (void)timer;
  b.seen++;
}

/* And for many of them, timers without delay. */
static void batch(void) {
  bench_begin(&b);
  uv_timer_t *zero = allocate(b.counted, sizeof *zero);
  for (size_t i = 0; i < b.counted; i++) {
    uv_timer_init(loop, &zero[i]);
    uv_timer_start(&zero[i], on_zero, 0, 0);
  }
  run();
  bench_end(&b);
}

/* ---- posts: a list under a lock, and uv_async_send() for each ------------ */

typedef struct post {
  struct post *next;
  uint64_t number;
} post;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static post *first, **end = &first;

static void on_async(uv_async_t *async) {
  pthread_mutex_lock(&lock);
  post *next = first;
  first = NULL;
  end = &first;
  pthread_mutex_unlock(&lock);
  while (next != NULL) {
    post *this = next;
    next = this->next;
    if (this->number != b.seen++)
      bench_die("posts in disorder");
    free(this);
  }
  if (b.seen == b.counted)
    uv_close((uv_handle_t *)async, NULL);
}

static void *post_all(void *async) {
  for (uint64_t i = 0; i < b.counted; i++) {
    post *one = allocate(1, sizeof *one);
    one->number = i;
    pthread_mutex_lock(&lock);
    *end = one;
    end = &one->next;
    pthread_mutex_unlock(&lock);
    uv_async_send(async);
  }
  return NULL;
}

static void posts(void) {
  uv_async_t async;
  pthread_t thread;
  uv_async_init(loop, &async, on_async);
  bench_begin(&b);
  if (pthread_create(&thread, NULL, post_all, &async) != 0)
    bench_die("pthread_create");
  run();
  bench_end(&b);
  pthread_join(thread, NULL);
}

int main(int argc, char **argv) {
  bench_parse(&b, argc, argv);
  loop = uv_default_loop();
  timers = allocate(b.counted + 1, sizeof *timers);
  if (timers_run(&b, &timer_calls)) {
    bench_report(&b);
    return 0;
  }
  if (strcmp(b.workload, "periodic") == 0)
    periodic();
  else if (strcmp(b.workload, "chain") == 0)
    chain();
  else if (strcmp(b.workload, "batch") == 0)
    batch();
  else if (strcmp(b.workload, "post") == 0)
    posts();
  else
    bench_unknown(&b);
  if (b.seen != b.counted)
    bench_die("%s: not all callbacks came", b.workload);
  b.seen = 0; /* they were no messages */
  bench_report(&b);
  return 0;
}
