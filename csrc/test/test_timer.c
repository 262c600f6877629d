/* test_timer.c - order, lateness and lifetime of timers.
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "support/alloc.h"
#include "support/clock.h"
#include "test.h"
#include "zmqloop_batch.h"

enum { MAX_CALLS = 64 };

/* What was called, as letters; each timer's arg is a `probe`. */
typedef struct record {
  char calls[MAX_CALLS];
  int count;
} record;

typedef struct probe {
  record *record;
  char letter;
  uint64_t missed;
  zl_timer *timer;
  /* What its callback does. */
  zl_timer *cancels;
  zl_timer *closes;
  zl_timer *starts;
  int64_t delay;
} probe;

static void note(record *r, char letter) {
  CHECK(r->count < MAX_CALLS - 1);
  r->calls[r->count] = letter;
  r->count++;
  r->calls[r->count] = '\0';
}

static void on_timer(zl_timer *timer, uint64_t missed, void *arg) {
  probe *p = arg;
  CHECK(timer == p->timer);
  p->missed = missed;
  note(p->record, p->letter);
  if (p->cancels) {
    zl_timer_cancel(p->cancels);
  }
  if (p->closes) {
    zl_timer_close(p->closes);
    p->closes = NULL;
  }
  if (p->starts) {
    CHECK_INT(zl_timer_start(p->starts, p->delay, 0), 0);
  }
}

static void new_probes(zl_loop *loop, record *r, probe *probes, int count) {
  memset(r, 0, sizeof *r);
  for (int i = 0; i < count; i++) {
    memset(&probes[i], 0, sizeof probes[i]);
    probes[i].record = r;
    probes[i].letter = (char)('a' + i);
    CHECK_INT(zl_timer_new(loop, on_timer, &probes[i], &probes[i].timer), 0);
    CHECK(!zl_timer_active(probes[i].timer));
  }
}

/* Moves the clock and steps once; returns the letters called since the last
 * time. */
static const char *calls_at(zl_loop *loop, virtual_clock *clock, record *r,
                            int64_t now) {
  r->count = 0;
  r->calls[0] = '\0';
  clock->now = now;
  CHECK(zl_loop_step(loop, 0, NULL) >= 0);
  verify_loop(loop);
  return r->calls;
}

#define CHECK_CALLS(now, letters)                                              \
  CHECK(!strcmp(calls_at(loop, &clock, &r, now), letters))

static void test_timer_fires_by_deadline(void) {
  virtual_clock clock = {100};
  zl_loop *loop = virtual_loop(&clock);
  record r;
  probe p[3];
  new_probes(loop, &r, p, 3);
  CHECK_INT(zl_timer_start(p[0].timer, 30, 0), 0);
  CHECK_INT(zl_timer_start(p[1].timer, 10, 0), 0);
  CHECK_INT(zl_timer_start_at(p[2].timer, 120, 0), 0);
  CHECK_INT(zl_timer_deadline_ns(p[0].timer), 130);
  CHECK_CALLS(109, "");
  CHECK_CALLS(110, "b");
  CHECK(!zl_timer_active(p[1].timer));
  CHECK_INT(zl_timer_deadline_ns(p[1].timer), ZL_FOREVER);
  CHECK(zl_timer_active(p[0].timer));
  CHECK_CALLS(200, "ca");
  CHECK_CALLS(300, "");
  CHECK(!zl_loop_alive(loop));
  close_loop(loop);
}

static void test_timer_fires_in_start_order(void) {
  virtual_clock clock = {0};
  zl_loop *loop = virtual_loop(&clock);
  record r;
  probe p[7];
  static const int order[7] = {4, 1, 6, 0, 5, 2, 3};
  new_probes(loop, &r, p, 7);
  for (int i = 0; i < 7; i++) {
    CHECK_INT(zl_timer_start_at(p[order[i]].timer, 50, 0), 0);
  }
  CHECK_CALLS(50, "ebgafcd");
  close_loop(loop);
}

static void test_timer_restarted_moves_behind_its_equals(void) {
  virtual_clock clock = {0};
  zl_loop *loop = virtual_loop(&clock);
  record r;
  probe p[4];
  new_probes(loop, &r, p, 4);
  for (int i = 0; i < 4; i++) {
    CHECK_INT(zl_timer_start_at(p[i].timer, 50, 0), 0);
  }
  CHECK_INT(zl_timer_start_at(p[0].timer, 50, 0), 0);
  verify_loop(loop);
  CHECK_CALLS(60, "bcda");
  close_loop(loop);
}

static void test_timer_started_in_a_pass_waits_for_the_next(void) {
  virtual_clock clock = {0};
  zl_loop *loop = virtual_loop(&clock);
  record r;
  probe p[3];
  new_probes(loop, &r, p, 3);
  p[0].starts = p[2].timer; /* another one, at once */
  p[1].starts = p[1].timer; /* itself, at once */
  p[1].delay = -5;
  CHECK_INT(zl_timer_start(p[0].timer, 1, 0), 0);
  CHECK_INT(zl_timer_start(p[1].timer, 2, 0), 0);
  CHECK_CALLS(10, "ab");
  CHECK_CALLS(10, "bc");
  p[1].starts = NULL;
  CHECK_CALLS(10, "b");
  CHECK_CALLS(10, "");
  close_loop(loop);
}

static void test_timer_restarted_by_an_earlier_one_waits(void) {
  virtual_clock clock = {0};
  zl_loop *loop = virtual_loop(&clock);
  record r;
  probe p[3];
  new_probes(loop, &r, p, 3);
  p[0].starts = p[1].timer; /* both are due in the same pass */
  for (int i = 0; i < 3; i++) {
    CHECK_INT(zl_timer_start(p[i].timer, 1, 0), 0);
  }
  CHECK_CALLS(10, "ac");
  CHECK_CALLS(10, "b");
  close_loop(loop);
}

