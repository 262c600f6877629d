/* host.c - a loop inside of another: its descriptor.
 * SPDX-License-Identifier: MIT
 */
#define _GNU_SOURCE
#include <errno.h>
#include <unistd.h>

#include "internal.h"

bool zl__loop_forked(const zl_loop *loop) {
  return loop->pid != getpid();
}

/* Its descriptor is readable until the next step. */
void zl__loop_tell_host(zl_loop *loop) {
  loop->told = true;
  zl__mailbox_wake(&loop->mailbox);
}

int zl_loop_fd(zl_loop *loop) {
  if (zl__loop_forked(loop)) {
    return -ECHILD;
  }
  if (!loop->poller->descriptor) {
    return -ENOTSUP;
  }
  int fd = loop->poller->descriptor(loop);
  loop->hosted = loop->hosted || fd >= 0;
  return fd;
}
