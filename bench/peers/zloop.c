/* zloop - CZMQ's event loop in its usual form: one message per call of the
 * reader. SPDX-License-Identifier: MIT */
#include "../src/load.h"

#include <czmq.h>

static bench b;
static zmq_msg_t msg;

static void receive(void *socket) {
  if (zmq_msg_recv(&msg, socket, 0) < 0)
    bench_die("recv: %s", zmq_strerror(zmq_errno()));
}

static void send_back(void *socket, int flags) {
  if (zmq_msg_send(&msg, socket, flags) < 0)
    bench_die("send: %s", zmq_strerror(zmq_errno()));
}

static int on_sink(zloop_t *loop, zsock_t *reader, void *socket) {
  (void)loop, (void)reader;
  receive(socket);
  uint64_t left = bench_take(&b, zmq_msg_data(&msg), zmq_msg_size(&msg));
  return left > 0 ? 0 : -1;
}

static int on_echo(zloop_t *loop, zsock_t *reader, void *socket) {
  (void)loop, (void)reader;
  receive(socket);
  uint64_t left = bench_take(&b, zmq_msg_data(&msg), zmq_msg_size(&msg));
  send_back(socket, 0);
  return left > 0 ? 0 : -1;
}

static int on_serve(zloop_t *loop, zsock_t *reader, void *socket) {
  (void)loop, (void)reader;
  receive(socket);
  send_back(socket, 0);
  return 0;
}

static int on_router(zloop_t *loop, zsock_t *reader, void *socket) {
  (void)loop, (void)reader;
  receive(socket);
  send_back(socket, ZMQ_SNDMORE);
  receive(socket);
  uint64_t left = bench_count(&b, zmq_msg_size(&msg));
  send_back(socket, 0);
  return left > 0 ? 0 : -1;
}

/* ---- pub: one message per call, too ------------------------------------- */

static unsigned char *message;

static int on_writable(zloop_t *loop, zmq_pollitem_t *item, void *socket) {
  uint64_t number = bench_flood_number(&b, b.seen);
  memcpy(message, &number, sizeof number);
  if (zmq_send(socket, message, b.size, 0) < 0)
    bench_die("send: %s", zmq_strerror(zmq_errno()));
  if (bench_count(&b, b.size) == 0)
    zloop_poller_end(loop, item);
  return 0;
}

static int on_subscription(zloop_t *loop, zsock_t *reader, void *socket) {
  (void)reader;
  receive(socket);
  if (b.seen > 0) {
    bench_end(&b);
    return -1;
  }
  zmq_pollitem_t item = {socket, 0, ZMQ_POLLOUT, 0};
  return zloop_poller(loop, &item, on_writable, socket);
}

/* ---- periodic ----------------------------------------------------------- */

static double *ticks;

static int on_tick(zloop_t *loop, int timer, void *arg) {
  (void)loop, (void)timer, (void)arg;
  ticks[b.seen++] = bench_seconds();
  return b.seen < b.counted ? 0 : -1;
}

static void periodic(void) {
  zloop_t *loop = zloop_new();
  ticks = zmalloc(b.counted * sizeof *ticks);
  double start = bench_seconds();
  zloop_timer(loop, 1, 0, on_tick, NULL);
  bench_begin(&b);
  zloop_start(loop);
  bench_end(&b);
  bench_add_ticks(&b, ticks, b.counted, start, 1e-3);
  b.seen = 0; /* they were no messages */
  bench_report(&b);
  zloop_destroy(&loop);
  free(ticks);
}

/* ---- which --------------------------------------------------------------- */

static const struct {
  const char *name;
  int type;
  zloop_reader_fn *run;
} workloads[] = {{"sink", ZMQ_PULL, on_sink},
                 {"echo", ZMQ_REP, on_echo},
                 {"serve", ZMQ_REP, on_serve},
                 {"router", ZMQ_ROUTER, on_router},
                 {"pub", ZMQ_XPUB, on_subscription}};

static int on_idle(zloop_t *loop, zsock_t *reader, void *arg) {
  (void)loop, (void)reader, (void)arg;
  bench_die("an idle socket got a message");
}

static zsock_t *open_reader(zloop_t *loop, int type, const char *endpoint,
                            zloop_reader_fn fn) {
  zsock_t *reader = zsock_new(type);
  if (type == ZMQ_XPUB)
    zsock_set_sndhwm(reader, 0);
  int rc = b.connect ? zsock_connect(reader, "%s", endpoint)
                     : zsock_bind(reader, "%s", endpoint);
  if (rc < 0)
    bench_die("%s: %s", endpoint, zmq_strerror(zmq_errno()));
  zloop_reader(loop, reader, fn, zsock_resolve(reader));
  return reader;
}

int main(int argc, char **argv) {
  bench_parse(&b, argc, argv);
  if (streq(b.workload, "periodic")) {
    periodic();
    return 0;
  }
  size_t w = 0, count = sizeof workloads / sizeof *workloads;
  while (w < count && !streq(workloads[w].name, b.workload))
    w++;
  if (w == count)
    bench_unknown(&b);
  zsys_set_max_sockets((size_t)b.idle + 1023);
  zsys_set_linger(1000);
  void *context = zsys_init();
  zloop_t *loop = zloop_new();
  zsock_t *idle[b.idle + 1];
  for (int i = 0; i < b.idle; i++) {
    char endpoint[32];
    snprintf(endpoint, sizeof endpoint, "inproc://idle-%d", i);
    idle[i] = open_reader(loop, ZMQ_PULL, endpoint, on_idle);
  }
  zsock_t *active =
      open_reader(loop, workloads[w].type, b.endpoint, workloads[w].run);
  message = zmalloc(b.size);
  bench_fill(message, b.size, 0);
  zmq_msg_init(&msg);
  load_start(&b, context);
  zloop_start(loop);
  load_join(&b);
  bench_report(&b);
  zmq_msg_close(&msg);
  free(message);
  zloop_destroy(&loop);
  zsock_destroy(&active);
  for (int i = 0; i < b.idle; i++)
    zsock_destroy(&idle[i]);
  zsys_shutdown();
  return 0;
}
