/* test_poller.c - what the system refuses is reported, and nothing spins.
 * SPDX-License-Identifier: MIT
 *
 * epoll_ctl() and pthread_kill() are replaced, to fail or to take long.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/loop.h"
#include "support/alloc.h"
#include "support/clock.h"
#include "test.h"
#include "zmqloop_blocked.h"

static zl_loop *loop_of(int backend) {
  zl_config config = {.size = sizeof config, .backend = backend};
  zl_loop *loop;
  CHECK_INT(zl_loop_new(&config, &loop), 0);
  return loop;
}

static void on_stop(zl_timer *timer, uint64_t missed, void *arg) {
  (void)missed;
  (void)arg;
  zl_loop_stop(zl_timer_loop(timer));
}

static void stop_after(zl_loop *loop, int64_t delay) {
  zl_timer *timer;
  CHECK_INT(zl_timer_new(loop, on_stop, NULL, &timer), 0);
  CHECK_INT(zl_timer_start(timer, delay, 0), 0);
}

static void on_fd(zl_fd *watch, int events, void *arg) {
  (void)watch;
  (void)events;
  ++*(int *)arg;
}

static uint64_t iterations(const zl_loop *loop) {
  zl_stats stats;
  zl_loop_stats(loop, &stats);
  return stats.iterations;
}

/* ---- errors of the wait ------------------------------------------------- */

/* As a library does that turns the process into a daemon. Checks the results of
 * a run and a step. */
static void check_deaf(zl_loop *loop, int error) {
  CHECK_INT(zl_loop_run(loop, ZL_RUN_FOREVER), error);
  CHECK_INT(zl_loop_step(loop, ZL_FOREVER, NULL), error);
  CHECK(iterations(loop) < 5);
}

/* The first descriptors that a process opens from here on. */
static int next_descriptor(void) {
  int fd = dup(STDOUT_FILENO);
  CHECK(fd >= 0);
  (void)close(fd);
  return fd;
}

#ifdef __linux__
static void test_poller_closed_epoll_is_told(void) {
  int epoll_fd = next_descriptor();
  zl_loop *loop = loop_of(ZL_BACKEND_EPOLL);
  stop_after(loop, SECONDS);
  int kept = dup(epoll_fd);
  (void)close(epoll_fd);
  check_deaf(loop, -EBADF);
  CHECK_INT(dup2(kept, epoll_fd), epoll_fd); /* as it was: it runs again */
  (void)close(kept);
  CHECK_INT(zl_loop_step(loop, 0, NULL), 0);
  close_loop(loop);
}
#endif

static void test_poller_closed_wake_up_descriptor_is_told(void) {
  zl_loop *loop = loop_of(ZL_BACKEND_POLL);
  int wake = loop->mailbox.wake_read;
  stop_after(loop, SECONDS);
  (void)close(wake);
  check_deaf(loop, -EBADF);
  int ends[2]; /* and reused by one that is readable for ever */
  CHECK_INT(pipe(ends), 0);
  (void)close(ends[1]);
  CHECK_INT(dup2(ends[0], wake), wake);
  check_deaf(loop, -EBADF);
  (void)close(ends[0]);
  close_loop(loop);
}

/* poll() refuses more descriptors than the process may open. */
static void test_poller_too_many_descriptors_are_told(void) {
  enum { PIPES = 20 };
  struct rlimit old;
  int ends[PIPES][2];
  int events = 0;
  zl_loop *loop = loop_of(ZL_BACKEND_POLL);
  for (int i = 0; i < PIPES; i++) {
    zl_fd *watch;
    CHECK_INT(pipe(ends[i]), 0);
    CHECK_INT(zl_fd_new(loop, ends[i][0], ZL_READ, on_fd, &events, &watch), 0);
  }
  stop_after(loop, SECONDS);
  CHECK_INT(getrlimit(RLIMIT_NOFILE, &old), 0);
  struct rlimit few = {PIPES / 2, old.rlim_max};
  CHECK_INT(setrlimit(RLIMIT_NOFILE, &few), 0);
  int run = zl_loop_run(loop, ZL_RUN_FOREVER);
  int step = zl_loop_step(loop, ZL_FOREVER, NULL);
  CHECK_INT(setrlimit(RLIMIT_NOFILE, &old), 0);
  CHECK_INT(run, -EINVAL);
  CHECK_INT(step, -EINVAL);
  CHECK(iterations(loop) < 5);
  CHECK_INT(write(ends[0][1], "", 1), 1); /* there is room again: it
                                           * continues */
  CHECK_INT(zl_loop_step(loop, ZL_FOREVER, NULL) & ~ZL_STEP_MORE, 1);
  CHECK_INT(events, 1);
  close_loop(loop);
  for (int i = 0; i < PIPES; i++) {
    (void)close(ends[i][0]);
    (void)close(ends[i][1]);
  }
}

