/* raw - plain loops of blocking zmq_msg_recv() and zmq_send(), no event loop:
 * what libzmq itself can do. SPDX-License-Identifier: MIT */
#include "../src/load.h"

#include <string.h>
#include <zmq.h>

static bench b;
static zmq_msg_t msg;

static void *open_socket(void *context, int type) {
  void *socket = zmq_socket(context, type);
  int unlimited = 0;
  if (type == ZMQ_XPUB)
    zmq_setsockopt(socket, ZMQ_SNDHWM, &unlimited, sizeof unlimited);
  int rc = b.connect ? zmq_connect(socket, b.endpoint)
                     : zmq_bind(socket, b.endpoint);
  if (rc != 0)
    bench_die("%s: %s", b.endpoint, zmq_strerror(zmq_errno()));
  return socket;
}

static void receive(void *socket) {
  if (zmq_msg_recv(&msg, socket, 0) < 0)
    bench_die("recv: %s", zmq_strerror(zmq_errno()));
}

static void send_back(void *socket, int flags) {
  if (zmq_msg_send(&msg, socket, flags) < 0)
    bench_die("send: %s", zmq_strerror(zmq_errno()));
}

static void sink(void *socket) {
  do
    receive(socket);
  while (bench_take(&b, zmq_msg_data(&msg), zmq_msg_size(&msg)) > 0);
}

static void echo(void *socket) {
  uint64_t left;
  do {
    receive(socket);
    left = bench_take(&b, zmq_msg_data(&msg), zmq_msg_size(&msg));
    send_back(socket, 0);
  } while (left > 0);
}

static void serve(void *socket) {
  for (;;) {
    receive(socket);
    send_back(socket, 0);
  }
}

static void router(void *socket) {
  uint64_t left;
  do {
    receive(socket);
    send_back(socket, ZMQ_SNDMORE);
    receive(socket);
    left = bench_count(&b, zmq_msg_size(&msg));
    send_back(socket, 0);
  } while (left > 0);
}

/* An XPUB is a PUB that hears of subscriptions. */
static void pub(void *socket) {
  unsigned char message[b.size];
  bench_fill(message, b.size, 0);
  receive(socket);
  for (uint64_t i = 0; i < b.checked + b.counted; i++) {
    uint64_t number = bench_flood_number(&b, i);
    memcpy(message, &number, sizeof number);
    if (zmq_send(socket, message, b.size, 0) < 0)
      bench_die("send: %s", zmq_strerror(zmq_errno()));
    bench_count(&b, b.size);
  }
  receive(socket);
  bench_end(&b);
}

static const struct {
  const char *name;
  int type;
  void (*run)(void *socket);
} workloads[] = {{"sink", ZMQ_PULL, sink},
                 {"echo", ZMQ_REP, echo},
                 {"serve", ZMQ_REP, serve},
                 {"router", ZMQ_ROUTER, router},
                 {"pub", ZMQ_XPUB, pub}};

int main(int argc, char **argv) {
  bench_parse(&b, argc, argv);
  size_t i = 0, count = sizeof workloads / sizeof *workloads;
  while (i < count && strcmp(workloads[i].name, b.workload) != 0)
    i++;
  if (i == count)
    bench_unknown(&b);
  void *context = zmq_ctx_new();
  void *socket = open_socket(context, workloads[i].type);
  load_start(&b, context);
  zmq_msg_init(&msg);
  workloads[i].run(socket);
  load_join(&b);
  bench_report(&b);
  zmq_msg_close(&msg);
  zmq_close(socket);
  zmq_ctx_term(context);
  return 0;
}
