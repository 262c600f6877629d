/* bench.h - what the drivers and the load generator share: arguments, content
 * of the messages, the measured window, the line with the result.
 * SPDX-License-Identifier: MIT */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <stdint.h>

typedef struct bench_clocks {
  double wall, process, thread; /* seconds; the last two of CPU */
} bench_clocks;

typedef struct bench {
  const char *workload, *endpoint;
  size_t size;      /* bytes of a message, at least 8 */
  uint64_t checked; /* first messages, compared byte by byte and not timed */
  uint64_t counted; /* messages after them, timed */
  int idle;         /* silent sockets to register beside the active one */
  uint64_t seen, bytes;
  bench_clocks start, end;
} bench;

/* DRIVER WORKLOAD ENDPOINT SIZE CHECKED COUNTED [IDLE]; dies when it is not. */
void bench_parse(bench *b, int argc, char **argv);

/* Writes the message to stderr and exits with 3: the run does not count. */
void bench_die(const char *format, ...)
    __attribute__((noreturn, format(printf, 1, 2)));

/* Message `number`: the number in the first 8 bytes, then a fixed pattern. */
void bench_fill(unsigned char *message, size_t size, uint64_t number);

/* Counts a message that arrived; dies when its content is wrong. The last
 * checked one opens the window, the last of all closes it. Returns the number
 * of messages still to come. */
uint64_t bench_take(bench *b, const void *data, size_t size);

/* Dies unless all bytes arrived; prints the result, one line of JSON. */
void bench_report(const bench *b);

#endif