static void test_timer_cancelled_by_an_earlier_one_of_its_batch(void) {
  virtual_clock clock = {0};
  zl_loop *loop = virtual_loop(&clock);
  record r;
  probe p[3];
  new_probes(loop, &r, p, 3);
  p[0].cancels = p[1].timer;
  for (int i = 0; i < 3; i++) {
    CHECK_INT(zl_timer_start(p[i].timer, 1, 0), 0);
  }
  CHECK_CALLS(10, "ac");
  CHECK(!zl_timer_active(p[1].timer));
  CHECK_CALLS(20, "");
  close_loop(loop);
}

static void test_timer_cancels_itself(void) {
  virtual_clock clock = {0};
  zl_loop *loop = virtual_loop(&clock);
  record r;
  probe p[2];
  new_probes(loop, &r, p, 2);
  p[0].cancels = p[0].timer;
  p[1].cancels = p[1].timer;
  CHECK_INT(zl_timer_start(p[0].timer, 1, 5), 0);
  CHECK_INT(zl_timer_start(p[1].timer, 1, 0), 0);
  CHECK_CALLS(10, "ab");
  CHECK(!zl_timer_active(p[0].timer));
  CHECK_CALLS(100, "");
  close_loop(loop);
}

static void test_timer_close_in_own_callback(void) {
  virtual_clock clock = {0};
  zl_loop *loop = virtual_loop(&clock);
  record r;
  probe p[2];
  new_probes(loop, &r, p, 2);
  p[0].closes = p[0].timer;
  p[1].closes = p[1].timer;
  CHECK_INT(zl_timer_start(p[0].timer, 1, 5), 0);
  CHECK_INT(zl_timer_start(p[1].timer, 1, 0), 0);
  CHECK_CALLS(10, "ab");
  CHECK_CALLS(100, "");
  CHECK(!zl_loop_alive(loop));
  close_loop(loop);
}

static void test_timer_close_of_a_due_neighbour(void) {
  virtual_clock clock = {0};
  zl_loop *loop = virtual_loop(&clock);
  record r;
  probe p[3];
  new_probes(loop, &r, p, 3);
  p[0].closes = p[1].timer;
  p[2].closes = p[0].timer; /* one that has been called already */
  for (int i = 0; i < 3; i++) {
    CHECK_INT(zl_timer_start(p[i].timer, 1, 0), 0);
  }
  CHECK_CALLS(10, "ac");
  close_loop(loop);
}

static void test_timer_stays_on_its_grid(void) {
  virtual_clock clock = {0};
  zl_loop *loop = virtual_loop(&clock);
  record r;
  probe p[1];
  new_probes(loop, &r, p, 1);
  CHECK_INT(zl_timer_start_at(p[0].timer, 100, 10), 0);
  CHECK_CALLS(99, "");
  CHECK_CALLS(103, "a");
  CHECK_INT(p[0].missed, 0);
  CHECK_INT(zl_timer_deadline_ns(p[0].timer), 110);
  CHECK_CALLS(110, "a");
  CHECK_INT(p[0].missed, 0);
  CHECK_CALLS(119, "");
  CHECK_CALLS(165, "a"); /* in place of 120, 130, 140, 150 and 160 */
  CHECK_INT(p[0].missed, 4);
  CHECK_INT(zl_timer_deadline_ns(p[0].timer), 170);
  CHECK_CALLS(180, "a");
  CHECK_INT(p[0].missed, 1);
  CHECK_INT(zl_timer_deadline_ns(p[0].timer), 190);
  CHECK(zl_timer_active(p[0].timer));
  close_loop(loop);
}

static void test_timer_again_keeps_its_period(void) {
  virtual_clock clock = {0};
  zl_loop *loop = virtual_loop(&clock);
  record r;
  probe p[1];
  new_probes(loop, &r, p, 1);
  CHECK_INT(zl_timer_start(p[0].timer, 5, 10), 0);
  zl_timer_cancel(p[0].timer);
  clock.now = 100;
  CHECK_INT(zl_timer_again(p[0].timer, 3), 0);
  CHECK_CALLS(102, "");
  CHECK_CALLS(103, "a");
  CHECK_CALLS(113, "a");
  close_loop(loop);
}

static void test_timer_moved_later_and_earlier(void) {
  virtual_clock clock = {0};
  zl_loop *loop = virtual_loop(&clock);
  record r;
  probe p[4];
  new_probes(loop, &r, p, 4);
  for (int i = 0; i < 4; i++) {
    CHECK_INT(zl_timer_start_at(p[i].timer, 10 + i, 0), 0);
  }
  CHECK_INT(zl_timer_start_at(p[0].timer, 30, 0), 0);
  CHECK_INT(zl_timer_start_at(p[0].timer, 40, 0), 0);
  CHECK_INT(zl_timer_start_at(p[3].timer, 5, 0), 0);
  verify_loop(loop);
  CHECK_INT(zl_timer_deadline_ns(p[0].timer), 40);
  CHECK_CALLS(5, "d");
  CHECK_CALLS(20, "bc");
  CHECK_INT(zl_timer_start_at(p[0].timer, 25, 0), 0);
  CHECK_CALLS(24, "");
  CHECK_CALLS(25, "a");
  CHECK_CALLS(99, "");
  close_loop(loop);
}

/* A restart gives a timer a later place among those of its deadline, in the
 * heap as well, although its entry there stays for now. */
static void test_timer_moved_later_does_not_disturb_its_equals(void) {
  virtual_clock clock = {0};
  zl_loop *loop = virtual_loop(&clock);
  record r;
  probe p[12];
  new_probes(loop, &r, p, 12);
  for (int i = 0; i < 12; i++) {
    CHECK_INT(zl_timer_start_at(p[i].timer, 10, 0), 0);
  }
  for (int i = 0; i < 3; i++) {
    CHECK_INT(zl_timer_start_at(p[i].timer, 20, 0), 0);
    verify_loop(loop);
  }
  CHECK_CALLS(10, "defghijkl");
  CHECK_CALLS(20, "abc");
  close_loop(loop);
}

