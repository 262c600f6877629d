/* test_fd.c - watches of plain descriptors.
 * SPDX-License-Identifier: MIT
 *
 * Each test runs on every backend.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/loop.h"
#include "support/clock.h"
#include "test.h"

static int backend;

static zl_loop *backend_loop(void) {
  zl_config config = {.size = sizeof config, .backend = backend};
  zl_loop *loop;
  CHECK_INT(zl_loop_new(&config, &loop), 0);
  return loop;
}

typedef struct seen {
  int calls;
  int events; /* of the last call */
  zl_fd *watch;
  struct seen *closes; /* another one, which its callback closes */
  int reads;           /* the callback takes a byte */
  int fd;
} seen;

static void on_fd(zl_fd *watch, int events, void *arg) {
  seen *s = arg;
  char byte;
  CHECK(watch == s->watch);
  s->calls++;
  s->events = events;
  if (s->reads) {
    CHECK_INT(read(s->fd, &byte, 1), 1);
  }
  if (s->closes) {
    zl_fd_close(s->closes->watch);
    s->closes->watch = NULL;
    s->closes = NULL;
  }
}

static void watch_fd(zl_loop *loop, int fd, int events, seen *s) {
  memset(s, 0, sizeof *s);
  s->fd = fd;
  CHECK_INT(zl_fd_new(loop, fd, events, on_fd, s, &s->watch), 0);
}

