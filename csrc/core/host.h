/* host.h - the descriptor of a loop that runs inside another.
 * SPDX-License-Identifier: MIT
 */
#ifndef ZL_HOST_H
#define ZL_HOST_H

#include "loop.h"

/* Makes the descriptor readable until the next step. */
void zl__host_tell(zl_loop *loop);

/* Call this after each run or step, if there is a host, which is told at once
 * if work remains. */
void zl__host_step_ended(zl_loop *loop, bool work_left);

/* Call this when something was queued outside a step, or a timer due before all
 * others was started: a host may be waiting for the loop's descriptor. */
static inline void zl__host_changed(zl_loop *loop) {
  if (loop->host == ZL__HOST_WAITS && loop->handles.kept == 0) {
    zl__host_tell(loop);
  }
}

#endif /* ZL_HOST_H */