/* ---- errors of watching ------------------------------------------------- */

static int control_error; /* the error of epoll_ctl(); 0: call the system's */

#ifdef __GLIBC__
int epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event) {
  typedef int control(int, int, int, struct epoll_event *);
  static control *real;
  if (!real) {
    *(void **)&real = dlsym(RTLD_NEXT, "epoll_ctl");
  }
  if (control_error && operation == EPOLL_CTL_ADD) {
    errno = control_error;
    return -1;
  }
  return real(epoll_fd, operation, fd, event);
}

static void test_poller_refused_watch_has_a_name(void) {
  zl_loop *loop = loop_of(ZL_BACKEND_EPOLL);
  zl_fd *watch;
  int ends[2];
  int events = 0;
  CHECK_INT(pipe(ends), 0);
  control_error = ENOSPC;
  int rc = zl_fd_new(loop, ends[0], ZL_READ, on_fd, &events, &watch);
  control_error = 0;
  CHECK_INT(rc, -ENOSPC);
  CHECK(!strcmp(zl_errname(rc), "ENOSPC"));
  CHECK(!watch);
  CHECK_INT(zl_fd_new(loop, ends[0], ZL_READ, on_fd, &events, &watch), 0);
  CHECK_INT(zl_fd_pause(watch, 1), 0);
  control_error = ENOSPC;
  CHECK_INT(zl_fd_pause(watch, 0), -ENOSPC);
  control_error = 0;
  CHECK_INT(write(ends[1], "", 1), 1);
  CHECK_INT(zl_loop_step(loop, 0, NULL), 0); /* it stays paused */
  CHECK_INT(zl_fd_pause(watch, 0), 0);
  CHECK(zl_loop_step(loop, 0, NULL) >= 0);
  CHECK_INT(events, 1);
  close_loop(loop);
  (void)close(ends[0]);
  (void)close(ends[1]);
}
#endif

static void test_poller_errors_have_names(void) {
  static const int numbers[] = {
      EBADF,  EEXIST, EFAULT, EINTR,  EINVAL, EIO,    EISDIR,    ELOOP, EMFILE,
      ENFILE, ENODEV, ENOENT, ENOMEM, ENOSPC, ENOSYS, EOVERFLOW, EPERM, EPIPE};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    CHECK(strcmp(zl_errname(-numbers[i]), "EUNKNOWN") != 0);
  }
}

/* The number of a descriptor that is not there costs nothing. */
static void large_number(int backend) {
  test_alloc memory = {0};
  zl_config config = {.size = sizeof config,
                      .backend = backend,
                      .alloc = test_alloc_fn,
                      .alloc_ud = &memory};
  zl_loop *loop;
  zl_fd *watch;
  int events = 0;
  CHECK_INT(zl_loop_new(&config, &loop), 0);
  size_t before = memory.bytes;
  CHECK_INT(zl_fd_new(loop, 500000000, ZL_READ, on_fd, &events, &watch),
            -EBADF);
  CHECK_INT(zl_fd_new(loop, INT32_MAX, ZL_READ, on_fd, &events, &watch),
            -EBADF);
  CHECK_INT(memory.bytes, before);
  close_loop(loop);
}

static void test_poller_large_number_takes_no_memory(void) {
  large_number(ZL_BACKEND_DEFAULT);
  large_number(ZL_BACKEND_POLL);
}

/* ---- a forked child ----------------------------------------------------- */

static bool readable(int fd) {
  struct pollfd it = {.fd = fd, .events = POLLIN};
  return poll(&it, 1, 0) > 0;
}

static void on_nothing(zl_loop *loop, void *arg) {
  (void)loop;
  (void)arg;
}

static void on_nothing_due(zl_timer *timer, uint64_t missed, void *arg) {
  (void)timer;
  (void)missed;
  (void)arg;
}

