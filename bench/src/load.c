/* load.c - the load generator: load MODE [KEY=VALUE...]
 *   push    sends as fast as the peer takes them; the counted messages but the
 *           last are all the same
 *   number  the same with each message different
 *   req     sends requests, all different; compares the replies byte by byte
 * The result is one line of JSON. SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "bench.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zmq.h>

enum { TIMEOUT_MS = 30000 };

static void *open_socket(void *context, int type, const char *endpoint) {
  void *socket = zmq_socket(context, type);
  if (socket == NULL)
    bench_die("zmq_socket: %s", zmq_strerror(zmq_errno()));
  int retry_ms = 2, timeout_ms = TIMEOUT_MS;
  zmq_setsockopt(socket, ZMQ_RECONNECT_IVL, &retry_ms, sizeof retry_ms);
  zmq_setsockopt(socket, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms);
  zmq_setsockopt(socket, ZMQ_SNDTIMEO, &timeout_ms, sizeof timeout_ms);
  zmq_setsockopt(socket, ZMQ_LINGER, &timeout_ms, sizeof timeout_ms);
  if (zmq_connect(socket, endpoint) != 0)
    bench_die("connect %s: %s", endpoint, zmq_strerror(zmq_errno()));
  return socket;
}

static void send_message(void *socket, const void *data, size_t size) {
  if (zmq_send(socket, data, size, 0) < 0)
    bench_die("send: %s", zmq_strerror(zmq_errno()));
}

static double microseconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void push(const bench *b, void *socket, unsigned char *message,
                 int number_all) {
  uint64_t last = b->checked + b->counted - 1;
  for (uint64_t i = 0; i <= last; i++) {
    uint64_t number =
        number_all || i < b->checked || i == last ? i : b->checked;
    memcpy(message, &number, sizeof number);
    send_message(socket, message, b->size);
  }
  printf("{\"messages\": %" PRIu64 "}\n", b->counted);
}

static void req(const bench *b, void *socket, unsigned char *message) {
  unsigned char reply[b->size];
  double *us = calloc(b->counted, sizeof *us);
  if (us == NULL)
    bench_die("out of memory");
  for (uint64_t i = 0; i < b->checked + b->counted; i++) {
    double start = microseconds();
    memcpy(message, &i, sizeof i);
    send_message(socket, message, b->size);
    int size = zmq_recv(socket, reply, b->size, 0);
    if (size != (int)b->size || memcmp(reply, message, b->size) != 0)
      bench_die("reply %" PRIu64 " is wrong (%d bytes)", i, size);
    if (i >= b->checked)
      us[i - b->checked] = microseconds() - start;
  }
  qsort(us, b->counted, sizeof *us, by_value);
  printf("{\"messages\": %" PRIu64 ", \"p50_us\": %.1f, \"p99_us\": %.1f}\n",
         b->counted, us[b->counted / 2], us[b->counted * 99 / 100]);
  free(us);
}

int main(int argc, char **argv) {
  bench b;
  bench_parse(&b, argc, argv);
  void *context = zmq_ctx_new();
  int requests = strcmp(b.workload, "req") == 0;
  void *socket =
      open_socket(context, requests ? ZMQ_REQ : ZMQ_PUSH, b.endpoint);
  unsigned char message[b.size];
  bench_fill(message, b.size, 0);
  if (requests)
    req(&b, socket, message);
  else
    push(&b, socket, message, strcmp(b.workload, "number") == 0);
  zmq_close(socket);
  zmq_ctx_term(context);
  return 0;
}
