/* test.h - checks that release builds keep, and a runner for tables of tests.
 * SPDX-License-Identifier: MIT
 *
 * A program is a table of functions and TEST_MAIN(table). Arguments choose the
 * tests whose names contain one of them. A failed check ends its test, not the
 * program; in another thread than the runner's it ends the program.
 */
#ifndef ZL_TEST_H
#define ZL_TEST_H

#include <stddef.h>

typedef struct zl_test {
  const char *name;
  void (*fn)(void);
} zl_test;

int test_main(int argc, char **argv, const zl_test *tests, size_t count);
_Noreturn void test_fail(const char *file, int line, const char *what);
void test_check_int(const char *file, int line, const char *what, long long got,
                    long long wanted);

/* Ends the program with an error if it still runs after this many seconds. The
 * runner sets 60 for each test; 0 lifts the limit. Uses SIGALRM. */
void test_watchdog(unsigned seconds);

/* The name of the running test. */
const char *test_name(void);

#define TEST(fn)                                                               \
  { #fn, fn }

#define TEST_MAIN(table)                                                       \
  int main(int argc, char **argv) {                                            \
    return test_main(argc, argv, table, sizeof(table) / sizeof *(table));      \
  }

#define CHECK(expr)                                                            \
  do {                                                                         \
    if (!(expr)) {                                                             \
      test_fail(__FILE__, __LINE__, #expr);                                    \
    }                                                                          \
  } while (0)

/* Two integers; prints both when they differ. */
#define CHECK_INT(got, wanted)                                                 \
  test_check_int(__FILE__, __LINE__, #got " == " #wanted, (long long)(got),    \
                 (long long)(wanted))

#endif /* ZL_TEST_H */