static void test_timer_of_a_far_deadline_does_not_overflow(void) {
  virtual_clock clock = {1000};
  zl_loop *loop = virtual_loop(&clock);
  record r;
  probe p[2];
  new_probes(loop, &r, p, 2);
  CHECK_INT(zl_timer_start(p[0].timer, ZL_FOREVER, 0), 0);
  CHECK_INT(zl_timer_deadline_ns(p[0].timer), ZL_FOREVER);
  CHECK(zl_timer_active(p[0].timer));
  CHECK_INT(zl_timer_start(p[1].timer, 1, ZL_FOREVER), 0);
  CHECK_CALLS(1001, "b");
  CHECK_CALLS(INT64_MAX / 2, "");
  CHECK_INT(zl_timer_start_at(p[1].timer, INT64_MIN, 0), 0);
  CHECK_CALLS(INT64_MAX / 2, "b");
  CHECK_INT(zl_timer_start_at(p[1].timer, INT64_MIN, 0), 0);
  CHECK_CALLS(INT64_MAX / 2, "b");
  zl_stats stats;
  zl_loop_stats(loop, &stats);
  CHECK_INT(stats.lateness_ns, ZL_FOREVER); /* the largest number */
  close_loop(loop);
}

static void test_timer_refuses_a_negative_period(void) {
  virtual_clock clock = {0};
  zl_loop *loop = virtual_loop(&clock);
  record r;
  probe p[1];
  new_probes(loop, &r, p, 1);
  CHECK_INT(zl_timer_start(p[0].timer, 1, -1), -EINVAL);
  CHECK(!zl_timer_active(p[0].timer));
  CHECK_INT(zl_timer_start_at(p[0].timer, 1, -1), -EINVAL);
  CHECK_CALLS(10, "");
  close_loop(loop);
}

static void test_timer_cancel_and_close_of_nothing(void) {
  virtual_clock clock = {0};
  zl_loop *loop = virtual_loop(&clock);
  record r;
  probe p[1];
  new_probes(loop, &r, p, 1);
  zl_timer_cancel(p[0].timer);
  zl_timer_cancel(p[0].timer);
  zl_timer_close(NULL);
  zl_timer_close(p[0].timer);
  close_loop(loop);
}

static void test_timer_only_one_removed_then_run(void) {
  zl_loop *loop = new_loop();
  record r;
  probe p[1];
  new_probes(loop, &r, p, 1);
  CHECK_INT(zl_timer_start(p[0].timer, 3600 * SECONDS, 0), 0);
  CHECK(zl_loop_alive(loop));
  zl_timer_cancel(p[0].timer);
  CHECK(!zl_loop_alive(loop));
  CHECK_INT(zl_loop_run(loop, ZL_RUN_ALIVE), 0);
  CHECK_INT(zl_timer_start(p[0].timer, 3600 * SECONDS, 0), 0);
  zl_timer_close(p[0].timer);
  CHECK_INT(zl_loop_run(loop, ZL_RUN_ALIVE), 0);
  CHECK_INT(r.count, 0);
  close_loop(loop);
}

enum { CROWD = 100000 };

static zl_timer *crowd[CROWD];

/* Half of them are cancelled by the first, in reverse order. */
static void on_crowd(zl_timer *timer, uint64_t missed, void *arg) {
  int *fired = arg;
  (void)timer;
  (void)missed;
  if (*fired == 0) {
    for (int i = CROWD - 1; i > 0; i -= 2) {
      zl_timer_cancel(crowd[i]);
    }
  }
  ++*fired;
}

static void test_timer_a_hundred_thousand(void) {
  virtual_clock clock = {0};
  zl_loop *loop = virtual_loop(&clock);
  int fired = 0;
  for (int i = 0; i < CROWD; i++) {
    CHECK_INT(zl_timer_new(loop, on_crowd, &fired, &crowd[i]), 0);
    CHECK_INT(zl_timer_start_at(crowd[i], 10 + i % 100, 0), 0);
  }
  clock.now = 50;
  CHECK(zl_loop_step(loop, 0, NULL) >= 0);
  verify_loop(loop);
  clock.now = 1000;
  CHECK(zl_loop_step(loop, 0, NULL) >= 0);
  CHECK_INT(fired, CROWD / 2);
  for (int i = 0; i < CROWD; i += 2) {
    zl_timer_close(crowd[i]);
  }
  close_loop(loop);
}

/* The last one called: the next one must not precede it. */
static struct {
  int64_t deadline[CROWD];
  int last;
  int fired;
} crowded;

static void on_crowded(zl_timer *timer, uint64_t missed, void *arg) {
  int i = (int)((zl_timer **)arg - crowd);
  int last = crowded.last;
  CHECK(timer == crowd[i]);
  CHECK_INT(missed, 0);
  CHECK(last < 0 || crowded.deadline[last] < crowded.deadline[i] ||
        (crowded.deadline[last] == crowded.deadline[i] && last < i));
  crowded.last = i;
  crowded.fired++;
}

/* Deadlines of many timers that are due together. */
static int64_t pattern_deadline(int pattern, int i, int count) {
  switch (pattern) {
  case 0: return i;
  case 1: return count - i;
  case 2: return 7;
  case 3: return i % 10;
  case 4: return i < count / 2 ? i : count - i; /* up and down */
  case 5: return (int64_t)i * 7919 % count;
  case 6: return i % 2 ? i : 0;
  default: /* bad for a median of three */
    return i % 2 ? count / 2 + i / 2 : i / 2 * (i / 2 % 2 ? 1 : -1);
  }
}

