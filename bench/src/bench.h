/* bench.h - what the drivers and the load generator share: arguments, content
 * of the messages, the measured window, the line with the result.
 * SPDX-License-Identifier: MIT */
#ifndef BENCH_H
#define BENCH_H

#include <stddef.h>
#include <stdint.h>

enum { BENCH_MAX_FIGURES = 12 };

typedef struct bench_clocks {
  double wall, process, thread; /* seconds; the last two of CPU */
} bench_clocks;

typedef struct bench_figure {
  const char *name;
  double value;
} bench_figure;

typedef struct bench {
  const char *workload;
  const char *endpoint; /* to bind, or with `connect` to connect to */
  int connect;
  size_t size;      /* bytes of a message, at least 8 */
  uint64_t checked; /* first messages, compared byte by byte and not timed */
  uint64_t counted; /* messages after them, timed; or timers, callbacks */
  int idle;         /* silent sockets to register beside the active one */
  int unpack;       /* on_recv with unpack=true */
  int green;        /* a task with a green socket */
  double span_s;    /* what timers are spread over; key `span_ms` */
  double pause_s;   /* what the load waits, see load.h; key `pause_ms` */
  const char *load; /* mode of a load to run on a thread of its own, or NULL */
  int load_core;    /* where that thread is to run; -1: where all do */
  uint64_t seen, bytes;
  bench_clocks start, end;
  double part_start;
  bench_figure figures[BENCH_MAX_FIGURES]; /* further ones, to be reported */
  int figure_count;
} bench;

/* DRIVER WORKLOAD [KEY=VALUE...] [-- ...] with the fields above; dies when it
 * is not. */
void bench_parse(bench *b, int argc, char **argv);

/* Writes the message to stderr and exits with 3: the run does not count. */
void bench_die(const char *format, ...)
    __attribute__((noreturn, format(printf, 1, 2)));

/* Dies, as a driver that lacks the workload. */
void bench_unknown(const bench *b) __attribute__((noreturn));

/* Message `number`: the number in the first 8 bytes, then a fixed pattern. */
void bench_fill(unsigned char *message, size_t size, uint64_t number);

/* The number of the i-th message of a flood: the counted ones but the last are
 * all the same. */
uint64_t bench_flood_number(const bench *b, uint64_t i);

/* Dies unless it is message `number`. */
void bench_compare(const bench *b, uint64_t number, const void *data,
                   size_t size);

/* Counts a message without looking into it; else as bench_take(). */
uint64_t bench_count(bench *b, size_t size);

/* Counts a message that arrived; dies when its content is wrong. The last
 * checked one opens the window, the last of all closes it. Returns the number
 * of messages still to come. */
uint64_t bench_take(bench *b, const void *data, size_t size);

/* Open and close the window by hand. Callgrind dumps it under that name. */
void bench_begin(bench *b);
void bench_end(bench *b);

/* A part of the run with a figure of its own: nanoseconds of CPU of this thread
 * for each of count items. Callgrind dumps it under the figure's name. */
void bench_begin_part(bench *b);
void bench_end_part(bench *b, const char *name, uint64_t count);

/* Monotonic. */
double bench_seconds(void);

/* Private memory of this process, or of another one, in bytes. */
double bench_private_bytes(void);
double bench_private_bytes_of(int pid);

/* Adds a figure to the result. The name is borrowed. */
void bench_add(bench *b, const char *name, double value);

/* Adds what ticks[0..count) say about a period that began at `start`: jitter,
 * how far the gaps between ticks are from the period; missed, the periods
 * without a tick; and drift, how much later than the first tick the last one is
 * for its place, the missed ones counted. Seconds. */
void bench_add_ticks(bench *b, const double *ticks, size_t count, double start,
                     double period);

/* Adds the median and the 99th percentile of values, which it sorts, in
 * microseconds. */
void bench_add_percentiles(bench *b, const char *p50, const char *p99,
                           double *seconds, size_t count);

/* Dies unless all bytes arrived; prints the result, one line of JSON. */
void bench_report(const bench *b);

#endif
