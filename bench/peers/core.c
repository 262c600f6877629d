/* core - zmqloop's C API without Lua. SPDX-License-Identifier: MIT */
#include "../src/load.h"
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

static void reply(zl_stream *stream, const zmq_msg_t *frames, int count) {
  zl_frame copy[2];
  for (int i = 0; i < count && i < 2; i++)
    copy[i] = (zl_frame){zmq_msg_data((zmq_msg_t *)&frames[i]),
                         zmq_msg_size(&frames[i])};
  check("zl_stream_send", zl_stream_send(stream, copy, (size_t)count, 0));
}

static void on_sink(zl_stream *stream, void *arg) {
  (void)arg;
  zl_incoming message;
  while (zl_stream_next(stream, &message) > 0) {
    if (bench_take(&b, message.data, message.size) == 0)
      stop();
    zl_stream_accept(stream);
  }
}

static void on_echo(zl_stream *stream, void *arg) {
  (void)arg;
  zl_incoming message;
  while (zl_stream_next(stream, &message) > 0) {
    if (bench_take(&b, message.data, message.size) == 0)
      stop();
    reply(stream, message.frames, 1);
    zl_stream_accept(stream);
  }
}

static void on_serve(zl_stream *stream, void *arg) {
  (void)arg;
  zl_incoming message;
  while (zl_stream_next(stream, &message) > 0) {
    reply(stream, message.frames, 1);
    zl_stream_accept(stream);
  }
}

static void on_router(zl_stream *stream, void *arg) {
  (void)arg;
  zl_incoming message;
  while (zl_stream_next(stream, &message) > 0) {
    if (bench_count(&b, zmq_msg_size(&message.frames[1])) == 0)
      stop();
    reply(stream, message.frames, 2);
    zl_stream_accept(stream);
  }
}

/* An XPUB is a PUB that hears of subscriptions. */
static void on_subscription(zl_stream *stream, void *arg) {
  (void)arg;
  zl_incoming subscription;
  if (zl_stream_next(stream, &subscription) <= 0)
    return;
  zl_stream_accept(stream);
  if (b.seen > 0) {
    bench_end(&b);
    stop();
    return;
  }
  unsigned char message[b.size];
  bench_fill(message, b.size, 0);
  for (uint64_t i = 0; i < b.checked + b.counted; i++) {
    uint64_t number = bench_flood_number(&b, i);
    memcpy(message, &number, sizeof number);
    const zl_frame frame = {message, b.size};
    check("zl_stream_send", zl_stream_send(stream, &frame, 1, 0));
    bench_count(&b, b.size);
  }
}

static const struct {
  const char *name;
  int type;
  zl_stream_fn on_recv;
} workloads[] = {{"sink", ZMQ_PULL, on_sink},
                 {"echo", ZMQ_REP, on_echo},
                 {"serve", ZMQ_REP, on_serve},
                 {"router", ZMQ_ROUTER, on_router},
                 {"pub", ZMQ_XPUB, on_subscription}};

static void run_messages(int type, zl_stream_fn on_recv) {
  void *context = zmq_ctx_new();
  void *socket = zmq_socket(context, type);
  int unlimited = 0;
  if (type == ZMQ_XPUB)
    zmq_setsockopt(socket, ZMQ_SNDHWM, &unlimited, sizeof unlimited);
  int rc = b.connect ? zmq_connect(socket, b.endpoint)
                     : zmq_bind(socket, b.endpoint);
  if (rc != 0)
    bench_die("%s: %s", b.endpoint, zmq_strerror(zmq_errno()));
  zl_stream *stream;
  check("zl_stream_new", zl_stream_new(loop, socket, 0, &stream));
  zl_stream_on_recv(stream, on_recv, NULL);
  load_start(&b, context);
  run();
  load_join(&b);
  zl_stream_close(stream);
  zmq_close(socket);
  zmq_ctx_term(context);
}

/* False if it is none of these. */
static bool messages(void) {
  for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++)
    if (strcmp(workloads[i].name, b.workload) == 0) {
      run_messages(workloads[i].type, workloads[i].on_recv);
      return true;
    }
  return false;
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
  check("zl_loop_new", zl_loop_new(NULL, &loop));
  timers = calloc(b.counted + 1, sizeof *timers);
  if (timers == NULL)
    bench_die("out of memory");
  if (!messages() && !timers_run(&b, &timer_calls) && !callbacks())
    bench_unknown(&b);
  bench_report(&b);
  zl_loop_close(loop);
  free(timers);
  free(ticks);
  return 0;
}