static void check_crowd(int pattern, int count, int later) {
  virtual_clock clock = {0};
  zl_loop *loop = virtual_loop(&clock);
  crowded.last = -1;
  crowded.fired = 0;
  for (int i = 0; i < count; i++) {
    crowded.deadline[i] = 10 + count + pattern_deadline(pattern, i, count);
    CHECK_INT(zl_timer_new(loop, on_crowded, &crowd[i], &crowd[i]), 0);
  }
  for (int i = 0; i < count; i++) {
    int64_t first = crowded.deadline[i] - (later ? i % 5 : 0);
    CHECK_INT(zl_timer_start_at(crowd[i], first, 0), 0);
  }
  for (int i = 0; later && i < count; i++) { /* with their former keys */
    CHECK_INT(zl_timer_start_at(crowd[i], crowded.deadline[i], 0), 0);
  }
  for (int i = 0; i < count; i++) {
    if (i % 7 == 3) {
      zl_timer_cancel(crowd[i]);
    }
  }
  verify_loop(loop);
  clock.now = 10 + count + count / 2;
  CHECK(zl_loop_step(loop, 0, NULL) >= 0);
  verify_loop(loop);
  clock.now = 100 + 3 * count;
  CHECK(zl_loop_step(loop, 0, NULL) >= 0);
  CHECK_INT(crowded.fired, count - (count + 3) / 7);
  close_loop(loop);
}

static void test_timer_crowds_in_any_order(void) {
  static const int counts[] = {1, 15, 40, 1000, 5000};
  for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
    for (int pattern = 0; pattern < 8; pattern++) {
      check_crowd(pattern, counts[i], 0);
      check_crowd(pattern, counts[i], 1);
    }
  }
}

static void test_timer_cancelled_ones_leave_no_room_taken(void) {
  test_alloc memory = {.bytes = 0};
  zl_config config = {
      .size = sizeof config, .alloc = test_alloc_fn, .alloc_ud = &memory};
  zl_loop *loop;
  CHECK_INT(zl_loop_new(&config, &loop), 0);
  for (int i = 0; i < 100; i++) {
    CHECK_INT(zl_timer_new(loop, on_crowd, NULL, &crowd[i]), 0);
    CHECK_INT(zl_timer_start(crowd[i], (3600 - i) * SECONDS, 0), 0);
  }
  size_t before = memory.bytes;
  for (int i = 0; i < CROWD; i++) {
    zl_timer *timer = crowd[i % 97];
    zl_timer_cancel(timer);
    CHECK_INT(zl_timer_start(timer, (3600 + i % 7) * SECONDS, 0), 0);
  }
  verify_loop(loop);
  CHECK(memory.bytes <= 2 * before);
  close_loop(loop);
}

/* ---- several in one call ------------------------------------------------- */

static struct {
  record record;
  zl_timer *other; /* of another function */
  zl_timer *cancelled;
  int calls;
  int breaks_after; /* this many calls; 0: never */
  int64_t slow;     /* time that passes in each */
  virtual_clock clock;
} batch;

static void on_other(zl_timer *timer, uint64_t missed, void *arg) {
  (void)timer;
  (void)missed;
  (void)arg;
  note(&batch.record, '+');
}

static void on_batch(zl_timer *timer, uint64_t missed, void *arg) {
  zl_loop *loop = zl_timer_loop(timer);
  (void)arg;
  batch.calls++;
  note(&batch.record, '(');
  while (timer) {
    note(&batch.record, *(char *)zl_timer_arg(timer));
    CHECK(!zl_timer_active(timer) || missed == 2);
    if (batch.cancelled) {
      zl_timer_cancel(batch.cancelled);
    }
    if (batch.breaks_after > 0 && --batch.breaks_after == 0) {
      zl_loop_break(loop);
    }
    batch.clock.now += batch.slow;
    timer = zl_timer_next(loop, on_batch, &missed);
  }
  note(&batch.record, ')');
}

/* Timers a to e at 1 to 5, and one of another function. */
static zl_loop *batch_loop(int64_t other_deadline, zl_timer **timers) {
  static char letters[] = "abcde";
  memset(&batch, 0, sizeof batch);
  zl_loop *loop = virtual_loop(&batch.clock);
  for (int i = 0; i < 5; i++) {
    CHECK_INT(zl_timer_new(loop, on_batch, &letters[i], &timers[i]), 0);
    CHECK_INT(zl_timer_start_at(timers[i], 10 * i, 0), 0);
  }
  CHECK_INT(zl_timer_new(loop, on_other, NULL, &batch.other), 0);
  CHECK_INT(zl_timer_start_at(batch.other, other_deadline, 0), 0);
  batch.clock.now = 50;
  return loop;
}

static const char *step_batch(zl_loop *loop, const zl_budget *budget) {
  batch.record.count = 0;
  batch.record.calls[0] = '\0';
  (void)zl_loop_step(loop, 0, budget);
  verify_loop(loop);
  return batch.record.calls;
}

static void test_timer_next_takes_those_of_its_function(void) {
  zl_timer *timers[5];
  zl_loop *loop = batch_loop(25, timers);
  CHECK(!strcmp(step_batch(loop, NULL), "(abc)+(de)"));
  zl_stats stats;
  zl_loop_stats(loop, &stats);
  CHECK_INT(stats.timers, 6);
  close_loop(loop);
}

static void test_timer_next_skips_what_was_cancelled_meanwhile(void) {
  zl_timer *timers[5];
  zl_loop *loop = batch_loop(100, timers);
  batch.cancelled = timers[2];
  CHECK(!strcmp(step_batch(loop, NULL), "(abde)"));
  close_loop(loop);
}

static void test_timer_next_rearms_periodic_ones(void) {
  zl_timer *timers[5];
  zl_loop *loop = batch_loop(100, timers);
  CHECK_INT(zl_timer_start_at(timers[1], 10, 15), 0);
  CHECK(!strcmp(step_batch(loop, NULL), "(abcde)"));
  CHECK_INT(zl_timer_deadline_ns(timers[1]), 55);
  close_loop(loop);
}

