/* host.c - the descriptor of a loop that runs inside another.
 * SPDX-License-Identifier: MIT
 */
#include <errno.h>

#include "host.h"

void zl__host_tell(zl_loop *loop) {
  loop->host = ZL__HOST_TOLD;
  zl__mailbox_wake(&loop->mailbox);
}

void zl__host_step_ended(zl_loop *loop, bool work_left) {
  loop->host = ZL__HOST_WAITS;
  if (work_left) {
    zl__host_tell(loop);
  }
}

int zl_loop_fd(zl_loop *loop) {
  if (zl__mailbox_forked(&loop->mailbox)) {
    return -ECHILD;
  }
  if (!loop->poller->descriptor) {
    return -ENOTSUP;
  }
  int fd = loop->poller->descriptor(loop);
  if (fd >= 0 && loop->host == ZL__HOST_NONE) {
    loop->host = ZL__HOST_WAITS;
  }
  return fd;
}
