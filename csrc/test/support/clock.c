/* clock.c - loops for tests, on a virtual clock or the real one.
 * SPDX-License-Identifier: MIT
 */
#include "clock.h"

#include "../test.h"

static int64_t read_clock(void *ud) {
  return ((virtual_clock *)ud)->now;
}

zl_loop *virtual_loop(virtual_clock *clock) {
  zl_config config = {
      .size = sizeof config, .clock = read_clock, .clock_ud = clock};
  zl_loop *loop;
  CHECK_INT(zl_loop_new(&config, &loop), 0);
  return loop;
}

zl_loop *new_loop(void) {
  zl_loop *loop;
  CHECK_INT(zl_loop_new(NULL, &loop), 0);
  return loop;
}

void verify_loop(const zl_loop *loop) {
  const char *what = NULL;
  if (zl_loop_verify(loop, &what) < 0) {
    test_fail(__FILE__, __LINE__, what);
  }
}

void close_loop(zl_loop *loop) {
  verify_loop(loop);
  CHECK_INT(zl_loop_close(loop), 0);
}
