/* raw - a plain loop of blocking zmq_msg_recv(), no event loop: what libzmq
 * itself can do. SPDX-License-Identifier: MIT */
#include "../src/bench.h"

#include <string.h>
#include <zmq.h>

int main(int argc, char **argv) {
  bench b;
  bench_parse(&b, argc, argv);
  int echo = strcmp(b.workload, "echo") == 0;
  if (!echo && strcmp(b.workload, "sink") != 0)
    bench_unknown(&b);
  void *context = zmq_ctx_new();
  void *socket = zmq_socket(context, echo ? ZMQ_REP : ZMQ_PULL);
  if (zmq_bind(socket, b.endpoint) != 0)
    bench_die("bind %s: %s", b.endpoint, zmq_strerror(zmq_errno()));
  zmq_msg_t msg;
  zmq_msg_init(&msg);
  uint64_t left;
  do {
    if (zmq_msg_recv(&msg, socket, 0) < 0)
      bench_die("recv: %s", zmq_strerror(zmq_errno()));
    left = bench_take(&b, zmq_msg_data(&msg), zmq_msg_size(&msg));
    if (echo && zmq_msg_send(&msg, socket, 0) < 0)
      bench_die("send: %s", zmq_strerror(zmq_errno()));
  } while (left > 0);
  zmq_msg_close(&msg);
  bench_report(&b);
  zmq_close(socket);
  zmq_ctx_term(context);
  return 0;
}
