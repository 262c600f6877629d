/* core - zmqloop's C API without Lua. SPDX-License-Identifier: MIT */
#include "../src/timers.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <zmqloop.h>

static bench b;
static zl_loop *loop;

static void check(const char *what, int rc) {
  if (rc < 0)
    bench_die("%s: %s", what, zl_strerror(rc));
}

static void run(void) {
  check("zl_loop_run", zl_loop_run(loop, ZL_RUN_FOREVER));
}

static void stop(void) {
  zl_loop_stop(loop);
}

/* ---- messages ----------------------------------------------------------- */

static bool echo;

static void on_recv(zl_stream *stream, void *arg) {
  (void)arg;
  zmq_msg_t *frames;
  while (zl_stream_peek(stream, &frames) > 0) {
    const zl_frame frame = {zmq_msg_data(frames), zmq_msg_size(frames)};
    if (echo)
      check("zl_stream_send", zl_stream_send(stream, &frame, 1, 0));
    if (bench_take(&b, frame.data, frame.size) == 0)
      stop();
    zl_stream_pop(stream);
  }
}

static void messages(void) {
  void *context = zmq_ctx_new();
  void *socket = zmq_socket(context, echo ? ZMQ_REP : ZMQ_PULL);
  if (zmq_bind(socket, b.endpoint) != 0)
    bench_die("bind %s: %s", b.endpoint, zmq_strerror(zmq_errno()));
  zl_stream *stream;
  check("zl_stream_new", zl_stream_new(loop, socket, 0, &stream));
  zl_stream_on_recv(stream, on_recv, NULL);
  run();
  zl_stream_close(stream);
  zmq_close(socket);
  zmq_ctx_term(context);
}

/* ---- timers ------------------------------------------------------------- */

static zl_timer **timers;

static void on_timer(zl_timer *timer, uint64_t missed, void *arg) {
  (void)timer, (void)missed;
  timers_fired((size_t)(uintptr_t)arg);
}

static void create(size_t index, double delay_s) {
  check("zl_timer_new",
        zl_timer_new(loop, on_timer, (void *)(uintptr_t)index, &timers[index]));
  check("zl_timer_start",
        zl_timer_start(timers[index], (int64_t)(delay_s * 1e9), 0));
}

static void cancel(size_t index) {
  zl_timer_close(timers[index]);
}

static const timers_peer timer_calls = {create, cancel, run, stop};

static double *ticks;

static void on_tick(zl_timer *timer, uint64_t missed, void *arg) {
  (void)timer, (void)missed, (void)arg;
  ticks[b.seen++] = bench_seconds();
  if (b.seen == b.counted)
    stop();
}

static void periodic(void) {
  zl_timer *timer;
  ticks = calloc(b.counted, sizeof *ticks);
  check("zl_timer_new", zl_timer_new(loop, on_tick, NULL, &timer));
  double start = bench_seconds();
  check("zl_timer_start", zl_timer_start(timer, 1000000, 1000000));
  bench_begin(&b);
  run();
  bench_end(&b);
  bench_add_ticks(&b, ticks, b.counted, start, 1e-3);
}

/* ---- callbacks and posts ------------------------------------------------- */

static void next(zl_loop *l, void *arg) {
  (void)l, (void)arg;
  if (++b.seen == b.counted)
    stop();
  else
    check("zl_loop_add_callback", zl_loop_add_callback(loop, next, NULL));
}

static void chain(void) {
  check("zl_loop_add_callback", zl_loop_add_callback(loop, next, NULL));
  bench_begin(&b);
  run();
  bench_end(&b);
}

static void in_order(zl_loop *l, void *arg) {
  (void)l;
  if ((uint64_t)(uintptr_t)arg != b.seen++)
    bench_die("callbacks in disorder");
  if (b.seen == b.counted)
    stop();
}

static void batch(void) {
  bench_begin(&b);
  for (uint64_t i = 0; i < b.counted; i++)
    check("zl_loop_add_callback",
          zl_loop_add_callback(loop, in_order, (void *)(uintptr_t)i));
  run();
  bench_end(&b);
}

static void *post_all(void *arg) {
  (void)arg;
  for (uint64_t i = 0; i < b.counted; i++)
    check("zl_loop_post",
          zl_loop_post(loop, in_order, (void *)(uintptr_t)i, NULL));
  return NULL;
}

static void posts(void) {
  pthread_t thread;
  bench_begin(&b);
  if (pthread_create(&thread, NULL, post_all, NULL) != 0)
    bench_die("pthread_create");
  run();
  bench_end(&b);
  pthread_join(thread, NULL);
}

/* False if it is none of these. */
static bool callbacks(void) {
  if (strcmp(b.workload, "periodic") == 0)
    periodic();
  else if (strcmp(b.workload, "chain") == 0)
    chain();
  else if (strcmp(b.workload, "batch") == 0)
    batch();
  else if (strcmp(b.workload, "post") == 0)
    posts();
  else
    return false;
  if (b.seen != b.counted)
    bench_die("%s: not all callbacks came", b.workload);
  b.seen = 0; /* they were no messages */
  return true;
}

int main(int argc, char **argv) {
  bench_parse(&b, argc, argv);
  echo = strcmp(b.workload, "echo") == 0;
  check("zl_loop_new", zl_loop_new(NULL, &loop));
  timers = calloc(b.counted + 1, sizeof *timers);
  if (timers == NULL)
    bench_die("out of memory");
  if (echo || strcmp(b.workload, "sink") == 0)
    messages();
  else if (!timers_run(&b, &timer_calls) && !callbacks())
    bench_unknown(&b);
  bench_report(&b);
  zl_loop_close(loop);
  free(timers);
  free(ticks);
  return 0;
}