static void test_timer_next_keeps_to_the_budget(void) {
  zl_timer *timers[5];
  zl_loop *loop = batch_loop(100, timers);
  CHECK(!strcmp(step_batch(loop, &(zl_budget){.events = 2}), "(ab)"));
  batch.slow = 1;
  CHECK(!strcmp(step_batch(loop, &(zl_budget){.time_ns = 2}), "(cd)"));
  CHECK(!strcmp(step_batch(loop, NULL), "(e)"));
  close_loop(loop);
}

static void test_timer_next_ends_at_a_break(void) {
  zl_timer *timers[5];
  zl_loop *loop = batch_loop(100, timers);
  batch.breaks_after = 3;
  CHECK(!strcmp(step_batch(loop, NULL), "(abc)"));
  CHECK(!strcmp(step_batch(loop, NULL), "(de)"));
  close_loop(loop);
}

/* ---- the real clock ----------------------------------------------------- */

typedef struct punctual {
  int64_t deadline;
  int fired;
} punctual;

static zl_loop *punctual_loop;

static void on_punctual(zl_timer *timer, uint64_t missed, void *arg) {
  punctual *p = arg;
  CHECK(zl_loop_time_ns(punctual_loop) >= p->deadline);
  (void)timer;
  (void)missed;
  p->fired++;
}

static void test_timer_is_never_early(void) {
  static const int64_t delays[] = {
      0, 1, 999, 50000, 999999, 1000001, 1500000, 2999999, 7654321, 12000000};
  enum { COUNT = sizeof delays / sizeof *delays };
  punctual p[COUNT];
  static const int backends[] = {ZL_BACKEND_DEFAULT, ZL_BACKEND_POLL};
  for (int b = 0; b < 2; b++) {
    zl_config config = {.size = sizeof config, .backend = backends[b]};
    CHECK_INT(zl_loop_new(&config, &punctual_loop), 0);
    for (int i = 0; i < COUNT; i++) {
      zl_timer *timer;
      p[i].fired = 0;
      CHECK_INT(zl_timer_new(punctual_loop, on_punctual, &p[i], &timer), 0);
      p[i].deadline = zl_loop_time_ns(punctual_loop) + delays[i];
      CHECK_INT(zl_timer_start(timer, delays[i], 0), 0);
      CHECK(zl_timer_deadline_ns(timer) >= p[i].deadline);
    }
    CHECK_INT(zl_loop_run(punctual_loop, ZL_RUN_ALIVE), 0);
    for (int i = 0; i < COUNT; i++) {
      CHECK_INT(p[i].fired, 1);
    }
    close_loop(punctual_loop);
  }
}

/* ---- random operations against a sorted array --------------------------- */

enum { POOL = 61, OPERATIONS = 100000, SPAN = 40 };

typedef struct model_timer {
  zl_timer *timer;
  int active;
  int due; /* in the current pass */
  int64_t deadline;
  int64_t period;
  uint64_t start;
} model_timer;

static struct {
  virtual_clock clock;
  zl_loop *loop;
  model_timer timers[POOL];
  uint64_t starts;
  uint64_t seed;
  int fired;
} model;

static int dice(int sides) {
  model.seed = model.seed * UINT64_C(6364136223846793005) +
               UINT64_C(1442695040888963407);
  return (int)((model.seed >> 33) % (unsigned)sides);
}

static void model_start(model_timer *t, int64_t deadline, int64_t period) {
  CHECK_INT(zl_timer_start_at(t->timer, deadline, period), 0);
  t->active = 1;
  t->due = 0;
  t->deadline = deadline;
  t->period = period;
  t->start = model.starts++;
}

static void model_cancel(model_timer *t) {
  zl_timer_cancel(t->timer);
  t->active = 0;
  t->due = 0;
}

static void model_operation(void) {
  model_timer *t = &model.timers[dice(POOL)];
  int64_t now = model.clock.now;
  switch (dice(6)) {
  case 0: model_cancel(t); break;
  case 1: model_start(t, now + dice(SPAN), 1 + dice(SPAN)); break;
  case 2: model_start(t, now - dice(SPAN), 0); break;
  case 3: /* later, if it is active */
    model_start(t, (t->active ? t->deadline : now) + dice(SPAN), 0);
    break;
  default: model_start(t, now + dice(SPAN), 0); break;
  }
}

static int by_deadline_and_start(const void *a, const void *b) {
  const model_timer *x = *(model_timer *const *)a;
  const model_timer *y = *(model_timer *const *)b;
  if (x->deadline != y->deadline) {
    return x->deadline < y->deadline ? -1 : 1;
  }
  return x->start < y->start ? -1 : 1;
}

/* The first of those due that has not been called. */
static model_timer *model_next(void) {
  model_timer *sorted[POOL];
  size_t count = 0;
  for (int i = 0; i < POOL; i++) {
    if (model.timers[i].due) {
      sorted[count++] = &model.timers[i];
    }
  }
  qsort(sorted, count, sizeof(model_timer *), by_deadline_and_start);
  return count ? sorted[0] : NULL;
}

static void on_model(zl_timer *timer, uint64_t missed, void *arg) {
  model_timer *t = arg;
  int64_t now = model.clock.now;
  CHECK(t == model_next());
  CHECK(timer == t->timer);
  CHECK(t->active && now >= t->deadline);
  t->due = 0;
  model.fired++;
  if (t->period) {
    int64_t skipped = (now - t->deadline) / t->period;
    CHECK_INT(missed, skipped);
    t->deadline += (skipped + 1) * t->period;
    t->start = model.starts++;
    CHECK_INT(zl_timer_deadline_ns(timer), t->deadline);
  } else {
    CHECK_INT(missed, 0);
    t->active = 0;
  }
  if (dice(3) == 0) {
    model_operation();
  }
}

static void model_pass(void) {
  model.clock.now += dice(SPAN / 2);
  for (int i = 0; i < POOL; i++) {
    model_timer *t = &model.timers[i];
    t->due = t->active && t->deadline <= model.clock.now;
  }
  CHECK(zl_loop_step(model.loop, 0, NULL) >= 0);
  CHECK(!model_next());
}

