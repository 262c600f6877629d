/* bench.c - see bench.h. SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "bench.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Without valgrind's headers there is no counting of instructions either. */
#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_ZERO_STATS          (void)0
#define CALLGRIND_DUMP_STATS_AT(name) (void)(name)
#endif

static double seconds(clockid_t id) {
  struct timespec t;
  clock_gettime(id, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

double bench_seconds(void) {
  return seconds(CLOCK_MONOTONIC);
}

static double thread_seconds(void) {
  return seconds(CLOCK_THREAD_CPUTIME_ID);
}

static bench_clocks now(void) {
  return (bench_clocks){bench_seconds(), seconds(CLOCK_PROCESS_CPUTIME_ID),
                        thread_seconds()};
}

void bench_die(const char *format, ...) {
  va_list args;
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
  _exit(3); /* maybe on a thread: nothing else is to end in order */
}

void bench_unknown(const bench *b) {
  bench_die("no workload %s here", b->workload);
}

/* ---- arguments ---------------------------------------------------------- */

static uint64_t number_of(const char *argument, const char *value) {
  char *end;
  uint64_t number = strtoull(value, &end, 10);
  if (end == value || *end != '\0')
    bench_die("a number is wanted: %s", argument);
  return number;
}

static void set(bench *b, const char *argument) {
  const char *value = strchr(argument, '=');
  if (value == NULL)
    bench_die("KEY=VALUE is wanted: %s", argument);
  size_t length = (size_t)(value++ - argument);
#define IS(name) (length == strlen(name) && !strncmp(argument, name, length))
  if (IS("endpoint"))
    b->endpoint = value;
  else if (IS("load"))
    b->load = value;
  else if (IS("connect"))
    b->connect = (int)number_of(argument, value);
  else if (IS("size"))
    b->size = number_of(argument, value);
  else if (IS("checked"))
    b->checked = number_of(argument, value);
  else if (IS("counted"))
    b->counted = number_of(argument, value);
  else if (IS("idle"))
    b->idle = (int)number_of(argument, value);
  else if (IS("unpack"))
    b->unpack = (int)number_of(argument, value);
  else if (IS("green"))
    b->green = (int)number_of(argument, value);
  else if (IS("load_core"))
    b->load_core = (int)number_of(argument, value);
  else if (IS("span_ms"))
    b->span_s = (double)number_of(argument, value) * 1e-3;
  else if (IS("pause_ms"))
    b->pause_s = (double)number_of(argument, value) * 1e-3;
  else
    bench_die("unknown key: %s", argument);
#undef IS
}

void bench_parse(bench *b, int argc, char **argv) {
  if (argc < 2)
    bench_die("usage: %s WORKLOAD [KEY=VALUE...]", argv[0]);
  *b = (bench){.workload = argv[1],
               .size = 16,
               .checked = 1,
               .counted = 1,
               .load_core = -1,
               .span_s = 1};
  for (int i = 2; i < argc && strcmp(argv[i], "--") != 0; i++)
    set(b, argv[i]);
  if (b->size < 8 || b->checked < 1 || b->counted < 1)
    bench_die("size is 8 or more, checked and counted are 1 or more");
}

/* ---- messages ----------------------------------------------------------- */

void bench_fill(unsigned char *message, size_t size, uint64_t number) {
  memcpy(message, &number, sizeof number);
  for (size_t i = sizeof number; i < size; i++)
    message[i] = (unsigned char)(i * 131 + 7);
}

uint64_t bench_flood_number(const bench *b, uint64_t i) {
  return i < b->checked || i == b->checked + b->counted - 1 ? i : b->checked;
}

void bench_compare(const bench *b, uint64_t number, const void *data,
                   size_t size) {
  static _Thread_local unsigned char *expected;
  if (expected == NULL) {
    expected = malloc(b->size);
    if (expected == NULL)
      bench_die("out of memory");
    bench_fill(expected, b->size, number);
  }
  memcpy(expected, &number, sizeof number);
  if (size != b->size || memcmp(data, expected, size) != 0)
    bench_die("%s: message %" PRIu64 " is wrong", b->workload, number);
}

uint64_t bench_count(bench *b, size_t size) {
  uint64_t left = b->checked + b->counted - ++b->seen;
  b->bytes += size;
  if (left == b->counted)
    bench_begin(b);
  else if (left == 0)
    bench_end(b);
  return left;
}

uint64_t bench_take(bench *b, const void *data, size_t size) {
  uint64_t number = b->seen;
  uint64_t left = bench_count(b, size);
  if (number < b->checked || left == 0)
    bench_compare(b, number, data, size);
  return left;
}

/* ---- figures ------------------------------------------------------------ */

void bench_begin(bench *b) {
  b->start = now();
  CALLGRIND_ZERO_STATS;
}

void bench_end(bench *b) {
  CALLGRIND_DUMP_STATS_AT("window");
  b->end = now();
}

void bench_begin_part(bench *b) {
  b->part_start = thread_seconds();
  CALLGRIND_ZERO_STATS;
}

void bench_end_part(bench *b, const char *name, uint64_t count) {
  CALLGRIND_DUMP_STATS_AT(name);
  double passed = thread_seconds() - b->part_start;
  bench_add(b, name, passed / (double)count * 1e9);
}

/* The number in a line "KEY: number kB" of a file of the process, in bytes. */
static double memory(const char *file, const char *key) {
  char line[256];
  double kilobytes = 0;
  FILE *f = fopen(file, "r");
  if (f == NULL)
    bench_die("cannot read %s", file);
  while (fgets(line, sizeof line, f))
    if (!strncmp(line, key, strlen(key)))
      kilobytes += strtod(strchr(line, ':') + 1, NULL);
  fclose(f);
  return kilobytes * 1024;
}

double bench_private_bytes(void) {
  return memory("/proc/self/smaps_rollup", "Private_");
}

double bench_private_bytes_of(int pid) {
  char file[48];
  snprintf(file, sizeof file, "/proc/%d/smaps_rollup", pid);
  return memory(file, "Private_");
}

void bench_add(bench *b, const char *name, double value) {
  if (b->figure_count == BENCH_MAX_FIGURES)
    bench_die("too many figures");
  b->figures[b->figure_count++] = (bench_figure){name, value};
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

void bench_add_percentiles(bench *b, const char *p50, const char *p99,
                           double *values, size_t count) {
  qsort(values, count, sizeof *values, by_value);
  bench_add(b, p50, values[count / 2] * 1e6);
  bench_add(b, p99, values[count * 99 / 100] * 1e6);
}

/* Periods without a tick. A late tick makes a long gap and a short one, so what
 * is far from whole periods is looked at together with the next gap. A tick too
 * many only makes up for one that was missed. */
static double missed_periods(const double *ticks, size_t count, double period) {
  double missed = 0;
  for (size_t i = 1, first = 0; i < count; i++) {
    double passed = (ticks[i] - ticks[first]) / period;
    if (fabs(passed - round(passed)) > 0.25)
      continue;
    missed = fmax(0, missed + round(passed) - (double)(i - first));
    first = i;
  }
  return missed;
}

void bench_add_ticks(bench *b, const double *ticks, size_t count, double start,
                     double period) {
  double *jitter = calloc(count, sizeof *jitter);
  if (jitter == NULL || count < 2)
    bench_die("ticks: %zu", count);
  for (size_t i = 1; i < count; i++)
    jitter[i - 1] = fabs(ticks[i] - ticks[i - 1] - period);
  bench_add_percentiles(b, "jitter_p50_us", "jitter_p99_us", jitter, count - 1);
  free(jitter);
  double missed = missed_periods(ticks, count, period);
  double periods = (double)(count - 1) + missed;
  bench_add(b, "drift_ms",
            (ticks[count - 1] - ticks[0] - periods * period) * 1e3);
  bench_add(b, "missed", missed);
  bench_add(b, "first_late_us", (ticks[0] - start - period) * 1e6);
}

void bench_report(const bench *b) {
  if (b->bytes != b->seen * b->size)
    bench_die("%s: %" PRIu64 " bytes in %" PRIu64 " messages", b->workload,
              b->bytes, b->seen);
  printf("{\"messages\": %" PRIu64 ", \"seconds\": %.6f, \"cpu_s\": %.6f, "
         "\"loop_cpu_s\": %.6f, \"peak_kb\": %.0f",
         b->counted, b->end.wall - b->start.wall,
         b->end.process - b->start.process, b->end.thread - b->start.thread,
         memory("/proc/self/status", "VmHWM:") / 1024);
  for (int i = 0; i < b->figure_count; i++)
    printf(", \"%s\": %.6g", b->figures[i].name, b->figures[i].value);
  printf("}\n");
}
