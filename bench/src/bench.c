/* bench.c - see bench.h. SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "bench.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double seconds(clockid_t id) {
  struct timespec t;
  clock_gettime(id, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static bench_clocks now(void) {
  return (bench_clocks){seconds(CLOCK_MONOTONIC),
                        seconds(CLOCK_PROCESS_CPUTIME_ID),
                        seconds(CLOCK_THREAD_CPUTIME_ID)};
}

void bench_die(const char *format, ...) {
  va_list args;
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
  exit(3);
}

void bench_parse(bench *b, int argc, char **argv) {
  if (argc < 6)
    bench_die("usage: %s WORKLOAD ENDPOINT SIZE CHECKED COUNTED [IDLE]",
              argv[0]);
  *b = (bench){
      .workload = argv[1],
      .endpoint = argv[2],
      .size = strtoul(argv[3], NULL, 10),
      .checked = strtoull(argv[4], NULL, 10),
      .counted = strtoull(argv[5], NULL, 10),
      .idle = argc > 6 ? (int)strtol(argv[6], NULL, 10) : 0,
  };
  if (b->size < 8 || b->checked < 1 || b->counted < 1)
    bench_die("SIZE must be 8 or more, CHECKED and COUNTED 1 or more");
}

void bench_fill(unsigned char *message, size_t size, uint64_t number) {
  memcpy(message, &number, sizeof number);
  for (size_t i = sizeof number; i < size; i++)
    message[i] = (unsigned char)(i * 131 + 7);
}

static void compare(const bench *b, uint64_t number, const void *data,
                    size_t size) {
  unsigned char expected[b->size];
  bench_fill(expected, b->size, number);
  if (size != b->size || memcmp(data, expected, size) != 0)
    bench_die("%s: message %" PRIu64 " is wrong", b->workload, number);
}

uint64_t bench_take(bench *b, const void *data, size_t size) {
  uint64_t number = b->seen++;
  uint64_t left = b->checked + b->counted - b->seen;
  b->bytes += size;
  if (number < b->checked || left == 0)
    compare(b, number, data, size);
  if (left == b->counted)
    b->start = now();
  else if (left == 0)
    b->end = now();
  return left;
}

void bench_report(const bench *b) {
  if (b->bytes != b->seen * b->size)
    bench_die("%s: %" PRIu64 " bytes in %" PRIu64 " messages", b->workload,
              b->bytes, b->seen);
  printf("{\"messages\": %" PRIu64 ", \"seconds\": %.6f, \"cpu_s\": %.6f, "
         "\"loop_cpu_s\": %.6f}\n",
         b->counted, b->end.wall - b->start.wall,
         b->end.process - b->start.process, b->end.thread - b->start.thread);
}
