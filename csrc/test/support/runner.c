/* runner.c - runs a table of tests and counts.
 * SPDX-License-Identifier: MIT
 */
#include "../test.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WATCHDOG_SECONDS = 60 };

static jmp_buf failed;
static pthread_t runner;
static const char *volatile present = "";

const char *test_name(void) {
  return present;
}

_Noreturn void test_fail(const char *file, int line, const char *what) {
  printf("%s:%d: %s: %s\n", file, line, present, what);
  (void)fflush(stdout);
  if (!pthread_equal(pthread_self(), runner)) {
    _exit(1);
  }
  longjmp(failed, 1);
}

void test_check_int(const char *file, int line, const char *what, long long got,
                    long long wanted) {
  char text[512];
  if (got == wanted) {
    return;
  }
  (void)snprintf(text, sizeof text, "%s (%lld, not %lld)", what, got, wanted);
  test_fail(file, line, text);
}

static void bite(int sig) {
  static const char text[] = ": takes too long\n";
  (void)sig;
  /* Nothing can be done about a failed write here. */
  if (write(STDOUT_FILENO, present, strlen(present)) < 0 ||
      write(STDOUT_FILENO, text, sizeof text - 1) < 0) {
    _exit(2);
  }
  _exit(1);
}

void test_watchdog(unsigned seconds) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = bite;
  (void)sigemptyset(&action.sa_mask);
  (void)sigaction(SIGALRM, &action, NULL);
  (void)alarm(seconds);
}

static int chosen(int argc, char **argv, const char *name) {
  for (int i = 1; i < argc; i++) {
    if (strstr(name, argv[i])) {
      return 1;
    }
  }
  return argc < 2;
}

static double seconds_since(const struct timespec *start) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)(now.tv_sec - start->tv_sec) +
         (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

static int run(const zl_test *test) {
  present = test->name;
  test_watchdog(WATCHDOG_SECONDS);
  if (setjmp(failed)) {
    return 0;
  }
  test->fn();
  return 1;
}

int test_main(int argc, char **argv, const zl_test *tests, size_t count) {
  int passed = 0;
  int bad = 0;
  runner = pthread_self();
  for (size_t i = 0; i < count; i++) {
    if (!chosen(argc, argv, tests[i].name)) {
      continue;
    }
    struct timespec start;
    (void)clock_gettime(CLOCK_MONOTONIC, &start);
    const int ok = run(&tests[i]);
    passed += ok;
    bad += !ok;
    printf("%s %s (%.3f s)\n", ok ? "ok" : "not ok", tests[i].name,
           seconds_since(&start));
    (void)fflush(stdout);
  }
  printf("%d passed, %d failed\n", passed, bad);
  return bad || !passed ? EXIT_FAILURE : EXIT_SUCCESS;
}