static void pair(int ends[2]) {
  CHECK_INT(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
}

static void close_both(int ends[2]) {
  (void)close(ends[0]);
  (void)close(ends[1]);
}

static int step(zl_loop *loop) {
  int rc = zl_loop_step(loop, 0, NULL);
  verify_loop(loop);
  CHECK(rc >= 0);
  return rc & ~ZL_STEP_MORE;
}

static void test_fd_is_level_triggered(void) {
  zl_loop *loop = backend_loop();
  int ends[2];
  seen s;
  CHECK_INT(pipe(ends), 0);
  watch_fd(loop, ends[0], ZL_READ, &s);
  CHECK_INT(step(loop), 0);
  CHECK_INT(write(ends[1], "ab", 2), 2);
  CHECK_INT(step(loop), 1);
  CHECK_INT(s.events, ZL_READ);
  CHECK_INT(step(loop), 1);
  s.reads = 1;
  CHECK_INT(step(loop), 1);
  CHECK_INT(step(loop), 1);
  CHECK_INT(step(loop), 0);
  CHECK_INT(s.calls, 4);
  zl_fd_close(s.watch);
  CHECK(!zl_loop_alive(loop));
  close_both(ends);
  close_loop(loop);
}

static void test_fd_reports_what_was_asked_for(void) {
  zl_loop *loop = backend_loop();
  int ends[2];
  seen s;
  pair(ends);
  CHECK_INT(write(ends[1], "x", 1), 1);
  watch_fd(loop, ends[0], ZL_READ, &s);
  CHECK_INT(step(loop), 1);
  CHECK_INT(s.events, ZL_READ);
  CHECK_INT(zl_fd_update(s.watch, ZL_WRITE), 0);
  CHECK_INT(step(loop), 1);
  CHECK_INT(s.events, ZL_WRITE);
  CHECK_INT(zl_fd_update(s.watch, ZL_READ | ZL_WRITE), 0);
  CHECK_INT(step(loop), 1);
  CHECK_INT(s.events, ZL_READ | ZL_WRITE);
  CHECK_INT(zl_fd_update(s.watch, ZL_NONE), 0);
  CHECK_INT(step(loop), 0);
  CHECK_INT(zl_fd_update(s.watch, 0x40), -EINVAL);
  close_both(ends);
  close_loop(loop);
}

static void test_fd_paused_tells_of_nothing(void) {
  zl_loop *loop = backend_loop();
  int ends[2];
  seen s;
  zl_fd *other;
  pair(ends);
  watch_fd(loop, ends[0], ZL_READ, &s);
  CHECK_INT(write(ends[1], "x", 1), 1);
  (void)close(ends[1]);
  CHECK_INT(zl_fd_pause(s.watch, 1), 0);
  CHECK_INT(step(loop), 0);
  /* The number stays its own. */
  CHECK_INT(zl_fd_new(loop, ends[0], ZL_READ, on_fd, &s, &other), -EEXIST);
  CHECK_INT(zl_fd_update(s.watch, ZL_NONE), 0);
  CHECK_INT(step(loop), 0);
  CHECK_INT(zl_fd_update(s.watch, ZL_READ), 0);
  CHECK_INT(zl_fd_pause(s.watch, 0), 0);
  CHECK_INT(step(loop), 1);
  CHECK(s.events & ZL_READ);
  zl_fd_close(s.watch);
  (void)close(ends[0]);
  close_loop(loop);
}

static void test_fd_paused_drops_the_event_at_hand(void) {
  zl_loop *loop = backend_loop();
  int ends[2];
  seen s;
  pair(ends);
  watch_fd(loop, ends[0], ZL_READ, &s);
  CHECK_INT(write(ends[1], "x", 1), 1);
  CHECK_INT(zl_fd_pause(s.watch, 1), 0);
  CHECK_INT(zl_fd_pause(s.watch, 1), 0);
  CHECK_INT(zl_fd_pause(s.watch, 0), 0);
  CHECK_INT(zl_fd_pause(s.watch, 0), 0);
  CHECK_INT(step(loop), 1);
  CHECK_INT(zl_fd_pause(s.watch, 1), 0);
  (void)close(ends[0]);
  CHECK_INT(zl_fd_pause(s.watch, 0), -EBADF);
  CHECK_INT(step(loop), 0);
  zl_fd_close(s.watch);
  (void)close(ends[1]);
  close_loop(loop);
}

static void test_fd_hang_up_needs_not_be_asked_for(void) {
  static const int masks[] = {ZL_READ, ZL_NONE};
  for (int i = 0; i < 2; i++) {
    zl_loop *loop = backend_loop();
    int ends[2];
    seen s;
    CHECK_INT(pipe(ends), 0);
    watch_fd(loop, ends[0], masks[i], &s);
    CHECK_INT(step(loop), 0);
    (void)close(ends[1]);
    CHECK_INT(step(loop), 1);
    CHECK(s.events & ZL_ERROR);
    CHECK(!(s.events & ZL_WRITE));
    zl_fd_close(s.watch);
    (void)close(ends[0]);
    close_loop(loop);
  }
}

static void test_fd_refuses_what_it_cannot_watch(void) {
  zl_loop *loop = backend_loop();
  zl_loop *other = backend_loop();
  int ends[2];
  seen s;
  seen elsewhere;
  zl_fd *watch = (zl_fd *)&s;
  pair(ends);
  watch_fd(loop, ends[0], ZL_READ, &s);
  CHECK_INT(zl_fd_new(loop, ends[0], ZL_WRITE, on_fd, &s, &watch), -EEXIST);
  CHECK(!watch);
  watch_fd(other, ends[0], ZL_READ, &elsewhere);
  CHECK_INT(zl_fd_new(loop, ends[1], 0x40, on_fd, &s, &watch), -EINVAL);
  CHECK(!watch);
  CHECK_INT(zl_fd_new(loop, -1, ZL_READ, on_fd, &s, &watch), -EBADF);
  (void)close(ends[1]);
  CHECK_INT(zl_fd_new(loop, ends[1], ZL_READ, on_fd, &s, &watch), -EBADF);
  CHECK(!watch);
  zl_fd_close(s.watch);
  watch_fd(loop, ends[0], ZL_READ, &s);
  (void)close(ends[0]);
  zl_fd_close(NULL);
  close_loop(other);
  close_loop(loop);
}

static void test_fd_regular_file(void) {
  zl_loop *loop = backend_loop();
  zl_fd *watch;
  seen s;
  memset(&s, 0, sizeof s);
  int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  CHECK(fd >= 0);
  int rc = zl_fd_new(loop, fd, ZL_READ, on_fd, &s, &watch);
  if (!strcmp(zl_loop_backend(loop), "epoll")) {
    CHECK_INT(rc, -EPERM);
  } else {
    CHECK_INT(rc, 0);
    s.watch = watch;
    CHECK_INT(step(loop), 1);
    zl_fd_close(watch);
  }
  (void)close(fd);
  close_loop(loop);
}

/* Both are reported in one wait; whichever is called first removes the other.
 */
static void test_fd_removed_while_its_event_is_pending(void) {
  zl_loop *loop = backend_loop();
  int ends[2][2];
  seen s[2];
  for (int i = 0; i < 2; i++) {
    pair(ends[i]);
    CHECK_INT(write(ends[i][1], "x", 1), 1);
    watch_fd(loop, ends[i][0], ZL_READ, &s[i]);
  }
  s[0].closes = &s[1];
  s[1].closes = &s[0];
  CHECK_INT(step(loop), 1);
  CHECK_INT(s[0].calls + s[1].calls, 1);
  CHECK_INT(step(loop), 1);
  CHECK_INT(s[0].calls + s[1].calls, 2);
  close_both(ends[0]);
  close_both(ends[1]);
  close_loop(loop);
}

static void test_fd_removes_itself(void) {
  zl_loop *loop = backend_loop();
  int ends[2];
  seen s;
  pair(ends);
  CHECK_INT(write(ends[1], "x", 1), 1);
  watch_fd(loop, ends[0], ZL_READ, &s);
  s.closes = &s;
  CHECK_INT(step(loop), 1);
  CHECK_INT(step(loop), 0);
  CHECK_INT(zl_loop_run(loop, ZL_RUN_ALIVE), 0);
  close_both(ends);
  close_loop(loop);
}

/* The number of a descriptor that was closed behind the loop's back is reused:
 * the new watch gets the events, and closing the old one does not affect it.
 * Only epoll can tell them apart. */
static void test_fd_number_used_again_behind_the_loops_back(void) {
  zl_loop *loop = backend_loop();
  int ends[2];
  int fresh[2];
  seen old;
  seen new;
  pair(ends);
  pair(fresh);
  watch_fd(loop, ends[0], ZL_READ, &old);
  if (!strcmp(zl_loop_backend(loop), "epoll")) {
    CHECK_INT(dup2(fresh[0], ends[0]), ends[0]);
    watch_fd(loop, ends[0], ZL_READ, &new);
    CHECK_INT(write(fresh[1], "x", 1), 1);
    CHECK_INT(step(loop), 1);
    CHECK_INT(new.calls, 1);
    CHECK_INT(zl_fd_update(old.watch, ZL_WRITE), -EBADF);
    zl_fd_close(old.watch);
    CHECK_INT(step(loop), 1);
    CHECK_INT(new.calls, 2);
    CHECK_INT(old.calls, 0);
    zl_fd_close(new.watch);
  }
  close_both(ends);
  close_both(fresh);
  close_loop(loop);
}

/* A duplicate keeps the old registration alive, which cannot be removed any
 * more; its reports are ignored, even if its slot has been reused. */
static void test_fd_closed_with_a_duplicate_open(void) {
  zl_loop *loop = backend_loop();
  int ends[2];
  int others[2];
  seen old;
  seen new;
  pair(ends);
  pair(others);
  int duplicate = dup(ends[0]);
  watch_fd(loop, ends[0], ZL_READ, &old);
  (void)close(ends[0]);
  zl_fd_close(old.watch);
  watch_fd(loop, others[0], ZL_READ, &new);
  CHECK_INT(write(ends[1], "x", 1), 1);
  CHECK_INT(step(loop), 0);
  CHECK_INT(write(others[1], "x", 1), 1);
  CHECK_INT(step(loop), 1);
  CHECK_INT(new.calls, 1);
  CHECK_INT(old.calls, 0);
  zl_fd_close(new.watch);
  (void)close(duplicate);
  (void)close(ends[1]);
  close_both(others);
  close_loop(loop);
}

/* The only watch, removed before the run. */
static void test_fd_only_one_removed_then_run(void) {
  zl_loop *loop = backend_loop();
  int ends[2];
  seen s;
  pair(ends);
  watch_fd(loop, ends[0], ZL_READ, &s);
  CHECK(zl_loop_alive(loop));
  zl_fd_close(s.watch);
  CHECK_INT(zl_loop_run(loop, ZL_RUN_ALIVE), 0);
  close_both(ends);
  close_loop(loop);
}

typedef struct reuse {
  seen old;
  seen new;
  int old_ends[2];
  int new_ends[2];
  zl_loop *loop;
} reuse;

/* Closes the other watch and its descriptor, whose event is pending, and puts
 * a new watch on the same number. */
static void on_reuse(zl_fd *watch, int events, void *arg) {
  reuse *r = arg;
  int number = r->old_ends[0];
  (void)events;
  zl_fd_close(watch);
  zl_fd_close(r->old.watch);
  (void)close(number);
  pair(r->new_ends);
  CHECK_INT(dup2(r->new_ends[0], number), number);
  watch_fd(r->loop, number, ZL_READ, &r->new);
}

static void test_fd_number_used_again_does_not_reach_the_old_watch(void) {
  for (int first = 0; first < 2; first++) {
    reuse r;
    int trigger[2];
    zl_fd *watch;
    memset(&r, 0, sizeof r);
    r.loop = backend_loop();
    pair(trigger);
    pair(r.old_ends);
    CHECK_INT(write(trigger[1], "x", 1), 1);
    CHECK_INT(write(r.old_ends[1], "x", 1), 1);
    if (first) {
      watch_fd(r.loop, r.old_ends[0], ZL_READ, &r.old);
    }
    CHECK_INT(zl_fd_new(r.loop, trigger[0], ZL_READ, on_reuse, &r, &watch), 0);
    if (!first) {
      watch_fd(r.loop, r.old_ends[0], ZL_READ, &r.old);
    }
    (void)step(r.loop);
    while (!r.new.watch) { /* the old one was called before the trigger */
      (void)step(r.loop);
    }
    int before = r.old.calls;
    (void)step(r.loop);
    CHECK_INT(r.old.calls, before);
    CHECK_INT(r.new.calls, 0);
    CHECK_INT(write(r.new_ends[1], "x", 1), 1);
    CHECK_INT(step(r.loop), 1);
    CHECK_INT(r.new.calls, 1);
    close_both(trigger);
    (void)close(r.old_ends[1]);
    close_both(r.new_ends);
    zl_fd_close(r.new.watch);
    (void)close(r.old_ends[0]);
    close_loop(r.loop);
  }
}

/* The descriptor goes first, though it should not: no spin, no wrong call. */
static void test_fd_closed_before_its_watch(void) {
  zl_loop *loop = backend_loop();
  int ends[2];
  seen s;
  seen other;
  pair(ends);
  watch_fd(loop, ends[0], ZL_READ, &s);
  (void)close(ends[0]);
  zl_fd_close(s.watch);
  int fresh[2];
  pair(fresh);
  watch_fd(loop, fresh[0], ZL_READ, &other);
  CHECK_INT(write(fresh[1], "x", 1), 1);
  CHECK_INT(step(loop), 1);
  CHECK_INT(other.calls, 1);
  CHECK_INT(s.calls, 0);
  (void)close(ends[1]);
  close_both(fresh);
  close_loop(loop);
}

/* Many watches are opened and closed: slots are reused. */
static void test_fd_many_watches(void) {
  enum { MANY = 100, ROUNDS = 5 };
  zl_loop *loop = backend_loop();
  int ends[MANY][2];
  seen s[MANY];
  for (int i = 0; i < MANY; i++) {
    pair(ends[i]);
    CHECK_INT(write(ends[i][1], "x", 1), 1);
    watch_fd(loop, ends[i][0], ZL_READ, &s[i]);
  }
  for (int round = 0; round < ROUNDS; round++) {
    CHECK_INT(step(loop), MANY);
    for (int i = round % 3; i < MANY; i += 3) {
      int calls = s[i].calls;
      zl_fd_close(s[i].watch);
      watch_fd(loop, ends[i][0], ZL_READ, &s[i]);
      s[i].calls = calls;
    }
  }
  for (int i = 0; i < MANY; i++) {
    CHECK_INT(s[i].calls, ROUNDS);
    zl_fd_close(s[i].watch);
    close_both(ends[i]);
  }
  CHECK_INT(step(loop), 0);
  close_loop(loop);
}

#define EACH(name)                                                             \
  static void name##_on_poll(void) {                                           \
    backend = ZL_BACKEND_POLL;                                                 \
    name();                                                                    \
    backend = ZL_BACKEND_DEFAULT;                                              \
  }