static void test_timer_agrees_with_a_sorted_array(void) {
  memset(&model, 0, sizeof model);
  model.seed = 20240229;
  model.loop = virtual_loop(&model.clock);
  for (int i = 0; i < POOL; i++) {
    CHECK_INT(zl_timer_new(model.loop, on_model, &model.timers[i],
                           &model.timers[i].timer),
              0);
  }
  for (int i = 0; i < OPERATIONS; i++) {
    model_operation();
    if (dice(4) == 0) {
      verify_loop(model.loop);
    }
    if (dice(8) == 0) {
      model_pass();
    }
    model_timer *t = &model.timers[dice(POOL)];
    CHECK_INT(zl_timer_active(t->timer), t->active);
    CHECK_INT(zl_timer_deadline_ns(t->timer),
              t->active ? t->deadline : ZL_FOREVER);
  }
  CHECK(model.fired > OPERATIONS / 10);
  close_loop(model.loop);
}

/* ---- timers in the caller's memory -------------------------------------- */

typedef struct owner {
  zl_timer_memory memory;
  int calls;
} owner;

static void on_owner(zl_timer *timer, uint64_t missed, void *arg) {
  owner *o = arg;
  (void)missed;
  CHECK(timer == zl_timer_in(&o->memory));
  o->calls++;
}

static void test_timer_in_memory_of_the_caller(void) {
  virtual_clock clock = {0};
  zl_loop *loop = virtual_loop(&clock);
  owner o = {.calls = 0};
  zl_timer *timer = zl_timer_init(&o.memory, loop, on_owner, &o);
  CHECK(!zl_timer_active(timer));
  CHECK(zl_timer_loop(timer) == loop);
  CHECK_INT(zl_timer_start(timer, 5, 0), 0);
  clock.now = 5;
  CHECK_INT(zl_loop_step(loop, 0, NULL), 1);
  CHECK_INT(o.calls, 1);
  CHECK_INT(zl_timer_start(timer, 5, 0), 0);
  zl_timer_close(timer);
  clock.now = 20;
  CHECK_INT(zl_loop_step(loop, 0, NULL), 0);
  close_loop(loop);
}

static void on_owner_free(zl_timer *timer, uint64_t missed, void *arg) {
  owner *o = arg;
  (void)missed;
  zl_timer_close(timer);
  memset(o, 0xff, sizeof *o);
  free(o);
}

static void test_timer_memory_is_free_after_close_in_own_callback(void) {
  virtual_clock clock = {0};
  zl_loop *loop = virtual_loop(&clock);
  for (int i = 0; i < 3; i++) {
    owner *o = malloc(sizeof *o);
    CHECK(o);
    zl_timer *timer = zl_timer_init(&o->memory, loop, on_owner_free, o);
    CHECK_INT(zl_timer_start(timer, i, i), 0); /* periodic ones too */
  }
  clock.now = 10;
  CHECK_INT(zl_loop_step(loop, 0, NULL), 3);
  verify_loop(loop);
  CHECK(!zl_loop_alive(loop));
  close_loop(loop);
}

/* The timers that a callback uses. */
static zl_timer *neighbours[2];

static void on_owner_step(zl_timer *timer, uint64_t missed, void *arg) {
  on_owner(timer, missed, arg);
  zl_loop_break(zl_timer_loop(timer));
}

/* One in the heap, one collected and not yet called. */
static void test_timer_outlives_its_loop_at_rest(void) {
  virtual_clock clock = {0};
  zl_loop *loop = virtual_loop(&clock);
  owner owners[3] = {{.calls = 0}};
  for (int i = 0; i < 3; i++) {
    zl_timer *timer =
        zl_timer_init(&owners[i].memory, loop, on_owner_step, &owners[i]);
    CHECK_INT(zl_timer_start_at(timer, i < 2 ? 1 : 100, 0), 0);
  }
  neighbours[0] = zl_timer_in(&owners[1].memory);
  neighbours[1] = zl_timer_in(&owners[2].memory);
  clock.now = 1;
  CHECK_INT(zl_loop_step(loop, 0, NULL), -EINTR);
  CHECK_INT(owners[0].calls, 1);
  CHECK(zl_timer_active(neighbours[0]));
  CHECK(zl_timer_active(neighbours[1]));
  close_loop(loop);
  for (int i = 0; i < 2; i++) {
    CHECK(!zl_timer_active(neighbours[i]));
    CHECK_INT(zl_timer_deadline_ns(neighbours[i]), ZL_FOREVER);
    zl_timer_close(neighbours[i]);
  }
}

/* While half of the collected ones wait, others make the array grow. */
static void on_owner_grow(zl_timer *timer, uint64_t missed, void *arg) {
  static owner more[200];
  owner *o = arg;
  on_owner(timer, missed, o);
  if (o->calls == 1 && timer == neighbours[0]) {
    for (int i = 0; i < 200; i++) {
      zl_timer *another = zl_timer_init(&more[i].memory, zl_timer_loop(timer),
                                        on_owner, &more[i]);
      CHECK_INT(zl_timer_start(another, 1000 + i, 0), 0);
    }
    verify_loop(zl_timer_loop(timer));
  }
}

static void test_timer_array_grows_while_some_are_due(void) {
  virtual_clock clock = {0};
  zl_loop *loop = virtual_loop(&clock);
  enum { COUNT = 40 };
  owner owners[COUNT] = {{.calls = 0}};
  for (int i = 0; i < COUNT; i++) {
    zl_timer *timer =
        zl_timer_init(&owners[i].memory, loop, on_owner_grow, &owners[i]);
    CHECK_INT(zl_timer_start_at(timer, i, i % 2), 0);
  }
  neighbours[0] = zl_timer_in(&owners[10].memory);
  clock.now = COUNT;
  CHECK_INT(zl_loop_step(loop, 0, NULL) & ~ZL_STEP_MORE, COUNT);
  verify_loop(loop);
  for (int i = 0; i < COUNT; i++) {
    CHECK_INT(owners[i].calls, 1);
    CHECK_INT(zl_timer_active(zl_timer_in(&owners[i].memory)), i % 2);
  }
  close_loop(loop);
}