static pid_t child;

static int exit_of_child(void) {
  int status;
  CHECK(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* All that wakes a loop, in the child of a callback. */
static void on_fork(zl_loop *loop, void *arg) {
  (void)arg;
  child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    zl_loop_wake(loop);
    CHECK_INT(zl_loop_post(loop, on_nothing, NULL, NULL), 0);
  }
  zl_loop_stop(loop);
}

static int rest_of_child(zl_loop *loop) {
  zl_timer *timer;
  CHECK_INT(zl_loop_add_callback(loop, on_nothing, NULL), 0);
  CHECK_INT(zl_timer_new(loop, on_nothing_due, NULL, &timer), 0);
  CHECK_INT(zl_timer_start(timer, 0, 0), 0);
  zl_loop_stop(loop);
  zl_loop_wake(loop);
  return zl_loop_close(loop);
}

static void fork_in_a_callback(int backend) {
  zl_loop *loop = loop_of(backend);
  bool hosted = zl_loop_fd(loop) >= 0;
  /* The end of the run tells a host work remains, with the same descriptor. */
  CHECK_INT(zl_loop_add_callback(loop, on_fork, NULL), 0);
  int rc = zl_loop_step(loop, 0, NULL);
  if (child == 0) {
    test_watchdog(20);
    _exit(rest_of_child(loop) == 0 ? 0 : 2);
  }
  CHECK_INT(rc & ~ZL_STEP_MORE, 1);
  zl__mailbox_drain_wake(&loop->mailbox); /* of the parent's own stop */
  CHECK_INT(exit_of_child(), 0);
  CHECK(!readable(loop->mailbox.wake_read));
  CHECK(backend == ZL_BACKEND_POLL || hosted);
  close_loop(loop);
}

static void test_poller_child_does_not_wake_its_parent(void) {
  fork_in_a_callback(ZL_BACKEND_POLL);
#ifdef __linux__
  fork_in_a_callback(ZL_BACKEND_EPOLL);
#endif
}

#ifdef __GLIBC__
static atomic_bool sends_slowly;
static atomic_bool sends;

int pthread_kill(pthread_t thread, int number) {
  typedef int send(pthread_t, int);
  static send *real;
  if (!real) {
    *(void **)&real = dlsym(RTLD_NEXT, "pthread_kill");
  }
  int rc = real(thread, number);
  while (atomic_load(&sends_slowly)) {
    atomic_store(&sends, true);
  }
  return rc;
}

static void on_blocked(zl_loop *loop, void *arg) {
  (void)loop;
  (void)arg;
}

/* The child has no watchdog thread that would finish sending. */
static void on_fork_while_sending(zl_loop *loop, void *arg) {
  (void)arg;
  while (!atomic_load(&sends)) {
  }
  child = fork();
  CHECK(child >= 0);
  atomic_store(&sends_slowly, false);
  zl_loop_stop(loop);
}

static void test_poller_fork_while_the_watchdog_sends(void) {
  zl_loop *loop = new_loop();
  atomic_store(&sends, false);
  atomic_store(&sends_slowly, true);
  CHECK_INT(zl_loop_watch_blocking(loop, 2 * MILLISECONDS, 0, on_blocked, NULL),
            0);
  CHECK_INT(zl_loop_add_callback(loop, on_fork_while_sending, NULL), 0);
  int rc = zl_loop_run(loop, ZL_RUN_FOREVER);
  if (child == 0) {
    _exit(rc == 0 && zl_loop_close(loop) == 0 ? 0 : 1);
  }
  CHECK_INT(rc, 0);
  CHECK_INT(exit_of_child(), 0);
  close_loop(loop);
}
#endif

static const zl_test tests[] = {
#ifdef __linux__
    TEST(test_poller_closed_epoll_is_told),
#endif
    TEST(test_poller_closed_wake_up_descriptor_is_told),
    TEST(test_poller_too_many_descriptors_are_told),
#ifdef __GLIBC__
    TEST(test_poller_refused_watch_has_a_name),
    TEST(test_poller_fork_while_the_watchdog_sends),
#endif
    TEST(test_poller_errors_have_names),
    TEST(test_poller_large_number_takes_no_memory),
    TEST(test_poller_child_does_not_wake_its_parent),
};

TEST_MAIN(tests)
