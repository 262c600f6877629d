/* core - zmqloop's C API without Lua. SPDX-License-Identifier: MIT */
#include "../src/bench.h"

#include <string.h>
#include <zmqloop.h>

static bench b;
static zl_loop *loop;

static void on_sink(zl_stream *stream, void *arg) {
  (void)arg;
  zmq_msg_t *frames;
  while (zl_stream_peek(stream, &frames) > 0) {
    if (bench_take(&b, zmq_msg_data(frames), zmq_msg_size(frames)) == 0)
      zl_loop_stop(loop);
    zl_stream_pop(stream);
  }
}

static void check(const char *what, int rc) {
  if (rc != 0)
    bench_die("%s: %s", what, zl_strerror(rc));
}

int main(int argc, char **argv) {
  bench_parse(&b, argc, argv);
  if (strcmp(b.workload, "sink") != 0)
    bench_die("core: no workload %s", b.workload);
  void *context = zmq_ctx_new();
  void *socket = zmq_socket(context, ZMQ_PULL);
  if (zmq_bind(socket, b.endpoint) != 0)
    bench_die("bind %s: %s", b.endpoint, zmq_strerror(zmq_errno()));
  zl_stream *stream;
  check("zl_loop_new", zl_loop_new(NULL, &loop));
  check("zl_stream_new", zl_stream_new(loop, socket, 0, &stream));
  zl_stream_on_recv(stream, on_sink, NULL);
  check("zl_loop_run", zl_loop_run(loop, ZL_RUN_FOREVER));
  bench_report(&b);
  zl_stream_close(stream);
  zl_loop_close(loop);
  zmq_close(socket);
  zmq_ctx_term(context);
  return 0;
}
