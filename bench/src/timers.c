/* timers.c - see timers.h. SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "timers.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* None is to be due while they are created and cancelled. */
static const double FIRST = 0.2, HOUR_S = 3600; /* the first one: of the span */

static const timers_peer *peer;
static uint64_t fired, expected;
static bool (*wanted)(size_t index);

static bool each(size_t index) {
  (void)index;
  return true;
}

static bool every_tenth(size_t index) {
  return index % 10 == 0;
}

void timers_fired(size_t index) {
  if (!wanted(index))
    bench_die("timer %zu was cancelled and fired", index);
  if (++fired == expected)
    peer->stop();
}

static void create(bench *b) {
  double before_bytes = bench_private_bytes();
  bench_begin_part(b);
  for (size_t i = 0; i < b->counted; i++)
    peer->create(i, (FIRST + drand48()) * b->span_s);
  bench_end_part(b, "create_ns", b->counted);
  bench_add(b, "bytes",
            (bench_private_bytes() - before_bytes) / (double)b->counted);
}

static void cancel(bench *b) {
  bench_begin_part(b);
  for (size_t i = 0; i < b->counted; i++)
    if (!wanted(i))
      peer->cancel(i);
  bench_end_part(b, "cancel_ns", b->counted - expected);
}

static void one_shot(bench *b, bool due) {
  create(b);
  if (wanted != each)
    cancel(b);
  if (due)
    usleep((useconds_t)((FIRST + 1) * b->span_s * 1e6));
  bench_begin(b);
  peer->run();
  bench_end(b);
  if (fired != expected)
    bench_die("%" PRIu64 " of %" PRIu64 " timers fired", fired, expected);
  bench_add(b, "fire_ns",
            (b->end.thread - b->start.thread) / (double)fired * 1e9);
}

/* The last timer is the one that stops the loop. */
static void pending(bench *b) {
  for (size_t i = 0; i < b->counted; i++)
    peer->create(i, HOUR_S);
  peer->create(b->counted, b->span_s);
  expected = 1;
  bench_begin(b);
  peer->run();
  bench_end(b);
  if (fired != 1)
    bench_die("a timer fired an hour early");
}

bool timers_run(bench *b, const timers_peer *p) {
  peer = p;
  wanted = strcmp(b->workload, "all_due") == 0 ? each : every_tenth;
  expected = wanted == each ? b->counted : (b->counted + 9) / 10;
  srand48(42);
  if (strcmp(b->workload, "timers") == 0)
    one_shot(b, false);
  else if (strcmp(b->workload, "due") == 0 || wanted == each)
    one_shot(b, true);
  else if (strcmp(b->workload, "pending") == 0)
    pending(b);
  else
    return false;
  return true;
}