/* ---- short memory ------------------------------------------------------- */

/* A loop whose memory may be counted and refused. */
static zl_loop *loop_in(test_alloc *memory) {
  zl_config config = {.size = sizeof config,
                      .flags = ZL_CONFIG_VIRTUAL_CLOCK,
                      .alloc = test_alloc_fn,
                      .alloc_ud = memory};
  zl_loop *loop;
  memset(memory, 0, sizeof *memory);
  CHECK_INT(zl_loop_new(&config, &loop), 0);
  return loop;
}

static void refuse_memory(test_alloc *memory) {
  memory->fail_from = memory->requests + 1;
  memory->fail_count = 1000000;
}

/* All of a full heap is due at once. */
static void test_timer_periodic_ones_go_on_without_memory(void) {
  enum { COUNT = 16 }; /* a power of two: no place is free */
  test_alloc memory;
  zl_loop *loop = loop_in(&memory);
  owner owners[COUNT] = {{.calls = 0}};
  for (int i = 0; i < COUNT; i++) {
    zl_timer *timer =
        zl_timer_init(&owners[i].memory, loop, on_owner, &owners[i]);
    CHECK_INT(zl_timer_start(timer, 1000, 1000), 0);
  }
  refuse_memory(&memory);
  CHECK_INT(zl_loop_advance(loop, 10000), 0);
  for (int i = 0; i < COUNT; i++) {
    CHECK_INT(owners[i].calls, 10);
    CHECK(zl_timer_active(zl_timer_in(&owners[i].memory)));
  }
  close_loop(loop);
}

/* Restarts the others, which are due and so occupy its place. */
static void on_owner_restart(zl_timer *timer, uint64_t missed, void *arg) {
  owner *o = arg;
  on_owner(timer, missed, o);
  for (int i = 0; i < 2 && o->calls == 1; i++) {
    CHECK_INT(zl_timer_start(neighbours[i], 50, 0), 0);
    verify_loop(zl_timer_loop(timer));
  }
}

static void test_timer_active_one_is_restarted_without_memory(void) {
  enum { COUNT = 16 };
  test_alloc memory;
  zl_loop *loop = loop_in(&memory);
  owner owners[COUNT] = {{.calls = 0}};
  for (int i = 0; i < COUNT; i++) {
    zl_timer *timer =
        zl_timer_init(&owners[i].memory, loop,
                      i == 0 ? on_owner_restart : on_owner, &owners[i]);
    CHECK_INT(zl_timer_start_at(timer, 10, i == 0 ? 1000 : 0), 0);
  }
  neighbours[0] = zl_timer_in(&owners[5].memory);
  neighbours[1] = zl_timer_in(&owners[9].memory);
  refuse_memory(&memory);
  CHECK_INT(zl_loop_advance(loop, 40), 0);
  for (int i = 0; i < COUNT; i++) {
    CHECK_INT(owners[i].calls, i == 5 || i == 9 ? 0 : 1);
  }
  CHECK_INT(zl_loop_advance(loop, 60), 0);
  CHECK_INT(owners[5].calls, 1);
  CHECK_INT(owners[9].calls, 1);
  close_loop(loop);
}

static void test_timer_array_gets_smaller_after_a_burst(void) {
  enum { COUNT = 100000 };
  test_alloc memory;
  zl_loop *loop = loop_in(&memory);
  owner *owners = calloc(COUNT, sizeof *owners);
  CHECK(owners);
  size_t before = memory.bytes;
  for (int i = 0; i < COUNT; i++) {
    CHECK_INT(zl_timer_start(
                  zl_timer_init(&owners[i].memory, loop, on_owner, &owners[i]),
                  i / 1000, 0), /* a debug build checks all in each step */
              0);
  }
  size_t most = memory.bytes;
  long requests = memory.requests;
  CHECK_INT(zl_loop_advance(loop, COUNT), 0);
  for (int i = 0; i < COUNT; i++) {
    CHECK_INT(owners[i].calls, 1);
  }
  CHECK(memory.bytes - before < (most - before) / 100);
  CHECK(memory.requests - requests < 20); /* by halves at least */
  requests = memory.requests;
  for (int i = 0; i < 1000; i++) { /* and does not go up and down after it */
    CHECK_INT(zl_timer_start(zl_timer_in(&owners[i % 30].memory), 1, 0), 0);
    CHECK_INT(zl_loop_advance(loop, 1), 0);
  }
  CHECK_INT(memory.requests, requests);
  close_loop(loop);
  CHECK_INT(memory.bytes, 0);
  free(owners);
}

/* ---- the ends of time --------------------------------------------------- */

static void test_timer_keeps_its_grid_over_all_of_time(void) {
  static const int64_t starts[] = {INT64_MIN, -5, 0, INT64_MAX - 10};
  static const int64_t clocks[] = {INT64_MIN, -7, 0, INT64_MAX};
  for (int i = 0; i < 16; i++) {
    virtual_clock clock = {clocks[i / 4]};
    int64_t start = starts[i % 4];
    owner one = {.calls = 0};
    zl_loop *loop = virtual_loop(&clock);
    zl_timer *timer = zl_timer_init(&one.memory, loop, on_owner, &one);
    CHECK_INT(zl_timer_start_at(timer, start, SECONDS), 0);
    bool due = start <= clock.now;
    CHECK_INT(zl_loop_timeout_ns(loop) == 0, due);
    CHECK(zl_loop_timeout_ns(loop) >= 0);
    CHECK(zl_loop_step(loop, 0, NULL) >= 0);
    CHECK_INT(one.calls, due);
    int64_t next = zl_timer_deadline_ns(timer);
    CHECK(next > clock.now || next == ZL_FOREVER);
    CHECK(next == ZL_FOREVER ||
          ((uint64_t)next - (uint64_t)start) % SECONDS == 0);
    zl_stats stats;
    zl_loop_stats(loop, &stats);
    CHECK(stats.lateness_ns >= 0);
    close_loop(loop);
  }
}