EACH(test_fd_is_level_triggered)
EACH(test_fd_reports_what_was_asked_for)
EACH(test_fd_paused_tells_of_nothing)
EACH(test_fd_paused_drops_the_event_at_hand)
EACH(test_fd_hang_up_needs_not_be_asked_for)
EACH(test_fd_refuses_what_it_cannot_watch)
EACH(test_fd_regular_file)
EACH(test_fd_removed_while_its_event_is_pending)
EACH(test_fd_removes_itself)
EACH(test_fd_only_one_removed_then_run)
EACH(test_fd_number_used_again_does_not_reach_the_old_watch)
EACH(test_fd_closed_before_its_watch)
EACH(test_fd_number_used_again_behind_the_loops_back)
EACH(test_fd_closed_with_a_duplicate_open)

static int is_readable(int fd) {
  struct pollfd item = {.fd = fd, .events = POLLIN};
  return poll(&item, 1, 0) == 1;
}

/* Such an entry would wake the loop, and the host that waits for it, for ever.
 */
static void test_fd_lost_registration_is_got_rid_of(void) {
  zl_loop *loop = backend_loop();
  int hosts = zl_loop_fd(loop); /* the poll backend has none */
  int ends[2];
  int others[2];
  seen old;
  seen new;
  pair(ends);
  pair(others);
  int duplicate = dup(ends[0]);
  watch_fd(loop, ends[0], ZL_READ, &old);
  watch_fd(loop, others[0], ZL_READ, &new);
  (void)close(ends[0]);
  zl_fd_close(old.watch);
  CHECK_INT(write(ends[1], "x", 1), 1);
  for (int i = 0; i < 200; i++) {
    CHECK_INT(step(loop), 0);
  }
  CHECK_INT(loop->registry.stale, 0);
  CHECK_INT(zl_loop_fd(loop), hosts);
  CHECK(hosts < 0 || !is_readable(hosts));
  CHECK_INT(write(others[1], "x", 1), 1);
  CHECK(hosts < 0 || is_readable(hosts));
  CHECK_INT(step(loop), 1);
  CHECK_INT(new.calls, 1);
  zl_loop_wake(loop); /* the loop's own descriptor is in the new set too */
  CHECK_INT(zl_loop_step(loop, ZL_FOREVER, NULL) > 0, 1);
  zl_fd_close(new.watch);
  (void)close(duplicate);
  (void)close(ends[1]);
  close_both(others);
  close_loop(loop);
}
EACH(test_fd_lost_registration_is_got_rid_of)
EACH(test_fd_many_watches)

#define BOTH(name) TEST(name), TEST(name##_on_poll)

static const zl_test tests[] = {
    BOTH(test_fd_is_level_triggered),
    BOTH(test_fd_reports_what_was_asked_for),
    BOTH(test_fd_paused_tells_of_nothing),
    BOTH(test_fd_paused_drops_the_event_at_hand),
    BOTH(test_fd_hang_up_needs_not_be_asked_for),
    BOTH(test_fd_refuses_what_it_cannot_watch),
    BOTH(test_fd_regular_file),
    BOTH(test_fd_removed_while_its_event_is_pending),
    BOTH(test_fd_removes_itself),
    BOTH(test_fd_only_one_removed_then_run),
    BOTH(test_fd_number_used_again_does_not_reach_the_old_watch),
    BOTH(test_fd_closed_before_its_watch),
    BOTH(test_fd_number_used_again_behind_the_loops_back),
    BOTH(test_fd_closed_with_a_duplicate_open),
    BOTH(test_fd_lost_registration_is_got_rid_of),
    BOTH(test_fd_many_watches),
};

TEST_MAIN(tests)
