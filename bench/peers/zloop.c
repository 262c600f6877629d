/* zloop - CZMQ's event loop in its usual form: one message per call of the
 * reader. SPDX-License-Identifier: MIT */
#include "../src/bench.h"

#include <czmq.h>

static bench b;
static bool echo;
static zmq_msg_t msg;

static int on_message(zloop_t *loop, zsock_t *reader, void *socket) {
  (void)loop, (void)reader;
  if (zmq_msg_recv(&msg, socket, 0) < 0)
    bench_die("recv: %s", zmq_strerror(zmq_errno()));
  uint64_t left = bench_take(&b, zmq_msg_data(&msg), zmq_msg_size(&msg));
  if (echo && zmq_msg_send(&msg, socket, 0) < 0)
    bench_die("send: %s", zmq_strerror(zmq_errno()));
  return left > 0 ? 0 : -1;
}

static int on_idle(zloop_t *loop, zsock_t *reader, void *arg) {
  (void)loop, (void)reader, (void)arg;
  bench_die("an idle socket got a message");
}

static zsock_t *open_reader(zloop_t *loop, int type, const char *endpoint,
                            zloop_reader_fn fn) {
  zsock_t *reader = zsock_new(type);
  if (reader == NULL || zsock_bind(reader, "%s", endpoint) < 0)
    bench_die("bind %s: %s", endpoint, zmq_strerror(zmq_errno()));
  zloop_reader(loop, reader, fn, zsock_resolve(reader));
  return reader;
}

int main(int argc, char **argv) {
  bench_parse(&b, argc, argv);
  echo = streq(b.workload, "echo");
  if (!echo && !streq(b.workload, "sink"))
    bench_unknown(&b);
  zsys_set_max_sockets((size_t)b.idle + 64);
  zsys_set_linger(1000);
  zloop_t *loop = zloop_new();
  zsock_t *idle[b.idle + 1];
  for (int i = 0; i < b.idle; i++) {
    char endpoint[32];
    snprintf(endpoint, sizeof endpoint, "inproc://idle-%d", i);
    idle[i] = open_reader(loop, ZMQ_PULL, endpoint, on_idle);
  }
  zsock_t *active =
      open_reader(loop, echo ? ZMQ_REP : ZMQ_PULL, b.endpoint, on_message);
  zmq_msg_init(&msg);
  zloop_start(loop);
  zmq_msg_close(&msg);
  bench_report(&b);
  zloop_destroy(&loop);
  zsock_destroy(&active);
  for (int i = 0; i < b.idle; i++)
    zsock_destroy(&idle[i]);
  zsys_shutdown();
  return 0;
}