static void test_timer_time_left_saturates(void) {
  CHECK_INT(zl_time_until(5, 3), 2);
  CHECK_INT(zl_time_until(3, 5), 0);
  CHECK_INT(zl_time_until(3, 3), 0);
  CHECK_INT(zl_time_until(ZL_FOREVER, 3), ZL_FOREVER);
  CHECK_INT(zl_time_until(ZL_FOREVER - 1, -5), ZL_FOREVER);
  CHECK_INT(zl_time_until(0, INT64_MIN), ZL_FOREVER);
  CHECK_INT(zl_time_until(-1, INT64_MIN), ZL_FOREVER);
  CHECK_INT(zl_time_until(-2, INT64_MIN), ZL_FOREVER - 1);
  CHECK_INT(zl_time_until(INT64_MIN, ZL_FOREVER), 0);
  CHECK_INT(zl_time_add(ZL_FOREVER - 1, 2), ZL_FOREVER);
  CHECK_INT(zl_time_add(INT64_MIN + 1, -2), INT64_MIN);
}

/* A clock at the end of its range never reaches the last value. */
static void test_timer_of_no_deadline_never_fires(void) {
  virtual_clock clock = {INT64_MAX};
  owner one = {.calls = 0};
  zl_loop *loop = virtual_loop(&clock);
  zl_timer *timer = zl_timer_init(&one.memory, loop, on_owner, &one);
  CHECK_INT(zl_timer_start(timer, SECONDS, SECONDS), 0);
  CHECK_INT(zl_timer_deadline_ns(timer), ZL_FOREVER);
  CHECK_INT(zl_loop_step(loop, 0, NULL), 0);
  CHECK_INT(one.calls, 0);
  CHECK_INT(zl_loop_timeout_ns(loop), ZL_FOREVER);
  close_loop(loop);
}

/* Each reading of the clock is later: a deadline may pass between two. */
static int64_t moving(void *ud) {
  *(int64_t *)ud += 1000;
  return *(int64_t *)ud;
}

static void test_timer_timeout_is_never_negative(void) {
  for (int64_t delay = 0; delay < 5000; delay += 100) {
    int64_t now = 0;
    owner one = {.calls = 0};
    zl_config config = {
        .size = sizeof config, .clock = moving, .clock_ud = &now};
    zl_loop *loop;
    CHECK_INT(zl_loop_new(&config, &loop), 0);
    zl_timer *timer = zl_timer_init(&one.memory, loop, on_owner, &one);
    CHECK_INT(zl_timer_start_at(timer, delay, 0), 0);
    CHECK(zl_loop_timeout_ns(loop) >= 0);
    close_loop(loop);
  }
}

static void test_timer_shortest_period_passes(void) {
  test_alloc memory;
  zl_loop *loop = loop_in(&memory);
  owner one = {.calls = 0};
  zl_timer *timer = zl_timer_init(&one.memory, loop, on_owner, &one);
  CHECK_INT(zl_timer_start(timer, 1, 1), 0);
  CHECK_INT(zl_loop_advance(loop, 1000), 0);
  CHECK_INT(one.calls, 1000);
  close_loop(loop);
}

static const zl_test tests[] = {
    TEST(test_timer_fires_by_deadline),
    TEST(test_timer_fires_in_start_order),
    TEST(test_timer_restarted_moves_behind_its_equals),
    TEST(test_timer_started_in_a_pass_waits_for_the_next),
    TEST(test_timer_restarted_by_an_earlier_one_waits),
    TEST(test_timer_cancelled_by_an_earlier_one_of_its_batch),
    TEST(test_timer_cancels_itself),
    TEST(test_timer_close_in_own_callback),
    TEST(test_timer_close_of_a_due_neighbour),
    TEST(test_timer_stays_on_its_grid),
    TEST(test_timer_again_keeps_its_period),
    TEST(test_timer_moved_later_and_earlier),
    TEST(test_timer_moved_later_does_not_disturb_its_equals),
    TEST(test_timer_of_a_far_deadline_does_not_overflow),
    TEST(test_timer_refuses_a_negative_period),
    TEST(test_timer_cancel_and_close_of_nothing),
    TEST(test_timer_only_one_removed_then_run),
    TEST(test_timer_a_hundred_thousand),
    TEST(test_timer_crowds_in_any_order),
    TEST(test_timer_cancelled_ones_leave_no_room_taken),
    TEST(test_timer_next_takes_those_of_its_function),
    TEST(test_timer_next_skips_what_was_cancelled_meanwhile),
    TEST(test_timer_next_rearms_periodic_ones),
    TEST(test_timer_next_keeps_to_the_budget),
    TEST(test_timer_next_ends_at_a_break),
    TEST(test_timer_is_never_early),
    TEST(test_timer_agrees_with_a_sorted_array),
    TEST(test_timer_in_memory_of_the_caller),
    TEST(test_timer_memory_is_free_after_close_in_own_callback),
    TEST(test_timer_outlives_its_loop_at_rest),
    TEST(test_timer_array_grows_while_some_are_due),
    TEST(test_timer_periodic_ones_go_on_without_memory),
    TEST(test_timer_active_one_is_restarted_without_memory),
    TEST(test_timer_array_gets_smaller_after_a_burst),
    TEST(test_timer_keeps_its_grid_over_all_of_time),
    TEST(test_timer_time_left_saturates),
    TEST(test_timer_of_no_deadline_never_fires),
    TEST(test_timer_timeout_is_never_negative),
    TEST(test_timer_shortest_period_passes),
};

TEST_MAIN(tests)
